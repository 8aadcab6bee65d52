"""Taylor coefficients from recurrences: against mpmath numbers, exact derivatives and known series."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy
from cases import reference
from hypothesis import given
from hypothesis import strategies as st
from mpmath import mpf
from mpseries import MpmathSeries

import symflow as sf
from symflow.dynamics.modified.leading_order import leading_order_field
from symflow.dynamics.vector_field import VectorField, gradient_flow_field
from symflow.errors import BudgetError, ComputationError
from symflow.evaluate import series
from symflow.evaluate.fixed_point import FixedSeries
from symflow.evaluate.series import Recurrence, compile_recurrence
from symflow.numbers.fixed_point import from_fraction, from_mpf, to_mpf
from symflow.paths.taylor.kinks.gates import initial_gates
from symflow.programs.nodes import Axis, Input, einsum
from symflow.programs.program import Program

BITS = 400
DIGITS = 120


def agree(fixed: list[Any], exact: list[Any]) -> None:
    """Asserts that coefficients agree to 100 digits, relative to the largest."""
    assert len(fixed) == len(exact)
    size = max(1, *(abs(v) for v in exact))
    for a, b in zip(fixed, exact, strict=True):
        assert abs(to_mpf(a, BITS) - b) <= size * mpf(10) ** -100


def both(field: VectorField, theta: Sequence[Fraction], order: int, tau: int) -> tuple[Recurrence, Recurrence]:
    """The same expansion in both arithmetics, every series compared."""
    gates, _ = initial_gates(field, theta[: field.objective.parameter_count])
    fixed = compile_recurrence(field, gates, FixedSeries(BITS))
    exact = compile_recurrence(field, gates, MpmathSeries())
    fixed.expand([from_fraction(q, BITS) for q in theta], order, tau)
    fixed.read(fixed.series)
    exact.expand([mpf(q.numerator) / q.denominator for q in theta], order, tau)
    for a, b in zip(fixed.state, exact.state, strict=True):
        assert len(b) == order + 1
        agree(a, b)
    for mine, theirs in zip(fixed.switching, exact.switching, strict=True):
        for a, b in zip(mine, theirs, strict=True):
            assert (a is None) == (b is None)
            if isinstance(b, list):
                agree(a, b)
    return fixed, exact


@pytest.fixture(autouse=True)
def digits() -> Any:
    with mpmath.workdps(DIGITS):
        yield


@pytest.mark.parametrize("name", ["linear-2-2-2-1", "linear-3-4-2", "relu-2-3-1", "leaky-2-2-2-1", "slide-relu-3-3-1"])
@pytest.mark.parametrize(("form", "tau"), [("samples", 0), ("moments", -3), ("samples", 2)])
def test_networks_in_both_arithmetics(name: str, form: str, tau: int) -> None:
    problem = reference(name)
    objective = problem.objective
    if form == "moments":
        objective = sf.moment_form(objective) or objective
    both(gradient_flow_field(objective), problem.theta0, 24, tau)


def test_moments_and_samples_have_the_same_coefficients() -> None:
    problem = reference("linear-3-4-2")
    forms = (problem.objective, sf.moment_form(problem.objective))
    results = [both(gradient_flow_field(objective), problem.theta0, 12, 0)[1] for objective in forms]
    for a, b in zip(results[0].state, results[1].state, strict=True):
        assert max(abs(p - q) for p, q in zip(a, b, strict=True)) < mpf(10) ** -110


@pytest.mark.parametrize("name", ["linear-3-4-2", "relu-2-3-1", "leaky-2-2-2-1"])
def test_first_coefficients_are_exact_derivatives(name: str) -> None:
    """theta' = -g and theta'' = H g, in exact rationals."""
    problem = reference(name)
    theta = list(problem.theta0)
    g = sf.evaluate_exact(sf.gradient(problem.objective), theta)
    product = sf.evaluate_exact(sf.hessian_vector_product(problem.objective), theta, list(g))
    _, exact = both(gradient_flow_field(problem.objective), theta, 2, 0)
    for c, first, second in zip(exact.state, g, product, strict=True):
        assert abs(c[1] + mpf(first.numerator) / first.denominator) < mpf(10) ** -115
        assert abs(2 * c[2] - mpf(second.numerator) / second.denominator) < mpf(10) ** -115


