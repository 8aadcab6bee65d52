"""`symflow flow`: gradient flow to any number of digits; a flow that stops early is an answer too."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from symflow.cli.exit_status import FAILED, INTERRUPTED, Answer
from symflow.cli.options import Digits, Horizon, Json, ProblemFile, check_file, load, number
from symflow.cli.signals import progress
from symflow.cli.streams import show
from symflow.errors import FlowInterrupted, FlowStopped, ProblemError, brief, with_remedies
from symflow.numbers.types import JsonObject

if TYPE_CHECKING:
    from symflow.analysis.flow_checks import Check
    from symflow.paths.stop_conditions import Stop
    from symflow.paths.trajectory import Trajectory
    from symflow.problem import Problem

REMEDIES = {
    "max-steps": "allow more steps (--max-steps), end the flow at rest (--stop-gradient-norm) or choose a shorter "
    "horizon (--horizon)",
    "time-limit": "allow more time (--time-limit), fewer digits (--dps) or a shorter horizon (--horizon)",
}
FLOAT64_REMEDIES = REMEDIES | {"time-limit": "allow more time (--time-limit) or choose a shorter horizon (--horizon)"}
"""What this command can set, in place of the Python arguments; with --float64."""
CHEAPER = "--float64, fewer digits (--dps), a shorter --horizon"


StopLoss = Annotated[str | None, typer.Option("--stop-loss", metavar="V", help="End where the loss falls to V.")]
StopGradientNorm = Annotated[
    str | None,
    typer.Option("--stop-gradient-norm", metavar="V", help="End where the norm of the gradient falls to V."),
]


def flow(
    problem: ProblemFile,
    dps: Digits = None,
    at: Annotated[
        list[str] | None,
        typer.Option("--at", metavar="T...", help="Times to print theta at; the horizon if left out."),
    ] = None,
    times: Annotated[
        list[str] | None,
        typer.Option("--times", metavar="GRID", help="A grid of times: linear:0:10:11 or log:1e-3:10:9."),
    ] = None,
    horizon: Horizon = None,
    stop_loss: StopLoss = None,
    stop_gradient_norm: StopGradientNorm = None,
    max_steps: Annotated[
        int | None, typer.Option("--max-steps", metavar="K", help="Most Taylor steps; 100000 if left out.")
    ] = None,
    time_limit: Annotated[
        str | None, typer.Option("--time-limit", metavar="S", help="Most seconds of wall time.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Check the flow against identities and closed forms, with their digits.")
    ] = False,
    save: Annotated[
        Path | None,
        typer.Option("--save", metavar="FILE", help="Save the trajectory (or the part reached), all digits, as JSON."),
    ] = None,
    float64: Annotated[
        bool, typer.Option("--float64", help="In float64, kinks located, for networks too large for digits.")
    ] = False,
    as_json: Json = False,
) -> Answer:
    """Solve gradient flow to any number of digits."""
    wanted, end = _times(at or (), times or (), horizon)
    check_file(save, "--save")
    stops, limits = _stops(stop_loss, stop_gradient_norm), _limits(max_steps, time_limit)
    given = load(problem)
    end = _final_time(given, wanted, stops) if end is None else end
    if not wanted:
        from symflow.numbers.rational import text

        wanted = {text(end): end}
    solve, cheaper, remedies = _method(given, wanted, dps, float64, check)
    started = time.perf_counter()
    try:
        keep = None if save is None else lambda so_far: so_far.save(save)
        with progress("gradient flow", cheaper, keep) as report, with_remedies(remedies):
            trajectory = solve(given, horizon=end, stop=stops, progress=report, **limits)
    except (FlowStopped, FlowInterrupted) as error:
        return _stopped(error, wanted, save)
    found = Found(trajectory, wanted, time.perf_counter() - started, _save(trajectory, save))
    if check:
        from symflow.analysis.flow_checks import check_flow

        checks = check_flow(given, trajectory)
        return Answer(lambda: found.data(checks), lambda: show(*found.tables(checks)))
    return Answer(found.data, lambda: show(*found.tables()))


def _method(
    problem: Problem, times: Mapping[str, Fraction], dps: int | None, float64: bool, check: bool
) -> tuple[Callable[..., Trajectory], str, Mapping[str, str]]:
    """What solves a flow, what is cheaper, and what helps where it stops."""
    if not float64:
        from symflow.paths.flow import solve_flow

        return partial(solve_flow, dps=dps), CHEAPER, REMEDIES
    if dps is not None or check:
        raise ProblemError("--float64 goes without --dps and --check, which are for flows with digits; leave it out")
    from symflow.paths.float64 import solve_flow_float64
    from symflow.paths.float64.methods import EVENT_CORRECTED

    solver = EVENT_CORRECTED if problem.objective.gates else "dopri8"
    return (
        partial(solve_flow_float64, times=list(times.values()), solver=solver),
        "a shorter --horizon",
        FLOAT64_REMEDIES,
    )


@dataclass(frozen=True)
class Found:
    """A flow that was solved.

    Attributes:
        trajectory: the flow.
        times: when theta was asked for, under the texts that were written.
        seconds: wall time.
        saved: the file that was written, if one was asked for.
    """

    trajectory: Trajectory
    times: Mapping[str, Fraction]
    seconds: float
    saved: Path | None

    def data(self, checks: Sequence[Check] | None = None) -> JsonObject:
        """The JSON object."""
        from symflow.report.report import flow_report

        found = flow_report(self.trajectory, self._reached(), self.seconds) | stop_report(self.trajectory)
        if checks is not None:
            found["checks"] = [{"name": c.name, "result": c.result, "digits": round(c.digits, 1)} for c in checks]
        if self.saved is not None:
            found["saved"] = str(self.saved)
        return found

    def tables(self, checks: Sequence[Check] | None = None) -> list[Any]:
        """What a person is shown."""
        from symflow.report.terminal import checks_table, flow_tables

        line = _stop_line(self.trajectory)
        shown: list[Any] = [*flow_tables(self.trajectory, self._reached(), self.seconds), *([line] if line else [])]
        return shown + ([] if checks is None else [checks_table(checks)])

    def _reached(self) -> dict[str, Fraction]:
        """The times up to the end, and the end itself where a condition set it."""
        import mpmath

        trajectory = self.trajectory
        if trajectory.stopped is None:
            return dict(self.times)
        end = trajectory.end
        with_end = {key: t for key, t in self.times.items() if t < end}
        return with_end | {mpmath.nstr(trajectory.horizon, trajectory.digits).removesuffix(".0"): end}


def _stopped(error: FlowStopped | FlowInterrupted, times: Mapping[str, Fraction], save: Path | None) -> Answer:
    """The answer of a flow that stopped or was interrupted; what was computed is saved all the same."""
    from symflow.paths.trajectory import Trajectory
    from symflow.report.stopped import stopped_report

    saved = _save(error.trajectory, save) if isinstance(error.trajectory, Trajectory) else None
    said = str(error)
    if isinstance(error, FlowInterrupted) and error.time is not None:
        said += f" at t = {float(error.time):.6g}"
    if saved is not None:
        said += f"; the part computed so far is saved in {saved}"
    kept = {} if saved is None else {"saved": str(saved)}
    status = INTERRUPTED if isinstance(error, FlowInterrupted) else FAILED
    return Answer(lambda: stopped_report(error, said, times) | kept, lambda: None, status, said)


def stop_report(trajectory: Trajectory) -> JsonObject:
    """The stop conditions of a flow: all of them, and the one that ended it with its time."""
    from symflow.numbers.decimal import decimal
    from symflow.report.report import optional_decimal

    found: JsonObject = {"conditions": list(trajectory.conditions), "stopped": None}
    stopped = trajectory.stopped
    if stopped is not None:
        found["stopped"] = {
            "condition": stopped.condition,
            "time": decimal(stopped.time, trajectory.digits),
            "time_error_estimate": optional_decimal(stopped.error_estimate),
        }
    return found


def _stop_line(trajectory: Trajectory) -> str:
    import mpmath

    from symflow.numbers.decimal import short

    if trajectory.stopped is None:
        return f"no condition was met: {'; '.join(trajectory.conditions)}" if trajectory.conditions else ""
    stopped = trajectory.stopped
    time_shown = mpmath.nstr(stopped.time, trajectory.digits)
    return f"the {stopped.condition} at t = {time_shown} (error estimate {short(stopped.error_estimate, 2)})"


def _save(trajectory: Trajectory, path: Path | None) -> Path | None:
    if path is not None:
        trajectory.save(path)
    return path


def _stops(loss: str | None, gradient_norm: str | None) -> list[Stop]:
    if loss is None and gradient_norm is None:
        return []
    from symflow.numbers.rational import rational
    from symflow.paths.stop_conditions import stop_at_gradient_norm, stop_at_loss

    stops = []
    if loss is not None:
        stops.append(stop_at_loss(rational(loss, "--stop-loss")))
    if gradient_norm is not None:
        norm = rational(gradient_norm, "--stop-gradient-norm")
        if norm <= 0:
            raise ProblemError(f"--stop-gradient-norm must be positive, got {brief(gradient_norm)}")
        stops.append(stop_at_gradient_norm(norm))
    return stops


def _limits(max_steps: int | None, time_limit: str | None) -> JsonObject:
    """The limits that were given, as `solve_flow` takes them."""
    limits: JsonObject = {}
    if max_steps is not None:
        if max_steps < 1:
            raise ProblemError(f"--max-steps must be a positive whole number, got {max_steps}")
        limits["max_steps"] = max_steps
    if time_limit is not None:
        seconds = number(time_limit, "--time-limit")
        if seconds is None or seconds <= 0:
            raise ProblemError(f"--time-limit must be a positive number of seconds, got {brief(time_limit)}")
        limits["time_limit"] = seconds
    return limits


def _final_time(problem: Problem, times: Mapping[str, Fraction], stops: Sequence[Stop]) -> Fraction:
    """The final time where no option gives it."""
    latest = max(times.values(), default=Fraction(0))
    own = problem.horizon if stops or not latest else None  # a condition may be met after the last time
    if own is None and not times:
        raise ProblemError("run.horizon: a flow needs a final time, got none; give --horizon, --at or run.horizon")
    return max(latest, own or Fraction(0)) or Fraction(1)  # 1 where only the time 0 was asked for


def _times(at: Sequence[str], grids: Sequence[str], horizon: str | None) -> tuple[dict[str, Fraction], Fraction | None]:
    """When theta is wanted, under the texts that were written (grid points: as decimals), and the final time."""
    from symflow.numbers.decimal import ending_decimal
    from symflow.numbers.rational import rational, text

    def at_least_zero(value: str, option: str) -> Fraction:
        given = rational(value, option)
        if given < 0:
            raise ProblemError(f"{option} must be a time of at least 0, got {brief(value)}")
        return given

    times = {value: at_least_zero(value, "--at") for value in at}
    end = None if horizon is None else at_least_zero(horizon, "--horizon")
    written = dict.fromkeys(times, "--at")
    if grids:
        from symflow.paths.times import grid_times

        for grid in grids:
            points = {ending_decimal(t) or text(t): t for t in grid_times(grid, "--times")}
            written |= dict.fromkeys(points, "--times")
            times |= points
    if end is not None:
        late = next((key for key, t in times.items() if t > end), None)
        if late is not None:
            raise ProblemError(f"{written[late]} must not lie beyond --horizon {horizon}, got {brief(late)}")
    return times, end
