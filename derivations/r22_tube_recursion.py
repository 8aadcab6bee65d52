r"""R22, R4 and R5 on a tube: the recursions of the certified bounds, from constants that hold everywhere in the tube.

With m >= -lambda_min(H), beta >= ||H||, P >= ||H g|| on the tube during the steps of one interval, n steps of descent
make of a bound b on the deviation

    b <- q^n b + K (q^n - 1)/(q - 1),    q = e^{m eta},    K = max(1, q) eta^2 P (1 + (x/3) e^x)/2,    x = eta beta,

and as long as b stays below the radius of the tube, descent stays in it. Checked against the code that computes
it (`symflow.analysis.bounds.tube_bounds`).

Run: python -m derivations.r22_tube_recursion
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from math import exp
from typing import Any

import jax.numpy as jnp
import numpy as np
import sympy

from symflow.analysis.bounds import tube_bounds
from symflow.analysis.bounds.tube import Constants
from symflow.analysis.bounds.tube_bounds import Steps
from symflow.proofs import (
    Control,
    Derivation,
    Inequality,
    NonnegativeCoefficients,
    SameInFloat64,
    Step,
    SymbolicZero,
)
from symflow.proofs.lemmas import GROENWALL, RAYLEIGH, SUBMULTIPLICATIVITY, TRIANGLE, Lemma
from symflow.proofs.quadratics import descent, flow
from symflow.proofs.words import matrices
from symflow.report.derivations import run
from symflow.theory.r22_trajectory_wise import TRAJECTORY_WISE

THIRD = sympy.Rational(1, 3)
STEPS = 4
"""Steps of descent in the instances."""
INTERVALS = 12
"""Intervals of the run on which the package's recursions are compared with the formulas."""
FUNDAMENTAL = Lemma(
    "fundamental theorem (R3)",
    r"$\|\theta(t)-\tilde\theta(t)\| \le e^{M(t)-M(a)}\|\theta(a)-\tilde\theta(a)\|+\int_a^te^{M(t)-M(s)}D(s)\,ds$, "
    r"$D$ the "
    r"defect of $\tilde\theta$, $\dot M = m \ge -\lambda_{\min}(H)$ on the segment from $\theta(t)$ to "
    r"$\tilde\theta(t)$.",
)


# The defect within a step ---------------------------------------------------------------------------------------------


def product() -> Iterator[sympy.Expr]:
    """H g_k = H g - H (g - g_k), g the gradient at theta~(s)."""
    h, g, first = matrices("H g f")
    yield h * first - (h * g - h * (g - first))


def defect(factor: float, size: int, z: Any) -> tuple[Any, Any]:
    """(||H g_k||, ||H g|| + factor ||H|| ||g - g_k||); the factor is 1."""
    h, (g, first) = z[: size**2].reshape(size, size), z[size**2 :].reshape(2, size)
    h = (h + h.T) / 2
    norm = jnp.max(jnp.abs(jnp.linalg.eigvalsh(h)))
    return jnp.linalg.norm(h @ first), jnp.linalg.norm(h @ g) + factor * norm * jnp.linalg.norm(g - first)


def defect_rate(factor: float) -> Inequality:
    """Step 1 for symmetric matrices."""
    lemmas = (TRIANGLE, SUBMULTIPLICATIVITY)
    return Inequality(
        "symmetric matrices of size 2", lemmas, [2], lambda size: size**2 + 2 * size, partial(defect, factor)
    )


def comparison() -> Iterator[sympy.Expr]:
    """v = P (e^{beta s} - 1)/beta solves v' = P + beta v, v(0) = 0; its integral is P (e^x - 1 - x)/beta^2."""
    s, beta, largest, eta = sympy.symbols("s beta P eta", positive=True)
    v = largest * (sympy.exp(beta * s) - 1) / beta
    yield v.diff(s) - largest - beta * v
    yield v.subs(s, 0)
    x = eta * beta
    yield sympy.integrate(sympy.expand(v), (s, 0, eta)) - largest * (sympy.exp(x) - 1 - x) / beta**2


def coefficients(third: sympy.Expr = THIRD) -> Iterator[tuple[sympy.Expr, tuple[sympy.Symbol, ...]]]:
    """(1 + third x e^x)/2 less (e^x - 1 - x)/x^2, the coefficient of x^k, k = 1 + r, times 6 (k+2)!; third is 1/3.

    It is third/(2 (k-1)!) - 1/(k+2)!, and (k+2)!/(k-1)! = k (k+1) (k+2). The one of x^0 is 1/2 - 1/2!.
    """
    r = sympy.Symbol("r", nonnegative=True)
    yield 3 * third * (1 + r) * (2 + r) * (3 + r) - 6, (r,)


# Steps and intervals --------------------------------------------------------------------------------------------------


