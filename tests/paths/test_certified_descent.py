"""Descent with proved errors: never below the true error, in balls and folded by R3; what is not proved says why."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import mpmath
import numpy as np
import pytest
import sympy
from cases import reference
from flint import arb

import symflow as sf
from symflow.dynamics.method import times
from symflow.evaluate.boxes import box_result
from symflow.evaluate.rounded import Rounded
from symflow.numbers.balls import ball_precision, exact_mpf
from symflow.paths.certified import descent as module
from symflow.paths.certified.linear_methods import StepMap, linear, step_map
from symflow.programs.nodes import add, hadamard
from symflow.programs.program import Program

METHODS = {"gradient descent": sf.GradientDescent(), "heavy ball": sf.HeavyBall("9/10")}


@cache
def random_problem(seed: int, kind: str) -> sf.Problem:
    rng = random.Random(seed)

    def rows(count: int, width: int) -> list[list[Fraction]]:
        return [[Fraction(rng.randint(-9, 9), 7) for _ in range(width)] for _ in range(count)]

    network = {"widths": [2, 2, 1], "activation": "relu" if kind == "relu" else "linear"}
    data: dict[str, object] = {"x": rows(4, 2), "y": rows(4, 1)}
    loss = "square" if kind in ("linear", "relu") else kind
    if kind == "cross-entropy":
        network["widths"], data = [2, 2, 3], {"x": rows(4, 2), "labels": [0, 2, 1, 1]}
    elif kind in ("logistic", "exponential"):
        data["y"] = [[1], [-1], [1], [-1]]
    init = {"scheme": "xavier", "seed": seed}
    return sf.Problem(network=network, data=data, init=init, loss={"kind": loss})


def distance(run: sf.Trajectory, truth: sf.Trajectory) -> object:
    """The largest error of the kept iterates of a run."""
    rows = [truth.indices.index(k) for k in run.indices]
    with mpmath.workdps(run.dps + 100):
        return abs(run.iterates - truth.iterates[rows]).max()


def true_error(problem: sf.Problem, run: sf.Trajectory, **settings: object) -> object:
    """From a run with 80 digits more, whose own error is estimated from a second one in fixed point."""
    return distance(run, sf.descend(problem, dps=run.dps + 80, keep=run.indices, error="estimated", **settings))


SETTINGS = {"step_size": "1/40", "dps": 30}
"""Of the runs on random problems."""


@cache
def truth(seed: int, kind: str, method: str) -> sf.Trajectory:
    """Of runs on a random problem of up to 300 steps that keep every seventh or twentieth, as in `true_error`."""
    settings = SETTINGS | {"method": METHODS[method], "dps": 110, "error": "estimated"}
    keep = sorted({*range(0, 301, 7), *range(0, 301, 20)})
    return sf.descend(random_problem(seed, kind), steps=300, keep=keep, **settings)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["linear", "relu", "logistic", "exponential", "cross-entropy"])
def test_errors_are_proved_and_hold(kind: str, method: str) -> None:
    for seed in range(3):
        run = sf.descend(random_problem(seed, kind), steps=200, every=20, method=METHODS[method], **SETTINGS)
        assert run.error.how == "certified", run.error.reason
        assert distance(run, truth(seed, kind, method)) <= run.error.value <= mpmath.mpf(10) ** -28


def _folded_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Balls without R3 are said to need too many bits."""

    def refused(asked: module.Asked, bits: int) -> None:
        raise module._TooWide(1000 * bits, "", grows=True)

    monkeypatch.setattr(module, "_run", refused)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["linear", "relu", "logistic", "cross-entropy"])
