"""Which of several equal formulas JAX evaluates."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from symflow.derivatives.derived import Derived
from symflow.derivatives.jacobians import jacobian_hessian
from symflow.derivatives.stacked import stacked_hessian
from symflow.evaluate.data_folding import partial_evaluation
from symflow.programs.nodes import Input
from symflow.programs.program import Program, entries, operation_count

ARRAY_OPERATION = 4000
"""What one operation on arrays costs, however small they are, in passes over one number."""


def cost(program: Program) -> int:
    """An estimate of the time of one evaluation, in passes over one number.

    Products are vectorized and elementwise operations fused: four scalar operations to a pass. Blocks of a matrix are
    read and written three times until they lie, with their mirror images, in their place.
    """
    outputs = program.outputs.values()
    assembly = 6 * sum(entries(x.axes) for x in outputs) if len(outputs) > 1 else 0
    return operation_count(program) // 4 + assembly + ARRAY_OPERATION * program.length


def fastest(
    derived: Derived, known: Mapping[Input, np.ndarray], dtype: np.dtype
) -> tuple[Program, dict[Input, np.ndarray]]:
    """The program to evaluate, of equal ones the cheapest, and the arrays it takes from the data."""
    programs = [derived.program]
    if derived.kind == "hessian":
        others = (stacked_hessian(derived.objective), jacobian_hessian(derived.objective))
        programs += [other.program for other in others if other is not None]
    evaluated = [partial_evaluation(p, known, dtype) for p in programs]
    return min(evaluated, key=lambda pair: cost(pair[0])) if len(evaluated) > 1 else evaluated[0]
