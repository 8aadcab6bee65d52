"""Random problems whose numbers lie between 1e-30 and 1e4, and their true ends: the oracle of `test_random_scales`.

Nothing here comes from symflow but `Problem` itself: gradients are written out in NumPy (or are SymPy's derivatives),
Hessians are complex steps of them. The truth is a closed form in mpmath, or the end of two of SciPy's implicit solvers
where they agree. Kinked networks are solved piece by piece, from one crossing to the next.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import mpmath
import numpy as np
import sympy
from mpmath import mpf

import symflow as sf
from tests.paths.plain_scipy import SLOPES, PlainNetwork, Truth, Undecided, hessian, kinked_truth, smooth_truth

CLOSED_DIGITS = 400
"""Working digits of the closed forms: numbers are 1e-30 to 1e4, their products enter into cancelling sums."""


@dataclass(frozen=True)
class Draw:
    """A random problem.

    Attributes:
        kind: which family it is of.
        problem: as symflow takes it, horizon included.
        digits: those to ask for.
        truth: () -> Truth; raises `Undecided`.
    """

    kind: str
    problem: sf.Problem
    digits: int
    truth: Callable[[], Truth]


def number(rng: random.Random, low: float, high: float, signed: bool = True) -> str:
    """A decimal of three digits, log-uniform between 10^low and 10^high."""
    exponent, part = divmod(rng.uniform(low, high), 1)
    sign = "-" if signed and rng.random() < 0.5 else ""
    return f"{sign}{10**part:.2f}e{int(exponent)}"


def scales(rng: random.Random) -> tuple[float, float]:
    """Between which powers of ten the numbers of one kind lie."""
    style = rng.random()
    if style < 0.3:
        low, high = sorted((rng.uniform(-30, 4), rng.uniform(-30, 4)))
        return low, high
    if style < 0.7:
        return -2, 1.5
    return (-30, 4) if style < 0.85 else (1, 4)


# -------------------------------------------------------------------------------------------------- the families


def _mp(values: Any) -> Any:
    """Exact decimals as mpf at the working precision."""
    if isinstance(values, str):
        q = Fraction(values)
        return mpf(q.numerator) / q.denominator
    return [_mp(v) for v in values]


def _targets(rng: random.Random, loss: str, samples: int, outputs: int, span: tuple[float, float]) -> list[list[str]]:
    if loss in ("logistic", "exponential"):
        return [[rng.choice(["1", "-1"])] for _ in range(samples)]
    if loss == "cross-entropy":
        rows = (rng.randrange(outputs) for _ in range(samples))
        return [["1" if c == row else "0" for c in range(outputs)] for row in rows]
    signed = not loss.startswith(("exp", "prediction**"))
    return [[number(rng, *span, signed=signed) for _ in range(outputs)] for _ in range(samples)]


def _network(rng: random.Random, kind: str, widths: tuple[int, ...], loss: str, samples: int) -> dict[str, Any]:
    """The tables of a network's problem; one that hardly moves is drawn anew up to four times."""
    for _ in range(5):
        tables = _tables(rng, kind, widths, loss, samples)
        network, theta, end = plain(tables)
        with np.errstate(all="ignore"):
            curvature = hessian(network.gradient, theta)
        if not np.isfinite(curvature).all() or end * np.abs(curvature).max() > 1e-2:
            break
    return tables


def plain(tables: dict[str, Any]) -> tuple[PlainNetwork, np.ndarray, float]:
    """The same network in float64, its start, and its final time."""
    x, y = (np.array([[float(v) for v in row] for row in tables["data"][k]]).T for k in "xy")
    slope = {"linear": 1.0, "relu": 0.0, "leaky-relu": 0.2}[tables["network"]["activation"]]
    loss = tables["loss"].get("expression", tables["loss"]["kind"])
    network = PlainNetwork(tuple(tables["network"]["widths"]), slope, x, y, loss)
    return network, np.array([float(v) for v in tables["init"]["theta"]]), float(tables["run"]["horizon"])


def _tables(rng: random.Random, kind: str, widths: tuple[int, ...], loss: str, samples: int) -> dict[str, Any]:
    data, weights = scales(rng), scales(rng)
    tables: dict[str, Any] = {
        "network": {"widths": list(widths), "activation": kind},
        "loss": {"kind": loss} if loss in ("square", "logistic", "exponential", "cross-entropy") else None,
        "data": {
            "x": [[number(rng, *data) for _ in range(widths[0])] for _ in range(samples)],
            "y": _targets(rng, loss, samples, widths[-1], data),
        },
        "init": {"theta": [number(rng, *weights) for _ in range(sum(a * b for a, b in pairwise(widths)))]},
        "run": {"horizon": number(rng, -6, 6, signed=False)},
    }
    if kind == "leaky-relu":
        tables["network"]["slope"] = "1/5"
    if tables["loss"] is None:
        tables["loss"] = {"kind": "expression", "expression": loss}
    return tables


