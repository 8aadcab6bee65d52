"""Objectives from SymPy expressions against SymPy's own derivatives."""

from decimal import Decimal
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy

import symflow as sf

X, Y, M = sympy.symbols("x y m")
EXPRESSIONS = [
    -sympy.Rational(3, 14) * X**2 + 0 * Y,
    (X**2 - Y) ** 3 / 7 - X * Y + 5,
    sympy.exp(X * Y) + sympy.log(X + 2 * Y**2),
    sympy.sin(X) * sympy.cos(Y**2) - sympy.exp(-X),
    sympy.sqrt(X + Y) / (1 + X**2),
    X ** sympy.Rational(-2, 3) * (Y + sympy.sqrt(2)) ** sympy.Rational(5, 2),
    sympy.log(1 + sympy.exp(-X * Y)),
    (X + Y) ** 70 / 1000 + X**-1,
    sympy.sin(sympy.cos(X)) ** 2 + sympy.Float(0.1) * Y,
    sympy.exp(sympy.exp(X / 3)) * Y,
]
POINT = (Fraction(7, 5), Fraction(3, 4))
DIRECTION = (Fraction(2, 3), Fraction(-5, 4))


def value(expression: sympy.Expr) -> mpmath.mpf:
    """60 digits of an expression at the point."""
    at = {v: sympy.Rational(q.numerator, q.denominator) for v, q in zip((X, Y), POINT, strict=True)}
    return mpmath.mpf(expression.subs(at).evalf(60))


def assert_digits(found, expected, digits: int = 48) -> None:
    with mpmath.workdps(60):
        assert abs(found - expected) <= mpmath.mpf(10) ** -digits * max(1, abs(expected))


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=str)
def test_derivatives_equal_sympy(expression: sympy.Expr) -> None:
    objective = sf.expression_objective(expression, [X, Y])
    expression = expression.replace(lambda e: e.is_Float, sympy.Rational)  # a float means its binary value
    with mpmath.workdps(60):
        delta = [mpmath.mpf(q.numerator) / q.denominator for q in DIRECTION]
        assert_digits(sf.evaluate_mpmath(sf.loss(objective), POINT), value(expression))
        first = [value(sympy.diff(expression, v)) for v in (X, Y)]
        for found, expected in zip(sf.evaluate_mpmath(sf.gradient(objective), POINT), first, strict=True):
            assert_digits(found, expected)
        second = np.array([[value(sympy.diff(expression, u, v)) for u in (X, Y)] for v in (X, Y)], dtype=object)
        hessian = sf.evaluate_mpmath(sf.hessian(objective), POINT)
        product = sf.evaluate_mpmath(sf.hessian_vector_product(objective), POINT, DIRECTION)
        for i in range(2):
            for j in range(2):
                assert_digits(hessian[i, j], second[i, j])
            assert_digits(product[i], second[i].dot(delta))
        derivative = expression
        for order in range(1, 5):
            a, b = (sympy.Rational(q.numerator, q.denominator) for q in DIRECTION)
            derivative = a * sympy.diff(derivative, X) + b * sympy.diff(derivative, Y)
            found = sf.evaluate_mpmath(sf.directional_derivative(objective, order), POINT, DIRECTION)
            assert_digits(found, value(derivative))


def test_check_refutes_a_wrong_derivative() -> None:
    objective = sf.expression_objective(sympy.exp(X * Y), [X, Y])
    g = sf.evaluate_mpmath(sf.gradient(objective), POINT)
    with mpmath.workdps(60):
        assert_digits(g[0], value(Y * sympy.exp(X * Y)))
        with pytest.raises(AssertionError):
            assert_digits(g[0], value(X * sympy.exp(X * Y)))
        with pytest.raises(AssertionError):
            assert_digits(g[0], value(Y * sympy.exp(X * Y)) * (1 + mpmath.mpf(10) ** -40))


def test_quadratic_of_r6_is_exact() -> None:
    m = Fraction(5, 3)
    objective = sf.expression_objective(-sympy.Rational(5, 6) * X**2, [X])
    assert list(sf.evaluate_exact(sf.gradient_flow(objective), ["0.3"])) == [m * Fraction(3, 10)]
    assert sf.evaluate_exact(sf.hessian(objective), [7])[0, 0] == -m
    assert sf.evaluate_exact(sf.directional_derivative(objective, 3), [7], [1]) == 0


def test_theta_follows_the_order_of_the_variables() -> None:
    for order, expected in (((X, Y), [1, 10]), ((Y, X), [10, 1])):
        assert list(sf.evaluate_exact(sf.gradient(sf.expression_objective(X + 10 * Y, order)), [0, 0])) == expected


def test_a_constant_or_unused_variable_has_gradient_zero() -> None:
    g = sf.evaluate_exact(sf.gradient(sf.expression_objective(X, [X, Y])), [2, 3])
    assert list(g) == [1, 0]
    assert all(isinstance(v, Fraction) for v in g)
    assert sf.evaluate_exact(sf.gradient(sf.expression_objective(sympy.Integer(3), [X])), [2])[0] == 0


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (M * X**2, "got m; substitute values first"),
        (sympy.asinh(X), "cannot turn asinh"),
        (abs(X), "cannot turn Abs"),
        (sympy.Max(X, 0), "cannot turn Max"),
        (sympy.oo * X, "cannot turn oo"),
        (sympy.I * X, "cannot turn I"),
        (sympy.Piecewise((X, X > 0), (0, True)), "cannot turn Piecewise"),
    ],
    ids=str,
)
def test_what_is_not_supported_is_refused(expression: sympy.Expr, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sf.expression_objective(expression, [X, Y])


def test_two_variables_of_one_name_are_refused() -> None:
    positive = sympy.Symbol("x", positive=True)
    with pytest.raises(ValueError, match="different names"):
        sf.expression_objective(X + positive, [X, positive])


def test_irrational_functions_have_no_exact_value() -> None:
    objective = sf.expression_objective(sympy.exp(X) + sympy.sqrt(X), [X])
    with pytest.raises(TypeError, match="mpmath or JAX"):
        sf.evaluate_exact(sf.loss(objective), [1])


@pytest.mark.parametrize("number", ["0.1", "1/10", sympy.Rational(1, 10), Fraction(1, 10), Decimal("0.1")])
def test_exact_numbers_keep_their_value(number) -> None:
    objective = sf.expression_objective(X, [X])
    assert sf.evaluate_exact(sf.loss(objective), [number]) == Fraction(1, 10)
    with mpmath.workdps(60):
        assert_digits(sf.evaluate_mpmath(sf.loss(objective), [number], dps=60), mpmath.mpf(1) / 10, 58)


@pytest.mark.parametrize("number", [0.1, np.float64(0.1), mpmath.mpf(0.1), sympy.Float(0.1)])
def test_floats_mean_their_binary_value(number) -> None:
    objective = sf.expression_objective(X, [X])
    assert sf.evaluate_exact(sf.loss(objective), [number]) == Fraction(0.1)
    assert sf.evaluate_mpmath(sf.loss(objective), [number], dps=60) == mpmath.mpf(0.1)


def test_precision_of_the_caller_is_left_alone() -> None:
    objective = sf.expression_objective(X / 3, [X])
    before = mpmath.mp.prec
    found = sf.evaluate_mpmath(sf.loss(objective), [1], dps=80)
    assert mpmath.mp.prec == before
    with mpmath.workdps(80):
        assert abs(found - mpmath.mpf(1) / 3) < mpmath.mpf(10) ** -79
