"""Descent theta_{k+1} = theta_k - eta grad f(theta_k) and its relatives, in float64 or with any number of digits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Literal

import numpy as np

from symflow.dynamics.method import Method
from symflow.dynamics.methods import GradientDescent
from symflow.errors import ProblemError, brief
from symflow.numbers.arguments import positive, whole
from symflow.numbers.types import Number
from symflow.paths.aliases import with_old_names
from symflow.paths.path_error import How, error_wanted
from symflow.paths.runs import Run
from symflow.paths.solver import MAX_DPS
from symflow.paths.trajectory import Trajectory
from symflow.problem import Problem
from symflow.problem.arguments import as_problem
from symflow.progress import Wanted, reporting

MAX_STEPS = 5_000_000
"""Most steps of a multiprecision run (about half a minute per million on a small network)."""
MAX_KEPT = 10_000_000
CHEAPER = "float64 (dps=None), fewer digits (dps=...), or fewer steps of a larger step size"


@with_old_names
def descend(
    problem: Problem,
    *,
    step_size: Number | None = None,
    steps: int,
    dps: int | Literal["exact"] | None = None,
    every: int = 1,
    keep: Sequence[int] | None = None,
    method: Method | None = None,
    error: How | None = "certified",
    progress: Wanted = None,
) -> Trajectory:
    """theta_{k+1} = theta_k - eta grad f(theta_k), theta_0 = theta0: runs descent, by this or another method.

    Args:
        problem: what to minimize.
        step_size: eta (text, a rational or mpmath number, or a float, which means its shortest decimal: 0.01 is 1/100);
            the problem's own if left out.
        steps: how many steps.
        dps: None for float64 (of longer runs through JAX); otherwise the number of digits: |error| <=
            10^-dps max(1, |value|) in each component of each kept iterate. More are carried where weights or data are
            tiny, where steps times step size is large, and where descent amplifies rounding. "exact": in rationals,
            without any rounding, which are those of the problem; for gradient descent, heavy ball and Nesterov's method
            on losses that are rational (square loss, polynomials) and for few steps, since the numbers grow
            exponentially.
        every: keep one step in this many (and the last).
        keep: exactly which steps to keep, from 0 to `steps`, instead of `every`; 0 and the last are added.
        method: the recursion, such as `sf.HeavyBall("9/10")`, with weight decay and batches where it has them; the
            problem's own ([descent] in its file) if left out.
        error: of a multiprecision run. "certified": it is computed in balls, or in fixed point with radii by the
            compiled kernel, from the exact start with the exact step size; |error| <= `error.value` is proved. Where
            that is not possible (a pre-activation whose sign cannot be decided, an error bound that grows too fast)
            the error is estimated, and `error.reason` says why.
            "estimated": a second run is made with ten more digits, some of whose iterates are moved by a few units in
            the first run's last place; more guard digits are taken until the two agree to `dps`. None: neither.
        progress: True for a bar, or a function of a `Progress`, the fraction that is done from 0 to 1 (multiprecision
            runs); it spans both runs where there are two.

    Returns:
        A `Trajectory`: theta_k in `iterates`, shape (K, P), for the K kept steps k in `indices` (v_k in `velocity`,
        where the method has one); float64 or, with `dps`, object arrays of mpf.

    Raises:
        ProblemError: no step size, a number that is not valid, batches that the data do not have, or an exact run of a
            method or a loss that is not rational.
        BudgetError: the numbers of an exact run become too long; a `ComputationError`.
        DescentDiverged: the iterates grow without limit; a `ComputationError`.
        ComputationError: the digits cannot be reached, the gradient is not finite on the way, or weights or data are
            outside the range of float64.

    Source: gradient descent: Cauchy 1847, compared with its flow in Elkabetz & Cohen 2021, R4; other methods: their
        records.

    Example:
        >>> problem = sf.Problem(network=sf.FullyConnected((1, 1, 1)), data={"x": [1], "y": [1]},
        ...                      init={"theta": ["1/2", 1]})
        >>> sf.descend(problem, step_size="1/10", steps=2).iterates
        array([[0.5       , 1.        ],
               [0.55      , 1.025     ],
               [0.59471563, 1.04899375]])
        >>> sf.descend(problem, step_size="1/10", steps=1, dps="exact").iterates[1]
        array([Fraction(11, 20), Fraction(41, 40)], dtype=object)
        >>> run = sf.descend(problem, step_size="1/10", steps=100, dps=20)
        >>> run.error.how, run.error.value < 1e-20, round(run(10)[0] * run(10)[1], 6)
        ('certified', True, 1.0)
    """
    return run_descent(problem, step_size, steps, dps, every, keep, method, error_wanted(error), progress)


def run_descent(
    problem: Problem,
    step_size: Number | None,
    steps: int,
    dps: int | Literal["exact"] | None,
    every: int = 1,
    keep: Sequence[int] | None = None,
    method: Method | None = None,
    error: How | None = "certified",
    progress: Wanted = None,
    whole_path: bool = False,
) -> Trajectory:
    """What `descend` does; `whole_path` also gives every step of a multiprecision run in float64 (`Iterates.path`)."""
    problem = as_problem(problem, "descend")
    eta = positive_step(problem, step_size)
    steps, every = whole(steps, "steps", 1), whole(every, "every", 1)
    kept = range(0, steps, every) if keep is None else _kept(keep, steps)
    method = checked_method(method, problem)
    if dps is not None and dps != "exact":
        dps = whole(dps, "dps", 1, MAX_DPS, otherwise='None (float64), "exact" (rationals)')
        check_steps(steps, ", or float64 (dps=None)")
        problem = problem.for_digits(dps)
    if len(kept) > MAX_KEPT:
        raise ProblemError(f"at most {MAX_KEPT} iterates can be kept, got {len(kept)}; choose a larger every")
    with reporting(progress, "descent", CHEAPER) as report:
        run = Run(problem, method, eta, sorted({0, steps, *kept}), report, whole_path)
        if dps == "exact":
            return run.exact()
        return run.float64(error == "estimated") if dps is None else run.digits(dps, error)


def checked_method(method: object, problem: Problem | None = None) -> Method:
    """The method given; for None the problem's own, or gradient descent where there is no problem.

    Raises:
        ProblemError: something else, or a setting that is a symbol.
    """
    if method is None:
        return GradientDescent() if problem is None else problem.method
    if not isinstance(method, Method):
        raise ProblemError(f'method must be a Method such as sf.HeavyBall("9/10"), got {brief(method)}')
    method.require_numbers()
    return method


def check_steps(steps: int, otherwise: str = "") -> None:
    """Refuses more steps than a multiprecision run can make.

    Args:
        steps: how many.
        otherwise: what else the caller can do.
    """
    if steps > MAX_STEPS:
        raise ProblemError(
            f"{brief(steps)} steps are too many for multiprecision descent (at most {MAX_STEPS}); choose a larger step "
            f"size or a shorter horizon{otherwise}"
        )


def _kept(keep: Sequence[int], steps: int) -> list[int]:
    """The steps to keep, as plain integers."""
    if not isinstance(keep, Iterable):
        raise ProblemError(f"keep must be a list of steps, got {brief(keep)}")
    wanted = []
    for k in keep:
        integer = isinstance(k, int | np.integer) and not isinstance(k, bool)
        if not integer or not 0 <= k <= steps:
            raise ProblemError(f"keep must hold whole numbers from 0 to the number of steps, {steps}, got {brief(k)}")
        wanted.append(int(k))
    return wanted


def positive_step(problem: Problem, step_size: object) -> Fraction:
    """The step size given or the problem's own, as a positive rational."""
    given = problem.step_size if step_size is None else step_size
    if given is None:
        raise ProblemError("run.step_size: descent needs a step size, got none; give step_size=... or run.step_size")
    return positive(given, "step_size")
