"""Bounds: past kinks, as objects, bounds of one's own, what they were before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import mpmath
import numpy as np
import pytest
import sympy
from cases import reference, violations

import symflow as sf
from symflow.analysis import deviation
from symflow.analysis.bounds.catalogue import QUICK
from symflow.analysis.bounds.kinks import Crossings, gates_at
from symflow.analysis.bounds.sampled import sampled_bounds
from symflow.analysis.deviation import Deviation

# Kinks ---------------------------------------------------------------------------------------------------------------


def test_sampled_bounds_go_on_past_convex_kinks_and_slides() -> None:
    for name in ("slide-leaky-2-2-2-1", "slide-relu-3-3-1"):
        dev = sf.deviation(reference(name), step_size="1/100", dps=20)
        assert any(e.kind == "sliding" for e in dev.flow.events)
        for bound in ("R4", "R22"):
            assert dev.bounds[bound].not_applicable is None
            assert violations(dev, bound) == 0
        assert len(dev.comparison.past_kinks[2].steps) > 0


def test_r22_without_the_costs_of_crossings_is_refuted() -> None:
    """The negative control: descent chatters along the slide, its defect there keeps R22 above the truth."""
    dev = sf.deviation(reference("slide-leaky-2-2-2-1"), step_size="1/100", dps=20)
    samples = dev.comparison.samples
    free = Crossings(samples.crossings.steps, 0 * samples.crossings.costs)
    found = sampled_bounds(replace(samples, crossings=free))["R22"]
    assert sum(t > v for t, v in zip(dev.values, found.values, strict=True)) > 10


def test_while_the_flow_slides_bounds_of_one_smooth_piece_are_left_out() -> None:
    chosen = [b for b in sf.known_bounds() if b.name.startswith("R12")]
    dev = sf.deviation(reference("slide-leaky-2-2-2-1"), step_size="1/100", dps=20, bounds=chosen)
    start = next(e.time for e in dev.flow.events if e.kind == "sliding")
    absent = dev.bounds["R12(e)"].not_applicable
    assert absent is not None
    assert "slides" in absent.reason
    assert dev.times[absent.since - 1] < start <= dev.times[absent.since]
    assert dev.bounds["R12"].not_applicable is None  # it holds on every smooth piece that meets there


def test_a_concave_kink_ends_them(relu: Deviation) -> None:
    event = relu.flow.events[0]
    back = gates_at(relu.comparison.objective, relu.comparison.dense(np.array([float(event.time)]))).back
    assert back[event.layer - 1][0, event.unit, event.sample] < 0
    for bound in ("R4", "R22"):
        absent = relu.bounds[bound].not_applicable
        assert absent is not None
        assert "not convex" in absent.reason
        assert relu.times[absent.since - 1] < event.time


def test_back_propagated_coefficients_against_finite_differences() -> None:
    """b is the derivative of a sample's loss in the activation; here of the leaky network by adding to a bias."""
    objective = reference("leaky-2-2-2-1").objective
    theta = np.random.default_rng(4).normal(size=objective.parameter_count)
    (w1, w2, w3), x = (theta[w].reshape(s) for w, s in objective.slices()), None
    x, y = (np.asarray(next(a for k, a in objective.data.items() if k.name == n), dtype=float) for n in ("X", "Y"))
    alpha = float(objective.network.alpha_bar) if objective.network else 0.0

    def act(z: np.ndarray) -> np.ndarray:
        return np.where(z >= 0, z, alpha * z)

    def loss(shift: np.ndarray, layer: int, sample: int) -> float:
        a = act(w1 @ x[:, [sample]]) + (shift if layer == 1 else 0)
        a = act(w2 @ a) + (shift if layer == 2 else 0)
        return float(0.5 * np.sum((w3 @ a - y[:, [sample]]) ** 2))

    back = gates_at(objective, theta[None]).back
    for layer in (1, 2):
        for unit in range(2):
            for sample in range(x.shape[1]):
                h = np.zeros((2, 1))
                h[unit] = 1e-6
                slope = (loss(h, layer, sample) - loss(-h, layer, sample)) / 2e-6
                assert abs(back[layer - 1][0, unit, sample] - slope) < 1e-6


