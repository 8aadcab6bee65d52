"""Closed forms against the flow at 50 digits, and against their differential equations without the flow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from mpmath import mpf
from scipy.integrate import solve_ivp

import symflow as sf
from symflow.theory.c09_scalars import scalars_at

SHORT = Fraction(1, 3)


def on_target(widths: Sequence[int], target: object, theta: Sequence[object]) -> sf.Problem:
    """f = (1/2m) ||W_n ... W_1 - M||^2."""
    return sf.Problem(network=sf.FullyConnected(widths), data={"target": target}, init={"theta": list(theta)})


def rotated(left: np.ndarray, values: Sequence[Fraction | int], right: np.ndarray) -> np.ndarray:
    """sum_k values_k left_k right_k^T."""
    return sum(v * np.outer(left[:, k], right[:, k]) for k, v in enumerate(values))  # type: ignore[return-value]


TURN = np.array([[Fraction(3, 5), Fraction(-4, 5)], [Fraction(4, 5), Fraction(3, 5)]], dtype=object)
OTHER = np.array([[Fraction(5, 13), Fraction(12, 13)], [Fraction(-12, 13), Fraction(5, 13)]], dtype=object)
SAME = np.eye(2, dtype=int).astype(object)


def modes(depth: int, starts: Sequence[Fraction | int], values: Sequence[Fraction | int]) -> sf.Problem:
    """Layers U s V^T that share their inner frames, and a target in the frames at the ends."""
    frames = [OTHER, *([SAME, TURN] * depth)[: depth - 1], TURN]
    layers = [rotated(frames[j + 1], starts, frames[j]) for j in range(depth)]
    target = rotated(frames[-1], values, frames[0])
    theta = [v for w in layers for v in w.flat]
    return on_target([2] * (depth + 1), target.tolist(), theta)


NEURONS = {
    "rich, delta < 0": (["1/5", -1, "1/3"], [[3, 4]]),
    "lazy, delta > 0": (["1/5", 0, 2], [[3, 4]]),
    "delta = 0": (["3/5", "4/5", 1], [[3, 4]]),
    "delta = 0, against the target": (["-3/5", "-4/5", 1], [[3, 4]]),
    "w across the target": ([4, -3, "1/2"], [[3, 4]]),
    "a = 0": (["1/2", "1/3", 0], [[1, 2]]),
    "w = 0": ([0, 0, "1/2"], [[1, 2]]),
    "no target": (["1/2", "1/3", 1], [[0, 0]]),
    "a negative": (["1/2", "1/3", -1], [[1, 2]]),
}
SCALARS = {
    "unbalanced": (["1/2", 1, "3/2"], 2),
    "balanced": (["1/2", "-1/2", "-1/2"], 2),
    "balanced, target of the other sign": (["1/2", "1/2", "1/2"], -2),
    "one weight 0": ([0, "-1/2", "1/3"], -2),
    "the smallest weight changes its sign": (["1/10", "1/2", "1/3"], -2),
    "two weights 0": ([0, 0, "1/2"], 1),
    "no target": (["1/10", "1/2", "1/3"], 0),
    "small, depth 4": (["1/10"] * 4, 1),
    "depth 2": (["1/4", "-1/2"], 1),
}
RICCATI = {
    "unequal widths": ([2, 2, 1], [[1, 2]], ["1/2", 0, 0, "1/2", "3/10", "2/5"]),
    "one hidden unit, two outputs": ([2, 1, 2], [[1, 2], [0, 1]], ["1/2", "-1/3", 1, "1/4"]),
    "wide and balanced": ([2, 3, 2], [[3, 1], [0, 2]], None),
    "delta > 0": ([2, 2, 2], [[3, 1], [0, 2]], ["3/10", "-4/10", "4/10", "3/10", "6/5", "-16/10", "16/10", "6/5"]),
    "a target of rank 0": ([2, 1, 2], [[0, 0], [0, 0]], ["1/2", "-1/3", 1, "1/4"]),
}


def riccati_problem(name: str) -> sf.Problem:
    widths, target, theta = RICCATI[name]
    if theta is None:
        init: dict[str, object] = {"scheme": "balanced", "seed": 1}
        return sf.Problem(network=sf.FullyConnected(widths), data={"target": target}, init=init)
    if name == "unequal widths":  # W_2^T W_2 = W_1 W_1^T + delta I with one row in W_2: W_1 W_1^T = W_2^T W_2 - delta I
        theta = ["3/10", "2/5", "3/10", "2/5", "1/2", "1/2"]
    return on_target(widths, target, theta)


def case(kind: str, name: str) -> sf.Problem:
    if kind == "C5":
        theta, target = NEURONS[name]
        return on_target([2, 1, 1], target, theta)
    if kind == "C9":
        theta, goal = SCALARS[name]
        return on_target([1] * (len(theta) + 1), [[goal]], theta)
    if kind == "C7":
        return riccati_problem(name)
    depth, starts, values = MODES[name]
    return modes(depth, starts, values)


MODES = {
    "two layers": (2, [Fraction(1, 10), Fraction(1, 20)], [3, 1]),
    "two layers, a mode against its target": (2, [Fraction(1, 2), Fraction(1, 3)], [2, -1]),
    "equal modes": (2, [Fraction(1, 2), Fraction(1, 2)], [2, 2]),
    "a mode that does not start": (2, [Fraction(1, 2), 0], [2, 1]),
    "three layers": (3, [Fraction(1, 2), Fraction(1, 3)], [3, 1]),
}
FAMILIES: dict[str, dict[str, object]] = {"C5": NEURONS, "C9": SCALARS, "C7": RICCATI, "C6": MODES}  # type: ignore[dict-item]
CASES = [(kind, name) for kind, names in FAMILIES.items() for name in names]


def distance(a: object, b: object) -> mpmath.mpf:
    """The largest difference of two arrays."""
    return max(abs(p - q) for p, q in zip(np.ravel(a), np.ravel(b), strict=True))  # type: ignore[arg-type]


def exact(value: object) -> mpmath.mpf:
    """A rational number at the working precision."""
    q = Fraction(value)  # type: ignore[arg-type]
    return mpmath.mpf(q.numerator) / q.denominator


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_closed_forms_and_the_flow_agree_to_fifty_digits(kind: str, name: str) -> None:
    given = case(kind, name)
    form = sf.closed_form(given, kind)
    flow = sf.solve_flow(given, horizon=2, dps=50, error="estimated")
    for time in (Fraction(0), SHORT, Fraction(2)):
        found = form.value(time, dps=50)
        wanted = flow(time) if form.quantity == "theta" else flow.end_to_end(time)
        size = max(1, max(abs(v) for v in np.ravel(found)))
        with mpmath.workdps(60):
            assert distance(found, wanted) < size * mpmath.mpf(10) ** -50


def slope_by_hand(kind: str, given: sf.Problem, value: np.ndarray) -> np.ndarray:
    """The right-hand side of the differential equation, written out here, for f = (1/2m) ||W - M||^2."""
    target = np.vectorize(lambda q: mpmath.mpf(q.numerator) / q.denominator, otypes=[object])(given.matrix_data.target)  # type: ignore[union-attr]
    count = target.size
    if kind == "C9":
        rest = [mpmath.fprod(w for k, w in enumerate(value) if k != j) for j in range(len(value))]
        return np.array([(target[0, 0] - mpmath.fprod(value)) * r for r in rest], dtype=object)
    if kind == "C5":
        w, a = value[:-1], value[-1]
        residual = target[0] - a * w
        return np.array([*(a * residual), w @ residual], dtype=object) / count
    # two balanced layers with the modes in the frames of the ends
    left, right = TURN, OTHER
    singular = left.T @ value @ right
    goal = left.T @ target @ right
    moved = np.zeros((2, 2), dtype=object)
    for k in range(2):
        moved[k, k] = 2 * abs(singular[k, k]) * (goal[k, k] - singular[k, k])
    return left @ moved @ right.T / count


@pytest.mark.parametrize(
    ("kind", "name"),
    [*(("C5", n) for n in NEURONS), ("C9", "unbalanced"), ("C9", "one weight 0"), ("C6", "two layers")],
)
def test_closed_forms_solve_their_equations(kind: str, name: str) -> None:
    """Central differences of order 8 in time; a wrong right-hand side is seen."""
    given = case(kind, name)
    form = sf.closed_form(given, kind)
    step, time = Fraction(1, 10**6), Fraction(1, 2)
    weights = {1: Fraction(4, 5), 2: Fraction(-1, 5), 3: Fraction(4, 105), 4: Fraction(-1, 280)}
    with mpmath.workdps(70):
        at = {k: form.value(time + k * step, dps=70) for k in range(-4, 5)}
        found = sum((at[k] - at[-k]) * (mpmath.mpf(c.numerator) / c.denominator) for k, c in weights.items()) / (
            mpmath.mpf(step.numerator) / step.denominator
        )
        wanted = slope_by_hand(kind, given, at[0])
        assert distance(found, wanted) < mpmath.mpf(10) ** -42
        if distance(wanted, 0 * wanted) > 0:  # a right-hand side that is 0.1 % off is seen
            assert distance(found, wanted * mpmath.mpf("1.001")) > mpmath.mpf(10) ** -6


def test_two_layers_solve_the_riccati_equation() -> None:
    """W(t) of C7 against W' = -(W_2 W_2^T (W-M) + (W-M) W_1^T W_1)/m by mpmath's own integrator for all weights."""
    given = riccati_problem("delta > 0")
    form = sf.closed_form(given, "C7")
    target = mpmath.matrix([[3, 1], [0, 2]])
    with mpmath.workdps(30):
        theta = [mpmath.mpf(q.numerator) / q.denominator for q in given.theta0]

        def slope(_: object, y: list[mpmath.mpf]) -> list[mpmath.mpf]:
            w1, w2 = mpmath.matrix(2, 2), mpmath.matrix(2, 2)
            w1[0, 0], w1[0, 1], w1[1, 0], w1[1, 1], w2[0, 0], w2[0, 1], w2[1, 0], w2[1, 1] = y
            r = (target - w2 * w1) / 4
            return [*(w2.T * r), *(r * w1.T)]

        y = mpmath.odefun(slope, 0, theta, tol=mpmath.mpf(10) ** -28)(mpmath.mpf("0.5"))
        w1, w2 = mpmath.matrix([y[0:2], y[2:4]]), mpmath.matrix([y[4:6], y[6:8]])
        difference = w2 * w1 - mpmath.matrix(form.value("1/2", dps=30).tolist())
        assert mpmath.norm(difference) < mpmath.mpf(10) ** -24


DIAGONAL = sf.FullyConnected((3, 3, 1), diagonal=[1])
INPUTS, TARGETS = [[1, "1/2", -1], [0, 1, 2]], [1, "1/2"]


def diagonal(theta: Sequence[object]) -> sf.Problem:
    return sf.Problem(network=DIAGONAL, data={"x": INPUTS, "y": TARGETS}, init={"theta": list(theta)})


STARTS: dict[str, list[object]] = {
    "small": [0, 0, 0, "1/10", "1/10", "1/10"],
    "any": ["1/2", "-1/3", "1/5", 1, "1/2", "-3/4"],
    "one coordinate balanced": ["1/2", "-1/3", "1/2", 1, "1/2", "1/2"],
}


@pytest.mark.parametrize("name", STARTS)
def test_the_limit_of_a_diagonal_network(name: str) -> None:
    """It interpolates, its dual certificate lies in the span of the inputs, and the flow goes there."""
    given = diagonal(STARTS[name])
    form = sf.closed_form(given)
    assert (form.result, form.quantity) == ("C8", "limit")
    beta = form.value(dps=40)
    with mpmath.workdps(60):
        inputs = np.array([[exact(v) for v in row] for row in INPUTS], dtype=object)
        targets = [exact(y) for y in TARGETS]
        assert distance(inputs @ beta, targets) < mpmath.mpf(10) ** -40
        other = beta + np.array([4, -4, 2]) / mpmath.mpf(1000)
        assert distance(inputs @ other, targets) < mpmath.mpf(10) ** -40
    end = sf.solve_flow(given, horizon=60, dps=20, error=None)(60)
    assert distance(end[:3] * end[3:], beta) < 1e-8
    assert distance(end[:3] * end[3:], other) > 1e-4


def test_the_limit_has_the_least_entropy_of_all_interpolators() -> None:
    """Along the line of interpolators, in float64: Woodworth's potential with c = 4 alpha^2, here from beta(0) = 0."""
    beta = np.array([float(v) for v in sf.closed_form(diagonal(STARTS["small"])).value(dps=30)])
    line = np.cross([1, 0.5, -1], [0, 1, 2])

    def entropy(b: np.ndarray, c: float = 0.01) -> float:
        z = 2 * b / c
        return float(np.sum(c / 4 * (z * np.arcsinh(z) - np.sqrt(1 + z**2))))

    assert all(entropy(beta) < entropy(beta + s * line) for s in (-0.1, -1e-3, 1e-3, 0.1))


