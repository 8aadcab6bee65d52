r"""Checks of statements with symbolic depth: the formula that the package prints and computes is what is proved.

A statement's claims are trees; a negative control is the statement with one tree changed (`altered`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from math import prod
from typing import Any

import numpy as np

from symflow.networks.losses import SQUARE, Loss
from symflow.networks.network import Network
from symflow.networks.objective import Objective
from symflow.networks.training_loss import network_objective
from symflow.programs.nodes import Input
from symflow.programs.program import Program, entries, shape_of
from symflow.proofs.identity import Draw, IdentityTest
from symflow.proofs.lemmas import Lemma
from symflow.proofs.outcome import Check
from symflow.proofs.search import Inequality
from symflow.theory.model import ETA
from symflow.theory.statement import Instance, Side, Statement
from symflow.theory.terms import Term

SAMPLES = 3


@dataclass(frozen=True)
class Case:
    """A network and the loss it is trained with.

    Attributes:
        name: how messages call it.
        network: the architecture.
        loss: of one sample.
    """

    name: str
    network: Network
    loss: Loss = SQUARE

    def __str__(self) -> str:
        return self.name


def altered(statement: Statement, label: str, right: Callable[[Term], Term]) -> Statement:
    """The statement with the right-hand side of one claim changed, for a negative control."""
    claim = statement.claim(label)
    return replace(statement, claims=(replace(claim, right=right(claim.right)),))


def drawn_objective(case: Case, draw: Draw) -> Objective:
    """The training loss on random data."""
    inputs, outputs = (prod(shape_of(axes)) for axes in (case.network.input_axes, case.network.output_axes))
    return network_objective(case.network, draw.array(SAMPLES, inputs), draw.array(SAMPLES, outputs), case.loss)


def exact_difference(statement: Statement, label: str, case: Case, draw: Draw) -> Iterator[Fraction]:
    """Left minus right side of a claim at random weights, data, direction and step size."""
    instance = statement.instantiate(drawn_objective(case, draw))
    count = instance.objective.parameter_count
    theta, direction, hyper = draw.array(count), draw.array(count), {ETA.name: draw.number()}
    for left, right in zip(*instance.evaluate(label, list(theta), list(direction), hyper=hyper), strict=True):
        yield from np.asarray(left - right, dtype=object).reshape(-1)


def claim_identity(
    statement: Statement, label: str, scope: str, cases: Sequence[Case], degree: Callable[[Case], int]
) -> IdentityTest:
    """An equation of a statement, tested exactly.

    Args:
        statement: the result.
        label: of the claim.
        scope: what the cases are, LaTeX text. With gates both sides are polynomials on every smooth region, and the
            test speaks about the regions that the points fall in.
        cases: the networks.
        degree: a bound on the degree of both sides in weights, direction, data and step size.
    """
    return IdentityTest(scope, cases, degree, partial(exact_difference, statement, label))


def claim_inequality(
    statement: Statement,
    label: str,
    scope: str,
    cases: Sequence[Case],
    lemmas: tuple[Lemma, ...],
    hypotheses: tuple[Check, ...] = (),
) -> Inequality:
    """An inequality of a statement, by lemmas, and attacked over weights and data."""
    return Inequality(
        scope, lemmas, cases, _dimension, partial(_sides, statement, label), hypotheses
    )  # fmt: skip


def blank_objective(case: Case) -> Objective:
    """The training loss whose data are still to be bound: X is 0, Y alternates 1 and -1, or goes through the "
    "classes."""
    inputs, outputs = (prod(shape_of(axes)) for axes in (case.network.input_axes, case.network.output_axes))
    if case.loss.known.labels == "one-hot":
        rows = [[Fraction(int(c == i % outputs)) for c in range(outputs)] for i in range(SAMPLES)]
    else:
        rows = [[Fraction((-1) ** i)] * outputs for i in range(SAMPLES)]
    labels = np.array(rows, dtype=object)
    return network_objective(case.network, np.full((SAMPLES, inputs), Fraction(0)), labels, case.loss)


def _dimension(case: Case) -> int:
    found = blank_objective(case)
    return found.parameter_count + sum(entries(x.axes) for x in moving(found, case))


def moving(objective: Objective, case: Case) -> list[Input]:
    """The data that the search moves: X, and Y where it is not a label."""
    return [x for x in objective.data_inputs if x.name == "X" or case.loss.known.labels is None]


def _sides(statement: Statement, label: str, case: Case, z: Any) -> tuple[Any, Any]:
    """(smaller, larger) side of a claim at weights and data cut from z."""
    import jax.numpy as jnp

    instance = statement.instantiate(blank_objective(case))
    objective, count = instance.objective, instance.objective.parameter_count
    bound: dict[Input, Any] = {x: jnp.asarray(a.astype(float)) for x, a in objective.data.items()}
    bound |= objective.cut(z[:count])
    for x in moving(objective, case):
        bound[x] = z[count : count + entries(x.axes)].reshape(shape_of(x.axes))
        count += entries(x.axes)
    left, right = (jax_value(instance, label, side, bound) for side in ("left", "right"))
    return (left, right) if statement.claim(label).relation == "<=" else (right, left)


def jax_value(instance: Instance, label: str, side: Side, bound: dict[Input, Any]) -> Any:
    """One side of a claim without free index as a JAX array."""
    import jax.numpy as jnp

    from symflow.evaluate.interpret import interpret
    from symflow.evaluate.jax import JaxArithmetic

    program: Program = instance.program(label, side)
    (value,) = interpret(program, bound, JaxArithmetic(jnp.float64)).values()
    return value
