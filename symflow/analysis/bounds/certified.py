r"""R4, R5 and R22 on the tube: bounds that hold between the sample times as well, from the flow alone.

The radius of the tube is found self-consistently.  Let b(t) be the bound that the constants of the tube of radius
eps(t) give.  If b(t) < eps(t) for all t, descent cannot leave the tube: up to the first exit the bound holds, and it is
smaller than the radius there.  From eps = 0 on, eps is enlarged to just above b until b < eps; that ends at the
smallest such tube, or nowhere, and then the bound is not applicable from the first interval on where b >= eps.

Per interval of n steps, h = n eta, with the constants of `tube` there (all of them at least the suprema):

    R4         b <- e^{mh} b + eta beta_t gamma_t (e^{mh} - 1)/m             beta_t, gamma_t: the largest up to there
    R4(global) the same with beta, gamma over the whole tube
    R5         b(t) = eta beta gamma (e^{mt} - 1)/m                          m, beta, gamma over the whole tube
    R22(tube)  b <- e^{m eta} b + max(1, e^{m eta}) D  per step, with the defect of a step bounded by
               D(s) <= P (e^{beta s} - 1)/beta, P = sup ||H g||; D is its integral over the step
    R22(tube-free)  b <- L b + (eta^2/2) sup||H g(theta(t))||  per step      L = sup ||I - eta H||
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from symflow.analysis.bounds.series import BoundSeries, padded
from symflow.analysis.bounds.tube import Constants, Tube
from symflow.theory.r03_fundamental_theorem import constant_rate, equal_cells, fold

March = Callable[[Constants, "Steps"], tuple[np.ndarray, np.ndarray]]
"""The bound after each interval, and the largest value that it takes inside."""
MARGIN = 1.02
"""By how much the radius is taken above the bound that it has to exceed."""
ROUNDS = 60
"""Most enlargements of the tube."""
LARGEST = 1e6
"""No tube is made wider."""
ROUNDING = 1e-12
"""Relative allowance for the rounding of the recursion itself (up to some thousand intervals)."""


@dataclass(frozen=True, eq=False)
class Steps:
    """The intervals of a run.

    Attributes:
        step_size: eta.
        counts: steps in each interval.
        times: t_0 < t_1 < ..., one more than intervals.
        still: the constants of the tube of radius 0, the flow itself.
    """

    step_size: float
    counts: np.ndarray
    times: np.ndarray
    still: Constants


def _bounds(growth: np.ndarray, integral: np.ndarray) -> np.ndarray:
    """R3 with the defect 1 from no initial error, after every interval; what is not known is infinite."""
    columns = (growth.tolist(), [1.0] * len(growth), integral.tolist())
    with np.errstate(over="ignore", invalid="ignore"):
        values = np.fromiter(fold(zip(*columns, strict=True), allowance=ROUNDING), float, len(growth))
    return np.where(np.isfinite(values), values, np.inf)


def _with_inside(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Within an interval b goes monotonically from one end to the other: its largest value is at an end."""
    return values, np.maximum(values, np.concatenate([[0.0], values[:-1]]))


def time_local(c: Constants, steps: Steps) -> tuple[np.ndarray, np.ndarray]:
    """R4 with beta and gamma over the tube up to t."""
    return _r4(c, steps, _times(np.maximum.accumulate(c.beta), np.maximum.accumulate(c.gamma)))


def whole_tube(c: Constants, steps: Steps) -> tuple[np.ndarray, np.ndarray]:
    """R4 with beta and gamma over the whole tube."""
    return _r4(c, steps, _times(np.full(len(c.m), c.beta.max()), np.full(len(c.m), c.gamma.max())))


