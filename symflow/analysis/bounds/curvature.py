"""The curvature bounds R9, R11, R12, R13 and R34 along a flow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from symflow.analysis.bounds.bound import Bound
from symflow.analysis.bounds.context import Comparison
from symflow.analysis.bounds.series import BoundSeries, not_applicable, padded
from symflow.caching import kept
from symflow.evaluate.running_error import rounded_program
from symflow.networks.objective import Objective
from symflow.paths.event import slides, slides_at
from symflow.programs.program import Program
from symflow.theory.architecture_checks import FULLY_CONNECTED
from symflow.theory.hypotheses import Hypothesis, Setting
from symflow.theory.hypothesis_checks import SMOOTH_REGION
from symflow.theory.model import EPSILON
from symflow.theory.registry import statement

RESULTS = ("R9", "R11", "R12", "R13", "R34")
WITH_GATES = {("R12", "(e)"), ("R34", "")}
"""Bounds that depend on the gates, not on the slopes alone: they speak of one smooth piece."""


@kept
def _program(objective: Objective, result: str, label: str) -> Program:
    """The right side of a claim as a program."""
    return statement(result).instantiate(objective).program(label, "right")


def _family(setting: Setting) -> str:
    """The claim of R11 about a network."""
    claims = statement("R11").claims
    return next(c.label for c in claims if all(h.check(setting).status == "holds" for h in c.hypotheses))


def _same(result: str, setting: Setting) -> str | None:
    """Why a bound is left to another one; None where it is not."""
    if result == "R34" and FULLY_CONNECTED.check(setting).status == "holds":
        return "without biases and skip connections it is R12(e)"
    return None


def _compute(run: Comparison, result: str, label: str, name: str, hypotheses: tuple[Hypothesis, ...]) -> BoundSeries:
    """The bound at the samples of the flow, before its first kink where that matters."""
    objective = run.objective
    setting = Setting(objective, run.problem.theta0, run.problem.dps)
    for hypothesis in hypotheses:
        verdict = hypothesis.check(setting)
        if verdict.status in ("fails", "unchecked") and hypothesis.test is not None and hypothesis is not SMOOTH_REGION:
            return not_applicable(name, "curvature", run.count, verdict.reason)
    same = _same(result, setting)
    if same is not None:
        return not_applicable(name, "curvature", run.count, same)
    if result == "R11":
        label = _family(setting)
    points = run.points
    extra = {EPSILON: np.array([max(np.sqrt(float(np.sum(points[0, w] ** 2))) for w, _ in objective.slices())])}
    found = rounded_program(objective, _program(objective, result, label), points, extra)["right"]
    values = np.broadcast_to(found.value - found.error, (run.count,))
    series = BoundSeries(name, "curvature", "sampled", padded(values, run.count), None)
    return _off_kinks(series, run) if (result, label) in WITH_GATES else series


def _off_kinks(series: BoundSeries, run: Comparison) -> BoundSeries:
    """The series without the times at which the flow slides: there its gates are those of no smooth piece."""
    on = slides_at(run.flow.events, run.times)
    if not on.any():
        return series
    values = tuple(None if hidden else v for hidden, v in zip(on, series.values, strict=True))
    first = min(start for start, _ in slides(run.flow.events))
    reason = f"from t = {first:.6g} on the flow slides along a kink, where its gates are those of no smooth piece"
    return replace(series, values=values, reason=reason)


def _bound(result: str, label: str, name: str, title: str) -> Bound:
    general = statement(result)
    shown = general if result == "R11" else general.only(label)
    assumed = general.hypotheses if result == "R11" else (*general.hypotheses, *general.claim(label).hypotheses)
    return Bound(
        name,
        result,
        "curvature",
        title,
        shown,
        tuple(h for h in assumed if h.test is not None),
        lambda run: _compute(run, result, label, name, assumed),
    )


def curvature_catalogue() -> tuple[Bound, ...]:
    """R9(a) to (e), R11, R12, R13 and R34 in all their forms."""
    found: list[Bound] = []
    for result in RESULTS:
        general = statement(result)
        if result == "R11":
            found.append(_bound(result, "", result, general.title))
            continue
        labels = [claim.label for claim in general.claims if claim.relation == ">="]
        found += [_bound(result, label, result + label, general.title) for label in labels]
    return tuple(found)
