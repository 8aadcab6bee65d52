r"""R35: what gradient flow of diagonal linear networks does to the product of the weights.

phi depends on w = w_n ... w_1, entry by entry; w_j' = -(prod_{l != j} w_l) phi', so that every w_{j+1}^2 - w_j^2 is
conserved and w' = -sum_j prod_{l != j} w_l^2 phi'(w). With two layers (w_2^2 + w_1^2)^2 = (w_2^2 - w_1^2)^2 + 4 w^2:
the flow of w is a mirror flow, w' = -sqrt(c^2 + 4 w^2) phi'(w) with c of the start, whose potential is the hyperbolic
entropy. (Woodworth et al. 2020)
"""

from __future__ import annotations

import sympy

from symflow.networks.network import Network
from symflow.theory.architecture_checks import DIAGONAL_CHAIN, architecture
from symflow.theory.hypotheses import Verdict, fails, holds
from symflow.theory.result import SOURCES, Result
from symflow.theory.statement import Claim
from symflow.theory.terms import (
    Derivative,
    Index,
    Letter,
    Named,
    Number,
    Power,
    Range,
    Term,
    c,
    j,
    l,
    n,
    product,
    total,
)

_TWO = sympy.Integer(2)


def _two_layers(network: Network) -> Verdict:
    return holds("two layers") if network.depth == 2 else fails(f"depth {network.depth} is not 2")


TWO_LAYERS = architecture("depth 2", "$n = 2$", _two_layers)


def unit(layer: Index) -> Term:
    """The weight of entry c in a layer."""
    return Letter("unit_weight", (layer, c))


_SLOPE = Letter("unit_slope", (c,))
PRODUCT = Named("w", (c,), product(Range(l), unit(l)))
_SPEED = total(Range(j), product(Range(l, excluding=(j,)), Power(unit(l), _TWO)))
DIFFERENCE = Named(r"\Delta", (c,), Power(unit(2), _TWO) - Power(unit(1), _TWO))
_ROOT = Power(Power(DIFFERENCE, _TWO) + 4 * Power(PRODUCT, _TWO), sympy.Rational(1, 2))
DIAGONAL_FLOW = Result(
    "R35",
    "diagonal-flow",
    "diagonal linear networks",
    "gradient flow of diagonal linear networks: conserved differences of squares, and a mirror flow of the product",
    SOURCES["WGLM20"],
    (DIAGONAL_CHAIN,),
    (
        Claim(
            "laws",
            Derivative(Power(unit(j + 1), _TWO) - Power(unit(j), _TWO), "flow"),
            "=",
            Number(sympy.Integer(0)),
            Range(j, 1, n - 1),
        ),
        Claim("product", Derivative(PRODUCT, "flow"), "=", -(_SPEED * _SLOPE)),
        Claim("two layers", Derivative(PRODUCT, "flow"), "=", -(_ROOT * _SLOPE), None, (TWO_LAYERS,)),
    ),
    remark=r"In every entry $c$. With two layers $\Delta_c$ is conserved, and the flow of $w$ is the mirror flow of "
    r"the potential $\frac12\sum_c\bigl(w_c\operatorname{arsinh}(2w_c/|\Delta_c|)-\frac12\sqrt{4w_c^2+"
    r"\Delta_c^2}\bigr)$, whose second derivative is $1/\sqrt{\Delta_c^2+4w_c^2}$.",
    derivations=("r35_diagonal_flow",),
)
