"""Matrix sensing, completion and factorization against their definition, written out here."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy

import symflow as sf

NETWORK = sf.FullyConnected((2, 3, 2))
SENSING = [
    [[1, -2], [0, 3]],
    [[2, 1], [1, 0]],
    [[-1, 1], [2, 2]],
    [[0, 1], [1, 1]],
    [[3, 0], [0, 1]],
    [[1, 1], [1, -1]],
]
DATA = {
    "sensing": {"sensing": SENSING[:3], "y": [1, "1/2", -2]},
    "many measurements": {"sensing": SENSING, "y": [1, "1/2", -2, 0, 3, 1]},
    "completion": {"mask": [[1, 0], [1, 1]], "target": [["1/2", 7], [1, -1]]},
    "factorization": {"target": [["1/2", 7], [1, -1]]},
}


def problem(key: str, network: sf.FullyConnected = NETWORK, **more: object) -> sf.Problem:
    init = {"scheme": "balanced", "seed": 3}
    return sf.Problem(network=network, data=DATA[key], **({"init": init} | more))  # type: ignore[arg-type]


def measurements(key: str) -> list[tuple[np.ndarray, Fraction]]:
    """(A_i, y_i), for observed entries A_i = e_a e_b^T."""
    data = DATA[key]
    if "sensing" in data:
        return [(np.array(a), Fraction(y)) for a, y in zip(data["sensing"], data["y"], strict=True)]
    mask = data.get("mask", [[1, 1], [1, 1]])
    unit = np.eye(2, dtype=int)
    places = [(a, b) for a, b in product(range(2), repeat=2) if mask[a][b]]
    return [(np.outer(unit[a], unit[b]), Fraction(data["target"][a][b])) for a, b in places]


def plain_loss(key: str, w: Sequence[sympy.Matrix]) -> sympy.Expr:
    """(1/2m) sum_i (<A_i, W_n ... W_1> - y_i)^2."""
    end_to_end = w[0]
    for matrix in w[1:]:
        end_to_end = matrix * end_to_end
    found = measurements(key)
    residuals = [
        sum(int(a[i, j]) * end_to_end[i, j] for i, j in product(range(2), repeat=2)) - sympy.Rational(y)
        for a, y in found
    ]
    return sum(r**2 for r in residuals) / (2 * len(found))


@pytest.mark.parametrize("key", DATA)
def test_loss_gradient_and_hessian_are_those_of_the_definition(key: str) -> None:
    given = problem(key, sf.FullyConnected((2, 1, 2)))
    symbols = sympy.symbols(given.objective.parameter_count * ["w"], cls=sympy.Dummy)
    w1, w2 = sympy.Matrix(1, 2, symbols[:2]), sympy.Matrix(2, 1, symbols[2:])
    f = plain_loss(key, [w1, w2])
    theta = [Fraction(k, 3) for k in (1, -2, 4, 5)]
    at = {s: sympy.Rational(t) for s, t in zip(symbols, theta, strict=True)}
    for objective in (given.objective, given.compact):
        assert sf.evaluate_exact(sf.loss(objective), theta) == Fraction(str(f.subs(at)))
        gradient = sf.evaluate_exact(sf.gradient(objective), theta)
        assert [Fraction(str(f.diff(s).subs(at))) for s in symbols] == list(gradient)
        hessian = sf.evaluate_exact(sf.hessian(objective), theta)
        assert [[Fraction(str(f.diff(a, b).subs(at))) for a in symbols] for b in symbols] == hessian.tolist()


def test_many_measurements_are_evaluated_by_their_moments() -> None:
    assert {x.name for x in problem("many measurements").compact.data} == {
        "second_moment",
        "cross_moment",
        "mean_square_y",
    }
    assert problem("sensing").compact.data.keys() == problem("sensing").objective.data.keys()


def test_programs_are_as_long_for_any_number_of_measurements() -> None:
    lengths = {
        sf.gradient(sf.sensing_objective(NETWORK, np.ones((m, 2, 2)), np.ones(m))).program.length for m in (2, 5, 500)
    }
    assert len(lengths) == 1


def test_completion_is_sensing_of_single_entries() -> None:
    found = measurements("completion")
    sensing = sf.sensing_objective(NETWORK, [a.tolist() for a, _ in found], [y for _, y in found])
    theta = [Fraction(k % 5, 7) for k in range(12)]
    completion = problem("completion").objective
    assert (sf.evaluate_exact(sf.gradient(sensing), theta) == sf.evaluate_exact(sf.gradient(completion), theta)).all()


@pytest.mark.parametrize("key", DATA)
@pytest.mark.parametrize("result", ["R7", "R14"])
def test_statements_hold_exactly_on_matrix_data(key: str, result: str) -> None:
    """Both sides of R7 exactly and, at balanced weights, of R14 to 35 digits."""
    network = sf.FullyConnected((2, 2, 2)) if result == "R14" else sf.FullyConnected((2, 3, 2, 2))
    given = problem(key, network)
    instance = sf.statement(result).instantiate(given.objective)
    direction = [Fraction(k % 7 - 3) for k in range(len(given.theta0))] if result == "R7" else []
    left, right = instance.evaluate("", given.theta0, direction, dps=None if result == "R7" else 40)
    pairs = list(zip(np.ravel(left), np.ravel(right), strict=True))
    assert any(a for a, _ in pairs)
    assert max(abs(a - b) for a, b in pairs) <= (0 if result == "R7" else mpmath.mpf(10) ** -35)


@pytest.mark.parametrize("key", ["many measurements", "completion"])
def test_curvature_bounds_and_constants_of_a_ball_hold(key: str) -> None:
    given = problem(key)
    rng = np.random.default_rng(4)
    hessian, slope = sf.to_jax(sf.hessian(given.objective)), sf.to_jax(sf.gradient(given.objective))
    bounds, ball = sf.curvature_bounds(given.objective), sf.ball_bounds(given.objective, "1/10")
    assert list(bounds) == ["R9(a)", "R9(b)", "R9(c)", "R9(d)", "R9(e)"]
    below, around = ({name: sf.to_jax(bound) for name, bound in found.items()} for found in (bounds, ball))
    for _ in range(2):
        theta = rng.normal(size=given.objective.parameter_count)
        least = np.linalg.eigvalsh(hessian(theta))[0]
        assert all(float(bound(theta)) <= least + 1e-9 for bound in below.values())
        constants = {name: float(bound(theta)) for name, bound in around.items()}
        step = rng.normal(size=len(theta))
        near = theta + step / np.linalg.norm(step) / 10
        eigenvalues = np.linalg.eigvalsh(hessian(near))
        assert np.abs(eigenvalues).max() <= constants["beta"]
        assert -eigenvalues[0] <= constants["m"]
        assert np.linalg.norm(slope(near)) <= constants["gamma"]


def test_what_is_said_of_matrix_data() -> None:
    rows = sf.applicable(problem("completion"))
    assert {r.result for r in rows if r.answer == "applies"} >= {"R1", "R7", "R9", "R10", "R11", "R14"}
    assert rows["R12"].answer == "not applicable"
    assert "matrix data" in rows["R12"].reason
    assert sf.conservation_laws(problem("completion").objective).count == 6


def test_a_problem_survives_its_file(tmp_path: object) -> None:
    for key in DATA:
        given = problem(key, run={"horizon": 1, "dps": 20})
        again = sf.Problem(**given.to_dict())
        assert again.to_dict() == given.to_dict()
        flow = sf.solve_flow(again, horizon="1/2")
        flow.save(f"{tmp_path}/flow.json")
        read = sf.load_trajectory(f"{tmp_path}/flow.json")
        assert bool((read("1/3") == flow("1/3")).all())


def test_a_file_of_arrays_and_a_mask_in_toml(tmp_path: object) -> None:
    np.savez(f"{tmp_path}/A.npz", A=np.array(SENSING, dtype=float) / 3, y=np.arange(6) / 7)
    head = '[network]\nwidths = [2, 3, 2]\nactivation = "linear"\n[init]\nscheme = "gaussian"\n[data]\n'
    (tmp_path / "a.toml").write_text(head + 'sensing = "A.npz"\n')  # type: ignore[operator]
    read = sf.load_problem(f"{tmp_path}/a.toml")
    assert read.matrix_data is not None
    assert read.matrix_data.sensing[0, 0, 0] == Fraction(1 / 3)
    assert read.matrix_data.y[3] == Fraction(3 / 7)
    (tmp_path / "b.toml").write_text(head + "mask = [[1, 0], [1, 1]]\ntarget = [[0.1, 0], [1, 2]]\n")  # type: ignore[operator]
    read = sf.load_problem(f"{tmp_path}/b.toml")
    assert read.matrix_data is not None
    assert read.matrix_data.target[0, 0] == Fraction(1, 10)
    assert repr(read).startswith("Problem('b': fully-connected 2-3-2 linear, square loss, completion of m=3")


@pytest.mark.parametrize("mask", [[[True, False], [True, True]], np.array([[1, 0], [1, 1]]) > 0])
def test_a_mask_may_be_true_and_false(mask: object) -> None:
    data = {"mask": mask, "target": [[1, 2], [3, 4]]}
    read = sf.Problem(network=NETWORK, data=data, init={"scheme": "gaussian"}).matrix_data
    assert read is not None
    assert read.mask.tolist() == [[1, 0], [1, 1]]
    assert read.target.tolist() == [[1, 0], [3, 4]]


@pytest.mark.parametrize("name", ["A.npy", "A.npz"])
def test_another_kind_of_file_is_named_with_the_remedy(tmp_path: Path, name: str) -> None:
    np.save(tmp_path / "A.npy", np.eye(2))
    (tmp_path / "A.npz").write_text("1 0\n0 1\n")
    with pytest.raises(sf.ProblemError, match=r"another kind of file; write one with numpy\.savez"):
        sf.Problem(network=NETWORK, data={"sensing": f"{tmp_path}/{name}"}, init={"scheme": "gaussian"})


REFUSED = {
    "data.x does not go with matrix data": {"x": [[1, 2]], "target": [[1, 0], [0, 1]]},
    "sensing must be m matrices of 2 x 2": {"sensing": [[[1, 2, 3]]], "y": [1]},
    "one value for each of the 1 matrices": {"sensing": [[[1, 2], [3, 4]]], "y": [1, 2]},
    "must have sensing and y, or target": {"mask": [[1, 1], [1, 1]]},
    "at least one observed entry": {"mask": [[0, 0], [0, 0]], "target": [[1, 0], [0, 1]]},
    "mask must have 1": {"mask": [[2, 0], [0, 0]], "target": [[1, 0], [0, 1]]},
    "target must have 2 rows of 2 numbers": {"target": [[1, 0, 1]]},
    "cannot be read": {"sensing": "no-such-file.npz"},
}


@pytest.mark.parametrize("said", REFUSED)
def test_what_is_refused(said: str) -> None:
    with pytest.raises(sf.ProblemError, match=said):
        sf.Problem(network=NETWORK, data=REFUSED[said], init={"scheme": "gaussian"})


def test_other_networks_and_losses_are_refused() -> None:
    data, init = DATA["completion"], {"scheme": "gaussian"}
    with pytest.raises(sf.ProblemError, match="got the activation relu"):
        sf.Problem(network=sf.FullyConnected((2, 3, 2), activation="relu"), data=data, init=init)
    with pytest.raises(sf.ProblemError, match='loss must be "square"'):
        sf.Problem(network=NETWORK, data=data, init=init, loss="logistic")


BITS = 240


def fixed(values: object) -> np.ndarray:
    """Integers that stand for rational numbers times 2^BITS."""
    return np.vectorize(lambda q: int(Fraction(q) * 2**BITS), otypes=[object])(values)


def taylor_flow(weights: list[np.ndarray], key: str, time: Fraction, steps: int, order: int) -> list[np.ndarray]:
    """Gradient flow of two layers by a Taylor method in fixed point: no code of the package."""
    found = measurements(key)

    def slope(product: np.ndarray, constant: bool) -> np.ndarray:
        """The coefficient of grad phi for that of W_2 W_1."""
        total = np.zeros((2, 2), dtype=object)
        for a, y in found:
            total = total + ((a.astype(object) * product).sum() - (int(y * 2**BITS) if constant else 0)) * a.astype(
                object
            )
        return total // len(found)

    h = fixed(time / steps)
    for _ in range(steps):
        series = [[w] for w in weights]
        slopes: list[np.ndarray] = []
        for k in range(order):
            a, b = series
            slopes.append(slope(sum(b[i] @ a[k - i] for i in range(k + 1)) >> BITS, k == 0))
            first = sum(b[i].T @ slopes[k - i] for i in range(k + 1)) >> BITS
            second = sum(slopes[k - i] @ a[i].T for i in range(k + 1)) >> BITS
            a.append(-first // (k + 1))
            b.append(-second // (k + 1))
        weights = []
        for coefficients in series:
            value = coefficients[-1]
            for c in coefficients[-2::-1]:
                value = c + (value * h >> BITS)
            weights.append(value)
    return weights


@pytest.mark.parametrize(("key", "time", "steps"), [("completion", 1, 12), ("many measurements", Fraction(1, 8), 12)])
def test_flow_to_fifty_digits_against_an_independent_taylor_method(key: str, time: Fraction, steps: int) -> None:
    theta = ["1/2", "-1/5", "1/3", 1, "-1/4", "1/6", "2/5", "1/10", 0, "-1/2", 1, "1/8"]
    flow = sf.solve_flow(problem(key, init={"theta": theta}), horizon=time, dps=50)
    start = fixed(theta)
    first, second = taylor_flow([start[:6].reshape(3, 2), start[6:].reshape(2, 3)], key, Fraction(time), steps, 50)
    with mpmath.workdps(70):
        exact = [mpmath.mpf(v) / 2**BITS for v in (*first.flat, *second.flat)]
        assert max(abs(x - y) for x, y in zip(flow.at_end(), exact, strict=True)) < mpmath.mpf(10) ** -50


@pytest.mark.parametrize("missing", [float("nan"), None, np.float64("nan")])
def test_entries_that_are_not_observed_may_be_missing(missing: object) -> None:
    network, init = sf.FullyConnected((2, 2, 2)), {"scheme": "gaussian", "seed": 1}
    mask = [[1, False], [np.True_, 1]]
    found = sf.Problem(network=network, data={"target": [[1, missing], [3, 4]], "mask": mask}, init=init)
    same = sf.Problem(network=network, data={"target": [[1, 7], [3, 4]], "mask": [[1, 0], [1, 1]]}, init=init)
    theta = found.theta0
    assert sf.evaluate_exact(sf.loss(found.objective), theta) == sf.evaluate_exact(sf.loss(same.objective), theta)
    with pytest.raises(sf.ProblemError, match=r"data\.target\[0\]\[1\] must be"):
        sf.Problem(network=network, data={"target": [[1, missing], [3, 4]], "mask": [[1, 1], [1, 0]]}, init=init)


@pytest.mark.parametrize(
    ("options", "named"),
    [({"biases": True}, "biases"), ({"activation": "relu"}, "the activation relu"), ({"skip": [[1, 2]]}, "skip"),
     ({"output_scale": "1/2"}, "output_scale = 1/2")],
)  # fmt: skip
def test_what_matrix_data_do_not_go_with_is_named(options: dict[str, Any], named: str) -> None:
    data = {"target": [[1, 2], [3, 4]]}
    with pytest.raises(sf.ProblemError, match=f"got {named}"):
        sf.Problem(network=sf.FullyConnected((2, 2, 2), **options), data=data, init={"scheme": "gaussian"})
