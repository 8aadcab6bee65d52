"""What a trajectory takes for a time: the horizon in every form, single times, many times."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from mpmath import mpf
from plain_flow import network_problem

import symflow as sf


def decaying() -> sf.Problem:
    """theta' = -theta, theta(0) = 1."""
    return network_problem([1, 1], [[1]], [[0]], [1], 1)


HORIZONS = [*(f"{k}/10" for k in range(1, 10)), "1/3", "2/7", "12.3", f"1/{10**60 + 7}", "1e-300", "0.1" + 50 * "3"]


@pytest.mark.parametrize("dps", [15, 20, 50])
def test_the_horizon_asked_for_is_a_time_of_the_trajectory(dps: int) -> None:
    problem = decaying()
    for written in HORIZONS:
        exact = Fraction(written)
        trajectory = sf.solve_flow(problem, horizon=written, dps=dps)
        assert trajectory.end == exact
        with mpmath.workdps(dps + 20):
            truth = mpmath.exp(-mpf(exact.numerator) / exact.denominator)
            forms = [written, exact, trajectory.end, trajectory.horizon, float(exact), mpf(float(exact))]
            for digits in (15, 20, dps, dps + 15, 200):
                with mpmath.workdps(digits):
                    forms += [mpf(exact.numerator) / exact.denominator]
            for time in forms:
                value = mpmath.exp(-time) if isinstance(time, mpf) else truth
                allowed = mpf("1e-15") if isinstance(time, float) else mpf(10) ** -dps
                assert abs(trajectory(time)[0] - value) < allowed


def test_a_float_horizon_is_its_decimal() -> None:
    trajectory = sf.solve_flow(decaying(), horizon=0.3, dps=20)
    assert trajectory.end == Fraction(3, 10)
    assert trajectory("0.3")[0] == trajectory(0.3)[0] == trajectory(3 / 10)[0]
    assert abs(trajectory(3 * 0.1)[0] - mpmath.exp(-mpf(3 * 0.1))) < 1e-15  # 0.30000000000000004
    rounded = sf.solve_flow_float64(decaying(), horizon=0.3)
    np.testing.assert_allclose([rounded(t)[0] for t in ("0.3", 0.3, 3 * 0.1, mpf(3) / 10)], np.exp(-0.3), rtol=1e-9)


@pytest.mark.parametrize("solve", [lambda p: sf.solve_flow(p, horizon="0.3", dps=20), sf.solve_flow_float64])
def test_a_time_outside_is_told_apart_from_the_end(solve: Callable[..., sf.Trajectory]) -> None:
    trajectory = solve(decaying().replace(horizon="0.3"))
    for time, shown in (
        ("0.3000001", "0.3000001"),
        ("0.30000000001", "0.30000000001"),
        (-1, "-1"),
        ("1e400", "1e+400"),
    ):
        with pytest.raises(sf.ProblemError) as caught:
            trajectory(time)
        end, got = str(caught.value).removeprefix("time must lie in [0, ").split("], got ")
        assert got == f"{shown}; solve to a later horizon"
        assert float(end) == 0.3


def test_a_file_that_does_not_say_the_horizon_is_read_as_before(tmp_path: Path) -> None:
    trajectory = sf.solve_flow(decaying(), horizon="0.7", dps=20)
    file = tmp_path / "flow.json"
    trajectory.save(file)
    assert sf.load_trajectory(file).end == Fraction(7, 10)
    stored = json.loads(file.read_text())
    del stored["asked"]
    file.write_text(json.dumps(stored))
    old = sf.load_trajectory(file)
    assert abs(old.end - Fraction(7, 10)) < Fraction(1, 10**20)
    for time in ("0.7", old.end, old.horizon):
        assert old(time)[0] == trajectory("0.7")[0]


def test_one_time_or_many() -> None:
    trajectory = sf.solve_flow(decaying(), horizon=11, dps=20)
    for one in ("10", 10, 10.0, Fraction(10), mpf(10), np.float64(10), np.array(10), jnp.asarray(10.0)):
        found = trajectory.numpy(one)
        assert found.shape == (1,)
        np.testing.assert_allclose(found, np.exp(-10), rtol=1e-15)
        assert abs(trajectory(one)[0] - mpmath.exp(-10)) < 1e-20
    many: list[Any] = [["1/2", 1, 1.5], ("1/2", 1, 1.5), np.array([0.5, 1, 1.5]), jnp.array([0.5, 1, 1.5])]
    many += [iter(["1/2", 1, "3/2"]), np.array(["1/2", "1", "3/2"])]
    for times in many:
        found = trajectory.numpy(times)
        assert found.shape == (3, 1)
        np.testing.assert_allclose(found[:, 0], np.exp([-0.5, -1, -1.5]), rtol=1e-15)


@pytest.mark.parametrize("times", [np.linspace(0, 1, 3), [0, "1/2", 1], (0, 0.5, 1), jnp.arange(3.0) / 2])
def test_many_times_in_a_call_are_rows_with_all_digits(times: Any) -> None:
    trajectory = sf.solve_flow(decaying(), horizon=1, dps=30)
    found = trajectory(times)
    assert found.shape == (3, 1)
    with mpmath.workdps(40):
        for row, t in zip(found, (0, mpmath.mpf(1) / 2, 1), strict=True):
            assert abs(row[0] - mpmath.exp(-t)) < mpmath.mpf(10) ** -30


@pytest.mark.parametrize(
    ("times", "said"),
    [
        ([], "times must be at least one"),
        ("ten", "time must be a number such as 3"),
        (["1", "x"], r"times\[1\] must be a number such as 3"),
        (np.zeros((2, 2)), r"times\[0\] must be a number such as 3"),
        (None, "time must be a number such as 3"),
        ("12", r"time must lie in \[0, 1\], got 12"),
    ],
)
def test_times_that_are_none(times: Any, said: str) -> None:
    with pytest.raises(sf.ProblemError, match=said):
        sf.solve_flow(decaying(), dps=15).numpy(times)
