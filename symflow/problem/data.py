"""Samples: given in place or read from a table, selected, one-hot encoded, standardized, whitened.

The built-in table is Iris: R. A. Fisher, "The use of multiple measurements in taxonomic problems", Annals of Eugenics
7 (1936) 179-188, as in the UCI Machine Learning Repository but with samples 35 and 38 as Fisher printed them (UCI's
copy has two typing errors there; R's and scikit-learn's have not). 150 flowers, lengths in centimetres.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import prod
from pathlib import Path

import numpy as np

from symflow.errors import ProblemError, brief, shorten
from symflow.files import shown
from symflow.networks.losses import Loss
from symflow.networks.network import Network
from symflow.numbers.rational import NotRational, exact, rational_array, text
from symflow.problem.fields import MAX_ENTRIES, MAX_SAMPLES
from symflow.problem.scaling import Scaling
from symflow.problem.schema import DataSection
from symflow.problem.table import Table, read_table
from symflow.programs.program import shape_of


@dataclass(frozen=True)
class Ends:
    """What data must fit: how many numbers the network reads and gives, and which key says so.

    Attributes:
        inputs: d_0.
        outputs: d_n.
        inputs_key: the key that says d_0.
        outputs_key: the key that says d_n.
        signs: whether labels become -1 and 1 (losses of a margin) instead of one-hot rows.
    """

    inputs: int
    outputs: int
    inputs_key: str
    outputs_key: str
    signs: bool = False

    @classmethod
    def of(cls, network: Network, loss: Loss) -> Ends:
        """The ends of a network under a loss."""
        inputs, outputs = (prod(shape_of(axes)) for axes in (network.input_axes, network.output_axes))
        keys = ("network.widths[0]", f"network.widths[{network.depth}]")
        if network.kind == "convolutional":
            keys = ("network.input", "the last of network.layers")
        return cls(inputs, outputs, *keys, signs=loss.known.labels == "signs")

    @property
    def classes(self) -> int:
        """How many classes labels may have."""
        return 2 if self.signs else self.outputs

    @property
    def classes_key(self) -> str:
        """What says so."""
        return "the two classes of the loss" if self.signs else self.outputs_key


def samples(
    data: DataSection, ends: Ends, dps: int, source: str, folder: Path
) -> tuple[np.ndarray, np.ndarray, Scaling | None]:
    """The inputs and targets that a [data] section means.

    Order of work: read, select ``samples`` or ``rows`` (counted from 0), standardize the inputs, whiten the inputs.
    ``labels`` become one-hot targets (for the logistic and the exponential loss -1 and 1, class 1 being 1). A list of
    labels holds class numbers 0, ..., d_n - 1. The classes of a label column are the distinct labels in the whole
    column (not only in the selected rows); there must be at most d_n of them (for the losses of a margin: two). A label
    that is a number is that number however it is written: 1, +1, 01 and 1.0 are one class. The classes are sorted: as
    numbers where all of them are numbers, as text otherwise (by code points, numbers as p or p/q).

    Args:
        data: the section.
        ends: what the network reads and the loss compares with.
        dps: decimal digits of the run; square roots are kept to 20 more.
        source: where the section is from, the start of every error message.
        folder: what a relative ``data.file`` is relative to.

    Returns:
        x of shape (N, d_0) and y of shape (N, d_n), read-only object arrays of ``Fraction``; and how x was standardized
        or whitened, None where it is as it was given.

    Raises:
        ProblemError: keys that exclude each other, a file or a column that is missing, a cell that is not a number,
            rows out of range, lengths that do not fit, inputs that cannot be standardized or whitened.
    """
    where = f"{source}: data"
    given = [key for key in ("x", "file", "builtin") if getattr(data, key) is not None]
    if len(given) != 1:
        raise ProblemError(f"{where} must have exactly one of x, file and builtin, got {' and '.join(given) or 'none'}")
    if data.samples is not None and data.rows is not None:
        raise ProblemError(f"{where} must have at most one of samples and rows, got both")
    x, y = _inline(data, ends, where) if data.x is not None else _tabled(data, ends, where, folder)
    for array in (x, y):
        array.flags.writeable = False
    if not (data.standardize or data.whiten):
        return x, y, None
    scaling = Scaling(x, data.standardize, data.whiten)
    return scaling.scaled(dps, where), y, scaling


def of_bunch(data: Mapping[str, object] | None) -> Mapping[str, object] | None:
    """The [data] table of a Bunch of scikit-learn (keys data and target); anything else as it is.

    Integer targets are class numbers, as those of its data sets for classification are: `labels`; others are `y`.
    """
    if not isinstance(data, Mapping) or not {"data", "target"} <= data.keys() or {"x", "y", "labels"} & data.keys():
        return data
    classes = np.asanyarray(data["target"]).dtype.kind in "iu"
    return {"x": data["data"], "labels" if classes else "y": data["target"]}


def _inline(data: DataSection, ends: Ends, where: str) -> tuple[np.ndarray, np.ndarray]:
    for key in ("inputs", "targets"):
        if getattr(data, key) is not None:
            raise ProblemError(f"{where}.{key} goes with data.file or data.builtin, got data.x; remove it")
    if (data.y is None) == (data.labels is None):
        got = "neither" if data.y is None else "both"
        raise ProblemError(f"{where} must have exactly one of y and labels next to x, got {got}")
    _bound(data.x, f"{where}.x")
    x = _fits(rational_array(data.x, f"{where}.x", column=ends.inputs == 1), ends.inputs, f"{where}.x", ends.inputs_key)
    key = "y" if data.labels is None else "labels"
    if data.labels is None:
        _bound(data.y, f"{where}.y")
        y = _fits(
            rational_array(data.y, f"{where}.y", column=ends.outputs == 1), ends.outputs, f"{where}.y", ends.outputs_key
        )
    else:
        if isinstance(data.labels, str):
            raise ProblemError(
                f"{where}.labels must be a list of integers next to data.x, got {brief(data.labels)}; "
                "a column name goes with data.file or data.builtin"
            )
        _bound(data.labels, f"{where}.labels")
        y = _class_numbers(data.labels, ends, f"{where}.labels")
    if len(x) != len(y):
        raise ProblemError(f"{where}.{key} must have as many entries as data.x has rows, got {len(y)} and {len(x)}")
    rows = _selected(data, len(x), ends, where)
    return x[rows], y[rows] if data.labels is None else _encoded(y[rows], ends)


def _tabled(data: DataSection, ends: Ends, where: str, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    if data.y is not None:
        raise ProblemError(f"{where}.y goes with data.x, got data.{'file' if data.file else 'builtin'}; use targets")
    if data.file is not None:
        path = folder / data.file
        table = read_table(path, shown(path))
    else:
        table = read_table(Path(__file__).with_name("iris.csv"), "iris")
    columns = table.listed
    if data.inputs is None:
        raise ProblemError(f"{where}.inputs is missing; it must be a list of columns of {table.source}: {columns}")
    if (data.targets is None) == (data.labels is None):
        got = "neither" if data.targets is None else "both"
        raise ProblemError(
            f"{where} must have exactly one of targets and labels, got {got}; columns of {table.source}: {columns}"
        )
    if len(data.inputs) != ends.inputs:
        raise ProblemError(
            f"{where}.inputs must have {ends.inputs} columns as {ends.inputs_key} says, got {len(data.inputs)}"
        )
    rows = _selected(data, len(table.cells), ends, where)
    if data.targets is not None:
        if len(data.targets) != ends.outputs:
            raise ProblemError(
                f"{where}.targets must have {ends.outputs} columns as {ends.outputs_key} says, got {len(data.targets)}"
            )
        x = table.numbers(data.inputs, rows, f"{where}.inputs")
        return x, table.numbers(data.targets, rows, f"{where}.targets")
    if not isinstance(data.labels, str):
        raise ProblemError(f"{where}.labels must be the name of a column of {table.source}, got {brief(data.labels)}")
    labels = _labels(table, data.labels, f"{where}.labels")
    classes = _classes(labels)
    allowed = (2,) if ends.signs else range(1, ends.classes + 1)
    if len(classes) not in allowed:
        limit = "" if ends.signs else "at most "
        raise ProblemError(
            f"{where}.labels must name a column of {limit}{ends.classes} classes as {ends.classes_key} says, "
            f"got {brief(data.labels)} with {len(classes)} ({shorten(', '.join(classes))})"
        )
    number = {label: k for k, label in enumerate(classes)}
    x = table.numbers(data.inputs, rows, f"{where}.inputs")
    return x, _encoded([number[labels[row]] for row in rows], ends)


def _bound(values: object, where: str) -> None:
    """Refuse too many rows before any of them is converted."""
    shape = getattr(values, "shape", None) or (len(values) if isinstance(values, list | tuple) else 0,)
    count = shape[0]
    if count > MAX_SAMPLES:
        raise ProblemError(f"{where} must have at most {MAX_SAMPLES} rows, got {count}")


def _fits(array: np.ndarray, width: int, where: str, key: str) -> np.ndarray:
    if array.shape[1] != width:
        raise ProblemError(f"{where} must have {width} numbers a row as {key} says, got {array.shape[1]}")
    return array


def _selected(data: DataSection, available: int, ends: Ends, where: str) -> list[int]:
    if data.samples is not None and data.samples > available:
        raise ProblemError(f"{where}.samples must be at most the {available} there are, got {data.samples}")
    rows = list(range(available if data.samples is None else data.samples)) if data.rows is None else list(data.rows)
    for k, row in enumerate(rows):
        if row >= available:
            raise ProblemError(f"{where}.rows[{k}] must be a row number from 0 to {available - 1}, got {row}")
    if (entries := len(rows) * (ends.inputs + ends.outputs)) > MAX_ENTRIES:
        raise ProblemError(f"{where} must hold at most {MAX_ENTRIES} numbers, got {entries}; take fewer samples")
    return rows


def _class_numbers(labels: object, ends: Ends, where: str) -> np.ndarray:
    try:
        numbers = rational_array(labels, where, ndim=1)
    except ProblemError as refused:
        raise ProblemError(
            f"{refused}; labels next to x are class numbers, such as numpy.unique(labels, return_inverse=True)[1]"
        ) from None
    for i, number in enumerate(numbers):
        if number.denominator != 1 or not 0 <= number < ends.classes:
            raise ProblemError(
                f"{where}[{i}] must be a class number, an integer from 0 to {ends.classes - 1} "
                f"({ends.classes_key} less 1), got {brief(number)}"
            )
    return numbers.astype(np.int64)


def _labels(table: Table, column: str, where: str) -> list[str]:
    """The labels of a column; all ways to write a number are one."""
    written = table.texts(column, where)
    if "" in written:
        row = written.index("")
        raise ProblemError(f"{table.source}: row {row} (line {table.lines[row]}) must have a label, got an empty cell")
    normal = {label: _normal(label) for label in set(written)}
    return [normal[label] for label in written]


def _normal(label: str) -> str:
    try:
        return text(exact(label))
    except NotRational:
        return label


def _classes(labels: list[str]) -> list[str]:
    distinct = sorted(set(labels))
    try:
        return sorted(distinct, key=exact)
    except NotRational:
        return distinct


def _encoded(numbers: Sequence[int] | np.ndarray, ends: Ends) -> np.ndarray:
    """Class numbers as targets: one-hot rows, or -1 and 1 for losses of a margin."""
    if ends.signs:
        return np.array([[Fraction(2 * int(number) - 1)] for number in numbers], dtype=object).reshape(-1, 1)
    y = np.full((len(numbers), ends.outputs), Fraction(0), dtype=object)
    for i, number in enumerate(numbers):
        y[i, number] = Fraction(1)
    return y
