"""How likely a random direction converges in a given time (R15).

For W_{n:1}(0) uniform in direction on the sphere of R^{d_0}, 1 - nu(0)^2 is Beta((d_0 - 1)/2, 1/2), nu symmetric:

    P(nu >= x) = (1/2) I_{1-x^2}((d_0 - 1)/2, 1/2)   for x >= 0,    1 - P(nu >= -x)   for x < 0.

The explicit time falls in nu at fixed w(0) (strictly; it jumps down at nu = 0 for n >= 3): E(0) falls; theta_1 - a_+
is constant minus a, or log(1 + e^(-2|a|)) + const with a_- instead of a_+, falling in both; C falls with c_0 for nu < 0
and halves at 0. So {T <= t} is {nu >= nu_t}, and its probability one incomplete beta function. Since the explicit
time is an upper bound, P(T <= t) bounds from below the probability that the flow has E <= accuracy at time t.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import mpmath
import numpy as np

from symflow.analysis.convergence.exact import ExactSolution
from symflow.analysis.convergence.start import checked_norms
from symflow.analysis.convergence.time import GUARD, explicit_quantities
from symflow.errors import ProblemError, brief, brief_float
from symflow.numbers.arguments import positive, whole
from symflow.numbers.rational import mpf, rational
from symflow.numbers.types import Mpf, Number
from symflow.paths.solver import MAX_DPS

MAX_ANGLE = 1_000_000
"""Largest |artanh nu(0)|: the probability of a larger one is below 10^-400000."""


def convergence_probability(
    *, depth: int, target_norm: Number, w0: Number, dimension: int, accuracy: Number, time: Number, dps: int = 15
) -> Mpf:
    """P(T <= time) for the explicit time T of `convergence_time` and a uniformly random direction of W_{n:1}(0).

    Args:
        depth: n >= 2.
        target_norm: lambda = ||Lambda_yx|| > 0.
        w0: w(0) = ||W_{n:1}(0)|| > 0, not random.
        dimension: d_0 >= 2.
        accuracy: the excess loss f - f* to reach.
        time: t > 0.
        dps: decimal digits, absolute.

    Returns:
        The probability, an mpf: E = f - f* <= accuracy from that time on with at least this probability.

    Raises:
        ProblemError: a number out of range.

    Source: symflow (R15).

    Example:
        >>> start = {"depth": 3, "target_norm": 1, "w0": "1/10", "dimension": 10, "accuracy": "1/1000"}
        >>> [round(float(sf.convergence_probability(**start, time=time)), 4) for time in (15, 20, 25)]
        [0.5, 0.6558, 0.982]
    """
    n, lam, norm = checked_norms(depth, target_norm, w0)
    d, goal, limit = _dimension(dimension), positive(accuracy, "accuracy"), positive(time, "time")
    with mpmath.workdps(whole(dps, "dps", 1, MAX_DPS) + GUARD):
        threshold = mpf(limit)

        def in_time(angle: Mpf) -> bool:
            return explicit_time(n, lam, norm, angle, goal) <= threshold

        angle = _first(in_time, -MAX_ANGLE, MAX_ANGLE)
        return mpmath.mpf(0) if angle is None else tail(d, angle)


def convergence_quantile(
    *, depth: int, target_norm: Number, w0: Number, dimension: int, accuracy: Number, probability: Number, dps: int = 15
) -> Mpf:
    """min {t : P(T <= t) >= probability}, a quantile of the time T of `convergence_probability`.

    Args:
        depth: n >= 2.
        target_norm: lambda = ||Lambda_yx|| > 0.
        w0: w(0) = ||W_{n:1}(0)|| > 0, not random.
        dimension: d_0 >= 2.
        accuracy: the excess loss f - f* to reach.
        probability: strictly between 0 and 1.
        dps: decimal digits, relative.

    Returns:
        The time t, an mpf.

    Raises:
        ProblemError: a number out of range.

    Source: symflow (R15).

    Example:
        >>> start = {"depth": 3, "target_norm": 1, "w0": "1/10", "dimension": 10, "accuracy": "1/1000"}
        >>> time = sf.convergence_quantile(**start, probability="9/10")
        >>> round(float(time), 4), round(float(sf.convergence_probability(**start, time=time)), 6)
        (22.1375, 0.9)
    """
    n, lam, norm = checked_norms(depth, target_norm, w0)
    d, goal = _dimension(dimension), positive(accuracy, "accuracy")
    q = rational(probability, "probability")
    if not 0 < q < 1:
        raise ProblemError(f"probability must be between 0 and 1, both excluded, got {brief_float(q)}; give e.g. 0.9")
    with mpmath.workdps(whole(dps, "dps", 1, MAX_DPS) + GUARD + 10):
        wanted = mpf(q)
        angle = _first(lambda a: tail(d, -a) >= wanted, -MAX_ANGLE, MAX_ANGLE)  # P(nu >= tanh(-a)) grows with a
        if angle is None:
            raise ProblemError(f"probability {brief_float(q)} is too close to 1 for dimension {d}; give a smaller one")
        return explicit_time(n, lam, norm, mpmath.mpf(0) if 2 * q == 1 else -angle, goal)


def tail(dimension: int, angle: Mpf) -> Mpf:
    """P(nu >= tanh(angle)) for a uniformly random direction, at the working precision."""
    half = mpmath.betainc(
        mpmath.mpf(dimension - 1) / 2, mpmath.mpf(1) / 2, 0, mpmath.sech(angle) ** 2, regularized=True
    )
    return half / 2 if angle >= 0 else 1 - half / 2


def explicit_time(depth: int, target_norm: Fraction, w0: Fraction, angle: Mpf, accuracy: Fraction) -> Mpf:
    """The explicit time of R15 for a = artanh nu(0), at the working precision."""
    solution = ExactSolution(depth, mpf(target_norm), mpf(w0), mpmath.mpf(angle))
    return explicit_quantities(solution, mpf(accuracy))["T"][1]


def _dimension(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 2:
        raise ProblemError(
            f"dimension must be a whole number d_0 >= 2, got {brief(value)}; for d_0 = 1 the direction is +-1, and -1 "
            "never converges"
        )
    return int(value)


def _first(holds: Callable[[Mpf], bool], low: float, high: float) -> Mpf | None:
    """The least angle from which on a property that stays true holds; None where it holds nowhere, by bisection."""
    if holds(mpmath.mpf(0)):
        reach, step = mpmath.mpf(0), -1
    else:
        reach, step = mpmath.mpf(0), 1
    size = mpmath.mpf(1)
    while True:
        beyond = reach + step * size
        if not low <= beyond <= high:
            return None if step > 0 else mpmath.mpf(low)
        if holds(beyond) != (step < 0):
            break
        reach, size = beyond, 2 * size
    false, true = (reach, beyond) if step > 0 else (beyond, reach)
    for _ in range(mpmath.mp.prec + 25):
        middle = (false + true) / 2
        false, true = (false, middle) if holds(middle) else (middle, true)
    return true
