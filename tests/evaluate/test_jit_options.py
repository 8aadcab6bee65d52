"""Quick compilation, and none: the same values; an XLA that does not know an option does without it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest
import sympy

import symflow as sf
from symflow.evaluate import derived_batches
from symflow.evaluate import jit_options as quick
from symflow.programs.rules.elementwise import FUNCTIONS


@pytest.mark.parametrize("options", [{}, quick.QUICK, quick.THROWAWAY])
def test_values_are_those_of_the_usual_compilation(options: dict[str, str | bool]) -> None:
    points = np.linspace(-2, 2, 12).reshape(4, 3)
    with jax.enable_x64(True):
        found = quick.jit(jax.vmap(lambda x: jax.numpy.sum(jax.numpy.sin(x) * x[0])), options)(points)
    np.testing.assert_allclose(found, (np.sin(points) * points[:, :1]).sum(axis=1), rtol=1e-14)


def test_an_unknown_option_is_left_out() -> None:
    assert quick.jit(lambda x: 2 * x, {"xla_no_such_option": True, **quick.QUICK})(3.0) == 6.0


A, B = sympy.symbols("a b")


@pytest.mark.parametrize("most", [0, derived_batches.MOST_OPERATIONS])
@pytest.mark.parametrize("derive", [sf.loss, sf.gradient, sf.hessian])
@pytest.mark.parametrize(
    "objective",
    [
        sf.network_objective(sf.FullyConnected((2, 2, 1), 1, 0), np.eye(2), np.ones((2, 1))),
        sf.expression_objective(sympy.exp(A * B) + sympy.sqrt(1 + A**2) / 3 + sympy.log(1 + B**2), (A, B)),
    ],
    ids=["relu", "functions"],
)
def test_a_result_at_many_points_is_that_at_each(
    objective: sf.Objective, derive: Any, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By NumPy, and by JAX where it is more work."""
    monkeypatch.setattr(derived_batches, "MOST_OPERATIONS", most)
    monkeypatch.setattr(derived_batches, "in_batches" if most else "interpret", None)  # it is not called
    points = np.arange(-9.0, 9.0)[: 3 * objective.parameter_count].reshape(3, -1) / 7
    found = derived_batches.evaluate_batch(objective, derive, points)
    for row, point in zip(found, points, strict=True):
        exact = sf.evaluate_mpmath(derive(objective), point, dps=30)
        np.testing.assert_allclose(row, np.array(exact, dtype=float), rtol=1e-13, atol=1e-15)


def test_a_function_that_numpy_does_not_have_is_left_to_jax(monkeypatch: pytest.MonkeyPatch) -> None:
    objective = sf.expression_objective(sympy.tanh(A), (A,))
    monkeypatch.setitem(FUNCTIONS, "tanh", replace(FUNCTIONS["tanh"], numpy=None))
    found = derived_batches.evaluate_batch(objective, sf.loss, np.array([[0.5], [1.0]]))
    np.testing.assert_allclose(found, np.tanh([0.5, 1.0]), rtol=1e-15)


def test_values_that_are_not_finite_are_given_without_a_warning() -> None:
    objective = sf.expression_objective(sympy.exp(A) + sympy.log(A), (A,))
    found = derived_batches.evaluate_batch(objective, sf.loss, np.array([[1000.0], [-1.0], [0.0], [1.0]]))
    np.testing.assert_array_equal(found, [np.inf, np.nan, -np.inf, np.e])
