"""Many kinks at once: a ReLU unit whose weights reach zero has all its samples on their kinks, however many.

f = mean of (v relu(w x_i) - y_i)^2 / 2 with all y_i < 0 < v: every active sample pushes w towards 0, which it reaches
in finite time and never leaves.  By R10 v^2 - |w|^2 is conserved, so at the end w = 0, v = sqrt(v_0^2 - |w_0|^2).
"""

from __future__ import annotations

import random
from fractions import Fraction

import mpmath
import numpy as np
import pytest

import symflow as sf
from symflow.trajectory.kinks import MAX_SIMULTANEOUS


def dying_unit(samples: int, dimension: int, seed: int, slope: str = "0") -> sf.Problem:
    rng = random.Random(seed)
    x = [[Fraction(rng.randint(-8, 8), 8) for _ in range(dimension)] for _ in range(samples)]
    y = [[Fraction(-rng.randint(8, 16), 8)] for _ in range(samples)]
    w = [Fraction(rng.randint(1, 8), 16) for _ in range(dimension)]
    return sf.Problem(
        network={"widths": [dimension, 1, 1], "activation": "homogeneous", "alpha": 1, "alpha_bar": slope},
        data={"x": x, "y": y},
        init={"theta": [*w, 2]},
        run={"horizon": 30},
    )


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("samples", "dimension"), [(7, 2), (12, 2), (9, 3)])
def test_a_unit_comes_to_rest_at_zero_with_all_its_samples(samples: int, dimension: int, seed: int) -> None:
    problem = dying_unit(samples, dimension, seed)
    flow = sf.solve_flow(problem, dps=30)
    *w0, v0 = problem.theta0
    *w, v = flow.at_end()
    f = [float(sf.evaluate_mpmath(sf.loss(problem.objective), list(flow(t)), dps=30)) for t in (0, 30)]
    assert f[1] <= f[0]
    with mpmath.workdps(40):
        conserved = v0**2 - sum(q * q for q in w0)
        assert abs(v**2 - sum(q * q for q in w) - mpmath.mpf(conserved.numerator) / conserved.denominator) < 1e-29
    run = sf.descend(problem, step_size="1/20000", steps=600_000, every=600_000)
    assert np.abs(run.iterates[-1] - np.array([float(q) for q in (*w, v)])).max() < 2e-3


def test_the_crowd_is_met_and_implied_gates_are_events() -> None:
    """At least one of the cases ends at w = 0 exactly, with more gates on their kinks than are tried one by one."""
    met = 0
    for seed in range(6):
        problem = dying_unit(12, 2, seed)
        assert problem.x is not None
        flow = sf.solve_flow(problem, dps=20)
        last = [e for e in flow.events if e.kind == "sliding" and e.time == flow.events[-1].time]
        if len(last) > MAX_SIMULTANEOUS:
            met += 1
            assert max(abs(q) for q in flow.at_end()[:2]) < mpmath.mpf(10) ** -20
            inside = [e for e in last if 0 < e.gate_after < 1]
            surfaces = {problem.x[e.sample][1] / problem.x[e.sample][0] for e in inside}
            assert len(surfaces) <= 2  # as many as the normals are independent
            assert all(0 <= e.gate_after <= 1 for e in last)
    assert met >= 1
