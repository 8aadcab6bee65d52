"""The arithmetic that turns a program into the steps of a recurrence."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from fractions import Fraction
from math import lcm, prod

import numpy as np

from symflow.evaluate.moved_arrays import ObjectArrays, factor_places
from symflow.evaluate.products import Coefficients
from symflow.evaluate.series_steps import Entry, Function, LogSumExp, Product, SeriesArithmetic, Step, Sum
from symflow.programs.nodes import Input, Map, Node, Table, split_scale
from symflow.programs.program import topological
from symflow.programs.rules.elementwise import elementwise

_ARGUMENT = Input("argument", (), "state", "x")
_ZERO = Fraction(0)


def entry_array(values: Sequence[Entry], shape: tuple[int, ...]) -> np.ndarray:
    """Entries as an array; NumPy must not look into their lists."""
    array = np.empty(len(values), dtype=object)
    for i, value in enumerate(values):
        array[i] = value
    return array.reshape(shape)


class SeriesCompiler(ObjectArrays):
    """Builds the steps: an arithmetic over arrays of `Entry`.

    Equal operations on the same series are one step, so that what cancels by symmetry (equal samples, equal patches of
    an image) is zero by structure.
    """

    def __init__(self, arithmetic: SeriesArithmetic) -> None:
        self.arithmetic = arithmetic
        self.steps: list[Step] = []
        self.functions: dict[tuple[str, Fraction | None, int], Coefficients] = {}
        self.sums: dict[tuple[Hashable, ...], Coefficients] = {}

    # Single entries.

    def function_of(self, name: str, exponent: Fraction | None, entry: Entry) -> Entry:
        """u(entry)."""
        u = elementwise(name, exponent)
        if not isinstance(entry, list):
            rational = u.constant(entry or Fraction(0))
            if rational is not None:
                return rational or None
        x = self._series(entry)
        key = (name, exponent, id(x))
        if key in self.functions:
            return self.functions[key]
        out: Coefficients = []
        self.functions[key] = out
        if u.recurrence is not None:
            self.steps.append(Function(out, name, exponent, x))
            return out
        # Recurrences use one another's earlier coefficients: sine and cosine, a function and its own derivative.
        place = len(self.steps)
        sign, derivative = self._derivative(name, exponent, x, out)
        self.steps.insert(place, Function(out, name, exponent, x, derivative, sign))
        return out

    def _derivative(
        self, name: str, exponent: Fraction | None, x: Coefficients, out: Coefficients
    ) -> tuple[int, Coefficients]:
        """(sign, series) with u'(x) = sign * series, from the function's derivative."""
        y = Map(name, _ARGUMENT, exponent)
        whole = y.derivative()
        sign, node = split_scale(whole)
        if abs(sign) != 1:
            sign, node = Fraction(1), whole
        values: dict[Node, np.ndarray] = {_ARGUMENT: entry_array([x], ()), y: entry_array([out], ())}
        for a in topological([node]):
            if a not in values:
                values[a] = a.evaluate([values[b] for b in a.arguments], self)
        return int(sign), self._series(values[node].item())

    def _series(self, entry: Entry) -> Coefficients:
        """An entry as a series; a constant becomes one."""
        if isinstance(entry, list):
            return entry
        out: Coefficients = []
        self.steps.append(Sum(out, [], 1, self.arithmetic.lift(entry or Fraction(0))))
        return out

    def product(self, terms: list[tuple[Entry, Entry]]) -> Entry:
        """sum over the terms of x y."""
        constant = _ZERO
        pairs: list[tuple[Coefficients, Coefficients]] = []
        linear: list[tuple[Fraction, Coefficients]] = []
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
        key = (_pairs_key(pairs), _terms_key(linear), _ratio(constant))
        if key in self.sums:
            return self.sums[key]
        scaled = [(self.arithmetic.lift(c), s) for c, s in linear]
        out = self.sums[key] = []
        self.steps.append(Product(out, pairs, scaled, self.arithmetic.lift(constant) if constant else None))
        return out

    def sum(self, terms: list[tuple[Fraction, Coefficients]], constant: Fraction) -> Entry:
        """sum of rational multiples of series, plus a constant."""
        terms = _merged(terms)
        if not terms:
            return constant or None
        if len(terms) == 1 and terms[0][0] == 1 and not constant:
            return terms[0][1]
        key = ((), _terms_key(terms), _ratio(constant))
        if key in self.sums:
            return self.sums[key]
        out = self.sums[key] = []
        offset = self.arithmetic.lift(constant) if constant else None
        denominator = lcm(*(c.denominator for c, _ in terms))
        if denominator.bit_length() > 64:
            # Coefficients that are themselves multiprecision data: one rounding each instead of huge integers.
            self.steps.append(Product(out, [], [(self.arithmetic.lift(c), s) for c, s in terms], offset))
        else:
            integers = [(c.numerator * (denominator // c.denominator), s) for c, s in terms]
            self.steps.append(Sum(out, integers, denominator, offset))
        return out

    # Arrays.

    def entries(self, constants: np.ndarray) -> np.ndarray:
        """Exact constants as entries."""
        return entry_array([q or None for q in constants.reshape(-1)], constants.shape)

    data = entries

    def constant(self, value: Fraction, shape: tuple[int, ...]) -> np.ndarray:
        return entry_array([value or None] * prod(shape), shape)

    def identity(self, size: int) -> np.ndarray:
        return entry_array([Fraction(1) if i == j else None for i in range(size) for j in range(size)], (size, size))

    def combine(self, coefficients: Sequence[Fraction], arrays: Sequence[np.ndarray]) -> np.ndarray:
        def one(entries: Sequence[Entry]) -> Entry:
            terms = list(zip(coefficients, entries, strict=True))
            constant = sum((c * e for c, e in terms if isinstance(e, Fraction)), _ZERO)
            return self.sum([(c, e) for c, e in terms if isinstance(e, list)], constant)

        return entry_array([one(es) for es in zip(*(a.flat for a in arrays), strict=True)], arrays[0].shape)

    def einsum(self, subscripts: str, arrays: Sequence[np.ndarray]) -> np.ndarray:
        if len(arrays) > 2:
            raise TypeError("power series need products of at most two factors; split the product first")
        places, shape = factor_places(subscripts, tuple(a.shape for a in arrays))
        factors = [a.reshape(-1)[at] for a, at in zip(arrays, places, strict=True)]
        if len(factors) == 1:
            factors.append(self.constant(Fraction(1), factors[0].shape))
        rows = zip(*factors, strict=True)
        return entry_array([self.product(list(zip(*row, strict=True))) for row in rows], shape)

    def function(self, name: str, x: np.ndarray, exponent: Fraction | None) -> np.ndarray:
        return entry_array([self.function_of(name, exponent, e) for e in x.flat], x.shape)

    def gather(self, x: np.ndarray, table: Table, position: int) -> np.ndarray:
        index = table.positions
        read = np.take(x, np.maximum(index, 0), axis=position)
        real = np.broadcast_to((index >= 0).reshape(index.shape + (1,) * (x.ndim - position - 1)), read.shape)
        return entry_array([e if there else None for e, there in zip(read.flat, real.flat, strict=True)], read.shape)

    def scatter_add(self, x: np.ndarray, table: Table, position: int) -> np.ndarray:
        flat = x.reshape(*x.shape[:position], -1, *x.shape[position + len(table.targets) :])
        lines = np.moveaxis(flat, position, 0)
        shape = (table.readers.shape[0], *lines.shape[1:])
        one = Fraction(1)
        terms: list[list[tuple[Entry, Entry]]] = [[] for _ in range(prod(shape))]
        places = np.arange(prod(shape)).reshape(shape)
        for target, source in enumerate(table.index):
            if source >= 0:
                for to, entry in zip(places[source].flat, lines[target].flat, strict=True):
                    terms[to].append((entry, one))
        ordered = np.moveaxis(places, 0, position)
        found = dict(zip(ordered.flat, (self.product(terms[to]) for to in ordered.flat), strict=True))
        return entry_array([found[to] for to in ordered.flat], ordered.shape)

    def log_sum_exp(self, x: np.ndarray, position: int) -> np.ndarray:
        lines = np.moveaxis(x, position, -1)
        found = [self._log_sum_exp(line) for line in lines.reshape(-1, lines.shape[-1])]
        return entry_array(found, lines.shape[:-1])

    def _log_sum_exp(self, entries: Iterable[Entry]) -> Coefficients:
        """l = log(sum_i e^{x_i}), and with it the series e^{x_i - l}, which its recurrence needs."""
        xs = [self._series(e) for e in entries]
        out: Coefficients = []
        shares: list[Coefficients] = []
        self.steps.append(LogSumExp(out, xs, shares))
        for x in xs:
            share = self.function_of("exp", None, self.sum([(Fraction(1), x), (Fraction(-1), out)], Fraction(0)))
            assert isinstance(share, list)
            shares.append(share)
        return out


def _merged(terms: Sequence[tuple[Fraction, Coefficients]]) -> list[tuple[Fraction, Coefficients]]:
    """The terms with those of one series added up, and without those that cancel."""
    if len({id(series) for _, series in terms}) == len(terms):
        return [term for term in terms if term[0]]
    weights: dict[int, tuple[Fraction, Coefficients]] = {}
    for c, series in terms:
        weights[id(series)] = (weights.get(id(series), (Fraction(0), series))[0] + c, series)
    return [(c, series) for c, series in weights.values() if c]


def _ratio(q: Fraction) -> tuple[int, int]:
    """A rational as a key: its own hash is a modular inverse."""
    return q.numerator, q.denominator


def _pairs_key(pairs: Sequence[tuple[Coefficients, Coefficients]]) -> tuple[Hashable, ...]:
    return tuple(sorted((min(id(a), id(b)), max(id(a), id(b))) for a, b in pairs))


def _terms_key(terms: Sequence[tuple[Fraction, Coefficients]]) -> tuple[Hashable, ...]:
    return tuple(sorted((id(series), c.numerator, c.denominator) for c, series in terms))
