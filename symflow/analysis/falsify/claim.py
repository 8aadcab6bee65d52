"""Claims: inequalities between SymPy expressions over the documented quantities, read once and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import sympy

from symflow.analysis.falsify.arithmetic import check_expression
from symflow.analysis.falsify.vocabulary import Needs, claim_quantities, known, needs, quantity_latex
from symflow.errors import ProblemError, brief, did_you_mean

Relation: TypeAlias = sympy.Rel
_AT_MOST = (sympy.Le, sympy.Lt)
_AT_LEAST = (sympy.Ge, sympy.Gt)


@dataclass(frozen=True)
class Inequality:
    """small <= large.

    Attributes:
        relation: as it was given.
        small: its smaller side.
        large: its larger side.
    """

    relation: sympy.Rel
    small: sympy.Expr
    large: sympy.Expr

    def at(self, sizes: Mapping[str, int]) -> Inequality:
        """The inequality with the whole numbers n, N, ... put in."""
        values = {x: sympy.Integer(sizes[str(x)]) for x in self.relation.free_symbols if str(x) in sizes}
        return Inequality(self.relation, self.small.xreplace(values), self.large.xreplace(values))


@dataclass(frozen=True)
class Claim:
    """small <= large wherever the conditions hold: an inequality to be refuted.

    Attributes:
        inequality: the claim.
        given: the conditions.

    Example:
        >>> q = {name: quantity.symbol for name, quantity in sf.claim_quantities().items()}
        >>> family = sf.Family(depths=(2,), widths=(1, 1), samples=(1, 1))
        >>> claim = sf.falsify(q["lambda_min"] >= 0, family, given=q["f"] >= 1, seconds=20).claim
        >>> print(claim)
        lambda_min >= 0 wherever f >= 1
    """

    inequality: Inequality
    given: tuple[Inequality, ...] = ()

    @cached_property
    def names(self) -> frozenset[str]:
        """The quantities it contains."""
        return frozenset(str(x) for part in (self.inequality, *self.given) for x in part.relation.free_symbols)

    @cached_property
    def needs(self) -> Needs:
        """What has to be computed to evaluate it."""
        return needs(self.names)

    def at(self, sizes: Mapping[str, int]) -> Claim:
        """The claim with numbers substituted for the sizes n, N, ..."""
        return Claim(self.inequality.at(sizes), tuple(part.at(sizes) for part in self.given))

    def __str__(self) -> str:
        conditions = f" wherever {' and '.join(str(part.relation) for part in self.given)}" if self.given else ""
        return f"{self.inequality.relation}{conditions}"

    def latex(self) -> str:
        """The claim as LaTeX."""
        names = {sympy.Symbol(name): quantity_latex(name) for name in self.names}
        shown = str(sympy.latex(self.inequality.relation, symbol_names=names))
        conditions = r",\ ".join(str(sympy.latex(part.relation, symbol_names=names)) for part in self.given)
        return rf"{shown} \quad\text{{wherever}}\quad {conditions}" if self.given else shown


def read_claim(claim: Relation | Claim, given: Relation | Sequence[Relation] = ()) -> Claim:
    """A claim and its conditions from SymPy relations.

    Raises:
        ProblemError: text, something other than an inequality, or one with unknown symbols or functions.
    """
    if isinstance(claim, Claim):
        return claim
    if isinstance(given, sympy.Rel) or not isinstance(given, Sequence) or isinstance(given, str):
        given = (given,)
    return Claim(_inequality(claim, "the claim"), tuple(_inequality(x, "a condition") for x in given))


def _inequality(relation: Relation, what: str) -> Inequality:
    if isinstance(relation, str):
        raise ProblemError(
            f"{what} must be a SymPy inequality such as sympy.Ge(a, b), got {brief(relation)}; text is never evaluated"
        )
    if isinstance(relation, sympy.Eq | sympy.Ne):
        raise ProblemError(
            f"{what} must be an inequality, got {brief(str(relation))}; state a = b as sympy.Le(sympy.Abs(a - b), 0)"
        )
    if isinstance(relation, bool) or relation in (sympy.true, sympy.false):
        raise ProblemError(
            f"{what} must contain a quantity of sf.claim_quantities(), got {relation!s}, which SymPy decides by itself"
        )
    if not isinstance(relation, (*_AT_MOST, *_AT_LEAST)):
        raise ProblemError(f"{what} must be a SymPy inequality such as sympy.Ge(a, b), got {brief(relation)}")
    for symbol in sorted(map(str, relation.free_symbols)):
        if not known(symbol):
            raise ProblemError(f"{what} contains the unknown quantity {brief(symbol)}; {nearest(symbol)}")
    if not relation.free_symbols:
        raise ProblemError(f"{what} must contain a quantity of sf.claim_quantities(), got {brief(str(relation))}")
    check_expression(relation.lhs, what)
    check_expression(relation.rhs, what)
    if isinstance(relation, _AT_MOST):
        return Inequality(relation, relation.lhs, relation.rhs)
    return Inequality(relation, relation.rhs, relation.lhs)


def nearest(symbol: str) -> str:
    """What an unknown quantity may have been meant to be."""
    return did_you_mean(symbol, claim_quantities(), " (sf.claim_quantities())")
