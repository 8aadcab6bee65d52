r"""Deep linear networks in plain exact matrices, transcribed from the definitions: the oracle of the derivations.

Weights are lists [W_1, ..., W_n]; layers count from 1, as in the formulas.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from symflow.networks.network import FullyConnected
from symflow.networks.objective import Objective
from symflow.networks.training_loss import network_objective
from symflow.proofs.identity import Draw

WIDTHS = {1: (2, 3), 2: (2, 3, 2), 3: (3, 2, 1, 2), 4: (2, 1, 3, 2, 2), 5: (1, 2, 2, 3, 1, 2), 6: (2, 1, 2, 1, 2, 3, 1)}
"""Widths d_0, ..., d_n of one network for each depth n = 1, ..., 6."""


def chain(w: Sequence[np.ndarray], top: int, bottom: int) -> np.ndarray:
    r"""W_{top:bottom} = W_top ... W_bottom; the identity of the right size when top < bottom."""
    if top < bottom:
        size = w[bottom - 1].shape[1] if bottom <= len(w) else w[-1].shape[0]
        identity = np.empty((size, size), dtype=object)
        for a, b in np.ndindex(size, size):
            identity[a, b] = Fraction(int(a == b))
        return identity
    product = w[bottom - 1]
    for layer in range(bottom + 1, top + 1):
        product = w[layer - 1].dot(product)
    return product


def flat(matrices: Sequence[np.ndarray]) -> np.ndarray:
    """theta: layer 1 first, each matrix row-major."""
    return np.concatenate([np.asarray(m).reshape(-1) for m in matrices])


def product_of_entries(a: np.ndarray, b: np.ndarray) -> Fraction:
    """The sum of the products of entries."""
    return Fraction(sum((a * b).reshape(-1), Fraction(0)))


def data(draw: Draw, widths: Sequence[int], samples: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Random X (d_0 x N) and Y (d_n x N), one column a sample."""
    return draw.array(widths[0], samples), draw.array(widths[-1], samples)


def objective(
    widths: Sequence[int], x: np.ndarray, y: np.ndarray, slopes: tuple[Fraction, Fraction] = (Fraction(1), Fraction(1))
) -> Objective:
    """symflow's training loss (square loss) of the network with these data, one column a sample."""
    return network_objective(FullyConnected(tuple(widths), *slopes), x.T, y.T)
