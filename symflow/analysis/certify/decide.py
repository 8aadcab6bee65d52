"""Decides a request: enclosures of flow and descent, what they say of each claim, and the checker's proof of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from flint import arb

from symflow.analysis.certify.request import Request
from symflow.analysis.compared_flow import order_zero
from symflow.certificate import certificate_check as checker
from symflow.certificate.attract import attraction_table
from symflow.certificate.numbers import Table
from symflow.certificate.propose import Enclosure, NotProposed, propose_flow
from symflow.certificate.write import checking, document, problem_table, proved, step_size_and_momentum
from symflow.displays import displayed
from symflow.errors import ComputationError
from symflow.networks.losses import SQUARE
from symflow.numbers.rational import text
from symflow.paths.flow import solve_flow
from symflow.paths.taylor.dense import taylor_steps
from symflow.problem import Problem
from symflow.progress import Reporter

SMOOTH_DIGITS, KINK_DIGITS = (25, 60, 150), (45, 90, 180)
"""Digits that are tried, without and with gates: of a flow that slides half of them are lost."""
LATER = 6
"""How often a later time is tried for a limit, each twice the one before."""
DESCENT_BITS = (2, 4, 8, 16, 32)
"""Bits of descent that are tried, in multiples of those of the flow."""
NARROW = -40
"""log2 of the largest radius of an iterate that is not computed again with more bits."""
BEYOND = Fraction(1, 10**9)
"""By how much further than needed the flow is solved: a time is stored with rounding."""


@displayed
@dataclass(frozen=True)
class Decision:
    """One claim of a request.

    Attributes:
        kind: "distance", "descent-loss", "descent-stays", "flow-loss" or "limit".
        holds: None where it was not decided.
        table: the claim as a certificate states it; None where it was not decided.
        reason: why it was not decided, and what would decide it.
        retry: whether more digits may decide it.
        bound: the number that decides, rounded (float64): the largest distance, the loss, the distance of the limit.

    Example:
        >>> problem = sf.Problem(network=sf.FullyConnected((1, 1, 1)), data={"x": [1], "y": [1]},
        ...                      init={"theta": ["1/2", 1]})
        >>> (decision,) = sf.certify(problem, loss="1/100", flow_time=4).decisions
        >>> decision.kind, decision.holds, round(decision.bound, 12)
        ('flow-loss', True, 1.4408e-08)
    """

    kind: str
    holds: bool | None
    table: Table | None = None
    reason: str = ""
    retry: bool = False
    bound: float | None = None


@dataclass(frozen=True)
class Outcome:
    """What was decided.

    Attributes:
        decisions: one a claim.
        certificate: the file; None where nothing was proved.
        lines: what the checker proved, in words.
    """

    decisions: tuple[Decision, ...]
    certificate: Table | None = None
    lines: tuple[str, ...] = field(default=())


def decide(request: Request, words: Callable[[Sequence[Decision]], str], report: Reporter) -> Outcome:
    """Decides a request, with more digits where that may help.

    Args:
        request: what to decide.
        words: the statement that decisions make.
        report: told the fraction that is done.
    """
    problem = _exactly(request.problem)
    digits = SMOOTH_DIGITS if problem.network is not None and problem.network.smooth else KINK_DIGITS
    outcome = Outcome(())
    for number, dps in enumerate(digits):
        begun = 0.5 * number  # an attempt that more digits follow is as a rule the only one
        part = report.part(begun / len(digits), 1, f"with {dps} digits")
        outcome = _Attempt(request, problem, dps, part).outcome(words)
        if not any(d.retry for d in outcome.decisions):
            break
    report(1.0)
    return outcome


def _exactly(problem: Problem) -> Problem:
    """The problem with the inputs that it has now: standardized ones are not computed again for other digits."""
    if problem.scaling is None:
        return problem
    return Problem(
        network=problem.network,
        data={"x": problem.x, "y": problem.y},
        init={"theta": problem.theta0},
        loss=problem.objective.sample_loss or SQUARE,
    )


class _Attempt:
    """One attempt with a number of digits."""

    def __init__(self, request: Request, problem: Problem, dps: int, report: Reporter) -> None:
        self.request, self.problem, self.dps, self.report = request, problem, dps, report
        self.table = problem_table(problem)
        self.bits, self.descent_bits = 64 + int(3.33 * dps), 64
        self.flow: Enclosure | None = None
        self.iterates: list[list[arb]] = []
        self.attraction: Table | None = None
        self.flow_reason = self.descent_reason = ""

    def outcome(self, words: Callable[[Sequence[Decision]], str]) -> Outcome:
        """What this attempt decides."""
        r = self.request
        if r.steps:
            self.descend()
            self.report(0.2)
        if r.distance is not None or r.flow_time is not None or r.limit is not None:
            self.enclose()
        self.report(0.7)
        decisions = self.decisions()
        stated = [d for d in decisions if d.holds is False] or [d for d in decisions if d.holds]
        if not stated or (any(d.holds is None for d in decisions) and stated[0].holds):
            return Outcome(tuple(decisions))
        steps = self.flow.tables if self.flow is not None and any(_about_flow(d.kind) for d in stated) else ()
        eta, used = r.step_size or Fraction(1), max((_last_step(d) for d in stated), default=0)
        descent = step_size_and_momentum(eta, r.method, used, self.descent_bits)
        certificate = document(
            self.problem, descent, steps, [d.table for d in stated if d.table], self.bits, words(stated)
        )
        try:
            lines = proved(certificate)
        except checker.Rejected as why:
            undecided = [
                Decision(d.kind, None, None, f"the checker rejects the certificate: {why}", True) for d in decisions
            ]
            return Outcome(tuple(undecided))
        return Outcome(tuple(decisions), certificate, tuple(lines))

    # Enclosures

    def descend(self) -> None:
        """Descent in balls, with as many bits as keep them narrow."""
        r = self.request
        assert r.step_size is not None
        table = step_size_and_momentum(r.step_size, r.method, r.steps, 0)
        beta = checker.rational(table["momentum"])
        for factor in DESCENT_BITS:
            self.descent_bits = factor * self.bits
            with checking(self.descent_bits):
                try:
                    self.iterates = checker.descend(checker.Network(self.table), r.step_size, beta, r.steps)
                except checker.Rejected as why:
                    self.descent_reason = f"descent is not enclosed: {why}"
                    continue
                widest = max((v.rad() for v in self.iterates[-1]), key=float)
                if widest < arb(2) ** NARROW:
                    self.descent_reason = ""
                    return
                self.descent_reason = f"descent is not enclosed: the last iterate is known to {float(widest):.2g} only"
        self.iterates = []

    def enclose(self) -> None:
        """The flow, as far as the claims reach."""
        r = self.request
        end = r.flow_end
        try:
            if r.limit is None:
                self.flow = self.enclosed(end * (1 + BEYOND), 0)
                return
            end = max(end, r.problem.horizon or Fraction(10))
            for later in range(LATER):
                self.flow = None
                found = self.enclosed(end * 2**later, later)
                if found is not None:
                    self.flow = found
                    return
            self.flow_reason = (
                f"no ball was found from which the flow converges, up to t = {float(end * 2 ** (LATER - 1)):.6g}; a "
                "later horizon, or an isolated or interpolating minimum, would decide it"
            )
        except NotProposed as why:
            self.flow_reason = f"the flow is not enclosed from {why}"
        except ComputationError as why:
            self.flow_reason = f"the flow is not solved: {why}"

    def enclosed(self, end: Fraction, later: int) -> Enclosure | None:
        """The flow to a time; for a limit only where a ball was found around its end."""
        r = self.request
        flowing = order_zero(self.problem, r.method)
        solved = self.report.part(0.2, 0.3)
        steps = taylor_steps(solve_flow(flowing, horizon=end, dps=self.dps, error=None, progress=solved))
        self.bits = steps.bits + 64
        with checking(self.bits):
            net = checker.Network(self.table)
            if r.limit is not None:
                point = [arb(int(v)) * arb(2) ** -steps.bits for v in steps.fixed(steps.segments[-1].end)]
                near = [v + checker.around(arb(2) ** -40) for v in point]
                self.attraction = attraction_table(net, near)
                if self.attraction is None:
                    return None
            return propose_flow(net, steps, r.flow_rate, self.report.part(0.3, 0.7))

    # Decisions

    def decisions(self) -> list[Decision]:
        """Every claim of the request."""
        r, found = self.request, []
        with checking(self.bits):
            net = checker.Network(self.table)
            if r.distance is not None:
                found.append(self.distance(r.distance))
            if r.loss is not None and r.steps:
                found.append(self.descent_loss(net, r.loss))
            if r.loss is not None and r.flow_time is not None:
                found.append(self.flow_loss(net, r.loss, r.flow_time))
            if r.limit is not None and r.radius is not None:
                found.append(self.limit(net, r.limit, r.radius))
        return found

    def distance(self, bound: Fraction) -> Decision:
        """||theta_k - theta(k eta)|| <= bound for all k <= K."""
        kind, r = "distance", self.request
        missing = self.missing(kind, flow=True, descent=True)
        if missing is not None:
            return missing
        assert self.flow is not None
        assert r.step_size is not None
        values = []
        for k, theta in enumerate(self.iterates):
            point = self.flow.box(k * r.step_size)
            values.append(checker.norm(a - b for a, b in zip(theta, point, strict=True)))
        at = max(range(len(values)), key=lambda k: float(values[k].lower()))
        largest = max((v.upper() for v in values), key=float)
        table: Table = {"kind": kind, "bound": text(bound), "last": text(Fraction(r.steps))}
        if largest < checker.ball(bound):
            return Decision(kind, True, {**table, "at": "0", "holds": True}, bound=float(largest))
        if values[at] > checker.ball(bound):
            table |= {"last": text(Fraction(at)), "at": text(Fraction(at)), "holds": False}
            return Decision(kind, False, table, bound=float(values[at].lower()))
        return self.close(kind, largest, bound)

    def descent_loss(self, net: checker.Network, level: Fraction) -> Decision:
        """f(theta_k) <= level for a k <= K, and for all later ones where that was asked for."""
        r, kind = self.request, "descent-stays" if self.request.stays_below else "descent-loss"
        missing = self.missing(kind, descent=True)
        if missing is not None:
            return missing
        goal = checker.ball(level)
        values = [net.mean_loss(theta, net.signs()) for theta in self.iterates]
        table = {"kind": "descent-loss", "bound": text(level), "last": text(Fraction(r.steps))}
        first = next((k for k, v in enumerate(values) if v <= goal), None)
        if first is None:
            least = min(values, key=float)
            if all(v > goal for v in values):
                return Decision(kind, False, {**table, "at": "0", "holds": False}, bound=float(least))
            return self.close(kind, least, level)
        if not r.stays_below:
            return Decision(
                kind, True, {**table, "at": text(Fraction(first)), "holds": True}, bound=float(values[first])
            )
        return self.stays_below(net, table, values)

    def stays_below(self, net: checker.Network, table: Table, values: Sequence[arb]) -> Decision:
        """The same for all later steps, from the last one on."""
        kind, r = "descent-stays", self.request
        assert r.loss is not None
        if not values[-1] <= checker.ball(r.loss):
            return Decision(kind, None, None, f"the loss is {float(values[-1]):.6g} again at step {r.steps}")
        if r.method.flow_rate != 1:
            return Decision(
                kind, None, None, f"convergence for all time is proved of gradient descent, not of {r.method.name}"
            )
        found = attraction_table(net, self.iterates[-1], r.step_size)
        if found is None:
            why = "no ball was found from which descent converges; more steps, or a smaller step size, may decide it"
            return Decision(kind, None, None, why)
        table = {**table, "kind": kind, "at": text(Fraction(r.steps)), "holds": True, "attraction": found}
        return Decision(kind, True, table, bound=float(values[-1]))

    def flow_loss(self, net: checker.Network, level: Fraction, time: Fraction) -> Decision:
        """f(theta(t)) <= level at a time: the loss of a flow does not increase."""
        kind = "flow-loss"
        missing = self.missing(kind, flow=True)
        if missing is not None:
            return missing
        assert self.flow is not None
        value = net.mean_loss(self.flow.box(time), net.signs())
        table = {"kind": kind, "bound": text(level), "last": text(time), "at": text(time)}
        for holds, certain in ((True, value <= checker.ball(level)), (False, value > checker.ball(level))):
            if certain:
                return Decision(kind, holds, {**table, "holds": holds}, bound=float(value))
        return self.close(kind, value, level)

    def limit(self, net: checker.Network, point: Sequence[Fraction], radius: Fraction) -> Decision:
        """theta(t) converges to a point within `radius` of the one given."""
        kind = "limit"
        missing = self.missing(kind, flow=True)
        if missing is not None:
            return missing
        assert self.flow is not None
        box = self.flow.box(self.flow.end)
        try:
            rest = checker.attraction(net, box, self.attraction)
        except checker.Rejected as why:
            return Decision(kind, None, None, f"the ball around the end of the flow is rejected: {why}", True)
        apart = checker.norm(a - checker.ball(b) for a, b in zip(box, point, strict=True)) + checker.around(rest)
        table: Table = {"kind": kind, "bound": text(radius), "last": "0", "at": "0"}
        table["point"] = [text(v) for v in point]
        table["attraction"] = self.attraction
        for holds, certain in ((True, apart <= checker.ball(radius)), (False, apart > checker.ball(radius))):
            if certain:
                return Decision(kind, holds, {**table, "holds": holds}, bound=float(apart))
        low, high = float(apart.lower()), float(apart.upper())
        known = f"the distance is known to lie in [{low:.6g}, {high:.6g}]; a later horizon decides it"
        return Decision(kind, None, None, known)

    def missing(self, kind: str, *, flow: bool = False, descent: bool = False) -> Decision | None:
        """The decision where an enclosure is missing that it needs."""
        if descent and not self.iterates:
            return Decision(kind, None, None, self.descent_reason)
        if flow and self.flow is None:
            return Decision(kind, None, None, self.flow_reason, retry="no ball" not in self.flow_reason)
        return None

    def close(self, kind: str, value: arb, bound: Fraction) -> Decision:
        """What is too close to decide with these digits."""
        why = f"{float(value):.15g} and {float(bound):.15g} are not told apart with {self.dps} digits; more decide it"
        return Decision(kind, None, None, why, retry=True)


def _about_flow(kind: str) -> bool:
    return kind in ("distance", "flow-loss", "limit")


def _last_step(decision: Decision) -> int:
    """The last step of descent that a claim is about."""
    assert decision.table is not None
    return int(decision.table["last"]) if decision.kind in ("distance", "descent-loss", "descent-stays") else 0
