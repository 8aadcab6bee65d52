"""The command line: run, derive, flow, deviation.

Exit status: 0 done; 1 the computation could not be done; 2 the input is wrong; 130 interrupted.  Errors are one line
on standard error.  What computes is imported inside the commands, so that `symflow --help` answers at once and
commands that need no JAX do not load it.
"""

from __future__ import annotations

import errno
import io
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from symflow import __version__
from symflow.errors import ComputationError, FlowStopped, KinkError, ProblemError, SymflowError, brief, shorten

if TYPE_CHECKING:
    from symflow.analysis.deviation import Deviation
    from symflow.problem import Problem
    from symflow.trajectory.trajectory import Trajectory

EXAMPLES = ("iris-linear.toml", "iris-relu.toml")
"""What `symflow run` runs without a problem; in the folder `examples` beside this file."""
FILES = ("report.json", "formulas.tex", "deviation.svg", "deviation.png")
"""What `symflow run` writes for each problem."""
DONE, FAILED, WRONG, INTERRUPTED = 0, 1, 2, 130
LONGEST_LINE = 1000
"""An error line is cut to so many characters."""

_NUMBER = re.compile(r"[+-]?\.?\d[\d./eE+-]*")

app = typer.Typer(
    help="How well does gradient flow describe gradient descent on small homogeneous networks?",
    no_args_is_help=False,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

ProblemFile = Annotated[Path, typer.Argument(metavar="PROBLEM", help="A problem file (.toml or .json).")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else on standard output.")]
Horizon = Annotated[str | None, typer.Option("--horizon", metavar="T", help="Final time, such as 10, 2.5 or 5/2.")]
StepSize = Annotated[str | None, typer.Option("--step-size", metavar="ETA", help="Step size, such as 0.01 or 1/100.")]
Digits = Annotated[int | None, typer.Option("--dps", metavar="D", help="Decimal digits; the problem's own if left out.")]


@dataclass(frozen=True)
class Answer:
    """What a command found.

    Attributes:
        data: makes the JSON object.
        show: prints it for a person.
    """

    data: Callable[[], dict[str, Any]]
    show: Callable[[], None]


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", is_eager=True, help="Print the version and exit.")] = False,
) -> None:
    """Options before the command."""
    if version:
        print(f"symflow {__version__}")
        raise typer.Exit(DONE)


@app.command(help="The main job: flow, descent, deviation and bounds; report, LaTeX and pictures of each problem.")
def run(
    problems: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PROBLEM]...", help="Problem files; two built-in Iris problems if left out."),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where to write; one folder each for several problems.")
    ] = Path("symflow-out"),
    as_json: Json = False,
) -> None:
    """`symflow run`."""
    _finish(lambda: _run(problems or [], out, as_json), as_json)


@app.command(help="The equations of a problem as LaTeX: loss, gradient, gradient flow, Hessian.")
def derive(problem: ProblemFile, as_json: Json = False) -> None:
    """`symflow derive`."""
    _finish(lambda: _derive(problem), as_json)


@app.command(help="Gradient flow to any number of digits.")
def flow(
    problem: ProblemFile,
    dps: Digits = None,
    at: Annotated[
        list[str] | None,
        typer.Option("--at", metavar="T...", help="Times to print theta at; the horizon if left out."),
    ] = None,
    horizon: Horizon = None,
    as_json: Json = False,
) -> None:
    """`symflow flow`."""
    _finish(lambda: _flow(problem, dps, at or [], horizon), as_json, at or ())


@app.command(help="How far gradient descent strays from gradient flow, and what bounds it.")
def deviation(
    problem: ProblemFile,
    step_size: StepSize = None,
    horizon: Horizon = None,
    dps: Digits = None,
    as_json: Json = False,
) -> None:
    """`symflow deviation`."""
    _finish(lambda: _deviation(problem, step_size, horizon, dps), as_json)


