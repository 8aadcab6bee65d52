"""Names: what has one before lines are chosen, and the left-hand sides of results."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, replace
from fractions import Fraction

from symflow.derivatives.derived import Derived, parameter_directions
from symflow.latex.fragments import dotted
from symflow.latex.moments import PhiGradient, phi_gradient
from symflow.networks.activations.per_layer import PerLayer
from symflow.networks.objective import Objective
from symflow.programs.differentiate import jvp, transpose
from symflow.programs.nodes import Add, Const, Einsum, Input, Node, matmul, scale, split_scale
from symflow.programs.program import topological


@dataclass(frozen=True)
class Naming:
    """What has a name before lines are chosen.

    Attributes:
        reserved: LaTeX of the inputs.
        layer: the number j of each weight W_j of a network.
        weight_products: (j', j) of each product W_{j'} ... W_j of at least two weights.
        phi: the gradient of phi, for a linear network in moment form.
        given: names of intermediate results.
        multiples: the nodes x whose name means a multiple c x.
        by_layer: whether gates belong to different activations of different layers.
    """

    reserved: Set[str]
    layer: Mapping[Node, int]
    weight_products: Mapping[Node, tuple[int, int]]
    phi: PhiGradient | None
    given: Mapping[Node, str]
    multiples: Mapping[Node, Fraction]
    by_layer: bool

    def read_as(self, new: Mapping[Node, Node]) -> Naming:
        """The names after nodes have become others."""
        given: dict[Node, str] = {}
        multiples: dict[Node, Fraction] = {}
        for x, name in self.given.items():
            factor, base = split_scale(new[x])
            if base.arguments and base not in given:
                given[base] = name
                multiples[base] = factor * self.multiples.get(x, Fraction(1))
        layer = {**self.layer, **{new.get(w, w): j for w, j in self.layer.items()}}
        products = {new[x]: span for x, span in self.weight_products.items() if x in new}
        return replace(self, layer=layer, weight_products=products, given=given, multiples=multiples)

    def numbered(self, nodes: Iterable[Node]) -> dict[Node, str]:
        """The given names, and T_1, T_2, ... (or another letter that is free) for those of the nodes without one."""
        letter = next(a for a in ("T", "U", "V", "K", "L", "T'") if not any(x.startswith(a) for x in self.reserved))
        unnamed = [x for x in nodes if x not in self.given]
        return {**self.given, **{x: f"{letter}_{{{n}}}" for n, x in enumerate(unnamed, 1)}}


def naming(derived: Derived) -> Naming:
    """The names that a result brings with it."""
    objective, program = derived.objective, derived.program
    layer: dict[Node, int] = {}
    if objective.network is not None:
        layer.update((w, j) for j, w in enumerate(objective.parameters, 1))
    outputs = [*objective.program.outputs.values(), *program.outputs.values()]
    weight_products = _weight_products(topological(outputs), layer)
    reserved = {x.latex for x in program.inputs}
    given = _given_names(derived, weight_products, reserved)
    multiples = {split_scale(x)[1]: split_scale(x)[0] for x in given}
    names = {split_scale(x)[1]: name for x, name in given.items()}
    by_layer = objective.architecture is not None and isinstance(objective.architecture.sigma, PerLayer)
    return Naming(reserved, layer, weight_products, phi_gradient(objective), names, multiples, by_layer)


def _weight_products(nodes: Iterable[Node], layer: Mapping[Node, int]) -> dict[Node, tuple[int, int]]:
    """(j', j) of each node that is the product W_{j'} ... W_j of at least two weights; arguments come before users."""
    ends: dict[Node, tuple[int, int]] = {w: (j, j) for w, j in layer.items()}
    for x in nodes:
        if not isinstance(x, Einsum) or [len(a.axes) for a in (*x.args, x)] != [2, 2, 2]:
            continue
        for a, b in (x.args, x.args[::-1]):
            if a in ends and b in ends and ends[a][1] == ends[b][0] + 1 and matmul(a, b) is x:
                ends[x] = (ends[a][0], ends[b][1])
    return {x: span for x, span in ends.items() if x not in layer}


def _given_names(
    derived: Derived, weight_products: Mapping[Node, tuple[int, int]], reserved: Set[str]
) -> dict[Node, str]:
    """Names from the program, and of derivatives in the direction; each name is given once."""
    inside = set(derived.program.nodes)
    named = program_names(derived)
    tangents = _tangent_names(derived, named, weight_products)
    products = {x for x, name in tangents.items() if re.match("[ABC]_{\\d+:", name)}
    result: dict[Node, str] = {}
    taken = set(reserved)
    bases: set[Node] = set()
    for x, name in (*tangents.items(), *named.items()):
        base = x if x in products else split_scale(x)[1]
        if base in inside and base not in bases and name not in taken and is_operation(base):
            result[x] = name
            bases.add(base)
            taken.add(name)
    return result


def program_names(derived: Derived) -> dict[Node, str]:
    r"""Names from the program; of a network also Z_n, what the loss is computed from, and the adjoints \bar Z_j."""
    objective = derived.objective
    found = {**objective.program.names, **derived.program.names}
    names = {x: n for x, n in found.items() if not re.match(r"\\bar\{|.*\'$", n)}
    last = _prediction(objective)
    if last is not None and "R" not in names.values():
        names.setdefault(last, rf"Z_{{{_layers(objective)}}}")
    forward = {x: n for x, n in names.items() if not re.match(r"\\d*dot\{", n)}
    return {**names, **_adjoint_names(objective, forward)}


def _prediction(objective: Objective) -> Node | None:
    """The network's prediction, where the program computes one."""
    named = {x.name: x for x in objective.program.inputs}
    if objective.architecture is None or "X" not in named:
        return None
    weights = [w for w in objective.parameters if w not in objective.biases]
    prediction = objective.architecture.forward(weights, named["X"], objective.biases).prediction
    base = split_scale(prediction)[1]
    return prediction if base in objective.program.nodes and is_operation(base) else None


