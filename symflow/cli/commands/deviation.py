"""`symflow deviation`: how far descent strays from flow, and what bounds that."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from symflow.cli.exit_status import Answer
from symflow.cli.method_options import takes_method, with_method
from symflow.cli.options import Digits, FlowOrder, Horizon, Json, ProblemFile, StepSize, load_run
from symflow.cli.signals import progress
from symflow.cli.streams import show
from symflow.numbers.types import JsonObject

CHEAPER = "a shorter --horizon, or a larger --step-size"


@takes_method
def deviation(
    problem: ProblemFile,
    descent: JsonObject,
    step_size: StepSize = None,
    horizon: Horizon = None,
    dps: Digits = None,
    flow_order: FlowOrder = None,
    float64: Annotated[
        bool, typer.Option("--float64", help="Flow and descent in float64, for networks too large for digits.")
    ] = False,
    as_json: Json = False,
) -> Answer:
    """Compare descent with flow. The answer: how far it strays, and what bounds that."""
    from symflow.analysis.deviation import deviation as compare
    from symflow.analysis.verdict import verdict
    from symflow.report.report import deviation_report
    from symflow.report.terminal import deviation_tables

    given, settings = load_run(problem, step_size, horizon)
    given = with_method(given, descent)
    started = time.perf_counter()
    cheaper = CHEAPER if float64 else f"--float64, fewer digits (--dps), {CHEAPER}"
    with progress(given.name or "deviation", cheaper) as report:
        dev = compare(given, **settings, dps=dps, order=flow_order, float64=float64, progress=report)
    seconds = time.perf_counter() - started
    return Answer(
        lambda: deviation_report(dev) | {"seconds": round(seconds, 6)},
        lambda: show(*deviation_tables(dev), verdict(dev)),
    )