REFUSED: dict[str, Callable[[], sf.Problem]] = {
    "not a multiple of the identity": lambda: on_target([2, 2, 2], [[1, 0], [0, 1]], [1, 2, 3, 4, 5, 6, 7, 8]),
    "neither whitened data": lambda: sf.Problem(
        network=sf.FullyConnected((2, 1, 1)), data={"x": [[1, 2], [3, 4]], "y": [1, 2]}, init={"theta": [1, 2, 3]}
    ),
    "not the training loss|network": lambda: sf.Problem(
        network=sf.FullyConnected((2, 1, 1), activation="relu"),
        data={"x": [[1, 2]], "y": [1]},
        init={"theta": [1, 2, 3]},
    ),
}


@pytest.mark.parametrize("said", REFUSED)
def test_what_does_not_apply_says_why(said: str) -> None:
    with pytest.raises(sf.ProblemError, match=said):
        sf.closed_form(REFUSED[said]())


def test_arguments() -> None:
    form = sf.closed_form(case("C5", "delta = 0"))
    with pytest.raises(sf.ProblemError, match="negative"):
        form.value(-1)
    with pytest.raises(sf.ProblemError, match="needs"):
        form.value()
    with pytest.raises(sf.ProblemError, match="C9"):
        sf.closed_form(case("C5", "delta = 0"), "C4")
    assert sf.closed_form(case("C5", "delta = 0"), "two-layers").result == "C7"
    one = sf.Problem(network=sf.FullyConnected((1, 1)), data={"x": [1, 2], "y": [1, 3]}, init={"theta": [0]})
    exact = mpmath.mpf(7) / 5 * (1 - mpmath.exp(mpmath.mpf("-2.5")))
    assert abs(sf.closed_form(one).value(1, dps=15)[0] - exact) < 1e-14


