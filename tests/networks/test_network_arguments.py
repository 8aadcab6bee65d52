"""Networks read their numbers as everything else does: float slopes as decimals, NumPy's integers as integers."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy

import symflow as sf


def test_a_float_slope_is_its_shortest_decimal() -> None:
    assert sf.FullyConnected((2, 3, 1), 1, 0.1).alpha_bar == Fraction(1, 10)  # type: ignore[arg-type]
    conv = sf.Convolutional((1, 3), (sf.Dense(1),), "0.5", np.float32(0.1))  # type: ignore[arg-type]
    assert (conv.alpha, conv.alpha_bar) == (Fraction(1, 2), Fraction(1, 10))


def test_widths_of_every_integer_type() -> None:
    plain = sf.FullyConnected((2, 3, 1))
    for widths in ([2, 3, 1], np.array([2, 3, 1]), [np.int8(2), sympy.Integer(3), 1]):
        assert sf.FullyConnected(widths) == plain  # type: ignore[arg-type]
    symbols = sympy.symbols("d_0:3", positive=True, integer=True)
    assert sf.FullyConnected(symbols).widths == symbols


CASES: list[tuple[Callable[[], Any], str]] = [
    (lambda: sf.FullyConnected(2), "widths must be a list of layer widths such as (2, 3, 1), got 2"),  # type: ignore[arg-type]
    (lambda: sf.FullyConnected(2, 3, 1), "widths must be a list of layer widths"),  # type: ignore[arg-type]
    (lambda: sf.FullyConnected("231"), "widths must be a list of layer widths"),  # type: ignore[arg-type]
    (lambda: sf.FullyConnected((2,)), "at least two entries"),
    (lambda: sf.FullyConnected((2, 0)), "a width must be a positive whole number, got 0"),
    (lambda: sf.FullyConnected((2, 1.5)), "a width must be a positive whole number, got 1.5"),  # type: ignore[arg-type]
    (lambda: sf.FullyConnected((2, True)), "a width must be a positive whole number, got true"),
    (lambda: sf.FullyConnected((2, 1), 1, "x"), "alpha_bar must be a number such as"),  # type: ignore[arg-type]
    (lambda: sf.FullyConnected((2, 1), float("nan")), "alpha must be a finite number"),  # type: ignore[arg-type]
    (lambda: sf.Convolutional((1, 3), (sf.Dense(1),), None), "alpha must be a number such as"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("call", "said"), CASES, ids=[said for _, said in CASES])
def test_refused_in_one_typed_line(call: Callable[[], Any], said: str) -> None:
    with pytest.raises(sf.ProblemError) as error:
        call()
    assert said in str(error.value)
