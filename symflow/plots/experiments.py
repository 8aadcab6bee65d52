"""Pictures of an experiment: the paper's two panels, the distance to the flow itself, and what accuracy costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from symflow.plots.style import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, STYLE, VERMILION, Dash, Look

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from symflow.analysis.experiments import NetworkResult

COLOURS = (VERMILION, ORANGE, GREEN, BLUE, PURPLE)
DASHES: tuple[Dash, ...] = ("solid", (0, (6, 2)), (0, (4, 1.5, 1, 1.5)), (0, (2, 1.5)), (0, (1, 1.2)))
TITLES = {
    "linear": "Fully connected, linear activation",
    "relu": "Fully connected, ReLU activation",
    "conv": "Convolutional, ReLU activation, no pooling",
    "conv-max-pool": "Convolutional, ReLU activation, max pooling, with biases",
}
FLOW = "flow"


def experiment_figure(found: NetworkResult, data: str) -> Figure:
    """Four panels against time: loss, distances from the base run, distances from the flow; and error against cost.

    Args:
        found: what to draw.
        data: what it was trained on, for the title.
    """
    with matplotlib.rc_context(STYLE):
        fig = Figure(figsize=(8.6, 6.4))
        fig.set_layout_engine("constrained", w_pad=0.08, h_pad=0.08)
        fig.suptitle(f"{TITLES[found.name]}, {data}", fontsize=11)
        loss, base, flow, cost = fig.subplots(2, 2).flat
        _draw_loss(loss, found)
        _draw_base(base, found)
        _draw_flow(flow, found)
        _draw_cost(cost, found)
        for ax, letter in zip((loss, base, flow, cost), "abcd", strict=True):
            ax.set_title(f"({letter})", loc="left", fontsize=10)
        for ax in (loss, base, flow):
            ax.set_xlim(0, found.times[-1])
            ax.set_xlabel(r"time $t=k\eta$")
    return fig


def _label(ratio: int) -> str:
    return r"$\eta_0$" if ratio == 1 else rf"$\eta_0/{ratio}$"


def _looks(found: NetworkResult) -> list[tuple[int, Look]]:
    """A colour and a dash for every run."""
    return [
        (ratio, {"color": COLOURS[i % len(COLOURS)], "linestyle": DASHES[i % len(DASHES)]})
        for i, ratio in enumerate(found.runs)
    ]


def _draw_loss(ax: Axes, found: NetworkResult) -> None:
    ax.plot(found.times, found.flow.loss, color=GREY, linewidth=4, alpha=0.5, label=FLOW)
    for ratio, look in _looks(found):
        ax.plot(found.times, found.runs[ratio].loss, label=_label(ratio), **look)
    ax.set_ylim(bottom=0)
    ax.set_ylabel("training loss")
    ax.legend()


def _draw_base(ax: Axes, found: NetworkResult) -> None:
    """As the paper draws it: everything on the scale of the distance travelled."""
    ax.plot(found.times, found.runs[1].from_start, color=BLACK, linewidth=1.8, label=r"$\eta_0$ from $\theta(0)$")
    for ratio, look in _looks(found)[1:]:
        ax.plot(found.times, found.runs[ratio].from_base, label=rf"$\eta_0$ from {_label(ratio)}", **look)
    ax.set_ylim(bottom=-0.02 * float(found.runs[1].from_start.max()))
    ax.set_ylabel("distance")
    ax.legend(loc="center right")


def _draw_flow(ax: Axes, found: NetworkResult) -> None:
    """The distances that the paper could not see, above the error of what they are measured from."""
    ax.set_yscale("log")
    for ratio, look in _looks(found):
        ax.plot(found.times, _positive(found.runs[ratio].from_flow), label=_label(ratio), **look)
    error = found.flow.error
    ax.plot(found.times, error, color=GREY, linewidth=1.2, drawstyle="steps-pre", label="error of the flow, estimated")
    low, high = _limits([error, *(run.from_flow for run in found.runs.values())])
    ax.set_ylim(low, high)
    ax.fill_between(found.times, low, np.nan_to_num(error, nan=low), color=GREY, alpha=0.25, linewidth=0, step="pre")
    ax.yaxis.set_major_locator(LogLocator(numticks=8))
    ax.set_ylabel("distance from the flow")
    ax.legend(loc="lower left", bbox_to_anchor=(0.0, 1.06), ncols=3, columnspacing=1.2, handlelength=2.2)


def _draw_cost(ax: Axes, found: NetworkResult) -> None:
    """Largest distance from the reference against gradient evaluations, double logarithmic."""
    ax.set_xscale("log")
    ax.set_yscale("log")
    runs = list(found.runs.values())
    ax.plot([r.iterations for r in runs], [r.from_flow.max() for r in runs], color=GREY, linewidth=0.8, zorder=1)
    for run, (ratio, look) in zip(runs, _looks(found), strict=True):
        ax.plot(run.iterations, run.from_flow.max(), "o", color=look["color"])
        place: Look = {"xytext": (5, 3), "textcoords": "offset points", "fontsize": 9}
        ax.annotate(_label(ratio), (run.iterations, run.from_flow.max()), **place)
    loose = found.flow.tolerances[:-1]
    ax.plot(
        [t.evaluations for t in loose],
        [t.difference.max() for t in loose],
        color=BLACK,
        marker="s",
        linewidth=0.8,
        label=f"flow, {found.flow.solver}, by rtol",
    )
    for t in loose:
        at = (t.evaluations, t.difference.max())
        ax.annotate(f"{t.rtol:.0e}", at, xytext=(-7, -3), textcoords="offset points", fontsize=9, ha="right")
    ax.plot([], [], "o-", color=GREY, linewidth=0.8, label="descent")
    ax.margins(0.2, 0.1)
    ax.set_xlabel("gradient evaluations")
    ax.set_ylabel(f"largest distance from rtol {found.flow.tolerances[-1].rtol:.0e}")
    ax.legend(loc="lower left", bbox_to_anchor=(0.0, 1.06), ncols=2)


def _positive(values: np.ndarray) -> np.ndarray:
    """For a logarithmic axis: the start, where all distances are zero, is left out."""
    return np.where(values > 0, values, np.nan)


def _limits(curves: Sequence[np.ndarray]) -> tuple[float, float]:
    """A range that holds the curves from their tenth time on: what comes before is on its way from zero."""
    later = np.concatenate([c[len(c) // 10 :] for c in curves])
    positive = later[np.isfinite(later) & (later > 0)]
    return (float(positive.min()) / 3, float(positive.max()) * 2) if positive.size else (1e-3, 1.0)
