"""What a command answers, and the exit status and the line that come of it.

0: done; 1: the computation could not be done; 2: the input is wrong; 130: interrupted.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

from symflow.cli.options import check_problem
from symflow.cli.streams import say
from symflow.errors import ProblemError, SymflowError, shorten
from symflow.numbers.types import JsonObject

DONE, FAILED, WRONG, INTERRUPTED = 0, 1, 2, 130
LONGEST_LINE = 1000
"""An error line is cut to so many characters."""

READ = "problem", "claim", "check"
"""Arguments that are files to read."""

Work = Callable[[], int]
"""What is left to do when the arguments are read: computes, prints, and gives the exit status."""


@dataclass(frozen=True)
class Answer:
    """What a command found.

    Attributes:
        data: makes the JSON object.
        show: prints it for a person; not called where `said` is not empty.
        status: the exit status.
        said: the line for standard error of an answer that is only a part.
    """

    data: Callable[[], JsonObject]
    show: Callable[[], None]
    status: int = DONE
    said: str = ""


def command(answer: Callable[..., Answer]) -> Callable[..., Work]:
    """A command as typer reads it: its arguments first; its work runs outside of typer, which has its own exceptions.

    Args:
        answer: what computes the answer; its argument `as_json` says how it is printed.
    """

    @wraps(answer)
    def read(**arguments: Any) -> Work:
        def work() -> Answer:
            for file in (*map(arguments.get, READ), *(arguments.get("problems") or ())):
                if isinstance(file, Path):
                    check_problem(file)
            return answer(**arguments)

        return lambda: _status(work, arguments["as_json"])

    return read


def _status(work: Callable[[], Answer], as_json: bool) -> int:
    """Runs a command, prints its answer or its error, and gives the exit status."""
    try:
        answer = work()
        if as_json:
            _print_json(answer.data())
        elif not answer.said:
            answer.show()
        return complain(answer.said, answer.status) if answer.said else answer.status
    except BrokenPipeError:
        raise
    except KeyboardInterrupt as stopped:
        return fail(stopped, str(stopped) or "interrupted", INTERRUPTED, as_json)
    except ProblemError as wrong:
        return fail(wrong, str(wrong), WRONG, as_json)
    except SymflowError as failed:
        return fail(failed, str(failed), FAILED, as_json)
    except OSError as failed:
        where = "" if failed.filename is None else f"{os.fsdecode(failed.filename)}: "
        said = f"{where}cannot be read or written: {failed.strerror or failed}; check the path and the space left"
        return fail(failed, said, FAILED, as_json)
    except MemoryError as failed:
        return fail(failed, "out of memory; try a smaller problem or fewer digits", FAILED, as_json)
    except OverflowError as failed:
        said = f"a number leaves the range of float64 ({failed}); try a shorter horizon, a smaller step or smaller data"
        return fail(failed, said, FAILED, as_json)


def fail(error: BaseException, said: str, status: int, as_json: bool) -> int:
    """One line on standard error, and one JSON object on standard output where that was asked for."""
    if as_json:
        from symflow.report.stopped import stopped_report

        _print_json(stopped_report(error, said, {}))
    return complain(said, status)


def complain(said: str, status: int) -> int:
    """One line on standard error."""
    from symflow.progress.bars import say as say_aside

    line = " ".join(said.split())
    say_aside(line if len(line) <= LONGEST_LINE else shorten(line, LONGEST_LINE))
    return status


def _print_json(data: JsonObject) -> None:
    from symflow.report.json_text import to_json

    say(to_json(data))
