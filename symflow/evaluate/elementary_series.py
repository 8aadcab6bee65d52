"""Power series of elementary functions, coefficient by coefficient, as integrals of products: y' = u'(x) x'.

Coefficient k of y is 1/k times coefficient k - 1 of a product of series that are known up to k - 1, so each function
costs one or two online products, which are fast at high order (`relaxed_products.py`). The series of u'(x) comes from
the derivative in the function's record, or the record has a recurrence of its own (log, powers).

    log-sum-exp: l' = sum_i s_i x_i', s_i = e^{x_i - l}.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from gmpy2 import mpz

from symflow.errors import ComputationError
from symflow.evaluate.object_arrays import log_sum_exp
from symflow.evaluate.series_steps import Function
from symflow.numbers.fixed_point import from_mpf, to_mpf
from symflow.programs.rules.elementwise import Coefficients, Elementwise, Product, elementwise


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
    first = elementary_value(u, step.x[0], bits)
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


def elementary_value(u: Elementwise, x: mpz, bits: int) -> mpz:
    """u(x) of a fixed-point number.

    Raises:
        ComputationError: x is outside the domain of u, or too large.
    """
    from mpmath import workprec

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
    with workprec(bits + 32):
        return from_mpf(u.known("mpmath", "power series")(to_mpf(x, bits)), bits)


def fixed_log_sum_exp(values: Iterable[mpz], bits: int) -> mpz:
    """log(sum(exp(v))) of fixed-point numbers."""
    from mpmath import workprec

    with workprec(bits + 32):
        return from_mpf(log_sum_exp([to_mpf(v, bits) for v in values]), bits)
