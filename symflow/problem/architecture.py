"""Networks and losses to and from the tables of a problem file."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from symflow.errors import ProblemError, shorten
from symflow.networks.activations import ACTIVATIONS, Activation, PerLayer
from symflow.networks.activations.expression import Z
from symflow.networks.convolutional import Convolutional
from symflow.networks.layers import LAYERS, Layer
from symflow.networks.losses import PREDICTION, TARGET, Loss, expression_loss
from symflow.networks.network import FullyConnected, Network
from symflow.numbers.rational import text
from symflow.numbers.types import JsonObject
from symflow.problem.expression import parse_expression
from symflow.problem.fields import MAX_PARAMETERS, Section
from symflow.problem.schema import FormulaFile, LayerSection, LossSection, NetworkSection, check_network, validate
from symflow.programs.nodes import Size


def architecture(section: NetworkSection, source: str, widths: Sequence[Size] | None = None) -> Network:
    """The network of a [network] section.

    Args:
        section: the table.
        source: the start of every error message.
        widths: in place of those of the section, where some are symbols.

    Raises:
        ProblemError: layers that do not fit one another, or too many parameters.
    """
    options: dict[str, Any] = {key: getattr(section, key) for key in ("biases", "skip", "diagonal", "output_scale")}
    options["activation"] = _activation(section, f"{source}: network")
    network: Network
    try:
        if section.widths is not None:
            network, key = FullyConnected(widths or section.widths, **options), "widths"
        else:
            assert section.input is not None
            dimensions = len(section.input) - 1
            parts = [_part(layer, number, dimensions) for number, layer in enumerate(section.layers or ())]
            network, key = Convolutional(section.input, parts, **options), "layers"
    except ValueError as error:
        raise ProblemError(f"{source}: network.{error}") from None
    count = 0 if widths else network.parameter_count
    if count > MAX_PARAMETERS:
        raise ProblemError(
            f"{source}: network.{key} must give at most {MAX_PARAMETERS} parameters, got {count}; use smaller layers"
        )
    return network


def network_of(table: object, where: str) -> Network:
    """The network of a table with the keys of [network].

    Raises:
        ProblemError: a key or a value that is wrong; the message begins with `where`.
    """
    try:
        section = validate(FormulaFile, {"network": table}, where).network
        check_network(section, where)
        return architecture(section, where)
    except ProblemError as refused:
        raise ProblemError(str(refused).replace(f"{where}: network.", f"{where}.", 1)) from None


def _activation(section: NetworkSection, where: str) -> Activation | list[Activation]:
    """The record, or one for each entry of a list."""

    def setting(given: Section, key: str, where: str) -> Any:
        value = getattr(given, key)
        return parse_expression(value, {"z": Z}, f"{where}.{key}") if isinstance(value, str) else value

    def made(name: str, given: Section, where: str) -> Activation:
        kind = ACTIVATIONS[name]
        settings = [setting(given, key, where) for key in kind.settings]
        try:
            return kind.make(*settings)
        except ProblemError as error:
            raise ProblemError(f"{where}.{error}") from None

    if isinstance(section.activation, str):
        return made(section.activation, section, where)
    return [made(e.kind, e, f"{where}.activation[{number}]") for number, e in enumerate(section.activation)]


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
    return table | _activation_table(network.sigma) | _options_table(network)


def _activation_table(sigma: Activation) -> JsonObject:
    """The keys that say the activation."""
    if isinstance(sigma, PerLayer):
        entries = [{"kind": s.name, **_settings(s)} if s.settings else s.name for s in sigma.each]
        return {"activation": entries}
    return {"activation": sigma.name, **_settings(sigma)}


def _settings(sigma: Activation) -> JsonObject:
    return {key: text(v) if isinstance(v, Fraction) else str(v) for key, v in sigma.settings.items()}


def _options_table(network: Network) -> JsonObject:
    """Biases, skip connections, diagonal layers and the output's scale, where a network has them."""
    table: JsonObject = {}
    if any(network.biases):
        table["biases"] = True if all(network.biased) else list(network.biases)
    if network.skip:
        table["skip"] = [list(pair) for pair in network.skip]
    if network.diagonal:
        table["diagonal"] = list(network.diagonal)
    return table if network.output_scale == 1 else {**table, "output_scale": text(network.output_scale)}


def describe(network: Network) -> str:
    """A network in a few words, such as "fully-connected 2-3-1" or "convolutional 1x8x8: conv 4, max-pool, dense 2"."""
    return "".join([_described_layers(network), *(f", {words}" for words in _described_options(network))])


def called(network: Network) -> str:
    """The same with the activation, such as "fully-connected 2-3-1 relu, biases"."""
    options = "".join(f", {words}" for words in _described_options(network))
    return f"{_described_layers(network)} {network.activation}{options}"


def _described_layers(network: Network) -> str:
    if isinstance(network, FullyConnected):
        sizes = [str(width) for width in network.widths]
        return f"fully-connected {'-'.join(sizes if len(sizes) <= 8 else [*sizes[:4], '...', *sizes[-2:]])}"
    assert isinstance(network, Convolutional)
    words = ", ".join(part.summary for part in network.parts)
    return f"convolutional {'x'.join(map(str, network.input))}: {words}"


def _described_options(network: Network) -> list[str]:
    """What a network has beyond weights and activations."""
    found: list[str] = []
    if any(network.biases):
        having = [str(j) for j, has in enumerate(network.biases, 1) if has]
        found.append("biases" if all(network.biased) else f"biases in {shorten(', '.join(having), 40)}")
    if network.skip:
        found.append(f"skip {shorten(', '.join(f'{i}->{j}' for i, j in network.skip), 40)}")
    if network.diagonal:
        found.append(f"diagonal {shorten(', '.join(map(str, network.diagonal)), 40)}")
    return found if network.output_scale == 1 else [*found, f"output scale {text(network.output_scale)}"]


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
