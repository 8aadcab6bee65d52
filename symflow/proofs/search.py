"""Inequalities: a named lemma, its hypotheses checked, and an adversarial search for a counterexample."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np

from symflow.evaluate.jax_runtime import own_modes, start_with_spare_threads
from symflow.evaluate.jit_options import THROWAWAY, jit
from symflow.proofs.lemmas import Lemma
from symflow.proofs.outcome import Check, Kind, Outcome

POINTS, STARTS, ASCENTS = 256, 16, 60
"""Random points; how many of the worst are then moved uphill; how many steps of ascent."""
TOLERANCE = 1e-10
DIFFERENCE, LONGEST, NOISE = 1e-6, 0.1, 1e-12
"""How far apart values are taken for a slope; how far at most where the differences are so small that they may be
rounding; and how small that is."""


@dataclass(frozen=True)
class Inequality:
    r"""smaller <= larger, by lemmas, and attacked.

    The search maximizes the relative violation (smaller - larger) / (|smaller| + |larger|) in float64 through JAX:
    random standard normal points, then ascent along the slope with shrinking steps from the worst of them.

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
            f"no violation at {POINTS} random points and {STARTS}×{ASCENTS} steps of ascent, cases: "
            f"{len(self.cases)}; relative slack {f'≥ {-worst:.0e}' if worst < 0 else '0'}",
        )


def largest_violation(sides: Callable[[Any], tuple[Any, Any]], dimension: int) -> float:
    """The largest relative violation that the search finds, at least -1; nan where a value is not finite.

    Slopes are differences of values: a program of values alone is compiled in a third of the time of one with
    derivatives, and that is most of a search. They exist where derivatives do not, at kinks and double eigenvalues.
    """
    import jax
    import jax.numpy as jnp

    def violation(z: Any) -> Any:
        smaller, larger = sides(z)
        return (smaller - larger) / (jnp.abs(smaller) + jnp.abs(larger) + 1e-300)

    batch = STARTS * (dimension + 1)
    points = np.random.default_rng(dimension).standard_normal((-(-POINTS // batch), batch, dimension))
    start_with_spare_threads()
    with own_modes():
        values = jit(jax.vmap(violation), THROWAWAY)
        found = np.concatenate([values(block) for block in points])
        if np.isnan(found).any():
            return float("nan")
        z = points.reshape(-1, dimension)[np.argsort(-found)[:STARTS]]
        best = found.max()
        ways, reach = np.eye(dimension + 1, dimension, -1), np.full((STARTS, 1), DIFFERENCE)
        for k in range(ASCENTS):
            around = values((z[:, None] + reach[:, :, None] * ways).reshape(batch, dimension))
            around = np.asarray(around).reshape(STARTS, -1)
            best = max(best, np.nan_to_num(around, nan=-1.0).max())
            slopes = around[:, 1:] - around[:, :1]
            lengths = np.linalg.norm(slopes, axis=1, keepdims=True)
            usable = np.isfinite(lengths) & (lengths > NOISE)
            reach = np.where(usable, DIFFERENCE, np.minimum(10 * reach, LONGEST))
            directions = np.divide(slopes, lengths, out=np.zeros_like(slopes), where=usable)
            z = z + 0.3 * 0.93**k * (1 + np.linalg.norm(z, axis=1, keepdims=True)) * directions
        return float(best)
