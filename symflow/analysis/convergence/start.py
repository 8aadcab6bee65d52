"""Where a balanced linear network with one output starts, given in numbers or read off a problem."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import mpmath
import numpy as np

from symflow.displays import displayed
from symflow.errors import ProblemError, brief_float
from symflow.networks.losses import SQUARE
from symflow.networks.moments import exact_product
from symflow.networks.network import FullyConnected
from symflow.numbers.arguments import positive, whole
from symflow.numbers.rational import mpf, rational
from symflow.problem import Problem
from symflow.problem.arguments import as_problem

MAX_DEPTH = 1000
"""Deepest network; the exact solution has about n/2 terms."""
EXTRA = 20
"""Digits beyond the problem's to which square roots of its rational numbers are taken."""


@displayed
@dataclass(frozen=True)
class BalancedStart:
    """(n, lambda, w(0), nu(0)): the numbers on which flow and descent depend in the setting of R15.

    Attributes:
        depth: n, an int.
        target_norm: lambda = ||Lambda_yx||, a `Fraction`.
        w0: w(0) = ||W_{n:1}(0)||, a `Fraction`.
        alignment: nu(0), the cosine between W_{n:1}(0) and Lambda_yx, a `Fraction`.

    Example:
        >>> data = {"x": [[1, 1], [1, -1]], "y": [2, 0]}
        >>> problem = sf.Problem(network=sf.FullyConnected((2, 1, 1)), data=data, init={"theta": [0, 1, 1]})
        >>> start = sf.balanced_start(problem)
        >>> round(float(sf.convergence_time(**vars(start), accuracy="1/100").value), 4)
        3.4349
    """

    depth: int
    target_norm: Fraction
    w0: Fraction
    alignment: Fraction


def checked_start(depth: object, target_norm: object, w0: object, alignment: object) -> BalancedStart:
    """The start with these numbers; see `BalancedStart`.

    Raises:
        ProblemError: a number outside the range of R15.
    """
    norms = checked_norms(depth, target_norm, w0)
    nu = rational(alignment, "alignment")
    if nu == -1:
        raise ProblemError(
            "alignment must be greater than -1, got -1: the flow then shrinks to W = 0 and never converges to the "
            "minimum; perturb the start"
        )
    if not -1 < nu < 1:
        raise ProblemError(
            f"alignment must be between -1 and 1, both excluded, got {brief_float(nu)}; for 1 itself take a number "
            "just below: the explicit time falls with the alignment"
        )
    return BalancedStart(*norms, nu)


def checked_norms(depth: object, target_norm: object, w0: object) -> tuple[int, Fraction, Fraction]:
    """Depth and norms of a start, whatever its direction."""
    depth = whole(depth, "depth", 2, MAX_DEPTH)
    return depth, positive(target_norm, "target_norm"), positive(w0, "w0")


