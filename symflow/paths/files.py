"""Paths in files: JSON with every digit, integers in hexadecimal, float64 arrays as their bytes in base64."""

from __future__ import annotations

import json
import os
from base64 import b64decode, b64encode
from dataclasses import asdict
from fractions import Fraction

import numpy as np
from gmpy2 import mpz

from symflow.dynamics.method import Method
from symflow.dynamics.vector_field import VectorField
from symflow.errors import ComputationError, ProblemError
from symflow.files import shown, write_atomically
from symflow.networks.compact import compact
from symflow.networks.losses import SQUARE
from symflow.networks.matrix_data import matrix_data
from symflow.networks.objective import Objective
from symflow.networks.sensing import objective_of
from symflow.networks.training_loss import network_objective
from symflow.numbers.arguments import positive
from symflow.numbers.rational import rational, rational_array, text
from symflow.numbers.types import JsonObject, Mpf
from symflow.paths.event import Event
from symflow.paths.float64.gated.record import EventCorrectedSteps
from symflow.paths.float64.gated.run import HeldGate
from symflow.paths.float64.methods import EVENT_CORRECTED, SOLVERS
from symflow.paths.float64.record import Float64Stats, RungeKuttaSteps
from symflow.paths.iterates import DescentStats, Iterates
from symflow.paths.path_error import PathError, error_wanted
from symflow.paths.stop_conditions import Stopped
from symflow.paths.taylor.dense import FlowStats, Segment, TaylorSteps, taylor_steps
from symflow.paths.trajectory import Trajectory
from symflow.problem.architecture import architecture, loss_of, loss_table, network_table
from symflow.problem.descent import descent_table, has_file_form, method_of
from symflow.problem.schema import LossSection, NetworkSection, parse_descent
from symflow.problem.table import named_file

FORMAT = "symflow trajectory 1"


def save_trajectory(trajectory: Trajectory, path: str | os.PathLike[str]) -> None:
    """Writes a trajectory, flow or descent, with all its digits; the file appears whole or not at all.

    The network and the data are stored with it; of a stand-alone objective only the trajectory.

    Raises:
        ComputationError: the file cannot be written.
    """
    target = named_file(path, "save")
    content = json.dumps(_to_json(trajectory)).encode()
    try:
        write_atomically(target, content)
    except (OSError, ValueError) as failed:  # ValueError: a null character in the name
        reason = failed.strerror if isinstance(failed, OSError) and failed.strerror else str(failed)
        raise ComputationError(
            f"{shown(target)}: the trajectory cannot be written ({reason}); choose another file or make room"
        ) from failed


def load_trajectory(
    path: str | os.PathLike[str], objective: Objective | VectorField | None = None, method: Method | None = None
) -> Trajectory:
    """Reads the trajectory that `Trajectory.save` wrote, with all its digits.

    Args:
        path: the file.
        objective: what flowed or was minimized, needed for a stand-alone objective or a vector field only.
        method: the method of descent, needed for one of your own only.

    Returns:
        The `Trajectory`; its states and error estimate are the same numbers as when it was saved.

    Raises:
        ProblemError: no such file, not a trajectory, or a missing objective or method.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> problem = sf.Problem(network=sf.FullyConnected((1, 1, 1)), data={"x": [1], "y": [1]},
        ...                      init={"theta": ["1/2", 1]})
        >>> flow = sf.solve_flow(problem, horizon=1, dps=30)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     flow.save(Path(folder) / "flow.npz")
        ...     again = sf.load_trajectory(Path(folder) / "flow.npz")
        >>> bool((again("1/3") == flow("1/3")).all())
        True
    """
    file = named_file(path, "load_trajectory")
    source = shown(file)
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise ProblemError(f"{source}: not a saved trajectory; a file written by trajectory.save is needed")
        return _from_json(data, objective or _objective(data, source), method, source)
    except OSError as error:
        raise ProblemError(f"{source}: cannot be read ({error.strerror})") from None
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError, RecursionError) as error:
        if isinstance(error, ProblemError):
            raise
        raise ProblemError(
            f"{source}: the saved trajectory is damaged ({type(error).__name__}); save it again"
        ) from None


def _hex(value: mpz) -> str:
    return format(mpz(value), "x")


def _integer(value: str) -> mpz:
    return mpz(value, 16)


def _number(value: Fraction | Mpf | None) -> JsonObject | str | None:
    """A `Fraction` as text, an mpf as its exact mantissa and exponent."""
    if value is None:
        return None
    if isinstance(value, Fraction):
        return text(value)
    sign, mantissa, exponent, _ = value._mpf_
    return {"mantissa": ("-" if sign else "") + _hex(mantissa), "exponent": int(exponent)}


