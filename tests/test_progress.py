"""How far long work is: the estimate of the rest, bars in terminals and notebooks, the line on what is long."""

from __future__ import annotations

import copy
import inspect
import io
import json
import pickle
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import symflow as sf
from symflow.cli import signals
from symflow.cli.app import main
from symflow.progress import Progress, Reporter, bars, reporter, reporting
from symflow.progress.record import duration

PROBLEM = sf.Problem(
    network=sf.FullyConnected((1, 1, 1)), data={"x": [1], "y": [1]}, init={"theta": ["1/2", 1]}, run={"horizon": 4}
)


CHEAP = [bound for bound in sf.known_bounds() if bound.name == "R18"]


class Clock:
    """Time that passes only when it is told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(reporter, "time", types.SimpleNamespace(perf_counter=lambda: self.now))


def told(monkeypatch: pytest.MonkeyPatch, *reports: tuple[float, float]) -> list[Progress]:
    """The records of reports (seconds after the beginning, fraction)."""
    clock, seen = Clock(monkeypatch), list[Progress]()
    report = Reporter.to(seen.append, "work")
    for seconds, done in reports:
        clock.now = 1000.0 + seconds
        report(done)
    return seen


# ---- the record ---------------------------------------------------------------------------------------------------


def test_two_steps_tell_what_a_step_costs_and_how_long_the_rest_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = told(monkeypatch, (20.0, 0.001), (34.0, 0.002))
    assert first.remaining is None
    assert (second.steps, second.seconds, second.step_seconds) == (2, 34.0, 14.0)  # compiling, 6 s, is not a step
    assert second.remaining == pytest.approx(14.0 * 998)


def test_the_pace_is_that_of_the_last_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = [(float(k), k / 1000) for k in range(1, 51)]
    fast = [(50.0 + k, 0.05 + k / 100) for k in range(1, 51)]
    last = told(monkeypatch, *slow, *fast)[-1]
    assert last.remaining == pytest.approx(45, rel=0.05)  # 0.45 at 0.01 a second; all steps together give 82


def test_pauses_at_the_beginning_are_not_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps of 0.04 s, of which two compile for seconds: 1000 steps are 40 s."""
    times = [0.04 * k + 3 * (k > 24) + 2 * (k > 26) for k in range(1, 30)]
    seen = told(monkeypatch, *((t, k / 1000) for k, t in enumerate(times, 1)))
    assert all(p.remaining == pytest.approx(0.04 * (1000 - p.steps), rel=0.5) for p in seen[7:24])
    assert all(0.5 < p.remaining / (0.04 * (1000 - p.steps)) < 5 for p in seen[24:])  # 3 s a step would be 50 min


def test_steps_that_are_long_from_some_time_on_are_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    times = [*(0.01 * k for k in range(1, 21)), *(0.2 + 2 * k for k in range(1, 13))]
    last = told(monkeypatch, *((t, k / 1000) for k, t in enumerate(times, 1)))[-1]
    assert last.remaining > 0.04 * 968
    more = [*times, *(times[-1] + 2 * k for k in range(1, 5))]
    assert told(monkeypatch, *((t, k / 1000) for k, t in enumerate(more, 1)))[-1].remaining == pytest.approx(2 * 964)


def test_what_was_known_at_the_beginning_is_not_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    last = told(monkeypatch, (0.1, 0.5), (10.1, 0.6), (20.1, 0.7))[-1]
    assert last.remaining == pytest.approx(30)


def test_fractions_do_not_go_back_and_the_rest_grows_where_work_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = told(monkeypatch, (1, 0.5), (2, 0.9), (3, 0.1), (4, 0.2))
    assert [float(p) for p in seen] == [0.5, 0.9, 0.9, 0.9]
    assert seen[-1].remaining == pytest.approx(8)


def test_parts_of_parts() -> None:
    seen = list[Progress]()
    outer = Reporter.to(seen.append, "all").part(0.5, 1, "second half", "bound")
    outer.part(0, 0.5)(1.0)
    outer.part(0.5, 1, "end")(0.5, 7, "t = 1 of 2")
    assert [float(p) for p in seen] == [0.75, 0.875]
    assert [(p.stage, p.unit, p.steps) for p in seen] == [("second half", "bound", 1), ("end", "bound", 7)]


