"""Standard error and notebooks: a bar with the time that the rest may take, and one line where that is long."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Protocol

from symflow.errors import printable
from symflow.numbers.decimal import counted
from symflow.progress.record import Progress, duration

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

PATIENCE = 2.0
"""Seconds of work before a terminal shows the bar."""
LONG = 60.0
"""Seconds that work is expected to take from which on a line says so and what would be cheaper."""
SURE = 10.0
"""Seconds of work from which on that is believed; before, only ten times as much."""
LONGER = 10.0
"""The line is said again where so many times as much is expected as it said."""
REFRESH = 0.2
"""Seconds between two pictures of a bar in a notebook."""


def say(line: str) -> None:
    """One line on standard error, nothing in it obeyed by the terminal; where it cannot be written it is lost."""
    with suppress(OSError):
        print(f"symflow: {printable(line)}", file=sys.stderr, flush=True)


class Prediction:
    """What is said of work that is expected to be long.

    Args:
        cheaper: what would take less time; None where the time was the caller's choice, and nothing is said.
    """

    def __init__(self, cheaper: str | None) -> None:
        self.cheaper, self.said = cheaper, LONG / LONGER

    def line(self, progress: Progress) -> str:
        """The line to say now; empty where there is none."""
        if self.cheaper is None or progress.remaining is None or progress.seconds < PATIENCE:
            return ""
        expected = progress.seconds + progress.remaining
        if expected < LONGER * self.said or (progress.seconds < SURE and progress.remaining < 10 * LONG):
            return ""
        self.said = expected
        each = "" if progress.step_seconds is None else f"{duration(progress.step_seconds)} a {progress.unit}"
        reached = progress.reached or f"{100 * progress:.2g} %"
        stood = f"{reached} after {counted(progress.steps, progress.unit)} and {duration(progress.seconds)}"
        said = f"{', '.join(filter(None, (each, stood)))}: about {duration(progress.remaining)} more at this pace"
        said = f"{progress.stage}: {said}" if progress.stage else said
        return f"{said}; cheaper: {self.cheaper}" if self.cheaper else said


class Screen(Protocol):
    """Where a bar is shown."""

    def show(self, progress: Progress) -> None:
        """The bar at this point."""

    def say(self, line: str) -> None:
        """A line that stays."""

    def close(self) -> None:
        """The end of the work."""


@contextmanager
def bar(label: str, cheaper: str | None = "", *, patience: float = PATIENCE) -> Iterator[Callable[[Progress], None]]:
    """Gives the function that shows a record: in a notebook below the cell, else on standard error.

    In a terminal the bar appears after ``patience`` seconds and is wiped when the block ends, however it ends. Where
    standard error is no terminal there is no bar; the line on long work is said everywhere.

    Args:
        label: what is being done.
        cheaper: what would take less time, for that line; None for no line.
        patience: seconds before the bar appears.
    """
    screen: Screen = Notebook(label) if in_notebook() else Terminal(label, patience) if on_terminal() else Lines()
    prediction = Prediction(cheaper)

    def told(progress: Progress) -> None:
        if line := prediction.line(progress):
            screen.say(line)
        screen.show(progress)

    try:
        yield told
    finally:
        screen.close()


def on_terminal() -> bool:
    """Whether standard error is a terminal."""
    return sys.stderr is not None and sys.stderr.isatty()


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


class Lines:
    """No bar."""

    def show(self, progress: Progress) -> None:
        """Nothing."""

    def say(self, line: str) -> None:
        """On standard error."""
        say(line)

    def close(self) -> None:
        """Nothing."""


class Terminal:
    """A bar of rich, which a timer shows where nothing was reported for a while: the first step may take long."""

    def __init__(self, label: str, patience: float) -> None:
        self.label, self.until = label, time.monotonic() + patience
        self.bar: RichProgress | None = None
        self.lock, self.closed = threading.Lock(), False
        self.timer = threading.Timer(patience, self._start)
        self.timer.daemon = True
        self.timer.start()

    def _start(self) -> None:
        with self.lock:
            if self.bar is None and not self.closed:
                self.bar = _rich_bar()
                self.bar.add_task(printable(self.label), total=1.0, rest="")
                self.bar.start()

    def show(self, progress: Progress) -> None:
        """Moves the bar."""
        if self.bar is None and time.monotonic() >= self.until:
            self._start()
        if self.bar is not None:
            known = progress.remaining is not None and progress < 1
            rest = f"about {duration(progress.remaining or 0.0)} left" if known else ""
            doing = self.label if progress.stage in ("", self.label) else f"{self.label}: {progress.stage}"
            task = self.bar.task_ids[0]
            self.bar.update(task, completed=float(progress), description=printable(doing), rest=rest)

    def say(self, line: str) -> None:
        """Above the bar."""
        if self.bar is None:
            say(line)
        else:
            self.bar.console.print(f"symflow: {printable(line)}", markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Wipes the bar."""
        self.timer.cancel()
        with self.lock:
            self.closed = True
            if self.bar is not None:
                self.bar.stop()


def _rich_bar() -> RichProgress:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as RichProgress

    return RichProgress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[rest]}", markup=False),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,
    )


class Notebook:
    """A bar below the cell, in HTML without scripts, which stays with what the work took."""

    def __init__(self, label: str) -> None:
        from IPython.display import display  # what runs the cell

        self.label, self.lines, self.drawn = label, list[str](), 0.0
        self.last: Progress | None = None
        self.handle = display(self._bundle(Progress(0)), raw=True, display_id=True)

    def show(self, progress: Progress) -> None:
        """Draws the bar again, now and then."""
        self.last = progress
        if time.monotonic() - self.drawn >= REFRESH:
            self._draw()

    def say(self, line: str) -> None:
        """Below the bar."""
        self.lines.append(line)

    def close(self) -> None:
        """The last picture."""
        if self.last is not None:
            self._draw()

    def _draw(self) -> None:
        assert self.last is not None
        self.drawn = time.monotonic()
        self.handle.update(self._bundle(self.last), raw=True)

    def _bundle(self, progress: Progress) -> dict[str, Any]:
        doing = self.label if progress.stage in ("", self.label) else f"{self.label}: {progress.stage}"
        text = f"{doing}: {progress}" if progress.steps else doing
        import html  # its table of characters is not for `symflow --help`

        shown = "".join(f"<div>{html.escape(line)}</div>" for line in self.lines)
        page = (
            f'<div><progress value="{float(progress):.4f}" max="1" aria-label="{html.escape(doing, quote=True)}">'
            f"</progress> <span>{html.escape(text)}</span>{shown}</div>"
        )
        return {"text/html": page, "text/plain": "\n".join([text, *self.lines])}
