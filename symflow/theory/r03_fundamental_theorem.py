r"""R3: what initial error, defect and one-sided rate make of the distance of two curves; computed here only.

    ||theta(t) - theta~(t)|| <= e^{M(t)} (rho + int_0^t e^{-M(s)} delta(s) ds),    M(t) = int_0^t m.

Time is cut into cells.  An error e at the beginning of a cell, where theta~ may jump by j, is at its end at most

    growth (e + j) + defect * integral,    growth = e^{m h},    integral = int_0^h e^{m s} ds = (e^{m h} - 1)/m,

for the rate m and the defect of the cell (or, where the defect varies, its mean in the weight of the integral).  A
step whose map has a known Lipschitz constant L has growth = L and what it adds in place of the integral.  The fold of
this map over the cells is R3.  Only + and * are asked of the numbers: floats, arrays, mpf, intervals or balls.

Float64 rounds: `fold` enlarges each value by a relative allowance.  What overflows is infinite, a bound that says
nothing; an error that is exactly 0 does not grow.  (Hairer, Norsett & Wanner 1993, Theorem 10.6; Elkabetz & Cohen 2021)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol, TypeVar

import numpy as np

Number = TypeVar("Number")


class Exponentials(Protocol[Number]):
    """The two functions of an arithmetic that cells of constant rate are made of."""

    def exp(self, x: Number) -> Number:
        """e^x."""

    def mean_exp(self, x: Number) -> Number:
        """int_0^1 e^{x s} ds = (e^x - 1)/x, which is 1 at 0."""


class _Float64:
    """NumPy arrays; infinite beyond float64, and never below the value for |x| < 1e-12."""

    def exp(self, x: Any) -> np.ndarray:
        with np.errstate(over="ignore"):
            return np.asarray(np.exp(x))

    def mean_exp(self, x: Any) -> np.ndarray:
        x = np.asarray(x, dtype=float)
        small = np.abs(x) < 1e-12
        with np.errstate(over="ignore", invalid="ignore"):
            found = np.where(small, 1 + np.abs(x), np.expm1(x) / np.where(small, 1.0, x))
        return np.asarray(np.where(np.isnan(found), np.inf, found))


class _Multiprecision:
    """mpmath at the working precision."""

    def exp(self, x: Any) -> Any:
        import mpmath

        return mpmath.exp(x)

    def mean_exp(self, x: Any) -> Any:
        import mpmath

        return mpmath.expm1(x) / x if x else mpmath.mpf(1)


FLOAT64, MULTIPRECISION = _Float64(), _Multiprecision()


def cell(error: Any, growth: Any, defect: Any, integral: Any, jump: Any = 0) -> Any:
    """The error at the end of a cell: growth (error + jump) + defect * integral."""
    return growth * (error + jump) + defect * integral


def constant_rate(rate: Any, time: Any, functions: Exponentials[Any] = FLOAT64) -> tuple[Any, Any]:
    """Growth e^{m h} and its integral (e^{m h} - 1)/m over a cell of length h in which m is constant, of any sign."""
    exponent = rate * time
    return functions.exp(exponent), time * functions.mean_exp(exponent)


def fold(cells: Iterable[tuple[Any, ...]], start: Any = 0.0, allowance: Any = 0.0) -> Iterator[Any]:
    """The error after each cell.

    Args:
        cells: (growth, defect, integral), with a jump at the beginning of the cell as a fourth number where there is
            one.
        start: rho, the error at the beginning.
        allowance: for rounding, relative: each value is multiplied by 1 + allowance.
    """
    error, enlarged = start, 1 + allowance
    for growth, defect, integral, *jump in cells:
        grows = growth if error or any(jump) else 1.0  # 0 times an infinite growth is 0
        error = cell(error, grows, defect, integral, *jump) * enlarged
        yield error


def equal_cells(excess: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What `count` cells of growth q = 1 + excess each are together: q^count, and 1 + q + ... + q^(count - 1).

    In float64; the second is the integral of the cells together where each of them has the integral 1.
    """
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        exponent = count * np.log1p(excess)
        growth = np.nan_to_num(np.exp(exponent), nan=np.inf, posinf=np.inf)
        added = np.expm1(exponent) / np.where(excess == 0, 1.0, excess)
        added = np.where(np.isnan(added), np.inf, added)
    return np.asarray(growth), np.asarray(np.where(excess == 0, count, added))
