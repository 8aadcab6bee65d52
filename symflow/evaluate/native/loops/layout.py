"""A program over fixed-point numbers as the kernel reads it."""

from __future__ import annotations

MULTIPLY, COMBINE, GATE, MAXIMUM, COPY = range(5)
"""Kinds of operations on numbers x, which have places; `out` is one, too.

    MULTIPLY  out = (sum a b) >> bits; terms (a, b)
    COMBINE   out = sum n x // d; terms (n, x), n words, and `first` the row of d among the divisors, -1 for d = 1
    GATE      out = `first` where x >= 0, `second` where x < 0; one term (0, x)
    MAXIMUM   out = the largest x; terms (0, x)
    COPY      y = x; terms (y, x)
"""
HEAD = ("kind", "length", "out", "count", "first", "second")
"""An operation's first words; `count` terms of two words follow."""
WORD = {name: i for i, name in enumerate(HEAD)}
MOST_UNROLLED = 7
"""Products of numbers up to so many words are written out."""
SLACK_BITS = 30
"""Radii and sizes are computed in float64 and multiplied by 1 + 2^-30 in the end, which covers what is rounded off."""
MOST_TERMS = 1 << 20
"""Most terms of an operation, for which it does."""
