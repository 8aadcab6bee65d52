"""Conditions that end a flow: the first time at which a quantity reaches a value, located to all digits.

The quantity's program joins the power-series recurrences of the flow, so that on every Taylor step q(theta(t)) - value
is known as a polynomial to the working precision; its zeros are isolated like those of the gates' pre-activations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Any, Literal, TypeAlias

import mpmath
import numpy as np
import sympy

from symflow.derivatives.derived import Derived
from symflow.displays import displayed
from symflow.dynamics.vector_field import VectorField
from symflow.errors import ProblemError, brief
from symflow.evaluate.interpret import interpret
from symflow.evaluate.object_arrays import EXACT
from symflow.networks.objective import Objective, expression_objective
from symflow.numbers.rational import mpf, rational
from symflow.numbers.types import Mpf, Number
from symflow.programs.nodes import Const, Einsum, Gate, Input, Node, add, inner
from symflow.programs.program import Program, shape_of, substitute, topological

Direction = Literal["falls", "rises", "crosses"]
Quantity: TypeAlias = str | Derived | sympy.Expr | Callable[[list[Any]], Any]
LOSS, GRADIENT_NORM = "loss", "gradient norm"
VALUE = "the value of a stop"


@displayed
@dataclass(frozen=True)
class Stop:
    """T = inf {t >= 0 : q(theta(t)) = value}, or <= value ("falls"), or >= value ("rises"): ends a flow at T.

    A condition that holds at t = 0 already ends the flow there, with horizon 0. Where q jumps across the value at a
    kink (as gradients do), T is the time of the kink. A quantity that only touches its value, or comes so near to it
    that the working precision cannot tell the two cases apart, is a `FlowStopped` error and is never guessed.

    Attributes:
        quantity: "loss" f(theta); "gradient norm" ||theta'||, which is ||grad f|| off kinks and the norm of the
            subgradient that the flow follows on them; a scalar `Derived` of the objective that flows; a SymPy
            expression in the entries of theta, named as `explicit()` names them (W1_12, W2_11, ...; the variables of
            a stand-alone objective); or a function that makes such an expression from the list of weight arrays, such
            as `lambda w: w[1].dot(w[0])[0, 0]`.
        value: a rational.
        direction: "falls", "rises", or "crosses": reached from the side on which it starts.

    Raises:
        ProblemError: a quantity or direction of another kind, a value that is not a number, or a gradient norm that is
            not positive.

    Example:
        >>> stop = sf.Stop(lambda w: w[1].dot(w[0])[0, 0], "3/4", "rises")  # W_2 W_1, the end-to-end matrix
        >>> problem = sf.Problem(network=sf.FullyConnected((1, 1, 1)), data={"x": [1], "y": [1]},
        ...                      init={"theta": ["1/2", 1]})
        >>> flow = sf.solve_flow(problem, horizon=4, dps=15, stop=stop)
        >>> round(flow.stopped.time, 10), round(flow.end_to_end(flow.horizon)[0, 0], 10)
        (0.4703303889, 0.75)
    """

    quantity: Quantity
    value: Fraction
    direction: Direction = "crosses"

    def __post_init__(self) -> None:
        if self.direction not in ("falls", "rises", "crosses"):
            raise ProblemError(f'direction must be "falls", "rises" or "crosses", got {brief(self.direction)}')
        if isinstance(self.quantity, str) and self.quantity not in (LOSS, GRADIENT_NORM):
            raise ProblemError(
                f'the quantity of a stop must be "loss", "gradient norm", a scalar result of symflow, a SymPy '
                f"expression or a function that makes one, got the text {brief(self.quantity)}; text is never evaluated"
            )
        object.__setattr__(self, "value", rational(self.value, VALUE))
        if self.quantity == GRADIENT_NORM and self.value <= 0:
            raise ProblemError(
                f"a gradient norm at which a flow stops must be positive, got {brief(self.value)}; no flow "
                "reaches 0 in finite time"
            )

    def __str__(self) -> str:
        if isinstance(self.quantity, str):
            name = self.quantity
        elif isinstance(self.quantity, Derived):
            name = self.quantity.kind
        else:
            name = "quantity" if callable(self.quantity) else brief(self.quantity)
        verb = "crosses" if self.direction == "crosses" else f"{self.direction} to"
        return f"{name} {verb} {_shown(self.value)}"

    @property
    def satisfied(self) -> int:
        """The sign of q - value with which the condition holds, 0 if none does: it must be crossed."""
        return {"falls": -1, "rises": 1, "crosses": 0}[self.direction]

    @property
    def digits(self) -> int:
        """Digits by which the quantity must be known better than the time at which it reaches a small value.

        Near a minimum of f both f and its decay -||grad f||^2 are of the size of the value.
        """
        size = self.value**2 if self.quantity == GRADIENT_NORM else abs(self.value)
        return 0 if not 0 < size < 1 else ceil(float(-mpmath.log10(mpf(size))))


def stop_at_loss(value: Number) -> Stop:
    """T = inf {t >= 0 : f(theta(t)) <= value}: ends a flow when the loss falls to a value.

    Args:
        value: the loss (text, a rational or mpmath number, or a float, which means its shortest decimal).

    Returns:
        A `Stop` for `solve_flow(stop=...)` and `solve_flow_float64(stop=...)`.

    Raises:
        ProblemError: a value that is not a number.

    Example:
        >>> problem = sf.Problem(network=sf.FullyConnected((1, 1)), data={"x": [1], "y": [1]}, init={"theta": [0]})
        >>> flow = sf.solve_flow(problem, horizon=10, dps=15, stop=sf.stop_at_loss("1/1000"))
        >>> flow.stopped.condition, round(flow.stopped.time, 6)
        ('loss falls to 0.001', 3.107304)
    """
    return Stop(LOSS, rational(value, VALUE), "falls")


def stop_at_gradient_norm(value: Number) -> Stop:
    """T = inf {t >= 0 : ||theta'(t)|| <= value}: ends a flow when the norm of the gradient falls to a value.

    On a kink that the flow slides along, theta' is minus the subgradient that it follows.

    Args:
        value: the Euclidean norm, > 0 (text, a rational or mpmath number, or a float, which means its shortest
            decimal).

    Returns:
        A `Stop` for `solve_flow(stop=...)` and `solve_flow_float64(stop=...)`.

    Raises:
        ProblemError: a value that is not a positive number.

    Example:
        >>> problem = sf.Problem(network=sf.FullyConnected((1, 1)), data={"x": [1], "y": [1]}, init={"theta": [0]})
        >>> flow = sf.solve_flow(problem, horizon=10, dps=15, stop=sf.stop_at_gradient_norm("1/100"))
        >>> round(flow.stopped.time, 6)  # log(100)
        4.60517
    """
    return Stop(GRADIENT_NORM, rational(value, VALUE), "falls")


def stop_when(quantity: Quantity, value: Number, direction: Direction = "crosses") -> Stop:
    """T = inf {t >= 0 : q(theta(t)) = value}, or <= value, or >= value: ends a flow when a quantity q reaches a value.

    Args:
        quantity: q: "loss", "gradient norm", a scalar `Derived`, a SymPy expression in the entries of theta, or a
            function from the list of weight arrays to such an expression; see `Stop`.
        value: the value (text, a rational or mpmath number, or a float, which means its shortest decimal).
        direction: "falls" (<= value), "rises" (>= value), or "crosses" (= value, from the side on which q starts).

    Returns:
        A `Stop` for `solve_flow(stop=...)` and `solve_flow_float64(stop=...)`.

    Raises:
        ProblemError: a quantity or direction of another kind, a value that is not a number, or a gradient norm that is
            not positive.

    Example:
        >>> problem = sf.Problem(network=sf.FullyConnected((1, 1, 1)), data={"x": [1], "y": [1]},
        ...                      init={"theta": ["1/10", 1]})
        >>> stop = sf.stop_when(lambda w: w[0][0, 0] - w[1][0, 0] / 2, 0)  # W_1 = W_2/2
        >>> flow = sf.solve_flow(problem, horizon=10, dps=15, stop=stop)
        >>> flow.numpy(flow.horizon).round(6)
        array([0.574456, 1.148913])
    """
    return Stop(quantity, rational(value, VALUE), direction)


def _shown(value: Fraction) -> str:
    return str(mpmath.nstr(mpf(value), 8)).removesuffix(".0").replace(".0e", "e")


@displayed
@dataclass(frozen=True)
class Stopped:
    """T, the time at which a condition ended a flow.

    Attributes:
        condition: which one, in words.
        time: T, an mpf with all digits; the trajectory ends there.
        error_estimate: estimated error of T (mpf): twice the difference from the crossing of a second run at other
            order and precision; None if none was made.

    Example:
        >>> problem = sf.Problem(network=sf.FullyConnected((1, 1)), data={"x": [1], "y": [1]}, init={"theta": [0]})
        >>> stopped = sf.solve_flow(problem, horizon=10, dps=15, stop=sf.stop_at_loss("1/8")).stopped
        >>> stopped.condition, round(stopped.time, 12), stopped.error_estimate < 1e-15
        ('loss falls to 0.125', 0.69314718056, True)
    """

    condition: str
    time: Mpf
    error_estimate: Mpf = None


@dataclass(frozen=True)
class Monitor:
    """A condition as a program.

    Attributes:
        stop: the condition.
        node: q - value; None for the gradient norm, whose program is the field's.
        data: what it needs besides the data of the field's objective.
        reads_slopes: whether it depends on gates other than through activations, so that it has no meaning while one
            of them slides.
    """

    stop: Stop
    node: Node | None
    data: Mapping[Input, np.ndarray]
    reads_slopes: bool = False


def monitors(stops: Stop | Sequence[Stop], field: VectorField) -> tuple[Monitor, ...]:
    """The programs of some conditions on the solution of a field.

    Raises:
        ProblemError: something other than a `Stop`, or a quantity that is not one of this objective.
    """
    return tuple(_monitor(stop, field) for stop in listed_stops(stops))


def listed_stops(stops: object) -> tuple[Stop, ...]:
    """One condition or several.

    Raises:
        ProblemError: something other than a `Stop`.
    """
    listed = tuple(stops) if isinstance(stops, Iterable) and not isinstance(stops, str) else (stops,)
    for stop in listed:
        if not isinstance(stop, Stop):
            raise ProblemError(f"stop must be a Stop or a list of them, got {brief(stop)}; see sf.stop_when")
    return listed


def _monitor(stop: Stop, field: VectorField) -> Monitor:
    q = stop.quantity
    if q == GRADIENT_NORM:
        return Monitor(stop, None, {})
    data: dict[Input, np.ndarray] = {}
    if q == LOSS:
        objective = field.objective
        loss = objective.sample_loss
        if loss is not None and loss.known.nonnegative and stop.value <= 0:
            raise ProblemError(
                f"the value of a stop at the loss must be positive, got {brief(stop.value)}; the {loss.kind} loss does "
                "not fall to zero in finite time"
            )
        node = objective.loss
    elif isinstance(q, Derived):
        if q.shape != "scalar" or q.directions:
            raise ProblemError(f"the quantity of a stop must be a scalar of theta alone, got {q!r}")
        (node,) = q.program.outputs.values()
        data = dict(q.objective.data)
    else:
        node, data = _from_expression(q, field)
    _check_inputs(node, data, field)
    return Monitor(stop, _minus(node, stop.value), data, q != LOSS and not _acts_only(node))


def _minus(node: Node, value: Fraction) -> Node:
    return add([(1, node), (-value, Const(Fraction(1), ()))])


def _from_expression(q: Quantity, field: VectorField) -> tuple[Node, dict[Input, np.ndarray]]:
    """The program of a SymPy expression in the entries of theta, and the constants that pick the entries."""
    from symflow.evaluate.sympy_scalars import scalar_symbols

    variables = field.state if field.source is None else field.source.parameters
    arrays = [np.array(field.symbols[w], dtype=object) if w in field.symbols else scalar_symbols(w) for w in variables]
    expression = q
    if not isinstance(q, sympy.Basic) and callable(q):
        try:
            expression = q([a if a.shape else a[()] for a in arrays])
        except Exception as error:
            raise ProblemError(
                f"the quantity of a stop must be a function of the list of {len(arrays)} weight arrays, but it fails "
                f"with {type(error).__name__}: {error}"
            ) from error
    if not isinstance(expression, sympy.Expr):
        raise ProblemError(f"the quantity of a stop must be a scalar SymPy expression, got {brief(expression)}")
    known = {str(s): s for a in arrays for s in a.reshape(-1)}
    expression = expression.xreplace({s: known[str(s)] for s in expression.free_symbols if str(s) in known})
    used = sorted((s for s in known.values() if s in expression.free_symbols), key=str)
    try:
        program = expression_objective(expression, used).program
    except ValueError as error:
        raise ProblemError(f"the quantity of a stop: {error}") from None
    places: dict[str, Node] = {}
    data: dict[Input, np.ndarray] = {}
    for w, array in zip(variables, arrays, strict=True):
        for index, symbol in np.ndenumerate(array):
            if symbol in used:
                places[str(symbol)] = w
                if index:
                    pick = Input(f"entry_{symbol}", w.axes, "data", rf"E_{{{symbol}}}")
                    data[pick] = _unit(shape_of(w.axes), index)
                    places[str(symbol)] = inner(pick, w)
    return substitute(program, {x: places[x.name] for x in program.inputs})["f"], data


def _unit(shape: tuple[int, ...], index: tuple[int, ...]) -> np.ndarray:
    array = np.full(shape, Fraction(0), dtype=object)
    array[index] = Fraction(1)
    return array


def _check_inputs(node: Node, data: Mapping[Input, np.ndarray], field: VectorField) -> None:
    """Refuses a quantity of another objective."""
    own = field.data
    gates = set(field.gates)
    remedy = "derive it from the objective of the problem that flows"
    for x in topological([node]):
        if isinstance(x, Gate) and x not in gates:
            raise ProblemError(f"the quantity of a stop has gates that the flow does not have; {remedy}")
        if not isinstance(x, Input) or x in field.state:
            continue
        if x not in own and x not in data:
            raise ProblemError(f"the quantity of a stop needs {x.name}, which is unknown here; {remedy}")
        if x in own and x in data and not np.array_equal(own[x], data[x]):
            raise ProblemError(f"the quantity of a stop has other data {x.name} than the flow; {remedy}")


def _acts_only(node: Node) -> bool:
    """Whether every gate is used as sigma(z) = gate * z: then it does not matter where a gate stands while z = 0."""
    for x in topological([node]):
        for g in x.arguments:
            if isinstance(g, Gate) and not (
                isinstance(x, Einsum) and set(x.args) == {g, g.z} and len(x.args) == 2 and x.labels[0] == x.labels[1]
            ):
                return False
    return True


def watched(flow: VectorField, conditions: Sequence[Monitor]) -> VectorField:
    """A field (the flow, or one held on kinks) with q - value of every condition as its last outputs."""
    objective = flow.source
    moving = flow.state if objective is None else objective.parameters
    outputs = dict(flow.program.outputs)
    data: dict[Input, np.ndarray] = {}
    velocity = [outputs[name] for name, x in zip(outputs, flow.state, strict=False) if x in moving]
    for i, monitor in enumerate(conditions):
        node = monitor.node
        if node is None:
            node = _minus(add([(1, inner(v, v)) for v in velocity]), monitor.stop.value**2)
        outputs[f"stop_{i}"] = node
        data |= {x: a for x, a in monitor.data.items() if x not in flow.data}
    program = Program((*flow.program.inputs, *(x for x in data if x not in flow.program.inputs)), outputs)
    if objective is None:
        return VectorField(program, flow.state, data={**flow.data, **data})
    known = Program((*objective.program.inputs, *data), {"f": objective.loss})
    extended = Objective(known, objective.parameters, {**objective.data, **data}, objective.network, objective.symbols)
    return VectorField(program, flow.state, extended, flow.slides)


def holds_exactly(monitor: Monitor, field: VectorField, state: Sequence[Fraction]) -> bool:
    """Whether q = value at a rational state, in exact arithmetic; False also where q is irrational."""
    flow = watched(field, [monitor])
    program = Program(flow.program.inputs, {"q": flow.program["stop_0"]})
    values = dict(flow.data)
    rest = list(state)
    for x in flow.state:
        array = np.empty(shape_of(x.axes), dtype=object)
        for index in np.ndindex(array.shape):
            array[index] = rest.pop(0)
        values[x] = array
    try:
        found = interpret(program, values, EXACT)["q"]
    except TypeError:
        return False
    return bool(found[()] == 0)
