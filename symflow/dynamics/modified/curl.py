r"""The antisymmetric part of the Jacobian of a series of trees: what forbids a modified loss.

The derivative of F(tau) in a direction is a sum over the vertices of tau: the direction is grafted there. Along the path
from the root to that vertex each vertex is a symmetric matrix, the derivative of f with all but two places filled, and
the Jacobian is their product. So J - J^T is a sum of products of symmetric matrices minus the same in reverse order;
vertices that stand for the identity have been left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from symflow.dynamics.modified.tree_series import Coefficient, Forest, Series
from symflow.dynamics.modified.trees import DECAY, VELOCITY, Tree, tree

Chain: TypeAlias = tuple[Forest, ...]
"""A product of symmetric matrices: for each the trees that fill the other places of a derivative of f."""


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
