"""30 seeded problems with a statement each: linear networks, all losses, kinks, slides, heavy ball, and all time."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import Any

import symflow as sf


@dataclass(frozen=True)
class Case:
    """A problem, what is asked of it, and whether that holds."""

    name: str
    widths: tuple[int, ...]
    activation: str
    loss: str
    samples: int
    seed: int
    ask: dict[str, Any] = field(default_factory=dict)
    holds: bool = True

    def problem(self) -> sf.Problem:
        """All numbers are multiples of 1/100 in [-1, 1]."""
        rng = random.Random(self.seed)

        def number() -> Fraction:
            return Fraction(rng.randint(-100, 100), 100)

        network: dict[str, Any] = {"widths": list(self.widths), "activation": self.activation}
        if self.activation == "leaky-relu":
            network["slope"] = "1/5"
        if self.activation == "homogeneous":
            network |= {"alpha": "3/2", "alpha_bar": "-1/4"}
        x = [[number() for _ in range(self.widths[0])] for _ in range(self.samples)]
        y: list[list[Fraction | int]] = [[number() for _ in range(self.widths[-1])] for _ in range(self.samples)]
        if self.loss in ("logistic", "exponential"):
            y = [[rng.choice([-1, 1])] for _ in range(self.samples)]
        if self.loss == "cross-entropy":
            labels = [rng.randrange(self.widths[-1]) for _ in range(self.samples)]
            y = [[int(c == label) for c in range(self.widths[-1])] for label in labels]
        theta = [number() for _ in range(sum(a * b for a, b in pairwise(self.widths)))]
        return sf.Problem(network=network, data={"x": x, "y": y}, init={"theta": theta}, loss=self.loss)

    def certificate(self) -> sf.Certificate:
        """What `certify` says."""
        return sf.certify(self.problem(), **self.ask)


def near(distance: str, steps: int = 100, **more: Any) -> dict[str, Any]:
    """Asks that descent with step size 1/50 remains near flow."""
    return {"step_size": "1/50", "steps": steps, "distance": distance, **more}


MOMENTUM = sf.HeavyBall("1/2")
CASES = (
    Case("linear 2-3-1", (2, 3, 1), "linear", "square", 4, 1, near("1/20", 150, loss="1/2")),
    Case("linear 2-2-2", (2, 2, 2), "linear", "square", 3, 2, near("1/20", 100, loss="1/4", flow_time=2)),
    Case("linear 3-2-2-1", (3, 2, 2, 1), "linear", "square", 5, 3, near("1/50", 100)),
    Case("linear 2-1", (2, 1), "linear", "square", 4, 4, near("1/100", 200)),
    Case("linear, far", (2, 3, 1), "linear", "square", 4, 5, near("1/10000", 100), holds=False),
    Case("linear, loss too low", (2, 2, 1), "linear", "square", 4, 6, near("1/20", 50, loss="1/1000000"), holds=False),
    Case("linear logistic", (2, 3, 1), "linear", "logistic", 4, 2, near("1/20")),
    Case("linear exponential", (2, 2, 1), "linear", "exponential", 3, 3, near("1/20")),
    Case("linear cross-entropy", (2, 2, 3), "linear", "cross-entropy", 4, 4, near("1/20")),
    Case("relu, two crossings", (2, 3, 1), "relu", "square", 4, 1, near("1/20")),
    Case("relu, crossing and slide", (2, 3, 1), "relu", "square", 4, 4, near("1/20", 125)),
    Case("relu, slide", (2, 3, 1), "relu", "square", 4, 12, near("1/20")),
    Case("relu, crossings, loss", (2, 3, 1), "relu", "square", 4, 14, near("1/20", 160, loss="1/5", flow_time=3)),
    Case("relu, two slides", (2, 3, 1), "relu", "square", 4, 20, near("1/20", 210)),
    Case("relu, far", (2, 3, 1), "relu", "square", 4, 21, near("1/10000", 50), holds=False),
    Case("leaky, crossing", (2, 2, 1), "leaky-relu", "square", 4, 7, near("1/20", 75)),
    Case("leaky, four crossings", (2, 2, 1), "leaky-relu", "square", 4, 15, near("1/20", 150)),
    Case("leaky, slide", (2, 2, 1), "leaky-relu", "square", 4, 18, near("1/20", 125)),
    Case("deep leaky, crossings", (2, 2, 2, 1), "leaky-relu", "square", 4, 20, near("1/20")),
    Case("deep leaky, slide", (2, 2, 2, 1), "leaky-relu", "square", 4, 13, near("1/20", 100)),
    Case("homogeneous, slides and leaving", (2, 3, 1), "homogeneous", "square", 4, 7, near("1/5", 200)),
    Case("relu cross-entropy, slides", (2, 3, 2), "relu", "cross-entropy", 4, 14, near("1/20", 60)),
    Case("relu logistic, crossings", (2, 3, 1), "relu", "logistic", 4, 3, near("1/20")),
    Case("leaky exponential, crossings", (2, 2, 1), "leaky-relu", "exponential", 4, 2, near("1/10", 100)),
    Case("heavy ball, linear", (2, 3, 1), "linear", "square", 4, 8, near("1/5", 100, method=MOMENTUM)),
    Case("heavy ball, relu", (2, 3, 1), "relu", "square", 4, 7, near("1/5", 100, method=MOMENTUM)),
    Case("heavy ball, logistic", (2, 2, 1), "linear", "logistic", 4, 9, near("1/5", 75, method=MOMENTUM)),
    Case("all time, interpolation", (2, 3, 1), "leaky-relu", "square", 2, 12,
         {"step_size": "1/5", "steps": 400, "loss": "1/1000", "stays_below": True}),
    Case("all time, least squares", (2, 3, 1), "linear", "square", 4, 10,
         {"step_size": "1/10", "steps": 400, "loss": "1/2", "stays_below": True}),
    Case("all time, not near the origin", (2, 3, 1), "leaky-relu", "square", 2, 13,
         {"limit": [0] * 9, "radius": "1/10"}, holds=False),
)  # fmt: skip
"""The 30 of tests/studies/certificates.md."""
