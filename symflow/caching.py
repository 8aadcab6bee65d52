"""What is computed from a record is kept by the record, and freed with it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
Owner = TypeVar("Owner", bound="Keeper")


class Keeper:
    """A base of frozen records that hold what functions marked `kept` computed from them.

    What is kept is not part of the record: it is neither compared, nor copied, nor pickled.
    """

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_kept"}


def kept(function: Callable[Concatenate[Owner, P], R]) -> Callable[Concatenate[Owner, P], R]:
    """The function, each of whose results is kept by its first argument.

    Args:
        function: of a `Keeper` and further arguments, which must be hashable; it raises nothing that should be kept.
    """

    @wraps(function)
    def look(owner: Owner, /, *args: P.args, **kwargs: P.kwargs) -> R:
        known: dict[Any, R] = owner.__dict__.setdefault("_kept", {})
        key = (function, args, tuple(sorted(kwargs.items())))
        if key not in known:
            known[key] = function(owner, *args, **kwargs)
        return known[key]

    return look
