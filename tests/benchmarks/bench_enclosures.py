"""Enclosure benchmarks of other people: single starts to 50 digits, whole boxes, and Robertson's stiff reaction.

    python tests/benchmarks/bench_enclosures.py

Writes `tests/studies/enclosures.md` (about half an hour). Fields, boxes, times, published half-widths and sampled
hulls are those of Zhang & Yap (EnCorelib, Table 2; arXiv 2502.00503 and 2602.00162), Robertson's reaction is that of
ARCH-COMP.
"""

from __future__ import annotations

import datetime
import itertools
import platform
import time
from dataclasses import dataclass
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path

import mpmath
import numpy as np
import sympy

import symflow as sf

TABLE = Path(__file__).parents[1] / "studies" / "enclosures.md"
DIGITS, BOX_DIGITS = 50, 15
x, y, z = sympy.symbols("x y z")
R = sympy.Rational
Box = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Row:
    """One time: the sampled hull, published half-widths, and into how many parts a side each box is cut in turn."""

    time: str
    middle: tuple[float, ...]
    half: tuple[float, ...]
    published: str
    parts: tuple[int, ...]


@dataclass(frozen=True)
class Case:
    name: str
    field: dict[sympy.Symbol, sympy.Expr]
    centre: tuple[int, ...]
    radius: str
    rows: tuple[Row, ...]


CASES = (
    Case(
        "Lotka–Volterra",
        {x: 2 * x - 2 * x * y, y: -y + x * y},
        (1, 3),
        "1/10",
        (
            Row(
                "4",
                (1.4597, 0.1907),
                (0.2541, 0.0247),
                "EnCorelib .26, .03 (2.17 s); CAPD 3.38, .88 (.02); VNODE-LP 3.23, .91 (.39); TM .25, .02 (2.88)",
                (1, 4),
            ),
            Row(
                "5.5",
                (1.0638, 2.9650),
                (0.4157, 0.1237),
                "EnCorelib .42, .13 (22); CAPD none; VNODE-LP invalid; TM .42, .12 (3.94)",
                (1, 8),
            ),
        ),
    ),
    Case(
        "Van der Pol",
        {x: y, y: (1 - x**2) * y - x},
        (-3, 3),
        "1/10",
        (
            Row(
                "1",
                (-2.1271, 0.5770),
                (0.1916, 0.0704),
                "EnCorelib .19, .07 (.89); CAPD .29, .28 (.02); VNODE-LP .90, 3.49 (.17); TM .19, .07 (1.78)",
                (1, 4),
            ),
            Row(
                "2",
                (-1.4271, 0.8931),
                (0.3027, 0.1873),
                "EnCorelib .30, .19 (2.15); CAPD none; VNODE-LP invalid; TM .30, .19 (3.02)",
                (1, 4),
            ),
        ),
    ),
    Case(
        "quadratic",
        {x: y, y: x**2},
        (1, -1),
        "1/20",
        (
            Row(
                "4",
                (-0.6199, 0.2636),
                (0.0893, 0.3932),
                "EnCorelib .09, .40 (2.21); CAPD 7.51, 25.5 (.01); VNODE-LP 22.6, 88.8 (.09); TM .09, .39 (.95)",
                (1, 8),
            ),
        ),
    ),
    Case(
        "FitzHugh–Nagumo",
        {x: x - x**3 / 3 - y + R(1, 2), y: R(8, 100) * (x + R(7, 10) - R(8, 10) * y)},
        (1, 0),
        "1/10",
        (
            Row(
                "4",
                (1.6786, 0.6784),
                (0.0388, 0.0718),
                "EnCorelib .05, .08 (.28); CAPD none; VNODE-LP .07, .11 (.41); TM .04, .07 (4.10)",
                (1, 4),
            ),
        ),
    ),
    Case(
        "Lorenz",
        {x: 10 * (y - x), y: x * (28 - z) - y, z: x * y - R(8, 3) * z},
        (15, 15, 36),
        "1/1000",
        (
            Row(
                "1",
                (-6.9454, 2.9971, 35.1444),
                (0.0309, 0.0096, 0.0391),
                "EnCorelib .03, .01, .04 (.12); CAPD (.10), VNODE-LP (.66), TM (6.60) the same",
                (1,),
            ),
            Row(
                "4",
                (-4.7484, -0.0046, 29.069),
                (0.0520, 0.0548, 0.0328),
                "EnCorelib .07, .07, .07 (35); CAPD none; VNODE-LP invalid; TM .05, .05, .03 (26.9)",
                (1, 2),
            ),
        ),
    ),
    Case(
        "Rössler",
        {x: -y - z, y: x + R(1, 5) * y, z: R(1, 5) + z * (x - R(57, 10))},
        (1, 2, 3),
        "1/10",
        (
            Row(
                "4",
                (1.9599, -2.8774, 0.0460),
                (0.2041, 0.2316, 0.0019),
                "EnCorelib .20, .23, .00 (48.9); CAPD .22, .25, .00 (.07); VNODE-LP .21, .24, .00 (.28); "
                "TM .20, .23, .00 (11.7)",
                (1,),
            ),
        ),
    ),
)
ROBERTSON = ((100, 1000, 600), (1000, 100_000, 600), (1000, 10_000_000, 600))
"""b, c and the time limit in seconds."""
ROUNDING = 6e-5
"""The published hulls have four decimals."""


