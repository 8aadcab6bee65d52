"""Curvature bounds against the true spectrum: random points, adversarial ascent, layers, flows, balls."""

from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy
from statement_cases import CONVOLUTIONAL, FULLY_CONNECTED, LINEAR, NETWORKS, objective, point

import symflow as sf
from symflow.derivatives.derived import Derived
from symflow.evaluate.interpret import interpret
from symflow.evaluate.object_arrays import EXACT, mpmath_arithmetic
from symflow.networks.layer_matrices import layer_constant, layer_matrix, pooling_norm
from symflow.networks.layers.layer import overlap
from symflow.programs.nodes import Const
from symflow.programs.program import Program, substitute
from symflow.theory.statement import Model

LADDERS = (
    ("R9(a)", "R9(b)", "R9(c)", "R9(d)", "R9(e)"),
    ("R12", "R12(c)", "R12(e)"),
    ("R13(kappa)", "R13"),
)
OTHER_LOSSES = (
    ("linear-3", "logistic"),
    ("linear-4", "cross-entropy"),
    ("relu-3", "cross-entropy"),
    ("steep-4", "exponential"),
    ("max", "logistic"),
)
FAST = ("linear-3", "relu-3", "average")
"""Compiled once, for the ordinary tests."""
CASES = [*((name, "square") for name in NETWORKS), *OTHER_LOSSES]


def batched(function: Callable) -> Callable:
    """A function of many points, 64 at once.

    XLA 0.10 on two cores stops for ever now and then where several LAPACK calls over thousands of matrices meet.
    """
    return jax.jit(lambda *points: jax.lax.map(lambda at: function(*at), points, batch_size=64))


@lru_cache(maxsize=64)
def compiled(name: str, loss: str) -> tuple[tuple[str, ...], Callable, Callable]:
    """Names of the bounds, all of them as one function of many theta, and the smallest eigenvalue."""
    o = objective(name, loss)
    bounds = sf.curvature_bounds(o)
    with jax.enable_x64(True):
        functions, hessian = [sf.to_jax(b) for b in bounds.values()], sf.to_jax(sf.hessian(o))
        together = batched(lambda theta: jnp.stack([f(theta) for f in functions]))
        truth = batched(lambda theta: jnp.linalg.eigvalsh(hessian(theta))[jnp.array([0, -1])])
    return tuple(bounds), together, truth


def points(name: str, count: int, seed: int) -> np.ndarray:
    """Gaussian weights of several sizes, some layers much larger than others."""
    rng = np.random.default_rng(seed)
    o = objective(name)
    sizes = np.exp(rng.normal(scale=0.7, size=(count, len(o.parameters))))
    layers = [rng.normal(size=(count, w.stop - w.start)) for w, _ in o.slices()]
    return np.concatenate([s[:, None] * w for s, w in zip(sizes.T, layers, strict=True)], axis=1)


def relative_excess(name: str, loss: str, count: int, seed: int = 0) -> np.ndarray:
    """bound - lambda_min, divided by the larger of ||H|| and the weakest bound, for every point and bound."""
    _, bounds, truth = compiled(name, loss)
    theta = points(name, count, seed)
    with jax.enable_x64(True):
        found, spectrum = np.asarray(bounds(theta)), np.asarray(truth(theta))
    size = np.abs(spectrum).max(axis=1, keepdims=True)
    kept = (size < 1e100)[:, 0]  # the exponential loss overflows at large weights
    assert kept.mean() > 0.9
    assert np.isfinite(found[kept]).all()
    # H may be 0 (dead units), and 1 - p of a saturated softmax is only good to 1e-16: rounding is relative to the
    # products of norms in the weakest bound, not to H (in 60 digits the bounds hold there).
    return np.asarray((found - spectrum[:, :1])[kept] / np.maximum(np.maximum(size, -found[:, :1]), 1e-200)[kept])


