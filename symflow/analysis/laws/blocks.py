"""Parts of the parameters that no output joins: their vector fields commute, and the Lie algebra is a direct sum."""

from __future__ import annotations

from dataclasses import dataclass

from symflow.analysis.laws.polynomials import System


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
    depends = [
        [p for p, slope in enumerate(gradient) if slope != 0] for gradient in system.gradients
    ]
    parent = list(range(system.parameters))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for variables in depends:
        for p in variables[1:]:
            parent[root(p)] = root(variables[0])
    parts: dict[int, list[int]] = {}
    for p in range(system.parameters):
        parts.setdefault(root(p), []).append(p)
    return [
        Block(tuple(part), tuple(i for i, v in enumerate(depends) if v and root(v[0]) == name))
        for name, part in sorted(parts.items(), key=lambda item: item[1])
    ]


def restricted(system: System, block: Block) -> System:
    """The system with the potentials of one block."""
    return System(
        system.ring, system.parameters, tuple(system.potentials[i] for i in block.potentials), system.auxiliary
    )
