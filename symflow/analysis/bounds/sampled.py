"""R4 and R22 with everything sampled along flow and descent; nothing is certified between the sample times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from symflow.analysis.bounds.kinks import Crossings
from symflow.analysis.bounds.series import BoundSeries, not_applicable, padded
from symflow.analysis.eigenvalues import extreme_eigenvalues
from symflow.analysis.observables import gradients, too_large
from symflow.symbolic.objective import Objective

ROUNDING = 16 * 2.0**-52
"""Relative rounding of float64 curvature and gradients that the sampled bounds allow for."""


@dataclass(frozen=True)
class Samples:
    """What the bounds are evaluated on.

    Attributes:
        objective: in the form that is cheapest to evaluate.
        step_size: eta.
        indices: steps k, increasing from 0.
        flow: theta(k eta), float64, shape (S, P).
        descent: theta_k, float64, shape (S, P).
        smooth: how many of the leading samples the hypotheses on kinks hold for.
        reason: why they do not for the others.
        crossings: the steps of descent that cross a kink on the way.
    """

    objective: Objective
    step_size: float
    indices: np.ndarray
    flow: np.ndarray
    descent: np.ndarray
    smooth: int
    reason: str | None
    crossings: Crossings


@np.errstate(over="ignore", invalid="ignore")  # a bound beyond float64 is infinite
def sampled_bounds(samples: Samples) -> dict[str, BoundSeries]:
    """R4 in its time-local form and R22, from one set of sampled Hessian spectra.

    R4: ||theta_k - theta(t)|| <= eta beta_t gamma_t int_0^t e^{M(t)-M(s)} ds.
    R22: ||theta_k - theta(t)|| <= int_0^t e^{M(t)-M(s)} delta(s) ds, delta(s) = ||g(theta~(s)) - g(theta_k)||.
    Both with M' = m = -lambda_min(H), beta = max ||H||, gamma = max ||g||; spectra are taken at theta(t), theta_k and
    the middle of the segment between them, the worse of both ends of every interval is used.  A step that crosses a
    kink (one with a convex jump, see `kinks`) has the defect that its gradients show, in both bounds.
    """
    count = len(samples.indices)
    why = too_large(samples.objective)
    if why is not None:
        return {name: not_applicable(name, "bound", count, why) for name in ("R4", "R22")}
    n = samples.smooth
    if n == 0:
        why = samples.reason or "no smooth region"
        return {name: not_applicable(name, "bound", count, why) for name in ("R4", "R22")}
    eta = samples.step_size
    flow, descent = samples.flow[:n], samples.descent[:n]
    points = np.concatenate([flow, 0.5 * (flow + descent), descent])
    found = extreme_eigenvalues(samples.objective, points)
    low, high, residual = (v.reshape(3, n) for v in (found.min, found.max, found.residual))
    m = (residual - low).max(axis=0)
    beta = (np.maximum(abs(low), abs(high)) + residual).max(axis=0)
    m = m + ROUNDING * beta
    g_flow, g = gradients(samples.objective, flow), gradients(samples.objective, descent)
    gamma = np.maximum(np.linalg.norm(g_flow, axis=1), np.linalg.norm(g, axis=1))
    size = np.maximum(np.linalg.norm(flow, axis=1), np.linalg.norm(descent, axis=1))
    defect = _mean_defect(samples.objective, descent, g, eta) + ROUNDING * (beta * size + gamma)
    crossing = np.isin(samples.indices[:n], samples.crossings.steps)
    defect = np.where(crossing, 0.5 * eta * beta * gamma, defect)  # what is smooth of it; the jump is added below
    charges = samples.crossings.between(samples.indices[:n])
    r4, r22 = np.zeros(n), np.zeros(n)
    integral = jumps = 0.0
    beta_t, gamma_t = np.maximum.accumulate(beta), np.maximum.accumulate(gamma)
    for i in range(1, n):
        steps = int(samples.indices[i] - samples.indices[i - 1])
        rate = max(m[i - 1], m[i]) * eta
        growth = float(np.exp(rate * steps))
        # Within a step the defect rises from 0; its mean times max(1, (e^rate - 1)/rate) bounds its weighted integral.
        inside = max(1.0, float(np.expm1(rate) / rate) if rate != 0 else 1.0)
        series = float(np.expm1(rate * steps) / np.expm1(rate)) if rate != 0 else float(steps)
        # A single step has its own defect; so has the last block before a kink, beyond which defect[i] already looks.
        alone = steps == 1 or (i == n - 1 and n < count)
        worst = defect[i - 1] if alone else max(defect[i - 1], defect[i])
        jump = max(1.0, growth) * charges[i - 1]
        r22[i] = growth * r22[i - 1] + series * inside * eta * worst + jump
        integral, jumps = growth * integral + eta * series * inside, growth * jumps + jump
        r4[i] = eta * beta_t[i] * gamma_t[i] * integral + jumps
    quantities = {
        r"\max_t m(t)": ("minus the smallest Hessian eigenvalue, largest sampled", f"{m.max():.6g}"),
        r"\beta": ("spectral norm of the Hessian, largest sampled", f"{beta.max():.6g}"),
        r"\gamma": ("gradient norm, largest sampled", f"{gamma.max():.6g}"),
    }
    own = {r"\max_t m(t)": quantities[r"\max_t m(t)"], r"\max_k \delta": ("mean defect of a step, largest sampled",
                                                                         f"{defect.max():.6g}")}  # fmt: skip
    return {
        "R4": BoundSeries("R4", "bound", "sampled", padded(r4, count), samples.reason, quantities),
        "R22": BoundSeries("R22", "bound", "sampled", padded(r22, count), samples.reason, own),
    }


def _mean_defect(objective: Objective, descent: np.ndarray, g: np.ndarray, eta: float) -> np.ndarray:
    """(1/eta) int_0^eta ||g(theta_k - s g_k) - g_k|| ds by Simpson's rule, for every kept step k."""
    middle = gradients(objective, descent - 0.5 * eta * g)
    end = gradients(objective, descent - eta * g)
    return (4 * np.linalg.norm(middle - g, axis=1) + np.linalg.norm(end - g, axis=1)) / 6
