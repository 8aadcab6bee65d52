"""Bounds on tubes, rounded outwards, are no looser than those that an allowance gave, and none applies less far.

The old ones stand in `tests/studies/tube_bounds.json`: how many values each had, and the last one; the table of a whole
run is `tube_bounds.md`.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_bounds_study import CERTIFIED, problem

import symflow as sf

BEFORE = json.loads((Path(__file__).parent.parent / "studies" / "tube_bounds.json").read_text(encoding="utf-8"))
AT_REST = 1e-20
"""Smaller bounds are those of problems that do not move: rounding alone makes them."""


@pytest.mark.parametrize("seed", [3, 41, *(pytest.param(s, marks=pytest.mark.thorough) for s in range(200))])
def test_no_bound_is_looser_or_applies_less_far(seed: int) -> None:
    before = BEFORE[str(seed)]
    if before == "stopped":
        pytest.skip("the flow stops")
    _, p = problem(seed)
    flow = sf.solve_flow(p, dps=20, error="estimated")
    dev = sf.deviation(p, dps=20, flow=flow, bounds=sf.known_bounds(*CERTIFIED))
    for name, (count, last) in before.items():
        values = [v for v in dev.bounds[name].values if v is not None]
        assert len(values) >= count, name
        if last is not None and last > AT_REST and len(values) == count:
            assert values[-1] <= 1.01 * last, name