def main(argv: Sequence[str] | None = None) -> int:
    """The console entry point.

    Args:
        argv: Arguments; those of the process if left out.

    Returns:
        The exit status.
    """
    for stream in (sys.stdout, sys.stderr):  # a terminal without Greek letters, a file name that is no text
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    arguments = _spread_times(list(sys.argv[1:] if argv is None else argv))
    command = typer.main.get_command(app)
    with _terminable():
        try:
            status = command.main(args=arguments, prog_name="symflow", standalone_mode=False)
            sys.stdout.flush()
        except KeyboardInterrupt:
            return _complain("interrupted", INTERRUPTED)
        except BrokenPipeError:
            return _leave_quietly()
        except Exception as error:  # typer's own errors: unknown option, missing argument, wrong type
            if not hasattr(error, "format_message"):
                raise
            said = error.format_message() or "an argument is missing"
            return _complain(f"{said.rstrip('.')}; symflow --help shows what there is", WRONG)
    return status if isinstance(status, int) else DONE


def _spread_times(arguments: list[str]) -> list[str]:
    """`--at 1 2 5/2` written as `--at 1 --at 2 --at 5/2`, which is what typer reads."""
    spread: list[str] = []
    read: int | None = None  # values read since the last --at; None after any other option
    for word in arguments:
        if read and _NUMBER.fullmatch(word):
            spread += ["--at", word]
            continue
        if read == 0:
            read = 1
        elif word == "--at":
            read = 0
        else:
            read = 1 if word.startswith("--at=") else None
        spread.append(word)
    return spread


def _finish(work: Callable[[], Answer], as_json: bool, at: Sequence[str] = ()) -> None:
    """Runs a command, prints its answer or its error, and exits with the status.

    Args:
        work: Computes.
        as_json: Print JSON.
        at: The times at which theta was asked for, also to be answered when the flow stops after them.

    Raises:
        typer.Exit: Always.
    """
    raise typer.Exit(_status(work, as_json, at))


def _status(work: Callable[[], Answer], as_json: bool, at: Sequence[str]) -> int:
    try:
        answer = work()
        if as_json:
            _print_json(answer.data())
        else:
            answer.show()
        return DONE
    except BrokenPipeError:
        return _leave_quietly()
    except KeyboardInterrupt as stopped:
        error: BaseException = stopped
        status, said = INTERRUPTED, "interrupted"
    except ProblemError as wrong:
        error, status, said = wrong, WRONG, str(wrong)
    except SymflowError as failed:
        error, status, said = failed, FAILED, str(failed)
    except OSError as failed:
        where = "" if failed.filename is None else f"{os.fsdecode(failed.filename)}: "
        error, status = failed, FAILED
        said = f"{where}cannot be read or written: {failed.strerror or failed}; check the path and the space left"
    except MemoryError as failed:
        error, status, said = failed, FAILED, "the memory does not suffice; try a smaller problem or fewer digits"
    except OverflowError as failed:
        error, status = failed, FAILED
        said = f"a number leaves the range of float64 ({failed}); try a shorter horizon, a smaller step or smaller data"
    if as_json:
        _print_json(_error_data(error, said, at))
    return _complain(said, status)


def _complain(said: str, status: int) -> int:
    """One line on standard error."""
    line = " ".join(said.split())
    print("symflow: " + (line if len(line) <= LONGEST_LINE else shorten(line, LONGEST_LINE)), file=sys.stderr)
    return status


def _leave_quietly() -> int:
    """The reader of standard output has gone (`symflow ... | head`)."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return FAILED


@contextmanager
def _terminable() -> Iterator[None]:
    """A request to terminate is answered like an interruption from the keyboard: temporary files are removed."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, interrupt)
    except ValueError:  # not in the main thread, where signals do not arrive either
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _print_json(data: dict[str, Any]) -> None:
    from symflow.presentation.report import to_json

    print(to_json(data), flush=True)


