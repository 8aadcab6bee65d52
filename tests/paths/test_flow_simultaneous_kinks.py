"""Many kinks at once: a ReLU unit whose weights reach zero has all its samples on their kinks, however many.

f = mean of (v relu(w x_i) - y_i)^2 / 2 with all y_i < 0 < v: every active sample pushes w towards 0, which it reaches
in finite time and never leaves. By R10 v^2 - |w|^2 is conserved, so at the end w = 0, v = sqrt(v_0^2 - |w_0|^2).
"""

from __future__ import annotations

import random
from fractions import Fraction
from functools import cache

import mpmath
import numpy as np
import pytest

import symflow as sf
from symflow.paths.taylor.kinks.settle import MAX_SIMULTANEOUS


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


@cache
def settled(samples: int, dimension: int, seed: int) -> sf.Trajectory:
    """The flow of a dying unit to 30 digits."""
    return sf.solve_flow(dying_unit(samples, dimension, seed), dps=30)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("samples", "dimension"), [(7, 2), (12, 2), (9, 3)])
def test_a_unit_comes_to_rest_at_zero_with_all_its_samples(samples: int, dimension: int, seed: int) -> None:
    problem = dying_unit(samples, dimension, seed)
    flow = settled(samples, dimension, seed)
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
        flow = settled(12, 2, seed)
        last = [e for e in flow.events if e.kind == "sliding" and e.time == flow.events[-1].time]
        if len(last) > MAX_SIMULTANEOUS:
            met += 1
            assert max(abs(q) for q in flow.at_end()[:2]) < mpmath.mpf(10) ** -30
            inside = [e for e in last if 0 < e.gate_after < 1]
            surfaces = {problem.x[e.sample][1] / problem.x[e.sample][0] for e in inside}
            assert len(surfaces) <= 2  # as many as the normals are independent
            assert all(0 <= e.gate_after <= 1 for e in last)
    assert met >= 1


def unit_at_zero(x: list[list[object]], y: list[int], outgoing: int, slope: str = "0") -> sf.Problem:
    return sf.Problem(
        network={"widths": [len(x[0]), 1, 1], "activation": "homogeneous", "alpha": 1, "alpha_bar": slope},
        data={"x": x, "y": [[v] for v in y]},
        init={"theta": [0] * len(x[0]) + [outgoing]},
        run={"horizon": 1, "dps": 25},
    )


@pytest.mark.parametrize("x", [[[0, 1]], [[1, 0], [0, 1]], [["1/2", 1], [0, 1]]])
def test_a_repelling_sample_stops_the_flow_whatever_attracts_beside_it(x: list[list[object]]) -> None:
    """theta constant with all gates off, and the unit that wakes up for the last sample, are both solutions."""
    y = [2] * (len(x) - 1) + [-1]
    with pytest.raises(sf.KinkError) as error:
        sf.solve_flow(unit_at_zero(x, y, -1))
    assert error.value.cause == "repelling"


@pytest.mark.parametrize(("dimension", "samples"), [(2, 2), (2, 3), (2, 4), (3, 4), (2, 5), (3, 6)])
def test_dependent_normals_hold_a_unit_at_zero(dimension: int, samples: int) -> None:
    """All samples attract (y < 0 < v): with all gates off theta does not move, and no other way is open."""
    for seed in range(3):
        rng = random.Random(seed)
        x = [[Fraction(rng.randint(-8, 8), 8) for _ in range(dimension)] for _ in range(samples)]
        flow = sf.solve_flow(unit_at_zero(x, [-rng.randint(1, 3) for _ in x], 1))  # type: ignore[arg-type]
        assert max(abs(q) for q in flow.at_end()[:-1]) < mpmath.mpf(10) ** -25
        assert abs(flow.at_end()[-1] - 1) < mpmath.mpf(10) ** -25


@pytest.mark.parametrize("angle", ["1e-3", "1e-6", "1e-9"])
def test_nearly_parallel_samples_are_not_taken_for_one(angle: str) -> None:
    """Two samples a small angle apart: z_0 slides and z_1 = angle w_2 leaves, as it must where w_2 grows.

    Sample 2 = (0, 1) with target 1 pulls w_2 up from 1/2; samples 0 and 1 have negative targets and attract.
    """
    problem = sf.Problem(
        network={"widths": [2, 1, 1], "activation": "relu"},
        data={"x": [["1", "0"], ["1", angle], ["0", "1"]], "y": [["-1"], ["-1"], ["2"]]},
        init={"theta": ["1/10", "1/2", "1"]},
        run={"horizon": "1", "dps": 25},
    )
    flow = sf.solve_flow(problem)
    assert [(e.kind, e.sample) for e in flow.events] == [("crossing", 0), ("sliding", 1)]
    w1, w2, _ = flow.at_end()
    with mpmath.workdps(40):
        assert abs(w1 + mpmath.mpf(angle) * w2) < mpmath.mpf(10) ** -24
        assert w1 < -mpmath.mpf(angle) / 10


def test_theta_zero_of_a_deep_network_stays() -> None:
    problem = sf.Problem(
        network={"widths": [2, 2, 2, 1], "activation": "relu"},
        data={"x": [[1, 2], [3, 4]], "y": [[1], [2]]},
        init={"theta": [0] * 10},
        run={"horizon": 1, "dps": 20},
    )
    assert not any(sf.solve_flow(problem).at_end())
