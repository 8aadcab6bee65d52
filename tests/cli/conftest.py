"""Files with problems for the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from symflow.plots import style
from tests.cli.printed import AMBIGUOUS, LINEAR


@pytest.fixture
def linear(tmp_path: Path) -> Path:
    """A problem that everything can be computed for."""
    path = tmp_path / "tiny.toml"
    path.write_text(LINEAR, encoding="utf-8")
    return path


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures are a few bytes: drawing them takes most of the time of `run`, where files and words are looked at."""
    monkeypatch.setattr(style, "render", lambda figure, kind, dpi=200: b"<svg></svg>" if kind == "svg" else b"PNG")


@pytest.fixture
def ambiguous(tmp_path: Path) -> Path:
    """A ReLU problem whose flow slides on two kinks until, at t = 2.28, one of them begins to repel."""
    path = tmp_path / "ambiguous.json"
    path.write_text(AMBIGUOUS, encoding="utf-8")
    return path
