"""The record: built from tables, arrays or a stand-alone objective, and written back exactly."""

import copy
import dataclasses
import json
import pickle
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy

from symflow.errors import ProblemError
from symflow.networks.network import FullyConnected
from symflow.networks.objective import expression_objective
from symflow.networks.training_loss import network_objective
from symflow.problem import Problem, load_problem


def same(a: Problem, b: Problem) -> bool:
    return (
        a.to_dict() == b.to_dict()
        and a.theta0 == b.theta0
        and a.network == b.network
        and (a.x == b.x).all()
        and (a.y == b.y).all()
        and (a.horizon, a.step_size, a.dps, a.name) == (b.horizon, b.step_size, b.dps, b.name)
    )


def test_attributes(valid: dict[str, Any]) -> None:
    problem = Problem(**valid)
    assert problem.theta0[1] == Fraction(-1, 5)
    assert problem.theta0[8] == Fraction(1, 1000)
    assert (problem.horizon, problem.step_size, problem.dps, problem.name) == (10, Fraction(1, 100), 50, None)
    assert problem.network == FullyConnected((2, 3, 1), Fraction(1), Fraction(0))
    assert problem.objective.parameter_count == 9
    assert problem.objective.network is problem.network
    assert problem.x.tolist() == [[Fraction(1, 2), Fraction(-3, 10)], [Fraction(7, 10), 1]]
    assert problem.y.tolist() == [[1], [Fraction(-1, 4)]]


def test_frozen(valid: dict[str, Any]) -> None:
    problem = Problem(**valid)
    with pytest.raises(dataclasses.FrozenInstanceError):
        problem.dps = 3  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        problem.x[0, 0] = 1


def test_pickle(valid: dict[str, Any]) -> None:
    problem = Problem(**valid)
    for again in (pickle.loads(pickle.dumps(problem)), copy.deepcopy(problem)):
        assert same(again, problem)
        assert not again.x.flags.writeable


def test_replace_shares_the_objective(valid: dict[str, Any]) -> None:
    problem = Problem(**valid)
    other = problem.replace(theta0=[f"{k}/7" for k in range(9)], step_size="1/3")
    assert other.objective is problem.objective
    assert other.theta0[2] == Fraction(2, 7)
    assert (other.horizon, other.step_size, other.dps) == (10, Fraction(1, 3), 50)
    tables = problem.to_dict() | {"init": {"theta": [f"{k}/7" for k in range(9)]}}
    assert same(other, Problem(**tables | {"run": tables["run"] | {"step_size": "1/3"}}))
    with pytest.raises(ProblemError, match="must have the 9 parameters of the objective, got 2"):
        problem.replace(theta0=[1, 2])
    with pytest.raises(ProblemError, match="steps is not a known key"):
        problem.replace(steps=3)


def test_how_the_start_was_drawn(valid: dict[str, Any]) -> None:
    assert Problem(**valid).drawn is None
    problem = Problem(**valid | {"init": {"scheme": "xavier", "seed": 4}})
    assert problem.drawn is not None
    assert (problem.drawn.scheme, problem.drawn.seed, problem.drawn.scale) == ("xavier", 4, None)
    assert problem.replace(horizon=3).drawn is problem.drawn
    assert problem.replace(theta0=[0] * 9).drawn is None


def test_arrays_and_floats_from_python() -> None:
    problem = Problem(
        network={"widths": (2, 1), "activation": "linear"},
        data={"x": np.array([[0.1, 0.2]]), "y": [(sympy.Rational(1, 3),)]},
        init={"theta": np.array([1.0, -0.5])},
        run={"horizon": 0.1, "step_size": Decimal("0.1")},
    )
    assert problem.x.tolist() == [[Fraction(0.1), Fraction(0.2)]]
    assert problem.y.tolist() == [[Fraction(1, 3)]]
    assert problem.theta0 == (1, Fraction(-1, 2))
    assert problem.horizon == Fraction(1, 10)  # a setting, not data
    assert problem.step_size == Fraction(1, 10)


