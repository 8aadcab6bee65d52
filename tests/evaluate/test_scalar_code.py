"""Programs as functions of scalars: the integers they give are those of the array interpreter, to the last bit."""

from __future__ import annotations

import random
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy

import symflow as sf
from symflow.dynamics.modified.leading_order import leading_order_field
from symflow.dynamics.vector_field import gradient_flow_field
from symflow.errors import ComputationError, DescentDiverged
from symflow.evaluate import scalar_code as module
from symflow.evaluate.fixed_point import FixedArrays
from symflow.evaluate.interpret import interpret
from symflow.evaluate.scalar_code import unrolled

BITS = 150


def cases() -> dict[str, sf.Problem]:
    rng = random.Random(5)

    def rows(count: int, width: int) -> list[list[Fraction]]:
        return [[Fraction(rng.randint(-9, 9), 7) for _ in range(width)] for _ in range(count)]

    def dense(widths: list[int], samples: int, **tables: object) -> sf.Problem:
        network = {"widths": widths, "activation": "linear", **dict(tables.pop("network", {}))}  # type: ignore[call-overload]
        data = tables.pop("data", None) or {"x": rows(samples, widths[0]), "y": rows(samples, widths[-1])}
        return sf.Problem(network=network, data=data, init={"scheme": "xavier"}, **tables)  # type: ignore[arg-type]

    convolution = {"kind": "convolution", "channels": 2, "kernel": [2, 2], "padding": [1, 1]}
    pool = {"kind": "max-pool", "size": [2, 2], "stride": [2, 2]}
    image = {
        "kind": "convolutional",
        "input": [1, 3, 3],
        "activation": "relu",
        "layers": [convolution, pool, {"kind": "dense", "width": 2}],
    }
    signs = {"x": rows(5, 2), "y": [[1], [-1], [1], [1], [-1]]}
    zeros = {"x": [[0, 0], [1, 0]], "y": [[0], [1]]}
    labels = {"x": rows(4, 2), "labels": [0, 2, 1, 1]}
    return {
        "linear": dense([2, 3, 2], 4),
        "leaky": dense([2, 3, 2], 4, network={"activation": "leaky-relu", "slope": "1/5"}),
        "zero data": dense([2, 2, 1], 2, network={"activation": "relu"}, data=zeros),
        "cross-entropy": dense([2, 3], 4, loss={"kind": "cross-entropy"}, data=labels),
        "logistic": dense([2, 2, 1], 5, loss={"kind": "logistic"}, data=signs),
        "exponential": dense([2, 2, 1], 5, loss={"kind": "exponential"}, data=signs),
        "convolutional": sf.Problem(
            network=image, data={"x": rows(3, 9), "y": rows(3, 2)}, init={"scheme": "xavier", "seed": 3}
        ),
        "many samples": dense([2, 1, 1], 300, network={"activation": "relu"}),
    }


@pytest.mark.parametrize("name", cases())
@pytest.mark.parametrize("make", [gradient_flow_field, leading_order_field])
def test_the_same_integers_as_arrays(name: str, make: object) -> None:
    problem = cases()[name]
    field = make(problem.objective)  # type: ignore[operator]
    arithmetic = FixedArrays(BITS)
    data = {x: arithmetic.lift(a) for x, a in problem.objective.data.items()}
    rng = random.Random(1)
    shapes = {x: tuple(int(a.size) for a in x.axes) for x in field.state}
    state = {
        x: arithmetic.lift(
            np.array([Fraction(rng.randint(-500, 500), 300) for _ in range(int(np.prod(s)))], dtype=object).reshape(s)
        )
        for x, s in shapes.items()
    }
    expected = [v for a in interpret(field.program, data | state, arithmetic).values() for v in a.reshape(-1)]
    evaluate = unrolled(field.program, data, field.state, BITS)
    assert evaluate is not None
    assert list(evaluate(*(v for a in state.values() for v in a.reshape(-1)))) == expected
    # a start with entries that vanish, so that gates are at their kink
    zero = {x: a * 0 for x, a in state.items()}
    expected = [v for a in interpret(field.program, data | zero, arithmetic).values() for v in a.reshape(-1)]
    assert list(evaluate(*(v for a in zero.values() for v in a.reshape(-1)))) == expected


def test_large_programs_stay_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    """The budget refuses the function, and descent then gives the same iterates."""
    problem = cases()["leaky"]
    short = sf.descend(problem, step_size="1/50", steps=20, dps=30)
    monkeypatch.setattr(module, "MOST_OPERATIONS", 10)
    field = gradient_flow_field(problem.objective)
    data = {x: FixedArrays(BITS).lift(a) for x, a in problem.objective.data.items()}
    assert unrolled(field.program, data, field.state, BITS) is None
    long = sf.descend(problem, step_size="1/50", steps=20, dps=30)
    assert [v._mpf_ for v in short.iterates[-1]] == [v._mpf_ for v in long.iterates[-1]]


def test_zero_inputs_cost_nothing() -> None:
    """What is zero by structure is not computed: a zero sample adds no line."""
    one, two = (
        sf.Problem(
            network={"widths": [2, 2, 1], "activation": "relu"},
            data={"x": [[1, 2], *more], "y": [[1]] * (1 + len(more))},
            init={"scheme": "xavier"},
        )
        for more in ([], [[0, 0]])
    )
    sizes = []
    for problem in (one, two):
        field = gradient_flow_field(problem.objective)
        data = {x: FixedArrays(BITS).lift(a) for x, a in problem.objective.data.items()}
        evaluate = unrolled(field.program, data, field.state, BITS)
        assert evaluate is not None
        sizes.append(len(evaluate.__code__.co_code))
    assert sizes[1] < 1.5 * sizes[0]


