"""Upper bounds of growing programs, against exact rationals and 40 digits."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest

import symflow as sf
from symflow.evaluate.growing import GrowingArithmetic
from symflow.paths.sampling import dense_flow
from symflow.paths.taylor.dense import taylor_steps
from tests.cases import reference

G = GrowingArithmetic()


def test_sums_and_products_are_at_least_the_exact_ones() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.uniform(0, 1, (40, 3, 5)), rng.uniform(0, 1, (40, 5, 2))
    product = G.einsum("ij,jk->ik", [a, b])
    for s in range(40):
        for i in range(3):
            for k in range(2):
                exact = sum(Fraction(a[s, i, j]) * Fraction(b[s, j, k]) for j in range(5))
                assert exact <= Fraction(product[s, i, k]) <= exact * (1 + Fraction(1, 10**13))
    third = Fraction(1, 3)
    combined = G.combine([third, Fraction(2)], [a, a])
    assert all(Fraction(v) * (third + 2) <= Fraction(w) for v, w in zip(a.flat, combined.flat, strict=True))
    assert Fraction(float(G.constant(third, ())[0])) > third


def test_underflow_is_not_lost() -> None:
    found = G.einsum("i,i,i->i", [np.array([[1e-200]]), np.array([[1e-200]]), np.array([[1e300]])])
    assert Fraction(found.item()) >= Fraction(1e-200) ** 2 * Fraction(1e300)


def test_the_largest_eigenvalue_is_bounded_and_close() -> None:
    rng = np.random.default_rng(1)
    for size in (1, 2, 3, 4):
        a = rng.uniform(0, 1, (30, size, size))
        a = a + np.swapaxes(a, 1, 2)
        a[::3] *= 1 - np.eye(size)  # no diagonal: the spectrum is symmetric for two layers
        found = G.largest_eigenvalue(a)
        for matrix, value in zip(a, found, strict=True):
            with mpmath.workdps(40):
                exact = max(mpmath.eigsy(mpmath.matrix(matrix.tolist()), eigvals_only=True))
                assert exact <= mpmath.mpf(float(value)) <= exact * (1 + 1e-9) + 1e-300
    assert G.largest_eigenvalue(np.full((1, 2, 2), np.inf)).item() == np.inf


def test_what_does_not_grow_is_refused() -> None:
    x = np.ones((1, 2))
    for attempt in (
        lambda: G.combine([Fraction(-1)], [x]),
        lambda: G.constant(Fraction(-1), ()),
        lambda: G.function("power", x, Fraction(-1)),
        lambda: G.function("exp", x, None),
        lambda: G.gate(x, Fraction(1), Fraction(0)),
    ):
        with pytest.raises(TypeError, match="known to grow"):
            attempt()


def test_float64_states_are_as_close_as_they_say() -> None:
    """The Taylor steps in fixed point, at the times of float64 and at times that are the same to rounding."""
    flow = sf.solve_flow(reference("linear-2-2-2-1"), horizon=3, dps=30)
    times = np.linspace(0, 3, 97)
    found = dense_flow(flow).around(times)
    steps = taylor_steps(flow)
    for t, value, error in zip(times, found.value, found.error, strict=True):
        for near in (Fraction(t), min(Fraction(t) * (1 + Fraction(1, 2**51)), flow.end)):
            exact = steps(near)
            assert all(abs(mpmath.mpf(float(v)) - x) <= float(e) for v, x, e in zip(value, exact, error, strict=True))
    assert found.error.max() < 1e-12
