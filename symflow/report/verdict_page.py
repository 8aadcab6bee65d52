"""The page `report.html` of a search for a counterexample."""

from __future__ import annotations

from symflow.analysis.falsify import NotRefuted, Refuted, Verdict, claim_quantities
from symflow.numbers.decimal import counted, short
from symflow.report.pages import reproduction
from symflow.report.parts import Code, Display, Document, Facts, Note, Part, Section, Table
from symflow.report.problem_formulas import objective_section


def verdict_document(verdict: Verdict, file: str, command: str) -> Document:
    """What `symflow falsify` found.

    Args:
        verdict: of the search.
        file: the name of the counterexample.
        command: what repeats the search.
    """
    claim = verdict.claim
    known = claim_quantities()
    meanings = tuple((name, known[name].meaning) for name in sorted(claim.names))
    parts: tuple[Part, ...] = (
        Display("The claim:", (f"& {claim.latex()}",)),
        Table("Its quantities", ("name", "meaning"), meanings, numbers=False),
    )
    shown = [Section("The claim", parts)]
    if isinstance(verdict, Refuted):
        shown += _counterexample(verdict, file)
    shown.append(Section("What was searched", _searched(verdict)))
    problem, answer = None, "Not refuted, which proves nothing."
    if isinstance(verdict, Refuted):
        kind = "a proof" if verdict.proof else "confirmed with many digits"
        problem, answer = verdict.problem, f"Refuted: {kind}; it fails by {short(verdict.violation)}."
    sections = (*shown, reproduction(problem, command, "verdict.json"))
    return Document(str(claim), "search for a counterexample", answer, sections)


def _counterexample(verdict: Refuted, file: str) -> list[Section]:
    check = verdict.check
    rows = []
    for name, e in sorted(check.values.items()):
        shown = short((e.low + e.high) / 2, 10)
        if e.how == "certified on the tube":
            shown = f"{short(e.low, 6)} to {short(e.high, 6)}"
        rows.append((name, shown, short(e.high - e.low, 2), e.how))
    parts: tuple[Part, ...] = (
        Table("At the counterexample", ("quantity", "value", "width of its interval", "how it is known"), tuple(rows)),
        Facts((("", "violation", short(check.violation, 12)), ("", "its error", short(check.error, 2)))),
        Note(f"The counterexample is {file} next to this page."),
        Code("It is evaluated again by", f"symflow falsify CLAIM --check {file}"),
    )
    return [Section("The counterexample", parts), objective_section(verdict.problem.objective)]


def _searched(verdict: Refuted | NotRefuted) -> tuple[Part, ...]:
    s = verdict.searched
    rows = (
        ("", "shapes (network, loss, samples)", str(s.setups)),
        ("", "problems evaluated in float64", str(s.points)),
        ("", "gradient ascents", str(s.ascents)),
        ("", "points evaluated with many digits", str(s.confirmations)),
        ("", "largest relative violation in float64", f"{s.best_margin:.3g} ({s.best_setup or 'none'})"),
        ("", "seconds", f"{s.seconds:.1f}"),
        ("", "seed", str(s.seed)),
    )
    skipped = [
        Note(f"{counted(count, 'shape was', 'shapes were')} skipped: {reason}.", warning=True)
        for reason, count in s.skipped.items()
    ]
    ended = [Note("The search was interrupted.", warning=True)] if s.interrupted else []
    return (Facts(rows), *skipped, *ended)
