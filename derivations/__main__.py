"""Verifies every derivation and writes the book: python -m derivations --out book.

Only the folder of the book is written; python -m derivations --readme writes the table of derivations/README.md
instead.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from derivations import derivations
from symflow.errors import ComputationError, ProblemError
from symflow.latex.book import book
from symflow.progress import Reporter
from symflow.progress.bars import bar
from symflow.proofs import Derivation, Verified, verify
from symflow.report.derivations import readme

README = Path(__file__).parent / "README.md"


def verify_all(found: Mapping[str, Derivation]) -> list[Verified]:
    """Runs every check and every control, with a progress bar on standard error.

    Raises:
        DerivationError: the first that fails.
    """
    with bar("derivations", patience=0) as told:
        report = Reporter.to(told)
        return [
            verify(d, report.part(number / len(found), (number + 1) / len(found)))
            for number, d in enumerate(found.values())
        ]


def prepare(folder: Path) -> None:
    """Makes the folder of the book and sees to it that the book can be written there, before all else.

    Raises:
        ProblemError: it cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        for name in ("book.tex", "book.pdf"):  # of an earlier run
            if (folder / name).exists():
                (folder / name).open("ab").close()
    except OSError as error:
        raise ProblemError(
            f"--out must name a folder that can be written, got {folder}: {error.strerror}; name another one"
        ) from error


def write(path: Path, text: str) -> None:
    """Writes a file.

    Raises:
        ComputationError: it cannot be written.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ComputationError(f"{path} cannot be written: {error.strerror}; make room or change its rights") from error


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
    parser.add_argument("--readme", action="store_true", help="write the table of derivations/README.md only")
    options = parser.parse_args(arguments)
    found, out = derivations(), options.out
    try:
        if options.readme:
            write(README, readme(found))
            return 0
        prepare(out)
        verified = verify_all(found)
        write(out / "book.tex", book(verified))
        if shutil.which("pdflatex"):
            typeset(out / "book.tex")
    except (ProblemError, ComputationError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, ProblemError) else 1
    checks = sum(len(outcomes) for v in verified for outcomes in v.outcomes)
    print(f"{len(verified)} results, {checks} checks, {sum(v.seconds for v in verified):.0f} s: {out / 'book.tex'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
