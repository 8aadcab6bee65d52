"""`symflow advise`: step sizes that keep descent near flow."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

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
    from symflow.report.screen import as_text
    from symflow.report.tables import advice_parts

    distance, end = number(epsilon, "--epsilon"), number(horizon, "--horizon")
    given = load(problem)
    if end is None and given.horizon is None:
        raise ProblemError("run.horizon is missing; it must be a positive number, give the key or --horizon")
    started = time.perf_counter()
    with progress("step sizes", "a shorter --horizon") as report:
        advice = max_step_size(given, distance, end, progress=report)
    seconds = time.perf_counter() - started
    return Answer(
        lambda: advice_report(advice) | {"seconds": round(seconds, 6)}, lambda: show(*as_text(advice_parts(advice)))
    )


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
