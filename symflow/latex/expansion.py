"""From nodes to forms: expands a node down to the nodes that have lines of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from itertools import count, product
from math import gcd, lcm

from symflow.latex.contractions import Contraction, Factor, Form, atom, canonical, node_key, placed
from symflow.latex.operator_node import Applied, Function
from symflow.programs.nodes import Add, Const, Einsum, Identity, Input, Node


class Expansion:
    """Forms of nodes, expanded down to the nodes in `cut` and to inputs, gates and elementwise functions.

    Args:
        cut: the nodes that have lines of their own.
        multiples: c for each cut node x whose name is given and means c x.
        spread: a product multiplies out every sum with this node in it.
        rewrite: changes a form to an equal one.
    """

    def __init__(
        self,
        cut: Iterable[Node],
        multiples: Mapping[Node, Fraction],
        spread: Node | None = None,
        rewrite: Callable[[Form], Form] | None = None,
    ) -> None:
        self.cut = frozenset(cut)
        self._spread = spread
        self._rewrite = rewrite
        self._multiples = multiples
        self._memo: dict[Node, Form] = {}

    def __call__(self, x: Node) -> Form:
        """The form of x as it stands in other formulas: x itself where it is cut."""
        return {atom(x): 1 / self.meaning(x)} if x in self.cut else self.definition(x)

    def meaning(self, x: Node) -> Fraction:
        """The name of a cut node x means this multiple of x: given, or such that its line has no common factor."""
        return self._multiples[x] if x in self._multiples else 1 / _common_factor(self.definition(x))

    def bracket(self, x: Node) -> Form:
        """What is printed in brackets for a sum that is not cut; its factor is moved out."""
        form = self.definition(x)
        c = _common_factor(form)
        return {k: v / c for k, v in form.items()}

    def definition(self, x: Node) -> Form:
        """The form of x, expanded even where it is cut."""
        if x not in self._memo:
            form = {k: c for k, c in self._expand(x).items() if c != 0}
            if self._rewrite is not None:
                form = self._rewrite(form)
            # Longer products first: W X - Y.
            order = sorted(form, key=lambda k: (-len(k.factors), [(node_key(y), u) for y, u in k.factors[::-1]]))
            self._memo[x] = {k: form[k] for k in order}
        return self._memo[x]

    def coefficient(self, x: Node) -> Fraction:
        """The factor that a linear operator takes out of its last argument when it is printed."""
        if not (isinstance(x, Applied) and x.operator.linear):
            return Fraction(1)
        form = self(x.args[-1])
        return next(iter(form.values())) if len(form) == 1 else _common_factor(form)

    def argument(self, x: Function, at: int) -> Form:
        """An argument of a function as it is printed."""
        form = self(x.arguments[at])
        c = self.coefficient(x) if at == len(x.arguments) - 1 else 1
        return {k: v / c for k, v in form.items()}

    def right_side(self, x: Node) -> list[Form]:
        """What the line of a cut node is made of: its definition, or the arguments of a function."""
        return [self(a) for a in x.arguments] if isinstance(x, Function) else [self.definition(x)]

    def atoms(self, form: Form) -> Iterator[Node]:
        """The cut nodes and inputs in a form, as often as they are printed (inside brackets and functions too)."""
        for contraction in form:
            for x, _ in contraction.factors:
                if x in self.cut or isinstance(x, Input):
                    yield x
                elif isinstance(x, Add | Einsum | Function):
                    for inner in self.right_side(x):
                        yield from self.atoms(inner)

    def _expand(self, x: Node) -> Form:
        if isinstance(x, Const):
            return {canonical((), tuple(range(len(x.axes))), x.axes): x.value}
        if isinstance(x, Input | Function):
            return {atom(x): self.coefficient(x)}
        if isinstance(x, Identity):
            return {canonical([(x, (0, 1))], (0, 1), x.axes): Fraction(1)}
        if isinstance(x, Add):
            return _sum((k, c * v) for c, a in x.terms for k, v in self(a).items())
        if isinstance(x, Einsum):
            return self._product(x)
        raise TypeError(f"the LaTeX printer does not know {type(x).__name__}; add a rule for it in latex/expansion.py")

    def _product(self, x: Einsum) -> Form:
        fresh = count(1 + max((i for used in (*x.labels, x.out) for i in used), default=0))
        multiples = sum(isinstance(a, Input) and a.role == "hyper" and not a.axes for a in x.args)
        scaling = multiples >= len(x.args) - 1
        terms: list[tuple[Fraction, list[Factor]]] = [(Fraction(1), [])]
        for a, used in zip(x.args, x.labels, strict=True):
            form = self(a)
            if len(form) > 1 and not scaling and not self._distributes(a, form):
                form = {atom(a): _common_factor(form)}
            terms = [(c * v, left + placed(k, used, fresh)) for (c, left), (k, v) in product(terms, form.items())]
        return _sum((canonical(factors, x.out, x.axes), c) for c, factors in terms)

    def _distributes(self, a: Node, form: Form) -> bool:
        """Whether a product multiplies this sum out, as it has no matrix notation or must meet other terms."""
        if len(a.axes) > 2:
            return True
        return self._spread is not None and any(y is self._spread for k in form for y, _ in k.factors)


def _common_factor(form: Form) -> Fraction:
    """The positive rational that divides all coefficients, where one of them is it (up to its sign); 1 otherwise."""
    sizes = {abs(c) for c in form.values()}
    divisor = Fraction(gcd(*(c.numerator for c in sizes)), lcm(*(c.denominator for c in sizes)))
    return divisor if divisor in sizes else Fraction(1)


def _sum(terms: Iterable[tuple[Contraction, Fraction]]) -> Form:
    total: Form = {}
    for contraction, c in terms:
        total[contraction] = total.get(contraction, Fraction(0)) + c
    return total
