"""Closed forms of a problem's gradient flow, evaluated to any number of digits: C1 and C5 to C9."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Any, Literal

import mpmath
import numpy as np

from symflow.analysis.flow_checks import single_layer
from symflow.displays import displayed
from symflow.errors import BudgetError, ProblemError
from symflow.evaluate.balls import MAX_DPS
from symflow.numbers.arguments import whole
from symflow.numbers.rational import rational
from symflow.numbers.types import Mpf, Number
from symflow.problem import Problem
from symflow.problem.arguments import as_problem
from symflow.theory.c02_two_scalars import two_scalars
from symflow.theory.c05_single_neuron import single_neuron
from symflow.theory.c07_two_layers import riccati
from symflow.theory.c08_hyperbolic_entropy import conserved, entropy_limit, inputs_and_targets
from symflow.theory.c09_scalars import Scalars, scalars_at, smallest_weight
from symflow.theory.functions import MPMATH
from symflow.theory.hypotheses import Setting, overall
from symflow.theory.registry import find
from symflow.theory.result import Citation
from symflow.theory.whitened import end_to_end_matrix, whitened_form

GUARD = 15
"""Digits beyond those asked for, besides what cancellation costs."""
Quantity = Literal["theta", "end-to-end", "limit"]
Value = Any
"""An object array of mpf."""


@displayed
@dataclass(frozen=True, eq=False)
class ClosedForm:
    """theta(t), W_n ... W_1 (t), or a limit, of one gradient flow as a formula.

    Attributes:
        problem: whose flow it is.
        result: the id of the closed form, such as "C5".
        quantity: "theta" (all weights), "end-to-end" (the matrix W_n ... W_1) or "limit" (of beta = w_2 * w_1).

    Example:
        >>> problem = sf.Problem(network=sf.FullyConnected((2, 1, 1)), data={"target": [[3, 4]]},
        ...                      init={"theta": ["1/5", 0, "1/2"]})
        >>> form = sf.closed_form(problem)
        >>> form.result, form.quantity, form.citation.id
        ('C5', 'theta', 'C5')
        >>> flow = sf.solve_flow(problem, horizon=1, dps=30)
        >>> max(abs(form.value(1, dps=30) - flow(1))) < 1e-30
        True
    """

    problem: Problem
    result: str
    quantity: Quantity

    @property
    def citation(self) -> Citation:
        """What it says, and where it comes from."""
        return find(self.result).citation

    def latex(self) -> str:
        """The formula."""
        return find(self.result).main.latex()

    def value(self, time: Number | None = None, *, dps: int | None = None) -> Value:
        """The quantity at a time.

        Args:
            time: t >= 0, rational; left out for a limit, which has no time.
            dps: decimal digits, those of the problem if left out.

        Returns:
            An object array of mpf: of shape (P,) for theta, (d_n, d_0) for the end-to-end matrix, (d_0,) for a limit.

        Raises:
            ProblemError: a negative time, no time, a time for a limit, or dps that is no whole number.
            BudgetError: at this time numbers cancel that need more than `MAX_DPS` digits.
        """
        digits = self.problem.dps if dps is None else whole(dps, "dps", 1, MAX_DPS)
        if (time is None) != (self.quantity == "limit"):
            raise ProblemError(f"the closed form {self.result} needs {'no ' * (time is not None)}time, got {time}")
        t = Fraction(0) if time is None else rational(time, "time")
        if t < 0:
            raise ProblemError(f"time must not be negative, got {time}; the flow starts at 0")
        with mpmath.workdps(digits + GUARD):
            found = _FORMS[self.result][1](self.problem, t)
        with mpmath.workdps(digits + 5):
            rounded = np.empty(np.shape(found), dtype=object)
            for at in np.ndindex(rounded.shape):
                rounded[at] = +found[at]
        return rounded

    def __repr__(self) -> str:
        return f"<{self.result}: {self.quantity} of {self.problem!r}>"


def closed_form(problem: Problem, result: str | None = None) -> ClosedForm:
    """theta(t), or W_n ... W_1 (t), as a formula: the closed form that applies to a problem.

    In this order: C1 one linear layer; C5 a single neuron; C9 a product of scalars; C6 decoupled modes of a balanced
    linear network; C7 two linear layers, W_2^T W_2 - W_1 W_1^T a multiple of the identity; C8 the limit of a diagonal
    network. Their hypotheses are checked exactly, in rationals.

    Args:
        problem: objective and initial weights.
        result: the id or slug of a closed form, such as "C7" or "two-layers"; the first that applies if left out.

    Returns:
        A `ClosedForm`; `value(t)` evaluates it to any number of digits.

    Raises:
        ProblemError: none applies, or the one asked for does not; the message says which hypothesis fails.

    Source: Saxe et al. 2014 (C6), Braun et al. 2022 and Domine et al. 2024 (C7), Kunin et al. 2024 (C5), Woodworth et
    al. 2020 (C8); `sf.cite(form.result)`.

    Example:
        >>> problem = sf.Problem(network=sf.FullyConnected((1, 1, 1, 1)), data={"x": [1], "y": [2]},
        ...                      init={"theta": ["1/2", 1, "3/2"]})
        >>> form = sf.closed_form(problem)
        >>> form.result
        'C9'
        >>> [round(float(w), 6) for w in form.value("1/2")]
        [0.916256, 1.260764, 1.685089]
    """
    problem = as_problem(problem, "closed_form")
    setting = Setting(problem.objective, problem.theta0, problem.dps)
    wanted = list(_FORMS) if result is None else [find(result).id]
    reasons: list[str] = []
    for name in wanted:
        if name not in _FORMS:
            raise ProblemError(f"closed_form evaluates {', '.join(_FORMS)}, got {name}; see sf.statement({name!r})")
        reason = _refused(name, setting)
        if reason is None:
            return ClosedForm(problem, name, _FORMS[name][0])
        reasons.append(f"{name}: {reason}")
    raise ProblemError(f"no closed form applies: {'; '.join(reasons)}")


def _refused(name: str, setting: Setting) -> str | None:
    """Why a closed form does not apply; None where it does."""
    for hypothesis in find(name).hypotheses:
        verdict = hypothesis.check(setting)
        if overall([verdict]) != "holds":
            return verdict.reason
    if setting.objective.undecayed is not None:
        return "weight decay is added to the loss"
    if name == "C1" and (setting.objective.matrix_data is not None or not _plain_layer(setting)):
        return "not one linear layer with samples"
    if name == "C9" and whitened_form(setting.objective) is None:
        return "the inputs are all 0"
    return None


def _plain_layer(setting: Setting) -> bool:
    network = setting.objective.network
    known = network is not None and network.depth == 1 and network.output_scale == 1
    return known and setting.objective.factor == 1


def _mpf(q: Fraction | int) -> Mpf:
    return mpmath.mpf(Fraction(q).numerator) / Fraction(q).denominator


def _target(problem: Problem, time: Fraction) -> tuple[Mpf, np.ndarray]:
    """sigma t and M."""
    found = whitened_form(problem.objective)
    assert found is not None
    return _mpf(found[0] * time), found[1]


def _extra(rate: float, time: Mpf) -> Any:
    """More digits, where numbers of the size e^{rate t} cancel."""
    cancelling = rate * time / 2.3
    if cancelling > MAX_DPS:
        raise BudgetError(
            f"a closed form needs a time at which at most {MAX_DPS} digits cancel, got one with "
            f"{mpmath.nstr(mpmath.mpf(cancelling), 3)}; give a smaller time"
        )
    return mpmath.workdps(mpmath.mp.dps + ceil(cancelling))


def _one_layer(problem: Problem, time: Fraction) -> Value:
    assert problem.x is not None
    rate = float(sum(v * v for v in problem.x.flat) / len(problem.x))
    found = np.empty(len(problem.theta0), dtype=object)
    with _extra(rate, _mpf(time)):
        found[:] = single_layer(problem, _mpf(time))
    return found


def _neuron(problem: Problem, time: Fraction) -> Value:
    t, target = _target(problem, time)
    *w, a = problem.theta0
    b = list(target.flat)
    square = sum(v * v for v in b)
    dot = sum((p * q for p, q in zip(w, b, strict=True)), Fraction(0))
    # a target of length 0 has no direction: all of w lies across it
    across = [p - (dot / square * q if square else 0) for p, q in zip(w, b, strict=True)]
    rest = sum(v * v for v in across)
    rate = 2 * (abs(float(a * a - sum(v * v for v in w))) + 2 * float(square) ** 0.5)
    with _extra(rate, t):
        size = mpmath.sqrt(_mpf(square))
        along = _mpf(dot) / size if square else mpmath.mpf(0)
        out, u, s = single_neuron(_mpf(a), along, _mpf(rest), size, t)
        found = np.empty(len(w) + 1, dtype=object)
        found[:-1] = [_mpf(p) / s + (u * _mpf(q) / size if square else 0) for p, q in zip(across, b, strict=True)]
        found[-1] = out
    return found


def _matrix(rows: np.ndarray) -> Any:
    return mpmath.matrix([[_mpf(v) for v in row] for row in rows])


def _array(matrix: Any) -> Value:
    found = np.empty((matrix.rows, matrix.cols), dtype=object)
    for i, j in np.ndindex(found.shape):
        found[i, j] = matrix[i, j]
    return found


def _modes(problem: Problem, time: Fraction) -> Value:
    t, target = _target(problem, time)
    setting = Setting(problem.objective, problem.theta0)
    w, m = _matrix(end_to_end_matrix(setting)), _matrix(target)
    assert problem.network is not None
    depth = problem.network.depth
    with mpmath.workdps(2 * mpmath.mp.dps):
        # singular vectors of a generic combination are those of both
        left, _, right = mpmath.svd_r(w + m * mpmath.sqrt(2) / mpmath.pi)
        inside, wanted = left.T * w * right.T, left.T * m * right.T
        values = mpmath.diag([_mode(inside[k, k], wanted[k, k], t, depth) for k in range(left.cols)])
        return _array(left * values * right)


def _mode(start: Mpf, target: Mpf, time: Mpf, depth: int) -> Mpf:
    """s(t) of s' = n |s|^{2-2/n} (lambda - s)."""
    if abs(start) < mpmath.eps * 2**20:  # 0, up to rounding in twice the digits
        return mpmath.mpf(0) if depth > 1 else target * (1 - mpmath.exp(-time))
    if depth == 2:
        return two_scalars(start, 0, target, time, MPMATH)
    sign = 1 if start > 0 else -1
    system = Scalars((1,) * (depth - 1), (mpmath.mpf(0),) * (depth - 1), sign * target)
    return sign * smallest_weight(system, mpmath.root(abs(start), depth), time) ** depth