def test_an_extended_state() -> None:
    """R18's field: the second half of the state starts at 0 with velocity -H g / 2."""
    problem = reference("linear-2-2-2-1")
    theta = list(problem.theta0)
    g = sf.evaluate_exact(sf.gradient(problem.objective), theta)
    product = sf.evaluate_exact(sf.hessian_vector_product(problem.objective), theta, list(g))
    _, exact = both(leading_order_field(problem.objective), [*theta, *([Fraction(0)] * len(theta))], 10, 0)
    for c, second in zip(exact.state[len(theta) :], product, strict=True):
        assert c[0] == 0
        assert abs(c[1] + mpf(second.numerator) / second.denominator / 2) < mpf(10) ** -115


@pytest.mark.parametrize(
    ("text", "start", "coefficient"),
    [
        ("x**2/2", 1, lambda k: mpf(-1) ** k / mpmath.factorial(k)),  # e^-t
        ("-x**3/3", 1, lambda k: mpf(1)),  # 1/(1 - t)
        ("x**4/4", 1, lambda k: mpmath.binomial(-mpf(1) / 2, k) * mpf(2) ** k),  # (1 + 2t)^(-1/2)
        ("x", 2, lambda k: [mpf(2), mpf(-1)][k] if k < 2 else mpf(0)),
        ("7", 2, lambda k: mpf(2 * (k == 0))),
        ("-exp(x)", 0, lambda k: mpf(1) / k if k else mpf(0)),  # -log(1 - t)
        ("-log(x)", 1, lambda k: mpmath.binomial(mpf(1) / 2, k) * mpf(2) ** k),  # (1 + 2t)^(1/2)
        ("-2*sqrt(x)", 1, lambda k: mpmath.binomial(mpf(2) / 3, k) * (mpf(3) / 2) ** k),  # (1 + 3t/2)^(2/3)
    ],
)
def test_known_series(text: str, start: int, coefficient: Any) -> None:
    x = sympy.Symbol("x", positive=True)
    objective = sf.expression_objective(sympy.sympify(text, locals={"x": x}), [x])
    fixed, _ = both(gradient_flow_field(objective), [Fraction(start)], 20, 0)
    agree(fixed.state[0], [coefficient(k) for k in range(21)])
    scaled, _ = both(gradient_flow_field(objective), [Fraction(start)], 20, -2)
    agree(scaled.state[0], [coefficient(k) / mpf(4) ** k for k in range(21)])


@pytest.mark.parametrize(
    "text",
    [
        "sin(x*y) + cos(x - y)",
        "exp(x*y)/(1 + y**2)",
        "log(1 + exp(-x*y)) + x**4",
        "(1 + x**2)**(-5/2)*y**3 + sin(x)**2",
    ],
)
def test_functions_in_both_arithmetics(text: str) -> None:
    x, y = sympy.symbols("x y", real=True)
    objective = sf.expression_objective(sympy.sympify(text, locals={"x": x, "y": y}, rational=True), [x, y])
    for tau in (0, -2):
        both(gradient_flow_field(objective), [Fraction(1, 3), Fraction(-2, 5)], 12, tau)


@pytest.mark.parametrize(("text", "start"), [("log(x)*x", "0"), ("x*log(x)", "-1/2"), ("sqrt(x)", "-1"), ("1/x", "0")])
def test_outside_the_domain(text: str, start: str) -> None:
    x = sympy.Symbol("x")
    field = gradient_flow_field(sf.expression_objective(sympy.sympify(text, locals={"x": x}), [x]))
    recurrence = compile_recurrence(field, {}, FixedSeries(BITS))
    with pytest.raises(ComputationError, match="has no Taylor series; the flow leaves the domain"):
        recurrence.expand([from_fraction(Fraction(start), BITS)], 3, 0)


