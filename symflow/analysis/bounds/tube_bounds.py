r"""R4, R5 and R22 on the tube: bounds that hold between the sample times as well, from the flow alone.

The radius of the tube is found self-consistently. Let b(t) be the bound that the constants of the tube of radius
eps(t) give. If b(t) < eps(t) for all t, descent cannot leave the tube: up to the first exit the bound holds, and it is
smaller than the radius there. From eps = 0 on, eps is enlarged to just above b until b < eps; that ends at the
smallest such tube, or nowhere, and then the bound is not applicable from the first interval on where b >= eps.

Per interval of n steps, h = n eta, with the constants of `tube` there (all of them at least the suprema):

    R4(tube)        beta and gamma the largest up to the interval
    R4(global)      beta and gamma over the whole tube
    R5              m, beta and gamma over the whole tube
    R22(tube)       the defect of each step from sup ||H g|| on the tube
    R22(tube-free) the local error of each step from ||H g|| on the flow, carried on by ||I - eta H||

The formulas are those of `theory.r04_step_size`, `r05_constant_curvature` and `r22_trajectory_wise`, folded by R3, in
float64 with outward rounding (`numbers.outward`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from symflow.analysis.bounds.series import BoundSeries, not_applicable, padded
from symflow.analysis.bounds.tube import Constants, Tube
from symflow.numbers.outward import OUTWARD, Interval, Known, above, float_range, geometric, interval
from symflow.theory.cells import constant_rate, fold
from symflow.theory.r04_step_size import STEP_SIZE, defect
from symflow.theory.r05_constant_curvature import CONSTANT_CURVATURE
from symflow.theory.r22_trajectory_wise import TRAJECTORY_WISE, added_on_tube, excess_growth, local_error
from symflow.theory.result import Result

MARGIN = 1.02
"""By how much the radius is taken above the bound that it has to exceed."""
ROUNDS = 60
"""Most enlargements of the tube."""
LARGEST = 1e6
"""No tube is made wider."""


@dataclass(frozen=True, eq=False)
class Steps:
    """The intervals of a run.

    Attributes:
        step_size: eta, enclosed.
        counts: steps in each interval.
        times: t_0 < t_1 < ..., one more than intervals, rounded.
        on_flow: the constants of the tube of radius 0, the flow itself.
    """

    step_size: Interval
    counts: np.ndarray
    times: np.ndarray
    on_flow: Constants

    def first(self, count: int) -> Steps:
        """The first intervals."""
        return Steps(self.step_size, self.counts[:count], self.times[: count + 1], self.on_flow.first(count))


def _folded(growth: np.ndarray, integral: np.ndarray) -> np.ndarray:
    """R3 with the defect 1 from no initial error, after every interval; what is not known is infinite."""
    columns = (growth.tolist(), [1.0] * len(growth), integral.tolist())
    values = np.fromiter(fold(zip(*columns, strict=True), rounded=above), float, len(growth))
    return np.where(np.isfinite(values), values, np.inf)


def _with_inside(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Within an interval b goes monotonically from one end to the other: its largest value is at an end."""
    return values, np.maximum(values, np.concatenate([[0.0], values[:-1]]))


def _times(a: Known, b: Known) -> np.ndarray:
    """The product rounded up, with 0 times infinity = infinity: a bound that is not known."""
    return np.asarray((interval(a) * b).high)


# The bound after each interval, and its largest value inside, from constants of the tube ------------------------------


def time_local(c: Constants, steps: Steps) -> tuple[np.ndarray, np.ndarray]:
    """R4 with beta and gamma over the tube up to t."""
    return _r4(c, steps, np.maximum.accumulate(c.beta), np.maximum.accumulate(c.gamma))


def whole_tube(c: Constants, steps: Steps) -> tuple[np.ndarray, np.ndarray]:
    """R4 with beta and gamma over the whole tube."""
    return _r4(c, steps, np.full(len(c.m), c.beta.max()), np.full(len(c.m), c.gamma.max()))


