"""Pictures: of a trajectory; of a deviation, what the bounds say, next to loss and sharpness."""

from __future__ import annotations

import io
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from symflow.errors import ComputationError, ProblemError, brief, printable
from symflow.numbers.types import Mpf

try:
    import matplotlib
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator
except ValueError as refused:  # a backend in MPLBACKEND that is not there stops matplotlib itself
    raise ComputationError(
        f"matplotlib does not start ({refused}); unset the environment variable MPLBACKEND or set it to agg"
    ) from None

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.lines import Line2D

    from symflow.analysis.deviation import Deviation
    from symflow.paths.trajectory import Event, Trajectory

Look: TypeAlias = dict[str, Any]
"""Keyword arguments of matplotlib."""
Dash: TypeAlias = str | tuple[int, tuple[float, ...]]

# Okabe and Ito's colours, told apart by colour-blind people; the dashes tell the lines apart in black and white.
BLACK, GREY = "#000000", "#8a8a8a"
ORANGE, GREEN, BLUE, VERMILION, PURPLE = "#E69F00", "#009E73", "#0072B2", "#D55E00", "#CC79A7"
LOOK: dict[str, tuple[str, Dash, str]] = {  # in the order of drawing and of the legend
    "R18": (ORANGE, (0, (4, 2)), r"leading order $\eta\,\|e(t)\|$ (R18)"),
    "R22": (BLUE, (0, (7, 2)), "bound R22"),
    "R4": (VERMILION, (0, (7, 2, 1.5, 2)), "bound R4"),
    "R22(tube-free)": (PURPLE, "solid", "bound R22(tube-free), certified"),
    "R22(tube)": (BLUE, "solid", "bound R22(tube), certified"),
    "R4(tube)": (VERMILION, "solid", "bound R4(tube), certified"),
    "R4(global)": (GREEN, "solid", "bound R4(global), certified"),
    "R5": (GREY, "solid", "bound R5, certified"),
}
STYLE: Any = {
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
COLOURS = (BLACK, ORANGE, GREEN, BLUE, VERMILION, PURPLE)
TIMES, MOST_CURVES = 400, 12
"""Times at which a trajectory is drawn, and the most curves of it."""
DECADES_ABOVE = 7
"""A bound more than so many decades above the largest deviation leaves the picture."""
DECADES_BELOW = 3
"""Rounding more than so many decades below the smallest deviation gets an axis of its own."""


@contextmanager
def _style() -> Iterator[None]:
    with matplotlib.rc_context(STYLE):
        yield


def _drawn(ax: Axes | None, draw: Callable[[Axes], None]) -> Axes:
    """Draws on the axes given, or on those of a new figure in this module's style."""
    if ax is not None:
        if not isinstance(ax, Axes):
            raise ProblemError(f"ax must be axes of matplotlib, got {brief(ax)}; leave it out for a new figure")
        draw(ax)
        return ax
    with _style():
        new: Axes = _new_figure().add_subplot()
        draw(new)
    return new


_opened: list[weakref.ref[Figure]] = []
"""The figures of `_new_figure` that pyplot may still hold, oldest first."""


def _new_figure() -> Figure:
    """A figure of pyplot, which notebooks show below the cell and ``plt.show()`` in a window.

    pyplot holds its figures until they are closed, and warns when they are many: then the oldest of ours is closed.
    A closed figure can still be changed and saved.  Where pyplot has no backend, it is a figure without pyplot.
    """
    look: Look = {"figsize": (5.6, 3.9), "layout": "constrained"}
    try:
        from matplotlib import pyplot as plt

        most = matplotlib.rcParams["figure.max_open_warning"]
        _opened[:] = [ref for ref in _opened if (old := ref()) is not None and plt.fignum_exists(old.number)]
        while 0 < most <= len(plt.get_fignums()) and _opened:
            plt.close(_opened.pop(0)())
        figure: Figure = plt.figure(**look)
    except Exception:  # of a window system that is not there, each in its own way: the picture can still be saved
        return Figure(**look)
    _opened.append(weakref.ref(figure))
    return figure


def label(text: str) -> str:
    """A name that somebody chose, as matplotlib draws it: mathematics where mathtext reads it, else plain text.

    Args:
        text: any text; what stands between dollar signs is meant as mathematics.
    """
    from matplotlib.mathtext import MathTextParser

    shown = printable(" ".join(text.split()))
    try:
        MathTextParser("path").parse(shown)
    except ValueError:
        shown = shown.replace("$", r"\$")
    # matplotlib leaves out of legends what begins with an underscore
    return f" {shown}" if shown.startswith("_") else shown


def plot_deviation(dev: Deviation, ax: Axes | None = None) -> Axes:
    """Deviation, bounds and leading order against time on a logarithmic scale.

    Args:
        dev: What to draw.
        ax: Where; a new figure of pyplot if left out (reach it as ``ax.figure``).
    """
    return _drawn(ax, lambda axes: _draw_deviation(axes, dev))


def plot_trajectory(trajectory: Trajectory, ax: Axes | None = None) -> Axes:
    """The parameters against time, or the norm of each parameter array where there are many; events as thin lines.

    Args:
        trajectory: What to draw.
        ax: Where; a new figure of pyplot if left out (reach it as ``ax.figure``).
    """
    return _drawn(ax, lambda axes: _draw_trajectory(axes, trajectory))


def figure(dev: Deviation) -> Figure:
    """The picture of `symflow run`: the deviation, next to it loss and sharpness.

    Where float64 rounding lies far below everything else it gets a strip of its own, below a break of the axis.
    """
    with _style():
        fig = Figure(figsize=(8.4, 4.4), layout="constrained")
        columns = fig.add_gridspec(1, 2, width_ratios=(1.5, 1))
        if _far_below(dev):
            rows = columns[0].subgridspec(2, 1, height_ratios=(6, 1), hspace=0.0)
            main = fig.add_subplot(rows[0])
            strip = fig.add_subplot(rows[1], sharex=main)
            _draw_deviation(main, dev, strip)
        else:
            main = fig.add_subplot(columns[0])
            _draw_deviation(main, dev)
        halves = columns[1].subgridspec(2, 1)
        loss = fig.add_subplot(halves[0], sharex=main)
        _draw_loss(loss, dev)
        loss.tick_params(labelbottom=False)
        loss.set_xlabel("")
        _draw_sharpness(fig.add_subplot(halves[1], sharex=main), dev)
        main.xaxis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 5, 10]))  # shared by all panels
    return fig


