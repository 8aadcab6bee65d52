"""Program lengths: O(depth) for gradient, forms and products, O(depth^2) for the Hessian, whatever the sizes."""

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest

import symflow as sf

LINEAR_LENGTH: dict[str, Callable[[sf.Objective], object]] = {
    "loss": sf.loss,
    "gradient": sf.gradient,
    "form": sf.hessian_form,
    "product": sf.hessian_vector_product,
    "third derivative": lambda o: sf.directional_derivative(o, 3),
    "fourth derivative": lambda o: sf.directional_derivative(o, 4),
}


def objective(depth: int, width: int = 2, samples: int = 2, gated: bool = True) -> sf.Objective:
    network = sf.FullyConnected((width,) * (depth + 1), Fraction(1), Fraction(0) if gated else Fraction(1))
    ones = np.full((samples, width), Fraction(1))
    return sf.network_objective(network, ones, ones)


def lengths(derive: Callable[[sf.Objective], object], depths: range, gated: bool) -> np.ndarray:
    return np.array([derive(objective(depth, gated=gated)).program.length for depth in depths])


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("name", LINEAR_LENGTH)
def test_length_is_affine_in_depth(name: str, gated: bool) -> None:
    found = lengths(LINEAR_LENGTH[name], range(6, 51, 11), gated)
    assert (np.diff(found, 2) == 0).all()
    assert np.diff(found)[0] > 0


@pytest.mark.parametrize("gated", [False, True])
def test_hessian_length_is_quadratic_in_depth(gated: bool) -> None:
    found = lengths(sf.hessian, range(4, 21, 4), gated)
    second = np.diff(found, 2)
    assert (second == second[0]).all()
    assert second[0] > 0


def test_gradient_costs_a_few_times_the_loss() -> None:
    for gated in (False, True):
        loss, gradient = (lengths(f, range(50, 51), gated)[0] for f in (sf.loss, sf.gradient))
        assert gradient <= 4 * loss


SIZES = ((2, 2), (3, 7), (30, 2), (4, 200))


@pytest.mark.parametrize("name", LINEAR_LENGTH)
def test_length_does_not_depend_on_widths_or_samples(name: str) -> None:
    found = {LINEAR_LENGTH[name](objective(3, width, samples)).program.length for width, samples in SIZES}
    assert len(found) == 1


def test_hessian_length_depends_on_sizes_only_through_the_order_of_products() -> None:
    found = [sf.hessian(objective(3, width, samples)).program.length for width, samples in SIZES]
    assert max(found) <= 1.1 * min(found)


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("name", LINEAR_LENGTH)
def test_great_depth_does_not_recurse(name: str, gated: bool) -> None:
    derived = LINEAR_LENGTH[name](objective(250, gated=gated))
    assert derived.program.length > 250


def test_deep_programs_evaluate() -> None:
    """f = (w^400 - 1)^2 / 2 along w = 1 + t: g = 0 at t = 0, and D^T H D = (sum of D)^2."""
    o = objective(400, width=1, samples=1, gated=True)
    theta, direction = [Fraction(1)] * 400, [Fraction(i % 7 - 2) for i in range(400)]
    assert set(sf.evaluate_exact(sf.gradient(o), theta)) == {Fraction(0)}
    assert sf.evaluate_exact(sf.hessian_form(o), theta, direction) == sum(direction) ** 2


def test_products_stay_binary() -> None:
    """No operation multiplies more than two arrays over more labels than a matrix product has."""
    for derive in (sf.gradient, sf.hessian_form, sf.hessian_vector_product, sf.hessian):
        for x in derive(objective(5)).program.nodes:
            assert len(x.arguments) <= 2 or isinstance(x, sf.programs.nodes.Add)
