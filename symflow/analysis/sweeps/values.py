"""The values of a row as JSON: the kind of each number is written with it, so that none is changed by being stored."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from symflow.errors import brief
from symflow.numbers.decimal import decimal
from symflow.numbers.rational import text

KINDS = ("int", "bool", "float", "text", "decimal", "rational")
"""decimal: an mpmath number, as text with all its digits; rational: exact, as text p/q; float: a float64."""


def encode(value: object) -> Any:
    """A value as JSON: int, bool, text and None as they are, other numbers as {kind: text}.

    Raises:
        TypeError: a value of another type.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return {"float": repr(value)}
    if hasattr(value, "_mpf_"):
        return {"decimal": decimal(value)}
    if isinstance(value, Decimal):
        return {"decimal": str(value)}
    if isinstance(value, Fraction):
        return {"rational": text(value)}
    raise TypeError(
        f"a measure must give numbers, text, true, false or nothing, got {brief(value)} ({type(value).__name__})"
    )


def kind_of(stored: object) -> str | None:
    """The kind of a stored value; None for nothing."""
    if stored is None:
        return None
    if isinstance(stored, dict):
        return next(iter(stored))
    return {bool: "bool", int: "int", str: "text"}[type(stored)]


def decode(stored: object) -> Any:
    """The value as a table has it: decimals and rationals as text."""
    if not isinstance(stored, dict):
        return stored
    kind, written = next(iter(stored.items()))
    return float(written) if kind == "float" else written


def as_float(kind: str, value: str) -> float:
    """A decimal or rational text in float64; beyond its range infinite."""
    if kind == "decimal":
        return float(value)
    try:
        return float(Fraction(value))
    except OverflowError:
        return math.inf
