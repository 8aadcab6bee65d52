"""R18: the leading order of the deviation in the step size, for any method with a modified equation by trees."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from symflow.analysis.bounds.series import BoundSeries, not_applicable
from symflow.caching import kept
from symflow.derivatives.derived import Derived
from symflow.dynamics.method import Method
from symflow.dynamics.methods.gradient_descent import GRADIENT_DESCENT
from symflow.dynamics.modified.coefficients import start_terms
from symflow.dynamics.modified.differentials import Differentials, combined
from symflow.dynamics.modified.leading_order import leading_order_field
from symflow.errors import KinkError
from symflow.evaluate.object_arrays import evaluate_mpmath
from symflow.networks.objective import Objective
from symflow.numbers.rational import mpf
from symflow.numbers.types import Mpf
from symflow.paths.flow import solve_field
from symflow.paths.trajectory import Trajectory
from symflow.programs.program import Program

GUARD = 15
"""Digits of the norms beyond those of the flow."""


@kept
def _errors(
    objective: Objective, method: Method, order: int, theta0: tuple[Fraction, ...], horizon: Fraction, dps: int
) -> Trajectory:
    """theta and e along the flow, kept: neither depends on the step size."""
    last = start_terms(method, order + 1)[-1]
    found = Differentials(objective)
    outputs = {w.name: x for w, x in combined(objective, ((c, found(t)) for t, c in last.items())).items()}
    start = Derived("start of e", objective, Program(objective.program.inputs, outputs), "vector")
    errors = evaluate_mpmath(start, theta0, dps=dps + GUARD) if last else [Fraction(0)] * objective.parameter_count
    field = leading_order_field(objective, method, order)
    return solve_field(field, [*theta0, *errors], horizon=horizon, dps=dps, error="estimated")


def leading_order(
    objective: Objective,
    theta0: Sequence[Fraction],
    step_size: Fraction,
    times: Sequence[Fraction],
    until: Fraction | None,
    reason: str | None,
    dps: int = 20,
    horizon: Fraction | None = None,
    method: Method = GRADIENT_DESCENT,
    order: int = 0,
    transient: np.ndarray | None = None,
) -> BoundSeries:
    """R18: ||eta^(p+1) e(t) + transient|| with e' = F_0' e + F_(p+1), integrated along the flow with `dps` digits.

    For gradient descent against gradient flow e' = -H e - (1/2) H g, without a transient.

    Args:
        objective: f.
        theta0: where from.
        step_size: eta.
        times: where to evaluate.
        until: the expansion holds before this time only (the first kink crossing); None for everywhere.
        reason: why it does not hold later.
        dps: digits.
        horizon: integrate at least so far, where nothing ends it: one solution then serves several step sizes.
        method: of descent.
        order: p, of the modified equation that descent is compared with.
        transient: how far the iterates are from the slow manifold, shape (S, P), mpf; None without a velocity.

    Raises:
        ProblemError: a method that has no modified equation by trees.
    """
    import mpmath

    inside = [t for t in times if until is None or t < until]
    if len(inside) < 2:
        return not_applicable("R18", "leading order", len(times), reason or "no smooth time")
    count = objective.parameter_count
    end = inside[-1] if until is not None or horizon is None else horizon
    try:
        trajectory = _errors(objective, method, order, tuple(theta0), end, dps)
    except KinkError as stopped:  # the flow of order 0 meets a kink where that of a higher order does not
        why = f"the flow of order 0 cannot be continued: {stopped}"
        return not_applicable("R18", "leading order", len(times), why)
    values: list[Mpf] = []
    with mpmath.workdps(dps + GUARD):
        scale = mpf(step_size) ** (order + 1)
        for i, t in enumerate(inside):
            e = trajectory(min(t, trajectory.end))[count:] * scale
            gone = e if transient is None else e + transient[i]
            values.append(mpmath.sqrt(mpmath.fsum(v * v for v in gone)))
    values += [None] * (len(times) - len(inside))
    return BoundSeries("R18", "leading order", "estimated", tuple(values), reason if until is not None else None)
