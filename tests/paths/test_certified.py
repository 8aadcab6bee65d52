"""Certified flows: the proved error is never below the true one, and what is not proved says so."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy
from gmpy2 import mpz

import symflow as sf
from symflow.dynamics.vector_field import VectorField, gradient_flow_field
from symflow.evaluate.balls import ball_arithmetic
from symflow.evaluate.interpret import interpret
from symflow.evaluate.native.words import sizes_from_words, to_words
from symflow.numbers.balls import ball, ball_precision, from_fixed
from symflow.paths.certified.observed import Step, observe
from symflow.paths.certified.proof import prove
from symflow.paths.taylor.dense import TaylorSteps
from symflow.paths.taylor.limits import Precision
from symflow.paths.taylor.run import integrate
from tests.cases import reference, reference_tables
from tests.paths.test_random_kinks import problem as random_problem

X, Y = sympy.symbols("x y")


def distance(a: np.ndarray, b: np.ndarray) -> mpmath.mpf:
    return mpmath.sqrt(sum((x - y) ** 2 for x, y in zip(a, b, strict=True)))


# Against other people's digits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["linear-2-2-2-1", "linear-3-4-2", "relu-2-3-1", "leaky-2-2-2-1", "scalar-depth2"])
def test_reference_digits_lie_within_the_proved_error(name: str) -> None:
    tables = reference_tables(name)
    times = sorted(tables["theta"], key=Fraction)
    flow = sf.solve_flow(reference(name), horizon=times[-1], dps=50)
    assert flow.error.how == "certified"
    assert flow.error.value <= 1e-50
    assert flow.proof.complete
    with mpmath.workdps(100):
        for t in times:
            known = np.array([mpmath.mpf(v) for v in tables["theta"][t]], dtype=object)
            assert distance(flow(t), known) <= flow.error.value


@pytest.mark.parametrize("name", ["slide-relu-3-3-1", "slide-leaky-2-2-2-1"])
def test_slides_are_certified(name: str) -> None:
    tables = reference_tables(name)
    times = sorted(tables["theta"], key=Fraction)
    flow = sf.solve_flow(reference(name), horizon=times[-1], dps=30)
    assert flow.error.how == "certified"
    assert flow.error.value <= 1e-30
    finer = sf.solve_flow(reference(name), horizon=times[-1], dps=60, error=None)
    with mpmath.workdps(80):
        assert max(distance(flow(t), finer(t)) for t in times) <= flow.error.value
    accuracy = float(tables["accuracy"])
    for t in times:
        known = [float(v) for v in tables["theta"][t]]
        assert np.abs(flow.numpy([t])[0] - known).max() <= 2 * accuracy


def test_closed_forms_lie_within_the_proved_error() -> None:
    """theta' = theta - theta^3: theta = 1/sqrt(1 + 3 e^{-2t}) from 1/2, in a tube where the rate has both signs."""
    flow = sf.solve_field(sf.VectorField({X: X - X**3}), ["1/2"], horizon=20, dps=40)
    assert flow.error.how == "certified"
    with mpmath.workdps(60):
        for t in (1, 3, 20):
            assert abs(flow(t)[0] - 1 / mpmath.sqrt(1 + 3 * mpmath.exp(-2 * mpmath.mpf(t)))) <= flow.error.value


FUNCTIONS = [
    ({X: -sympy.exp(X)}, [1], lambda t: -mpmath.log(mpmath.exp(-1) + t)),
    ({X: 1 / X}, [1], lambda t: mpmath.sqrt(1 + 2 * t)),
    ({X: sympy.sqrt(X)}, [1], lambda t: (1 + t / 2) ** 2),
    ({X: X * sympy.log(X)}, ["1/2"], lambda t: mpmath.exp(mpmath.log(mpmath.mpf(1) / 2) * mpmath.exp(t))),
    ({X: sympy.cos(X)}, [0], lambda t: 2 * mpmath.atan(mpmath.tanh(t / 2))),
    ({X: -sympy.sin(X)}, [1], lambda t: 2 * mpmath.atan(mpmath.tan(mpmath.mpf(1) / 2) * mpmath.exp(-t))),
    ({X: 1 / (1 + sympy.exp(X))}, [0], None),
    ({X: -sympy.log(1 + sympy.exp(X))}, [0], None),
    ({X: X ** sympy.Rational(5, 3)}, [1], lambda t: (1 - 2 * t / 3) ** -1.5),
]  # fmt: skip


