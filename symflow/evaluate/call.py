"""A derived formula called as a function: evaluated in the arithmetic of the numbers that it is given."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from symflow.derivatives.derived import Derived
from symflow.evaluate.jax import to_jax
from symflow.evaluate.object_arrays import evaluate_exact, evaluate_mpmath

LEAST_DPS = 30


def value_at(derived: Derived, theta: Any, direction: Any = ()) -> Any:
    """float64 for floats (JAX and its tracers too), exact rationals for rationals, many digits for mpf."""
    given = [x for x in (theta, direction) if not (isinstance(x, tuple) and not x)]
    if all(_floats(x) for x in given):
        found = to_jax(derived)(*given)
        return found if any(isinstance(x, jax.Array) for x in given) else np.asarray(found)[()]
    entries = [v for x in given for v in np.asarray(x, dtype=object).reshape(-1)]
    bits = max((int(v._mpf_[3]) for v in entries if hasattr(v, "_mpf_")), default=0)
    dps = max(LEAST_DPS, int(bits / 3.3))
    if not bits:
        try:
            return evaluate_exact(derived, theta, direction)
        except TypeError:  # an irrational function
            pass
    return evaluate_mpmath(derived, theta, direction, dps)


def _floats(values: Any) -> bool:
    """Whether they are an array of float64, or a list with floats and whole numbers in it."""
    kind = getattr(getattr(values, "dtype", None), "kind", None)
    if kind is not None and kind != "O":
        return bool(kind == "f")
    return isinstance(values, list | tuple) and any(isinstance(v, float) for v in values)
