"""Lines: chooses which nodes get one, puts them in order, and prints them as equations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from symflow.presentation.latex.expansion import Expansion
from symflow.presentation.latex.forms import Form
from symflow.presentation.latex.names import Naming, is_operation, left_side, naming
from symflow.presentation.latex.printer import Printer
from symflow.presentation.latex.text import LINE, Part, Term, broken, printed_width
from symflow.symbolic.derived import Derived
from symflow.symbolic.nodes import Gate, Input, Map, Node, split_scale
from symflow.symbolic.program import Program

INLINE = 40.0
"""A bracket wider than this gets a line of its own."""
SMALL = 9.5
"""A shared single term up to this width is repeated instead of being named."""


@dataclass(frozen=True)
class Equation:
    """A line: left-hand side and the terms of the sum it equals."""

    left: str
    terms: list[Term]


def derived_lines(derived: Derived) -> list[str]:
    """The lines of `derived_latex`, each with one ``&``, for an ``align*`` that may break across pages."""
    names = naming(derived)
    expand = _choose(derived.program, names)
    equations = _equations(derived, names, expand)
    room = LINE - max(printed_width(e.left) for e in equations)
    return [f"{e.left} &= {broken(e.terms, room)}" for e in equations]


def _equations(derived: Derived, names: Naming, expand: Expansion) -> list[Equation]:
    outputs = derived.program.outputs
    order = _ordered(derived.program, expand)
    printer = Printer(names, expand, names.numbered(order))
    equations = []
    if names.phi is not None and names.phi.symbol in _uses(derived.program, expand):
        equations.append(_equation(names.phi.symbol.latex, names.phi.definition, printer))
    for x in order:
        left = printer.names[x]
        if isinstance(x, (Gate, Map)):
            equations.append(Equation(left, [Term(False, [Part(printer.function(x))])]))
        else:
            equations.append(_equation(left, expand.definition(x), printer))
    return equations + [_equation(left_side(derived, o, names), expand(x), printer) for o, x in outputs.items()]


def _equation(left: str, form: Form, printer: Printer) -> Equation:
    """A line in matrix notation, or entry by entry where some term has none."""
    terms, letters = printer.terms(form)
    shown = "".join(letters)
    if len(letters) == 4:
        shown = f"{shown[:2]},{shown[2:]}"
    return Equation(f"({left})_{{{shown}}}" if letters else left, terms)


def _choose(program: Program, names: Naming) -> Expansion:
    """Decides which nodes get lines of their own and returns the expansion down to them.

    It begins with all named and shared nodes.  Of the shared ones, those that turn out small or not shared are
    dropped, and brackets that turn out wide are added, until nothing changes.
    """
    users: Counter[Node] = Counter(a for x in program.nodes for a in x.arguments)
    users.update(program.outputs.values())
    shared = {
        x
        for x in program.nodes
        if users[x] > 1 and _can_be_named(x) and x not in names.given and x not in names.weight_products
    }
    wide: set[Node] = set()
    while True:
        cut = {*names.given, *shared, *wide}
        if names.phi is None:
            expand = Expansion(cut)
        else:
            expand = Expansion(cut, spread=names.phi.cross, rewrite=names.phi.complete)
        printer = Printer(names, expand, names.numbered(x for x in program.nodes if x in cut))
        uses = _uses(program, expand)
        dropped = {x for x in shared if uses[x] < 2 or _is_small(x, printer)}
        brackets = _brackets(program, expand, [x for x in uses if x in cut])
        added = next((x for x in brackets if _can_be_named(x) and _is_wide(x, printer)), None)
        if not dropped and added is None:
            return expand
        shared -= dropped
        if added is not None:
            wide.add(added)


def _can_be_named(x: Node) -> bool:
    return is_operation(x) and len(x.axes) <= 2


def _is_small(x: Node, printer: Printer) -> bool:
    """Whether repeating a node is better than naming it."""
    if isinstance(x, (Gate, Map)):
        return printed_width(printer.function(x)) <= SMALL
    form = printer.expand.definition(x)
    if len(form) > 1:
        return False
    terms = printer.matrix_terms(form)
    return terms is not None and all(printed_width(t.body) <= SMALL for t in terms)


def _is_wide(x: Node, printer: Printer) -> bool:
    """Whether a node is too wide for a bracket, or has no matrix notation."""
    form = printer.expand.definition(x)
    if x.axes and printer.matrix_terms(form) is None:
        return True
    return printed_width(printer.text(form)) > INLINE


def _brackets(program: Program, expand: Expansion, lines: list[Node]) -> Iterator[Node]:
    """The nodes that are printed inside brackets, inner ones first."""
    seen: set[Node] = set()

    def below(x: Node) -> Iterator[Node]:
        if x in seen or isinstance(x, Input):
            return
        seen.add(x)
        inner = split_scale(x.arguments[0] if isinstance(x, (Gate, Map)) else x)[1]
        if inner.arguments and inner not in expand.cut:
            yield from inside(expand.definition(inner))
            yield inner

    def inside(form: Form) -> Iterator[Node]:
        for contraction in form:
            for x, _ in contraction.factors:
                if x not in expand.cut:
                    yield from below(x)

    for x in lines:
        yield from below(x) if isinstance(x, (Gate, Map)) else inside(expand.definition(x))
    for x in program.outputs.values():
        yield from inside(expand(x))


def _uses(program: Program, expand: Expansion) -> Counter[Node]:
    """How often each cut node or input is printed, counted from the outputs."""
    uses: Counter[Node] = Counter()
    todo = [expand(x) for x in program.outputs.values()]
    while todo:
        for x in expand.atoms(todo.pop()):
            if x in expand.cut and x not in uses:
                todo.append(expand.right_side(x))
            uses[x] += 1
    return uses


def _ordered(program: Program, expand: Expansion) -> list[Node]:
    """The cut nodes that are used, definitions before their use, in the order in which outputs need them."""

    def needs(form: Form) -> list[Node]:
        return [x for x in expand.atoms(form) if x in expand.cut][::-1]

    order: dict[Node, None] = {}
    stack = [x for out in reversed(list(program.outputs.values())) for x in needs(expand(out))]
    while stack:
        x = stack[-1]
        missing = [] if x in order else [y for y in needs(expand.right_side(x)) if y not in order]
        if missing:
            stack += missing
        else:
            order.setdefault(stack.pop())
    return list(order)
