r"""R17: the modified equation of gradient descent, and why there is no modified loss at order eta^2.

    theta' = F_0 + eta F_1 + eta^2 F_2 + ...,    F_0 = -g,  F_1 = -Hg/2,  F_2 = -H^2 g/3 - T[g,g]/12, ...

Elementary differentials (indexed by rooted trees) are closed under derivatives along each other: that of tau along
sigma is the sum over the vertices of tau of the tree with sigma grafted there. So the Taylor coefficients of the flow
of the modified equation are rational combinations of trees, and they equal those of the Euler step tree by tree, in
every dimension. (Barrett & Dherin 2021 for F_1; Hairer, Lubich & Wanner 2006, chapter IX; the antisymmetric part of
the Jacobian of F_2 is ours.)

Run: python -m derivations.r17_modified_equation
"""

# Long: one proof by trees, in coordinates and on networks, and why there is no loss at the next order.
from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import partial
from itertools import product
from math import factorial, prod

import sympy

import symflow as sf
from symflow.derivatives.derived import parameter_directions
from symflow.dynamics.modified.differentials import Differentials, Vector
from symflow.dynamics.modified.tree_series import along, plus
from symflow.dynamics.modified.trees import HG, TGG, G, Tree, all_trees, grafted, tree
from symflow.evaluate.interpret import interpret
from symflow.evaluate.object_arrays import EXACT
from symflow.networks.objective import Objective
from symflow.programs.differentiate import jvp, transpose
from symflow.programs.nodes import Const, Node, add, einsum
from symflow.programs.program import Program
from symflow.proofs import Control, Derivation, Draw, IdentityTest, Step, SymbolicZero
from symflow.proofs.claims import Case, drawn_objective
from symflow.report.derivations import run
from symflow.theory.r17_modified_equation import MODIFIED_EQUATION, TERMS

Series = Mapping[Tree, Fraction]
SIXTH = sympy.Rational(1, 6)

NETWORKS = (Case("1-1-2-1", sf.FullyConnected((1, 1, 2, 1))), Case("2-2-2", sf.FullyConnected((2, 2, 2))))


def altered(tree: Tree, coefficient: Fraction) -> tuple[Series, ...]:
    """The stated terms with one coefficient changed, for a control."""
    return tuple({t: coefficient if t == tree else c for t, c in term.items()} for term in TERMS)


# Trees --------------------------------------------------------------------------------------------------------------


def flow_by_trees(terms: Sequence[Series]) -> list[dict[Tree, Fraction]]:
    """The coefficients of eta, eta^2, ... in the flow after the time eta, as combinations of trees."""
    level = [dict(term) for term in terms]  # the coefficients of eta^q in L^{m-1} F, m = 1
    total = [dict(term) for term in terms]
    for m in range(2, len(terms) + 1):
        derived: list[dict[Tree, Fraction]] = [{} for _ in terms]
        for q in range(len(terms)):
            for i in range(q + 1):
                derived[q] = plus(derived[q], along(terms[i], level[q - i]))
        level = derived
        for k in range(m - 1, len(terms)):
            total[k] = plus(total[k], level[k + 1 - m], Fraction(1, factorial(m)))
    return total


def each(series: Series, size: int) -> Iterator[sympy.Expr]:
    """The coefficient of every tree with so many vertices."""
    found = (series.get(t, Fraction(0)) for t in all_trees(size))
    yield from (sympy.Rational(c.numerator, c.denominator) for c in found)


def order_conditions(terms: Sequence[Series]) -> Iterator[sympy.Expr]:
    """The coefficient of every tree in that of eta^{k+1} of the flow, k = 1, ..., 4; that of the Euler step is 0."""
    for k, found in enumerate(flow_by_trees(terms)[1:], 1):
        yield from each(found, k + 1)


def first_defect() -> Iterator[sympy.Expr]:
    """The coefficient of eta^{p+2} for the equation of order p is -F_{p+1}, p = 0, ..., 4.

    F_5 is minus that coefficient at p = 4: with it the coefficient of eta^6 vanishes, as F_{p+1} enters it by itself.
    """
    for p in range(len(TERMS) - 1):
        defect = flow_by_trees([*TERMS[: p + 1], {}])[-1]
        yield from each(plus(defect, TERMS[p + 1]), p + 2)
    fifth = {t: -c for t, c in flow_by_trees([*TERMS, {}])[-1].items()}
    yield from each(flow_by_trees([*TERMS, fifth])[-1], 6)


