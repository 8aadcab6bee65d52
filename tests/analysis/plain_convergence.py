"""Oracles for R15 and R16 that share no code with symflow: formulas transcribed, descent reduced to three numbers.

On a balanced network with one output every layer but the first stays sigma u v^T with fixed unit vectors, all with the
same sigma, and the first stays u x^T; so descent of the whole network is exactly

    x <- x - eta sigma^(n-1) (sigma^(n-1) x - Lambda),   sigma <- sigma - eta sigma^(n-2) <sigma^(n-1) x - Lambda, x>,

with x in the plane of W(0) and Lambda (compared with descent of networks in `test_convergence_guarantee`).
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
from scipy.integrate import solve_ivp

import symflow as sf

SIGNS = [[1, 1, 1], [1, -1, 1], [1, 1, -1], [1, -1, -1]]
"""Four samples with Sigma_xx = I exactly, in any of the first one to three coordinates."""


def network_problem(widths: list[int], seed: int, scale: str = "1", dps: int = 50) -> sf.Problem:
    """A linear network with one output, whitened data and a balanced start, all exact."""
    rng = random.Random(seed)
    return sf.Problem(
        network={"widths": [*widths, 1], "activation": "linear"},
        data={
            "x": [row[: widths[0]] for row in SIGNS],
            "y": [[Fraction(rng.randint(-150, 150), 100)] for _ in SIGNS],
        },
        init={"scheme": "balanced", "scale": scale, "seed": seed},
        run={"dps": dps},
    )


@dataclass(frozen=True)
class Case:
    """A random case of R15, all decimals."""

    depth: int
    target_norm: str
    w0: str
    alignment: str
    accuracy: str

    @property
    def numbers(self) -> tuple[float, float, float, float]:
        """lambda, w(0), nu(0) and the accuracy."""
        return float(self.target_norm), float(self.w0), float(self.alignment), float(self.accuracy)


def random_case(seed: int) -> Case:
    """Depth 2-8, lambda 0.3-3, w(0) 0.01-3, nu(0) within 0.95, accuracy 10^-6 to 10^-2."""
    rng = random.Random(seed)

    def spread(low: float, high: float) -> str:
        return f"{low * (high / low) ** rng.random():.4g}"

    depth = rng.randint(2, 8)
    return Case(depth, spread(0.3, 3), spread(0.01, 3), f"{rng.uniform(-0.95, 0.95):.3f}", spread(1e-6, 1e-2))


def stated_time(case: Case, shape: Any = 1, tail: Any = 1, dps: int = 60) -> Any:
    """The explicit time of R15 as docs/theory states it; `shape` and `tail` multiply C and 2^(1-2/n) in controls."""
    with mpmath.workdps(dps):
        n, (lam, w, nu, eps) = case.depth, map(mpmath.mpf, (case.target_norm, case.w0, case.alignment, case.accuracy))
        c0, a, p = 1 / mpmath.sqrt(1 - nu * nu), mpmath.atanh(nu), 1 - mpmath.mpf(2) / n
        theta1 = max(mpmath.log(6 * (n - 1)), mpmath.log(2 * c0) + mpmath.log(2 * (1 + lam / w)) / n)
        if n == 2:
            t1 = (theta1 - a) / lam
        else:
            s_n = mpmath.sqrt(mpmath.pi) * mpmath.gamma(mpmath.mpf(n - 2) / 2) / mpmath.gamma(mpmath.mpf(n - 1) / 2)
            c = shape * (s_n * c0 ** (n - 2) if nu < 0 else s_n / 2)
            i_n = mpmath.sqrt(n) + 1 / (3 * mpmath.sqrt(n))
            t1 = ((w**-p + (n * max(-a, 0) / lam) ** p) * c) / lam
            t1 += lam**-p * (max(theta1 - max(a, 0), 0) + p * i_n * mpmath.log(2)) / lam
        start = (w * w - 2 * lam * nu * w + lam * lam) / 2
        return t1 + tail * mpmath.mpf(2) ** p * lam ** -(2 - mpmath.mpf(2) / n) * max(mpmath.log(start / eps), 0)


def integrated_excess(case: Case, time: float) -> float:
    """E at a time, from w' and nu' by an explicit Runge-Kutta method (SciPy, float64)."""
    n, (lam, w0, nu0, _) = case.depth, case.numbers

    def rates(_: float, v: np.ndarray) -> list[float]:
        w, nu = v
        return [n * w ** (2 - 2 / n) * (lam * nu - w), lam * w ** (1 - 2 / n) * (1 - nu * nu)]

    w, nu = solve_ivp(rates, (0, time), [w0, nu0], method="DOP853", rtol=1e-11, atol=1e-13).y[:, -1]
    return float((w - lam) ** 2 / 2 + lam * w * (1 - nu))


@cache
def _stepper(depth: int) -> Any:
    def excess(v: Any, lam: Any) -> Any:
        e = v[0] ** (depth - 1) * v[1:] - jnp.array([lam, 0.0])
        return 0.5 * jnp.sum(e * e)

    def step(v: Any, eta: Any, lam: Any) -> Any:
        sigma, x = v[0], v[1:]
        e = sigma ** (depth - 1) * x - jnp.array([lam, 0.0])
        new_x = x - eta * sigma ** (depth - 1) * e
        return jnp.concatenate([(sigma - eta * sigma ** (depth - 2) * jnp.dot(e, x))[None], new_x])

    @jax.jit
    def run(v: Any, lam: Any, eta: Any, steps: Any, accuracy: Any, floor: Any) -> Any:
        """The state, the first step at which E <= accuracy, and the largest E_{k+1}/E_k while E > floor."""

        def advance(k: Any, carry: Any) -> Any:
            v, first, worst, before = carry
            v = step(v, eta, lam)
            now = excess(v, lam)
            first = jnp.where((now <= accuracy) & (first < 0), k + 1, first)
            return v, first, jnp.where(now > floor, jnp.maximum(worst, now / before), worst), now

        start = excess(v, lam)
        first = jnp.where(start <= accuracy, 0, -1)
        return jax.lax.fori_loop(0, steps, advance, (v, first, 0.0, start))

    return run


@dataclass(frozen=True)
class Run:
    """Reduced descent: the end's state (sigma, x) and excess, the first step with E <= accuracy, the worst ratio."""

    state: np.ndarray
    excess: float
    first: int
    worst: float


def reduced_descent(case: Case, eta: float, steps: int, *, floor: float = 0.0, state: np.ndarray | None = None) -> Run:
    """Descent of the whole network in its three numbers."""
    lam, w0, nu, accuracy = case.numbers
    s = w0 ** (1 / case.depth)
    start = np.array([s, s * nu, s * np.sqrt(1 - nu * nu)]) if state is None else state
    with jax.enable_x64(True):
        v, first, worst, now = _stepper(case.depth)(start, lam, eta, steps, accuracy, floor)
    return Run(np.asarray(v), float(now), int(first), float(worst))
