"""The kinds of losses by name: a new one is a file with its record, and a line here."""

from __future__ import annotations

from symflow.networks.losses import cross_entropy, exponential, expression, logistic, square
from symflow.networks.losses.kind import LossKind

LOSSES: dict[str, LossKind] = {
    module.KIND.name: module.KIND for module in (square, logistic, exponential, cross_entropy, expression)
}
