"""Programs in balls: true values at points of the box lie inside, thin balls are thin, kinks are refused or joined."""

from __future__ import annotations

import random
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy
from flint import arb
from hypothesis import given, settings
from hypothesis import strategies as st

import symflow as sf
from symflow.evaluate.balls import ball_arithmetic, extreme_eigenvalues, log_sum_exp, spectral_norm
from symflow.numbers.balls import ball, ball_precision, exact_mpf, from_mpf, lower, midpoint, radius, upper
from symflow.programs.rules.elementwise import FUNCTIONS, elementwise
from tests.cases import quarters

PAIRS = {
    "linear": lambda: sf.network_objective(sf.FullyConnected((2, 2, 2, 1)), quarters((3, 2), 1), quarters((3, 1), 2)),
    "relu": lambda: sf.network_objective(
        sf.FullyConnected((2, 3, 2), alpha_bar=0), quarters((3, 2), 3), quarters((3, 2), 4)
    ),
    "logistic": lambda: sf.network_objective(
        sf.FullyConnected((2, 2, 1)), quarters((3, 2), 5), [[1], [-1], [1]], loss="logistic"
    ),
    "cross-entropy": lambda: sf.network_objective(
        sf.FullyConnected((2, 2, 3)), quarters((3, 2), 6), [[1, 0, 0], [0, 0, 1], [0, 1, 0]], loss="cross-entropy"
    ),
    "convolutional": lambda: sf.network_objective(
        sf.Convolutional((1, 3), (sf.Convolution(1, 2), sf.Dense(1))), quarters((2, 3), 7), quarters((2, 1), 8)
    ),
}


def _theta(objective: sf.Objective, seed: int) -> list[Fraction]:
    rng = random.Random(seed)
    return [Fraction(rng.randint(-40, 40), 33) for _ in range(objective.parameter_count)]


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("derived", [sf.loss, sf.gradient, sf.hessian])
def test_thin_balls_contain_the_value_and_are_thin(name: str, derived) -> None:
    """At 40 digits; the truth at 80."""
    objective = PAIRS[name]()
    theta = _theta(objective, 1)
    found = sf.evaluate_balls(derived(objective), theta, dps=40)
    truth = sf.evaluate_mpmath(derived(objective), theta, dps=80)
    assert np.all(found.lower <= truth)
    assert np.all(truth <= found.upper)
    assert np.max(found.radius) < mpmath.mpf(10) ** -37


@pytest.mark.parametrize("name", PAIRS)
def test_wide_balls_contain_the_values_at_points_of_the_box(name: str) -> None:
    objective = PAIRS[name]()
    theta, rng = _theta(objective, 2), random.Random(3)
    found = sf.evaluate_balls(sf.hessian(objective), theta, radius="1/20", gates="union", dps=20)
    for _ in range(20):
        point = [t + Fraction(rng.choice([-50, 50, rng.randint(-50, 50)]), 1000) for t in theta]
        truth = sf.evaluate_mpmath(sf.hessian(objective), point, dps=30)
        assert np.all(found.lower <= truth)
        assert np.all(truth <= found.upper)


def test_statements_are_enclosed() -> None:
    """The curvature bound R9, with its norms and its largest eigenvalue."""
    objective = PAIRS["linear"]()
    for bound in sf.curvature_bounds(objective).values():
        theta = _theta(objective, 4)
        found, truth = sf.evaluate_balls(bound, theta, dps=30), sf.evaluate_mpmath(bound, theta, dps=60)
        assert found.lower <= truth <= found.upper
        assert found.radius < 1e-20


def test_gates_are_decided_strictly() -> None:
    arithmetic, refusing = ball_arithmetic("union"), ball_arithmetic()
    one, half = Fraction(1), Fraction(1, 2)

    def gate(chosen, z: arb) -> arb:
        return chosen.gate(np.array([z], dtype=object), one, half)[0]

    for z, slope in ((arb(3, 2), 1), (arb(0), 1), (arb(-3, 2), 0.5)):  # z = 0 counts as z >= 0
        assert gate(refusing, z) == slope
    for z in (arb(0, 1), arb(-1, 1), arb(1) / arb(0)):
        assert gate(arithmetic, z).contains(arb(0.75))
        assert gate(arithmetic, z).contains(arb(0.5))
        with pytest.raises(sf.GateUndecided, match="more digits"):
            gate(refusing, z)


