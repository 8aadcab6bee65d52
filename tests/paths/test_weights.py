"""Errors proved in weighted norms: stiff fields whose rate is large in the Euclidean norm, against exact solutions."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
import sympy
from mpmath import mpf

import symflow as sf
from symflow.evaluate.rounded import Rounded
from symflow.paths.certified import weights as weights_module
from symflow.paths.certified.rates import rates
from symflow.paths.certified.weights import chosen_weights
from symflow.paths.taylor.dense import taylor_steps
from symflow.paths.taylor.run import integrate

x, y, z = sympy.symbols("x y z")
STIFF = {x: -x + 50 * y, y: -100 * y}
"""x = e^-t + 50/99 (e^-t - e^-100t), y = e^-100t from (1, 1): lambda_max of the symmetric part is 5.4."""
HORIZON = 8


def exact(t: mpf) -> list[mpf]:
    slow, fast = mpmath.exp(-t), mpmath.exp(-100 * t)
    return [slow + mpf(50) / 99 * (slow - fast), fast]


def proved(dps: int, **given: Any) -> sf.Trajectory:
    return sf.solve_field(sf.VectorField(STIFF), [1, 1], horizon=HORIZON, dps=dps, error="certified", **given)


@pytest.mark.parametrize("dps", [15, 40])
def test_a_stiff_linear_field_is_certified_and_right(dps: int) -> None:
    found = proved(dps)
    assert found.error is not None
    assert found.proof is not None
    assert found.error.how == "certified"
    assert found.error.value <= mpf(10) ** -dps
    scales = found.proof.weights
    assert len(scales) == 2
    assert min(scales) == 1
    assert all(np.log2(w) == round(np.log2(w)) for w in scales)
    assert scales[1] > scales[0]  # what y does to x counts more
    with mpmath.workdps(dps + 30):
        for at in ("1/100", 1, HORIZON):
            t = mpf(1) / 100 if at == "1/100" else mpf(at)
            assert max(abs(a - b) for a, b in zip(found(at), exact(t), strict=True)) <= found.error.value


def test_the_rates_of_the_proof_are_at_least_those_of_the_scaled_matrix_and_smaller_than_without() -> None:
    found = proved(15)
    assert found.proof is not None
    matrix = np.array([[-1.0, 50.0], [0.0, -100.0]])

    def rate(scales: np.ndarray) -> float:
        scaled = matrix * scales[:, None] / scales
        return float(np.linalg.eigvalsh((scaled + scaled.T) / 2)[-1])

    mine, plain = rate(np.array(found.proof.weights)), rate(np.ones(2))
    largest = max(cell.rate for cell in found.proof.cells)
    assert mine <= largest < mine + 1e-9
    assert largest < plain / 4  # the same check refutes the rates of the Euclidean norm


def test_without_weights_the_same_proof_takes_more_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    with_weights = proved(15)
    monkeypatch.setattr("symflow.paths.solver.chosen_weights", lambda field, steps: None)
    without = proved(15)
    assert without.error is not None
    assert without.proof is not None
    assert without.error.how == "certified"  # guard digits make up for e^(int m), about 10^18
    assert without.proof.weights == ()
    assert without.stats.facts()["bits"] > with_weights.stats.facts()["bits"] + 30
    with mpmath.workdps(40):
        true = exact(mpf(HORIZON))
        assert max(abs(a - b) for a, b in zip(without.at_end(), true, strict=True)) <= without.error.value


def test_a_weighted_rate_on_a_box_holds_at_points_of_it() -> None:
    field = sf.VectorField({x: -x * y + z, y: x - y**2, z: -sympy.exp(x) * z})
    scales = np.array([4.0, 1.0, 0.5])
    middle, half = np.array([[0.5, -1.0, 2.0]]), np.array([[0.1, 0.2, 0.05]])
    flow = integrate(field, [0, 0, 0], 1, _precision(), observer=lambda region, s, tau: region)  # type: ignore[arg-type]
    bound = rates(field, Rounded(middle, half), [flow.observed[0]], scales).rate[0]
    jacobian = sympy.lambdify([x, y, z], sf.jacobian(field).explicit())
    rng = np.random.default_rng(0)
    found = []
    for point in middle + half * rng.uniform(-1, 1, (200, 3)):
        scaled = jacobian(*point) * scales[:, None] / scales
        found.append(np.linalg.eigvalsh((scaled + scaled.T) / 2)[-1])
    assert max(found) <= bound < max(found) + 1
    other = rates(field, Rounded(middle, half), [flow.observed[0]]).rate[0]
    assert abs(other - bound) > 0.1


def _precision() -> Any:
    from symflow.paths.taylor.limits import Precision

    return Precision.for_digits(15, 6)


def test_robertsons_reaction_is_certified() -> None:
    field = sf.VectorField(
        {
            x: -sympy.Rational(2, 5) * x + 100 * y * z,
            y: sympy.Rational(2, 5) * x - 100 * y * z - 1000 * y**2,
            z: 1000 * y**2,
        }
    )
    found = sf.solve_field(field, [1, 0, 0], horizon=40, dps=20)
    assert found.error is not None
    assert found.error.how == "certified"
    assert found.error.value < mpf(10) ** -20
    with mpmath.workdps(40):
        assert abs(sum(found.at_end()) - 1) <= mpmath.sqrt(3) * found.error.value  # x + y + z is conserved
        finer = sf.solve_field(field, [1, 0, 0], horizon=40, dps=40, error=None).at_end()
        assert max(abs(a - b) for a, b in zip(found.at_end(), finer, strict=True)) <= found.error.value


def test_a_chaotic_field_takes_guard_digits_for_a_crude_rate() -> None:
    field = sf.VectorField({x: 10 * (y - x), y: x * (28 - z) - y, z: x * y - sympy.Rational(8, 3) * z})
    found = sf.solve_field(field, [15, 15, 36], horizon=7, dps=15)
    finer = sf.solve_field(field, [15, 15, 36], horizon=7, dps=40, error=None)
    assert found.error is not None
    assert found.error.how == "certified"
    assert found.error.value < mpf(10) ** -15
    with mpmath.workdps(50):
        assert max(abs(a - b) for a, b in zip(found.at_end(), finer.at_end(), strict=True)) <= found.error.value


def test_where_no_weights_are_sought() -> None:
    calm = sf.solve_field(sf.VectorField({x: y, y: -x}), [1, 0], horizon=3, dps=15)
    assert calm.proof is not None
    assert calm.proof.weights == ()
    network = sf.FullyConnected((1, 1, 1), activation="relu")
    problem = sf.Problem(network=network, data={"x": [1], "y": [1]}, init={"theta": ["1/2", 1]})
    flow = sf.solve_flow(problem, horizon=1, dps=15)
    from symflow.dynamics.vector_field import gradient_flow_field

    assert chosen_weights(gradient_flow_field(problem.objective), taylor_steps(flow)) is None
    assert weights_module.MOST >= 24
