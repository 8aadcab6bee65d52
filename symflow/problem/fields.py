"""What the tables of a problem file are made of: their base, and the kinds of values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Annotated

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator
from pydantic_core import PydanticKnownError

from symflow.errors import brief
from symflow.numbers.rational import setting

MAX_DEPTH = 1_000
MAX_WIDTH = 10_000
MAX_PARAMETERS = 1_000_000
MAX_SAMPLES = 1_000_000
MAX_ENTRIES = 20_000_000
"""Most numbers in x and y together."""
MIN_DPS = 15
MAX_DPS = 10_000


def key_text(part: object) -> str:
    """A key as it is written, quoted where it is no plain name."""
    return part if isinstance(part, str) and part.isidentifier() and len(part) < 40 else brief(part)


def _number(value: object) -> Fraction | None:
    return None if value is None else setting(value)


def _positive(value: object) -> Fraction | None:
    number = _number(value)
    if number is not None and number <= 0:
        raise ValueError("a positive number")
    return number


def _not_negative(value: object) -> Fraction | None:
    number = _number(value)
    if number is not None and number < 0:
        raise ValueError("a number that is not negative")
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


def listed(value: object) -> object:
    """A list; nothing else is made into one (pydantic before 2.9 has no strict lists)."""
    plain = _plain(value)
    if not isinstance(plain, list):
        raise PydanticKnownError("list_type")
    return plain


def extents(value: object) -> object:
    """One integer stands for a list of one."""
    plain = _plain(value)
    return listed([plain] if isinstance(plain, int) and not isinstance(plain, bool) else plain)


Number = Annotated[Fraction | None, PlainValidator(_number)]
Positive = Annotated[Fraction | None, PlainValidator(_positive)]
NotNegative = Annotated[Fraction | None, PlainValidator(_not_negative)]
Slope = Annotated[Fraction | None, PlainValidator(_slope)]


Width = Annotated[int, Field(strict=True, ge=1, le=MAX_WIDTH), BeforeValidator(_plain)]
Padding = Annotated[int, Field(strict=True, ge=0, le=MAX_WIDTH), BeforeValidator(_plain)]
Widths = Annotated[list[Width], Field(min_length=2, max_length=MAX_DEPTH + 1), BeforeValidator(listed)]
Row = Annotated[int, Field(strict=True, ge=0, lt=MAX_SAMPLES)]
Rows = Annotated[list[Row], Field(min_length=1, max_length=MAX_SAMPLES), BeforeValidator(listed)]
Samples = Annotated[int, Field(strict=True, ge=1, le=MAX_SAMPLES), BeforeValidator(_plain)]
Seed = Annotated[int, Field(strict=True, ge=0, lt=2**63), BeforeValidator(_plain)]
Digits = Annotated[int, Field(strict=True, ge=MIN_DPS, le=MAX_DPS), BeforeValidator(_plain)]
Text = Annotated[str, Field(strict=True)]
Names = Annotated[list[Text], Field(min_length=1), BeforeValidator(listed)]
Flag = Annotated[bool, Field(strict=True)]
Flags = Annotated[list[Flag], BeforeValidator(listed)]
LayerNumber = Annotated[int, Field(strict=True, ge=0, le=MAX_DEPTH), BeforeValidator(_plain)]
Pairs = Annotated[
    list[Annotated[list[LayerNumber], Field(min_length=2, max_length=2), BeforeValidator(listed)]],
    BeforeValidator(listed),
]
Layers = Annotated[list[LayerNumber], BeforeValidator(listed)]


def choice(values: Iterable[str]) -> str:
    """What a description says of a value that must be one of some names."""
    return "one of " + ", ".join(f'"{value}"' for value in values)


def name_in(known: Mapping[str, object]) -> PlainValidator:
    """A name from a registry, as it is when the file is read."""

    def check(value: object) -> str:
        if not isinstance(value, str) or value not in known:
            raise ValueError(choice(known))
        return value

    return PlainValidator(check)


class Section(BaseModel):
    """A table of the file; a key it does not know is an error. Field descriptions end the sentence "... must be"."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)
