r"""The violation of a claim in float64 at batches of points, and its gradient: JAX under vmap.

The margin is (small - large - noise)/(|small| + |large|) for the claim small <= large: positive where the claim is
violated by more than the noise, which is rounding and, where the flow is involved, the difference between two
integrations of it with different steps. Conditions count in the same way: the margin is the smaller one of the claim's
and the least by which a condition holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from symflow.analysis.falsify.arithmetic import evaluate, jax_arithmetic
from symflow.analysis.falsify.claim import Claim, Inequality
from symflow.analysis.falsify.draws import Points, padded
from symflow.analysis.falsify.paths import SAMPLES, Paths, Run
from symflow.analysis.falsify.point_jax import KINK, SPECTRAL, Local
from symflow.analysis.falsify.points import IMBALANCE, off_kinks
from symflow.analysis.falsify.vocabulary import Place
from symflow.dynamics.method import Method
from symflow.evaluate.jax_runtime import own_modes
from symflow.evaluate.jit_options import THROWAWAY, jit
from symflow.networks.objective import Objective
from symflow.numbers.types import JaxArray
from symflow.programs.nodes import Input
from symflow.programs.program import shape_of

ROUNDING = 1e-11
"""Noise of float64, relative to what is added up."""
TINY = 1e-300
EMPTY = 1e-14
"""Sides as small as this are those of a point where nothing moves."""
NEAR_KINK = 1e-12
"""A smaller pre-activation is not told from 0: a kink, where derivatives say nothing."""

Margin: TypeAlias = tuple[JaxArray, JaxArray]
"""The margin, and whether it is a tie."""


def _length(x: JaxArray) -> JaxArray:
    return jnp.sqrt(jnp.sum(x * x) + TINY) - TINY**0.5  # with a slope also at 0


@dataclass(frozen=True, eq=False)
class Evaluator:
    """A claim for one setup, compiled.

    Attributes:
        function: (theta, x, y, log_eta, steps) -> ((sum of margins, (margins, ties)), gradients of it); a tie is a
            point where the violation cannot be told from 0.
    """

    function: Callable[..., tuple[tuple[JaxArray, tuple[JaxArray, JaxArray]], Sequence[JaxArray]]]

    def __call__(self, points: Points) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
        """Margins, whether they are ties, and gradients at up to `BATCH` points; -inf where nothing can be said."""
        full = padded(points)
        with own_modes():
            (_, (margin, tie)), slopes = self.function(*full.moving, full.steps)
        margins = np.asarray(margin)[: points.count]
        margins = np.where(np.isfinite(margins), margins, -np.inf)
        ties = np.asarray(tie)[: points.count] & np.isfinite(margins)
        return margins, ties, [np.nan_to_num(np.asarray(g)[: points.count], posinf=0, neginf=0) for g in slopes]


def evaluator(claim: Claim, objective: Objective, most_steps: int, method: Method) -> Evaluator:
    """A claim for one setup; it is compiled at the first call.

    Args:
        claim: with the whole numbers of this setup put in.
        objective: a training loss of the setup's shape, whatever its data.
        most_steps: the largest k.
        method: of descent.
    """
    model = _Model(claim, objective, most_steps, method)

    def total(theta: JaxArray, x: JaxArray, y: JaxArray, log_eta: JaxArray, steps: JaxArray) -> tuple[JaxArray, Margin]:
        margins, ties = jax.vmap(model.margin)(theta, x, y, log_eta, steps)
        return jnp.sum(jnp.where(jnp.isfinite(margins), margins, 0.0)), (margins, ties)

    function = jax.value_and_grad(total, argnums=(0, 1, 2, 3), has_aux=True)
    return Evaluator(jit(function, THROWAWAY))


class _Model:
    """The quantities of one claim as functions of one point, traceable."""

    def __init__(self, claim: Claim, objective: Objective, most_steps: int, method: Method) -> None:
        self.claim, self.needs = claim, claim.needs
        self.local, self.paths = Local(objective, claim.needs), Paths(claim.needs, most_steps, method)
        self.inputs = {x.name: x for x in objective.data_inputs}

    def margin(
        self, theta: JaxArray, x: JaxArray, y: JaxArray, log_eta: JaxArray, steps: JaxArray
    ) -> tuple[JaxArray, JaxArray]:
        """The margin at one point, and whether it is a tie."""
        data = {self.inputs[name]: a.T.reshape(shape_of(self.inputs[name].axes)) for name, a in (("X", x), ("Y", y))}
        eta = jnp.exp(log_eta)
        run = self.paths(lambda at: self.local.slope(at, data), theta, eta, steps)
        at = {"start": theta, "descent": run.descent, "flow": run.flow[-1], "coarse": run.coarse, "beside": run.beside}
        wanted = [place for place in at if self._looked_at(place)]
        found: dict[str, dict[str, JaxArray]] = {}
        if wanted:
            stacked = jax.vmap(lambda point: self.local(point, data))(jnp.stack([at[place] for place in wanted]))
            found = {place: {name: a[i] for name, a in stacked.items()} for i, place in enumerate(wanted)}
        clock = {"eta": eta, "t": steps * eta, "T": steps * eta, "k": steps * 1.0}
        if self.needs.tube:
            clock |= self._tube(run, clock["t"], data)
        values = clock | self._values(at, found, "flow", 0.0)
        other = clock | self._values(at, found, "coarse" if self.needs.flow else "flow", ROUNDING)
        margin, tie = _compare(self.claim.inequality, values, other)
        for condition in self.claim.given:
            held, close = _compare(condition, values, other)
            margin, tie = jnp.minimum(margin, -held), tie & ((held < 0) | close)
        for place, names in self.needs.points.items():
            if off_kinks(names) and KINK in found[place]:
                margin = jnp.where(found[place][KINK] > NEAR_KINK, margin, -jnp.inf)
        return margin, tie

    def _looked_at(self, place: str) -> bool:
        if place == "beside" or (place == "coarse" and not self.needs.flow):
            return False
        own: Place = "flow" if place == "coarse" else place  # type: ignore[assignment]
        return bool(self.needs.points[own]) or self.needs.imbalance(own)

    def _values(
        self, at: Mapping[str, JaxArray], found: Mapping[str, Mapping[str, JaxArray]], flow: str, shift: float
    ) -> dict[str, JaxArray]:
        """Every quantity of a point or between two, by name.

        Args:
            at: the points by place.
            found: what is known there.
            flow: which integration of the flow.
            shift: relative rounding error that is added to differences and eigenvalues.
        """
        values: dict[str, JaxArray] = {}
        for name in self.claim.names:
            place, stem = self.needs.key(name)
            here = found.get(flow if place == "flow" else place, {})
            if stem in here:
                values[name] = here[stem] + (shift * here["H"] if stem in SPECTRAL else 0.0)
        pairs = {
            "deviation": ("descent" if flow == "flow" else "beside", flow),
            "displacement": (flow, "start"),
            "displacement_descent": ("descent", "start"),
        }
        for name in self.needs.run:
            if name in pairs:
                now, before = (at[place] for place in pairs[name])
                size = _length(now) + _length(before)
            else:
                end = "descent" if name == "drift_descent" else flow
                now, before = found[end][IMBALANCE], found["start"][IMBALANCE]
                size = jnp.sum(at[end] ** 2) + jnp.sum(at["start"] ** 2)
            values[name] = _length(now - before) + shift * size
        return values

    def _tube(self, run: Run, t: JaxArray, data: Mapping[Input, JaxArray]) -> dict[str, JaxArray]:
        """The constants of the tube, from below: what they are at some points of it."""
        low, high, slope = lax.map(lambda at: self.local.ends(at, data), run.tube)
        flow = low[: SAMPLES + 1]
        return {
            "beta": jnp.max(jnp.maximum(-low, high)),
            "gamma": jnp.max(slope),
            "m": jnp.max(-low),
            "M": -jnp.sum((flow[1:] + flow[:-1]) / 2) * t / SAMPLES,
        }


def _compare(
    part: Inequality, values: Mapping[str, JaxArray], other: Mapping[str, JaxArray]
) -> tuple[JaxArray, JaxArray]:
    """(small - large - noise)/(|small| + |large|), and whether the noise decides the sign of small - large."""
    arithmetic = jax_arithmetic()
    small, large = (jnp.asarray(evaluate(e, values, arithmetic)) for e in (part.small, part.large))
    again = evaluate(part.small, other, arithmetic) - evaluate(part.large, other, arithmetic)
    scale = jnp.abs(small) + jnp.abs(large) + TINY
    violation = small - large
    noise = ROUNDING * scale + jnp.abs(violation - again)
    if not (part.small.free_symbols and part.large.free_symbols):
        scale = lax.stop_gradient(scale)  # else the margin is +-1, and ascent does not know where to go
    empty = scale < EMPTY  # 0 <= 0 says nothing
    return jnp.where(empty, -1.0, (violation - noise) / scale), (jnp.abs(violation) <= noise) & ~empty
