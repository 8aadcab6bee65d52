"""`symflow experiment`: what it runs, prints as JSON, shows and writes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from symflow.errors import ComputationError, ProblemError
from symflow.report.progress import say

if TYPE_CHECKING:
    from symflow.analysis.experiments import Experiment, NetworkResult

Progress = Callable[[str], AbstractContextManager[Callable[[float], None]]]


@dataclass(frozen=True)
class ExperimentOptions:
    """The command's options as they were written; lists may be separated by commas."""

    networks: Sequence[str]
    data: str
    mnist_images: Path | None
    mnist_labels: Path | None
    samples: int
    iterations: int
    step_size: str
    ratios: str
    tolerances: str | None
    seed: int
    dtype: str
    out: Path


@dataclass(frozen=True)
class ExperimentAnswer:
    """What `symflow experiment` found.

    Attributes:
        found: the results.
        seconds: wall time of this call; the runs' own seconds are in the results.
        written: the files.
    """

    found: Experiment
    seconds: float
    written: Sequence[Path]

    def data(self) -> dict[str, Any]:
        """The JSON object."""
        networks = {name: network_summary(result) for name, result in self.found.networks.items()}
        kept = {key: value for key, value in self.found.metadata().items() if key not in ("keys", "networks")}
        files = [str(path) for path in self.written]
        return kept | {"networks": networks, "files": files, "seconds": round(self.seconds, 6)}

    def renderables(self) -> list[Any]:
        """What a person is shown."""
        shown: list[Any] = []
        for result in self.found.networks.values():
            shown += network_tables(result)
        shown.append(f"computed on {self.found.device}, descent in {self.found.settings.dtype}")
        shown.append(f"wrote {', '.join(map(str, self.written))}")
        return shown


def run_experiment(options: ExperimentOptions, progress: Progress) -> ExperimentAnswer:
    """Runs what is not done yet, and draws everything.

    Raises:
        ProblemError: the input is wrong.
        ComputationError: it cannot be computed, or the files cannot be written.
    """
    from symflow.analysis.experiments import experiment
    from symflow.analysis.experiments.study import RESULT

    started = time.perf_counter()
    found = experiment(
        _separated(options.networks),
        data=_data(options),
        samples=options.samples,
        iterations=options.iterations,
        step_size=options.step_size,
        ratios=[_whole(r) for r in _separated([options.ratios])],
        tolerances=None if options.tolerances is None else _separated([options.tolerances]),
        seed=options.seed,
        dtype=options.dtype,
        folder=options.out,
        progress=progress,
        say=say,
    )
    seconds = time.perf_counter() - started
    return ExperimentAnswer(found, seconds, [options.out / RESULT, *_pictures(found, options.out)])


def _pictures(found: Experiment, out: Path) -> list[Path]:
    from symflow.plots.experiments import experiment_figure
    from symflow.plots.paths import render
    from symflow.report.report import write_files

    contents: dict[str, bytes] = {}
    for name, result in found.networks.items():
        picture = experiment_figure(result, f"{found.settings.samples} {data_name(found)}")
        contents |= {f"{name}.{kind}": render(picture, kind) for kind in ("svg", "png")}
    try:
        return write_files(out, contents)
    except OSError as failed:
        raise ComputationError(
            f"--out: {out} cannot be written: {failed.strerror or failed}; choose another directory or make room"
        ) from failed


def data_name(found: Experiment) -> str:
    """The images in a word or two."""
    return {"digits": "digits images", "mnist": "MNIST images"}[found.images["name"]]


def _separated(values: Sequence[str]) -> list[str]:
    return [word.strip() for value in values for word in value.split(",") if word.strip()]


def _whole(written: str) -> int:
    if not (written.isascii() and written.isdigit() and len(written) < 10):
        raise ProblemError(f"--ratios must be whole numbers separated by commas, such as 2,5,10,20, got {written!r}")
    return int(written)


