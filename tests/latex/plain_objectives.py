"""Objectives whose formulas the tests print."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import sympy

from symflow.derivatives.derived import (
    Derived,
    directional_derivative,
    gradient,
    gradient_flow,
    hessian,
    hessian_vector_product,
    loss,
)
from symflow.networks.convolutional import Convolution, Convolutional, Dense, Pool
from symflow.networks.losses import Loss, expression_loss
from symflow.networks.moments import moment_form
from symflow.networks.network import FullyConnected, Network
from symflow.networks.objective import Objective, expression_objective
from symflow.networks.training_loss import network_objective

EXPRESSIONS = ["log(1 + exp(-x*y)) + sqrt(x**2 + 1)*y**3", "exp(-x**2)/y + x", "x**2*y - x*y/3 + y**(-3/2)",
               "sin(x*y)*cos(x - y)**2", "-x**2/2 + y"]  # fmt: skip


def data(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    return np.array([[Fraction(int(v), 4) for v in row] for row in rng.integers(-6, 7, (rows, columns))], dtype=object)


def network(widths: tuple[Any, ...], alpha: Fraction | int = 1, alpha_bar: Fraction | int = 1) -> FullyConnected:
    return FullyConnected(widths, Fraction(alpha), Fraction(alpha_bar))


def objective(
    widths: tuple[int, ...], alpha: Fraction | int = 1, alpha_bar: Fraction | int = 1, moments: bool = False
) -> Objective:
    rng = np.random.default_rng(len(widths))
    sampled = network_objective(network(widths, alpha, alpha_bar), data(rng, 5, widths[0]), data(rng, 5, widths[-1]))
    if not moments:
        return sampled
    rewritten = moment_form(sampled)
    assert rewritten is not None
    return rewritten


@cache
def everything(o: Objective) -> list[Derived]:
    forms = [directional_derivative(o, k) for k in (0, 1, 2, 3)]
    return [loss(o), gradient(o), gradient_flow(o), *forms, hessian_vector_product(o), hessian(o)]


OBJECTIVES = {
    **{f"linear moments {n}": objective((2, 3, 4, 5, 3, 2, 4)[: n + 1], moments=True) for n in range(1, 7)},
    "linear moments, equal widths": objective((3, 3, 3, 3), moments=True),
    "linear moments, slope 3/2": objective((2, 3, 4, 2), Fraction(3, 2), Fraction(3, 2), moments=True),
    "linear samples 1": objective((3, 2)),
    "linear samples 3": objective((2, 3, 4, 3)),
    "relu 2": objective((2, 3, 2), 1, 0),
    "relu 3": objective((2, 3, 4, 3), 1, 0),
    "relu 3, equal widths": objective((3, 3, 3, 3), 1, 0),
    "leaky 4": objective((2, 4, 3, 5, 2), 1, Fraction(1, 5)),
    "scalar output": objective((2, 3, 3, 1), 1, 0),
    "symbolic samples, linear": network_objective(network((2, 3, 4, 3)), None, None),
    "symbolic samples, relu": network_objective(network((2, 3, 4, 3), 1, 0), None, None),
    **{e: expression_objective(sympy.sympify(e), sympy.symbols("x y")) for e in EXPRESSIONS},
}


# --- All losses and architectures -------------------------------------------------------------------------------------

P, Y = sympy.symbols("p y", real=True)
LOSSES = {
    "square": Loss("square"),
    "logistic": Loss("logistic"),
    "exponential": Loss("exponential"),
    "cross-entropy": Loss("cross-entropy"),
    "expression": expression_loss(sympy.log(1 + (P - Y) ** 2), P, Y),
}


def outputs(loss: str) -> int:
    return 1 if loss in ("logistic", "exponential") else 3


def convolutional(image: tuple[int, ...], *parts: Any, slopes: tuple[Any, Any] = (1, 0)) -> Network:
    return Convolutional(image, parts, *map(Fraction, slopes))


def patches(channels: int, kernel: tuple[int, ...], stride: int = 1, padding: int = 0) -> Convolution:
    ones = (1,) * len(kernel)
    return Convolution(channels, kernel, tuple(stride * i for i in ones), tuple(padding * i for i in ones))


ARCHITECTURES: dict[str, Callable[[int], Network]] = {
    "linear 3": lambda d: FullyConnected((2, 3, 4, d)),
    "relu 3": lambda d: FullyConnected((2, 3, 4, d), Fraction(1), Fraction(0)),
    "1-D, max": lambda d: convolutional(
        (2, 6), patches(3, (3,), padding=1), Pool("max", (2,), (2,)), Dense(d), slopes=(1, Fraction(1, 5))
    ),
    "2-D, average": lambda d: convolutional(
        (1, 5, 4),
        Convolution(2, (3, 2), (2, 1), (1, 0)),
        Pool("average", (2, 2), (1, 1)),
        patches(2, (2, 2)),
        Dense(d),
    ),
    "2-D, max": lambda d: convolutional((1, 4, 3), patches(2, (2, 2)), Pool("max", (3, 1), (3, 1)), Dense(2), Dense(d)),
    "1-D, linear, average, max": lambda d: convolutional(
        (2, 7),
        patches(2, (2,)),
        Pool("average", (2,), (2,)),
        Pool("max", (3,), (3,)),
        Dense(d),
        slopes=(Fraction(3, 2), Fraction(3, 2)),
    ),
    "biases, skip, diagonal": lambda d: FullyConnected(
        (2, 3, 3, 3, d),
        activation=("leaky-relu", "1/5"),
        biases=[True, False, True, True],
        skip=[[1, 2], [1, 3]],
        diagonal=[2, 3],
        output_scale="1/3",
    ),
    "1-D, max, biases, skip, diagonal": lambda d: Convolutional(
        (2, 4),
        (patches(2, (3,), padding=1), Pool("max", (2,)), patches(2, (3,), padding=1), Dense(3), Dense(3), Dense(d)),
        activation="relu",
        biases=[True, False, True, True, False, True],
        skip=[[0, 1], [2, 3], [4, 5]],
        diagonal=[5],
        output_scale=2,
    ),
}


def symbolic(architecture: str, loss: str) -> Objective:
    return network_objective(ARCHITECTURES[architecture](outputs(loss)), None, None, LOSSES[loss])
