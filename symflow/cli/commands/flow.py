"""`symflow flow`: options, the computation, and what is shown, printed as JSON and saved of it, also when it stops."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symflow.errors import FlowInterrupted, FlowStopped, KinkError, ProblemError, advising, brief
from symflow.files import check_writable

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
"""What this command can set, in place of the Python arguments."""

Progress = Callable[[str], AbstractContextManager[Callable[[float], None]]]


@dataclass(frozen=True)
class FlowOptions:
    """The options of `symflow flow`, as they were written.

    Attributes:
        dps: digits; the problem's own if None.
        at: single times.
        grids: grids of times, `linear:START:END:COUNT` or `log:START:END:COUNT`.
        horizon: final time.
        stop_loss: ends the flow where the loss falls to it.
        stop_gradient_norm: ends the flow where the norm of the gradient falls to it.
        max_steps: most Taylor steps.
        time_limit: most seconds.
        check: check identities.
        save: where to write the trajectory.
    """

    dps: int | None = None
    at: Sequence[str] = ()
    grids: Sequence[str] = ()
    horizon: str | None = None
    stop_loss: str | None = None
    stop_gradient_norm: str | None = None
    max_steps: int | None = None
    time_limit: str | None = None
    check: bool = False
    save: Path | None = None


@dataclass(frozen=True)
class FlowAnswer:
    """What the command found, complete or not.

    Attributes:
        trajectory: the flow; None where it stopped before there was any.
        times: when theta was asked for, under the texts that were written.
        seconds: wall time.
        checks: identities and to how many digits they hold, where asked for.
        saved: the file that was written, if one was asked for.
        error: why it stopped early, if it did.
    """

    trajectory: Trajectory | None
    times: Mapping[str, Fraction]
    seconds: float
    checks: Sequence[Check] | None = None
    saved: Path | None = None
    error: FlowStopped | FlowInterrupted | None = None

    @property
    def said(self) -> str:
        """The line for standard error; empty where all is done."""
        if self.error is None:
            return ""
        said = str(self.error)
        if isinstance(self.error, FlowInterrupted) and self.error.time is not None:
            said += f" at t = {float(self.error.time):.6g}"
        return said if self.saved is None else f"{said}; the part computed so far is saved in {self.saved}"

    def data(self) -> dict[str, Any]:
        """The JSON object."""
        if self.error is not None:
            found = stopped_report(self.error, self.said, self.times)
        else:
            from symflow.report.report import flow_report

            assert self.trajectory is not None
            found = flow_report(self.trajectory, self._reached(), self.seconds) | stop_report(self.trajectory)
        if self.checks is not None:
            found["checks"] = [{"name": c.name, "result": c.result, "digits": round(c.digits, 1)} for c in self.checks]
        if self.saved is not None:
            found["saved"] = str(self.saved)
        return found

    def renderables(self) -> list[Any]:
        """What a person is shown."""
        from symflow.report.terminal import checks_table, flow_tables

        assert self.trajectory is not None
        line = _stop_line(self.trajectory)
        shown: list[Any] = [*flow_tables(self.trajectory, self._reached(), self.seconds), *([line] if line else [])]
        return shown + ([] if self.checks is None else [checks_table(self.checks)])

    def _reached(self) -> dict[str, Fraction]:
        """The times up to the end, and the end itself where a condition set it."""
        import mpmath

        trajectory = self.trajectory
        assert trajectory is not None
        if trajectory.stopped is None:
            return dict(self.times)
        end = trajectory.end
        with_end = {key: t for key, t in self.times.items() if t < end}
        return with_end | {mpmath.nstr(trajectory.horizon, trajectory.digits).removesuffix(".0"): end}


def run_flow(load: Callable[[], Problem], options: FlowOptions, progress: Progress) -> FlowAnswer:
    """Solves the flow of a problem as the options say.

    A flow that stops or is interrupted is an answer too, with its `error`; what was computed is saved all the same.

    Raises:
        ProblemError: the input is wrong.
        ComputationError: the digits cannot be reached.
        OSError: the trajectory could not be written.
    """
    times, end = _times(options)
    _check_file(options.save)
    stops, limits = _stops(options), _limits(options)
    problem = load()
    if end is None:
        latest = max(times.values(), default=Fraction(0))
        own = problem.horizon if stops or not latest else None  # a condition may be met after the last time
        if own is None and not times:
            raise ProblemError("run.horizon: a flow needs a final time, got none; give --horizon, --at or run.horizon")
        end = max(latest, own or Fraction(0)) or Fraction(1)  # 1 where only the time 0 was asked for
    if not times:
        from symflow.numbers.rational import text

        times = {text(end): end}
    from symflow.paths.flow import solve_flow

    started = time.perf_counter()
    try:
        with progress("gradient flow") as report, advising(REMEDIES):
            trajectory = solve_flow(
                problem,
                horizon=end,
                dps=options.dps,
                stop=stops,
                progress=report,
                **limits,
            )
    except (FlowStopped, FlowInterrupted) as error:
        partial: Trajectory | None = error.trajectory
        saved = None if partial is None else _save(partial, options.save)
        return FlowAnswer(partial, times, time.perf_counter() - started, saved=saved, error=error)
    seconds = time.perf_counter() - started
    saved = _save(trajectory, options.save)
    checks: list[Check] | None = None
    if options.check:
        from symflow.analysis.flow_checks import check_flow

        checks = check_flow(problem, trajectory)
    return FlowAnswer(trajectory, times, seconds, checks, saved)


def stop_report(trajectory: Trajectory) -> dict[str, Any]:
    """The stop conditions of a flow: all of them, and the one that ended it with its time."""
    from symflow.report.report import decimal

    found: dict[str, Any] = {"conditions": list(trajectory.conditions), "stopped": None}
    stopped = trajectory.stopped
    if stopped is not None:
        error = stopped.error_estimate
        found["stopped"] = {
            "condition": stopped.condition,
            "time": decimal(stopped.time, trajectory.digits),
            "time_error_estimate": None if error is None else decimal(error),
        }
    return found


def stopped_report(error: BaseException, said: str, times: Mapping[str, Fraction]) -> dict[str, Any]:
    """The JSON object of a failure, with what was known when a flow stopped."""
    kind = "KeyboardInterrupt" if isinstance(error, KeyboardInterrupt) else type(error).__name__
    found: dict[str, Any] = {"type": kind, "message": said}
    data: dict[str, Any] = {"error": found}
    if isinstance(error, FlowStopped):
        found["cause"] = error.cause
    if isinstance(error, KinkError):
        found |= {"sample": error.sample, "layer": error.layer, "unit": error.unit}
    if isinstance(error, FlowStopped | FlowInterrupted):
        from symflow.report.report import decimal, flow_report

        found["time"] = None if error.time is None else decimal(error.time)
        trajectory: Trajectory | None = error.trajectory
        if trajectory is None:
            return data | {"computed_until": "0", "theta": {}, "events": []}
        known = {key: t for key, t in times.items() if t <= trajectory.end}
        data |= {"computed_until": decimal(trajectory.horizon)} | flow_report(trajectory, known)
    return data


def _stop_line(trajectory: Trajectory) -> str:
    import mpmath

    from symflow.report.report import short

    if trajectory.stopped is None:
        return f"no condition was met: {'; '.join(trajectory.conditions)}" if trajectory.conditions else ""
    stopped = trajectory.stopped
    time_shown = mpmath.nstr(stopped.time, trajectory.digits)
    return f"the {stopped.condition} at t = {time_shown} (error estimate {short(stopped.error_estimate, 2)})"


def _save(trajectory: Trajectory, path: Path | None) -> Path | None:
    if path is not None:
        trajectory.save(path)
    return path


def _check_file(path: Path | None) -> None:
    """Refuses, before anything is computed, a file that cannot be written."""
    if path is None:
        return
    try:
        check_writable(path)
    except (OSError, ValueError) as failed:  # ValueError: a null character
        reason = failed.strerror if isinstance(failed, OSError) and failed.strerror else str(failed)
        raise ProblemError(
            f"--save must be a file that can be written, got {brief(os.fspath(path))} ({reason}); choose another"
        ) from None


def _stops(options: FlowOptions) -> list[Stop]:
    if options.stop_loss is None and options.stop_gradient_norm is None:
        return []
    from symflow.numbers.rational import rational
    from symflow.paths.stop_conditions import stop_at_gradient_norm, stop_at_loss

    stops = []
    if options.stop_loss is not None:
        stops.append(stop_at_loss(rational(options.stop_loss, "--stop-loss")))
    if options.stop_gradient_norm is not None:
        norm = rational(options.stop_gradient_norm, "--stop-gradient-norm")
        if norm <= 0:
            raise ProblemError(f"--stop-gradient-norm must be positive, got {brief(options.stop_gradient_norm)}")
        stops.append(stop_at_gradient_norm(norm))
    return stops


def _limits(options: FlowOptions) -> dict[str, Any]:
    """The limits that were given, as `solve_flow` takes them."""
    limits: dict[str, Any] = {}
    if options.max_steps is not None:
        if options.max_steps < 1:
            raise ProblemError(f"--max-steps must be a positive whole number, got {options.max_steps}")
        limits["max_steps"] = options.max_steps
    if options.time_limit is not None:
        from symflow.numbers.rational import rational

        seconds = rational(options.time_limit, "--time-limit")
        if seconds <= 0:
            raise ProblemError(f"--time-limit must be a positive number of seconds, got {brief(options.time_limit)}")
        limits["time_limit"] = seconds
    return limits


def _times(options: FlowOptions) -> tuple[dict[str, Fraction], Fraction | None]:
    """When theta is wanted, under the texts that were written (grid points: as decimals), and the final time."""
    from symflow.numbers.rational import ending_decimal, rational, text

    def at_least_zero(value: str, option: str) -> Fraction:
        number = rational(value, option)
        if number < 0:
            raise ProblemError(f"{option} must be a time of at least 0, got {brief(value)}")
        return number

    times = {value: at_least_zero(value, "--at") for value in options.at}
    end = None if options.horizon is None else at_least_zero(options.horizon, "--horizon")
    written = dict.fromkeys(times, "--at")
    if options.grids:
        from symflow.paths.times import grid_times

        for grid in options.grids:
            points = {ending_decimal(t) or text(t): t for t in grid_times(grid, "--times")}
            written |= dict.fromkeys(points, "--times")
            times |= points
    if end is not None:
        late = next((key for key, t in times.items() if t > end), None)
        if late is not None:
            raise ProblemError(f"{written[late]} must not lie beyond --horizon {options.horizon}, got {brief(late)}")
    return times, end
