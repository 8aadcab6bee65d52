"""Power series of elementary functions, coefficient by coefficient, as integrals of products: y' = u'(x) x'.

Coefficient k of y is 1/k times coefficient k - 1 of a product of series that are known up to k - 1, so each function
costs one or two online products, which are fast at high order (`relaxed_products.py`). The series of u'(x) comes from
the derivative in the function's record, or the record has a recurrence of its own (log, powers).

    log-sum-exp: l' = sum_i s_i x_i', s_i = e^{x_i - l}.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import reduce
from operator import add
from typing import TYPE_CHECKING

from gmpy2 import mpz

from symflow.errors import ComputationError
from symflow.evaluate.series_steps import Function
from symflow.numbers.fixed_point import from_mpf, to_mpf
from symflow.programs.rules.elementwise import Coefficients, Elementwise, Product, elementwise

if TYPE_CHECKING:
    from flint import arb


def function_series(step: Function, bits: int, product: Product) -> Iterator[mpz]:
    """The coefficients of y = u(x) in fixed point; coefficient k may be asked for when x is known up to k.

    Args:
        step: the function; what is yielded is appended to `step.out` by the caller.
        bits: after the point.
        product: multiplies series.

    Raises:
        ComputationError: an argument outside the function's domain.
    """
    u = elementwise(step.name, step.exponent)
    (first,) = elementary_values(u, [step.x[0]], bits)
    if step.derivative is None:
        recurrence = u.known("recurrence", "power series")
        yield from recurrence(first, step.x, step.out, bits, product)
        return
    yield first
    slope: Coefficients = []
    # The derivative may be ahead by one coefficient; the product wants series of equal length.
    known: Coefficients = []
    products = product([(slope, known)])
    k = 1
    while True:
        slope.append(k * step.x[k])
        known.append(step.derivative[k - 1])
        yield step.sign * (next(products) >> bits) // k
        k += 1


def log_sum_exp_series(
    xs: Sequence[Coefficients], shares: Sequence[Coefficients], bits: int, product: Product
) -> Iterator[mpz]:
    """The coefficients of l = log(sum_i e^{x_i}), from the earlier ones of s_i = e^{x_i - l}."""
    yield fixed_log_sum_exp((x[0] for x in xs), bits)
    slopes: list[Coefficients] = [[] for _ in xs]
    products = product(list(zip(slopes, shares, strict=True)))
    k = 1
    while True:
        for slope, x in zip(slopes, xs, strict=True):
            slope.append(k * x[k])
        yield (next(products) >> bits) // k
        k += 1


def elementary_values(u: Elementwise, xs: Sequence[mpz], bits: int) -> list[mpz]:
    """u(x) of fixed-point numbers.

    Raises:
        ComputationError: x is outside the domain of u, or too large.
    """
    from mpmath import workprec

    for x in xs:
        check(u, x, bits)
    if u.name == "exp":  # by FLINT: three times as fast as mpmath
        return _by_balls([[x] for x in xs], bits, lambda balls: balls[0].exp())
    f = u.known("mpmath", "power series")
    with workprec(bits + 32):
        return [from_mpf(f(to_mpf(x, bits)), bits) for x in xs]


def check(u: Elementwise, x: mpz, bits: int) -> None:
    """Refuses an argument.

    Raises:
        ComputationError: see `elementary_values`.
    """
    if (u.domain == "positive" and x <= 0) or (u.domain == "nonzero" and x == 0):
        raise ComputationError(
            f"{u.name} of {float(to_mpf(x, bits)):.6g} has no Taylor series; the flow leaves the domain of the "
            "objective, choose a shorter horizon"
        )
    if u.largest is not None and x > u.largest << bits:
        raise ComputationError(
            f"{u.name}({float(to_mpf(x, bits)):.6g}) is too large to compute with (arguments up to {u.largest}); start "
            "nearer to a minimum, or scale data and weights"
        )


def fixed_log_sum_exp(values: Iterable[mpz], bits: int) -> mpz:
    """log(sum(exp(v))) of fixed-point numbers."""
    return fixed_log_sums([list(values)], bits)[0]


def fixed_log_sums(rows: Sequence[Sequence[mpz]], bits: int) -> list[mpz]:
    """The same of many rows."""
    tops = [max(row) for row in rows]
    below = [[v - top for v in row] for row, top in zip(rows, tops, strict=True)]
    found = _by_balls(below, bits, lambda balls: reduce(add, [b.exp() for b in balls]).log())
    return [top + v for top, v in zip(tops, found, strict=True)]


def _by_balls(rows: Sequence[Sequence[mpz]], bits: int, function: Callable[[Sequence[arb]], arb]) -> list[mpz]:
    """A function of rows of fixed-point numbers, by FLINT."""
    from symflow.numbers.balls import ball_precision, from_fixed

    with ball_precision(bits + 32):
        found = [function([from_fixed(v, bits) for v in row]).mid().man_exp() for row in rows]
    return [_rounded(mpz(int(mantissa)), int(exponent) + bits) for mantissa, exponent in found]


def _rounded(mantissa: mpz, shift: int) -> mpz:
    """mantissa 2^shift to the nearest integer."""
    return mantissa << shift if shift >= 0 else ((mantissa >> (-shift - 1)) + 1) >> 1
