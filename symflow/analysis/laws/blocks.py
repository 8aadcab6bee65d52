"""Parts of the parameters that no output joins: their vector fields commute, and the Lie algebra is a direct sum."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from symflow.analysis.laws.polynomials import System


def joined_parts(count: int, groups: Iterable[Sequence[int]]) -> list[list[int]]:
    """0, ..., count - 1 in the finest parts such that no group is divided, each in ascending order."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    edges = [(group[0], other) for group in groups for other in group[1:]]
    rows, columns = zip(*edges, strict=True) if edges else ((), ())
    number, labels = connected_components(coo_matrix(([1] * len(edges), (rows, columns)), (count, count)), False)
    parts: list[list[int]] = [[] for _ in range(number)]
    for i, label in enumerate(labels):
        parts[label].append(i)
    return parts


@dataclass(frozen=True)
class Block:
    """Parameters, and the potentials that depend on them alone.

    Attributes:
        variables: positions in theta, ascending.
        potentials: positions in the system.
    """

    variables: tuple[int, ...]
    potentials: tuple[int, ...]


def blocks(system: System) -> list[Block]:
    """The finest parts; parameters that no potential depends on are parts of their own."""
    depends = [[p for p, slope in enumerate(gradient) if slope != 0] for gradient in system.gradients]
    parts = joined_parts(system.parameters, depends)
    return [Block(tuple(part), tuple(i for i, v in enumerate(depends) if v and v[0] in part)) for part in parts]


def restricted(system: System, block: Block) -> System:
    """The system with the potentials of one block."""
    kept = tuple(system.potentials[i] for i in block.potentials)
    return System(system.ring, system.parameters, kept, system.auxiliary)
