"""Boxes of starts: every solution from one is in its enclosure, which is nearly as narrow as it can be."""

from __future__ import annotations

import itertools
from fractions import Fraction
from functools import cache
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy
from mpmath import mpf
from scipy.integrate import solve_ivp

import symflow as sf
from symflow.paths.boxes import enclose, growth

x, y, z = sympy.symbols("x y z")
LOTKA_VOLTERRA = {x: 2 * x - 2 * x * y, y: -y + x * y}
VAN_DER_POL = {x: y, y: (1 - x**2) * y - x}
ROESSLER = {x: -y - z, y: x + y / 5, z: sympy.Rational(1, 5) + z * (x - sympy.Rational(57, 10))}
ELEMENTARY = {x: sympy.sin(y) + sympy.atan(x), y: sympy.exp(-x) / (1 + y**2) - sympy.tanh(x * y)}


def images(field: dict[Any, Any], start: Any, radii: Any, times: list[float], per_side: int = 5) -> np.ndarray:
    """Solutions from a grid of the box, shape (starts, times, P), by SciPy, all in one run.

    The tolerance is of the root mean square over all of them: it leaves none with more than 1e-12 a step.
    """
    values = sympy.lambdify(list(field), list(field.values()), "numpy")
    ticks = [np.linspace(float(c) - float(r), float(c) + float(r), per_side) for c, r in zip(start, radii, strict=True)]
    points = np.array(list(itertools.product(*ticks))).T  # (P, starts)

    def velocity(_: float, flat: np.ndarray) -> np.ndarray:
        return np.array(np.broadcast_arrays(*values(*flat.reshape(points.shape)))).ravel()

    tolerance = 1e-12 / np.sqrt(points.size)
    run = solve_ivp(
        velocity, (0, times[-1]), points.ravel(), method="DOP853", rtol=tolerance, atol=tolerance, t_eval=times
    )
    return run.y.reshape(*points.shape, len(times)).transpose(1, 2, 0)


def inside(points: np.ndarray, middle: np.ndarray, reach: np.ndarray, slack: float = 1e-9) -> bool:
    low = np.array([float(m - r) for m, r in zip(middle, reach, strict=True)]) - slack
    high = np.array([float(m + r) for m, r in zip(middle, reach, strict=True)]) + slack
    return bool(((low <= points) & (points <= high)).all())


CASES = {
    "Lotka-Volterra": (LOTKA_VOLTERRA, [1, 3], ["1/10"] * 2, [1.0, 2.5, 4.0], 1.3),
    "Van der Pol": (VAN_DER_POL, [-3, 3], ["1/10"] * 2, [0.3, 0.7, 1.0], 1.4),
    "Roessler": (ROESSLER, [1, 2, 3], ["1/10", "1/20", "1/10"], [1.0, 4.0], 1.1),
    "elementary": (ELEMENTARY, ["1/2", 1], ["1/50", "1/50"], [0.5, 1.5], 1.3),
}


@cache
def inner(name: str) -> np.ndarray:
    """Solutions from the box of a case at its times."""
    field, start, radii, times, _ = CASES[name]
    centre, reach = ([float(Fraction(v)) for v in values] for values in (start, radii))
    return images(field, centre, reach, times)


def solved(name: str) -> sf.Trajectory:
    """The box of a case."""
    field, start, radii, times, _ = CASES[name]
    return sf.solve_field(sf.VectorField(field), start, radius=radii, horizon=times[-1], dps=15)


enclosed = cache(solved)


@pytest.mark.parametrize("name", CASES)
def test_solutions_from_the_box_are_in_the_enclosure_and_it_is_narrow(name: str) -> None:
    *_, times, factor = CASES[name]
    found, points = enclosed(name), inner(name)
    assert found.error is not None
    assert found.error.how == "certified"
    for i, at in enumerate(times):
        middle, reach = found.enclosure(at)
        assert inside(points[:, i], middle, reach)
        hull = np.ptp(points[:, i], axis=0) / 2
        assert all(float(r) < factor * h for r, h in zip(reach, hull, strict=True)), (reach, hull)
        furthest = np.abs(points[:, i] - found.numpy(at)).max()
        assert furthest < float(found.error.value)


@pytest.mark.parametrize("lost", ["of second order", "of third order"])
def test_without_terms_that_count_solutions_leave(monkeypatch: pytest.MonkeyPatch, lost: str) -> None:
    *_, times, _ = CASES["Van der Pol"]
    points = inner("Van der Pol")

    def points_inside(found: sf.Trajectory) -> bool:
        return all(inside(points[:, i], *found.enclosure(at)) for i, at in enumerate(times))

    assert points_inside(enclosed("Van der Pol"))
    if lost == "of second order":
        monkeypatch.setattr(growth._Slope, "form", 0, raising=False)
        original = growth._Slope.__init__

        def without(self: Any, *given: Any) -> None:
            original(self, *given)
            self.form = self.form * 0

        monkeypatch.setattr(growth._Slope, "__init__", without)
    else:
        steady = growth._Slope.__call__
        monkeypatch.setattr(growth._Slope, "__call__", lambda self, v: steady(self, v * 0) * 0)
    assert not points_inside(solved("Van der Pol"))


