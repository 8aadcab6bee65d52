"""The shape of a problem file, and the one line that says what is wrong with one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Annotated, Any, Literal, TypeVar, get_args

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, ValidationError
from pydantic_core import PydanticKnownError

from symflow.errors import ProblemError, brief, shorten
from symflow.networks.activations import ACTIVATIONS
from symflow.networks.layers import LAYERS
from symflow.networks.losses import LOSSES
from symflow.numbers.rational import setting

MAX_DEPTH = 1_000
MAX_WIDTH = 10_000
MAX_PARAMETERS = 1_000_000
MAX_SAMPLES = 1_000_000
MAX_ENTRIES = 20_000_000
"""Most numbers in x and y together."""
MIN_DPS = 15
MAX_DPS = 10_000

NETWORKS = ("fully-connected", "convolutional")


def _number(value: object) -> Fraction | None:
    return None if value is None else setting(value)


def _positive(value: object) -> Fraction | None:
    number = _number(value)
    if number is not None and number <= 0:
        raise ValueError("a positive number")
    return number


def _slope(value: object) -> Fraction | None:
    number = _number(value)
    if number is not None and not 0 < number < 1:
        raise ValueError("a number between 0 and 1, both excluded")
    return number


def _plain(value: object) -> object:
    """NumPy's integers and one-dimensional arrays, and tuples, as the file would have them."""
    if isinstance(value, np.ndarray) and value.ndim == 1:
        return value.tolist()
    if isinstance(value, tuple | list):
        return [int(item) if isinstance(item, np.integer) else item for item in value]
    return int(value) if isinstance(value, np.integer) else value


def _table_of_loss(value: object) -> object:
    """A kind alone stands for the table that says no more."""
    return {"kind": value} if isinstance(value, str) else value


def _listed(value: object) -> object:
    """A list; nothing else is made into one (pydantic before 2.9 has no strict lists)."""
    plain = _plain(value)
    if not isinstance(plain, list):
        raise PydanticKnownError("list_type")
    return plain


def _extents(value: object) -> object:
    """One integer stands for a list of one."""
    plain = _plain(value)
    return _listed([plain] if isinstance(plain, int) and not isinstance(plain, bool) else plain)


Number = Annotated[Fraction | None, PlainValidator(_number)]
Positive = Annotated[Fraction | None, PlainValidator(_positive)]
Slope = Annotated[Fraction | None, PlainValidator(_slope)]


Width = Annotated[int, Field(strict=True, ge=1, le=MAX_WIDTH), BeforeValidator(_plain)]
Padding = Annotated[int, Field(strict=True, ge=0, le=MAX_WIDTH), BeforeValidator(_plain)]
Widths = Annotated[list[Width], Field(min_length=2, max_length=MAX_DEPTH + 1), BeforeValidator(_listed)]
Row = Annotated[int, Field(strict=True, ge=0, lt=MAX_SAMPLES)]
Rows = Annotated[list[Row], Field(min_length=1, max_length=MAX_SAMPLES), BeforeValidator(_listed)]
Samples = Annotated[int, Field(strict=True, ge=1, le=MAX_SAMPLES), BeforeValidator(_plain)]
Seed = Annotated[int, Field(strict=True, ge=0, lt=2**63), BeforeValidator(_plain)]
Digits = Annotated[int, Field(strict=True, ge=MIN_DPS, le=MAX_DPS), BeforeValidator(_plain)]
Text = Annotated[str, Field(strict=True)]
Names = Annotated[list[Text], Field(min_length=1), BeforeValidator(_listed)]
Flag = Annotated[bool, Field(strict=True)]


def _choice(values: Iterable[str]) -> str:
    return "one of " + ", ".join(f'"{value}"' for value in values)


def _name_in(known: Mapping[str, object]) -> PlainValidator:
    """A name from a registry, as it is when the file is read."""

    def check(value: object) -> str:
        if not isinstance(value, str) or value not in known:
            raise ValueError(_choice(known))
        return value

    return PlainValidator(check)


