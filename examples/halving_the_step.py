"""Does the distance between descent and flow halve with the step size, and does R18 predict it?

Run: python examples/halving_the_step.py [FOLDER]     (writes halving.png there, by default beside this file's caller)
"""

from __future__ import annotations

import itertools
import sys
from fractions import Fraction
from pathlib import Path

import mpmath
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import symflow as sf


def main(folder: Path = Path()) -> list[float]:
    """Prints a table over five step sizes, plots the finest run, returns the observed orders."""
    problem = sf.load_problem(Path(__file__).parent / "linear.toml")
    flow = sf.solve_flow(problem)  # one for all step sizes
    runs = [sf.deviation(problem, step_size=Fraction(1, 25 * 2**k), flow=flow) for k in range(5)]
    print(" step size   max deviation   R18 at the end / truth")
    for run in runs:
        predicted = run.bounds["R18"].values[-1] / run.values[-1]
        print(f" {run.step_size!s:>9}   {mpmath.nstr(run.max, 6):>13}   {mpmath.nstr(predicted, 6)}")
    orders = [float(mpmath.log(a.max / b.max, 2)) for a, b in itertools.pairwise(runs)]
    print("observed orders:", ", ".join(f"{order:.3f}" for order in orders))
    figure = Figure(figsize=(6, 4), layout="constrained")
    FigureCanvasAgg(figure)
    runs[-1].plot(figure.subplots())
    figure.savefig(folder / "halving.png", dpi=150)
    return orders


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path())
