"""Networks in plain NumPy with their gradients, and the ends of their flows by two of SciPy's solvers."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from mpmath import mpf
from scipy.integrate import solve_ivp

AGREEMENT = 1e-6
"""Two solvers decide a problem where they differ by so much max(1, |value|) at most."""
SAFETY = 10
"""How far beyond the difference of two solvers the truth may lie."""
EVALUATIONS = 30_000
"""Most evaluations of the field in one run of a solver."""


@dataclass(frozen=True)
class Truth:
    """What a flow must end at.

    Attributes:
        values: theta(T), mpf.
        tolerance: what the oracle leaves open in each component; 0 for a closed form.
        stiffness: T sup ||H|| along the flow.
        explodes: the flow leaves every bound before T; `values` is then empty.
    """

    values: list[Any]
    tolerance: list[float]
    stiffness: float
    explodes: bool = False


class Undecided(Exception):
    """The oracle does not know the answer, and why."""


# ---------------------------------------------------------------------------------------------- networks in NumPy


def sigmoid(z: np.ndarray) -> np.ndarray:
    """1 / (1 + e^-z), also of complex arrays, without overflow."""
    positive = np.real(z) >= 0
    small = np.exp(np.where(positive, -z, z))
    return np.where(positive, 1, small) / (1 + small)


def softmax_error(p: np.ndarray, y: np.ndarray) -> np.ndarray:
    """softmax(p) - y for one-hot columns y; where y = 1 it is minus the sum of the others, without cancellation."""
    share = np.exp(p - np.real(p).max(axis=0))
    share = share / share.sum(axis=0)
    others = np.where(y == 1, 0, share).sum(axis=0)
    return np.where(y == 1, -others, share)


SLOPES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "square": lambda p, y: p - y,
    "logistic": lambda p, y: -y * sigmoid(-y * p),
    "exponential": lambda p, y: -y * np.exp(-y * p),
    "cross-entropy": softmax_error,
    "(prediction - target)**4/4": lambda p, y: (p - y) ** 3,
    "exp(prediction) - target*prediction": lambda p, y: np.exp(p) - y,
    "sqrt(1 + (prediction - target)**2)": lambda p, y: (p - y) / np.sqrt(1 + (p - y) ** 2),
    "prediction**12/12 - target*prediction": lambda p, y: p**11 - y,
    "1 - cos(prediction - target)": lambda p, y: np.sin(p - y),
}
"""Loss -> its derivative in the prediction."""


@dataclass(frozen=True)
class PlainNetwork:
    """A fully connected network with its samples in columns, and its training loss's derivatives."""

    widths: tuple[int, ...]
    slope: float
    x: np.ndarray
    y: np.ndarray
    loss: str

    def pieces(self, theta: np.ndarray, gates: list[np.ndarray] | None = None) -> tuple[list, list, list]:
        """Weights, pre-activations and gates; the gates are those given, or follow from the pre-activations."""
        weights, values, found, a, start = [], [], [], self.x, 0
        for layer, (columns, rows) in enumerate(pairwise(self.widths)):
            weights.append(theta[start : start + rows * columns].reshape(rows, columns))
            start += rows * columns
            values.append(weights[-1] @ a)
            if layer < len(self.widths) - 2:
                gate = np.where(np.real(values[-1]) >= 0, 1.0, self.slope) if gates is None else gates[layer]
                found.append(gate)
                a = gate * values[-1]
        return weights, values, found

    def gradient(self, theta: np.ndarray, gates: list[np.ndarray] | None = None) -> np.ndarray:
        """grad f by back-propagation, of real or complex theta."""
        weights, values, gates = self.pieces(theta, gates)
        inputs = [self.x, *(g * z for g, z in zip(gates, values, strict=False))]
        back = SLOPES[self.loss](values[-1], self.y) / self.x.shape[1]
        parts = []
        for layer in reversed(range(len(weights))):
            parts.append((back @ inputs[layer].T).ravel())
            if layer:
                back = (weights[layer].T @ back) * gates[layer - 1]
        return np.concatenate(parts[::-1])


def hessian(gradient: Callable[[np.ndarray], np.ndarray], theta: np.ndarray) -> np.ndarray:
    """The derivative of a gradient by complex steps, so small that they cost no digits."""
    columns = []
    for i, value in enumerate(theta):
        step = 1e-20 * max(abs(value), 1e-40)
        shifted = theta.astype(complex)
        shifted[i] += 1j * step
        columns.append(gradient(shifted).imag / step)
    return np.array(columns).T


# ------------------------------------------------------------------------------------------------- SciPy's solvers


class TooLong(Exception):
    """A solver takes too many evaluations."""


def implicit_run(
    gradient: Callable[[np.ndarray], np.ndarray],
    start: np.ndarray,
    span: tuple[float, float],
    settings: tuple[str, float, int],
    event: Callable[[float, np.ndarray], float] | None = None,
) -> Any:
    """One run of SciPy: method, relative tolerance and least number of steps are its settings."""
    method, rtol, least = settings
    left = EVALUATIONS

    def field(_: float, theta: np.ndarray) -> np.ndarray:
        nonlocal left
        left -= 1
        if not left:
            raise TooLong
        return -gradient(theta)

    def jacobian(_: float, theta: np.ndarray) -> np.ndarray:
        return -hessian(gradient, theta)

    tiny = 1e-6 * rtol * np.abs(start)[np.abs(start) > 0].min(initial=1.0)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            found = solve_ivp(
                field,
                span,
                start,
                method=method,
                rtol=rtol,
                atol=max(tiny, 1e-150),
                jac=jacobian,
                max_step=(span[1] - span[0]) / least,
                events=event,
            )
        except (TooLong, ValueError, np.linalg.LinAlgError) as error:
            raise Undecided(f"{method} fails: {type(error).__name__}") from None
    if not found.success or not np.isfinite(found.y).all():
        raise Undecided(f"{method} fails")
    return found


