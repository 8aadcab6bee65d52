"""The search: [0, 1] is cut into intervals with a definite verdict each, and the components of Z are read off them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from gmpy2 import mpz

from symflow.paths.taylor.roots.bernstein import (
    EPSILON,
    Floats,
    Frame,
    above,
    definite_sign,
    halving,
    local_frame,
    power_of_two,
    whole_frame,
)
from symflow.paths.taylor.roots.extremum import Leaf, around_extremum, noise_border
from symflow.paths.taylor.roots.newton import GUARD, FixedPolynomial, locate

IDENTICALLY_ZERO = "identically zero within the rounding noise"
FLAT = "within the rounding noise of zero and without a definite slope there"
CLUSTERED = "a multiple zero, or zeros closer together than half the digits of the working precision resolve"
EXHAUSTED = "the search ended at its budget of intervals"

MAX_INTERVALS = 20_000
"""Most intervals one search examines (in proportion more for degrees above 200); the rest is reported unresolved."""


@dataclass(frozen=True)
class Root:
    """s = position 2^-prec with p(s) = 0 and slope = sign p'(s): one simple zero.

    Attributes:
        position: s 2^prec, within a few units + noise/|p'(s)| of the zero, never outside [0, 2^prec].
        slope: +1 or -1.
    """

    position: mpz
    slope: int


@dataclass(frozen=True)
class Unresolved:
    """[lo, hi] within [0, 1] where p may touch zero, and whether it does cannot be told at the working precision.

    Attributes:
        lo: left end, rounded down.
        hi: right end, rounded up.
        reason: what was found; more digits (a larger prec, a smaller noise) are the remedy.
    """

    lo: float
    hi: float
    reason: str


def excludes_zero(coefficients: Sequence[mpz], noise: int) -> bool:
    """|c_0| > sum_{k>=1} |c_k| + noise: true means that p has no zero in [0, 1], false means nothing.

    Args:
        coefficients: the integers c_k 2^prec, lowest power first.
        noise: bound on the error of p on [0, 1], in units of 2^-prec.
    """
    return bool(coefficients) and 2 * abs(coefficients[0]) > sum(map(abs, coefficients)) + noise


def first_zero(coefficients: Sequence[mpz], prec: int, noise: int) -> Root | Unresolved | None:
    """min {s in [0, 1] : p(s) = 0}, or None where there is none; see `components`."""
    if prec >= 1 and noise >= 0 and excludes_zero(coefficients, noise):  # the common case, before anything is set up
        return None
    return next(components(coefficients, prec, noise), None)


def components(coefficients: Sequence[mpz], prec: int, noise: int) -> Iterator[Root | Unresolved]:
    """The components of Z = {s in [0, 1] : |p(s)| <= noise 2^-prec} from left to right; none is missed.

    Args:
        coefficients: the integers c_k 2^prec, lowest power first.
        prec: bits after the binary point.
        noise: bound on the error of p on [0, 1], in units of 2^-prec.

    Raises:
        ValueError: prec < 1 or noise < 0.
    """
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
    elif 2 * abs(exact[0]) <= total + noise:
        yield from _clusters(FixedPolynomial(exact, prec, int(noise), len(coefficients) - 1, total))


def _clusters(series: FixedPolynomial) -> Iterator[Root | Unresolved]:
    """The components of Z: the leaves between two proved signs of p are judged together."""
    start = series.sign(mpz(0))  # the sign of p where the cluster begins
    cluster: list[Leaf] = []
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
    if cluster:
        yield from _judge(series, start, cluster, series.sign(series.one))


def _judge(series: FixedPolynomial, left: int, cluster: list[Leaf], right: int) -> Iterator[Root | Unresolved]:
    """The component of Z between two proved signs of p; a sign 0 means that it reaches the end of [0, 1]."""
    lo, hi = cluster[0].lo, cluster[-1].hi
    undecided = [leaf for leaf in cluster if leaf.reason]
    whole = not left and not right
    if undecided:
        if left and not cluster[0].reason:
            lo = noise_border(series, undecided[0].lo, lo, 60)
        if right and not cluster[-1].reason:
            hi = noise_border(series, undecided[-1].hi, hi, 60)
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
            position = locate(series.coefficients, series.prec, lo, hi, slope)
        yield Root(position, slope)


def _float(position: mpz, prec: int, towards: float) -> float:
    """position 2^-prec, rounded outward and kept in [0, 1]."""
    value = int(position) / (1 << prec)
    return min(max(math.nextafter(value, towards), 0.0), 1.0)


@dataclass(frozen=True)
class _Node:
    """[index, index + 1] 2^-level with the Bernstein form of p on it.

    Attributes:
        index: of the interval.
        level: of the interval.
        frame: the expansion that the form was halved from.
        depth: halvings since the frame.
        bernstein: the Bernstein coefficients on the interval.
        error: bound on their rounding.
    """

    index: mpz
    level: int
    frame: Frame
    depth: int
    bernstein: Floats
    error: float

    @cached_property
    def least(self) -> float:
        """A lower bound of p on the interval, up to the blur."""
        return float(self.bernstein.min())

    @cached_property
    def most(self) -> float:
        """An upper bound of p on the interval, up to the blur."""
        return float(self.bernstein.max())

    @property
    def size(self) -> float:
        """A bound of |p| on the interval, up to the blur."""
        return max(self.most, -self.least)

    @property
    def blur(self) -> float:
        """Bound on the error of the Bernstein form: rounding, and the terms left out."""
        return self.error + self.frame.tails[0]

    @property
    def blurred(self) -> bool:
        """Whether p is too small here for the digits of its frame."""
        return self.size <= 256 * self.blur

    def ends(self, prec: int) -> tuple[mpz, mpz]:
        """The ends of the interval in fixed point."""
        return _ends(self.index, self.level, prec)


def _ends(index: mpz, level: int, prec: int) -> tuple[mpz, mpz]:
    return index << (prec - level), (index + 1) << (prec - level)


def _expanded(series: FixedPolynomial, index: mpz, level: int) -> _Node:
    """An interval in a frame of its own."""
    frame = local_frame(series, index, level) if level else whole_frame(series)
    return _Node(index, level, frame, 0, frame.bernstein, frame.error)


_Waiting: TypeAlias = tuple[mpz, int, _Node | None]
"""The index and level of an interval still to be examined, and its Bernstein form where it need not be expanded."""


def _leaves(series: FixedPolynomial) -> Iterator[Leaf]:
    """[0, 1] cut into leaves, from left to right and no further than they are asked for."""
    stack: list[_Waiting] = [(mpz(0), 0, None)]
    for _ in range(MAX_INTERVALS * (1 + series.degree // 200)):
        if not stack:
            return
        index, level, known = stack.pop()
        node = known or _expanded(series, index, level)
        found = _verdict(series, node)
        if found is None:
            stack += _parts(node)
        else:
            yield from found
    for index, level, _ in reversed(stack):
        yield Leaf(*_ends(index, level, series.prec), 0, 0, 0, EXHAUSTED)


def _parts(node: _Node) -> list[_Waiting]:
    """What is examined in place of an interval without a verdict, the part on the right first."""
    index, level = node.index, node.level
    if node.blurred and node.depth:
        return [(index, level, None)]
    if node.blurred:
        return [(2 * index + 1, level + 1, None), (2 * index, level + 1, None)]
    degree = node.bernstein.size - 1
    left, right = (halving(degree) @ node.bernstein).reshape(2, degree + 1)
    error = node.error + (degree + 8) * EPSILON * node.size
    return [
        (i, level + 1, _Node(i, level + 1, node.frame, node.depth + 1, half, error))
        for i, half in ((2 * index + 1, right), (2 * index, left))
    ]


def _verdict(series: FixedPolynomial, node: _Node) -> Iterable[Leaf] | None:
    """The leaves of an interval, or None where it must be examined in parts."""
    frame, depth, degree = node.frame, node.depth, node.bernstein.size - 1
    lo, hi = node.ends(series.prec)
    noise = above(series.noise, frame.exponent)
    slack = node.blur + noise
    if node.least > slack or node.most < -slack:
        sign = 1 if node.least > 0 else -1
        return (Leaf(lo, hi, sign, sign, 0),)
    left, right = definite_sign(node.bernstein[:1], slack), definite_sign(node.bernstein[-1:], slack)

    # d/du = degree * differences on this node; p' in s is that / 2^-level, and must exceed order * noise.
    steps = node.bernstein[1:] - node.bernstein[:-1]
    slope_noise = series.order * math.ldexp(noise, -node.level)
    slope = definite_sign(steps, 2 * node.error + (math.ldexp(frame.tails[1], -depth) + slope_noise) / degree)
    if slope:
        return (Leaf(lo, hi, left, right, slope),)

    # 2 % more than the noise: intervals about |p| = noise, where float64 cannot tell, must come to an end too.
    if node.size + node.blur <= 1.02 * (noise + power_of_two(1.0, -GUARD // 2 - frame.exponent)):
        return (Leaf(lo, hi, 0, 0, 0, FLAT),)
    if degree >= 2 and (node.blurred or frame.exact or depth >= 8):
        bend_tail = math.ldexp(frame.tails[2], -2 * depth) / (degree * (degree - 1))
        convexity = definite_sign(steps[1:] - steps[:-1], 4 * node.error + bend_tail)
        if convexity:
            return around_extremum(series, Leaf(lo, hi, left, right, 0), convexity)
    if node.level >= series.prec // 2:
        return (Leaf(lo, hi, left, right, 0, CLUSTERED),)
    return None
