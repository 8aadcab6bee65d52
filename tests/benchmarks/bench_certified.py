"""What a proof costs: certified flows against the run alone and against the estimate, interleaved, medians of ratios.

python -m tests.benchmarks.bench_certified [REPEATS]
"""

from __future__ import annotations

import random
import sys
import time
from datetime import date
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Literal

import symflow as sf

CASES = (((2, 2, 2, 1), 2), ((2, 3, 3, 2), 2), ((4, 5, 5, 4), 1))
DIGITS = (30, 50, 100, 200)
TABLE = Path(__file__).parent.parent / "studies" / "certified_cost.md"


def problem(widths: tuple[int, ...], horizon: int) -> sf.Problem:
    rng = random.Random(1)

    def number() -> Fraction:
        return Fraction(rng.randint(-100, 100), 100)

    count = sum(a * b for a, b in pairwise(widths))
    data = {
        name: [[number() for _ in range(width)] for _ in range(4)]
        for name, width in (("x", widths[0]), ("y", widths[-1]))
    }
    init = {"theta": [number() for _ in range(count)]}
    return sf.Problem(network=sf.FullyConnected(widths), data=data, init=init, run={"horizon": horizon})


def seconds(p: sf.Problem, digits: int, how: Literal["certified", "estimated"] | None) -> float:
    started = time.perf_counter()
    flow = sf.solve_flow(p, dps=digits, error=how)
    assert how != "certified" or flow.error.how == "certified"
    return time.perf_counter() - started


def main(repeats: int) -> None:
    rows = []
    for widths, horizon in CASES:
        p = problem(widths, horizon)
        for digits in DIGITS:
            seconds(p, 15, "certified")
            times = [[seconds(p, digits, how) for how in (None, "estimated", "certified")] for _ in range(repeats)]
            alone = median(t[0] for t in times)
            ratios = [median(t[k] / t[0] for t in times) for k in (1, 2)]
            rows.append(f"| {'-'.join(map(str, widths))} | {p.objective.parameter_count} | {digits} | {alone:.3f} | "
                        f"{ratios[0]:.2f} | {ratios[1]:.2f} |")  # fmt: skip
            print(rows[-1], flush=True)
            write(rows, repeats)


def write(rows: list[str], repeats: int) -> None:
    """The table so far: the larger cases take minutes."""
    text = "\n".join([
        "# The cost of a certified flow", "",
        f"`tests/benchmarks/bench_certified.py`, {date.today()}, symflow {sf.__version__}, two cores; linear networks, "
        f"four samples, square loss, medians of {repeats} interleaved runs, in units of the run alone.", "",
        "| network | P | digits | run alone, s | estimated | certified |", "|---|---|---|---|---|---|", *rows, "",
    ])  # fmt: skip
    TABLE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