def solved_network(rng: random.Random) -> tuple[str, Any, Callable[[], Truth]]:
    """A network of depth 1 to 3; the truth is SciPy's."""
    kind = rng.choice(["linear", "linear", "linear", "relu", "leaky-relu"])
    loss = rng.choice(["square", "logistic", "exponential", "cross-entropy", rng.choice(list(SLOPES)[4:])])
    outputs = {"logistic": 1, "exponential": 1, "cross-entropy": rng.randint(2, 3)}.get(loss, rng.randint(1, 2))
    depth = rng.choice([1, 2, 2, 3]) if kind == "linear" else rng.choice([2, 2, 3])
    widths = (*(rng.randint(1, 3) for _ in range(depth)), outputs)
    tables = _network(rng, kind, widths, loss, rng.randint(1, 4))

    def truth() -> Truth:
        network, theta, end = plain(tables)
        return smooth_truth(network.gradient, theta, end) if kind == "linear" else kinked_truth(network, theta, end)

    return f"{kind} network, {loss if loss in list(SLOPES)[:4] else 'own loss'}", tables, truth


def one_sample(rng: random.Random) -> tuple[str, Any, Callable[[], Truth]]:
    """Depth 1, one sample, logistic, exponential or cross-entropy loss of two classes: theta moves along x.

    u = y p (or p_true - p_other) obeys u' = q / (1 + e^u), so u + e^u grows by q t, or u' = q e^-u, so e^u does.
    """
    loss = rng.choice(["logistic", "logistic", "exponential", "cross-entropy"])
    columns, outputs = rng.randint(1, 2), 2 if loss == "cross-entropy" else 1
    tables = _network(rng, "linear", (columns, outputs), loss, 1)

    def truth() -> Truth:
        x, y = _mp(tables["data"]["x"][0]), _mp(tables["data"]["y"][0])
        theta, end = _mp(tables["init"]["theta"]), _mp(tables["run"]["horizon"])
        weights = [theta[i * columns : (i + 1) * columns] for i in range(outputs)]
        signs = y if outputs == 1 else [2 * v - 1 for v in y]
        square = sum(v * v for v in x)
        u0 = sum(s * sum(a * b for a, b in zip(w, x, strict=True)) for s, w in zip(signs, weights, strict=True))
        rate = square * outputs
        if loss == "exponential":
            u1 = mpmath.log(mpmath.exp(u0) + rate * end)
            curvature = square * mpmath.exp(-u0)
        else:
            u1 = _grown(u0, rate * end)
            nearest = max(u0, min(u1, mpf(0)))
            curvature = square * outputs / (2 + mpmath.exp(nearest) + mpmath.exp(-nearest))
        moved = (u1 - u0) / rate
        values = [w + s * moved * v for s, row in zip(signs, weights, strict=True) for w, v in zip(row, x, strict=True)]
        return Truth(values, [0.0] * len(values), float(min(curvature * end, mpf(10) ** 300)))

    return f"one sample, {loss}", tables, truth


def _grown(u0: Any, growth: Any) -> Any:
    """u with u + e^u = u0 + e^u0 + growth, by bisection and Newton's method on a concave form."""
    total = u0 + mpmath.exp(u0) + growth
    u = min(total, mpmath.log(total)) if total > 1 else total
    for _ in range(200):  # convex and increasing: from the right it converges; the first step leads there
        change = (u + mpmath.exp(u) - total) / (1 + mpmath.exp(u))
        u -= change
        if abs(change) < mpf(10) ** (10 - CLOSED_DIGITS) * max(1, abs(u)):
            return u
    raise Undecided("Newton's method does not converge")


