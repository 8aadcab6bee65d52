"""Runs benchmarks and writes their tables into docs/, between their markers.

    python tests/benchmarks/into_docs.py [NAME ...] [--peer FILE]

NAME is one of evaluation, first, gradient, derivation, flow, first-flow, kinks, kinks-float64, descent, experiment,
experiment-relu, experiment-conv, experiment-conv-max-pool, methods, sweep; all of them without one (hours on two
cores, most of it descent at small steps and the flow with max pooling). `--peer` is passed to the benchmarks of flows.
The name of a study (bounds) takes the table that `pytest -m thorough` wrote to tests/studies.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
DOCS = HERE.parent.parent / "docs"
CASES = "LISTED"
COMMANDS = {
    "evaluation": ["bench_hessian.py", "evaluation", CASES],
    "first": ["bench_hessian.py", "first"],
    "gradient": ["bench_gradient.py"],
    "derivation": ["bench_derivation.py"],
    "flow": ["bench_flow.py", "--rounds", "3", "--parameters", "--processor-time"],
    "first-flow": ["bench_first_flow.py"],
    "kinks": ["bench_kinks.py"],
    "kinks-float64": ["bench_kinks.py", "--float64", "--samples", "200"],
    "descent": ["bench_descent.py"],
    "experiment": ["bench_experiment.py", "linear"],
    "experiment-relu": ["bench_experiment.py", "relu"],
    "experiment-conv": ["bench_experiment.py", "conv", "--tolerances", "1e-5,1e-6"],
    "experiment-conv-max-pool": ["bench_experiment.py", "conv-max-pool", "--tolerances", "1e-4,1e-5"],
    "methods": ["bench_methods.py"],
    "sweep": ["bench_sweep.py"],
}

STUDIES = ("bounds",)
PAGES = {
    "experiment": "experiments.md",
    "experiment-relu": "experiments.md",
    "experiment-conv": "experiments.md",
    "experiment-conv-max-pool": "experiments.md",
    "methods": "methods.md",
}
"""Where a table stands that is not in benchmarks.md."""


def marked(name: str) -> re.Pattern[str]:
    """What stands between the markers of a benchmark."""
    return re.compile(rf"(<!-- benchmark: {name} -->\n).*?(<!-- end -->)", re.DOTALL)


def versions() -> str:
    """Date, processor count and versions, one line."""
    packages = [f"{name} {importlib.metadata.version(name)}" for name in ("symflow", "jax", "gmpy2")]
    return f"*{datetime.date.today()}, Python {platform.python_version()}, {', '.join(packages)}.*"


def output(command: list[str], peer: str | None) -> str:
    """The Markdown that one benchmark prints or writes."""
    script, *arguments = command
    if arguments[-1:] == [CASES]:
        sys.path.insert(0, str(HERE))
        from bench_hessian import CASES as listed

        arguments = [*arguments[:-1], *listed]
    peers = [] if peer is None or script not in ("bench_flow.py", "bench_first_flow.py") else ["--peer", peer]
    if script != "bench_flow.py":
        return subprocess.run(
            [sys.executable, str(HERE / script), *arguments, *peers], check=True, stdout=subprocess.PIPE, text=True
        ).stdout
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, str(HERE / script), *arguments, *peers, "--out", folder], check=True)
        return (Path(folder) / "flow.md").read_text(encoding="utf-8")


def measured(name: str, peer: str | None) -> str:
    """The table of a benchmark that is run now, dated."""
    return f"{output(COMMANDS[name], peer).strip()}\n\n{versions()}\n"


def study(name: str) -> str:
    """The table of a study, without its title and one level lower."""
    text = (HERE.parent / "studies" / f"{name}.md").read_text(encoding="utf-8")
    return re.sub(r"^## ", "### ", re.sub(r"\A# .*\n+", "", text), flags=re.MULTILINE)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[*COMMANDS, *STUDIES, []])
    parser.add_argument("--peer")
    options = parser.parse_args()
    for name in options.names or COMMANDS:
        block = study(name) if name in STUDIES else measured(name, options.peer)
        page = DOCS / PAGES.get(name, "benchmarks.md")
        text = page.read_text(encoding="utf-8")
        if not marked(name).search(text):
            raise SystemExit(f"{page.name} has no markers for the benchmark {name}")
        page.write_text(marked(name).sub(lambda m, b=block: m[1] + b + m[2], text), encoding="utf-8")
        print(f"{page.name}: {name} written", file=sys.stderr)


if __name__ == "__main__":
    main()
