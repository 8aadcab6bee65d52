"""Networks and losses to and from the tables of a problem file."""

from __future__ import annotations

from fractions import Fraction
from math import prod
from typing import Any

from symflow.errors import ProblemError
from symflow.networks.convolutional import Convolution, Convolutional, Dense, Part, Pool
from symflow.networks.losses import PREDICTION, SQUARE, TARGET, Loss, expression_loss
from symflow.networks.network import FullyConnected, Network
from symflow.numbers.rational import text
from symflow.problem.expression import parse_expression
from symflow.problem.schema import MAX_PARAMETERS, LayerSection, LossSection, NetworkSection
from symflow.programs.program import shape_of


def architecture(section: NetworkSection, source: str) -> Network:
    """The network of a [network] section, with the slopes of its activation.

    Raises:
        ProblemError: layers that do not fit one another, or too many parameters.
    """
    one, zero = Fraction(1), Fraction(0)
    slopes = {
        "linear": (one, one),
        "relu": (one, zero),
        "leaky-relu": (one, section.slope),
        "homogeneous": (section.alpha, section.alpha_bar),
    }
    alpha, alpha_bar = slopes[section.activation]
    assert alpha is not None
    assert alpha_bar is not None
    network: Network
    if section.kind == "fully-connected":
        assert section.widths is not None
        network = FullyConnected(tuple(section.widths), alpha, alpha_bar)
        key = "widths"
    else:
        assert section.input is not None
        assert section.layers is not None
        dimensions = len(section.input) - 1
        try:
            parts = tuple(_part(layer, number, dimensions) for number, layer in enumerate(section.layers))
            network = Convolutional(tuple(section.input), parts, alpha, alpha_bar)
        except ValueError as error:
            raise ProblemError(f"{source}: network.{error}") from None
        key = "layers"
    count = sum(prod(shape_of(axes)) for axes in network.weight_axes)
    if count > MAX_PARAMETERS:
        raise ProblemError(
            f"{source}: network.{key} must give at most {MAX_PARAMETERS} parameters, got {count}; use smaller layers"
        )
    return network


def _part(layer: LayerSection, number: int, dimensions: int) -> Part:
    def extents(values: list[int] | None, default: tuple[int, ...], key: str) -> tuple[int, ...]:
        if values is None:
            return default
        if len(values) not in (1, dimensions):
            raise ValueError(
                f"layers[{number}].{key} must have one integer, or one for each of the {dimensions} spatial "
                f"dimensions, got {values}"
            )
        return tuple(values) * (dimensions if len(values) == 1 else 1)

    if layer.kind == "dense":
        assert layer.width is not None
        return Dense(layer.width)
    size = extents(layer.kernel or layer.size, (), "kernel" if layer.kernel else "size")
    if layer.kind == "convolution":
        assert layer.channels is not None
        stride = extents(layer.stride, (1,) * dimensions, "stride")
        return Convolution(layer.channels, size, stride, extents(layer.padding, (0,) * dimensions, "padding"))
    stride = extents(layer.stride, size, "stride")
    return Pool("average" if layer.kind == "average-pool" else "max", size, stride)


def network_table(network: Network) -> dict[str, Any]:
    """The [network] table of a network.

    Raises:
        ProblemError: a width is a symbol.
    """
    table: dict[str, Any] = {"kind": network.kind}
    if isinstance(network, FullyConnected):
        if not all(isinstance(d, int) for d in network.widths):
            raise ProblemError(f"network.widths must be integers in a file, got {list(network.widths)}")
        table["widths"] = list(network.widths)
    else:
        assert isinstance(network, Convolutional)
        table |= {"input": list(network.input), "layers": [_layer_table(part) for part in network.parts]}
    table["activation"] = network.activation
    if network.activation == "leaky-relu":
        table["slope"] = text(network.alpha_bar)
    if network.activation == "homogeneous":
        table |= {"alpha": text(network.alpha), "alpha_bar": text(network.alpha_bar)}
    return table


def _layer_table(part: Part) -> dict[str, Any]:
    if isinstance(part, Dense):
        return {"kind": "dense", "width": part.width}
    if isinstance(part, Pool):
        return {"kind": f"{part.kind}-pool", "size": list(part.size), "stride": list(part.stride)}
    return {
        "kind": "convolution",
        "channels": part.channels,
        "kernel": list(part.kernel),
        "stride": list(part.stride),
        "padding": list(part.padding),
    }


def describe(network: Network) -> str:
    """A network in a few words, such as "fully-connected 2-3-1" or "convolutional 1x8x8: conv 4, max-pool, dense 2"."""
    if isinstance(network, FullyConnected):
        sizes = [str(width) for width in network.widths]
        return f"fully-connected {'-'.join(sizes if len(sizes) <= 8 else [*sizes[:4], '...', *sizes[-2:]])}"
    assert isinstance(network, Convolutional)
    words = []
    for part in network.parts:
        if isinstance(part, Pool):
            words.append(f"{part.kind}-pool {'x'.join(map(str, part.size))}")
        elif isinstance(part, Dense):
            words.append(f"dense {part.width}")
        else:
            words.append(f"convolution {part.channels} of {'x'.join(map(str, part.kernel))}")
    return f"convolutional {'x'.join(map(str, network.input))}: {', '.join(words)}"


def loss_of(section: LossSection, source: str) -> Loss:
    """The loss of a [loss] section.

    Raises:
        ProblemError: an expression that cannot be read, or that is declared convex and is not.
    """
    if section.kind != "expression":
        return SQUARE if section.kind == "square" else Loss(section.kind)
    assert section.expression is not None
    names = {"prediction": PREDICTION, "target": TARGET}
    expression = parse_expression(section.expression, names, f"{source}: loss.expression")
    try:
        return expression_loss(expression, PREDICTION, TARGET, convex=section.convex)
    except ProblemError as error:
        raise ProblemError(f"{source}: {error}") from None


def loss_table(loss: Loss) -> dict[str, Any]:
    """The [loss] table of a loss."""
    table: dict[str, Any] = {"kind": loss.kind}
    if loss.kind == "expression":
        table["expression"] = str(loss.expression)
        if loss.convexity == "declared":
            table["convex"] = True
    return table
