"""What is known of the error of a path, and how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from symflow.displays import displayed
from symflow.errors import ProblemError, brief
from symflow.numbers.types import Mpf

How: TypeAlias = Literal["estimated", "certified"]

CHECK = "second run for the error"
"""The stage of the work that estimates an error."""


@displayed
@dataclass(frozen=True)
class PathError:
    """|error| <= value, what is known of the error of a path.

    Attributes:
        value: the largest absolute error of any component at any time (of a kept step, for descent), an mpf.
        how: "certified" (proved by computation), or "estimated" (from a second run).
        reason: why an estimated error is not certified, where that was asked for; "" otherwise.

    Example:
        >>> import symflow as sf
        >>> problem = sf.load_problem("examples/linear.toml")
        >>> error = sf.solve_flow(problem, horizon="1/10", dps=15).error
        >>> error.how, error.value < 1e-15
        ('certified', True)
    """

    value: Mpf
    how: How
    reason: str = ""


def error_wanted(error: object) -> How | None:
    """What is to be known of the error.

    Raises:
        ProblemError: neither "certified", "estimated" nor None.
    """
    if error not in ("certified", "estimated", None):
        raise ProblemError(f'error must be "certified", "estimated" or None (none), got {brief(error)}')
    return error


def estimate_wanted(error: object) -> bool:
    """Whether a second run is to estimate the error.

    Raises:
        ProblemError: neither "estimated" nor None.
    """
    if error not in ("estimated", None):
        raise ProblemError(f'error must be "estimated" or None (no estimate), got {brief(error)}')
    return error is not None
