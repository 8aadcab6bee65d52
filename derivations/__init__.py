"""Derivations: one runnable file per result (R) or closed form (C), each with its checks and a negative control."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from symflow.proofs import Derivation


def derivations() -> dict[str, Derivation]:
    """All derivations by the name of their module: the results in their order, then the closed forms."""
    known = [m.name for m in iter_modules(__path__) if m.name[:1] in ("r", "c") and m.name[1:3].isdigit()]
    names = sorted(known, key=lambda name: (name[0] != "r", name))
    return {name: import_module(f"{__name__}.{name}").DERIVATION for name in names}
