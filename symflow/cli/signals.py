"""Interruption and termination: both raise KeyboardInterrupt, and are remembered."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from symflow.progress import Reporter

_interrupted = threading.Event()
KEPT, SPARE = 10.0, 50
"""Seconds between two times that what is known so far is written, and so many times what the writing takes."""


@contextmanager
def interruptible() -> Iterator[None]:
    """In the block SIGINT and SIGTERM raise KeyboardInterrupt.

    Python drops an exception that a signal raises inside a callback of the garbage collector (JAX has one), so what
    was remembered is raised again at the next report of progress, and Python's note about it is left out.
    """

    def interrupt(number: int, frame: object) -> None:
        _interrupted.set()
        raise KeyboardInterrupt

    _interrupted.clear()
    if threading.current_thread() is not threading.main_thread():  # where no signal arrives
        yield
        return

    def unraisable(lost: sys.UnraisableHookArgs) -> None:
        if not isinstance(lost.exc_value, KeyboardInterrupt):
            shown(lost)

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    shown, sys.unraisablehook = sys.unraisablehook, unraisable
    try:
        yield
    finally:
        sys.unraisablehook = shown
        for number, handler in before.items():
            signal.signal(number, handler)


def interrupted() -> bool:
    """Whether a signal has arrived."""
    return _interrupted.is_set()


def check_interrupted() -> None:
    """Raises the interruption that was remembered.

    Raises:
        KeyboardInterrupt: a signal has arrived.
    """
    if interrupted():
        raise KeyboardInterrupt


@contextmanager
def progress(
    label: str, cheaper: str | None = "", keep: Callable[[Any], object] | None = None, kept: str = ""
) -> Iterator[Reporter]:
    """A progress bar that also notices an interruption, and keeps what is known so far.

    Args:
        label: what is being done.
        cheaper: the options that would take less time, for work that is expected to be long; see `bars.bar`.
        keep: writes what is known so far, now and then, so that a kill loses little.
        kept: what an interruption is to say of what is kept.
    """
    from symflow.progress import Progress, Reporter
    from symflow.progress.bars import bar

    with bar(label, cheaper) as shown:
        last, cost = time.monotonic(), 0.0

        def told(progress: Progress) -> None:
            nonlocal last, cost
            check_interrupted()
            shown(progress)
            began = time.monotonic()
            if keep is not None and progress.partial is not None and began - last > max(KEPT, SPARE * cost):
                keep(progress.partial())
                last = time.monotonic()
                cost = last - began

        try:
            yield Reporter.to(told, label)
        except KeyboardInterrupt:
            if kept:
                raise KeyboardInterrupt(f"interrupted; {kept}") from None
            raise
