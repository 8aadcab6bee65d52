"""`conservation_laws`: the number of laws of a network, an objective or a map, exactly, and the laws themselves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from symflow.analysis.laws.blocks import Block, blocks, restricted
from symflow.analysis.laws.families import Rotation
from symflow.analysis.laws.law import Law
from symflow.analysis.laws.lie import lie_rank
from symflow.analysis.laws.model import Local, Model
from symflow.analysis.laws.polynomials import System
from symflow.analysis.laws.record import ConservationLaws
from symflow.analysis.laws.residues import PRIME, pivots, residue, residues
from symflow.analysis.laws.search import polynomial_laws, searchable, skew_generators
from symflow.analysis.laws.subjects import as_model
from symflow.analysis.laws.terms import derivative, evaluate_terms
from symflow.analysis.laws.words import named_law, named_rotation
from symflow.errors import ProblemError, brief
from symflow.networks.network import Network
from symflow.networks.objective import Objective
from symflow.numbers.arguments import whole
from symflow.numbers.rational import entry


def conservation_laws(
    subject: Network | Objective | Any,
    *,
    loss: Any = None,
    biases: bool = False,
    at: Sequence[Any] | None = None,
    degree: int = 2,
) -> ConservationLaws:
    r"""How many independent functions of theta every gradient flow theta' = -grad f conserves, exactly; and which.

    P - dim Lie{grad_theta g_c(., x)}(theta) for a map g with outputs c, over all inputs x (a network, a map) or the
    given inputs (an objective with data; then whatever the targets). The laws known of the architecture, or found by
    linear algebra over the rationals, prove that there are at least so many; iterated brackets at one point, modulo a
    prime, that there are at most so many.

    Args:
        subject: a network (for every data set and, unless `loss` is given, every loss), an objective (its own inputs
            and loss, whatever the targets; every data set where it has none; own objectives: their one flow), or a
            `ParametricMap`.
        loss: of a network, where it matters: the cross-entropy conserves column sums too.
        biases: whether a network given as such has biases.
        at: theta, P numbers, near which laws are counted; a point drawn by a fixed seed, with as many gates as possible
            of both values, if left out.
        degree: up to which polynomial laws are searched where those of the architecture are not all.

    Returns:
        A `ConservationLaws`: `count`, `dimension`, `laws`, `complete`, `exact`, `how`.

    Raises:
        ProblemError: another subject, a network whose activation is not homogeneous, or a point of another length or on
            a kink.

    Source: Marcotte, Gribonval & Peyre 2023-2025, R30.

    Example:
        >>> laws = sf.conservation_laws(sf.FullyConnected((2, 2, 5, 2, 4)))
        >>> laws.count, laws.complete, laws.exact
        (20, True, True)
        >>> [law.name for law in sf.conservation_laws(sf.FullyConnected((2, 3, 1), activation="relu")).laws]
        ['D_1[1,1]', 'D_1[2,2]', 'D_1[3,3]']
    """
    model = as_model(subject, loss, biases)
    order = whole(degree, "degree", 1)
    if at is not None:
        found = _counted(model, _point(at, len(model.symbols)), order)
        hint = "; the point may be singular, as balanced starts are: leave at= out, or move it a little"
        return found if found.exact else replace(found, how=found.how + hint)
    best: ConservationLaws | None = None
    for point in model.points():
        found = _counted(model, point, order)
        if best is None or found.count < best.count:
            best = found
        if best.count == len(_independent(model.known(), point)):
            break  # the laws of the architecture hold everywhere
    assert best is not None
    return best


def _counted(model: Model, point: tuple[Fraction, ...], order: int) -> ConservationLaws:
    """The laws near one point."""
    local = model.near(point)
    laws = _independent(model.known(), point)
    parts = blocks(local.moves)
    ranks = _ranks(local, parts, point, laws)
    dimension = sum(ranks)
    searched = len(laws) < len(point) - dimension and local.whole is not None and searchable(local.whole, order)
    if searched and local.whole is not None:
        laws = _independent((*laws, *_searched(local.whole, order, model)), point)
    exact, how = _verdict(local, parts, ranks, laws, order, searched)
    return ConservationLaws(
        len(point), dimension, laws, exact, how, model.scope, point, model.symbols, _rotations(model, local)
    )


def _point(at: Sequence[Any], count: int) -> tuple[Fraction, ...]:
    listed = list(at) if isinstance(at, Iterable) and not isinstance(at, str) else None
    if listed is None or len(listed) != count:
        got = brief(at) if listed is None else f"{len(listed)} numbers"
        raise ProblemError(f"at must be theta, P = {count} numbers, got {got}")
    return tuple(entry(v, f"at[{i}]") for i, v in enumerate(listed))


def _independent(laws: Sequence[Law], point: Sequence[Fraction]) -> tuple[Law, ...]:
    """The laws whose gradients at the point are independent, modulo the prime, of those before them."""
    where = [residue(v) for v in point]
    matrix = np.zeros((len(point), len(laws)), dtype=np.int64)
    for i, law in enumerate(laws):
        modular = [(product, residue(c)) for product, c in law.terms]
        for p in {p for product, _ in law.terms for p in product}:
            matrix[p, i] = evaluate_terms(derivative(modular, p), where) % PRIME
    return tuple(laws[i] for i in pivots(matrix))


def _ranks(local: Local, parts: Sequence[Block], point: Sequence[Fraction], laws: Sequence[Law]) -> list[int]:
    """A lower bound on the dimension of the Lie algebra of every block."""
    where = [*residues(point).tolist(), *local.values]
    found = []
    for part in parts:
        enough = len(part.variables) - _inside(laws, part)
        fields = restricted(local.moves, part).fields()
        found.append(lie_rank(fields, where, enough))
    return found


def _inside(laws: Sequence[Law], part: Block) -> int:
    """How many of the laws depend on the parameters of one block alone."""
    variables = set(part.variables)
    return sum(all(set(product) <= variables for product, _ in law.terms) for law in laws)


def _searched(whole_: System, order: int, model: Model) -> list[Law]:
    """Polynomial laws of every block, those of low degree and few terms first."""
    found = []
    for part in blocks(whole_):
        found += polynomial_laws(restricted(whole_, part), part.variables, order)
    found.sort(key=lambda law: (max(len(product) for product, _ in law), len(law), law))
    return [named_law(f"h_{i}", tuple(law), model.symbols) for i, law in enumerate(found, start=1)]


def _rotations(model: Model, local: Local) -> tuple[Rotation, ...]:
    """Those known of the architecture, or all that a search finds."""
    known = model.rotations()
    if known is not None:
        return known
    if local.whole is None or not searchable(local.whole, 2):
        return ()
    every = range(local.whole.parameters)
    generators = skew_generators(local.whole, every)
    return tuple(named_rotation(f"J_{i}", tuple(terms), model.symbols) for i, terms in enumerate(generators, start=1))


def _verdict(
    local: Local, parts: Sequence[Block], ranks: Sequence[int], laws: Sequence[Law], order: int, searched: bool
) -> tuple[bool, str]:
    """Whether the number is proved, and how it is known."""
    dimension = sum(ranks)
    count = local.moves.parameters - dimension
    where = "almost every point" if local.moves.auxiliary else "the point"
    if len(laws) == count:
        laws_are = "1 law is known" if count == 1 else f"{count} laws are independent"
        return True, f"exact: {laws_are} at {where}, and brackets of rank {dimension} allow no more"
    missing = [
        (part, rank)
        for part, rank in zip(parts, ranks, strict=True)
        if len(part.variables) - rank > _inside(laws, part)
    ]
    polynomials = f"{len(laws)} of the laws are polynomials of degree {max((w.degree for w in laws), default=order)}"
    if local.whole is local.moves and all(len(part.potentials) == rank == 1 for part, rank in missing):
        what = "one field" if len(parts) == 1 else "one field in each block of parameters whose laws are not all found"
        return True, f"exact: {what}, so that its Lie algebra has dimension 1; {polynomials}"
    known = "1 law is known" if len(laws) == 1 else f"{len(laws)} laws are known"
    known += "" if searched or local.whole is None else " (no search: too large)"
    return False, f"at least {len(laws)}, at most {count}: {known}, and brackets at {where} have rank {dimension}"
