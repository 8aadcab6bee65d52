"""Kinks of networks with many samples: crossed one by one, with the events and digits of trying all sides."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from math import inf, log2

import mpmath
import numpy as np
import pytest
from gmpy2 import mpz
from mpmath import mpf

import symflow as sf
from symflow.dynamics.vector_field import VectorField
from symflow.evaluate import series as compiler
from symflow.evaluate.fixed_point import FixedSeries
from symflow.evaluate.series import Recurrence
from symflow.numbers.fixed_point import from_fraction
from symflow.paths.taylor import run
from symflow.paths.taylor.dense import taylor_steps
from symflow.paths.taylor.events import earliest_zero, first_kink
from symflow.paths.taylor.kinks.gates import Position
from symflow.paths.taylor.kinks.minimal_norm import Side, Surfaces
from symflow.paths.taylor.kinks.region import Point, Region
from symflow.paths.taylor.order import LEAST, Order
from symflow.paths.taylor.powers import Powers


def problem(seed: int, activation: str, samples: int, widths: tuple[int, ...], scale: str) -> sf.Problem:
    rng = np.random.default_rng(seed)
    x, y = (rng.normal(size=(samples, w)).round(2).astype(str).tolist() for w in (widths[0], widths[-1]))
    return sf.Problem(
        network={"widths": widths, "activation": activation} | ({"slope": "1/5"} if activation == "leaky-relu" else {}),
        data={"x": x, "y": y},
        init={"scheme": "gaussian", "scale": scale, "seed": seed},
        run={"horizon": "3/2", "dps": 15},
    )


def events(flow: sf.Trajectory) -> list[tuple[object, ...]]:
    return [(e.kind, e.sample, e.layer, e.unit) for e in flow.events]


@pytest.mark.parametrize("activation", ["relu", "leaky-relu"])
@pytest.mark.parametrize("seed", [1, 4])
def test_crossing_is_what_trying_all_sides_finds(activation: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gates that slide in one layer while others cross, in blocks and not: one flow."""
    p = problem(seed, activation, 12, (2, 4, 1), "1")
    crossed: list[bool] = []
    real = run.cross

    def counted(*args: object) -> object:
        found = real(*args)  # type: ignore[arg-type]
        crossed.append(found is not None)
        return found

    monkeypatch.setattr(run, "cross", counted)
    monkeypatch.setattr(compiler, "LEAST_BLOCKS", 0)
    fast = sf.solve_flow(p, error=None)
    assert any(crossed)
    monkeypatch.setattr(run, "cross", lambda *args: None)
    monkeypatch.setattr(compiler, "LEAST_BLOCKS", 10**9)
    slow = sf.solve_flow(p, error=None)
    assert events(fast) == events(slow)
    with mpmath.workdps(30):
        assert all(abs(a.time - b.time) < mpf(10) ** -15 for a, b in zip(fast.events, slow.events, strict=True))
        assert max(abs(fast.at_end() - slow.at_end())) < mpf(10) ** -15


