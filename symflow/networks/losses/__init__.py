"""Losses l(p, y) of one sample, p the prediction and y the target; each kind is a record in a file of its own.

| kind | l(p, y) | targets |
|---|---|---|
| square | ||p - y||^2 / 2 | any |
| logistic | log(1 + e^{-y p}) | y = -1 or 1, one output |
| exponential | e^{-y p} | y = -1 or 1, one output |
| cross-entropy | log sum_c e^{p_c} - <y, p> | one-hot, or probabilities |
| expression | sum over outputs of a SymPy expression in (p, y) | any |
"""

from symflow.networks.losses.expression import PREDICTION, TARGET
from symflow.networks.losses.kind import LossKind
from symflow.networks.losses.loss import LOSSES, SQUARE, Loss, as_loss, expression_loss

__all__ = ["LOSSES", "PREDICTION", "SQUARE", "TARGET", "Loss", "LossKind", "as_loss", "expression_loss"]