@pytest.mark.parametrize(("components", "start", "exact"), FUNCTIONS)
def test_functions_are_proved_too(components, start, exact) -> None:
    field = sf.VectorField(components)
    flow = sf.solve_field(field, start, horizon="3/4", dps=40)
    assert (flow.error.how, flow.error.reason) == ("certified", "")
    finer = sf.solve_field(field, start, horizon="3/4", dps=75, error=None)
    with mpmath.workdps(90):
        for t in (Fraction(1, 3), Fraction(3, 4)):
            known = finer(t)[0] if exact is None else exact(mpmath.mpf(t.numerator) / t.denominator)
            assert abs(flow(t)[0] - known) <= flow.error.value


@pytest.mark.parametrize(("loss", "activation"), [
    ("logistic", "linear"), ("exponential", "leaky-relu"), ("cross-entropy", "relu"), ("square", "relu"),
])  # fmt: skip
def test_networks_with_every_loss(loss: str, activation: str) -> None:
    outputs = 3 if loss == "cross-entropy" else 1
    network = {"widths": [2, 2, outputs], "activation": activation}
    if activation == "leaky-relu":
        network["slope"] = "1/5"
    targets = {"labels": [0, 2]} if loss == "cross-entropy" else {"y": [[1], [-1]]}
    theta = [Fraction(k * 7 % 11 - 5, 7) for k in range(4 + 2 * outputs)]
    p = sf.Problem(
        network=network,
        loss={"kind": loss},
        data={"x": [["1/2", "-1"], ["3/4", "1/3"]], **targets},
        init={"theta": theta},
    )
    flow = sf.solve_flow(p, horizon=4, dps=30)
    assert (flow.error.how, flow.error.reason) == ("certified", "")
    finer = sf.solve_flow(p, horizon=4, dps=60, error=None)
    with mpmath.workdps(80):
        assert 0 < max(distance(flow(t), finer(t)) for t in range(5)) <= flow.error.value <= mpmath.mpf(10) ** -30


@pytest.mark.parametrize("seed", range(12))
def test_random_kinks_within_the_proved_error(seed: int) -> None:
    p = random_problem(seed)
    flow = sf.solve_flow(p, dps=30)
    assert flow.error.how == "certified" or "proved to t = " in flow.error.reason
    finer = sf.solve_flow(p, dps=60, error=None)
    end = flow.proof.end
    with mpmath.workdps(80):
        times = [end * k / 8 for k in range(9)]
        assert max(distance(flow(t), finer(t)) for t in times) <= flow.proof.value


# The parts of the proof ----------------------------------------------------------------------------------------------


def run(
    field: VectorField, start: list[Fraction], horizon: Fraction, digits: int
) -> tuple[TaylorSteps, tuple[Step, ...]]:
    precision = Precision.for_digits(digits, 6)
    found = integrate(field, start, horizon, precision, observer=observe)
    return TaylorSteps(found.segments, precision.bits, found.clock, horizon), found.observed


def sampled_defect(field: VectorField, steps: TaylorSteps, number: int, share: Fraction) -> list[float]:
    """|theta~' - 2^tau F(theta~)| at a point of a step, in units of the last place, in balls of 1000 bits."""
    segment = steps.segments[number]
    with ball_precision(1000):
        length = from_fixed(segment.end - segment.start, steps.clock) * from_fixed(1, segment.tau)
        s = length * ball(share)
        state, slope = [], []
        for series in segment.coefficients:
            c = [from_fixed(v, steps.bits) for v in series]
            state.append(sum((v * s**k for k, v in enumerate(c)), ball(0)))
            slope.append(sum((k * v * s ** (k - 1) for k, v in enumerate(c) if k), ball(0)))
        arithmetic = ball_arithmetic()
        lift = np.frompyfunc(arithmetic.lift, 1, 1)
        values = {x: np.asarray(lift(a), dtype=object) for x, a in field.data.items()}
        values |= field.cut(np.array(state, dtype=object))
        flat = [v for a in interpret(field.program, values, arithmetic).values() for v in np.asarray(a).flat]
        unit = from_fixed(1, steps.bits)
        rate = from_fixed(1, -segment.tau)
        return [float((abs(d - rate * f) / unit).lower()) for d, f in zip(slope, flat, strict=True)]


