r"""R24: where ||g||^2 >= 2 mu (f - f*) on a ball around q and f(q) is small, flow and descent converge inside the ball.

    length of the path <= sqrt(2 (f(q) - f*)/mu),    f - f* <= (f(q) - f*) e^{-2 mu t};

for descent the length times 2/(2 - eta beta).

(Polyak 1963, Lojasiewicz 1963.) Then mu for interpolating networks, for linear ones, and around isolated minima.

Run: python -m derivations.r24_for_all_time
"""

# Long: one proof for flow and descent, and one for each of the three ways to a rate mu.
from __future__ import annotations

import sys
from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from itertools import pairwise
from typing import Any

import jax.numpy as jnp
import numpy as np
import sympy

import symflow as sf
from symflow.proofs import (
    Control,
    Derivation,
    Draw,
    IdentityTest,
    Inequality,
    NonnegativeCoefficients,
    Step,
    SymbolicZero,
)
from symflow.proofs.lemmas import MEAN_VALUE, RAYLEIGH, TRIANGLE
from symflow.proofs.networks import WIDTHS, chain, data, flat, objective
from symflow.proofs.quadratics import flow, integral
from symflow.proofs.words import inner, matrices, transposed
from symflow.report.derivations import run
from symflow.theory import r24_for_all_time as r24
from symflow.theory.functions import SYMBOLS
from symflow.theory.r24_for_all_time import FOR_ALL_TIME

T, S, MU, ETA, BETA, EXCESS = sympy.symbols("t s mu eta beta E", positive=True)
STEPS = 200
"""Steps of descent in the instances."""


# Flow -----------------------------------------------------------------------------------------------------------------


def root() -> Iterator[sympy.Expr]:
    """d/dt sqrt(F) = F'/(2 sqrt F), and G^2/(2 sqrt F) - sqrt(mu/2) G = G (G - sqrt(2 mu F))/(2 sqrt F)."""
    f, g = sympy.Function("F", positive=True)(T), sympy.Symbol("G", positive=True)
    yield sympy.sqrt(f).diff(T) - f.diff(T) / (2 * sympy.sqrt(f))
    yield g**2 / (2 * sympy.sqrt(f)) - sympy.sqrt(MU / 2) * g - g * (g - sympy.sqrt(2 * MU * f)) / (2 * sympy.sqrt(f))


def integrated() -> Iterator[sympy.Expr]:
    """sqrt(2/mu) (sqrt F(0) - sqrt F(t)) from the integral of d/dt sqrt F; at F(t) = 0 what is evaluated."""
    u = sympy.Function("u")
    yield sympy.integrate(u(S).diff(S), (S, 0, T)) - (u(T) - u(0))
    yield sympy.sqrt(EXCESS) / sympy.sqrt(MU / 2) - r24.flow_length(EXCESS, MU, SYMBOLS)


def exponential() -> Iterator[sympy.Expr]:
    """d/dt (e^{2 mu t} F) = e^{2 mu t} (F' + 2 mu F); the root of the bound of F is e^{-mu t} times that at 0."""
    f = sympy.Function("F")(T)
    yield (sympy.exp(2 * MU * T) * f).diff(T) - sympy.exp(2 * MU * T) * (f.diff(T) + 2 * MU * f)
    later = r24.flow_length(EXCESS * sympy.exp(-2 * MU * T), MU, SYMBOLS)
    yield later - r24.flow_length(EXCESS, MU, SYMBOLS) * sympy.exp(-MU * T)


def valley(size: int, z: Any) -> tuple[Any, Any, Any]:
    """Curvatures (one of them 0), start and mu of f = (1/2) sum lambda_i theta_i^2: PL with the least lambda_i > 0."""
    curvatures = 0.2 + z[:size] ** 2
    mu = jnp.min(curvatures)
    return jnp.append(curvatures, 0.0), z[size : 2 * size + 1], mu


