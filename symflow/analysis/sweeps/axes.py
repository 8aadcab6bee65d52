"""What a sweep varies, and the problems that result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import TypeVar

import numpy as np

from symflow.dynamics.method import Method
from symflow.errors import ProblemError, brief, brief_float
from symflow.networks.network import FullyConnected
from symflow.numbers.arguments import positive, whole
from symflow.numbers.rational import rational
from symflow.numbers.types import JsonObject, Number
from symflow.paths.descent import check_steps, checked_method, positive_step
from symflow.problem import Problem
from symflow.problem.arguments import as_problem
from symflow.problem.fields import MAX_DEPTH, MAX_WIDTH
from symflow.problem.initialize import DEFAULT_SCALE, initial_theta
from symflow.problem.schema import InitSection

MAX_TASKS = 100_000
"""Most tasks of one sweep."""


@dataclass(frozen=True)
class Axes:
    """The values along each axis; one None stands for "as in the base problem".

    Attributes:
        step_size: eta.
        seed: of the initialization.
        depth: n, the number of weight layers.
        width: of every hidden layer.
        scale: of the initialization.
        scheme: how theta(0) is drawn; None where the base's given theta(0) is multiplied by the scale.
    """

    step_size: tuple[Fraction | None, ...]
    seed: tuple[int | None, ...]
    depth: tuple[int | None, ...]
    width: tuple[int | None, ...]
    scale: tuple[Fraction | None, ...]
    scheme: str | None


@dataclass(frozen=True)
class Start:
    """One initial point of one architecture.

    Attributes:
        coordinates: seed, depth, width (of the hidden layers, None where they differ or there are none), widths,
            scheme and scale.
        problem: starts there; problems of one architecture share their objective, and so what is compiled for it.
    """

    coordinates: Mapping[str, object]
    problem: Problem


def axes_of(
    base: Problem, *, step_size: object, seed: object, depth: object, width: object, scale: object, scheme: str | None
) -> Axes:
    """Checked axes.

    Raises:
        ProblemError: a value of the wrong kind or out of range, or an axis that the base problem does not have.
    """
    base = as_problem(base, "a sweep")
    if base.network is None:
        raise ProblemError("base must be a network's problem, got a stand-alone objective; a sweep varies networks")
    if scheme is not None and scheme not in DEFAULT_SCALE:
        raise ProblemError(f"scheme must be one of {', '.join(DEFAULT_SCALE)}, got {brief(scheme)}")
    if scheme is None and base.drawn is not None:
        scheme = base.drawn.scheme
    axes = Axes(
        _listed(step_size, "step_size", lambda v, where: positive_step(base, rational(v, where))),
        _listed(seed, "seed", lambda v, where: whole(v, where, 0, 2**63 - 1)),
        _listed(depth, "depth", lambda v, where: whole(v, where, 1, MAX_DEPTH)),
        _listed(width, "width", lambda v, where: whole(v, where, 1, MAX_WIDTH)),
        _listed(scale, "scale", positive),
        scheme,
    )
    for name in ("seed", "depth", "width"):
        if getattr(axes, name) != (None,) and scheme is None:
            raise ProblemError(
                f"{name}: the base problem's theta(0) is given, not drawn, so that only step_size and scale can vary; "
                'give scheme="gaussian", "xavier" or "balanced" to draw it'
            )
    if (axes.depth, axes.width) != ((None,), (None,)) and not isinstance(base.network, FullyConnected):
        raise ProblemError(
            f"depth and width go with a fully-connected network, got {base.network.kind}; leave them out"
        )
    count = int(np.prod([len(v) for v in (axes.step_size, axes.seed, axes.depth, axes.width, axes.scale)]))
    if count > MAX_TASKS:
        raise ProblemError(f"a sweep must have at most {MAX_TASKS} tasks, got {count}; give fewer values")
    return axes


def with_method(base: Problem, method: Method) -> Problem:
    """The base problem with a method of descent that the sweep was given.

    Raises:
        ProblemError: something else than a method.
    """
    return as_problem(base, "a sweep").replace(method=checked_method(method))


def check_run(base: Problem, axes: Axes, horizon: Number | None) -> tuple[Fraction, tuple[Fraction, ...]]:
    """The final time and the step sizes, each of which fits it.

    Raises:
        ProblemError: one is missing, or a step is longer than the horizon.
    """
    end = base.horizon if horizon is None else positive(horizon, "horizon")
    if end is None:
        raise ProblemError("run.horizon: a sweep needs a final time, got none; give horizon=... or run.horizon")
    etas = tuple(positive_step(base, eta) for eta in axes.step_size)
    for eta in etas:
        if eta > end:
            raise ProblemError(
                f"horizon {brief_float(end)} is shorter than one step of size {brief_float(eta)}; take a longer "
                "horizon or a smaller step size"
            )
        check_steps(int(end / eta))
    return end, etas


def starts(base: Problem, axes: Axes) -> Iterator[Start]:
    """All starts, architecture by architecture.

    Raises:
        ProblemError: a network that cannot be made of the base's, or a scheme that does not fit it.
    """
    made: dict[tuple[int, ...] | None, Problem] = {}
    for depth, width in product(axes.depth, axes.width):
        widths = _widths(base, depth, width)
        if widths in made:  # one layer has no hidden width
            continue
        made[widths] = problem = _architecture(base, widths)
        for seed, scale in product(axes.seed, axes.scale):
            drawn, theta = _draw(problem, base, axes.scheme, seed, scale)
            yield Start(_shape(problem) | drawn, problem.replace(theta0=theta))


def _shape(problem: Problem) -> JsonObject:
    network = problem.network
    assert network is not None
    if not isinstance(network, FullyConnected):
        return {"depth": network.depth, "width": None, "widths": None}
    widths = [int(d) for d in network.widths]
    hidden = set(widths[1:-1])
    same = hidden.pop() if len(hidden) == 1 else None
    return {"depth": network.depth, "width": same, "widths": "-".join(map(str, widths))}


def _widths(base: Problem, depth: int | None, width: int | None) -> tuple[int, ...] | None:
    """d_0, ..., d_n with hidden layers of one width; None for the base's own."""
    if depth is None and width is None:
        return None
    assert isinstance(base.network, FullyConnected)
    own = tuple(int(d) for d in base.network.widths)
    layers = len(own) - 1 if depth is None else depth
    if width is None and layers > 1:
        hidden = set(own[1:-1])
        if len(hidden) != 1:
            raise ProblemError(
                f"depth: the base problem's widths, {'-'.join(map(str, own))}, do not say how wide {layers - 1} hidden "
                "layers are; give width=... too"
            )
        width = hidden.pop()
    hidden_widths = () if width is None else (width,) * (layers - 1)
    return (own[0], *hidden_widths, own[-1])