def point(case: Case, row: Row) -> str:
    """A row of the table of single starts."""
    clock = time.perf_counter()
    found = sf.solve_field(sf.VectorField(case.field), case.centre, horizon=row.time, dps=DIGITS, error="certified")
    seconds = time.perf_counter() - clock
    assert found.error is not None
    at = found.numpy(row.time)
    inside = bool((np.abs(at - row.middle) <= np.array(row.half) + ROUNDING).all())
    state = ", ".join(mpmath.nstr(v, 12) for v in found.at_end())
    error = mpmath.nstr(found.error.value, 2)
    return f"| {case.name} | {row.time} | {state} | {found.error.how} {error} | {seconds:.1f} | {_yes(inside)} |"


def box(case: Case, row: Row, parts: int) -> str:
    """A row of the table of boxes, each side of which is cut into some parts."""
    clock = time.perf_counter()
    try:
        middle, half = _union(case, row, parts)
    except sf.FlowStopped as stopped:
        seconds, end = time.perf_counter() - clock, 0.0 if stopped.trajectory is None else float(stopped.trajectory.end)
        shown = f"none beyond t = {end:.3g} | | |"
    else:
        seconds = time.perf_counter() - clock
        ratio = ", ".join(f"{h / true:.2f}" for h, true in zip(half, row.half, strict=True))
        low, high = middle - half, middle + half
        holds = (low <= np.subtract(row.middle, row.half) + ROUNDING) & (
            high >= np.add(row.middle, row.half) - ROUNDING
        )
        shown = f"{', '.join(f'{np.ceil(1e4 * h) / 1e4:.4f}' for h in half)} | {ratio} | {_yes(bool(holds.all()))} |"
    count = parts ** len(case.centre)
    return f"| {case.name} | {row.time} | {count} | {shown} {seconds:.1f} | {row.published} |"


def _union(case: Case, row: Row, parts: int) -> Box:
    """The hull of the enclosures of all parts, to float64."""
    radius, lows, highs = Fraction(case.radius), [], []
    offsets = [radius * Fraction(2 * i + 1 - parts, parts) for i in range(parts)]
    for moved in itertools.product(offsets, repeat=len(case.centre)):
        start = [c + d for c, d in zip(case.centre, moved, strict=True)]
        found = sf.solve_field(
            sf.VectorField(case.field), start, radius=radius / parts, horizon=row.time, dps=BOX_DIGITS
        )
        middle, reach = found.enclosure(row.time)
        lows.append([float(m - r) for m, r in zip(middle, reach, strict=True)])
        highs.append([float(m + r) for m, r in zip(middle, reach, strict=True)])
    low, high = np.min(lows, axis=0), np.max(highs, axis=0)
    return (low + high) / 2, (high - low) / 2


