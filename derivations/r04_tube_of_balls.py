r"""R4 and R22, constants on a tube: balls that cover the flow, and what holds on each of them.

Time is cut into cells [a, b]. By R1 the flow stays within r of its position c in the middle of a cell, so that the
tube of radius epsilon around that piece of it lies in the ball of radius R = r + epsilon around c, where the spectrum
of H at c and the closed forms (beta, gamma, m, drift of H) bound everything. Checked against the code that computes it
(`symflow.analysis.bounds.tube` and `regions`).

Run: python -m derivations.r04_tube_of_balls
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from typing import Any, cast

import jax.numpy as jnp
import numpy as np
import sympy

import symflow as sf
from symflow.analysis.bounds.ball_forms import BallForms
from symflow.analysis.bounds.kinks import gates_at
from symflow.analysis.bounds.smooth_regions import decide
from symflow.analysis.bounds.tube import Tube
from symflow.proofs import (
    Control,
    Derivation,
    Inequality,
    NonnegativeCoefficients,
    SameInFloat64,
    Step,
    SymbolicZero,
)
from symflow.proofs.lemmas import CAUCHY_SCHWARZ, MEAN_VALUE, SUBMULTIPLICATIVITY, TRIANGLE, WEYL
from symflow.proofs.quadratics import flow
from symflow.proofs.words import matrices
from symflow.report.derivations import run
from symflow.theory.r04_step_size import STEP_SIZE
from symflow.theory.statement import Statement

BALLS = 40
"""Random balls on which the package's numbers are compared with the formulas."""


# The balls ------------------------------------------------------------------------------------------------------------


def nested() -> Iterator[tuple[sympy.Expr, tuple[sympy.Symbol, ...]]]:
    """(s - a)(f(a) - f(s)) - (s - t)(f(t) - f(s)) for a <= t <= s: s - a = (s - t) + p, f(a) = f(t) + q, p, q >= 0."""
    time, fall, p, q = sympy.symbols("time fall p q", nonnegative=True)
    yield (time + p) * (fall + q) - time * fall, (time, fall, p, q)


def way(share: float, size: int, z: Any) -> tuple[Any, Any]:
    """(distance of the flow from its middle within a cell, r with `share`, 1, of the length of the cell).

    f = (1/2) sum h_i theta_i^2 with h_i of any sign; the cell is [0, T], the time any in it.
    """
    h, start = 2 * jnp.tanh(z[:size]), z[size : 2 * size]
    end = 0.1 + 2 * jnp.tanh(z[-2]) ** 2
    t, middle = end * jnp.tanh(z[-1]) ** 2, end / 2

    def loss(time: Any) -> Any:
        return jnp.sum(h * flow(h, start, time) ** 2) / 2

    falls = jnp.stack([loss(0.0) - loss(middle), loss(middle) - loss(end)])
    r = jnp.max(jnp.sqrt(share * end / 2 * jnp.maximum(falls, 1e-300)))
    return jnp.linalg.norm(flow(h, start, t) - flow(h, start, middle)), r


def way_bound(share: float = 1.0) -> Inequality:
    """The radius of a cell."""
    scope = r"flows of $f = \frac12\sum_ih_i\theta_i^2$ with one and three $h_i$ of any sign"
    return Inequality(
        scope, (TRIANGLE, CAUCHY_SCHWARZ), [1, 3], lambda size: 2 * size + 2, partial(way, share), (NESTED,)
    )


NESTED = NonnegativeCoefficients(r"every $a \le t \le s$ and every falling $f$", nested)


# What holds on a ball -------------------------------------------------------------------------------------------------


def parted(z: Any, size: int) -> tuple[Any, Any, Any]:
    """Two symmetric matrices H and K = H(q) - H(c), and a vector."""
    h, k = z[: 2 * size**2].reshape(2, size, size)
    return (h + h.T) / 2, (k + k.T) / 2, z[2 * size**2 : 2 * size**2 + size]


def spectral(matrix: Any) -> Any:
    """The spectral norm of a symmetric matrix."""
    values = jnp.linalg.eigvalsh(matrix)
    return jnp.maximum(values[-1], -values[0])