def weight(sign: int = 1) -> Iterator[tuple[sympy.Expr, tuple[sympy.Symbol, ...]]]:
    """The exponent m eta - m (eta - s) for m >= 0, and 0 - m (eta - s) for m = -mu <= 0; 0 <= s <= eta = s + rest."""
    m, s, rest = sympy.symbols("m s rest", nonnegative=True)
    yield m * (s + rest) - m * rest, (m, s, rest)
    yield -sign * (-m) * rest, (m, rest)


def several_steps(power: int = 1) -> Iterator[sympy.Expr]:
    """b_n = q^n b_0 + K (q^n - 1)/(q - 1): b_{n+1} = q b_n + K, the start, and b_{n+1} - b_n = q^n (b_1 - b_0).

    `power` is that of q in the numerator, n.
    """
    q, b, added, count = sympy.symbols("q b K n", positive=True)

    def after(k: sympy.Expr) -> sympy.Expr:
        return q**k * b + added * (q ** (power * k) - 1) / (q - 1)

    yield sympy.simplify(sympy.powsimp(sympy.expand((after(count + 1) - q * after(count) - added) * (q - 1))))
    yield after(sympy.Integer(0)) - b
    change = (after(count + 1) - after(count) - q**count * (q * b + added - b)) * (q - 1)
    yield sympy.simplify(sympy.powsimp(sympy.expand(change)))


def inside() -> Iterator[sympy.Expr]:
    """v' = m v + D has v'' = m v' + D'; for R4, I' = 1 + m I has I'' = m I'."""
    s, m = sympy.symbols("s m", real=True)
    v, d = sympy.Function("v")(s), sympy.Function("D")(s)
    yield (m * v + d).diff(s) - (m * v.diff(s) + d.diff(s))
    yield (1 + m * v).diff(s) - m * v.diff(s)


def instance(half: float, size: int, z: Any) -> tuple[Any, Any]:
    """(deviation where the bound stays below the radius of the tube, the bound), `half` 1/2, for quadratics.

    f = (1/2) sum h_i theta_i^2: m = -min h, beta = max |h|, and on the tube of radius epsilon around the flow during a
    step ||H g|| <= max(||h^2 theta(t)||) + beta^2 epsilon, where each coordinate is largest at an end of the step.
    """
    h = 1.5 * jnp.tanh(z[:size])
    h = h + jnp.where(h >= 0, 0.2, -0.2)
    start, eta = z[size : 2 * size], 0.02 + 0.2 * jnp.tanh(z[-2]) ** 2
    m, beta = -jnp.min(h), jnp.max(jnp.abs(h))
    epsilon = 0.3 * jnp.tanh(z[-1]) ** 2 + 1e-3
    x, q = eta * beta, jnp.exp(m * eta)
    at = jnp.abs(flow(h, start, eta * jnp.arange(STEPS + 1)[:, None]))
    largest = jnp.linalg.norm(h**2 * jnp.maximum(at[:-1], at[1:]), axis=1) + beta**2 * epsilon
    added = jnp.maximum(1.0, q) * half * eta**2 * largest * (1 + x / 3 * jnp.exp(x))
    b, below = jnp.asarray(0.0), jnp.asarray(True)
    for k in range(STEPS):
        b = q * b + added[k]
        below = below & (b < epsilon)
    distance = jnp.linalg.norm(descent(h, start, eta, STEPS) - flow(h, start, STEPS * eta))
    return jnp.where(below, distance, 0.0), b


def on_quadratics(half: float = 0.5) -> Inequality:
    """The bound on the tube for quadratics."""
    scope = r"quadratics in 1 and 2 dimensions, $0.2 \le |h_i| \le 1.7$, 4 steps, tubes of radius $\le 0.3$"
    return Inequality(
        scope, (FUNDAMENTAL, GROENWALL), [1, 2], lambda size: 2 * size + 2, partial(instance, half)
    )  # fmt: skip


def rate(factor: float, size: int, z: Any) -> tuple[Any, Any]:
    """(||I - eta H||, 1 + max(factor eta m, eta top - 2)) with m = -lambda_min(H), top = lambda_max(H); factor 1."""
    h = z[: size**2].reshape(size, size)
    values, eta = jnp.linalg.eigvalsh((h + h.T) / 2), jnp.exp(jnp.tanh(z[-1]))
    spread = jnp.max(jnp.abs(1 - eta * values))
    return spread, 1 + jnp.maximum(-factor * eta * values[0], eta * values[-1] - 2)


# The package's recursions ---------------------------------------------------------------------------------------------


