"""Descent methods as data: one step of a method as array expressions, which every arithmetic interprets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar, TypeAlias

from symflow.errors import ProblemError, brief
from symflow.numbers.rational import rational
from symflow.programs.nodes import Axis, Const, Input, Node, einsum, scale
from symflow.programs.program import Program

THETA = "theta"
Arrays: TypeAlias = Mapping[str, Node]
"""theta and what a method carries, by name; each has the P entries of theta."""


@dataclass(frozen=True)
class Method:
    """A recursion for theta_k: the base of `GradientDescent`, `HeavyBall` and methods of your own.

    A method is a frozen dataclass whose fields are its settings (exact rationals), with `step` for its recursion; the
    formulas are nodes of `symflow.programs.nodes`, so that one text serves float64, fixed point and exact rationals.

    Attributes:
        name: in words, for messages.
        carries: names of the arrays of P numbers that it carries from step to step besides theta; 0 at the start.
        batches: which samples the gradient of a step is taken over; None, the only choice so far, is all of them.

    Example:
        >>> from dataclasses import dataclass
        >>> import symflow as sf
        >>> from symflow.dynamics.method import times
        >>> from symflow.programs.nodes import add
        >>> @dataclass(frozen=True)
        ... class Double(sf.Method):
        ...     name = "descent at twice the step size"
        ...     def step(self, now, gradient, step_size):
        ...         return {"theta": add([(1, now["theta"]), (-2, times(step_size, gradient))])}
        >>> problem = sf.load_problem("examples/linear.toml")
        >>> twice = sf.descend(problem, step_size="1/100", steps=1, method=Double()).iterates
        >>> plain = sf.descend(problem, step_size="1/50", steps=1).iterates
        >>> bool(abs(twice - plain).max() < 1e-15)
        True
    """

    name: ClassVar[str] = "descent"
    carries: ClassVar[tuple[str, ...]] = ()
    batches: ClassVar[None] = None

    @property
    def flow_rate(self) -> Fraction | None:
        """c where the flow of order 0 is theta' = -c grad f(theta) (t = k eta); None where it is another one."""
        return None

    def point(self, now: Arrays) -> Node:
        """Where the gradient of a step is taken: at theta_k, unless the method says otherwise."""
        return now[THETA]

    def step(self, now: Arrays, gradient: Node, step_size: Node) -> Arrays:
        """theta_{k+1} and what is carried, from those of step k, the gradient at `point` and eta (a scalar node)."""
        raise NotImplementedError(f"{type(self).__name__} must define step, its recursion")


@dataclass(frozen=True, eq=False)
class Recursion:
    """A method as programs on P parameters.

    Attributes:
        state: the inputs theta_k and what is carried.
        direction: the input -grad f, taken where `point` says (descent's velocity, as the field of the flow has it).
        step_size: the input eta; unused where the programs were made for one step size.
        point: theta_k and what is carried -> where the gradient is taken.
        step: these, the direction and eta -> the next state, in the order of `state`.
    """

    state: tuple[Input, ...]
    direction: Input
    step_size: Input
    point: Program
    step: Program


def recursion(method: Method, count: int, step_size: Fraction | None = None) -> Recursion:
    """The programs of a method.

    Args:
        method: the recursion.
        count: P.
        step_size: eta, where the programs are for this one alone: it then multiplies exactly, with one rounding a step.

    Raises:
        ValueError: `step` does not give theta and exactly what the method carries.
    """
    axes = (Axis("parameter", count),)
    names = (THETA, *method.carries)
    state = tuple(Input(name, axes, "state", name) for name in names)
    direction, eta = Input("direction", axes, "state", "-g"), Input("step_size", (), "hyper", r"\eta")
    now: dict[str, Node] = dict(zip(names, state, strict=True))
    size: Node = eta if step_size is None else Const(step_size, ())
    new = method.step(now, scale(-1, direction), size)
    if set(new) != set(names):
        raise ValueError(f"{method!r}: step must give {', '.join(names)}, got {', '.join(new)}")
    inputs = (*state, direction, eta)
    return Recursion(
        state,
        direction,
        eta,
        Program(state, {THETA: method.point(now)}),
        Program(inputs, {name: new[name] for name in names}),
    )


def times(scalar: Node, array: Node) -> Node:
    """A scalar node, such as the step size, times an array."""
    labels = tuple(range(len(array.axes)))
    return einsum((scalar, array), ((), labels), labels)


def share_below_one(value: Any, name: str) -> Fraction:
    """A setting in [0, 1), such as a momentum, as an exact rational.

    Raises:
        ProblemError: another value.
    """
    found = rational(value, name)
    if not 0 <= found < 1:
        raise ProblemError(f"{name} must be at least 0 and below 1, got {brief(value)}")
    return found
