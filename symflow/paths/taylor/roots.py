"""Zeros in [0, 1] of p(s) = Σ_k c_k s^k with c_k = n_k·2^−prec and big integers n_k: where a Taylor step meets a kink.

Let Z = {s ∈ [0, 1] : |p(s)| ≤ noise·2^−prec}; a function that p approximates within the noise vanishes nowhere else.
Every connected component of Z is reported, as a `Root` where |p'| > (number of coefficients − 1)·noise on all of it
and p changes sign across it (or it reaches an end of [0, 1]), and as `Unresolved` otherwise. That bound is how far p'
can move on [0, 1] when the coefficients move by at most the noise in total, so a `Root` stays one simple zero.
An `Unresolved` is cautious: it may also stand where |p| comes within 2 % of the noise from outside, or where half the
digits did not suffice.

How it works, cheapest first:

1. |c_0| > Σ_{k≥1}|c_k| + noise: no zero.
2. Bernstein coefficients b_j = Σ_{i≤j} C(j,i)/C(d,i) c_i enclose p, and their differences p' and p'', on an interval;
   intervals are halved (de Casteljau) until p or p' has a definite sign. This runs in float64, with a bound on its
   rounding and on the terms left out; all weights are in [0, 1], so nothing is amplified.
3. Where p is too small for float64, it is expanded anew about the interval's left end, in big integers and to the few
   terms that matter there, and 2 goes on with the digits this has freed.
4. Where p'' has a definite sign, the extremum of p is located to full precision and its height decides: no zero, two
   zeros, or unresolved. So a near-tangency costs one Newton iteration and not hundreds of halvings.

(Farouki 2012, The Bernstein polynomial basis; Rouillier & Zimmermann 2004 for the use of exact integers on demand.)
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import NamedTuple, TypeAlias

import numpy as np
from gmpy2 import bincoef, isqrt, mpz
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]

IDENTICALLY_ZERO = "identically zero within the rounding noise"
FLAT = "within the rounding noise of zero and without a definite slope there"
TANGENT = "an extremum within the rounding noise of zero: a tangency, or two zeros too close to be told apart"
CLUSTERED = "a multiple zero, or zeros closer together than half the digits of the working precision resolve"
EXHAUSTED = "the search ended at its budget of intervals"

MAX_DEGREE = 160
"""Most terms of a float64 expansion; what is left out is bounded."""
MAX_INTERVALS = 20_000
"""Most intervals one search examines (in proportion more for degrees above 200); the rest is reported unresolved."""
GUARD = 64
"""Bits below 2^−prec that big-integer evaluations carry."""
EPSILON = 2.3e-16
"""Slightly more than float64's spacing at 1."""


@dataclass(frozen=True)
class Root:
    """s = position·2^−prec with p(s) = 0 and slope = sign p'(s): one simple zero.

    Attributes:
        position: s·2^prec, within a few units + noise/|p'(s)| of the zero, never outside [0, 2^prec].
        slope: +1 or −1.
    """

    position: mpz
    slope: int


@dataclass(frozen=True)
class Unresolved:
    """[lo, hi] ⊆ [0, 1] where p may touch zero, and whether it does cannot be told at the working precision.

    Attributes:
        lo: Left end, rounded down.
        hi: Right end, rounded up.
        reason: What was found; more digits (a larger prec, a smaller noise) are the remedy.
    """

    lo: float
    hi: float
    reason: str


def excludes_zero(coefficients: Sequence[mpz], noise: int) -> bool:
    """|c_0| > Σ_{k≥1}|c_k| + noise: true means that p has no zero in [0, 1], false means nothing.

    Args:
        coefficients: The integers c_k·2^prec, lowest power first.
        noise: Bound on the error of p on [0, 1], in units of 2^−prec.
    """
    return bool(coefficients) and 2 * abs(coefficients[0]) > sum(map(abs, coefficients)) + noise


def deflate(coefficients: Sequence[mpz]) -> Sequence[mpz]:
    """p(s)/s = Σ_{k≥1} c_k s^{k−1}: where p(0) = 0 is known exactly, its zeros are those of p in (0, 1].

    The noise carries over where it bounds the summed errors of the coefficients (and not only that of p).

    Args:
        coefficients: The integers c_k·2^prec, lowest power first; the first is dropped.
    """
    return coefficients[1:]


