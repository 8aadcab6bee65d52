"""The logistic loss l(p, y) = log(1 + e^{-y p}) of one output, y = -1 or 1.

With s = 1/(1 + e^{y p}): l'' = s(1 - s) <= 1/4 and |l'''| = |s(1 - s)(1 - 2s)| <= 1/(6 sqrt 3) < 7/72.
"""

from __future__ import annotations

from fractions import Fraction

from symflow.networks.losses.kind import LossKind
from symflow.networks.losses.margin import check_signs, of_margin

KIND = LossKind(
    "logistic",
    of_margin("softplus"),
    lambda _: r"\log(1 + e^{-y\hat y}), \quad y = \pm 1",
    convex=True,
    nonnegative=True,
    smoothness=Fraction(1, 4),
    third=Fraction(7, 72),
    labels="signs",
    check_targets=check_signs("logistic"),
)
