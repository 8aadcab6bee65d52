"""The images an experiment trains on: scikit-learn's digits, or MNIST from files that the user has."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from symflow.analysis.experiments.idx import read_idx
from symflow.errors import ComputationError, ProblemError

CLASSES = 10
STRIDE = 50
"""Of MNIST the paper's code takes every 50th image."""


@dataclass(frozen=True, eq=False)
class Images:
    """Images and their classes.

    Attributes:
        name: what they are, "digits" or "mnist".
        pixels: (N, H W) float64, row-major; mean 0 and standard deviation 1 over all pixels of all images of the
            source (not only of the N).
        labels: (N,) classes 0, ..., 9.
        extents: H and W.
    """

    name: str
    pixels: np.ndarray
    labels: np.ndarray
    extents: tuple[int, int]

    @property
    def digest(self) -> str:
        """A hash of everything that enters a computation."""
        content = sha256(repr((self.pixels.shape, self.extents)).encode())
        content.update(np.ascontiguousarray(self.pixels, dtype="<f8").tobytes())
        content.update(np.ascontiguousarray(self.labels, dtype="<i8").tobytes())
        return content.hexdigest()


@lru_cache(maxsize=4)
def digits(samples: int) -> Images:
    """The first images of scikit-learn's digits: 8x8 pixels, 1797 of them.

    The same object for the same number, so that what is compiled for it is found again.

    Raises:
        ProblemError: there are not so many.
        ComputationError: scikit-learn is not installed.
    """
    found = find_spec("sklearn")
    if found is None:
        raise ComputationError("the digits come with scikit-learn; pip install symflow[digits]")
    file = Path(found.origin or "").parent / "datasets" / "data" / "digits.csv.gz"
    if file.is_file():  # a row an image, then its class; to import scikit-learn takes a second
        table = np.loadtxt(file, delimiter=",")
        images, classes = table[:, :-1].reshape(-1, 8, 8), table[:, -1]
    else:  # another release may keep it elsewhere
        from sklearn.datasets import load_digits

        images, classes = load_digits(return_X_y=True)
        images = images.reshape(-1, 8, 8)
    return _selected("digits", images, classes, samples, 1)


def mnist(images: Path, labels: Path, samples: int) -> Images:
    """Images and labels from IDX files: every 50th image as in the paper's code, or the first ones of fewer images.

    Args:
        images: such as train-images-idx3-ubyte or train-images-idx3-ubyte.gz.
        labels: such as train-labels-idx1-ubyte.
        samples: how many.

    Raises:
        ProblemError: a file that is missing or malformed, files that do not belong together, too few images.
    """
    found, classes = read_idx(images, 3), read_idx(labels, 1)
    if len(found) != len(classes):
        raise ProblemError(
            f"{labels}: must have one label for each of the {len(found)} images of {images}, got {len(classes)}"
        )
    if classes.max() >= CLASSES:
        raise ProblemError(f"{labels}: must hold classes from 0 to {CLASSES - 1}, got {classes.max()}")
    return _selected("mnist", found, classes, samples, STRIDE)


def _selected(name: str, images: np.ndarray, labels: np.ndarray, samples: int, stride: int) -> Images:
    """The images that are wanted, normalized as the paper's code does."""
    if samples > len(images):
        raise ProblemError(f"samples must be at most the {len(images)} images there are, got {samples}")
    rows = slice(0, samples * stride, stride) if samples * stride <= len(images) else slice(samples)
    mean, deviation = float(images.mean()), float(images.std())
    if deviation == 0:
        raise ProblemError(f"the {name} images must differ, got one and the same value in every pixel")
    pixels = (images[rows].astype(np.float64) - mean) / deviation
    height, width = images.shape[1:]
    found = Images(name, pixels.reshape(samples, -1), labels[rows].astype(np.int64), (height, width))
    for array in (found.pixels, found.labels):
        array.flags.writeable = False
    return found