class Section(BaseModel):
    """A table of the file; a key it does not know is an error. Field descriptions end the sentence "... must be"."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


Extents = Annotated[list[Width], Field(min_length=1, max_length=2), BeforeValidator(_extents)]
Paddings = Annotated[list[Padding], Field(min_length=1, max_length=2), BeforeValidator(_extents)]
Input = Annotated[list[Width], Field(min_length=2, max_length=3), BeforeValidator(_listed)]
_EXTENT: dict[str, Any] = {"item": f"an integer from 1 to {MAX_WIDTH}"}


class LayerSection(Section):
    """[[network.layers]]: extents are one integer, or one for each spatial dimension."""

    kind: Annotated[str, _name_in(LAYERS)] = Field(description=_choice(LAYERS))
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


class NetworkSection(Section):
    """[network]: h(x) = W_n s(W_{n-1} ... s(W_1 x)), s(z) = alpha z for z >= 0 and alpha_bar z for z < 0.

    A convolutional one has ``input`` and ``layers`` in place of ``widths``.
    """

    kind: Literal["fully-connected", "convolutional"] = Field(default="fully-connected", description=_choice(NETWORKS))
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
    activation: Annotated[str, _name_in(ACTIVATIONS)] = Field(description=_choice(ACTIVATIONS))
    slope: Slope = Field(default=None, description="a number between 0 and 1, both excluded")
    alpha: Number = Field(default=None, description="a number")
    alpha_bar: Number = Field(default=None, description="a number")


class LossSection(Section):
    """[loss]: the loss of one sample; ``square`` is |h(x) - y|^2 / 2 (see ``symflow.networks.losses``)."""

    kind: Annotated[str, _name_in(LOSSES)] = Field(default="square", description=_choice(LOSSES))
    expression: Text | None = Field(default=None, description="a formula in prediction and target")
    convex: Flag | None = Field(default=None, description="true or false")


class DataSection(Section):
    """[data]: N samples, one a row; given in place (x and y or labels) or as columns of a table."""

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


class InitSection(Section):
    """[init]: theta(0), given or drawn; see ``symflow.problem.initialize`` for the schemes and their defaults."""

    theta: Any = Field(default=None, description="a list of all P weights")
    scheme: Literal["gaussian", "xavier", "balanced"] | None = Field(
        default=None, description=_choice(("gaussian", "xavier", "balanced"))
    )
    scale: Positive = Field(default=None, description="a positive number")
    seed: Seed | None = Field(default=None, description="an integer from 0 to 2^63 - 1")


class RunSection(Section):
    """[run]: how long to flow, the step size of descent, the decimal digits to work with."""

    horizon: Positive = Field(default=None, description="a positive number")
    step_size: Positive = Field(default=None, description="a positive number")
    dps: Digits = Field(default=50, description=f"an integer from {MIN_DPS} to {MAX_DPS}")


class ProblemFile(Section):
    """A whole problem file: the tables above and an optional name."""

    name: Annotated[str, Field(strict=True, max_length=200)] | None = Field(
        default=None, description="text of at most 200 characters"
    )
    network: NetworkSection = Field(description="a table [network]")
    loss: Annotated[LossSection, BeforeValidator(_table_of_loss)] = Field(
        default_factory=lambda: LossSection(), description="a table [loss], or its kind"
    )
    data: DataSection = Field(description="a table [data]")
    init: InitSection = Field(description="a table [init]")
    run: RunSection = Field(default_factory=lambda: RunSection(), description="a table [run]")


Model = TypeVar("Model", bound=Section)


def parse(raw: object, source: str) -> ProblemFile:
    """The file's tables, checked as far as they can be without reading data.

    Args:
        raw: what the TOML or JSON text, or the keyword arguments of ``Problem``, hold.
        source: where it is from, the start of every error message.

    Raises:
        ProblemError: an unknown key (with the nearest known one), a missing one, a value of the wrong type or out of
            range, keys that exclude each other, or a network too large.
    """
    if not isinstance(raw, dict):
        raise ProblemError(f"{source}: the problem must be a table of sections, got {brief(raw)}")
    parsed = _validate(ProblemFile, raw, source)
    _check_network(parsed.network, source)
    _check_loss(parsed.loss, source)
    _check_init(parsed.init, source)
    return parsed


def parse_run(raw: dict[str, object], source: str) -> RunSection:
    """The [run] table alone, for a stand-alone objective.

    Raises:
        ProblemError: A value of the wrong type or out of range.
    """
    return _validate(RunSection, raw, source)


def _validate(model: type[Model], raw: object, source: str) -> Model:
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
            path = f"{path}.{_key(part)}" if path else _key(part)
            break
        if model is None:
            continue  # the tag of a union, not a key
        path, item = f"{path}.{part}" if path else str(part), False
        model = _section_of(field.annotation)
    kind = error["type"]
    if kind in ("extra_forbidden", "invalid_key") or field is None:
        where = path.rpartition(".")[0]
        return f"{path} is not a known key; {did_you_mean(error['loc'][-1], known)}{f' in [{where}]' if where else ''}"
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


def did_you_mean(unknown: object, known: Iterable[str]) -> str:
    """The nearest of the known names, or all of them."""
    known = list(known)
    near = difflib.get_close_matches(str(unknown)[:100], known, n=1)
    return f"did you mean {near[0]}?" if near else f"known are {shorten(', '.join(known), 200)}"


def _key(part: object) -> str:
    return part if isinstance(part, str) and part.isidentifier() and len(part) < 40 else brief(part)


def _check_network(network: NetworkSection, source: str) -> None:
    wanted = ACTIVATIONS[network.activation].settings
    for key in ("slope", "alpha", "alpha_bar"):
        value = getattr(network, key)
        if value is None and key in wanted:
            raise ProblemError(f'{source}: network.{key} is missing; activation = "{network.activation}" needs it')
        if value is not None and key not in wanted:
            fitting = next(name for name, kind in ACTIVATIONS.items() if key in kind.settings)
            raise ProblemError(
                f'{source}: network.{key} = {brief(value)} goes with activation = "{fitting}", '
                f'got "{network.activation}"; remove it or change the activation'
            )
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


def _check_loss(loss: LossSection, source: str) -> None:
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
    for key in ("scale", "seed"):
        if init.theta is not None and getattr(init, key) is not None:
            raise ProblemError(
                f"{source}: init.{key} = {brief(getattr(init, key))} goes with init.scheme, got init.theta; remove it"
            )