def test_a_record_is_a_float_with_a_readable_text() -> None:
    record = Progress(0.25, stage="flow", steps=3, reached="t = 1 of 4", seconds=30.0, remaining=90.0)
    assert str(record) == "25 %, t = 1 of 4, 3 steps, 30 s, about 1.5 min left"
    assert f"{record:.0%}" == "25%"
    assert json.dumps(record) == "0.25"
    for again in (pickle.loads(pickle.dumps(record)), copy.deepcopy(record)):
        assert (float(again), again.steps, again.remaining) == (0.25, 3, 90.0)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        *[(2e-5, "0.02 ms"), (0.0123, "12 ms"), (0.0999, "100 ms"), (1.26, "1.3 s"), (14, "14 s"), (89, "89 s")],
        *[(91, "1.5 min"), (5400, "1.5 h"), (70 * 3600, "2.9 days"), (1e9, "32 years")],
    ],
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


# ---- who is told --------------------------------------------------------------------------------------------------


def test_what_progress_takes(capfd: pytest.CaptureFixture[str]) -> None:
    seen: list[Progress] = []
    for nothing in (None, False):
        with reporting(nothing, "work") as report:
            assert report.silent
            report(0.5)
    with reporting(seen.append, "work") as report:
        report(0.5)
        with reporting(report, "a function that is called") as inner:
            inner(0.75)
    assert [(float(p), p.stage) for p in seen] == [(0.5, "work"), (0.75, "work")]
    with pytest.raises(sf.ProblemError, match=r"progress must be True, False or a function .* got 3"):
        sf.solve_flow(PROBLEM, dps=10, progress=3)  # type: ignore[arg-type]
    sf.solve_flow(PROBLEM, dps=10, progress=True)  # short, and no terminal
    assert capfd.readouterr() == ("", "")


def test_every_function_of_the_interface_takes_the_same() -> None:
    taking = {n: inspect.signature(getattr(sf, n)).parameters for n in sf.__all__ if inspect.isfunction(getattr(sf, n))}
    found = {name: p["progress"] for name, p in taking.items() if "progress" in p}
    long = "solve_flow solve_field solve_flow_float64 descend deviation tightness max_step_size certify limit falsify"
    assert set(found) >= {*long.split(), "sweep", "sweep_float64", "experiment"}
    assert {(p.annotation, p.default) for p in found.values()} == {("Wanted", None)}


def run_every(progress: Callable[[Progress], object]) -> None:
    """Long functions on a small problem."""
    sf.descend(PROBLEM, step_size="1/10", steps=5, dps=10, progress=progress)
    sf.deviation(PROBLEM, step_size="1/10", horizon=1, dps=10, bounds=CHEAP, progress=progress)
    sf.certify(PROBLEM, loss="1/2", flow_time=1, progress=progress)
    sf.limit(PROBLEM, horizon=2, dps=10, progress=progress)


def test_stages_steps_and_what_is_known_so_far() -> None:
    seen: list[Progress] = []
    run_every(seen.append)
    stages = list(dict.fromkeys(p.stage for p in seen))
    wanted = ["descent", "flow", "proof of the error", "bounds", "with 25 digits", "path", "proof"]
    assert [s for s in wanted if s not in stages] == []
    assert all(0 <= p <= 1 and p.steps >= 0 for p in seen)
    parts = [p.partial() for p in seen if p.partial is not None and p.stage == "flow"]
    assert all(0 < float(part.horizon) <= 1 for part in parts)


def test_a_partial_flow_can_be_saved(tmp_path: Path) -> None:
    seen: list[float] = []

    def keep(progress: Progress) -> None:
        if progress.stage == "gradient flow" and progress.partial is not None:
            part = progress.partial()
            part.save(tmp_path / "part.json")
            seen.append(float(part.horizon))
            again = sf.load_trajectory(tmp_path / "part.json")
            assert float(again.horizon) == pytest.approx(seen[-1])
            assert again.incomplete

    sf.solve_flow(PROBLEM, dps=20, progress=keep)
    assert len(seen) > 2
    assert seen == sorted(seen)


# ---- bars ---------------------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    """Standard error that says whether it is a terminal."""

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