def least_squares(rng: random.Random) -> tuple[str, Any, Callable[[], Truth]]:
    """Depth 1, square loss: each row of W obeys w' = b - S w."""
    columns, outputs = rng.randint(1, 3), rng.randint(1, 2)
    tables = _network(rng, "linear", (columns, outputs), "square", rng.randint(1, 4))

    def truth() -> Truth:
        x, y = (mpmath.matrix(_mp(tables["data"][k])) for k in "xy")
        theta, end = _mp(tables["init"]["theta"]), _mp(tables["run"]["horizon"])
        eigenvalues, vectors = mpmath.eigsy(x.T * x / x.rows)
        b, values = x.T * y / x.rows, []
        for output in range(outputs):
            start = vectors.T * mpmath.matrix(theta[output * columns : (output + 1) * columns])
            push = vectors.T * b[:, output]
            moved = [
                s * mpmath.exp(-v * end) + p * (-mpmath.expm1(-v * end) / v if v > _FLAT else end)
                for s, p, v in zip(start, push, eigenvalues, strict=True)
            ]
            values += list(vectors * mpmath.matrix(moved))
        return Truth(values, [0.0] * len(values), float(max(eigenvalues) * end))

    return "depth 1, square", tables, truth


_FLAT = mpf(10) ** -250
"""An eigenvalue below is 0: those that are not are at least about 1e-200 here."""


def balanced(rng: random.Random) -> tuple[str, Any, Callable[[], Truth]]:
    """Widths 1-1-1, square loss, w_1 = s w_2: v = w^2 obeys the logistic equation v' = 2 x v (s y - x v)."""
    tables = _network(rng, "linear", (1, 1, 1), "square", 1)
    sign = rng.choice([1, -1])
    first = tables["init"]["theta"][0]
    second = first if sign == 1 else (first[1:] if first.startswith("-") else f"-{first}")
    tables["init"]["theta"] = [first, second]

    def truth() -> Truth:
        x, y, w = _mp(tables["data"]["x"][0][0]), _mp(tables["data"]["y"][0][0]), _mp(first)
        end = _mp(tables["run"]["horizon"])
        rate, v0 = 2 * x * sign * y * end, w * w
        if rate > 0:
            shrink = mpmath.exp(-rate)
            v = v0 / (shrink + x * v0 / (sign * y) * -mpmath.expm1(-rate))
        else:
            v = v0 * mpmath.exp(rate) / (1 + x * v0 / (sign * y) * mpmath.expm1(rate))
        w1 = mpmath.sign(w) * mpmath.sqrt(v)
        # H = [[x^2 v, r], [r, x^2 v]] with r = s (2 x^2 v) - x y, up to signs; its norm is x^2 v + |r|
        norms = [x * x * q + abs(2 * sign * x * x * q - x * y) for q in (v0, v)]
        return Truth([w1, sign * w1], [0.0, 0.0], float(max(norms) * end))

    return "balanced, square", tables, truth


THETA = sympy.Symbol("theta")


def one_variable(rng: random.Random) -> tuple[str, Any, Callable[[], Truth]]:
    """An own objective of one variable whose flow is elementary."""
    low, high = scales(rng)
    start, scale, end = (
        number(rng, low, high),
        number(rng, *scales(rng), signed=False),
        number(rng, -6, 6, signed=False),
    )
    name = rng.choice(["quartic", "exponential", "cubic", "logarithm", "cosine", "barrier"])
    c = sympy.Rational(Fraction(scale))
    expressions = {
        "quartic": c * THETA**4 / 4,
        "exponential": c * sympy.exp(-THETA),
        "cubic": -c * THETA**3 / 3,
        "logarithm": -c * sympy.log(THETA),
        "cosine": c * sympy.cos(THETA),
    }
    if name == "logarithm":
        start = start.removeprefix("-")
    if name == "barrier":
        return _barrier(rng)
    problem = sf.Problem(
        objective=sf.expression_objective(expressions[name], (THETA,)), theta0=[start], horizon=end, dps=20
    )

    def truth() -> Truth:
        k, q, t = _mp(scale), _mp(start), _mp(end)
        if name == "quartic":
            value, curvature = q / mpmath.sqrt(1 + 2 * k * q * q * t), 3 * k * q * q
        elif name == "exponential":
            value, curvature = mpmath.log(mpmath.exp(q) + k * t), k * mpmath.exp(-q)
        elif name == "cubic":
            if k * q * t >= 1:
                return Truth([], [], mpmath.inf, explodes=True)
            value = q / (1 - k * q * t)
            curvature = 2 * k * max(abs(q), abs(value))
        elif name == "logarithm":
            value, curvature = mpmath.sqrt(q * q + 2 * k * t), k / (q * q)
        else:
            # tan(theta/2) grows by e^(k t); theta stays within its branch
            turns = mpmath.floor((q + mpmath.pi) / (2 * mpmath.pi))
            inner = (q - 2 * mpmath.pi * turns) / 2
            with mpmath.workdps(CLOSED_DIGITS + int(k * t / 2) if k * t < 4000 else CLOSED_DIGITS):
                value = 2 * mpmath.atan(mpmath.tan(inner) * mpmath.exp(k * t)) + 2 * mpmath.pi * turns
            curvature = k
        return Truth([value], [0.0], float(min(curvature * t, mpf(10) ** 300)))

    return f"one variable, {name}", problem, truth


