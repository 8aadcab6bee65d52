r"""R4: the step-size condition, and its time-local version.

Descent stays within epsilon of flow up to time T if for all t in (0, T]

    eta int_0^t e^{M(t)-M(s)} beta_s gamma_s ds < epsilon - rho e^{M(t)},

with beta_s, gamma_s the suprema of ||H|| and ||g|| over the tube *up to time s*. The condition of Elkabetz & Cohen has
the suprema over the whole tube; it follows.

Run: python -m derivations.r04_step_size
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import sympy

from symflow.proofs import Control, Derivation, Inequality, NonnegativeCoefficients, Step, SymbolicZero
from symflow.proofs.lemmas import GROENWALL, MEAN_VALUE, SUBMULTIPLICATIVITY, TRIANGLE
from symflow.proofs.quadratics import descent, flow, integral
from symflow.proofs.words import matrices
from symflow.report.derivations import run
from symflow.theory.r04_step_size import STEP_SIZE

Version = Literal["local", "global", "start", "stable"]
GRID = 12
"""Times at which the condition is imposed in the instances."""


def interpolation() -> Iterator[sympy.Expr]:
    """d/ds of theta_k - (s - k eta) g_k and of the gradient along it, for any f of two variables."""
    s, k, eta, start = sympy.symbols("s k eta theta_k")
    x, slope = sympy.symbols("x0:2"), sympy.symbols("g0:2")
    yield (start - (s - k * eta) * slope[0]).diff(s) + slope[0]
    curve = [sympy.Function(f"p{i}")(s) for i in range(2)]
    velocity = {p.diff(s): -g for p, g in zip(curve, slope, strict=True)}
    f, at_curve = sympy.Function("f"), dict(zip(x, curve, strict=True))
    for a in x:
        moved = f(*x).diff(a).subs(at_curve).doit().diff(s).subs(velocity)
        yield moved + sum(f(*x).diff(a, b).subs(at_curve).doit() * g for b, g in zip(x, slope, strict=True))


def along() -> Iterator[sympy.Expr]:
    """theta~' + g(theta~) for theta~' = -g_k; H theta~' = -H g_k; the integral of phi', phi a coordinate of "
    "g(theta~)."""
    h, g, here = matrices("H g q")
    yield (-g + here) - (here - g)
    yield h * (-g) + h * g
    r, s, start, phi = *sympy.symbols("r s t_k"), sympy.Function("phi")
    yield sympy.integrate(phi(r).diff(r), (r, start, s)) - (phi(s) - phi(start))


def hessian_times_gradient(size: int, z: Any) -> tuple[Any, Any]:
    """(||H g||, ||H|| ||g||) for a symmetric H."""
    h, g = z[: size**2].reshape(size, size), z[size**2 :]
    h = (h + h.T) / 2
    return jnp.linalg.norm(h @ g), jnp.max(jnp.abs(jnp.linalg.eigvalsh(h))) * jnp.linalg.norm(g)


def largest_step(version: Version, curvatures: Any, start: Any, rho: Any, epsilon: Any, horizon: Any) -> Any:
    """The supremum of the step sizes that the condition admits for f = (1/2) sum lambda_i theta_i^2.

    The tube has ||H|| = beta = max |lambda_i| and ||g|| <= max_{s<=t} ||lambda theta(s)|| + beta epsilon; the maximum
    is bounded by that of each coordinate. "global" takes the tube up to T; "start" (wrong) only its beginning;
    "stable" (wrong) sets m = 0.
    """
    beta, m = jnp.max(jnp.abs(curvatures)), -jnp.min(curvatures)
    m = 0.0 * m if version == "stable" else m

    def gamma(s: Any) -> Any:
        upto = {"global": horizon, "start": 0.0 * s}.get(version, s)
        largest = jnp.maximum(jnp.abs(start), jnp.abs(flow(curvatures, start, upto)))
        return jnp.linalg.norm(curvatures * largest) + beta * epsilon

    def admitted(t: Any) -> Any:
        weight = integral(lambda s: jnp.exp(m * (t - s)) * beta * gamma(s), t)
        return (epsilon - rho * jnp.exp(m * t)) / weight

    return jnp.min(jax.vmap(admitted)(horizon * jnp.arange(1, GRID + 1) / GRID))


