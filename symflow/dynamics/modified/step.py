"""One step of a method of descent, interpreted in series of trees.

The programs of `Method.step` are sums and products with the step size, so that every method that is written in them is
expanded without a rule of its own. Settings that are symbols become rational functions of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from symflow.dynamics.method import THETA, Method, recursion
from symflow.dynamics.methods.runge_kutta import RungeKutta
from symflow.dynamics.modified.tree_series import Coefficient, Series, decayed, gradient_at, plus
from symflow.errors import ProblemError
from symflow.programs.nodes import Add, Const, Einsum, Input, Node
from symflow.programs.program import topological

Convert = Callable[[Any], Coefficient]
"""What makes a coefficient of a rational number or of the name of a symbol."""


@dataclass(frozen=True)
class Value:
    """eta^power (identity theta + series), or a number: eta^power identity."""

    power: int
    identity: Coefficient
    series: Series

    def times_number(self, c: Coefficient) -> Value:
        """c times it."""
        return Value(self.power, c * self.identity, plus({}, self.series, c))


@dataclass(frozen=True)
class Stepped:
    """theta_{k+1} - theta_k, and what is carried afterwards (None where nothing is)."""

    moved: Series
    carried: Series | None


def stepped(method: Method, carried: Series, size: int, convert: Convert) -> Stepped:
    """One step from theta, in the trees of theta and of what is carried.

    Args:
        method: the recursion.
        carried: what is carried, eta times it being counted in powers of the step size; ignored if nothing is.
        size: the largest number of vertices.
        convert: the coefficients.

    Raises:
        ProblemError: the method carries several arrays, or its step is not made of sums and multiples.
    """
    if len(method.carries) > 1 or method.counts:
        raise ProblemError(
            f"{method.name} carries {', '.join((*method.carries, *method.counts))}; modified equations by trees are "
            "for methods that carry one array or none"
        )
    programs = recursion(method, 1)
    theta, *rest = programs.state
    known: dict[Node, Value] = {
        theta: Value(0, convert(1), {}),
        programs.step_size: Value(1, convert(1), {}),
        **{x: Value(0, convert(0), carried) for x in rest},
    }
    interpreter = _Interpreter(method, known, size, convert)
    point = interpreter(programs.point[THETA])
    if point.power or point.identity != 1:
        raise ProblemError(f"{method.name} takes its gradient at a point that is not theta plus small terms")
    known[programs.direction] = Value(-1, convert(0), plus({}, gradient_at(point.series, size), -1))
    first, *others = (interpreter(x) for x in programs.step.outputs.values())
    if first.power or first.identity != 1 or any(x.power or x.identity for x in others):
        raise ProblemError(f"a step of {method.name} is not a small change of theta; its modified equation is unknown")
    return Stepped(first.series, others[0].series if others else None)


def tableau_step(method: RungeKutta, carried: Series, size: int) -> Stepped:
    """One step of an explicit Runge-Kutta method, which carries nothing."""
    slopes: list[Series] = []
    for row in method.a:
        slopes.append(gradient_at(_weighted(row, slopes), size))
    return Stepped(_weighted(method.b, slopes), None)


def _weighted(weights: Sequence[Fraction], slopes: Sequence[Series]) -> Series:
    found: Series = {}
    for c, slope in zip(weights, slopes, strict=True):
        found = plus(found, slope, -c)
    return found


class _Interpreter:
    """Values of nodes."""

    def __init__(self, method: Method, known: dict[Node, Value], size: int, convert: Convert) -> None:
        self._method, self._known, self._size, self._convert = method, known, size, convert

    def __call__(self, x: Node) -> Value:
        for node in topological([x]):
            if node not in self._known:
                self._known[node] = self._value(node)
        return self._known[x]

    def _value(self, x: Node) -> Value:
        if isinstance(x, Input) and not x.axes:
            return Value(0, self._convert(x.name), {})
        if isinstance(x, Const) and (x.value == 0 or not x.axes):
            return Value(0, self._convert(x.value), {})
        if isinstance(x, Add):
            return self._sum([(self._convert(c), self._known[a]) for c, a in x.terms])
        if isinstance(x, Einsum) and sum(bool(a.axes) for a in x.args) <= 1:
            return self._product([self._known[a] for a in x.args if not a.axes],
                                 [self._known[a] for a in x.args if a.axes])  # fmt: skip
        raise ProblemError(
            f"{self._method.name} has a step that is not made of sums and multiples of gradients; its modified "
            "equation by trees is not defined"
        )

    def _sum(self, terms: list[tuple[Coefficient, Value]]) -> Value:
        known = [(c, x) for c, x in terms if x.identity or x.series]
        if not known:
            return terms[0][1]
        power, identity = min(x.power for _, x in known), self._convert(0)
        series: Series = {}
        for c, x in known:
            there = self._at(x, power)
            identity, series = identity + c * there.identity, plus(series, there.series, c)
        return Value(power, identity, series)

    def _product(self, numbers: list[Value], arrays: list[Value]) -> Value:
        found = arrays[0] if arrays else Value(0, self._convert(1), {})
        for c in numbers:
            scaled = found.times_number(c.identity)
            found = Value(scaled.power + c.power, scaled.identity, scaled.series)
        return self._at(found, min(0, found.power)) if arrays else found

    def _at(self, x: Value, power: int) -> Value:
        """The same with another power of the step size before it: vertices of theta carry the others."""
        for _ in range(x.power - power):
            x = Value(x.power - 1, self._convert(0), decayed(x.identity, x.series, self._size))
        return x
