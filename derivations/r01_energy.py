r"""R1: the loss falls along gradient flow at the rate ||grad f||^2, which bounds the path and excludes blow-up.

    d/dt f = -||grad f||^2,    length of the path over [0, t] <= sqrt(t (f(0) - f(t))).

Run: python -m derivations.r01_energy
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

import jax.numpy as jnp
import sympy

import symflow as sf
from symflow.proofs import Control, Derivation, IdentityTest, Inequality, Step, SymbolicZero
from symflow.proofs.claims import Case, claim_identity
from symflow.proofs.lemmas import CAUCHY_SCHWARZ, TRIANGLE
from symflow.proofs.networks import WIDTHS
from symflow.proofs.quadratics import flow, integral
from symflow.proofs.words import inner, matrices
from symflow.report.derivations import run
from symflow.theory.r01_energy import ENERGY
from symflow.theory.statement import Claim, Statement
from symflow.theory.terms import Derivative, G, Letter, Number, Power, Range, frobenius, j, total


def any_function() -> Iterator[sympy.Expr]:
    """d/dt f(theta(t)) + sum_i f_i^2 with theta_i' = -f_i, for any f of three variables."""
    t = sympy.Symbol("t")
    f, theta = sympy.Function("f"), [sympy.Function(f"theta{i}")(t) for i in range(3)]
    x = sympy.symbols("x0:3")
    at_curve = dict(zip(x, theta, strict=True))
    slope = [f(*x).diff(a).subs(at_curve).doit() for a in x]
    rate = f(*theta).diff(t).doit().subs({c.diff(t): -s for c, s in zip(theta, slope, strict=True)})
    yield rate + sum(s**2 for s in slope)


def along_the_flow() -> Iterator[sympy.Expr]:
    """<g, theta'> + ||g||^2 with theta' = -g."""
    (g,) = matrices("g")
    yield inner(g, -g) + inner(g, g)


def integrated() -> Iterator[sympy.Expr]:
    """The integral over [0, t] of -F', where F(s) = f(theta(s)), for any F; -F' = ||g||^2 by step 1."""
    s, t = sympy.symbols("s t")
    f = sympy.Function("F")
    yield sympy.integrate(-f(s).diff(s), (s, 0, t)) - (f(0) - f(t))


def closed_form() -> Iterator[sympy.Expr]:
    """f(0) - f(t) and the integral of ||grad f||^2 for f = (a theta_1^2 + b theta_2^2)/2."""
    a, b, p, q, s, t = sympy.symbols("a b p q s t", positive=True)
    loss = (a * p**2 * sympy.exp(-2 * a * t) + b * q**2 * sympy.exp(-2 * b * t)) / 2
    square = a**2 * p**2 * sympy.exp(-2 * a * s) + b**2 * q**2 * sympy.exp(-2 * b * s)
    yield loss.subs(t, 0) - loss - sympy.integrate(square, (s, 0, t))


def energy(factor: sympy.Expr) -> IdentityTest:
    """d/dt f = -factor sum_j ||G_j||_F^2 for symflow's losses and gradients; the factor is 1."""
    right = Number(-factor) * total(Range(j), Power(frobenius(G(j)), sympy.Integer(2)))
    stated = Statement("R1", "energy identity", (Claim("", Derivative(Letter("f"), "flow"), "=", right),), ())
    cases = [Case(str(w), sf.FullyConnected(w)) for w in WIDTHS.values()]
    cases += [Case("ReLU 2-3-2", sf.FullyConnected((2, 3, 2), 1, 0))]
    scope = r"square loss, linear networks of depth $1,\dots,6$ and a ReLU network (between kinks)"
    return claim_identity(stated, "", scope, cases, lambda case: 4 * case.network.depth + 4)


def path(distance: bool, factor: float, size: int, z: Any) -> tuple[Any, Any]:
    """(length of the path or distance, sqrt(factor t (f(0) - f(t)))) for f = (1/2) sum lambda_i theta_i^2, convex."""
    curvatures, start, t = z[:size] ** 2, z[size : 2 * size], 2 * jnp.tanh(z[-1]) ** 2
    if distance:
        loss = jnp.sum(curvatures * start**2) / 2
        return jnp.linalg.norm(start * jnp.expm1(-curvatures * t)), jnp.sqrt(factor * t * loss)
    length = integral(lambda s: jnp.linalg.norm(curvatures * flow(curvatures, start, s)), t)
    fall = -jnp.sum(curvatures * start**2 * jnp.expm1(-2 * curvatures * t)) / 2
    return length, jnp.sqrt(factor * t * fall)


def path_bound(distance: bool = False, factor: float = 1.0) -> Inequality:
    """The bound on quadratic functions of three variables."""
    lemmas = (TRIANGLE, CAUCHY_SCHWARZ) if distance else (CAUCHY_SCHWARZ,)
    scope = r"flows of $f = \frac12\sum_i\lambda_i\theta_i^2$, $\lambda_i \ge 0$, three variables"
    return Inequality(scope, lemmas, [3], lambda size: 2 * size + 1, partial(path, distance, factor))


DERIVATION = Derivation(
    proves=ENERGY,
    steps=(
        Step(
            r"\tfrac{d}{dt} f(\theta(t))",
            r"\langle g, \dot\theta\rangle = -\|g(\theta(t))\|^2",
            "Chain rule, and the equation of the flow.",
            (
                SymbolicZero(
                    r"any number of variables: $\langle g,\dot\theta\rangle$ at $\dot\theta = -g$", along_the_flow
                ),
                SymbolicZero("the chain rule too, every $f$ of three variables", any_function, "checked exactly"),
                energy(sympy.Integer(1)),
            ),
        ),
        Step(
            r"\int_0^t \|g(\theta(s))\|^2\,ds",
            r"f(\theta(0)) - f(\theta(t))",
            "Integrate step 1 (fundamental theorem of calculus).",
            (
                SymbolicZero(r"every $f$ and every flow, as $F(s) = f(\theta(s))$", integrated),
                SymbolicZero(
                    r"for $f = \frac12(a\theta_1^2 + b\theta_2^2)$, all $a, b > 0$, in closed form",
                    closed_form,
                    "checked exactly",
                ),
            ),
        ),
        Step(
            r"\int_0^t \|\dot\theta(s)\|\,ds = \int_0^t 1\cdot\|g(\theta(s))\|\,ds",
            r"\sqrt t\,\Bigl(\int_0^t \|g\|^2\Bigr)^{1/2} = \sqrt{t\,(f(\theta(0)) - f(\theta(t)))}",
            "Cauchy--Schwarz in $L^2(0,t)$, then step 2.",
            (path_bound(),),
            r"\le",
        ),
        Step(
            r"\|\theta(t) - \theta(0)\|",
            r"\sqrt{t\,f(\theta(0))}",
            r"A path is at least as long as the distance of its ends; $f \ge 0$. So on a bounded interval of time the "
            r"flow stays in a compact ball, on which $g$ is bounded and Lipschitz; by the theorem of Picard and "
            r"Lindel\"of it can be continued past the end of any such interval.",
            (path_bound(distance=True),),
            r"\le",
        ),
    ),
    controls=(
        Control(r"the rate $-0.99\,\|g\|^2$", energy(sympy.Rational(99, 100))),
        Control(r"the path bounded by $\sqrt{0.99\,t\,(f(\theta(0)) - f(\theta(t)))}$", path_bound(factor=0.99)),
    ),
    notation=(r"$\dot\theta = -g(\theta)$; $f \ge 0$ for steps 3 and 4 only",),
)

if __name__ == "__main__":
    sys.exit(run(DERIVATION))
