"""The first flow of a process, from problem to endpoint: with the kernel compiled now, from the cache, and heyoka's.

    python tests/benchmarks/bench_first_flow.py [--rounds 3] [--peer FILE]

Every figure is a median over fresh processes, in seconds of processor time after the imports. symflow compiles its
kernel once for a machine and keeps it in the user's cache; heyoka compiles for every problem and every precision.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench_flow import network_record, peer_of, records, run_heyoka, run_symflow

CASES = (("linear-2-2-2-1", 30, "10"), ("2-3-3-2", 50, "1"), ("6-6-6-6", 30, "1/8"))
HEADS = (
    "problem",
    "digits",
    "t",
    "symflow, kernel compiled",
    "symflow, kernel loaded",
    "heyoka",
    "ratio, compiled",
    "ratio, loaded",
)


def inside(case: int, peer: Path | None, *, ours: bool) -> None:
    """Prints the processor time of one first flow in this process."""
    name, dps, horizon = CASES[case]
    record = records([name])[name] if name.startswith("linear") else network_record([int(d) for d in name.split("-")])
    solve = run_symflow if ours else (run_heyoka if peer is None else peer_of(peer))
    start = time.process_time()
    solve(record | {"run": {"horizon": horizon}}, dps)
    print(time.process_time() - start)


def seconds(case: int, who: str, peer: Path | None, cache: str) -> float:
    """The same in a fresh process with this cache."""
    peers = [] if peer is None else ["--peer", str(peer)]
    command = [sys.executable, __file__, "--inside", who, "--case", str(case), *peers]
    environment = os.environ | {"XDG_CACHE_HOME": cache, "LOCALAPPDATA": cache}
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer", type=Path, help="see bench_flow.py")
    parser.add_argument("--inside", choices=("symflow", "heyoka"), help=argparse.SUPPRESS)
    parser.add_argument("--case", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside is not None:
        inside(options.case, options.peer, ours=options.inside == "symflow")
        return
    there = importlib.util.find_spec("heyoka") is not None
    print("| " + " | ".join(HEADS) + " |\n|" + "---|" * len(HEADS))
    for case, (name, dps, horizon) in enumerate(CASES):
        found: list[list[float]] = [[], [], []]
        for _ in range(options.rounds):
            with tempfile.TemporaryDirectory() as cache:
                for times in found[:2]:  # the second one finds what the first has left
                    times.append(seconds(case, "symflow", None, cache))
                if there:
                    found[2].append(seconds(case, "heyoka", options.peer, cache))
        medians = [statistics.median(times) for times in found if times]
        ratios = [f"{medians[2] / ours:.1f}" if there else "-" for ours in medians[:2]]
        cells = [name, str(dps), horizon, *(f"{m:.2f}" for m in medians), *([] if there else ["-"]), *ratios]
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
