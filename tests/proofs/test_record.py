"""Checks pass on what is true and fail on what is almost true; `verify` names what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction

import jax.numpy as jnp
import mpmath
import pytest
import sympy

from symflow.proofs import (
    Check,
    Control,
    Derivation,
    DerivationError,
    Draw,
    FiftyDigits,
    IdentityTest,
    Inequality,
    NonnegativeCoefficients,
    SameInFloat64,
    Step,
    SymbolicZero,
    verify,
)
from symflow.proofs.lemmas import CAUCHY_SCHWARZ
from symflow.proofs.search import largest_violation
from symflow.theory.r01_energy import ENERGY

X, Y = sympy.symbols("x y")
A, B = sympy.symbols("A B", commutative=False)


def zero(*expressions: sympy.Expr) -> SymbolicZero:
    return SymbolicZero("all $x$", lambda: expressions)


def square(case: int, draw: Draw, cross: int = 2) -> Iterator[Fraction]:
    a, b = draw.number(), draw.number()
    yield (a + b) ** 2 - a**2 - cross * a * b - b**2


def identity(cross: int) -> IdentityTest:
    return IdentityTest("one case", [1], lambda case: 2, lambda case, draw: square(case, draw, cross))


def cauchy_schwarz(factor: float) -> Inequality:
    def sides(n: int, z: jnp.ndarray) -> tuple[jnp.ndarray, jnp.ndarray]:
        return jnp.dot(z[:n], z[n:]), factor * jnp.linalg.norm(z[:n]) * jnp.linalg.norm(z[n:])

    return Inequality("$n = 6$", (CAUCHY_SCHWARZ,), [6], lambda n: 2 * n, sides)


TRUE_AND_FALSE: dict[str, tuple[Check, Check]] = {
    "zero": (zero((X + 1) ** 2 - X**2 - 2 * X - 1), zero((X + 1) ** 2 - X**2 - 2 * X)),
    "trigonometric": (zero(sympy.sin(X) ** 2 + sympy.cos(X) ** 2 - 1), zero(sympy.sin(X) ** 2 - sympy.cos(X) ** 2)),
    "noncommutative": (zero((A + B) ** 2 - A**2 - A * B - B * A - B**2), zero((A + B) ** 2 - A**2 - 2 * A * B - B**2)),
    "no expression": (zero(sympy.Integer(0)), zero()),
    "coefficients": (
        NonnegativeCoefficients("", lambda: [((X + Y) ** 2, (X, Y))]),
        NonnegativeCoefficients("", lambda: [((X - Y) ** 2, (X, Y))]),
    ),
    "identity": (identity(2), identity(1)),
    "digits": (
        FiftyDigits("", lambda: [(mpmath.mpf(2) ** 0.5, mpmath.sqrt(2))]),
        FiftyDigits("", lambda: [(mpmath.mpf(1), 1 + mpmath.mpf(10) ** -49)]),
    ),
    "float64": (
        SameInFloat64("", lambda: [(0.1 + 0.2, 0.3)]),
        SameInFloat64("", lambda: [(0.1 + 0.2, 0.3 * (1 + 1e-8))]),
    ),
    "no pair": (SameInFloat64("", lambda: [(1.0, 1.0)]), SameInFloat64("", lambda: [])),
    # Independent random vectors are far from parallel: only the ascent finds what the factor 0.999 violates.
    "inequality": (cauchy_schwarz(1.0), cauchy_schwarz(0.999)),
    "hypothesis": (
        replace(cauchy_schwarz(1.0), hypotheses=(zero(X - X),)),
        replace(cauchy_schwarz(1.0), hypotheses=(zero(X),)),
    ),
}


@pytest.mark.parametrize("name", TRUE_AND_FALSE)
def test_a_check_passes_on_the_true_and_fails_on_the_almost_true(name: str) -> None:
    true, false = (check.run() for check in TRUE_AND_FALSE[name])
    assert true.passed
    assert not false.passed


def test_a_difference_is_shown_whole_or_not_at_all() -> None:
    """Never cut off in the middle, and as LaTeX where its names print as what they mean."""
    short, long = zero(X**2 - Y / 2).run(), zero(sum(X**k * Y for k in range(20))).run()
    assert (short.detail, short.latex) == (
        "difference 1 is x**2 - y/2, not 0",
        r"difference 1 is $x^{2} - \frac{y}{2}$, not 0",
    )
    assert (long.detail, long.latex) == ("difference 1 is not 0", "")
    assert zero(sympy.Symbol("theta(t)")).run().detail == "difference 1 is not 0"


def test_what_is_less_than_the_step_says_so() -> None:
    assert zero(X - X).kind == "proved"
    assert replace(zero(X - X), kind="checked exactly").kind == "checked exactly"


def test_the_bound_of_an_identity_test_is_that_of_schwartz_and_zippel() -> None:
    assert identity(2).log_bound == -18  # two points, degree 2, 2e9 + 1 values: (2/(2e9 + 1))^2 = 1e-18
    assert "at most 1e-18" in identity(2).run().detail


@pytest.mark.parametrize("dimension", [1, 15, 20])
def test_a_search_leaves_places_without_slope(dimension: int) -> None:
    """Of a bell that is 1e-10 where it starts: whether its peak is above 1."""

    def violation(height: float) -> float:
        return largest_violation(lambda z: (height * jnp.exp(-jnp.sum((z - 1.3) ** 2)), jnp.ones(())), dimension)

    assert violation(1.001) == pytest.approx(0.001 / 2.001, rel=1e-3)
    assert violation(0.999) == pytest.approx(-0.001 / 1.999, rel=1e-3)


GOOD = Derivation(ENERGY, (Step("a", "b", "why", (zero(X - X),)),), (Control("x", zero(X)),))


def test_a_derivation_is_verified() -> None:
    done: list[float] = []
    found = verify(GOOD, done.append)
    assert done == [0.5, 1.0]
    assert [len(outcomes) for outcomes in found.outcomes] == [1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: replace(d, steps=(*d.steps, Step("c", "d", "why", (zero(X),)))), r"^R1, step 2 fails \(proved\): "),
        (lambda d: replace(d, steps=(Step("c", "d", "why", ()),)), r"^R1, step 1: it has no check"),
        (lambda d: replace(d, controls=()), r"^R1: it has no negative control"),
        (lambda d: replace(d, controls=(Control("x", zero(X - X)),)), r"^R1, control 1 is not refuted: x$"),
    ],
)
def test_what_is_wrong_is_named(change: Callable[[Derivation], Derivation], message: str) -> None:
    with pytest.raises(DerivationError, match=message):
        verify(change(GOOD))
