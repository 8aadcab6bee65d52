"""Verifies every derivation and writes the book: python -m derivations --out book."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from derivations import derivations
from symflow.derivation import Derivation, DerivationError, Verified, verify
from symflow.presentation.book import book
from symflow.presentation.derivation_text import readme
from symflow.presentation.progress import progress

README = Path(__file__).parent / "README.md"


def verify_all(found: Mapping[str, Derivation]) -> list[Verified]:
    """Runs every check and every control, with a progress bar on standard error.

    Raises:
        DerivationError: the first that fails.
    """
    with progress("derivations", patience=0) as report:
        return [
            verify(d, lambda done, number=number: report((number + done) / len(found)))
            for number, d in enumerate(found.values())
        ]


def typeset(source: Path) -> None:
    """Runs pdflatex twice, for the contents.

    Raises:
        RuntimeError: it reports an error.
    """
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", source.name]
    for _ in range(2):
        run = subprocess.run(
            command, cwd=source.parent, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace"
        )
        if run.returncode:
            reason = next((line for line in run.stdout.splitlines() if line.startswith("!")), "no reason given")
            raise RuntimeError(f"pdflatex fails on {source}: {reason}; see {source.with_suffix('.log')}")


def main(arguments: list[str] | None = None) -> int:
    """The command; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m derivations", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("book"), help="folder of book.tex and book.pdf")
    out = parser.parse_args(arguments).out
    found = derivations()
    try:
        verified = verify_all(found)
        out.mkdir(parents=True, exist_ok=True)
        (out / "book.tex").write_text(book(verified), encoding="utf-8")
        README.write_text(readme(found), encoding="utf-8")
        if shutil.which("pdflatex"):
            typeset(out / "book.tex")
    except (DerivationError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    checks = sum(len(outcomes) for v in verified for outcomes in v.outcomes)
    print(f"{len(verified)} results, {checks} checks, {sum(v.seconds for v in verified):.0f} s: {out / 'book.tex'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
