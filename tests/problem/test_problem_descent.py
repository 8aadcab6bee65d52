"""The table [descent]: what it means, what it refuses, and that problems keep their method wherever they go."""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import sympy

import symflow as sf
from symflow.problem import Problem

F = Fraction
BASE: dict[str, Any] = {
    "network": {"widths": [1, 2, 1], "activation": "linear"},
    "data": {"x": ["1", "1/2", "-1"], "y": ["1", "0", "1/3"]},
    "init": {"theta": ["1/2", "1/3", "-1/4", "1"]},
    "run": {"horizon": "1/2", "step_size": "1/10", "dps": 20},
}
TABLES: list[tuple[dict[str, Any], sf.Method]] = [
    ({}, sf.GradientDescent()),
    ({"weight_decay": 0.1}, sf.GradientDescent(weight_decay="1/10")),
    ({"method": "heavy-ball", "momentum": "9/10"}, sf.HeavyBall("9/10")),
    ({"method": "nesterov", "momentum": 0.5, "batch_size": 2}, sf.Nesterov("1/2", batches=sf.Batches(2))),
    (
        {"method": "rmsprop", "decay": 0.99, "epsilon": "1e-8", "epsilon_inside": False},
        sf.RMSProp("99/100", F(1, 10**8), epsilon_inside=False),
    ),
    (
        {"method": "adam", "momentum": 0.9, "decay": "0.999", "epsilon": "1e-8", "bias_correction": False,
         "weight_decay": "1/100", "decoupled": True, "batch_size": 2, "order": "shuffled", "seed": 3},
        sf.Adam("9/10", "999/1000", F(1, 10**8), bias_correction=False, weight_decay="1/100", decoupled=True,
                batches=sf.Batches(2, order="shuffled", seed=3)),
    ),
    ({"order": [[0, 2], [1]]}, sf.GradientDescent(batches=sf.Batches(order=[[0, 2], [1]]))),
]  # fmt: skip


@pytest.mark.parametrize(("table", "method"), TABLES)
def test_what_the_table_means(table: dict[str, Any], method: sf.Method, tmp_path: Path) -> None:
    problem = Problem(**BASE, descent=table)
    assert problem.method == method == Problem(**BASE, descent=method).method
    assert Problem(**problem.to_dict()).method == method
    assert ("descent" in problem.to_dict()) == (method != sf.GradientDescent())
    file = tmp_path / "problem.json"
    file.write_text(json.dumps(problem.to_dict()), encoding="utf-8")
    assert sf.load_problem(file).method == method
    assert pickle.loads(pickle.dumps(problem)).method == method
    assert problem.replace(horizon=1).method == method
    assert problem.replace(method=sf.HeavyBall("1/7")).method == sf.HeavyBall("1/7")
    assert method == sf.GradientDescent() or method.called in repr(problem)
    run = sf.descend(problem, steps=3)
    assert run.method == method
    assert (run.iterates == sf.descend(Problem(**BASE), steps=3, method=method).iterates).all()


def test_a_file_runs_its_method_everywhere(tmp_path: Path) -> None:
    """Descent and deviation of a TOML file, and a stand-alone objective, whose table is a keyword."""
    file = tmp_path / "heavy.toml"
    file.write_text(
        '[network]\nwidths = [1, 1]\nactivation = "linear"\n[data]\nx = [1]\ny = [1]\n[init]\ntheta = ["3"]\n'
        '[run]\nhorizon = 1\nstep_size = "1/10"\ndps = 20\n[descent]\nmethod = "heavy-ball"\nmomentum = 0.5\n',
        encoding="utf-8",
    )
    problem = sf.load_problem(file)
    dev = sf.deviation(problem)
    assert dev.method == sf.HeavyBall("1/2")
    assert dev.compared_with == "theta' = -2 grad f(theta), heavy ball to order 0"
    alone = sf.Problem(objective=problem.objective, theta0=[3], descent={"method": "nesterov", "momentum": "1/4"})
    assert alone.method == sf.Nesterov("1/4") == alone.for_digits(60).method
    for refused in (lambda: sf.max_step_size(problem, 1), lambda: sf.limit(problem, step_size="1/9", steps=0)):
        with pytest.raises(sf.ProblemError, match="is about gradient descent, got a problem with heavy ball"):
            refused()


@dataclass(frozen=True)
class Own(sf.Method):
    """Gradient descent under another name."""

    name = "my own"

    def step(self, now: Any, gradient: Any, step_size: Any) -> Any:
        return sf.GradientDescent().step(now, gradient, step_size)


def test_a_method_of_one_s_own_has_no_file_form() -> None:
    problem = Problem(**BASE, descent=Own())
    assert (sf.descend(problem, steps=2).iterates == sf.descend(Problem(**BASE), steps=2).iterates).all()
    assert pickle.loads(pickle.dumps(problem)).method == Own()
    with pytest.raises(sf.ProblemError, match=r"descent: only the methods gradient-descent, .* have a file form"):
        problem.to_dict()


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"methd": "adam"}, r"descent.methd is not a known key; did you mean method\?$"),
        ({"method": "adamw"}, r'descent.method must be one of "gradient-descent", .*did you mean "adam"\?'),
        ({"method": "heavy-ball"}, 'descent.momentum is missing; method = "heavy-ball" needs it'),
        ({"momentum": 1}, 'descent.momentum = 1 goes with method = heavy-ball, nesterov, adam, got "gradient-descent"'),
        ({"method": "heavy-ball", "momentum": 1}, "descent: momentum must be at least 0 and below 1, got 1"),
        ({"method": "heavy-ball", "momentum": "fast"}, "descent.momentum must be a number"),
        ({"weight_decay": -1}, "descent: weight_decay must be at least 0"),
        ({"decoupled": 1}, "descent.decoupled must be true or false, got 1"),
        ({"batch_size": 0}, "descent.batch_size must be a positive integer, got 0"),
        ({"batch_size": 2, "order": "sorted"}, 'order must be one of "cyclic", "shuffled", "with-replacement"'),
        ({"batch_size": 2, "order": 3}, "descent.order must be one of .* or a list of lists of samples, got 3"),
        ({"order": "shuffled"}, "descent: batches: size is missing"),
        ({"seed": 1}, "descent: seed goes with batch_size"),
        ({"batch_size": 2, "seed": 1}, 'descent: seed goes with order = "shuffled"'),
    ],
)
def test_what_the_table_refuses(table: dict[str, Any], said: str) -> None:
    with pytest.raises(sf.ProblemError, match=said) as refused:
        Problem(**BASE, descent=table)
    assert "\n" not in str(refused.value)
    assert str(refused.value).startswith("Problem: ")


def test_batches_that_the_data_do_not_have_are_refused_at_once() -> None:
    with pytest.raises(sf.ProblemError, match="batches: size must be at most the number of samples, 3, got 4"):
        Problem(**BASE, descent={"batch_size": 4})
    with pytest.raises(sf.ProblemError, match="batches: samples must be from 0 to 2, got 3"):
        Problem(**BASE).replace(method=sf.GradientDescent(batches=sf.Batches(order=[[3]])))
    x = sympy.Symbol("x")
    with pytest.raises(sf.ProblemError, match="a mean over samples"):
        sf.Problem(objective=sf.expression_objective(x**2, [x]), theta0=[1], descent={"batch_size": 1})
