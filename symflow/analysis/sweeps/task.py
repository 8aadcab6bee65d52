"""One task of a sweep: what it is, the file that holds its result, and the function that workers run."""

from __future__ import annotations

import hashlib
import inspect
import json
import pickle
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from symflow.analysis.sweeps.values import encode
from symflow.errors import ComputationError, DescentDiverged, FlowStopped, JaxUnavailable, ProblemError, brief
from symflow.files import write_atomically
from symflow.numbers.types import JsonObject
from symflow.problem import Problem
from symflow.versions import __version__, versions, versions_text

FORMAT = "symflow sweep task 1"
Measure = Callable[[Problem], Mapping[str, object]]
OWN_COLUMNS = ("status", "reason", "stop_time", "seconds", "versions")
"""What a result holds in addition to what was measured."""
_one_at_a_time = threading.Lock()
"""mpmath's and FLINT's precision belong to the process: threads of one wait for each other."""


@dataclass(frozen=True)
class Task:
    """One problem of a sweep.

    Attributes:
        coordinates: where it lies in the sweep, as a row of the table begins.
        description: canonical JSON of all that its result depends on: the problem with every number exact, what is
            measured, and the version of symflow.
    """

    coordinates: Mapping[str, object]
    description: str

    @property
    def key(self) -> str:
        """SHA-256 of the description, in hexadecimal; the name of the file."""
        return hashlib.sha256(self.description.encode()).hexdigest()


def canonical(data: object) -> str:
    """JSON that is the same text for the same data."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)


def describe(problem: Problem, measure: Mapping[str, object]) -> str:
    """The description of a task; the problem's name is not part of it."""
    tables = {key: table for key, table in problem.to_dict().items() if key != "name"}
    return canonical({"format": FORMAT, "symflow": __version__, "problem": tables, "measure": measure})


def describe_measure(measure: Measure | None, bounds: Sequence[str]) -> JsonObject:
    """What is measured: the bounds of `measure_deviation`, or name and digest of a function of one's own.

    The digest is that of its pickle and, where there is one, of its source text, so that a function that was changed
    is computed anew (what it calls is not looked at).

    Raises:
        ProblemError: the function cannot be sent to another process.
    """
    if measure is None:
        return {"name": "deviation", "bounds": list(bounds)}
    if not callable(measure):
        raise ProblemError(f"measure must be a function of a problem, got {brief(measure)}")
    try:
        sent = pickle.dumps(measure)
    except Exception as refused:
        raise ProblemError(
            f"measure must be a function that can be pickled, got {brief(measure)} ({refused}); define it at the top "
            "level of a module"
        ) from None
    function = measure.func if isinstance(measure, partial) else measure
    try:
        source = inspect.getsource(function)
    except (OSError, TypeError):
        source = ""
    name = f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', type(function).__qualname__)}"
    return {"function": name, "sha256": hashlib.sha256(sent + source.encode()).hexdigest()}


def file_of(folder: Path, key: str) -> Path:
    """Where the result of a task is kept."""
    return folder / f"{key}.json"


def read_result(folder: Path, key: str, description: str) -> JsonObject | None:
    """The stored result of a task; None where there is none, or the file is damaged or of another task."""
    try:
        data = json.loads(file_of(folder, key).read_bytes())
        found = data["result"]
        right = data["sha256"] == _digest(found) and canonical(data["task"]) == description
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if right else None


def write_result(folder: Path, key: str, description: str, result: Mapping[str, object]) -> None:
    """Stores the result of a task; the file appears whole or not at all."""
    data = {
        "format": FORMAT,
        "task": json.loads(description),
        "result": result,
        "sha256": _digest(result),
        "versions": versions(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_atomically(file_of(folder, key), (json.dumps(data, indent=1) + "\n").encode())


def _digest(result: object) -> str:
    return hashlib.sha256(canonical(result).encode()).hexdigest()


def compute(key: str, description: str, folder: str, measure: Measure | None) -> JsonObject:
    """What workers run: the result of a task, from its file if that is there by now, else computed and stored.

    A flow that stops, descent that diverges and whatever else cannot be computed are results; other errors are not,
    and leave no file.
    """
    place = Path(folder)
    with _one_at_a_time:
        found = read_result(place, key, description)
        if found is None:
            found = _measured(description, measure)
            write_result(place, key, description, found)
        return found


def _measured(description: str, measure: Measure | None) -> JsonObject:
    told = json.loads(description)
    if measure is None:  # imported here: a function of one's own may need much less
        from symflow.analysis.sweeps.measure import measure_deviation

        measure = partial(measure_deviation, bounds=tuple(told["measure"]["bounds"]))
    problem = _problem(told["problem"])
    started = time.perf_counter()
    status, reason, stop_time, values = "done", None, None, {}
    try:
        values = {str(name): encode(value) for name, value in measure(problem).items()}
    except FlowStopped as stopped:
        if stopped.cause == "time-limit":  # which says something about the machine
            raise
        status, reason, stop_time = f"stopped: {stopped.cause}", str(stopped), encode(stopped.time)
    except DescentDiverged as diverged:
        status, reason = "stopped: diverged", str(diverged)
    except JaxUnavailable:  # which says something about the worker
        raise
    except (ComputationError, np.linalg.LinAlgError) as failed:  # the latter: a spectrum beyond float64
        status, reason = "stopped: not computable", str(failed)
    taken = set(values) & set(OWN_COLUMNS)
    if taken:
        raise ProblemError(f"measure must not use the names {', '.join(OWN_COLUMNS)}, got {sorted(taken)[0]}")
    seconds = encode(round(time.perf_counter() - started, 6))
    own = {"status": status, "reason": reason, "stop_time": stop_time}
    return own | values | {"seconds": seconds, "versions": versions_text()}


def _problem(tables: JsonObject) -> Problem:
    """The problem of a task, on the objective of an earlier one of the same architecture where there was one."""
    shared = canonical({key: tables[key] for key in ("network", "loss", "data", "descent") if key in tables})
    return _architecture(shared).replace(theta0=tables["init"]["theta"], **tables["run"])


@lru_cache(maxsize=8)
def _architecture(tables: str) -> Problem:
    return Problem(**json.loads(tables), init={"scheme": "xavier"})
