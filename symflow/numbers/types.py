"""Names for kinds of numbers, as annotations write them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from decimal import Decimal
    from fractions import Fraction

    import jax
    import numpy as np

Mpf: TypeAlias = Any
"""An mpmath number (mpmath has no types)."""
Number: TypeAlias = "int | float | str | Fraction | Decimal | np.number"
"""What `rational` reads as one number; SymPy's and mpmath's numbers too, which have no types."""
JaxArray: TypeAlias = "jax.Array"
Scalar: TypeAlias = Any
"""What a formula is evaluated on: a float, an array of them, an mpmath number, an interval, or a SymPy symbol.

They share their arithmetic but no type.
"""
Entry: TypeAlias = "Fraction | Mpf"
"""A number as exact or many-digit arithmetic computes it."""
JsonObject: TypeAlias = dict[str, Any]
"""An object for JSON: text, numbers, lists and objects by name."""
