"""Objectives whose formulas the tests print."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import sympy

from symflow.symbolic.derived import (
    Derived,
    directional_derivative,
    gradient,
    gradient_flow,
    hessian,
    hessian_vector_product,
    loss,
)
from symflow.symbolic.moments import moment_form
from symflow.symbolic.network import FullyConnected
from symflow.symbolic.objective import Objective, expression_objective
from symflow.symbolic.training import network_objective

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
