"""JAX where symflow enters it: whether it can run in this process, and the modes of symflow's own computations.

Nothing here is imported from JAX before it is needed: commands and sweeps that need no JAX do not load it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from symflow.errors import JaxUnavailable, brief

SPAWN = 'concurrent.futures.ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn"))'
"""A pool whose processes are fresh ones."""


LAPACK_THREADS = 8
"""Threads with which JAX starts where batches of LAPACK's functions run at once."""


class _Ancestry:
    """How this process came about.

    Attributes:
        forked: whether it was forked from one in which JAX was running.
    """

    forked = False


def jax_runs() -> bool:
    """Whether JAX has started its threads in this process, or in one that it was forked from."""
    bridge = sys.modules.get("jax._src.xla_bridge")
    return bridge is not None and bool(bridge.backends_are_initialized())


def _after_fork() -> None:
    _Ancestry.forked = _Ancestry.forked or jax_runs()


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=_after_fork)


def check_runtime() -> None:
    """Refuses to enter JAX where it would hang or where it cannot start.

    Raises:
        JaxUnavailable: the process was forked while JAX was running, whose threads and locks a fork does not copy; or
            JAX does not start, as on a machine without the devices that JAX_PLATFORMS asks for.
    """
    if _Ancestry.forked:
        raise JaxUnavailable(
            "JAX cannot be used in a process that was forked while JAX was running; start the workers afresh, with "
            f"{SPAWN}"
        )
    _start_jax()


def start_with_spare_threads() -> None:
    """Starts JAX with at least `LAPACK_THREADS` threads, unless it runs already.

    Before jaxlib 0.11 a batch of LAPACK calls (singular values, eigenvalues) occupies a thread of XLA's pool while it
    waits for other threads of the same pool. When every thread does so, the process hangs; a search with two threads
    did so once in several hours. XLA reads the number of threads from NPROC when it starts. Flows and descents do not
    call this: with more threads than cores, gradients of large networks are a tenth slower.

    Raises:
        JaxUnavailable: JAX does not start.
    """
    if "NPROC" in os.environ or jax_runs():
        return
    os.environ["NPROC"] = str(max(LAPACK_THREADS, os.cpu_count() or 1))
    try:
        check_runtime()
    finally:
        del os.environ["NPROC"]


def unreadable(refused: ValueError) -> JaxUnavailable:
    """What an environment variable means that keeps JAX from being imported."""
    return JaxUnavailable(f"JAX cannot be imported ({refused}); correct or unset that variable of the environment")


@cache
def _start_jax() -> None:
    try:
        import jax
    except ValueError as refused:
        raise unreadable(refused) from None
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as failed:  # the latter, without a word, for CUDA without a plugin
        asked = jax.config.jax_platforms  # type: ignore[attr-defined]
        reason = str(failed).partition(" (set JAX_PLATFORMS")[0].partition("\n")[0].rstrip(".") or "no such device"
        raise JaxUnavailable(
            f"JAX cannot start with JAX_PLATFORMS={brief(asked)} ({reason}); unset JAX_PLATFORMS, set it to cpu, or "
            "install what JAX needs for that platform"
        ) from None


@contextmanager
def own_modes(x64: bool = True) -> Iterator[None]:
    """JAX as symflow's own computations need it, whatever the caller has set.

    Searches, flows and descents meet values that are not finite and deal with them, take NumPy arrays, and are
    compiled as a whole: JAX's modes for debugging and for strictness are meant for the caller's own functions. Inside
    a transformation of the caller's they run at once, on their own values.

    Args:
        x64: whether numbers are 64 bits long.

    Raises:
        JaxUnavailable: in this process it cannot be used.
    """
    check_runtime()
    import jax

    with (
        jax.core.eval_context(),
        jax.enable_x64(x64),
        jax.disable_jit(False),
        jax.debug_nans(False),
        jax.debug_infs(False),
        jax.check_tracer_leaks(False),
        jax.numpy_dtype_promotion("standard"),
        jax.numpy_rank_promotion("allow"),
        jax.transfer_guard("allow"),
    ):
        yield