def eigenvalue(factor: float, size: int, z: Any) -> tuple[Any, Any]:
    """(-lambda_min(H + K), factor ||K|| - lambda_min(H)); the factor is 1; both shifted by ||H|| + 2 ||K|| > 0."""
    h, k, _ = parted(z, size)
    shift = spectral(h) + 2 * spectral(k)
    values = jnp.linalg.eigvalsh(h)
    return shift - jnp.linalg.eigvalsh(h + k)[0], shift + factor * spectral(k) - values[0]


def decomposed(factor: sympy.Expr = sympy.S.One) -> Iterator[sympy.Expr]:
    """H' g' - H g = (H' - H) g + factor H' (g' - g); the factor is 1."""
    h, later, g, moved = matrices("H K g q")
    yield later * moved - h * g - (later - h) * g - factor * later * (moved - g)


def hessian_times_gradient(factor: float, size: int, z: Any) -> tuple[Any, Any]:
    """(||H' g'||, ||H g|| + ||H' - H|| ||g|| + factor ||H'|| ||g' - g||); the factor is 1."""
    h, k, g = parted(z, size)
    change = z[2 * size**2 + size :]
    stated = jnp.linalg.norm(h @ g) + spectral(k) * jnp.linalg.norm(g)
    return (
        jnp.linalg.norm((h + k) @ (g + change)),
        stated + factor * spectral(h + k) * jnp.linalg.norm(change),
    )


def well(z: Any) -> tuple[Any, Any]:
    """(|g(q)|, |g(c)| + |q - c| sup |H|) for f = (x^2 - 1)^2/4; |3 x^2 - 1| is largest at an end or at 0."""
    c, q = z
    ends = jnp.stack([jnp.abs(3 * c**2 - 1), jnp.abs(3 * q**2 - 1), jnp.where(c * q < 0, 1.0, 0.0)])
    return jnp.abs(q**3 - q), jnp.abs(c**3 - c) + jnp.abs(q - c) * jnp.max(ends)


def relu_network() -> sf.Objective:
    """A ReLU network with three samples."""
    network = sf.FullyConnected((2, 4, 3, 1), 1, 0)
    return sf.network_objective(network, np.array([[1, 2], [-1, 1], [2, -3]]), np.ones((3, 1), dtype=int))


def on_balls() -> Iterator[tuple[float, float]]:
    """m, lambda_max, beta, gamma and ||H g|| of the package on random balls, and the formulas of steps 3 to 5.

    Where a ball may not lie in one smooth region, only the closed forms are used.
    """
    rng, objective = np.random.default_rng(0), relu_network()
    centres = rng.standard_normal((BALLS, objective.parameter_count))
    radii, epsilon = rng.uniform(0.01, 0.15, (2, BALLS))
    drift, m, beta, gamma, slope, product = rng.uniform(0.1, 2, (6, BALLS))
    low = rng.uniform(-2, 1, BALLS)
    high = low + rng.uniform(0, 2, BALLS)
    forms = {"drift": drift, "m": m, "beta": beta, "gamma": gamma}
    owner = np.arange(BALLS)
    tube = Tube(
        objective, owner, owner, owner.astype(float), centres, radii, low, high, slope, product,
        cast(BallForms, lambda radius: {name: v * radius for name, v in forms.items()}),
    )  # fmt: skip
    found, smooth = tube.balls(epsilon), decide(objective, centres, radii + epsilon).smooth
    assert 0 < smooth.sum() < BALLS
    for i in range(BALLS):
        r = radii[i] + epsilon[i]
        moved = drift[i] * r if smooth[i] else np.inf
        norm = min(beta[i] * r, max(abs(low[i]), abs(high[i])) + moved)
        largest = min(gamma[i] * r, slope[i] + r * norm if smooth[i] else np.inf)
        yield tube.ball_radii(epsilon)[i], r
        yield 4 + found.m[i], 4 + min(m[i] * r, moved - low[i])  # both sides away from 0
        yield 4 + found.max_eigenvalue[i], 4 + min(high[i] + moved, norm)
        yield found.beta[i], norm
        yield found.gamma[i], largest
        yield found.hessian_gradient[i], min(norm * largest, product[i] + moved * slope[i] + norm * r * norm)


def product_bound(factor: float) -> Inequality:
    """Step 5 for matrices."""
    return Inequality(
        "symmetric matrices of size 2",
        (TRIANGLE, SUBMULTIPLICATIVITY),
        [2],
        lambda size: 2 * size**2 + 2 * size,
        partial(hessian_times_gradient, factor),
    )


# One smooth region ----------------------------------------------------------------------------------------------------


