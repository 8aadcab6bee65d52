"""The command line: exit statuses, one-line errors, JSON, what is imported, what is left behind."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import mpmath
import pytest
import typer

import symflow as sf
from symflow import files
from symflow.cli import app as cli
from symflow.cli import exit_status, signals
from symflow.cli.commands import flow, run
from symflow.errors import KinkError

LINEAR = """
[network]
widths = [2, 2, 1]
activation = "linear"
[data]
x = [[1, "1/2"], ["-1/3", 1]]
y = [[1], ["-1/2"]]
[init]
theta = ["1/2", 0, "1/4", "-1/3", "1/2", "1/5"]
[run]
horizon = "1/2"
step_size = "1/10"
dps = 20
"""


AMBIGUOUS = """{"network": {"widths": [3, 3, 1], "activation": "relu"},
"data": {"x": [["29/100", "-37/100", "47/50"], ["-23/25", "43/100", "93/100"], ["-29/100", "7/20", "-3/5"],
               ["-81/100", "7/100", "-93/100"], ["59/100", "22/25", "-16/25"]],
         "y": [["-33/50"], ["-19/25"], ["1/25"], ["-33/100"], ["-43/50"]]},
"init": {"theta": ["19/100", "9/100", "9/25", "8/25", "-33/50", "16/25", "-49/50", "-1/2", "-69/100",
                   "3/4", "-9/25", "33/100"]}}"""


@pytest.fixture
def linear(tmp_path: Path) -> Path:
    """A problem that everything can be computed for."""
    path = tmp_path / "tiny.toml"
    path.write_text(LINEAR, encoding="utf-8")
    return path


@pytest.fixture
def ambiguous(tmp_path: Path) -> Path:
    """A ReLU problem whose flow slides on two kinks until, at t = 2.28, one of them begins to repel."""
    path = tmp_path / "ambiguous.json"
    path.write_text(AMBIGUOUS, encoding="utf-8")
    return path


def lines(text: str) -> list[str]:
    return text.splitlines()


def as_json(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Standard output, which must be one JSON object, strictly."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    found = json.loads(capsys.readouterr().out, parse_constant=refuse)
    assert isinstance(found, dict)
    return found


# ---- errors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "network is missing"),
        ("[network", "must be TOML"),
        (LINEAR.replace("widths", "widhts"), "did you mean widths"),
        (LINEAR.replace('"1/5"]', '"1/0"]'), "init.theta[5]"),
        (LINEAR.replace('"1/5"]', "nan]"), "finite"),
        (LINEAR.replace(', "1/5"]', "]"), "6 weights"),
        (LINEAR.replace("[[1]", "[[1, 2]"), "data.y"),
        (LINEAR.replace('"linear"', '"linaer"'), 'did you mean "linear"'),
        (LINEAR.replace("dps = 20", "dps = 0"), "run.dps"),
    ],
)
def test_a_wrong_file_is_one_line_and_status_2(
    content: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(content, encoding="utf-8")
    for command in ("flow", "derive", "deviation", "run"):
        assert cli.main([command, str(path)]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        (line,) = lines(captured.err)
        assert line.startswith("symflow: ")
        assert "wrong.toml" in line
        assert says in line


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "Missing command"),
        (["fly"], "No such command 'fly'"),
        (["flow"], "PROBLEM"),
        (["flow", "PROBLEM", "--bogus"], "--bogus"),
        (["flow", "PROBLEM", "--dps"], "--dps"),
        (["flow", "PROBLEM", "--dps", "many"], "--dps"),
        (["flow", "PROBLEM", "--dps", "0"], "dps must be a whole number from 1 to 10000, got 0"),
        (["flow", "PROBLEM", "--dps", "-5"], "got -5"),
        (["flow", "PROBLEM", "--at", "soon"], "--at must be a number"),
        (["flow", "PROBLEM", "--at", "1", "nan"], "nan"),
        (["flow", "PROBLEM", "--at", "nan"], "--at must be a finite number"),
        (["flow", "PROBLEM", "--at", "-1"], "--at must be a time of at least 0, got '-1'"),
        (["flow", "PROBLEM", "--at", "1/0"], "denominator is not zero"),
        (["flow", "PROBLEM", "--at", "2", "--horizon", "1"], "--at must not lie beyond --horizon 1"),
        (["flow", "PROBLEM", "--horizon", "0"], "horizon must be positive"),
        (["flow", "missing.toml"], "missing.toml: there is no such file"),
        (["flow", "PROBLEM", "PROBLEM"], "tiny.toml"),
        (["deviation", "PROBLEM", "--step-size", "x"], "--step-size must be a number"),
        (["deviation", "PROBLEM", "--step-size", "0"], "step_size must be positive"),
        (["deviation", "PROBLEM", "--step-size", "2"], "shorter than one step"),
        (["run", "PROBLEM", "--out"], "--out"),
    ],
)
def test_wrong_arguments_are_one_line_and_status_2(
    arguments: list[str], says: str, linear: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([str(linear) if word == "PROBLEM" else word for word in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = lines(captured.err)
    assert line.startswith("symflow: ")
    assert says in line


@pytest.mark.parametrize("key", ["horizon", "step_size"])
@pytest.mark.parametrize("command", ["run", "deviation"])
def test_a_missing_setting_names_file_and_key(
    command: str, key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "short.toml"
    path.write_text("\n".join(x for x in LINEAR.splitlines() if not x.startswith(key)), encoding="utf-8")
    assert cli.main([command, str(path)]) == 2
    (line,) = lines(capsys.readouterr().err)
    assert f"short.toml: run.{key} is missing" in line


def test_errors_in_json_are_one_object_and_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["flow", "missing.toml", "--json"]) == 2
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert found["error"]["type"] == "ProblemError"
    assert lines(captured.err) == ["symflow: " + found["error"]["message"]]


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


@pytest.mark.parametrize("command", ["flow", "deviation"])
def test_interruption_is_status_130_and_no_traceback(
    command: str, linear: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import symflow.analysis.deviation  # whose modules must not be imported while the function is replaced

    assert symflow.analysis.deviation

    def interrupted(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("symflow.paths.flow.solve_field", interrupted)
    assert cli.main([command, str(linear)]) == 130
    assert capsys.readouterr().err == "symflow: interrupted\n"


def test_an_interruption_that_a_callback_swallowed_is_noticed(
    linear: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    original = flow.load

    def load_and_swallow(path: Path) -> Any:
        import signal

        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt:
            return original(path)
        raise AssertionError("the signal was not delivered")

    monkeypatch.setattr(flow, "load", load_and_swallow)
    assert cli.main(["flow", str(linear)]) == 130
    (line,) = lines(capsys.readouterr().err)
    assert re.fullmatch(r"symflow: interrupted at t = 0\.\d+", line)
    assert cli.main(["--version"]) == 0


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


# ---- derive and deviation -----------------------------------------------------------------------------------------


def test_derive(linear: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["derive", str(linear), "--json"]) == 0
    found = as_json(capsys)
    assert found["network"]["parameters"] == 6
    assert set(found["formulas"]) == {"loss", "gradient", "gradient_flow", "hessian_form", "hessian"}
    flow = sf.gradient_flow(sf.load_problem(linear).objective)
    assert found["formulas"]["gradient_flow"]["latex"] == flow.latex()
    assert cli.main(["derive", str(linear)]) == 0
    assert flow.latex() in capsys.readouterr().out


def test_deviation_json(linear: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["deviation", str(linear), "--step-size", "0.05", "--dps", "18", "--json"]) == 0
    found = as_json(capsys)
    assert {"times", "deviation", "max_deviation", "bounds"} <= set(found)
    assert found["times"][:3] == ["0", "0.05", "0.1"]
    assert found["steps"] == 10
    assert set(found["bounds"]) == set(found["reasons"]) == set(found["status"]) == {"R4", "R18", "R22"}
    for name in ("R4", "R22"):
        for bound, truth in zip(found["bounds"][name], found["deviation"], strict=True):
            assert mpmath.mpf(bound) >= mpmath.mpf(truth)
    assert cli.main(["deviation", str(linear)]) == 0
    assert "Descent strays from flow by at most" in capsys.readouterr().out


# ---- run ----------------------------------------------------------------------------------------------------------


def test_run_writes_the_whole_set(linear: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "out"
    assert cli.main(["run", str(linear), "--out", str(out)]) == 0
    assert sorted(f.name for f in out.iterdir()) == sorted(run.FILES)
    shown = capsys.readouterr().out
    assert "R22 bound" in shown
    assert "η·λ_max" in shown
    assert (out / "deviation.png").read_bytes().startswith(b"\x89PNG")
    assert b"</svg>" in (out / "deviation.svg").read_bytes()
    assert "\\end{document}" in (out / "formulas.tex").read_text(encoding="utf-8")
    first = {name: (out / name).read_bytes() for name in run.FILES}

    assert cli.main(["run", str(linear), "--out", str(out), "--json"]) == 0
    (found,) = as_json(capsys)["problems"]
    assert found["files"] == [str(out / name) for name in run.FILES]
    again = {name: (out / name).read_bytes() for name in run.FILES}
    reports = [json.loads(files.pop("report.json")) for files in (first, again)]
    assert all(r.pop("seconds")["total"] > 0 for r in reports)
    assert reports[0] == reports[1]
    assert first == again


def test_several_problems_get_a_folder_each(linear: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    twin = tmp_path / "twin.toml"
    twin.write_text('name = "../Tiny"\n' + LINEAR, encoding="utf-8")
    problems = [sf.load_problem(p) for p in (linear, twin, twin)]
    out = tmp_path / "out"
    assert run.folders(problems, out) == [out / "tiny", out / "Tiny-2", out / "Tiny-3"]
    assert run.folders(problems[:1], out) == [out]


def test_without_a_problem_the_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def stop(problem: sf.Problem, folder: Path) -> None:
        seen.append((repr(problem), folder.name))
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "_run_one", stop)
    assert cli.main(["run", "--out", str(tmp_path / "out")]) == 130
    ((shown, folder),) = seen
    assert folder == "iris-linear"
    assert "N=150" in shown
    assert not (tmp_path / "out").exists()
    relu = sf.load_problem(run.EXAMPLES / "iris-relu.toml")
    assert len(relu.x if relu.x is not None else ()) == 12


@pytest.mark.parametrize("out", ["file", "file/below", "x" * 300, "a\0b"])
def test_an_unusable_folder_is_refused_before_computing(
    out: str, linear: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "_run_one", lambda *a, **k: pytest.fail("computed before looking at --out"))
    (tmp_path / "file").write_text("content", encoding="utf-8")
    assert cli.main(["run", str(linear), "--out", str(tmp_path / out)]) == 2
    (line,) = lines(capsys.readouterr().err)
    assert "--out must be a directory" in line or ("--out" in line and "null" in line)
    assert (tmp_path / "file").read_text(encoding="utf-8") == "content"


@pytest.mark.parametrize(
    ("stop", "existing"), [(KeyboardInterrupt, False), (OSError(28, "No space left on device"), True)]
)
def test_a_failure_while_writing_leaves_no_partial_file(
    stop: Any,
    existing: bool,
    linear: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "made" / "out"
    if existing:
        out.mkdir(parents=True)
        (out / "report.json").write_text("older", encoding="utf-8")
    write, written = files.write_temporary, []

    def fail_at_the_last(target: Path, content: bytes, created: Any) -> None:
        write(target, content if target.name != run.FILES[-1] else content[:10], created)
        written.append(target.name)
        if target.name == run.FILES[-1]:
            raise stop

    monkeypatch.setattr(files, "write_temporary", fail_at_the_last)
    status = cli.main(["run", str(linear), "--out", str(out)])
    assert written == list(run.FILES)
    assert status == (130 if stop is KeyboardInterrupt else 1)
    (line,) = lines(capsys.readouterr().err)
    assert ("interrupted" in line) or ("No space left" in line)
    if existing:
        assert [f.name for f in out.iterdir()] == ["report.json"]
        assert (out / "report.json").read_text(encoding="utf-8") == "older"
    else:
        assert not (tmp_path / "made").exists()


# ---- what is loaded -----------------------------------------------------------------------------------------------


def python(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)


def test_flow_and_derive_do_not_load_jax(linear: Path) -> None:
    program = (
        "import sys\nfrom symflow.cli.app import main\n"
        "codes = [main([c, sys.argv[1], '--json']) for c in ('flow', 'derive')]\n"
        "print('LOADED', codes, sorted({'jax', 'jaxlib', 'matplotlib'} & set(sys.modules)))"
    )
    assert python(program, str(linear)).stdout.splitlines()[-1] == "LOADED [0, 0] []"


def test_help_answers_at_once() -> None:
    program = (
        "import sys\nfrom symflow.cli.app import main\ncode = main(['--help'])\n"
        "heavy = {'numpy', 'sympy', 'mpmath', 'jax', 'matplotlib', 'pydantic', 'rich'}\n"
        "print('LOADED', code, sorted(heavy & set(sys.modules)))"
    )
    started = time.perf_counter()
    shown = python(program).stdout
    seconds = time.perf_counter() - started
    assert shown.splitlines()[-1] == "LOADED 0 []"
    assert all(command in shown for command in ("run", "derive", "flow", "deviation"))
    assert seconds < 2  # about 0.2 s on an idle machine; the requirement is 0.5 s


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"symflow {sf.__version__}\n"


def test_a_reader_that_goes_away_is_no_traceback(linear: Path) -> None:
    program = "from symflow.cli.app import main\nimport sys\nsys.exit(main(['flow', sys.argv[1], '--json']))"
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(linear)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 1
    assert said == b""


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


def test_missing_arguments_in_json_are_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["flow", "--json"], ["fly", "--json"], ["--json"]):
        assert cli.main(arguments) == 2
        assert json.loads(capsys.readouterr().out)["error"]["message"]


def test_a_flow_without_a_final_time_is_told_the_options(decay: Path, capsys: pytest.CaptureFixture[str]) -> None:
    decay.write_text(decay.read_text(encoding="utf-8").replace("horizon = 100\n", ""), encoding="utf-8")
    assert cli.main(["flow", str(decay)]) == 2
    assert "give --horizon, --at or run.horizon" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("room", "where"), [(run, "load"), (run, "_run_one"), (exit_status, "_print_json")], ids=["load", "run", "print"]
)
def test_an_interrupted_run_prints_one_object(
    room: Any,
    where: str,
    linear: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    original, calls = getattr(room, where), []

    def interrupted(*args: Any, **settings: Any) -> Any:
        calls.append(where)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return original(*args, **settings)

    monkeypatch.setattr(room, where, interrupted)
    if where == "_print_json":
        monkeypatch.setattr(run, "_run_one", lambda *a: ({"name": "tiny"}, None))
    assert cli.main(["run", str(linear), "--out", str(tmp_path / "out"), "--json"]) == 130
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"error": {"type": "KeyboardInterrupt", "message": "interrupted"}}
    assert lines(captured.err) == ["symflow: interrupted"]
    assert not (tmp_path / "out").exists()


def test_an_interrupted_run_says_which_problems_are_done(
    linear: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[Path] = []

    def second_is_interrupted(problem: sf.Problem, folder: Path) -> Any:
        calls.append(folder)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return {}, None

    monkeypatch.setattr(run, "_run_one", second_is_interrupted)
    assert cli.main(["run", str(linear), str(linear), "--out", str(tmp_path / "out"), "--json"]) == 130
    assert lines(capsys.readouterr().err) == [f"symflow: interrupted; what is done is kept in {calls[0]}"]


def test_an_interruption_while_arguments_are_read(
    linear: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*args: Any, **settings: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(typer.main, "get_command", interrupted)
    assert cli.main(["flow", str(linear), "--json"]) == 130
    captured = capsys.readouterr()
    assert json.loads(captured.out)["error"]["type"] == "KeyboardInterrupt"
    assert lines(captured.err) == ["symflow: interrupted"]


def test_an_import_that_an_interruption_breaks_is_an_interruption(
    linear: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(path: Path) -> None:
        signals._interrupted.set()
        raise ImportError("cannot load module more than once per process")

    monkeypatch.setattr(flow, "load", broken)
    assert cli.main(["flow", str(linear), "--json"]) == 130
    captured = capsys.readouterr()
    assert json.loads(captured.out)["error"]["message"] == "interrupted"
    assert lines(captured.err) == ["symflow: interrupted"]


HEAVY = LINEAR + '[descent]\nmethod = "heavy-ball"\nmomentum = "1/2"\n'


@pytest.mark.parametrize("command", ["deviation", "bounds"])
def test_options_choose_the_method(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file's own method, and options on top of it: JSON names what ran, as `sf.deviation` runs it."""
    file = tmp_path / "heavy.toml"
    file.write_text(HEAVY, encoding="utf-8")
    problem = sf.load_problem(file)
    cases: list[tuple[list[str], sf.Method]] = [
        ([], sf.HeavyBall("1/2")),
        (["--momentum", "1/3", "--batch-size", "1"], sf.HeavyBall("1/3", batches=sf.Batches(1))),
        (["--method", "gradient-descent", "--weight-decay", "0.1"], sf.GradientDescent(weight_decay="1/10")),
    ]
    for options, method in cases:
        assert cli.main([command, str(file), *options, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        found = found["series"] if command == "bounds" else found
        assert found["method"]["name"] == method.called
        assert (
            sf.Problem(objective=problem.objective, theta0=problem.theta0, descent=found["method"]["descent"]).method
            == method
        )
        dev = sf.deviation(problem, method=method, bounds=[])
        assert found["compared_with"] == dev.compared_with
        assert abs(mpmath.mpf(found["max_deviation"]) - dev.max) < 1e-15
        reasons = {found["reasons"][name] for name in ("R4", "R22")}
        said = f"the bound is one on gradient descent, and the run is one of {method.called}"
        assert reasons == {said if isinstance(method, sf.HeavyBall) else None}  # with decay it is descent of another f


def test_wrong_options_of_a_method_are_one_line(linear: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for options, said in (
        (["--method", "heavy-ball"], 'command line: descent.momentum is missing; method = "heavy-ball" needs it'),
        (["--momentum", "1"], "descent.momentum = 1 goes with method = heavy-ball, nesterov, adam"),
        (["--method", "sgd"], "command line: method must be one of"),
        (["--batch-size", "3"], "batches: size must be at most the number of samples, 2, got 3"),
    ):
        assert cli.main(["deviation", str(linear), *options]) == 2
        out, error = capsys.readouterr()
        assert not out
        assert said in error
        assert error.count("\n") == 1


def test_a_report_names_the_method(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "heavy.toml"
    file.write_text(HEAVY, encoding="utf-8")
    assert cli.main(["run", str(file), "--out", str(tmp_path / "out"), "--weight-decay", "1/9"]) == 0
    said = capsys.readouterr().out
    assert "heavy ball with weight decay" in said
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    table = {"method": "heavy-ball", "momentum": "1/2", "weight_decay": "1/9"}
    assert report["settings"]["method"]["descent"] == report["problem"]["descent"] == table