def cut(size: int, z: Any) -> tuple[Any, Any, Any, Any, Any]:
    """(lambda, theta(0), theta_0 - theta(0), epsilon, T) from the coordinates of the search; rho e^{M} < epsilon.

    All are bounded, so that differences of trajectories keep enough digits.
    """
    curvatures, start = 3 * jnp.tanh(z[:size]), 3 * jnp.tanh(z[size : 2 * size])
    epsilon, horizon = jnp.exp(2 * jnp.tanh(z[-1]) - 1), 2 * jnp.abs(jnp.tanh(z[-2])) + 0.01
    shift = z[2 * size : 3 * size]
    growth = jnp.exp(jnp.maximum(-jnp.min(curvatures) * horizon, 0.0))
    shift = 0.9 * epsilon / growth * shift / (1 + jnp.linalg.norm(shift))
    return curvatures, start, shift, epsilon, horizon


def stays_close(version: Version, size: int, z: Any) -> tuple[Any, Any]:
    """(deviation at the last step, epsilon) with 0.999 of the largest admitted step."""
    curvatures, start, shift, epsilon, horizon = cut(size, z)
    rho = jnp.linalg.norm(shift)
    step = 0.999 * largest_step(version, curvatures, start, rho, epsilon, horizon)
    k = jnp.floor(horizon / step)
    return jnp.linalg.norm(descent(curvatures, start + shift, step, k) - flow(curvatures, start, k * step)), epsilon


def global_is_stricter(size: int, z: Any) -> tuple[Any, Any]:
    """(largest step by the global condition, by the time-local one)."""
    curvatures, start, shift, epsilon, horizon = cut(size, z)
    rest = (curvatures, start, jnp.linalg.norm(shift), epsilon, horizon)
    return largest_step("global", *rest), largest_step("local", *rest)


def instances(version: Version) -> Inequality:
    """Whether descent stays in the tube on quadratic functions."""
    return Inequality(
        r"$f = \frac12\sum_i\lambda_i\theta_i^2$ with one or three $\lambda_i$ of any sign, $\rho \ge 0$, the step "
        r"at 0.999 of the bound",
        (GROENWALL, MEAN_VALUE, TRIANGLE),
        [1, 3],
        lambda size: 3 * size + 2,
        partial(stays_close, version),
        (SymbolicZero("", interpolation),),
    )


def concave_parabola() -> Iterator[sympy.Expr]:
    """Both denominators for f = -(m/2) theta^2, rho = 0, where beta = m and gamma_s = m (a e^{ms} + epsilon)."""
    m, a, epsilon, s, t = sympy.symbols("m a epsilon s t", positive=True)
    gamma = m * (a * sympy.exp(m * s) + epsilon)
    local = sympy.integrate(sympy.expand(sympy.exp(m * (t - s)) * m * gamma), (s, 0, t))
    yield local - (m**2 * a * t * sympy.exp(m * t) + m * epsilon * (sympy.exp(m * t) - 1))
    whole = m * gamma.subs(s, t) * sympy.integrate(sympy.exp(m * (t - s)), (s, 0, t))
    yield whole - m * (a * sympy.exp(m * t) + epsilon) * (sympy.exp(m * t) - 1)


def gain() -> Iterator[tuple[sympy.Expr, tuple[sympy.Symbol, ...]]]:
    """With y = e^{mt} - 1 >= mt: global minus local denominator over m, where x = mt = y - r, r >= 0."""
    a, epsilon, x, r = sympy.symbols("a epsilon x r")
    y = x + r
    yield (a * (1 + y) + epsilon) * y - a * x * (1 + y) - epsilon * y, (a, epsilon, x, r)


CONDITION = r"\eta\int_0^t e^{M(t)-M(s)}\beta_s\gamma_s\,ds < \varepsilon - \rho\,e^{M(t)}"

