"""Stop conditions along a float64 flow: the first zero of q - value on its dense output.

At the ends of a step and at points between, q - value and its rate of change along the flow are computed. A change of
sign between two points brackets a zero. Where the rates at two points show an extremum between them, that is located,
and may lie beyond the value. What lies beyond it between two points for other reasons goes unnoticed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from symflow.derivatives.derived import Derived, gradient
from symflow.dynamics.vector_field import VectorField, gradient_flow_field
from symflow.errors import ComputationError, FlowStopped
from symflow.evaluate.interpret import interpret
from symflow.evaluate.jax_batches import in_batches
from symflow.evaluate.jit_options import jit
from symflow.evaluate.object_arrays import mpmath_arithmetic
from symflow.networks.objective import Objective
from symflow.paths.float64.methods import stepper
from symflow.paths.stop_conditions import LOSS, Monitor, holds_exactly, watched
from symflow.programs.program import Program

if TYPE_CHECKING:
    from symflow.programs.nodes import Input


PARTS = 4
"""How many parts a step is divided into; the loss always falls, so that its ends are enough."""
REACH = 2.0
"""An extremum is looked for where the slopes at a part's ends, so much steeper, would lead to the value."""
ROUNDING = 16
"""Relative rounding of a quantity in units of float64's own."""
NEAR, DIGITS = 1e-9, 40
"""A start within NEAR max(1, |value|) of the value is examined with this many digits."""


@dataclass(frozen=True)
class Watch:
    """Conditions on the flow of an objective.

    Attributes:
        conditions: the conditions.
        measure: states (S, P) -> (S, 2, C): q - value of every condition, and its rate of change along the flow.
        sides: the sign of q - value at the start, shape (C,); 0 where it is 0.
        sizes: |q - value| at the start and |value| together, shape (C,): what rounding is relative to.
        start: the number of a condition that holds at the start; None where none does.
    """

    conditions: tuple[Monitor, ...]
    measure: Callable[[np.ndarray], np.ndarray]
    sides: np.ndarray
    sizes: np.ndarray
    start: int | None

    @property
    def needs_slopes(self) -> Monitor | None:
        """A condition that has no meaning where the flow slides along a kink and steps zigzag across it."""
        return next((c for c in self.conditions if c.node is None or c.reads_slopes), None)


@dataclass(frozen=True)
class Met:
    """A condition that was met.

    Attributes:
        number: which.
        step: the step in which, counted from 0.
        size: how long after the beginning of the step.
        state: the state there.
    """

    number: int
    step: int
    size: float
    state: np.ndarray


def watch(objective: Objective, conditions: Sequence[Monitor], start: Sequence[Fraction]) -> Watch:
    """Compiles conditions, and notes on which side each quantity starts.

    Raises:
        FlowStopped: a quantity cannot be told from its value at the start.
    """
    flow = watched(gradient_flow_field(objective), conditions)
    measure = _measure(objective, flow)
    first = measure(np.array([[float(v) for v in start]]))[0, 0]
    sides = np.array([_side(c, float(q), objective, start) for c, q in zip(conditions, first, strict=True)])
    holds = (i for i, c in enumerate(conditions) if sides[i] in (0, c.stop.satisfied))
    values = np.array([float(c.stop.value) for c in conditions])
    squared = [c.node is None for c in conditions]  # the norm of the gradient
    sizes = np.abs(first) + np.where(squared, values**2, np.abs(values))
    return Watch(tuple(conditions), measure, sides, sizes, next(holds, None))


def _measure(objective: Objective, flow: VectorField) -> Callable[[np.ndarray], np.ndarray]:
    import jax
    import jax.numpy as jnp

    from symflow.evaluate.jax import to_jax

    outputs = {name: node for name, node in flow.program.outputs.items() if name.startswith("stop_")}
    inputs = flow.objective.program.inputs
    q = to_jax(Derived("stop conditions", flow.objective, Program(inputs, outputs), "vector"))
    g = to_jax(gradient(objective))
    both = jit(jax.vmap(lambda theta: jnp.stack(jax.jvp(q, (theta,), (-g(theta),)))))
    return lambda states: in_batches(both, states)


