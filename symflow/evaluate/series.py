"""Programs as power-series recurrences: the Taylor coefficients of the solution of state' = F(state).

Each array entry is one truncated series.  A product's next coefficient is a convolution of the coefficients already
known, so one sweep over the program per order yields the next coefficient of everything; the state's next one is the
field's divided by (order + 1).  Entries that are zero by structure (dead units, zero data) are never computed, which
is also how *inert* pre-activations are recognized.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from math import lcm, prod
from typing import Any, Protocol

import numpy as np

from symflow.dynamics.vector_field import VectorField
from symflow.errors import BudgetError
from symflow.evaluate.fixed_point import Pairs, Scaled
from symflow.evaluate.interpret import shape_of, table_index
from symflow.programs.nodes import (
    Add,
    Const,
    Einsum,
    Gate,
    Gather,
    Identity,
    Input,
    LogSumExp,
    Map,
    Node,
    ScatterAdd,
    Stack,
    softmax,
)
from symflow.programs.program import operation_count

OPERATION_BUDGET = 2_000_000
"""Scalar products per order above which a multiprecision recurrence would drown the machine."""


class Expansion(Protocol):
    """One expansion: each call of what these return gives the next coefficient of a series."""

    def convolver(self, pairs: Pairs, scaled: Scaled) -> Callable[[], Any]: ...
    def function(
        self, name: str, exponent: Fraction | None, x: list[Any], known: tuple[list[Any], ...]
    ) -> Callable[[], Any]: ...
    def log_sum_exp(self, xs: Sequence[list[Any]], shares: Sequence[list[Any]]) -> Callable[[], Any]: ...


class SeriesArithmetic(Protocol):
    """Numbers and the few operations on coefficient lists that the recurrences need."""

    def lift(self, q: Fraction) -> Any: ...
    def combine(self, terms: Sequence[tuple[int, list[Any]]], denominator: int) -> Any: ...
    def integrate(self, coefficient: Any, order: int, tau: int) -> Any: ...
    def horner(self, coefficients: list[Any], s: Any) -> Any: ...
    def expansion(self, order: int) -> Expansion: ...


Entry = None | Fraction | list[Any]
"""An array entry: zero by structure, a constant, or a series (its coefficient list)."""


@dataclass(frozen=True)
class _Product:
    out: list[Any]
    pairs: list[tuple[list[Any], list[Any]]]
    scaled: list[tuple[Any, list[Any]]]
    constant: Any


@dataclass(frozen=True)
class _Sum:
    out: list[Any]
    terms: list[tuple[int, list[Any]]]
    denominator: int
    constant: Any


@dataclass(frozen=True)
class Function:
    """u(x) for an elementwise function; `known` are the series its recurrence uses (u(x) itself first)."""

    out: list[Any]
    name: str
    exponent: Fraction | None
    x: list[Any]
    known: tuple[list[Any], ...]


@dataclass(frozen=True)
class _LogSumExp:
    """log(sum_i e^{x_i}); `shares` are the series e^{x_i - l}, of which it uses the earlier coefficients."""

    out: list[Any]
    xs: list[list[Any]]
    shares: list[list[Any]]


_Step = _Product | _Sum | Function | _LogSumExp


@dataclass(frozen=True)
class Recurrence:
    """The compiled recurrences of a vector field in one smooth region.

    Attributes:
        state: coefficient lists of the state entries, in order.
        field: the entries of the field, in the same order.
        monitors: the entries of the program's further outputs.
        switching: for each gate of the objective the entries of its pre-activation; None where it is inert (zero by
            structure).
        steps: the operations of one order.
        arithmetic: the numbers used.
    """

    state: list[list[Any]]
    field: list[Entry]
    monitors: list[Entry]
    switching: list[list[Entry]]
    steps: list[_Step]
    arithmetic: SeriesArithmetic

    @property
    def saturating(self) -> list[Function]:
        """The exponentials and sigmoids, whose values may be lost below the last place while they still grow."""
        return [s for s in self.steps if isinstance(s, Function) and s.name in ("exp", "sigmoid")]

    def expand(self, values: Sequence[Any], order: int, tau: int) -> None:
        """Computes the state's coefficients up to `order` from its values, in the variable s = t / 2^tau."""
        a = self.arithmetic
        for step in self.steps:
            step.out.clear()
        for series, value in zip(self.state, values, strict=True):
            series[:] = [value]
        field = self.field
        operations = self._operations(order)
        for k in range(order + 1):
            for out, following, constant in operations:
                value = following()
                if k == 0 and constant is not None:
                    value += constant
                out.append(value)
            if k == order:
                break
            for series, entry in zip(self.state, field, strict=True):
                if isinstance(entry, list):
                    series.append(a.integrate(entry[k], k, tau))
                elif k == 0 and entry is not None:
                    series.append(a.integrate(a.lift(entry), 0, tau))
                else:
                    series.append(0)

    def _operations(self, order: int) -> list[tuple[list[Any], Callable[[], Any], Any]]:
        """For each step its series, what computes the series' next coefficient, and what is added to the first."""
        a, expansion = self.arithmetic, self.arithmetic.expansion(order)
        operations: list[tuple[list[Any], Callable[[], Any], Any]] = []
        for step in self.steps:
            if isinstance(step, _Product):
                operations.append((step.out, expansion.convolver(step.pairs, step.scaled), step.constant))
            elif isinstance(step, _Sum):
                operations.append((step.out, partial(a.combine, step.terms, step.denominator), step.constant))
            elif isinstance(step, _LogSumExp):
                operations.append((step.out, expansion.log_sum_exp(step.xs, step.shares), None))
            else:
                following = expansion.function(step.name, step.exponent, step.x, step.known)
                operations.append((step.out, following, None))
        return operations


