r"""R30: the number of conservation laws, P - dim Lie, exactly; laws of architectures; how descent breaks them.

    h conserved along X and Y  =>  along [X, Y];   at a point: independent laws <= # <= P - rank of brackets;
    momentum flow: e^{tau t}(U^T U' - U'^T U + V^T V' - V'^T V);   descent: h(theta - eta g) - h(theta) = eta^2 h(g).

(Marcotte, Gribonval & Peyre 2023, 2024, 2025; the drift, and exact numbers without error probability, are ours.)

Run: python -m derivations.r30_conservation_laws
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import sympy

import symflow as sf
from symflow.dynamics.modified.coefficients import terms
from symflow.dynamics.modified.trees import HG
from symflow.proofs import Control, Derivation, Step, SymbolicZero
from symflow.proofs.outcome import Kind, Outcome
from symflow.proofs.words import inner, matrices, trace, transposed
from symflow.report.derivations import run
from symflow.theory.r30_conservation_laws import (
    BETA,
    CONSERVATION_LAWS,
    HEAVY_BALL_DRIFT,
    NESTEROV_DRIFT,
    two_layer_count,
)

X = sympy.symbols("x_1:4", real=True)


def field(name: str) -> list[sympy.Expr]:
    """A field with unknown components in three variables."""
    return [sympy.Function(f"{name}_{i}")(*X) for i in range(1, 4)]


def along(x: Sequence[sympy.Expr], h: sympy.Expr) -> sympy.Expr:
    """X h, the derivative of h along X."""
    return sympy.Add(*(a * h.diff(v) for a, v in zip(x, X, strict=True)))


def bracket(sign: int = -1) -> Iterator[sympy.Expr]:
    """X(Y h) - Y(X h) - [X, Y] h; the sign is -1."""
    x, y, h = field("X"), field("Y"), sympy.Function("h")(*X)
    commutator = [along(x, b) + sign * along(y, a) for a, b in zip(x, y, strict=True)]
    yield sympy.expand((along(x, along(y, h)) - along(y, along(x, h)) - along(commutator, h)).doit())


def pulled_back(sign: int = -1) -> Iterator[sympy.Expr]:
    """d/dt N Y = N [X, Y] with N' = -N DX and Y' = DY X along the flow; the sign is -1."""
    n, dx, dy, x, y = matrices("N A B x y")
    yield sympy.expand(sign * n * dx * y + n * dy * x - n * (dy * x - dx * y))


@dataclass(frozen=True)
class Numbers:
    """Numbers of laws, from independent laws and brackets that meet at one point.

    Attributes:
        scope: which maps, LaTeX text.
        stated: pairs of a map and its number.
        kind: of this check.
    """

    scope: str
    stated: tuple[tuple[Any, int], ...]
    kind: Kind = "checked exactly"

    def run(self) -> Outcome:
        """Fails at the first number that is not proved, or another one."""
        for subject, number in self.stated:
            laws = sf.conservation_laws(subject)
            if not laws.exact or laws.count != number:
                return Outcome(False, f"{subject}: {laws.how}; stated: {number}")
        return Outcome(True, f"maps: {len(self.stated)}")


TWO_LAYERS = [(n, r, m) for n in (1, 2, 3) for r in (2, 3, 4) for m in (1, 2, 3) if (n, m) != (1, 1)]


def two_layers(extra: int = 0) -> Numbers:
    """The closed form, plus a number that is 0."""
    stated = tuple((sf.FullyConnected(w), two_layer_count(*w) + extra) for w in TWO_LAYERS)
    return Numbers(f"{len(TWO_LAYERS)} networks of two layers", stated)


def relu_networks(extra: int = 0) -> Numbers:
    """One law a hidden unit."""
    widths = [(2, 3, 1), (3, 2, 2), (2, 2, 3, 1)]
    stated = tuple((sf.FullyConnected(w, activation="relu"), sum(w[1:-1]) + extra) for w in widths)
    return Numbers("ReLU networks", stated)


def residual(third: int = 3) -> Numbers:
    """One field where v, t, 1 + u v > 0."""
    u, v, s, t = sympy.symbols("u v s t")
    return Numbers(r"$(1+uv)(1+st)x$", ((sf.ParametricMap([(1 + u * v) * (1 + s * t)], [u, v, s, t]), third),))


def integral() -> Iterator[sympy.Expr]:
    """a' = (1 + b) sqrt(c_1^2 + 4 a^2), a = u v, b = s t, c_1 = u^2 - v^2, squared."""
    u, v, b = sympy.symbols("u v b")
    rate = v * v * (1 + b) + u * u * (1 + b)
    yield rate**2 - (1 + b) ** 2 * ((u**2 - v**2) ** 2 + 4 * (u * v) ** 2)


