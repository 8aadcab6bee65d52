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
        """The weights out of it."""
        return [*map(int, self.weights[layer][:, unit].reshape(-1))]


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


def _balance(found: Arrays, layer: int, a: int, b: int) -> Terms:
    """<weights out of a, out of b> - <into a, into b>."""
    outwards = list(zip(found.out_of(layer, a), found.out_of(layer, b), strict=True))
    inwards = list(zip(found.into(layer, a), found.into(layer, b), strict=True))
    return (*_product_terms(outwards, ONE), *_product_terms(inwards, -ONE))


def _balance_formula(network: Network, layer: int, a: int, b: int, biased: bool) -> tuple[str, str]:
    """LaTeX of an entry of the balancedness, and of the whole."""
    upper, lower = f"W_{{{layer + 1}}}", f"W_{{{layer}}}"
    bias = rf" - b_{{{layer}}}b_{{{layer}}}^\top" if biased else ""
    if isinstance(network, FullyConnected):
        matrix = rf"{upper}^\top {upper} - {lower}{lower}^\top{bias}"
        return rf"({matrix})_{{{a},{b}}}", rf"D_{{{layer}}} = {matrix}"
    outwards = rf"\langle {upper}^{{(:,{a})}}, {upper}^{{(:,{b})}}\rangle"
    inwards = rf"\langle {lower}^{{({a},:)}}, {lower}^{{({b},:)}}\rangle"
    return rf"{outwards} - {inwards}" + (rf" - b_{{{layer},{a}}}b_{{{layer},{b}}}" if biased else ""), ""


def balances(found: Arrays) -> Iterator[Law]:
    """D_j entry by entry for linear activations, its diagonal otherwise; one for each channel of a convolution."""
    network = found.network
    for layer in range(1, network.depth):
        width = len(found.weights[layer - 1])
        for a, b in combinations_with_replacement(range(width), 2):
            if a == b or network.smooth:
                formula, family = _balance_formula(network, layer, a + 1, b + 1, network.biased[layer - 1])
                name, terms = f"D_{layer}[{a + 1},{b + 1}]", _balance(found, layer, a, b)
                yield Law(name, terms, found.count, formula, found.symbols, family)


def column_sums(found: Arrays) -> Iterator[Law]:
    """1^T W_n column by column, and 1^T b_n: the outputs of the cross-entropy's derivative sum to 0."""
    depth, last = found.network.depth, found.weights[-1]
    flat = last.reshape(len(last), -1)
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
    if not found.network.smooth:
        return
    for layer in range(1, found.network.depth):
        width = len(found.weights[layer - 1])
        u, v = f"W_{{{layer + 1}}}", f"W_{{{layer}}}"
        for a in range(width):
            for b in range(a + 1, width):
                pairs = [
                    *zip(found.out_of(layer, a), found.out_of(layer, b), strict=True),
                    *zip(found.into(layer, a), found.into(layer, b), strict=True),
                ]
                terms = tuple((min(p, q), max(p, q), ONE if p < q else -ONE) for p, q in pairs)
                formula = (
                    rf"({u}^\top\dot {u} - \dot {u}^\top {u} + {v}\dot {v}^\top - \dot {v}{v}^\top)"
                    rf"_{{{a + 1},{b + 1}}}"
                )
                yield Rotation(f"J_{layer}[{a + 1},{b + 1}]", terms, formula)
