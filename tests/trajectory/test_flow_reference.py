"""solve_flow against the independent reference trajectories."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import pytest
from plain_flow import expected_error, reference

from symflow.errors import KinkError
from symflow.trajectory.flow import solve_flow

NAMES = ["scalar-depth2", "linear-2-2-2-1", "linear-3-4-2", "relu-2-3-1", "leaky-2-2-2-1"]


@pytest.mark.parametrize(
    ("name", "dps"), [*((name, 50) for name in NAMES), ("linear-2-2-2-1", 90), ("relu-2-3-1", 90), ("relu-2-3-1", 8)]
)
def test_digits_crossings_and_error_estimate(name: str, dps: int) -> None:
    problem, tables = reference(name)
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
    problem, _ = reference("relu-2-3-1")
    trajectory = solve_flow(problem, dps=50)
    rows = [list(map(Fraction, row)) for row in problem.x]
    alpha = {1: Fraction(0), -1: Fraction(1)}
    with mpmath.workdps(70):

        def z(event: object, time: object) -> object:
            x = rows[event.sample]
            w = trajectory(time)[event.unit * 2 : event.unit * 2 + 2]
            return sum(v * q.numerator / q.denominator for v, q in zip(w, x, strict=True))

        for event in trajectory.events:
            assert event.layer == 1
            assert abs(z(event, event.time)) < mpmath.mpf(10) ** -50
            before, after = (1 if z(event, event.time + shift) > 0 else -1 for shift in ("-0.01", "0.01"))
            assert before == -after
            assert event.gate_after == alpha[before] != event.gate_before


@pytest.mark.parametrize(("name", "crossings"), [("slide-relu-3-3-1", 1), ("slide-leaky-2-2-2-1", 0)])
def test_sliding_stops_with_sample_layer_unit_and_time(name: str, crossings: int) -> None:
    problem, tables = reference(name)
    *earlier, slide = tables["sliding"]
    with pytest.raises(KinkError, match=r"slides along it \(sliding\); choose a horizon before that time") as caught:
        solve_flow(problem, dps=30)
    error = caught.value
    assert (error.cause, error.sample, error.layer, error.unit) == (
        "sliding",
        slide["sample"],
        slide["layer"],
        slide["unit"],
    )
    assert float(error.time) == pytest.approx(slide["time"], abs=6e-7)
    partial = error.trajectory
    assert abs(partial.horizon - error.time) < 1e-40
    assert len(partial.events) == crossings == len(earlier)
    for event, known in zip(partial.events, earlier, strict=True):
        assert (event.sample, event.layer, event.unit) == (known["sample"], known["layer"], known["unit"])
        assert float(event.time) == pytest.approx(known["time"], abs=6e-7)
    shorter = solve_flow(problem, dps=40, horizon="4")
    with mpmath.workdps(60):
        assert expected_error(partial("4"), shorter("4")) < mpmath.mpf(10) ** -30
