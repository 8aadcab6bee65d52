"""Vector fields: what integrators take. Gradient flow today; flows with an extended state work the same way."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from symflow.derivatives.derived import gradient_nodes
from symflow.networks.objective import Objective
from symflow.programs.differentiate import jvp
from symflow.programs.nodes import Input, Node, add, scale
from symflow.programs.program import Program


@dataclass(frozen=True, eq=False)
class VectorField:
    """state' = F(state), an autonomous vector field as a straight-line program.

    Attributes:
        program: F, one output per state input, in order.
        state: the state inputs.
        objective: supplies the data and, through its gates, the kinks: the form that is cheapest to evaluate.
        slides: whether it is gradient flow itself, so that it can be held on kinks.
        given: the same objective as the user gave it, which trajectories name; `objective` if None.

    Example:
        >>> import sympy
        >>> x = sympy.Symbol("x")
        >>> field = sf.modified_equation(sf.expression_objective(x**4 / 4, [x]), order=1).field("1/10")
        >>> [state.name for state in field.state]
        ['x']
        >>> sf.solve_field(field, [1], horizon=1, dps=15).numpy(1).round(6)
        array([0.562677])
    """

    program: Program
    state: tuple[Input, ...]
    objective: Objective
    slides: bool = False
    given: Objective | None = None

    def __repr__(self) -> str:
        kind = "gradient flow" if self.slides else "vector field"
        return f"<{kind} of {len(self.state)} state arrays, {self.program.length} operations>"


def gradient_flow_field(objective: Objective, given: Objective | None = None) -> VectorField:
    """theta' = -grad f(theta).

    Args:
        objective: f, best in its compact form.
        given: f as the user gave it, where that is another form.
    """
    g, _ = gradient_nodes(objective)
    outputs = {w.name: scale(-1, g[w]) for w in objective.parameters}
    program = Program(objective.program.inputs, outputs)
    return VectorField(program, objective.parameters, objective, slides=True, given=given)


def leading_order_field(objective: Objective) -> VectorField:
    """R18: theta' = -g, e' = -H e - (1/2) H g = -H (e + g/2); descent strays from flow by eta e(t) + O(eta^2)."""
    g, _ = gradient_nodes(objective)
    errors = tuple(Input(f"e_{w.name}", w.axes, "state", f"e_{{{w.name}}}") for w in objective.parameters)
    along: dict[Node, Node] = {
        w: add([(1, e), (Fraction(1, 2), g[w])]) for w, e in zip(objective.parameters, errors, strict=True)
    }
    dot = jvp(g.values(), along)
    outputs = {w.name: scale(-1, g[w]) for w in objective.parameters}
    outputs |= {e.name: scale(-1, dot[g[w]]) for w, e in zip(objective.parameters, errors, strict=True)}
    program = Program((*objective.program.inputs, *errors), outputs)
    return VectorField(program, (*objective.parameters, *errors), objective)
