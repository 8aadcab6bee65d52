"""A trajectory: its parameters against time, with its events."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from symflow.networks.objective import Objective
from symflow.plots.style import (
    BLACK,
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    SMALL,
    VERMILION,
    Legend,
    Look,
    drawn,
    label,
    legend_inside,
    legend_left,
    mark_events,
    style,
    width_of,
)
from symflow.programs.flat import entry_index
from symflow.programs.nodes import Input
from symflow.programs.program import entries, shape_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from symflow.paths.trajectory import Trajectory

COLOURS = (BLACK, ORANGE, GREEN, BLUE, VERMILION, PURPLE)
TIMES, MOST_CURVES, MOST_SMALL = 400, 12, 6
"""Times at which a trajectory is drawn, and the most curves of it, in small axes too."""


def plot_trajectory(trajectory: Trajectory, ax: Axes | None = None, legend: bool = True) -> Axes:
    """The parameters against time, or the Frobenius norm of each parameter array where there are many; events as thin
    lines.

    Args:
        trajectory: what to draw.
        ax: where; a new figure of pyplot if left out (reach it as ``ax.figure``).
        legend: whether to draw one: above a figure of its own, inside axes that are given.
    """
    place = None if not legend else legend_inside if ax is not None else legend_left
    return drawn(ax, lambda axes: _draw_trajectory(axes, trajectory, place))


def trajectory_figure(trajectory: Trajectory) -> Figure:
    """The picture of a path alone, without pyplot."""
    with style():
        fig = Figure(figsize=(5.6, 3.9), layout="constrained")
        _draw_trajectory(fig.add_subplot(), trajectory, legend_left)
    return fig


def _draw_trajectory(ax: Axes, trajectory: Trajectory, legend: Legend | None) -> None:
    times = trajectory.grid(TIMES) if trajectory.end else (trajectory.end,)
    most = MOST_SMALL if legend is legend_inside and width_of(ax) < SMALL else MOST_CURVES
    names, values, meaning = _curves(trajectory, trajectory.numpy(times), most)
    dashes = ("solid", (0, (4, 2)), (0, (1, 1.4)))
    lines = []
    for i, (name, y) in enumerate(zip(names, values.T, strict=True)):
        look: Look = {
            "color": COLOURS[i % len(COLOURS)],
            "linestyle": dashes[i // len(COLOURS) % len(dashes)],
        }
        lines += ax.plot([float(t) for t in times], y, linewidth=1.4, label=name, **look)
    lines += mark_events(ax, trajectory.events)
    if trajectory.end:
        ax.set_xlim(0, float(trajectory.horizon))
    ax.set_xlabel(r"time $t$")
    ax.set_ylabel(meaning)
    if legend is not None:
        legend(ax, lines)


def _curves(trajectory: Trajectory, states: np.ndarray, most: int) -> tuple[list[str], np.ndarray, str]:
    """What is drawn, one column each, and what it is: every parameter, every array's norm, or the norm of theta."""
    moves = trajectory.moves
    network = isinstance(moves, Objective) and moves.network is not None
    arrays = moves.parameters if isinstance(moves, Objective) else moves.state
    count = sum(entries(x.axes) for x in arrays)
    states = states[:, :count]  # without velocities and the like
    if count <= most:
        return (
            [_entry(x, i) for x in arrays for i in np.ndindex(*shape_of(x.axes))],
            states,
            "parameters" if network else "state",
        )
    if len(arrays) <= most:
        norms = [np.linalg.norm(states[:, where], axis=1) for where, _ in moves.slices()]
        return [rf"$\|{_array(x)}\|_F$" for x in arrays], np.stack(norms, axis=1), "Frobenius norm"
    return [r"$\|\theta\|$"], np.linalg.norm(states, axis=1)[:, None], "norm"


def _array(x: Input) -> str:
    """An array as the formulas write it: W_1."""
    letter, number = x.name.rstrip("0123456789"), x.name[len(x.name.rstrip("0123456789")) :]
    return (
        rf"{letter}_{{{number}}}"
        if letter.isalpha() and number
        else rf"\mathrm{{{letter}}}"
        if letter.isalnum()
        else x.name
    )


def _entry(x: Input, index: tuple[int, ...]) -> str:
    """An entry as the formulas write it: (W_1)_{12}, row 1, column 2; names that somebody chose as they are."""
    return rf"$({_array(x)})_{{{entry_index(index)}}}$" if index else label(x.name)
