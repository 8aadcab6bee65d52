"""One walk over a program, for every arithmetic that evaluates whole arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from symflow.programs.nodes import Node
from symflow.programs.program import Program
from symflow.programs.rules.arithmetic import Arithmetic, Array


def interpret(program: Program, values: Mapping[Any, Array], arithmetic: Arithmetic) -> dict[str, Array]:
    """Evaluates a program.

    Args:
        program: what to evaluate.
        values: an array of the arithmetic's kind for each input that is used, and for other nodes that are known.
        arithmetic: how to compute.

    Returns:
        The outputs by name.

    Raises:
        ValueError: an input has no value.
        TypeError: the arithmetic does not have an operation of the program.
    """
    done: dict[Node, Array] = {}
    for x in program.nodes:
        done[x] = values[x] if x in values else x.evaluate([done[a] for a in x.arguments], arithmetic)
    return {name: done[x] for name, x in program.outputs.items()}