def check_random(name: str, loss: str, count: int, seed: int = 0) -> None:
    names, bounds, _ = compiled(name, loss)
    assert relative_excess(name, loss, count, seed).max() < 1e-12
    with jax.enable_x64(True):
        found = dict(zip(names, np.asarray(bounds(points(name, count, seed))).T, strict=True))
    for ladder in LADDERS:
        for lower, higher in pairwise(x for x in ladder if x in found):
            kept = np.isfinite(found[lower]) & np.isfinite(found[higher])
            low, high = found[lower][kept], found[higher][kept]
            assert (low <= high + 1e-12 * np.abs(low)).all(), (lower, higher)


@pytest.mark.parametrize("name", FAST)
def test_bounds_hold_and_are_ordered(name: str) -> None:
    check_random(name, "square", 8 * 64)


@pytest.mark.thorough
@pytest.mark.parametrize(("name", "loss"), CASES)
def test_bounds_hold_and_are_ordered_thoroughly(name: str, loss: str) -> None:
    check_random(name, loss, 100 * 64, seed=1)


def test_which_bounds_there_are() -> None:
    assert tuple(sf.curvature_bounds(objective("linear-3"))) == (*LADDERS[0], *LADDERS[1])
    assert tuple(sf.curvature_bounds(objective("relu-3"))) == LADDERS[1]
    assert tuple(sf.curvature_bounds(objective("max"))) == LADDERS[2]


def test_the_statement_has_both_sides_as_programs() -> None:
    """lambda_min(H), assembled from blocks inside the program, is the eigenvalue of sf.hessian."""
    for name in ("linear-3", "relu-3", "average"):
        o = objective(name)
        result = "R13" if name == "average" else "R12"
        left, _ = sf.statement(result).instantiate(o).evaluate("", point(o), dps=20)
        h = sf.evaluate_mpmath(sf.hessian(o), point(o), dps=20).astype(float)
        assert abs(float(left[0][()]) - np.linalg.eigvalsh(h)[0]) < 1e-11 * np.abs(h).max()


def test_mpmath_agrees_with_jax() -> None:
    for name in FAST:
        o = objective(name)
        _, bounds, _ = compiled(name, "square")
        with jax.enable_x64(True):
            found = np.asarray(bounds(np.repeat(point(o).astype(float)[None], 31 * 64, axis=0)))[0]
        for value, b in zip(found, sf.curvature_bounds(o).values(), strict=True):
            exact = float(sf.evaluate_mpmath(b, point(o), dps=30))
            assert abs(float(value) - exact) < 1e-12 * abs(exact)


def test_records_say_what_they_are() -> None:
    bounds = sf.curvature_bounds(objective("linear-3"))
    b = bounds["R9(a)"]
    assert b.citation == sf.cite("R9")
    assert b.status == "holds"
    assert r"-2 \|\nabla\varphi\|_F \max_{|J|=1}" in b.latex()
    assert r"\widetilde M" not in bounds["R9(c)"].latex()
    assert "R9(a)" in repr(b)
    gated = sf.curvature_bounds(objective("relu-3"))["R12"]
    assert gated.status == "unchecked"  # theta on no kink
    assert {v.status for v in gated.verdicts} == {"holds", "unchecked"}


def test_a_loss_that_is_not_known_to_be_convex_has_no_bound() -> None:
    p, y = sympy.symbols("p y", real=True)
    rows = np.array([[Fraction(1), Fraction(2)]])
    network = sf.FullyConnected((2, 2, 2))
    bent = sf.expression_loss(sympy.cos(p - y), p, y)
    with pytest.raises(sf.ProblemError, match="not known to be convex"):
        sf.curvature_bounds(sf.network_objective(network, rows, rows, bent))
    declared = sf.expression_loss(sympy.log(1 + sympy.exp(p - y)) + sympy.exp(y - p), p, y, convex=True)
    bounds = sf.curvature_bounds(sf.network_objective(network, rows, rows, declared))
    assert bounds["R9(e)"].status == ("holds" if declared.convexity == "proved" else "declared")


# Adversarial: gradient ascent on bound - truth ---------------------------------------------------------------------


