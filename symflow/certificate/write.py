"""The certificate of a statement as a JSON object: the problem, descent, the flow's steps with their claims."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

from symflow.certificate import certificate_check as checker
from symflow.numbers.rational import text
from symflow.problem import Problem


def problem_table(problem: Problem) -> dict:
    """The problem's numbers, every one of them exact."""
    network, loss = problem.network, problem.objective.sample_loss
    return {
        "widths": list(network.widths),
        "alpha": text(network.alpha),
        "alpha_bar": text(network.alpha_bar),
        "loss": loss.kind,
        "x": [[text(v) for v in row] for row in problem.x],
        "y": [[text(v) for v in row] for row in problem.y],
        "theta0": [text(v) for v in problem.theta0],
    }
