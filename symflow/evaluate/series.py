"""Programs as power-series recurrences: the Taylor coefficients of the solution of state' = F(state).

Each array entry is one truncated series. A product's next coefficient is a convolution of the coefficients already
known, so one sweep over the program per order yields the next coefficient of everything; the state's next one is the
field's divided by (order + 1). Entries that are zero by structure (dead units, zero data) are never computed, which
is also how *inert* pre-activations are recognized.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import chain
from math import prod

import numpy as np
from gmpy2 import mpz

from symflow.dynamics.vector_field import VectorField
from symflow.errors import BudgetError
from symflow.evaluate.blocks.again import Compilers, Recompiler, TooDifferent
from symflow.evaluate.blocks.reach import reach, row_reaches
from symflow.evaluate.blocks.steps import BlockSteps, Entries, only_series, series_among
from symflow.evaluate.fixed_point import FixedSeries
from symflow.evaluate.interpret import interpret
from symflow.evaluate.native.expansion import NativeExpansion, native_expansion
from symflow.evaluate.products import Coefficients
from symflow.evaluate.series_compiler import SeriesCompiler, entry_array
from symflow.evaluate.series_steps import Entry, Function, SeriesArithmetic, Step
from symflow.numbers.fixed_point import to_float
from symflow.programs.nodes import Gate, Input, Node
from symflow.programs.program import Program, operation_count, shape_of
from symflow.programs.rules.elementwise import elementwise

__all__ = ["Entry", "Function", "Recurrence", "SeriesArithmetic", "compile_recurrence"]

OPERATION_BUDGET = 2_000_000
"""Scalar products per order above which a multiprecision recurrence would exhaust time and memory."""

LEAST_BLOCKS = 4000
"""Scalar products per order from which on a field with gates is compiled array by array."""

WITHIN_FLOAT64 = 1000
"""Integers of fewer bits, and units of the last place above 2^-1000, are within float64."""

EMPTY = np.zeros(0, dtype=np.int64)

LEAST_ORDER = 8
"""Order from which on a recurrence is worth the table that the kernel needs."""


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

    state: list[Coefficients]
    field: list[Entry]
    monitors: Sequence[Entry]
    switching: Sequence[Sequence[Entry]]
    steps: Sequence[Step]
    arithmetic: SeriesArithmetic

    @cached_property
    def _kernel(self) -> NativeExpansion | None:
        return native_expansion(self.steps, self.state, self.field, self.arithmetic)

    @property
    def _native(self) -> NativeExpansion | None:
        """What holds the last expansion, if the lists don't."""
        kernel = self.__dict__.get("_kernel")
        return kernel if kernel is not None and kernel.order >= 0 else None

    @property
    def series(self) -> list[Coefficients]:
        """All series: those of the state, and what the steps compute."""
        return [*self.state, *(step.out for step in self.steps)]

    @cached_property
    def live(self) -> Sequence[Coefficients]:
        """The pre-activations that are series, gate by gate."""
        return series_among(self.switching)

    @cached_property
    def watched(self) -> Sequence[Coefficients]:
        """The pre-activations and monitors, each series once."""
        return series_among([self.monitors, *self.switching], once=True)

    @cached_property
    def _monitored(self) -> list[Coefficients]:
        """The series of monitors."""
        return [e for e in self.monitors if isinstance(e, list)]

    @property
    def saturating(self) -> list[Function]:
        """The functions that flatten out, whose values may fall below the last place although they grow."""
        steps = self.steps
        functions = steps.functions if isinstance(steps, BlockSteps) else [s for s in steps if isinstance(s, Function)]
        return [s for s in functions if elementwise(s.name, s.exponent).saturates is not None]

    def expand(self, values: Sequence[mpz], order: int, tau: int, room: int = 0) -> None:
        """Computes the state's coefficients up to `order` from its values, in the variable s = t / 2^tau.

        `room` is the highest order that is to follow.

        Afterwards `coefficient`, `kept`, `floats` and `rates` say what they are, and the lists of monitors are filled.
        All others, those of the state too, are filled by `read` only.
        """
        worth = order >= LEAST_ORDER or isinstance(self.steps, BlockSteps)
        kernel = self._kernel if worth else self.__dict__.get("_kernel")
        if kernel is not None and kernel.expand(values, order, tau, room):
            kernel.read(self._monitored)
        else:
            self._expand(values, order, tau)

    def coefficient(self, k: int) -> list[mpz]:
        """Coefficient k of every entry of the state."""
        return [c[k] for c in self.state] if self._native is None else self._native.coefficient(k)

    def read(self, series: Sequence[Coefficients]) -> None:
        """Fills the lists of some series with the coefficients of the last expansion."""
        if self._native is not None:
            self._native.read(series)

    def floats(self, series: Sequence[Coefficients], terms: int | None = None) -> np.ndarray:
        """The (first) coefficients of series in float64, a row each: to a relative 2^-50 and a unit of the last place.

        Args:
            series: some of the recurrence.
            terms: how many coefficients, by default all.
        """
        if self._native is not None:
            return self._native.floats(series, terms)
        assert isinstance(self.arithmetic, FixedSeries)
        bits = self.arithmetic.bits
        rows = [[to_float(c, bits) for c in s[:terms]] for s in series]
        return np.array(rows, dtype=np.float64).reshape(len(rows), -1)

    def sizes(self, series: Sequence[Coefficients]) -> tuple[np.ndarray, np.ndarray]:
        """The sizes of all coefficients in float64, a row for each series, and how many bits their integers have.

        Sizes are known to a relative 2^-50 and to 2^-1000, and infinite beyond float64; bits are that many or one more.
        """
        if self._native is not None:
            return self._native.sizes(series)
        assert isinstance(self.arithmetic, FixedSeries)
        bits = self.arithmetic.bits
        flat = list(chain.from_iterable(series))
        lengths = np.fromiter((c.bit_length() for c in flat), float, len(flat))
        if bits < WITHIN_FLOAT64 and lengths.max(initial=0) < WITHIN_FLOAT64:
            sizes = np.abs(np.fromiter(map(float, flat), float, len(flat))) * 2.0**-bits
        else:
            sizes = np.array([abs(to_float(c, bits)) for c in flat])
        return sizes.reshape(len(series), -1), lengths.reshape(len(series), -1)

    def kept(self, series: Sequence[Coefficients] | None = None) -> Sequence[Coefficients]:
        """The coefficients of series, by default those of the state, which the next expansion doesn't change."""
        wanted = self.state if series is None else series
        return tuple(list(c) for c in wanted) if self._native is None else self._native.kept(wanted)

    def rates(self) -> list[mpz]:
        """The field at the point."""
        found = iter(self.field_coefficient(0))
        lift = self.arithmetic.lift
        return [next(found) if isinstance(entry, list) else lift(entry or Fraction(0)) for entry in self.field]

    def field_coefficient(self, k: int) -> list[mpz]:
        """Coefficient k of the series among the entries of the field."""
        if self._native is not None:
            return self._native.field_coefficient(k)
        return [entry[k] for entry in self.field if isinstance(entry, list)]

    def followed(self) -> Sequence[Coefficients]:
        """The series that are watched, without those whose coefficients nobody has asked for."""
        watched, kernel = self.watched, self._native
        if kernel is None or not isinstance(watched, Entries):
            return watched
        return only_series(watched, kernel.known(self.watched))

    def reaches(self, s: float, series: Sequence[Coefficients] | None = None) -> tuple[np.ndarray, np.ndarray]:
        """In float64 the first coefficients of series z, and at least sum_{k>=1} |z_k| s^k.

        Without series, of the live pre-activations: bounded from the series that z is made of where some z are computed
        on demand only (infinite where that says nothing). These bounds hold for products of the polynomials, not only
        for their terms up to the order.
        """
        live, kernel = self.live, self._native
        assert isinstance(self.arithmetic, FixedSeries)
        unit = to_float(mpz(1), self.arithmetic.bits)
        if series is not None or kernel is None or not isinstance(live, Entries):
            coefficients = self.floats(live if series is None else series)
            return coefficients[:, 0], reach(coefficients, s, unit)
        return kernel.floats(self.live, 1)[:, 0], row_reaches(live.steps, kernel.floats, s, unit)[live.numbers - 1]

    def strayed(self, series: Sequence[Coefficients], before: Sequence[Coefficients], s: mpz) -> mpz:
        """How far series are, at most, from what kept ones of them are at s, 0 <= s <= 1."""
        kernel = self._native
        found = None if kernel is None else kernel.strayed(before, s, series)
        if found is None:
            self.read(series)
            found = max(abs(self.arithmetic.horner(a, s) - b[0]) for a, b in zip(before, series, strict=True))
        return found

    def land(self, series: Sequence[Coefficients], s: mpz, tau: int) -> tuple[list[mpz], list[mpz]]:
        """Expands to order 0 where kept series are at s, 0 <= s <= 1; their values there, and their derivatives'."""
        kernel = self._native
        found = None if kernel is None else kernel.land(series, s, tau)
        if kernel is not None and found is not None:
            kernel.read(self._monitored)
            return found
        horner = self.arithmetic.horner
        values = [horner(c, s) for c in series]
        self.expand(values, 0, tau)
        return values, [horner([k * c[k] for k in range(1, len(c))], s) for c in series]

    def _expand(self, values: Sequence[mpz], order: int, tau: int) -> None:
        """`expand` in Python, into the lists."""
        a = self.arithmetic
        for step in self.steps:
            step.out.clear()
        for series, value in zip(self.state, values, strict=True):
            series[:] = [value]
        field = self.field
        expansion = a.expansion(order)
        operations = [(step.out, step.following(a, expansion), step.constant) for step in self.steps]
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


