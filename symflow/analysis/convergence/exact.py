"""The exact solution of R15 in the angle theta, nu = tanh theta, and the time as one quadrature.

    1/w = cosh^-n(theta) [cosh^n(a)/w(0) + (n/lambda) int_a^theta cosh^n],    lambda dt = w^-(1-2/n) dtheta,

a = artanh nu(0), with the formulas of `symflow.theory.r15_convergence_time`. From w' = n w^(2-2/n) (lambda nu - w) and
nu' = lambda w^(1-2/n) (1 - nu^2): dtheta/dt = lambda w^(1-2/n), so u = 1/w obeys du/dtheta = -n tanh(theta) u +
n/lambda, a linear equation.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from math import ceil, comb

import mpmath

from symflow.analysis.convergence.start import BalancedStart
from symflow.errors import ComputationError
from symflow.numbers.rational import mpf
from symflow.numbers.types import Mpf
from symflow.theory import r15_convergence_time as r15
from symflow.theory.functions import MPMATH

MAX_PANELS = 20_000
"""Most panels of a quadrature."""
MAX_ITERATIONS = 1000


@dataclass(frozen=True)
class ExactSolution:
    """The solution at one working precision; every method is to be called at that precision.

    Attributes:
        depth: n.
        target_norm: lambda.
        w0: w(0).
        angle0: a = artanh nu(0).
    """

    depth: int
    target_norm: Mpf
    w0: Mpf
    angle0: Mpf

    def ratio(self, angle: Mpf) -> Mpf:
        """lambda / w at an angle theta >= a."""
        n, cosh = self.depth, mpmath.cosh(angle)
        integral = self._cosh_power_integral(angle) / (2 * cosh) ** n
        return self.target_norm * r15.inverse_norm(
            n, self.target_norm, self.w0, mpmath.cosh(self.angle0), cosh, integral
        )

    def _cosh_power_integral(self, angle: Mpf) -> Mpf:
        """2^n int_a^theta cosh^n, a sum of positive terms: the binomial expansion of (e^s + e^-s)^n."""
        n, width, middle = self.depth, angle - self.angle0, (angle + self.angle0) / 2
        total = mpmath.mpf(0)
        for k in range((n + 1) // 2):
            m = n - 2 * k
            total += comb(n, k) * mpmath.sinh(m * width / 2) * mpmath.cosh(m * middle) / m
        return 4 * total + (comb(n, n // 2) * width if n % 2 == 0 else 0)

    def norm(self, angle: Mpf) -> Mpf:
        """w."""
        return self.target_norm / self.ratio(angle)

    def excess(self, angle: Mpf) -> Mpf:
        """E, with 1 - tanh theta = 2/(1 + e^(2 theta))."""
        return r15.excess(self.norm(angle), self.target_norm, 2 / (1 + mpmath.exp(2 * angle)))

    def log_slope(self, angle: Mpf) -> Mpf:
        """d log E / dtheta, negative."""
        return r15.log_slope(self.depth, self.norm(angle), self.target_norm, mpmath.tanh(angle), self.excess(angle))

    def time_slope(self, angle: Mpf) -> Mpf:
        """dt/dtheta."""
        if self.depth == 2:
            return 1 / self.target_norm
        return r15.time_slope(r15.exponent(self.depth, MPMATH), self.norm(angle), self.target_norm)


def exact_solution(start: BalancedStart) -> ExactSolution:
    """The exact solution at the working precision."""
    nu = start.alignment
    angle = mpmath.log(mpf((1 + nu) / (1 - nu))) / 2
    return ExactSolution(start.depth, mpf(start.target_norm), mpf(start.w0), angle)


def half_angle(solution: ExactSolution) -> Mpf:
    """theta_1 = max{log 6(n-1), log 2c_0 + (1/n) log 2(1 + lambda/w(0))}: from there on w >= lambda/2.

    Proof: integrating n cosh^n = (sinh cosh^(n-1))' + (n-1) cosh^(n-2) from a to theta >= |a|,

        lambda/w <= 1 + (cosh a / cosh theta)^n (lambda/w(0) + 1) + (n-1) (theta - a) / cosh^2 theta.

    At theta >= theta_1 >= |a| the second term is at most 1/2, because cosh theta >= e^theta / 2, and the third at most
    2 (n-1) theta 4 e^(-2 theta) <= (4/3) theta e^-theta <= (2/9) log 6 < 1/2.
    """
    return r15.half_angle(solution.depth, solution.target_norm, solution.w0, mpmath.cosh(solution.angle0), MPMATH)


def hitting_angle(solution: ExactSolution, accuracy: Mpf) -> Mpf:
    """The only angle theta >= a with E = accuracy; a itself where E(0) is not larger.

    log E falls strictly in theta, with a slope known in closed form: Newton's method inside a bracket.
    """
    goal = mpmath.log(accuracy)

    def above(angle: Mpf) -> Mpf:
        return mpmath.log(solution.excess(angle)) - goal

    low = solution.angle0
    if above(low) <= 0:
        return low
    high = half_angle(solution)
    step = mpmath.mpf(1)
    while above(high) > 0:
        low, high, step = high, high + step, 2 * step
    angle, tolerance = (low + high) / 2, mpmath.ldexp(1, 8 - mpmath.mp.prec)
    for _ in range(MAX_ITERATIONS):
        value = above(angle)
        low, high = (angle, high) if value > 0 else (low, angle)
        new = angle - value / solution.log_slope(angle)
        if not low < new < high:
            new = (low + high) / 2
        if abs(new - angle) <= tolerance * max(1, abs(angle)):
            return new
        angle = new
    raise ComputationError("the time of convergence was not found; ask for fewer digits or another accuracy")


def panels(solution: ExactSolution, end: Mpf, finer: int = 1) -> list[Mpf]:
    """Angles from a to `end` that resolve the solution.

    Before theta_1 the complex zeros of 1/w come to within about pi/n of the real line, beyond they stay a unit away.
    """
    start, middle = solution.angle0, min(end, max(solution.angle0, half_angle(solution)))
    points = [start]
    for left, right, width in ((start, middle, mpmath.mpf(3) / max(3, solution.depth)), (middle, end, mpmath.mpf(1))):
        if right > left:
            count = finer * ceil((right - left) / width)
            if count > MAX_PANELS:
                raise ComputationError(
                    f"the quadrature would need {count} panels (at most {MAX_PANELS}); take a start that is not as "
                    "close to the opposite direction, or a less deep network"
                )
            points += [left + (right - left) * i / count for i in range(1, count + 1)]
    return points


def time_to(solution: ExactSolution, end: Mpf, finer: int = 1, digits: int | None = None) -> Mpf:
    """t(theta) = int_a^theta dt, composite Gauss-Legendre at the working precision, or with fewer digits.

    Only `hitting_angle` needs the digits that E loses where it is small: the integrand is made of positive terms.
    """
    if digits is not None and digits < mpmath.mp.dps:
        with mpmath.workdps(digits):
            return time_to(solution, end, finer)
    if end <= solution.angle0:
        return mpmath.mpf(0)
    if solution.depth == 2:
        return r15.rise_time_at_two(solution.target_norm, solution.angle0, end)
    points = panels(solution, end, finer)
    # With singularities pi/n away the error falls by 19 per node; by 10 where they come closer.
    nodes = gauss_nodes(mpmath.mp.dps + 4, mpmath.mp.prec)
    total = mpmath.mpf(0)
    for left, right in pairwise(points):
        half, middle = (right - left) / 2, (right + left) / 2
        total += half * mpmath.fsum(weight * solution.time_slope(middle + half * x) for x, weight in nodes)
    return total


@lru_cache(maxsize=16)
def gauss_nodes(count: int, prec: int) -> tuple[tuple[Mpf, Mpf], ...]:
    """Nodes and weights of Gauss-Legendre quadrature on [-1, 1], by Newton's method on P_count."""
    with mpmath.workprec(prec + 20):
        found = []
        for i in range(count):
            x = mpmath.cos(mpmath.pi * (i + mpmath.mpf(3) / 4) / (count + mpmath.mpf(1) / 2))
            for _ in range(prec.bit_length() + 5):
                value, slope = _legendre(count, x)
                step = value / slope
                x -= step
                if abs(step) < mpmath.ldexp(1, -(prec // 2 + 15)):
                    break
            _, slope = _legendre(count, x)
            found.append((x, 2 / ((1 - x * x) * slope * slope)))
        return tuple(found)


def _legendre(count: int, x: Mpf) -> tuple[Mpf, Mpf]:
    """P_count(x) and its derivative."""
    before, value = mpmath.mpf(1), x
    for k in range(2, count + 1):
        before, value = value, ((2 * k - 1) * x * value - (k - 1) * before) / k
    return value, count * (x * value - before) / (x * x - 1)
