"""What is compiled ahead of a run of many lanes is what the run calls."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import numpy as np

import symflow as sf
from symflow.evaluate.threads import threads
from symflow.paths.float64.lanes import ahead
from symflow.paths.float64.lanes.compiled import Lanes, lanes
from symflow.paths.float64.lanes.run import Plan, _March
from symflow.paths.float64.lanes.state import BLOCK, State
from symflow.paths.float64.methods import x64

Kinds = dict[str, set[tuple[Any, ...]]]
FUNCTIONS = "attempt", "locate", "probe", "held"


def recorded(real: Lanes, kinds: Kinds) -> Lanes:
    """Functions that note shapes and types of their arguments, and give zeros."""

    def fake(name: str) -> Callable[..., Any]:
        def call(*arrays: np.ndarray) -> list[np.ndarray]:
            kinds[name].add(tuple((a.shape, a.dtype.name) for a in arrays))
            return [np.zeros(s.shape, s.dtype) for s in jax.eval_shape(getattr(real, name), *arrays)]

        return call

    return replace(real, **{name: fake(name) for name in FUNCTIONS})


def test_the_shapes_are_those_of_a_run() -> None:
    """A round in which some lanes hold a gate and all meet kinks; start() alone calls `probe` without slots."""
    problem = sf.Problem(
        network={"widths": [1, 1, 1], "activation": "relu"}, data={"x": [[1]], "y": [[1]]}, init={"theta": ["1/2", 1]}
    )
    prepared: Kinds = defaultdict(set)
    asked: Kinds = defaultdict(set)
    with x64(), threads() as pool:
        real = lanes(problem.compact)
        for function, arrays in ahead._calls(recorded(real, prepared)):
            function(*arrays)
        state = State.at(recorded(real, asked), pool, np.ones((BLOCK, 2)), np.full(BLOCK, 0.1))
        march = _March(state, Plan(np.ones(1), 1e-10, np.full(BLOCK, 1e-12), 10))
        march.start()
        (at_start,) = asked["probe"]
        for row in (0, 1):
            state.hold(row, 0, np.zeros(1), np.ones(1), 0.5)
        march.advance(np.arange(BLOCK))
    assert set(asked) == set(FUNCTIONS)
    asked["probe"].discard(at_start)
    assert asked == prepared