def softmax(shift: int = 0) -> Iterator[sympy.Expr]:
    """sum_c (q_c - y_c), q the softmax of three outputs and sum y = 1."""
    p, y = sympy.symbols("p_1:4", real=True), sympy.symbols("y_1:3")
    below = sum(map(sympy.exp, p))
    yield sympy.simplify(sum(sympy.exp(v) for v in p) / below - (sum(y) + (1 - sum(y))) + shift)


def momentum(rate: int = 0, sign: int = -1) -> Iterator[sympy.Expr]:
    """d/dt of e^{(tau + rate) t} (U^T U' - U'^T U + V^T V' - V'^T V), over the exponential; f = phi(U V^T).

    U'' = -tau U' - G V / mu, V'' = -tau V' - G^T U / mu, G = grad phi; rate is 0, the sign -1.
    """
    tau, mu = sympy.symbols("tau mu", positive=True)
    u, v, du, dv, g = matrices("U V P Q G")
    ddu, ddv = -tau * du - g * v / mu, -tau * dv - transposed(g) * u / mu
    law = sum(transposed(a) * b + sign * transposed(b) * a for a, b in ((u, du), (v, dv)))
    moved = sum(
        transposed(b) * b + transposed(a) * c + sign * (transposed(c) * a + transposed(b) * b)
        for a, b, c in ((u, du, ddu), (v, dv, ddv))
    )
    yield sympy.expand((tau + rate) * law + moved)


def quadratic(power: int = 2) -> Iterator[sympy.Expr]:
    """h(theta - eta g) - h(theta) - eta^power h(g), h = <theta, A theta>, less what <A theta, g> = 0 makes vanish."""
    eta = sympy.Symbol("eta")
    a, theta, g = matrices("A t g")
    after = trace(transposed(theta - eta * g) * a * (theta - eta * g), [a])
    cross = 2 * eta * inner(theta, a * g, [a])
    yield sympy.expand(after + cross - inner(theta, a * theta, [a]) - eta**power * inner(g, a * g, [a]))


def differentiated() -> Iterator[sympy.Expr]:
    """D_g <grad h, g> - hess h[g, g] - <grad h, H g>, g = grad f, in three variables."""
    f, h = sympy.Function("f")(*X), sympy.Function("h")(*X)
    g = [f.diff(v) for v in X]
    slope = sympy.Add(*(h.diff(v) * a for v, a in zip(X, g, strict=True)))
    second = sympy.Add(*(h.diff(v, w) * a * b for v, a in zip(X, g, strict=True) for w, b in zip(X, g, strict=True)))
    through = sympy.Add(*(h.diff(v) * along(g, a) for v, a in zip(X, g, strict=True)))
    yield sympy.expand((along(g, slope) - second - through).doit())


def leading(factor: sympy.Rational = sympy.S.One) -> Iterator[sympy.Expr]:
    """-2 times the coefficient of H g in F_1, which the recursions give, minus `factor` (1) times the stated drift."""
    yield -2 * sympy.Rational(terms(sf.GradientDescent(), 1)[1][HG]) - factor
    for momentum in (sympy.Rational(k, 10) for k in range(10)):
        for method, stated in ((sf.HeavyBall, HEAVY_BALL_DRIFT), (sf.Nesterov, NESTEROV_DRIFT)):
            found = terms(method(momentum), 1)[1][HG]
            yield -2 * sympy.Rational(found) - factor * stated.subs(BETA, momentum)


def decay(factor: int = 2) -> Iterator[sympy.Expr]:
    """D' + factor lambda D for D = V^T V - W W^T, V' = -G_V - lambda V, W' = -G - lambda W; V^T G_V = G W^T (R10)."""
    rate = sympy.Symbol("lambda", positive=True)
    v, w, s = matrices("V W S")
    pulled = -(s + transposed(s)) + (s + transposed(s)) - 2 * rate * (transposed(v) * v - w * transposed(w))
    yield sympy.expand(pulled + factor * rate * (transposed(v) * v - w * transposed(w)))