def path(factor: float, size: int, z: Any) -> tuple[Any, Any]:
    """(length of the flow's path, sqrt(2 f/mu)), with `factor` mu in place of mu."""
    curvatures, start, mu = valley(size, z)
    horizon = 8 * jnp.tanh(z[-1]) ** 2
    # In u = 1 - e^{-t mu} the integrand is smooth over the whole time.
    end = -jnp.expm1(-mu * horizon)
    length = integral(
        lambda u: jnp.linalg.norm(curvatures * flow(curvatures, start, -jnp.log1p(-u) / mu)) / (mu * (1 - u)), end
    )
    excess = jnp.sum(curvatures * start**2) / 2
    return length, r24.flow_length(excess, factor * mu, jnp) * (1 + 1e-4)


def flow_path(factor: float = 1.0) -> Inequality:
    """The path of flows on valleys."""
    scope = r"flows of $\frac12\sum_i\lambda_i\theta_i^2$, $\lambda \ge 0.2$ in 1 and 2 directions, 0 in another; "
    return Inequality(
        scope + "by quadrature", (TRIANGLE,), [1, 2], lambda size: 2 * size + 2, partial(path, factor)
    )  # fmt: skip


# Descent --------------------------------------------------------------------------------------------------------------


def one_step() -> Iterator[sympy.Expr]:
    """f - eta G^2 + (beta/2) eta^2 G^2 = f - eta (1 - eta beta/2) G^2; at G^2 = 2 mu F it is the factor evaluated."""
    g, f = sympy.symbols("G F", positive=True)
    fall = ETA * (1 - ETA * BETA / 2)
    yield -ETA * g**2 + BETA / 2 * ETA**2 * g**2 + fall * g**2
    yield f - fall * 2 * MU * f - r24.descent_factor(ETA, MU, BETA) * f


def smaller_steps() -> Iterator[tuple[sympy.Expr, tuple[sympy.Symbol, ...]]]:
    """1 - eta mu - factor with eta beta = 1 - gap: nonnegative; and 1 - s eta beta/2 less its value at s = 1."""
    gap, rest, x = sympy.symbols("gap rest x", nonnegative=True)
    unit = sympy.Symbol("etamu", nonnegative=True)
    factor = 1 - unit * (2 - (1 - gap))
    yield (1 - unit) - factor, (unit, gap)
    yield (1 - (1 - rest) * x / 2) - (1 - x / 2), (x, rest)


def telescoped() -> Iterator[sympy.Expr]:
    """sqrt F_k - sqrt F_{k+1} = (F_k - F_{k+1})/(sqrt F_k + sqrt F_{k+1}); the length that is evaluated."""
    now, after = sympy.symbols("F_k F_{k+1}", positive=True)
    yield (sympy.sqrt(now) - sympy.sqrt(after)) * (sympy.sqrt(now) + sympy.sqrt(after)) - (now - after)
    # eta ||g|| sqrt(mu/2) (1 - eta beta/2) <= sqrt F_k - sqrt F_{k+1}
    per_step = sympy.sqrt(MU / 2) * (1 - ETA * BETA / 2)
    stated = r24.descent_length(r24.flow_length(EXCESS, MU, SYMBOLS), ETA, BETA)
    yield sympy.sqrt(EXCESS) / per_step - stated


def descends(factor: float, size: int, z: Any) -> tuple[Any, Any]:
    """(what 200 steps add up to, the bound), with `factor` mu in place of mu; eta between 0 and 2/beta."""
    curvatures, start, mu = valley(size, z)
    beta = jnp.max(curvatures)
    eta = 2 / beta * (0.02 + 0.9 * jnp.tanh(z[-1]) ** 2)
    factors = (1 - eta * curvatures) ** jnp.arange(STEPS)[:, None]
    length = jnp.sum(jnp.linalg.norm(eta * curvatures * start * factors, axis=1))
    excess = jnp.sum(curvatures * start**2) / 2
    return length, r24.descent_length(r24.flow_length(excess, factor * mu, jnp), eta, beta)


