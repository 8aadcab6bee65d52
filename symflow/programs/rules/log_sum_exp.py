"""log(sum(exp(x))) over an axis, and its derivative, the softmax."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from symflow.programs.rules.add import add
from symflow.programs.rules.arithmetic import Arithmetic, Array
from symflow.programs.rules.axes import Axis, entries
from symflow.programs.rules.einsum import Einsum, Local, broadcast
from symflow.programs.rules.elementwise import apply
from symflow.programs.rules.node import Node


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class LogSumExp(Local):
    """log(sum(exp(x))) over the axis at `position`."""

    x: Node
    position: int

    def shape(self) -> tuple[Axis, ...]:
        return self.x.axes[: self.position] + self.x.axes[self.position + 1 :]

    def rebuild(self, arguments: Sequence[Node]) -> Node:
        return LogSumExp(arguments[0], self.position)

    def local(self) -> Einsum:
        """sum softmax(x) dx."""
        rank = tuple(range(len(self.x.axes)))
        out = rank[: self.position] + rank[self.position + 1 :]
        return Einsum((softmax(self), self.x), (rank, rank), out, self.axes)

    def evaluate(self, values: Sequence[Array], arithmetic: Arithmetic) -> Array:
        return arithmetic.log_sum_exp(values[0], self.position)

    def written_size(self, sizes: Sequence[int]) -> int:
        return -(-entries(self.x.axes) // max(1, entries(self.axes))) * (1 + sizes[0])

    def source(self, names: Sequence[str]) -> str:
        array, at = names[0], self.position
        return f"xp.log(xp.sum(xp.exp({array} - xp.max({array}, {at}, keepdims=True)), {at})) + xp.max({array}, {at})"


def softmax(x: LogSumExp) -> Node:
    """exp(x - logsumexp(x)), the derivative of a LogSumExp node."""
    spread = broadcast(x, x.position, x.x.axes[x.position])
    return apply("exp", add([(1, x.x), (-1, spread)]))
