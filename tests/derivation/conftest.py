"""Every derivation is verified once in a test run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

from symflow.derivation import Derivation, Verified, verify

ROOT = Path(__file__).parent.parent.parent


@cache
def load(name: str) -> Derivation:
    """The record that a file of derivations/ defines."""
    sys.path.insert(0, str(ROOT))
    try:
        derivation = import_module(f"derivations.{name}").DERIVATION
    finally:
        sys.path.remove(str(ROOT))
    assert isinstance(derivation, Derivation)
    return derivation


@cache
def verified(name: str) -> Verified:
    return verify(load(name))


@pytest.fixture(name="load", scope="session")
def load_fixture() -> Callable[[str], Derivation]:
    return load


@pytest.fixture(name="verified", scope="session")
def verified_fixture() -> Callable[[str], Verified]:
    return verified
