"""Tasks through an executor: the local pool with its remedies for workers that die, or the caller's own."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from symflow.analysis.sweeps.task import Measure, Task, compute
from symflow.analysis.sweeps.workers import prepare
from symflow.errors import ComputationError, JaxUnavailable
from symflow.evaluate.jax_runtime import SPAWN, jax_runs
from symflow.numbers.types import JsonObject

POOLS = 2
"""How many pools of all workers are tried before tasks run one by one, which shows the task that kills its worker."""


@dataclass(frozen=True)
class Failed:
    """A task that has no result.

    Attributes:
        error: the type of what went wrong.
        message: in one line.
    """

    error: str
    message: str


Outcome = JsonObject | Failed
Told = Callable[[Task, Outcome], None]


@dataclass(frozen=True)
class Job:
    """What all tasks of a sweep share.

    Attributes:
        folder: where results are kept.
        measure: the function to compute; None for `measure_deviation`.
    """

    folder: Path
    measure: Measure | None

    def submit(self, executor: Executor, task: Task) -> Future[JsonObject]:
        """Hands a task to an executor."""
        return executor.submit(compute, task.key, task.description, str(self.folder), self.measure)


def run_with(executor: Executor, job: Job, tasks: Sequence[Task], told: Told) -> None:
    """Runs tasks through the caller's executor, which is left open.

    Args:
        executor: any.
        job: what they share.
        tasks: what to run.
        told: told each outcome as it comes.

    Raises:
        ComputationError: it would fork while JAX is running.
    """
    if tasks:
        _check_fork(executor)
    for task in _collect(executor, job, tasks, told):
        told(task, Failed("BrokenExecutor", "the executor broke before the task was done; run the sweep again"))


def _check_fork(executor: Executor) -> None:
    """Refuses a pool that is about to fork a process in which JAX is running: its workers would wait forever.

    Workers that were forked before JAX started are safe. What this check misses is found in the worker
    (`runtime.check_runtime`).

    Raises:
        ComputationError: with the pool to take instead.
    """
    context = getattr(executor, "_mp_context", None) or getattr(executor, "_context", None)  # Python's pool, loky's
    method = getattr(context, "get_start_method", lambda: None)()
    if method == "fork" and jax_runs() and not getattr(executor, "_processes", None):
        raise ComputationError(
            "executor must not fork this process, in which JAX is running (its workers would wait forever), got a "
            f"{type(executor).__name__} with the start method fork; give {SPAWN}, or leave executor out"
        )


def run_locally(workers: int, job: Job, tasks: Sequence[Task], told: Told) -> None:
    """Runs tasks through processes of this machine.

    A worker that dies (as when memory runs out) breaks Python's pool: the missing tasks go to a fresh one, and after
    two to workers of their own.

    Raises:
        ComputationError: workers cannot start, or JAX cannot start in them.
    """

    def told_of(task: Task, outcome: Outcome) -> None:
        if isinstance(outcome, Failed) and outcome.error == JaxUnavailable.__name__:  # in the others, too
            raise ComputationError(outcome.message)
        told(task, outcome)

    missing = list(tasks)
    for _ in range(POOLS):
        if missing:
            with local_pool(min(workers, len(missing))) as pool:
                missing = _collect(pool, job, missing, told_of)
            if missing:
                _check_start()
    while missing:
        with local_pool(1) as pool:
            while missing:
                task = missing.pop(0)
                if _collect(pool, job, [task], told_of):
                    message = "the worker died three times, the last time with this task alone; memory may be short"
                    told(task, Failed("BrokenProcessPool", message))
                    break


def _check_start() -> None:
    """Whether a worker can do anything at all.

    Raises:
        ComputationError: it cannot.
    """
    with local_pool(1) as pool:
        try:
            pool.submit(os.getpid).result()
        except BrokenExecutor:
            raise ComputationError(
                "the worker processes of a sweep cannot start; a script must call it under "
                '`if __name__ == "__main__":`, since they read the script, too'
            ) from None


def _collect(executor: Executor, job: Job, tasks: Sequence[Task], told: Told) -> list[Task]:
    """Runs tasks and returns those that a broken executor did not get to."""
    futures: dict[Future[JsonObject], Task] = {}
    lost: list[Task] = []
    try:
        for position, task in enumerate(tasks):
            try:
                futures[job.submit(executor, task)] = task
            except BrokenExecutor:
                lost += tasks[position:]
                break
            except RuntimeError as refused:  # shut down
                raise ComputationError(f"the executor takes no tasks ({refused}); give one that is open") from None
        for future in as_completed(futures):
            task = futures[future]
            outcome: Outcome
            try:
                outcome = future.result()
            except BrokenExecutor:
                lost.append(task)
                continue
            except CancelledError:
                outcome = Failed("CancelledError", "the executor cancelled the task")
            except Exception as error:
                outcome = Failed(type(error).__name__, " ".join(str(error).split()))
            told(task, outcome)
    except BaseException:
        for future in futures:
            future.cancel()
        raise
    return lost


@contextmanager
def local_pool(workers: int) -> Iterator[Executor]:
    """A pool of fresh processes that ends with the block, at once where the block ends with an exception."""
    context = multiprocessing.get_context("spawn")
    leash, held = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=prepare, initargs=(leash,))
    try:
        yield pool
    except BaseException:
        held.close()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        held.close()
        leash.close()
