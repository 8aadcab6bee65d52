"""What descent is compared with: a method's own flow, its modified equation from the slow manifold, what dies out."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy

import symflow as sf

ETA, STEPS = Fraction(1, 40), 60


def quadratic() -> sf.Problem:
    """f = 3 x^2 / 2 from 7/5."""
    x = sympy.Symbol("x")
    return sf.Problem(objective=sf.expression_objective(sympy.Rational(3, 2) * x**2, [x]), theta0=["7/5"])


def network() -> sf.Problem:
    return sf.Problem(network=sf.FullyConnected((1, 1, 1)), data={"x": [1], "y": [1]}, init={"theta": ["1/2", 1]})


def slow_part(beta: Fraction, scaled: Fraction) -> tuple[mpmath.mpf, mpmath.mpf]:
    """Heavy ball from rest on h x^2/2, scaled = eta h: (mu, c) with the slow part c mu^k x_0 of theta_k, from
    mu^2 - (1 + beta - eta h) mu + beta = 0 and theta_{-1} = theta_0."""
    b, s = mpmath.mpf(beta.numerator) / beta.denominator, mpmath.mpf(scaled.numerator) / scaled.denominator
    root = mpmath.sqrt((1 + b - s) ** 2 - 4 * b)
    fast, slow = (1 + b - s - root) / 2, (1 + b - s + root) / 2
    return slow, (1 - s - fast) / (slow - fast)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_start_and_transient_on_a_quadratic(order: int) -> None:
    """theta_k = c mu^k + d nu^k: the flow of high order starts at c x_0 and the transient is the part with nu."""
    beta = Fraction(1, 4)
    dev = sf.deviation(quadratic(), step_size=ETA, horizon="3/2", dps=30, method=sf.HeavyBall(beta), order=order)
    assert dev.order == order
    assert dev.transient is not None
    with mpmath.workdps(40):
        mu, c = slow_part(beta, 3 * ETA)
        small = (0.075 / (1 - 0.5) ** 2) ** (order + 1)  # the series converge for eta h < (1 - sqrt(beta))^2 (R25)
        x0 = mpmath.mpf(7) / 5
        assert abs(dev.flow(0)[0] - c * x0) < small
        for k in (0, 1, 2, 5):
            slow = c * mu**k * x0
            gone = abs(dev.run.iterates[k][0] - slow)
            assert abs(dev.transient[k] - gone) < 0.3 * small
        assert abs(dev.flow(1)[0] - c * mu**40 * x0) < small


@pytest.mark.parametrize(
    "method",
    [
        sf.GradientDescent(),
        sf.GradientDescent(weight_decay="1/10"),
        sf.HeavyBall("1/2"),
        sf.HeavyBall("1/2", weight_decay="1/5", decoupled=True),
        sf.Nesterov("1/2", weight_decay="1/5"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("order", [0, 1])
def test_leading_order_of_every_method(method: sf.Method, order: int) -> None:
    """R18 / deviation - 1 is O(eta), at early steps (transient included) and late ones."""
    errors = []
    for eta in ("1/100", "1/400"):
        dev = sf.deviation(network(), step_size=eta, horizon="1/4", dps=20, method=method, order=order)
        leading = dev.bounds["R18"]
        assert leading.reason is None
        apart = [abs(float(leading.values[i] / dev.values[i]) - 1) for i in (3, len(dev.values) - 1)]
        errors.append(max(apart))
    assert errors[1] < max(0.45 * errors[0], 0.03), errors
    assert errors[1] < 0.12


def test_bounds_apply_by_name() -> None:
    """R4 and R22 hold for gradient descent with weight decay on f + lambda/2 ||theta||^2; not for momentum, not for
    higher orders."""
    decayed = sf.deviation(network(), step_size=ETA, horizon=1, dps=15, method=sf.GradientDescent(weight_decay="1/3"))
    assert decayed.compared_with == "theta' = -grad f(theta) - 1/3 theta, gradient descent with weight decay to order 0"
    for name in ("R4", "R22"):
        values = decayed.bounds[name].values
        assert all(b >= v for b, v in zip(values, decayed.values, strict=True)), name
    heavy = sf.deviation(network(), step_size=ETA, horizon=1, dps=15, method=sf.HeavyBall("1/2"))
    plain = sf.deviation(network(), step_size=ETA, horizon=1, dps=15, order=1)
    assert "one of heavy ball" in heavy.bounds["R4"].reason
    assert "distance from gradient flow" in plain.bounds["R22"].reason
    assert plain.transient is None
    assert plain.on_manifold == plain.values
    zero = sf.deviation(network(), step_size=ETA, horizon=1, dps=15, order=0)
    assert zero.values == sf.deviation(network(), step_size=ETA, horizon=1, dps=15).values


def test_adam_is_compared_with_its_sign_like_flow() -> None:
    """theta' = -g / sqrt(g^2 + epsilon), integrated here by mpmath."""
    method = sf.Adam(momentum="1/2", decay="1/2", epsilon="1/10")
    dev = sf.deviation(quadratic(), step_size="1/200", horizon="1/2", dps=15, method=method)
    assert dev.compared_with == "the modified equation of Adam to order 0"
    with mpmath.workdps(25):
        g = mpmath.odefun(lambda t, x: -3 * x / mpmath.sqrt(9 * x * x + mpmath.mpf(1) / 10), 0, mpmath.mpf(7) / 5)
        assert abs(dev.flow("1/2")[0] - g(mpmath.mpf(1) / 2)) < 1e-15
    assert float(dev.max) < 0.01
    assert dev.bounds["R18"].status == "not applicable"
    assert dev.transient is None


def test_from_a_kink_the_leading_order_is_not_known() -> None:
    """A unit whose weights are 0 rests on the kinks of all samples; a zero sample, on kinks everywhere, is none."""

    def relu(theta: list[str], x: list[list[str]]) -> sf.Deviation:
        network = sf.FullyConnected((2, 2, 1), 1, "1/5")
        p = sf.Problem(network=network, data={"x": x, "y": [["1"], ["-1/4"]]}, init={"theta": theta})
        return sf.deviation(p, step_size=ETA, horizon="1/4", dps=15, method=sf.HeavyBall("1/2"), order=1)

    x = [["1/2", "3/10"], ["7/10", "1"]]
    resting = relu(["3/10", "1/5", "0", "0", "1/2", "0"], x)
    assert "descent starts on a kink" in resting.bounds["R18"].reason
    smooth = ["3/10", "1/5", "1/4", "2/5", "1/2", "1/3"]
    assert relu(smooth, x).bounds["R18"].reason is None
    assert relu(smooth, [["0", "0"], x[1]]).bounds["R18"].reason is None


def test_what_is_refused() -> None:
    p = network()
    flow = sf.solve_flow(p, horizon=1, dps=15)
    with pytest.raises(sf.ProblemError, match="flow can be given where descent is compared with a gradient flow"):
        sf.deviation(p, step_size=ETA, horizon=1, dps=15, flow=flow, order=1)
    with pytest.raises(sf.ProblemError, match="order must be"):
        sf.deviation(p, step_size=ETA, horizon=1, dps=15, order=-1)
    with pytest.raises(sf.BudgetError, match="to order 9 at most"):
        sf.deviation(p, step_size=ETA, horizon=1, dps=15, order=99)
    run = np.array([[0.5, 1.0], [0.51, 1.0], [0.52, 1.01]])
    given = sf.deviation(p, step_size=ETA, horizon=1, dps=15, run=run, method=sf.HeavyBall("1/2"))
    assert "has no velocity" in given.bounds["R18"].reason