def _barrier(rng: random.Random) -> tuple[str, Any, Callable[[], Truth]]:
    """-theta + 10 exp(-k (theta - a)^2): the flow runs at speed 1 up to a narrow barrier and stays before it.

    The truth: theta = t up to 14 widths before the barrier, from where SciPy's steps are short enough to see it.
    """
    place, narrow, end = number(rng, 0, 3, False), number(rng, 1, 5, False), number(rng, -1, 5, False)
    a, k = (sympy.Rational(Fraction(v)) for v in (place, narrow))
    problem = sf.Problem(
        objective=sf.expression_objective(-THETA + 10 * sympy.exp(-k * (THETA - a) ** 2), (THETA,)),
        theta0=["0"],
        horizon=end,
        dps=20,
    )

    def truth() -> Truth:
        q, width, t = _mp(place), 1 / mpmath.sqrt(_mp(narrow)), _mp(end)
        near = max(mpf(0), q - 14 * width)
        if t <= near:
            return Truth([t], [1e-60], 0.0)
        sharp = float(_mp(narrow))

        def gradient(v: np.ndarray) -> np.ndarray:  # of the distance from the barrier
            return -1 - 20 * sharp * v * np.exp(-sharp * v * v)

        start, left = np.array([float(near - q)]), min(float(t - near), 60 * float(width))
        found = smooth_truth(gradient, start, left)
        stiffness = found.stiffness * float(t) / left
        slope = gradient(np.array([float(found.values[0])]))[0]
        if left < float(t - near) and abs(slope) > 1e-6:
            raise Undecided("not at rest before the barrier, where it should be by then")
        return Truth([q + found.values[0]], [found.tolerance[0] + 1e-9 * abs(float(q))], stiffness)

    return "one variable, barrier", problem, truth


def expressions(rng: random.Random) -> tuple[str, Any, Callable[[], Truth]]:
    """An own objective of two or three variables; the truth is SciPy's, with SymPy's derivatives."""
    variables = sympy.symbols("a b c")[: rng.choice([2, 3])]
    a, b, c = variables[0], variables[1], variables[-1]
    p, q, r = (sympy.Rational(Fraction(number(rng, *scales(rng), signed=False))) for _ in range(3))
    choices = [
        p * (a * b - q) ** 2 / 2 + r * (a - c) ** 2 / 2,
        sympy.log(1 + sympy.exp(p * a * b)) + q * (b - c) ** 2 + r * a**2 / 2,
        p * sympy.exp(-a * b) + q * b**2 / 2 + r * c**4,
        p * (1 - sympy.cos(a - b)) + q * sympy.sin(c) + r * a**2,
        sympy.sqrt(p + (a - b * c) ** 2) + q * b**2 + r * c**2,
    ]
    expression = sympy.sympify(choices[rng.randrange(len(choices))])
    span = scales(rng)
    start, end = [number(rng, *span) for _ in variables], number(rng, -6, 6, signed=False)
    problem = sf.Problem(objective=sf.expression_objective(expression, variables), theta0=start, horizon=end, dps=20)

    def truth() -> Truth:
        slopes = [sympy.lambdify(variables, sympy.diff(expression, v), "numpy") for v in variables]

        def gradient(theta: np.ndarray) -> np.ndarray:
            return np.array([g(*theta) for g in slopes], dtype=theta.dtype)

        return smooth_truth(gradient, np.array([float(v) for v in start]), float(end))

    return "own objective", problem, truth


FAMILIES = (
    (0.22, one_sample),
    (0.10, least_squares),
    (0.08, balanced),
    (0.12, one_variable),
    (0.08, expressions),
    (0.40, solved_network),
)
"""Shares of the families."""


def draw(seed: int) -> Draw:
    """The problem of a seed."""
    rng = random.Random(f"scales {seed}")
    family = rng.choices([f for _, f in FAMILIES], [share for share, _ in FAMILIES])[0]
    digits = rng.choice([15, 20, 50])
    kind, made, truth = family(rng)

    def exact_truth() -> Truth:
        with mpmath.workdps(CLOSED_DIGITS):
            return truth()

    problem = made if isinstance(made, sf.Problem) else sf.Problem(**made)
    return Draw(kind, problem, digits, exact_truth)
