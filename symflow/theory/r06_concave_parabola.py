"""R6: for f = -(m/2) theta^2 exponentially small steps are unavoidable. (Elkabetz & Cohen 2021)"""

from __future__ import annotations

from fractions import Fraction

import sympy

from symflow.numbers.types import Scalar
from symflow.programs.nodes import is_zero
from symflow.theory.functions import SYMBOLS, Functions
from symflow.theory.hypotheses import Hypothesis, Setting, Verdict, fails, holds
from symflow.theory.result import ELKABETZ_COHEN, Result
from symflow.theory.statement import equation, relation


def _is_concave_parabola(setting: Setting) -> Verdict:
    """f = -(m/2) theta^2, m > 0."""
    from symflow.derivatives.derived import directional_derivative, gradient, hessian, loss
    from symflow.evaluate.object_arrays import evaluate_exact

    objective = setting.objective
    if objective.network is not None or objective.parameter_count != 1:
        return fails("f is not -(m/2) theta^2 of one parameter")
    if not is_zero(directional_derivative(objective, 3).program["form"]):
        return fails("f is not -(m/2) theta^2: its third derivative is not 0")
    at_zero = [Fraction(0)]
    f, g = evaluate_exact(loss(objective), at_zero), evaluate_exact(gradient(objective), at_zero)[0]
    h = evaluate_exact(hessian(objective), at_zero)[0, 0]
    if f == 0 and g == 0 and h < 0:
        return holds(f"f = -(m/2) theta^2 with m = {-h}")
    return fails("f is not -(m/2) theta^2 with m > 0")


def deviation(start: Scalar, exponent: Scalar, loss_of_exponent: Scalar, functions: Functions) -> Scalar:
    """|theta_0| e^{mt} (1 - e^{-tau})."""
    return start * functions.exp(exponent) * (1 - functions.exp(-loss_of_exponent))


def loss_of_exponent(rate: Scalar, step_size: Scalar, time: Scalar, factor: Scalar) -> Scalar:
    """m^2 eta t/(2 + factor eta m): tau is between those of the factors 4/3 and 1."""
    return rate**2 * step_size * time / (2 + factor * (step_size * rate))


def step_size(log: Scalar, rate: Scalar, time: Scalar, factor: Scalar) -> Scalar:
    """2L/(m^2 t - factor m L): sufficient with the factor 1, necessary with 4/3."""
    return 2 * log / (rate**2 * time - factor * rate * log)


_m, _t, _eta, _tau, _L = sympy.symbols("m t eta tau L", positive=True)
_start = sympy.Symbol(r"|\theta_0|", positive=True)
_WIDE = sympy.Rational(4, 3)
CONCAVE_PARABOLA = Result(
    "R6",
    "concave-parabola",
    "exponentially small steps can be unavoidable",
    "for f = -(m/2) theta^2 exponentially small steps are unavoidable",
    ELKABETZ_COHEN,
    (
        Hypothesis(
            "f = -(m/2) theta^2", r"$f(\theta) = -\tfrac m2\theta^2$, $m > 0$, $\theta_0 \ne 0$, $t = k\eta$",
            _is_concave_parabola,
        ),
    ),
    (
        equation("deviation", r"|\theta(t)-\theta_k|", deviation(_start, _m * _t, _tau, SYMBOLS)),
        relation("from below", _tau, ">=", loss_of_exponent(_m, _eta, _t, _WIDE)),
        relation("from above", _tau, "<=", loss_of_exponent(_m, _eta, _t, 1)),
        relation("sufficient", _eta, "<=", step_size(_L, _m, _t, 1)),
        relation("necessary", _eta, "<=", step_size(_L, _m, _t, _WIDE)),
    ),
    remark=r"For a deviation of at most $\varepsilon < |\theta_0|(e^{mt}-1)$ at the time $t$, with "
    r"$L = -\log(1-\varepsilon e^{-mt}/|\theta_0|)$; the condition is necessary if $mt > \frac43L$.",
    derivations=("r06_concave_parabola",),
)  # fmt: skip
