"""From formula to LaTeX to fast evaluation: the flow of a linear network, and the Hessian of a small ReLU one.

Run: python examples/formulas_and_jax.py
"""

from __future__ import annotations

from pathlib import Path

import jax
import numpy as np
import sympy

import symflow as sf


def main() -> float:
    """Prints formulas, evaluates a Hessian in JAX and exactly; returns the largest difference of the two."""
    widths = sympy.symbols("d_0 d_1 d_2", integer=True, positive=True)
    symbolic = sf.network_objective(sf.FullyConnected(widths), None, None)
    print("Gradient flow of a depth-2 linear network with symbolic widths and data:")
    print(sf.gradient_flow(symbolic).latex(), end="\n\n")

    problem = sf.load_problem(Path(__file__).parent / "relu.toml")
    hessian = sf.hessian(problem.objective)
    print(hessian)
    exact = sf.evaluate_exact(hessian, problem.theta0)
    fast = sf.to_jax(hessian)
    theta = np.array([float(v) for v in problem.theta0])
    error = float(np.max(np.abs(np.asarray(fast(theta)) - exact.astype(float))))
    print("JAX against exact rationals:", error)

    with jax.enable_x64(True):
        nearby = theta + 1e-3 * np.arange(10)[:, None]
        print("smallest eigenvalues nearby:", np.linalg.eigvalsh(jax.vmap(fast)(nearby))[:, 0].round(6))
    return error


if __name__ == "__main__":
    main()