# Any function of one or two variables --------------------------------------------------------------------------------


class Jets:
    """The partial derivatives of an unknown f as symbols, in one or two variables."""

    def __init__(self, variables: int) -> None:
        self.variables = range(variables)
        self._known: dict[sympy.Symbol, tuple[int, ...]] = {}

    def symbol(self, indices: Sequence[int]) -> sympy.Symbol:
        """The derivative of f by the variables of these numbers."""
        place = tuple(sorted(indices))
        symbol = sympy.Symbol("f_" + "".join(map(str, place)))
        self._known[symbol] = place
        return symbol

    def differential(self, tree: Tree) -> list[sympy.Expr]:
        """An elementary differential."""
        branches = [self.differential(branch) for branch in tree[1]]
        return [
            sympy.Add(*(
                self.symbol((a, *places)) * prod((v[p] for v, p in zip(branches, places, strict=True)), start=1)
                for places in product(self.variables, repeat=len(branches))
            ))
            for a in self.variables
        ]  # fmt: skip

    def along(self, field: Sequence[sympy.Expr], x: sympy.Expr) -> sympy.Expr:
        """The derivative of a polynomial in the partial derivatives along a vector field."""
        moved = sympy.Integer(0)
        for symbol in x.free_symbols:
            place = self._known[symbol]
            moved += x.diff(symbol) * sympy.Add(*(self.symbol((*place, b)) * field[b] for b in self.variables))
        return sympy.expand(moved)


def conditions_in_coordinates(variables: int, order: int, terms: Sequence[Series] = TERMS) -> Iterator[sympy.Expr]:
    """Coefficients of eta^2, ..., eta^{order+1} in the flow after the time eta; those of the Euler step are 0."""
    jets = Jets(variables)
    fields = []
    for term in terms[: order + 1]:
        weighted = [(sympy.Rational(c.numerator, c.denominator), jets.differential(tree)) for tree, c in term.items()]
        fields.append([sympy.expand(sympy.Add(*(c * v[a] for c, v in weighted))) for a in jets.variables])
    for a in jets.variables:
        level = [field[a] for field in fields]
        totals = list(level)
        for m in range(2, order + 2):
            level = [
                sympy.Add(*(jets.along(fields[i], level[q - i]) for i in range(q + 1))) for q in range(order + 2 - m)
            ]
            for q, x in enumerate(level):
                totals[q + m - 1] += x / factorial(m)
        yield from totals[1:]


def taylor_coefficients() -> Iterator[sympy.Expr]:
    """d^m theta/dt^m = L^{m-1} F with L u = u' F, for any F of one variable and m <= 5."""
    t, x = sympy.symbols("t x")
    field, theta = sympy.Function("F"), sympy.Function("theta")(t)
    derivative, stated = theta.diff(t), field(x)
    for _ in range(4):
        derivative = derivative.subs(theta.diff(t), field(theta)).doit().diff(t)
        stated = stated.diff(x) * field(x)
        yield derivative.subs(theta.diff(t), field(theta)).doit() - stated.subs(x, theta).doit()


# Networks -----------------------------------------------------------------------------------------------------------


def differences(case: Case, draw: Draw, make: Callable[[Objective], Iterator[Vector]]) -> Iterator[Fraction]:
    """Exact values of vectors that should vanish, for random weights and data."""
    objective = drawn_objective(case, draw)
    theta, direction = (draw.array(objective.parameter_count) for _ in range(2))
    directions = parameter_directions(objective)
    bound = {**objective.data, **objective.cut(theta)}
    bound |= dict(zip(directions, objective.cut(direction).values(), strict=True))
    named = {f"{k} {w.name}": x[w] for k, x in enumerate(make(objective)) for w in objective.parameters}
    for value in interpret(Program((*objective.program.inputs, *directions), named), bound, EXACT).values():
        yield from value.reshape(-1)


def combined(objective: Objective, weighted: Sequence[tuple[Fraction, Vector]]) -> Vector:
    """A linear combination of vectors."""
    return {w: add([(c, v[w]) for c, v in weighted]) for w in objective.parameters}


