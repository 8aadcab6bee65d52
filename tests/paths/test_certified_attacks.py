"""Proofs of flows under attack: what once was claimed too early, refused without need, or ended in a traceback."""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations
from types import SimpleNamespace

import mpmath
import numpy as np
import pytest
from flint import arb

import symflow as sf
from symflow.evaluate.rounded import Rounded
from symflow.evaluate.series_remainders import _exp2_above, _log2_above
from symflow.evaluate.signs import signs_of
from symflow.paths.certified import cells
from symflow.paths.certified.windows import Crossing, cost, lowest
from symflow.paths.taylor.limits import Limits

# Several kinks in one window ----------------------------------------------------------------------------------------

MET = (Crossing(2.0, 3.0, 1.0, 2.0), Crossing(-1.0, 1.0, 2.0, 4.0), Crossing(0.5, 1.0, 1.0, 1.0))
UNIT, ERROR, ASIDE, GROWTH = Fraction(1, 8), Fraction(1, 2), Fraction(1, 16), Fraction(3, 2)


def one_after_another(met: tuple[Crossing, ...]) -> Fraction:
    """The error after gaps that begin in this order, by their definition, exactly."""
    error = ERROR
    for c in met:
        offset, normal, slope, difference = map(Fraction, (c.offset, c.normal, c.slope, c.difference))
        error += GROWTH * difference * max(Fraction(0), offset * UNIT + normal * (error + ASIDE)) / slope
    return error - ERROR


def found_cost(met: tuple[Crossing, ...]) -> float:
    """What the proof takes for them."""
    unit, error, aside, growth = (arb(float(q)) for q in (UNIT, ERROR, ASIDE, GROWTH))
    return float(cost(met, unit, error, aside, growth).lower())


def test_kinks_that_are_met_one_after_another_cost_more_than_each_of_them() -> None:
    worst = max(one_after_another(order) for order in permutations(MET))
    alone = sum(one_after_another((c,)) for c in MET)
    assert alone < worst <= found_cost(MET) < 1.5 * worst


def test_one_kink_costs_what_it_is() -> None:
    assert found_cost(MET[:1]) == pytest.approx(float(one_after_another(MET[:1])))


def test_kinks_out_of_reach_cost_nothing() -> None:
    assert found_cost((Crossing(-100.0, 1.0, 1.0, 1.0),)) == 0
    assert found_cost(()) == 0


# What is far beyond float64 -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("eighths", [-8000, -17, -1, 0, 3, 8, 77, 7999])
def test_powers_of_two_are_bounded_from_above(eighths: int) -> None:
    bound = float(_exp2_above(np.asarray(eighths / 8)))
    assert Fraction(bound) ** 8 >= Fraction(2) ** eighths
    assert bound <= 1.07 * 2.0 ** (eighths / 8)


@pytest.mark.parametrize("x", [2.0**-900, 0.3, 1.0, 1e300])
def test_logarithms_are_bounded_from_above(x: float) -> None:
    bound = Fraction(_log2_above(x))
    with mpmath.workdps(60):
        assert mpmath.mpf(bound.numerator) / bound.denominator >= mpmath.log(x, 2)


def test_a_pre_activation_beyond_float64_is_not_lost() -> None:
    watched = SimpleNamespace(series=[1 << 2000, 0, 0], remainder=1.0)
    segment = SimpleNamespace(start=0, end=1 << 1200, tau=0)
    steps = SimpleNamespace(segments=[segment], bits=1200, clock=1200)
    part = SimpleNamespace(number=0, low=Fraction(0), high=Fraction(1))
    assert lowest(watched, steps, part, 1.0, 1.0) > 1e300  # type: ignore[arg-type]
    assert lowest(watched, steps, part, 1.0, -1.0) is None  # type: ignore[arg-type]


def test_what_is_no_number_may_have_either_sign() -> None:
    found = signs_of(Rounded(np.array([np.nan, 0.0, 2.0, -2.0]), np.array([np.inf, 0.0, 1.0, 1.0])))
    assert found.positive.tolist() == [1, 0, 1, 0]
    assert found.negative.tolist() == [1, 0, 0, 1]


@pytest.mark.parametrize("activation", ["linear", "relu"])
def test_data_beyond_float64_are_refused_in_one_line(activation: str) -> None:
    p = sf.Problem(
        network={"widths": [2, 2, 1], "activation": activation},
        data={"x": [[1, 2], [3, -1]], "y": [[Fraction(10) ** 310], [0]]},
        init={"theta": ["1/2", "1/3", "-1/4", "1/5", "1", "1/3"]},
        run={"horizon": Fraction(1, 10**311)},
    )
    error = sf.solve_flow(p, dps=15).error
    assert error is not None
    assert (error.how, error.reason) == (
        "estimated",
        "data and slopes beyond 1e+300 are not proved: proofs bound rates in float64",
    )


