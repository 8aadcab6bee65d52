"""Assumptions that rates refute: the trial with all digits, which knows nothing of them, rejects each of these."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

import symflow as sf
from symflow.paths.taylor.kinks import settle as module
from symflow.paths.taylor.kinks.first_order import FirstOrder
from symflow.paths.taylor.kinks.region import Corner, Region, Undecided
from symflow.paths.taylor.kinks.try_sides import try_sides
from tests.paths.test_random_kinks import problem

Flows = list[list[Region]] | Undecided


def judged(monkeypatch: pytest.MonkeyPatch, p: sf.Problem) -> tuple[list[tuple[int, int]], Sequence[sf.Event]]:
    """The events of a flow, and of each corner how many assumptions there are and how many are left."""
    found: list[tuple[int, int]] = []
    known = module._consistent_flows

    def checked(corner: Corner, rates: FirstOrder | None) -> Flows:
        assert rates is not None
        for sides in rates.refuted:
            assert try_sides(corner, sides) is None
        count = len(corner.ties)
        found.append((3**count, 3**count - len(rates.refuted)))
        return known(corner, rates)

    with monkeypatch.context() as patched:
        patched.setattr(module, "LEAST_TRIED", 0)
        patched.setattr(module, "_consistent_flows", checked)
        return found, sf.solve_flow(p, dps=30, error=None).events


@pytest.mark.parametrize("seed", [16, 21])
def test_what_is_refuted_is_rejected_with_all_digits(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """And the flow is that without rates, to the last digit."""
    found, events = judged(monkeypatch, problem(seed))
    assert any(left == 1 for _, left in found)
    monkeypatch.setattr(module, "first_order", None)
    monkeypatch.setattr(module, "LEAST_TRIED", float("inf"))
    assert sf.solve_flow(problem(seed), dps=30, error=None).events == events


def test_gates_on_one_surface_are_grouped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proportional inputs reach their kinks together: their normals are parallel, and rates alone do not decide."""
    p = sf.Problem(
        network=sf.FullyConnected((1, 1, 1), activation="relu"),
        data={"x": [["1"], ["2"]], "y": [["-1"], ["-3"]]},
        init={"theta": ["1/2", "1"]},
    )
    said: list[bool] = []
    known = module.first_order

    def recorded(*given: object) -> FirstOrder:
        found = known(*given)  # type: ignore[arg-type]
        said.append(found.independent)
        return found

    monkeypatch.setattr(module, "LEAST_TRIED", 0)
    monkeypatch.setattr(module, "first_order", recorded)
    events = sf.solve_flow(p, horizon=10, dps=30, error=None).events
    assert said == [False]
    assert [(e.sample, e.kind) for e in events][:2] == [(0, events[0].kind), (1, events[0].kind)]