def test_costs_of_crossings_are_added_where_they_lie() -> None:
    crossings = Crossings(np.array([2, 3, 9]), np.array([1.0, 10.0, 100.0]))
    np.testing.assert_allclose(crossings.between(np.array([0, 2, 3, 8, 10])), [0, 1, 10, 100])
    assert Crossings().between(np.array([0, 5, 6])).sum() == 0


# Objects -------------------------------------------------------------------------------------------------------------


def test_every_bound_has_hypotheses_formula_and_source() -> None:
    names = [b.name for b in sf.known_bounds()]
    assert len(set(names)) == len(names)
    assert {"R4", "R22", "R18", "R5", "R4(tube)", "R4(global)", "R22(tube)", "R22(tube-free)"} <= set(names)
    assert {"R9(a)", "R9(e)", "R11", "R12", "R12(e)", "R13", "R13(kappa)"} <= set(names)
    printed = [b.latex() for b in sf.known_bounds()]
    assert len(set(printed)) == len(printed) - 2  # R4, R4(tube) and R4(global) differ in the set of the suprema
    for bound, formula in zip(sf.known_bounds(), printed, strict=True):
        assert bound.hypotheses
        on_curvature = bound.result in ("R9", "R11", "R12", "R13", "R34")
        assert (r"\lambda_{\min}(H) &\ge -" in formula) == on_curvature
        assert on_curvature or r"\eta" in formula or r"\delta" in formula
        assert bound.citation is not None
        assert bound.citation.id == bound.result
        assert bound.result is not None
        assert bound.name.startswith(bound.result)


def test_bounds_that_do_not_apply_are_typed(linear: Deviation, relu: Deviation) -> None:
    absent = linear.bounds["R13"].not_applicable
    assert absent is not None
    assert absent.since == 0
    assert "convolutional" in absent.reason
    assert relu.bounds["R9(e)"].status == "not applicable"
    assert relu.bounds["R12(e)"].status == "sampled"


