"""All losses, activations and architectures: derivatives against JAX's own of a loss written by hand."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import jax
import mpmath
import numpy as np
import pytest
import sympy
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from plain_networks import LOSSES, Case, cases

import symflow as sf
from symflow.evaluate.interpret import interpret
from symflow.evaluate.numpy_batches import evaluate_points
from symflow.evaluate.object_arrays import EXACT
from symflow.programs.program import Program

TOLERANCE, NESTED = 2e-12, 1e-9
"""Of derivatives, and of the fourth ones of JAX, by forward mode in itself: rounding costs it digits (6e-11 seen where
ours was right to 5e-14). Ours are compared with their own values in 30 digits too."""
QUICKLY: dict[str, bool | int | str] = {
    "xla_backend_optimization_level": 0,
    "xla_llvm_disable_expensive_passes": True,
}
"""Each function is called once: what the compiler gains is less than what it costs."""


def on_a_kink(case: Case, objective: sf.Objective) -> bool:
    """Whether some gate's pre-activation is zero: there both conventions are arbitrary."""
    theta = np.array([Fraction(float(v)) for v in case.arrays[2]], dtype=object)
    program = Program(objective.program.inputs, {str(i): g.z for i, g in enumerate(objective.gates)})
    if case.network.sigma.slopes is not None:
        values = interpret(program, {**objective.data, **objective.cut(theta)}, EXACT)
        return any((v == 0).any() for v in values.values())
    close = evaluate_points(objective, program, theta.astype(float)[None])
    return any((np.abs(v) < 1e-9).any() for v in close.values())


def agree(mine: Any, theirs: Any, what: str, tolerance: float = TOLERANCE) -> None:
    mine, theirs = np.asarray(mine), np.asarray(theirs)
    assert mine.dtype == np.float64
    scale = max(1.0, float(np.abs(theirs).max(initial=0.0)))
    assert np.abs(mine - theirs).max(initial=0.0) <= tolerance * scale, what


def check(case: Case) -> None:
    """Everything in one compilation for each side."""
    objective = case.objective
    assume(not on_a_kink(case, objective))
    f = case.plain()
    _, _, theta, direction = case.arrays
    forms = [sf.to_jax(sf.directional_derivative(objective, order)) for order in range(1, 5)]
    one = {"loss": sf.to_jax(objective), "gradient": sf.to_jax(sf.gradient(objective))}
    product, dense = sf.to_jax(sf.hessian_vector_product(objective)), len(theta) <= 40
    if dense:
        one["hessian"] = sf.to_jax(sf.hessian(objective))

    def mine(theta: Any, direction: Any) -> dict[str, Any]:
        found = {name: g(theta) for name, g in one.items()} | {"product": product(theta, direction)}
        return found | {f"order {k}": form(theta, direction) for k, form in enumerate(forms, 1)}

    def theirs(theta: Any, direction: Any) -> dict[str, Any]:
        g, along = jax.grad(f), f
        found = {"loss": f(theta), "gradient": g(theta), "product": jax.jvp(g, (theta,), (direction,))[1]}
        if dense:
            found["hessian"] = jax.hessian(f)(theta)
        for k in range(1, 5):
            along = _derivative(along, direction)
            found[f"order {k}"] = along(theta)
        return found

    with jax.enable_x64(True):
        ours, plain = (jax.jit(f, compiler_options=QUICKLY)(theta, direction) for f in (mine, theirs))
    assert ours.keys() == plain.keys()
    for name, value in ours.items():
        agree(value, plain[name], name, NESTED if name == "order 4" else TOLERANCE)
    point, way = ([mpmath.mpf(v) for v in a.tolist()] for a in (theta, direction))
    exact = sf.evaluate_mpmath(sf.directional_derivative(objective, 4), point, way, dps=30)
    agree(ours["order 4"], np.asarray(exact, dtype=np.float64), "order 4 in digits")


def _derivative(f: Any, direction: np.ndarray) -> Any:
    return lambda theta: jax.jvp(f, (theta,), (direction,))[1]


@settings(max_examples=6, deadline=None, derandomize=True)
@given(cases())
def test_derivatives_of_every_network_and_loss(case: Case) -> None:
    check(case)


@pytest.mark.thorough
@settings(max_examples=300, deadline=None)
@given(cases())
def test_derivatives_of_many_networks_and_losses(case: Case) -> None:
    check(case)


def test_the_check_sees_a_wrong_stride() -> None:
    """Negative control: the oracle with another network refutes."""
    right = sf.Convolutional((1, 5), (sf.Convolution(2, (2,), (1,), (0,)), sf.Pool("max", (2,), (2,)), sf.Dense(1)))
    wrong = sf.Convolutional((1, 5), (sf.Convolution(2, (2,), (1,), (0,)), sf.Pool("average", (2,), (2,)), sf.Dense(1)))
    case = Case(right, "square", 3, 1)
    with jax.enable_x64(True):
        theirs = Case(wrong, "square", 3, 1).plain()(case.arrays[2])
        with pytest.raises(AssertionError):
            agree(sf.to_jax(case.objective)(case.arrays[2]), theirs, "loss")


