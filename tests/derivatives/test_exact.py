"""Derivatives against exact interpolation of the loss along a line, in rationals: equality, not tolerance."""

from fractions import Fraction

import numpy as np
from hypothesis import assume, given, settings
from plain_network import ACTIVATIONS, Case, cases, taylor

import symflow as sf

EXAMPLES = settings(max_examples=30, derandomize=True)
FIXED = Case((2, 3, 3, 2), ACTIVATIONS["leaky"], 3, 2)


def line_derivatives(case: Case, direction: np.ndarray) -> list[Fraction]:
    result = case.derivatives(direction)
    assume(result is not None)
    assert result is not None
    return result


def test_interpolation_recovers_a_known_polynomial() -> None:
    points = [Fraction(i, 3) for i in range(5)]
    values = [2 - 3 * t + t**2 / 2 - 7 * t**4 for t in points]
    assert taylor(points, values) == [2, -3, 1, 0, -7 * 24]


@EXAMPLES
@given(cases())
def test_directional_derivatives_of_every_order_are_exact(case: Case) -> None:
    delta = case.directions[0]
    expected = [*line_derivatives(case, delta), Fraction(0), Fraction(0)]
    assert sf.evaluate_exact(sf.loss(case.objective), case.theta) == expected[0]
    for order in range(5):
        derived = sf.directional_derivative(case.objective, order)
        assert sf.evaluate_exact(derived, case.theta, delta) == expected[order]


@EXAMPLES
@given(cases())
def test_gradient_hessian_and_product_agree_with_the_loss_on_lines(case: Case) -> None:
    d, e = case.directions
    along_d, along_e, along_sum = (line_derivatives(case, v) for v in (d, e, d + e))
    g = sf.evaluate_exact(sf.gradient(case.objective), case.theta)
    assert g.dot(d) == along_d[1]
    assert np.array_equal(sf.evaluate_exact(sf.gradient_flow(case.objective), case.theta), -g)
    # Polarization: 2 H[D, E] = H[D + E, D + E] - H[D, D] - H[E, E].
    mixed = (along_sum[2] - along_d[2] - along_e[2]) / 2
    product = sf.hessian_vector_product(case.objective)
    assert sf.evaluate_exact(product, case.theta, d).dot(e) == mixed
    assert sf.evaluate_exact(product, case.theta, e).dot(d) == mixed
    assert sf.evaluate_exact(sf.hessian_form(case.objective), case.theta, d) == along_d[2]
    h = sf.evaluate_exact(sf.hessian(case.objective), case.theta)
    assert np.array_equal(h, h.T)
    assert d.dot(h).dot(e) == mixed
    assert np.array_equal(h.dot(d), sf.evaluate_exact(product, case.theta, d))


def test_line_oracle_refutes_wrong_gradients() -> None:
    """Negative control: a transposed block, a wrong factor and a wrong kink convention do not pass."""
    d = FIXED.directions[0]
    derivatives = FIXED.derivatives(d)
    assert derivatives is not None
    g = sf.evaluate_exact(sf.gradient(FIXED.objective), FIXED.theta)
    assert g.dot(d) == derivatives[1]
    transposed = g.copy()
    transposed[6:15] = g[6:15].reshape(3, 3).T.reshape(-1)
    assert transposed.dot(d) != derivatives[1]
    assert (2 * g).dot(d) != derivatives[1]
    swapped = Case(FIXED.widths, FIXED.slopes[::-1], FIXED.samples, FIXED.seed)
    assert sf.evaluate_exact(sf.gradient(swapped.objective), FIXED.theta).dot(d) != derivatives[1]


def test_line_oracle_refutes_wrong_hessians() -> None:
    """Negative control: the Gauss-Newton part alone, or one mirrored block, is not the Hessian."""
    d = FIXED.directions[0]
    derivatives = FIXED.derivatives(d)
    assert derivatives is not None
    h = sf.evaluate_exact(sf.hessian(FIXED.objective), FIXED.theta)
    assert d.dot(h).dot(d) == derivatives[2]
    block_diagonal = h.copy()
    block_diagonal[:6, 6:] = 0
    block_diagonal[6:, :6] = 0
    assert d.dot(block_diagonal).dot(d) != derivatives[2]
    relabelled = h.copy()  # the two indices of W_2's entries exchanged in one block
    block = h[:6, 6:15].reshape(6, 3, 3).transpose(0, 2, 1).reshape(6, 9)
    relabelled[:6, 6:15], relabelled[6:15, :6] = block, block.T
    assert d.dot(relabelled).dot(d) != derivatives[2]


def test_gates_follow_the_convention_at_a_kink() -> None:
    """At z = 0 the slope is alpha: f = (sigma(w_1) w_2 - 1)^2 / 2 at w_1 = 0."""
    network = sf.FullyConnected((1, 1, 1), Fraction(3), Fraction(5))
    objective = sf.network_objective(network, np.array([[Fraction(1)]]), np.array([[Fraction(1)]]))
    assert list(sf.evaluate_exact(sf.gradient(objective), [0, 2])) == [-6, 0]
