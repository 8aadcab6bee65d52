"""Every method against its recursion written out by hand (`plain_methods`): float64, digits, exact rationals."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cache
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy
from mpmath import mpf

import symflow as sf
from tests.dynamics import plain_methods as plain

F = Fraction
ETA, BETA, RHO, EPS, LAMBDA = F(1, 7), F(3, 5), F(4, 5), F(1, 50), F(2, 9)
X = [[F(1), F(-1, 2)], [F(2, 3), F(3, 4)], [F(-1), F(1, 4)], [F(1, 5), F(3, 2)], [F(1, 2), F(1, 3)]]
Y = [F(1), F(-1, 2), F(2, 5), F(1, 3), F(-1)]
THETA = [F(1, 2), F(-1, 3), F(2, 5), F(3, 4), F(-2, 3), F(1, 4), F(1, 7), F(1), F(-4, 5)]
ALL = range(len(X))


@cache
def problem(activation: str = "linear") -> sf.Problem:
    network = {"widths": [2, 3, 1], "activation": activation} | ({"slope": "1/5"} if activation == "leaky-relu" else {})
    return sf.Problem(network=network, data={"x": X, "y": Y}, init={"theta": THETA})


def slope_of(activation: str, number: Callable[[Fraction], Any]) -> Callable[[Any], Any]:
    below = {"linear": F(1), "relu": F(0), "leaky-relu": F(1, 5)}[activation]
    return lambda z: number(F(1)) if z >= 0 else number(below)


def gradient(activation: str, number: Callable[[Fraction], Any], batches: Sequence[Sequence[int]] = ()) -> Any:
    """(theta, k) -> the gradient of step k over its batch, in numbers of one kind."""
    x, y = [[number(v) for v in row] for row in X], [number(v) for v in Y]
    over = plain.regression_gradient(x, y, 3, slope_of(activation, number))
    return lambda theta, k: over(theta, batches[k % len(batches)] if batches else ALL)


def same(found: np.ndarray, wanted: Sequence[Sequence[Any]], within: Any) -> bool:
    return (
        max(abs(a - b) for row, other in zip(found, wanted, strict=True) for a, b in zip(row, other, strict=True))
        < within
    )


def to_mpf(q: Fraction) -> Any:
    return mpf(q.numerator) / q.denominator


KINDS: dict[str, tuple[Callable[[Fraction], Any], Any, Any]] = {
    "float64": (float, None, math.sqrt),
    "digits": (to_mpf, 40, mpmath.sqrt),
    "exact": (Fraction, "exact", None),
}


def check(
    method: sf.Method, wanted: Callable[..., Any], kind: str, activation: str = "linear", steps: int = 12
) -> None:
    """A run against what `wanted` makes of (gradient's numbers, root)."""
    number, dps, root = KINDS[kind]
    with mpmath.workdps(70):
        run = sf.descend(problem(activation), step_size=ETA, steps=steps, dps=dps, method=method)
        expected = wanted(number, root, steps)
        within = {"float64": 1e-13, "digits": mpf(10) ** -40, "exact": F(1, 10**400)}[kind]
        assert same(run.iterates, expected, within)
        assert any(abs(a - b) > 1e-2 for a, b in zip(expected[-1], expected[0], strict=True))  # it moved
    if kind == "digits":
        assert run.error is not None
        assert run.error.how == "certified"  # RMSProp and Adam in balls too
        assert run.error.value < mpf(10) ** -40
    if kind == "exact":
        assert all(isinstance(v, Fraction) for v in run.iterates.flat)
        assert run.error is not None
        assert run.error.value == 0
        assert "exact rationals" in repr(run)


@pytest.mark.parametrize(("kind", "steps"), [("float64", 30), ("digits", 30), ("exact", 3)])
@pytest.mark.parametrize("activation", ["linear", "leaky-relu", "relu"])
def test_momentum(kind: str, steps: int, activation: str) -> None:
    for method, by_hand in ((sf.HeavyBall(BETA), plain.polyak), (sf.Nesterov(BETA), plain.nesterov)):
        check(
            method,
            lambda n, _, k, run=by_hand: run([n(v) for v in THETA], gradient(activation, n), n(ETA), n(BETA), k),
            kind, activation, steps,
        )  # fmt: skip


@pytest.mark.parametrize("kind", ["float64", "digits"])
@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("activation", ["linear", "relu"])
def test_rmsprop(kind: str, inside: bool, activation: str) -> None:
    check(
        sf.RMSProp(RHO, EPS, epsilon_inside=inside),
        lambda n, root, k: plain.rmsprop(
            [n(v) for v in THETA], gradient(activation, n), n(ETA), n(RHO), n(EPS), root, k, inside
        ),
        kind, activation, 20,
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["float64", "digits"])
@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("corrected", [True, False])
def test_adam(kind: str, inside: bool, corrected: bool) -> None:
    check(
        sf.Adam(BETA, RHO, EPS, corrected, inside),
        lambda n, root, k: plain.adam(
            [n(v) for v in THETA], gradient("linear", n), n(ETA), n(BETA), n(RHO), n(EPS), root, k, inside, corrected
        ),
        kind, steps=20,
    )  # fmt: skip


def decayed(g: Any, rate: Any) -> Any:
    """g + lambda theta."""
    return lambda theta, k: plain.combined((1, g(theta, k)), (rate, theta))


@pytest.mark.parametrize("kind", ["float64", "digits"])
def test_weight_decay(kind: str) -> None:
    """Coupled: the gradient of f + (lambda/2)||theta||^2 in the plain recursion. Decoupled: AdamW, algorithm 2."""

    def start(n: Any) -> list[Any]:
        return [n(v) for v in THETA]

    check(
        sf.Nesterov(BETA, weight_decay=LAMBDA),
        lambda n, _, k: plain.nesterov(start(n), decayed(gradient("relu", n), n(LAMBDA)), n(ETA), n(BETA), k),
        kind, "relu", 25,
    )  # fmt: skip
    check(
        sf.Adam(BETA, RHO, EPS, weight_decay=LAMBDA),
        lambda n, root, k: plain.adam(
            start(n), decayed(gradient("linear", n), n(LAMBDA)), n(ETA), n(BETA), n(RHO), n(EPS), root, k, True, True
        ),
        kind, steps=15,
    )  # fmt: skip
    check(
        sf.Adam(BETA, RHO, EPS, epsilon_inside=False, weight_decay=LAMBDA, decoupled=True),
        lambda n, root, k: plain.adam(
            start(n), gradient("linear", n), n(ETA), n(BETA), n(RHO), n(EPS), root, k, False, True, 1 - n(ETA * LAMBDA)
        ),
        kind, steps=15,
    )  # fmt: skip


def exact(start: sf.Problem, steps: int, method: sf.Method) -> np.ndarray:
    """Iterates as rationals."""
    return sf.descend(start, step_size=ETA, steps=steps, dps="exact", method=method).iterates


def test_decay_of_gradient_descent_is_one_thing() -> None:
    """Coupled and decoupled are theta - eta (g + lambda theta); on f = 0 both are (1 - eta lambda)^k theta_0."""
    runs = [exact(problem(), 3, sf.GradientDescent(weight_decay=LAMBDA, decoupled=d)) for d in (False, True)]
    assert (runs[0] == runs[1]).all()
    x = sympy.Symbol("x")
    nothing = sf.Problem(objective=sf.expression_objective(sympy.Integer(0), [x]), theta0=["3"])
    run = exact(nothing, 50, sf.GradientDescent(weight_decay=LAMBDA))
    assert run[-1][0] == 3 * (1 - ETA * LAMBDA) ** 50
    heavy = [exact(problem(), 2, sf.HeavyBall(BETA, weight_decay=LAMBDA, decoupled=d)) for d in (False, True)]
    assert (heavy[0][1] == heavy[1][1]).all()
    assert (heavy[0][2] != heavy[1][2]).all()


BATCHES = {
    "cyclic": (sf.Batches(2), [(0, 1), (2, 3), (4,)]),
    "listed": (sf.Batches(order=[[4, 0, 1], [2], [3, 3]]), [(4, 0, 1), (2,), (3, 3)]),
    "even": (sf.Batches(order=[[4, 0], [2, 1]]), [(4, 0), (2, 1)]),
}


@pytest.mark.parametrize("kind", ["float64", "digits", "exact"])
@pytest.mark.parametrize("name", list(BATCHES))
def test_batches(kind: str, name: str) -> None:
    batches, lists = BATCHES[name]
    check(
        sf.HeavyBall(BETA, batches=batches, weight_decay=LAMBDA),
        lambda n, _, k: plain.polyak(
            [n(v) for v in THETA], decayed(gradient("leaky-relu", n, lists), n(LAMBDA)), n(ETA), n(BETA), k
        ),
        kind, "leaky-relu", 4 if kind == "exact" else 13,
    )  # fmt: skip


@pytest.mark.parametrize("order", ["shuffled", "with-replacement"])
def test_drawn_batches_are_the_same_in_every_arithmetic(order: Any) -> None:
    """The draws as documented, from NumPy itself; a run of more steps begins with those of fewer."""
    draw = np.random.Generator(np.random.PCG64(5))
    if order == "shuffled":
        lists = [tuple(p[i : i + 2].tolist()) for p in (draw.permutation(5) for _ in range(8)) for i in (0, 2, 4)]
    else:
        lists = [tuple(draw.integers(0, 5, 2).tolist()) for _ in range(24)]
    batches = sf.Batches(2, order=order, seed=5)
    assert batches.lists(5, 24) == tuple(lists)
    assert batches.lists(5, 7) == tuple(lists[:7])
    assert sf.Batches(2, order=order, seed=6).lists(5, 24) != tuple(lists)
    for kind in ("float64", "digits"):
        check(
            sf.Adam(BETA, RHO, EPS, batches=batches),
            lambda n, root, k: plain.adam(
                [n(v) for v in THETA], gradient("linear", n, lists),
                n(ETA), n(BETA), n(RHO), n(EPS), root, k, inside=True, corrected=True,
            ),
            kind, steps=24,
        )  # fmt: skip


@pytest.mark.parametrize(("samples", "size"), [(7, 3), (6, 2), (4, 4), (9, 1)])
def test_an_epoch_is_every_sample_once(samples: int, size: int) -> None:
    for order in ("cyclic", "shuffled"):
        batches = sf.Batches(size, order=order, seed=3)
        count = batches.epoch(samples)
        assert count == -(-samples // size)
        lists = batches.lists(samples, 3 * count)
        for epoch in range(3):
            own = lists[epoch * count : (epoch + 1) * count]
            assert sorted(i for batch in own for i in batch) == list(range(samples))
            assert {len(batch) for batch in own[:-1]} <= {size}
    drawn = sf.Batches(size, order="with-replacement", seed=3).lists(samples, 200)
    assert {len(batch) for batch in drawn} == {size}
    counts = np.bincount([i for batch in drawn for i in batch], minlength=samples)
    assert abs(counts / (200 * size) - 1 / samples).max() < 5 * math.sqrt(1 / samples / (200 * size))


def test_all_orders_of_an_epoch() -> None:
    """Each end is that of the batches listed in its order; their mean is, to O(eta^3), that of R29."""
    lists = [(0, 1), (2, 3), (4,)]
    for method in (sf.GradientDescent(), sf.HeavyBall(BETA, weight_decay=LAMBDA)):
        found = sf.epoch_orders(problem("leaky-relu"), step_size=ETA, method=replace(method, batches=sf.Batches(2)))
        assert found.batches == tuple(lists)
        assert found.orders == tuple(itertools.permutations(range(3)))
        for order, end in zip(found.orders, found.ends, strict=True):
            own = replace(method, batches=sf.Batches(order=[lists[i] for i in order]))
            assert (exact(problem("leaky-relu"), 3, own)[-1] == end).all()
        assert len({tuple(end) for end in found.ends}) == 6
        assert (found.mean == sum(found.ends[1:], found.ends[0]) / 6).all()


def test_a_scalar_epoch_is_a_product() -> None:
    """(theta - eta (theta - y_k)) in turn: the mean over orders of a_k + b_k theta, by hand."""
    scalars = sf.Problem(
        network={"widths": [1, 1], "activation": "linear"}, data={"x": [1, 1, 1], "y": [0, 1, 5]}, init={"theta": [2]}
    )
    found = sf.epoch_orders(scalars, step_size="1/3", method=sf.GradientDescent(batches=sf.Batches(1)))
    for order, (end,) in zip(found.orders, found.ends, strict=True):
        theta = F(2)
        for k in order:
            theta -= F(1, 3) * (theta - (0, 1, 5)[k])
        assert end == theta


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: sf.Batches(0), "batches: size must be a positive whole number"),
        (lambda: sf.Batches(order="cyclic"), "batches: size is missing"),
        (lambda: sf.Batches(2, order="sorted"), "batches: order must be one of"),
        (lambda: sf.Batches(2, order=[[0], []]), "list of lists of at least one sample"),
        (lambda: sf.Batches(3, order=[[0, 1]]), "that of the largest listed batch, 2, got 3"),
        (lambda: sf.Batches(order=[[0, -1]]), r"batches: order\[0\] must be a whole number of at least 0"),
        (lambda: sf.Batches(2, seed=-1), "batches: seed"),
        (lambda: sf.GradientDescent(batches=2), "batches must be a Batches"),
        (lambda: sf.GradientDescent(weight_decay=-1), "weight_decay must be at least 0"),
        (lambda: sf.GradientDescent(decoupled=1), "decoupled must be True or False"),
        (lambda: sf.Adam(1, RHO, EPS), "momentum must be at least 0 and below 1"),
        (lambda: sf.Adam(BETA, RHO, 0), "epsilon must be positive"),
        (lambda: sf.RMSProp(-1, EPS), "decay must be at least 0"),
        (lambda: sf.RMSProp(RHO, EPS, epsilon_inside=0), "epsilon_inside must be True or False"),
        (lambda: exact(problem(), 1, sf.RMSProp(RHO, EPS)), "RMSProp has no exact run of this problem: .* irrational"),
        (lambda: exact(logistic(), 1, sf.GradientDescent()), "gradient descent has no exact run .*sigmoid"),
        (lambda: exact(problem(), 1, sf.GradientDescent(batches=sf.Batches(6))), "number of samples, 5, got 6"),
        (lambda: exact(problem(), 1, sf.GradientDescent(batches=sf.Batches(order=[[5]]))), "from 0 to 4, got 5"),
        (lambda: sf.epoch_orders(problem(), step_size=1), "epoch_orders needs batches"),
        (lambda: sf.epoch_orders(problem(), step_size=1, method=shuffled()), "batches that every epoch has"),
        (lambda: sf.epoch_orders(many(), step_size=1, method=ones()), "at most 6 batches, got 7 .5040 orders"),
        (lambda: sf.descend(expression(), step_size=1, steps=1, method=ones()), "a mean over samples"),
        (lambda: sf.descend(problem(), step_size=1, steps=1, dps="all"), 'dps must be None .float64., "exact"'),
    ],
)
def test_what_a_method_cannot_do(call: Callable[[], Any], said: str) -> None:
    with pytest.raises(sf.ProblemError, match=said) as refused:
        call()
    assert "\n" not in str(refused.value)


