"""What an experiment found, and the one file that holds it.

The file is an npz archive: arrays by the keys that `KEYS` documents, and under "metadata" a JSON text with settings,
versions, device, costs and this documentation, so that `numpy.load` and `json.loads` are all it takes to read it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from symflow.analysis.experiments.settings import Settings
from symflow.displays import displayed
from symflow.errors import ProblemError
from symflow.files import read_arrays, write_arrays
from symflow.numbers.rational import text
from symflow.numbers.types import JsonObject
from symflow.problem.descent import descent_table, method_of
from symflow.problem.schema import parse_descent

FORMAT = "symflow experiment 1"
KEYS = {
    "metadata": "this JSON text",
    "<network>/times": "the grid: times t, from 0 to iterations * step_size, shape (S,)",
    "<network>/run/<r>/loss": "training loss of descent at step_size / r at these times, in float64",
    "<network>/run/<r>/from_start": "||theta(t) - theta(0)|| of that run",
    "<network>/run/<r>/from_base": "its distance from the run at step_size (r = 1) at equal time",
    "<network>/run/<r>/from_flow": "its distance from the flow (the run at the tightest tolerance) at equal time",
    "<network>/flow/loss": "training loss of the flow",
    "<network>/flow/from_start": "||theta(t) - theta(0)|| of the flow",
    "<network>/flow/error": "estimated error of the flow: largest distance up to t of the two tightest runs",
    "<network>/flow/rtol=<rtol>": "distance of the flow at that tolerance from that at the tightest",
}
ARRAYS = ("loss", "from_start", "from_base", "from_flow")


@dataclass(frozen=True, eq=False)
class DescentRun:
    """theta_{k+1} = theta_k - (eta_0 / r) grad f(theta_k): one run of gradient descent, on a grid of S times.

    Attributes:
        ratio: r; 1 for the base run.
        iterations: its steps, which is also the number of its gradient evaluations.
        seconds: wall time.
        loss: the training loss on the grid, shape (S,), float64.
        from_start: ||theta(t) - theta(0)||, shape (S,), float64.
        from_base: the distance from the run with r = 1 at equal time, shape (S,), float64.
        from_flow: the distance from the flow at equal time, shape (S,), float64; the flow's own error is not included.
    """

    ratio: int
    iterations: int
    seconds: float
    loss: np.ndarray
    from_start: np.ndarray
    from_base: np.ndarray
    from_flow: np.ndarray


@dataclass(frozen=True, eq=False)
class Tolerance:
    """The flow at one tolerance.

    Attributes:
        rtol: relative tolerance of a step; the absolute one is rtol / 100.
        evaluations: gradient evaluations of the integration.
        reading: further ones to read the states at the grid's times between step ends.
        steps: accepted steps.
        rejected: rejected steps.
        seconds: wall time.
        difference: the distance from the run at the tightest tolerance, shape (S,); 0 for that one itself.
    """

    rtol: float
    evaluations: int
    reading: int
    steps: int
    rejected: int
    seconds: float
    difference: np.ndarray


@dataclass(frozen=True, eq=False)
class Flow:
    """theta' = -grad f(theta): the flow that descent is compared with, on a grid of S times.

    Attributes:
        solver: diffrax's method.
        tolerances: the runs, loosest first; the last is the reference that descent is compared with.
        loss: the training loss of the reference, shape (S,), float64.
        from_start: ||theta(t) - theta(0)||, shape (S,), float64.
        error: estimated error of the reference, shape (S,), float64: the largest distance up to t of the last two runs;
            NaN where they took the same steps throughout.
    """

    solver: str
    tolerances: tuple[Tolerance, ...]
    loss: np.ndarray
    from_start: np.ndarray
    error: np.ndarray


@displayed
@dataclass(frozen=True, eq=False)
class NetworkResult:
    """theta_{k+1} = theta_k - (eta_0 / r) grad f(theta_k) for every ratio r: all runs of one network, and its flow.

    Attributes:
        name: one of "linear", "relu", "conv", "conv-max-pool".
        description: its layers in words.
        parameters: P.
        times: the S times at which runs are compared, shape (S,), float64.
        runs: ratio r -> `DescentRun`, 1 first; its arrays have shape (S,), float64.
        flow: the reference, a `Flow`; its arrays have shape (S,), float64.

    Example:
        >>> result = sf.experiment("linear", samples=10, iterations=2, ratios=[2], tolerances=["1e-4", "1e-6"])
        >>> found = result.networks["linear"]
        >>> found.parameters, found.times.tolist(), list(found.runs)
        (6200, [0.0, 0.001, 0.002], [1, 2])
    """

    name: str
    description: str
    parameters: int
    times: np.ndarray
    runs: Mapping[int, DescentRun]
    flow: Flow


@displayed
@dataclass(frozen=True, eq=False)
class Experiment:
    """||theta_k - theta(k eta)|| on networks of the paper, measured: all runs of an experiment.

    Attributes:
        settings: what was asked for.
        images: the data: name, samples, extents, and a hash of the arrays that were used.
        device: where it was computed, such as "cpu (cpu)" or "gpu (NVIDIA H100 80GB HBM3)".
        versions: of symflow, Python and the libraries.
        date: when it was finished, ISO 8601.
        networks: one `NetworkResult` per name.

    Example:
        >>> result = sf.experiment("linear", samples=10, iterations=2, ratios=[2], tolerances=["1e-4", "1e-6"])
        >>> list(result.networks), result.settings.horizon, result.images["name"]
        (['linear'], Fraction(1, 500), 'digits')
    """

    settings: Settings
    images: Mapping[str, Any]
    device: str
    versions: Mapping[str, str]
    date: str
    networks: Mapping[str, NetworkResult]

    def __repr__(self) -> str:
        names = ", ".join(self.networks)
        return f"<Experiment {names} on {self.settings.samples} {self.images['name']}, {self.device}, {self.date}>"

    def metadata(self) -> JsonObject:
        """Everything but the arrays, as JSON holds it."""
        settings = {f.name: getattr(self.settings, f.name) for f in fields(self.settings)}
        settings |= {"step_size": text(self.settings.step_size), "method": descent_table(self.settings.method)}
        return {
            "format": FORMAT,
            "keys": KEYS,
            "settings": settings,
            "data": dict(self.images),
            "device": self.device,
            "versions": dict(self.versions),
            "date": self.date,
            "networks": {name: _network_metadata(found) for name, found in self.networks.items()},
        }

    def save(self, path: Path) -> None:
        """Writes the one file that holds it, whole or not at all."""
        arrays: dict[str, np.ndarray] = {"metadata": np.array(json.dumps(self.metadata(), indent=1))}
        for name, found in self.networks.items():
            arrays[f"{name}/times"] = found.times
            for ratio, run in found.runs.items():
                arrays |= {f"{name}/run/{ratio}/{key}": getattr(run, key) for key in ARRAYS}
            flow = found.flow
            arrays |= {f"{name}/flow/{key}": getattr(flow, key) for key in ("loss", "from_start", "error")}
            arrays |= {f"{name}/flow/rtol={t.rtol!r}": t.difference for t in flow.tolerances}
        write_arrays(path, arrays)


def _network_metadata(found: NetworkResult) -> JsonObject:
    return {
        "description": found.description,
        "parameters": found.parameters,
        "runs": [{key: getattr(run, key) for key in ("ratio", "iterations", "seconds")} for run in found.runs.values()],
        "flow": {"solver": found.flow.solver, "tolerances": [_scalars(t) for t in found.flow.tolerances]},
    }


def _scalars(tolerance: Tolerance) -> JsonObject:
    return {f.name: getattr(tolerance, f.name) for f in fields(tolerance) if f.name != "difference"}


def load_experiment(path: str | Path) -> Experiment:
    """Reads an experiment that `Experiment.save` (or `symflow experiment`) wrote.

    Args:
        path: the file, such as "experiment.npz".

    Returns:
        The `Experiment`: settings and, by network, the losses and distances of all runs as arrays of shape (S,).

    Raises:
        ProblemError: no such file, or another kind of file.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> result = sf.experiment("linear", samples=10, iterations=2, ratios=[2], tolerances=["1e-4", "1e-6"])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     result.save(Path(folder) / "experiment.npz")
        ...     again = sf.load_experiment(Path(folder) / "experiment.npz")
        >>> again.settings == result.settings, list(again.networks)
        (True, ['linear'])
    """
    try:
        arrays = read_arrays(Path(path))
        data = json.loads(str(arrays["metadata"]))
        if data["format"] != FORMAT:
            raise ValueError(f"its format is {data['format']!r}")
        return _restored(data, arrays)
    except (OSError, ValueError, KeyError, TypeError) as wrong:
        reason = getattr(wrong, "strerror", None) or str(wrong)
        raise ProblemError(
            f"{path}: must be a file that symflow experiment wrote, got none ({reason}); give its experiment.npz"
        ) from None


def _restored(data: JsonObject, arrays: Mapping[str, np.ndarray]) -> Experiment:
    given = data["settings"]
    tuples = {key: None if given[key] is None else tuple(given[key]) for key in ("networks", "ratios", "tolerances")}
    # Files of 0.1.0 have no method.
    method = method_of(parse_descent(given.get("method", {}), "settings"), "settings")
    settings = Settings(**{**given, **tuples, "step_size": Fraction(given["step_size"]), "method": method})
    networks = {}
    for name, entry in data["networks"].items():
        runs = {
            run["ratio"]: DescentRun(**(run | {key: arrays[f"{name}/run/{run['ratio']}/{key}"] for key in ARRAYS}))
            for run in entry["runs"]
        }
        tolerances = tuple(
            Tolerance(**t, difference=arrays[f"{name}/flow/rtol={t['rtol']!r}"]) for t in entry["flow"]["tolerances"]
        )
        series = {key: arrays[f"{name}/flow/{key}"] for key in ("loss", "from_start", "error")}
        flow = Flow(entry["flow"]["solver"], tolerances, **series)
        networks[name] = NetworkResult(
            name, entry["description"], entry["parameters"], arrays[f"{name}/times"], runs, flow
        )
    return Experiment(settings, data["data"], data["device"], data["versions"], data["date"], networks)
