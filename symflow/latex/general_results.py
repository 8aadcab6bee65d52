"""General results in LaTeX, in the notation of the theory, with their sources."""

from __future__ import annotations

from dataclasses import dataclass

from symflow.latex.escape import escape
from symflow.theory.citations import ARORA, DU, ELKABETZ_COHEN, HAIRER, cite


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
    "R9": Statement(
        "curvature of deep linear networks",
        ("EC21",),
        r"""
For $f(\theta) = \varphi(W_{n:1})$ with $\varphi$ convex, $s_j = \|W_j\|$ and matrices $M$ with zero diagonal,
$\lambda_{\min}(H)$ is at least each of, in increasing order,
\begin{align*}
  &-(n-1)\,\|\nabla\varphi\|_F \max_{|J|=n-2} \prod_{j\in J} s_j, \qquad
   -(n-1)\,\|\nabla\varphi\| \max_{|J|=n-2} \prod_{j\in J} s_j, \\
  &-\|\nabla\varphi\|\,\lambda_{\max}(M), \quad M_{jj'} = \prod_{i\ne j,j'} s_i, \\
  &-\|\nabla\varphi\|\,\lambda_{\max}(M), \quad M_{jj'} = \|W_{n:j'+1}\|\,\|W_{j'-1:j+1}\|\,\|W_{j-1:1}\|, \\
  &-\lambda_{\max}(M), \quad M_{jj'} = \|W_{j-1:1}\nabla\varphi^\top W_{n:j'+1}\|\,\|W_{j'-1:j+1}\| \qquad (j < j').
\end{align*}""",
    ),
    "R10": Statement(
        "balancedness is conserved",
        ("ACH18", "DHL18"),
        r"""
Along gradient flow of a linear network the matrices
\[
  W_{j+1}^\top W_{j+1} - W_j W_j^\top, \qquad j = 1,\dots,n-1,
\]
are constant; for fully connected (leaky) ReLU networks their diagonals are, and for every homogeneous network,
convolutional ones included, the differences $\|W_{j+1}\|_F^2 - \|W_j\|_F^2$ are. A step of gradient descent changes
them by exactly $\eta^2\,(G_{j+1}^\top G_{j+1} - G_j G_j^\top)$, $G_j = \nabla_{W_j} f$ (for ReLU their diagonals, away
from kinks).""",
    ),
    "R12": Statement(
        "curvature of homogeneous networks",
        ("EC21",),
        r"""
For $\ell$ convex in $\hat y$, slopes $\alpha$ and $\bar\alpha$ of $\sigma$ and $s_j = \|W_j\|$, where no gate
changes,
\[
  \lambda_{\min}(H) \ge -(n-1) \max\{|\alpha|,|\bar\alpha|\}^{n-1}\, \frac1N \sum_{i=1}^N \|\nabla\ell_i\|\,\|x_i\|
  \max_{|J|=n-2} \prod_{j\in J} s_j, \qquad \nabla\ell_i = \nabla_{\hat y}\,\ell(h_\theta(x_i), y_i).
\]""",
    ),
    "R13": Statement(
        "curvature of convolutional networks",
        ("EC21",),
        r"""
Layer $j$ acts on its input as $\mathcal A_j(W_j)$, linear in the shared weights. Let
$\kappa_j = \sup_W \|\mathcal A_j(W)\| / \|W\|_F$, which is at most the square root of the product of
$\lceil \text{kernel}/\text{stride} \rceil$ over the dimensions. For $\ell$ convex in $\hat y$, where no gate changes,
\[
  \lambda_{\min}(H) \ge -\max\{|\alpha|,|\bar\alpha|\}^{n-1}\, \frac1N \sum_{i=1}^N \|\nabla\ell_i\|\,\|x_i\|\,
  \lambda_{\max}(M), \qquad M_{jj'} = \kappa_j \kappa_{j'} \prod_{i\ne j,j'} \|\mathcal A_i(W_i)\|
\]
for $j \ne j'$ and $M_{jj} = 0$.""",
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


def bibliography() -> str:
    """The sources."""
    items = [rf"\bibitem[{key}]{{{key}}} {escape(text)}." for key, text in SOURCES.items()]
    listed = "\n".join(items).replace("Norsett", r"N\o{}rsett")
    return "\\begin{thebibliography}{HNW93}\n" + listed + "\n\\end{thebibliography}"
