"""Truncated series of elementary differentials: sums, composition, derivatives along each other.

A series gives each tree a coefficient; the power of the step size is the number of vertices. A *product* of series is
a polynomial in trees (a sum over forests), which becomes a series again as the subtrees of a root. Coefficients are
elements of any field that contains the rationals: `Fraction`, or rational functions of the settings of a method.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from symflow.dynamics.modified.trees import CARRIED, DECAY, GRADIENT, THETA, Tree, grafted, vertices

Coefficient: TypeAlias = Any
"""A `Fraction`, or an element of a SymPy field of rational functions."""
Series: TypeAlias = Mapping[Tree, Coefficient]
Forest: TypeAlias = tuple[Tree, ...]


def plus(a: Series, b: Series, factor: Coefficient = 1) -> dict[Tree, Coefficient]:
    """a + factor b."""
    found = dict(a)
    for t, c in b.items():
        found[t] = found[t] + factor * c if t in found else factor * c
    return {t: c for t, c in found.items() if c}


def part(a: Series, size: int) -> dict[Tree, Coefficient]:
    """The trees with so many vertices."""
    return {t: c for t, c in a.items() if vertices(t) == size}


def exponential(s: Series, size: int) -> dict[Forest, Coefficient]:
    """exp(s) up to `size` vertices: every forest with the product of its coefficients over the factorials."""
    found: dict[Forest, Coefficient] = {(): 1}
    for t, c in sorted(s.items(), key=lambda item: item[0]):
        for forest, known in list(found.items()):
            room, power = size - sum(map(vertices, forest)), known
            for count in range(1, room // vertices(t) + 1):
                power = power * c / count
                found[*forest, *(t,) * count] = power
    return found


def product(a: Mapping[Forest, Coefficient], b: Series, size: int) -> dict[Forest, Coefficient]:
    """A polynomial in trees times a series, up to `size` vertices."""
    found: dict[Forest, Coefficient] = {}
    sized = sorted(((vertices(t), t, y) for t, y in b.items()), key=lambda item: item[0])
    for forest, x in a.items():
        room = size - sum(map(vertices, forest))
        for needed, t, y in sized:
            if needed > room:
                break
            key = tuple(sorted((*forest, t)))
            found[key] = found[key] + x * y if key in found else x * y
    return found


def gradient_at(s: Series, size: int) -> dict[Tree, Coefficient]:
    """eta grad f(theta + s), up to `size` vertices."""
    return {(GRADIENT, forest): c for forest, c in exponential(s, size - 1).items()}


def decayed(identity: Coefficient, s: Series, size: int) -> dict[Tree, Coefficient]:
    """eta (identity theta + s), up to `size` vertices."""
    found: dict[Tree, Coefficient] = {(DECAY, (t,)): c for t, c in s.items() if vertices(t) < size}
    return {THETA: identity, **found} if identity else found


class Shift:
    """Differentials at theta + s in place of theta, and w in place of what is carried, up to `size` vertices."""

    def __init__(self, s: Series, size: int, carried: Series | None = None) -> None:
        self._s, self._size, self._carried = s, size, carried
        self._factor = exponential(s, size - 1)
        self._known: dict[Tree, dict[Tree, Coefficient]] = {}

    def __call__(self, a: Series) -> dict[Tree, Coefficient]:
        """The series a, shifted."""
        found: dict[Tree, Coefficient] = {}
        for t, c in a.items():
            if vertices(t) <= self._size:
                found = plus(found, self._tree(t), c)
        return found

    def _tree(self, t: Tree) -> dict[Tree, Coefficient]:
        if t not in self._known:
            self._known[t] = self._shifted(t)
        return self._known[t]

    def _shifted(self, t: Tree) -> dict[Tree, Coefficient]:
        kind, branches = t
        if kind == CARRIED:
            return {t: 1} if self._carried is None else dict(self._carried)
        if kind == DECAY:
            inside = self._tree(branches[0]) if branches else self._s
            return decayed(0 if branches else 1, inside, self._size)
        forests = self._factor
        for branch in branches:
            forests = product(forests, self._tree(branch), self._size - 1)
        return {(GRADIENT, forest): c for forest, c in forests.items() if c}


def along(field: Series, a: Series) -> dict[Tree, Coefficient]:
    """The derivative of a series along another one."""
    found: dict[Tree, Coefficient] = {}
    for sigma, x in field.items():
        for tau, y in a.items():
            for t in grafted(sigma, tau):
                found[t] = found[t] + x * y if t in found else x * y
    return {t: c for t, c in found.items() if c}


def collapsed(a: Series) -> dict[Tree, Coefficient]:
    """The series without the vertices that stand for the identity applied to one subtree."""
    found: dict[Tree, Coefficient] = {}
    for t, c in a.items():
        found = plus(found, {_collapsed(t): c})
    return found


def _collapsed(t: Tree) -> Tree:
    kind, branches = t
    if kind == DECAY and branches:
        return _collapsed(branches[0])
    return kind, tuple(sorted(_collapsed(branch) for branch in branches))
