r"""Certified statements as LaTeX: a theorem with its hypotheses, and a proof by computation.

The text is for a document with amsmath and amsthm and the environment `theorem`:

    \usepackage{amsmath,amsthm}
    \newtheorem{theorem}{Theorem}
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from symflow.analysis.certify.certificate import Certificate
from symflow.analysis.certify.decide import Decision
from symflow.certificate.numbers import Table
from symflow.certificate.write import CHECKER
from symflow.latex.escape import escape

PROOF = "By computation."
MOST_SHOWN = 80
"""Data and start are written out where they are at most so many numbers."""
OF_FLOW, OF_DESCENT = {"distance", "flow-loss", "limit"}, {"distance", "descent-loss", "descent-stays"}
LOSSES = {
    "square": r"\tfrac12\|\hat y-y\|^2",
    "logistic": r"\log(1+e^{-y\hat y})",
    "exponential": r"e^{-y\hat y}",
    "cross-entropy": r"\log\sum_ce^{\hat y_c}-\langle y,\hat y\rangle",
}


def theorem_latex(certificate: Certificate, file: str) -> str:
    """A proved statement as a theorem, with its proof's reference to the certificate."""
    assert certificate.document is not None
    document = certificate.document
    problem = document["problem"]
    stated = [d for d in certificate.decisions if d.holds == certificate.holds]
    parts = [_network(problem), _paths(document, stated), "Then", _claims(stated)]
    text = "\n".join(part for part in parts if part)
    name = rf"\texttt{{{escape(file)}}}"
    kinds = {d.kind for d in stated}
    enclosed = [r"$\theta(t)$ by Taylor polynomials with a bound on their defect"] if kinds & OF_FLOW else []
    enclosed += [r"$\theta_k$ by ball arithmetic"] if kinds & OF_DESCENT else []
    return (
        f"\\begin{{theorem}}\n{text}\n\\end{{theorem}}\n\\begin{{proof}}\n{PROOF} The certificate {name} encloses "
        f"{' and '.join(enclosed)}; \\texttt{{{escape(CHECKER)}}} verifies it.\n\\end{{proof}}"
    )


def theorem_markdown(certificate: Certificate) -> str:
    """The verdict and the claims, for notebooks."""
    verdict = {True: "Proved", False: "Refuted", None: "Not decided"}[certificate.holds]
    if certificate.holds is None:
        return f"**{verdict}.** {certificate.statement}: {certificate.reason}"
    stated = [d for d in certificate.decisions if d.holds == certificate.holds]
    return f"**{verdict} by computation:** " + "; ".join(f"${claim_latex(d)}$" for d in stated) + "."


def claim_latex(decision: Decision) -> str:
    """One claim as mathematics."""
    table, holds = decision.table, bool(decision.holds)
    assert table is not None
    bound, last = number_latex(table["bound"]), number_latex(table["last"])
    relation = r"\le" if holds else ">"
    if table["kind"] == "distance":
        which = rf"\text{{for all }} k \le {last}" if holds else rf"\text{{at }} k = {last}"
        return rf"\|\theta_k-\theta(k\eta)\| {relation} {bound} \quad {which}"
    if table["kind"] == "descent-loss":
        return rf"f(\theta_k) {relation} {bound} \quad \text{{for {'some' if holds else 'all'} }} k \le {last}"
    if table["kind"] == "descent-stays":
        return rf"f(\theta_k) \le {bound} \quad \text{{for all }} k \ge {last},\ \text{{and $\theta_k$ converges}}"
    if table["kind"] == "flow-loss":
        which = r"t \ge" if holds else r"t \le"
        return rf"f(\theta(t)) {relation} {bound} \quad \text{{for all }} {which} {last}"
    limit = r"\lim_{t\to\infty}\theta(t)"
    return rf"{limit} \text{{ exists and }} \|{limit}-\theta^*\| {relation} {bound}"


def number_latex(text: str) -> str:
    r"""An exact rational: 3, -\tfrac{1}{2}."""
    numerator, bar, denominator = text.partition("/")
    if not bar:
        return numerator
    return rf"{'-' if numerator[0] == '-' else ''}\tfrac{{{numerator.removeprefix('-')}}}{{{denominator}}}"


