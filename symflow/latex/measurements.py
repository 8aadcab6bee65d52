r"""Matrix sensing as papers write it: \mathcal{A}(W)_i = <A_i, W> and its adjoint \mathcal{A}^*(r) = sum_i r_i A_i."""

from __future__ import annotations

from collections.abc import Sequence

from symflow.latex.operator_node import Operator
from symflow.latex.rules import Rule, applied
from symflow.latex.windows import Linear
from symflow.networks.batches import SAMPLE
from symflow.networks.matrix_data import SENSING
from symflow.programs.nodes import Einsum, Input, Node, einsum

_NOTES = (r"\mathcal{A}(W)_i := \langle A_i, W\rangle", r"\mathcal{A}^{*}(r) = \textstyle\sum_i r_i A_i")
MEASURED = Linear(
    Operator(r"\mathcal{A}(", _NOTES[:1], linear=True), Operator(r"\mathcal{A}^{*}(", _NOTES, linear=True)
)


def measurement(x: Einsum) -> Rule | None:
    """How a product with the matrices A_i is rewritten; None where it is neither A(W) nor contains A^*(r)."""
    at = next((n for n, a in enumerate(x.args) if _measures(a)), None)
    if at is None:
        return None
    *outer, sample = x.labels[at]
    others = [(a, used) for n, (a, used) in enumerate(zip(x.args, x.labels, strict=True)) if n != at]
    nodes = tuple(a for a, _ in others)
    if sample in x.out:
        if x.out != (sample,) or any(sample in used for _, used in others):
            return None

        def values(new: Sequence[Node]) -> Node:
            inside = einsum(new, [used for _, used in others], tuple(outer))
            return applied(MEASURED.direct, inside, x.axes)

        return nodes, values
    weights = [n for n, (_, used) in enumerate(others) if used == (sample,)]
    if len(weights) != 1 or sum(sample in used for _, used in others) != 1:
        return None

    def sums(new: Sequence[Node]) -> Node:
        adjoint = applied(MEASURED.adjoint, new[weights[0]], x.args[at].axes[:-1])
        rest = [(y, used) for n, (y, (_, used)) in enumerate(zip(new, others, strict=True)) if n != weights[0]]
        return einsum([adjoint, *(y for y, _ in rest)], [tuple(outer), *(used for _, used in rest)], x.out)

    return nodes, sums


def _measures(x: Node) -> bool:
    """Whether a node is the stack of the matrices A_i."""
    return isinstance(x, Input) and x.name == SENSING and [a.name for a in x.axes[2:]] == [SAMPLE]
