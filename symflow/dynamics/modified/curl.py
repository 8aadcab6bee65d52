r"""The antisymmetric part of the Jacobian of a series of trees: what forbids a modified loss.

The derivative of F(tau) in a direction is a sum over the vertices of tau: the direction is grafted there. Along the
path from the root to that vertex each vertex is a symmetric matrix, the derivative of f with all but two places
filled, and the Jacobian is their product. So J - J^T is a sum of products of symmetric matrices minus the same in
reverse order; vertices that stand for the identity have been left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from symflow.derivatives.derived import Derived, parameter_directions
from symflow.displays import as_formula
from symflow.dynamics.modified.coefficients import Number
from symflow.dynamics.modified.differentials import Differentials, combined
from symflow.dynamics.modified.notation import differential_latex, signed
from symflow.dynamics.modified.tree_series import Coefficient, Forest, Series
from symflow.dynamics.modified.trees import DECAY, VELOCITY, Tree, tree
from symflow.errors import ProblemError
from symflow.networks.objective import Objective
from symflow.programs.program import Program

Chain: TypeAlias = tuple[Forest, ...]
"""A product of symmetric matrices: for each the trees that fill the other places of a derivative of f."""


@as_formula
@dataclass(frozen=True, eq=False)
class Curl:
    """J(F_i) - J(F_i)^T: a sum of products of symmetric matrices minus the same in reverse order.

    Attributes:
        objective: f.
        order: i.
        chains: the products with their coefficients, such as {H, T[g]: -1/6}.

    Example:
        >>> import sympy
        >>> x, y = sympy.symbols("x y")
        >>> objective = sf.expression_objective(x**2 * y / 2 + x, [x, y])
        >>> curl = sf.modified_equation(objective, order=2).curl(2)
        >>> curl.latex(), bool(curl)
        ('-\\\\tfrac{1}{6}[H,T[g]]', True)
        >>> curl.function.explicit().subs({x: 1, y: 0})
        Matrix([
        [ Delta_y/12],
        [-Delta_x/12]])
    """

    objective: Objective
    order: int
    chains: Mapping[Chain, Number]

    def __bool__(self) -> bool:
        return bool(self.chains)

    @property
    def function(self) -> Derived:
        """The antisymmetric matrix applied to a direction Delta, as a vector program.

        Raises:
            ProblemError: a coefficient has a symbol.
        """
        if not all(isinstance(c, Fraction) for c in self.chains.values()):
            raise ProblemError(
                f"the curl of F_{self.order} has symbols, and a program takes numbers; give the method's settings as "
                "numbers"
            )
        directions = parameter_directions(self.objective)
        known = dict(zip(self.objective.parameters, directions, strict=True))
        found = Differentials(self.objective, {VELOCITY: known})
        both = ((chain, c) for first, x in self.chains.items() for chain, c in ((first, x), (first[::-1], -x)))
        moved = combined(self.objective, [(c, found(applied(chain))) for chain, c in both])
        program = Program(
            (*self.objective.program.inputs, *directions), {f"curl_{w.name}": x for w, x in moved.items()}
        )
        return Derived(f"curl of F_{self.order}", self.objective, program, "vector", directions)

    def latex(self) -> str:
        """The formula; H, T[g], ... are symmetric matrices."""
        return curl_latex(self.chains)

    def __repr__(self) -> str:
        return f"<antisymmetric part of the Jacobian of F_{self.order}: {len(self.chains)} terms>"


def curl_latex(chains: Mapping[Chain, Number]) -> str:
    """A sum of products of symmetric matrices minus the same in reverse order."""
    texts = [signed(c, _difference_latex(chain)) for chain, c in sorted(chains.items())]
    return "".join(texts).removeprefix("+") or "0"


def _difference_latex(chain: Chain) -> str:
    matrices = [_matrix_latex(forest) for forest in chain]
    if len(chain) == 2:
        return f"[{','.join(matrices)}]"
    return f"({''.join(matrices)}-{''.join(reversed(matrices))})"


def _matrix_latex(forest: Forest) -> str:
    letter = {0: "H", 1: "T", 2: "Q"}.get(len(forest), rf"\nabla^{len(forest) + 2}f")
    return letter + (f"[{','.join(differential_latex(t) for t in forest)}]" if forest else "")


def curl(series: Series) -> dict[Chain, Coefficient]:
    """J - J^T: for each chain c its coefficient, c standing for c minus c in reverse order."""
    found: dict[Chain, Coefficient] = {}
    for t, c in series.items():
        for chain in chains(t):
            first = min(chain, chain[::-1])
            if chain != chain[::-1]:
                change = c if chain == first else -c
                found[first] = found[first] + change if first in found else change
    return {chain: c for chain, c in found.items() if c}


def chains(t: Tree) -> Iterator[Chain]:
    """The products of matrices whose sum is the Jacobian of a tree."""
    kind, branches = t
    if kind == DECAY:
        yield ()
        return
    yield (branches,)
    for position, branch in enumerate(branches):
        others = (*branches[:position], *branches[position + 1 :])
        yield from ((others, *chain) for chain in chains(branch))


def applied(chain: Chain) -> Tree:
    """A product of matrices applied to a direction, which is the leaf VELOCITY."""
    found = VELOCITY
    for forest in reversed(chain):
        found = tree(*forest, found)
    return found
