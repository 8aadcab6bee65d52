"""The errors symflow raises on purpose: one line each, saying the rule, the value received and the remedy."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal, Protocol

BRIEF = 60
"""Longest text of a received value in an error message."""
_UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Categories of characters that act and are not shown."""


KinkCause = Literal["sliding", "repelling", "tangency", "coincident", "precision"]
"""Why a flow stops on a kink: it would have to slide, and the field does not; it can continue in more than one way; a
pre-activation vanishes together with its derivatives; no continuation of several gates is consistent, or none could be
tried; or rounding decides."""
StopCause = Literal[
    KinkCause, "max-steps", "time-limit", "step-size", "rounding", "domain", "quantity", "box", "sweep", "unknown"
]
"""Why a flow ends early: on a kink, at a limit of steps or of time, because the step size collapses, because rounding
errors of the gradient are too large, because the domain of the objective is left, because a stop condition cannot be
decided, because a box of starts spreads too far, because starts of a sweep failed (see the message), or for a reason
that was not given."""

LimitCause = Literal["kink", "far", "singular", "unattainable", "minimum-unknown", "method", "step-size"]
"""Why a limit is not known: a gate may change near it; the point is too far from it for the curvature there; the
curvature that would make it unique or attracting is 0; the least squares value is not attained by such a network; the
least loss is not known; nothing is known of this method of descent; or its step size is too large."""


class SymflowError(Exception):
    r"""Base of every error symflow raises on purpose; its message is one line.

    Example:
        >>> try:
        ...     sf.solve_flow("problem.toml")
        ... except sf.SymflowError as error:
        ...     print(type(error).__name__, "\n" in str(error))
        ProblemError False
        >>> issubclass(sf.KinkError, sf.FlowStopped), issubclass(sf.FlowStopped, sf.SymflowError)
        (True, True)
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(printable(" ".join(str(message).split())))


class ProblemError(SymflowError, ValueError):
    """The input is wrong: file, key, value received, what would be right.

    Example:
        >>> try:
        ...     sf.Problem(network=sf.FullyConnected((2, 1, 1)), data={"x": [[1, 0]], "y": [1]}, init={"theta": [1]})
        ... except sf.ProblemError as error:
        ...     print(error)
        Problem: init.theta must have all 3 weights (1x2 + 1x1), got 1
    """


class NoObjective(ProblemError, AttributeError):
    """What moves is a vector field that does not derive from an objective."""


class ComputationError(SymflowError):
    """The computation could not be done: why, and what to try.

    Example:
        >>> problem = sf.Problem(network=sf.FullyConnected((1, 1)), data={"x": [1], "y": [1]},
        ...                      init={"theta": ["1e400"]})
        >>> try:
        ...     sf.descend(problem, step_size="1/10", steps=5)
        ... except sf.ComputationError as error:
        ...     print(error)
        theta0 is beyond float64; run descent with digits (dps=...)
    """


class BudgetError(ComputationError):
    """An expansion, a dense matrix or a derivative is larger than the budget allows; the message states its size.

    Example:
        >>> objective = sf.network_objective(sf.FullyConnected((9, 9, 9)), [[1] * 9], [[1] * 9])
        >>> try:
        ...     sf.hessian(objective).explicit(budget=1000)
        ... except sf.BudgetError as error:
        ...     print(str(error).split(";")[0])
        expanding this hessian into scalars would take 905418 operations, over the budget of 1000
    """


class JaxUnavailable(ComputationError):
    """JAX cannot be used in this process: it does not start there, or would hang since the process was forked."""


class DescentDiverged(ComputationError):
    """Gradient descent diverges: an iterate is no longer finite, or grows without limit.

    Attributes:
        step: the k at which that was noticed.

    Example:
        >>> problem = sf.Problem(network=sf.FullyConnected((1, 1, 1)), data={"x": [1], "y": [1]},
        ...                      init={"theta": ["1/2", 1]})
        >>> try:
        ...     sf.descend(problem, step_size=10, steps=50)
        ... except sf.DescentDiverged as error:
        ...     print(error)
        gradient descent with step size 10 diverges (noticed at step 7); choose a smaller one
    """

    def __init__(self, message: str = "", *, step: int | None = None) -> None:
        super().__init__(message)
        self.step = step


class GateUndecided(ComputationError):
    """The sign of a pre-activation cannot be decided: the set of its possible values contains 0.

    Example:
        >>> network = sf.FullyConnected((1, 1, 1), alpha_bar=0)
        >>> objective = sf.network_objective(network, [1], [1])
        >>> try:
        ...     sf.evaluate_balls(sf.loss(objective), ["1/100", 1], radius="1/50")
        ... except sf.GateUndecided as error:
        ...     print(str(error).split(";")[0])
        the sign of a pre-activation must be known, and its ball contains 0
    """


class LimitUnknown(ComputationError):
    """It is not proved that the path converges: why, and what to try.

    Attributes:
        cause: one of the texts of `LimitCause`.

    Example:
        >>> problem = sf.Problem(network=sf.FullyConnected((1, 1, 1)), data={"x": [1], "y": [1]},
        ...                      init={"theta": ["1/2", 1]})
        >>> try:
        ...     sf.limit(problem, horizon=0)
        ... except sf.LimitUnknown as error:
        ...     print(error.cause)  # flow longer: sf.limit(problem, horizon=2) finds it
        far
    """

    def __init__(self, message: str = "", *, cause: LimitCause) -> None:
        super().__init__(message)
        self.cause = cause


class PartialPath(Protocol):
    """A path up to where it stopped: a `symflow.Trajectory`, which stands on a higher floor than errors."""

    @property
    def end(self) -> Fraction:
        """The time up to which it reaches."""

    @property
    def horizon(self) -> Any:
        """The same as an mpmath number."""

    @property
    def incomplete(self) -> str:
        """Why it ends there."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes it to a file."""


