r"""Derived programs as LaTeX, in the notation of the papers.

A program is printed in five steps, each in a file of its own or two:

1. `names`: what has a name already - intermediate results, their derivatives, the gradient of phi (`moments`).
2. `lines`: chooses the nodes that get a line of their own: those with names, those that are shared and not small,
   and those that would make a wide bracket.  It measures what the next steps print, so it goes through them repeatedly.
3. `expansion`: expands a line down to other lines into a *form* (`forms`), a rational linear combination of
   contractions in canonical order, so that equal terms meet and merge.
4. `graphs`: reads each contraction as a graph: labels are vertices, matrices are edges.  Edges in series are a matrix
   product, parallel edges a Hadamard product, closed walks an inner product or a trace.  Orders and transposes follow
   from the labels alone.
5. `printer`: prints the terms in matrix notation (`products`), or with explicit sums where a contraction has none
   (`entries`).  Lines are broken between terms, so that none is wider than an A4 page (`text`).

Notation.  W_{j':j} is the product W_{j'} ... W_j.  A dot on a weight, \dot W_j, is the time derivative along gradient
flow; a dot on an intermediate result, \dot Z_j, its derivative in the direction Delta.  Weights have the tangent
Delta_j and products of weights A_{j':j} (B_{j':j} for the second derivative), so the two kinds of dots never meet in
one formula.  A bar is an adjoint, \bar Z_j = df/dZ_j.  T_1, T_2, ... are shared results without a name.
"""

from symflow.presentation.latex.lines import derived_lines
from symflow.presentation.latex.text import dotted, printed_width, rational_latex
from symflow.symbolic.derived import Derived

__all__ = ["derived_latex", "derived_lines", "dotted", "printed_width", "rational_latex"]


def derived_latex(derived: Derived) -> str:
    r"""A derived result as an ``aligned`` environment: one line ``symbol = expression`` for each step.

    Left-hand sides of results: f, \nabla_{W_j} f, \dot W_j, H[\Delta,\Delta], (H\Delta)_j, and H_{jk} for the blocks
    of the Hessian with j <= k, either as a matrix over row-major entries (Kronecker products) or entry by entry,
    (H_{jk})_{ab,pq} = d^2 f / d(W_j)_{ab} d(W_k)_{pq}.

    Args:
        derived: what to print; symbolic widths and unbound data are fine.

    Returns:
        LaTeX for display mathematics, without dollar signs; needs amsmath (or MathJax).

    Raises:
        TypeError: the program has a node that the printer does not know.
    """
    return "\\begin{aligned}\n" + " \\\\\n".join(derived_lines(derived)) + "\n\\end{aligned}"
