"""Lines: chooses which nodes get one, puts them in order, and prints them as equations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from symflow.caching import kept
from symflow.derivatives.derived import Derived
from symflow.latex.block_maps import with_block_maps
from symflow.latex.contractions import Form
from symflow.latex.expansion import Expansion
from symflow.latex.fragments import LINE, Term, broken, printed_width
from symflow.latex.glossary import notes, where
from symflow.latex.names import Naming, is_operation, left_side, naming
from symflow.latex.operator_node import Applied, Function
from symflow.latex.printer import Printer
from symflow.latex.readable import ROW, readable
from symflow.programs.nodes import Input, Node, split_scale
from symflow.programs.program import Program

INLINE = 40.0
"""A bracket wider than this gets a line of its own."""
ROOM = 60.0
"""The entries of one row of a matrix share this width."""
SMALL = 9.5
"""A shared single term up to this width is repeated instead of being named."""


@dataclass(frozen=True)
class Equation:
    """A line: left-hand side and the terms of the sum it equals."""

    left: str
    terms: list[Term]


@dataclass(frozen=True)
class Formulas:
    """A printed result.

    Attributes:
        equations: lines ``left &= right``; long ones are broken.
        notes: explanations of symbols.
    """

    equations: list[str]
    notes: list[str]

    @property
    def lines(self) -> list[str]:
        """All lines, each with one ``&``, for an ``align`` that may break across pages."""
        return self.equations + where(self.notes)


@kept
def formulas(derived: Derived) -> Formulas:
    """A derived result in LaTeX."""
    derived = with_block_maps(derived)
    names = naming(derived)
    new = readable(derived.program, derived.objective, names.given)
    outputs = {left_side(derived, o, names): new[x] for o, x in derived.program.outputs.items()}
    program = Program(tuple(x for x in map(new.__getitem__, derived.program.inputs) if isinstance(x, Input)), outputs)
    names = names.read_as(new)
    equations = _equations(program, names, _choose(program, names))
    room = LINE - max(printed_width(e.left) for e in equations)
    printed = [f"{e.left} &= {broken(e.terms, room)}" for e in equations]
    return Formulas(printed, notes(program.nodes, derived.objective.architecture, names.by_layer))


def _equations(program: Program, names: Naming, expand: Expansion) -> list[Equation]:
    order = _ordered(program, expand)
    printer = Printer(names, expand, names.numbered(order))
    equations = []
    if names.phi is not None and names.phi.symbol in _uses(program, expand):
        equations.append(_equation(names.phi.symbol.latex, names.phi.definition, printer))
    for x in order:
        c, left = expand.meaning(x), printer.names[x]
        if isinstance(x, Function):
            equations.append(Equation(left, [printer.multiple(c, x)]))
        else:
            equations.append(_equation(left, {k: c * v for k, v in expand.definition(x).items()}, printer))
    return equations + [_equation(left, expand(x), printer) for left, x in program.outputs.items()]


def _equation(left: str, form: Form, printer: Printer) -> Equation:
    """A line in matrix notation, or entry by entry where some term has none."""
    terms, letters = printer.terms(form)
    shown = "".join(letters)
    if len(letters) == 4:
        shown = f"{shown[:2]},{shown[2:]}"
    return Equation(f"({left})_{{{shown}}}" if letters else left, terms)


def _choose(program: Program, names: Naming) -> Expansion:
    """Decides which nodes get lines of their own and returns the expansion down to them.

    It begins with all named and shared nodes. Of the shared ones, those that turn out small or not shared are
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
            expand = Expansion(cut, names.multiples)
        else:
            expand = Expansion(cut, names.multiples, spread=names.phi.cross, rewrite=names.phi.complete)
        printer = Printer(names, expand, names.numbered(x for x in program.nodes if x in cut))
        uses = _uses(program, expand)
        dropped = {x for x in shared if uses[x] < 2 or _is_small(x, printer)}
        brackets = _brackets(program, expand, [x for x in uses if x in cut])
        added = next((x for x, room in brackets if _can_be_named(x) and _is_wide(x, room, printer)), None)
        if not dropped and added is None:
            return expand
        shared -= dropped
        if added is not None:
            wide.add(added)


def _can_be_named(x: Node) -> bool:
    """Whether a node may have a line: an operation whose result is a matrix, or one for each sample."""
    return is_operation(x) and (len(x.axes) <= 2 or (len(x.axes) == 3 and x.axes[0].name == "sample"))


def _is_small(x: Node, printer: Printer) -> bool:
    """Whether repeating a node is better than naming it."""
    if isinstance(x, Function):
        return printed_width(printer.function(x)) <= SMALL
    form = printer.expand.definition(x)
    if len(form) > 1:
        return False
    terms = printer.matrix_terms(form)
    return terms is not None and all(printed_width(t.body) <= SMALL for t in terms)


def _is_wide(x: Node, room: float, printer: Printer) -> bool:
    """Whether a node is too wide for where it stands, or has no matrix notation."""
    form = printer.expand.definition(x)
    if x.axes and printer.matrix_terms(form) is None:
        return True
    return printed_width(printer.text(form)) > room


def _brackets(program: Program, expand: Expansion, lines: list[Node]) -> Iterator[tuple[Node, float]]:
    """The nodes that are printed inside brackets and how wide they may be, inner ones first."""
    seen: set[Node] = set()

    def below(x: Node) -> Iterator[tuple[Node, float]]:
        if x in seen or isinstance(x, Input):
            return
        seen.add(x)
        for argument in x.arguments if isinstance(x, Function) else (x,):
            inner = split_scale(argument)[1]
            if inner.arguments and inner not in expand.cut:
                yield from inside(expand.definition(inner))
                yield inner, ROOM / len(x.arguments) if isinstance(x, Applied) and x.operator is ROW else INLINE

    def inside(form: Form) -> Iterator[tuple[Node, float]]:
        for contraction in form:
            for x, _ in contraction.factors:
                if x not in expand.cut:
                    yield from below(x)

    for x in lines:
        yield from below(x) if isinstance(x, Function) else inside(expand.definition(x))
    for x in program.outputs.values():
        yield from inside(expand(x))


def _uses(program: Program, expand: Expansion) -> Counter[Node]:
    """How often each cut node or input is printed, counted from the outputs."""
    uses: Counter[Node] = Counter()
    todo = [expand(x) for x in program.outputs.values()]
    while todo:
        for x in expand.atoms(todo.pop()):
            if x in expand.cut and x not in uses:
                todo += expand.right_side(x)
            uses[x] += 1
    return uses


def _ordered(program: Program, expand: Expansion) -> list[Node]:
    """The cut nodes that are used, definitions before their use, in the order in which outputs need them."""

    def needs(forms: list[Form]) -> list[Node]:
        return [x for form in forms for x in expand.atoms(form) if x in expand.cut][::-1]

    order: dict[Node, None] = {}
    stack = [x for out in reversed(list(program.outputs.values())) for x in needs([expand(out)])]
    while stack:
        x = stack[-1]
        missing = [] if x in order else [y for y in needs(expand.right_side(x)) if y not in order]
        if missing:
            stack += missing
        else:
            order.setdefault(stack.pop())
    return list(order)
