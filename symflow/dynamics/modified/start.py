r"""Where the flow must start: the asymptotic phase of descent from rest.

pi(theta, v) is the point of the slow manifold whose descent the one from (theta, v) approaches:

    pi(step(theta, v)) = Phi(pi(theta, v)),    pi(theta, V(theta)) = theta.

With u = v - V(theta), u -> c u + ..., pi = theta + terms with at least one u. A term with d of them is multiplied by
c^d at leading order, so that each order is a diagonal linear equation with the factors c^d - 1.
"""

from __future__ import annotations

from symflow.dynamics.modified.slow_manifold import SlowManifold, Step, memory, slow_manifold
from symflow.dynamics.modified.tree_series import Coefficient, Shift, part, plus
from symflow.dynamics.modified.trees import VELOCITY, Tree, leaves


def start(step: Step, size: int) -> dict[Tree, Coefficient]:
    """pi(theta, 0) - theta up to `size` vertices."""
    manifold = slow_manifold(step, size)
    if not manifold.carried:
        return {}
    at_rest = plus({}, manifold.carried, -1)
    return Shift({}, size, at_rest)(phase(step, manifold, size))


def phase(step: Step, manifold: SlowManifold, size: int) -> dict[Tree, Coefficient]:
    """pi - theta up to `size` vertices, in the trees of theta and of u."""
    c = memory(step)
    found: dict[Tree, Coefficient] = {}
    for n in range(1, size + 1):
        new = step(plus(manifold.carried, {VELOCITY: 1}), n)
        assert new.carried is not None
        off = plus(new.carried, Shift(new.moved, n)(manifold.carried), -1)
        before = plus(new.moved, Shift(new.moved, n, off)(found))
        after = plus(found, Shift(found, n)(manifold.moved))
        missing = part(plus(after, before, -1), n)
        found = plus(found, {t: x / (c ** leaves(t) - 1) for t, x in missing.items()})
    return found
