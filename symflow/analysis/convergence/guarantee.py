"""Gradient descent on deep linear networks converges, and continues to (R16, `symflow.theory.r16_descent_converges`).

The step size and the number of steps come from T, M(T) and the integral of e^(M(T)-M(s)), by quadrature along the exact
solution of R15 or from its explicit time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from math import ceil
from typing import Literal, get_args

import mpmath
import numpy as np

from symflow.analysis.convergence.display import number, with_values
from symflow.analysis.convergence.exact import ExactSolution, exact_solution, hitting_angle, panels, time_to
from symflow.analysis.convergence.start import BalancedStart, checked_start
from symflow.analysis.convergence.time import GUARD, explicit_quantities, working_digits
from symflow.displays import as_formula
from symflow.errors import ComputationError, ProblemError, brief, brief_float
from symflow.numbers.arguments import positive
from symflow.numbers.decimal import rounded_down
from symflow.numbers.rational import mpf
from symflow.numbers.types import Mpf, Number
from symflow.theory import r16_descent_converges as r16
from symflow.theory.cells import fold
from symflow.theory.functions import MPMATH
from symflow.theory.r16_descent_converges import DESCENT_CONVERGES
from symflow.theory.result import Citation

Method = Literal["quadrature", "closed-form"]
DPS = 20
"""Digits of the pieces, of which those from the quadrature of M have `QUADRATURE`."""
QUADRATURE = 1e-8
"""Largest relative error of the quadratures."""
MARGIN = Fraction(1, 10**6)
"""How far, relatively, the step size stays below its supremum: far more than the error of the quadratures."""
MOST_DIGITS = 1000
"""Most digits of the growth of errors, and so about of the number of steps; no run makes as many."""
QUADRATURE_REMEDY = "give a larger accuracy, or a start that is closer to the target"
STEP_DIGITS = 6
"""Significant digits that the step size is rounded down to."""
NODES = 16
"""Gauss nodes of a panel."""
LEVELS = 5
"""Most quadratures, each with twice as many panels as the one before."""


@dataclass(frozen=True)
class Trapping:
    """E_{k+1} <= (1 - eta mu) E_k from the basin on: why descent remains converged. Numbers are mpf.

    Attributes:
        radius: r, an upper bound on how far descent still moves.
        pl_constant: mu, ||g||^2 >= 2 mu E.
        smoothness: L >= ||H||, the step size is at most 1/L.
        extra_steps: steps from the basin to the accuracy, an int.
    """

    radius: Mpf
    pl_constant: Mpf
    smoothness: Mpf
    extra_steps: int


@as_formula
@dataclass(frozen=True)
class DescentGuarantee:
    """E(theta_k) = f(theta_k) - f* <= accuracy after k* = `steps` steps of gradient descent with eta = `step_size`.

    Attributes:
        start: the numbers it depends on, a `BalancedStart`.
        accuracy: the value that E falls to, an exact `Fraction`.
        basin: E_B, the excess loss to which R4 is used, an exact `Fraction`; the accuracy itself unless given.
        method: how T and M were found: "quadrature" or "closed-form".
        step_size: eta, six significant digits below the supremum (and at most 1/L), an exact `Fraction`.
        steps: k*, an upper bound on the steps needed, an int.
        quantities: LaTeX symbol -> (meaning, value) of every constant.
        trapping: why it holds for all k >= k*; None where it is proved at k = k* only.
        reason: why there is no trapping; None where there is.
        error_estimate: largest relative error of T, M and the integral, estimated by finer panels (float64); None for
            "closed-form".

    Example:
        >>> start = {"depth": 2, "target_norm": 1, "w0": "1/2", "alignment": "1/2"}
        >>> guarantee = sf.descent_guarantee(**start, accuracy="1/100", method="closed-form")
        >>> guarantee.status, guarantee.steps, guarantee.trapping is not None
        ('proved', 89515, True)
    """

    start: BalancedStart
    accuracy: Fraction
    basin: Fraction
    method: Method
    step_size: Fraction
    steps: int
    quantities: Mapping[str, tuple[str, Mpf]]
    trapping: Trapping | None
    reason: str | None
    error_estimate: float | None

    @property
    def step_limit(self) -> Mpf:
        """Supremum of the step sizes that R4 allows (mpf)."""
        return self.quantities[r"\eta^*"][1]

    @property
    def radius(self) -> Mpf:
        """eps, the radius of the tube (mpf)."""
        return self.quantities[r"\varepsilon"][1]

    @property
    def flow_time(self) -> Mpf:
        """T, from which on the flow has E <= basin/4 (mpf)."""
        return self.quantities["T"][1]

    @property
    def growth(self) -> Mpf:
        """M(T), bound on the logarithm of the growth of errors (mpf)."""
        return self.quantities["M(T)"][1]

    @property
    def beta(self) -> Mpf:
        """Bound on ||H|| on the tube (mpf)."""
        return self.quantities[r"\beta"][1]

    @property
    def gamma(self) -> Mpf:
        """Bound on ||g|| on the tube (mpf)."""
        return self.quantities[r"\gamma"][1]

    @property
    def holds(self) -> str:
        """For which k the claim f(theta_k) - f* <= accuracy is made."""
        return "at k = k*" if self.trapping is None else "for all k >= k*"

    @property
    def status(self) -> str:
        """What the claim rests on."""
        if self.method == "closed-form":
            return "proved"
        return "proved, with T and M from quadratures whose error is estimated"

    @property
    def citation(self) -> Citation:
        """Where the result comes from."""
        return DESCENT_CONVERGES.citation

    def latex(self) -> str:
        """The constants with their values and the claim, for a display; numbers are rounded to six digits."""
        with mpmath.workdps(DPS):
            values = {"radius": self.radius, "gradient": self.gamma, "Hessian": self.beta}
            shown = (r"\bar s", r"\kappa", r"\bar G", "E(0)", "T", "M(T)", "I")
            given = [("E_B", mpf(self.basin)), *((symbol, self.quantities[symbol][1]) for symbol in shown)]
            steps, related = number(mpmath.mpf(self.steps), 9), "=" if self.method == "quadrature" else r"\geq"
            lines = [
                rf"I {related} \int_0^T e^{{M(T)-M(s)}}\,ds",
                rf"\eta = {number(mpf(self.step_size))} < \eta^* = {number(self.step_limit)}, \quad k^* = {steps}",
            ]
            which = "k = k^*"
            if self.trapping is not None:
                values |= {"steepness": self.trapping.pl_constant, "smoothness": self.trapping.smoothness}
                lines.append(r"E_{k+1} \leq (1 - \eta\mu) E_k, \quad \eta \leq 1/L")
                which = r"k \geq k^*"
            lines.append(rf"f(\theta_k) - f^* \leq {number(mpf(self.accuracy))} \quad \text{{for }} {which}")
            return with_values(DESCENT_CONVERGES, self.start.depth, values, given, lines)

    def __repr__(self) -> str:
        return (
            f"<DescentGuarantee (R16): f - f* <= {brief_float(self.accuracy)} {self.holds}, k* = {brief(self.steps)}, "
            f"eta = {brief_float(self.step_size)}, {self.method}>"
        )


def descent_guarantee(
    *,
    depth: int,
    target_norm: Number,
    w0: Number,
    alignment: Number,
    accuracy: Number,
    basin: Number | None = None,
    method: Method = "quadrature",
) -> DescentGuarantee:
    """f(theta_k) - f* <= accuracy for k = k* (or all k >= k*): step size eta and number of steps k* of descent.

    The setting is that of `convergence_time`; descent starts at theta(0), which is exactly balanced. The constants and
    the proof are in `symflow.theory.r16_descent_converges`. `balanced_start` computes the numbers from a problem:
    `descent_guarantee(**vars(balanced_start(problem)), accuracy="1e-3")`.

    Args:
        depth: n >= 2.
        target_norm: lambda = ||Lambda_yx|| > 0 (text, a rational or mpmath number, or a float, which means its shortest
            decimal; so are the next ones).
        w0: w(0) = ||W_{n:1}(0)|| > 0.
        alignment: nu(0) in (-1, 1), the cosine between W_{n:1}(0) and Lambda_yx.
        accuracy: the excess loss E = f - f* to reach, positive.
        basin: the excess loss to which the tube around the flow is used (below lambda^2/18); from there descent
            converges linearly, so that eta does not depend on the accuracy and k* grows like log(1/accuracy).
            lambda^2/200 is a good choice. If left out, the tube is used all the way, as in the paper.
        method: "quadrature" for T and M along the exact solution, or "closed-form" for proved formulas, with which k*
            is larger by powers of ten.

    Returns:
        A `DescentGuarantee`: `step_size` (exact), `steps`, every constant (mpf), and whether the claim holds at k* or
        for all k >= k*.

    Raises:
        ProblemError: a number out of range.
        ComputationError: a quadrature that does not reach its digits.

    Source: Elkabetz & Cohen 2021 (R16); constants, trapping and basin: symflow.

    Example:
        >>> start = {"depth": 2, "target_norm": 1, "w0": "1/2", "alignment": "1/2"}
        >>> found = sf.descent_guarantee(**start, accuracy="1/100")
        >>> found.steps, round(float(found.step_size), 5), found.holds
        (1152, 0.00245, 'for all k >= k*')
    """
    start, goal = checked_start(depth, target_norm, w0, alignment), positive(accuracy, "accuracy")
    if method not in get_args(Method):
        raise ProblemError(f'method must be "quadrature" or "closed-form", got {brief(method)}')
    within = goal if basin is None else positive(basin, "basin")
    largest = start.target_norm**2 / 18
    if basin is not None and within >= largest:
        raise ProblemError(
            f"basin must be below target_norm^2/18 = {brief_float(largest)}, got {brief_float(within)}; "
            "target_norm^2/200 is a fair choice"
        )
    with mpmath.workdps(working_digits(start, within / 4, DPS)):
        return _guarantee(start, goal, within, method)


def _guarantee(start: BalancedStart, goal: Fraction, basin: Fraction, method: Method) -> DescentGuarantee:
    n, solution, level = start.depth, exact_solution(start), mpf(basin)
    s_max = r16.largest_layer(n, solution.w0, solution.target_norm, MPMATH)
    kappa = r16.allowed_move(level, MPMATH)
    radius = r16.radius(n, s_max, kappa, MPMATH)
    reach = s_max + radius
    excess = solution.excess(solution.angle0)
    gradient = r16.largest_gradient(excess, kappa, MPMATH)
    error: float | None
    gamma, beta = r16.gamma(n, gradient, reach, MPMATH), r16.beta(n, gradient, reach)
    if method == "quadrature":
        time, growth, integral, error = _along_the_flow(solution, level / 4, radius)
    else:
        time, growth, integral, error = _in_closed_form(solution, level / 4, kappa, reach)
    _check_growth(growth, 'take method="quadrature"' if method == "closed-form" else QUADRATURE_REMEDY)
    limit = _largest_step(radius / (beta * gamma), r16.curvature(n, 2 * kappa, reach), integral)
    largest = limit * (1 - mpf(MARGIN))
    trapping, reason = None, None
    if basin < start.target_norm**2 / 18:
        r, mu, smoothness = trapping_constants(n, solution.target_norm, level, radius)
        eta = rounded_down(min(largest, 1 / smoothness), STEP_DIGITS)
        extra = ceil(mpmath.log(level / mpf(goal)) / -mpmath.log1p(-mpf(eta) * mu)) if goal < basin else 0
        trapping = Trapping(r, mu, smoothness, extra)
    else:
        eta, extra = rounded_down(largest, STEP_DIGITS), 0
        reason = f"the accuracy is not below target_norm^2/18 = {brief_float(start.target_norm**2 / 18)}; give a basin"
    steps = (ceil(time / mpf(eta)) if time > 0 else 0) + extra
    quantities = {
        r"\bar s": ("bound on the layers' norm along the flow", s_max),
        r"\varepsilon": ("radius of the tube", radius),
        r"\kappa": ("bound on how far the product moves in the tube", kappa),
        r"\bar G": ("bound on the norm of grad phi on the tube", gradient),
        r"\beta": ("bound on the norm of the Hessian on the tube", beta),
        r"\gamma": ("bound on the gradient norm on the tube", gamma),
        "E(0)": ("excess loss at the start", excess),
        "T": ("time from which on the flow has E <= basin/4", time),
        "M(T)": ("integral of m over [0, T]", growth),
        "I": ("integral of e^(M(T)-M(s)) over [0, T]", integral),
        r"\eta^*": ("supremum of the step sizes that R4 allows", limit),
    }
    return DescentGuarantee(start, goal, basin, method, eta, int(steps), quantities, trapping, reason, error)


def _in_closed_form(solution: ExactSolution, level: Mpf, kappa: Mpf, reach: Mpf) -> tuple[Mpf, Mpf, Mpf, None]:
    """T, M(T) and int_0^T e^(M(T)-M(s)) ds, all of them bounds."""
    pieces = explicit_quantities(solution, level)
    time, excess = pieces["T"][1], solution.excess(solution.angle0)
    n, rise = solution.depth, pieces["T_1"][1]
    gradients = r16.integrated_gradient(n, solution.target_norm, excess, kappa, rise, time, MPMATH)
    growth = r16.curvature(n, gradients, reach)
    return time, growth, time * mpmath.exp(growth), None


def _check_growth(growth: Mpf, remedy: str) -> None:
    """Refuses M(T) with which k* would have more than `MOST_DIGITS` digits."""
    digits = growth / mpmath.log(10)
    if not digits < MOST_DIGITS:
        raise ComputationError(
            f"errors grow by e^M, M = {mpmath.nstr(mpmath.mpf(growth), 3)}, along the flow, so that R16 gives more "
            f"than 10^{mpmath.nstr(mpmath.floor(digits), 3)} steps (at most 10^{MOST_DIGITS}); {remedy}"
        )


def trapping_constants(depth: int, target_norm: Mpf, basin: Mpf, radius: Mpf) -> tuple[Mpf, Mpf, Mpf]:
    """r, mu and L of the module's docstring, for E_B = basin < lambda^2/18 and a tube of this radius."""
    n, lam, offset = depth, target_norm, mpmath.sqrt(2 * basin)
    q = r16.contraction(lam, offset)
    layer = r16.basin_layer(n, lam, offset, MPMATH)
    r = r16.remaining_path(q, layer + radius)
    mu = r16.lojasiewicz(lam, offset, layer + radius + r)
    return r, mu, r16.beta(n, offset, r16.ball_layer(n, layer, radius + r, MPMATH))


