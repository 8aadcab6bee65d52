"""What the step ends of a run tell of kinks, which are not located."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from symflow.derivatives.derived import Derived, gradient
from symflow.evaluate.jax_batches import BATCH, at_points, in_batches
from symflow.networks.objective import Objective
from symflow.paths.float64.steps import StepRun
from symflow.programs.program import Program

CHATTER = 4
"""A gate whose kink is within reach of this many steps looks like one that slides (crossings measured: 1 to 3)."""


def pre_activations(objective: Objective) -> Derived:
    """The pre-activations of all gates as one vector."""
    outputs = {f"z{i}": gate.z for i, gate in enumerate(objective.gates)}
    return Derived("pre-activations", objective, Program(objective.program.inputs, outputs), "vector")


@dataclass(frozen=True)
class KinkCounts:
    """What the step ends of a run tell of kinks.

    A gate is within reach of a step when it differs at the step's other end, or would after an Euler step of the same
    length. A flow that slides ends most of its steps on one side of the kink, and is seen by the latter alone.

    Attributes:
        changes: how many gates differ between consecutive step ends, summed.
        reached: how many steps have one and the same gate within reach, at most.
        crossed: the steps whose ends differ in a gate, by number.
    """

    changes: int
    reached: int
    crossed: np.ndarray


def count_kinks(objective: Objective, run: StepRun) -> KinkCounts:
    """Compares the gates at consecutive step ends, and after an Euler step from each."""
    if not objective.gates or not run.accepted:
        return KinkCounts(0, 0, np.zeros(0, dtype=int))
    values, slopes = at_points(objective, pre_activations), at_points(objective, gradient)
    counts, reached = [], np.zeros(1, dtype=int)
    for first in range(0, len(run.states) - 1, BATCH):
        states = run.states[first : first + BATCH + 1]
        sizes = np.diff(run.knots[first : first + BATCH + 1])[:, None]
        here = in_batches(values, states[:-1]) >= 0
        there = in_batches(values, states[1:]) >= 0
        ahead = in_batches(values, states[:-1] - sizes * in_batches(slopes, states[:-1])) >= 0
        counts.append((here != there).sum(axis=1))
        reached = reached + ((here != there) | (here != ahead)).sum(axis=0)
    changes = np.concatenate(counts)
    return KinkCounts(int(changes.sum()), int(reached.max()), np.flatnonzero(changes))


def kink_note(kinks: KinkCounts, rtol: float) -> str:
    """What is not done about kinks, and what accuracy that leaves."""
    remedy = "trust error_estimate, or take solve_flow"
    if kinks.reached >= CHATTER:
        return (
            f"one gate's kink was within reach of {kinks.reached} steps, as where the flow slides along it: it is not "
            f"held there, the steps zigzag across the kink and are as small as the tolerance (rtol {rtol:g}); {remedy}"
        )
    if kinks.changes:
        return (
            f"{kinks.changes} gate changes were stepped over and not located: at each one only the step-size control "
            f"(rtol {rtol:g}) limits the error, not the order of the method; {remedy}"
        )
    return "no gate differs between consecutive step ends; kinks touched within one step go unnoticed"
