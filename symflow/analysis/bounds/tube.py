r"""A certified cover of the tube around the flow: constants of R4 and R22 that hold everywhere in it.

Time is cut into cells. The cell [a, b] has its centre c = theta(s), s = (a + b)/2. By R1 the flow stays on it within

    r = max{ sqrt((s - a) (f(a) - f(s))), sqrt((b - s) (f(s) - f(b))) }

of c, with f(t) short for f(theta(t)): its speed is ||g||, and Cauchy and Schwarz bound the length of its path by the
root of time times loss. So the tube of radius eps around that piece of the flow lies in B_R(c), R = r + eps. There,
with the spectrum of H(c), g = g(c) and the bounds of `ball_forms` (drift, beta, gamma, m), in a smooth region

    -lambda_min(H) <= min(m, drift(R) - lambda_min(H(c))),    ||H|| <= min(beta, ||H(c)|| + drift(R)),
    ||g|| <= min(gamma, ||g|| + R beta),
    ||H g|| <= min(beta gamma, ||H(c) g|| + drift(R) ||g|| + beta R beta) at every point,

and across kinks the closed forms alone.

Rounding is outwards throughout: centres with their distance from the flow (`DenseFlow.around`), losses, gradients and
spectra with bounds on their errors (`running_error`), closed forms by `GrowingArithmetic`, and the sums and products
here with the next number above. The error of the flow, certified or estimated, is part of every radius.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from symflow.analysis.bounds.ball_forms import BallForms, HessianBoxes, bounds_on_balls
from symflow.analysis.bounds.smooth_regions import decide
from symflow.analysis.bounds.spectra import spectra
from symflow.derivatives.derived import gradient
from symflow.evaluate.boxes import box_program
from symflow.evaluate.derived_batches import evaluate_batch
from symflow.evaluate.rounded import Rounded, norm_bound
from symflow.evaluate.running_error import rounded_result
from symflow.networks.objective import Objective
from symflow.numbers.outward import OUTWARD, UNIT, down, interval, up
from symflow.numbers.vectors import norms
from symflow.paths.sampling import DenseFlow
from symflow.theory.r01_energy import path_length

CELLS = 1024
"""About how many cells the flow's path is cut into; every interval has one at least."""
MOST_CELLS = 64
"""Most cells of one interval."""


@dataclass(frozen=True, eq=False)
class Constants:
    """What holds on balls that cover a tube, one value a ball; or on the tube, one value per interval of time.

    Attributes:
        m: at least -lambda_min(H).
        max_eigenvalue: at least lambda_max(H).
        beta: at least ||H||.
        gamma: at least ||g||.
        hessian_gradient: at least ||H g||.
        smooth: whether the ball, or all balls of the interval, lie in one smooth region.
        kink: of the first ball that may not: cell, sample, layer, unit; None where all do.
    """

    m: np.ndarray
    max_eigenvalue: np.ndarray
    beta: np.ndarray
    gamma: np.ndarray
    hessian_gradient: np.ndarray
    smooth: np.ndarray
    kink: tuple[int, int, int, int] | None

    def first(self, count: int) -> Constants:
        """Those of the first intervals."""
        rows = (self.m, self.max_eigenvalue, self.beta, self.gamma, self.hessian_gradient)
        m, top, beta, gamma, product = (v[:count] for v in rows)
        return Constants(m, top, beta, gamma, product, self.smooth[:count], self.kink)


