"""Big integers as words, and back: many at once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, overload

import gmpy2
import numpy as np
from gmpy2 import mpz

from symflow.evaluate.products import Coefficients

SIGN = np.uint64(1 << 63)
FEW = 32
"""Numbers up to which they are read one by one."""


def to_words(values: Sequence[mpz], limbs: int) -> np.ndarray:
    """Integers in two's complement, a row of `limbs` words each; they must fit."""
    size = 8 * limbs
    joined = b"".join([v.to_bytes(size, "little", signed=True) for v in values])
    return np.frombuffer(joined, dtype=np.uint64).reshape(len(values), limbs)


def from_words(array: np.ndarray) -> list[mpz]:
    """The integers whose words are the rows of an array."""
    limbs = array.shape[-1]
    count = array.size // limbs
    if count <= FEW:
        size, content, read = 8 * limbs, array.tobytes(), mpz.from_bytes
        return [read(content[i : i + size], "little", signed=True) for i in range(0, len(content), size)]
    shifted = array.copy()
    shifted[..., -1] ^= SIGN
    half = mpz(1) << (64 * limbs - 1)
    found = gmpy2.unpack(mpz.from_bytes(shifted.tobytes(), byteorder="little"), 64 * limbs)
    found += [mpz(0)] * (count - len(found))
    return [v - half for v in found]


def floats_from_words(array: np.ndarray, bits: int) -> np.ndarray:
    """The numbers whose words are the rows of an array, 2^-bits each unit: to a relative 2^-50, and 2^-bits beyond."""
    size, limbs = array.copy(), array.shape[-1]
    negative = array[..., -1] >= SIGN
    size[negative] = ~size[negative]  # -v - 1
    with np.errstate(over="ignore", under="ignore"):
        found = sum(np.ldexp(size[..., i].astype(np.float64), 64 * i - bits) for i in range(limbs))
    return np.where(negative, -found, found)


def sizes_from_words(array: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """|v| 2^-bits for the numbers v whose words are the rows of an array, and their bits: see `Recurrence.sizes`."""
    size, limbs = array.copy(), array.shape[-1]
    carry = array[..., -1] >= SIGN
    size[carry] = ~size[carry]  # |v| - 1
    found, lengths = np.zeros(array.shape[:-1]), np.zeros(array.shape[:-1])
    with np.errstate(over="ignore", under="ignore"):
        for i in range(limbs):
            word = size[..., i] + carry
            carry = carry & (word == 0)
            value = word.astype(np.float64)
            found += np.ldexp(value, 64 * i - bits)
            lengths = np.where(word > 0, 64 * i + np.frexp(value)[1], lengths)
    return found, lengths


def differences(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The words of a - b."""
    found = np.empty_like(a)
    borrow = np.zeros(a.shape[:-1], dtype=np.uint64)
    for i in range(a.shape[-1]):
        rest = a[..., i] - b[..., i]
        found[..., i] = rest - borrow
        borrow = ((a[..., i] < b[..., i]) | (rest < borrow)).astype(np.uint64)
    return found


class KeptSeries(Sequence[Coefficients]):
    """Series that are kept as words until somebody asks for their integers.

    Args:
        words: shape (series, coefficients, limbs).
    """

    def __init__(self, words: np.ndarray) -> None:
        self.words: np.ndarray | None = words
        self.shape = words.shape

    @cached_property
    def _integers(self) -> tuple[Coefficients, ...]:
        assert self.words is not None
        count, terms, _ = self.shape
        flat, self.words = from_words(self.words), None
        return tuple(flat[i * terms : (i + 1) * terms] for i in range(count))

    def __len__(self) -> int:
        return self.shape[0]

    @overload
    def __getitem__(self, index: int) -> Coefficients: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Coefficients]: ...
    def __getitem__(self, index: int | slice) -> Coefficients | Sequence[Coefficients]:
        return self._integers[index]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self._integers == tuple(other)

    def __hash__(self) -> int:
        return id(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return tuple, (self._integers,)


def terms_of(series: Sequence[Coefficients]) -> int:
    """How many coefficients each of the series has."""
    return series.shape[1] if isinstance(series, KeptSeries) else len(series[0])
