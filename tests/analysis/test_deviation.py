"""The deviation of descent from flow: exact solutions, first-order convergence, R18, and bounds that hold."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy
from cases import reference, violations

import symflow as sf
from symflow.analysis.deviation import Deviation, sample_steps


def quadratic(coefficient: str, theta0: str, **run: object) -> sf.Problem:
    x = sympy.Symbol("x")
    objective = sf.expression_objective(sympy.Rational(coefficient) * x**2 / 2, [x])
    return sf.Problem(objective=objective, theta0=[theta0], **run)


@pytest.fixture(scope="module")
def linear() -> dict[Fraction, Deviation]:
    problem = reference("linear-2-2-2-1")
    etas = [Fraction(1, 50 * 2**k) for k in range(5)]
    return {eta: sf.deviation(problem, step_size=eta, horizon=3, dps=30) for eta in etas}


@pytest.fixture(scope="module")
def relu() -> Deviation:
    return sf.deviation(reference("relu-2-3-1"), step_size="1/50", dps=30)


def test_quadratic_against_the_exact_solution() -> None:
    dev = sf.deviation(quadratic("3/2", "7/5"), step_size="1/20", horizon=4, dps=40)
    with mpmath.workdps(60):
        rate, eta = mpmath.mpf(3) / 2, mpmath.mpf(1) / 20
        for t, value in zip(dev.times, dev.values, strict=True):
            exact = mpmath.mpf(7) / 5 * abs((1 - rate * eta) ** int(mpmath.nint(t / eta)) - mpmath.exp(-rate * t))
            assert abs(value - exact) < mpmath.mpf(10) ** -39
    assert violations(dev, "R4") == violations(dev, "R22") == 0


@pytest.mark.parametrize("eta", ["1/10", "1/100"])
def test_repelling_quadratic_lies_in_the_bracket_of_r6(eta: str) -> None:
    m, horizon = 2, 3
    dev = sf.deviation(quadratic("-2", "1"), step_size=eta, horizon=horizon, dps=40)
    with mpmath.workdps(50):
        x = mpmath.mpf(m) * mpmath.mpf(Fraction(eta).numerator) / Fraction(eta).denominator
        for t, value in list(zip(dev.times, dev.values, strict=True))[1:]:
            tau = -mpmath.log(1 - value * mpmath.exp(-m * t))
            assert m * x * t / (2 + 4 * x / 3) <= tau <= m * x * t / (2 + x)
    assert violations(dev, "R4") == violations(dev, "R22") == 0


def test_deviation_halves_with_the_step_size(linear: dict[Fraction, Deviation]) -> None:
    largest = [float(dev.max) for dev in linear.values()]
    slopes = np.diff(np.log2(largest)) / -1.0
    assert np.all(np.abs(slopes - 1) < 0.05), slopes


def test_leading_order_predicts_within_two_percent(linear: dict[Fraction, Deviation]) -> None:
    dev = linear[Fraction(1, 800)]
    ratios = [float(p / v) for p, v in zip(dev.bounds["R18"].values[1:], dev.values[1:], strict=True)]
    assert 0.98 < min(ratios) <= max(ratios) < 1.02
    # The prediction is of first order: its relative error itself halves with eta.
    errors = [abs(float(d.bounds["R18"].values[-1] / d.values[-1]) - 1) for d in linear.values()]
    assert errors[-1] < errors[0] / 8


@pytest.mark.parametrize("name", ["R4", "R22"])
def test_bounds_hold_at_every_sampled_time(linear: dict[Fraction, Deviation], relu: Deviation, name: str) -> None:
    for dev in [*linear.values(), relu]:
        assert violations(dev, name) == 0
        assert dev.bounds[name].status == "sampled"


def test_the_bound_test_has_teeth(linear: dict[Fraction, Deviation]) -> None:
    """R22 is tight at the first step, so one percent less must be refuted by the same check."""
    assert violations(linear[Fraction(1, 800)], "R22", 0.99) > 0


@pytest.mark.parametrize("name", ["linear-3-4-2", "scalar-depth2", "leaky-2-2-2-1"])
def test_bounds_hold_on_the_other_references(name: str) -> None:
    dev = sf.deviation(reference(name), step_size="1/40", horizon=4, dps=25)
    assert violations(dev, "R4") == violations(dev, "R22") == 0
    assert all(b is not None for b in dev.bounds["R4"].values[:20])


@pytest.mark.parametrize("seed", range(3))
def test_bounds_hold_on_random_linear_networks(seed: int) -> None:
    rng = np.random.default_rng(seed)
    widths = [int(d) for d in rng.integers(1, 4, size=rng.integers(2, 6))]
    problem = sf.Problem(
        network={"widths": widths, "activation": "linear"},
        data={"x": rng.normal(size=(5, widths[0])), "y": rng.normal(size=(5, widths[-1]))},
        init={"scheme": "gaussian", "scale": "3/5", "seed": seed},
    )
    dev = sf.deviation(problem, step_size="1/30", horizon=5, dps=20)
    assert violations(dev, "R4") == violations(dev, "R22") == 0


def test_r4_is_never_sharper_than_r22(linear: dict[Fraction, Deviation]) -> None:
    """Both share m, and beta gamma eta dominates the defect."""
    dev = linear[Fraction(1, 50)]
    for coarse, fine in zip(dev.bounds["R4"].values[1:], dev.bounds["R22"].values[1:], strict=True):
        assert coarse >= fine


def test_after_a_kink_bounds_are_not_applicable_and_say_why(relu: Deviation) -> None:
    crossing = relu.flow.events[0]
    for bound in relu.bounds.values():
        for t, value in zip(relu.times, bound.values, strict=True):
            assert (value is None) or t < crossing.time
        assert bound.values[-1] is None
        assert bound.reason is not None
        assert "kink" in bound.reason


def test_rounding_is_shown_apart(linear: dict[Fraction, Deviation]) -> None:
    dev = linear[Fraction(1, 800)]
    assert dev.rounding is not None
    assert 0 < max(dev.rounding) < 1e-13
    own = sf.descend(dev.problem, step_size="1/800", steps=dev.steps, every=dev.steps)
    with mpmath.workdps(40):
        exact = dev.flow(Fraction(dev.steps, 800))
        seen = mpmath.sqrt(mpmath.fsum((mpmath.mpf(a) - b) ** 2 for a, b in zip(own.iterates[-1], exact, strict=True)))
    assert abs(seen - dev.values[-1]) <= dev.rounding[-1]


def test_observables_against_numpy(linear: dict[Fraction, Deviation]) -> None:
    dev = linear[Fraction(1, 50)]
    x, y = dev.problem.x.astype(float), dev.problem.y.astype(float)
    theta = dev.flow.numpy([dev.times[-1]])[0]
    w1, w2, w3 = theta[:4].reshape(2, 2), theta[4:8].reshape(2, 2), theta[8:].reshape(1, 2)
    product = w3 @ w2 @ w1
    series = dev.flow_series
    assert series.end_to_end is not None
    assert series.singular_values is not None
    assert series.balancedness is not None
    np.testing.assert_allclose(series.end_to_end[-1], product, rtol=1e-12)
    np.testing.assert_allclose(series.singular_values[-1], [np.linalg.norm(product)], rtol=1e-12)
    np.testing.assert_allclose(series.loss[-1], np.mean(np.sum((x @ product.T - y) ** 2, axis=1)) / 2, rtol=1e-12)
    drift = np.linalg.norm(w2.T @ w2 - w1 @ w1.T)
    np.testing.assert_allclose(series.balancedness[-1, 0], drift, rtol=1e-12)
    np.testing.assert_allclose(series.balancedness[0], series.balancedness[-1], rtol=1e-12)  # R10: conserved by flow
    assert np.ptp(dev.descent_series.balancedness[:, 0]) > 1e-6  # ... and not by descent
    assert np.all(np.diff(series.loss) <= 0)  # R1


def test_gradient_and_hessian_do_not_exist_while_the_flow_slides() -> None:
    """Its pre-activation is 0 up to rounding then, whose sign says nothing; before and after both are there."""
    base = reference("relu-2-3-1")
    problem = sf.Problem(**base.to_dict() | {"init": {"scheme": "xavier", "seed": 239}})
    dev = sf.deviation(problem, step_size="1/20", horizon=5, dps=15, bounds=())
    states = np.array([dev.flow(t) for t in dev.times])
    z = np.abs(np.einsum("sri,ni->snr", states[:, :6].reshape(-1, 3, 2), np.asarray(problem.x)))
    rests = z.min(axis=(1, 2)) < 1e-12
    assert np.flatnonzero(np.diff(rests)).size == 2  # it begins to slide, and ends
    series = dev.flow_series
    for values in (series.gradient_norm, series.min_eigenvalue, series.max_eigenvalue):
        np.testing.assert_array_equal(np.isnan(values), rests)
    assert np.isfinite(series.loss).all()
    assert np.isfinite(dev.descent_series.max_eigenvalue).all()
    assert f"(at {rests.sum()} of {len(rests)} points)" in (series.reason or "")


def test_a_run_of_your_own(linear: dict[Fraction, Deviation]) -> None:
    dev = linear[Fraction(1, 50)]
    run = sf.descend(dev.problem, step_size="1/50", steps=dev.steps)
    own = sf.deviation(dev.problem, step_size="1/50", horizon=3, dps=30, run=run.iterates)
    assert abs(own.values[-1] - dev.values[-1]) < 1e-13
    assert own.bounds["R22"].status == "sampled"
    noisy = run.iterates + 1e-3 * np.random.default_rng(0).normal(size=run.iterates.shape)
    noisy[0] = run.iterates[0]
    other = sf.deviation(dev.problem, step_size="1/50", horizon=3, dps=30, run=noisy)
    assert {b.status for b in other.bounds.values()} == {"not applicable"}
    with pytest.raises(sf.ProblemError, match="a run must start at the problem's theta0"):
        sf.deviation(dev.problem, step_size="1/50", horizon=3, dps=30, run=run.iterates + 0.1)
    thin = sf.descend(dev.problem, step_size="1/50", steps=dev.steps, every=10, dps=20)
    assert (
        sf.deviation(dev.problem, step_size="1/50", horizon=3, dps=20, run=thin).bounds["R22"].status
        == "not applicable"
    )
    for wrong in (np.full(run.iterates.shape, np.nan), run.iterates.astype(complex) * 1j, "text"):
        with pytest.raises(sf.ProblemError, match="a run must"):
            sf.deviation(dev.problem, step_size="1/50", horizon=3, run=wrong)
    with pytest.raises(sf.ProblemError, match="shape"):
        sf.deviation(dev.problem, step_size="1/50", horizon=3, run=np.zeros((5, 3)))


def large_deviation(bounds: list[str] | None = None) -> Deviation:
    problem = sf.Problem(
        network={"widths": [10, 20, 5], "activation": "linear"},
        data={"x": np.eye(10)[:4], "y": np.ones((4, 5))},
        init={"scheme": "gaussian", "scale": "1/10", "seed": 1},
    )
    return sf.deviation(problem, step_size="1/8", horizon="1/4", dps=15, bounds=bounds)


def test_spectra_of_large_networks_come_from_lanczos_with_their_residual() -> None:
    dev = large_deviation()
    assert dev.bounds["R22"].status == "sampled"
    assert dev.flow_series.eigenvalue_residual is not None
    assert 0 < dev.flow_series.eigenvalue_residual.max() < 1e-8
    assert all(bound >= value for bound, value in zip(dev.bounds["R22"].values, dev.values, strict=True))


def test_networks_too_large_for_spectra_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("symflow.analysis.observables.MAX_PARAMETERS", 299)
    dev = large_deviation(["R4"])
    assert dev.bounds["R4"].status == "not applicable"
    assert "P = 300" in (dev.bounds["R4"].reason or "")
    assert dev.flow_series.max_eigenvalue is None


def test_what_cannot_be_told_from_zero_is_zero() -> None:
    """A dead network never moves: the deviation is zero, not the difference of two roundings of theta0."""
    problem = sf.Problem(
        network={"widths": [1, 1, 1], "activation": "relu"},
        data={"x": [[1]], "y": [["1/3"]]},
        init={"theta": ["-1/3", "1/7"]},
    )
    dev = sf.deviation(problem, step_size="1/3", horizon=20, dps=30)
    assert dev.max == 0
    assert violations(dev, "R4") == violations(dev, "R22") == 0


@pytest.mark.parametrize("eta", ["1/2", "9/10"])
def test_bounds_hold_where_float64_ends(eta: str) -> None:
    """Descent contracts to the minimum of a double well, far below the rounding of the sampled quantities."""
    x = sympy.Symbol("x")
    problem = sf.Problem(objective=sf.expression_objective((x**2 - 1) ** 2 / 4, [x]), theta0=["1/5"])
    dev = sf.deviation(problem, step_size=eta, horizon=100, dps=40)
    assert dev.values[-1] < 1e-10
    assert violations(dev, "R4") == violations(dev, "R22") == 0


def test_sampled_steps() -> None:
    assert sample_steps(3) == [0, 1, 2, 3]
    many = sample_steps(100_000)
    assert many[:65] == list(range(65))
    assert many[-1] == 100_000
    assert len(many) < 400


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"step_size": 0}, "positive"),
        ({"step_size": "-1/2"}, "positive"),
        ({"step_size": "nan"}, "step_size"),
        ({"step_size": "1/10", "horizon": "1/20"}, "shorter than one step"),
        ({"step_size": "1/10", "horizon": "1", "dps": 0}, "dps"),
        ({}, "step size"),
    ],
)
def test_wrong_numbers(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(sf.ProblemError, match=message) as caught:
        sf.deviation(reference("scalar-depth2"), **arguments)
    assert "\n" not in str(caught.value)
