"""`symflow flow`: digits, times, events, conditions, limits, what is saved."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from pathlib import Path

import mpmath
import pytest

import symflow as sf
from symflow.cli import app as cli
from symflow.errors import KinkError
from tests.cli.printed import as_json, lines


def test_a_flow_that_stops_says_why_and_keeps_what_it_has(ambiguous: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["flow", str(ambiguous), "--dps", "20", "--at", "1", "2", "5"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = lines(captured.err)
    assert "t = 2.281639657" in line
    assert "more than one way" in line

    assert cli.main(["flow", str(ambiguous), "--dps", "20", "--at", "1", "2", "5", "--json"]) == 1
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert lines(captured.err) == [line]
    assert {k: found["error"][k] for k in ("type", "cause", "sample", "layer", "unit")} == {
        "type": "KinkError", "cause": "repelling", "sample": 1, "layer": 1, "unit": 2,
    }  # fmt: skip
    assert list(found["theta"]) == ["1", "2"]
    assert found["error_estimate"] is None
    assert [e["kind"] for e in found["events"]] == ["sliding", "sliding", "crossing"]
    with pytest.raises(KinkError) as stop:
        sf.solve_flow(sf.load_problem(ambiguous), dps=20, horizon=5)
    with mpmath.workdps(60):
        assert abs(mpmath.mpf(found["computed_until"]) - stop.value.time) < mpmath.mpf(10) ** -20
        assert abs(mpmath.mpf(found["theta"]["2"][0]) - stop.value.trajectory(2)[0]) < mpmath.mpf(10) ** -20


# ---- flow ---------------------------------------------------------------------------------------------------------


def test_flow_json_is_the_trajectory_with_all_its_digits(linear: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["flow", str(linear), "--dps", "40", "--at", "0.25", "1/3", "--at=2", "--json"]) == 0
    found = as_json(capsys)
    assert {"theta", "events", "error_estimate", "steps", "seconds"} <= set(found)
    assert list(found["theta"]) == ["0.25", "1/3", "2"]
    assert found["events"] == []
    problem = sf.load_problem(linear)
    traj = sf.solve_flow(problem, horizon=2, dps=40)
    assert found["steps"] == traj.stats.steps
    assert mpmath.mpf(found["error_estimate"]) == traj.error_estimate
    for key, values in found["theta"].items():
        for text, value in zip(values, traj(Fraction(key)), strict=True):
            bits = traj.dense.bits
            with mpmath.workprec(bits + 20):
                assert abs(mpmath.mpf(text) - value) < mpmath.ldexp(1, -bits)


def test_flow_without_times_takes_the_horizon(linear: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["flow", str(linear), "--json"]) == 0
    assert list(as_json(capsys)["theta"]) == ["1/2"]
    assert cli.main(["flow", str(linear), "--json", "--at", "0"]) == 0
    start = as_json(capsys)["theta"]["0"]
    assert [float(v) for v in start] == pytest.approx([0.5, 0, 0.25, -1 / 3, 0.5, 0.2], abs=1e-25)


def test_flow_events_and_human_output(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = Path(__file__).parents[1] / "problem" / "reference" / "relu-2-3-1.json"
    assert cli.main(["flow", str(path), "--dps", "25", "--json"]) == 0
    events = as_json(capsys)["events"]
    assert len(events) == 5
    assert set(events[0]) == {"time", "kind", "sample", "unit", "layer", "gate_before", "gate_after", "radius"}
    assert events[0]["time"].startswith("2.684757318658985588286")
    assert (events[0]["sample"], events[0]["layer"], events[0]["unit"]) == (1, 1, 0)
    assert cli.main(["flow", str(path), "--dps", "25"]) == 0
    shown = capsys.readouterr().out
    assert "W1_32" in shown
    assert "crossing" in shown
    assert re.search(r"(estimated|certified) error \d", shown)


def test_times_after_at_are_spread() -> None:
    spread = cli.spread
    assert spread(["flow", "p.toml", "--at", "1", "2", "5/2", "--json"]) == [
        "flow", "p.toml", "--at", "1", "--at", "2", "--at", "5/2", "--json",
    ]  # fmt: skip
    assert spread(["--at=1", ".5", "p.toml", "3"]) == ["--at=1", "--at", ".5", "p.toml", "3"]
    assert spread(["--dps", "30", "4"]) == ["--dps", "30", "4"]
    assert spread(["--at"]) == ["--at"]


# ---- conditions, limits, grids, saving ----------------------------------------------------------------------------


@pytest.fixture
def decay(tmp_path: Path) -> Path:
    """theta' = -theta, theta(0) = 1, f = theta^2 / 2."""
    path = tmp_path / "decay.toml"
    content = '[network]\nwidths = [1, 1]\nactivation = "linear"\n[data]\nx = [[1]]\ny = [[0]]\n'
    path.write_text(content + "[init]\ntheta = [1]\n[run]\nhorizon = 100\ndps = 40\n", encoding="utf-8")
    return path


