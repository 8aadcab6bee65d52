"""Which results of the theory apply to a problem, and why; what was not checked is never called true."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from html import escape
from typing import Literal

from symflow.problem import Problem
from symflow.problem.arguments import as_problem
from symflow.theory.hypotheses import Setting, overall
from symflow.theory.registry import RESULTS, find
from symflow.theory.result import Citation, Result

Answer = Literal["applies", "unchecked", "not applicable"]


@dataclass(frozen=True)
class Row:
    """Whether one result applies to a problem.

    Attributes:
        result: its id, such as "R9".
        answer: "applies", "unchecked" or "not applicable".
        reason: what was checked, where it applies; otherwise what fails, or what was not checked.
        assumptions: what is taken for granted where the result applies: declared convexity, conditions of its use.
        in_its_place: where it does not apply, the results that say what remains of it for this network.
        claims: the labels of its claims that are about this network; a claim without a label is "".
    """

    result: str
    answer: Answer
    reason: str
    assumptions: tuple[str, ...]
    in_its_place: tuple[str, ...] = ()
    claims: tuple[str, ...] = ()

    @property
    def citation(self) -> Citation:
        """What the result says, and where it comes from."""
        return find(self.result).citation


@dataclass(frozen=True)
class Applicability:
    """All results for one problem; prints as a table, and ``table["R9"]`` is one row.

    Attributes:
        rows: one `Row` per result, in the order R1, R2, ...

    Example:
        >>> problem = sf.Problem(network=sf.FullyConnected((1, 1, 1)), data={"x": [1], "y": [1]},
        ...                      init={"theta": ["1/2", 1]})
        >>> rows = sf.applicable(problem)
        >>> rows["R9"].answer, rows["R9"].reason
        ('applies', 'a linear network of depth 2; the square loss is convex')
    """

    rows: tuple[Row, ...]

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, result: str) -> Row:
        """The row of a result, by id or slug.

        Raises:
            ProblemError: no such result.
        """
        wanted = find(result).id
        return next(row for row in self.rows if row.result == wanted)

    def __repr__(self) -> str:
        lines = [f"{row.result:<4} {row.answer:<15} {row.reason}{_further(row)}" for row in self.rows]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        cells = (
            (row.result, row.citation.statement, row.answer, row.reason + _further(row)) for row in self.rows
        )  # fmt: skip
        body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in line) + "</tr>" for line in cells)
        head = "".join(f"<th>{title}</th>" for title in ("result", "statement", "here", "why"))
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _further(row: Row) -> str:
    """What is assumed where it applies, what there is in its place where it does not."""
    if row.answer == "not applicable":
        return f"; in its place: {', '.join(row.in_its_place)}" if row.in_its_place else ""
    return f" (assuming {'; '.join(row.assumptions)})" if row.assumptions else ""


def applicable(problem: Problem) -> Applicability:
    """hypotheses => result, for every result of the theory: does it apply to a problem, and why.

    A result applies when every hypothesis that can be tested on a problem was checked (exactly, in rationals) or, for
    the convexity of a loss of your own, declared. A hypothesis that cannot be checked here, such as that a trajectory
    meets no kink, makes the result "unchecked"; one that fails makes it "not applicable", and the row then names the
    results that say what remains: R32 to R35 for networks with biases, skip connections and diagonal layers.

    Args:
        problem: objective and initial weights.

    Returns:
        An `Applicability`: one `Row` per result, in the order R1, R2, ...

    Raises:
        ProblemError: not a `Problem`.

    Source: the hypotheses are those of the cited results; `sf.cite(row.result)`.

    Example:
        >>> problem = sf.Problem(network=sf.FullyConnected((1, 1, 1)), data={"x": [1], "y": [1]},
        ...                      init={"theta": ["1/2", 1]})
        >>> rows = sf.applicable(problem)
        >>> print(rows["R14"].answer, rows["R14"].reason, sep=": ")
        not applicable: theta(0) is not balanced: an entry of D_1 is 0.75
        >>> [row.result for row in rows.rows if row.answer == "applies"][:8]
        ['R1', 'R2', 'R3', 'R4', 'R5', 'R7', 'R9', 'R10']
    """
    problem = as_problem(problem, "applicable")
    setting = Setting(problem.objective, problem.theta0, problem.dps)
    rows = {result.id: _row(result, setting) for result in RESULTS.values() if result.id.startswith("R")}
    return Applicability(tuple(_with_others(row, rows) for row in rows.values()))


def _with_others(row: Row, rows: Mapping[str, Row]) -> Row:
    """The row with what there is in the place of a result that does not apply."""
    if row.answer != "not applicable":
        return row
    others = find(row.result).in_its_place
    return replace(row, in_its_place=tuple(x for x in others if rows[x].answer != "not applicable"))


def _claims(result: Result, setting: Setting) -> tuple[str, ...]:
    """The labels of the claims whose own hypotheses on the network hold."""
    return tuple(
        claim.label
        for claim in result.claims
        if all(h.check(setting).status != "fails" for h in claim.hypotheses if h.architecture)
    )


def _row(result: Result, setting: Setting) -> Row:
    verdicts = [hypothesis.check(setting) for hypothesis in result.hypotheses]
    status = overall(verdicts)
    reasons = [v.reason for v in verdicts if status in ("holds", "declared") or v.status == status]
    if status == "fails":
        reasons = reasons[:1]
    declared = [v.reason for v in verdicts if v.status == "declared"]
    conditions = [condition.text for condition in result.conditions if condition.text]
    assumptions = (*declared, *conditions, *(v.proviso for v in verdicts if v.proviso is not None))
    answers: dict[str, Answer] = {"holds": "applies", "declared": "applies", "fails": "not applicable"}
    return Row(
        result.id,
        answers.get(status, "unchecked"),
        "; ".join(dict.fromkeys(reasons)),
        assumptions,
        claims=() if status == "fails" else _claims(result, setting),
    )
