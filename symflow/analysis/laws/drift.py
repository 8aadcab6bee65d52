r"""How descent breaks a law: the drift of one step, exactly, and its leading order in the step size.

With <grad h, g> = 0 (the law) differentiated along g: <grad h, H g> = -grad^2 h[g, g]. So along the modified equation
theta' = -c_0 g - eta c_1 H g + ... of a method h drifts by eta^2 c_1 grad^2 h[g, g] + O(eta^3) in a step; for quadratic
h, grad^2 h[g, g] = 2 h(g), and gradient descent (c_1 = 1/2) drifts by exactly eta^2 h(g). Weight decay moves h by
-eta d <grad h, theta>, d the method's decay rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Protocol

import numpy as np

from symflow.analysis.laws.terms import Terms, polynomial_node
from symflow.displays import as_formula
from symflow.dynamics.method import THETA, Method, recursion
from symflow.dynamics.methods.gradient_descent import GradientDescent
from symflow.dynamics.modified.coefficients import terms
from symflow.dynamics.modified.trees import HG
from symflow.errors import ProblemError, brief
from symflow.evaluate.interpret import interpret
from symflow.evaluate.object_arrays import EXACT
from symflow.numbers.rational import entry, rational, rational_latex
from symflow.programs.differentiate import jvp
from symflow.programs.nodes import Const, Input, Node, add, scale
from symflow.programs.program import Program, entries, transform


class Polynomial(Protocol):
    """A conserved polynomial, as `Law` is one."""

    @property
    def name(self) -> str: ...

    @property
    def terms(self) -> Terms: ...

    @property
    def count(self) -> int: ...

    @property
    def degree(self) -> int: ...

    @property
    def homogeneous(self) -> bool: ...


@as_formula
@dataclass(frozen=True, eq=False)
class Drift:
    r"""h(theta_{k+1}) - h(theta_k) for a conserved h under one method of descent.

    It is called with theta, the gradient of the step, the step size and what the method carries, and gives the exact
    rational drift.

    Attributes:
        law: h.
        method: the recursion; on batches the gradient is that of the batch.
        program: theta, what is carried, "direction" (minus the gradient at the method's point) and "step_size" ->
            the drift.
        order: the leading power of the step size, once what is carried follows theta.
        leading: theta, what is carried and "direction" -> the coefficient of this power; None where it depends on the
            gradients of earlier batches.

    Source: R10, R30.

    Example:
        >>> law = sf.conservation_laws(sf.FullyConnected((1, 1, 1))).laws[0]
        >>> law.expression, law([1, 2])
        (-W1_11**2 + W2_11**2, 3)
        >>> drift = law.drift(sf.GradientDescent())
        >>> drift([1, 2], [4, 2], "1/10")  # eta^2 h(g), as <grad h, g> = 0
        Fraction(-3, 25)
        >>> print(drift.latex())
        h(\theta_{k+1})-h(\theta_k) = \eta^2h(g)
        >>> print(law.drift(sf.HeavyBall("1/2")).latex())
        h(\theta_{k+1})-h(\theta_k) = 12\,\eta^2h(g)+O(\eta^{3})
    """

    law: Polynomial
    method: Method
    program: Program
    order: int
    leading: Program | None

    def __call__(self, theta: Sequence[Any], gradient: Sequence[Any], step_size: Any, **carried: Any) -> Fraction:
        """The drift of one step.

        Args:
            theta: theta_k, P rational numbers.
            gradient: that of the step, P rational numbers.
            step_size: eta.
            carried: what the method carries, by name, such as velocity; 0 where it is left out.

        Raises:
            ProblemError: arrays of other lengths or names, or a method with roots.
        """
        given = {THETA: theta, "direction": gradient, **carried}
        known = {x.name: x for x in self.program.inputs}
        if unknown := set(given) - set(known):
            raise ProblemError(f"{self.method.name} carries no {', '.join(sorted(unknown))}; leave it out")
        values: dict[Node, np.ndarray] = {}
        for name, x in known.items():
            if name == "step_size":
                values[x] = np.array(rational(step_size, name), dtype=object)
            else:
                array = _numbers(given.get(name), x, "gradient" if name == "direction" else name)
                values[x] = -array if name == "direction" else array
        try:
            return Fraction(interpret(self.program, values, EXACT)["drift"][()])
        except TypeError:
            raise ProblemError(
                f"the drift under {self.method.name} must be rational to be exact, got one with roots; use its program"
            ) from None

    def latex(self) -> str:
        """The drift in powers of the step size."""
        return rf"h(\theta_{{k+1}})-h(\theta_k) = {_right(self)}"

    def __repr__(self) -> str:
        return f"<drift of {self.law.name} under {self.method.called}: order {self.order} in the step size>"


def drift(law: Polynomial, method: Method | None) -> Drift:
    """The drift of a law under a method.

    Raises:
        ProblemError: not a method, or one with symbols as settings.
    """
    by = GradientDescent() if method is None else method
    if not isinstance(by, Method):
        raise ProblemError(f"a method such as sf.HeavyBall(0.9) is needed, got {brief(method)}")
    by.require_numbers()
    found = recursion(by, law.count)
    theta = found.state[0]
    h = polynomial_node(law.terms, theta)
    moved = polynomial_node(law.terms, found.step[THETA])
    program = Program((*found.state, found.direction, found.step_size), {"drift": add([(1, moved), (-1, h)])})
    order, coefficient = _leading(by, h, program, theta, found.direction)
    leading = None if coefficient is None else Program((*found.state, found.direction), {"leading": coefficient})
    return Drift(law, by, program, order, leading)


def second_coefficient(method: Method) -> Fraction:
    """c_1 where the modified equation begins theta' = -c_0 g - eta c_1 H g, without weight decay and batches."""
    plain = replace(method, weight_decay=0, decoupled=False, batches=None)
    return -Fraction(terms(plain, 1)[1].get(HG, 0))


def _leading(method: Method, h: Node, program: Program, theta: Input, direction: Input) -> tuple[int, Node | None]:
    """The leading power of the step size and its coefficient."""
    slope = jvp([h], {theta: theta})[h]
    if method.speed is None:  # directions are not along the gradient: the first derivative in eta, as it is carried
        size = program.inputs[-1]
        first = jvp([program["drift"]], {size: Const(Fraction(1), ())})[program["drift"]]
        at_rest = transform([first], lambda x, _: Const(Fraction(0), ()) if x is size else None)
        return 1, at_rest[first]
    if method.weight_decay:
        return 1, scale(-method.flow_decay, slope)
    if method.batches is not None and method.carries:
        return 2, None
    first = jvp([h], {theta: direction})[h]
    return 2, scale(second_coefficient(method), jvp([first], {theta: direction})[first])


def _numbers(given: Any, x: Input, name: str) -> np.ndarray:
    """An array of rational numbers."""
    count = entries(x.axes)
    listed = [0] * count if given is None else list(given) if x.axes else [given]
    if len(listed) != count:
        raise ProblemError(f"{name} must have {count} numbers, got {len(listed)}")
    array = np.array([entry(v, f"{name}[{i}]") for i, v in enumerate(listed)], dtype=object)
    return array.reshape(tuple(int(a.size) for a in x.axes))


def _right(found: Drift) -> str:
    """The right-hand side."""
    law, method = found.law, found.method
    quadratic = law.homogeneous and law.degree == 2
    gradient = r"g_{\mathcal{B}}" if method.batches is not None else "g"
    if isinstance(method, GradientDescent) and quadratic:
        share = rf"\bigl((1-{_times(method.weight_decay)}\eta)^2-1\bigr)h(\theta_k)+" if method.weight_decay else ""
        return rf"{share}\eta^2h({gradient})"
    rest = rf"+O(\eta^{{{found.order + 1}}})"
    if method.speed is not None and not method.weight_decay and law.degree == 1:
        return "0"  # every move is a sum of gradients
    if method.speed is None:
        return rf"\eta\,\tfrac{{d}}{{d\eta}}h(\theta_{{k+1}})\big|_{{\eta=0}}{rest}"
    if method.weight_decay:
        what, power = (
            (r"h(\theta_k)", law.degree) if law.homogeneous else (r"\langle\nabla h(\theta_k),\theta_k\rangle", 1)
        )
        return rf"{_times(-method.flow_decay * power)}\eta\,{what}{rest}"
    if found.leading is None:
        return r"\int_0^1\langle\nabla h(\theta_k+s\Delta),\Delta\rangle\,ds,\quad\Delta=\theta_{k+1}-\theta_k"
    c = second_coefficient(method)
    return (rf"{_times(2 * c)}\eta^2h({gradient})" if quadratic else rf"{_times(c)}\eta^2\nabla^2h[g,g]") + rest


def _times(c: Fraction) -> str:
    return "" if c == 1 else "-" if c == -1 else rf"{rational_latex(c)}\,"
