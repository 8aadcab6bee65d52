"""Descents written out by hand, straight from the papers, for any arithmetic with +, -, *, / and a square root.

Nothing here knows symflow: each method keeps what its paper keeps (theta_{k-1}, a step counter, powers of beta).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Vector = list[Any]
Gradient = Callable[[Vector, int], Vector]
"""(theta, k) -> the gradient of step k = 0, 1, ..."""


def combined(*terms: tuple[Any, Vector]) -> Vector:
    """The sum of multiples of vectors."""
    return [sum(c * x for c, x in zip((c for c, _ in terms), column, strict=True))
            for column in zip(*(v for _, v in terms), strict=True)]  # fmt: skip


def polyak(start: Vector, g: Gradient, eta: Any, beta: Any, steps: int) -> list[Vector]:
    """theta_{k+1} = theta_k - eta g(theta_k) + beta (theta_k - theta_{k-1}), theta_{-1} = theta_0."""
    path, before = [start], start
    for k in range(steps):
        here = path[-1]
        path.append(combined((1, here), (-eta, g(here, k)), (beta, here), (-beta, before)))
        before = here
    return path


def nesterov(start: Vector, g: Gradient, eta: Any, beta: Any, steps: int) -> list[Vector]:
    """y = theta_k + beta (theta_k - theta_{k-1}), theta_{k+1} = y - eta g(y), theta_{-1} = theta_0."""
    path, before = [start], start
    for k in range(steps):
        here = path[-1]
        y = combined((1, here), (beta, here), (-beta, before))
        path.append(combined((1, y), (-eta, g(y, k))))
        before = here
    return path


def rmsprop(
    start: Vector, g: Gradient, eta: Any, rho: Any, epsilon: Any, root: Callable[[Any], Any], steps: int, inside: bool
) -> list[Vector]:
    """s <- rho s + (1 - rho) g^2, theta <- theta - eta g / sqrt(s + epsilon) or eta g / (sqrt(s) + epsilon)."""
    path, s = [start], [0 * x for x in start]
    for k in range(steps):
        slope = g(path[-1], k)
        s = [rho * a + (1 - rho) * b * b for a, b in zip(s, slope, strict=True)]
        below = [root(a + epsilon) if inside else root(a) + epsilon for a in s]
        path.append([x - eta * b / c for x, b, c in zip(path[-1], slope, below, strict=True)])
    return path


def adam(
    start: Vector, g: Gradient, eta: Any, beta: Any, rho: Any, epsilon: Any, root: Callable[[Any], Any], steps: int,
    inside: bool, corrected: bool, shrink: Any = 1,
) -> list[Vector]:  # fmt: skip
    """Kingma & Ba, algorithm 1, t = k + 1; `shrink` = 1 - eta lambda multiplies theta first (AdamW)."""
    path, m, v = [start], [0 * x for x in start], [0 * x for x in start]
    for k in range(steps):
        slope, t = g(path[-1], k), k + 1
        m = [beta * a + (1 - beta) * b for a, b in zip(m, slope, strict=True)]
        v = [rho * a + (1 - rho) * b * b for a, b in zip(v, slope, strict=True)]
        m_hat = [a / (1 - beta**t) for a in m] if corrected else m
        v_hat = [a / (1 - rho**t) for a in v] if corrected else v
        below = [root(a + epsilon) if inside else root(a) + epsilon for a in v_hat]
        path.append([shrink * x - eta * a / b for x, a, b in zip(path[-1], m_hat, below, strict=True)])
    return path


def regression_gradient(x: Sequence[Sequence[Any]], y: Sequence[Any], hidden: int, slope: Callable[[Any], Any]) -> Any:
    """(theta, samples) -> the gradient of the mean over the samples of (w_2 s(W_1 x) - y)^2 / 2, with s' = `slope`."""

    def gradient(theta: Vector, samples: Sequence[int]) -> Vector:
        width = len(x[0])
        first, second = theta[: hidden * width], theta[hidden * width :]
        total = [0 * v for v in theta]
        for i in samples:
            z = [sum(first[r * width + c] * x[i][c] for c in range(width)) for r in range(hidden)]
            a = [slope(v) * v for v in z]
            error = sum(w * v for w, v in zip(second, a, strict=True)) - y[i]
            for r in range(hidden):
                for c in range(width):
                    total[r * width + c] += error * second[r] * slope(z[r]) * x[i][c]
                total[hidden * width + r] += error * a[r]
        return [v / len(samples) for v in total]

    return gradient
