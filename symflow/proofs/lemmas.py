"""The classical lemmas that steps rest on, stated once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Lemma:
    """A classical inequality.

    Attributes:
        name: its name.
        statement: with its hypotheses, LaTeX text.
    """

    name: str
    statement: str


CAUCHY_SCHWARZ = Lemma("Cauchy--Schwarz", r"$\langle a,b\rangle \le \|a\|\,\|b\|$ in every inner product space.")
SUBMULTIPLICATIVITY = Lemma(
    "submultiplicativity", r"$\|AB\| \le \|A\|\,\|B\|$ and $\|AB\|_F \le \|A\|\,\|B\|_F$ for the spectral norm."
)
TRIANGLE = Lemma("triangle inequality", r"$\|a+b\| \le \|a\|+\|b\|$; so $\|\int u\| \le \int\|u\|$.")
WEYL = Lemma("Weyl", r"$\lambda_{\min}(A+B) \ge \lambda_{\min}(A)+\lambda_{\min}(B)$ for symmetric $A$, $B$.")
RAYLEIGH = Lemma(
    "Rayleigh quotient",
    r"$\lambda_{\min}(A)\|u\|^2 \le u^\top A u \le \lambda_{\max}(A)\|u\|^2$ for symmetric $A$, with equality for "
    r"eigenvectors.",
)
MONOTONE_EIGENVALUE = Lemma(
    "Perron--Frobenius",
    r"$0 \le A \le B$ entrywise, both symmetric, implies $\lambda_{\max}(A) \le \lambda_{\max}(B)$, and "
    r"$\lambda_{\max}(A)$ is at most the largest row sum of $A$.",
)
GROENWALL = Lemma(
    'Gr\\"onwall',
    r"If $u$ is absolutely continuous and $\dot u \le m u + \delta$ almost everywhere with $m,\delta$ integrable, then "
    r"$u(t) \le e^{M(t)}\bigl(u(0)+\int_0^t e^{-M(s)}\delta(s)\,ds\bigr)$, $M(t)=\int_0^t m$.",
)
MEAN_VALUE = Lemma(
    "mean value theorem", r"$F(b)-F(a) = \int_0^1 F'(a+r(b-a))\,(b-a)\,dr$ for $F$ of class $C^1$ on the segment."
)
