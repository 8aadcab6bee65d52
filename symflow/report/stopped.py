"""What is known when something failed, as plain data for JSON."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from symflow.errors import FlowInterrupted, FlowStopped, KinkError
from symflow.numbers.types import JsonObject


def stopped_report(error: BaseException, said: str, times: Mapping[str, Fraction]) -> JsonObject:
    """The JSON object of a failure, with what was computed before a flow stopped.

    Args:
        error: why it stopped.
        said: the line that a person is told.
        times: when theta was asked for, under the texts that were written.
    """
    kind = "KeyboardInterrupt" if isinstance(error, KeyboardInterrupt) else type(error).__name__
    found: JsonObject = {"type": kind, "message": said}
    data: JsonObject = {"error": found}
    if isinstance(error, FlowStopped):
        found["cause"] = error.cause
    if isinstance(error, KinkError):
        found |= {"sample": error.sample, "layer": error.layer, "unit": error.unit}
    if isinstance(error, FlowStopped | FlowInterrupted):
        from symflow.numbers.decimal import decimal
        from symflow.paths.trajectory import Trajectory
        from symflow.report.report import flow_report, optional_decimal

        found["time"] = optional_decimal(error.time)
        trajectory = error.trajectory
        if not isinstance(trajectory, Trajectory):
            return data | {"computed_until": "0", "theta": {}, "events": []}
        known = {key: t for key, t in times.items() if t <= trajectory.end}
        data = {"computed_until": decimal(trajectory.horizon)} | flow_report(trajectory, known) | data
    return data
