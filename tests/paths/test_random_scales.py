"""Random problems with numbers from 1e-30 to 1e4 and horizons from 1e-6 to 1e6: no flow is silently wrong.

The truth comes from `plain_scales`: closed forms, or SciPy where two of its implicit solvers agree. Ten cheap
problems, and 500 (thorough), whose table is written to `tests/studies/flow_scales.md`; a part of them is run by
`python tests/paths/test_random_scales.py FIRST LAST`, one line a problem.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
import scipy
from plain_scales import Truth, Undecided, draw

import symflow as sf

TABLE = Path(__file__).parent.parent / "studies" / "flow_scales.md"
ORDINARY = 1e5
"""Of problems with T sup ||H|| up to this at most 5 % may stop."""
TIME_LIMIT, STIFF_TIME_LIMIT = 120, 10
"""Seconds for a flow, its second run included: for those, and for stiffer ones, which need as many steps."""
CHEAP = (2, 4, 5, 10, 17, 18, 19, 40, 43, 62)
"""One or two of most families, a tenth of a second each."""
RELATIVE = 1e-3
"""A value as large as its start has lost its digits where its relative error is beyond this."""


@dataclass(frozen=True)
class Score:
    """What became of one problem.

    Attributes:
        seed: its number.
        kind: its family.
        digits: those asked for.
        verdict: "right", "lost" (right to 10^-digits max(1, |value|), but a tiny value is not right to three digits),
            "wrong", "stop", "undecided" (by the oracle).
        cause: of the stop, or why the oracle does not decide.
        stiffness: T sup ||H||; NaN where the oracle does not know it.
        error: largest error over what is allowed; NaN without a flow or an oracle.
        seconds: of the flow.
    """

    seed: int
    kind: str
    digits: int
    verdict: str
    cause: str
    stiffness: float
    error: float
    seconds: float

    def __str__(self) -> str:
        return (
            f"{self.seed:4d} {self.verdict:9s} {self.cause:22s} digits {self.digits} T sup||H|| {self.stiffness:8.1e} "
            f"error/allowed {self.error:8.1e} {self.seconds:5.1f} s  {self.kind}"
        )


def judged(values: Any, start: Any, digits: int, truth: Truth) -> tuple[str, float]:
    """The verdict on a flow's end, and its largest error over what is allowed."""
    worst, lost = mpmath.mpf(0), False
    for value, first, right, tolerance in zip(values, start, truth.values, truth.tolerance, strict=True):
        allowed = mpmath.mpf(10) ** -digits * max(1, abs(right)) + tolerance
        error = abs(value - right)
        worst = max(worst, error / allowed) if error == error else mpmath.inf
        kept = abs(right) >= abs(first) / 10 and tolerance < RELATIVE * abs(right) / 10
        lost = lost or (kept and error > RELATIVE * abs(right))
    if not worst <= 1:
        return "wrong", float(worst)
    return "lost" if lost else "right", float(worst)


def score(seed: int) -> Score:
    """Solves the problem of a seed and compares with the truth."""
    drawn = draw(seed)
    truth, unknown = None, ""
    try:
        truth = drawn.truth()
    except Undecided as error:
        unknown = str(error)
    clock = time.perf_counter()

    def scored(verdict: str, cause: str = "", error: float = np.nan) -> Score:
        stiffness = np.nan if truth is None else truth.stiffness
        return Score(seed, drawn.kind, drawn.digits, verdict, cause, stiffness, error, time.perf_counter() - clock)

    explodes = truth is not None and truth.explodes
    limit = TIME_LIMIT if truth is not None and truth.stiffness <= ORDINARY else STIFF_TIME_LIMIT
    try:
        flow = sf.solve_flow(drawn.problem, dps=drawn.digits, time_limit=limit)
        end = flow(drawn.problem.horizon)
    except sf.FlowStopped as stop:
        return scored("right" if explodes else "stop", stop.cause)
    except sf.ComputationError:
        return scored("right" if explodes else "stop", "digits")
    except Exception as error:  # an error that symflow does not raise on purpose is one of the faults looked for
        return scored("wrong", type(error).__name__)
    if truth is None:
        return scored("undecided", unknown)
    if explodes:
        return scored("wrong", "the flow explodes")
    with mpmath.workdps(420):
        start = [mpmath.mpf(v.numerator) / v.denominator for v in drawn.problem.theta0]
        verdict, error = judged(end, start, drawn.digits, truth)
    return scored(verdict, error=error)


def scores(seeds: Iterable[int]) -> Iterator[Score]:
    """The scores of some problems, one after the other."""
    yield from map(score, seeds)


