r"""Networks and losses as definitions.

A convolutional network is written layer by layer for one input x, an array of channels and pixels:

    a_1 = sigma(W_1 P_1(x)),  a_2 = max_2(a_1),  h_theta(x) = W_2 vec(a_2).
"""

from __future__ import annotations

from collections.abc import Sequence

import sympy

from symflow.latex.glossary import WEIGHTS, where
from symflow.latex.operator_node import Operator
from symflow.latex.windows import VEC, window_operator
from symflow.networks.convolutional import Convolution, Convolutional
from symflow.networks.layers import Layer
from symflow.networks.losses import Loss
from symflow.networks.network import FullyConnected, Network
from symflow.numbers.rational import rational_latex
from symflow.programs.program import shape_of

PATCH = (
    r"\mathcal{P}_{j}(a)_{ck,q} := a_{c,\,sq+k-p} \text{ for stride } s \text{ and padding } p, \text{ zero outside}"
)


def network_latex(network: Network) -> str:
    r"""The network h_theta, its sizes and its activation, as an ``aligned`` environment.

    Raises:
        TypeError: an architecture without notation.
    """
    if isinstance(network, FullyConnected):
        lines = _fully_connected(network)
    elif isinstance(network, Convolutional):
        lines = _convolutional(network)
    else:
        raise TypeError(f"the LaTeX printer does not know networks of kind {network.kind}")
    return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"


def _fully_connected(network: FullyConnected) -> list[str]:
    """h_theta(x) = W_n sigma(W_{n-1} ... sigma(W_1 x)) with W_j of shape d_j x d_{j-1}."""
    n = network.depth
    if network.linear:
        slope = network.end_to_end_scale
        product = "".join(f"W_{{{j}}}" for j in range(n, 0, -1)) if n <= 6 else f"W_{{{n}}}\\cdots W_{{1}}"
        chain = f" = W_{{{n}:1}}\\,x" if n > 1 else ""
        factor = "" if slope == 1 else rational_latex(slope) + r"\,"
        lines = [rf"h_\theta(x) &= {factor}{product}\,x{'' if factor else chain}"]
    else:
        layers = list(range(n, 0, -1))
        if n <= 5:
            body = r"\,\sigma(".join(f"W_{{{j}}}" for j in layers) + r"\,x" + ")" * (n - 1)
        else:
            body = rf"W_{{{n}}}\,\sigma(W_{{{n - 1}}}\cdots\sigma(W_{{1}}\,x)\cdots)"
        lines = [rf"h_\theta(x) &= {body}"]
    sizes = [d if isinstance(d, int) else sympy.latex(d) for d in network.widths]
    lines.append(rf"W_j &\in \mathbb{{R}}^{{d_j\times d_{{j-1}}}}, \quad j = 1,\dots,{n}")
    if sizes != [f"d_{{{j}}}" for j in range(n + 1)]:
        shown = [sizes[at : at + 12] for at in range(0, len(sizes), 12)]
        widths = ", \\\\\n&\\qquad ".join(", ".join(map(str, part)) for part in shown)
        lines.append(rf"(d_0,\dots,d_{{{n}}}) &= ({widths})")
    return lines if network.linear else [*lines, _activation(network)]


def _activation(network: Network) -> str:
    return rf"\sigma(z) &= {network.sigma.latex}"


def _convolutional(network: Convolutional) -> list[str]:
    """One line a layer, with shapes (outputs, and weights); then what the operators mean."""
    lines: list[str] = []
    notes: dict[str, None] = {}
    weights = 0
    before = "x"
    for j, (part, shape) in enumerate(zip(network.parts, network.shapes_between, strict=False), 1):
        operator = _operator(part, shape.extents, j)
        notes.update(dict.fromkeys(operator.notes if operator else ()))
        body = operator([before]) if operator else before
        sizes = ""
        if part.weighted:
            weights += 1
            body = f"W_{{{weights}}} {body}"
            sizes = rf", \quad W_{{{weights}}} \in {_space(shape_of(network.weight_axes[weights - 1]))}"
            if weights < network.depth:
                body = _activated(network, body)
        after = network.shapes_between[j]
        before = f"a_{{{j}}}" if j < len(network.parts) else r"h_\theta(x)"
        lines.append(rf"{before} &= {body} \in {_space((after.channels, *after.extents))}{sizes}")
    if _bends(network):
        lines.append(_activation(network))
    general = [PATCH] if any(isinstance(part, Convolution) for part in network.parts) else []
    return lines + where([rf"x \in {_space(network.input)}", *general, *notes, WEIGHTS])


def _operator(part: Layer, extents: tuple[int, ...], j: int) -> Operator | None:
    """What a layer does to its input before its weights do."""
    if part.windows is None:
        return VEC.direct if extents else None
    return window_operator(part, j).direct


def _space(shape: Sequence[int]) -> str:
    sizes = r"\times ".join(map(str, shape))
    return rf"\mathbb{{R}}^{{{sizes}}}"


def _activated(network: Convolutional, body: str) -> str:
    if _bends(network):
        return rf"\sigma({body})"
    return body if network.alpha == 1 else rf"{rational_latex(network.alpha)}\,{body}"


def _bends(network: Convolutional) -> bool:
    """Whether the activation is more than a factor."""
    return not network.sigma.smooth or network.sigma.slopes is None


def loss_latex(loss: Loss) -> str:
    r"""The training loss f and the loss of one sample, as an ``aligned`` environment."""
    lines = [
        r"f(\theta) &= \frac1N\sum_{i=1}^N \ell(h_\theta(x_i), y_i), "
        r"\qquad X = (x_1,\dots,x_N), \quad Y = (y_1,\dots,y_N)",
        rf"\ell(\hat y, y) &= {loss.known.latex(loss.expression)}",
    ]
    return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"
