"""The laws that are known of a network's architecture, for every data set (R10, R30)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations_with_replacement

import numpy as np
import sympy

from symflow.analysis.laws.law import Law
from symflow.analysis.laws.terms import Terms
from symflow.networks.network import FullyConnected, Network
from symflow.programs.flat import slices
from symflow.programs.nodes import Input
from symflow.programs.program import shape_of
from symflow.theory.architecture_checks import stream_places

ONE = Fraction(1)


@dataclass(frozen=True)
class Rotation:
    r"""theta -> A theta, A antisymmetric, that changes no output to first order: the momentum flow conserves
    e^{tau t} <A theta, theta'>.

    Attributes:
        name: such as "J_1[1,2]".
        terms: (p, q, c), p < q: c (theta_p theta_q' - theta_q theta_p').
        formula: LaTeX of <A theta, theta'>.
    """

    name: str
    terms: tuple[tuple[int, int, Fraction], ...]
    formula: str


@dataclass(frozen=True, eq=False)
class Arrays:
    """Where the weights and biases of a network stand in theta.

    Attributes:
        network: the architecture.
        weights: positions of the entries of W_1, ..., W_n, in their shapes.
        biases: those of b_1, ..., b_n; None for a layer without a bias.
        symbols: a name for each entry of theta.
    """

    network: Network
    weights: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray | None, ...]
    symbols: tuple[sympy.Symbol, ...]

    @property
    def count(self) -> int:
        """P."""
        return len(self.symbols)

    def into(self, layer: int, unit: int) -> list[int]:
        """The weights and the bias into a unit or channel of layer j."""
        bias = self.biases[layer - 1]
        own = [] if bias is None else [int(bias[unit])]
        return [*map(int, self.weights[layer - 1][unit].reshape(-1)), *own]

    def out_of(self, layer: int, unit: int) -> list[int]:
        """The weights of layer j that read a unit or channel."""
        weights = self.weights[layer - 1]
        return [*map(int, (weights[:, unit] if weights.ndim > 1 else weights[unit]).reshape(-1))]


def arrays(network: Network, parameters: Sequence[Input]) -> Arrays:
    """The positions of a network's parameters."""
    where = {
        w.name: np.arange(s.start, s.stop).reshape(shape)
        for w, (s, shape) in zip(parameters, slices(parameters), strict=True)
    }
    symbols = tuple(s for w in parameters for s in entry_symbols(w))
    layers = range(1, network.depth + 1)
    return Arrays(network, tuple(where[f"W{j}"] for j in layers), tuple(where.get(f"b{j}") for j in layers), symbols)


def entry_symbols(x: Input) -> list[sympy.Symbol]:
    """One real symbol an entry, as `explicit()` names them."""
    found = []
    for index in np.ndindex(shape_of(x.axes)):
        suffix = "_" + "".join(str(i + 1) if i < 9 else f"({i + 1})" for i in index) if index else ""
        found.append(sympy.Symbol(f"{x.name}{suffix}", real=True))
    return found


def _product_terms(pairs: Sequence[tuple[int, int]], c: Fraction) -> Iterator[tuple[tuple[int, int], Fraction]]:
    for a, b in pairs:
        yield (min(a, b), max(a, b)), c


@dataclass(frozen=True)
class Stream:
    """Units that skip connections and pools pass on from layer to layer; those of one layer where there are none.

    Where the activations are homogeneous, e^s times what writes unit c and e^-s times what reads it change no output.

    Attributes:
        writers: the layers with weights whose outputs they are, by their number among these.
        readers: those whose inputs they are.
        width: the number of units or channels.
        linear: whether units may be mixed: no kinks, and no diagonal layer next to them.
    """

    writers: tuple[int, ...]
    readers: tuple[int, ...]
    width: int
    linear: bool

    @property
    def name(self) -> str:
        """Such as "D_1", or "D_1+2" for two writers."""
        return f"D_{'+'.join(map(str, self.writers))}"


def streams(network: Network) -> Iterator[Stream]:
    """The streams that end neither in the input nor in the output."""
    numbers = network.layer_numbers
    first = stream_places(network, network.skip)
    for place in dict.fromkeys(first):
        if place in (first[0], first[-1]):
            continue
        writers = tuple(k for k, j in enumerate(numbers, 1) if first[j] == place)
        readers = tuple(k for k, j in enumerate(numbers, 1) if first[j - 1] == place)
        bent = any(first[j] == place and not network.layer_is_smooth(j) for j in range(1, network.layer_count))
        diagonal = any(numbers[k - 1] in network.diagonal for k in (*writers, *readers))
        width = int(network.weight_axes[writers[0] - 1][0].size)
        yield Stream(writers, readers, width, not bent and not diagonal)


