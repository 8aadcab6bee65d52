"""Many flows and many runs of descent at once, each with an estimated error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from symflow.caching import kept
from symflow.dynamics.method import Method
from symflow.networks.objective import Objective
from symflow.paths.float64 import sweep_flow_float64
from symflow.paths.float64.arguments import checked_tolerances
from symflow.paths.float64.estimate import CHECK, CHECK_RTOL, one_unit_away
from symflow.paths.float64.methods import x64
from symflow.paths.float64.sweep import SweepStopped
from symflow.paths.jax_steps import State, float64_march, jax_slopes, padded_gaps
from symflow.problem import Problem

EPS = float(np.finfo(np.float64).eps)
MOST_NUMBERS = 20_000_000
"""Most numbers (160 MB) of the states that run at once."""


@dataclass(frozen=True)
class Paths:
    """States along B paths.

    Attributes:
        times: S of them; empty for descent.
        states: shape (B, S, P), NaN where a path did not get to.
        errors: estimated largest absolute error of any component of each path, shape (B,); NaN without an estimate.
        stopped: why paths did not get to the end; empty where all did.
    """

    times: np.ndarray
    states: np.ndarray
    errors: np.ndarray
    stopped: str = ""


def flows(
    problem: Problem, thetas: np.ndarray, times: Sequence[float], rtol: float, atol: float, max_steps: int
) -> Paths:
    """Flows from B starts, and second ones at tighter tolerances from starts one unit in the last place away."""
    rtol, atol = checked_tolerances(rtol, atol, "dopri8")
    first, stopped = _flows(problem, thetas, times, rtol, atol, max_steps)
    tighter = max(rtol / CHECK, CHECK_RTOL)
    second, _ = _flows(problem, one_unit_away(thetas), times, tighter, atol * tighter / rtol, max_steps)
    return Paths(np.array(times), first, _errors(first, second), stopped)


def _flows(
    problem: Problem, thetas: np.ndarray, times: Sequence[float], rtol: float, atol: float, max_steps: int
) -> tuple[np.ndarray, str]:
    stopped = ""
    parts = []
    for part in _batches(thetas, len(times)):
        try:
            parts.append(sweep_flow_float64(problem, part, times, rtol=rtol, atol=atol, max_steps=max_steps))
        except SweepStopped as error:
            parts.append(error.states)
            stopped = (
                f"the flow did not get to the end in float64: more than {max_steps} steps, values that are no longer "
                "finite, or sliding along a kink; take sweep, which says which"
            )
    return np.concatenate(parts)[: len(thetas)], stopped


def _batches(rows: np.ndarray, times: int) -> list[np.ndarray]:
    """Batches of one size (the last filled up with its last row), so that they share one compilation."""
    size = max(1, min(len(rows), MOST_NUMBERS // (times * rows.shape[1])))
    count = -(-len(rows) // size)
    filled = np.concatenate([rows, np.repeat(rows[-1:], count * size - len(rows), axis=0)])
    return np.split(filled, count)


@kept
def _stepper(objective: Objective, method: Method) -> Callable[..., State]:
    import jax

    return jax.jit(jax.vmap(float64_march(objective, method), in_axes=(0, 0, 0, None, None)))


def descents(
    objective: Objective,
    method: Method,
    thetas: np.ndarray,
    etas: Sequence[Fraction],
    indices: Sequence[Sequence[int]],
) -> Paths:
    """Descent from each start with each step size, (b, e) in the row b E + e, and again with every iterate nudged.

    In the second run all iterates move by one unit in the last place, up and down in turn: as if each step rounded as
    badly as it can.
    """
    most = max(map(len, indices)) - 1
    gaps = np.stack([padded_gaps(np.diff(np.array(kept, dtype=np.int64)), most) for kept in indices])
    steps = np.array([float(eta) for eta in etas])
    count, width = thetas.shape
    rows = np.arange(count * len(etas))
    nudge = EPS * np.where(np.arange(width) % 2 == 0, 1.0, -1.0)
    runs: list[list[np.ndarray]] = [[], []]
    with x64():
        run = _stepper(objective, method)
        table = jax_slopes(objective, method).table(max(kept[-1] for kept in indices))
        for part in _batches(rows[:, None], width * gaps.shape[1]):
            b, e = np.divmod(part[:, 0], len(etas))
            for found, moved in zip(runs, (np.zeros(width), nudge), strict=True):
                path = np.asarray(run(thetas[b], steps[e], gaps[e], moved, table)[0])
                found.append(np.concatenate([thetas[b][:, None], path], axis=1))
    first, second = (np.concatenate(found)[: len(rows)] for found in runs)
    return Paths(np.zeros(0), first, _errors(first, second))


def _errors(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Twice the largest difference of two runs of each path, and rounding; shape (B,)."""
    with np.errstate(invalid="ignore", over="ignore"):
        return np.asarray(2 * (np.abs(first - second).max(axis=(1, 2)) + EPS * np.abs(first).max(axis=(1, 2))))
