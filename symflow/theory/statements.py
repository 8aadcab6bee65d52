"""Statements whose depth n is a symbol: written once, printed with n symbolic, instantiated for any network."""

from __future__ import annotations

from symflow.errors import ProblemError
from symflow.theory.ball_constants import BALLS
from symflow.theory.curvature_ladder import CONVOLUTIONAL_LADDER, GATED_LADDER, LINEAR_LADDER, ROUGHLY_CONVEX
from symflow.theory.identities import BALANCEDNESS, END_TO_END, EULER, HESSIAN_FORM
from symflow.theory.statement import Claim, Instance, Statement

__all__ = ["Claim", "Instance", "Statement", "statement", "statements"]

_ALL = (
    EULER,
    BALLS,
    HESSIAN_FORM,
    LINEAR_LADDER,
    BALANCEDNESS,
    ROUGHLY_CONVEX,
    GATED_LADDER,
    CONVOLUTIONAL_LADDER,
    END_TO_END,
)


def statements() -> dict[str, Statement]:
    """All statements by result id."""
    return {s.result: s for s in _ALL}


def statement(result: str) -> Statement:
    """The statement of a result such as "R9", or one of its claims such as "R9(a)".

    Raises:
        ProblemError: no such statement or claim.
    """
    name, bracket, rest = result.partition("(")
    known = statements()
    if name not in known:
        raise ProblemError(f"there is no statement {result!r}; known are {', '.join(known)}")
    if not bracket:
        return known[name]
    labels = {claim.label for claim in known[name].claims}
    return known[name].only(rest.removesuffix(")") if rest.removesuffix(")") in labels else bracket + rest)
