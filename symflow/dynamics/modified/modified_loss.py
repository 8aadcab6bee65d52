"""The modified loss: the function whose gradient flow a modified equation is, where there is one for every f."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from symflow.derivatives.derived import Derived
from symflow.displays import as_formula
from symflow.dynamics.modified.coefficients import Number
from symflow.dynamics.modified.curl import curl, curl_latex
from symflow.dynamics.modified.differentials import Differentials
from symflow.dynamics.modified.notation import differential_latex, ordered, signed
from symflow.dynamics.modified.potential import number_node, potential
from symflow.dynamics.modified.trees import THETA, G, Tree
from symflow.errors import ProblemError
from symflow.networks.objective import Objective
from symflow.numbers.rational import rational
from symflow.programs.nodes import Node, add
from symflow.programs.program import Program

Numbers = Sequence[Mapping[Tree, Number]]


@as_formula
@dataclass(frozen=True, eq=False)
class ModifiedLoss:
    """sum_i eta^i L_i(theta), F_i = -grad L_i.

    Attributes:
        objective: f.
        terms: L_0, L_1, ... as LaTeX.
        nodes: the same as nodes; none where they have symbols.

    Example:
        >>> import sympy
        >>> x = sympy.Symbol("x")
        >>> objective = sf.expression_objective(x**4 / 4, [x])
        >>> loss = sf.modified_equation(objective, order=1, method=sf.Nesterov(sympy.Symbol("beta"))).loss()
        >>> print(loss.latex())
        \\frac{1}{1-\\beta}f+\\eta\\Bigl(\\frac{1-\\beta+2\\beta^{2}}{4(1-\\beta)^{3}}\\|g\\|^2\\Bigr)
    """

    objective: Objective
    terms: Sequence[str]
    nodes: Sequence[Node]

    def function(self, step_size: Any) -> Derived:
        """The loss at one step size, as a scalar program.

        Args:
            step_size: eta.

        Raises:
            ProblemError: a step size that is not a number, or a setting of the method is a symbol.
        """
        if not self.nodes:
            raise ProblemError("this needs numbers for the settings of the method that are symbols")
        eta = rational(step_size, "step_size")
        total = add([(eta**i, x) for i, x in enumerate(self.nodes)])
        return Derived("modified loss", self.objective, Program(self.objective.program.inputs, {"f": total}), "scalar")

    def latex(self) -> str:
        """The formula."""
        first, *others = self.terms
        powers = [r"\eta" if i == 1 else rf"\eta^{i}" for i in range(1, len(self.terms))]
        return first + "".join(
            rf"+{power}\Bigl({text}\Bigr)" for power, text in zip(powers, others, strict=True) if text
        )

    def __repr__(self) -> str:
        return f"<modified loss of order {len(self.terms) - 1}>"


def loss_numbers(series: Sequence[Mapping[Tree, Number]]) -> Numbers:
    """The loss of the equation theta' = sum_i eta^i F_i, in the numbers of unrooted trees.

    Raises:
        ProblemError: a term is not a gradient for every f.
    """
    found = []
    for i, term in enumerate(series):
        numbers = potential(term)
        if numbers is None:
            raise ProblemError(
                f"no modified loss exists at order {i}: the Jacobian J of F_{i} is not symmetric in general, "
                f"J - J^T = {curl_latex(curl(term))}; ask for an order below {i}"
            )
        found.append({t: -c for t, c in numbers.items()})
    return found


def loss_texts(numbers: Numbers) -> Sequence[str]:
    """Its terms in LaTeX."""
    return [
        "".join(signed(c / 2 if t == THETA else c, number_latex(t)) for t, c in ordered(term)).removeprefix("+")
        for term in numbers
    ]


def loss_nodes(objective: Objective, numbers: Numbers) -> Sequence[Node]:
    """Its terms as nodes."""
    found, loss = Differentials(objective), objective.loss
    return [add([(0, loss), *((c, number_node(t, found, loss)) for t, c in term.items())]) for term in numbers]


def number_latex(t: Tree) -> str:
    """The number of an unrooted tree: f, ||g||^2, <g,Hg>, T[g,g,g], ...; of a leaf theta twice its number."""
    if t == G:
        return "f"
    if t == THETA:
        return r"\|\theta\|^2"
    branches = [differential_latex(branch) for branch in t[1]]
    if branches == ["g"]:
        return r"\|g\|^2"
    if len(branches) == 1:
        return rf"\langle g,{branches[0]}\rangle"
    if len(branches) == 2:
        return rf"\langle {branches[0]},H{branches[1]}\rangle"
    letter = {3: "T", 4: "Q"}.get(len(branches), rf"\nabla^{len(branches)}f")
    return f"{letter}[{','.join(branches)}]"
