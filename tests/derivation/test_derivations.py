"""Every derivation holds step by step, and each of its negative controls is refuted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from symflow.derivation import Verified

NAMES = sorted(p.stem for p in (Path(__file__).parent.parent.parent / "derivations").glob("[rc][0-9]*.py"))


@pytest.mark.parametrize("name", NAMES)
def test_derivation(name: str, verified: Callable[[str], Verified]) -> None:
    found = verified(name)
    assert found.derivation.result == f"{name[0].upper()}{int(name[1:3])}"
    assert all(o.passed for outcomes in found.outcomes for o in outcomes)
    assert found.refutations
    assert not any(o.passed for o in found.refutations)