def deviation_figure(dev: Deviation) -> Figure:
    """The deviation and all its bounds alone, the picture of `symflow bounds`."""
    with _style():
        fig = Figure(figsize=(6.4, 5.2), layout="constrained")
        _draw_deviation(fig.add_subplot(), dev)
    return fig


def render(fig: Figure, kind: str, dpi: int = 200) -> bytes:
    """A figure as the content of a file; the same figure gives the same bytes.

    Args:
        fig: What to save.
        kind: "svg" or "png".
        dpi: Resolution of a PNG.
    """
    buffer = io.BytesIO()
    metadata: Look = {"Date": None, "Creator": "symflow"} if kind == "svg" else {"Software": "symflow"}
    with _style():
        fig.savefig(buffer, format=kind, dpi=dpi, metadata=metadata)
    return buffer.getvalue()


def _floats(values: Sequence[Mpf]) -> np.ndarray:
    """Values for a logarithmic axis: what is missing, zero or infinite is left out of the line."""
    numbers = np.array([np.nan if v is None else float(v) for v in values])
    numbers[~(np.isfinite(numbers) & (numbers > 0))] = np.nan
    return numbers


def _far_below(dev: Deviation) -> bool:
    """Whether rounding would squeeze everything else into a corner of a common axis."""
    if dev.rounding is None:
        return False
    rounding, values = _floats(dev.rounding), _floats(dev.values)
    if not (np.isfinite(rounding).any() and np.isfinite(values).any()):
        return False
    return bool(np.nanmax(rounding) < np.nanmin(values) / 10.0**DECADES_BELOW)


