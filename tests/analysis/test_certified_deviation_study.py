"""Certified deviations of the 200 problems of `test_bounds_study`: values over the truth are 1 within 1e-30.

The table is `tests/studies/certified_deviations.md` (thorough). The truth that values are compared with in addition is
of a flow and a descent with 30 more digits.
"""

from __future__ import annotations

import statistics
from collections import Counter
from datetime import date
from importlib.metadata import version
from pathlib import Path

import mpmath
import pytest
from test_bounds_study import STEP_SIZE, problem

import symflow as sf

TABLE = Path(__file__).parent.parent / "studies" / "certified_deviations.md"
DIGITS, MORE = 50, 30
WITHIN = mpmath.mpf(10) ** -30


class Study:
    """What was found, by family."""

    def __init__(self, seeds: range) -> None:
        self.certified: Counter[str] = Counter()
        self.other: Counter[tuple[str, str]] = Counter()
        self.ratios: dict[str, list[float]] = {}
        self.at_rest: Counter[str] = Counter()
        for seed in seeds:
            self.add(seed)

    def add(self, seed: int) -> None:
        kind, p = problem(seed)
        family = "linear" if kind == "linear" else "(leaky) ReLU"
        try:
            dev = sf.deviation(p, dps=DIGITS, bounds=())
        except sf.KinkError as stopped:
            self.other[family, f"no flow: {stopped.cause}"] += 1
            return
        assert dev.error is not None
        if dev.error.how != "certified":
            self.other[family, "estimated"] += 1
            return
        self.certified[family] += 1
        self.compare(p, dev)
        pairs = [(v, r) for v, r in zip(dev.values, dev.radii, strict=True) if v > 1e-20]
        if not pairs:
            self.at_rest[family] += 1
            return
        with mpmath.workdps(DIGITS + MORE):
            largest = max((v + r) / (v - r) - 1 for v, r in pairs)
        assert largest <= WITHIN, seed
        self.ratios.setdefault(family, []).append(float(mpmath.log10(largest)))

    @staticmethod
    def compare(p: sf.Problem, dev: sf.Deviation) -> None:
        """Each value is within its radius of the truth, at three times."""
        count = len(dev.times)
        flow = sf.solve_flow(p, dps=DIGITS + MORE, error=None)
        steps = [round(dev.times[row] / p.step_size) for row in (1, count // 2, count - 1)]
        run = sf.descend(p, steps=steps[-1], keep=steps, dps=DIGITS + MORE, error=None)
        with mpmath.workdps(DIGITS + 2 * MORE):
            for row, k in zip((1, count // 2, count - 1), steps, strict=True):
                pairs = zip(run(k * p.step_size), flow(k * p.step_size), strict=True)
                truth = mpmath.sqrt(sum((a - b) ** 2 for a, b in pairs))
                assert abs(dev.values[row] - truth) <= dev.radii[row]

    def markdown(self, count: int) -> str:
        versions = ", ".join(f"{name} {version(name)}" for name in ("mpmath", "gmpy2", "python-flint"))
        lines = [
            "# Certified deviations",
            "",
            f"The {count} problems of `tests/analysis/test_bounds_study.py` at {DIGITS} digits (step size {STEP_SIZE}, "
            f"horizons 1 to 4), {date.today()}, symflow {sf.__version__}, {versions}. The ratio is the largest "
            "possible one, (value + radius) / (value - radius), at any time at which descent has moved; its "
            f"distance from 1 was below 1e-30 in all that are certified. "
            f"Values at three times were compared with runs at {DIGITS + MORE} "
            "digits: none was further from it than its radius.",
            "",
            "| problems | certified | ratio - 1, median | ratio - 1, largest | at rest |",
            "|---|---|---|---|---|",
        ]
        for family, found in sorted(self.certified.items(), reverse=True):
            logs = self.ratios[family]
            lines.append(f"| {family} | {found} | 1e{statistics.median(logs):.1f} | 1e{max(logs):.1f} | "
                         f"{self.at_rest[family]} |")  # fmt: skip
        lines += [f"| {family}, {why} | {number} | | | |" for (family, why), number in sorted(self.other.items())]
        return "\n".join(lines) + "\n"


def test_deviations_of_two_problems_are_certified() -> None:
    found = Study(range(3, 7, 3))
    assert sum(found.certified.values()) == 2


@pytest.mark.thorough
def test_deviations_of_two_hundred_problems_are_certified() -> None:
    study = Study(range(200))
    TABLE.write_text(study.markdown(200), encoding="utf-8")
    assert sum(study.certified.values()) >= 180
