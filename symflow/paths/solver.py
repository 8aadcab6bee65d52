"""Pairs of Taylor runs until they agree: how a flow is solved to the digits asked for, and its error estimated."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cached_property
from itertools import chain
from math import ceil
from typing import Any

import mpmath

from symflow.dynamics.jacobian import short_jacobian
from symflow.dynamics.vector_field import VectorField
from symflow.errors import BudgetError, ComputationError, FlowStopped, KinkError, ProblemError, brief
from symflow.numbers.arguments import whole
from symflow.numbers.fixed_point import from_fraction, to_mpf
from symflow.numbers.rational import rational
from symflow.numbers.types import Mpf
from symflow.paths.agreement import until_enough
from symflow.paths.certified.event_times import with_radii
from symflow.paths.certified.observed import Step, observe
from symflow.paths.certified.proof import prove
from symflow.paths.certified.rates import MOST_TERMS
from symflow.paths.certified.weights import chosen_weights
from symflow.paths.identities import balancedness_drift, energy_defect
from symflow.paths.path_error import CHECK, How, PathError
from symflow.paths.scale import log10_of, needed_digits
from symflow.paths.stop_conditions import Monitor, Stopped
from symflow.paths.taylor.apart import Apart
from symflow.paths.taylor.dense import FlowStats, TaylorSteps, taylor_steps
from symflow.paths.taylor.limits import CHECK_DIGITS, Limits, Precision
from symflow.paths.taylor.run import Integrator, Observer, Run, integrate
from symflow.paths.trajectory import Trajectory
from symflow.progress import Reporter

RUN = 0.6
"""The run's share of the time of a flow that is proved, about."""
STEP, PROOF = "Taylor step", "proof of the error"
GUARD = 6
"""Digits by which local truncation errors lie below the requested accuracy, at first."""
MAX_DPS = 10_000
MAX_PROVED = 256
"""Most parameters of a flow whose error is proved: dense Jacobians on every cell."""
LARGEST_PROVED = 1e300
"""Largest data whose flows are proved: what is made of more is beyond float64."""
TUBE_DIGITS = 3, 12
"""The tube of a proof has the radius 10^-n, n the digits asked for, but at least and at most so many: wide tubes meet
kinks that the flow does not."""
DEEPENED, MOST_AMPLIFIED, MOST_AT_KINKS = 2, 300, 40
"""How often more guard digits are taken for a crude rate, and how many it may cost; with kinks, where more digits mean
more work at every crossing, and a crude proof is more often one that no digits help."""
MAX_HORIZON = 10**300
"""Latest final time: larger times overflow float64."""
MAX_SECONDS = 10**9
UNDECIDED, KINK_ATTEMPTS = ("tangency", "precision"), 3
"""Causes of a stop at a kink that more digits may settle, and with how many of them it is tried."""


def checked_limits(max_steps: object, time_limit: object) -> Limits:
    """The limits given, the time counted from now.

    Raises:
        ProblemError: not positive, or no numbers.
    """
    max_steps = whole(max_steps, "max_steps", 1)
    if time_limit is None:
        return Limits(max_steps)
    seconds = rational(time_limit, "time_limit")
    if not 0 < seconds < MAX_SECONDS:
        raise ProblemError(f"time_limit must be a positive number of seconds below 1e9, got {brief(time_limit)}")
    return Limits(max_steps, time.perf_counter() + float(seconds), float(seconds))


