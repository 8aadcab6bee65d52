"""The command as it was typed, which reports repeat."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

_typed: ContextVar[tuple[str, ...]] = ContextVar("typed", default=())


@contextmanager
def typing(arguments: Sequence[str]) -> Iterator[None]:
    """In the block these are the arguments."""
    token = _typed.set(tuple(arguments))
    try:
        yield
    finally:
        _typed.reset(token)


def command_line() -> str:
    """What a person types to run the same again; how it was to be printed is left out."""
    return shlex.join(["symflow", *(word for word in _typed.get() if word != "--json")])
