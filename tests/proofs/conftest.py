"""Every derivation is verified once in a test run, its inequalities on the first of their cases."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

from symflow.proofs import Check, Derivation, Inequality, Verified, verify

ROOT = Path(__file__).parent.parent.parent
if str(ROOT) not in sys.path:  # derivations/ is no part of the installed package
    sys.path.insert(0, str(ROOT))


@cache
def load(name: str) -> Derivation:
    """The record that a file of derivations/ defines."""
    derivation = import_module(f"derivations.{name}").DERIVATION
    assert isinstance(derivation, Derivation)
    return derivation


def first_case(check: Check) -> Check:
    """An inequality attacked on the first of its cases only: most of the time goes into compiling the others."""
    return replace(check, cases=check.cases[:1]) if isinstance(check, Inequality) else check


@cache
def verify_once(name: str) -> Verified:
    found = load(name)
    steps = (replace(step, checks=tuple(map(first_case, step.checks))) for step in found.steps)
    return verify(replace(found, steps=tuple(steps)))


@pytest.fixture(scope="session")
def verified() -> Callable[[str], Verified]:
    return verify_once
