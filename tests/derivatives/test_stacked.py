"""R7 stacked against the blocks: the same rational numbers, entry by entry."""

from fractions import Fraction

import numpy as np
import pytest
from cases import quarters

import symflow as sf
from symflow.derivatives.stacked import stacked_hessian
from symflow.evaluate.interpret import interpret
from symflow.evaluate.object_arrays import EXACT
from symflow.networks.moments import read_quadratic

WIDTHS = [(2, 3), (2, 3, 1), (3, 1, 4), (1, 1, 1, 1), (2, 3, 1, 2), (2, 1, 3, 2, 2), (1, 2, 1, 2, 1, 2, 1, 2, 1)]


def objective(widths: tuple[int, ...], slope: Fraction, samples: int = 3) -> sf.Objective:
    network = sf.FullyConnected(widths, slope, slope)
    return sf.network_objective(network, quarters((samples, widths[0]), 1), quarters((samples, widths[-1]), 2))


def stacked(o: sf.Objective, theta: np.ndarray) -> np.ndarray:
    derived = stacked_hessian(o)
    assert derived is not None
    return interpret(derived.program, {**o.data, **o.cut(theta)}, EXACT)["H"]


@pytest.mark.parametrize("slope", [Fraction(1), Fraction(-2, 3)])
@pytest.mark.parametrize("widths", WIDTHS, ids=str)
def test_stacked_equals_blocks(widths: tuple[int, ...], slope: Fraction) -> None:
    o = objective(widths, slope)
    theta = quarters((o.parameter_count,), 3)
    expected = np.array(sf.evaluate_exact(sf.hessian(o), theta))
    found = stacked(o, theta)
    assert (found == expected).all()
    assert (found != 0).any()


def test_moment_form_is_not_read_as_samples() -> None:
    moments = sf.moment_form(objective((2, 2, 1), Fraction(1)))
    assert moments is not None
    assert stacked_hessian(moments) is None


def test_only_linear_networks_with_the_square_loss() -> None:
    x, y = quarters((3, 2), 1), quarters((3, 1), 2)
    relu = sf.network_objective(sf.FullyConnected((2, 2, 1), 1, 0), x, y)
    other = sf.network_objective(sf.FullyConnected((2, 2, 1)), x, np.ones((3, 1)), sf.Loss("logistic"))
    late = sf.network_objective(sf.FullyConnected((2, 2, 1)), None, None)
    assert [stacked_hessian(o) for o in (relu, other, late)] == [None] * 3


def test_length_grows_with_the_logarithm_of_the_depth_and_the_number_of_weights() -> None:
    """Every weight matrix is placed by two operations; the products are O(log depth)."""

    def length(depth: int) -> int:
        derived = stacked_hessian(objective((2,) * (depth + 1), Fraction(1)))
        assert derived is not None
        return derived.program.length

    assert length(64) - length(32) == 2 * 32 + 3
    assert read_quadratic(objective((2, 2), Fraction(1))) is not None
