"""Standardized and whitened inputs: exact but for one square root, which is rounded to a rational."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from symflow.errors import ProblemError

MAX_WHITENED = 64
"""Most inputs that are whitened (an eigenvalue problem in software arithmetic)."""
GUARD_DIGITS = 20
"""Digits beyond ``dps`` to which the square root is kept."""
_MAX_BITS = 1_000_000


@dataclass(frozen=True, eq=False)
class Scaling:
    """How inputs are standardized, whitened or both, which takes square roots and so depends on the number of digits.

    Attributes:
        inputs: the inputs as they were given, (N, d_0) read-only object array of `Fraction`.
        standardize: whether they are standardized.
        whiten: whether they are whitened, after that.
    """

    inputs: np.ndarray
    standardize: bool
    whiten: bool

    def scaled(self, dps: int, where: str) -> np.ndarray:
        """The inputs as they are used, right to more than ``dps`` digits; a read-only array.

        Raises:
            ProblemError: see `standardize` and `whiten`.
        """
        x = self.inputs
        if self.standardize:
            x = standardize(x, dps, where)
        if self.whiten:
            x = whiten(x, dps, where)
        x.flags.writeable = False
        return x


def standardize(x: np.ndarray, dps: int, where: str) -> np.ndarray:
    """(x_ij - m_j) r_j with the column mean m_j and r_j = 1/sqrt(v_j), v_j = (1/N) sum_i (x_ij - m_j)^2.

    The mean is exact, r_j is a rational within a relative 10^-(dps + 20) of the root.

    Args:
        x: (N, d) object array of ``Fraction``.
        dps: decimal digits of the run.
        where: what x is, for the error message.

    Raises:
        ProblemError: A column is constant (its number is given, counted from 0).
    """
    centred, denominator = _centre(x, where)
    samples, width = x.shape
    result = np.empty_like(x)
    for j in range(width):
        variance = Fraction(sum(c * c for c in centred[:, j]), samples * denominator**2)
        if not variance:
            raise ProblemError(f"{where}: input column {j} is constant, so it cannot be standardized; leave it out")
        digits = dps + GUARD_DIGITS + max(0, _decimals(_log2(variance) // 2 + 1))
        root = Fraction(math.isqrt(10 ** (2 * digits) * variance.denominator // variance.numerator), 10**digits)
        for i in range(samples):
            result[i, j] = Fraction(centred[i, j], denominator) * root
    return result


def whiten(x: np.ndarray, dps: int, where: str) -> np.ndarray:
    """(x_i - m) A with A = S^(-1/2), S = (1/N) sum_i (x_i - m)(x_i - m)^T, so that the new covariance is I.

    The mean m and S are exact; the symmetric root A is computed by mpmath and rounded to rationals such that the new
    covariance is I to about ``dps + 20`` digits.

    Args:
        x: (N, d) object array of ``Fraction``, d at most 64.
        dps: decimal digits of the run.
        where: what x is, for the error message.

    Raises:
        ProblemError: S is singular or d is too large.
    """
    import mpmath
    from sympy import QQ
    from sympy.polys.matrices import DomainMatrix

    samples, width = x.shape
    if width > MAX_WHITENED:
        raise ProblemError(f"{where}: at most {MAX_WHITENED} inputs can be whitened, got {width}; choose fewer columns")
    centred, denominator = _centre(x, where)
    gram = centred.T @ centred  # integers: S is gram / unit
    unit = samples * denominator**2
    determinant = 0
    if samples > width:
        exact = DomainMatrix([[QQ(int(entry)) for entry in row] for row in gram], (width, width), QQ)
        determinant = int(exact.det())
    if determinant <= 0:
        raise ProblemError(
            f"{where}: the covariance of the {width} inputs over {samples} samples is singular, so they cannot be "
            "whitened; use more samples or drop inputs that depend on others"
        )
    trace = int(sum(gram[j, j] for j in range(width)))
    # smallest eigenvalue >= determinant / trace^(d-1): so many digits may cancel
    lost = _decimals(width * trace.bit_length() - determinant.bit_length() + 1)
    if lost > 10_000:
        raise ProblemError(
            f"{where}: the covariance is too close to singular to be whitened; drop nearly dependent inputs"
        )
    digits = dps + GUARD_DIGITS + max(0, _decimals((_log2(Fraction(trace, unit)) + 1) // 2 + 1))
    with mpmath.workdps(digits + GUARD_DIGITS + 2 * lost):
        values, vectors = mpmath.eigsy(mpmath.matrix([[mpmath.mpf(int(g)) for g in row] for row in gram]) / unit)
        scaled = mpmath.matrix(width, width)
        for k in range(width):
            factor = values[k] ** mpmath.mpf("-0.25")
            for i in range(width):
                scaled[i, k] = vectors[i, k] * factor
        shift = mpmath.mpf(10) ** digits
        root = np.empty((width, width), dtype=object)
        for i in range(width):
            for k in range(i + 1):
                entry = mpmath.fsum(scaled[i, m] * scaled[k, m] for m in range(width))
                root[i, k] = root[k, i] = int(mpmath.nint(entry * shift))
    product = centred @ root
    bottom = denominator * 10**digits
    result = np.empty_like(x)
    for i in range(samples):
        for j in range(width):
            result[i, j] = Fraction(int(product[i, j]), bottom)
    return result


def _centre(x: np.ndarray, where: str) -> tuple[np.ndarray, int]:
    """Integers c and d with x_ij - m_j = c_ij / d exactly."""
    common = 1
    for value in x.flat:
        common = math.lcm(common, value.denominator)
        if common.bit_length() > _MAX_BITS:
            raise ProblemError(
                f"{where}: the numbers' common denominator is beyond {_MAX_BITS} bits; give decimals to scale them"
            )
    samples = len(x)
    scaled = np.empty(x.shape, dtype=object)
    for index, value in np.ndenumerate(x):
        scaled[index] = value.numerator * (common // value.denominator) * samples
    means = scaled.sum(axis=0)
    centred = scaled - np.array([int(total) // samples for total in means], dtype=object)
    return centred, common * samples


def _log2(value: Fraction) -> int:
    """log2 of a positive number, off by less than one."""
    return value.numerator.bit_length() - value.denominator.bit_length()


def _decimals(bits: int) -> int:
    """Decimal digits that these bits hold, rounded away from zero."""
    return math.ceil(bits * 0.30103) if bits > 0 else math.floor(bits * 0.30103)
