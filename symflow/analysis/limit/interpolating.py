"""The square loss of outputs whose Jacobian has full row rank: f* = 0 and mu = lambda_min(J J^T)/N. (R24)

f = w ||r(theta)||^2 for any program r of residuals, w = 1/(2N): networks of every kind. Samples that are equal, targets
included, have equal residuals: they count as one with the root of their number as weight, since ||r||^2 is that of the
weighted ones. A residual that is 0 on the whole box is left out.

Where a gate changes, J is enclosed with all slopes between its two: the subgradients of f at a kink are J^T r/N with
convex combinations J of what the two sides have, so that mu holds for each of them, and for the flow through kinks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from flint import arb

from symflow.analysis.limit import boxes
from symflow.analysis.limit.route import Kind, Refined
from symflow.caching import kept
from symflow.errors import LimitUnknown
from symflow.evaluate.balls import ball_arithmetic
from symflow.evaluate.interpret import interpret
from symflow.networks.objective import Objective
from symflow.numbers.balls import Ball, ball
from symflow.programs.differentiate import jvp, transpose
from symflow.programs.nodes import Einsum, Input, Node, split_scale
from symflow.programs.program import Program, shape_of
from symflow.theory.functions import BALLS
from symflow.theory.r24_for_all_time import descent_length, flow_length, interpolating_rate


@dataclass(frozen=True, eq=False)
class Squares:
    """f = weight ||r||^2.

    Attributes:
        weight: w.
        residual: r.
        cotangent: v, of the shape of r.
        pulled: the program of J^T v, one output a parameter array.
    """

    weight: Fraction
    residual: Node
    cotangent: Input
    pulled: Program


@kept
def squares(objective: Objective) -> Squares | None:
    """Reads f as a multiple of a sum of squares; None where it is not written as one."""
    weight, square = split_scale(objective.loss)
    if not (isinstance(square, Einsum) and len(square.args) == 2 and square.args[0] is square.args[1]):
        return None
    r = square.args[0]
    if square.out or weight <= 0 or square.labels[0] != square.labels[1]:
        return None
    directions = [Input(f"D_{w.name}", w.axes, "direction", f"D_{{{w.name}}}") for w in objective.parameters]
    moved = jvp([r], dict(zip(objective.parameters, directions, strict=True)))[r]
    v = Input("v", r.axes, "direction", "v")
    found = transpose(moved, directions, v)
    outputs = {w.name: found[d] for w, d in zip(objective.parameters, directions, strict=True)}
    return Squares(weight, r, v, Program((*objective.program.inputs, v), outputs))


@dataclass(frozen=True, eq=False)
class Interpolating:
    """R24 with f* = 0."""

    objective: Objective
    squares: Squares
    kind: Kind = "interpolating"
    minimum: Fraction | None = Fraction(0)
    crosses_kinks: bool = True
    degenerate: str = (
        "J J^T is singular, J the Jacobian of all outputs: more outputs than weights or than the data determine, "
        "duplicate inputs with different targets, or units that are off"
    )

    def rate(self, theta: np.ndarray) -> Ball:
        """lambda_min(J J^T)/N; 1, as good as any number, where all residuals are 0 on the whole box."""
        jacobian = self.jacobian(theta)
        if not len(jacobian):
            return arb(1)
        gram = boxes.least_singular_square(jacobian)
        return interpolating_rate(gram, ball(1 / (2 * self.squares.weight)))

    def excess(self, theta: np.ndarray, mu: Ball) -> Ball:
        """f."""
        return (ball(self.squares.weight) * boxes.square_sum(self._residual(theta))).upper()

    def length(self, theta: np.ndarray, mu: Ball) -> Ball:
        """sqrt(2 f/mu)."""
        return flow_length(self.excess(theta, mu), mu, BALLS).upper()

    def stretch(self, step_size: Ball, beta: Ball) -> Ball:
        """2/(2 - eta beta)."""
        return descent_length(ball(1), step_size, beta)

    def refined(self, center: Sequence[Ball], near: np.ndarray, theta: np.ndarray) -> Refined | None:
        """None: minima are not isolated."""
        return None

    def _residual(self, theta: np.ndarray) -> np.ndarray:
        return boxes.values(self.objective, {"r": self.squares.residual}, theta, "union")["r"]

    def jacobian(self, theta: np.ndarray) -> np.ndarray:
        """J on a box, one row an output of a sample, equal samples as one and weighted by the root of their number."""
        residual, groups = self._residual(theta), _groups(self.objective, self.squares.residual)
        known = boxes.bound(self.objective, theta)
        arithmetic = ball_arithmetic("union")
        rows = []
        for first, count in groups:
            for unit in np.ndindex(residual.shape[:-1] if residual.ndim else ()):
                at = (*unit, first) if residual.ndim else ()
                seed = arithmetic.constant(Fraction(0), residual.shape)
                seed[at] = arb(1)
                found = interpret(self.squares.pulled, known | {self.squares.cotangent: seed}, arithmetic)
                row = np.concatenate([a.reshape(-1) for a in found.values()])
                if residual[at] == 0 and all(x == 0 for x in row):
                    continue
                rows.append(row * arb(count).sqrt())
        return np.array(rows, dtype=object).reshape(len(rows), self.objective.parameter_count)


def _groups(objective: Objective, residual: Node) -> list[tuple[int, int]]:
    """The samples that differ, each by the first of its copies, with their number."""
    shape = shape_of(residual.axes)
    if not shape:
        return [(0, 1)]
    arrays = [a for a in objective.data.values() if a.ndim and a.shape[-1] == shape[-1]]
    if len(arrays) != len(objective.data) or objective.sample_loss is None:
        return [(i, 1) for i in range(shape[-1])]
    seen: dict[tuple[Fraction, ...], tuple[int, int]] = {}
    for i in range(shape[-1]):
        key = tuple(x for a in arrays for x in a[..., i].flat)
        first, count = seen.get(key, (i, 0))
        seen[key] = first, count + 1
    return list(seen.values())


def interpolating(objective: Objective) -> Interpolating:
    """R24 for the square loss with f* = 0.

    Raises:
        LimitUnknown: another loss.
    """
    found = squares(objective)
    if found is None:
        raise LimitUnknown("the least loss is not known: f is not a sum of squares", cause="minimum-unknown")
    return Interpolating(objective, found)
