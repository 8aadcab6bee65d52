r"""The closed forms on balls as functions of the radius: drift of H, beta, gamma and m at many centres at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from symflow.caching import kept
from symflow.derivatives.derived import directional_derivative
from symflow.errors import ProblemError
from symflow.evaluate.growing import GrowingArithmetic
from symflow.evaluate.interpret import interpret
from symflow.evaluate.running_error import rounded_program
from symflow.networks.network import FullyConnected
from symflow.networks.objective import Objective
from symflow.numbers.outward import up
from symflow.programs.nodes import Input, Node, is_zero
from symflow.programs.program import Program, transform
from symflow.theory.hypotheses import Setting
from symflow.theory.hypothesis_checks import CONVEX
from symflow.theory.model import EPSILON
from symflow.theory.r04_ball_constants import CONSTANTS


@dataclass(frozen=True, eq=False)
class BallForms:
    """Bounds on the ball of radius eps around S centres.

    Attributes:
        program: the outputs "drift", "beta", "gamma" and, where the loss is convex, "m", of eps and of `fixed`.
        fixed: the values at the centres of all that does not depend on eps.
        count: S.
    """

    program: Program
    fixed: Mapping[Input, np.ndarray]
    count: int

    def __call__(self, radii: np.ndarray) -> dict[str, np.ndarray]:
        """The bounds for S radii, by name, each of shape (S,); rounded upwards."""
        with np.errstate(over="ignore", invalid="ignore"):
            found = interpret(self.program, {**self.fixed, EPSILON: radii}, GrowingArithmetic())
        return {name: np.broadcast_to(v, (self.count,)) for name, v in found.items()}


def missing_forms(objective: Objective) -> str | None:
    """Why there are no closed forms on balls; None where there are."""
    if objective.network is None:
        if not objective.gates and is_zero(directional_derivative(objective, 3).program["form"]):
            return None
        if objective.biases:
            return f"no closed form bounds the Hessian on a ball: {objective.no_network}"
        return (
            "no closed form bounds the Hessian of this objective on a ball; networks and quadratic functions have one"
        )
    if not isinstance(objective.network, FullyConnected):
        return f"no closed form bounds the Hessian of a {objective.network.kind} network on a ball"
    loss = objective.sample_loss
    if loss is None or loss.known.smoothness is None or loss.known.third is None:
        kind = None if loss is None else loss.kind
        return f"no bound on the second and third derivatives of the {kind} loss is known"
    return None


@kept
def _split(objective: Objective) -> tuple[Program, Program, Mapping[str, Input]]:
    """The program of all forms, cut where eps enters: what comes before, what comes after, the inputs between."""
    missing = missing_forms(objective)
    if missing is not None:
        raise ProblemError(missing)
    assert objective.network is not None
    family = "linear" if objective.network.linear else "gated"
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
    if objective.network is None:  # a quadratic: its Hessian does not move
        from symflow.programs.nodes import zero

        return BallForms(Program((EPSILON,), {"drift": zero(())}), {}, len(centres))
    before, after, inputs = _split(objective)
    # The forms grow with each of these, which are norms, products of norms and numbers: their largest values count.
    values = rounded_program(objective, before, centres)
    return BallForms(after, {inputs[name]: up(v.value + v.error) for name, v in values.items()}, len(centres))