def test_dead_units_stay_exactly_zero() -> None:
    """Zero times a ball is 0: a pre-activation behind a dead unit is decided, as the convention has it."""
    objective = sf.network_objective(sf.FullyConnected((1, 1, 1, 1), alpha_bar=0), [1], [1])
    found = sf.evaluate_balls(sf.gradient(objective), ["-1/3", "1/3", "1/3"], dps=20)
    assert list(found.midpoint) == list(found.radius) == [0, 0, 0]


REALS = st.fractions(-40, 40, max_denominator=1000)
MPMATH = {"exp": mpmath.exp, "log": mpmath.log, "sin": mpmath.sin, "cos": mpmath.cos}
MPMATH |= {"softplus": lambda x: mpmath.log(1 + mpmath.exp(x)), "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x))}
MPMATH |= {"tanh": mpmath.tanh, "erf": mpmath.erf, "normal_cdf": mpmath.ncdf, "normal_density": mpmath.npdf}
MPMATH |= {"erf_slope": lambda x: 2 * mpmath.exp(-x * x) / mpmath.sqrt(mpmath.pi), "atan": mpmath.atan}


@settings(max_examples=40)
@given(REALS, st.fractions(0, 2, max_denominator=50), st.fractions(-1, 1, max_denominator=20))
def test_elementary_functions_enclose(x: Fraction, wide: Fraction, share: Fraction) -> None:
    assert MPMATH.keys() == FUNCTIONS.keys()
    for name in MPMATH:
        point, center = x, x
        if name == "log":
            center, point = abs(x) + wide + 1, abs(x) + wide + 1
        point = center + share * wide
        with ball_precision(120), mpmath.workprec(400):
            value = elementwise(name, None).known("ball", "")(ball(center) + arb(0, ball(wide).upper()))
            truth = MPMATH[name](mpmath.mpf(point.numerator) / point.denominator)
            assert lower(value) <= truth <= upper(value), name
            if not wide:
                assert radius(value) < 1e-20 * (1 + abs(truth))


def test_softplus_and_sigmoid_do_not_overflow() -> None:
    with ball_precision(100):
        softplus, sigmoid = (elementwise(name, None).known("ball", "") for name in ("softplus", "sigmoid"))
        assert abs(midpoint(softplus(arb(10) ** 6)) - 10**6) < 1e-20
        assert radius(softplus(arb(10) ** 6)) < 1e-20
        assert 0 < upper(softplus(-(arb(10) ** 4))) < mpmath.mpf(10) ** -4000
        assert sigmoid(arb(10) ** 6) <= 1 + arb(1e-20)
        assert sigmoid(-(arb(10) ** 6)) >= 0


@pytest.mark.parametrize("exponent", [Fraction(-2), Fraction(1, 2), Fraction(-3, 2), Fraction(5, 3)])
def test_powers_enclose(exponent: Fraction) -> None:
    power = elementwise("power", exponent).known("ball", "")
    with ball_precision(100), mpmath.workprec(300):
        value = power(arb(3, 1))
        for x in (2, 3, 4):
            truth = mpmath.mpf(x) ** (mpmath.mpf(exponent.numerator) / exponent.denominator)
            assert lower(value) <= truth <= upper(value)
        assert not power(arb(0, 1)).is_finite()  # negative numbers have no such power, or 0 has none
        assert power(arb(-3, 1)).is_finite() == (exponent == -2)


def test_nothing_is_known_of_what_has_no_logarithm() -> None:
    log = elementwise("log", None).known("ball", "")
    assert not log(arb(1, 2)).is_finite()
    assert not log(arb(-1)).is_finite()


def test_log_sum_exp_is_stable() -> None:
    with ball_precision(100):
        found = log_sum_exp([arb(10) ** 5, arb(10) ** 5, -(arb(10) ** 5)])
        assert abs(midpoint(found) - 10**5 - mpmath.log(2)) < 1e-15
        assert radius(found) < 1e-20
        wide = log_sum_exp([arb(1, 0.5), arb(2, 0.5)])
        assert lower(wide) <= mpmath.log(mpmath.exp(1.5) + mpmath.exp(1.5)) <= upper(wide)


def _symmetric(size: int, seed: int) -> np.ndarray:
    rng = random.Random(seed)
    rows = [[sympy.Rational(rng.randint(-9, 9), 7) for _ in range(size)] for _ in range(size)]
    return np.array([[rows[max(i, j)][min(i, j)] for j in range(size)] for i in range(size)], dtype=object)


def _balls(matrix: np.ndarray, wide: float = 0.0) -> np.ndarray:
    return np.frompyfunc(lambda v: ball(Fraction(int(v.p), int(v.q))) + arb(0, wide), 1, 1)(matrix)


@pytest.mark.parametrize("size", [1, 2, 4, 6])
def test_extreme_eigenvalues_are_enclosed(size: int) -> None:
    """The truth from the characteristic polynomial, whose roots SymPy isolates."""
    matrix = _symmetric(size, size)
    roots = sympy.Poly(sympy.Matrix(matrix).charpoly().as_expr()).nroots(n=40)
    with ball_precision(150), mpmath.workprec(300):
        for found, truth in zip(extreme_eigenvalues(_balls(matrix)), (min(roots), max(roots)), strict=True):
            assert abs(midpoint(found) - mpmath.mpf(str(truth))) < 1e-30
            assert radius(found) < 1e-35


def test_extreme_eigenvalues_of_wide_balls_and_multiple_eigenvalues() -> None:
    rng = np.random.default_rng(0)
    matrix, wide = _symmetric(4, 9), 0.03
    with ball_precision(100):
        least, largest = extreme_eigenvalues(_balls(matrix, wide))
        for _ in range(30):
            moved = rng.choice([-wide, wide, 0.0], (4, 4))
            values = np.linalg.eigvalsh(matrix.astype(float) + np.tril(moved) + np.tril(moved, -1).T)
            assert lower(least) <= values[0] + 1e-12
            assert values[0] - 1e-12 <= upper(least)
            assert lower(largest) <= values[-1] + 1e-12
            assert values[-1] - 1e-12 <= upper(largest)
        low, high = extreme_eigenvalues(_balls(np.array(sympy.eye(3)) * 5))
        assert low.contains(arb(5))
        assert high.contains(arb(5))
        assert radius(low) < 1e-25
        assert not extreme_eigenvalues(_balls(matrix) / arb(0))[1].is_finite()


def test_eigenvectors_need_not_be_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong approximations make wide balls, never false ones; singular ones are replaced."""
    matrix = _symmetric(3, 5)
    values = np.linalg.eigvalsh(matrix.astype(float))
    for wrong in ([[1, 2, 0], [0, 1, 0], [1, 0, 1]], [[1, 1, 1]] * 3):
        monkeypatch.setattr("mpmath.eigsy", lambda _, wrong=wrong: (None, mpmath.matrix(wrong)))
        with ball_precision(100):
            least, largest = extreme_eigenvalues(_balls(matrix))
            assert lower(least) <= values[0] <= upper(least)
            assert lower(largest) <= values[-1] <= upper(largest)


def test_spectral_norm_is_enclosed() -> None:
    matrix = np.array([[3, 0, 0], [0, 4, 0]], dtype=object)
    with ball_precision(100):
        found = spectral_norm(np.frompyfunc(arb, 1, 1)(matrix))
        assert found.contains(arb(4))
        assert radius(found) < 1e-25
        assert spectral_norm(np.frompyfunc(arb, 1, 1)(0 * matrix)).contains(arb(0))


def test_bad_arguments_are_refused() -> None:
    objective = PAIRS["linear"]()
    with pytest.raises(sf.ProblemError, match="radius must be at least 0"):
        sf.evaluate_balls(sf.loss(objective), _theta(objective, 1), radius=-1)
    with pytest.raises(ValueError, match="entries"):
        sf.evaluate_balls(sf.loss(objective), [1])


def test_mpmath_numbers_are_taken_exactly() -> None:
    objective = sf.network_objective(sf.FullyConnected((1, 1)), [1], [0])
    with mpmath.workdps(60):
        theta = mpmath.sqrt(2)
        found = sf.evaluate_balls(sf.gradient(objective), [theta], dps=60)
        assert exact_mpf(from_mpf(theta)) == theta == found.midpoint[0]
        assert found.radius[0] == 0
