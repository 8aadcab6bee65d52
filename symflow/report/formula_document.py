r"""Formulas as complete LaTeX documents: what is minimized, conventions, then numbered and labelled equations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from symflow.derivatives.derived import Derived
from symflow.latex import formulas
from symflow.latex.conventions import conventions
from symflow.latex.results import keys, theorem
from symflow.networks.objective import Objective
from symflow.report.latex_document import latex_document
from symflow.report.parts import Display, Items, Part, Prose, Section
from symflow.report.problem_formulas import objective_section
from symflow.theory.notation import NOTATION
from symflow.theory.registry import find
from symflow.theory.statement import Statement
from symflow.versions import __version__

_HEADINGS = {
    "loss": "The loss",
    "gradient": "The gradient",
    "gradient flow": "Gradient flow",
    "hessian": "The Hessian",
    "hessian form": "The Hessian as a quadratic form",
    "hessian vector product": "The Hessian times a vector",
}


def derived_document(derived: Derived) -> str:
    """A derived formula as a LaTeX file; see `formula_document`."""
    return formula_document(derived.objective, (derived,))


def formula_document(objective: Objective, found: Sequence[Derived], title: str = "") -> str:
    r"""Formulas of one objective as a LaTeX file: the objective, conventions, numbered equations with labels.

    Args:
        objective: what is minimized.
        found: formulas derived from it. The equations of a gradient flow are labelled ``eq:gradient-flow:1``, ....
        title: of the document.
    """
    printed = [formulas(derived) for derived in found]
    said = conventions(objective, [line for p in printed for line in p.lines])
    sections = [objective_section(objective), Section("Conventions", (Items(said),))]
    for derived, lines in zip(found, printed, strict=True):
        kind = derived.kind.replace("-", " ")
        label = "eq:" + kind.replace(" ", "-")
        parts: list[Part] = [Display("", tuple(lines.equations), label)]
        if lines.notes:
            parts += [Prose("Here"), Items(tuple(rf"${note}$" for note in lines.notes))]
        sections.append(Section(_HEADINGS.get(kind, kind[0].upper() + kind[1:]), tuple(parts)))
    shown = title or _HEADINGS.get(found[0].kind.replace("-", " "), "Formulas")
    return latex_document(shown, [*sections, _MADE])


def statement_document(statement: Statement, depth: int | None = None, values: Mapping[str, str] | None = None) -> str:
    """A result as a LaTeX file: notation, hypotheses, formulas, sources."""
    result = find(statement.result)
    parts = (Prose(theorem(result, statement, depth, values)),)
    sections = [Section("Notation", (Items(NOTATION),)), Section("Statement", parts), _MADE]
    title = f"{result.id}. {result.title[0].upper()}{result.title[1:]}"
    return latex_document(title, sections, keys(result.source))


_MADE = Section("", (Prose(rf"Written by symflow {__version__}."),))
