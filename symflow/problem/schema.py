"""The shape of a problem file, and the one line that says what is wrong with one."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from symflow.errors import ProblemError, brief, did_you_mean
from symflow.networks.activations import ACTIVATIONS
from symflow.networks.layers import LAYERS
from symflow.networks.losses import LOSSES
from symflow.problem.descent import DescentSection
from symflow.problem.fields import (
    MAX_DEPTH,
    MAX_DPS,
    MAX_SAMPLES,
    MAX_WIDTH,
    MIN_DPS,
    Digits,
    Flag,
    Flags,
    Layers,
    Names,
    NotNegative,
    Number,
    Padding,
    Pairs,
    Positive,
    Rows,
    Samples,
    Section,
    Seed,
    Slope,
    Text,
    Width,
    Widths,
    choice,
    extents,
    key_text,
    listed,
    name_in,
)

NETWORKS = ("fully-connected", "convolutional")


def _table_of_loss(value: object) -> object:
    """A kind alone stands for the table that says no more."""
    return {"kind": value} if isinstance(value, str) else value


Extents = Annotated[list[Width], Field(min_length=1, max_length=2), BeforeValidator(extents)]
Paddings = Annotated[list[Padding], Field(min_length=1, max_length=2), BeforeValidator(extents)]
Name = Annotated[str, Field(strict=True, max_length=200)]
Input = Annotated[list[Width], Field(min_length=2, max_length=3), BeforeValidator(listed)]
_EXTENT: dict[str, Any] = {"item": f"an integer from 1 to {MAX_WIDTH}"}


class LayerSection(Section):
    """[[network.layers]]: extents are one integer, or one for each spatial dimension."""

    kind: Annotated[str, name_in(LAYERS)] = Field(description=choice(LAYERS))
    channels: Width | None = Field(default=None, description=f"an integer from 1 to {MAX_WIDTH}")
    kernel: Extents | None = Field(default=None, description="one or two positive integers", json_schema_extra=_EXTENT)
    stride: Extents | None = Field(default=None, description="one or two positive integers", json_schema_extra=_EXTENT)
    padding: Paddings | None = Field(
        default=None,
        description="one or two integers >= 0",
        json_schema_extra={"item": f"an integer from 0 to {MAX_WIDTH}"},
    )
    size: Extents | None = Field(default=None, description="one or two positive integers", json_schema_extra=_EXTENT)
    width: Width | None = Field(default=None, description=f"an integer from 1 to {MAX_WIDTH}")


class ActivationSettings(Section):
    """The settings of activations; `Activation.settings` says which one needs."""

    slope: Slope = Field(default=None, description="a number between 0 and 1, both excluded")
    alpha: Number = Field(default=None, description="a number")
    alpha_bar: Number = Field(default=None, description="a number")
    expression: Text | None = Field(default=None, description="a formula in z")


class ActivationSection(ActivationSettings):
    """One entry of a list of activations: a name stands for the table that says no more."""

    kind: Annotated[str, name_in(ACTIVATIONS)] = Field(description=choice(ACTIVATIONS))


def _activation(value: object) -> object:
    """A name, or a list with a table for each layer."""
    if isinstance(value, list | tuple):
        return [{"kind": entry} if isinstance(entry, str) else entry for entry in value]
    if not isinstance(value, str) or value not in ACTIVATIONS:
        raise ValueError(choice(ACTIVATIONS))
    return value


class NetworkSection(Section):
    """[network]: a_j = s(W_j a_{j-1} + b_j) + skipped a_i, h(x) = c a_n; see `FullyConnected`.

    A convolutional one has ``input`` and ``layers`` in place of ``widths``.
    """

    kind: Literal["fully-connected", "convolutional"] = Field(default="fully-connected", description=choice(NETWORKS))
    widths: Widths | None = Field(
        default=None,
        description=f"a list of 2 to {MAX_DEPTH + 1} layer widths d_0, ..., d_n",
        json_schema_extra={"item": f"an integer from 1 to {MAX_WIDTH}"},
    )
    input: Input | None = Field(
        default=None,
        description="[channels, length] or [channels, height, width]",
        json_schema_extra={"item": f"an integer from 1 to {MAX_WIDTH}"},
    )
    layers: Annotated[list[LayerSection], Field(min_length=1, max_length=MAX_DEPTH)] | None = Field(
        default=None, description=f"a list of 1 to {MAX_DEPTH} tables [[network.layers]]"
    )
    activation: Annotated[str | list[ActivationSection], BeforeValidator(_activation)] = Field(
        description=choice(ACTIVATIONS),
        json_schema_extra={"item": f"{choice(ACTIVATIONS)}, or a table with such a kind and its settings"},
    )
    slope: Slope = Field(default=None, description="a number between 0 and 1, both excluded")
    alpha: Number = Field(default=None, description="a number")
    alpha_bar: Number = Field(default=None, description="a number")
    expression: Text | None = Field(default=None, description="a formula in z")
    biases: Flag | Flags = Field(
        default=False,
        description="true or false, or a list of these, one a layer",
        json_schema_extra={"item": "true or false"},
    )
    skip: Pairs = Field(
        default=[],
        description="a list of pairs of layers such as [[0, 2]]",
        json_schema_extra={"item": "a pair of layers such as [0, 2]"},
    )
    diagonal: Layers = Field(
        default=[],
        description="a list of layers such as [1]",
        json_schema_extra={"item": f"an integer from 1 to {MAX_DEPTH}"},
    )
    output_scale: Number = Field(default=Fraction(1), description="a number other than 0")


class LossSection(Section):
    """[loss]: the loss of one sample; ``square`` is |h(x) - y|^2 / 2 (see ``symflow.networks.losses``)."""

    kind: Annotated[str, name_in(LOSSES)] = Field(default="square", description=choice(LOSSES))
    expression: Text | None = Field(default=None, description="a formula in prediction and target")
    convex: Flag | None = Field(default=None, description="true or false")


class DataSection(Section):
    """[data]: N samples, one a row; given in place (x and y or labels) or as columns of a table; or matrix data."""

    x: Any = Field(default=None, description="a list of rows, or of numbers for one input")
    y: Any = Field(default=None, description="a list of rows, or of numbers for one output")
    labels: Any = Field(default=None, description="a list of integers, or with a table the name of a column")
    file: Text | None = Field(default=None, description="the path of a CSV file")
    builtin: Literal["iris"] | None = Field(default=None, description='"iris"')
    inputs: Names | None = Field(
        default=None, description="a list of column names", json_schema_extra={"item": "a column name"}
    )
    targets: Names | None = Field(
        default=None, description="a list of column names", json_schema_extra={"item": "a column name"}
    )
    samples: Samples | None = Field(default=None, description=f"an integer from 1 to {MAX_SAMPLES}")
    rows: Rows | None = Field(
        default=None,
        description="a list of at least one row number",
        json_schema_extra={"item": f"a row number, an integer from 0 to {MAX_SAMPLES - 1}"},
    )
    standardize: Flag = Field(default=False, description="true or false")
    whiten: Flag = Field(default=False, description="true or false")
    sensing: Any = Field(default=None, description="a list of matrices, or the path of an npz file")
    mask: Any = Field(default=None, description="a matrix of zeros and ones")
    target: Any = Field(default=None, description="a matrix")


class InitSection(Section):
    """[init]: theta(0), given or drawn; see ``symflow.problem.initialize`` for the schemes and their defaults."""

    theta: Any = Field(default=None, description="a list of all P weights")
    scheme: Literal["gaussian", "xavier", "balanced"] | None = Field(
        default=None, description=choice(("gaussian", "xavier", "balanced"))
    )
    scale: Positive = Field(default=None, description="a positive number")
    bias_scale: NotNegative = Field(default=None, description="a number that is not negative")
    seed: Seed | None = Field(default=None, description="an integer from 0 to 2^63 - 1")


class RunSection(Section):
    """[run]: how long to flow, the step size of descent, the decimal digits to work with."""

    horizon: Positive = Field(default=None, description="a positive number")
    step_size: Positive = Field(default=None, description="a positive number")
    dps: Digits = Field(default=50, description=f"an integer from {MIN_DPS} to {MAX_DPS}")


class FormulaFile(Section):
    """What formulas need of a problem file, and what does not matter to them."""

    name: Name | None = Field(default=None, description="text of at most 200 characters")
    network: NetworkSection = Field(description="a table [network]")
    loss: Annotated[LossSection, BeforeValidator(_table_of_loss)] = Field(
        default_factory=lambda: LossSection(), description="a table [loss], or its kind"
    )
    run: RunSection = Field(default_factory=lambda: RunSection(), description="a table [run]")
    descent: DescentSection | None = Field(default=None, description="a table [descent]")


class ProblemFile(FormulaFile):
    """A whole problem file: the tables above and an optional name."""

    data: DataSection = Field(description="a table [data]")
    init: InitSection = Field(description="a table [init]")


Model = TypeVar("Model", bound=Section)


def parse(raw: object, source: str) -> ProblemFile:
    """The file's tables, checked as far as they can be without reading data.

    Args:
        raw: what the TOML or JSON text, or the keyword arguments of ``Problem``, hold.
        source: where it is from, the start of every error message.

    Raises:
        ProblemError: a key that is unknown, missing or excluded by another, a value out of range, a network too large.
    """
    if not isinstance(raw, dict):
        raise ProblemError(f"{source}: the problem must be a table of sections, got {brief(raw)}")
    parsed = validate(ProblemFile, raw, source)
    check_network(parsed.network, source)
    check_loss(parsed.loss, source)
    _check_init(parsed.init, source)
    return parsed


def parse_run(raw: dict[str, object], source: str) -> RunSection:
    """The [run] table alone, for a stand-alone objective.

    Raises:
        ProblemError: a value of the wrong type or out of range.
    """
    return validate(RunSection, raw, source)


def parse_descent(raw: object, source: str) -> DescentSection:
    """The [descent] table alone, for a stand-alone objective.

    Raises:
        ProblemError: a value of the wrong type or out of range.
    """
    return validate(DescentSection, raw, source)


def validate(model: type[Model], raw: object, source: str) -> Model:
    try:
        return model.model_validate(raw)
    except ValidationError as invalid:
        errors = invalid.errors(include_url=False)
        # an unknown key says more than the missing one it was meant to be
        errors.sort(key=lambda error: error["type"] not in ("extra_forbidden", "invalid_key"))
        raise ProblemError(f"{source}: {_sentence(dict(errors[0]), model)}") from None


def _sentence(error: Mapping[str, Any], root: type[Section]) -> str:
    """One pydantic error as "KEY must be ..., got VALUE"."""
    model: type[BaseModel] | None = root
    field = None
    path, item = "", False
    known: list[str] = []
    for part in error["loc"]:
        if isinstance(part, int) and not isinstance(part, bool):
            path, item = f"{path}[{part}]", True
            continue
        if model is not None:
            known = list(model.model_fields)
            field = model.model_fields.get(str(part))
        if field is None:
            path = f"{path}.{key_text(part)}" if path else key_text(part)
            break
        if model is None:
            continue  # the tag of a union, not a key
        path, item = f"{path}.{part}" if path else str(part), False
        model = _section_of(field.annotation)
    kind = error["type"]
    if kind in ("extra_forbidden", "invalid_key") or field is None:
        where, unknown = path.rpartition(".")[0], error["loc"][-1]
        if tables := _tables_with(root, unknown):
            return f"{path} is not a known key; {unknown} stands in {' or '.join(tables)}"
        return f"{path} is not a known key; {did_you_mean(unknown, known, f' in [{where}]' if where else '')}"
    right = field.description or "valid"
    if item and isinstance(field.json_schema_extra, dict):
        right = str(field.json_schema_extra["item"])
    if kind == "missing":
        return f"{path} is missing; it must be {right}"
    if kind == "value_error":
        right = str(error["ctx"]["error"])
    if kind == "string_unicode":  # a lone surrogate, also in a key of the table at this path
        right = "valid Unicode text"
    near = ""
    if isinstance(error["input"], str) and right.startswith("one of"):
        matches = difflib.get_close_matches(error["input"][:100], right.split('"')[1::2], n=1)
        near = f' (did you mean "{matches[0]}"?)' if matches else ""
    return f"{path} must be {right}, got {brief(error['input'])}{near}"


def _section_of(annotation: object) -> type[Section] | None:
    """The table that a field holds, also in a list or next to None."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    return next((found for part in get_args(annotation) if (found := _section_of(part))), None)


