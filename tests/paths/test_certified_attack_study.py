"""Hostile problems: what is certified is true, every stop is typed and one line, and nothing takes for ever.

The table is `tests/studies/certified_attack.md` (thorough).
"""

from __future__ import annotations

import random
from collections import Counter
from datetime import date
from importlib.metadata import version
from pathlib import Path

import mpmath
import pytest

import symflow as sf
from tests.paths.hostile_problems import KINDS, Tables

TABLE = Path(__file__).parent.parent / "studies" / "certified_attack.md"
DIGITS, MORE, SECONDS = 20, 40, 15
OUTCOMES = ("certified", "estimated", "stopped")


def outcome(tables: Tables) -> str:
    """What becomes of a problem."""
    try:
        p = sf.Problem(**tables)
        flow = sf.solve_flow(p, dps=DIGITS, time_limit=SECONDS)
        if flow.error is None or flow.error.how != "certified":
            return "estimated"
        size = max(1, *(abs(v) for v in flow.at_end()))
        beyond = int(mpmath.log10(size))
        finer = sf.solve_flow(p, dps=DIGITS + MORE + beyond, error=None, time_limit=8 * SECONDS)
    except sf.SymflowError as stopped:
        return "stopped" if "\n" not in str(stopped) else "more than a line"
    with mpmath.workdps(DIGITS + 2 * (MORE + beyond)):
        for k in range(9):
            pairs = zip(flow(p.horizon * k / 8), finer(p.horizon * k / 8), strict=True)
            assert mpmath.sqrt(sum((a - b) ** 2 for a, b in pairs)) <= flow.error.value
    return "certified"


def study(seeds: range) -> str:
    """The table."""
    lines = []
    for kind in KINDS:
        found = Counter(outcome(kind(random.Random(f"{kind.__name__} {seed}"))) for seed in seeds)
        assert set(found) <= set(OUTCOMES), kind.__name__
        lines.append(f"| {kind.__name__.replace('_', ' ')} | " + " | ".join(str(found[o]) for o in OUTCOMES) + " |")
    return "\n".join([
        "# Certified flows under attack", "",
        f"{len(seeds)} problems of each kind of `tests/paths/hostile_problems.py` at {DIGITS} digits, at most "
        f"{SECONDS} s each, {date.today()}, symflow {sf.__version__}, python-flint {version('python-flint')}. Every "
        f"proved error was compared at nine times with a run at {DIGITS + MORE} digits or more: none was below the "
        "true one. Every stop was typed, its message one line.", "",
        "| problems | certified | estimated, with the reason | stopped |", "|---|---|---|---|", *lines, "",
    ])  # fmt: skip


@pytest.mark.parametrize("kind", [KINDS[2], KINDS[5], KINDS[9]], ids=lambda kind: kind.__name__)
def test_some_hostile_problems_are_certified(kind: object) -> None:
    assert callable(kind)
    assert [outcome(kind(random.Random(f"attack {seed}"))) for seed in range(2)] == ["certified"] * 2


@pytest.mark.thorough
def test_hostile_problems() -> None:
    TABLE.write_text(study(range(10)), encoding="utf-8")
