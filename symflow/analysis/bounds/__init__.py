"""Bounds as objects: hypotheses, formula, result id, and their evaluation along flow and descent.

    sf.known_bounds()                                 every bound of the theory
    sf.user_bound("mine", expression)                 one of your own
    sf.deviation(problem, bounds=sf.known_bounds())   all of them along a run

`series` is what an evaluation gives, `bound` the object, `context` what it is evaluated on. `sampled` evaluates R4 and
R22 at the samples (past kinks with a convex jump: `kinks`), `tube_bounds` on a tube that `tube` covers with balls, on
which the closed forms of `ball_forms` hold; `ball_ascent` shows their slack from below.
"""

from __future__ import annotations

from symflow.analysis.bounds.bound import Bound
from symflow.analysis.bounds.catalogue import QUICK, chosen_bounds, known_bounds
from symflow.analysis.bounds.context import Comparison, before_kinks
from symflow.analysis.bounds.series import BoundSeries, NotApplicable, not_applicable
from symflow.analysis.bounds.user_bound import bound_quantities, user_bound

__all__ = [
    "QUICK",
    "Bound",
    "BoundSeries",
    "Comparison",
    "NotApplicable",
    "before_kinks",
    "bound_quantities",
    "chosen_bounds",
    "known_bounds",
    "not_applicable",
    "user_bound",
]
