r"""Matrices and vectors of any size as noncommutative symbols, with transposes, traces and scalar products.

A name with a capital is a matrix, one with a small letter a column vector; ``transposed`` marks a transpose by ``^T``.
A trace is the commuting symbol of its word up to rotation and transposition, which are all that leave every trace of
such a word as it is; a scalar such as v^T P u is the trace of its word. So identities between traces of matrices of
any size are identities between polynomials in these symbols.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise

import sympy

_MARK = "^T"


def matrices(names: str) -> tuple[sympy.Symbol, ...]:
    """Noncommutative symbols: matrices (capitals) and column vectors."""
    return tuple(sympy.Symbol(name, commutative=False) for name in names.split())


def transposed(x: sympy.Expr, symmetric: Collection[sympy.Symbol] = ()) -> sympy.Expr:
    """The transpose of a sum of words."""
    return sympy.Add(*(c * _word(_flipped(letters, symmetric)) for c, letters in _terms(x)))


def trace(x: sympy.Expr, symmetric: Collection[sympy.Symbol] = ()) -> sympy.Expr:
    """The trace of a sum of words, or the value of a sum of scalars, in commuting symbols."""
    return sympy.Add(*(c * sympy.Mul(*_scalars(letters, symmetric)) for c, letters in _terms(x)))


def inner(x: sympy.Expr, y: sympy.Expr, symmetric: Collection[sympy.Symbol] = ()) -> sympy.Expr:
    """<x, y> = Tr(x^T y)."""
    return trace(transposed(x, symmetric) * y, symmetric)


def _terms(x: sympy.Expr) -> Iterator[tuple[sympy.Expr, list[sympy.Symbol]]]:
    """Coefficient and letters of every word of a sum."""
    for term in sympy.Add.make_args(sympy.expand(x)):
        commuting, others = term.args_cnc()
        letters = [base for factor in others for base, power in [factor.as_base_exp()] for _ in range(int(power))]
        if term != 0:
            yield sympy.Mul(*commuting), letters


def _word(letters: Sequence[sympy.Symbol]) -> sympy.Expr:
    return sympy.Mul(*letters)


def _flipped(letters: Sequence[sympy.Symbol], symmetric: Collection[sympy.Symbol]) -> list[sympy.Symbol]:
    return [_flip(letter, symmetric) for letter in reversed(letters)]


def _flip(letter: sympy.Symbol, symmetric: Collection[sympy.Symbol]) -> sympy.Symbol:
    if letter in symmetric:
        return letter
    name = letter.name.removesuffix(_MARK) if letter.name.endswith(_MARK) else letter.name + _MARK
    return sympy.Symbol(name, commutative=False)


def _scalars(letters: list[sympy.Symbol], symmetric: Collection[sympy.Symbol]) -> Iterator[sympy.Symbol]:
    """The traces that a cyclic word is the product of: it is cut where a column meets a row."""
    rows = [at for at, x in enumerate(letters) if x.name[0].islower() and x.name.endswith(_MARK)]
    if not rows:
        yield _canonical(letters, symmetric)
        return
    rotated = letters[rows[0] :] + letters[: rows[0]]
    cuts = [at - rows[0] for at in rows] + [len(letters)]
    for start, end in pairwise(cuts):
        yield _canonical(rotated[start:end], symmetric)


def _canonical(letters: Sequence[sympy.Symbol], symmetric: Collection[sympy.Symbol]) -> sympy.Symbol:
    """One symbol for all rotations of a word and of its transpose."""
    if not letters:
        return sympy.Symbol("Tr(I)")
    names = [[x.name for x in word] for word in (letters, _flipped(letters, symmetric))]
    least = min(word[at:] + word[:at] for word in names for at in range(len(word)))
    return sympy.Symbol(f"Tr({' '.join(least)})")
