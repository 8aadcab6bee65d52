"""C9: products of n scalar layers, balanced or not: time as one integral over the smallest weight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log10

import mpmath
import sympy

from symflow.numbers.types import Mpf
from symflow.theory.hypotheses import Hypothesis, Setting, Verdict
from symflow.theory.hypothesis_checks import LINEAR, SQUARE_LOSS, fails, holds
from symflow.theory.result import OURS, Result
from symflow.theory.statement import equation


def _scalars(setting: Setting) -> Verdict:
    network = setting.objective.network
    sizes = {int(a.size) for axes in ([] if network is None else network.weight_axes) for a in axes}
    return holds("all widths are 1") if sizes == {1} else fails("the widths are not all 1")


SCALARS = Hypothesis("scalar layers", r"$d_0 = \dots = d_n = 1$", _scalars)


@dataclass(frozen=True)
class Scalars:
    """w_j = sign_j sqrt(z^2 + c_j) for the smallest weight z, whose own factor is left out.

    Attributes:
        signs: of the other weights; of those with c_j = 0 the sign of w_j / z.
        gaps: c_j = w_j^2 - z^2 >= 0.
        target: lambda.
    """

    signs: tuple[int, ...]
    gaps: tuple[Mpf, ...]
    target: Mpf

    def others(self, z: Mpf) -> list[Mpf]:
        """The other weights."""
        return [s * (mpmath.sqrt(z * z + c) if c else z) for s, c in zip(self.signs, self.gaps, strict=True)]

    def speed(self, z: Mpf) -> Mpf:
        """z' = (lambda - p) r, r the product of the other weights and p = z r."""
        r = mpmath.fprod(self.others(z))
        return (self.target - z * r) * r

    def rest(self, start: Mpf) -> Mpf:
        """Where z goes: p = lambda there, or z = 0 where p keeps its sign and lambda has the other one."""
        sign = 1 if self.speed(start) > 0 else -1
        side = sign if start == 0 else (1 if start > 0 else -1)
        ties = any(c == 0 for c in self.gaps)
        r = mpmath.fprod(self.others(mpmath.mpf(side)))
        if side * r * self.target <= 0:
            if ties or self.target == 0:
                return mpmath.mpf(0)
            side = -side
        size = abs(self.target)
        z = mpmath.root(size, len(self.gaps) + 1)  # to the right of the root of a convex increasing function
        for _ in range(10 * mpmath.mp.prec):
            others = self.others(z)
            p = abs(z * mpmath.fprod(others))
            slope = p * mpmath.fsum(z / w**2 for w in (z, *others))
            lower = z - (p - size) / slope
            if lower >= z or abs(lower - z) <= mpmath.eps * z:
                break
            z = lower
        return side * z

    def rate(self, end: Mpf) -> Mpf | None:
        """rho > 0 with z' = rho (e - z) + ... at a resting point; None where z' has a zero of higher order there."""
        if end:
            others = self.others(end)
            r = mpmath.fprod(others)
            return r * r * (1 + mpmath.fsum(end * end / w**2 for w in others))
        ties = sum(c == 0 for c in self.gaps)
        size = mpmath.fprod(mpmath.sqrt(c) for c in self.gaps if c)
        if ties != (self.target != 0):
            return None
        return abs(self.target) * size if ties else size * size


MOST_CUTS = 12
"""How often a panel is halved; what is not exact then is rounding."""


