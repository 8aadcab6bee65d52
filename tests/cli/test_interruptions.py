"""The command line interrupted: status 130, one line or one JSON object that says what is kept."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import symflow as sf
from symflow.cli import app as cli
from symflow.cli import exit_status, signals
from symflow.cli.commands import flow, run
from tests.cli.printed import lines


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

    monkeypatch.setattr(cli, "_reader", interrupted)
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
