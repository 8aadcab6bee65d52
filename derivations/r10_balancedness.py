r"""R10: D_j = W_{j+1}^T W_{j+1} - W_j W_j^T is conserved by gradient flow of a linear network, not by descent.

(Arora, Cohen & Hazan 2018; Du, Hu & Lee 2018; the drift of descent is ours.)

Derivation.  With G_j = df/dW_j = W_{n:j+1}^T grad phi W_{j-1:1}^T one has W_{j+1}^T G_{j+1} = G_j W_j^T, both being
W_{n:j+1}^T grad phi W_{j:1}^T.  Along the flow
    d/dt D_j = -(G_{j+1}^T W_{j+1} + W_{j+1}^T G_{j+1}) + (G_j W_j^T + W_j G_j^T) = 0.
One step of descent adds the terms of second order only:  Delta D_j = eta^2 (G_{j+1}^T G_{j+1} - G_j G_j^T).
For (leaky) ReLU networks the same holds for the diagonal of D_j.

Checks, all in exact rational arithmetic at random points with symflow's gradient: both identities for linear
networks, the diagonal for ReLU.  Negative controls: the drift with eta in place of eta^2, and the whole D_j for ReLU,
are refuted.

Run: python -m derivations.r10_balancedness
"""

from __future__ import annotations

import itertools
import random
from fractions import Fraction

import numpy as np

import symflow as sf
from derivations.r07_hessian_linear import matrix


def gradient_layers(relu: bool, seed: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Random weights of a depth-3 network and the gradient with respect to each, exact."""
    rng = random.Random(seed)
    widths = [rng.randint(2, 3) for _ in range(4)]
    w = [matrix(rng, b, a) for a, b in itertools.pairwise(widths)]
    x, y = matrix(rng, 6, widths[0]), matrix(rng, 6, widths[-1])
    network = sf.FullyConnected(tuple(widths), Fraction(1), Fraction(0) if relu else Fraction(1))
    objective = sf.network_objective(network, x, y)
    flat = sf.evaluate_exact(sf.gradient(objective), np.concatenate([m.reshape(-1) for m in w]))
    return w, [flat[where].reshape(shape) for where, shape in objective.slices()]


def balancedness(w: list[np.ndarray], j: int) -> np.ndarray:
    """D_j, with layers counted from 0."""
    return w[j + 1].T.dot(w[j + 1]) - w[j].dot(w[j].T)


def flow_derivative(w: list[np.ndarray], g: list[np.ndarray], j: int) -> np.ndarray:
    """d/dt D_j along W' = -G."""
    up = g[j + 1].T.dot(w[j + 1]) + w[j + 1].T.dot(g[j + 1])
    return g[j].dot(w[j].T) + w[j].dot(g[j].T) - up


def conserved(seed: int, relu: bool, diagonal: bool) -> bool:
    """Whether the flow conserves D_j (or its diagonal) at a random point."""
    w, g = gradient_layers(relu, seed)
    rates = [flow_derivative(w, g, j) for j in range(2)]
    return all(not np.any(np.diagonal(r) if diagonal else r) for r in rates)


def drift_is_stated(seed: int, power: int = 2) -> bool:
    """Whether one step of descent changes D_j by eta^power (G_{j+1}^T G_{j+1} - G_j G_j^T)."""
    w, g = gradient_layers(False, seed)
    eta = Fraction(1, 1000)
    after = [a - eta * b for a, b in zip(w, g, strict=True)]
    return all(
        np.array_equal(
            balancedness(after, j) - balancedness(w, j), eta**power * (g[j + 1].T.dot(g[j + 1]) - g[j].dot(g[j].T))
        )
        for j in range(2)
    )


def main() -> None:
    """Runs the checks and the negative controls; raises AssertionError where one fails."""
    seeds = range(8)
    assert all(conserved(s, relu=False, diagonal=False) for s in seeds)
    print("R10, linear: D_j conserved by the flow (identity tested, exact)")
    assert all(conserved(s, relu=True, diagonal=True) for s in seeds)
    print("R10, ReLU: the diagonal of D_j conserved by the flow (identity tested, exact)")
    assert all(drift_is_stated(s) for s in seeds)
    print("R10, descent: drift eta^2 (G_{j+1}^T G_{j+1} - G_j G_j^T) (identity tested, exact)")
    assert not any(drift_is_stated(s, power=1) for s in seeds)
    assert not all(conserved(s, relu=True, diagonal=False) for s in seeds)
    print("negative controls: eta for eta^2, and the whole D_j for ReLU, are refuted")


if __name__ == "__main__":
    main()
