r"""The quantities of a claim at one exact problem, each between two numbers: 50 digits, or certified on the tube.

What can be proved is *certified*: evaluated in balls at the exact start, and around flow and descent where their errors
are certified (`proved`). Every other quantity is computed at two precisions; ten times the difference, and 10^-dps of
its size at least, is taken as its error (*estimated*). That is an estimate only where both computations follow the same
path: flows obey the energy identity and conserve balancedness to their digits (`solve_flow` returns no others), and
both must end at the same place to `dps` digits. Suprema over the tube lie between their values at points of it and what
`bounds.tube` certifies on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import mpmath
import numpy as np

from symflow.analysis.bounds.context import Comparison
from symflow.analysis.compared_flow import order_zero
from symflow.analysis.falsify.claim import Claim
from symflow.analysis.falsify.points import (
    GATES,
    IMBALANCE,
    at_point,
    missing,
    off_kinks,
    point_program,
    point_quantity,
)
from symflow.analysis.falsify.proved import DRIFTS, PAIRS, proved
from symflow.analysis.falsify.vocabulary import Place
from symflow.errors import ComputationError
from symflow.evaluate.interpret import interpret
from symflow.evaluate.object_arrays import mpmath_arithmetic
from symflow.networks.objective import Objective
from symflow.numbers.rational import mpf
from symflow.numbers.types import Mpf
from symflow.paths.descent import descend
from symflow.paths.flow import solve_flow
from symflow.paths.path_error import How, PathError
from symflow.paths.trajectory import Trajectory
from symflow.problem import Problem
from symflow.theory.architecture_checks import trained

GUARD = (8, 24)
"""Digits beyond those asked for, of the two computations."""
NEAR_KINK = 1e-30
"""A pre-activation below this is taken for a kink."""
CELLS = 48
"""Most intervals in which the tube is covered."""


class Undefined(ComputationError):
    """The claim says nothing at this point: on a kink, a quantity that does not exist, a flow that stops."""


@dataclass(frozen=True)
class Enclosure:
    """low <= q <= high, an interval that contains a quantity q.

    Attributes:
        low: mpf.
        high: mpf.
        how: "exact", "certified", "estimated" or "certified on the tube".
    """

    low: Mpf
    high: Mpf
    how: str


def sizes(objective: Objective, samples: int) -> dict[str, int]:
    """The whole numbers of a problem."""
    network = trained(objective)
    assert network is not None
    return {"n": network.depth, "N": samples, "P": objective.parameter_count}


def enclosures(
    claim: Claim, problem: Problem, steps: int, dps: int, seconds: float | None = None
) -> dict[str, Enclosure]:
    """Every quantity of a claim at one problem.

    Args:
        claim: whose quantities.
        problem: exact.
        steps: k.
        dps: digits.
        seconds: most seconds for each solution of the flow.

    Raises:
        Undefined: the claim says nothing there.
        ComputationError: a quantity cannot be computed.
    """
    reason = missing(problem.objective, {name for found in claim.needs.points.values() for name in found})
    if reason is not None:
        raise Undefined(f"the claim says nothing about this problem: {reason}")
    found: dict[str, Enclosure] = {}
    eta = problem.step_size if problem.step_size is not None else Fraction(1)
    with mpmath.workdps(dps + GUARD[1]):
        whole = sizes(problem.objective, len(problem.x) if problem.x is not None else 0)
        exact = {"k": Fraction(steps), "eta": eta, "t": steps * eta, "T": steps * eta}
        exact |= {name: Fraction(value) for name, value in whole.items()}
        for name in claim.names & exact.keys():
            q = exact[name]
            value = mpf(q)
            gap = 0 if value * q.denominator == q.numerator and name in ("k", *whole) else _ulp(value, dps)
            found[name] = Enclosure(value - gap, value + gap, "exact")
    fine, ends, flow, errors = _measure(claim, problem, steps, dps + GUARD[1], seconds, error="certified")
    known = proved(claim, problem, ends, errors, dps + GUARD[1])
    rough, others, *_ = _measure(claim, problem, steps, dps + GUARD[0], seconds, error=None)
    with mpmath.workdps(dps + GUARD[1]):
        _check_agreement(ends, others, dps)
        for name, value in fine.items():
            if name in known:
                found[name] = Enclosure(*known[name], "certified")
                continue
            error = 10 * abs(value - rough[name]) + _ulp(value, dps)
            low = value - error
            found[name] = Enclosure(
                low if _signed(name, claim) else max(low, mpmath.mpf(0)), value + error, "estimated"
            )
    if claim.needs.tube:
        assert flow is not None
        radius = float(found_radius(fine)) if claim.needs.descent else 0.0
        on_tube = _tube(problem, flow, eta, steps, radius)
        found |= {name: on_tube[name] for name in claim.needs.tube}
    return found


def _check_agreement(fine: Mapping[Place, np.ndarray], rough: Mapping[Place, np.ndarray], dps: int) -> None:
    """Refuses paths whose end depends on the digits they were computed with.

    Raises:
        ComputationError: they do; a violation would be that of the computation.
    """
    for place, state in fine.items():
        apart = max(abs(a - b) / max(mpmath.mpf(1), abs(a)) for a, b in zip(state, rough[place], strict=True))
        if apart > mpmath.mpf(10) ** -dps:
            raise ComputationError(
                f"the claim cannot be checked: two computations of the {place} differ by {mpmath.nstr(apart, 2)} where "
                f"{dps} digits were asked for; take a shorter horizon or more digits (dps)"
            )


def found_radius(values: Mapping[str, Enclosure]) -> Mpf:
    """The radius of the tube: the deviation, rounded up."""
    return values["deviation"] * (1 + mpmath.mpf(10) ** -12)


def _ulp(value: Mpf, dps: int) -> Mpf:
    return mpmath.mpf(10) ** -dps * max(1, abs(value))


def _signed(name: str, claim: Claim) -> bool:
    found = point_quantity(claim.needs.key(name)[1])
    return found is not None and found[0].signed


def _measure(
    claim: Claim, problem: Problem, steps: int, dps: int, seconds: float | None, *, error: How | None
) -> tuple[dict[str, Mpf], dict[Place, np.ndarray], Trajectory | None, dict[Place, PathError | None]]:
    """Quantities of points and distances at one precision, the points, the flow, and the errors of paths."""
    needs, objective = claim.needs, problem.objective
    with mpmath.workdps(dps):
        theta = np.array([mpf(v) for v in problem.theta0], dtype=object)
        at: dict[Place, np.ndarray] = {"start": theta}
        errors: dict[Place, PathError | None] = {}
        flow = None
        if needs.descent:
            run = descend(problem, steps=steps, dps=dps, keep=[steps], error=error)
            at["descent"], errors["descent"] = run.iterates[-1], run.error
        if needs.flow:
            assert problem.step_size is not None
            end = steps * problem.step_size
            flow = solve_flow(
                order_zero(problem, problem.method), horizon=end, dps=dps, error=error, time_limit=seconds
            )
            at["flow"], errors["flow"] = flow(end), flow.error
        found = {place: _at(claim, objective, point, place) for place, point in at.items()}
        values: dict[str, Mpf] = {}
        for name in claim.names:
            place, stem = needs.key(name)
            if stem in found.get(place, {}):
                values[name] = found[place][stem]
        wanted = {*needs.run, *(["deviation"] if needs.tube and needs.descent else [])}
        for name in wanted & PAIRS.keys():
            values[name] = _distance(*(at[place] for place in PAIRS[name]))
        for name in wanted & DRIFTS.keys():
            values[name] = _distance(found[DRIFTS[name]][IMBALANCE], found["start"][IMBALANCE])
        return values, at, flow, errors


def _distance(a: np.ndarray, b: np.ndarray) -> Mpf:
    return mpmath.sqrt(mpmath.fsum((x - y) ** 2 for x, y in zip(a.flat, b.flat, strict=True)))


def _at(claim: Claim, objective: Objective, theta: np.ndarray, place: Place) -> dict[str, Mpf]:
    """The quantities at one point; off kinks where they need it."""
    names = claim.needs.points[place]
    imbalance = claim.needs.imbalance(place)
    program = point_program(objective, names, imbalance=imbalance, gates=off_kinks(names))
    if not program.outputs:
        return {}
    arithmetic = mpmath_arithmetic()
    lift = np.frompyfunc(arithmetic.lift, 1, 1)
    values = {x: np.asarray(lift(a), dtype=object) for x, a in objective.data.items()} | objective.cut(theta)
    arrays = interpret(program, values, arithmetic)
    for name, z in arrays.items():
        if name.startswith(GATES) and min(abs(v) for v in z.flat) < NEAR_KINK:
            raise Undefined("a pre-activation is 0: a kink, where the claim says nothing, or a gate without influence")
    return at_point(names, imbalance, arrays)


def _tube(problem: Problem, flow: Trajectory, eta: Fraction, steps: int, radius: float) -> dict[str, Enclosure]:
    """beta, gamma, m over the tube of a radius, and M along the flow."""
    indices = tuple(sorted({round(steps * i / CELLS) for i in range(CELLS + 1)}))
    if len(indices) < CELLS + 1:  # more intervals than steps: times between the steps
        parts = -(-CELLS // steps)
        indices, eta = tuple(range(steps * parts + 1)), eta / parts
    run = Comparison(problem, eta, indices, flow, None, len(indices))
    if run.no_tube is not None:
        raise Undefined(f"beta, gamma, m and M are not known for this problem: {run.no_tube}")
    tube = run.tube
    wide = tube.constants(np.full(len(indices) - 1, radius))
    if not wide.smooth.all():
        raise Undefined("the tube may touch a kink; beta, gamma and m need one smooth region")
    slack = 1e-11
    size = np.maximum(np.abs(tube.low), np.abs(tube.high))
    still = tube.constants(np.zeros(len(indices) - 1))
    lengths = np.diff(run.times)
    with mpmath.workdps(30):
        drift = tube.forms(tube.radii)["drift"]
        least = np.minimum.reduceat(-tube.low - drift - slack * size, tube.first)
        whole = (float((least * lengths).sum()), float((still.m * lengths).sum()))
        ends = {
            "beta": (size.max() * (1 - slack), wide.beta.max()),
            "gamma": (tube.slope.max() * (1 - slack), wide.gamma.max()),
            "m": (-tube.low.min() - slack * size.max(), wide.m.max()),
            "M": (whole[0] - slack * abs(whole[0]), whole[1] + slack * abs(whole[1])),
        }
        return {
            name: Enclosure(mpmath.mpf(float(a)), mpmath.mpf(float(b)), "certified on the tube")
            for name, (a, b) in ends.items()
        }
