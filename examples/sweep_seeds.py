"""How much does the distance between descent and flow depend on the initialization, and how sharp is R22?

Run: python examples/sweep_seeds.py [FOLDER]     (keeps one file a task there; run it again and nothing is computed)
"""

from __future__ import annotations

import sys
from concurrent.futures import Executor
from pathlib import Path

import symflow as sf


def main(folder: Path = Path("sweep-out"), executor: Executor | None = None) -> sf.Sweep:
    """Sweeps over three seeds and two step sizes, prints a line a seed, saves the table as Parquet."""
    problem = sf.load_problem(Path(__file__).parent / "linear.toml")
    sweep = sf.sweep(
        problem,
        scheme="xavier",
        seed=range(3),
        step_size=["1/50", "1/100"],
        horizon="2",
        dps=20,
        bounds=["R22"],
        folder=folder,
        executor=executor,
    )
    print(sweep)
    table = sweep.floats()  # sweep.table has all digits, as text
    for seed, rows in table.groupby("seed"):
        coarse, fine = rows.max_deviation
        print(
            f"seed {seed}: {coarse:.3e} and {fine:.3e} (ratio {coarse / fine:.3f}), R22 {rows.R22_ratio.iloc[1]:.3f}x"
        )
    sweep.save(folder / "sweep.parquet")
    return sweep


if __name__ == "__main__":  # worker processes read this file, too
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("sweep-out"))
