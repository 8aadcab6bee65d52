r"""What printed formulas leave unsaid: shapes, orders, indices, dots and bars, as sentences of LaTeX text.

Only what occurs in a formula is explained, so that the sentences can stand next to it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from symflow.networks.convolutional import Convolutional
from symflow.networks.objective import Objective

_CHAIN = re.compile(r"W_\{\w+:\w+\}")
_OF_TIME = r"\\dot\{[Ww]\}|\\dot\\theta"


def conventions(objective: Objective, lines: Sequence[str]) -> tuple[str, ...]:
    """Sentences on the symbols that occur in printed lines of formulas of an objective."""
    text = "\n".join(lines)
    network = objective.network or objective.architecture
    found = [_parameters(objective)]
    if network is not None:
        found += _network(objective, isinstance(network, Convolutional), text)
    found += [sentence for pattern, sentence in _SENTENCES if re.search(pattern, text)]
    return tuple(found)


def _parameters(objective: Objective) -> str:
    names = ", ".join(w.latex for w in objective.parameters)
    order = "each matrix row by row" if objective.network is not None else "in this order"
    return rf"$\theta = ({names})$: all parameters, {order}; layers, rows and columns are counted from 1."


def _network(objective: Objective, convolutional: bool, text: str) -> list[str]:
    """Weights, data and what is between them."""
    n = len([w for w in objective.parameters if w.name[0] == "W"])
    residual = objective.sample_loss is None or objective.sample_loss.known.residual
    found = []
    if not convolutional:
        found.append(
            r"$W_j \in \mathbb R^{d_j\times d_{j-1}}$ holds the weights of layer $j$, one row for each output."
        )
    if _CHAIN.search(text):
        found.append(r"$W_{j':j} = W_{j'}W_{j'-1}\cdots W_j$ for $j \le j'$, the identity otherwise.")
    if r"\Sigma_{xx}" in text or r"\Lambda_{yx}" in text:
        found.append(
            r"$\Sigma_{xx} = \frac1NXX^\top$, $\Lambda_{yx} = \frac1NYX^\top$, $\Sigma_{yy} = \frac1NYY^\top$."
        )
    if convolutional:
        found.append("$X$ and $Y$ hold the inputs and the targets of the $N$ samples.")
    else:
        found.append(
            r"$X \in \mathbb R^{d_0\times N}$ holds the $N$ inputs, "
            rf"$Y \in \mathbb R^{{d_{{{n}}}\times N}}$ their targets: columns are samples. "
            "(In files and in Python rows are samples.)"
        )
    if re.search(r"\bZ_\{", text):
        found.append(
            r"$Z_j$ holds the pre-activations of layer $j$, $A_j$ what it passes on, one column for each sample."
        )
    if r"D_{" in text:
        kink = r"; at $z = 0$ it is the slope for $z \ge 0$" if objective.gates else ""
        found.append(rf"$D_j = \sigma'(Z_j)$, entry by entry{kink}.")
    if residual and re.search(r"\bR\b", text):
        found.append(r"$R$ holds the residuals, predictions minus targets.")
    return found


_SENTENCES = (
    (r"\\odot", r"$\odot$ is the product entry by entry."),
    (
        r"\\otimes",
        r"$P\otimes Q$ is the Kronecker product for row-major order: row $(a,b)$, column $(p,q)$ holds $P_{ap}Q_{bq}$, "
        r"and $(P\otimes Q)\operatorname{vec}(M) = \operatorname{vec}(PMQ^\top)$ with $\operatorname{vec}$ row by row.",
    ),
    (
        r"\)_\{ab,pq\}",
        r"$(H_{jk})_{ab,pq} = \partial^2f/\partial(W_j)_{ab}\,\partial(W_k)_{pq}$: $ab$ is an entry of $W_j$, $pq$ one "
        r"of $W_k$; $H_{kj} = H_{jk}^\top$.",
    ),
    (r"\\delta_", r"$\delta_{aq}$ is 1 where $a = q$ and 0 elsewhere."),
    (r"\\bar\{", r"A bar is a derivative of $f$: $\bar M = \partial f/\partial M$, of the shape of $M$."),
    (_OF_TIME, r"A dot on a weight is its derivative in time along gradient flow $\dot\theta = -\nabla f(\theta)$."),
    (
        r"\\Delta",
        r"$\Delta = (\Delta_1,\Delta_2,\dots)$ is a direction in the space of $\theta$, $\Delta_j$ of the shape of "
        r"$W_j$; $H[\Delta,\Delta] = \frac{d^2}{ds^2}f(\theta+s\Delta)\big|_{s=0}$.",
    ),
    (
        r"\\d?dot\{(?![Ww]\})",
        r"A dot on an intermediate result is its derivative in the direction $\Delta$, two dots the second one.",
    ),
    (
        r"_\{\w+\|\w+\}",
        r"$\dot Z_{j|k}$ is the derivative of $Z_j$ in the direction $\Delta_k$ alone, $\dot{\bar Z}_{j|k}$ that of "
        r"$\bar Z_j$.",
    ),
    (r"\\\|", r"$\|\cdot\|_F$ is the Frobenius norm; $\langle\cdot,\cdot\rangle$ sums the products of entries."),
)
"""Where a pattern occurs, what it means."""