def unit(factor: float, size: int, z: Any) -> tuple[Any, Any]:
    """(|w' a' - w a|, ||w|| rho + factor R (||a|| + rho)), rho = ||a' - a||, R = ||w' - w||; the factor is 1."""
    w, a, change, shift = z.reshape(4, size)
    rho, radius = jnp.linalg.norm(shift), jnp.linalg.norm(change)
    stated = jnp.linalg.norm(w) * rho + factor * radius * (jnp.linalg.norm(a) + rho)
    return jnp.abs((w + change) @ (a + shift) - w @ a), stated


def unit_bound(factor: float) -> Inequality:
    """Step 6 for one unit."""
    return Inequality(
        "vectors in three dimensions", (TRIANGLE, CAUCHY_SCHWARZ), [3], lambda size: 4 * size, partial(unit, factor)
    )


def preactivation(factor: sympy.Expr = sympy.S.One) -> Iterator[sympy.Expr]:
    """w' a' - w a = w (a' - a) + factor (w' - w) a'; the factor is 1."""
    w, later, a, moved = matrices("W V a q")
    yield later * moved - w * a - w * (moved - a) - factor * (later - w) * moved


def changed_gates() -> Iterator[tuple[float, float]]:
    """How many of the gates that the package calls decided change at random points of the balls; and 0."""
    rng, objective = np.random.default_rng(0), relu_network()
    centres = rng.standard_normal((60, objective.parameter_count))
    radii = rng.uniform(0, 0.3, 60)
    opened = decide(objective, centres, radii).open
    assert any(layer.any() for layer in opened)
    assert not all(layer.all() for layer in opened)
    here = gates_at(objective, centres).on
    for _ in range(40):
        step = rng.standard_normal(centres.shape)
        there = gates_at(objective, centres + radii[:, None] * step / np.linalg.norm(step, axis=1)[:, None]).on
        pairs = zip(here, there, opened, strict=True)
        yield float(sum(((before != after) & ~free).sum() for before, after, free in pairs)), 0.0