def _tables_with(root: type[Section], key: object) -> list[str]:
    """The tables of a file that have a key."""
    sections = {name: _section_of(field.annotation) for name, field in root.model_fields.items()}
    return [f"[{name}]" for name, section in sections.items() if section is not None and key in section.model_fields]


def check_network(network: NetworkSection, source: str) -> None:
    if isinstance(network.activation, str):
        _check_activation(network, network.activation, f"{source}: network", "activation")
    else:
        for key in ActivationSettings.model_fields:
            if getattr(network, key) is not None:
                raise ProblemError(
                    f"{source}: network.{key} goes with one activation, got a list of them; write the entry as a table "
                    f'such as {{kind = "leaky-relu", slope = "1/5"}}'
                )
        for number, entry in enumerate(network.activation):
            _check_activation(entry, entry.kind, f"{source}: network.activation[{number}]", "kind")
    given = {key for key in ("widths", "input", "layers") if getattr(network, key) is not None}
    needed = {"widths"} if network.kind == "fully-connected" else {"input", "layers"}
    for key in sorted(given - needed):
        other = "convolutional" if network.kind == "fully-connected" else "fully-connected"
        raise ProblemError(f'{source}: network.{key} goes with kind = "{other}", got "{network.kind}"; remove it')
    for key in sorted(needed - given):
        right = NetworkSection.model_fields[key].description
        raise ProblemError(f"{source}: network.{key} is missing; it must be {right}")
    for number, layer in enumerate(network.layers or ()):
        _check_layer(layer, f"{source}: network.layers[{number}]")


