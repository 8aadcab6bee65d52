"""Expansion into SymPy scalars against SymPy's own derivatives, the budget, and the source."""

import itertools
import time
from fractions import Fraction

import jax.numpy as jnp
import numpy as np
import pytest
import sympy
from jax import enable_x64

import symflow as sf
from symflow.evaluate.sympy_scalars import scalar_symbols, written_size

LINEAR, RELU, LEAKY = (Fraction(1), Fraction(1)), (Fraction(1), Fraction(0)), (Fraction(3, 2), Fraction(-1, 5))
TINY = [
    ((1, 1), LINEAR),
    ((2, 1), LINEAR),
    ((1, 1, 1), LINEAR),
    ((1, 2, 1), LINEAR),
    ((2, 2, 1), LINEAR),
    ((1, 1, 1), RELU),
    ((1, 2, 1), RELU),
    ((2, 1), RELU),
    ((2, 2, 1), LEAKY),
    ((1, 1, 1, 1), RELU),
]


def tiny(widths: tuple[int, ...], slopes: tuple[Fraction, Fraction], samples: int = 2) -> sf.Objective:
    rng = np.random.default_rng(sum(widths))
    x, y = rng.integers(-4, 5, (samples, widths[0])), rng.integers(-4, 5, (samples, widths[-1]))
    return sf.network_objective(sf.FullyConnected(widths, *slopes), x, y)


def symbols(inputs) -> list[sympy.Symbol]:
    return [s for x in inputs for s in scalar_symbols(x).flat]


def written_out(objective: sf.Objective) -> sympy.Expr:
    """The loss, sample by sample and unit by unit, from its definition."""
    network = objective.network
    assert network is not None
    x, y = (objective.data[i] for i in objective.data_inputs)
    weights = [sympy.Matrix(scalar_symbols(w)) for w in objective.parameters]
    total = sympy.Integer(0)
    for i in range(x.shape[1]):
        a = sympy.Matrix([sympy.Rational(v) for v in x[:, i]])
        for j, w in enumerate(weights, start=1):
            a = w * a
            if j < len(weights) and not network.linear:
                slopes = [sympy.Rational(network.alpha), sympy.Rational(network.alpha_bar)]
                a = a.applyfunc(lambda z, s=slopes: z * sympy.Piecewise((s[0], z >= 0), (s[1], True)))
            elif j < len(weights):
                a = sympy.Rational(network.alpha) * a
        total += sum((h - sympy.Rational(v)) ** 2 for h, v in zip(a, y[:, i], strict=True))
    return total / (2 * x.shape[1])


def is_zero(expression: sympy.Expr) -> bool:
    return sympy.expand(expression) == 0


@pytest.mark.parametrize(("widths", "slopes"), TINY)
def test_explicit_results_are_sympys_derivatives(widths: tuple[int, ...], slopes: tuple[Fraction, Fraction]) -> None:
    objective = tiny(widths, slopes)
    f = sf.loss(objective).explicit()
    assert is_zero(f - written_out(objective))
    theta = symbols(objective.parameters)
    first = [sympy.diff(f, v) for v in theta]
    gradient = sf.gradient(objective).explicit()
    assert gradient.shape == (len(theta), 1)
    assert all(is_zero(a - b) for a, b in zip(gradient, first, strict=True))
    assert all(is_zero(a + b) for a, b in zip(sf.gradient_flow(objective).explicit(), first, strict=True))
    hessian = sf.hessian(objective).explicit()
    second = {(i, k): sympy.diff(first[i], theta[k]) for i in range(len(theta)) for k in range(i + 1)}
    assert all(is_zero(hessian[i, k] - value) and is_zero(hessian[k, i] - value) for (i, k), value in second.items())
    form = sf.hessian_form(objective)
    delta = symbols(form.directions)
    expected = sum(
        second[max(i, k), min(i, k)] * delta[i] * delta[k] for i, k in itertools.product(range(len(theta)), repeat=2)
    )
    assert is_zero(form.explicit() - expected)


def test_third_derivative_is_sympys() -> None:
    objective = tiny((1, 2, 1), LINEAR)
    derived = sf.directional_derivative(objective, 3)
    theta, delta = symbols(objective.parameters), symbols(derived.directions)
    value = sf.loss(objective).explicit()
    for _ in range(3):
        value = sum(d * sympy.diff(value, v) for v, d in zip(theta, delta, strict=True))
    assert is_zero(derived.explicit() - value)


def test_check_refutes_wrong_expressions() -> None:
    """Negative control, with and without gates."""
    for slopes in (LINEAR, RELU):
        objective = tiny((1, 2, 1), slopes)
        first = sympy.diff(sf.loss(objective).explicit(), symbols(objective.parameters)[0])
        gradient = sf.gradient(objective).explicit()
        assert is_zero(gradient[0] - first)
        assert not is_zero(gradient[1] - first)
        assert not is_zero(2 * gradient[0] - first)
        assert not is_zero(gradient[0] - first + sympy.Rational(1, 10**30))


def test_data_that_are_not_bound_become_symbols() -> None:
    objective = sf.network_objective(sf.FullyConnected((1, 1)), np.array([[2]]), None)
    expected = (2 * sympy.Symbol("W1_11", real=True) - sympy.Symbol("Y_11", real=True)) ** 2 / 2
    assert is_zero(sf.loss(objective).explicit() - expected)


def test_every_entry_has_its_own_symbol() -> None:
    objective = tiny((12, 12), LINEAR, samples=1)
    assert len(set(symbols(objective.parameters))) == 144


