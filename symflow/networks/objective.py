"""An objective: a scalar program, which of its inputs are the parameters, and the data bound to the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy

from symflow.caching import Keeper, kept
from symflow.displays import show
from symflow.errors import ProblemError, brief
from symflow.programs.flat import entry_names, slices
from symflow.programs.from_sympy import expression_node
from symflow.programs.nodes import Gate, Input, Node, add, inner, scale
from symflow.programs.program import Program, entries, shape_of

if TYPE_CHECKING:
    from symflow.networks.losses import Loss
    from symflow.networks.matrix_data import MatrixData
    from symflow.networks.network import Network


@dataclass(frozen=True, eq=False)
class Objective(Keeper):
    """f(theta), a function of P parameters to be minimized, as a straight-line program.

    Attributes:
        program: its single output "f" is a scalar.
        parameters: the parameter inputs; theta is their entries in this order, each matrix row-major.
        data: exact values (object arrays of `Fraction`) of the data inputs; may be partial when only formulas are
            wanted.
        network: the homogeneous network whose training loss it is; None where there is none.
        symbols: the SymPy symbols that scalar inputs stand for, where it was made from an expression.
        sample_loss: the loss of one sample, where it is a network's training loss.
        biases: those parameters that are biases of a network, which then is not homogeneous.
        no_network: why `network` is None, for messages.
        factor: f is this multiple of the network's training loss.
        architecture: the network whose training loss it is, homogeneous or not (with biases, smooth activations).
        matrix_data: what the end-to-end matrix is compared with, where these are no samples (`sensing_objective`).
        undecayed: where f is another objective plus (d/2)||theta||^2: that one, and d.

    Example:
        >>> objective = sf.network_objective(sf.FullyConnected((2, 3, 1)), [[1, 0], [0, 1]], [1, -1])
        >>> objective.parameter_count, [w.name for w in objective.parameters]
        (9, ['W1', 'W2'])
        >>> [shape for _, shape in objective.slices()]
        [(3, 2), (1, 3)]
    """

    program: Program
    parameters: tuple[Input, ...]
    data: Mapping[Input, np.ndarray] = field(default_factory=dict)
    network: Network | None = None
    symbols: Mapping[Input, sympy.Symbol] = field(default_factory=dict)
    sample_loss: Loss | None = None
    biases: tuple[Input, ...] = ()
    no_network: str = "the objective is not the training loss of a network"
    factor: Fraction = Fraction(1)
    architecture: Network | None = None
    matrix_data: MatrixData | None = None
    undecayed: tuple[Objective, Fraction] | None = None

    @property
    def loss(self) -> Node:
        """The node of f."""
        return self.program["f"]

    @property
    def data_inputs(self) -> tuple[Input, ...]:
        """The inputs that are not parameters."""
        return tuple(x for x in self.program.inputs if x not in self.parameters)

    @property
    def parameter_count(self) -> int:
        """P, the number of parameters."""
        return sum(entries(w.axes) for w in self.parameters)

    @property
    def gates(self) -> tuple[Gate, ...]:
        """The gates of the program, upstream first; empty when f is smooth."""
        return tuple(x for x in self.program.nodes if isinstance(x, Gate))

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shape of every parameter array."""
        return tuple(shape_of(w.axes) for w in self.parameters)

    def slices(self) -> Iterator[tuple[slice, tuple[int, ...]]]:
        """Where each parameter array lies in theta, and its shape."""
        return slices(self.parameters)

    @kept
    def scaled(self, factor: Fraction) -> Objective:
        """The objective c f, which flows c times as fast: theta' = -c grad f."""
        if self.undecayed is not None:
            below, rate = self.undecayed
            return below.scaled(factor).decayed(factor * rate)
        program = Program(self.program.inputs, {"f": scale(factor, self.loss)}, self.program.names)
        return self if factor == 1 else replace(self, program=program, factor=factor * self.factor)

    @kept
    def decayed(self, rate: Fraction) -> Objective:
        """f + (d/2)||theta||^2, whose gradient flow is theta' = -grad f - d theta: weight decay.

        A network with it is not homogeneous, so that the results on homogeneous networks do not apply.
        """
        if rate == 0:
            return self
        squares = [(rate / 2, inner(w, w)) for w in self.parameters]
        program = Program(self.program.inputs, {"f": add([(1, self.loss), *squares])}, self.program.names)
        reason = "weight decay is added to the loss, which then is not that of a homogeneous network"
        return replace(self, program=program, network=None, no_network=reason, undecayed=(self, rate))

    def parameter_names(self) -> list[str]:
        """A name for each entry of theta, such as W1_13, counted from 1 as in formulas."""
        return entry_names(self.parameters)

    def cut(self, theta: Any, inputs: Sequence[Input] | None = None) -> dict[Input, Any]:
        """Cuts a flat array of shape (P,) into one array per parameter (layer 1 first, row-major)."""
        given = self.parameters if inputs is None else inputs
        return {w: theta[where].reshape(s) for w, (where, s) in zip(given, self._places, strict=True)}

    @cached_property
    def _places(self) -> tuple[tuple[slice, tuple[int, ...]], ...]:
        """What `slices` yields, kept: descent cuts theta at every step."""
        return tuple(self.slices())

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {show(self, 'latex')}$"

    def __repr__(self) -> str:
        known = all(isinstance(a.size, int) for w in self.parameters for a in w.axes)
        count = f"P={self.parameter_count} parameters" if known else "symbolic widths"
        kind = "expression" if self.sample_loss is None else f"{self.sample_loss.kind} loss"
        return f"<objective: {kind} of {count}, {len(self.gates)} gates, {self.program.length} operations>"


