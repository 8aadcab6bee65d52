"""log, of positive numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import mpmath
import numpy as np
import sympy

from symflow.errors import ComputationError
from symflow.programs.rules.elementwise import Coefficients, Elementwise, Interval, Product, between_ends, power
from symflow.programs.rules.functions.power import reciprocal_series
from symflow.programs.rules.series_bounds import Expanded, perturbed, power_norm

if TYPE_CHECKING:
    from gmpy2 import mpz

    from symflow.numbers.types import Mpf


def real_log(x: Mpf) -> Mpf:
    """log(x).

    Raises:
        ComputationError: x <= 0.
    """
    if x <= 0:
        raise ComputationError(f"log of {mpmath.nstr(x, 6)} is not a real number; theta is outside the loss's domain")
    return mpmath.log(x)


def _series(first: mpz, x: Coefficients, y: Coefficients, bits: int, product: Product) -> Iterator[Any]:
    """y' = r x' with r = 1/x."""
    yield first
    slope: Coefficients = []
    r: Coefficients = []
    reciprocal, products = reciprocal_series(x, slope, bits, product), product([(slope, r)])
    k = 1
    while True:
        # r_{k-1} needs the slope up to x_{k-1} only.
        r.append(next(reciprocal))
        slope.append(k * x[k])
        yield (next(products) >> bits) // k
        k += 1


def _remainder(u: Expanded) -> float:
    """With r = x^ y^' - x^': y^ - log x^ = (y^ - log x^)_0 + int r / x^."""
    inverse = power_norm(u, -1)
    return u.initial + u.residual(1, 0, 1) * inverse + perturbed(u, 1.0, -1)


def _error(u: Interval) -> np.ndarray:
    low = u.low
    error = np.where(low > 0, np.abs(np.log1p(u.error / np.where(low > 0, low, 1.0))), np.inf)
    return np.asarray(error + u.ulps * np.maximum(np.abs(u.value), 1.0))


LOG = Elementwise(
    "log",
    derivative=lambda x, y: power(x, -1),
    mpmath=real_log,
    numpy=np.log,
    jax=lambda jax, x: jax.numpy.log(x),
    sympy=sympy.log,
    source="xp.log({0})",
    recurrence=_series,
    domain="positive",
    remainder=_remainder,
    ball=between_ends(lambda x: x.log()),
    error=_error,
)
