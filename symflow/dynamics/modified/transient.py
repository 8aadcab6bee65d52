"""What of descent dies out: the distance of an iterate from the slow manifold, along the fibre through it."""

from __future__ import annotations

from fractions import Fraction

from symflow.derivatives.derived import Derived, parameter_directions
from symflow.dynamics.method import Method
from symflow.dynamics.modified.coefficients import transient_terms
from symflow.dynamics.modified.differentials import Differentials
from symflow.dynamics.modified.trees import VELOCITY, leaves
from symflow.networks.objective import Objective
from symflow.programs.nodes import add
from symflow.programs.program import Program


def transient(objective: Objective, method: Method, order: int, step_size: Fraction) -> Derived | None:
    """theta - pi(theta, v) up to eta^order: what of the iterate theta its descent forgets.

    pi(theta, v) is the point of the slow manifold whose descent the one from (theta, v) approaches.

    Args:
        objective: f, in the form that is to be evaluated.
        method: of descent.
        order: the highest power of eta.
        step_size: eta.

    Returns:
        A vector program of theta and of the direction v, what the method carries; None for a method that carries
        nothing.

    Raises:
        ProblemError: a method that has no modified equation by trees.
    """
    phase, manifold = transient_terms(method, order)
    if not any(manifold):
        return None
    velocity = parameter_directions(objective, "v", "v")
    plain = Differentials(objective)
    off = {}
    for w, v in zip(objective.parameters, velocity, strict=True):
        on = [(-c * step_size**n, plain(t)[w]) for n, part in enumerate(manifold, 1) for t, c in part.items()]
        off[w] = add([(1, v), *on])
    shifted = Differentials(objective, {VELOCITY: off})
    terms = [
        (-c * step_size ** (n - leaves(t)), shifted(t)) for n, part in enumerate(phase, 1) for t, c in part.items()
    ]
    outputs = {f"transient_{w.name}": add([(c, x[w]) for c, x in terms]) for w in objective.parameters}
    program = Program((*objective.program.inputs, *velocity), outputs)
    return Derived("transient", objective, program, "vector", velocity, "R25")
