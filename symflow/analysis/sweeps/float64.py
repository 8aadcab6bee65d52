"""Sweeps in float64: flow and descent of all starts of an architecture at once, together."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import groupby

import numpy as np

from symflow.analysis.bounds.descent_walk import walk
from symflow.analysis.bounds.kinks import Crossings
from symflow.analysis.bounds.sampled import Samples, sampled_bounds
from symflow.analysis.bounds.series import BoundSeries, not_applicable
from symflow.analysis.compared_flow import order_zero
from symflow.analysis.deviation import sample_steps
from symflow.analysis.eigenvalues import extreme_eigenvalues
from symflow.analysis.given_runs import not_descent
from symflow.analysis.observables import gradients, too_large
from symflow.analysis.sweeps import table
from symflow.analysis.sweeps.axes import Start, axes_of, check_run, starts, with_method
from symflow.analysis.sweeps.batched import Flows, Paths, descents, flows
from symflow.analysis.sweeps.measure import bound_columns, by_id, columns, known, spectra
from symflow.analysis.sweeps.sweep import Sweep, about_sweep, coordinates
from symflow.analysis.sweeps.values import encode
from symflow.derivatives.derived import loss
from symflow.dynamics.method import Method
from symflow.dynamics.methods import GradientDescent
from symflow.errors import ComputationError, ProblemError, brief
from symflow.evaluate.derived_batches import evaluate_batch
from symflow.networks.objective import Objective
from symflow.numbers.types import JsonObject, Number
from symflow.numbers.vectors import norms
from symflow.paths.loops import diverged
from symflow.paths.sampling import HermiteFlow
from symflow.problem import Problem
from symflow.progress import Wanted, reporting
from symflow.versions import versions_text

CHEAPER = "looser tolerances (rtol=...), a shorter horizon, or no bounds (bounds=())"

FORMAT = "symflow float64 sweep 1"
BOUNDS = ("R4", "R22")
"""The bounds that need no more than float64."""
DIVERGED = 1e50
"""A parameter beyond counts as divergence: curvature would leave float64."""
AT_ONCE = 4_000_000
"""Most numbers (32 MB) of the Hessians that are evaluated between two reports of progress."""
FLOWS = 0.5
"""The part of the work that is flows, about."""
KINKS = "on networks with kinks sweep_float64 evaluates no bounds; take deviation for single runs, or sweep"


@dataclass(frozen=True)
class Group:
    """One architecture: B starts and E step sizes.

    Attributes:
        objective: f, in the form that is cheapest to evaluate.
        method: of descent.
        starts: B of them.
        etas: E step sizes.
        indices: for each, the sampled steps.
        flow: theta_b(t) at all sampled times of all step sizes.
        places: for each step size, where its times are among them.
        descent: theta_k for each start and step size, (b, e) in the row b E + e; padded at the end.
    """

    objective: Objective
    method: Method
    starts: Sequence[Start]
    etas: Sequence[Fraction]
    indices: Sequence[list[int]]
    flow: Flows
    places: Sequence[np.ndarray]
    descent: Paths

    def row(self, b: int, e: int) -> int:
        """The row of `descent` for a start and a step size."""
        return b * len(self.etas) + e


def sweep_float64(
    base: Problem,
    *,
    step_size: Number | Iterable[Number] | None = None,
    seed: int | Iterable[int] | None = None,
    depth: int | Iterable[int] | None = None,
    width: int | Iterable[int] | None = None,
    scale: Number | Iterable[Number] | None = None,
    scheme: str | None = None,
    horizon: Number | None = None,
    method: Method | None = None,
    bounds: Sequence[str] = BOUNDS,
    rtol: float = 1e-10,
    atol: float = 1e-12,
    max_steps: int = 100_000,
    progress: Wanted = None,
) -> Sweep:
    """||theta_k - theta(k eta)|| on every problem of a grid, in float64 on one device.

    All starts and step sizes of one architecture (depth, width) run together, compiled once: flows with kinks each at
    its own pace, kinks located and gates held (`sf.sweep_flow_float64`), smooth flows and descents under `jax.vmap`.
    The table has the columns of `sf.sweep`, in float64: `dps` and `key` are missing, `seconds` is an even share of the
    architecture's. `error_estimate` is *estimated*, as in `sf.deviation`: the flow's from a second run at tolerances
    100 times tighter and from a start one unit in the last place away, descent's from a second run in which every
    iterate is moved by one unit in the last place. `status` says "stopped: " and the cause where a flow or descent
    does not arrive, `reason` why. No bound is evaluated on networks with kinks.

    Args:
        base: data, loss and whatever is not varied.
        step_size: eta; see `sf.sweep` for this and the other axes.
        seed: of the initialization.
        depth: n.
        width: of all hidden layers.
        scale: of the initialization.
        scheme: how theta(0) is drawn.
        horizon: final time; the base problem's own if left out.
        method: of descent, which is compared with its own flow of order 0; the base problem's own if left out.
        bounds: of "R4" ("step-size") and "R22" ("trajectory-wise"), both *sampled*; () for none.
        rtol: relative tolerance of a step of the flow.
        atol: absolute tolerance.
        max_steps: most steps of each flow; those that take more have the status "stopped: max-steps".
        progress: True for a bar, or a function of a `Progress`, the fraction that is done from 0 to 1; it spans flows
            and descents with the runs for their error estimates.

    Returns:
        A `Sweep`: one row per problem; `table` is a pandas table with float64 columns.

    Raises:
        ProblemError: an argument that is not valid.
        ComputationError: pandas or pyarrow is missing, or data are outside the range of float64.

    Example:
        >>> problem = sf.Problem(network=sf.FullyConnected((1, 1)), data={"x": [1], "y": [1]}, init={"theta": [0]})
        >>> result = sf.sweep_float64(problem, step_size=["1/10", "1/20"], horizon=1, bounds=())
        >>> print(result.floats()[["step_size", "max_deviation"]].round(4).to_string(index=False))
         step_size  max_deviation
               0.1         0.0192
              0.05         0.0094
    """
    table.require_pandas()
    bounds = by_id(bounds)
    unknown = [name for name in bounds if name not in BOUNDS]
    if unknown:
        raise ProblemError(f"bounds must be among {', '.join(BOUNDS)} in float64, got {brief(unknown[0])}; take sweep")
    if method is not None:
        base = with_method(base, method)
    axes = axes_of(base, step_size=step_size, seed=seed, depth=depth, width=width, scale=scale, scheme=scheme)
    end, etas = check_run(base, axes, horizon)
    every = list(starts(base, axes))
    groups = [list(group) for _, group in groupby(every, key=lambda s: id(s.problem.objective))]
    rows: list[JsonObject] = []
    used = versions_text()
    with reporting(progress, "sweep", CHEAPER) as report:
        for group in groups:
            clock, before, share = time.perf_counter(), len(rows), len(group) * len(etas)
            ends = [count / (len(every) * len(etas)) for count in (before, before + share)]
            part = report.part(ends[0], ends[1])
            run = _run(group, etas, end, (rtol, atol), max_steps, part.part(0, FLOWS, "flows"))
            found = list(_rows(run, bounds, part.part(FLOWS, 1, "distances and bounds")))
            seconds = encode(round((time.perf_counter() - clock) / len(found), 6))
            pairs = ((start, eta) for start in group for eta in etas)
            for (start, eta), row in zip(pairs, found, strict=True):
                where = coordinates(eta, start, end, None)
                values = {name: encode(value) for name, value in row.items()}
                rows.append(where | values | {"seconds": seconds, "versions": used})
            part(1.0)
    declared = {name: "float" if kind == "decimal" else kind for name, kind in columns(bounds).items()}
    about = about_sweep(FORMAT, base, axes, etas, end)
    about["tolerances"] = {"solver": "dopri8", "rtol": rtol, "atol": atol}
    kinds = table.kinds_of(rows, declared | {"stop_time": "float"})
    return Sweep(tuple(rows), kinds, about, len(rows), 0)


def _run(
    group: Sequence[Start],
    etas: Sequence[Fraction],
    end: Fraction,
    tolerances: tuple[float, float],
    max_steps: int,
    report: Callable[[float], None],
) -> Group:
    """Flows and descents of an architecture."""
    problem = group[0].problem
    objective = problem.compact
    try:
        thetas = np.array([[float(v) for v in start.problem.theta0] for start in group])
    except OverflowError:
        raise ComputationError("theta(0) is beyond float64; take sweep, with digits (dps)") from None
    indices = [sample_steps(int(end / eta)) for eta in etas]
    times = [[k * eta for k in kept] for kept, eta in zip(indices, etas, strict=True)]
    everywhere = sorted({t for own in times for t in own})
    where = {t: i for i, t in enumerate(everywhere)}
    places = [np.array([where[t] for t in own]) for own in times]
    flowing, method = order_zero(problem, problem.method), problem.method
    flow = flows(flowing, thetas, [float(t) for t in everywhere], tolerances, max_steps, report)
    run = descents(objective if method.batches is None else problem.objective, method, thetas, etas, indices)
    return Group(objective, method, group, etas, indices, flow, places, run)


def _rows(group: Group, bounds: Sequence[str], report: Callable[[float], None]) -> Iterator[JsonObject]:
    """What is measured, start by start and step size by step size."""
    starts, times, count = group.flow.states.shape
    most = times * count * (1 if too_large(group.objective) else count)
    size = max(1, AT_ONCE // most)
    for first in range(0, starts, size):
        yield from _rows_of(group, list(range(first, min(starts, first + size))), bounds)
        report(min(starts, first + size) / starts)


def _rows_of(group: Group, some: Sequence[int], bounds: Sequence[str]) -> Iterator[JsonObject]:
    """The rows of some starts, for which much is evaluated at once."""
    flow = group.flow
    whole = [b for b in some if np.isfinite(flow.states[b]).all()]
    along = dict(zip(whole, _along(group, whole), strict=True)) if whole else {}
    stopped: dict[tuple[int, int], JsonObject] = {}
    pairs = [(b, e) for b in some for e in range(len(group.etas))]
    for b, e in pairs:
        kept = group.indices[e]
        bad = ~(np.abs(group.descent.states[group.row(b, e), : len(kept)]).max(axis=1) < DIVERGED)
        if b not in along:
            end = flow.ended[b]
            stopped[b, e] = _stopped(end.cause or "not computable", end.reason, float(flow.reached[b]))
        elif along[b].unknown:
            stopped[b, e] = _stopped("not computable", along[b].unknown, None)
        elif bad.any():
            why = str(diverged(kept[int(np.argmax(bad))], group.etas[e], group.method))
            stopped[b, e] = _stopped("diverged", why, None)
    done = [pair for pair in pairs if pair not in stopped]
    ends = dict(zip(done, _ends(group, done), strict=True)) if done else {}
    for b, e in pairs:
        yield stopped[b, e] if (b, e) in stopped else _row(group, b, e, along[b], ends[b, e], bounds)


def _stopped(cause: str, reason: str, at: float | None) -> JsonObject:
    return {"status": f"stopped: {cause}", "reason": reason, "stop_time": at}


@dataclass(frozen=True)
class _Along:
    """What is known along a flow, shared by its step sizes: the spectrum at all sample times.

    Attributes:
        low: smallest eigenvalues, NaN where the flow slides; None where the network is too large.
        high: largest ones.
        unknown: why they are not known; empty where they are.
    """

    low: np.ndarray | None = None
    high: np.ndarray | None = None
    unknown: str = ""


def _along(group: Group, whole: Sequence[int]) -> Iterator[_Along]:
    """The spectra along some flows that are whole."""
    objective, states = group.objective, group.flow.states[whole]
    if too_large(objective) is not None:
        yield from [_Along()] * len(states)
        return
    found = extreme_eigenvalues(objective, states.reshape(-1, states.shape[2]))
    shape = states.shape[:2]
    columns = (np.reshape(a, shape) for a in (found.min, found.max, found.residual))
    for on, *row in zip(group.flow.sliding[whole], *columns, strict=True):
        try:
            ends = replace(found, min=row[0], max=row[1], residual=row[2]).known()
        except ComputationError as failed:  # a spectrum beyond float64
            yield _Along(unknown=str(failed))
        else:
            yield _Along(np.where(on, np.nan, ends.min), np.where(on, np.nan, ends.max))


@dataclass(frozen=True)
class _Ends:
    """What is measured at the ends of flow and descent.

    Attributes:
        losses: at the start, at the end of the flow, at that of descent.
        slope: the norm of the flow's last gradient; NaN where it slides.
        sharpness: at the end of descent; NaN where the network is too large, or the Hessian not finite.
    """

    losses: np.ndarray
    slope: float
    sharpness: float


def _ends(group: Group, pairs: Sequence[tuple[int, int]]) -> Iterator[_Ends]:
    """The ends of some runs: start and step size of each."""
    states = group.flow.states
    flow = np.array([states[b, group.places[e][[0, -1]]] for b, e in pairs])
    run = np.array([group.descent.states[group.row(b, e), len(group.indices[e]) - 1] for b, e in pairs])
    points = np.concatenate([flow, run[:, None]], axis=1)
    losses = evaluate_batch(group.objective, loss, points.reshape(-1, points.shape[2])).reshape(-1, 3)
    slopes = norms(gradients(group.objective, flow[:, 1]))
    slopes[[group.flow.sliding[b, group.places[e][-1]] for b, e in pairs]] = np.nan
    large = too_large(group.objective) is not None
    sharpness = np.full(len(run), np.nan) if large else np.asarray(extreme_eigenvalues(group.objective, run).max)
    for found in zip(losses, slopes.tolist(), sharpness.tolist(), strict=True):
        yield _Ends(*found)


def _row(group: Group, b: int, e: int, along: _Along, ends: _Ends, names: Sequence[str]) -> JsonObject:
    """The columns of `measure_deviation` for one run."""
    place, kept = group.places[e], group.indices[e]
    row = group.row(b, e)
    flow, run = group.flow.states[b, place], group.descent.states[row, : len(kept)]
    error = float(np.sqrt(flow.shape[1]) * (group.flow.errors[b] + group.descent.errors[row]))
    distance = norms(flow - run)
    distance = np.where(distance > error, distance, 0.0) if np.isfinite(error) else distance
    low = high = last = None
    if along.low is not None and along.high is not None:
        if np.isnan(ends.sharpness):
            return _stopped("not computable", "the Hessian at the end of descent is not finite in float64", None)
        low, high, last = along.low[place], along.high[place], np.array([ends.sharpness])
    found = {
        "max_deviation": float(distance.max()),
        "final_deviation": float(distance[-1]),
        "error_estimate": error if np.isfinite(error) else None,
        "error_status": "estimated" if np.isfinite(error) else "none: the second run of the flow stops early",
        **dict(zip(("initial_loss", "final_loss_flow", "final_loss_descent"), ends.losses.tolist(), strict=True)),
        "final_gradient_norm_flow": known(ends.slope),
        **spectra(low, high, last),
        "kink_events": 0 if group.flow.kinks is None else int(group.flow.kinks[b]),
        "slides": 0 if group.flow.slides is None else int(group.flow.slides[b]),
    }
    try:
        for one in _bounds(group, group.etas[e], kept, flow, run, names):
            found |= _as_floats(bound_columns(one, found["final_deviation"]))
    except (ComputationError, np.linalg.LinAlgError) as failed:  # a spectrum that cannot be found
        return _stopped("not computable", str(failed), None)
    return {"status": "done", "steps": kept[-1]} | found


def _bounds(
    group: Group, eta: Fraction, kept: list[int], flow: np.ndarray, run: np.ndarray, names: Sequence[str]
) -> list[BoundSeries]:
    if not names:
        return []
    objective = group.objective
    if group.method != GradientDescent():
        return [not_applicable(name, "bound", len(kept), not_descent(group.method)) for name in names]
    if objective.gates:
        return [not_applicable(name, "bound", len(kept), KINKS) for name in names]
    size, times = float(eta), np.array(kept) * float(eta)
    between = HermiteFlow(times, flow, -gradients(objective, flow))
    steps = walk(objective, run, kept, size)
    samples = Samples(objective, size, np.array(kept), between, run, steps, len(kept), None, Crossings())
    found = sampled_bounds(samples)
    return [found[name] for name in names]


def _as_floats(found: JsonObject) -> JsonObject:
    return {name: float(v) if hasattr(v, "_mpf_") else v for name, v in found.items()}
