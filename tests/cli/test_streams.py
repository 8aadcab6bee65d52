"""What the command line does with streams, names and environments that are not as one wishes."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import symflow as sf
from symflow.cli import app as cli
from symflow.cli.commands import run
from symflow.errors import SymflowError, printable
from symflow.numbers.decimal import exact_decimal
from symflow.report.screen import console
from symflow.report.terminal import run_table
from tests.cli.printed import LINEAR

NASTY = "\x1b]0;title\x07\x1b[31mred\x9b2J\u202e\u200b\r[bold]x[/nothing] $\\alpha_{$ <b> \u4e2d"
"""A title, a colour, a clearing of the screen, reversed and invisible text, markup of rich, LaTeX and HTML."""
BLACK_HOLE = Path("/dev/full")
needs_full = pytest.mark.skipif(not BLACK_HOLE.exists(), reason="a device that is always full")


@pytest.fixture
def problem(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(LINEAR, encoding="utf-8")
    return path


def shell(command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a line of the shell in which `symflow` is this Python's."""
    line = re.sub(r"\bsymflow ", f"{sys.executable} -m symflow ", command)
    surroundings = os.environ | {"COLUMNS": "100"} | environment
    return subprocess.run(line, shell=True, cwd=folder, env=surroundings, capture_output=True, text=True, check=False)


COMMANDS = """
import json, sys
from symflow.cli import app as cli
commands = ["--version", "--help", "derive tiny.toml", "flow tiny.toml --json", "flow tiny.toml --save s.json",
            "flow missing.toml", "flow missing.toml --json", "fly"]
def status(command):
    sys.argv[1:] = command.split()
    return cli.main()

with open("statuses", "w") as file:
    json.dump([status(command) for command in commands], file)
"""


@pytest.mark.parametrize("closed", [">&-", ">&- 2>&-", "<&- >&- 2>&-", "2>&-"])
def test_closed_streams(problem: Path, closed: str) -> None:
    """What nobody reads is not an error: everything is computed, saved and answered by the exit status."""
    (problem.parent / "commands.py").write_text(COMMANDS)
    found = shell(f"{sys.executable} commands.py {closed}", problem.parent)
    assert found.returncode == 0
    assert json.loads((problem.parent / "statuses").read_text()) == [0, 0, 0, 0, 0, 2, 2, 2]
    assert sf.load_trajectory(problem.parent / "s.json").end == Fraction(1, 2)
    assert "Traceback" not in found.stdout + found.stderr
    assert (found.stdout == "") == (">&-" in closed.split())
    lines = found.stderr.splitlines()
    assert len(lines) == (0 if "2>&-" in closed else 3)
    assert all(line.startswith("symflow: ") for line in lines)


@pytest.mark.parametrize("command", ["--help", "flow tiny.toml", "flow missing.toml --json"])
@needs_full
def test_full_standard_output(problem: Path, command: str) -> None:
    found = shell(f"symflow {command} > /dev/full", problem.parent)
    assert found.returncode == 1
    assert found.stderr == (
        "symflow: standard output cannot be written (No space left on device); make room or send it elsewhere\n"
    )


@needs_full
def test_full_standard_error(problem: Path) -> None:
    assert shell("symflow flow missing.toml 2> /dev/full", problem.parent).returncode == 2
    assert shell("symflow flow missing.toml --json > /dev/full 2>&1", problem.parent).returncode == 1


# ---- files that cannot be written ---------------------------------------------------------------------------------


