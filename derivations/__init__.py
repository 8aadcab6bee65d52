"""Derivations: one runnable file per result, each with its statement, its checks and a negative control."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from symflow.derivation import Derivation


def derivations() -> dict[str, Derivation]:
    """All derivations by the name of their module, in the order of the results."""
    names = sorted(m.name for m in iter_modules(__path__) if m.name[:1] == "r" and m.name[1:3].isdigit())
    return {name: import_module(f"{__name__}.{name}").DERIVATION for name in names}
