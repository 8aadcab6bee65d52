"""What a new user does wrong in the first hour: one line with the rule, the value received and a remedy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sympy

import symflow as sf

NETWORK = sf.FullyConnected((1, 1, 1))
OBJECTIVE = sf.network_objective(NETWORK, [1], [1])
A = sympy.Symbol("a")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: sf.Problem("problem.toml"), "got 'problem.toml'; a file is read by sf.load_problem(path)"),
        (lambda: sf.statement(9), "there is no statement 9; did you mean 'R9'?"),
        (lambda: sf.statement("R9").latex("n"), "depth must be"),
        (lambda: sf.cite("r9"), "there is no result 'r9'; did you mean 'R9'?"),
        (lambda: sf.cite("step-sizes"), "did you mean 'step-size'?"),
        (lambda: sf.hessian(OBJECTIVE)(["1/2"]), "P = 2 entries, got 1; give all weights"),
        (lambda: sf.evaluate_exact(sf.hessian(OBJECTIVE), [1, 2], [1, 2]), "takes no direction, got one of 2 entries"),
        (lambda: sf.Convolutional((1, 4, 4), [sf.Convolution(2, 2)]), "2 spatial dimensions, got [2]; write (2, 2)"),
        (
            lambda: sf.Convolutional((1, 4), [sf.Convolution(2, 9), sf.Dense(1)]),
            "got a window of 9; take a smaller one",
        ),
        (lambda: sf.Convolutional((1, 4), [sf.Dense(1), sf.Convolution(2, 2)]), "move it before the dense layers"),
        (lambda: sf.Convolutional((1, 4), [sf.Pool("max", 2)]), "got none; add sf.Dense(width)"),
        (lambda: sf.expression_objective(abs(A), [A]), "cannot turn Abs(a) into a program: sums, products"),
        (lambda: sf.load_experiment("nosuch.npz"), "got none (No such file or directory); give its experiment.npz"),
    ],
)
def test_a_mistake_is_one_line_with_a_remedy(wrong: Callable[[], Any], says: str) -> None:
    with pytest.raises(sf.ProblemError) as caught:
        wrong()
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_bound_names_those_there_are() -> None:
    problem = sf.Problem(network=NETWORK, data={"x": [1], "y": [1]}, init={"theta": ["1/2", 1]}, run={"dps": 15})
    bounds = sf.deviation(problem, step_size="1/2", horizon=1).bounds
    with pytest.raises(KeyError, match="there is no 'R99'; known are R4, R22, R18"):
        bounds["R99"]
    assert bounds.get("R99") is None


def test_a_path_of_many_digits_is_pointed_to_its_floats() -> None:
    problem = sf.Problem(network=NETWORK, data={"x": [1], "y": [1]}, init={"theta": [1, 1]})
    end = sf.descend(problem, step_size=1, steps=1, dps=20).at_end()
    with pytest.raises(TypeError, match=r"trajectory\.numpy\(t\)"):
        sf.to_jax(sf.gradient(OBJECTIVE))(end)
