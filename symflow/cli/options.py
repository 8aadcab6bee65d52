"""Options that several commands share, and what is checked before anything is computed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, overload

import typer

from symflow.errors import ComputationError, ProblemError, brief
from symflow.files import check_there, check_writable, shown, write_files

if TYPE_CHECKING:
    from symflow.problem import Problem

ProblemFile = Annotated[
    Path, typer.Argument(metavar="PROBLEM", help="A problem file (.toml or .json), or example:NAME (symflow examples).")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else on standard output.")]
Horizon = Annotated[str | None, typer.Option("--horizon", metavar="T", help="Final time, such as 10, 2.5 or 5/2.")]
StepSize = Annotated[str | None, typer.Option("--step-size", metavar="ETA", help="Step size, such as 0.01 or 1/100.")]
Digits = Annotated[int | None, typer.Option("--dps", metavar="D", help="Decimal digits, such as 50.")]

FlowOrder = Annotated[
    int | None,
    typer.Option("--flow-order", metavar="P", help="Order of the modified equation to compare with, such as 2."),
]


PREFIX = "example:"
"""What tells the name of an example from a path."""


def check_problem(path: Path) -> None:
    """Refuses a problem file that is not there at once, before what computes is imported.

    Raises:
        ProblemError: there is no such file.
    """
    if path.suffix in (".toml", ".json") and not str(path).startswith(PREFIX):
        with suppress(OSError):  # said where the file is read
            check_there(path, shown(path))


def load(path: Path) -> Problem:
    """The problem in a file, or a named one (example:NAME)."""
    from symflow.problem.examples import example, examples
    from symflow.problem.load import load_problem

    name = str(path)
    if any(name == known.name for known in examples()) and not path.exists():
        raise ProblemError(f"PROBLEM must be a file or example:NAME, got {name!r}; did you mean {PREFIX}{name}?")
    return example(name.removeprefix(PREFIX)) if name.startswith(PREFIX) else load_problem(path)


@overload
def number(written: str, option: str) -> Fraction: ...
@overload
def number(written: str | None, option: str) -> Fraction | None: ...
def number(written: str | None, option: str) -> Fraction | None:
    """The value of an option that is a rational number."""
    from symflow.numbers.rational import rational

    return None if written is None else rational(written, option)


def load_run(path: Path, step_size: str | None, horizon: str | None) -> tuple[Problem, dict[str, Any]]:
    """A problem, and step size and horizon of a comparison as the options give them.

    Raises:
        ProblemError: a wrong number, or one that neither the file nor an option gives.
    """
    given: dict[str, Any] = {"step_size": number(step_size, "--step-size"), "horizon": number(horizon, "--horizon")}
    problem = load(path)
    check_settings(path, problem, given)
    return problem, given


def check_settings(path: Path, problem: Problem, given: Mapping[str, Fraction | None]) -> None:
    """Refuses a comparison without step size or horizon, before anything is computed.

    Raises:
        ProblemError: neither the file nor an option gives it.
    """
    for key in ("step_size", "horizon"):
        if given.get(key) is None and getattr(problem, key) is None:
            option = f" or the option --{key.replace('_', '-')}" if given else ""
            raise ProblemError(
                f"{shown(path)}: run.{key} is missing; it must be a positive number, give the key{option}"
            )


def check_file(path: Path | None, option: str) -> None:
    """Refuses, before anything is computed, a file that cannot be written.

    Raises:
        ProblemError: one line that names it.
    """
    if path is None:
        return
    try:
        check_writable(path)
    except (OSError, ValueError) as failed:  # ValueError: a null character
        reason = getattr(failed, "strerror", None) or str(failed)
        said = f"{option} must be a file that can be written, got {brief(os.fspath(path))} ({reason})"
        raise ProblemError(f"{said}; choose another") from None


def check_folder(folder: Path) -> None:
    """Refuses, before anything is computed, a folder that cannot be made or written to.

    Raises:
        ProblemError: one line that names it.
    """
    try:
        there = next(f for f in (folder, *folder.absolute().parents) if f.exists() or f.is_symlink())
        reason = None
        if not there.is_dir():
            reason = f"{there} is not a directory"
        else:
            with tempfile.TemporaryFile(dir=there):
                pass
    except OSError as failed:
        reason = failed.strerror or str(failed)
    except ValueError as failed:  # a null character, with a typer that lets it pass
        reason = str(failed)
    if reason is not None:
        raise ProblemError(
            f"--out must be a directory that can be written to, got {brief(str(folder))} ({reason}); choose another"
        )


def write_results(folder: Path, contents: Mapping[str, bytes]) -> list[Path]:
    """Writes the files of a command, all or none.

    Raises:
        ComputationError: they cannot be written.
    """
    try:
        return write_files(folder, contents)
    except OSError as failed:
        raise ComputationError(
            f"--out: {folder} cannot be written: {failed.strerror or failed}; choose another directory or make room"
        ) from failed
