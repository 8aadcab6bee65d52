"""The versions that a result is stored with."""

from __future__ import annotations

__version__ = "0.2.0"
LIBRARIES = ("sympy", "mpmath", "numpy", "jax", "jaxlib", "gmpy2")


def versions(libraries: tuple[str, ...] = LIBRARIES) -> dict[str, str]:
    """The versions of symflow, Python and the libraries that compute."""
    import platform
    from contextlib import suppress
    from importlib.metadata import PackageNotFoundError, version

    found = {"symflow": __version__, "python": platform.python_version()}
    for name in libraries:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def versions_text() -> str:
    """The same in one line."""
    return ", ".join(f"{name} {version}" for name, version in versions().items())
