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
JsonObject: TypeAlias = dict[str, Any]
"""An object for JSON: text, numbers, lists and objects by name."""