def test_errors_folded_by_r3_hold(kind: str, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _folded_alone(monkeypatch)
    for seed in range(3):
        run = sf.descend(random_problem(seed, kind), steps=300, every=7, method=METHODS[method], **SETTINGS)
        assert run.error.how == "certified", run.error.reason
        assert distance(run, truth(seed, kind, method)) <= run.error.value <= mpmath.mpf(10) ** -28


def test_a_growth_that_is_too_small_is_seen_to_be_false(monkeypatch: pytest.MonkeyPatch) -> None:
    """f = -theta^2 / 2: errors grow by 1 + eta a step. With half of eta the bound falls below the error."""
    _folded_alone(monkeypatch)
    (a,) = sympy.symbols("a,")
    problem = sf.Problem(objective=sf.expression_objective(-(a**2) / 2, (a,)), theta0=["1/3"])
    eta, steps = Fraction(1, 10), 600
    factors = []
    for growth in (StepMap.growth, lambda *_: arb(1)):
        monkeypatch.setattr(StepMap, "growth", growth)
        run = sf.descend(problem, step_size=eta, steps=steps, dps=20, every=100)
        truth = [Fraction(1, 3) * (1 + eta) ** k for k in run.indices]
        with mpmath.workdps(100):
            error = max(abs(x - mpmath.mpf(q.numerator) / q.denominator) for x, q in zip(run.iterates[:, 0], truth, strict=True))  # noqa: E501  # fmt: skip
            factors.append(float(run.error.value / error))
    assert factors[0] >= 1 > factors[1]


def test_long_runs_whose_errors_contract_are_certified_by_r3(monkeypatch: pytest.MonkeyPatch) -> None:
    """In balls alone rounding would grow by 2^900 here; where the kernel is fast, more bits are taken instead."""
    monkeypatch.setattr(module, "FAST_BITS", 0)
    problem = reference("linear-3-4-2")
    run = sf.descend(problem, step_size="1/20", steps=4_000, dps=30, every=400)
    assert run.error.how == "certified"
    assert run.stats.bits < 300
    assert true_error(problem, run, step_size="1/20", steps=4_000) <= run.error.value


def test_an_undecided_gate_is_estimated_and_says_where() -> None:
    """w x = 1/3 - 1/3 = 0 at the start: no ball of any width decides the sign."""
    problem = sf.Problem(
        network={"widths": [2, 1, 1], "activation": "relu"},
        data={"x": [["1/3", "1/3"]], "y": [[1]]},
        init={"theta": [1, -1, 1]},
    )
    run = sf.descend(problem, step_size="1/10", steps=3, dps=20)
    assert run.error.how == "estimated"
    assert run.error.reason == "whether a pre-activation at step 1 is >= 0 could not be decided"


def test_pre_activations_that_are_exactly_zero_follow_the_convention() -> None:
    """In binary numbers the same start is exact, and sigma'(0) = 1 (the exact iteration has it too)."""
    problem = sf.Problem(
        network={"widths": [2, 1, 1], "activation": "relu"},
        data={"x": [["1/2", "1/2"]], "y": [[1]]},
        init={"theta": [1, -1, 1]},
    )
    run = sf.descend(problem, step_size="1/10", steps=1, dps=20)
    assert run.error.how == "certified"
    assert [float(v) for v in run.iterates[-1]] == pytest.approx([1.05, -0.95, 1.0])


def test_what_was_asked_for_is_given() -> None:
    problem = reference("scalar-depth2")

    def how(error: object) -> sf.PathError | None:
        return sf.descend(problem, step_size="1/10", steps=3, dps=20, error=error).error

    assert how("estimated").how == "estimated"
    assert how("estimated").reason == ""
    assert how("certified").how == "certified"
    assert how(None) is None
    with pytest.raises(sf.ProblemError, match='error must be "certified", "estimated" or None'):
        how("proved")


def test_progress_does_not_go_back() -> None:
    seen: list[float] = []
    sf.descend(reference("linear-3-4-2"), step_size="1/20", steps=4_000, dps=30, every=400, progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


# Linear methods -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lookahead(sf.Method):
    """Nesterov's: the gradient is taken ahead."""

    name = "lookahead"
    carries = ("velocity",)

    def point(self, now):  # type: ignore[no-untyped-def]
        return add([(1, now["theta"]), (Fraction(1, 2), now["velocity"])])

    def step(self, now, gradient, step_size):  # type: ignore[no-untyped-def]
        velocity = add([(Fraction(1, 2), now["velocity"]), (-1, times(step_size, gradient))])
        return {"theta": add([(1, now["theta"]), (1, velocity)]), "velocity": velocity}


@dataclass(frozen=True)
class Squares(sf.Method):
    """A method that is not linear in the gradient."""

    name = "squares"

    def step(self, now, gradient, step_size):  # type: ignore[no-untyped-def]
        return {"theta": add([(1, now["theta"]), (-1, times(step_size, hadamard(gradient, gradient)))])}


@pytest.mark.parametrize("method", [*METHODS.values(), Lookahead()])
def test_the_growth_bounds_the_jacobian(method: sf.Method) -> None:
    """The Jacobian of a step on a quadratic with 3 parameters, column by column from the recursion itself."""
    eta = Fraction(1, 10)
    steps = step_map(method, eta)
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    low, high = -0.7, 2.0
    hessian = turn @ np.diag([low, 0.3, high]) @ turn.T
    jacobian = np.kron(steps.a.astype(float), np.eye(3)) + np.kron(steps.b.astype(float), hessian)
    x = [rng.normal(size=3) for _ in range(1 + len(method.carries))]
    if len(x) == 2:  # the recursion by hand
        beta, ahead = (0.9, 0.0) if isinstance(method, sf.HeavyBall) else (0.5, 0.5)
        velocity = beta * x[1] - 0.1 * hessian @ (x[0] + ahead * x[1])
        after = np.concatenate([x[0] + velocity, velocity])
    else:
        after = x[0] - 0.1 * hessian @ x[0]
    np.testing.assert_allclose(jacobian @ np.concatenate(x), after, atol=1e-14)
    with ball_precision(100):
        coordinates = steps.coordinates(np.array([low]), np.array([high]), np.array([1.0]))
        found = float(exact_mpf(steps.growth(low, high, coordinates).upper()))
        t = np.array([[float(v) for v in row] for row in coordinates.to.tolist()])
    t = np.kron(t, np.eye(3))
    true = np.linalg.norm(t @ jacobian @ np.linalg.inv(t), 2)
    assert true <= found * (1 + 1e-12)
    assert found <= true * (1 + 1e-9)


def test_nonlinear_methods_have_no_step_map_and_are_run_in_balls() -> None:
    assert step_map(Squares(), Fraction(1, 10)) is None
    problem = reference("scalar-depth2")
    run = sf.descend(problem, step_size="1/10", steps=20, dps=20, method=Squares())
    assert run.error.how == "certified"
    assert true_error(problem, run, step_size="1/10", steps=20, method=Squares()) <= run.error.value


def test_constants_are_not_linear() -> None:
    from symflow.programs.nodes import Axis, Const, Input

    axes = (Axis("p", 1),)
    x = Input("x", axes, "state", "x")
    assert linear(Program((x,), {"y": add([(2, x)])}))
    assert not linear(Program((x,), {"y": add([(2, x), (1, Const(Fraction(1), axes))])}))
    assert not linear(Program((x,), {"y": Const(Fraction(1), axes)}))


# Boxes --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["linear", "relu", "cross-entropy"])
@pytest.mark.parametrize("derived", [sf.gradient, sf.hessian])
def test_boxes_contain_what_their_points_have(kind: str, derived: Callable[[sf.Objective], sf.Derived]) -> None:
    problem, rng = random_problem(1, kind), np.random.default_rng(0)
    objective = problem.objective
    centre = np.array([[float(v) for v in problem.theta0]])
    reach = np.full_like(centre, 0.25)
    found = box_result(objective, derived(objective), Rounded(centre, reach))
    for _ in range(20):
        point = (centre + reach * rng.choice([-1.0, 1.0, 0.3, 0.0], centre.shape))[0]
        truth = np.asarray(sf.evaluate_mpmath(derived(objective), point.tolist(), dps=30)).astype(float)
        assert (abs(truth - found.value[0]) <= found.error[0] * (1 + 1e-12)).all()
