r"""Operators of a convolutional network: patches, means and largest entries of windows, selection, and vec.

They act on matrices whose rows are channels and whose columns are pixels and samples:

    P_j(A)    one column for each window and sample, one row for each channel and position in the kernel,
    avg_j(A)  the mean of each window,
    max_j(A)  the largest entry of each window; S_j reads the entries at which the maximum is attained,
    vec(A)    one column for each sample,

and a star marks the adjoint.  So Z_j = W_j P_j(A_{j-1}) is a convolution and W_j vec(A_{j-1}) a dense layer, and the
formulas of a fully connected network hold with these operators inside.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from symflow.presentation.latex.applied import Operator
from symflow.symbolic.convolutional import Convolution, Convolutional, Pool, read_table
from symflow.symbolic.differentiate import jvp, transpose
from symflow.symbolic.nodes import Add, Einsum, Gate, Gather, Input, Node, Table, scale, split_scale
from symflow.symbolic.program import topological


@dataclass(frozen=True)
class Linear:
    """A linear operator and its adjoint."""

    direct: Operator
    adjoint: Operator


def linear(symbol: str, *notes: str) -> Linear:
    """The operator of this name, with its notes."""
    star = rf"{symbol}^{{*}} &\colon \text{{the adjoint of }} {symbol}"
    return Linear(Operator(f"{symbol}(", notes, linear=True), Operator(f"{symbol}^{{*}}(", (*notes, star), linear=True))


VEC = linear(r"\operatorname{vec}", r"\operatorname{vec} &\colon \text{each sample becomes one column}")


def extents(values: Sequence[int]) -> str:
    """Extents of a window, as 3 or 3 x 3."""
    return r"\times ".join(map(str, values))


def patches(network: Convolutional) -> dict[Table, Linear]:
    """The operator P_j of every convolution, by its table."""
    result = {}
    for j, (part, shape) in enumerate(zip(network.parts, network.shapes_between, strict=False), 1):
        if isinstance(part, Convolution):
            table = read_table(shape.extents, part.kernel, part.stride, part.padding, j)
            symbol = rf"\mathcal{{P}}_{{{j}}}"
            note = (
                rf"{symbol} &\colon \text{{patches: kernel }} {extents(part.kernel)}, \text{{ stride }} "
                rf"{extents(part.stride)}, \text{{ padding }} {extents(part.padding)}"
            )
            result[table] = linear(symbol, note)
    return result


def averages(network: Convolutional) -> dict[Table, Linear]:
    """The operator avg_j of every average pool, by its table."""
    result = {}
    for j, (part, shape) in enumerate(zip(network.parts, network.shapes_between, strict=False), 1):
        if isinstance(part, Pool) and part.kind == "average":
            table = read_table(shape.extents, part.size, part.stride, (0,) * len(part.size), j)
            symbol = rf"\operatorname{{avg}}_{{{j}}}"
            result[table] = linear(symbol, rf"{symbol} &\colon \text{{means over }} {_windows(part)}")
    return result


def _windows(part: Pool) -> str:
    return rf"\text{{windows of }} {extents(part.size)}, \text{{ stride }} {extents(part.stride)}"


@dataclass(frozen=True)
class Image:
    """The node ``outer * operator(inner * y)``."""

    outer: Fraction
    operator: Operator
    inner: Fraction
    y: Node


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
        """Which nodes are multiples of S_j(y) or S_j^*(y).

        Gates are constants when they are differentiated, so a derivative of a tournament is the tournament with the
        same gates; each candidate y is put through it, and what comes out is looked up.
        """
        nodes = tuple(nodes)
        known = set(nodes)
        factors = {Fraction(1)} | {abs(c) for x in nodes if isinstance(x, Add) for c, _ in x.terms}
        source = self.read.x
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
                found.setdefault(base, Image(self.factor / factor, operator, c, y))

        for c in sorted(sign * c for c in factors for sign in (1, -1)):
            for y in inputs:
                note(jvp([self.result], {source: scale(c, y)})[self.result], self.chosen.direct, c, y)
            for y in seeds:
                note(transpose(tournament, [unknown], scale(c, y))[unknown], self.chosen.adjoint, c, y)
        found[self.result] = Image(Fraction(1), self.largest, self.factor, source)
        return found


def selections(network: Convolutional, prediction: Node) -> list[Selection]:
    """The max pools of a network, from its prediction."""
    result = []
    nodes = topological([prediction])
    for j, part in enumerate(network.parts, 1):
        if not (isinstance(part, Pool) and part.kind == "max"):
            continue
        read = next(x for x in nodes if isinstance(x, Gather) and x.table.source.name == f"p{j - 1}")
        output = next(x for x in nodes if len(x.axes) == 3 and x.axes[1].name == f"p{j}")
        symbol, chosen = rf"\operatorname{{max}}_{{{j}}}", rf"\mathcal{{S}}_{{{j}}}"
        what = rf"{symbol} &\colon \text{{largest entries of }} {_windows(part)}"
        how = rf"{chosen} &\colon \text{{reads where }} {symbol} \text{{ is attained (the first of equal entries)}}"
        largest, chooses = Operator(f"{symbol}(", (what,)), linear(chosen, what, how)
        result.append(Selection(largest, chooses, read, _factor(read, output), output))
    return result


def _factor(read: Gather, output: Node) -> Fraction:
    """What the entries that the gather reads are multiplied by before they are compared."""
    for x in topological([output]):
        if isinstance(x, Gate) and all(isinstance(a, Gather) and a.x is read for a in x.z.arguments):
            assert isinstance(x.z, Add)
            return x.z.terms[0][0]
    return split_scale(output)[0]
