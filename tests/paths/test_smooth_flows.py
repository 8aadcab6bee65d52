"""Flows, descent and what is proved of them on networks with smooth activations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy
from mpmath import mpf

import symflow as sf
from symflow.paths.trajectory import Trajectory

TABLE = Path(__file__).parent.parent / "studies" / "smooth_flows.md"
NAMES = ("tanh", "sigmoid", "softplus", "gelu", "gelu-tanh", "silu")
LOSSES = ("square", "logistic", "cross-entropy")
Z = sympy.Symbol("z", real=True)
MISH = Z * sympy.tanh(sympy.log(1 + sympy.exp(Z)))


def problem(
    activation: Any, widths: Sequence[int] = (2, 2, 1), loss: str = "square", seed: int = 1, **keys: Any
) -> Any:
    """Two or three samples in quarters, weights in quarters."""
    rng = np.random.default_rng(seed)
    biases = keys.pop("biases", False)
    options = {key: keys.pop(key) for key in ("skip", "output_scale") if key in keys}
    network = sf.FullyConnected(tuple(widths), activation=activation, biases=biases, **options)
    x = rng.integers(-6, 7, size=(3, widths[0])) / 4
    y = rng.integers(-4, 5, size=(3, widths[-1])) / 4
    if loss == "logistic":
        y = np.sign(y + 0.1)
    if loss == "cross-entropy":
        y = np.eye(widths[-1])[np.arange(3) % widths[-1]]
    objective = sf.network_objective(network, x, y, loss)
    theta = rng.integers(-6, 7, size=objective.parameter_count) / 4
    return sf.Problem(objective=objective, theta0=theta, **keys), x, y, theta


def heyoka_end(network: sf.FullyConnected, loss: str, x: Any, y: Any, theta: Any, horizon: int) -> list[mpf]:
    """theta(T) by heyoka's Taylor integrator with 45 digits, from a loss written by hand and heyoka's derivatives."""
    hy = pytest.importorskip("heyoka")
    bits = 150

    def real(q: Any) -> Any:
        f = Fraction(q)
        return hy.expression(hy.real(f.numerator, bits) / hy.real(f.denominator, bits))

    half, one = real("1/2"), real(1)
    with mpmath.workdps(60):
        constants = [mpmath.nstr(c, 58) for c in (mpmath.sqrt(2), mpmath.sqrt(2 / mpmath.pi))]
    root, kappa = (hy.expression(hy.real(c, bits)) for c in constants)
    sigma: dict[str, Callable[[Any], Any]] = {
        "tanh": hy.tanh,
        "sigmoid": lambda z: one / (one + hy.exp(-z)),
        "softplus": lambda z: hy.log(one + hy.exp(z)),
        "gelu": lambda z: half * z * (one + hy.erf(z / root)),
        "gelu-tanh": lambda z: half * z * (one + hy.tanh(kappa * (z + real("44715/1000000") * z * z * z))),
        "silu": lambda z: z / (one + hy.exp(-z)),
        "expression": lambda z: z * hy.tanh(hy.log(one + hy.exp(z))),
    }
    v = hy.make_vars(*[f"w{i}" for i in range(len(theta))])
    f = hy.expression(0.0)
    for a, t in zip(x, y, strict=True):
        passed, at = [[real(q) for q in a]], 0
        for j in range(1, network.depth + 1):
            rows, columns = network.widths[j], network.widths[j - 1]
            z = [sum((v[at + r * columns + c] * passed[-1][c] for c in range(columns)), real(0)) for r in range(rows)]
            at += rows * columns
            if network.biases[j - 1]:
                z = [z[r] + v[at + r] for r in range(rows)]
                at += rows
            a_j = z if j == network.depth else [sigma[network.activation](e) for e in z]
            for i, to in network.skip:
                a_j = [p + q for p, q in zip(a_j, passed[i], strict=True)] if to == j else a_j
            passed.append(a_j)
        h = [real(network.output_scale) * e for e in passed[-1]]
        if loss == "square":
            f = f + half * sum(((p - real(q)) ** 2.0 for p, q in zip(h, t, strict=True)), real(0))
        elif loss == "logistic":
            f = f + hy.log(one + hy.exp(-(real(t[0]) * h[0])))
        else:
            total = hy.log(sum((hy.exp(p) for p in h), real(0)))
            f = f + total - sum((real(q) * p for p, q in zip(h, t, strict=True)), real(0))
    mean = f / real(len(x))
    system = [(w, -hy.diff(mean, w)) for w in v]
    start = [hy.real(Fraction(q).numerator, bits) / hy.real(Fraction(q).denominator, bits) for q in theta]
    integrator = hy.taylor_adaptive(system, start, fp_type=hy.real, prec=bits, compact_mode=True)
    integrator.propagate_until(hy.real(horizon, bits))
    with mpmath.workdps(50):
        return [mpf(str(s)) for s in integrator.state]


def distance(flow: Trajectory, expected: Sequence[mpf], time: int) -> mpf:
    with mpmath.workdps(50):
        return max(abs(a - b) / max(1, abs(b)) for a, b in zip(flow(time), expected, strict=True))


CASES = [
    (activation, widths, loss, biases, skip, scale)
    for n, activation in enumerate([*NAMES, MISH])
    for loss in LOSSES
    for widths, biases, skip, scale in (
        ((2, 2, 2 if loss == "cross-entropy" else 1), False, (), 1),
        ((1, 2, 2, 2 if loss == "cross-entropy" else 1), (True, bool(n % 2), True), ((1, 2),), "1/2"),
    )
]


def against_heyoka(case: Any, error: Any) -> tuple[Trajectory, mpf]:
    activation, widths, loss, biases, skip, scale = case
    p, x, y, theta = problem(activation, widths, loss, 3, biases=biases, skip=skip, output_scale=scale)
    flow = sf.solve_flow(p, horizon=2, dps=30, error=error)
    network = p.objective.architecture
    return flow, distance(flow, heyoka_end(network, loss, x, y, theta, 2), 2)


@pytest.mark.parametrize("case", [CASES[18], pytest.param(CASES[33], marks=pytest.mark.thorough)], ids=str)
def test_thirty_digits_against_heyoka(case: Any) -> None:
    flow, off = against_heyoka(case, "certified")
    assert off < mpf(10) ** -30
    assert flow.error.how == "certified"
    assert off <= flow.error.value + mpf(10) ** -38


def test_the_comparison_sees_a_wrong_activation() -> None:
    """Negative control."""
    p, x, y, theta = problem("gelu", seed=3)
    other = sf.FullyConnected((2, 2, 1), activation="gelu-tanh")
    flow = sf.solve_flow(p, horizon=2, dps=20, error=None)
    assert distance(flow, heyoka_end(other, "square", x, y, theta, 2), 2) > mpf(10) ** -7


@pytest.mark.thorough
def test_all_activations_against_heyoka() -> None:
    lines = [
        "# Flows of networks with smooth activations against heyoka",
        "",
        f"Thirty digits, T = 2, networks of `tests/paths/test_smooth_flows.py`, {date.today()}, symflow "
        f"{sf.__version__}: the largest relative distance from heyoka's Taylor integrator (45 digits, derivatives of a "
        "loss written by hand), and symflow's certified error.",
        "",
        "| activation | widths, options | loss | distance | certified error |",
        "|---|---|---|---|---|",
    ]
    wrong = []
    for case in CASES:
        flow, off = against_heyoka(case, "certified")
        activation, widths, loss, biases, skip, scale = case
        options = f", biases {[int(b) for b in biases]}, skip {skip}, scale {scale}" if skip else ""
        shown = [mpmath.nstr(v, 2) for v in (off, flow.error.value)]
        lines.append(f"| {activation} | {widths}{options} | {loss} | {shown[0]} | {shown[1]} ({flow.error.how}) |")
        if off > mpf(10) ** -30 or off > flow.error.value + mpf(10) ** -38:
            wrong.append(case)
    TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert not wrong


# Out of sight ---------------------------------------------------------------------------------------------------------


def lone(activation: str, start: str, **keys: Any) -> sf.Problem:
    """f = W_2 sigma(W_1), from W_2 = 1."""
    p, y = sympy.symbols("p y")
    loss = sf.expression_loss(p, p, y, convex=True)
    objective = sf.network_objective(sf.FullyConnected((1, 1, 1), activation=activation), [1], [0], loss)
    return sf.Problem(objective=objective, theta0=[start, "1"], **keys)


@pytest.mark.parametrize(("start", "horizon"), [("1200", "1"), ("-1200", "1"), ("40", "1/2"), ("-37", "5")])
@pytest.mark.parametrize("activation", ["tanh", "gelu", "sigmoid"])
def test_saturated_units_at_many_digits(activation: str, start: str, horizon: str) -> None:
    """Far out sigma is a constant, or z, up to less than the digits: w_2' = -sigma(w_1), w_1' = -w_2 sigma'(w_1)."""
    dps = 100 if abs(int(start)) > 1000 else 15
    end = sf.solve_flow(lone(activation, start), horizon=horizon, dps=dps, error=None).at_end()
    with mpmath.workdps(dps + 20):
        t, w = mpf(Fraction(horizon).numerator) / Fraction(horizon).denominator, mpf(start)
        if activation == "gelu" and w > 0:  # w_1' = -w_2, w_2' = -w_1
            expected = [w * mpmath.cosh(t) - mpmath.sinh(t), mpmath.cosh(t) - w * mpmath.sinh(t)]
            if expected[0] < 40:
                pytest.skip("it comes back to where GELU bends")
        else:
            limit = {"tanh": mpmath.sign(w), "sigmoid": mpf(w > 0), "gelu": mpf(0)}[activation]
            expected = [w, 1 - limit * t]
        assert max(abs(a - b) / max(1, abs(b)) for a, b in zip(end, expected, strict=True)) < mpf(10) ** -dps