def _along_the_flow(solution: ExactSolution, level: Mpf, radius: Mpf) -> tuple[Mpf, Mpf, Mpf, float]:
    """T, M(T), int_0^T e^(M(T)-M(s)) ds and the largest relative error, from two sets of panels."""
    end = hitting_angle(solution, level)
    if end <= solution.angle0:
        return mpmath.mpf(0), mpmath.mpf(0), mpmath.mpf(0), 0.0
    time = time_to(solution, end, digits=DPS + GUARD)
    before = None
    with mpmath.workdps(DPS):
        for level in range(LEVELS):
            total, growth, log_integral = _sums(solution, end, radius, 2**level)
            _check_growth(growth, QUADRATURE_REMEDY)
            if before is not None:
                error = max(abs(log_integral - before), abs(float(total / time) - 1), 1e-12)
                if error <= QUADRATURE:
                    return time, mpmath.mpf(growth), mpmath.exp(log_integral), error
            before = log_integral
    raise ComputationError(
        f"the quadrature of M is good to {error:.1e} only (at most {QUADRATURE:g}, M(T) = {growth:.3g}); take "
        'method="closed-form"'
    )


def _sums(solution: ExactSolution, end: Mpf, radius: Mpf, finer: int) -> tuple[float, float, float]:
    """t, M and log int e^(M(T)-M(s)) ds at `end`, in float64: M at the nodes by integrating their interpolant."""
    n = solution.depth
    nodes, weights, integrate = _collocation()
    points = panels(solution, end, finer)
    time, growth = 0.0, 0.0
    cells: list[tuple[Mpf, Mpf, Mpf]] = []
    inner = float(radius) / n**0.5
    for left, right in pairwise(points):
        half, middle = float(right - left) / 2, (right + left) / 2
        values = [_rates(solution, middle + half * x, n, inner, float(radius)) for x in nodes]
        dt, m = (half * np.array(column) for column in zip(*values, strict=True))
        grows = mpmath.exp(float(weights @ m))
        cells.append((grows, 1, grows * float(weights * dt @ np.exp(-integrate @ m))))
        time += float(weights @ dt)
        growth += float(weights @ m)
    *_, integral = fold(cells, mpmath.mpf(0))
    return time, growth, float(mpmath.log(integral))


