"""Comparisons in float64, against those with digits."""

from __future__ import annotations

import numpy as np
import pytest
from cases import reference

import symflow as sf
from symflow.analysis.deviation import Deviation

RUN = {"step_size": "1/40", "horizon": 5}


@pytest.fixture(scope="module")
def digits() -> Deviation:
    return sf.deviation(reference("relu-2-3-1"), dps=15, **RUN)


def check(found: Deviation, digits: Deviation) -> None:
    """Values within their radii of those with digits, and bounds that are the same to float64."""
    assert found.error.how == "estimated"
    assert found.error.value < 1e-7
    for value, radius, exact, known in zip(found.values, found.radii, digits.values, digits.radii, strict=True):
        assert abs(value - exact) <= radius + known
    for name in ("R4", "R22"):
        same = found.bounds[name], digits.bounds[name]
        assert same[0].status == same[1].status == "sampled"
        for a, b in zip(same[0].values, same[1].values, strict=True):
            assert (a is None) == (b is None)
            assert a is None or abs(a - b) <= 1e-5 * b + 1e-9
    assert found.bounds["R18"].status == "not applicable"


def test_a_network_with_kinks(digits: Deviation) -> None:
    """Five kinks: flow and descent in float64, the flow solved or given."""
    problem = reference("relu-2-3-1")
    found = sf.deviation(problem, float64=True, **RUN)
    assert len(digits.flow.events) == len(found.flow.events) > 0
    check(found, digits)
    assert "digits" in found.bounds["R18"].reason
    flow = sf.solve_flow_float64(problem, horizon=5, solver="event-corrected")
    check(sf.deviation(problem, flow=flow, **RUN), digits)
    (tube,) = sf.deviation(problem, flow=flow, bounds=sf.known_bounds("R22(tube)"), **RUN).bounds.values()
    assert "needs a flow with digits" in tube.reason


def test_a_smooth_network_by_its_closed_form() -> None:
    """w_1 = w_2 = w: u = w^2 solves u' = 2u(1 - u)."""
    data = {"x": [1], "y": [1]}
    problem = sf.Problem(network=sf.FullyConnected((1, 1, 1)), data=data, init={"theta": ["1/2", "1/2"]})
    found = sf.deviation(problem, step_size="1/10", horizon=4, float64=True)
    w = [0.5]
    for _ in range(40):
        w.append(w[-1] + 0.1 * w[-1] * (1 - w[-1] ** 2))
    exact = np.sqrt(2) * np.abs(np.array(w) - 1 / np.sqrt(1 + 3 * np.exp(-0.2 * np.arange(41))))
    error = np.abs(np.array(found.values, dtype=float) - exact).max()
    assert error <= float(found.error.value) + 1e-15 < 1e-9
    assert found.max <= max(v for v in found.bounds["R22"].values if v is not None)


def test_refusals() -> None:
    problem = reference("relu-2-3-1")
    with pytest.raises(sf.ProblemError, match="dps goes with digits, got dps=30"):
        sf.deviation(problem, float64=True, dps=30, **RUN)
    over = sf.solve_flow_float64(problem, horizon=5, rtol=1e-6)
    with pytest.raises(sf.ProblemError, match=r'kinks not located; .*solver="event-corrected"'):
        sf.deviation(problem, flow=over, **RUN)
    with pytest.raises(sf.ProblemError, match="needs a gradient flow"):
        sf.deviation(problem, float64=True, method=sf.HeavyBall("1/2"), order=1, **RUN)
