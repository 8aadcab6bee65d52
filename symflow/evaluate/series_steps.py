"""What a power-series recurrence is made of: entries, steps, and the arithmetic that they are computed in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeAlias

from symflow.evaluate.products import Coefficients, Pairs, Scaled

if TYPE_CHECKING:
    from gmpy2 import mpz


Following: TypeAlias = Callable[[], "mpz"]
"""Gives the next coefficient of a series at each call."""


class Expansion(Protocol):
    """One expansion: each call of what these return gives the next coefficient of a series."""

    def convolver(self, pairs: Pairs, scaled: Scaled) -> Following: ...
    def function(self, step: Function) -> Following: ...
    def log_sum_exp(self, xs: Sequence[Coefficients], shares: Sequence[Coefficients]) -> Following: ...


class SeriesArithmetic(Protocol):
    """Numbers and the few operations on coefficient lists that the recurrences need."""

    def lift(self, q: Fraction) -> mpz: ...
    def combine(self, terms: Sequence[tuple[int, Coefficients]], denominator: int) -> mpz: ...
    def integrate(self, coefficient: mpz, order: int, tau: int) -> mpz: ...
    def horner(self, coefficients: Coefficients, s: mpz) -> mpz: ...
    def expansion(self, order: int) -> Expansion: ...


Entry: TypeAlias = "Fraction | Coefficients | None"
"""An array entry: zero by structure, a constant, or a series (its coefficient list)."""


@dataclass(frozen=True)
class Product:
    """out = sum a b + sum c x + constant."""

    out: Coefficients
    pairs: list[tuple[Coefficients, Coefficients]]
    scaled: list[tuple[mpz, Coefficients]]
    constant: mpz | None = None

    def following(self, arithmetic: SeriesArithmetic, expansion: Expansion) -> Following:
        """The next coefficient, without the constant."""
        return expansion.convolver(self.pairs, self.scaled)


@dataclass(frozen=True)
class Sum:
    """out = sum n x / denominator + constant, with integers n."""

    out: Coefficients
    terms: list[tuple[int, Coefficients]]
    denominator: int = 1
    constant: mpz | None = None

    def following(self, arithmetic: SeriesArithmetic, expansion: Expansion) -> Following:
        """The next coefficient, without the constant."""
        return partial(arithmetic.combine, self.terms, self.denominator)


@dataclass(frozen=True)
class Function:
    """out = u(x) for an elementwise function; where it is an integral, u'(x) = `sign` `derivative`."""

    out: Coefficients
    name: str
    exponent: Fraction | None
    x: Coefficients
    derivative: Coefficients | None = None
    sign: int = 1
    constant: None = None

    def following(self, arithmetic: SeriesArithmetic, expansion: Expansion) -> Following:
        """The next coefficient."""
        return expansion.function(self)


@dataclass(frozen=True)
class LogSumExp:
    """out = log(sum_i e^{x_i}); `shares` are the series e^{x_i - out}, of which it uses the earlier coefficients."""

    out: Coefficients
    xs: list[Coefficients]
    shares: list[Coefficients]
    constant: None = None

    def following(self, arithmetic: SeriesArithmetic, expansion: Expansion) -> Following:
        """The next coefficient."""
        return expansion.log_sum_exp(self.xs, self.shares)


Step: TypeAlias = Product | Sum | Function | LogSumExp
