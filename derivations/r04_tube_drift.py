r"""R4, constants: how far the Hessian moves on a ball, ||H(theta') - H(theta)|| <= drift(eps).

With it, what the spectrum at one point says holds on the ball around it, up to the drift: bounds that are signed,
unlike those of R9. Proved here is what the certified bounds evaluate
(`symflow.theory.ball_constants`).

Run: python -m derivations.r04_tube_drift
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import sympy

import symflow as sf
from derivations.r04_tube_constants import dimension, drawn, growth
from symflow.evaluate.interpret import interpret
from symflow.evaluate.jax import JaxArithmetic
from symflow.networks.losses import LOSSES, Loss
from symflow.proofs import Control, Derivation, Inequality, NonnegativeCoefficients, Step, SymbolicZero
from symflow.proofs.claims import SAMPLES, Case, altered, jax_value
from symflow.proofs.lemmas import CAUCHY_SCHWARZ, MEAN_VALUE, RAYLEIGH, SUBMULTIPLICATIVITY
from symflow.proofs.words import inner, matrices, trace, transposed
from symflow.report.derivations import run
from symflow.theory.ball_constants import CONSTANTS
from symflow.theory.model import EPSILON
from symflow.theory.r04_step_size import STEP_SIZE
from symflow.theory.statement import Statement
from symflow.theory.terms import Sum, Term

LINEAR = [
    Case("square loss, linear 1-2-1-1", sf.FullyConnected((1, 2, 1, 1))),
    Case("cross-entropy, linear 1-1-2", sf.FullyConnected((1, 1, 2)), Loss("cross-entropy")),
]
GATED = Case(
    r"logistic loss, slopes $\frac32$ and $-\frac47$, 1-1-1-1",
    sf.FullyConnected((1, 1, 1, 1), "3/2", "-4/7"),
    Loss("logistic"),
)
SCALARS = Case("square loss, linear 1-1-1-1", sf.FullyConnected((1, 1, 1, 1)))
STATEMENT = replace(CONSTANTS, claims=tuple(c for c in CONSTANTS.claims if c.label.endswith("drift")))


# Third derivatives of the losses --------------------------------------------------------------------------------------


def third_derivative() -> Iterator[sympy.Expr]:
    """d/dz s (1 - s), s the sigmoid; its bound with w = 1 - 2s; and the third derivative of the cross-entropy.

    Cross-entropy with any number of classes: F(q, r) = sum_a e^{z_a + q u_a + r v_a} has the derivatives F M_ik, M_ik
    the mean of u^i v^k under the predicted probabilities; log F has the third derivative E (u - Eu)(v - Ev)^2.
    """
    z, w, q, r = sympy.symbols("z w q r", real=True)
    s = 1 / (1 + sympy.exp(-z))
    yield (s * (1 - s)).diff(z) - s * (1 - s) * (1 - 2 * s)
    root = 1 / sympy.sqrt(3)  # where w (1 - w^2)/4 is largest
    yield 1 / (6 * sympy.sqrt(3)) - w * (1 - w**2) / 4 - (w - root) ** 2 * (w + 2 * root) / 4
    f = sympy.Function("F")(q, r)
    found = sympy.log(f).diff(q, r, r).doit()
    means = {(i, k): sympy.Symbol(f"M{i}{k}") for i in range(2) for k in range(3)}
    for (i, k), mean in sorted(means.items(), reverse=True):
        if i + k:
            found = found.subs(sympy.Derivative(f, *([q] * i), *([r] * k)), f * mean)
    u, v = sympy.symbols("u v")
    central = sympy.Poly((u - means[1, 0]) * (v - means[0, 1]) ** 2, u, v).terms()
    yield sympy.expand(found) - sympy.Add(*(c * (means[i, k] if i + k else 1) for (i, k), c in central))


def constants(slack: sympy.Expr = sympy.S.One) -> Iterator[tuple[sympy.Expr, tuple[sympy.Symbol, ...]]]:
    """slack L_3^2 less the square of the supremum, for the constants that symflow uses; `slack` is 1."""
    none = (sympy.Symbol("x"),)
    yield sympy.Rational(LOSSES["square"].third), none
    yield slack * LOSSES["logistic"].third ** 2 - sympy.Rational(1, 108), none  # (1/(6 sqrt 3))^2
    yield slack * LOSSES["cross-entropy"].third ** 2 - sympy.Rational(1, 2), none  # (sqrt 2 ||u|| ||v||^2/2)^2


# The parts of the form of R7 ------------------------------------------------------------------------------------------


def bent(sign: int = 1) -> Iterator[sympy.Expr]:
    """q[A', A'] - q[A, A] = q[A' - A, A' + A] for q[A, B] = Tr(S A^T K B), K and S symmetric, any sizes."""
    a, moved, k, s = matrices("A B K S")

    def q(x: sympy.Expr, y: sympy.Expr) -> sympy.Expr:
        return trace(s * transposed(x, (k, s)) * k * y, (k, s))

    yield q(moved, moved) - q(a, a) - q(moved - a, moved + sign * a)


def paired() -> Iterator[sympy.Expr]:
    """<F', C'> - <F, C> = <F' - F, C'> + <F, C' - C>."""
    f, later, c, moved = matrices("F G C D")
    yield inner(later, moved) - inner(f, c) - inner(later - f, moved) - inner(f, moved - c)


