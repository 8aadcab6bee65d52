"""`symflow bounds` and `symflow advise`: JSON, tables, files, exit status."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from cases import REFERENCE

import symflow as sf
from symflow.analysis.advice import StepAdvice
from symflow.cli.app import main

LINEAR = str(REFERENCE / "linear-2-2-2-1.json")
RELU = str(REFERENCE / "relu-2-3-1.json")
RUN = ["--step-size", "1/20", "--horizon", "2", "--dps", "20"]


@pytest.mark.usefixtures("undrawn")
def test_bounds_as_json_and_files(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["bounds", LINEAR, *RUN, "--out", str(tmp_path), "--json"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert err == ""
    assert set(found["bounds"]) == {b.name for b in sf.known_bounds()}
    best = found["bounds"][found["sharpest"]]
    assert best["status"] == "certified on a box"
    assert float(best["value"]) >= float(best["truth"]) > 0
    assert abs(float(best["ratio"]) - float(best["value"]) / float(best["truth"])) < 1e-9
    assert "convolutional" in found["bounds"]["R13"]["not_applicable"]
    for slack in found["slack"]:
        for name in ("m", "beta", "gamma"):
            assert float(slack["found"][name]) <= float(slack["certified"][name])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bounds.json", "bounds.png", "bounds.svg", "report.html"]
    assert len(found["files"]) == 4


def test_bounds_as_tables(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bounds", RELU, "--step-size", "1/50", "--horizon", "4", "--dps", "20"]) == 0
    out = capsys.readouterr().out
    for said in ("R22(tube-free)", "certified", "sampled", "kink", "not applicable later", "found by ascent"):
        assert said in out


def test_advice_as_json_and_table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["advise", LINEAR, "--epsilon", "1e-2", "--horizon", "2"]
    search, advice = sf.max_step_size, []

    def searched_once(*given: Any, **options: Any) -> StepAdvice:
        advice.append(advice[0] if advice else search(*given, **options))
        return advice[-1]

    monkeypatch.setattr("symflow.analysis.advice.max_step_size", searched_once)
    assert main([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    certified, tolerated = Fraction(found["certified"]), Fraction(found["tolerated"]["step_size"])
    assert 0 < certified <= tolerated
    assert found["tolerated"]["status"] == "sampled"
    assert found["guarantees"]["R22(tube-free)"]["status"] == "certified on a box"
    assert main(arguments) == 0
    assert len(advice) == 2
    out = capsys.readouterr().out
    assert "no proof" in out
    assert f"use {certified} or less" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["advise", LINEAR], "--epsilon"),
        (["advise", LINEAR, "--epsilon", "0"], "at least 1e-10"),
        (["advise", LINEAR, "--epsilon", "much"], "--epsilon"),
        (["advise", "missing.toml", "--epsilon", "1"], "missing.toml"),
        (["bounds", LINEAR, "--step-size", "-1"], "positive"),
        (["bounds", LINEAR, "--horizon", "soon"], "--horizon"),
        (["bounds", "missing.toml"], "missing.toml"),
    ],
)
def test_wrong_input_is_one_line_and_status_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1
