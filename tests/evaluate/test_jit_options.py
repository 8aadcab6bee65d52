"""Quick compilation: the same values, and an XLA that does not know an option does without it."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import symflow as sf
from symflow.evaluate import jax_batches as many
from symflow.evaluate import jit_options as quick


@pytest.mark.parametrize("options", [{}, quick.QUICK, quick.THROWAWAY])
def test_values_are_those_of_the_usual_compilation(options: dict[str, str | bool]) -> None:
    points = np.linspace(-2, 2, 12).reshape(4, 3)
    with jax.enable_x64(True):
        found = quick.jit(jax.vmap(lambda x: jax.numpy.sum(jax.numpy.sin(x) * x[0])), options)(points)
    np.testing.assert_allclose(found, (np.sin(points) * points[:, :1]).sum(axis=1), rtol=1e-14)


def test_an_unknown_option_is_left_out() -> None:
    assert quick.jit(lambda x: 2 * x, {"xla_no_such_option": True, **quick.QUICK})(3.0) == 6.0


def test_a_result_at_many_points_is_that_at_each() -> None:
    objective = sf.network_objective(sf.FullyConnected((2, 2, 1)), np.eye(2), np.ones((2, 1)))
    points = np.arange(18.0).reshape(3, 6) / 7
    with jax.enable_x64(True):
        found = many.in_batches(many.at_points(objective, sf.gradient), points)
    for row, point in zip(found, points, strict=True):
        exact = sf.evaluate_mpmath(sf.gradient(objective), point, dps=30)
        np.testing.assert_allclose(row, np.array(exact, dtype=float), rtol=1e-13)
