"""Rows as a tidy pandas table, and as a Parquet file that describes itself."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from symflow.analysis.sweeps.values import as_float, decode, kind_of
from symflow.errors import ComputationError, ProblemError
from symflow.files import write_atomically

if TYPE_CHECKING:
    import pandas

COORDINATES = {
    "step_size": "rational",
    "seed": "int",
    "depth": "int",
    "width": "int",
    "widths": "text",
    "scheme": "text",
    "scale": "rational",
    "horizon": "rational",
    "dps": "int",
    "parameters": "int",
    "status": "text",
    "reason": "text",
    "stop_time": "decimal",
}
"""Where in the sweep a row is, and how it went. Column -> kind."""
ENDING = {"seconds": "float", "versions": "text", "key": "text"}
"""How every row ends."""
DTYPES = {"int": "Int64", "bool": "boolean", "float": "Float64", "text": "string"}
TEXT = ("decimal", "rational", "text")
MOST = 2**63


def require_pandas() -> None:
    """Refuses, before anything is computed, a sweep whose table could not be made.

    Raises:
        ComputationError: pandas or pyarrow is not installed.
    """
    for name in ("pandas", "pyarrow"):
        if find_spec(name) is None:
            raise ComputationError(f"a sweep's table needs {name}, which is not installed; pip install symflow[sweeps]")


def kinds_of(rows: Sequence[Mapping[str, object]], declared: Mapping[str, str]) -> dict[str, str]:
    """Column -> kind: as declared, else what the rows hold (text where they differ).

    In order: the coordinates and the status, what was measured, then words: why, how it is known, versions.
    """
    between = (name for row in rows for name in row if name not in COORDINATES and name not in ENDING)
    found = {}
    for name in dict.fromkeys([*COORDINATES, *(n for n in declared if n not in ENDING), *between, *ENDING]):
        kind = declared.get(name) or COORDINATES.get(name) or ENDING.get(name)
        found[name] = kind or _kind({kind_of(row.get(name)) for row in rows} - {None})
    words = [n for n, kind in found.items() if kind == "text" and n not in COORDINATES and n not in ENDING]
    last = ["stop_time", "reason", *words, *ENDING]
    return {name: found[name] for name in [*(n for n in found if n not in last), *last]}


def _kind(seen: Iterable[str | None]) -> str:
    kinds = set(seen)
    if kinds == {"int", "float"}:
        return "float"
    return str(kinds.pop()) if len(kinds) == 1 else "text"


def data_frame(
    rows: Sequence[Mapping[str, object]], kinds: Mapping[str, str], about: Mapping[str, object]
) -> pandas.DataFrame:
    """The table: decimals and rationals as text, missing values as missing.

    Args:
        rows: stored values.
        kinds: of the columns, in order.
        about: what `attrs`, and the metadata of a Parquet file, hold.
    """
    import pandas

    columns = {}
    for name, kind in kinds.items():
        values = [decode(row.get(name)) for row in rows]
        wide = kind == "int" and any(v is not None and not -MOST <= v < MOST for v in values)
        if kind in TEXT or wide:
            values, kind = [None if v is None else str(v) for v in values], "text"
        columns[name] = pandas.array(values, dtype=DTYPES[kind])
    table = pandas.DataFrame(columns)
    table.attrs = {**about, "kinds": dict(kinds)}
    return table


def floats(table: pandas.DataFrame) -> pandas.DataFrame:
    """The same table with decimals and rationals in float64, to plot and to compute with."""
    import pandas

    found = table.copy()
    for name, kind in table.attrs["kinds"].items():
        if kind in ("decimal", "rational"):
            values = [None if pandas.isna(v) else as_float(kind, v) for v in table[name]]
            found[name] = pandas.array(values, dtype="Float64")
    return found


def save(table: pandas.DataFrame, path: str | os.PathLike[str]) -> None:
    """Writes a Parquet file that appears whole or not at all; `pandas.read_parquet` gives back table and `attrs`.

    Raises:
        ProblemError: another ending, or it cannot be written.
    """
    file = Path(path)
    if file.suffix.lower() != ".parquet":
        raise ProblemError(f"path must end in .parquet, got {file.name}; a sweep is saved as Parquet")
    buffer = io.BytesIO()
    table.to_parquet(buffer, engine="pyarrow", index=False)
    try:
        write_atomically(file, buffer.getvalue())
    except OSError as failed:
        raise ProblemError(f"{file}: cannot be written: {failed.strerror or failed}; choose another place") from None