def _read_number(value: JsonObject | str | None) -> Fraction | Mpf | None:
    from mpmath import mp
    from mpmath.libmp import from_man_exp

    if value is None:
        return None
    if isinstance(value, str):
        return rational(value, "gate")
    return mp.make_mpf(from_man_exp(_integer(value["mantissa"]), int(value["exponent"])))


def _to_json(trajectory: Trajectory) -> JsonObject:
    moves = trajectory.moves
    network = moves.architecture if isinstance(moves, Objective) and moves.undecayed is None else None
    data: JsonObject = {"format": FORMAT, "network": None}
    if network is not None:
        data["network"] = network_table(network)
        data["loss"] = loss_table(trajectory.objective.sample_loss or SQUARE)
        if trajectory.objective.matrix_data is not None:
            data["matrix_data"] = trajectory.objective.matrix_data.table()
        for x, a in trajectory.objective.data.items() if trajectory.objective.matrix_data is None else ():
            data[x.name] = [[text(q) for q in row] for row in a.reshape(-1, a.shape[-1]).T]
        if trajectory.objective.factor != 1:  # files of 0.1.0 have none
            data["factor"] = text(trajectory.objective.factor)
    data |= {
        **_dense(trajectory),
        "dps": trajectory.dps,
        "error_estimate": _number(trajectory.error_estimate),
        **({} if (error := trajectory.error) is None else {"error_how": error.how, "error_reason": error.reason}),
        "stats": asdict(trajectory.stats),  # type: ignore[call-overload]
        "conditions": list(trajectory.conditions),
        "stopped": _stopped(trajectory.stopped),
        "incomplete": trajectory.incomplete,
        "events": [
            {
                **{"kind": e.kind, "sample": e.sample, "layer": e.layer, "unit": e.unit},
                "time": _number(e.time),
                "gate_before": _number(e.gate_before),
                "gate_after": _number(e.gate_after),
                "radius": _number(e.radius),
            }
            for e in trajectory.events
        ],
    }
    return data


def _dense(trajectory: Trajectory) -> JsonObject:
    if isinstance(trajectory.dense, Iterates):
        return _iterates(trajectory.dense)
    if isinstance(trajectory.dense, RungeKuttaSteps):
        steps = trajectory.dense
        return {"solver": steps.solver, "knots": _bytes(steps.knots), "states": _bytes(steps.states)}
    if isinstance(trajectory.dense, EventCorrectedSteps):
        gated = trajectory.dense
        held = [[[g.unit, g.sample, g.value] for g in gates] for gates in gated.held]
        return {"solver": EVENT_CORRECTED, "knots": _bytes(gated.knots), "states": _bytes(gated.states), "held": held}
    taylor = taylor_steps(trajectory)
    segments = [
        [_hex(s.start), _hex(s.end), s.tau, [[_hex(c) for c in series] for series in s.coefficients]]
        for s in taylor.segments
    ]
    asked = {} if taylor.asked is None else {"asked": text(taylor.asked)}  # files of 0.1.0 do not say
    return {"bits": taylor.bits, "clock": taylor.clock, **asked, "segments": segments}


def _iterates(steps: Iterates) -> JsonObject:
    return {
        "method": descent_table(steps.method) if has_file_form(steps.method) else None,
        "step_size": text(steps.step_size),
        "indices": list(steps.indices),
        "iterates": _numbers(steps.iterates),
        "carried": {name: _numbers(array) for name, array in steps.carried.items()},
        "path": None if steps.path is None else _numbers(steps.path),
    }


def _read_iterates(data: JsonObject, moves: Objective | VectorField, method: Method | None, source: str) -> Iterates:
    if method is None and data["method"] is None:
        raise ProblemError(f"{source}: the descent is by a method of your own; give method=...")
    method = method or method_of(parse_descent(data["method"], source), source)
    indices = tuple(map(int, data["indices"]))
    iterates, carried = _array(data["iterates"]), {name: _array(stored) for name, stored in data["carried"].items()}
    shape = (len(indices), (moves if isinstance(moves, Objective) else moves.objective).parameter_count)
    shapes = dict.fromkeys(method.carries, shape) | dict.fromkeys(method.counts, shape[:1])
    if not indices or indices[0] or sorted(set(indices)) != list(indices) or iterates.shape != shape:
        raise ValueError("not kept steps and their iterates on this objective")
    if {name: a.shape for name, a in carried.items()} != shapes:
        raise ValueError("not what this method carries")
    path = None if data["path"] is None else _array(data["path"])
    step_size = positive(data["step_size"], f"{source}: step_size")
    return Iterates(method, step_size, indices, iterates, carried, data["dps"], path)


