"""The command line: run, derive, flow, deviation, bounds, advise, sweep, experiment.

Exit status: 0 done; 1 the computation could not be done; 2 the input is wrong; 130 interrupted.  Errors are one line
on standard error.  What computes is imported inside the commands, so that `symflow --help` answers at once and
commands that need no JAX do not load it.
"""

from __future__ import annotations

import io
import json
import os
import re
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from symflow.cli.commands.flow import FlowOptions, run_flow, stopped_report
from symflow.cli.commands.sweep import AXES, SweepOptions, run_sweep
from symflow.errors import ComputationError, FlowInterrupted, ProblemError, SymflowError, brief, shorten
from symflow.versions import __version__

if TYPE_CHECKING:
    from symflow.analysis.deviation import Deviation
    from symflow.problem import Problem

EXAMPLES = ("iris-linear.toml", "iris-relu.toml")
"""What `symflow run` runs without a problem; in the folder `examples` beside this file."""
FILES = ("report.json", "formulas.tex", "deviation.svg", "deviation.png")
"""What `symflow run` writes for each problem."""
DONE, FAILED, WRONG, INTERRUPTED = 0, 1, 2, 130
LONGEST_LINE = 1000
"""An error line is cut to so many characters."""

_interrupted = threading.Event()
_NUMBER = re.compile(r"[+-]?\.?\d[\d./eE+:-]*")

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
Digits = Annotated[int | None, typer.Option("--dps", metavar="D", help="Decimal digits, such as 50.")]


@dataclass(frozen=True)
class Answer:
    """What a command found.

    Attributes:
        data: makes the JSON object.
        show: prints it for a person; not called where `said` is not empty.
        status: the exit status.
        said: the line for standard error of an answer that is only a part.
    """

    data: Callable[[], dict[str, Any]]
    show: Callable[[], None]
    status: int = DONE
    said: str = ""


Work = Callable[[], int]
"""What is left to do when the arguments are read: computes, prints, and gives the exit status."""


class _OutputLost(Exception):
    """Standard output cannot be written; the cause says why."""


def _print_version(wanted: bool) -> None:
    if wanted:
        _say(f"symflow {__version__}")
        raise typer.Exit(DONE)


Version = Annotated[
    bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and exit.")
]


@app.callback()
def options(version: Version = False) -> None:
    """Options before the command."""


@app.command(
    short_help="Write report, LaTeX and pictures.",
    help="Write report, LaTeX and pictures.  The main job: flow, descent, deviation and bounds of each problem.",
)
def run(
    problems: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PROBLEM]...", help="Problem files; two built-in Iris problems if left out."),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where to write; one folder each for several problems.")
    ] = Path("symflow-out"),
    as_json: Json = False,
) -> Work:
    """`symflow run`."""
    return lambda: _status(lambda: _run(problems or [], out, as_json), as_json)


@app.command(
    short_help="Print the equations as LaTeX.",
    help="Print a problem's equations as LaTeX: loss, gradient, gradient flow, Hessian.",
)
def derive(problem: ProblemFile, as_json: Json = False) -> Work:
    """`symflow derive`."""
    return lambda: _status(lambda: _derive(problem), as_json)


@app.command(help="Solve gradient flow to any number of digits.")
def flow(
    problem: ProblemFile,
    dps: Digits = None,
    at: Annotated[
        list[str] | None,
        typer.Option("--at", metavar="T...", help="Times to print theta at; the horizon if left out."),
    ] = None,
    times: Annotated[
        list[str] | None,
        typer.Option("--times", metavar="GRID", help="A grid of times: linear:0:10:11 or log:1e-3:10:9."),
    ] = None,
    horizon: Horizon = None,
    stop_loss: Annotated[
        str | None, typer.Option("--stop-loss", metavar="V", help="End where the loss falls to V.")
    ] = None,
    stop_gradient_norm: Annotated[
        str | None,
        typer.Option("--stop-gradient-norm", metavar="V", help="End where the norm of the gradient falls to V."),
    ] = None,
    max_steps: Annotated[
        int | None, typer.Option("--max-steps", metavar="K", help="Most Taylor steps; 100000 if left out.")
    ] = None,
    time_limit: Annotated[
        str | None, typer.Option("--time-limit", metavar="S", help="Most seconds of wall time.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Check the flow against identities and closed forms, with their digits.")
    ] = False,
    save: Annotated[
        Path | None,
        typer.Option("--save", metavar="FILE", help="Save the trajectory (or the part reached), all digits, as JSON."),
    ] = None,
    as_json: Json = False,
) -> Work:
    """`symflow flow`."""
    options = FlowOptions(
        dps=dps,
        at=at or (),
        grids=times or (),
        horizon=horizon,
        stop_loss=stop_loss,
        stop_gradient_norm=stop_gradient_norm,
        max_steps=max_steps,
        time_limit=time_limit,
        check=check,
        save=save,
    )
    return lambda: _status(lambda: _flow(problem, options), as_json)


