"""What is no valid argument is refused in one line; borderline objectives work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest
import sympy

import symflow as sf


def plain() -> sf.Objective:
    return sf.network_objective(sf.FullyConnected((1, 1, 1)), [[1]], [[1]])  # type: ignore[arg-type]


def logarithmic() -> sf.Problem:
    p, y = sympy.symbols("p y")
    return sf.Problem(
        network=sf.FullyConnected((2, 1, 1, 1)),
        loss=sf.expression_loss(-sympy.log(p), p, y),
        data={"x": [[1, 2]], "y": [[1]]},
        init={"theta": [1, 1, 1, 1]},
    )


CASES: list[tuple[Callable[[], Any], str]] = [
    (lambda: sf.Loss("hinge"), "the kind must be one of square, logistic"),  # type: ignore[arg-type]
    (lambda: sf.Loss("expression"), "goes with an expression"),
    (lambda: sf.network_objective(sf.FullyConnected((1, 1)), [[1]], [[1]], 3), "loss must be a name such as"),  # type: ignore[arg-type]
    (lambda: sf.network_objective(sf.FullyConnected((1, 1)), [[1]], [[1]], "hinge"), "the kind must be one of square"),
    (lambda: sf.ball_bounds(plain(), "-1/2"), "radius must not be negative, got '-1/2'"),
    (lambda: sf.ball_bounds(plain(), float("nan")), "radius must be a finite number"),  # type: ignore[arg-type]
    (lambda: sf.extreme_eigenvalues(plain(), np.ones(2), method="foo"), "method must be 'dense' or 'lanczos'"),  # type: ignore[arg-type]
    (lambda: sf.extreme_eigenvalues(plain(), np.full(2, np.nan)), "points must be finite"),
    (lambda: sf.extreme_eigenvalues(plain(), np.ones((0, 2))), "at least one"),
    (lambda: sf.to_jax(plain(), data="foo"), 'data must be "constants" or "arguments"'),  # type: ignore[arg-type]
    (lambda: sf.to_jax(plain(), dtype=complex), "dtype must be a floating-point type"),
    (lambda: sf.to_jax(plain(), dtype="xx"), "dtype must be a floating-point type"),
    (lambda: sf.to_jax("abc"), "to_jax takes a derived result"),  # type: ignore[arg-type]
    (lambda: sf.hessian(logarithmic()), "pass problem.objective"),  # type: ignore[arg-type]
    (lambda: sf.curvature_bounds(logarithmic()), "pass problem.objective"),  # type: ignore[arg-type]
    (lambda: sf.applicable(plain()), "applicable needs a problem"),  # type: ignore[arg-type]
    (lambda: sf.moment_form(logarithmic()), "pass problem.objective"),  # type: ignore[arg-type]
    (lambda: sf.modified_equation(logarithmic(), 1), "pass problem.objective"),  # type: ignore[arg-type]
    (lambda: sf.extreme_eigenvalues(logarithmic(), np.ones(4)), "pass problem.objective"),  # type: ignore[arg-type]
    (lambda: sf.evaluate_exact(plain(), [1, 1]), "a derived result such as sf.loss(objective) is needed"),  # type: ignore[arg-type]
    (lambda: sf.evaluate_mpmath(logarithmic(), [1]), "a derived result such as sf.loss(objective) is needed"),  # type: ignore[arg-type]
    (lambda: sf.network_objective([2, 3, 1], None, None), "a network such as sf.FullyConnected((2, 3, 1)) is needed"),  # type: ignore[arg-type]
    (lambda: sf.expression_objective("x", [sympy.Symbol("x")]), "must be a SymPy expression, got 'x'"),  # type: ignore[arg-type]
    (lambda: sf.expression_objective(sympy.Symbol("x"), "x"), "the variables must be a list of SymPy symbols, got 'x'"),  # type: ignore[arg-type]
    (lambda: sf.expression_objective(sympy.Symbol("x"), sympy.Symbol("x")), "must be a list of SymPy symbols"),  # type: ignore[arg-type]
    (lambda: sf.Convolutional((1, 4), (3,)), "parts must be a list of sf.Convolution"),  # type: ignore[arg-type]
    (lambda: sf.Convolution(2, 2.5, 1, 0), "kernel must be a positive whole number, got 2.5"),  # type: ignore[arg-type]
    (lambda: sf.Convolution(0, 2, 1, 0), "channels must be a positive whole number, got 0"),  # type: ignore[arg-type]
    (lambda: sf.Pool("mean", 2, 2), 'the kind of a pool must be "average" or "max", got \'mean\''),  # type: ignore[arg-type]
    (lambda: sf.load_trajectory(None), "load_trajectory: path must be the name of a file, got nothing"),  # type: ignore[arg-type]
    (
        lambda: sf.linear_times(0, 1, 2.0),
        "times of a grid must be a whole number from 2 to 100000, got 2.0",
    ),  # type: ignore[arg-type]
    (lambda: sf.directional_derivative(plain(), 1.5), "must be a whole number of at least 0, got 1.5"),  # type: ignore[arg-type]
    (lambda: sf.evaluate_mpmath(sf.loss(logarithmic().objective), [1, -1, 1, 1]), "log of -1.0 is not a real number"),
]


@pytest.mark.parametrize(("call", "phrase"), CASES, ids=[phrase for _, phrase in CASES])
def test_refused_in_one_line(call: Callable[[], Any], phrase: str) -> None:
    with pytest.raises((sf.SymflowError, ValueError)) as error:
        call()
    assert phrase in str(error.value)
    assert "\n" not in str(error.value)


def test_whole_numbers_of_numpy_are_whole_numbers() -> None:
    parts = (sf.Convolution(np.int64(2), 2, np.int8(1), 0), sf.Pool("max", np.array([2]), 2), sf.Dense(np.int32(1)))  # type: ignore[arg-type]
    same = (sf.Convolution(2, (2,), (1,), (0,)), sf.Pool("max", (2,), (2,)), sf.Dense(1))
    assert parts == same
    assert sf.Convolutional(np.array([1, 5]), parts) == sf.Convolutional((1, 5), same)  # type: ignore[arg-type]
    assert sf.linear_times(0, 1, np.int64(3))[1] == sympy.Rational(1, 2)  # type: ignore[arg-type]
    assert sf.modified_equation(plain(), np.int64(1)).order == 1  # type: ignore[arg-type]
    layers = [
        {"kind": "convolution", "channels": np.int64(2), "kernel": np.int64(2)},
        {"kind": "dense", "width": np.int8(1)},
    ]
    tables = {"kind": "convolutional", "activation": "linear", "input": np.array([1, 4]), "layers": layers}
    problem = sf.Problem(network=tables, data={"x": [[1, 2, 3, 4]], "y": [1]}, init={"scheme": "xavier"})
    assert len(problem.theta0) == 2 * 2 + 2 * 3
    assert len(sf.descend(problem, step_size=0.01, steps=np.int64(3), every=np.int8(2)).indices) == 3  # type: ignore[arg-type]


def test_slopes_of_zero_are_a_network_too() -> None:
    """h = 0 whatever theta: a scalar loss, zero derivatives, formulas that print."""
    parts = (sf.Convolution(1, (2,), (1,), (0,)), sf.Pool("max", (2,), (1,)), sf.Dense(1))
    networks = [sf.FullyConnected((2, 2, 1), 0, 0), sf.Convolutional((1, 2 + 1), parts, 0, 0)]  # type: ignore[arg-type]
    for network in networks:
        x = np.ones((2, 2 if isinstance(network, sf.FullyConnected) else 3))
        objective = sf.network_objective(network, x, np.ones((2, 1)))
        theta = np.ones(objective.parameter_count)
        with jax.enable_x64(True):
            assert sf.to_jax(objective)(theta).shape == ()
            assert not np.any(jax.grad(sf.to_jax(objective))(theta))
        for derived in (sf.loss, sf.gradient_flow, sf.hessian_form):
            assert r"\begin{aligned}" in derived(objective).latex()


def test_a_hessian_of_zero_has_extreme_eigenvalues_zero() -> None:
    """theta = 0 is a saddle of depth three whose Hessian vanishes."""
    objective = sf.network_objective(sf.FullyConnected((2, 20, 20, 2)), np.ones((3, 2)), np.ones((3, 2)))
    found = sf.extreme_eigenvalues(objective, np.zeros(objective.parameter_count))
    assert (found.min, found.max, found.residual, found.method) == (0, 0, 0, "lanczos")


def test_what_cannot_be_evaluated_is_unchecked() -> None:
    row = sf.applicable(logarithmic())["R8"]
    assert row.answer == "unchecked"
    assert "no gradient at 0" in row.reason


def test_shared_weights_conserve_per_channel_only() -> None:
    parts = (sf.Convolution(2, (2,), (1,), (0,)), sf.Pool("average", (2,), (1,)), sf.Dense(1))
    problem = sf.Problem(
        network=sf.Convolutional((1, 4), parts),
        data={"x": [[1, 2, 3, 4]], "y": [[1]]},
        init={"scheme": "xavier"},
    )
    assert "each unit or channel" in sf.applicable(problem)["R10"].assumptions[0]
