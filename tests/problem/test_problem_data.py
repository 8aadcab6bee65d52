"""Samples: from the file itself, from tables, selected, one-hot, standardized, whitened."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from symflow.networks.losses import SQUARE
from symflow.networks.network import FullyConnected
from symflow.problem import Problem
from symflow.problem.data import Ends, samples
from symflow.problem.data import __file__ as data_file
from symflow.problem.scaling import standardize, whiten
from symflow.problem.schema import DataSection
from symflow.problem.table import read_table

Refusal = Callable[..., str]
IRIS = ["sepal_length", "sepal_width", "petal_length", "petal_width"]

TABLE = "\ufeff# measured by hand\na, b ,c,kind\n1,0.5,1e-1,x\n\n-1/3,2,3,10\n4,5,6,9\n"


def load(
    tmp_path: Path, widths: list[int], written: str | None = TABLE, **section: Any
) -> tuple[np.ndarray, np.ndarray]:
    if written is not None:
        (tmp_path / "points.csv").write_text(written, encoding="utf-8")
    ends = Ends.of(FullyConnected(tuple(widths)), SQUARE)
    return samples(DataSection(**section), ends, 50, "p.toml", tmp_path)[:2]


def fractions(*rows: list[str]) -> list[list[Fraction]]:
    return [[Fraction(value) for value in row] for row in rows]


def test_inline(tmp_path: Path) -> None:
    x, y = load(tmp_path, [2, 1], x=[["1/2", 0.1], [1, 2]], y=[["1"], ["-1/4"]])
    assert x.tolist() == [[Fraction(1, 2), Fraction(0.1)], [1, 2]]
    assert y.tolist() == [[1], [Fraction(-1, 4)]]
    assert not x.flags.writeable
    assert not y.flags.writeable


def test_inline_labels_become_one_hot(tmp_path: Path) -> None:
    _, y = load(tmp_path, [1, 3], x=[[1], [2], [3]], labels=[0, 2, 1])
    assert y.tolist() == [[1, 0, 0], [0, 0, 1], [0, 1, 0]]
    assert all(type(value) is Fraction for value in y.flat)
    _, y = load(tmp_path, [1, 3], x=[[1], [2], [3]], labels=np.array([0, 2, 1]), rows=[1])
    assert y.tolist() == [[0, 0, 1]]


def test_selection_of_inline_samples(tmp_path: Path) -> None:
    inline: dict[str, Any] = {"x": [[1], [2], [3]], "y": [[4], [5], [6]]}
    x, y = load(tmp_path, [1, 1], **inline, samples=2)
    assert (x.tolist(), y.tolist()) == ([[1], [2]], [[4], [5]])
    x, y = load(tmp_path, [1, 1], **inline, rows=[2, 0, 2])
    assert (x.tolist(), y.tolist()) == ([[3], [1], [3]], [[6], [4], [6]])


def test_table(tmp_path: Path) -> None:
    x, y = load(tmp_path, [2, 1], file="points.csv", inputs=["b", "a"], targets=["c"])
    assert x.tolist() == fractions(["1/2", "1"], ["2", "-1/3"], ["5", "4"])
    assert y.tolist() == fractions(["1/10"], ["3"], ["6"])


def test_only_the_cells_asked_for_must_be_numbers(tmp_path: Path) -> None:
    written = "a,b\n1,2\nx,3\n"
    x, _ = load(tmp_path, [1, 1], written, file="points.csv", inputs=["b"], targets=["b"])
    assert x.tolist() == [[2], [3]]
    x, _ = load(tmp_path, [1, 1], written, file="points.csv", inputs=["a"], targets=["b"], samples=1)
    assert x.tolist() == [[1]]


def test_table_labels_are_sorted_over_the_whole_column(tmp_path: Path) -> None:
    # as text, since not all are integers: "10" < "9" < "x"
    _, y = load(tmp_path, [1, 3], file="points.csv", inputs=["a"], labels="kind")
    assert y.tolist() == [[0, 0, 1], [1, 0, 0], [0, 1, 0]]
    _, y = load(tmp_path, [1, 3], file="points.csv", inputs=["a"], labels="kind", samples=1)
    assert y.tolist() == [[0, 0, 1]]
    # as integers
    _, y = load(tmp_path, [1, 3], "a,k\n0,10\n0,9\n0,-1\n", file="points.csv", inputs=["a"], labels="k")
    assert y.tolist() == [[0, 0, 1], [0, 1, 0], [1, 0, 0]]


def test_iris() -> None:
    table = read_table(Path(data_file).with_name("iris.csv"), "iris")
    assert table.columns == (*IRIS, "species")
    assert len(table.cells) == 150
    species = table.texts("species", "labels")
    assert {name: species.count(name) for name in species} == {"setosa": 50, "versicolor": 50, "virginica": 50}
    values = table.numbers(IRIS, list(range(150)), "inputs")
    # 5.8433.., 3.0573.., 3.758, 1.1993..: the sums of the copy with Fisher's samples 35 and 38 (UCI: 3.054, 1.1987)
    assert [sum(column) for column in values.T] == [Fraction(s) for s in ("876.5", "458.6", "563.7", "179.9")]
    assert [float(sum(column) / 150) for column in values.T] == pytest.approx(
        [5.843333, 3.057333, 3.758, 1.199333], abs=1e-6
    )
    assert [str(value) for value in values[34]] == ["49/10", "31/10", "3/2", "1/5"]
    assert [str(value) for value in values[37]] == ["49/10", "18/5", "7/5", "1/10"]
    assert len({tuple(row) for row in values}) == 149  # one flower occurs twice
    # sample variances (divisor 149), as printed by R's var(iris)
    centred = values - sum(values) / 150
    assert [float(sum(c * c for c in column) / 149) for column in centred.T] == pytest.approx(
        [0.6856935, 0.1899794, 3.1162779, 0.5810063], abs=1e-7
    )


def test_builtin_iris(tmp_path: Path) -> None:
    x, y = load(tmp_path, [4, 3], None, builtin="iris", inputs=IRIS, labels="species", rows=[0, 50, 149])
    assert x.tolist()[0] == fractions(["5.1", "3.5", "1.4", "0.2"])[0]
    assert y.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    x, y = load(tmp_path, [2, 1], None, builtin="iris", inputs=IRIS[:2], targets=["petal_width"], samples=12)
    assert (x.shape, y.shape) == ((12, 2), (12, 1))


def moments(x: np.ndarray) -> tuple[list[Fraction], np.ndarray]:
    return [sum(column) / len(x) for column in x.T], x.T @ x / Fraction(len(x))


@pytest.mark.parametrize("factor", ["1", "1e-30", "1e30", "1/7"])
def test_standardized(factor: str) -> None:
    table = read_table(Path(data_file).with_name("iris.csv"), "iris")
    x = standardize(table.numbers(IRIS, list(range(30)), "inputs") * Fraction(factor), 50, "x")
    means, second = moments(x)
    assert means == [0, 0, 0, 0]
    assert max(abs(second[j, j] - 1) for j in range(4)) < Fraction(1, 10**69)
    assert abs(second[0, 1]) > Fraction(1, 2)  # correlations stay


@pytest.mark.parametrize("factor", ["1", "1e-30", "1e30", "1/7"])
def test_whitened(factor: str) -> None:
    table = read_table(Path(data_file).with_name("iris.csv"), "iris")
    original = table.numbers(IRIS, list(range(30)), "inputs") * Fraction(factor)
    x = whiten(original, 50, "x")
    means, second = moments(x)
    assert means == [0, 0, 0, 0]
    assert max(abs(value) for value in (second - np.eye(4, dtype=int)).flat) < Fraction(1, 10**65)
    # the root is the symmetric positive one: (1/N) sum_i (x_i - m) z_i^T = S^(1/2)
    root = (original - sum(original) / 30).T @ x / Fraction(30)
    assert max(abs(value) for value in (root - root.T).flat) < Fraction(factor) / 10**60
    assert np.linalg.eigvalsh((root / Fraction(factor)).astype(float)).min() > 0


def test_whitening_of_nearly_dependent_inputs_keeps_its_digits() -> None:
    x = np.array([[1, Fraction(1) + Fraction(1, 10**40)], [2, 2], [3, 3], [5, 5]], dtype=object) * Fraction(1)
    _, second = moments(whiten(x, 50, "x"))
    assert max(abs(value) for value in (second - np.eye(2, dtype=int)).flat) < Fraction(1, 10**45)


def test_standardized_then_whitened(tmp_path: Path) -> None:
    x, y = load(
        tmp_path,
        [2, 1],
        None,
        builtin="iris",
        inputs=IRIS[:2],
        targets=IRIS[2:3],
        samples=10,
        standardize=True,
        whiten=True,
    )
    _, second = moments(x)
    assert max(abs(value) for value in (second - np.eye(2, dtype=int)).flat) < Fraction(1, 10**65)
    assert y[0, 0] == Fraction("1.4")  # targets are left as they are


INLINE: dict[str, Any] = {"x": [[1, 2], [3, 4]], "y": [[1], [2]]}
POINTS: dict[str, Any] = {"file": "points.csv", "inputs": ["a", "b"], "targets": ["c"]}

CASES: list[tuple[dict[str, Any], str]] = [
    ({}, "data must have exactly one of x, file and builtin, got none"),
    (INLINE | {"builtin": "iris"}, "data must have exactly one of x, file and builtin, got x and builtin"),
    (INLINE | {"samples": 1, "rows": [0]}, "data must have at most one of samples and rows, got both"),
    ({"x": [[1, 2]]}, "data must have exactly one of y and labels next to x, got neither"),
    (INLINE | {"labels": [0, 0]}, "data must have exactly one of y and labels next to x, got both"),
    (INLINE | {"inputs": ["a"]}, "data.inputs goes with data.file or data.builtin, got data.x; remove it"),
    (INLINE | {"x": "1 2"}, "data.x must be a list of rows, each a list of numbers, got '1 2'"),
    (INLINE | {"x": []}, "data.x must not be empty, got []"),
    (INLINE | {"x": [[1, 2], [3]]}, "data.x[1] must have 2 numbers as data.x[0] has, got 1"),
    (
        INLINE | {"x": [[1, 2], [3, "four"]]},
        'data.x[1][1] must be a number such as 3, "-3/10", "0.7" or "1e-3", got \'four\'',
    ),
    (INLINE | {"x": [[1, 2], [3, None]]}, "data.x[1][1] must be a number such as"),
    (INLINE | {"x": [[1], [2]]}, "data.x must have 2 numbers a row as network.widths[0] says, got 1"),
    (INLINE | {"y": [[1, 2], [3, 4]]}, "data.y must have 1 numbers a row as network.widths[2] says, got 2"),
    (INLINE | {"x": [1, 2]}, "data.x[0] must be a list of numbers (one row per sample), got 1"),
    (INLINE | {"y": [[1]]}, "data.y must have as many entries as data.x has rows, got 1 and 2"),
    ({"x": [[1, 2]], "labels": [0, 0]}, "data.labels must have as many entries as data.x has rows, got 2 and 1"),
    ({"x": [[1, 2]], "labels": [1]}, "data.labels[0] must be a class number, an integer from 0 to 0"),
    ({"x": [[1, 2]], "labels": ["1/2"]}, "data.labels[0] must be a class number"),
    ({"x": [[1, 2]], "labels": "species"}, "data.labels must be a list of integers next to data.x, got 'species'"),
    (INLINE | {"samples": 3}, "data.samples must be at most the 2 there are, got 3"),
    (INLINE | {"samples": 0}, "data.samples must be an integer from 1 to 1000000, got 0"),
    (INLINE | {"rows": [0, 2]}, "data.rows[1] must be a row number from 0 to 1, got 2"),
    (INLINE | {"rows": [-1]}, "data.rows[0] must be a row number, an integer from 0 to 999999, got -1"),
    (INLINE | {"rows": []}, "data.rows must be a list of at least one row number, got []"),
    (INLINE | {"standardize": "yes"}, "data.standardize must be true or false, got 'yes'"),
    (INLINE | {"whiten": 1}, "data.whiten must be true or false, got 1"),
    (
        INLINE | {"x": [[1, 2], [1, 4]], "standardize": True},
        "data: input column 0 is constant, so it cannot be standardized",
    ),
    (INLINE | {"whiten": True}, "data: the covariance of the 2 inputs over 2 samples is singular"),
    (
        {"x": [[1, 2], [2, 4], [3, 6], [5, 10]], "y": [[1]] * 4, "whiten": True},
        "the covariance of the 2 inputs over 4 samples is singular, so they cannot be whitened; use more samples",
    ),
    (INLINE | {"builtins": "iris"}, "data.builtins is not a known key; did you mean builtin?"),
    ({"builtin": "mnist"}, "data.builtin must be \"iris\", got 'mnist'"),
    (
        {"builtin": "iris", "targets": ["species"]},
        "data.inputs is missing; it must be a list of columns of iris: sepal_length",
    ),
    (
        {"builtin": "iris", "inputs": IRIS[:2]},
        "exactly one of targets and labels, got neither; columns of iris: sepal_length",
    ),
    ({"builtin": "iris", "inputs": IRIS[:2], "y": [[1]]}, "data.y goes with data.x, got data.builtin; use targets"),
    (
        {"builtin": "iris", "inputs": IRIS[:2], "labels": "species"},
        "data.labels must name a column of at most 1 classes as network.widths[2] says, "
        "got 'species' with 3 (setosa, versicolor, virginica)",
    ),
    (
        {"builtin": "iris", "inputs": IRIS[:2], "labels": [0]},
        "data.labels must be the name of a column of iris, got [0]",
    ),
    (POINTS | {"inputs": ["a"]}, "data.inputs must have 2 columns as network.widths[0] says, got 1"),
    (POINTS | {"targets": ["a", "c"]}, "data.targets must have 1 columns as network.widths[2] says, got 2"),
    (POINTS | {"inputs": ["a", "z"]}, "points.csv, got 'z'; its columns are a, b, c, kind"),
    (POINTS | {"inputs": ["a", 3]}, "data.inputs[1] must be a column name, got 3"),
    (POINTS | {"inputs": "a"}, "data.inputs must be a list of column names, got 'a'"),
    (POINTS | {"inputs": []}, "data.inputs must be a list of column names, got []"),
    (POINTS | {"targets": ["kind"]}, "points.csv: row 0 (line 3), column 'kind' must be a number such as"),
    (POINTS | {"samples": 4}, "data.samples must be at most the 3 there are, got 4"),
    (POINTS | {"file": "absent.csv"}, "absent.csv: there is no such file; check the path"),
    (POINTS | {"file": "."}, "must be a file, got a directory"),
    (POINTS | {"file": ""}, "must be a file, got a directory"),
    (POINTS | {"file": "a\0b"}, "there is no such file"),
    (POINTS | {"file": "f" * 100_000}, "cannot be read (File name too long)"),
    (POINTS | {"file": 3}, "data.file must be the path of a CSV file, got 3"),
]


@pytest.mark.parametrize(("section", "phrase"), CASES, ids=range(len(CASES)))
def test_refused(refusal: Refusal, valid: dict[str, Any], tmp_path: Path, section: dict[str, Any], phrase: str) -> None:
    (tmp_path / "points.csv").write_text(TABLE, encoding="utf-8")
    assert phrase in refusal(valid | {"data": section})


@pytest.mark.parametrize(
    ("content", "phrase"),
    [
        (b"", "must start with a row of column names, got an empty file"),
        (b"# only a comment", "must start with a row of column names, got an empty file"),
        (b"a,b,c\n", "must have at least one row below the header, got none"),
        (b"a,b,a\n1,2,3\n", "line 1 must name every column once, got 'a' 2 times"),
        (b"a,b,c\n1,2,3\n1,2\n", "row 1 (line 3) must have 3 cells like the header, got 2"),
        (b"#\n#\na,b,c\n1,2,3\n1,2,3,4\n", "row 1 (line 5) must have 3 cells like the header, got 4"),
        (b"a,b,c\n1,2,3\n1,,3\n", "row 1 (line 3), column 'b' must be a number such as 3"),
        (b"a,b,c\n1,nan,3\n", "row 0 (line 2), column 'b' must be a finite number, got 'nan'"),
        (b'a,b,c\n1,"2"x,3\n', "line 2 is not comma-separated text"),
        (b"a,b,c\n1," + b"2" * 200_000 + b",3\n", "is not comma-separated text (field larger than field limit"),
        (b"a,b,c\n1,\xff,3\n", "must be UTF-8 text, got a byte that is not, at line 2"),
    ],
)
def test_wrong_tables(refusal: Refusal, valid: dict[str, Any], tmp_path: Path, content: bytes, phrase: str) -> None:
    (tmp_path / "points.csv").write_bytes(content)
    line = refusal(valid | {"data": POINTS})
    assert "points.csv: " in line
    assert phrase in line


def test_empty_label(refusal: Refusal, valid: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "points.csv").write_text("a,b,k\n1,2,x\n1,2,\n")
    section = {"file": "points.csv", "inputs": ["a", "b"], "labels": "k"}
    assert "row 1 (line 3) must have a label, got an empty cell" in refusal(valid | {"data": section})


@pytest.mark.parametrize(
    ("limit", "phrase"),
    [
        ("symflow.problem.table.MAX_BYTES", "must be at most 5 bytes long"),
        ("symflow.problem.table.MAX_SAMPLES", "must have at most 5 rows"),
        ("symflow.problem.table.MAX_ARRAY_BITS", "the numbers exceed 5 bits"),
        ("symflow.problem.data.MAX_ENTRIES", "must hold at most 5 numbers, got 21"),
    ],
)
def test_size_limits(
    refusal: Refusal, valid: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, phrase: str
) -> None:
    (tmp_path / "points.csv").write_text("a,b,c\n" + "1,2,3\n" * 7)
    monkeypatch.setattr(limit, 5)
    assert phrase in refusal(valid | {"data": POINTS})


def test_too_many_inline_rows(refusal: Refusal, valid: dict[str, Any]) -> None:
    row: list[int] = [1, 2]
    assert "data.x must have at most 1000000 rows" in refusal(valid | {"data": {"x": [row] * 1_000_001, "y": [[1]]}})
    assert "data.y must have at most 1000000 rows" in refusal(
        valid | {"data": {"x": [row], "y": np.ones((1_000_001, 1))}}
    )


def test_too_many_inputs_to_whiten(refusal: Refusal, valid: dict[str, Any]) -> None:
    valid["network"]["widths"] = [65, 1]
    valid["data"] = {"x": [[1] * 65, [2] * 65], "y": [[1], [1]], "whiten": True}
    assert "at most 64 inputs can be whitened, got 65; choose fewer columns" in refusal(valid)


def test_denominators_too_diverse_to_centre(
    refusal: Refusal, valid: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("symflow.problem.scaling._MAX_BITS", 10)
    valid["data"] |= {"x": [["1/31", "1/37"], ["1/41", "1/43"]], "standardize": True}
    assert "common denominator is beyond 10 bits" in refusal(valid)


def test_relative_files_in_python_start_from_here(
    valid: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "points.csv").write_text(TABLE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert Problem(**(valid | {"data": POINTS})).x.shape == (3, 2)