def moved(objective: Objective, vector: Vector, field: Vector) -> Vector:
    """The derivative of a vector along a field."""
    tangents: dict[Node, Node] = {**field}
    dot = jvp([vector[w] for w in objective.parameters], tangents)
    return {w: dot[vector[w]] for w in objective.parameters}


def grafting(objective: Objective, first_only: bool = False) -> Iterator[Vector]:
    """The derivative of F(tau) along F(sigma), minus the sum over graftings; |tau| + |sigma| <= 5."""
    found = Differentials(objective)
    for size in (1, 2, 3, 4):
        for tau in all_trees(size):
            for sigma in [s for other in range(1, 6 - size) for s in all_trees(other)]:
                trees = grafted(sigma, tau)[: 1 if first_only else None]
                stated = combined(objective, [(Fraction(1), found(tree)) for tree in trees])
                exact = moved(objective, found(tau), found(sigma))
                yield combined(objective, [(Fraction(1), exact), (Fraction(-1), stated)])


def flow_coefficients(objective: Objective, terms: Sequence[Series] = TERMS) -> Iterator[Vector]:
    """Coefficients of eta^2, ..., eta^5 in the flow after the time eta, by differentiating the program of the field."""
    found = Differentials(objective)
    fields = [combined(objective, [(c, found(tree)) for tree, c in term.items()]) for term in terms]
    level, totals = list(fields), [[(Fraction(1), field)] for field in fields]
    for m in range(2, len(fields) + 1):
        level = [
            combined(objective, [(Fraction(1), moved(objective, level[q - i], fields[i])) for i in range(q + 1)])
            for q in range(len(fields) + 1 - m)
        ]
        for q, x in enumerate(level):
            totals[q + m - 1].append((Fraction(1, factorial(m)), x))
    for total in totals[1:]:
        yield combined(objective, total)


def modified_loss(objective: Objective, factor: Fraction = Fraction(1, 4)) -> Iterator[Vector]:
    """F_1 + factor grad ||g||^2, where grad ||g||^2 comes from the differentiator."""
    g = sf.gradient(objective).program.outputs.values()
    square = add([(1, einsum((x, x), (labels := tuple(range(len(x.axes))), labels), ())) for x in g])
    directions = parameter_directions(objective)
    form = jvp([square], dict(zip(objective.parameters, directions, strict=True)))[square]
    slope = transpose(form, directions, Const(Fraction(1), ()))
    found = Differentials(objective)
    yield combined(
        objective,
        [
            *((c, found(tree)) for tree, c in TERMS[1].items()),
            (factor, {w: slope[d] for w, d in zip(objective.parameters, directions, strict=True)}),
        ],
    )


def on_networks(make: Callable[[Objective], Iterator[Vector]], degree: int = 5) -> IdentityTest:
    """An identity of vectors on two linear networks; `degree` counts the vertices of the largest trees."""
    return IdentityTest(
        r"square loss, linear networks of widths 1-1-2-1 ($f$ of degree 6 in $\theta$) and 2-2-2",
        NETWORKS,
        lambda case: degree * (2 * case.network.depth + 2),
        partial(differences, make=make),
    )


# Quadratics, and the missing loss -----------------------------------------------------------------------------------


def logarithm(terms: Sequence[Series] = TERMS) -> Iterator[sympy.Expr]:
    """On f = (h/2) theta^2: the coefficients of log(1 - eta h)/eta, and of F_0, ..., F_4 at theta = 1."""
    eta, h = sympy.symbols("eta h")
    series = sympy.series(sympy.log(1 - eta * h), eta, 0, len(terms) + 1).removeO()
    for i, term in enumerate(terms):
        chain = G
        for _ in range(i):
            chain = tree(chain)
        c = term.get(chain, Fraction(0))
        yield series.coeff(eta, i + 1) - sympy.Rational(c.numerator, c.denominator) * h ** (i + 1)


def antisymmetric_part(factor: sympy.Expr) -> Iterator[sympy.Expr]:
    """J - J^T - factor [H, S] with S = T[g], for J = -(T[Hg] + H S + H^3)/3 - (Q[g,g] + 2 S H)/12."""
    h, s = sympy.symbols("H S", commutative=False)
    first, second = sympy.symbols("T_Hg Q_gg", commutative=False)

    def jacobian(left: sympy.Expr, right: sympy.Expr) -> sympy.Expr:
        """J, or its transpose: H, S, T[Hg], Q[g,g] are symmetric, so (H S)^T = S H."""
        return -(first + left + h**3) / 3 - (second + 2 * right) / 12

    yield jacobian(h * s, s * h) - jacobian(s * h, h * s) - factor * (h * s - s * h)


