r"""Minima that are isolated but for the symmetries of the network: any loss, flow, no gate that changes. (R24)

W_j -> A W_j, W_{j+1} -> W_{j+1} A^{-1} does not change a linear network, nor a (leaky) ReLU network for diagonal A > 0;
nor do weights of units that are off. So g is orthogonal to the directions X(theta) of all these. Where H + rho X X^T >=
mu > 0 on a ball, <g, H g> >= mu ||g||^2: ||g|| decays along the flow as if the minimum were isolated, at e^{-mu t}, and
the rest of the path is at most ||g||/mu. The least loss need not be known.

With diagonal A the flow conserves c = (1/2)(||row of W_j||^2 - ||column of W_{j+1}||^2), whose gradients are X; weights
of units that are off, too. The limit is the one critical point of f + (rho/2) ||c - c(theta)||^2 in the ball, and
Newton's method encloses it as closely as c is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np
from flint import arb

from symflow.analysis.limit import boxes
from symflow.analysis.limit.route import Kind, Refined
from symflow.errors import LimitUnknown
from symflow.networks.network import FullyConnected
from symflow.networks.objective import Objective
from symflow.numbers.balls import Ball
from symflow.theory.r24_for_all_time import isolated_length


@dataclass(frozen=True, eq=False)
class Symmetric:
    """R24 with lambda_min(H + rho X X^T) >= mu."""

    objective: Objective
    linear: bool
    kind: Kind = "symmetric"
    minimum: Fraction | None = None
    crosses_kinks: bool = False
    degenerate: str = "the Hessian is singular in directions that are not symmetries of the network"

    def rate(self, theta: np.ndarray) -> Ball:
        """lambda_min(H + rho X X^T)."""
        curvature, directions = boxes.curvature(self.objective, theta), self.directions(theta, self._still(theta))
        weight = self.weight(curvature, directions)
        return boxes.least_eigenvalue(curvature + directions.dot(directions.T) * weight)

    def excess(self, theta: np.ndarray, mu: Ball) -> Ball:
        """f - f* <= ||g||^2/(2 mu)."""
        return (boxes.gradient_norm(self.objective, theta) ** 2 / (2 * mu)).upper()

    def length(self, theta: np.ndarray, mu: Ball) -> Ball:
        """||g||/mu."""
        return isolated_length(boxes.gradient_norm(self.objective, theta), mu).upper()

    def stretch(self, step_size: Ball, beta: Ball) -> Ball:
        """Not known: what is proved is about flow."""
        return arb.nan()

    def _still(self, theta: np.ndarray) -> list[int]:
        """The weights that f does not depend on in a box."""
        return [p for p, x in enumerate(boxes.slope(self.objective, theta)) if x == 0]

    def directions(self, theta: np.ndarray, still: Sequence[int]) -> np.ndarray:
        """X, one column a symmetry or a weight that does nothing, shape (P, K)."""
        columns = [np.concatenate([a.reshape(-1) for a in moved]) for moved in self._moves(theta)]
        units = np.full((len(still), len(theta)), arb(0), dtype=object)
        for row, p in enumerate(still):
            units[row, p] = arb(1)
        return np.concatenate([np.array(columns, dtype=object).reshape(len(columns), len(theta)), units]).T

    def _moves(self, theta: np.ndarray) -> Iterator[list[np.ndarray]]:
        """What A = E_ab does to the layers: row b of W_j is added to row a, column a of W_{j+1} taken from column b."""
        weights = list(self.objective.cut(theta).values())
        for j, w in enumerate(weights[:-1]):
            for a in range(len(w)):
                for b in range(len(w)) if self.linear else (a,):
                    moved = [np.full(x.shape, arb(0), dtype=object) for x in weights]
                    moved[j][a] = w[b]
                    moved[j + 1][:, b] = -weights[j + 1][:, a]
                    yield moved

    def weight(self, curvature: np.ndarray, directions: np.ndarray) -> Ball:
        """rho: it makes X X^T about as large as H. Any number is admissible."""
        sizes = [float(sum((x**2 for x in v), arb(0)).mid()) for v in directions.T]
        trace = abs(sum(float(curvature[i, i].mid()) for i in range(len(curvature))))
        least = min((s for s in sizes if s > 0), default=1.0)
        return arb(trace / least) if np.isfinite(trace / least) and trace else arb(1)

    # The limit by what is conserved -----------------------------------------------------------------------------------

    def conserved(self, theta: np.ndarray, still: Sequence[int]) -> np.ndarray:
        """c, one for each hidden unit, and the weights that do not move."""
        weights = list(self.objective.cut(theta).values())
        found = [
            (sum((x**2 for x in w[a]), arb(0)) - sum((x**2 for x in above[:, a]), arb(0))) / 2
            for w, above in pairwise(weights)
            for a in range(len(w))
        ]
        return np.array([*found, *theta[list(still)]], dtype=object)

    def refined(self, center: Sequence[Ball], near: np.ndarray, theta: np.ndarray) -> Refined | None:
        """A point near the limit, by what is conserved."""
        if self.linear and any(len(w) > 1 for w in list(self.objective.cut(theta).values())[:-1]):
            return None  # rotations are not determined by what is conserved
        still = self._still(theta)
        known = self.conserved(near, still)
        curvature, directions = boxes.curvature(self.objective, theta), self.directions(theta, still)
        weight = self.weight(curvature, directions)
        # The second derivatives of c are 1 and -1, and every weight is in two rows and columns at most.
        bent = 2 * boxes.norm(self.conserved(theta, still) - known) * weight
        mu = (boxes.least_eigenvalue(curvature + directions.dot(directions.T) * weight) - bent).lower()
        if not mu > 0:
            return None

        def slope(at: np.ndarray) -> np.ndarray:
            pull = self.directions(at, still).dot(self.conserved(at, still) - known) * weight
            return np.asarray(boxes.slope(self.objective, at) + pull)

        def bend(at: np.ndarray) -> np.ndarray:
            directions = self.directions(at, still)
            return np.asarray(boxes.curvature(self.objective, at) + directions.dot(directions.T) * weight)

        point = boxes.newton(center, slope, bend)
        return point, isolated_length(boxes.norm(slope(boxes.box(point, arb(0)))), mu).upper()


def symmetric(objective: Objective) -> Symmetric:
    """R24 around minima of a homogeneous fully connected network.

    Raises:
        LimitUnknown: another objective.
    """
    network = objective.network
    if not isinstance(network, FullyConnected) or len(objective.parameters) != network.depth or network.depth < 2:
        raise LimitUnknown("no symmetries are known: not a deep fully connected homogeneous network", cause="singular")
    return Symmetric(objective, network.linear)
