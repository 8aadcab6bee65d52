"""R16: its constants on sampled points of the tube, and descent of whole networks with the step size it gives."""

from __future__ import annotations

import random
from datetime import date
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path

import jax
import mpmath
import numpy as np
import pytest
from plain_convergence import Case, network_problem, reduced_descent

import symflow as sf
from symflow.analysis.convergence.guarantee import DescentGuarantee

TABLE = Path(__file__).parent.parent / "studies" / "descent_guarantee.md"
MODERATE = Case(3, "1", "0.5", "0.3", "1e-2")
FLOOR = 1e-8
"""Ratios of successive E are looked at above this; rounding hides them below."""


def test_reduced_descent_is_descent_of_the_network() -> None:
    """Three numbers give the loss of the whole network, step by step."""
    problem = network_problem([3, 2, 2], seed=4)
    start = sf.balanced_start(problem)
    case = Case(3, str(float(start.target_norm)), str(float(start.w0)), str(float(start.alignment)), "1e-9")
    run = sf.descend(problem, step_size="1/20", steps=200, keep=[1, 10, 200])
    with jax.enable_x64(True):
        f = sf.to_jax(sf.loss(problem.objective))
        least = float(sf.minimum_loss(problem))
        for k, theta in zip(run.indices[1:], run.iterates[1:], strict=True):
            assert reduced_descent(case, 0.05, k).excess == pytest.approx(float(f(theta)) - least, rel=1e-9, abs=1e-14)


@pytest.mark.parametrize("depth", [2, 3])
def test_descent_of_real_networks(depth: int) -> None:
    """The claim, on a problem: f(theta_k) - f* <= accuracy at k* and later."""
    problem = network_problem([2, 2], seed=3) if depth == 2 else diagonal_problem("9/10", 1, "1/2")
    start = sf.balanced_start(problem)
    found = sf.descent_guarantee(**vars(start), accuracy="2e-2")
    assert found.steps <= 100_000
    run = sf.descend(problem, step_size=found.step_size, steps=2 * found.steps, keep=[found.steps])
    with jax.enable_x64(True):
        f = sf.to_jax(sf.loss(problem.objective))
        excess = [float(f(theta)) - float(sf.minimum_loss(problem)) for theta in run.iterates]
    assert excess[0] > 0.02
    assert max(excess[1:]) <= 0.02
    assert found.holds == "for all k >= k*"


def diagonal_problem(s: str, first: object, second: object) -> sf.Problem:
    """Depth 3, every layer s times a matrix unit, Lambda_yx = (first, second)."""
    a, b = Fraction(first), Fraction(second)
    return sf.Problem(
        network={"widths": [2, 2, 2, 1], "activation": "linear"},
        data={"x": [[1, 1], [1, -1]], "y": [[a + b], [a - b]]},
        init={"theta": [s, 0, 0, 0, s, 0, 0, 0, s, 0]},
    )


def tube_extremes(problem: sf.Problem, radius: float, seed: int) -> tuple[float, float, float]:
    """Largest sampled ||H||, ||g|| and -lambda_min(H) on the sphere of a radius around theta(0)."""
    rng = np.random.default_rng(seed)
    theta = np.array([float(v) for v in problem.theta0])
    with jax.enable_x64(True):
        g, h = (sf.to_jax(d(problem.objective)) for d in (sf.gradient, sf.hessian))
        slope, spectrum = np.asarray(g(theta)), np.linalg.eigh(np.asarray(h(theta)))
        directions = [slope, -slope, theta, *spectrum[1].T, *rng.normal(size=(40, len(theta)))]
        points = [theta, *(theta + radius * v / np.linalg.norm(v) for v in directions)]
        gradients = [np.linalg.norm(g(p)) for p in points]
        spectra = [np.linalg.eigvalsh(h(p)) for p in points]
    return max(np.abs(s).max() for s in spectra), max(gradients), max(-s[0] for s in spectra)