def first_order(size: int, z: Any) -> tuple[Any, Any]:
    """(||A' - A||_F, D ||Delta||) for three layers."""
    w, moves, d = z.reshape(3, 3, size, size)
    v, epsilon = w + moves, jnp.linalg.norm(moves)

    def moved_along(m: Any) -> Any:
        return d[2] @ m[1] @ m[0] + m[2] @ d[1] @ m[0] + m[2] @ m[1] @ d[0]

    norms = [jnp.linalg.norm(m, 2) for m in w]
    grown = [growth([s for l, s in enumerate(norms) if l != j], epsilon, jnp.sqrt) for j in range(3)]  # noqa: E741
    bend = jnp.linalg.norm(jnp.stack(grown))
    return jnp.linalg.norm(moved_along(v) - moved_along(w)), bend * jnp.linalg.norm(d)


def largest(matrix: Any) -> Any:
    """The spectral norm of a symmetric matrix."""
    values = jnp.linalg.eigvalsh(matrix)
    return jnp.maximum(values[-1], -values[0])


class _Recorded(JaxArithmetic):
    """Keeps the gates that are evaluated, in their order; or takes them from such a list instead."""

    def __init__(self, gates: Sequence[Any] = ()) -> None:
        super().__init__(jnp.float64)
        self.gates = list(gates)
        self._given = iter(gates) if gates else None

    def gate(self, z: Any, alpha: Fraction, alpha_bar: Fraction) -> Any:
        if self._given is not None:
            return next(self._given)
        self.gates.append(super().gate(z, alpha, alpha_bar))
        return self.gates[-1]


def on_the_ball(change: Callable[[Statement], Statement], case: Case, z: Any) -> tuple[Any, Any]:
    """(||H(theta') - H(theta)|| with the gates of theta, the package's bound, with a change in a control)."""
    objective, data, theta, step = drawn(case, z)
    at = _Recorded()
    interpret(objective.program, {**data, **objective.cut(theta)}, at)

    def loss(point: Any) -> Any:
        return interpret(objective.program, {**data, **objective.cut(point)}, _Recorded(at.gates))["f"]

    bend = jax.vmap(jax.hessian(loss))
    stated = change(STATEMENT).instantiate(objective)
    bound = {**data, **objective.cut(theta), EPSILON: jnp.linalg.norm(step)}
    label = "linear, drift" if case.network.linear else "gated, drift"
    here, there = bend(jnp.stack([theta, theta + step]))
    return largest(there - here), jax_value(stated, label, "right", bound)


def without_last_term(stated: Statement) -> Statement:
    """The linear claim without the norm of grad phi times the largest eigenvalue of the growth of pairs."""

    def shortened(right: Term) -> Term:
        assert isinstance(right, Sum)
        return right.terms[0]

    return altered(stated, "linear, drift", shortened)


def drift(cases: Sequence[Case], change: Callable[[Statement], Statement] = lambda stated: stated) -> Inequality:
    """The package's bound on the drift."""
    return Inequality(
        f"{'; '.join(map(str, cases))}; {SAMPLES} samples",
        (MEAN_VALUE, SUBMULTIPLICATIVITY, CAUCHY_SCHWARZ, RAYLEIGH),
        cases,
        dimension,
        partial(on_the_ball, change),
    )


