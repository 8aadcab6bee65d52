"""Networks with biases, skip connections, diagonal layers and a scale in plain JAX, written apart from symflow."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import symflow as sf

Description = dict[str, Any]
"""widths, slopes (one pair a hidden layer), biases, skip, diagonal, scale."""


def described(seed: int) -> Description:
    """A random network of two or three layers."""
    rng = np.random.default_rng(seed)
    depth, hidden = int(rng.integers(2, 4)), int(rng.integers(1, 4))
    widths = [int(rng.integers(1, 3)), *[hidden] * (depth - 1), int(rng.integers(1, 3))]
    equal = [(i, j) for i in range(depth) for j in range(i + 1, depth + 1) if widths[i] == widths[j]]
    square = [j for j in range(1, depth + 1) if widths[j - 1] == widths[j]]
    slopes = [(1, 0), (1, Fraction(1, 5)), (1, 1)]
    return {
        "widths": widths,
        "slopes": [slopes[int(rng.integers(3))] for _ in range(depth - 1)],
        "biases": [bool(v) for v in rng.integers(0, 2, depth)],
        "skip": [pair for pair in equal if rng.random() < 0.5],
        "diagonal": [j for j in square if rng.random() < 0.4],
        "scale": Fraction(int(rng.integers(1, 4)), 2),
    }


def network(d: Description) -> sf.FullyConnected:
    return sf.FullyConnected(
        d["widths"],
        activation=[("homogeneous", *pair) for pair in d["slopes"]],
        biases=d["biases"],
        skip=d["skip"],
        diagonal=d["diagonal"],
        output_scale=d["scale"],
    )


def size(d: Description) -> int:
    """P."""
    count = 0
    for j, (a, b) in enumerate(zip(d["widths"], d["widths"][1:], strict=False), 1):
        count += (b if j in d["diagonal"] else a * b) + (b if d["biases"][j - 1] else 0)
    return count


def predict(d: Description, theta: Any, x: Any) -> Any:
    """h(x) for one sample x."""
    at, passed = 0, [x]
    depth = len(d["widths"]) - 1

    def take(count: int) -> Any:
        nonlocal at
        at += count
        return theta[at - count : at]

    for j in range(1, depth + 1):
        rows, columns = d["widths"][j], d["widths"][j - 1]
        a = passed[-1]
        z = take(rows) * a if j in d["diagonal"] else take(rows * columns).reshape(rows, columns) @ a
        if d["biases"][j - 1]:
            z = z + take(rows)
        if j < depth:
            up, down = map(float, d["slopes"][j - 1])
            z = jnp.where(z >= 0, up * z, down * z)
        for i, k in d["skip"]:
            if k == j:
                z = z + passed[i]
        passed.append(z)
    return float(d["scale"]) * passed[-1]


def square_loss(d: Description, theta: Any, x: Sequence[Any], y: Sequence[Any]) -> Any:
    """(1/2N) sum_i |h(x_i) - y_i|^2."""
    terms = [jnp.sum((predict(d, theta, a) - b) ** 2) for a, b in zip(jnp.asarray(x), jnp.asarray(y), strict=True)]
    return sum(terms) / (2 * len(terms))


def derivatives(d: Description, theta: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gradient and Hessian by jax.grad."""
    with jax.enable_x64(True):
        f = lambda t: square_loss(d, t, x, y)  # noqa: E731
        t = jnp.asarray(theta, dtype=jnp.float64)
        return np.asarray(jax.jit(jax.grad(f))(t)), np.asarray(jax.jit(jax.hessian(f))(t))
