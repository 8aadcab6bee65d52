"""Saved trajectories, flows and descents, come back bit for bit; damaged files are refused in one line."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import sympy
from cases import reference

import symflow as sf
from symflow.dynamics.method import Arrays


@pytest.mark.parametrize("name", ["linear-3-4-2", "relu-2-3-1", "slide-relu-3-3-1"])
def test_round_trip(name: str, tmp_path: Path) -> None:
    trajectory = sf.solve_flow(reference(name), dps=30)
    trajectory.save(tmp_path / "flow.json")
    loaded = sf.load_trajectory(tmp_path / "flow.json")
    assert list(loaded("5/3")) == list(trajectory("5/3"))
    assert loaded.events == trajectory.events
    assert loaded.error_estimate == trajectory.error_estimate
    assert loaded.stats == trajectory.stats
    assert [p.name for p in tmp_path.iterdir()] == ["flow.json"]
    weights = loaded.weights(1)
    assert [w.shape for w in weights] == [w.shape for w in trajectory.weights(1)]


def test_a_stand_alone_objective_is_given_again(tmp_path: Path) -> None:
    x = sympy.Symbol("x")
    objective = sf.expression_objective(x**2 / 2, [x])
    trajectory = sf.solve_flow(sf.Problem(objective=objective, theta0=["1"]), horizon=2, dps=20)
    trajectory.save(tmp_path / "flow.json")
    with pytest.raises(sf.ProblemError, match="give objective"):
        sf.load_trajectory(tmp_path / "flow.json")
    assert sf.load_trajectory(tmp_path / "flow.json", objective)(1)[0] == trajectory(1)[0]


def test_what_ended_a_flow_is_saved(tmp_path: Path) -> None:
    decay = sf.Problem(network=sf.FullyConnected((1, 1)), data={"x": [1], "y": [0]}, init={"theta": [1]})
    stop = [sf.stop_at_loss("1e-6"), sf.stop_at_gradient_norm("1e-90")]
    trajectory = sf.solve_flow(decay, horizon=100, dps=30, stop=stop)
    trajectory.save(tmp_path / "flow.json")
    again = sf.load_trajectory(tmp_path / "flow.json")
    assert again.stopped == trajectory.stopped is not None
    assert again.conditions == trajectory.conditions
    assert again.incomplete == ""


@pytest.mark.parametrize("damage", ["", "[]", '{"format": "other"}', '{"format": "symflow trajectory 1"}', "no JSON"])
def test_damaged_files(damage: str, tmp_path: Path) -> None:
    (tmp_path / "flow.json").write_text(damage)
    with pytest.raises(sf.ProblemError, match=r"flow\.json") as caught:
        sf.load_trajectory(tmp_path / "flow.json")
    assert "\n" not in str(caught.value)
    with pytest.raises(sf.ProblemError, match="missing"):
        sf.load_trajectory(tmp_path / "missing.json")


def test_a_failure_while_writing_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trajectory = sf.solve_flow(reference("scalar-depth2"), dps=15)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        trajectory.save(tmp_path / "flow.json")
    assert list(tmp_path.iterdir()) == []


def same_descent(loaded: sf.Trajectory, run: sf.Trajectory) -> None:
    """Every number, and its type."""
    for name in ("method", "step_size", "indices", "dps"):
        assert getattr(loaded, name) == getattr(run, name)
    assert loaded.steps.carried.keys() == run.steps.carried.keys()
    pairs = [(loaded.steps.carried[name], array) for name, array in run.steps.carried.items()]
    for found, saved in ((loaded.iterates, run.iterates), *pairs):
        assert found.shape == saved.shape
        assert found.dtype == saved.dtype
        assert [(type(v), v) for v in found.flat] == [(type(v), v) for v in saved.flat]
    assert (loaded.error, loaded.stats, loaded.steps.exact) == (run.error, run.stats, run.steps.exact)
    assert (loaded(run.step_size / 3) == run(run.step_size / 3)).all()


DESCENTS: list[tuple[int | Literal["exact"] | None, sf.Method]] = [
    (None, sf.GradientDescent(weight_decay="1/3", batches=sf.Batches(2, order="shuffled", seed=4))),
    (None, sf.Adam("9/10", "99/100", "1/100")),
    (30, sf.HeavyBall("9/10")),
    (20, sf.RMSProp("9/10", "1/100", weight_decay="1/100")),
    ("exact", sf.Nesterov("1/2", batches=sf.Batches(order=[[0, 1], [1]]))),
]


@pytest.mark.parametrize(("dps", "method"), DESCENTS, ids=lambda v: getattr(v, "name", v))
def test_descents_round_trip(dps: int | Literal["exact"] | None, method: sf.Method, tmp_path: Path) -> None:
    run = sf.descend(reference("linear-3-4-2"), step_size="1/30", steps=3, dps=dps, method=method)
    run.save(tmp_path / "run.json")
    loaded = sf.load_trajectory(tmp_path / "run.json")
    same_descent(loaded, run)
    assert loaded.objective.loss is run.objective.loss
    assert [w.shape for w in loaded.weights(0)] == [w.shape for w in run.weights(0)]


@dataclass(frozen=True, repr=False)
class Own(sf.Method):
    """theta_{k+1} = -g."""

    name = "a method of one's own"

    def step(self, now: Arrays, gradient: Any, step_size: Any) -> Arrays:
        return {"theta": gradient}


def test_what_a_saved_descent_lacks_is_asked_for(tmp_path: Path) -> None:
    x = sympy.Symbol("x")
    objective, file = sf.expression_objective(x**2 / 2, [x]), tmp_path / "run.json"
    run = sf.descend(sf.Problem(objective=objective, theta0=["1"]), step_size="1/10", steps=2, method=Own())
    run.save(file)
    with pytest.raises(sf.ProblemError, match=r"run\.json: the trajectory is of a stand-alone .* give objective"):
        sf.load_trajectory(file)
    with pytest.raises(sf.ProblemError, match=r"run\.json: .* a method of your own; give method=") as refused:
        sf.load_trajectory(file, objective)
    assert "\n" not in str(refused.value)
    same_descent(sf.load_trajectory(file, objective, Own()), run)
    with pytest.raises(sf.ProblemError, match="damaged"):  # that of another method
        sf.load_trajectory(file, objective, sf.HeavyBall("1/2"))
    stored = json.loads(file.read_text())
    none = {"shape": [3, 2], "numbers": []}
    for damage in ({"indices": [0]}, {"indices": []}, {"step_size": "0/0"}, {"iterates": none}):
        file.write_text(json.dumps(stored | damage))
        with pytest.raises(sf.ProblemError, match=r"run\.json"):
            sf.load_trajectory(file, objective, Own())


def test_the_whole_path_is_saved(tmp_path: Path) -> None:
    dev = sf.deviation(reference("linear-3-4-2"), step_size="1/20", horizon="1/5", dps=15, bounds=[])
    assert dev.run is not None
    dev.run.save(tmp_path / "run.json")
    loaded = sf.load_trajectory(tmp_path / "run.json")
    same_descent(loaded, dev.run)
    assert np.array_equal(loaded.steps.path, dev.run.steps.path)  # type: ignore[arg-type]