def descent_path(factor: float = 1.0) -> Inequality:
    """The path of descent on valleys."""
    scope = r"200 steps on $\frac12\sum_i\lambda_i\theta_i^2$, $\lambda \ge 0.2$ in 1 and 2 directions, 0 in another"
    return Inequality(scope, (TRIANGLE,), [1, 2], lambda size: 2 * size + 2, partial(descends, factor))


def falls(factor: float, size: int, z: Any) -> tuple[Any, Any]:
    """(f after a step, its bound), with `factor` mu in place of mu."""
    curvatures, start, mu = valley(size, z)
    beta = jnp.max(curvatures)
    eta = 2 / beta * (0.02 + 0.9 * jnp.tanh(z[-1]) ** 2)
    after = (1 - eta * curvatures) * start
    before = jnp.sum(curvatures * start**2) / 2
    # An allowance for rounding where one step reaches the minimum.
    return jnp.sum(curvatures * after**2) / 2, (r24.descent_factor(eta, factor * mu, beta) + 1e-12) * before


def one_fall(factor: float = 1.0) -> Inequality:
    """The loss after one step on valleys."""
    scope = r"one step on $\frac12\sum_i\lambda_i\theta_i^2$, $\lambda \ge 0.2$ in 1 and 2 directions, 0 in another"
    return Inequality(scope, (RAYLEIGH,), [1, 2], lambda size: 2 * size + 2, partial(falls, factor))


# The three kinds of mu ------------------------------------------------------------------------------------------------


def residuals(factor: Fraction, depth: int, draw: Draw) -> Iterator[Fraction]:
    """symflow's ||g||^2 minus ||J^T r||^2/N^2, and its f minus ||r||^2/(2N), by the product rule; `factor` is 1."""
    widths = WIDTHS[depth]
    w, (x, y) = draw.matrices(widths), data(draw, widths)
    count = x.shape[1]
    loss = objective(widths, x, y)
    off = chain(w, depth, 1).dot(x) - y
    # J^T r for the weights of layer j is W_{n:j+1}^T r X^T W_{j-1:1}^T.
    rows = [chain(w, depth, j + 1).T.dot(off).dot(x.T).dot(chain(w, j - 1, 1).T) for j in range(1, depth + 1)]
    gradient = sf.evaluate_exact(sf.gradient(loss), list(flat(w)))
    yield from np.asarray(gradient - factor * flat(rows) / Fraction(count))
    yield sf.evaluate_exact(sf.loss(loss), list(flat(w))) - Fraction(1, 2 * count) * sum(v * v for v in off.flat)


def gradient_of_outputs(factor: Fraction = Fraction(1)) -> IdentityTest:
    """g = J^T r/N for symflow's gradients."""
    scope = r"square loss, linear networks of depth $1,\dots,6$ (with gates, the same on a smooth region)"
    return IdentityTest(scope, sorted(WIDTHS), lambda depth: 2 * depth + 2, partial(residuals, factor))


def interpolating(factor: float, size: int, z: Any) -> tuple[Any, Any]:
    """(2 mu f, ||J^T r||^2/N^2) for a random J and r, mu = factor lambda_min(J J^T)/N, f = ||r||^2/(2N)."""
    jacobian, r = z[: size * (size + 1)].reshape(size, size + 1), z[size * (size + 1) :]
    mu = factor * r24.interpolating_rate(jnp.linalg.eigvalsh(jacobian @ jacobian.T)[0], size)
    return 2 * mu * r @ r / (2 * size), jnp.sum((jacobian.T @ r) ** 2) / size**2 + 1e-12 * jnp.dot(z, z) ** 2


def interpolates(factor: float = 1.0) -> Inequality:
    """The inequality of Polyak and Lojasiewicz from J J^T."""
    scope = r"one output, $N = 1, 2$ samples, $P = N+1$"
    return Inequality(scope, (RAYLEIGH,), [1, 2], lambda size: size * (size + 2), partial(interpolating, factor))


