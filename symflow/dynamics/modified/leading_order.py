"""R18 for any method: the leading order of the distance of descent from its modified equation."""

from __future__ import annotations

from fractions import Fraction

from symflow.dynamics.method import Method
from symflow.dynamics.methods.gradient_descent import GradientDescent
from symflow.dynamics.modified.coefficients import terms
from symflow.dynamics.modified.differentials import Differentials
from symflow.dynamics.modified.trees import GRADIENT, THETA, G
from symflow.dynamics.vector_field import VectorField
from symflow.networks.objective import Objective
from symflow.programs.nodes import Input, Node, add
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
    e: dict[Input, Node] = dict(zip(objective.parameters, errors, strict=True))
    once = {t: c for t, c in last.items() if t[0] == GRADIENT and len(t[1]) == 1}
    inside = [(first.get(G, 0), e), *((c, found(t[1][0])) for t, c in once.items())]
    bent = found.applied([{w: add([(Fraction(c), x[w]) for c, x in inside]) for w in objective.parameters}])
    others = [(first.get(THETA, 0), e), *((c, found(t)) for t, c in last.items() if t not in once)]
    outputs = {w.name: add([(c, found(t)[w]) for t, c in first.items()]) for w in objective.parameters}
    outputs |= {
        x.name: add([(1, bent[w]), *((c, y[w]) for c, y in others if c)]) for w, x in e.items() if isinstance(x, Input)
    }
    program = Program((*objective.program.inputs, *errors), outputs)
    return VectorField(program, (*objective.parameters, *errors), objective)
