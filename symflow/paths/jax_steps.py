"""Steps of descent in JAX: float64, float32, traceable."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from symflow.caching import kept
from symflow.derivatives.derived import gradient
from symflow.dynamics.method import THETA, Method, entrywise, recursion
from symflow.evaluate.data_folding import partial_evaluation
from symflow.evaluate.interpret import interpret
from symflow.evaluate.jit_options import PLAIN_PRODUCTS, SMALL_OPERATIONS, jit
from symflow.evaluate.theta_gathers import selections
from symflow.networks.batches import batch_loss, sample_count
from symflow.networks.objective import Objective
from symflow.numbers.types import JaxArray
from symflow.paths.loops import step_loss
from symflow.programs.nodes import Input
from symflow.programs.program import entries, operation_count

State: TypeAlias = tuple[JaxArray, ...]
"""theta and what the method carries."""
Blocks: TypeAlias = tuple[tuple[State, ...], State]
"""The same for each parameter array, flat, and then the single numbers."""
Slope: TypeAlias = Callable[[JaxArray], JaxArray]
StepSlope: TypeAlias = Callable[[Sequence[JaxArray], JaxArray], Sequence[JaxArray]]
"""(theta, k) -> the gradient of step k, counted from 0, over its batch; both in flat arrays."""


class JaxSteps:
    """Steps of a method, traceable.

    A method that moves each parameter by its own gradient and what it carries of it alone works on the parameter arrays
    one by one, so that nothing is cut up and joined in a step; another one on theta as a whole.

    Args:
        method: the recursion.
        sizes: how many parameters each array has.
        dtype: of the arrays.
    """

    def __init__(self, method: Method, sizes: Sequence[int], dtype: np.dtype | type = np.float64) -> None:
        from symflow.evaluate.jax import JaxArithmetic

        whole = recursion(method, sum(sizes))
        self.sizes = tuple(sizes) if entrywise(whole) else (sum(sizes),)
        self.parts = [recursion(method, size) for size in self.sizes]
        self.arrays = 1 + len(method.carries)
        self.arithmetic = JaxArithmetic(dtype)

    def start(self, theta: JaxArray) -> State:
        """The state at the start: what the method carries is 0."""
        return (theta, *(0 * theta if x.axes else 0 * theta[0] for x in self.parts[0].state[1:]))

    def split(self, state: State) -> Blocks:
        """What is carried for each parameter array, and the single numbers."""
        ends = np.cumsum(self.sizes)[:-1].tolist()
        cut = [[a[i:j] for i, j in zip([0, *ends], [*ends, len(a)], strict=True)] for a in state[: self.arrays]]
        return tuple(zip(*cut, strict=True)), state[self.arrays :]

    def join(self, blocks: Blocks) -> State:
        """The other way round."""
        from jax import numpy as jnp

        arrays, numbers = blocks
        return (*(jnp.concatenate(parts) for parts in zip(*arrays, strict=True)), *numbers)

    def points(self, blocks: Blocks) -> list[JaxArray]:
        """Where the gradient of the step is taken, in the parameter arrays."""
        arrays, numbers = blocks
        found = []
        for part, own in zip(self.parts, arrays, strict=True):
            values = dict(zip(part.state, (*own, *numbers), strict=True))
            found.append(interpret(part.point, values, self.arithmetic)[THETA])
        return found

    def step(self, blocks: Blocks, slopes: Sequence[JaxArray], step_size: JaxArray) -> Blocks:
        """The next state, from the gradient at `points`."""
        arrays, numbers = blocks
        moved, counted = [], numbers
        for part, own, slope in zip(self.parts, arrays, slopes, strict=True):
            values = dict(zip(part.state, (*own, *numbers), strict=True))
            values |= {part.direction: -slope, part.step_size: step_size}
            new = tuple(interpret(part.step, values, self.arithmetic).values())
            moved.append(new[: self.arrays])
            counted = new[self.arrays :]
        return tuple(moved), counted

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
            slope: (theta in arrays of `sizes`, k) -> the gradient of step k in such arrays.
            state: before the first step, see `start`.
            step_size: eta.
            gaps: numbers of steps.
            nudge: moves theta after every step by these relative amounts: a run that rounds differently.
            first: k of the first step.
        """
        from jax import lax

        shift = None if nudge is None else [1 + row[0] for row in self.split((nudge,) * self.arrays)[0]]

        def once(k: JaxArray, blocks: Blocks) -> Blocks:
            arrays, numbers = self.step(blocks, slope(self.points(blocks), k), step_size)
            if shift is not None:
                arrays = tuple((own[0] * by, *own[1:]) for own, by in zip(arrays, shift, strict=True))
            return arrays, numbers

        def advance(now: tuple[JaxArray, Blocks], gap: JaxArray) -> tuple[tuple[JaxArray, Blocks], State]:
            k, blocks = now
            blocks = lax.fori_loop(k, k + gap, once, blocks)
            return (k + gap, blocks), self.join(blocks)

        found: State = lax.scan(advance, (first + 0 * gaps[0], self.split(state)), gaps)[1]
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

    @property
    def operations(self) -> int:
        """Scalar operations of the gradient of a step."""
        return operation_count(gradient(step_loss(self.objective, self.method)).program)

    @cached_property
    def _all(self) -> Callable[..., list[JaxArray]]:
        """The parameter arrays -> the gradient in such arrays, over all samples."""
        return block_gradient(self.objective, {x: np.asarray(a, self.dtype) for x, a in self.objective.data.items()},
                              self.dtype)  # fmt: skip

    @cached_property
    def _batch(self) -> Callable[..., list[JaxArray]]:
        """(the parameter arrays, a row of the table) -> the gradient."""
        from jax import numpy as jnp

        batches = self.method.batches
        assert batches is not None
        even = batches.even(sample_count(self.objective))
        loss = batch_loss(self.objective, batches.width, weighted=not even)
        slope = block_gradient(loss.objective, {}, self.dtype)
        # One row a sample, so that those of a batch are read in one go.
        known = {x: np.moveaxis(np.asarray(a, dtype=self.dtype), -1, 0) for x, a in loss.data.items()}

        def of_row(theta: Sequence[JaxArray], row: JaxArray) -> list[JaxArray]:
            chosen = row if even else jnp.maximum(row, 0)
            data = {x: jnp.moveaxis(jnp.asarray(a)[chosen], 0, -1) for x, a in known.items()}
            if loss.weights is not None:
                real = jnp.asarray(row >= 0, self.dtype)
                data[loss.weights] = real / real.sum()
            return slope(theta, data)

        return of_row

    def __call__(self, steps: JaxSteps, table: tuple[JaxArray, JaxArray] | None) -> StepSlope:
        """The gradients of a run, from its table of batches, in the arrays that its steps work on."""
        from jax import numpy as jnp

        ends = np.cumsum([entries(w.axes) for w in self.objective.parameters])[:-1].tolist()

        def cut(theta: Sequence[JaxArray]) -> Sequence[JaxArray]:
            return theta if len(theta) > 1 or not ends else jnp.split(theta[0], ends)

        def joined(slopes: list[JaxArray]) -> list[JaxArray]:
            return slopes if len(slopes) == len(steps.sizes) else [jnp.concatenate(slopes)]

        if table is None:
            return lambda theta, k: joined(self._all(cut(theta)))
        rows, count = table
        return lambda theta, k: joined(self._batch(cut(theta), rows[k % count]))