def compile_recurrence(
    field: VectorField,
    gates: Mapping[Gate, np.ndarray],
    arithmetic: SeriesArithmetic,
    compilers: Compilers | None = None,
) -> Recurrence:
    """Compiles a field for fixed gate values.

    Args:
        field: the vector field; its data are used as exact constants.
        gates: for each gate node an object array of `Fraction`, its value per unit and sample.
        arithmetic: the numbers to compute with.
        compilers: those of fields that were compiled before; the same numbers.

    Raises:
        BudgetError: the field has more than `OPERATION_BUDGET` scalar operations.
        ValueError: an input has no data.
        TypeError: an operation has no recurrence.
    """
    size = operation_count(field.program)
    if size > OPERATION_BUDGET:
        raise BudgetError(
            f"the power-series recurrence has {size} scalar operations per order, over the budget of "
            f"{OPERATION_BUDGET}; use float64 descent, a smaller network or fewer samples"
        )
    if field.gates and size >= LEAST_BLOCKS and isinstance(arithmetic, FixedSeries):
        return _from_blocks(field, gates, compilers or Compilers(arithmetic))
    return _from_steps(field, gates, arithmetic)


def _from_steps(field: VectorField, gates: Mapping[Gate, np.ndarray], arithmetic: SeriesArithmetic) -> Recurrence:
    """Entry by entry."""
    compiler = SeriesCompiler(arithmetic)
    state: list[Coefficients] = []

    def series(shape: tuple[int, ...]) -> np.ndarray:
        found: list[Coefficients] = [[] for _ in range(prod(shape))]
        state.extend(found)
        return entry_array(found, shape)

    outputs, switching = _compiled(field, gates, compiler, series)
    entries = [e for array in outputs for e in array.flat]
    switches = [list(array.flat) for array in switching]
    return Recurrence(state, entries[: len(state)], entries[len(state) :], switches, compiler.steps, arithmetic)