@pytest.mark.parametrize("loss", LOSSES)
def test_multiprecision_values_agree_with_float64(loss: str) -> None:
    case = Case(sf.FullyConnected((2, 3, 1), Fraction(1), Fraction(0)), loss, 3, 7)
    objective, theta = case.objective, case.arrays[2]
    with jax.enable_x64(True):
        for derived in (sf.loss(objective), sf.gradient(objective), sf.hessian(objective)):
            precise = sf.evaluate_mpmath(derived, theta, dps=40)
            agree(sf.to_jax(derived)(theta), np.asarray(precise, dtype=np.float64), f"{loss} {derived.kind}")


@pytest.mark.parametrize("loss", ["logistic", "exponential", "cross-entropy", "quartic", "pseudo-huber"])
@pytest.mark.parametrize("kind", ["fully-connected", pytest.param("convolutional", marks=pytest.mark.thorough)])
def test_expansions_have_exactly_the_derivatives_of_the_expression(loss: str, kind: str) -> None:
    """SymPy's own scalar diff of the expanded loss; the difference is exactly zero."""
    outputs = 2 if loss == "cross-entropy" else 1
    network: Any = sf.FullyConnected((1, 1, outputs))
    if kind == "convolutional":
        parts = (sf.Convolution(1, (2,), (1,), (0,)), sf.Pool("average", (2,), (1,)), sf.Dense(outputs))
        network = sf.Convolutional((1, 3), parts)
    objective = Case(network, loss, 1, 5).objective
    f = sf.loss(objective).explicit()
    symbols = sorted(f.free_symbols, key=str)
    assert len(symbols) == objective.parameter_count
    hessian = sf.hessian(objective).explicit()
    point = {s: sympy.Rational(i + 1, 7) for i, s in enumerate(symbols)}
    for i, a in enumerate(symbols):
        for j, b in enumerate(symbols):
            difference = (hessian[i, j] - f.diff(a, b)).subs(point)
            assert sympy.simplify(difference) == 0


@pytest.mark.parametrize("size", [1e3, 1e6, 1e300])
@pytest.mark.parametrize("loss", ["logistic", "cross-entropy"])
def test_saturated_losses_neither_overflow_nor_lose_their_value(loss: str, size: float) -> None:
    """log-sum-exp of logits +-size: the loss is 0 or 2 size to rounding, its derivatives are finite."""
    outputs = 1 if loss == "logistic" else 2
    y = np.array([[1], [-1]]) if outputs == 1 else np.array([[1, 0], [0, 1]])
    objective = sf.network_objective(sf.FullyConnected((1, outputs)), np.ones((2, 1)), y, sf.Loss(loss))  # type: ignore[arg-type]
    theta = np.array([size] if outputs == 1 else [size / 2, -size / 2])
    expected = size / 2
    with jax.enable_x64(True):
        value = float(sf.to_jax(objective)(theta))
        derivatives = [sf.to_jax(d(objective))(theta) for d in (sf.gradient, sf.hessian)]
    assert value == pytest.approx(expected, rel=1e-15)
    assert all(np.isfinite(np.asarray(d)).all() for d in derivatives)
    assert np.abs(np.asarray(derivatives[1])).max() <= 1e-300 or size < 1e3
    with mpmath.workdps(30):
        precise = sf.evaluate_mpmath(sf.loss(objective), [mpmath.mpf(v) for v in theta], dps=30)
        assert abs(precise - mpmath.mpf(size) / 2) <= mpmath.mpf(size) * mpmath.mpf(10) ** -25


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31))
def test_max_pooling_is_the_maximum_whatever_the_window(seed: int) -> None:
    rng = np.random.default_rng(seed)
    size = tuple(int(k) for k in rng.integers(1, 5, size=2))
    stride = tuple(int(s) for s in rng.integers(1, 3, size=2))
    network = sf.Convolutional((2, 5, 4), (sf.Pool("max", size, stride), sf.Dense(1)))
    theta = np.ones(sum(int(np.prod(s)) for s in network.shapes))
    x = rng.integers(-3, 4, size=(2, 40)).astype(float)
    objective = sf.network_objective(network, x, np.zeros((2, 1)))
    value = sf.evaluate_exact(sf.loss(objective), theta)
    total = Fraction(0)
    for image in x.reshape(2, 2, 5, 4):
        h = sum(
            int(image[c, r : r + size[0], q : q + size[1]].max())
            for c in range(2)
            for r in range(0, 5 - size[0] + 1, stride[0])
            for q in range(0, 4 - size[1] + 1, stride[1])
        )
        total += Fraction(h * h, 2)
    assert value == total / 2


@pytest.mark.parametrize(
    "pixels", [[1, 1], [0, 1, 1, 0], [1, 0, 1], [0, 0, 2, 1, 2, 2], [1, 1, 1, 1, 1], [0, 2, 0, 2, 2, 1, 2]]
)
def test_ties_of_max_pooling_go_to_the_first_entry(pixels: list[int]) -> None:
    """With a second channel that numbers the pixels, the gradient of the mixing weight tells which entry was taken.

    h = v max_p(w_1 x_p + w_2 p) at w_2 = 0: dh/dw_2 = v p for the entry p that the tie goes to.
    """
    size = len(pixels)
    parts = (sf.Convolution(1, (1,), (1,), (0,)), sf.Pool("max", (size,), (1,)), sf.Dense(1))
    data = np.array([[*pixels, *range(size)]])
    objective = sf.network_objective(sf.Convolutional((2, size), parts), data, np.array([[-1]]))
    g = sf.evaluate_exact(sf.gradient(objective), [1, 0, 1])
    residual = max(pixels) + 1
    assert g[1] == residual * pixels.index(max(pixels))
