r"""The formulas of a problem as a LaTeX document, with the general statements they rest on.

The statements are those of the theory, in its notation; `STATEMENTS` has them by result id.  The document needs
nothing beyond a minimal TeX installation (amsmath, amssymb, geometry, longtable) and one run of pdflatex.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import sympy

from symflow.presentation.latex import derived_lines, rational_latex
from symflow.symbolic.citations import ARORA, DU, ELKABETZ_COHEN, HAIRER, cite
from symflow.symbolic.derived import gradient_flow, hessian_form, loss
from symflow.symbolic.moments import moment_form
from symflow.symbolic.network import FullyConnected
from symflow.symbolic.objective import Objective


@dataclass(frozen=True)
class Statement:
    """A general result in LaTeX.

    Attributes:
        title: its name, plain LaTeX text.
        sources: keys of the bibliography.
        body: the statement, LaTeX text with displays.
    """

    title: str
    sources: tuple[str, ...]
    body: str


SOURCES = {"EC21": ELKABETZ_COHEN, "HNW93": HAIRER, "ACH18": ARORA, "DHL18": DU}

STATEMENTS = {
    "R3": Statement(
        "fundamental theorem",
        ("HNW93", "EC21"),
        r"""
Let $\theta' = G(t,\theta)$ with $G$ continuously differentiable in $\theta$ on an open set that contains the segments
$[\theta(t), \tilde\theta(t)]$, where $\tilde\theta$ is continuous and piecewise $C^1$ on $[0,T]$. Suppose that
$\|\theta(0)-\tilde\theta(0)\| \le \rho$, that the defect obeys
$\|\tilde\theta'(t^+) - G(t,\tilde\theta(t))\| \le \delta(t)$, and that
$m(t) \ge \lambda_{\max}\bigl(\tfrac12(\partial_\theta G + \partial_\theta G^\top)\bigr)$ on the segment for almost
every $t$, with $m$ and $\delta$ integrable. With $M(t) = \int_0^t m(s)\,ds$,
\[
  \|\theta(t)-\tilde\theta(t)\| \le e^{M(t)}\Bigl(\rho + \int_0^t e^{-M(s)}\,\delta(s)\,ds\Bigr).
\]
For gradient flow $m(t) \ge -\lambda_{\min}(H)$ on the segment; $m < 0$ means contraction.""",
    ),
    "R4": Statement(
        "step-size condition",
        ("EC21",),
        r"""
Let gradient flow exist on $[0,T]$, $\varepsilon > \rho = \|\theta_0-\theta(0)\|$, and let $f$ be $C^2$ on the tube
$\mathcal D = \bigcup_{t\le T} B_\varepsilon(\theta(t))$ with $\beta = \sup_{\mathcal D}\|H\|$,
$\gamma = \sup_{\mathcal D}\|g\|$ and $-\lambda_{\min}(H(q)) \le m(t)$ for $q \in B_\varepsilon(\theta(t))$, of any
sign; $M(t) = \int_0^t m(s)\,ds$. If for all $t \in (0,T]$
\[
  \eta < \frac{\varepsilon - \rho\,e^{M(t)}}{\beta\gamma\int_0^t e^{M(t)-M(s)}\,ds},
\]
then gradient descent $\theta_{k+1} = \theta_k - \eta\,g(\theta_k)$ satisfies
$\|\theta_k-\theta(k\eta)\| < \varepsilon$ for all $k \le \lfloor T/\eta\rfloor$.""",
    ),
    "R7": Statement(
        "Hessian of deep linear networks",
        ("EC21",),
        r"""
For $f(\theta) = \varphi(W_{n:1})$,
\begin{align*}
  H[\Delta,\Delta] &= \nabla^2\varphi[A,A]
  + 2\operatorname{Tr}\Bigl(\nabla\varphi^\top \sum_{j<j'} W_{n:j'+1}\,\Delta_{j'}\,W_{j'-1:j+1}\,\Delta_j\,W_{j-1:1}
  \Bigr), \\
  A &= \sum_{j=1}^n W_{n:j+1}\,\Delta_j\,W_{j-1:1}.
