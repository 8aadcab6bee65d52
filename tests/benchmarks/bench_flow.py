"""Gradient flow from problem to endpoint: symflow against mpmath.odefun and, where it is installed, heyoka.

    python tests/benchmarks/bench_flow.py [--rounds 5] [--digits 30,50,100,200,500] [--odefun 50]

Everything runs in one process and interleaved: round after round each contender solves the problem once, and the
table holds medians. symflow's time covers everything from the problem record to the endpoint -- derivation, recurrence,
integration -- without the second run for the error estimate. The others get the equations for free, as well written as
they can be: moments instead of samples, every product shared, associated from the narrower side of the network.
odefun is driven at the digits asked for (its own default guard); heyoka compiles in compact mode, and its time is
given with and without its compilation. `agreement` is the number of digits to which each endpoint agrees with a
symflow run at 20 digits more.

Exit status 1 where symflow takes more than a tenth of odefun's time at 50 digits.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import platform
import statistics
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import mpmath

from symflow.problem import load_problem
from symflow.trajectory.flow import solve_flow

PROBLEM = Path(__file__).parents[1] / "problem" / "reference" / "linear-2-2-2-1.json"
REQUIRED_RATIO = 10
REQUIRED_DIGITS = 50

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


def run_symflow(path: Path, dps: int) -> tuple[float, list[Any]]:
    """Seconds from the problem record to the endpoint, and the endpoint.

    The record is built anew each time, so that nothing that a run remembers with its objective is reused.
    """
    problem = load_problem(path)
    start = time.perf_counter()
    trajectory = solve_flow(problem, dps=dps, estimate_error=False)
    endpoint = list(trajectory(problem.horizon))
    return time.perf_counter() - start, endpoint


def run_odefun(path: Path, dps: int) -> tuple[float, list[Any]]:
    """mpmath's Taylor integrator on plain lists."""
    problem = load_problem(path)
    with mpmath.workdps(dps):
        equations = Equations(problem, lambda q: mpmath.mpf(q.numerator) / q.denominator, mpmath.fdot)
        start = time.perf_counter()
        theta0 = [mpmath.mpf(q.numerator) / q.denominator for q in problem.theta0]
        solution = mpmath.odefun(lambda t, theta: equations(theta), 0, theta0)
        endpoint = solution(mpmath.mpf(problem.horizon.numerator) / problem.horizon.denominator)
        return time.perf_counter() - start, list(endpoint)


def run_heyoka(path: Path, dps: int) -> tuple[float, float, list[Any]]:
    """heyoka's adaptive Taylor integrator in multiprecision: seconds to build and compile, seconds to run, endpoint."""
    import heyoka

    problem = load_problem(path)
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
    with mpmath.workdps(dps + 10):
        endpoint = [mpmath.mpf(str(v)) for v in integrator.state]
    return built - start, end - built, endpoint


def agreement(endpoint: list[Any], truth: list[Any], dps: int) -> str:
    """Digits to which the endpoint is right."""
    with mpmath.workdps(dps + 30):
        error = max(abs(a - b) / max(1, abs(b)) for a, b in zip(endpoint, truth, strict=True))
        return "all" if not error else f"{float(-mpmath.log10(error)):.1f}"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--digits", default="30,50,100,200,500")
    parser.add_argument("--odefun", default="50", help="digits at which odefun takes part")
    parser.add_argument("--problem", type=Path, default=PROBLEM)
    options = parser.parse_args()
    odefun_digits = {int(d) for d in options.odefun.split(",") if d}
    try:
        import heyoka

        peer = heyoka.__version__
    except ImportError:
        peer = ""
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("symflow", "mpmath", "gmpy2")]
    print(f"{options.problem.stem}, {datetime.date.today()}, medians of {options.rounds} interleaved rounds, seconds")
    print(f"Python {platform.python_version()}, {', '.join(versions)}, heyoka {peer or 'not installed'}")
    columns = ["digits", "symflow", "odefun", "ratio", "heyoka", "ratio", "and compile", "ratio", "agreement"]
    print("  ".join(f"{c:>12}" for c in columns))
    failed = False
    run_symflow(options.problem, 15)  # imports and caches of the interpreter, which no contender is charged for
    for dps in [int(d) for d in options.digits.split(",")]:
        times: dict[str, list[float]] = {"symflow": [], "odefun": [], "run": [], "whole": []}
        ends: dict[str, list[Any]] = {}
        for _ in range(options.rounds):
            seconds, ends["s"] = run_symflow(options.problem, dps)
            times["symflow"].append(seconds)
            if dps in odefun_digits:
                seconds, ends["o"] = run_odefun(options.problem, dps)
                times["odefun"].append(seconds)
            if peer:
                compiling, seconds, ends["h"] = run_heyoka(options.problem, dps)
                times["run"].append(seconds)
                times["whole"].append(compiling + seconds)
        truth = run_symflow(options.problem, dps + 20)[1]
        median = {name: statistics.median(values) for name, values in times.items() if values}
        cells = [f"{dps}", f"{median['symflow']:.4f}"]
        for name in ("odefun", "run", "whole"):
            known = name in median
            cells += [f"{median[name]:.4f}", f"{median[name] / median['symflow']:.2f}"] if known else ["-", "-"]
        cells.append("/".join(agreement(ends[k], truth, dps) if k in ends else "-" for k in "soh"))
        print("  ".join(f"{c:>12}" for c in cells), flush=True)
        if dps == REQUIRED_DIGITS and "odefun" in median:
            failed = median["odefun"] < REQUIRED_RATIO * median["symflow"]
    print("agreement: digits of symflow/odefun/heyoka at the endpoint")
    print("ratio: the peer's time over symflow's (above 1: symflow is faster)")
    if failed:
        print(f"symflow takes over 1/{REQUIRED_RATIO} of odefun's time at {REQUIRED_DIGITS} digits", file=sys.stderr)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
