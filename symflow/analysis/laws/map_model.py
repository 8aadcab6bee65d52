"""Maps of one's own as models: which gates occur near a point, and the outputs with them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import product
from typing import Any, TypeAlias

import flint
import sympy

from symflow.analysis.laws.families import Rotation
from symflow.analysis.laws.law import Law
from symflow.analysis.laws.model import Local, drawn_inputs, drawn_numbers
from symflow.analysis.laws.parametric_map import ParametricMap
from symflow.analysis.laws.polynomials import Polynomial, System, constant, polynomial_ring, rational
from symflow.analysis.laws.reader import Reader, gate_keys, spare
from symflow.analysis.laws.specialize import auxiliary_values
from symflow.errors import ProblemError
from symflow.numbers.balls import ball_precision

Pattern: TypeAlias = Mapping[object, bool]
"""The values of gates."""
SAMPLES = 96
"""How many inputs are drawn where patterns cannot be listed."""
MOST_GATES = 7
"""Of so many gates all combinations are looked at, whether they occur or not."""
BITS = 200
"""Precision at which gates that depend on exponentials are decided."""


MOST_KINKS = 100
"""After so many undecided inputs on a line the point itself lies on a kink."""
Line: TypeAlias = Callable[[Any], list[Any]]
"""The inputs at a number, or at a polynomial."""


class OnKink(Exception):
    """A gate's argument vanishes at a point but not nearby."""


@dataclass(frozen=True, eq=False)
class Root:
    """Where slope(theta) s + value(theta) vanishes.

    Attributes:
        at: s at the point.
        slope, value: polynomials.
    """

    at: Fraction
    slope: Polynomial
    value: Polynomial

    def same(self, other: Root) -> bool:
        """Whether two are the same near the point."""
        return bool(self.value * other.slope == other.value * self.slope)


@dataclass(frozen=True, eq=False)
class MapModel:
    """A map of one's own, for all inputs.

    Attributes:
        map: g.
        scope: for which data and losses.
    """

    map: ParametricMap
    scope: str

    @property
    def symbols(self) -> tuple[sympy.Symbol, ...]:
        """The parameters."""
        return self.map.parameters

    def known(self) -> tuple[Law, ...]:
        """None: they are searched."""
        return ()

    def rotations(self) -> tuple[Rotation, ...] | None:
        """They are searched."""
        return None

    def points(self) -> Iterator[tuple[Fraction, ...]]:
        """One point of numbers between -10 and 10."""
        yield tuple(drawn_numbers(random.Random(0), len(self.symbols)))

    def near(self, point: Sequence[Fraction]) -> Local:
        """The map with the gates that occur near a point."""
        occurring = {s for e in self.map.outputs for s in e.free_symbols}
        inputs = [x for x in self.map.inputs if x in occurring]
        where = _Near(ParametricMap(self.map.outputs, self.map.parameters, inputs), tuple(point))
        if spare(self.map.outputs):
            return where.transcendental()
        patterns = where.listed()
        if patterns is not None:
            system = where.coefficients(patterns).reduced(exactly=True)
            return Local(system, whole=system)
        moves = where.coefficients(where.sampled()).reduced(exactly=False)
        keys = gate_keys(self.map.outputs)
        if len(keys) > MOST_GATES:
            return Local(moves)
        return Local(moves, whole=where.coefficients(where.combinations(keys)).reduced(exactly=True))


