"""A trajectory: its parameters against time, with its events."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from symflow.networks.objective import Objective
from symflow.plots.style import BLACK, BLUE, GREEN, ORANGE, PURPLE, VERMILION, Look, drawn, label, mark_events
from symflow.programs.flat import entry_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from symflow.paths.trajectory import Trajectory

COLOURS = (BLACK, ORANGE, GREEN, BLUE, VERMILION, PURPLE)
TIMES, MOST_CURVES = 400, 12
"""Times at which a trajectory is drawn, and the most curves of it."""


def plot_trajectory(trajectory: Trajectory, ax: Axes | None = None) -> Axes:
    """The parameters against time, or the norm of each parameter array where there are many; events as thin lines.

    Args:
        trajectory: what to draw.
        ax: where; a new figure of pyplot if left out (reach it as ``ax.figure``).
    """
    return drawn(ax, lambda axes: _draw_trajectory(axes, trajectory))


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
    lines += mark_events(ax, trajectory.events)
    if trajectory.end:
        ax.set_xlim(0, float(trajectory.horizon))
    ax.set_xlabel(r"time $t$")
    ax.legend(handles=lines, ncols=4, loc="lower left", bbox_to_anchor=(-0.02, 1.0), handlelength=2.0)


def _curves(trajectory: Trajectory, states: np.ndarray) -> tuple[list[str], np.ndarray]:
    """What is drawn: every parameter, every array's norm, or the norm of theta; one column each."""
    moves = trajectory.moves
    arrays = moves.parameters if isinstance(moves, Objective) else moves.state
    names = entry_names(arrays)
    states = states[:, : len(names)]  # without velocities and the like
    if len(names) <= MOST_CURVES:
        return [label(n) for n in names], states
    if len(arrays) <= MOST_CURVES:
        norms = [np.linalg.norm(states[:, where], axis=1) for where, _ in moves.slices()]
        return [rf"$\|${label(w.name)}$\|$" for w in arrays], np.stack(norms, axis=1)
    return [r"$\|\theta\|$"], np.linalg.norm(states, axis=1)[:, None]