def test_limits_of_tiny_starts_and_of_signs_that_no_interpolator_has() -> None:
    """Newton's full step would be as long as 1/c; w_2 = -w_1 keeps beta < 0 where beta_1 + beta_2 = 3 is asked."""
    x, network = [[1, 1, 0, "1/2"], [1, 0, 1, "-1/2"]], sf.FullyConnected((4, 4, 1), diagonal=[1])
    start = {"theta": ["1e-30"] * 4 + [0] * 4}
    tiny = sf.closed_form(sf.Problem(network=network, data={"x": x, "y": [1, 1]}, init=start), "C8").value(dps=40)
    # (p, q, q, 0) of p + q = 1 and pull 2s of beta_1, s of the others: sinh(2s)/sinh(s) = 2 cosh(s) = p/q
    with mpmath.workdps(60):
        c = mpmath.mpf(10) ** -60
        s = mpmath.findroot(lambda s: c / 2 * (mpmath.sinh(2 * s) + mpmath.sinh(s)) - 1, (68, 69.5))
        wanted = [c / 2 * mpmath.sinh(2 * s), c / 2 * mpmath.sinh(s), c / 2 * mpmath.sinh(s), 0]
        assert max(abs(a - b) for a, b in zip(tiny, wanted, strict=True)) < mpmath.mpf(10) ** -38
    network, init = sf.FullyConnected((2, 2, 1), diagonal=[1]), {"theta": ["1/10", "1/3", "-1/10", "-1/3"]}
    signs = sf.closed_form(sf.Problem(network=network, data={"x": [[1, 1]], "y": [3]}, init=init), "C8")
    with pytest.raises(sf.ComputationError, match="these signs"):
        signs.value(dps=20)


