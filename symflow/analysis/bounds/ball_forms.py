r"""Bounds on balls as functions of the radius, at many centres at once: drift of H, beta, gamma and m.

Closed forms where there are any. Elsewhere (convolutional networks, biases, any smooth expression) the program of H is
evaluated on the box around the ball, in float64 with outward rounding: with |H(q) - V| <= E entrywise on the box and
|H(c) - V_0| <= E_0 at the centre, drift = || |V - V_0| + E + E_0 ||. It grows faster with P than the closed forms do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from symflow.caching import kept
from symflow.derivatives.derived import directional_derivative, hessian
from symflow.errors import ProblemError
from symflow.evaluate.boxes import box_result
from symflow.evaluate.growing import GrowingArithmetic
from symflow.evaluate.interpret import interpret
from symflow.evaluate.rounded import Rounded
from symflow.evaluate.running_error import rounded_program
from symflow.networks.objective import Objective
from symflow.numbers.outward import up
from symflow.programs.nodes import Input, Node, is_zero
from symflow.programs.program import Program, transform
from symflow.theory.architecture_checks import FULLY_CONNECTED, LINEAR, trained
from symflow.theory.ball_constants import CONSTANTS
from symflow.theory.hypotheses import Setting
from symflow.theory.hypothesis_checks import CONVEX
from symflow.theory.model import EPSILON

ENTRIES = 1_000_000
"""Most entries of the Hessians that are held at once."""


@dataclass(frozen=True, eq=False)
class BallForms:
    """Bounds on the ball of radius eps around S centres.

    Attributes:
        program: the outputs "drift", "beta", "gamma" and, where the loss is convex, "m", of eps and of `fixed`.
        fixed: the values at the centres of all that does not depend on eps.
    """

    program: Program
    fixed: Mapping[Input, np.ndarray]

    def __call__(self, radii: np.ndarray) -> dict[str, np.ndarray]:
        """The bounds for the radii of the first balls, by name, each of their shape; rounded upwards."""
        fixed = {x: v[: len(radii)] for x, v in self.fixed.items()}
        with np.errstate(over="ignore", invalid="ignore"):
            found = interpret(self.program, {**fixed, EPSILON: radii}, GrowingArithmetic())
        return {name: np.broadcast_to(v, radii.shape) for name, v in found.items()}


@dataclass(frozen=True, eq=False)
class HessianBoxes:
    """The drift from the Hessian's program on boxes.

    Attributes:
        objective: f.
        centres: shape (S, P).
    """

    objective: Objective
    centres: np.ndarray

    def __call__(self, radii: np.ndarray) -> dict[str, np.ndarray]:
        """The drift for the radii of the first balls; infinite where the Hessian is not bounded on a box."""
        size = self.centres.shape[1]
        chunk = max(1, ENTRIES // size**2)
        ends = [*range(0, len(radii), chunk), len(radii)]
        parts = [self._drift(slice(a, b), radii[a:b]) for a, b in pairwise(ends)]
        return {"drift": np.concatenate(parts)}

    @cached_property
    def _at_centres(self) -> Rounded | None:
        """H at all centres; None where that takes too much room."""
        if self.centres.size * self.centres.shape[1] > 4 * ENTRIES:
            return None
        return box_result(self.objective, hessian(self.objective), Rounded(self.centres, np.zeros_like(self.centres)))

    def _drift(self, some: slice, radii: np.ndarray) -> np.ndarray:
        centres, derived = self.centres[some], hessian(self.objective)
        reach = np.broadcast_to(radii[:, None], centres.shape)
        there = box_result(self.objective, derived, Rounded(centres, reach))
        here = self._at_centres
        if here is None:
            here = box_result(self.objective, derived, Rounded(centres, np.zeros_like(centres)))
        else:
            here = Rounded(here.value[some], here.error[some])
        with np.errstate(over="ignore", invalid="ignore"):
            moved = up(up(np.abs(there.value - here.value)) + up(there.error + here.error))
            moved = np.maximum(moved, np.swapaxes(moved, 1, 2))
        return GrowingArithmetic().largest_eigenvalue(np.nan_to_num(moved, nan=np.inf, posinf=np.inf))


def bounds_on_balls(objective: Objective, compact: Objective, centres: np.ndarray) -> BallForms | HessianBoxes:
    """The closed forms, or bounds from the Hessian's program; `compact` is the cheapest form of f."""
    return ball_forms(objective, centres) if missing_forms(objective) is None else HessianBoxes(compact, centres)


def missing_forms(objective: Objective) -> str | None:
    """Why there are no closed forms on balls; None where there are."""
    if _quadratic(objective):
        return None
    if trained(objective) is None:
        return (
            "no closed form bounds the Hessian of this objective on a ball; networks and quadratic functions have one"
        )
    verdict = FULLY_CONNECTED.check(Setting(objective))
    if verdict.status == "fails":
        return f"no closed form bounds the Hessian on a ball: {verdict.reason}"
    loss = objective.sample_loss
    if loss is None or loss.known.smoothness is None or loss.known.third is None:
        kind = None if loss is None else loss.kind
        return f"no bound on the second and third derivatives of the {kind} loss is known"
    return None


@kept
def _quadratic(objective: Objective) -> bool:
    """Whether f is a quadratic function that is no homogeneous network's training loss: its Hessian does not move."""
    if objective.network is not None or objective.gates:
        return False
    return is_zero(directional_derivative(objective, 3).program["form"])


@kept
def _split(objective: Objective) -> tuple[Program, Program, Mapping[str, Input]]:
    """The program of all forms, cut where eps enters: what comes before, what comes after, the inputs between."""
    missing = missing_forms(objective)
    if missing is not None:
        raise ProblemError(missing)
    family = "linear" if LINEAR.check(Setting(objective)).status == "holds" else "gated"
    known = CONSTANTS.instantiate(objective)
    convex = CONVEX.check(Setting(objective)).status == "holds"
    names = ("drift", "beta", "gamma", *(["m"] if convex else []))
    outputs: dict[str, Node] = {name: known.nodes(f"{family}, {name}", "right")[0] for name in names}
    varying: set[Node] = {EPSILON}
    frontier: dict[Node, Input] = {}
    whole = Program((*objective.program.inputs, EPSILON), outputs)
    for x in whole.nodes:
        if any(a in varying for a in x.arguments):
            varying.add(x)
    used = [a for x in whole.nodes if x in varying for a in x.arguments] + list(outputs.values())
    for a in used:
        if a not in varying and a not in frontier:
            frontier[a] = Input(f"fixed_{len(frontier)}", a.axes, "data", "c")
    new = transform(outputs.values(), lambda x, _: frontier.get(x))
    before = Program(objective.program.inputs, {x.name: a for a, x in frontier.items()})
    after = Program((*frontier.values(), EPSILON), {name: new[x] for name, x in outputs.items()})
    return before, after, {x.name: x for x in frontier.values()}


def ball_forms(objective: Objective, centres: np.ndarray) -> BallForms:
    """The closed forms around S centres, shape (S, P).

    Raises:
        ProblemError: there are none (`missing_forms` says why).
    """
    if _quadratic(objective):
        from symflow.programs.nodes import zero

        return BallForms(Program((EPSILON,), {"drift": zero(())}), {})
    before, after, inputs = _split(objective)
    # The forms grow with each of these, which are norms, products of norms and numbers: their largest values count.
    values = rounded_program(objective, before, centres)
    return BallForms(after, {inputs[name]: up(v.value + v.error) for name, v in values.items()})
