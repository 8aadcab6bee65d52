"""`certify`: decides a statement on descent and flow, and proves it or its contrary."""

from __future__ import annotations

from collections.abc import Sequence

from symflow.analysis.certify.certificate import Certificate, asked, proved_words
from symflow.analysis.certify.decide import Outcome, decide
from symflow.analysis.certify.elsewhere import decide_elsewhere
from symflow.analysis.certify.request import Request, checked_request
from symflow.certificate.write import not_covered
from symflow.dynamics.method import Method
from symflow.numbers.types import Number
from symflow.problem import Problem
from symflow.problem.arguments import as_problem
from symflow.progress import Wanted, reporting

CHEAPER = "fewer steps (steps=...), an earlier time, or sf.deviation(problem), which needs no certificate"


def certify(
    problem: Problem,
    *,
    step_size: Number | None = None,
    steps: int | None = None,
    distance: Number | None = None,
    loss: Number | None = None,
    stays_below: bool = False,
    flow_time: Number | None = None,
    limit: Sequence[Number] | None = None,
    radius: Number | None = None,
    method: Method | None = None,
    progress: Wanted = None,
) -> Certificate:
    """Decides a statement on theta_k (descent) and theta(t) (flow) from theta0, and proves it or its contrary.

    The claims, which may be combined:

    - `distance`: ||theta_k - theta(k eta)|| <= distance for all k <= steps;
    - `loss` with `steps`: f(theta_k) <= loss for a k <= steps; with `stays_below` also for all later steps;
    - `loss` with `flow_time`: f(theta(t)) <= loss for all t >= flow_time;
    - `limit` with `radius`: theta(t) converges to a point within `radius` of `limit`.

    The flow is enclosed by R23 (through kinks of (leaky) ReLU too, where it is every solution of theta' in -df, df
    Clarke's subdifferential), descent in balls, and convergence for all time proved by R24. Where the stand-alone
    checker covers the problem, `holds` is True or False only if it proves the certificate; elsewhere it rests on the
    certified errors of `solve_flow` and `descend`, and nothing is said for all time.

    Args:
        problem: what to run. The checker covers fully connected networks without biases, homogeneous activations and
            the four named losses.
        step_size: eta; the problem's own if left out.
        steps: of descent; those up to the problem's horizon if left out.
        distance: a positive number, like all bounds (text, a rational or mpmath number, or a float, which means its
            shortest decimal).
        loss: a positive number.
        stays_below: the loss of descent remains below for all time.
        flow_time: a positive number.
        limit: P numbers.
        radius: a positive number.
        method: of descent, gradient descent or `sf.HeavyBall(...)`, which is compared with its own flow of order 0,
            theta' = -grad f/(1 - beta).
        progress: True for a bar, or a function of a `Progress`, the fraction that is done from 0 to 1.

    Returns:
        A `Certificate`: `holds` is True, False, or None with the `reason`; `save` writes the certificate.

    Raises:
        ProblemError: nothing to prove, arguments that do not go together, or a number that is not valid.

    Source: R23 and R24; the theorem behind R23 is 10.6 in Hairer, Nørsett & Wanner 1993.

    Example:
        >>> problem = sf.Problem(network=sf.FullyConnected((1, 1, 1)), data={"x": [1], "y": [1]},
        ...                      init={"theta": ["1/2", 1]})
        >>> cert = sf.certify(problem, step_size="1/10", steps=40, distance="1/50", loss="1/1000")
        >>> cert
        <Certificate proved: ||theta_k - theta(k eta)|| <= 1/50 for all k <= 40; f(theta_k) <= 1/1000 for a k <= 40>
    """
    problem = as_problem(problem, "certify")
    request = checked_request(problem, method, step_size, steps, distance, loss, stays_below, flow_time, limit, radius)
    why = not_covered(problem, request.method)
    with reporting(progress, "certify", CHEAPER) as report:
        if why is not None:
            return _certificate(request, Outcome(decide_elsewhere(request, why, report)), why)
        return _certificate(request, decide(request, proved_words, report), None)


def _certificate(request: Request, outcome: Outcome, why: str | None) -> Certificate:
    """The record of what was decided; `why` the checker does not cover it."""
    decisions = outcome.decisions
    refuted, proved = ([d for d in decisions if d.holds is verdict] for verdict in (False, True))
    reason = "; ".join(dict.fromkeys(d.reason for d in decisions if d.holds is None))
    decided = refuted or (proved if not reason else [])
    if not decided or (why is None and outcome.certificate is None):
        return Certificate(
            request, None, decisions, reason, "; ".join(asked(request)), False, why or "nothing is proved"
        )
    return Certificate(
        request,
        not refuted,
        decisions,
        "",
        proved_words(decided),
        why is None,
        why or "",
        outcome.certificate,
        outcome.lines,
    )
