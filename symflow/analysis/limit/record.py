"""What is known of the limit of a path."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import mpmath
import numpy as np

from symflow.analysis.limit.route import Kind
from symflow.displays import displayed
from symflow.errors import brief_float
from symflow.evaluate.balls import Enclosure
from symflow.networks.objective import Objective
from symflow.numbers.types import Mpf
from symflow.paths.path_error import How


@displayed
@dataclass(frozen=True, eq=False)
class Limit:
    """theta(infinity) of a flow or of descent, known to lie in a ball, with what is proved of the way there (R24).

    From the point on that it was proved at (the end of the path) the path stays within `neighbourhood` of `start`, and
    the loss falls for ever: f - f* <= excess e^{-2 mu t}, or excess (1 - eta mu (2 - eta beta))^k, f* the loss at the
    limit; the distance from the limit is at most length e^{-mu t}, or length sqrt(1 - eta mu (2 - eta beta))^k.

    Attributes:
        objective: f.
        kind: why it converges: "interpolating" (square loss, all outputs free to move: f* = 0), "linear" (the least
            squares value of a linear network), "symmetric" (a minimum that is strict but for the symmetries of the
            network), or "isolated" (a strict minimum, the only one nearby).
        center: of the ball, P mpf values.
        radius: ||theta(infinity) - center|| <= radius (mpf).
        loss: f at the limit, an `Enclosure`.
        sharpness: lambda_max(H) at the limit, an `Enclosure`; of infinite radius where the limit may lie on a kink.
        rate: mu, from below (mpf).
        curvature: beta >= lambda_max(H) on the neighbourhood (mpf); infinite where gates may change there.
        start: where it was proved, the end of the path, P mpf values.
        start_radius: at most how far the path itself is from `start` there (mpf).
        neighbourhood: the radius of the ball around `start` on which mu and beta hold (mpf).
        excess: f - f* at the end of the path, from above (mpf).
        length: at most how long the rest of the path is (mpf).
        time: t, or k eta, at the end of the path (`Fraction`).
        step_size: eta; None for flow.
        how: "certified", or "estimated" where the error of the path is.
        reason: why it is not certified; empty where it is.

    Example:
        >>> problem = sf.Problem(network=sf.FullyConnected((1, 1, 1)), data={"x": [1], "y": [1]},
        ...                      init={"theta": ["1/2", 1]})
        >>> found = sf.limit(sf.solve_flow(problem, horizon=40, dps=30))
        >>> a, b = found.center  # b^2 - a^2 = 3/4 is conserved, and a b = 1 at the limit
        >>> bool(abs(a**2 - (73**0.5 - 3) / 8) < 1e-15), bool(found.radius < 1e-28)
        (True, True)
        >>> found.kind, found.loss.upper == 0, round(found.rate, 3), round(found.sharpness.midpoint, 3)
        ('interpolating', True, 2.136, 2.136)
    """

    objective: Objective
    kind: Kind
    center: np.ndarray
    radius: Mpf
    loss: Enclosure
    sharpness: Enclosure
    rate: Mpf
    curvature: Mpf
    start: np.ndarray
    start_radius: Mpf
    neighbourhood: Mpf
    excess: Mpf
    length: Mpf
    time: Fraction
    step_size: Fraction | None
    how: How
    reason: str = ""

    @property
    def factor(self) -> Mpf | None:
        """At least by what f - f* shrinks in a step of descent, rounded up; None for flow."""
        if self.step_size is None:
            return None
        from symflow.numbers.balls import ball, ball_precision, from_mpf, upper
        from symflow.theory.r24_for_all_time import descent_factor

        with ball_precision(100):
            return upper(descent_factor(ball(self.step_size), from_mpf(self.rate), from_mpf(self.curvature)))

    def __repr__(self) -> str:
        path = "flow" if self.step_size is None else f"descent of step size {self.step_size}"
        short = mpmath.nstr(self.radius, 2, min_fixed=1, max_fixed=1)
        known = mpmath.isfinite(self.sharpness.radius)
        sharp = f"sharpness {mpmath.nstr(self.sharpness.midpoint, 4)}" if known else "perhaps on a kink"
        numbers = f"rate {mpmath.nstr(self.rate, 4)}, {sharp}"
        return (
            f"<limit of {path} from t={brief_float(self.time)} on, {self.kind}, {self.how} within {short}, "
            f"loss {mpmath.nstr(self.loss.midpoint, 4)}, {numbers}>"
        )
