r"""All bounds that symflow knows, as objects: R4, R5, R22 in their sampled and certified forms, R18, R9, R11-R13."""

from __future__ import annotations

from functools import lru_cache

import sympy

from symflow.analysis.bounds.bound import Bound
from symflow.analysis.bounds.certified import MARCHES, Marching, certified_series, self_consistent
from symflow.analysis.bounds.context import Comparison
from symflow.analysis.bounds.curvature import curvature_catalogue
from symflow.analysis.bounds.series import BoundSeries, not_applicable
from symflow.theory.hypothesis_checks import HYPOTHESES

_eta, _t, _s, _m = sympy.symbols("eta t s m", real=True)
_i, _k, _l = sympy.symbols("i k l", integer=True)
_M = sympy.Function("M")
_delta = sympy.Function("delta")
_beta, _gamma = sympy.symbols("beta gamma", positive=True)
_beta_t, _gamma_t = sympy.symbols("beta_t gamma_t", positive=True)
_weight = sympy.exp(_M(_t) - _M(_s))
_integral = sympy.Integral(_weight, (_s, 0, _t))
_push = sympy.Symbol(r"\sup\|Hg\|", positive=True)
_local = sympy.Symbol(r"\max_{[i\eta,(i+1)\eta]}\|Hg\|", positive=True)
_L = sympy.IndexedBase("L")
FORMULAS: dict[str, tuple[str, str, sympy.Expr]] = {
    "R4(tube)": (
        "R4",
        "step-size condition, beta and gamma over the tube up to t",
        _eta * _beta_t * _gamma_t * _integral,
    ),
    "R4(global)": ("R4", "step-size condition, beta and gamma over the whole tube", _eta * _beta * _gamma * _integral),
    "R5": (
        "R5",
        "step-size condition with m constant on the tube",
        _eta * _beta * _gamma * (sympy.exp(_m * _t) - 1) / _m,
    ),
    "R22(tube)": (
        "R22",
        "trajectory-wise bound, the defect bounded on the tube",
        sympy.Integral(
            _weight * (sympy.exp(_beta * (_s - _eta * sympy.floor(_s / _eta))) - 1) / _beta * _push, (_s, 0, _t)
        ),
    ),
    "R22(tube-free)": (
        "R22",
        "trajectory-wise bound from the local errors along the flow",
        sympy.Sum(sympy.Product(_L[_l], (_l, _i + 1, _k - 1)) * _eta**2 / 2 * _local, (_i, 0, _k - 1)),
    ),
}
"""name -> (result, title, right side of the bound on the deviation at t = k eta)."""


def _on_the_tube(rule: Marching) -> Bound:
    result, title, formula = FORMULAS[rule.name]

    def compute(run: Comparison) -> BoundSeries:
        if run.no_tube is not None:
            return not_applicable(rule.name, "bound", run.count, run.no_tube)
        return certified_series(rule.name, self_consistent(run.tube, run.steps, rule), run.count)

    return Bound(rule.name, result, "bound", title, formula, HYPOTHESES[result], compute)


_R4 = Bound(
    "R4",
    "R4",
    "bound",
    "step-size condition, time-local, everything sampled",
    _eta * _beta_t * _gamma_t * _integral,
    HYPOTHESES["R4"],
    lambda run: run.sampled["R4"],
    needs_descent=True,
)
_R22 = Bound(
    "R22",
    "R22",
    "bound",
    "trajectory-wise bound with the true defect, everything sampled",
    sympy.Integral(_weight * _delta(_s), (_s, 0, _t)),
    HYPOTHESES["R22"],
    lambda run: run.sampled["R22"],
    needs_descent=True,
)
_R18 = Bound(
    "R18",
    "R18",
    "leading order",
    "leading order of the deviation",
    _eta * sympy.Symbol(r"\|e(t)\|", positive=True),
    HYPOTHESES["R18"],
    lambda run: run.leading(),
    needs_descent=True,  # which must lie on the flow's side of every kink
)
QUICK = (_R4, _R22, _R18)
"""What `deviation` evaluates unless it is told otherwise."""


@lru_cache(maxsize=1)
def known_bounds() -> tuple[Bound, ...]:
    """Every bound of the theory: on the deviation, its leading order, and on the curvature along the flow.

    Give some of them, or all with your own (`user_bound`), to `deviation(..., bounds=...)`:

        sf.deviation(problem, bounds=[*sf.known_bounds(), mine])
    """
    return (*QUICK, *(_on_the_tube(rule) for rule in MARCHES), *curvature_catalogue())
