"""Hessian blocks as a program of O(depth^2) nodes.

The derivative of every node of the gradient with respect to one weight matrix W_k is kept *factored*: a short sum of
products of arrays, in which the two labels of W_k's entry are carried along and identities relabel instead of being
multiplied. For linear networks this gives the block structure of R7; products W_{j':j} are shared between blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import count
from math import prod

from symflow.errors import BudgetError
from symflow.programs.nodes import (
    Add,
    Axis,
    Const,
    Einsum,
    Gate,
    Gather,
    Identity,
    Input,
    Labels,
    Node,
    ScatterAdd,
    add,
    einsum,
    gather,
    is_zero,
    scatter_add,
    split_scale,
    zero,
)
from symflow.programs.program import topological
from symflow.programs.rules.einsum import Local
from symflow.programs.rules.leaves import Leaf

Factor = tuple[Node, Labels]


@dataclass(frozen=True)
class Term:
    """coefficient * product of factors, with `own` the labels of the node's axes; other labels are the direction's."""

    coefficient: Fraction
    factors: tuple[Factor, ...]
    own: Labels


def _size(axes: Sequence[Axis]) -> int:
    return prod(a.size if isinstance(a.size, int) else 8 for a in axes)


def contract(factors: Sequence[Factor], keep: set[int]) -> tuple[Fraction, list[Factor]]:
    """Sums over every label not in `keep`, pairwise and cheapest first; factors without such labels stay apart."""
    work = list(factors)
    total = Fraction(1)
    while True:
        occurrences: dict[int, list[int]] = {}
        for position, (_, labels) in enumerate(work):
            for label in set(labels):
                occurrences.setdefault(label, []).append(position)
        summed = [label for label in occurrences if label not in keep]
        if not summed:
            return total, work
        best: tuple[int, tuple[int, ...]] | None = None
        for label in summed:
            where = occurrences[label]
            pairs = [(where[0],)] if len(where) == 1 else [(i, j) for n, i in enumerate(where) for j in where[n + 1 :]]
            for pair in pairs:
                axis_of = {i: a for p in pair for i, a in zip(work[p][1], work[p][0].axes, strict=True)}
                cost = _size(tuple(axis_of.values()))
                if best is None or cost < best[0]:
                    best = (cost, pair)
        assert best is not None
        chosen = best[1]
        rest = [f for position, f in enumerate(work) if position not in chosen]
        alive = keep.union(*(set(labels) for _, labels in rest))
        out: list[int] = []
        for p in chosen:
            out.extend(i for i in work[p][1] if i in alive and i not in out)
        factor, node = split_scale(einsum([work[p][0] for p in chosen], [work[p][1] for p in chosen], tuple(out)))
        total *= factor
        work = [*rest, (node, tuple(out))]


class Directional:
    """Factored derivatives of nodes along the entries of one parameter, or of any node that others are cut off at."""

    def __init__(self, parameter: Node) -> None:
        self.fresh = count(len(parameter.axes))
        self.free = tuple(range(len(parameter.axes)))
        self.terms: dict[Node, tuple[Term, ...]] = {}
        own = tuple(next(self.fresh) for _ in parameter.axes)
        deltas = tuple((Identity((a, a)), (i, p)) for a, i, p in zip(parameter.axes, own, self.free, strict=True))
        self.terms[parameter] = (Term(Fraction(1), deltas, own),)

    def of(self, x: Node) -> tuple[Term, ...]:
        if x in self.terms:
            return self.terms[x]
        result: tuple[Term, ...] = ()
        if isinstance(x, Leaf | Gate):
            pass
        elif isinstance(x, Add):
            result = self._merge([Term(c * t.coefficient, t.factors, t.own) for c, a in x.terms for t in self.of(a)])
        elif isinstance(x, Einsum):
            result = self._merge([self._product(x, i, t) for i, a in enumerate(x.args) for t in self.of(a)])
        elif isinstance(x, Local):
            local = x.local()
            result = self._merge([self._product(local, 1, t) for t in self.of(local.args[1])])
        elif isinstance(x, Gather):
            result = self._merge([self._gathered(x, t) for t in self.of(x.x)])
        elif isinstance(x, ScatterAdd):
            result = self._merge([self._scattered(x, t) for t in self.of(x.x)])
        else:
            raise TypeError(f"no block rule for {type(x).__name__}")
        self.terms[x] = result
        return result

    def _product(self, x: Einsum, position: int, term: Term) -> Term:
        """The term of argument `position`, multiplied by the other arguments and contracted."""
        here: dict[int, int] = {}
        factors = list(term.factors)
        for k, label, axis in zip(x.labels[position], term.own, x.args[position].axes, strict=True):
            if k in here:  # a diagonal: both labels of the term are one
                factors.append((Identity((axis, axis)), (here[k], label)))
            else:
                here[k] = label
        for i, (a, used) in enumerate(zip(x.args, x.labels, strict=True)):
            if i != position:
                for k in used:
                    if k not in here:
                        here[k] = next(self.fresh)
                factors.append((a, tuple(here[k] for k in used)))
        # A label of the output that only a broadcast supplies needs a factor 1 to carry its axis.
        for k, axis in zip(x.out, x.axes, strict=True):
            if k not in here:
                here[k] = next(self.fresh)
                factors.append((Const(Fraction(1), (axis,)), (here[k],)))
        own = tuple(here[k] for k in x.out)
        keep = set(own) | set(self.free)
        coefficient, contracted = contract(factors, keep)
        return Term(term.coefficient * coefficient, tuple(contracted), own)

    def _gathered(self, x: Gather, term: Term) -> Term:
        """Reading distributes over products: every factor that carries the label is read (padding makes all zero)."""
        label = term.own[x.position]
        fresh = tuple(next(self.fresh) for _ in x.table.targets)
        factors: list[Factor] = []
        for f, used in term.factors:
            if label in used:
                at = used.index(label)
                f, used = gather(f, x.table, at), used[:at] + fresh + used[at + 1 :]
            factors.append((f, used))
        own = term.own[: x.position] + fresh + term.own[x.position + 1 :]
        return Term(term.coefficient, tuple(factors), own)

    def _scattered(self, x: ScatterAdd, term: Term) -> Term:
        """Sums do not distribute: the factors with the summed labels are multiplied first."""
        end = x.position + len(x.table.targets)
        summed = term.own[x.position : end]
        touched = [f for f in term.factors if not set(summed).isdisjoint(f[1])]
        others = tuple(f for f in term.factors if set(summed).isdisjoint(f[1]))
        rest = tuple(dict.fromkeys(i for _, used in touched for i in used if i not in summed))
        joined = einsum([f for f, _ in touched], [used for _, used in touched], summed + rest)
        label = next(self.fresh)
        factor, node = split_scale(scatter_add(joined, x.table, 0))
        own = (*term.own[: x.position], label, *term.own[end:])
        return Term(term.coefficient * factor, (*others, (node, (label, *rest))), own)

    def _merge(self, terms: list[Term]) -> tuple[Term, ...]:
        """Adds up terms of equal factors, after giving them common labels for the node's axes."""
        merged: dict[tuple[Factor, ...], Term] = {}
        for t in terms:
            if any(is_zero(f) for f, _ in t.factors):
                continue
            key_labels: dict[int, int] = {label: -1 - n for n, label in enumerate(t.own)}
            key = tuple(
                sorted(
                    ((f, tuple(key_labels.get(i, i) for i in used)) for f, used in t.factors),
                    key=lambda pair: (pair[0].serial, pair[1]),
                )
            )
            old = merged.get(key)
            merged[key] = t if old is None else Term(old.coefficient + t.coefficient, old.factors, old.own)
        return tuple(t for t in merged.values() if t.coefficient != 0)