def zeros(coefficients: Sequence[mpz], prec: int, noise: int) -> list[Root | Unresolved]:
    """{s ∈ [0, 1] : p(s) = 0}, all of them in increasing position; none is missed.

    Args:
        coefficients: The integers c_k·2^prec, lowest power first.
        prec: Bits after the binary point.
        noise: Bound on the error of p on [0, 1], in units of 2^−prec.

    Raises:
        ValueError: Where prec < 1 or noise < 0.
    """
    return list(_search(coefficients, prec, noise, None))


def first_zero(
    coefficients: Sequence[mpz], prec: int, noise: int, *, upto: mpz | int | None = None
) -> Root | Unresolved | None:
    """min {s ∈ [0, 1] : p(s) = 0}, or None where there is none.

    Args:
        coefficients: The integers c_k·2^prec, lowest power first.
        prec: Bits after the binary point.
        noise: Bound on the error of p on [0, 1], in units of 2^−prec.
        upto: Last position of interest, as s·2^prec (an event already found in another unit); later zeros are None.

    Raises:
        ValueError: Where prec < 1 or noise < 0.
    """
    if prec >= 1 and noise >= 0 and excludes_zero(coefficients, noise):  # the common case, before anything is set up
        return None
    found = next(_search(coefficients, prec, noise, upto), None)
    if found is None or upto is None:
        return found
    at = found.position if isinstance(found, Root) else int(math.ldexp(found.lo, 60)) << prec >> 60
    return found if at <= upto else None


# --- the polynomial in full precision --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Series:
    """p(s) = 2^−prec Σ_k coefficients[k] s^k, with what is derived from it once (lists of integers, bounds)."""

    coefficients: list[mpz]  # the last is not zero
    prec: int
    noise: int
    order: int  # degree with trailing zeros counted
    total: mpz  # Σ|c_k|
    _weighted: dict[int, list[mpz]] = field(default_factory=dict, repr=False)
    _growth: dict[int, float] = field(default_factory=dict, repr=False)

    @property
    def degree(self) -> int:
        return len(self.coefficients) - 1

    @cached_property
    def one(self) -> mpz:
        return mpz(1) << self.prec

    @cached_property
    def derivative(self) -> list[mpz]:
        return [k * c for k, c in enumerate(self.coefficients)][1:]

    @cached_property
    def second_derivative(self) -> list[mpz]:
        return [k * c for k, c in enumerate(self.derivative)][1:]

    def sign(self, x: mpz) -> int:
        """sign p(x·2^−prec), or 0 within the noise; exact at x = 0 and x = 2^prec."""
        return _sign_beyond(self.guarded(self.coefficients, x), self.noise)

    def slope(self, x: mpz, noise: int) -> int:
        """sign p'(x·2^−prec), or 0 within ``noise``."""
        return _sign_beyond(self.guarded(self.derivative, x), noise)

    def guarded(self, coefficients: list[mpz], x: mpz) -> mpz:
        """2^GUARD Σ_k c_k (x·2^−prec)^k, to within two units."""
        guard = GUARD + 2 * len(coefficients).bit_length()  # every step of Horner's rule loses less than one unit
        return _horner(coefficients, x, self.prec, guard) >> (guard - GUARD)

    def weighted(self, k: int) -> list[mpz]:
        """[C(i,k) c_i for i ≥ k]: their sum against a^{i−k} is p^{(k)}(a)/k!."""
        if k in self._weighted:
            return self._weighted[k]
        terms = [bincoef(i, k) * self.coefficients[i] for i in range(k, self.degree + 1)]
        if k < 16:
            self._weighted[k] = terms
        return terms

    @cached_property
    def _log_sizes(self) -> Floats:
        """Upper bounds of log2|c_i|."""
        return np.array([c.bit_length() if c else -np.inf for c in self.coefficients], dtype=np.float64)

    def growth(self, k: int) -> float:
        """log2 Σ_{i≥k} C(i,k)|c_i|, rounded up: the Taylor remainder after w^{k−1} is at most w^k 2^growth."""
        if k not in self._growth:
            i = np.arange(k, self.degree + 1)
            log_factorial = _log_factorials(1 << self.degree.bit_length())
            terms = self._log_sizes[k:] + log_factorial[i] - log_factorial[i - k] - log_factorial[k]
            top = float(np.max(terms))
            self._growth[k] = top + math.log2(float(np.sum(np.exp2(terms - top)))) + 0.01
        return self._growth[k]


