"""The results R2, R7, R10 and the moment form, exactly, against formulas written out in plain matrices."""

import random
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import sympy
from cases import rationals
from hypothesis import given, settings
from plain_network import ACTIVATIONS, Case, cases

import symflow as sf

EXAMPLES = settings(max_examples=30, derandomize=True)
LINEAR = ("linear", "scaled")
GATED = ("relu", "leaky", "homogeneous")
FIXED = Case((2, 3, 3, 2), ACTIVATIONS["linear"], 3, 5)


def layer_gradients(case: Case, theta: np.ndarray) -> list[np.ndarray]:
    return case.weights(sf.evaluate_exact(sf.gradient(case.objective), theta))


def product(matrices: list[np.ndarray], size: int) -> np.ndarray:
    """W_{j':j} = W_{j'} ... W_j for [W_j, ..., W_{j'}]; the identity for an empty list."""
    result = np.array([[Fraction(int(i == k)) for k in range(size)] for i in range(size)], dtype=object)
    for w in matrices:
        result = w.dot(result)
    return result


def balancedness(weights: list[np.ndarray]) -> list[np.ndarray]:
    """D_j = W_{j+1}^T W_{j+1} - W_j W_j^T for j = 1, ..., n-1."""
    return [up.T.dot(up) - w.dot(w.T) for w, up in pairwise(weights)]


# R2: Euler's identity ------------------------------------------------------------------------------------------------


def output_gradient(case: Case, cotangents: np.ndarray) -> np.ndarray:
    """The gradient of sum_i <c_i, h(x_i)>: that of N f when the targets are y_i = h(x_i) - c_i."""
    targets = np.array(case.forward(case.theta)[0], dtype=object) - cotangents
    network = sf.FullyConnected(case.widths, *case.slopes)
    objective = sf.network_objective(network, case.arrays[0], targets)
    return case.samples * sf.evaluate_exact(sf.gradient(objective), case.theta)


@EXAMPLES
@given(cases())
def test_r2_every_layer_reproduces_the_output(case: Case) -> None:
    outputs = np.array(case.forward(case.theta)[0], dtype=object)
    for k in range(case.widths[-1]):
        cotangents = np.zeros_like(outputs) + Fraction(0)
        cotangents[0, k] = Fraction(1)
        gradient = output_gradient(case, cotangents)
        layers = zip(case.weights(case.theta), case.weights(gradient), strict=True)
        assert all((w * g).sum() == outputs[0, k] for w, g in layers)
        assert case.theta.dot(gradient) == case.depth * outputs[0, k]


def test_r2_check_refutes_another_degree() -> None:
    outputs = np.array(FIXED.forward(FIXED.theta)[0], dtype=object)
    cotangents = np.zeros_like(outputs) + Fraction(0)
    cotangents[0, 0] = Fraction(1)
    gradient = output_gradient(FIXED, cotangents)
    assert FIXED.theta.dot(gradient) == 3 * outputs[0, 0]
    assert FIXED.theta.dot(gradient) != 2 * outputs[0, 0]
    reversed_layers = zip(FIXED.weights(FIXED.theta), FIXED.weights(gradient[::-1]), strict=True)
    assert any((w * g).sum() != outputs[0, 0] for w, g in reversed_layers)


# R7: Hessian of linear networks -----------------------------------------------------------------------------------


def r7_form(case: Case, delta: np.ndarray, cross: Fraction = Fraction(2), transposed: bool = False) -> Fraction:
    """H[D, D] = <A Sigma_xx, A> + 2 Tr(grad phi^T sum_{j<j'} W_{n:j'+1} D_{j'} W_{j'-1:j+1} D_j W_{j-1:1}).

    With the activation z -> alpha z, f(theta) = phi(c W_{n:1}) for c = alpha^{n-1}.
    """
    x, y = case.arrays[0].T, case.arrays[1].T
    w, d, widths, n = case.weights(case.theta), case.weights(delta), case.widths, case.depth
    c = case.slopes[0] ** (n - 1)
    end_to_end = c * product(w, widths[0])
    residual = end_to_end.dot(x) - y
    nabla = residual.dot(x.T) / Fraction(case.samples)
    a = sum(
        c * product(w[j + 1 :], widths[j + 1]).dot(d[j]).dot(product(w[:j], widths[0])) for j in range(n)
    ) + np.zeros((widths[-1], widths[0]), dtype=object)
    total = (a.dot(x) ** 2).sum() / Fraction(case.samples)
    for k in range(n):
        for j in range(k):
            middle = product(w[j + 1 : k], widths[j + 1])
            middle = middle.T if transposed else middle
            left = product(w[k + 1 :], widths[k + 1]).dot(d[k])
            chain = left.dot(middle).dot(d[j]).dot(product(w[:j], widths[0]))
            total += cross * c * np.trace(nabla.T.dot(chain))
    return total


@EXAMPLES
@given(cases(LINEAR))
def test_r7_is_the_hessian_form_of_linear_networks(case: Case) -> None:
    delta = case.directions[0]
    form = sf.hessian_form(case.objective)
    assert sf.evaluate_exact(form, case.theta, delta) == r7_form(case, delta)
    assert form.citation == sf.cite("R7")


def test_r7_check_refutes_a_wrong_factor_and_a_wrong_transpose() -> None:
    delta = FIXED.directions[0]
    value = sf.evaluate_exact(sf.hessian_form(FIXED.objective), FIXED.theta, delta)
    assert value == r7_form(FIXED, delta)
    assert value != r7_form(FIXED, delta, cross=Fraction(1))
    assert value != r7_form(FIXED, delta, transposed=True)


# R10: balancedness ------------------------------------------------------------------------------------------------


