"""Pictures of a deviation: how far descent strays, what the bounds say, loss and sharpness beside it."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from symflow.analysis.bounds import BoundSeries
    from symflow.analysis.deviation import Deviation

# Okabe and Ito's colours, told apart by colour-blind people; the dashes tell the lines apart in black and white.
BLACK, GREY = "#000000", "#8a8a8a"
ORANGE, SKY, GREEN, BLUE, VERMILION, PURPLE = "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7"
LOOK: dict[str, tuple[str, Any, str]] = {
    "R18": (ORANGE, (0, (4, 2)), r"leading order $\eta\,\|e(t)\|$ (R18)"),
    "R22": (BLUE, (0, (7, 2)), "bound R22"),
    "R4": (VERMILION, (0, (7, 2, 1.5, 2)), "bound R4"),
}
STYLE: dict[str, Any] = {
    "font.family": ["STIXGeneral", "DejaVu Serif"],
    "font.size": 10,
    "mathtext.fontset": "stix",
    "text.usetex": False,
    "axes.titlesize": 10,
    "axes.labelsize": 10,
    "axes.linewidth": 0.7,
    "axes.grid": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "white",
    "axes.edgecolor": "black",
    "axes.labelcolor": "black",
    "axes.unicode_minus": True,
    "figure.facecolor": "white",
    "savefig.facecolor": "auto",
    "savefig.bbox": None,
    "text.color": "black",
    "xtick.color": "black",
    "ytick.color": "black",
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "xtick.direction": "out",
    "ytick.direction": "out",
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "lines.markersize": 4,
    "path.simplify": True,
    "svg.fonttype": "path",
    "svg.hashsalt": "symflow",
}
DECADES_ABOVE = 7
"""A bound more than so many decades above the largest deviation leaves the picture."""


@contextmanager
def _style() -> Iterator[None]:
    with matplotlib.rc_context(STYLE):
        yield


def plot_deviation(dev: Deviation, ax: Axes | None = None) -> Axes:
    """Deviation, bounds and leading order against time on a logarithmic scale.

    Args:
        dev: What to draw.
        ax: Where; a new figure if left out (reach it as ``ax.figure``).
    """
    if ax is None:
        with _style():
            drawn: Axes = Figure(figsize=(5.6, 3.9), layout="constrained").add_subplot()
            _draw_deviation(drawn, dev)
        return drawn
    _draw_deviation(ax, dev)
    return ax


def figure(dev: Deviation) -> Figure:
    """The picture of `symflow run`: the deviation, and beside it loss and sharpness."""
    with _style():
        fig = Figure(figsize=(8.4, 4.4), layout="constrained")
        grid = fig.add_gridspec(2, 2, width_ratios=(1.45, 1))
        left = fig.add_subplot(grid[:, 0])
        _draw_deviation(left, dev)
        loss = fig.add_subplot(grid[0, 1], sharex=left)
        _draw_loss(loss, dev)
        sharp = fig.add_subplot(grid[1, 1], sharex=left)
        _draw_sharpness(sharp, dev)
        loss.tick_params(labelbottom=False)
        loss.set_xlabel("")
    return fig


def render(fig: Figure, kind: str, dpi: int = 200) -> bytes:
    """A figure as the content of a file; the same figure gives the same bytes.

    Args:
        fig: What to save.
        kind: "svg" or "png".
        dpi: Resolution of a PNG.
    """
    buffer = io.BytesIO()
    metadata: dict[str, Any] = {"Date": None, "Creator": "symflow"} if kind == "svg" else {"Software": "symflow"}
    with _style():
        fig.savefig(buffer, format=kind, dpi=dpi, metadata=metadata)
    return buffer.getvalue()


def _floats(values: Sequence[Any]) -> np.ndarray:
    """Values for a logarithmic axis: what is missing, zero or infinite is left out of the line."""
    numbers = np.array([np.nan if v is None else float(v) for v in values])
    numbers[~(np.isfinite(numbers) & (numbers > 0))] = np.nan
    return numbers


def _draw_deviation(ax: Axes, dev: Deviation) -> None:
    times = np.array([float(t) for t in dev.times])
    values = _floats(dev.values)
    lines = []
    top = np.nanmax(values) if np.isfinite(values).any() else 1.0
    limit = top * 10.0**DECADES_ABOVE
    for name in ("R4", "R22", *[n for n in dev.bounds if n not in LOOK]):
        if name in dev.bounds and (bound := _floats(dev.bounds[name].values))[1:].size and np.isfinite(bound).any():
            colour, dashes, label = LOOK.get(name, (GREEN, (0, (1.5, 1.5)), f"bound {name}"))
            lines += ax.plot(times, bound, color=colour, linestyle=dashes, linewidth=1.3, label=label)
            top = max(top, min(limit, float(np.nanmax(bound))))
    lines += ax.plot(times, values, color=BLACK, linewidth=1.9, label=r"deviation $\|\theta_k-\theta(k\eta)\|$")
    if "R18" in dev.bounds and np.isfinite(leading := _floats(dev.bounds["R18"].values)).any():
        colour, dashes, label = LOOK["R18"]
        lines += ax.plot(times, leading, color=colour, linestyle=dashes, linewidth=1.3, label=label)
    if dev.rounding is not None and np.isfinite(rounding := _floats(dev.rounding)).any():
        label = "of it float64 rounding"
        lines += ax.plot(times, rounding, color=GREY, linestyle=(0, (1, 1.6)), linewidth=1.0, label=label)
    events = _mark_events(ax, dev)
    ax.set_yscale("log")
    lowest = [float(np.nanmin(y)) for line in lines if np.isfinite(y := np.asarray(line.get_ydata(), float)).any()]
    if lowest:
        ax.set_ylim(min(lowest) / 3, top * 3)
    ax.set_xlim(0, times[-1])
    ax.set_xlabel(r"time $t=k\eta$")
    ax.set_ylabel("distance in parameter space")
    handles = lines + ([events] if events is not None else [])
    ax.legend(handles=handles, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, handlelength=2.8)


def _mark_events(ax: Axes, dev: Deviation) -> Any:
    """Thin vertical lines at the kink events; the handle for the legend, or None."""
    handle = None
    for e in dev.flow.events:
        handle = ax.axvline(float(e.time), color=GREY, linewidth=0.6, alpha=0.8, zorder=0.5, label="kink crossed by the flow")
    return handle


def _draw_loss(ax: Axes, dev: Deviation) -> None:
    times = np.array([float(t) for t in dev.times])
    flow, descent = dev.flow_series.loss, dev.descent_series.loss
    _mark_events(ax, dev)
    ax.plot(times, flow, color=BLACK, linewidth=1.6, label="flow")
    ax.plot(times, descent, color=ORANGE, linestyle=(0, (4, 2)), linewidth=1.3, label="descent")
    ax.set_ylabel(r"loss $f$")
    ax.set_xlabel(r"time $t=k\eta$")
    ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, borderaxespad=0.1)


def _draw_sharpness(ax: Axes, dev: Deviation) -> None:
    times = np.array([float(t) for t in dev.times])
    ax.set_xlabel(r"time $t=k\eta$")
    ax.set_ylabel("Hessian eigenvalues")
    _mark_events(ax, dev)
    flow, descent = dev.flow_series, dev.descent_series
    if flow.max_eigenvalue is None or flow.min_eigenvalue is None or descent.max_eigenvalue is None:
        ax.text(0.5, 0.5, "not computed", transform=ax.transAxes, ha="center", va="center", color=GREY)
        ax.set_yticks([])
        return
    ax.axhline(0, color=GREY, linewidth=0.6, zorder=0.5)
    ax.plot(times, flow.max_eigenvalue, color=BLUE, linewidth=1.6, label=r"$\lambda_{\max}$")
    ax.plot(times, descent.max_eigenvalue, color=SKY, linestyle=(0, (4, 2)), linewidth=1.2)
    ax.plot(times, flow.min_eigenvalue, color=VERMILION, linewidth=1.6, label=r"$\lambda_{\min}$")
    if descent.min_eigenvalue is not None:
        ax.plot(times, descent.min_eigenvalue, color=ORANGE, linestyle=(0, (4, 2)), linewidth=1.2)
    ceiling = 2 / float(dev.step_size)
    highest = float(max(flow.max_eigenvalue.max(), descent.max_eigenvalue.max()))
    if ceiling <= 4 * highest:
        ax.axhline(ceiling, color=PURPLE, linestyle=(0, (1, 1)), linewidth=1.2, label=r"$2/\eta$")
    else:
        ax.plot([], [], " ", label=rf"$2/\eta={ceiling:.4g}$, above")
    ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, borderaxespad=0.1, handlelength=1.8)