@pytest.mark.parametrize(
    ("time", "dps", "error", "message"),
    [
        (1, 0, sf.ProblemError, "dps must be a whole number from 1"),
        (1, "30", sf.ProblemError, "dps must be a whole number from 1"),
        ("1e6", 30, sf.BudgetError, "give a smaller time"),
        ("1e400", 30, sf.BudgetError, "give a smaller time"),
    ],
)
def test_digits_and_times_out_of_reach_are_errors(
    time: object, dps: object, error: type[Exception], message: str
) -> None:
    form = sf.closed_form(on_target((2, 1, 1), [[3, 4]], [1, 2, "1/2"]))
    with pytest.raises(error, match=message):
        form.value(time, dps=dps)  # type: ignore[arg-type]


@pytest.mark.parametrize("time", ["1e-12", "0.1", "3", "1000"])
def test_products_of_scalars_at_all_times(time: str) -> None:
    """Where the weights are equal in size: z' = -z^11 for six of them and target 0; u = z^2 is logistic for two."""
    with mpmath.workdps(45):
        t, start = mpf(time), mpf("1.9")
        found = scalars_at([start] * 3 + [-start] + [start] * 2, mpf(0), t)
        assert abs(found[0] - (start**-10 + 10 * t) ** (mpf(-1) / 10)) < mpf(10) ** -42
        for target, start in ((mpf(-1), mpf(2)), (mpf(3), mpf("0.1"))):
            u = target * start**2 / (start**2 + (target - start**2) * mpmath.exp(-2 * target * t))
            z, _ = scalars_at([start, start], target, t)
            assert abs(z * z - u) < mpf(10) ** -42 * u


