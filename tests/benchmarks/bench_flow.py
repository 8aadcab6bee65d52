# Long: three programs side by side, each with its own equations, and two tables of them.
"""Gradient flow from problem to endpoint: symflow against heyoka (where it is installed) and mpmath.odefun.

    python tests/benchmarks/bench_flow.py [--rounds 5] [--digits 30,50,100,200,500] [--odefun 50] [--out DIR]
        [--peer FILE] [--problems NAME,...] [--parameters] [--processor-time]

Everything runs in one warm process and interleaved: round after round each contender solves each problem once, and the
table holds medians. symflow's total covers everything from the problem record to the endpoint -- derivation,
recurrence, integration, the check of the energy identity -- without the second run for the error estimate; its
integration is `stats.seconds`. The others get the equations for free, as
well written as they can be: moments instead of samples, every product shared, associated from the narrower side of the
network. odefun is driven at the digits asked for (its own default guard); heyoka compiles in compact mode, and its
time is given with and without building and compiling. `--peer` takes heyoka's side from a file with a function
`solve(problem, dps, horizon)` -> (seconds to build and compile, seconds to run, endpoint as decimal strings) instead.
`agreement` is the number of digits to which each endpoint agrees with a symflow run at 20 digits more.

`--parameters` adds the cost against the number of parameters at 30, 50 and 100 digits, `--out` writes the tables
(Markdown) and plots (PNG). Flows end where `HORIZONS` says: heyoka takes minutes for a step of 500 digits.
`--processor-time` counts the time of processors instead of the clock's, for both sides: a busy machine matters less.

Exit status 1 where symflow takes more than a tenth of odefun's time at 50 digits.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import importlib.util
import itertools
import json
import os
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import mpmath

from symflow.paths.flow import solve_flow
from symflow.problem import Problem

REFERENCE = Path(__file__).parents[1] / "problem" / "reference" / "linear-2-2-2-1.json"
REQUIRED_RATIO = 10
REQUIRED_DIGITS = 50
PARAMETER_DIGITS = (30, 50, 100)
HORIZONS, PARAMETER_HORIZONS = {200: "1", 500: "1/4"}, {30: "1/2", 50: "1/4", 100: "1/16"}
"""Where flows end, by digits, the ones against digits at 10 otherwise."""
PARAMETER_WIDTHS = ([2, 2, 1], [2, 2, 2, 1], [2, 3, 3, 2], [3, 4, 4, 3], [4, 5, 5, 4], [6, 6, 6, 6])
"""6, 10, 21, 40, 65 and 108 parameters."""
LABELS = {
    "integration": "symflow, integration",
    "run": "heyoka, integration",
    "symflow": "symflow, total",
    "whole": "heyoka, build and compile included",
    "odefun": "odefun",
}
COMPARED = {"run": "integration", "whole": "symflow", "odefun": "symflow"}
"""A peer's time, and which of symflow's it is compared with."""
PARTS = {"symflow": ("integration", "symflow"), "heyoka": ("run", "whole")}
"""The names of the times of a contender, integration alone and all."""

Record = dict[str, Any]
"""A problem as its file has it."""

Matrix = list[list[Any]]


class Equations:
    """theta' = -grad f of a linear network with square loss over any numbers, written by hand.

    With E = Lambda_yx - W_{n:1} Sigma_xx layer j moves along W_{n:j+1}^T E W_{j-1:1}^T. All products are built from the
    side of the network that keeps them narrow, and none twice.

    Args:
        problem: the problem.
        number: turns a rational into a number.
        dot: the inner product of two lists of numbers.
    """

    def __init__(self, problem: Any, number: Callable[[Fraction], Any], dot: Callable[[Any, Any], Any]) -> None:
        self.widths = [int(d) for d in problem.network.widths]
        self.dot = dot
        x, y, samples = problem.x.T, problem.y.T, len(problem.x)
        self.sigma = [[number(q / samples) for q in row] for row in x.dot(x.T)]
        self.target = [[number(q / samples) for q in row] for row in y.dot(x.T)]

    def times(self, a: Matrix, b: Matrix) -> Matrix:
        columns = list(zip(*b, strict=True))
        return [[self.dot(row, column) for column in columns] for row in a]

    def __call__(self, theta: list[Any]) -> list[Any]:
        weights: list[Matrix] = []
        at = 0
        for columns, rows in zip(self.widths, self.widths[1:], strict=False):
            weights.append([theta[at + r * columns : at + (r + 1) * columns] for r in range(rows)])
            at += rows * columns
        n = len(weights)
        directions: list[Matrix] = []
        if self.widths[0] <= self.widths[-1]:
            below = [weights[0]]  # W_{j:1}
            for w in weights[1:]:
                below.append(self.times(w, below[-1]))
            back = self.residual(below[-1])  # W_{n:j+1}^T E
            for j in range(n - 1, 0, -1):
                directions.append(self.times(back, transposed(below[j - 1])))
                back = self.times(transposed(weights[j]), back)
            directions.append(back)
            directions.reverse()
        else:
            above = [weights[-1]]  # W_{n:j}
            for w in reversed(weights[:-1]):
                above.append(self.times(above[-1], w))
            carried = self.residual(above[-1])  # E W_{j-1:1}^T
            for j in range(n - 1):
                directions.append(self.times(transposed(above[n - 2 - j]), carried))
                carried = self.times(carried, transposed(weights[j]))
            directions.append(carried)
        return [v for d in directions for row in d for v in row]

    def residual(self, end_to_end: Matrix) -> Matrix:
        product = self.times(end_to_end, self.sigma)
        return [[t - p for p, t in zip(a, b, strict=True)] for a, b in zip(product, self.target, strict=True)]


def transposed(a: Matrix) -> Matrix:
    return [list(column) for column in zip(*a, strict=True)]


def network_record(widths: Sequence[int], samples: int = 6, horizon: str = "10") -> Record:
    """A linear network with random rational data and start."""
    rng = random.Random(len(widths) * 1000 + sum(widths))

    def rows(count: int, width: int) -> list[list[str]]:
        return [[str(Fraction(rng.randint(-15, 15), 10)) for _ in range(width)] for _ in range(count)]

    count = sum(a * b for a, b in itertools.pairwise(widths))
    return {
        "network": {"kind": "fully-connected", "widths": list(widths), "activation": "linear"},
        "data": {"x": rows(samples, widths[0]), "y": rows(samples, widths[-1])},
        "init": {"theta": [str(Fraction(rng.randint(-8, 8), 10)) for _ in range(count)]},
        "run": {"horizon": horizon},
    }


def records(names: Sequence[str]) -> dict[str, Record]:
    """The reference problem and the benchmark's own network, by name."""
    known = {
        "linear-2-2-2-1": lambda: json.loads(REFERENCE.read_text(encoding="utf-8"))["problem"],
        "linear-2-3-3-2": lambda: network_record([2, 3, 3, 2]),
    }
    return {name: known[name]() for name in names}


