"""One epoch of descent on batches, in every order of the batches, in exact rationals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from math import factorial

import numpy as np
from gmpy2 import mpq

from symflow.dynamics.batches import Batches, Lists
from symflow.dynamics.method import Method
from symflow.errors import ProblemError
from symflow.networks.batches import sample_count
from symflow.numbers.types import Number
from symflow.paths.descent import checked_method, positive_step
from symflow.paths.loops import MethodStep, Steps, exact_start, exact_step, fraction
from symflow.problem import Problem
from symflow.problem.arguments import as_problem

MOST_BATCHES = 6
"""Most batches whose orders are all run: 720 of them."""


@dataclass(frozen=True, eq=False)
class EpochOrders:
    """Where one epoch of m batches ends, for each of the m! orders of the batches.

    Attributes:
        method: the recursion; its own order of the batches does not matter.
        step_size: eta of each batch, so that the time of the epoch is m eta.
        batches: the samples of each of the m batches.
        orders: the permutations of 0, ..., m - 1, in lexicographic order.
        ends: theta_m for each of them, object array of `Fraction`, shape (m!, P).

    Example:
        >>> problem = sf.Problem(network=sf.FullyConnected((1, 1)), data={"x": [1, 2], "y": [1, 0]},
        ...                      init={"theta": [1]})
        >>> method = sf.GradientDescent(batches=sf.Batches(1))
        >>> found = sf.epoch_orders(problem, step_size="1/10", method=method)
        >>> found.orders, found.ends.tolist(), found.mean
        (((0, 1), (1, 0)), [[Fraction(3, 5)], [Fraction(16, 25)]], array([Fraction(31, 50)], dtype=object))
    """

    method: Method
    step_size: Fraction
    batches: Lists
    orders: Lists
    ends: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """The mean end over all orders, shape (P,): what R29 is about."""
        return np.asarray(self.ends.sum(axis=0) / Fraction(len(self.ends)))

    def __repr__(self) -> str:
        return f"<one epoch of {len(self.batches)} batches of {self.method.name} in all {len(self.orders)} orders>"


def epoch_orders(problem: Problem, *, step_size: Number | None = None, method: Method | None = None) -> EpochOrders:
    """theta after one step with each of m batches, for all m! orders of them, exactly.

    Every run starts at theta0, with nothing carried. Orders that begin alike share their first steps.

    Args:
        problem: what to minimize; its loss must be rational (square loss).
        step_size: eta of a step; the problem's own if left out.
        method: with batches that are cut in turn (`sf.Batches(size)`) or listed, at most 6 of them; the problem's own
            if left out. The recursion must be rational: gradient descent, heavy ball or Nesterov's method.

    Returns:
        An `EpochOrders`, whose `ends` and `mean` are exact rationals.

    Raises:
        ProblemError: no batches, more than 6, batches that are drawn, or a recursion or loss that is not rational.

    Source: R29, which it makes checkable exactly: Smith, Dherin, Barrett & De 2021.

    Example:
        >>> problem = sf.load_problem("examples/linear.toml")
        >>> method = sf.HeavyBall("1/2", batches=sf.Batches(order=[[0], [1, 2]]))
        >>> sf.epoch_orders(problem, step_size="1/10", method=method)
        <one epoch of 2 batches of heavy ball in all 2 orders>
    """
    problem = as_problem(problem, "epoch_orders")
    eta, method = positive_step(problem, step_size), checked_method(method, problem)
    if method.batches is None:
        raise ProblemError("epoch_orders needs batches; give a method with them, sf.GradientDescent(batches=...)")
    if not method.batches.repeats:
        raise ProblemError(
            f'epoch_orders takes batches that every epoch has, "cyclic" or listed, got {method.batches.order!r}; all '
            "their orders are run"
        )
    samples = sample_count(problem.objective)
    lists = method.batches.lists(samples, method.batches.epoch(samples))
    if len(lists) > MOST_BATCHES:
        raise ProblemError(
            f"epoch_orders runs all orders of at most {MOST_BATCHES} batches, got {len(lists)} "
            f"({factorial(len(lists))} orders); take larger batches"
        )
    steps = Steps(problem.objective, replace(method, batches=Batches(order=lists)), eta, len(lists))
    with exact_step(steps) as step:
        found = list(_orders(step, exact_start(steps, problem.theta0), (), tuple(range(len(lists)))))
    ends = np.empty((len(found), len(problem.theta0)), dtype=object)
    for row, (_, state) in zip(ends, found, strict=True):
        row[:] = [fraction(q) for q in state[: len(row)]]
    return EpochOrders(method, eta, lists, tuple(order for order, _ in found), ends)


def _orders(
    step: MethodStep, state: list[mpq], done: tuple[int, ...], left: tuple[int, ...]
) -> Iterator[tuple[tuple[int, ...], list[mpq]]]:
    """All orders of what is left, and where they end."""
    if not left:
        yield done, state
    for k in left:
        yield from _orders(step, step(state, k), (*done, k), tuple(i for i in left if i != k))
