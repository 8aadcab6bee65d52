"""The modified loss and the curl that forbids it; RMSProp and Adam (R28); batches in the mean over orders (R29)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial

import mpmath
import numpy as np
import pytest
import sympy

import symflow as sf
from symflow.dynamics.modified.potential import gradient, potential
from symflow.dynamics.modified.slow_manifold import slow_manifold
from symflow.dynamics.modified.step import stepped
from symflow.dynamics.modified.tree_series import part, plus
from symflow.dynamics.modified.trees import all_trees

X, Y = sympy.symbols("x y")
QUARTIC = sf.expression_objective(X**4 / 4 + X * Y**2 + Y**2 + Y, (X, Y))
THETA = np.array([Fraction(2, 3), Fraction(-1, 5)])
DECAY = {"weight_decay": "1/3"}
METHODS = {
    "gradient descent": sf.GradientDescent(),
    "gradient descent with decay": sf.GradientDescent(**DECAY),
    "heavy ball": sf.HeavyBall("1/2"),
    "nesterov": sf.Nesterov("2/3"),
    "coupled": sf.HeavyBall("1/2", **DECAY),
    "decoupled": sf.HeavyBall("1/2", decoupled=True, **DECAY),
    "heun": sf.RungeKutta([[], [1]], ["1/2", "1/2"]),
}


# The loss and the curl ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", METHODS)
def test_order_one_is_the_gradient_flow_of_the_modified_loss(name: str) -> None:
    equation = sf.modified_equation(QUARTIC, 1, METHODS[name])
    loss = equation.loss().function("1/7").explicit()
    field = equation.field("1/7").explicit()
    assert [sympy.expand(-loss.diff(v) - x) for v, x in zip((X, Y), field, strict=True)] == [0, 0]


def test_losses_in_words() -> None:
    beta = sympy.Symbol("beta")
    heavy = sf.modified_equation(QUARTIC, 1, sf.HeavyBall(beta)).loss().latex()
    assert heavy == r"\frac{1}{1-\beta}f+\eta\Bigl(\frac{1+\beta}{4(1-\beta)^{3}}\|g\|^2\Bigr)"
    decayed = sf.modified_equation(QUARTIC, 1, sf.GradientDescent(**DECAY)).loss().latex()
    assert decayed == (
        r"f+\tfrac{1}{6}\|\theta\|^2"
        r"+\eta\Bigl(\tfrac{1}{36}\|\theta\|^2+\tfrac{1}{4}\|g\|^2+\tfrac{1}{6}\langle g,\theta\rangle\Bigr)"
    )


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_the_curl_is_the_antisymmetric_part_of_the_jacobian(name: str, order: int) -> None:
    equation = sf.modified_equation(QUARTIC, order, METHODS[name])
    curl = equation.curl(order)
    jacobian = equation.terms[order].explicit().jacobian([X, Y])
    point = dict(zip((X, Y), map(sympy.Rational, map(str, THETA)), strict=True))
    bent = (jacobian - jacobian.T).subs(point)
    stated = curl.function.explicit().subs(point)
    directions = sorted(curl.function.explicit().free_symbols - {X, Y}, key=str)
    assert bool(curl) is (order >= 2)
    if not curl:
        assert bent == sympy.zeros(2, 2)
        assert curl.latex() == "0"
        return
    assert [str(d) for d in directions] == ["Delta_x", "Delta_y"]
    assert (bent * sympy.Matrix(directions) - stated).expand() == sympy.zeros(2, 1)
    assert bent != sympy.zeros(2, 2)


@pytest.mark.parametrize(
    ("method", "latex"),
    [
        (sf.GradientDescent(), r"-\tfrac{1}{6}[H,T[g]]"),
        (sf.HeavyBall(sympy.Symbol("beta")), r"-\frac{1}{6(1-\beta)^{3}}[H,T[g]]"),
        (sf.Nesterov(sympy.Symbol("beta")), r"-\frac{1-7\beta}{6(1-\beta)^{4}}[H,T[g]]"),
    ],
)
def test_no_loss_at_order_two(method: sf.Method, latex: str) -> None:
    equation = sf.modified_equation(QUARTIC, 2, method)
    assert equation.curl(2).latex() == latex
    with pytest.raises(sf.ProblemError, match="no modified loss exists at order 2") as refused:
        equation.loss()
    assert latex in str(refused.value)


def test_nesterovs_method_has_a_loss_at_order_two_for_one_momentum() -> None:
    """1 - 7 beta = 0: the loss of order 2 has the field as its gradient."""
    equation = sf.modified_equation(QUARTIC, 2, sf.Nesterov("1/7"))
    assert not equation.curl(2)
    loss, field = equation.loss().function("1/7").explicit(), equation.field("1/7").explicit()
    assert [sympy.expand(-loss.diff(v) - x) for v, x in zip((X, Y), field, strict=True)] == [0, 0]


def test_gradients_of_numbers_are_found_again_and_others_refused() -> None:
    """The unrooted trees of five vertices, with coefficients 1, 2, ...; one rooted tree more is not a gradient."""
    series, roots = {}, set()
    for t in all_trees(5):
        if t not in roots:
            roots |= set(gradient(t))
            series = plus(series, gradient(t), Fraction(len(roots), 7))
    found = potential(series)
    assert found is not None
    assert len(found) == 3  # the free trees with five vertices: OEIS A000055
    assert sorted(found.values()) == sorted({Fraction(c) for c in found.values()})
    for t in all_trees(5):
        assert potential(plus(series, {t: Fraction(1)})) is None


def test_heavy_ball_on_its_slow_manifold_is_gradient_descent_of_another_loss() -> None:
    """Cattaneo & Shigida 2025: its map is theta minus a gradient to all orders, though its flow is no gradient flow."""

    def is_gradient(method: sf.Method) -> list[bool]:
        moved = slow_manifold(partial(stepped, method, convert=Fraction), 6).moved
        return [potential(part(moved, n)) is not None for n in range(1, 7)]

    assert is_gradient(sf.HeavyBall("1/3")) == [True] * 6
    assert is_gradient(sf.Nesterov("1/3")) == [True, True, False, False, False, False]


# RMSProp and Adam ---------------------------------------------------------------------------------------------------


ADAPTIVE = {
    "rmsprop": sf.RMSProp("1/2", "1/10"),
    "adam": sf.Adam("1/3", "1/2", "1/10"),
    "coupled": sf.Adam("1/3", "1/2", "1/10", weight_decay="1/4"),
    "decoupled": sf.Adam("1/3", "1/2", "1/10", weight_decay="1/4", decoupled=True),
}
HISTORY = 80
"""Steps that the means see; 2^-80 of the rest is forgotten."""


def slope(theta: Sequence[mpmath.mpf]) -> list[mpmath.mpf]:
    x, y = theta
    return [x**3 + y**2, 2 * x * y + 2 * y + 1]


def one_step(method: sf.Adam | sf.RMSProp, past: list[list[mpmath.mpf]], eta: mpmath.mpf) -> list[mpmath.mpf]:
    """theta_{k+1}, its means those of the gradients at the points of the past, the last of which is theta_k."""
    beta, rho, epsilon, decay = (
        mpmath.mpf(q.numerator) / q.denominator
        for q in (getattr(method, "momentum", Fraction(0)), method.decay, method.epsilon, method.weight_decay)
    )
    mean, square = [mpmath.mpf(0)] * 2, [mpmath.mpf(0)] * 2
    for theta in past:
        g = [a + (0 if method.decoupled else decay) * b for a, b in zip(slope(theta), theta, strict=True)]
        mean = [beta * m + (1 - beta) * a for m, a in zip(mean, g, strict=True)]
        square = [rho * s + (1 - rho) * a**2 for s, a in zip(square, g, strict=True)]
    shrink = 1 - eta * decay if method.decoupled else 1
    return [shrink * a - eta * m / mpmath.sqrt(s + epsilon) for a, m, s in zip(past[-1], mean, square, strict=True)]


@pytest.mark.parametrize("name", ADAPTIVE)
@pytest.mark.parametrize("order", [0, 1])
def test_a_step_of_adaptive_methods_is_on_the_flow(name: str, order: int) -> None:
    """The means of a past on the solution itself: the step is off by O(eta^{p+2})."""
    method, errors = ADAPTIVE[name], []
    equation = sf.modified_equation(QUARTIC, order, method)
    with mpmath.workdps(45):
        for n in (200000, 400000):
            eta = Fraction(1, n)
            flow = sf.solve_field(equation.field(eta), THETA, horizon=(HISTORY + 1) * eta, dps=35, error=None)
            past = [list(flow(k * eta)) for k in range(HISTORY + 1)]
            new = one_step(method, past, mpmath.mpf(1) / n)
            after = flow((HISTORY + 1) * eta)
            errors.append(mpmath.norm([a - b for a, b in zip(new, after, strict=True)]))
        assert abs(mpmath.log(errors[0] / errors[1], 2) - (order + 2)) < 0.05


def test_adam_with_bias_correction_starts_on_its_flow() -> None:
    equation = sf.modified_equation(QUARTIC, 1, ADAPTIVE["adam"])
    assert (sf.evaluate_exact(equation.start("1/10"), THETA) == THETA).all()
    assert equation.start_latex() == r"\theta(0) = \theta_0"
    for method in (ADAPTIVE["rmsprop"], sf.Adam("1/3", "1/2", "1/10", bias_correction=False)):
        with pytest.raises(sf.ProblemError, match="without bias correction"):
            sf.modified_equation(QUARTIC, 1, method).start("1/10")


def test_what_adaptive_methods_show_and_refuse() -> None:
    equation = sf.modified_equation(QUARTIC, 1, sf.Adam("1/2", "3/4", "1/10"))
    assert equation.citation.id == "R28"
    assert r"\Bigl(-4+7\frac{\varepsilon}{R^2}\Bigr)\frac{1}{2R}\,Hu" in equation.latex()  # a = 3, b = 7
    with pytest.raises(sf.BudgetError, match="known to order 1, got order 2"):
        sf.modified_equation(QUARTIC, 2, sf.Adam("1/2", "3/4", "1/10"))
    with pytest.raises(sf.ProblemError, match="epsilon inside the root"):
        sf.modified_equation(QUARTIC, 1, sf.RMSProp("1/2", "1/10", epsilon_inside=False))
    with pytest.raises(sf.ProblemError, match="no modified loss"):
        equation.loss()
    with pytest.raises(sf.ProblemError, match="not a sum of elementary differentials"):
        _ = equation.coefficients


# Batches ------------------------------------------------------------------------------------------------------------


def samples(count: int, below: int = 1) -> sf.Problem:
    """A network with so many samples, linear or, with the slope 0 below 0, of ReLU."""
    x = [[Fraction(k + 1, 2), Fraction((-1) ** k, k + 1)] for k in range(count)]
    y = [[Fraction(k * k - 3, 4)] for k in range(count)]
    weights = [Fraction(1, 2), Fraction(-1, 3), Fraction(2, 5), Fraction(1), Fraction(-1, 2), Fraction(3, 4)]
    network = sf.FullyConnected((2, 2, 1), alpha_bar=below)
    return sf.Problem(network=network, data={"x": x, "y": y}, init={"theta": weights})


def second_order(problem: sf.Problem, end: np.ndarray, eta: Fraction, m: int) -> np.ndarray:
    """What an epoch adds to theta - m eta g + (m eta)^2 H g/2, over m eta^2: F_1 + O(eta)."""
    theta = np.array(problem.theta0, dtype=object)
    g = sf.evaluate_exact(sf.gradient(problem.objective), theta)
    h = sf.evaluate_exact(sf.hessian(problem.objective), theta)
    return (end - theta + m * eta * g - (m * eta) ** 2 * h.dot(g) / 2) / (m * eta**2)


def size(x: np.ndarray) -> Fraction:
    return sum((abs(v) for v in x), Fraction(0))


@pytest.mark.parametrize("m", [1, 2, 3, 4, 5])
def test_the_mean_over_all_orders_follows_the_modified_loss(m: int) -> None:
    """In exact rationals: the defect is O(eta^3), and the coefficient of (eta/m) sum ||grad f_k||^2 is 1/4."""
    problem, method = samples(m), sf.GradientDescent(batches=sf.Batches(1))
    theta = np.array(problem.theta0, dtype=object)
    stated = sf.modified_equation(problem.objective, 1, method).over_orders()
    first = sf.evaluate_exact(stated.terms[1], theta)
    slope_of_loss = sf.evaluate_exact(sf.modified_equation(problem.objective, 1, method).terms[0], theta)
    assert (slope_of_loss == -sf.evaluate_exact(sf.gradient(problem.objective), theta)).all()
    gaps, ratios = [], []
    for eta in (Fraction(1, 10**4), Fraction(1, 2 * 10**4)):
        end = sf.epoch_orders(problem, step_size=eta, method=method).mean
        found = second_order(problem, end, eta, m)
        gaps.append(size(found - first))
        ratios.append(found.dot(first) / first.dot(first) / 4)
    if m == 1:  # the mean is one step, whose flow has no other term of order eta^2
        assert gaps == [0, 0]
    else:
        assert abs(float(gaps[0] / gaps[1]) - 2) < 0.01
    exact = 2 * ratios[1] - ratios[0]  # without the term of order eta
    assert abs(exact - Fraction(1, 4)) < 1e-5
    assert abs(exact - Fraction(101, 400)) > 1e-3


LISTED = [[0, 1], [1, 2], [2, 3], [3, 0]]


@pytest.mark.parametrize("batches", [sf.Batches(1), sf.Batches(2), sf.Batches(3), sf.Batches(order=LISTED)])
def test_batches_in_their_own_order(batches: sf.Batches) -> None:
    problem, method = samples(4), sf.GradientDescent(batches=batches)
    m = batches.epoch(4)
    theta = np.array(problem.theta0, dtype=object)
    terms = [sf.evaluate_exact(t, theta) for t in sf.modified_equation(problem.objective, 1, method).terms]
    gaps = []
    for eta in (Fraction(1, 10**4), Fraction(1, 2 * 10**4)):
        run = sf.epoch_orders(problem, step_size=eta, method=method)
        assert run.orders[0] == tuple(range(m))
        mean_slope = (run.ends[0] - theta) / (m * eta)
        assert size(mean_slope - terms[0]) < 1
        half = np.array([Fraction(0)] * len(theta))  # F_0' F_0 / 2 by the field itself
        moved = [sf.evaluate_exact(sf.modified_equation(problem.objective, 0, method).terms[0], theta + s * terms[0])
                 for s in (Fraction(1, 10**9), Fraction(-1, 10**9))]  # fmt: skip
        half = (moved[0] - moved[1]) * 10**9 / 4
        gaps.append(size((run.ends[0] - theta - m * eta * terms[0] - (m * eta) ** 2 * half) / (m * eta**2) - terms[1]))
    assert abs(float(gaps[0] / gaps[1]) - 2) < 0.01


def test_epochs_of_a_network_with_gates_follow_their_flow() -> None:
    """Inside a smooth region the defect of an epoch is O(eta^3), also where its batches are not of one size."""
    problem, method = samples(4, below=0), sf.GradientDescent(batches=sf.Batches(3))
    gaps = []
    for eta in (Fraction(1, 4000), Fraction(1, 8000)):
        found = sf.deviation(problem, step_size=eta, horizon=2 * eta, dps=25, method=method, order=1)
        assert not found.flow.events
        gaps.append(found.values[-1])
    assert abs(float(gaps[0] / gaps[1]) - 8) < 0.1


def test_shuffled_batches_are_the_mean_over_all_ways_of_cutting() -> None:
    """Two batches of two of four samples: three partitions, each in both orders."""
    problem, eta = samples(4), Fraction(1, 10**5)
    method = sf.GradientDescent(batches=sf.Batches(2, order="shuffled"))
    theta = np.array(problem.theta0, dtype=object)
    first = sf.evaluate_exact(sf.modified_equation(problem.objective, 1, method).terms[1], theta)
    partitions = [[[0, 1], [2, 3]], [[0, 2], [1, 3]], [[0, 3], [1, 2]]]
    ends = [
        sf.epoch_orders(problem, step_size=eta, method=sf.GradientDescent(batches=sf.Batches(order=p))).mean
        for p in partitions
    ]
    found = second_order(problem, sum(ends) / Fraction(3), eta, 2)
    assert size(found - first) < Fraction(1, 100) * size(first)
    whole = sf.evaluate_exact(sf.modified_equation(problem.objective, 1).terms[1], theta)
    assert size(found - whole) > Fraction(1, 10) * size(first)


@pytest.mark.parametrize("batches", [sf.Batches(1, order="shuffled"), sf.Batches(2, order="shuffled")])
def test_the_mean_is_the_gradient_flow_of_its_loss(batches: sf.Batches) -> None:
    problem = samples(4)
    equation = sf.modified_equation(problem.objective, 1, sf.GradientDescent(batches=batches))
    loss = replace(problem.objective, program=equation.loss().function("1/7").program, network=None)
    theta = np.array(problem.theta0, dtype=object)
    terms = [sf.evaluate_exact(t, theta) for t in equation.terms]
    assert (sf.evaluate_exact(sf.gradient(loss), theta) == -terms[0] - terms[1] / 7).all()


def test_what_batches_show_and_refuse() -> None:
    problem = samples(4)

    def equation(**settings: object) -> sf.ModifiedEquation:
        return sf.modified_equation(problem.objective, 1, sf.GradientDescent(**settings))

    cyclic = equation(batches=sf.Batches(1))
    assert cyclic.citation.id == "R29"
    assert r"\sum_{j<k\le m}H_kg_j" in cyclic.latex()
    assert cyclic.over_orders().latex().count(r"\tfrac{1}{m}\sum_kH_kg_k") == 1
    with pytest.raises(sf.ProblemError, match="no modified loss at order 1"):
        cyclic.loss()
    with pytest.raises(sf.ProblemError, match="choose a size that divides 4"):
        equation(batches=sf.Batches(3, order="shuffled"))
    with pytest.raises(sf.ProblemError, match="without weight decay"):
        equation(batches=sf.Batches(1), weight_decay="1/10")
    with pytest.raises(sf.ProblemError, match="batches that every epoch has"):
        equation(batches=sf.Batches(1, order="shuffled")).over_orders()
    with pytest.raises(sf.BudgetError, match="known to order 1"):
        sf.modified_equation(problem.objective, 2, sf.GradientDescent(batches=sf.Batches(1)))
    drawn = equation(batches=sf.Batches(2, order="with-replacement"))
    plain = sf.modified_equation(problem.objective, 1)
    theta = np.array(problem.theta0, dtype=object)
    for a, b in zip(drawn.terms, plain.terms, strict=True):
        assert (sf.evaluate_exact(a, theta) == sf.evaluate_exact(b, theta)).all()


@pytest.mark.parametrize("batches", [sf.Batches(3), sf.Batches(order=[[0], [0, 1]])])
def test_the_loss_of_batches_of_several_sizes_is_the_mean_of_theirs(batches: sf.Batches) -> None:
    """Not f: each sample of a smaller batch counts more."""
    problem, method = samples(4), sf.GradientDescent(batches=batches)
    theta = np.array(problem.theta0, dtype=object)
    equation = sf.modified_equation(problem.objective, 1, method).over_orders()
    terms = [sf.evaluate_exact(t, theta) for t in equation.terms]
    loss = replace(problem.objective, program=equation.loss().function("1/7").program, network=None)
    assert (sf.evaluate_exact(sf.gradient(loss), theta) == -terms[0] - terms[1] / 7).all()
