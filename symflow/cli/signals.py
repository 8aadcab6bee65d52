"""Interruption and termination: both raise KeyboardInterrupt, and are remembered."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_interrupted = threading.Event()


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
def progress(label: str) -> Iterator[Callable[[float], None]]:
    """A progress bar that also notices an interruption."""
    from symflow.report.progress import progress as bar

    with bar(label) as report:

        def checked(done: float) -> None:
            check_interrupted()
            report(done)

        yield checked