class FlowStopped(ComputationError):
    """The flow was not continued to the time asked for.

    Attributes:
        cause: one of the texts of `StopCause`.
        what: what happened, without the remedy; the message is both.
        time: how far it came (mpf).
        trajectory: the part already computed, a `Trajectory` that can be called and saved.

    Example:
        >>> import sympy
        >>> a = sympy.Symbol("a")
        >>> problem = sf.Problem(objective=sf.expression_objective(-a**4, [a]), theta0=[1])  # a' = 4 a^3
        >>> try:
        ...     sf.solve_flow(problem, horizon=1, dps=8)
        ... except sf.FlowStopped as error:
        ...     print(error.what, error.cause, sep="; ")  # a(t) = (1 - 8t)^(-1/2)
        the step size collapsed at t = 0.125; step-size
    """

    def __init__(
        self,
        what: str,
        remedy: str = "",
        *,
        cause: StopCause = "unknown",
        time: Any = None,
        trajectory: PartialPath | None = None,
    ) -> None:
        super().__init__(f"{what}; {remedy}" if remedy else what)
        self.what = " ".join(what.split())
        self.cause, self.time, self.trajectory = cause, time, trajectory

    def advise(self, remedy: str) -> None:
        """Replaces the remedy by one that the caller has: not every caller can set every limit."""
        self.args = (f"{self.what}; {remedy}",)


class FlowInterrupted(KeyboardInterrupt):
    """Ctrl-C while a flow was solved; a `KeyboardInterrupt`, so that `except Exception` does not swallow it.

    Attributes:
        time: how far the flow came (mpf).
        trajectory: the part already computed, a `Trajectory` that can be called and saved.

    Example:
        >>> def interrupt(done):
        ...     if done > 0.2:
        ...         raise KeyboardInterrupt  # as Ctrl-C does
        >>> problem = sf.Problem(network=sf.FullyConnected((1, 1, 1)), data={"x": [1], "y": [1]},
        ...                      init={"theta": ["1/2", 1]})
        >>> try:
        ...     sf.solve_flow(problem, horizon=4, dps=15, progress=interrupt)
        ... except sf.FlowInterrupted as error:
        ...     print(error, error.trajectory.end < 4)
        interrupted True
    """

    def __init__(
        self, message: str = "interrupted", *, time: Any = None, trajectory: PartialPath | None = None
    ) -> None:
        super().__init__(message)
        self.time, self.trajectory = time, trajectory


