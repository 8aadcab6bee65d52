"""What an experiment is asked for; the defaults are the paper's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from symflow.analysis.experiments.networks import NETWORKS
from symflow.dynamics.method import Method
from symflow.errors import ProblemError, brief
from symflow.numbers.arguments import whole
from symflow.numbers.rational import rational
from symflow.paths.descent import checked_method
from symflow.problem.descent import descent_table

RATIOS = (2, 5, 10, 20)
TOLERANCES = {False: (1e-4, 1e-6, 1e-8, 1e-10), True: (1e-5, 1e-6, 1e-7, 1e-8)}
"""Relative tolerances of the flow, without and with kinks; the last is the reference."""
TIMES = 100
"""Intervals of the grid on which runs are compared, as in the paper's code."""
MOST = {"samples": 1_000_000, "iterations": 100_000_000, "ratio": 10_000, "seed": 2**63}


@dataclass(frozen=True)
class Settings:
    """An experiment's settings, checked.

    Attributes:
        networks: names out of `NETWORKS`.
        samples: how many images.
        iterations: steps of descent at the base step size; a run at eta_0 / r makes r times as many.
        step_size: eta_0, the base step size.
        ratios: the r.
        seed: of the initial weights.
        dtype: "float64" or "float32", of descent; the flow and all distances are float64.
        tolerances: relative tolerances of the flow, falling, at least two; None for the usual ones.
        method: of descent, whose flow of order 0 is the flow.
    """

    networks: tuple[str, ...]
    samples: int
    iterations: int
    step_size: Fraction
    ratios: tuple[int, ...]
    seed: int
    dtype: str
    tolerances: tuple[float, ...] | None
    method: Method

    @property
    def horizon(self) -> Fraction:
        """The time that all runs reach, iterations times step size."""
        return self.iterations * self.step_size

    @property
    def indices(self) -> np.ndarray:
        """The steps of the base run at which runs are compared: 0, ..., iterations."""
        return np.unique(np.linspace(0, self.iterations, min(TIMES, self.iterations) + 1).round().astype(np.int64))

    @property
    def times(self) -> np.ndarray:
        """The times of `indices`, rounded once."""
        return np.array([float(int(k) * self.step_size) for k in self.indices])

    def of_flow(self, gated: bool) -> tuple[float, ...]:
        """The tolerances for a network with or without kinks."""
        return self.tolerances or TOLERANCES[gated]


def checked_settings(
    networks: Sequence[str] | str,
    samples: object,
    iterations: object,
    step_size: object,
    ratios: Sequence[object],
    seed: object,
    dtype: object,
    tolerances: Sequence[object] | None,
    method: object = None,
) -> Settings:
    """The settings.

    Raises:
        ProblemError: one that is wrong.
    """
    names = [networks] if isinstance(networks, str) else list(networks)
    for name in names:
        if name not in NETWORKS:
            raise ProblemError(f"network must be one of {', '.join(NETWORKS)}, got {brief(name)}")
    if not names:
        raise ProblemError(f"networks must name at least one of {', '.join(NETWORKS)}, got none")
    eta = rational(step_size, "step_size")
    if not 0 < eta <= 10**6:
        raise ProblemError(f"step_size must be a positive number, got {brief(step_size)}")
    if dtype not in ("float32", "float64"):
        raise ProblemError(f"dtype must be float32 or float64, got {brief(dtype)}")
    chosen = sorted({whole(r, "ratio", 2, MOST["ratio"]) for r in ratios})
    rtols = None if tolerances is None else tuple(sorted({_tolerance(t) for t in tolerances}, reverse=True))
    if rtols is not None and len(rtols) < 2:
        raise ProblemError(f"tolerances must be at least two different ones, got {len(rtols)}; the error needs both")
    chosen_method = checked_method(method)
    descent_table(chosen_method)  # the file of results names it
    return Settings(
        networks=tuple(dict.fromkeys(names)),
        samples=whole(samples, "samples", 1, MOST["samples"]),
        iterations=whole(iterations, "iterations", 1, MOST["iterations"]),
        step_size=eta,
        ratios=tuple(chosen),
        seed=whole(seed, "seed", 0, MOST["seed"]),
        dtype=dtype,
        tolerances=rtols,
        method=chosen_method,
    )


def _tolerance(value: object) -> float:
    """A relative tolerance that the float64 flow takes."""
    found = rational(value, "tolerances")
    if not Fraction(1, 10**13) <= found <= Fraction(1, 10**3):
        raise ProblemError(f"tolerances must lie in [1e-13, 1e-3], got {brief(value)}")
    return float(found)
