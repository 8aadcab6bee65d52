"""Problem files: what they mean, and one line for each way in which one cannot be read."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from symflow.errors import ProblemError
from symflow.problem import load_problem

TOML = """
[network]
kind = "fully-connected"
widths = [2, 1]
activation = "linear"
[data]
x = [["1/2", "-3/10"], [0.1, 1], [1e-3, 0.1000000000000000000000000000000000001]]
y = [["1"], ["-1/4"], [0x10]]
[init]
theta = [0.1, "-0.2"]
[run]
horizon = "10"
step_size = 0.01
"""


def test_toml_numbers_are_decimals(tmp_path: Path) -> None:
    file = tmp_path / "line.toml"
    file.write_text(TOML)
    problem = load_problem(file)
    assert problem.x[1, 0] == Fraction(1, 10)
    assert problem.x[2].tolist() == [Fraction(1, 1000), Fraction("0.1000000000000000000000000000000000001")]
    assert problem.y[2, 0] == 16
    assert problem.theta0 == (Fraction(1, 10), Fraction(-1, 5))
    assert (problem.horizon, problem.step_size, problem.name) == (10, Fraction(1, 100), "line")
    assert load_problem(str(file)).to_dict() == problem.to_dict()


def test_json_numbers_are_decimals_too(tmp_path: Path, valid: dict[str, Any]) -> None:
    file = tmp_path / "p.json"
    written = json.dumps(valid | {"name": "mine"}).replace('"0.7"', "0.70000000000000000000000000001")
    file.write_text("\ufeff" + written, encoding="utf-8")
    problem = load_problem(file)
    assert problem.x[1, 0] == Fraction("0.70000000000000000000000000001")
    assert problem.name == "mine"


def test_long_json_integers_are_exact(tmp_path: Path, valid: dict[str, Any]) -> None:
    file = tmp_path / "p.json"
    file.write_text(json.dumps(valid).replace('"0.7"', "3" * 6000))
    assert load_problem(file).x[1, 0] == (10**6000 - 1) // 3


def test_data_file_next_to_the_problem_file(tmp_path: Path) -> None:
    (tmp_path / "points.csv").write_text("a,b\n0.1,2\n")
    file = tmp_path / "p.toml"
    file.write_text(
        '[network]\nwidths = [1, 1]\nactivation = "relu"\n[init]\ntheta = [1]\n'
        '[data]\nfile = "points.csv"\ninputs = ["a"]\ntargets = ["b"]\n'
    )
    assert load_problem(file).x.tolist() == [[Fraction(1, 10)]]


REFERENCES = sorted((Path(__file__).parent / "reference").glob("*.json"))


@pytest.mark.parametrize("file", REFERENCES, ids=lambda file: file.stem)
def test_reference_problems_load(file: Path) -> None:
    content = json.loads(file.read_text())
    problem = load_problem(file)
    assert problem.name == file.stem
    # the file's decimals, read independently
    assert [str(v) for v in problem.theta0] == [str(Fraction(v)) for v in content["problem"]["init"]["theta"]]
    assert problem.x.tolist() == [[Fraction(v) for v in row] for row in content["problem"]["data"]["x"]]
    assert problem.horizon == Fraction(content["problem"]["run"]["horizon"])
    # theta has the length of the trajectory stored in the same file
    assert all(len(state) == len(problem.theta0) for state in content["theta"].values())
    assert isinstance(problem.x, np.ndarray)


def test_there_are_references() -> None:
    assert len(REFERENCES) == 7


def refused(path: Any) -> str:
    with pytest.raises(ProblemError) as caught:
        load_problem(path)
    line = str(caught.value)
    assert line == " ".join(line.split())
    assert len(line) < 600
    return line


CASES: list[tuple[str, bytes, str]] = [
    ("p.toml", b"", "p.toml: network is missing; it must be a table [network]"),
    ("p.toml", b"[network\n", "must be TOML: Expected ']' at the end of a table declaration (at line 1, column 9)"),
    ("p.toml", b"a = 1\na = 2\n", "must be TOML: Cannot overwrite a value (at line 2, column 6)"),
    ("p.toml", b"a = 1\n\xff", "p.toml: must be UTF-8 text, got a byte that is not, at line 2"),
    ("p.toml", b"a = " + b"[" * 100_000, "must not nest brackets this deeply"),
    ("p.toml", b"a = " + b"1" * 5000, "must have integers of at most 4300 digits; write longer ones as text"),
    ("p.toml", b"[run]\nhorizon = nan", "p.toml: network is missing"),
    ("p.toml", TOML.encode() + b"dps = 1979-05-27", "run.dps must be an integer from 15 to 10000, got datetime.date"),
    ("p.toml", TOML.replace('"10"', "nan").encode(), "run.horizon must be a finite number, got NaN"),
    ("p.toml", TOML.replace('"10"', "-inf").encode(), "run.horizon must be a finite number, got -Infinity"),
    ("p.toml", TOML.replace('"10"', "1e999999999").encode(), "run.horizon must be a number whose decimal exponent"),
    ("p.toml", TOML.replace('"10"', "1e" + "9" * 99).encode(), "run.horizon must be a number whose decimal exponent"),
    (
        "p.toml",
        TOML.replace("[2, 1]", "[2, -1]").encode(),
        "network.widths[1] must be an integer from 1 to 10000, got -1",
    ),
    ("p.toml", TOML.replace("horizon", "horizn").encode(), "run.horizn is not a known key; did you mean horizon?"),
    ("p.json", b"", "must be JSON: Expecting value (at line 1, column 1)"),
    ("p.json", b'{"a": 1,\n "b" 2}', "must be JSON: Expecting ':' delimiter (at line 2, column 6)"),
    ("p.json", b"[" * 100_000, "must not nest brackets this deeply"),
    ("p.json", b'{"problem":' * 100_000, "must not nest brackets this deeply"),
    ("p.json", b"[]", "the problem must be a table of sections, got []"),
    ("p.json", b"3", "the problem must be a table of sections, got 3"),
    ("p.json", b'{"problem": 3, "theta": {}}', "the problem must be a table of sections, got 3"),
    ("p.json", b'{"problem": {}, "problem": {}}', "the key 'problem' must be given once in a table, got it twice"),
    ("p.json", b'{"network": {"widths": [1, NaN]}}', "network.widths[1] must be an integer from 1 to 10000, got NaN"),
    ("p.json", b'{"network": {"widths": [1, 1e3]}}', "network.widths[1] must be an integer from 1 to 10000, got 1E+3"),
    ("p.json", b'{"\xff"}', "must be UTF-8 text"),
    ("p.json", b'{"network": {"\\ud800": 1}}', "network must be valid Unicode text"),
    ("p.yaml", b"", "p.yaml: must be a .toml or .json file, got the ending '.yaml'"),
    ("problem", b"", "problem: must be a .toml or .json file, got the ending ''"),
]


@pytest.mark.parametrize(("name", "content", "phrase"), CASES, ids=range(len(CASES)))
def test_refused(tmp_path: Path, name: str, content: bytes, phrase: str) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    line = refused(file)
    assert line.startswith(f"{file}: ")
    assert phrase in line


def test_missing_file(tmp_path: Path) -> None:
    assert refused(tmp_path / "absent.toml") == f"{tmp_path / 'absent.toml'}: there is no such file; check the path"
    assert "there is no such file" in refused("a\0b.toml")
    assert "cannot be read (File name too long)" in refused("f" * 5000 + ".toml")
    assert "\\n" in refused("line\nbreak.toml")


def test_directory(tmp_path: Path) -> None:
    assert refused(tmp_path) == f"{tmp_path}: must be a .toml or .json file, got a directory"
    (tmp_path / "p.toml").mkdir()
    assert refused(tmp_path / "p.toml").endswith("must be a file, got a directory")


def test_no_path() -> None:
    assert refused(3) == "load_problem: path must be the name of a file, got 3"
    assert refused(None) == "load_problem: path must be the name of a file, got nothing"


def test_device(tmp_path: Path) -> None:
    (tmp_path / "zero.json").symlink_to("/dev/zero")
    assert refused(tmp_path / "zero.json").endswith("must be a file, got a special file")
