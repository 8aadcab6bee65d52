"""Balls: exact conversions, outward ends, and one precision for the whole process that threads take in turn."""

from __future__ import annotations

import sys
import threading
from fractions import Fraction
from math import inf, nextafter

import flint
import mpmath
import pytest
from flint import arb, fmpq
from hypothesis import given
from hypothesis import strategies as st

from symflow.errors import ComputationError
from symflow.numbers import balls

FRACTIONS = st.builds(
    lambda p, q, e: Fraction(p, q) * Fraction(2) ** e,
    st.integers(-(10**40), 10**40), st.integers(1, 10**12), st.integers(-300, 300),
)  # fmt: skip


def ends(x: arb) -> tuple[Fraction, Fraction]:
    """The ends of a ball, exactly, from FLINT's own integers."""
    m, r = (Fraction(int(a)) * Fraction(2) ** int(e) for a, e in (x.mid().man_exp(), x.rad().man_exp()))
    return m - r, m + r


@given(FRACTIONS, st.integers(2, 200))
def test_a_ball_contains_its_number(q: Fraction, bits: int) -> None:
    with balls.ball_precision(bits):
        x = balls.ball(q)
    low, high = ends(x)
    assert low <= q <= high
    assert (low == high) == (q.denominator & (q.denominator - 1) == 0)


@given(FRACTIONS, st.integers(2, 90))
def test_conversions_are_exact_or_outward(q: Fraction, bits: int) -> None:
    with balls.ball_precision(bits):
        x = balls.around(balls.ball(q), arb(fmpq(1, 7)))
        low, high = ends(x)
        assert high - low >= Fraction(2, 7)
        exact = [balls.exact_fraction(balls.from_mpf(v)) for v in (balls.lower(x), balls.upper(x), balls.magnitude(x))]
        above = balls.float_above(x)
        middle, width = (balls.exact_fraction(balls.from_mpf(v)) for v in (balls.midpoint(x), balls.radius(x)))
    assert exact[0] <= low
    assert high <= exact[1]
    assert exact[2] >= max(-low, high)
    assert (middle - width, middle + width) == (low, high)
    assert above == inf or high <= Fraction(above)


def test_what_is_above_in_float64_is_next_to_the_ball() -> None:
    with balls.ball_precision(200):
        third, huge, tiny = balls.ball(Fraction(1, 3)), arb(10) ** 400, arb(10) ** -400
        for x in (third, -third):
            assert Fraction(nextafter(balls.float_above(x), -1)) < (1 if x > 0 else -1) * Fraction(1, 3)
        assert (balls.float_above(huge), balls.float_above(-huge)) == (inf, -nextafter(inf, 0))
        assert (balls.float_above(tiny), balls.float_above(-tiny)) == (5e-324, 0.0)
        assert balls.float_above(balls.ball(5)) == 5.0


def test_what_is_not_finite_says_nothing() -> None:
    nothing = arb(1) / arb(0)
    assert balls.upper(nothing) == balls.magnitude(nothing) == balls.radius(nothing) == mpmath.inf
    assert balls.lower(nothing) == -mpmath.inf
    assert not balls.is_exact(nothing)
    assert balls.float_above(nothing) == inf
    with pytest.raises(ComputationError, match="finite"):
        balls.from_mpf(mpmath.inf)
    with pytest.raises(ValueError, match="exact"):
        balls.exact_fraction(arb(fmpq(1, 3)))


def _fails_inside(bits: int) -> None:
    with balls.ball_precision(bits):
        assert flint.ctx.prec == bits
        raise RuntimeError


def test_precision_is_restored_also_after_errors_and_when_nested() -> None:
    before = flint.ctx.prec
    with balls.ball_precision(300):
        with pytest.raises(RuntimeError):
            _fails_inside(70)
        assert flint.ctx.prec == 300
    assert flint.ctx.prec == before


def _mixed(owned: bool) -> bool:
    """Whether threads that compute with different precisions ever see another's."""
    wrong: list[int] = []
    together = threading.Barrier(4)

    def work(bits: int) -> None:
        together.wait()
        for _ in range(50):
            if owned:
                with balls.ball_precision(bits):
                    found = [int((arb(1) / 3).rel_accuracy_bits()) for _ in range(200)]
            else:
                flint.ctx.prec = bits
                found = [int((arb(1) / 3).rel_accuracy_bits()) for _ in range(200)]
            wrong.extend(v for v in found if abs(v - bits) > 3)

    threads = [threading.Thread(target=work, args=(bits,)) for bits in (60, 120, 240, 480)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return bool(wrong)


def test_threads_take_the_precision_in_turn() -> None:
    before, interval = flint.ctx.prec, sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        assert not _mixed(True)
        assert flint.ctx.prec == before
        assert _mixed(False)  # FLINT alone: one precision, seen by all threads
    finally:
        sys.setswitchinterval(interval)
        flint.ctx.prec = before
