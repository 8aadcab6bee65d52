"""What a check is: something that runs, and says of which kind it is and whether it passed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, get_args

Kind = Literal[
    "proved",
    "checked exactly",
    "identity tested",
    "evaluated to 50 digits",
    "by lemma; sampled",
    "evaluated in float64",
]
"""How much a passed check means, the strongest first.

proved: SymPy reduced every expression to 0 by exact rewriting (or a sign was read off exactly), for all that the step
    speaks of; with the theorem of calculus that the step's reason names, if it names one, this is the step.
checked exactly: the same computation for what the scope names, which is less than the step: a case, a size, an
    ingredient of its argument.
identity tested: both sides are polynomials that agree exactly at random points (Schwartz and Zippel).
evaluated to 50 digits: both sides agree at sample points.
by lemma; sampled: an inequality, by a named lemma whose hypotheses were checked; no counterexample was found.
evaluated in float64: both sides agree at sample points up to rounding; for what the package's own code computes.
"""
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Outcome:
    """The result of a check.

    Attributes:
        passed: whether what was checked holds.
        detail: what was computed and what came out, plain text.
        latex: the same as LaTeX text, where it has formulas.
    """

    passed: bool
    detail: str
    latex: str = ""


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