# Objectives of one's own --------------------------------------------------------------------------------------------

A, B, C, D = sympy.symbols("a b c d", real=True)
THIRD = sympy.Rational(1, 3)


def tanh(z: sympy.Expr) -> sympy.Expr:
    return 1 - 2 / (sympy.exp(2 * z) + 1)


EXPRESSIONS: dict[str, sympy.Expr] = {
    "scaled squares": (A * B - 1) ** 2 / 10 + (A - 2 * B) ** 2 / 10,
    "common factor": ((A * B - 1) ** 2 + (A - 2 * B) ** 2) / 10,
    "weight decay": (A * B - 1) ** 2 / 2 + (A**2 + B**2) / 20,
    "matrix completion": ((A * C - 1) ** 2 + (B * D - 2) ** 2 + (A * D - THIRD) ** 2) / 6,
    "matrix sensing": sum((k * A * C + (k - 2) * B * D - k**2) ** 2 for k in range(1, 5)) / 8,
    "tanh": (A * tanh(B) - THIRD) ** 2 / 2 + (A * tanh(2 * B + C) - 1) ** 2 / 2,
    "log loss": sum(sympy.log(1 + sympy.exp(-k * A * B)) for k in (1, -2, 3)) / 3,
    "means of squares": ((A - 1) ** 2 / 3 + (B + 2) ** 2 / 3) / 2 + (A * B) ** 2 / 4,
    "root": sympy.sqrt(1 + A**2 + B**2) + A * B / 7,
    "powers": (1 + A**2) ** sympy.Rational(-3, 2) * B**3 + A**4 / 4,
    "waves": sympy.sin(A * B) + sympy.cos(A) ** 2 + sympy.sin(B) / 3,
    "logarithm": A * sympy.log(2 + A**2 + B**2) - B,
    "rational": A / (1 + B**2) + B / (2 + A**2),
    "exponentials": sympy.exp(A - B) + sympy.exp(-A) / 7 + B**2,
    "one parameter": (A - 1) ** 2 / 6 + A**4 / 12,
    "constant slope": 2 * A - B / 3,
    "negative coefficients": -A * B / 3 - (A - B) ** 2 / 10 - 5,
}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_gradients_of_expressions_are_those_of_sympy_to_the_last_bits(name: str) -> None:
    """SymPy differentiates and evaluates to 70 digits; 150 bits are 45, and a few roundings are allowed."""
    expression = EXPRESSIONS[name]
    variables = sorted(expression.free_symbols, key=str)
    field = gradient_flow_field(sf.expression_objective(expression, variables))
    evaluate = unrolled(field.program, {}, field.state, BITS)
    assert evaluate is not None
    for point in (["1/2", "-3/4", "5/8", "1/4"], ["-3/4", "1/2", "-1/8", "9/8"]):
        at = {v: sympy.Rational(q) for v, q in zip(variables, point, strict=False)}
        found = evaluate(*(int(q * 2**BITS) for q in at.values()))
        with mpmath.workdps(70):
            for v, value in zip(variables, found, strict=True):
                slope = mpmath.mpf(sympy.N(sympy.diff(expression, v).subs(at), 70))
                assert abs(mpmath.mpf(int(value)) / 2**BITS + slope) < 100 * mpmath.mpf(2) ** -BITS


def test_descent_deviation_and_tightness_of_an_expression() -> None:
    """The very objective whose generated source held the text of an object; ten steps by SymPy's rationals."""
    expression = EXPRESSIONS["scaled squares"]
    objective = sf.expression_objective(expression, (A, B))
    problem = sf.Problem(objective=objective, theta0=["1/2", "1/3"], horizon=1, step_size="1/10", dps=25)
    theta = [sympy.Rational(1, 2), sympy.Rational(1, 3)]
    slopes = [sympy.diff(expression, v) for v in (A, B)]
    for _ in range(3):
        at = dict(zip((A, B), theta, strict=True))
        theta = [v - g.subs(at) / 10 for v, g in zip(theta, slopes, strict=True)]
    run = sf.descend(problem, steps=3, dps=40)
    with mpmath.workdps(60):
        for found, exact in zip(run.iterates[-1], theta, strict=True):
            assert abs(found - mpmath.mpf(int(exact.p)) / int(exact.q)) < mpmath.mpf(10) ** -40
    assert 0 < sf.deviation(problem).max < 1
    assert "R4" in str(sf.tightness(problem))


@pytest.mark.parametrize(
    ("expression", "start", "message"),
    [
        (sympy.sqrt(A), "-1/2", "the power -1/2 of -0.5 is not a real number"),
        (1 / A, "0", "the power -2 of 0"),
        (A * sympy.log(A), "-1", "log of -1.0 is not a real number"),
        (sympy.exp(sympy.exp(A)), "50", "bits in fixed point"),
        (sympy.exp(A), "2000", "diverges"),
    ],
)
def test_descent_outside_the_domain_is_a_typed_error(expression: sympy.Expr, start: str, message: str) -> None:
    problem = sf.Problem(objective=sf.expression_objective(expression, (A,)), theta0=[start], step_size="1/10")
    with pytest.raises((ComputationError, DescentDiverged), match=message) as caught:
        sf.descend(problem, steps=3, dps=20)
    assert "\n" not in str(caught.value)


def test_what_underflows_is_zero() -> None:
    problem = sf.Problem(
        objective=sf.expression_objective(sympy.exp(-sympy.exp(A)), (A,)), theta0=["50"], step_size="1/10"
    )
    assert sf.descend(problem, steps=2, dps=20).iterates[-1][0] == 50
