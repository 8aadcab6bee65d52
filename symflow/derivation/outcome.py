"""What a check is: something that runs, and says of which kind it is and whether it passed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, get_args

Kind = Literal["proved", "identity tested", "evaluated to 50 digits", "by lemma; sampled"]
"""How much a passed check means, the strongest first.

proved: SymPy reduced every expression to 0 by exact rewriting (or a sign was read off exactly).
identity tested: both sides are polynomials that agree exactly at random points (Schwartz and Zippel).
evaluated to 50 digits: both sides agree at sample points.
by lemma; sampled: an inequality, by a named lemma whose hypotheses were checked; no counterexample was found.
"""
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Outcome:
    """The result of a check.

    Attributes:
        passed: whether what was checked holds.
        detail: what was computed and what came out, plain text.
    """

    passed: bool
    detail: str


class Check(Protocol):
    """One executable check.

    `kind` and `scope` are known before it runs: `scope` says in LaTeX text for which sizes, points or functions.
    """

    @property
    def kind(self) -> Kind:
        """How much it means when it passes."""

    @property
    def scope(self) -> str:
        """For what it is checked, LaTeX text."""

    def run(self) -> Outcome:
        """Executes the check."""
