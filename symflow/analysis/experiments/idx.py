"""IDX files, the format MNIST is distributed in: a header of sizes, then the entries as bytes.

Two zero bytes, a type code (8: unsigned bytes), the number of dimensions, then each dimension as a big-endian 32-bit
integer, then the entries row-major. A file compressed with gzip is recognized by its first bytes.
"""

from __future__ import annotations

import gzip
import zlib
from io import BufferedReader
from math import prod
from pathlib import Path

import numpy as np

from symflow.errors import ProblemError, brief

UNSIGNED_BYTES = 8
GZIP = b"\x1f\x8b"
MAX_ENTRIES = 1_000_000_000


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """The array of unsigned bytes in an IDX file.

    Args:
        path: the file, plain or compressed with gzip.
        dimensions: how many dimensions it must have: 3 for images, 1 for labels.

    Raises:
        ProblemError: no such file, or not an IDX file of that kind; one line that names it.
    """
    try:
        with open(path, "rb") as plain:
            packed = plain.read(2) == GZIP
        with gzip.open(path, "rb") if packed else open(path, "rb") as file:
            return _read(file, path, dimensions)
    except (OSError, EOFError, zlib.error) as failed:
        reason = getattr(failed, "strerror", None) or str(failed)
        raise ProblemError(f"{path}: must be a readable IDX file (plain or .gz), got an error: {reason}") from None


def _read(file: BufferedReader | gzip.GzipFile, path: Path, dimensions: int) -> np.ndarray:
    head = file.read(4)
    if len(head) < 4 or head[:2] != b"\0\0":
        raise ProblemError(f"{path}: must be an IDX file, which starts with two zero bytes, got {brief(head)}")
    if head[2] != UNSIGNED_BYTES:
        raise ProblemError(f"{path}: must hold unsigned bytes (IDX type 8), got type {head[2]}")
    if head[3] != dimensions:
        kind = "images" if dimensions == 3 else "labels"
        raise ProblemError(f"{path}: must have {dimensions} dimensions, as {kind} have, got {head[3]}")
    header = file.read(4 * dimensions)
    if len(header) < 4 * dimensions:
        raise ProblemError(f"{path}: ends within its header; copy or unpack it again")
    shape = tuple(int(n) for n in np.frombuffer(header, ">u4"))
    count = prod(shape)
    if not 0 < count <= MAX_ENTRIES:
        raise ProblemError(f"{path}: must have from 1 to {MAX_ENTRIES} entries, got {'x'.join(map(str, shape))}")
    content = file.read(count + 1)
    if len(content) != count:
        got = "more" if len(content) > count else str(len(content))
        raise ProblemError(f"{path}: must have {count} bytes after its header, as that says, got {got}")
    return np.frombuffer(content, np.uint8).reshape(shape)