\end{align*}
For the square loss and $\sigma(z) = z$ this has $\nabla^2\varphi[A,A] = \langle A\,\Sigma_{xx}, A\rangle$.""",
    ),
    "R10": Statement(
        "balancedness is conserved",
        ("ACH18", "DHL18"),
        r"""
Along gradient flow of a linear network the matrices
\[
  W_{j+1}^\top W_{j+1} - W_j W_j^\top, \qquad j = 1,\dots,n-1,
\]
are constant; for (leaky) ReLU networks their diagonals are, and for every homogeneous network the differences
$\|W_{j+1}\|_F^2 - \|W_j\|_F^2$ are. A step of gradient descent changes them by exactly
$\eta^2\,(G_{j+1}^\top G_{j+1} - G_j G_j^\top)$, $G_j = \nabla_{W_j} f$ (for ReLU their diagonals, away from kinks).""",
    ),
    "R18": Statement(
        "leading order of the deviation",
        ("HNW93",),
        r"""
For $f$ smooth along the curve and $\theta_0 = \theta(0)$,
\[
  \theta_k - \theta(k\eta) = \eta\,e(t) + \eta^2 e_2(t) + O(\eta^3), \qquad t = k\eta,
\]
with $e(0) = e_2(0) = 0$, $T = \nabla^3 f$ and
\begin{align*}
  e' &= -H e - \tfrac12 H g, \\
  e_2' &= -H e_2 - \tfrac12 T[e,e] - \tfrac12\bigl(T[g,e] + H^2 e\bigr) - \tfrac13 H^2 g - \tfrac1{12} T[g,g].
\end{align*}
It fails after a kink is crossed, where descent adds a jump of order $\eta$ that depends on the phase of its steps.""",
    ),
    "R22": Statement(
        "trajectory-wise bound",
        (),
        r"""
