r"""A certified cover of the tube around the flow: constants of R4 and R22 that hold everywhere in it.

Time is cut into cells.  The cell [a, b] has its centre c = theta(s), s = (a + b)/2.  By R1 the flow stays on it within

    r = max{ sqrt((s - a) (f(a) - f(s))), sqrt((b - s) (f(s) - f(b))) }

of c, with f(t) short for f(theta(t)): its speed is ||g||, and Cauchy and Schwarz bound the length of its way by the
root of time times loss.  So the tube of radius eps around that piece of the flow lies in B_R(c), R = r + eps.  There,
with the spectrum of H(c), g = g(c) and the closed forms of `forms` (drift, beta, gamma, m), in a smooth region

    -lambda_min(H) <= min(m, drift(R) - lambda_min(H(c))),    ||H|| <= min(beta, ||H(c)|| + drift(R)),
    ||g|| <= min(gamma, ||g|| + R beta),
    ||H g|| <= min(beta gamma, ||H(c) g|| + drift(R) ||g|| + beta R beta) at every point,

and across kinks the closed forms alone.

Rounding: everything is computed in float64, from sums, products and spectra of modest size.  `RELATIVE` allows for
it, thousands of times what such computations lose: every radius is enlarged by RELATIVE (1 + ||theta||), which covers
the rounding of the centre and the cancellation in the gradient (that of ell at the predictions moves by more than its
rounding), and every value by RELATIVE of the size of what was added up.  The flow itself is taken as computed; its own
estimated error is part of the radius.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from symflow.analysis.batches import evaluate_batch
from symflow.analysis.bounds.batched import evaluate_points
from symflow.analysis.bounds.forms import BallForms, ball_forms
from symflow.analysis.bounds.regions import decide
from symflow.symbolic.derived import gradient, hessian
from symflow.symbolic.objective import Objective

RELATIVE = 1e-12
"""Allowance for float64 rounding, relative to the size of what is added up."""
CELLS = 1024
"""About how many cells the flow's way is cut into; every interval has one at least."""
MEMORY = 4_000_000
"""Most entries of the Hessians that are held at once."""
MOST_CELLS = 64
"""Most cells of one interval."""


@dataclass(frozen=True, eq=False)
class Constants:
    """What holds on the tube, one value per interval of time.

    Attributes:
        m: at least -lambda_min(H).
        top: at least lambda_max(H).
        beta: at least ||H||.
        gamma: at least ||g||.
        push: at least ||H g||.
        covered: whether the tube lies in smooth regions, one for each cell.
        kink: for the first interval that is not covered: cell, sample, layer, unit; None where all are.
    """

    m: np.ndarray
    top: np.ndarray
    beta: np.ndarray
    gamma: np.ndarray
    push: np.ndarray
    covered: np.ndarray
    kink: tuple[int, int, int, int] | None


@dataclass(frozen=True, eq=False)
class Balls:
    """What holds on each of the balls that cover a tube.

    Attributes:
        radius: of the ball.
        m: at least -lambda_min(H).
        top: at least lambda_max(H).
        beta: at least ||H||.
        gamma: at least ||g||.
        push: at least ||H g||.
        smooth: whether the ball lies in one smooth region.
        kink: of the first ball that may not: cell, sample, layer, unit.
    """

    radius: np.ndarray
    m: np.ndarray
    top: np.ndarray
    beta: np.ndarray
    gamma: np.ndarray
    push: np.ndarray
    smooth: np.ndarray
    kink: tuple[int, int, int, int] | None


