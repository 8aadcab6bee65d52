r"""R18: the asymptotic expansion of the deviation of descent from flow.

    theta_k - theta(k eta) = eta e(t) + eta^2 e_2(t) + O(eta^3),    e(0) = e_2(0) = 0,
    e' = -H e - H g/2,
    e_2' = -H e_2 - T[e,e]/2 - (T[g,e] + H^2 e)/2 - H^2 g/3 - T[g,g]/12,

with all derivatives of f at theta(t). (Hairer, Norsett & Wanner 1993, section II.8, for Euler's method.)

Run: python -m derivations.r18_leading_order
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from itertools import product
from math import factorial, prod
from typing import Any

import jax
import jax.numpy as jnp
import sympy

from symflow.proofs import Control, Derivation, Inequality, Step, SymbolicZero
from symflow.proofs.lemmas import MEAN_VALUE, TRIANGLE, Lemma
from symflow.report.derivations import run
from symflow.theory.r18_leading_order import LEADING_ORDER

Tree = tuple[str, tuple[Any, ...]]
Vector = dict[Tree, sympy.Expr]
HALF, THIRD, TWELFTH = sympy.Rational(1, 2), sympy.Rational(1, 3), sympy.Rational(1, 12)
PERCENT_MORE = sympy.Rational(101, 100)

DISCRETE_GROENWALL = Lemma(
    'discrete Gr\\"onwall',
    r"$u_{k+1} \le (1+a)u_k + b$ with $a > 0$, $b \ge 0$, $u_0 = 0$ implies $u_k \le b\,(e^{ka}-1)/a$.",
)


class Expansion:
    """Descent next to flow in every dimension: vectors are combinations of trees.

    A vertex "f" with k branches is the derivative of f of order k + 1 at theta(t), applied to them: g, H u, T[u, v];
    the leaves "e" and "d" are e and e_2. d/dt of every vertex is known, so Taylor coefficients in eta are such
    combinations; those that vanish tree by tree vanish for every f.
    """

    def __init__(self, half: sympy.Expr = HALF, twelfth: sympy.Expr = TWELFTH) -> None:
        self.e, self.e2, self.g = ({(name, ()): sympy.Integer(1)} for name in "edf")
        hg = applied(self.g)
        self.e_slope = combination((-1, applied(self.e)), (-half, hg))
        self.e2_slope = combination(
            (-1, applied(self.e2)),
            (-HALF, applied(self.e, self.e)),
            (-HALF, applied(self.g, self.e)),
            (-HALF, applied(applied(self.e))),
            (-THIRD, applied(hg)),
            (-twelfth, applied(self.g, self.g)),
        )

    def rate(self, vector: Vector) -> Vector:
        """d/dt along the flow, with the stated equations for e and e_2."""
        return combination(*((c, self._rate(tree)) for tree, c in vector.items()))

    def _rate(self, tree: Tree) -> Vector:
        name, branches = tree
        if name != "f":
            return self.e_slope if name == "e" else self.e2_slope
        whole = [{branch: sympy.Integer(1)} for branch in branches]
        moved = [(1, applied(*whole[:i], self._rate(b), *whole[i + 1 :])) for i, b in enumerate(branches)]
        return combination((-1, applied(*whole, self.g)), *moved)

    def defects(self) -> Iterator[Vector]:
        """Coefficients of eta, eta^2, eta^3 in z(t+eta) - z(t) + eta g(z(t)), z = theta + eta e + eta^2 e_2.

        The first one is theta' + g = 0, the definition of the flow, so `rate` starts from theta' = -g.
        """
        flow = combination((-1, self.g))
        flow_2 = self.rate(flow)
        yield combination((1, flow), (1, self.g))
        yield combination((HALF, flow_2), (1, self.e_slope), (1, applied(self.e)))
        yield combination(
            (sympy.Rational(1, factorial(3)), self.rate(flow_2)),
            (HALF, self.rate(self.e_slope)),
            (1, self.e2_slope),
            (1, applied(self.e2)),
            (HALF, applied(self.e, self.e)),
        )


def applied(*vectors: Vector) -> Vector:
    """H u, T[u, v], ... at theta(t)."""
    found: Vector = {}
    for chosen in product(*(v.items() for v in vectors)):
        tree = ("f", tuple(sorted(branch for branch, _ in chosen)))
        found[tree] = found.get(tree, 0) + prod((c for _, c in chosen), start=sympy.Integer(1))
    return found


def combination(*terms: tuple[Any, Vector]) -> Vector:
    """A linear combination."""
    found: Vector = {}
    for factor, vector in terms:
        for tree, c in vector.items():
            found[tree] = found.get(tree, 0) + factor * c
    return found


def on_quadratics(third: sympy.Expr) -> Iterator[sympy.Expr]:
    """f = (h/2) theta^2: (1 - eta h)^{t/eta} e^{ht} to the order eta^2, and the equations of e and e_2."""
    eta, h, t = sympy.symbols("eta h t", positive=True)
    exponent = sympy.series(sympy.log(1 - eta * h), eta, 0, 4).removeO() * t / eta + h * t
    expansion = sympy.series(sympy.exp(sympy.expand(exponent)), eta, 0, 3).removeO()
    flow = sympy.exp(-h * t)
    e, e2 = (sympy.expand(expansion).coeff(eta, k) * flow for k in (1, 2))
    yield e.diff(t) + h * e + HALF * h**2 * flow
    yield e2.diff(t) + h * e2 + HALF * h**2 * e + third * h**3 * flow


def defects(half: sympy.Expr = HALF, twelfth: sympy.Expr = TWELFTH) -> Iterator[sympy.Expr]:
    """The coefficients of the trees in `Expansion.defects`."""
    for vector in Expansion(half, twelfth).defects():
        yield from vector.values()


def accumulated(factor: float, size: int, z: Any) -> tuple[Any, Any]:
    """(||theta_K - z(K eta)||, factor max_k ||d_k|| (e^{K eta L} - 1)/(eta L)) for f = (1/2) sum h_i theta_i^2, K = 3.

    z = theta + eta e + eta^2 e_2, d_k = z((k+1) eta) - (1 - eta h) z(k eta), L = max |h_i|; the factor is 1. No |h_i|
    is below 0.3: of differences of size (eta h)^3 digits must be left.
    """
    signed, start, eta, steps = 1.7 * jnp.tanh(z[:size]), z[size : 2 * size], 0.05 + 0.2 * jnp.tanh(z[-1]) ** 2, 3
    h = signed + jnp.where(signed >= 0, 0.3, -0.3)

    def expansion(k: Any) -> Any:
        t = eta * k
        return (1 - eta * h**2 * t / 2 + eta**2 * (h**4 * t**2 / 8 - h**3 * t / 3)) * jnp.exp(-h * t) * start

    k = jnp.arange(steps)
    defects = jax.vmap(lambda k: jnp.linalg.norm(expansion(k + 1) - (1 - eta * h) * expansion(k)))(k)
    largest, rate = jnp.max(defects), eta * jnp.max(jnp.abs(h))
    bound = largest * jnp.expm1(steps * rate) / rate
    return jnp.linalg.norm((1 - eta * h) ** steps * start - expansion(steps)), factor * bound


def remainder(factor: float = 1.0) -> Inequality:
    """The bound on the error of the expansion, on quadratics in one and three dimensions."""
    return Inequality(
        r"quadratics in 1 and 3 dimensions, 3 steps, $\eta\|H\| \le \frac12$",
        (TRIANGLE, MEAN_VALUE, DISCRETE_GROENWALL),
        [1, 3],
        lambda size: 2 * size + 1,
        partial(accumulated, factor),
        (SymbolicZero(r"$u_k = b((1+a)^k-1)/a$ solves the recursion with equality", growth),),
    )


def growth() -> Iterator[sympy.Expr]:
    """u_k = b ((1+a)^k - 1)/a: u_0 = 0 and u_{k+1} = (1+a) u_k + b; (1+a)^k <= e^{ka}."""
    a, b, k = sympy.symbols("a b k", positive=True)
    u = b * ((1 + a) ** k - 1) / a
    yield u.subs(k, 0)
    yield sympy.powsimp(sympy.expand(u.subs(k, k + 1) - (1 + a) * u - b))


def kink(factor: sympy.Expr) -> Iterator[sympy.Expr]:
    """g = p for theta >= 0 and q below, both positive: the crossing leaves descent eta (1 - phase) (q - p) from flow.

    The flow from r crosses 0 at the time r/p; the last point of descent above 0 is theta_{m-1} = phase eta p.
    """
    p, q, eta, phase = sympy.symbols("p q eta phase", positive=True)
    m, k = sympy.symbols("m k", positive=True)
    r = (m - 1 + phase) * eta * p
    descent = r - m * eta * p - (k - m) * eta * q
    flow = -q * (k * eta - r / p)
    yield descent - flow - factor * eta * (1 - phase) * (q - p)


def next_order(added: int = 1) -> Iterator[sympy.Expr]:
    """y = x + eta^{p+1} e solves the equation of order p + 1 up to O(eta^{p+2}), x that of order p; p = 0, 1, 2.

    In two dimensions with unknown fields F_i; `added` is 1: e' = F_0' e + F_{p + added}.
    """
    eta, x, y, u, v = sympy.symbols("eta x y u v")
    for p in range(3):
        fields = [[sympy.Function(f"F{i}{c}")(x, y) for c in "ab"] for i in range(p + 2)]
        moved = {x: x + eta ** (p + 1) * u, y: y + eta ** (p + 1) * v}
        for c in range(2):
            rate = fields[0][c].diff(x) * u + fields[0][c].diff(y) * v + fields[p + added][c]
            there = [f[c].subs(moved, simultaneous=True) for f in fields]
            for power, stated in enumerate([*(f[c] for f in fields[: p + 1]), rate]):
                slopes = (there[i].diff(eta, power - i).subs(eta, 0).doit() for i in range(power + 1))
                found = sum(slope / factorial(power - i) for i, slope in enumerate(slopes))
                yield sympy.expand(stated - found)


DERIVATION = Derivation(
    proves=LEADING_ORDER,
    steps=(
        Step(
            r"z(t+\eta) - z(t) + \eta\,g(z(t))",
            r"\begin{aligned}[t] & \eta(\dot\theta+g) + \eta^2\bigl(\tfrac12\ddot\theta + \dot e + He\bigr) \\ & {} + "
            r"\eta^3\bigl(\tfrac16\dddot\theta + \tfrac12\ddot e + \dot e_2 + He_2 + \tfrac12T[e,e]\bigr) + O(\eta^4)"
            r"\end{aligned}",
            r"Taylor's theorem in $\eta$ for the ansatz $z = \theta + \eta e + \eta^2e_2$.  The three coefficients "
            r"vanish for the stated $\dot e$ and $\dot e_2$, because $\ddot\theta = Hg$, $\dddot\theta = -T[g,g]-H^2g$ "
            r"and $\ddot e = T[g,e]+H^2e+\frac12T[g,g]+H^2g$.",
            (SymbolicZero("every $f$, every dimension: derivative by derivative of $f$", defects),),
        ),
        Step(
            r"\|\theta_k - z(k\eta)\|",
            r"C\eta^3\,\frac{e^{LT}-1}{L}, \quad k\eta \le T",
            r"$u_k = \|\theta_k - z(k\eta)\|$ has $u_{k+1} \le (1+\eta L)u_k + C\eta^4$, with $L$ a bound on $\|H\|$ "
            r"near the curve and $C$ one on the remainder of step 1; for small $\eta$ the segments stay there by "
            r"induction.",
            (remainder(),),
            r"\le",
        ),
        Step(
            r"(1-\eta h)^{t/\eta}",
            r"e^{-ht}\Bigl(1 - \tfrac12\eta h^2t + \eta^2\bigl(\tfrac18h^4t^2 - \tfrac13h^3t\bigr)\Bigr) + O(\eta^3)",
            r"The example $f = \frac h2\theta^2$: its expansion solves the equations of $e$ and $e_2$.",
            (SymbolicZero(r"all $h$, $t$", partial(on_quadratics, THIRD)),),
        ),
        Step(
            r"\theta_k - \theta(k\eta)",
            r"\eta\,(1-\varphi)(q-p), \quad g = p \text{ for } \theta \ge 0, \quad g = q \text{ for } \theta < 0",
            r"Beyond a kink the expansion fails: here $e = 0$ on both sides, yet there is a shift of order $\eta$ that "
            r"depends on the phase $\varphi \in [0,1)$ of the last point above the kink, $\varphi\eta p$.",
            (SymbolicZero(r"all slopes $p, q > 0$, phases and numbers of steps", partial(kink, sympy.Integer(1))),),
        ),
        Step(
            r"\tfrac{d}{dt}\bigl(\theta + \eta^{p+1}e\bigr)",
            r"\sum_{i\le p+1}\eta^iF_i\bigl(\theta + \eta^{p+1}e\bigr) + O(\eta^{p+2})",
            r"Any method: $\theta$ solves the modified equation of order $p$ and $\dot e = F_0'e + F_{p+1}$. So "
            r"$\theta + \eta^{p+1}e$ follows that of order $p+1$, from its start to the order $p+1$ as $e(0) = "
            r"S_{p+1}$, as does $\pi(\theta_k, v_k) = \theta_k - \tau_k$ (R17, R25, R26), within "
            r"$O(\eta^{p+2})$ over a fixed time by Gr\"onwall.",
            (SymbolicZero("all fields of two variables, $p = 0, 1, 2$", next_order, "checked exactly"),),
        ),
    ),
    controls=(
        Control(r"$\frac{1.01}2Hg$ in place of $\frac12Hg$", SymbolicZero("", partial(defects, PERCENT_MORE * HALF))),
        Control(
            r"$\frac{1.01}{12}T[g,g]$ in place of $\frac1{12}T[g,g]$",
            SymbolicZero("", partial(defects, HALF, PERCENT_MORE * TWELFTH)),
        ),
        Control(
            r"$\frac{1.01}3H^2g$ in place of $\frac13H^2g$, on quadratics",
            SymbolicZero("", partial(on_quadratics, PERCENT_MORE * THIRD)),
        ),
        Control(r"$0.95\,(e^{ka}-1)/a$ in place of $(e^{ka}-1)/a$", remainder(0.95)),
        Control("$F_p$ in place of $F_{p+1}$", SymbolicZero("", partial(next_order, 0))),
        Control("the shift at a kink has the other sign", SymbolicZero("", partial(kink, -sympy.Integer(1)))),
    ),
    notation=(r"$g$, $H$, $T$ at $\theta(t)$; no kink on the curve",),
    remarks=r"With R17: $\dot e = -He + F_1$ and $\dot e_2 = -He_2 - \frac12T[e,e] + F_1'e + F_2$.",
)

if __name__ == "__main__":
    sys.exit(run(DERIVATION))