DERIVATION = Derivation(
    proves=STEP_SIZE,
    name="How far the Hessian moves on a ball",
    part=STATEMENT,
    steps=(
        Step(
            r"|\nabla^3\ell[u,v,v]|",
            r"L_3\|u\|\,\|v\|^2, \quad L_3 = 0,\ \tfrac7{72},\ \tfrac57",
            r"Square, logistic, cross-entropy. Logistic: $|s(1-s)(1-2s)| \le \frac1{6\sqrt3} < \frac7{72}$. "
            r"Cross-entropy: "
            r"$\mathbb E(u-\mathbb Eu)(v-\mathbb Ev)^2 \le (\max u-\min u)\operatorname{Var}v \le "
            r"\sqrt2\|u\|\cdot\frac12"
            r"\|v\|^2$ and $\frac1{\sqrt2} < \frac57$.",
            (
                SymbolicZero("the derivatives, any number of classes; $\\frac1{6\\sqrt3}$", third_derivative),
                NonnegativeCoefficients("the constants that symflow uses against these suprema", constants),
            ),
            r"\le",
        ),
        Step(
            r"\|A'-A\|_F",
            r"D\,\|\Delta\|, \quad D^2 = \sum_j\hat d_j^2, \qquad \|A\|_F \le C\|\Delta\|, \quad "
            r"C^2 = \sum_j\|W_{n:j+1}\|^2\|W_{j-1:1}\|^2",
            r"$A = \sum_jW_{n:j+1}\Delta_jW_{j-1:1}$. The term of $j$ moves by products that contain some $E_l$, $l "
            r"\ne j$: "
            r"at most $\hat d_j\|\Delta_j\|_F$. Cauchy--Schwarz over $j$.",
            (
                Inequality(
                    r"three layers of size $2\times2$",
                    (SUBMULTIPLICATIVITY, CAUCHY_SCHWARZ),
                    [2],
                    lambda size: 9 * size**2,
                    first_order,
                ),
            ),
            r"\le",
        ),
        Step(
            r"|\nabla^2\varphi'[A',A']-\nabla^2\varphi[A,A]|",
            r"B\,D\,(2C+D)\,\|\Delta\|^2+B_3\,d\,C^2\,\|\Delta\|^2, \quad B_3 = c^3L_3\frac1N\sum_i\|x_i\|^3",
            r"$\nabla^2\varphi'[A',A']-\nabla^2\varphi'[A,A] = \nabla^2\varphi'[A'-A,A'+A]$ with $\|A'+A\|_F \le (2C+D)"
            r"\|\Delta\|$; and $\nabla^2\varphi'-\nabla^2\varphi$ is a mean of third derivatives along "
            r"$c(W'_{n:1}-W_{n:1})x_i$, of norm at most $c\,d\,\|x_i\|$.",
            (SymbolicZero("the equation, matrices of any sizes", bent, "checked exactly"),),
            r"\le",
        ),
        Step(
            r"2\Bigl|\sum_{j<j'}\langle\nabla\varphi',C'_{jj'}\rangle-\langle\nabla\varphi,C_{jj'}\rangle\Bigr|",
            r"\bigl(B\,d\,\lambda_{\max}(M)+\|\nabla\varphi\|\,\lambda_{\max}(\check d)\bigr)\|\Delta\|^2",
            r"The difference is $\langle\nabla\varphi'-\nabla\varphi,C'\rangle+\langle\nabla\varphi,C'-C\rangle$ with "
            r"$\|\nabla\varphi'-\nabla\varphi\|_F \le B\,d$; in the nuclear norm $\|C'_{jj'}\|_* \le "
            r"M_{jj'}u_ju_{j'}$ and "
            r"$\|C'_{jj'}-C_{jj'}\|_* \le \check d_{jj'}u_ju_{j'}$ by the corollary; Rayleigh quotient.",
            (SymbolicZero("the equation, matrices of any sizes", paired, "checked exactly"),),
            r"\le",
        ),
        Step(
            r"\|H(\theta')-H(\theta)\|",
            r"B\,D\,(2C+D)+B_3\,d\,C^2+B\,d\,\lambda_{\max}(M)+\|\nabla\varphi\|\,\lambda_{\max}(\check d)",
            "Linear networks: R7 with steps 3 and 4.",
            (drift(LINEAR),),
            r"\le",
        ),
        Step(
            r"\|H(\theta')-H(\theta)\|",
            r"\widetilde B\,D\,(2\widetilde C+D)+B_3\,d\,\widetilde C^2+\widetilde B\,d\,\lambda_{\max}(\widetilde M)+"
            r"E_0\,\lambda_{\max}(\check d)",
            r"Networks with gates: sample by sample in the exact form of R12 with the gates of $\theta$, where "
            r"products of "
            r"norms take the place of norms of products.",
            (drift([GATED]),),
            r"\le",
        ),
    ),
    controls=(
        Control(r"$0.98\,L_3$", NonnegativeCoefficients("", partial(constants, sympy.Rational(98, 100) ** 2))),
        Control(r"$\nabla^2\varphi'[A'-A,A'-A]$ in step 3", SymbolicZero("", partial(bent, sign=-1))),
        Control(r"step 5 without $\|\nabla\varphi\|\,\lambda_{\max}(\check d)$", drift([SCALARS], without_last_term)),
    ),
    notation=(
        r"$\theta' \in B_\varepsilon(\theta)$; for networks with gates, no gate changes between $\theta$ and $\theta'$",
        (
            r"$d$, $\hat d_j$, $\check d_{jj'}$: the growth of the products of all layers, all but $j$, all but $j$ "
            r"and "
            r"$j'$ "
            r"(the lemma and its corollary in the sections before)"
        ),
    ),
    remarks="This bound is of this work.",
)

if __name__ == "__main__":
    sys.exit(run(DERIVATION))
