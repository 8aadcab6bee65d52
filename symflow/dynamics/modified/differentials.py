"""Elementary differentials as programs: what trees stand for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import groupby

from symflow.derivatives.derived import gradient_nodes
from symflow.dynamics.modified.trees import THETA, G, Tree
from symflow.networks.objective import Objective
from symflow.programs.differentiate import jvp
from symflow.programs.nodes import Input, Node, add
from symflow.programs.program import transform

Vector = Mapping[Input, Node]
"""One node for each parameter array."""


class Differentials:
    """The elementary differentials of an objective as nodes, each built once.

    Args:
        objective: f.
        known: further trees and what they stand for, such as a leaf for a direction.
    """

    def __init__(self, objective: Objective, known: Mapping[Tree, Vector] | None = None) -> None:
        self._gradient = gradient_nodes(objective)[0]
        theta = {w: w for w in objective.parameters}
        self._found: dict[Tree, Vector] = {G: self._gradient, THETA: theta, **(known or {})}

    def __call__(self, tree: Tree) -> Vector:
        """The differential of a tree."""
        if tree not in self._found:
            self._found[tree] = self.applied([self(branch) for branch in sorted(tree[1])])
        return self._found[tree]

    def applied(self, vectors: Sequence[Vector]) -> Vector:
        """nabla^{k+1} f[v_1, ..., v_k]: k directional derivatives of g along symbols, then put in."""
        derivative: Vector = self._gradient
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


def combined(objective: Objective, weighted: Iterable[tuple[Fraction, Vector]]) -> Vector:
    """A linear combination of vectors; without terms it is zero."""
    known = list(weighted)
    return {w: add([(0, w), *((c, x[w]) for c, x in known)]) for w in objective.parameters}