@pytest.mark.parametrize(("terminal", "patience", "seen"), [(True, 0, True), (True, 60, False), (False, 0, False)])
def test_a_bar_only_for_people_who_wait(
    terminal: bool, patience: float, seen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = Terminal(terminal)
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with pytest.raises(KeyboardInterrupt), bars.bar("working", patience=patience) as show:  # noqa: PT012
        show(Progress(0.25, remaining=40.0))
        show(Progress(1.0))
        raise KeyboardInterrupt
    assert ("working" in screen.getvalue()) == seen
    assert screen.getvalue().count("\x1b[?25l") == screen.getvalue().count("\x1b[?25h")  # the cursor is shown again


def test_a_bar_shows_the_time_left_and_appears_before_the_first_step(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal(True)
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with bars.bar("working", patience=0.01) as show:
        shown = bars.time.monotonic() + 5
        while "working" not in screen.getvalue() and bars.time.monotonic() < shown:
            bars.time.sleep(0.01)
        assert "working" in screen.getvalue()
        show(Progress(0.25, stage="flow", remaining=40.0))
        bars.time.sleep(0.2)
    assert "working: flow" in screen.getvalue()
    assert "about 40 s left" in screen.getvalue()


LONG = {"stage": "flow", "unit": "Taylor step", "reached": "t = 0.001 of 20", "step_seconds": 14.0}


def test_what_is_long_is_said_with_what_is_cheaper_once(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal(False)
    monkeypatch.setattr(sys, "stderr", screen)
    with bars.bar("flow", "float64") as show:
        show(Progress(0.5, seconds=30.0, remaining=20.0))
        show(Progress(0.0, seconds=1.0, remaining=1e6))  # not yet
        show(Progress(0.0001, steps=2, seconds=28.0, remaining=252_000.0, **LONG))
        show(Progress(0.0002, steps=3, seconds=42.0, remaining=250_000.0, **LONG))
    line = "flow: 14 s a Taylor step, t = 0.001 of 20 after 2 Taylor steps and 28 s: about 2.9 days more at this pace"
    assert screen.getvalue() == f"symflow: {line}; cheaper: float64\n"


def test_what_becomes_longer_is_said_again() -> None:
    prediction = bars.Prediction("float64")
    said = [bool(prediction.line(Progress(0.1, seconds=10.0, remaining=r))) for r in (49, 51, 500, 700, 7100, 10)]
    assert said == [False, True, False, True, True, False]
    few = [bool(bars.Prediction("").line(Progress(0.1, seconds=3.0, remaining=r))) for r in (599, 601)]
    assert few == [False, True]  # after three seconds a minute may be a mistake
    assert bars.Prediction(None).line(Progress(0.1, seconds=10.0, remaining=1e6)) == ""


def test_a_notebook_shows_a_bar_in_html(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures: list[dict[str, str]] = []
    handle = types.SimpleNamespace(update=lambda bundle, raw: pictures.append(bundle))

    def display(bundle: dict[str, str], raw: bool, display_id: bool) -> Any:
        pictures.append(bundle)
        return handle

    shell = types.SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "IPython.display", types.SimpleNamespace(display=display))  # type: ignore[arg-type]
    with bars.bar("a < b", "float64") as show:
        show(Progress(0.001, steps=2, seconds=28.0, remaining=252_000.0, **(LONG | {"stage": "a < b"})))
        show(Progress(1.0, steps=3, seconds=42.0))
    assert 'value="1.0000"' in pictures[-1]["text/html"]
    assert "a &lt; b" in pictures[-1]["text/html"]
    assert "about 2.9 days more" in pictures[-1]["text/html"]
    assert pictures[-1]["text/plain"].startswith("a < b: 100 %, 3 steps, 42 s")


# ---- the command line ---------------------------------------------------------------------------------------------


def test_what_is_known_is_written_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[str] = []
    with signals.progress("work", keep=kept.append) as report:
        report(0.1, partial=lambda: "too early")
        monkeypatch.setattr(signals, "KEPT", 0.0)
        report(0.2)
        report(0.3, partial=lambda: "a part")
    assert kept == ["a part"]


def test_an_interruption_says_what_is_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def stopped(*args: Any, progress: Reporter, **settings: Any) -> None:
        progress(0.5)
        raise KeyboardInterrupt

    monkeypatch.setattr("symflow.analysis.sweeps.sweep.sweep", stopped)
    assert main(["sweep", "examples/linear.toml", "--out", str(tmp_path)]) == 130
    kept = f"what is done is kept in {tmp_path}, and the same command continues"
    assert capsys.readouterr().err == f"symflow: interrupted; {kept}\n"


def test_json_is_alone_on_standard_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(bars, "LONG", 0.0)
    monkeypatch.setattr(bars, "PATIENCE", 0.0)
    monkeypatch.setattr(signals, "KEPT", 0.0)
    monkeypatch.setattr(signals, "SPARE", 0.0)
    file = tmp_path / "flow.json"
    assert main(["flow", "examples/linear.toml", "--horizon", "1", "--dps", "20", "--json", "--save", str(file)]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["saved"] == str(file)
    said = [line for line in printed.err.splitlines() if line]
    assert said
    assert all(line.startswith("symflow: gradient flow: ") and "--dps" in line for line in said)
    assert sf.load_trajectory(file).incomplete == ""
