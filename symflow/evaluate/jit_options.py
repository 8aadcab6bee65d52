"""`jax.jit` for programs that do not run long enough to repay XLA's optimization of them.

Measured on one core, small networks: a batch of Hessians compiles in 0.7 s instead of 1.1 s with `QUICK`, in 0.15 s
with `THROWAWAY`; 256 steps of an eighth-order Runge-Kutta method in 1.1 to 1.5 s instead of 1.9 s. `QUICK` code runs
at the usual speed, up to a fifth slower at a thousand parameters; `THROWAWAY` code takes one to four times as long.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from symflow.evaluate.jax_runtime import own_modes

QUICK: Mapping[str, str | bool] = {"xla_cpu_use_fusion_emitters": False}
"""For code that runs for seconds."""
THROWAWAY: Mapping[str, str | bool] = {
    **QUICK,
    "xla_backend_optimization_level": "0",
    "xla_llvm_disable_expensive_passes": True,
}
"""For code that runs for milliseconds."""

PLAIN_PRODUCTS: Mapping[str, str | bool] = {"xla_cpu_experimental_ynn_fusion_type": ""}
"""For loops over matrix products so small that a call of XLA's library for them takes longer than they do."""
SMALL_OPERATIONS = 3000
"""Scalar operations of a gradient below which that is so: steps of descent take 0.3 to 1.0 of the time below, 1.0 to
1.6 above."""


def jit(function: Callable[..., Any], options: Mapping[str, str | bool] = QUICK) -> Callable[..., Any]:
    """`jax.jit` with those of the compiler options that XLA knows; not to be called inside another jit."""
    import jax

    known = {k: v for k, v in options.items() if _known(k, v)}
    compiled: Callable[..., Any] = jax.jit(function, compiler_options=known)
    return compiled


@cache
def _known(option: str, value: str | bool) -> bool:
    """Whether XLA takes an option: they are not a stable interface."""
    import jax

    with own_modes():
        try:
            jax.jit(lambda x: x).lower(0.0).compile({option: value})
        except RuntimeError:
            return False
    return True
