"""For all time (R24): limits against closed forms, exact rationals and much longer flows; what must be refused is."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import pairwise
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy

import symflow as sf

DIGITS = 60


def scalars(a: str, b: str, target: str) -> sf.Problem:
    """f = (b a - target)^2/2."""
    return sf.Problem(
        network=sf.FullyConnected((1, 1, 1)), data={"x": [1], "y": [target]}, init={"theta": [a, b]}
    )  # fmt: skip


def rationals(rng: random.Random, *shape: int) -> np.ndarray:
    return np.array([Fraction(rng.randint(-20, 20), 10) for _ in range(int(np.prod(shape)))], dtype=object).reshape(
        shape
    )


def drawn(widths: tuple[int, ...], samples: int, seed: int, **network: Any) -> sf.Problem:
    """A network with random rational data and weights of moderate size."""
    rng = random.Random(seed)
    x, y = rationals(rng, samples, widths[0]), rationals(rng, samples, widths[-1])
    made = sf.FullyConnected(widths, **network)
    count = sum(a * b for a, b in pairwise(widths))
    theta = [Fraction(rng.randint(-12, 12), 10) for _ in range(count)]
    return sf.Problem(network=made, data={"x": x, "y": y}, init={"theta": theta})


def distance(a: Any, b: Any) -> Any:
    with mpmath.workdps(DIGITS + 20):
        return mpmath.sqrt(mpmath.fsum((mpmath.mpf(x) - y) ** 2 for x, y in zip(a, b, strict=True)))


def exact(values: Any) -> list[Any]:
    with mpmath.workdps(DIGITS + 20):
        return [mpmath.mpf(int(v.numerator)) / int(v.denominator) for v in map(Fraction, values)]


# Closed forms ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("a", "b", "target"), [("1/2", "1", "1"), ("-1", "1/3", "2"), ("3/4", "-1/5", "-3/2")])
def test_two_scalars_converge_where_the_difference_of_squares_is_conserved(a: str, b: str, target: str) -> None:
    """b^2 - a^2 = c for ever and a b = target at the end: a^2 = (sqrt(c^2 + 4 target^2) - c)/2."""
    problem = scalars(a, b, target)
    found = sf.limit(sf.solve_flow(problem, horizon=60, dps=50))
    with mpmath.workdps(DIGITS + 20):
        (start, up), goal = exact([a, b]), exact([target])[0]
        c = up**2 - start**2
        first = mpmath.sqrt((mpmath.sqrt(c**2 + 4 * goal**2) - c) / 2)
        true = max(((s * first, goal / (s * first)) for s in (1, -1)), key=lambda p: -distance(p, found.center))
        assert distance(true, found.center) <= found.radius < mpmath.mpf(10) ** -49
        sharp = true[0] ** 2 + true[1] ** 2  # the Hessian there is v v^T, v = (b, a)
        assert found.sharpness.lower <= sharp <= found.sharpness.upper
        assert found.sharpness.radius < 1e-40
        assert 0.999 * sharp < found.rate <= sharp
        assert (found.loss.lower, found.loss.upper) == (0, 0)


@pytest.mark.parametrize("seed", range(4))
def test_least_squares_by_exact_rationals(seed: int) -> None:
    """One layer, more samples than inputs: W = Lambda Sigma^{-1}, f* exact."""
    problem = drawn((3, 2), 5, seed)
    x, y = sympy.Matrix(problem.x.tolist()).T, sympy.Matrix(problem.y.tolist()).T
    true = y * x.T * (x * x.T).inv()
    least = ((true * x - y) * (true * x - y).T).trace() / 10
    found = sf.limit(problem, horizon=0, dps=50)
    assert found.kind == "isolated"
    assert found.how == "certified"
    assert distance(found.center, exact([Fraction(int(v.p), int(v.q)) for v in true])) <= found.radius < 1e-48
    with mpmath.workdps(80):
        value = mpmath.mpf(int(least.p)) / int(least.q)
        assert found.loss.lower <= value <= found.loss.upper
        assert found.loss.radius < 1e-40


@pytest.mark.parametrize("seed", range(3))
def test_dependent_inputs_converge_to_the_nearest_least_squares_solution(seed: int) -> None:
    """One layer, Sigma of rank 2 in 3 dimensions: W(inf) = W* + (W(0) - W*)(I - Sigma^+ Sigma)."""
    problem = drawn((3, 1), 4, seed)
    data = problem.x.copy()
    data[:, 2] = data[:, 0] - 2 * data[:, 1]
    problem = sf.Problem(
        network=sf.FullyConnected((3, 1)), data={"x": data, "y": problem.y}, init={"theta": problem.theta0}
    )  # fmt: skip
    x, y = sympy.Matrix(data.tolist()).T, sympy.Matrix(problem.y.tolist()).T
    sigma = x * x.T
    inverse = sigma.pinv()
    start = sympy.Matrix([list(problem.theta0)])
    true = y * x.T * inverse + start * (sympy.eye(3) - inverse * sigma)
    found = sf.limit(sf.solve_flow(problem, horizon=900, dps=40))
    assert found.kind == "linear"
    assert distance(found.center, exact([Fraction(int(v.p), int(v.q)) for v in true])) <= found.radius < 1e-38
    rest = true * x - y
    least = (rest * rest.T).trace() / 8
    assert found.loss.lower <= exact([Fraction(int(least.p), int(least.q))])[0] <= found.loss.upper


def test_a_quadratic_and_the_rate_of_descent_on_it() -> None:
    """f = (3 a^2 + b^2)/2 - a: the minimum (1/3, 0), mu = 1, beta = 3."""
    a, b = sympy.symbols("a b")
    problem = sf.Problem(objective=sf.expression_objective((3 * a**2 + b**2) / 2 - a, [a, b]), theta0=[1, 1])
    flow = sf.limit(problem, horizon=0, dps=50)
    run = sf.limit(problem, step_size="1/3", dps=50)
    for found in (flow, run):
        assert distance(found.center, exact([Fraction(1, 3), 0])) <= found.radius < 1e-48
        assert 1 - 1e-15 < found.rate <= 1
        assert 3 <= found.curvature < 3 + 1e-12
        assert found.how == "certified"
    assert flow.factor is None
    with mpmath.workdps(30):
        assert 0 <= run.factor - mpmath.mpf(2) / 3 < 1e-12  # 1 - eta mu (2 - eta beta) at eta = 1/3
        assert found.length >= 2 * distance([1, 1], exact([Fraction(1, 3), 0]))


def test_a_minimum_between_transcendental_functions() -> None:
    """f = e^x - 2x: x = log 2, f* = 2 - 2 log 2, f'' = 2 there."""
    x = sympy.Symbol("x")
    problem = sf.Problem(objective=sf.expression_objective(sympy.exp(x) - 2 * x, [x]), theta0=["7/10"])
    found = sf.limit(problem, horizon=0, dps=100)
    with mpmath.workdps(120):
        assert abs(found.center[0] - mpmath.log(2)) <= found.radius < mpmath.mpf(10) ** -99
        assert found.loss.lower <= 2 - 2 * mpmath.log(2) <= found.loss.upper
        assert found.sharpness.lower <= 2 <= found.sharpness.upper


def test_the_logistic_loss_has_isolated_minima_where_classes_overlap() -> None:
    """Three samples x = 1 labelled 1 and one labelled -1: w = log 3."""
    data = {"x": [1, 1, 1, 1], "y": [1, 1, 1, -1]}
    problem = sf.Problem(network=sf.FullyConnected((1, 1)), loss="logistic", data=data, init={"theta": [1]})
    found = sf.limit(problem, horizon=0, dps=40)
    with mpmath.workdps(60):
        assert abs(found.center[0] - mpmath.log(3)) <= found.radius < mpmath.mpf(10) ** -39


@pytest.mark.parametrize(("a", "b"), [("1/2", "1"), ("1", "1/3")])
def test_two_scalars_and_the_logistic_loss_by_what_they_conserve(a: str, b: str) -> None:
    """w = b a = log 3 as above, b^2 - a^2 = c: from a flow that has come within 1e-5, to 40 digits."""
    data = {"x": [1, 1, 1, 1], "y": [1, 1, 1, -1]}
    problem = sf.Problem(network=sf.FullyConnected((1, 1, 1)), loss="logistic", data=data, init={"theta": [a, b]})
    found = sf.limit(sf.solve_flow(problem, horizon=40, dps=45))
    assert found.kind == "symmetric"
    assert found.length > 1e-12
    with mpmath.workdps(80):
        (start, up), goal = exact([a, b]), mpmath.log(3)
        c = up**2 - start**2
        first = mpmath.sqrt((mpmath.sqrt(c**2 + 4 * goal**2) - c) / 2)
        assert distance((first, goal / first), found.center) <= found.radius < mpmath.mpf(10) ** -40
        least = 3 * mpmath.log(1 + mpmath.exp(-goal)) / 4 + mpmath.log(1 + mpmath.exp(goal)) / 4
        assert found.loss.lower <= least <= found.loss.upper
        assert found.loss.radius < 1e-40


@pytest.mark.parametrize("seed", range(3))
def test_a_bottleneck_converges_to_the_best_rank_one_map(seed: int) -> None:
    """Where the least squares value is not attained: reduced-rank regression, by the singular values of V Sigma^1/2."""
    problem = drawn((3, 1, 3), 6, seed)
    found = sf.limit(sf.solve_flow(problem, horizon=60, dps=30))
    assert found.kind == "symmetric"
    x, y = np.array(problem.x, dtype=float).T, np.array(problem.y, dtype=float).T
    solution = y @ np.linalg.pinv(x)
    values = np.linalg.svd(solution @ x, compute_uv=False)
    least = (np.sum((solution @ x - y) ** 2) + np.sum(values[1:] ** 2)) / 12
    assert float(found.loss.midpoint) == pytest.approx(least, rel=1e-12)
    longer = sf.solve_flow(problem, horizon=240, dps=40)
    with mpmath.workdps(DIGITS):
        left = found.length * mpmath.exp(-found.rate * 180)
        assert distance(longer.at_end(), found.center) <= found.radius + left + mpmath.mpf(10) ** -38


# Against much longer flows --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("widths", "samples", "slopes", "seed"),
    [
        ((2, 2, 1), 2, (1, 1), 0),
        ((2, 2, 1), 4, (1, 1), 1),
        pytest.param((2, 3, 2), 2, (1, 1), 2, marks=pytest.mark.thorough),
        ((2, 2, 2, 1), 5, (1, 1), 3),
        ((3, 4, 1), 2, (1, 0), 4),
        ((3, 4, 1), 2, (1, 0), 5),
        pytest.param((2, 4, 1), 2, (1, "1/5"), 10, marks=pytest.mark.thorough),
        ((2, 3, 1), 3, ("3/2", "3/2"), 8),
        pytest.param((2, 4, 1), 2, (1, "1/5"), 14, marks=pytest.mark.thorough),
        ((2, 4, 1), 2, (1, "1/5"), 16),
        ((2, 2, 1), 5, (1, 0), 2),
    ],
)
def test_a_longer_flow_ends_in_the_ball(widths: tuple[int, ...], samples: int, slopes: Any, seed: int) -> None:
    """From a short flow with 20 digits; the end of a flow ten times as long, at 60 digits, as close as it must be."""
    problem = drawn(widths, samples, seed, alpha=slopes[0], alpha_bar=slopes[1])
    found, horizon = None, 10
    while found is None:
        try:
            found = sf.limit(sf.solve_flow(problem, horizon=horizon, dps=20))
        except sf.LimitUnknown:
            horizon *= 2
    longer = sf.solve_flow(problem, horizon=4 * horizon, dps=DIGITS)
    with mpmath.workdps(DIGITS):
        left = found.length * mpmath.exp(-found.rate * 3 * horizon)
        away = distance(longer.at_end(), found.center)
        assert away <= found.radius + left
        loss = sf.evaluate_mpmath(sf.loss(problem.objective), longer.at_end(), dps=DIGITS)
        excess = found.excess * mpmath.exp(-2 * found.rate * 3 * horizon)
        assert loss - found.loss.upper <= excess + mpmath.mpf(10) ** -50
        at_horizon = sf.solve_flow(problem, horizon=horizon, dps=30).at_end()
        assert distance(at_horizon, longer.at_end()) <= found.length + left  # the rest of the path
        if not mpmath.isfinite(found.sharpness.radius):  # the limit may lie on a kink
            return
        sharp = sf.extreme_eigenvalues(problem.objective, np.array(longer.at_end(), dtype=float)).max
        assert found.sharpness.lower - 1e-9 <= sharp <= found.sharpness.upper + 1e-9


def test_a_rate_inflated_by_a_tenth_would_exclude_the_limit() -> None:
    """The checks above can fail: for two scalars the rest of the path is nearly as long as it is said to be at most."""
    problem = scalars("1/2", "1", "1")
    found = sf.limit(sf.solve_flow(problem, horizon=6, dps=30))
    limit = sf.limit(sf.solve_flow(problem, horizon=40, dps=30)).center
    with mpmath.workdps(DIGITS):
        away = distance(limit, found.start)
        assert away <= found.length < away * mpmath.sqrt("1.1")


@pytest.mark.parametrize("seed", range(3))
def test_descent_ends_in_the_ball(seed: int) -> None:
    problem = drawn((2, 2, 1), 2, seed)
    found = sf.limit(sf.descend(problem, step_size="1/20", steps=800, dps=25))
    assert found.step_size == Fraction(1, 20)
    assert found.time == 40
    longer = sf.descend(problem, step_size="1/20", steps=4000, dps=40, every=4000)
    with mpmath.workdps(DIGITS):
        left = found.length * found.factor ** mpmath.mpf(1600)
        assert distance(longer.at_end(), found.center) <= found.radius + left
        assert 0 < found.factor < 1
        assert found.step_size * found.curvature < 2


def test_equal_samples_count_as_one() -> None:
    """J J^T is singular with a copy of a sample; the flow is that of the weighted samples."""
    data = {"x": [[1, 0], [1, 0], [1, 2]], "y": [1, 1, -1]}
    network = sf.FullyConnected((2, 3, 1), alpha_bar=0)
    theta = [1, "1/2", "1/2", 1, -1, "1/3", 1, "-1/2", 1]
    problem = sf.Problem(network=network, data=data, init={"theta": theta})
    found = sf.limit(sf.solve_flow(problem, horizon=60, dps=20))
    assert found.kind == "interpolating"
    assert sf.evaluate_mpmath(sf.loss(problem.objective), found.center) < 1e-20


def test_convolutional_networks_interpolate_too() -> None:
    layers = (sf.Convolution(2, (2,), (1,), (0,)), sf.Dense(1))
    network = sf.Convolutional((1, 3), layers, Fraction(1), Fraction(0))
    data = {"x": [["1", "1/2", "-1"], ["1/2", "-1", "1"]], "y": [1, "1/2"]}
    theta = ["1/2", "1", "-1/2", "1", "1", "1/2", "1", "1/2"]
    found = sf.limit(sf.solve_flow(sf.Problem(network=network, data=data, init={"theta": theta}), horizon=60, dps=20))
    assert (found.kind, found.loss.upper) == ("interpolating", 0)


# What is refused ------------------------------------------------------------------------------------------------------


def refused(problem: Any, says: str = "", **settings: Any) -> str:
    """The cause."""
    with pytest.raises(sf.LimitUnknown, match=says or None) as refusal:
        sf.limit(problem, **settings)
    assert "\n" not in str(refusal.value)
    return refusal.value.cause


def test_a_point_with_too_large_a_loss_is_refused() -> None:
    problem = scalars("1/2", "1", "1")
    assert refused(problem, horizon=0) == "far"
    assert sf.limit(problem, horizon=2).kind == "interpolating"


def test_a_network_that_does_not_interpolate_is_refused() -> None:
    data = {"x": [[1, 0], [1, 0], [0, 1]], "y": [1, -1, 1]}  # one input, two targets
    theta = [1, "1/2", "1/2", 1, -1, "1/3", 1, "-1/2", 1]
    problem = sf.Problem(network=sf.FullyConnected((2, 3, 1), alpha_bar=0), data=data, init={"theta": theta})
    assert refused(problem, horizon=30, dps=20) in ("singular", "kink")
    linear = sf.Problem(network=sf.FullyConnected((2, 3, 1)), data=data, init={"theta": theta})
    assert sf.limit(linear, horizon=60, dps=20).kind == "linear"


def test_hidden_layers_too_narrow_are_refused() -> None:
    """For descent: flow has symmetries to go by."""
    problem = drawn((3, 1, 3), 5, 3)
    assert refused(problem, "at least 3", step_size="1/100", steps=3000, dps=20) == "unattainable"


def test_a_loss_that_vanishes_everywhere_leaves_the_start() -> None:
    problem = sf.Problem(network=sf.FullyConnected((2, 1)), data={"x": [[0, 0]], "y": [0]}, init={"theta": [1, 2]})
    for settings in ({"horizon": 0}, {"step_size": "1/10"}):
        found = sf.limit(problem, **settings)  # type: ignore[arg-type]
        assert (list(found.center), found.radius, found.loss.upper) == ([1, 2], 0, 0)


def test_saddle_points_are_refused() -> None:
    problem = sf.Problem(network=sf.FullyConnected((2, 2, 1)), data={"x": [[1, 0], [0, 1]], "y": [1, 1]},
                         init={"theta": [0] * 6})  # fmt: skip
    assert refused(problem, horizon=0) == "singular"
    x = sympy.Symbol("x")
    quartic = sf.Problem(objective=sf.expression_objective(x**4, [x]), theta0=["1/10"])
    assert refused(quartic, horizon=0) in ("far", "singular")
    top = sf.Problem(objective=sf.expression_objective(-(x**2), [x]), theta0=[0])
    assert refused(top, horizon=0) == "singular"


def test_a_separable_logistic_loss_has_no_limit() -> None:
    problem = sf.Problem(network=sf.FullyConnected((1, 1)), loss="logistic", data={"x": [1, 2], "y": [1, 1]},
                         init={"theta": [3]})  # fmt: skip
    assert refused(problem, horizon=5, dps=20) == "far"


def test_large_steps_and_other_methods_are_refused() -> None:
    problem = scalars("1", "1", "1")
    assert refused(problem, step_size="11/10") == "step-size"
    assert sf.limit(problem, step_size="1/4").factor < 1
    run = sf.descend(problem, step_size="1/10", steps=300, dps=20, method=sf.HeavyBall("1/2"))
    assert refused(run) == "method"


def test_flows_of_other_fields_are_refused() -> None:
    x = sympy.Symbol("x")
    objective = sf.expression_objective(x**2 / 2 + x**4, [x])
    other = sf.modified_equation(objective, order=1).field("1/1000")
    assert refused(sf.solve_field(other, [1], horizon=3, dps=20)) == "method"
    own = sf.solve_flow(sf.Problem(objective=objective, theta0=[1]), horizon=3, dps=20)
    assert sf.limit(own).kind == "isolated"
    decay = sf.solve_field(sf.VectorField({x: -x}), [1], horizon=3, dps=20, error="estimated")
    assert refused(decay) == "method"


def test_a_gate_at_its_kink_is_refused_and_named() -> None:
    """a = relu(w x) with w = 1/10^6 and the radius larger than that."""
    network = sf.FullyConnected((1, 2, 1), alpha_bar=0)
    theta = ["1/1000000", 1, 1, "999/1000"]
    problem = sf.Problem(network=network, data={"x": [1], "y": [1]}, init={"theta": theta})
    assert refused(problem, "sample 0, layer 1, unit 0", step_size="1/10") == "kink"
    found = sf.limit(problem, horizon=0)  # the other unit makes the output move whatever this gate does
    assert (found.kind, found.curvature) == ("interpolating", mpmath.inf)
    assert "kink" in repr(found)


def test_arguments() -> None:
    problem = scalars("1/2", "1", "1")
    run = sf.solve_flow(problem, horizon=1, dps=15, error=None)
    for bad in (
        lambda: sf.limit(run),
        lambda: sf.limit(sf.solve_flow(problem, horizon=1, dps=15), horizon=3),
        lambda: sf.limit(problem, horizon=3, step_size="1/10"),
        lambda: sf.limit(problem, steps=3),
        lambda: sf.limit(problem, horizon=0, dps=0),
        lambda: sf.limit("problem.toml"),  # type: ignore[arg-type]
    ):
        with pytest.raises(sf.ProblemError):
            bad()
