r"""Derived programs as LaTeX, in the notation of the papers.

A program is printed in three steps.

1. Every node that gets a line of its own (it has a name, or it is used more than once and is not trivial) is expanded
   down to the nodes that have names into a *form*: a rational linear combination of contractions in canonical
   order, so that equal terms meet and merge.
2. Each contraction is read as a graph: labels are vertices, matrices are edges.  Edges in series are a matrix product,
   parallel edges a Hadamard product, closed walks an inner product or a trace.  What does not reduce this way is
   printed entry by entry with explicit sums.  Orders and transposes follow from the labels alone.
3. Lines are broken between terms, so that none is wider than an A4 page.

Notation.  W_{j':j} is the product W_{j'} ... W_j.  A dot on a weight, \dot W_j, is the time derivative along gradient
flow; a dot on an intermediate result, \dot Z_j, its derivative in the direction Delta.  Weights have the tangent
Delta_j and products of weights A_{j':j} (B_{j':j} for the second derivative), so the two kinds of dots never meet in
one formula.  A bar is an adjoint, \bar Z_j = df/dZ_j.  T_1, T_2, ... are shared results without a name.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from hashlib import sha256
from itertools import count, permutations, product
from math import factorial, prod
from weakref import WeakKeyDictionary

import sympy

from symflow.symbolic.derived import Derived
from symflow.symbolic.differentiate import jvp
from symflow.symbolic.nodes import Add, Axis, Const, Einsum, Gate, Identity, Input, Labels, Map, Node, split_scale
from symflow.symbolic.objective import Objective
from symflow.symbolic.program import topological

LINE = 84.0
"""Width of a printed line in digits (an A4 page with margins of 2.5 cm holds about 90 at 10 points)."""
INLINE = 40.0
"""A bracket wider than this gets a line of its own."""
SMALL = 9.5
"""A shared single term up to this width is repeated instead of being named."""


def derived_latex(derived: Derived) -> str:
    r"""A derived result as an ``aligned`` environment: one line ``symbol = expression`` for each step.

    Left-hand sides of results: f, \nabla_{W_j} f, \dot W_j, H[\Delta,\Delta], (H\Delta)_j, and H_{jk} for the blocks
    of the Hessian with j <= k, either as a matrix over row-major entries (Kronecker products) or entry by entry,
    (H_{jk})_{ab,pq} = d^2 f / d(W_j)_{ab} d(W_k)_{pq}.

    Args:
        derived: what to print; symbolic widths and unbound data are fine.

    Returns:
        LaTeX for display mathematics, without dollar signs; needs amsmath (or MathJax).

    Raises:
        TypeError: the program has a node that the printer does not know.
    """
    return "\\begin{aligned}\n" + " \\\\\n".join(derived_lines(derived)) + "\n\\end{aligned}"


def derived_lines(derived: Derived) -> list[str]:
    """The lines of `derived_latex`, each with one ``&``, for an ``align*`` that may break across pages."""
    return _Printer(derived).lines()


# --- Forms: linear combinations of contractions -----------------------------------------------------------------------


@dataclass(frozen=True)
class _Network:
    """A product of nodes contracted by labels; labels 0, ..., rank-1 are its axes, the others are summed."""

    factors: tuple[tuple[Node, Labels], ...]
    rank: int


_Form = dict[_Network, Fraction]


_Key = tuple[int, int, tuple[tuple[int, str], ...]]
_KEYS: WeakKeyDictionary[Node, _Key] = WeakKeyDictionary()


def _key(x: Node) -> _Key:
    """An order of nodes that depends on what they compute alone, not on when they were made."""
    for y in topological([x]):
        if y in _KEYS:
            continue
        if isinstance(y, Input):
            role = {"parameter": 0, "hyper": 0, "direction": 2}.get(y.role, 1)
            words = [(int(w), "") if w.isdigit() else (-1, w) for w in re.split(r"(\d+)", y.name)]
            _KEYS[y] = (0, role, tuple(words))
            continue
        inner = [_KEYS[a] for a in y.arguments]
        if isinstance(y, Einsum):
            ordered = sorted(zip(inner, y.labels, strict=True), key=lambda pair: pair[0])
            number: dict[int, int] = {}
            for i in (i for used in (*(u for _, u in ordered), y.out) for i in used):
                number.setdefault(i, len(number))
            rest: object = [[number[i] for i in used] for used in (*(u for _, u in ordered), y.out)]
            inner = [k for k, _ in ordered]
        elif isinstance(y, Add):
            pairs = sorted((k, c) for k, (c, _) in zip(inner, y.terms, strict=True))
            inner, rest = [k for k, _ in pairs], [str(c) for _, c in pairs]
        elif isinstance(y, Map):
            rest = (y.function, str(y.exponent))
        else:
            rest = str(getattr(y, "value", ""))
        text = repr((type(y).__name__, [a.name for a in y.axes], rest, inner))
        height = 1 + max((k[1] for k in inner if k[0]), default=0)
        _KEYS[y] = (1, height, ((0, sha256(text.encode()).hexdigest()),))
    return _KEYS[x]


def _symmetric(x: Node) -> bool:
    return isinstance(x, Identity) or (isinstance(x, Input) and x.name == "Sigma_xx")


def _contract_identities(factors: list[tuple[Node, Labels]], out: Labels) -> list[tuple[Node, Labels]]:
    """Relabels along every identity that has a summed label, and drops ones whose label lives elsewhere."""
    changed = True
    while changed:
        changed = False
        for at, (x, used) in enumerate(factors):
            rest = factors[:at] + factors[at + 1 :]
            others = {i for _, labels in rest for i in labels}
            if isinstance(x, Identity) and used[0] != used[1]:
                i, j = used if used[0] not in out else used[::-1]
                if i in out:
                    continue
                if i in others:
                    factors = [(y, tuple(j if k == i else k for k in labels)) for y, labels in rest]
                elif j in others or j in out:
                    factors = rest if j in others else [*rest, (Const(Fraction(1), x.axes[:1]), (j,))]
                else:
                    factors = [*rest, (x, (j, j))]
                changed = True
                break
            if isinstance(x, Identity) and used[0] == used[1] and (used[0] in others or used[0] in out):
                factors, changed = [*rest, (Const(Fraction(1), x.axes[:1]), used[:1])], True
                break
            if isinstance(x, Const) and used[0] in others:
                factors, changed = rest, True
                break
    return factors


def _canonical(factors: Iterable[tuple[Node, Labels]], out: Labels, axes: Sequence[Axis]) -> _Network:
    """The contraction with factors and summed labels in an order that does not depend on how it was built."""
    factors = list(factors)
    present = {i for _, used in factors for i in used}
    factors += [(Const(Fraction(1), (a,)), (i,)) for i, a in zip(out, axes, strict=True) if i not in present]
    factors = _contract_identities(factors, out)
    factors = [
        (Identity((x.axes[0], x.axes[0])), (i[0], i[0])) if isinstance(x, Const) and i[0] not in out else (x, i)
        for x, i in factors
    ]
    color = {i: 0 for _, used in factors for i in used}
    color.update({i: -1 - n for n, i in enumerate(out)})

    def signature(x: Node, used: Labels) -> tuple[bool, _Key, tuple[int, ...]]:
        colors = tuple(color[i] for i in used)
        return _symmetric(x), _key(x), tuple(sorted(colors)) if _symmetric(x) else colors

    while True:
        seen: dict[int, list[object]] = {i: [] for i in color}
        for x, used in factors:
            for at, i in enumerate(used):
                seen[i].append((signature(x, used), 0 if _symmetric(x) else at))
        keys = {i: (color[i], sorted(seen[i])) for i in color}  # type: ignore[type-var]
        ranks = {k: n for n, k in enumerate(sorted({repr(k) for i, k in keys.items() if color[i] >= 0}))}
        refined = {i: ranks[repr(keys[i])] if c >= 0 else c for i, c in color.items()}
        stable = len(set(refined.values())) == len(set(color.values()))
        color = refined
        if stable:
            break
    groups: dict[tuple[bool, _Key, tuple[int, ...]], list[tuple[Node, Labels]]] = {}
    for x, used in factors:
        groups.setdefault(signature(x, used), []).append((x, used))
    ordered = [groups[k] for k in sorted(groups)]
    tied = len(set(color.values())) < len(color) and prod(factorial(len(g)) for g in ordered) <= 720
    orders = product(*(permutations(g) for g in ordered)) if tied else iter([ordered])

    def numbered(order: Iterable[Sequence[tuple[Node, Labels]]]) -> tuple[tuple[Node, Labels], ...]:
        number = {i: n for n, i in enumerate(out)}
        result = []
        for x, used in (pair for group in order for pair in group):
            for i in sorted(used, key=color.__getitem__) if _symmetric(x) else used:
                number.setdefault(i, len(number))
            labels = tuple(number[i] for i in used)
            result.append((x, tuple(sorted(labels)) if _symmetric(x) else labels))
        return tuple(result)

    best = min((numbered(o) for o in orders), key=lambda fs: [(_key(x), used) for x, used in fs])
    return _Network(best, len(out))


def _atom(x: Node) -> _Network:
    labels = tuple(range(len(x.axes)))
    return _Network(((x, labels),), len(labels))


class _Expansion:
    """Forms of nodes, expanded down to the nodes in `cut` and to inputs, gates and elementwise functions."""

    def __init__(self, cut: Iterable[Node], cross: Node | None, moments: _Moments | None = None) -> None:
        self.cut = frozenset(cut)
        self.cross = cross
        self.moments = moments
        self.memo: dict[Node, _Form] = {}

    def __call__(self, x: Node) -> _Form:
        """The form of x as it stands in other formulas: x itself where it is cut."""
        return {_atom(x): Fraction(1)} if x in self.cut else self.definition(x)

    def definition(self, x: Node) -> _Form:
        """The form of x, expanded even where it is cut."""
        if x not in self.memo:
            form = {k: c for k, c in self._expand(x).items() if c != 0}
            if self.moments is not None:
                form = self.moments.merge(form)
            # Longer products first: W X - Y.
            order = sorted(form, key=lambda k: (-len(k.factors), [(_key(y), u) for y, u in k.factors[::-1]]))
            self.memo[x] = {k: form[k] for k in order}
        return self.memo[x]

    def _expand(self, x: Node) -> _Form:
        if isinstance(x, Const):
            return {_canonical((), tuple(range(len(x.axes))), x.axes): x.value}
        if isinstance(x, (Input, Gate, Map)):
            return {_atom(x): Fraction(1)}
        if isinstance(x, Identity):
            return {_canonical([(x, (0, 1))], (0, 1), x.axes): Fraction(1)}
        if isinstance(x, Add):
            total: _Form = {}
            for c, a in x.terms:
                for k, v in self(a).items():
                    total[k] = total.get(k, Fraction(0)) + c * v
            return total
        if isinstance(x, Einsum):
            return self._product(x)
        raise TypeError(f"the LaTeX printer does not know {type(x).__name__}; add a rule for it in latex.py")

    def _product(self, x: Einsum) -> _Form:
        fresh = count(1 + max((i for used in (*x.labels, x.out) for i in used), default=0))
        scaling = [isinstance(a, Input) and a.role == "hyper" and not a.axes for a in x.args]
        partial: list[tuple[Fraction, list[tuple[Node, Labels]]]] = [(Fraction(1), [])]
        for a, used in zip(x.args, x.labels, strict=True):
            form = self(a)
            if len(form) > 1 and not (sum(scaling) >= len(x.args) - 1 or self._distributes(a, form)):
                form = {_atom(a): Fraction(1)}
            extended = []
            for (c, left), (network, v) in product(partial, form.items()):
                rename = dict(enumerate(used))
                for _, labels in network.factors:
                    for i in labels:
                        if i not in rename:
                            rename[i] = next(fresh)
                right = [(y, tuple(rename[i] for i in labels)) for y, labels in network.factors]
                extended.append((c * v, left + right))
            partial = extended
        total: _Form = {}
        for c, factors in partial:
            key = _canonical(factors, x.out, x.axes)
            total[key] = total.get(key, Fraction(0)) + c
        return total

    def _distributes(self, a: Node, form: _Form) -> bool:
        """Whether a product multiplies this sum out: to complete the gradient of phi, or as it has no matrix form."""
        if len(a.axes) > 2:
            return True
        return self.cross is not None and any(y is self.cross for k in form for y, _ in k.factors)

    def atoms(self, form: _Form) -> Iterator[Node]:
        """The cut nodes in a form, as often as they are printed (inside brackets and functions too)."""
        for network in form:
            for x, _ in network.factors:
                if x in self.cut or isinstance(x, Input):
                    yield x
                elif isinstance(x, (Gate, Map)):
                    yield from self.atoms(self(x.arguments[0]))
                elif isinstance(x, (Add, Einsum)):
                    yield from self.atoms(self.definition(x))


class _Moments:
    """Names the gradient of phi(W) = f in a linear network's moment form: c W_{n:1} Sigma_xx + c' Lambda_yx."""

    def __init__(self, objective: Objective, second: Input, cross: Input) -> None:
        self.cross = cross
        self.gradient = Input("gradient_phi", cross.axes, "data", r"\nabla\varphi")
        self.weights = objective.parameters[::-1]
        n = len(self.weights)
        path = [(w, (i, i + 1)) for i, w in enumerate(self.weights)]
        to_input = [*path, (second, (n, n + 1))]
        self.linear = _canonical(to_input, (0, n + 1), cross.axes)
        mirrored = [(w, (n + 2 + i if i else 0, n + 3 + i)) for i, w in enumerate(self.weights)]
        mirrored[-1] = (mirrored[-1][0], (mirrored[-1][1][0], n + 1))
        quadratic = _canonical([*to_input, *mirrored], (), ())
        mixed = _canonical([*path, (cross, (0, n))], (), ())
        loss = _Expansion((), cross).definition(objective.loss)
        self.quadratic, self.mixed = 2 * loss.get(quadratic, Fraction(0)), loss.get(mixed, Fraction(0))

    @classmethod
    def of(cls, objective: Objective) -> _Moments | None:
        named = {x.name: x for x in objective.program.inputs}
        if objective.network is None or "Sigma_xx" not in named or "Lambda_yx" not in named:
            return None
        moments = cls(objective, named["Sigma_xx"], named["Lambda_yx"])
        return moments if moments.quadratic and moments.mixed else None

    @property
    def definition(self) -> _Form:
        """The form of the gradient of phi."""
        return {self.linear: self.quadratic, _atom(self.cross): self.mixed}

    def merge(self, form: _Form) -> _Form:
        """Replaces pairs of terms that differ by (W_{n:1} Sigma_xx against Lambda_yx) in the right proportion."""
        form = dict(form)
        for network in [k for k in form if any(x is self.cross for x, _ in k.factors)]:
            at = next(n for n, (x, _) in enumerate(network.factors) if x is self.cross)
            rest, used = network.factors[:at] + network.factors[at + 1 :], network.factors[at][1]
            out = tuple(range(network.rank))
            axes = _axes(network)
            free = count(1 + max((i for _, labels in network.factors for i in labels), default=0))
            rename: dict[int, int] = dict(enumerate(used))
            path = [(x, tuple(rename.setdefault(i, next(free)) for i in ls)) for x, ls in self.linear.factors]
            partner = _canonical([*rest, *path], out, axes)
            if form.get(partner, Fraction(0)) * self.mixed == form[network] * self.quadratic:
                merged = _canonical([*rest, (self.gradient, used)], out, axes)
                coefficient = form.pop(network) / self.mixed + form.pop(merged, Fraction(0))
                form = dict((merged, coefficient) if k == partner else (k, c) for k, c in form.items())
        return form


def _axes(network: _Network) -> tuple[Axis, ...]:
    axis = {i: a for x, used in network.factors for i, a in zip(used, x.axes, strict=True)}
    return tuple(axis[i] for i in range(network.rank))


# --- Contractions as graphs -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Piece:
    """A factor of a matrix product: a node, or the Hadamard product of several chains, possibly transposed."""

    node: Node | None
    flipped: bool = False
    hadamard: tuple[_Chain, ...] = ()

    def flip(self) -> _Piece:
        if self.node is not None and _symmetric(self.node):
            return self
        return _Piece(self.node, not self.flipped, self.hadamard)


_Chain = tuple[_Piece, ...]


def _flip(chain: _Chain) -> _Chain:
    return tuple(p.flip() for p in reversed(chain))


def _flips(chain: _Chain) -> int:
    return sum(p.flipped for p in chain)


@dataclass(frozen=True)
class _Edge:
    """A matrix product that leads from the label `u` (rows) to the label `v` (columns)."""

    u: int
    v: int
    chain: _Chain

    def leaving(self, label: int) -> _Edge:
        return self if self.u == label else _Edge(self.v, self.u, _flip(self.chain))


@dataclass
class _Component:
    """A connected part of a contraction.

    Attributes:
        edges: matrices; a vector is an edge to a negative label of its own.
        others: factors that are no edge (three or more axes, or the same label twice).
        pinned: labels that must stay: those of the result and those that occur in `others`.
    """

    edges: list[_Edge]
    others: list[tuple[Node, Labels]]
    pinned: set[int]

    def degree(self) -> Counter[int]:
        return Counter(i for e in self.edges for i in (e.u, e.v))

    @property
    def closed(self) -> bool:
        return not self.pinned and not self.others and all(e.u >= 0 and e.v >= 0 for e in self.edges)

    def reduce(self, ends: Iterator[int]) -> None:
        """Series and parallel reduction, as far as it goes; closed components keep the edges of one closed walk."""
        while True:
            degree = self.degree()
            if self.closed and degree and all(d == 2 for d in degree.values()):
                return
            if self._parallel() or self._series(degree) or self._leaf(degree, ends):
                continue
            return

    def _parallel(self) -> bool:
        together: dict[frozenset[int], list[_Edge]] = {}
        for e in self.edges:
            together.setdefault(frozenset((e.u, e.v)), []).append(e)
        whole = self.closed and len(together) == 1
        for group in together.values():
            if len(group) < (3 if whole else 2):
                continue
            u = group[0].u
            group.sort(key=lambda e: (len(e.chain), not isinstance(e.chain[0].node, Gate)))
            joined = group[:-1] if whole else group
            chains = [e.leaving(u).chain for e in joined]
            if sum(_flips(c) for c in chains) > sum(_flips(_flip(c)) for c in chains):
                merged = _Edge(joined[0].leaving(u).v, u, (_Piece(None, False, tuple(_flip(c) for c in chains)),))
            else:
                merged = _Edge(u, joined[0].leaving(u).v, (_Piece(None, False, tuple(chains)),))
            self.edges = [e for e in self.edges if e not in joined] + [merged]
            return True
        return False

    def _series(self, degree: Counter[int]) -> bool:
        for label, d in degree.items():
            if d == 2 and label >= 0 and label not in self.pinned:
                a, b = (e for e in self.edges if label in (e.u, e.v))
                left, right = a.leaving(label), b.leaving(label)
                joined = _Edge(left.v, right.v, _flip(left.chain) + right.chain)
                self.edges = [e for e in self.edges if e is not a and e is not b] + [joined]
                return True
        return False

    def _leaf(self, degree: Counter[int], ends: Iterator[int]) -> bool:
        for label, d in degree.items():
            if d == 1 and label >= 0 and label not in self.pinned:
                self.edges.append(_Edge(label, next(ends), (_Piece(_ONES),)))
                return True
        return False

    def walk(self) -> _Chain:
        """The chain once around, where every label joins two edges."""
        first, *rest = self.edges
        chain, here = first.chain, first.v
        while rest:
            at = next(n for n, e in enumerate(rest) if here in (e.u, e.v))
            e = rest.pop(at).leaving(here)
            chain, here = chain + e.chain, e.v
        return chain


_ONES = Input("ones", (Axis("ones", 1),), "data", r"\mathbf{1}")


def _components(network: _Network, ends: Iterator[int]) -> tuple[list[Node], list[_Component]]:
    """Scalar factors, and the connected parts of the rest, reduced."""
    scalars = [x for x, used in network.factors if not used]
    groups: list[tuple[set[int], list[tuple[Node, Labels]]]] = []
    for x, used in network.factors:
        if used:
            touching = [g for g in groups if g[0] & set(used)]
            groups = [g for g in groups if not g[0] & set(used)]
            factors = [f for g in touching for f in g[1]]
            groups.append((set(used).union(*(g[0] for g in touching)), [*factors, (x, used)]))
    result = []
    for labels, factors in groups:
        edges, others = [], []
        for x, used in factors:
            if len(used) == 2 and used[0] != used[1]:
                edges.append(_Edge(used[0], used[1], (_Piece(x),)))
            elif len(used) == 1:
                edges.append(_Edge(used[0], next(ends), (_Piece(x),)))
            else:
                others.append((x, used))
        pinned = {i for i in labels if i < network.rank} | {i for _, used in others for i in used}
        part = _Component(edges, others, pinned)
        part.reduce(ends)
        result.append(part)
    return scalars, result


# --- Text -------------------------------------------------------------------------------------------------------------

_WIDTHS = {
    "\\tfrac": 0.0, "\\nabla": 1.7, "\\varphi": 1.3, "\\Sigma": 1.5, "\\Lambda": 1.4, "\\Delta": 1.7, "\\odot": 2.5,
    "\\otimes": 2.5, "\\sum": 2.6, "\\sigma": 1.2, "\\operatorname": 0.4, "\\langle": 0.8, "\\rangle": 0.8,
    "\\top": 1.5, "\\bar": 0.0, "\\dot": 0.0, "\\ddot": 0.0, "\\dddot": 0.0, "\\quad": 2.0, "\\qquad": 4.0,
    "\\exp": 3.4, "\\log": 3.0, "\\sin": 2.6, "\\cos": 3.0, "\\mathbf": 0.1, "\\cdot": 1.5, "\\,": 0.4, "\\|": 1.0,
    "\\partial": 1.2,
}  # fmt: skip
_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|[{}_^&]|\s+|.", re.DOTALL)


def printed_width(latex: str) -> float:
    """The approximate width of a formula on one line, in digits."""
    tokens = [t for t in _TOKEN.findall(latex) if not t.isspace()]

    def group(at: int) -> tuple[float, int]:
        if at >= len(tokens):
            return 0.0, at
        if tokens[at] != "{":
            return single(at)
        total, at = 0.0, at + 1
        while at < len(tokens) and tokens[at] != "}":
            w, at = single(at)
            total += w
        return total, at + 1

    def single(at: int) -> tuple[float, int]:
        t = tokens[at]
        if t == "\\tfrac":
            a, at = group(at + 1)
            b, at = group(at)
            return 0.75 * max(a, b) + 0.5, at
        if t in "_^":
            w, at = group(at + 1)
            if t == "_" and at < len(tokens) and tokens[at] == "^":
                above, at = group(at + 1)
                w = max(w, above)
            return 0.72 * w + 0.1, at
        if t == "{":
            return group(at)
        if t in _WIDTHS:
            return _WIDTHS[t], at + 1
        if t[0] == "\\" or t in "}&":
            return (1.3 if t[0] == "\\" else 0.0), at + 1
        if t in "+-=":
            return 2.5, at + 1
        if t in "()[],":
            return 0.8, at + 1
        return {"W": 2.2, "M": 2.0, "N": 1.8}.get(t, 1.6 if t.isupper() else 1.05), at + 1

    total, at = 0.0, 0
    while at < len(tokens):
        w, at = single(at)
        total += w
    return total


def rational_latex(q: Fraction) -> str:
    r"""A rational number as an integer or a \tfrac."""
    if q.denominator == 1:
        return str(q.numerator)
    return f"{'-' if q < 0 else ''}\\tfrac{{{abs(q.numerator)}}}{{{q.denominator}}}"


def dotted(name: str, order: int = 1) -> str:
    r"""A symbol with dots on its letter: ``Z_{1}`` becomes ``\dot{Z}_{1}``."""
    split = re.fullmatch(r"(\\[A-Za-z]+\{[^{}]*\}|\\?[A-Za-z]+)((?:_.*)?)", name, re.DOTALL)
    base, rest = split.groups() if split else (name, "")
    if order > 3:
        return f"{base}^{{({order})}}{rest}"
    return f"\\{'d' * order}ot{{{base}}}{rest}"


@dataclass
class _Term:
    """A printed term: its sign and its parts, each with the sign that joins it to the one before on a new line."""

    negative: bool
    parts: list[tuple[str, str]]

    @property
    def body(self) -> str:
        return " ".join(text for _, text in self.parts)


@dataclass
class _Equation:
    left: str
    terms: list[_Term]


class _Printer:
    """Chooses which nodes get lines, and prints them."""

    def __init__(self, derived: Derived) -> None:
        self.derived = derived
        self.program = derived.program
        self.objective = derived.objective
        self.moments = _Moments.of(self.objective)
        network = self.objective.network
        self.layer: dict[Node, int] = {}
        if network is not None:
            self.layer.update((w, j) for j, w in enumerate(self.objective.parameters, 1))
        self.nodes = self.program.nodes
        self.reserved = {x.latex for x in self.program.inputs}
        self.given = self._given_names()
        self.names: dict[Node, str] = {}
        self.expand = self._choose()

    # Names and lines.

    def _given_names(self) -> dict[Node, str]:
        """Names from the program, of tangents of named nodes, and of derivatives of products of weights."""
        inside = set(self.nodes)
        named = {x: n for x, n in self.program.names.items() if not n.endswith("'")}
        tangents: dict[Node, Node] = dict(zip(self.objective.parameters, self.derived.directions, strict=False))
        tracked: dict[Node, str] = {}
        if tangents:
            pure = {x: self._weights_of(x) for x in {*self.objective.program.nodes, *self.nodes}}
            chains = {x: c for x, c in pure.items() if c is not None}
            current: dict[Node, Node] = {x: x for x in (*named, *chains)}
            for order in range(1, 4):
                dot = jvp(current.values(), tangents)
                current = {x: dot[y] for x, y in current.items()}
                for x, y in current.items():
                    if isinstance(y, (Const, Input)) or y in tracked or y not in inside:
                        continue
                    if x in chains:
                        tracked[y] = f"{' ABC'[order]}_{{{chains[x][0]}:{chains[x][1]}}}"
                    elif not re.match(r"\\d*dot", named[x]):
                        tracked[y] = dotted(named[x], order)
        result: dict[Node, str] = {}
        taken = {x.latex for x in self.program.inputs}
        for x, name in (*tracked.items(), *named.items()):
            single = isinstance(x, Add) and len(x.terms) == 1
            if x in inside and x not in result and name not in taken and not single and x.arguments:
                result[x] = name
                taken.add(name)
        return result

    def _weights_of(self, x: Node) -> tuple[int, int] | None:
        """(j', j) where x is the product W_{j'} ... W_j of at least two weights."""
        if not isinstance(x, Einsum) or len(x.args) != 2 or len(x.axes) != 2:
            return None
        ends = []
        for a in x.args:
            end = (self.layer[a], self.layer[a]) if a in self.layer else self._weights_of(a)
            if end is None:
                return None
            ends.append((end, a))
        ends.sort(key=lambda pair: pair[0], reverse=True)
        ((top, low), a), ((below, bottom), b) = ends
        by_node = dict(zip(x.args, x.labels, strict=True))
        if low != below + 1 or a is b or by_node[a][1] != by_node[b][0] or x.out != (by_node[a][0], by_node[b][1]):
            return None
        return top, bottom

    def _choose(self) -> _Expansion:
        """Decides which nodes get lines of their own and returns the expansion down to them."""
        users: Counter[Node] = Counter(a for x in self.nodes for a in x.arguments)
        users.update(self.program.outputs.values())
        generated = {
            x
            for x in self.nodes
            if users[x] > 1 and self._can_be_named(x) and x not in self.given and self._weights_of(x) is None
        }
        forced: set[Node] = set()
        cross = None if self.moments is None else self.moments.cross
        while True:
            self.expand = _Expansion({*self.given, *generated, *forced}, cross, self.moments)
            self.names = self._symbols()
            used = self._used()
            drop = {x for x in generated if used[x] < 2 or self._small(x)}
            wide = self._wide_brackets([x for x in used if x in self.expand.cut])
            if not drop - forced and not wide - forced:
                return self.expand
            generated -= drop
            forced |= wide

    @staticmethod
    def _can_be_named(x: Node) -> bool:
        if isinstance(x, (Input, Const, Identity)) or len(x.axes) > 2:
            return False
        return not (isinstance(x, Add) and len(x.terms) == 1)

    def _used(self) -> Counter[Node]:
        """How often each cut node is printed, counted from the outputs."""
        used: Counter[Node] = Counter()
        todo = [self.expand(x) for x in self.program.outputs.values()]
        done: set[Node] = set()
        while todo:
            for x in self.expand.atoms(todo.pop()):
                used[x] += 1
                if x in self.expand.cut and x not in done:
                    done.add(x)
                    todo.append(self._definition(x))
        return used

    def _definition(self, x: Node) -> _Form:
        """What the right-hand side of a node's own line is made of."""
        if isinstance(x, (Gate, Map)):
            return self.expand(x.arguments[0])
        return self.expand.definition(x)

    def _small(self, x: Node) -> bool:
        form = self.expand.definition(x)
        if isinstance(x, (Gate, Map)):
            return printed_width(self._function(x)) <= SMALL
        if len(form) > 1 or len(x.axes) > 2:
            return not form
        terms = self._terms(form, entries=False)
        return terms is not None and all(printed_width(t.body) <= SMALL for t in terms)

    def _wide_brackets(self, lines: Iterable[Node]) -> set[Node]:
        """Nodes printed inside a bracket that would be too wide there, or that have no matrix notation."""
        wide: set[Node] = set()
        seen: set[Node] = set()

        def inspect(form: _Form) -> None:
            for network in form:
                for x, _ in network.factors:
                    if x not in self.expand.cut:
                        look(x)

        def look(x: Node) -> None:
            if x in seen or isinstance(x, Input):
                return
            seen.add(x)
            inner = split_scale(x.arguments[0] if isinstance(x, (Gate, Map)) else x)[1]
            if inner in self.expand.cut or not inner.arguments:
                return
            inspect(self.expand.definition(inner))
            if wide or not self._can_be_named(inner):
                return
            form = self.expand.definition(inner)
            entries = bool(inner.axes) and self._terms(form, entries=False) is None
            if entries or printed_width(self._text(form)) > INLINE:
                wide.add(inner)

        for x in lines:
            if isinstance(x, (Gate, Map)):
                look(x)
            else:
                inspect(self.expand.definition(x))
        for x in self.program.outputs.values():
            inspect(self.expand(x))
        return wide

    def _symbols(self) -> dict[Node, str]:
        """A name for every cut node, generated ones numbered in the order of the lines."""
        names = dict(self.given)
        letter = next(
            a for a in ("T", "U", "V", "K", "L", "T'") if not any(x.latex.startswith(a) for x in self.program.inputs)
        )
        number = count(1)
        for x in self.nodes:
            if x in self.expand.cut and x not in names:
                names[x] = f"{letter}_{{{next(number)}}}"
        return names

    def lines(self) -> list[str]:
        """All lines, definitions before their use."""
        used = self._used()
        equations = []
        if self.moments is not None and self.moments.gradient in used:
            equations.append(_Equation(self.moments.gradient.latex, self._lines_terms(self.moments.definition, [])))
        cut = self._ordered()
        self._renumber(cut)
        for x in cut:
            name = self.names[x]
            if isinstance(x, (Gate, Map)):
                equations.append(_Equation(name, [_Term(False, [("", self._function(x))])]))
            else:
                equations.append(self._equation(name, self.expand.definition(x), len(x.axes)))
        for output, x in self.program.outputs.items():
            equations.append(self._equation(self._left(output, x), self.expand(x), len(x.axes)))
        room = LINE - max(printed_width(e.left) for e in equations)
        return [f"{e.left} &= {_broken(e.terms, room)}" for e in equations]

    def _ordered(self) -> list[Node]:
        """The cut nodes that are used, definitions before their use, in the order in which outputs need them."""
        order: dict[Node, None] = {}
        stack = [x for out in reversed(list(self.program.outputs.values())) for x in self._needs(self.expand(out))]
        while stack:
            x = stack[-1]
            missing = [] if x in order else [y for y in self._needs(self._definition(x)) if y not in order]
            if missing:
                stack += missing
            else:
                order.setdefault(stack.pop())
        return list(order)

    def _needs(self, form: _Form) -> list[Node]:
        """The cut nodes in a form, the last one first."""
        return [x for x in self.expand.atoms(form) if x in self.expand.cut][::-1]

    def _renumber(self, cut: Sequence[Node]) -> None:
        fresh = [x for x in cut if x not in self.given]
        texts = sorted((self.names[x] for x in fresh), key=lambda t: int(re.findall(r"\d+", t)[-1]))
        prefix = texts[0].split("_")[0] if texts else ""
        self.names.update({x: f"{prefix}_{{{n}}}" for n, x in enumerate(fresh, 1)})

    def _left(self, output: str, x: Node) -> str:
        """The left-hand side of an output."""
        ws = {w.name: w for w in self.objective.parameters}
        kind, _, rest = output.partition("_")
        if output == "f":
            return "f"
        if output == "form":
            order = re.search(r"\d+$", self.derived.kind)
            k = 2 if order is None else int(order.group())
            slots = ",".join([r"\Delta"] * k)
            head = {0: "f", 1: r"\nabla f", 2: "H"}.get(k, rf"\nabla^{{{k}}} f")
            return f"{head}[{slots}]" if k else head
        if kind == "g" and rest in ws:
            w = ws[rest]
            return rf"\nabla_{{{w.latex}}} f" if w.axes else rf"\partial_{{{w.latex}}} f"
        if kind == "h" and rest in ws:
            return rf"(H\Delta)_{{{self._index(ws[rest])}}}"
        if output[:1] == "d" and output[1:] in ws:
            return dotted(ws[output[1:]].latex)
        if kind == "H":
            for a in ws:
                if rest.startswith(f"{a}_") and rest[len(a) + 1 :] in ws:
                    j, k2 = self._index(ws[a]), self._index(ws[rest[len(a) + 1 :]])
                    return f"H_{{{j}{k2}}}" if len(j) == len(k2) == 1 else f"H_{{{j},{k2}}}"
        return rf"\mathrm{{{output.replace('_', ' ')}}}"

    def _index(self, w: Input) -> str:
        return str(self.layer[w]) if w in self.layer else w.latex

    def _equation(self, left: str, form: _Form, rank: int) -> _Equation:
        """A line in matrix notation, or entry by entry where some term has none."""
        terms = self._terms(form, entries=False)
        if terms is not None:
            return _Equation(left, terms)
        letters = self._letters(form, rank)
        shown = "".join(letters)
        if rank == 4:
            shown = f"{shown[:2]},{shown[2:]}"
        return _Equation(f"({left})_{{{shown}}}" if rank else left, self._lines_terms(form, letters))

    def _lines_terms(self, form: _Form, letters: Sequence[str]) -> list[_Term]:
        terms = self._terms(form, entries=bool(letters), letters=letters)
        return terms if terms is not None else (self._terms(form, entries=True, letters=letters) or [])

    def _letters(self, form: _Form, rank: int) -> list[str]:
        """Index letters of the axes of a result; samples are called s."""
        axes = _axes(next(iter(form))) if form else ()
        plain = (a for a in ("abpquvwxyz" if rank == 4 else "ijpquvwxyz") if a not in self.reserved)
        samples = (a for a in "stuv" if a not in self.reserved)
        return [next(samples) if a.name == "sample" else next(plain) for a in axes]

    # Terms.

    def _terms(self, form: _Form, entries: bool, letters: Sequence[str] = ()) -> list[_Term] | None:
        """The printed terms, a positive one first; None where matrix notation does not suffice."""
        terms = []
        for network, c in form.items():
            parts = self._entries(network, letters) if entries else self._matrix(network)
            if parts is None:
                return None
            terms.append(self._with_coefficient(c, network, parts))
        first = next((n for n, t in enumerate(terms) if not t.negative), 0)
        return terms[first : first + 1] + terms[:first] + terms[first + 1 :]

    def _text(self, form: _Form) -> str:
        """A sum on one line, for brackets."""
        terms = self._terms(form, entries=False)
        if terms is None:
            terms = self._terms(form, entries=True, letters=self._letters(form, next(iter(form)).rank)) or []
        return _joined(terms)

    def _with_coefficient(self, c: Fraction, network: _Network, parts: list[tuple[str, str]]) -> _Term:
        samples = [x for x, _ in network.factors if isinstance(x, Input) and x.name == "inverse_samples"]
        size = abs(c)
        if samples:
            power = f"N^{{{len(samples)}}}" if len(samples) > 1 else "N"
            below = power if size.denominator == 1 else f"{size.denominator}{power}"
            number = rf"\tfrac{{{size.numerator}}}{{{below}}}"
        else:
            number = "" if size == 1 and parts else rational_latex(size)
        return _Term(c < 0, ([("", number)] if number else []) + parts)

    def _scalars(self, scalars: Sequence[Node]) -> list[tuple[str, str]]:
        """Scalar factors with their powers; 1/N belongs to the coefficient."""
        counted = Counter(x for x in scalars if not (isinstance(x, Input) and x.name == "inverse_samples"))
        parts = []
        for x, n in counted.items():
            text = self._symbol(x)
            if n > 1:
                plain = (isinstance(x, Input) or x in self.names) and "^" not in text
                text = f"{text}^{{{n}}}" if plain or text.startswith("(") else f"({text})^{{{n}}}"
            parts.append((r"\cdot", text))
        return parts

    def _matrix(self, network: _Network) -> list[tuple[str, str]] | None:
        """The parts of a term in matrix notation; None where it has none."""
        scalars, components = _components(network, count(-1, -1))
        parts = self._scalars(scalars)
        edges: list[_Edge] = []
        for part in components:
            closed = self._closed(part, network.rank)
            if closed is not None:
                parts += closed
            elif part.others:
                return None
            else:
                edges += part.edges
        if any(i >= network.rank for e in edges for i in (e.u, e.v)):
            return None
        pairs = [{e.u, e.v} for e in edges]
        if network.rank == 0 and not edges:
            return parts
        if network.rank == 1 and len(edges) == 1:
            return parts + self._chain(edges[0].leaving(0).chain)
        if network.rank == 2 and pairs == [{0, 1}]:
            return parts + self._chain(edges[0].leaving(0).chain)
        if network.rank == 2 and len(edges) == 2 and all(min(p) < 0 for p in pairs):
            left, right = (next(e for e in edges if i in (e.u, e.v)) for i in (0, 1))
            return parts + self._chain(left.leaving(0).chain + _flip(right.leaving(1).chain))
        if network.rank == 4 and len(edges) == 2 and {0, 2} in pairs and {1, 3} in pairs:
            rows, columns = (next(e for e in edges if i in (e.u, e.v)) for i in (0, 1))
            a, b = self._primary(rows.leaving(0).chain), self._primary(columns.leaving(1).chain)
            return [*parts, (r"\cdot", a), ("", rf"\otimes {b}")]
        return None

    def _entries(self, network: _Network, letters: Sequence[str]) -> list[tuple[str, str]]:
        """The parts of a term entry by entry, with explicit sums."""
        scalars, components = _components(network, count(-1, -1))
        parts = self._scalars(scalars)
        factors: list[tuple[_Chain, tuple[int, ...]]] = []
        for part in components:
            closed = self._closed(part, network.rank)
            if closed is not None:
                parts += closed
                continue
            todo = list(part.edges)
            while todo:
                e = todo.pop(0)
                if len(e.chain) == 1 and e.chain[0].hadamard:
                    piece = e.chain[0]
                    u, v = (e.v, e.u) if piece.flipped else (e.u, e.v)
                    todo = [_Edge(u, v, c) for c in piece.hadamard] + todo
                else:
                    factors.append((e.chain, (e.u, e.v)))
            factors += [((_Piece(x),), used) for x, used in part.others]
        name = dict(enumerate(letters))
        summed = dict.fromkeys(i for _, used in factors for i in used if i >= network.rank)
        taken = self.reserved.union(letters)
        samples = {i for x, used in network.factors for i, a in zip(used, x.axes, strict=True) if a.name == "sample"}
        for i in summed:
            pool = "stuv" if i in samples else "klmruvcdeghnoxyz"
            fresh = (p + suffix for suffix in ("", "'", "''", "'''") for p in pool)
            name[i] = next(p for p in fresh if p not in taken)
            taken.add(name[i])
        outside = [f for f in factors if not any(i in summed for i in f[1])]
        outside.sort(key=lambda f: not isinstance(f[0][0].node, Identity))
        parts += [(r"\cdot", t) for t in (self._entry(*f, name) for f in outside) if t]
        if summed:
            listed = ",".join(sorted(name[i] for i in summed))
            parts.append((r"\cdot", rf"\sum_{{{listed}}}"))
            inside = [t for t in (self._entry(*f, name) for f in factors if f not in outside) if t]
            parts += [(r"\cdot" if n else "", t) for n, t in enumerate(inside or ["1"])]
        return parts

    def _entry(self, chain: _Chain, used: tuple[int, ...], name: Mapping[int, str]) -> str:
        """One entry of a matrix product (or of an array)."""
        labels = [i for i in used if i >= 0]
        if len(chain) == 1 and chain[0].node is not None:
            x = chain[0].node
            if chain[0].flipped:
                labels.reverse()
            shown = "".join(name[i] for i in labels)
            if isinstance(x, Identity):
                return rf"\delta_{{{shown}}}"
            if isinstance(x, Const) or x is _ONES:
                return ""
            text = self._symbol(x)
        else:
            if len(labels) == 2:
                ways = [(chain, labels), (_flip(chain), labels[::-1])]
                chain, labels = min(ways, key=lambda way: (_flips(way[0]), way[1]))
            elif used[0] < 0:
                chain = _flip(chain)
            shown = "".join(name[i] for i in labels)
            text = self._parenthesized(chain)
        return f"{text}_{{{shown}}}" if re.fullmatch(r"[A-Za-z]|\(.*\)", text) else f"({text})_{{{shown}}}"

    # Chains.

    def _closed(self, part: _Component, rank: int) -> list[tuple[str, str]] | None:
        """A contraction without free labels: a trace, an inner product or a squared norm."""
        if part.others and not part.edges and len(part.others) == 1:
            x, used = part.others[0]
            if len(used) == 2 and used[0] == used[1] >= rank:
                size = f"_{{{sympy.latex(x.axes[0].size)}}}" if isinstance(x, Identity) else ""
                return [(r"\cdot", rf"\operatorname{{Tr}}({self._symbol(x)}{size})")]
        if not part.pinned and len(part.edges) == 1 and part.edges[0].u < 0 and part.edges[0].v < 0:
            first, *others = part.edges[0].chain
            return [
                (r"\cdot", rf"\langle {self._plain((first.flip(),))},"),
                ("", rf"{self._plain(tuple(others))}\rangle"),
            ]
        if not part.closed or any(d != 2 for d in part.degree().values()):
            return None
        walk = part.walk()
        start = next((n for n in range(len(walk)) if not self._joins(walk[n - 1], walk[n])), 0)
        runs = self._runs(walk[start:] + walk[:start])
        m = len(runs)
        if m == 1:
            return [(r"\cdot", rf"\operatorname{{Tr}}({self._plain(runs[0])})")]
        for n in range(m if m % 2 == 0 else 0):
            turned = runs[n:] + runs[:n]
            half: _Chain = tuple(p for r in turned[: m // 2] for p in r)
            if half == _flip(tuple(p for r in turned[m // 2 :] for p in r)):
                half = min(half, _flip(half), key=_flips)
                return [(r"\cdot", rf"\|{self._plain(half)}\|_F^2")]
        choices = []
        for n, run in enumerate(runs):
            rest: _Chain = tuple(p for r in runs[n + 1 :] + runs[:n] for p in r)
            for one, other in ((run, _flip(rest)), (_flip(run), rest)):
                choices.append((self._rank(run, runs), _flips(one) + _flips(other), n, one, other))
        _, _, _, one, other = min(choices, key=lambda c: c[:3])
        pair = [self._plain(other), self._plain(one)]
        if self.moments is not None and one[0].node is self.moments.gradient:
            pair.reverse()
        return [(r"\cdot", rf"\langle {pair[0]},"), ("", rf"{pair[1]}\rangle")]

    def _rank(self, run: _Chain, runs: Sequence[_Chain]) -> int:
        """Which factor of a closed walk stands alone in the inner product: small is better."""
        x = run[0].node
        if self.moments is not None and x is self.moments.gradient:
            return 0
        if x is not None and _symmetric(x):
            return 9
        if sum(r in (run, _flip(run)) for r in runs) > 1:
            return 1
        if x is None:
            return 6
        if not isinstance(x, Input):
            return 2
        return {"data": 3, "parameter": 4}.get(x.role, 5)

    def _joins(self, a: _Piece, b: _Piece) -> bool:
        """Whether two neighbours are consecutive weights, W_{j+1} W_j or its transpose."""
        if a.node is None or b.node is None or a.flipped != b.flipped:
            return False
        i, j = self.layer.get(a.node), self.layer.get(b.node)
        return i is not None and j is not None and i - j == (-1 if a.flipped else 1)

    def _runs(self, chain: _Chain) -> list[_Chain]:
        """The chain, cut between factors that do not print as one W_{j':j}."""
        runs: list[list[_Piece]] = []
        for p in chain:
            if runs and self._joins(runs[-1][-1], p):
                runs[-1].append(p)
            else:
                runs.append([p])
        return [tuple(r) for r in runs]

    def _run(self, run: _Chain) -> str:
        """One factor of a product."""
        first = run[0]
        if len(run) > 1:
            layers = [self.layer[p.node] for p in run if p.node is not None]
            text = f"W_{{{max(layers)}:{min(layers)}}}"
        elif first.node is not None:
            text = self._symbol(first.node)
        else:
            text = f"({self._hadamard(first)})"
        return text + (r"^\top" if first.flipped else "")

    def _hadamard(self, piece: _Piece) -> str:
        return r" \odot ".join(self._primary(c) for c in piece.hadamard)

    def _chain(self, chain: _Chain) -> list[tuple[str, str]]:
        """A product as breakable parts."""
        if len(chain) == 1 and chain[0].node is None:
            piece = chain[0]
            if piece.flipped:
                piece = _Piece(None, False, tuple(_flip(c) for c in piece.hadamard))
            first, *rest = (self._primary(c) for c in piece.hadamard)
            return [(r"\cdot", first), *(("", rf"\odot {t}") for t in rest)]
        texts = [self._run(r) for r in self._runs(chain)]
        texts[:-1] = [f"{t}\\," if t.endswith(r"\varphi") else t for t in texts[:-1]]
        return [(r"\cdot", t) for t in texts]

    def _plain(self, chain: _Chain) -> str:
        return " ".join(text for _, text in self._chain(chain))

    def _parenthesized(self, chain: _Chain) -> str:
        text = self._plain(chain)
        return text if text.startswith("(") and _closes_at_end(text) else f"({text})"

    def _primary(self, chain: _Chain) -> str:
        """A product as a factor of a Hadamard or Kronecker product."""
        single = len(self._runs(chain)) == 1 and chain[0].node is not None
        return self._run(chain) if single else self._parenthesized(chain)

    # Nodes.

    def _symbol(self, x: Node) -> str:
        """A node inside a product."""
        if x in self.names and x in self.expand.cut:
            return self.names[x]
        if isinstance(x, Input):
            return x.latex
        if isinstance(x, Identity):
            return "I"
        if isinstance(x, Const):
            return r"\mathbf{1}"
        if isinstance(x, (Gate, Map)):
            return self._function(x)
        return f"({self._text(self.expand.definition(x))})"

    def _function(self, x: Gate | Map) -> str:
        """sigma' or an elementwise function of its argument."""
        z = x.arguments[0]
        form = self.expand(z)
        inner = self._text(form)
        if isinstance(x, Gate):
            return rf"\sigma'({inner})"
        if x.function == "power":
            assert x.exponent is not None
            q = x.exponent
            exponent = str(q) if q.denominator > 1 else str(q.numerator)
            simple = re.fullmatch(r"(\\?[A-Za-z]+|\\[a-z]+\{[A-Za-z]\})(_\{[^{}]*\})?", inner)
            base = inner if simple else f"({inner})"
            return f"{base}^{{{'' if not x.axes else chr(92) + 'odot '}{exponent}}}"
        if x.function == "exp" and not x.axes and "^" not in inner and printed_width(inner) <= 12:
            return f"e^{{{inner}}}"
        name = rf"\{x.function}" if x.function in ("exp", "log", "sin", "cos") else rf"\operatorname{{{x.function}}}"
        return f"{name}({inner})"


def _closes_at_end(text: str) -> bool:
    """Whether the bracket that opens the text closes at its end."""
    depth = 0
    for at, character in enumerate(text):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth == 0:
            return at == len(text) - 1
    return False


def _joined(terms: Sequence[_Term]) -> str:
    if not terms:
        return "0"
    text = ("-" if terms[0].negative else "") + terms[0].body
    return text + "".join(f" {'-' if t.negative else '+'} {t.body}" for t in terms[1:])


def _broken(terms: Sequence[_Term], room: float) -> str:
    """The sum with line breaks: between terms where possible, inside a product where one term is too wide."""
    if not terms:
        return "0"
    lines: list[str] = []
    line, width = "", 0.0
    for n, term in enumerate(terms):
        sign = "-" if term.negative else ("+" if n else "")
        text = f"{sign} {term.body}" if n else sign + term.body
        w = printed_width(text)
        if line and width + w > room - 2:
            lines.append(line)
            line, width = r"\quad", 2.0
        if width + w <= room or len(term.parts) == 1:
            line, width = (f"{line} {text}" if line else text), width + w
            continue
        line = f"{line} {sign}".strip()
        width += printed_width(sign)
        opening = line
        for joint, part in term.parts:
            w = printed_width(part)
            if line != opening and width + w > room - 4:
                lines.append(line)
                line, width = " ".join(filter(None, (r"\qquad", joint, part))), 6.0 + w
            else:
                line, width = f"{line} {part}".strip(), width + w
    lines.append(line)
    return " \\\\\n&".join(lines)