@pytest.mark.parametrize(
    ("section", "slopes"),
    [
        ({"activation": "linear"}, (1, 1)),
        ({"activation": "relu"}, (1, 0)),
        ({"activation": "leaky-relu", "slope": "1/5"}, (1, Fraction(1, 5))),
        ({"activation": "homogeneous", "alpha": 2, "alpha_bar": "-1/3"}, (2, Fraction(-1, 3))),
        ({"activation": "homogeneous", "alpha": 1, "alpha_bar": "1/3"}, (1, Fraction(1, 3))),
        ({"activation": "homogeneous", "alpha": 3, "alpha_bar": 3}, (3, 3)),
    ],
)
def test_activations(valid: dict[str, Any], section: dict[str, Any], slopes: tuple[Any, Any]) -> None:
    valid["network"] = {"widths": [2, 3, 1]} | section
    problem = Problem(**valid)
    assert (problem.network.alpha, problem.network.alpha_bar) == slopes
    assert same(problem, Problem(**problem.to_dict()))


@pytest.mark.parametrize("kind", ["given", "drawn", "no run"])
def test_round_trip(valid: dict[str, Any], tmp_path: Path, kind: str) -> None:
    if kind == "drawn":
        valid["network"] = {"widths": [2, 4, 3], "activation": "linear"}
        valid["data"] = {
            "builtin": "iris",
            "inputs": ["sepal_length", "petal_width"],
            "labels": "species",
            "rows": [0, 60, 140, 3, 77],
            "whiten": True,
        }
        valid["init"] = {"scheme": "balanced", "seed": 7}
        valid["name"] = "drawn"
    if kind == "no run":
        del valid["run"]
    problem = Problem(**valid)
    tables = problem.to_dict()
    before = copy.deepcopy(tables)
    assert same(problem, Problem(**tables))
    assert tables == before
    (tmp_path / "again.json").write_text(json.dumps(tables))
    again = load_problem(tmp_path / "again.json")
    assert again.to_dict() == {"name": "again"} | tables
    assert same(dataclasses_without_name(again), dataclasses_without_name(problem))


def dataclasses_without_name(problem: Problem) -> Problem:
    tables = problem.to_dict()
    tables.pop("name", None)
    return Problem(**tables)


def test_round_trip_of_numbers_beyond_the_limit_of_int(valid: dict[str, Any], tmp_path: Path) -> None:
    valid["data"]["x"][0][0] = Fraction(7**11_000, 3**11_000)
    problem = Problem(**valid)
    (tmp_path / "long.json").write_text(json.dumps(problem.to_dict()))
    assert load_problem(tmp_path / "long.json").x[0, 0] == valid["data"]["x"][0][0]


def test_repr(valid: dict[str, Any]) -> None:
    assert repr(Problem(**valid)) == (
        "Problem(fully-connected 2-3-1 relu, square loss, N=2, P=9, horizon=10, step_size=1/100, dps=50)"
    )
    valid["network"]["widths"] = [2] + [1] * 20
    valid["init"] = {"scheme": "xavier"}
    valid["name"] = "deep\nand narrow"
    del valid["run"]
    assert repr(Problem(**valid)) == (
        "Problem('deep\\nand narrow': fully-connected 2-1-1-1-...-1-1 relu, square loss, N=2, P=21, dps=50)"
    )


def test_stand_alone_objective() -> None:
    u, v = sympy.symbols("u v")
    objective = expression_objective(u**2 - v**4, [u, v])
    problem = Problem(objective=objective, theta0=["1/3", 0.5], horizon="10", step_size="1/7", dps=30, name="saddle")
    assert problem.objective is objective
    assert problem.theta0 == (Fraction(1, 3), Fraction(1, 2))
    assert (problem.horizon, problem.step_size, problem.dps) == (10, Fraction(1, 7), 30)
    assert (problem.network, problem.x, problem.y) == (None, None, None)
    assert repr(problem) == "Problem('saddle': stand-alone objective, P=2, horizon=10, step_size=1/7, dps=30)"
    assert Problem(objective=objective, theta0=np.array([1.0, 2.0])).dps == 50
    with pytest.raises(ProblemError, match=r"^Problem: only a network's problem has a file form"):
        problem.to_dict()


U = sympy.Symbol("u")
SQUARE = expression_objective(U**2, [U])