def _check_activation(given: Section, name: str, where: str, key_of_name: str) -> None:
    """Refuses settings that the activation does not have, and missing ones."""
    wanted = ACTIVATIONS[name].settings
    for key in ActivationSettings.model_fields:
        value = getattr(given, key)
        if value is None and key in wanted:
            raise ProblemError(f'{where}.{key} is missing; {key_of_name} = "{name}" needs it')
        if value is not None and key not in wanted:
            fitting = next(name for name, kind in ACTIVATIONS.items() if key in kind.settings)
            raise ProblemError(
                f'{where}.{key} = {brief(value)} goes with {key_of_name} = "{fitting}", got "{name}"; remove it or '
                f"change the {key_of_name}"
            )


def _check_layer(layer: LayerSection, where: str) -> None:
    kind = LAYERS[layer.kind]
    for key in ("channels", "kernel", "stride", "padding", "size", "width"):
        value = getattr(layer, key)
        if value is None and key in kind.needed:
            right = LayerSection.model_fields[key].description
            raise ProblemError(f'{where}.{key} is missing; kind = "{layer.kind}" needs it, {right}')
        if value is not None and key not in kind.needed + kind.optional:
            known = ", ".join(sorted(kind.needed + kind.optional))
            raise ProblemError(f'{where}.{key} does not go with kind = "{layer.kind}", which takes {known}; remove it')


def check_loss(loss: LossSection, source: str) -> None:
    if (loss.expression is None) == LOSSES[loss.kind].takes_expression:
        if loss.expression is None:
            raise ProblemError(f'{source}: loss.expression is missing; kind = "expression" needs it')
        raise ProblemError(
            f'{source}: loss.expression goes with kind = "expression", got "{loss.kind}"; remove it or change the kind'
        )
    if loss.convex is not None and loss.expression is None:
        raise ProblemError(f'{source}: loss.convex goes with kind = "expression", got "{loss.kind}"; remove it')


def _check_init(init: InitSection, source: str) -> None:
    if (init.theta is None) == (init.scheme is None):
        got = "neither" if init.theta is None else "both"
        raise ProblemError(f"{source}: init must have exactly one of theta and scheme, got {got}")
    for key in ("scale", "bias_scale", "seed"):
        if init.theta is not None and getattr(init, key) is not None:
            raise ProblemError(
                f"{source}: init.{key} = {brief(getattr(init, key))} goes with init.scheme, got init.theta; remove it"
            )