def test_the_longest_names_are_saved_and_longer_ones_refused(problem: Path, capsys: pytest.CaptureFixture[str]) -> None:
    longest = problem.parent / ("x" * 250 + ".json")
    accents = problem.parent / ("é" * 125 + ".json")
    for target in (longest, accents):
        assert cli.main(["flow", str(problem), "--save", str(target)]) == 0
        assert sf.load_trajectory(target).end == Fraction(1, 2)
    capsys.readouterr()
    assert cli.main(["flow", str(problem), "--save", str(longest) + "x"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--save must be a file that can be written" in line
    assert "File name too long" in line
    assert {p.name for p in problem.parent.iterdir()} == {problem.name, longest.name, accents.name}


@needs_full
def test_devices_are_written_into_and_not_replaced(problem: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["flow", str(problem), "--save", "/dev/full"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot be written (No space left on device)" in line
    assert cli.main(["flow", str(problem), "--save", os.devnull]) == 0
    assert stat.S_ISCHR(BLACK_HOLE.stat().st_mode)
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)


def test_a_link_stays_a_link(problem: Path) -> None:
    (problem.parent / "there").mkdir()
    target, link = problem.parent / "there" / "flow.json", problem.parent / "link.json"
    link.symlink_to(target)
    sf.solve_flow(sf.load_problem(problem)).save(link)
    assert link.is_symlink()
    assert sf.load_trajectory(target).end == Fraction(1, 2)


@pytest.mark.parametrize("target", ["missing/flow.json", ".", "a\0b.json", "x" * 300])
def test_saving_in_python_is_typed(problem: Path, target: str) -> None:
    trajectory = sf.solve_flow(sf.load_problem(problem))
    with pytest.raises(sf.ComputationError, match="the trajectory cannot be written") as caught:
        trajectory.save(problem.parent / target)
    assert "\n" not in str(caught.value)
    assert [p.name for p in problem.parent.iterdir()] == [problem.name]


@pytest.mark.usefixtures("undrawn")
def test_a_disk_that_fills_up(
    problem: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert cli.main(["run", str(problem), "--out", str(problem.parent / "out"), "--json"]) == 1
    captured = capsys.readouterr()
    assert "No space left on device" in json.loads(captured.out)["error"]["message"]
    (line,) = captured.err.splitlines()
    assert line.endswith("choose another directory or make room")
    assert [p.name for p in problem.parent.iterdir()] == [problem.name]


# ---- names of someone else ----------------------------------------------------------------------------------------


def named(path: Path, name: str = NASTY) -> Path:
    path.write_text(f"name = {json.dumps(name, ensure_ascii=False)}\n" + LINEAR, encoding="utf-8")
    return path


def test_printable() -> None:
    assert printable("plain é 中 α\n") == "plain é 中 α\n"
    shown = printable(NASTY)
    assert shown == (r"\x1b]0;title\x07\x1b[31mred\x9b2J\u202e\u200b\r[bold]x[/nothing] " + "$\\alpha_{$ <b> \u4e2d")
    assert printable("\ud800 \u2028") == r"\ud800 \u2028"


def test_a_name_is_shown_and_not_obeyed(tmp_path: Path) -> None:
    """Neither by the terminal nor by rich, LaTeX, JSON or the file system, in a hostile environment."""
    path = named(tmp_path / "tiny.toml")
    hostile = {
        "FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": "nonsense", "MPLBACKEND": "no such backend", "HOME": "/proc/1",
        "MPLCONFIGDIR": "/proc/1/x", "XDG_CACHE_HOME": "/proc/1", "LC_ALL": "C", "PYTHONIOENCODING": "ascii",
    }  # fmt: skip
    found = shell("symflow run tiny.toml tiny.toml --out o", tmp_path, **hostile)
    assert found.returncode == 0
    colours = re.compile(r"\x1b\[\d*m")  # rich's own bold
    assert not set(colours.sub("", found.stdout)) & set("\x1b\x07\x9b\r\u202e\u200b")
    assert "[31mred" in found.stdout
    assert "[bold]x[/nothing]" in found.stdout
    assert "Traceback" not in found.stderr
    first, second = sorted((tmp_path / "o").iterdir())
    assert re.fullmatch(r"[\w.-]+", first.name)
    assert second.name == f"{first.name}-2"
    assert sorted(p.name for p in first.iterdir()) == sorted(run.FILES)
    assert json.loads((first / "report.json").read_text())["name"] == sf.load_problem(path).name
    tex = (first / "formulas.tex").read_text()
    assert not set(tex) & set("\x1b\x07\x9b\r\u202e\u200b")
    assert r"\$\textbackslash{}alpha\_\{\$" in tex


def test_names_in_error_messages_are_escaped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nasty = tmp_path / "n\x1b[2J.toml"
    nasty.write_text(LINEAR.replace("widths", '"wid\\u001bths"'))
    (tmp_path / "points.csv").write_text("a\x1b[31m,b\n1,2\n")
    columns = tmp_path / "columns.toml"
    columns.write_text(re.sub(r"(?s)\[data\].*\[init\]", '[data]\nfile = "points.csv"\ninputs = ["z"]\n[init]', LINEAR))
    for arguments in (["flow", str(nasty)], ["flow", str(columns)], ["fl\x1b[2Jow"], ["flow", "--\x1b[2J"]):
        assert cli.main(arguments) == 2
        captured = capsys.readouterr()
        assert "\x1b" not in captured.out + captured.err
        assert len(captured.err.splitlines()) == 1
    assert str(SymflowError("a\x1bb\nc")) == r"a\x1bb c"


def test_long_names_in_every_alphabet_make_folders(tmp_path: Path) -> None:
    paths = [
        named(tmp_path / f"{i}.toml", name) for i, name in enumerate(["\U0002000b" * 150, "é" * 200, "...", "a/../b"])
    ]
    folders = run.folders([sf.load_problem(path) for path in paths], tmp_path / "o")
    assert len({folder.name for folder in folders}) == 4
    for folder in folders:
        folder.mkdir(parents=True)
        assert folder.parent == tmp_path / "o"


def test_styles_are_kept_and_text_is_not_read_as_markup(problem: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dev = sf.deviation(sf.load_problem(named(problem, "[red]\x1b[31mname")))
    console().print(run_table(dev), "[b]line[/b] :smile: \x1b")
    shown = capsys.readouterr().out
    assert r"[red]\x1b[31mname" in shown
    assert r"[b]line[/b] :smile: \x1b" in shown


# ---- environments -------------------------------------------------------------------------------------------------

ENVIRONMENTS: list[dict[str, str]] = [
    {
        "MPLBACKEND": "module://matplotlib_inline.backend_inline_missing",
        "COLUMNS": "1",
        "TERM": "dumb",
        "NO_COLOR": "1",
    },
    {"MPLBACKEND": "TkAgg", "DISPLAY": "", "COLUMNS": "", "TERM": "", "FORCE_COLOR": "1"},
    {"HOME": "/proc/1", "LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
]
DRAWN = """
from pathlib import Path
from symflow.cli import app as cli
from symflow.cli.exit_status import Answer, command
from symflow.cli.streams import show

@cli.app.command()
@command
def drawn(as_json: bool = False) -> Answer:
    from matplotlib.figure import Figure
    from symflow.plots.style import render
    from symflow.report.screen import new_table
    Path("drawn.png").write_bytes(render(Figure(), "png"))
    table = new_table("η·λ_max", "time", "deviation")
    table.add_row("1", "2 × 3")
    return Answer(dict, lambda: show(table, "≤"))

raise SystemExit(cli.main())
"""


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=[next(iter(e)) + str(i) for i, e in enumerate(ENVIRONMENTS)])
def test_tables_and_pictures_in_every_environment(problem: Path, environment: dict[str, str]) -> None:
    (problem.parent / "drawn.py").write_text(DRAWN, encoding="utf-8")
    found = shell(f"{sys.executable} drawn.py drawn", problem.parent, **environment)
    assert "Traceback" not in found.stderr
    assert found.returncode == 0
    assert (problem.parent / "drawn.png").read_bytes().startswith(b"\x89PNG")
    assert "time" in found.stdout or environment.get("COLUMNS") == "1"


# ---- exact times --------------------------------------------------------------------------------------------------

LONG = "0.1234567890123456789012345678901234567890123"


def test_the_keys_of_theta_are_the_exact_times(problem: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["flow", str(problem), "--json", "--times", f"linear:0:{LONG}:3", "--at", "1e-1", "1/3"]) == 0
    theta: dict[str, Any] = json.loads(capsys.readouterr().out)["theta"]
    half = Fraction(LONG) / 2
    assert [Fraction(key) for key in theta] == [Fraction("1e-1"), Fraction(1, 3), 0, half, Fraction(LONG)]
    assert list(theta)[:2] == ["1e-1", "1/3"]
    assert LONG in theta
    assert cli.main(["flow", str(problem), "--json", "--times", "linear:0:1/3:2"]) == 0
    assert list(json.loads(capsys.readouterr().out)["theta"]) == ["0", "1/3"]


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("0", "0"), ("40", "40"), ("1/8", "0.125"), ("-1/8", "-0.125"), ("-2.50", "-2.5"), (LONG, LONG),
        ("1e-60", "0." + 59 * "0" + "1"), ("1e40", "1" + 40 * "0"), ("3" + 30 * "0" + "/2", "15" + 29 * "0"),
    ],
)  # fmt: skip
def test_decimals_that_end_are_exact(value: str, written: str) -> None:
    assert exact_decimal(Fraction(value), 20) == written
