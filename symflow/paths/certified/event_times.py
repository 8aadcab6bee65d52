r"""How far the times of events may be from the true ones, for a flow whose error is proved.

At an event a pre-activation z of theta~ reaches 0, at the end T of a step. With e the proved error, |z(theta(T))| <= Z
= |z~(T)| + r + ||grad z|| e, r the remainder of the series z~. Let v > 0 be at most the speed towards 0 of z~ and of z
along every solution on the tube around [T - w, T + w] as long as its gate is that of the step. A solution that has not
reached z = 0 by T does so by T + Z/v. One that reached it at T' < T had |z~(T')| <= r + ||grad z|| e then, and z~ has
moved since at the speed v, to z~(T), so that T - T' <= Z/v. Both hold if Z/v <= w.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from math import ldexp

import numpy as np
from flint import arb

from symflow.dynamics.vector_field import VectorField
from symflow.evaluate.rounded import Rounded, norm_bound
from symflow.numbers.balls import float_above, from_fixed, from_mpf, upper
from symflow.numbers.types import Mpf
from symflow.paths.certified.boxes import on_parts, scaled_floats, step_end
from symflow.paths.certified.gates import OnBoxes, known_gates, on_boxes
from symflow.paths.certified.observed import Step
from symflow.paths.certified.surfaces import surfaces
from symflow.paths.certified.windows import Part, at, directions, normals, on_part
from symflow.paths.event import Event
from symflow.paths.taylor.dense import TaylorSteps
from symflow.paths.taylor.kinks.gates import Kink, Position, kink_at, value_of
from symflow.programs.program import shape_of

KINDS = ("crossing", "sliding")
SHARES = (2, 5, 10, 16, 24)
"""The windows that are tried reach 2^-these of a step to either side."""


def with_radii(
    field: VectorField, steps: TaylorSteps, observed: Sequence[Step], events: Sequence[Event], error: Mpf, radius: Mpf
) -> tuple[Event, ...]:
    """Events with proved radii of their times, where they are known.

    Args:
        field: gradient flow.
        steps: the Taylor solution.
        observed: what is known of each step.
        events: on it.
        error: at least the distance of the true solution, at all times.
        radius: of the tube that the proof was made on.
    """
    ends = {int(s.end): number for number, s in enumerate(steps.segments[:-1])}
    positions = {kink_at(field.objective, a): a for a in _positions(field)} if events else {}
    found = []
    for event in events:
        number = next((n for end, n in ends.items() if from_mpf(event.time) == from_fixed(end, steps.clock)), None)
        known = None
        if number is not None and event.kind in KINDS:
            a = positions[Kink(event.layer, event.unit, event.sample)]
            known = _radius(field, steps, observed[number], number, a, error, float_above(from_mpf(radius)))
        found.append(replace(event, radius=known))
    return tuple(found)


def _positions(field: VectorField) -> list[Position]:
    return [(i, entry) for i, g in enumerate(field.gates) for entry in range(int(np.prod(shape_of(g.axes))))]


def _radius(
    field: VectorField, steps: TaylorSteps, step: Step, number: int, a: Position, error: Mpf, tube: float
) -> Mpf | None:
    """The radius of one event, at the end of a step; None where it is not known."""
    watched = step.pre_activations.get(a)
    if watched is None:
        return None
    for share in SHARES:
        part = Part(number, 1 - Fraction(1, 1 << share), Fraction(1))
        after = Part(number + 1, Fraction(0), Fraction(1, 1 << share))
        segments = [steps.segments[p.number] for p in (part, after)]
        ends = [step_end(s, steps.clock) for s in segments]
        own = on_part(watched, 1, part, ends[0], steps.bits)
        speed, normal = (abs(own[0]) - own[1]) / ends[0] * 2.0 ** -segments[0].tau, 0.0
        for p, end in zip((part, after), ends, strict=True):
            floats = scaled_floats(steps.segments[p.number].coefficients, end, steps.bits)
            found = on_parts(floats, np.array([float(p.low)]), np.array([float(p.high)]))
            box = Rounded(found.value, (found.error + tube) * (1 + 2.0**-40))
            slopes, size = _along(field, step, box, a)
            towards = slopes if own[0] > 0 else Rounded(-slopes.value, slopes.error)
            speed = min(speed, float((towards.value - towards.error).min()))
            normal = max(normal, size)
        if not speed > 0 or not np.isfinite(normal):
            continue
        left = (
            abs(at(watched.series, steps, segments[0], Fraction(1))) + 2 * watched.remainder + len(watched.series) + 4
        )
        beyond = (arb(left) * from_fixed(1, steps.bits) + arb(normal) * from_mpf(error)) / arb(speed * (1 - 2.0**-30))
        window = min(ldexp(end, s.tau) for end, s in zip(ends, segments, strict=True)) * 2.0**-share * (1 - 2.0**-30)
        if beyond < arb(window):
            return upper(beyond)
    return None


def _along(field: VectorField, step: Step, box: Rounded, a: Position) -> tuple[Rounded, float]:
    """z' of a gate on a box for all values of the other gates, its own as in the step; and ||grad z||."""
    on = on_boxes(field, box, [step.region])
    together = next((g for g in surfaces(field.objective, step.region, on.open[0]) if a in {b for b, _ in g}), [])
    fixed = {a} | {b for b, _ in together}
    low, high = ([v.copy() for v in values] for values in (on.low, on.high))
    for i, entry in fixed:
        for v in (low[i], high[i]):
            v.reshape(-1)[entry] = float(value_of(field.objective, step.region.gates, (i, entry)))
    others = OnBoxes(low, high, [[b for b in on.open[0] if b not in fixed]], on.concave, on.force)
    normal = normals(field, box, [a], known_gates(field.gates, on.low, on.high))
    return directions(field, box, a, others, step.region), float(norm_bound(normal)[0])
