"""A small valid problem, in the shape of a file, that the tests change one key of."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from symflow.errors import ProblemError
from symflow.problem import Problem


@pytest.fixture
def valid() -> dict[str, Any]:
    """A fresh copy of the valid problem."""
    tables: dict[str, Any] = json.loads((Path(__file__).parent / "valid.json").read_text())
    return tables


@pytest.fixture
def refusal(tmp_path: Path) -> Callable[..., str]:
    """The one line with which a problem is refused, read as from a file next to ``points.csv``."""

    def message(tables: Any) -> str:
        with pytest.raises(ProblemError) as caught:
            Problem.from_mapping(tables, "p.toml", tmp_path)
        line = str(caught.value)
        assert line.startswith(("p.toml: ", str(tmp_path), f"'{tmp_path}"))
        assert line == " ".join(line.split())
        assert len(line) < 600
        for leak in ("pydantic", "Traceback", "validation error", "Fraction(", "<class"):
            assert leak not in line
        assert caught.value.__suppress_context__ or caught.value.__context__ is None
        return line

    return message