def ones() -> sf.Method:
    return sf.GradientDescent(batches=sf.Batches(1))


def shuffled() -> sf.Method:
    return sf.GradientDescent(batches=sf.Batches(1, order="shuffled"))


def many() -> sf.Problem:
    data = {"x": list(range(7)), "y": [0] * 7}
    return sf.Problem(network={"widths": [1, 1], "activation": "linear"}, data=data, init={"theta": [2]})


def expression() -> sf.Problem:
    x = sympy.Symbol("x")
    return sf.Problem(objective=sf.expression_objective(x**2, [x]), theta0=[1])


def logistic() -> sf.Problem:
    data = {"x": [1, 2], "y": [1, -1]}
    network = {"widths": [1, 1], "activation": "linear"}
    return sf.Problem(network=network, loss="logistic", data=data, init={"theta": [2]})


@pytest.mark.parametrize("inside", [True, False])
def test_an_epsilon_that_float64_takes_for_zero_is_refused(inside: bool) -> None:
    """0/0 where the gradient is 0; with digits, and with an epsilon within float64, such a weight stays."""
    x, y = sympy.symbols("x y")
    flat = sf.Problem(objective=sf.expression_objective(x**2 / 2 + 0 * y, [x, y]), theta0=[1, 1])
    lost, held = (sf.RMSProp(RHO, e, epsilon_inside=inside) for e in ("1e-310", "1e-300"))
    with pytest.raises(sf.ComputationError, match=r"epsilon must be 0 or at least 2.23e-308 in float64, got 1e-310"):
        sf.descend(flat, step_size="1/10", steps=2, method=lost)
    assert sf.descend(flat, step_size="1/10", steps=2, method=lost, dps=20).iterates[-1][1] == 1
    assert sf.descend(flat, step_size="1/10", steps=2, method=held).iterates[-1][1] == 1
    slow = sf.deviation(flat, step_size="1/10", horizon="1/5", dps=15, method=sf.HeavyBall("1e-310"))
    assert slow.rounding is None


