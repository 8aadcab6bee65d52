"""Pre-activations from which nothing else is computed: bounds on how far they move, and their series on demand."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from gmpy2 import mpz
from plain_networks import Case
from test_series_architectures import NETWORKS

from symflow.dynamics.vector_field import gradient_flow_field
from symflow.evaluate import series as module
from symflow.evaluate.blocks.steps import BlockSteps
from symflow.evaluate.fixed_point import FixedSeries
from symflow.evaluate.series import Recurrence, compile_recurrence
from symflow.paths.taylor.kinks.gates import initial_gates

BITS, ORDER, TAU = 150, 9, -4


def recurrence_of(name: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Recurrence, list[mpz]]:
    """Compiled array by array, and a point."""
    monkeypatch.setattr(module, "LEAST_BLOCKS", 0)
    case = Case(NETWORKS[name](2), "square", 2, 11)
    field = gradient_flow_field(case.objective)
    theta = [Fraction(float(v)) for v in case.arrays[2]]
    gates, _ = initial_gates(field, theta)
    return compile_recurrence(field, gates, FixedSeries(BITS)), [FixedSeries(BITS).lift(q) for q in theta]


def deferred(recurrence: Recurrence) -> bool:
    """Whether some of the pre-activations are not known yet."""
    return len(recurrence.followed()) < len(recurrence.watched)


GATED = [name for name in sorted(NETWORKS) if Case(NETWORKS[name](2), "square", 2, 11).objective.gates]


@pytest.mark.parametrize("name", GATED)
def test_bounds_hold_for_the_series(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    recurrence, values = recurrence_of(name, monkeypatch)
    recurrence.expand(values, ORDER, TAU)
    bounds = {s: recurrence.reaches(s) for s in (2.0**-9, 0.5, 1.0)}
    was_deferred = deferred(recurrence)
    live = recurrence.live
    recurrence.read(live)
    exact = [[abs(Fraction(int(c), 1 << BITS)) for c in z] for z in live]
    loose = []
    for s, (first, moved) in bounds.items():
        for z, a, b, own in zip(exact, first, moved, recurrence.reaches(s, live)[1], strict=True):
            reach = sum(c * Fraction(s) ** k for k, c in enumerate(z) if k)
            assert abs(abs(Fraction(a)) - z[0]) <= Fraction(z[0], 2**49) + Fraction(1, 1 << BITS)
            assert reach <= Fraction(own)
            assert b == np.inf or reach <= Fraction(b)
            loose.append(b != np.inf and reach > Fraction(b) / 8)
    assert any(loose) or not was_deferred, "some bound is nearly attained"


def test_some_are_deferred(monkeypatch: pytest.MonkeyPatch) -> None:
    """And known once they are asked for, one by one, with the integers of Python's arithmetic."""
    found = {}
    for name in GATED:
        recurrence, values = recurrence_of(name, monkeypatch)
        recurrence.expand(values, ORDER, TAU)
        found[name] = deferred(recurrence)
        if not found[name]:
            continue
        assert isinstance(recurrence.steps, BlockSteps)
        for z in recurrence.live:
            recurrence.read([z])
        by_kernel = [list(z) for z in recurrence.live]
        assert not deferred(recurrence)
        recurrence._expand(values, ORDER, TAU)
        assert by_kernel == [list(z) for z in recurrence.live]
    assert any(found.values())


def test_numbers_too_large_for_a_deferred_series(monkeypatch: pytest.MonkeyPatch) -> None:
    """The expansion is made again in wider numbers."""
    name = next(n for n in GATED if deferred(_expanded(n, monkeypatch)))
    recurrence = _expanded(name, monkeypatch)
    kernel = recurrence._native
    assert kernel is not None
    assert kernel.memory is not None
    width, compute = kernel.memory.width, kernel.deferred.compute
    answers = iter([False])
    monkeypatch.setattr(kernel.deferred, "compute", lambda *given: next(answers, None) is None and compute(*given))
    recurrence.read(recurrence.live)
    assert kernel.memory.width.bits > width.bits
    wide = [list(z) for z in recurrence.live]
    fresh = _expanded(name, monkeypatch)
    fresh.read(fresh.live)
    assert wide == [list(z) for z in fresh.live]


def _expanded(name: str, monkeypatch: pytest.MonkeyPatch) -> Recurrence:
    recurrence, values = recurrence_of(name, monkeypatch)
    recurrence.expand(values, ORDER, TAU)
    return recurrence
