"""A parametrized map of one's own, as SymPy expressions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sympy

from symflow.errors import ProblemError, brief

_EXAMPLE = "ParametricMap([u * sympy.Max(0, v * x)], [u, v], [x])"


@dataclass(frozen=True, init=False)
class ParametricMap:
    """g(theta, x), a map with parameters theta and inputs x: residual, recurrent and attention blocks, biases.

    Outputs are SymPy expressions made of sums, products, integer powers, rational numbers, `Max`, `Min`, `Abs` (gates),
    and exp, tanh of polynomials and quotients of these (softmax).

    Attributes:
        outputs: the entries of g.
        parameters: theta, P symbols.
        inputs: x, symbols; none for a map without.

    Raises:
        ProblemError: outputs that are not expressions in these symbols, or symbols of equal names.

    Source: R30.

    Example:
        >>> import sympy
        >>> u, v, s, t, x = sympy.symbols("u v s t x")
        >>> y = x + u * sympy.Max(0, v * x)
        >>> block = sf.ParametricMap([y + s * sympy.Max(0, t * y)], [u, v, s, t], [x])
        >>> [sf.conservation_laws(block, at=at).count for at in (["0.7", "0.5", "0.3", "0.9"],
        ...                                                      ["0.7", "0.5", "0.3", "-0.9"])]
        [3, 2]
    """

    outputs: tuple[sympy.Expr, ...]
    parameters: tuple[sympy.Symbol, ...]
    inputs: tuple[sympy.Symbol, ...]

    def __init__(
        self,
        outputs: Iterable[sympy.Expr] | sympy.Expr,
        parameters: Sequence[sympy.Symbol],
        inputs: Sequence[sympy.Symbol] = (),
    ) -> None:
        listed = [outputs] if isinstance(outputs, sympy.Expr) else outputs
        if isinstance(listed, str) or not isinstance(listed, Iterable):
            raise ProblemError(f"the outputs must be a list of SymPy expressions, got {brief(outputs)}; see {_EXAMPLE}")
        found = []
        for given in listed:
            if isinstance(given, str) or not isinstance(value := sympy.sympify(given), sympy.Expr):
                raise ProblemError(f"an output must be a SymPy expression, got {brief(given)}; text is never evaluated")
            found.append(value)
        for name, symbols in (("parameters", parameters), ("inputs", inputs)):
            if isinstance(symbols, str | sympy.Basic) or not all(isinstance(s, sympy.Symbol) for s in symbols):
                raise ProblemError(f"the {name} must be a list of SymPy symbols, got {brief(symbols)}; see {_EXAMPLE}")
        object.__setattr__(self, "outputs", tuple(found))
        object.__setattr__(self, "parameters", tuple(parameters))
        object.__setattr__(self, "inputs", tuple(inputs))
        self._check()

    def _check(self) -> None:
        known = (*self.parameters, *self.inputs)
        if not self.parameters or not self.outputs:
            raise ProblemError(f"a map needs at least one output and one parameter; see {_EXAMPLE}")
        if len({s.name for s in known}) != len(known):
            raise ProblemError(f"parameters and inputs must have different names, got {', '.join(map(str, known))}")
        unknown = {s for e in self.outputs for s in e.free_symbols} - set(known)
        if unknown:
            listed = ", ".join(sorted(map(str, unknown)))
            raise ProblemError(f"the outputs may contain only parameters and inputs, got {listed}; name it as one")
