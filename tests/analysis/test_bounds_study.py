"""Random small problems, linear, ReLU and leaky, depths 2 to 4: no bound that applies lies below the truth.

Truth: flow and descent at 50 digits; the smallest Hessian eigenvalue at 50 digits at three times. 20 problems, and 200
(thorough), whose table is written to `tests/studies/bounds.md`.
"""

from __future__ import annotations

import random
import statistics
from collections import Counter
from datetime import date
from fractions import Fraction
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import mpmath
import numpy as np
import pytest

import symflow as sf
from symflow.analysis.bounds.tube_bounds import TUBE_BOUNDS
from symflow.analysis.tightness import TightnessTable

TABLE = Path(__file__).parent.parent / "studies" / "bounds.md"
KINDS = ("linear", "relu", "leaky-relu")
STEP_SIZE = "1/1000"
CERTIFIED = tuple(rule.name for rule in TUBE_BOUNDS)
BOUNDS = [b for b in sf.known_bounds() if b.name != "R18"]
"""R18 is a leading order: it may lie on either side of the truth."""


def problem(seed: int) -> tuple[str, sf.Problem]:
    """Widths <= 4, 2-6 samples, horizons 1-4; all numbers multiples of 1/100 in [-1, 1]."""
    rng = random.Random(seed)
    depth, kind = 2 + seed % 3, KINDS[(seed // 3) % 3]
    widths = [*(rng.randint(1, 4) for _ in range(depth)), rng.randint(1, 2)]
    samples = rng.randint(2, 6)

    def number() -> Fraction:
        return Fraction(rng.randint(-100, 100), 100)

    network: dict[str, object] = {"widths": widths, "activation": kind}
    if kind == "leaky-relu":
        network["slope"] = "1/5"
    return kind, sf.Problem(
        network=network,
        data={
            "x": [[number() for _ in range(widths[0])] for _ in range(samples)],
            "y": [[number() for _ in range(widths[-1])] for _ in range(samples)],
        },
        init={"theta": [number() for _ in range(sum(a * b for a, b in pairwise(widths)))]},
        run={"horizon": str(rng.randint(1, 4)), "step_size": STEP_SIZE},
    )


def below_the_truth(table: TightnessTable) -> list[str]:
    """The bounds with a value on the wrong side of the truth."""
    dev = table.deviation
    wrong = [
        name
        for name, b in dev.bounds.items()
        if b.kind == "bound" and any(v is not None and t > v for v, t in zip(b.values, dev.values, strict=True))
    ]
    hessian = sf.hessian(dev.problem.objective)
    for row in (0, len(dev.times) // 2, len(dev.times) - 1):
        matrix = sf.evaluate_mpmath(hessian, list(dev.flow(dev.times[row])), dps=50)
        bounds = {name: b.values[row] for name, b in dev.bounds.items() if b.kind == "curvature"}
        highest = max((value for value in bounds.values() if value is not None), default=None)
        if highest is not None and not spectrum_lies_above(matrix, highest):
            wrong += [n for n, value in bounds.items() if value is not None and not spectrum_lies_above(matrix, value)]
    return wrong


def spectrum_lies_above(matrix: np.ndarray, bound: float) -> bool:
    """Whether H - (bound - 1e-40) I has a Cholesky factor at 50 digits."""
    with mpmath.workdps(50):
        shifted = mpmath.matrix(matrix.tolist()) - (mpmath.mpf(bound) - mpmath.mpf("1e-40")) * mpmath.eye(len(matrix))
        try:
            mpmath.cholesky(shifted)
        except ValueError:
            return False
    return True


class Study:
    """What was found on many problems."""

    def __init__(self, seeds: range) -> None:
        self.problems: Counter[str] = Counter()
        self.stopped: Counter[str] = Counter()
        self.applies: Counter[tuple[str, str]] = Counter()
        self.ratios: dict[tuple[str, str], list[float]] = {}
        self.sharpest: dict[str, list[float]] = {}
        self.wrong: list[tuple[int, str]] = []
        for seed in seeds:
            self.add(seed)

    def add(self, seed: int) -> None:
        kind, p = problem(seed)
        try:
            table = sf.tightness(p, dps=50, slack=False, bounds=BOUNDS)
        except sf.KinkError as error:
            self.stopped[error.cause] += 1
            return
        family = "linear" if kind == "linear" else "(leaky) ReLU"
        self.problems[family] += 1
        self.wrong += [(seed, name) for name in below_the_truth(table)]
        for row in table.rows:
            if row.until_end:
                self.applies[family, row.name] += 1
            if row.ratio is not None and row.until_end:
                self.ratios.setdefault((family, row.name), []).append(float(row.ratio))
        best = table.sharpest
        if best is not None:
            self.sharpest.setdefault(family, []).append(float(best.ratio))

    def check(self) -> None:
        """What holds of every problem."""
        assert self.wrong == []
        for name in ("R4", "R22"):
            assert self.applies["linear", name] == self.problems["linear"]

    def check_shares(self) -> None:
        """What holds of most problems."""
        self.check()
        for name in ("R4", "R22"):
            assert self.applies["(leaky) ReLU", name] >= 0.4 * self.problems["(leaky) ReLU"]
        assert self.applies["linear", "R22(tube-free)"] >= 0.9 * self.problems["linear"]
        assert statistics.median(self.sharpest["linear"]) <= 50

    def markdown(self, count: int) -> str:
        used = ", ".join(f"{name} {version(name)}" for name in ("mpmath", "gmpy2", "jax"))
        lines = [
            "# Bounds beside the truth on random problems",
            "",
            f"{count} problems of `tests/analysis/test_bounds_study.py` (depths 2 to 4, widths at most 4, step size "
            f"{STEP_SIZE}, horizons 1 to 4) at 50 digits, {date.today()}, symflow {sf.__version__}, {used}.",
            "",
            f"Bounds below the truth: {len(self.wrong)}.  Flows that stopped at a kink: {sum(self.stopped.values())}.",
        ]
        for family, total in sorted(self.problems.items(), reverse=True):
            best = self.sharpest.get(family, [])
            lines += [
                "",
                f"## {family}: {total} problems",
                "",
                "Sharpest certified bound that applies to the end, bound / truth there: median "
                f"{statistics.median(best):.3g}, largest {max(best):.3g} ({len(best)} problems).",
                "",
                "| bound | applies to the end | median ratio | largest ratio |",
                "|---|---|---|---|",
            ]
            for (where, name), ratios in self.ratios.items():
                if where == family:
                    share = f"{self.applies[family, name]} of {total}"
                    lines.append(f"| {name} | {share} | {statistics.median(ratios):.3g} | {max(ratios):.3g} |")
        return "\n".join(lines) + "\n"


@pytest.mark.parametrize("first", [0, 5, 10, 15])
def test_no_bound_lies_below_the_truth_on_twenty_problems(first: int) -> None:
    Study(range(first, first + 5)).check()


@pytest.mark.thorough
def test_no_bound_lies_below_the_truth_on_two_hundred_problems() -> None:
    study = Study(range(200))
    TABLE.write_text(study.markdown(200), encoding="utf-8")
    study.check_shares()


@pytest.mark.thorough
def test_a_study_over_ten_step_sizes_of_one_flow() -> None:
    """eta = 2^-k / 10 on [0, 10] at 50 digits with all bounds: none is wrong, and all become linear in eta."""
    p = sf.load_problem(TABLE.parent.parent / "problem" / "reference" / "linear-2-2-2-1.json")
    flow = sf.solve_flow(p, horizon=10, dps=50)
    ends = []
    for k in range(10):
        eta = Fraction(1, 10 * 2**k)
        table = sf.tightness(p, step_size=eta, horizon=10, dps=50, flow=flow, slack=False)
        assert below_the_truth(table) == []
        ends.append({row.name: row.value / table.deviation.values[-1] for row in table.rows if row.until_end})
    assert {"R4", "R22", *CERTIFIED} <= set(ends[-1])
    for name in ("R4", "R22", *CERTIFIED):
        assert abs(ends[-1][name] / ends[-2][name] - 1) < 0.02


def test_the_study_has_teeth() -> None:
    """A bound of half of R22 is refuted on the very first problem."""
    _, p = problem(0)
    table = sf.tightness(p, dps=30, slack=False, bounds=[b for b in sf.known_bounds() if b.name in ("R22", "R9(e)")])
    dev = table.deviation
    values = dev.bounds["R22"].values
    assert any(t > v / 2 for v, t in zip(values, dev.values, strict=True))


def test_the_spectrum_is_looked_at_closely() -> None:
    """[[2, 3], [3, 2]] has the eigenvalues -1 and 5."""
    matrix = np.array([[mpmath.mpf(2), mpmath.mpf(3)], [mpmath.mpf(3), mpmath.mpf(2)]])
    assert spectrum_lies_above(matrix, -1.0)
    assert not spectrum_lies_above(matrix, -1 + 1e-15)


def test_the_committed_table_names_every_bound() -> None:
    text = TABLE.read_text(encoding="utf-8")
    assert "Bounds below the truth: 0." in text
    for name in ("R4", "R22", *CERTIFIED, "R9(e)", "R11", "R12(e)"):
        assert f"| {name} |" in text
