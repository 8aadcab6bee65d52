"""Modified equations by rooted trees: stated tables, kauri, quadratics, the recursions themselves, the start."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from fractions import Fraction
from functools import cache
from importlib.metadata import version
from pathlib import Path
from time import process_time

import kauri
import mpmath
import pytest
import sympy

import symflow as sf
from symflow.dynamics.modified.coefficients import start_terms, terms
from symflow.dynamics.modified.potential import gradient
from symflow.dynamics.modified.trees import (
    HHG,
    TGG,
    THETA,
    G,
    Tree,
    all_trees,
    grafted,
    tree,
    vertices,
)

BETA = sympy.Symbol("beta")
HG, NU = tree(G), 1 - BETA
X, Y = sympy.symbols("x y")
SMOOTH = sf.expression_objective(X**4 / 4 + X**2 * Y**2 / 2 + sympy.cos(Y) + X * Y / 3 + X / 2, (X, Y))
SLOPE = sf.gradient(SMOOTH)
START = (Fraction(1, 3), Fraction(2, 5))
DPS = 45


def fractions(table: Mapping[Tree, str]) -> dict[Tree, Fraction]:
    return {t: Fraction(c) for t, c in table.items()}


def chain(order: int) -> Tree:
    """H^order g."""
    return tree(chain(order - 1)) if order else G


# The stated tables (theory.md) --------------------------------------------------------------------------------------


R17 = [
    {G: "-1"},
    {HG: "-1/2"},
    {HHG: "-1/3", TGG: "-1/12"},
    {chain(3): "-1/4", tree(TGG): "-1/12", tree(G, HG): "-1/12"},
    {
        chain(4): "-1/5",
        tree(tree(TGG)): "-3/40",
        tree(tree(G, HG)): "-1/10",
        tree(tree(G, G, G)): "-1/180",
        tree(HG, HG): "-1/60",
        tree(G, HHG): "-1/20",
        tree(G, TGG): "-1/120",
        tree(G, G, HG): "1/120",
        tree(G, G, G, G): "1/720",
    },
]
R25 = [
    {G: -1 / NU},
    {HG: -(1 + BETA) / (2 * NU**3)},
    {HHG: -(1 + 4 * BETA + BETA**2) / (3 * NU**5), TGG: -(1 + 10 * BETA + BETA**2) / (12 * NU**5)},
]
R26 = [
    {G: -1 / NU},
    {HG: -(1 - BETA + 2 * BETA**2) / (2 * NU**3)},
    {
        HHG: -(1 - 2 * BETA + 7 * BETA**2 - 3 * BETA**3 + 3 * BETA**4) / (3 * NU**5),
        TGG: -(1 + 4 * BETA + 7 * BETA**2 - 6 * BETA**3 + 6 * BETA**4) / (12 * NU**5),
    },
]


def test_gradient_descent_has_the_stated_coefficients() -> None:
    assert list(terms(sf.GradientDescent(), 4)) == [fractions(term) for term in R17]


@pytest.mark.parametrize(("kind", "stated"), [(sf.HeavyBall, R25), (sf.Nesterov, R26)])
def test_momentum_has_the_stated_coefficients(kind: type, stated: list[dict[Tree, sympy.Expr]]) -> None:
    for found, term in zip(terms(kind(BETA), 2), stated, strict=True):
        assert found.keys() == term.keys()
        assert all(sympy.cancel(found[t] - c) == 0 for t, c in term.items())
    for beta in (Fraction(1, 2), Fraction(9, 10), Fraction(0)):
        number = sympy.Rational(beta.numerator, beta.denominator)
        for found, term in zip(terms(kind(beta), 2), stated, strict=True):
            assert found == {t: Fraction(str(c.subs(BETA, number))) for t, c in term.items()}


@pytest.mark.parametrize("kind", [sf.HeavyBall, sf.Nesterov])
def test_symbols_and_numbers_agree(kind: type) -> None:
    """The same engine in two fields, orders 3 and 4 and the start."""
    number = sympy.Rational(2, 7)
    for derive in (terms, start_terms):
        for symbolic, exact in zip(derive(kind(BETA), 3), derive(kind(Fraction(2, 7)), 3), strict=True):
            assert exact == {t: Fraction(str(c.subs(BETA, number))) for t, c in symbolic.items()}


def test_without_momentum_it_is_gradient_descent() -> None:
    for kind in (sf.HeavyBall, sf.Nesterov):
        assert terms(kind(0), 5) == terms(sf.GradientDescent(), 5)
        assert start_terms(kind(0), 3) == ({}, {}, {})


# Trees and the oracle -----------------------------------------------------------------------------------------------


def test_trees_are_counted() -> None:
    """Rooted trees by vertices (OEIS A000081), and those that differ in the root alone."""
    assert [len(all_trees(n)) for n in range(1, 8)] == [1, 1, 2, 4, 9, 20, 48]
    for t in all_trees(5):
        assert gradient(t).total() == 5  # one for each vertex as the root
        assert all(vertices(s) == 5 for s in gradient(t))
    assert len(grafted(G, TGG)) == 3


def oracle_tree(t: Tree) -> kauri.Tree:
    def nested(s: Tree) -> list:
        return [nested(branch) for branch in s[1]]

    return kauri.Tree(nested(t))


TABLEAUS = {
    "euler": ([[]], ["1"]),
    "heun": ([[], ["1"]], ["1/2", "1/2"]),
    "kutta 3": ([[], ["1/2"], ["-1", "2"]], ["1/6", "2/3", "1/6"]),
    "rk4": ([[], ["1/2"], ["0", "1/2"], ["0", "0", "1"]], ["1/6", "1/3", "1/3", "1/6"]),
    "any": ([[], ["2/3"], ["-1/5", "3/7"]], ["1/2", "1/3", "1/9"]),
}


@pytest.mark.parametrize("name", TABLEAUS)
def test_runge_kutta_against_kauri(name: str) -> None:
    """Coefficients to order 5: those of y' = -g are (-1)^n times the weights over the symmetries."""
    a, b = TABLEAUS[name]
    size = len(b)
    full = [[Fraction(row[j]) if j < len(row) else Fraction(0) for j in range(size)] for row in a]
    oracle = kauri.RK(full, [Fraction(c) for c in b]).elementary_weights_map().modified_equation()
    found = terms(sf.RungeKutta(a, b), 5)
    if name == "euler":
        assert found == terms(sf.GradientDescent(), 5)
    for i, term in enumerate(found):
        for t in all_trees(i + 1):
            weight = (-1) ** (i + 1) * oracle(oracle_tree(t)) / oracle_tree(t).sigma()  # in float64
            assert abs(term.get(t, 0) - weight) < 1e-14


