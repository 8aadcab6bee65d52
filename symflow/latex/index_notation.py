"""Contractions without matrix notation: entry by entry, with explicit sums."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence, Set

from symflow.latex.contractions import Contraction
from symflow.latex.fragments import Part
from symflow.latex.graphs import ONES, Chain, Component, Edge, Piece, flip, flips
from symflow.latex.products import Products
from symflow.programs.nodes import Axis, Const, Identity, Labels


def index_letters(axes: Sequence[Axis], reserved: Set[str]) -> list[str]:
    """Index letters of the axes of a result; samples are called s."""
    plain = (a for a in ("abpquvwxyz" if len(axes) == 4 else "ijpquvwxyz") if a not in reserved)
    samples = (a for a in "stuv" if a not in reserved)
    return [next(samples) if a.name == "sample" else next(plain) for a in axes]


def entry_parts(
    contraction: Contraction,
    components: Sequence[Component],
    letters: Sequence[str],
    reserved: Set[str],
    products: Products,
) -> list[Part]:
    """One entry of a contraction.

    Args:
        contraction: what is printed.
        components: its parts that have free labels or no matrix notation.
        letters: index letters of its axes.
        reserved: letters that mean something else.
        products: prints matrix products.
    """
    factors = [f for c in components for f in _factors(c)]
    summed = dict.fromkeys(i for _, used in factors for i in used if i >= contraction.rank)
    name = dict(enumerate(letters))
    name.update(_summation_letters(contraction, summed, reserved | set(letters)))
    outside = [f for f in factors if summed.keys().isdisjoint(f[1])]
    outside.sort(key=lambda f: not isinstance(f[0][0].node, Identity))
    parts = [Part(t) for t in (_entry(*f, name, products) for f in outside) if t]
    if summed:
        parts.append(Part(rf"\sum_{{{','.join(sorted(name[i] for i in summed))}}}"))
        inside = [t for t in (_entry(*f, name, products) for f in factors if f not in outside) if t]
        first, *others = inside or ["1"]
        parts += [Part(first, ""), *map(Part, others)]
    return parts


def _factors(component: Component) -> Iterator[tuple[Chain, Labels]]:
    """Products and the labels of their ends; a Hadamard product is several factors."""
    todo = list(component.edges)
    while todo:
        e = todo.pop(0)
        piece = e.chain[0]
        if len(e.chain) == 1 and piece.hadamard:
            u, v = (e.v, e.u) if piece.flipped else (e.u, e.v)
            todo = [Edge(u, v, c) for c in piece.hadamard] + todo
        else:
            yield e.chain, (e.u, e.v)
    for x, used in component.others:
        yield (Piece(x),), used


def _summation_letters(contraction: Contraction, summed: Mapping[int, None], taken: Set[str]) -> dict[int, str]:
    samples = {i for x, used in contraction.factors for i, a in zip(used, x.axes, strict=True) if a.name == "sample"}
    name: dict[int, str] = {}
    for i in summed:
        letters = "stuv" if i in samples else "klmruvcdeghnoxyz"
        primed = (letter + primes for primes in ("", "'", "''", "'''") for letter in letters)
        name[i] = next(p for p in primed if p not in taken and p not in name.values())
    return name


def _entry(chain: Chain, used: Labels, name: Mapping[int, str], products: Products) -> str:
    """One entry of a matrix product or of an array; nothing for a one."""
    labels = [i for i in used if i >= 0]
    x = chain[0].node if len(chain) == 1 else None
    if isinstance(x, Const) or x is ONES:
        return ""
    if x is not None:
        text = products.symbol(x)
        if chain[0].flipped:
            labels.reverse()
    else:
        if len(labels) == 2:
            ways = [(chain, labels), (flip(chain), labels[::-1])]
            chain, labels = min(ways, key=lambda way: (flips(way[0]), way[1]))
        elif used[0] < 0:
            chain = flip(chain)
        text = products.bracket(chain)
    shown = "".join(name[i] for i in labels)
    if isinstance(x, Identity):
        return rf"\delta_{{{shown}}}"
    return f"{text}_{{{shown}}}" if re.fullmatch(r"[A-Za-z]|\(.*\)", text) else f"({text})_{{{shown}}}"
