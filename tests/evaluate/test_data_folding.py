"""What to_jax does before JAX sees a program: data folded, rearrangements of theta read at once, the cheapest form."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

import symflow as sf
from symflow.derivatives.stacked import stacked_hessian
from symflow.evaluate.cheapest_hessian import fastest
from symflow.evaluate.data_folding import evaluate, partial_evaluation
from symflow.evaluate.jax import bound_data
from symflow.evaluate.jax_arithmetic import _short_sums
from symflow.evaluate.theta_gathers import selections
from symflow.programs.nodes import Input
from symflow.programs.program import Program, operation_count

FLOAT = np.dtype(np.float64)
SHAPES = [(3, 2), (2, 2, 2, 1), (1, 4, 1), (2,) * 12, (5, 1, 5), (8, 8, 8, 8, 4)]


def case(widths: tuple[int, ...], samples: int = 5) -> tuple[sf.Objective, np.ndarray]:
    rng = np.random.default_rng(7)
    x, y = rng.normal(size=(samples, widths[0])), rng.normal(size=(samples, widths[-1]))
    theta = rng.normal(size=sum(a * b for a, b in pairwise(widths)))
    return sf.network_objective(sf.FullyConnected(widths), x, y), theta


@pytest.mark.parametrize("widths", SHAPES, ids=str)
def test_the_chosen_form_agrees_with_the_blocks(widths: tuple[int, ...]) -> None:
    o, theta = case(widths)
    derived = sf.hessian(o)
    blocks = sf.to_jax(derived, data="arguments")
    values = evaluate(derived.program, bound_data(o, FLOAT) | o.cut(theta), FLOAT)
    size = max(np.abs(block).max() for block in values.values())
    found = np.asarray(sf.to_jax(derived)(theta))
    assert found.shape == (o.parameter_count,) * 2
    late = blocks(theta, {x.name: np.asarray(a, float) for x, a in o.data.items()})
    starts = np.cumsum([0, *(where.stop - where.start for where, _ in o.slices())])
    pairs = [(j, k) for k in range(len(starts) - 1) for j in range(k + 1)]
    for (j, k), block in zip(pairs, values.values(), strict=True):
        rows, columns = slice(*starts[j : j + 2]), slice(*starts[k : k + 2])
        expected = block.reshape(rows.stop - rows.start, -1)
        for matrix in (found, np.asarray(late)):
            np.testing.assert_allclose(matrix[rows, columns], expected, rtol=0, atol=1e-13 * size)
            np.testing.assert_allclose(matrix[columns, rows], expected.T, rtol=0, atol=1e-13 * size)


def test_deep_networks_take_the_stacked_form_and_tiny_ones_the_blocks() -> None:
    for widths, outputs in (((2,) * 31, 1), ((2, 2, 2, 1), 6), ((20, 20, 20, 20, 10), 1)):
        o, _ = case(widths)
        program, _ = fastest(sf.hessian(o), bound_data(o, FLOAT), FLOAT)
        assert len(program.outputs) == outputs


@pytest.mark.parametrize("activation", [1, 0])
def test_what_depends_on_data_alone_is_evaluated_once(activation: int) -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(40, 3)), rng.normal(size=(40, 2))
    o = sf.network_objective(sf.FullyConnected((3, 4, 2), 1, activation), x, y)
    derived = sf.hessian(o)
    program, constants = partial_evaluation(derived.program, bound_data(o, FLOAT), FLOAT)
    assert operation_count(program) < operation_count(derived.program)
    assert set(constants) <= set(program.inputs)
    assert all(x in constants or x.role == "parameter" for x in program.inputs)
    if activation:
        sigma = next(a for a in constants.values() if a.shape == (3, 3))
        np.testing.assert_allclose(sigma, x.T @ x, rtol=1e-14)


def test_one_layer_has_a_constant_hessian() -> None:
    o, theta = case((3, 2))
    program, _ = partial_evaluation(sf.hessian(o).program, bound_data(o, FLOAT), FLOAT)
    assert program.length == 0
    x = np.array(o.data[o.data_inputs[0]], dtype=float)
    np.testing.assert_allclose(sf.to_jax(sf.hessian(o))(theta), np.kron(np.eye(2), x @ x.T / 5), rtol=1e-13)


def test_programs_without_data_stay_as_they_are() -> None:
    o, _ = case((2, 3, 1))
    program = sf.gradient(o).program
    assert partial_evaluation(program, {}, FLOAT)[0] is program


def test_rearrangements_of_theta_are_read_at_once() -> None:
    o, theta = case((2, 3, 1, 2))
    derived = stacked_hessian(o)
    assert derived is not None
    places = o.cut(np.arange(o.parameter_count))
    program, selected = selections(derived.program, places)
    assert not any(w in program.inputs and w in _used(program) for w in o.parameters)
    ((_, where),) = selected.items()
    padded = np.append(theta, 0.0)
    expected = np.zeros((8, 8))
    for start, w in zip(((2, 0), (5, 2), (6, 5)), o.cut(theta).values(), strict=True):
        expected[start[0] : start[0] + w.shape[0], start[1] : start[1] + w.shape[1]] = w
    np.testing.assert_array_equal(padded[where], expected)


def test_sums_of_weights_are_not_taken_for_rearrangements() -> None:
    from symflow.programs.nodes import Axis, add, hadamard

    axes = (Axis("d", 2),)
    u, v = (Input(name, axes, "parameter", name) for name in "uv")
    program = Program((u, v), {"f": hadamard(add([(1, u), (1, v)]), u), "g": hadamard(add([(Fraction(2), u)]), v)})
    places = {u: np.array([0, 1]), v: np.array([2, 3])}
    rest, selected = selections(program, places)
    assert not selected
    assert rest.outputs == program.outputs


def _used(program: Program) -> set:
    return {x for x in program.nodes if isinstance(x, Input)}


def test_short_sums_are_written_out() -> None:
    x = np.arange(24.0).reshape(2, 3, 4)
    for subscripts, rest in (("abc->ac", "ac->ac"), ("abc->b", "b->b"), ("abc->", "->"), ("abc->cab", "abc->cab")):
        (summed,), left = _short_sums(x, subscripts)
        assert left == rest
        np.testing.assert_array_equal(np.einsum(left, np.asarray(summed)), np.einsum(subscripts, x))
    square = np.arange(9.0).reshape(3, 3)
    assert _short_sums(square, "aa->") == ([square], "aa->")
    long = np.ones((2, 1000))
    assert _short_sums(long, "ab->a") == ([long], "ab->a")
