"""The principal flow against gradient descent on quadratics, published figures, and the order of its error."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import sympy

import symflow as sf
from symflow.errors import ComputationError, ProblemError
from symflow.paths.extrapolation import integrate


def quadratic() -> sf.Problem:
    """E = x^2 + y^2/100 from (-0.35, -0.2), Rosca et al. 2023, figure 2."""
    x, y = sympy.symbols("x y")
    return sf.Problem(objective=sf.expression_objective(x**2 + y**2 / 100, [x, y]), theta0=["-7/20", "-1/5"])


def test_the_published_case_to_30_digits() -> None:
    """Five steps of 1.05: (-1.1)^5 (-0.35) and (1 - 0.021)^5 (-0.2); between them the flow is complex."""
    flow = sf.principal_flow(quadratic(), step_size="1.05", horizon="5.25", dps=30)
    with mpmath.workdps(40):
        exact = [mpmath.mpf("0.5636785"), mpmath.mpf("-0.2") * mpmath.mpf("0.979") ** 5]
        assert max(abs(a - b) for a, b in zip(flow.states[-1], exact, strict=True)) < mpmath.mpf(10) ** -30
        half = flow("21/40")[0]
        assert abs(half - mpmath.mpf("-0.35") * mpmath.sqrt(mpmath.mpf("-1.1"))) < mpmath.mpf(10) ** -29
        assert abs(half.imag) > 0.3
    assert flow.error.how == "estimated"
    assert flow.error.value < 1e-30


def test_it_follows_descent_one_order_further_than_gradient_flow() -> None:
    """On a network H moves: the distance at a fixed time is O(eta^2), that of gradient flow O(eta)."""
    problem = sf.Problem(network=sf.FullyConnected((1, 1, 1)), data={"x": [1], "y": [1]}, init={"theta": ["1/2", 1]})
    distances = []
    for eta, steps in (("1/4", 4), ("1/8", 8)):
        flow = sf.principal_flow(problem, step_size=eta, horizon=1, dps=8)
        run = sf.descend(problem, step_size=eta, steps=steps, dps=12)
        distances.append(float(max(abs(flow.states[-1] - run.iterates[-1]))))
    slopes = np.log2(np.array(distances[:-1]) / np.array(distances[1:]))
    assert np.all(abs(slopes - 2) < 0.25), slopes


def test_what_is_refused() -> None:
    relu = sf.load_problem("examples/relu.toml")
    with pytest.raises(ProblemError, match="without kinks"):
        sf.principal_flow(relu, step_size="1/10", horizon=1)
    x = sympy.Symbol("x")
    problem = sf.Problem(objective=sf.expression_objective(x**2, [x]), theta0=[1])
    with pytest.raises(ComputationError, match="eta lambda = 1"):
        sf.principal_flow(problem, step_size="1/2", horizon=1)
    with pytest.raises(ProblemError, match="final time"):
        sf.principal_flow(problem, step_size="1/3")


def test_extrapolation() -> None:
    """y' = y^2 from 1/2 is 1/(2 - t); its pole at 2 is never passed."""
    with mpmath.workdps(40):
        start, tolerance = np.array([mpmath.mpf(1) / 2], dtype=object), mpmath.mpf(10) ** -35
        assert abs(integrate(lambda y: y * y, start, mpmath.mpf(1), tolerance)[0] - 1) < mpmath.mpf(10) ** -33
        with pytest.raises(ComputationError, match="could not be continued"):
            integrate(lambda y: y * y, start, mpmath.mpf(3), tolerance)