def _architecture(base: Problem, widths: tuple[int, ...] | None) -> Problem:
    """The base's data and loss under a network of other widths."""
    network = base.network
    if widths is None or (isinstance(network, FullyConnected) and widths == network.widths):
        return base
    tables = base.to_dict()
    table = tables["network"] | {"widths": list(widths)}
    return Problem(**tables | {"network": table, "init": {"scheme": "xavier"}})


def _draw(
    problem: Problem, base: Problem, scheme: str | None, seed: int | None, scale: Fraction | None
) -> tuple[JsonObject, Sequence[Fraction]]:
    """Where theta(0) comes from, and theta(0)."""
    if scheme is None:
        factor = Fraction(1) if scale is None else scale
        return {"seed": None, "scheme": None, "scale": factor}, [factor * value for value in base.theta0]
    own = base.drawn if base.drawn is not None and base.drawn.scheme == scheme else None
    if seed is None:
        seed = 0 if base.drawn is None else base.drawn.seed or 0
    if scale is None:
        scale = DEFAULT_SCALE[scheme] if own is None or own.scale is None else own.scale
    biases = None if own is None else own.bias_scale
    section = InitSection(scheme=scheme, seed=seed, scale=scale, bias_scale=biases)  # type: ignore[arg-type]
    assert problem.network is not None
    return {"seed": seed, "scheme": scheme, "scale": scale}, initial_theta(section, problem.network, "sweep")


T = TypeVar("T")


def _listed(values: object, name: str, read: Callable[[object, str], T]) -> tuple[T | None, ...]:
    """One value or several, each read, without repetitions."""
    if values is None:
        return (None,)
    if isinstance(values, str) or not isinstance(values, Iterable):
        values = [values]
    read_values = tuple(dict.fromkeys(read(v, name) for v in values))
    if not read_values:
        raise ProblemError(f"{name} must have at least one value, got none; leave it out for the base problem's own")
    return read_values