@dataclass(frozen=True, eq=False)
class Tube:
    """Cells along the flow with what is known at their centres.

    Attributes:
        objective: f, over samples.
        first: the first cell of each interval.
        owner: the interval of each cell.
        middles: the time of each centre.
        centres: shape (C, P).
        radii: at least how far the flow is from the centre within the cell.
        low: at most lambda_min(H(c)).
        high: at least lambda_max(H(c)).
        slope: at least ||g(c)||.
        hessian_gradient: at least ||H(c) g(c)||.
        forms: the bounds of `ball_forms` around the centres.
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
    hessian_gradient: np.ndarray
    forms: BallForms | HessianBoxes

    def constants(self, eps: np.ndarray) -> Constants:
        """The constants on the tube of radius eps (one for each of the first intervals)."""
        balls, first = self.balls(eps), self.first[: len(eps)]
        rows = (balls.m, balls.max_eigenvalue, balls.beta, balls.gamma, balls.hessian_gradient)
        m, top, beta, gamma, product = (np.maximum.reduceat(v, first) for v in rows)
        smooth = np.logical_and.reduceat(balls.smooth, first)
        return Constants(m, top, beta, gamma, product, smooth, balls.kink)

    def ball_radii(self, eps: np.ndarray) -> np.ndarray:
        """The radius of each ball that covers the tube of radius eps (one for each of the first intervals)."""
        owner = self.owner[: np.searchsorted(self.owner, len(eps))]
        return up(self.radii[: len(owner)] + eps[owner])

    def balls(self, eps: np.ndarray) -> Constants:
        """What holds on the balls that cover the tube of radius eps (one for each of the first intervals)."""
        radius = self.ball_radii(eps)
        rows = (self.centres, self.low, self.high, self.slope, self.hessian_gradient)
        centres, low, high, slope, along = (v[: len(radius)] for v in rows)
        kink, smooth = None, np.ones(len(radius), dtype=bool)
        if self.objective.gates:
            decided = decide(self.objective, centres, radius)
            smooth = decided.smooth
            bad = np.flatnonzero(~smooth)
            kink = (int(bad[0]), *decided.first(int(bad[0]))) if len(bad) else None
        grown = self.forms(radius)
        drift = np.where(smooth, grown["drift"], np.inf)
        closed = {name: grown.get(name, np.inf) for name in ("m", "beta", "gamma")}
        size = np.maximum(np.abs(low), np.abs(high))
        with np.errstate(over="ignore", invalid="ignore"):  # infinite or undefined values are not bounds
            m = np.minimum(up(drift - low), closed["m"])
            beta = np.minimum(up(size + drift), closed["beta"])
            top = np.minimum(up(high + drift), beta)
            near = np.where(smooth, up(slope + up(radius * beta)), np.inf)
            gamma = np.minimum(near, closed["gamma"])
            moved = up(up(along + up(drift * slope)) + up(up(beta * beta) * radius))
            product = np.minimum(up(beta * gamma), moved)
        rows = (m, top, beta, gamma, product)
        m, top, beta, gamma, product = (np.nan_to_num(v, nan=np.inf, posinf=np.inf) for v in rows)
        return Constants(m, top, beta, gamma, product, smooth, kink)


def cover(objective: Objective, compact: Objective, flow: DenseFlow, times: np.ndarray, error: float) -> Tube:
    """Covers the flow between the given times.

    Args:
        objective: f, over samples.
        compact: the same function in the form that is cheapest to evaluate.
        flow: theta in float64.
        times: t_0 < t_1 < ..., the ends of the intervals, rounded.
        error: of a component of the flow, at most.
    """
    lengths = np.diff(times)
    speeds = norms(evaluate_batch(compact, gradient, flow(times)))
    travelled = lengths * np.maximum(speeds[:-1], speeds[1:])
    way = travelled.sum()
    share = np.maximum(travelled / way if 0 < way < np.inf else 0.0, 0.25 * lengths / lengths.sum())
    counts = np.clip(np.ceil(CELLS * share), 1, MOST_CELLS).astype(int)
    owner = np.repeat(np.arange(len(lengths)), counts)
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    inner = np.arange(len(owner)) - first[owner]
    half = 0.5 * (lengths / counts)[owner]
    middles = times[owner] + half * (2 * inner + 1)
    centres = flow.around(middles)
    slopes = rounded_result(compact, gradient(compact), centres.value)
    slope = norm_bound(slopes)
    found = spectra(compact, centres.value, slopes.value)
    assert found.products is not None
    lost = norm_bound(Rounded(np.zeros_like(slopes.value), slopes.error))
    products = up(found.products + up(found.norm * lost))
    forms = bounds_on_balls(objective, compact, centres.value)
    away = norm_bound(Rounded(np.zeros_like(centres.value), up(centres.error + error)))
    radii = up(_path_radii(compact, flow, middles, half, error) + away)
    return Tube(objective, first, owner, middles, centres.value, radii, found.low, found.high, slope, products, forms)


def _path_radii(
    objective: Objective, flow: DenseFlow, middles: np.ndarray, half: np.ndarray, error: float
) -> np.ndarray:
    """How far the flow goes from the centre of each cell within it, by R1.

    The ends of a cell are known to a few units in the last place of the time: so are the times of its losses.
    """
    losses = []
    for times in (np.maximum(middles - half, 0), middles, middles + half):
        near = flow.around(times)
        losses.append(box_program(objective, objective.program, Rounded(near.value, up(near.error + error)))["f"])
    before, at, after = losses
    ahead, behind = (up(up(x.value + x.error) - down(y.value - y.error)) for x, y in ((before, at), (at, after)))
    drop = np.maximum(np.maximum(ahead, behind), 0.0)
    longest = up(up(half) + 32 * UNIT * (np.abs(middles) + half))
    return np.asarray(path_length(interval(longest), interval(drop), OUTWARD).high)
