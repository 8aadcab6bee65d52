"""Gradient flow in float64 through diffrax, for what does not need many digits: one trajectory, or a batch of starts.

Explicit Runge-Kutta methods with step-size control; nothing is done at kinks.  Where a gate changes within a step, the
error control rejects and shrinks the step until the jump of the gradient fits into the tolerance.  A crossing so costs
15 to 60 rejected steps and leaves an error of the order of the tolerance.  Sliding is stepped through as a zigzag of
steps of about tolerance / jump: their number grows as 1 / tolerance, so that only loose tolerances get through it.
Measured on the reference problems (largest error on [0, T], atol = rtol / 100, Dopri8): five ReLU crossings leave 3e-9
at rtol = 1e-8 and 5e-10 at 1e-10, where the smooth linear flow has 4e-11 and 1e-12; sliding for half of [0, 8] takes
3e3 accepted steps at rtol = 1e-5 (error 3e-5) and 3e4 at 1e-6 (error 2e-6).  On 40 random networks of 2 or 3 layers
the median error is 0.007 rtol where no gate changes (largest 1), 4 rtol with crossings (largest 200 at step ends, 1700
between them) and 3 rtol with sliding (largest 60); of eight that slide, four do not arrive within 30 000 steps at 1e-4.
`solve_flow` locates kinks and holds sliding gates.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from symflow.errors import ComputationError, FlowStopped, ProblemError, brief, brief_float
from symflow.problem import Problem
from symflow.problem.numbers import rational, rational_array
from symflow.symbolic.derived import Derived, gradient
from symflow.symbolic.objective import Objective
from symflow.symbolic.program import Program
from symflow.trajectory.flow import integration_form
from symflow.trajectory.trajectory import Event

SOLVERS = {"dopri8": ("Dopri8", 13), "tsit5": ("Tsit5", 6), "dopri5": ("Dopri5", 6)}
"""Name -> diffrax's class, and gradient evaluations a step (the last stage is the next step's first)."""
MIN_RTOL, MAX_RTOL = 1e-13, 1e-3
"""Relative tolerances such that a run at 100 times tighter or looser ones still means something in float64."""
CHECK = 100
"""By how much the tolerances of the second run, whose difference is the error estimate, are tighter (or looser)."""
CHATTER_CHECK = 10
"""The same for a flow that slides, whose second run is looser (measured: 5 to 50 times the true error)."""
CHECK_RTOL = 1e-15
"""Tightest relative tolerance of a second run."""
CHECK_GROWTH = (1.3, 3)
"""A tighter run with fewer steps than so many times those of the first, and so many more, is followed by a still
tighter one: a run of a few steps may stay nearly as it is, and its difference then says nothing."""
CHECK_STEPS = (4, 1000)
"""The tighter second run may take this many times the steps of the first, and so many more; then a looser one is made.
Smooth flows need 1.8 (Dopri8) or 2.5 (order 5) times as many, a flow that chatters along a kink 100 times."""
CHUNK = 1000
"""Steps between two returns from compiled code."""
BATCH = 64
"""Points of the dense output computed at once."""
MAX_COMPARED = 512
"""Most steps at whose middle and end two runs are compared."""
MAX_CROSSED = 64
"""Most steps across kinks within which two runs are compared at more points."""
CHATTER = 4
"""A gate whose kink is within reach of so many steps looks like one that slides (crossings measured: 1 to 3)."""


@dataclass(frozen=True)
class Float64Stats:
    """What a float64 trajectory cost.

    Attributes:
        accepted: steps that were accepted.
        rejected: steps that were rejected.
        evaluations: gradient evaluations.
        seconds: wall time of the run, compilation included where the objective is new.
        check_seconds: wall time of the second run and of the comparison; 0 without one.
    """

    accepted: int
    rejected: int
    evaluations: int
    seconds: float
    check_seconds: float = 0.0

    @property
    def steps(self) -> int:
        """The accepted steps."""
        return self.accepted


@dataclass(frozen=True, eq=False)
class Float64Trajectory:
    """A solution in float64 with dense output, called like a `Trajectory`.

    Between two step ends the state is one step of the same method from the earlier one, so that dense output has the
    method's own order (diffrax's interpolant of Dopri8 is about a thousand times less accurate).  Within a step across
    a kink it can be 100 times less accurate than at the step's ends.

    Attributes:
        objective: what flows.
        times: the times that were asked for, shape (S,); the step ends where none were.
        values: the states there, shape (S, P).
        knots: 0 and the ends of the accepted steps, shape (K,).
        states: the states there, shape (K, P).
        solver: the method.
        rtol: relative tolerance of a step.
        atol: absolute tolerance of a step.
        error_estimate: estimated largest absolute error of any component at any time: twice the largest difference
            from a second run at the tolerances `check_rtol` and `check_atol` and from a start one unit in the last
            place away, at `times`, at ends and inner points of (at most 512) steps, and at 31 or more points of each of
            (at most 64) steps across kinks; None if none was made.  Rounding of the data is not in it.
        check_rtol: relative tolerance of the second run: 100 times tighter (10^4 times and so on where that hardly
            changes the steps), or looser where tighter runs take too many steps (10 times where the flow slides, else
            100 times); the estimate is then that of the looser run, and pessimistic.
        check_atol: its absolute tolerance.
        gate_changes: how many gates differ between consecutive step ends, summed over the steps; 0 for smooth flows.
            They are counted, not located.
        kink_steps: the most steps that have one and the same gate's kink within reach; a few at a crossing, most steps
            where the flow slides.
        note: what that means for the accuracy, one line; empty for smooth flows.
        stats: what it cost.
        events: empty, kinks are not located.
    """

    objective: Objective
    times: np.ndarray
    values: np.ndarray
    knots: np.ndarray
    states: np.ndarray
    solver: str
    rtol: float
    atol: float
    error_estimate: float | None
    check_rtol: float | None
    check_atol: float | None
    gate_changes: int
    kink_steps: int
    note: str
    stats: Float64Stats
    events: tuple[Event, ...] = ()

    @property
    def horizon(self) -> float:
        """The time up to which the trajectory is known."""
        return float(self.knots[-1])

    def numpy(self, times: Sequence[Any]) -> np.ndarray:
        """The state at many times, shape (S, P).

        Raises:
            ValueError: a time lies outside [0, horizon].
        """
        at = np.array([_float(t, "time") for t in times], dtype=np.float64)
        outside = at[(at < 0) | (at > self.horizon)]
        if outside.size:
            raise ValueError(
                f"time must lie in [0, {self.horizon:.6g}], got {outside[0]:.6g}; solve to a later horizon"
            )
        return _dense(integration_form(self.objective), self.solver, self.knots, self.states, at)

    def __call__(self, time: Any) -> np.ndarray:
        """The state at a time (string, rational, mpmath number, or float), shape (P,).

        Raises:
            ValueError: the time lies outside [0, horizon].
        """
        row: np.ndarray = self.numpy([time])[0]
        return row

    def weights(self, time: Any) -> list[np.ndarray]:
        """The parameter arrays at a time."""
        theta = self(time)
        return [theta[where].reshape(shape) for where, shape in self.objective.slices()]

    def end_to_end(self, time: Any) -> np.ndarray:
        """The product W_n ... W_1 at a time.

        Raises:
            ValueError: the objective is not a network's.
        """
        if self.objective.network is None:
            raise ValueError("only a network has an end-to-end matrix; use the trajectory's values directly")
        product, *rest = self.weights(time)
        for w in rest:
            product = w @ product
        return product

    def __repr__(self) -> str:
        error = "no error estimate" if self.error_estimate is None else f"estimated error {self.error_estimate:.1e}"
        gates = f", {self.gate_changes} gate changes not located" if self.gate_changes else ""
        return f"<Float64Trajectory to t={self.horizon:.6g}, {error}, {self.stats.accepted} steps{gates}>"


def solve_flow_float64(
    problem: Problem,
    *,
    horizon: Any = None,
    times: Sequence[Any] | None = None,
    rtol: float = 1e-10,
    atol: float = 1e-12,
    solver: str = "dopri8",
    max_steps: int = 100_000,
    theta0: Sequence[Any] | None = None,
    estimate_error: bool = True,
) -> Float64Trajectory:
    """Solves gradient flow theta' = -grad f(theta), theta(0) = theta0, on [0, horizon] in float64.

    A Runge-Kutta method of diffrax with the step size chosen so that the root mean square of
    error_i / (atol + rtol |theta_i|) is below 1 in each step; the moment form where there is one.  Compiled once per
    objective and method; JAX's global x64 setting is left alone.  Kinks are not located: see `note` in the result.
    All step ends are kept, that is 8 P bytes a step.

    Args:
        problem: what to solve.
        horizon: final time (string, rational, mpmath number, or float); the last of `times`, or else the problem's
            own, if left out.
        times: where the state is wanted (`times` and `values` of the result); the step ends if left out.
        rtol: relative tolerance of a step, from 1e-13 to 1e-3.
        atol: absolute tolerance of a step.
        solver: "dopri8" (order 8), "tsit5" or "dopri5" (order 5).
        max_steps: most steps, accepted or rejected.
        theta0: another start than the problem's, P numbers.
        estimate_error: make a second run for `error_estimate`.

    Raises:
        ProblemError: no horizon, or a wrong argument.
        FlowStopped: too many steps, or values that are no longer finite (then steps collapse); `trajectory` holds the
            part up to there.
        ComputationError: the start or the data are beyond float64.
    """
    at = None if times is None else _times(times)
    end = _horizon(problem, horizon, at)
    rtol, atol = _check_arguments(rtol, atol, solver, max_steps)
    start = _start(problem, theta0)
    objective = integration_form(problem.objective)
    with _x64():
        clock = time.perf_counter()
        run = _advance(objective, solver, start, end, rtol, atol, max_steps)
        middle = time.perf_counter()
        kinks = _kinks(objective, run)
        check = None
        if estimate_error and not run.stopped:
            check = _check(objective, solver, run, start, (rtol, atol), at, kinks)
        spent = time.perf_counter() - middle if estimate_error else 0.0
        wanted = run.knots if at is None else at[at <= run.knots[-1]]
        values = run.states if at is None else _dense(objective, solver, run.knots, run.states, wanted)
        for array in (wanted, values, run.knots, run.states):
            array.flags.writeable = False
        trajectory = Float64Trajectory(
            objective=problem.objective,
            times=wanted,
            values=values,
            knots=run.knots,
            states=run.states,
            solver=solver,
            rtol=rtol,
            atol=atol,
            error_estimate=None if check is None else check.error,
            check_rtol=None if check is None else check.rtol,
            check_atol=None if check is None else check.atol,
            gate_changes=kinks.changes,
            kink_steps=kinks.reached,
            note=_note(kinks, rtol) if objective.gates else "",
            stats=Float64Stats(run.accepted, run.rejected, run.evaluations, middle - clock, spent),
        )
    if run.stopped:
        raise _stopped(run.stopped, trajectory, end, max_steps)
    return trajectory


def sweep_flow_float64(
    problem: Problem,
    theta0s: Any,
    times: Sequence[Any],
    *,
    rtol: float = 1e-10,
    atol: float = 1e-12,
    solver: str = "dopri8",
    max_steps: int = 100_000,
) -> np.ndarray:
    """Solves theta_b' = -grad f(theta_b) in float64 from B starts at once (under `jax.vmap`).

    Each start has its own steps, which end at each of the times, so that a row has the accuracy of a single run; no
    error is estimated (repeat a few rows with `solve_flow_float64`), and kinks are not located.  Compiled once per
    objective, method, number of starts and number of times; the slowest start sets the wall time.

    Args:
        problem: its objective flows; its theta0 is not used.
        theta0s: the starts, shape (B, P).
        times: S times >= 0, in any order.
        rtol: relative tolerance of a step; see `solve_flow_float64`.
        atol: absolute tolerance of a step.
        solver: "dopri8", "tsit5" or "dopri5".
        max_steps: most steps of each start.

    Returns:
        The states, shape (B, S, P).

    Raises:
        ProblemError: a wrong argument.
        FlowStopped: a start takes too many steps, or its values are no longer finite; `trajectory` is the array, NaN
            where a start did not get to.
        ComputationError: the data are beyond float64.
    """
    at = _times(times)
    rtol, atol = _check_arguments(rtol, atol, solver, max_steps)
    starts = _starts(problem, theta0s)
    if not at.size or at.max() <= 0:
        raise ProblemError("times must hold a positive time; give the times at which the states are wanted")
    wanted, back = np.unique(at, return_inverse=True)
    positive = wanted[wanted > 0]
    objective = integration_form(problem.objective)
    with _x64():
        slopes = _in_batches(_compiled(objective, gradient), starts)
        good = np.isfinite(slopes).all(axis=1)
        rows = np.where(good, np.arange(len(starts)), np.argmax(good))  # others are not run, but keep the shape
        values = np.full((len(starts), len(wanted), starts.shape[1]), np.nan)
        values[:, wanted == 0] = starts[:, None]
        if good.any():
            sweep = _sweeper(objective, solver, max_steps)
            steps = _first_steps(starts[rows], slopes[rows], positive[-1])
            found = np.asarray(sweep(starts[rows], steps, positive, rtol, atol))
            values[:, wanted > 0] = np.where(good[:, None, None] & np.isfinite(found), found, np.nan)
    result: np.ndarray = values[:, back]
    missing = np.isnan(values).any(axis=2)
    if missing.any():
        row = int(np.argmax(missing.any(axis=1)))
        reached = float(wanted[~missing[row]].max(initial=0.0))
        raise FlowStopped(
            f"{int(missing.any(axis=1).sum())} of {len(starts)} starts did not get to the last time; the first is row "
            f"{row}, known up to t = {reached:.6g}: too many steps ({max_steps}), values that are no longer finite, "
            "or a flow that slides along a kink; solve_flow_float64 says which",
            time=reached,
            trajectory=result,
        )
    return result


@contextmanager
def _x64() -> Iterator[None]:
    """JAX's 64-bit mode within the block; numbers beyond float64 become the library's error."""
    import jax

    try:
        with jax.enable_x64(True):
            yield
    except OverflowError:
        raise ComputationError("the data are beyond float64; solve with digits (solve_flow)") from None


def _float(value: Any, where: str) -> float:
    try:
        return float(rational(value, where))
    except OverflowError:
        raise ProblemError(f"{where} must be within float64, got a number beyond; solve with digits") from None


def _times(times: Sequence[Any]) -> np.ndarray:
    at = np.array([_float(t, "times") for t in rational_array(times, "times", ndim=1)], dtype=np.float64)
    if at.min() < 0:
        raise ProblemError(f"times must not be negative, got {at.min():.6g}; the flow starts at time 0")
    return at


def _horizon(problem: Problem, horizon: Any, at: np.ndarray | None) -> float:
    if horizon is None:
        horizon = problem.horizon if at is None else float(at.max())
    if horizon is None:
        raise ProblemError("run.horizon: a flow needs a final time, got none; give horizon=... or run.horizon")
    end = _float(horizon, "horizon")
    if end <= 0:
        raise ProblemError(
            f"horizon must be positive, got {brief_float(rational(horizon, 'horizon'))}; give a positive final time"
        )
    if at is not None and at.max() > end:
        raise ProblemError(f"times must lie in [0, {end:.6g}], got {at.max():.6g}; give a later horizon")
    return end


def _check_arguments(rtol: Any, atol: Any, solver: Any, max_steps: Any) -> tuple[float, float]:
    def real(x: Any) -> bool:
        return isinstance(x, int | float | np.floating) and not isinstance(x, bool)

    if not real(rtol) or not MIN_RTOL <= rtol <= MAX_RTOL:
        raise ProblemError(
            f"rtol must lie in [{MIN_RTOL:g}, {MAX_RTOL:g}], got {brief(rtol)}; for more digits take solve_flow"
        )
    if not real(atol) or not 0 < atol < np.inf:
        raise ProblemError(f"atol must be a positive number, got {brief(atol)}")
    if not isinstance(solver, str) or solver not in SOLVERS:
        raise ProblemError(f"solver must be one of {', '.join(SOLVERS)}, got {brief(solver)}")
    if isinstance(max_steps, bool) or not isinstance(max_steps, int) or max_steps < 1:
        raise ProblemError(f"max_steps must be a positive whole number, got {brief(max_steps)}")
    return float(rtol), float(atol)


def _start(problem: Problem, theta0: Sequence[Any] | None) -> np.ndarray:
    given = problem.theta0 if theta0 is None else rational_array(theta0, "theta0", ndim=1)
    count = problem.objective.parameter_count
    if len(given) != count:
        raise ProblemError(f"theta0 must have {count} numbers, one a parameter, got {len(given)}")
    try:
        return np.array([float(v) for v in given], dtype=np.float64)
    except OverflowError:
        raise ComputationError("theta0 is beyond float64; solve with digits (solve_flow)") from None


def _starts(problem: Problem, theta0s: Any) -> np.ndarray:
    count = problem.objective.parameter_count
    try:
        if np.iscomplexobj(theta0s):
            raise TypeError
        starts = np.array(theta0s, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ProblemError(f"theta0s must be an array of shape (B, {count}), got {brief(theta0s)}") from None
    if starts.ndim != 2 or starts.shape[1] != count or not len(starts):
        raise ProblemError(f"theta0s must be an array of shape (B, {count}), got shape {starts.shape}")
    if not np.isfinite(starts).all():
        raise ProblemError("theta0s must be finite numbers, got some that are not")
    return starts


@dataclass(frozen=True)
class _Run:
    """One run: the step ends, the states there, what it cost, and why it stopped early ("" if it did not)."""

    knots: np.ndarray
    states: np.ndarray
    accepted: int
    rejected: int
    evaluations: int
    stopped: str


@lru_cache(maxsize=48)
def _compiled(objective: Objective, derive: Callable[[Objective], Derived]) -> Callable[..., Any]:
    """A derived result at many points."""
    import jax

    from symflow.compile.jax import to_jax

    return jax.jit(jax.vmap(to_jax(derive(objective))))


@lru_cache(maxsize=32)
def _method(objective: Objective, solver: str) -> tuple[Any, Any]:
    """diffrax's vector field and method."""
    import diffrax

    from symflow.compile.jax import to_jax

    g = to_jax(gradient(objective))
    return diffrax.ODETerm(lambda t, theta, _: -g(theta)), getattr(diffrax, SOLVERS[solver][0])()