def _pairs(found: Arrays, stream: Stream, a: int, b: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Weights out of units a and b, and weights into them, in pairs."""
    outwards = [pair for k in stream.readers for pair in zip(found.out_of(k, a), found.out_of(k, b), strict=True)]
    return outwards, [pair for k in stream.writers for pair in zip(found.into(k, a), found.into(k, b), strict=True)]


def _balance(found: Arrays, stream: Stream, a: int, b: int) -> Terms:
    """<weights out of a, out of b> - <into a, into b>."""
    outwards, inwards = _pairs(found, stream, a, b)
    merged: dict[tuple[int, int], Fraction] = {}
    for pair, c in (*_product_terms(outwards, ONE), *_product_terms(inwards, -ONE)):
        merged[pair] = merged.get(pair, Fraction(0)) + c
    return tuple((pair, c) for pair, c in merged.items() if c)


def _balance_formula(network: Network, stream: Stream, a: int, b: int) -> tuple[str, str]:
    """LaTeX of an entry of the balancedness, and of the whole."""
    biased = [k for k in stream.writers if network.biased[k - 1]]
    if isinstance(network, FullyConnected):
        plus = [
            rf"\operatorname{{diag}}(w_{{{k}}})^2" if k in network.diagonal else rf"W_{{{k}}}^\top W_{{{k}}}"
            for k in stream.readers
        ]
        minus = [
            rf"\operatorname{{diag}}(w_{{{k}}})^2" if k in network.diagonal else rf"W_{{{k}}}W_{{{k}}}^\top"
            for k in stream.writers
        ]
        matrix = " - ".join([" + ".join(plus), *minus, *(rf"b_{{{k}}}b_{{{k}}}^\top" for k in biased)])
        return rf"({matrix})_{{{a},{b}}}", rf"D_{{{stream.name[2:]}}} = {matrix}"
    outwards = [rf"\langle W_{{{k}}}^{{(:,{a})}}, W_{{{k}}}^{{(:,{b})}}\rangle" for k in stream.readers]
    inwards = [rf"\langle W_{{{k}}}^{{({a},:)}}, W_{{{k}}}^{{({b},:)}}\rangle" for k in stream.writers]
    return " - ".join([" + ".join(outwards), *inwards, *(f"b_{{{k},{a}}}b_{{{k},{b}}}" for k in biased)]), ""


def balances(found: Arrays) -> Iterator[Law]:
    """D_j entry by entry for linear activations, its diagonal otherwise; one for each channel of a convolution."""
    for stream in streams(found.network):
        for a, b in combinations_with_replacement(range(stream.width), 2):
            terms = _balance(found, stream, a, b) if a == b or stream.linear else ()
            if terms:
                formula, family = _balance_formula(found.network, stream, a + 1, b + 1)
                yield Law(f"{stream.name}[{a + 1},{b + 1}]", terms, found.count, formula, found.symbols, family)


def column_sums(found: Arrays) -> Iterator[Law]:
    """1^T W_n column by column, and 1^T b_n: the outputs of the cross-entropy's derivative sum to 0."""
    depth, last = found.network.depth, found.weights[-1]
    flat = last.reshape(len(last), -1) if last.ndim > 1 else last[:, None][:, :0]  # of a diagonal layer none
    family = rf"\mathbf{{1}}^\top W_{{{depth}}}"
    for column in range(flat.shape[1]):
        terms = tuple(((int(p),), ONE) for p in flat[:, column])
        name = f"1^T W_{depth}[{column + 1}]"
        yield Law(name, terms, found.count, rf"({family})_{{{column + 1}}}", found.symbols, family)
    if found.biases[-1] is not None:
        terms = tuple(((int(p),), ONE) for p in found.biases[-1])
        yield Law(f"1^T b_{depth}", terms, found.count, rf"\mathbf{{1}}^\top b_{{{depth}}}", found.symbols)


def known_laws(found: Arrays, sums: bool) -> tuple[Law, ...]:
    """All of these.

    Args:
        found: the network.
        sums: whether the loss is the cross-entropy.
    """
    return (*balances(found), *(column_sums(found) if sums else ()))


def rotations(found: Arrays) -> Iterator[Rotation]:
    """W_{j+1}^T W_{j+1}' - W_{j+1}'^T W_{j+1} + W_j W_j'^T - W_j' W_j^T above its diagonal, linear activations."""
    for stream in streams(found.network):
        if not stream.linear:
            continue
        turned = [rf"W_{{{k}}}^\top\dot W_{{{k}}} - \dot W_{{{k}}}^\top W_{{{k}}}" for k in stream.readers]
        turned += [rf"W_{{{k}}}\dot W_{{{k}}}^\top - \dot W_{{{k}}}W_{{{k}}}^\top" for k in stream.writers]
        for a in range(stream.width):
            for b in range(a + 1, stream.width):
                outwards, inwards = _pairs(found, stream, a, b)
                terms = tuple((min(p, q), max(p, q), ONE if p < q else -ONE) for p, q in (*outwards, *inwards))
                formula = rf"({' + '.join(turned)})_{{{a + 1},{b + 1}}}"
                yield Rotation(f"J_{stream.name[2:]}[{a + 1},{b + 1}]", terms, formula)
