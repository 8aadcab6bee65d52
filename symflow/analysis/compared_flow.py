"""The flow that a run of descent is compared with: a method's own flow of order 0, or its modified equation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

from symflow.analysis.given_runs import known_flow, why_not_descent
from symflow.dynamics.method import Method
from symflow.dynamics.methods.gradient_descent import GradientDescent
from symflow.dynamics.modified.coefficients import terms
from symflow.dynamics.modified.equation import ModifiedEquation, modified_equation
from symflow.errors import ProblemError, SymflowError
from symflow.evaluate.object_arrays import evaluate_mpmath
from symflow.networks.objective import Objective
from symflow.numbers.arguments import whole
from symflow.paths.float64 import solve_flow_float64
from symflow.paths.float64.methods import EVENT_CORRECTED
from symflow.paths.flow import solve_field, solve_flow
from symflow.paths.scale import pre_activations
from symflow.paths.trajectory import Trajectory
from symflow.problem import Problem
from symflow.progress import Reporter

RTOL, RTOL_KINKS = 1e-10, 4e-10
"""Relative tolerances of a step in float64, of a method of order 8 and of one of order 4 through kinks."""
GUARD = 25
"""Digits beyond those of the flow with which its start is evaluated."""


@dataclass(frozen=True, eq=False)
class ComparedFlow:
    """theta' = sum_{i <= order} eta^i F_i(theta) from the method's slow manifold.

    Attributes:
        problem: f and theta_0 of descent.
        method: of descent.
        step_size: eta.
        order: the highest power of eta.
    """

    problem: Problem
    method: Method
    step_size: Fraction
    order: int

    @cached_property
    def gradient_flow(self) -> Problem | None:
        """The problem whose gradient flow it is; None where it is no gradient flow, or not known as one."""
        return order_zero(self.problem, self.method) if self.order == 0 and self.method.speed is not None else None

    @property
    def plain_descent(self) -> Problem | None:
        """The problem on which the method is plain gradient descent, compared with gradient flow; None where it is not.

        With weight decay it is the problem of the objective with the decay.
        """
        plain = isinstance(self.method, GradientDescent) and self.method.batches is None
        return self.gradient_flow if plain else None

    @cached_property
    def equation(self) -> ModifiedEquation:
        """The modified equation."""
        return modified_equation(self.problem.objective, self.order, self.method)

    @property
    def called(self) -> str:
        """In words."""
        if self.gradient_flow is None:
            return f"the modified equation of {self.method.called} to order {self.order}"
        speed, decay = self.method.speed, self.method.flow_decay
        if speed == 1 and not decay:
            return "gradient flow"
        rate = "" if speed == 1 else f"{speed} "
        shrinking = f" - {'' if decay == 1 else f'{decay} '}theta" if decay else ""
        return f"theta' = -{rate}grad f(theta){shrinking}, {self.method.called} to order 0"

    def solve(self, horizon: Fraction, dps: int, report: Reporter) -> Trajectory:
        """The flow to `dps` digits."""
        if self.gradient_flow is not None:
            return solve_flow(self.gradient_flow, horizon=horizon, dps=dps, progress=report)
        return solve_field(
            self.equation.field(self.step_size), list(self.start(dps)), horizon=horizon, dps=dps, progress=report
        )

    def solve_float64(self, times: Sequence[Fraction], report: Reporter) -> Trajectory:
        """The flow in float64, kinks located, with an estimated error at these times.

        Raises:
            ProblemError: it is no gradient flow.
        """
        flowing = self.gradient_flow
        if flowing is None:
            raise ProblemError(f"a comparison in float64 needs a gradient flow, got {self.called}; compare with digits")
        solver, rtol = (EVENT_CORRECTED, RTOL_KINKS) if flowing.objective.gates else ("dopri8", RTOL)
        return solve_flow_float64(flowing, times=times, solver=solver, rtol=rtol, atol=rtol / 100, progress=report)

    def start(self, dps: int) -> np.ndarray:
        """Where the flow starts: theta_0, or the point of the slow manifold that descent from rest approaches.

        It is evaluated with some digits more than the flow has, and is then the exact start of the flow.

        Raises:
            ProblemError: the start is not known to the order of the equation.
        """
        if self.order == 0 or not self.method.carries:
            return np.array(self.problem.theta0, dtype=object)
        found = evaluate_mpmath(self.equation.start(self.step_size), self.problem.theta0, dps=dps + GUARD)
        return np.asarray(found)

    def given(self, flow: Trajectory, horizon: Fraction, dps: int | None) -> Trajectory:
        """A flow that the caller has.

        Raises:
            ProblemError: it is not this one.
        """
        if self.gradient_flow is None:
            raise ProblemError(
                f"flow can be given where descent is compared with a gradient flow, got one for {self.called}; leave "
                "it out"
            )
        return known_flow(flow, self.gradient_flow, horizon, dps)


def compared_flow(problem: Problem, method: Method, step_size: Fraction, order: int | None) -> ComparedFlow:
    """The flow of this order, 0 if left out.

    Raises:
        ProblemError: the method has no modified equation of this order.
    """
    found = ComparedFlow(problem, method, step_size, 0 if order is None else whole(order, "order", 0))
    if found.gradient_flow is None:
        _ = found.equation  # refused before anything is computed
    return found


def order_zero(problem: Problem, method: Method) -> Problem:
    """The problem whose gradient flow is the method's flow of order 0, theta' = -c grad f - d theta.

    Raises:
        ProblemError: that flow is not a gradient flow.
    """
    if method.speed is None:
        raise ProblemError(f"the flow of {method.name} to order 0 is not a gradient flow; compare another method")
    if method.flow_rate == 1:
        return problem
    objective = problem.objective.scaled(method.speed).decayed(method.flow_decay)
    return Problem(objective=objective, theta0=problem.theta0, dps=problem.dps)


def no_bound(compared: ComparedFlow, run: Trajectory, user_run: bool) -> str | None:
    """Why bounds on gradient descent against gradient flow do not apply; None where they do."""
    if compared.order:
        return f"the bound is one on the distance from gradient flow, and the run is compared with {compared.called}"
    flowing = compared.plain_descent or compared.problem
    return why_not_descent(flowing, run, compared.step_size, user_run)


def no_leading_order(compared: ComparedFlow, run: Trajectory, user_run: bool, in_float64: bool) -> str | None:
    """Why the leading order is not known; None where it is."""
    method = run.method
    if in_float64:
        return "the leading order is integrated with digits, got a flow in float64; compare with digits (dps)"
    if method.batches is not None:
        return f"the leading order is one of full-batch descent, and the run is one of {method.called}"
    if isinstance(method, GradientDescent):
        return why_not_descent(compared.plain_descent or compared.problem, run, compared.step_size, user_run)
    problem = compared.problem
    if compared.order and _on_a_kink(problem.compact, problem.theta0):
        return "descent starts on a kink, and the flow elsewhere; the leading order needs one smooth region"
    if any(name not in run.steps.carried for name in method.carries):
        return f"the given run of {method.called} has no {method.carries[0]}"
    try:
        terms(method, compared.order + 1)
    except SymflowError as unknown:
        return str(unknown)
    return None


def _on_a_kink(objective: Objective, theta0: Sequence[Fraction]) -> bool:
    """Whether a pre-activation is 0 at theta_0, and not at all weights, as those of a zero sample are."""
    elsewhere = [v + Fraction(1, 7 + i) for i, v in enumerate(theta0)]
    pairs = zip(pre_activations(objective, theta0), pre_activations(objective, elsewhere), strict=True)
    return any(((z == 0) & (other != 0)).any() for z, other in pairs)