def _sign_beyond(value: mpz, noise: int) -> int:
    """sign(value·2^−GUARD), or 0 where |value|·2^−GUARD ≤ noise + 2^−32 (the rounding of an evaluation is less)."""
    if abs(value) <= (mpz(noise) << GUARD) + (1 << (GUARD // 2)):
        return 0
    return 1 if value > 0 else -1


def _horner(coefficients: Sequence[mpz], x: mpz, prec: int, guard: int) -> mpz:
    """2^guard Σ_k c_k (x·2^−prec)^k, less than one unit lost per coefficient; exact at x = 0 and x = 2^prec."""
    value = mpz(0)
    for c in reversed(coefficients):
        value = (value * x >> prec) + (c << guard)
    return value


def _shifted(value: mpz, bits: int) -> mpz:
    """floor(value·2^bits) for a shift of either sign."""
    return value << bits if bits >= 0 else value >> -bits


def _locate(coefficients: Sequence[mpz], prec: int, lo: mpz, hi: mpz, slope: int) -> mpz:
    """x ∈ [lo, hi] with Σ_k c_k (x·2^−prec)^k = 0, within a few units, for a function monotone with this slope there.

    Newton's iteration kept in the bracket, first with few bits and then with twice as many each time, so that the
    whole costs about two evaluations in full precision. The bits of a value are so many that its error, divided by
    the slope, stays below one unit of x.
    """
    ladder = [prec]
    while ladder[-1] > 160:
        ladder.append(ladder[-1] // 2 + 16)
    size = sum(map(abs, coefficients)).bit_length()
    spare = 2 * len(coefficients).bit_length() + 6
    loss = 4  # log2(Σ|c|/|derivative at the zero|), as far as it is known
    x, x_prec = (lo + hi) >> 1, prec
    for q in reversed(ladder):
        drop = prec - q
        if q < prec and (hi - lo) >> drop < 64:  # the bracket is as good as a zero at this many bits
            continue
        left, right = lo >> drop, -(-hi >> drop)
        while True:
            bits = q + spare + loss - size
            x, steepness = _newton(
                [_shifted(c, bits) for c in coefficients], q, left, right, _shifted(x, q - x_prec), slope
            )
            x_prec = q
            seen = min(q + spare + loss - steepness.bit_length() + 1, 4 * prec + loss)
            if seen <= loss:
                break
            loss = seen + 2
            if q < prec or loss > 4 * prec:
                break
    return min(max(x, lo), hi)


def _newton(coefficients: list[mpz], prec: int, lo: mpz, hi: mpz, x: mpz, slope: int) -> tuple[mpz, mpz]:
    """(x, p'(x)): Newton's iteration from x in the bracket [lo, hi], halving it where Newton does not converge fast."""
    x = min(max(x, lo), hi)
    last = hi - lo
    while True:
        value = derivative = mpz(0)
        for c in reversed(coefficients):
            derivative = (derivative * x >> prec) + value
            value = (value * x >> prec) + c
        if value * slope > 0:
            hi = x
        elif value * slope < 0:
            lo = x
        if value == 0 or hi - lo <= 1:
            return x, derivative
        step = -(value << prec) // derivative if derivative * slope > 0 else last
        if not lo <= x + step <= hi or 2 * abs(step) > last:
            step = ((lo + hi) >> 1) - x
        last = abs(step)
        x += step
        if last <= 1:
            return x, derivative


# --- Bernstein form in float64 ---------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def _to_bernstein(degree: int) -> Floats:
    """[C(j,i)/C(d,i)]_{ji}: power basis to Bernstein basis on [0, 1]."""
    rows = [[math.comb(j, i) / math.comb(degree, i) for i in range(degree + 1)] for j in range(degree + 1)]
    return np.array(rows)


@lru_cache(maxsize=64)
def _halving(degree: int) -> Floats:
    """De Casteljau at 1/2 as a matrix: Bernstein coefficients on [0, 1/2], then those on [1/2, 1]."""
    rows = [[math.comb(j, i) / (1 << j) for i in range(degree + 1)] for j in range(degree + 1)]
    left = np.array(rows)
    return np.concatenate([left, left[::-1, ::-1]])


@lru_cache(maxsize=16)
def _log_factorials(count: int) -> Floats:
    """[log2 n! for n < count]."""
    return np.concatenate([[0.0], np.cumsum(np.log2(np.arange(1.0, count)))])


def _above(value: mpz | int, exponent: int) -> float:
    """A float64 that is at least value·2^−exponent, for value ≥ 0."""
    extra = max(value.bit_length() - 50, 0)
    return _power(float((value >> extra) + 1) if extra else float(value), extra - exponent)


def _power(mantissa: float, exponent: int) -> float:
    """mantissa·2^exponent, at least the smallest positive float64 (where mantissa > 0) and infinite on overflow."""
    try:
        return max(math.ldexp(mantissa, exponent), 5e-324 if mantissa > 0 else 0.0)
    except OverflowError:
        return math.inf


class _Frame(NamedTuple):
    """p(a + w u)·2^−exponent for u ∈ [0, 1] to within tails[0], and its m-th derivative in u to within tails[m]."""

    bernstein: Floats
    exponent: int
    error: float  # rounding of the Bernstein coefficients
    tails: tuple[float, float, float]
    exact: bool  # expanded by `_local_frame`


def _frame(
    values: list[mpz], shifts: list[int], exponent: int, tails: tuple[float, float, float], exact: bool
) -> _Frame:
    """The Bernstein form of Σ_k values[k]·2^−shifts[k] u^k, scaled by 2^−exponent to about 1."""
    powers = np.array(
        [
            math.ldexp(float(_shifted(value, 70 - exponent - shift)), -70)
            for value, shift in zip(values, shifts, strict=True)
        ]
    )
    degree = len(values) - 1
    error = (degree + 8) * EPSILON * float(np.sum(np.abs(powers))) + (degree + 1) * 2.0**-69
    return _Frame(_to_bernstein(degree) @ powers, exponent, error, tails, exact)


def _whole_frame(series: _Series) -> _Frame:
    """p on [0, 1], truncated where the rest is below float64's resolution of Σ|c_k|."""
    degree, exponent = series.degree, series.total.bit_length()
    negligible = series.total >> (56 + degree.bit_length())
    rest, kept = series.total, 0
    for k, c in enumerate(series.coefficients):
        rest -= abs(c)
        kept = k + 1
        if kept > MAX_DEGREE or (kept > 3 and rest <= negligible):
            break
    tail = _above(rest, exponent)
    tails = (tail, degree * tail, float(degree) ** 2 * tail)
    return _frame(series.coefficients[:kept], [0] * kept, exponent, tails, False)


def _local_frame(series: _Series, index: mpz, level: int) -> _Frame:
    """p on [index, index + 1]·2^−level: u^k has the coefficient w^k p^{(k)}(a)/k! = w^k Σ_i C(i,k) c_i a^{i−k}.

    The powers of a carry so many bits that their rounding changes p, p' and p'' (in u) by less than 2^−GUARD. Terms
    are added until Lagrange's remainder, w^k Σ_i C(i,k)|c_i| at most, is below float64's resolution.
    """
    degree = series.degree
    spread = math.ceil(degree * math.log2(1.0 + 2.0**-level)) if level < 60 else 1
    bits = series.total.bit_length() + 3 * (degree + 1).bit_length() + spread + 2 + GUARD
    powers = [mpz(1) << bits]
    for _ in range(degree):
        powers.append(powers[-1] * index >> level)
    values: list[mpz] = []
    shifts: list[int] = []
    peak = -GUARD
    tail = -math.inf
    for k in range(degree + 1):
        value = sum(term * power for term, power in zip(series.weighted(k), powers, strict=False))
        values.append(value)
        shifts.append(bits + k * level)
        if value:
            peak = max(peak, value.bit_length() - shifts[-1])
        tail = series.growth(k + 1) - level * (k + 1) if k < degree else -math.inf
        if k >= MAX_DEGREE or (k >= 3 and tail <= max(peak - 60, -GUARD)):
            break
    dropped = 0.0 if tail == -math.inf else _power(2.0 ** (tail - math.floor(tail)), math.floor(tail) - peak)
    rounding = _power(1.0, -GUARD - peak)
    count = float(len(values))
    tails = (dropped + rounding, count * dropped + rounding, count**2 * dropped + rounding)
    return _frame(values, shifts, peak, tails, True)


# --- the search ------------------------------------------------------------------------------------------------------


class _Leaf(NamedTuple):
    """[lo, hi]·2^−prec with one verdict; left and right are the signs of p proved at the ends (0: none)."""

    lo: mpz
    hi: mpz
    left: int
    right: int
    slope: int  # of p on all of the leaf, beyond order·noise; 0: not monotone
    reason: str = ""  # why it is undecided

    @property
    def excluded(self) -> bool:
        return not self.slope and not self.reason


class _Node(NamedTuple):
    """[index, index + 1]·2^−level, still to be examined; without Bernstein coefficients it starts a new frame."""

    index: mpz
    level: int
    frame: _Frame | None
    depth: int  # halvings since the frame
    bernstein: Floats | None
    error: float


def _fresh(index: mpz, level: int) -> _Node:
    return _Node(index, level, None, 0, None, 0.0)


def _definite(values: Floats, slack: float) -> int:
    """The sign that all values have beyond the slack, or 0."""
    if not values.size:
        return 0
    if values.min() > slack:
        return 1
    return -1 if values.max() < -slack else 0


def _leaves(series: _Series) -> Iterator[_Leaf]:
    """[0, 1] cut into leaves, from left to right and no further than they are asked for."""
    prec, noise = series.prec, series.noise
    smallest = prec // 2  # the level of the smallest intervals
    budget = MAX_INTERVALS * (1 + series.degree // 200)
    whole = _whole_frame(series)
    stack = [_Node(mpz(0), 0, whole, 0, whole.bernstein, whole.error)]
    while stack:
        node = stack.pop()
        index, level = node.index, node.level
        lo, hi = index << (prec - level), (index + 1) << (prec - level)
        budget -= 1
        if budget < 0:
            yield _Leaf(lo, hi, 0, 0, 0, EXHAUSTED)
            continue
        frame, b, error = node.frame, node.bernstein, node.error
        if frame is None or b is None:
            frame = _local_frame(series, index, level)
            b, error = frame.bernstein, frame.error
        degree = b.size - 1
        least, most = float(b.min()), float(b.max())
        blur = error + frame.tails[0]
        noise_here = _above(noise, frame.exponent)

        slack = blur + noise_here
        if least > slack or most < -slack:
            sign = 1 if least > 0 else -1
            yield _Leaf(lo, hi, sign, sign, 0)
            continue
        left = _definite(b[:1], slack)
        right = _definite(b[-1:], slack)

        # d/du = degree × differences on this node; p' in s is that / 2^−level, and must exceed order·noise.
        steps = b[1:] - b[:-1]
        slope_noise = series.order * math.ldexp(noise_here, -level)
        slope = _definite(steps, 2 * error + (math.ldexp(frame.tails[1], -node.depth) + slope_noise) / degree)
        if slope:
            yield _Leaf(lo, hi, left, right, slope)
            continue

        # 2 % more than the noise: intervals about |p| = noise, where float64 cannot tell, must come to an end too.
        if max(most, -least) + blur <= 1.02 * (noise_here + _power(1.0, -GUARD // 2 - frame.exponent)):
            yield _Leaf(lo, hi, 0, 0, 0, FLAT)
            continue
        blurred = max(most, -least) <= 256 * blur
        if degree >= 2 and (blurred or frame.exact or node.depth >= 8):
            bend = steps[1:] - steps[:-1]
            bend_tail = math.ldexp(frame.tails[2], -2 * node.depth) / (degree * (degree - 1))
            convexity = _definite(bend, 4 * error + bend_tail)
            if convexity:
                yield from _around_extremum(series, _Leaf(lo, hi, left, right, 0), convexity)
                continue
        if level >= smallest:
            yield _Leaf(lo, hi, left, right, 0, CLUSTERED)
            continue
        if blurred and node.depth:
            stack.append(_fresh(index, level))
        elif blurred:
            stack += [_fresh(2 * index + 1, level + 1), _fresh(2 * index, level + 1)]
        else:
            halves = (_halving(degree) @ b).reshape(2, degree + 1)
            error += (degree + 8) * EPSILON * max(most, -least)
            for side in (1, 0):
                stack.append(_Node(2 * index + side, level + 1, frame, node.depth + 1, halves[side], error))


def _around_extremum(series: _Series, node: _Leaf, convexity: int) -> Iterator[_Leaf]:
    """min_{[lo,hi]} σp where σp'' > 0 (σ = convexity): its height decides between no zero, two zeros and a tangency."""
    lo, hi = node.lo, node.hi
    rises, falls = convexity * series.slope(lo, 0) >= 0, convexity * series.slope(hi, 0) <= 0
    if rises or falls:  # the minimum is at an end, and a definite slope there is one on the whole node
        x, slope = (lo, convexity) if rises else (hi, -convexity)
        if slope * series.slope(x, series.order * series.noise) > 0:
            yield node._replace(slope=slope)
            return
    else:
        x = _locate(series.derivative, series.prec, lo, hi, convexity)
    if _sign_beyond(_lowest(series, x, lo, hi, convexity), series.noise) > 0:
        yield _Leaf(lo, hi, convexity, convexity, 0)
        return
    bend = max(abs(_horner(series.second_derivative, x, series.prec, 0)), mpz(1))
    # Outer points, where σp has left the noise and only grows beyond: for a parabola twice as far as its zeros.
    depth = abs(series.guarded(series.coefficients, x)) + (mpz(series.noise) << GUARD) + (1 << (GUARD // 2))
    reach = isqrt(_shifted(depth, 2 * series.prec + 3 - GUARD) // bend) + 1
    low, left = _climb(series, x, lo, -reach, convexity)
    high, right = _climb(series, x, hi, reach, convexity)
    inner_low = inner_high = None
    height = convexity * series.sign(x)
    if not height:
        low = _border(series, x, low, 8) if left else low
        high = _border(series, x, high, 8) if right else high
    elif height < 0:
        inner_low = _descents(series, x, lo, -1, convexity, bend)
        inner_high = _descents(series, x, hi, 1, convexity, bend)
    if inner_low is None or inner_high is None:
        middle = [_Leaf(low, high, left, right, 0, TANGENT)]
    else:
        middle = [
            _Leaf(low, inner_low, left, -convexity, -convexity),
            _Leaf(inner_low, inner_high, -convexity, -convexity, 0),
            _Leaf(inner_high, high, -convexity, right, convexity),
        ]
    leaves = [_Leaf(lo, low, convexity, convexity, 0), *middle, _Leaf(high, hi, convexity, convexity, 0)]
    yield from (leaf for leaf in leaves if leaf.lo < leaf.hi)


def _lowest(series: _Series, x: mpz, lo: mpz, hi: mpz, convexity: int) -> mpz:
    """A lower bound of 2^GUARD σp on [lo, hi], however well x approximates the minimum: its tangent, up to the turn."""
    value = convexity * series.guarded(series.coefficients, x)
    slope = convexity * series.guarded(series.derivative, x)
    side, end = (1, hi) if slope < 0 else (-1, lo)
    step = mpz(1)
    while side * (end - x) > step and side * convexity * series.slope(x + side * step, 0) <= 0:
        step *= 2
    reach = min(step, side * (end - x))
    return value - 2 - ((abs(slope) + 2) * reach >> series.prec)


def _descents(series: _Series, x: mpz, end: mpz, side: int, convexity: int, bend: mpz) -> mpz | None:
    """The point next to the extremum x, towards the end, from where on |p'| > order·noise, with σp < −noise there.

    The end itself where p is below the noise all the way; None where p meets the noise first.
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


def _climb(series: _Series, x: mpz, end: mpz, step: mpz, convexity: int) -> tuple[mpz, int]:
    """(y, sign of p at y): from x by growing steps until σp is above the noise, or the end."""
    side = 1 if step > 0 else -1
    while True:
        y = x + step
        if side * (end - y) <= 0:
            return end, series.sign(end)
        if convexity * series.sign(y) > 0:
            return y, convexity
        step *= 2


def _search(coefficients: Sequence[mpz], prec: int, noise: int, upto: mpz | int | None) -> Iterator[Root | Unresolved]:
    """The components of Z from left to right: leaves between two proved signs of p are judged together."""
    if prec < 1:
        raise ValueError(f"prec must be at least 1 bit, got {prec}; pass the number of bits after the binary point")
    if noise < 0:
        raise ValueError(f"noise must not be negative, got {noise}; pass 0 for exact coefficients")
    exact = [mpz(c) for c in coefficients]
    while exact and not exact[-1]:
        exact.pop()
    total = mpz(sum(map(abs, exact)))
    if total <= noise:
        yield Unresolved(0.0, 1.0, IDENTICALLY_ZERO)
        return
    if 2 * abs(exact[0]) > total + noise:
        return
    series = _Series(exact, prec, int(noise), len(coefficients) - 1, total)
    start = series.sign(mpz(0))  # the sign of p where the cluster begins
    cluster: list[_Leaf] = []
    for leaf in _leaves(series):
        if cluster:
            border = leaf.left or cluster[-1].right
            if not border and bool(cluster[-1].slope) != bool(leaf.slope):
                border = series.sign(leaf.lo)
            if border:
                yield from _judge(series, start, cluster, border)
                start, cluster = border, []
        if leaf.excluded:
            start = leaf.left
        else:
            cluster.append(leaf)
            if leaf.right:
                yield from _judge(series, start, cluster, leaf.right)
                start, cluster = leaf.right, []
        if not cluster and upto is not None and leaf.hi > upto:
            return
    if cluster:
        yield from _judge(series, start, cluster, series.sign(series.one))


def _judge(series: _Series, left: int, cluster: list[_Leaf], right: int) -> Iterator[Root | Unresolved]:
    """The component of Z between two proved signs of p; a sign 0 means that it reaches the end of [0, 1]."""
    lo, hi = cluster[0].lo, cluster[-1].hi
    undecided = [leaf for leaf in cluster if leaf.reason]
    whole = not left and not right
    if undecided:
        if left and not cluster[0].reason:
            lo = _border(series, undecided[0].lo, lo, 60)
        if right and not cluster[-1].reason:
            hi = _border(series, undecided[-1].hi, hi, 60)
        reason = undecided[0].reason
        if whole and all(leaf.reason == FLAT for leaf in cluster):
            reason = IDENTICALLY_ZERO
        yield Unresolved(_float(lo, series.prec, -math.inf), _float(hi, series.prec, math.inf), reason)
        return
    slope = cluster[0].slope
    if whole:  # monotone, and within the noise at both ends
        yield Unresolved(0.0, 1.0, IDENTICALLY_ZERO)
    elif left != slope and right != -slope:
        if not left and slope * series.coefficients[0] >= 0:
            position = lo
        elif not right and slope * sum(series.coefficients) <= 0:
            position = hi
        else:
            position = _locate(series.coefficients, series.prec, lo, hi, slope)
        yield Root(position, slope)


def _border(series: _Series, inside: mpz, outside: mpz, halvings: int) -> mpz:
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


def _float(position: mpz, prec: int, towards: float) -> float:
    """position·2^−prec, rounded outward and kept in [0, 1]."""
    value = int(position) / (1 << prec)
    return min(max(math.nextafter(value, towards), 0.0), 1.0)