@dataclass(frozen=True)
class Timing:
    """Seconds of the integration, and the endpoint; `build` is what else is needed: derivation, compilation, checks."""

    run: float
    endpoint: list[Any]
    build: float = 0.0


Contender = Callable[[Record, int], Timing]


def run_symflow(record: Record, dps: int) -> Timing:
    """From the problem record to the endpoint.

    The record is built anew each time, so that nothing that a run remembers with its objective is reused.
    """
    problem = Problem(**record)
    start = time.perf_counter()
    trajectory = solve_flow(problem, dps=dps, estimate_error=False)
    endpoint = list(trajectory(problem.horizon))
    total = time.perf_counter() - start
    return Timing(trajectory.stats.seconds, endpoint, total - trajectory.stats.seconds)


def run_odefun(record: Record, dps: int) -> Timing:
    """mpmath's Taylor integrator on plain lists."""
    problem = Problem(**record)
    with mpmath.workdps(dps):
        equations = Equations(problem, lambda q: mpmath.mpf(q.numerator) / q.denominator, mpmath.fdot)
        start = time.perf_counter()
        theta0 = [mpmath.mpf(q.numerator) / q.denominator for q in problem.theta0]
        solution = mpmath.odefun(lambda t, theta: equations(theta), 0, theta0)
        endpoint = solution(mpmath.mpf(problem.horizon.numerator) / problem.horizon.denominator)
        return Timing(time.perf_counter() - start, list(endpoint))


