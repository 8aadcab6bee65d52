"""Which results of the theory apply to a problem, and why; what was not checked is never called true."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Literal

from symflow.theory.citations import Citation, cite
from symflow.theory.hypotheses import Setting, overall
from symflow.theory.hypothesis_checks import HYPOTHESES

if TYPE_CHECKING:
    from symflow.problem import Problem

Answer = Literal["applies", "unchecked", "not applicable"]

ASSUMPTIONS = {
    "R3": "that bounds on the defect and on the curvature between the two curves are supplied",
    "R4": "that beta, gamma and m bound H and g on the whole tube, and a step size below the bound they give",
    "R5": "R4 with m constant on the tube",
    "R11": "that theta = theta(t) is on gradient flow",
    "R16": "that the step size is as small as the result asks",
    "R17": "a fixed horizon",
    "R18": "a fixed horizon, and descent and flow with the same start",
    "R22": "that the curvature bound holds on the segments between descent and flow",
}
"""What a result supposes of those who use it, beyond what can be asked of a problem."""
WITH_GATES = {
    "R10": "the diagonals of D_j (each unit or channel) in place of the whole matrices",
    "R11": "at other weights than theta(0), that they are on no kink",
    "R12": "at other weights than theta(0), that they are on no kink",
    "R13": "at other weights than theta(0), that they are on no kink",
}
"""The same for networks with gates, and for R10 also those with shared weights."""


@dataclass(frozen=True)
class Row:
    """Whether one result applies.

    Attributes:
        result: its id.
        answer: "applies", "unchecked" or "not applicable".
        reason: what was checked: all that holds; or what fails, or what nobody has checked.
        assumptions: what is taken for granted where the result applies: declared convexity, conditions of its use.
    """

    result: str
    answer: Answer
    reason: str
    assumptions: tuple[str, ...]

    @property
    def citation(self) -> Citation:
        """What the result says, and where it comes from."""
        return cite(self.result)


@dataclass(frozen=True)
class Applicability:
    """All results for one problem; prints as a table, and ``table["R9"]`` is one row."""

    rows: tuple[Row, ...]

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, result: str) -> Row:
        """The row of a result.

        Raises:
            ProblemError: no such result.
        """
        cite(result)
        return next(row for row in self.rows if row.result == result)

    def __repr__(self) -> str:
        lines = [f"{row.result:<4} {row.answer:<15} {row.reason}{_assuming(row)}" for row in self.rows]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        cells = (
            (row.result, row.citation.statement, row.answer, row.reason + _assuming(row)) for row in self.rows
        )  # fmt: skip
        body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in line) + "</tr>" for line in cells)
        head = "".join(f"<th>{title}</th>" for title in ("result", "statement", "here", "why"))
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _assuming(row: Row) -> str:
    return f" (assuming {'; '.join(row.assumptions)})" if row.assumptions and row.answer != "not applicable" else ""


def applicable(problem: Problem) -> Applicability:
    """For every result of the theory: does it apply to the problem, and why.

    A result applies when every hypothesis that can be asked of a problem was checked (exactly, in rationals) or, for
    the convexity of a loss of your own, declared.  One that nobody can check here, such as that a trajectory meets no
    kink, makes the result "unchecked"; one that fails makes it "not applicable".

    Args:
        problem: objective and initial weights.

    Returns:
        One row a result, in the order R1, R2, ...
    """
    from symflow.problem.arguments import as_problem

    problem = as_problem(problem, "applicable")
    setting = Setting(problem.objective, problem.theta0, problem.dps)
    return Applicability(tuple(_row(result, setting) for result in HYPOTHESES))


def _row(result: str, setting: Setting) -> Row:
    verdicts = [hypothesis.check(setting) for hypothesis in HYPOTHESES[result]]
    status = overall(verdicts)
    reasons = [v.reason for v in verdicts if status in ("holds", "declared") or v.status == status]
    if status == "fails":
        reasons = reasons[:1]
    network = setting.objective.network
    matrices = network is not None and network.linear
    plain = matrices or (result != "R10" and not setting.objective.gates)
    tables = (ASSUMPTIONS,) if plain else (ASSUMPTIONS, WITH_GATES)
    declared = [v.reason for v in verdicts if v.status == "declared"]
    assumptions = (*declared, *(table[result] for table in tables if result in table))
    answers: dict[str, Answer] = {"holds": "applies", "declared": "applies", "fails": "not applicable"}
    return Row(result, answers.get(status, "unchecked"), "; ".join(dict.fromkeys(reasons)), assumptions)
