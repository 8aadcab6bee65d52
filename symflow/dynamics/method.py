"""Descent methods as data: one step of a method as array expressions, which every arithmetic interprets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from fractions import Fraction
from typing import Any, ClassVar, TypeAlias

import sympy

from symflow.dynamics.batches import Batches
from symflow.errors import ProblemError, brief
from symflow.numbers.rational import rational
from symflow.programs.nodes import Add, Axis, Const, Einsum, Gate, Input, Map, Node, add, einsum, scale
from symflow.programs.program import Program

THETA = "theta"
Arrays: TypeAlias = Mapping[str, Node]
"""theta and what a method carries, by name."""


class Setting:
    """A setting of a method: given as any number, checked, and kept as an exact rational.

    A SymPy symbol is kept as it is: the formulas of `sf.modified_equation` take it; what runs a method refuses it.

    Args:
        check: (value, name) -> the rational; refuses others.
        default: where it is left out; without one it must be given.
    """

    def __init__(self, check: Callable[[Any, str], Fraction], default: Fraction | None = None) -> None:
        self.check, self.default, self.name = check, default, ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, method: Any, owner: type | None = None) -> Fraction:
        if method is not None:
            found: Fraction = method.__dict__[self.name]
            return found
        if self.default is None:
            raise AttributeError(self.name)
        return self.default

    def __set__(self, method: Any, value: Any) -> None:
        method.__dict__[self.name] = value if isinstance(value, sympy.Symbol) else self.check(value, self.name)


def share_below_one(value: Any, name: str) -> Fraction:
    """A setting in [0, 1), such as a momentum, as an exact rational.

    Raises:
        ProblemError: another value.
    """
    found = rational(value, name)
    if not 0 <= found < 1:
        raise ProblemError(f"{name} must be at least 0 and below 1, got {brief(value)}")
    return found


def not_negative(value: Any, name: str) -> Fraction:
    """A setting of at least 0 as an exact rational.

    Raises:
        ProblemError: another value.
    """
    found = rational(value, name)
    if found < 0:
        raise ProblemError(f"{name} must be at least 0, got {brief(value)}")
    return found


@dataclass(frozen=True, kw_only=True, repr=False)
class Method:
    """A recursion for theta_k: the base of `GradientDescent`, `HeavyBall` and methods of your own.

    A method is a frozen dataclass whose fields are its settings (exact rationals), with `step` for its recursion; the
    formulas are nodes of `symflow.programs.nodes`, so that one text serves float64, fixed point and exact rationals.
    Weight decay and batches come from here, for every method.

    Attributes:
        weight_decay: lambda >= 0, an exact rational. Coupled, the gradient of a step becomes g(y) + lambda y, y the
            point where it is taken: the method runs on f + (lambda/2)||theta||^2. PyTorch's `weight_decay` of SGD,
            RMSprop and Adam is this one.
        decoupled: theta is multiplied by 1 - eta lambda before the method's move instead, which then knows nothing of
            the decay (AdamW, Loshchilov & Hutter 2019). For gradient descent both are the same.
        batches: which samples the gradient of each step is taken over, a `Batches`; None: all of them.
        name: in words, for messages.
        carries: names of the arrays of P numbers that it carries from step to step besides theta; 0 at the start.
        counts: names of the single numbers that it carries, likewise.

    Raises:
        ProblemError: a weight decay below 0, `decoupled` that is neither True nor False, or something else as batches.

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

    weight_decay: Setting = Setting(not_negative, Fraction(0))
    decoupled: bool = False
    batches: Batches | None = None
    name: ClassVar[str] = "descent"
    carries: ClassVar[tuple[str, ...]] = ()
    counts: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        for key in (f.name for f in fields(self) if isinstance(f.default, bool)):
            if not isinstance(getattr(self, key), bool):
                raise ProblemError(f"{key} must be True or False, got {brief(getattr(self, key))}")
        if self.batches is not None and not isinstance(self.batches, Batches):
            raise ProblemError(f"batches must be a Batches such as sf.Batches(8), got {brief(self.batches)}")

    @property
    def symbols(self) -> tuple[sympy.Symbol, ...]:
        """The settings that are symbols, by name."""
        return tuple(sorted({x for x in vars(self).values() if isinstance(x, sympy.Symbol)}, key=str))

    def require_numbers(self) -> None:
        """Refuses symbols as settings.

        Raises:
            ProblemError: there are such.
        """
        if self.symbols:
            raise ProblemError(
                f"this needs a number for {self.symbols[0]}, which is a symbol in {brief(self)}; only formulas take "
                "symbols"
            )

    @property
    def speed(self) -> Fraction | None:
        """c where small steps move along -c times the gradient (t = k eta); None where they move in another way."""
        return None

    @property
    def flow_rate(self) -> Fraction | None:
        """c where the flow of order 0 is theta' = -c grad f(theta) (t = k eta); None where it is another one."""
        return None if self.weight_decay else self.speed

    @property
    def flow_decay(self) -> Fraction:
        """d where the flow of order 0 is theta' = -c grad f(theta) - d theta, c the `speed`."""
        return self.weight_decay if self.decoupled else self.weight_decay * (self.speed or 0)

    @property
    def called(self) -> str:
        """The name, with weight decay and batches where there are any."""
        decay = f" with {'decoupled ' if self.decoupled else ''}weight decay" if self.weight_decay else ""
        return f"{self.name}{decay}{' on batches' if self.batches else ''}"

    def point(self, now: Arrays) -> Node:
        """Where the gradient of a step is taken: at theta_k, unless the method says otherwise."""
        return now[THETA]

    def step(self, now: Arrays, gradient: Node, step_size: Node) -> Arrays:
        """theta_{k+1} and what is carried, from those of step k, the gradient at `point` and eta (a scalar node)."""
        raise NotImplementedError(f"{type(self).__name__} must define step, its recursion")

    def settings(self) -> dict[str, Any]:
        """What differs from the defaults, by name, the method's own settings first."""
        own = sorted(fields(self), key=lambda f: f.kw_only is True)
        return {f.name: value for f in own if (value := getattr(self, f.name)) != f.default or f.default is MISSING}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.settings().items())})"


