"""What a problem file may hold: every wrong key or value gets one line that names it and says what is right."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from symflow.errors import ProblemError, SymflowError, brief, shorten
from symflow.problem.schema import parse

Refusal = Callable[..., str]
ABSENT = object()

CASES: list[tuple[str, Any, str]] = [
    # network
    ("network", ABSENT, "network is missing; it must be a table [network]"),
    ("network", [1], "network must be a table [network], got [1]"),
    ("network.kind", "dense", 'network.kind must be one of "fully-connected", "convolutional", got \'dense\''),
    ("network.kind", "convolutional", 'network.widths goes with kind = "fully-connected", got "convolutional"; remove'),
    ("network.input", [1, 8, 8], 'network.input goes with kind = "convolutional", got "fully-connected"; remove it'),
    ("network.layers", [{"kind": "dense", "width": 2}], 'network.layers goes with kind = "convolutional", got "fully-'),
    ("network.layers", [{"kind": "flatten"}], 'network.layers[0].kind must be one of "convolution", "average-pool"'),
    (
        "network.layers",
        [{"kind": "dense", "widht": 2}],
        "network.layers[0].widht is not a known key; did you mean width",
    ),
    ("network.kind", None, "got nothing"),
    ("network.kind", np.array(["a", "b"]), "network.kind must be"),
    ("network.widths", ABSENT, "network.widths is missing; it must be a list of 2 to 1001 layer widths"),
    ("network.widths", 3, "network.widths must be a list of 2 to 1001 layer widths d_0, ..., d_n, got 3"),
    ("network.widths", "2,3,1", "network.widths must be a list"),
    ("network.widths", [2], "network.widths must be a list of 2 to 1001 layer widths d_0, ..., d_n, got [2]"),
    ("network.widths", [1] * 1002, "network.widths must be a list of 2 to 1001 layer widths d_0, ..., d_n, got a list"),
    ("network.widths", [2, -3, 1], "network.widths[1] must be an integer from 1 to 10000, got -3"),
    ("network.widths", [2, 0, 1], "network.widths[1] must be an integer from 1 to 10000, got 0"),
    ("network.widths", [2, 3.0, 1], "network.widths[1] must be an integer from 1 to 10000, got 3.0"),
    ("network.widths", [2, Decimal("3.5"), 1], "network.widths[1] must be an integer from 1 to 10000, got 3.5"),
    ("network.widths", [2, "3", 1], "network.widths[1] must be an integer from 1 to 10000, got '3'"),
    ("network.widths", [2, True, 1], "network.widths[1] must be an integer from 1 to 10000, got true"),
    ("network.widths", [2, 10_001, 1], "network.widths[1] must be an integer from 1 to 10000, got 10001"),
    ("network.widths", [2, 10**5000, 1], "got an integer of about 5001 digits"),
    ("network.widths", np.ones((2, 2)), "network.widths must be a list"),
    ("network.widths", [2, 5000, 5000, 1], "network.widths must give at most 1000000 parameters, got 25015000"),
    ("network.activation", ABSENT, 'network.activation is missing; it must be one of "linear", "relu", "leaky-relu"'),
    ("network.activation", "rleu", "got 'rleu' (did you mean \"relu\"?)"),
    ("network.activation", "swish", 'must be one of "linear", "relu", "leaky-relu", "homogeneous", "tanh"'),
    ("network.activation", 1, "network.activation must be one of"),
    ("network.activation", "leaky-relu", 'network.slope is missing; activation = "leaky-relu" needs it'),
    ("network.activation", "homogeneous", 'network.alpha is missing; activation = "homogeneous" needs it'),
    ("network.slope", "1/5", 'network.slope = 1/5 goes with activation = "leaky-relu", got "relu"; remove it'),
    ("network.alpha", 2, 'network.alpha = 2 goes with activation = "homogeneous", got "relu"'),
    ("network.alpha_bar", "x", "network.alpha_bar must be a number such as 3"),
    ("network.slope", "1", "network.slope must be a number between 0 and 1, both excluded, got '1'"),
    ("network.slope", 0, "network.slope must be a number between 0 and 1, both excluded, got 0"),
    ("network.width", [2, 1], "network.width is not a known key; did you mean widths?"),
    ("network.step_size", 1, "network.step_size is not a known key; step_size stands in [run]"),
    ("network.seed", 1, "network.seed is not a known key; seed stands in [descent] or [init]"),
    ("network.zzz", 1, "network.zzz is not a known key; known are kind, widths, input, layers, activation, slope"),
    ("network.line\nbreak", 1, "network.'line\\nbreak' is not a known key"),
    ("network.", 1, "network.'' is not a known key"),
    ("network.\ud800", 1, "network must be valid Unicode text, got '\\ud800'"),
    ("network." + "k" * 10**6, 1, "is not a known key"),
    # loss
    ("loss", ["square"], "loss must be a table [loss], or its kind, got ['square']"),
    ("loss.kind", "logistic", "data.y[1] must be -1 or 1 for the logistic loss, got -1/4"),
    ("loss.kind", "exponential", "data.y[1] must be -1 or 1 for the exponential loss, got -1/4"),
    ("loss.kind", "cross-entropy", "data.y[1] must be a one-hot row (or probabilities that sum to 1)"),
    (
        "loss.kind",
        "hinge",
        'loss.kind must be one of "square", "logistic", "exponential", "cross-entropy", "expression"',
    ),
    ("loss.kind", "logisitc", '(did you mean "logistic"?)'),
    ("loss.kind", "expression", 'loss.expression is missing; kind = "expression" needs it'),
    ("loss.expression", "prediction", 'loss.expression goes with kind = "expression", got "square"'),
    ("loss.convex", True, 'loss.convex goes with kind = "expression", got "square"; remove it'),
    ("loss.weight", 1, "loss.weight is not a known key; known are kind, expression, convex in [loss]"),
    # init
    ("init", ABSENT, "init is missing"),
    ("init", {}, "init must have exactly one of theta and scheme, got neither"),
    ("init.scheme", "gaussian", "init must have exactly one of theta and scheme, got both"),
    ("init.seed", 3, "init.seed = 3 goes with init.scheme, got init.theta; remove it"),
    ("init.scale", "1/2", "init.scale = 1/2 goes with init.scheme"),
    ("init", {"scheme": "guassian"}, "got 'guassian' (did you mean \"gaussian\"?)"),
    ("init", {"scheme": "gaussian", "seed": -1}, "init.seed must be an integer from 0 to 2^63 - 1, got -1"),
    ("init", {"scheme": "gaussian", "seed": "0"}, "init.seed must be an integer from 0 to 2^63 - 1, got '0'"),
    ("init", {"scheme": "gaussian", "scale": "-1"}, "init.scale must be a positive number, got '-1'"),
    ("init", {"scheme": "gaussian", "scale": 0}, "init.scale must be a positive number, got 0"),
    ("init.theta", ["0.1"] * 8, "init.theta must have all 9 weights (3x2 + 1x3), got 8"),
    ("init.theta", ["0.1"] * 10, "init.theta must have all 9 weights (3x2 + 1x3), got 10"),
    ("init.theta", ["0.1"] * 8 + ["a"], "init.theta[8] must be a number such as 3"),
    ("init.theta", "0.1", "init.theta must be a list of numbers, got '0.1'"),
    # run
    ("run.horizon", "0", "run.horizon must be a positive number, got '0'"),
    ("run.horizon", "-1", "run.horizon must be a positive number, got '-1'"),
    ("run.horizon", "soon", 'run.horizon must be a number such as 3, "-3/10", "0.7" or "1e-3", got \'soon\''),
    ("run.horizon", "inf", "run.horizon must be a finite number, got 'inf'"),
    ("run.horizon", "1e99999", "run.horizon must be a number whose decimal exponent is within +-10000"),
    ("run.horizon", True, "run.horizon must be a number such as"),
    ("run.horizon", [1], "got [1]"),
    ("run.step_size", "0", "run.step_size must be a positive number, got '0'"),
    ("run.dps", 14, "run.dps must be an integer from 15 to 10000, got 14"),
    ("run.dps", 10_001, "run.dps must be an integer from 15 to 10000, got 10001"),
    ("run.dps", "50", "run.dps must be an integer from 15 to 10000, got '50'"),
    ("run.dps", Decimal("50.0"), "run.dps must be an integer from 15 to 10000, got 50.0"),
    ("run.dps", True, "run.dps must be an integer from 15 to 10000, got true"),
    ("run.steps", 3, "run.steps is not a known key; did you mean step_size?"),
    ("run.horizen", 3, "run.horizen is not a known key; did you mean horizon?"),
    # the whole
    ("netwrok", {}, "netwrok is not a known key; did you mean network?"),
    ("name", 3, "name must be text of at most 200 characters, got 3"),
    ("name", "n" * 201, "name must be text of at most 200 characters"),
]


def change(tables: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Put the value at the dotted path, or remove what is there."""
    section, dot, key = path.partition(".")
    target, last = (tables.setdefault(section, {}), key) if dot else (tables, section)
    if value is ABSENT:
        del target[last]
    else:
        target[last] = value
    return tables


