"""The drift of laws: exact against recursions written by hand, and its leading order along long runs."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy

import symflow as sf
from symflow.errors import ProblemError

NETWORK = sf.FullyConnected((2, 2, 2))
OBJECTIVE = sf.network_objective(NETWORK, [[1, 0], [1, 2], [-1, 1]], [[1, 0], [0, 1], [1, 1]])
START = [Fraction(k, 7) for k in (3, -2, 5, 1, 4, -6, 2, 3)]
LAWS = sf.conservation_laws(NETWORK).laws
ETA = Fraction(1, 10)


def gradient(theta: Any, objective: sf.Objective = OBJECTIVE) -> np.ndarray:
    """g, exactly."""
    return np.array(list(sf.evaluate_exact(sf.gradient(objective), list(theta))), dtype=object)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_descent_drifts_by_eta_squared_times_the_law_of_the_gradient(law: sf.Law) -> None:
    theta = np.array(START, dtype=object)
    for _ in range(3):
        g = gradient(theta)
        moved = law(theta - ETA * g) - law(theta)
        assert moved == ETA**2 * law(g) == law.drift()(theta, g, ETA)
        assert moved != 0
        theta = theta - ETA * g


def by_hand(name: str, theta: np.ndarray, v: np.ndarray, g: np.ndarray) -> np.ndarray:
    """theta_{k+1} of a method with beta = 1/2 and lambda = 1/5."""
    beta, decay = Fraction(1, 2), Fraction(1, 5)
    if name in ("heavy ball", "nesterov"):
        return theta + beta * v - ETA * g
    if name == "coupled":
        return theta - ETA * (g + decay * theta)
    return (1 - ETA * decay) * theta + beta * v - ETA * g


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("heavy ball", sf.HeavyBall("1/2")),
        ("nesterov", sf.Nesterov("1/2")),
        ("coupled", sf.GradientDescent(weight_decay="1/5")),
        ("decoupled", sf.HeavyBall("1/2", weight_decay="1/5", decoupled=True)),
    ],
)
def test_other_methods_drift_as_their_recursions_say(name: str, method: sf.Method) -> None:
    theta, v = np.array(START, dtype=object), np.array(START[::-1], dtype=object)
    g = gradient(theta + Fraction(1, 2) * v) if name == "nesterov" else gradient(theta)
    for law in LAWS:
        expected = law(by_hand(name, theta, v, g)) - law(theta)
        carried = {"velocity": v} if method.carries else {}
        assert law.drift(method)(theta, g, ETA, **carried) == expected
        assert expected != 0
    if name == "coupled":
        law = LAWS[0]
        share = 1 - ETA / 5
        assert law.drift(method)(theta, g, ETA) == (share**2 - 1) * law(theta) + ETA**2 * law(g)


@pytest.mark.parametrize(
    ("method", "factor"),
    [
        (sf.GradientDescent(), Fraction(1)),
        (sf.HeavyBall("1/2"), Fraction(3, 2) / Fraction(1, 8)),  # (1 + beta)/nu^3
        (sf.Nesterov("1/2"), Fraction(1) / Fraction(1, 8)),  # (1 - beta + 2 beta^2)/nu^3
    ],
)
def test_the_leading_order_is_what_long_runs_show(method: sf.Method, factor: Fraction) -> None:
    """Per step, once the velocity follows theta: the rest is of the next order."""
    law, rest = LAWS[0], []
    found = law.drift(method)
    assert found.order == 2
    for steps, eta in ((60, Fraction(1, 500)), (120, Fraction(1, 1000))):
        run = sf.descend(
            sf.Problem(
                network=NETWORK,
                data={"x": [[1, 0], [1, 2], [-1, 1]], "y": [[1, 0], [0, 1], [1, 1]]},
                init={"theta": START},
                run={"horizon": 1, "step_size": eta, "dps": 40},
            ),
            step_size=eta,
            steps=steps,
            dps=40,
            method=method,
        )
        before, after = run.iterates[-2], run.iterates[-1]
        g = gradient([Fraction(int(v * 10**30), 10**30) for v in before])
        per_step = (law(after) - law(before)) * eta.denominator**2
        rest.append(abs(float(per_step) - float(factor * law(g))))
    assert rest[0] < 0.2 * abs(float(law(g) * factor))
    if isinstance(method, sf.GradientDescent):
        assert max(rest) < 1e-8  # iterates in float64
    else:
        assert 1.7 < rest[0] / rest[1] < 2.3


def test_the_leading_coefficient_is_a_program() -> None:
    from symflow.evaluate.interpret import interpret
    from symflow.evaluate.object_arrays import EXACT

    g, law = gradient(START), LAWS[1]
    for method, expected in (
        (sf.HeavyBall("1/2"), 12 * law(g)),
        (sf.GradientDescent(weight_decay="1/5"), -Fraction(2, 5) * law(START)),
    ):
        leading = law.drift(method).leading
        assert leading is not None
        given = {"theta": START, "direction": -g}
        values = {x: np.array(given.get(x.name, [0] * 8), dtype=object) for x in leading.inputs}
        assert interpret(leading, values, EXACT)["leading"][()] == expected


def test_linear_laws_do_not_drift() -> None:
    laws = sf.conservation_laws(NETWORK, loss="cross-entropy").laws
    objective = sf.network_objective(NETWORK, [[1, 0], [1, 2]], [[1, 0], [0, 1]], "cross-entropy")
    assert objective.sample_loss is not None
    law = next(law for law in laws if law.degree == 1)
    assert law.drift(sf.HeavyBall("1/2")).latex().endswith("= 0")


def test_adaptive_methods_drift_at_first_order() -> None:
    found = LAWS[0].drift(sf.RMSProp("9/10", "1/100"))
    assert found.order == 1
    assert found.leading is not None
    assert LAWS[0].drift(sf.HeavyBall("1/2", batches=sf.Batches(1))).leading is None


def test_errors() -> None:
    with pytest.raises(ProblemError, match=r"a method such as"):
        LAWS[0].drift("gd")  # type: ignore[arg-type]
    with pytest.raises(ProblemError, match="carries no velocity"):
        LAWS[0].drift()(START, START, ETA, velocity=START)
    with pytest.raises(ProblemError, match="8 numbers, got 2"):
        LAWS[0].drift()([1, 2], START, ETA)
    decayed = sf.conservation_laws
    with pytest.raises(ProblemError, match="without it"):
        decayed(OBJECTIVE.decayed(Fraction(1, 10)))


def test_what_a_drift_or_a_law_refuses_it_names() -> None:
    law = sf.conservation_laws(sf.FullyConnected((1, 1, 1))).laws[0]
    with pytest.raises(sf.ProblemError, match="must be rational to be exact"):
        law.drift(sf.Adam("9/10", "99/100", "1e-3"))([1, 2], [1, 1], "1/10")
    with pytest.raises(sf.ProblemError, match="needs a number for beta"):
        law.drift(sf.HeavyBall(sympy.Symbol("beta")))
    with pytest.raises(sf.ProblemError, match="P = 2 numbers, got 1"):
        law([1])
