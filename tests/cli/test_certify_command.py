"""`symflow certify`: exit status 0 whether it holds or not, JSON, the certificate, errors in one line."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from symflow.cli.app import main

RELU = ["certify", "examples/relu.toml", "--step-size", "1/100", "--steps", "20"]


@pytest.mark.parametrize(("distance", "holds"), [("1/1000", True), ("1/100000000", False)])
def test_json(distance: str, holds: bool, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*RELU, "--distance", distance, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["holds"] is holds
    assert found["checkable"] is True
    assert [claim["kind"] for claim in found["claims"]] == ["distance"]
    assert found["verified"]


def test_save_and_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*RELU, "--distance", "1/1000", "--loss", "1", "--save", str(tmp_path / "theorem.json")]) == 0
    assert capsys.readouterr().out.startswith("proved: ||theta_k - theta(k eta)|| <= 1/1000 for all k <= 20")
    check = [sys.executable, "-I", str(tmp_path / "certificate_check.py"), str(tmp_path / "theorem.json")]
    assert subprocess.run(check, capture_output=True, check=False).returncode == 0


def test_what_is_proved_without_a_certificate_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Biases are outside what the checker knows."""
    biased = tmp_path / "biased.toml"
    biased.write_text(
        "[network]\nwidths = [1, 1]\nactivation = 'linear'\nbiases = true\n[data]\nx = [[1]]\ny = [[1]]\n"
        "[init]\ntheta = [0, 0]\n[run]\nstep_size = '1/10'\n"
    )
    ask = ["certify", str(biased), "--steps", "3", "--loss", "1", "--save", str(tmp_path / "theorem.json")]
    assert main(ask) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("proved: ")
    assert "no certificate: nothing is proved" not in shown
    assert "biases" in shown.partition("no certificate: ")[2]


def test_the_page_replaces_no_other_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A page of `symflow run` in the same folder stays; the same certificate again replaces its own page."""
    scalars = tmp_path / "scalars.toml"
    scalars.write_text(
        "[network]\nwidths = [1, 1]\nactivation = 'linear'\n[loss]\nkind = 'square'\n[data]\nx = [[1]]\ny = [[1]]\n"
        "[init]\ntheta = [0]\n[run]\nstep_size = '1/10'\n"
    )

    def pages(name: str) -> list[str]:
        ask = ["certify", str(scalars), "--steps", "3", "--loss", "1", "--save", str(tmp_path / name), "--json"]
        assert main(ask) == 0
        return [Path(p).name for p in json.loads(capsys.readouterr().out)["files"] if p.endswith(".html")]

    assert pages("a.json") == pages("a.json") == ["report.html"]
    first = (tmp_path / "report.html").read_bytes()
    assert pages("b.json") == ["b-report.html"]
    assert pages("report.html") == ["report.html", "report-report.html"]
    (tmp_path / "report.html").write_bytes(first)
    assert pages("a.json") == ["report.html"]


def test_not_decided_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    settings = ["--step-size", "1/100", "--steps", "5", "--loss", "1", "--stays-below"]
    assert main(["certify", "examples/convolutional.toml", *settings]) == 0
    assert capsys.readouterr().out.startswith("not decided: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--distance", "0"], "distance must be positive"),
        ([], "nothing to prove"),
        (["--loss", "x"], "--loss"),
        (["--distance", "1", "--save", "no/such/folder/theorem.json"], "--save must be a file that can be written"),
        (["--distance", "1", "--momentum", "2"], "momentum must be"),
    ],
)
def test_errors_are_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*RELU, *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert message in said.err
    assert said.err.count("\n") == 1


def test_the_first_example_of_the_documentation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/certificates.md: the Python block, then the two commands."""
    root = Path(__file__).parents[2]
    text = (root / "docs" / "certificates.md").read_text(encoding="utf-8")
    block = re.search(r"```python\n(.+?)```", text, re.DOTALL)
    commands = re.search(r"```\n(symflow certify .+?)```", text, re.DOTALL)
    assert block is not None
    assert commands is not None
    (tmp_path / "examples").symlink_to(root / "examples")
    monkeypatch.chdir(tmp_path)
    exec(compile(block[1], "certificates.md", "exec"), {})
    certify, check = (line.split() for line in commands[1].splitlines())
    assert main(certify[1:]) == 0
    run = subprocess.run([sys.executable, "-I", *check[1:]], capture_output=True, text=True, check=True)
    assert run.stdout.endswith("The statement is proved.\n")
