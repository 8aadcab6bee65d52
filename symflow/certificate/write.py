"""The certificate of a statement: what it covers, the JSON object, its proof by the checker, and the checker itself."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from importlib.resources import files

import flint

from symflow.certificate import certificate_check as checker
from symflow.certificate.numbers import Table
from symflow.dynamics.method import Method
from symflow.dynamics.methods.gradient_descent import GradientDescent
from symflow.dynamics.methods.heavy_ball import HeavyBall
from symflow.networks.losses import SQUARE
from symflow.networks.network import FullyConnected
from symflow.numbers.balls import ball_precision
from symflow.numbers.rational import text
from symflow.problem import Problem

FORMAT = 1
CHECKER = "certificate_check.py"


def not_covered(problem: Problem, method: Method) -> str | None:
    """Why the checker does not cover a problem; None where it does."""
    network, loss = problem.network, problem.objective.sample_loss or SQUARE
    if network is None or problem.x is None:
        return "the checker covers networks, not stand-alone objectives"
    if not isinstance(network, FullyConnected):
        return f"the checker covers fully connected networks, not {network.kind} ones"
    if network.not_homogeneous is not None:
        return f"the checker covers layers of matrices with homogeneous activations alone: {network.not_homogeneous}"
    if loss.kind not in checker.LOSSES:
        return f"the checker covers the losses {', '.join(checker.LOSSES)}, not {loss.kind}"
    if not isinstance(method, GradientDescent | HeavyBall) or method.called != method.name:
        return f"the checker covers gradient descent and heavy ball, not {method.called}"
    return None


def problem_table(problem: Problem) -> Table:
    """The numbers of a problem that the checker covers, every one of them exact."""
    network, loss = problem.network, problem.objective.sample_loss or SQUARE
    assert isinstance(network, FullyConnected)
    assert problem.x is not None
    assert problem.y is not None
    return {
        "widths": [int(d) for d in network.widths],
        "alpha": text(network.alpha),
        "alpha_bar": text(network.alpha_bar),
        "loss": loss.kind,
        "x": [[text(v) for v in row] for row in problem.x],
        "y": [[text(v) for v in row] for row in problem.y],
        "theta0": [text(v) for v in problem.theta0],
    }


def document(
    problem: Problem, descent: Table, flow: Sequence[Table], claims: Sequence[Table], bits: int, statement: str
) -> Table:
    """A certificate.

    Args:
        problem: what it is about.
        descent: step size, momentum, steps and bits of descent.
        flow: the steps of the flow with their claims; none where no claim is about the flow.
        claims: what is stated.
        bits: of the balls for the flow.
        statement: the claims in words; not read by the checker.
    """
    return {
        "format": FORMAT,
        "statement": statement,
        "problem": problem_table(problem),
        "descent": descent,
        "precision": bits,
        "flow": list(flow),
        "claims": list(claims),
    }


@contextmanager
def checking(bits: int) -> Iterator[None]:
    """In the block FLINT's settings and the longest text of a number are the checker's; afterwards what they were."""
    with ball_precision(bits):
        length, digits = flint.ctx.cap, sys.get_int_max_str_digits()
        sys.set_int_max_str_digits(0)
        try:
            yield
        finally:
            flint.ctx.cap = length
            sys.set_int_max_str_digits(digits)


def proved(certificate: Table) -> list[str]:
    """What the checker proves of a certificate, in words.

    Raises:
        Rejected: an inequality that it could not prove.
    """
    with checking(64):
        return list(checker.prove(certificate))


def to_bytes(certificate: Table) -> bytes:
    """The file."""
    return (json.dumps(certificate, separators=(",", ":")) + "\n").encode()


def checker_source() -> bytes:
    """The stand-alone checker."""
    return (files("symflow.certificate") / CHECKER).read_bytes()


def step_size_and_momentum(eta: Fraction, method: Method, steps: int, bits: int) -> Table:
    """The table `descent` of a certificate."""
    momentum = method.momentum if isinstance(method, HeavyBall) else Fraction(0)
    return {"step_size": text(eta), "momentum": text(momentum), "steps": steps, "precision": bits}
