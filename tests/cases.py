"""What several tests share: the reference problems, random rationals, and the truth counted above a bound."""

from __future__ import annotations

import json
import random
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import sympy

import symflow as sf
from symflow.analysis.deviation import Deviation
from symflow.dynamics.vector_field import VectorField, gradient_flow_field

REFERENCE = Path(__file__).parent / "problem" / "reference"
"""Problems with digits of their flows that other programs computed."""


@cache
def reference(name: str) -> sf.Problem:
    """A reference problem; one object a file, so that each is compiled once."""
    return sf.load_problem(REFERENCE / f"{name}.json")


@cache
def reference_tables(name: str) -> dict[str, Any]:
    """The whole content of a reference problem's file."""
    tables: dict[str, Any] = json.loads((REFERENCE / f"{name}.json").read_text(encoding="utf-8"))
    return tables


def violations(dev: Deviation, name: str, factor: float = 1.0) -> int:
    """How many sampled times have the truth above factor times the bound."""
    pairs = zip(dev.values, dev.bounds[name].values, strict=True)
    return sum(b is not None and v > factor * b for v, b in pairs)


def rationals(rng: random.Random, *shape: int) -> np.ndarray:
    """An object array of small random rationals."""
    array = np.empty(shape, dtype=object)
    for index in np.ndindex(*shape):
        array[index] = Fraction(rng.randint(-6, 6), rng.randint(1, 4))
    return array


def quarters(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """An object array of random multiples of 1/4."""
    values = np.random.default_rng(seed).integers(-5, 6, shape)
    return np.vectorize(lambda v: Fraction(int(v), 4), otypes=[object])(values)


def expression_flow(text: str) -> tuple[VectorField, list[Fraction]]:
    """Gradient flow of an expression in x and y, and a start."""
    x, y = sympy.symbols("x y", real=True)
    objective = sf.expression_objective(sympy.sympify(text, locals={"x": x, "y": y}, rational=True), [x, y])
    return gradient_flow_field(objective), [Fraction(1, 3), Fraction(-2, 5)]


def reference_flow(name: str) -> tuple[VectorField, list[Fraction]]:
    """Gradient flow of a reference problem, and its start."""
    problem = reference(name)
    return gradient_flow_field(problem.objective), list(problem.theta0)