class FlowSolver:
    """One problem with its runs.

    Attributes:
        complete: the first run of the pair that is being made, once it is done.
        unproved: a complete run whose proof needs more digits.
    """

    def __init__(
        self,
        field: VectorField,
        state: Sequence[Fraction],
        end: Fraction,
        dps: int,
        conditions: Sequence[Monitor],
        limits: Limits,
        report: Reporter,
    ) -> None:
        self.field, self.state, self.end, self.dps = field, state, end, dps
        self.conditions, self.limits, self.report = conditions, limits, report
        self.complete: Trajectory | None = None
        self.unproved: Trajectory | None = None
        self.deepened = 0

    def run(
        self, precision: Precision, report: Reporter, observer: Observer | None = None, apart: Apart | None = None
    ) -> tuple[Trajectory, tuple[Any, ...]]:
        """One run, and what was observed of its steps; what ends it early carries what is known as a trajectory.

        Of a second run, which is told how far it is `apart` from the first, that is the first as far as it has come.
        """
        clock, end = time.perf_counter(), float(self.end)

        def told(run: Integrator) -> None:
            if apart is not None:
                apart(run)
            if report.silent:
                return
            report.at(float(run.now), end, len(run.segments), lambda: self.so_far(run.result(), precision, clock))

        run = integrate(
            self.field,
            self.state,
            self.end,
            precision,
            conditions=self.conditions,
            limits=self.limits,
            after_step=told,
            observer=observer,
        )
        found, error = self.trajectory(run, precision, clock), run.ended
        if error is None:
            report(1.0, len(run.segments))
            return found, run.observed
        known = self.complete or self.unproved
        if known is not None and not isinstance(error, KinkError):
            error.trajectory = known
        else:
            part = found if self.complete is None else _up_to(self.complete, error.time)
            error.trajectory = replace(part, incomplete=error.what if isinstance(error, FlowStopped) else "interrupted")
        if known is not None and isinstance(error, FlowStopped) and error.cause == "time-limit":
            doing = "a second run estimated the error" if self.complete else "a run with more digits was to be proved"
            error.what = (
                f"the time limit of {self.limits.seconds:g} s was reached while {doing}; the trajectory to "
                f"t = {float(known.horizon):.6g} is known without {'an estimate' if self.complete else 'a proof'}"
            )
            error.advise("allow more time (time_limit) or leave the error out (error=None)")
        raise error

    def so_far(self, run: Run, p: Precision, clock: float) -> Trajectory:
        """What is known while a run is being made."""
        known = self.complete or self.unproved
        return known or replace(self.trajectory(run, p, clock), incomplete="the run was not finished")

    def trajectory(self, run: Run, p: Precision, clock: float) -> Trajectory:
        """A run as a trajectory, without an error estimate."""
        stats = FlowStats(len(run.segments), p.order, p.bits, p.tolerance_digits, time.perf_counter() - clock)
        reached = run.stopped is None and run.segments[-1].end == from_fraction(self.end, run.clock)
        dense = TaylorSteps(run.segments, p.bits, run.clock, self.end if reached else None)
        result = Trajectory(
            self.field.given or self.field.source or self.field, dense, self.dps, run.events, None, stats
        )
        result = replace(result, conditions=tuple(str(c.stop) for c in self.conditions))
        if run.stopped is None:
            return result
        return replace(result, stopped=Stopped(result.conditions[run.stopped], result.horizon))

    def solve(self, how: How | None) -> Trajectory:
        """Runs until what is known of the error, proved or estimated from pairs of runs, meets the digits."""
        digits = needed_digits(self.field, self.state, self.dps)
        guard = GUARD + min(digits, max((c.stop.digits for c in self.conditions), default=0))
        spare = max(0, ceil(log10_of(self.end)))  # rounding errors of the field add up over time
        started = time.perf_counter()
        refused: list[FlowStopped] = []
        errors: dict[str, Mpf] = {}

        def attempt(extra: tuple[int, int]) -> tuple[Trajectory | None, tuple[int, int]]:
            guard, spare = extra
            self.complete = None
            precision = Precision.for_digits(digits, guard, spare, smooth=not self.field.gates)
            try:
                found, known = self.attempt(precision, how)
            except FlowStopped as error:
                refused.append(error)
                if not _worth_more_digits(refused):
                    raise
                if error.cause == "rounding":
                    return None, (guard, spare + 2 * CHECK_DIGITS)
                return None, (guard + max(2 * CHECK_DIGITS, guard // 2), spare)
            refused.clear()
            errors.update(known)
            missing = _missing(known.values(), self.dps)
            return (found if missing <= 0 else None), (guard + max(3, missing + 3), spare)

        enough, (guard, _) = until_enough(attempt, (guard, spare))
        if enough is not None:
            self.report(1.0)
            return enough
        if refused:
            raise refused[-1]
        raise ComputationError(
            f"{self.dps} digits could not be reached with {guard} guard digits after "
            f"{time.perf_counter() - started:.0f} s ({max(errors, key=errors.__getitem__)} of "
            f"{mpmath.nstr(max(errors.values()), 2)}); the flow amplifies errors too strongly, try a shorter horizon"
        )

    def attempt(self, precision: Precision, how: How | None) -> tuple[Trajectory, dict[str, Mpf]]:
        """A flow and what is known of its errors: its identities, a proof, or an estimate from a second run.

        Raises:
            FlowStopped: it ends early, or two runs do not agree on what happens.
        """
        reason = self.not_proved if how == "certified" else ""
        proving = how == "certified" and not reason
        shares = (RUN, 1.0) if proving else (0.45, 1.0) if how is not None else (1.0, 1.0)
        found, observed = self.run(precision, self.report.part(0, shares[0], unit=STEP), observe if proving else None)
        self.complete = found if how is not None else None
        errors = _identities(found) if self.field.slides else {}
        if proving:
            found, reason = self.proved(found, observed, self.report.part(shares[0], 1, PROOF, "part"))
            if not reason and found.stopped is None:
                assert found.error is not None
                return found, errors | {"a proved error": found.error.value}
            needed = self.fits_with_more_digits(found)
            if needed is not None and self.deepened < DEEPENED:
                self.deepened += 1
                self.unproved = found
                return found, errors | {"a proved error": needed}
        if how is None:
            return found, errors
        second = precision.for_check()
        apart = Apart(taylor_steps(found), second.bits)
        check, _ = self.run(second, self.report.part(shares[0], 1, CHECK, STEP), apart=apart)
        disagreement = _disagreement(found, check)
        if disagreement is not None:
            raise disagreement
        error = apart.error(taylor_steps(check), stopped=found.stopped is not None)
        estimated = _with_estimates(found, check, PathError(error, "estimated", reason))
        errors |= _estimates(estimated, check)
        return (replace(estimated, error=found.error) if found.error is not None else estimated), errors

    def fits_with_more_digits(self, found: Trajectory) -> Mpf | None:
        """The error by the rates where the proof fails only because they amplify rounding beyond the guard digits."""
        needed = None if found.proof is None else found.proof.needed
        most = MOST_AT_KINKS if self.field.gates else MOST_AMPLIFIED
        return None if needed is None or needed > mpmath.mpf(10) ** (most - self.dps) else needed

    @cached_property
    def not_proved(self) -> str:
        """Why no flow of this field is proved; empty where it can be tried."""
        count = self.field.dimension
        if count > MAX_PROVED:
            return f"{count} parameters are more than the {MAX_PROVED} up to which flows are proved"
        if self.field.gates and not self.field.slides:  # convex faces make the gradient monotone, and no other field
            return "a field with kinks is proved only if it is gradient flow"
        slopes = (q for g in self.field.gates for q in (g.alpha, g.alpha_bar))
        if any(abs(q) > LARGEST_PROVED for q in chain(slopes, *(a.flat for a in self.field.data.values()))):
            return f"data and slopes beyond {LARGEST_PROVED:g} are not proved: proofs bound rates in float64"
        try:
            short_jacobian(self.field, MOST_TERMS)
        except BudgetError:
            return f"the Jacobian of the field has more than {MOST_TERMS} terms, which are too many to bound its rate"
        return ""

    def proved(self, found: Trajectory, observed: Sequence[Step], report: Reporter) -> tuple[Trajectory, str]:
        """A flow with a proof of its error, and why there is none where it is not complete."""
        with mpmath.workdps(15):
            radius = mpmath.mpf(10) ** -min(max(self.dps, TUBE_DIGITS[0]), TUBE_DIGITS[1])
        steps = taylor_steps(found)
        weights = chosen_weights(self.field, steps)

        def check(done: float) -> None:
            self.limits.check_proof()
            report(done, partial=lambda: found)

        try:
            proof = prove(self.field, steps, observed, radius, weights=weights, check=check)
        except FlowStopped as late:
            late.time, late.trajectory = found.horizon, found
            raise
        found = replace(found, proof=proof)
        if proof.complete:
            events = with_radii(self.field, steps, observed, found.events, proof.value, radius)
            return replace(found, error=PathError(proof.value, "certified"), events=events), ""
        return found, f"proved to t = {float(proof.end):.6g} only: {proof.reason}"


def _worth_more_digits(refused: Sequence[FlowStopped]) -> bool:
    """Whether more digits may get a flow further that was refused so often for these causes."""
    last = refused[-1]
    if isinstance(last, KinkError) and last.cause in UNDECIDED:
        if len(refused) == KINK_ATTEMPTS:
            last.advise(f"{KINK_ATTEMPTS} runs with ever more digits did not decide it; {_elsewhere(last.time)}")
        return len(refused) < KINK_ATTEMPTS
    if last.cause == "step-size":  # of a flow that blows up, and not of one that noise drives away
        before = [e.time for e in refused[:-1] if e.cause == "step-size"]
        return not before or abs(before[-1] - last.time) > last.time / 1000
    return last.cause in ("quantity", "rounding")


def _elsewhere(time: Mpf) -> str:
    return "choose a horizon before that time, or another initial point" if time else "choose another initial point"


def _up_to(found: Trajectory, time: Mpf) -> Trajectory:
    """The steps that end by a time."""
    steps = taylor_steps(found)
    start = replace(steps.segments[0], end=steps.segments[0].start)
    segments = tuple(s for s in steps.segments if to_mpf(s.end, steps.clock) <= time) or (start,)
    dense = TaylorSteps(segments, steps.bits, steps.clock)
    events = tuple(event for event in found.events if event.time <= dense.horizon)
    assert isinstance(found.stats, FlowStats)
    return replace(found, dense=dense, events=events, error=None, stats=replace(found.stats, steps=len(segments)))


def _identities(found: Trajectory) -> dict[str, Mpf]:
    """How far the flow is from the identities that hold for it, relative to their size."""
    drift = balancedness_drift(found)
    return {"a defect of the energy identity": energy_defect(found)} | (
        {} if drift is None else {"a drift of balancedness": drift}
    )


def _estimates(found: Trajectory, check: Trajectory) -> dict[str, Mpf]:
    """The estimated errors: of states, of where a condition ended the flow, and of the times of events."""
    errors = {"an estimated error": found.error_estimate}
    one = mpmath.mpf(1)
    with mpmath.workdps(found.digits + 20):
        if found.stopped is not None:
            errors["an error of the time"] = found.stopped.error_estimate / max(one, found.stopped.time)
        pairs = zip(found.events, check.events, strict=True)
        errors["an error of an event's time"] = max(
            (2 * abs(a.time - b.time) / max(one, a.time) for a, b in pairs), default=mpmath.mpf(0)
        )
    return errors


def _with_estimates(first: Trajectory, second: Trajectory, error: PathError) -> Trajectory:
    """The first run with the error estimates that the second one gives."""
    stopped = first.stopped
    if stopped is not None and second.stopped is not None:
        steps = taylor_steps(first)
        with mpmath.workprec(max(steps.bits, steps.clock) + 20):
            step = mpmath.ldexp(1, steps.segments[-1].tau - steps.bits) + mpmath.ldexp(1, -steps.clock)
            stopped = replace(stopped, error_estimate=2 * abs(stopped.time - second.stopped.time) + step)
    assert isinstance(first.stats, FlowStats)
    stats = replace(first.stats, check_seconds=second.stats.seconds)
    return replace(first, error=error, stopped=stopped, stats=stats)


def _missing(errors: Iterable[Mpf], digits: int) -> int:
    """How many digits the errors lack; at most 0 where they meet what was asked for."""
    with mpmath.workdps(15):
        largest = max(errors, default=mpmath.mpf(0))
        return 0 if largest <= mpmath.mpf(10) ** -digits else max(1, ceil(float(mpmath.log10(largest))) + digits)


def _disagreement(first: Trajectory, second: Trajectory) -> FlowStopped | None:
    """Why a result is refused whose sequence of events, or the condition that ends it, depends on the precision."""

    def sequence(t: Trajectory) -> list[tuple[str | int, ...]]:
        return [(e.kind, e.sample, e.layer, e.unit) for e in t.events]

    a, b = sequence(first), sequence(second)
    if a == b:
        met = [None if t.stopped is None else t.stopped.condition for t in (first, second)]
        if met[0] == met[1]:
            return None
        shown = " and ".join("none" if c is None else f"the {c}" for c in met)
        return FlowStopped(
            f"two runs of different precision end at t = {float(first.horizon):.10g} and t = "
            f"{float(second.horizon):.10g} by different conditions ({shown})",
            "ask for more digits, or choose another value",
            cause="quantity",
            time=first.horizon,
            trajectory=first,
        )
    at = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    e = (first if at < len(a) else second).events[at]
    return KinkError(
        f"two runs of different precision disagree on the events from t = {float(e.time):.10g} on (sample "
        f"{e.sample}, layer {e.layer}, unit {e.unit})",
        "ask for more digits",
        cause="precision",
        time=e.time,
        sample=e.sample,
        layer=e.layer,
        unit=e.unit,
        trajectory=first,
    )
