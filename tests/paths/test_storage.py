"""Saved trajectories come back bit for bit, and damaged files are refused in one line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import sympy
from cases import reference

import symflow as sf


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