def require_objective(objective: object) -> None:
    """Refuses what is not an `Objective`, with the likely remedy."""
    if not isinstance(objective, Objective):
        hint = "pass problem.objective" if hasattr(objective, "objective") else "see sf.network_objective"
        raise ProblemError(f"an objective is needed, got {brief(objective)}; {hint}")


def expression_objective(expression: sympy.Expr, variables: Sequence[sympy.Symbol]) -> Objective:
    """f(theta), an objective from a SymPy expression in scalar variables.

    Supported: sums, products, powers, exp, log, sin, cos, tan, atan, sinh, cosh, tanh, erf and rational numbers (a
    float means its binary value), e and pi.

    Args:
        expression: f, a SymPy expression in the variables alone.
        variables: P symbols of different names; theta, shape (P,), is their values in this order.

    Returns:
        An `Objective` of P scalar parameters, without data and network, for `loss`, `hessian` and the other formulas
        and, with `theta0`, for a `Problem`.

    Raises:
        ProblemError: text instead of an expression, variables that are not symbols of different names, or a free symbol
            that is not a variable.
        ValueError: a function outside this list.

    Example:
        >>> import sympy
        >>> a, b = sympy.symbols("a b")
        >>> objective = sf.expression_objective((a * b - 1)**2 / 2, [a, b])
        >>> sf.gradient(objective).explicit()
        Matrix([
        [b*(a*b - 1)],
        [a*(a*b - 1)]])
    """
    given: object = variables
    if not isinstance(given, Iterable) or not all(isinstance(v, sympy.Symbol) for v in given):
        raise ProblemError(f"the variables must be a list of SymPy symbols, got {brief(given)}; give (x, y)")
    if isinstance(expression, str) or not isinstance(sympy.sympify(expression), sympy.Expr):
        raise ProblemError(
            f"the expression must be a SymPy expression, got {brief(expression)}; text is never evaluated"
        )
    expression = sympy.sympify(expression)
    if len({str(v) for v in variables}) != len(variables):
        raise ProblemError(f"the variables must have different names, got {', '.join(map(str, variables))}")
    unknown = expression.free_symbols - set(variables)
    if unknown:
        listed = ", ".join(sorted(map(str, unknown)))
        raise ProblemError(
            f"the expression may contain only the given variables, got {listed}; substitute values first"
        )
    parameters = {v: Input(str(v), (), "parameter", sympy.latex(v)) for v in variables}
    node = expression_node(expression, parameters)
    program = Program(tuple(parameters.values()), {"f": node})
    return Objective(program, tuple(parameters.values()), symbols={w: v for v, w in parameters.items()})
