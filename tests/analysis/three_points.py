"""Three points, ReLU units with biases, small initialization: the published setting, and where its flow ends.

Boursier, Flammarion, "Early alignment in two-layer networks training is a two-edged sword" (arXiv 2401.10791), section
5 and their code: h(x) = sum_j a_j relu(w_j x + b_j), so that a bias is a weight of the input (x, 1); w_j and b_j are
drawn from N(0, scale^2/m), |a_j| = ||(w_j, b_j)||. Their loss is twice ours, so their time is half of ours.

Where it ends. Let e* be the residual of the least-squares line: (-160, 224, -64)/390. In a network in which every unit
is active on all three points, or off on all of them, or off but for its kink on point 0 or 2 with a_j < 0, and so in a
neighbourhood of it, h = l + s with l a line, s_0 <= 0, s_2 <= 0 and s_1 = 0. As e* is orthogonal to lines,

    2 N f = |e*|^2 + |l - l* + s|^2 + 2 <e*, s> >= |e*|^2:

at l = l*, s = 0 it is a local minimum, of f = |e*|^2/6 = 256/2925. The flow stays in such a state: units that are off
do not move, one on its kink is pushed back while the residual there is negative, and the active ones follow the flow of
a linear network, of which R24 proves the limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import mpmath
import numpy as np

import symflow as sf

X = [[Fraction(-3, 4), 1], [Fraction(-1, 2), 1], [Fraction(1, 8), 1]]
Y = [Fraction(11, 10), Fraction(1, 10), Fraction(4, 5)]
LINE = (Fraction(-4, 65), Fraction(251, 390))
LOSS = Fraction(256, 2925)


def problem(units: int, scale: float, seed: int, init: str = "balanced") -> sf.Problem:
    """The published problem with so many units, drawn by NumPy, as their code does it."""
    rng = np.random.default_rng(seed)
    w = rng.standard_normal((units, 2)) * scale / np.sqrt(units)
    a = rng.choice([-1.0, 1.0], units) * np.linalg.norm(w, axis=1)
    if init == "unbalanced":
        a = rng.standard_normal(units) * scale / np.sqrt(units)
    objective = sf.network_objective(sf.FullyConnected((2, units, 1), activation="relu"), X, Y)
    return sf.Problem(objective=objective, theta0=np.concatenate([w.ravel(), a]))


def units_of(theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(w_j, b_j) and a_j."""
    count = len(theta) // 3
    return theta[: 2 * count].reshape(count, 2), theta[2 * count :]


def line_of(theta: np.ndarray) -> np.ndarray:
    """Slope and intercept of what the units that are active on all points add up to."""
    w, a = units_of(np.asarray(theta, dtype=float))
    active = (np.array(X, dtype=float) @ w.T > 0).all(axis=0)
    return a[active] @ w[active]


@dataclass(frozen=True)
class Settled:
    """A flow that converges to the line, proved.

    Attributes:
        active: how many units are active on all points for all time.
        resting: how many lie on the kink of point 0 or 2, off otherwise.
        off: how many are off on all points.
        limit: of the active units, as a linear network (R24).
    """

    active: int
    resting: int
    off: int
    limit: sf.Limit


def settled(flow: sf.Trajectory) -> Settled:
    """Proves, from its end on, that a certified flow converges to the line; an AssertionError where it does not."""
    assert flow.error is not None
    assert flow.error.how == "certified"
    with mpmath.workdps(flow.digits):
        theta = flow.at_end()
        w, a = units_of(theta)
        error = mpmath.sqrt(len(theta)) * flow.error.value
        z = np.array([[w[j] @ np.array([mpmath.mpf(x[0].numerator) / x[0].denominator, 1]) for x in X] for j in
                      range(len(a))])  # fmt: skip
        near = 2 * error  # ||(x, 1)|| < 2
        active = [j for j in range(len(a)) if all(z[j] > near)]
        resting = [j for j in range(len(a)) if z[j, 1] < -near and a[j] < -error and not any(z[j] > near)
                   and any(abs(z[j]) <= near)]  # fmt: skip
        off = [j for j in range(len(a)) if all(z[j] < -near)]
        assert len(active) + len(resting) + len(off) == len(a), "a unit is active on some of the points"
        linear = sf.Problem(
            network=sf.FullyConnected((2, len(active), 1)),
            data={"x": X, "y": Y},
            init={"theta": [*w[active].ravel(), *a[active]]},
        )
        limit = sf.limit(linear, horizon=0, dps=30)
        assert limit.kind == "linear"
        # the flow itself starts within `error` of there
        slope = mpmath.norm(sf.evaluate_mpmath(sf.gradient(linear.objective), linear.theta0, dps=30))
        excess = limit.excess + error * slope + error**2 * limit.curvature
        assert mpmath.sqrt(2 * excess / limit.rate) * mpmath.mpf("1.001") + error < limit.neighbourhood
        # on the whole way the active units stay active, and the residuals at points 0 and 2 negative
        assert all(min(z[j]) > 2 * limit.neighbourhood for j in active)
        assert mpmath.sqrt(6 * excess) < mpmath.mpf(64) / 390
        assert limit.loss.lower <= mpmath.mpf(LOSS.numerator) / LOSS.denominator <= limit.loss.upper
    return Settled(len(active), len(resting), len(off), limit)
