"""The one differentiator: forward mode on programs, and transposition of what is linear.

The gradient is the transpose of the first directional derivative; the Hessian-vector product is the directional
derivative of the gradient; the k-th directional derivative is the first one, k times. All stay O(depth).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from symflow.programs.nodes import Input, Node, add, is_zero, zero
from symflow.programs.program import topological


def jvp(outputs: Iterable[Node], tangents: Mapping[Node, Node]) -> dict[Node, Node]:
    """Forward mode: the derivative of every node along `tangents` (of inputs, or of any cut nodes).

    d(sum c_i x_i) = sum c_i dx_i; d einsum(x, y) = einsum(dx, y) + einsum(x, dy); d gate = 0; d u(x) = u'(x) dx;
    d logsumexp(x) = sum softmax(x) dx.

    Raises:
        TypeError: a norm, an eigenvalue or a maximum, which bounds are made of (differentiate those through JAX).
    """
    dot: dict[Node, Node] = {}
    for x in topological(outputs):
        if x in tangents:
            dot[x] = tangents[x]
        elif all(is_zero(dot[a]) for a in x.arguments):
            dot[x] = zero(x.axes)
        else:
            dot[x] = x.tangent([dot[a] for a in x.arguments])
    return dot


def transpose(output: Node, directions: Iterable[Input], seed: Node) -> dict[Node, Node]:
    """The adjoint of the linear map directions -> output, applied to `seed`; cotangents of all dependent nodes.

    Raises:
        TypeError: the output is not linear in the directions.
    """
    directions = tuple(directions)
    order = topological([output])
    linear: set[Node] = set(directions)
    for x in order:
        if any(a in linear for a in x.arguments):
            linear.add(x)
    collected: dict[Node, list[tuple[int, Node]]] = {output: [(1, seed)]}
    cotangent: dict[Node, Node] = {}
    for x in reversed(order):
        if x not in linear or x not in collected:
            continue
        bar = cotangent[x] = add(collected.pop(x))
        if isinstance(x, Input):
            continue
        for a, pulled in zip(x.arguments, x.cotangents(bar, [a in linear for a in x.arguments]), strict=True):
            if pulled is not None:
                collected.setdefault(a, []).append((1, pulled))
    for d in directions:
        cotangent.setdefault(d, zero(d.axes))
    return cotangent
