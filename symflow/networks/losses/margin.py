"""What losses u(-y p) of a margin y p share: one output, and targets -1 and 1."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import sympy

from symflow.errors import ProblemError, brief
from symflow.networks.losses.kind import total
from symflow.programs.nodes import Node, apply, hadamard, scale


def of_margin(function: str) -> Callable[[Node, Node, sympy.Expr | None], Node]:
    """The sum over samples of u(-y p)."""
    return lambda prediction, targets, _: total(apply(function, scale(-1, hadamard(targets, prediction))))


def check_signs(name: str) -> Callable[[np.ndarray, str], None]:
    """Refuses targets other than one -1 or 1 a sample."""
    return partial(_check_signs, name)


def _check_signs(name: str, y: np.ndarray, where: str) -> None:
    if y.shape[1] != 1:
        raise ProblemError(f"{where} must have one column for the {name} loss, got {y.shape[1]}")
    for i, (value,) in enumerate(y):
        if value not in (1, -1):
            raise ProblemError(f"{where}[{i}] must be -1 or 1 for the {name} loss, got {brief(value)}")