@app.command(
    short_help="Compare descent with flow.", help="Compare descent with flow: how far it strays, and what bounds that."
)
def deviation(
    problem: ProblemFile,
    step_size: StepSize = None,
    horizon: Horizon = None,
    dps: Digits = None,
    as_json: Json = False,
) -> Work:
    """`symflow deviation`."""
    return lambda: _status(lambda: _deviation(problem, step_size, horizon, dps), as_json)


@app.command(
    short_help="Every bound beside the truth.",
    help="Every bound beside the truth: its value, their ratio, or why it does not apply.",
)
def bounds(
    problem: ProblemFile,
    step_size: StepSize = None,
    horizon: Horizon = None,
    dps: Digits = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Also write bounds.json and a plot over time here.")
    ] = None,
    as_json: Json = False,
) -> Work:
    """`symflow bounds`."""
    return lambda: _status(lambda: _bounds(problem, step_size, horizon, dps, out), as_json)


@app.command(
    short_help="Step sizes that keep descent near flow.",
    help="The largest step size that keeps descent within EPS of flow: what each bound guarantees, what is tolerated.",
)
def advise(
    problem: ProblemFile,
    epsilon: Annotated[str, typer.Option("--epsilon", metavar="EPS", help="The distance, such as 1e-2.")],
    horizon: Horizon = None,
    as_json: Json = False,
) -> Work:
    """`symflow advise`."""
    return lambda: _status(lambda: _advise(problem, epsilon, horizon), as_json)


@app.command(
    short_help="Repeat the paper's experiments on images.",
    help="Repeat the paper's experiments: descent at several step sizes on images, beside the flow itself.  "
    "An interrupted experiment goes on where it was when started again with the same options.",
)
def experiment(
    networks: Annotated[
        list[str] | None,
        typer.Option("--network", metavar="NAME...", help="linear, relu, conv or conv-max-pool; linear if left out."),
    ] = None,
    data: Annotated[
        str, typer.Option("--data", metavar="NAME", help="digits (scikit-learn's), or mnist with its files.")
    ] = "digits",
    mnist_images: Annotated[
        Path | None, typer.Option("--mnist-images", metavar="FILE", help="MNIST images, an IDX file or its .gz.")
    ] = None,
    mnist_labels: Annotated[Path | None, typer.Option("--mnist-labels", metavar="FILE", help="Their labels.")] = None,
    samples: Annotated[int, typer.Option("--samples", metavar="N", help="How many images.")] = 1000,
    iterations: Annotated[int, typer.Option("--iterations", metavar="K", help="Steps at the base step size.")] = 10_000,
    step_size: Annotated[str, typer.Option("--step-size", metavar="ETA", help="The base step size.")] = "1/1000",
    ratios: Annotated[
        str, typer.Option("--ratios", metavar="R,R...", help="Further runs at ETA/R with R times as many steps.")
    ] = "2,5,10,20",
    tolerances: Annotated[
        str | None,
        typer.Option("--tolerances", metavar="TOL,TOL...", help="Relative tolerances of the flow, at least two."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="S", help="Of the initial weights.")] = 0,
    dtype: Annotated[str, typer.Option("--dtype", metavar="TYPE", help="Of descent: float32 or float64.")] = "float64",
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where results, pictures and checkpoints go.")
    ] = Path("symflow-experiment"),
    as_json: Json = False,
) -> Work:
    """`symflow experiment`."""
    from symflow.cli.commands.experiment import ExperimentOptions, run_experiment

    options = ExperimentOptions(
        networks=networks or ["linear"],
        data=data,
        mnist_images=mnist_images,
        mnist_labels=mnist_labels,
        samples=samples,
        iterations=iterations,
        step_size=step_size,
        ratios=ratios,
        tolerances=tolerances,
        seed=seed,
        dtype=dtype,
        out=out,
    )

    def work() -> Answer:
        _check_folder(out)
        found = run_experiment(options, _progress)
        return Answer(found.data, lambda: _show(*found.renderables()))

    return lambda: _status(work, as_json)