def test_a_flow_that_ends_by_a_condition(decay: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved = tmp_path / "flow.json"
    command = ["flow", str(decay), "--stop-loss", "1e-6", "--stop-gradient-norm", "1e-9", "--at", "1", "50"]
    assert cli.main([*command, "--save", str(saved), "--json"]) == 0
    found = as_json(capsys)
    assert found["conditions"] == ["loss falls to 1e-6", "gradient norm falls to 1e-9"]
    assert found["stopped"]["condition"] == "loss falls to 1e-6"
    with mpmath.workdps(60):
        exact = 3 * mpmath.log(10) - mpmath.log(2) / 2
        error = mpmath.mpf(found["stopped"]["time_error_estimate"])
        assert abs(mpmath.mpf(found["stopped"]["time"]) - exact) <= error <= mpmath.mpf(10) ** -40
        (first, last) = found["theta"]
        assert first == "1"
        assert abs(mpmath.mpf(last) - exact) < mpmath.mpf(10) ** -38
        assert abs(mpmath.mpf(found["theta"][last][0]) - mpmath.mpf(10) ** -3 * mpmath.sqrt(2)) < mpmath.mpf(10) ** -40
    assert sf.load_trajectory(saved).stopped is not None
    assert cli.main(command) == 0
    assert "the loss falls to 1e-6 at t = 6.561181688702164397345" in capsys.readouterr().out
    assert cli.main(["flow", str(decay), "--stop-loss", "1e-6", "--horizon", "2"]) == 0
    assert "no condition was met: loss falls to 1e-6" in capsys.readouterr().out
    assert cli.main(["flow", str(decay), "--stop-loss", "1e-6", "--horizon", "2", "--json"]) == 0
    assert as_json(capsys)["stopped"] is None


@pytest.mark.parametrize("limit", [["--max-steps", "4"], ["--time-limit", "1e-9"]])
def test_a_flow_that_meets_a_limit_saves_its_part(
    limit: list[str], decay: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = tmp_path / "part.json"
    command = ["flow", str(decay), "--save", str(saved), "--horizon", "100", "--at", "0", "90", *limit]
    assert cli.main(command) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = lines(captured.err)
    assert line.endswith(f"; the part computed so far is saved in {saved}")
    assert f"({limit[0]})" in line
    assert "max_steps" not in line
    assert "time_limit" not in line
    part = sf.load_trajectory(saved)
    assert part.incomplete
    assert list(part(0)) == [1]
    saved.unlink()
    assert cli.main([*command, "--json"]) == 1
    found = as_json(capsys)
    assert found["saved"] == str(saved)
    assert found["error"]["cause"] == limit[0].strip("-")
    assert list(found["theta"]) == ["0"]
    assert saved.exists()


def test_a_flow_that_stops_at_a_kink_saves_its_part(
    ambiguous: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = tmp_path / "part.json"
    assert cli.main(["flow", str(ambiguous), "--dps", "20", "--at", "5", "--save", str(saved)]) == 1
    assert str(saved) in capsys.readouterr().err
    part = sf.load_trajectory(saved)
    assert 2.28 < part.horizon < 2.29
    assert "more than one way" in part.incomplete


def test_grids_of_times(decay: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "flow",
        str(decay),
        "--dps",
        "20",
        "--times",
        "linear:0:1:5",
        "--times",
        "log:1e-3:10:5",
        "--at",
        "1/3",
    ]
    assert cli.main([*arguments, "--json"]) == 0
    found = as_json(capsys)["theta"]
    assert list(found) == ["1/3", "0", "0.25", "0.5", "0.75", "1", "0.001", "0.01", "0.1", "10"]
    with mpmath.workdps(30):
        for key, (value,) in found.items():
            t = mpmath.mpf(Fraction(key).numerator) / Fraction(key).denominator
            assert abs(mpmath.mpf(value) - mpmath.exp(-t)) < mpmath.mpf(10) ** -20


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--times", "0:10:5"], "--times must be linear:START:END:COUNT"),
        (["--times", "linear:0:10:5", "--horizon", "9"], "--times must not lie beyond --horizon 9, got '10'"),
        (["--stop-loss", "small"], "--stop-loss must be a number"),
        (["--stop-gradient-norm", "0"], "--stop-gradient-norm must be positive, got '0'"),
        (["--max-steps", "0"], "--max-steps must be a positive whole number, got 0"),
        (["--time-limit", "-1"], "--time-limit must be a positive number of seconds, got '-1'"),
        (["--horizon", "1e10000"], "horizon must be at most 1e300"),
        (["--save", "."], "--save must be a file that can be written, got '.' (it is a directory)"),
        (["--save", "missing/flow.json"], "--save must be a file that can be written"),
        (["--bogus"], "No such option: --bogus"),
        (["--dps"], "requires an argument"),
        (["--dps", "many"], "--dps"),
    ],
)
def test_wrong_options_in_json_are_one_object(
    arguments: list[str], says: str, decay: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["flow", str(decay), "--json", *arguments]) == 2
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert found["error"]["type"] == "ProblemError"
    assert says in found["error"]["message"]
    assert lines(captured.err) == ["symflow: " + found["error"]["message"]]


def test_a_flow_without_a_final_time_is_told_the_options(decay: Path, capsys: pytest.CaptureFixture[str]) -> None:
    decay.write_text(decay.read_text(encoding="utf-8").replace("horizon = 100\n", ""), encoding="utf-8")
    assert cli.main(["flow", str(decay)]) == 2
    assert "give --horizon, --at or run.horizon" in capsys.readouterr().err


def test_a_flow_in_float64(capsys: pytest.CaptureFixture[str]) -> None:
    """By the method that locates kinks; the stated error covers the distance from the flow with digits."""
    assert cli.main(["flow", "examples/relu.toml", "--float64", "--at", "1", "--json"]) == 0
    found = as_json(capsys)
    assert (found["solver"], found["dps"], found["error_status"]) == ("event-corrected", None, "estimated")
    exact = sf.solve_flow(sf.load_problem("examples/relu.toml"), horizon=1, dps=20)(1)
    apart = max(abs(float(a) - float(b)) for a, b in zip(found["theta"]["1"], exact, strict=True))
    assert apart <= float(found["error_estimate"]) < 1e-6
    assert cli.main(["flow", "examples/relu.toml", "--float64", "--dps", "20"]) == 2
    assert "--float64 goes without --dps and --check" in lines(capsys.readouterr().err)[0]
