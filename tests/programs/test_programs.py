"""Programs: copies and pickles, missing inputs and data, substitution, symbolic sizes."""

import copy
import pickle
import sys
from fractions import Fraction

import numpy as np
import pytest
import sympy

import symflow as sf
from symflow.evaluate.interpret import interpret
from symflow.evaluate.object_arrays import EXACT
from symflow.programs.nodes import (
    Input,
    add,
    hadamard,
    zero,
)
from symflow.programs.program import Program, substitute
from tests.programs.test_nodes import array

# Programs ---------------------------------------------------------------------------------------------------------


def objective(depth: int = 2, alpha_bar: Fraction = Fraction(1, 5)) -> sf.Objective:
    rng = np.random.default_rng(depth)
    x, y = rng.integers(-3, 4, (3, 2)), rng.integers(-3, 4, (3, 2))
    return sf.network_objective(sf.FullyConnected((2,) * (depth + 1), Fraction(1), alpha_bar), x, y)


@pytest.mark.parametrize("duplicate", [lambda x: pickle.loads(pickle.dumps(x)), copy.deepcopy, copy.copy])
def test_copies_of_programs_keep_their_nodes(duplicate) -> None:
    program = sf.gradient(objective()).program
    again = duplicate(program)
    assert again.inputs == program.inputs
    assert dict(again.outputs) == dict(program.outputs)
    assert dict(again.names) == dict(program.names)
    assert all(a is b for a, b in zip(again.nodes, program.nodes, strict=True))
    node = program["g_W1"]
    assert duplicate(node) is node


def test_derived_results_survive_pickling() -> None:
    derived = sf.hessian(objective())
    again = pickle.loads(pickle.dumps(derived))
    theta = [Fraction(i, 3) for i in range(-4, 4)]
    assert np.array_equal(sf.evaluate_exact(again, theta), sf.evaluate_exact(derived, theta))


def test_a_pickle_builds_the_nodes_anew_where_they_are_gone() -> None:
    stored = pickle.dumps(sf.gradient(objective()).program)
    again = pickle.loads(stored)
    assert again["g_W1"] is sf.gradient(objective()).program["g_W1"]


def test_deep_programs_are_pickled_without_recursion() -> None:
    program = sf.hessian_vector_product(objective(depth=400)).program
    limit = sys.getrecursionlimit()
    assert program.length > limit
    assert pickle.loads(pickle.dumps(program)).nodes == program.nodes
    assert copy.deepcopy(program).nodes == program.nodes


def test_a_program_names_the_input_it_was_not_given() -> None:
    x, y = Input("x", (), "data", "x"), Input("y", (), "data", "y")
    with pytest.raises(ValueError, match="the program uses y, which is not among its inputs"):
        Program((x,), {"f": hadamard(x, y)})


def test_substitution_keeps_values() -> None:
    """f(W_1, W_2) with W_1 replaced by 2 W_1 + V is the value at the sum; zero removes what it multiplies."""
    o = objective()
    w = o.parameters[0]
    v = Input("V", w.axes, "direction", "V")
    shifted = substitute(o.program, {w: add([(2, w), (1, v)])})
    assert set(shifted.inputs) == {*o.program.inputs, v}
    values = {p: array(range(-2, 2), (2, 2)) for p in o.parameters} | dict(o.data)
    at_sum = values | {w: 2 * values[w] + 1}
    moved = interpret(shifted, values | {v: values[w] * 0 + 1}, EXACT)["f"]
    assert moved == interpret(o.program, at_sum, EXACT)["f"]
    without = substitute(o.program, {w: zero(w.axes)})
    assert w not in without.inputs
    assert interpret(without, values, EXACT)["f"] == interpret(o.program, values | {w: 0 * values[w]}, EXACT)["f"]


# Symbolic sizes and missing data ------------------------------------------------------------------------------------


def test_formulas_exist_for_symbolic_widths() -> None:
    widths = sympy.symbols("d_0:3", integer=True, positive=True)
    o = sf.network_objective(sf.FullyConnected(widths, Fraction(1), Fraction(0)), None, None)
    for derive in (sf.loss, sf.gradient, sf.gradient_flow, sf.hessian_form, sf.hessian_vector_product, sf.hessian):
        derived = derive(o)
        assert derived.program.length > 0
        assert "symbolic widths" in repr(derived)
    with pytest.raises(ValueError, match="has the symbolic size"):
        sf.evaluate_exact(sf.gradient_flow(o), [1, 2])
    with pytest.raises(ValueError, match="has the symbolic size"):
        sf.gradient_flow(o).explicit()


def test_evaluation_without_data_says_so() -> None:
    o = sf.network_objective(sf.FullyConnected((2, 1)), None, None)
    assert sf.gradient_flow(o).program.length > 0
    with pytest.raises(ValueError, match=r"input X \(data\) has no value"):
        sf.evaluate_exact(sf.gradient_flow(o), [1, 2])
    half = sf.network_objective(sf.FullyConnected((2, 1)), np.array([[1, 2]]), None)
    with pytest.raises(ValueError, match=r"input Y \(data\) has no value"):
        sf.evaluate_mpmath(sf.loss(half), [1, 2])


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([[1, 2, 3]], [[1]], "rows of 2 numbers"),
        ([[1, 2]], [[1], [2]], "one row for each of the 1 samples"),
        ([[1, 2]], [[1, 1]], "rows of 1 numbers"),
        ([[1, "one"]], [[1]], r"x\[0\]\[1\] must be"),
    ],
)
def test_data_of_another_shape_are_refused(x, y, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sf.network_objective(sf.FullyConnected((2, 1)), x, y)


def test_float_data_mean_their_binary_value() -> None:
    o = sf.network_objective(sf.FullyConnected((1, 1), 1, 1), np.array([[0.1]]), [["1/10"]])
    value = sf.evaluate_exact(sf.loss(o), [1])
    assert value == (Fraction(0.1) - Fraction(1, 10)) ** 2 / 2
    assert isinstance(value, Fraction)


@pytest.mark.parametrize("widths", [(2,), (2, 0), (2, -1), (2, 1.5)])
def test_impossible_widths_are_refused(widths) -> None:
    with pytest.raises(ValueError, match="width"):
        sf.FullyConnected(widths)


def test_vectors_of_another_length_are_refused() -> None:
    o = objective()
    with pytest.raises(ValueError, match="P = 8 entries, got 3"):
        sf.evaluate_exact(sf.gradient(o), [1, 2, 3])
    with pytest.raises(ValueError, match="P = 8 entries, got 0"):
        sf.evaluate_exact(sf.hessian_form(o), [1] * 8)
    with pytest.raises(ValueError, match="takes no direction"):
        sf.evaluate_exact(sf.gradient(o), [1] * 8, [1] * 8)
    with pytest.raises(ValueError, match="order of a derivative"):
        sf.directional_derivative(o, -1)