Several = Annotated[list[str] | None, typer.Option(metavar="V...", help="One value or several.")]
Wholes = Annotated[
    list[str] | None, typer.Option(metavar="K...", help="Whole numbers, or ranges such as 0:20 for 0, ..., 19.")
]


@app.command(
    short_help="Compare descent with flow on a grid of problems.",
    help="Compare descent with flow for several step sizes, seeds, depths, widths and scales of initialization.  Each "
    "task is one file in DIR; what is there is not computed again.",
)
def sweep(
    problem: ProblemFile,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where tasks and sweep.parquet are kept.")],
    step_size: Several = None,
    seed: Wholes = None,
    depth: Wholes = None,
    width: Wholes = None,
    scale: Several = None,
    scheme: Annotated[
        str | None, typer.Option("--scheme", metavar="NAME", help="How to draw theta(0): gaussian, xavier, balanced.")
    ] = None,
    horizon: Horizon = None,
    dps: Digits = None,
    float64: Annotated[
        bool, typer.Option("--float64", help="In float64, all at once, instead of many digits.")
    ] = False,
    workers: Annotated[int | None, typer.Option("--workers", metavar="K", help="Processes; one a core.")] = None,
    as_json: Json = False,
) -> Work:
    """`symflow sweep`."""
    several = {"step_size": step_size, "seed": seed, "depth": depth, "width": width, "scale": scale}
    given = SweepOptions(
        **{name: values or () for name, values in several.items()},
        scheme=scheme,
        horizon=horizon,
        dps=dps,
        out=out,
        float64=float64,
        workers=workers,
    )
    return lambda: _status(lambda: _sweep(problem, given), as_json)


def main(argv: Sequence[str] | None = None) -> int:
    """The console entry point.

    Args:
        argv: Arguments; those of the process if left out.

    Returns:
        The exit status.
    """
    _provide_streams()
    arguments = _spread(list(sys.argv[1:] if argv is None else argv))
    try:
        with _interruptible(), _without_windows():
            status = _command(arguments, "--json" in arguments)
        with _writing():
            sys.stdout.flush()
        return status
    except BrokenPipeError:  # the reader of standard output has gone (`symflow ... | head`)
        _drop_output()
        return FAILED
    except _OutputLost as lost:
        _drop_output()
        return _complain(f"standard output cannot be written ({lost}); make room or send it elsewhere", FAILED)


def _command(arguments: list[str], as_json: bool) -> int:
    """Reads the arguments and runs the command."""
    command = typer.main.get_command(app)
    try:
        # typer only reads the arguments; the command it returns runs outside of it, which has its own exceptions
        with _writing():  # the help
            read = command.main(args=arguments, prog_name="symflow", standalone_mode=False)
        status = read() if callable(read) else read
        if read == INTERRUPTED:
            raise KeyboardInterrupt
    except (BrokenPipeError, _OutputLost):
        raise
    except KeyboardInterrupt as error:
        return _fail(error, "interrupted", INTERRUPTED, as_json)
    except Exception as error:
        if _interrupted.is_set():  # what an import makes of an interruption
            return _fail(KeyboardInterrupt(), "interrupted", INTERRUPTED, as_json)
        if not hasattr(error, "format_message"):
            raise
        # typer's own errors: unknown option, missing argument, wrong type
        what = (error.format_message() or "an argument is missing").rstrip(".")
        said = f"{what}; symflow --help shows what there is"
        return _fail(ProblemError(said), said, WRONG, as_json)
    return status if isinstance(status, int) else DONE