def jacobian_of_second_term(objective: Objective, swapped: bool = False) -> Iterator[Vector]:
    """J(F_2) v + (T[v,Hg] + H T[v,g] + H^3 v)/3 + (Q[v,g,g] + 2 T[g,Hv])/12 for every direction v."""
    found = Differentials(objective)
    v: Vector = dict(zip(objective.parameters, parameter_directions(objective), strict=True))
    g, hv = found(G), found.applied([v])
    stated = [
        (Fraction(1, 3), found.applied([v, found(HG)])),
        (Fraction(1, 3), found.applied([found.applied([v, g])])),
        (Fraction(1, 3), found.applied([found.applied([hv])])),
        (Fraction(1, 12), found.applied([v, g, g])),
        (Fraction(1, 6), found.applied([found.applied([g, v])]) if swapped else found.applied([g, hv])),
    ]
    second = combined(objective, [(c, found(tree)) for tree, c in TERMS[2].items()])
    yield combined(objective, [(Fraction(1), moved(objective, second, v)), *stated])


def no_loss(factor: sympy.Expr) -> Iterator[sympy.Expr]:
    """f = x^2 y/2 + x: the curl of F_2 is factor (x^3/2 - y (x y + 1)), which is not 0."""
    x, y = sympy.symbols("x y")
    f = x**2 * y / 2 + x
    g = sympy.Matrix([f.diff(x), f.diff(y)])
    h = sympy.hessian(f, (x, y))
    bent = (h.diff(x) * g[0] + h.diff(y) * g[1]) * g
    second = -h * h * g / 3 - bent / 12
    yield second[0].diff(y) - second[1].diff(x) - factor * (x**3 / 2 - y * (x * y + 1))


FIRST_WRONG = altered(tree(G, G, HG), Fraction(-1, 120))

