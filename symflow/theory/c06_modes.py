"""C6: decoupled modes of a balanced linear network with whitened data: singular vectors stay, singular values learn."""

from __future__ import annotations

import sympy

from symflow.networks.moments import exact_product
from symflow.theory.c02_two_scalars import balanced
from symflow.theory.functions import SYMBOLS
from symflow.theory.hypotheses import Hypothesis, Setting, Verdict
from symflow.theory.hypothesis_checks import BALANCED, LINEAR, SQUARE_LOSS, fails, holds, unchecked
from symflow.theory.result import SOURCES, Result
from symflow.theory.statement import equation
from symflow.theory.whitened import SQUARED_DISTANCE, end_to_end_matrix, whitened_form


def _decoupled(setting: Setting) -> Verdict:
    """W^T M and W M^T are symmetric, exactly: then one pair of orthogonal frames makes W and M diagonal."""
    if setting.theta0 is None:
        return unchecked("no initial weights are given")
    found = whitened_form(setting.objective)
    if found is None:
        return fails("the loss is not that of whitened data")
    w, (_, target) = end_to_end_matrix(setting), found
    for a, b in ((w.T, target), (w, target.T)):
        product = exact_product(a, b)
        if (product != product.T).any():
            return fails("the end-to-end matrix and the target have no common singular vectors")
    return holds("W(0) and the target have common singular vectors: W^T M and W M^T are symmetric, exactly")


DECOUPLED = Hypothesis(
    "common singular vectors of W(0) and the target",
    r"$W_{n:1}(0) = \sum_\alpha s_\alpha(0)u_\alpha v_\alpha^\top$, "
    r"$M = \sum_\alpha\lambda_\alpha u_\alpha v_\alpha^\top$ with the same orthonormal $u_\alpha$, $v_\alpha$",
    _decoupled,
)
_s0, _lam, _t, _n, _s = sympy.symbols(r"s_\alpha(0) \lambda_\alpha t n s_\alpha", positive=True)
MODES = Result(
    "C6",
    "modes",
    "modes of a balanced linear network",
    "closed form: decoupled modes of a balanced linear network, sigmoids for two layers",
    f"two layers: {SOURCES['SMG14']}; any depth: {SOURCES['ACH18']}",
    (LINEAR, SQUARE_LOSS, SQUARED_DISTANCE, BALANCED, DECOUPLED),
    (
        equation("modes", "W_{n:1}(t)", r"\sum_\alpha s_\alpha(t)u_\alpha v_\alpha^\top"),
        equation("any depth", r"\dot s_\alpha", _n * _s ** (2 - 2 / _n) * (_lam - _s)),
        equation("two layers", _s, balanced(_s0, _lam, 2 * _lam, _t, SYMBOLS)),
    ),
    (
        Hypothesis(
            "",
            r"$\sigma = 1$ (else $\sigma t$ in place of $t$); $s_\alpha$ keeps its sign; where it "
            r"is negative, $-s_\alpha$ and $-\lambda_\alpha$",
        ),
    ),
    remark="A small balanced start that is aligned in this sense learns its modes one after the other, the larger "
    r"$\lambda_\alpha$ first, at the times $\approx\frac1{2\lambda_\alpha}\log\frac{\lambda_\alpha}{s_\alpha(0)}$ "
    "(two layers).",
    derivations=("c06_modes",),
)