def _provide_streams() -> None:
    """Standard streams that can be written to: for what is closed the null device, for letters that lack an escape."""
    for name in ("stdin", "stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by the shell (>&-), or pythonw
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w", encoding="utf-8"))  # noqa: SIM115
        elif name != "stdin" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


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


@contextmanager
def _writing() -> Iterator[None]:
    """What fails in the block fails because of standard output.

    Raises:
        BrokenPipeError: nobody reads it.
        _OutputLost: it cannot be written for another reason.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as failed:
        raise _OutputLost(failed.strerror or str(failed)) from failed


def _say(text: str) -> None:
    """Text on standard output, at once."""
    with _writing():
        print(text, flush=True)


def _drop_output() -> None:
    """Sends what is left for standard output nowhere, so that Python does not try it again at its end."""
    with suppress(OSError, ValueError):  # a stream without a file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _spread(arguments: list[str]) -> list[str]:
    """`--at 1 2 5/2` written as `--at 1 --at 2 --at 5/2`, which is what typer reads; likewise the axes of a sweep."""
    options = AXES if arguments[:1] == ["sweep"] else ("--at",)
    spread: list[str] = []
    option, read = "", 0  # the option that takes several values, and how many were read; none after any other one
    for word in arguments:
        if read and _NUMBER.fullmatch(word):
            spread += [option, word]
            continue
        name, equals, _ = word.partition("=")
        if option and not read:
            read = 1
        elif name in options:
            option, read = name, 1 if equals else 0
        else:
            option, read = "", 0
        spread.append(word)
    return spread


def _status(work: Callable[[], Answer], as_json: bool) -> int:
    """Runs a command, prints its answer or its error, and gives the exit status."""
    try:
        answer = work()
        if as_json:
            _print_json(answer.data())
        elif not answer.said:
            answer.show()
        return _complain(answer.said, answer.status) if answer.said else answer.status
    except BrokenPipeError:
        raise
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
        error, status, said = failed, FAILED, "out of memory; try a smaller problem or fewer digits"
    except OverflowError as failed:
        error, status = failed, FAILED
        said = f"a number leaves the range of float64 ({failed}); try a shorter horizon, a smaller step or smaller data"
    return _fail(error, said, status, as_json)


def _fail(error: BaseException, said: str, status: int, as_json: bool) -> int:
    """One line on standard error, and one JSON object on standard output where that was asked for."""
    if as_json:
        _say(json.dumps(stopped_report(error, said, {}), indent=1, allow_nan=False))
    return _complain(said, status)


def _complain(said: str, status: int) -> int:
    """One line on standard error."""
    from symflow.report.progress import say

    line = " ".join(said.split())
    say(line if len(line) <= LONGEST_LINE else shorten(line, LONGEST_LINE))
    return status


@contextmanager
def _interruptible() -> Iterator[None]:
    """Interruption and termination both raise KeyboardInterrupt, and are remembered.

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


def _check_interrupted() -> None:
    if _interrupted.is_set():
        raise KeyboardInterrupt


@contextmanager
def _progress(label: str) -> Iterator[Callable[[float], None]]:
    """A progress bar that also notices an interruption."""
    from symflow.report.progress import progress

    with progress(label) as report:

        def checked(done: float) -> None:
            _check_interrupted()
            report(done)

        yield checked


def _print_json(data: dict[str, Any]) -> None:
    from symflow.report.report import to_json

    _say(to_json(data))


def _load(path: Path) -> Problem:
    from symflow.problem import load_problem

    return load_problem(path)


def _derive(path: Path) -> Answer:
    from symflow.derivatives import derived
    from symflow.report.report import formula_report, network_report

    problem = _load(path)
    objective = problem.objective
    made = {
        "loss": derived.loss,
        "gradient": derived.gradient,
        "gradient_flow": derived.gradient_flow,
        "hessian_form": derived.hessian_form,
        "hessian": derived.hessian,
    }
    formulas = {name: formula_report(derive(objective)) for name, derive in made.items()}

    def show() -> None:
        for name, found in formulas.items():
            cited = "" if found["citation"] is None else f" -- {found['citation']}"
            _say(f"% {name.replace('_', ' ')}: {found['operations']} operations{cited}")
            _say(f"{found['latex']}\n")

    return Answer(
        lambda: {"name": problem.name, "network": network_report(problem), "formulas": formulas},
        show,
    )


def _flow(path: Path, options: FlowOptions) -> Answer:
    found = run_flow(lambda: _load(path), options, _progress)
    status = DONE if found.error is None else INTERRUPTED if isinstance(found.error, FlowInterrupted) else FAILED
    return Answer(found.data, lambda: _show(*found.renderables()), status, found.said)


def _deviation(path: Path, step_size: str | None, horizon: str | None, dps: int | None) -> Answer:
    from symflow.numbers.rational import rational

    eta = None if step_size is None else rational(step_size, "--step-size")
    end = None if horizon is None else rational(horizon, "--horizon")
    problem = _load(path)
    _check_settings(path, problem, step_size=eta, horizon=end)
    dev, seconds = _compare(problem, step_size=eta, horizon=end, dps=dps)

    def data() -> dict[str, Any]:
        from symflow.report.report import deviation_report

        return deviation_report(dev) | {"seconds": round(seconds, 6)}

    def show() -> None:
        from symflow.report.report import verdict
        from symflow.report.terminal import deviation_tables

        _show(*deviation_tables(dev), verdict(dev))

    return Answer(data, show)


def _bounds(path: Path, step_size: str | None, horizon: str | None, dps: int | None, out: Path | None) -> Answer:
    from symflow.cli.commands.bounds import run_bounds
    from symflow.numbers.rational import rational

    eta = None if step_size is None else rational(step_size, "--step-size")
    end = None if horizon is None else rational(horizon, "--horizon")
    problem = _load(path)
    _check_settings(path, problem, step_size=eta, horizon=end)
    if out is not None:
        _check_folder(out)
    found = run_bounds(lambda: problem, eta, end, dps, out, _progress)
    return Answer(found.data, lambda: _show(*found.renderables()))


def _advise(path: Path, epsilon: str, horizon: str | None) -> Answer:
    from symflow.cli.commands.bounds import run_advice
    from symflow.numbers.rational import rational

    eps = rational(epsilon, "--epsilon")
    end = None if horizon is None else rational(horizon, "--horizon")
    found = run_advice(lambda: _load(path), eps, end, _progress)
    return Answer(found.data, lambda: _show(*found.renderables()))


def _sweep(path: Path, options: SweepOptions) -> Answer:
    _check_folder(options.out)
    found = run_sweep(lambda: _load(path), options, _progress)
    return Answer(found.data, lambda: _show(*found.renderables()), FAILED if found.said else DONE, found.said)


def _check_settings(path: Path, problem: Problem, **given: Fraction | None) -> None:
    """Refuses a comparison without step size or horizon, before anything is computed.

    Raises:
        ProblemError: Neither the file nor an option gives it.
    """
    from symflow.problem.table import shown

    for key in ("step_size", "horizon"):
        if given.get(key) is None and getattr(problem, key) is None:
            option = f" or the option --{key.replace('_', '-')}" if given else ""
            raise ProblemError(
                f"{shown(path)}: run.{key} is missing; it must be a positive number, give the key{option}"
            )


def _compare(problem: Problem, **settings: Any) -> tuple[Deviation, float]:
    """Flow, descent, deviation and bounds, with the wall time."""
    from symflow.analysis.deviation import deviation as compare

    started = time.perf_counter()
    with _progress(problem.name or "deviation") as report:
        dev = compare(problem, progress=report, **settings)
    return dev, time.perf_counter() - started


def _run(paths: Sequence[Path], out: Path, quiet: bool) -> Answer:
    paths = paths or [Path(__file__).with_name("examples") / name for name in EXAMPLES]
    problems = [_load(path) for path in paths]
    for path, problem in zip(paths, problems, strict=True):
        _check_settings(path, problem)
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
    from symflow.plots import paths as plots
    from symflow.report.report import document, full_report, to_json, write_files

    dev, seconds = _compare(problem)
    report = full_report(dev, seconds)
    picture = plots.figure(dev)
    contents = {
        "report.json": (to_json(report) + "\n").encode(),
        "formulas.tex": document(dev).encode(),
        "deviation.svg": plots.render(picture, "svg"),
        "deviation.png": plots.render(picture, "png"),
    }
    _check_interrupted()
    try:
        write_files(folder, contents)
    except OSError as failed:
        raise ComputationError(
            f"--out: {folder} cannot be written: {failed.strerror or failed}; choose another directory or make room"
        ) from failed
    return report | {"files": [str(folder / name) for name in FILES]}, dev


def _show_run(dev: Deviation, report: dict[str, Any], folder: Path) -> None:
    from symflow.report.terminal import run_table

    _show(run_table(dev), "", report["verdict"], f"wrote {', '.join(FILES)} to {folder}", "")


def _show(*things: Any) -> None:
    """Prints renderables; text as it is, without markup."""
    from symflow.report.terminal import console

    with _writing():
        screen = console()
        for thing in things:
            screen.print(thing)
        sys.stdout.flush()


def _folders(problems: Sequence[Problem], out: Path) -> list[Path]:
    """DIR for one problem, DIR/<name> for several; equal names are told apart by numbers."""
    if len(problems) == 1:
        return [out]
    taken: set[str] = set()
    folders = []
    for problem in problems:
        base = re.sub(r"[^\w.-]+", "-", problem.name or "").strip("-.")[:80].encode()[:200].decode(errors="ignore")
        base = base or "problem"
        candidates = [base, *(f"{base}-{k}" for k in range(2, len(problems) + 1))]
        name = next(n for n in candidates if n.lower() not in taken)
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
        else:
            with tempfile.TemporaryFile(dir=there):
                pass
    except OSError as failed:
        reason = failed.strerror or str(failed)
    except ValueError as failed:  # a null character, with a typer that lets it pass
        reason = str(failed)
    if reason is not None:
        raise ProblemError(f"--out must be a directory that can be written to, got {brief(str(folder))} ({reason})")


if __name__ == "__main__":
    sys.exit(main())