@dataclass(frozen=True, eq=False)
class _Near:
    """A map and a point."""

    map: ParametricMap
    point: tuple[Fraction, ...]

    # Patterns of gates ------------------------------------------------------------------------------------------------

    def pattern(self, x: Sequence[Fraction]) -> dict[object, bool]:
        """The gates at the point and an input.

        Raises:
            OnKink: one is undecided.
        """
        found: dict[object, bool] = {}
        reader = self._numeric(found)
        self._read(reader, [constant(reader.ring, v) for v in x])
        return found

    def _numeric(self, found: dict[object, bool]) -> Reader:
        """A reader that decides gates at the point, and writes down how."""

        def decide(key: object, z: Polynomial) -> bool:
            sign = self._sign(reader, z)
            if sign == 0:
                raise OnKink
            found[key] = sign > 0
            return found[key]

        reader = Reader(len(self.point), spare(self.map.outputs), 0, decide)
        return reader

    def _sign(self, reader: Reader, z: Polynomial) -> int:
        """The sign of a polynomial at the point; 0 if it is undecided."""
        with ball_precision(BITS):
            values: list[Any] = [flint.arb(flint.fmpq(v.numerator, v.denominator)) for v in self.point]
            for y in reader.auxiliary:
                values.append(_at(y.exponent, values).exp() if y.reciprocal is None else 1 / _at(y.reciprocal, values))
            value = _at(z, values)
            return 1 if value > 0 else -1 if value < 0 else 0

    def sampled(self) -> list[Pattern]:
        """The patterns at inputs drawn by a fixed seed, those on a kink left out."""
        found: dict[tuple[tuple[object, bool], ...], Pattern] = {}
        for x in self.inputs(SAMPLES):
            with suppress(OnKink):
                pattern = self.pattern(x)
                self._fixed(pattern)
                found.setdefault(tuple(pattern.items()), pattern)
        return list(found.values())

    def inputs(self, count: int) -> list[list[Fraction]]:
        """Inputs of several sizes."""
        return drawn_inputs(random.Random(1), len(self.map.inputs), count)

    def combinations(self, keys: Sequence[object]) -> Iterator[Pattern]:
        """All patterns, whether they occur or not."""
        for values in product((False, True), repeat=len(keys)):
            yield dict(zip(keys, values, strict=True))

    def listed(self) -> list[Pattern] | None:
        """All patterns that occur near the point, where they can be listed.

        Without gates or inputs; with one input; with two, if the arguments of all gates are homogeneous in them: x =
        (1, s) and (-1, s) then stand for all. Not where kinks meet at the point and part nearby.
        """
        if not gate_keys(self.map.outputs):
            return [{}]
        if not self.map.inputs:
            try:
                return [self.pattern([])]
            except OnKink:
                raise ProblemError("the point must not lie on a kink; give another one with at=") from None
        if len(self.map.inputs) == 1:
            return self._on_a_line(lambda s: [s])
        if len(self.map.inputs) > 2:
            return None
        sides = [self._on_a_line(partial(_ray, sign)) for sign in (1, -1)]
        if any(side is None for side in sides):
            return None
        found = [pattern for side in sides if side is not None for pattern in side]
        return found if all(map(self._homogeneous, found)) else None

    def _on_a_line(self, line: Line) -> list[Pattern] | None:
        """The patterns on a line, if every gate is linear along it where the gates before it are constant.

        Where kinks meet at the point but not nearby, a pattern opens between them: then None as well.
        """
        ends: dict[Fraction, list[Root]] = {}
        open_: list[tuple[Fraction | None, Fraction | None]] = [(None, None)]
        found: dict[tuple[tuple[object, bool], ...], Pattern] = {}
        kinks = 0
        while open_:
            low, high = open_.pop()
            s = _inside(low, high)
            try:
                pattern = self.pattern(line(s))
                roots = self._roots(pattern, line)
            except OnKink:
                kinks += 1
                if kinks > MOST_KINKS:
                    raise ProblemError("the point must not lie on a kink; give another one with at=") from None
                open_ += [(low, s), (s, high)]
                continue
            if roots is None:
                return None
            found.setdefault(tuple(pattern.items()), pattern)
            below, above = [r.at for r in roots if r.at < s], [r.at for r in roots if r.at > s]
            for end in (*([max(below)] if below else []), *([min(above)] if above else [])):
                ends.setdefault(end, []).extend(r for r in roots if r.at == end)
            below = [r for r in below if low is None or r > low]
            above = [r for r in above if high is None or r < high]
            open_ += [(low, max(below))] if below else []
            open_ += [(min(above), high)] if above else []
        return list(found.values()) if all(r.same(met[0]) for met in ends.values() for r in met) else None

    def _arguments(
        self, pattern: Pattern, inputs: int, x: Callable[[Reader], Sequence[Polynomial]]
    ) -> list[Polynomial]:
        """The arguments of the gates, with inputs that are polynomials in so many variables."""
        found: list[Polynomial] = []

        def decide(key: object, z: Polynomial) -> bool:
            found.append(z)
            return _value(pattern, key)

        reader = Reader(len(self.point), 0, inputs, decide)
        self._read(reader, x(reader))
        return found

    def _roots(self, pattern: Pattern, line: Line) -> list[Root] | None:
        """Where the arguments of the gates vanish along a line at the point; None if one is not linear along it.

        Nor if a slope vanishes at the point alone: nearby the argument has a zero far away.
        """

        def along(reader: Reader) -> list[Polynomial]:
            zero, s = constant(reader.ring, 0), reader.generators[-1]
            return [zero + v for v in line(s)]

        values = [constant(polynomial_ring(1), v) for v in (*self.point, Fraction(0))]
        roots = []
        for z in self._arguments(pattern, 1, along):
            slope = z.derivative(len(self.point))
            if slope == 0:
                continue
            value = z - slope * z.context().gens()[-1]
            if value.degrees()[-1] > 0 or slope.degrees()[-1] > 0:
                return None
            a, b = (_number(q.compose(*values, ctx=polynomial_ring(1))) for q in (slope, value))
            if a == 0:
                return None
            roots.append(Root(-b / a, slope, value))
        return roots

    def _homogeneous(self, pattern: Pattern) -> bool:
        """Whether the arguments of the gates are linear in the inputs, without a constant."""
        inputs, p = len(self.map.inputs), len(self.point)
        found = self._arguments(pattern, inputs, lambda reader: reader.generators[p:])
        return all(sum(exponents[p:]) == 1 for z in found for exponents, _ in z.terms())

    # Outputs ----------------------------------------------------------------------------------------------------------

    def _read(self, reader: Reader, x: Sequence[Polynomial]) -> list[Polynomial]:
        values = dict(zip(self.map.parameters, reader.generators, strict=False))
        values |= dict(zip(self.map.inputs, x, strict=True))
        return [reader.read(e, values) for e in self.map.outputs]

    def _fixed(self, pattern: Pattern) -> tuple[Reader, list[Polynomial]]:
        """The outputs with given gates, the inputs as variables."""
        reader = Reader(
            len(self.point), spare(self.map.outputs), len(self.map.inputs), lambda key, _: _value(pattern, key)
        )
        return reader, self._read(reader, reader.generators[reader.first_input :])

    def coefficients(self, patterns: Any) -> System:
        """The coefficients of the products of inputs in the outputs, for all patterns."""
        ring = polynomial_ring(len(self.point))
        found = []
        for pattern in patterns:
            for output in self._fixed(pattern)[1]:
                parts: dict[tuple[int, ...], dict[tuple[int, ...], Any]] = {}
                for exponents, c in output.terms():
                    theta, x = exponents[: len(self.point)], exponents[len(self.point) :]
                    parts.setdefault(tuple(x), {})[tuple(theta)] = c
                found += [ring.from_dict(part) for part in parts.values()]
        return System(ring, len(self.point), tuple(found))

    def transcendental(self) -> Local:
        """Outputs with exponentials or quotients: at drawn inputs for the brackets, with symbols for the laws."""
        inputs = self.inputs(max(4, len(self.point))) if self.map.inputs else [[]]
        reader = Reader(
            len(self.point), spare(self.map.outputs) * len(inputs), 0, lambda _, z: self._decided(reader, z)
        )
        potentials: list[Polynomial] = []
        for x in inputs:
            potentials += self._read(reader, [constant(reader.ring, v) for v in x])
        moves = System(reader.ring, len(self.point), tuple(potentials), tuple(reader.auxiliary)).reduced(exactly=False)
        whole = None
        if not gate_keys(self.map.outputs):
            symbolic, outputs = self._fixed({})
            whole = System(symbolic.ring, len(self.point), tuple(outputs), tuple(symbolic.auxiliary))
        return Local(moves, auxiliary_values(moves, self.point), whole)

    def _decided(self, reader: Reader, z: Polynomial) -> bool:
        sign = self._sign(reader, z)
        if sign == 0:
            raise ProblemError("the point must not lie on a kink; give another one with at=")
        return sign > 0


def _at(polynomial: Polynomial, values: Sequence[Any]) -> Any:
    """A polynomial at balls."""
    total = flint.arb(0)
    for product_, c in polynomial.terms():
        term = flint.arb(c)
        for v, e in zip(values, product_, strict=False):
            term = term * v ** int(e) if e else term
        total += term
    return total


def _number(constant_: Polynomial) -> Fraction:
    """The value of a constant polynomial."""
    return next((rational(c) for _, c in constant_.terms()), Fraction(0))


def _value(pattern: Pattern, key: object) -> bool:
    """The value of a gate.

    Raises:
        OnKink: its argument vanished at the input of the pattern, and does not nearby.
    """
    if key not in pattern:
        raise OnKink
    return pattern[key]


def _ray(sign: int, s: Any) -> list[Any]:
    """Inputs on one side of a plane."""
    return [sign, s]


def _inside(low: Fraction | None, high: Fraction | None) -> Fraction:
    """A number between two."""
    if low is not None and high is not None:
        return (low + high) / 2
    return low + 1 if low is not None else high - 1 if high is not None else Fraction(1)
