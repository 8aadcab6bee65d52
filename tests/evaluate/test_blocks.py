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
from symflow.evaluate.blocks import again
from symflow.evaluate.blocks.again import Compilers
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
        recurrence.read(recurrence.series)
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


def one_flipped(gates: Gates, rng: np.random.Generator) -> Gates:
    """Gates of which one has another value."""
    found = {g: values.copy() for g, values in gates.items()}
    gate = list(found)[rng.integers(len(found))]
    flat = found[gate].reshape(-1)
    i = rng.integers(flat.size)
    flat[i] = gate.alpha_bar if flat[i] == gate.alpha else gate.alpha
    return found


def assert_same_again(field: VectorField, theta: list[Fraction], *, flips: int) -> int:
    """One gate after the other has another value: what is compiled again and what is compiled at once are equal.

    How often all was compiled at once comes back.
    """
    gates, _ = initial_gates(field, theta)
    rng, arithmetic = np.random.default_rng(3), FixedSeries(BITS)
    compilers, values, whole = Compilers(arithmetic), [arithmetic.lift(q) for q in theta], 0
    with array_by_array():
        for flip in range(flips):
            known = compilers.of(field)
            mine = compile_recurrence(field, gates, arithmetic, compilers)
            whole += compilers.of(field) is not known
            plain = compile_recurrence(field, gates, arithmetic)
            for python in (True, False):
                same = expanded(mine, values, python=python) == expanded(plain, values, python=python)
                assert same, (flip, python)  # pytest takes ten seconds to show how thousands of numbers differ
            gates = one_flipped(gates, rng)
    return whole


@pytest.mark.parametrize("loss", ["square", "cross-entropy", "pseudo-huber"])
@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_what_was_compiled_before_is_used_again(name: str, loss: str) -> None:
    case = Case(NETWORKS[name](2), loss, 3, 11)
    theta = [Fraction(float(v)) for v in case.arrays[2]]
    assert_same_again(gradient_flow_field(case.objective), theta, flips=6)


def test_equal_samples_are_compiled_at_once() -> None:
    """Rows that equal others, which may cease to: all is compiled again."""
    x = [["1", "2"], ["1", "2"], ["1", "3"], ["1", "2"]]
    objective = sf.network_objective(sf.FullyConnected((2, 2, 1), Fraction(1), Fraction(0)), x, ["1", "-1", "1", "-1"])
    theta = [Fraction(n, 7) for n in (1, 2, 3, 4, 5, 6)]
    assert assert_same_again(gradient_flow_field(objective), theta, flips=12) > 0


@pytest.mark.parametrize("loss", ["square", "cross-entropy"])
def test_a_gate_costs_as_much_whatever_the_samples(loss: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows that are made again where one gate changes do not depend on how many other samples there are."""
    made: list[int] = []
    real = BlockCompiler._rows

    def counted(self: BlockCompiler, a: np.ndarray, b: np.ndarray, own: np.ndarray) -> np.ndarray:
        made.append(len(own))
        return real(self, a, b, own)

    monkeypatch.setattr(BlockCompiler, "_rows", counted)
    costs = []
    for samples in (5, 40):
        case = Case(sf.FullyConnected((3, 4, 3, 2), Fraction(1), Fraction(0)), loss, samples, 11)
        field, compilers = gradient_flow_field(case.objective), Compilers(FixedSeries(BITS))
        gates, _ = initial_gates(field, [Fraction(float(v)) for v in case.arrays[2]])
        with array_by_array():
            compile_recurrence(field, gates, compilers.constants.arithmetic, compilers)
            flat = gates[(gate := next(iter(gates)))].reshape(-1)
            flat[0] = gate.alpha_bar if flat[0] == gate.alpha else gate.alpha
            made.clear()
            compile_recurrence(field, gates, compilers.constants.arithmetic, compilers)
        costs.append(sum(made))
    assert 0 < costs[1] <= costs[0] + 2


def test_a_row_that_is_not_made_again_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: with operations that are always taken for known ones, the series differ."""
    monkeypatch.setattr(again.np, "array_equal", lambda *_: True)
    case = Case(NETWORKS["dense"](2), "square", 3, 11)
    theta = [Fraction(float(v)) for v in case.arrays[2]]
    with pytest.raises(AssertionError):
        assert_same_again(gradient_flow_field(case.objective), theta, flips=6)
