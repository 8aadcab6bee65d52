"""The record of a derivation: hypotheses, numbered steps with executed checks, conclusion, negative controls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from symflow.errors import ComputationError
from symflow.proofs.outcome import Check, Outcome
from symflow.theory.citations import Citation, cite


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
        result: its id, such as "R7".
        title: its name, LaTeX text.
        hypotheses: what it supposes, LaTeX text each.
        steps: the proof.
        conclusion: the statement, LaTeX text with displays.
        controls: at least one.
        remarks: what a reader should know besides, LaTeX text.
    """

    result: str
    title: str
    hypotheses: tuple[str, ...]
    steps: tuple[Step, ...]
    conclusion: str
    controls: tuple[Control, ...]
    remarks: str = ""

    @property
    def source(self) -> Citation:
        """Where the result comes from."""
        return cite(self.result)


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
