"""to_jax: float64 whatever the global mode, transformations, data as arguments, and refusals in one line."""

import subprocess
import sys
import warnings
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy

import symflow as sf

RNG = np.random.default_rng(3)
X, Y = RNG.integers(-4, 5, (5, 2)) / 4, RNG.integers(-4, 5, (5, 2)) / 4
OBJECTIVE = sf.network_objective(sf.FullyConnected((2, 3, 2), 1, Fraction(1, 5)), X, Y)
P = 12
THETA, DELTA = RNG.integers(-9, 10, P) / 8, RNG.integers(-9, 10, P) / 8
DERIVED = {
    "loss": sf.loss(OBJECTIVE),
    "gradient": sf.gradient(OBJECTIVE),
    "hessian": sf.hessian(OBJECTIVE),
    "product": sf.hessian_vector_product(OBJECTIVE),
    "third": sf.directional_derivative(OBJECTIVE, 3),
}
COMPILED = {name: sf.to_jax(derived) for name, derived in DERIVED.items()}
LOSS, GRADIENT, HESSIAN = (COMPILED[name] for name in ("loss", "gradient", "hessian"))


def arguments(name: str, theta: np.ndarray = THETA) -> tuple[np.ndarray, ...]:
    return (theta.copy(), DELTA.copy()) if DERIVED[name].directions else (theta.copy(),)


def exact(name: str) -> np.ndarray:
    return np.asarray(sf.evaluate_exact(DERIVED[name], *arguments(name))).astype(float)


@pytest.fixture(autouse=True)
def _flag_is_left_alone():
    before = jax.config.jax_enable_x64
    assert not before
    yield
    assert jax.config.jax_enable_x64 == before


@pytest.mark.parametrize("name", DERIVED)
def test_direct_calls_are_float64_in_float32_mode(name: str) -> None:
    value = COMPILED[name](*arguments(name))
    assert value.dtype == np.float64
    np.testing.assert_allclose(value, exact(name), rtol=1e-13, atol=1e-14)
    single = np.asarray(value, dtype=np.float32)
    assert (np.asarray(value) != single).any()


