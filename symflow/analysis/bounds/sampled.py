r"""R4 and R22 with everything sampled along flow and descent; nothing is certified between the samples.

Defects are those of every step (`walk`). The rate m = max -lambda_min(H) over the segment from theta(t) to theta~(t)
is sampled at the kept steps, and in between, inside a step too, as long as its second differences say that more than
`SLACK` of the exponent is not known; what they say is added. Where that is not enough, the bounds are not applicable.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from symflow.analysis.bounds.descent_walk import Walk
from symflow.analysis.bounds.kinks import Crossings, gates_on
from symflow.analysis.bounds.series import BoundSeries, not_applicable, padded
from symflow.analysis.bounds.spectra import spectra
from symflow.analysis.eigenvalues import MAX_DENSE_PARAMETERS
from symflow.analysis.observables import gradients, too_large
from symflow.networks.objective import Objective
from symflow.numbers import outward
from symflow.numbers.vectors import norms
from symflow.theory.cells import fold

SLACK = 0.01
"""How much of the exponent int m the second differences of m may leave open without further samples."""
OPEN = 0.5
"""Beyond this much the bounds are not applicable."""
ROUNDS = 12
"""Most halvings of an interval."""
MOST_SAMPLES = 2048
"""Most times that are sampled beyond the kept ones; fewer where spectra are dear."""
LEAST_SAMPLES = 9
"""Second differences need a few samples."""
BESIDE = 3
"""Where gates change, the largest rate of this many samples on either side stands for an interval."""


@dataclass(frozen=True)
class Samples:
    """What the bounds are evaluated on.

    Attributes:
        objective: in the form that is cheapest to evaluate.
        step_size: eta.
        indices: steps k, increasing from 0.
        flow: theta at many times, float64.
        descent: theta_k, float64, shape (S, P).
        walk: every step between them.
        smooth: how many of the leading samples the hypotheses on kinks hold for.
        reason: why they do not for the others.
        crossings: the steps of descent that cross a kink on the way.
        exact: whether theta_k are descent's iterates to more digits than these; else every block has its own start.
        start: ||theta_0 - theta(0)||.
    """

    objective: Objective
    step_size: float
    indices: np.ndarray
    flow: Callable[[np.ndarray], np.ndarray]
    descent: np.ndarray
    walk: Walk
    smooth: int
    reason: str | None
    crossings: Crossings
    exact: bool = True
    start: float = 0.0


@dataclass(frozen=True, eq=False)
class _Rates:
    """m and beta on intervals of time, in steps.

    Attributes:
        x: the ends of the intervals.
        m: at least -lambda_min(H) on the segments, as far as it is sampled, one an interval.
        beta: the largest ||H|| at the ends of each.
        open: what of the exponent the samples leave open, one an interval.
    """

    x: np.ndarray
    m: np.ndarray
    beta: np.ndarray
    open: np.ndarray


@np.errstate(over="ignore", invalid="ignore", divide="ignore")  # a bound beyond float64 is infinite
def sampled_bounds(samples: Samples) -> dict[str, BoundSeries]:
    """R4 in its time-local form and R22, from one set of sampled Hessian spectra.

    R4: ||theta_k - theta(t)|| <= eta beta_t gamma_t int_0^t e^{M(t)-M(s)} ds.
    R22: ||theta_k - theta(t)|| <= int_0^t e^{M(t)-M(s)} delta(s) ds, delta(s) = ||g(theta~(s)) - g(theta_k)||.
    Both with M' = m = -lambda_min(H), beta = max ||H||, gamma = max ||g||; beta is at least what the defects show. A
    step that crosses a kink (one with a convex jump, see `kinks`) has the defect that its gradients show, in both.
    """
    count = len(samples.indices)
    why = too_large(samples.objective)
    n, reason = samples.smooth, samples.reason
    if samples.walk.end + 1 < n:
        n, reason = samples.walk.end + 1, samples.walk.reason
    if why is None and n == 0:
        why = reason or "no smooth region"
    rates = None if why is not None or n == 1 else _rates(samples, n)
    if rates is not None:
        unknown = np.flatnonzero(~(np.cumsum(rates.open) <= OPEN))
        if len(unknown):
            start = rates.x[unknown[0]]
            n = int(np.searchsorted(samples.indices, start, side="right"))
            reason = (
                f"around t = {start * samples.step_size:.6g} the smallest Hessian eigenvalue between flow and descent "
                "changes too much from sample to sample; take a smaller step size"
            )
    if n == 1 and count > 1 and why is None:
        why = reason or "there is one sample only"
    if why is not None:
        return {name: not_applicable(name, "bound", count, why) for name in ("R4", "R22")}
    if rates is None:
        return {name: BoundSeries(name, "bound", "sampled", padded([samples.start], count), reason) for name in
                ("R4", "R22")}  # fmt: skip
    r4, r22, gamma = _march(samples, rates, n)
    rate, beta = rates.m[rates.x[:-1] < samples.indices[n - 1]].max(), rates.beta.max()
    steps = int(samples.indices[n - 1])
    shared = {r"\max_t m(t)": ("minus the smallest Hessian eigenvalue, largest sampled", f"{rate:.6g}")}
    norms = {
        r"\beta": ("spectral norm of the Hessian, largest sampled", f"{beta:.6g}"),
        r"\gamma": ("gradient norm, largest sampled", f"{gamma:.6g}"),
    }
    defect = {r"\max_k \delta": ("mean defect of a step, largest", f"{samples.walk.mean[:steps].max():.6g}")}
    return {
        "R4": BoundSeries("R4", "bound", "sampled", padded(r4, count), reason, shared | norms),
        "R22": BoundSeries("R22", "bound", "sampled", padded(r22, count), reason, shared | defect),
    }


def _march(samples: Samples, rates: _Rates, n: int) -> tuple[np.ndarray, np.ndarray, float]:
    """R4 and R22 at the first n samples, and the largest gradient norm."""
    eta, walk, indices = samples.step_size, samples.walk, samples.indices[:n]
    total = int(indices[-1])
    # Every step's exponent, from the intervals that it meets.
    ends = np.unique(np.concatenate([rates.x[rates.x <= total], np.arange(total + 1)]))
    owner = np.searchsorted(rates.x, ends[:-1], side="right") - 1
    step = np.floor(ends[:-1]).astype(int)
    parts = rates.m[owner] * eta * np.diff(ends)
    rate = np.bincount(step, parts, total)
    above = np.bincount(step, np.maximum(parts, 0.0), total)
    whole = np.bincount(step, minlength=total) == 1
    # A defect that rises within the step meets weights that fall (m > 0): its mean times theirs is at least the
    # weighted mean; one that does not has the largest weight everywhere.
    steady = np.where(np.abs(rate) < 1e-8, 1.0 + np.abs(rate), np.expm1(rate) / np.where(rate == 0, 1.0, rate))
    flat = np.maximum(1.0, np.where(whole, steady, np.exp(above)))
    inside = np.maximum(1.0, np.where(whole & walk.rising[:total], steady, np.exp(above)))
    slope = walk.slope[:total]
    beta = np.zeros(total)
    np.maximum.at(beta, step, rates.beta[owner])
    mean = walk.mean[:total].copy()
    crossing = samples.crossings.steps[samples.crossings.steps < total]
    costs = np.zeros(total)
    costs[crossing] = samples.crossings.costs[: len(crossing)] * np.maximum(1.0, np.exp(above[crossing]))
    mean[crossing] = 0.5 * eta * beta[crossing] * slope[crossing]  # what is smooth of it
    shown = np.where(slope > 0, np.maximum(mean, np.where(costs > 0, 0.0, walk.peak[:total])) / (eta * slope), 0.0)
    beta = np.maximum(beta, shown)
    flow_slope = norms(gradients(samples.objective, samples.flow(indices * eta)))
    gamma = np.maximum(slope, flow_slope[np.searchsorted(indices, np.arange(total), side="right") - 1])
    growth, beta_t, gamma_t = np.exp(rate), np.maximum.accumulate(beta), np.maximum.accumulate(gamma)
    block = np.repeat(np.arange(n - 1), np.diff(indices))
    lasts = np.append(np.flatnonzero(np.diff(block)), total - 1)
    jumps = np.zeros(total + 1)  # where the walk of a block ends apart from the next kept iterate
    jumps[0] = samples.start
    if not samples.exact:
        jumps[lasts + 1] = walk.apart[: n - 1]
    weights = eta * inside
    crossed = np.where(costs > 0, costs / weights, 0.0)

    def bound(defect: np.ndarray, integral: np.ndarray, jump: np.ndarray) -> np.ndarray:
        """R3 at the samples after the first, each with the jump there."""
        columns = [a.tolist() for a in (growth, defect, integral, jump[:-1])]
        after = np.fromiter(fold(zip(*columns, strict=True), rounded=outward.above), float, total)
        return outward.up(after + jump[1:])[indices[1:] - 1]

    r22 = bound(mean + crossed, weights, jumps)
    integral = bound(np.ones(total), eta * flat, np.zeros(total + 1))
    parted = bound(crossed, weights, jumps)
    last = indices[1:] - 1
    r4 = np.maximum(eta * beta_t[last] * gamma_t[last] * integral + parted, r22)
    r4, r22 = (np.concatenate([[samples.start], v]) for v in (r4, r22))
    return r4, r22, float(gamma_t[-1])


# The rate -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Points:
    """What is sampled at some times.

    Attributes:
        m: at least -lambda_min(H) on the segment, as far as it is sampled.
        beta: the largest ||H|| there.
        gates: of flow and descent, one row a time; None without gates.
    """

    m: np.ndarray
    beta: np.ndarray
    gates: np.ndarray | None


def _rates(samples: Samples, n: int) -> _Rates:
    """The rate between the first n samples."""
    x = samples.indices[:n].astype(float)
    most = MOST_SAMPLES if samples.objective.parameter_count <= 64 else MOST_SAMPLES // 8
    if samples.objective.parameter_count > MAX_DENSE_PARAMETERS:
        most //= 4
    # Without the steps between the kept ones there is nothing to look at there.
    halve = samples.walk.states is not None or bool(np.all(np.diff(x) == 1))
    while halve and len(x) < LEAST_SAMPLES:
        x = np.unique(np.concatenate([x, _halves(x)]))
    found = _at(samples, x)
    most += len(x)
    for _ in range(ROUNDS):
        excess, jumpy = _excess(x, found)
        cost = np.where(jumpy, np.abs(np.diff(found.m)), excess) * np.diff(x) * samples.step_size
        if not halve or len(x) >= most or np.nansum(np.where(np.isfinite(cost), cost, np.inf)) <= SLACK:
            break
        order = np.argsort(-np.where(np.isnan(cost), np.inf, cost))
        left = np.cumsum(cost[order][::-1])[::-1]
        chosen = order[: max(1, min(int(np.sum(~(left <= 0.5 * SLACK))), most - len(x)))]
        between = 0.5 * (x[chosen] + x[chosen + 1])
        long = x[chosen + 1] - x[chosen] > 1
        between[long] = np.floor(between[long])
        between = np.sort(between)
        more = _at(samples, between)
        place = np.searchsorted(x, between)
        gates = None if found.gates is None or more.gates is None else np.insert(found.gates, place, more.gates, axis=0)
        found = _Points(np.insert(found.m, place, more.m), np.insert(found.beta, place, more.beta), gates)
        x = np.insert(x, place, between)
    excess, jumpy = _excess(x, found)
    ends = np.maximum(found.m[:-1], found.m[1:])
    m = np.where(jumpy, _widest(found.m), ends + excess)
    open_ = np.where(jumpy, 0.0, excess) * np.diff(x) * samples.step_size
    open_ = np.where(np.isfinite(m), open_, np.inf)
    return _Rates(x, m, np.maximum(found.beta[:-1], found.beta[1:]), open_)


def _halves(x: np.ndarray) -> np.ndarray:
    middles = 0.5 * (x[:-1] + x[1:])
    return np.where(np.diff(x) > 1, np.floor(middles), middles)


def _widest(m: np.ndarray) -> np.ndarray:
    """For every interval the largest of the samples around it."""
    padded_m = np.pad(m, BESIDE, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded_m, 2 * BESIDE + 2)
    return np.asarray(windows.max(axis=1))[: len(m) - 1]


def _excess(x: np.ndarray, found: _Points) -> tuple[np.ndarray, np.ndarray]:
    """By how much the rate may exceed its ends inside each interval, and where gates change instead.

    A quadratic exceeds the larger end by at most |m''| h^2 / 8; twice that is taken, with the larger second difference
    of both ends.
    """
    h = np.diff(x)
    jumpy = np.zeros(len(h), dtype=bool)
    if found.gates is not None:
        jumpy = (found.gates[1:] != found.gates[:-1]).any(axis=1)
    slopes = np.diff(found.m) / h
    bends = 2 * np.abs(np.diff(slopes)) / (x[2:] - x[:-2])
    bends = np.where(jumpy[1:] | jumpy[:-1], 0.0, bends)  # of one smooth piece only
    inner = np.concatenate([bends[:1], bends, bends[-1:]])
    return np.maximum(inner[:-1], inner[1:]) * h**2 / 4, jumpy


def _at(samples: Samples, x: np.ndarray) -> _Points:
    """The rate at some times (in steps), on three points of the segment, or nine where these are not enough."""
    flow, descent = samples.flow(x * samples.step_size), _between(samples, x)
    gates, parted = None, np.zeros(len(x), dtype=bool)
    if samples.objective.gates:
        here, there = (np.concatenate([g.reshape(len(x), -1) for g in gates_on(samples.objective, p)], axis=1)
                       for p in (flow, descent))  # fmt: skip
        parted = (here != there).any(axis=1)
        gates = np.concatenate([here, there], axis=1)
    m, beta, bend = _on_segments(samples.objective, flow, descent, 3)
    gap = np.diff(x, append=x[-1] + 1.0) if len(x) else np.zeros(0)
    wide = np.flatnonzero(parted | ~(bend * np.minimum(gap, 1.0) * samples.step_size <= SLACK / 10))
    if len(wide):
        more, norms, closer = _on_segments(samples.objective, flow[wide], descent[wide], 9)
        m[wide], beta[wide], bend[wide] = np.maximum(m[wide], more), np.maximum(beta[wide], norms), closer
    return _Points(m + np.where(parted, 0.0, bend), beta, gates)


def _on_segments(
    objective: Objective, a: np.ndarray, b: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Largest -lambda_min(H), largest ||H|| and largest second difference of the former on the segments."""
    shares = np.linspace(0.0, 1.0, count)
    points = np.concatenate([a + share * (b - a) for share in shares])
    found = spectra(objective, points)
    m = -found.low.reshape(count, len(a))
    m = np.where(np.isnan(m), np.inf, m)
    bend = np.abs(m[2:] - 2 * m[1:-1] + m[:-2]).max(axis=0)
    beta = np.nan_to_num(found.norm.reshape(count, len(a)), nan=np.inf, posinf=np.inf)
    return m.max(axis=0), beta.max(axis=0), np.nan_to_num(bend, nan=np.inf)


def _between(samples: Samples, x: np.ndarray) -> np.ndarray:
    """Descent's interpolation at some times (in steps)."""
    k = np.floor(x).astype(int)
    share = (x - k)[:, None]
    if samples.walk.states is not None:
        here, there = samples.walk.states[k], samples.walk.states[np.minimum(k + 1, len(samples.walk.states) - 1)]
    else:
        place = np.searchsorted(samples.indices, k)
        here, there = samples.descent[place], samples.descent[np.minimum(place + 1, len(samples.descent) - 1)]
    return np.where(share > 0, here + share * (there - here), here)
