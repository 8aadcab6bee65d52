"""R18 for any method: the leading order of the distance of descent from its modified equation."""

from __future__ import annotations

from fractions import Fraction

from symflow.dynamics.method import Method
from symflow.dynamics.methods.gradient_descent import GradientDescent
from symflow.dynamics.modified.coefficients import terms
from symflow.dynamics.modified.differentials import Differentials, Vector, combined
from symflow.dynamics.modified.trees import GRADIENT, THETA, G
from symflow.dynamics.vector_field import VectorField
from symflow.networks.objective import Objective
from symflow.programs.nodes import Input
from symflow.programs.program import Program


def leading_order_field(objective: Objective, method: Method | None = None, order: int = 0) -> VectorField:
    """theta' = F_0, e' = F_0' e + F_(order+1): descent strays from the equation by eta^(order+1) e(t) + higher terms.

    For gradient descent against gradient flow e' = -H e - (1/2) H g. With F_0 = -c g - d theta and the terms H t of
    F_(order+1) taken together, e' = H(-c e + sum t) - d e + the other terms: one directional derivative of g.

    Args:
        objective: f.
        method: of descent; gradient descent if left out.
        order: of the modified equation that it is compared with.

    Raises:
        ProblemError: a method that has no modified equation by trees.
        BudgetError: the order is above the highest that is derived.
    """
    first, *_, last = terms(GradientDescent() if method is None else method, order + 1)
    found = Differentials(objective)
    errors = tuple(Input(f"e_{w.name}", w.axes, "state", f"e_{{{w.name}}}") for w in objective.parameters)
    e: Vector = dict(zip(objective.parameters, errors, strict=True))
    once = {t: c for t, c in last.items() if t[0] == GRADIENT and len(t[1]) == 1}
    inside = [(first.get(G, Fraction(0)), e), *((c, found(t[1][0])) for t, c in once.items())]
    bent = found.applied([combined(objective, inside)])
    others = [(first.get(THETA, Fraction(0)), e), *((c, found(t)) for t, c in last.items() if t not in once)]
    moved = combined(objective, ((c, found(t)) for t, c in first.items()))
    strayed = combined(objective, [(Fraction(1), bent), *others])
    outputs = {w.name: x for w, x in moved.items()}
    outputs |= {x.name: strayed[w] for w, x in zip(objective.parameters, errors, strict=True)}
    program = Program((*objective.program.inputs, *errors), outputs)
    return VectorField(program, (*objective.parameters, *errors), objective)
