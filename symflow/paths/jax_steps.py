"""Steps of descent in JAX: float64, float32, traceable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np

from symflow.caching import kept
from symflow.derivatives.derived import gradient
from symflow.dynamics.method import THETA, Method, recursion
from symflow.evaluate.interpret import interpret
from symflow.networks.batches import batch_loss, sample_count
from symflow.networks.objective import Objective
from symflow.numbers.types import JaxArray

State: TypeAlias = tuple[JaxArray, ...]
"""theta and what the method carries."""
Slope: TypeAlias = Callable[[JaxArray], JaxArray]
StepSlope: TypeAlias = Callable[[JaxArray, JaxArray], JaxArray]
"""(theta, k) -> the gradient of step k, counted from 0, over its batch."""


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
        return (theta, *(0 * theta if x.axes else 0 * theta[0] for x in self.programs.state[1:]))

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
        self,
        slope: StepSlope,
        state: State,
        step_size: JaxArray,
        gaps: JaxArray,
        nudge: JaxArray | None = None,
        first: JaxArray | int = 0,
    ) -> State:
        """The states after each of several gaps, one row each.

        Args:
            slope: (theta, k) -> the gradient of step k.
            state: before the first step, see `start`.
            step_size: eta.
            gaps: numbers of steps.
            nudge: moves theta after every step by these relative amounts: a run that rounds differently.
            first: k of the first step.
        """
        from jax import lax

        def once(k: JaxArray, state: State) -> State:
            state = self.step(state, slope(self.point(state), k), step_size)
            return state if nudge is None else (state[0] * (1 + nudge), *state[1:])

        def advance(now: tuple[JaxArray, State], gap: JaxArray) -> tuple[tuple[JaxArray, State], State]:
            k, state = now
            state = lax.fori_loop(k, k + gap, once, state)
            return (k + gap, state), state

        found: State = lax.scan(advance, (first + 0 * gaps[0], state), gaps)[1]
        return found


@dataclass(frozen=True, eq=False)
class JaxSlopes:
    """The gradient of every step, traceable: over all samples, or over the batch of a table that is given to the run.

    Args:
        objective: f; where there are batches, as a mean over samples.
        method: whose batches they are.
        dtype: of the arrays.
    """

    objective: Objective
    method: Method
    dtype: np.dtype | type = np.float64

    def table(self, steps: int) -> tuple[np.ndarray, int] | None:
        """The batches of a run of so many steps, in rows up to a power of two, and how many rows there are.

        Raises:
            ProblemError: batches that the data do not have.
        """
        if self.method.batches is None:
            return None
        rows = self.method.batches.table(sample_count(self.objective), steps)
        return np.pad(rows, ((0, (1 << (len(rows) - 1).bit_length()) - len(rows)), (0, 0))), len(rows)

    @cached_property
    def _all(self) -> StepSlope:
        from symflow.evaluate.jax import to_jax

        slope = to_jax(gradient(self.objective), dtype=self.dtype)
        return lambda theta, _: slope(theta)

    @cached_property
    def _batch(self) -> Callable[[JaxArray, JaxArray], JaxArray]:
        """(theta, a row of the table) -> the gradient."""
        from jax import numpy as jnp

        from symflow.evaluate.jax import to_jax

        batches = self.method.batches
        assert batches is not None
        even = batches.even(sample_count(self.objective))
        loss = batch_loss(self.objective, batches.width, weighted=not even)
        slope = to_jax(gradient(loss.objective), data="arguments", dtype=self.dtype)
        # One row a sample, so that those of a batch are read in one go.
        known = {x.name: np.moveaxis(np.asarray(a, dtype=self.dtype), -1, 0) for x, a in loss.data.items()}

        def of_row(theta: JaxArray, row: JaxArray) -> JaxArray:
            chosen = jnp.maximum(row, 0)
            data = {name: jnp.moveaxis(jnp.asarray(a)[chosen], 0, -1) for name, a in known.items()}
            if loss.weights is not None:
                real = jnp.asarray(row >= 0, self.dtype)
                data[loss.weights.name] = real / real.sum()
            return slope(theta, data)

        return of_row

    def __call__(self, table: tuple[JaxArray, JaxArray] | None) -> StepSlope:
        """The gradients of a run, from its table of batches."""
        if table is None:
            return self._all
        rows, count = table
        return lambda theta, k: self._batch(theta, rows[k % count])


@kept
def jax_slopes(objective: Objective, method: Method, dtype: np.dtype | type = np.float64) -> JaxSlopes:
    """The gradients, kept by the objective."""
    return JaxSlopes(objective, method, dtype)


@kept
def float64_stepper(objective: Objective, method: Method) -> Callable[..., State]:
    """(theta_0, eta, gaps, nudge, table) -> the states after each gap, compiled once; see `JaxSteps.march`."""
    import jax

    steps, slopes = JaxSteps(method, objective.parameter_count), jax_slopes(objective, method)

    def run(
        theta: JaxArray,
        step_size: JaxArray,
        gaps: JaxArray,
        nudge: JaxArray | None = None,
        table: tuple[JaxArray, JaxArray] | None = None,
    ) -> State:
        return steps.march(slopes(table), steps.start(theta), step_size, gaps, nudge)

    return jax.jit(run)


def padded_gaps(gaps: np.ndarray, count: int) -> np.ndarray:
    """Gaps with gaps of 0 steps behind them, up to the power of two from `count` on."""
    return np.pad(gaps, (0, (1 << (count - 1).bit_length()) - len(gaps)))