def balanced_start(problem: Problem) -> BalancedStart:
    """lambda = ||Lambda_yx||, w(0) = ||W_{n:1}(0)||, nu(0) = <W_{n:1}(0), Lambda_yx>/(w(0) lambda) of a problem.

    They are the numbers that R15 and R16 depend on. Their hypotheses are checked: linear activation, depth n >= 2, one
    output, square loss; Sigma_xx = I exactly or, as `data.whiten` makes it, to the problem's digits; W_{j+1}^T W_{j+1}
    = W_j W_j^T exactly; Lambda_yx and W_{n:1}(0) not zero and not parallel. Norms and cosine are square roots of
    rational numbers, to 20 digits more than the problem's.

    Args:
        problem: a network's problem.

    Returns:
        A `BalancedStart` of exact rationals; f* is `minimum_loss(problem)`.

    Raises:
        ProblemError: the first hypothesis that fails, and what holds instead.

    Source: the setting of Elkabetz & Cohen 2021 (R15, R16).

    Example:
        >>> data = {"x": [[1, 1], [1, -1]], "y": [2, 0]}
        >>> problem = sf.Problem(network=sf.FullyConnected((2, 1, 1)), data=data, init={"theta": [0, 1, 1]})
        >>> start = sf.balanced_start(problem)
        >>> start.depth, *(round(float(number), 6) for number in (start.target_norm, start.w0, start.alignment))
        (2, 1.414214, 1.0, 0.707107)
    """
    problem = as_problem(problem, "balanced_start")
    sigma, target = _moments(problem)
    deviation = max(abs(q - (i == j)) for (i, j), q in np.ndenumerate(sigma))
    if deviation > Fraction(1, 10**problem.dps):
        raise ProblemError(
            f"R15 needs whitened data, Sigma_xx = I, got a deviation of {brief_float(deviation)}; set "
            "data.whiten = true"
        )
    weights = [
        np.array(problem.theta0[where], dtype=object).reshape(shape) for where, shape in problem.objective.slices()
    ]
    for j, (a, b) in enumerate(pairwise(weights), start=1):
        gap = max(abs(q) for q in (exact_product(b.T, b) - exact_product(a, a.T)).flat)
        if gap:
            raise ProblemError(
                f"R15 needs a balanced start, W_{{j+1}}^T W_{{j+1}} = W_j W_j^T exactly, got a difference of "
                f'{brief_float(gap)} at j = {j}; use init.scheme = "balanced"'
            )
    product = weights[0]
    for w in weights[1:]:
        product = exact_product(w, product)
    inner, w2, lambda2 = (_dot(p, q) for p, q in ((product, target), (product, product), (target, target)))
    if not lambda2:
        raise ProblemError("R15 needs a target: Lambda_yx = Y X^T / N must not vanish, got 0; give other data.y")
    if not w2:
        raise ProblemError("R15 needs a start that moves: W_n ... W_1 must not vanish, got 0; give other weights")
    if inner * inner == w2 * lambda2:
        which = "-1: the flow shrinks to W = 0 and never converges" if inner < 0 else "1, a scalar problem"
        raise ProblemError(
            f"R15 needs a direction that is not parallel to the target, got nu(0) = {which}; perturb the start"
        )
    with mpmath.workdps(problem.dps + EXTRA):
        norm, goal = mpmath.sqrt(mpf(w2)), mpmath.sqrt(mpf(lambda2))
        nu = mpf(inner) / (norm * goal)
    return checked_start(len(weights), goal, norm, nu)


def minimum_loss(problem: Problem) -> Fraction:
    """f* = (mean ||y||^2 - ||Lambda_yx||^2) / 2, the minimum of the square loss over all weights, exactly.

    It is the minimum of phi(W) = (||W - Lambda_yx||^2 + mean ||y||^2 - ||Lambda_yx||^2) / 2 for whitened data, attained
    at W_{n:1} = Lambda_yx.

    Args:
        problem: a network's problem, in the setting of R15; see `balanced_start`.

    Returns:
        f*, an exact `Fraction`.

    Raises:
        ProblemError: the first hypothesis that fails, and what holds instead.

    Source: the setting of Elkabetz & Cohen 2021 (R15).

    Example:
        >>> data = {"x": [[1, 1], [1, -1], [1, 1], [1, -1]], "y": [2, 0, 1, 0]}
        >>> problem = sf.Problem(network=sf.FullyConnected((2, 1, 1)), data=data, init={"theta": [0, 1, 1]})
        >>> sf.minimum_loss(problem)
        Fraction(1, 16)
    """
    _, target = _moments(as_problem(problem, "minimum_loss"))
    assert problem.y is not None
    return (_dot(problem.y, problem.y) / len(problem.y) - _dot(target, target)) / 2


def _moments(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Sigma_xx and Lambda_yx of a problem whose network and loss are those of R15."""
    network = as_problem(problem, "R15").network
    if not isinstance(network, FullyConnected) or problem.x is None or problem.y is None:
        raise ProblemError(
            "R15 needs a fully connected network's problem, got another one; give network, data and init"
        )
    if not network.linear or network.end_to_end_scale != 1:
        reason = network.not_homogeneous or f'the activation "{network.activation}"'
        raise ProblemError(f'R15 needs activation = "linear" and nothing else, got {reason}; use another method')
    if network.widths[-1] != 1:
        raise ProblemError(f"R15 needs one output, d_n = 1, got d_n = {network.widths[-1]}; use one column of data.y")
    if network.depth < 2:
        raise ProblemError("R15 needs depth n >= 2, got n = 1; one layer is solved by the matrix exponential")
    if problem.objective.sample_loss != SQUARE:
        kind = getattr(problem.objective.sample_loss, "kind", "another loss")
        raise ProblemError(f'R15 needs loss.kind = "square", got "{kind}"; use the square loss')
    count = len(problem.x)
    return exact_product(problem.x.T, problem.x) / count, exact_product(problem.y.T, problem.x) / count


def _dot(a: np.ndarray, b: np.ndarray) -> Fraction:
    return sum((p * q for p, q in zip(a.flat, b.flat, strict=True)), Fraction(0))
