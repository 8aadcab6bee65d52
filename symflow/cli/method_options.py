"""The options of a command that say which method of descent runs: those of the table [descent]."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from symflow.cli.exit_status import Answer
from symflow.numbers.types import JsonObject

if TYPE_CHECKING:
    from symflow.dynamics.method import Method
    from symflow.problem import Problem

SOURCE = "command line"
Text = str | None
Flag = bool | None


def _option(kind: Any, names: str, help_text: str, metavar: str | None = None) -> Any:
    return Annotated[kind, typer.Option(names, metavar=metavar, help=help_text)]


KEYS: dict[str, Any] = {
    "method": _option(Text, "--method", "gradient-descent, heavy-ball, nesterov, rmsprop or adam.", "NAME"),
    "momentum": _option(Text, "--momentum", "Of heavy-ball, nesterov and adam.", "BETA"),
    "decay": _option(Text, "--decay", "Of the mean square, rmsprop and adam.", "RHO"),
    "epsilon": _option(Text, "--epsilon", "Of the denominator, rmsprop and adam.", "EPS"),
    "bias_correction": _option(Flag, "--bias-correction/--no-bias-correction", "Of adam; on if left out."),
    "epsilon_inside": _option(Flag, "--epsilon-inside/--epsilon-outside", "The root; inside if left out."),
    "weight_decay": _option(Text, "--weight-decay", "Added to the gradient as LAMBDA theta.", "LAMBDA"),
    "decoupled": _option(Flag, "--decoupled/--coupled", "Weight decay apart from the gradient (AdamW)."),
    "batch_size": _option(int | None, "--batch-size", "Samples of a batch; all if left out.", "N"),
    "order": _option(Text, "--order", "Of batches: cyclic, shuffled or with-replacement.", "NAME"),
    "batch_seed": _option(int | None, "--batch-seed", "Of the drawing of batches.", "S"),
}
"""Argument of a command -> its option; but for the seed they have the names of the keys of [descent]."""


def takes_method(answer: Callable[..., Answer]) -> Callable[..., Answer]:
    """A command with these options; its argument `descent` is the table of those that were given."""

    def command(**arguments: Any) -> Answer:
        given = {key: value for key in KEYS if (value := arguments.pop(key)) is not None}
        if "batch_seed" in given:
            given["seed"] = given.pop("batch_seed")
        return answer(**arguments, descent=given)

    with_table: Any = command  # typer reads the signature, which functions have as an attribute only when it is set
    signature = inspect.signature(answer, eval_str=True)
    own = [p for p in signature.parameters.values() if p.name != "descent"]
    added = [
        inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=a) for key, a in KEYS.items()
    ]
    last = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
    with_table.__name__, with_table.__doc__, with_table.__module__ = answer.__name__, answer.__doc__, answer.__module__
    with_table.__signature__ = signature.replace(parameters=[*last, *added])
    with_table.__annotations__ = {p.name: p.annotation for p in (*own, *added)} | {"return": Answer}
    return command


def method_from(descent: JsonObject, method: Method) -> Method:
    """The method that the options mean; what they do not say is that of `method`, unless they name another one.

    Raises:
        ProblemError: options that do not go together.
    """
    from symflow.problem.descent import descent_table, method_of
    from symflow.problem.schema import parse_descent

    if not descent:
        return method
    known = descent_table(method)
    if descent.get("method", known["method"]) != known["method"]:
        known = {key: value for key, value in known.items() if key in ("weight_decay", "batch_size", "order", "seed")}
    return method_of(parse_descent(known | descent, SOURCE), SOURCE)


def with_method(problem: Problem, descent: JsonObject) -> Problem:
    """The problem with the method that the options mean.

    Raises:
        ProblemError: options that do not go together.
    """
    return problem.replace(method=method_from(descent, problem.method)) if descent else problem
