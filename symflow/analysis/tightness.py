"""How tight each bound is: its value, the truth and their ratio, or why it does not apply."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mpmath
import numpy as np

from symflow.analysis.bounds import Bound, BoundSeries, chosen_bounds, known_bounds
from symflow.analysis.bounds.ball_ascent import Ascent, ascend
from symflow.analysis.bounds.series import Kind, NotApplicable, Status, exact_mpf
from symflow.analysis.deviation import Deviation, deviation
from symflow.displays import displayed, listing
from symflow.errors import ProblemError, brief
from symflow.numbers.decimal import brief_time, short
from symflow.numbers.types import Mpf, Number
from symflow.paths.trajectory import Trajectory
from symflow.problem import Problem
from symflow.problem.arguments import as_problem
from symflow.progress import Wanted, reporting
from symflow.theory.registry import Table

CHEAPER = "fewer digits (dps=...), a shorter horizon, fewer bounds (bounds=...), or sf.deviation(problem, float64=True)"

MOST_PARAMETERS = 64
"""The suprema on balls are looked for up to this many parameters."""


@displayed
@dataclass(frozen=True)
class Tightness:
    """value / truth, one bound compared with the truth, at the last time where it applies.

    Attributes:
        name: of the bound.
        kind: "bound", "leading order" or "curvature".
        status: "certified on a box", "sampled", "estimated" or "not applicable".
        time: t (mpf); None where it applies nowhere.
        value: of the bound at that time (mpf); None where it applies nowhere.
        truth: the deviation at that time, or lambda_min of the Hessian along the flow (mpf); None as `value`.
        ratio: value / truth (mpf); None where the truth is 0, where bound and truth of a curvature differ in sign, or
            where the smallest eigenvalue is 0 up to rounding.
        worst: the largest value over the whole run divided by the largest deviation (mpf; deviations only).
        until_end: whether it applies to the end.
        not_applicable: why and from where on it does not apply; None where it applies to the end.

    Example:
        >>> problem = sf.Problem(network=sf.FullyConnected((1, 1)), data={"x": [1], "y": [1]}, init={"theta": [0]})
        >>> chosen = [bound for bound in sf.known_bounds() if bound.name == "R22"]
        >>> row = sf.tightness(problem, step_size="1/10", horizon=1, dps=15, bounds=chosen)["R22"]
        >>> round(row.ratio, 3), row.status, row.until_end
        (1.034, 'sampled', True)
    """

    name: str
    kind: Kind
    status: Status
    time: Mpf
    value: Mpf
    truth: Mpf
    ratio: Mpf
    worst: Mpf
    until_end: bool
    not_applicable: NotApplicable | None

    def __repr__(self) -> str:
        if self.value is None:
            return f"<{self.name}: {self.status}>"
        ratio = "" if self.ratio is None else f" = {short(self.ratio)} x truth"
        return f"<{self.name}: {short(self.value)}{ratio} at t = {brief_time(self.time)}, {self.status}>"


@displayed
@dataclass(frozen=True)
class Slack:
    """m, beta, gamma on one ball of the tube: certified constants, and the values that gradient ascent finds there.

    Attributes:
        time: t of the centre theta(t) (float64).
        radius: eps of the ball (float64).
        certified: m >= -lambda_min(H), beta >= ||H||, gamma >= ||g|| on the ball (float64), above the suprema.
        found: the largest values found by ascent (float64), below the suprema.

    Example:
        >>> problem = sf.Problem(network=sf.FullyConnected((1, 1, 1)), data={"x": [1], "y": [1]},
        ...                      init={"theta": ["1/2", 1]})
        >>> chosen = [bound for bound in sf.known_bounds() if bound.name == "R22(tube)"]
        >>> table = sf.tightness(problem, step_size="1/10", horizon=1, dps=15, bounds=chosen)
        >>> slack = table.slack[-1]
        >>> round(slack.found.beta, 1), slack.found.beta <= slack.certified.beta
        (2.0, True)
    """

    time: float
    radius: float
    certified: Ascent
    found: Ascent


@displayed
@dataclass(frozen=True)
class TightnessTable:
    """bound / truth for all bounds of a problem.

    Attributes:
        deviation: the comparison that they were evaluated on.
        rows: one `Tightness` per bound; ``table["R4"]`` is the row of a bound.
        slack: where on the tube of the sharpest certified bound m, beta and gamma are largest, and how far the closed
            forms lie above what is found there; empty where no tube is covered, or P is large.

    Example:
        >>> problem = sf.Problem(network=sf.FullyConnected((1, 1)), data={"x": [1], "y": [1]}, init={"theta": [0]})
        >>> chosen = [bound for bound in sf.known_bounds() if bound.name in ("R22", "R18")]
        >>> table = sf.tightness(problem, step_size="1/10", horizon=1, dps=15, bounds=chosen)
        >>> round(float(table["R22"].truth), 6), [row.name for row in table.rows], table.deviation.steps
        (0.019201, ['R22', 'R18'], 10)
    """

    deviation: Deviation
    rows: tuple[Tightness, ...]
    slack: tuple[Slack, ...]

    def __post_init__(self) -> None:
        listing(self, "rows", "slack")

    def __getitem__(self, name: str) -> Tightness:
        """The row of a bound, by name or with the slug of its result.

        Raises:
            KeyError: no such bound.
        """
        return Table({row.name: row for row in self.rows})[name]

    def __repr__(self) -> str:
        lines = []
        for r in self.rows:
            if r.value is None:
                absent = r.not_applicable
                lines.append(f"{r.name:<15} not applicable: {'' if absent is None else absent.reason}")
                continue
            ratio = "-" if r.ratio is None else mpmath.nstr(r.ratio, 4)
            end = "" if r.until_end else " (not applicable later)"
            value, truth = (mpmath.nstr(v, 4) for v in (r.value, r.truth))
            lines.append(
                f"{r.name:<15} {value:>11} truth {truth:>11} ratio {ratio:>8} at t = {mpmath.nstr(r.time, 5)} "
                f"{r.status}{end}"
            )
        return "\n".join(lines)

    @property
    def sharpest(self) -> Tightness | None:
        """The sharpest certified bound that applies to the end; None where there is no such bound."""
        certified = [r for r in self.rows if r.status == "certified on a box" and r.until_end and r.ratio is not None]
        return min(certified, key=lambda r: r.ratio, default=None)


def tightness(
    problem: Problem,
    *,
    step_size: Number | None = None,
    horizon: Number | None = None,
    dps: int | None = None,
    bounds: Sequence[Bound | str] | None = None,
    flow: Trajectory | None = None,
    slack: bool = True,
    progress: Wanted = None,
) -> TightnessTable:
    """bound / ||theta_k - theta(k eta)||: each bound's value, the truth and their ratio along a run of descent.

    A curvature bound is compared with lambda_min(H(theta(t))) along the flow.

    Args:
        problem: what to run.
        step_size: eta (text, a rational or mpmath number, or a float, which means its shortest decimal); the problem's
            own if left out.
        horizon: final time, a number of the same kinds; the problem's own if left out.
        dps: digits of flow and descent.
        bounds: which ones; all of `sf.known_bounds()` if left out.
        flow: the problem's flow, where it is known already.
        slack: also search for the suprema on the tube from below, by gradient ascent.
        progress: True for a bar, or a function of a `Progress`, the fraction that is done from 0 to 1; it spans flow
            and descent, each with the run for its error estimate, and the bounds.

    Returns:
        A `TightnessTable`: one `Tightness` per bound (`table["R4"]`), the `Deviation`, and `Slack` records.

    Raises:
        ProblemError: missing or invalid numbers.
        ComputationError: flow or descent cannot be computed.

    Source: Elkabetz & Cohen 2021 (R3, R4); R22: symflow, from R3; R18: Hairer, Nørsett & Wanner 1993, section II.8.

    Example:
        >>> problem = sf.Problem(network=sf.FullyConnected((1, 1, 1)), data={"x": [1], "y": [1]},
        ...                      init={"theta": ["1/2", 1]})
        >>> chosen = [bound for bound in sf.known_bounds() if bound.name in ("R22", "R18", "R13")]
        >>> table = sf.tightness(problem, step_size="1/10", horizon=1, dps=15, bounds=chosen)
        >>> {row.name: round(float(row.ratio), 3) for row in table.rows if row.ratio is not None}
        {'R22': 2.122, 'R18': 0.958}
        >>> table["R13"].status, table["R13"].not_applicable.reason
        ('not applicable', 'not a convolutional network: a fully connected linear network without biases')
    """
    problem = as_problem(problem, "tightness")
    chosen = chosen_bounds(bounds, known_bounds())
    with reporting(progress, "bounds", CHEAPER) as report:
        part = report.part(0, 0.9)
        dev = deviation(problem, step_size=step_size, horizon=horizon, dps=dps, bounds=chosen, flow=flow, progress=part)
        table = tightness_of(dev, slack=slack)
        report(1.0)
    return table


def tightness_of(dev: Deviation, *, slack: bool = True) -> TightnessTable:
    """The table of a comparison that was made.

    Raises:
        ProblemError: not a comparison of `sf.deviation`.
    """
    if not isinstance(dev, Deviation):
        raise ProblemError(f"tightness_of needs a comparison of sf.deviation, got {brief(dev)}")
    with mpmath.workdps(max(dev.dps, 15)):
        rows = tuple(_row(dev, series) for series in dev.bounds.values())
    return TightnessTable(dev, rows, _slack(dev, rows) if slack else ())


def _row(dev: Deviation, series: BoundSeries) -> Tightness:
    truth: Sequence[Mpf] = dev.values
    if series.kind == "curvature":
        low = dev.flow_series.min_eigenvalue
        truth = [None] * len(dev.times) if low is None else [None if np.isnan(v) else exact_mpf(v) for v in low]
    applies = [i for i, v in enumerate(series.values) if v is not None]
    absent = series.not_applicable
    if not applies or (series.kind != "curvature" and applies[-1] == 0):
        return Tightness(series.name, series.kind, "not applicable", None, None, None, None, None, False, absent)
    last = applies[-1]
    value, true = series.values[last], truth[last]
    ratio = value / true if true else None
    if series.kind == "curvature" and (true is None or value > 0 or true > 0 or _rounding(dev, last)):
        ratio = None
    worst = None
    if series.kind != "curvature":
        largest = max(truth[i] for i in applies)
        worst = max(series.values[i] for i in applies) / largest if largest else None
    return Tightness(
        series.name, series.kind, series.status, dev.times[last], value, true, ratio, worst, absent is None, absent
    )


def _rounding(dev: Deviation, sample: int) -> bool:
    """Whether the smallest eigenvalue is 0 up to rounding."""
    low, high = dev.flow_series.min_eigenvalue, dev.flow_series.max_eigenvalue
    assert low is not None
    assert high is not None
    size = max(abs(low[sample]), abs(high[sample]))
    return bool(abs(low[sample]) <= len(dev.problem.theta0) * np.finfo(float).eps * size)


def _slack(dev: Deviation, rows: Sequence[Tightness]) -> tuple[Slack, ...]:
    """On the tube of the sharpest certified bound, at the balls where m, beta and gamma are largest."""
    run = dev.comparison
    certified = [r for r in rows if r.status == "certified on a box" and r.worst is not None]
    if not certified or run.objective.parameter_count > MOST_PARAMETERS:
        return ()
    best = min(certified, key=lambda r: (not r.until_end, r.worst))
    radii = dev.bounds[best.name].radii
    assert radii is not None
    tube = run.tube
    eps = np.array(radii[1:])
    balls, ball_radii = tube.balls(eps), tube.ball_radii(eps)
    found: dict[int, Slack] = {}
    for values in (balls.m, balls.beta, balls.gamma):
        cell = int(np.argmax(values))
        if cell not in found:
            certain = Ascent(float(balls.m[cell]), float(balls.beta[cell]), float(balls.gamma[cell]))
            radius = float(ball_radii[cell])
            climbed = ascend(run.compact, tube.centres[cell], radius, seed=cell)
            found[cell] = Slack(float(tube.middles[cell]), radius, certain, climbed)
    return tuple(found[cell] for cell in sorted(found))