@lru_cache(maxsize=64)
def _chunk(objective: Objective, solver: str, steps: int) -> Callable[..., Any]:
    """(theta, start, end, first step, rtol, atol) -> what `_advance` unpacks."""
    import diffrax
    import jax

    term, method = _method(objective, solver)

    def run(theta: Any, start: Any, end: Any, step: Any, rtol: Any, atol: Any) -> tuple[Any, ...]:
        solution = diffrax.diffeqsolve(
            term,
            method,
            t0=start,
            t1=end,
            dt0=step,
            y0=theta,
            saveat=diffrax.SaveAt(steps=True),
            stepsize_controller=diffrax.PIDController(rtol=rtol, atol=atol),
            max_steps=steps,
            adjoint=diffrax.ForwardMode(),
            throw=False,
        )
        stats, result = solution.stats, solution.result
        full, done = result == diffrax.RESULTS.max_steps_reached, result == diffrax.RESULTS.successful
        return solution.ts, solution.ys, stats["num_accepted_steps"], stats["num_rejected_steps"], full, done

    return jax.jit(run)


@lru_cache(maxsize=32)
def _stepper(objective: Objective, solver: str) -> Callable[..., Any]:
    """(states, step sizes) -> the states one step later."""
    import jax

    term, method = _method(objective, solver)

    def one(theta: Any, h: Any) -> Any:
        state = method.init(term, 0.0, h, theta, None)
        return method.step(term, 0.0, h, theta, None, state, made_jump=False)[0]

    return jax.jit(jax.vmap(one))


