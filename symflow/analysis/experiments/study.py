"""The paper's experiment: descent at several step sizes, the flow, and how far they are apart."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from symflow.analysis.compared_flow import order_zero
from symflow.analysis.experiments.checkpoints import Checkpoint, Say, content_key
from symflow.analysis.experiments.descent import CHUNK_SECONDS, descend_in_chunks, stepper
from symflow.analysis.experiments.images import Images, digits, mnist
from symflow.analysis.experiments.networks import architecture, network_problem
from symflow.analysis.experiments.reference import estimated_error, flow_in_chunks
from symflow.analysis.experiments.reference import method as solver_of
from symflow.analysis.experiments.results import DescentRun, Experiment, Flow, NetworkResult, Tolerance
from symflow.analysis.experiments.settings import RATIOS, Settings, checked_settings
from symflow.dynamics.method import Method
from symflow.errors import ProblemError, brief
from symflow.evaluate.jax import to_jax
from symflow.evaluate.jax_runtime import check_runtime, own_modes
from symflow.numbers.rational import text
from symflow.numbers.types import Number
from symflow.problem import Problem
from symflow.problem.architecture import describe
from symflow.problem.descent import descent_table
from symflow.progress import Reporter, Wanted, reporting
from symflow.versions import versions

RESULT = "experiment.npz"
CHECKPOINTS = "checkpoints"
LIBRARIES = ("jax", "jaxlib", "diffrax", "numpy")

FLOWS = 0.4
"""The share of the work of a network that its flows are taken to be."""
CHEAPER = "fewer iterations, samples or ratios, or looser tolerances; what is done is kept in the folder"


def experiment(
    networks: Sequence[str] | str = ("linear",),
    *,
    data: str | tuple[str | Path, str | Path] = "digits",
    samples: int = 1000,
    iterations: int = 10_000,
    step_size: Number = "1/1000",
    ratios: Sequence[int] = RATIOS,
    seed: int = 0,
    dtype: str = "float64",
    tolerances: Sequence[Number] | None = None,
    method: Method | None = None,
    folder: str | Path | None = None,
    progress: Wanted = None,
    say: Say | None = None,
    chunk_seconds: float = CHUNK_SECONDS,
) -> Experiment:
    """theta_{k+1} = theta_k - (eta_0 / r) grad f(theta_k): descent of the paper's networks, and its distance from flow.

    Full batch, for r = 1 and every ratio, from the same start to the same time; theta' = -grad f(theta) by diffrax at
    several tolerances. Another `method` is compared with its own flow of order 0. The paper takes the run at eta_0 / r
    for the flow; here its distance from the flow is known, up to the error of the flow, which is estimated. Runs on
    JAX's default device.

    Args:
        networks: "linear", "relu", "conv", "conv-max-pool", one or several.
        data: "digits" (scikit-learn's), or the two IDX files of MNIST, images and labels.
        samples: how many images; the first ones of the digits, every 50th of MNIST.
        iterations: steps at eta_0.
        step_size: eta_0 (text, a rational number, or a float, which means its shortest decimal).
        ratios: the r.
        seed: of the initial weights.
        dtype: "float64" or "float32", of descent. Flow, losses and distances are float64.
        tolerances: relative tolerances of the flow, at least two, for the reference and its error; usual ones if left
            out.
        method: of descent, one that problem files know; gradient descent over all samples if left out.
        folder: where `experiment.npz` and the checkpoints are written; runs found there are not made again, and one
            that was killed continues from its last chunk. None keeps nothing.
        progress: True for a bar, or a function of a `Progress`, the fraction that is done from 0 to 1.
        say: called with a message when a checkpoint cannot be used.
        chunk_seconds: wall time between two checkpoints.

    Returns:
        An `Experiment`: by network, losses and distances of all runs as float64 arrays of shape (S,).

    Raises:
        ProblemError: settings that are not valid, or files that are not images.
        ComputationError: descent diverges, or scikit-learn is missing.

    Source: Elkabetz & Cohen 2021, section 6.

    Example:
        >>> result = sf.experiment("linear", samples=10, iterations=2, ratios=[2], tolerances=["1e-4", "1e-6"])
        >>> runs = result.networks["linear"].runs  # at step sizes eta_0 and eta_0/2
        >>> runs[1].iterations, runs[2].iterations
        (2, 4)
        >>> round(float(runs[1].from_flow[-1] / runs[2].from_base[-1]), 1)  # the paper takes the latter for the former
        2.0
    """
    settings = checked_settings(networks, samples, iterations, step_size, ratios, seed, dtype, tolerances, method)
    images = _images(data, settings.samples)
    for name in settings.networks:
        architecture(name, images.extents)  # refuse what does not fit before anything is computed
    where = None if folder is None else Path(folder)
    found, count = {}, len(settings.networks)
    with reporting(progress, "experiment", CHEAPER) as report:
        for i, name in enumerate(settings.networks):
            part = report.part(i / count, (i + 1) / count)
            runner = _Runner(settings, images, name, where, part, say or (lambda line: None), chunk_seconds)
            found[name] = runner.result()
    result = Experiment(
        settings=settings,
        images={
            "name": images.name,
            "samples": settings.samples,
            "extents": list(images.extents),
            "sha256": images.digest,
        },
        device=device(),
        versions=versions(LIBRARIES),
        date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        networks=found,
    )
    if where is not None:
        result.save(where / RESULT)
    return result


def device() -> str:
    """JAX's default device."""
    import jax

    check_runtime()
    used = jax.devices()[0]
    return f"{used.platform} ({used.device_kind})"


def _images(data: object, samples: int) -> Images:
    if data == "digits":
        return digits(samples)
    if isinstance(data, tuple | list) and len(data) == 2:
        return mnist(Path(data[0]), Path(data[1]), samples)
    raise ProblemError(f'data must be "digits" or the two files of MNIST (images, labels), got {brief(data)}')


class _Runner:
    """The runs of one network, each with its checkpoint."""

    def __init__(
        self,
        settings: Settings,
        images: Images,
        name: str,
        folder: Path | None,
        report: Reporter,
        say: Say,
        chunk_seconds: float,
    ) -> None:
        self.settings, self.name, self.report, self.say = settings, name, report, say
        self.chunk_seconds = chunk_seconds
        self.folder = None if folder is None else folder / CHECKPOINTS
        self.problem: Problem = network_problem(name, images, settings.seed)
        self.flowing = order_zero(self.problem, settings.method)
        self.start = np.array([float(v) for v in self.problem.theta0])
        self.built = architecture(name, images.extents)
        self.about = {
            "network": describe(self.built.with_biases(False)),
            "activation": self.built.activation,
            "biases": any(self.built.biases),
            "data": images.digest,
            "start": sha256(self.start.astype("<f8").tobytes()).hexdigest(),
            "iterations": settings.iterations,
            "step_size": text(settings.step_size),
            "device": device(),
            "versions": versions(LIBRARIES),
            "method": descent_table(settings.method),
        }

    def checkpoint(self, label: str, **more: str | int) -> Checkpoint:
        """Where a run keeps its state."""
        return Checkpoint(self.folder, f"{self.name}-{label}", content_key({**self.about, **more}), self.say)

    def result(self) -> NetworkResult:
        """All runs and their distances."""
        tolerances = self.settings.of_flow(bool(self.problem.objective.gates))
        ends = [FLOWS * i / len(tolerances) for i in range(len(tolerances) + 1)]
        flows = [self._flow(rtol, self.report.part(ends[i], ends[i + 1])) for i, rtol in enumerate(tolerances)]
        reference = flows[-1].states
        flow = Flow(
            solver=solver_of(self.flowing),
            tolerances=tuple(
                Tolerance(f.rtol, f.evaluations, f.reading, f.steps, f.rejected, f.seconds, _apart(f.states, reference))
                for f in flows
            ),
            loss=self._losses(reference),
            from_start=_apart(reference, self.start),
            error=estimated_error(flows[-1], flows[-2]),
        )
        return NetworkResult(
            name=self.name,
            description=describe(self.built.with_biases(False)) + (" with biases" if any(self.built.biases) else ""),
            parameters=len(self.start),
            times=self.settings.times,
            runs=self._descents(reference),
            flow=flow,
        )

    def _flow(self, rtol: float, report: Reporter) -> Any:
        label = f"flow-{rtol:.0e}"
        checkpoint = self.checkpoint(label, rtol=repr(rtol), solver=solver_of(self.flowing))
        part = report.part(0, 1, f"{self.name}, flow at rtol {rtol:.0e}")
        return flow_in_chunks(self.flowing, self.settings.times, rtol, checkpoint, part, self.chunk_seconds)

    def _descents(self, reference: np.ndarray) -> Mapping[int, DescentRun]:
        dtype = np.dtype(self.settings.dtype)
        steps = stepper(self.problem.objective, self.settings.method, dtype)
        found: dict[int, DescentRun] = {}
        base, ratios, done = np.zeros(0), (1, *self.settings.ratios), 0
        shares = self.report.part(FLOWS, 1)
        for ratio in ratios:
            label = "eta0" if ratio == 1 else f"eta0/{ratio}"
            checkpoint = self.checkpoint(label.replace("/", "-by-"), ratio=ratio, dtype=self.settings.dtype)
            begun, ends = done / sum(ratios), (done + ratio) / sum(ratios)
            run = descend_in_chunks(
                steps,
                self.start.astype(dtype),
                self.settings.step_size / ratio,
                ratio * self.settings.indices,
                checkpoint,
                shares.part(begun, ends, f"{self.name}, descent at {label}"),
                self.chunk_seconds,
            )
            done += ratio
            states = run.states.astype(np.float64)
            base = states if ratio == 1 else base
            found[ratio] = DescentRun(
                ratio=ratio,
                iterations=ratio * self.settings.iterations,
                seconds=run.seconds,
                loss=self._losses(states),
                from_start=_apart(states, states[0]),
                from_base=_apart(states, base),
                from_flow=_apart(states, reference),
            )
        return found

    def _losses(self, states: np.ndarray) -> np.ndarray:
        """The training loss of float64 states, one by one: a batch of large networks would fill the memory."""
        f = to_jax(self.problem.objective)
        with own_modes():
            return np.array([float(f(theta)) for theta in states])


def _apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The Euclidean distances of states, row by row."""
    return np.asarray(np.linalg.norm(a - b, axis=1))
