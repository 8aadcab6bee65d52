"""A change of a gate along a flow."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from symflow.displays import displayed
from symflow.numbers.types import Mpf


@displayed
@dataclass(frozen=True)
class Event:
    """sigma'(z) changes at a time: one gate of a sample and unit changes its state along a trajectory.

    Attributes:
        time: when, an mpf with all digits.
        kind: "crossing"; "sliding" where the gate begins to be held on its kink and "leaving" where that ends;
            "revival" and "inert" where a deeper gate begins and ceases to act.
        sample: counted from 0.
        layer: counted from 1.
        unit: counted from 0.
        gate_before: sigma' before the event; None where the gate was inert or sliding.
        gate_after: sigma' after it; an mpf where it slides, None where it is inert.
        radius: at most how far the time is from the true one (mpf), proved for crossings and beginnings of slides of
            certified flows; None elsewhere.

    Example:
        >>> network = sf.FullyConnected((1, 1, 1), alpha_bar="1/5")
        >>> problem = sf.Problem(network=network, data={"x": [1], "y": [-1]}, init={"theta": ["1/2", 1]})
        >>> (event,) = sf.solve_flow(problem, horizon=4, dps=20).events
        >>> event.kind, event.sample, event.layer, event.unit, event.gate_before, event.gate_after
        ('crossing', 0, 1, 0, Fraction(1, 1), Fraction(1, 5))
        >>> round(event.time, 10), event.radius < 1e-20
        (0.4534685484, True)
    """

    time: Mpf
    kind: str
    sample: int
    layer: int
    unit: int
    gate_before: Fraction | Mpf
    gate_after: Fraction | Mpf
    radius: Mpf | None = None

    def __repr__(self) -> str:
        import mpmath

        where = f"sample {self.sample}, layer {self.layer}, unit {self.unit}"
        return f"<{self.kind} at t = {mpmath.nstr(self.time, 10)}: {where}>"


def slides(events: Iterable[Event]) -> list[tuple[float, float]]:
    """When gates are held on their kinks: the start and end of each slide, unsorted; infinity where it never ends."""
    begun: dict[tuple[int, int, int], float] = {}
    found: list[tuple[float, float]] = []
    for event in events:
        gate = (event.sample, event.layer, event.unit)
        if event.kind == "sliding":
            begun.setdefault(gate, float(event.time))
        elif gate in begun:
            found.append((begun.pop(gate), float(event.time)))
    return found + [(start, np.inf) for start in begun.values()]


def slides_at(events: Iterable[Event], times: np.ndarray) -> np.ndarray:
    """Whether any gate is held on its kink at some times, shape (S,)."""
    on = np.zeros(len(times), dtype=bool)
    for start, end in slides(events):
        on |= (times >= start) & (times <= end)
    return on