def subgradient_chain() -> Iterator[sympy.Expr]:
    """<v, theta'> with v = -theta', an element of the subdifferential, is -||theta'||^2."""
    (slope,) = matrices("s")
    yield inner(-slope, slope) + inner(slope, slope)


def hull() -> Iterator[sympy.Expr]:
    """p J^T r + (1 - p) K^T r = (p J + (1 - p) K)^T r."""
    j, k, r = matrices("J K r")
    p = sympy.Symbol("p")
    both = p * j + (1 - p) * k
    yield sympy.expand(p * transposed(j) * r + (1 - p) * transposed(k) * r - transposed(both) * r)


def moved_jacobian(share: float, size: int, z: Any) -> tuple[Any, Any]:
    """(sigma_min(A) - share ||D||_F, sigma_min(A + D)), `share` 1: what is computed for all J = A + D of a box."""
    jacobian = z[: size * (size + 1)].reshape(size, size + 1)
    left, values, right = jnp.linalg.svd(jacobian, full_matrices=False)
    # The worst direction and any other, of a size below sigma_min.
    worst = -jnp.outer(left[:, -1], right[-1])
    other = z[size * (size + 1) :].reshape(size, size + 1)
    moved = 0.9 * values[-1] * jnp.tanh(z[0] ** 2) * (worst + 0.1 * other / (1 + jnp.linalg.norm(other)))
    least = jnp.linalg.eigvalsh((jacobian + moved) @ (jacobian + moved).T)[0]
    return values[-1] - share * jnp.linalg.norm(moved) - 1e-7, jnp.sqrt(jnp.maximum(least, 0))


def over_a_box(share: float = 1.0) -> Inequality:
    """The least singular value on a box of matrices."""
    scope = r"$1\times2$ and $2\times3$ matrices, moved by less than $\sigma_{\min}$"
    return Inequality(scope, (TRIANGLE,), [1, 2], lambda size: 2 * size * (size + 1), partial(moved_jacobian, share))


def moments() -> Iterator[sympy.Expr]:
    """phi(W) - phi(W*) - (1/2) Tr (W - W*) Sigma (W - W*)^T, Lambda = W* Sigma; and Phi = (W - W*) Sigma."""
    w, best, sigma = matrices("W V S")
    target = best * sigma

    def phi(m: sympy.Expr) -> sympy.Expr:
        return inner(m, m * sigma, (sigma,)) / 2 - inner(m, target, (sigma,))

    yield phi(w) - phi(best) - inner(w - best, (w - best) * sigma, (sigma,)) / 2
    yield sympy.expand((w * sigma - target) - (w - best) * sigma)


def layers() -> Iterator[sympy.Expr]:
    """||A^T Phi B^T||_F^2 = Tr Phi^T (A A^T) Phi (B^T B): a form in vec Phi of the matrix A A^T kron B^T B."""
    a, b, phi = matrices("A B F")
    slope = transposed(a) * phi * transposed(b)
    yield inner(slope, slope) - inner(phi, a * transposed(a) * phi * transposed(b) * b)


def linear(factor: float, size: int, z: Any) -> tuple[Any, Any]:
    """(2 mu (f - f*), ||g||^2) for depth 2, W_2 W_1 and a singular Sigma, with `factor` mu in place of mu."""
    first, second, best, root_ = z[: 4 * size**2].reshape(4, size, size)
    root_ = root_[:, :1]  # Sigma of rank 1
    sigma = root_ @ root_.T
    slope = (second @ first - best) @ sigma
    gram = jnp.kron(jnp.eye(size), first.T @ first) + jnp.kron(second @ second.T, jnp.eye(size))
    mu = factor * r24.linear_rate(jnp.linalg.eigvalsh(gram)[0], jnp.sum(root_**2))
    excess = jnp.trace((second @ first - best) @ sigma @ (second @ first - best).T) / 2
    square = jnp.sum((slope @ first.T) ** 2) + jnp.sum((second.T @ slope) ** 2)
    return 2 * mu * excess, square + 1e-12 * jnp.dot(z, z) ** 4


