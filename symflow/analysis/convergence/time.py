r"""How long gradient flow needs (R15): the explicit time, proved, and the true time by quadrature.

Explicit time, p = 1 - 2/n, c_0 = cosh a, a_+- = max(+-a, 0), S_n = int sech^(n-2), I_n = sqrt(n) + 1/(3 sqrt(n)):

    T = T_1 + 2^(1-2/n) lambda^-(2-2/n) log_+(E(0)/accuracy),
    lambda T_1 = [w(0)^-p + (n a_-/lambda)^p] C + lambda^-p [theta_1 - a_+ + p I_n log 2],
    C = S_n c_0^(n-2) if nu(0) < 0, else S_n/2;      n = 2: lambda T_1 = theta_1 - a.

Proof. (i) From theta_1 on w >= lambda/2 (`half_angle`). (ii) lambda T_1 bounds int_a^theta_1 w^-p dtheta: by the
exact solution and (x + y)^p <= x^p + y^p,

    w^-p <= [w(0)^-p + (n a_-/lambda)^p] (c_0 sech theta)^(n-2) + lambda^-p K(theta)^p 1_{theta > a_+},
    K(theta) = n int_{a_+}^theta (cosh s / cosh theta)^n ds.

The first term integrates to at most C; for a >= 0 because cosh(a + x) >= cosh a cosh x. For the second, K^p <=
1 + p (K - 1), K' = n (1 - K tanh theta), so int (K - 1) = int K (1 - tanh) - K(theta_1)/n <= (sup K) log 2. With
a_+ = 0, where K is largest, K = coth theta at its maximum; K <= n theta, which is at most sqrt(n) for theta <=
1/sqrt(n), and coth theta <= coth(1/sqrt(n)) <= I_n beyond: sup K <= I_n. (iii) E' = -w^(2-2/n) (||grad phi||^2 +
(n-1) (w - lambda nu)^2) <= -2 (lambda/2)^(2-2/n) E from theta_1 on, and E never grows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Literal, get_args

import mpmath

from symflow.analysis.convergence.display import number, with_values
from symflow.analysis.convergence.exact import ExactSolution, exact_solution, half_angle, hitting_angle, time_to
from symflow.analysis.convergence.start import BalancedStart, checked_start
from symflow.displays import as_formula
from symflow.errors import ComputationError, ProblemError, brief
from symflow.numbers.arguments import positive, whole
from symflow.numbers.rational import mpf
from symflow.numbers.types import Mpf, Number
from symflow.paths.solver import MAX_DPS
from symflow.theory import r15_convergence_time as r15
from symflow.theory.functions import MPMATH
from symflow.theory.r15_convergence_time import CONVERGENCE_TIME
from symflow.theory.result import Citation

Method = Literal["explicit", "quadrature"]
GUARD = 10
"""Digits beyond those asked for."""
CHECK_DIGITS = 7
"""Further digits of each evaluation, whose difference from the one before is the error estimate."""
LEVELS = 5
"""Most evaluations, each with twice as many panels as the one before."""


@as_formula
@dataclass(frozen=True)
class ConvergenceTime:
    """T with E(t) = f(theta(t)) - f* <= accuracy for all t >= T.

    Attributes:
        start: the numbers it depends on, a `BalancedStart`.
        accuracy: the value that E falls to, an exact `Fraction`.
        method: "explicit" or "quadrature".
        value: T, mpf.
        quantities: LaTeX symbol -> (meaning, value) of every quantity in the formula.
        error_estimate: of T (mpf), estimated from a second evaluation with more digits and other panels.
        dps: digits asked for, relative to max(1, T).
        status: "proved upper bound" (up to rounding, see `error_estimate`), or "estimated" (the true time, to
            `error_estimate`).

    Example:
        >>> start = {"depth": 2, "target_norm": 1, "w0": "1/2", "alignment": "1/2", "accuracy": "1/100"}
        >>> time = sf.convergence_time(**start, method="quadrature")
        >>> round(float(time.value), 6), time.status, time.citation.id
        (2.165555, 'estimated', 'R15')
    """

    start: BalancedStart
    accuracy: Fraction
    method: Method
    value: Mpf
    quantities: Mapping[str, tuple[str, Mpf]]
    error_estimate: Mpf
    dps: int
    status: Literal["proved upper bound", "estimated"]

    @property
    def citation(self) -> Citation:
        """Where the result comes from."""
        return CONVERGENCE_TIME.citation

    def latex(self) -> str:
        """The formula and its value, for a display; the numbers are rounded to six digits."""
        n, quadrature = self.start.depth, self.method == "quadrature"
        q = {name: value for name, (_, value) in self.quantities.items()}
        start = self.start
        with mpmath.workdps(self.dps + GUARD):
            named = (r"\lambda", "w(0)", r"\bar\varepsilon")
            given = list(zip(named, map(mpf, (start.target_norm, start.w0, self.accuracy)), strict=True))
            given.append(("p", r15.exponent(n, MPMATH)))
            given += [(name, q[name]) for name in ("a", "E(0)", "C", "S_n") if name in q]
            if quadrature:
                angle = number(q[r"\vartheta_*"])
                last = rf"E = {number(mpf(self.accuracy))} \text{{ at }} \vartheta_* = {angle}, \quad T = "
                last += r"\frac{1}{\lambda}\int_a^{\vartheta_*} w^{-p}\,d\vartheta" + rf" \approx {number(self.value)}"
                return with_values(CONVERGENCE_TIME, n, {"exact": None}, given, [last])
            values = {"angle": q[r"\vartheta_1"]} | ({"constants": q["I_n"]} if n > 2 else {})
            values |= {"rise" if n > 2 else "rise at depth 2": q["T_1"], "decay": q["T_2"], "time": self.value}
            return with_values(CONVERGENCE_TIME, n, values, given)

    def __repr__(self) -> str:
        return f"<ConvergenceTime {mpmath.nstr(self.value, 8)} (R15, {self.method}, {self.status})>"


def convergence_time(
    *,
    depth: int,
    target_norm: Number,
    w0: Number,
    alignment: Number,
    accuracy: Number,
    method: Method = "explicit",
    dps: int = 15,
) -> ConvergenceTime:
    """T with E(t) = f(theta(t)) - f* <= accuracy for all t >= T: a balanced linear network with one output.

    w' = n w^(2-2/n) (lambda nu - w), nu' = lambda w^(1-2/n) (1 - nu^2), E = (w^2 - 2 lambda nu w + lambda^2) / 2
    (whitened square loss, W_{j+1}^T W_{j+1} = W_j W_j^T). `balanced_start` computes the numbers from a problem:
    `convergence_time(**vars(balanced_start(problem)), accuracy="1e-3")`.

    Args:
        depth: n >= 2.
        target_norm: lambda = ||Lambda_yx|| > 0 (text, a rational or mpmath number, or a float, which means its shortest
            decimal; so are the next ones).
        w0: w(0) = ||W_{n:1}(0)|| > 0.
        alignment: nu(0) in (-1, 1), the cosine between W_{n:1}(0) and Lambda_yx.
        accuracy: the excess loss to reach, positive.
        method: "explicit", a proved upper bound in closed form (`symflow.analysis.convergence.time`), or "quadrature",
            the first time with E <= accuracy from the exact solution.
        dps: decimal digits of the result, relative to max(1, T).

    Returns:
        A `ConvergenceTime`: T in `value` (mpf), with every quantity in the formula and an error estimate.

    Raises:
        ProblemError: a number out of range; nu(0) = -1 never converges.
        ComputationError: a quadrature beyond the budget, or its digits were not reached.

    Source: setting of Elkabetz & Cohen 2021; exact solution and explicit time: symflow (R15).

    Example:
        >>> start = {"depth": 3, "target_norm": 1, "w0": "1/10", "alignment": "1/2", "accuracy": "1/1000"}
        >>> for method in ("explicit", "quadrature"):
        ...     time = sf.convergence_time(**start, method=method)
        ...     print(round(float(time.value), 4), time.status)
        13.4755 proved upper bound
        4.0675 estimated
    """
    start, goal = checked_start(depth, target_norm, w0, alignment), positive(accuracy, "accuracy")
    if method not in get_args(Method):
        raise ProblemError(f'method must be "explicit" or "quadrature", got {brief(method)}')
    whole(dps, "dps", 1, MAX_DPS)
    evaluate = explicit_quantities if method == "explicit" else _true_quantities
    quantities, error = _twice(start, goal, dps, evaluate)
    return ConvergenceTime(
        start,
        goal,
        method,
        quantities["T"][1],
        quantities,
        error,
        dps,
        "proved upper bound" if method == "explicit" else "estimated",
    )


def _twice(
    start: BalancedStart, goal: Fraction, dps: int, evaluate: Callable[[ExactSolution, Mpf, int, int], Mpf]
) -> tuple[Mapping[str, tuple[str, Mpf]], Mpf]:
    """The quantities, and twice the difference of T from an evaluation with half the panels and fewer digits."""
    digits = working_digits(start, goal, dps)
    before: Mpf = None
    for level in range(LEVELS):
        with mpmath.workdps(digits + CHECK_DIGITS * level):
            quantities = evaluate(exact_solution(start), mpf(goal), 2**level, dps + GUARD + CHECK_DIGITS * level)
        with mpmath.workdps(digits):
            value = quantities["T"][1]
            size = max(mpmath.mpf(1), value)
            if before is not None:
                error = 2 * abs(value - before) + mpmath.mpf(10) ** -digits * size
                if error <= mpmath.mpf(10) ** -dps * size:
                    return quantities, error
        before = value
    raise ComputationError(
        f"the quadrature is good to {mpmath.nstr(error, 3)} only, {dps} digits were asked for; ask for fewer"
    )


def working_digits(start: BalancedStart, goal: Fraction, dps: int) -> int:
    """Digits in which E keeps `dps` of its own: E >= goal is a difference of numbers of size max(w(0), lambda)^2."""
    with mpmath.workdps(15):
        size = max(mpf(start.target_norm), mpf(start.w0)) ** 2
        gap = mpf(1 - abs(start.alignment))  # exact before it is rounded: the alignment may be 1 - 10^-20
        lost = max(0, ceil(mpmath.log10(size / mpf(goal))), ceil(-mpmath.log10(gap)))
    return dps + GUARD + lost


def explicit_quantities(solution: ExactSolution, accuracy: Mpf, *_: int) -> Mapping[str, tuple[str, Mpf]]:
    """T of the module's docstring and what enters it, at the working precision."""
    n, lam, a = solution.depth, solution.target_norm, solution.angle0
    p = r15.exponent(n, MPMATH)
    angle, excess = half_angle(solution), solution.excess(a)
    plus, minus = max(a, 0), max(-a, 0)
    bump = r15.kernel_bound(n, MPMATH)
    quantities: dict[str, tuple[str, Mpf]] = {"a": ("artanh nu(0)", a)}
    if n == 2:
        rise = r15.rise_time_at_two(lam, a, angle)
    else:
        full = r15.sech_integral(n, MPMATH)
        shape = r15.shape_bound(n, full, mpmath.cosh(a), ahead=a >= 0)
        rise = r15.rise_time(n, p, lam, solution.w0, minus, shape, angle - plus, bump, MPMATH)
        quantities |= {
            "S_n": ("integral of sech^(n-2) over the line", full),
            "C": ("bound on the integral of (c_0 sech theta)^(n-2)", shape),
            "I_n": ("bound on n int_0^theta (cosh s / cosh theta)^n ds", bump),
        }
    decay = r15.decay_time(p, lam, max(0, mpmath.log(excess / accuracy)))
    return quantities | {
        r"\vartheta_1": ("angle from which on w >= lambda/2", angle),
        "E(0)": ("excess loss at the start", excess),
        "T_1": ("time by which w >= lambda/2 for good", rise),
        "T_2": ("time of exponential decay", decay),
        "T": ("time by which E <= accuracy for good", rise + decay),
    }


def _true_quantities(solution: ExactSolution, accuracy: Mpf, finer: int, digits: int) -> Mapping[str, tuple[str, Mpf]]:
    end = hitting_angle(solution, accuracy)
    return {
        "a": ("artanh nu(0)", solution.angle0),
        r"\vartheta_*": ("angle at which E = accuracy, the start's where E(0) is smaller", end),
        "E(0)": ("excess loss at the start", solution.excess(solution.angle0)),
        "T": ("first time with E <= accuracy", time_to(solution, end, finer, digits)),
    }