def test_what_is_zero_by_structure_is_never_computed() -> None:
    """A zero sample, a dead unit and what lies downstream of it are inert."""
    network = sf.FullyConnected((2, 2, 1, 1), Fraction(1), Fraction(0))
    x = np.array([[Fraction(0), Fraction(0)], [Fraction(1), Fraction(2)], [Fraction(-1), Fraction(-1)]], dtype=object)
    y = np.array([[Fraction(1)]] * 3, dtype=object)
    field = gradient_flow_field(sf.network_objective(network, x, y))
    theta = [Fraction(v) for v in (1, 1, -1, -1, 1, 1, 1)]
    fixed, _ = both(field, theta, 5, 0)
    alive = [[entry is not None for entry in entries] for entries in fixed.switching]
    assert alive == [[False, True, True, False, True, True], [False, True, True]]
    # Unit 0 sees only sample 1, unit 1 only sample 2; no step has an operand that is zero by structure.
    assert all(a and b for step in fixed.steps if hasattr(step, "pairs") for a, b in step.pairs)


def test_an_expansion_leaves_no_trace_in_the_next() -> None:
    problem = reference("relu-2-3-1")
    field = gradient_flow_field(problem.objective)
    gates, _ = initial_gates(field, problem.theta0)
    values = [from_fraction(q, BITS) for q in problem.theta0]
    recurrence = compile_recurrence(field, gates, FixedSeries(BITS))
    recurrence.expand(values, 9, 0)
    first = [list(c) for c in recurrence.state]
    recurrence.expand([v + 1 for v in values], 3, 5)
    recurrence.expand(values, 9, 0)
    assert [list(c) for c in recurrence.state] == first


def test_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = reference("linear-2-2-2-1")
    unbound = sf.network_objective(problem.network, problem.x, None)
    with pytest.raises(ValueError, match="input Y has no data; bind it before integrating"):
        compile_recurrence(gradient_flow_field(unbound), {}, FixedSeries(BITS))
    a, b, c = (Input(n, (Axis(n, 2),), "parameter", n) for n in "abc")
    triple = einsum((a, b, c), ((0,), (1,), (2,)), (0,))
    field = VectorField(Program((a, b, c), {"a": triple, "b": b, "c": c}), (a, b, c), problem.objective)
    with pytest.raises(TypeError, match="at most two factors"):
        compile_recurrence(field, {}, FixedSeries(BITS))
    monkeypatch.setattr(series, "OPERATION_BUDGET", 10)
    with pytest.raises(BudgetError, match=r"has \d+ scalar operations per order, over the budget of 10; use float64"):
        compile_recurrence(gradient_flow_field(problem.objective), {}, FixedSeries(BITS))


@given(st.fractions(), st.integers(1, 200))
def test_fixed_point_numbers_are_rounded_to_nearest(q: Fraction, bits: int) -> None:
    value = from_fraction(q, bits)
    assert abs(Fraction(int(value), 2**bits) - q) <= Fraction(1, 2 ** (bits + 1))
    number = to_mpf(value, bits)
    with mpmath.workdps(5):  # neither direction depends on mpmath's precision
        assert from_mpf(number, bits) == value
        assert from_mpf(number, bits + 7) == value << 7
        coarser = from_mpf(number, bits - 3) if bits > 3 else None
    if coarser is not None:
        assert abs(8 * coarser - value) <= 4


@given(st.lists(st.integers(-(2**60), 2**60), min_size=1, max_size=12), st.integers(0, 2**50))
def test_horner_and_products(integers: list[int], s: int) -> None:
    from gmpy2 import mpz

    bits = 50
    arithmetic, c = FixedSeries(bits), [mpz(v) for v in integers]
    exact = sum(Fraction(v, 2**bits) * Fraction(s, 2**bits) ** k for k, v in enumerate(integers))
    assert abs(Fraction(int(arithmetic.horner(c, mpz(s))), 2**bits) - exact) <= Fraction(len(c), 2**bits)
    square = sum(integers[i] * integers[-1 - i] for i in range(len(c)))
    assert arithmetic.convolve([(c, c)], []) == arithmetic.convolve([(c, list(c))], []) == square >> bits
