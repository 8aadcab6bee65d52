"""Matrix products and closed walks in matrix notation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import sympy

from symflow.latex.contractions import is_symmetric
from symflow.latex.fragments import Part, parenthesized, powerable, transposed, unbracketed
from symflow.latex.graphs import ONES, Chain, Component, Piece, flip, flips
from symflow.programs.nodes import Identity, Input, Node


@dataclass(frozen=True)
class Products:
    """Prints products.

    Attributes:
        layer: the numbers j of the weights W_j; consecutive ones are printed as W_{j':j}.
        gradient: the node that comes first in an inner product, if any.
        symbol: prints a node as a factor.
    """

    layer: Mapping[Node, int]
    gradient: Node | None
    symbol: Callable[[Node], str]

    # Products.

    def parts(self, chain: Chain) -> list[Part]:
        """A product as parts between which a line may break."""
        if len(chain) == 1 and chain[0].node is None:
            first, *rest = self._hadamard([flip(c) if chain[0].flipped else c for c in chain[0].hadamard])
            return [Part(first), *(Part(rf"\odot {t}", "") for t in rest)]
        texts = [self._run(r) for r in self._runs(chain)]
        return [Part(rf"{t}\," if t.endswith(r"\varphi") else t) for t in texts[:-1]] + [Part(texts[-1])]

    def text(self, chain: Chain) -> str:
        """A product on one line."""
        return " ".join(p.text for p in self.parts(chain))

    def bracket(self, chain: Chain) -> str:
        """A product in brackets."""
        return parenthesized(self.text(chain))

    def factor(self, chain: Chain) -> str:
        """A product as a factor of a Hadamard or Kronecker product."""
        single = len(self._runs(chain)) == 1 and chain[0].node is not None
        return self._run(chain) if single else self.bracket(chain)

    def _joins(self, a: Piece, b: Piece) -> bool:
        """Whether two neighbours are consecutive weights, W_{j+1} W_j or its transpose."""
        if a.node is None or b.node is None or a.flipped != b.flipped or a.diagonal or b.diagonal:
            return False
        i, j = self.layer.get(a.node), self.layer.get(b.node)
        return i is not None and j is not None and i - j == (-1 if a.flipped else 1)

    def _runs(self, chain: Chain) -> list[Chain]:
        """The chain, cut between factors that do not print as one W_{j':j}."""
        runs: list[Chain] = []
        for p in chain:
            if runs and self._joins(runs[-1][-1], p):
                runs[-1] = (*runs[-1], p)
            else:
                runs.append((p,))
        return runs

    def _run(self, run: Chain) -> str:
        """One factor of a product."""
        first = run[0]
        if len(run) > 1:
            layers = [self.layer[p.node] for p in run if p.node is not None]
            text = f"W_{{{max(layers)}:{min(layers)}}}"
        elif first.node is not None:
            text = self.symbol(first.node)
            text = rf"\operatorname{{diag}}({text})" if first.diagonal else text
        else:
            factors = self._hadamard(first.hadamard)
            text = factors[0] if len(factors) == 1 else "(" + r" \odot ".join(factors) + ")"
        return transposed(text) if first.flipped else text

    def _hadamard(self, chains: Sequence[Chain]) -> list[str]:
        """The factors of a Hadamard product; equal ones become a power."""
        factors = [(self.factor(c), n) for c, n in Counter(chains).items()]
        return [text if n == 1 else rf"{powerable(text)}^{{\odot {n}}}" for text, n in factors]

    # Contractions without free labels.

    def closed(self, part: Component) -> list[Part] | None:
        """A trace, an inner product or a squared norm; None for any other component."""
        if part.is_walk:
            return self._walk(part.walk())
        if part.is_diagonal_sum:
            x = part.others[0][0]
            size = f"_{{{sympy.latex(x.axes[0].size)}}}" if isinstance(x, Identity) else ""
            return [_trace(self.symbol(x) + size)]
        if part.is_vector_product:
            first, *others = part.edges[0].chain
            return self._inner((first.flip(),), tuple(others))
        return None

    def total(self, part: Component) -> list[Part] | None:
        """The sum of all entries of a matrix; None for any other component. It must stand alone in its term."""
        if not part.is_vector_product:
            return None
        chain = part.edges[0].chain
        return self.parts(chain) if len(chain) > 2 and chain[0].node is chain[-1].node is ONES else None

    def _walk(self, walk: Chain) -> list[Part]:
        """The trace of a product, as a squared norm or an inner product where it has two or more factors."""
        start = next((n for n in range(len(walk)) if not self._joins(walk[n - 1], walk[n])), 0)
        runs = self._runs(walk[start:] + walk[:start])
        if len(runs) == 1:
            return [_trace(self.text(runs[0]))]
        half = _square_root(runs)
        if half is not None:
            return [Part(rf"\|{self.text(half)}\|_F^2")]
        alone, rest = self._split(runs)
        if self.gradient is not None and alone[0].node is self.gradient:
            return self._inner(alone, rest)
        return self._inner(rest, alone)

    def _inner(self, a: Chain, b: Chain) -> list[Part]:
        left, right = (unbracketed(self.text(c)) for c in (a, b))
        return [Part(rf"\langle {left},"), Part(rf"{right}\rangle", "")]

    def _split(self, runs: Sequence[Chain]) -> tuple[Chain, Chain]:
        """The trace of a product as <rest, alone>: the best factor to stand alone, and the others."""

        def ways() -> Iterator[tuple[tuple[int, int, int], Chain, Chain]]:
            for n, run in enumerate(runs):
                rest = _product([*runs[n + 1 :], *runs[:n]])
                for alone, other in ((run, flip(rest)), (flip(run), rest)):
                    yield (self._preference(run, runs), flips(alone) + flips(other), n), alone, other

        return min(ways(), key=lambda way: way[0])[1:]

    def _preference(self, run: Chain, runs: Sequence[Chain]) -> int:
        """Which factor of a closed walk stands alone in the inner product: small is better."""
        x = run[0].node
        if self.gradient is not None and x is self.gradient:
            return 0
        if x is not None and is_symmetric(x):
            return 9
        if sum(r in (run, flip(run)) for r in runs) > 1:
            return 1
        if x is None:
            return 6
        if not isinstance(x, Input):
            return 2
        return {"data": 3, "parameter": 4}.get(x.role, 5)


def _trace(text: str) -> Part:
    return Part(rf"\operatorname{{Tr}}({text})")


def _product(runs: Sequence[Chain]) -> Chain:
    return tuple(p for run in runs for p in run)


def _square_root(runs: Sequence[Chain]) -> Chain | None:
    """A chain C with Tr(C C^T) equal to the closed walk, with as few transposes as possible."""
    if len(runs) % 2:
        return None
    middle = len(runs) // 2
    for n in range(middle):
        turned = [*runs[n:], *runs[:n]]
        half = _product(turned[:middle])
        if half == flip(_product(turned[middle:])):
            return min(half, flip(half), key=flips)
    return None
