"""Falsification of inequalities: a claim is searched over a family of problems, its violation maximized and confirmed.

    sf.claim_quantities()                     what a claim may speak of
    sf.falsify(claim, sf.Family(...))         refuted, with a problem file; or not refuted, with what was searched
    sf.check_counterexample(path, claim)      the violation again, from the file alone

`claim` reads the SymPy relation over `vocabulary` (quantities of a point: `points`); `family`, `draws` and `rewind`
give points, `search` (`local`, `paths`) their violation and its gradient in JAX, `ascent` drives it up; `exact` rounds,
`confirm` (`enclose`) decides at 50 digits.
"""

from __future__ import annotations

from symflow.analysis.falsify.confirm import Check, check_counterexample
from symflow.analysis.falsify.falsifier import falsify
from symflow.analysis.falsify.family import Family
from symflow.analysis.falsify.verdict import NotRefuted, Refuted, Searched, Verdict
from symflow.analysis.falsify.vocabulary import ClaimQuantity, claim_quantities

__all__ = [
    "Check",
    "ClaimQuantity",
    "Family",
    "NotRefuted",
    "Refuted",
    "Searched",
    "Verdict",
    "check_counterexample",
    "claim_quantities",
    "falsify",
]