def drift(weights: list[np.ndarray], gradients: list[np.ndarray]) -> list[np.ndarray]:
    """d/dt D_j along W_j' = -G_j, by the product rule."""
    pairs = list(zip(weights, gradients, strict=True))
    return [-(v.T.dot(up) + up.T.dot(v)) + g.dot(w.T) + w.dot(g.T) for (w, g), (up, v) in pairwise(pairs)]


@EXAMPLES
@given(cases(LINEAR))
def test_r10_flow_of_linear_networks_conserves_balancedness(case: Case) -> None:
    gradients = layer_gradients(case, case.theta)
    assert all((rate == 0).all() for rate in drift(case.weights(case.theta), gradients))


@EXAMPLES
@given(cases(GATED))
def test_r10_flow_of_gated_networks_conserves_the_diagonal(case: Case) -> None:
    gradients = layer_gradients(case, case.theta)
    assert all((np.diag(rate) == 0).all() for rate in drift(case.weights(case.theta), gradients))


@EXAMPLES
@given(cases())
def test_r10_descent_drifts_by_its_closed_form(case: Case) -> None:
    eta = Fraction(3, 7)
    gradients = layer_gradients(case, case.theta)
    before = balancedness(case.weights(case.theta))
    after = balancedness([w - eta * g for w, g in zip(case.weights(case.theta), gradients, strict=True)])
    for j, (old, new) in enumerate(zip(before, after, strict=True)):
        up, down = gradients[j + 1].T.dot(gradients[j + 1]), gradients[j].dot(gradients[j].T)
        change, expected = new - old, eta**2 * (up - down)
        if case.slopes[0] == case.slopes[1]:
            assert np.array_equal(change, expected)
        assert np.array_equal(np.diag(change), np.diag(expected))


def test_r10_checks_refute_wrong_statements() -> None:
    """Gates break the off-diagonal; a transpose or a sign breaks the linear statement."""
    gated = Case((2, 3, 3, 2), ACTIVATIONS["leaky"], 3, 5)
    rates = drift(gated.weights(gated.theta), layer_gradients(gated, gated.theta))
    assert any((rate != 0).any() for rate in rates)
    weights, gradients = FIXED.weights(FIXED.theta), layer_gradients(FIXED, FIXED.theta)
    assert all((rate == 0).all() for rate in drift(weights, gradients))
    wrong = [gradients[0], gradients[1].T, gradients[2]]
    assert any((rate != 0).any() for rate in drift(weights, wrong))
    eta = Fraction(1, 2)
    change = balancedness([w - eta * g for w, g in zip(weights, gradients, strict=True)])[0] - balancedness(weights)[0]
    up, down = gradients[1].T.dot(gradients[1]), gradients[0].dot(gradients[0].T)
    assert np.array_equal(change, eta**2 * (up - down))
    assert not np.array_equal(change, eta**2 * (up + down))


# Moment form -------------------------------------------------------------------------------------------------------


@EXAMPLES
@given(cases(LINEAR))
def test_moment_form_is_the_same_function(case: Case) -> None:
    moments = sf.moment_form(case.objective)
    assert moments is not None
    delta = case.directions[0]
    for derive in (sf.loss, sf.hessian_form, lambda o: sf.directional_derivative(o, 3)):
        direction = () if derive is sf.loss else delta
        of_samples = sf.evaluate_exact(derive(case.objective), case.theta, direction)
        assert sf.evaluate_exact(derive(moments), case.theta, direction) == of_samples
    for derive in (sf.gradient, sf.hessian):
        value = sf.evaluate_exact(derive(moments), case.theta)
        assert np.array_equal(value, sf.evaluate_exact(derive(case.objective), case.theta))


def test_moment_check_refutes_a_wrong_moment() -> None:
    """Negative control: Lambda_xy in place of Lambda_yx is another function."""
    moments = sf.moment_form(FIXED.objective)
    assert moments is not None
    swapped = {x: a.T if x.name == "Lambda_yx" else a for x, a in moments.data.items()}
    wrong = sf.Objective(moments.program, moments.parameters, swapped, moments.network)
    value = sf.evaluate_exact(sf.loss(FIXED.objective), FIXED.theta)
    assert sf.evaluate_exact(sf.loss(moments), FIXED.theta) == value
    assert sf.evaluate_exact(sf.loss(wrong), FIXED.theta) != value


@pytest.mark.parametrize("activation", GATED)
def test_moment_form_of_a_gated_network_does_not_exist(activation: str) -> None:
    assert sf.moment_form(Case((2, 2, 1), ACTIVATIONS[activation], 3, 0).objective) is None
    one_layer = Case((2, 1), ACTIVATIONS[activation], 3, 0)
    moments = sf.moment_form(one_layer.objective)
    assert moments is not None
    value = sf.evaluate_exact(sf.loss(one_layer.objective), one_layer.theta)
    assert sf.evaluate_exact(sf.loss(moments), one_layer.theta) == value


def test_moment_form_needs_data_and_a_network() -> None:
    w = sympy.Symbol("w")
    assert sf.moment_form(sf.expression_objective((w - 1) ** 2 / 2, [w])) is None
    assert sf.moment_form(sf.network_objective(sf.FullyConnected((2, 2, 1)), None, None)) is None


def test_moments_cost_the_same_for_any_number_of_samples() -> None:
    rng = random.Random(0)
    network = sf.FullyConnected((2, 3, 1))
    lengths = []
    for samples in (1, 5, 50):
        objective = sf.network_objective(network, rationals(rng, samples, 2), rationals(rng, samples, 1))
        moments = sf.moment_form(objective)
        assert moments is not None
        assert all(a.size not in (5, 50) for x in moments.program.nodes for a in x.axes)
        lengths.append(sf.gradient(moments).program.length)
    assert len(set(lengths)) == 1
