"""Gradient flow to any number of digits, with an estimated error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from symflow.derivatives.derived import Derived
from symflow.dynamics.vector_field import VectorField, gradient_flow_field
from symflow.errors import FlowInterrupted, ProblemError, brief, brief_float
from symflow.networks.objective import Objective
from symflow.numbers.arguments import positive, whole
from symflow.numbers.rational import rational, rational_array
from symflow.numbers.types import Number
from symflow.paths.aliases import with_old_names
from symflow.paths.path_error import How, error_wanted
from symflow.paths.solver import MAX_DPS, MAX_HORIZON, FlowSolver, checked_limits
from symflow.paths.stop_conditions import LOSS, Stop, listed_stops, monitors
from symflow.paths.trajectory import Trajectory
from symflow.problem import Problem
from symflow.problem.arguments import as_problem
from symflow.progress import Wanted, reporting

FLOAT64 = "sf.solve_flow_float64(problem)"
CHEAPER_FIELD = 'fewer digits (dps=...), a shorter horizon, or error="estimated" instead of a proof'


@with_old_names
def solve_flow(
    problem: Problem,
    *,
    horizon: Number | None = None,
    dps: int | None = None,
    stop: Stop | Sequence[Stop] = (),
    error: How | None = "certified",
    progress: Wanted = None,
    max_steps: int = 100_000,
    time_limit: Number | None = None,
) -> Trajectory:
    """theta' = -grad f(theta), theta(0) = theta0: solves gradient flow on [0, horizon], with many digits.

    A Taylor method whose coefficients come from the program's power-series recurrences, in fixed-point integers. On
    (leaky) ReLU networks transversal crossings of kinks are located to full precision, and the flow is held on kinks
    along which it slides.

    Args:
        problem: what to solve.
        horizon: final time (text, a rational or mpmath number, or a float, which means its shortest decimal: 0.3 is
            3/10); the problem's own if left out.
        dps: digits asked for: |error| <= 10^-dps max(1, |value|) in each component; the problem's own if left out.
        stop: conditions (`stop_at_loss`, `stop_at_gradient_norm`, `stop_when`); the trajectory ends where the first of
            them is met, and its `stopped` says which and when, to `dps` digits; None there means that none was met.
        error: "certified": prove the error (R23), and take more digits until it meets `dps`; where that cannot be done
            it is estimated, and `error.reason` says why. A proof is of the problem's exact rationals: of standardized
            or whitened inputs as they are rounded to its digits. "estimated": make a second run at other order and
            precision; `error.value` is twice the largest difference. None: the error is not known.
        progress: True for a bar, or a function of a `Progress`, the fraction that is done from 0 to 1; it spans both
            runs (the flow and the run for its error estimate).
        max_steps: most Taylor steps of one run.
        time_limit: most seconds of wall time, the second run included; checked between steps; None for no limit.

    Returns:
        A `Trajectory`: `trajectory(t)` is theta(t), an object array of mpf of shape (P,), at any t in [0, horizon];
        `error.value` (mpf) is its largest absolute error, proved or estimated as `error.how` says.

    Raises:
        ProblemError: no horizon, or a number that is not valid.
        KinkError: a kink where the flow cannot be decided; the error has its time, sample, layer and unit, and in
            `trajectory` the flow up to there.
        FlowStopped: a limit, a collapsed step size, or a condition that cannot be decided; what was computed is in its
            `trajectory` (the whole flow where the second run met the limit).
        FlowInterrupted: Ctrl-C, a `KeyboardInterrupt`; what was computed is in its `trajectory`.
        ComputationError: the digits cannot be reached.

    Source: Taylor method with step size control, Jorba & Zou 2005; the flow on kinks is the Filippov solution,
    Filippov 1988.

    Example:
        >>> problem = sf.Problem(network=sf.FullyConnected((1, 1)), data={"x": [1], "y": [1]}, init={"theta": [0]})
        >>> flow = sf.solve_flow(problem, horizon=1, dps=40)  # theta' = 1 - theta
        >>> import mpmath
        >>> print(mpmath.nstr(flow(1)[0], 40))
        0.6321205588285576784044762298385391325542
        >>> with mpmath.workdps(45):
        ...     print(mpmath.nstr(1 - mpmath.exp(-1), 40))
        0.6321205588285576784044762298385391325542
    """
    problem = as_problem(problem, "solve_flow")
    if horizon is None:
        horizon = problem.horizon
    if horizon is None:
        raise ProblemError("run.horizon: a flow needs a final time, got none; give horizon=... or run.horizon")
    dps = problem.dps if dps is None else whole(dps, "dps", 1, MAX_DPS)
    given, problem = problem.objective, problem.for_digits(dps)
    with reporting(progress, "gradient flow", cheaper_flow(problem.objective)) as report:
        return solve_field(
            gradient_flow_field(problem.compact, problem.objective),
            problem.theta0,
            horizon=horizon,
            dps=dps,
            stop=own_stops(stop, given, problem.objective),
            error=error,
            progress=report,
            max_steps=max_steps,
            time_limit=time_limit,
        )


def cheaper_flow(objective: Objective) -> str:
    """What takes less time than a flow with many digits."""
    float64 = 'sf.solve_flow_float64(problem, solver="event-corrected")' if objective.gates else FLOAT64
    return f'{float64}, fewer digits (dps=...), a shorter horizon, or error="estimated" instead of a proof'


def own_stops(stop: Stop | Sequence[Stop], given: Objective, flowing: Objective) -> list[Stop]:
    """The conditions as conditions on what flows.

    Args:
        stop: the conditions.
        given: the problem's objective: its loss is that of the cheaper form that is integrated.
        flowing: the same objective with its data to the digits of the run.
    """

    def own(s: Stop) -> Stop:
        if not isinstance(s.quantity, Derived) or s.quantity.objective is not given:
            return s
        return replace(s, quantity=LOSS if s.quantity.kind == "loss" else replace(s.quantity, objective=flowing))

    return [own(s) for s in listed_stops(stop)]


@with_old_names
def solve_field(
    field: VectorField,
    start: Sequence[Number],
    *,
    horizon: Number | None,
    dps: int,
    radius: Number | Sequence[Number] | None = None,
    stop: Stop | Sequence[Stop] = (),
    error: How | None = "certified",
    progress: Wanted = None,
    max_steps: int = 100_000,
    time_limit: Number | None = None,
) -> Trajectory:
    """x' = G(x), x(0) given: solves any autonomous vector field on [0, horizon], with many digits.

    The Taylor method of `solve_flow`, with coefficients from the power-series recurrences of the field's program.

    Args:
        field: G, such as `VectorField({x: y, y: -x})` or `modified_equation(objective, 1).field(step_size)`.
        start: x(0), shape (P,), in the order of the field's variables, read as `theta0` of a problem is: text, rational
            and mpmath numbers mean themselves, a float its binary value.
        horizon: final time, positive (text, a rational or mpmath number, or a float, which means its shortest decimal).
        dps: digits asked for: |error| <= 10^-dps max(1, |value|) in each component.
        radius: makes the start a box, |x_i(0) - start_i| <= radius_i (one number for all entries, or one each): the
            trajectory is that of its centre, its certified `error.value` bounds how far the solution from any start in
            the box is from it, and `trajectory.enclosure(t)` is a box that contains all of them at a time. 0 proves
            the `dps` digits of one solution. For smooth fields with up to 24 entries, without stop conditions.
        stop: one or several conditions (`stop_at_loss`, `stop_at_gradient_norm`, `stop_when`); the first one met ends
            it.
        error: "certified": `error.value` is proved where it can be (a stiff field's in a weighted norm, named in
            `proof.weights`), else estimated with the reason in `error.reason`. "estimated": by a second run; see
            `solve_flow`. None: nothing. A box of starts is always certified.
        progress: True for a bar, or a function of a `Progress`, the fraction that is done from 0 to 1; it spans both
            runs (the solution and the run for its error estimate).
        max_steps: most Taylor steps of one run.
        time_limit: most seconds of wall time, the second run included; None for no limit.

    Returns:
        A `Trajectory` with dense output; its states are object arrays of mpf, one entry per state entry.

    Raises:
        ProblemError: not a vector field, a start of another length, or a horizon, `dps`, limit or condition that is not
            valid.
        KinkError: a kink that is not a transversal crossing, unless the field is gradient flow itself (`slides`).
        FlowStopped: a limit, a collapsed step size, a box that spreads too far, or a condition that cannot be decided;
            its `trajectory` is what was computed.
        FlowInterrupted: Ctrl-C; its `trajectory` is what was computed.
        ComputationError: the digits cannot be reached.

    Source: Taylor method with step size control, Jorba & Zou 2005; boxes in moving frames, Lohner 1988.

    Example:
        >>> import math, mpmath, sympy
        >>> x, y = sympy.symbols("x y")
        >>> circle = sf.solve_field(sf.VectorField({x: -y, y: x}), [1, 0], horizon=1, dps=30)
        >>> print(mpmath.nstr(circle(1)[0], 30))  # cos 1
        0.540302305868139717400936607443
        >>> box = sf.solve_field(sf.VectorField({x: -x, y: x}), [1, 0], radius="1/10", horizon=1, dps=15)
        >>> middle, reach = box.enclosure(1)  # x = x_0 / e, y = y_0 + x_0 (1 - 1/e)
        >>> [round(float(r), 6) for r in reach], round(0.1 * math.exp(-1), 6), round(0.1 * (2 - math.exp(-1)), 6)
        ([0.036788, 0.163212], 0.036788, 0.163212)
        >>> equation = sf.modified_equation(sf.expression_objective(x**2 / 2, [x]), order=4)
        >>> modified = sf.solve_field(equation.field("1/10"), [1], horizon=1, dps=15)
        >>> round(float(modified(1)[0]), 6), round(0.9**10, 6)  # ten steps of descent with step size 1/10
        (0.348679, 0.348678)
    """
    given: object = field
    if not isinstance(given, VectorField):
        hint = "solve_flow takes problems" if isinstance(given, Problem) else "see sf.VectorField"
        raise ProblemError(f"field must be a VectorField, got {brief(given)}; {hint}")
    state = rational_array(start, "start", ndim=1)
    if len(state) != field.dimension:
        raise ProblemError(f"start must have the {field.dimension} entries of the field's state, got {len(state)}")
    radii = None if radius is None else _radii(radius, len(state))
    if radii is not None and listed_stops(stop):
        raise ProblemError("a box of starts cannot stop at a condition, got both; leave out radius or stop")
    end = positive(horizon, "horizon")
    if end > MAX_HORIZON:
        raise ProblemError(f"horizon must be at most 1e300, got {brief_float(end)}; give an earlier final time")
    dps, wanted = whole(dps, "dps", 1, MAX_DPS), error_wanted(error)
    limits = checked_limits(max_steps, time_limit)
    with reporting(progress, "solution of a field", CHEAPER_FIELD) as report:
        if radii is not None:
            from symflow.paths.boxes.solve import solve_box

            return solve_box(field, list(state), radii, end, dps, limits, report)
        solver = FlowSolver(field, list(state), end, dps, monitors(stop, field), limits, report)
        try:
            return solver.solve(wanted)
        except FlowInterrupted:
            raise
        except KeyboardInterrupt:  # between two runs
            done = solver.complete
            raise FlowInterrupted(time=None if done is None else done.horizon, trajectory=done) from None


def _radii(radius: Number | Sequence[Number], size: int) -> list[Fraction]:
    """The radius of each entry of a start."""
    given: Any = radius
    many = isinstance(given, list | tuple) or getattr(given, "ndim", 0) > 0
    found = list(rational_array(given, "radius", ndim=1)) if many else [rational(given, "radius")] * size
    if len(found) != size:
        raise ProblemError(f"radius must be one number or {size}, got {len(found)}; give one an entry of the start")
    if min(found) < 0:
        raise ProblemError(f"radius must not be negative, got {brief(radius)}; give 0 for an entry that is known")
    return found
