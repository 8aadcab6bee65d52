"""Checkpoints of runs: one file each, named after what is run, replaced at once, so that a kill loses one chunk.

The name ends with a hash of everything that the numbers depend on, versions and device included: another
configuration has another file, and never continues from this one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from symflow.files import read_arrays, temporary_prefix, write_arrays

if TYPE_CHECKING:
    import numpy.typing as npt


Say = Callable[[str], None]


def content_key(configuration: Mapping[str, object]) -> str:
    """A hash of a configuration, the same on every platform."""
    return sha256(json.dumps(configuration, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Checkpoint:
    """Where a run keeps its state.

    Attributes:
        folder: None keeps nothing.
        label: what is run, the start of the file's name.
        key: the hash of its configuration.
        say: told what a person should know, one line.
    """

    folder: Path | None
    label: str
    key: str
    say: Say

    @property
    def path(self) -> Path | None:
        """The file."""
        return None if self.folder is None else self.folder / f"{self.label}-{self.key[:16]}.npz"

    def write(self, arrays: Mapping[str, npt.ArrayLike]) -> None:
        """Replaces the file."""
        if self.path is not None:
            write_arrays(self.path, {"key": np.array(self.key), **arrays})

    def read(self) -> dict[str, np.ndarray] | None:
        """What was written last; None where there is nothing, or nothing that can be used, which is said.

        Removes what a kill in the middle of a write has left behind: one process at a time works in a folder.
        """
        if self.path is None or not self.path.parent.is_dir():
            return None
        for left in self.path.parent.glob(f"{temporary_prefix(self.path)}*.tmp"):
            left.unlink(missing_ok=True)
        if not self.path.exists():
            return None
        try:
            arrays = read_arrays(self.path)
            if str(arrays.pop("key", "")) != self.key:
                raise ValueError("it belongs to another configuration")
        except (OSError, ValueError) as damaged:
            self.say(f"checkpoint {self.path} cannot be used ({damaged}); {self.label} starts again")
            return None
        return arrays
