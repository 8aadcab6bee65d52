r"""Which series of trees are gradients for every f: the modified loss.

An unrooted tree stands for a number: a derivative of f for each vertex, contracted along the edges, such as
g^T H g for a path of three. Its gradient is the sum of the trees rooted at each of its vertices (the product rule; a
leaf theta has the identity as its derivative, which leaves the vertex next to it as the root). Unrooted trees are
independent for f of enough variables, so that a series is a gradient if and only if the coefficients of each unrooted
tree agree; those of most vertices are compared first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from fractions import Fraction

from symflow.dynamics.modified.differentials import Differentials
from symflow.dynamics.modified.tree_series import Coefficient, Series, plus
from symflow.dynamics.modified.trees import THETA, G, Tree, tree, vertices
from symflow.programs.nodes import Node, add, einsum, scale


def potential(series: Series) -> dict[Tree, Coefficient] | None:
    """Numbers whose gradients sum up to a series; None where it is not the gradient of a function for every f.

    Args:
        series: trees whose vertices are of the kind GRADIENT, with leaves theta.

    Returns:
        Coefficients of unrooted trees, each given by one of its rooted ones; `THETA` is ||theta||^2 / 2.
    """
    left, found = dict(series), dict[Tree, Coefficient]()
    while left:
        largest = max(left, key=lambda t: (vertices(t), t))
        slope = gradient(largest)
        c = left[largest] / slope[largest]
        left = plus(left, slope, -c)
        if any(t in left for t in slope if vertices(t) == vertices(largest)):
            return None
        found[largest] = c
    return found


def gradient(t: Tree) -> Counter[Tree]:
    """The gradient of the number of an unrooted tree."""
    return Counter([THETA] if t == THETA else _roots(t, None))


def _roots(t: Tree, above: Tree | None) -> Iterator[Tree]:
    """The trees with the root at each vertex of t, where `above` is the rest, seen from t."""
    branches = t[1] if above is None else (*t[1], above)
    yield tree(*branches)
    for position, branch in enumerate(t[1]):
        rest = tree(*t[1][:position], *t[1][position + 1 :], *(() if above is None else (above,)))
        yield from [rest] if branch == THETA else _roots(branch, rest)


def number_node(t: Tree, found: Differentials, loss: Node) -> Node:
    """The number of an unrooted tree as a node."""
    if t == G:
        return loss
    first, *others = t[1] or (THETA,)
    rest = found(tree(*others) if t[1] else THETA)
    pairs = ((x, rest[w], tuple(range(len(w.axes)))) for w, x in found(first).items())
    dot = add([(1, einsum((x, y), (labels, labels), ())) for x, y, labels in pairs])
    return scale(Fraction(1, 2), dot) if t == THETA else dot
