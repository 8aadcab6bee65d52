r"""R16: gradient descent on balanced deep linear networks with one output converges, and stays converged.

    sqrt(2 E_k*) <= sqrt(2 E_flow) + (s + eps/sqrt n)^n - s^n <= sqrt(2 accuracy);    E_{k+1} <= (1 - eta mu) E_k  after

R4 on the tube of radius eps around the flow gives the first; smoothness and a Polyak-Lojasiewicz inequality on a ball
that descent cannot leave give the second.

Run: python -m derivations.r16_descent_converges
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from math import sqrt
from typing import Any

import numpy as np
import sympy

from symflow.proofs import Control, Derivation, Inequality, Lemma, NonnegativeCoefficients, Step, SymbolicZero
from symflow.proofs.lemmas import CAUCHY_SCHWARZ, SUBMULTIPLICATIVITY
from symflow.proofs.words import inner, matrices
from symflow.report.derivations import run
from symflow.theory import r16_descent_converges as r16
from symflow.theory.functions import SYMBOLS
from symflow.theory.r16_descent_converges import DESCENT_CONVERGES

N, S, KAPPA, ACC, E, F, LAM, OFF, LAYER = sympy.symbols("n s kappa epsilon E F lambda b ell", positive=True)
RATE, ETA, I0 = sympy.symbols("m eta I", positive=True)
DEPTHS = (2, 3, 5)

MEANS = Lemma("arithmetic and geometric mean", r"$\prod_j x_j \le \bigl(\frac1n\sum_j x_j\bigr)^n$ for $x_j \ge 0$.")
BANACH = Lemma(
    "Banach",
    r"For a symmetric $k$-linear form $Q$ on a Hilbert space, $|Q(x_1,\dots,x_k)| \le c\,\|x_1\|\cdots\|x_k\|$ with "
    r"$c = \sup_{\|x\|=1}|Q(x,\dots,x)|$.",
)


def radius() -> Iterator[sympy.Expr]:
    """(s + eps/sqrt n)^n - s^n = kappa for the stated eps; and the sum of both halves at kappa = sqrt(accuracy/2)."""
    eps = r16.radius(N, S, KAPPA, SYMBOLS)
    yield sympy.powdenest(r16.moved_product(N, S, eps / sympy.sqrt(N)), force=True) - KAPPA
    yield sympy.sqrt(2 * (ACC / 4)) + r16.allowed_move(ACC, SYMBOLS) - sympy.sqrt(2 * ACC)


def larger_layers() -> Iterator[tuple[sympy.Expr, tuple[sympy.Symbol, ...]]]:
    """A term of (s + d)^n - s^n, C(n, k) s^{n-k} d^k with k >= 1, grows with s: one more factor s + rest for s.

    By induction on the exponent p: (s + rest)^{p+1} - s^{p+1} = (s + rest) x + rest s^p with x = (s + rest)^p - s^p.
    """
    s, rest, x, power = sympy.symbols("s rest x power", nonnegative=True)
    yield (s + rest) * (power + x) - s * power, (s, rest, x, power)


def triangle() -> Iterator[sympy.Expr]:
    """2 E = ||e||^2, e = W - Lambda, for E = (w^2 - 2 lambda nu w + lambda^2)/2; e at descent is e at flow plus W~ - "
    "W."""
    w, target, moved = matrices("w l v")
    yield inner(w, w) - 2 * inner(w, target) + inner(target, target) - inner(w - target, w - target)
    yield (moved - target) - ((w - target) + (moved - w))


def beyond() -> Iterator[sympy.Expr]:
    """(e^{-m_T s} I)' = e^{-m_T s} (1 - (m_T - m) I) if I' = 1 + m I; the integral of the first term; and the sum."""
    s = sympy.Symbol("s", positive=True)
    m, value = sympy.Function("m")(s), sympy.Function("I")(s)
    slope = (sympy.exp(-RATE * s) * value).diff(s).subs(value.diff(s), 1 + m * value)
    yield slope - sympy.exp(-RATE * s) * (1 - (RATE - m) * value)
    integral = sympy.integrate(sympy.exp(-RATE * s), (s, 0, ETA))
    yield ETA * sympy.exp(RATE * ETA) * (I0 + integral) - r16.spent(ETA, RATE, I0, SYMBOLS)


def growth() -> Iterator[sympy.Expr]:
    """The integral of sqrt(2 E) + kappa where sqrt(E) stays up to T_1 and then falls at the rate (lambda/2)^(2-2/n)."""
    rise, time, t = sympy.symbols("T_1 T t", positive=True)
    rate = sympy.Symbol("rate", positive=True)
    falling = sympy.integrate(sympy.sqrt(2 * E) * sympy.exp(-rate * t), (t, 0, sympy.oo))
    bound = sympy.sqrt(2 * E) * rise + falling.subs(rate, (LAM / 2) ** (2 - 2 / N)) + KAPPA * time
    yield sympy.powsimp(bound - r16.integrated_gradient(N, LAM, E, KAPPA, rise, time, SYMBOLS), force=True)