@dataclass(frozen=True, eq=False)
class Tube:
    """Cells along the flow with what is known at their centres.

    Attributes:
        objective: f, over samples.
        first: the first cell of each interval.
        owner: the interval of each cell.
        middles: the time of each centre.
        centres: shape (C, P).
        radii: how far the flow goes from the centre within the cell.
        low: lambda_min(H(c)), less rounding.
        high: lambda_max(H(c)), with rounding.
        slope: ||g(c)||.
        push: ||H(c) g(c)||.
        forms: the closed forms around the centres.
    """

    objective: Objective
    first: np.ndarray
    owner: np.ndarray
    middles: np.ndarray
    centres: np.ndarray
    radii: np.ndarray
    low: np.ndarray
    high: np.ndarray
    slope: np.ndarray
    push: np.ndarray
    forms: BallForms

    def constants(self, eps: np.ndarray) -> Constants:
        """The constants on the tube of radius eps (one per interval)."""
        balls = self.balls(eps)
        m, top, beta, gamma, push = (
            np.maximum.reduceat(v, self.first) for v in (balls.m, balls.top, balls.beta, balls.gamma, balls.push)
        )
        return Constants(m, top, beta, gamma, push, np.logical_and.reduceat(balls.smooth, self.first), balls.kink)

    def balls(self, eps: np.ndarray) -> Balls:
        """What holds on the balls that cover the tube of radius eps (one per interval)."""
        radius = self.radii + eps[self.owner]
        kink, smooth = None, np.ones(len(radius), dtype=bool)
        if self.objective.gates:
            decided = decide(self.objective, self.centres, radius)
            smooth = decided.smooth
            bad = np.flatnonzero(~smooth)
            kink = (int(bad[0]), *decided.first(int(bad[0]))) if len(bad) else None
        grown = {name: v * (1 + RELATIVE) for name, v in self.forms(radius).items()}
        drift = np.where(smooth, grown["drift"], np.inf)
        closed = {name: grown.get(name, np.inf) for name in ("m", "beta", "gamma")}
        size = np.maximum(np.abs(self.low), np.abs(self.high))
        with np.errstate(over="ignore", invalid="ignore"):  # what is infinite or undefined is no bound
            m = np.minimum(drift - self.low, closed["m"]) + RELATIVE * size
            beta = np.minimum(size + drift, closed["beta"]) * (1 + RELATIVE)
            top = np.minimum(self.high + drift, beta) + RELATIVE * size
            near = np.where(smooth, self.slope + radius * beta, np.inf)
            gamma = np.minimum(near, closed["gamma"]) * (1 + RELATIVE)
            push = np.minimum(beta * gamma, (self.push + drift * self.slope + beta * beta * radius) * (1 + RELATIVE))
        m, top, beta, gamma, push = (np.nan_to_num(v, nan=np.inf, posinf=np.inf) for v in (m, top, beta, gamma, push))
        return Balls(radius, m, top, beta, gamma, push, smooth, kink)


def cover(
    objective: Objective, compact: Objective, flow: Callable[[np.ndarray], np.ndarray], times: np.ndarray, error: float
) -> Tube:
    """Covers the flow between the given times.

    Args:
        objective: f, over samples.
        compact: the same function in the form that is cheapest to evaluate.
        flow: theta at many times, in float64.
        times: t_0 < t_1 < ..., the ends of the intervals.
        error: of the flow, in norm.
    """
    lengths = np.diff(times)
    speeds = np.linalg.norm(evaluate_batch(compact, gradient, flow(times)), axis=1)
    way = lengths * np.maximum(speeds[:-1], speeds[1:])
    share = np.maximum(way / max(way.sum(), 1e-300), 0.25 * lengths / lengths.sum())
    counts = np.clip(np.ceil(CELLS * share), 1, MOST_CELLS).astype(int)
    owner = np.repeat(np.arange(len(lengths)), counts)
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    inner = np.arange(len(owner)) - first[owner]
    half = 0.5 * (lengths / counts)[owner]
    middles = times[owner] + half * (2 * inner + 1)
    centres = flow(middles)
    slopes = evaluate_batch(compact, gradient, centres)
    low, high, push = _spectra(compact, centres, slopes)
    slope = np.linalg.norm(slopes, axis=1) * (1 + RELATIVE)
    forms = ball_forms(objective, centres)
    least = error + RELATIVE * (1 + np.linalg.norm(centres, axis=1))
    sizes = np.linalg.norm(centres, axis=1)
    zero = float(evaluate_points(objective, objective.program, np.zeros((1, centres.shape[1])))["f"][0])
    scale = abs(zero) + float((slope * sizes + np.maximum(np.abs(low), np.abs(high)) * sizes**2).max())
    radii = _way_radii(objective, flow, middles, half, scale) + least
    return Tube(objective, first, owner, middles, centres, radii, low, high, slope, push, forms)


def _spectra(compact: Objective, centres: np.ndarray, slopes: np.ndarray) -> tuple[np.ndarray, ...]:
    """lambda_min less rounding, lambda_max and ||H g|| with it, at every centre."""
    found: list[tuple[np.ndarray, ...]] = []
    chunk = max(1, MEMORY // centres.shape[1] ** 2)
    for first in range(0, len(centres), chunk):
        matrices = evaluate_batch(compact, hessian, centres[first : first + chunk])
        g = slopes[first : first + chunk]
        spectra = np.linalg.eigvalsh(matrices)
        rounding = RELATIVE * np.abs(spectra).max(axis=1)
        push = np.linalg.norm(np.einsum("cij,cj->ci", matrices, g), axis=1)
        found.append((spectra[:, 0] - rounding, spectra[:, -1] + rounding, push + rounding * np.linalg.norm(g, axis=1)))
    low, high, push = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return low, high, push


def _way_radii(
    objective: Objective,
    flow: Callable[[np.ndarray], np.ndarray],
    middles: np.ndarray,
    half: np.ndarray,
    scale: float,
) -> np.ndarray:
    """How far the flow goes from the centre of each cell within it, by R1; `scale` is the size of what f is made of."""
    ends = [middles - half, middles, middles + half]
    program = objective.program
    before, at, after = (evaluate_points(objective, program, flow(np.maximum(t, 0)))["f"] for t in ends)
    loss = np.maximum(np.maximum(before - at, at - after), 0) + RELATIVE * scale
    return np.asarray(np.sqrt(half * loss) * (1 + RELATIVE))
