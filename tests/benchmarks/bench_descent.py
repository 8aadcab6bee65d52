"""Descent with digits: steps by the compiled kernel against the same steps in Python.

    python tests/benchmarks/bench_descent.py [--steps 1000] [--digits 30,50,100,200] [--only TEXT]

Processor time of `descend` from the problem to its last iterate, in microseconds a step, derivation and the writing of
the program included; the kernel has been loaded before. "certified" is with proved errors, by the kernel in fixed point
with radii and in Python in FLINT's balls; fixed point is with `error=None`, where both compute the same integers. The
better of two runs each, one after the other. Ratios above 1: the kernel is faster. "-": `descend` stays in Python.
"""

from __future__ import annotations

import argparse
import random
import time
from fractions import Fraction
from typing import Any

import symflow as sf
from symflow.paths import fixed_descent
from symflow.paths.certified import descent as certified_descent
from symflow.paths.loops import Steps
from symflow.paths.native_steps import written_step

WIDTHS = ((2, 2, 1), (2, 2, 2, 1), (2, 3, 3, 2), (3, 4, 4, 3), (4, 5, 5, 4), (6, 6, 6, 6))
"""6, 10, 21, 40, 65 and 108 parameters."""
GRADIENT_DESCENT = sf.GradientDescent()
METHODS = (sf.HeavyBall("9/10"), sf.Nesterov("9/10"), sf.Adam("9/10", "99/100", "1/1000"))
CASES: list[tuple[tuple[int, ...], str, str, sf.Method]] = [
    *((widths, "linear", "square", GRADIENT_DESCENT) for widths in WIDTHS),
    *((widths, "relu", "square", GRADIENT_DESCENT) for widths in WIDTHS),
    *((widths, "relu", "cross-entropy", GRADIENT_DESCENT) for widths in WIDTHS[2:5:2]),
    ((2, 3, 3, 2), "tanh", "square", GRADIENT_DESCENT),
    *(((2, 3, 3, 2), "relu", "square", method) for method in METHODS),
]
SAMPLES = 6
MANY = 10**6
FEWER = {"cross-entropy": 4, "tanh": 4}
"""By how much fewer steps are made where functions take most of the time."""


def problem(widths: tuple[int, ...], activation: str, loss: str) -> sf.Problem:
    """A network with random rational data."""
    rng = random.Random(sum(widths))

    def rows(width: int) -> list[list[str]]:
        return [[str(Fraction(rng.randint(-10, 10), 10)) for _ in range(width)] for _ in range(SAMPLES)]

    data: dict[str, Any] = {"x": rows(widths[0])}
    data |= {"labels": [i % widths[-1] for i in range(SAMPLES)]} if loss == "cross-entropy" else {"y": rows(widths[-1])}
    network = {"widths": list(widths), "activation": activation}
    return sf.Problem(network=network, loss={"kind": loss}, data=data, init={"scheme": "xavier", "seed": 1})


def seconds(given: sf.Problem, method: sf.Method, steps: int, dps: int, error: Any, kernel: bool) -> float:
    """Processor time of one run."""
    chosen = written_step if kernel else (lambda steps: None)
    fixed_descent.written_step = certified_descent.written_step = chosen
    started = time.process_time()
    sf.descend(given, step_size="1/100", steps=steps, dps=dps, every=steps, method=method, error=error)
    return time.process_time() - started


def by_kernel(given: sf.Problem, method: sf.Method) -> bool:
    """Whether runs with proved errors go by the kernel."""
    found = written_step(Steps(given.compact, method, Fraction(1, 100), MANY))
    return found is not None and not found.calls


def row(case: tuple[tuple[int, ...], str, str, sf.Method], steps: int, dps: int) -> str:
    """A line of the table."""
    widths, activation, loss, method = case
    given = problem(widths, activation, loss)
    steps //= FEWER.get(loss, 1) * FEWER.get(activation, 1)
    cells = ["-".join(map(str, widths)), f"{activation}, {loss}", method.name, len(given.theta0), dps, steps]
    for error in ("certified", None):
        if error == "certified" and not by_kernel(given, method):
            spent = min(seconds(given, method, steps, dps, error, kernel=False) for _ in range(2))
            cells += ["-", f"{spent / steps * 1e6:.1f}", "-"]
            continue
        times = [[seconds(given, method, steps, dps, error, kernel) for kernel in (True, False)] for _ in range(2)]
        ours, python = (min(pair) / steps * 1e6 for pair in zip(*times, strict=True))
        cells += [f"{ours:.1f}", f"{python:.1f}", f"{python / ours:.1f}"]
    return "| " + " | ".join(map(str, cells)) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--digits", default="30,50,100,200")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    heads = ["widths", "network", "method", "P", "digits", "steps"]
    heads += ["certified, µs", "in balls", "ratio", "fixed point, µs", "in Python", "ratio"]
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    seconds(problem((2, 2, 1), "linear", "square"), GRADIENT_DESCENT, 5000, 20, None, kernel=True)
    for case in CASES:
        for dps in map(int, options.digits.split(",")):
            if options.only in f"{case[1]} {case[2]} {case[3].name} {dps}":
                print(row(case, options.steps, dps), flush=True)


if __name__ == "__main__":
    main()
