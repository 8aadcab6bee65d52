"""What conservation laws are asked of: networks, objectives and maps, as models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symflow.analysis.laws.map_model import MapModel
from symflow.analysis.laws.model import Model
from symflow.analysis.laws.networks import NetworkModel
from symflow.analysis.laws.parametric_map import ParametricMap
from symflow.errors import ProblemError, brief
from symflow.networks.losses import Loss, as_loss
from symflow.networks.losses.expression import PREDICTION, TARGET
from symflow.networks.network import Network
from symflow.networks.objective import Objective
from symflow.programs.program import Program


def as_model(subject: Any, loss: Any, biases: bool) -> Model:
    """The map, losses and data of a subject.

    Raises:
        ProblemError: it is none, or the activation is not homogeneous.
    """
    if not isinstance(biases, bool):
        raise ProblemError(f"biases must be True or False, got {brief(biases)}")
    if isinstance(subject, Network):
        given = None if loss is None else as_loss(loss)
        return _network(subject.with_biases() if biases else subject, given, None)
    if loss is not None or biases:
        raise ProblemError("loss= and biases= go with a network; an objective has its own, and a map has none")
    if isinstance(subject, ParametricMap):
        return MapModel(subject, "every data set and loss")
    if isinstance(subject, Objective):
        return _objective(subject)
    hint = "; pass problem.objective" if hasattr(subject, "objective") else ""
    raise ProblemError(f"a network, an objective or a parametric map is needed, got {brief(subject)}{hint}")


def _network(network: Network, loss: Loss | None, data: np.ndarray | None) -> NetworkModel:
    if any(network.sigma.at(k).slopes is None for k in range(1, network.depth)):
        raise ProblemError(
            f"conservation laws of networks need a homogeneous activation, got {network.activation}; give the map as "
            "sf.ParametricMap"
        )
    if loss is not None and loss.expression is not None and TARGET not in loss.expression.diff(PREDICTION).free_symbols:
        raise ProblemError(
            "laws are those of all targets: the loss's slope must depend on the target, got "
            f"{brief(str(loss.expression))}; give the loss as an objective of your own"
        )
    differences = loss is not None and loss.kind == "cross-entropy"
    losses = "every loss" if loss is None else "the cross-entropy" if differences else f"the {loss.kind} loss"
    inputs = "every data set" if data is None else "the given inputs with any targets"
    return NetworkModel(network, differences, data, f"{inputs} and {losses}")


def _objective(objective: Objective) -> Model:
    if objective.undecayed is not None:
        raise ProblemError(
            "with weight decay d laws of degree k decay as e^{-k d t} in place of being conserved; give the objective "
            "without it"
        )
    if objective.architecture is None:
        return MapModel(_own(objective), "its own flow")
    found = [objective.data[x] for x in objective.data_inputs if x.name == "X" and x in objective.data]
    data: np.ndarray | None = None
    if found:
        data = found[0].reshape(-1, found[0].shape[-1]).T
    elif moments := [objective.data[x] for x in objective.data_inputs if x.name == "Sigma_xx" and x in objective.data]:
        data = moments[0].T  # its columns span what the inputs span
    return _network(objective.architecture, objective.sample_loss, data)


def _own(objective: Objective) -> ParametricMap:
    """An objective of one's own as the map without inputs that has it as its output."""
    import sympy

    from symflow.evaluate.sympy_scalars import scalar_outputs

    program = Program(objective.program.inputs, {"f": objective.loss})
    (value,) = scalar_outputs(program, objective.data, objective.symbols, 100_000, "objective")
    symbols: Sequence[sympy.Symbol] = [objective.symbols[w] for w in objective.parameters]
    return ParametricMap([value[()]], symbols, [])
