r"""R17: the modified equation of gradient descent, theta' = F_0 + eta F_1 + eta^2 F_2 + ..., with the solution that
descent follows to a higher order than gradient flow.

Its terms are sums of *elementary differentials* of the loss, indexed by rooted trees: the root of a tree with k
subtrees stands for nabla^{k+1} f, applied to the differentials of the subtrees.

| tree | () | (t,) | (s, t) | (r, s, t) | ((), (), (), ()) |
|---|---|---|---|---|---|
| stands for | g | H t | T[s,t] | Q[r,s,t] | nabla^5 f[g,g,g,g] |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from typing import Any, ClassVar, TypeAlias

from symflow.caching import kept
from symflow.derivatives.derived import MAX_OPERATIONS, Derived, gradient_nodes
from symflow.displays import show
from symflow.dynamics.vector_field import VectorField
from symflow.errors import BudgetError
from symflow.networks.moments import compact
from symflow.networks.objective import Objective, require_objective
from symflow.numbers.arguments import whole
from symflow.numbers.rational import rational
from symflow.programs.differentiate import jvp
from symflow.programs.nodes import Input, Node, add
from symflow.programs.program import Program, topological, transform

Tree: TypeAlias = tuple["Tree", ...]
"""A rooted tree: the tuple of its subtrees, in a fixed order."""

G: Tree = ()
HG: Tree = (G,)
HHG: Tree = (HG,)
TGG: Tree = (G, G)


def _terms(*terms: tuple[int, int, Tree]) -> dict[Tree, Fraction]:
    return {tree: Fraction(p, q) for p, q, tree in terms}


TERMS: tuple[Mapping[Tree, Fraction], ...] = (
    _terms((-1, 1, G)),
    _terms((-1, 2, HG)),
    _terms((-1, 3, HHG), (-1, 12, TGG)),
    _terms((-1, 4, (HHG,)), (-1, 12, (TGG,)), (-1, 12, (G, HG))),
    _terms(
        (-1, 5, ((HHG,),)),
        (-3, 40, ((TGG,),)),
        (-1, 10, ((G, HG),)),
        (-1, 180, ((G, G, G),)),
        (-1, 60, (HG, HG)),
        (-1, 20, (G, HHG)),
        (-1, 120, (G, TGG)),
        (1, 120, (G, G, HG)),
        (1, 720, (G, G, G, G)),
    ),
)
"""F_0, ..., F_4, derived in derivations/r17_modified_equation.py."""


@dataclass(frozen=True, eq=False)
class ModifiedEquation:
    """theta' = sum_{i <= order} eta^i F_i(theta), which gradient descent solves up to O(eta^(order+2)) in every step.

    Attributes:
        objective: f.
        terms: F_0, ..., F_order, each a vector program of theta with P entries.

    Example:
        >>> import sympy
        >>> x = sympy.Symbol("x")
        >>> equation = sf.modified_equation(sf.expression_objective(x**2 / 2, [x]), order=4)
        >>> [term.explicit()[0] for term in equation.terms]  # of x' = x log(1 - eta)/eta
        [-x, -x/2, -x/3, -x/4, -x/5]
        >>> equation.citation.id
        'R17'
    """

    objective: Objective
    terms: tuple[Derived, ...]
    result: ClassVar[str] = "R17"

    @property
    def order(self) -> int:
        """The highest power of eta."""
        return len(self.terms) - 1

    @property
    def citation(self) -> Any:
        """Where the result comes from: a `Citation`."""
        return show(self, "citation")

    def field(self, step_size: Any) -> VectorField:
        """The vector field at one step size, for `sf.solve_field`.

        Args:
            step_size: eta (text, a rational number, or a float, which means its shortest decimal).

        Returns:
            A `VectorField` whose state is theta.

        Raises:
            ProblemError: a step size that is not a number.
        """
        eta, form = rational(step_size, "step_size"), compact(self.objective)
        terms = _terms_of(form, self.order)
        outputs = {
            w.name: add([(eta**i, term.program[f"F_{w.name}"]) for i, term in enumerate(terms)])
            for w in form.parameters
        }
        return VectorField(Program(form.program.inputs, outputs), form.parameters, form, given=self.objective)

    def latex(self) -> str:
        """The equation in derivatives of f, as an ``aligned`` environment: a line or more for each power of eta."""
        return equation_latex(self.order)

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex()}$"

    def __repr__(self) -> str:
        last = self.terms[-1].program.length
        return f"<modified equation (R17) of order {self.order}, {last} operations in F_{self.order}>"


def modified_equation(objective: Objective, order: int) -> ModifiedEquation:
    r"""theta' = -g - (eta/2) H g - eta^2 (H^2 g/3 + T[g,g]/12) - ..., the modified equation of gradient descent.

    g = grad f, H = grad^2 f, T = grad^3 f. Its solution from theta_k is at theta_{k+1} + O(eta^(order+2)) after the
    time eta. Order 1 is the gradient flow of f + (eta/4) ||g||^2; from order 2 on no modified loss exists in general.

    Args:
        objective: f; with gates, the equation holds inside a smooth region.
        order: the highest power of eta, 0 to 4.

    Returns:
        A `ModifiedEquation`: `terms` are F_0, ..., F_order, each a `Derived` vector of shape (P,); `field(step_size)`
        is its vector field for `solve_field`.

    Raises:
        ProblemError: another order.
        BudgetError: a term has more than `symflow.derivatives.derived.MAX_OPERATIONS` operations.

    Source: Barrett & Dherin 2021 (order 1), Hairer, Lubich & Wanner 2006 (R17).

    Example:
        >>> import sympy
        >>> x = sympy.Symbol("x")
        >>> equation = sf.modified_equation(sf.expression_objective(x**4 / 4, [x]), order=2)
        >>> [term.explicit()[0] for term in equation.terms]
        [-x**3, -3*x**5/2, -7*x**7/2]
        >>> print(equation.latex())
        \begin{aligned}
        \dot\theta = {}& -g \\
        & {}+\eta\Bigl(-\tfrac{1}{2}Hg\Bigr) \\
        & {}+\eta^2\Bigl(-\tfrac{1}{3}H^2g-\tfrac{1}{12}T[g,g]\Bigr)
        \end{aligned}
    """
    require_objective(objective)
    return ModifiedEquation(objective, _terms_of(objective, whole(order, "order", 0, len(TERMS) - 1)))


@kept
def _terms_of(objective: Objective, order: int) -> tuple[Derived, ...]:
    """F_0, ..., F_order."""
    differentials = Differentials(objective)
    return tuple(_term(objective, differentials, i) for i in range(order + 1))


def _term(objective: Objective, found: Differentials, i: int) -> Derived:
    weighted = [(c, found(tree)) for tree, c in TERMS[i].items()]
    outputs = {f"F_{w.name}": add([(c, x[w]) for c, x in weighted]) for w in objective.parameters}
    length = len(topological(outputs.values()))
    if length > MAX_OPERATIONS:
        raise BudgetError(
            f"F_{i} of the modified equation has {length} operations, over the budget of {MAX_OPERATIONS}; ask for a "
            "lower order or a shallower network"
        )
    return Derived(f"term F_{i} of the modified equation", objective, Program(objective.program.inputs, outputs),
                   "vector", (), "R17")  # fmt: skip


class Differentials:
    """The elementary differentials of an objective as nodes, each built once."""

    def __init__(self, objective: Objective) -> None:
        self._gradient = gradient_nodes(objective)[0]
        self._found: dict[Tree, Mapping[Input, Node]] = {G: self._gradient}

    def __call__(self, tree: Tree) -> Mapping[Input, Node]:
        """The differential of a tree."""
        if tree not in self._found:
            self._found[tree] = self.applied([self(branch) for branch in sorted(tree)])
        return self._found[tree]

    def applied(self, vectors: Sequence[Mapping[Input, Node]]) -> Mapping[Input, Node]:
        """nabla^{k+1} f[v_1, ..., v_k]: k directional derivatives of g along symbols, then put in."""
        derivative: Mapping[Input, Node] = self._gradient
        values: dict[Node, Node] = {}
        for position, (_, equal) in enumerate(groupby(vectors, key=id)):
            repeated, symbols = list(equal), dict[Node, Node]()
            for w, value in repeated[0].items():
                symbols[w] = Input(f"{w.name}_{position}", w.axes, "direction", w.latex)
                values[symbols[w]] = value
            for _ in repeated:
                dot = jvp(derivative.values(), symbols)
                derivative = {w: dot[x] for w, x in derivative.items()}
        new = transform(derivative.values(), lambda x, _: values.get(x))
        return {w: new[x] for w, x in derivative.items()}


# LaTeX --------------------------------------------------------------------------------------------------------------


def equation_latex(order: int) -> str:
    """The modified equation up to eta^order for any f."""
    lines = [line for i in range(order + 1) for line in _lines(i)]
    return "\\begin{aligned}\n\\dot\\theta = {}" + " \\\\\n".join(lines) + "\n\\end{aligned}"


def differential_latex(tree: Tree) -> str:
    """An elementary differential: g, H^2g, T[g,Hg], ..."""
    height = 0
    while len(tree) == 1:
        tree, height = tree[0], height + 1
    power = "" if height == 0 else "H" if height == 1 else f"H^{height}"
    if not tree:
        return power + "g"
    letter = {2: "T", 3: "Q"}.get(len(tree), rf"\nabla^{len(tree) + 1}f")
    return f"{power}{letter}[{','.join(differential_latex(t) for t in tree)}]"


def _signed(c: Fraction, text: str) -> str:
    size = abs(c)
    number = "" if size == 1 else rf"\tfrac{{{size.numerator}}}{{{size.denominator}}}"
    return f"{'-' if c < 0 else '+'}{number}{text}"


def _lines(i: int) -> Iterator[str]:
    """The term eta^i F_i in lines that fit on a page."""
    texts = [_signed(c, differential_latex(tree)) for tree, c in TERMS[i].items()]
    if i == 0:
        yield f"& {texts[0]}"
        return
    rows = ["".join(texts[start : start + 4]) for start in range(0, len(texts), 4)]
    power = "\\eta" if i == 1 else f"\\eta^{i}"
    for position, row in enumerate(rows):
        opening = f"{{}}+{power}\\Bigl(" if position == 0 else "\\qquad"
        yield f"& {opening}{row if position else row.removeprefix('+')}" + ("\\Bigr)" if row is rows[-1] else "")
