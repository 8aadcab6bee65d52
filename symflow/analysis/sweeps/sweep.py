"""Sweeps with many digits: any executor, one file a task, nothing lost and nothing computed twice."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from symflow.analysis.sweeps import execute, table
from symflow.analysis.sweeps.axes import Axes, Start, axes_of, check_run, starts, with_method
from symflow.analysis.sweeps.measure import BOUNDS, bounds_named, by_id, columns
from symflow.analysis.sweeps.task import Measure, Task, describe, describe_measure, read_result, write_result
from symflow.analysis.sweeps.values import encode
from symflow.displays import displayed, show
from symflow.dynamics.method import Method
from symflow.errors import ProblemError, brief
from symflow.evaluate.threads import usable_cores
from symflow.numbers.arguments import whole
from symflow.numbers.decimal import counted
from symflow.numbers.rational import text
from symflow.numbers.types import JsonObject, Number
from symflow.problem import Problem
from symflow.problem.arguments import as_problem
from symflow.progress import Reporter, Wanted, reporting
from symflow.versions import versions

CHEAPER = "sf.sweep_float64, fewer digits (dps=...), a shorter horizon, fewer bounds (bounds=...)"

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes as Picture

FORMAT = "symflow sweep 1"


@displayed
@dataclass(frozen=True, eq=False)
class Sweep:
    """The results of a sweep, one row per task.

    Attributes:
        rows: stored values, in the order of the axes (architecture, seed, scale, step size).
        kinds: column -> kind of its values: int, bool, float (float64), text, decimal (an mpmath number as text with
            all its digits), rational (exact, as text).
        about: metadata of the table: format, date, versions, base problem, axes, what was measured.
        computed: how many tasks were computed now.
        reused: how many were found in the folder.

    Example:
        >>> import tempfile
        >>> from concurrent.futures import ThreadPoolExecutor
        >>> problem = sf.Problem(network=sf.FullyConnected((1, 1)), data={"x": [1], "y": [1]}, init={"theta": [0]})
        >>> with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as executor:
        ...     result = sf.sweep(problem, folder=folder, step_size=["1/10", "1/20"], horizon=1, dps=15,
        ...                       executor=executor)
        >>> list(result.table["step_size"]), list(result.table["status"]), result.computed
        (['1/10', '1/20'], ['done', 'done'], 2)
    """

    rows: tuple[Mapping[str, object], ...]
    kinds: Mapping[str, str]
    about: Mapping[str, object]
    computed: int
    reused: int

    @cached_property
    def table(self) -> pandas.DataFrame:
        """The rows as a pandas table: multiprecision numbers as decimal text, rationals as text, nullable types."""
        return table.data_frame(self.rows, self.kinds, self.about)

    def floats(self) -> pandas.DataFrame:
        """The table with all numbers in float64, for plots and further computation."""
        return table.floats(self.table)

    @property
    def failed(self) -> pandas.DataFrame:
        """The rows without a result: their workers died, or an unexpected error occurred; run the sweep again."""
        return self.table[self.table["status"].str.startswith("failed")]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the table as Parquet, with `about` and `kinds` as its metadata; atomically, so never half a file.

        Args:
            path: the file.

        Raises:
            ProblemError: the file cannot be written.
        """
        table.save(self.table, path)

    def plot(self, ax: Picture | None = None) -> Picture:
        """Plots the largest deviations against the first axis that varies, on logarithmic scales."""
        drawn: Picture = show(self, "plot", ax)
        return drawn

    def __repr__(self) -> str:
        counts = Counter(str(row["status"]) for row in self.rows)
        listed = ", ".join(f"{count} {status}" for status, count in counts.most_common())
        return (
            f"<Sweep of {counted(len(self.rows), 'task')}: {listed}; {self.computed} computed now, {self.reused} found>"
        )


