"""Contractions in canonical order, and forms: their rational linear combinations, in which equal terms merge."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from hashlib import sha256
from itertools import chain, permutations, product
from math import factorial, prod
from typing import TypeAlias
from weakref import WeakKeyDictionary

from symflow.latex.operator_node import Applied
from symflow.programs.nodes import (
    Add,
    Axis,
    Const,
    Einsum,
    Identity,
    Input,
    Labels,
    Map,
    Node,
)
from symflow.programs.program import topological
from symflow.programs.rules.einsum import contract_identities, drop_ones

Factor: TypeAlias = tuple[Node, Labels]


@dataclass(frozen=True)
class Contraction:
    """A product of nodes contracted by labels; labels 0, ..., rank-1 are its axes, the others are summed."""

    factors: tuple[Factor, ...]
    rank: int

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The axes of the result."""
        axis = {i: a for x, used in self.factors for i, a in zip(used, x.axes, strict=True)}
        return tuple(axis[i] for i in range(self.rank))


Form: TypeAlias = dict[Contraction, Fraction]


def atom(x: Node) -> Contraction:
    """The node itself."""
    labels = tuple(range(len(x.axes)))
    return Contraction(((x, labels),), len(labels))


def placed(inner: Contraction, labels: Labels, fresh: Iterator[int]) -> list[Factor]:
    """The factors of a contraction put where an array with these labels stood; its summed labels are renamed."""
    rename: defaultdict[int, int] = defaultdict(lambda: next(fresh), enumerate(labels))
    return [(x, tuple(rename[i] for i in used)) for x, used in inner.factors]


def canonical(factors: Iterable[Factor], out: Labels, axes: Sequence[Axis]) -> Contraction:
    """The contraction with factors and summed labels in an order that does not depend on how it was built.

    Labels are colored by what they join, refined until stable; where that leaves ties, all orders of equal factors
    are tried and the smallest result is taken.
    """
    factors = _simplified(list(factors), out, axes)
    kinds = [(is_symmetric(x), node_key(x)) for x, _ in factors]
    color = _colors(factors, kinds, out)
    groups: dict[_Signature, list[Factor]] = {}
    for factor, kind in zip(factors, kinds, strict=True):
        groups.setdefault(_signature(kind, factor[1], color), []).append(factor)
    ordered = [groups[k] for k in sorted(groups)]
    tied = len(set(color.values())) < len(color) and prod(factorial(len(g)) for g in ordered) <= 720
    orders: Iterable[Sequence[Sequence[Factor]]] = product(*map(permutations, ordered)) if tied else [ordered]
    candidates = (_numbered(chain(*order), out, color) for order in orders)
    best = min(candidates, key=lambda fs: [(node_key(x), used) for x, used in fs])
    return Contraction(best, len(out))


def _simplified(factors: list[Factor], out: Labels, axes: Sequence[Axis]) -> list[Factor]:
    """Factors without needless identities and ones, in which every label of `out` occurs."""
    factors = contract_identities(factors, out)
    # An identity that is left is a diagonal or has labels that no other factor has: unless both are axes of the
    # result it is a column of ones, delta_jj = sum_i delta_ij = 1.
    for at, (x, used) in enumerate(factors):
        if isinstance(x, Identity) and (used[0] == used[1] or not set(used) <= set(out)):
            factors[at] = _ones(x.axes[0], next((i for i in used if i in out), used[0]))
    factors = drop_ones(factors, out)
    present = {i for _, used in factors for i in used}
    factors += [_ones(a, i) for i, a in zip(out, axes, strict=True) if i not in present]
    # Ones that are summed alone are a trace: sum_i 1 = Tr I.
    return [
        (Identity((x.axes[0], x.axes[0])), (i[0], i[0])) if isinstance(x, Const) and i[0] not in out else (x, i)
        for x, i in factors
    ]


def _ones(axis: Axis, label: int) -> Factor:
    return Const(Fraction(1), (axis,)), (label,)


