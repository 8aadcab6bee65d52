"""float64 balls: functions and eigenvalues contain the truth, and the checks see what does not."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest

import symflow as sf
from symflow.evaluate.eigenvalue_bounds import EigenvalueBounds, eigenvalue_bounds
from symflow.evaluate.rounded import UNIT, Rounded, norm_bound
from symflow.evaluate.running_error import RoundedArithmetic, rounded_program


@pytest.mark.parametrize("size", [1, 2, 3, 7, 20])
@pytest.mark.parametrize("scale", [1e-200, 1e-5, 1.0, 1e120])
def test_eigenvalues_of_every_matrix_in_the_balls(size: int, scale: float) -> None:
    rng = np.random.default_rng(size)
    a = scale * rng.normal(size=(6, size, size))
    reach = np.abs(a) * 10.0 ** rng.integers(-14, 0)
    a, reach = a + np.swapaxes(a, 1, 2), reach + np.swapaxes(reach, 1, 2)
    found = eigenvalue_bounds(Rounded(a, reach))
    for _ in range(4):
        move = rng.uniform(-1, 1, size=a.shape)
        ends = np.linalg.eigvalsh(a + np.sign(move + np.swapaxes(move, 1, 2)) * reach)
        slack = 1e-12 * np.abs(ends).max(axis=1)  # of NumPy's eigenvalues, which are not the truth either
        assert contained(found, ends, slack)


def contained(found: EigenvalueBounds, ends: np.ndarray, slack: np.ndarray) -> bool:
    low, high = ends[:, 0], ends[:, -1]
    below = (found.smallest_low <= low + slack) & (found.largest_low <= high + slack)
    return bool((below & (found.smallest_high >= low - slack) & (found.largest_high >= high - slack)).all())


def test_a_matrix_outside_the_balls_is_seen() -> None:
    a = np.diag([1.0, 2.0, 5.0])[None]
    found = eigenvalue_bounds(Rounded(a, np.full_like(a, 1e-3)))
    assert contained(found, np.array([[1.0, 2.0, 5.0]]), np.zeros(1))
    assert not contained(found, np.array([[0.99, 2.0, 5.0]]), np.zeros(1))
    assert not contained(found, np.array([[1.0, 2.0, 5.01]]), np.zeros(1))


def test_exact_eigenvalues() -> None:
    """The second difference has eigenvalues 2 - 2 cos(k pi / (n + 1))."""
    size = 12
    a = 2 * np.eye(size) - np.eye(size, k=1) - np.eye(size, k=-1)
    found = eigenvalue_bounds(Rounded(a[None], np.zeros((1, size, size))))
    with mpmath.workdps(40):
        low, high = (2 - 2 * mpmath.cos(k * mpmath.pi / (size + 1)) for k in (1, size))
    assert found.smallest_low[0] <= low <= found.smallest_high[0] < found.smallest_low[0] + 1e-12
    assert found.largest_low[0] <= high <= found.largest_high[0] < found.largest_low[0] + 1e-12


def test_matrices_beyond_float64_are_not_known() -> None:
    a = np.array([[[np.inf, 1.0], [1.0, 2.0]], [[1.0, 0.0], [0.0, np.nan]]])
    found = eigenvalue_bounds(Rounded(a, np.zeros_like(a)))
    assert np.isneginf(found.smallest_low).all()
    assert np.isposinf(found.largest_high).all()


@pytest.mark.parametrize(("name", "exponent"), [
    ("exp", None), ("log", None), ("sin", None), ("cos", None), ("softplus", None), ("sigmoid", None),
    ("power", Fraction(-1)), ("power", Fraction(1, 2)), ("power", Fraction(-3)), ("power", Fraction(5, 3)),
])  # fmt: skip
def test_functions_contain_every_value(name: str, exponent: Fraction | None) -> None:
    from symflow.programs.rules.elementwise import elementwise

    rng = np.random.default_rng(3)
    positive = elementwise(name, exponent).domain == "positive"
    middle = rng.uniform(0.1, 40, 200) if positive else rng.uniform(-40, 40, 200)
    reach = np.abs(middle) * 10.0 ** rng.uniform(-17, -0.01, 200)
    found = RoundedArithmetic().function(name, Rounded(middle, reach), exponent)
    u = elementwise(name, exponent).known("mpmath", "this test")
    with mpmath.workdps(40):
        for part in (-1, Fraction(-1, 3), 0, Fraction(1, 2), 1):
            for m, r, v, e in zip(middle, reach, found.value, found.error, strict=True):
                x = mpmath.mpf(m) + mpmath.mpf(r) * part.numerator / part.denominator
                assert abs(u(x) - mpmath.mpf(v)) <= mpmath.mpf(e)


def test_functions_say_where_they_are_not_defined() -> None:
    over = Rounded(np.array([0.5]), np.array([1.0]))
    for name, exponent in (("log", None), ("power", Fraction(-1)), ("power", Fraction(1, 2))):
        assert np.isinf(RoundedArithmetic().function(name, over, exponent).error).all()


def test_the_norm_of_what_vanishes_is_known() -> None:
    """The squares of a layer of dead units are 0 up to underflow."""
    for value in (0.0, 2.0**-1061):  # the latter as the upper half of what may not be negative
        dead = Rounded(np.full(1, value), np.full(1, 2.0**-1060))
        found = RoundedArithmetic().function("power", dead, Fraction(1, 2))
        assert 2.0**-531 <= found.value[0] + found.error[0] < 2.0**-500
        assert found.value[0] - found.error[0] <= 0


def test_roots_of_numbers_of_every_size_are_known_to_a_few_units() -> None:
    values = 2.0 ** np.arange(-1074.0, 1024.0, 97) * 1.7
    found = RoundedArithmetic().function("power", Rounded(values, np.zeros_like(values)), Fraction(1, 2))
    with mpmath.workdps(40):
        for x, v, e in zip(values.tolist(), found.value.tolist(), found.error.tolist(), strict=True):
            assert abs(mpmath.sqrt(x) - v) <= e < 16 * UNIT * v + 2.0**-500
    unknown = Rounded(np.array([-1.0, 0.0, 1e300, np.nan]), np.array([0.1, np.inf, np.inf, 1.0]))
    assert np.isinf(RoundedArithmetic().function("power", unknown, Fraction(1, 2)).error).all()


def test_norms_do_not_underflow() -> None:
    tiny = Rounded(np.full((1, 3), 1e-300), np.zeros((1, 3)))
    assert 1.7e-300 < norm_bound(tiny)[0] < 1.8e-300


def test_the_norm_of_what_is_zero_up_to_rounding_is_small() -> None:
    """Where descent has converged, the square of the residual is known to its error alone: so is its root."""
    problem = sf.Problem(network=sf.FullyConnected((1, 1, 1)), data={"x": [1], "y": ["3/5"]},
                         init={"theta": ["1/3", "9/5"]})  # fmt: skip
    bound = sf.curvature_bounds(problem.objective)["R12(e)"]
    theta = np.array([[1 / 3, 1.8], [0.2, 3.0]])
    found = rounded_program(problem.objective, bound.program, theta)
    (value,) = found.values()
    assert (np.abs(value.value) + value.error < 1e-13).all()
