"""A sweep: the largest deviation of each task against what varies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from symflow.plots.style import BLACK, BLUE, drawn

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


def plot_sweep(found: Sweep, ax: Axes | None = None) -> Axes:
    """The largest deviations of the tasks that are done, on logarithmic scales, and their medians.

    Args:
        found: what to draw.
        ax: where; a new figure of pyplot if left out (reach it as ``ax.figure``).
    """
    return drawn(ax, lambda axes: _draw(axes, found))


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
        ax.plot(places, [np.nanmedian(y[x == v]) for v in places], "-o", color=BLACK, markersize=3, label="median")
        ax.legend()
    if name in ("step_size", "scale"):
        ax.set_xscale("log")
    if (y > 0).any():
        ax.set_yscale("log")
    ax.set_xlabel(AXES[name])
    ax.set_ylabel(r"$\max_k\,\|\theta_k-\theta(k\eta)\|$")