def sweep(
    base: Problem,
    *,
    folder: str | os.PathLike[str],
    step_size: Number | Iterable[Number] | None = None,
    seed: int | Iterable[int] | None = None,
    depth: int | Iterable[int] | None = None,
    width: int | Iterable[int] | None = None,
    scale: Number | Iterable[Number] | None = None,
    scheme: str | None = None,
    horizon: Number | None = None,
    dps: int | None = None,
    method: Method | None = None,
    bounds: Sequence[str] = BOUNDS,
    measure: Measure | None = None,
    executor: Executor | None = None,
    workers: int | None = None,
    progress: Wanted = None,
) -> Sweep:
    """||theta_k - theta(k eta)|| on every problem of a grid, with many digits.

    Each axis takes one value or several, and is that of the base problem where it is left out. Each task's result is
    one file in the folder, written by the worker that computed it and named by the SHA-256 of the exact problem, what
    is measured and symflow's version: a result that exists is not computed again, and what was done before an
    interruption (of the client, a worker or the machine) is kept.

    Flows that stop and descent that diverges are rows, with `status` "stopped: ..." and the reason. Tasks that fail
    otherwise have the status "failed: ..." and no file, so that the next call tries them again.

    Args:
        base: data, loss and whatever is not varied.
        folder: where results are kept; created if missing. Workers on other machines must see it, too (where they do
            not, this process writes what they send).
        step_size: eta (text, a rational or mpmath number, or a float, which means its shortest decimal).
        seed: of the initialization.
        depth: n >= 1, the number of weight layers.
        width: of all hidden layers; a network of one layer has no hidden layers, and is one task whatever the width.
        scale: of the initialization, as its scheme defines it; theta(0) is multiplied by it where the base problem's
            is given, not drawn.
        scheme: "gaussian", "xavier" or "balanced"; the base problem's own if left out. Needed to vary seed, depth or
            width where the base problem's theta(0) is given.
        horizon: final time; the base problem's own if left out.
        dps: digits; the base problem's own if left out.
        method: of descent, which is compared with its own flow of order 0; the base problem's own if left out.
        bounds: names of `sf.known_bounds()`, ids or slugs, to evaluate at the end of each run.
        measure: a function of your own, problem -> {column: value}, instead of `measure_deviation`; values are int,
            float, bool, text, `Fraction`, `Decimal`, mpmath numbers or None. It must be picklable, and may raise
            symflow's errors; `problem` carries step size, horizon and dps.
        executor: any `concurrent.futures.Executor`, such as a Dask client's `get_executor()`; it is left open. A pool
            of processes must start them afresh ("spawn" or "forkserver"), not fork them while JAX is running. A pool
            on this machine if left out.
        workers: how many processes that pool has; one per core if left out.
        progress: True for a bar, or a function of a `Progress`, the fraction of the tasks that is done from 0 to 1.

    Returns:
        A `Sweep`: one row per problem; `table` is a pandas table with multiprecision numbers as decimal text,
        `floats()` has them in float64.

    Raises:
        ProblemError: an argument that is not valid.
        ComputationError: pandas or pyarrow is missing, worker processes die at their start, or the executor would fork
            this process while JAX is running.

    Example:
        >>> import tempfile
        >>> from concurrent.futures import ThreadPoolExecutor
        >>> problem = sf.Problem(network=sf.FullyConnected((1, 1)), data={"x": [1], "y": [1]}, init={"theta": [0]})
        >>> with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as executor:
        ...     result = sf.sweep(problem, folder=folder, step_size=["1/10", "1/20"], horizon=1, dps=15,
        ...                       executor=executor)
        >>> print(result.floats()[["step_size", "max_deviation", "R22_ratio"]].round(4).to_string(index=False))
         step_size  max_deviation  R22_ratio
               0.1         0.0192     1.0336
              0.05         0.0094     1.0167
    """
    table.require_pandas()
    workers = _check_executor(executor, workers, measure)
    if measure is None:
        bounds_named(bounds)
    bounds = by_id(bounds)
    if dps is not None:
        base = as_problem(base, "a sweep").replace(dps=dps)
    if method is not None:
        base = with_method(base, method)
    axes = axes_of(base, step_size=step_size, seed=seed, depth=depth, width=width, scale=scale, scheme=scheme)
    end, etas = check_run(base, axes, horizon)
    measured = describe_measure(measure, bounds)
    tasks = _tasks(base, axes, etas, end, measured)
    place = _folder(folder)
    found = {t.key: done for t in tasks if (done := read_result(place, t.key, t.description)) is not None}
    outcomes: dict[str, execute.Outcome] = dict(found)
    missing = [t for t in tasks if t.key not in found]

    def told(report: Reporter, task: Task, outcome: execute.Outcome) -> None:
        if isinstance(outcome, execute.Failed):  # perhaps after its file was written
            outcome = read_result(place, task.key, task.description) or outcome
        elif read_result(place, task.key, task.description) is None:  # the worker does not see the folder
            write_result(place, task.key, task.description, outcome)
        outcomes[task.key] = outcome
        report(len(outcomes) / len(tasks), len(outcomes))

    job = execute.Job(place, measure)
    with reporting(progress, "sweep", CHEAPER) as all_work:
        report = all_work.part(0, 1, unit="task")
        report(len(outcomes) / len(tasks), len(outcomes))
        if executor is not None:
            execute.run_with(executor, job, missing, partial(told, report))
        else:
            execute.run_locally(workers, job, missing, partial(told, report))
    rows = tuple(_row(task, outcomes[task.key]) for task in tasks)
    declared = columns(bounds) if measure is None else {}
    about = about_sweep(FORMAT, base, axes, etas, end) | {"measure": measured}
    return Sweep(rows, table.kinds_of(rows, declared), about, len(missing), len(found))


