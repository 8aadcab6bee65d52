"""Big integers as words, and back: many at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import gmpy2
import numpy as np

if TYPE_CHECKING:
    from gmpy2 import mpz

SIGN = np.uint64(1 << 63)


def to_words(values: Sequence[mpz], limbs: int) -> np.ndarray:
    """Integers in two's complement, a row of `limbs` words each; they must fit."""
    half = gmpy2.mpz(1) << (64 * limbs - 1)
    whole = gmpy2.pack([v + half for v in values], 64 * limbs)
    array = np.frombuffer(int(whole).to_bytes(8 * limbs * len(values), "little"), dtype=np.uint64)
    array = array.reshape(len(values), limbs).copy()
    array[:, -1] ^= SIGN
    return array


def from_words(array: np.ndarray) -> list[mpz]:
    """The integers whose words are the rows of an array."""
    limbs = array.shape[-1]
    shifted = array.copy()
    shifted[..., -1] ^= SIGN
    half = gmpy2.mpz(1) << (64 * limbs - 1)
    found = gmpy2.unpack(gmpy2.mpz.from_bytes(shifted.tobytes(), byteorder="little"), 64 * limbs)
    found += [gmpy2.mpz(0)] * (shifted.size // limbs - len(found))
    return [v - half for v in found]