def _from_blocks(field: VectorField, gates: Mapping[Gate, np.ndarray], compilers: Compilers) -> Recurrence:
    """Array by array; of a field that was compiled before only what has changed."""
    try:
        return _compiled_blocks(field, gates, compilers.of(field))
    except TooDifferent:
        return _compiled_blocks(field, gates, compilers.of(field, fresh=True))


def _compiled_blocks(field: VectorField, gates: Mapping[Gate, np.ndarray], compiler: Recompiler) -> Recurrence:
    def series(shape: tuple[int, ...]) -> np.ndarray:
        return compiler.state(prod(shape)).reshape(shape)

    compiler.begin()
    outputs, switching = _compiled(field, gates, compiler, series)
    count = field.dimension
    wanted, watched = (np.concatenate([EMPTY, *(a.reshape(-1) for a in arrays)]) for arrays in (outputs, switching))
    steps = BlockSteps(compiler, wanted, watched)
    state = [steps.series(i) for i in range(count)]
    entries = Entries(steps, np.concatenate([array.reshape(-1) for array in outputs]))
    switches = [Entries(steps, array) for array in switching]
    return Recurrence(state, list(entries[:count]), entries[count:], switches, steps, compiler.constants.arithmetic)


def _compiled(
    field: VectorField,
    gates: Mapping[Gate, np.ndarray],
    compiler: SeriesCompiler | Recompiler,
    series: Callable[[tuple[int, ...]], np.ndarray],
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The entries of the outputs, and those of the pre-activation of each gate.

    Args:
        field: what is compiled.
        gates: values of the gates.
        compiler: collects the operations.
        series: entries of an array of the state.
    """
    values: dict[Node, np.ndarray] = {given: series(shape_of(given.axes)) for given in field.state}
    for x in field.program.nodes:
        if isinstance(x, Input) and x not in values:
            if x not in field.data:
                raise ValueError(f"input {x.name} has no data; bind it before integrating")
            values[x] = compiler.data(field.data[x])
        elif isinstance(x, Gate):
            values[x] = compiler.entries(gates[x])
    computed = set(field.program.nodes)
    switches = [g.z for g in field.gates if g.z in computed]
    wanted = (*field.program.outputs.values(), *switches)
    program = Program(field.program.inputs, {str(n): x for n, x in enumerate(wanted)})
    found = list(interpret(program, values, compiler).values())
    outputs = len(field.program.outputs)
    entries = dict(zip(switches, found[outputs:], strict=True))
    return found[:outputs], [entries.get(g.z, EMPTY) for g in field.gates]
