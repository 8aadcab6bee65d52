"""Self-checks hold to the digits that were asked for, and notice a trajectory that is wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cases import reference

import symflow as sf
from symflow.paths.taylor.dense import taylor_steps


def scalar(theta: list[str], x: list[str], y: list[str]) -> sf.Problem:
    return sf.Problem(
        network={"widths": [1, 1, 1], "activation": "linear"},
        data={"x": [[v] for v in x], "y": [[v] for v in y]},
        init={"theta": theta},
        run={"horizon": 3},
    )


SINGLE = {
    "network": {"widths": [2, 2], "activation": "linear"},
    "data": {"x": [["1/3", 1], [2, "-1/2"]], "y": [[1, 0], ["1/5", 2]]},
    "init": {"theta": [1, "1/2", 0, "-1/3"]},
    "run": {"horizon": 5},
}


@pytest.mark.parametrize("name", ["linear-2-2-2-1", "relu-2-3-1", "leaky-2-2-2-1", "slide-relu-3-3-1"])
def test_identities_hold_across_and_along_kinks(name: str) -> None:
    problem = reference(name)
    checks = sf.check_flow(problem, sf.solve_flow(problem, dps=40))
    assert [c.result for c in checks] == ["R1", "R10"]
    assert all(c.digits >= 40 for c in checks), checks


@pytest.mark.parametrize(
    "problem",
    [
        sf.Problem(**SINGLE),
        scalar(["1", "-1/2"], ["1/3", "2"], ["1", "0"]),
        scalar(["1/2", "-1/2"], ["1/3", "2"], ["1", "0"]),
        scalar(["1/2", "1/2"], ["1"], ["2"]),
        scalar(["3/2", "3/2"], ["1"], ["0"]),
        scalar(["-1/2", "1/2"], ["1", "-1"], ["1", "1"]),
    ],
    ids=["n=1", "c>0", "opposite", "equal", "goal 0", "opposite goal 0"],
)
def test_closed_forms(problem: sf.Problem) -> None:
    checks = sf.check_flow(problem, sf.solve_flow(problem, dps=50))
    assert checks[-1].result.startswith("closed form")
    assert all(c.digits >= 50 for c in checks), checks


def test_every_check_notices_a_wrong_trajectory() -> None:
    """The last step is bent by 1e-20: no check may still report 30 digits."""
    for problem in (scalar(["1", "-1/2"], ["1/3", "2"], ["1", "0"]), sf.Problem(**SINGLE)):
        trajectory = sf.solve_flow(problem, dps=40)
        steps = taylor_steps(trajectory)
        *first, last = steps.segments
        bent: list[list[Any]] = [list(c) for c in last.coefficients]
        bent[0][1] += (1 << steps.bits) // 10**20
        dense = replace(steps, segments=(*first, replace(last, coefficients=tuple(bent))))
        wrong = replace(trajectory, dense=dense)
        assert all(c.digits < 30 for c in sf.check_flow(problem, wrong))
