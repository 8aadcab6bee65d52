"""The proof of a flow's error as a record."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from symflow.numbers.types import Mpf


@dataclass(frozen=True)
class ProofCell:
    """What is proved on a part of a Taylor step: ||theta(t) - theta~(t)|| <= error at its end, below radius on it.

    Attributes:
        segment: the number of the Taylor step.
        start: where the part begins, as a share of the step.
        end: where it ends.
        rate: m, at least -lambda_min(H) (of a vector field: lambda_max of the symmetric part of its Jacobian) on the
            tube.
        defect: delta, at least ||theta~' - F(theta~)||.
        jump: at least how far theta~ jumps where the part begins.
        crossed: at least the integral of what is added to the defect while theta~, or its switch, is on another side of
            a kink than theta~ or theta should be.
        radius: of the tube.
        error: at its end.
        open: how many gates may change on the tube; their faces are convex there.
    """

    segment: int
    start: Fraction
    end: Fraction
    rate: float
    defect: Mpf
    jump: Mpf
    crossed: Mpf
    radius: Mpf
    error: Mpf
    open: int


@dataclass(frozen=True)
class FlowProof:
    """R23 for one flow: a bound on its error at all times up to `end`.

    Attributes:
        cells: in order of time.
        value: at least ||theta(t) - theta~(t)|| for all times up to `end`, as theta~ is read from its polynomials.
        complete: whether it reaches the end of the flow.
        end: the time it reaches.
        reason: why it goes no further; empty where it is complete.
        needed: where the error reaches the radius of the tube, what the rates make of it by the end: with so many more
            digits it would not; None elsewhere.
        weights: of the norm ||W .|| in which it bounds the error, at least 1 each; none for the Euclidean norm.
    """

    cells: tuple[ProofCell, ...]
    value: Mpf
    complete: bool
    end: Mpf
    reason: str = ""
    weights: tuple[float, ...] = ()
    needed: Mpf | None = None

    def __repr__(self) -> str:
        import mpmath

        reached = "complete" if self.complete else f"to t={float(self.end):.6g}, {self.reason}"
        return f"<FlowProof of {len(self.cells)} cells, error {mpmath.nstr(self.value, 3)}, {reached}>"
