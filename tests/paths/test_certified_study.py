"""Certified flows at 50 digits against runs at 120: the table of tests/studies/certified_flows.md (thorough)."""

from __future__ import annotations

import random
import time
from collections import Counter
from datetime import date
from fractions import Fraction
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import mpmath
import pytest

import symflow as sf
from tests.paths.test_random_kinks import problem as kinked

TABLE = Path(__file__).parent.parent / "studies" / "certified_flows.md"
DIGITS, FINER = 50, 120
KINKED, SMOOTH = range(60), range(40)


def smooth(seed: int) -> sf.Problem:
    """A linear network with one of the four losses, numbers in hundredths, horizon 4."""
    rng = random.Random(seed)
    loss = ("square", "logistic", "exponential", "cross-entropy")[seed % 4]
    outputs = 3 if loss == "cross-entropy" else 1
    widths = [rng.randint(1, 3), *(rng.randint(1, 3) for _ in range(rng.randint(0, 2))), outputs]

    def number() -> Fraction:
        return Fraction(rng.randint(-100, 100), 100)

    samples = rng.randint(2, 4)
    data = {"x": [[number() for _ in range(widths[0])] for _ in range(samples)]}
    if loss == "cross-entropy":
        data["labels"] = [rng.randint(0, 2) for _ in range(samples)]
    else:
        data["y"] = [[number() if loss == "square" else rng.choice([-1, 1])] for _ in range(samples)]
    count = sum(a * b for a, b in pairwise(widths))
    init = {"theta": [number() for _ in range(count)]}
    return sf.Problem(network=sf.FullyConnected(tuple(widths)), loss=loss, data=data, init=init, run={"horizon": "4"})


def outcome(p: sf.Problem) -> tuple[str, float, float]:
    """ "certified", why not, or the cause of a stop; log10 of the proved error and of the true one."""
    try:
        flow = sf.solve_flow(p, dps=DIGITS)
    except sf.KinkError as stop:
        return f"no flow: {stop.cause}", 0.0, 0.0
    if flow.error.how != "certified":
        return flow.error.reason.partition(": ")[2], 0.0, 0.0
    finer = sf.solve_flow(p, dps=FINER, error=None)
    with mpmath.workdps(FINER + 20):
        apart = []
        for k in range(9):
            a, b = flow(p.horizon * k / 8), finer(p.horizon * k / 8)
            apart.append(mpmath.sqrt(sum((x - y) ** 2 for x, y in zip(a, b, strict=True))))
        size = max(1, *(abs(v) for v in flow.at_end()))
        assert max(apart) <= flow.error.value <= mpmath.mpf(10) ** -DIGITS * size
        true = float(mpmath.log10(max(apart))) if max(apart) else float("-inf")
        return "certified", float(mpmath.log10(flow.error.value)), true


def study(kinks: range, others: range, seconds: float = float("inf")) -> str:
    """The table; problems after so many seconds are left out, and it says how many there are."""
    lines, started = [], time.monotonic()
    for name, make, seeds in (("linear, four losses", smooth, others), ("(leaky) ReLU", kinked, kinks)):
        found: Counter[str] = Counter()
        proved: list[tuple[float, float]] = []
        for seed in seeds:
            if time.monotonic() - started > seconds:
                break
            how, error, true = outcome(make(seed))
            found[how] += 1
            if how == "certified":
                proved.append((error, true))
        lost = sorted(error - true for error, true in proved if true > float("-inf"))
        lines += [
            f"| {name} | {sum(found.values())} | {found['certified']} | 1e{max(e for e, _ in proved):.1f} | "
            f"1e{lost[len(lost) // 2]:.1f} |",
        ]
        lines += [
            f"| &nbsp;&nbsp; {reason} | {count} | | | |" for reason, count in found.items() if reason != "certified"
        ]
    return "\n".join([
        "# Certified flows", "",
        f"Random problems of `tests/paths/test_certified_study.py` at {DIGITS} digits, each compared at nine times "
        f"with a run at {FINER} digits, {date.today()}, symflow {sf.__version__}, gmpy2 {version('gmpy2')}, "
        f"python-flint {version('python-flint')}. The proved error was below 1e-{DIGITS} max(1, |theta|) and "
        "not below the true one in any.", "",
        "| problems | number | certified to the horizon | largest proved error | proved over true error, median |",
        "|---|---|---|---|---|", *lines, "",
    ])  # fmt: skip


@pytest.mark.thorough
def test_a_hundred_problems_are_certified() -> None:
    TABLE.write_text(study(KINKED, SMOOTH), encoding="utf-8")


def test_a_few_problems_are_certified() -> None:
    assert "| (leaky) ReLU | 2 | 2 |" in study(range(3, 5), range(4))
