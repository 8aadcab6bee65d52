"""A derivation run on its own: what was checked, line by line."""

from __future__ import annotations

import sys

from symflow.derivation.record import Derivation, DerivationError, Verified, verify
from symflow.presentation.progress import progress


def run(derivation: Derivation) -> int:
    """Verifies a derivation and prints a line for every check; the exit status."""
    try:
        with progress(derivation.result) as report:
            verified = verify(derivation, report)
    except DerivationError as error:
        print(error, file=sys.stderr)
        return 1
    print(describe(verified))
    return 0


def describe(verified: Verified) -> str:
    """Every step with the kind of its checks and what they computed, in plain text."""
    derivation = verified.derivation
    lines = [f"{derivation.result}: {derivation.title} [{derivation.source.source}]"]
    for number, (step, outcomes) in enumerate(zip(derivation.steps, verified.outcomes, strict=True), start=1):
        lines += [
            f"  step {number}, {check.kind}: {outcome.detail}"
            for check, outcome in zip(step.checks, outcomes, strict=True)
        ]
    for number, outcome in enumerate(verified.refutations, start=1):
        lines.append(f"  control {number}, refuted: {outcome.detail}")
    return "\n".join([*lines, f"  {verified.seconds:.1f} s"])
