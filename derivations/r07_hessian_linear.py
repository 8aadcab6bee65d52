r"""R7: the Hessian quadratic form of a deep linear network (Elkabetz & Cohen 2021).

    H[Delta, Delta] = <A Sigma_xx, A>
                      + 2 Tr( grad phi^T sum_{j<j'} W_{n:j'+1} Delta_{j'} W_{j'-1:j+1} Delta_j W_{j-1:1} ),
    A = sum_j W_{n:j+1} Delta_j W_{j-1:1},   grad phi = W_{n:1} Sigma_xx - Lambda_yx   (square loss).

Derivation.  (1) f(theta + t Delta) = phi(M(t)) with M(t) = (W_n + t Delta_n) ... (W_1 + t Delta_1).
(2) d^2/dt^2 phi(M) = hess phi[M', M'] + <grad phi, M''>.  (3) M'(0) = A; M''(0) is twice the sum over pairs j < j'.
(4) For the square loss hess phi[A, A] = <A Sigma_xx, A>.

Check: the program that symflow derives by differentiating twice equals the formula in exact rational arithmetic at
random points, depths 1 to 6 (identity testing: both sides are polynomials; a wrong formula passes one random point
with probability below degree / number of values < 1/10).  Negative control: the same check refutes the formula without
the factor 2.

Run: python -m derivations.r07_hessian_linear
"""

from __future__ import annotations

import itertools
import random
from fractions import Fraction

import numpy as np

import symflow as sf


def matrix(rng: random.Random, rows: int, columns: int) -> np.ndarray:
    """A matrix of small random integers as exact rationals."""
    return np.array([[Fraction(rng.randint(-60, 60)) for _ in range(columns)] for _ in range(rows)], dtype=object)


def chain(factors: list[np.ndarray], size: int) -> np.ndarray:
    """The product of matrices, the identity of the given size when there are none."""
    product = np.array([[Fraction(int(i == j)) for j in range(size)] for i in range(size)], dtype=object)
    for factor in factors:
        product = factor.dot(product)
    return product


def stated_form(w: list[np.ndarray], d: list[np.ndarray], x: np.ndarray, y: np.ndarray, factor: int = 2) -> Fraction:
    """The right-hand side of R7, written out from the statement; `factor` is 2."""
    n, widths = len(w), [w[0].shape[1], *(m.shape[0] for m in w)]
    samples = Fraction(1, x.shape[1])
    sigma, grad_phi = x.dot(x.T) * samples, (chain(w, widths[0]).dot(x) - y).dot(x.T) * samples
    a = sum(chain(w[j + 1 :], widths[j + 1]).dot(d[j]).dot(chain(w[:j], widths[0])) for j in range(n))
    total = np.sum(a.dot(sigma) * a)
    for high in range(n):
        for low in range(high):
            left = chain(w[high + 1 :], widths[high + 1]).dot(d[high]).dot(chain(w[low + 1 : high], widths[low + 1]))
            total += factor * np.sum(grad_phi * left.dot(d[low]).dot(chain(w[:low], widths[0])))
    return total


def check(depth: int, seed: int, factor: int = 2) -> bool:
    """Whether derived and stated form agree exactly at one random point."""
    rng = random.Random(seed)
    widths = [rng.randint(1, 3) for _ in range(depth + 1)]
    w = [matrix(rng, b, a) for a, b in itertools.pairwise(widths)]
    d = [matrix(rng, b, a) for a, b in itertools.pairwise(widths)]
    x, y = matrix(rng, widths[0], 4), matrix(rng, widths[-1], 4)
    objective = sf.network_objective(sf.FullyConnected(tuple(widths)), x.T, y.T)
    theta, delta = np.concatenate([m.reshape(-1) for m in w]), np.concatenate([m.reshape(-1) for m in d])
    return bool(sf.evaluate_exact(sf.hessian_form(objective), theta, delta) == stated_form(w, d, x, y, factor))


def main() -> None:
    """Runs the checks and the negative control; raises AssertionError where one fails."""
    for depth in range(1, 7):
        assert all(check(depth, seed) for seed in range(5)), f"R7 fails at depth {depth}"
        print(f"R7, depth {depth}: identity tested at 5 random rational points")
    assert not any(check(depth, seed, factor=1) for depth in (2, 3, 4) for seed in range(5))
    print("negative control: the form without the factor 2 is refuted")


if __name__ == "__main__":
    main()
