r"""The flow whose solution after the time eta is a given map: exp(eta F) = Phi.

With L u = u' F the solution is sum_m L^{m-1} F / m!; the part of n vertices of the terms m >= 2 contains the parts of F
of less than n vertices alone. So Phi determines F, one number of vertices after the other.
"""

from __future__ import annotations

from math import factorial

from symflow.dynamics.modified.tree_series import Coefficient, Series, along, part, plus
from symflow.dynamics.modified.trees import Tree


def logarithm(moved: Series, size: int) -> tuple[dict[Tree, Coefficient], ...]:
    """F_0, F_1, ... with 1, 2, ..., `size` vertices, from Phi - identity."""
    terms: list[dict[Tree, Coefficient]] = []
    powers: dict[tuple[int, int], Series] = {}
    for n in range(1, size + 1):
        found = part(moved, n)
        for m in range(2, n + 1):
            level: dict[Tree, Coefficient] = {}
            for i in range(1, n - m + 2):
                level = plus(level, along(terms[i - 1], powers[m - 1, n - i]))
            powers[m, n] = level
            found = plus(found, {t: c / factorial(m) for t, c in level.items()}, -1)
        terms.append(found)
        powers[1, n] = found
    return tuple(terms)