@pytest.mark.parametrize(("activation", "seed"), [("relu", 6), ("leaky-relu", 6)])
def test_first_order_finds_what_trying_all_sides_does(
    activation: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two layers with gates: crossings while gates of another layer slide, and sides that first order excludes."""
    p = problem(seed, activation, 8, (2, 3, 3, 1), "1")
    excluded: list[bool] = []
    elsewhere: list[bool] = []
    contradict, cross = Surfaces.contradict, run.cross

    def noted(self: Surfaces, sides: Sequence[Side]) -> bool:
        excluded.append(contradict(self, sides))
        return excluded[-1]

    def crossed(base: VectorField, before: Region, a: Position, point: Point, order: int) -> Region | None:
        found = cross(base, before, a, point, order)
        elsewhere.append(found is not None and any(b[0] != a[0] for b in before.sliding))
        return found

    monkeypatch.setattr(Surfaces, "contradict", noted)
    monkeypatch.setattr(run, "cross", crossed)
    fast = sf.solve_flow(p, error=None)
    assert sum(excluded) > len(excluded) / 2
    assert (activation, seed) != ("relu", 6) or any(elsewhere)
    monkeypatch.setattr(Surfaces, "contradict", lambda *_: False)
    monkeypatch.setattr(run, "cross", lambda *_: None)
    slow = sf.solve_flow(p, error=None)
    assert events(fast) == events(slow)
    with mpmath.workdps(30):
        assert max(abs(fast.at_end() - slow.at_end())) < mpf(10) ** -15


def test_sides_that_contradict_first_order() -> None:
    """theta' = -(c + p n) in one dimension with n = 1: it is on where -(c + high) > 0, off where -(c + low) < 0."""
    attracting = {c: Surfaces(np.array([c]), np.ones((1, 1)), np.array([-1.0]), np.array([2.0])) for c in (-3, 0, 3)}
    sides: tuple[Side, ...] = ("on", "off", "slide")
    remaining = {c: [side for side in sides if not s.contradict([side])] for c, s in attracting.items()}
    assert remaining == {-3: ["on"], 0: ["slide"], 3: ["off"]}
    repelling = Surfaces(np.array([0.0]), np.ones((1, 1)), np.array([1.0]), np.array([-1.0]))
    assert [side for side in sides if not repelling.contradict([side])] == ["on", "off"]
    undecided = Surfaces(np.array([1e-8]), np.ones((1, 1)), np.array([0.0]), np.array([2.0]))
    assert [side for side in sides if not undecided.contradict([side])] == ["off", "slide"]
    without_slope = Surfaces(np.array([1.0]), np.zeros((1, 1)), np.array([-1.0]), np.array([1.0]))
    assert not any(without_slope.contradict([side]) for side in sides)


def test_the_first_of_many_zeros_is_found() -> None:
    """s - a for many a, a curve that comes to 0 before its tangent does, and two that are equal: the first number."""
    bits = 100
    one = mpz(1) << bits
    series = [[-one * a // 100, one] for a in (90, 30, 70, 20, 20, 50)]
    series.append([one // 20, -one // 10, -3 * one])  # about 0.114
    powers = Powers(one, bits, 4)
    found = earliest_zero(series, powers, 1 << 10)
    assert found is not None
    assert found.number == 6
    assert abs(found.position / one - (-0.1 + 0.61**0.5) / 6) < 1e-12
    found = earliest_zero(series[:6], powers, 1 << 10)
    assert found is not None
    assert found.number == 3


def test_orders_follow_the_steps_that_kinks_force() -> None:
    flow = sf.solve_flow(problem(2, "relu", 40, (3, 6, 2), "1"), horizon="1/10", dps=40, error=None)
    orders = [len(s.coefficients[0]) - 1 for s in taylor_steps(flow).segments]
    assert len({e.time for e in flow.events}) > 8
    assert orders[0] == max(orders) == flow.stats.order
    assert np.median(orders) < 0.7 * flow.stats.order


def test_the_order_of_a_geometric_series() -> None:
    """c_k = 1: steps of eps^(1/p), and kinks that are far away or near."""
    bits, digits = 200, 40
    series = [[mpz(1) << bits] * 51]
    tolerance = bits - digits * log2(10)
    assert Order(50).now == 50
    chosen = []
    for distance in (inf, 100.0, 0.1, 1e-3, 1e-9):
        order = Order(50)
        if distance < inf:
            order.step(log2(distance), kink=True)
        order.choose(series, 0, tolerance)
        chosen.append(order.now)
    assert chosen[0] == 50
    assert chosen[1] > 40
    assert all(a > b for a, b in pairwise(chosen[1:]))
    assert chosen[-1] == LEAST
    # A step is as long as the kinks are far apart where eps^(1/p) is: p = log eps / log 1e-3, about 13.
    assert 10 <= chosen[3] <= 20


def test_a_low_order_rises_again_where_kinks_cease() -> None:
    order = Order(60)
    order.step(-20.0, kink=True)
    series = [[from_fraction(Fraction(1), 200)] * 61]
    order.choose(series, 0, 60.0)
    low = order.now
    for _ in range(40):
        order.step(-1.0, kink=False)
        order.choose([row[: order.now + 1] for row in series], 0, 60.0)
    assert low < 20 < 50 < order.now


@pytest.mark.parametrize(("exponent", "met"), [(1020, True), (1018, False)])
def test_a_large_coefficient_outweighs_a_power_below_float64(exponent: int, met: bool) -> None:
    """z = 2^-64 - 2^exponent s^57 on [0, 2^-19], where the last term is 2^-63 or 2^-65 and s^57 is 2^-1083."""
    objective = problem(1, "relu", 1, (1, 1, 1), "1").objective
    bits, s = 200, 19
    z = [mpz(1) << (bits - 64), *[mpz(0)] * 56, -(mpz(1) << (bits + exponent))]
    arithmetic = FixedSeries(bits)
    gates = {g: np.full((1, 1), g.alpha, dtype=object) for g in objective.gates}
    region = Region(gates, (), Recurrence([], [], [], [[z]], [], arithmetic))
    kink = first_kink(objective, region, arithmetic, 1 << 20, Powers(mpz(1) << (bits - s), bits, 58))
    assert bool(kink) == met
