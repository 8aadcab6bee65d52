"""Standardized and whitened inputs are right to the digits of the run, wherever those digits are asked for."""

from __future__ import annotations

import json
import pickle
from fractions import Fraction
from pathlib import Path
from typing import Any

import mpmath
import pytest
from mpmath import mpf

import symflow as sf
from symflow.problem.arguments import same_objective

X = ["1", "2", "4", "8.5"]
Y = ["1", "-1", "1/2", "3"]


def line(dps: int = 20, **scaling: bool) -> sf.Problem:
    """theta x, whose flow is known in closed form: Sigma = 1 after standardizing."""
    return sf.Problem(
        network={"widths": [1, 1], "activation": "linear"},
        data={"x": [[x] for x in X], "y": [[y] for y in Y]} | (scaling or {"standardize": True}),
        init={"theta": ["1/3"]},
        run={"horizon": 1, "step_size": "1/10", "dps": dps},
    )


def plane(dps: int = 20) -> sf.Problem:
    return sf.Problem(
        network={"widths": [2, 1], "activation": "linear"},
        data={"x": [[1, 2], [3, "1/7"], [0, 1], ["0.3", 5]], "y": [[1], [2], [3], [4]], "whiten": True},
        init={"theta": ["1/3", 1]},
        run={"horizon": 1, "step_size": "1/10", "dps": dps},
    )


def fresh() -> list[Any]:
    """The standardized inputs by mpmath, from the definition."""
    values = [mpf(x) for x in X]
    mean = mpmath.fsum(values) / len(values)
    spread = mpmath.sqrt(mpmath.fsum((v - mean) ** 2 for v in values) / len(values))
    return [(v - mean) / spread for v in values]


def truth(time: Any) -> Any:
    """theta(t) = l + (theta(0) - l) e^-t, l = mean x y."""
    targets = [mpf(1), mpf(-1), mpf(1) / 2, mpf(3)]
    goal = mpmath.fsum(x * y for x, y in zip(fresh(), targets, strict=True)) / len(targets)
    return goal + (mpf(1) / 3 - goal) * mpmath.exp(-time)


@pytest.mark.parametrize("dps", [50, 100, 300])
def test_more_digits_than_the_problem_s_reach_the_inputs(dps: int) -> None:
    problem = line(20)
    with mpmath.workdps(dps + 60):
        for again in (problem.for_digits(dps), problem.replace(dps=dps), line(dps)):
            assert again.dps == dps
            for row, x in zip(again.x, fresh(), strict=True):
                assert abs(mpf(row[0].numerator) / row[0].denominator - x) < mpf(10) ** -(dps + 15)
            assert same_objective(again.objective, line(dps).objective)
        trajectory = sf.solve_flow(problem, dps=dps)
        assert abs(trajectory(1)[0] - truth(mpf(1))) < mpf(10) ** -dps
        run = sf.descend(problem, steps=10, dps=dps)
        goal = truth(mpmath.inf)
        assert abs(run.iterates[-1][0] - (goal + (mpf(1) / 3 - goal) * (mpf(9) / 10) ** 10)) < mpf(10) ** -dps
        found = sf.deviation(problem, dps=dps, bounds=[])
        assert abs(found.values[-1] - abs(run.iterates[-1][0] - trajectory(1)[0])) < mpf(10) ** -dps
        assert min(c.digits for c in sf.check_flow(problem, trajectory)) > dps


def test_whitened_inputs_are_white_to_the_digits_asked_for() -> None:
    for problem in (plane(20).for_digits(100), plane(20).replace(dps=100), plane(100)):
        x = problem.x
        covariance = x.T.dot(x) / len(x)
        assert max(abs(covariance[i, j] - (i == j)) for i in range(2) for j in range(2)) < Fraction(1, 10**105)
    x = plane(20).x
    assert abs((x.T.dot(x) / len(x))[0, 0] - 1) > Fraction(1, 10**60)


def test_fewer_digits_and_exact_inputs_change_nothing() -> None:
    problem = line(50)
    assert problem.for_digits(20) is problem
    assert problem.replace(horizon=3).objective is problem.objective
    assert problem.replace(theta0=[2]).for_digits(50).objective is problem.objective
    exact = line(20, standardize=False)
    assert exact.scaling is None
    assert exact.for_digits(100) is exact
    assert exact.replace(dps=100).objective is exact.objective


def test_a_problem_written_and_read_back_still_knows_its_inputs(tmp_path: Path) -> None:
    for problem, other in ((line(20), line(100)), (plane(20), plane(100))):
        (tmp_path / "p.json").write_text(json.dumps(problem.to_dict()))
        for again in (sf.load_problem(tmp_path / "p.json"), pickle.loads(pickle.dumps(problem))):
            assert same_objective(again.objective, problem.objective)
            assert same_objective(again.for_digits(100).objective, other.objective)


def test_a_stop_at_a_quantity_of_the_problem_is_one_of_the_flow_at_more_digits() -> None:
    """f = f* + (theta - l)^2 / 2 falls to f* + d where (theta(0) - l)^2 e^-2t = 2 d."""
    problem = line(20)
    with mpmath.workdps(150):
        targets = [mpf(1), mpf(-1), mpf(1) / 2, mpf(3)]
        goal = truth(mpmath.inf)
        least = (mpmath.fsum(y * y for y in targets) / 4 - goal**2) / 2
        value = mpf(1)
        time = mpmath.log((mpf(1) / 3 - goal) ** 2 / (2 * (value - least))) / 2
        assert 0 < time < 1
        for quantity in (sf.loss(problem.objective), "loss"):
            found = sf.solve_flow(problem, dps=100, stop=sf.stop_when(quantity, 1))
            assert abs(found.stopped.time - time) < mpf(10) ** -100


def test_a_flow_or_run_of_other_digits_is_the_problem_s_own(tmp_path: Path) -> None:
    problem = line(20)
    flow = sf.solve_flow(problem, dps=60)
    flow.save(tmp_path / "flow.json")
    for known in (flow, sf.load_trajectory(tmp_path / "flow.json"), sf.solve_flow(line(60))):
        assert sf.deviation(problem, flow=known, bounds=[]).flow.dps == 60
    for run in (
        sf.descend(problem, steps=10),
        sf.descend(problem, steps=10, dps=60),
        sf.descend(line(60), steps=10, dps=60),
    ):
        for dps in (20, 60):
            found = sf.deviation(problem, run=run, dps=dps, bounds=[])
            assert abs(found.values[-1] - sf.deviation(problem, bounds=[]).values[-1]) < 1e-15
    with pytest.raises(sf.ProblemError, match="another objective"):
        sf.deviation(problem, flow=sf.solve_flow(line(20, standardize=False)), bounds=[])
