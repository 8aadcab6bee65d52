"""The form of an objective that is cheapest to evaluate: moments in place of many samples or measurements."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from symflow.caching import kept
from symflow.networks.matrix_data import SENSING, VALUES
from symflow.networks.moments import end_to_end, exact_product, moment_form
from symflow.networks.objective import Objective
from symflow.programs.nodes import Input, add, einsum, inner, scale
from symflow.programs.program import Program, shape_of


@kept
def compact(objective: Objective) -> Objective:
    """The equivalent form of an objective that is cheapest to evaluate: moments instead of samples where they apply."""
    if objective.undecayed is not None:
        below, rate = objective.undecayed
        return compact(below).decayed(rate)
    if not objective.data:
        return objective
    return moment_form(objective) or quadratic_form(objective) or objective


def quadratic_form(objective: Objective) -> Objective | None:
    """f = (1/2)(<W, S[W]> - 2 <W, V> + mean y_i^2), W = W_{n:1}: the loss of matrix sensing by its moments.

    S = (1/m) sum_i A_i kron A_i has d_n x d_0 x d_n x d_0 entries, V = (1/m) sum_i y_i A_i. None where f is no such
    loss, or where S is not smaller than the m matrices.
    """
    data = {x.name: (x, a) for x, a in objective.data.items()}
    if objective.matrix_data is None or data.keys() != {SENSING, VALUES}:
        return None
    (sensing, matrices), (_, y) = data[SENSING], data[VALUES]
    *outer, _ = sensing.axes
    rows, columns, count = shape_of(sensing.axes)
    if count <= rows * columns:
        return None
    flat, weight = matrices.reshape(rows * columns, count), objective.factor / count
    shape = (rows, columns, rows, columns)
    second = Input("second_moment", (*outer, *outer), "data", r"\mathcal{S}")
    cross = Input("cross_moment", tuple(outer), "data", "V")
    square = Input("mean_square_y", (), "data", r"\tfrac{1}{m}\|y\|^2")
    squared = sum((v * v for v in y), Fraction(0))
    bound = {
        second: exact_product(flat, flat.T).reshape(shape) * weight,
        cross: exact_product(flat, y.reshape(-1, 1)).reshape(rows, columns) * weight,
        square: np.array(squared * weight, dtype=object),
    }
    w = end_to_end(list(objective.parameters[::-1]))
    slope = add([(1, einsum((second, w), ((0, 1, 2, 3), (2, 3)), (0, 1))), (-2, cross)])
    loss = scale(Fraction(1, 2), add([(1, inner(w, slope)), (1, square)]))
    return Objective(
        Program((*objective.parameters, *bound), {"f": loss}),
        objective.parameters,
        bound,
        objective.network,
        sample_loss=objective.sample_loss,
        architecture=objective.architecture,
        matrix_data=objective.matrix_data,
    )