def _assemble(terms: tuple[Term, ...], free: Labels, axes: tuple[Axis, ...]) -> Node:
    """The dense array of a factored derivative: axes of the node, then axes of the parameter."""
    if not terms:
        return zero(axes)
    summands = []
    for t in terms:
        out = t.own + free
        factors = list(t.factors)
        # Multiply the smaller factors first; the last product is the outer one.
        while len(factors) > 2:
            factors.sort(key=lambda f: _size(f[0].axes))
            (a, i), (b, j), *rest = factors
            joined = tuple(dict.fromkeys(i + j))
            factors = [(einsum((a, b), (i, j), joined), joined), *rest]
        node = einsum([f for f, _ in factors], [used for _, used in factors], out)
        summands.append((t.coefficient, node))
    return add(summands)


def hessian_blocks(gradient: Mapping[Input, Node], parameters: Sequence[Input]) -> dict[tuple[int, int], Node]:
    """The blocks d^2 f / dW_j dW_k for j <= k (counted from 0), each with the axes of W_j followed by those of W_k."""
    return _blocks([gradient[w] for w in parameters], parameters, lambda j, k: j <= k)


def jacobian_blocks(
    outputs: Sequence[Node], arrays: Sequence[Input], budget: int | None = None
) -> dict[tuple[int, int], Node]:
    """The blocks d outputs[j] / d arrays[k], each with the axes of the output followed by those of the array.

    Args:
        outputs: what is differentiated.
        arrays: by what.
        budget: the largest number of factored terms on the way; None for no limit.

    Raises:
        BudgetError: there are more.
    """
    return _blocks(outputs, arrays, lambda j, k: True, budget)


def _blocks(
    outputs: Sequence[Node],
    arrays: Sequence[Input],
    wanted: Callable[[int, int], bool],
    budget: int | None = None,
) -> dict[tuple[int, int], Node]:
    blocks: dict[tuple[int, int], Node] = {}
    order, found = topological(outputs), 0
    for k, x in enumerate(arrays):
        directional = Directional(x)
        for node in order:
            found += len(directional.of(node))
            if budget is not None and found > budget:
                raise BudgetError(f"the derivatives have more than {budget} terms; take a shorter program")
        for j, y in enumerate(outputs):
            if wanted(j, k):
                blocks[j, k] = _assemble(directional.of(y), directional.free, y.axes + x.axes)
    return blocks