def test_a_method_of_order_four_has_nothing_before_eta_to_the_fourth() -> None:
    found = terms(sf.RungeKutta(*TABLEAUS["rk4"]), 4)
    assert [len(term) for term in found] == [1, 0, 0, 0, 9]


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ([["1"]], ["1"], "must hold 0 numbers"),
        ([[], ["1"]], ["1"], "one row for each"),
        ([[]], [], "one row for each"),
        ([[], ["x"]], ["1", "2"], r"a\[1\]\[0\] must be"),
        ([[], 3], ["1", "2"], "list of rows"),
    ],
)
def test_other_tableaus_are_refused(a: list, b: list, message: str) -> None:
    with pytest.raises(sf.ProblemError, match=message):
        sf.RungeKutta(a, b)


# Quadratics ---------------------------------------------------------------------------------------------------------


ORDER = 9
Powers = list[Fraction]
"""The coefficients of 1, z, ..., z^{ORDER + 1}."""


def powers(*first: Fraction | int) -> Powers:
    return [Fraction(first[i]) if i < len(first) else Fraction(0) for i in range(ORDER + 2)]


def times(a: Powers, b: Powers) -> Powers:
    return [sum((a[i] * b[n - i] for i in range(n + 1)), Fraction(0)) for n in range(len(a))]


def over(a: Powers, b: Powers) -> Powers:
    found: Powers = []
    for n in range(len(a)):
        found.append((a[n] - sum((found[i] * b[n - i] for i in range(n)), Fraction(0))) / b[0])
    return found


def logarithm(a: Powers) -> Powers:
    """log a, a(0) = 1, from its derivative a'/a."""
    slope = over([*(i * c for i, c in enumerate(a))][1:], a[:-1])
    return [Fraction(0), *(c / (i + 1) for i, c in enumerate(slope))]


@pytest.mark.parametrize("beta", [Fraction(1, 2), Fraction(9, 10)])
@pytest.mark.parametrize("kind", [sf.HeavyBall, sf.Nesterov])
def test_on_quadratics_the_chains_are_those_of_the_slow_root(kind: type, beta: Fraction) -> None:
    """log mu_+ of mu^2 - s mu + p, by Newton's method in power series; for heavy ball it is Legendre's series."""
    s = powers(1 + beta, -1) if kind is sf.HeavyBall else powers(1 + beta, -1 - beta)
    p = powers(beta) if kind is sf.HeavyBall else powers(beta, -beta)
    mu = powers(1)
    for _ in range(4):
        miss = [a - b + c for a, b, c in zip(times(mu, mu), times(s, mu), p, strict=True)]
        mu = [a - b for a, b in zip(mu, over(miss, [2 * a - b for a, b in zip(mu, s, strict=True)]), strict=True)]
    rate, order = logarithm(mu), 5
    assert [term[chain(i)] for i, term in enumerate(terms(kind(beta), order))] == rate[1 : order + 2]
    if kind is sf.HeavyBall:
        z, nu = sympy.Rational(str((1 + beta) / (1 - beta))), 1 - beta
        legendre = [Fraction(str(sympy.legendre(k, z))) / ((k + 1) * nu ** (k + 1)) for k in range(ORDER + 1)]
        assert rate[1:] == [-c for c in legendre]  # to (eta lambda)^10


