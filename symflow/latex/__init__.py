r"""Derived programs as LaTeX, in the notation of the papers.

A program is printed in six steps, each in a file of its own or two:

1. `names`: what has a name already - intermediate results, their derivatives and adjoints, the gradient of phi
   (`moments`). Blocks of the Hessian of a convolutional network become maps (`block_maps`).
2. `readable`: rewrites the program so that it reads well: log-sum-exp, softmax, norms and maxima by name; in
   convolutional networks matrices in place of arrays of more axes (`axis_groups`) and the operators of `windows`.
3. `layout`: chooses the nodes that get a line of their own: those with names, those that are shared and not small,
   and those that would make a wide bracket. It measures what the next steps print, so it goes through them repeatedly.
4. `expansion`: expands a line down to other lines into a *form* (`contractions`), a rational linear combination of
   contractions in canonical order, so that equal terms meet and merge.
5. `graphs`: reads each contraction as a graph: labels are vertices, matrices are edges. Edges in series are a matrix
   product, parallel edges a Hadamard product, closed walks an inner product or a trace. Orders and transposes follow
   from the labels alone.
6. `printer`: prints the terms in matrix notation (`products`), or with explicit sums where a contraction has none
   (`index_notation`). Lines are broken between terms, so that none is wider than an A4 page (`fragments`).

At the end stand notes on symbols that no line defines (`glossary`). Networks and losses themselves are written by
`definitions`.

Notation. W_{j':j} is the product W_{j'} ... W_j. A dot on a weight, \dot W_j, is the time derivative along gradient
flow; a dot on an intermediate result, \dot Z_j, its derivative in the direction Delta, \dot Z_{j|k} that in the
direction Delta_k alone. Weights have the tangent Delta_j and products of weights A_{j':j} (B_{j':j} for the second
derivative), so the two kinds of dots never meet in one formula. A bar is an adjoint, \bar Z_j = df/dZ_j, and Z_n is
what the network predicts. T_1, T_2, ... are shared results without a name.
"""

import sympy

from symflow.derivatives.derived import Derived, gradient_flow, loss
from symflow.dynamics.vector_field import VectorField
from symflow.evaluate.sympy_scalars import scalar_symbols
from symflow.latex.fragments import dotted, printed_width
from symflow.latex.glossary import where
from symflow.latex.layout import Formulas, formulas
from symflow.networks.objective import Objective
from symflow.numbers.rational import rational_latex

__all__ = ["Formulas", "derived_latex", "dotted", "field_latex", "formulas", "printed_width", "rational_latex", "where"]


def derived_latex(derived: Derived) -> str:
    r"""A derived result as an ``aligned`` environment: one line ``symbol = expression`` for each step.

    Left-hand sides of results: f, \nabla_{W_j} f, \dot W_j, H[\Delta,\Delta], (H\Delta)_j, and H_{jk} for the blocks
    of the Hessian with j <= k, either as a matrix over row-major entries (Kronecker products) or entry by entry,
    (H_{jk})_{ab,pq} = d^2 f / d(W_j)_{ab} d(W_k)_{pq}, or as the map H_{jk} \Delta_k.

    Args:
        derived: what to print; symbolic widths and unbound data are fine.

    Returns:
        LaTeX for display mathematics, without dollar signs; needs amsmath (or MathJax).

    Raises:
        TypeError: the program has a node that the printer has no notation for.
    """
    return "\\begin{aligned}\n" + " \\\\\n".join(formulas(derived).lines) + "\n\\end{aligned}"


def field_latex(field: VectorField) -> str:
    """A vector field entry by entry, one line x' = G_x(x) each; gradient flow in the notation of `derived_latex`.

    Raises:
        BudgetError: the entries written out are too long.
    """
    if field.slides:
        return derived_latex(gradient_flow(field.given or field.objective))
    names = [sympy.latex(field.symbols.get(x, v)) for x in field.state for v in scalar_symbols(x).reshape(-1)]
    lines = [f"{name}' &= {sympy.latex(e)}" for name, e in zip(names, field.explicit(), strict=True)]
    return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"


def objective_latex(objective: Objective) -> str:
    """f itself, as `derived_latex` prints it."""
    return derived_latex(loss(objective))
