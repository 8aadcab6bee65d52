"""Mini-batches: over which samples the gradient of each step of descent is taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from symflow.errors import ProblemError, brief
from symflow.numbers.arguments import whole

Drawn: TypeAlias = Literal["cyclic", "shuffled", "with-replacement"]
Lists: TypeAlias = tuple[tuple[int, ...], ...]
MOST_DRAWN = 200_000_000
"""Most samples that are drawn for one run (four bytes each)."""


@dataclass(frozen=True)
class Batches:
    """Step k takes the mean gradient over the batch B_k of samples in place of that over all N of them.

    "cyclic": samples 0 to size - 1, then the next `size`, and so on; the last batch of an epoch of ceil(N / size) steps
    holds those that are left, and every epoch is the same. "shuffled": the same of a permutation of the samples that is
    drawn anew for every epoch. "with-replacement": `size` samples are drawn for every step, independently, so that some
    may repeat. A list of lists: these samples, counted from 0, in this order and again from the first.

    Drawing is NumPy's `Generator(PCG64(seed))`: `permutation(N)` once an epoch, or `integers(0, N, size)` once a step.
    It knows nothing of the arithmetic: the same seed gives the same batches in float64 and at any number of digits, and
    longer runs begin as shorter ones.

    Attributes:
        size: samples of a batch, from 1 to N; may be left out where the batches are listed.
        order: "cyclic", "shuffled", "with-replacement", or a list of lists of samples.
        seed: of the drawing, a whole number of at least 0.

    Raises:
        ProblemError: another size, order or seed.

    Example:
        >>> import symflow as sf
        >>> sf.Batches(2).lists(samples=5, steps=4)
        ((0, 1), (2, 3), (4,), (0, 1))
        >>> sf.Batches(2, order="shuffled", seed=1).lists(samples=4, steps=4)
        ((0, 1), (2, 3), (3, 0), (2, 1))
        >>> sf.Batches(order=[[0, 1, 2], [2]]).lists(samples=3, steps=3)
        ((0, 1, 2), (2,), (0, 1, 2))
    """

    size: int | None = None
    order: Drawn | Lists | Sequence[Sequence[int]] = "cyclic"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.size is not None:
            object.__setattr__(self, "size", whole(self.size, "batches: size", 1))
        object.__setattr__(self, "seed", whole(self.seed, "batches: seed", 0))
        if isinstance(self.order, str):
            if self.order not in get_args(Drawn):
                listed = ", ".join(f'"{name}"' for name in get_args(Drawn))
                raise ProblemError(
                    f"batches: order must be one of {listed}, or a list of lists of samples, got {brief(self.order)}"
                )
            if self.size is None:
                raise ProblemError("batches: size is missing; give how many samples a batch has")
            return
        found = _lists(self.order)
        object.__setattr__(self, "order", found)
        largest = max(map(len, found))
        if self.size not in (None, largest):
            raise ProblemError(f"batches: size must be that of the largest listed batch, {largest}, got {self.size}")
        object.__setattr__(self, "size", largest)

    @property
    def width(self) -> int:
        """The samples of the largest batch."""
        assert self.size is not None
        return self.size

    @property
    def listed(self) -> Lists | None:
        """The batches that were given as lists; None where they are cut or drawn."""
        return self.order if isinstance(self.order, tuple) else None

    @property
    def repeats(self) -> bool:
        """Whether every epoch has the same batches in the same order."""
        return self.listed is not None or self.order == "cyclic"

    def check(self, samples: int) -> None:
        """Refuses batches that N samples do not have.

        Raises:
            ProblemError: a batch larger than N, or a listed sample that does not exist.
        """
        if self.listed is None and self.width > samples:
            raise ProblemError(f"batches: size must be at most the number of samples, {samples}, got {self.width}")
        beyond = [i for batch in self.listed or () for i in batch if i >= samples]
        if beyond:
            raise ProblemError(f"batches: samples must be from 0 to {samples - 1}, got {beyond[0]}")

    def epoch(self, samples: int) -> int:
        """The steps of an epoch: how many batches are listed, else ceil(N / size)."""
        return -(-samples // self.width) if self.listed is None else len(self.listed)

    def even(self, samples: int) -> bool:
        """Whether all batches have as many samples."""
        if self.listed is not None:
            return len(set(map(len, self.listed))) == 1
        return self.order == "with-replacement" or samples % self.width == 0

    def table(self, samples: int, steps: int) -> np.ndarray:
        """The batches as rows of samples, padded with -1: step k takes row k, modulo the number of rows.

        Args:
            samples: N.
            steps: of the run; where epochs repeat, there is a row for each step of one epoch.

        Raises:
            ProblemError: batches that N samples do not have, or more than can be held.
        """
        self.check(samples)
        rows = self.epoch(samples) if self.repeats else steps
        if rows * self.width > MOST_DRAWN:
            raise ProblemError(
                f"batches: at most {MOST_DRAWN} samples can be drawn for a run, got {rows} batches of {self.width}; "
                "make fewer steps or smaller batches"
            )
        if self.listed is not None:
            return np.array([[*batch, *[-1] * (self.width - len(batch))] for batch in self.listed], dtype=np.int32)
        if self.order == "cyclic":
            return self._cut(np.arange(samples))
        draw = np.random.Generator(np.random.PCG64(self.seed))
        if self.order == "with-replacement":
            return draw.integers(0, samples, (steps, self.width)).astype(np.int32)
        epochs = -(-steps // self.epoch(samples))
        return np.concatenate([self._cut(draw.permutation(samples)) for _ in range(max(1, epochs))])[: max(1, steps)]

    def _cut(self, samples: np.ndarray) -> np.ndarray:
        """Samples in rows, the last one padded."""
        rows = np.full(self.epoch(len(samples)) * self.width, -1, dtype=np.int32)
        rows[: len(samples)] = samples
        return rows.reshape(-1, self.width)

    def lists(self, samples: int, steps: int) -> Lists:
        """The batches of the first steps, for N samples.

        Raises:
            ProblemError: see `table`.
        """
        rows = batches_of(self.table(samples, steps))
        return tuple(rows[k % len(rows)] for k in range(steps))


def batches_of(table: np.ndarray) -> Lists:
    """The rows of a table of batches, without what pads them."""
    return tuple(tuple(i for i in row if i >= 0) for row in table.tolist())


def _lists(order: Any) -> Lists:
    """Listed batches.

    Raises:
        ProblemError: something else than lists of samples.
    """
    try:
        found = tuple(tuple(batch) for batch in order)
    except TypeError:
        found = ()
    if not found or not all(found):
        raise ProblemError(
            f"batches: order must be a name or a list of lists of at least one sample, got {brief(order)}"
        )
    return tuple(tuple(whole(i, f"batches: order[{k}]", 0) for i in batch) for k, batch in enumerate(found))
