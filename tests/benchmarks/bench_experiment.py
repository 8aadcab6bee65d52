"""The paper's experiments at full length on 1000 digits: distance from the flow against gradient evaluations.

    python tests/benchmarks/bench_experiment.py [NETWORK ...] [--ratios R,R...] [--tolerances T,T...] [--out DIR]

NETWORK is linear, relu (the usual ones), conv or conv-max-pool. Ten minutes to half an hour each, more for conv;
started again with the same DIR it goes on where it was. The flow's tolerances are the experiment's own if left out.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import symflow as sf
from symflow.analysis.experiments import NetworkResult
from symflow.cli.commands.experiment import network_summary
from symflow.paths.float64.methods import EVENT_CORRECTED
from symflow.plots.experiments import experiment_figure
from symflow.plots.style import render


def rows(found: NetworkResult) -> Iterator[tuple[str, ...]]:
    """One line a run: what, gradient evaluations, largest distance from the flow, that at the end, loss."""
    summary = network_summary(found)
    for run in summary["runs"]:
        name = "η₀ = 0.001" if run["ratio"] == 1 else f"η₀/{run['ratio']}"
        apart = run["max_from_flow"], run["final_from_flow"]
        yield (f"descent, {name}", f"{run['gradient_evaluations']:,}", *written(apart), f"{run['final_loss']:.6f}")
    flow = summary["flow"]
    *loose, tightest = flow["tolerances"]
    for t in loose:
        apart = t["max_difference"], t["final_difference"]
        yield (named(flow, t), f"{t['gradient_evaluations']:,}", *written(apart), "")
    known = f"± {found.flow.error[-1]:.1e}"
    yield (named(flow, tightest), f"{tightest['gradient_evaluations']:,}", known, "", f"{flow['final_loss']:.6f}")


def named(flow: dict, tolerance: dict) -> str:
    name = flow["solver"] if flow["solver"] == EVENT_CORRECTED else flow["solver"].capitalize()
    return f"flow, {name}, rtol {tolerance['rtol']:.0e}"


def written(values: tuple[float, float]) -> tuple[str, ...]:
    return tuple(f"{v:.1e}" for v in values)


def markdown(found: NetworkResult) -> str:
    """The table of one network."""
    head = f"| {found.name}, {found.parameters} weights | gradients | largest distance | at t = 10 | loss at t = 10 |"
    return "\n".join([head, "|---|---|---|---|---|", *("| " + " | ".join(row) + " |" for row in rows(found))])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("networks", nargs="*")
    parser.add_argument("--ratios", default="2,5,10,20")
    parser.add_argument("--tolerances", type=lambda text: text.split(","))
    parser.add_argument("--out", type=Path, default=Path("symflow-experiment"))
    options = parser.parse_args()
    ratios = [int(r) for r in options.ratios.split(",")]
    networks = options.networks or ["linear", "relu"]
    found = sf.experiment(
        networks,
        ratios=ratios,
        tolerances=options.tolerances,
        folder=options.out,
        say=lambda line: print(line, file=sys.stderr),
    )
    for name, result in found.networks.items():
        picture = render(experiment_figure(result, "1000 digits images"), "png", 130)
        (options.out / f"{name}.png").write_bytes(picture)
    print("\n\n".join(markdown(result) for result in found.networks.values()))


if __name__ == "__main__":
    main()