def test_exact_runs_end_where_numbers_become_too_long() -> None:
    with pytest.raises(sf.BudgetError, match=r"exact iterates have numbers of .* bits"):
        exact(problem(), 40, sf.GradientDescent())


@pytest.mark.parametrize("decoupled", [False, True])
def test_weight_decay_has_its_own_flow(decoupled: bool) -> None:
    """The distance from theta' = -c g - d theta is O(eta) through kinks; from the flow without decay it is not."""
    method = sf.HeavyBall("1/2", weight_decay=LAMBDA, decoupled=decoupled)
    runs = [
        sf.deviation(problem("relu"), step_size=eta, horizon=1, dps=15, method=method, bounds=[])
        for eta in ("1/200", "1/400")
    ]
    decay = LAMBDA if decoupled else 2 * LAMBDA
    assert method.flow_decay == decay
    assert runs[0].compared_with == f"theta' = -2 grad f(theta) - {decay} theta, {method.called} to order 0"
    assert abs(runs[0].values[-1] / runs[1].values[-1] - 2) < 0.1
    plain = sf.deviation(problem("relu"), step_size="1/400", horizon=1, dps=15, method=sf.HeavyBall("1/2"), bounds=[])
    apart = [float(a) - float(b) for a, b in zip(runs[1].run.iterates[-1], plain.flow(1), strict=True)]
    assert max(map(abs, apart)) > 10 * runs[1].values[-1]
    wrong = problem("relu").objective.scaled(F(2)).decayed(decay * F(101, 100))
    flow = sf.solve_flow(sf.Problem(objective=wrong, theta0=THETA), horizon=1, dps=15)
    assert max(abs(a - b) for a, b in zip(flow(1), runs[1].flow(1), strict=True)) > 1e-4


