"""All bounds that symflow knows, as objects: R4, R5, R22 in their sampled and certified forms, R18, R9, R11-R13."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Literal

from symflow.analysis.bounds.bound import Bound
from symflow.analysis.bounds.context import Comparison
from symflow.analysis.bounds.curvature import curvature_catalogue
from symflow.analysis.bounds.series import BoundSeries, Kind, not_applicable
from symflow.analysis.bounds.tube_bounds import TUBE_BOUNDS, TubeBound, certified_series, find_radii
from symflow.errors import ProblemError, brief
from symflow.theory.r04_step_size import STEP_SIZE
from symflow.theory.r18_leading_order import LEADING_ORDER
from symflow.theory.r22_trajectory_wise import TRAJECTORY_WISE
from symflow.theory.registry import Table
from symflow.theory.result import Result


def _on_the_tube(rule: TubeBound) -> Bound:
    def compute(run: Comparison) -> BoundSeries:
        if run.no_tube is not None:
            return not_applicable(rule.name, "bound", run.count, run.no_tube)
        return certified_series(rule.name, find_radii(run.tube, run.steps, rule), run.count)

    shown = rule.result.main.only(rule.claim)
    return Bound(rule.name, rule.result.id, "bound", rule.title, shown, rule.result.hypotheses, compute, ends_at="any")


def _along_descent(
    result: Result, claim: str, title: str, compute: Callable[[Comparison], BoundSeries], kind: Kind = "bound"
) -> Bound:
    """A form of a result that needs the run of descent."""
    shown = result.main.only(claim)
    ends_at: Literal["any", "concave"] = "concave" if kind == "bound" else "any"
    return Bound(
        result.id, result.id, kind, title, shown, result.hypotheses, compute, needs_descent=True, ends_at=ends_at
    )


QUICK = (
    _along_descent(
        STEP_SIZE, "deviation", "step-size condition, time-local, everything sampled", lambda run: run.sampled["R4"]
    ),
    _along_descent(
        TRAJECTORY_WISE,
        "",
        "trajectory-wise bound with the true defect, everything sampled",
        lambda run: run.sampled["R22"],
    ),
    # The run of descent must lie on the flow's side of every kink.
    _along_descent(
        LEADING_ORDER, "deviation", "leading order of the deviation", lambda run: run.leading(), "leading order"
    ),
)
"""What `deviation` evaluates unless it is told otherwise."""


@lru_cache(maxsize=1)
def _known() -> Table[Bound]:
    """Every bound by its name."""
    every = (*QUICK, *(_on_the_tube(rule) for rule in TUBE_BOUNDS), *curvature_catalogue())
    return Table({bound.name: bound for bound in every})


def known_bounds(*names: str) -> tuple[Bound, ...]:
    """||theta_k - theta(k eta)|| <= ..., its leading order, and lambda_min(H(theta(t))) >= ...: all known bounds.

    Give some of them, or all together with your own (`user_bound`), to `deviation(..., bounds=...)`.

    Args:
        names: which, such as "R22(tube)", or "trajectory-wise(tube)" with the slug of the result; all if left out.

    Returns:
        A tuple of `Bound` records, in a fixed order; each has its `citation`.

    Raises:
        ProblemError: an unknown name.

    Source: Elkabetz & Cohen 2021 (R4, R9(a), R12, R13); R22 and the sharper curvature bounds: symflow; R18: Hairer,
    Nørsett & Wanner 1993, section II.8.

    Example:
        >>> [bound.name for bound in sf.known_bounds() if bound.kind != "curvature"]
        ['R4', 'R22', 'R18', 'R4(tube)', 'R4(global)', 'R5', 'R22(tube)', 'R22(tube-free)']
    """
    known = _known()
    for name in names:
        if not isinstance(name, str) or name not in known:
            raise ProblemError(f"bounds must be names among {', '.join(known)}, got {brief(name)}")
    return tuple(known[name] for name in names) if names else tuple(known.values())


def chosen_bounds(bounds: object, otherwise: Sequence[Bound]) -> tuple[Bound, ...]:
    """The bounds that were asked for.

    Args:
        bounds: a list of them or of names of `known_bounds`; None leaves the choice open.
        otherwise: which ones then.

    Raises:
        ProblemError: something else, or two of one name.
    """
    if bounds is None:
        return tuple(otherwise)
    if isinstance(bounds, str) or not isinstance(bounds, Sequence):
        raise ProblemError(f'bounds must be a list such as ["R22(tube)"] or sf.known_bounds(), got {brief(bounds)}')
    found = [bound if isinstance(bound, Bound) else known_bounds(bound)[0] for bound in bounds]
    name, count = Counter(bound.name for bound in found).most_common(1)[0] if found else ("", 1)
    if count > 1:
        raise ProblemError(f"bounds must have different names, got {brief(name)} twice; rename yours")
    return tuple(found)