def run_of(seed: int) -> tuple[Constants, Steps]:
    """Random constants of a tube and of the flow itself, and intervals of one to four steps."""
    rng = np.random.default_rng(seed)

    def constants() -> Constants:
        beta, gamma, product = rng.uniform(0.2, 2, (3, INTERVALS))
        m, top = rng.uniform(-1, 1, INTERVALS) * beta, rng.uniform(0.5, 1, INTERVALS) * beta
        return Constants(m, top, beta, gamma, product, np.ones(INTERVALS, dtype=bool), None)

    counts, eta = rng.integers(1, 5, INTERVALS), 0.07
    return constants(), Steps(eta, counts, eta * np.concatenate([[0], np.cumsum(counts)]), constants())


def stepwise() -> Iterator[tuple[float, float]]:
    """The values of R22(tube), R22(tube-free), R4(tube), R4(global) and R5 of the package, and step by step."""
    for seed in range(3):
        c, steps = run_of(seed)
        eta, beta, gamma = steps.step_size, c.beta, c.gamma
        tube, free, weights, so_far = 0.0, 0.0, 0.0, 0
        marches = (tube_bounds.on_tube, tube_bounds.without_tube, tube_bounds.time_local, tube_bounds.whole_tube)
        found = [march(c, steps)[0] for march in (*marches, tube_bounds.constant_m)]
        for i, count in enumerate(steps.counts):
            q, x = exp(c.m[i] * eta), eta * beta[i]
            for _ in range(count):
                tube = q * tube + max(1.0, q) * eta**2 * c.hessian_gradient[i] * (1 + x / 3 * exp(x)) / 2
                free = (
                    1 + max(eta * c.m[i], eta * c.max_eigenvalue[i] - 2)
                ) * free + eta**2 / 2 * steps.on_flow.hessian_gradient[i]
                weights = q * weights + (q - 1) / c.m[i]
            so_far += int(count)
            upto = eta * max(beta[: i + 1]) * max(gamma[: i + 1]) * weights
            whole, m = eta * max(beta) * max(gamma), max(c.m)
            stated = (tube, free, upto, whole * weights, whole * (exp(m * so_far * eta) - 1) / m)
            yield from ((float(values[i]), value) for values, value in zip(found, stated, strict=True))


