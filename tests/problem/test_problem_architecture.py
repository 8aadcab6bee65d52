"""Losses and convolutional networks in problem files: what they mean, and what is refused."""

from __future__ import annotations

import json
from copy import deepcopy
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy

import symflow as sf
from symflow.problem import Problem
from symflow.problem.expression import parse_expression

IMAGES: dict[str, Any] = {
    "network": {
        "kind": "convolutional",
        "input": [1, 4, 5],
        "layers": [
            {"kind": "convolution", "channels": 2, "kernel": [2, 3], "padding": 1},
            {"kind": "max-pool", "size": 2},
            {"kind": "convolution", "channels": 3, "kernel": [2, 1]},
            {"kind": "average-pool", "size": [1, 2], "stride": 1},
            {"kind": "dense", "width": 4},
            {"kind": "dense", "width": 2},
        ],
        "activation": "relu",
    },
    "loss": {"kind": "cross-entropy"},
    "data": {"x": [[i % 7 - 3 for i in range(20)], [i % 5 for i in range(20)]], "labels": [1, 0]},
    "init": {"scheme": "xavier", "seed": 3},
    "run": {"horizon": 1, "step_size": "1/10"},
}


def changed(path: str, value: Any) -> dict[str, Any]:
    tables = deepcopy(IMAGES)
    *parents, last = path.split(".")
    at: Any = tables
    for key in parents:
        at = at[int(key)] if isinstance(at, list) else at[key]
    if isinstance(at, list):
        at[int(last)] = value
    elif value is None:
        del at[last]
    else:
        at[last] = value
    return tables


def test_a_convolutional_problem_has_the_shapes_of_its_layers() -> None:
    problem = Problem(**IMAGES)
    # 4x5 padded to 6x7, window 2x3: 5x5; pooled by 2: 2x2; window 2x1: 1x2; mean over 1x2: 1x1
    assert problem.network is not None
    assert problem.objective.shapes == ((2, 1, 2, 3), (3, 2, 2, 1), (4, 3, 1), (2, 4))
    assert len(problem.theta0) == 12 + 12 + 12 + 8
    assert problem.y is not None
    assert problem.y.tolist() == [[0, 1], [1, 0]]


CASES = [
    ("network.layers", None, "network.layers is missing; it must be a list of 1 to 1000 tables [[network.layers]]"),
    ("network.input", None, "network.input is missing; it must be [channels, length] or [channels, height, width]"),
    ("network.input", [4], "network.input must be [channels, length] or [channels, height, width], got [4]"),
    ("network.input", [1, 0, 5], "network.input[1] must be an integer from 1 to 10000, got 0"),
    ("network.widths", [2, 1], 'network.widths goes with kind = "fully-connected", got "convolutional"; remove it'),
    ("network.layers.0.kernel", None, 'network.layers[0].kernel is missing; kind = "convolution" needs it'),
    ("network.layers.0.kernel", [2, 2, 2], "network.layers[0].kernel must be one or two positive integers"),
    ("network.layers.0.kernel", 9, "network.layers[0] must fit its input of 4x5, got a window of 9x9"),
    ("network.layers.0.stride", 0, "network.layers[0].stride[0] must be an integer from 1 to 10000, got 0"),
    ("network.layers.0.padding", -1, "network.layers[0].padding[0] must be an integer from 0 to 10000, got -1"),
    ("network.layers.0.size", 2, 'network.layers[0].size does not go with kind = "convolution", which takes channels'),
    ("network.layers.1.channels", 2, 'network.layers[1].channels does not go with kind = "max-pool"'),
    ("network.layers.3.kind", "dense", 'network.layers[3].stride does not go with kind = "dense", which takes width'),
    ("network.layers.5", {"kind": "max-pool", "size": 1}, "network.layers[5] must be dense, as the layer before it is"),
    ("data.labels", [0, 2], "data.labels[1] must be a class number, an integer from 0 to 1"),
    ("data.x", [[1, 2]] * 2, "data.x must have 20 numbers a row as network.input says, got 2"),
    ("init.scheme", "balanced", 'init.scheme = "balanced" must go with a fully-connected network'),
    ("loss.kind", "logistic", "data.y must have one column for the logistic loss, got 2"),
]


@pytest.mark.parametrize(("path", "value", "phrase"), CASES)
def test_refused(path: str, value: Any, phrase: str) -> None:
    tables = changed(path, value)
    if path == "loss.kind":
        tables["data"] = {"x": tables["data"]["x"], "y": [[1, -1], [1, 1]]}
    with pytest.raises(sf.ProblemError) as error:
        Problem(**tables)
    assert phrase in str(error.value)
    assert "\n" not in str(error.value)


