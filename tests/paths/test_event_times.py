"""Times of events of certified flows: the proved radius is never below the true error."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import mpmath
import pytest

import symflow as sf
from symflow.dynamics.vector_field import gradient_flow_field
from symflow.paths.certified.event_times import with_radii
from symflow.paths.certified.observed import observe
from symflow.paths.taylor.dense import TaylorSteps
from symflow.paths.taylor.limits import Precision
from symflow.paths.taylor.run import integrate
from tests.cases import reference, reference_tables
from tests.paths.test_random_kinks import problem as random_problem


def scalar() -> sf.Problem:
    """h = v s(w x), leaky, with one sample (1, -1): w falls through 0."""
    return sf.Problem(
        network={"widths": [1, 1, 1], "activation": "leaky-relu", "slope": "1/5"},
        data={"x": [["1"]], "y": [["-1"]]},
        init={"theta": ["1/2", "1"]},
    )


def test_the_time_of_a_crossing_by_its_closed_form() -> None:
    """u = w v, v^2 - w^2 = 3/4: u' = -sqrt(9/16 + 4 u^2) (1 + u), and t = int_0^{1/2} du / that."""
    (event,) = sf.solve_flow(scalar(), horizon=2, dps=30).events
    with mpmath.workdps(50):
        true = mpmath.quad(lambda u: 1 / (mpmath.sqrt(mpmath.mpf(9) / 16 + 4 * u * u) * (1 + u)), [0, 0.25, 0.5])
        assert event.radius is not None
        assert abs(event.time - true) <= event.radius < 1e-28


@pytest.mark.parametrize("name", ["relu-2-3-1", "slide-relu-3-3-1", "slide-leaky-2-2-2-1"])
def test_radii_are_not_below_the_distance_to_a_finer_run(name: str) -> None:
    last = max(reference_tables(name)["theta"], key=Fraction)
    flow = sf.solve_flow(reference(name), horizon=last, dps=20)
    finer = sf.solve_flow(reference(name), horizon=last, dps=50, error=None)
    assert flow.error is not None
    assert flow.error.how == "certified"
    known = 0
    with mpmath.workdps(60):
        for a, b in zip(flow.events, finer.events, strict=True):
            if a.radius is not None:
                known += 1
                assert abs(a.time - b.time) <= a.radius < 1e-15
            else:
                assert a.kind not in ("crossing", "sliding")
    assert known


def test_a_larger_error_of_the_flow_makes_larger_radii_or_none() -> None:
    p = scalar()
    field = gradient_flow_field(p.compact, p.objective)
    precision = Precision.for_digits(20, 6)
    run = integrate(field, p.theta0, Fraction(2), precision, observer=observe)
    steps = TaylorSteps(run.segments, precision.bits, run.clock)

    def radius(error: str) -> mpmath.mpf | None:
        return with_radii(field, steps, run.observed, run.events, mpmath.mpf(error), mpmath.mpf("1e-12"))[0].radius

    small, large = radius("1e-20"), radius("1e-16")
    assert small is not None
    assert large is not None
    assert 9_000 < large / small < 11_000
    assert radius("0.1") is None


def test_estimated_flows_have_no_radii() -> None:
    assert [e.radius for e in sf.solve_flow(scalar(), horizon=2, dps=15, error="estimated").events] == [None]


def test_a_saved_flow_keeps_how_its_error_is_known_and_its_radii(tmp_path: Path) -> None:
    flow = sf.solve_flow(scalar(), horizon=2, dps=15)
    flow.save(tmp_path / "flow.json")
    again = sf.load_trajectory(tmp_path / "flow.json")
    assert again.error == flow.error
    assert again.error is not None
    assert again.error.how == "certified"
    assert again.events == flow.events
    middle, radii = again.enclosure(1)
    assert (middle == flow(1)).all()
    assert (radii == flow.error.value).all()  # type: ignore[union-attr]
    estimated = replace(flow, error=sf.PathError(flow.error.value, "estimated", "why"))  # type: ignore[union-attr]
    estimated.save(tmp_path / "estimated.json")
    assert sf.load_trajectory(tmp_path / "estimated.json").error == estimated.error


def test_nothing_is_enclosed_beyond_the_horizon() -> None:
    """A number that was rounded up from it can be read, but the proof ends before."""
    flow = sf.solve_flow(scalar(), horizon="7/10", dps=15)
    beyond = mpmath.mpf("0.7") + mpmath.mpf(2) ** -52
    assert flow(beyond) is not None
    with pytest.raises(sf.ProblemError, match="time must lie in"):
        flow.enclosure(beyond)
    for inside in ("7/10", flow.horizon):
        assert len(flow.enclosure(inside)) == 2


@pytest.mark.thorough
def test_random_problems() -> None:
    known = missing = 0
    for seed in range(60):
        p = random_problem(seed)
        try:
            flow = sf.solve_flow(p, dps=20)
            finer = sf.solve_flow(p, dps=50, error=None)
        except sf.KinkError:
            continue
        if flow.error is None or flow.error.how != "certified":
            continue
        with mpmath.workdps(60):
            for a, b in zip(flow.events, finer.events, strict=True):
                if a.radius is None:
                    missing += a.kind in ("crossing", "sliding")
                else:
                    known += 1
                    assert abs(a.time - b.time) <= a.radius
    assert known >= 9 * missing