DERIVATION = Derivation(
    proves=TRAJECTORY_WISE,
    name="The certified bounds on a tube",
    part=replace(TRAJECTORY_WISE.main, claims=()),
    steps=(
        Step(
            r"\dot D(s), \quad D(s) = \|g(\tilde\theta(s))-g(\theta_k)\|",
            r"\|H(\tilde\theta)\,g(\theta_k)\| \le P+\beta D(s)",
            r"$H(\tilde\theta)g(\theta_k) = "
            r"H(\tilde\theta)g(\tilde\theta)-H(\tilde\theta)(g(\tilde\theta)-g(\theta_k))$, as long "
            r"as $\tilde\theta$ is in the tube ($D$ is Lipschitz; almost everywhere).",
            (SymbolicZero("the equation, matrices of any size", product, "checked exactly"), defect_rate(1.0)),
            r"\le",
        ),
        Step(
            r"\int_0^\eta D",
            r"P\,\frac{e^x-1-x}{\beta^2} \le \frac{\eta^2P}2\Bigl(1+\frac x3e^x\Bigr), \quad x = \eta\beta",
            r"Gr\"onwall: $D(s) \le P(e^{\beta s}-1)/\beta$; integrate. Then compare the power series: "
            r"$\frac1{(k+2)!} \le \frac1{6(k-1)!}$ for $k \ge 1$, equality for $k = 1$.",
            (
                SymbolicZero(r"every $P$, $\beta$, $\eta$", comparison),
                NonnegativeCoefficients("the coefficients of all powers of $x$", coefficients),
            ),
            r"\le",
        ),
        Step(
            r"\|\theta_{k+1}-\theta((k+1)\eta)\|",
            r"e^{m\eta}b+\max\{1,e^{m\eta}\}\int_0^\eta D \quad\text{if } \|\theta_k-\theta(k\eta)\| \le b",
            r"R3 over one step; $e^{m(\eta-s)} \le \max\{1,e^{m\eta}\}$ for $0 \le s \le \eta$.",
            (NonnegativeCoefficients(r"the exponents, every $m$ of either sign, $s$ and $\eta$", weight),),
            r"\le",
        ),
        Step(
            r"b_n",
            r"q^nb_0+K\frac{q^n-1}{q-1}, \quad q = e^{m\eta}, \quad b_{k+1} = qb_k+K",
            r"$n$ steps with the constants of one interval, by induction. $b_{n+1}-b_n = q^n(b_1-b_0)$, so the "
            r"largest value "
            r"in an interval is at one of its ends.",
            (
                SymbolicZero("every $q$, $K$, $b_0$ and $n$", several_steps),
                SameInFloat64("R22(tube), R22(tube-free), R4 and R5 of the package, step by step", stepwise),
            ),
        ),
        Step(
            r"v(s) = e^{ms}b+\int_0^se^{m(s-r)}D(r)\,dr",
            r"\max\{v(0),v(\eta)\} \qquad (0 \le s \le \eta)",
            r"With the $D$ of Gr\"onwall, which grows: $\dot v = mv+D$, so where $\dot v = 0$ inside, $\ddot v = "
            r"\dot D > 0$ and "
            r"there is no "
            r"maximum. For R4 the integral $I$ has $\dot I = 1+mI$ and $\ddot I = m\dot I$: $\dot I$ keeps its sign.",
            (SymbolicZero("every $m$ and $D$: the derivatives", inside, "checked exactly"),),
            r"\le",
        ),
        Step(
            r"b < \varepsilon \text{ at all ends of intervals}",
            r"\|\tilde\theta-\theta\| < \varepsilon \text{ at all times}",
            r"Otherwise let $t^*$ be the first time with $\|\tilde\theta-\theta\| = \varepsilon$. Up to $t^*$ the "
            r"constants hold on "
            r"the segments, so steps 1 to 5 give $\|\tilde\theta(t^*)-\theta(t^*)\| \le \max b < \varepsilon$. At the "
            r"end of an "
            r"interval $b$ has to be below the radii on both sides of it.",
            (on_quadratics(),),
            r"\Rightarrow",
        ),
        Step(
            r"\|I-\eta H\|",
            r"1+\max\{\eta m,\ \eta\Lambda-2\}, \quad\text{so}\quad b_{k+1} = (1+\max\{\eta m,\eta\Lambda-2\})\,b_k+"
            r"\tfrac{\eta^2}2P_0",
            r"$|1-\eta\lambda|$ is largest at an extreme eigenvalue; then the tube-free bound, whose segments from "
            r"$\theta_k$ to "
            r"$\theta(k\eta)$ lie in the tube as in step 6.",
            (
                Inequality(
                    r"symmetric matrices of size 2 and 3, $e^{-1} \le \eta \le e$",
                    (RAYLEIGH,),
                    [2, 3],
                    lambda size: size**2 + 1,
                    partial(rate, 1.0),
                ),
            ),
            r"\le",
        ),
    ),
    controls=(
        Control(r"$0.99\,\beta D$ in step 1", defect_rate(0.99)),
        Control(r"$\frac{0.99}3x\,e^x$ in step 2", NonnegativeCoefficients(
            "", partial(coefficients, sympy.Rational(33, 100)))),
        Control(r"$e^{m(\eta-s)} \le 1$ for $m > 0$", NonnegativeCoefficients("", partial(weight, sign=-1))),
        Control(r"$0.99\,K$", on_quadratics(0.495)),
        Control(r"$q^{2n}-1$ in place of $q^n-1$", SymbolicZero("", partial(several_steps, power=2))),
        Control(r"$1+\max\{0.99\,\eta m,\eta\Lambda-2\}$", Inequality(
            "", (RAYLEIGH,), [2], lambda size: size**2 + 1, partial(rate, 0.99))),
    ),
    notation=((r"time is cut into intervals of whole steps; in each one $m \ge -\lambda_{\min}(H)$, $\Lambda \ge "
        r"\lambda_{\max}(H)$, "
        r"$\beta \ge \|H\|$, $\gamma \ge \|g\|$, $P \ge \|Hg\|$ on $B_\varepsilon(\theta(t))$ for all its times $t$ "
        r"(the cover "
        r"of the tube), and $P_0 \ge \|Hg\|$ on the flow itself"),),
    consequence=r"""With $b_0 = 0$ and, for the $n$ steps of each interval,
\begin{align*}
  b &\leftarrow q^nb+K\,\frac{q^n-1}{q-1}, & q &= e^{m\eta}, & K &= \max\{1,e^{m\eta}\}\,\frac{\eta^2P}2
    \Bigl(1+\frac{\eta\beta}3e^{\eta\beta}\Bigr), \\
  \text{or}\quad b &\leftarrow q^nb+K\,\frac{q^n-1}{q-1}, & q &= 1+\max\{\eta m,\eta\Lambda-2\}, &
    K &= \frac{\eta^2}2P_0,
\end{align*}
or $b = \eta\beta\gamma\int_0^te^{M(t)-M(s)}ds$ with the largest $\beta$, $\gamma$ up to $t$ (R4) or on the whole tube
(R4, R5):
if $b < \varepsilon$ throughout, $\|\theta_k-\theta(k\eta)\| \le b$ for all $k$.""",
    remarks="The rounding of the recursions is allowed for in the code, not here.",
)  # fmt: skip

if __name__ == "__main__":
    sys.exit(run(DERIVATION))
