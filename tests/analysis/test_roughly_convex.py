"""R11 along real flows of linear networks from weights of norm eps: curvature stays above the bound, which is written
out here; the study over eps from 1 to 1e-3 keeps a table."""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import jax
import numpy as np
import pytest

import symflow as sf

TABLE = Path(__file__).parent.parent / "studies" / "roughly_convex.md"
WIDTHS = [(2, 2, 2, 1), (3, 3, 2, 2), (2, 3, 3, 2, 1)]


def small_problem(widths: tuple[int, ...], epsilon: Fraction) -> sf.Problem:
    """Every ||W_j(0)||_F just below epsilon; the flow long enough to leave the saddle at 0."""
    rng = np.random.default_rng(len(widths))
    x, y = rng.integers(-8, 9, size=(6, widths[0])), rng.integers(-8, 9, size=(6, widths[-1]))
    theta: list[Fraction] = []
    for a, b in pairwise(widths):
        w = rng.normal(size=a * b)
        w *= 0.999 / np.linalg.norm(w)
        theta += [Fraction(float(v)) * epsilon for v in w]
    n = len(widths) - 1
    return sf.Problem(
        network={"widths": list(widths), "activation": "linear"},
        data={"x": x / 8, "y": y / 8},
        init={"theta": theta},
        run={"horizon": 20 + 10 * (1 / epsilon) ** (n - 2), "dps": 16},
    )


def margins(widths: tuple[int, ...], epsilon: Fraction, factor: float = 1.0) -> tuple[float, float, float]:
    """The least lambda_min, the least lambda_min - factor bound relative to the bound, and the final ||W_{n:1}||."""
    problem = small_problem(widths, epsilon)
    assert problem.horizon is not None
    flow = sf.solve_flow(problem, estimate_error=False)
    times = [problem.horizon * Fraction(k, 120) for k in range(121)]
    points = flow.numpy(times)
    lowest = sf.extreme_eigenvalues(problem.objective, points).min
    x, y = (np.asarray(a, dtype=float) for a in (problem.x, problem.y))
    n = len(widths) - 1
    slack = []
    for theta, value in zip(points, lowest, strict=True):
        product, start = np.eye(widths[0]), 0
        for a, b in pairwise(widths):
            product = theta[start : start + a * b].reshape(b, a) @ product
            start += a * b
        slope = np.linalg.norm((product @ x.T - y.T) @ x / len(x), 2)
        w = np.linalg.norm(product, 2)
        bound = -(n - 1) * slope * (w ** (2 / n) + 1.5 * (n - 1) * float(epsilon) ** 2) ** ((n - 2) / 2)
        if -bound > 1e-10:  # both are rounding where the flow has converged
            slack.append((value - factor * bound) / -bound)
    return float(lowest.min()), float(min(slack)), float(w)


@pytest.mark.parametrize("epsilon", ["1", "1/10"])
@pytest.mark.parametrize("widths", WIDTHS[:2])
def test_curvature_stays_above_the_bound(widths: tuple[int, ...], epsilon: str) -> None:
    lowest, slack, _ = margins(widths, Fraction(epsilon))
    assert lowest < 0
    assert slack >= -1e-10


def test_a_quarter_of_the_bound_is_refuted() -> None:
    """The negative control."""
    assert min(margins(widths, Fraction(1, 10), factor=0.25)[1] for widths in WIDTHS[:2]) < 0


@pytest.mark.thorough
def test_all_sizes() -> None:
    lines = [
        "# R11 along flows of linear networks",
        "",
        f"`tests/analysis/test_roughly_convex.py`, 121 times a flow, {date.today()}, symflow {sf.__version__}, "
        f"JAX {jax.__version__}.",
        "",
        "| widths | eps | least lambda_min | least (lambda_min - bound) / abs(bound) | final norm of W_{n:1} |",
        "|---|---|---|---|---|",
    ]
    for widths in WIDTHS:
        for epsilon in ("1", "3/10", "1/10", "3/100", "1/100", "3/1000", "1/1000"):
            if len(widths) > 4 and Fraction(epsilon) < Fraction(1, 100):
                continue  # leaving the saddle takes eps^-2 there
            lowest, slack, norm = margins(widths, Fraction(epsilon))
            assert slack >= -1e-10
            lines.append(f"| {'-'.join(map(str, widths))} | {epsilon} | {lowest:.3g} | {slack:.3g} | {norm:.3g} |")
    TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")
