r"""The slow manifold of a method, and the map of theta that descent is on it.

What a method carries is attracted by a function of theta, v = V(theta), on which descent is a map of theta alone:

    V(theta + S(theta, V(theta))) = W(theta, V(theta)),    Phi(theta) = theta + S(theta, V(theta)),

where one step takes (theta, v) to (theta + S, W). Order by order this is a linear equation for the coefficients of V,
with the factor 1 - c where W = c v + ..., |c| < 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from symflow.dynamics.modified.step import Stepped
from symflow.dynamics.modified.tree_series import Coefficient, Series, Shift, part, plus
from symflow.dynamics.modified.trees import VELOCITY
from symflow.errors import ProblemError

Step: TypeAlias = Callable[[Series, int], Stepped]
"""(what is carried, the largest number of vertices) -> one step."""


@dataclass(frozen=True)
class SlowManifold:
    """Descent once what it carries follows theta.

    Attributes:
        carried: V; empty for a method that carries nothing.
        moved: Phi - identity.
    """

    carried: Series
    moved: Series


def slow_manifold(step: Step, size: int) -> SlowManifold:
    """V and Phi up to `size` vertices.

    Raises:
        ProblemError: what is carried is not forgotten (1 - c = 0).
    """
    carried: Series = {}
    if step({}, 1).carried is None:
        return SlowManifold({}, step({}, size).moved)
    factor = 1 - memory(step)
    for n in range(1, size + 1):
        new = step(carried, n)
        assert new.carried is not None
        missing = part(plus(new.carried, Shift(new.moved, n)(carried), -1), n)
        carried = plus(carried, {t: c / factor for t, c in missing.items()})
    return SlowManifold(carried, step(carried, size).moved)


def memory(step: Step) -> Coefficient:
    """c, what is left of the velocity after a step: W = c v + ....

    Raises:
        ProblemError: c = 1.
    """
    new = step({VELOCITY: 1}, 1).carried
    c = (new or {}).get(VELOCITY, 0)
    if c == 1:
        raise ProblemError("what the method carries is never forgotten, so that no flow of theta alone follows it")
    return c
