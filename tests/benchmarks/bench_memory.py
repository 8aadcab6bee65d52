"""Peak memory of a flow with dense output: 200 digits, 50 parameters, horizon 10, with its second run.

    python tests/benchmarks/bench_memory.py [--dps 200] [--horizon 10] [--kind linear|leaky] [--width 5] [--samples 8]
    python tests/benchmarks/bench_memory.py --series DIR

The run happens in a process of its own, whose largest resident set the kernel tells. Exit status 1 where it is over
500 MB. `--series` varies digits, parameters, samples and kinks, and writes a table (memory.md) and a plot (memory.png)
of memory and processor time.
"""

from __future__ import annotations

import argparse
import random
import re
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

LIMIT = 500
"""Megabytes."""
SERIES: dict[str, list[dict[str, str]]] = {
    "digits": [{"dps": str(dps), "horizon": "1"} for dps in (30, 50, 100, 200)],
    "parameters": [{"dps": "30", "horizon": "1", "width": str(width)} for width in (2, 4, 6, 8, 12)],
    "samples": [{"dps": "30", "horizon": "1/8", "kind": "leaky", "samples": str(count)} for count in (2, 4, 8, 16, 32)],
    "kinks": [
        {"dps": "30", "kind": "leaky", "width": "3", "horizon": horizon} for horizon in ("1/4", "1/2", "1", "2", "4")
    ],
}
"""What varies -> the options of its runs."""


def problem(kind: str, horizon: str, dps: int, width: int, samples: int) -> Any:
    """A random network with two layers of square matrices."""
    from symflow.problem import Problem

    rng = random.Random(1)

    def rows(count: int, width: int) -> list[list[Fraction]]:
        return [[Fraction(rng.randint(-20, 20), 10) for _ in range(width)] for _ in range(count)]

    network: dict[str, Any] = {"widths": [width] * 3, "activation": "linear"}
    if kind == "leaky":
        network |= {"activation": "leaky-relu", "slope": "1/5"}
    theta = [Fraction(rng.randint(-10, 10), 10) for _ in range(2 * width**2)]
    return Problem(
        network=network,
        data={"x": rows(samples, width), "y": rows(samples, width)},
        init={"theta": theta},
        run={"horizon": horizon, "dps": dps},
    )


def peak() -> float:
    """The largest resident set of this process so far, in megabytes.

    On Linux from its own page tables: the figure of getrusage begins with that of the process it was forked from.
    """
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status.read_text())[0]) * 1024 / 1e6
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size / 1e6 if sys.platform == "darwin" else size * 1024 / 1e6


@dataclass(frozen=True)
class Measured:
    """One run: steps, events, seconds of processor time, megabytes after the imports and at the peak."""

    parameters: int
    steps: int
    events: int
    seconds: float
    before: float
    most: float


def measure(options: argparse.Namespace) -> None:
    """Solves and prints what `Measured` holds."""
    from symflow.paths.flow import solve_flow

    given = problem(options.kind, options.horizon, options.dps, options.width, options.samples)
    before, started = peak(), time.process_time()
    trajectory = solve_flow(given, error="estimated")
    seconds = time.process_time() - started
    print(len(given.theta0), trajectory.stats.steps, len(trajectory.events), seconds, before, peak())


def run(options: Mapping[str, str]) -> Measured:
    """A run in a process of its own."""
    given = [text for name, value in options.items() for text in (f"--{name}", value)]
    command = [sys.executable, __file__, *given, "--inside"]
    printed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    parameters, steps, events, *rest = printed.split()
    return Measured(int(parameters), int(steps), int(events), *map(float, rest))


def series(folder: Path) -> None:
    """All of `SERIES`, as a table and a plot."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    folder.mkdir(parents=True, exist_ok=True)
    figure, axes = pyplot.subplots(1, len(SERIES), figsize=(4.2 * len(SERIES), 3.6), layout="constrained")
    lines = ["| varies | value | P | steps | kinks | processor time, s | memory beyond imports, MB |", "|" + "---|" * 7]
    for ax, (varies, runs) in zip(axes, SERIES.items(), strict=True):
        found = [run(options) for options in runs]
        known = {"parameters": [m.parameters for m in found], "kinks": [m.events for m in found]}
        values = known.get(varies) or [int(o["dps" if varies == "digits" else varies]) for o in runs]
        for value, m in zip(values, found, strict=True):
            cells = (varies, value, m.parameters, m.steps, m.events, f"{m.seconds:.2f}", f"{m.most - m.before:.0f}")
            lines.append("| " + " | ".join(map(str, cells)) + " |")
            print(lines[-1], flush=True)
        ax.plot(values, [m.seconds for m in found], "o-", label="processor time, s")
        ax.plot(values, [m.most - m.before for m in found], "s--", label="memory beyond imports, MB")
        ax.set(xlabel=varies, yscale="log")
        ax.grid(alpha=0.3)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    figure.savefig(folder / "memory.png", dpi=130)
    (folder / "memory.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--dps", type=int, default=200)
    parser.add_argument("--horizon", default="10")
    parser.add_argument("--kind", choices=("linear", "leaky"), default="linear")
    parser.add_argument("--width", type=int, default=5, help="of both layers: 5 makes 50 parameters")
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--series", type=Path, metavar="DIR", help="vary digits, parameters, samples and kinks")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        measure(options)
        return 0
    if options.series is not None:
        series(options.series)
        return 0
    m = run({name: str(getattr(options, name)) for name in ("dps", "horizon", "kind", "width", "samples")})
    print(
        f"{options.kind}, {m.parameters} parameters, {options.dps} digits, horizon {options.horizon}: {m.steps} steps, "
        f"{m.events} events, {m.seconds:.1f} s, peak {m.most:.0f} MB (imports {m.before:.0f} MB)"
    )
    return int(m.most > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
