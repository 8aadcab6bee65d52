"""Compiled in other threads, while a run of many lanes begins: what its first kinks will ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np

from symflow.evaluate.jax_runtime import own_modes
from symflow.evaluate.threads import thread_count
from symflow.paths.float64.lanes.compiled import Lanes
from symflow.paths.float64.lanes.dop853 import DENSE
from symflow.paths.float64.lanes.state import BLOCK, slot_class


@contextmanager
def ahead(lanes: Lanes, count: int) -> Iterator[None]:
    """Compiles while the block runs; to be called within `x64`.

    A few lanes may meet no kink, and wait for what they need.
    """
    if count < BLOCK or thread_count() < 2:
        yield
        return
    pool = ThreadPoolExecutor(2, "symflow-compile")
    for call in _calls(lanes):
        pool.submit(_call, call)
    try:
        yield
    finally:  # what is not needed by now is not waited for
        pool.shutdown(wait=False, cancel_futures=True)


def _call(call: tuple[Callable[..., Any], tuple[np.ndarray, ...]]) -> None:
    """What fails here fails again where it is needed."""
    function, arrays = call
    with own_modes():
        function(*arrays)


def _calls(lanes: Lanes) -> Iterator[tuple[Callable[..., Any], tuple[np.ndarray, ...]]]:
    """Functions and arrays of the shapes that runs call them with, without and with held gates."""
    parameters = lanes.objective.parameter_count
    gates, theta = np.tile(lanes.alpha, (BLOCK, 1)), np.zeros((BLOCK, parameters))
    times, scale, free = np.zeros(BLOCK), np.ones((BLOCK, 2)), np.full(gates.shape, -1)
    watched, dense = free < 0, np.zeros((BLOCK, DENSE, parameters))
    none, few = ((np.zeros((BLOCK, n), dtype=int), np.zeros((BLOCK, n))) for n in (0, slot_class(1)))
    yield lanes.attempt, (theta, gates, watched, times, *none, scale)
    yield lanes.attempt, (theta, gates, watched, times, *few, scale)
    yield lanes.locate, (theta, dense, gates, watched, times, times)
    yield lanes.held, (theta, gates, gates, few[1], free, *few)
    yield lanes.probe, (theta, gates, *few)
