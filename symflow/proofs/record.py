"""The record of a derivation: hypotheses, numbered steps with executed checks, conclusion, negative controls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from symflow.errors import ComputationError
from symflow.proofs.outcome import Check, Outcome
from symflow.theory.result import Citation, Result
from symflow.theory.statement import Statement


class DerivationError(ComputationError):
    """A step whose check fails, or a negative control that passes; the message names it."""


@dataclass(frozen=True)
class Step:
    r"""One step of a derivation: left = right, by a reason, with checks.

    Attributes:
        left: what one comes from, LaTeX mathematics.
        right: what one goes to.
        reason: why, LaTeX text.
        checks: what is executed; at least one.
        relation: between left and right, LaTeX.
    """

    left: str
    right: str
    reason: str
    checks: tuple[Check, ...]
    relation: str = "="


@dataclass(frozen=True)
class Control:
    """A slightly wrong statement that a check must refute.

    Attributes:
        change: what is wrong with it, LaTeX text.
        check: a check of the wrong statement, of the same make as one of the steps; it must fail.
    """

    change: str
    check: Check


@dataclass(frozen=True)
class Derivation:
    """A result with its proof in checked steps.

    Attributes:
        proves: the result; its assumptions and its statement are those of the derivation.
        steps: the proof.
        controls: at least one.
        notation: what the steps assume or name beyond the result, LaTeX text each.
        part: the part of the result's statement that is proved; its main claims unless given.
        name: of the part, LaTeX text.
        consequence: what else the steps show, LaTeX text with displays.
        remarks: what a reader should know besides, LaTeX text.
    """

    proves: Result
    steps: tuple[Step, ...]
    controls: tuple[Control, ...]
    notation: tuple[str, ...] = ()
    part: Statement | None = None
    name: str = ""
    consequence: str = ""
    remarks: str = ""

    @property
    def result(self) -> str:
        """The id of the result."""
        return self.proves.id

    @property
    def title(self) -> str:
        """The name of the result, or of its part."""
        return self.name or self.proves.title[0].upper() + self.proves.title[1:]

    @property
    def statement(self) -> Statement:
        """What is proved."""
        return self.proves.main if self.part is None else self.part

    @property
    def hypotheses(self) -> tuple[str, ...]:
        """What it assumes, LaTeX text each."""
        return (*(h.latex for h in self.statement.hypotheses), *self.notation)

    @property
    def source(self) -> Citation:
        """Where the result comes from."""
        return self.proves.citation


@dataclass(frozen=True)
class Verified:
    """A derivation all of whose checks passed and all of whose controls were refuted.

    Attributes:
        derivation: the record.
        outcomes: for every step, one outcome a check.
        refutations: the (failed) outcome of every control.
        seconds: how long it took.
    """

    derivation: Derivation
    outcomes: tuple[tuple[Outcome, ...], ...]
    refutations: tuple[Outcome, ...]
    seconds: float = field(compare=False, default=0.0)


def verify(derivation: Derivation, report: Callable[[float], None] = lambda done: None) -> Verified:
    """Runs every check and every control.

    Args:
        derivation: the record.
        report: called with the fraction of the checks done.

    Raises:
        DerivationError: a step fails, has no check, or a control is not refuted; one line that names it.
    """
    from time import perf_counter

    name, started = derivation.result, perf_counter()
    total, done = sum(len(step.checks) for step in derivation.steps) + len(derivation.controls), 0
    outcomes: list[tuple[Outcome, ...]] = []
    for number, step in enumerate(derivation.steps, start=1):
        if not step.checks:
            raise DerivationError(f"{name}, step {number}: it has no check; add one")
        found = []
        for check in step.checks:
            outcome = check.run()
            if not outcome.passed:
                raise DerivationError(f"{name}, step {number} fails ({check.kind}): {outcome.detail}")
            found.append(outcome)
            done += 1
            report(done / total)
        outcomes.append(tuple(found))
    if not derivation.controls:
        raise DerivationError(f"{name}: it has no negative control; add one")
    refutations = []
    for number, control in enumerate(derivation.controls, start=1):
        outcome = control.check.run()
        if outcome.passed:
            raise DerivationError(f"{name}, control {number} is not refuted: {control.change}")
        refutations.append(outcome)
        done += 1
        report(done / total)
    return Verified(derivation, tuple(outcomes), tuple(refutations), perf_counter() - started)
