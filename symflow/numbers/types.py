"""Names for kinds of numbers, as annotations write them."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import jax

Mpf: TypeAlias = Any
"""An mpmath number (mpmath has no types)."""
Number: TypeAlias = int | float | str | Fraction | Decimal | np.number
"""What `rational` reads as one number; SymPy's and mpmath's numbers too, which have no types."""
JaxArray: TypeAlias = "jax.Array"
JsonObject: TypeAlias = dict[str, Any]
"""An object for JSON: text, numbers, lists and objects by name."""
