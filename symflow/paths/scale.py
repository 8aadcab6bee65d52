"""How small the numbers are that a flow or a descent starts from: fixed point must not round them to nothing.

What is lost below the last place leaves no trace that a second run could show, and it may matter: a saddle amplifies a
weight of 1e-40 to 1. So every number given keeps `LEAST_DIGITS` significant digits, and as many as were asked for
where one is below 10^-`TINY`. Whether more are needed is then seen from two runs of different precision, since what
one of them rounds away the other amplifies.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from math import ceil, log10

import numpy as np

from symflow.dynamics.vector_field import VectorField
from symflow.errors import ComputationError, GateUndecided
from symflow.evaluate.balls import ball_arithmetic
from symflow.evaluate.interpret import interpret
from symflow.evaluate.object_arrays import EXACT
from symflow.networks.objective import Objective
from symflow.numbers.balls import ball, ball_precision, exact_fraction, is_exact
from symflow.programs.nodes import Input, Map
from symflow.programs.program import Program

LEAST_DIGITS = 16
"""Significant digits of the smallest number given, at least; with fewer, ordinary kinks would be lost in the noise."""
TINY = 8
"""A number below 10^-TINY is known to a relative accuracy; larger ones to an absolute one, like those of size 1."""
SIGN_BITS = (128, 512, 2048, 8192)
"""Precisions at which the sign of a pre-activation that is not rational is looked for."""
MAX_DIGITS = 15_000
"""Most digits that small numbers may ask for."""


def needed_digits(moves: Objective | VectorField, state: Sequence[Fraction], dps: int) -> int:
    """Digits after the point that the numbers given need, `dps` or more.

    Args:
        moves: what flows; its data are taken into account.
        state: the start.
        dps: the digits asked for.

    Raises:
        ComputationError: more than `MAX_DIGITS`.
    """
    smallest = min((abs(q) for q in _sizes(moves, state) if q), default=Fraction(1))
    below = max(0, ceil(-log10_of(smallest)))
    digits = max(dps, LEAST_DIGITS) + below if below > TINY else max(dps, LEAST_DIGITS + below)
    if digits > MAX_DIGITS:
        raise ComputationError(
            f"the smallest number given is about 1e{round(log10_of(smallest))}, which takes {digits} digits (at most "
            f"{MAX_DIGITS}); scale the problem, or write 0 for what is negligible"
        )
    return digits


def log10_of(q: Fraction) -> float:
    """log10 of a positive rational of any size."""
    return _log10(q.numerator) - _log10(q.denominator)


def _log10(n: int) -> float:
    shift = max(0, n.bit_length() - 1000)
    return log10(n >> shift) + shift * log10(2)


def pre_activations(objective: Objective, theta: Sequence[Fraction]) -> list[np.ndarray]:
    """The pre-activations of every gate at rational parameters.

    They are exact where they are rational. Behind an activation such as tanh they are not: then they are rational
    numbers as near as `SIGN_BITS` say, with the sign proved by balls, and 0 only where it is 0 by structure.

    Raises:
        ComputationError: one is not told from 0.
    """
    program = Program(objective.program.inputs, {str(i): g.z for i, g in enumerate(objective.gates)})
    values = {**objective.data, **objective.cut(np.array(theta, dtype=object))}
    if all(x.record.exact is not None for x in program.nodes if isinstance(x, Map)):
        return list(interpret(program, values, EXACT).values())
    for bits in SIGN_BITS:
        found = _signed(program, values, bits)
        if found is not None:
            return found
    raise ComputationError(
        f"whether a pre-activation is 0 at the start must be known, got one within 2^-{SIGN_BITS[-1]} of 0; change "
        "the start"
    )


def _signed(program: Program, values: Mapping[Input, np.ndarray], bits: int) -> list[np.ndarray] | None:
    """The outputs in balls as rational midpoints; None where one has no certain sign."""
    with ball_precision(bits):
        balls = {x: np.frompyfunc(ball, 1, 1)(a) for x, a in values.items()}
        try:
            found = list(interpret(program, balls, ball_arithmetic()).values())
        except GateUndecided:
            return None
        if any(z.contains(0) and not is_exact(z) for array in found for z in array.reshape(-1)):
            return None
        return [np.frompyfunc(lambda z: exact_fraction(z.mid()), 1, 1)(array) for array in found]


def _sizes(moves: Objective | VectorField, state: Sequence[Fraction]) -> Iterator[Fraction]:
    """What must keep leading digits: the start, samples and rows of moments as a whole, distances from kinks."""
    yield from state
    for array in moves.data.values():
        for axis in range(array.ndim):
            yield from np.abs(np.moveaxis(array, axis, 0).reshape(array.shape[axis], -1)).max(axis=1)
    if moves.gates:
        objective = moves if isinstance(moves, Objective) else moves.objective
        for z in pre_activations(objective, state[: objective.parameter_count]):
            yield from z.reshape(-1)