@dataclass(frozen=True, eq=False)
class Recursion:
    """A method as programs on P parameters.

    Attributes:
        state: the inputs theta_k and what is carried, arrays of P numbers and then single numbers.
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
    """The programs of a method, with its weight decay.

    Args:
        method: the recursion.
        count: P.
        step_size: eta, where the programs are for this one alone: it then multiplies exactly, with one rounding a step.

    Raises:
        ValueError: `step` does not give theta and exactly what the method carries.
    """
    axes = (Axis("parameter", count),)
    arrays = (THETA, *method.carries)
    state = tuple(Input(name, axes if name in arrays else (), "state", name) for name in (*arrays, *method.counts))
    direction, eta = Input("direction", axes, "state", "-g"), Input("step_size", (), "hyper", r"\eta")
    now: dict[str, Node] = {x.name: x for x in state}
    size: Node = eta if step_size is None else Const(step_size, ())
    point, gradient, decay = method.point(now), scale(-1, direction), method.weight_decay
    if method.decoupled:
        moved = now | {THETA: add([(1, now[THETA]), (-decay, times(size, now[THETA]))])}
    else:
        gradient, moved = add([(1, gradient), (decay, point)]), now
    new = method.step(moved, gradient, size)
    if set(new) != set(now):
        raise ValueError(f"{method!r}: step must give {', '.join(now)}, got {', '.join(new)}")
    inputs = (*state, direction, eta)
    return Recursion(
        state, direction, eta, Program(state, {THETA: point}), Program(inputs, {name: new[name] for name in now})
    )


def entrywise(programs: Recursion) -> bool:
    """Whether each entry of the point and of the next state comes of the same entry of all arrays, as written."""
    return all(_entrywise(x) for x in (*programs.point.nodes, *programs.step.nodes))


def _entrywise(x: Node) -> bool:
    if isinstance(x, Einsum):
        return all(used in ((), x.out) for used in x.labels)
    return isinstance(x, Input | Const | Add | Map | Gate)


def state_sizes(method: Method, count: int) -> list[int]:
    """How many numbers theta and each thing that is carried have, for P parameters."""
    return [count] * (1 + len(method.carries)) + [1] * len(method.counts)


def times(scalar: Node, array: Node) -> Node:
    """A scalar node, such as the step size, times an array."""
    labels = tuple(range(len(array.axes)))
    return einsum((scalar, array), ((), labels), labels)