def path(sign: int = -1) -> Iterator[sympy.Expr]:
    """The descent lemma, the fall of the root, the length of the path and the rate; `sign` is -1, that of q in r.

    With G = ||g||, tau <= 1/L and phi(tau) = E at theta - tau g: phi(tau) <= E - tau G^2 + tau^2 L G^2/2, by Taylor's
    theorem with phi'(0) = -G^2, phi'' <= L G^2; it is E - tau G^2/2 - tau (1 - L tau) G^2/2. The root falls by at
    least (E - F)/(2 sqrt E). A fall E - F = tau G^2/2 with G >= sqrt(2 mu E) is at least one of the root by
    tau G sqrt(2 mu)/4. So the path is at most 4 sqrt(E_B)/sqrt(2 mu), which is r. q < 1 means 18 E_B < lambda^2.
    """
    tau, size, smooth, mu, rest = sympy.symbols("tau G L mu rest", positive=True)
    yield (-tau * size**2 + tau**2 * smooth * size**2 / 2) + tau * size**2 / 2 + tau * (1 - smooth * tau) * size**2 / 2
    bound = tau * size**2 / 2 / (2 * sympy.sqrt(E))
    larger = sympy.sqrt(2 * mu * E) + rest  # G
    yield bound.subs(size, larger) - tau * larger * (sympy.sqrt(2 * mu) + rest / sympy.sqrt(E)) / 4
    yield E - tau * (2 * mu * E) / 2 - r16.contraction_factor(tau, mu) * E
    yield 4 / sympy.sqrt(2 * mu) * sympy.sqrt(E) - 2 * sympy.sqrt(2 * E) / sympy.sqrt(mu)
    yield (LAM - OFF) ** 2 - (2 * OFF) ** 2 - (LAM - 3 * OFF) * (LAM + OFF)
    yield (
        sympy.sqrt(E)
        - sympy.sqrt(F)
        - (E - F) / (2 * sympy.sqrt(E))
        - (sympy.sqrt(E) - sympy.sqrt(F)) ** 2 / (2 * sympy.sqrt(E))
    )
    q = r16.contraction(LAM, OFF)  # b = sqrt(2 E_B), ell = s_B + eps
    r = r16.remaining_path(q, LAYER) * (1 - q) / (1 + sign * q)
    yield sympy.together((2 * OFF) ** 2 / r16.lojasiewicz(LAM, OFF, LAYER + r) - r**2)  # both are positive


def moved(n: int, z: Any, factor: float = 1.0) -> tuple[Any, Any]:
    """prod (s + eps_j) <= (s + factor eps/sqrt n)^n; the factor is 1."""
    import jax.numpy as jnp

    s, parts = jnp.abs(z[0]), jnp.abs(z[1:])
    return jnp.prod(s + parts), s**n + r16.moved_product(n, s, factor * jnp.linalg.norm(parts) / sqrt(n))


def all_but(x: Any) -> Any:
    """The matrix of the products of all entries but i and j; on the diagonal, of all but i."""
    import jax.numpy as jnp

    left_out = np.eye(len(x), dtype=bool)
    return jnp.prod(jnp.where(left_out[:, None] | left_out, 1.0, x), axis=-1)


def first_derivative(n: int, z: Any) -> tuple[Any, Any]:
    """sum_j prod_{i != j} x_i^2 <= n R^(2n-2), R = ||x||/sqrt n."""
    import jax.numpy as jnp

    x = jnp.abs(z)
    return jnp.sum(jnp.diag(all_but(x)) ** 2), r16.beta(n, 0, jnp.linalg.norm(x) / sqrt(n))


def second_derivative(n: int, z: Any, factor: float = 1.0) -> tuple[Any, Any]:
    """sum_{j != k} prod_{i != j,k} x_i v_j v_k <= factor (n-1) R^(n-2) ||v||^2; the factor is 1."""
    import jax.numpy as jnp

    x, v = jnp.abs(z[:n]), z[n:]
    form = v @ (all_but(x) * (1 - np.eye(n))) @ v
    return jnp.abs(form), r16.curvature(n, factor, jnp.linalg.norm(x) / sqrt(n)) * jnp.dot(v, v)


def layers(n: int, z: Any) -> list[Any]:
    """Weights of a network of widths 2, ..., 2, 1."""
    return [z[4 * j : 4 * j + 4].reshape(2, 2) for j in range(n - 1)] + [z[4 * n - 4 : 4 * n - 2].reshape(1, 2)]