def robertson(b: int, c: int, seconds: int) -> str:
    """A row of the table of Robertson's reaction; the width of x + y + z is at most 2 sqrt(3) times the error."""
    a = R(2, 5)
    field = sf.VectorField({x: -a * x + b * y * z, y: a * x - b * y * z - c * y**2, z: c * y**2})
    clock = time.perf_counter()
    try:
        found = sf.solve_field(field, [1, 0, 0], horizon=40, dps=20, error="certified", time_limit=seconds)
    except sf.FlowStopped as stopped:
        return f"| {b} | {c} | not reached: {stopped} | | | | {time.perf_counter() - clock:.0f} |"
    taken = time.perf_counter() - clock
    assert found.error is not None
    if found.error.how != "certified":
        return f"| {b} | {c} | {found.error.how}: {found.error.reason} | | | {found.stats.steps} | {taken:.1f} |"
    with mpmath.workdps(60):
        total = mpmath.nstr(abs(sum(found.at_end()) - 1), 2)
        width = mpmath.nstr(2 * mpmath.sqrt(3) * found.error.value, 2)
    weights = ", ".join(f"{w:g}" for w in found.proof.weights) or "1, 1, 1"
    state = ", ".join(mpmath.nstr(v, 12) for v in found.at_end())
    return f"| {b} | {c} | {state} | {width} | {total} | {weights} | {found.stats.steps} | {taken:.1f} |"


def _yes(holds: bool) -> str:
    return "yes" if holds else "NO"


def main() -> None:
    used = ", ".join(f"{name} {version(name)}" for name in ("symflow", "python-flint", "gmpy2", "mpmath"))
    lines = [
        "# Enclosures: benchmarks of other people",
        "",
        f"By `python tests/benchmarks/bench_enclosures.py`, {datetime.date.today()}, {used}, Python "
        f"{platform.python_version()}, {platform.machine()}; seconds on two shared cores, in Python, GMP, FLINT. The "
        "hulls are those of Runge–Kutta images of a grid in the box (Zhang & Yap): inner estimates, what a perfect "
        "tool would print. Published half-widths and seconds: the same source, on an i7-13700HX.",
        "",
        f"## From the centre, to {DIGITS} digits",
        "",
        '`solve_field(..., error="certified")`: the error is that of every component at all times up to t.',
        "",
        "| field | t | solution | error | seconds | in the sampled hull |",
        "|---|---|---|---|---|---|",
    ]
    lines += [_told(point(case, row)) for case in CASES for row in case.rows]
    lines += [
        "",
        "## From whole boxes",
        "",
        "`solve_field(..., radius=...)`: a certified box around all solutions. Where a box is cut into parts, the hull "
        "of the enclosures of all of them. The ratio is the half-width over that of the sampled hull.",
        "",
        "| field | t | parts | half-widths | ratio | contains the hull | seconds | published half-widths (seconds) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [_told(box(case, row, parts)) for case in CASES for row in case.rows for parts in row.parts]
    lines += [
        "",
        "## Robertson's reaction at t = 40",
        "",
        "x' = −0.4x + byz, y' = 0.4x − byz − cy², z' = cy² from (1, 0, 0), 20 digits, certified in the norm ‖W·‖ whose "
        "weights were chosen from the path (`symflow.paths.certified.weights`). x + y + z is exactly 1.",
        "",
        "| b | c | solution | width of x + y + z | off 1 | weights | steps | seconds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [_told(robertson(*row)) for row in ROBERTSON]
    TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _told(line: str) -> str:
    print(line, flush=True)
    return line


if __name__ == "__main__":
    main()
