"""What is compiled for objectives of one form: networks, losses and numbers of samples that are alike, other data."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from symflow.evaluate.jit_options import QUICK, THROWAWAY, jit
from symflow.networks.batches import batch_loss, sample_count
from symflow.networks.objective import Objective
from symflow.numbers.types import JaxArray
from symflow.paths.float64.gated.programs import GatedProgram, Sample
from symflow.paths.float64.gated.rows import HeldRows, MemberRows
from symflow.paths.float64.gated.stages import Asked, Begin, Ended, Kinks, Stages, ended, kinks, stages
from symflow.paths.float64.gated.surface import Forces, Surface
from symflow.paths.float64.gated.ties import Ties
from symflow.paths.float64.gated.walk import MOST_KINKS, walker
from symflow.programs.nodes import Input, Node
from symflow.programs.program import Program

Compiled: TypeAlias = Callable[..., Any]

TINY = 200_000
"""Gates of all samples times parameters up to which compilation costs more than what optimization saves in a usual
run."""
FORMS = 32
"""Most forms whose compiled functions are kept."""


class Given(NamedTuple):
    """What compiled functions are given of a problem.

    Attributes:
        data: an array for each input that is data.
        ties: gates that share their kinks; None where none do.
    """

    data: tuple[JaxArray, ...]
    ties: Ties | None


class Form(NamedTuple):
    """An objective without its data.

    Attributes:
        loss: f.
        inputs: of its program.
        parameters: those of them that are parameters.
        data: those that are data.
    """

    loss: Node
    inputs: tuple[Input, ...]
    parameters: tuple[Input, ...]
    data: tuple[Input, ...]

    def objective(self) -> Objective:
        """An objective of this form."""
        return Objective(Program(self.inputs, {"f": self.loss}), self.parameters)


class Functions:
    """The functions of `Frozen`, compiled; each of them takes what is given of a problem before its arguments."""

    def __init__(self, whole: Form, single: Form, samples: int) -> None:
        objective = whole.objective()
        self.forms, self.samples = (whole, single), samples
        self.whole, self.one = GatedProgram(objective), GatedProgram(single.objective())
        counts = np.diff(self.whole.ends, prepend=0)
        self.alpha, self.alpha_bar, self.layers = (
            np.repeat(values, counts)
            for values in zip(*((float(g.alpha), float(g.alpha_bar), g.layer) for g in objective.gates), strict=True)
        )
        self.units = np.concatenate([np.arange(n) for n in counts])
        tiny = len(self.alpha) * samples * objective.parameter_count <= TINY
        compiled = partial(jit, options=THROWAWAY if tiny else QUICK)
        self.gradient = jit(self._gradient)
        self.stages, self.kinks, self.ended, self.forces = map(
            compiled, (self._stages, self._kinks, self._ended, self._forces)
        )
        self.moving, self.normals, self.pulls = (jit(f, THROWAWAY) for f in (self._moving, self._normals, self._pulls))

    def _gradient(self, given: Given, theta: JaxArray, gates: JaxArray) -> tuple[JaxArray, JaxArray]:
        data = dict(zip(self.forms[0].data, given.data, strict=True))
        return self.whole.gradient(self.whole.values(theta, data, gates))

    def _stages(self, given: Given, begin: Begin, held: HeldRows) -> Stages:
        surface = self._surface(given)
        return stages(surface, surface.slopes[0], begin, held)

    def _kinks(self, given: Given, begin: Begin, made: Stages, asked: Asked) -> Kinks:
        walk = walker(self._sample(given), (self.alpha, self.alpha_bar), given.ties)
        return kinks(walk, MOST_KINKS, begin, made, asked)

    def _ended(self, given: Given, begin: Begin, held: HeldRows, made: Stages, found: Kinks) -> Ended:
        return ended(self._surface(given), begin, held, made, found)

    def _forces(self, given: Given, theta: JaxArray, gates: JaxArray, held: HeldRows, members: MemberRows) -> Forces:
        return self._surface(given).forces(theta, gates, held, members)

    def _moving(self, given: Given, *rows: JaxArray) -> tuple[JaxArray, JaxArray]:
        import jax

        found: tuple[JaxArray, JaxArray] = jax.vmap(self._sample(given).moving, in_axes=(None, None, 0, 0))(*rows)
        return found

    def _normals(self, given: Given, *rows: JaxArray) -> tuple[JaxArray, JaxArray]:
        import jax

        found: tuple[JaxArray, JaxArray] = jax.vmap(self._sample(given).normal, in_axes=(None, 0, 0, 0))(*rows)
        return found

    def _pulls(self, given: Given, *rows: JaxArray) -> JaxArray:
        import jax

        found: JaxArray = jax.vmap(self._surface(given).pull, in_axes=(None, 0, 0, 0))(*rows)
        return found

    def _sample(self, given: Given) -> Sample:
        return Sample(self.one, dict(zip(self.forms[1].data, given.data, strict=True)), self.samples)

    def _surface(self, given: Given) -> Surface:
        import jax.numpy as jnp

        slopes = jnp.asarray(self.alpha), jnp.asarray(self.alpha_bar)
        return Surface(partial(self._gradient, given), self._sample(given), slopes)


def functions(objective: Objective) -> Functions:
    """What is compiled for the form of an objective with gates that is a mean over samples.

    Raises:
        ProblemError: it is no mean over samples.
    """
    samples, batch = sample_count(objective), batch_loss(objective, 1)
    single = batch.objective
    return _functions(
        Form(objective.loss, objective.program.inputs, objective.parameters, tuple(objective.data)),
        Form(single.loss, single.program.inputs, single.parameters, tuple(batch.data)),
        samples,
    )


_functions = lru_cache(maxsize=FORMS)(Functions)