def _riccati(problem: Problem, time: Fraction) -> Value:
    t, target = _target(problem, time)
    first, second = problem.objective.cut(np.array(problem.theta0, dtype=object)).values()
    delta = sum(v * v for v in second[:, 0]) - sum(v * v for v in first[0])
    rate = 2 * (abs(float(delta)) + 2 * float(sum(v * v for v in target.flat)) ** 0.5)
    with _extra(rate, t):
        product = riccati(_matrix(first), _matrix(second), _matrix(target), _mpf(delta), t)
        return _array(product[first.shape[1] :, : first.shape[1]])


def _entropy(problem: Problem, _: Fraction) -> Value:
    setting = Setting(problem.objective, problem.theta0)
    x, y = inputs_and_targets(setting)
    start, gaps = conserved(problem.theta0, x.shape[1])
    found = np.empty(x.shape[1], dtype=object)
    with mpmath.workdps(mpmath.mp.dps + 15):
        found[:] = entropy_limit(_matrix(x), [_mpf(v) for v in y], *([_mpf(v) for v in z] for z in (start, gaps)))
    return found


def _product(problem: Problem, time: Fraction) -> Value:
    found = np.empty(len(problem.theta0), dtype=object)
    squares = [Fraction(v) ** 2 for v in problem.theta0]
    # w_j^2 - z^2 has lost these digits
    near = [b / (b - min(squares)) for b in squares if b > min(squares)]
    with mpmath.workdps(mpmath.mp.dps + ceil(mpmath.log10(_mpf(max(near, default=Fraction(1)))))):
        t, target = _target(problem, time)
        found[:] = scalars_at([_mpf(v) for v in problem.theta0], _mpf(target[0, 0]), t)
    return found


_FORMS: Mapping[str, tuple[Quantity, Callable[[Problem, Fraction], Value]]] = {
    "C1": ("theta", _one_layer),
    "C5": ("theta", _neuron),
    "C9": ("theta", _product),
    "C6": ("end-to-end", _modes),
    "C7": ("end-to-end", _riccati),
    "C8": ("limit", _entropy),
}