def _r4(c: Constants, steps: Steps, product: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """eta beta gamma int e^{M(t) - M(s)} ds, with beta gamma as it is in the interval."""
    h = np.diff(steps.times)
    integral, inside = _with_inside(_bounds(*constant_rate(c.m, h)))
    scaled = _times(steps.step_size, product)
    return _times(scaled, integral), _times(scaled, inside)


def constant_m(c: Constants, steps: Steps) -> tuple[np.ndarray, np.ndarray]:
    """R5 with m over the whole tube."""
    product = _times(steps.step_size * c.beta.max(), np.full(len(c.m), c.gamma.max()))
    return _with_inside(_times(product, constant_rate(c.m.max(), steps.times[1:])[1]))


def true_push(c: Constants, steps: Steps) -> tuple[np.ndarray, np.ndarray]:
    """R22 on the tube: the defect within a step, D(s) = ||g(theta~(s)) - g(theta_k)||, from sup ||H g|| there.

    On the step D' <= ||H(theta~) g(theta_k)|| <= P + beta D, P = sup ||H(q) g(q)|| on the tube, so that its integral
    is at most P (e^x - 1 - x)/beta^2 with x = eta beta, which is P eta^2/2 (1 + x/3 + ...).
    """
    eta, n = steps.step_size, steps.counts
    x = eta * c.beta
    with np.errstate(over="ignore", invalid="ignore"):
        short = 0.5 * (1 + x / 3 * np.exp(x))  # at least (e^x - 1 - x)/x^2 for x >= 0
        one = eta**2 * np.maximum(1.0, np.exp(c.m * eta)) * short * c.push
        factors, _ = constant_rate(c.m, eta * n)
        _, count = equal_cells(np.expm1(c.m * eta), n)
        return _with_inside(_bounds(factors, _times(one, count)))


def without_tube(c: Constants, steps: Steps) -> tuple[np.ndarray, np.ndarray]:
    """R22 tube-free: the local error of a step on the flow, carried on by ||I - eta H|| on the segments."""
    eta, n = steps.step_size, steps.counts
    excess = np.maximum(eta * c.m, eta * c.top - 2)  # ||I - eta H|| - 1
    # Rounding may take 1 + excess, which is a norm, a little below 0.
    excess = np.maximum(excess, -1.0)
    factors, count = equal_cells(excess, n)
    return _with_inside(_bounds(factors, _times(0.5 * eta**2 * steps.still.push, count)))


def _times(a: np.ndarray | float, b: np.ndarray) -> np.ndarray:
    """The product, with 0 times infinity = infinity: a bound that is not known."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(np.nan_to_num(a * b, nan=np.inf, posinf=np.inf))


@dataclass(frozen=True)
class Marching:
    """One of the bounds on the tube.

    Attributes:
        name: its id.
        march: the bound from the constants.
        local: whether the value at an interval depends on the tube up to there only.
    """

    name: str
    march: March
    local: bool


MARCHES = (
    Marching("R4(tube)", time_local, True),
    Marching("R4(global)", whole_tube, False),
    Marching("R5", constant_m, False),
    Marching("R22(tube)", true_push, True),
    Marching("R22(tube-free)", without_tube, True),
)


@dataclass(frozen=True, eq=False)
class Found:
    """A self-consistent tube.

    Attributes:
        values: the bound after each interval, as far as it applies.
        radii: of the tube in those intervals.
        constants: on that tube.
        reason: why it does not apply later; None where it does to the end.
    """

    values: np.ndarray
    radii: np.ndarray
    constants: Constants
    reason: str | None


def self_consistent(tube: Tube, steps: Steps, rule: Marching) -> Found:
    """The smallest tube on which the bound that its constants give stays below its radius, as far as there is one."""
    count = len(steps.counts)
    if rule.local:
        return _follow(tube, steps, rule)
    found = _constant_radius(tube, steps, rule, count)
    if isinstance(found, Found):
        return found
    low, high, reason, kept = 0, count, found, Found(np.zeros(0), np.zeros(0), steps.still, found)
    while high - low > 1:  # the longest time that one radius serves
        middle = (low + high) // 2
        found = _constant_radius(tube, steps, rule, middle)
        if isinstance(found, Found):
            low, kept = middle, found
        else:
            high, reason = middle, found
    return Found(kept.values, kept.radii, kept.constants, reason)


def _follow(tube: Tube, steps: Steps, rule: Marching) -> Found:
    """A radius for each interval, each from the bound there: enlarged to just above it until it exceeds it."""
    count = kept = len(steps.counts)
    eps, reason = np.zeros(count), None
    for _ in range(ROUNDS):
        c = tube.constants(eps)
        if not c.covered[:kept].all():  # what is later does not matter for what is earlier
            kept, reason = int(np.argmin(c.covered)), _kink_reason(tube, c)
        if kept == 0:
            break
        c = _upto(c, kept)
        values, largest = rule.march(c, _steps_upto(steps, kept))
        inside = largest < eps[:kept]
        if inside.all():
            return Found(values, eps[:kept], c, reason)
        wanted = np.minimum(MARGIN * largest + 1e-300, LARGEST)
        eps[:kept] = np.where(inside, eps[:kept], np.maximum(wanted, eps[:kept]))
    while kept:
        c = _upto(tube.constants(eps), kept)
        values, largest = rule.march(c, _steps_upto(steps, kept))
        inside = largest < eps[:kept]
        if inside.all():
            return Found(values, eps[:kept], c, reason)
        kept = int(np.argmin(inside))
        reason = _runaway_reason(steps.times[kept])
    return Found(np.zeros(0), np.zeros(0), steps.still, reason)


def _constant_radius(tube: Tube, steps: Steps, rule: Marching, kept: int) -> Found | str:
    """One radius for the first `kept` intervals; or why there is none."""
    count, eps = len(steps.counts), 0.0
    for _ in range(ROUNDS):
        c = tube.constants(np.where(np.arange(count) < kept, eps, 0.0))
        if not c.covered[:kept].all():
            return _kink_reason(tube, c)
        c = _upto(c, kept)
        values, largest = rule.march(c, _steps_upto(steps, kept))
        worst = float(largest.max())
        if worst < eps:
            return Found(values, np.full(kept, eps), c, None)
        if not worst < LARGEST:
            break
        eps = max(MARGIN * worst, 1e-300)
    return _runaway_reason(steps.times[kept])


def _runaway_reason(time: float) -> str:
    return (
        f"no tube is self-consistent up to t = {time:.6g}: the bound that its constants give exceeds its radius, "
        "whatever that is; take a smaller step size or a shorter horizon"
    )


def _upto(c: Constants, count: int) -> Constants:
    m, top, beta, gamma, push = (v[:count] for v in (c.m, c.top, c.beta, c.gamma, c.push))
    return Constants(m, top, beta, gamma, push, c.covered[:count], c.kink)


def _steps_upto(steps: Steps, count: int) -> Steps:
    return Steps(steps.step_size, steps.counts[:count], steps.times[: count + 1], _upto(steps.still, count))


def _kink_reason(tube: Tube, c: Constants) -> str:
    assert c.kink is not None
    cell, sample, layer, unit = c.kink
    return (
        f"around t = {tube.middles[cell]:.6g} the tube may touch a kink (sample {sample}, layer {layer}, unit {unit}); "
        "the bound needs one smooth region"
    )


def certified_series(name: str, found: Found, count: int) -> BoundSeries:
    """A self-consistent tube's bound as a series over the sample times."""
    from symflow.analysis.bounds.series import not_applicable

    if not len(found.values):
        return not_applicable(name, "bound", count, found.reason or "no interval is covered")
    c = found.constants
    quantities = {
        r"\varepsilon": ("radius of the tube, largest", f"{found.radii.max():.6g}"),
        r"\max m(t)": ("at least minus the smallest Hessian eigenvalue on the tube, largest", f"{c.m.max():.6g}"),
        r"\beta": ("at least the spectral norm of the Hessian on the tube", f"{c.beta.max():.6g}"),
        r"\gamma": ("at least the gradient norm on the tube", f"{c.gamma.max():.6g}"),
    }
    values = padded([0.0, *found.values], count)
    radii = tuple(float(r) for r in (0.0, *found.radii))
    return BoundSeries(name, "bound", "certified on a box", values, found.reason, quantities, radii)


def intervals(step_size: float, indices: Sequence[int], times: np.ndarray, tube: Tube) -> Steps:
    """The intervals between the kept steps of a run, with the constants along the flow itself."""
    still = tube.constants(np.zeros(len(times) - 1))
    return Steps(step_size, np.diff(np.asarray(indices)), times, still)
