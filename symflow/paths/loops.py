"""The loops of descent, one an arithmetic: JAX (float64, float32, traceable) and fixed point."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from math import ceil
from typing import Any, TypeAlias

import numpy as np
from gmpy2 import mpz

from symflow.caching import kept
from symflow.derivatives.derived import gradient
from symflow.dynamics.method import THETA, Method, recursion
from symflow.dynamics.vector_field import gradient_flow_field
from symflow.errors import DescentDiverged, brief_float
from symflow.evaluate.fixed_point import FixedArrays
from symflow.evaluate.interpret import interpret
from symflow.evaluate.scalar_code import unrolled
from symflow.networks.objective import Objective
from symflow.numbers.fixed_point import from_fraction
from symflow.numbers.types import JaxArray
from symflow.programs.nodes import Input
from symflow.programs.program import Program, entries, shape_of
from symflow.programs.rules.arithmetic import Arithmetic

SHAKES = 16
"""How often the second run is moved by what the first one may have lost since the last time."""
MOVES = (1, -2, 3, -1, 2, -3)
"""By how many times what is lost the components are moved in turn."""
DIVERGED_BITS = 600
"""A parameter above 2^600 counts as divergence, or above 2 to as many bits as are carried: tiny data want more."""
LONGEST_LITERAL = 10_000
"""Most bits of a number that is written into Python source, which has no longer ones."""

State: TypeAlias = tuple[JaxArray, ...]
"""theta and what the method carries."""
Slope: TypeAlias = Callable[[JaxArray], JaxArray]


def diverged(step: int, eta: Fraction) -> DescentDiverged:
    """The error for a run that leaves all bounds."""
    return DescentDiverged(
        f"gradient descent with step size {brief_float(eta)} diverges (noticed at step {step}); choose a smaller one",
        step=step,
    )


# JAX ----------------------------------------------------------------------------------------------------------------


class JaxSteps:
    """One step of a method, traceable.

    Args:
        method: the recursion.
        count: P.
        dtype: of the arrays.
    """

    def __init__(self, method: Method, count: int, dtype: np.dtype | type = np.float64) -> None:
        from symflow.evaluate.jax import JaxArithmetic

        self.programs, self.arithmetic = recursion(method, count), JaxArithmetic(dtype)

    def start(self, theta: JaxArray) -> State:
        """The state at the start: what the method carries is 0."""
        return (theta, *(0 * theta for _ in self.programs.state[1:]))

    def point(self, state: State) -> JaxArray:
        """Where the gradient of the step is taken."""
        values = dict(zip(self.programs.state, state, strict=True))
        at: JaxArray = interpret(self.programs.point, values, self.arithmetic)[THETA]
        return at

    def step(self, state: State, slope: JaxArray, step_size: JaxArray) -> State:
        """The next state, from the gradient at `point`."""
        values = dict(zip(self.programs.state, state, strict=True))
        values |= {self.programs.direction: -slope, self.programs.step_size: step_size}
        return tuple(interpret(self.programs.step, values, self.arithmetic).values())

    def march(
        self, slope: Slope, start: JaxArray, step_size: JaxArray, gaps: JaxArray, nudge: JaxArray | None = None
    ) -> State:
        """The states after each of several gaps, one row each.

        Args:
            slope: theta -> grad f(theta).
            start: theta_0.
            step_size: eta.
            gaps: numbers of steps.
            nudge: moves theta after every step by these relative amounts: a run that rounds differently.
        """
        from jax import lax

        def once(_: JaxArray, state: State) -> State:
            state = self.step(state, slope(self.point(state)), step_size)
            return state if nudge is None else (state[0] * (1 + nudge), *state[1:])

        def advance(state: State, gap: JaxArray) -> tuple[State, State]:
            state = lax.fori_loop(0, gap, once, state)
            return state, state

        found: State = lax.scan(advance, self.start(start), gaps)[1]
        return found


@kept
def float64_stepper(objective: Objective, method: Method) -> Callable[..., State]:
    """(theta_0, eta, gaps) -> the states after each gap, compiled once; see `JaxSteps.march`."""
    import jax

    from symflow.evaluate.jax import to_jax

    steps, slope = JaxSteps(method, objective.parameter_count), to_jax(gradient(objective))
    return jax.jit(lambda *arguments: steps.march(slope, *arguments))


def padded_gaps(gaps: np.ndarray, count: int) -> np.ndarray:
    """Gaps with gaps of 0 steps behind them, up to the power of two from `count` on."""
    return np.pad(gaps, (0, (1 << (count - 1).bit_length()) - len(gaps)))


# Fixed point --------------------------------------------------------------------------------------------------------


def fixed_states(
    objective: Objective,
    method: Method,
    theta0: Sequence[Fraction],
    eta: Fraction,
    indices: Sequence[int],
    bits: int,
    *,
    shaken: int | None = None,
    seen: Callable[[int, list[mpz]], None] | None = None,
) -> list[list[mpz]]:
    """The kept states in fixed point: theta_k and what the method carries, one after the other.

    Args:
        objective: what is minimized.
        method: the recursion.
        theta0: the start.
        eta: the step size.
        indices: which iterates to keep.
        bits: after the point.
        shaken: move the states now and then by a few times what velocities with so many bits less lose between two
            such times, nonzero components alone, so that exact zeros and the kinks of the start stay.
        seen: told every step and its state.

    Raises:
        DescentDiverged: an iterate leaves all bounds.
        ComputationError: the gradient is not finite.
    """
    state = [from_fraction(q, bits) for q in theta0] + [mpz(0)] * (len(theta0) * len(method.carries))
    step = _fixed_step(objective, method, eta, bits)
    limit = mpz(1) << (bits + max(DIVERGED_BITS, bits))
    found, wanted, last = [state], set(indices), indices[-1]
    between = -(-last // SHAKES)
    lost = 0 if shaken is None else max(1, ceil(eta * (method.flow_rate or 1) * between)) << shaken
    for k in range(1, last + 1):
        state = step(state)
        if max(state) > limit or min(state) < -limit:
            raise diverged(k, eta)
        if lost and k % between == 1 % between:
            state = [v + MOVES[(i + k // between) % len(MOVES)] * lost if v else v for i, v in enumerate(state)]
        if k in wanted:
            found.append(state)
        if seen is not None:
            seen(k, state)
    return found


Compiled: TypeAlias = Callable[[Program, Mapping[Input, np.ndarray], Sequence[Input]], Callable[..., Sequence[Any]]]
"""A program, its data (rationals) and the inputs that are given -> a function of the entries of these."""


@dataclass(frozen=True)
class MethodStep:
    """One step of a method on its whole state, entry by entry, in any arithmetic.

    Attributes:
        point: the state -> where the gradient is taken.
        velocity: the entries of that point -> those of -grad f.
        update: the entries of the state and of -grad f -> those of the next state.
    """

    point: Callable[[list[Any]], Sequence[Any]]
    velocity: Callable[..., Sequence[Any]]
    update: Callable[..., Sequence[Any]]

    def __call__(self, state: list[Any]) -> list[Any]:
        """The next state."""
        return list(self.update(*state, *self.velocity(*self.point(state))))


def method_step(objective: Objective, method: Method, eta: Fraction, compiled: Compiled) -> MethodStep:
    """The step of a method for one step size; `compiled` says how programs become functions."""
    field, count = gradient_flow_field(objective), objective.parameter_count
    programs = recursion(method, count, eta)
    plain = programs.point[THETA] is programs.state[0]
    point = compiled(programs.point, {}, programs.state)
    return MethodStep(
        (lambda state: state[:count]) if plain else (lambda state: point(*state)),
        compiled(field.program, objective.data, field.state),
        compiled(programs.step, {}, (*programs.state, programs.direction)),
    )


def _fixed_step(objective: Objective, method: Method, eta: Fraction, bits: int) -> MethodStep:
    """The step in fixed point."""
    arithmetic = FixedArrays(bits)
    short = max(eta.numerator.bit_length(), eta.denominator.bit_length()) < LONGEST_LITERAL

    def compiled(
        program: Program, data: Mapping[Input, np.ndarray], inputs: Sequence[Input]
    ) -> Callable[..., Sequence[mpz]]:
        known = {x: arithmetic.lift(a) for x, a in data.items()}
        written = unrolled(program, known, inputs, bits) if short or known else None
        return written or partial(interpreted, program, known, inputs, arithmetic)

    return method_step(objective, method, eta, compiled)


def interpreted(
    program: Program,
    known: Mapping[Input, np.ndarray],
    inputs: Sequence[Input],
    arithmetic: Arithmetic,
    *numbers: Any,
) -> list[Any]:
    """The outputs of a program, entry by entry, from the entries of some inputs."""
    values, start = dict(known), 0
    for x in inputs:
        array = np.empty(entries(x.axes), dtype=object)
        array[:] = numbers[start : start + len(array)]
        values[x], start = array.reshape(shape_of(x.axes)), start + len(array)
    outputs = interpret(program, values, arithmetic).values()
    return [v for array in outputs for v in array.reshape(-1).tolist()]