def _adjoint_names(objective: Objective, names: Mapping[Node, str]) -> dict[Node, str]:
    r"""The derivative of f with respect to each named node, \bar Z_j for Z_j."""
    if not names:
        return {}
    directions = parameter_directions(objective)
    dot = jvp([objective.loss], dict(zip(objective.parameters, directions, strict=True)))
    adjoint = transpose(dot[objective.loss], directions, Const(Fraction(1), ()))
    result: dict[Node, str] = {}
    for x, name in names.items():
        outer, base = split_scale(x)
        inner, direction = split_scale(dot.get(base, base))
        bar = adjoint.get(direction)
        if base in dot and bar is not None:
            letter = re.match(r"\\?[A-Za-z]+", name)
            assert letter is not None
            result.setdefault(scale(1 / (outer * inner), bar), rf"\bar{{{letter[0]}}}{name[letter.end() :]}")
    return result


def _layers(objective: Objective) -> int:
    """The number of the last layer, pools included."""
    assert objective.architecture is not None
    return objective.architecture.layer_count


def is_operation(x: Node) -> bool:
    """Whether a node computes something that deserves a name: not a leaf, nor a multiple of another node."""
    return bool(x.arguments) and not (isinstance(x, Add) and len(x.terms) == 1)


def _tangent_names(
    derived: Derived, named: Mapping[Node, str], weight_products: Mapping[Node, tuple[int, int]]
) -> dict[Node, str]:
    r"""The first derivatives: \dot Z_j of a named node Z_j; A_{j':j}, B_{j':j} of a product of weights."""
    if not derived.directions:
        return {}
    tangents: dict[Node, Node] = dict(zip(derived.objective.parameters, derived.directions, strict=True))
    names: dict[Node, str] = {}
    current: dict[Node, Node] = {x: x for x in (*named, *weight_products)}
    for order in (1, 2, 3):
        dot = jvp(current.values(), tangents)
        current = {x: dot[y] for x, y in current.items()}
        for x, y in current.items():
            if y in names:
                continue
            if x in weight_products:
                top, bottom = weight_products[x]
                names[y] = f"{' ABC'[order]}_{{{top}:{bottom}}}"
            elif not re.match(r"\\d*dot", named[x]):
                names[y] = dotted(named[x], order)
    return names


def left_side(derived: Derived, output: str, naming: Naming) -> str:
    """The left-hand side of an output's line."""
    weights = {w.name: w for w in derived.objective.parameters}
    kind, _, rest = output.partition("_")

    def index(w: Input) -> str:
        return str(naming.layer[w]) if w in naming.layer else w.latex

    if output == "f":
        return "f"
    if output == "form":
        return _form_symbol(derived.kind)
    if kind == "g" and rest in weights:
        w = weights[rest]
        return rf"\nabla_{{{w.latex}}} f" if w.axes else rf"\partial_{{{w.latex}}} f"
    if kind == "h" and rest in weights:
        return rf"(H\Delta)_{{{index(weights[rest])}}}"
    if output[:1] == "d" and output[1:] in weights:
        return dotted(weights[output[1:]].latex)
    if kind == "H":
        for name, w in weights.items():
            if rest.startswith(f"{name}_") and rest[len(name) + 1 :] in weights:
                j, k = index(w), index(weights[rest[len(name) + 1 :]])
                block = f"H_{{{j}{k}}}" if len(j) == len(k) == 1 else f"H_{{{j},{k}}}"
                return rf"{block}\Delta_{{{k}}}" if derived.directions else block
    return rf"\mathrm{{{output.replace('_', ' ')}}}"


def _form_symbol(kind: str) -> str:
    r"""\nabla^k f[\Delta,...,\Delta] for a directional derivative of order k, H[\Delta,\Delta] for the Hessian form."""
    order = re.search(r"\d+$", kind)
    k = 2 if order is None else int(order.group())
    head = {0: "f", 1: r"\nabla f", 2: "H"}.get(k, rf"\nabla^{{{k}}} f")
    slots = ",".join([r"\Delta"] * k)
    return f"{head}[{slots}]" if k else head
