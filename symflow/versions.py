"""The versions that a result is stored with."""

from __future__ import annotations

import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

LIBRARIES = ("sympy", "mpmath", "numpy", "jax", "jaxlib", "gmpy2")


def versions() -> dict[str, str]:
    """The versions of symflow, Python and the libraries that compute."""
    import symflow

    found = {"symflow": symflow.__version__, "python": platform.python_version()}
    for name in LIBRARIES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