def linear_network(factor: float = 1.0) -> Inequality:
    """The inequality for linear networks."""
    scope = r"depth 2, widths 1 and 2, $\Sigma_{xx}$ of rank 1"
    return Inequality(scope, (RAYLEIGH,), [1, 2], lambda size: 4 * size**2, partial(linear, factor))


def decay() -> Iterator[sympy.Expr]:
    """d/dt ||g||^2 = 2 <g, g'> = -2 <g, H g> with g' = H theta' = -H g; the integral of e^{-mu t} is 1/mu."""
    g, h = matrices("g H")
    slope = -h * g
    yield inner(slope, g, (h,)) + inner(g, slope, (h,)) + 2 * inner(g, h * g, (h,))
    yield sympy.integrate(sympy.exp(-MU * S), (S, 0, sympy.oo)) - r24.isolated_length(1, MU)


def near_minimum(factor: float, size: int, z: Any) -> tuple[Any, Any]:
    """(||theta||, ||g||/(factor mu)) for f = (1/2) <theta, H theta>, lambda_min(H) = mu > 0."""
    a, theta = z[: size**2].reshape(size, size), z[size**2 :]
    h = a @ a.T + 0.1 * jnp.eye(size)
    mu = jnp.linalg.eigvalsh(h)[0]
    return jnp.linalg.norm(theta), r24.isolated_length(jnp.linalg.norm(h @ theta), factor * mu)


def isolated(factor: float = 1.0) -> Inequality:
    """The distance of a minimum of positive curvature."""
    scope = r"quadratics in 2 and 3 dimensions, $H \succeq 0.1$"
    return Inequality(
        scope, (MEAN_VALUE, RAYLEIGH), [2, 3], lambda size: size**2 + size, partial(near_minimum, factor)
    )  # fmt: skip


def along_symmetries(sign: int, case: tuple[tuple[int, ...], int], draw: Draw) -> Iterator[Fraction]:
    """<g, X> for symflow's gradients, A = E_ab: row b of W_j into row a, - column a of W_{j+1} into column b.

    `sign` is -1; a case has widths and the slope alpha_bar, 1 or 0 (then a = b).
    """
    widths, slope = case
    w, (x, y) = draw.matrices(widths), data(draw, widths)
    loss = objective(widths, x, y, (Fraction(1), Fraction(slope)))
    gradient = loss.cut(sf.evaluate_exact(sf.gradient(loss), list(flat(w))))
    slopes = list(gradient.values())
    for j, (here, above) in enumerate(pairwise(w)):
        for a in range(len(here)):
            for b in range(len(here)) if slope == 1 else (a,):
                yield slopes[j][a].dot(here[b]) + sign * slopes[j + 1][:, b].dot(above[:, a])


def invariance(sign: int = -1) -> IdentityTest:
    """The gradient is orthogonal to symmetries."""
    cases = [(w, 1) for w in ((2, 3, 2), (2, 2, 3, 1), (1, 2, 2, 2, 1))] + [((2, 3, 2), 0), ((2, 3, 3, 1), 0)]
    scope = r"linear networks of depth 2, 3, 4, all $A$; ReLU networks on smooth regions, diagonal $A$; square loss"
    return IdentityTest(scope, cases, lambda case: 2 * len(case[0]) + 2, partial(along_symmetries, sign))


def added_directions() -> Iterator[sympy.Expr]:
    """<g, H g> = <g, (H + rho X X^T) g> - rho ||X^T g||^2."""
    g, h, x = matrices("g H X")
    rho = sympy.Symbol("rho")
    whole = h + rho * x * transposed(x)
    yield inner(g, h * g) - inner(g, whole * g) + rho * inner(transposed(x) * g, transposed(x) * g)


