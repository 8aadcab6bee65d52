r"""What is known of a truncated power series on [0, s], and how far a computed one may be from the function it is of.

A series u = sum_k u_k s^k has the norm ||u|| = sum_k |u_k| s^k, which bounds |u| on [0, s] and in the disc, and for
which ||u v|| <= ||u|| ||v|| and ||int u v'|| <= ||u|| ||v - v_0||. A *remainder* bounds ||u^ - u|| for a computed
polynomial u^ of degree p and the true function u of the polynomial that the state is. Remainders are counted in units
of the last place (ulps), norms are plain numbers.

    (1) Products: the terms of u^ v^ beyond degree p are at most A B p rho^-(p+1) / (1 - 1/rho) where
        |u^_k| s^k <= A rho^-k and |v^_k| s^k <= B rho^-k: there are at most p pairs of degree k > p.
    (2) y = u(x) with y' = d(y) x', d with the Lipschitz constant L in this norm: if y^' = d^ x^' + r, then
        ||y^ - u(x^)|| <= e^{L ||x^ - x^_0||} (|y^_0 - u(x^_0)| + ||int r|| + ||x^ - x^_0|| ||d^ - d(y^)||),
        by comparison, coefficient by coefficient, with e' = L |x^|' e + ..., whose solution has positive coefficients.
    (3) Along x^ + tau xi: ||u(x^ + xi) - u(x^)|| <= ||xi|| sup_tau ||u'(x^ + tau xi)||.

All numbers below are sums and products of positive float64 numbers: each operation loses at most 2^-53 of its result,
so that any number of them below 2^30 in a row lose less than the factor 1 + 2^-20 that `ROUNDED_UP` restores.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import NamedTuple, TypeAlias

ROUNDED_UP = 1 + 2.0**-20
"""Covers the rounding of sums and products of positive numbers."""
SMALL = 2.0**-20
"""Perturbations are below this where the rules use it."""


class SeriesBound(NamedTuple):
    """What is known of a computed series.

    Attributes:
        norm: at least ||u^||.
        rest: at least ||u^ - u^_0||.
        largest: A with |u^_k| s^k <= A rho^-k.
    """

    norm: float
    rest: float
    largest: float


class Expanded(NamedTuple):
    """A function's series y^ of x^ and what its rule may use.

    Attributes:
        x: the argument.
        y: the function.
        slope: u'(x), up to sign, where the series is integrated from it; a copy of y elsewhere.
        first: |x^_0|, to float64.
        moved: ||x - x^||, in ulps.
        initial: |y^_0 - u(x^_0)|, in ulps; the largest of that and of the slope's.
        rounding: of the coefficients of y^, in ulps.
        spread: sum_k s^k.
        ulp: one unit of the last place.
        tail: (A, B) -> ulps, by (1).
        slope_remainder: gives that of the slope, in ulps, where it does not depend on y.
        residual: (a, b, q) -> ||q x^ y^' - a y^ x^' - b x^'|| s, in ulps: computed exactly.
    """

    x: SeriesBound
    y: SeriesBound
    slope: SeriesBound
    first: float
    moved: float
    initial: float
    rounding: float
    spread: float
    ulp: float
    tail: Callable[[float, float], float]
    slope_remainder: Callable[[], float]
    residual: Callable[[int, int, int], float]

    @property
    def own(self) -> float:
        """What y^ has of its own by (2) where d^ is exact: the first coefficient, rounding, and what is beyond p."""
        return self.initial + self.rounding + self.tail(self.x.largest, self.slope.largest)


SeriesRemainder: TypeAlias = Callable[[Expanded], float]
"""The remainder of y^ against u(x) in ulps; infinite where the rule does not apply."""


def growth(exponent: float) -> float:
    """e^x for x >= 0, rounded up; infinite beyond float64."""
    from flint import arb

    return float(arb(exponent).exp().upper()) * ROUNDED_UP if exponent < 700 else inf


def integrated(u: Expanded) -> float:
    """Of a function whose derivative is another function of x, with a series of its own: L = 0."""
    steep = u.slope_remainder()
    return u.own + u.x.rest * steep + u.moved * (u.slope.norm + steep * u.ulp)


def self_referring(u: Expanded, lipschitz: float, slope_error: float) -> float:
    """Of a function with y' = d(y) x', by (2) and (3).

    Args:
        u: its series.
        lipschitz: L where nothing is perturbed; perturbations below `SMALL` add at most that.
        slope_error: ||d^ - d(y^)|| in ulps.
    """
    grown = growth((lipschitz + SMALL) * u.x.rest)
    own = grown * (u.own + u.x.rest * slope_error)
    if not (own * u.ulp < SMALL / 4 and u.moved * u.ulp * (1 + lipschitz) < SMALL / 4):
        return inf
    steepest = u.slope.norm + (slope_error + (1 + lipschitz) * own) * u.ulp
    return own + 2 * steepest * u.moved


def power_norm(u: Expanded, exponent: float) -> float:
    """At least ||x^^e||: |x_0|^e (1 - ||x^ - x_0|| / |x_0|)^-|e|; infinite where x^ may vanish."""
    from flint import arb

    share = ROUNDED_UP * u.x.rest / u.first if u.first > 0 else inf
    if not share < 0.99 or abs(exponent) > 1e6:
        return inf
    bound = arb(u.first) ** arb(exponent) * (1 - arb(share)) ** arb(-abs(exponent))
    return float(bound.upper()) * ROUNDED_UP


def perturbed(u: Expanded, factor: float, exponent: float) -> float:
    """By (3), what ||x - x^|| does to a function with the derivative factor x^exponent, in ulps."""
    reach = u.x._replace(rest=u.x.rest + u.moved * u.ulp)
    return abs(factor) * u.moved * power_norm(u._replace(x=reach), exponent)
