"""Bounds on tubes from the Hessian's program: convolutional networks and any smooth expression have them too."""

from __future__ import annotations

import random
from fractions import Fraction

import numpy as np
import pytest
import sympy
from cases import violations

import symflow as sf
from symflow.analysis.bounds.ball_forms import HessianBoxes, bounds_on_balls, missing_forms
from symflow.analysis.bounds.smooth_regions import decide
from symflow.evaluate.derived_batches import evaluate_batch

CERTIFIED = ("R4(tube)", "R4(global)", "R5", "R22(tube)", "R22(tube-free)")


def convolutional(activation: str, seed: int) -> sf.Problem:
    rng = random.Random(seed)

    def rows(count: int, width: int) -> list[list[Fraction]]:
        return [[Fraction(rng.randint(-9, 9), 9) for _ in range(width)] for _ in range(count)]

    layers = [{"kind": "convolution", "channels": 2, "kernel": [2]}, {"kind": "dense", "width": 1}]
    return sf.Problem(
        network={"kind": "convolutional", "input": [1, 4], "activation": activation, "layers": layers},
        data={"x": rows(3, 4), "y": rows(3, 1)},
        init={"scheme": "xavier", "seed": seed},
    )


def expression() -> sf.Problem:
    x, y = sympy.symbols("x y")
    f = (x**2 - 1) ** 2 / 4 + sympy.exp(x * y) / 4 + y**2
    return sf.Problem(objective=sf.expression_objective(f, [x, y]), theta0=["1/2", "1/3"])


PROBLEMS = {"linear": convolutional("linear", 1), "relu": convolutional("relu", 6), "expression": expression()}


@pytest.mark.parametrize("name", PROBLEMS)
def test_bounds_exist_and_hold(name: str) -> None:
    bounds = sf.known_bounds(*CERTIFIED)
    dev = sf.deviation(PROBLEMS[name], step_size="1/200", horizon="1/4", dps=15, bounds=bounds)
    for bound in CERTIFIED:
        assert dev.bounds[bound].status == "certified on a box"
        assert dev.bounds[bound].values[-1] is not None
        assert violations(dev, bound) == 0
        assert violations(dev, bound, 1e-3) > 0  # they are not beyond all measure


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_drift_bounds_how_far_the_hessian_moves(name: str) -> None:
    problem, rng = PROBLEMS[name], np.random.default_rng(0)
    objective = problem.compact
    assert missing_forms(problem.objective) is not None
    centre = np.array([[float(v) for v in problem.theta0]])
    forms = bounds_on_balls(problem.objective, objective, centre)
    assert isinstance(forms, HessianBoxes)
    at = evaluate_batch(objective, sf.hessian, centre)[0]
    largest = 0.0
    for radius in (1e-3, 0.05):
        drift = float(forms(np.array([radius]))["drift"][0])
        moves = rng.normal(size=(200, centre.shape[1]))
        moves *= radius / np.linalg.norm(moves, axis=1)[:, None]
        if objective.gates and not decide(objective, centre, np.array([radius])).smooth[0]:
            continue
        moved = np.linalg.norm(evaluate_batch(objective, sf.hessian, centre + moves) - at, 2, axis=(1, 2)).max()
        assert moved <= drift
        largest = max(largest, moved / drift)
    assert largest > 0.05  # a bound twenty times as small would be refuted


def test_gates_are_decided_where_no_point_of_the_ball_changes_them() -> None:
    problem, rng = convolutional("relu", 2), np.random.default_rng(1)
    objective = problem.objective
    centre = np.array([[float(v) for v in problem.theta0]])
    from symflow.evaluate.numpy_batches import evaluate_points
    from symflow.programs.program import Program

    program = Program(objective.program.inputs, {str(i): g.z for i, g in enumerate(objective.gates)})

    def signs(points: np.ndarray) -> list[np.ndarray]:
        return [v >= 0 for v in evaluate_points(objective, program, points).values()]

    found = []
    for radius in (1e-4, 0.05, 2.0):
        decided = decide(objective, centre, np.array([radius]))
        found.append(bool(decided.smooth[0]))
        moves = rng.normal(size=(300, centre.shape[1]))
        moves *= radius / np.linalg.norm(moves, axis=1)[:, None]
        for here, there, opened in zip(signs(centre), signs(centre + moves), decided.open, strict=True):
            changed = (here != there).any(axis=0).reshape(opened.shape[1:])
            assert not (changed & ~opened[0]).any()
    assert found[0]
    assert not found[-1]
    sample, layer, unit = decide(objective, centre, np.array([2.0])).first(0)
    assert (layer, 0 <= sample < 3, 0 <= unit < 6) == (1, True, True)


def test_units_behind_dead_ones_are_decided() -> None:
    """Layer 1 is dead for every sample: whatever follows stays 0 on a small ball, so that no gate may change there."""
    problem = sf.Problem(
        network={"widths": [1, 1, 3, 1, 1], "activation": "relu"},
        data={"x": [["1/2"], ["1/3"]], "y": [[1], [1]]},
        init={"theta": ["-1/3", "1/5", "2/7", "-1/9", "1/3", "1/7", "-1/11", "2/3"]},
    )
    centre = np.array([[float(v) for v in problem.theta0]])
    assert decide(problem.objective, centre, np.array([0.01])).smooth[0]
    assert not decide(problem.objective, centre, np.array([0.4])).smooth[0]
