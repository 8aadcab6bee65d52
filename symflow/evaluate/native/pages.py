"""Memory for the kernel: at the beginning of a cache line, in large pages where there is much of it."""

from __future__ import annotations

import mmap

import numpy as np

LINE = 64
"""Bytes of a cache line."""
LARGE = 1 << 22
"""Bytes from which on memory is asked for in large pages."""


def aligned(given: np.ndarray | int) -> np.ndarray:
    """An array at the beginning of a cache line, or so many zeros, which are not touched."""
    kind, size = (np.dtype(np.uint64), given) if isinstance(given, int) else (given.dtype, given.size)
    room = _zeros(size * kind.itemsize + LINE)
    start = -room.ctypes.data % LINE
    placed = room[start : start + size * kind.itemsize].view(kind)
    if not isinstance(given, int):
        placed[:] = given
    return placed


def _zeros(size: int) -> np.ndarray:
    """So many bytes, which are not touched; in large pages, since sums of products jump from series to series."""
    advice = getattr(mmap, "MADV_HUGEPAGE", None)
    if size < LARGE or advice is None:
        return np.zeros(size, dtype=np.uint8)
    try:
        room = mmap.mmap(-1, size)
        room.madvise(advice)
    except OSError:  # a kernel without them
        return np.zeros(size, dtype=np.uint8)
    return np.frombuffer(room, dtype=np.uint8)
