"""Curvature bounds that are attained, and bounds with one constant changed, which the same checks refute."""

from fractions import Fraction

import numpy as np
import pytest
from statement_cases import NETWORKS, objective, point

import symflow as sf
from symflow.derivatives.derived import Derived
from symflow.theory.r08_unbounded_curvature import family
from symflow.theory.r09_curvature_linear import NORMS
from symflow.theory.statement import Claim, Instance, Model, Statement
from symflow.theory.terms import LAMBDA_MIN, LargestEigenvalue, Product, grad_phi, norm

# The tight family of R8 ---------------------------------------------------------------------------------------------


def tight(name: str, size: Fraction = Fraction(7)) -> tuple[sf.Objective, np.ndarray]:
    """Two layers 0, the others rank-one chains that join the top singular vectors of grad phi(0), one scaled by `size`.

    With one sample x, y the slope is grad phi(0) = -y x^T: its singular vectors are rational for Pythagorean x and y.
    """
    widths = [int(d) for d in NETWORKS[name].widths]  # type: ignore[attr-defined]
    directions = [np.array([Fraction(3, 5), Fraction(4, 5), Fraction(0)][:d], dtype=object) if d > 1 else
                  np.array([Fraction(1)], dtype=object) for d in widths]  # fmt: skip
    x, y = 5 * directions[0], 5 * directions[-1]
    o = sf.network_objective(NETWORKS[name], x[None, :], y[None, :])
    return o, np.concatenate([w.reshape(-1) for w in family(directions, (1, 2), size)])


@pytest.mark.parametrize("name", ["linear-3", "linear-4", "linear-5", "linear-6"])
def test_r9c_is_an_equality_on_the_tight_family(name: str) -> None:
    """lambda_min = -s ||grad phi(0)||, which R9(a) misses by the factor n - 1."""
    o, theta = tight(name)
    truth = -7 * 25.0
    h = sf.evaluate_exact(sf.hessian(o), theta).astype(float)
    assert abs(np.linalg.eigvalsh(h)[0] - truth) < 1e-11 * 175
    bounds = sf.curvature_bounds(o)
    values = {key: float(sf.evaluate_mpmath(b, theta, dps=25)) for key, b in bounds.items()}
    for key in ("R9(c)", "R9(d)", "R9(e)", "R12(c)", "R12(e)"):
        assert abs(values[key] - truth) < 1e-11 * 175
    depth = NETWORKS[name].depth
    assert abs(values["R9(a)"] - (depth - 1) * truth) < 1e-9
    assert abs(values["R12"] - (depth - 1) * truth) < 1e-9


# Negative controls: the test that the bounds pass refutes bounds with one constant changed ------------------------


def tight_gap(name: str, factor: Fraction) -> float:
    """The relative violation of factor times R9(c) on the tight family."""
    o, theta = tight(name)
    wrong = Statement(
        "R9", "scaled", (Claim("", LAMBDA_MIN, ">=", Product((-norm(grad_phi), LargestEigenvalue(NORMS)))),), ()
    )
    value = float(sf.evaluate_mpmath(Derived("b", o, Instance(wrong, Model(o)).program("", "right"), "scalar"), theta))
    return (float(factor) * value + 175) / 175


def test_a_smaller_constant_in_r9c_is_refuted_on_the_tight_family() -> None:
    assert tight_gap("linear-4", Fraction(1)) < 1e-12
    assert tight_gap("linear-4", Fraction(99, 100)) > 5e-3


def test_n_minus_2_for_n_minus_1_is_refuted() -> None:
    """At n = 2 the changed R9(a) claims convexity; at n = 3 three equal collinear layers reach the factor n - 1."""
    two = objective("linear-2")
    hessian = sf.evaluate_exact(sf.hessian(two), point(two)).astype(float)
    assert np.linalg.eigvalsh(hessian)[0] < -1e-3  # where the changed bound is 0
    one = np.array([[Fraction(1)]])
    o = sf.network_objective(sf.FullyConnected((1, 1, 1, 1)), one, 1000 * one)
    theta = [1, 1, 1]
    truth_3 = np.linalg.eigvalsh(sf.evaluate_exact(sf.hessian(o), theta).astype(float))[0]
    bound = float(sf.evaluate_mpmath(sf.curvature_bounds(o)["R9(a)"], theta))
    assert bound <= truth_3 + 1e-9
    assert bound / 2 > truth_3 + 100


def test_r13_without_its_constants_is_refuted() -> None:
    """R9(b) copied to convolutions, with the norm of the weights for the norm of the layer and without kappa, is false.

    Constant kernels (1, 1, 1) act with norm near 3 = kappa ||w||, not sqrt 3.
    """
    network = sf.Convolutional(
        (1, 12), (sf.Convolution(1, (3,), (1,), (1,)), sf.Convolution(1, (3,), (1,), (1,)), sf.Dense(1))
    )
    x = np.full((1, 12), Fraction(1))
    o = sf.network_objective(network, x, np.array([[Fraction(10**5)]]))
    theta = np.concatenate([np.ones(6), np.ones(12) / 12])
    bound = sf.curvature_bounds(o)["R13"]
    truth = np.linalg.eigvalsh(np.asarray(sf.to_jax(sf.hessian(o))(theta)))[0]
    assert float(sf.to_jax(bound)(theta)) <= truth * (1 - 1e-12)
    weights = [np.ones(3), np.ones(3), np.ones(12) / 12]
    s = [np.linalg.norm(w) for w in weights]
    error = abs(float(sf.to_jax(sf.loss(o))(theta)) * 2) ** 0.5
    copied = -2 * error * np.sqrt(12) * max(s)
    assert copied > truth * 0.9