DERIVATION = Derivation(
    proves=STEP_SIZE,
    name="A cover of the tube",
    part=Statement("R4", "", (), ()),
    steps=(
        Step(
            r"\|\theta(t)-c\|",
            r"r = \max\bigl\{\sqrt{(s-a)(f(a)-f(s))},\ \sqrt{(b-s)(f(s)-f(b))}\bigr\} \qquad (a \le t \le b)",
            r"R1 from $t$ to $s$, or from $s$ to $t$: the distance is at most $\sqrt{|s-t|\,|f(t)-f(s)|}$, and both "
            r"factors "
            r"grow away from $s$.",
            (NESTED, way_bound()),
            r"\le",
        ),
        Step(
            r"\|q-c\|",
            r"\|q-\theta(t)\|+\|\theta(t)-c\| < \varepsilon+r = R",
            r"So the tube of radius $\varepsilon$ around the flow within the cell lies in $B_R(c)$.",
            (
                Inequality(
                    "vectors in three dimensions",
                    (TRIANGLE,),
                    [3],
                    lambda size: 2 * size,
                    lambda size, z: (jnp.linalg.norm(z[:size] + z[size:]),
                                     jnp.linalg.norm(z[:size]) + jnp.linalg.norm(z[size:])),
                ),
            ),
            r"\le",
        ),
        Step(
            r"-\lambda_{\min}(H(q))",
            r"\begin{aligned}[t] & \min\{m,\ \mathrm{drift}-\lambda_{\min}(H(c))\}, \\ & "
            r"\lambda_{\max}(H(q)) \le \lambda_{\max}(H(c))+\mathrm{drift}, \quad "
            r"\|H(q)\| \le \min\{\beta,\ \|H(c)\|+\mathrm{drift}\}\end{aligned}",
            r"Weyl with $\|H(q)-H(c)\| \le \mathrm{drift}$; $m$ and $\beta$ hold on the ball by themselves.",
            (
                Inequality(
                    "symmetric matrices of size 2 and 3",
                    (WEYL,),
                    [2, 3],
                    lambda size: 2 * size**2 + size,
                    partial(eigenvalue, 1.0),
                ),
            ),
            r"\le",
        ),
        Step(
            r"\|g(q)\|",
            r"\min\{\gamma,\ \|g(c)\|+R\,\bar\beta\}, \quad \bar\beta = \min\{\beta,\ \|H(c)\|+\mathrm{drift}\}",
            r"$g(q)-g(c) = \int_0^1H(c+r(q-c))(q-c)\,dr$; the ball is convex.",
            (Inequality(r"$f = \frac14(x^2-1)^2$", (MEAN_VALUE,), [1], lambda _: 2, lambda _, z: well(z)),),
            r"\le",
        ),
        Step(
            r"\|H(q)g(q)\|",
            r"\min\{\bar\beta\bar\gamma,\ \|H(c)g(c)\|+\mathrm{drift}\,\|g(c)\|+\bar\beta^2R\}, \quad \bar\gamma = "
            r"\min\{\gamma,\ \|g(c)\|+R\,\bar\beta\}",
            r"$H(q)g(q)-H(c)g(c) = (H(q)-H(c))\,g(c)+H(q)\,(g(q)-g(c))$ and steps 3 and 4.",
            (
                SymbolicZero("the equation, matrices of any size", decomposed, "checked exactly"),
                product_bound(1.0),
                SameInFloat64(
                    f"the package's numbers on {BALLS} random balls, in one smooth region or not: steps 3 to "
                    f"5", on_balls
                ),
            ),
            r"\le",
        ),
        Step(
            r"|z'_u-z_u|",
            r"\|w_u\|\,\rho+R\,(\|a\|+\rho), \quad \rho \ge \|a'-a\|",
            r"$z'_u-z_u = w_u(a'-a)+(w'_u-w_u)a'$ for a unit $u$ with weights $w_u$ and the activations $a$ of the "
            r"layer "
            r"before. A gate whose $|z_u|$ is larger keeps its value on the ball; layer by layer $\rho$ is the norm of "
            r"$\max\{|\alpha|,|\bar\alpha|\}$ times these bounds, $0$ for a unit that stays off with slope 0.",
            (
                SymbolicZero("the equation, vectors of any size", preactivation, "checked exactly"),
                unit_bound(1.0),
                SameInFloat64(
                    "gates called decided that change at 40 random points of each of 60 balls (none), ReLU 2-4-3-1",
                    changed_gates,
                ),
            ),
            r"\le",
        ),
    ),
    controls=(
        Control(r"0.99 of the length of the cell in step 1", way_bound(0.99)),
        Control(
            r"$0.99\,\mathrm{drift}$ in step 3",
            Inequality("", (WEYL,), [2], lambda size: 2 * size**2 + size, partial(eigenvalue, 0.99)),
        ),
        Control(r"$0.99\,\bar\beta^2R$ in step 5", product_bound(0.99)),
        Control(r"$1.01\,H(q)(g(q)-g(c))$", SymbolicZero("", partial(decomposed, sympy.Rational(101, 100)))),
        Control(r"$0.99\,R\,(\|a\|+\rho)$ in step 6", unit_bound(0.99)),
    ),
    notation=((r"$c = \theta(s)$ is the position of the flow in the middle $s$ of the cell $[a,b]$ of time; "
        r"$f(t)$ is short for $f(\theta(t))$"), (r"$R = r+\varepsilon$, $q \in B_R(c)$; $m$, $\beta$, $\gamma$ and "
                                                 r"the drift of $H$ are those of the sections "
        r"before "
        r"on this ball; for what uses the drift, it lies in one smooth region"),),
    consequence=r"""On the tube of radius $\varepsilon$ around the flow within the cell, with $R = r+\varepsilon$,
\begin{align*}
  -\lambda_{\min}(H) &\le \min\{m,\ \mathrm{drift}-\lambda_{\min}(H(c))\}, &
  \|H\| &\le \bar\beta = \min\{\beta,\ \|H(c)\|+\mathrm{drift}\}, \\
  \|g\| &\le \bar\gamma = \min\{\gamma,\ \|g(c)\|+R\,\bar\beta\}, &
  \|Hg\| &\le \min\{\bar\beta\bar\gamma,\ \|H(c)g(c)\|+\mathrm{drift}\,\|g(c)\|+\bar\beta^2R\}.
\end{align*}
Where the ball may contain a kink, the closed forms $m$, $\beta$, $\gamma$ and $\beta\gamma$ alone.""",
    remarks="This cover is of this work. "
    "Rounding is not treated here: the code enlarges every radius and every value, as its documentation says.",
)  # fmt: skip

if __name__ == "__main__":
    sys.exit(run(DERIVATION))
