"""`symflow sweep`: JSON, table, files, exit status."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas
import pytest

from symflow.cli.app import main, spread
from symflow.cli.commands.sweep import whole_numbers

RUN = ["--step-size", "1/4", "1/8", "--scale", "1/2", "1", "--horizon", "2", "--dps", "20"]


@pytest.fixture
def problem(tmp_path: Path) -> str:
    path = tmp_path / "scalar.json"
    network = {"widths": [1, 1, 1], "activation": "linear"}
    tables = {"network": network, "data": {"x": [[1]], "y": [[1]]}, "init": {"theta": ["1/2", "1/2"]}}
    path.write_text(json.dumps(tables))
    return str(path)


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tasks are run here: how processes behave is tested with `sf.sweep`."""
    from concurrent.futures import ThreadPoolExecutor

    from symflow.analysis.sweeps import execute

    def locally(workers: int, job: Any, tasks: Any, told: Any) -> None:
        with ThreadPoolExecutor(1) as executor:
            execute.run_with(executor, job, tasks, told)

    monkeypatch.setattr(execute, "run_locally", locally)


@pytest.mark.usefixtures("in_process", "undrawn")
def test_json_table_and_files(capsys: pytest.CaptureFixture[str], tmp_path: Path, problem: str) -> None:
    out = tmp_path / "out"
    assert main(["sweep", problem, *RUN, "--out", str(out), "--json"]) == 0
    said, err = capsys.readouterr()
    found = json.loads(said)
    assert err == ""
    assert (found["tasks"], found["computed"], found["statuses"]) == (4, 4, {"done": 4})
    assert [(row["scale"], row["step_size"]) for row in found["rows"]] == [
        (scale, eta) for scale in ("1/2", "1") for eta in ("1/4", "1/8")
    ]
    row = found["rows"][0]
    assert isinstance(row["max_deviation"], str)
    assert isinstance(row["R4_ratio"], str)
    assert (row["steps"], row["seed"], row["depth"], row["width"]) == (8, None, 2, 1)
    assert found["file"] == str(out / "sweep.parquet")
    table = pandas.read_parquet(found["file"])
    assert table.max_deviation.tolist() == [row["max_deviation"] for row in found["rows"]]
    assert len(list(out.glob("*.json"))) == 4
    assert main(["sweep", problem, *RUN, "--out", str(out)]) == 0  # nothing is left to compute
    shown = capsys.readouterr().out
    assert "0 computed now, 4 found" in shown
    assert "1/8" in shown


def test_tasks_without_a_result_are_one_line_and_status_1(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from symflow.analysis.sweeps import execute

    def fail(workers: int, job: Any, tasks: Any, told: Any) -> None:
        for task in tasks:
            told(task, execute.Failed("MemoryError", "no room"))

    monkeypatch.setattr(execute, "run_locally", fail)
    assert main(["sweep", problem, *RUN, "--out", str(tmp_path / "out"), "--json"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["statuses"] == {"failed: MemoryError": 4}
    assert "4 of 4 tasks have no result (failed: MemoryError: no room)" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--step-size", "1/4", "--seed", "0:3"], "--scheme"),
        (["--step-size", "1/4", "--scheme", "xavier", "--seed", "3:0"], "--seed must be whole numbers"),
        (["--step-size", "1/4", "--scheme", "xavier", "--depth", "2.5"], "--depth must be whole numbers"),
        (["--step-size", "fast"], "step_size must be"),
        (["--step-size", "1/4", "--float64", "--dps", "30"], "--float64 goes without"),
        (["--step-size", "1/4"], "run.horizon"),
        (["--step-size", "1/4", "--horizon", "1", "--workers", "0"], "workers must be"),
    ],
)
def test_wrong_input_is_one_line_and_status_2(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, problem: str, arguments: list[str], said: str
) -> None:
    assert main(["sweep", problem, *arguments, "--out", str(tmp_path / "out")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said.replace("--scheme", 'scheme="gaussian"') in err
    assert err.count("\n") == 1


def test_several_values_after_an_option() -> None:
    written = ["sweep", "p.toml", "--seed", "0:3", "7", "--scale=1", "2", "--dps", "20", "--step-size", "1/4"]
    assert spread(written) == [
        "sweep", "p.toml", "--seed", "0:3", "--seed", "7", "--scale=1", "--scale", "2", "--dps", "20", "--step-size",
        "1/4",
    ]  # fmt: skip
    assert spread(["bounds", "p.toml", "--step-size", "1", "2"])[-2:] == ["1", "2"]  # there it takes one
    assert whole_numbers(["0:3", "7"], "--seed") == [0, 1, 2, 7]
    assert whole_numbers([], "--seed") is None


@pytest.mark.thorough
def test_in_float64(capsys: pytest.CaptureFixture[str], tmp_path: Path, problem: str) -> None:
    out = tmp_path / "out"
    assert main(["sweep", problem, *RUN[:-2], "--out", str(out), "--float64", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["status"] for row in rows] == ["done"] * 4
    assert float(rows[0]["error_estimate"]) < 1e-9
    assert len(pandas.read_parquet(out / "sweep.parquet")) == 4


@pytest.mark.thorough
def test_an_interrupted_sweep_keeps_what_is_done(tmp_path: Path, problem: str) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "symflow.cli.app", "sweep", problem, "--out", str(out), "--json"]
    command += ["--step-size", *(f"1/{k}" for k in range(20, 60)), "--horizon", "20", "--dps", "30", "--workers", "2"]
    client = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ))
    end = time.monotonic() + 120
    while len(list(out.glob("*.json"))) < 2 and time.monotonic() < end:
        time.sleep(0.05)
    client.send_signal(signal.SIGINT)
    said, err = client.communicate(timeout=30)
    assert client.returncode == 130
    assert err.endswith(f"symflow: interrupted; what is done is kept in {out}, and the same command continues\n")
    assert "interrupted" in json.loads(said)["error"]["message"]
    kept = len(list(out.glob("*.json")))
    assert 2 <= kept < 40
