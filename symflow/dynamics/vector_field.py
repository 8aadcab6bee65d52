"""Vector fields: what integrators take. Gradient flow, flows with an extended state, and fields that users write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import sympy

from symflow.caching import Keeper
from symflow.derivatives.derived import gradient_nodes
from symflow.displays import as_formula, show
from symflow.dynamics.expressions import Components, expression_field
from symflow.errors import NoObjective
from symflow.networks.objective import Objective
from symflow.programs.flat import entry_names, slices
from symflow.programs.nodes import Gate, Input, scale
from symflow.programs.program import Program, entries

SHOWN = 120
"""Longest equations that stand in a field's repr, in characters."""


@as_formula
@dataclass(frozen=True, eq=False, init=False)
class VectorField(Keeper):
    r"""x' = G(x), an autonomous vector field, from SymPy expressions or from a program.

    Sums, products, powers, exp, log, sin, cos, tan, atan, sinh, cosh, tanh, rational numbers (a float means its binary
    value), e and pi. A parameter is a number in the expressions; time is a variable t with t' = 1.

    Args:
        components: G: a mapping from each variable to its derivative, or the derivatives in the order of `state`; or a
            `Program` with one output per state input.
        state: the variables, SymPy symbols of different names (none where a mapping names them); of a program the
            inputs that are the state.
        objective: what a program's field derives from; it supplies the data and, through its gates, the kinks.
        slides: whether it is gradient flow itself, so that it can be held on kinks.
        given: the same objective as the user gave it, which trajectories name; `objective` if left out.
        data: exact values of the inputs of a program that are not the state; the objective's if left out.

    Attributes:
        program: G, one output per state input, in order.
        state: the state inputs; a state is their entries in this order, shape (P,).
        source: the objective that it derives from; None for a field from expressions.
        slides, given, data: as above.
        symbols: the SymPy symbols that scalar inputs stand for, where it was made from expressions.

    Raises:
        ProblemError: something else than expressions, another number of them than of variables, a symbol that is no
            variable, a number that is not real, or a function outside this list.

    Example:
        >>> import sympy
        >>> x, y = sympy.symbols("x y")
        >>> field = sf.VectorField({x: 2*x - 2*x*y, y: -y + x*y})
        >>> field
        <vector field: x' = -2*x*y + 2*x, y' = x*y - y>
        >>> print(field.latex())
        \begin{aligned}
        x' &= - 2 x y + 2 x \\
        y' &= x y - y
        \end{aligned}
        >>> sf.solve_field(field, [1, 3], horizon=4, dps=30).numpy(4).round(4)
        array([1.4466, 0.1872])
    """

    program: Program
    state: tuple[Input, ...]
    source: Objective | None
    slides: bool
    given: Objective | None
    data: Mapping[Input, np.ndarray]
    symbols: Mapping[Input, sympy.Symbol]

    def __init__(
        self,
        components: Program | Components,
        state: Sequence[Input] | Sequence[sympy.Symbol] | None = None,
        objective: Objective | None = None,
        slides: bool = False,
        given: Objective | None = None,
        data: Mapping[Input, np.ndarray] | None = None,
    ) -> None:
        symbols: Mapping[Input, sympy.Symbol] = {}
        if isinstance(components, Program):
            program, inputs = components, tuple(state or ())
        else:
            program, symbols = expression_field(components, state)
            inputs = program.inputs
        if data is None:
            data = {} if objective is None else objective.data
        if objective is not None and not symbols:
            symbols = objective.symbols
        known = {"program": program, "state": inputs, "source": objective, "slides": slides, "given": given}
        for name, value in {**known, "data": dict(data), "symbols": dict(symbols)}.items():
            object.__setattr__(self, name, value)

    @property
    def objective(self) -> Objective:
        """The objective that it derives from.

        Raises:
            NoObjective: a field from expressions has none.
        """
        if self.source is None:
            raise NoObjective("this needs an objective, and a vector field from expressions has none; use a problem")
        return self.source

    @property
    def gates(self) -> tuple[Gate, ...]:
        """The gates whose kinks it has, upstream first; empty where it is smooth."""
        return () if self.source is None else self.source.gates

    @property
    def dimension(self) -> int:
        """P, the number of entries of a state."""
        return sum(entries(x.axes) for x in self.state)

    def slices(self) -> Iterator[tuple[slice, tuple[int, ...]]]:
        """Where each state array lies in a state, and its shape."""
        return slices(self.state)

    def names(self) -> list[str]:
        """A name for each entry of the state."""
        return entry_names(self.state)

    def cut(self, state: np.ndarray) -> dict[Input, np.ndarray]:
        """Cuts a flat array of shape (P,) into one array per state input."""
        return {x: state[where].reshape(s) for x, (where, s) in zip(self.state, self.slices(), strict=True)}

    def explicit(self, budget: int = 100_000) -> sympy.Matrix:
        """G in SymPy scalars, data inserted as exact rationals, shape (P, 1).

        Args:
            budget: the largest number of scalar operations that the expanded expressions may have.

        Raises:
            BudgetError: the expansion would be larger; the error states its size.
        """
        return show(self, "explicit", budget)

    def latex(self) -> str:
        """One line x' = G_x(x) for each entry of the state, in an aligned environment."""
        return str(show(self, "latex"))

    def __repr__(self) -> str:
        kind = "gradient flow" if self.slides else "vector field"
        if self.source is None and self.symbols:
            lines = ", ".join(f"{x}' = {e}" for x, e in zip(self.symbols.values(), self.explicit(), strict=True))
            if len(lines) <= SHOWN:
                return f"<{kind}: {lines}>"
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
