"""The claims of a result with the values that an evaluation gave them, as LaTeX for a display."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import mpmath

from symflow.numbers.types import Mpf
from symflow.theory.result import Result


def with_values(
    result: Result, depth: int, values: Mapping[str, Mpf], given: Iterable[tuple[str, Mpf]], lines: Iterable[str] = ()
) -> str:
    r"""Claims at a depth, each with the value of its left side, then what else entered, then further lines.

    Args:
        result: whose claims.
        depth: n.
        values: by the label of the claim; None for one that is shown without.
        given: LaTeX symbol and value of what the claims contain.
        lines: LaTeX, each with an alignment mark.
    """
    claims = replace(result.main, claims=tuple(result.main.claim(label) for label in values))
    listed = [rf"{symbol} = {number(value)}" for symbol, value in given]
    rows = [r",\quad ".join(listed[start : start + 4]) for start in range(0, len(listed), 4)]
    shown = [
        claims.latex(depth, {label: number(value) for label, value in values.items() if value is not None}),
        *rows,
        *lines,
    ]
    return "\\begin{aligned}\n& " + " \\\\\n& ".join(shown) + "\n\\end{aligned}"


def number(value: Mpf, digits: int = 6) -> str:
    r"""A number in LaTeX to six digits: 1.5, 2.5 \cdot 10^{-7}."""
    mantissa, _, exponent = mpmath.nstr(mpmath.mpf(value), digits).partition("e")
    mantissa = mantissa.removesuffix(".0")
    return mantissa if not exponent else rf"{mantissa} \cdot 10^{{{int(exponent)}}}"