@dataclass(frozen=True)
class Clock:
    """The time that z takes between two places, t = int dz/z'.

    Where z' has a simple zero at the resting point e, z' = rho (e - z) + ..., dz/(rho (e - z)) is taken in closed form
    near e: what is left is smooth there, so that late times cost no more than early ones. Far from e it is not, since
    1/rho may be many times as much as the time that is wanted.

    Attributes:
        system: the weights.
        end: e.
        rate: rho; None where z' has a zero of higher order, or far from it.
    """

    system: Scalars
    end: Mpf
    rate: Mpf | None

    def reach(self, z: Mpf) -> Mpf:
        """How far from z the integrand is smooth in the complex plane, up to complex roots of z'."""
        near = mpmath.sqrt(z * z + min((c for c in self.system.gaps if c), default=mpmath.inf))
        if self.end and not all(self.system.gaps):
            near = min(near, abs(z))
        return near if self.rate is not None else min(near, abs(self.end - z))

    def smooth(self, low: Mpf, high: Mpf, cuts: int = MOST_CUTS) -> Mpf:
        """The integral without what is taken in closed form, cut where quadrature sees that it is not exact."""
        end, rate = self.end, self.rate

        def integrand(z: Mpf) -> Mpf:
            return 1 / self.system.speed(z) - (0 if rate is None else 1 / (rate * (end - z)))

        if low == high:
            return mpmath.mpf(0)
        # Computing n nodes takes time that grows like n^2: where about one node per bit is not enough, it is cheaper to
        # halve the interval and use the nodes that are known.
        degree = (mpmath.mp.prec // 3).bit_length()
        value, error = mpmath.quad(integrand, [low, high], method="gauss-legendre", error=True, maxdegree=degree)
        unit = abs(value) + (0 if rate is None else 1 / rate)
        if error <= mpmath.eps * 2**12 * unit or not cuts or abs(high - low) <= mpmath.sqrt(mpmath.eps) * abs(low):
            return value
        middle = (low + high) / 2
        return self.smooth(low, middle, cuts - 1) + self.smooth(middle, high, cuts - 1)

    def between(self, low: Mpf, high: Mpf) -> Mpf:
        """The time from low to high."""
        found = self.smooth(low, high)
        return found if self.rate is None else found - mpmath.log((self.end - high) / (self.end - low)) / self.rate


def smallest_weight(system: Scalars, start: Mpf, time: Mpf) -> Mpf:
    """z(t): the integral of dz/z' is taken over panels that keep clear of the integrand's singularities.

    Each panel is at most half as long as its distance from the poles and from the branch points +-i sqrt(c_j), so that
    Gauss-Legendre quadrature converges at a fixed rate; in the last one Newton's method finds z.
    """
    if time == 0 or system.speed(start) == 0:
        return start
    end = system.rest(start)
    late, clock = Clock(system, end, system.rate(end)), Clock(system, end, None)
    z, left = start, time
    sign = 1 if end > start else -1
    while True:
        step = clock.reach(z) / 2
        if step <= abs(end) * mpmath.eps:
            return end
        if late.rate is not None and late.reach(z) / 2 >= abs(end - z):
            return _late(late, z, left)
        spent = clock.between(z, z + sign * step)
        if spent >= left:
            return _found(clock, z, z + sign * step, left)
        z, left = z + sign * step, left - spent


def _found(clock: Clock, low: Mpf, high: Mpf, left: Mpf) -> Mpf:
    """The place between two others that is reached from the first after a time, by Newton's method between them."""
    z, spent, ends = low, mpmath.mpf(0), (low, high)
    for _ in range(10 * mpmath.mp.dps):
        ends = (z, ends[1]) if spent < left else (ends[0], z)
        move = (left - spent) * clock.system.speed(z)
        if not min(ends) < z + move < max(ends):
            move = sum(ends) / 2 - z
        spent += clock.between(z, z + move)
        z += move
        if abs(move) <= mpmath.eps * abs(z) * 2**6:
            break
    return z


def _late(clock: Clock, low: Mpf, left: Mpf) -> Mpf:
    """The same where no singularity but the resting point is near: Newton's method for log(e - z)."""
    end, rate = clock.end, clock.rate
    assert rate is not None
    gap = (end - low) * min(mpmath.mpf(1), mpmath.exp(-rate * (left - clock.smooth(low, end))))
    if abs(gap) <= abs(end) * mpmath.eps:
        return end
    spent = clock.between(low, end - gap)
    for _ in range(4 + ceil(log10(mpmath.mp.dps) * 4)):
        # from gap to gap e^x takes the time -x gap / z'
        factor = mpmath.exp((spent - left) * clock.system.speed(end - gap) / gap)
        if abs(gap * factor) > abs(end - low):
            factor = mpmath.sqrt((end - low) / gap)
        spent += clock.between(end - gap, end - gap * factor)
        gap *= factor
        if abs(factor - 1) <= mpmath.eps * 2**6 * (1 + rate * left):
            break
    return end - gap


def scalars_at(weights: Sequence[Mpf], target: Mpf, time: Mpf) -> list[Mpf]:
    """w_1(t), ..., w_n(t) of f = (w_1 ... w_n - lambda)^2/2, in mpmath at the working precision."""
    at = min(range(len(weights)), key=lambda k: abs(weights[k]))
    start = weights[at]
    others = [w for k, w in enumerate(weights) if k != at]
    gaps = [w * w - start * start for w in others]
    signs = [(1 if w > 0 else -1) * (1 if c or start > 0 else -1) for w, c in zip(others, gaps, strict=True)]
    system = Scalars(tuple(signs), tuple(gaps), target)
    if start == 0 and any(c == 0 for c in gaps):
        return list(weights)  # two weights are 0: p = 0 and no weight moves
    z = smallest_weight(system, start, time)
    found = system.others(z)
    found.insert(at, z)
    return found


_z, _t, _lam, _R = sympy.symbols("z t lambda r(z)", real=True)
PRODUCT_OF_SCALARS = Result(
    "C9",
    "scalars",
    "products of scalars",
    "closed form: products of n scalar layers, balanced or not, by one integral",
    OURS,
    (LINEAR, SQUARE_LOSS, SCALARS),
    (
        equation("others", "w_j", r"\pm\sqrt{z^2+c_j}"),
        equation("equation", r"\dot z", (_lam - _z * _R) * _R),
        equation("time", _t, r"\int_{z(0)}^{z(t)}\frac{d\zeta}{(\lambda-\zeta r(\zeta))\,r(\zeta)}"),
    ),
    (
        Hypothesis(
            "",
            r"$f = \frac\sigma2(w_n\cdots w_1-\lambda)^2$ up to a constant, $\sigma = 1$ (else $\sigma t$ in place of "
            r"$t$); $z$ is the weight of least size, $r(z)$ the product of the others, $c_j = w_j^2-z^2 \ge 0$ at "
            r"$t = 0$; the signs remain ($w_j = \pm z$ where $c_j = 0$)",
        ),
    ),
    derivations=("c09_scalars",),
)
