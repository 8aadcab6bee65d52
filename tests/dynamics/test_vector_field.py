"""Vector fields from SymPy expressions, against exact solutions, invariants and SciPy; how they show themselves."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy
from mpmath import mpf
from scipy.integrate import solve_ivp

import symflow as sf
from symflow.dynamics.modified.leading_order import leading_order_field
from symflow.dynamics.vector_field import gradient_flow_field

x, y, z, t = sympy.symbols("x y z t")
LOTKA_VOLTERRA = {x: 2 * x - 2 * x * y, y: -y + x * y}
DIGITS = 40


def end(field: sf.VectorField, start: list[Any], horizon: Any) -> np.ndarray:
    """The solution at the horizon, with an estimate below 10^-DIGITS."""
    found = sf.solve_field(field, start, horizon=horizon, dps=DIGITS)
    assert found.error is not None
    assert found.error.value < mpf(10) ** -DIGITS
    return found.at_end()


def close(found: Any, true: Any) -> bool:
    return bool(abs(found - true) < mpf(10) ** -(DIGITS - 1) * max(1, abs(true)))


@pytest.fixture(autouse=True)
def digits() -> Any:
    with mpmath.workdps(DIGITS + 20):
        yield


EXACT: dict[str, tuple[dict[Any, Any], list[Any], Any, Callable[[mpf], list[mpf]]]] = {
    "logistic": ({x: x * (1 - x)}, ["1/10"], 3, lambda s: [1 / (1 + 9 * mpmath.exp(-s))]),
    "oscillator": (
        {x: 2 * y, y: -2 * x},
        [1, 0],
        "7/2",
        lambda s: [mpmath.cos(2 * s), -mpmath.sin(2 * s)],
    ),
    # y' = y^2 + t^2, y(0) = 0: y = t J_{3/4}(t^2/2) / J_{-1/4}(t^2/2), time as a variable
    "Riccati": (
        {y: y**2 + t**2, t: 1},
        [0, 0],
        "3/2",
        lambda s: [s * mpmath.besselj(mpf(3) / 4, s**2 / 2) / mpmath.besselj(-mpf(1) / 4, s**2 / 2), s],
    ),
    "tangent": ({x: 1 + x**2}, [0], 1, lambda s: [mpmath.tan(s)]),
    "square root": ({x: -sympy.sqrt(x)}, [4], 2, lambda s: [(2 - s / 2) ** 2]),
    "logarithm": ({x: sympy.exp(-x)}, [0], 5, lambda s: [mpmath.log(1 + s)]),
    # x = arsinh(e^s sinh 1) solves x' = tanh x
    "hyperbolic": ({x: sympy.tanh(x)}, [1], 2, lambda s: [mpmath.asinh(mpmath.exp(s) * mpmath.sinh(1))]),
    "sinh": ({x: 1 / sympy.cosh(x), y: sympy.sinh(x)}, [0, 0], 2, lambda s: [mpmath.asinh(s), s**2 / 2]),
    "tan": ({x: 1 / sympy.tan(x)}, [1], "1/2", lambda s: [mpmath.acos(mpmath.cos(1) * mpmath.exp(-s))]),
    # sin, cos of x with x' = 1, and their arctangent
    "arctangent": (
        {x: 1, y: sympy.atan(x)},
        [0, 0],
        2,
        lambda s: [s, s * mpmath.atan(s) - mpmath.log(1 + s**2) / 2],
    ),
    "power": ({x: 1, y: 2**x}, [0, 0], 3, lambda s: [s, (2**s - 1) / mpmath.log(2)]),
    "constants": ({x: sympy.pi, y: sympy.E}, [0, 0], 2, lambda s: [mpmath.pi * s, mpmath.e * s]),
}


@pytest.mark.parametrize("name", EXACT)
def test_fields_with_an_exact_solution(name: str) -> None:
    field, start, horizon, solution = EXACT[name]
    found = end(sf.VectorField(field), start, horizon)
    s = mpf(Fraction(horizon).numerator) / Fraction(horizon).denominator
    assert all(close(a, b) for a, b in zip(found, solution(s), strict=True)), (found, solution(s))


def test_lotka_volterra_conserves_its_invariant() -> None:
    trajectory = sf.solve_field(sf.VectorField(LOTKA_VOLTERRA), [1, 3], horizon=10, dps=DIGITS)

    def invariant(state: np.ndarray) -> mpf:
        a, b = state
        return a - mpmath.log(a) + 2 * b - 2 * mpmath.log(b)

    first = invariant(trajectory(0))
    for at in ("1/3", 4, "11/2", 10):
        assert close(invariant(trajectory(at)), first)
    away = trajectory(4) * (1 + mpf(10) ** -30)
    assert not close(invariant(away), first)  # the invariant can tell


@pytest.mark.parametrize(
    ("field", "start", "horizon"),
    [
        (LOTKA_VOLTERRA, [1, 3], 5.5),
        ({x: y, y: (1 - x**2) * y - x}, [-3, 3], 2.0),
        ({x: 10 * (y - x), y: x * (28 - z) - y, z: x * y - sympy.Rational(8, 3) * z}, [15, 15, 36], 1.0),
        ({x: sympy.sin(x * y) - sympy.log(1 + x**2), y: sympy.exp(-(y**2)) + 1 / (2 + x**2)}, [1.0, -0.5], 3.0),
    ],
)
def test_solutions_against_scipy(field: dict[Any, Any], start: list[Any], horizon: float) -> None:
    values = sympy.lambdify(list(field), list(field.values()), "numpy")
    true = solve_ivp(lambda _, v: values(*v), (0, horizon), start, method="DOP853", rtol=1e-13, atol=1e-13)
    found = sf.solve_field(sf.VectorField(field), start, horizon=horizon, dps=20).numpy(horizon)
    assert np.allclose(found, true.y[:, -1], rtol=1e-9, atol=1e-9)


def test_a_gradient_written_out_is_gradient_flow() -> None:
    f = (x * y - 1) ** 2 / 2 + x**2 / 10
    problem = sf.Problem(objective=sf.expression_objective(f, [x, y]), theta0=["1/2", -1])
    written = sf.VectorField({v: -sympy.diff(f, v) for v in (x, y)})
    flow = sf.solve_flow(problem, horizon=3, dps=DIGITS).at_end()
    assert all(close(a, b) for a, b in zip(end(written, ["1/2", -1], 3), flow, strict=True))


def test_starts_are_read_as_theta0_is() -> None:
    field = sf.VectorField({x: -x})
    root = mpmath.sqrt(2)
    assert close(end(field, [root], 1)[0], root * mpmath.exp(-1))
    assert close(end(field, ["1/3"], 1)[0], mpmath.exp(-1) / 3)
    assert close(end(field, [0.1], 1)[0], mpf(0.1) * mpmath.exp(-1))  # entries of arrays: binary values
    assert close(end(field, np.array([0.5]), 1)[0], mpmath.exp(-1) / 2)


def test_the_two_forms_and_the_order_of_the_variables() -> None:
    a = sf.VectorField([y, -x], [x, y])
    b = sf.VectorField({x: y, y: -x})
    c = sf.VectorField({y: -x, x: y}, [x, y])
    d = sf.VectorField(sympy.Matrix([y, -x]), (x, y))
    for field in (a, b, c, d):
        assert field.names() == ["x", "y"]
        assert field.explicit() == sympy.Matrix([y, -x])
    assert sf.VectorField({y: -x, x: y}).names() == ["y", "x"]


def test_how_a_field_shows_itself() -> None:
    field = sf.VectorField({x: y, y: -sympy.sin(x) / 4})
    assert repr(field) == "<vector field: x' = y, y' = -sin(x)/4>"
    assert (
        field.latex() == "\\begin{aligned}\nx' &= y \\\\\ny' &= - \\frac{\\sin{\\left(x \\right)}}{4}\n\\end{aligned}"
    )
    assert field._repr_latex_() == f"$\\displaystyle {field.latex()}$"
    wide = sf.VectorField({x: sum((x - k) ** k for k in range(2, 12))})
    assert "operations" in repr(wide)
    assert len(repr(wide)) < 200


def test_what_is_printed_is_what_is_evaluated() -> None:
    field = {x: sympy.tanh(x * y) - 2**y, y: sympy.sqrt(1 + x**2) * sympy.tan(y) + sympy.cosh(x) - sympy.atan(x)}
    shown = sf.VectorField(field).explicit()
    for a, b in zip(shown, field.values(), strict=True):
        assert abs(sympy.N((a - b).subs({x: sympy.Rational(3, 7), y: sympy.Rational(-2, 5)}), 40)) < 1e-35


def test_a_flow_of_a_field_is_a_trajectory(tmp_path: Path) -> None:
    field = sf.VectorField(LOTKA_VOLTERRA)
    flow = sf.solve_field(field, [1, 3], horizon=4, dps=30)
    assert [a.shape for a in flow.weights(1)] == [(), ()]
    assert (pickle.loads(pickle.dumps(flow))(1) == flow(1)).all()
    flow.save(tmp_path / "flow.json")
    assert (sf.load_trajectory(tmp_path / "flow.json", field)(1) == flow(1)).all()
    with pytest.raises(sf.ProblemError, match=r"stand-alone objective or field; give objective="):
        sf.load_trajectory(tmp_path / "flow.json")
    labels = [text.get_text() for text in flow.plot().get_legend().get_texts()]
    assert labels == ["x", "y"]


def test_conditions_on_a_field() -> None:
    field = sf.VectorField({x: -x, y: 1})
    found = sf.solve_field(field, [1, 0], horizon=9, dps=DIGITS, stop=sf.stop_when(x - y, 0))
    assert found.stopped is not None
    omega = mpmath.lambertw(1)  # e^-t = t
    assert close(found.stopped.time, omega.real)
    slow = sf.solve_field(sf.VectorField({x: -x}), [1], horizon=9, dps=DIGITS, stop=sf.stop_at_gradient_norm("1/2"))
    assert slow.stopped is not None
    assert close(slow.stopped.time, mpmath.log(2))
    with pytest.raises(sf.ProblemError, match="a vector field from expressions has none"):
        sf.solve_field(field, [1, 0], horizon=9, dps=20, stop=sf.stop_at_loss(1))


def test_what_needs_an_objective_says_so() -> None:
    flow = sf.solve_field(sf.VectorField({x: -x}), [1], horizon=1, dps=15)
    for needs in (lambda: flow.objective, lambda: flow.moves.objective):
        with pytest.raises(sf.ProblemError, match="this needs an objective"):
            needs()
    assert not hasattr(flow, "objective")


def test_a_field_that_blows_up_is_a_typed_stop() -> None:
    with pytest.raises(sf.FlowStopped) as caught:
        sf.solve_field(sf.VectorField({x: x**2}), [1], horizon=2, dps=20)
    assert caught.value.cause == "step-size"
    assert caught.value.trajectory is not None
    assert 0.9 < caught.value.trajectory.end < 1
    with pytest.raises(sf.FlowStopped) as caught:
        sf.solve_field(sf.VectorField({x: -1 / sympy.sqrt(x)}), [1], horizon=2, dps=20)  # x^(3/2) = 1 - 3 t/2


WRONG: list[tuple[Callable[[], Any], str]] = [
    (lambda: sf.VectorField("y"), "the variables of the field are missing"),
    (lambda: sf.VectorField([y, -x]), "the variables of the field are missing"),
    (lambda: sf.VectorField(x * y, [x]), "must be a mapping from variables to expressions"),
    (lambda: sf.VectorField([x], [x, y]), r"as many derivatives as variables \(2: x, y\), got 1"),
    (lambda: sf.VectorField([x, y], [x, x]), "different names, got x, x"),
    (lambda: sf.VectorField({"x": x}), "must be SymPy symbols, got"),
    (lambda: sf.VectorField({}), "must be SymPy symbols"),
    (lambda: sf.VectorField({x: y}), "the derivative of x may contain only the variables x, got y; substitute"),
    (lambda: sf.VectorField({x: x}, [x, y]), "one derivative for each of the variables x, y, got those of x"),
    (lambda: sf.VectorField({x: "x"}), "must be a SymPy expression, got 'x'; text is never evaluated"),
    (lambda: sf.VectorField({x: x > 1}), "must be a SymPy expression, got x > 1"),
    (lambda: sf.VectorField({x: None}), "must be a SymPy expression, got"),
    (lambda: sf.VectorField({x: sympy.I * x}), r"must be real, got I\*x"),
    (lambda: sf.VectorField({x: sympy.sqrt(-2)}), "must be real, got"),
    (lambda: sf.VectorField({x: 1 / sympy.Integer(0)}), "must be finite, got zoo"),
    (lambda: sf.VectorField({x: sympy.Abs(x)}), r"the derivative of x: cannot turn Abs\(x\) into a program: sums"),
    (lambda: sf.VectorField({x: sympy.EulerGamma}), "cannot turn EulerGamma into a program"),
    (lambda: sf.solve_field({x: x}, [1], horizon=1, dps=15), "field must be a VectorField, got"),  # type: ignore[arg-type]
    (lambda: sf.solve_field(sf.VectorField({x: x}), [1, 2], horizon=1, dps=15), "start must have the 1 entries"),
    (lambda: sf.solve_field(sf.VectorField({x: x}), ["y"], horizon=1, dps=15), r"start\[0\] must be a number"),
    (lambda: sf.solve_field(sf.VectorField({x: x}), 1, horizon=1, dps=15), "start must be a list of numbers"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("make", "message"), WRONG)
def test_wrong_input_is_one_clear_line(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(sf.ProblemError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_the_jacobian_is_the_matrix_of_derivatives() -> None:
    field = {x: x * y**2 + sympy.sin(z), y: sympy.exp(x * z) / (1 + y**2), z: sympy.Rational(1, 3) * z**3 - x}
    jacobian = sf.jacobian(sf.VectorField(field)).explicit()
    true = sympy.Matrix(list(field.values())).jacobian([x, y, z])
    assert (jacobian - true).applyfunc(sympy.simplify) == sympy.zeros(3, 3)


def test_the_jacobian_of_gradient_flow_is_minus_the_hessian() -> None:
    network = sf.FullyConnected((2, 2, 1), activation="linear")
    objective = sf.network_objective(network, [[1, 0], [0, 1]], [1, -1])
    hessian = sf.hessian(objective).explicit()
    assert (sf.jacobian(gradient_flow_field(objective)).explicit() + hessian).expand() == sympy.zeros(6, 6)
    # theta' = -g, e' = -H e - (1/2) H g: the derivative in e is -H, that of theta' in e vanishes
    extended = sf.jacobian(leading_order_field(objective)).explicit()
    assert (extended[6:, 6:] + hessian).expand() == sympy.zeros(6, 6)
    assert extended[:6, 6:] == sympy.zeros(6, 6)