@lru_cache(maxsize=32)
def _sweeper(objective: Objective, solver: str, max_steps: int) -> Callable[..., Any]:
    """(starts, first steps, times, rtol, atol) -> states (B, S, P), not finite where a start did not get to."""
    import diffrax
    import jax

    term, method = _method(objective, solver)

    def one(theta: Any, step: Any, times: Any, rtol: Any, atol: Any) -> Any:
        control = diffrax.PIDController(rtol=rtol, atol=atol)
        return diffrax.diffeqsolve(
            term,
            method,
            t0=0.0,
            t1=times[-1],
            dt0=step,
            y0=theta,
            saveat=diffrax.SaveAt(ts=times),
            stepsize_controller=diffrax.ClipStepSizeController(control, step_ts=times),
            max_steps=max_steps,
            adjoint=diffrax.ForwardMode(),
            throw=False,
        ).ys

    return jax.jit(jax.vmap(one, in_axes=(0, 0, None, None, None)))


def _first_steps(starts: np.ndarray, slopes: np.ndarray, end: float) -> np.ndarray:
    """A first step size for each start: 0.01 ||theta|| / ||g||, as Hairer, Norsett and Wanner begin (II.4).

    diffrax 0.7.2 has this rule too, but takes 0.01 whatever the scale.
    """
    theta, slope = np.abs(starts).max(axis=1), np.abs(slopes).max(axis=1)
    usual = (theta > 0) & (slope > 0)
    with np.errstate(over="ignore"):
        steps = np.where(usual, 0.01 * theta / np.where(usual, slope, 1.0), 1e-6 * end)
    return np.asarray(np.clip(steps, 1e-12 * end, end))


