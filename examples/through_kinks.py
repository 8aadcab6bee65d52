"""A ReLU network's flow through its kinks to 50 digits, and what it conserves on the way (R10).

Run: python examples/through_kinks.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mpmath

import symflow as sf


def balancedness(trajectory: sf.Trajectory, time: Any) -> list[Any]:
    """The diagonal of W_2^T W_2 - W_1 W_1^T: one conserved number per hidden unit."""
    first, second = trajectory.weights(time)
    return [mpmath.fsum(v * v for v in second[:, r]) - mpmath.fsum(v * v for v in first[r]) for r in range(len(first))]


def main() -> Any:
    """Prints the kinks with 40 digits and the conservation error at the end; returns the latter."""
    problem = sf.load_problem(Path(__file__).parent / "relu.toml")
    trajectory = sf.solve_flow(problem)
    print(trajectory)
    for event in trajectory.events:
        print(
            f"  t = {mpmath.nstr(event.time, 40)}  sample {event.sample}, unit {event.unit}: "
            f"gate {event.gate_before} -> {event.gate_after}"
        )
    with mpmath.workdps(60):
        pairs = zip(balancedness(trajectory, 0), balancedness(trajectory, "8"), strict=True)
        drift = max(abs(a - b) for a, b in pairs)
    print("largest drift of a conserved quantity:", mpmath.nstr(drift, 3))
    return drift


if __name__ == "__main__":
    main()