def test_curvature_bounds_lie_below_the_smallest_eigenvalue(linear: Deviation, relu: Deviation) -> None:
    """At 50 digits, at a few times of the flow."""
    for dev in (linear, relu):
        hessian = sf.hessian(dev.problem.objective)
        for row in (0, len(dev.times) // 2, len(dev.times) - 1):
            with mpmath.workdps(50):
                theta = list(dev.flow(dev.times[row]))
                matrix = mpmath.matrix(sf.evaluate_mpmath(hessian, theta, dps=50).tolist())
                lowest = min(mpmath.eigsy(matrix, eigvals_only=True))
            seen = 0
            for bound in dev.bounds.values():
                if bound.kind == "curvature" and bound.values[row] is not None:
                    seen += 1
                    assert bound.values[row] <= lowest
            assert seen >= 4


def test_a_bound_of_your_own_takes_part() -> None:
    problem = reference("scalar-depth2")
    eta, t, g, M, s_1, n, f = sympy.symbols("eta t g M s_1 n f")
    generous = sf.user_bound("mine", 10 * eta * t * sympy.exp(M) * (1 + g) * s_1 * n)
    wrong = sf.user_bound("wrong", eta * t / 1000)
    lower = sf.user_bound("mine too", -sympy.sqrt(2 * f) * n - 1, of="curvature")
    table = sf.tightness(
        problem, step_size="1/100", horizon=2, dps=20, bounds=[*QUICK, generous, wrong, lower], slack=False
    )
    assert violations(table.deviation, "mine") == 0
    assert violations(table.deviation, "wrong") > 0
    assert table["mine"].status == "sampled"
    assert repr(table).count("\n") == len(table.rows) - 1
    assert "mine too" in repr(table)
    assert table["mine"].ratio > 1
    assert table["mine too"].kind == "curvature"
    assert generous.citation is None
    assert generous.latex()
    advice = sf.max_step_size(problem, "1/100", 2, bounds=[generous])
    assert advice["mine"].step_size is not None
    assert advice["mine"].value < 0.01


@pytest.mark.parametrize(
    ("expression", "options", "message"),
    [
        (sympy.Symbol("zeta"), {}, "lambda_min"),
        ("eta", {}, "never evaluated"),
        (sympy.Symbol("eta"), {"of": "loss"}, "deviation"),
        (sympy.gamma(sympy.Symbol("eta")), {}, "functions that NumPy has"),
        (sympy.Function("f")(sympy.Symbol("eta")), {}, "functions that NumPy has"),
        (sympy.Integral(sympy.exp(-(sympy.Symbol("t") ** 2)), sympy.Symbol("t")), {}, "functions that NumPy has"),
    ],
)
def test_wrong_bounds_are_refused(expression: object, options: dict[str, str], message: str) -> None:
    with pytest.raises(sf.ProblemError, match=message) as caught:
        sf.user_bound("mine", expression, **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("use", [sf.deviation, sf.tightness, partial(sf.max_step_size, epsilon="1/100", horizon=1)])
def test_what_are_no_bounds_is_refused(use: Callable[..., object], relu: Deviation) -> None:
    eta = sympy.Symbol("eta")
    for wrong in ("R4", sf.user_bound("mine", eta), 3):
        with pytest.raises(sf.ProblemError, match="bounds must be a list"):
            use(relu.problem, bounds=wrong)
    with pytest.raises(sf.ProblemError, match="got 'R4' twice"):  # one would hide the other
        use(relu.problem, bounds=[*sf.known_bounds(), sf.user_bound("R4", eta)])
    with pytest.raises(sf.ProblemError, match="must be text"):
        sf.user_bound(3, eta)  # type: ignore[arg-type]


def test_quantities_a_problem_lacks_make_a_bound_not_applicable(relu: Deviation) -> None:
    for name in ("w", "grad_phi", "s_3"):
        series = sf.user_bound("mine", sympy.Symbol(name)).evaluate(relu.comparison)
        assert series.status == "not applicable"
        assert name in (series.reason or "")
    rooted = sf.user_bound("mine", sympy.sqrt(1 - sympy.Symbol("t"))).evaluate(relu.comparison)
    absent = rooted.not_applicable
    assert absent is not None
    assert "no real value" in absent.reason


def test_quantities_against_numpy(linear: Deviation) -> None:
    run = linear.comparison
    theta = run.points[-1]
    w1, w2, w3 = theta[:4].reshape(2, 2), theta[4:8].reshape(2, 2), theta[8:].reshape(1, 2)
    x, y = (np.asarray(a, dtype=float) for a in (linear.problem.x, linear.problem.y))
    product = w3 @ w2 @ w1
    slope = (product @ x.T - y.T) @ x / len(x)
    expected = {"w": np.linalg.norm(product, 2), "grad_phi": np.linalg.norm(slope, 2), "theta": np.linalg.norm(theta)}
    expected |= {"grad_phi_F": np.linalg.norm(slope), "n": 3.0, "eta": 0.02, "T": 3.0, "t": 3.0}
    expected |= {"f": np.mean(np.sum((x @ product.T - y) ** 2, axis=1)) / 2}
    known = sf.bound_quantities()
    for name, value in expected.items():
        found = known[name].evaluate(run)
        assert found is not None
        assert abs(found[-1] - value) < 1e-12 * max(1, abs(value)), name
    low, high, size = (known[n].evaluate(run) for n in ("lambda_min", "lambda_max", "H"))
    assert low is not None
    assert high is not None
    np.testing.assert_allclose(size, np.maximum(np.abs(low), np.abs(high)))
    np.testing.assert_allclose(low, linear.flow_series.min_eigenvalue)


def test_a_flow_that_is_known_is_used_and_checked() -> None:
    problem = reference("scalar-depth2")
    flow = sf.solve_flow(problem, horizon=3, dps=25)
    dev = sf.deviation(problem, step_size="1/20", horizon=2, dps=20, flow=flow)
    assert dev.flow is flow
    assert abs(dev.max - sf.deviation(problem, step_size="1/20", horizon=2, dps=20).max) < 1e-19
    with pytest.raises(sf.ProblemError, match="horizon"):
        sf.deviation(problem, step_size="1/20", horizon=4, dps=20, flow=flow)
    with pytest.raises(sf.ProblemError, match="another objective"):
        sf.deviation(reference("linear-2-2-2-1"), step_size="1/20", horizon=2, dps=20, flow=flow)


def test_a_kink_that_descent_crosses_and_recrosses_between_two_samples_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """h = v leaky(w), target 2, eta = 1: (w, v) = (3/2, 2), (-1/2, 1/2), (1/32, -1/32); only the outer two are kept.

    The flow has no event: v w falls from 3 to 2.
    """
    monkeypatch.setattr(deviation, "EARLY_STEPS", 0)
    monkeypatch.setattr(deviation, "SAMPLES", 1)
    problem = sf.Problem(
        network={"widths": [1, 1, 1], "activation": "leaky-relu", "slope": "1/2"},
        data={"x": [[1]], "y": [[2]]},
        init={"theta": ["3/2", "2"]},
    )
    found = sf.deviation(problem, step_size=1, horizon=2, dps=20)
    assert [float(t) for t in found.times] == [0, 2]
    assert not found.flow.events
    for name in ("R4", "R22"):
        assert found.bounds[name].values[-1] is None
        assert "not convex" in (found.bounds[name].reason or "")


BEFORE = {
    "linear": {
        "R4": (0.00014555307978591302, 0.002216884245717797),
        "R22": (6.728464950786243e-05, 0.00045207212165739995),
        "R4(tube)": (0.00014562812552903053, 0.002242129052049888),
        "R4(global)": (0.00015315492321895708, 0.002370576837922211),
        "R5": (0.0001536410366939671, 0.0025012997295145822),
        "R22(tube)": (6.778277699269716e-05, 0.00046234020784728804),
        "R22(tube-free)": (6.735605028503956e-05, 0.00045582949121000186),
    },
    "relu": {
        "R4": (3.8509166524588844e-05, 0.0013256401107801764),
        "R22": (1.661662286203134e-05, 0.000402108072671103),
        "R4(tube)": (3.854104906761868e-05, 0.0013232756915813433),
        "R4(global)": (3.891751514023758e-05, 0.00133752469262626),
        "R5": (3.892962194730635e-05, 0.0013746782975471192),
        "R22(tube)": (1.6673536044667443e-05, 0.00040498995183511736),
        "R22(tube-free)": (1.6621918711912642e-05, 0.0004030329531035992),
    },
}
"""The tenth value and the last one, as they were when every bound had its own recursion."""


@pytest.mark.parametrize("name", BEFORE["linear"])
def test_bounds_are_what_they_were_before_r3_was_one_function(linear: Deviation, relu: Deviation, name: str) -> None:
    for problem, dev in (("linear", linear), ("relu", relu)):
        values = [float(v) for v in dev.bounds[name].values if v is not None]
        assert (values[10], values[-1]) == pytest.approx(BEFORE[problem][name], rel=1e-13)


def test_bounds_answer_to_the_slug_of_their_result(linear: Deviation) -> None:
    assert linear.bounds["trajectory-wise(tube-free)"] is linear.bounds["R22(tube-free)"]
    assert sf.known_bounds("step-size", "curvature-linear(a)") == sf.known_bounds("R4", "R9(a)")
    assert {bound.name for bound in sf.known_bounds("trajectory-wise(tube)")} == {"R22(tube)"}
    with pytest.raises(sf.ProblemError, match="names among R4, R22"):
        sf.known_bounds("R99")


def test_bounds_are_chosen_by_name_too() -> None:
    from symflow.analysis.bounds import chosen_bounds

    mine = sf.known_bounds("R5")[0]
    assert [b.name for b in chosen_bounds(["step-size", mine, "R22(tube)"], ())] == ["R4", "R5", "R22(tube)"]
    for wrong, message in (("R22", "must be a list"), (["R99"], "must be names among"), (["R4", "R4"], "twice")):
        with pytest.raises(sf.ProblemError, match=message):
            chosen_bounds(wrong, ())