def run_heyoka(record: Record, dps: int) -> Timing:
    """heyoka's adaptive Taylor integrator in multiprecision."""
    import heyoka

    problem = Problem(**record)
    bits = int(dps * 3.3219) + 12

    def number(q: Fraction) -> Any:
        return heyoka.real(q.numerator, bits) / heyoka.real(q.denominator, bits)

    def dot(a: Any, b: Any) -> Any:
        return heyoka.sum([p * q for p, q in zip(a, b, strict=True)])

    start = time.perf_counter()
    state = heyoka.make_vars(*[f"w{i}" for i in range(len(problem.theta0))])
    field = Equations(problem, lambda q: heyoka.expression(number(q)), dot)(state)
    integrator = heyoka.taylor_adaptive(
        list(zip(state, field, strict=True)),
        [number(q) for q in problem.theta0],
        fp_type=heyoka.real,
        prec=bits,
        compact_mode=True,
    )
    built = time.perf_counter()
    integrator.propagate_until(number(problem.horizon))
    end = time.perf_counter()
    return Timing(end - built, _numbers([str(v) for v in integrator.state], dps), built - start)


def peer_of(path: Path) -> Contender:
    """The peer that a file with `solve(problem, dps, horizon)` is."""
    spec = importlib.util.spec_from_file_location("peer", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def run(record: Record, dps: int) -> Timing:
        build, seconds, endpoint = module.solve(record, dps, str(record["run"]["horizon"]))
        return Timing(seconds, _numbers(endpoint, dps), build)

    return run


def _numbers(texts: Sequence[str], dps: int) -> list[Any]:
    with mpmath.workdps(dps + 10):
        return [mpmath.mpf(v) for v in texts]


def agreement(endpoint: list[Any], truth: list[Any], dps: int) -> str:
    """Digits to which the endpoint is right."""
    with mpmath.workdps(dps + 30):
        error = max(abs(a - b) / max(1, abs(b)) for a, b in zip(endpoint, truth, strict=True))
        return "all" if not error else f"{float(-mpmath.log10(error)):.0f}"


@dataclass(frozen=True)
class Row:
    """Median seconds of each contender on one problem at some digits, by the names in `LABELS`.

    `digits_right` are the digits to which each endpoint is right.
    """

    problem: str
    parameters: int
    dps: int
    horizon: str
    seconds: Mapping[str, float]
    digits_right: Mapping[str, str]


def measure(
    problems: Mapping[str, Record], dps: int, horizon: str, contenders: Mapping[str, Contender], rounds: int
) -> list[Row]:
    """Interleaved rounds, problem by problem and contender by contender."""
    problems = {name: record | {"run": {"horizon": horizon}} for name, record in problems.items()}
    times: dict[tuple[str, str], list[float]] = {}
    ends: dict[tuple[str, str], list[Any]] = {}
    for _ in range(rounds):
        for name, record in problems.items():
            for contender, solve in contenders.items():
                timing = solve(record, dps)
                ends[name, contender] = timing.endpoint
                part, whole = PARTS.get(contender, (contender, contender))
                times.setdefault((name, part), []).append(timing.run)
                if whole != part:
                    times.setdefault((name, whole), []).append(timing.run + timing.build)
    rows = []
    for name, record in problems.items():
        truth = run_symflow(record, dps + 20).endpoint
        seconds = {key: statistics.median(found) for (n, key), found in times.items() if n == name}
        right = {c: agreement(ends[name, c], truth, dps) for c in contenders}
        rows.append(Row(name, len(truth), dps, horizon, seconds, right))
    return rows


def table(rows: Sequence[Row]) -> str:
    """The rows in Markdown; ratios are the peer's time over symflow's (above 1: symflow is faster)."""
    kinds = [key for key in LABELS if any(key in row.seconds for row in rows)]
    heads = ["problem", "P", "digits", "t"]
    for key in kinds:
        heads += [f"{LABELS[key]} (s)", *(["ratio"] if key in COMPARED else [])]
    lines = [[*heads, "digits right"]]
    for row in rows:
        cells = [row.problem, str(row.parameters), str(row.dps), row.horizon]
        for key in kinds:
            known = key in row.seconds
            cells.append(_seconds(row.seconds[key]) if known else "-")
            if key in COMPARED:
                cells.append(f"{row.seconds[key] / row.seconds[COMPARED[key]]:.2f}" if known else "-")
        lines.append([*cells, "/".join(row.digits_right.values())])
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    lines.insert(1, ["-" * (w - 1) + ":" for w in widths])
    return "\n".join("| " + " | ".join(c.rjust(w) for c, w in zip(line, widths, strict=True)) + " |" for line in lines)


def _seconds(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def plot(rows: Sequence[Row], against: str, target: Path) -> None:
    """Seconds against digits or parameters, logarithmic, one panel a problem or a number of digits."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    by_digits = against == "digits"
    panels = list(dict.fromkeys(row.problem if by_digits else f"{row.dps} digits" for row in rows))
    figure, axes = pyplot.subplots(1, len(panels), figsize=(5.2 * len(panels), 4), squeeze=False, layout="constrained")
    for ax, panel in zip(axes[0], panels, strict=True):
        shown = [row for row in rows if not by_digits or row.problem == panel]
        for key, label in LABELS.items():
            points = [(r.dps if by_digits else r.parameters, r.seconds[key]) for r in shown if key in r.seconds]
            if points:
                ax.loglog(*zip(*points, strict=True), marker="o", label=label)
        ax.set(title=panel, xlabel="digits" if by_digits else "parameters", ylabel="seconds, problem to endpoint")
        ticks = sorted({r.dps if by_digits else r.parameters for r in shown})
        ax.set_xticks(ticks, [str(t) for t in ticks])
        ax.minorticks_off()
        ax.grid(alpha=0.3)
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    figure.savefig(target, dpi=130)
    pyplot.close(figure)


def header(options: argparse.Namespace) -> str:
    """What was measured with what."""
    names = ["symflow", "mpmath", "gmpy2", "llvmlite", "python-flint", "heyoka"]
    found = []
    for name in names:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            found.append(f"{name} not installed")
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return (
        f"{datetime.date.today()}, medians of {options.rounds} interleaved rounds, seconds "
        f"{'of processor time ' if options.processor_time else ''}from problem to endpoint\n"
        f"Python {platform.python_version()}, {', '.join(found)}{load}\n"
        f"ratio: the peer's time over symflow's (above 1: symflow is faster)"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--digits", default="30,50,100,200,500")
    parser.add_argument("--odefun", default="50", help="digits at which odefun takes part")
    parser.add_argument("--problems", default="linear-2-2-2-1,linear-2-3-3-2")
    parser.add_argument("--parameters", action="store_true", help="also measure against the number of parameters")
    parser.add_argument("--processor-time", action="store_true", help="count processor time, not the clock's")
    parser.add_argument("--peer", type=Path, help="a file whose solve(problem, dps, horizon) stands for heyoka")
    parser.add_argument("--out", type=Path, help="folder for flow.md, flow-digits.png and flow-parameters.png")
    options = parser.parse_args()
    if options.processor_time:
        time.perf_counter = time.process_time  # in symflow and in the peer, too
    odefun_digits = {int(d) for d in options.odefun.split(",") if d}
    problems = records([name for name in options.problems.split(",") if name])
    contenders: dict[str, Contender] = {"symflow": run_symflow}
    if importlib.util.find_spec("heyoka") is not None:
        contenders["heyoka"] = run_heyoka if options.peer is None else peer_of(options.peer)
    print(header(options), flush=True)
    for solve in contenders.values():  # imports and caches of the interpreter, which no contender is charged for
        solve(network_record([2, 2, 1], horizon="1"), 20)
    rows: list[Row] = []
    for dps in [int(d) for d in options.digits.split(",") if d]:
        taking_part = contenders | ({"odefun": run_odefun} if dps in odefun_digits else {})
        new = measure(problems, dps, HORIZONS.get(dps, "10"), taking_part, options.rounds)
        rows += new
        print(table(new), flush=True)
    rows.sort(key=lambda row: list(problems).index(row.problem))
    by_size: list[Row] = []
    if options.parameters:
        sizes = {"-".join(map(str, widths)): network_record(widths) for widths in PARAMETER_WIDTHS}
        for dps in PARAMETER_DIGITS:
            by_size += measure(sizes, dps, PARAMETER_HORIZONS[dps], contenders, options.rounds)
        print(table(by_size), flush=True)
    tables = [table(found) for found in (rows, by_size) if found]
    print("\n" + "\n\n".join(tables))
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        text = "\n\n".join([header(options).replace("\n", "\\\n"), *tables]) + "\n"
        (options.out / "flow.md").write_text(text, encoding="utf-8")
        if rows:
            plot(rows, "digits", options.out / "flow-digits.png")
        if by_size:
            plot(by_size, "parameters", options.out / "flow-parameters.png")
    late = [
        row
        for row in rows
        if row.dps == REQUIRED_DIGITS
        and row.seconds.get("odefun", float("inf")) < REQUIRED_RATIO * row.seconds["symflow"]
    ]
    if late:
        print(f"symflow takes over 1/{REQUIRED_RATIO} of odefun's time at {REQUIRED_DIGITS} digits", file=sys.stderr)
    return int(bool(late))


if __name__ == "__main__":
    sys.exit(main())
