"""Activations by name: a new one is a file with its record, and a line here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sympy

from symflow.errors import ProblemError, brief
from symflow.networks.activations import expression, gelu, homogeneous, sigmoid, silu, softplus, tanh
from symflow.networks.activations.activation import Activation, ActivationKind
from symflow.networks.activations.expression import ExpressionActivation
from symflow.networks.activations.homogeneous import Homogeneous
from symflow.networks.activations.per_layer import PerLayer, joined

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "ActivationKind",
    "ExpressionActivation",
    "Homogeneous",
    "PerLayer",
    "as_activation",
]

ACTIVATIONS: dict[str, ActivationKind] = {
    **homogeneous.KINDS,
    **tanh.KINDS,
    **sigmoid.KINDS,
    **softplus.KINDS,
    **gelu.KINDS,
    **silu.KINDS,
    **expression.KINDS,
}


def as_activation(given: Any, alpha: Any, alpha_bar: Any, *, layers: int = 1) -> Activation:
    """An activation from its name, a pair such as ("leaky-relu", "1/5"), its record, or a SymPy expression in a symbol.

    If it is None, it has the two slopes. A list has one of these for each layer with weights but the last.
    ["leaky-relu", "1/5"] is read as the pair.

    Args:
        given: as the user gave it.
        alpha: slope for z >= 0, where no activation is given.
        alpha_bar: slope for z < 0.
        layers: how many entries a list must have.

    Raises:
        ProblemError: none of them, or both a name and slopes.
    """
    if given is None:
        return Homogeneous(alpha, alpha_bar)
    if alpha != 1 or alpha_bar != 1:
        raise ProblemError(f"give either activation or the slopes alpha and alpha_bar, got {brief(given)} and slopes")
    if isinstance(given, list | tuple) and given and not _is_pair(given):
        return joined([_one(entry) for entry in given], layers)
    return _one(given)


def _is_pair(given: Sequence[Any]) -> bool:
    """Whether a sequence is one activation with its settings."""
    name = given[0]
    return isinstance(name, str) and (name not in ACTIVATIONS or bool(ACTIVATIONS[name].settings))


def _one(given: Any) -> Activation:
    if isinstance(given, sympy.Expr):
        return ExpressionActivation(given)
    name, *settings = given if isinstance(given, tuple | list) and given else (given,)
    if isinstance(name, Activation) and not settings:
        return name
    kind = ACTIVATIONS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise ProblemError(f"activation must be one of {', '.join(ACTIVATIONS)} or a record, got {brief(given)}")
    if len(settings) != len(kind.settings):
        example = ", ".join([f'"{name}"', *kind.settings])
        raise ProblemError(
            f"activation {name} goes with {len(kind.settings)} settings, got {brief(given)}; give ({example})"
        )
    return kind.make(*settings)
