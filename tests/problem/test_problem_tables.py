"""Tables as spreadsheets and other programs write them: labels however they are written, blank columns and lines."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from symflow.problem import Problem

Refusal = Callable[..., str]


def tables(classes: int = 0, **data: Any) -> dict[str, Any]:
    """A problem on points.csv: with classes, or with targets."""
    outputs = max(1, classes)
    goal: dict[str, Any] = {"labels": "c"} if classes else {"targets": ["c"]}
    return {
        "network": {"widths": [2, outputs], "activation": "linear"},
        "loss": {"kind": "cross-entropy" if classes > 1 else "logistic" if classes else "square"},
        "data": {"file": "points.csv", "inputs": ["a", "b"]} | goal | data,
        "init": {"theta": [1] * 2 * outputs},
    }


def read(folder: Path, written: str | bytes, problem: dict[str, Any]) -> Problem:
    (folder / "points.csv").write_bytes(written if isinstance(written, bytes) else written.encode())
    return Problem.from_mapping(problem, "p.toml", folder)


def labels(folder: Path, column: list[str], classes: int) -> list[int]:
    """The class number of every row, or its sign under the logistic loss."""
    written = "a,b,c\n" + "".join(f"1,{i},{label}\n" for i, label in enumerate(column))
    y = read(folder, written, tables(classes)).y
    assert y is not None
    return [int(row[0]) if classes == 1 else row.tolist().index(1) for row in y]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (["+1", "-1", "+1"], [1, -1, 1]),
        (["1", "-1", "+1.0", "1e0", "01"], [1, -1, 1, 1, 1]),
        (["1", "0", "+1", "-0"], [1, -1, 1, -1]),
        (["-2", "-10"], [1, -1]),
        (["yes", "no"], [1, -1]),
    ],
)
def test_signs_do_not_depend_on_how_a_number_is_written(tmp_path: Path, column: list[str], expected: list[int]) -> None:
    assert labels(tmp_path, column, 1) == expected


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (["01", "1", "2"], [0, 0, 1]),
        (["10", "9", "+9", "009", "10.0"], [1, 0, 0, 0, 1]),
        (["-1", "0.5", "1/2", "5e-1", "-1.0"], [0, 1, 1, 1, 0]),
        (["1" + 120 * "0", "2", "1e120"], [1, 0, 1]),
        (["b", "B"], [1, 0]),
        (["x", "01", "1.0"], [1, 0, 0]),
        (["nan", "1"], [1, 0]),
    ],
)
def test_classes_do_not_depend_on_how_a_number_is_written(
    tmp_path: Path, column: list[str], expected: list[int]
) -> None:
    assert labels(tmp_path, column, 2) == expected


@pytest.mark.parametrize("column", [["a", "b", "c"], ["1", "+1"], ["1", "2", "3"]])
def test_a_margin_is_between_two_classes(tmp_path: Path, refusal: Refusal, column: list[str]) -> None:
    (tmp_path / "points.csv").write_text("a,b,c\n" + "".join(f"1,2,{label}\n" for label in column))
    assert "must name a column of 2 classes as the two classes of the loss says" in refusal(tables(1))


def test_classes_do_not_depend_on_hashing(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib; sys.path.insert(0, sys.argv[2]); from test_problem_tables import labels\n"
        "print(labels(pathlib.Path(sys.argv[1]), ['x', 'y', 'é', '01', '1', 'z z', 'Y'], 6))"
    )
    found = set()
    for seed in "01":  # by chance the 7 names come in this order once in 5040 times
        command = [sys.executable, "-c", script, str(tmp_path), str(Path(__file__).parent)]
        done = subprocess.run(command, env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=True)
        found.add(done.stdout)
    assert found == {b"[2, 3, 5, 0, 0, 4, 1]\n"}


PLAIN = "a,b,c\n1,2,3\n4,5,7\n"


@pytest.mark.parametrize(
    "written",
    [
        PLAIN,
        "a,b,c,,\n1,2,3,,\n4,5,7,,\n",
        "a,b,c,,\n1,2,3\n4,5,7,\n",
        "a,b,c\n1,2,3,,,\n4,5,7\n",
        ",a,b,,c\n,1,2,,3\n9,4,5,note,7\n",
        PLAIN + "\n\n,,\n   \n,,,,,\n",
        "\n,,,\n" + PLAIN,
        '"a","b","c"\n"1","2",3\n"4"," 5 ",7\n',
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        b"\xef\xbb\xbf" + PLAIN.encode(),
        b'\xef\xbb\xbf"a","b","c"\n1,2,3\n4,5,7',
        "# exported\n#\n" + PLAIN,
    ],
)
def test_what_spreadsheets_write_is_read(tmp_path: Path, written: str | bytes) -> None:
    problem = read(tmp_path, written, tables())
    assert problem.x is not None
    assert problem.y is not None
    assert problem.x.tolist() == [[1, 2], [4, 5]]
    assert problem.y.tolist() == [[3], [7]]


@pytest.mark.parametrize(
    ("written", "data", "said"),
    [
        ("a;b;c\n1,5;2;3\n", {}, "separated by commas, got 'a;b;c' with semicolons; save the table as comma-separated"),
        ("a;b;c;\n1;2;3;\n", {}, "with semicolons"),
        ("a\tb\tc\n1\t2\t3\n", {}, "with tabs"),
        ("a,b,c,a,,\n1,2,3,4,,\n", {}, "line 1 must name every column once, got 'a' 2 times"),
        ("a,b,c,,\n1,2,3,,\n", {"inputs": ["a", ""]}, "got ''; its columns are a, b, c"),
        ("a,b,c,,\n1,2,3,,\n", {"inputs": ["a", "z"]}, "got 'z'; its columns are a, b, c"),
        ("a,b,c,,\n1,2,,,\n", {}, "column 'c' must be a number such as"),
        ("a,b,c,,\n1,2\n", {}, "row 0 (line 2) must have 5 cells like the header, got 2"),
        ("a,b,c\n1,2,3,4\n", {}, "row 0 (line 2) must have 3 cells like the header, got 4"),
        ('a,b,c\n1,"2"x,3\n', {}, "line 2 is not comma-separated text"),
        (",,,\n,,\n", {}, "must start with a row of column names, got an empty file"),
        (b"\xff\xfea\x00,\x00b\x00", {}, "must be UTF-8 text"),
        ("a,b,c\n1,2,3\n", {"targets": None, "labels": ""}, "must name a column of"),
    ],
)
def test_what_is_no_table_is_refused(
    tmp_path: Path, refusal: Refusal, written: str | bytes, data: dict[str, Any], said: str
) -> None:
    (tmp_path / "points.csv").write_bytes(written if isinstance(written, bytes) else written.encode())
    assert said in refusal(tables(**data))
