"""The part of descent that dies out: the distance of an iterate from the slow manifold, along the fibre through it."""

from __future__ import annotations

from fractions import Fraction

from symflow.derivatives.derived import Derived, parameter_directions
from symflow.dynamics.method import Method
from symflow.dynamics.modified.coefficients import transient_terms
from symflow.dynamics.modified.differentials import Differentials, Vector, combined
from symflow.dynamics.modified.trees import VELOCITY, leaves
from symflow.networks.objective import Objective
from symflow.programs.program import Program


def transient(objective: Objective, method: Method, order: int, step_size: Fraction) -> Derived | None:
    """theta - pi(theta, v) up to eta^order: the part of the iterate theta that descent forgets.

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
    directions = parameter_directions(objective, "v", "v")
    velocity: Vector = dict(zip(objective.parameters, directions, strict=True))
    plain = Differentials(objective)
    on = [(-c * step_size**n, plain(t)) for n, part in enumerate(manifold, 1) for t, c in part.items()]
    off = Differentials(objective, {VELOCITY: combined(objective, [(Fraction(1), velocity), *on])})
    gone = combined(
        objective,
        [(-c * step_size ** (n - leaves(t)), off(t)) for n, part in enumerate(phase, 1) for t, c in part.items()],
    )
    outputs = {f"transient_{w.name}": x for w, x in gone.items()}
    program = Program((*objective.program.inputs, *directions), outputs)
    return Derived("transient", objective, program, "vector", directions, "R25")