@pytest.mark.thorough
def test_a_bell_out_of_sight_is_not_jumped_over() -> None:
    """f = -a + 5 erf(a - 30): the flow meets a barrier after thirty units of time, and rests in front of it."""
    a = sympy.Symbol("a")
    objective = sf.expression_objective(-a + 5 * sympy.erf(a - 30), [a])
    flow = sf.solve_flow(sf.Problem(objective=objective, theta0=[0]), horizon=60, dps=15, error=None)
    with mpmath.workdps(40):  # 5 erf'(a - 30) = 1
        rest = 30 - mpmath.sqrt(mpmath.log(10 / mpmath.sqrt(mpmath.pi)))
    assert abs(flow.at_end()[0] - rest) < mpf(10) ** -14
    fast = sf.solve_flow_float64(sf.Problem(objective=objective, theta0=[0]), horizon=60)
    assert abs(fast(60)[0] - float(rest)) < 1e-6


# What stands on the flow ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", [pytest.param("tanh", marks=pytest.mark.thorough), "gelu"])
def test_descent_deviation_and_bounds(activation: str) -> None:
    p, *_ = problem(activation, seed=2)
    found = sf.deviation(p, step_size="1/50", horizon="1/2", dps=20)
    assert found.max > 0
    for name in ("R4", "R22"):
        bound = found.bounds[name]
        assert bound.values, bound
        assert all(b >= v for b, v in zip(bound.values, found.values, strict=False)), name
    leading = found.bounds["R18"].values[-1]
    assert abs(leading / found.values[-1] - 1) < mpf(1) / 20
    run = sf.descend(p, step_size="1/50", steps=10, dps=25)
    fast = sf.descend(p, step_size="1/50", steps=10)
    assert np.allclose(np.array(run.at_end(), dtype=float), np.asarray(fast.at_end(), dtype=float), rtol=1e-12)


def test_modified_equation_of_a_smooth_network() -> None:
    """Ten times smaller steps bring descent a thousand times nearer to the flow of order 2."""
    p, *_ = problem("tanh", seed=2)
    offs = [
        float(sf.deviation(p, step_size=h, horizon="1/5", dps=20, order=2, bounds=()).max) for h in ("1/20", "1/200")
    ]
    assert 500 < offs[0] / offs[1] < 2000


@pytest.mark.parametrize("activation", [pytest.param("silu", marks=pytest.mark.thorough), "softplus"])
def test_flow_in_float64(activation: str) -> None:
    p, *_ = problem(activation, seed=5)
    digits = sf.solve_flow(p, horizon=2, dps=20, error=None)
    fast = sf.solve_flow_float64(p, horizon=2)
    assert np.abs(np.array(digits(2), dtype=float) - fast(2)).max() < 1e-7
