r"""Networks and losses as definitions.

A convolutional network is written layer by layer for one input x, an array of channels and pixels:

    a_1 = sigma(W_1 P_1(x)),  a_2 = max_2(a_1),  h_theta(x) = W_2 vec(a_2).
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import sympy

from symflow.latex.glossary import WEIGHTS, where
from symflow.latex.operator_node import Operator
from symflow.latex.windows import VEC, window_operator
from symflow.networks.activations import Activation, PerLayer
from symflow.networks.convolutional import Convolution, Convolutional
from symflow.networks.layers import Layer
from symflow.networks.losses import Loss
from symflow.networks.network import FullyConnected, Network
from symflow.numbers.rational import rational_latex
from symflow.programs.nodes import Axis
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
        lines = _fully_connected(network) if _plain(network) else _by_layers(network)
    elif isinstance(network, Convolutional):
        lines = _convolutional(network)
    else:
        raise TypeError(f"the LaTeX printer does not know networks of kind {network.kind}")
    return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"


def _plain(network: Network) -> bool:
    """Whether a network is one line: matrices and one activation."""
    return not (any(network.biases) or network.skip or network.diagonal or isinstance(network.sigma, PerLayer))


def _by_layers(network: FullyConnected) -> list[str]:
    """One line a layer, a_j = sigma(W_j a_{j-1} + b_j) + a_i, then the sizes and activations."""
    lines: list[str] = []
    for j in range(1, network.depth + 1):
        before = "x" if j == 1 else f"a_{{{j - 1}}}"
        weight = rf"\operatorname{{diag}}(w_{{{j}}})" if j in network.diagonal else f"W_{{{j}}}"
        body = rf"{weight}\,{before}" + (f" + b_{{{j}}}" if network.biases[j - 1] else "")
        body = _with_skips(network, j, _activated(network, body, j) if j < network.depth else body)
        lines.append(rf"{_result(network, j)} &= {_scaled(network, j, body)}")
    shapes = [rf"{'w' if j in network.diagonal else 'W'}_{{{j}}} \in {_width_space(axes)}"
              for j, axes in enumerate(network.weight_axes, 1)]  # fmt: skip
    shapes += [rf"b_{{{j}}} \in {_width_space(axes[:1])}"
               for j, axes in enumerate(network.weight_axes, 1) if network.biases[j - 1]]  # fmt: skip
    listed = [", \\quad ".join(shapes[at : at + 4]) for at in range(0, len(shapes), 4)]
    return [*lines, *(f"&{part}" for part in listed), *_activations(network)]


def _result(network: Network, layer: int) -> str:
    return f"a_{{{layer}}}" if layer < network.layer_count else r"h_\theta(x)"


def _with_skips(network: Network, layer: int, body: str) -> str:
    """What is added to the result of a layer."""
    added = ["x" if i == 0 else f"a_{{{i}}}" for i, j in network.skip if j == layer]
    return " + ".join([body, *added])


def _scaled(network: Network, layer: int, body: str) -> str:
    """The last layer's result times the output's scale."""
    return body if layer < network.layer_count else _times(network.output_scale, body)


def _width_space(axes: Sequence[Axis]) -> str:
    return _space([a.size if isinstance(a.size, int) else sympy.latex(a.size) for a in axes])


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
        lines = [rf"h_\theta(x) &= {_scaled(network, n, body)}"]
    sizes = [d if isinstance(d, int) else sympy.latex(d) for d in network.widths]
    lines.append(rf"W_j &\in \mathbb{{R}}^{{d_j\times d_{{j-1}}}}, \quad j = 1,\dots,{n}")
    if sizes != [f"d_{{{j}}}" for j in range(n + 1)]:
        shown = [sizes[at : at + 12] for at in range(0, len(sizes), 12)]
        widths = ", \\\\\n&\\qquad ".join(", ".join(map(str, part)) for part in shown)
        lines.append(rf"(d_0,\dots,d_{{{n}}}) &= ({widths})")
    return lines if network.linear else [*lines, *_activations(network)]


def _activations(network: Network) -> list[str]:
    """What sigma is, or sigma_1, sigma_2, ... by layers, where it is more than a factor."""
    if not isinstance(network.sigma, PerLayer):
        return [rf"\sigma(z) &= {network.sigma.latex}"] if _bends(network.sigma) else []
    numbers = network.layer_numbers
    return [rf"\sigma_{{{j}}}(z) &= {s.latex}" for j, s in zip(numbers, network.sigma.each, strict=False) if _bends(s)]


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
            weight = rf"\operatorname{{diag}}(w_{{{weights}}})" if j in network.diagonal else f"W_{{{weights}}}"
            letter = "w" if j in network.diagonal else "W"
            body = f"{weight} {body}"
            sizes = rf", \quad {letter}_{{{weights}}} \in {_space(shape_of(network.weight_axes[weights - 1]))}"
            if network.biases[j - 1]:
                ones = r" \mathbf{1}^\top" if network.shapes_between[j].extents else ""
                body += f" + b_{{{weights}}}{ones}"
            if weights < network.depth:
                body = _activated(network, body, weights)
        after = network.shapes_between[j]
        before = _result(network, j)
        body = _scaled(network, j, _with_skips(network, j, body))
        lines.append(rf"{before} &= {body} \in {_space((after.channels, *after.extents))}{sizes}")
    lines += _activations(network)
    general = [PATCH] if any(isinstance(part, Convolution) for part in network.parts) else []
    return lines + where([rf"x \in {_space(network.input)}", *general, *notes, WEIGHTS])


def _operator(part: Layer, extents: tuple[int, ...], j: int) -> Operator | None:
    """What a layer does to its input before its weights do."""
    if part.windows is None:
        return VEC.direct if extents else None
    return window_operator(part, j).direct


def _space(shape: Sequence[int | str]) -> str:
    sizes = r"\times ".join(map(str, shape))
    return rf"\mathbb{{R}}^{{{sizes}}}"


def _activated(network: Network, body: str, weighted: int) -> str:
    """The activation after so many layers with weights."""
    sigma = network.sigma.at(weighted)
    if _bends(sigma):
        number = f"_{{{network.layer_numbers[weighted - 1]}}}" if isinstance(network.sigma, PerLayer) else ""
        return rf"\sigma{number}({body})"
    assert sigma.slopes is not None
    return _times(sigma.slopes[0], body)


def _times(factor: Fraction, body: str) -> str:
    if factor == 1:
        return body
    return rf"{rational_latex(factor)}\,{f'({body})' if ' + ' in body else body}"


def _bends(sigma: Activation) -> bool:
    """Whether an activation is more than a factor."""
    return not sigma.smooth or sigma.slopes is None


def loss_latex(loss: Loss) -> str:
    r"""The training loss f and the loss of one sample, as an ``aligned`` environment."""
    lines = [
        r"f(\theta) &= \frac1N\sum_{i=1}^N \ell(h_\theta(x_i), y_i), "
        r"\qquad X = (x_1,\dots,x_N), \quad Y = (y_1,\dots,y_N)",
        rf"\ell(\hat y, y) &= {loss.known.latex(loss.expression)}",
    ]
    return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"