@pytest.mark.parametrize("name", DERIVED)
def test_jit_and_vmap(name: str) -> None:
    with jax.enable_x64(True):
        batch = [np.stack([v, 2 * v, -v]) for v in arguments(name)]
        values = jax.jit(jax.vmap(COMPILED[name]))(*batch)
        assert values.dtype == np.float64
    np.testing.assert_allclose(values[0], exact(name), rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(values[2], COMPILED[name](*(-v for v in arguments(name))), rtol=1e-13, atol=1e-14)


def test_jax_differentiates_what_symflow_compiles() -> None:
    """grad of the loss is the gradient, of the gradient the Hessian: two differentiators, one answer."""
    with jax.enable_x64(True):
        np.testing.assert_allclose(jax.grad(LOSS)(THETA.copy()), exact("gradient"), rtol=1e-13, atol=1e-14)
        np.testing.assert_allclose(jax.jacfwd(GRADIENT)(THETA.copy()), exact("hessian"), rtol=1e-13, atol=1e-14)
        third = jax.jvp(lambda t: DELTA @ HESSIAN(t) @ DELTA, (THETA.copy(),), (DELTA.copy(),))[1]
    np.testing.assert_allclose(third, exact("third"), rtol=1e-12)


@pytest.mark.parametrize("transform", [jax.grad, jax.jit, lambda f: lambda t: jax.vmap(f)(t[None])])
def test_float32_mode_under_a_transformation_is_refused(transform) -> None:
    with pytest.raises(TypeError, match=r"theta must be float64, got float32.*jax.enable_x64\(True\)") as caught:
        transform(LOSS)(THETA.copy())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("theta", "error", "message"),
    [
        (np.ones(P, np.float32), TypeError, "theta must be float64, got float32"),
        (np.ones(P, int), TypeError, "theta must be float64, got int64"),
        (np.full(P, Fraction(1, 2)), TypeError, "theta must be float64, got object"),
        (np.ones(P - 1), ValueError, r"shape \(12,\), got \(11,\)"),
        (np.ones((2, P)), ValueError, r"shape \(12,\), got \(2, 12\); use vmap"),
        (np.ones((P, 1)), ValueError, r"shape \(12,\), got \(12, 1\)"),
        (1.0, ValueError, r"shape \(12,\), got \(\)"),
    ],
)
def test_wrong_arrays_are_refused_in_one_line(theta, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        LOSS(theta)
    assert "\n" not in str(caught.value)


def test_jnp_arrays_made_in_float32_mode_are_refused() -> None:
    with pytest.raises(TypeError, match="got float32"):
        LOSS(jnp.ones(P))


def test_directions_are_checked_too() -> None:
    with pytest.raises(TypeError, match="takes 2 arguments, got 1"):
        COMPILED["product"](THETA)
    with pytest.raises(TypeError, match="direction must be float64, got float32"):
        COMPILED["product"](THETA, DELTA.astype(np.float32))
    with pytest.raises(ValueError, match="direction must have shape"):
        COMPILED["product"](THETA, DELTA[:3])
    with pytest.raises(TypeError, match="takes 1 arguments, got 2"):
        LOSS(THETA, DELTA)


def test_lists_are_taken_as_float64() -> None:
    assert LOSS(THETA.tolist()) == LOSS(THETA)
    assert LOSS([Fraction(v) for v in THETA]) == LOSS(THETA)


def test_a_plain_array_inside_a_float32_jit_is_still_computed_in_float64() -> None:
    seen = []

    def scaled(s):
        seen.append(LOSS(THETA.copy()))
        return s

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        jax.jit(scaled)(1.0)
    assert seen[0].dtype == np.float64
    assert float(seen[0]) == float(LOSS(THETA))


def test_single_precision_on_request() -> None:
    loss = sf.to_jax(OBJECTIVE, dtype=np.float32)
    value = loss(THETA.astype(np.float32))
    assert value.dtype == np.float32
    np.testing.assert_allclose(value, exact("loss"), rtol=1e-5)
    assert jax.grad(loss)(THETA.astype(np.float32)).dtype == np.float32
    with pytest.raises(TypeError, match=r"theta must be float32, got float64; pass float32 arrays$"):
        loss(THETA)
    with jax.enable_x64(True):
        assert loss(THETA.astype(np.float32)).dtype == np.float32


# Data as arguments --------------------------------------------------------------------------------------------------

LATE = sf.to_jax(DERIVED["gradient"], data="arguments")
DATA = {"X": X.T.copy(), "Y": Y.T.copy()}


def test_data_as_arguments_equal_constants() -> None:
    np.testing.assert_allclose(LATE(THETA, DATA), GRADIENT(THETA), rtol=1e-14)


def test_data_can_be_mapped_over() -> None:
    batch = {name: np.stack([v, v[:, ::-1], 2 * v]) for name, v in DATA.items()}
    with jax.enable_x64(True):
        values = jax.jit(jax.vmap(LATE, (None, 0)))(THETA.copy(), batch)
    doubled = sf.network_objective(OBJECTIVE.network, 2 * X, 2 * Y)
    np.testing.assert_allclose(values[0], exact("gradient"), rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(values[1], exact("gradient"), rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(values[2], sf.to_jax(sf.gradient(doubled))(THETA), rtol=1e-13, atol=1e-14)


def test_data_without_a_fixed_number_of_samples() -> None:
    open_ended = sf.network_objective(OBJECTIVE.network, None, None)
    gradient = sf.to_jax(sf.gradient(open_ended), data="arguments")
    for count in (2, 5):
        data = {"X": X[:count].T, "Y": Y[:count].T, "inverse_samples": 1 / count}
        bound = sf.network_objective(OBJECTIVE.network, X[:count], Y[:count])
        np.testing.assert_allclose(gradient(THETA, data), sf.to_jax(sf.gradient(bound))(THETA), rtol=1e-13)
    with pytest.raises(ValueError, match=r"Y must have shape \(2, 5\), got \(2, 1\)"):
        gradient(THETA, {"X": X.T, "Y": Y[:1].T, "inverse_samples": 0.2})


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"Y": Y[:1].T}, ValueError, r"Y must have shape \(2, 5\), got \(2, 1\)"),
        ({"Y": 0.0}, ValueError, r"Y must have shape \(2, 5\), got \(\)"),
        ({"X": X}, ValueError, r"X must have shape \(2, 5\), got \(5, 2\)"),
        ({"X": X.T.astype(np.float32)}, TypeError, "X must be float64, got float32"),
        ({"Z": X.T}, ValueError, "unknown data 'Z'; this objective takes X, Y"),
    ],
)
def test_wrong_data_are_refused(change, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        LATE(THETA, DATA | change)


def test_missing_data_are_named() -> None:
    with pytest.raises(ValueError, match=r"input Y \(data\) has no value"):
        LATE(THETA, {"X": DATA["X"]})
    half = sf.network_objective(OBJECTIVE.network, X, None)
    with pytest.raises(ValueError, match=r"input Y \(data\) has no value"):
        sf.to_jax(half)(THETA)
    with pytest.raises(TypeError, match="takes 2 arguments, got 1"):
        LATE(THETA)


def test_scalar_expressions() -> None:
    x, y = sympy.symbols("x y")
    expression = sympy.exp(x * y) + sympy.sqrt(y) / x - sympy.sin(x) * sympy.log(y) + sympy.cos(x) ** 3
    objective = sf.expression_objective(expression, [x, y])
    point = [0.75, 1.5]
    at = {x: sympy.Rational(3, 4), y: sympy.Rational(3, 2)}
    expected = [[float(sympy.diff(expression, u, v).evalf(30, subs=at)) for u in (x, y)] for v in (x, y)]
    np.testing.assert_allclose(sf.to_jax(sf.hessian(objective))(point), expected, rtol=1e-13)


def test_import_and_calls_leave_the_global_mode_alone() -> None:
    program = (
        "import jax; import symflow as sf; import numpy as np; f = jax.config.jax_enable_x64\n"
        "g = sf.to_jax(sf.network_objective(sf.FullyConnected((1, 1)), [[1]], [[2]]))\n"
        "g(np.ones(1)); print(f, jax.config.jax_enable_x64, g(np.ones(1)).dtype)"
    )
    completed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert completed.stdout.split() == ["False", "False", "float64"]
