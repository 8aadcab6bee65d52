"""The table [descent] of a problem file: which method runs, over which batches."""

from __future__ import annotations

from dataclasses import fields
from fractions import Fraction
from typing import Annotated, Any, get_args

from pydantic import BeforeValidator, Field

from symflow.dynamics.batches import Batches, Drawn
from symflow.dynamics.method import Method
from symflow.dynamics.methods import METHODS
from symflow.errors import ProblemError, brief
from symflow.numbers.rational import text
from symflow.numbers.types import JsonObject
from symflow.problem.fields import Flag, Number, Samples, Section, Seed, choice, listed, name_in

PLAIN = "gradient-descent"


def _order(value: object) -> object:
    return value if isinstance(value, str) else listed(value)


class DescentSection(Section):
    """[descent]: the method, its settings, weight decay, and batches; see ``symflow.dynamics.methods``."""

    method: Annotated[str, name_in(METHODS)] = Field(default=PLAIN, description=choice(METHODS))
    momentum: Number = Field(default=None, description="a number of at least 0 and below 1")
    decay: Number = Field(default=None, description="a number of at least 0 and below 1")
    epsilon: Number = Field(default=None, description="a positive number")
    bias_correction: Flag | None = Field(default=None, description="true or false")
    epsilon_inside: Flag | None = Field(default=None, description="true or false")
    weight_decay: Number = Field(default=None, description="a number of at least 0")
    decoupled: Flag | None = Field(default=None, description="true or false")
    batch_size: Samples | None = Field(default=None, description="a positive integer")
    order: Annotated[Any, BeforeValidator(_order)] = Field(
        default=None, description=f"{choice(get_args(Drawn))}, or a list of lists of samples"
    )
    seed: Seed | None = Field(default=None, description="an integer from 0 to 2^63 - 1")


def method_of(section: DescentSection | None, source: str) -> Method:
    """The method that the table means; gradient descent over all samples without one.

    Raises:
        ProblemError: a key that is missing or does not go with the method, or a setting out of range.
    """
    if section is None:
        return METHODS[PLAIN]()
    kind = METHODS[section.method]
    settings: dict[str, Any] = {}
    for key in _settings():
        value = getattr(section, key)
        known = {f.name for f in fields(kind)}
        if value is not None and key not in known:
            fitting = ", ".join(name for name, other in METHODS.items() if key in {f.name for f in fields(other)})
            raise ProblemError(
                f"{source}: descent.{key} = {brief(value)} goes with method = {fitting}, got "
                f'"{section.method}"; remove it or change the method'
            )
        if value is None and key in _needed(kind):
            raise ProblemError(f'{source}: descent.{key} is missing; method = "{section.method}" needs it')
        if value is not None:
            settings[key] = value
    try:
        return kind(batches=_batches(section), **settings)
    except ProblemError as refused:
        raise ProblemError(f"{source}: descent: {refused}") from None


def _settings() -> list[str]:
    """The keys that are settings of methods."""
    return [key for key in DescentSection.model_fields if key not in ("method", "batch_size", "order", "seed")]


def _needed(kind: type[Method]) -> set[str]:
    """The settings without a default."""
    return {f.name for f in fields(kind) if not hasattr(kind, f.name)}


def _batches(section: DescentSection) -> Batches | None:
    if section.batch_size is None and section.order is None:
        if section.seed is not None:
            raise ProblemError("seed goes with batch_size, got none; remove it or give a batch size")
        return None
    order: Any = "cyclic" if section.order is None else section.order
    if section.seed is not None and order not in ("shuffled", "with-replacement"):
        raise ProblemError('seed goes with order = "shuffled" or "with-replacement", got another order; remove it')
    return Batches(section.batch_size, order, section.seed or 0)


def has_file_form(method: Method) -> bool:
    """Whether a problem file can name the method: those of one's own it cannot."""
    return type(method) in METHODS.values()


def descent_table(method: Method) -> JsonObject:
    """The table that means a method.

    Raises:
        ProblemError: a method of one's own, which files cannot name.
    """
    if not has_file_form(method):
        raise ProblemError(
            f"descent: only the methods {', '.join(METHODS)} have a file form, got {brief(method)}; give it as "
            "method=..."
        )
    table: JsonObject = {"method": next(name for name, kind in METHODS.items() if type(method) is kind)}
    for key, value in method.settings().items():
        if key != "batches":
            table[key] = text(value) if isinstance(value, Fraction) else value
    batches = method.batches
    if batches is not None:
        table |= {"batch_size": batches.width, "order": _lists(batches)}
        if not batches.repeats:
            table["seed"] = batches.seed
    return table


def _lists(batches: Batches) -> object:
    return batches.order if batches.listed is None else [list(batch) for batch in batches.listed]
