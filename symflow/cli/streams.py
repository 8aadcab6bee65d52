"""Standard streams: what is written to them at once, and what happens where they cannot be written."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any


class OutputLost(Exception):
    """Standard output cannot be written; the cause says why."""


def provide_streams() -> None:
    """Standard streams that can be written to: for what is closed the null device, for letters that lack an escape."""
    for name in ("stdin", "stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by the shell (>&-), or pythonw
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w", encoding="utf-8"))  # noqa: SIM115
        elif name != "stdin" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def writing() -> Iterator[None]:
    """What fails in the block fails because of standard output.

    Raises:
        BrokenPipeError: nobody reads it.
        OutputLost: it cannot be written for another reason.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as failed:
        raise OutputLost(failed.strerror or str(failed)) from failed


def say(text: str) -> None:
    """Text on standard output, at once."""
    with writing():
        print(text, flush=True)


def show(*things: Any) -> None:
    """Prints tables and text; text as it is, without markup."""
    from symflow.report.screen import console

    with writing():
        screen = console()
        for thing in things:
            screen.print(thing)
        sys.stdout.flush()


def drop_output() -> None:
    """Discards what is left for standard output, so that Python does not try to write it when it ends."""
    with suppress(OSError, ValueError):  # a stream without a file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
