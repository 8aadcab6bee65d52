"""The training loss over another number of samples, and with a weight for each: what mini-batches are evaluated on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from symflow.caching import kept
from symflow.errors import ProblemError
from symflow.networks.objective import Objective
from symflow.programs.nodes import Add, Axis, Const, Einsum, Input, Node, add, einsum, scale
from symflow.programs.program import Program, transform

SAMPLE = "sample"
"""The name of the axis of samples, the last one of every array of data."""


def sample_count(objective: Objective) -> int:
    """N.

    Raises:
        ProblemError: f is not a mean over samples that are known.
    """
    sizes = {x.axes[-1].size for x in objective.data if x.axes and x.axes[-1].name == SAMPLE}
    if len(sizes) != 1:
        raise ProblemError("batches need an objective that is a mean over samples, got one without; leave them out")
    (size,) = sizes
    assert isinstance(size, int)
    return size


@dataclass(frozen=True, eq=False)
class BatchLoss:
    """f over the samples of a batch, which are given when it is evaluated.

    Attributes:
        objective: the mean, or the weighted sum, of the loss over `size` samples, whose data are not bound.
        data: for each of its data inputs the samples to choose from, along the last axis.
        weights: the input of the weights of the samples; None where it is their mean.
    """

    objective: Objective
    data: Mapping[Input, np.ndarray]
    weights: Input | None


@kept
def batch_loss(objective: Objective, size: int, weighted: bool = False) -> BatchLoss:
    """f over `size` samples.

    Args:
        objective: f, a mean over N samples.
        size: of a batch.
        weighted: whether each sample has a weight, an input of its own, in place of 1 / `size`.

    Raises:
        ProblemError: f is not a mean over samples.
    """
    count = sample_count(objective)
    old, new = Axis(SAMPLE, count), Axis(SAMPLE, size)

    def fitted(axes: tuple[Axis, ...]) -> tuple[Axis, ...]:
        return tuple(new if a == old else a for a in axes)

    drawn = {x: Input(x.name, fitted(x.axes), x.role, x.latex) for x in objective.data}

    def replaced(x: Node, done: Mapping[Node, Node]) -> Node | None:
        if isinstance(x, Const) and old in x.axes:
            return Const(x.value, fitted(x.axes))
        if isinstance(x, Einsum) and old in x.broadcast.values():  # a bias, the same for all samples
            kept_axes = dict(zip(x.broadcast, fitted(tuple(x.broadcast.values())), strict=True))
            return einsum([done[a] for a in x.args], x.labels, x.out, kept_axes)
        return drawn.get(x) if isinstance(x, Input) else None

    loss = scale(count, transform([objective.loss], replaced)[objective.loss])  # now the sum over the batch
    weights = Input("sample_weights", (new,), "data", "w") if weighted else None
    loss = scale(Fraction(1, size), loss) if weights is None else _weighted(loss, weights, new)
    added = () if weights is None else (weights,)
    program = Program((*objective.parameters, *drawn.values(), *added), {"f": loss})
    data = {drawn[x]: a for x, a in objective.data.items()}
    return BatchLoss(replace(objective, program=program, data={}), data, weights)


def _weighted(x: Node, weights: Input, sample: Axis) -> Node:
    """A sum over samples with their weights: every product that sums over them gets the factor."""
    if isinstance(x, Add):
        return add([(c, _weighted(y, weights, sample)) for c, y in x.terms])
    if isinstance(x, Einsum) and not x.axes:
        label = {a: i for y, used in zip(x.args, x.labels, strict=True) for a, i in zip(y.axes, used, strict=True)}
        if sample in label:
            return einsum((*x.args, weights), (*x.labels, (label[sample],)), ())
    raise ProblemError("batches of unequal size need a loss that is a sum over samples, got another one")
