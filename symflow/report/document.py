"""`formulas.tex`: a problem's equations and bounds, with what was found, as a LaTeX document."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpmath import nstr

from symflow.analysis.verdict import comparison
from symflow.numbers.decimal import brief_time, short
from symflow.numbers.rational import text
from symflow.report.latex_document import latex_document
from symflow.report.parts import Section
from symflow.report.problem_formulas import formula_sections
from symflow.report.report import describe
from symflow.theory.registry import RESULTS

if TYPE_CHECKING:
    from symflow.analysis.deviation import Deviation


def document(dev: Deviation) -> str:
    """``formulas.tex``: the problem's equations and bounds, with what was found."""
    return latex_document(dev.problem.name or "problem", sections(dev))


def sections(dev: Deviation) -> tuple[Section, ...]:
    """The problem's equations and bounds, with what was found."""
    return formula_sections(
        dev.problem.objective, _settings(dev), [(name, _bound_rows(dev, name)) for name in dev.bounds if _known(name)]
    )


def _known(name: str) -> bool:
    """Whether a bound is the main statement of a result; others, such as R22(tube-free), stand in its formulas."""
    return name in RESULTS


def _settings(dev: Deviation) -> list[tuple[str, str, str]]:
    problem = dev.problem
    settings = [("", "network", describe(problem)), ("P", "parameters", str(len(problem.theta0)))]
    if problem.x is not None:
        settings.append(("N", "samples", str(len(problem.x))))
    settings += [
        (r"\eta", "step size", text(dev.step_size)),
        ("K", "steps", str(dev.steps)),
        (r"K\eta", "horizon", brief_time(dev.times[-1])),
        ("", f"largest deviation at {len(dev.times)} sampled times", nstr(dev.max, 6)),
    ]
    if dev.flow.error is not None:
        settings.append(("", f"error of the flow, {dev.flow.error.how}", nstr(dev.flow.error.value, 2)))
    settings.append(("", f"error of the deviations, {dev.error.how}", nstr(max(dev.radii), 2)))
    if dev.flow.objective.gates:
        settings.append(("", "kinks met by the flow", str(len(dev.flow.events))))
    return settings


def _bound_rows(dev: Deviation, name: str) -> list[tuple[str, str, str]]:
    bound, found = dev.bounds[name], comparison(dev, name)
    rows = [(symbol, meaning, value) for symbol, (meaning, value) in bound.quantities.items()]
    if found["value"] is None:
        return [*rows, ("", bound.kind, f"not applicable: {bound.reason}")]
    ratio = "" if found["ratio"] is None else f", {short(found['ratio'])} times the deviation"
    value = f"{short(found['value'])} at t = {brief_time(found['time'])}{ratio}; {bound.status}"
    rows.append(("", f"{bound.kind}, last value", value))
    if not found["until_end"]:
        rows.append(("", "afterwards", f"not applicable: {bound.reason}"))
    return rows
