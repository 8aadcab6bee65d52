"""Programs as functions of scalars: the integers they give are those of the array interpreter, to the last bit."""

from __future__ import annotations

import random
from fractions import Fraction

import numpy as np
import pytest

import symflow as sf
from symflow.compile import unrolled as module
from symflow.compile.fixed import FixedArrays
from symflow.compile.interpret import interpret
from symflow.compile.unrolled import unrolled
from symflow.symbolic.field import gradient_flow_field, leading_order_field

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
