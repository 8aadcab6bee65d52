"""Files that appear whole or not at all: written under a temporary name beside their target, then renamed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path


def write_temporary(target: Path, content: bytes, created: Callable[[Path], None] = lambda _: None) -> Path:
    """Writes a file beside the target, with the permissions an ordinary file would have.

    Args:
        target: what it is to be renamed to.
        content: its content.
        created: told the temporary name as soon as the file exists, so that it can be removed after an interruption.
    """
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
    created(Path(name))
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.chmod(name, 0o666 & ~_umask())  # mkstemp makes files that only their owner may read
    return Path(name)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_atomically(target: Path, content: bytes) -> None:
    """Writes a file that replaces its target at once."""
    names: list[Path] = []
    try:
        os.replace(write_temporary(target, content, names.append), target)
    except BaseException:
        for name in names:
            name.unlink(missing_ok=True)
        raise