def _data(options: ExperimentOptions) -> str | tuple[Path, Path]:
    files = (options.mnist_images, options.mnist_labels)
    if files == (None, None):
        if options.data == "mnist":
            raise ProblemError("--data mnist needs its two IDX files; give --mnist-images and --mnist-labels")
        return options.data
    if files[0] is None or files[1] is None:
        missing = "--mnist-labels" if files[1] is None else "--mnist-images"
        raise ProblemError(f"--mnist-images and --mnist-labels go together; give {missing} too")
    return files[0], files[1]


def network_summary(found: NetworkResult) -> dict[str, Any]:
    """The numbers of the tables, for JSON."""
    evaluations = max(run.iterations for run in found.runs.values())
    return {
        "description": found.description,
        "parameters": found.parameters,
        "runs": [
            {
                "ratio": run.ratio,
                "gradient_evaluations": run.iterations,
                "final_loss": float(run.loss[-1]),
                "from_start": float(run.from_start[-1]),
                "max_from_base": float(run.from_base.max()),
                "max_from_flow": float(run.from_flow.max()),
                "final_from_flow": float(run.from_flow[-1]),
                "seconds": run.seconds,
            }
            for run in found.runs.values()
        ],
        "flow": {
            "solver": found.flow.solver,
            "final_loss": float(found.flow.loss[-1]),
            "error_estimate": None if np.isnan(error := float(found.flow.error[-1])) else error,
            "tolerances": [
                {
                    "rtol": t.rtol,
                    "gradient_evaluations": t.evaluations,
                    "evaluations_to_read": t.reading,
                    "share_of_descent": t.evaluations / evaluations,
                    "accepted": t.steps,
                    "rejected": t.rejected,
                    "max_difference": float(t.difference.max()),
                    "final_difference": float(t.difference[-1]),
                    "seconds": t.seconds,
                }
                for t in found.flow.tolerances
            ],
        },
    }


def network_rows(found: NetworkResult) -> list[tuple[str, str, str, str, str, str]]:
    """Name, step size or tolerance, evaluations, distance from the flow at its largest and at the end, final loss."""
    from symflow.report.report import short

    rows = []
    for run in found.runs.values():
        name = "descent, η0" if run.ratio == 1 else f"descent, η0/{run.ratio}"
        apart = short(run.from_flow.max(), 2), short(run.from_flow[-1], 2)
        rows.append((name, f"{run.iterations:,}", *apart, short(run.loss[-1], 6), f"{run.seconds:.0f}"))
    tightest = found.flow.tolerances[-1]
    for t in found.flow.tolerances:
        apart = short(t.difference.max(), 2), short(t.difference[-1], 2)
        if t is tightest:
            apart = f"(±{_known(found)})", ""
        loss = short(found.flow.loss[-1], 6) if t is tightest else ""
        name = f"flow, {found.flow.solver}, rtol {t.rtol:.0e}"
        rows.append((name, f"{t.evaluations:,}", *apart, loss, f"{t.seconds:.0f}"))
    return rows


def _known(found: NetworkResult) -> str:
    """The estimated error of the reference."""
    from symflow.report.report import short

    error = float(found.flow.error[-1])
    return "unknown" if np.isnan(error) else short(error, 2)


HEADS = ("run", "gradients", "max distance", "at the end", "loss", "seconds")
"""Gradient evaluations; the largest distance from the flow, and that at the end; the loss at the end."""


def network_tables(found: NetworkResult) -> list[Any]:
    """What is shown of one network."""
    from rich.text import Text

    from symflow.report.report import short
    from symflow.report.terminal import _table

    title = f"{found.name}: {found.description}, {found.parameters} parameters; distances from the flow"
    table = _table(title, *HEADS)
    for row in network_rows(found):
        table.add_row(*row)
    base = found.runs[1]
    last = max(found.runs)
    said = (
        f"At t = {short(found.times[-1])} descent at η0 has moved {short(base.from_start[-1])} and is "
        f"{short(base.from_flow[-1], 2)} from the flow, whose error is {_known(found)} (estimated, from the two "
        "tightest tolerances)."
    )
    if last > 1:
        said += (
            f"  The paper's stand-in for the flow, η0/{last}, is {short(found.runs[last].from_flow[-1], 2)} from it."
        )
    return [table, Text(said)]
