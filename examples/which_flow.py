"""Which flow does descent with momentum follow? Its modified equations of order 0 to 2, and what its velocity forgets.

Run: python examples/which_flow.py [FOLDER]     (writes which_flow.png there, or in the current folder)
"""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import mpmath
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import symflow as sf

ORDERS = range(3)
PROBLEM = {
    "network": {"kind": "fully-connected", "widths": [2, 2, 1], "activation": "linear"},
    "data": {"x": [["1/2", "-3/10"], ["7/10", "1"]], "y": [["1"], ["-1/4"]]},
    "init": {"theta": ["3/10", "1/5", "-1/4", "2/5", "1/2", "-1/3"]},
}


def main(folder: Path = Path()) -> list[float]:
    """Prints distances for two step sizes, plots them for the smaller one, returns the observed orders."""
    problem, method = sf.Problem(**PROBLEM), sf.HeavyBall("1/2")
    print(sf.modified_equation(problem.objective, order=1, method=method).latex())
    runs = {
        eta: [
            sf.deviation(problem, step_size=eta, horizon=1, dps=20, method=method, order=p, bounds=[]) for p in ORDERS
        ]
        for eta in (Fraction(1, 100), Fraction(1, 200))
    }
    print("order   distance at the end with step size 1/100, 1/200   observed order")
    observed = []
    for p in ORDERS:
        coarse, fine = (runs[eta][p].on_manifold[-1] for eta in runs)
        observed.append(float(mpmath.log(coarse / fine, 2)))
        print(f"{p:>5}   {mpmath.nstr(coarse, 4):>22} {mpmath.nstr(fine, 4):>18}   {observed[-1]:>20.2f}")
    figure = Figure(figsize=(6, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for p, run in zip(ORDERS, runs[Fraction(1, 200)], strict=True):
        times = [float(t) for t in run.times]
        axes.semilogy(times, [float(v) for v in run.on_manifold], label=f"order {p}")
    assert run.transient is not None
    axes.semilogy(times, [float(v) or float("nan") for v in run.transient], ":", label="forgotten by the velocity")
    axes.set(xlabel=r"time $t=k\eta$", ylabel="distance from the flow")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    figure.savefig(folder / "which_flow.png", dpi=150)
    return observed


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path())
