"""Arrays in one npz file: written whole or not at all, read whole or refused."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from symflow.files import write_atomically


def write_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Replaces a file at once; makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    np.savez(content, **arrays)
    write_atomically(path, content.getvalue())


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of a file; the zip format checks each against its CRC.

    Raises:
        ValueError: the file is damaged or of another kind.
        OSError: it cannot be read.
    """
    try:
        with open(path, "rb") as content, np.load(content, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (EOFError, KeyError, AttributeError, TypeError, zipfile.BadZipFile) as damaged:
        raise ValueError(" ".join(str(damaged).split()) or type(damaged).__name__) from None