def _colors(factors: Sequence[Factor], kinds: Sequence[_Kind], out: Labels) -> dict[int, int]:
    """A number for each label, equal only for labels that occur in the same way; negative for those of the result."""
    color = {i: 0 for _, used in factors for i in used}
    color.update({i: -1 - n for n, i in enumerate(out)})
    while len(color) - len(out) > 1:
        seen: dict[int, list[tuple[_Signature, int]]] = {i: [] for i in color}
        for (_, used), kind in zip(factors, kinds, strict=True):
            signature = _signature(kind, used, color)
            for at, i in enumerate(used):
                seen[i].append((signature, 0 if kind[0] else at))
        keys = {i: repr((c, sorted(seen[i]))) for i, c in color.items() if c >= 0}
        ranks = {k: n for n, k in enumerate(sorted(set(keys.values())))}
        refined = {i: ranks[keys[i]] if c >= 0 else c for i, c in color.items()}
        if len(set(refined.values())) == len(set(color.values())):
            return refined
        color = refined
    return color


def _numbered(factors: Iterable[Factor], out: Labels, color: Mapping[int, int]) -> tuple[Factor, ...]:
    """The factors in this order, with summed labels numbered as they occur."""
    number = {i: n for n, i in enumerate(out)}
    result = []
    for x, used in factors:
        for i in sorted(used, key=color.__getitem__) if is_symmetric(x) else used:
            number.setdefault(i, len(number))
        labels = tuple(number[i] for i in used)
        result.append((x, tuple(sorted(labels)) if is_symmetric(x) else labels))
    return tuple(result)


_Key: TypeAlias = tuple[int, int, tuple[tuple[int, str], ...]]
_Kind: TypeAlias = tuple[bool, _Key]
"""Whether a factor is symmetric, and its key."""
_Signature: TypeAlias = tuple[bool, _Key, tuple[int, ...]]
_KEYS: WeakKeyDictionary[Node, _Key] = WeakKeyDictionary()


def _signature(kind: _Kind, used: Labels, color: Mapping[int, int]) -> _Signature:
    colors = [color[i] for i in used]
    return *kind, tuple(sorted(colors) if kind[0] else colors)


def is_symmetric(x: Node) -> bool:
    """Whether a matrix equals its transpose by its meaning."""
    return isinstance(x, Identity) or (isinstance(x, Input) and x.name == "Sigma_xx")


def node_key(x: Node) -> _Key:
    """An order of nodes that depends on what they compute alone, not on when they were made."""
    if x not in _KEYS:
        for y in topological([x]):
            if y not in _KEYS:
                _KEYS[y] = _input_key(y) if isinstance(y, Input) else _operation_key(y)
    return _KEYS[x]


def _input_key(x: Input) -> _Key:
    """Parameters first, directions last, numbers in names by value."""
    role = {"parameter": 0, "hyper": 0, "direction": 2}.get(x.role, 1)
    words = [(int(w), "") if w.isdigit() else (-1, w) for w in re.split(r"(\d+)", x.name)]
    return 0, role, tuple(words)


def _operation_key(x: Node) -> _Key:
    """After all inputs, by height; a digest of the operation and its arguments, whose keys are known."""
    inner = [_KEYS[a] for a in x.arguments]
    rest: object
    if isinstance(x, Einsum):
        ordered = sorted(zip(inner, x.labels, strict=True), key=lambda pair: pair[0])
        inner = [k for k, _ in ordered]
        labels = [*(used for _, used in ordered), x.out]
        number = {i: n for n, i in enumerate(dict.fromkeys(chain(*labels)))}
        rest = [[number[i] for i in used] for used in labels]
    elif isinstance(x, Add):
        pairs = sorted((k, c) for k, (c, _) in zip(inner, x.terms, strict=True))
        inner, rest = [k for k, _ in pairs], [str(c) for _, c in pairs]
    elif isinstance(x, Map):
        rest = (x.function, str(x.exponent))
    elif isinstance(x, Applied):
        rest = x.operator.opening
    else:
        rest = str(getattr(x, "value", ""))
    text = repr((type(x).__name__, [a.name for a in x.axes], rest, inner))
    height = 1 + max((k[1] for k in inner if k[0]), default=0)
    return 1, height, ((0, sha256(text.encode()).hexdigest()),)
