"""Forms and nodes as text: each term in matrix notation, or entry by entry where it has none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction

from symflow.latex.contractions import Contraction, Form
from symflow.latex.expansion import Expansion
from symflow.latex.fragments import Part, Term, joined, printed_width
from symflow.latex.glossary import slope_symbol
from symflow.latex.graphs import Chain, Component, components, flip
from symflow.latex.index_notation import entry_parts, index_letters
from symflow.latex.names import Naming
from symflow.latex.operator_node import Applied, Function
from symflow.latex.products import Products
from symflow.numbers.rational import rational_latex
from symflow.programs.nodes import Const, Gate, Identity, Input, Node
from symflow.programs.rules.elementwise import Printed


class Printer:
    """Prints forms, given the names of the nodes that have lines of their own.

    Args:
        naming: what has a name from the start.
        expand: expands nodes down to those that have lines.
        names: of all these nodes.
    """

    def __init__(self, naming: Naming, expand: Expansion, names: Mapping[Node, str]) -> None:
        self.expand = expand
        self.names = names
        self._reserved = naming.reserved
        self._by_layer = naming.by_layer
        gradient = None if naming.phi is None else naming.phi.symbol
        self._products = Products(naming.layer, gradient, self._symbol)

    # Sums.

    def terms(self, form: Form) -> tuple[list[Term], list[str]]:
        """The terms of a form, and the index letters of its axes where some term has no matrix notation."""
        terms = self.matrix_terms(form)
        if terms is not None:
            return terms, []
        letters = index_letters(next(iter(form)).axes, self._reserved)
        return _positive_first([self._entry_term(k, c, letters) for k, c in form.items()]), letters

    def matrix_terms(self, form: Form) -> list[Term] | None:
        """The terms of a form in matrix notation; None where some term has none."""
        terms = []
        for contraction, c in form.items():
            term = self._matrix_term(contraction, c)
            if term is None:
                return None
            terms.append(term)
        return _positive_first(terms)

    def text(self, form: Form) -> str:
        """A form on one line."""
        return joined(self.terms(form)[0])

    # Terms.

    def _matrix_term(self, contraction: Contraction, c: Fraction) -> Term | None:
        parts, rest = self._split(contraction)
        product = self._matrix(rest, contraction.rank)
        return None if product is None else _with_coefficient(c, contraction, parts + product)

    def _entry_term(self, contraction: Contraction, c: Fraction, letters: Sequence[str]) -> Term:
        parts, rest = self._split(contraction)
        parts += entry_parts(contraction, rest, letters, self._reserved, self._products)
        return _with_coefficient(c, contraction, parts)

    def _split(self, contraction: Contraction) -> tuple[list[Part], list[Component]]:
        """The scalar factors of a term, printed, and the components that are not scalars in matrix notation."""
        parts = self._scalars([x for x, used in contraction.factors if not used])
        rest = []
        connected = components(contraction)
        for component in connected:
            closed = (self._products.total(component) if len(connected) == 1 else None) or self._products.closed(
                component
            )
            if closed is None:
                rest.append(component)
            else:
                parts += closed
        return parts, rest

    def _scalars(self, scalars: Sequence[Node]) -> list[Part]:
        """Scalar factors with their powers; 1/N belongs to the coefficient."""
        parts = []
        for x, n in Counter(x for x in scalars if not _is_inverse_samples(x)).items():
            text = self._symbol(x)
            if n > 1:
                plain = (isinstance(x, Input) or x in self.names) and "^" not in text
                text = f"{text}^{{{n}}}" if plain or text.startswith("(") else f"({text})^{{{n}}}"
            parts.append(Part(text))
        return parts

    def _matrix(self, open_components: Sequence[Component], rank: int) -> list[Part] | None:
        """Components with free labels in matrix notation; None where they have none."""
        edges = [e for c in open_components for e in c.edges]
        pairs = [{e.u, e.v} for e in edges]
        if any(c.others for c in open_components) or any(i >= rank for p in pairs for i in p):
            return None

        def leaving(label: int) -> Chain:
            return next(e for e in edges if e.touches(label)).leaving(label).chain

        if rank == 0 and not edges:
            return []
        if (rank == 1 and len(edges) == 1) or (rank == 2 and pairs == [{0, 1}]):
            return self._products.parts(leaving(0))
        if rank == 2 and len(edges) == 2 and all(min(p) < 0 for p in pairs):
            return self._products.parts(leaving(0) + flip(leaving(1)))
        if rank == 4 and len(edges) == 2 and {0, 2} in pairs and {1, 3} in pairs:
            rows, columns = self._products.factor(leaving(0)), self._products.factor(leaving(1))
            return [Part(rows), Part(rf"\otimes {columns}", "")]
        return None

    # Nodes.

    def multiple(self, c: Fraction, x: Function) -> Term:
        """A multiple of a function, written out even where it has a line of its own."""
        c = c * self.expand.coefficient(x)
        return Term(c < 0, ([Part(rational_latex(abs(c)))] if abs(c) != 1 else []) + [Part(self.function(x))])

    def _symbol(self, x: Node) -> str:
        """A node as a factor."""
        if x in self.expand.cut:
            return self.names[x]
        if isinstance(x, Input):
            return x.latex
        if isinstance(x, Identity):
            return "I"
        if isinstance(x, Const):
            return r"\mathbf{1}"
        if isinstance(x, Function):
            return self.function(x)
        return f"({self.text(self.expand.bracket(x))})"

    def function(self, x: Function) -> str:
        """sigma', an elementwise function or an operator of its arguments."""
        inner, *others = (self.text(self.expand.argument(x, at)) for at in range(len(x.arguments)))
        if isinstance(x, Applied):
            return x.operator([inner, *others])
        if isinstance(x, Gate):
            return rf"{slope_symbol(x, self._by_layer)}({inner})"
        raised = "^" not in inner and printed_width(inner) <= 12
        return x.record.printed(Printed(inner, raised, bool(x.axes)))


def _positive_first(terms: list[Term]) -> list[Term]:
    first = next((n for n, t in enumerate(terms) if not t.negative), 0)
    return terms[first : first + 1] + terms[:first] + terms[first + 1 :]


def _with_coefficient(c: Fraction, contraction: Contraction, parts: list[Part]) -> Term:
    """The term; factors 1/N are part of its coefficient."""
    inverse = [x for x, _ in contraction.factors if isinstance(x, Input) and _is_inverse_samples(x)]
    size = abs(c)
    if inverse:
        count = inverse[0].latex.removeprefix(r"\tfrac{1}{").removesuffix("}")
        power = f"{count}^{{{len(inverse)}}}" if len(inverse) > 1 else count
        below = power if size.denominator == 1 else f"{size.denominator}{power}"
        number = rf"\tfrac{{{size.numerator}}}{{{below}}}"
    else:
        number = "" if size == 1 and parts else rational_latex(size)
    return Term(c < 0, ([Part(number)] if number else []) + parts)


def _is_inverse_samples(x: Node) -> bool:
    return isinstance(x, Input) and x.name == "inverse_samples"
