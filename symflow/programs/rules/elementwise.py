"""Elementwise functions: the node, its constructors, and what is known of one function in one record."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import numpy as np
import sympy

from symflow.programs.rules.arithmetic import Arithmetic, Array
from symflow.programs.rules.einsum import Einsum, Local, hadamard
from symflow.programs.rules.leaves import Const
from symflow.programs.rules.node import Node
from symflow.programs.rules.series_bounds import SeriesRemainder

if TYPE_CHECKING:
    from flint import arb
    from gmpy2 import mpz

    from symflow.numbers.types import JaxArray, Mpf

Coefficients: TypeAlias = "list[mpz]"
Product: TypeAlias = Callable[[Sequence[tuple[Coefficients, Coefficients]]], Iterator["mpz"]]
"""Takes pairs of series that grow meanwhile and yields the coefficients of the sum of their products (unshifted)."""
Recurrence: TypeAlias = Callable[["mpz", Coefficients, Coefficients, int, Product], Iterator["mpz"]]
"""(u(x_0), x, y, bits, product) -> the coefficients of y = u(x) in fixed point; y is what they are appended to."""


class Printed(NamedTuple):
    """An argument in LaTeX: its text, whether it is small enough for an exponent, whether it is an array."""

    text: str
    raised: bool
    array: bool


class Interval(NamedTuple):
    """float64 numbers with bounds on their errors, and the function there, for running error analysis.

    Attributes:
        value: u(x) as computed.
        x: the arguments.
        error: at most how far x is from the true arguments.
        ulps: rounding of an elementary function, relative.
        at: u as it is computed.
    """

    value: np.ndarray
    x: np.ndarray
    error: np.ndarray
    ulps: float
    at: Callable[[np.ndarray], np.ndarray]

    @property
    def low(self) -> np.ndarray:
        """The least arguments."""
        return np.asarray(self.x - self.error)

    @property
    def high(self) -> np.ndarray:
        """The largest arguments."""
        return np.asarray(self.x + self.error)


def monotone_error(u: Interval) -> np.ndarray:
    """The error of a monotone function: what it does to the ends bounds what it does between them."""
    ends = [u.at(u.low), u.at(u.high)]
    error = np.maximum(np.abs(ends[0] - u.value), np.abs(ends[1] - u.value))
    return np.asarray(error + u.ulps * np.maximum(np.abs(ends[0]), np.abs(ends[1])))


THIN = 2.0**-10
"""Radius up to which balls take what a function is on a ball: there it is as narrow as the values at the ends."""


def between_ends(at: Callable[[arb], arb]) -> Callable[[arb], arb]:
    """A monotone function on a ball, from what `at` says of thin balls; of wide ones, between values at the ends."""
    return lambda x: at(x) if x.rad() < THIN else at(x.lower()).union(at(x.upper()))


@dataclass(frozen=True, eq=False)
class Elementwise:
    """All that is known of a real function u, applied entry by entry. What is None is refused where it is needed.

    Attributes:
        name: in programs, messages and source.
        derivative: (x, u(x)) -> u'(x), as nodes.
        mpmath: u of an mpmath number, at the working precision; also what fixed point rounds.
        exact: u of a rational, where it is rational.
        numpy: u of float64 arrays.
        jax: (jax, x) -> u(x), for JAX arrays.
        sympy: u of a SymPy expression; where it is a class of SymPy, expressions with it are read as this function.
        source: Python text with {0} for the argument, over an array module `xp`.
        preamble: functions that `source` calls and array modules lack, as Python text; it may use `math`.
        recurrence: power series; None integrates y' = u'(x) x' with the series of the derivative.
        constant: u(q) of a rational where that is rational for sure, for series of constants; None elsewhere.
        domain: where u has a Taylor series: "real", "positive" or "nonzero" arguments.
        largest: the largest argument that is computed with in series; None for all.
        saturates: (z_0, D) -> at least log |u(z) - the nearest limit| on |z - z_0| <= D, where values may fall below
            the last place of a series although they grow (`paths.taylor.resolved`); None: they do not.
        transition: c where float64 tells u(x) from its limits about where it tells sigmoid(c x) from them; None of
            functions without limits.
        ball: an enclosure of u on a ball (`flint.arb`), at its working precision; not finite where u is not defined on
            all of it.
        remainder: bounds a computed power series of u; None refuses.
        error: how far u moves on an interval, up to rounding; None refuses.
        latex: u(x) in LaTeX.
        symbols: LaTeX for the note "entry by entry".
        note: LaTeX of its definition, where the symbol is not a standard one.
    """

    name: str
    derivative: Callable[[Node, Node], Node] | None = None
    mpmath: Callable[[Mpf], Mpf] | None = None
    exact: Callable[[Fraction], Fraction] | None = None
    numpy: Callable[[np.ndarray], np.ndarray] | None = None
    jax: Callable[[ModuleType, JaxArray], JaxArray] | None = None
    sympy: Callable[[sympy.Expr], sympy.Expr] | None = None
    source: str | None = None
    preamble: str | None = None
    recurrence: Recurrence | None = None
    constant: Callable[[Fraction], Fraction | None] = lambda q: None
    domain: Literal["real", "positive", "nonzero"] = "real"
    largest: int | None = None
    saturates: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None
    transition: float | None = None
    ball: Callable[[arb], arb] | None = None
    remainder: SeriesRemainder | None = None
    error: Callable[[Interval], np.ndarray] | None = None
    latex: Callable[[Printed], str] | None = None
    symbols: tuple[str, ...] | None = None
    note: str | None = None

    def known(self, entry: str, where: str) -> Any:
        """What the record says.

        Raises:
            TypeError: nothing; the message names what is missing.
        """
        found = getattr(self, entry)
        if found is None:
            raise TypeError(
                f"the function {self.name!r} is not available in {where}; use mpmath or JAX, or give its record in "
                f"symflow.programs.rules.functions the entry {entry!r}"
            )
        return found

    @property
    def printed(self) -> Callable[[Printed], str]:
        r"""u(x) in LaTeX, \name(x) where the record does not say."""
        return self.latex or (lambda x: rf"\{self.name}({x.text})")

    @property
    def noted(self) -> tuple[str, ...]:
        r"""The symbols that stand for arrays entry by entry, \name where the record does not say."""
        return (rf"\{self.name}",) if self.symbols is None else self.symbols


FUNCTIONS: dict[str, Elementwise] = {}
"""The functions by name; `rules/functions` fills it."""
FAMILIES: dict[str, Callable[[Fraction], Elementwise]] = {}
"""Functions with an exponent by name."""


def elementwise(name: str, exponent: Fraction | None) -> Elementwise:
    """The record of a function."""
    return FUNCTIONS[name] if exponent is None else FAMILIES[name](exponent)


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Map(Local):
    """An elementwise function from `FUNCTIONS`, or ``"power"`` with a rational `exponent`."""

    function: str
    x: Node
    exponent: Fraction | None

    @property
    def record(self) -> Elementwise:
        """What is known of the function."""
        return elementwise(self.function, self.exponent)

    def derivative(self) -> Node:
        """u'(x) as a node.

        Raises:
            TypeError: the function has no derivative rule.
        """
        node: Node = self.record.known("derivative", "derivatives")(self.x, self)
        return node

    def rebuild(self, arguments: Sequence[Node]) -> Node:
        return Map(self.function, arguments[0], self.exponent)

    def local(self) -> Einsum:
        rank = tuple(range(len(self.axes)))
        return Einsum((self.derivative(), self.x), (rank, rank), rank, self.axes)

    def evaluate(self, values: Sequence[Array], arithmetic: Arithmetic) -> Array:
        return arithmetic.function(self.function, values[0], self.exponent)

    def source(self, names: Sequence[str]) -> str:
        text: str = self.record.known("source", "source text")
        return text.format(names[0])


def apply(function: str, x: Node) -> Node:
    """An elementwise function from `FUNCTIONS`.

    Raises:
        ValueError: the function is not in the table.
    """
    if function not in FUNCTIONS:
        raise ValueError(f"unknown function {function!r}; the table has {', '.join(FUNCTIONS)}")
    return Map(function, x, None)


def power(x: Node, exponent: Fraction | int) -> Node:
    """The elementwise power x^exponent for a rational exponent; natural ones become products."""
    exponent = Fraction(exponent)
    if exponent == 0:
        return Const(Fraction(1), x.axes)
    if exponent == 1:
        return x
    if exponent.denominator == 1 and exponent > 1:
        half = power(x, exponent.numerator // 2)
        square = hadamard(half, half)
        return hadamard(square, x) if exponent.numerator % 2 else square
    return Map("power", x, exponent)
