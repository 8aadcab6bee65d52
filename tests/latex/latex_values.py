"""What a reader of LaTeX computes with: arrays whose sizes it finds out, and the words that notes are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


class Entries:
    """An array whose axes are index letters."""

    def __init__(self, array: np.ndarray, letters: str) -> None:
        self.array, self.letters = array, letters


class UnknownSize(Exception):
    """An intermediate result whose size its line does not tell (a sum of ones and the like)."""


class Ones:
    """The column of ones, or its transpose; its length follows from its neighbour (or from the result)."""

    def __init__(self, row: bool = False, factor: float = 1.0) -> None:
        self.row, self.factor = row, factor

    @property
    def T(self) -> Ones:
        return Ones(not self.row, self.factor)

    def left(self, other: Any, target: tuple[int, ...]) -> Any:
        if np.ndim(other) == 0:
            return Ones(self.row, self.factor * other)
        assert self.row
        return self.factor * other.sum(axis=0, keepdims=True)

    def right(self, other: Any, target: tuple[int, ...]) -> Any:
        if np.ndim(other) == 0:
            return Ones(self.row, self.factor * other)
        if self.row and not target:
            if other.shape[1:] == (1,):
                return Repeated(self.factor * other)
            raise UnknownSize
        return other @ np.ones((1, target[1])) if self.row else other.sum(axis=1, keepdims=True)


class Repeated:
    """A row, a column or a number, repeated as often as the other term or factor has rows, columns or both."""

    def __init__(self, row: np.ndarray | float) -> None:
        self.row = row


KNOWN_NOTES = (
    r"X, Y, Z_{j}, A_{j}\colon \text{rows are channels, columns are pixels of samples}",
    r"W_{j}\colon \text{rows are outputs, columns are inputs (channel, then place)}",
    r"\operatorname{vec}\colon \text{each sample becomes one column}",
    r"\mathcal{L}^{*}\colon \text{adjoint of a linear map } \mathcal{L}",
    r"\operatorname{lse}(Z)_{s} := \log \textstyle\sum_{c} e^{Z_{cs}}",
    r"\operatorname{softmax}(Z)_{cs} := e^{Z_{cs}} / \textstyle\sum_{c'} e^{Z_{c's}}",
    r"\varsigma(z) := 1/(1 + e^{-z})",
    r"\varsigma(z) := 1/(1 + e^{-z}) \text{ entry by entry}",
)
SELECTION = (
    r"\\mathcal\{S\}_\{(\d+)\}\[A\]\(B\)\\colon \\text\{entries of \} B \\text\{ where \} "
    r"\\operatorname\{max\}_\{\1\}\(A\) \\text\{ is attained \(one of them at a tie\)\}"
)
GATE = r"\\sigma'\(z\) := (.*) \\text\{ for \} z \\ge 0, \\quad (.*) \\text\{ for \} z < 0"
ENTRYWISE = r"(\\(log|exp|sin|cos)|e\^\{\\cdot\}|, )+\\colon \\text\{entry by entry\}"
WINDOWS = (
    r"(?:\\mathcal\{P\}|\\operatorname\{(?:avg|max)\})_\{(\d+)\}\\colon "
    r"\\text\{(?:patches, kernel|means over windows of size|largest entries of windows of size) \} ([\d\\times ]+), "
    r"\\text\{ stride \} ([\d\\times ]+)(?:, \\text\{ padding \} ([\d\\times ]+))?"
)


class Windows:
    """The windows of a convolution or a pool, as positions in the image (-1 is padding)."""

    def __init__(self, extents: Sequence[int], size: list[int], stride: list[int], padding: list[int], samples: int):
        pixels = np.arange(np.prod(extents)).reshape(extents)
        padded = np.pad(pixels, [(p, p) for p in padding], constant_values=-1)
        views = np.lib.stride_tricks.sliding_window_view(padded, size)[tuple(slice(None, None, s) for s in stride)]
        self.pixels, self.size, self.samples = int(np.prod(extents)), int(np.prod(size)), samples
        self.index = views.reshape(-1, self.size).T  # place in the window, window

    def cut(self, a: np.ndarray) -> np.ndarray:
        """Channel, place in the window, window, sample."""
        image = a.reshape(a.shape[0], self.pixels, self.samples)
        padded = np.concatenate([image, np.zeros_like(image[:, :1])], axis=1)
        return padded[:, self.index]

    def glue(self, cut: np.ndarray) -> np.ndarray:
        """The adjoint of `cut`."""
        padded = np.zeros((cut.shape[0], self.pixels + 1, self.samples))
        np.add.at(padded, (slice(None), self.index), cut)
        return padded[:, :-1].reshape(cut.shape[0], -1)

    def patches(self, a: np.ndarray) -> np.ndarray:
        cut = self.cut(a)
        return cut.reshape(cut.shape[0] * self.size, -1)

    def patches_adjoint(self, b: np.ndarray) -> np.ndarray:
        return self.glue(b.reshape(-1, self.size, self.index.shape[1], self.samples))

    def spread(self, b: np.ndarray) -> np.ndarray:
        """One value a window, put at each place of it."""
        whole = b.reshape(b.shape[0], 1, self.index.shape[1], self.samples)
        return np.repeat(whole, self.size, axis=1)

    def mean(self, a: np.ndarray) -> np.ndarray:
        return self.cut(a).mean(axis=1).reshape(a.shape[0], -1)

    def mean_adjoint(self, b: np.ndarray) -> np.ndarray:
        return self.glue(self.spread(b)) / self.size

    def largest(self, a: np.ndarray) -> np.ndarray:
        return self.cut(a).max(axis=1).reshape(a.shape[0], -1)

    def chosen(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        places = self.cut(a).argmax(axis=1, keepdims=True)
        return np.take_along_axis(self.cut(b), places, axis=1).reshape(b.shape[0], -1)

    def chosen_adjoint(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        places = self.cut(a).argmax(axis=1, keepdims=True)
        mask = np.arange(self.size)[None, :, None, None] == places
        return self.glue(mask * self.spread(b))
