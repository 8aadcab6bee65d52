"""No bound that applies lies below the truth: saturated losses, long steps, blocks before a kink, large and small data.

Truth: flow and descent at 50 digits; the smallest Hessian eigenvalue at 40.
"""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import pairwise
from typing import Any

import mpmath
import numpy as np
import pytest

import symflow as sf
from symflow.analysis import deviation as compared
from symflow.analysis.bounds.spectra import spectra
from symflow.evaluate.running_error import rounded_result
from symflow.paths.sampling import HermiteFlow, to_float
from symflow.paths.solver import MAX_HORIZON

LOSSES = ("square", "logistic", "exponential", "cross-entropy")
ACTIVATIONS = ("linear", "relu", "leaky-relu")
ON_DEVIATION = [b for b in sf.known_bounds() if b.kind == "bound"]
SAMPLED = [b for b in ON_DEVIATION if b.name in ("R4", "R22")]
CURVATURE = [b for b in sf.known_bounds() if b.kind == "curvature"]


def below(dev: compared.Deviation) -> list[tuple[str, int]]:
    """The bounds below the deviation, and at which sample."""
    return [
        (name, i)
        for name, series in dev.bounds.items()
        if series.kind == "bound"
        for i, (value, truth) in enumerate(zip(series.values, dev.values, strict=True))
        if value is not None and not value >= truth
    ]


