r"""R22: trajectory-wise bounds on the deviation of descent from flow.

    ||theta_k - theta(k eta)|| <= int_0^t e^{M(t)-M(s)} ||g(theta~(s)) - g(theta_i)|| ds,    t = k eta,

(R3 with the true defect and signed curvature on the segments), and without a tube

    ||theta_k - theta(k eta)|| <= sum_i (prod_{i<l<k} L_l) (eta^2/2) max_{[i eta, (i+1) eta]} ||H g(theta(t))||,

L_l the supremum of ||I - eta H|| on the segment between theta_l and theta(l eta).

Run: python -m derivations.r22_trajectory_bound
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from math import prod, sqrt
from typing import Any

import jax.numpy as jnp
import sympy

from symflow.proofs import Control, Derivation, Inequality, NonnegativeCoefficients, Step, SymbolicZero
from symflow.proofs.lemmas import CAUCHY_SCHWARZ, GROENWALL, MEAN_VALUE, SUBMULTIPLICATIVITY, TRIANGLE, Lemma
from symflow.proofs.quadratics import NODES, WEIGHTS, descent, flow
from symflow.report.derivations import run
from symflow.theory.r22_trajectory_wise import TRAJECTORY_WISE

STEPS = 5
"""Steps of descent in the instances."""
FUNDAMENTAL = Lemma(
    "fundamental theorem (R3)",
    r"$\|\theta(t)-\tilde\theta(t)\| \le \int_0^te^{M(t)-M(s)}\delta(s)\,ds$ for equal starts, $\delta$ the defect of "
    r"$\tilde\theta$, $\dot M = m \ge -\lambda_{\min}(H)$ on the segment from $\theta(t)$ to $\tilde\theta(t)$.",
)


# With symbols -------------------------------------------------------------------------------------------------------


def defect() -> Iterator[sympy.Expr]:
    """d/ds (theta_k - (s - k eta) g_k) + g(theta~(s)) - (g(theta~(s)) - g_k), for any f."""
    s, k, eta, start, slope = sympy.symbols("s k eta theta_k g_k")
    curve = start - (s - k * eta) * slope
    gradient = sympy.Function("g")(curve)
    yield curve.diff(s) + gradient - (gradient - slope)


def taylor() -> Iterator[sympy.Expr]:
    """(h - r) p'' = d/dr [(h - r) p' + p], integrated from 0 to h, for every coordinate p; and the integral of h - "
    "r."""
    r, h, p = *sympy.symbols("r h"), sympy.Function("p")
    primitive = (h - r) * p(r).diff(r) + p(r)
    yield primitive.diff(r) - (h - r) * p(r).diff(r, 2)
    start = sympy.Derivative(p(r), r).subs(r, 0)
    yield (primitive.subs(r, h) - primitive.subs(r, 0)).doit() - (p(h) - p(0) - h * start)
    yield sympy.integrate(h - r, (r, 0, h)) - h**2 / 2


def acceleration() -> Iterator[sympy.Expr]:
    """theta'' = H g along the flow, for any f of two variables."""
    r = sympy.Symbol("r")
    x = sympy.symbols("x y")
    f = sympy.Function("f")
    curve = [sympy.Function(f"p{i}")(r) for i in range(2)]
    at_curve = dict(zip(x, curve, strict=True))
    slope = [f(*x).diff(a).subs(at_curve).doit() for a in x]
    velocity = {p.diff(r): -g for p, g in zip(curve, slope, strict=True)}
    for a, g in zip(x, slope, strict=True):
        hg = sum(f(*x).diff(a, b).subs(at_curve).doit() * s for b, s in zip(x, slope, strict=True))
        yield (-g).diff(r).subs(velocity).doit() - hg


def one_more_step() -> Iterator[sympy.Expr]:
    """The stated sum U_k = sum_{i<k} p_i c_i, p_i = prod_{i<l<k} L_l: one more step makes L_k p_i of p_i; p_k = 1.

    So U_{k+1} = sum_{i<k} L_k p_i c_i + c_k = L_k U_k + c_k, and the sum over no i is 0.
    """
    i, k = sympy.symbols("i k", integer=True, nonnegative=True)
    p, c, rate = sympy.Function("p"), sympy.Function("c"), sympy.Symbol("L_k")
    later = sympy.Sum(rate * p(i) * c(i), (i, 0, k - 1)) + c(k)
    yield sympy.simplify(later - (rate * sympy.Sum(p(i) * c(i), (i, 0, k - 1)) + c(k)))
    yield sympy.Sum(p(i) * c(i), (i, 0, -1)).doit()


def comparison() -> Iterator[tuple[sympy.Expr, tuple[sympy.Symbol, ...]]]:
    """(L U + c) - (L u + c) for U = u + gap: what is at most U stays so after a step."""
    rate, u, gap, c = sympy.symbols("L u gap c", nonnegative=True)
    yield (rate * (u + gap) + c) - (rate * u + c), (rate, u, gap, c)


def unrolled(first: int = 1) -> Iterator[sympy.Expr]:
    """u_{k+1} = L_k u_k + c_k, u_0 = 0, is solved by sum_{i<k} prod_{i<l<k} L_l c_i, k <= 5; `first` is 1."""

    def solution(k: int) -> sympy.Expr:
        return sympy.Add(
            *(
                prod((sympy.Symbol(f"L{l}") for l in range(i + first, k)), start=sympy.Symbol(f"c{i}"))  # noqa: E741
                for i in range(k)
            )
        )

    for k in range(STEPS):
        yield sympy.expand(solution(k + 1) - sympy.Symbol(f"L{k}") * solution(k) - sympy.Symbol(f"c{k}"))
    yield solution(0)


def recursion() -> Iterator[sympy.Expr]:
    """theta_{l+1} - theta((l+1) eta) = Phi(theta_l) - Phi(theta(l eta)) - rho_l, Phi = id - eta g."""
    eta, here, there, after = sympy.symbols("eta theta_l theta(t) theta(t+eta)")
    g = sympy.Function("g")
    rho = after - there + eta * g(there)
    yield (here - eta * g(here)) - after - ((here - eta * g(here)) - (there - eta * g(there)) - rho)


# Instances with closed form ------------------------------------------------------------------------------------------


def quadratic(size: int, z: Any) -> tuple[Any, Any, Any]:
    """(curvatures, start, eta) of f = (1/2) sum h_i theta_i^2; no |h_i| below 0.3, so that differences keep digits."""
    curvatures = 2 * jnp.tanh(z[:size])
    return curvatures + jnp.where(curvatures >= 0, 0.3, -0.3), z[size : 2 * size], 0.02 + 0.3 * jnp.tanh(z[-1]) ** 2


def on_quadratics(half: float, size: int, z: Any) -> tuple[Any, Any]:
    """(deviation after 5 steps, the first bound); here m = -min h and the defect is (s - k eta) ||h^2 theta_k||."""
    h, start, eta = quadratic(size, z)
    m, horizon, k = -jnp.min(h), STEPS * eta, jnp.arange(STEPS)[:, None]
    inside, weights = eta * (1 + jnp.asarray(NODES)) / 2, eta * jnp.asarray(WEIGHTS) / 2
    slopes = jnp.linalg.norm(h**2 * descent(h, start, eta, k), axis=1)
    total = half * slopes @ (jnp.exp(m * (horizon - k * eta - inside)) * inside) @ weights
    return jnp.linalg.norm(descent(h, start, eta, STEPS) - flow(h, start, horizon)), total


def against_r4(size: int, z: Any) -> tuple[Any, Any]:
    """(defect in the step from theta, eta ||H|| ||g||) on quadratics."""
    h, start, eta = quadratic(size, z)
    return jnp.linalg.norm(eta * h * h * start), eta * jnp.max(jnp.abs(h)) * jnp.linalg.norm(h * start)


def well(x: Any) -> tuple[Any, Any]:
    """Gradient and second derivative of f = (x^2 - 1)^2/4."""
    return x * (x * x - 1), 3 * x * x - 1


def well_flow(start: Any, t: Any) -> Any:
    """theta(t) of the double well, for start > 0."""
    return 1 / jnp.sqrt(1 + (1 / start**2 - 1) * jnp.exp(-2 * t))


def well_run(z: Any) -> tuple[Any, Any, Any]:
    """(eta, theta_0, ..., theta_5, flow at the steps); starts are in (0.1, 1.6), no nearer to the minimum than 0.01."""
    drawn, eta = 0.85 + 0.74 * jnp.tanh(z[0]), 0.01 + 0.1 * jnp.tanh(z[1]) ** 2
    start = drawn + jnp.where(drawn >= 1, 0.01, -0.01)
    points = [start]
    for _ in range(STEPS):
        points.append(points[-1] - eta * well(points[-1])[0])
    return eta, jnp.stack(points), well_flow(start, eta * jnp.arange(STEPS + 1))


def recursion_of(factors: Any, added: Any) -> Any:
    """b <- factor b + added, from 0, over the steps."""
    total = 0.0
    for k in range(STEPS):
        total = factors[k] * total + added[k]
    return total


def on_the_well(sign: int, half: float, _: int, z: Any) -> tuple[Any, Any]:
    """(deviation, the first bound) for the double well: m bounded over each step, defects by quadrature.

    Both curves are monotone within a step, so the least x^2 on the segments is at the ends of the step.
    """
    eta, points, true = well_run(z)
    ends = jnp.stack([points[:-1], points[1:], true[:-1], true[1:]])
    m = -sign * jnp.min(3 * ends**2 - 1, axis=0)
    inside, weights = eta * (1 + jnp.asarray(NODES)) / 2, eta * jnp.asarray(WEIGHTS) / 2
    here = points[:-1, None]
    slopes = well(here)[0]
    defects = half * jnp.abs(well(here - inside * slopes)[0] - slopes)
    added = (jnp.exp(m[:, None] * (eta - inside)) * defects) @ weights
    return jnp.abs(points[-1] - true[-1]), recursion_of(jnp.exp(m * eta), added)


def without_tube(half: float, grown: bool, _: int, z: Any) -> tuple[Any, Any]:
    """(deviation, the second bound) for the double well; `half` is 1/2, `grown` keeps the factors L_l.

    |H g| = |x (x^2 - 1) (3 x^2 - 1)| is largest at the ends of a step or where 15 x^4 - 12 x^2 + 1 = 0, its critical
    points; ||I - eta H|| is largest at the ends of the segment.
    """
    eta, points, true = well_run(z)
    low, high = jnp.minimum(true[:-1], true[1:]), jnp.maximum(true[:-1], true[1:])
    critical = [jnp.clip(jnp.sqrt((12 + sign * sqrt(84)) / 30), low, high) for sign in (-1, 1)]
    gradient, bent = well(jnp.stack([*critical, low, high]))
    rates = jnp.abs(1 - eta * well(jnp.stack([points[:-1], true[:-1]]))[1])
    factors = jnp.max(rates, axis=0) if grown else jnp.ones(STEPS)
    added = half * eta**2 * jnp.max(jnp.abs(gradient * bent), axis=0)
    return jnp.abs(points[-1] - true[-1]), recursion_of(factors, added)


def convex_kink(sign: int, _: int, z: Any) -> tuple[Any, Any]:
    """((g(b) - g(a))(a - b), m (a - b)^2) for f = -(m/2) x^2 + c |x - r|, c >= 0; `sign` is that of c."""
    a, b, r, c, m = z[0], z[1], z[2], sign * z[3] ** 2, z[4] ** 2

    jump = c * (jnp.where(b >= r, 1.0, -1.0) - jnp.where(a >= r, 1.0, -1.0))
    return (m * (a - b) + jump) * (a - b), m * (a - b) ** 2


def on_wells(sides: Callable[..., tuple[Any, Any]], lemmas: tuple[Lemma, ...]) -> Inequality:
    """A bound on f = (x^2 - 1)^2/4, where m changes its sign along the way."""
    scope = r"$f = \frac14(x^2-1)^2$, starts in $(0.1, 1.6)$, 5 steps, $0.01 \le \eta \le 0.11$"
    return Inequality(scope, lemmas, [1], lambda _: 2, sides)


def on_saddles(half: float) -> Inequality:
    """The first bound on quadratics with curvatures of both signs."""
    scope = r"quadratics in 1 and 3 dimensions, $0.3 \le |h_i| \le 2.3$, 5 steps, $0.02 \le \eta \le 0.32$"
    return Inequality(scope, (FUNDAMENTAL,), [1, 3], lambda size: 2 * size + 1, partial(on_quadratics, half))


DERIVATION = Derivation(
    proves=TRAJECTORY_WISE,
    steps=(
        Step(
            r"\dot{\tilde\theta}(s)+g(\tilde\theta(s))",
            r"g(\tilde\theta(s))-g(\theta_k)",
            "Differentiate the line: this is its defect, without an estimate.",
            (SymbolicZero("any $f$, every coordinate", defect),),
        ),
        Step(
            r"\|\theta_k-\theta(k\eta)\|",
            r"\int_0^{k\eta}e^{M(k\eta)-M(s)}\,\|g(\tilde\theta(s))-g(\theta_{\lfloor s/\eta\rfloor})\|\,ds",
            r"The fundamental theorem R3 with this defect and equal starts.",
            (on_saddles(1.0), on_wells(partial(on_the_well, 1, 1.0), (FUNDAMENTAL, GROENWALL))),
            r"\le",
        ),
        Step(
            r"\|g(\tilde\theta(s))-g(\theta_k)\|",
            r"\beta\gamma\,(s-k\eta) \le \beta\gamma\eta",
            r"$g(\tilde\theta(s))-g(\theta_k) = -(s-k\eta)\int_0^1H\,dr\;g(\theta_k)$: the bound is never above R4's.",
            (
                Inequality(
                    "quadratics in 1 and 3 dimensions",
                    (MEAN_VALUE, SUBMULTIPLICATIVITY),
                    [1, 3],
                    lambda size: 2 * size + 1,
                    against_r4,
                ),
            ),
            r"\le",
        ),
        Step(
            r"\rho_l = \theta((l+1)\eta)-\theta(l\eta)+\eta g(\theta(l\eta))",
            r"\int_0^\eta(\eta-r)\,Hg(\theta(l\eta+r))\,dr, \quad \|\rho_l\| \le \tfrac{\eta^2}2\max\|Hg\|",
            r"Taylor's theorem with integral remainder; $\ddot\theta = -H\dot\theta = Hg$.",
            (
                SymbolicZero("every coordinate of a curve of class $C^2$: the remainder", taylor),
                SymbolicZero(r"$\ddot\theta = Hg$, any $f$ of two variables", acceleration, "checked exactly"),
            ),
        ),
        Step(
            r"\|\theta_{l+1}-\theta((l+1)\eta)\|",
            r"L_l\,\|\theta_l-\theta(l\eta)\|+\|\rho_l\|, \quad L_l = \sup\|I-\eta H\|",
            r"$\theta_{l+1}-\theta((l+1)\eta) = \Phi(\theta_l)-\Phi(\theta(l\eta))-\rho_l$ with $\Phi = "
            r"\mathrm{id}-\eta g$, "
            r"and the mean value theorem for $\Phi$ on the segment from $\theta_l$ to $\theta(l\eta)$.",
            (SymbolicZero("the equation, any $f$, every coordinate", recursion, "checked exactly"),),
            r"\le",
        ),
        Step(
            r"\|\theta_k-\theta(k\eta)\|",
            r"\sum_{i<k}\Bigl(\prod_{i<l<k}L_l\Bigr)\frac{\eta^2}2\max_{[i\eta,(i+1)\eta]}\|Hg(\theta(t))\|",
            r"Unroll the recursion from $\theta_0-\theta(0) = 0$, by induction on $k$.",
            (
                SymbolicZero("any $L_l$ and remainders: the stated sum obeys the recursion, every $k$", one_more_step),
                NonnegativeCoefficients("what obeys it with $\\le$ is at most the sum, every $k$", comparison),
                SymbolicZero(r"written out for $k \le 5$", unrolled, "checked exactly"),
                on_wells(partial(without_tube, 0.5, True), (MEAN_VALUE, TRIANGLE)),
            ),
            r"\le",
        ),
        Step(
            r"\langle g(\theta)-g(\tilde\theta),\tilde\theta-\theta\rangle",
            r"m\|\tilde\theta-\theta\|^2 \quad\text{where kinks add } c\,|z| \text{ with } c \ge 0",
            r"In the proof of R3 only this one-sided estimate enters.  Across a kink $z = 0$ of convex jump the "
            r"gradient "
            r"along the segment jumps by $2c\langle\nabla z,\tilde\theta-\theta\rangle\nabla z/|\langle\nabla z,"
            r"\tilde\theta-\theta\rangle|$, which only lowers the left side: $m$ from the smooth pieces stays valid.",
            (
                Inequality(
                    r"$f = -\frac m2x^2+c|x-r|$, $m, c \ge 0$",
                    (CAUCHY_SCHWARZ,),
                    [1],
                    lambda _: 5,
                    partial(convex_kink, 1),
                ),
            ),
            r"\le",
        ),
    ),
    controls=(
        Control(r"0.99 of the defect, on quadratics", on_saddles(0.99)),
        Control(r"$-m$ in place of $m$", on_wells(partial(on_the_well, -1, 1.0), ())),
        Control(r"$0.99\,\eta^2/2$ in place of $\eta^2/2$", on_wells(partial(without_tube, 0.495, True), ())),
        Control(r"no factors $L_l$", on_wells(partial(without_tube, 0.5, False), ())),
        Control(r"$\prod_{i\le l<k}L_l$", SymbolicZero("", partial(unrolled, first=0))),
        Control("a concave jump", Inequality("", (), [1], lambda _: 5, partial(convex_kink, -1))),
    ),
    notation=(
        r"$f \in C^2$ on an open set that contains the flow, the segments of descent and those between both; or "
        r"with kinks of convex jump (step 7)",
    ),
    remarks=r"Steps 4 and 5 need no tube and no exponential: the only suprema are those of one segment and one step.",
)

if __name__ == "__main__":
    sys.exit(run(DERIVATION))
