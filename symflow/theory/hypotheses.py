"""What a result assumes, as records; where an assumption can be checked on a problem, the record says how."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, TypeAlias

from symflow.displays import displayed
from symflow.networks.objective import Objective

Status = Literal["holds", "declared", "unchecked", "fails"]


@dataclass(frozen=True)
class Setting:
    """What hypotheses are checked on.

    Attributes:
        objective: the loss.
        theta0: the initial parameters, exact; None where only the objective is known.
        dps: the decimal digits that prepared data (whitening) are good to.
    """

    objective: Objective
    theta0: Sequence[Fraction] | None = None
    dps: int = 15


@displayed
@dataclass(frozen=True)
class Verdict:
    """Whether a hypothesis holds, and how that is known.

    Attributes:
        status: "holds" (checked), "declared" (the user says so), "unchecked", or "fails".
        reason: in a few words.
        proviso: what remains to be assumed where it holds; None where nothing does.

    Example:
        >>> problem = sf.Problem(network=sf.FullyConnected((1, 1, 1)), data={"x": [1], "y": [1]},
        ...                      init={"theta": ["1/2", 1]})
        >>> verdict = sf.statement("R9").hypotheses[1].check(problem)
        >>> verdict.status, verdict.reason
        ('holds', 'the square loss is convex')
    """

    status: Status
    reason: str
    proviso: str | None = None


def holds(reason: str) -> Verdict:
    """A hypothesis that was checked."""
    return Verdict("holds", reason)


def fails(reason: str) -> Verdict:
    """A hypothesis that was refuted."""
    return Verdict("fails", reason)


def unchecked(reason: str) -> Verdict:
    """A hypothesis that nobody has checked."""
    return Verdict("unchecked", reason)


Check: TypeAlias = Callable[[Setting], Verdict]


@displayed
@dataclass(frozen=True)
class Hypothesis:
    """One assumption of a result.

    Attributes:
        text: the assumption in words.
        latex: the same as LaTeX text (with dollar signs around mathematics).
        test: checks it on a setting; None where no finite computation can.
        architecture: whether it decides which networks a statement is about: others than homogeneous ones too.

    Example:
        >>> [hypothesis.text for hypothesis in sf.statement("R9").hypotheses]
        ['a deep linear network', 'a convex loss']
        >>> [claim.label for claim in sf.statement("R10").claims if claim.hypotheses]
        ['flow', 'descent']
    """

    text: str
    latex: str
    test: Check | None = None
    architecture: bool = False

    def check(self, setting: Setting) -> Verdict:
        """Whether the hypothesis holds; "unchecked" where nothing was checked."""
        return Verdict("unchecked", self.text) if self.test is None else self.test(setting)


def overall(verdicts: Sequence[Verdict]) -> Status:
    """The weakest status: fails, unchecked, declared, holds."""
    order: tuple[Status, ...] = ("fails", "unchecked", "declared", "holds")
    return next(status for status in order if status == "holds" or any(v.status == status for v in verdicts))