@pytest.mark.parametrize(
    ("arguments", "phrase"),
    [
        ({}, "Problem: network is missing"),
        (
            {"network": {}, "objective": SQUARE, "theta0": [1]},
            "must have either objective or network, got objective and network",
        ),
        ({"run": {"dps": 20}, "objective": SQUARE, "theta0": [1]}, "got objective and run"),
        ({"network": {}, "theta0": [1]}, 'theta0 goes with objective; next to network write init={"theta": ...}'),
        ({"network": {}, "horizon": 1}, 'horizon goes with objective; next to network write run={"horizon": ...}'),
        ({"objective": "u**2", "theta0": [1]}, "objective must be an Objective, got 'u**2'"),
        ({"objective": SQUARE}, "theta0 is missing"),
        ({"objective": SQUARE, "theta0": [1, 2]}, "theta0 must have the 1 parameters of the objective, got 2"),
        ({"objective": SQUARE, "theta0": ["a"]}, "theta0[0] must be a number such as"),
        ({"objective": SQUARE, "theta0": [1], "horizon": -1}, "Problem: horizon must be a positive number, got -1"),
        (
            {"objective": SQUARE, "theta0": [1], "step_size": "0"},
            "Problem: step_size must be a positive number, got '0'",
        ),
        ({"objective": SQUARE, "theta0": [1], "dps": 3}, "Problem: dps must be an integer from 15 to 10000, got 3"),
        (
            {"objective": SQUARE, "theta0": [1], "dps": 20.0},
            "Problem: dps must be an integer from 15 to 10000, got 20.0",
        ),
        ({"objective": SQUARE, "theta0": [1], "name": 3}, "Problem: name must be text, got 3"),
    ],
    ids=range(14),
)
def test_refused(arguments: dict[str, Any], phrase: str) -> None:
    with pytest.raises(ProblemError) as caught:
        Problem(**arguments)
    assert phrase in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("y", [[1, "-1/4"], np.array([1.0, -0.25]), ("1", Decimal("-0.25")), [[1], ["-1/4"]]])
def test_targets_of_one_number_a_sample_may_be_flat(y: Any) -> None:
    """scikit-learn's and pandas' targets have shape (N,)."""
    network = {"widths": [1, 1], "activation": "linear"}
    for x in ([2, 3], np.array([[2], [3]])):
        problem = Problem(network=network, data={"x": x, "y": y}, init={"theta": [1]})
        assert problem.x.tolist() == [[2], [3]]
        assert problem.y.tolist() == [[1], [Fraction(-1, 4)]]
    objective = network_objective(FullyConnected((1, 1)), [2, 3], y)  # type: ignore[arg-type]
    assert [a.tolist() for a in objective.data.values()] == [[[2, 3]], [[1, Fraction(-1, 4)]]]


@pytest.mark.parametrize(
    ("y", "said"),
    [
        ([1, 2], "data.y[0] must be a list of numbers (one row per sample), got 1"),
        ("12", "data.y must be a list of rows, each a list of numbers, got '12'"),
    ],
)
def test_flat_targets_do_not_fit_several_outputs(valid: dict[str, Any], refusal: Any, y: Any, said: str) -> None:
    tables = valid | {"network": {"widths": [2, 2], "activation": "linear"}, "init": {"theta": [1] * 4}}
    assert said in refusal(tables | {"data": valid["data"] | {"y": y}})


def test_a_loss_may_be_its_kind_alone(valid: dict[str, Any], refusal: Any, tmp_path: Path) -> None:
    data = {"x": [[1, 2], [3, 4]], "y": [1, -1]}
    by_kind = Problem(**valid | {"loss": "logistic", "data": data})
    assert same(by_kind, Problem(**valid | {"loss": {"kind": "logistic"}, "data": data}))
    (tmp_path / "p.toml").write_text(
        'loss = "logistic"\n[network]\nwidths = [2, 1]\nactivation = "linear"\n'
        "[data]\nx = [[1, 2], [3, 4]]\ny = [1, -1]\n[init]\ntheta = [1, 2]\n"
    )
    loss = load_problem(tmp_path / "p.toml").objective.sample_loss
    assert loss is not None
    assert loss.kind == "logistic"
    assert 'loss.kind must be one of "square", "logistic"' in refusal(valid | {"loss": "logistik"})
    assert '(did you mean "logistic"?)' in refusal(valid | {"loss": "logistik"})
    assert "loss must be a table [loss], or its kind, got 3" in refusal(valid | {"loss": 3})
