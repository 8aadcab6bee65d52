"""A box of starts solved: the centre's trajectory, with a certified bound on how far any solution is from it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from symflow.dynamics.vector_field import VectorField
from symflow.errors import ComputationError, FlowInterrupted, FlowStopped, ProblemError
from symflow.numbers.balls import ball_precision, magnitude, midpoint
from symflow.numbers.balls import radius as radius_of
from symflow.numbers.fixed_point import from_fraction
from symflow.paths.boxes.enclose import Encloser, Stretch
from symflow.paths.path_error import PathError
from symflow.paths.scale import needed_digits
from symflow.paths.taylor.dense import FlowStats, Segment, TaylorSteps
from symflow.paths.taylor.limits import Limits, Precision
from symflow.paths.trajectory import Trajectory, outside
from symflow.progress import SILENT, Reporter

GUARD = 6
MOST_GUARD = 1000
MAX_DIMENSION = 24
"""Entries of a state; P^3 second derivatives are evaluated on every cell."""


@dataclass(frozen=True)
class Tube:
    """Where all solutions are whose starts lie in a box.

    Attributes:
        radii: of the box, one for each entry of the start.
        end: the time up to which it is known.
        stretches: what is proved, Taylor step by Taylor step.
        bits: precision of the balls.
    """

    radii: tuple[Fraction, ...]
    end: Fraction
    stretches: tuple[Stretch, ...]
    bits: int

    def __call__(self, at: Fraction) -> tuple[np.ndarray, np.ndarray]:
        """Midpoints and radii (mpf, shape (P,)) of a box that contains all solutions at a time.

        Raises:
            ProblemError: the time lies outside [0, end].
        """
        if not 0 <= at <= self.end:
            raise outside(at, self.end)
        stretch = next(s for s in self.stretches if at <= s.step.end)
        with ball_precision(self.bits):
            balls = stretch.at(at)
            found = np.empty((2, len(balls)), dtype=object)
            found[0], found[1] = [midpoint(x) for x in balls], [radius_of(x) for x in balls]
        return found[0], found[1]

    def __repr__(self) -> str:
        return f"<Tube to t={float(self.end):.6g}, {sum(len(s.cells) for s in self.stretches)} cells>"


def solve_box(
    field: VectorField,
    start: Sequence[Fraction],
    radii: Sequence[Fraction],
    end: Fraction,
    dps: int,
    limits: Limits,
    report: Reporter = SILENT,
) -> Trajectory:
    """Follows a box of starts to a time; a box of no width with as many guard digits as `dps` needs.

    Raises:
        ProblemError: the field has kinks, or too many variables.
        FlowStopped: it cannot be done; its `trajectory` is what was computed.
        FlowInterrupted: Ctrl-C; its `trajectory` is what was computed.
        ComputationError: the digits cannot be reached.
    """
    if field.gates:
        raise ProblemError("a box of starts needs a smooth field, got one with kinks; leave radius out")
    if len(start) > MAX_DIMENSION:
        raise ProblemError(
            f"a box of starts may have at most {MAX_DIMENSION} entries, got {len(start)}; leave radius out"
        )
    digits, guard, point = needed_digits(field, start, dps), GUARD, not any(radii)
    while True:
        found = _solved(field, start, radii, end, dps, Precision.for_digits(digits, guard), limits, report)
        assert found.error is not None
        missing = 0 if not point else _missing(found.error.value, dps)
        if missing <= 0:
            return found
        if guard > MOST_GUARD:
            raise ComputationError(
                f"{dps} digits could not be proved with {guard} guard digits; the field amplifies errors too strongly, "
                "try a shorter horizon"
            )
        guard += missing + 3


def _missing(error: object, dps: int) -> int:
    """How many digits an error lacks."""
    import mpmath

    with mpmath.workdps(15):
        return 0 if error <= mpmath.mpf(10) ** -dps else max(1, int(mpmath.ceil(mpmath.log10(error))) + dps)


def _solved(
    field: VectorField,
    start: Sequence[Fraction],
    radii: Sequence[Fraction],
    end: Fraction,
    dps: int,
    precision: Precision,
    limits: Limits,
    report: Reporter,
) -> Trajectory:
    """One run; what ends it early carries what is known by then."""
    clock = time.perf_counter()
    with ball_precision(precision.bits):
        box = Encloser(field, start, radii, precision, limits)
        try:
            box.to(end, report)
        except FlowStopped as stopped:
            if box.done:
                stopped.trajectory = _trajectory(box, radii, dps, clock, stopped.what)
            raise
        except KeyboardInterrupt:
            part = _trajectory(box, radii, dps, clock, "interrupted") if box.done else None
            raise FlowInterrupted(time=None if part is None else part.horizon, trajectory=part) from None
        return _trajectory(box, radii, dps, clock)


def _trajectory(box: Encloser, radii: Sequence[Fraction], dps: int, clock: float, incomplete: str = "") -> Trajectory:
    """The centre as a trajectory, with its tube."""
    steps, p = [s.step for s in box.done], box.precision
    places = max(p.bits - min(s.segment.tau for s in steps), *(s.start.denominator.bit_length() for s in steps))
    segments = tuple(
        Segment(
            from_fraction(s.start, places),
            from_fraction(s.end, places),
            s.segment.tau,
            s.segment.coefficients[: s.size],
        )
        for s in steps
    )
    end = steps[-1].end
    tube = Tube(tuple(radii), end, tuple(box.done), p.bits)
    largest = max(magnitude(s.largest()) for s in box.done)
    stats = FlowStats(len(steps), p.order, p.bits, p.tolerance_digits, time.perf_counter() - clock)
    moves = box.field.given or box.field.source or box.field
    dense = TaylorSteps(segments, p.bits, places, end)
    return Trajectory(moves, dense, dps, (), PathError(largest, "certified"), stats, incomplete=incomplete, tube=tube)
