"""`symflow advise`: step sizes that keep descent near flow."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from symflow.cli.exit_status import Answer
from symflow.cli.options import Horizon, Json, ProblemFile, load, number
from symflow.cli.signals import progress
from symflow.cli.streams import show
from symflow.errors import ProblemError
from symflow.numbers.types import JsonObject

if TYPE_CHECKING:
    from symflow.analysis.advice import Guarantee, StepAdvice


def advise(
    problem: ProblemFile,
    epsilon: Annotated[str, typer.Option("--epsilon", metavar="EPS", help="The distance, such as 1e-2.")],
    horizon: Horizon = None,
    as_json: Json = False,
) -> Answer:
    """Step sizes that keep descent near flow. The answer: the largest step size that keeps descent within EPS of
    flow, as each bound guarantees it, and the largest that works in practice.
    """
    from symflow.analysis.advice import max_step_size

    distance, end = number(epsilon, "--epsilon"), number(horizon, "--horizon")
    given = load(problem)
    if end is None and given.horizon is None:
        raise ProblemError("run.horizon is missing; it must be a positive number, give the key or --horizon")
    started = time.perf_counter()
    with progress("step sizes") as report:
        advice = max_step_size(given, distance, end, progress=report)
    seconds = time.perf_counter() - started
    return Answer(lambda: advice_report(advice) | {"seconds": round(seconds, 6)}, lambda: show(*advice_tables(advice)))


def advice_report(advice: StepAdvice) -> JsonObject:
    """The JSON object."""
    from symflow.numbers.rational import text
    from symflow.report.report import optional_decimal

    best = advice.certified
    return {
        "epsilon": text(advice.epsilon),
        "horizon": text(advice.horizon),
        "guarantees": {g.name: _guarantee_report(g) for g in advice.guarantees},
        "certified": None if best is None or best.step_size is None else text(best.step_size),
        "tolerated": {
            "step_size": None if advice.tolerated is None else text(advice.tolerated),
            "deviation": optional_decimal(advice.tolerated_deviation),
            "status": "sampled",
            "whole_horizon": advice.whole_horizon,
        },
    }


def _guarantee_report(guarantee: Guarantee) -> JsonObject:
    from symflow.numbers.rational import text
    from symflow.report.report import optional_decimal

    return {
        "kind": guarantee.kind,
        "status": guarantee.status,
        "step_size": None if guarantee.step_size is None else text(guarantee.step_size),
        "value": optional_decimal(guarantee.value),
        "share_of_tolerated": optional_decimal(guarantee.share),
        "not_applicable": guarantee.reason,
    }


def advice_tables(advice: StepAdvice) -> list[Any]:
    """The step sizes, bound by bound, and the verdict."""
    from rich.text import Text

    from symflow.numbers.decimal import short
    from symflow.report.terminal import new_table

    within = f"within {short(float(advice.epsilon))} of flow up to t = {short(float(advice.horizon))}"
    found = new_table(
        f"largest step size that keeps descent {within}", "bound", "step size", "of the tolerated", "status"
    )
    for g in advice.guarantees:
        if g.step_size is not None:
            found.add_row(g.name, short(float(g.step_size)), short(g.share, 3), g.status)
    shown: list[Any] = [found] if found.row_count else []
    shown += [Text(f"{g.name}: {g.reason}") for g in advice.guarantees if g.reason is not None]
    if advice.tolerated is None:
        shown.append(Text("descent stayed within it at no step size that was tried"))
    else:
        much = f"{short(float(advice.tolerated))} (deviation {short(advice.tolerated_deviation)}; sampled, no proof)"
        shown.append(Text(f"descent was found to tolerate {much}"))
    best = advice.certified
    if best is not None and best.step_size is not None:
        shown.append(Text(f"use {best.step_size} or less: {best.name} is certified"))
    return shown