def table(found: list[Score]) -> str:
    """The study as Markdown."""
    verdicts = Counter(s.verdict for s in found)
    known = [s for s in found if s.stiffness == s.stiffness]
    ordinary = [s for s in known if s.stiffness <= ORDINARY]
    stops = Counter((s.cause, "ordinary" if s in ordinary else "stiffer") for s in found if s.verdict == "stop")
    families = sorted({s.kind for s in found})
    names = ("right", "lost", "wrong", "stop", "undecided")
    stopped = sum(s.verdict == "stop" for s in ordinary)
    lines = [
        "# Flows of random problems with numbers from 1e-30 to 1e4",
        "",
        f"{len(found)} problems of `tests/paths/test_random_scales.py`, at 15, 20 or 50 digits, at most "
        f"{TIME_LIMIT} s each ({STIFF_TIME_LIMIT} s where T sup‖H‖ > {ORDINARY:.0e}), {date.today()}, symflow "
        f"{sf.__version__}, gmpy2 {version('gmpy2')}, SciPy {scipy.__version__}, mpmath {mpmath.__version__}.",
        "",
        "| outcome | problems |",
        "|---|---|",
        f"| right | {verdicts['right']} |",
        f"| right, but a tiny value has no three digits | {verdicts['lost']} |",
        f"| wrong | {verdicts['wrong']} |",
        f"| typed stop | {verdicts['stop']} |",
        f"| not decided by the oracle | {verdicts['undecided']} |",
        "",
        f"Of {len(ordinary)} problems known to have T sup‖H‖ ≤ {ORDINARY:.0e}, {stopped} stop "
        f"({stopped / max(1, len(ordinary)):.1%}).",
        "",
        "| cause of the stop | T sup‖H‖ ≤ 1e5 | larger or not known |",
        "|---|---|---|",
        *(f"| {c} | {stops[c, 'ordinary']} | {stops[c, 'stiffer']} |" for c in sorted({c for c, _ in stops})),
        "",
        "| family | " + " | ".join(names) + " |",
        "|---|" + "---|" * len(names),
    ]
    for family in families:
        counts = Counter(s.verdict for s in found if s.kind == family)
        lines.append(f"| {family} | " + " | ".join(str(counts[name]) for name in names) + " |")
    wrong = [s for s in found if s.verdict in ("wrong", "lost")]
    late = [s for s in found if s.cause == "time-limit"]
    for title, listed in (("Wrong or lost", wrong), ("Out of time", late)):
        if listed:
            lines += ["", f"{title}: seeds {', '.join(str(s.seed) for s in listed)}."]
    return "\n".join([*lines, ""])


def test_ten_random_problems() -> None:
    found = list(scores(CHEAP))
    assert [s.verdict for s in found] == ["right"] * len(CHEAP), "\n".join(map(str, found))


def test_the_judge_refuses_a_wrong_end() -> None:
    """Off in the last digit asked for; a tiny value that is lost; NaN; and the oracle's own doubt counts."""
    truth = Truth([mpmath.mpf(3), mpmath.mpf("1e-30")], [0.0, 0.0], 1.0)
    start = [mpmath.mpf(1), mpmath.mpf("1e-30")]
    with mpmath.workdps(60):
        assert judged(truth.values, start, 20, truth)[0] == "right"
        assert judged([3 + mpmath.mpf("4e-20"), truth.values[1]], start, 20, truth)[0] == "wrong"
        assert judged([mpmath.nan, truth.values[1]], start, 20, truth)[0] == "wrong"
        assert judged([mpmath.mpf(3), mpmath.mpf(0)], start, 20, truth)[0] == "lost"
        doubtful = Truth(truth.values, [1e-9, 0.0], 1.0)
        assert judged([3 + mpmath.mpf("4e-20"), truth.values[1]], start, 20, doubtful)[0] == "right"


@pytest.mark.thorough
def test_five_hundred_random_problems() -> None:
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        found = list(pool.map(score, range(500)))
    TABLE.write_text(table(found), encoding="utf-8")
    assert not [s for s in found if s.verdict == "wrong"]
    ordinary = [s for s in found if s.stiffness <= ORDINARY]
    assert sum(s.verdict == "stop" for s in ordinary) <= 0.05 * len(ordinary)


def main(first: int, last: int) -> None:
    """Prints the scores of the seeds from `first` to before `last`, and their table."""
    found = []
    for one in scores(range(first, last)):
        found.append(one)
        print(one, flush=True)
    print(table(found))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
