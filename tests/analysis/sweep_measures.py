"""A sweep, measures that its tests send to other processes, and an executor that needs none."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import mpmath

import symflow as sf

STEPS = [f"1/{k}" for k in range(4, 14)]


def base() -> sf.Problem:
    return sf.Problem(
        network={"widths": [1, 1, 1], "activation": "linear"},
        data={"x": [[1]], "y": [[1]]},
        init={"theta": ["1/2", "1/3"]},
        run={"horizon": "2", "dps": 20},
    )


class Serial(Executor):
    """Runs each task when it is submitted, and counts them."""

    def __init__(self) -> None:
        self.submitted = 0

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.submitted += 1
        future: Future[Any] = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def final_weight(problem: sf.Problem) -> dict[str, Any]:
    """The first weight after descent, with all digits."""
    assert problem.horizon is not None
    assert problem.step_size is not None
    run = sf.descend(problem, steps=int(problem.horizon / problem.step_size), dps=problem.dps)
    return {"final_weight": run.iterates[-1][0], "steps": run.indices[-1]}


def in_float64(problem: sf.Problem) -> dict[str, Any]:
    """The first entry of the gradient in float64, which needs JAX."""
    slope = sf.to_jax(sf.gradient(problem.objective))
    return {"first_slope": float(slope([float(v) for v in problem.theta0])[0])}


def slow(problem: sf.Problem, log: str, seconds: float) -> dict[str, Any]:
    """The same, after it has noted who began it, and slept unless a file "hurry" is next to the log."""
    with Path(log).open("a") as file:
        file.write(f"{os.getpid()} {problem.step_size} {problem.theta0[0]}\n")
    if not Path(log).with_name("hurry").exists():
        time.sleep(seconds)
    return final_weight(problem)


def deadly(problem: sf.Problem, victims: tuple[str, ...], spare: str) -> dict[str, Any]:
    """Kills the process, as the kernel does when memory runs out, at some step sizes, until `spare` exists."""
    if str(problem.step_size) in victims and not Path(spare).exists():
        os.kill(os.getpid(), signal.SIGKILL)
    return final_weight(problem)


def once_deadly(problem: sf.Problem, spare: str) -> dict[str, Any]:
    """Kills the first process that comes here."""
    if not Path(spare).exists():
        Path(spare).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return final_weight(problem)


def faulty(problem: sf.Problem) -> dict[str, Any]:
    """A measure with an error of its own, one that symflow raises, and values of all kinds."""
    step = str(problem.step_size)
    if step == "1/2":
        raise ZeroDivisionError("division\nby zero")
    if step == "1/3":
        raise sf.ComputationError("too hard; try less")
    if step == "1/5":
        return {"anything": object()}
    return {
        "whole": 7, "flag": True, "real": 0.1, "infinite": float("inf"), "exact": problem.step_size, "word": "yes",
        "nothing": None, "mpf": mpmath.mpf(2) / 3, "large": 2**70, "mixed": 1 if step == "1/4" else 2.5,
    }  # fmt: skip
