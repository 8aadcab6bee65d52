"""Problem files: TOML, or JSON of the same shape."""

from __future__ import annotations

import json
import os
import tomllib
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from symflow.errors import ProblemError, brief, shorten
from symflow.files import shown
from symflow.numbers.types import JsonObject
from symflow.problem.problem import Problem
from symflow.problem.table import decode, named_file, read_bytes


def load_problem(path: str | os.PathLike[str]) -> Problem:
    """The problem in a ``.toml`` or ``.json`` file.

    Decimals in the file are exact (0.1 means 1/10). A JSON object with a ``problem`` key is read from there and its
    other keys are ignored. A relative ``data.file`` is resolved next to the problem file. A problem without a name
    is named after its file.

    Args:
        path: the file, at most 50 MB of UTF-8 text.

    Returns:
        A `Problem` whose numbers are exact rationals.

    Raises:
        ProblemError: one line: the file, the key or the line, what is wrong and what would be right.

    Example:
        >>> import json
        >>> import tempfile
        >>> from pathlib import Path
        >>> tables = {"network": {"widths": [1, 1], "activation": "linear"}, "data": {"x": [0.1], "y": [1]},
        ...           "init": {"theta": ["1/2"]}, "run": {"horizon": "10"}}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = (Path(folder) / "problem.json").write_text(json.dumps(tables))
        ...     problem = sf.load_problem(Path(folder) / "problem.json")
        >>> problem.name, problem.x[0, 0], problem.theta0, problem.horizon
        ('problem', Fraction(1, 10), (Fraction(1, 2),), Fraction(10, 1))
    """
    tables, file = read_tables(path)
    return Problem.from_mapping(tables, shown(file), file.parent, name=file.stem[:200])


def read_tables(path: str | os.PathLike[str]) -> tuple[Any, Path]:
    """The tables of a problem, as `load_tables` reads them, and their file.

    Raises:
        ProblemError: see `load_tables`.
    """
    file = named_file(path, "load_problem")
    tables, _ = load_tables(file)
    if file.suffix.lower() == ".json" and isinstance(tables, dict) and "problem" in tables:
        tables = tables["problem"]
    return tables, file


def load_tables(file: Path) -> tuple[Any, str]:
    """The tables of a ``.toml`` or ``.json`` file, decimals as `Decimal`, and how messages name the file.

    Raises:
        ProblemError: one line: the file, the line, what is wrong and what would be right.
    """
    source = shown(file)
    if file.suffix.lower() not in (".toml", ".json"):
        if file.is_dir():
            raise ProblemError(f"{source}: must be a .toml or .json file, got a directory")
        raise ProblemError(f"{source}: must be a .toml or .json file, got the ending {brief(file.suffix)}")
    content = decode(read_bytes(file, source), source)
    try:
        tables = tomllib.loads(content, parse_float=_decimal) if file.suffix.lower() == ".toml" else _json(content)
    except RecursionError:
        raise ProblemError(f"{source}: must not nest brackets this deeply; a problem needs four levels") from None
    except tomllib.TOMLDecodeError as refused:
        raise ProblemError(f"{source}: must be TOML: {shorten(str(refused), 200)}") from None
    except json.JSONDecodeError as refused:
        reason = shorten(refused.msg, 150)
        raise ProblemError(
            f"{source}: must be JSON: {reason} (at line {refused.lineno}, column {refused.colno})"
        ) from None
    except _RepeatedKey as refused:
        raise ProblemError(f"{source}: {refused}") from None
    except ValueError:  # tomllib's int() refuses more than 4300 digits, without saying where
        raise ProblemError(f"{source}: must have integers of at most 4300 digits; write longer ones as text") from None
    return tables, source


def _json(content: str) -> Any:
    return json.loads(
        content, parse_float=_decimal, parse_int=_integer, parse_constant=Decimal, object_pairs_hook=_table
    )


def _decimal(written: str) -> Decimal | str:
    try:
        return Decimal(written)
    except InvalidOperation:  # an exponent beyond Decimal's own range: as text it is refused with its key
        return written


def _integer(written: str) -> int | Decimal:
    # int(text) refuses more than 4300 digits; what is longer is refused, or read in full, where its key is known
    return int(written) if len(written) < 4000 else Decimal(written)


class _RepeatedKey(ValueError):
    pass


def _table(pairs: list[tuple[str, object]]) -> JsonObject:
    table: JsonObject = {}
    for key, value in pairs:
        if key in table:
            raise _RepeatedKey(f"the key {brief(key)} must be given once in a table, got it twice")
        table[key] = value
    return table
