"""solve_flow against the independent reference trajectories."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
from cases import reference, reference_tables
from plain_flow import expected_error

from symflow.paths.flow import solve_flow

NAMES = ["scalar-depth2", "linear-2-2-2-1", "linear-3-4-2", "relu-2-3-1", "leaky-2-2-2-1"]


@pytest.mark.parametrize(
    ("name", "dps"), [*((name, 50) for name in NAMES), ("linear-2-2-2-1", 90), ("relu-2-3-1", 90), ("relu-2-3-1", 8)]
)
def test_digits_crossings_and_error_estimate(name: str, dps: int) -> None:
    problem, tables = reference(name), reference_tables(name)
    trajectory = solve_flow(problem, dps=dps)
    with mpmath.workdps(120):
        for time, expected in tables["theta"].items():
            exact = [mpmath.mpf(v) for v in expected]
            assert expected_error(trajectory(time), exact) <= mpmath.mpf(10) ** -dps
            assert max(abs(a - b) for a, b in zip(trajectory(time), exact, strict=True)) <= trajectory.error_estimate
    assert trajectory.error_estimate <= mpmath.mpf(10) ** -dps
    assert [e.kind for e in trajectory.events] == ["crossing"] * tables["kink_events"]
    times = [e.time for e in trajectory.events]
    assert times == sorted(times)


def test_each_crossing_flips_the_gate_where_its_pre_activation_vanishes() -> None:
    problem = reference("relu-2-3-1")
    trajectory = solve_flow(problem, dps=50)
    with mpmath.workdps(70):
        for event in trajectory.events:
            x = [mpmath.mpf(q.numerator) / q.denominator for q in problem.x[event.sample]]

            def z(time: Any, x: list[Any] = x, row: int = 2 * event.unit) -> Any:
                return mpmath.fdot(trajectory(time)[row : row + 2], x)

            assert event.layer == 1
            assert abs(z(event.time)) < mpmath.mpf(10) ** -50
            before, after = (z(event.time + shift) > 0 for shift in (-mpmath.mpf("1e-3"), mpmath.mpf("1e-3")))
            assert (event.gate_before, event.gate_after) == (int(before), int(after))
            assert before != after


@pytest.mark.parametrize("name", ["slide-relu-3-3-1", "slide-leaky-2-2-2-1"])
def test_sliding_agrees_with_an_independent_filippov_integrator(name: str) -> None:
    problem, tables = reference(name), reference_tables(name)
    trajectory = solve_flow(problem, dps=30)
    assert trajectory.error_estimate <= mpmath.mpf(10) ** -30
    for time, expected in tables["theta"].items():
        exact = [float(v) for v in expected]
        assert np.abs(trajectory.numpy([time])[0] - exact).max() <= tables["accuracy"]
    assert len(trajectory.events) == len(tables["sliding"])
    for event, known in zip(trajectory.events, tables["sliding"], strict=True):
        assert (event.sample, event.layer, event.unit) == (known["sample"], known["layer"], known["unit"])
        assert float(event.time) == pytest.approx(known["time"], abs=6e-7)
        kind, _, gate = known["what"].partition(" g=")
        assert event.kind == {"cross": "crossing", "slide": "sliding"}[kind]
        if gate:
            assert float(event.gate_after) == pytest.approx(float(gate), abs=6e-5)
    # Independently of both: gradient descent with tiny steps chatters along the same path.
    *_, last = trajectory.numpy([tables["problem"]["run"]["horizon"]])
    distance = np.abs(last - tables["descent"]["theta"]).max()
    assert distance == pytest.approx(tables["descent"]["distance"], rel=1e-2)
