"""Where p'' has a definite sign: the extremum of p, whose height decides between no zero, two zeros and a tangency."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from gmpy2 import isqrt, mpz

from symflow.paths.taylor.roots.newton import GUARD, FixedPolynomial, horner, locate, shifted, sign_beyond

TANGENT = "an extremum within the rounding noise of zero: a tangency, or two zeros too close to be told apart"


class Leaf(NamedTuple):
    """[lo, hi] 2^-prec with one verdict.

    Attributes:
        lo: left end.
        hi: right end.
        left: the sign of p proved at lo; 0: none.
        right: the same at hi.
        slope: the sign of p' on all of the leaf, beyond order * noise; 0: not monotone.
        reason: why it is undecided, if it is.
    """

    lo: mpz
    hi: mpz
    left: int
    right: int
    slope: int
    reason: str = ""

    @property
    def excluded(self) -> bool:
        """Whether p has no zero there."""
        return not self.slope and not self.reason


def around_extremum(series: FixedPolynomial, node: Leaf, convexity: int) -> Iterator[Leaf]:
    """The leaves of an interval on which q = convexity * p is convex, by the height of the minimum of q."""
    lo, hi = node.lo, node.hi
    rises, falls = convexity * series.slope(lo, 0) >= 0, convexity * series.slope(hi, 0) <= 0
    if rises or falls:  # the minimum is at an end, and a definite slope there is one on the whole node
        x, slope = (lo, convexity) if rises else (hi, -convexity)
        if slope * series.slope(x, series.order * series.noise) > 0:
            yield node._replace(slope=slope)
            return
    else:
        x = locate(series.derivative, series.prec, lo, hi, convexity)
    if sign_beyond(_lowest(series, x, lo, hi, convexity), series.noise) > 0:
        yield Leaf(lo, hi, convexity, convexity, 0)
        return
    yield from (leaf for leaf in _about_minimum(series, x, lo, hi, convexity) if leaf.lo < leaf.hi)


def _about_minimum(series: FixedPolynomial, x: mpz, lo: mpz, hi: mpz, convexity: int) -> list[Leaf]:
    """[lo, hi] cut about the minimum x of q, which is not above the noise: two zeros there, or a tangency."""
    bend = max(abs(horner(series.second_derivative, x, series.prec, 0)), mpz(1))
    # Outer points, where q has left the noise and only grows beyond: for a parabola twice as far as its zeros.
    depth = abs(series.guarded(series.coefficients, x)) + (mpz(series.noise) << GUARD) + (1 << (GUARD // 2))
    reach = isqrt(shifted(depth, 2 * series.prec + 3 - GUARD) // bend) + 1
    low, left = _climb(series, x, lo, -reach, convexity)
    high, right = _climb(series, x, hi, reach, convexity)
    inner_low = inner_high = None
    height = convexity * series.sign(x)
    if not height:
        low = noise_border(series, x, low, 8) if left else low
        high = noise_border(series, x, high, 8) if right else high
    elif height < 0:
        inner_low = _steep_from(series, x, lo, -1, convexity, bend)
        inner_high = _steep_from(series, x, hi, 1, convexity, bend)
    if inner_low is None or inner_high is None:
        middle = [Leaf(low, high, left, right, 0, TANGENT)]
    else:
        middle = [
            Leaf(low, inner_low, left, -convexity, -convexity),
            Leaf(inner_low, inner_high, -convexity, -convexity, 0),
            Leaf(inner_high, high, -convexity, right, convexity),
        ]
    return [Leaf(lo, low, convexity, convexity, 0), *middle, Leaf(high, hi, convexity, convexity, 0)]


def _lowest(series: FixedPolynomial, x: mpz, lo: mpz, hi: mpz, convexity: int) -> mpz:
    """A lower bound of 2^GUARD q on [lo, hi], however well x approximates the minimum: its tangent, up to the turn."""
    value = convexity * series.guarded(series.coefficients, x)
    slope = convexity * series.guarded(series.derivative, x)
    side, end = (1, hi) if slope < 0 else (-1, lo)
    step = mpz(1)
    while side * (end - x) > step and side * convexity * series.slope(x + side * step, 0) <= 0:
        step *= 2
    reach = min(step, side * (end - x))
    return value - 2 - ((abs(slope) + 2) * reach >> series.prec)


def _steep_from(series: FixedPolynomial, x: mpz, end: mpz, side: int, convexity: int, bend: mpz) -> mpz | None:
    """The point next to the extremum x, towards the end, from where on |p'| > order * noise, with q < -noise there.

    The end itself where q is below -noise all the way; None where p meets the noise first.
    """
    slope_noise = series.order * series.noise
    step = (mpz(2 * slope_noise) << series.prec) // bend + 1
    while True:
        y = x + side * step
        if side * (end - y) <= 0:
            return end if convexity * series.sign(end) < 0 else None
        if convexity * series.sign(y) >= 0:
            return None
        if side * convexity * series.slope(y, slope_noise) > 0:
            return y
        step *= 4


def _climb(series: FixedPolynomial, x: mpz, end: mpz, step: mpz, convexity: int) -> tuple[mpz, int]:
    """(y, sign of p at y): from x by growing steps until q is above the noise, or the end."""
    side = 1 if step > 0 else -1
    while True:
        y = x + step
        if side * (end - y) <= 0:
            return end, series.sign(end)
        if convexity * series.sign(y) > 0:
            return y, convexity
        step *= 2


def noise_border(series: FixedPolynomial, inside: mpz, outside: mpz, halvings: int) -> mpz:
    """A point between the two where |p| is beyond the noise, as it is outside, close to where it enters the noise."""
    for _ in range(halvings):
        if abs(outside - inside) <= 1:
            break
        middle = (inside + outside) >> 1
        if series.sign(middle):
            outside = middle
        else:
            inside = middle
    return outside