DERIVATION = Derivation(
    proves=MODIFIED_EQUATION,
    steps=(
        Step(
            r"\theta(\eta)",
            r"\theta + \sum_{m=1}^{p+1} \frac{\eta^m}{m!} L^{m-1} \tilde F + O(\eta^{p+2}), \quad Lu = u'\tilde F",
            r"Taylor's theorem; $\ddot\theta = \tilde F'(\theta)\,\dot\theta$ and so on by induction: "
            r"$\frac{d}{dt} u(\theta(t)) = (Lu)(\theta(t))$.",
            (SymbolicZero(r"every $\tilde F$ of one variable, $m \le 5$", taylor_coefficients, "checked exactly"),),
        ),
        Step(
            r"\nabla\bigl(F(\tau)\bigr)[F(\sigma)]",
            r"\sum_{v \in \tau} F(\tau \leftarrow_v \sigma)",
            r"Product rule: $F(\tau)$ is a contraction of one derivative of $f$ for each vertex $v$ of the tree "
            r"$\tau$; differentiating that of $v$ along $F(\sigma)$ grafts $\sigma$ there.",
            (on_networks(grafting),),
        ),
        Step(
            r"\sum_{m=1}^{k+1} \frac1{m!} \sum_{i_1+\dots+i_m=k+1-m} L_{i_1}\cdots L_{i_{m-1}}F_{i_m}",
            r"0, \quad k = 1,\dots,4, \quad L_iu = u'F_i",
            r"The coefficient of $\eta^{k+1}$ of steps 1 and 2, tree by tree; that of $\theta - \eta g$ is 0 for "
            r"$k \ge 1$.  The term $m = 1$ is $F_k$, so the equation of order $k$ determines it: the modified "
            r"equation is unique.",
            (
                SymbolicZero(r"every dimension, all trees of 2 to 5 vertices", partial(order_conditions, TERMS)),
                SymbolicZero(
                    r"in coordinates, any $f$ of one variable, $k \le 4$",
                    partial(conditions_in_coordinates, 1, 4),
                    "checked exactly",
                ),
                SymbolicZero(
                    r"in coordinates, any $f$ of two variables, $k \le 2$",
                    partial(conditions_in_coordinates, 2, 2),
                    "checked exactly",
                ),
                on_networks(flow_coefficients),
            ),
        ),
        Step(
            r"\theta(\eta) - (\theta - \eta g)",
            r"-\eta^{p+2} F_{p+1} + O(\eta^{p+3})",
            r"Steps 1 to 3 with $F_{p+1} = 0$ in place of the value that makes the next coefficient vanish.  Example: "
            r"$f = \frac h2\theta^2$, where all orders sum up to $\dot\theta = \frac1\eta\log(1-\eta h)\,\theta$.",
            (
                SymbolicZero(r"every dimension, tree by tree, $p \le 4$", first_defect),
                SymbolicZero(r"the example $f = \frac h2\theta^2$, orders 0 to 4", logarithm, "checked exactly"),
            ),
        ),
        Step(
            r"F_1",
            r"-\tfrac14\nabla\|g\|^2",
            r"$\nabla\|g\|^2 = 2Hg$: order 1 is the gradient flow of $f + \frac\eta4\|g\|^2$.",
            (on_networks(modified_loss, 3),),
        ),
        Step(
            r"J(F_2)",
            r"-\tfrac13(T[Hg] + H\,T[g] + H^3) - \tfrac1{12}(Q[g,g] + 2\,T[g]\,H)",
            "Product rule.",
            (on_networks(jacobian_of_second_term, 4),),
        ),
        Step(
            r"J(F_2) - J(F_2)^\top",
            r"-\tfrac16[H,\,T[g]]",
            r"$H$, $T[g]$, $T[Hg]$ and $Q[g,g]$ are symmetric matrices, so only $H\,T[g]$ and $T[g]\,H$ remain.",
            (SymbolicZero("symmetric matrices of any size", partial(antisymmetric_part, -SIXTH)),),
        ),
        Step(
            r"\partial_yF_{2,1} - \partial_xF_{2,2}",
            r"\tfrac16\bigl(\tfrac12x^3 - y(xy+1)\bigr) \ne 0, \quad f = \tfrac12x^2y + x",
            r"A gradient has a symmetric Jacobian; so in general no function has the gradient $-F_2$.",
            (SymbolicZero(r"all $x$, $y$", partial(no_loss, SIXTH)),),
        ),
    ),
    controls=(
        Control(
            r"$-\frac1{120}Q[g,g,Hg]$ in place of $+\frac1{120}Q[g,g,Hg]$, tree by tree",
            SymbolicZero("", partial(order_conditions, FIRST_WRONG)),
        ),
        Control(
            r"$-\frac{1.01}{12}T[g,g]$ in place of $-\frac1{12}T[g,g]$, one variable",
            SymbolicZero("", partial(conditions_in_coordinates, 1, 4, altered(TGG, Fraction(-101, 1200)))),
        ),
        Control(
            r"$\frac1{719}\nabla^5f[g,g,g,g]$ in place of $\frac1{720}\nabla^5f[g,g,g,g]$, on networks",
            on_networks(partial(flow_coefficients, terms=altered(tree(G, G, G, G), Fraction(1, 719)))),
        ),
        Control("grafting at the root only", on_networks(partial(grafting, first_only=True))),
        Control(
            r"$F_1 = -\frac{1.01}4\nabla\|g\|^2$", on_networks(partial(modified_loss, factor=Fraction(101, 400)), 3)
        ),
        Control(r"$2HT[g]$ in place of $2T[g]H$", on_networks(partial(jacobian_of_second_term, swapped=True), 4)),
        Control(
            r"$+\frac16[H,T[g]]$",
            SymbolicZero("", partial(antisymmetric_part, SIXTH)),
        ),
        Control("the other sign of the curl", SymbolicZero("", partial(no_loss, -SIXTH))),
    ),
    notation=(r"$f \in C^{p+3}$ near $\theta$ ($p \le 4$ the order; with gates: inside a smooth region)",),
    remarks=r"Fixed horizon and a smooth region: at a kink the expansion ends.  The grafting rule holds in every "
    r"dimension by the product rule; it is tested on networks, all other coefficients are exact.",
)

if __name__ == "__main__":
    sys.exit(run(DERIVATION))
