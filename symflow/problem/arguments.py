"""Checks of the objects that public functions take: a problem, and a flow or a run of the same objective."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np

from symflow.dynamics.methods import GradientDescent
from symflow.errors import ProblemError, brief
from symflow.networks.objective import Objective
from symflow.problem.problem import Problem


def as_problem(value: object, caller: str) -> Problem:
    """The problem that was given.

    Args:
        value: what was given for it.
        caller: the function or argument that needs it, the start of the error message ("solve_flow").

    Raises:
        ProblemError: it is not a `Problem`; the message says how to make one of what was given.
    """
    if isinstance(value, Problem):
        return value
    if isinstance(value, Objective):
        remedy = "make one with sf.Problem(objective=..., theta0=...)"
    elif isinstance(value, str | os.PathLike):
        remedy = "load one with sf.load_problem(path)"
    elif isinstance(value, Mapping):
        remedy = "make one with sf.Problem(**tables)"
    else:
        remedy = "make one with sf.Problem(...) or load one with sf.load_problem(path)"
    kind = "an Objective" if isinstance(value, Objective) else brief(value)
    raise ProblemError(f"{caller} needs a problem (objective and initial weights), got {kind}; {remedy}")


def plain_descent(problem: Problem, caller: str) -> None:
    """Refuses a problem that asks for another method than gradient descent over all samples.

    Args:
        problem: what is asked about.
        caller: what is about gradient descent alone.

    Raises:
        ProblemError: it has another method.
    """
    if problem.method != GradientDescent():
        raise ProblemError(
            f"{caller} is about gradient descent, got a problem with {problem.method.called}; take "
            "problem.replace(method=sf.GradientDescent())"
        )


def same_objective(a: Objective, b: Objective) -> bool:
    """Whether two objectives are the same function of the same parameters with the same data, by content.

    Nodes are interned, so equal formulas are the same node, also where one of them was read from a file; data are
    compared as exact numbers. False does not prove that the functions differ: they may be written differently.
    """
    if a is b:
        return True
    if a.loss is not b.loss or a.parameters != b.parameters or a.data.keys() != b.data.keys():
        return False
    return all(_same_array(value, b.data[name]) for name, value in a.data.items())


def _same_array(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and bool(np.all(a == b))