def penalty() -> Iterator[sympy.Expr]:
    """The Hessian of (rho/2) (c - k)^2, c = (u^2 - v^2)/2: rho X X^T + rho (c - k) diag(1, -1), X = (u, -v)."""
    u, v, k, rho = sympy.symbols("u v k rho")
    c, x = (u**2 - v**2) / 2, sympy.Matrix([u, -v])
    found = sympy.hessian(rho / 2 * (c - k) ** 2, (u, v))
    yield found - rho * x * x.T - rho * (c - k) * sympy.diag(1, -1)
    yield sympy.Matrix([c.diff(u), c.diff(v)]) - x


def contracts(factor: float, size: int, z: Any) -> tuple[Any, Any]:
    """(||(1 - eta H) theta||, max(1 - factor eta mu, eta beta - 1) ||theta||) for mu <= H <= beta, eta < 2/beta."""
    a, theta = z[: size**2].reshape(size, size), z[size**2 : size**2 + size]
    h = a @ a.T + 0.1 * jnp.eye(size)
    values = jnp.linalg.eigvalsh(h)
    eta = (0.05 + 1.9 * jnp.tanh(z[-1]) ** 2) / values[-1]
    # An allowance for rounding where one step reaches the minimum.
    stated = r24.isolated_factor(eta, factor * values[0], values[-1], jnp) + 1e-12
    return jnp.linalg.norm(theta - eta * h @ theta), stated * jnp.linalg.norm(theta)


def contraction(factor: float = 1.0) -> Inequality:
    """A step of descent around a minimum of positive curvature."""
    scope = r"quadratics in 1 and 2 dimensions, $H \succeq 0.1$, $\eta < 2/\beta$"
    return Inequality(
        scope, (MEAN_VALUE, RAYLEIGH), [1, 2], lambda size: size**2 + size + 1, partial(contracts, factor)
    )  # fmt: skip