@pytest.mark.parametrize(("field", "start"), [
    (sf.VectorField({X: 2 * X - 2 * X * Y, Y: -Y + X * Y}), [1, 3]),
    (sf.VectorField({X: Y, Y: -sympy.sin(X)}), [1, 0]),
    (sf.VectorField({X: -sympy.exp(X) / (1 + Y**2), Y: 1}), [0, 0]),
])  # fmt: skip
def test_the_defect_is_bounded_wherever_it_is_looked_at(field: VectorField, start: list[int]) -> None:
    steps, observed = run(field, [Fraction(v) for v in start], Fraction(2), 25)
    for number, step in enumerate(observed):
        found = np.max([sampled_defect(field, steps, number, Fraction(k, 7)) for k in range(8)], axis=0)
        assert (found <= step.defect).all()
        assert (step.defect <= 1e7 * found.max()).all()  # not by much: what it costs are digits


def test_an_altered_coefficient_is_a_defect() -> None:
    """The sampled defect and the proof both see a coefficient that is a unit of the 20th place off."""
    field = sf.VectorField({X: -X})
    steps, observed = run(field, [Fraction(1)], Fraction(1), 30)
    segment = steps.segments[0]
    wrong = [list(c) for c in segment.coefficients]
    wrong[0][1] += 1 << (steps.bits - 66)
    altered = TaylorSteps((type(segment)(segment.start, segment.end, segment.tau, tuple(wrong)), *steps.segments[1:]),
                          steps.bits, steps.clock, steps.asked)  # fmt: skip
    assert sampled_defect(field, altered, 0, Fraction(1, 2))[0] > 1e6 * observed[0].defect[0]


def test_a_tube_too_thin_is_not_a_proof() -> None:
    field = sf.VectorField({X: X})
    steps, observed = run(field, [Fraction(1)], Fraction(3), 20)
    good = prove(field, steps, observed, mpmath.mpf(10) ** -12)
    assert good.complete
    thin = prove(field, steps, observed, good.value / 2)
    assert not thin.complete
    assert "radius" in thin.reason


def test_an_error_at_the_start_grows_as_the_flow_does() -> None:
    """theta' = theta: an error rho at the start is rho e^t later, and the rate is 1 exactly."""
    field = sf.VectorField({X: X})
    steps, observed = run(field, [Fraction(1)], Fraction(3), 20)
    rho = mpmath.mpf(10) ** -15
    found = prove(field, steps, observed, mpmath.mpf(10) ** -12, rho)
    assert rho * mpmath.exp(3) <= found.value <= rho * mpmath.exp(3) * (1 + 1e-4)


@pytest.mark.parametrize("bits", [70, 1300])
def test_sizes_of_coefficients_are_theirs(bits: int) -> None:
    """Where integers end, and where they begin; carries; below and beyond float64."""
    places = [0, 1, 52, 53, 63, 64, 65, 127, 128, 190]
    values = [mpz(s * ((1 << k) + d)) for k in places for s in (1, -1) for d in (-1, 0, 1)]
    sizes, lengths = sizes_from_words(to_words(values, 3), bits)
    for v, size, length in zip(values, sizes, lengths, strict=True):
        exact = Fraction(abs(int(v)), 1 << bits)
        assert abs(Fraction(float(size)) - exact) <= exact / 2**50 + Fraction(1, 2**1000)
        assert v.bit_length() <= length <= v.bit_length() + 1
    assert (lengths > 0).tolist() == [v != 0 for v in values]
    assert np.isinf(sizes_from_words(to_words([mpz(1) << 1150], 20), 64)[0]).all()


def test_a_contracting_flow_forgets() -> None:
    field = sf.VectorField({X: -X})
    steps, observed = run(field, [Fraction(1)], Fraction(40), 20)
    found = prove(field, steps, observed, mpmath.mpf(10) ** -12, mpmath.mpf(10) ** -14)
    assert found.cells[-1].error < 1e-20


def test_a_function_without_a_rule_is_estimated_and_says_so() -> None:
    from dataclasses import replace

    from symflow.programs.rules.elementwise import FUNCTIONS as RECORDS

    before = RECORDS["exp"]
    RECORDS["exp"] = replace(before, remainder=None)
    try:
        flow = sf.solve_field(sf.VectorField({X: -sympy.exp(X)}), [1], horizon=1, dps=15)
    finally:
        RECORDS["exp"] = before
    assert flow.error.how == "estimated"
    assert "exp" in flow.error.reason


def test_estimated_and_unknown_errors_on_request() -> None:
    p = reference("scalar-depth2")
    assert sf.solve_flow(p, horizon=1, dps=15, error="estimated").error.how == "estimated"
    assert sf.solve_flow(p, horizon=1, dps=15, error=None).error is None
    with pytest.raises(sf.ProblemError, match="certified"):
        sf.solve_flow(p, horizon=1, dps=15, error="proved")
    assert gradient_flow_field(p.compact).dimension == 2
