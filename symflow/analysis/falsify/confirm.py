"""Whether a claim fails at one exact problem: its sides as intervals at 50 digits."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import mpmath

from symflow.analysis.falsify.arithmetic import evaluate, interval_arithmetic
from symflow.analysis.falsify.claim import Claim, Inequality, Relation, read_claim
from symflow.analysis.falsify.enclose import GUARD, Enclosure, Undefined, enclosures
from symflow.displays import displayed
from symflow.errors import ProblemError, brief
from symflow.numbers.arguments import whole
from symflow.numbers.types import Mpf, Scalar
from symflow.problem import Problem, load_problem

DPS, DIGITS = 50, (30, 1000)
"""Digits of a confirmation by default, and the fewest and the most."""


@displayed
@dataclass(frozen=True)
class Check:
    """small - large, the violation of a claim small <= large at one problem.

    Attributes:
        claim: small <= large, wherever its conditions hold.
        problem: exact; its horizon is k step sizes.
        violation: small - large (mpf).
        error: half the width of the interval that contains it (mpf).
        values: the quantities of the claim by name, each an `Enclosure` (mpf).
        refuted: whether the claim fails here: the whole interval is above 0, and every condition holds.
        dps: decimal digits.

    Example:
        >>> claim = sf.claim_quantities()["lambda_min"].symbol >= 0
        >>> problem = sf.Problem(network=sf.FullyConnected((1, 1, 1)), data={"x": [1], "y": [1]},
        ...                      init={"theta": [0, 0]})
        >>> check = sf.check_counterexample(problem, claim)
        >>> list(check.values), check.error < 1e-45
        (['lambda_min'], True)
    """

    claim: Claim
    problem: Problem
    violation: Mpf
    error: Mpf
    values: Mapping[str, Enclosure]
    refuted: bool
    dps: int

    def __repr__(self) -> str:
        verdict = "fails" if self.refuted else "is not seen to fail"
        shown = mpmath.nstr(self.violation, 8)
        return f"<{self.claim} {verdict} here: violation {shown}, error {mpmath.nstr(self.error, 2)}>"


def check_counterexample(
    problem: Problem | str | os.PathLike[str],
    claim: Relation | Claim,
    *,
    given: Relation | Sequence[Relation] = (),
    dps: int = DPS,
) -> Check:
    """small - large > 0 at one problem: evaluates a claim small <= large there, from the problem's file alone.

    The quantities are computed in exact rationals or with `dps` digits, each in an interval.

    Args:
        problem: a problem or its file; where the claim depends on time, its horizon must be a multiple of its step
            size.
        claim: a SymPy inequality over the symbols of `claim_quantities`.
        given: one or several conditions, inequalities over the same symbols.
        dps: decimal digits, at least 30.

    Returns:
        A `Check`: the violation small - large (mpf) with its error; `refuted` says whether it is above 0 beyond its
        error and every condition holds.

    Raises:
        ProblemError: an invalid claim, file or number of digits, or a problem without step size or horizon where they
            are needed.
        ComputationError: the claim is undefined there (a kink, a quantity that the problem does not have), or it cannot
            be computed.

    Example:
        >>> claim = sf.claim_quantities()["lambda_min"].symbol >= 0
        >>> problem = sf.Problem(network=sf.FullyConnected((1, 1, 1)), data={"x": [1], "y": [1]},
        ...                      init={"theta": [0, 0]})
        >>> check = sf.check_counterexample(problem, claim)
        >>> check.refuted, round(check.violation, 10)
        (True, 1.0)
    """
    dps = whole(dps, "dps", *DIGITS)
    if not isinstance(problem, Problem):
        problem = load_problem(problem)
    read = read_claim(claim, given)
    if problem.network is None:
        raise ProblemError(f"a claim is checked on a network's problem, got {brief(problem)}")
    problem = problem.for_digits(dps + GUARD[1])
    return check(read, problem, _steps(problem, read), dps)


def _steps(problem: Problem, claim: Claim) -> int:
    if not claim.needs.moving:
        if "eta" in claim.names and problem.step_size is None:
            raise ProblemError("run.step_size: the claim contains eta, and the problem has none; give run.step_size")
        return 1
    if problem.step_size is None or problem.horizon is None:
        raise ProblemError("run: the claim speaks of time; give run.step_size and run.horizon, k times the step size")
    steps = problem.horizon / problem.step_size
    if steps.denominator != 1:
        raise ProblemError(
            f"run.horizon must be a multiple of run.step_size, got {brief(problem.horizon)} and "
            f"{brief(problem.step_size)}; change one of them"
        )
    return int(steps)


def check(claim: Claim, problem: Problem, steps: int, dps: int, seconds: float | None = None) -> Check:
    """The same for a claim that has been read.

    Args:
        claim: small <= large.
        problem: exact.
        steps: k.
        dps: digits.
        seconds: most seconds for each solution of the flow.
    """
    values = enclosures(claim, problem, steps, dps, seconds)
    sized = claim.at({name: int(values[name].low) for name in ("n", "N", "P", "k") if name in values})
    iv = mpmath.iv
    before = iv.dps
    try:
        iv.dps = dps + GUARD[1]
        boxes = {name: iv.mpf([e.low, e.high]) for name, e in values.items()}
        low, high = _difference(sized.inequality, boxes)
        held = all(_difference(part, boxes)[1] <= 0 for part in sized.given)
    except (ArithmeticError, ValueError) as reason:
        raise Undefined(f"the claim has no value at this problem: {reason}") from None
    finally:
        iv.dps = before
    with mpmath.workdps(dps + GUARD[1]):
        violation, error = (low + high) / 2, (high - low) / 2
    return Check(claim, problem, violation, error, values, bool(low > 0 and held), dps)


def _difference(part: Inequality, boxes: Mapping[str, Scalar]) -> tuple[Mpf, Mpf]:
    """The ends of small - large."""
    arithmetic = interval_arithmetic()
    width = evaluate(part.small, boxes, arithmetic) - evaluate(part.large, boxes, arithmetic)
    with mpmath.workprec(mpmath.iv.prec):
        low, high = mpmath.mpf(width.a), mpmath.mpf(width.b)
    if not (mpmath.isfinite(low) and mpmath.isfinite(high)):
        raise ArithmeticError("one of its sides is not bounded")
    return low, high