def test_late_times_cost_no_more_than_early_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    quad = mpmath.quad
    monkeypatch.setattr(mpmath, "quad", lambda *args, **kwargs: calls.append(1) or quad(*args, **kwargs))
    for time in (1000, 10**6):
        calls.clear()
        with mpmath.workdps(60):
            found = scalars_at([mpf("0.5"), mpf(1), mpf("1.5")], mpf(2), mpf(time))
            assert abs(mpmath.fprod(found) - 2) < mpf(10) ** -55
        assert len(calls) < 10


@pytest.mark.parametrize("dps", [15, 40])
@pytest.mark.parametrize(("target", "second"), [(-1, 1 + Fraction(1, 10**30)), (1, -1 - Fraction(1, 10**30))])
def test_nearly_equal_weights_lose_no_digits(dps: int, target: int, second: Fraction) -> None:
    """They leave the saddle 0 at t = 69. u = (w_1 + w_2)^2 is logistic: u' = -(u^2 - 4 lambda u - c^2)/2."""
    form = sf.closed_form(on_target((1, 1, 1), [[target]], [1, second]), "C9")
    with mpmath.workdps(150):
        b, t = mpf(second.numerator) / second.denominator, mpf(69)
        gap, root = 1 - b * b, mpmath.sqrt(4 + (1 - b * b) ** 2)
        upper, lower = 2 * target + root, 2 * target - root
        shrunk = ((1 + b) ** 2 - upper) / ((1 + b) ** 2 - lower) * mpmath.exp(-root * t)
        total = mpmath.sign(1 + b) * mpmath.sqrt((upper - lower * shrunk) / (1 - shrunk))
        wanted = [(total + gap / total) / 2, (total - gap / total) / 2]
        assert max(abs(a - w) for a, w in zip(form.value(69, dps=dps), wanted, strict=True)) < mpf(10) ** -dps


@pytest.mark.parametrize(
    "weights",
    [
        [1, Fraction(-1, 2), Fraction(1, 10**9), Fraction(1, 1000), Fraction(1, 10)],
        [1 + Fraction(k, 10**4) for k in range(5)],
    ],
)
def test_slow_rests_do_not_delay_early_times(weights: list[Fraction]) -> None:
    """At the resting point 0 the rate is 1e-9 and 1e-15: 1/rho is many times the time."""
    with mpmath.workdps(35):
        start = [mpf(w.numerator) / w.denominator for w in map(Fraction, weights)]
        found = scalars_at(start, mpf(0), mpf(1) / 3)

    def speed(_: float, w: np.ndarray) -> np.ndarray:
        return np.array([-np.prod(w) * np.prod(np.delete(w, k)) for k in range(len(w))])

    plain = solve_ivp(speed, (0, 1 / 3), [float(v) for v in start], method="DOP853", rtol=1e-13, atol=1e-25)
    np.testing.assert_allclose([float(v) for v in found], plain.y[:, -1], rtol=1e-11)
