r"""R10: D_j = W_{j+1}^T W_{j+1} - W_j W_j^T is conserved by gradient flow of a linear network, not by descent.

(Arora, Cohen & Hazan 2018; Du, Hu & Lee 2018; the drift of descent is ours.)

Run: python -m derivations.r10_balancedness
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from fractions import Fraction
from functools import partial

import numpy as np

import symflow as sf
from symflow.derivation import Control, Derivation, Draw, IdentityTest, Step
from symflow.derivation.networks import WIDTHS, data, flat, objective
from symflow.presentation.derivation_text import run

DEEP = [widths for depth, widths in WIDTHS.items() if depth >= 2]


def layers(widths: tuple[int, ...], draw: Draw) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Random weights and symflow's gradient with respect to each."""
    w = draw.matrices(widths)
    loss = objective(widths, *data(draw, widths))
    g = sf.evaluate_exact(sf.gradient(loss), flat(w))
    return w, [g[where].reshape(shape) for where, shape in loss.slices()]


def balancedness(w: list[np.ndarray], j: int) -> np.ndarray:
    """D_j, with layers counted from 0."""
    return w[j + 1].T.dot(w[j + 1]) - w[j].dot(w[j].T)


def flow_derivative(widths: tuple[int, ...], draw: Draw, sign: int = -1) -> Iterator[Fraction]:
    """d/dt D_j along W' = -G; `sign` is that of the second product in D_j."""
    w, g = layers(widths, draw)
    for j in range(len(w) - 1):
        up = g[j + 1].T.dot(w[j + 1]) + w[j + 1].T.dot(g[j + 1])
        yield from (-up - sign * (g[j].dot(w[j].T) + w[j].dot(g[j].T))).flat


def drift(widths: tuple[int, ...], draw: Draw, power: int = 2) -> Iterator[Fraction]:
    """What one step of descent adds to D_j, minus eta^power (G_{j+1}^T G_{j+1} - G_j G_j^T)."""
    (w, g), eta = layers(widths, draw), draw.number()
    after = [a - eta * b for a, b in zip(w, g, strict=True)]
    for j in range(len(w) - 1):
        stated = eta**power * (g[j + 1].T.dot(g[j + 1]) - g[j].dot(g[j].T))
        yield from (balancedness(after, j) - balancedness(w, j) - stated).flat


def tested(residual: partial) -> IdentityTest:
    """Over linear networks of depth 2 to 6."""
    scope = r"square loss, one network for each depth $n = 2,\dots,6$"
    return IdentityTest(scope, DEEP, lambda widths: 4 * len(widths) + 2, residual)


DERIVATION = Derivation(
    result="R10",
    title="Balancedness is conserved by gradient flow",
    hypotheses=(r"$f(\theta) = \varphi(W_{n:1})$", r"$G_j = \partial f/\partial W_j$"),
    steps=(
        Step(
            r"\tfrac{d}{dt} D_j",
            r"-(G_{j+1}^\top W_{j+1} + W_{j+1}^\top G_{j+1}) + (G_j W_j^\top + W_j G_j^\top) = 0",
            r"$W_{j+1}^\top G_{j+1} = G_j W_j^\top = W_{n:j+1}^\top \nabla\varphi\, W_{j:1}^\top$.",
            (tested(partial(flow_derivative)),),
        ),
        Step(
            r"D_j\big|_{\theta-\eta g} - D_j\big|_\theta",
            r"\eta^2 (G_{j+1}^\top G_{j+1} - G_j G_j^\top)",
            "The terms of first order are those of the flow.",
            (tested(partial(drift)),),
        ),
    ),
    conclusion=r"\[ \tfrac{d}{dt} D_j = 0, \qquad D_j = W_{j+1}^\top W_{j+1} - W_j W_j^\top. \]",
    controls=(
        Control(r"$W_{j+1}^\top W_{j+1} + W_j W_j^\top$ in place of $D_j$", tested(partial(flow_derivative, sign=1))),
        Control(r"the drift with $\eta$ in place of $\eta^2$", tested(partial(drift, power=1))),
    ),
)

if __name__ == "__main__":
    sys.exit(run(DERIVATION))