def _draw_deviation(ax: Axes, dev: Deviation, strip: Axes | None = None) -> None:
    """Everything that is a distance; rounding that lies far below goes to the strip, or into words without one."""
    times = np.array([float(t) for t in dev.times])
    values = _floats(dev.values)
    curves: list[tuple[np.ndarray, Look]] = [
        (values, {"color": BLACK, "linewidth": 2.2, "label": r"deviation $\|\theta_k-\theta(k\eta)\|$"})
    ]
    above = [n for n, bound in dev.bounds.items() if bound.kind != "curvature"]
    ranked = [*(n for n in LOOK if n in above), *(n for n in above if n not in LOOK)]
    for name in ranked:
        if np.isfinite(bound := _floats(dev.bounds[name].values)).any():
            colour, dashes, said = LOOK.get(name, (GREEN, (0, (1.5, 1.5)), label(f"bound {name}")))
            curves.append((bound, {"color": colour, "linestyle": dashes, "linewidth": 1.3, "label": said}))
    low, high = _range([y for y, _ in curves])
    ceiling = (np.nanmax(values) if np.isfinite(values).any() else high) * 10.0**DECADES_ABOVE
    ax.set_yscale("log")
    ax.set_ylim(low / 2, min(high, ceiling) * 2)  # before anything is drawn: an absurd bound must not set the scale
    lines = [line for y, look in curves for line in ax.plot(times, y, **look)]
    handles = list(lines)
    if dev.rounding is not None and np.isfinite(rounding := _floats(dev.rounding)).any():
        dotted: Look = {"color": GREY, "linestyle": (0, (1, 1.4)), "linewidth": 1.1}
        if not _far_below(dev):
            handles += ax.plot(times, rounding, label="float64 rounding", **dotted)
            low = min(low, float(np.nanmin(rounding)))
        elif strip is not None:
            handles += strip.plot(times, rounding, label="float64 rounding", **dotted)
            _break_axis(ax, strip, rounding)
            _mark_events(strip, dev.flow.events)
        else:
            worst = _scientific(float(np.nanmax(rounding)))
            handles += ax.plot([], [], label=rf"float64 rounding: $\leq {worst}$, below", **dotted)
    handles += _mark_events(ax, dev.flow.events)
    ax.set_ylim(bottom=low / 2)
    ax.set_xlim(0, times[-1])
    (ax if strip is None else strip).set_xlabel(r"time $t=k\eta$")
    ax.set_ylabel("distance")
    place: Look = {"loc": "lower left", "bbox_to_anchor": (-0.02, 1.0)}
    ax.legend(handles=handles, ncols=2, handlelength=2.6, columnspacing=1.6, **place)


def _range(curves: Sequence[Any]) -> tuple[float, float]:
    """Smallest and largest of the values drawn; 1e-3 and 1 if there are none."""
    numbers = np.concatenate([np.asarray(c, dtype=float) for c in curves])
    numbers = numbers[np.isfinite(numbers)]
    return (float(numbers.min()), float(numbers.max())) if numbers.size else (1e-3, 1.0)


def _scientific(value: float) -> str:
    """A positive number as mathtext with two digits."""
    mantissa, exponent = f"{value:.1e}".split("e")
    return rf"{mantissa}\times10^{{{int(exponent)}}}"


def _break_axis(ax: Axes, strip: Axes, rounding: np.ndarray) -> None:
    """Two slanted marks between the panel and the strip below it."""
    strip.set_yscale("log")
    low, high = _range([rounding])
    strip.set_ylim(10.0 ** np.floor(np.log10(low)), 10.0 ** np.ceil(np.log10(2 * high)))
    strip.set_yticks([10.0 ** np.floor(np.log10(high))])
    strip.minorticks_off()
    ax.spines["bottom"].set_visible(False)
    ax.tick_params(bottom=False, labelbottom=False)
    mark: Look = {"marker": [(-1, -0.5), (1, 0.5)], "markersize": 8, "linestyle": "none", "color": BLACK}
    ax.plot([0], [0], transform=ax.transAxes, mew=0.7, clip_on=False, label="_break", **mark)
    strip.plot([0], [1], transform=strip.transAxes, mew=0.7, clip_on=False, label="_break", **mark)