def case(seed: int) -> tuple[sf.Problem, Fraction, int]:
    """A small problem of any loss, with data from 1e-4 to 1e4, and a step size up to 3 / lambda_max."""
    rng = random.Random(seed)
    loss, activation = LOSSES[seed % 4], ACTIVATIONS[(seed // 4) % 3]
    depth = rng.choice([1, 2, 2, 3, 3, 4])
    outputs = {"cross-entropy": rng.randint(2, 3), "square": rng.randint(1, 2)}.get(loss, 1)
    widths = [*(rng.randint(1, 3) for _ in range(depth)), outputs]
    samples = rng.randint(1, 4)
    data_size, weight_size = 10.0 ** rng.uniform(*rng.choice([(-2, 2), (-4, 4)])), 10.0 ** rng.uniform(-1.5, 0.7)

    def number(size: float) -> Fraction:
        return Fraction(rng.randint(-100, 100), 100) * Fraction(size).limit_denominator(10**6)

    y: list[list[Any]] = [[rng.choice([-1, 1])] for _ in range(samples)]
    if loss == "square":
        y = [[number(rng.choice([1.0, data_size])) for _ in range(outputs)] for _ in range(samples)]
    elif loss == "cross-entropy":
        y = [[int(j == k) for j in range(outputs)] for k in (rng.randrange(outputs) for _ in range(samples))]
    network: dict[str, Any] = {"widths": widths, "activation": "linear" if depth == 1 else activation}
    if network["activation"] == "leaky-relu":
        network["slope"] = "1/5"
    problem = sf.Problem(
        network=network,
        loss={"kind": loss},
        data={"x": [[number(data_size) for _ in range(widths[0])] for _ in range(samples)], "y": y},
        init={"theta": [number(weight_size) for _ in range(sum(a * b for a, b in pairwise(widths)))]},
    )
    found = spectra(problem.objective, np.array([[float(v) for v in problem.theta0]]))
    sharpness = float(found.norm[0])
    sharpness = sharpness if 0 < sharpness < np.inf else 1.0
    eta = Fraction(rng.choice([3, 2, 1.5, 1, 0.5, 0.1, 0.01]) / sharpness)
    return problem, eta, rng.choice([1, 2, 3, 5, 10, 30])


def hunt(seeds: range, bounds: list[sf.Bound]) -> int:
    """How many of the problems were compared; none may have a bound below the truth."""
    seen = 0
    for seed in seeds:
        problem, eta, steps = case(seed)
        if eta * steps > MAX_HORIZON:  # tiny data, beyond what a flow may be asked for
            continue
        try:
            flow = sf.solve_flow(problem, horizon=eta * steps, dps=50, time_limit=20)
            dev = sf.deviation(problem, step_size=eta, horizon=eta * steps, dps=50, flow=flow, bounds=bounds)
        except sf.ComputationError:
            continue
        seen += 1
        assert below(dev) == [], seed
        assert all(v is None or not mpmath.isnan(v) for b in dev.bounds.values() for v in b.values), seed
    return seen


@pytest.mark.parametrize("seed", [1, 3, 15])
def test_no_bound_lies_below_the_truth_whatever_the_loss_and_the_step(seed: int) -> None:
    assert hunt(range(seed, seed + 1), SAMPLED) == 1


def test_weights_and_data_whose_squares_are_beyond_float64() -> None:
    """Sharpness 1e220: no bound, or one that holds, and no warning."""
    assert hunt(range(330, 331), ON_DEVIATION) == 1


@pytest.mark.thorough
def test_no_bound_lies_below_the_truth_on_three_hundred_problems_of_all_sizes() -> None:
    assert hunt(range(100, 400), ON_DEVIATION) >= 200


def test_the_last_block_before_a_concave_kink_has_its_own_defects(monkeypatch: pytest.MonkeyPatch) -> None:
    """The defect grows by four orders of magnitude within that block; its first step said nothing about the others."""
    monkeypatch.setattr(compared, "EARLY_STEPS", 4)
    monkeypatch.setattr(compared, "SAMPLES", 2)
    problem = sf.Problem(
        network={"widths": [2, 1, 1], "activation": "relu"},
        data={"x": [["1", "0"], ["1", "1"]], "y": [["2"], ["1"]]},
        init={"theta": ["1/100000", "-1/2", "1/100000"]},
    )
    dev = sf.deviation(problem, step_size="1/50", horizon=20, dps=20, bounds=SAMPLED)
    absent = dev.bounds["R22"].not_applicable
    assert absent is not None
    assert "not convex" in absent.reason
    last = absent.since - 1
    assert dev.times[last] == 10
    assert dev.times[last - 1] < 1
    assert dev.values[last] > 1e-3
    assert below(dev) == []


@pytest.mark.parametrize("weight", [10, 18])
def test_saturated_softmax(weight: int) -> None:
    """p - y = -e^-36 cancels in float64; one step of descent along g is eta g, the flow goes less far."""
    problem = sf.Problem(
        network={"widths": [1, 2], "activation": "linear"},
        loss={"kind": "cross-entropy"},
        data={"x": [[1]], "y": [[1, 0]]},
        init={"theta": [weight, -weight]},
    )
    eta = Fraction(10) ** (weight // 2)
    dev = sf.deviation(problem, step_size=eta, horizon=2 * eta, dps=40, bounds=SAMPLED)
    assert dev.values[-1] > 0
    assert all(b.not_applicable is None for b in dev.bounds.values())
    assert below(dev) == []


# Curvature ----------------------------------------------------------------------------------------------------------


def smallest_eigenvalue(problem: sf.Problem, theta: list[Any]) -> Any:
    """lambda_min(H) at 40 digits."""
    matrix = sf.evaluate_mpmath(sf.hessian(problem.objective), theta, dps=60)
    with mpmath.workdps(60):
        return min(mpmath.eigsy(mpmath.matrix(matrix.tolist()), eigvals_only=True))


@pytest.mark.parametrize("size", ["1e-4", "1", "255", "1e4"])
def test_curvature_bounds_at_forty_digits_whatever_the_size_of_the_data(size: str) -> None:
    """Widths 1-1-1, x = y, theta = (6/5, 6/5): R9 is an equality there, so that rounding alone decides."""
    scale = Fraction(size)
    for k in range(1, 4):
        x = [[scale * k], [scale / (k + 2)]]
        problem = sf.Problem(
            network={"widths": [1, 1, 1], "activation": "linear"},
            data={"x": x, "y": x},
            init={"theta": ["6/5", f"{6 * k}/{5 * k}"]},
        )
        eta = Fraction(1, 100) / (scale * k) ** 2
        dev = sf.deviation(problem, step_size=eta, horizon=2 * eta, dps=40, bounds=CURVATURE)
        seen = 0
        for row, time in enumerate(dev.comparison.exact_times):
            lowest = smallest_eigenvalue(problem, list(dev.flow(min(time, dev.flow.end))))
            for name, series in dev.bounds.items():
                if series.values[row] is not None:
                    seen += 1
                    assert series.values[row] <= lowest, (name, k, row)
                    assert series.values[row] > lowest - 30 * (abs(lowest) + scale**2)
        assert seen >= 12


NETWORKS = {
    "relu": {"widths": [2, 2, 1], "activation": "relu"},
    "linear": {"widths": [2, 3, 2, 1], "activation": "linear"},
    "convolutional": {
        "kind": "convolutional",
        "input": [1, 4],
        "activation": "leaky-relu",
        "slope": "1/5",
        "layers": [
            {"kind": "convolution", "channels": 2, "kernel": 2},
            {"kind": "average-pool", "size": 3, "stride": 1},
            {"kind": "dense", "width": 1},
        ],
    },
}


@pytest.mark.parametrize("size", [pytest.param("1e-4", marks=pytest.mark.thorough), "1e4"])
@pytest.mark.parametrize("name", NETWORKS)
def test_curvature_bounds_of_random_networks_at_forty_digits(name: str, size: str) -> None:
    """R9, R11 to R13 against lambda_min at 40 digits, on random data of this size, square and logistic loss."""
    rng = np.random.default_rng([len(name), len(size)])
    inputs = 4 if name == "convolutional" else 2
    for kind in ("square", "logistic"):
        scale = Fraction(size)
        x = [[scale * int(v) / 10 for v in row] for row in rng.integers(-20, 20, (3, inputs))]
        y = [[1], [-1], [1]] if kind == "logistic" else [[scale * int(v)] for v in rng.integers(-3, 4, 3)]
        data = {"x": x, "y": y}
        probe = sf.Problem(
            network=NETWORKS[name], data=data, loss={"kind": kind}, init={"scheme": "gaussian", "seed": 1}
        )
        problem = probe.replace(theta0=[Fraction(int(v), 10) for v in rng.integers(-9, 10, len(probe.theta0))])
        eta = Fraction(1, 1000) / max(1, scale**2)
        dev = sf.deviation(problem, step_size=eta, horizon=eta, dps=40, bounds=CURVATURE)
        lowest = smallest_eigenvalue(problem, list(dev.flow(0)))
        found = {key: series.values[0] for key, series in dev.bounds.items() if series.values[0] is not None}
        assert found
        assert all(value <= lowest for value in found.values()), (kind, lowest, found)


def test_rounding_is_bounded_and_not_by_much() -> None:
    """Gradients and Hessians of all losses at 50 digits: within the bound, which is no more than 1e4 off."""
    for seed in range(4):
        problem, _, _ = case(seed)
        objective = problem.objective
        points = np.random.default_rng(seed).normal(size=(3, objective.parameter_count))
        slopes = rounded_result(objective, sf.gradient(objective), points)
        matrices = rounded_result(objective, sf.hessian(objective), points)
        worst = 0.0
        for i, point in enumerate(points):
            for derived, found in ((sf.gradient(objective), slopes), (sf.hessian(objective), matrices)):
                exact = sf.evaluate_mpmath(derived, [mpmath.mpf(float(v)) for v in point], dps=50)
                with mpmath.workdps(50):
                    for a, b, error in zip(exact.flat, found.value[i].flat, found.error[i].flat, strict=True):
                        assert abs(a - mpmath.mpf(float(b))) <= error
                        worst = max(worst, float(abs(a - mpmath.mpf(float(b))) / error))
        assert worst > 1e-4


# Precision ----------------------------------------------------------------------------------------------------------


def small(**changes: Any) -> sf.Problem:
    tables: dict[str, Any] = {
        "network": {"widths": [2, 2, 1], "activation": "linear"},
        "data": {"x": [["1", "1/2"], ["-3/10", "2"]], "y": [[1], [-1]]},
        "init": {"scheme": "xavier", "seed": 1},
        "run": {"horizon": "1/2", "step_size": "1/10", "dps": 20},
    }
    return sf.Problem(**(tables | changes))


def test_the_callers_precision_changes_nothing() -> None:
    problem = small()

    def everything() -> list[str]:
        dev = sf.deviation(problem, bounds=sf.known_bounds())
        table = sf.tightness(problem, bounds=ON_DEVIATION, slack=False)
        start: dict[str, Any] = {"depth": 3, "target_norm": 1, "w0": "1/3", "alignment": "1/7", "accuracy": "1/9"}
        guarantee, time = sf.descent_guarantee(**start), sf.convergence_time(**start)
        numbers = [v for series in dev.bounds.values() for v in series.values]
        numbers += [*dev.values, dev.error_estimate, *dev.times]
        numbers += [v for row in table.rows for v in (row.value, row.truth, row.ratio, row.worst)]
        numbers += [guarantee.step_limit, guarantee.flow_time, time.value, time.error_estimate]
        numbers.append(sf.convergence_probability(**{k: v for k, v in start.items() if k != "alignment"}, dimension=3,
                                                  time=5))  # fmt: skip
        return [*(str(getattr(v, "_mpf_", v)) for v in numbers), guarantee.latex(), time.latex()]

    expected = everything()
    for digits in (3, 200):
        with mpmath.workdps(digits):
            assert everything() == expected


def test_bounds_of_a_flow_of_many_digits() -> None:
    dev = sf.deviation(small(), dps=320, horizon="1/5", bounds=ON_DEVIATION)
    assert below(dev) == []
    assert dev.bounds["R22(tube-free)"].not_applicable is None


def test_fixed_point_becomes_float64_whatever_its_digits() -> None:
    assert to_float(3 << 2000, 2000) == 3.0
    assert to_float(-(1 << 70), 75) == -(2.0**-5)
    assert to_float(1, 5000) == 0.0
    assert to_float(-(1 << 5000), 10) == -np.inf


@pytest.mark.parametrize("horizon", ["7/10", "3/10", "1/7", "9/10"])
def test_the_leading_order_reaches_the_end_of_the_flow(horizon: str) -> None:
    dev = sf.deviation(small(), step_size=Fraction(horizon) / 3, horizon=horizon, dps=15)
    assert dev.bounds["R18"].not_applicable is None
    assert len(dev.values) == 4


def test_a_cubic_between_known_times() -> None:
    """theta = t^3 is its own interpolant."""
    times = np.array([0.0, 1.0, 3.0])
    flow = HermiteFlow(times, (times**3)[:, None], (3 * times**2)[:, None])
    inside = np.array([0.0, 0.25, 1.0, 2.5, 3.0])
    np.testing.assert_allclose(flow(inside)[:, 0], inside**3, rtol=1e-14)


def test_tiny_weights_and_large_data() -> None:
    for problem, eta in (
        (small(init={"theta": ["1e-40"] * 6}), "1/10"),
        (small(data={"x": [["1e4", "2e4"], ["1e4", "-1e3"]], "y": [[1], [2]]}), "1e-9"),
    ):
        dev = sf.deviation(problem, step_size=eta, horizon=Fraction(eta) * 3, dps=60, bounds=sf.known_bounds())
        assert below(dev) == []
        assert dev.bounds["R22"].not_applicable is None


# Flows and runs of another problem ----------------------------------------------------------------------------------


def test_flows_and_runs_of_another_start_or_data_are_refused() -> None:
    problem = small()
    flow, run = sf.solve_flow(problem, horizon=1), sf.descend(problem, steps=5)
    assert sf.deviation(problem, flow=flow, run=run, bounds=[]).steps == 5
    moved = problem.replace(theta0=[v + Fraction(1, 10**15) for v in problem.theta0])
    nearby = small(data={"x": [["1", "1/2"], ["-3/10", Fraction(2) + Fraction(1, 10**40)]], "y": [[1], [-1]]})
    for other in (moved, nearby):
        for use in (sf.deviation, sf.tightness):
            with pytest.raises(sf.ProblemError, match=r"flow must (start at|be) the problem's") as caught:
                use(other, flow=flow)
            assert "\n" not in str(caught.value)
        with pytest.raises(sf.ProblemError, match="flow must"):
            sf.check_flow(other, flow)
    far = problem.replace(theta0=[v + 1 for v in problem.theta0])
    for given in (run, run.iterates):
        with pytest.raises(sf.ProblemError, match="a run must start at the problem's theta0"):
            sf.deviation(far, run=given)
    with pytest.raises(sf.ProblemError, match="a run must be the problem's own"):
        sf.deviation(nearby, run=run)
    for wrong in (3, "flow", problem):
        with pytest.raises(sf.ProblemError, match="flow must be a trajectory"):
            sf.deviation(problem, flow=wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("use", [sf.deviation, sf.tightness, lambda p: sf.max_step_size(p, "1/100", 1),
                                 sf.balanced_start, sf.minimum_loss, lambda p: sf.check_flow(p, None)])  # fmt: skip
def test_what_is_no_problem_is_refused(use: Any) -> None:
    for wrong in (small().objective, "problem.toml", None, 3):
        with pytest.raises(sf.ProblemError, match="needs a problem") as caught:
            use(wrong)
        assert "\n" not in str(caught.value)


def test_a_bound_is_evaluated_on_a_comparison() -> None:
    with pytest.raises(sf.ProblemError, match="comparison"):
        sf.known_bounds()[0].evaluate(small())  # type: ignore[arg-type]
    with pytest.raises(sf.ProblemError, match="SymPy expression"):
        sf.user_bound("mine", object())  # type: ignore[arg-type]


# Depth --------------------------------------------------------------------------------------------------------------


def test_closed_forms_on_balls_against_sums_over_all_sets_of_layers() -> None:
    """d_I(eps) = sum_m eps^m sqrt(C(r,m)/r^m E_{r-m}) from the sets themselves; on scalar nets gamma is all of it."""
    from itertools import combinations
    from math import comb, prod, sqrt

    from symflow.theory.curvature import ball_bounds

    weights = [Fraction(11, 10), Fraction(-2, 3), Fraction(3, 2), Fraction(4, 5), Fraction(-6, 5)]
    sizes, eps, count = [abs(float(w)) for w in weights], 0.25, len(weights)

    def growth(layers: list[float]) -> float:
        r = len(layers)
        return sum(
            eps**m * sqrt(comb(r, m) / r**m * sum(prod(s * s for s in kept) for kept in combinations(layers, r - m)))
            for m in range(1, r + 1)
        )

    problem = sf.Problem(
        network={"widths": [1] * (count + 1), "activation": "linear"},
        data={"x": [[2]], "y": [[1]]},
        init={"theta": weights},
    )
    slope = abs(2 * (2 * prod(float(w) for w in weights) - 1))
    layers = [sizes[:i] + sizes[i + 1 :] for i in range(count)]
    expected = (slope + 4 * growth(sizes)) * sqrt(sum((prod(others) + growth(others)) ** 2 for others in layers))
    found = sf.evaluate_mpmath(ball_bounds(problem.objective, "1/4")["gamma"], weights, dps=30)
    assert abs(float(found) / expected - 1) < 1e-14


def test_closed_forms_of_deep_networks_are_no_longer_than_a_polynomial_in_the_depth() -> None:
    from symflow.analysis.bounds.ball_forms import ball_forms

    def length(depth: int) -> int:
        problem = sf.Problem(
            network={"widths": [1] * (depth + 1), "activation": "linear"},
            data={"x": [[1]], "y": [[1]]},
            init={"theta": ["11/10"] * depth},
        )
        forms = ball_forms(problem.objective, np.full((1, depth), 1.1))
        return len(forms.program.nodes) + len(forms.fixed)

    assert length(8) < 2**4 * length(4)
