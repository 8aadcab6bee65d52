"""Balls: numbers with a bound on their error (`flint.arb`), and the precision that they are computed with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ball_precision(bits: int) -> Iterator[None]:
    """Balls are computed with midpoints of `bits` bits inside; FLINT's precision belongs to the thread."""
    import flint

    before = flint.ctx.prec
    flint.ctx.prec = bits
    try:
        yield
    finally:
        flint.ctx.prec = before