DERIVATION = Derivation(
    proves=STEP_SIZE,
    steps=(
        Step(
            r"\tilde\theta(s) = \theta_k - (s-k\eta)\,g(\theta_k),\ s \in [k\eta,(k+1)\eta): \quad "
            r"\dot{\tilde\theta} + g(\tilde\theta)",
            r"g(\tilde\theta(s)) - g(\theta_k) = -\int_{k\eta}^s H(\tilde\theta(r))\,g(\theta_k)\,dr",
            r"Differentiate $\tilde\theta$, and $g$ along it. The segment $[\theta_k,\tilde\theta(s)]$ is the piece of "
            r"the interpolation itself over $[k\eta,s]$: no convexity of the tube is needed.",
            (
                SymbolicZero("any number of variables, after the chain rule and coordinate by coordinate", along),
                SymbolicZero("with the chain rule, every $f$ of two variables", interpolation, "checked exactly"),
            ),
        ),
        Step(
            r"\|\dot{\tilde\theta}(s) + g(\tilde\theta(s))\|",
            r"\int_{k\eta}^s \|H(\tilde\theta(r))\|\,\|g(\theta_k)\|\,dr \le (s-k\eta)\,\beta_s\gamma_s "
            r"\le \eta\,\beta_s\gamma_s",
            r"As long as $\|\tilde\theta(r)-\theta(r)\| < \varepsilon$ for $r \le s$, the points $\tilde\theta(r)$ and "
            r"$\theta_k = \tilde\theta(k\eta)$ are in $\mathcal D_r \subseteq \mathcal D_s$.",
            (
                Inequality(
                    r"$\|Hg\| \le \|H\|\,\|g\|$ for symmetric $H$ of size 2 and 3",
                    (TRIANGLE, SUBMULTIPLICATIVITY),
                    [2, 3],
                    lambda size: size**2 + size,
                    hessian_times_gradient,
                ),
            ),
            r"\le",
        ),
        Step(
            r"\|\tilde\theta(t)-\theta(t)\|",
            r"e^{M(t)}\Bigl(\rho + \eta\int_0^t e^{-M(s)}\beta_s\gamma_s\,ds\Bigr) < \varepsilon",
            r"Let $t^* \le \lfloor T/\eta\rfloor\eta$ be the first time with $\|\tilde\theta-\theta\| = \varepsilon$ "
            r"(the two are continuous and start closer; up to $t^*$ every $\theta_k$ lies in $\mathcal D_T$, so "
            r"$\tilde\theta$ is defined). For $t < t^*$ the segment $[\theta(t),\tilde\theta(t)]$ lies in the ball "
            r"$B_\varepsilon(\theta(t))$, which is convex, so R3 applies with this $m$ and the defect of step 2. "
            r"Let $t \to t^*$: the condition of the statement at $t^*$ gives "
            r"$\varepsilon < \varepsilon$. So there is no such time.",
            (instances("local"),),
            r"\le",
        ),
        Step(
            r"\int_0^t e^{M(t)-M(s)}\beta_s\gamma_s\,ds",
            r"\beta\gamma\int_0^t e^{M(t)-M(s)}\,ds, \quad \beta = \beta_T,\ \gamma = \gamma_T",
            r"$\mathcal D_s \subseteq \mathcal D_T$. So the condition with the suprema over the whole tube (that of "
            r"the paper) implies the time-local one, and never admits a larger step.",
            (
                Inequality(
                    "largest admitted steps, two $\\lambda_i$ as in step 3",
                    (TRIANGLE,),
                    [2],
                    lambda size: 3 * size + 2,
                    global_is_stricter,
                ),
            ),
            r"\le",
        ),
        Step(
            r"f = -\tfrac m2\theta^2,\ \rho = 0: \quad \eta",
            r"\frac{\varepsilon}{m^2|\theta_0|\,t\,e^{mt} + m\varepsilon(e^{mt}-1)} \quad\text{instead of}\quad "
            r"\frac{\varepsilon}{m(|\theta_0|e^{mt}+\varepsilon)(e^{mt}-1)}",
            r"What time-locality gains: $e^{-mT}/T$, as is necessary (R6), instead of $e^{-2mT}$. The first is never "
            r"smaller, since $e^{mt}-1 \ge mt$.",
            (
                SymbolicZero("both integrals", concave_parabola),
                NonnegativeCoefficients(r"the difference of the denominators in $mt$ and $e^{mt}-1-mt$", gain),
            ),
            "<",
        ),
    ),
    controls=(
        Control(r"$\beta_0$, $\gamma_0$ (the ball at time 0) in place of $\beta_s$, $\gamma_s$", instances("start")),
        Control(r"the hypothesis on $m$ dropped: $m = 0$", instances("stable")),
    ),
    notation=(r"$\mathcal D_t = \bigcup_{s\le t}B_\varepsilon(\theta(s))$; $\beta = \beta_T$, $\gamma = \gamma_T$",),
)

if __name__ == "__main__":
    sys.exit(run(DERIVATION))
