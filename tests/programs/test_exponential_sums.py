"""Formulas whose exponentials overflow although the function does not: read as the stable function.

Truth is the formula as it stands and SymPy's derivatives of it, with 2500 digits, of which 1737 cancel at most.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import jax
import mpmath
import numpy as np
import pytest
import sympy
from mpmath import mpf

import symflow as sf
from symflow.evaluate.numpy_batches import evaluate_points
from symflow.programs.exponential_sums import needs_care
from symflow.programs.from_sympy import expression_node
from symflow.programs.nodes import Const, Input, Map

Z = sympy.Symbol("z", real=True)
HALF = sympy.Rational(1, 2)
E = sympy.exp
NAMED = {
    "sigmoid": 1 / (1 + E(-Z)),
    "the sigmoid from below": E(Z) / (1 + E(Z)),
    "silu": Z * E(Z) / (1 + E(Z)),
    "softplus": sympy.log(1 + E(Z)),
    "softplus of -z": sympy.log(E(-Z) + 1),
    "tanh": (E(Z) - E(-Z)) / (E(Z) + E(-Z)),
    "tanh of z/2": (1 - E(-Z)) / (1 + E(-Z)),
    "tanh of hyperbolic functions": sympy.sinh(Z) / sympy.cosh(Z),
    "mish": Z * sympy.tanh(sympy.log(1 + E(Z))),
    "mish multiplied out": Z * (E(2 * Z) + 2 * E(Z)) / (E(2 * Z) + 2 * E(Z) + 2),
    "mish with squares": Z * ((1 + E(Z)) ** 2 - 1) / ((1 + E(Z)) ** 2 + 1),
    "log cosh": sympy.log(sympy.cosh(Z)),
    "log sigmoid": sympy.log(1 / (1 + E(-Z))),
    "a bell": E(Z) / (1 + E(Z)) ** 2,
    "sech": 1 / sympy.cosh(Z),
    "base 2": 1 / (1 + 2 ** (-Z)),
    "roots": 1 / sympy.sqrt(1 + E(-Z)) + E(Z) / sympy.sqrt(1 + E(2 * Z)),
    "weights": sympy.log(3 + 2 * E(Z)) / (5 + 7 * E(Z / 3)),
    "coefficients that vary": Z**2 / (Z**2 + E(Z)) + sympy.log(1 + Z**2 + E(Z)),
    "one inside the other": 1 / (1 + E(-Z) / (1 + E(-Z))),
    "two denominators": E(Z) / (1 + E(Z)) / (2 + E(2 * Z)),
    "a root above": (1 + E(Z)) ** sympy.Rational(3, 2) / (2 + E(3 * Z)),
    "a root above a difference": (1 + E(Z)) ** sympy.Rational(3, 2) / (1 - E(Z) + E(2 * Z)),
    "two roots": E(2 * Z) / sympy.sqrt(1 + E(Z)) / sympy.sqrt(2 + E(3 * Z)),
    "denominators of one term": 1
    / (sympy.cosh(Z) + sympy.sinh(Z))
    / (sympy.cosh(2 * Z) + sympy.sinh(2 * Z))
    / sympy.sqrt(1 + E(-6 * Z)),
}
POINTS = (-1000, -745, -300, -37, -2, 0, HALF, 3, 40, 300, 709, 1000)


def one_unit(formula: sympy.Expr) -> sf.Objective:
    """f = W_2 sigma(W_1)."""
    p, y = sympy.symbols("p y")
    loss = sf.expression_loss(p, p, y, convex=True)
    return sf.network_objective(
        sf.FullyConnected((1, 1, 1), activation=sf.ExpressionActivation(formula)), [1], [0], loss
    )


def truth(formula: sympy.Expr, orders: int) -> list[list[mpf]]:
    """The formula and its derivatives at the points, with enough digits for what cancels."""
    rows, derivative = [], formula
    with mpmath.workdps(2500):
        for _ in range(orders + 1):
            value = sympy.lambdify(Z, derivative, "mpmath", cse=True)
            rows.append([mpf(value(mpf(float(q)))) for q in POINTS])
            derivative = derivative.diff(Z)
    return rows


QUICK = ("tanh", "coefficients that vary", "a root above")


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.thorough) for n in NAMED])
def test_four_derivatives_are_right_however_large_z_is(name: str) -> None:
    objective = one_unit(NAMED[name])
    forms = [sf.to_jax(sf.loss(objective)), *(sf.to_jax(sf.directional_derivative(objective, k)) for k in range(1, 5))]
    theta = np.array([[float(q), 1.0] for q in POINTS])

    def everything(theta: Any) -> Any:
        return jax.numpy.stack([forms[0](theta), *(form(theta, np.array([1.0, 0.0])) for form in forms[1:])])

    with jax.enable_x64(True):
        found = np.asarray(jax.jit(jax.vmap(everything))(theta))
    with mpmath.workdps(40):
        for row, wanted in zip(found.T, truth(NAMED[name], 4), strict=True):
            for value, w in zip(row, wanted, strict=True):
                assert abs(mpf(float(value)) - w) <= 1e-13 * max(1, abs(w))


@pytest.mark.parametrize("name", NAMED)
def test_the_gradient_has_many_digits(name: str) -> None:
    objective = one_unit(NAMED[name])
    loss, gradient = sf.loss(objective), sf.gradient(objective)
    with mpmath.workdps(50):
        values, slopes = truth(NAMED[name], 1)
        for q, value, slope in zip(POINTS, values, slopes, strict=True):
            first, second = sf.evaluate_mpmath(gradient, [q, 1], dps=30)
            assert abs(first - slope) <= mpf(10) ** -28 * max(1, abs(slope))
            assert abs(second - value) <= mpf(10) ** -28 * max(1, abs(value))
            ball = sf.evaluate_balls(loss, [q, 1], dps=30)
            assert ball.lower <= value <= ball.upper
            assert ball.radius <= mpf(10) ** -25 * max(1, abs(value))


@pytest.mark.parametrize("start", [-1000, 1000])
@pytest.mark.parametrize("name", ["sigmoid", "tanh", "mish multiplied out", "log cosh"])
def test_saturated_units_flow(name: str, start: int) -> None:
    """Where sigma is a constant or +-z up to e^-1000, the flow is that of a polynomial: here exact solutions exist."""
    problem = sf.Problem(objective=one_unit(NAMED[name]), theta0=[start, "1/2"], horizon="1/2")
    flow = sf.solve_flow(problem, dps=25)
    with mpmath.workdps(30):
        t, z, v = mpf(1) / 2, mpf(start), mpf(1) / 2
        sign = 1 if start > 0 else -1
        if name == "log cosh":  # z' = -s v, v' = -(s z - log 2)
            a = sign * z - mpmath.log(2)
            wanted = [sign * (a * mpmath.cosh(t) - v * mpmath.sinh(t) + mpmath.log(2))]
            wanted.append(v * mpmath.cosh(t) - a * mpmath.sinh(t))
        elif name == "mish multiplied out" and start > 0:  # z' = -v, v' = -z
            wanted = [z * mpmath.cosh(t) - v * mpmath.sinh(t), v * mpmath.cosh(t) - z * mpmath.sinh(t)]
        else:
            limit = {"sigmoid": (start > 0), "tanh": sign, "mish multiplied out": 0}[name]
            wanted = [z, v - limit * t]
        assert max(abs(a - b) / max(1, abs(b)) for a, b in zip(flow("1/2"), wanted, strict=True)) < mpf(10) ** -25


def test_named_functions_are_found() -> None:
    x = Input("x", (), "data", "x")
    for name, function in {"sigmoid": "sigmoid", "tanh": "tanh", "tanh of hyperbolic functions": "tanh",
                           "softplus": "softplus", "the sigmoid from below": "sigmoid"}.items():  # fmt: skip
        node = expression_node(NAMED[name], {Z: x})
        assert isinstance(node, Map)
        assert (node.function, node.x) == (function, x)


def test_sums_that_are_zero_are_known() -> None:
    x, zero = Input("x", (), "data", "x"), sympy.cosh(Z) ** 2 - sympy.sinh(Z) ** 2 - 1
    assert expression_node(zero / (1 + E(Z)), {Z: x}) == Const(Fraction(0), ())
    for formula in (1 / zero, sympy.log(zero)):
        with pytest.raises(ValueError, match="is 0 for all x"):
            expression_node(formula, {Z: x})


def test_what_is_no_quotient_of_exponentials_is_read_as_it_stands() -> None:
    for formula in (E(Z), Z * E(-(Z**2)), 1 / (1 + Z**2), sympy.log(2 + sympy.sin(Z)), 1 / (2 + sympy.tanh(E(Z)))):
        assert not needs_care(formula)


def test_formulas_as_they_stand_do_overflow() -> None:
    """Negative control: float64 makes NaN of the quotient itself."""
    with np.errstate(over="ignore", invalid="ignore"):
        z = np.float64(1000)
        assert np.isnan((np.exp(z) - np.exp(-z)) / (np.exp(z) + np.exp(-z)))
    objective = one_unit(NAMED["tanh"])
    assert evaluate_points(objective, objective.program, np.array([[1000.0, 1.0]]))["f"] == 1


@pytest.mark.parametrize("formula", [E(E(Z)), E(-E(-Z)), sympy.sinh(Z)])
def test_where_no_stable_form_is_known_the_error_is_one_line(formula: sympy.Expr) -> None:
    start = [-1000 if formula == E(-E(-Z)) else 1000, "1/2"]
    problem = sf.Problem(objective=one_unit(formula), theta0=start, horizon=1)
    with pytest.raises(sf.ComputationError) as refused:
        sf.solve_flow_float64(problem)
    assert "not finite in float64" in str(refused.value)
    with pytest.raises(sf.ComputationError) as refused:
        sf.descend(problem, step_size="1/10", steps=3)
    assert "\n" not in str(refused.value)