@contextmanager
def with_remedies(remedies: Mapping[str, str]) -> Iterator[None]:
    """In the block, flows that stop are raised with the remedies that this caller has.

    Args:
        remedies: the remedy for each cause; other causes keep their own.
    """
    try:
        yield
    except FlowStopped as error:
        if error.cause in remedies:
            error.advise(remedies[error.cause])
        raise


class KinkError(FlowStopped):
    """z(t) = 0: a kink where the flow is not a transversal crossing, or where it cannot be decided.

    Attributes:
        cause: one of the texts of `KinkCause`.
        time: t (mpf).
        sample: which sample, counted from 0.
        layer: which layer, counted from 1.
        unit: which unit, counted from 0.
        trajectory: the part up to that time.

    Example:
        >>> network = sf.FullyConnected((1, 1, 1), alpha_bar=0)
        >>> problem = sf.Problem(network=network, data={"x": [1], "y": [1]}, init={"theta": [0, 1]})
        >>> try:
        ...     sf.solve_flow(problem, horizon=1, dps=15)
        ... except sf.KinkError as error:
        ...     print(str(error).split(":")[0], error.cause, sep="; ")
        the flow stops at t = 0 on a kink (sample 0, layer 1, unit 0); repelling
    """

    def __init__(
        self,
        what: str,
        remedy: str = "",
        *,
        cause: KinkCause,
        time: Any,
        sample: int,
        layer: int,
        unit: int,
        trajectory: PartialPath | None = None,
    ) -> None:
        super().__init__(what, remedy, cause=cause, time=time, trajectory=trajectory)
        self.sample, self.layer, self.unit = sample, layer, unit


def printable(text: str) -> str:
    """The text with everything escaped that would act on a terminal or break a file instead of being shown.

    Those are control characters (escape sequences), formatting characters (text direction, zero width), lone
    surrogates and separators of lines other than the line feed.
    """
    if text.isprintable():
        return text
    return "".join(
        c.encode("unicode_escape").decode() if c != "\n" and unicodedata.category(c) in _UNSEEN else c for c in text
    )


def shorten(text: str, limit: int = BRIEF) -> str:
    """The text on one line, its middle left out where it is longer than ``limit`` characters."""
    keep = (limit - 3) // 2
    if len(text) > limit:
        text = f"{text[:keep]}...{text[-keep:]}"
    return " ".join(text.split())


def brief(value: object) -> str:
    """A received value as an error message shows it: one line, at most about 60 characters, never failing.

    Args:
        value: anything, however large or deeply nested.
    """
    if isinstance(value, str):  # cut before escaping: the text may be megabytes long
        cut = value if len(value) <= BRIEF else f"{value[: BRIEF // 2]}...{value[-BRIEF // 3 :]}"
        return shorten(repr(str(cut)), 2 * BRIEF)
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    if isinstance(value, int):
        bits = int(value).bit_length()
        return repr(int(value)) if bits < 200 else f"an integer of about {int(bits * 0.30103) + 1} digits"
    if isinstance(value, Decimal):
        return shorten(str(value))
    if isinstance(value, Fraction):
        if max(value.numerator.bit_length(), value.denominator.bit_length()) < 2000:
            return shorten(str(value))
        return f"a fraction close to {brief_float(value)}"
    if isinstance(value, dict):
        return f"a table of {len(value)} keys" if value else "an empty table"
    if isinstance(value, list | tuple):
        if len(value) <= 4 and all(isinstance(item, str | int | Decimal | float) for item in value):
            return shorten("[" + ", ".join(brief(item) for item in value) + "]")
        return f"a list of {len(value)} items"
    try:
        return shorten(repr(value))
    except Exception:  # a foreign object whose repr fails must not hide the error being reported
        return f"a {type(value).__name__}"


def did_you_mean(unknown: object, known: Iterable[str], where: str = "") -> str:
    """The nearest of the known names; all of them, and where they are known, if none is near."""
    from difflib import get_close_matches

    known = list(known)
    near = get_close_matches(str(unknown)[:100], known, n=1)
    return f"did you mean {near[0]}?" if near else f"known are {shorten(', '.join(known), 200)}{where}"


def brief_float(value: Fraction) -> str:
    """Three significant digits of a fraction of any size."""
    try:
        found = float(value)
    except OverflowError:
        return "1e308 or beyond"
    return f"{found:.3g}" if found or not value else "0 to within 1e-323"
