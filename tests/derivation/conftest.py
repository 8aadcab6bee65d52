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
if str(ROOT) not in sys.path:  # derivations/ is no part of the installed package
    sys.path.insert(0, str(ROOT))


@cache
def load(name: str) -> Derivation:
    """The record that a file of derivations/ defines."""
    derivation = import_module(f"derivations.{name}").DERIVATION
    assert isinstance(derivation, Derivation)
    return derivation


@cache
def verify_once(name: str) -> Verified:
    return verify(load(name))


@pytest.fixture(scope="session")
def verified() -> Callable[[str], Verified]:
    return verify_once
