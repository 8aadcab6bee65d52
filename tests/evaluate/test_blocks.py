"""Recurrences compiled array by array: the same series as entry by entry, whatever the gates."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import chain

import numpy as np
import pytest
from gmpy2 import mpz
from plain_networks import LOSSES, Case
from test_series_architectures import NETWORKS

import symflow as sf
from symflow.dynamics.vector_field import VectorField, gradient_flow_field
from symflow.evaluate import series as module
from symflow.evaluate.blocks.compiler import BlockCompiler
from symflow.evaluate.blocks.constants import Constants
from symflow.evaluate.blocks.rows import needed
from symflow.evaluate.blocks.steps import BlockSteps
from symflow.evaluate.fixed_point import FixedSeries
from symflow.evaluate.series import Recurrence, compile_recurrence
from symflow.paths.taylor.kinks.gates import Gates, initial_gates

BITS, ORDER, TAU = 150, 9, -4
ULPS = 1 << 12
"""Constants that are integers over one denominator in one way and rounded in the other one differ by rounding."""


@contextmanager
def array_by_array() -> Iterator[None]:
    """All fields with gates are compiled in blocks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "LEAST_BLOCKS", 0)
        yield


def both_ways(field: VectorField, gates: Gates) -> tuple[Recurrence, Recurrence]:
    """Entry by entry, and array by array."""
    first = compile_recurrence(field, gates, FixedSeries(BITS))
    with array_by_array():
        second = compile_recurrence(field, gates, FixedSeries(BITS))
    assert not isinstance(first.steps, BlockSteps)
    assert isinstance(second.steps, BlockSteps)
    return first, second


def expanded(recurrence: Recurrence, values: list[mpz], *, python: bool) -> list[list[mpz]]:
    """The series of the state, the field's outputs and the pre-activations."""
    if python:
        recurrence._expand(values, ORDER, TAU)
    else:
        recurrence.expand(values, ORDER, TAU)
        recurrence.complete()
    read = chain(recurrence.state, recurrence.field, recurrence.monitors, *recurrence.switching)
    return [list(e) if isinstance(e, list) else [e] for e in read]


def assert_same(field: VectorField, gates: Gates, theta: list[Fraction]) -> None:
    """Zeros by structure and series agree, in Python and by the kernel."""
    one, other = both_ways(field, gates)
    values = [FixedSeries(BITS).lift(q) for q in theta]
    expected, found = expanded(one, values, python=True), expanded(other, values, python=True)
    for a, b in zip(expected, found, strict=True):
        assert [type(v) for v in a] == [type(v) for v in b]
        assert all(x == y if x is None else abs(x - y) <= ULPS for x, y in zip(a, b, strict=True))
    assert expanded(other, values, python=False) == found


def flipped(gates: Gates, rng: np.random.Generator, share: float) -> Gates:
    """Gates of which some have another value."""
    result = {}
    for g, values in gates.items():
        flat = values.copy().reshape(-1)
        for i in np.flatnonzero(rng.random(flat.size) < share):
            flat[i] = (g.alpha, g.alpha_bar, Fraction(0))[rng.integers(3)]
        result[g] = flat.reshape(values.shape)
    return result


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_every_architecture_and_loss(name: str, loss: str) -> None:
    case = Case(NETWORKS[name](1 if loss in ("logistic", "exponential") else 2), loss, 2, 11)
    field = gradient_flow_field(case.objective)
    theta = [Fraction(float(v)) for v in case.arrays[2]]
    gates, _ = initial_gates(field, theta)
    rng = np.random.default_rng(5)
    for share in (0.0, 0.5, 1.0):
        assert_same(field, flipped(gates, rng, share), theta)


def test_smooth_layers_between_layers_with_gates() -> None:
    network = sf.FullyConnected((2, 3, 3, 1), activation=["relu", "tanh"], biases=True)
    rng = np.random.default_rng(0)
    problem = sf.Problem(
        network=network,
        data={"x": rng.normal(size=(4, 2)).round(2), "y": rng.normal(size=4).round(2)},
        init={"scheme": "gaussian", "scale": 1, "seed": 1},
    ).for_digits(30)
    field = gradient_flow_field(problem.compact, problem.objective)
    theta = list(problem.theta0)
    gates, _ = initial_gates(field, theta)
    assert_same(field, gates, theta)


def test_equal_and_opposite_samples_cancel_by_structure() -> None:
    x = [["1", "2"], ["1", "2"], ["1", "2"], ["1", "2"]]
    objective = sf.network_objective(sf.FullyConnected((2, 2, 1), Fraction(1), Fraction(0)), x, ["1", "-1", "1", "-1"])
    field = gradient_flow_field(objective)
    theta = [Fraction(n, 7) for n in (1, 2, 3, 4, 5, 6)]
    gates, _ = initial_gates(field, theta)
    one, other = both_ways(field, gates)
    assert len(other.steps) <= len(one.steps)
    assert_same(field, gates, theta)


def test_rows_with_one_hash_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control of the search for equal rows: with a hash that says nothing, the series are the same."""
    case = Case(NETWORKS["dense"](2), "square", 2, 11)
    field = gradient_flow_field(case.objective)
    theta = [Fraction(float(v)) for v in case.arrays[2]]
    gates, _ = initial_gates(field, theta)
    monkeypatch.setattr("symflow.evaluate.blocks.compiler._Terms.hashed", lambda *_: np.zeros(_[1], dtype=np.uint64))
    assert_same(field, gates, theta)


def test_what_nothing_depends_on_is_left_out() -> None:
    compiler = BlockCompiler(Constants(FixedSeries(BITS)))
    state = compiler.fresh(3) + 1
    product = compiler.einsum("i,i->i", [state, state])
    wanted = compiler.einsum("i,i->", [product[:2], state[:2]])
    compiler.function("exp", state[2:], None)
    kept = needed(compiler.blocks, wanted.reshape(-1) - 1, compiler.count)
    assert [len(block.out) for block in kept] == [2, 1, 1]  # functions remain
