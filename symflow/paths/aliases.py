"""Names of symflow 0.1.0 that are others now: `estimate_error=` is `error=`, and `error_estimate` is `error.value`."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, Protocol, TypeVar

from symflow.numbers.types import Mpf

P = ParamSpec("P")
R = TypeVar("R")


class _Estimated(Protocol):
    @property
    def error(self) -> _Value | None: ...


class _Value(Protocol):
    @property
    def value(self) -> Mpf: ...


class OldNames:
    """The attributes of a path that had another name."""

    @property
    def error_estimate(self: _Estimated) -> Mpf:
        """`error.value`; None where no error is known."""
        return None if self.error is None else self.error.value


def with_old_names(function: Callable[P, R]) -> Callable[P, R]:
    """The function, which also takes `estimate_error=True` for `error="estimated"` and `False` for `error=None`."""

    @wraps(function)
    def call(*args: P.args, **settings: P.kwargs) -> R:
        if "estimate_error" in settings:
            settings["error"] = "estimated" if settings.pop("estimate_error") else None
        return function(*args, **settings)

    return call