def _side(condition: Monitor, q: float, objective: Objective, start: Sequence[Fraction]) -> int:
    """The sign of q - value at the start, exactly where float64 leaves it in doubt."""
    import mpmath

    value = float(condition.stop.value)
    if abs(q) > NEAR * max(1.0, abs(value)):
        return 1 if q > 0 else -1
    field = gradient_flow_field(objective)
    if holds_exactly(condition, field, start):
        return 0
    alone = watched(field, [condition])
    program = Program(alone.program.inputs, {"q": alone.program["stop_0"]})
    with mpmath.workdps(DIGITS):
        arithmetic = mpmath_arithmetic()
        lift = np.frompyfunc(arithmetic.lift, 1, 1)
        values: dict[Input, np.ndarray] = {
            x: np.asarray(lift(a), dtype=object) for x, a in alone.objective.data.items()
        }
        theta = np.array([arithmetic.lift(v) for v in start], dtype=object)
        exact = interpret(program, values | alone.objective.cut(theta), arithmetic)["q"][()]
        if abs(exact) > mpmath.mpf(10) ** (10 - DIGITS):
            return 1 if exact > 0 else -1
    raise FlowStopped(
        f"whether {condition.stop} at t = 0 cannot be decided: it starts within rounding of its value",
        "choose another value",
        cause="quantity",
        time=mpmath.mpf(0),
    )


def time_rounding(watching: Watch, number: int, state: np.ndarray) -> float:
    """By how much rounding of a quantity moves the time at which it is met."""
    rate = abs(float(watching.measure(state[None])[0, 1, number]))
    noise = ROUNDING * float(np.finfo(np.float64).eps * watching.sizes[number])
    return noise / rate if rate > 0 else 0.0


After = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(numbers of steps (S,), times after their beginnings (S,)) -> the states there (S, P)."""


def runge_kutta(objective: Objective, solver: str, states: np.ndarray) -> After:
    """The states within steps of a Runge-Kutta method, from those at their beginnings."""
    return lambda steps, sizes: in_batches(stepper(objective, solver), states[steps], sizes)


def first_met(watching: Watch, after: After, knots: np.ndarray, states: np.ndarray) -> Met | None:
    """The first zero of a condition in some consecutive steps.

    Args:
        watching: the conditions.
        after: the states within the steps.
        knots: their ends, shape (K + 1,).
        states: the states there.

    Raises:
        ComputationError: a quantity leaves its domain before.
    """
    monotone = all(c.stop.quantity == LOSS for c in watching.conditions)
    parts = 1 if monotone else PARTS
    sizes = np.diff(knots)
    points = [states[:-1]]
    points += [after(np.arange(len(sizes)), sizes * part / parts) for part in range(1, parts)]
    inner = np.stack([watching.measure(x) for x in points], axis=1)  # (steps, parts, 2, C)
    last = watching.measure(states[-1:])[None]
    left = inner.reshape(-1, *inner.shape[2:]) * watching.sides  # positive until the condition is met
    right = np.concatenate([left[1:], last[0] * watching.sides])
    widths = np.repeat(sizes / parts, parts)[:, None]
    crossed = right[:, 0] <= 0
    reach = np.minimum(left[:, 0], right[:, 0]) <= REACH * widths * np.maximum(-left[:, 1], right[:, 1])
    turns = (left[:, 1] < 0) & (right[:, 1] > 0) & reach
    undefined = np.isnan(right[:, 0])
    for interval in np.flatnonzero((crossed | turns | undefined).any(axis=1)):
        step, part = divmod(int(interval), parts)
        low, high = sizes[step] * part / parts, sizes[step] * (part + 1) / parts
        found = [
            Met(int(i), step, size, _at(after, step, size))
            for i in np.flatnonzero(crossed[interval] | turns[interval])
            if (size := _zero(watching, after, step, (low, high), int(i))) is not None
        ]
        if found:
            return min(found, key=lambda met: met.size)
        if undefined[interval].any():
            condition = watching.conditions[int(np.argmax(undefined[interval]))].stop
            raise ComputationError(
                f"whether {condition} cannot be told after t = {knots[step] + low:.10g}: the quantity is not a real "
                "number there; choose a shorter horizon or another quantity"
            )
    return None


def _at(after: After, step: int, size: float) -> np.ndarray:
    """The state in a step."""
    row: np.ndarray = after(np.array([step]), np.array([size]))[0]
    return row


def _zero(watching: Watch, after: After, step: int, ends: tuple[float, float], number: int) -> float | None:
    """The first zero of a quantity in part of a step, by Brent's method; None where an extremum does not get there."""
    from scipy.optimize import brentq

    def along(size: float, row: int) -> float:
        """sign (q - value), or its rate of change."""
        return float(watching.measure(_at(after, step, size)[None])[0, row, number] * watching.sides[number])

    def zero(row: int, low: float, high: float) -> float:
        return float(brentq(along, low, high, args=(row,), xtol=1e-300, rtol=4 * np.finfo(float).eps))

    low, high = ends
    if along(low, 0) <= 0:  # the same to rounding
        return low
    if along(high, 0) > 0:
        if not along(low, 1) < 0 < along(high, 1):
            return None
        high = zero(1, low, high)
        if along(high, 0) > 0:
            return None
    return zero(0, low, high)