TABLE = Path(__file__).parent.parent / "studies" / "modified_equations.md"


@pytest.mark.thorough
def test_legendres_series_to_order_ten_and_the_time_it_takes() -> None:
    """All trees up to 10 vertices for heavy ball; the table has the times of the other orders."""
    rows = []
    for method in (
        sf.GradientDescent(),
        sf.HeavyBall("1/2"),
        sf.Nesterov("1/2"),
        sf.HeavyBall(BETA),
        sf.Nesterov(BETA),
    ):
        for order in (2, 3, 4, 5) if method.symbols else (2, 3, 4, 5, 6, 7, 9):
            terms.cache_clear()
            began = process_time()
            found = terms(method, order)
            took = process_time() - began
            began = process_time()
            start_terms.__wrapped__(method, min(order, 6))
            rows.append(f"| {method!r} | {order} | {len(found[-1])} | {took:.3f} | {process_time() - began:.3f} |\n")
            if isinstance(method, sf.HeavyBall) and order == 9:
                legendre = [sympy.legendre(k, 3) * 2 ** (k + 1) / sympy.Integer(k + 1) for k in range(10)]
                assert [term[chain(i)] for i, term in enumerate(found)] == [-Fraction(str(c)) for c in legendre]
    TABLE.write_text(
        "# Modified equations by rooted trees: terms and seconds\n\n"
        f"`tests/dynamics/test_trees.py`, {date.today()}, symflow {version('symflow')}, SymPy {version('sympy')}; "
        f"seconds "
        "of processor time on one core. Trees: differentials in the last term. The start is derived to the same "
        "order, at "
        "most 6.\n\n| method | order | trees | seconds | start |\n|---|---|---|---|---|\n" + "".join(rows),
        encoding="utf-8",
    )


# The recursions themselves, at 45 digits ----------------------------------------------------------------------------


def slope(theta: list[mpmath.mpf]) -> list[mpmath.mpf]:
    return list(sf.evaluate_mpmath(SLOPE, theta, dps=DPS))


@cache
def along(method: sf.Method, order: int, eta: Fraction) -> list[list[mpmath.mpf]]:
    """x(-eta), x(0), x(eta) on a solution of the modified equation."""
    field = sf.modified_equation(SMOOTH, order, method).field(eta)
    flow = sf.solve_field(field, START, horizon=2 * eta, dps=DPS - 5, error=None)
    return [list(flow(k * eta)) for k in range(3)]


def defect(method: sf.Method, order: int, eta: Fraction) -> mpmath.mpf:
    """How far the solution is from the two-step recursion of momentum, with its weight decay."""
    before, here, after = along(method, order, eta)
    beta, decay, step = (mpmath.mpf(q.numerator) / q.denominator for q in (method.momentum, method.weight_decay, eta))
    shrink = 1 - step * decay if method.decoupled else 1
    v = [b - shrink * a for a, b in zip(before, here, strict=True)]
    y = [a + beta * b for a, b in zip(here, v, strict=True)] if isinstance(method, sf.Nesterov) else here
    g = [a + (0 if method.decoupled else decay) * b for a, b in zip(slope(y), y, strict=True)]
    new = [beta * a - step * b for a, b in zip(v, g, strict=True)]
    return mpmath.norm([a - shrink * b - c for a, b, c in zip(after, here, new, strict=True)])


METHODS = {
    "heavy ball": sf.HeavyBall("1/2"),
    "nesterov": sf.Nesterov("9/10"),
    "coupled": sf.HeavyBall("1/3", weight_decay="1/5"),
    "nesterov, coupled": sf.Nesterov("1/3", weight_decay="1/5"),
    "decoupled": sf.HeavyBall("1/3", weight_decay="1/5", decoupled=True),
}


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_the_defect_in_the_recursion_is_of_order_plus_two(name: str, order: int) -> None:
    with mpmath.workdps(DPS):
        errors = [defect(METHODS[name], order, Fraction(1, n)) for n in (40000, 80000)]
        assert abs(mpmath.log(errors[0] / errors[1], 2) - (order + 2)) < 0.05


