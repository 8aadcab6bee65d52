"""The command line: run, derive, flow, deviation, bounds, advise, certify, falsify, sweep, experiment, examples.

A command is one file in `commands`: its options, computation, JSON, tables and help. Errors are one line on
standard error; `exit_status` says what the status means. What computes is imported inside the commands, so that
`symflow --help` answers at once and commands that need no JAX do not load it.
"""

from __future__ import annotations

import gc
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Annotated, Any

import typer

from symflow.cli.commands.advise import advise
from symflow.cli.commands.bounds import bounds
from symflow.cli.commands.certify import certify
from symflow.cli.commands.derive import derive
from symflow.cli.commands.deviation import deviation
from symflow.cli.commands.examples import examples
from symflow.cli.commands.experiment import experiment
from symflow.cli.commands.falsify import falsify
from symflow.cli.commands.flow import flow
from symflow.cli.commands.run import run
from symflow.cli.commands.sweep import AXES, sweep
from symflow.cli.exit_status import DONE, FAILED, INTERRUPTED, WRONG, command, complain, fail
from symflow.cli.signals import interrupted, interruptible
from symflow.cli.streams import OutputLost, drop_output, provide_streams, say, writing
from symflow.cli.typed import typing
from symflow.errors import ProblemError, brief
from symflow.versions import __version__

_NUMBER = re.compile(r"[+-]?\.?\d[\d./eE+:-]*")

app = typer.Typer(
    help="How well does gradient flow describe gradient descent on small homogeneous networks?",
    no_args_is_help=False,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"symflow {__version__}")
        raise typer.Exit(DONE)


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options before the command."""


for answer in (run, derive, flow, deviation, bounds, advise, certify, falsify, experiment, sweep, examples):
    app.command()(command(answer))


def main(argv: Sequence[str] | None = None) -> int:
    """The console entry point.

    Args:
        argv: arguments; those of the process if left out.

    Returns:
        The exit status.
    """
    if argv is None:
        gc.set_threshold(10_000, 50, 50)  # a process of its own: cycles are looked for less often, a tenth of a start
    provide_streams()
    typed = list(sys.argv[1:] if argv is None else argv)
    arguments = spread(typed)
    try:
        with interruptible(), _without_windows(), typing(typed):
            status = _execute(arguments, "--json" in arguments)
        with writing():
            sys.stdout.flush()
        return status
    except BrokenPipeError:  # the reader of standard output has gone (`symflow ... | head`)
        drop_output()
        return FAILED
    except OutputLost as lost:
        drop_output()
        return complain(f"standard output cannot be written ({lost}); make room or send it elsewhere", FAILED)


@cache
def _reader() -> Any:
    """What reads the arguments of all commands."""
    return typer.main.get_command(app)


def _execute(arguments: list[str], as_json: bool) -> int:
    """Reads the arguments and runs the command."""
    try:
        with writing():  # the help
            read = _reader().main(args=arguments, prog_name="symflow", standalone_mode=False)
        status = read() if callable(read) else read
        if read == INTERRUPTED:
            raise KeyboardInterrupt
    except (BrokenPipeError, OutputLost):
        raise
    except KeyboardInterrupt as error:
        return fail(error, "interrupted", INTERRUPTED, as_json)
    except Exception as error:
        if interrupted():  # what an import makes of an interruption
            return fail(KeyboardInterrupt(), "interrupted", INTERRUPTED, as_json)
        if not hasattr(error, "format_message"):
            raise
        # typer's own errors: unknown option, missing argument, wrong type
        what = _not_whole(error, arguments) or (error.format_message() or "an argument is missing").rstrip(".")
        said = f"{what}; symflow --help shows what there is"
        return fail(ProblemError(said), said, WRONG, as_json)
    return status if isinstance(status, int) else DONE


def _not_whole(error: Any, arguments: Sequence[str]) -> str:
    """What is wrong with a number that must be whole, which typer does not repeat; empty for other errors."""
    option = next((o for o in getattr(getattr(error, "param", None), "opts", ()) if o in arguments), None)
    if option is None or "integer" not in error.format_message():
        return ""
    return f"{option} must be a whole number, got {brief(arguments[arguments.index(option) + 1])}"


@contextmanager
def _without_windows() -> Iterator[None]:
    """Pictures go to files: matplotlib is not asked for a backend that this environment may lack."""
    before = os.environ.get("MPLBACKEND")
    os.environ["MPLBACKEND"] = "agg"
    try:
        yield
    finally:
        if before is None:
            del os.environ["MPLBACKEND"]
        else:
            os.environ["MPLBACKEND"] = before


def spread(arguments: list[str]) -> list[str]:
    """`--at 1 2 5/2` written as `--at 1 --at 2 --at 5/2`, which is what typer reads; the axes of a sweep too."""
    several = AXES if arguments[:1] == ["sweep"] else ("--at",)
    words: list[str] = []
    option, read = "", 0  # the option that takes several values, and how many were read; none after any other one
    for word in arguments:
        if read and _NUMBER.fullmatch(word):
            words += [option, word]
            continue
        name, equals, _ = word.partition("=")
        if option and not read:
            read = 1
        elif name in several:
            option, read = name, 1 if equals else 0
        else:
            option, read = "", 0
        words.append(word)
    return words


if __name__ == "__main__":
    sys.exit(main())
