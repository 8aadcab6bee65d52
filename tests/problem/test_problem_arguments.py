"""Objects of a wrong kind are refused with the way to a right one; objectives are compared by content."""

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy

import symflow as sf
from symflow.errors import ProblemError
from symflow.networks.objective import expression_objective
from symflow.problem import Problem
from symflow.problem.arguments import as_problem, same_objective

A, B = sympy.symbols("a b")


def test_a_problem_is_given_back(valid: dict[str, Any]) -> None:
    problem = Problem(**valid)
    assert as_problem(problem, "solve_flow") is problem


@pytest.mark.parametrize(
    ("value", "got", "remedy"),
    [
        (expression_objective(A * B, (A, B)), "an Objective", "sf.Problem(objective=..., theta0=...)"),
        ("p.toml", "'p.toml'", "sf.load_problem(path)"),
        (Path("p.toml"), "PosixPath", "sf.load_problem(path)"),
        ({"network": 1}, "a table of 1 keys", "sf.Problem(**tables)"),
        (None, "nothing", "sf.load_problem(path)"),
        ([1.0, 2.0], "[1.0, 2.0]", "sf.load_problem(path)"),
    ],
)
def test_other_objects_are_refused_with_the_way_to_a_problem(value: object, got: str, remedy: str) -> None:
    with pytest.raises(ProblemError) as caught:
        as_problem(value, "solve_flow")
    line = str(caught.value)
    assert line.startswith("solve_flow needs a problem (objective and initial weights), got ")
    assert got in line
    assert line.endswith(remedy)


OBJECTIVE = expression_objective(A * B, (A, B))
CALLS: list[Callable[[Any], Any]] = [
    sf.solve_flow,
    sf.solve_flow_float64,
    sf.deviation,
    sf.tightness,
    sf.applicable,
    sf.balanced_start,
    sf.minimum_loss,
    sf.sweep_float64,
    lambda p: sf.descend(p, steps=3),
    lambda p: sf.max_step_size(p, "1/100"),
    lambda p: sf.check_flow(p, None),  # type: ignore[arg-type]
    lambda p: sf.sweep_flow_float64(p, np.ones((1, 2)), [1]),
    lambda p: sf.sweep(p, step_size="1/10", folder="not made"),
]


@pytest.mark.parametrize("call", CALLS)
def test_every_function_that_takes_a_problem_says_so(call: Callable[[Any], Any]) -> None:
    for value in (OBJECTIVE, "p.toml", None):
        with pytest.raises(ProblemError, match=r"needs a problem \(objective and initial weights\), got ") as caught:
            call(value)
        assert "\n" not in str(caught.value)


def test_objectives_are_compared_by_content(valid: dict[str, Any]) -> None:
    problem = Problem(**valid)
    again = Problem(**json.loads(json.dumps(problem.to_dict())))
    assert again.objective is not problem.objective
    assert same_objective(problem.objective, again.objective)
    tables = problem.to_dict()
    x, y = tables["data"]["x"], tables["data"]["y"]
    moved = [[str(Fraction(x[0][0]) + Fraction(1, 10**60)), *x[0][1:]], *x[1:]]
    others = [
        tables | {"data": {"x": moved, "y": y}},
        tables | {"data": {"x": x[:1], "y": y[:1]}},
        tables | {"data": {"x": x, "y": y[::-1]}},
        tables | {"network": {"widths": [2, 3, 1], "activation": "linear"}},
        tables | {"loss": {"kind": "exponential"}, "data": {"x": x, "y": [[1], [-1]]}},
    ]
    for other in others:
        assert not same_objective(problem.objective, Problem(**other).objective)


def test_expressions_are_compared_by_content() -> None:
    square = expression_objective((A * B - 1) ** 2, (A, B))
    assert same_objective(square, expression_objective((A * B - 1) ** 2, (A, B)))
    assert not same_objective(square, expression_objective((A * B - 2) ** 2, (A, B)))
    assert not same_objective(square, expression_objective((A * B - 1) ** 2, (B, A)))
