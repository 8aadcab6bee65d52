"""Peak memory of a flow with dense output: 200 digits, 50 parameters, horizon 10, with its second run.

    python tests/benchmarks/bench_memory.py [--dps 200] [--horizon 10] [--kind linear|leaky]

The run happens in a process of its own, whose largest resident set the kernel tells. Exit status 1 where it is over
500 MB.
"""

from __future__ import annotations

import argparse
import random
import re
import resource
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

LIMIT = 500
"""Megabytes."""
WIDTHS = [5, 5, 5]
"""50 parameters."""


def problem(kind: str, horizon: str, dps: int) -> Any:
    """A random network with 50 parameters on 8 samples."""
    from symflow.problem import Problem

    rng = random.Random(1)

    def rows(count: int, width: int) -> list[list[Fraction]]:
        return [[Fraction(rng.randint(-20, 20), 10) for _ in range(width)] for _ in range(count)]

    network: dict[str, Any] = {"widths": WIDTHS, "activation": "linear"}
    if kind == "leaky":
        network |= {"activation": "leaky-relu", "slope": "1/5"}
    theta = [Fraction(rng.randint(-10, 10), 10) for _ in range(50)]
    return Problem(
        network=network,
        data={"x": rows(8, WIDTHS[0]), "y": rows(8, WIDTHS[-1])},
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


def measure(kind: str, horizon: str, dps: int) -> None:
    """Solves and prints one line: steps, seconds, megabytes before and at the peak."""
    from symflow.paths.flow import solve_flow

    given = problem(kind, horizon, dps)
    before, started = peak(), time.perf_counter()
    trajectory = solve_flow(given)
    seconds = time.perf_counter() - started
    print(f"{trajectory.stats.steps} {len(trajectory.events)} {seconds:.1f} {before:.0f} {peak():.0f}")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--dps", type=int, default=200)
    parser.add_argument("--horizon", default="10")
    parser.add_argument("--kind", choices=("linear", "leaky"), default="linear")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        measure(options.kind, options.horizon, options.dps)
        return 0
    given = ["--dps", str(options.dps), "--horizon", options.horizon, "--kind", options.kind, "--inside"]
    printed = subprocess.run([sys.executable, __file__, *given], stdout=subprocess.PIPE, text=True, check=True).stdout
    steps, events, seconds, before, most = printed.split()
    print(
        f"{options.kind} {'-'.join(map(str, WIDTHS))}, 50 parameters, {options.dps} digits, horizon {options.horizon}: "
        f"{steps} steps, {events} events, {seconds} s, peak {most} MB (imports {before} MB)"
    )
    return int(float(most) > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
