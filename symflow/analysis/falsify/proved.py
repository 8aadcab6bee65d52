"""Quantities of a claim that are proved: in balls around an exact start and around paths whose errors are certified."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, log2
from typing import Any

import numpy as np

from symflow.analysis.falsify.claim import Claim
from symflow.analysis.falsify.points import GATES, IMBALANCE, at_point, off_kinks, point_program
from symflow.analysis.falsify.vocabulary import Place
from symflow.errors import ComputationError
from symflow.evaluate.balls import ball_arithmetic
from symflow.evaluate.interpret import interpret
from symflow.networks.objective import Objective
from symflow.numbers.balls import Ball, around, ball, ball_precision, distance, from_mpf, lower, upper
from symflow.numbers.types import Mpf
from symflow.paths.path_error import PathError
from symflow.problem import Problem

GUARD_BITS = 64
PAIRS: Mapping[str, tuple[Place, Place]] = {
    "deviation": ("descent", "flow"),
    "displacement": ("flow", "start"),
    "displacement_descent": ("descent", "start"),
}
"""Distances and what they are between."""
DRIFTS: Mapping[str, Place] = {"drift": "flow", "drift_descent": "descent"}


def proved(
    claim: Claim,
    problem: Problem,
    at: Mapping[Place, np.ndarray],
    errors: Mapping[Place, PathError | None],
    dps: int,
) -> dict[str, tuple[Mpf, Mpf]]:
    """Numbers below and above each quantity for which that can be proved.

    Args:
        claim: whose quantities.
        problem: exact.
        at: the points, as computed.
        errors: what is known of the paths that they lie on.
        dps: digits.
    """
    with ball_precision(ceil(dps * log2(10)) + GUARD_BITS):
        points: dict[Place, np.ndarray] = {"start": np.array([ball(q) for q in problem.theta0], dtype=object)}
        for place, error in errors.items():
            if error is not None and error.how == "certified":
                wide = from_mpf(error.value)
                points[place] = np.array([around(from_mpf(v), wide) for v in at[place]], dtype=object)
        found = {place: _at(claim, problem.objective, point, place) for place, point in points.items()}
        values: dict[str, Ball] = {}
        for name in claim.names:
            place, stem = claim.needs.key(name)
            if stem in found.get(place, {}):
                values[name] = found[place][stem]
        for name, (a, b) in PAIRS.items():
            if a in points and b in points:
                values[name] = distance(points[a], points[b])
        for name, place in DRIFTS.items():
            if IMBALANCE in found.get(place, {}) and IMBALANCE in found["start"]:
                values[name] = distance(found[place][IMBALANCE], found["start"][IMBALANCE])
        return {name: (lower(x), upper(x)) for name, x in values.items() if x.is_finite()}


def _at(claim: Claim, objective: Objective, theta: np.ndarray, place: Place) -> dict[str, Any]:
    """The quantities at one point; none where an operation has no balls, or a gate cannot be decided."""
    names = claim.needs.points[place]
    imbalance = claim.needs.imbalance(place)
    program = point_program(objective, names, imbalance=imbalance, gates=off_kinks(names))
    if not program.outputs:
        return {}
    values = {x: np.asarray(np.frompyfunc(ball, 1, 1)(a), dtype=object) for x, a in objective.data.items()}
    try:
        arrays = interpret(program, values | objective.cut(theta), ball_arithmetic())
    except (TypeError, ComputationError):
        return {}
    if any(not abs(z) > 0 for name, array in arrays.items() if name.startswith(GATES) for z in array.flat):
        return {}
    return at_point(names, imbalance, arrays)