def ascend(name: str, count: int, steps: int, seed: int = 0, keys: tuple[str, ...] = ()) -> float:
    """The largest (bound - lambda_min) / ||H|| that normalized gradient ascent finds, over the bounds `keys` or all."""
    o = objective(name)
    bounds = sf.curvature_bounds(o)
    functions, hessian = [sf.to_jax(bounds[key]) for key in keys or bounds], sf.to_jax(sf.hessian(o))

    def gap(theta: jax.Array, which: jax.Array) -> jax.Array:
        spectrum = jnp.linalg.eigvalsh(hessian(theta))
        bounds = jnp.stack([f(theta) for f in functions])
        return (bounds[which] - spectrum[0]) / jnp.maximum(-spectrum[0], spectrum[-1])

    def climb(theta: jax.Array, which: jax.Array) -> jax.Array:
        def step(carry: tuple, k: jax.Array) -> tuple:
            at, best = carry
            value, slope = jax.value_and_grad(gap)(at, which)
            slope = jnp.nan_to_num(slope)
            size = 0.3 * 0.02 ** (k / steps)
            moved = at + size * jnp.linalg.norm(at) * slope / (jnp.linalg.norm(slope) + 1e-30)
            return (moved, jnp.maximum(best, jnp.nan_to_num(value, nan=-1.0))), None

        (last, best), _ = jax.lax.scan(step, (theta, jnp.asarray(-1.0)), jnp.arange(steps))
        return jnp.maximum(best, jnp.nan_to_num(gap(last, which), nan=-1.0))

    with jax.enable_x64(True):
        start = jnp.asarray(points(name, count, seed))
        which = jnp.arange(count) % len(functions)
        return float(jnp.max(batched(climb)(start, which)))


def test_ascent_finds_no_violation() -> None:
    """R9(e), the sharpest; the others are below it."""
    assert ascend("linear-3", 64, 40, keys=("R9(e)",)) < 1e-10


@pytest.mark.thorough
@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "linear-1"])
def test_ascent_finds_no_violation_thoroughly(name: str) -> None:
    assert ascend(name, 192, 300, seed=3) < 1e-10


# Layers of convolutional networks -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_layer_matrices_and_constants(name: str) -> None:
    """The matrix of a layer maps its inputs to its outputs exactly, and its norm is at most kappa_j ||w_j||."""
    o = objective(name)
    network = o.network
    assert isinstance(network, sf.Convolutional)
    model = Model(o)
    for j in range(1, network.depth + 1):
        layer = model.forward.layers[j - 1]
        outputs = {"a": layer.inputs, "z": layer.outputs, "m": layer_matrix(network, model.forward, j)}
        bound = {**o.data, **o.cut(point(o))}
        found = interpret(Program(o.program.inputs, outputs), bound, EXACT)
        a, z = (found[key].reshape(-1, found[key].shape[-1]) for key in "az")
        assert np.array_equal(found["m"].dot(a), z)
        constant = interpret(Program((), {"k": layer_constant(network, j)}), {}, mpmath_arithmetic())["k"]
        weight = np.linalg.norm(bound[o.parameters[j - 1]].astype(float))
        assert np.linalg.norm(found["m"].astype(float), 2) <= float(constant[()]) * weight * (1 + 1e-12)


