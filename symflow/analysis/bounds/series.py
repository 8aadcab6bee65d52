"""What a bound evaluates to along a run: values, or *not applicable* with the reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from mpmath import mp
from mpmath.libmp import from_float

from symflow.displays import displayed, listing
from symflow.numbers.types import Mpf

Status = Literal["certified on a box", "sampled", "estimated", "not applicable"]
Kind = Literal["bound", "leading order", "curvature"]


@displayed
@dataclass(frozen=True)
class NotApplicable:
    """Why, and from which sample on, a bound does not apply.

    Attributes:
        reason: which hypothesis fails, in one line.
        since: the position of the first sample without a value; 0 where it applies nowhere.

    Example:
        >>> problem = sf.Problem(network=sf.FullyConnected((1, 1)), data={"x": [1], "y": [1]}, init={"theta": [0]})
        >>> chosen = [bound for bound in sf.known_bounds() if bound.name == "R13"]
        >>> dev = sf.deviation(problem, step_size="1/10", horizon=1, dps=15, bounds=chosen)
        >>> dev.bounds["R13"].not_applicable.since
        0
        >>> print(dev.bounds["R13"].not_applicable.reason)
        not a convolutional network: a fully connected linear network without biases
    """

    reason: str
    since: int


@displayed
@dataclass(frozen=True)
class BoundSeries:
    """bound(t_k) at the S samples of a run: the values of a bound, or of the leading order.

    Attributes:
        name: of the bound, such as "R4".
        kind: "bound" (above the deviation), "leading order" (predicts it), "curvature" (below lambda_min of H).
        status: "certified on a box" (its hypotheses are enclosed on the whole tube, between the sample times as well),
            "sampled" (its quantities were sampled at the times and near them), "estimated", "not applicable".
        values: one mpf per sample; None where the hypotheses fail.
        reason: why values are missing, wholly or from some time on; None where all are there.
        quantities: LaTeX symbol -> (meaning, value as text) of every quantity in the bound.
        radii: of a certified bound, the radius of the tube in the interval that ends at each time (float64).

    Example:
        >>> problem = sf.Problem(network=sf.FullyConnected((1, 1)), data={"x": [1], "y": [1]}, init={"theta": [0]})
        >>> series = sf.deviation(problem, step_size="1/10", horizon=1, dps=15).bounds["R18"]
        >>> series.kind, series.status, series.reason
        ('leading order', 'estimated', None)
        >>> round(series.values[-1], 6)
        0.018394
    """

    name: str
    kind: Kind
    status: Status
    values: tuple[Mpf, ...]
    reason: str | None
    quantities: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    radii: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        listing(self, "values")

    @property
    def not_applicable(self) -> NotApplicable | None:
        """Why and from where on the bound does not apply; None where it applies to the end."""
        since = next((i for i, v in enumerate(self.values) if v is None), None)
        return None if since is None else NotApplicable(self.reason or "a hypothesis fails", since)

    def __repr__(self) -> str:
        known = sum(v is not None for v in self.values)
        return f"<{self.name[:40]}: {self.kind}, {self.status}, values at {known} of {len(self.values)} samples>"


def not_applicable(name: str, kind: Kind, count: int, reason: str) -> BoundSeries:
    """A bound whose hypotheses do not hold."""
    return BoundSeries(name, kind, "not applicable", (None,) * count, reason)


def without_nan(series: BoundSeries) -> BoundSeries:
    """The series up to its first value that is not a number, such as infinity less infinity beyond float64."""
    since = next((i for i, v in enumerate(series.values) if v is not None and v != v), None)  # NaN differs from itself
    if since is None:
        return series
    reason = "what it is made of is beyond float64; take smaller data or weights, or a shorter horizon"
    values = (*series.values[:since], *[None] * (len(series.values) - since))
    status = series.status if since else "not applicable"
    return replace(series, status=status, values=values, reason=reason)


def exact_mpf(value: float) -> Mpf:
    """A float64 as an mpmath number, exactly, whatever the working precision is."""
    return mp.make_mpf(from_float(float(value)))


def padded(values: Sequence[float] | np.ndarray, count: int) -> tuple[Mpf, ...]:
    """float64 values as mpmath numbers, and None up to `count`."""
    numbers: list[Mpf] = [exact_mpf(v) for v in values]
    return tuple(numbers + [None] * (count - len(numbers)))
