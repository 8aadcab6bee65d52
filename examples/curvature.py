"""Which results apply to a problem, a statement with the depth n as a symbol, and how sharp the curvature bounds are.

Run: python examples/curvature.py
"""

from __future__ import annotations

from pathlib import Path

import jax
import numpy as np

import symflow as sf

HERE = Path(__file__).parent


def ratios(problem: sf.Problem) -> dict[str, float]:
    """Bound over truth along gradient flow: the median of -bound / -lambda_min(H) where lambda_min < 0."""
    flow = sf.solve_flow(problem, dps=20)
    points = flow.numpy(np.linspace(0, float(flow.horizon) * 0.999, 40))
    truth = sf.extreme_eigenvalues(problem.objective, points).min
    negative = truth < 0
    found = {}
    for name, bound in sf.curvature_bounds(problem.objective).items():
        with jax.enable_x64(True):
            values = np.asarray(jax.vmap(sf.to_jax(bound))(points))
        assert np.all(values <= truth + 1e-12), name
        found[name] = float(np.median(values[negative] / truth[negative]))
    return found


def main() -> dict[str, dict[str, float]]:
    """Prints what applies, the statement of R9 and the ratios; returns the ratios."""
    print(sf.statement("R9").latex(), end="\n\n")
    tables = {}
    for name in ("linear", "relu", "convolutional"):
        problem = sf.load_problem(HERE / f"{name}.toml")
        print(problem)
        print(sf.applicable(problem), end="\n\n")
        tables[name] = ratios(problem)
        for bound, ratio in tables[name].items():
            print(f"  {bound:12} {ratio:8.2f} times the truth (median over the flow)")
        print()
    return tables


if __name__ == "__main__":
    main()
