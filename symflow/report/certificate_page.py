"""The page of a certificate: what is proved, by what, and how to check it without symflow."""

from __future__ import annotations

from collections.abc import Sequence

from symflow.analysis.certify.certificate import Certificate, short_bound
from symflow.latex.certificates import claim_latex
from symflow.problem import Problem
from symflow.report.pages import reproduction
from symflow.report.parts import Code, Display, Document, Note, Part, Section, Table
from symflow.report.problem_formulas import objective_section

VERDICTS = {True: "Proved", False: "Refuted; proved is the contrary", None: "Not decided"}


def certificate_document(
    found: Certificate, problem: Problem, asked: str, files: Sequence[str], command: str
) -> Document:
    """What `symflow certify` found.

    Args:
        found: the certificate.
        problem: of the run.
        asked: the name of the certificate that was asked for.
        files: the names of the certificate and its checker; none where nothing is proved.
        command: what repeats it.
    """
    known = {True: "proved", False: "refuted", None: "not decided"}
    rows = tuple((d.kind, known[d.holds], short_bound(d) or "-", d.reason or "") for d in found.decisions)
    parts: list[Part] = []
    if found.holds is not None:
        stated = tuple(f"& {claim_latex(d)}" for d in found.decisions if d.holds == found.holds)
        parts.append(Display("Proved by computation:", stated))
    parts.append(Table("Claims", ("claim", "verdict", "proved value", "remark"), rows, numbers=False))
    if found.holds is None:
        parts.append(Note(found.reason, warning=True))
    elif found.not_checkable_because:
        parts.append(Note(f"There is no certificate: {found.not_checkable_because}", warning=True))
    shown = [Section("The statement", tuple(parts)), objective_section(problem.objective)]
    if files:
        lines: list[Part] = [
            Note("The checker needs python-flint and nothing of symflow. It proves, step by step:"),
            *(Note(line) for line in found.verified),
            Code("The command:", f"python {files[-1]} {files[0]}"),
        ]
        shown.append(Section("How to check it", tuple(lines)))
    title = problem.name or "certificate"
    answer = f"{VERDICTS[found.holds]}: {found.statement}."
    shown.append(reproduction(problem, command))
    return Document(title, "a statement decided by computation", answer, tuple(shown), asked)
