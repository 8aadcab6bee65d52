"""Three points and ten ReLU units with biases: a small start ends at a line, not at zero loss.

Run: python examples/three_points.py

The setting of Boursier and Flammarion (arXiv 2401.10791); tests/studies/three_points.md says what becomes of it for
other scales and for all time.
"""

from __future__ import annotations

import numpy as np

import symflow as sf


def main() -> tuple[float, float]:
    """Prints loss and line along the flow; returns how far both are from the least-squares line at the end."""
    problem = sf.example("three-points")
    trajectory = sf.solve_flow(problem, horizon=40, dps=15)
    print(trajectory)
    loss = sf.to_jax(sf.loss(problem.objective))
    for t in (0, 5, 10, 12, 15, 20, 40):
        w, b, a = trajectory.numpy(t).reshape(3, 10)
        active = np.all(np.outer([-0.75, -0.5, 0.125], w) + b > 0, axis=0)  # on all three points
        slope, intercept = a[active] @ w[active], a[active] @ b[active]
        value = float(loss(trajectory.numpy(t)))
        print(
            f"  t = {t:2}: loss {value:.6f}, {active.sum()} units active on all points: {slope:.4f} x + {intercept:.4f}"
        )
    print(f"least squares:  {256 / 2925:.6f}, {-4 / 65:.4f} x + {251 / 390:.4f}")
    return value - 256 / 2925, float(np.hypot(slope + 4 / 65, intercept - 251 / 390))


if __name__ == "__main__":
    main()
