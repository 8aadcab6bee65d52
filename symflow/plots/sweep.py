"""A sweep: the largest deviation of each task against what varies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from symflow.plots.style import BLACK, BLUE, drawn, legend_inside, style, width_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from symflow.analysis.sweeps.sweep import Sweep

AXES = {
    "step_size": r"step size $\eta$",
    "scale": "scale of the initialization",
    "width": "width",
    "depth": "depth",
    "seed": "seed",
}
"""What may vary, the first that does is drawn against."""


APART = 40
"""Least distance of two labels of the axis, in points."""


def plot_sweep(found: Sweep, ax: Axes | None = None) -> Axes:
    """The largest deviations of the tasks that are done, on logarithmic scales, and their medians.

    Args:
        found: what to draw.
        ax: where; a new figure of pyplot if left out (reach it as ``ax.figure``).
    """
    return drawn(ax, lambda axes: _draw(axes, found))


def sweep_figure(found: Sweep) -> Figure:
    """The picture of a sweep alone, without pyplot."""
    with style():
        fig = Figure(figsize=(4.8, 3.2), layout="constrained")
        _draw(fig.add_subplot(), found)
    return fig


def _draw(ax: Axes, found: Sweep) -> None:
    table = found.floats()
    done = table[table["status"] == "done"]
    if "max_deviation" not in done or not len(done):
        ax.text(0.5, 0.5, "no task is done that has a deviation", ha="center", transform=ax.transAxes)
        return
    name = next((n for n in AXES if done[n].nunique() > 1), "step_size")
    x, y = (done[n].to_numpy(dtype=float, na_value=np.nan) for n in (name, "max_deviation"))
    ax.plot(x, y, ".", color=BLUE, alpha=0.5, markersize=4)
    places = np.unique(x[np.isfinite(x)])
    if len(places) < len(done):
        medians = [np.nanmedian(y[x == v]) for v in places]
        legend_inside(ax, ax.plot(places, medians, "-o", color=BLACK, markersize=3, label="median"))
    if name in ("step_size", "scale"):
        ax.set_xscale("log")
        if np.ptp(np.log10(places)) < 1.5:  # too narrow for powers of ten alone, and others would cover one another
            ax.set_xticks(_spread(places, int(width_of(ax) / APART)))
            ax.xaxis.set_major_formatter("{x:.3g}")
            ax.xaxis.set_minor_locator(NullLocator())
    if (y > 0).any():
        ax.set_yscale("log")
    ax.set_xlabel(AXES[name])
    ax.set_ylabel(r"$\max_k\,\|\theta_k-\theta(k\eta)\|$")


def _spread(places: np.ndarray, most: int) -> list[float]:
    """Values far enough from one another on a logarithmic axis with room for so many labels, the ends first."""
    least = np.ptp(np.log10(places)) / max(most - 1, 1)
    kept = [places[0], places[-1]] if len(places) > 1 else [places[0]]
    for place in places[1:-1]:
        if np.abs(np.log10(np.array(kept) / place)).min() >= least:
            kept.append(place)
    return [float(v) for v in kept]
