r"""R3: initial error, defect and one-sided curvature bound the distance of a curve from a solution.

    ||theta(t) - theta~(t)|| <= e^{M(t)} (rho + int_0^t e^{-M(s)} delta(s) ds),    M(t) = int_0^t m,

with m >= lambda_max of the symmetric part of the Jacobian on the segment. (Hairer, Norsett & Wanner, Theorem 10.6.)
The norm is regularized to sqrt(||e||^2 + kappa^2), so that m may have any sign and e may vanish.

Run: python -m derivations.r03_fundamental_theorem
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

import jax.numpy as jnp
import sympy

from symflow.proofs import Control, Derivation, Inequality, Step, SymbolicZero
from symflow.proofs.lemmas import GROENWALL, MEAN_VALUE, RAYLEIGH
from symflow.proofs.quadratics import integral
from symflow.proofs.words import inner, matrices, transposed
from symflow.report.derivations import run
from symflow.theory.cells import cell
from symflow.theory.r03_fundamental_theorem import FUNDAMENTAL_THEOREM

T, KAPPA = sympy.Symbol("t", real=True), sympy.Symbol("kappa", positive=True)


def error_equation() -> Iterator[sympy.Expr]:
    """d/dr G(theta + r e) = J e, for any field of two variables."""
    r, x, e = sympy.Symbol("r"), sympy.symbols("x0:2"), sympy.symbols("e0:2")
    here = dict(zip(x, [a + r * b for a, b in zip(x, e, strict=True)], strict=True))
    for field in (sympy.Function(f"G{i}") for i in range(2)):
        moved = field(*here.values())
        yield moved.diff(r).doit() - sum(field(*x).diff(a).subs(here, simultaneous=True).doit() * b
                                         for a, b in zip(x, e, strict=True))  # fmt: skip


def along_the_segment() -> Iterator[sympy.Expr]:
    """The integral over [0, 1] of phi' is phi(1) - phi(0), for any phi(r) = <a, G(theta + r e)>."""
    r, phi = sympy.Symbol("r"), sympy.Function("phi")
    yield sympy.integrate(phi(r).diff(r), (r, 0, 1)) - (phi(1) - phi(0))


def symmetric_part() -> Iterator[sympy.Expr]:
    """<e, J e> = <e, (J + J^T)/2 e>."""
    jacobian, e = matrices("J e")
    yield inner(e, jacobian * e) - inner(e, (jacobian + transposed(jacobian)) / 2 * e)


def regularized_norm() -> Iterator[sympy.Expr]:
    """u = sqrt(||e||^2 + kappa^2): u u' = <e, e'>, m ||e||^2 / u = m u - m kappa^2 / u, and two differences >= 0.

    ||e||^2 is any function of t; by the product rule its derivative is <e', e> + <e, e'> = 2 <e, e'>.
    """
    e, slope = matrices("e f")
    yield inner(slope, e) + inner(e, slope) - 2 * inner(e, slope)
    square = sympy.Function("q", nonnegative=True)(T)
    u = sympy.sqrt(square + KAPPA**2)
    yield u * u.diff(T) - square.diff(T) / 2
    m = sympy.Symbol("m", real=True)
    yield m * square / u - (m * u - m * KAPPA**2 / u)
    yield KAPPA - KAPPA**2 / u - KAPPA * square / (u * (u + KAPPA))
    length = sympy.sqrt(square)
    yield u - length - KAPPA**2 / (u + length)


def integrating_factor() -> Iterator[sympy.Expr]:
    """d/dt (e^{-M} u) = e^{-M} (u' - m u) with M' = m."""
    u, big = sympy.Function("u")(T), sympy.Function("M")(T)
    yield (sympy.exp(-big) * u).diff(T) - sympy.exp(-big) * (u.diff(T) - big.diff(T) * u)


def rayleigh(size: int, z: Any) -> tuple[Any, Any]:
    """(<e, J e>, lambda_max(sym J) ||e||^2)."""
    jacobian, e = z[: size**2].reshape(size, size), z[size**2 :]
    return e @ jacobian @ e, jnp.linalg.eigvalsh((jacobian + jacobian.T) / 2)[-1] * e @ e


def exponential(a: Any) -> Any:
    """The exponential of a 2 x 2 matrix: e^mu (cosh(q) I + sinh(q)/q B), B = A - mu I without trace, B^2 = q^2 I."""
    mu = jnp.trace(a) / 2
    b = a - mu * jnp.eye(2)
    square = -jnp.linalg.det(b)
    q = jnp.sqrt(jnp.abs(square) + 1e-30)
    even, odd = jnp.where(square > 0, jnp.cosh(q), jnp.cos(q)), jnp.where(square > 0, jnp.sinh(q), jnp.sin(q)) / q
    return jnp.exp(mu) * (even * jnp.eye(2) + odd * b)


