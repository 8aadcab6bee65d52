"""Workers and clients that are killed: nothing is lost, nothing that was done is computed twice."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pandas
import pytest
from sweep_measures import STEPS, Serial, base, deadly, in_float64, once_deadly, slow

import symflow as sf
from symflow.evaluate import jax_runtime as runtime
from symflow.evaluate.threads import usable_cores


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def runs(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


def files(folder: Path) -> dict[str, tuple[int, int]]:
    """The results in a folder: name -> inode and time of writing, both new where a file was written again."""
    found = {file.name: file.stat() for file in sorted(folder.glob("*.json"))}
    return {name: (s.st_ino, s.st_mtime_ns) for name, s in found.items()}


def same_results(a: pandas.DataFrame, b: pandas.DataFrame) -> None:
    pandas.testing.assert_frame_equal(a.drop(columns="seconds"), b.drop(columns="seconds"))


def begun(log: Path) -> Counter[str]:
    """How often each step size was begun."""
    return Counter(line.split()[1] for line in log.read_text().splitlines())


# A real Dask cluster ------------------------------------------------------------------------------------------------


@contextmanager
def dask_cluster() -> Iterator[Any]:
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        yield client


def test_a_dask_worker_is_killed_midway(tmp_path: Path) -> None:
    log, folder = tmp_path / "log", tmp_path / "tasks"
    measure = partial(slow, log=str(log), seconds=0.25)
    killed: list[int] = []

    def kill_one(done: float) -> None:
        """Kills the worker that began last, once three tasks are done."""
        if done >= 0.3 and not killed:
            killed.append(int(log.read_text().splitlines()[-1].split()[0]))
            os.kill(killed[0], signal.SIGKILL)

    with dask_cluster() as client:
        workers = set(client.run(os.getpid).values())
        assert len(workers) == 2
        executor = client.get_executor()
        found = sf.sweep(base(), step_size=STEPS, folder=folder, measure=measure, executor=executor, progress=kill_one)
        assert killed[0] in workers
        assert executor.submit(abs, -3).result(timeout=30) == 3  # it is left open
        before = files(folder)
        again = sf.sweep(base(), step_size=STEPS, folder=folder, measure=measure, executor=executor)
    assert set(found.table.status) == {"done"}
    assert (found.computed, again.computed) == (10, 0)
    assert sorted(before) == sorted(f"{key}.json" for key in found.table.key)  # each task has its file, and no other
    assert files(folder) == before
    counts = begun(log)
    assert set(counts) == set(STEPS)
    assert 10 <= counts.total() <= 11  # what the killed worker was at, and nothing else, may have been begun twice
    (tmp_path / "hurry").touch()
    serial = sf.sweep(base(), step_size=STEPS, folder=tmp_path / "serial", measure=measure, executor=Serial())
    same_results(found.table, serial.table)


# The local pool -----------------------------------------------------------------------------------------------------


@pytest.mark.thorough
def test_a_pool_that_breaks_is_replaced(tmp_path: Path) -> None:
    """A worker is killed once; the tasks that were lost with its pool are run by the next one."""
    found = sf.sweep(
        base(), step_size=STEPS[:4], folder=tmp_path / "tasks", workers=1,
        measure=partial(once_deadly, spare=str(tmp_path / "spare")),
    )  # fmt: skip
    assert set(found.table.status) == {"done"}
    assert multiprocessing.active_children() == []


def test_the_task_that_kills_its_workers_is_found(tmp_path: Path) -> None:
    spare = tmp_path / "spare"
    measure = partial(deadly, victims=("1/5",), spare=str(spare))
    settings = {"step_size": STEPS[:4], "folder": tmp_path / "tasks", "measure": measure}
    found = sf.sweep(base(), workers=1, **settings)
    assert list(found.table.status) == ["done", "failed: BrokenProcessPool", "done", "done"]
    assert "worker died" in found.failed.reason.iloc[0]
    spare.touch()  # say, more memory
    again = sf.sweep(base(), executor=Serial(), **settings)
    assert (again.computed, again.reused) == (1, 3)
    assert set(again.table.status) == {"done"}


SCRIPT = """
import sys
from functools import partial
import symflow as sf
sys.path[:0] = {path!r}
from sweep_measures import STEPS, base, slow

