"""Networks and losses to and from the tables of a problem file."""

from __future__ import annotations

from typing import Any

from symflow.errors import ProblemError
from symflow.networks.activations import ACTIVATIONS
from symflow.networks.convolutional import Convolutional
from symflow.networks.layers import LAYERS, Layer
from symflow.networks.losses import PREDICTION, TARGET, Loss, expression_loss
from symflow.networks.network import FullyConnected, Network
from symflow.numbers.rational import text
from symflow.numbers.types import JsonObject
from symflow.problem.expression import parse_expression
from symflow.problem.fields import MAX_PARAMETERS
from symflow.problem.schema import LayerSection, LossSection, NetworkSection


def architecture(section: NetworkSection, source: str) -> Network:
    """The network of a [network] section.

    Raises:
        ProblemError: layers that do not fit one another, or too many parameters.
    """
    kind = ACTIVATIONS[section.activation]
    sigma = kind.make(*(getattr(section, key) for key in kind.settings))
    network: Network
    if section.widths is not None:
        network, key = FullyConnected(section.widths, activation=sigma), "widths"
    else:
        assert section.input is not None
        dimensions = len(section.input) - 1
        try:
            parts = [_part(layer, number, dimensions) for number, layer in enumerate(section.layers or ())]
            network, key = Convolutional(section.input, parts, activation=sigma), "layers"
        except ValueError as error:
            raise ProblemError(f"{source}: network.{error}") from None
    count = network.parameter_count
    if count > MAX_PARAMETERS:
        raise ProblemError(
            f"{source}: network.{key} must give at most {MAX_PARAMETERS} parameters, got {count}; use smaller layers"
        )
    return network


def _part(layer: LayerSection, number: int, dimensions: int) -> Layer:
    """A layer; one integer stands for as many equal ones as there are dimensions."""
    given: dict[str, Any] = {}
    for key, value in layer:
        if isinstance(value, list):
            if len(value) not in (1, dimensions):
                raise ValueError(
                    f"layers[{number}].{key} must have one integer, or one for each of the {dimensions} spatial "
                    f"dimensions, got {value}"
                )
            given[key] = tuple(value) * (dimensions if len(value) == 1 else 1)
        elif value is not None and key != "kind":
            given[key] = value
    return LAYERS[layer.kind].make(**given)


def network_table(network: Network) -> JsonObject:
    """The [network] table of a network.

    Raises:
        ProblemError: a width is a symbol.
    """
    table: JsonObject = {"kind": network.kind}
    if isinstance(network, FullyConnected):
        if not all(isinstance(d, int) for d in network.widths):
            raise ProblemError(f"network.widths must be integers in a file, got {list(network.widths)}")
        table["widths"] = list(network.widths)
    else:
        assert isinstance(network, Convolutional)
        layers = [{"kind": part.name, **part.settings} for part in network.parts]
        table |= {"input": list(network.input), "layers": layers}
    return table | {"activation": network.activation} | {key: text(v) for key, v in network.sigma.settings.items()}


def describe(network: Network) -> str:
    """A network in a few words, such as "fully-connected 2-3-1" or "convolutional 1x8x8: conv 4, max-pool, dense 2"."""
    if isinstance(network, FullyConnected):
        sizes = [str(width) for width in network.widths]
        return f"fully-connected {'-'.join(sizes if len(sizes) <= 8 else [*sizes[:4], '...', *sizes[-2:]])}"
    assert isinstance(network, Convolutional)
    words = ", ".join(part.summary for part in network.parts)
    return f"convolutional {'x'.join(map(str, network.input))}: {words}"


def loss_of(section: LossSection, source: str) -> Loss:
    """The loss of a [loss] section.

    Raises:
        ProblemError: an expression that cannot be read, or that is declared convex and is not.
    """
    if section.expression is None:
        return Loss(section.kind)
    names = {"prediction": PREDICTION, "target": TARGET}
    expression = parse_expression(section.expression, names, f"{source}: loss.expression")
    try:
        return expression_loss(expression, PREDICTION, TARGET, convex=section.convex)
    except ProblemError as error:
        raise ProblemError(f"{source}: {error}") from None


def loss_table(loss: Loss) -> JsonObject:
    """The [loss] table of a loss."""
    table: JsonObject = {"kind": loss.kind}
    if loss.expression is not None:
        table["expression"] = str(loss.expression)
        if loss.convexity == "declared":
            table["convex"] = True
    return table
