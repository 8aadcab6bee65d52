"""`certify`: what it decides agrees with closed forms and exact rationals, and it says so where it decides nothing."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import symflow as sf
from symflow.certificate.write import CHECKER

SCALARS = sf.Problem(
    network=sf.FullyConnected((1, 1, 1)), data={"x": [1], "y": [1]}, init={"theta": ["1/2", 1]}, run={"horizon": 4}
)
LINE = sf.Problem(network=sf.FullyConnected((1, 1)), data={"x": [1], "y": [1]}, init={"theta": [0]})


def deviation(k: int, eta: Fraction) -> float:
    """|(1 - eta)^k - e^(-eta k)|, for theta' = 1 - theta."""
    return abs(float((1 - eta) ** k) - math.exp(-float(eta * k)))


def test_the_distance_is_that_of_the_closed_form() -> None:
    eta, steps = Fraction(1, 10), 30
    largest = max(deviation(k, eta) for k in range(steps + 1))
    for factor, holds in ((1 + 1e-9, True), (1 - 1e-9, False)):
        cert = sf.certify(LINE, step_size=eta, steps=steps, distance=Fraction(largest * factor))
        assert cert.holds is holds
        assert cert.decisions[0].bound == pytest.approx(largest, rel=1e-12)


def test_what_is_too_close_is_not_decided() -> None:
    eta = Fraction(1, 2)
    exactly = Fraction(1, 2) ** 2  # f(theta_1) = (1/2) (1/2)^2, an exact rational on the boundary of balls
    cert = sf.certify(LINE, step_size=eta, steps=1, loss=exactly / 2)
    assert cert.holds in (True, None)
    lower = sf.certify(LINE, step_size=eta, steps=1, loss=exactly / 2 - Fraction(1, 10**30))
    assert lower.holds is not True


def test_losses_are_those_of_exact_descent() -> None:
    eta, a, b = Fraction(1, 10), Fraction(1, 2), Fraction(1)
    losses = []
    for _ in range(9):
        r = a * b - 1
        losses.append(r * r / 2)
        a, b = a - eta * r * b, b - eta * r * a
    for k in range(1, 9):
        reached = sf.certify(SCALARS, step_size=eta, steps=k, loss=losses[k] * Fraction(1001, 1000))
        missed = sf.certify(SCALARS, step_size=eta, steps=k, loss=losses[k] * Fraction(999, 1000))
        assert (reached.holds, missed.holds) == (True, False)


def test_the_flow_reaches_a_loss_when_the_closed_form_does() -> None:
    time = math.log(10)  # theta = 1 - e^(-t): f = e^(-2t)/2 = 1/200
    late, early = Fraction(time) + Fraction(1, 10**9), Fraction(time) - Fraction(1, 10**9)
    assert sf.certify(LINE, loss="1/200", flow_time=late).holds is True
    assert sf.certify(LINE, loss="1/200", flow_time=early).holds is False


def test_limits_are_those_of_conserved_quantities() -> None:
    """w_1 w_2 -> 1 with w_2^2 - w_1^2 = 3/4 kept: w_1^2 = (-3/4 + sqrt(9/16 + 4))/2."""
    square = (-0.75 + math.sqrt(0.5625 + 4)) / 2
    limit = [math.sqrt(square), 1 / math.sqrt(square)]
    assert sf.certify(SCALARS, limit=limit, radius="1/100").holds is True
    away = [limit[0] + 0.02, limit[1]]
    assert sf.certify(SCALARS, limit=away, radius="1/100").holds is False


def test_losses_stay_below_for_all_time() -> None:
    cert = sf.certify(SCALARS, step_size="1/10", steps=100, loss="1/1000000", stays_below=True)
    assert cert.holds is True
    assert cert.statement == "for a k <= 100, f(theta_j) <= 1/1000000 for all j >= k, and theta_j converges"
    momentum = sf.certify(
        SCALARS, step_size="1/10", steps=100, loss="1/1000", stays_below=True, method=sf.HeavyBall("1/2")
    )
    assert momentum.holds is None
    assert "heavy ball" in momentum.reason


def test_a_statement_of_several_claims_is_refuted_by_one() -> None:
    cert = sf.certify(SCALARS, step_size="1/10", distance="1/50", loss="1/1000000000000")
    assert cert.request.steps == 40  # to the horizon
    assert [d.holds for d in cert.decisions] == [True, False]
    assert cert.holds is False
    assert cert.statement == "f(theta_k) > 1/1000000000000 for all k <= 40"


