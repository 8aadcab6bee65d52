"""Extreme eigenvalues of the Hessian against dense spectra and a closed form."""

from __future__ import annotations

from fractions import Fraction

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