# No proof without end -------------------------------------------------------------------------------------------------


def test_parts_are_so_many_at_most() -> None:
    spread = SimpleNamespace(spread=np.full(5000, 1e9))
    counts = cells._counts(spread, np.ones(5000))  # type: ignore[arg-type]
    assert 5000 <= counts.sum() <= cells.MOST_PLANNED


def test_a_proof_counts_towards_the_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Limits, "check", lambda *_, **__: None)  # steps take no time
    p = sf.Problem(network=sf.FullyConnected((1, 1)), data={"x": [1], "y": [1]}, init={"theta": [0]})
    with pytest.raises(sf.FlowStopped, match="while the error was being proved") as stopped:
        sf.solve_flow(p, horizon=1, dps=15, time_limit="1/1000000000")
    assert stopped.value.cause == "time-limit"
    assert stopped.value.trajectory is not None
    assert stopped.value.trajectory.end == 1


# Samples that are zero, equal or opposite -----------------------------------------------------------------------------


def certified(p: sf.Problem, horizon: object) -> sf.Trajectory:
    """The flow, which is to be proved."""
    flow = sf.solve_flow(p, horizon=horizon, dps=20)  # type: ignore[arg-type]
    assert flow.error is not None
    assert flow.error.how == "certified", flow.error.reason
    return flow


def relu(x: list[list[str]], y: list[list[str]]) -> sf.Problem:
    """Two hidden units with concave faces at some samples."""
    theta = ["1/2", "-1/3", "1/5", "2/3", "-1", "3/4"]
    return sf.Problem(network={"widths": [2, 2, 1], "activation": "relu"}, data={"x": x, "y": y}, init={"theta": theta})


def test_a_zero_sample_only_slows_the_flow_down() -> None:
    """With it the gradient is half of what it is without: theta(2 t) = theta(t) of the other problem."""
    slow = certified(relu([["1", "1/2"], ["0", "0"]], [["1"], ["2"]]), 2)
    fast = certified(relu([["1", "1/2"]], [["1"]]), 1)
    apart = max(abs(a - b) for a, b in zip(slow(2), fast(1), strict=True))
    assert slow.error is not None
    assert fast.error is not None
    assert apart <= slow.error.value + fast.error.value


def test_opposite_samples_slide_together_although_one_face_is_concave_alone() -> None:
    """h = v s(w x), leaky: w is driven to 0 from both sides and v^2 - w^2 is conserved, so v ends at sqrt(v^2 - w^2).

    The samples (1, 1/2), (1, -2), (-1, -1): the gate of the first has b < 0, the three together b > 0.
    """
    p = sf.Problem(
        network={"widths": [1, 1, 1], "activation": "leaky-relu", "slope": "1/5"},
        data={"x": [["1"], ["1"], ["-1"]], "y": [["1/2"], ["-2"], ["-1"]]},
        init={"theta": ["1/4", "1"]},
    )
    flow = certified(p, 3)
    w, v = flow(3)
    assert {e.kind for e in flow.events} == {"sliding"}
    with mpmath.workdps(40):
        assert abs(w) <= flow.error.value  # type: ignore[union-attr]
        assert abs(v - mpmath.sqrt(mpmath.mpf(15) / 16)) <= flow.error.value  # type: ignore[union-attr]


def test_a_sample_that_nearly_touches_its_kink_and_never_acts_is_a_zero_sample() -> None:
    """z of the last sample rises to -1e-10 at t = 3/2 and falls again: it is off always, as a zero sample is.

    Boxes of states are too wide to see it; z along the path is not.
    """
    theta = ["2/5", "33/100", "19/50", "31/50"]
    x = [["43/100", "61/100", "89/100"], ["9/25", "41/50", "3/10"], ["69/100", "1/4", "17/20"]]
    near = ["-0.797274948858229474830240046667", "0.239164445051585950407799863183", "0.554213879437125388704508488492"]

    def problem(last: list[str]) -> sf.Problem:
        y = [["23/20"], ["22/25"], ["143/100"], ["1"]]
        network = {"widths": [3, 1, 1], "activation": "relu"}
        return sf.Problem(network=network, data={"x": [*x, last], "y": y}, init={"theta": theta})

    touching, apart = certified(problem(near), 2), certified(problem(["0", "0", "0"]), 2)
    assert not touching.events
    with mpmath.workdps(40):
        z = [sum(mpmath.mpf(q) * w for q, w in zip(near, touching(t)[:3], strict=True))
             for t in ("149/100", "3/2", "151/100")]  # fmt: skip
        assert -1e-9 < z[1] < 0
        assert max(z[0], z[2]) < 100 * z[1]
        gap = max(abs(a - b) for a, b in zip(touching(2), apart(2), strict=True))
        assert gap <= touching.error.value + apart.error.value  # type: ignore[union-attr]
