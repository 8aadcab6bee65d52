"""Constants on balls: closed forms, ascent, and the cover of the tube with its self-consistent radii."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import sympy
from cases import reference, violations

import symflow as sf
from symflow.analysis.bounds.ball_ascent import Ascent, ascend, form_slope
from symflow.analysis.bounds.ball_forms import ball_forms, missing_forms
from symflow.analysis.bounds.kinks import gates_at
from symflow.analysis.bounds.smooth_regions import decide
from symflow.analysis.bounds.tube_bounds import TUBE_BOUNDS, find_radii
from symflow.analysis.deviation import Deviation
from symflow.evaluate.derived_batches import evaluate_batch
from symflow.evaluate.numpy_batches import evaluate_points

CERTIFIED = [rule.name for rule in TUBE_BOUNDS]


def ball(rng: np.random.Generator, centre: np.ndarray, radius: float, count: int) -> np.ndarray:
    v = rng.normal(size=(count, len(centre)))
    return centre + v * (radius / np.linalg.norm(v, axis=1))[:, None]


# Closed forms on balls -----------------------------------------------------------------------------------------------


def network(widths: list[int], activation: str, loss: str, seed: int) -> sf.Problem:
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(4, widths[-1]))
    if loss == "logistic":
        y = np.sign(y)
    data: dict[str, object] = {"x": rng.normal(size=(4, widths[0])).round(3), "y": y.round(3)}
    if loss == "cross-entropy":
        data = {"x": data["x"], "labels": [i % widths[-1] for i in range(4)]}
    table: dict[str, object] = {"widths": widths, "activation": activation}
    return sf.Problem(
        network=table, loss={"kind": loss}, data=data, init={"scheme": "gaussian", "scale": "3/5", "seed": seed}
    )


NETWORKS = [
    ([2, 3, 1], "linear", "square"),
    ([2, 3, 2, 2], "linear", "square"),
    ([2, 2, 2, 1], "linear", "logistic"),
    ([3, 2, 3], "linear", "cross-entropy"),
    ([3, 2], "linear", "square"),
]


def drift(objective: sf.Objective, centre: np.ndarray, points: np.ndarray) -> float:
    """max ||H(theta) - H(c)|| over points."""
    matrices = evaluate_batch(objective, sf.hessian, np.concatenate([centre[None], points]))
    return float(np.linalg.norm(matrices[1:] - matrices[0], 2, axis=(1, 2)).max())


@pytest.mark.parametrize(("widths", "activation", "loss"), NETWORKS)
@pytest.mark.parametrize("radius", [1e-3, 0.1, 1.0])
def test_hessians_drift_no_further_than_their_bound(
    widths: list[int], activation: str, loss: str, radius: float
) -> None:
    objective = network(widths, activation, loss, 3).objective
    rng = np.random.default_rng(0)
    centre = rng.normal(size=objective.parameter_count) * 0.6
    bound = float(ball_forms(objective, centre[None])(np.array([radius]))["drift"][0])
    points = ball(rng, centre, radius, 300)
    assert drift(objective, centre, points) <= bound * (1 + 1e-9) + 1e-12


def test_the_drift_test_has_teeth() -> None:
    """On the scalar network of depth 2 the bound is within a factor of 3, so that a third of it is refuted."""
    objective = reference("scalar-depth2").objective
    centre, radius = np.array([1.0, 1.0]), 0.01
    bound = float(ball_forms(objective, centre[None])(np.array([radius]))["drift"][0])
    points = ball(np.random.default_rng(0), centre, radius, 300)
    assert drift(objective, centre, points) > bound / 3


def test_drift_with_gates_holds_where_no_gate_changes() -> None:
    objective = reference("relu-2-3-1").objective
    rng = np.random.default_rng(1)
    seen = 0
    for _ in range(60):
        centre = rng.normal(size=objective.parameter_count)
        radius = float(rng.uniform(1e-3, 0.05))
        if not decide(objective, centre[None], np.array([radius])).smooth[0]:
            continue
        seen += 1
        bound = float(ball_forms(objective, centre[None])(np.array([radius]))["drift"][0])
        assert drift(objective, centre, ball(rng, centre, radius, 64)) <= bound
    assert seen > 10


def test_gates_called_decided_do_not_change() -> None:
    objective = reference("leaky-2-2-2-1").objective
    rng = np.random.default_rng(2)
    changed = 0
    for _ in range(40):
        centre = rng.normal(size=objective.parameter_count)
        radius = float(rng.uniform(0.005, 0.3))
        wide = decide(objective, centre[None], np.array([radius])).open
        narrow = decide(objective, centre[None], np.array([radius / 20])).open
        points = ball(rng, centre, radius, 200)
        here, there = gates_at(objective, centre[None]).on, gates_at(objective, points).on
        for a, b, may, may_less in zip(here, there, wide, narrow, strict=True):
            flips = (a != b).any(axis=0)
            assert not (flips & ~may[0]).any()
            changed += int((flips & ~may_less[0]).sum())
    assert changed > 0  # the negative control: balls twenty times smaller would have missed some


def test_numpy_and_jax_evaluate_programs_alike() -> None:
    for widths, activation, loss in NETWORKS[1:4]:
        objective = network(widths, activation, loss, 5).objective
        points = np.random.default_rng(0).normal(size=(7, objective.parameter_count))
        ours = evaluate_points(objective, objective.program, points)["f"]
        np.testing.assert_allclose(ours, list(map(sf.to_jax(objective), points)), rtol=1e-13)
    convolutional = sf.load_problem(Path(__file__).parents[2] / "examples" / "convolutional.toml").objective
    points = np.random.default_rng(0).normal(size=(3, convolutional.parameter_count))
    for name, bound in sf.curvature_bounds(convolutional).items():
        ours = next(iter(evaluate_points(convolutional, bound.program, points).values()))
        function = sf.to_jax(bound)
        np.testing.assert_allclose(ours, [float(function(p)) for p in points], rtol=1e-10, err_msg=name)


def test_where_no_closed_form_is_known_it_is_said() -> None:
    x = sympy.Symbol("x")
    assert "no closed form" in (missing_forms(sf.expression_objective((x**2 - 1) ** 2, [x])) or "")
    assert missing_forms(sf.expression_objective(x**2 - 3 * x, [x])) is None
    exponential = network([2, 2, 1], "linear", "logistic", 1).to_dict() | {"loss": {"kind": "exponential"}}
    assert "exponential" in (missing_forms(sf.Problem(**exponential).objective) or "")
    assert missing_forms(reference("relu-2-3-1").objective) is None


# The tube ------------------------------------------------------------------------------------------------------------


def test_the_cells_cover_the_flow_between_the_samples(linear: Deviation) -> None:
    tube, run = linear.comparison.tube, linear.comparison
    rng = np.random.default_rng(0)
    ends = np.append(tube.middles[:-1] + np.diff(tube.middles) / 2, run.times[-1])
    times = rng.uniform(0, run.times[-1], size=2000)
    cell = np.searchsorted(ends, times)
    # Cells of different lengths meet elsewhere than half-way between their centres: both neighbours are asked.
    states = run.dense(times)
    near = [np.clip(cell + s, 0, len(tube.middles) - 1) for s in (-1, 0, 1)]
    gaps = [np.linalg.norm(states - tube.centres[c], axis=1) / tube.radii[c] for c in near]
    assert np.min(gaps, axis=0).max() <= 1
    # By R1 the flow's way to the ends of a cell is at most the radius, and not much less: R1 is sharp on short cells.
    half = np.diff(np.append(0, np.cumsum(np.diff(run.times))))[tube.owner] / np.bincount(tube.owner)[tube.owner] / 2
    way = np.linalg.norm(run.dense(np.minimum(tube.middles + half, run.times[-1])) - tube.centres, axis=1)
    assert (way <= tube.radii).all()
    assert np.median(way / tube.radii) > 0.9


@pytest.mark.parametrize("name", CERTIFIED)
def test_constants_hold_everywhere_on_the_tube(linear: Deviation, name: str) -> None:
    """Random points of the tube at random times, between the samples too; on tubes 30 times as wide m is refuted."""
    run = linear.comparison
    rule = next(r for r in TUBE_BOUNDS if r.name == name)
    found = find_radii(run.tube, run.steps, rule)
    assert found.reason is None
    rng = np.random.default_rng(0)
    refuted = 0
    for _ in range(40):
        i = int(rng.integers(len(found.radii)))
        t = rng.uniform(run.times[i], run.times[i + 1])
        centre, radius = run.dense(np.array([t]))[0], float(found.radii[i])
        points = ball(rng, centre, radius, 32)
        spectra = np.linalg.eigvalsh(evaluate_batch(run.compact, sf.hessian, points))
        slopes = evaluate_batch(run.compact, sf.gradient, points)
        c = found.constants
        assert -spectra.min() <= c.m[i]
        assert spectra.max() <= c.max_eigenvalue[i]
        assert np.abs(spectra).max() <= c.beta[i]
        assert np.linalg.norm(slopes, axis=1).max() <= c.gamma[i]
        wider = evaluate_batch(run.compact, sf.hessian, ball(rng, centre, 30 * radius, 32))
        refuted += -np.linalg.eigvalsh(wider).min() > c.m[i]
    assert refuted > 20


@pytest.mark.parametrize("name", CERTIFIED)
def test_certified_bounds_hold_and_are_find_radii(linear: Deviation, relu: Deviation, name: str) -> None:
    for dev in (linear, relu):
        series = dev.bounds[name]
        assert series.status == "certified on a box"
        assert violations(dev, name) == 0
        assert series.radii is not None
        applies = [v for v in series.values if v is not None]
        assert len(applies) > 20
        assert all(float(v) < r for v, r in zip(applies[1:], series.radii[1:], strict=True))
    assert linear.bounds[name].not_applicable is None
    absent = relu.bounds[name].not_applicable
    assert absent is not None
    assert "kink" in absent.reason
    assert relu.bounds[name].values[absent.since] is None


def ridge() -> sf.Problem:
    """theta(t) = (t, sin t), exactly, along a ridge of curvature -2: what leaves it grows like e^{2t}, g does not."""
    x, y = sympy.symbols("x y")
    u = y - sympy.sin(x)
    f = -(3 * x / 2 + sympy.sin(2 * x) / 4) - u * sympy.cos(x) - u**2
    return sf.Problem(objective=sf.expression_objective(f, [x, y]), theta0=["0", "0"])


def test_r4_without_exponential_factors_falls_below_the_truth() -> None:
    """The negative control: with e^{M(t) - M(s)} replaced by 1 the bounds are refuted on the ridge."""
    bounds = sf.known_bounds("R4", "R22", "R4(tube)")
    dev = sf.deviation(ridge(), step_size="1/2000", horizon=5, dps=30, bounds=bounds)
    assert float(abs(dev.flow(5)[1] - mpmath.sin(5))) < 1e-14
    assert violations(dev, "R4") == violations(dev, "R22") == 0
    t, eta, beta, gamma = sympy.symbols("t eta H g")
    flat = sf.user_bound("flat", eta * 3 * beta * gamma * t).evaluate(dev.comparison)  # three times R4 without e^M
    assert sum(v > b for v, b in zip(dev.values, flat.values, strict=True)) > 50
    assert dev.bounds["R4(tube)"].status == "certified on a box"  # from the Hessian's program
    assert violations(dev, "R4(tube)") == 0


def test_certified_bounds_hold_on_a_repelling_parabola() -> None:
    x = sympy.Symbol("x")
    problem = sf.Problem(objective=sf.expression_objective(-(x**2), [x]), theta0=["1"])
    dev = sf.deviation(problem, step_size="1/500", horizon="3/2", dps=30, bounds=sf.known_bounds())
    for name in ("R4", "R22", *CERTIFIED):
        assert violations(dev, name) == 0
        assert dev.bounds[name].values[-1] is not None


def test_r22_without_growth_falls_below_the_truth() -> None:
    """The same for R22: the local errors alone, not carried on, are refuted."""
    x = sympy.Symbol("x")
    problem = sf.Problem(objective=sf.expression_objective(-(x**2), [x]), theta0=["1"])
    dev = sf.deviation(problem, step_size="1/50", horizon=3, dps=30, bounds=sf.known_bounds("R22(tube-free)"))
    steps = dev.comparison.steps
    alone = np.cumsum(0.5 * float(steps.step_size.high) ** 2 * steps.on_flow.hessian_gradient * steps.counts)
    assert sum(float(v) > b for v, b in zip(dev.values[1:], alone, strict=True)) > 50
    assert violations(dev, "R22(tube-free)") == 0
    assert violations(dev, "R22(tube-free)", 0.9) > 0  # and the bound itself is within ten percent


def test_the_bracket_of_r6_holds_the_certified_bounds() -> None:
    """theta_k - theta(k eta) = e^{mt} - (1 + eta m)^k exactly; the tube-free bound stays within 2 % of it."""
    x = sympy.Symbol("x")
    problem = sf.Problem(objective=sf.expression_objective(-(x**2), [x]), theta0=["1"])
    dev = sf.deviation(problem, step_size="1/1000", horizon=2, dps=30, bounds=sf.known_bounds())
    with mpmath.workdps(40):
        exact = mpmath.exp(4) - (1 + mpmath.mpf(2) / 1000) ** 2000
    assert exact <= dev.bounds["R22(tube-free)"].values[-1] <= exact * mpmath.mpf("1.02")
    assert exact <= dev.bounds["R22(tube)"].values[-1]


def test_a_step_size_too_large_for_any_tube_says_so() -> None:
    dev = sf.deviation(
        reference("linear-3-4-2"),
        step_size="3/4",
        horizon=4,
        dps=20,
        bounds=[b for b in sf.known_bounds() if b.name in CERTIFIED],
    )
    ended = {name: absent for name in CERTIFIED if (absent := dev.bounds[name].not_applicable) is not None}
    assert {"R4(tube)", "R4(global)", "R5"} <= set(ended)
    for absent in ended.values():
        assert "self-consistent" in absent.reason
    assert all(violations(dev, name) == 0 for name in CERTIFIED)


def sampled_ball(objective: sf.Objective, centre: np.ndarray, radius: float, count: int, seed: int = 0) -> Ascent:
    """m, beta and gamma from random points of a ball alone: what ascent has to beat."""
    rng = np.random.default_rng(seed)
    v = rng.normal(size=(count, len(centre)))
    v *= (radius * rng.uniform(size=count) ** (1 / len(centre)) / np.linalg.norm(v, axis=1))[:, None]
    spectra = np.linalg.eigvalsh(evaluate_batch(objective, sf.hessian, centre + v))
    slopes = np.linalg.norm(evaluate_batch(objective, sf.gradient, centre + v), axis=1)
    return Ascent(float(-spectra.min()), float(np.abs(spectra).max()), float(slopes.max()))


def test_the_slope_of_an_eigenvalue_is_that_of_its_form(linear: Deviation) -> None:
    """grad (v^T H v) for v an eigenvector, against the difference of two eigenvalues and against JAX's derivative."""
    f = linear.comparison.compact
    theta, along = linear.comparison.tube.centres[0], np.linspace(-1, 1, f.parameter_count)
    (matrix,) = evaluate_batch(f, sf.hessian, theta[None])
    vector = np.linalg.eigh(matrix)[1][:, 0]
    (slope,) = evaluate_batch(f, form_slope, theta[None], vector[None])
    ends = np.linalg.eigvalsh(evaluate_batch(f, sf.hessian, theta + 1e-5 * np.outer([-1, 1], along)))[:, 0]
    assert (ends[1] - ends[0]) / 2e-5 == pytest.approx(slope @ along, rel=1e-7)
    with jax.enable_x64(True):
        form = sf.to_jax(sf.hessian_form(f))
        assert np.allclose(jax.grad(lambda q: form(q, jnp.asarray(vector)))(jnp.asarray(theta)), slope, rtol=1e-12)
    assert abs(slope @ along) > 1e-3


def test_ascent_lies_between_sampling_and_the_certificate(linear: Deviation) -> None:
    tube = linear.comparison.tube
    eps = np.full(len(tube.first), 0.05)
    balls = tube.balls(eps)
    for cell in (0, len(tube.middles) // 2):
        centre, radius = tube.centres[cell], float(tube.ball_radii(eps)[cell])
        found = ascend(linear.comparison.compact, centre, radius)
        chance = sampled_ball(linear.comparison.compact, centre, radius, 200)
        for name in ("m", "beta", "gamma"):
            certified = float(getattr(balls, name)[cell])
            assert getattr(chance, name) <= getattr(found, name) <= certified
        assert found.m > float(-tube.low[cell])
