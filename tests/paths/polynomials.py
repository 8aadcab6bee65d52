"""Polynomials in fixed point whose zeros are known, and what answers for a zero."""

from fractions import Fraction
from itertools import pairwise
from math import factorial

from gmpy2 import mpz

from symflow.paths.taylor.roots import Root, Unresolved, components


def zeros(coefficients: list[mpz], prec: int, noise: int) -> list[Root | Unresolved]:
    """All components of the set where |p| is within the noise."""
    return list(components(coefficients, prec, noise))


def product(*factors: Fraction | int) -> list[Fraction]:
    """Coefficients of Π (s − r), lowest power first."""
    coefficients = [Fraction(1)]
    for r in factors:
        shifted = [Fraction(0), *coefficients]
        coefficients = [a - r * b for a, b in zip(shifted, [*coefficients, Fraction(0)], strict=True)]
    return coefficients


def fixed(coefficients: list[Fraction], prec: int) -> list[mpz]:
    """The coefficients rounded to multiples of 2^−prec."""
    return [mpz(round(c * 2**prec)) for c in coefficients]


def integral(*factors: Fraction) -> list[mpz]:
    """The product of the factors (d s − n) for zeros n/d: integers, so nothing is rounded."""
    coefficients = product(*factors)
    for r in factors:
        coefficients = [c * r.denominator for c in coefficients]
    return [mpz(c.numerator) for c in coefficients]


def covers(found: Root | Unresolved, zero: Fraction, prec: int, error: Fraction | None = None) -> bool:
    """Whether the item answers for this zero: a Root within the error (four units), an Unresolved around it."""
    if isinstance(found, Root):
        return abs(Fraction(int(found.position), 2**prec) - zero) <= (error or Fraction(4, 2**prec))
    return found.lo <= zero <= found.hi


def assert_simple(found: list[Root | Unresolved], expected: list[Fraction], prec: int, error: Fraction | None = None):
    """Roots only, at the expected places, with alternating slopes."""
    assert all(isinstance(item, Root) for item in found), found
    assert len(found) == len(expected)
    assert all(covers(item, zero, prec, error) for item, zero in zip(found, expected, strict=True))
    assert all(a.slope == -b.slope for a, b in pairwise(found))


def chebyshev(degree: int) -> list[mpz]:
    """T_d(2s − 1): its d zeros are simple and in (0, 1)."""
    a, b = [1], [-1, 2]
    for _ in range(degree - 1):
        twice = [2 * (2 * (b[k - 1] if k else 0) - (b[k] if k < len(b) else 0)) for k in range(len(b) + 1)]
        a, b = b, [c - (a[k] if k < len(a) else 0) for k, c in enumerate(twice)]
    return [mpz(c) for c in b]


def cosine(frequency: int, prec: int) -> list[mpz]:
    """The Taylor series of cos(ωs), to the last term that matters."""
    coefficients, k = [], 0
    while not coefficients or k < frequency or coefficients[-2]:
        coefficients += [(mpz(-1) ** (k // 2) * frequency**k << prec) // factorial(k), mpz(0)]
        k += 2
    return coefficients
