"""A program that the kernel repeats: its numbers in memory, and the calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np
from gmpy2 import mpz

from symflow.errors import ComputationError
from symflow.evaluate.fixed_point import FixedArrays
from symflow.evaluate.native.compiled import CompiledLoops
from symflow.evaluate.native.expansion import divisor_words
from symflow.evaluate.native.layout import ENVIRONMENT, FIELD
from symflow.evaluate.native.loops.layout import SLACK_BITS
from symflow.evaluate.native.loops.writer import Call, Written
from symflow.evaluate.native.pages import aligned
from symflow.evaluate.native.words import floats_from_words, from_words, to_words
from symflow.numbers.fixed_point import from_fraction

RESERVE = 24
"""Least bits before the point."""
ROWS, RECORDED = 256, 1 << 20
"""Most states, and words of states, that are recorded at a time."""
LEAST_SCALE, LARGEST_UNIT = -900, 896
"""Exponents: sizes are enlarged by less, and what is compared with radii is not larger."""
Failure = Literal["large", "undecided"]


def words_of(bits: int, more: int) -> int:
    """The words of numbers with `bits` bits after the point and at least 24 and `more` times 64 before it."""
    return max(2, (bits + RESERVE) // 64 + 1 + more)


@dataclass(frozen=True, eq=False)
class States:
    """States after steps that follow each other.

    Attributes:
        words: shape (steps, entries, words).
        radii: shape (steps, entries), in units of the last place; all 0 without balls.
        bits: after the point.
        failure: why there are no more; None where as many as were asked for are there.
    """

    words: np.ndarray
    radii: np.ndarray
    bits: int
    failure: Failure | None

    def __len__(self) -> int:
        return len(self.words)

    def integers(self, steps: Sequence[int]) -> list[list[mpz]]:
        """The numbers of some steps."""
        chosen = self.words[list(steps)]
        flat, entries = from_words(chosen), chosen.shape[1]
        return [flat[i * entries : (i + 1) * entries] for i in range(len(chosen))]

    def floats(self) -> np.ndarray:
        """All of them in float64, to a relative 2^-50."""
        return floats_from_words(self.words, self.bits)


class NativeLoop:
    """A program with its numbers.

    Args:
        kernel: the compiled functions.
        written: the program.
        bits: after the point.
        limbs: words of a number.
        balls: whether numbers have radii; not for programs with calls.

    Raises:
        OverflowError: a constant is too long.
    """

    def __init__(self, kernel: CompiledLoops, written: Written, bits: int, limbs: int, *, balls: bool) -> None:
        self.kernel, self.written, self.bits, self.limbs, self.balls = kernel, written, bits, limbs, balls
        state, places = written.state, written.places
        self.rows = max(1, min(ROWS, RECORDED // max(1, state * limbs)))
        room = 2 * limbs + 8
        scales = [64 * i - bits for i in range(limbs)]
        arrays: dict[str, np.ndarray | int] = {
            "operations": written.words,
            "divisors": np.array([divisor_words(d) for d in written.divisors], dtype=np.uint64).reshape(-1),
            "values": places * limbs,
            "radii": np.zeros(places),
            "sizes": np.zeros(places),
            "scales": np.ldexp(1.0, np.clip(scales, LEAST_SCALE, -LEAST_SCALE)),
            "units": np.ldexp(1.0, np.minimum(64 * np.arange(limbs), LARGEST_UNIT)),
            "history": self.rows * state * limbs,
            "history_radii": np.zeros(self.rows * state),
            "sums": room,
            "number": room,
            "shifted": room,
            "bad": 2,
        }
        numbers = {"limbs": limbs, "top": 62, "bits": bits, "balls": int(balls), "state": state}
        self.arrays = {name: aligned(array) for name, array in arrays.items()}
        self.environment = np.zeros(len(ENVIRONMENT), dtype=np.int64)
        for name, number in numbers.items():
            self.environment[FIELD[name]] = number
        for name, array in self.arrays.items():
            self.environment[FIELD[name]] = array.ctypes.data
        self.values = self.arrays["values"].reshape(places, limbs)
        constants = [from_fraction(q, bits) for q in written.constants]
        radii = [float(not exact(q, bits)) for q in written.constants]
        self.write(list(written.constants.values()), constants, radii)
        if written.once and not self._repeat(0, written.once):
            raise OverflowError

    def write(self, places: Sequence[int] | np.ndarray, values: Sequence[mpz], radii: Sequence[float]) -> None:
        """Some numbers with their radii.

        Raises:
            OverflowError: one is too large.
        """
        if any(v.bit_length() > 64 * self.limbs - 2 for v in values) or max(radii, default=0) >= 2.0**-LEAST_SCALE:
            raise OverflowError
        if not len(values):
            return
        words, r = to_words(values, self.limbs), np.array(radii)
        self.values[places] = words
        if self.balls:
            size = np.abs(floats_from_words(words, self.bits)) + (r + 1) * 2.0 ** max(-self.bits, LEAST_SCALE)
            self.arrays["radii"][places] = r
            self.arrays["sizes"][places] = np.where(words.any(axis=1) | (r > 0), size * (1 + 2.0**-SLACK_BITS), 0.0)

    def start(self, values: Sequence[mpz], radii: Sequence[float]) -> None:
        """Another state."""
        self.write(np.arange(self.written.state), values, radii)

    def advance(self, count: int) -> States:
        """The next states: at most `count`, and at most `rows`."""
        count, done = min(count, self.rows), 0
        plain = self.written.segments
        if len(plain) == 1 and isinstance(plain[0], tuple):
            done = self.kernel.repeat(self.environment.ctypes.data, *plain[0], count, 0)
        else:
            while done < count and self._step(done):
                done += 1
        state = self.written.state
        words = self.arrays["history"].reshape(-1, state, self.limbs)[:done].copy()
        radii = self.arrays["history_radii"].reshape(-1, state)[:done].copy()
        return States(words, radii, self.bits, None if done == count else self._failure())

    def _failure(self) -> Failure:
        large, _ = self.arrays["bad"]
        return "large" if large else "undecided"

    def _repeat(self, start: int, stop: int, row: int = -1) -> bool:
        """Whether some operations went well, once."""
        return bool(self.kernel.repeat(self.environment.ctypes.data, start, stop, 1, row))

    def _step(self, row: int) -> bool:
        """Whether one step went well, segment by segment."""
        last = self.written.segments[-1]
        for segment in self.written.segments:
            if isinstance(segment, Call):
                try:
                    self._call(segment)
                except (OverflowError, ComputationError):
                    self.arrays["bad"][:] = 1, 0
                    return False
            elif not self._repeat(*segment, row if segment is last else -1):
                return False
        return True

    def _call(self, call: Call) -> None:
        """Writes values of functions.

        Raises:
            OverflowError: one is too large.
        """
        flat, width = from_words(self.values[call.rows.reshape(-1)]), call.rows.shape[1]
        arithmetic, rows = FixedArrays(self.bits), np.empty((len(flat) // width, width), dtype=object)
        rows[:] = np.array([*flat, None], dtype=object)[:-1].reshape(rows.shape)
        if call.name:
            results = arithmetic.function(call.name, rows[:, 0], call.exponent)
        else:
            results = arithmetic.log_sum_exp(rows, 1)
        self.write(call.out, results.tolist(), [0.0] * len(results))


def exact(q: Fraction, bits: int) -> bool:
    """Whether a rational is a fixed-point number."""
    return (q.numerator << bits) % q.denominator == 0
