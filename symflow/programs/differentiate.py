"""The one differentiator: forward mode on programs, and transposition of what is linear.

The gradient is the transpose of the first directional derivative; the Hessian-vector product is the directional
derivative of the gradient; the k-th directional derivative is the first one, k times.  All stay O(depth).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction

from symflow.programs.nodes import (
    Add,
    Const,
    Einsum,
    Gate,
    Gather,
    Identity,
    Input,
    LogSumExp,
    Map,
    Node,
    ScatterAdd,
    add,
    apply,
    einsum,
    gather,
    hadamard,
    is_zero,
    power,
    scale,
    scatter_add,
    softmax,
    zero,
)
from symflow.programs.program import topological


def map_derivative(x: Map) -> Node:
    """The derivative of an elementwise function, as a node."""
    if x.function == "power":
        assert x.exponent is not None
        return scale(x.exponent, power(x.x, x.exponent - 1))
    if x.function == "exp":
        return x
    if x.function == "log":
        return power(x.x, -1)
    if x.function == "sin":
        return apply("cos", x.x)
    if x.function == "cos":
        return scale(-1, apply("sin", x.x))
    if x.function == "softplus":
        return apply("sigmoid", x.x)
    if x.function == "sigmoid":
        return add([(1, x), (-1, hadamard(x, x))])
    raise TypeError(f"no derivative rule for the function {x.function!r}")


def jvp(outputs: Iterable[Node], tangents: Mapping[Node, Node]) -> dict[Node, Node]:
    """Forward mode: the derivative of every node along `tangents` (of inputs, or of any cut nodes).

    d(sum c_i x_i) = sum c_i dx_i;  d einsum(x, y) = einsum(dx, y) + einsum(x, dy);  d gate = 0;  d u(x) = u'(x) dx;
    d logsumexp(x) = sum softmax(x) dx.

    Raises:
        TypeError: a norm, an eigenvalue or a maximum, which bounds are made of (differentiate those through JAX).
    """
    dot: dict[Node, Node] = {}
    for x in topological(outputs):
        if x in tangents:
            dot[x] = tangents[x]
        elif isinstance(x, (Input, Const, Identity, Gate)):
            dot[x] = zero(x.axes)
        elif isinstance(x, Add):
            dot[x] = add([(c, dot[a]) for c, a in x.terms])
        elif isinstance(x, Einsum):
            broadcast = dict(zip(x.out, x.axes, strict=True))
            terms = [
                einsum((*x.args[:i], dot[a], *x.args[i + 1 :]), x.labels, x.out, broadcast)
                for i, a in enumerate(x.args)
                if not is_zero(dot[a])
            ]
            dot[x] = add([(Fraction(1), t) for t in terms]) if terms else zero(x.axes)
        elif isinstance(x, Map):
            dot[x] = zero(x.axes) if is_zero(dot[x.x]) else hadamard(map_derivative(x), dot[x.x])
        elif isinstance(x, Gather):
            dot[x] = gather(dot[x.x], x.table, x.position)
        elif isinstance(x, ScatterAdd):
            dot[x] = scatter_add(dot[x.x], x.table, x.position)
        elif isinstance(x, LogSumExp):
            labels = tuple(range(len(x.x.axes)))
            out = labels[: x.position] + labels[x.position + 1 :]
            dot[x] = zero(x.axes) if is_zero(dot[x.x]) else einsum((softmax(x), dot[x.x]), (labels, labels), out)
        elif all(is_zero(dot[a]) for a in x.arguments):
            dot[x] = zero(x.axes)
        else:
            raise TypeError(f"no derivative rule for {type(x).__name__}")
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
    collected: dict[Node, list[tuple[Fraction, Node]]] = {output: [(Fraction(1), seed)]}
    cotangent: dict[Node, Node] = {}
    for x in reversed(order):
        if x not in linear or x not in collected:
            continue
        bar = cotangent[x] = add(collected.pop(x))
        if isinstance(x, Input):
            continue
        if isinstance(x, Gather):
            collected.setdefault(x.x, []).append((Fraction(1), scatter_add(bar, x.table, x.position)))
        elif isinstance(x, ScatterAdd):
            collected.setdefault(x.x, []).append((Fraction(1), gather(bar, x.table, x.position)))
        elif isinstance(x, Add):
            if any(a not in linear for _, a in x.terms):
                raise TypeError("only linear maps can be transposed; a sum has a constant term")
            for c, a in x.terms:
                collected.setdefault(a, []).append((c, bar))
        elif isinstance(x, Einsum):
            where = [i for i, a in enumerate(x.args) if a in linear]
            if len(where) != 1:
                raise TypeError("only linear maps can be transposed; a product has two dependent factors")
            i = where[0]
            others = [(a, used) for j, (a, used) in enumerate(zip(x.args, x.labels, strict=True)) if j != i]
            target: list[int] = []
            fresh = max(map(max, filter(None, (*x.labels, x.out))), default=0) + 1
            for label, axis in zip(x.labels[i], x.args[i].axes, strict=True):
                if label in target:  # a diagonal is read, so its entries are written back through an identity
                    others.append((Identity((axis, axis)), (label, fresh)))
                    label, fresh = fresh, fresh + 1
                target.append(label)
            pulled = einsum(
                [bar, *(a for a, _ in others)],
                [x.out, *(used for _, used in others)],
                tuple(target),
                dict(zip(target, x.args[i].axes, strict=True)),
            )
            collected.setdefault(x.args[i], []).append((Fraction(1), pulled))
        else:
            raise TypeError(f"only linear maps can be transposed; {type(x).__name__} is not linear")
    for d in directions:
        cotangent.setdefault(d, zero(d.axes))
    return cotangent
