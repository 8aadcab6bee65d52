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


def smallest_weight(system: Scalars, start: Mpf, time: Mpf) -> Mpf:
    """z(t): the integral of dz/z' is taken over panels that keep clear of the integrand's singularities.

    Each panel is at most half as long as its distance from the resting point and from the branch points +-i sqrt(c_j),
    so that Gauss-Legendre quadrature converges at a fixed rate; in the last one Newton's method finds z.
    """
    if time == 0 or system.speed(start) == 0:
        return start
    end, z, left = system.rest(start), start, time
    branch = min(system.gaps, default=mpmath.inf)
    while True:
        near = min(abs(end - z), mpmath.sqrt(z * z + branch))
        if near <= abs(end) * mpmath.eps:
            return end
        step = near / 2 * (1 if end > z else -1)
        spent = _time(system, z, z + step)
        if spent >= left:
            break
        z, left = z + step, left - spent
    found = z + step * left / spent
    for _ in range(2 + ceil(log10(mpmath.mp.dps) * 4)):
        move = (left - _time(system, z, found)) * system.speed(found)
        found += move
        if abs(move) <= mpmath.eps * abs(found) * 2**6:
            break
    return found


def _time(system: Scalars, low: Mpf, high: Mpf) -> Mpf:
    return mpmath.quad(lambda z: 1 / system.speed(z), [low, high], method="gauss-legendre")


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
