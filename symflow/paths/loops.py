"""The loops of descent number by number: fixed point, exact rationals, and a step for any arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from math import ceil
from typing import Any, TypeAlias

import numpy as np
from gmpy2 import mpq, mpz

from symflow.dynamics.batches import batches_of
from symflow.dynamics.method import THETA, Method, recursion, state_sizes
from symflow.dynamics.vector_field import gradient_flow_field
from symflow.errors import BudgetError, ComputationError, DescentDiverged, ProblemError, brief_float
from symflow.evaluate.fixed_point import FixedArrays
from symflow.evaluate.interpret import interpret
from symflow.evaluate.object_arrays import EXACT
from symflow.evaluate.scalar_code import unrolled
from symflow.networks.batches import batch_loss, sample_count
from symflow.networks.objective import Objective
from symflow.numbers.fixed_point import from_fraction
from symflow.programs.nodes import Input
from symflow.programs.program import Program, entries, shape_of
from symflow.programs.rules.arithmetic import Arithmetic

SHAKES = 16
"""How often the second run is moved by what the first one may have lost since the last time."""
MOVES = (1, -2, 3, -1, 2, -3)
"""By how many times what is lost the components are moved in turn."""
DIVERGED_BITS = 600
"""A parameter above 2^600 counts as divergence, or above 2 to as many bits as are carried: tiny data want more."""
GROWN_BITS = 30
"""A parameter above 2^30 where the gradient cannot be computed any more has diverged."""
LONGEST_LITERAL = 10_000
"""Most bits of a number that is written into Python source, which has no longer ones."""
LONGEST_EXACT = 65_536
"""Most bits of a numerator or denominator in exact rationals (about 20 000 digits): they grow exponentially."""

Velocity: TypeAlias = Callable[..., Sequence[Any]]
"""The entries of a point -> those of -grad f."""


def diverged(step: int, eta: Fraction, method: Method) -> DescentDiverged:
    """The error for a run that leaves all bounds."""
    return DescentDiverged(
        f"{method.called} with step size {brief_float(eta)} diverges (noticed at step {step}); choose a smaller one",
        step=step,
    )


Compiled: TypeAlias = Callable[[Program, Mapping[Input, np.ndarray], Sequence[Input]], Callable[..., Sequence[Any]]]
"""A program, its data (rationals) and the inputs that are given -> a function of the entries of these."""


@dataclass(frozen=True)
class MethodStep:
    """One step of a method on its whole state, entry by entry, in any arithmetic.

    Attributes:
        point: the state -> where the gradient is taken.
        velocity: k, counted from 0 -> (the entries of that point -> those of -grad f over the batch of step k).
        update: the entries of the state and of -grad f -> those of the next state.
    """

    point: Callable[[list[Any]], Sequence[Any]]
    velocity: Callable[[int], Velocity]
    update: Callable[..., Sequence[Any]]

    def __call__(self, state: list[Any], k: int) -> list[Any]:
        """The state after step k, counted from 0."""
        return list(self.update(*state, *self.velocity(k)(*self.point(state))))


@dataclass(frozen=True)
class Steps:
    """What a run repeats, apart from its arithmetic.

    Attributes:
        objective: f; where there are batches, as a mean over samples.
        method: the recursion.
        eta: the step size.
        count: how many steps.
    """

    objective: Objective
    method: Method
    eta: Fraction
    count: int

    @property
    def carried(self) -> int:
        """How many numbers the method carries besides theta."""
        return sum(state_sizes(self.method, self.objective.parameter_count)[1:])

    def compiled(self, compiled: Compiled, lift: Callable[[Fraction], Any]) -> MethodStep:
        """One step.

        Args:
            compiled: how programs become functions.
            lift: how a rational becomes a number.

        Raises:
            ProblemError: batches that the data do not have.
        """
        count = self.objective.parameter_count
        programs = recursion(self.method, count, self.eta)
        plain = programs.point[THETA] is programs.state[0]
        point = compiled(programs.point, {}, programs.state)
        return MethodStep(
            (lambda state: state[:count]) if plain else (lambda state: point(*state)),
            self._velocity(compiled, lift),
            compiled(programs.step, {}, (*programs.state, programs.direction)),
        )

    def _velocity(self, compiled: Compiled, lift: Callable[[Fraction], Any]) -> Callable[[int], Velocity]:
        batches = self.method.batches
        if batches is None:
            field = gradient_flow_field(self.objective)
            everywhere = compiled(field.program, self.objective.data, field.state)
            return lambda k: everywhere
        rows = batches_of(batches.table(sample_count(self.objective), self.count))
        lifted = np.frompyfunc(lift, 1, 1)
        known = [np.asarray(lifted(a), dtype=object) for a in self.objective.data.values()]
        functions: dict[int, Velocity] = {}

        def of_size(size: int) -> Velocity:
            """-grad f over so many samples, a function of the parameters and of the samples."""
            loss = batch_loss(self.objective, size)
            field = gradient_flow_field(loss.objective)
            return compiled(field.program, {}, (*field.state, *loss.data))

        def velocity(k: int) -> Velocity:
            batch = list(rows[k % len(rows)])
            if len(batch) not in functions:
                functions[len(batch)] = of_size(len(batch))
            evaluate = functions[len(batch)]
            numbers = [v for a in known for v in a[..., batch].reshape(-1).tolist()]
            return lambda *point: evaluate(*point, *numbers)

        return velocity


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


# Fixed point and exact rationals ------------------------------------------------------------------------------------


def fixed_states(
    steps: Steps,
    theta0: Sequence[Fraction],
    indices: Sequence[int],
    bits: int,
    *,
    shaken: int | None = None,
    seen: Callable[[int, list[mpz]], None] | None = None,
) -> list[list[mpz]]:
    """The kept states in fixed point: theta_k and what the method carries, one after the other.

    Args:
        steps: what is repeated.
        theta0: the start.
        indices: which iterates to keep.
        bits: after the point.
        shaken: move the states now and then by a few times what velocities with so many bits less lose between two
            such times, nonzero components alone, so that exact zeros and the kinks of the start stay.
        seen: told every step and its state.

    Raises:
        DescentDiverged: an iterate leaves all bounds.
        ComputationError: the gradient is not finite.
    """
    state = [from_fraction(q, bits) for q in theta0] + [mpz(0)] * steps.carried
    step = _fixed_step(steps, bits)
    limit = mpz(1) << (bits + max(DIVERGED_BITS, bits))
    found, wanted = [state], set(indices)
    between = -(-steps.count // SHAKES)
    lost = 0 if shaken is None else max(1, ceil(steps.eta * (steps.method.speed or 1) * between)) << shaken
    for k in range(1, steps.count + 1):
        try:
            state = step(state, k - 1)
        except ComputationError as beyond:
            if max(map(abs, state)) < mpz(1) << (bits + GROWN_BITS):  # it has not grown: the objective ends there
                raise
            raise diverged(k, steps.eta, steps.method) from beyond
        if max(state) > limit or min(state) < -limit:
            raise diverged(k, steps.eta, steps.method)
        if lost and k % between == 1 % between:
            state = [v + MOVES[(i + k // between) % len(MOVES)] * lost if v else v for i, v in enumerate(state)]
        if k in wanted:
            found.append(state)
        if seen is not None:
            seen(k, state)
    return found


def _fixed_step(steps: Steps, bits: int) -> MethodStep:
    """The step in fixed point."""
    arithmetic, eta = FixedArrays(bits), steps.eta
    short = max(eta.numerator.bit_length(), eta.denominator.bit_length()) < LONGEST_LITERAL

    def compiled(
        program: Program, data: Mapping[Input, np.ndarray], inputs: Sequence[Input]
    ) -> Callable[..., Sequence[mpz]]:
        known = {x: arithmetic.lift(a) for x, a in data.items()}
        written = unrolled(program, known, inputs, bits) if short or known else None
        return written or partial(interpreted, program, known, inputs, arithmetic)

    return steps.compiled(compiled, partial(from_fraction, bits=bits))


@contextmanager
def exact_step(steps: Steps) -> Iterator[MethodStep]:
    """The step in exact rationals, of gmpy2: their products cancel common factors faster than those of `Fraction`.

    Raises:
        ProblemError: the method or the gradient is not rational.
        BudgetError: the numbers become too long.
    """

    def compiled(
        program: Program, data: Mapping[Input, np.ndarray], inputs: Sequence[Input]
    ) -> Callable[..., Sequence[mpq]]:
        known = {x: np.asarray(np.frompyfunc(mpq, 1, 1)(a), dtype=object) for x, a in data.items()}

        def evaluate(*numbers: mpq) -> Sequence[mpq]:
            longest = max(max(q.numerator.bit_length(), q.denominator.bit_length()) for q in numbers)
            if longest > LONGEST_EXACT:
                raise BudgetError(
                    f"exact iterates have numbers of {longest} bits, over the limit of {LONGEST_EXACT}; make fewer "
                    "steps, or give a number of digits (dps)"
                )
            return interpreted(program, known, inputs, EXACT, *numbers)

        return evaluate

    try:
        yield steps.compiled(compiled, mpq)
    except TypeError as irrational:
        reason = str(irrational).partition(";")[0]
        raise ProblemError(
            f"{steps.method.called} has no exact run of this problem: {reason}; give a number of digits (dps)"
        ) from None


def exact_start(steps: Steps, theta0: Sequence[Fraction]) -> list[mpq]:
    """The state at the start."""
    return [*map(mpq, theta0), *[mpq(0)] * steps.carried]


def fraction(q: mpq) -> Fraction:
    """A rational of gmpy2 as Python's."""
    return Fraction(int(q.numerator), int(q.denominator))


def exact_states(steps: Steps, theta0: Sequence[Fraction], indices: Sequence[int]) -> list[list[mpq]]:
    """The kept states in exact rationals.

    Raises:
        ProblemError: the method or the gradient is not rational.
        BudgetError: the numbers become too long.
    """
    state = exact_start(steps, theta0)
    found, wanted = [state], set(indices)
    with exact_step(steps) as step:
        for k in range(1, steps.count + 1):
            state = step(state, k - 1)
            if k in wanted:
                found.append(state)
    return found
