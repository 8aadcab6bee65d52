"""Derivations as plain text and Markdown: what was checked, and how."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from symflow.progress import Reporter
from symflow.progress.bars import bar
from symflow.proofs.outcome import KINDS
from symflow.proofs.record import Derivation, DerivationError, Verified, verify


def run(derivation: Derivation) -> int:
    """Verifies a derivation and prints a line for every check; the exit status."""
    try:
        with bar(derivation.result) as told:
            verified = verify(derivation, Reporter.to(told))
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


def readme(derivations: Mapping[str, Derivation]) -> str:
    """The table result, file, what was checked how, in Markdown.

    Args:
        derivations: by the name of their file without ``.py``.
    """
    rows = [
        f"| {d.result}: {d.title} | [`{name}.py`]({name}.py) | {_kinds(d)} | {len(d.controls)} |"
        for name, d in derivations.items()
    ]
    return "\n".join([_README, *rows, ""])


def _kinds(derivation: Derivation) -> str:
    """Which steps have a check of which kind."""
    found = []
    for kind in KINDS:
        steps = [n for n, s in enumerate(derivation.steps, start=1) if any(c.kind == kind for c in s.checks)]
        if steps:
            found.append(f"{kind}: step{'s' if len(steps) > 1 else ''} {', '.join(map(str, steps))}")
    return "; ".join(found)


_README = """\
# Derivations

One file for each result: hypotheses, numbered steps, conclusion, and a check of every step that is really executed;
`symflow/proofs` says what the kinds of checks mean: a step is *proved* where an exact check is as strong as the
step, and *checked exactly* where it is about a case or an ingredient that the book names. A negative control is a
slightly wrong statement that the same checks refute.

```bash
python -m derivations.r07_hessian_linear   # one result
python -m derivations --out book           # all; book/book.tex and, with pdflatex, book/book.pdf
python -m derivations --readme             # this table
```

| result | file | steps by the kind of their checks | controls |
|---|---|---|---|"""
