"""`symflow experiment`: the experiments of the paper, on images."""

from __future__ import annotations

import time
from collections.abc import Sequence
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from symflow.cli.exit_status import Answer
from symflow.cli.method_options import method_from, takes_method
from symflow.cli.options import Json, check_folder, write_results
from symflow.cli.signals import progress
from symflow.cli.streams import show
from symflow.cli.typed import command_line
from symflow.errors import ProblemError
from symflow.numbers.types import JsonObject

CHEAPER = (
    "fewer --iterations, --samples or --ratios, looser --tolerances; what is done is kept, the same command continues"
)

if TYPE_CHECKING:
    from symflow.analysis.experiments import Experiment, NetworkResult


@takes_method
def experiment(
    descent: JsonObject,
    networks: Annotated[
        list[str] | None,
        typer.Option(
            "--network", metavar="NAME,NAME...", help="linear, relu, conv or conv-max-pool; linear if left out."
        ),
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
) -> Answer:
    """Repeat the paper's experiments on images. Descent at several step sizes is compared with the flow itself. An
    interrupted experiment continues when it is started again with the same options.
    """
    from symflow.analysis.experiments import experiment as run_experiment
    from symflow.analysis.experiments.study import RESULT
    from symflow.dynamics.methods import GradientDescent
    from symflow.progress.bars import say

    check_folder(out)
    method = method_from(descent, GradientDescent())
    started = time.perf_counter()
    kept = f"what is done is kept in {out}, and the same command continues"
    with progress("experiment", CHEAPER, kept=kept) as report:
        found = run_experiment(
            _separated(networks or ["linear"]),
            data=_data(data, mnist_images, mnist_labels),
            samples=samples,
            iterations=iterations,
            step_size=step_size,
            ratios=[_whole(r) for r in _separated([ratios])],
            tolerances=None if tolerances is None else _separated([tolerances]),
            seed=seed,
            dtype=dtype,
            method=method,
            folder=out,
            progress=report,
            say=say,
        )
    seconds = time.perf_counter() - started
    written = [out / RESULT, *_pictures(found, out)]
    return Answer(lambda: experiment_report(found, written, seconds), lambda: show(*_tables(found, written)))


def experiment_report(found: Experiment, written: Sequence[Path], seconds: float) -> JsonObject:
    """The JSON object; the runs' own seconds are in the results."""
    kept = {key: value for key, value in found.metadata().items() if key not in ("keys", "networks")}
    networks = {name: network_summary(result) for name, result in found.networks.items()}
    return kept | {"networks": networks, "files": [str(path) for path in written], "seconds": round(seconds, 6)}


def _tables(found: Experiment, written: Sequence[Path]) -> list[Any]:
    from symflow.report.screen import as_text
    from symflow.report.tables import network_parts

    shown: list[Any] = [x for result in found.networks.values() for x in as_text(network_parts(result))]
    shown.append(f"computed on {found.device}, descent in {found.settings.dtype}")
    return [*shown, f"wrote {', '.join(map(str, written))}"]


def _pictures(found: Experiment, out: Path) -> list[Path]:
    from symflow.plots.experiments import experiment_figure
    from symflow.plots.style import render
    from symflow.report.pages import experiment_document, page
    from symflow.report.tables import network_parts

    contents: dict[str, bytes] = {}
    shown = {}
    for name, result in found.networks.items():
        picture = experiment_figure(result, f"{found.settings.samples} {data_name(found)}")
        contents |= {f"{name}.{kind}": render(picture, kind) for kind in ("svg", "png")}
        shown[name] = (network_parts(result), contents[f"{name}.svg"])
    written = page(experiment_document(found, shown, command_line()))
    return write_results(out, {"report.html": written} | contents)


def data_name(found: Experiment) -> str:
    """The images in a word or two."""
    return {"digits": "digits images", "mnist": "MNIST images"}[found.images["name"]]


def _separated(values: Sequence[str]) -> list[str]:
    return [word.strip() for value in values for word in value.split(",") if word.strip()]


def _whole(written: str) -> int:
    if not (written.isascii() and written.isdigit() and len(written) < 10):
        raise ProblemError(f"--ratios must be whole numbers separated by commas, such as 2,5,10,20, got {written!r}")
    return int(written)


def _data(name: str, images: Path | None, labels: Path | None) -> str | tuple[Path, Path]:
    if images is None and labels is None:
        if name == "mnist":
            raise ProblemError("--data mnist needs its two IDX files; give --mnist-images and --mnist-labels")
        return name
    if images is None or labels is None:
        missing = "--mnist-labels" if labels is None else "--mnist-images"
        raise ProblemError(f"--mnist-images and --mnist-labels go together; give {missing} too")
    return images, labels


def network_summary(found: NetworkResult) -> JsonObject:
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
            "error_estimate": None if isnan(error := float(found.flow.error[-1])) else error,
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
