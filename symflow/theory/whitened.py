"""The losses that are a squared distance of the end-to-end matrix from a target: whitened data, and factorization."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from symflow.networks.losses import SQUARE
from symflow.networks.moments import exact_product
from symflow.networks.objective import Objective
from symflow.theory.hypotheses import Hypothesis, Setting, Verdict


def whitened_form(objective: Objective) -> tuple[Fraction, np.ndarray] | None:
    """(sigma, M) with f = (sigma/2) ||W_{n:1} - M||_F^2 + constant, exactly; None where f is not of this form.

    Of samples Sigma_xx = sigma I, M = Lambda_yx/sigma; of a factorization sigma = 1/m and M is the target.
    """
    network = objective.network
    if network is None or not network.linear or objective.sample_loss != SQUARE or objective.undecayed is not None:
        return None
    if network.alpha != 1 or network.output_scale != 1:
        return None
    if objective.matrix_data is not None:
        if objective.matrix_data.kind != "factorization" or objective.matrix_data.target is None:
            return None
        return objective.factor / objective.matrix_data.count, objective.matrix_data.target
    data = {x.name: a for x, a in objective.data.items()}
    if data.keys() != {"X", "Y"}:
        return None
    x, y = data["X"], data["Y"]
    count = Fraction(x.shape[1])
    second = exact_product(x, x.T) / count
    sigma = second[0, 0]
    if sigma == 0 or any(v != (sigma if i == j else 0) for (i, j), v in np.ndenumerate(second)):
        return None
    return sigma * objective.factor, exact_product(y, x.T) / (count * sigma)


def end_to_end_matrix(setting: Setting) -> np.ndarray:
    """W_n ... W_1 at theta(0), exact."""
    first, *others = setting.objective.cut(np.array(setting.theta0 or (), dtype=object)).values()
    for w in others:
        first = exact_product(w, first)
    return first


def _squared_distance(setting: Setting) -> Verdict:
    found = whitened_form(setting.objective)
    if found is None:
        return Verdict(
            "fails", "the loss is not (sigma/2)||W_n ... W_1 - M||_F^2: neither whitened data nor all entries"
        )
    return Verdict("holds", f"the loss is (sigma/2)||W_n ... W_1 - M||_F^2 with sigma = {found[0]}, exactly")


SQUARED_DISTANCE = Hypothesis(
    "whitened data, up to a factor, or all entries of a matrix",
    r"$f = \frac\sigma2\|W_{n:1}-M\|_F^2$ up to a constant: $\Sigma_{xx} = \sigma I$, $M = \Lambda_{yx}/\sigma$",
    _squared_distance,
)