if __name__ == "__main__":
    measure = partial(slow, log={log!r}, seconds=0.4)
    sf.sweep(base(), step_size=STEPS, folder={folder!r}, measure=measure, workers=2)
    print("done")
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.thorough)])
def test_the_client_is_killed(tmp_path: Path, number: signal.Signals) -> None:
    log, folder = tmp_path / "log", tmp_path / "tasks"
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(path=[str(Path(__file__).parent)], log=str(log), folder=str(folder)))
    client = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: len(files(folder)) >= 3)
    client.send_signal(number)
    out, err = client.communicate(timeout=30)
    assert (client.returncode, out) == (-number, "")
    workers = {int(line.split()[0]) for line in log.read_text().splitlines()}
    assert 1 <= len(workers) <= 2
    wait_for(lambda: not any(map(runs, workers)), 10)  # they go with it
    if number == signal.SIGINT:
        assert err.count("Traceback") == err.count("KeyboardInterrupt") == 1  # workers say nothing
    before = files(folder)
    assert 3 <= len(before) < len(STEPS)
    executor = Serial()
    measure = partial(slow, log=str(log), seconds=0.4)
    (tmp_path / "hurry").touch()
    found = sf.sweep(base(), step_size=STEPS, folder=folder, measure=measure, executor=executor)
    assert (found.reused, executor.submitted) == (len(before), len(STEPS) - len(before))
    assert set(found.table.status) == {"done"}
    assert before.items() <= files(folder).items()  # none was written again
    assert begun(log).total() <= len(STEPS) + 2  # only what two workers were at was begun again


@pytest.mark.thorough
def test_a_script_without_a_guard_is_told_so(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    text = SCRIPT.format(path=[str(Path(__file__).parent)], log=str(tmp_path / "log"), folder=str(tmp_path / "tasks"))
    script.write_text(text.replace('if __name__ == "__main__":', "if True:").replace("workers=2", "workers=1"))
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert '`if __name__ == "__main__":`' in done.stderr.splitlines()[-1]


def test_an_executor_that_is_closed(tmp_path: Path) -> None:
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    with pytest.raises(sf.ComputationError, match="takes no tasks"):
        sf.sweep(base(), step_size=STEPS, folder=tmp_path, executor=executor)


class Early(Serial):
    """A pool whose workers were forked before."""

    _mp_context = multiprocessing.get_context("fork")
    _processes = (1,)


def test_a_pool_that_would_fork_a_running_jax_is_refused(tmp_path: Path) -> None:
    """At once, and with the remedy; pools that start afresh, and those whose workers are there, are taken."""
    in_float64(base().replace(step_size="1/4"))  # JAX is running
    settings: dict[str, Any] = {"step_size": STEPS[:1], "folder": tmp_path}
    fork = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(1, mp_context=fork) as pool:
        with pytest.raises(sf.ComputationError, match=r'start method fork; give .*get_context\("spawn"\)') as caught:
            sf.sweep(base(), executor=pool, **settings)
        assert "\n" not in str(caught.value)
        assert not list(tmp_path.iterdir())
        sf.sweep(base(), executor=Early(), **settings)
        assert sf.sweep(base(), executor=pool, **settings).reused == 1  # nothing is left to do
    with ThreadPoolExecutor(1) as threads:
        found = sf.sweep(base(), executor=threads, step_size=STEPS[1:2], folder=tmp_path)
    assert list(found.table.status) == ["done"]


def test_a_worker_that_was_forked_from_a_running_jax_leaves_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a worker says so; that is nothing about the problem, so that another one tries it again."""
    monkeypatch.setattr(runtime._Ancestry, "forked", True)
    found = sf.sweep(base(), executor=Serial(), step_size=STEPS[:1], folder=tmp_path, measure=in_float64)
    assert list(found.table.status) == ["failed: JaxUnavailable"]
    assert not list(tmp_path.iterdir())


def test_workers_in_which_jax_cannot_start_end_the_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong with the environment is nothing about the problem: it is told once, and nothing is kept."""
    monkeypatch.setenv("JAX_PLATFORMS", "nonsense")
    with pytest.raises(sf.ComputationError, match="JAX cannot start with JAX_PLATFORMS='nonsense'"):
        sf.sweep(base(), step_size=STEPS[:1], folder=tmp_path, workers=1, measure=in_float64)
    assert not list(tmp_path.iterdir())


def test_cores() -> None:
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)
