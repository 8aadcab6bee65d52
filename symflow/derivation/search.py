"""Inequalities: a named lemma, its hypotheses checked, and an adversarial search for a counterexample."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from symflow.derivation.lemmas import Lemma
from symflow.derivation.outcome import Check, Kind, Outcome

POINTS, STARTS, ASCENTS = 256, 16, 60
"""Random points; how many of the worst are then moved uphill; how many steps of ascent."""
TOLERANCE = 1e-10


@dataclass(frozen=True)
class Inequality:
    r"""smaller <= larger, by lemmas, and attacked.

    The search maximizes the relative violation (smaller - larger) / (|smaller| + |larger|) in float64 through JAX:
    random standard normal points, then gradient ascent with shrinking steps from the worst of them.

    Attributes:
        scope: what the cases are, LaTeX text.
        lemmas: what the inequality follows from.
        cases: sizes for which it is attacked.
        dimension: the number of coordinates of a case.
        sides: (case, z) -> (smaller, larger), JAX numbers, for a vector z of that many coordinates; any z must give
            an admissible instance.
        hypotheses: checks of what the lemmas suppose.
    """

    scope: str
    lemmas: tuple[Lemma, ...]
    cases: Sequence[Any]
    dimension: Callable[[Any], int]
    sides: Callable[[Any, Any], tuple[Any, Any]]
    hypotheses: tuple[Check, ...] = ()
    kind: ClassVar[Kind] = "by lemma; sampled"

    def run(self) -> Outcome:
        """Checks the hypotheses of the lemmas, then searches every case."""
        for hypothesis in self.hypotheses:
            found = hypothesis.run()
            if not found.passed:
                return Outcome(False, f"a hypothesis fails: {found.detail}")
        worst = -1.0
        for case in self.cases:
            violation = largest_violation(partial(self.sides, case), self.dimension(case))
            if not violation <= TOLERANCE:
                return Outcome(False, f"violated by {violation:.2g} of its size in the case {case}")
            worst = max(worst, violation)
        return Outcome(
            True,
            f"no violation at {POINTS} random points and {STARTS} x {ASCENTS} steps of ascent in each of "
            f"{len(self.cases)} cases; smallest relative slack {max(0.0, -worst):.0e}",
        )


def largest_violation(sides: Callable[[Any], tuple[Any, Any]], dimension: int) -> float:
    """The largest relative violation that the search finds, at least -1; nan where a value is not finite."""
    import jax
    import jax.numpy as jnp

    def violation(z: Any) -> Any:
        smaller, larger = sides(z)
        return (smaller - larger) / (jnp.abs(smaller) + jnp.abs(larger) + 1e-300)

    def climb(z: Any) -> Any:
        def step(k: Any, state: tuple[Any, Any]) -> tuple[Any, Any]:
            z, best = state
            value, slope = jax.value_and_grad(violation)(z)
            length = jnp.linalg.norm(slope)
            usable = jnp.isfinite(length) & (length > 0)
            direction = jnp.where(usable, slope / jnp.where(usable, length, 1.0), 0.0)
            size = 0.3 * 0.93**k * (1 + jnp.linalg.norm(z))
            return z + size * direction, jnp.maximum(best, value)

        last, best = jax.lax.fori_loop(0, ASCENTS, step, (z, violation(z)))
        return jnp.maximum(best, violation(last))

    @jax.jit
    def search(points: Any) -> Any:
        found = jax.vmap(violation)(points)
        starts = points[jnp.argsort(-found)[:STARTS]]
        return jnp.maximum(jnp.max(found), jnp.max(jax.vmap(climb)(starts)))

    with jax.enable_x64(True):
        points = jax.random.normal(jax.random.key(dimension), (POINTS, dimension), dtype=jnp.float64)
        return float(search(points))
