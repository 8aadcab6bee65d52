"""The loops of descent number by number: exact rationals, and a step for any arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
from gmpy2 import mpq

from symflow.dynamics.batches import batches_of
from symflow.dynamics.method import THETA, Method, recursion, state_sizes
from symflow.dynamics.vector_field import gradient_flow_field
from symflow.errors import BudgetError, DescentDiverged, ProblemError, brief_float
from symflow.evaluate.interpret import interpret
from symflow.evaluate.object_arrays import EXACT
from symflow.networks.batches import batch_loss, sample_count
from symflow.networks.objective import Objective
from symflow.programs.nodes import Input
from symflow.programs.program import Program, entries, shape_of
from symflow.programs.rules.arithmetic import Arithmetic

DIVERGED_BITS = 600
"""A parameter above 2^600 counts as divergence, or above 2 to as many bits as are carried: tiny data want more."""
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


def step_loss(objective: Objective, method: Method) -> Objective:
    """What a step takes the gradient of: f, or its mean over a batch of the method."""
    return objective if method.batches is None else batch_loss(objective, method.batches.width).objective


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


# Exact rationals ------------------------------------------------------------------------------------------------------


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