DERIVATION = Derivation(
    proves=CONSERVATION_LAWS,
    steps=(
        Step(
            r"Xh = Yh = 0",
            r"[X,Y]h = X(Yh)-Y(Xh) = 0",
            r"A law of all fields is one of their Lie algebra: gradients of independent laws are independent and "
            r"orthogonal to $\operatorname{Lie}(\theta)$, so that $\#\le P-\dim\operatorname{Lie}(\theta)$.",
            (SymbolicZero("three variables, any fields and $h$", bracket, "checked exactly"),),
            relation=r"\Rightarrow",
        ),
        Step(
            r"\#",
            r"P-\dim\operatorname{Lie}(\theta)",
            r"Where the dimension is constant the Lie algebra is an involutive distribution (Frobenius): near $\theta$ "
            r"its leaves are the level sets of $P-\dim\operatorname{Lie}$ functions. Independent laws found at the "
            r"point, and brackets there that leave no room for more, certify that it is constant nearby, as both ranks "
            r"can only grow there; ranks modulo a prime are at most those over $\mathbb{Q}$.",
            (two_layers(), relu_networks(), residual()),
        ),
        Step(
            r"\tfrac{d}{dt}M^{-1}Y(\theta(t))",
            r"M^{-1}[X_t,Y](\theta(t)), \quad \dot\theta = X_t(\theta),\ \dot M = DX_t\,M,\ M(0) = I",
            r"How brackets are evaluated: the Taylor coefficients of the pull-back of a field are iterated brackets at "
            r"the start.",
            (SymbolicZero(r"any number of variables: $N = M^{-1}$, $A = DX_t$, $B = DY$", pulled_back),),
        ),
        Step(
            r"\dot a",
            r"(1+b)\sqrt{c_1^2+4a^2}, \quad a = uv,\ b = st,\ c_1 = u^2-v^2",
            r"A law that is no polynomial: along $\nabla(1+a)(1+b)$, and alike for $b$ with $c_2 = s^2-t^2$; hence "
            r"$\int(1+a)(c_1^2+4a^2)^{-1/2}da-\int(1+b)(c_2^2+4b^2)^{-1/2}db$ is conserved, the third law of "
            r"$x+u\sigma(vx)+s\sigma(t(x+u\sigma(vx)))$ where $v, t, 1+uv > 0$.",
            (SymbolicZero("the square of both sides", integral),),
        ),
        Step(
            r"\mathbf{1}^\top\nabla\ell",
            r"\textstyle\sum_c(q_c-y_c) = 0",
            r"Cross-entropy, $q$ the softmax: the fields are spanned by differences of outputs, and "
            r"$\mathbf{1}^\top\partial f/\partial W_n = 0$.",
            (SymbolicZero("three outputs", softmax, "checked exactly"),),
        ),
        Step(
            r"\tfrac{d}{dt}e^{\tau t}(U^\top\dot U-\dot U^\top U+V^\top\dot V-\dot V^\top V)",
            r"0",
            r"$\ddot U = -\tau\dot U-GV/\mu$, $\ddot V = -\tau\dot V-G^\top U/\mu$ for $f = \varphi(UV^\top)$, "
            r"$G = \nabla\varphi$, any $\tau$.",
            (SymbolicZero("matrices of any sizes, every $\\tau$ and $\\mu$", momentum),),
        ),
        Step(
            r"h(\theta-\eta g)-h(\theta)",
            r"\eta^2h(g)",
            r"Expand $h = \langle\theta,A\theta\rangle$; the law is $\langle A\theta,g\rangle = 0$.",
            (SymbolicZero("any number of parameters", quadratic),),
        ),
        Step(
            r"\langle\nabla h,Hg\rangle",
            r"-\nabla^2h[g,g]",
            r"Differentiate the law $\langle\nabla h,g\rangle = 0$ along $g$. So along $\dot\theta = -c_0g-\eta c_1Hg$ "
            r"the law drifts by $\eta^2c_1\nabla^2h[g,g]$ in a step, $2\eta^2c_1h(g)$ for quadratic $h$.",
            (
                SymbolicZero("three variables, any $f$ and $h$", differentiated, "checked exactly"),
                SymbolicZero(
                    r"$2c_1$ of descent, heavy ball and Nesterov from their recursions, ten values of $\beta$",
                    leading,
                    "checked exactly",
                ),
            ),
        ),
        Step(
            r"\tfrac{d}{dt}D_j",
            r"-2\lambda D_j",
            r"With weight decay, by R10.",
            (SymbolicZero("matrices of any sizes", decay),),
        ),
    ),
    controls=(
        Control(r"$X(Yh)+Y(Xh)$ in the bracket", SymbolicZero("", partial(bracket, 1))),
        Control("one law more than two layers have", two_layers(1)),
        Control("one law fewer than two layers have", two_layers(-1)),
        Control("one law more than hidden units", relu_networks(1)),
        Control("only the two quadratic laws of the residual block", residual(2)),
        Control(r"$\dot N = N\,DX$", SymbolicZero("", partial(pulled_back, 1))),
        Control(r"$e^{(\tau+1)t}$", SymbolicZero("", partial(momentum, 1))),
        Control(r"$U^\top\dot U+\dot U^\top U$", SymbolicZero("", partial(momentum, 0, 1))),
        Control(r"$\eta h(g)$ in place of $\eta^2h(g)$", SymbolicZero("", partial(quadratic, 1))),
        Control("0.99 of the leading drifts", SymbolicZero("", partial(leading, sympy.Rational(99, 100)))),
        Control(r"$\dot D_j = -\lambda D_j$", SymbolicZero("", partial(decay, 1))),
        Control("targets that do not sum to 1", SymbolicZero("", partial(softmax, 1))),
    ),
    notation=(r"$\#$: the number of independent laws near $\theta$; $g = \nabla f$, $H = \nabla^2f$",),
)

if __name__ == "__main__":
    sys.exit(run(DERIVATION))
