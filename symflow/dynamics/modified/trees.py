r"""Rooted trees, the indices of elementary differentials.

A tree is a kind of vertex with its subtrees. With k subtrees

| kind | stands for | k |
|---|---|---|
| GRADIENT | nabla^{k+1} f applied to the subtrees | any |
| DECAY | the field theta, or the identity applied to the subtree | 0, 1 |
| CARRIED | what a method carries, such as its velocity | 0 |

In a series every vertex carries one power of the step size.
"""

from __future__ import annotations

from functools import cache
from typing import TypeAlias

Tree: TypeAlias = tuple[int, tuple["Tree", ...]]
"""A rooted tree: the kind of its root and its subtrees in ascending order."""

GRADIENT, DECAY, CARRIED = 0, 1, 2
G: Tree = (GRADIENT, ())
HG: Tree = (GRADIENT, (G,))
HHG: Tree = (GRADIENT, (HG,))
TGG: Tree = (GRADIENT, (G, G))
THETA: Tree = (DECAY, ())
VELOCITY: Tree = (CARRIED, ())


def tree(*branches: Tree) -> Tree:
    """nabla^{k+1} f[branches]."""
    return GRADIENT, tuple(sorted(branches))


@cache
def vertices(t: Tree) -> int:
    """The number of vertices."""
    return 1 + sum(vertices(branch) for branch in t[1])


@cache
def leaves(t: Tree, kind: int = CARRIED) -> int:
    """The number of vertices of a kind."""
    return (t[0] == kind) + sum(leaves(branch, kind) for branch in t[1])


@cache
def grafted(sigma: Tree, tau: Tree) -> tuple[Tree, ...]:
    """The trees with sigma attached to one vertex of tau that depends on theta, the root first.

    Their sum is the derivative of the differential of tau along that of sigma.
    """
    kind, branches = tau
    found = [(kind, tuple(sorted((*branches, sigma))))] if kind == GRADIENT or tau == THETA else []
    for position, branch in enumerate(branches):
        rest = (*branches[:position], *branches[position + 1 :])
        found += [(kind, tuple(sorted((*rest, longer)))) for longer in grafted(sigma, branch)]
    return tuple(found)


def all_trees(size: int) -> list[Tree]:
    """The trees with so many vertices of the kind GRADIENT."""
    if size == 1:
        return [G]
    return sorted({larger for smaller in all_trees(size - 1) for larger in grafted(G, smaller)})