def test_every_problem_is_the_one_that_its_tables_mean(tmp_path: Path) -> None:
    expression = {"kind": "expression", "expression": "(prediction - target)^4/4 + 0.5*(prediction - target)**2"}
    small = {"x": [[1, "1/3"], [2, -1]], "labels": [0, 1]}
    dense = {"widths": [2, 3, 1], "activation": "leaky-relu", "slope": "1/5"}
    init = {"scheme": "gaussian", "seed": 1}
    problems = [
        Problem(**IMAGES),
        Problem(network=dense, loss={"kind": "logistic"}, data=small, init=init),
        Problem(network=dense, loss={"kind": "exponential"}, data=small, init=init),
        Problem(network=dense, loss=expression, data={"x": small["x"], "y": [[1], [0]]}, init=init),
    ]
    for number, problem in enumerate(problems):
        path = tmp_path / f"p{number}.json"
        path.write_text(json.dumps(problem.to_dict()), encoding="utf-8")
        again = sf.load_problem(path)
        assert again.theta0 == problem.theta0
        assert again.objective.sample_loss == problem.objective.sample_loss
        assert again.network == problem.network
        a, b = (float(sf.evaluate_mpmath(sf.loss(p.objective), p.theta0, dps=30)) for p in (problem, again))
        assert a == b


def test_labels_of_a_margin_loss_are_signs() -> None:
    problem = Problem(
        network={"widths": [1, 1], "activation": "linear"},
        loss={"kind": "logistic"},
        data={"x": [[1], [2], [3]], "labels": [0, 1, 1]},
        init={"theta": [1]},
    )
    assert problem.y is not None
    assert problem.y.reshape(-1).tolist() == [-1, 1, 1]


@pytest.mark.parametrize(
    ("written", "meaning"),
    [
        ("prediction*target", lambda p, y: p * y),
        ("-(prediction - 2)^2/3", lambda p, y: -((p - 2) ** 2) / 3),
        ("0.1 + prediction", lambda p, y: sympy.Rational(1, 10) + p),
        ("sqrt(prediction^2 + 1) - exp(-target)", lambda p, y: sympy.sqrt(p**2 + 1) - sympy.exp(-y)),
    ],
)
def test_formulas_mean_what_they_say(written: str, meaning: Any) -> None:
    p, y = sympy.symbols("p y", real=True)
    assert parse_expression(written, {"prediction": p, "target": y}, "loss") == meaning(p, y)


@pytest.mark.parametrize(
    "written",
    [
        "__import__('os').system('true')", "prediction.args", "lambda: 1", "prediction if target else 1", "1/0",
        "log(0)", "prediction**target", "prediction**1000", "open('x')", "exp(prediction, 2)", "", "(", "a",
        "f'{prediction}'", "prediction @ target", "1" * 3000, "[prediction]", "(" * 400 + "1" + ")" * 400, "True", "1j",
    ],
)  # fmt: skip
def test_everything_else_in_a_formula_is_refused(written: str) -> None:
    names = {"prediction": sympy.Symbol("p"), "target": sympy.Symbol("y")}
    with pytest.raises(sf.ProblemError, match=r"^loss (may contain only|must be a formula|must have at most)"):
        parse_expression(written, names, "loss")


def test_convexity_is_proved_declared_or_unknown() -> None:
    p, y = sympy.symbols("p y", real=True)
    assert sf.expression_loss((p - y) ** 4 / 4, p, y).convexity == "proved"
    assert sf.expression_loss(sympy.log(1 + sympy.exp(-y * p)), p, y).convexity == "proved"
    hard = sympy.sqrt((p - y) ** 2 + 1)
    assert sf.expression_loss(hard, p, y).convexity in ("proved", "unknown")
    bumpy = sympy.cos(p)
    assert sf.expression_loss(bumpy, p, y).convexity == "unknown"
    with pytest.raises(sf.ProblemError, match="declared convex, but its second derivative is negative"):
        sf.expression_loss(bumpy, p, y, convex=True)
    with pytest.raises(sf.ProblemError, match="may contain only p and y, got z"):
        sf.expression_loss(p * sympy.Symbol("z"), p, y)
    with pytest.raises(sf.ProblemError, match="must depend on p"):
        sf.expression_loss(y**2, p, y)


def test_records_in_place_of_tables() -> None:
    net = sf.Convolutional((1, 3), (sf.Convolution(2, (2,), (1,), (0,)), sf.Dense(1)), Fraction(1), Fraction(1, 3))
    problem = Problem(
        network=net, loss=sf.Loss("logistic"), data={"x": np.eye(3), "y": [[1], [-1], [1]]}, init={"scheme": "xavier"}
    )
    assert problem.network == net
    assert problem.objective.sample_loss == sf.Loss("logistic")