def _advance(
    objective: Objective, solver: str, start: np.ndarray, end: float, rtol: float, atol: float, max_steps: int
) -> _Run:
    """Runs to the end, or to where the flow stops."""
    knots, states = [np.zeros(1)], [start[None]]
    accepted = rejected = evaluations = 0

    def result(stopped: str) -> _Run:
        return _Run(np.concatenate(knots), np.concatenate(states), accepted, rejected, evaluations, stopped)

    slope = _in_batches(_compiled(objective, gradient), start[None])
    evaluations += 1
    if not np.isfinite(slope).all():
        return result("start")
    now, theta = np.float64(0), start  # of the type that it has later, so that nothing is compiled anew
    step = _first_steps(start[None], slope, end)[0]
    while True:
        steps = min(CHUNK, max_steps - accepted - rejected)
        if steps == 0:
            return result("steps")
        advance = _chunk(objective, solver, steps)
        ts, ys, kept, refused, full, done = advance(theta, now, end, step, rtol, atol)
        new = int(kept)
        accepted, rejected = accepted + new, rejected + int(refused)
        evaluations += SOLVERS[solver][1] * (new + int(refused)) + 1
        knots.append(np.asarray(ts)[:new])
        states.append(np.asarray(ys)[:new])
        if bool(done):
            return result("")
        if not bool(full) or (new == 0 and steps == CHUNK):  # rejected down to the resolution of time
            return result("collapse")
        if new:
            step = np.diff(knots[-1], prepend=now)[-1]
            now, theta = knots[-1][-1], states[-1][-1]