@pytest.mark.parametrize(
    ("path", "value", "phrase"),
    CASES,
    ids=lambda part: "absent" if part is ABSENT else brief(part).encode("ascii", "replace"),
)
def test_refused(refusal: Refusal, valid: dict[str, Any], path: str, value: Any, phrase: str) -> None:
    assert phrase in refusal(change(valid, path, value))


@pytest.mark.parametrize("raw", [None, 3, "text", [], [{}]])
def test_no_table(refusal: Refusal, raw: object) -> None:
    assert "the problem must be a table of sections" in refusal(raw)


def test_keys_that_are_no_text(refusal: Refusal, valid: dict[Any, Any]) -> None:
    assert "not a known key" in refusal(valid | {1: 2})
    valid["network"][(1, 2)] = 3
    assert "not a known key" in refusal(valid)


def test_the_valid_problem_and_its_defaults(valid: dict[str, Any]) -> None:
    del valid["loss"], valid["run"], valid["network"]["kind"]
    parsed = parse(valid, "p")
    assert (parsed.loss.kind, parsed.network.kind) == ("square", "fully-connected")
    assert (parsed.run.dps, parsed.run.horizon, parsed.run.step_size) == (50, None, None)


def test_numpy_where_the_file_has_lists(valid: dict[str, Any]) -> None:
    valid["network"]["widths"] = np.array([2, 3, 1])
    valid["data"]["rows"] = (np.int64(1), 0)
    valid["run"]["dps"] = np.int32(30)
    parsed = parse(valid, "p")
    assert (parsed.network.widths, parsed.data.rows, parsed.run.dps) == ([2, 3, 1], [1, 0], 30)


def test_every_error_is_one_line() -> None:
    assert str(SymflowError("a\nb\u2028c\x85d\r\n")) == "a b c d"
    assert issubclass(ProblemError, ValueError)


class Unprintable:
    """Its repr fails."""

    def __repr__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "nothing"),
        (True, "true"),
        ("a\nb", "'a\\nb'"),
        (12, "12"),
        ([1, "2"], "[1, '2']"),
        ([1] * 5, "a list of 5 items"),
        ([[1]], "a list of 1 items"),
        ({}, "an empty table"),
        (Unprintable(), "a Unprintable"),
        (Decimal("0.10"), "0.10"),
    ],
)
def test_brief(value: object, expected: str) -> None:
    assert brief(value) == expected


def test_brief_is_short_for_large_values() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for value in ("x" * 10**7, 10**10**5, Decimal(10) ** 10**5, ["y" * 10**6] * 4, np.zeros((1000, 1000)), deep):
        assert len(brief(value)) <= 130
        assert "\n" not in brief(value)


def test_shorten() -> None:
    assert shorten("a" * 100, 11) == "aaaa...aaaa"
    assert shorten("short") == "short"