def _r4(c: Constants, steps: Steps, beta: np.ndarray, gamma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """eta beta gamma int e^{M(t) - M(s)} ds, with beta and gamma as they are in the interval."""
    growth, integral = constant_rate(interval(c.m), steps.step_size * steps.counts, OUTWARD)
    integral, inside = _with_inside(_folded(growth.high, integral.high))
    scaled = defect(steps.step_size, interval(beta), interval(gamma))
    return _times(scaled, integral), _times(scaled, inside)


def constant_m(c: Constants, steps: Steps) -> tuple[np.ndarray, np.ndarray]:
    """R5 with m over the whole tube."""
    largest = defect(steps.step_size, interval(c.beta.max()), interval(np.full(len(c.m), c.gamma.max())))
    times = steps.step_size * np.cumsum(steps.counts)
    return _with_inside(_times(largest, constant_rate(interval(c.m.max()), times, OUTWARD)[1]))


def on_tube(c: Constants, steps: Steps) -> tuple[np.ndarray, np.ndarray]:
    """R22 on the tube."""
    eta, m = steps.step_size, interval(c.m)
    added = added_on_tube(eta, m, interval(c.beta), interval(c.hessian_gradient), OUTWARD)
    growth, integral = geometric(OUTWARD.exp(m * eta).high, steps.counts)
    return _with_inside(_folded(growth, _times(added, integral)))


def without_tube(c: Constants, steps: Steps) -> tuple[np.ndarray, np.ndarray]:
    """R22 tube-free; the segments between descent and flow lie in the tube."""
    eta = steps.step_size
    excess = excess_growth(eta, interval(c.m), interval(c.max_eigenvalue), OUTWARD)
    # ||I - eta H|| is a norm: what bounds it is not below 0.
    growth, integral = geometric(np.maximum((excess + 1.0).high, 0.0), steps.counts)
    return _with_inside(_folded(growth, _times(local_error(eta, interval(steps.on_flow.hessian_gradient)), integral)))


@dataclass(frozen=True)
class TubeBound:
    """One of the bounds on the tube.

    Attributes:
        name: such as "R4(tube)".
        result: what it is a form of.
        claim: the label of the claim that it evaluates.
        title: what it says, in a few words.
        evaluate: the bound after each interval from the constants, and the largest value that it takes inside.
        local: whether the value at an interval depends on the tube up to there only.
    """

    name: str
    result: Result
    claim: str
    title: str
    evaluate: Callable[[Constants, Steps], tuple[np.ndarray, np.ndarray]]
    local: bool = True


TUBE_BOUNDS = (
    TubeBound(
        "R4(tube)", STEP_SIZE, "deviation", "step-size condition, beta and gamma over the tube up to t", time_local
    ),
    TubeBound(
        "R4(global)",
        STEP_SIZE,
        "deviation",
        "step-size condition, beta and gamma over the whole tube",
        whole_tube,
        local=False,
    ),
    TubeBound(
        "R5",
        CONSTANT_CURVATURE,
        "deviation",
        "step-size condition with m constant on the tube",
        constant_m,
        local=False,
    ),
    TubeBound("R22(tube)", TRAJECTORY_WISE, "tube", "trajectory-wise bound, the defect bounded on the tube", on_tube),
    TubeBound(
        "R22(tube-free)",
        TRAJECTORY_WISE,
        "tube-free",
        "trajectory-wise bound from the local errors along the flow",
        without_tube,
    ),
)


@dataclass(frozen=True, eq=False)
class SelfConsistentTube:
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


def find_radii(tube: Tube, steps: Steps, rule: TubeBound) -> SelfConsistentTube:
    """The smallest tube on which the bound that its constants give stays below its radius, as far as there is one."""
    count = len(steps.counts)
    if rule.local:
        return _radius_each(tube, steps, rule)
    found = _one_radius(tube, steps, rule, count)
    if isinstance(found, SelfConsistentTube):
        return found
    low, high, reason, kept = 0, count, found, SelfConsistentTube(np.zeros(0), np.zeros(0), steps.on_flow, found)
    while high - low > 1:  # the longest time that one radius serves
        middle = (low + high) // 2
        found = _one_radius(tube, steps, rule, middle)
        if isinstance(found, SelfConsistentTube):
            low, kept = middle, found
        else:
            high, reason = middle, found
    return SelfConsistentTube(kept.values, kept.radii, kept.constants, reason)


def _radius_each(tube: Tube, steps: Steps, rule: TubeBound) -> SelfConsistentTube:
    """A radius for each interval, each from the bound there: enlarged to just above it until it exceeds it."""
    count = kept = len(steps.counts)
    eps, reason = np.zeros(count), None
    for _ in range(ROUNDS):
        c = _constants(tube, steps, eps[:kept])  # the bound at t depends on the tube up to t only
        if not c.smooth.all():
            kept, reason = int(np.argmin(c.smooth)), _kink_reason(tube, c)
        if kept == 0:
            break
        c = c.first(kept)
        values, largest = rule.evaluate(c, steps.first(kept))
        inside = largest < eps[:kept]
        if inside.all():
            return SelfConsistentTube(values, eps[:kept], c, reason)
        wanted = np.minimum(MARGIN * largest + 1e-300, LARGEST)
        eps[:kept] = np.where(inside, eps[:kept], np.maximum(wanted, eps[:kept]))
    while kept:
        c = tube.constants(eps[:kept])
        values, largest = rule.evaluate(c, steps.first(kept))
        inside = largest < eps[:kept]
        if inside.all():
            return SelfConsistentTube(values, eps[:kept], c, reason)
        kept = int(np.argmin(inside))
        reason = _runaway_reason(steps.times[kept])
    return SelfConsistentTube(np.zeros(0), np.zeros(0), steps.on_flow, reason)


def _one_radius(tube: Tube, steps: Steps, rule: TubeBound, kept: int) -> SelfConsistentTube | str:
    """One radius for the first `kept` intervals; or why there is none."""
    eps = 0.0
    for _ in range(ROUNDS):
        c = _constants(tube, steps, np.full(kept, eps))
        if not c.smooth.all():
            return _kink_reason(tube, c)
        values, largest = rule.evaluate(c, steps.first(kept))
        worst = float(largest.max())
        if worst < eps:
            return SelfConsistentTube(values, np.full(kept, eps), c, None)
        if not worst < LARGEST:
            break
        eps = max(MARGIN * worst, 1e-300)
    return _runaway_reason(steps.times[kept])


def _constants(tube: Tube, steps: Steps, eps: np.ndarray) -> Constants:
    """On the tube of radius eps (one for each of the first intervals), which is the flow itself in the first round."""
    return tube.constants(eps) if eps.any() else steps.on_flow.first(len(eps))


def _runaway_reason(time: float) -> str:
    return (
        f"no tube is self-consistent up to t = {time:.6g}: the bound that its constants give exceeds its radius, "
        "whatever that is; take a smaller step size or a shorter horizon"
    )


def _kink_reason(tube: Tube, c: Constants) -> str:
    assert c.kink is not None
    cell, sample, layer, unit = c.kink
    return (
        f"around t = {tube.middles[cell]:.6g} the tube may touch a kink (sample {sample}, layer {layer}, unit {unit}); "
        "the bound needs one smooth region"
    )


def certified_series(name: str, found: SelfConsistentTube, count: int) -> BoundSeries:
    """A self-consistent tube's bound as a series over the sample times."""
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


def intervals(step_size: Fraction, indices: Sequence[int], times: np.ndarray, tube: Tube) -> Steps:
    """The intervals between the kept steps of a run, with the constants along the flow itself."""
    counts = np.diff(np.asarray(indices))
    return Steps(float_range(step_size), counts, times, tube.constants(np.zeros(len(times) - 1)))