def _stopped(cause: str, trajectory: Float64Trajectory, end: float, max_steps: int) -> FlowStopped:
    """The typed error for a run that did not get to the end."""
    at, near = trajectory.horizon, trajectory.kink_steps
    if near >= CHATTER:
        remedy = (
            f"one gate's kink was within reach of {near} steps, so the flow probably slides along it: take solve_flow, "
            "which holds it there, or looser tolerances (the steps are as many as 1 / tolerance)"
        )
    elif cause == "steps":
        remedy = "allow more steps (max_steps), looser tolerances or a shorter horizon"
    else:
        remedy = "choose a shorter horizon, another start or smaller data"
    what = {
        "start": "the gradient at theta0 is not finite in float64",
        "steps": f"{max_steps} steps led only to t = {at:.6g} of {end:.6g}",
        "collapse": f"the step size collapsed at t = {at:.10g}, the values blow up or are no longer finite",
    }
    return FlowStopped(f"{what[cause]}; {remedy}", time=at, trajectory=trajectory)


@dataclass(frozen=True)
class _Check:
    """An error estimate and the tolerances of the second run it comes from."""

    error: float
    rtol: float
    atol: float


def _check(
    objective: Objective,
    solver: str,
    run: _Run,
    start: np.ndarray,
    tolerances: tuple[float, float],
    at: np.ndarray | None,
    kinks: _Kinks,
) -> _Check | None:
    """Compares with a second run: a tighter one, or a looser one where that would take too many steps."""
    away = np.where(np.arange(len(start)) % 2 == 0, np.inf, -np.inf)
    nearby = np.where(start == 0, 0.0, np.nextafter(start, away))
    chatters = kinks.reached >= CHATTER
    points = _points(run, kinks, at)
    first = _dense(objective, solver, run.knots, run.states, points)
    factor, extra = CHECK_STEPS
    budget = factor * (run.accepted + run.rejected) + extra
    budget = -(-budget // CHUNK) * CHUNK  # whole chunks, so that nothing is compiled for a remainder

    def second(scale: float) -> _Run:
        rtol, atol = (scale * tolerance for tolerance in tolerances)
        return _advance(objective, solver, nearby, float(run.knots[-1]), rtol, atol, budget)

    chosen: tuple[_Run, float] | None = None
    scale = 1.0
    while not chatters and tolerances[0] * scale >= 0.99 * CHECK * CHECK_RTOL:
        scale /= CHECK
        tighter = second(scale)
        if tighter.stopped:
            break
        chosen = tighter, scale
        if tighter.accepted >= CHECK_GROWTH[0] * run.accepted + CHECK_GROWTH[1]:
            break
    if chosen is None:
        scale = CHATTER_CHECK if chatters else CHECK
        looser = second(scale)
        if looser.stopped:
            return None
        chosen = looser, scale
    other = _dense(objective, solver, chosen[0].knots, chosen[0].states, points)
    rounding = np.finfo(np.float64).eps * np.abs(first).max()
    error = 2 * float(np.abs(first - other).max() + rounding)
    return _Check(error, chosen[1] * tolerances[0], chosen[1] * tolerances[1])


def _points(run: _Run, kinks: _Kinks, at: np.ndarray | None) -> np.ndarray:
    """The times at which two runs are compared: `at`, ends and inner points of steps.

    In a step across a kink the dense output is not continuous (whether a stage is beyond the kink depends on the time),
    so that many points are needed to come near its largest error.
    """
    usual, crossed = _thinned(np.arange(run.accepted), MAX_COMPARED), _thinned(kinks.crossed, MAX_CROSSED)
    times = [run.knots[usual + 1], np.zeros(0) if at is None else at]
    for steps, most in ((usual, MAX_COMPARED), (crossed, 32 * MAX_CROSSED)):
        sizes = run.knots[steps + 1] - run.knots[steps]
        parts = max(2, min(256, most // max(1, len(steps))))
        times += [run.knots[steps] + sizes * part / parts for part in range(1, parts)]
    return np.unique(np.concatenate(times))


def _thinned(numbers: np.ndarray, most: int) -> np.ndarray:
    """At most so many of the numbers, spread evenly."""
    return numbers[np.unique(np.linspace(0, len(numbers) - 1, min(len(numbers), most)).round().astype(int))]


def _in_batches(function: Callable[..., Any], *arrays: np.ndarray) -> np.ndarray:
    """A mapped function at many points, in batches of one size so that it is compiled at most twice."""
    count = len(arrays[0])
    size = 1 if count == 1 else BATCH
    rows = []
    for start in range(0, count, size):
        chunks = [a[start : start + size] for a in arrays]
        padded = [np.concatenate([c, np.repeat(c[-1:], size - len(c), axis=0)]) for c in chunks]
        rows.append(np.asarray(function(*padded))[: len(chunks[0])])
    return np.concatenate(rows)


def _dense(objective: Objective, solver: str, knots: np.ndarray, states: np.ndarray, times: np.ndarray) -> np.ndarray:
    """The states at times within the knots: one step of the method from the last knot before."""
    import jax

    before = np.searchsorted(knots, times, side="right") - 1
    values: np.ndarray = states[before]
    between = knots[before] < times
    if between.any():
        with jax.enable_x64(True):
            sizes = times[between] - knots[before[between]]
            values[between] = _in_batches(_stepper(objective, solver), values[between], sizes)
    return values


def _pre_activations(objective: Objective) -> Derived:
    """The pre-activations of all gates as one vector."""
    outputs = {f"z{i}": gate.z for i, gate in enumerate(objective.gates)}
    return Derived("pre-activations", objective, Program(objective.program.inputs, outputs), "vector")


@dataclass(frozen=True)
class _Kinks:
    """What the step ends of a run tell of kinks.

    A gate is within reach of a step when it differs at the step's other end, or would after an Euler step of the same
    length.  A flow that slides ends most of its steps on one side of the kink, and is seen by the latter alone.

    Attributes:
        changes: how many gates differ between consecutive step ends, summed.
        reached: how many steps have one and the same gate within reach, at most.
        crossed: the steps whose ends differ in a gate, by number.
    """

    changes: int
    reached: int
    crossed: np.ndarray


def _kinks(objective: Objective, run: _Run) -> _Kinks:
    if not objective.gates or not run.accepted:
        return _Kinks(0, 0, np.zeros(0, dtype=int))
    values, slopes = _compiled(objective, _pre_activations), _compiled(objective, gradient)
    counts, reached = [], np.zeros(1, dtype=int)
    for first in range(0, len(run.states) - 1, BATCH):
        states = run.states[first : first + BATCH + 1]
        sizes = np.diff(run.knots[first : first + BATCH + 1])[:, None]
        here = _in_batches(values, states[:-1]) >= 0
        there = _in_batches(values, states[1:]) >= 0
        ahead = _in_batches(values, states[:-1] - sizes * _in_batches(slopes, states[:-1])) >= 0
        counts.append((here != there).sum(axis=1))
        reached = reached + ((here != there) | (here != ahead)).sum(axis=0)
    changes = np.concatenate(counts)
    return _Kinks(int(changes.sum()), int(reached.max()), np.flatnonzero(changes))


def _note(kinks: _Kinks, rtol: float) -> str:
    """What is not done about kinks, and what accuracy that leaves."""
    remedy = "trust error_estimate, or take solve_flow"
    if kinks.reached >= CHATTER:
        return (
            f"one gate's kink was within reach of {kinks.reached} steps, as where the flow slides along it: it is not "
            f"held there, the steps zigzag across the kink and are as small as the tolerance (rtol {rtol:g}); {remedy}"
        )
    if kinks.changes:
        return (
            f"{kinks.changes} gate changes were stepped over and not located: at each one only the step-size control "
            f"(rtol {rtol:g}) limits the error, not the order of the method; {remedy}"
        )
    return "no gate differs between consecutive step ends; kinks touched within one step go unnoticed"