# Budget -----------------------------------------------------------------------------------------------------------


def test_expansion_over_the_budget_names_its_size() -> None:
    objective = tiny((2, 2, 1), LINEAR)
    gradient = sf.gradient(objective)
    with pytest.raises(sf.BudgetError, match=r"would take (\d+) operations, over the budget of 10;") as caught:
        gradient.explicit(budget=10)
    size = int(str(caught.value).split("would take ")[1].split()[0])
    assert gradient.explicit(budget=size) is not None
    with pytest.raises(sf.BudgetError, match=f"{size} operations, over the budget of {size - 1}"):
        gradient.explicit(budget=size - 1)


@pytest.mark.parametrize(("widths", "slopes"), [w for w in TINY if len(w[0]) > 2])
def test_size_is_not_below_what_expansion_makes(widths: tuple[int, ...], slopes: tuple[Fraction, Fraction]) -> None:
    for derive in (sf.loss, sf.gradient, sf.hessian_form):
        derived = derive(tiny(widths, slopes))
        result = derived.explicit()
        made = sympy.count_ops(result) if derived.shape == "scalar" else sum(sympy.count_ops(e) for e in result)
        assert made <= 3 * written_size(derived.program)


def test_a_large_network_is_refused_at_once() -> None:
    x, y = np.ones((5, 20), dtype=int), np.ones((5, 10), dtype=int)
    for slopes in (LINEAR, RELU):
        objective = sf.network_objective(sf.FullyConnected((20, 20, 20, 20, 10), *slopes), x, y)
        start = time.process_time()
        for derive in (sf.loss, sf.gradient, sf.hessian):
            with pytest.raises(sf.BudgetError):
                derive(objective).explicit()
        assert time.process_time() - start < 2


# Source -----------------------------------------------------------------------------------------------------------


def run_source(derived, xp, theta: np.ndarray, direction: np.ndarray, convert=np.asarray):
    """Executes the source; outputs joined as vectors."""
    scope: dict = {}
    exec(derived.source(), scope)
    objective = derived.objective
    values, start = {}, 0
    for group, vector in ((objective.parameters, theta), (derived.directions, direction)):
        start = 0
        for w in group:
            shape = tuple(a.size for a in w.axes)
            size = int(np.prod(shape, dtype=int))
            values[w] = convert(vector[start : start + size].reshape(shape))
            start += size
    values |= {x: convert(np.asarray(a).astype(float)) for x, a in objective.data.items()}
    outputs = scope["evaluate"](*(values[x] for x in derived.program.inputs), xp)
    assert list(outputs) == list(derived.program.outputs)
    return outputs


@pytest.mark.parametrize("slopes", [LINEAR, RELU, LEAKY])
def test_source_computes_what_the_interpreters_compute(slopes: tuple[Fraction, Fraction]) -> None:
    objective = tiny((2, 3, 2), slopes, samples=3)
    rng = np.random.default_rng(1)
    theta, direction = rng.integers(-9, 10, 12) / 8, rng.integers(-9, 10, 12) / 8
    for derive in (sf.loss, sf.gradient, sf.gradient_flow, sf.hessian_vector_product, sf.hessian_form):
        derived = derive(objective)
        exact = sf.evaluate_exact(derived, theta, direction if derived.directions else ())
        expected = np.atleast_1d(exact).astype(float)
        joined = np.concatenate([np.ravel(v) for v in run_source(derived, np, theta, direction).values()])
        np.testing.assert_allclose(joined, expected, rtol=1e-12, atol=1e-13)
    derived = sf.hessian(objective)
    matrix = sf.evaluate_exact(derived, theta).astype(float)
    blocks = run_source(derived, np, theta, direction)
    np.testing.assert_allclose(blocks["H_W1_W1"].reshape(6, 6), matrix[:6, :6], rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(blocks["H_W1_W2"].reshape(6, 6), matrix[:6, 6:], rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(blocks["H_W2_W2"].reshape(6, 6), matrix[6:, 6:], rtol=1e-12, atol=1e-13)


def test_source_runs_over_jax_too() -> None:
    derived = sf.gradient(tiny((2, 2, 1), RELU))
    theta = np.arange(6) / 4 - 0.5
    with enable_x64(True):
        found = run_source(derived, jnp, theta, theta, jnp.asarray)
        joined = np.concatenate([np.ravel(v) for v in found.values()])
    np.testing.assert_allclose(joined, sf.evaluate_exact(derived, theta).astype(float), rtol=1e-13)


@pytest.mark.parametrize("names", ["v1 v2", "xp lambda", "_v1 v1", "x' x_", "2 v"])
def test_source_survives_any_names(names: str) -> None:
    a, b = (sympy.Symbol(name) for name in names.split())
    objective = sf.expression_objective(sympy.exp(a / 4) * b**2 + sympy.sqrt(2) / a, [a, b])
    theta = np.array([0.5, -1.25])
    for derive in (sf.loss, sf.gradient):
        derived = derive(objective)
        found = [float(v) for v in run_source(derived, np, theta, theta).values()]
        expected = np.atleast_1d(sf.evaluate_mpmath(derived, theta)).astype(float)
        np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_source_states_what_it_computes() -> None:
    text = sf.gradient_flow(tiny((2, 2, 1), LINEAR)).source()
    assert text.startswith("def evaluate(W1, W2, X, Y, xp):\n")
    assert "gradient flow: dW1, dW2; R1" in text