def _error_data(error: BaseException, said: str, at: Sequence[str]) -> dict[str, Any]:
    """The JSON object of a failure; with what was known when a flow stopped."""
    found: dict[str, Any] = {"type": type(error).__name__, "message": said}
    data: dict[str, Any] = {"error": found}
    if isinstance(error, KinkError):
        found |= {"cause": error.cause, "sample": error.sample, "layer": error.layer, "unit": error.unit}
    if isinstance(error, FlowStopped):
        from symflow.presentation.report import decimal, flow_report
        from symflow.problem.numbers import rational

        found["time"] = None if error.time is None else decimal(error.time)
        trajectory: Trajectory | None = error.trajectory
        if trajectory is None or not trajectory.segments:
            return data | {"computed_until": "0", "theta": {}, "events": []}
        until = rational(trajectory.horizon, "time")
        times = {key: t for key in at if (t := _time(key, "--at")) <= until}
        data |= {"computed_until": decimal(trajectory.horizon)} | flow_report(trajectory, times)
    return data


def _load(path: Path) -> Problem:
    from symflow.problem import load_problem

    return load_problem(path)


def _time(value: str, option: str) -> Fraction:
    from symflow.problem.numbers import rational

    number = rational(value, option)
    if number < 0:
        raise ProblemError(f"{option} must be a time of at least 0, got {brief(value)}")
    return number


def _derive(path: Path) -> Answer:
    import symflow as sf
    from symflow.presentation.report import formula_report, network_report

    problem = _load(path)
    objective = problem.objective
    made = {
        "loss": sf.loss,
        "gradient": sf.gradient,
        "gradient_flow": sf.gradient_flow,
        "hessian_form": sf.hessian_form,
        "hessian": sf.hessian,
    }
    formulas = {name: formula_report(derive(objective)) for name, derive in made.items()}

    def show() -> None:
        for name, found in formulas.items():
            cited = "" if found["citation"] is None else f" -- {found['citation']}"
            print(f"% {name.replace('_', ' ')}: {found['operations']} operations{cited}")
            print(f"{found['latex']}\n")

    return Answer(
        lambda: {"name": problem.name, "network": network_report(problem), "formulas": formulas},
        show,
    )


def _flow(path: Path, dps: int | None, at: Sequence[str], horizon: str | None) -> Answer:
    times = {value: _time(value, "--at") for value in at}
    end = None if horizon is None else _time(horizon, "--horizon")
    if end is not None and (late := [value for value, t in times.items() if t > end]):
        raise ProblemError(f"--at must not lie beyond --horizon {horizon}, got {brief(late[0])}")
    problem = _load(path)

    from symflow.presentation.progress import progress
    from symflow.presentation.report import flow_report
    from symflow.problem.numbers import text
    from symflow.trajectory.flow import solve_flow

    end = end or max(times.values(), default=None) or problem.horizon
    if not times and end is not None:
        times = {text(end): end}
    if end is None and times:  # only the time 0 was asked for
        end = Fraction(1)
    started = time.perf_counter()
    with progress("gradient flow") as report:
        trajectory = solve_flow(problem, horizon=end, dps=dps, progress=report)
    seconds = time.perf_counter() - started

    def show() -> None:
        from symflow.presentation.table import flow_tables

        _show(*flow_tables(trajectory, times, seconds))

    return Answer(lambda: flow_report(trajectory, times, seconds), show)


def _deviation(path: Path, step_size: str | None, horizon: str | None, dps: int | None) -> Answer:
    from symflow.problem.numbers import rational

    eta = None if step_size is None else rational(step_size, "--step-size")
    end = None if horizon is None else rational(horizon, "--horizon")
    dev, seconds = _compare(_load(path), step_size=eta, horizon=end, dps=dps)

    def data() -> dict[str, Any]:
        from symflow.presentation.report import deviation_report

        return deviation_report(dev) | {"seconds": round(seconds, 6)}

    def show() -> None:
        from symflow.presentation.report import verdict
        from symflow.presentation.table import deviation_tables

        _show(*deviation_tables(dev), verdict(dev))

    return Answer(data, show)


