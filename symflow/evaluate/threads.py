"""Several threads for compiled code: XLA, LAPACK and NumPy's work on large arrays do not hold Python's lock."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from symflow.evaluate.jax_runtime import own_modes

T = TypeVar("T")
MOST = 4
"""Threads at most: what runs between compiled calls runs in one of them at a time."""


def usable_cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def thread_count() -> int:
    """How many threads work at once, the caller's own included: no more than OMP_NUM_THREADS, as for libraries."""
    asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return min(MOST, usable_cores(), int(asked) if asked.isdecimal() and int(asked) else MOST)


def threads() -> ThreadPoolExecutor:
    """Threads for `each`, which works in the caller's own thread too; none start before there is work for them."""
    return ThreadPoolExecutor(max(1, thread_count() - 1), "symflow")


def each(
    pool: ThreadPoolExecutor,
    function: Callable[[T], Any],
    items: Sequence[T],
    modes: Callable[[], AbstractContextManager[None]] = own_modes,
) -> list[Any]:
    """function(x) of all items, several at once; after an error or an interruption no further ones are begun.

    Args:
        pool: of `threads`.
        function: it must not mind other threads; mpmath and flint do.
        items: in the order in which they are begun.
        modes: what other threads enter first; JAX's modes belong to a thread.
    """
    found: list[Any] = [None] * len(items)
    waiting = deque(enumerate(items))

    def work() -> None:
        while True:
            try:
                k, item = waiting.popleft()
            except IndexError:
                return
            found[k] = function(item)

    def elsewhere() -> None:
        with modes():
            work()

    others = [pool.submit(elsewhere) for _ in range(min(thread_count(), len(items)) - 1)]
    try:
        work()
    finally:
        waiting.clear()
    for other in others:
        other.result()
    return found