def _network(problem: Table) -> str:
    depth = len(problem["widths"]) - 1
    alpha, alpha_bar = Fraction(problem["alpha"]), Fraction(problem["alpha_bar"])
    layers = "W_1x" if depth == 1 else rf"W_{{{depth}}}" + "".join(
        (rf"\sigma(W_{{{j}}}" if alpha != alpha_bar else rf"\,W_{{{j}}}") for j in range(depth - 1, 0, -1)
    ) + "x" + (")" * (depth - 1) if alpha != alpha_bar else "")  # fmt: skip
    widths = ",".join(map(str, problem["widths"]))
    slopes = (
        rf"$\sigma(z)={_times(alpha)}$ for $z\ge0$ and ${_times(alpha_bar)}$ for $z<0$, " if alpha != alpha_bar else ""
    )
    scale = number_latex(str(alpha ** (depth - 1))) if alpha == alpha_bar and alpha != 1 else ""
    count = len(problem["x"])
    loss = LOSSES[problem["loss"]]
    text = (
        rf"Let $h_\theta(x)={scale}{layers}$ with layers of widths ${widths}$, {slopes}and "
        rf"$f(\theta)=\tfrac1{{{count}}}\sum_{{i=1}}^{{{count}}}\ell(h_\theta(x_i),y_i)$ with "
        rf"$\ell(\hat y,y)={loss}$, "
    )
    return text + _numbers(problem)


def _times(slope: Fraction) -> str:
    return "z" if slope == 1 else "0" if slope == 0 else f"{number_latex(str(slope))}z"


def _numbers(problem: Table) -> str:
    rows = [*problem["x"], *problem["y"], problem["theta0"]]
    if sum(map(len, rows)) > MOST_SHOWN or any(len(v) > 12 for row in rows for v in row):
        return r"where the samples $(x_i,y_i)$ and $\theta_0$ are the exact rationals of the certificate."
    samples = zip(problem["x"], problem["y"], strict=True)
    pairs = ", ".join(rf"$\bigl({_vector(x)},{_vector(y)}\bigr)$" for x, y in samples)
    return (
        rf"with the samples $(x_i,y_i)$: {pairs}. Let $\theta_0={_vector(problem['theta0'])}$ (layer 1 first, each "
        "matrix row by row)."
    )


def _vector(values: Sequence[str]) -> str:
    entries = r",\allowbreak ".join(map(number_latex, values))
    return entries if len(values) == 1 else f"({entries})"


def _paths(document: Table, stated: Sequence[Decision]) -> str:
    descent, kinds = document["descent"], {d.kind for d in stated}
    eta, beta = number_latex(descent["step_size"]), Fraction(descent["momentum"])
    rate = 1 / (1 - beta)
    smooth = document["problem"]["alpha"] == document["problem"]["alpha_bar"]
    right = r"-\nabla f(\theta)" if smooth else r"-\partial f(\theta)"
    scale = "" if rate == 1 else number_latex(str(rate)) + r"\,"
    relation = "=" if smooth else r"\in"
    lines = []
    if kinds & OF_FLOW:
        clarke = "" if smooth else r" ($\partial f$ Clarke's subdifferential)"
        right = right.replace("-", f"-{scale}", 1)
        lines.append(rf"Let $\dot\theta{relation}{right}$, $\theta(0)=\theta_0${clarke}.")
    if kinds & OF_DESCENT:
        at_zero = "" if smooth else r" (at $z=0$ with $\sigma'(z)=\sigma'(1)$)"
        if beta == 0:
            lines.append(rf"Let $\theta_{{k+1}}=\theta_k-\eta\nabla f(\theta_k)$ with $\eta={eta}${at_zero}.")
        else:
            lines.append(
                r"Let $v_{k+1}=\beta v_k-\eta\nabla f(\theta_k)$, $\theta_{k+1}=\theta_k+v_{k+1}$, $v_0=0$, with "
                rf"$\eta={eta}$, $\beta={number_latex(descent['momentum'])}${at_zero}."
            )
    return "\n".join([*lines, _target(document)])


def _target(document: Table) -> str:
    point = next((c["point"] for c in document["claims"] if c["kind"] == "limit"), None)
    if point is None:
        return ""
    shown = len(point) <= MOST_SHOWN and all(len(v) <= 12 for v in point)
    return rf"Let $\theta^*={_vector(point)}$." if shown else r"Let $\theta^*$ be the point of the certificate."


def _claims(stated: Sequence[Decision]) -> str:
    lines = [rf"& {claim_latex(d)}" for d in stated]
    return "\\begin{align*}\n" + ", \\\\\n".join(lines) + ".\n\\end{align*}"
