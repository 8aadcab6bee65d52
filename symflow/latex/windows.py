r"""Operators of a convolutional network: patches, means and largest entries of windows, selection, and vec.

They act on matrices whose rows are channels and whose columns are pixels and samples:

    P_j(A)    one column for each window and sample, one row for each channel and position in the kernel,
    avg_j(A) the mean of each window,
    max_j(A) the largest entry of each window; S_j[A](B) has the entries of B where those of A are largest,
    vec(A)    one column for each sample,

and a star marks the adjoint. So Z_j = W_j P_j(A_{j-1}) is a convolution and W_j vec(A_{j-1}) a dense layer, and the
formulas of a fully connected network hold with these operators inside.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from symflow.latex.operator_node import Operator
from symflow.networks.convolutional import Convolutional
from symflow.networks.layers import Layer
from symflow.programs.differentiate import jvp, transpose
from symflow.programs.nodes import Add, Axis, Einsum, Gate, Gather, Input, Node, Table, scale, split_scale
from symflow.programs.program import topological


@dataclass(frozen=True)
class Linear:
    """A linear operator and its adjoint."""

    direct: Operator
    adjoint: Operator


ADJOINT = r"\mathcal{L}^{*}\colon \text{adjoint of a linear map } \mathcal{L}"


def linear(symbol: str, *notes: str) -> Linear:
    """The operator of this name, with its notes."""
    direct = Operator(f"{symbol}(", notes, linear=True)
    return Linear(direct, Operator(f"{symbol}^{{*}}(", (*notes, ADJOINT), linear=True))


VEC = linear(r"\operatorname{vec}", r"\operatorname{vec}\colon \text{each sample becomes one column}")


def _window(size: Sequence[int], stride: Sequence[int], padding: Sequence[int] = (0,)) -> str:
    """Extents of a window, as 3 x 2, its stride and its padding; equal numbers are given once."""

    def short(values: Sequence[int]) -> str:
        return str(values[0]) if len(set(values)) == 1 else r"\times ".join(map(str, values))

    padded = rf", \text{{ padding }} {short(padding)}" if any(padding) else ""
    return r"\times ".join(map(str, size)) + rf", \text{{ stride }} {short(stride)}{padded}"


def window_operator(part: Layer, j: int) -> Linear:
    """What layer j does to the windows that it reads: P_j, avg_j, max_j (of which only the operator itself is used).

    Raises:
        TypeError: a layer without notation.
    """
    if part.notation is None or part.windows is None:
        raise TypeError(f"the LaTeX printer has no notation for a {part.name}; give its record `notation`")
    symbol, meaning = part.notation
    symbol = rf"{symbol}_{{{j}}}"
    note = rf"{symbol}\colon \text{{{meaning} }} {_window(*part.windows)}"
    if part.smooth:
        return linear(symbol, note)
    direct = Operator(f"{symbol}(", (note,))
    return Linear(direct, direct)


def chosen(part: Layer, j: int) -> Linear:
    """S_j[A], a linear map once A is given."""
    symbol = rf"\mathcal{{S}}_{{{j}}}"
    meaning = (
        rf"{symbol}[A](B)\colon \text{{entries of }} B \text{{ where }} \operatorname{{max}}_{{{j}}}(A) "
        r"\text{ is attained (one of them at a tie)}"
    )
    notes = (*window_operator(part, j).direct.notes, meaning)
    direct = Operator(f"{symbol}[", notes, separator="](", linear=True)
    return Linear(direct, Operator(f"{symbol}^{{*}}[", (*notes, ADJOINT), separator="](", linear=True))


def patches(network: Convolutional) -> dict[Table, Linear]:
    """The operator P_j of every convolution, by its table."""
    return {table: window_operator(part, j) for j, part, table in _windowed(network) if part.weighted}


def averages(network: Convolutional) -> dict[Table, tuple[Linear, Fraction]]:
    """The operator avg_j of every linear pool, by its table, and the multiple of it that is the sum over a window."""
    found = {}
    for j, part, table in _windowed(network):
        if not part.weighted and part.smooth:
            pooled = Input("pooled", (Axis("c", 1), table.source, Axis("sample", 1)), "state", "")
            found[table] = window_operator(part, j), 1 / split_scale(part.apply(pooled, None, table, j))[0]
    return found


def _windowed(network: Convolutional) -> Iterator[tuple[int, Layer, Table]]:
    """The layers that read windows, with their numbers and tables."""
    for position, part in enumerate(network.parts):
        table = network.table(position)
        if table is not None:
            yield position + 1, part, table


@dataclass(frozen=True)
class Image:
    """The node ``outer * operator(c_1 y_1, c_2 y_2, ...)``, with (c, y) for each argument."""

    outer: Fraction
    operator: Operator
    arguments: tuple[tuple[Fraction, Node], ...]


@dataclass(frozen=True)
class Selection:
    """A max pool: its operators, what it pools, and the result.

    Attributes:
        largest: max_j.
        chosen: S_j.
        read: the gather of the windows.
        factor: A_{j-1} is this multiple of what the gather reads.
        result: A_j.
    """

    largest: Operator
    chosen: Linear
    read: Gather
    factor: Fraction
    result: Node

    def images(self, nodes: Iterable[Node]) -> dict[Node, Image]:
        """Which nodes are multiples of S_j[A](y) or S_j^*[A](y), and which is max_j(A).

        Gates are constants when they are differentiated, so a derivative of a tournament is the tournament with the
        same gates; each candidate y is put through it, and what comes out is looked up.
        """
        nodes = tuple(nodes)
        known = set(nodes)
        window = self.read.table.targets[0]
        inside = [x for x in nodes if isinstance(x, Add) and any(a.name == window.name for a in x.axes)]
        factors = {Fraction(1)} | {abs(c) for x in inside for c, _ in x.terms}
        source = self.read.x
        where = (self.factor, source)
        inputs = {x.x for x in nodes if isinstance(x, Gather) and x.table == self.read.table}
        seeds = {
            x.args[0]
            for x in nodes
            if isinstance(x, Einsum) and len(x.args) == 1 and x.args[0].axes == self.result.axes
        }
        unknown = Input("pooled", source.axes, "state", "")
        tournament = jvp([self.result], {source: unknown})[self.result]
        found: dict[Node, Image] = {}

        def note(image: Node, operator: Operator, c: Fraction, y: Node) -> None:
            factor, base = split_scale(image)
            if base in known:
                found.setdefault(base, Image(self.factor / factor, operator, (where, (c, y))))

        for c in sorted(sign * c for c in factors for sign in (1, -1)):
            for y in inputs:
                note(jvp([self.result], {source: scale(c, y)})[self.result], self.chosen.direct, c, y)
            for y in seeds:
                note(transpose(tournament, [unknown], scale(c, y))[unknown], self.chosen.adjoint, c, y)
        found[self.result] = Image(Fraction(1), self.largest, (where,))
        return found


def selections(network: Convolutional, prediction: Node) -> list[Selection]:
    """The max pools of a network, from its prediction."""
    result = []
    nodes = topological([prediction])
    for j, part in enumerate(network.parts, 1):
        if part.smooth:
            continue
        read = next((x for x in nodes if isinstance(x, Gather) and x.table.targets[0].name == f"w{j}"), None)
        if read is None:  # slopes 0: nothing reaches the pool
            continue
        output = next(x for x in nodes if len(x.axes) == 3 and any(f"w{j}" in _named(a) for a in x.arguments))
        result.append(Selection(window_operator(part, j).direct, chosen(part, j), read, _factor(read, output), output))
    return result


def _named(x: Node) -> list[str]:
    return [axis.name for axis in x.axes]


def _factor(read: Gather, output: Node) -> Fraction:
    """What the entries that the gather reads are multiplied by before they are compared."""
    for x in topological([output]):
        if isinstance(x, Gate) and all(isinstance(a, Gather) and a.x is read for a in x.z.arguments):
            assert isinstance(x.z, Add)
            return x.z.terms[0][0]
    return split_scale(output)[0]