def instance(triangular: bool, rho: float, size: int, z: Any) -> tuple[Any, Any]:
    """Both sides for theta' = A theta and a polynomial curve theta~ of degree 2 at time t.

    With `triangular` A is upper triangular and m its largest eigenvalue, which is wrong; `rho` is 1 but in a control.
    """
    a = z[: size**2].reshape(size, size)
    start, *coefficients = z[size**2 : size**2 + 4 * size].reshape(4, size)
    t = 2 * jnp.abs(jnp.tanh(z[-1]))
    a = jnp.triu(a) if triangular else a
    m = jnp.max(jnp.diag(a)) if triangular else jnp.linalg.eigvalsh((a + a.T) / 2)[-1]

    def curve(s: Any) -> Any:
        return coefficients[0] + s * coefficients[1] + s**2 * coefficients[2]

    def defect(s: Any) -> Any:
        return jnp.linalg.norm(coefficients[1] + 2 * s * coefficients[2] - a @ curve(s))

    distance = jnp.linalg.norm(exponential(t * a) @ start - curve(t))
    initial = rho * jnp.linalg.norm(start - curve(0.0))
    bound = cell(initial, jnp.exp(m * t), 1, integral(lambda s: jnp.exp(m * (t - s)) * defect(s), t))
    # The defect's norm may have a corner between the nodes: an allowance for the quadrature.
    return distance, bound * (1 + 1e-3)


def bound(triangular: bool = False, rho: float = 1.0) -> Inequality:
    """The theorem for linear fields of two variables."""
    scope = r"$\dot\theta = A\theta$ with any $2\times2$ matrix $A$, $\tilde\theta$ quadratic in $t$, $t \le 2$; "
    return Inequality(
        scope + "integrals by quadrature, to $10^{-3}$",
        (GROENWALL, MEAN_VALUE),
        [2],
        lambda size: size**2 + 4 * size + 1,
        partial(instance, triangular, rho),
        (SymbolicZero("", integrating_factor),),
    )


DERIVATION = Derivation(
    proves=FUNDAMENTAL_THEOREM,
    steps=(
        Step(
            r"\dot e = G(t,\tilde\theta) - G(t,\theta) + d",
            r"\bar J e + d, \quad e = \tilde\theta-\theta,\ \|d\| \le \delta,\ "
            r"\bar J = \int_0^1 \partial_\theta G(t,\theta+re)\,dr",
            r"Integrate $\frac{d}{dr} G(t,\theta+re) = \partial_\theta G(t,\theta+re)\,e$ over $r$ (mean value "
            r"theorem).",
            (
                SymbolicZero("every $G$, coordinate by coordinate: the integral over $r$", along_the_segment),
                SymbolicZero("the chain rule, every field of two variables", error_equation, "checked exactly"),
            ),
        ),
        Step(
            r"\langle e,\bar Je\rangle",
            r"m\,\|e\|^2",
            r"$\langle e,Je\rangle = \langle e,\frac12(J+J^\top)e\rangle$; Rayleigh quotient at every $r$.",
            (
                SymbolicZero("the equation, matrices of any size", symmetric_part, "checked exactly"),
                Inequality(
                    r"matrices of size 2 to 4",
                    (RAYLEIGH,),
                    [2, 3, 4],
                    lambda size: size**2 + size,
                    rayleigh,
                    (SymbolicZero("", symmetric_part),),
                ),
            ),
            r"\le",
        ),
        Step(
            r"\dot u = \frac{\langle e,\dot e\rangle}{u}",
            r"\frac{m\|e\|^2 + \delta\|e\|}{u} \le m\,u + |m|\kappa + \delta",
            r"Let $u = \sqrt{\|e\|^2+\kappa^2}$, $\kappa > 0$. Steps 1 and 2 and Cauchy--Schwarz; "
            r"then $m\|e\|^2/u = mu - m\kappa^2/u$, "
            r"$\kappa - \kappa^2/u = \kappa\|e\|^2/(u(u+\kappa)) \ge 0$ and "
            r"$u - \|e\| = \kappa^2/(u+\|e\|) \ge 0$. The regularization keeps $u$ differentiable where $e = 0$.",
            (SymbolicZero("every curve, any number of dimensions", regularized_norm),),
            r"\le",
        ),
        Step(
            r"u(t)",
            r"e^{M(t)}\Bigl(u(0) + \int_0^t e^{-M(s)}(\delta(s)+|m(s)|\kappa)\,ds\Bigr)",
            r"$\frac d{dt}(e^{-M}u) = e^{-M}(\dot u-mu) \le e^{-M}(\delta+|m|\kappa)$; integrate: $u$ is absolutely "
            r"continuous "
            r"(Gr\"onwall with $m$ of any sign).",
            (SymbolicZero("every $u$ and $M$", integrating_factor),),
            r"\le",
        ),
        Step(
            r"\|e(t)\| = \lim_{\kappa\to0} u(t)",
            r"e^{M(t)}\Bigl(\rho + \int_0^t e^{-M(s)}\delta(s)\,ds\Bigr)",
            r"$m$ is integrable, so the term with $\kappa$ vanishes; $u(0) \to \|e(0)\| \le \rho$.",
            (bound(),),
            r"\le",
        ),
    ),
    controls=(
        Control(r"$m$ the largest eigenvalue of $\partial_\theta G$ instead of its symmetric part", bound(True)),
        Control(r"the initial error counted at 0.99 of its size", bound(rho=0.99)),
    ),
)

if __name__ == "__main__":
    sys.exit(run(DERIVATION))
