"""Times on a linear or logarithmic grid are exact rationals."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import Any

import mpmath
import pytest
from plain_flow import network_problem

import symflow as sf
from symflow.errors import ProblemError
from symflow.paths.times import grid_times


def test_linear_times_are_exact() -> None:
    assert sf.linear_times(0, 1, 4) == (0, Fraction(1, 3), Fraction(2, 3), 1)
    assert sf.linear_times("1/3", "0.5", 2) == (Fraction(1, 3), Fraction(1, 2))
    assert grid_times("linear:0:10:11", "--times") == tuple(range(11))


def test_log_times_have_a_constant_ratio_to_twenty_digits() -> None:
    assert sf.log_times("1e-3", "10", 5) == tuple(Fraction(10) ** k for k in range(-3, 2))
    times = sf.log_times("1/3", 7, 50)
    assert times[0] == Fraction(1, 3)
    assert times[-1] == 7
    with mpmath.workdps(40):
        ratio = mpmath.mpf(21) ** (mpmath.mpf(1) / 49)
        for a, b in pairwise(times):
            assert abs(mpmath.mpf(b.numerator) / b.denominator * a.denominator / a.numerator / ratio - 1) < 2e-19
    assert grid_times("log:1e-3:10:9", "--times")[2] == Fraction("0.01")


def test_the_grid_of_a_trajectory_ends_exactly_at_its_end() -> None:
    problem = network_problem([1, 1], [[1]], [[0]], [1], "1/3")
    trajectory = sf.solve_flow(problem, dps=30, stop=sf.stop_when(lambda w: w[0][0, 0], "3/4"))
    for times in (trajectory.grid(5), trajectory.grid(5, "log", start="1e-6")):
        assert len(times) == 5
        assert list(trajectory(times[-1])) == list(trajectory.at_end())
    assert trajectory.grid(5)[0] == 0
    assert trajectory.numpy(trajectory.grid(3))[:, 0] == pytest.approx([1, 0.75**0.5, 0.75])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sf.linear_times(1, 1, 3), "a linear grid must run from a start >= 0 to a later end, got 1, 1"),
        (lambda: sf.linear_times(-1, 1, 3), "a linear grid must run from a start >= 0"),
        (lambda: sf.log_times(0, 1, 3), "a logarithmic grid must run from a start > 0 to a later end, got 0, 1"),
        (
            lambda: sf.linear_times(0, 1, 1),
            "times of a grid must be a whole number from 2 to 100000, got 1",
        ),
        (lambda: sf.linear_times(0, 1, 2.0), "times of a grid must be a whole number from 2 to 100000"),
        (lambda: sf.log_times(1, 1 + Fraction(1, 10**18), 1000), "cannot be told apart to 20 digits"),
        (lambda: grid_times("0:10:11", "--times"), "--times must be linear:START:END:COUNT or log:START:END:COUNT"),
        (lambda: grid_times("linear:0:10", "--times"), "--times must be linear"),
        (lambda: grid_times("log:1:10:-3", "--times"), "--times must be linear"),
        (lambda: grid_times("log:1:ten:3", "--times"), "--times must be a number"),
        (
            lambda: grid_times("log:1:10:99999999999999", "--times"),
            "times of a grid must be a whole number from 2 to 100000",
        ),
    ],
)
def test_wrong_grids(call: Any, message: str) -> None:
    with pytest.raises(ProblemError, match=message):
        call()


def test_wrong_grids_of_a_trajectory() -> None:
    trajectory = sf.solve_flow(network_problem([1, 1], [[1]], [[0]], [1], 1), dps=20)
    with pytest.raises(ProblemError, match="needs a positive start, got none"):
        trajectory.grid(3, "log")
    with pytest.raises(ProblemError, match='spacing must be "linear" or "log"'):
        trajectory.grid(3, "cubic")  # type: ignore[arg-type]
    with pytest.raises(ProblemError, match="later end"):
        trajectory.grid(3, start=2)