def _read_dense(
    data: JsonObject, moves: Objective | VectorField, method: Method | None, source: str
) -> RungeKuttaSteps | EventCorrectedSteps | TaylorSteps | Iterates:
    if "indices" in data:
        return _read_iterates(data, moves, method, source)
    if "solver" in data:
        objective = moves if isinstance(moves, Objective) else moves.objective
        knots, states = _array(data["knots"]), _array(data["states"])
        fits = knots.ndim == 1 and len(knots) and states.shape == (len(knots), objective.parameter_count)
        if fits and data["solver"] == EVENT_CORRECTED and len(data["held"]) == len(knots):
            held = tuple(tuple(HeldGate(int(u), int(i), float(v)) for u, i, v in gates) for gates in data["held"])
            return EventCorrectedSteps(objective, knots, states, held)
        if not fits or data["solver"] not in SOLVERS:
            raise ValueError("not the steps of a known method on this objective")
        return RungeKuttaSteps(compact(objective), data["solver"], knots, states)
    segments = tuple(
        Segment(
            _integer(start), _integer(end), int(tau), tuple([_integer(c) for c in series] for series in coefficients)
        )
        for start, end, tau, coefficients in data["segments"]
    )
    asked = data.get("asked")
    return TaylorSteps(
        segments, int(data["bits"]), int(data["clock"]), None if asked is None else rational(asked, "asked")
    )


def _bytes(array: np.ndarray) -> JsonObject:
    """A float64 array, its bytes in little-endian order."""
    return {"shape": list(array.shape), "float64": b64encode(array.astype("<f8").tobytes()).decode()}


def _numbers(array: np.ndarray) -> JsonObject:
    """An array of float64, mpf or rationals."""
    if array.dtype != object:
        return _bytes(array)
    return {"shape": list(array.shape), "numbers": [_number(v) for v in array.flat]}


def _array(stored: JsonObject) -> np.ndarray:
    """The array; one of float64 is read-only."""
    if "numbers" in stored:
        return np.array([_read_number(v) for v in stored["numbers"]], dtype=object).reshape(stored["shape"])
    return np.frombuffer(b64decode(stored["float64"], validate=True), dtype="<f8").reshape(stored["shape"])


def _stopped(stopped: Stopped | None) -> JsonObject | None:
    if stopped is None:
        return None
    numbers = {"time": _number(stopped.time), "error_estimate": _number(stopped.error_estimate)}
    return {"condition": stopped.condition} | numbers


def _read_stopped(data: JsonObject | None) -> Stopped | None:
    if data is None:
        return None
    return Stopped(data["condition"], _read_number(data["time"]), _read_number(data["error_estimate"]))


def _objective(data: JsonObject, source: str) -> Objective:
    described = data["network"]
    if described is None:
        raise ProblemError(f"{source}: the trajectory is of a stand-alone objective or field; give objective=...")
    network = architecture(NetworkSection.model_validate(described), source)
    factor = rational(data.get("factor", "1"), "factor")
    if "matrix_data" in data:
        return objective_of(network, matrix_data(network, data["matrix_data"], source)).scaled(factor)
    x, y = (rational_array(data[name], ndim=2, where=name) for name in ("X", "Y"))
    objective = network_objective(network, x, y, loss_of(LossSection.model_validate(data["loss"]), source))
    return objective.scaled(factor)


STATS: dict[type, type] = {TaylorSteps: FlowStats, Iterates: DescentStats}
"""The record of how a path was computed, by its dense output; of others that of float64."""


def _from_json(data: JsonObject, moves: Objective | VectorField, method: Method | None, source: str) -> Trajectory:
    events = tuple(
        Event(
            _read_number(e["time"]), e["kind"], e["sample"], e["layer"], e["unit"],
            _read_number(e["gate_before"]), _read_number(e["gate_after"]), _read_number(e.get("radius")),
        )
        for e in data["events"]
    )  # fmt: skip
    dense, error = _read_dense(data, moves, method, source), _read_number(data["error_estimate"])
    how = error_wanted(data.get("error_how") or "estimated") or "estimated"
    return Trajectory(
        moves=moves,
        dense=dense,
        dps=None if data["dps"] is None else int(data["dps"]),
        events=events,
        error=None if error is None else PathError(error, how, data.get("error_reason", "")),
        stats=STATS.get(type(dense), Float64Stats)(**data["stats"]),
        conditions=tuple(data.get("conditions", ())),
        stopped=_read_stopped(data.get("stopped")),
        incomplete=data.get("incomplete", ""),
    )