@pytest.mark.parametrize("method", [sf.HeavyBall("1/3"), sf.Nesterov("1/3")])
@pytest.mark.parametrize("at_theta0", [False, True])
def test_the_start_of_the_flow_of_descent_from_rest(method: sf.Method, at_theta0: bool) -> None:
    """After 100 steps (3^-100 is forgotten) flow of order 2 is off by O(eta^3), from theta_0 itself by O(eta)."""
    equation, errors = sf.modified_equation(SMOOTH, 2, method), []
    with mpmath.workdps(DPS):
        beta = mpmath.mpf(1) / 3
        for n in (2000, 4000):
            eta = Fraction(1, n)
            theta = [mpmath.mpf(q.numerator) / q.denominator for q in START]
            start = START if at_theta0 else sf.evaluate_mpmath(equation.start(eta), START, dps=DPS)
            v = [mpmath.mpf(0)] * 2
            for _ in range(100):
                y = [a + beta * b for a, b in zip(theta, v, strict=True)]
                g = plain_slope(y if isinstance(method, sf.Nesterov) else theta)
                v = [beta * a - b / n for a, b in zip(v, g, strict=True)]
                theta = [a + b for a, b in zip(theta, v, strict=True)]
            flow = sf.solve_field(equation.field(eta), list(start), horizon=100 * eta, dps=30, error=None)(100 * eta)
            errors.append(mpmath.norm([a - b for a, b in zip(flow, theta, strict=True)]))
        assert abs(mpmath.log(errors[0] / errors[1], 2) - (1 if at_theta0 else 3)) < 0.05


def plain_slope(theta: list[mpmath.mpf]) -> list[mpmath.mpf]:
    """grad of SMOOTH, by hand."""
    x, y = theta
    third = mpmath.mpf(1) / 3
    return [x**3 + x * y**2 + y * third + mpmath.mpf(1) / 2, x**2 * y - mpmath.sin(y) + x * third]


@pytest.mark.parametrize("kind", [sf.HeavyBall, sf.Nesterov])
def test_the_start_on_quadratics_is_the_share_of_the_slow_root(kind: type) -> None:
    """A mu_+^k + B mu_-^k with A + B = 1 = A/mu_+ + B/mu_-."""
    beta, z = Fraction(2, 3), mpmath.mpf(1) / 10**9
    with mpmath.workdps(60):
        b = mpmath.mpf(2) / 3
        s, p = (1 + b - z, b) if kind is sf.HeavyBall else ((1 + b) * (1 - z), b * (1 - z))
        root = mpmath.sqrt(s**2 - 4 * p)
        large, small = (s + root) / 2, (s - root) / 2
        exact = large * (1 - small) / (large - small)
        found = start_terms(kind(beta), 4)
        share = 1 + sum(mpmath.mpf(t[chain(i)].numerator) / t[chain(i)].denominator * z ** (i + 1)
                        for i, t in enumerate(found))  # fmt: skip
        assert abs(share - exact) < 1e7 * z**5
        wrong = share + z**4
        assert abs(wrong - exact) > 1e7 * z**5


# What is refused ----------------------------------------------------------------------------------------------------


def test_symbols_are_for_formulas() -> None:
    method = sf.HeavyBall(BETA)
    equation = sf.modified_equation(SMOOTH, 1, method)
    for use in (lambda: equation.field("1/10"), lambda: equation.terms, lambda: equation.start("1/10"),
                lambda: equation.loss().function("1/10"),
                lambda: sf.modified_equation(SMOOTH, 2, method).curl(2).function,
                lambda: sf.descend(sf.load_problem("examples/linear.toml"), steps=1, method=method)):  # fmt: skip
        with pytest.raises(sf.ProblemError, match="number"):
            use()
    assert r"\frac{\beta}{(1-\beta)^{2}}g" in equation.start_latex()


def test_orders_and_methods_that_are_not_known() -> None:
    with pytest.raises(sf.BudgetError, match="order 9 at most, got 10"):
        sf.modified_equation(SMOOTH, 10)
    with pytest.raises(sf.BudgetError, match="order 6 at most with symbols as settings, got 7"):
        sf.modified_equation(SMOOTH, 7, sf.Nesterov(BETA))
    with pytest.raises(sf.ProblemError, match="method must be a Method"):
        sf.modified_equation(SMOOTH, 1, "adam")  # type: ignore[arg-type]


def test_decay_by_itself_shrinks_theta() -> None:
    """With f = 0, theta' = log(1 - eta lambda)/eta theta."""
    found = terms(sf.GradientDescent(weight_decay="1/3"), 3)
    assert [term[THETA] for term in found] == [-Fraction(1, (i + 1) * 3 ** (i + 1)) for i in range(4)]
