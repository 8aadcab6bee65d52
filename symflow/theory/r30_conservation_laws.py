"""R30: how many conservation laws a map has, those of its architecture, and how descent breaks them."""

from __future__ import annotations

import sympy

from symflow.theory.hypotheses import Hypothesis
from symflow.theory.result import SOURCES, Result
from symflow.theory.statement import Claim
from symflow.theory.terms import Formula


def two_layer_count(inputs: int, width: int, outputs: int) -> int:
    """The number of laws of W_2 W_1 with these widths, for every data set and loss."""
    ends = inputs + outputs
    return width * (width + 1) // 2 if ends > width else ends * (2 * width + 1 - ends) // 2


def _formula(text: str) -> Formula:
    return Formula(sympy.Symbol(text))


BETA = sympy.Symbol("beta", positive=True)
_r, _e, _lambda, _t, _eta = sympy.symbols("r e lambda t eta", positive=True)
_D0, _h = sympy.Symbol(r"D_j(0)"), sympy.Symbol("h(g)")
HEAVY_BALL_DRIFT = (1 + BETA) / (1 - BETA) ** 3
NESTEROV_DRIFT = (1 - BETA + 2 * BETA**2) / (1 - BETA) ** 3
"""The drift of a quadratic law in a step, over eta^2 h(g), to leading order; of gradient descent it is 1, exactly."""
_MOVED = r"h(\theta_{k+1})-h(\theta_k)"
_BRACKET = r"U^\top\dot U-\dot U^\top U+V^\top\dot V-\dot V^\top V"

CONSERVATION_LAWS = Result(
    "R30",
    "conservation-laws",
    "conservation laws",
    "the number of conservation laws, for every data set and loss: P less the dimension of a Lie algebra",
    f"{SOURCES['MGP23']}; {SOURCES['MGP24']}; {SOURCES['MGP25']}",
    (),
    (
        Claim(
            "number",
            _formula(r"\#\{\text{laws}\}"),
            "=",
            _formula(r"P-\dim\operatorname{Lie}\{\nabla_\theta g_c(\cdot,x)\}_{c,x}(\theta)"),
        ),
        Claim(
            "two layers, at least as many ends as hidden units plus one",
            _formula(r"\#"),
            "=",
            Formula(_r * (_r + 1) / 2),
        ),
        Claim(
            "two layers, e ends, at most the hidden units", _formula(r"\#"), "=", Formula(_e * (2 * _r + 1 - _e) / 2)
        ),
        Claim("cross-entropy", _formula(r"\tfrac{d}{dt}\mathbf{1}^\top W_n"), "=", Formula(sympy.Integer(0))),
        Claim("momentum flow", _formula(rf"\tfrac{{d}}{{dt}}e^{{\tau t}}({_BRACKET})"), "=", Formula(sympy.Integer(0))),
        Claim("descent", _formula(_MOVED), "=", Formula(_eta**2 * _h)),
        Claim("heavy ball", _formula(_MOVED + r"+O(\eta^3)"), "=", Formula(HEAVY_BALL_DRIFT * _eta**2 * _h)),
        Claim("Nesterov", _formula(_MOVED + r"+O(\eta^3)"), "=", Formula(NESTEROV_DRIFT * _eta**2 * _h)),
        Claim("weight decay", _formula("D_j(t)"), "=", Formula(sympy.exp(-2 * _lambda * _t) * _D0)),
    ),
    (
        Hypothesis(
            "analytic fields near the point, where the dimension is constant",
            r"near $\theta$ no gate changes for almost every $x$, and the dimension of the Lie algebra is constant "
            r"(certified where as many independent laws are found)",
        ),
        Hypothesis(
            "quadratic laws",
            r"$h$ quadratic (descent, heavy ball, Nesterov, once the velocity follows $\theta$); linear networks for "
            r"$D_j$, its diagonal with gates; two linear layers $U = W_2$, $V = W_1^\top$ for $\mu\ddot\theta+"
            r"\kappa\dot\theta = -\nabla f$, $\tau = \kappa/\mu$",
        ),
    ),
    remark=r"Exact without error probability: ranks at one rational point modulo a large prime can only be too small, "
    r"so independent laws prove a number from below and iterated brackets from above. ReLU and leaky networks with "
    r"biases or at least two inputs have one law a hidden unit where every unit takes both values; on $\mathbb{R}\to"
    r"\mathbb{R}$, without biases, the units with input weights of one sign form a linear block. For $d_0 = d_n = 1$ "
    r"linear networks have one field, hence $P-1$ laws.",
    derivations=("r30_conservation_laws",),
)