def _compare(problem: Problem, **settings: Any) -> tuple[Deviation, float]:
    """Flow, descent, deviation and bounds, with the wall time."""
    from symflow.analysis.deviation import deviation as compare
    from symflow.presentation.progress import progress

    started = time.perf_counter()
    with progress(problem.name or "deviation") as report:
        dev = compare(problem, progress=report, **settings)
    return dev, time.perf_counter() - started


def _run(paths: Sequence[Path], out: Path, quiet: bool) -> Answer:
    paths = paths or [Path(__file__).with_name("examples") / name for name in EXAMPLES]
    problems = [_load(path) for path in paths]
    folders = _folders(problems, out)
    for folder in folders:
        _check_folder(folder)
    reports = []
    for problem, folder in zip(problems, folders, strict=True):
        report, dev = _run_one(problem, folder)
        reports.append(report)
        if not quiet:
            _show_run(dev, report, folder)
    return Answer(lambda: {"problems": reports}, lambda: None)


def _run_one(problem: Problem, folder: Path) -> tuple[dict[str, Any], Deviation]:
    """Solves one problem and writes its files, all or none.

    Raises:
        ComputationError: Files could not be written, or the computation not be done.
    """
    from symflow.presentation import plots
    from symflow.presentation.report import full_report, to_json, write_files

    dev, seconds = _compare(problem)
    report = full_report(dev, seconds)
    picture = plots.figure(dev)
    contents = {
        "report.json": (to_json(report) + "\n").encode(),
        "formulas.tex": _document(dev).encode(),
        "deviation.svg": plots.render(picture, "svg"),
        "deviation.png": plots.render(picture, "png"),
    }
    try:
        write_files(folder, contents)
    except OSError as failed:
        raise ComputationError(
            f"--out: {folder} cannot be written: {failed.strerror or failed}; choose another directory or make room"
        ) from failed
    return report | {"files": [str(folder / name) for name in FILES]}, dev


def _document(dev: Deviation) -> str:
    from symflow.presentation.formulas import formulas_document

    settings = {"step_size": dev.step_size, "steps": dev.steps, "horizon": dev.times[-1], "dps": dev.dps}
    return str(formulas_document(dev.problem.objective, dev.problem.name or "problem", settings, dev.bounds))


def _show_run(dev: Deviation, report: dict[str, Any], folder: Path) -> None:
    from symflow.presentation.table import run_table

    _show(run_table(dev), "", report["verdict"], f"wrote {', '.join(FILES)} to {folder}", "")


def _show(*things: Any) -> None:
    """Prints renderables; text as it is, without markup."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    for thing in things:
        console.print(Text(thing) if isinstance(thing, str) else thing)


def _folders(problems: Sequence[Problem], out: Path) -> list[Path]:
    """DIR for one problem, DIR/<name> for several; equal names are told apart by numbers."""
    if len(problems) == 1:
        return [out]
    taken: set[str] = set()
    folders = []
    for problem in problems:
        base = re.sub(r"[^\w.-]+", "-", problem.name or "").strip("-.")[:80] or "problem"
        name = next(n for k in range(1, len(problems) + 1) if (n := base if k == 1 else f"{base}-{k}").lower() not in taken)
        taken.add(name.lower())  # file systems that ignore case
        folders.append(out / name)
    return folders


def _check_folder(folder: Path) -> None:
    """Refuses, before anything is computed, a folder that cannot be made or written to.

    Raises:
        ProblemError: One line that names it.
    """
    try:
        there = next(f for f in (folder, *folder.absolute().parents) if f.exists() or f.is_symlink())
        reason = None
        if not there.is_dir():
            reason = f"{there} is no directory"
        elif not os.access(there, os.W_OK | os.X_OK):
            reason = f"{there} may not be written to"
    except OSError as failed:
        reason = os.strerror(failed.errno) if failed.errno else str(failed)
        reason = "the name is too long" if failed.errno == errno.ENAMETOOLONG else reason
    except ValueError as failed:  # a null character
        reason = str(failed)
    if reason is not None:
        raise ProblemError(f"--out must be a directory that can be written to, got {brief(str(folder))} ({reason})")


if __name__ == "__main__":
    sys.exit(main())