DERIVATION = Derivation(
    proves=FOR_ALL_TIME,
    part=FOR_ALL_TIME.statement,
    steps=(
        Step(
            r"\tfrac d{dt}\sqrt{f-f^*}",
            r"-\frac{\|g\|^2}{2\sqrt{f-f^*}} \le -\sqrt{\mu/2}\,\|g\|",
            r"R1, as long as the flow is in $B_r(q)$ and $f > f^*$ (where $f = f^*$, $f$ is least, $g = 0$ and the "
            r"flow "
            r"rests); $\|g\| \ge \sqrt{2\mu(f-f^*)}$.",
            (SymbolicZero(r"every $F = f-f^*$ and $G = \|g\|$: the last factor is $\ge 0$", root),),
        ),
        Step(
            r"\int_0^t\|\dot\theta\|",
            r"\sqrt{2/\mu}\,\bigl(\sqrt{f(q)-f^*}-\sqrt{f(\theta(t))-f^*}\bigr) \le \sqrt{2(f(q)-f^*)/\mu} < r",
            r"Integrate step 1. So the flow cannot reach the boundary of the ball, exists for all time, and as its "
            r"path "
            r"is finite it converges.",
            (SymbolicZero(r"every $f$ along the flow", integrated), flow_path()),
            r"\le",
        ),
        Step(
            r"f(\theta(t))-f^*",
            r"(f(q)-f^*)e^{-2\mu t}, \qquad \|\theta(t)-\theta(\infty)\| \le \sqrt{2(f(q)-f^*)/\mu}\;e^{-\mu t}",
            r"$\dot F = -\|g\|^2 \le -2\mu F$; then step 2 from $\theta(t)$ on.",
            (SymbolicZero(r"every $F$ and $\mu$", exponential),),
            r"\le",
        ),
        Step(
            r"f(\theta-\eta g)-f^*",
            r"F-\eta\bigl(1-\tfrac{\eta\beta}2\bigr)\|g\|^2 \le \bigl(1-\eta\mu(2-\eta\beta)\bigr)F",
            r"Taylor's theorem on the segment, $H \preceq \beta$. For $\eta \le 1/\beta$ the factor is at most "
            r"$1-\eta\mu$.",
            (
                SymbolicZero(r"every $F$, $G = \|g\|$, $\eta$, $\mu$, $\beta$", one_step),
                NonnegativeCoefficients(r"the factor for $\eta\beta \le 1$; smaller steps", smaller_steps),
                one_fall(),
            ),
            r"\le",
        ),
        Step(
            r"\sum_k\eta\|g(\theta_k)\|",
            r"\sqrt{\frac2\mu}\,\frac{\sqrt{f(q)-f^*}}{1-\eta\beta/2} = "
            r"\sqrt{\frac{2(f(q)-f^*)}\mu}\,\frac2{2-\eta\beta} < r",
            r"$\sqrt{F_k}-\sqrt{F_{k+1}} \ge (F_k-F_{k+1})/(2\sqrt{F_k}) \ge "
            r"\eta(1-\frac{\eta\beta}2)\|g\|\sqrt{\mu/2}$; "
            r"add up. The segments stay in the ball: else stop the first one that leaves it at its boundary, after "
            r"$s\eta$ with $s < 1$. Step 4 holds up to there with $s\eta$ in place of $\eta$, and the same sum, with "
            r"$1-s\eta\beta/2 \ge 1-\eta\beta/2$, says that the path so far is shorter than $r$.",
            (
                SymbolicZero(r"every $F_k$, $F_{k+1}$, $\eta$, $\mu$, $\beta$", telescoped),
                NonnegativeCoefficients(r"shorter steps", smaller_steps),
                descent_path(),
            ),
            r"\le",
        ),
        Step(
            r"\|g\|^2 = \tfrac1{N^2}\|J^\top r\|^2",
            r"\frac{\lambda_{\min}(JJ^\top)}{N^2}\|r\|^2 = 2\,\frac{\lambda_{\min}(JJ^\top)}N\,f",
            r"Interpolating: $f = \|r\|^2/(2N)$, $r$ the residuals of all outputs, $g = J^\top r/N$.",
            (gradient_of_outputs(), interpolates()),
            r"\ge",
        ),
        Step(
            r"\tfrac d{dt}f = \langle v,\dot\theta\rangle\big|_{v=-\dot\theta} = -\|\dot\theta\|^2",
            r"-\operatorname{dist}(0,\partial f)^2 \le -2\mu f",
            r"With kinks: $f$ is semialgebraic, so that the chain rule holds for almost every $t$ with any "
            r"$v \in \partial f(\theta)$ (Davis et al.). $\partial f$ is the convex hull of limits of gradients "
            r"$J^\top r/N$, $J \in \mathcal J$, hence in $\{J^\top r/N: J \in \mathcal J\}$; step 6 for each, then "
            r"steps 1 to "
            r"3. On a box of matrices around $A$, $\sigma_{\min} \ge \sigma_{\min}(A)-\|D\|_F$.",
            (
                SymbolicZero(r"any number of dimensions: the chain rule at $-\dot\theta$", subgradient_chain),
                SymbolicZero("matrices of any size: convex combinations", hull),
                over_a_box(),
            ),
            r"\le",
        ),
        Step(
            r"\varphi(W)-\varphi(W^*)",
            r"\tfrac12\operatorname{Tr}(W-W^*)\Sigma_{xx}(W-W^*)^\top \le "
            r"\frac{\|\nabla\varphi\|_F^2}{2\lambda^+_{\min}"
            r"(\Sigma_{xx})}, \quad \nabla\varphi = (W-W^*)\Sigma_{xx}",
            r"Linear networks: $\Lambda_{yx} = W^*\Sigma_{xx}$ is solvable, $f^* = \varphi(W^*)$; Rayleigh quotient of "
            r"$\Sigma_{xx}$ on its range.",
            (SymbolicZero("matrices of any size", moments),),
        ),
        Step(
            r"\|g\|^2 = \sum_j\|W_{n:j+1}^\top\nabla\varphi\,W_{j-1:1}^\top\|_F^2",
            r"\lambda_{\min}\Bigl(\sum_jW_{n:j+1}W_{n:j+1}^\top\otimes W_{j-1:1}^\top "
            r"W_{j-1:1}\Bigr)\|\nabla\varphi\|_F^2",
            r"Each term is a quadratic form in the entries of $\nabla\varphi$; then step 8.",
            (SymbolicZero("matrices of any size: one layer's form", layers), linear_network()),
            r"\ge",
        ),
        Step(
            r"\tfrac d{dt}\|g\|^2 = -2\langle g,Hg\rangle",
            r"-2\mu\|g\|^2, \quad\text{so}\quad \int_0^\infty\|\dot\theta\| \le \|g(q)\|/\mu < r",
            r"Isolated minima: $\|g(\theta(t))\| \le \|g(q)\|e^{-\mu t}$ as long as the flow is in the ball, hence "
            r"for all "
            r"time; it converges to a critical point, the only one, as $\langle g(x)-g(y),x-y\rangle \ge "
            r"\mu\|x-y\|^2$. R3 "
            r"with $m = -\mu$ gives the rate.",
            (SymbolicZero(r"every symmetric $H$; every $\mu$", decay), isolated()),
            r"\le",
        ),
        Step(
            r"\|\theta_{k+1}-\theta^*\| = \|(I-\eta\bar H)(\theta_k-\theta^*)\|",
            r"\max\{1-\eta\mu,\eta\beta-1\}\|\theta_k-\theta^*\|",
            r"$\bar H$ the mean of $H$ on the segment, with eigenvalues in $[\mu,\beta]$. $\theta_k$ is in "
            r"$B_{\|q-\theta^*\|}(\theta^*)$, which is in $B_r(q)$ because $2\|q-\theta^*\| \le 2\|g(q)\|/\mu < r$.",
            (contraction(),),
            r"\le",
        ),
        Step(
            r"\langle g,Hg\rangle = \langle g,(H+\rho XX^\top)g\rangle-\rho\|X^\top g\|^2",
            r"\mu\|g\|^2",
            r"$f$ does not change along $W_j \to e^{sA}W_j$, $W_{j+1} \to W_{j+1}e^{-sA}$, so that $X^\top g = 0$; "
            r"then step "
            r"10 as it is.",
            (invariance(), SymbolicZero("matrices of any size", added_directions)),
            r"\ge",
        ),
        Step(
            r"\nabla^2F",
            r"H+\rho XX^\top+\rho\sum(c-c(q))\nabla^2c \succeq \bar\mu",
            r"Diagonal $A$: $X$ has the columns $\nabla c$, so that the flow conserves $c$ and its limit is a critical "
            r"point of $F$. The entries of the diagonal matrices $\nabla^2c$ are $\pm1$, and a weight is in at most "
            r"two of "
            r"them. $F$ is strongly convex on the ball; then step 10 for $F$.",
            (SymbolicZero("one unit with one weight before and after it", penalty, "checked exactly"), isolated()),
            r"\succeq",
        ),
    ),
    controls=(
        Control(r"$1.01\,\mu$ in the length of the flow's path", flow_path(1.01)),
        Control(r"$1.01\,\mu$ in the factor of descent", one_fall(1.01)),
        Control(r"$1.1\,\mu$ in the length of descent's path", descent_path(1.1)),
        Control(r"$\mu = 1.01\,\lambda_{\min}(JJ^\top)/N$", interpolates(1.01)),
        Control(r"$g = 1.01\,J^\top r/N$", gradient_of_outputs(Fraction(101, 100))),
        Control(r"$\sigma_{\min}(A)-0.9\,\|D\|_F$", over_a_box(0.9)),
        Control(r"$1.01\,\mu$ for linear networks", linear_network(1.01)),
        Control(r"$+W_{j+1}A$ in $X$", invariance(1)),
        Control(r"$\|q-\theta^*\| \le 0.99\,\|g\|/\mu$", isolated(1 / 0.99)),
        Control(r"$(1-1.01\,\eta\mu)$ around an isolated minimum", contraction(1.01)),
    ),
    notation=(r"$F = f-f^*$; flow and descent start at $q$",),
)  # fmt: skip

if __name__ == "__main__":
    sys.exit(run(DERIVATION))
