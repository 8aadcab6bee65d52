"""Self-checks of a flow: identities that every gradient flow obeys, and closed forms where one exists.

Each gives the number of digits to which it holds; none of them uses the integrator's own error estimate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mpmath

from symflow.analysis.arguments import as_flow_of
from symflow.networks.losses import SQUARE
from symflow.networks.network import FullyConnected
from symflow.numbers.rational import mpf
from symflow.numbers.types import Mpf
from symflow.paths.identities import balancedness_drift, energy_defect
from symflow.paths.trajectory import Trajectory
from symflow.problem import Problem
from symflow.problem.arguments import as_problem
from symflow.theory.c01_one_layer import weights
from symflow.theory.c02_two_scalars import two_scalars
from symflow.theory.functions import MPMATH


@dataclass(frozen=True)
class Check:
    """left = right, to how many digits: one identity along a flow.

    Attributes:
        name: what was compared.
        result: its result id, such as "R10".
        digits: -log10 of the difference of both sides, relative to the larger of 1 and their size (float64).

    Example:
        >>> problem = sf.Problem(network=sf.FullyConnected((1, 1, 1)), data={"x": [1], "y": [1]},
        ...                      init={"theta": ["1/2", 1]})
        >>> check = sf.check_flow(problem, sf.solve_flow(problem, horizon=2, dps=20))[1]
        >>> check.result, check.digits >= 20
        ('R10', True)
    """

    name: str
    result: str
    digits: float


def check_flow(problem: Problem, trajectory: Trajectory) -> list[Check]:
    """f(0) - f(T) = int_0^T ||grad f||^2 dt and its kind: checks a flow against identities that every flow obeys.

    They are the energy identity (R1), the conservation of D_j = W_{j+1}^T W_{j+1} - W_j W_j^T, of its diagonal for
    nonlinear networks (R10), and, where they apply, the closed forms: the matrix exponential for one linear layer and
    the solution for two scalar layers, with the square loss. None of them uses the integrator's error estimate.

    Args:
        problem: what was solved.
        trajectory: its flow, of `solve_flow`.

    Returns:
        A list of `Check` records, one per identity, with the digits (float64) to which both sides agree.

    Raises:
        ProblemError: it is the flow of another problem, or was computed in float64.

    Source: R1: classical; R10: Arora, Cohen & Hazan 2018, Du, Hu & Lee 2018; closed forms: classical (one layer),
    symflow (two scalar layers).

    Example:
        >>> problem = sf.Problem(network=sf.FullyConnected((1, 1, 1)), data={"x": [1], "y": [1]},
        ...                      init={"theta": ["1/2", 1]})
        >>> flow = sf.solve_flow(problem, horizon=2, dps=20)
        >>> [(check.result, check.name, check.digits >= 20) for check in sf.check_flow(problem, flow)[:2]]
        [('R1', 'energy identity', True), ('R10', 'balancedness D_j', True)]
    """
    problem = as_problem(problem, "check_flow")
    if isinstance(trajectory, Trajectory):
        problem = problem.for_digits(trajectory.digits)
    trajectory = as_flow_of(problem, trajectory)
    with mpmath.workdps(trajectory.digits + 20):
        checks = [_energy(trajectory)]
        checks += _balancedness(trajectory)
        checks += _closed_forms(problem, trajectory)
    return checks


def _digits(difference: Mpf, size: Mpf, limit: int) -> float:
    """-log10 of a difference relative to max(1, size), at most what the working precision can tell."""
    relative = abs(difference) / max(mpmath.mpf(1), abs(size))
    return float(limit) if relative == 0 else min(float(limit), float(-mpmath.log10(relative)))


def _energy(trajectory: Trajectory) -> Check:
    return Check("energy identity", "R1", _digits(energy_defect(trajectory), 1, trajectory.digits + 15))


def _balancedness(trajectory: Trajectory) -> list[Check]:
    """R10: D_j for linear networks, its diagonal (per unit or channel) for the others, is the same at both ends."""
    network, drift = trajectory.objective.network, balancedness_drift(trajectory)
    if network is None or drift is None:
        return []
    name = "balancedness D_j" if network.linear else "diagonal of balancedness D_j"
    return [Check(name, "R10", _digits(drift, 1, trajectory.digits + 15))]


def _closed_forms(problem: Problem, trajectory: Trajectory) -> list[Check]:
    """The exact solutions C1, C2 that apply to this problem."""
    network = problem.network
    if not isinstance(network, FullyConnected) or not network.linear or network.end_to_end_scale != 1:
        return []
    if problem.objective.sample_loss != SQUARE:
        return []
    limit = trajectory.digits + 15
    time = trajectory.horizon
    state = trajectory.at_end()
    if network.depth == 1:
        exact = single_layer(problem, time)
        difference = max(abs(a - b) for a, b in zip(state, exact, strict=True))
        return [Check("matrix exponential", "closed form, n = 1", _digits(difference, max(map(abs, exact)), limit))]
    if network.widths == (1, 1, 1):
        u = state[0] * state[1]
        exact_u = _scalar_depth_two(problem, time)
        if exact_u is not None:
            return [Check("scalar depth 2", "closed form, d = 1, n = 2", _digits(u - exact_u, exact_u, limit))]
    return []


def moments(problem: Problem) -> tuple[Mpf, Mpf]:
    """Sigma_xx and Lambda_yx as mpmath matrices."""

    def matrix(rows: Any) -> Mpf:
        return mpmath.matrix([[mpf(q) for q in row] for row in rows])

    x, y = matrix(problem.x), matrix(problem.y)
    return x.T * x / x.rows, y.T * x / x.rows


def single_layer(problem: Problem, time: Mpf) -> list[Mpf]:
    """W(t) = W_* + (W(0) - W_*) exp(-Sigma t); in moment form without inverse: through the augmented exponential."""
    sigma, target = moments(problem)
    rows, columns = target.rows, target.cols
    w = mpmath.matrix(rows, columns)
    for i, q in enumerate(problem.theta0):
        w[i // columns, i % columns] = mpf(q)
    # [W, I] moves by the generator [[-Sigma, 0], [Lambda, 0]]: W' = -W Sigma + Lambda.
    size = columns + rows
    generator = mpmath.zeros(size, size)
    generator[:columns, :columns] = -sigma
    generator[columns:, :columns] = target
    flow = mpmath.expm(generator * time, method="taylor")
    # the corner is Lambda times the integral
    result = weights(w, 1, flow[:columns, :columns], flow[columns:, :columns])
    return [result[i, j] for i in range(rows) for j in range(columns)]


def _scalar_depth_two(problem: Problem, time: Mpf) -> Mpf | None:
    """u = w_1 w_2 of f = (sigma/2)(u - lambda)^2: time runs sigma times as fast."""
    sigma, target = (m[0, 0] for m in moments(problem))
    if sigma == 0:
        return None
    w1, w2 = (mpf(q) for q in problem.theta0)
    goal, t = target / sigma, sigma * time
    u0, c = w1 * w2, abs(w1**2 - w2**2)
    return two_scalars(u0, c, goal, t, MPMATH)
