"""Named problems: each against what is published of it, by closed forms that stand here."""

from __future__ import annotations

import json
from fractions import Fraction

import mpmath
import numpy as np
import pytest

import symflow as sf
from symflow.cli.app import main

NAMES = [x.name for x in sf.examples()]


@pytest.mark.parametrize("found", sf.examples(), ids=NAMES)
def test_every_example_says_what_it_is_and_where_from(found: sf.Example) -> None:
    problem = sf.example(found.name)
    assert problem.name == found.name
    assert problem.horizon is not None
    assert found.setting
    assert found.notes.startswith("Published: ")
    assert "arXiv" in found.source
    assert found.source.endswith(".")
    assert found.setting in repr(found)


def test_an_unknown_name_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(sf.ProblemError, match=r"^example: must be the name of an example, got 'diagnal'; did you "):
        sf.example("diagnal")
    with pytest.raises(sf.ProblemError, match=r"got 7; known are deep-linear-5, "):
        sf.example(7)  # type: ignore[arg-type]


def test_the_single_neuron_follows_its_closed_form() -> None:
    """theta.md, section 7, with lambda = w(0) = 1 and nu(0) = 0: nu = tanh t, w = cosh^2 t/(1 + t + sinh(2t)/2)."""
    flow = sf.solve_flow(sf.example("single-neuron"), horizon=2, dps=30)
    with mpmath.workdps(40):
        for t in (mpmath.mpf(1) / 2, mpmath.mpf(2)):
            nu, size = mpmath.tanh(t), mpmath.cosh(t) ** 2 / (1 + t + mpmath.sinh(2 * t) / 2)
            w1, w2, a = flow(t)
            assert abs(a * w2 - size * nu) < 1e-29
            assert abs(a * w1 + size * mpmath.sech(t)) < 1e-29
            assert abs(a**2 - w1**2 - w2**2) < 1e-29


def test_the_modes_of_the_deep_network_are_learned_one_after_another() -> None:
    """s' = 5 s^(8/5) (lambda - s) from 1/32: the time at which a mode has its value is an integral."""
    flow = sf.solve_flow(sf.example("deep-linear-5"), horizon=2, dps=15)
    power = mpmath.mpf(8) / 5
    with mpmath.workdps(20):
        for target, t in ((3, Fraction(1, 2)), (3, 1), (1, 1), (1, 2)):
            end = flow.end_to_end(t)
            s = end[0, 0] + (target - 2) * end[0, 1]
            took = mpmath.quad(lambda s, target=target: 1 / (5 * s**power * (target - s)), [mpmath.mpf(1) / 32, s])
            assert abs(took - mpmath.mpf(t.numerator) / t.denominator) < 1e-12
        end = flow.end_to_end(1)
        assert end[0, 0] + end[0, 1] > 2.85  # the mode of 3 is learned, that of 1 is not
        assert end[0, 0] - end[0, 1] < 0.1


def test_the_momentum_toy_is_heavy_ball_on_a_product() -> None:
    problem = sf.example("momentum-toy")
    assert problem.method == sf.HeavyBall("1/2")
    a, b = map(float, sf.solve_flow(problem, dps=15)(4))
    assert a * b == pytest.approx(0.6, abs=1e-7)
    assert b * b - a * a == pytest.approx(3.5**2 - 2.8**2, abs=1e-12)
    n_a, n_b = sf.descend(problem, steps=2000, every=2000).numpy(5)
    assert n_a * n_b == pytest.approx(0.6, abs=1e-6)
    assert n_b**2 + n_a**2 < b**2 + a**2  # at a flatter minimum


def test_the_diagonal_network_ends_at_the_least_hyperbolic_entropy() -> None:
    """u_i v_i = 2 alpha^2 sinh(c <x_i, p>) with X beta = y, which here is sinh(2s) + sinh(s) = 1/(2 alpha^2)."""
    limit = sf.limit(sf.solve_flow(sf.example("diagonal"), dps=20))
    beta = limit.center[:4] * limit.center[4:]
    with mpmath.workdps(20):
        s = mpmath.findroot(lambda s: mpmath.sinh(2 * s) + mpmath.sinh(s) - 200, 3)
        expected = [mpmath.sinh(2 * s) / 200, mpmath.sinh(s) / 200, mpmath.sinh(s) / 200, 0]
    assert max(abs(p - q) for p, q in zip(beta, expected, strict=True)) < 1e-14


def test_the_unseen_entry_of_the_matrix_grows_as_the_loss_falls() -> None:
    flow = sf.solve_flow(sf.example("matrix-completion"), horizon=20, dps=15)
    bounds = []
    for t in (5, 10, 20):
        w = flow.end_to_end(t)
        missed = mpmath.sqrt((w[0, 1] - 1) ** 2 + (w[1, 0] - 1) ** 2 + w[1, 1] ** 2)
        assert w[0, 0] * w[1, 1] > w[0, 1] * w[1, 0]
        bounds.append((1 - missed) ** 2 / missed)
        assert w[0, 0] >= bounds[-1]
    assert bounds[2] > 0.7 > 0.2 > bounds[0]


def test_the_sensed_matrix_is_nearer_than_the_one_of_least_norm() -> None:
    problem = sf.example("matrix-sensing")
    truth = np.outer([1, 0.5, -1], [1, -1, 0.5])
    found = sf.solve_flow(problem, horizon=60, dps=15).end_to_end(60).astype(float)
    identity = np.eye(3).ravel()
    theta = np.concatenate([truth.ravel(), identity, identity])
    assert float(sf.to_jax(sf.loss(problem.objective))(theta)) < 1e-30  # it is what was measured
    hessian = np.asarray(sf.to_jax(sf.hessian(problem.objective))(theta))[:9, :9]  # sum A_i A_i^T/m
    kernel = np.linalg.eigh(hessian)[1][:, :3]  # six measurements of nine numbers; least norm misses this part
    missed = np.linalg.norm(kernel.T @ truth.ravel())
    assert missed == pytest.approx(0.911, abs=1e-3)
    assert np.linalg.norm(found - truth) < missed / 2
    values = np.linalg.svd(found)[1]
    assert values[1] < 0.05 * values[0]


def test_the_three_points_are_those_of_the_paper() -> None:
    problem = sf.example("three-points")
    assert problem.x.ravel().tolist() == [Fraction(-3, 4), Fraction(-1, 2), Fraction(1, 8)]
    assert problem.y.ravel().tolist() == [Fraction(11, 10), Fraction(1, 10), Fraction(4, 5)]
    w, b, a = np.array(problem.theta0, dtype=float).reshape(3, 10)
    excess = np.abs(a) - np.hypot(w, b)
    assert np.all(excess >= 0)
    assert np.all(excess < 2e-9)
    assert problem.network.biases == (True, False)


def test_the_command_line_takes_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["examples", "--json"]) == 0
    assert [x["name"] for x in json.loads(capsys.readouterr().out)["examples"]] == NAMES
    assert main(["examples"]) == 0
    assert "deep-linear-5: a linear network of depth 5" in capsys.readouterr().out
    assert main(["flow", "example:single-neuron", "--dps", "15", "--at", "0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["theta"]["0"] == ["-1.0", "0.0", "1.0"]
    assert main(["flow", "example:single"]) == 2
    assert "did you mean single-neuron?" in capsys.readouterr().err