def _draw_trajectory(ax: Axes, trajectory: Trajectory) -> None:
    times = trajectory.grid(TIMES) if trajectory.end else (trajectory.end,)
    names, values = _curves(trajectory, trajectory.numpy(times))
    dashes = ("solid", (0, (4, 2)), (0, (1, 1.4)))
    lines = []
    for i, (name, y) in enumerate(zip(names, values.T, strict=True)):
        look: Look = {
            "color": COLOURS[i % len(COLOURS)],
            "linestyle": dashes[i // len(COLOURS) % len(dashes)],
        }
        lines += ax.plot([float(t) for t in times], y, linewidth=1.4, label=name, **look)
    lines += _mark_events(ax, trajectory.events)
    if trajectory.end:
        ax.set_xlim(0, float(trajectory.horizon))
    ax.set_xlabel(r"time $t$")
    ax.legend(handles=lines, ncols=4, loc="lower left", bbox_to_anchor=(-0.02, 1.0), handlelength=2.0)


def _curves(trajectory: Trajectory, states: np.ndarray) -> tuple[list[str], np.ndarray]:
    """What is drawn: every parameter, every array's norm, or the norm of theta; one column each."""
    objective = trajectory.objective
    states = states[:, : objective.parameter_count]  # without velocities and the like
    if objective.parameter_count <= MOST_CURVES:
        return [label(n) for n in objective.parameter_names()], states
    if len(objective.parameters) <= MOST_CURVES:
        norms = [np.linalg.norm(states[:, where], axis=1) for where, _ in objective.slices()]
        return [rf"$\|${label(w.name)}$\|$" for w in objective.parameters], np.stack(norms, axis=1)
    return [r"$\|\theta\|$"], np.linalg.norm(states, axis=1)[:, None]


def _mark_events(ax: Axes, events: Sequence[Event]) -> list[Line2D]:
    """Thin vertical lines at the kink events; the first of them for the legend."""
    handles = []
    for i, e in enumerate(events):
        label = "kink met by the flow" if i == 0 else "_kink"
        handles.append(ax.axvline(float(e.time), color=GREY, linewidth=0.6, zorder=0.5, label=label))
    return handles[:1]


def _draw_loss(ax: Axes, dev: Deviation) -> None:
    times = np.array([float(t) for t in dev.times])
    flow, descent = dev.flow_series.loss, dev.descent_series.loss
    _mark_events(ax, dev.flow.events)
    lines = ax.plot(times, flow, color=BLACK, linewidth=1.8, label="flow")
    lines += ax.plot(times, descent, color=ORANGE, linestyle=(0, (4, 2)), linewidth=1.2, label="descent")
    if min(flow.min(), descent.min()) > 0 and flow.max() > 50 * flow.min():
        ax.set_yscale("log")
    ax.set_ylabel(r"loss $f$")
    ax.set_xlabel(r"time $t=k\eta$")
    _legend_above(ax, lines)


def _draw_sharpness(ax: Axes, dev: Deviation) -> None:
    times = np.array([float(t) for t in dev.times])
    ax.set_xlabel(r"time $t=k\eta$")
    ax.set_ylabel("Hessian eigenvalues")
    _mark_events(ax, dev.flow.events)
    flow, descent = dev.flow_series, dev.descent_series
    if flow.max_eigenvalue is None or flow.min_eigenvalue is None or descent.max_eigenvalue is None:
        ax.text(0.5, 0.5, "not computed", transform=ax.transAxes, ha="center", va="center", color=GREY)
        ax.set_yticks([])
        return
    ax.axhline(0, color=BLACK, linewidth=0.5, zorder=0.5)
    lines = ax.plot(times, flow.max_eigenvalue, color=BLUE, linewidth=1.8, label=r"$\lambda_{\max}$")
    lines += ax.plot(times, flow.min_eigenvalue, color=PURPLE, linewidth=1.8, label=r"$\lambda_{\min}$")
    dashed: Look = {"color": ORANGE, "linestyle": (0, (4, 2)), "linewidth": 1.2}
    ax.plot(times, descent.max_eigenvalue, label="_descent", **dashed)
    if descent.min_eigenvalue is not None:
        ax.plot(times, descent.min_eigenvalue, label="_descent", **dashed)
    limit = 2 / float(dev.step_size)
    highest = float(max(flow.max_eigenvalue.max(), descent.max_eigenvalue.max()))
    if limit <= 4 * highest:
        lines.append(ax.axhline(limit, color=VERMILION, linestyle=(0, (1, 1)), linewidth=1.3, label=r"$2/\eta$"))
    else:
        lines += ax.plot([], [], " ", label=rf"$2/\eta={limit:.4g}$, above")
    _legend_above(ax, lines)


def _legend_above(ax: Axes, handles: Sequence[Artist]) -> None:
    ax.legend(
        handles=handles,
        loc="lower right",
        bbox_to_anchor=(1.02, 1.0),
        ncols=len(handles),
        borderaxespad=0.1,
        handlelength=1.8,
        columnspacing=1.2,
    )
