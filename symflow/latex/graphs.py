"""Contractions as graphs: labels are vertices, matrices are edges, and reduction finds the matrix notation.

Edges in series are a matrix product, parallel edges a Hadamard product; a sum over a loose end is a product with ones.
A parameter vector w that multiplies the rows of a matrix is the matrix diag(w).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import TypeAlias

from symflow.latex.contractions import Contraction, Factor, is_symmetric
from symflow.programs.nodes import Axis, Gate, Identity, Input, Node

ONES = Input("ones", (Axis("ones", 1),), "data", r"\mathbf{1}")
"""The column of ones, of any length."""


@dataclass(frozen=True)
class Piece:
    """A factor of a matrix product: a node, or the Hadamard product of several chains, possibly transposed.

    With `diagonal` it is the diagonal matrix of a vector.
    """

    node: Node | None
    flipped: bool = False
    hadamard: tuple[Chain, ...] = ()
    diagonal: bool = False

    def flip(self) -> Piece:
        """The transpose."""
        if self.diagonal or (self.node is not None and is_symmetric(self.node)):
            return self
        return replace(self, flipped=not self.flipped)


Chain: TypeAlias = tuple[Piece, ...]
"""A matrix product."""


def flip(chain: Chain) -> Chain:
    """The transpose of a product."""
    return tuple(p.flip() for p in reversed(chain))


def flips(chain: Chain) -> int:
    """The number of transposed factors."""
    return sum(p.flipped for p in chain)


@dataclass(frozen=True)
class Edge:
    """A matrix product that leads from the label `u` (rows) to the label `v` (columns)."""

    u: int
    v: int
    chain: Chain

    @property
    def is_identity(self) -> bool:
        """Whether it is an identity alone."""
        return len(self.chain) == 1 and isinstance(self.chain[0].node, Identity)

    def touches(self, label: int) -> bool:
        """Whether the label is one of the two ends."""
        return label in (self.u, self.v)

    def leaving(self, label: int) -> Edge:
        """The edge or its transpose, with the label for its rows."""
        return self if self.u == label else Edge(self.v, self.u, flip(self.chain))


@dataclass
class Component:
    """A connected part of a contraction.

    Attributes:
        edges: matrices; a vector is an edge to a negative label of its own.
        others: factors that are not edges (three or more axes, or the same label twice).
        free: labels of the result.
    """

    edges: list[Edge]
    others: list[Factor]
    free: set[int]

    @property
    def _pinned(self) -> set[int]:
        """Labels that must stay: those of the result and those that occur in `others`."""
        return self.free.union(*(used for _, used in self.others))

    def _degree(self) -> Counter[int]:
        return Counter(i for e in self.edges for i in (e.u, e.v))

    def _closed(self) -> bool:
        return not self._pinned and all(e.u >= 0 and e.v >= 0 for e in self.edges)

    @property
    def is_walk(self) -> bool:
        """Whether the edges are one closed walk, a trace."""
        return bool(self.edges) and self._closed() and all(d == 2 for d in self._degree().values())

    @property
    def is_diagonal_sum(self) -> bool:
        """Whether this is the trace sum_i x_ii of a single node."""
        if self.edges or len(self.others) != 1:
            return False
        used = self.others[0][1]
        return len(used) == 2 and used[0] == used[1] not in self.free

    @property
    def is_vector_product(self) -> bool:
        """Whether this is one product from a row vector to a column vector."""
        return not self.others and len(self.edges) == 1 and max(self.edges[0].u, self.edges[0].v) < 0

    def reduce(self, ends: Iterator[int]) -> None:
        """Series and parallel reduction, as far as it goes; a closed walk keeps its edges.

        Args:
            ends: fresh negative labels.
        """
        while not self.is_walk and (self._parallel() or self._series() or self._leaf(ends) or self._scaling()):
            pass

    def walk(self) -> Chain:
        """The chain once around a closed walk."""
        first, *rest = self.edges
        chain, here = first.chain, first.v
        while rest:
            at = next(n for n, e in enumerate(rest) if e.touches(here))
            e = rest.pop(at).leaving(here)
            chain, here = chain + e.chain, e.v
        return chain

    def _parallel(self) -> bool:
        """Joins edges between the same labels; of a whole closed component one remains apart, as <A o B, C>."""
        together: dict[frozenset[int], list[Edge]] = {}
        for e in self.edges:
            together.setdefault(frozenset((e.u, e.v)), []).append(e)
        whole = self._closed() and len(together) == 1
        for group in together.values():
            if len(group) < (3 if whole else 2):
                continue
            u = group[0].u
            group.sort(key=lambda e: (len(e.chain), not isinstance(e.chain[0].node, Gate)))
            joined = [e.leaving(u) for e in (group[:-1] if whole else group)]
            v, chains = joined[0].v, tuple(e.chain for e in joined)
            flipped = tuple(map(flip, chains))
            if sum(map(flips, chains)) > sum(map(flips, flipped)):
                u, v, chains = v, u, flipped
            kept = [e for e in self.edges if e not in group] + group[len(joined) :]
            self.edges = [*kept, Edge(u, v, (Piece(None, hadamard=chains),))]
            return True
        return False

    def _series(self) -> bool:
        """Joins the two edges at a summed label."""
        label = self._summed_label(2)
        if label is None:
            return False
        a, b = (e for e in self.edges if e.touches(label))
        left, right = a.leaving(label), b.leaving(label)
        joined = Edge(left.v, right.v, flip(left.chain) + right.chain)
        self.edges = [e for e in self.edges if e is not a and e is not b] + [joined]
        return True

    def _leaf(self, ends: Iterator[int]) -> bool:
        """Adds the ones that sum over a summed label of a single edge."""
        label = self._summed_label(1)
        if label is None:
            return False
        self.edges.append(Edge(label, next(ends), (Piece(ONES),)))
        return True

    def _scaling(self) -> bool:
        """Multiplies another edge at the label of a parameter vector by the diagonal matrix, or by it a vector."""
        for vector in self.edges:
            label = max(vector.u, vector.v)
            node = vector.chain[0].node
            if min(vector.u, vector.v) >= 0 or len(vector.chain) > 1 or not _is_scaling(node):
                continue
            others = [e for e in self.edges if e is not vector and e.touches(label) and not e.is_identity]
            if not others:
                continue
            other = max(others, key=lambda e: min(e.u, e.v) >= 0)  # matrices first
            rest = other.leaving(label)
            if rest.v >= 0:
                chain: Chain = (Piece(node, diagonal=True), *rest.chain)
            else:
                chain = (Piece(None, hadamard=(vector.leaving(label).chain, rest.chain)),)
            kept = [e for e in self.edges if e is not vector and e is not other]
            self.edges = [*kept, Edge(label, rest.v, chain)]
            return True
        return False

    def _summed_label(self, degree: int) -> int | None:
        """The first summed label with this many edges."""
        pinned = self._pinned
        return next((i for i, d in self._degree().items() if d == degree and i >= 0 and i not in pinned), None)


def _is_scaling(node: Node | None) -> bool:
    """Whether a vector is that of a diagonal layer, its direction or velocity."""
    return isinstance(node, Input) and len(node.axes) == 1 and node.role in ("parameter", "direction", "state")


def components(contraction: Contraction) -> list[Component]:
    """The connected parts of a contraction (without its scalar factors), reduced."""
    ends = count(-1, -1)
    result = []
    for factors in _connected([f for f in contraction.factors if f[1]]):
        edges, others = [], []
        for x, used in factors:
            if len(used) == 2 and used[0] != used[1]:
                edges.append(Edge(used[0], used[1], (Piece(x),)))
            elif len(used) == 1:
                edges.append(Edge(used[0], next(ends), (Piece(x),)))
            else:
                others.append((x, used))
        part = Component(edges, others, {i for _, used in factors for i in used if i < contraction.rank})
        part.reduce(ends)
        result.append(part)
    return result


def _connected(factors: Sequence[Factor]) -> list[list[Factor]]:
    """The factors in groups that share no labels."""
    groups: list[list[Factor]] = []
    for x, used in factors:
        merged, apart = [], []
        for g in groups:
            if any(set(used) & set(other) for _, other in g):
                merged += g
            else:
                apart.append(g)
        groups = [*apart, [*merged, (x, used)]]
    return groups