def about_sweep(kind: str, base: Problem, axes: Axes, etas: Sequence[Fraction], horizon: Fraction) -> JsonObject:
    """What a table says of itself; plain enough for JSON."""
    varied = {name: getattr(axes, name) for name in ("seed", "depth", "width", "scale")} | {"step_size": tuple(etas)}
    return {
        "format": kind,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
        "base": base.to_dict(),
        "axes": {name: [None if v is None else text(Fraction(v)) for v in values] for name, values in varied.items()},
        "scheme": axes.scheme,
        "horizon": text(horizon),
    }


def coordinates(eta: Fraction, start: Start, horizon: Fraction, dps: int | None) -> JsonObject:
    """How a row begins."""
    settings = {"horizon": horizon, "dps": dps, "parameters": len(start.problem.theta0)}
    return {name: encode(value) for name, value in ({"step_size": eta} | dict(start.coordinates) | settings).items()}


def _tasks(base: Problem, axes: Axes, etas: Sequence[Fraction], horizon: Fraction, measured: JsonObject) -> list[Task]:
    """All tasks; equal ones once."""
    tasks: dict[str, Task] = {}
    for start in starts(base, axes):
        for eta in etas:
            problem = start.problem.replace(horizon=horizon, step_size=eta)
            task = Task(coordinates(eta, start, horizon, problem.dps), describe(problem, measured))
            tasks.setdefault(task.key, task)
    return list(tasks.values())


def _row(task: Task, outcome: execute.Outcome) -> JsonObject:
    if isinstance(outcome, execute.Failed):
        outcome = {"status": f"failed: {outcome.error}", "reason": outcome.message}
    return {**task.coordinates, **outcome, "key": task.key}


def _check_executor(executor: Executor | None, workers: int | None, measure: Measure | None) -> int:
    """How many workers the local pool has."""
    if executor is not None:
        if not isinstance(executor, Executor):
            raise ProblemError(
                f"executor must be a concurrent.futures.Executor, got {brief(executor)}; a Dask client gives one by "
                "client.get_executor()"
            )
        if workers is not None:
            raise ProblemError("workers goes with the local pool, got an executor too; leave one of them out")
        return 0
    function = measure.func if isinstance(measure, partial) else measure
    if getattr(function, "__module__", None) == "__main__" and not hasattr(sys.modules["__main__"], "__file__"):
        raise ProblemError(
            "measure is defined in an interactive session, where worker processes do not find it; put it into a module "
            "(a .py file), or give an executor that sends functions whole, such as a Dask client's get_executor()"
        )
    return usable_cores() if workers is None else whole(workers, "workers", 1, 1024)


def _folder(folder: str | os.PathLike[str]) -> Path:
    """The folder, made where it is missing; absolute, since workers may be elsewhere."""
    try:
        place = Path(os.fsdecode(folder)).absolute()
        place.mkdir(parents=True, exist_ok=True)
    except TypeError:
        raise ProblemError(f"folder must be the name of a directory, got {brief(folder)}") from None
    except (OSError, ValueError) as failed:
        why = getattr(failed, "strerror", None) or failed
        raise ProblemError(
            f"folder must be a directory that can be written to, got {brief(str(folder))} ({why})"
        ) from None
    return place