def lojasiewicz(n: int, z: Any, factor: float = 1.0) -> tuple[Any, Any]:
    """||W||^2 ||e||^2 <= ||W_1||^2 ||g||^2 for the gradient g of 1/2 ||W_{n:1} - Lambda||^2, e = W_{n:1} - Lambda."""
    import jax
    import jax.numpy as jnp

    w, target = z[: 4 * n - 2], z[4 * n - 2 :]

    def product(v: Any) -> Any:
        matrices = layers(n, v)
        result = matrices[0]
        for m in matrices[1:]:
            result = m @ result
        return result[0]

    e = product(w) - target
    g = jax.grad(lambda v: jnp.sum((product(v) - target) ** 2) / 2)(w)
    first = layers(n, w)[0]
    norm = (jnp.sum(first**2) + jnp.sqrt((first**2).sum() ** 2 - 4 * jnp.linalg.det(first) ** 2 + 1e-30)) / 2
    return factor * jnp.sum(product(w) ** 2) * jnp.sum(e**2), norm * jnp.sum(g**2)


DERIVATION = Derivation(
    proves=DESCENT_CONVERGES,
    steps=(
        Step(
            r"\|\tilde W_{n:1}-W_{n:1}\| \le \prod_j(s+\varepsilon_j)-s^n",
            r"(s+\varepsilon/\sqrt n)^n-s^n",
            r"Layers moved by $\varepsilon_j$, $\sum\varepsilon_j^2 \le \varepsilon^2$, from layers of norm $s$: "
            r"expand the "
            r"product; $\frac1n\sum\varepsilon_j \le \varepsilon/\sqrt n$.",
            (Inequality(r"$n = 2,3,5$", (MEANS, CAUCHY_SCHWARZ), DEPTHS, lambda n: n + 1, moved),),
            r"\le",
        ),
        Step(
            r"\sqrt{2E_{k^*}} \le \sqrt{2E(k^*\eta)}+\kappa",
            r"\sqrt{E_B/2}+\sqrt{E_B/2} = \sqrt{2E_B}",
            r"$\sqrt{2E} = \|W-\Lambda\|$, so the triangle inequality and step 1, where $(s+\varepsilon/\sqrt "
            r"n)^n-s^n$ "
            r"grows with $s \le \bar s$. $\kappa = (\bar s+\varepsilon/\sqrt n)^n-\bar s^n = \sqrt{E_B/2}$ is what "
            r"$\varepsilon = \sqrt n[(\bar s^n+\sqrt{E_B/2})^{1/n}-\bar s]$ is made for; $E(k^*\eta) \le E_B/4$; "
            r"descent "
            r"is "
            r"in the tube at $k^* = \lceil T/\eta\rceil$ by R4.",
            (
                SymbolicZero(r"rows $W$, $\Lambda$ of any size: $2E$ and the sum of the two differences", triangle),
                NonnegativeCoefficients(r"every power of $s$ grows, by induction on the power", larger_layers),
                SymbolicZero(r"every $n$, $\bar s$, $\kappa$: $\varepsilon$, and the sum of the halves", radius),
            ),
            r"\le",
        ),
        Step(
            r"\sum_j\prod_{i\ne j}x_i^2",
            r"nR^{2n-2}, \qquad R = \|x\|/\sqrt n",
            r"First derivative of $\prod x_i$, a symmetric form of norm $n^{-n/2}$. With layer norms $x$: "
            r"$\|g\| \le \|\nabla\varphi\|\sqrt n R^{n-1}$, and $R \le s+\varepsilon/\sqrt n$ in the tube: $\gamma$ "
            r"holds.",
            (Inequality(r"$n = 2,3,5$", (BANACH,), DEPTHS, lambda n: n, first_derivative),),
            r"\le",
        ),
        Step(
            r"\sum_{j\ne k}v_jv_k\prod_{i\ne j,k}x_i",
            r"(n-1)R^{n-2}\|v\|^2",
            r"Second derivative. By R7, $\|H\| \le nR^{2n-2}+\|\nabla\varphi\|(n-1)R^{n-2}$ and $\lambda_{\min}(H) \ge "
            r"-\|\nabla\varphi\|(n-1)R^{n-2}$: $\beta$, $m$ and $L$ hold.",
            (Inequality(r"$n = 2,3,5$", (BANACH,), DEPTHS, lambda n: 2 * n, second_derivative),),
            r"\le",
        ),
        Step(
            r"\int_0^{T+\eta}e^{M(T+\eta)-M(s)}ds",
            r"e^{m_T\eta}\int_0^Te^{M(T)-M(s)}ds+\frac{e^{m_T\eta}-1}{m_T}",
            r"$\dot I = 1+mI$, $I \ge 0$, with $m \le m_T$ on $[T,T+\eta]$, so $\frac d{ds}(e^{-m_Ts}I) \le "
            r"e^{-m_Ts}$; integrate. "
            r"It grows with its end, so R4 asks for the last one only; "
            r"$\eta^*$ solves $\eta\beta\gamma\cdot(\text{right side}) = \varepsilon$.",
            (SymbolicZero(r"every $m(t)$, $m_T$, $\eta$, $I$", beyond),),
            r"\le",
        ),
        Step(
            r"\int_0^T\sqrt{2E}+\kappa\,dt",
            r"\sqrt{2E(0)}\bigl(T_1+(2/\lambda)^{2-2/n}\bigr)+\kappa T",
            r"By R15 $E \le E(0)$, and from $T_1$ on $\sqrt E$ falls at least at the rate $(\lambda/2)^{2-2/n}$. With "
            r"$s \le \bar s$ in the rest of $m$ this is the bound on $M(T)$ in closed form.",
            (SymbolicZero(r"every $n$, $\lambda$, $E(0)$, $T_1$, $T$", growth),),
            r"\le",
        ),
        Step(
            r"\|g\|^2 \ge \|W_{n:2}\|^2\,\|\nabla\varphi\|^2",
            r"\Bigl(\frac{w}{\|W_1\|}\Bigr)^2\,2E \ge 2\mu E, \qquad \mu = \Bigl(\frac{\lambda-\sqrt{2E_B}}"
            r"{s_B+\varepsilon+r}\Bigr)^2",
            r"The gradient of $W_1$ is $W_{n:2}^\top\nabla\varphi$, of rank one; $w \ge \lambda-\sqrt{2E_B}$ where $E "
            r"\le "
            r"E_B$, and $\|W_1\| \le s_B+\varepsilon+r$ in the ball $B$ of radius $\varepsilon+r$ around "
            r"$\theta(k^*\eta)$, "
            r"$s_B = (\lambda+\sqrt{E_B/2})^{1/n}$.",
            (Inequality(r"$n = 2,3,5$, widths 2", (SUBMULTIPLICATIVITY,), DEPTHS, lambda n: 4 * n, lojasiewicz),),
            r"\ge",
        ),
        Step(
            r"\sum_{k \ge k^*}\eta\|g_k\|",
            r"\frac{4}{\sqrt{2\mu}}\sqrt{E_B} = r, \qquad r = \frac{q(s_B+\varepsilon)}{1-q}, \quad q = "
            r"\frac{2\sqrt{2E_B}}{\lambda-\sqrt{2E_B}} < 1",
            r"While descent is in $B$ and $E \le E_B$, $\|H\| \le L = nR^{2n-2}+(n-1)\sqrt{2E_B}R^{n-2}$ with $R = s_B+"
            r"(\varepsilon+r)/\sqrt n$; the descent lemma for any part $\tau \le \eta \le 1/L$ of a step gives a "
            r"fall of "
            r"$\frac\tau2\|g\|^2$, so $\sqrt E$ falls by at least $\frac\tau4\|g\|\sqrt{2\mu}$. As long as $E > 0$ the "
            r"path is shorter than $r$: neither $B$ nor $E \le E_B$ can be left first. A whole step gives $E_{k+1} \le "
            r"E_k-\frac\eta2\|g_k\|^2 \le (1-\eta\mu)E_k$.",
            (
                SymbolicZero(
                    r"every $\tau \le 1/L$, $\|g\|$, $\mu$ and $E \ge F > 0$; every $\lambda$, $b = \sqrt{2E_B}$, "
                    r"$\ell = s_B+\varepsilon$",
                    path,
                ),
            ),
            r"\le",
        ),
    ),
    controls=(
        Control(
            r"the product moves by $(s+0.99\,\varepsilon/\sqrt n)^n-s^n$",
            Inequality("", (MEANS,), DEPTHS, lambda n: n + 1, partial(moved, factor=0.99)),
        ),
        Control(
            r"$0.99\,(n-1)R^{n-2}$ for the second derivative",
            Inequality("", (BANACH,), DEPTHS, lambda n: 2 * n, partial(second_derivative, factor=0.99)),
        ),
        Control(
            r"$\|g\|^2 \ge 1.01\,(w/\|W_1\|)^2\,2E$",
            Inequality(
                "",
                (SUBMULTIPLICATIVITY,),
                DEPTHS,
                lambda n: 4 * n,
                partial(lojasiewicz, factor=1.01),
            ),
        ),
        Control(r"$r = q(s_B+\varepsilon)/(1+q)$", SymbolicZero("", partial(path, sign=1))),
    ),
    notation=(r"descent starts at $\theta(0)$; $\bar s \ge s$ since $\dot w \le 0$ where $w > \lambda$",),
)

if __name__ == "__main__":
    sys.exit(run(DERIVATION))
