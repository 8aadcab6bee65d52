"""How far two runs are apart is told while the second is made, which keeps its last step alone."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import mpmath
import pytest
from cases import reference

import symflow as sf
from symflow.dynamics.vector_field import gradient_flow_field
from symflow.paths import solver
from symflow.paths.taylor.apart import Apart
from symflow.paths.taylor.dense import TaylorSteps
from symflow.paths.taylor.limits import Precision
from symflow.paths.taylor.run import Integrator, Run, integrate

HORIZON = Fraction(7)


@pytest.fixture(scope="module")
def runs() -> dict[str, Any]:
    """A ReLU flow with kinks, twice."""
    problem = reference("relu-2-3-1")
    field = gradient_flow_field(problem.objective)
    first = Precision.for_digits(20, 26, 1, smooth=False)
    found = {"field": field, "state": problem.theta0, "bits": first.for_check().bits, "check": first.for_check()}
    for name, precision in (("first", first), ("second", first.for_check())):
        run = integrate(field, problem.theta0, HORIZON, precision)
        assert len(run.events) > 1
        found[name] = TaylorSteps(run.segments, precision.bits, run.clock, HORIZON)
    return found


def again(runs: dict[str, Any], apart: Apart) -> Run:
    """The second run, which is not kept."""
    kept: list[int] = []

    def told(run: Integrator) -> None:
        apart(run)
        kept.append(sum(bool(s.coefficients) for s in run.segments))

    run = integrate(runs["field"], runs["state"], HORIZON, runs["check"], after_step=told)
    assert set(kept) == {1}
    return run


def test_the_difference_is_that_of_two_whole_runs(runs: dict[str, Any]) -> None:
    first, second = runs["first"], runs["second"]
    largest = Fraction(0)
    for segment in first.segments:
        for at in (
            Fraction(int(segment.start + segment.end), 2 << first.clock),
            Fraction(int(segment.end), 1 << first.clock),
        ):
            with mpmath.workprec(400):
                difference = max(abs(a - b) for a, b in zip(first(at), second(min(at, second.end)), strict=True))
            largest = max(largest, Fraction(str(difference)))
    apart = Apart(first, runs["bits"])
    run = again(runs, apart)
    error = apart.error(TaylorSteps(run.segments, runs["bits"], run.clock, HORIZON), stopped=False)
    unit = Fraction(1, 2**first.bits)
    assert largest > 10 * unit
    assert abs(Fraction(str(error)) - 2 * largest) <= 4 * unit


def test_a_first_run_that_is_wrong_is_seen(runs: dict[str, Any]) -> None:
    """One coefficient of one step in the middle."""
    first = runs["first"]
    segments = list(first.segments)
    middle = segments[len(segments) // 2]
    rows = [list(row) for row in middle.coefficients]
    rows[3][1] += 1 << (first.bits - 20)
    segments[len(segments) // 2] = replace(middle, coefficients=tuple(rows))
    apart = Apart(replace(first, segments=tuple(segments)), runs["bits"])
    run = again(runs, apart)
    error = apart.error(TaylorSteps(run.segments, runs["bits"], run.clock, HORIZON), stopped=False)
    assert error > 2.0**-23  # at the end of the step s is not 1


def test_a_kink_that_only_the_second_run_refuses_leaves_the_first_up_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = reference("relu-2-3-1")
    whole = sf.solve_flow(problem, horizon=HORIZON, dps=15, error="estimated")
    kink = whole.events[1]
    made: list[Run] = []

    def refusing(*args: Any, **settings: Any) -> Run:
        made.append(integrate(*args, **settings))
        if len(made) % 2:
            return made[-1]
        refused = sf.KinkError("no", "wait", cause="coincident", time=kink.time, sample=0, layer=1, unit=0)
        return replace(made[-1], ended=refused)

    monkeypatch.setattr(solver, "integrate", refusing)
    with pytest.raises(sf.KinkError) as stopped:
        sf.solve_flow(problem, horizon=HORIZON, dps=15, error="estimated")
    part = stopped.value.trajectory
    assert part is not None
    assert part.incomplete == "no"
    assert part.error is None
    assert whole.events[0].time < part.horizon <= kink.time
    assert [e.time for e in part.events] == [e.time for e in whole.events if e.time <= part.horizon]
    assert float(abs(part(part.end)[0] - whole(part.end)[0])) < 1e-15
