"""Programs as JAX functions in float64: they work under jit, vmap and grad, and wherever a `jax.jit` function does."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from symflow.derivatives.derived import Derived, loss
from symflow.errors import ProblemError, brief
from symflow.evaluate.budget import check_dense
from symflow.evaluate.cheapest_hessian import fastest
from symflow.evaluate.interpret import interpret
from symflow.evaluate.jax_arguments import concrete, data_arrays, floating_type, vector
from symflow.evaluate.jax_arithmetic import JaxArithmetic, take
from symflow.evaluate.jax_runtime import check_runtime, unreadable
from symflow.evaluate.theta_gathers import selections
from symflow.networks.objective import Objective
from symflow.numbers.types import JaxArray
from symflow.programs.nodes import Input

if TYPE_CHECKING:
    import numpy.typing as npt


try:
    import jax
    import jax.numpy as jnp
except ValueError as refused:
    raise unreadable(refused) from None
try:
    from jax.extend.core import get_opaque_trace_state
except ImportError:  # JAX before 0.9
    from jax.core import get_opaque_trace_state


UNCHANGED = nullcontext()
with jax.core.eval_context():
    TOP_LEVEL = get_opaque_trace_state()
"""JAX's state where nothing is traced."""
Data = Literal["constants", "arguments"]


def bound_data(objective: Objective, dtype: npt.DTypeLike) -> dict[Input, np.ndarray]:
    """The objective's data rounded to floats."""
    return {x: np.asarray(a, dtype=dtype) for x, a in objective.data.items()}


def to_jax(
    derived: Derived | Objective, *, data: Data = "constants", dtype: npt.DTypeLike = np.float64
) -> Callable[..., JaxArray]:
    """Compiles a derived result into a JAX function of theta (and of a direction, where it has one).

    The function is used as one of `jax.jit` is: under `jax.jit`, `jax.vmap` and `jax.grad`, on any device or sharding,
    under `jax.disable_jit` and the other modes of JAX, and it can be pickled. Called directly it computes in float64
    whatever the global setting is. Under a transformation JAX's x64 mode must be on; float32 is refused, never used
    silently. Arrays must have the dtype itself, in either byte order; lists of numbers are converted.

    Args:
        derived: a result of `gradient`, `hessian`, ...; an objective stands for its loss.
        data: "constants" compiles the objective's data in; "arguments" takes them at each call.
        dtype: the floating-point type; float64 unless another one is asked for.

    Returns:
        A function of theta, shape (P,), then of the direction D, shape (P,), if the result is a form in a direction,
        then, with ``data="arguments"``, of a dict from the names of the data inputs to arrays. It returns a `jax.Array`
        of `dtype`: a scalar, or an array of shape (P,) or (P, P).

    Raises:
        ProblemError: not a derived result, or arguments outside their range.
        BudgetError: a dense matrix with too many entries.
        TypeError: when called with an array of another dtype, or with something that is not an array of numbers.
        ValueError: when called with an array of another shape, or when the objective lacks the data that are needed.
        ComputationError: when called where JAX cannot start.

    Example:
        >>> import jax
        >>> objective = sf.network_objective(sf.FullyConnected((1, 1, 1)), [1], [1])
        >>> g = sf.to_jax(sf.gradient(objective))
        >>> g([0.5, 1.0])
        Array([-0.5 , -0.25], dtype=float64)
        >>> with jax.enable_x64(True):
        ...     jax.jacfwd(g)(jax.numpy.array([0.5, 1.0]))  # the Hessian
        Array([[1.  , 0.  ],
               [0.  , 0.25]], dtype=float64)
    """
    if isinstance(derived, Objective):
        derived = loss(derived)
    if not isinstance(derived, Derived):
        raise ProblemError(f"to_jax takes a derived result or an objective, got {brief(derived)}")
    check_dense(derived)
    if data not in get_args(Data):
        raise ProblemError(f'data must be "constants" or "arguments", got {brief(data)}')
    return JaxFunction(derived, data, floating_type(dtype))