def test_the_comparison_with_a_recursion_by_hand_can_fail() -> None:
    """A momentum or an epsilon 1 % off, epsilon on the other side, the other weight decay, and other batches differ."""
    off = F(101, 100)
    pairs: list[tuple[sf.Method, sf.Method]] = [
        (sf.HeavyBall(BETA), sf.HeavyBall(BETA * off)),
        (sf.HeavyBall(BETA), sf.Nesterov(BETA)),
        (sf.RMSProp(RHO, EPS), sf.RMSProp(RHO, EPS * off)),
        (sf.RMSProp(RHO, EPS), sf.RMSProp(RHO, EPS, epsilon_inside=False)),
        (sf.Adam(BETA, RHO, EPS), sf.Adam(BETA, RHO, EPS, bias_correction=False)),
        (sf.Adam(BETA, RHO, EPS, weight_decay=LAMBDA), sf.Adam(BETA, RHO, EPS, weight_decay=LAMBDA, decoupled=True)),
        (
            sf.GradientDescent(batches=sf.Batches(2)),
            sf.GradientDescent(batches=sf.Batches(order=[[0, 1], [2, 3], [4, 0]])),
        ),
    ]
    for one, other in pairs:
        runs = [sf.descend(problem(), step_size=ETA, steps=12, method=method).iterates for method in (one, other)]
        assert not same(runs[0], runs[1], 1e-13)
        assert not same(runs[0], runs[1], 1e-5)