def _rates(solution: ExactSolution, angle: Mpf, n: int, inner: float, radius: float) -> tuple[float, float]:
    """dt/dtheta and m dt/dtheta."""
    w = float(solution.norm(angle))
    slope = float(solution.time_slope(angle))
    s = w ** (1 / n)
    gradient = float(mpmath.sqrt(2 * solution.excess(angle))) + r16.moved_product(n, s, inner)
    return slope, slope * r16.curvature(n, gradient, s + radius)


@lru_cache(maxsize=1)
def _collocation() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gauss nodes x_i, weights, and the matrix of int_{-1}^{x_i} of the interpolant."""
    from numpy.polynomial import legendre

    nodes, weights = legendre.leggauss(NODES)
    values = legendre.legvander(nodes, NODES)
    coefficients = (values[:, :NODES] * weights[:, None]).T * (np.arange(NODES)[:, None] + 0.5)
    integrals = np.empty((NODES, NODES))
    integrals[:, 0] = nodes + 1
    for k in range(1, NODES):
        integrals[:, k] = (values[:, k + 1] - values[:, k - 1]) / (2 * k + 1)
    return nodes, weights, integrals @ coefficients


def _largest_step(budget: Mpf, rate: Mpf, integral: Mpf) -> Mpf:
    """The root of `spent` = budget, by bisection: it grows with eta."""
    high = mpmath.sqrt(budget)
    if integral > 0:
        high = min(high, budget / integral)
    low = high
    while r16.spent(low, rate, integral, MPMATH) > budget:
        low /= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (low, middle) if r16.spent(middle, rate, integral, MPMATH) > budget else (middle, high)
    return low
