"""Files that appear whole or not at all: written under a temporary name next to their target, then renamed."""

from __future__ import annotations

import errno
import io
import os
import stat
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symflow.errors import ProblemError, shorten

if TYPE_CHECKING:
    import numpy as np

LONGEST_PREFIX = 200
"""Most bytes of a target's name in its temporary name: with what is added, no longer than names may be."""


def temporary_prefix(target: Path) -> str:
    """How the temporary names of a file begin."""
    return f".{os.fsencode(target.name)[:LONGEST_PREFIX].decode(errors='ignore')}."


def shown(path: Path) -> str:
    """A path as error messages show it: one printable line of at most 200 characters."""
    return shorten(str(path) if str(path).isprintable() else repr(str(path)), 200)


def check_there(path: Path, source: str) -> None:
    """Refuses a path at which there is nothing.

    Raises:
        ProblemError: there is no such file.
        OSError: the system does not say.
    """
    if not path.exists():
        raise ProblemError(f"{source}: there is no such file; check the path")


def check_writable(target: Path) -> None:
    """Finds out, before anything is computed, whether a file can be written; leaves nothing behind.

    Raises:
        OSError: it cannot: no such directory, no permission, a directory in its place, a name too long, a full disk.
        ValueError: A null character in its name.
    """
    with suppress(FileNotFoundError):
        if stat.S_ISDIR(os.stat(target).st_mode):
            raise IsADirectoryError(errno.EISDIR, "it is a directory", os.fspath(target))
    if _special(target):
        if not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fspath(target))
        return
    with tempfile.TemporaryFile(dir=target.resolve().parent):
        pass


def _special(target: Path) -> bool:
    """Whether it is a device or a pipe: written into, and never replaced."""
    return target.exists() and not target.is_file()


def write_temporary(target: Path, content: bytes, created: Callable[[Path], None] = lambda _: None) -> Path:
    """Writes a file next to the target, with the permissions an ordinary file would have.

    Args:
        target: what it is to be renamed to.
        content: its content.
        created: told the temporary name as soon as the file exists, so that it can be removed after an interruption.
    """
    handle, name = tempfile.mkstemp(prefix=temporary_prefix(target), suffix=".tmp", dir=target.parent)
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
    """Writes a file that replaces its target at once (what a link points to, where it is one)."""
    if _special(target):
        with target.open("wb") as file:
            file.write(content)
        return
    target = target.resolve()
    names: list[Path] = []
    try:
        os.replace(write_temporary(target, content, names.append), target)
    except BaseException:
        for name in names:
            name.unlink(missing_ok=True)
        raise


def write_files(folder: Path, contents: Mapping[str, bytes]) -> list[Path]:
    """Writes a set of files so that none of them is ever half-written.

    All go to temporary files in the same folder first and are renamed when every one is complete. An interruption
    before that leaves the folder as it was; one during the renames is answered when all are done.

    Args:
        folder: made if it does not exist.
        contents: file name -> content.

    Raises:
        OSError: the folder cannot be made or written to; nothing is left behind.
    """
    made = _missing_folders(folder)
    waiting: dict[Path, Path] = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            _write_waiting(folder / name, content, waiting)
        _rename_all(waiting)
    except BaseException:
        for temporary in waiting.values():
            temporary.unlink(missing_ok=True)
        for empty in made:
            with suppress(OSError):
                empty.rmdir()
        raise
    return [folder / name for name in contents]


def _missing_folders(folder: Path) -> list[Path]:
    """The folders that making this one would make, deepest first."""
    return [f for f in (folder, *folder.parents) if not f.exists()]


def _write_waiting(target: Path, content: bytes, waiting: dict[Path, Path]) -> None:
    if target.is_dir():
        raise IsADirectoryError(f"{target} is a directory where a file is to be written")

    def remember(name: Path) -> None:
        waiting[target] = name

    write_temporary(target, content, remember)


def _rename_all(waiting: dict[Path, Path]) -> None:
    interrupted: KeyboardInterrupt | None = None
    for target, temporary in waiting.items():
        while temporary.exists():
            try:
                os.replace(temporary, target)
            except KeyboardInterrupt as error:  # answered below, when the set is complete
                interrupted = error
    if interrupted is not None:
        raise interrupted


def write_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Replaces a file at once; makes its folder."""
    import numpy as np

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
    import zipfile

    import numpy as np

    try:
        with open(path, "rb") as content:
            if not zipfile.is_zipfile(content):
                raise ValueError("another kind of file; write one with numpy.savez")
            content.seek(0)
            with np.load(content, allow_pickle=False) as file:
                return {name: file[name] for name in file.files}
    except (EOFError, KeyError, AttributeError, TypeError, zipfile.BadZipFile) as damaged:
        raise ValueError(" ".join(str(damaged).split()) or type(damaged).__name__) from None