class JaxFunction:
    """A derived result as a function of arrays; see `to_jax`."""

    def __init__(self, derived: Derived, data: Data, dtype: np.dtype) -> None:
        self.derived, self.data, self.dtype = derived, data, dtype
        self._by_name = {x.name: x for x in derived.objective.data_inputs}
        self._names = ("theta", "direction")[: 1 + bool(derived.directions)]
        self._vector = (derived.objective.parameter_count,)
        self._expected = len(self._names) + (data == "arguments")
        self._single = dtype != np.float64
        self.__name__ = derived.kind.replace(" ", "_").replace("-", "_")
        self.__doc__ = f"{derived.kind} in {dtype.name}; see symflow.to_jax."
        run = self._traced()
        run.__name__ = run.__qualname__ = self.__name__  # as JAX's messages and profiles call it
        self._compiled = jax.jit(run)

    def _traced(self) -> Callable[..., JaxArray]:
        """What JAX traces: the cheapest program, with what is known of its data folded in."""
        derived, dtype, objective = self.derived, self.dtype, self.derived.objective
        known = bound_data(objective, dtype) if self.data == "constants" else {}
        program, constants = fastest(derived, known, dtype)
        program, selected = selections(program, objective.cut(np.arange(objective.parameter_count)))
        arithmetic = JaxArithmetic(dtype)

        def run(*flat: JaxArray, **arrays: JaxArray) -> JaxArray:
            check_runtime()  # this is traced before anything is compiled, so that it is asked once
            flat = tuple(jnp.asarray(v, dtype) for v in flat)  # of NumPy where nothing is traced (jax.disable_jit)
            values: dict[Input, np.ndarray | JaxArray] = dict(constants)
            values |= {self._by_name[name]: jnp.asarray(a, dtype) for name, a in arrays.items()}
            values |= objective.cut(flat[0]) | {x: take(flat[0], where, 0) for x, where in selected.items()}
            if derived.directions:
                values |= objective.cut(flat[1], derived.directions)
            return jnp.asarray(derived.joined(interpret(program, values, arithmetic).values(), jnp))

        return run

    def __call__(self, *args: object) -> JaxArray:
        if self._expected == len(args) == 1 and self._fits(args[0]):
            return self._compiled(args[0])
        if len(args) != self._expected:
            raise TypeError(f"this {self.derived.kind} takes {self._expected} arguments, got {len(args)}")
        flat = [vector(name, v, self.dtype, self._vector) for name, v in zip(self._names, args, strict=False)]
        arrays = data_arrays(args[-1], self._by_name, self.dtype) if self.data == "arguments" else {}
        traced = any(not concrete(type(v)) for v in (*flat, *arrays.values()))  # type: ignore[arg-type]
        # Entering JAX's contexts costs a third of a small call, so they are entered only where they change something.
        with UNCHANGED if self._single or jax.config.jax_enable_x64 else jax.enable_x64(True):  # type: ignore[attr-defined]
            if traced or get_opaque_trace_state() == TOP_LEVEL:
                return self._compiled(*flat, **arrays)
            # Arrays that are known inside someone's jit are computed with at once; traced there, they would get that
            # jit's x64 mode, that is float32.
            with jax.core.eval_context():
                return self._compiled(*flat, **arrays)

    def _fits(self, theta: Any) -> bool:
        """Whether compiled code takes it as it is: half of what a small Hessian costs is the way there."""
        return (
            concrete(type(theta))  # type: ignore[arg-type]  # types are hashable
            and theta.shape == self._vector
            and theta.dtype == self.dtype
            and (self._single or jax.config.jax_enable_x64)  # type: ignore[attr-defined]
            and get_opaque_trace_state() == TOP_LEVEL
        )

    def __reduce__(self) -> tuple[object, ...]:
        # Compiled code belongs to this process; another one compiles for itself.
        return JaxFunction, (self.derived, self.data, self.dtype)

    def __repr__(self) -> str:
        return f"<{self.derived.kind} of {self._vector[0]} parameters in {self.dtype.name}, compiled by JAX>"