class _Compiler:
    """Builds the steps.

    Equal operations on the same series are one step, so that what cancels by symmetry (equal samples, equal patches of
    an image) is zero by structure.
    """

    def __init__(self, arithmetic: SeriesArithmetic) -> None:
        self.arithmetic = arithmetic
        self.steps: list[_Step] = []
        self.functions: dict[tuple[str, Fraction | None, int], list[Any]] = {}
        self.sums: dict[tuple[Any, ...], list[Any]] = {}

    def function(self, name: str, exponent: Fraction | None, entry: Entry) -> Entry:
        """u(entry)."""
        if entry is None or isinstance(entry, Fraction):
            rational = self._rational_value(name, exponent, entry or Fraction(0))
            if rational is not None:
                return rational or None
            x = self.constant(entry or Fraction(0))
        else:
            x = entry
        key = (name, exponent, id(x))
        if key in self.functions:
            return self.functions[key]
        out: list[Any] = []
        self.functions[key] = out
        if name in ("sin", "cos"):
            partner = "cos" if name == "sin" else "sin"
            other: list[Any] = []
            self.functions[partner, None, id(x)] = other
            # The recurrences of sine and cosine use one another's earlier coefficients.
            self.steps.append(Function(out, name, None, x, (out, other)))
            self.steps.append(Function(other, partner, None, x, (other, out)))
        elif name == "sigmoid":
            slope: list[Any] = []
            self.steps.append(Function(out, name, None, x, (out, slope)))
            square: list[Any] = []
            self.steps.append(_Product(square, [(out, out)], [], None))
            self.steps.append(_Sum(slope, [(1, out), (-1, square)], 1, None))
        elif name == "softplus":
            share = self.function("sigmoid", None, x)
            assert isinstance(share, list)
            self.steps.append(Function(out, name, None, x, (out, share)))
        else:
            self.steps.append(Function(out, name, exponent, x, (out,)))
        return out

    def constant(self, q: Fraction) -> list[Any]:
        """A constant as a series."""
        out: list[Any] = []
        self.steps.append(_Sum(out, [], 1, self.arithmetic.lift(q)))
        return out

    def log_sum_exp(self, entries: list[Entry]) -> tuple[list[Any], list[list[Any]]]:
        """l = log(sum_i e^{x_i}) and the series e^{x_i - l}."""
        xs = [e if isinstance(e, list) else self.constant(e or Fraction(0)) for e in entries]
        out: list[Any] = []
        shares: list[list[Any]] = []
        self.steps.append(_LogSumExp(out, xs, shares))
        for x in xs:
            below: list[Any] = []
            self.steps.append(_Sum(below, [(1, x), (-1, out)], 1, None))
            share = self.function("exp", None, below)
            assert isinstance(share, list)
            shares.append(share)
        return out, shares

    @staticmethod
    def _rational_value(name: str, exponent: Fraction | None, q: Fraction) -> Fraction | None:
        """u(q) where it is rational for sure."""
        if q == 0 and name in ("exp", "cos", "sin"):
            return Fraction(name != "sin")
        if name == "power" and exponent is not None and exponent.denominator == 1 and (q or exponent > 0):
            return q**exponent.numerator
        return None

    def product(self, terms: list[tuple[Entry, Entry]]) -> Entry:
        """sum over the terms of x y."""
        constant = Fraction(0)
        pairs: list[tuple[list[Any], list[Any]]] = []
        linear: list[tuple[Fraction, list[Any]]] = []
        for x, y in terms:
            if x is None or y is None:
                continue
            if isinstance(x, list) and isinstance(y, list):
                pairs.append((x, y))
            elif isinstance(x, list):
                assert isinstance(y, Fraction)
                linear.append((y, x))
            elif isinstance(y, list):
                linear.append((x, y))
            else:
                constant += x * y
        if not pairs:
            return self.sum(linear, constant)
        linear = _merged(linear)
        key = (_pairs_key(pairs), _terms_key(linear), constant)
        if key in self.sums:
            return self.sums[key]
        scaled = [(self.arithmetic.lift(c), s) for c, s in linear]
        out = self.sums[key] = []
        self.steps.append(_Product(out, pairs, scaled, self.arithmetic.lift(constant) if constant else None))
        return out

    def sum(self, terms: list[tuple[Fraction, list[Any]]], constant: Fraction) -> Entry:
        """sum of rational multiples of series, plus a constant."""
        terms = _merged(terms)
        if not terms:
            return constant or None
        if len(terms) == 1 and terms[0][0] == 1 and not constant:
            return terms[0][1]
        key = ((), _terms_key(terms), constant)
        if key in self.sums:
            return self.sums[key]
        out = self.sums[key] = []
        offset = self.arithmetic.lift(constant) if constant else None
        denominator = lcm(*(c.denominator for c, _ in terms))
        if denominator.bit_length() > 64:
            # Coefficients that are themselves multiprecision data: one rounding each instead of huge integers.
            self.steps.append(_Product(out, [], [(self.arithmetic.lift(c), s) for c, s in terms], offset))
        else:
            integers = [(c.numerator * (denominator // c.denominator), s) for c, s in terms]
            self.steps.append(_Sum(out, integers, denominator, offset))
        return out

    def einsum(self, x: Einsum, arguments: list[list[Entry]]) -> list[Entry]:
        if len(arguments) > 2:
            raise TypeError("power series need products of at most two factors; split the product first")
        sizes: dict[int, int] = {}
        for a, used in zip(x.args, x.labels, strict=True):
            sizes.update(zip(used, shape_of(a.axes), strict=True))
        sizes.update(zip(x.out, shape_of(x.axes), strict=True))
        order = [*x.out, *(i for i in sizes if i not in x.out)]
        extents = [sizes[i] for i in order]
        grid = np.indices(extents).reshape(len(order), prod(extents))
        position = {i: grid[n] for n, i in enumerate(order)}

        def flat(used: tuple[int, ...]) -> list[int]:
            index = np.zeros(grid.shape[1], dtype=int)
            for i in used:
                index = index * sizes[i] + position[i]
            return index.tolist()

        first = flat(x.labels[0])
        second = flat(x.labels[1]) if len(arguments) == 2 else None
        count = len(arguments[0]) and int(np.prod(shape_of(x.axes), dtype=int))
        run = len(first) // count if count else 0
        result: list[Entry] = []
        one = Fraction(1)
        for e in range(count):
            span = range(e * run, (e + 1) * run)
            if second is None:
                terms: list[tuple[Entry, Entry]] = [(arguments[0][first[i]], one) for i in span]
            else:
                terms = [(arguments[0][first[i]], arguments[1][second[i]]) for i in span]
            result.append(self.product(terms))
        return result


def _merged(terms: Sequence[tuple[Fraction, list[Any]]]) -> list[tuple[Fraction, list[Any]]]:
    """The terms with those of one series added up, and without those that cancel."""
    if len({id(series) for _, series in terms}) == len(terms):
        return [term for term in terms if term[0]]
    weights: dict[int, tuple[Fraction, list[Any]]] = {}
    for c, series in terms:
        weights[id(series)] = (weights.get(id(series), (Fraction(0), series))[0] + c, series)
    return [(c, series) for c, series in weights.values() if c]


def _pairs_key(pairs: Sequence[tuple[list[Any], list[Any]]]) -> tuple[Any, ...]:
    return tuple(sorted((min(id(a), id(b)), max(id(a), id(b))) for a, b in pairs))


def _terms_key(terms: Sequence[tuple[Fraction, list[Any]]]) -> tuple[Any, ...]:
    return tuple(sorted((id(series), c.numerator, c.denominator) for c, series in terms))


def compile_recurrence(
    field: VectorField, gates: Mapping[Gate, np.ndarray], arithmetic: SeriesArithmetic
) -> Recurrence:
    """Compiles a field for fixed gate values.

    Args:
        field: the vector field; its objective's data are used as exact constants.
        gates: for each gate node an object array of `Fraction`, its value per unit and sample.
        arithmetic: the numbers to compute with.

    Raises:
        BudgetError: the field has more than `OPERATION_BUDGET` scalar operations.
        ValueError: an input has no data.
        TypeError: a node has no recurrence.
    """
    size = operation_count(field.program)
    if size > OPERATION_BUDGET:
        raise BudgetError(
            f"the power-series recurrence has {size} scalar operations per order, over the budget of "
            f"{OPERATION_BUDGET}; use float64 descent, a smaller network or fewer samples"
        )
    compiler = _Compiler(arithmetic)
    entries: dict[Node, list[Entry]] = {}
    state: list[list[Any]] = []
    for given in field.state:
        series: list[list[Any]] = [[] for _ in range(int(np.prod(shape_of(given.axes), dtype=int)))]
        entries[given] = list(series)
        state.extend(series)
    for x in field.program.nodes:
        if x in entries:
            continue
        if isinstance(x, Input):
            if x not in field.objective.data:
                raise ValueError(f"input {x.name} has no data; bind it before integrating")
            entries[x] = [q or None for q in field.objective.data[x].reshape(-1)]
        elif isinstance(x, Const):
            entries[x] = [x.value or None] * int(np.prod(shape_of(x.axes), dtype=int))
        elif isinstance(x, Identity):
            n = shape_of(x.axes)[0]
            entries[x] = [Fraction(1) if i == j else None for i in range(n) for j in range(n)]
        elif isinstance(x, Add):
            entries[x] = [_add(compiler, x, entries, i) for i in range(len(entries[x.terms[0][1]]))]
        elif isinstance(x, Einsum):
            entries[x] = compiler.einsum(x, [entries[a] for a in x.args])
        elif isinstance(x, Gate):
            entries[x] = [q or None for q in gates[x].reshape(-1)]
        elif isinstance(x, Map):
            entries[x] = [compiler.function(x.function, x.exponent, e) for e in entries[x.x]]
        elif isinstance(x, Gather):
            entries[x] = _gathered(x, entries[x.x])
        elif isinstance(x, ScatterAdd):
            entries[x] = _scattered(compiler, x, entries[x.x])
        elif isinstance(x, Stack):
            entries[x] = [e for row in zip(*(entries[a] for a in x.args), strict=True) for e in row]
        elif isinstance(x, LogSumExp):
            _log_sum_exp(compiler, x, entries)
        else:
            raise TypeError(f"no recurrence for {type(x).__name__}")
    outputs = [e for x in field.program.outputs.values() for e in entries[x]]
    count = len(state)
    switching = [entries.get(g.z, []) for g in field.objective.gates]
    return Recurrence(state, outputs[:count], outputs[count:], switching, compiler.steps, arithmetic)


def _positions(axes: Sequence[Any]) -> np.ndarray:
    """The flat positions of an array with these axes, in its shape."""
    shape = shape_of(axes)
    return np.arange(prod(shape)).reshape(shape)


def _gathered(x: Gather, entries: list[Entry]) -> list[Entry]:
    index = table_index(x.table)
    read = np.take(_positions(x.x.axes), np.maximum(index, 0), axis=x.position)
    behind = len(x.x.axes) - x.position - 1
    real = np.broadcast_to((index >= 0).reshape(index.shape + (1,) * behind), read.shape)
    return [entries[i] if there else None for i, there in zip(read.flat, real.flat, strict=True)]


def _scattered(compiler: _Compiler, x: ScatterAdd, entries: list[Entry]) -> list[Entry]:
    positions = _positions(x.x.axes)
    end = x.position + len(x.table.targets)
    flat = positions.reshape(*positions.shape[: x.position], -1, *positions.shape[end:])
    terms: list[list[tuple[Entry, Entry]]] = [[] for _ in range(prod(shape_of(x.axes)))]
    out = np.moveaxis(_positions(x.axes), x.position, 0)
    lines = np.moveaxis(flat, x.position, 0)
    one = Fraction(1)
    for target, source in enumerate(x.table.index):
        if source >= 0:
            for to, read in zip(out[source].flat, lines[target].flat, strict=True):
                terms[to].append((entries[read], one))
    return [compiler.product(t) for t in terms]


def _log_sum_exp(compiler: _Compiler, x: LogSumExp, entries: dict[Node, list[Entry]]) -> None:
    """The node itself, and with it its softmax, whose series its recurrence needs anyway."""
    shares = softmax(x)
    lines = np.moveaxis(_positions(x.x.axes), x.position, -1)
    spread: list[Entry] = [None] * lines.size
    out: list[Entry] = []
    for line in lines.reshape(-1, lines.shape[-1]):
        series, parts = compiler.log_sum_exp([entries[x.x][i] for i in line])
        out.append(series)
        for i, share in zip(line, parts, strict=True):
            spread[i] = share
    entries[x], entries[shares] = out, spread


def _add(compiler: _Compiler, x: Add, entries: Mapping[Node, list[Entry]], position: int) -> Entry:
    constant = Fraction(0)
    terms: list[tuple[Fraction, list[Any]]] = []
    for c, a in x.terms:
        entry = entries[a][position]
        if isinstance(entry, Fraction):
            constant += c * entry
        elif entry is not None:
            terms.append((c, entry))
    return compiler.sum(terms, constant)
