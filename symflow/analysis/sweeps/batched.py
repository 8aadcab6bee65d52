"""Many flows and many runs of descent at once, each with an estimated error."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from symflow.caching import kept
from symflow.dynamics.method import Method
from symflow.evaluate.jit_options import jit
from symflow.evaluate.threads import each, threads
from symflow.networks.objective import Objective
from symflow.paths.float64.arguments import MIN_RTOL, checked_tolerances
from symflow.paths.float64.estimate import CHECK, one_unit_away
from symflow.paths.float64.lanes.ahead import ahead
from symflow.paths.float64.lanes.compiled import lanes
from symflow.paths.float64.lanes.solve import Ended
from symflow.paths.float64.methods import x64
from symflow.paths.float64.sweep import ManyFlows, many_flows
from symflow.paths.jax_steps import State, float64_march, jax_slopes, padded_gaps
from symflow.paths.runs import EPS, nudged_error
from symflow.problem import Problem

MOST_NUMBERS = 20_000_000
"""Most numbers (160 MB) of the states that run at once."""


@dataclass(frozen=True)
class Paths:
    """States along B paths.

    Attributes:
        states: shape (B, S, P), NaN where a path did not get to.
        errors: estimated largest absolute error of any component of each path, shape (B,); NaN without an estimate.
    """

    states: np.ndarray
    errors: np.ndarray


@dataclass(frozen=True)
class Flows(Paths):
    """Flows from B starts.

    Attributes:
        reached: the time that each is known up to, shape (B,).
        ended: why each stopped.
        sliding: whether it rests on a kink at these times, shape (B, S).
        kinks: how many events each has; None where kinks are not located.
        slides: how often a gate begins to be held in each.
    """

    reached: np.ndarray
    ended: Sequence[Ended]
    sliding: np.ndarray
    kinks: np.ndarray | None
    slides: np.ndarray | None


def flows(
    problem: Problem,
    thetas: np.ndarray,
    times: Sequence[float],
    tolerances: tuple[float, float],
    max_steps: int,
    report: Callable[[float], None],
) -> Flows:
    """Flows from B starts, and second ones from starts one unit in the last place away, at tighter tolerances.

    Where these cannot be tighter they are looser, and the estimates pessimistic.
    """
    rtol, atol = checked_tolerances(*tolerances, "dopri8")
    factor = 1 / CHECK if rtol >= CHECK * MIN_RTOL * (1 - 1e-9) else CHECK
    found: list[list[ManyFlows]] = [[], []]
    parts = _batches(thetas, len(times))
    with _compiling(problem, len(parts[0])):
        for k, part in enumerate(parts):
            runs = ((part, rtol, atol), (one_unit_away(part), max(rtol * factor, MIN_RTOL), atol * factor))
            for i, (starts, relative, absolute) in enumerate(runs):

                def told(done: float, before: float = 2 * k + i) -> None:
                    report((before + done) / (2 * len(parts)))

                found[i].append(
                    many_flows(problem, starts, times, rtol=relative, atol=absolute, max_steps=max_steps, progress=told)
                )
    count = len(thetas)
    first, second = (np.concatenate([f.states for f in run])[:count] for run in found)
    ended = [end for f in found[0] for end in f.ended][:count]
    kinks = [f.kinks for f in found[0] if f.kinks is not None]
    slides = [f.slides for f in found[0] if f.slides is not None]
    return Flows(
        first,
        nudged_error(first, second),
        np.concatenate([f.reached for f in found[0]])[:count],
        ended,
        np.concatenate([f.sliding for f in found[0]])[:count],
        np.concatenate(kinks)[:count] if kinks else None,
        np.concatenate(slides)[:count] if slides else None,
    )


@contextmanager
def _compiling(problem: Problem, count: int) -> Iterator[None]:
    """Compiles for flows through kinks while the block runs."""
    if not problem.objective.gates:
        yield
        return
    with x64():
        compiled = lanes(problem.compact)
    with ahead(compiled, count):
        yield


def _batches(rows: np.ndarray, times: int) -> list[np.ndarray]:
    """Batches of one size (the last filled up with its last row), so that they share one compilation."""
    size = max(1, min(len(rows), MOST_NUMBERS // (times * rows.shape[1])))
    count = -(-len(rows) // size)
    filled = np.concatenate([rows, np.repeat(rows[-1:], count * size - len(rows), axis=0)])
    return np.split(filled, count)


@kept
def _stepper(objective: Objective, method: Method) -> Callable[..., State]:
    import jax

    return jit(jax.vmap(float64_march(objective, method), in_axes=(0, 0, 0, None, None)))


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
    with x64(), threads() as pool:
        run = _stepper(objective, method)
        table = jax_slopes(objective, method).table(max(kept[-1] for kept in indices))

        def descend(one: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
            (b, e), moved = np.divmod(one[0][:, 0], len(etas)), one[1]
            path = np.asarray(run(thetas[b], steps[e], gaps[e], moved, table)[0])
            return np.concatenate([thetas[b][:, None], path], axis=1)

        parts = _batches(rows[:, None], width * gaps.shape[1])
        found = each(pool, descend, [(part, moved) for moved in (np.zeros(width), nudge) for part in parts])
    first, second = (np.concatenate(run)[: len(rows)] for run in (found[: len(parts)], found[len(parts) :]))
    return Paths(first, nudged_error(first, second))
