"""The error estimates of event-corrected flows on random small problems: the table of tests/studies (thorough)."""

from __future__ import annotations

from collections import Counter
from datetime import date
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from test_random_kinks import problem

import symflow as sf

TABLE = Path(__file__).parent.parent / "studies" / "event_corrected.md"
POINTS = 8
"""Equal parts of the time at whose ends the true error is looked at."""


def outcome(seed: int) -> tuple[str, float, float]:
    """ "done" or the cause of the stop; the estimated error, and the true one from a run at 20 digits."""
    p = problem(seed)
    try:
        exact = sf.solve_flow(p, dps=20, error=None)
    except sf.KinkError as stop:
        return f"no flow: {stop.cause}", 0.0, 0.0
    try:
        found = sf.solve_flow_float64(p, solver="event-corrected", rtol=1e-8, atol=1e-10)
    except sf.FlowStopped as stop:
        return f"stopped: {stop.cause}", 0.0, 0.0
    times = [p.horizon * k / POINTS for k in range(1, POINTS + 1)]
    return "done", float(found.error.value), float(np.abs(found.numpy(times) - exact.numpy(times)).max())


def study(seeds: range) -> tuple[Counter[str], list[tuple[int, float, float]]]:
    """How often each outcome came, and (seed, estimate, truth) of what was done."""
    outcomes: Counter[str] = Counter()
    errors = []
    for seed in seeds:
        result, estimate, truth = outcome(seed)
        outcomes[result] += 1
        if result == "done":
            errors.append((seed, estimate, truth))
    return outcomes, errors


def table(outcomes: Counter[str], errors: list[tuple[int, float, float]]) -> str:
    """The study as Markdown."""
    ratios = sorted(estimate / truth for _, estimate, truth in errors if truth)
    truths = sorted(truth for _, _, truth in errors)
    low = [
        f"{seed} (estimate {estimate:.1e}, error {truth:.1e})" for seed, estimate, truth in errors if truth > estimate
    ]
    return "\n".join([
        "# Event-corrected flows of random (leaky) ReLU problems", "",
        f"{sum(outcomes.values())} problems of `tests/paths/test_random_kinks.py` in float64, rtol 1e-8, against runs "
        f"at 20 digits at {POINTS} times, {date.today()}, symflow {sf.__version__}, JAX {version('jax')}. "
        f"Seeds with an estimate below the true error: {', '.join(low) or 'none'}.", "",
        "| outcome | problems |", "|---|---|", *(f"| {k} | {v} |" for k, v in sorted(outcomes.items())), "",
        "| | median | largest |", "|---|---|---|",
        f"| true error | {truths[len(truths) // 2]:.1e} | {truths[-1]:.1e} |",
        f"| estimate over true error (smallest {ratios[0]:.1f}) | {ratios[len(ratios) // 2]:.0f} | {ratios[-1]:.0f} |",
        "",
    ])  # fmt: skip


@pytest.mark.thorough
def test_sixty_random_problems() -> None:
    outcomes, errors = study(range(60))
    TABLE.write_text(table(outcomes, errors), encoding="utf-8")
    assert outcomes["done"] >= 55, outcomes
    assert all(truth <= estimate for _, estimate, truth in errors), errors