def test_two_step_heavy_ball_is_compared_with_its_own_flow() -> None:
    """theta' = 2 (1 - theta); theta_1 = eta, theta_2 = theta_1 + eta/2 + eta (1 - theta_1)."""
    eta = Fraction(1, 10)
    second = eta + eta / 2 + eta * (1 - eta)
    apart = abs(float(second) - (1 - math.exp(-4 * float(eta))))
    first = abs(float(eta) - (1 - math.exp(-2 * float(eta))))
    cert = sf.certify(LINE, step_size=eta, steps=2, distance=1, method=sf.HeavyBall("1/2"))
    assert cert.decisions[0].bound == pytest.approx(max(apart, first), rel=1e-12)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({}, "nothing to prove"),
        ({"distance": 0, "steps": 1, "step_size": 1}, "distance must be positive, got 0"),
        ({"distance": 1}, "run.step_size"),
        ({"limit": [1, 1]}, "limit and radius go together"),
        ({"limit": [1], "radius": 1}, "limit must have the 2 parameters of the problem, got 1"),
        ({"flow_time": 1, "distance": 1}, "flow_time goes with loss"),
        ({"distance": 1, "step_size": 1, "steps": 0}, "steps must be a positive whole number, got 0"),
        ({"distance": 1, "step_size": 1, "steps": 1, "method": "adam"}, "method must be a Method"),
    ],
)
def test_what_cannot_be_asked_is_refused(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(sf.ProblemError, match=message) as wrong:
        sf.certify(SCALARS, **asked)
    assert "\n" not in str(wrong.value)


@pytest.mark.parametrize(
    ("problem", "reason"),
    [
        (sf.load_problem("examples/convolutional.toml"), "fully connected networks, not convolutional"),
        (
            sf.Problem(network={"widths": [1, 1, 1], "activation": "leaky-relu", "slope": "1/5"},
                       data={"x": [1], "y": [1]}, init={"theta": [1, "1/2"]},
                       loss={"kind": "expression", "expression": "(prediction - target)**4"}),
            "not expression",
        ),
    ],
)  # fmt: skip
def test_elsewhere_there_is_no_certificate(problem: sf.Problem, reason: str, tmp_path: Path) -> None:
    near = sf.certify(problem, step_size="1/100", steps=10, distance="1/10", loss=100, flow_time="1/20")
    far = sf.certify(problem, step_size="1/100", steps=10, distance="1/1000000000")
    assert (near.holds, far.holds) == (True, False)
    apart = sf.deviation(problem, step_size="1/100", horizon="1/10", dps=15)
    assert near.decisions[0].bound == pytest.approx(float(apart.max), rel=1e-12)
    for cert in (near, far):
        assert not cert.checkable
        assert reason in cert.not_checkable_because
        with pytest.raises(sf.ComputationError, match="no certificate to save"):
            cert.save(tmp_path / "theorem.json")
        with pytest.raises(sf.ComputationError, match="no certificate for a proof"):
            cert.latex()


def test_elsewhere_nothing_is_said_for_all_time() -> None:
    problem = sf.load_problem("examples/convolutional.toml")
    cert = sf.certify(problem, step_size="1/100", steps=5, loss=100, stays_below=True)
    assert (cert.holds, cert.checkable) == (None, False)
    assert "sf.limit" in cert.reason
    with pytest.raises(sf.ComputationError, match="no theorem"):
        cert.latex()


def test_a_kink_where_the_flow_stops_leaves_it_undecided() -> None:
    problem = sf.Problem(
        network={"widths": [1, 1, 1], "activation": "relu"}, data={"x": [1], "y": [1]}, init={"theta": [0, "-1"]}
    )
    cert = sf.certify(problem, loss="1/100", flow_time=1)
    assert cert.holds is None or cert.holds is False
    assert cert.holds is False or cert.reason


def test_saved_with_its_checker(tmp_path: Path) -> None:
    cert = sf.certify(SCALARS, step_size="1/10", distance="1/50")
    files = cert.save(tmp_path / "theorem.json")
    assert [f.name for f in files] == ["theorem.json", CHECKER]
    run = subprocess.run(
        [sys.executable, "-I", CHECKER, "theorem.json"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert run.stdout.splitlines()[-1] == "The statement is proved."
    assert json.loads((tmp_path / "theorem.json").read_text())["statement"] == cert.statement
    assert [f.name for f in cert.save(tmp_path / "again.json", checker=False)] == ["again.json"]
    assert cert._repr_markdown_().startswith("**Proved by computation:** $")
