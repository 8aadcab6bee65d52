"""What symflow derives from an objective: loss, gradient, Hessian in its forms, gradient flow.

Each result is a small frozen record around a program; it prints as LaTeX, expands into SymPy scalars within a budget,
shows its source as runnable code, and says where it comes from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

from symflow.caching import Keeper
from symflow.displays import as_formula, show
from symflow.errors import BudgetError
from symflow.networks.objective import Objective, require_objective
from symflow.programs.blocks import hessian_blocks
from symflow.programs.differentiate import jvp, transpose
from symflow.programs.nodes import Const, Input, Node, scale
from symflow.programs.program import Program

if TYPE_CHECKING:
    import sympy

MAX_OPERATIONS = 20_000
"""Longest program of a higher directional derivative."""

Shape = Literal["scalar", "vector", "matrix"]


@as_formula
@dataclass(frozen=True, eq=False)
class Derived(Keeper):
    """A formula derived from an objective: a program of theta (and of a direction, where it is a form in one).

    `latex` prints it, `source` and `explicit` write it as Python and as SymPy scalars, and `to_jax`, `evaluate_mpmath`
    and `evaluate_exact` evaluate it in float64, in multiprecision and in exact rationals.

    Attributes:
        kind: what it is ("gradient", "hessian", ...).
        objective: what it was derived from.
        program: computes it; for a vector one output per parameter array, for a matrix one per block (j <= k).
        shape: "scalar", "vector" (P entries in the order of theta) or "matrix" (P x P, symmetric).
        directions: the direction inputs, one per parameter array, where the result is a form in a direction; else
            empty.
        result: the id of the result that it states, such as "R7"; None where it states none.

    Example:
        >>> objective = sf.network_objective(sf.FullyConnected((1, 1, 1)), [1], [1])
        >>> derived = sf.gradient(objective)
        >>> derived.explicit()
        Matrix([
        [W2_11*(W1_11*W2_11 - 1)],
        [W1_11*(W1_11*W2_11 - 1)]])
        >>> derived.shape, derived.program.length
        ('vector', 6)
        >>> derived.source().splitlines()[0]
        'def evaluate(W1, W2, X, Y, xp):'
    """

    kind: str
    objective: Objective
    program: Program
    shape: Shape
    directions: tuple[Input, ...] = ()
    result: str | None = None

    def __call__(self, theta: Any, direction: Any = ()) -> Any:
        """The value at theta, in the arithmetic of its numbers: float64 for floats (by JAX, so that it can be
        differentiated), exact for rationals where the formula is rational, else many digits.

        Args:
            theta: P numbers, layer 1 first, each matrix row-major.
            direction: P numbers, where the result is a form in a direction.
        """
        return show(self, "call", theta, direction)

    def latex(self, document: bool = False) -> str:
        """The formula as LaTeX: lines `symbol = expression`, in an aligned environment.

        Args:
            document: a complete file instead, which says what every symbol means (shapes, orders, indices, dots, bars)
                and in which each equation has a number and a label such as ``eq:gradient-flow:1``.
        """
        return str(show(self, "document" if document else "latex"))

    def explicit(self, budget: int = 100_000) -> sympy.Matrix | sympy.Expr:
        """The result in SymPy scalars, data inserted as exact rationals.

        Args:
            budget: the largest number of scalar operations that the expanded expressions may have.

        Returns:
            An expression for a scalar, a (P, 1) or (P, P) matrix of expressions otherwise.

        Raises:
            BudgetError: the expansion would be larger; the error states its size.
        """
        return show(self, "explicit", budget)

    def source(self) -> str:
        """The straight-line program as runnable Python source over NumPy-like arrays."""
        return str(show(self, "source"))

    @property
    def citation(self) -> Any:
        """Where the result comes from: a `Citation`, or None."""
        return show(self, "citation")

    def joined(self, outputs: Iterable[Any], xp: Any, lead: int = 0) -> Any:
        """The result from the program's outputs: a scalar, a vector of P entries, or a P x P matrix.

        Args:
            outputs: arrays, in the order of the program.
            xp: the array module they belong to.
            lead: how many axes come before those of the result, equally long in all outputs.
        """
        arrays = list(outputs)
        if self.shape == "scalar":
            return arrays[0]
        if self.shape == "vector":
            return xp.concatenate([a.reshape(*a.shape[:lead], -1) for a in arrays], axis=-1)
        sizes = [where.stop - where.start for where, _ in self.objective.slices()]
        if len(arrays) == 1:
            sizes = [sum(sizes)]
        blocks: dict[tuple[int, int], Any] = {}
        pairs = [(j, k) for k in range(len(sizes)) for j in range(k + 1)]
        for (j, k), a in zip(pairs, arrays, strict=True):
            blocks[j, k] = a.reshape(*a.shape[:lead], sizes[j], sizes[k])
            blocks[k, j] = xp.swapaxes(blocks[j, k], -1, -2)
        rows = [xp.concatenate([blocks[j, k] for k in range(len(sizes))], axis=-1) for j in range(len(sizes))]
        return xp.concatenate(rows, axis=-2)

    def __repr__(self) -> str:
        sizes = [a.size for w in self.objective.parameters for a in w.axes]
        known = all(isinstance(size, int) for size in sizes)
        count = f"P={self.objective.parameter_count} parameters" if known else "symbolic widths"
        return f"<{self.kind} of {count}, {self.program.length} operations>"


def loss(objective: Objective) -> Derived:
    r"""f(theta), the objective itself as a formula.

    Args:
        objective: f, of P parameters. theta is an array of shape (P,): all weights, layer 1 first, each matrix
            row-major (with biases W_1, b_1, W_2, ...; of an expression, its variables in their order).

    Returns:
        A `Derived` of shape "scalar". `to_jax`, `evaluate_mpmath` and `evaluate_exact` evaluate it at theta.

    Raises:
        ProblemError: not an `Objective`.

    Example:
        >>> objective = sf.network_objective(sf.FullyConnected((1, 2, 1)), [1, 2], [1, 0])
        >>> print(sf.loss(objective).latex())
        \begin{aligned}
        R &= W_{2:1} X - Y \\
        f &= \tfrac{1}{4} \|R\|_F^2
        \end{aligned}
        >>> sf.loss(objective).explicit()
        (2*W1_11*W2_11 + 2*W1_21*W2_12)**2/4 + (W1_11*W2_11 + W1_21*W2_12 - 1)**2/4
    """
    require_objective(objective)
    return Derived("loss", objective, objective.program, "scalar")


def parameter_directions(objective: Objective, letter: str = "Delta", latex: str = r"\Delta") -> tuple[Input, ...]:
    """One direction input per parameter array."""
    return tuple(
        Input(f"{letter}_{w.name}", w.axes, "direction", f"{latex}_{{{_index(w)}}}") for w in objective.parameters
    )


def _index(w: Input) -> str:
    return w.name[1:] if w.name[:1] == "W" and w.name[1:].isdigit() else w.latex


def gradient_nodes(objective: Objective) -> tuple[dict[Input, Node], dict[Node, str]]:
    """The gradient with respect to every parameter array, and LaTeX names of the adjoints on the way."""
    require_objective(objective)
    directions = parameter_directions(objective)
    loss_node = objective.loss
    dot = jvp([loss_node], dict(zip(objective.parameters, directions, strict=True)))
    adjoint = transpose(dot[loss_node], directions, Const(Fraction(1), ()))
    names = dict(objective.program.names)
    for x, name in objective.program.names.items():
        bar = adjoint.get(dot.get(x, x))
        if bar is not None and not isinstance(bar, Input) and bar not in names:
            names[bar] = rf"\bar{{{name[0]}}}{name[1:]}" if len(name) > 1 else rf"\bar{{{name}}}"
    return {w: adjoint[d] for w, d in zip(objective.parameters, directions, strict=True)}, names


def gradient(objective: Objective) -> Derived:
    r"""g(theta) = grad f(theta), the gradient; shape (P,).

    One reverse sweep: the program has O(n) operations on arrays at depth n. With gates it is the gradient of the smooth
    piece that theta lies in; on a kink the gates have their value for z >= 0.

    Args:
        objective: f, of P parameters, theta of shape (P,): all weights, layer 1 first, each matrix row-major.

    Returns:
        A `Derived` of shape "vector": P entries in the order of theta. Its program has one output per parameter array.

    Raises:
        ProblemError: not an `Objective`.

    Example:
        >>> objective = sf.network_objective(sf.FullyConnected((2, 2, 1)), [[1, 0], [0, 1]], [1, -1])
        >>> print(sf.gradient(objective).latex())
        \begin{aligned}
        R &= W_{2:1} X - Y \\
        \nabla_{W_{1}} f &= \tfrac{1}{2} W_{2}^\top R X^\top \\
        \nabla_{W_{2}} f &= \tfrac{1}{2} R X^\top W_{1}^\top
        \end{aligned}
    """
    g, names = gradient_nodes(objective)
    outputs = {f"g_{w.name}": g[w] for w in objective.parameters}
    return Derived("gradient", objective, Program(objective.program.inputs, outputs, names), "vector")


def gradient_flow(objective: Objective) -> Derived:
    """theta' = -grad f(theta), the vector field of gradient flow; shape (P,).

    `solve_flow` solves it; `modified_equation` gives the field that gradient descent follows more closely.

    Args:
        objective: f, of P parameters, theta of shape (P,): all weights, layer 1 first, each matrix row-major.

    Returns:
        A `Derived` of shape "vector": the P entries of -grad f in the order of theta.

    Raises:
        ProblemError: not an `Objective`.

    Source: classical (R1: along the flow, f falls at the rate ||grad f||^2).

    Example:
        >>> objective = sf.network_objective(sf.FullyConnected((1, 1, 1)), [1], [1])
        >>> sf.gradient_flow(objective).explicit()
        Matrix([
        [-W2_11*(W1_11*W2_11 - 1)],
        [-W1_11*(W1_11*W2_11 - 1)]])
        >>> sf.gradient_flow(objective).citation.id
        'R1'
    """
    g, names = gradient_nodes(objective)
    outputs = {f"d{w.name}": scale(-1, g[w]) for w in objective.parameters}
    return Derived("gradient flow", objective, Program(objective.program.inputs, outputs, names), "vector", (), "R1")


def hessian_form(objective: Objective) -> Derived:
    r"""H[D, D] = d^2/dt^2 f(theta + t D) at t = 0, the Hessian's quadratic form in a direction D of shape (P,).

    For a linear network f(theta) = phi(W_{n:1}), with W_{k:j} = W_k ... W_j, D = (D_1, ..., D_n) and
    A = sum_j W_{n:j+1} D_j W_{j-1:1}, it is (R7)

        H[D, D] = grad^2 phi[A, A] + 2 Tr(grad phi^T sum_{j<k} W_{n:k+1} D_k W_{k-1:j+1} D_j W_{j-1:1}).

    The program has O(n) operations on arrays at depth n.

    Args:
        objective: f, of P parameters, theta of shape (P,): all weights, layer 1 first, each matrix row-major.

    Returns:
        A `Derived` of shape "scalar" that takes theta and D, both of shape (P,).

    Raises:
        ProblemError: not an `Objective`.
        BudgetError: the formula has more than `symflow.derivatives.derived.MAX_OPERATIONS` operations.

    Source: for linear networks Elkabetz & Cohen 2021 (R7).

    Example:
        >>> objective = sf.network_objective(sf.FullyConnected((2, 2, 1)), [[1, 0], [0, 1]], [1, -1])
        >>> print(sf.hessian_form(objective).latex())
        \begin{aligned}
        \dot{R} &= W_{2} \Delta_{1} X + \Delta_{2} W_{1} X \\
        \ddot{R} &= 2 \Delta_{2} \Delta_{1} X \\
        R &= W_{2:1} X - Y \\
        H[\Delta,\Delta] &= \tfrac{1}{2} \|\dot{R}\|_F^2 + \tfrac{1}{2} \langle R, \ddot{R}\rangle
        \end{aligned}
    """
    return directional_derivative(objective, 2)


def directional_derivative(objective: Objective, order: int) -> Derived:
    """d^k/dt^k f(theta + t D) at t = 0, the derivative of order k in a direction D of shape (P,).

    It equals grad^k f(theta)[D, ..., D]: f for k = 0, <grad f, D> for k = 1, `hessian_form` for k = 2. With gates it is
    that of the smooth piece that theta lies in.

    Args:
        objective: f, of P parameters, theta of shape (P,): all weights, layer 1 first, each matrix row-major.
        order: k, a whole number of at least 0.

    Returns:
        A `Derived` of shape "scalar" that takes theta and D, both of shape (P,).

    Raises:
        ProblemError: not an `Objective`, or an order that is not a whole number of at least 0.
        BudgetError: the formula has more than `symflow.derivatives.derived.MAX_OPERATIONS` operations.

    Example:
        >>> import sympy
        >>> a, b = sympy.symbols("a b")
        >>> objective = sf.expression_objective((a * b - 1)**2 / 2, [a, b])
        >>> sf.directional_derivative(objective, order=3).explicit()
        6*Delta_a*Delta_b*(Delta_a*b + Delta_b*a)
    """
    require_objective(objective)
    from symflow.numbers.arguments import whole

    order = whole(order, "the order of a derivative", 0)
    directions = parameter_directions(objective)
    tangents: Mapping[Node, Node] = dict(zip(objective.parameters, directions, strict=True))
    node, names = objective.loss, dict(objective.program.names)
    for k in range(1, order + 1):
        dot = jvp([node], tangents)
        if len(dot) > MAX_OPERATIONS:
            raise BudgetError(
                f"the directional derivative of order {k} (of {order}) has {len(dot)} operations, over the budget of "
                f"{MAX_OPERATIONS}; ask for a lower order or a shallower network"
            )
        for x in list(names):
            if x in dot and not isinstance(dot[x], (Const, Input)) and dot[x] not in names:
                names[dot[x]] = rf"\dot{{{names[x][0]}}}{names[x][1:]}" if names[x][0] != "\\" else f"({names[x]})'"
        node = dot[node]
    program = Program((*objective.program.inputs, *directions), {"form": node}, names)
    kind = "hessian form" if order == 2 else f"directional derivative of order {order}"
    linear = objective.network is not None and objective.network.linear
    return Derived(kind, objective, program, "scalar", directions, "R7" if order == 2 and linear else None)


def hessian_vector_product(objective: Objective) -> Derived:
    """H(theta) D, the product of the Hessian with a direction D of shape (P,); shape (P,).

    The Hessian is never formed: the program has O(n) operations on arrays at depth n.

    Args:
        objective: f, of P parameters, theta of shape (P,): all weights, layer 1 first, each matrix row-major.

    Returns:
        A `Derived` of shape "vector" that takes theta and D, both of shape (P,), and has P entries in the order of
        theta.

    Raises:
        ProblemError: not an `Objective`.

    Source: Pearlmutter 1994.

    Example:
        >>> objective = sf.network_objective(sf.FullyConnected((1, 1, 1)), [1], [1])
        >>> product = sf.to_jax(sf.hessian_vector_product(objective))
        >>> product([0.5, 1.0], [1.0, 0.0])
        Array([1., 0.], dtype=float64)
    """
    g, names = gradient_nodes(objective)
    directions = parameter_directions(objective)
    dot = jvp(g.values(), dict(zip(objective.parameters, directions, strict=True)))
    outputs = {f"h_{w.name}": dot[g[w]] for w in objective.parameters}
    program = Program((*objective.program.inputs, *directions), outputs, names)
    return Derived("hessian-vector product", objective, program, "vector", directions)


def hessian(objective: Objective) -> Derived:
    """H(theta) = grad^2 f(theta), the Hessian matrix; shape (P, P), symmetric.

    It is assembled from the blocks d^2 f / dW_j dW_k with j <= k; the program has O(n^2) operations on arrays at depth
    n. With gates it is the Hessian of the smooth piece that theta lies in.

    Args:
        objective: f, of P parameters, theta of shape (P,): all weights, layer 1 first, each matrix row-major.

    Returns:
        A `Derived` of shape "matrix": rows and columns in the order of theta. Its program has one output per block.

    Raises:
        ProblemError: not an `Objective`.

    Example:
        >>> objective = sf.network_objective(sf.FullyConnected((1, 1, 1)), [1], [1])
        >>> sf.hessian(objective).explicit()
        Matrix([
        [         W2_11**2, 2*W1_11*W2_11 - 1],
        [2*W1_11*W2_11 - 1,          W1_11**2]])
        >>> sf.to_jax(sf.hessian(objective))([0.5, 1.0])
        Array([[1.  , 0.  ],
               [0.  , 0.25]], dtype=float64)
    """
    g, names = gradient_nodes(objective)
    blocks = hessian_blocks(g, objective.parameters)
    ws = objective.parameters
    outputs = {f"H_{ws[j].name}_{ws[k].name}": node for (j, k), node in blocks.items()}
    return Derived("hessian", objective, Program(objective.program.inputs, outputs, names), "matrix")
