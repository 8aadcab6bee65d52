"""The one record of a path, flow or descent: callable at any time, with its error, events and statistics."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from symflow.displays import Listed, displayed, listing, show
from symflow.dynamics.method import Method
from symflow.dynamics.vector_field import VectorField
from symflow.errors import ProblemError, brief
from symflow.networks.objective import Objective
from symflow.numbers.decimal import counted
from symflow.numbers.rational import rational
from symflow.numbers.types import Mpf, Number
from symflow.numbers.vectors import shown_to
from symflow.paths.aliases import OldNames
from symflow.paths.certified.record import FlowProof
from symflow.paths.event import Event
from symflow.paths.iterates import Iterates
from symflow.paths.path_error import PathError
from symflow.paths.stop_conditions import Stopped
from symflow.paths.times import linear_times, log_times, read_times

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FLOAT64_DIGITS = 15
"""Decimal digits of a float64 that are always right."""


class Dense(Protocol):
    """The dense output of a path: Taylor steps in fixed point (`TaylorSteps`), Runge-Kutta steps in float64
    (`RungeKuttaSteps`), or the steps of descent (`Iterates`)."""

    @property
    def end(self) -> Fraction:
        """The time up to which it reaches, exactly."""

    @property
    def horizon(self) -> Mpf:
        """The same as an mpmath number."""

    @property
    def stored_digits(self) -> int:
        """Decimal digits that states are stored with."""

    def __call__(self, time: Fraction) -> np.ndarray:
        """The state at a time, shape (P,).

        Raises:
            ProblemError: the time lies outside [0, end].
        """

    def at_end(self) -> np.ndarray:
        """The state at the end, shape (P,)."""

    def rounded(self, times: Sequence[Fraction]) -> np.ndarray:
        """The states at S times in float64, shape (S, P)."""


class Stats(Protocol):
    """How a path was computed: `FlowStats` (Taylor method), `Float64Stats` (float64), or `DescentStats`."""

    @property
    def steps(self) -> int:
        """The steps that were made."""

    @property
    def seconds(self) -> float:
        """Wall time of the run."""

    @property
    def check_seconds(self) -> float:
        """Wall time of the second run; 0 without one."""

    @property
    def method(self) -> str:
        """The method and its steps in words."""

    @property
    def remark(self) -> str:
        """What a reader must know of kinks, in a few words; empty where there is nothing."""

    def facts(self) -> dict[str, Any]:
        """The numbers a report shows besides times."""


class EnclosedSolutions(Protocol):
    """Where all solutions are whose starts lie in a box."""

    def __call__(self, at: Fraction) -> tuple[np.ndarray, np.ndarray]:
        """Midpoints and radii (mpf, shape (P,)) of a box that contains all of them at a time."""


@displayed
@dataclass(frozen=True)
class Trajectory(OldNames):
    """theta(t) on [0, horizon], a path: of `solve_flow` (any number of digits), `solve_flow_float64`, or `descend`.

    States are object arrays of mpf, or float64 arrays, of shape (P,); times and errors are mpmath numbers in both.
    Descent reaches theta_k at the time k eta, and is piecewise linear between (as in R3); its steps are in `indices`,
    `iterates` and `velocity`.

    Attributes:
        moves: what flows or is minimized: the objective f, or a vector field that has none.
        dense: the state at any time: Taylor steps, Runge-Kutta steps in float64, or descent's iterates.
        dps: the digits that were asked for; None in float64.
        events: gate changes in order of time; empty in float64, where they are not located (`stats.note` says what that
            means).
        error: its largest absolute error, `error.value` (mpf), and how that is known, `error.how`: estimated from a
            second run at other order and precision (in float64, at other tolerances); None if no estimate was made.
        stats: how it was computed, a `FlowStats`, a `Float64Stats` or a `DescentStats`.
        conditions: the stop conditions that were asked for, in words.
        stopped: which of them ended it and when; None where none was met.
        proof: what its error is proved by, where it was to be certified; it may end early.
        incomplete: why it ends before the horizon asked for, where no condition did that; empty where it does not.
        tube: for a box of starts, where all solutions from it are at any time: `tube(t)`; None elsewhere.

    Example:
        >>> problem = sf.Problem(network=sf.FullyConnected((1, 1, 1)), data={"x": [1], "y": [1]},
        ...                      init={"theta": ["1/2", 1]})
        >>> flow = sf.solve_flow(problem, horizon=4, dps=30)
        >>> flow.error_estimate < 1e-30, flow.end, flow.events
        (True, Fraction(4, 1), ())
        >>> flow.numpy([0, 1, 4]).round(6)
        array([[0.5     , 1.      ],
               [0.777872, 1.164081],
               [0.832371, 1.201183]])
        >>> a, b = flow("1/3")
        >>> float(b * b - a * a)  # conserved
        0.75
    """

    moves: Objective | VectorField
    dense: Dense
    dps: int | None
    events: tuple[Event, ...]
    error: PathError | None
    stats: Stats
    conditions: tuple[str, ...] = ()
    stopped: Stopped | None = None
    incomplete: str = ""
    proof: FlowProof | None = None
    tube: EnclosedSolutions | None = None

    def __post_init__(self) -> None:
        listing(self, "events")

    @property
    def objective(self) -> Objective:
        """f, what flows or is minimized.

        Raises:
            NoObjective: it solves a vector field that does not derive from an objective.
        """
        return self.moves if isinstance(self.moves, Objective) else self.moves.objective

    @property
    def horizon(self) -> Mpf:
        """The time up to which the trajectory is known, an mpmath number."""
        return self.dense.horizon

    @property
    def end(self) -> Fraction:
        """The horizon as an exact rational."""
        return self.dense.end

    @property
    def digits(self) -> int:
        """Digits worth showing: `dps`, or 15 in float64; `error` says how many are right."""
        return FLOAT64_DIGITS if self.dps is None else self.dps

    # Descent ----------------------------------------------------------------------------------------------------------

    @property
    def steps(self) -> Iterates:
        """The steps of descent.

        Raises:
            AttributeError: the path is a flow, which has no steps of descent.
        """
        if not isinstance(self.dense, Iterates):
            raise AttributeError("a flow has no iterates; sf.descend gives a path that has")
        return self.dense

    @property
    def method(self) -> Method:
        """The method of descent."""
        return self.steps.method

    @property
    def step_size(self) -> Fraction:
        """eta, an exact `Fraction`."""
        return self.steps.step_size

    @property
    def indices(self) -> tuple[int, ...]:
        """The steps k that are kept, increasing, starting with 0."""
        return Listed(self.steps.indices)

    @property
    def times(self) -> tuple[Fraction, ...]:
        """k eta for the kept steps, exactly."""
        return Listed(self.steps.times)

    @property
    def iterates(self) -> np.ndarray:
        """theta_k for the kept steps, shape (K, P): float64, or an object array of mpf or `Fraction`."""
        return shown_to(self.steps.iterates, self.digits)

    @property
    def velocity(self) -> np.ndarray:
        """v_k for the kept steps, shape (K, P): float64, or an object array of mpf or `Fraction`.

        Raises:
            AttributeError: the method carries no velocity.
        """
        if "velocity" not in self.steps.carried:
            raise AttributeError(f"{self.method.name} has no velocity")
        return shown_to(self.steps.carried["velocity"], self.digits)

    # Any path ---------------------------------------------------------------------------------------------------------

    def __call__(self, time: object) -> np.ndarray:
        """theta(t), shape (P,), in mpf or float64; at S times one row each, shape (S, P).

        A time beyond the horizon by no more than the rounding of a float is accepted, so that every number that stands
        for the horizon can be used.

        Args:
            time: t in [0, horizon] (text, a rational or mpmath number, or a float, which means its shortest decimal);
                or several, in a list, a NumPy array or a pandas column.

        Raises:
            ProblemError: not a number or numbers, or one that lies outside [0, horizon].
        """
        if isinstance(time, str) or not isinstance(time, Iterable) or getattr(time, "ndim", 1) == 0:
            return shown_to(self.dense(rational(time, "time")), self.digits)
        return shown_to(np.array([self.dense(t) for t in read_times(time)]), self.digits)

    def enclosure(self, time: Number) -> tuple[np.ndarray, np.ndarray]:
        """Midpoints and radii (mpf, shape (P,)) of a box that contains the state at a time, proved.

        For a box of starts it contains the solutions from all of them.

        Raises:
            ProblemError: the error of the path is not certified, or the time lies outside [0, horizon].
        """
        if self.tube is not None:
            return self.tube(rational(time, "time"))
        if self.error is None or self.error.how != "certified":
            raise ProblemError('an enclosure needs a certified error, got none; solve with error="certified"')
        if rational(time, "time") > max(self.end, rational(self.horizon, "horizon")):  # it can be read a little later
            raise outside(rational(time, "time"), self.end)
        state = self(time)
        return state, np.full(len(state), self.error.value, dtype=object)

    def at_end(self) -> np.ndarray:
        """The state at the horizon."""
        return shown_to(self.dense.at_end(), self.digits)

    def weights(self, time: Number) -> list[np.ndarray]:
        """The parameter arrays W_1, b_1, W_2, ... (those that exist; of a field its state arrays) at a time."""
        return self.weights_of(self(time))

    def weights_of(self, state: np.ndarray) -> list[np.ndarray]:
        """Cuts a state into the parameter arrays."""
        return [state[where].reshape(shape) for where, shape in self.moves.slices()]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the trajectory with all its digits; `symflow.load_trajectory` reads it back."""
        show(self, "save", path)

    def end_to_end(self, time: Number) -> np.ndarray:
        """W_{n:1} = W_n ... W_1 at a time, shape (d_n, d_0).

        Raises:
            ProblemError: the objective is not the training loss of a network of matrices alone.
        """
        if isinstance(self.moves, VectorField) or self.moves.network is None:
            reason = getattr(self.moves, "no_network", "this is the path of a vector field")
            raise ProblemError(f"only a network of matrices has an end-to-end matrix: {reason}; see weights")
        import mpmath

        with mpmath.workdps(self.digits + 15):
            product, *rest = self.weights(time)
            for w in rest:
                product = w.dot(product)
        return product

    def grid(
        self, count: int, spacing: Literal["linear", "log"] = "linear", start: Number | None = None
    ) -> tuple[Fraction, ...]:
        """Times from `start` to the horizon, exact rationals to call the trajectory with.

        Args:
            count: how many.
            spacing: "linear" (start left out: 0), or "log" (start needed); see `linear_times` and `log_times`.
            start: the first of them.

        Returns:
            `count` `Fraction`s, increasing.

        Raises:
            ProblemError: another spacing, a logarithmic grid without a start, or an invalid grid.
        """
        if spacing not in ("linear", "log"):
            raise ProblemError(f'spacing must be "linear" or "log", got {brief(spacing)}')
        if spacing == "log" and start is None:
            raise ProblemError("a logarithmic grid needs a positive start, got none; give start=...")
        return linear_times(start or 0, self.end, count) if spacing == "linear" else log_times(start, self.end, count)

    def numpy(self, times: Number | Iterable[Number]) -> np.ndarray:
        """The states at some times in float64, shape (S, P); at one time, as text or a number, shape (P,).

        Raises:
            ProblemError: not numbers, or a time that lies outside [0, horizon].
        """
        if isinstance(times, str) or not isinstance(times, Iterable) or getattr(times, "ndim", 1) == 0:
            return self.dense.rounded([rational(times, "time")])[0]
        return self.dense.rounded(read_times(times))

    def plot(self, ax: Axes | None = None, legend: bool = True) -> Axes:
        """Plots the parameters (the Frobenius norm of each layer where they are many) against time, with the events."""
        return show(self, "plot", ax, legend)

    def __repr__(self) -> str:
        import mpmath

        error = "no error estimate"
        if self.error is not None:  # may lie far below the smallest float
            error = f"{self.error.how} error {mpmath.nstr(self.error.value, 2, min_fixed=1, max_fixed=1)}"
        if self.stopped is not None:
            ended = f", stopped where the {self.stopped.condition}"
        else:
            ended = f", not met: {'; '.join(self.conditions)}" if self.conditions else ""
        if self.incomplete:
            ended += f", incomplete: {self.incomplete}"
        numbers = "float64" if self.dps is None else f"{self.dps} digits"
        if isinstance(self.dense, Iterates):
            numbers = "exact rationals" if self.dense.exact else numbers
            path = f"<{self.stats.method} of size {self.dense.step_size}, {numbers}"
            return f"{path}, {error}, {len(self.dense.indices)} kept>"
        events = self.stats.remark or counted(len(self.events), "event")
        found = f"{error}, {events}, {counted(self.stats.steps, 'step')}{ended}"
        return f"<Trajectory to t={float(self.horizon):.6g}, {numbers}, {found}>"


def outside(time: Fraction, end: Fraction) -> ProblemError:
    """The error for a time outside [0, end], with as many digits as tell the two apart."""
    import mpmath

    for digits in (6, 17, 30, 60, 1000):
        with mpmath.workdps(digits + 10):
            numbers = [mpmath.nstr(mpmath.mpf(t.numerator) / t.denominator, digits) for t in (end, time)]
        shown = [number.removesuffix(".0").replace(".0e", "e") for number in numbers]
        if shown[0] != shown[1]:
            break
    return ProblemError(f"time must lie in [0, {shown[0]}], got {shown[1]}; solve to a later horizon")
