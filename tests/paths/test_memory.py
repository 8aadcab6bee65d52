"""Peak memory of a long run with many digits."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[1] / "benchmarks" / "bench_memory.py"


IMPORTS = "import sys; sys.path.insert(0, sys.argv[1]); import numpy, sympy, bench_memory; print(bench_memory.peak())"
"""Prints the peak, in megabytes, of a process that only imports what symflow cannot do without."""


def peak(*arguments: str) -> tuple[int, float]:
    """Exit status and megabytes of the benchmark."""
    done = subprocess.run([sys.executable, str(BENCHMARK), *arguments], capture_output=True, text=True, check=False)
    found = re.search(r"peak (\d+) MB", done.stdout)
    assert found is not None, done.stderr
    return done.returncode, float(found[1])


def test_a_short_run_takes_little_memory() -> None:
    status, megabytes = peak("--dps", "30", "--horizon", "1/10")
    command = [sys.executable, "-c", IMPORTS, str(BENCHMARK.parent)]
    least = subprocess.run(command, capture_output=True, text=True, check=True)
    assert status == 0
    assert 20 < float(least.stdout) < megabytes < 200


@pytest.mark.thorough
@pytest.mark.parametrize("kind", ["linear", "leaky"])
def test_two_hundred_digits_and_fifty_parameters_stay_below_500_megabytes(kind: str) -> None:
    status, megabytes = peak("--kind", kind)
    assert status == 0
    assert megabytes < 500
