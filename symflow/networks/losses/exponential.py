"""The exponential loss l(p, y) = e^{-y p} of one output, y = -1 or 1."""

from __future__ import annotations

from symflow.networks.losses.kind import LossKind
from symflow.networks.losses.margin import check_signs, of_margin

KIND = LossKind(
    "exponential",
    of_margin("exp"),
    lambda _: r"e^{-y\hat y}, \quad y = \pm 1",
    convex=True,
    nonnegative=True,
    labels="signs",
    check_targets=check_signs("exponential"),
)