def test_a_linear_field_has_the_exact_hull() -> None:
    turn = {x: -y - x / 10, y: x - y / 10}
    found = sf.solve_field(sf.VectorField(turn), [1, 2], radius=["1/10", "1/5"], horizon=3, dps=20)
    with mpmath.workdps(30):
        c, s, decay = mpmath.cos(3), mpmath.sin(3), mpmath.exp(mpf(-3) / 10)
        true = [decay * (abs(c) / 10 + abs(s) / 5), decay * (abs(s) / 10 + abs(c) / 5)]
        middle, reach = found.enclosure(3)
        centre = [decay * (c - 2 * s), decay * (s + 2 * c)]
        for m, r, at, width in zip(middle, reach, centre, true, strict=True):
            assert abs(m - at) < mpf(10) ** -20
            assert 0 <= r - width < mpf(10) ** -8 * width  # radii of balls have 30 bits


@pytest.mark.parametrize("dps", [20, 60])
def test_a_box_of_no_width_proves_the_digits(dps: int) -> None:
    # x' = x (1 - x): x = 1/(1 + 9 e^-t); y' = sin x cos x ...: against 40 more digits for the others
    field = sf.VectorField({x: x * (1 - x), y: -2 * y * sympy.atan(x)})
    found = sf.solve_field(field, ["1/10", 1], radius=0, horizon="7/2", dps=dps)
    finer = sf.solve_field(field, ["1/10", 1], horizon="7/2", dps=dps + 40)
    assert found.error is not None
    with mpmath.workdps(dps + 60):
        assert found.error.value <= mpf(10) ** -dps
        assert abs(found("7/2")[0] - 1 / (1 + 9 * mpmath.exp(mpf(-7) / 2))) <= found.error.value
        for at in ("1/3", 2, "7/2"):
            assert max(abs(v) for v in found(at) - finer(at)) <= found.error.value
            middle, reach = found.enclosure(at)
            assert all(abs(m - v) <= r for m, r, v in zip(middle, reach, finer(at), strict=True))


def test_a_box_that_spreads_too_far_is_a_typed_stop_with_what_is_known() -> None:
    field = sf.VectorField({x: x**2})  # from 1.1 the solution ends at t = 1/1.1
    with pytest.raises(sf.FlowStopped) as caught:
        sf.solve_field(field, [1], radius="1/10", horizon="19/20", dps=15)
    part = caught.value.trajectory
    assert caught.value.cause in ("box", "step-size")
    assert isinstance(part, sf.Trajectory)
    assert 0.5 < part.end < 1 / 1.1
    middle, reach = part.enclosure(part.end)
    at = float(part.end)
    assert float(middle[0] - reach[0]) <= 0.9 / (1 - 0.9 * at)
    assert float(middle[0] + reach[0]) >= 1.1 / (1 - 1.1 * at)


def test_halves_of_a_box_are_inside_the_whole() -> None:
    field = sf.VectorField(LOTKA_VOLTERRA)
    whole = sf.solve_field(field, [1, 3], radius="1/10", horizon=2, dps=15).enclosure(2)
    part = sf.solve_field(field, ["21/20", 3], radius=["1/20", "1/10"], horizon=2, dps=15).enclosure(2)
    for m, r, n, s in zip(*whole, *part, strict=True):
        assert m - r <= n - s
        assert n + s <= m + r


def test_wrong_arguments() -> None:
    field = sf.VectorField(LOTKA_VOLTERRA)
    given: dict[str, Any] = {"horizon": 1, "dps": 15}
    for radius, message in [
        (-1, "radius must not be negative, got -1"),
        ([1, 2, 3], "radius must be one number or 2, got 3"),
        ("wide", "radius must be a number"),
    ]:
        with pytest.raises(sf.ProblemError, match=message):
            sf.solve_field(field, [1, 3], radius=radius, **given)
    with pytest.raises(sf.ProblemError, match="leave out radius or stop"):
        sf.solve_field(field, [1, 3], radius=0, stop=sf.stop_when(x, 2), **given)
    plain = sf.solve_field(field, [1, 3], error=None, **given)
    with pytest.raises(sf.ProblemError, match="an enclosure needs a certified error"):
        plain.enclosure(1)
    one = sf.solve_field(field, [1, 3], **given)
    assert one.error is not None
    assert set(one.enclosure(1)[1]) == {one.error.value}
    found = sf.solve_field(field, [1, 3], radius=0, **given)
    with pytest.raises(sf.ProblemError, match=r"time must lie in \[0, 1\]"):
        found.enclosure(2)


def test_a_field_with_kinks_has_no_boxes() -> None:
    from symflow.dynamics.vector_field import gradient_flow_field

    objective = sf.network_objective(sf.FullyConnected((1, 1, 1), activation="relu"), [1], [1])
    with pytest.raises(sf.ProblemError, match="a box of starts needs a smooth field"):
        sf.solve_field(gradient_flow_field(objective), [1, 1], radius=0, horizon=1, dps=15)
    smooth = sf.network_objective(sf.FullyConnected((1, 1, 1)), [1], [1])
    found = sf.solve_field(gradient_flow_field(smooth), ["1/2", 1], radius=0, horizon=1, dps=30)
    problem = sf.Problem(objective=smooth, theta0=["1/2", 1])
    assert found.error is not None
    assert max(abs(v) for v in found(1) - sf.solve_flow(problem, horizon=1, dps=50)(1)) <= found.error.value


def test_pictures_and_files_of_boxes_are_those_of_the_centre() -> None:
    found = sf.solve_field(sf.VectorField(LOTKA_VOLTERRA), [1, 3], radius="1/100", horizon=1, dps=15)
    assert "certified error" in repr(found)
    assert found.tube is not None
    assert "cells" in repr(found.tube)
    assert enclose.HALVINGS > 0
