"""R18: the leading order of the deviation in the step size."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from symflow.analysis.bounds.series import BoundSeries, not_applicable
from symflow.symbolic.field import leading_order_field
from symflow.symbolic.objective import Objective
from symflow.trajectory.flow import solve_field


def leading_order(
    objective: Objective,
    theta0: Sequence[Fraction],
    step_size: Fraction,
    times: Sequence[Fraction],
    until: Fraction | None,
    reason: str | None,
    dps: int = 20,
) -> BoundSeries:
    """R18: eta ||e(t)|| with e' = -H e - (1/2) H g, integrated along the flow with `dps` digits.

    Args:
        objective: what flows.
        theta0: where from.
        step_size: eta.
        times: where to evaluate.
        until: the expansion holds before this time only (the first kink crossing); None for everywhere.
        reason: why it does not hold later.
        dps: digits.
    """
    import mpmath

    inside = [t for t in times if until is None or t < until]
    if len(inside) < 2:
        return not_applicable("R18", "leading order", len(times), reason or "no smooth time")
    count = objective.parameter_count
    state = [*theta0, *([Fraction(0)] * count)]
    trajectory = solve_field(leading_order_field(objective), state, horizon=inside[-1], dps=dps)
    eta = mpmath.mpf(step_size.numerator) / step_size.denominator
    values: list[Any] = []
    for t in inside:
        e = trajectory(t)[count:]
        values.append(eta * mpmath.sqrt(mpmath.fsum(v * v for v in e)))
    values += [None] * (len(times) - len(inside))
    return BoundSeries("R18", "leading order", "estimated", tuple(values), reason if until is not None else None)
