"""Extreme eigenvalues of the Hessian against dense spectra and a closed form."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

import jax
import numpy as np
import pytest
import sympy

import symflow as sf


def network(widths: tuple[int, ...], slopes: tuple[int, int], loss: str) -> sf.Objective:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(7, widths[0]))
    y = np.eye(widths[-1])[rng.integers(widths[-1], size=7)]
    net = sf.FullyConnected(widths, Fraction(slopes[0]), Fraction(slopes[1]))
    return sf.network_objective(net, x, y, sf.Loss(loss))


@pytest.mark.parametrize("slopes", [(1, 1), (1, 0)])
@pytest.mark.parametrize("loss", ["square", "cross-entropy"])
def test_lanczos_agrees_with_the_dense_spectrum_within_its_residual(slopes: tuple[int, int], loss: str) -> None:
    objective = network((5, 6, 5, 3), slopes, loss)
    points = np.random.default_rng(0).normal(size=(5, objective.parameter_count))
    lanczos = sf.extreme_eigenvalues(objective, points, method="lanczos")
    with jax.enable_x64(True):
        spectra = np.array([np.linalg.eigvalsh(sf.to_jax(sf.hessian(objective))(p)) for p in points])
    size = np.abs(spectra).max()
    assert lanczos.method == "lanczos"
    assert lanczos.residual.max() < 1e-6 * size
    assert np.all(np.abs(lanczos.min - spectra[:, 0]) <= lanczos.residual + 1e-12 * size)
    assert np.all(np.abs(lanczos.max - spectra[:, -1]) <= lanczos.residual + 1e-12 * size)


def test_the_method_follows_the_number_of_parameters() -> None:
    small, large = network((3, 3, 2), (1, 1), "square"), network((16, 16, 4), (1, 1), "square")
    assert sf.extreme_eigenvalues(small, np.ones(small.parameter_count)).method == "dense"
    found = sf.extreme_eigenvalues(large, np.full(large.parameter_count, 0.1))
    assert found.method == "lanczos"
    assert np.ndim(found.min) == 0


def test_a_diagonal_quadratic_has_its_coefficients_as_eigenvalues() -> None:
    x = sympy.symbols("x1:41")
    objective = sf.expression_objective(sum((k - 20) * v**2 / 2 for k, v in enumerate(x)), x)
    found = sf.extreme_eigenvalues(objective, np.zeros(40), method="lanczos")
    assert abs(found.min + 20) < 1e-9
    assert abs(found.max - 19) < 1e-9


def test_wrong_points_and_methods_are_refused() -> None:
    objective = network((3, 3, 2), (1, 1), "square")
    with pytest.raises(ValueError, match=r"points must have shape \(P,\) or \(S, P\) with P = 15, got \(4,\)"):
        sf.extreme_eigenvalues(objective, np.zeros(4))
    with pytest.raises(ValueError, match="Lanczos needs at least 32 parameters, got 15"):
        sf.extreme_eigenvalues(objective, np.zeros(15), method="lanczos")
    with pytest.raises(sf.ProblemError, match="points must be finite, got a list of 15 items as point 1; leave it out"):
        sf.extreme_eigenvalues(objective, np.stack([np.ones(15), np.full(15, np.nan)]))
    with pytest.raises(sf.ProblemError, match="points must be at least one, got none"):
        sf.extreme_eigenvalues(objective, np.zeros((0, 15)))
    with pytest.raises(sf.ProblemError, match="points must be an array of real numbers"):
        sf.extreme_eigenvalues(objective, [1j] * 15)


X = sympy.symbols("x1:41")
GROWTH = sf.expression_objective(sum(sympy.exp(v) for v in X), X)
STRETCHED = sf.expression_objective(sum(10**200 * (k - 20) * v**2 / 2 for k, v in enumerate(X)), X)


@pytest.mark.parametrize("method", ["dense", "lanczos"])
def test_a_hessian_beyond_float64_is_not_known(method: Literal["dense", "lanczos"]) -> None:
    """e^800 is no float64; at the other points the spectrum is {1}."""
    points = np.zeros((3, 40))
    points[1, 3] = 800
    found = sf.extreme_eigenvalues(GROWTH, points, method=method)
    assert found.residual[1] == np.inf
    assert np.isnan([found.min[1], found.max[1]]).all()
    np.testing.assert_allclose([found.min[[0, 2]], found.max[[0, 2]]], 1, rtol=1e-12)
    assert (found.residual[[0, 2]] < 1e-9).all()
    with pytest.raises(sf.ComputationError, match="the Hessian at point 1 is not finite in float64") as caught:
        found.known()
    assert "\n" not in str(caught.value)
    assert sf.extreme_eigenvalues(GROWTH, points[1], method=method).residual == np.inf


@pytest.mark.parametrize(("expression", "point"), [(sympy.sqrt(X[0]), -1.0), (1 / X[0], 0.0)])
def test_outside_the_domain_there_is_no_spectrum(expression: sympy.Expr, point: float) -> None:
    """LAPACK answers 0 and -0 for a matrix that is no number."""
    found = sf.extreme_eigenvalues(sf.expression_objective(expression, X[:1]), np.array([point]))
    assert np.isnan(found.min)
    assert found.residual == np.inf


@pytest.mark.parametrize("method", ["dense", "lanczos"])
def test_entries_whose_squares_overflow_are_no_obstacle(method: Literal["dense", "lanczos"]) -> None:
    found = sf.extreme_eigenvalues(STRETCHED, np.zeros(40), method=method)
    np.testing.assert_allclose([found.min, found.max], [-20e200, 19e200], rtol=1e-9)
    assert found.residual < 1e-8 * 20e200
