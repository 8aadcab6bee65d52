"""A deviation: how far descent is from flow and what the bounds say, next to loss and sharpness."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from symflow.numbers.types import Mpf
from symflow.plots.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SMALL,
    VERMILION,
    Dash,
    Legend,
    Look,
    drawn,
    label,
    legend_above,
    legend_inside,
    legend_left,
    mark_events,
    style,
    width_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from symflow.analysis.deviation import Deviation

LOOK: dict[str, tuple[str, Dash, str]] = {  # in the order of drawing and of the legend
    "R18": (ORANGE, (0, (4, 2)), "leading order (R18)"),
    "R22": (BLUE, (0, (7, 2)), "bound R22"),
    "R4": (VERMILION, (0, (7, 2, 1.5, 2)), "bound R4"),
    "R22(tube-free)": (PURPLE, "solid", "bound R22(tube-free), certified"),
    "R22(tube)": (BLUE, "solid", "bound R22(tube), certified"),
    "R4(tube)": (VERMILION, "solid", "bound R4(tube), certified"),
    "R4(global)": (GREEN, "solid", "bound R4(global), certified"),
    "R5": (GREY, "solid", "bound R5, certified"),
}
DECADES_ABOVE = 7
"""A bound more than this many decades above the largest deviation leaves the picture."""
SAME_CURVE = 0.04
"""Bounds within this share of one another are one line to the eye."""
DECADES_BELOW = 3
"""Rounding more than this many decades below the smallest deviation gets an axis of its own."""


def plot_deviation(dev: Deviation, ax: Axes | None = None, legend: bool = True) -> Axes:
    """Deviation, bounds and leading order against time on a logarithmic scale.

    Args:
        dev: what to draw.
        ax: where; a new figure of pyplot if left out (reach it as ``ax.figure``).
        legend: whether to draw one: above a figure of its own, inside axes that are given, with short labels in small
            ones.
    """
    place = None if not legend else legend_inside if ax is not None else legend_left
    return drawn(ax, lambda axes: _draw_deviation(axes, dev, None, place))


def figure(dev: Deviation) -> Figure:
    """The picture of `symflow run`: the deviation, next to it loss and sharpness.

    Where float64 rounding lies far below everything else it gets a strip of its own, below a break of the axis.
    """
    with style():
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
    with style():
        fig = Figure(figsize=(6.4, 5.2), layout="constrained")
        _draw_deviation(fig.add_subplot(), dev)
    return fig


def loss_figure(dev: Deviation) -> Figure:
    """The loss along flow and descent alone."""
    return _alone(_draw_loss, dev)


def sharpness_figure(dev: Deviation) -> Figure:
    """The Hessian eigenvalues along flow and descent alone."""
    return _alone(_draw_sharpness, dev)


def _alone(draw: Callable[[Axes, Deviation], None], dev: Deviation) -> Figure:
    with style():
        fig = Figure(figsize=(4.4, 2.8), layout="constrained")
        draw(fig.add_subplot(), dev)
    return fig


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


def _draw_deviation(ax: Axes, dev: Deviation, strip: Axes | None = None, legend: Legend | None = legend_left) -> None:
    """Everything that is a distance; rounding that lies far below goes to the strip, or into words without one."""
    times = np.array([float(t) for t in dev.times])
    curves = _distances(dev, legend is legend_inside and width_of(ax) < SMALL)
    values = curves[0][0]
    low, high = _range([y for y, _ in curves])
    ceiling = (np.nanmax(values) if np.isfinite(values).any() else high) * 10.0**DECADES_ABOVE
    ax.set_yscale("log")
    ax.set_ylim(low / 2, min(high, ceiling) * 2)  # before anything is drawn: an absurd bound must not set the scale
    handles = [line for y, look in curves for line in ax.plot(times, y, **look)]
    if dev.rounding is not None and np.isfinite(rounding := _floats(dev.rounding)).any():
        faint: Look = {"color": GREY, "linestyle": (0, (1, 1.4)), "linewidth": 1.1}
        if not _far_below(dev):
            handles += ax.plot(times, rounding, label="float64 rounding", **faint)
            low = min(low, float(np.nanmin(rounding)))
        elif strip is not None:
            handles += strip.plot(times, rounding, label="float64 rounding", **faint)
            _break_axis(ax, strip, rounding)
            mark_events(strip, dev.flow.events)
        elif legend is not legend_inside:
            worst = _scientific(float(np.nanmax(rounding)))
            handles += ax.plot([], [], label=rf"float64 rounding: $\leq {worst}$, below", **faint)
    handles += mark_events(ax, dev.flow.events)
    ax.set_ylim(bottom=low / 2)
    ax.set_xlim(0, times[-1])
    (ax if strip is None else strip).set_xlabel(r"time $t=k\eta$")
    ax.set_ylabel("distance" if legend is legend_inside else r"distance, $\|\theta_k-\theta(k\eta)\|$")
    if legend is not None:
        legend(ax, handles)


def _distances(dev: Deviation, short: bool) -> list[tuple[np.ndarray, Look]]:
    """The deviation first, then what is drawn next to it: bounds that say something, leading order, transient."""
    values = _floats(dev.values)
    said = "deviation" if short else f"deviation, {dev.error.how}"
    curves: list[tuple[np.ndarray, Look]] = [(values, {"color": BLACK, "linewidth": 2.2, "label": said})]
    above = [n for n, bound in dev.bounds.items() if bound.kind != "curvature"]
    ranked = [*(n for n in LOOK if n in above), *(n for n in above if n not in LOOK)]
    ceiling = (np.nanmax(values) if np.isfinite(values).any() else np.inf) * 10.0**DECADES_ABOVE
    for names, bound in _apart(dev, ranked, ceiling):
        colour, dashes, named = LOOK.get(names[0], (GREEN, (0, (1.5, 1.5)), label(f"bound {names[0]}")))
        if len(names) > 1 or short:
            known = "" if short or "certified" not in dev.bounds[names[0]].status else ", certified"
            named = f"{'' if short else 'bounds '}{', '.join(map(label, names))}{known}"
        curves.append((bound, {"color": colour, "linestyle": dashes, "linewidth": 1.3, "label": named}))
    if dev.transient is not None and np.isfinite(gone := _floats(dev.transient)).any():
        gone[gone < np.nanmax(gone) * 10.0**-DECADES_ABOVE] = np.nan
        look: Look = {"color": GREEN, "linestyle": (0, (1, 1.4)), "linewidth": 1.3}
        curves.append((gone, look | {"label": "transient" if short else "transient (R25)"}))
    return curves


def _apart(dev: Deviation, names: Sequence[str], ceiling: float) -> list[tuple[list[str], np.ndarray]]:
    """The bounds that are somewhere in the picture; those that cover one another, equally known, as one curve."""
    found: list[tuple[list[str], np.ndarray]] = []
    for name in names:
        values = _floats(dev.bounds[name].values)
        seen = values[np.isfinite(values)]
        if not seen.size or (len(names) > 1 and seen.min() > ceiling):
            continue
        for others, shown in found:
            alike = name in LOOK and others[0] in LOOK and dev.bounds[others[0]].status == dev.bounds[name].status
            if alike and np.allclose(values, shown, rtol=SAME_CURVE, atol=0, equal_nan=True):
                others.append(name)
                break
        else:
            found.append(([name], values))
    return found


def _range(curves: Sequence[np.ndarray]) -> tuple[float, float]:
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


def _draw_loss(ax: Axes, dev: Deviation) -> None:
    times = np.array([float(t) for t in dev.times])
    flow, descent = dev.flow_series.loss, dev.descent_series.loss
    mark_events(ax, dev.flow.events)
    lines = ax.plot(times, flow, color=BLACK, linewidth=1.8, label="flow")
    lines += ax.plot(times, descent, color=ORANGE, linestyle=(0, (4, 2)), linewidth=1.2, label="descent")
    if min(flow.min(), descent.min()) > 0 and flow.max() > 50 * flow.min():
        ax.set_yscale("log")
    ax.set_ylabel(r"loss $f$")
    ax.set_xlabel(r"time $t=k\eta$")
    legend_above(ax, lines)


def _draw_sharpness(ax: Axes, dev: Deviation) -> None:
    times = np.array([float(t) for t in dev.times])
    ax.set_xlabel(r"time $t=k\eta$")
    ax.set_ylabel("Hessian eigenvalues")
    mark_events(ax, dev.flow.events)
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
    lines += _threshold(ax, dev, float(np.nanmax([flow.max_eigenvalue, descent.max_eigenvalue])))
    legend_above(ax, lines)


def _threshold(ax: Axes, dev: Deviation, highest: float) -> list[Line2D]:
    """The sharpness at which the method loses stability, or in words where it lies far above the curves."""
    if dev.stable_sharpness is None:
        return []
    limit = float(dev.stable_sharpness)
    scaled = f"{float(dev.stable_sharpness * dev.step_size):.3g}"
    if limit <= 4 * highest:
        return [ax.axhline(limit, color=VERMILION, linestyle=(0, (1, 1)), linewidth=1.3, label=rf"${scaled}/\eta$")]
    return ax.plot([], [], " ", label=rf"${scaled}/\eta={limit:.4g}$, above")
