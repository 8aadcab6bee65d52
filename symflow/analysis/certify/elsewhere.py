"""What is decided where the stand-alone checker does not reach: by symflow's own proofs of flow and descent.

Convolutional networks, smooth activations, losses of one's own, other methods. Distances and losses; what is to hold
for all time is left undecided. There is no certificate that could be saved.
"""

from __future__ import annotations

from fractions import Fraction

from flint import arb

from symflow.analysis.certify.decide import BEYOND, Decision
from symflow.analysis.certify.request import Request
from symflow.analysis.compared_flow import order_zero
from symflow.certificate import certificate_check as checker
from symflow.certificate.write import checking
from symflow.derivatives.derived import loss
from symflow.errors import SymflowError
from symflow.evaluate.balls import evaluate_balls
from symflow.numbers.balls import around, from_mpf
from symflow.numbers.rational import text
from symflow.paths.descent import descend
from symflow.paths.flow import solve_flow
from symflow.paths.trajectory import Trajectory
from symflow.progress import Reporter

DPS, BITS = 30, 256


def decide_elsewhere(request: Request, why: str, report: Reporter) -> tuple[Decision, ...]:
    """Every claim of a request that the checker does not cover, for the reason `why`."""
    r, found = request, []
    flow: Trajectory | None = None
    descent: Trajectory | None = None
    of_flow = of_descent = ""
    if r.distance is not None or r.flow_time is not None:
        flow, of_flow = _path(request, report.part(0, 0.5, "flow"), flow=True)
    if r.steps:
        descent, of_descent = _path(request, report.part(0.5, 0.9, "descent"), flow=False)
    report(0.9)
    with checking(BITS):
        if r.distance is not None:
            missing = _missing("distance", [(flow, of_flow), (descent, of_descent)])
            found.append(missing or _distance(r, flow, descent))
        if r.loss is not None and r.steps:
            kind = "descent-stays" if r.stays_below else "descent-loss"
            undecided = Decision(kind, None, None, f"{why}; sf.limit may prove that descent converges")
            missing = undecided if r.stays_below else _missing(kind, [(descent, of_descent)])
            found.append(missing or _descent_loss(r, descent))
        if r.loss is not None and r.flow_time is not None:
            found.append(_missing("flow-loss", [(flow, of_flow)]) or _flow_loss(r, flow))
        if r.limit is not None:
            found.append(Decision("limit", None, None, f"{why}; sf.limit may enclose where the flow converges to"))
    return tuple(found)


def _path(request: Request, report: Reporter, *, flow: bool) -> tuple[Trajectory | None, str]:
    """The flow or descent with a certified error; or why there is none."""
    r = request
    what = "the flow" if flow else "descent"
    try:
        if flow:
            flowing = order_zero(r.problem, r.method)
            path = solve_flow(flowing, horizon=r.flow_end * (1 + BEYOND), dps=DPS, progress=report)
        else:
            path = descend(r.problem, step_size=r.step_size, steps=r.steps, dps=DPS, method=r.method, progress=report)
    except SymflowError as failed:
        return None, f"{what} is not enclosed: {failed}"
    if path.error is None or path.error.how != "certified":
        reason = path.error.reason if path.error is not None else "no error"
        return None, f"the error of {what} is not certified: {reason}"
    return path, ""


def _missing(kind: str, paths: list[tuple[Trajectory | None, str]]) -> Decision | None:
    reason = next((why for path, why in paths if path is None), None)
    return None if reason is None else Decision(kind, None, None, reason)


def _box(path: Trajectory, time: Fraction) -> list[arb]:
    middle, radii = path.enclosure(time)
    return [around(from_mpf(m), from_mpf(radius)) for m, radius in zip(middle, radii, strict=True)]


def _distance(r: Request, flow: Trajectory | None, descent: Trajectory | None) -> Decision:
    assert flow is not None
    assert descent is not None
    assert r.step_size is not None
    assert r.distance is not None
    times = [k * r.step_size for k in range(r.steps + 1)]
    pairs = ((_box(flow, t), _box(descent, t)) for t in times)
    values = [checker.norm(a - b for a, b in zip(x, y, strict=True)) for x, y in pairs]
    at = max(range(len(values)), key=lambda k: float(values[k].lower()))
    if all(v <= checker.ball(r.distance) for v in values):
        return _found("distance", True, r.distance, r.steps, values[at])
    if values[at] > checker.ball(r.distance):
        return _found("distance", False, r.distance, at, values[at])
    return Decision("distance", None, None, f"too close to decide with {DPS} digits")


def _descent_loss(r: Request, descent: Trajectory | None) -> Decision:
    assert descent is not None
    assert r.step_size is not None
    assert r.loss is not None
    values = [_loss(r, descent, k * r.step_size) for k in range(r.steps + 1)]
    first = next((v for v in values if v <= checker.ball(r.loss)), None)
    if first is not None:
        return _found("descent-loss", True, r.loss, r.steps, first)
    if all(v > checker.ball(r.loss) for v in values):
        return _found("descent-loss", False, r.loss, r.steps, min(values, key=float))
    return Decision("descent-loss", None, None, f"too close to decide with {DPS} digits")


def _flow_loss(r: Request, flow: Trajectory | None) -> Decision:
    assert flow is not None
    assert r.loss is not None
    assert r.flow_time is not None
    value = _loss(r, flow, r.flow_time)
    for holds, certain in ((True, value <= checker.ball(r.loss)), (False, value > checker.ball(r.loss))):
        if certain:
            return _found("flow-loss", holds, r.loss, r.flow_time, value)
    return Decision("flow-loss", None, None, f"too close to decide with {DPS} digits")


def _loss(r: Request, path: Trajectory, time: Fraction) -> arb:
    """f on the box in which a path is at a time."""
    middle, radii = path.enclosure(time)
    found = evaluate_balls(loss(r.problem.objective), list(middle), radius=max(radii), dps=2 * DPS, gates="union")
    return around(from_mpf(found.midpoint), from_mpf(found.radius))


def _found(kind: str, holds: bool, bound: Fraction, last: Fraction | int, value: arb) -> Decision:
    table = {"kind": kind, "bound": text(bound), "last": text(Fraction(last)), "holds": holds}
    return Decision(kind, holds, table, bound=float(value))
