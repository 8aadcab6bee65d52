"""Power series of elementary functions, coefficient by coefficient, as integrals of products: y' = u'(x) x'.

Coefficient k of y is 1/k times coefficient k - 1 of a product of series that are known up to k - 1, so each function
costs one or two online products, which are fast at high order (`relaxed_products.py`):

    exp: y' = y x';  sin: y' = cos x';  cos: y' = -sin x';  sigmoid: y' = (y - y^2) x';  softplus: y' = sigmoid x';
    1/x: r' = -r^2 x';  log: y' = r x';  x^e: y' = e (r x') y;  log-sum-exp: l' = sum_i s_i x_i', s_i = e^{x_i - l}.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Any

from gmpy2 import mpz

from symflow.errors import ComputationError
from symflow.evaluate.object_arrays import log_sum_exp, real_log, sigmoid, softplus
from symflow.numbers.fixed_point import from_mpf, to_mpf

MAX_EXPONENT = 90_000
"""Largest argument of exp: e^z then has some 130,000 bits before the point, and its series many times as many."""

Coefficients = list[Any]
Product = Callable[[Sequence[tuple[Coefficients, Coefficients]]], Iterator[Any]]
"""Takes pairs of series that grow meanwhile and yields the coefficients of the sum of their products (unshifted)."""


def function_series(
    name: str, exponent: Fraction | None, x: Coefficients, mate: Coefficients, bits: int, product: Product
) -> Iterator[Any]:
    """The coefficients of y = u(x) in fixed point; coefficient k may be asked for when x is known up to k.

    Args:
        name: a function of the table, or "power" with an `exponent`.
        exponent: of the power.
        x: the argument.
        mate: the series in whose terms u' is written: y itself (the list that the caller appends these coefficients to)
            for exp, cosine and sine for each other, y - y^2 for sigmoid, sigmoid for softplus.
        bits: after the point.
        product: multiplies series.

    Raises:
        ComputationError: log or a power outside its domain.
    """
    if exponent is not None:
        return _power(x, exponent, mate, bits, product)
    if name == "log":
        return _log(x, bits, product)
    return _integrated(name, x, mate, bits, product)


def _integrated(name: str, x: Coefficients, mate: Coefficients, bits: int, product: Product) -> Iterator[Any]:
    """y' = +-mate x'."""
    yield elementary_value(name, None, x[0], bits)
    slope: Coefficients = []
    # The mate may be ahead by one coefficient; the product wants series of equal length.
    known: Coefficients = []
    products = product([(slope, known)])
    sign = -1 if name == "cos" else 1
    k = 1
    while True:
        slope.append(k * x[k])
        known.append(mate[k - 1])
        yield sign * (next(products) >> bits) // k
        k += 1


def _reciprocal(x: Coefficients, slope: Coefficients, bits: int, product: Product) -> Iterator[Any]:
    """r = 1/x; `slope` holds the coefficients k x_k, to which the caller appends."""
    r: Coefficients = [elementary_value("power", Fraction(-1), x[0], bits)]
    squares: Coefficients = []
    square, change = product([(r, r)]), product([(squares, slope)])
    yield r[0]
    k = 1
    while True:
        squares.append(next(square) >> bits)
        r.append(-(next(change) >> bits) // k)
        yield r[k]
        k += 1


def _log(x: Coefficients, bits: int, product: Product) -> Iterator[Any]:
    """y' = r x' with r = 1/x."""
    yield elementary_value("log", None, x[0], bits)
    slope: Coefficients = []
    r: Coefficients = []
    reciprocal, products = _reciprocal(x, slope, bits, product), product([(slope, r)])
    k = 1
    while True:
        # r_{k-1} needs the slope up to x_{k-1} only.
        r.append(next(reciprocal))
        slope.append(k * x[k])
        yield (next(products) >> bits) // k
        k += 1


def _power(x: Coefficients, exponent: Fraction, y: Coefficients, bits: int, product: Product) -> Iterator[Any]:
    """y' = e (r x') y with r = 1/x; y is the list that these coefficients are appended to."""
    yield elementary_value("power", exponent, x[0], bits)
    slope: Coefficients = []
    r: Coefficients = []
    relative: Coefficients = []
    known: Coefficients = []
    reciprocal, rates = _reciprocal(x, slope, bits, product), product([(slope, r)])
    products = product([(relative, known)])
    p, q = exponent.numerator, exponent.denominator
    k = 1
    while True:
        r.append(next(reciprocal))
        slope.append(k * x[k])
        relative.append(next(rates) >> bits)
        known.append(y[k - 1])
        yield p * (next(products) >> bits) // (q * k)
        k += 1


def log_sum_exp_series(
    xs: Sequence[Coefficients], shares: Sequence[Coefficients], bits: int, product: Product
) -> Iterator[Any]:
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


def elementary_value(name: str, exponent: Fraction | None, x: Any, bits: int) -> mpz:
    """u(x) of a fixed-point number.

    Raises:
        ComputationError: log or a power outside its domain, or an exponential beyond `MAX_EXPONENT`.
    """
    from mpmath import mp, workprec

    integer = exponent is not None and exponent.denominator == 1
    if ((name == "log" or (exponent is not None and not integer)) and x <= 0) or (exponent is not None and x == 0):
        raise ComputationError(
            f"{name if exponent is None else f'the power {exponent}'} of {float(to_mpf(x, bits)):.6g} has no "
            "Taylor series; the flow leaves the domain of the objective, choose a shorter horizon"
        )
    if name == "exp" and x > MAX_EXPONENT << bits:
        raise ComputationError(
            f"exp({float(to_mpf(x, bits)):.6g}) is too large to compute with (arguments up to {MAX_EXPONENT}); start "
            "nearer to a minimum, or scale data and weights"
        )
    with workprec(bits + 32):
        number = to_mpf(x, bits)
        if exponent is None:
            return from_mpf(elementary(name)(number), bits)
        return from_mpf(number ** (mp.mpf(exponent.numerator) / exponent.denominator), bits)


def fixed_log_sum_exp(values: Iterable[Any], bits: int) -> mpz:
    """log(sum(exp(v))) of fixed-point numbers."""
    from mpmath import workprec

    with workprec(bits + 32):
        return from_mpf(log_sum_exp([to_mpf(v, bits) for v in values]), bits)


def elementary(name: str) -> Callable[[Any], Any]:
    """A function of the table on mpmath numbers."""
    from mpmath import mp

    own: dict[str, Callable[[Any], Any]] = {"log": real_log, "softplus": softplus, "sigmoid": sigmoid}
    found: Callable[[Any], Any] = own.get(name) or getattr(mp, name)
    return found
