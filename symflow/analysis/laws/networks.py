"""Networks as parametrized maps: outputs with the gates of a point, one system of polynomials a point."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, partial
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
import sympy

from symflow.analysis.laws.families import Arrays, Rotation, arrays, known_laws, rotations
from symflow.analysis.laws.law import Law
from symflow.analysis.laws.model import Local
from symflow.analysis.laws.polynomials import (
    Polynomial,
    Ring,
    System,
    constant,
    polynomial_arithmetic,
    polynomial_ring,
)
from symflow.errors import ProblemError
from symflow.evaluate.interpret import interpret
from symflow.evaluate.numpy_batches import BatchArithmetic
from symflow.evaluate.object_arrays import EXACT
from symflow.networks.network import Network
from symflow.networks.training_loss import bias_inputs, parameter_inputs, sample_inputs, weight_inputs
from symflow.programs.nodes import Axis, Gate, Input
from symflow.programs.program import Program, entries, shape_of

LINES, SAMPLES, RARER = 40, 8000, 5
"""On how many lines, and at how many inputs on them, patterns of gates are looked for; points are compared at fewer."""
PATTERNS, CHUNK, PATIENCE = 600, 40, 3
"""At most so many patterns are used, so many at a time, until as many times in succession bring nothing new."""
WIDE, FEW = 8, 6
"""A pattern's linear function of more than the one number of inputs is taken at the other number of random ones."""
TRIES = ((100, 5), (700, 20))
"""How many points are drawn and at how many of them laws are counted; the second time only if more laws hold there."""
RANGE = 1000
"""Points are drawn from the integers -RANGE, ..., RANGE."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """The network on a number of samples.

    Attributes:
        inputs: the node X.
        parameters: the nodes of the parameters.
        program: output "h", and the argument of every gate.
        gates: the gates.
    """

    inputs: Input
    parameters: tuple[Input, ...]
    program: Program
    gates: tuple[Gate, ...]


@dataclass(frozen=True, eq=False)
class NetworkModel:
    """A network with the losses and inputs of which laws are wanted.

    Attributes:
        network: the architecture; its activation is homogeneous.
        differences: whether only differences of outputs matter (cross-entropy).
        data: (N, d_0) the given inputs; None for all.
        scope: for which data and losses.
    """

    network: Network
    differences: bool
    data: np.ndarray | None
    scope: str

    @cached_property
    def parameters(self) -> tuple[Input, ...]:
        """W_1, b_1, W_2, ..., as in `network_objective`."""
        return parameter_inputs(weight_inputs(self.network), bias_inputs(self.network))

    @cached_property
    def arrays(self) -> Arrays:
        """Where they stand in theta."""
        return arrays(self.network, self.parameters)

    @property
    def symbols(self) -> tuple[sympy.Symbol, ...]:
        """A name for each of the P parameters."""
        return self.arrays.symbols

    def known(self) -> tuple[Law, ...]:
        """Balancedness, and column sums for the cross-entropy."""
        return known_laws(self.arrays, self.differences)

    def rotations(self) -> tuple[Rotation, ...] | None:
        """Those of linear activations."""
        return tuple(rotations(self.arrays))

    # The map ----------------------------------------------------------------------------------------------------------

    def prediction(self, samples: int) -> Prediction:
        """h on a number of samples."""
        inputs, _ = sample_inputs(self.network, Axis("sample", samples))
        weights, biases = weight_inputs(self.network), bias_inputs(self.network)
        found = self.network.forward(weights, inputs, biases).prediction
        whole = Program((*self.parameters, inputs), {"h": found})
        gates = tuple(x for x in whole.nodes if isinstance(x, Gate))
        program = Program(whole.inputs, {"h": found, **{f"z{i}": g.z for i, g in enumerate(gates)}})
        return Prediction(inputs, self.parameters, program, gates)

    @property
    def input_size(self) -> int:
        """The number of entries of one input."""
        return entries(self.network.input_axes)

    def columns(self, rows: Sequence[Sequence[Fraction | int]]) -> np.ndarray:
        """Inputs as the array X."""
        array = np.empty((len(rows), self.input_size), dtype=object)
        for i, row in enumerate(rows):
            array[i] = [Fraction(v) for v in row]
        return array.T.reshape(*shape_of(self.network.input_axes), len(rows))

    def cut(self, theta: Sequence[object]) -> dict[Input, np.ndarray]:
        """theta as one array a parameter."""
        values, at = {}, 0
        for w in self.parameters:
            shape = shape_of(w.axes)
            array = np.empty(prod(shape), dtype=object)
            array[:] = list(theta[at : at + prod(shape)])
            values[w], at = array.reshape(shape), at + prod(shape)
        return values

    @property
    def _two_inputs(self) -> bool:
        """Whether 1 and -1 stand for all inputs: the outputs are homogeneous in one number."""
        return self.data is None and self.input_size == 1 and not any(self.network.biases)

    # Points -----------------------------------------------------------------------------------------------------------

    def points(self) -> Iterator[tuple[Fraction, ...]]:
        """Points drawn by a fixed seed; with gates, those first at which more of them occur."""
        count = len(self.symbols)
        source = random.Random(0)
        if self.network.smooth:
            yield _integers(source, count)
            return
        rows = self.inputs()[::RARER] if self.data is None else self.data.astype(float)
        rows = np.array([[1.0], [-1.0]]) if self._two_inputs else rows
        found = self.prediction(len(rows))
        for tries, kept in TRIES:
            drawn = [_integers(source, count) for _ in range(tries)]
            variety = [self._variety(found, theta, rows) for theta in drawn]
            yield from (drawn[i] for i in sorted(range(tries), key=lambda i: -variety[i])[:kept])

    def _variety(self, found: Prediction, theta: Sequence[Fraction], rows: np.ndarray) -> int:
        """How many gated units (or channels) take both values, and how many neighbours are on together, in float64.

        A weight between two units that are never on together does not move, which is a law of such regions alone. Where
        two inputs stand for all: for how many of them all layers have units that are on, then how many are on.
        """
        gates = [g.reshape(len(g), -1, len(rows)) for g in self._float_gates(found, theta, rows)]
        if self._two_inputs:
            number = np.array([g.sum(axis=(0, 1)) for g in gates])
            moving = int((number > 0).all(axis=0).sum())
            return moving * len(theta) ** 2 + int(number.sum() + (number[1:] * number[:-1]).sum())
        both = sum(int((g.any(axis=(1, 2)) & ~g.all(axis=(1, 2))).sum()) for g in gates)
        on = [g.any(axis=1).astype(np.int64) for g in gates]
        return both + sum(int(np.count_nonzero(np.matmul(a, b.T))) for a, b in pairwise(on))

    def _float_gates(self, found: Prediction, theta: Sequence[Fraction], rows: np.ndarray) -> list[np.ndarray]:
        """Which gates are on, (units or channels, further axes and samples) each."""
        values = {w: a.astype(float)[None] for w, a in self.cut(theta).items()}
        values[found.inputs] = rows.T.reshape(1, *shape_of(self.network.input_axes), len(rows))
        z = interpret(found.program, values, BatchArithmetic())
        return [z[f"z{i}"][0].reshape(int(g.axes[0].size), -1) > 0 for i, g in enumerate(found.gates)]

    def inputs(self) -> np.ndarray:
        """(SAMPLES, d_0) inputs on random lines, at all distances: many patterns of gates occur on a few lines."""
        source = np.random.default_rng(1)
        base, direction = source.normal(size=(2, LINES, 1, self.input_size))
        steps = np.sinh(np.linspace(-6, 6, SAMPLES // LINES))[None, :, None]
        return np.asarray((base + steps * direction).reshape(-1, self.input_size))

    # Near a point -----------------------------------------------------------------------------------------------------

    def near(self, point: Sequence[Fraction]) -> Local:
        """The network with the gates of a point."""
        ring = polynomial_ring(len(self.symbols))
        if self.data is not None:
            rows = list(self.data)
            prediction = self.prediction(len(rows))
            gates, kinks = self.gate_values(prediction, point, rows)
            if kinks.any():
                raise ProblemError(
                    f"the point must not lie on a kink, got one of sample {int(np.argmax(kinks))}; give another at="
                )
            return self._whole(System(ring, len(self.symbols), self._outputs(ring, prediction, rows, gates)))
        if self.network.smooth:
            basis = self._basis()
            return self._whole(System(ring, len(self.symbols), self._outputs(ring, self.prediction(len(basis)), basis)))
        if self._two_inputs:
            return self._whole(System(ring, len(self.symbols), self._patterns(ring, point, [[1], [-1]])))
        return Local(self._sampled(ring, point))

    @staticmethod
    def _whole(system: System) -> Local:
        reduced = system.reduced(exactly=True)
        return Local(reduced, whole=reduced)

    def _basis(self) -> list[list[int]]:
        """Inputs on which a linear (with biases: affine) function is determined."""
        size = self.input_size
        unit = [[int(i == k) for i in range(size)] for k in range(size)]
        return [*unit, [0] * size] if any(self.network.biases) else unit

    def _sampled(self, ring: Ring, point: Sequence[Fraction]) -> System:
        """Outputs with the gates of one input for each pattern found in float64."""
        rows = self.inputs()
        gates = self._float_gates(self.prediction(len(rows)), point, rows)
        bits = np.packbits(np.concatenate([g.reshape(-1, len(rows)) for g in gates]), axis=0)
        _, first = np.unique(bits, axis=1, return_index=True)
        chosen = np.random.default_rng(2).permutation(first)
        found, waited = System(ring, len(self.symbols), ()), 0
        for start in range(0, min(len(chosen), PATTERNS), CHUNK):
            exact = [[Fraction(float(v)) for v in rows[i]] for i in chosen[start : start + CHUNK]]
            more = self._patterns(ring, point, exact)
            joined = System(ring, len(self.symbols), (*found.potentials, *more)).reduced(exactly=False)
            waited = 0 if len(joined.potentials) > len(found.potentials) else waited + 1
            found = joined
            if waited == PATIENCE:
                break
        return found

    def _patterns(
        self, ring: Ring, point: Sequence[Fraction], rows: Sequence[Sequence[Fraction | int]]
    ) -> tuple[Polynomial, ...]:
        """The outputs, linear functions of x, with the gates of each of some inputs; those on a kink are left out."""
        gates, kinks = self.gate_values(self.prediction(len(rows)), point, rows)
        basis = self._basis()
        if len(basis) > WIDE:
            source = random.Random(4)
            basis = [[source.randint(-9, 9) for _ in range(self.input_size)] for _ in range(FEW)]
        small, seen = self.prediction(len(basis)), set()
        found: list[Polynomial] = []
        for i in np.flatnonzero(~kinks):
            pattern = [g[..., i] for g in gates]
            key = tuple(v for g in pattern for v in g.reshape(-1))
            if key not in seen:
                seen.add(key)
                found += self._outputs(ring, small, basis, [np.stack([g] * len(basis), axis=-1) for g in pattern])
        return tuple(found)

    def gate_values(
        self, prediction: Prediction, point: Sequence[Fraction], rows: Sequence[Sequence[Fraction | int]]
    ) -> tuple[list[np.ndarray], np.ndarray]:
        """The value of every gate, and which samples have one on a kink (not one whose argument vanishes nearby)."""
        values = {**self.cut(point), prediction.inputs: self.columns(rows)}
        found = interpret(prediction.program, values, EXACT)
        z = [np.asarray(found[f"z{i}"]) for i in range(len(prediction.gates))]
        gates = [_chosen(v >= 0, g) for v, g in zip(z, prediction.gates, strict=True)]
        kinks = np.zeros(len(rows), dtype=bool)
        if any((v == 0).any() for v in z):
            near = self._evaluated(polynomial_ring(len(self.symbols)), prediction, rows, gates)
            for i, v in enumerate(z):
                on = (v == 0) & (near[f"z{i}"] != 0)
                kinks |= on.reshape(-1, len(rows)).any(axis=0)
        return gates, kinks

    def _evaluated(
        self,
        ring: Ring,
        prediction: Prediction,
        rows: Sequence[Sequence[Fraction | int]],
        gates: Sequence[np.ndarray] = (),
    ) -> dict[str, np.ndarray]:
        """The program as polynomials in theta, with given gates."""
        lift = np.frompyfunc(partial(constant, ring), 1, 1)
        values: dict[Any, np.ndarray] = {**self.cut(ring.gens()[: len(self.symbols)])}
        values[prediction.inputs] = lift(self.columns(rows))
        values |= {g: lift(v) for g, v in zip(prediction.gates, gates, strict=True)}
        return interpret(prediction.program, values, polynomial_arithmetic(ring))

    def _outputs(
        self,
        ring: Ring,
        prediction: Prediction,
        rows: Sequence[Sequence[Fraction | int]],
        gates: Sequence[np.ndarray] = (),
    ) -> tuple[Polynomial, ...]:
        """The outputs (or the differences of neighbouring ones) of every sample."""
        found = self._evaluated(ring, prediction, rows, gates)["h"].reshape(-1, len(rows))
        if self.differences:
            found = found[:-1] - found[1:]
        return tuple(found.reshape(-1))


def _chosen(on: np.ndarray, gate: Gate) -> np.ndarray:
    """The slopes of a gate where it is on and where it is off."""
    found = np.empty(on.shape, dtype=object)
    found[on], found[~on] = gate.alpha, gate.alpha_bar
    return found


def _integers(source: random.Random, count: int) -> tuple[Fraction, ...]:
    """A point."""
    return tuple(Fraction(source.randint(-RANGE, RANGE)) for _ in range(count))
