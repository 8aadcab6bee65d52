"""Tables of samples from comma-separated text: a header row of column names, then one row per sample."""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from symflow.errors import ProblemError, brief, shorten
from symflow.files import check_there
from symflow.numbers.rational import MAX_ARRAY_BITS, NotRational, exact
from symflow.problem.fields import MAX_SAMPLES

MAX_BYTES = 50_000_000
"""Largest file that is read."""
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


@dataclass(frozen=True)
class Table:
    """Cells as text, with what is needed to say where one is wrong.

    Attributes:
        source: the file's name, for error messages.
        columns: their names; empty for columns that have none and cannot be asked for.
        cells: one tuple of texts a row.
        lines: the line of the file each row ends on, counted from 1.
    """

    source: str
    columns: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]

    @property
    def listed(self) -> str:
        """The names of the columns that have one, for error messages."""
        return shorten(", ".join(name for name in self.columns if name), 400)

    def index(self, column: str, where: str) -> int:
        """The position of a column.

        Raises:
            ProblemError: an unknown name; the message lists the known ones.
        """
        if not column or column not in self.columns:
            raise ProblemError(
                f"{where} must name a column of {self.source}, got {brief(column)}; its columns are {self.listed}"
            )
        return self.columns.index(column)

    def texts(self, column: str, where: str) -> list[str]:
        """The cells of a column as they stand."""
        position = self.index(column, where)
        return [row[position] for row in self.cells]

    def numbers(self, columns: list[str], rows: list[int], where: str) -> np.ndarray:
        """Some rows of some columns as an array of ``Fraction``, shape (rows, columns).

        Raises:
            ProblemError: a column is missing or a cell is not a number (file, row, line and column are named).
        """
        positions = [self.index(column, f"{where}[{k}]") for k, column in enumerate(columns)]
        array = np.empty((len(rows), len(positions)), dtype=object)
        budget = MAX_ARRAY_BITS
        for i, row in enumerate(rows):
            for j, position in enumerate(positions):
                try:
                    number = exact(self.cells[row][position])
                except NotRational as refused:
                    raise ProblemError(
                        f"{self.source}: row {row} (line {self.lines[row]}), column {brief(columns[j])} must be "
                        f"{refused}, got {brief(self.cells[row][position])}"
                    ) from None
                budget -= number.numerator.bit_length() + number.denominator.bit_length()
                if budget < 0:
                    raise ProblemError(f"{self.source}: the numbers exceed {MAX_ARRAY_BITS} bits; give fewer digits")
                array[i, j] = number
        return array


def named_file(path: object, caller: str) -> Path:
    """The path that was given, as text or a path.

    Raises:
        ProblemError: it is neither.
    """
    try:
        return Path(os.fsdecode(path))  # type: ignore[arg-type]
    except TypeError:
        raise ProblemError(f"{caller}: path must be the name of a file, got {brief(path)}") from None


def read_bytes(path: Path, source: str) -> bytes:
    """The content of a regular file of at most 50 MB.

    Raises:
        ProblemError: there is no such file, it is a directory or a device, too large or not readable.
    """
    try:
        check_there(path, source)
        if not path.is_file():
            raise ProblemError(f"{source}: must be a file, got a {'directory' if path.is_dir() else 'special file'}")
        if (size := path.stat().st_size) > MAX_BYTES:
            raise ProblemError(f"{source}: must be at most {MAX_BYTES} bytes long, got {size}")
        return path.read_bytes()
    except ProblemError:
        raise
    except (OSError, ValueError) as refused:  # ValueError: a null character in the path
        reason = refused.strerror if isinstance(refused, OSError) and refused.strerror else str(refused)
        raise ProblemError(f"{source}: cannot be read ({reason})") from None


def decode(content: bytes, source: str) -> str:
    """The content as text (UTF-8, a byte order mark allowed).

    Raises:
        ProblemError: it is not UTF-8; the line is named.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as refused:
        line = content.count(b"\n", 0, refused.start) + 1
        raise ProblemError(f"{source}: must be UTF-8 text, got a byte that is not, at line {line}") from None


def read_table(path: Path, source: str) -> Table:
    """A comma-separated file: comment lines that start with ``#``, the header row, one row per sample.

    Columns without a name and lines without an entry, which spreadsheets leave at the right and below, are admitted.

    Raises:
        ProblemError: not readable, no header, other separators, a repeated column name, no rows, or a row with more or
            fewer cells.
    """
    written = decode(read_bytes(path, source), source)
    start = skipped = 0
    while written.startswith("#", start):
        start = written.find("\n", start) + 1 or len(written)
        skipped += 1
    reader = csv.reader(io.StringIO(written[start:], newline=""), strict=True, skipinitialspace=True)
    columns: tuple[str, ...] | None = None
    cells: list[tuple[str, ...]] = []
    lines: list[int] = []
    try:
        for row in reader:
            line = reader.line_num + skipped
            stripped = tuple(cell.strip() for cell in row)
            if not any(stripped):
                continue
            if columns is None:
                columns = _header(stripped, source, line)
                continue
            stripped = _fitted(stripped, columns)
            if len(stripped) != len(columns):
                raise ProblemError(
                    f"{source}: row {len(cells)} (line {line}) must have {len(columns)} cells like the header, "
                    f"got {len(stripped)}"
                )
            if len(cells) == MAX_SAMPLES:
                raise ProblemError(f"{source}: must have at most {MAX_SAMPLES} rows; cut the file")
            cells.append(stripped)
            lines.append(line)
    except csv.Error as refused:
        raise ProblemError(
            f"{source}: line {reader.line_num + skipped} is not comma-separated text ({refused})"
        ) from None
    if columns is None:
        raise ProblemError(f"{source}: must start with a row of column names, got an empty file")
    if not cells:
        raise ProblemError(f"{source}: must have at least one row below the header, got none")
    return Table(source, columns, tuple(cells), tuple(lines))


def _header(cells: tuple[str, ...], source: str, line: int) -> tuple[str, ...]:
    """The names of the columns."""
    names = [name for name in cells if name]
    other = next((word for mark, word in _SEPARATORS.items() if mark in names[0]), None)
    if len(names) == 1 and other is not None:
        raise ProblemError(
            f"{source}: line {line} must name columns separated by commas, got {brief(names[0])} with {other}; save "
            "the table as comma-separated text, with decimal points"
        )
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise ProblemError(f"{source}: line {line} must name every column once, got {brief(name)} {count} times")
    return cells


def _fitted(cells: tuple[str, ...], columns: tuple[str, ...]) -> tuple[str, ...]:
    """A row with as many cells as the header, where only empty cells and unnamed columns make the difference."""
    beyond, missing = cells[len(columns) :], columns[len(cells) :]
    if any(beyond) or any(missing):
        return cells
    return cells[: len(columns)] + ("",) * len(missing)
