"""A study of ten step sizes: linear-2-2-2-1, eta = 2^-k / 10 for k = 0, ..., 9, T = 10, 50 digits, all bounds, a plot.

    python tests/benchmarks/bench_deviation.py [PICTURE]

Prints the seconds from the first import to the picture (goal: under 30 on two cores) and, for each step size, the
deviation at T and the ratio of the sharpest certified bound to it.
"""

import time

START = time.perf_counter()

import sys  # noqa: E402 -- the clock starts before anything is loaded
from fractions import Fraction  # noqa: E402
from pathlib import Path  # noqa: E402

from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

import symflow as sf  # noqa: E402

PROBLEM = Path(__file__).parents[1] / "problem" / "reference" / "linear-2-2-2-1.json"


def main(picture: Path) -> None:
    problem = sf.load_problem(PROBLEM)
    flow = sf.solve_flow(problem, horizon=10, dps=50)
    etas = [Fraction(1, 10 * 2**k) for k in range(10)]
    tables = [sf.tightness(problem, step_size=eta, horizon=10, dps=50, flow=flow, slack=False) for eta in etas]
    figure = Figure(figsize=(6, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    ends = [table.deviation.values[-1] for table in tables]
    axes.loglog([float(eta) for eta in etas], [float(v) for v in ends], "k-o", label="deviation at T = 10")
    for name in [row.name for row in tables[-1].rows if row.kind == "bound"]:
        known = [(float(eta), float(t[name].value)) for eta, t in zip(etas, tables, strict=True) if t[name].until_end]
        axes.loglog(*zip(*known, strict=True), label=name)
    axes.set(xlabel="step size", ylabel="distance")
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(picture, dpi=150)
    seconds = time.perf_counter() - START
    print("| step size | deviation at T | sharpest certified bound / deviation |\n|---|---|---|")
    for eta, table, end in zip(etas, tables, ends, strict=True):
        best = table.sharpest
        shown = "none to the end" if best is None else f"{float(best.ratio):.4g} ({best.name})"
        print(f"| {eta} | {float(end):.4g} | {shown} |")
    print(f"\n{seconds:.1f} s")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("deviation-study.png"))
