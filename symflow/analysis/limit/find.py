"""The limit of a flow or of descent, proved from a point of the path (R24)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import log2

import flint
import numpy as np
from flint import arb

from symflow.analysis.limit import boxes
from symflow.analysis.limit.interpolating import interpolating
from symflow.analysis.limit.isolated import Isolated
from symflow.analysis.limit.linear import linear
from symflow.analysis.limit.record import Limit
from symflow.analysis.limit.route import Refined, Route
from symflow.analysis.limit.start import Start, start_of_path, start_of_problem
from symflow.analysis.limit.symmetric import symmetric
from symflow.errors import LimitUnknown, ProblemError
from symflow.evaluate.balls import Enclosure
from symflow.networks.objective import Objective
from symflow.numbers.arguments import positive, whole
from symflow.numbers.balls import Ball, ball, ball_precision, midpoint, radius, upper
from symflow.numbers.rational import rational
from symflow.numbers.types import Number
from symflow.paths.descent import descend
from symflow.paths.flow import solve_flow
from symflow.paths.trajectory import Trajectory
from symflow.problem import Problem
from symflow.problem.arguments import as_problem, plain_descent
from symflow.progress import Reporter, Wanted, reporting

GUARD_BITS = 64
CHEAPER = "fewer digits (dps=...), or a shorter path"
MAX_DPS = 10_000
WIDER = tuple(arb(n) / 64 for n in (65, 72, 96, 128, 192, 256))
"""By how much the neighbourhood is larger than what its curvature at the point asks for: tried in turn."""


def limit(
    path: Trajectory | Problem,
    *,
    horizon: Number | None = None,
    step_size: Number | None = None,
    steps: int | None = None,
    dps: int | None = None,
    progress: Wanted = None,
) -> Limit:
    """theta(infinity): proves that a path converges, and encloses where, at which loss, and how sharp it is there.

    From the end q of the path: let mu > 0 with ||g||^2 >= 2 mu (f - f*) on the ball of radius r around q. If
    sqrt(2 (f(q) - f*)/mu) < r, the flow stays in that ball, converges, and the rest of its path is no longer than that;
    descent with eta < 2/beta, beta >= lambda_max(H) on the ball, pays a factor 2/(2 - eta beta). mu is found for the
    square loss of networks whose outputs are free to move, for linear networks, and around isolated minima. All is
    computed in balls. The center of an isolated minimum is improved by Newton's method, to any number of digits.

    Args:
        path: a flow or a run of gradient descent with an error; or a problem, which is then solved.
        horizon: final time of the flow, if a problem is given; the problem's own if left out, 0 for its start.
        step_size: of descent from the problem's start, in place of flow.
        steps: of descent before the limit is looked for; 0 if left out.
        dps: digits of the run, if a problem is given, and of isolated minima; the path's own if left out.
        progress: True for a bar, or a function of a `Progress`, the fraction that is done from 0 to 1.

    Returns:
        A `Limit`: `center`, `radius`, `loss`, `sharpness`, `rate`; `how` is "certified" where the error of the path is.

    Raises:
        LimitUnknown: it is not proved, with the cause: a gate may change (continue longer), the point is too far away
            (continue longer), a singular Jacobian or Hessian, an unknown least loss, a step size of 2/beta or more.
        ProblemError: a path without an error, or arguments that do not go together.
        FlowStopped: the flow cannot be solved; see `solve_flow`.

    Source: Polyak 1963, Lojasiewicz 1963 (R24).

    Example:
        >>> data = {"x": [[1, 0], [1, 1], [0, 2]], "y": [1, 0, 1]}
        >>> problem = sf.Problem(network=sf.FullyConnected((2, 1)), data=data, init={"theta": [0, 0]})
        >>> found = sf.limit(problem, horizon=0, dps=30)  # least squares: (1/3, 1/3)
        >>> found.kind, found.how, float(found.center[0]), bool(found.radius < 1e-30), float(found.loss.midpoint)
        ('isolated', 'certified', 0.3333333333333333, True, 0.16666666666666666)
    """
    with reporting(progress, "limit", CHEAPER) as report:
        start = _start(path, horizon, step_size, steps, dps, report.part(0, 0.8, "path"))
        bits = round(max(start.dps, dps or 0) * log2(10)) + GUARD_BITS
        refusals: list[LimitUnknown] = []
        routes, proof = _routes(start), report.part(0.8, 1, "proof", "route")
        with ball_precision(bits):
            for make in routes:
                proof(len(refusals) / len(routes), len(refusals))
                try:
                    found = _enclosed(make(start.objective), start)
                    proof(1.0, len(refusals) + 1)
                    return found
                except LimitUnknown as refusal:
                    refusals.append(refusal)
    raise _most_telling(refusals)


def _routes(start: Start) -> tuple[Callable[[Objective], Route], ...]:
    """The cases of R24, in the order in which they are tried: a large Hessian last."""
    degenerate = (interpolating, linear) if start.step_size is not None else (interpolating, linear, symmetric)
    return (Isolated, *degenerate) if start.objective.parameter_count < boxes.LARGE else (*degenerate, Isolated)


def _start(
    path: object,
    horizon: Number | None,
    step_size: Number | None,
    steps: int | None,
    dps: int | None,
    report: Reporter,
) -> Start:
    """Where to look from."""
    if isinstance(path, Trajectory):
        settings = {"horizon": horizon, "step_size": step_size, "steps": steps}
        given = [name for name, value in settings.items() if value is not None]
        if given:
            raise ProblemError(f"{given[0]} goes with a problem, got a path, which has its own; leave it out")
        return start_of_path(path)
    problem = as_problem(path, "limit")
    digits = problem.dps if dps is None else whole(dps, "dps", 1, MAX_DPS)
    if step_size is not None:
        if horizon is not None:
            raise ProblemError("step_size and horizon do not go together, got both; give steps for descent")
        eta, count = positive(step_size, "step_size"), whole(0 if steps is None else steps, "steps", 0)
        plain_descent(problem, "a limit of descent")
        if not count:
            return start_of_problem(problem, eta, digits)
        run = descend(problem, step_size=eta, steps=count, dps=digits, every=count, progress=report)
        return start_of_path(run)
    if steps is not None:
        raise ProblemError("steps needs a step size, got none; give step_size")
    if horizon is not None and rational(horizon, "horizon") == 0:
        return start_of_problem(problem, None, digits)
    return start_of_path(solve_flow(problem, horizon=horizon, dps=digits, progress=report))


ORDER = ("kink", "step-size", "far", "unattainable", "singular", "minimum-unknown")
"""Causes, the one that most likely can be helped first."""


def _most_telling(refusals: list[LimitUnknown]) -> LimitUnknown:
    """One refusal for all."""
    ordered = sorted(refusals, key=lambda r: ORDER.index(r.cause))
    texts = dict.fromkeys(str(r) for r in ordered)
    return LimitUnknown("no limit is proved: " + "; ".join(texts), cause=ordered[0].cause)


# The neighbourhood ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Neighbourhood:
    """A ball around the start on which a rate holds, and which the path does not leave.

    Attributes:
        radius: r.
        mu: the rate, from below.
        beta: lambda_max(H) there, from above; infinite where gates may change.
        length: of the rest of the path, at most.
    """

    radius: Ball
    mu: Ball
    beta: Ball
    length: Ball


def _enclosed(route: Route, start: Start) -> Limit:
    """The limit that one case of R24 gives.

    Raises:
        LimitUnknown: it does not apply.
    """
    center = start.center()
    found = _neighbourhood(route, start, center)
    reach = (start.distance() + found.length).upper()
    near = boxes.box(center, start.distance())
    excess = route.excess(near, found.mu)
    middle, reach = _refined(route, center, near, found, reach)
    around_limit = boxes.box(middle, reach)
    loss = boxes.loss_value(start.objective, around_limit) if route.minimum is None else ball(route.minimum)
    sharpness = arb(0, arb.pos_inf())
    if boxes.open_gate(start.objective, around_limit) is None:
        sharpness = boxes.largest_eigenvalue(boxes.curvature(start.objective, around_limit))
    return Limit(
        start.objective,
        route.kind,
        _midpoints(middle),
        upper(reach + _rounding(middle)),
        _enclosure(loss),
        _enclosure(sharpness),
        midpoint(found.mu),
        midpoint(found.beta),
        _midpoints(center),
        upper(start.distance() + _rounding(center)),
        midpoint(found.radius),
        upper(excess),
        midpoint(found.length),
        start.time,
        start.step_size,
        start.how,
        start.reason,
    )


def _neighbourhood(route: Route, start: Start, center: list[Ball]) -> Neighbourhood:
    """The first of some balls that the path is shown not to leave."""
    distance = start.distance()
    near = boxes.box(center, distance)
    least = arb((1, -flint.ctx.prec)) * (1 + boxes.norm(boxes.box(center, arb(0))))
    first = _on_ball(route, start, center, distance.max(least).upper(), near)
    if first is None:
        raise LimitUnknown(f"{route.kind}: {route.degenerate}", cause="singular")
    for factor in WIDER:
        r = ((distance + first.length) * factor).max(least).upper()
        found = _on_ball(route, start, center, r, near)
        if found is not None and distance + found.length < r:
            return found
    raise LimitUnknown(
        f"{route.kind}: the point is too far from a minimum for the curvature around it; continue longer", cause="far"
    )


def _on_ball(route: Route, start: Start, center: list[Ball], r: Ball, near: np.ndarray) -> Neighbourhood | None:
    """What holds on the ball of radius r, whether the path leaves it or not; None where mu > 0 is not shown."""
    theta = boxes.box(center, r)
    kink = boxes.open_gate(start.objective, theta)
    if kink is not None and not (route.crosses_kinks and start.step_size is None):
        raise LimitUnknown(
            f"{route.kind}: a gate may change near the limit ({kink}), where nothing is known; continue longer",
            cause="kink",
        )
    mu = route.rate(theta).lower()
    if not mu > 0:
        return None
    beta = arb.pos_inf()
    if kink is None:
        beta = boxes.largest_eigenvalue(boxes.curvature(start.objective, theta)).abs_upper()
    length = route.length(near, mu)
    if start.step_size is not None:
        eta = ball(start.step_size)
        if not eta * beta < 2:
            raise LimitUnknown(
                f"{route.kind}: the step size must be below 2/beta = {float(2 / beta):.4g} near the limit, got "
                f"{float(eta):.4g}; take a smaller one",
                cause="step-size",
            )
        length = (length * route.stretch(eta, beta)).upper()
    return Neighbourhood(r, mu, beta, length)


def _refined(route: Route, center: list[Ball], near: np.ndarray, found: Neighbourhood, reach: Ball) -> Refined:
    """A point of the neighbourhood that is nearer to the limit than its center, where there is one, and how near."""
    better = route.refined(center, near, boxes.box(center, found.radius))
    if better is None:
        return center, reach
    moved = boxes.norm(np.array([a - b for a, b in zip(better[0], center, strict=True)], dtype=object))
    return better if moved < found.radius and better[1] < reach else (center, reach)


def _rounding(center: list[Ball]) -> Ball:
    """At most how far the midpoints are from the point."""
    return boxes.norm(np.array([x - x.mid() for x in center], dtype=object))


def _midpoints(center: list[Ball]) -> np.ndarray:
    return np.array([midpoint(x) for x in center], dtype=object)


def _enclosure(x: Ball) -> Enclosure:
    return Enclosure(midpoint(x), radius(x))