@pytest.mark.parametrize("target", [(-1, "1/2"), (100, 10)], ids=["away", "far"])
def test_constants_hold_on_the_tube(target: tuple[object, object]) -> None:
    """beta, gamma and m(0) on the tube around theta(0). Negative controls: each with one power less of s + eps.

    The bounds on gradient and Hessian are nearly sharp where W(0) points away from the target and w(0) > lambda, the
    bound on the smallest eigenvalue where the target is far away in the direction of W(0).
    """
    problem = diagonal_problem("5/4", *target)
    found = sf.descent_guarantee(**vars(sf.balanced_start(problem)), accuracy="1e-2")
    n, s, eps = 3, 1.25, float(found.radius)
    excess = float(found.quantities["E(0)"][1])
    m = (n - 1) * ((2 * excess) ** 0.5 + (s + eps / n**0.5) ** n - s**n) * (s + eps)
    h, g, curvature = tube_extremes(problem, eps, seed=1)
    assert h <= found.beta
    assert g <= found.gamma
    assert curvature <= m
    if target[0] == -1:
        reach = s + eps
        assert g > found.gamma / reach
        assert h > found.beta / reach
    else:
        assert curvature > m / (s + eps)


def check_case(case: Case, found: DescentGuarantee) -> tuple[int, float]:
    """Runs descent: E <= accuracy at k* and after, E_{k+1} <= (1 - eta mu) E_k from the basin on; how pessimistic.

    Returns:
        The first step with E <= accuracy, and the largest eta 2^j with which E <= accuracy at ceil(T / (eta 2^j)),
        over eta.
    """
    eta, accuracy = float(found.step_size), case.numbers[3]
    trapping = found.trapping
    assert trapping is not None
    until = found.steps - trapping.extra_steps
    basin = reduced_descent(case, eta, until)
    assert basin.excess <= float(found.basin), case
    rest = reduced_descent(case, eta, trapping.extra_steps, state=basin.state, floor=FLOOR)
    end = reduced_descent(case, eta, found.steps, floor=FLOOR)
    assert max(end.excess, rest.excess) <= accuracy, case
    after = reduced_descent(case, eta, min(found.steps, 100_000), state=end.state, floor=FLOOR)
    assert after.excess <= accuracy, case
    limit = 1 - eta * float(trapping.pl_constant) + 1e-11
    assert max(rest.worst, after.worst) <= limit, case
    factor = 1.0
    while factor < 1e12:
        steps = int(np.ceil(float(found.flow_time) / (2 * factor * eta)))
        if not reduced_descent(case, 2 * factor * eta, steps).excess <= float(found.basin):
            break
        factor *= 2
    return end.first, factor


@pytest.mark.parametrize("basin", [None, "1/200"])
def test_moderate_case(basin: str | None) -> None:
    found = sf.descent_guarantee(**vars(MODERATE), basin=basin)
    assert found.steps < 100_000
    first, factor = check_case(MODERATE, found)
    assert first <= found.steps
    assert factor > 8