@pytest.mark.parametrize(
    ("size", "stride"), [((2,), (2,)), ((3,), (1,)), ((3,), (2,)), ((2, 2), (1, 1)), ((3, 2), (2, 1))]
)
def test_pooling_norms(size: tuple[int, ...], stride: tuple[int, ...]) -> None:
    """Average pooling as a matrix has norm at most sqrt(overlap / window), equal where windows do not overlap."""
    extents = (7,) if len(size) == 1 else (5, 5)
    network = sf.Convolutional((1, *extents), (sf.Pool("average", size, stride), sf.Dense(1)))
    table = network.table(0)
    windows = np.array(table.index).reshape(int(np.prod(size)), -1)
    matrix = np.zeros((windows.shape[1], int(np.prod(extents))))
    for pixels in windows:
        matrix[np.arange(len(pixels)), pixels] += 1 / len(windows)
    found = float(interpret(Program((), {"p": pooling_norm(network)}), {}, mpmath_arithmetic())["p"][()])
    true = np.linalg.norm(matrix, 2)
    assert true <= found * (1 + 1e-12) <= 1 + 1e-12
    assert overlap(table) <= int(np.prod([-(-k // s) for k, s in zip(size, stride, strict=True)]))
    if overlap(table) == 1:
        assert abs(true - found) < 1e-14


# R11 along gradient flow ----------------------------------------------------------------------------------------------


def flow_violation(name: str, label: str, scale: float) -> float:
    """The largest (bound - lambda_min) / ||H|| along flow from weights of Frobenius norm `scale`, 16 starts."""
    o = objective(name)
    instance = sf.statement("R11").instantiate(o)
    program = instance.program(label, "right")
    epsilon = next(x for x in program.inputs if x.name == "epsilon")
    value = Const(Fraction(scale).limit_denominator(10**6), ())
    bound = sf.to_jax(Derived("R11", o, substitute(program, {epsilon: value}), "scalar"))
    hessian, field = sf.to_jax(sf.hessian(o)), sf.to_jax(sf.gradient_flow(o))

    def along(theta: jax.Array) -> jax.Array:
        def step(at: jax.Array, _: None) -> tuple:
            h = 0.02
            a = field(at)
            b = field(at + h / 2 * a)
            c = field(at + h / 2 * b)
            after = at + h / 6 * (a + 2 * b + 2 * c + field(at + h * c))
            spectrum = jnp.linalg.eigvalsh(hessian(at))
            return after, (bound(at) - spectrum[0]) / jnp.maximum(-spectrum[0], spectrum[-1])

        return jnp.max(jax.lax.scan(step, theta, None, length=400)[1])

    starts = points(name, 16, 9)
    for where, _ in o.slices():
        starts[:, where] *= scale / np.linalg.norm(starts[:, where], axis=1, keepdims=True)
    with jax.enable_x64(True):
        return float(jnp.max(jax.jit(jax.vmap(along))(jnp.asarray(starts))))


@pytest.mark.parametrize(("name", "label"), [("linear-3", "linear"), ("relu-3", "gated")])
def test_r11_holds_along_flow_from_small_weights(name: str, label: str) -> None:
    assert flow_violation(name, label, 0.5) < 1e-9


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "label"),
    [("linear-6", "linear"), ("steep-4", "gated"), ("average", "convolutional"), ("max", "convolutional")],
)
@pytest.mark.parametrize("scale", [0.2, 0.8])
def test_r11_holds_along_flow_thoroughly(name: str, label: str, scale: float) -> None:
    assert flow_violation(name, label, scale) < 1e-9


# beta, gamma and m on balls -----------------------------------------------------------------------------------------


def ball_ratios(name: str, loss: str, radius: Fraction, centres: int, tries: int, climb: int) -> dict[str, float]:
    """The largest truth / bound over points of balls, random or after `climb` steps of ascent, for m, beta, gamma."""
    o = objective(name, loss)
    bounds = sf.ball_bounds(o, radius)
    hessian, gradient = sf.to_jax(sf.hessian(o)), sf.to_jax(sf.gradient(o))
    functions = {key: sf.to_jax(b) for key, b in bounds.items()}
    rng = np.random.default_rng(4)
    middle = points(name, centres, 5) / 2
    steps = rng.normal(size=(tries, centres, middle.shape[1]))
    steps *= float(radius) / np.linalg.norm(steps, axis=2, keepdims=True)

    def truth(theta: jax.Array) -> jax.Array:
        spectrum = jnp.linalg.eigvalsh(hessian(theta))
        size = jnp.maximum(-spectrum[0], spectrum[-1])
        return jnp.stack([-spectrum[0], size, jnp.linalg.norm(gradient(theta))])

    def climbed(theta: jax.Array, start: jax.Array, key: int) -> jax.Array:
        def step(at: jax.Array, _: None) -> tuple:
            slope = jnp.nan_to_num(jax.grad(lambda q: truth(q)[key])(at))
            moved = at + 0.2 * radius_ * slope / (jnp.linalg.norm(slope) + 1e-30) - theta
            return theta + moved * jnp.minimum(1, radius_ / jnp.linalg.norm(moved)), None

        return truth(jax.lax.scan(step, theta + start, None, length=climb)[0])[key]

    radius_ = float(radius)
    result = {}
    with jax.enable_x64(True):
        centre, start = (jnp.asarray(a.reshape(tries * centres, -1)) for a in np.broadcast_arrays(middle, steps))
        limits = {key: np.asarray(batched(f)(jnp.asarray(middle))) for key, f in functions.items()}
        for position, key in enumerate(("m", "beta", "gamma")):
            if climb:
                found = np.asarray(batched(lambda t, s, p=position: climbed(t, s, p))(centre, start))
            elif position == 0:
                everything = np.asarray(batched(truth)(centre + start))
            if not climb:
                found = everything[:, position]
            found = found.reshape(tries, centres)
            largest = found.max(axis=0)
            assert (largest <= limits[key] * (1 + 1e-12) + 1e-12).all(), (key, largest, limits[key])
            result[key] = float((largest / np.maximum(limits[key], 1e-12)).max())
    return result


def test_ball_bounds_hold() -> None:
    ratios = ball_ratios("linear-3", "square", Fraction(1, 2), 64, 20, 0)
    assert all(0.02 < ratio <= 1 for ratio in ratios.values()), ratios


@pytest.mark.thorough
@pytest.mark.parametrize("radius", [Fraction(1, 100), Fraction(1, 2), Fraction(3)])
@pytest.mark.parametrize(
    ("name", "loss"),
    [*((name, "square") for name in FULLY_CONNECTED), ("linear-3", "logistic"), ("relu-3", "cross-entropy")],
)
def test_ball_bounds_hold_thoroughly(name: str, loss: str, radius: Fraction) -> None:
    assert set(ball_ratios(name, loss, radius, 64, 4, 30)) == {"m", "beta", "gamma"}


def test_ball_bounds_are_the_bounds_at_the_point_for_radius_zero() -> None:
    for name in LINEAR:
        o = objective(name)
        ball = sf.ball_bounds(o, 0)
        d = sf.evaluate_mpmath(sf.curvature_bounds(o)["R9(d)"], point(o))
        assert abs(sf.evaluate_mpmath(ball["m"], point(o)) + d) <= 1e-40 * abs(d)


def test_the_growth_of_products_is_exact_for_equal_norms() -> None:
    """s = 2 for all five layers: the supremum of the product is (2 + eps/sqrt 5)^5."""
    o = sf.network_objective(sf.FullyConnected((1,) * 6), np.array([[Fraction(1)]]), np.array([[Fraction(0)]]))
    gamma = float(sf.evaluate_mpmath(sf.ball_bounds(o, 1)["gamma"], [2] * 5))
    slope, others = (2 + 5**-0.5) ** 5, (2 + 4**-0.5) ** 4
    assert abs(gamma - slope * 5**0.5 * others) < 1e-9 * gamma
    truth = (2 + 5**-0.5) ** 9 * 5**0.5  # ||g|| where every weight is 2 + 1/sqrt 5
    assert truth <= gamma < 1.2 * truth
    assert 2**5 * 5**0.5 * others < truth  # with grad phi taken at the centre the bound is false


def test_balls_refuse_what_they_do_not_cover() -> None:
    with pytest.raises(sf.ProblemError, match="no bound on the second derivative"):
        sf.ball_bounds(objective("steep-4", "exponential"), 1)
    with pytest.raises(sf.ProblemError, match="fully connected"):
        sf.ball_bounds(objective("average"), 1)
    with pytest.raises(sf.ProblemError, match="supremum"):
        sf.statement("R4").instantiate(objective("linear-3")).program("linear, m", "left")
