"""How a record is shown: the method stands in its class, the function that does it in a room above.

`record.latex()` calls `show(self, "latex")`. `symflow/__init__` fills the table, so that a class of formulas need not
import a printer, and what prints is loaded only when something is printed.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # not from typing, whose import would take half the time of `import symflow`
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, TypeVar

    Record = TypeVar("Record")
    Entries = tuple[Any, ...]
else:
    Entries = tuple

_DISPLAYS: dict[tuple[str, str], str] = {}


def register(displays: Mapping[tuple[str, str], str]) -> None:
    """Adds displays.

    Args:
        displays: (name of the class, name of the display) -> "module:function". The function takes the record first.
    """
    _DISPLAYS.update(displays)


# The attribute is for notebooks alone, and types know none that a decorator adds.
def displayed(record: type[Record]) -> type[Record]:
    """The class, shown in notebooks by its display "html"."""
    record._repr_html_ = lambda self: str(show(self, "html"))  # type: ignore[attr-defined]
    return record


def as_formula(record: type[Record]) -> type[Record]:
    """The class, shown in notebooks by its `latex()`."""
    record._repr_latex_ = lambda self: f"$\\displaystyle {self.latex()}$"  # type: ignore[attr-defined]
    return record


def show(record: object, display: str, *arguments: Any) -> Any:
    """The display of a record by the function that is registered for its class or the nearest base of it.

    Raises:
        KeyError: none is registered.
    """
    for base in type(record).__mro__:
        if (target := _DISPLAYS.get((base.__name__, display))) is not None:
            module, name = target.split(":")
            return getattr(import_module(module), name)(record, *arguments)
    raise KeyError(f"no display {display!r} of {type(record).__name__}")


class Listed(Entries):
    """A tuple that shows itself: numbers by how many they are and their ends, records one a line or as a table."""

    __slots__ = ()

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        return Listed(found) if isinstance(key, slice) else found

    def __repr__(self) -> str:
        return str(show(self, "text")) if self else "()"

    def _repr_html_(self) -> str | None:
        return str(show(self, "html")) if self else None


def listing(record: object, *names: str) -> None:
    """Makes tuples of a frozen record, while it is made, ones that show themselves."""
    for name in names:
        object.__setattr__(record, name, Listed(getattr(record, name)))