EVENT_TIME = 2e-15
"""SciPy locates events to four units of float64, absolutely."""
SOLVERS = (("Radau", 1e-8, 7), ("LSODA", 1e-12, 40))


def compared(ends: Sequence[np.ndarray], stiffness: float) -> Truth:
    """The truth where two ends agree."""
    first, second = ends
    scale = np.maximum(1, np.abs(second))
    if (np.abs(first - second) > AGREEMENT * scale).any():
        raise Undecided("two solvers disagree")
    tolerance = SAFETY * np.abs(first - second) + 1e-9 * np.abs(second)
    return Truth([mpf(float(v)) for v in second], [float(v) for v in tolerance], stiffness)


def largest_curvature(gradient: Callable[[np.ndarray], np.ndarray], states: np.ndarray) -> float:
    """The largest ||H|| at some states, one a column."""
    few = states[:, np.unique(np.linspace(0, states.shape[1] - 1, 100).round().astype(int))]
    with np.errstate(all="ignore"):
        found = [hessian(gradient, theta) for theta in few.T]
    if not np.isfinite(found).all():
        raise Undecided("the Hessian is beyond float64")
    return max(float(np.linalg.norm(h, 2)) for h in found)


def smooth_truth(gradient: Callable[[np.ndarray], np.ndarray], start: np.ndarray, end: float) -> Truth:
    """The end of a smooth flow, by two solvers."""
    runs = [implicit_run(gradient, start, (0.0, end), settings) for settings in SOLVERS]
    return compared([run.y[:, -1] for run in runs], end * largest_curvature(gradient, runs[1].y))


def kinked_truth(network: PlainNetwork, start: np.ndarray, end: float) -> Truth:
    """The end of the flow of a kinked network whose crossings are transversal, by two solvers."""
    found = [crossing_run(network, start, end, settings) for settings in SOLVERS]
    if found[0][1] != found[1][1]:
        raise Undecided("two solvers cross other kinks")
    return compared([theta for theta, _, _ in found], end * found[1][2])


def crossing_run(
    network: PlainNetwork, start: np.ndarray, end: float, settings: tuple[str, float, int]
) -> tuple[np.ndarray, list[int], float]:
    """The end, which gates change in turn, and the largest curvature."""
    now, theta, changed, curvature = 0.0, start, [], 0.0
    gates = network.pieces(start)[2]
    for _ in range(30):
        active = np.where(joined(gates) == 1, 1.0, -1.0)

        def gradient(v: np.ndarray, gates: list = gates) -> np.ndarray:
            return network.gradient(v, gates)

        def distance(_: float, v: np.ndarray, gates: list = gates, side: np.ndarray = active) -> float:
            return float((joined(network.pieces(v, gates)[1][:-1]) * side).min())

        distance.terminal = True  # type: ignore[attr-defined]
        distance.direction = -1  # type: ignore[attr-defined]
        run = implicit_run(gradient, theta, (now, end), settings, distance)
        curvature = max(curvature, largest_curvature(gradient, run.y))
        theta, now = run.y[:, -1], run.t[-1]
        if run.status == 0:
            return theta, changed, curvature
        # parallel samples reach the kink together; SciPy's time of it is good to EVENT_TIME only
        before = rates(network, theta, gates) * active
        values = joined(network.pieces(theta, gates)[1][:-1]) * active
        met = (before < 0) & (values <= -before * (1e-9 * now + EVENT_TIME))
        if not met.any():
            raise Undecided("a kink is not crossed transversally")
        theta = theta - gradient(theta) * (values[met] / -before[met]).mean()
        gates = flipped(network, gates, met)
        after = rates(network, theta, gates) * active
        if not (before[met] < 0).all() or not (after[met] < 1e-3 * before[met]).all():
            raise Undecided("a kink is not crossed transversally")
        changed += np.flatnonzero(met).tolist()
    raise Undecided("too many kinks")


def joined(arrays: list[np.ndarray]) -> np.ndarray:
    """The entries of some arrays, one after the other."""
    return np.concatenate([a.ravel() for a in arrays])


def flipped(network: PlainNetwork, gates: list[np.ndarray], which: np.ndarray) -> list[np.ndarray]:
    """The gates with some of them changed."""
    parts = np.split(which, np.cumsum([g.size for g in gates])[:-1])
    other = 1.0 + network.slope
    return [np.where(part.reshape(g.shape), other - g, g) for g, part in zip(gates, parts, strict=True)]


def rates(network: PlainNetwork, theta: np.ndarray, gates: list[np.ndarray]) -> np.ndarray:
    """The rates of all pre-activations along the flow with these gates, by a complex step."""
    g = network.gradient(theta, gates)
    step = 1e-20 * float(np.abs(theta).max()) / max(float(np.abs(g).max()), 1e-300)
    return joined(network.pieces(theta - 1j * step * g, gates)[1][:-1]).imag / step
