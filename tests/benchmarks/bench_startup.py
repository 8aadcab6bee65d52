"""How long a person waits before anything happens: medians of five fresh processes.

Run with the interpreter of the environment that symflow is installed in:
    python tests/benchmarks/bench_startup.py
"""

import statistics
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

REPEATS = 5
SYMFLOW = str(Path(sysconfig.get_path("scripts")) / "symflow")
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    'python -c "import symflow"': [sys.executable, "-c", "import symflow"],
    "symflow --help": [SYMFLOW, "--help"],
}


def seconds(command: list[str]) -> float:
    """Wall time of one run of the command; raises CalledProcessError if it fails."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    for name, command in COMMANDS.items():
        seconds(command)  # fills the byte-code and disk caches
        print(f"{name:<28} {statistics.median(seconds(command) for _ in range(REPEATS)):6.3f} s")


if __name__ == "__main__":
    main()
