"""Standard error: lines, and a progress bar for work that takes longer than a person likes to wait in silence."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from symflow.errors import printable

if TYPE_CHECKING:
    from rich.progress import Progress

PATIENCE = 2.0
"""Seconds of work before the bar appears."""


@contextmanager
def progress(label: str, *, patience: float = PATIENCE) -> Iterator[Callable[[float], None]]:
    """Gives the function to call with the fraction of the work that is done.

    The bar appears on standard error at the first call after ``patience`` seconds, only on a terminal, and is wiped
    when the block ends, however it ends.

    Args:
        label: what is being done.
        patience: seconds before the bar appears.
    """
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda done: None
        return
    started = time.monotonic()
    bar: Progress | None = None

    def report(done: float) -> None:
        nonlocal bar
        if bar is None:
            if time.monotonic() - started < patience:
                return
            bar = _bar()
            bar.add_task(printable(label), total=1.0)
            bar.start()
        bar.update(bar.task_ids[0], completed=min(1.0, max(0.0, done)))

    try:
        yield report
    finally:
        if bar is not None:
            bar.stop()


def say(line: str) -> None:
    """One line on standard error, nothing in it obeyed by the terminal; where it cannot be written it is lost."""
    with suppress(OSError):
        print(f"symflow: {printable(line)}", file=sys.stderr, flush=True)


def _bar() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    return Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True)