The fundamental theorem with the interpolation of descent as $\tilde\theta$, its true defect
$\delta(s) = \|g(\tilde\theta(s)) - g(\theta_k)\|$ for $s \in [k\eta, (k+1)\eta)$ and the signed curvature
$m(t) \ge -\lambda_{\min}(H)$ on the segment $[\theta(t), \tilde\theta(t)]$:
\[
  \|\theta_k-\theta(k\eta)\| \le e^{M(k\eta)}\Bigl(\rho + \int_0^{k\eta} e^{-M(s)}\,\delta(s)\,ds\Bigr).
\]
Without a tube, for $\theta_0 = \theta(0)$ and with $L_l$ the supremum of $\|I-\eta H\|$ over the segment
$[\theta_l, \theta(l\eta)]$:
\[
  \|\theta_k-\theta(k\eta)\| \le \sum_{i<k}\Bigl(\prod_{i<l<k} L_l\Bigr)\frac{\eta^2}{2}
  \max_{t\in[i\eta,(i+1)\eta]}\|H g(\theta(t))\|.
\]""",
    ),
}
"""General statements by result id, in the notation of the theory."""


def statement_latex(result: str) -> str:
    """A general result with its id, name and sources, as LaTeX text.

    Raises:
        ProblemError: no such result.
    """
    if result not in STATEMENTS:
        c = cite(result)
        return rf"\paragraph{{{result}.}} {escape(c.statement)} ({escape(c.source)})."
    s = STATEMENTS[result]
    sources = f" [{', '.join(s.sources)}]" if s.sources else ""
    return rf"\paragraph{{{result} ({s.title}){sources}.}}{s.body}"


def network_latex(network: FullyConnected) -> str:
    r"""The network h_theta, its widths and its activation, as an ``aligned`` environment.

    h_theta(x) = W_n sigma(W_{n-1} ... sigma(W_1 x)) with W_j of shape d_j x d_{j-1}.
    """
    n = network.depth
    if network.linear:
        slope = Fraction(network.alpha) ** (n - 1)
        product = "".join(f"W_{{{j}}}" for j in range(n, 0, -1)) if n <= 6 else f"W_{{{n}}}\\cdots W_{{1}}"
        chain = f" = W_{{{n}:1}}\\,x" if n > 1 else ""
        factor = "" if slope == 1 else rational_latex(slope) + r"\,"
        lines = [rf"h_\theta(x) &= {factor}{product}\,x{'' if factor else chain}"]
    else:
        layers = list(range(n, 0, -1))
        if n <= 5:
            body = r"\,\sigma(".join(f"W_{{{j}}}" for j in layers) + r"\,x" + ")" * (n - 1)
        else:
            body = rf"W_{{{n}}}\,\sigma(W_{{{n - 1}}}\cdots\sigma(W_{{1}}\,x)\cdots)"
        lines = [rf"h_\theta(x) &= {body}"]
    sizes = [d if isinstance(d, int) else sympy.latex(d) for d in network.widths]
    lines.append(rf"W_j &\in \mathbb{{R}}^{{d_j\times d_{{j-1}}}}, \quad j = 1,\dots,{n}")
    if any(isinstance(d, int) for d in network.widths):
        shown = [sizes[at : at + 12] for at in range(0, len(sizes), 12)]
        widths = ", \\\\\n&\\qquad ".join(", ".join(map(str, part)) for part in shown)
        lines.append(rf"(d_0,\dots,d_{{{n}}}) &= ({widths})")
    if not network.linear:
        alpha, alpha_bar = (rational_latex(Fraction(a)) for a in (network.alpha, network.alpha_bar))
        positive, negative = ("" if a == "1" else a for a in (alpha, alpha_bar))
        below = "0" if negative == "0" else rf"{negative}\,z"
        lines.append(rf"\sigma(z) &= \begin{{cases}} {positive}\,z, & z \ge 0, \\ {below}, & z < 0 \end{{cases}}")
    return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"


def loss_latex() -> str:
    """The training loss of a network with the square loss, as one display."""
    return (
        r"f(\theta) = \frac1N\sum_{i=1}^N \tfrac12\|h_\theta(x_i)-y_i\|^2, \qquad "
        r"X = (x_1,\dots,x_N), \quad Y = (y_1,\dots,y_N)"
    )


def formulas_document(
    objective: Objective,
    title: str,
    settings: Sequence[tuple[str, str, str]],
    bounds: Sequence[tuple[str, Sequence[tuple[str, str, str]]]],
) -> str:
    r"""A complete LaTeX document: the network, its gradient flow, Hessian form, invariants and bounds.

    Linear networks with data are written in moment form (R7 with Sigma_xx and Lambda_yx), others in sample form.

    Args:
        objective: what is minimized; a network's training loss or any other function.
        title: the problem's name, plain text.
        settings: rows (symbol, meaning, value) of the first table: number of samples, initialization, step size, ...
            The symbol is LaTeX mathematics without dollar signs (or empty), the others are plain text.
        bounds: for each bound its result id, such as "R4", and rows like those of `settings`.  The value says how it
            was obtained ("0.0123, sampled at 200 times") or "not applicable: " and why.

    Returns:
        LaTeX source for one run of pdflatex.

    Raises:
        ProblemError: an unknown result id.
    """
    network = objective.network
    shown = moment_form(objective) or objective
    moments = any(x.name == "Sigma_xx" for x in shown.program.inputs)
    flow, form = derived_lines(gradient_flow(shown)), derived_lines(hessian_form(shown))
    # T_1, T_2, ... are numbered anew in each formula, so equal lines with them may mean different things.
    repeated = [line for line in form if line in flow and network is not None and "T_{" not in line]
    form = [line for line in form if line not in repeated]
    parts = [_PREAMBLE, "\\begin{document}", rf"\begin{{center}}\Large {escape(title)}\end{{center}}"]
    parts.append(_section_of(shown, moments))
    if settings:
        parts.append(table(settings))
    parts.append(r"\section{Gradient flow}")
    text = _FLOW
    if network is not None:
        text += _FLOW_OF_WEIGHTS + ("" if moments else _SAMPLES_LINEAR if network.linear else _SAMPLES)
    parts += [_display(text, flow), r"\section{The Hessian as a quadratic form}"]
    if network is not None and network.linear:
        parts.append(statement_latex("R7"))
    text = _FORM_OF_PRODUCTS if moments else (_FORM_WITH_GATES if objective.gates else _FORM)
    if not moments and network is not None:
        text += _FORM_OF_SAMPLES
    parts.append(_display(text + (_FORM_CONTINUES if repeated else ""), form))
    if network is not None and network.depth > 1:
        parts += [r"\section{Invariants}", statement_latex("R10")]
    parts += [r"\section{How far gradient descent is from gradient flow}", _BOUNDS, statement_latex("R3")]
    if objective.gates:
        parts.append(_CAUTION)
    for result, rows in bounds:
        parts.append(statement_latex(result))
        if rows:
            parts.append("For this problem:\n" + table(rows))
    parts += [_bibliography(), "\\end{document}", ""]
    return "\n\n".join(parts)


def table(rows: Sequence[tuple[str, str, str]]) -> str:
    """Rows (LaTeX symbol, meaning, value) as a table that may break across pages."""
    lines = [r"\begin{longtable}{@{}>{\raggedright}p{0.16\textwidth}>{\raggedright}p{0.36\textwidth}"
             r">{\raggedright\arraybackslash}p{0.42\textwidth}@{}}", r"\hline"]  # fmt: skip
    for at, (symbol, meaning, value) in enumerate(rows):
        strut = "" if at else r"\rule{0pt}{2.6ex}"
        mathematics = f"${symbol}$" if symbol else ""
        lines.append(f"{strut}{mathematics} & {escape(meaning)} & {escape(value)} \\\\[0.4ex]")
    return "\n".join([*lines, r"\hline", r"\end{longtable}"])


_GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "varepsilon", "ζ": "zeta", "η": "eta", "θ": "theta",
    "ι": "iota", "κ": "kappa", "λ": "lambda", "μ": "mu", "ν": "nu", "ξ": "xi", "π": "pi", "ρ": "rho", "σ": "sigma",
    "τ": "tau", "υ": "upsilon", "φ": "varphi", "χ": "chi", "ψ": "psi", "ω": "omega", "Γ": "Gamma", "Δ": "Delta",
    "Θ": "Theta", "Λ": "Lambda", "Ξ": "Xi", "Π": "Pi", "Σ": "Sigma", "Φ": "Phi", "Ψ": "Psi", "Ω": "Omega",
    "≤": "le", "≥": "ge", "≠": "ne", "≈": "approx", "×": "times", "·": "cdot", "±": "pm", "∞": "infty", "−": "-",
    "→": "to", "∇": "nabla", "∂": "partial", "∈": "in", "√": "surd", "‖": "|", "°": "circ",
}  # fmt: skip
_TEXT = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "%": r"\%", "#": r"\#", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": "$<$", ">": "$>$", "|": "$|$", '"': "''", "`": "`{}",
    "ß": r"\ss{}", "ø": r"\o{}", "Ø": r"\O{}", "æ": r"\ae{}", "Æ": r"\AE{}", "œ": r"\oe{}", "ł": r"\l{}",
    "Ł": r"\L{}", "ı": r"\i{}", "–": "--", "—": "---", "‘": "`{}", "’": "'", "“": "``", "”": "''", "…": r"\dots{}",
    "§": r"\S{}", "\xa0": "~",
}  # fmt: skip
_ACCENTS = {
    "\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0304": "=", "\u0306": "u", "\u0307": ".",
    "\u0308": '"', "\u030a": "r", "\u030b": "H", "\u030c": "v", "\u0323": "d", "\u0327": "c",
}  # fmt: skip


def escape(text: str) -> str:
    r"""Plain text as LaTeX text: nothing in it acts as a command, and any pdflatex can print it.

    Accented letters are written with accent commands and Greek letters in mathematics; a character that the standard
    fonts lack is shown by its code point, as [U+4E2D].  Long words (numbers of many digits) may break.
    """
    pieces: list[str] = []
    run = 0
    for character in unicodedata.normalize("NFC", text):
        if character.isspace() and character != "\xa0":
            pieces.append(" ")
            run = 0
            continue
        run += 1
        if run > 24 and run % 8 == 0:
            pieces.append(r"\hspace{0pt}")
        pieces.append(_character(character))
    return "".join(pieces)


def _character(character: str) -> str:
    if character in _TEXT:
        return _TEXT[character]
    if character in _GREEK:
        name = _GREEK[character]
        return rf"$\{name}$" if name.isalpha() or name == "|" else f"${name}$"
    if " " <= character <= "~":
        return character
    decomposed = unicodedata.normalize("NFD", character)
    base, marks = decomposed[0], decomposed[1:]
    if len(marks) == 1 and marks[0] in _ACCENTS and base.isascii() and base.isalpha():
        letter = {"i": r"\i", "j": r"\j"}.get(base, base) if marks[0] not in "\u0323\u0327" else base
        return rf"\{_ACCENTS[marks[0]]}{{{letter}}}"
    return f"[U+{ord(character):04X}]"


def _display(text: str, lines: Sequence[str]) -> str:
    """Text that ends in the equations."""
    return "\n".join([text.strip(), r"\begin{align*}", " \\\\\n".join(lines), r"\end{align*}"])


def _section_of(objective: Objective, moments: bool) -> str:
    """What is minimized."""
    network = objective.network
    if network is None:
        return "\n\n".join([r"\section{The objective}", _display("The function is", derived_lines(loss(objective)))])
    parts = [
        r"\section{The network}",
        f"The network is\n\\[\n{network_latex(network)}\n\\]",
        f"and its training loss\n\\[\n{loss_latex()}.\n\\]",
    ]
    if moments:
        parts.append(_display(_MOMENTS, derived_lines(loss(objective))))
    return "\n\n".join(parts)


def _bibliography() -> str:
    items = [rf"\bibitem[{key}]{{{key}}} {escape(text)}." for key, text in SOURCES.items()]
    listed = "\n".join(items).replace("Norsett", r"N\o{}rsett")
    return "\\begin{thebibliography}{HNW93}\n" + listed + "\n\\end{thebibliography}"


_PREAMBLE = r"""\documentclass[10pt,a4paper]{article}
\usepackage[margin=2.5cm]{geometry}
\usepackage{amsmath,amssymb,array,longtable}
\allowdisplaybreaks
\setlength{\parindent}{0pt}
\setlength{\parskip}{0.5ex plus 0.5ex}
\emergencystretch=2em"""

_MOMENTS = r"""
With the moments $\Sigma_{xx} = \tfrac1N XX^\top$, $\Lambda_{yx} = \tfrac1N YX^\top$, $\Sigma_{yy} = \tfrac1N YY^\top$
and $W_{j':j} = W_{j'}\cdots W_j$ (the identity for $j' < j$), $f(\theta) = \varphi(W_{n:1})$ reads"""

_FLOW = r"""
Gradient flow is $\theta' = -\nabla f(\theta)$; a dot is the derivative in time."""

_FLOW_OF_WEIGHTS = r"""
The vector $\theta$ holds all weights."""

_SAMPLES = r"""
Columns are samples: $Z_j$ holds the pre-activations of layer $j$, $D_j$ the gates, $A_j$ the activations and $R$ the
residuals; $\odot$ is the entrywise product, and a bar marks the derivative of $f$ with respect to the quantity below
it. The gate at $z = 0$ is taken to be the slope for $z \ge 0$."""

_SAMPLES_LINEAR = r"""
Columns are samples, $R$ holds the residuals, a bar marks the derivative of $f$ with respect to the quantity below it,
and $W_{j':j} = W_{j'}\cdots W_j$ (the identity for $j' < j$)."""

_FORM = r"""
The second derivative of $t \mapsto f(\theta + t\Delta)$ at $t = 0$."""

_FORM_WITH_GATES = r"""
The second derivative of $t \mapsto f(\theta + t\Delta)$ at $t = 0$, where no gate changes."""

_FORM_OF_SAMPLES = r"""
A dot on an intermediate result is now its derivative in the direction $\Delta$, two dots the second one."""

_FORM_OF_PRODUCTS = r"""
For this network, in $O(n)$ products; $A_{j':j}$ and $B_{j':j}$ are the first and second derivatives of $W_{j':j}$ in
the direction $\Delta$."""

_FORM_CONTINUES = r"""
What gradient flow has already defined is not repeated."""

_BOUNDS = r"""
$\|\cdot\|$ is the Euclidean norm of vectors and the spectral norm of matrices, $g = \nabla f$, $H = \nabla^2 f$,
$\theta_k$ gradient descent with the step size $\eta$ and $\theta(t)$ gradient flow."""

_CAUTION = r"""
The activation has kinks. R4 and R22 hold where the tube lies in one smooth region, or where every kink it meets is one
at which the gradient jumps in the convex direction; otherwise they are not applicable."""
