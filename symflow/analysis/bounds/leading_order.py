"""R18: the leading order of the deviation in the step size."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from symflow.analysis.bounds.series import BoundSeries, not_applicable
from symflow.caching import kept
from symflow.dynamics.vector_field import leading_order_field
from symflow.networks.objective import Objective
from symflow.numbers.types import Mpf
from symflow.paths.flow import solve_field
from symflow.paths.trajectory import Trajectory

GUARD = 15
"""Digits of the norms beyond those of the flow."""


@kept
def _errors(objective: Objective, theta0: tuple[Fraction, ...], horizon: Fraction, dps: int) -> Trajectory:
    """theta and e along the flow, kept: neither depends on the step size."""
    state = [*theta0, *([Fraction(0)] * objective.parameter_count)]
    return solve_field(leading_order_field(objective), state, horizon=horizon, dps=dps, error="estimated")


def leading_order(
    objective: Objective,
    theta0: Sequence[Fraction],
    step_size: Fraction,
    times: Sequence[Fraction],
    until: Fraction | None,
    reason: str | None,
    dps: int = 20,
    horizon: Fraction | None = None,
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
        horizon: integrate at least so far, where nothing ends it: one solution then serves several step sizes.
    """
    import mpmath

    inside = [t for t in times if until is None or t < until]
    if len(inside) < 2:
        return not_applicable("R18", "leading order", len(times), reason or "no smooth time")
    count = objective.parameter_count
    end = inside[-1] if until is not None or horizon is None else horizon
    trajectory = _errors(objective, tuple(theta0), end, dps)
    values: list[Mpf] = []
    with mpmath.workdps(dps + GUARD):
        eta = mpmath.mpf(step_size.numerator) / step_size.denominator
        for t in inside:
            e = trajectory(min(t, trajectory.end))[count:]
            values.append(eta * mpmath.sqrt(mpmath.fsum(v * v for v in e)))
    values += [None] * (len(times) - len(inside))
    return BoundSeries("R18", "leading order", "estimated", tuple(values), reason if until is not None else None)
