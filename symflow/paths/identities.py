"""Identities that every gradient flow obeys, as defects of a computed one: energy (R1) and balancedness (R10)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import mpmath
import numpy as np
from gmpy2 import mpz

from symflow.derivatives.derived import loss
from symflow.evaluate.fixed_point import FixedSeries
from symflow.evaluate.object_arrays import evaluate_mpmath
from symflow.evaluate.products import sum_of_squares
from symflow.networks.compact import compact
from symflow.numbers.fixed_point import to_mpf
from symflow.numbers.types import Mpf
from symflow.paths.taylor.dense import Segment, TaylorSteps, taylor_steps
from symflow.paths.trajectory import Trajectory


def balancedness(a: np.ndarray, b: np.ndarray, *, matrix: bool) -> np.ndarray:
    """D_j = W_{j+1}^T W_{j+1} - W_j W_j^T, or its diagonal: per unit, and per channel for shared weights.

    Args:
        a: W_j, outputs first; leading batch axes are allowed for matrices only.
        b: W_{j+1}, its second axis the outputs of W_j.
        matrix: whether to return D_j itself (linear networks), else its diagonal.

    Returns:
        d_j x d_j, or d_j entries; floats or mpmath numbers as in the arguments.
    """
    if matrix:
        return np.asarray(np.swapaxes(b, -1, -2) @ b - a @ np.swapaxes(a, -1, -2))
    incoming = (a * a).reshape(a.shape[0], -1).sum(axis=1)
    outgoing = np.moveaxis(b * b, 1, 0).reshape(b.shape[1], -1).sum(axis=1)
    return np.asarray(outgoing - incoming)


def relative(difference: Mpf, size: Mpf) -> Mpf:
    """|difference| / max(1, |size|)."""
    return abs(difference) / max(mpmath.mpf(1), abs(size))


def energy_defect(trajectory: Trajectory) -> Mpf:
    """R1: |f(theta(0)) - f(theta(T)) - integral of ||theta'||^2| / max(1, f(theta(0))), also across and along kinks.

    Args:
        trajectory: of gradient flow by the Taylor method.
    """
    f = loss(compact(trajectory.objective))
    dps = trajectory.digits + 20
    with mpmath.workdps(dps):
        start, end = (evaluate_mpmath(f, list(state), dps=dps) for state in (trajectory(0), trajectory.at_end()))
        return relative(start - end - dissipated(taylor_steps(trajectory)), start)


def balancedness_drift(trajectory: Trajectory) -> Mpf | None:
    """R10: the largest change of D_j (linear networks; else of its diagonal) from start to end; None without a network.

    It is relative to the larger of 1 and the largest squared weight, of which D_j is a difference.
    """
    network = trajectory.objective.network
    if network is None or network.depth < 2:
        return None
    with mpmath.workdps(trajectory.digits + 20):
        ends = [trajectory.weights_of(state) for state in (trajectory(0), trajectory.at_end())]
        before, after = (list(_balances(w, network.linear)) for w in ends)
        size = max((abs(v) for w in ends for a in w for v in a.reshape(-1)), default=mpmath.mpf(0)) ** 2
        return relative(max(abs(x - y) for x, y in zip(before, after, strict=True)), size)


def _balances(weights: list[np.ndarray], linear: bool) -> Iterator[Mpf]:
    for a, b in itertools.pairwise(weights):
        yield from balancedness(a, b, matrix=linear).reshape(-1)


def dissipated(steps: TaylorSteps) -> Mpf:
    """The integral of ||theta'||^2 over the whole trajectory, from its Taylor coefficients.

    On a step theta = sum c_k s^k, s = t / 2^tau, and the integral is 2^-tau int ||theta_s||^2 ds: a sum of squares of
    polynomials with integer coefficients.
    """
    with mpmath.workprec(steps.bits + 64):
        return mpmath.fsum(_dissipated(segment, steps) for segment in steps.segments)


def _dissipated(segment: Segment, steps: TaylorSteps) -> Mpf:
    bits = steps.bits
    squares = sum_of_squares([[k * v for k, v in enumerate(c) if k] for c in segment.coefficients])
    integral = [mpz(0), *((v >> bits) // (m + 1) for m, v in enumerate(squares))]
    s = (segment.end - segment.start) >> (segment.tau + steps.clock - bits)
    return mpmath.ldexp(to_mpf(FixedSeries(bits).horner(integral, s), bits), -segment.tau)