def block_gradient(
    objective: Objective, known: Mapping[Input, np.ndarray], dtype: np.dtype | type
) -> Callable[..., list[JaxArray]]:
    """grad f in flat arrays, one for each parameter array, from such arrays and, where they are not known, the data."""
    from jax import numpy as jnp

    from symflow.evaluate.jax import JaxArithmetic, take

    program, constants = partial_evaluation(gradient(objective).program, known, np.dtype(dtype))
    program, selected = selections(program, objective.cut(np.arange(objective.parameter_count)))
    arithmetic, shapes = JaxArithmetic(dtype), objective.shapes

    def slope(theta: Sequence[JaxArray], data: Mapping[Input, JaxArray] | None = None) -> list[JaxArray]:
        values: dict[Any, Any] = {**constants, **(data or {})}
        values |= {w: x.reshape(s) for w, x, s in zip(objective.parameters, theta, shapes, strict=True)}
        if selected:
            flat = jnp.concatenate(list(theta))
            values |= {x: take(flat, where, 0) for x, where in selected.items()}
        return [x.reshape(-1) for x in interpret(program, values, arithmetic).values()]

    return slope


def jax_steps(objective: Objective, method: Method, dtype: np.dtype | type = np.float64) -> JaxSteps:
    """The steps of a method on the parameters of an objective."""
    return JaxSteps(method, [entries(w.axes) for w in objective.parameters], dtype)


@kept
def jax_slopes(objective: Objective, method: Method, dtype: np.dtype | type = np.float64) -> JaxSlopes:
    """The gradients, kept by the objective."""
    return JaxSlopes(objective, method, dtype)


def float64_march(objective: Objective, method: Method) -> Callable[..., State]:
    """(theta_0, eta, gaps, nudge, table) -> the states after each gap, traceable; see `JaxSteps.march`."""
    steps, slopes = jax_steps(objective, method), jax_slopes(objective, method)

    def run(
        theta: JaxArray,
        step_size: JaxArray,
        gaps: JaxArray,
        nudge: JaxArray | None = None,
        table: tuple[JaxArray, JaxArray] | None = None,
    ) -> State:
        return steps.march(slopes(steps, table), steps.start(theta), step_size, gaps, nudge)

    return run


@kept
def float64_stepper(objective: Objective, method: Method) -> Callable[..., State]:
    """The same, compiled once."""
    small = jax_slopes(objective, method).operations < SMALL_OPERATIONS
    return jit(float64_march(objective, method), PLAIN_PRODUCTS if small else {})


def padded_gaps(gaps: np.ndarray, count: int) -> np.ndarray:
    """Gaps with gaps of 0 steps behind them, up to the power of two from `count` on."""
    return np.pad(gaps, (0, (1 << (count - 1).bit_length()) - len(gaps)))
