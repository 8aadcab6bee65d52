"""Random small (leaky) ReLU problems at 30 digits: none finishes wrong, few stop; a sample of 30, and 300 (thorough).

The judge is gradient descent with tiny steps (`plain_flow`): its distance from the flow must fall with the
step, or lie below half of it (at a kink crossing descent jumps by an amount that depends on the phase of its steps).
"""

from __future__ import annotations

import random
from collections import Counter
from datetime import date
from fractions import Fraction
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from plain_flow import Case

import symflow as sf

STEP_SIZES = (8e-4, 1e-4)
TABLE = Path(__file__).parent.parent / "studies" / "random_kinks.md"


def problem(seed: int) -> sf.Problem:
    """Depths 2-3, widths <= 4, 2-8 samples, horizons 2-10; all numbers multiples of 1/100 in [-1, 1]."""
    rng = random.Random(seed)
    widths = [*(rng.randint(1, 4) for _ in range(rng.choice([2, 3]))), rng.randint(1, 2)]
    samples = rng.randint(2, 8)
    relu = rng.random() < 0.6

    def number() -> Fraction:
        return Fraction(rng.randint(-100, 100), 100)

    count = sum(a * b for a, b in pairwise(widths))
    network = {"widths": widths, "activation": "relu"}
    if not relu:
        network |= {"activation": "leaky-relu", "slope": "1/5"}
    return sf.Problem(
        network=network,
        data={
            "x": [[number() for _ in range(widths[0])] for _ in range(samples)],
            "y": [[number() for _ in range(widths[-1])] for _ in range(samples)],
        },
        init={"theta": [number() for _ in range(count)]},
        run={"horizon": str(rng.randint(2, 10))},
    )


def descents(p: sf.Problem) -> list[np.ndarray]:
    """The ends of gradient descent for all `STEP_SIZES`, from formulas written out by hand."""
    assert p.network is not None
    slopes = Fraction(p.network.alpha), Fraction(p.network.alpha_bar)
    case = Case(tuple(p.network.widths), slopes, p.x, p.y, list(p.theta0), p.horizon)
    return case.descents(STEP_SIZES, float(p.horizon))


def outcome(seed: int) -> tuple[str, set[str], list[float]]:
    """ "done" or the cause of the stop, the kinds of events, the distances of descent from the flow."""
    p = problem(seed)
    try:
        flow = sf.solve_flow(p, dps=30)
    except sf.KinkError as stop:
        return stop.cause, {e.kind for e in stop.trajectory.events}, []
    assert flow.error_estimate <= 1e-30
    end = flow.numpy([p.horizon])[0]
    distances = [float(np.linalg.norm(v - end)) for v in descents(p)]
    return "done", {e.kind for e in flow.events}, distances


def agrees(distances: list[float]) -> bool:
    coarse, fine = distances
    return fine <= max(0.3 * coarse, 0.5 * STEP_SIZES[1])


def study(seeds: range) -> tuple[Counter[str], Counter[str], list[float]]:
    outcomes: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    finest: list[float] = []
    for seed in seeds:
        result, events, distances = outcome(seed)
        outcomes[result] += 1
        kinds.update(events)
        if result == "done":
            assert agrees(distances), f"seed {seed}: descent at {STEP_SIZES} ends {distances} from the flow"
            finest.append(distances[-1])
    return outcomes, kinds, finest


def test_thirty_random_problems() -> None:
    outcomes, kinds, _ = study(range(30))
    assert outcomes["done"] >= 28, outcomes
    assert kinds["sliding"] >= 3


@pytest.mark.parametrize("seed", [44, 109])
def test_a_gate_at_rest_is_seen_in_the_check_run_too(seed: int) -> None:
    """What the check run adds at random moves a pre-activation at rest by more units than rounding does."""
    flow = sf.solve_flow(problem(seed), dps=30)
    assert flow.error_estimate <= 1e-30
    assert "sliding" in {e.kind for e in flow.events}


def test_the_judge_refuses_a_wrong_flow() -> None:
    """A flow that crosses where it should slide is off by far more than the judge allows."""
    p = problem(3)
    flow = sf.solve_flow(p, dps=20)
    slide = next(e for e in flow.events if e.kind == "sliding")
    early = flow.numpy([slide.time * Fraction(9, 10)])[0]
    assert not agrees([float(np.linalg.norm(v - early)) for v in descents(p)])


@pytest.mark.thorough
def test_three_hundred_random_problems() -> None:
    outcomes, kinds, finest = study(range(300))
    stops = sum(outcomes.values()) - outcomes["done"]
    lines = [
        "# Random (leaky) ReLU flows",
        "",
        f"300 problems of `tests/paths/test_random_kinks.py` at 30 digits, {date.today()}, symflow "
        f"{sf.__version__}, gmpy2 {version('gmpy2')}, JAX {version('jax')}.",
        "",
        "| outcome | problems |",
        "|---|---|",
        *(f"| {name} | {count} |" for name, count in outcomes.most_common()),
        "",
        "| with events of kind | problems |",
        "|---|---|",
        *(f"| {name} | {count} |" for name, count in kinds.most_common()),
        "",
        f"Distance of gradient descent at step {STEP_SIZES[1]:g} from the flow, over the finished ones: median "
        f"{np.median(finest):.1e}, largest {max(finest):.1e}.",
        "",
    ]
    TABLE.write_text("\n".join(lines), encoding="utf-8")
    assert stops <= 15, outcomes


def test_a_resting_gate_is_watched() -> None:
    """A unit dies and rests exactly on its kink; when what held it there changes sign the flow is no longer unique."""
    theta = [f"{v}/600" for v in (-749, 792, 386, -272, 825, 628, 351, -777, -445)]
    p = sf.Problem(
        network={"widths": [2, 3, 1], "activation": "relu"},
        data={"x": [[0, "-1/5"], ["6/5", "-7/5"], ["3/5", "-7/5"]], "y": [["-7/5"], ["-3/5"], [0]]},
        init={"theta": theta},
    )
    assert sf.solve_flow(p, horizon="9/10", dps=30).events[0].kind == "sliding"
    with pytest.raises(sf.KinkError) as stop:
        sf.solve_flow(p, horizon=3, dps=30)
    assert (stop.value.cause, stop.value.sample, stop.value.unit) == ("repelling", 1, 2)
    assert abs(stop.value.time - 0.9073428994) < 1e-9