def test_wrong_constants_are_refuted() -> None:
    """Negative controls: far larger steps, far fewer steps and three times the contraction are refuted by descent."""
    found = sf.descent_guarantee(**vars(MODERATE), basin="1/1000")
    eta, accuracy = float(found.step_size), 1e-2
    large = 4 / float(found.beta)
    steps = int(np.ceil(float(found.flow_time) / large))
    assert not reduced_descent(MODERATE, 4 * large, steps).excess <= accuracy
    assert reduced_descent(MODERATE, eta, found.steps // 3).excess > accuracy
    assert found.trapping is not None
    near = reduced_descent(MODERATE, eta, found.steps, floor=FLOOR)
    worst = reduced_descent(MODERATE, eta, 1000, state=near.state, floor=FLOOR).worst
    mu = float(found.trapping.pl_constant)
    assert 1 - 3 * eta * mu < worst <= 1 - eta * mu + 1e-11


def test_trapping_needs_its_step_size() -> None:
    """At the minimum descent with eta > 2 / ||H|| leaves; 1/L stays below half of that, for all depths."""
    for depth in (2, 3, 5):
        case = Case(depth, "1", "1.001", "0.9999", "1e-3")
        found = sf.descent_guarantee(**vars(case))
        assert found.trapping is not None
        assert float(found.step_size) <= 1 / float(found.trapping.smoothness)
        sharpness = depth  # lambda = 1: ||H|| = n lambda^(2-2/n) at the minimum
        assert found.trapping.smoothness >= sharpness
        assert not reduced_descent(case, 2.2 / sharpness, 2000).excess <= 1e-5
        assert reduced_descent(case, 1 / float(found.trapping.smoothness), 2000).excess < 1e-12


def test_steps_grow_like_the_logarithm() -> None:
    """From a fixed basin eta does not depend on the accuracy and k* grows by the same number per decade."""
    found = [
        sf.descent_guarantee(**{**vars(MODERATE), "accuracy": f"1e-{k}"}, basin="1/200") for k in (4, 6, 8, 10, 40)
    ]
    assert len({f.step_size for f in found}) == 1
    growth = np.diff([f.steps for f in found])
    assert growth[:3].max() - growth[:3].min() <= 1
    assert abs(growth[3] - 15 * growth[0]) <= 30
    plain = [sf.descent_guarantee(**{**vars(MODERATE), "accuracy": f"1e-{k}"}).steps for k in (4, 6, 8)]
    assert plain[2] > 5 * plain[1] > 25 * plain[0]


def test_closed_form_is_larger() -> None:
    quadrature, closed = (sf.descent_guarantee(**vars(MODERATE), method=m) for m in ("quadrature", "closed-form"))
    assert closed.status == "proved"
    assert quadrature.error_estimate is not None
    assert quadrature.error_estimate < 1e-8
    assert closed.growth > quadrature.growth
    assert closed.flow_time > quadrature.flow_time
    assert closed.steps > 100 * quadrature.steps


def test_growth_against_a_riemann_sum() -> None:
    """M and the integral again: dM/dt = m, dI/dt = 1 + m I, by SciPy along w' and nu'."""
    from scipy.integrate import solve_ivp

    found = sf.descent_guarantee(**vars(MODERATE))
    n, (lam, w0, nu0, _), eps = 3, MODERATE.numbers, float(found.radius)

    def rates(_: float, v: np.ndarray) -> list[float]:
        w, nu, _, integral = v
        s = w ** (1 / n)
        gradient = (w * w - 2 * lam * nu * w + lam * lam) ** 0.5 + (s + eps / n**0.5) ** n - s**n
        m = (n - 1) * gradient * (s + eps) ** (n - 2)
        return [n * w ** (2 - 2 / n) * (lam * nu - w), lam * w ** (1 - 2 / n) * (1 - nu * nu), m, 1 + m * integral]

    span = (0, float(found.flow_time))
    end = solve_ivp(rates, span, [w0, nu0, 0, 0], method="DOP853", rtol=1e-11, atol=1e-12).y[:, -1]
    assert float(found.growth) == pytest.approx(end[2], rel=1e-8)
    assert float(found.quantities["I"][1]) == pytest.approx(end[3], rel=1e-8)


def test_what_a_guarantee_carries() -> None:
    found = sf.descent_guarantee(**vars(MODERATE))
    assert found.citation.id == "R16"
    assert found.latex().count("{") == found.latex().count("}")
    assert r"k \geq k^*" in found.latex()
    eta, used = mpmath.mpf(found.step_size.numerator) / found.step_size.denominator, found.quantities["I"][1]
    assert eta * found.beta * found.gamma * used < found.radius
    coarse = sf.descent_guarantee(**{**vars(MODERATE), "accuracy": "0.1"})
    assert coarse.holds == "at k = k*"
    assert coarse.reason is not None
    assert "give a basin" in coarse.reason
    assert sf.descent_guarantee(**{**vars(MODERATE), "accuracy": "0.1"}, basin="0.01").holds == "for all k >= k*"
    there = sf.descent_guarantee(**{**vars(MODERATE), "w0": "1", "alignment": "0.99999", "accuracy": "1e-2"})
    assert there.steps == 0
    with pytest.raises(sf.ProblemError, match="basin must be below"):
        sf.descent_guarantee(**vars(MODERATE), basin=1)
    with pytest.raises(sf.ProblemError, match="method must be"):
        sf.descent_guarantee(**vars(MODERATE), method="explicit")


def moderate_cases(count: int) -> list[tuple[Case, DescentGuarantee]]:
    """Seeded cases with k* <= 10^6: depth 2-6, half of them from a basin of lambda^2/200."""
    rng = random.Random(16)
    found: list[tuple[Case, DescentGuarantee]] = []
    while len(found) < count:
        lam = f"{rng.uniform(0.4, 1.6):.3f}"
        depth, w0, nu = rng.randint(2, 6), f"{rng.uniform(0.2, 1.5):.3f}", f"{rng.uniform(-0.7, 0.95):.3f}"
        case = Case(depth, lam, w0, nu, f"{10 ** rng.uniform(-5, -2) * float(lam) ** 2:.3g}")
        basin = Fraction(lam) ** 2 / 200 if rng.random() < 0.5 else None
        if depth > 4 and rng.random() < 0.5:
            continue
        guarantee = sf.descent_guarantee(**vars(case), basin=basin)
        if 10 <= guarantee.steps <= 1_000_000:
            found.append((case, guarantee))
    return found


@pytest.mark.thorough
def test_forty_moderate_cases() -> None:
    rows, steps, sizes = [], [], []
    for case, found in moderate_cases(40):
        first, factor = check_case(case, found)
        steps.append(found.steps / max(1, first))
        sizes.append(factor)
        basin = "accuracy" if found.basin == found.accuracy else f"{float(found.basin):.1e}"
        rows.append(
            f"| {case.depth} | {case.target_norm} | {case.w0} | {case.alignment} | {case.accuracy} | {basin} | "
            f"{float(found.step_size):.2e} | {found.steps} | {first} | {steps[-1]:.1f} | {factor:g} |"
        )
    lines = [
        "# Descent with the step size of R16",
        "",
        f"40 random cases of `tests/analysis/test_convergence_guarantee.py` with k* at most 10^6, {date.today()},",
        f"symflow {sf.__version__}, JAX {version('jax')}, float64.  Every one has E <= accuracy at k* and later, and",
        "E_(k+1) <= (1 - eta mu) E_k from the basin on.  *needed*: the first step with E <= accuracy at this eta.",
        "*larger eta*: the largest power of 2 by which eta can be multiplied so that descent still has E <= basin at",
        "ceil(T/eta).",
        "",
        f"k* over needed: median {np.median(steps):.1f}, largest {max(steps):.1f}.  Larger eta: median "
        f"{np.median(sizes):g}, least {min(sizes):g}, largest {max(sizes):g}.",
        "",
        "| n | lambda | w(0) | nu(0) | accuracy | basin | eta | k* | needed | k*/needed | larger eta |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
        *rows,
        "",
    ]
    TABLE.write_text("\n".join(lines), encoding="utf-8")


@pytest.mark.parametrize("alignment", ["0.99999999999999999999", "-0.99999999999999999999", "-0.999999"])
@pytest.mark.parametrize("method", ["explicit", "closed-form"])
def test_alignments_next_to_one_give_numbers_or_one_line(alignment: str, method: str) -> None:
    start = {"depth": 3, "target_norm": 1, "w0": "1/10", "alignment": alignment, "accuracy": "1e-3"}
    if method == "explicit":
        assert mpmath.isfinite(sf.convergence_time(**start).value)
        return
    if not alignment.startswith("-"):
        assert sf.descent_guarantee(**start, method="closed-form").steps > 0
        return
    with pytest.raises(sf.ComputationError, match=r"10\^1000") as caught:
        sf.descent_guarantee(**start, method="closed-form")
    assert "\n" not in str(caught.value)


def test_the_time_of_an_alignment_next_to_one() -> None:
    """Depth 2, w(0) = lambda/10: with nu = 1 it is w' = 2 w (lambda - w), a logistic curve; E = (w - lambda)^2 / 2."""
    found = sf.convergence_time(
        depth=2, target_norm=1, w0="1/10", alignment=1 - Fraction(1, 10**30), accuracy="1e-3", method="quadrature"
    )
    goal = 1 - mpmath.sqrt(mpmath.mpf(2) / 1000)
    exact = mpmath.log(9 * goal / (1 - goal)) / 2
    assert abs(found.value - exact) < 1e-13
