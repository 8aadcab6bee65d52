"""Smooth activations in every arithmetic: against plain JAX, mpmath, SymPy, and their own limits."""

from __future__ import annotations

from collections import Counter
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any

import jax
import mpmath
import numpy as np
import pytest
import sympy
from hypothesis import HealthCheck, Phase, example, given, settings
from mpmath import mpf
from plain_networks import ACTIVATIONS, BENT, LOSSES, MISH, SMOOTH, Case, Z, cases
from test_architectures import agree, check

import symflow as sf
from symflow.evaluate.numpy_batches import evaluate_points
from symflow.networks.activations import as_activation
from symflow.programs.nodes import FUNCTIONS, Input
from symflow.programs.rules.elementwise import Map

TABLE = Path(__file__).parent.parent / "studies" / "smooth_activations.md"
NAMED = [name for name in SMOOTH if isinstance(name, str)]
PLAIN_MPMATH = {
    "tanh": mpmath.tanh,
    "sigmoid": lambda z: 1 / (1 + mpmath.exp(-z)),
    "softplus": lambda z: mpmath.log1p(mpmath.exp(z)),
    "gelu": lambda z: z * mpmath.erfc(-z / mpmath.sqrt(2)) / 2,
    "gelu-tanh": lambda z: z / (1 + mpmath.exp(-2 * mpmath.sqrt(2 / mpmath.pi) * (z + mpf("0.044715") * z**3))),
    "silu": lambda z: z / (1 + mpmath.exp(-z)),
}
SIGMA = {
    "tanh": sympy.tanh(Z),
    "sigmoid": 1 / (1 + sympy.exp(-Z)),
    "softplus": sympy.log(1 + sympy.exp(Z)),
    "gelu": Z * (1 + sympy.erf(Z / sympy.sqrt(2))) / 2,
    "gelu-tanh": Z / (1 + sympy.exp(-2 * sympy.sqrt(2 / sympy.pi) * (Z + sympy.Rational(44715, 10**6) * Z**3))),
    "silu": Z / (1 + sympy.exp(-Z)),
}


def one_unit(activation: Any) -> sf.Objective:
    """f = W_2 sigma(W_1): the loss p of one sample, so that its derivatives in W_1 are those of sigma."""
    p, y = sympy.symbols("p y")
    loss = sf.expression_loss(p, p, y, convex=True)
    return sf.network_objective(sf.FullyConnected((1, 1, 1), activation=activation), [1], [0], loss)


# Derivatives ----------------------------------------------------------------------------------------------------------


POOLED = (sf.Convolution(2, (2,)), sf.Pool("average", (2,), (1,)), sf.Dense(2))
MIXED = {"activation": ["tanh", "gelu"], "biases": True, "skip": [[1, 2]], "diagonal": [2], "output_scale": "1/3"}


@settings(deadline=None, phases=[Phase.explicit])
@given(cases(list(SMOOTH)))
@example(Case(sf.FullyConnected((2, 3, 3, 1), **MIXED), "logistic", 3, 1))
@example(Case(sf.Convolutional((1, 4), POOLED, activation="softplus", biases=True), "cross-entropy", 2, 2))
@example(Case(sf.FullyConnected((1, 2, 2), activation=MISH), "pseudo-huber", 2, 3))
def test_derivatives_of_smooth_networks(case: Case) -> None:
    check(case)


COUNTED: Counter[tuple[str, ...]] = Counter()
OPTIONS = ("biases", "skip", "diagonal", "output scale", "activations by layers")


def counted(case: Case) -> None:
    """Puts down what a case has."""
    network, sigma = case.network, case.network.sigma
    each = {sigma.at(j) for j in range(1, network.depth)} or {sigma}
    names = {s.name if s.name != "expression" else f"${s.latex}$" for s in each}
    has = (any(network.biases), network.skip, network.diagonal, network.output_scale != 1, len(each) > 1)
    COUNTED.update({(name, what) for name in names for what in (case.loss, network.kind)})
    COUNTED.update({(what, network.kind) for what, there in zip(OPTIONS, has, strict=True) if there})
    COUNTED["all", network.kind] += 1


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(cases([*SMOOTH, *ACTIVATIONS], optional=True))
def study(case: Case) -> None:
    check(case)
    counted(case)


@pytest.mark.thorough
def test_derivatives_of_many_smooth_networks() -> None:
    COUNTED.clear()
    study()
    kinds = ("fully-connected", "convolutional")
    sigmas = sorted({key[0] for key in COUNTED} - {*OPTIONS, "all"})
    total = sum(COUNTED["all", kind] for kind in kinds)
    lines = [
        "# Derivatives of random networks",
        "",
        f"{total} networks drawn by hypothesis (`tests/evaluate/test_smooth_activations.py`), {date.today()}, symflow "
        f"{sf.__version__}, jax {jax.__version__}: loss, gradient, Hessian, Hessian-vector product and the derivatives "
        "of order 1 to 4 along a direction agree with `jax.grad`, `jax.hessian` and nested `jax.jvp` of a loss written "
        "by hand, to 2e-12 of the largest entry. How many of each; a network may have several activations:",
        "",
        f"| activation | {' | '.join(LOSSES)} | fully connected | convolutional |",
        "|" + "---|" * (len(LOSSES) + 3),
        *(f"| {s} | {' | '.join(str(COUNTED[s, what]) for what in (*LOSSES, *kinds))} |" for s in sigmas),
        "",
        "| option | fully connected | convolutional |",
        "|---|---|---|",
        *(f"| {what} | {' | '.join(str(COUNTED[what, kind]) for kind in kinds)} |" for what in OPTIONS),
    ]
    TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_the_check_sees_a_wrong_activation() -> None:
    """Negative control: the tanh form of GELU is 1e-4 from GELU."""
    exact, other = (Case(sf.FullyConnected((2, 3, 1), activation=s), "square", 3, 1) for s in ("gelu", "gelu-tanh"))
    theta = exact.arrays[2]
    with jax.enable_x64(True):
        agree(sf.to_jax(exact.objective)(theta), exact.plain()(theta), "loss")
        with pytest.raises(AssertionError):
            agree(sf.to_jax(exact.objective)(theta), other.plain()(theta), "loss")


@pytest.mark.parametrize(
    "activation", [pytest.param(s, marks=pytest.mark.thorough) if s == "gelu-tanh" else s for s in NAMED]
)
def test_explicit_formulas_are_those_of_sympy(activation: str) -> None:
    """The difference from SymPy's own derivatives of a loss written by hand is exactly 0."""
    objective = one_unit(activation)
    a, b = sorted(sf.loss(objective).explicit().free_symbols, key=str)
    expected = b * SIGMA[activation].subs(Z, a)
    for derived, wanted in (
        (sf.loss(objective), [expected]),
        (sf.gradient(objective), [expected.diff(a), expected.diff(b)]),
        (sf.hessian(objective), [expected.diff(u, v) for u in (a, b) for v in (a, b)]),
    ):
        found = sympy.Matrix([derived.explicit()])
        for mine, theirs in zip(found, wanted, strict=True):
            assert sympy.simplify((mine - theirs).rewrite(sympy.exp).subs({a: 2, b: 3})) == 0


# Float64 --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", [*NAMED, MISH, BENT])
def test_derivatives_are_finite_however_large_z_is(activation: Any) -> None:
    objective = one_unit(activation)
    forms = [sf.to_jax(sf.directional_derivative(objective, k)) for k in range(1, 5)]
    value, direction = sf.to_jax(objective), np.array([1.0, 0.0])
    points = np.array([-1e8, -1e3, -745.2, -40.0, -1e-300, 0.0, 1e-300, 40.0, 709.9, 1e3, 1e8])

    def everything(z: Any) -> Any:
        theta = jax.numpy.stack([z, jax.numpy.ones_like(z)])
        by_jax = jax.grad(value)(theta)[0]
        return jax.numpy.stack([by_jax, value(theta), *(form(theta, direction) for form in forms)])

    with jax.enable_x64(True):
        found = np.asarray(jax.jit(jax.vmap(everything))(points))
    assert np.isfinite(found).all()
    assert np.allclose(found[:, 0], found[:, 2], rtol=1e-9, atol=1e-14)
    assert np.abs(found[np.abs(points) >= 1e3, 3:]).max() < 1e-6


@pytest.mark.parametrize("activation", NAMED)
def test_tails_keep_their_digits(activation: str) -> None:
    """Relative accuracy of sigma in float64 by JAX and by NumPy, and in balls, far below 0 too."""
    objective = one_unit(activation)
    points = np.concatenate([-np.geomspace(1e-6, 36, 60), np.geomspace(1e-6, 700, 60)])
    if activation == "gelu-tanh":
        points = points[points > -16]  # e^-720 at -20
    theta = np.stack([points, np.ones_like(points)], axis=1)
    with jax.enable_x64(True):
        by_jax = np.asarray(jax.vmap(sf.to_jax(objective))(theta))
    by_numpy = evaluate_points(objective, objective.program, theta)["f"]
    with mpmath.workdps(40):
        truth = [PLAIN_MPMATH[activation](mpf(float(z))) for z in points]
        for values in (by_jax, by_numpy):
            relative = [abs(mpf(float(v)) / t - 1) for v, t in zip(values, truth, strict=True)]
            assert max(relative) < 1e-12
        for z, t in zip(points[::10], truth[::10], strict=True):
            found = sf.evaluate_balls(sf.loss(objective), [float(z), 1], dps=30)
            assert found.lower <= t <= found.upper
            assert found.radius < abs(t) * mpf(10) ** -25


# Other arithmetics ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", [*NAMED, MISH])
def test_every_interpreter(activation: Any) -> None:
    case = Case(sf.FullyConnected((2, 2, 1), activation=activation), "square", 2, 3)
    objective, theta = case.objective, case.arrays[2]
    slope = sf.gradient(objective)
    with jax.enable_x64(True):
        truth = np.asarray(jax.jit(sf.to_jax(slope))(theta))
        many = np.asarray(jax.vmap(sf.to_jax(slope))(np.stack([theta, theta])))
        plain = np.asarray(jax.grad(case.plain())(theta))
    precise = sf.evaluate_mpmath(slope, theta, dps=60)
    agree(truth, plain, "jax")
    agree(many[1], plain, "vmap")
    agree(np.asarray(precise, dtype=float), plain, "mpmath")
    enclosed = sf.evaluate_balls(slope, theta, dps=40)
    assert all(a <= v <= b for a, v, b in zip(enclosed.lower, precise, enclosed.upper, strict=True))
    wide = sf.evaluate_balls(slope, theta, radius="1/10", dps=20)
    assert all(a <= v <= b for a, v, b in zip(wide.lower, precise, wide.upper, strict=True))
    with pytest.raises(TypeError, match="is not available in this arithmetic"):
        sf.evaluate_exact(slope, theta)
    names: dict[str, Any] = {}
    exec(slope.source(), names)
    inputs = {x.name: np.asarray(a, dtype=float) for x, a in objective.data.items()}
    inputs |= {w.name: v for w, v in objective.cut(theta).items()}
    given = [inputs[x.name] for x in slope.program.inputs]
    agree(np.concatenate([np.ravel(v) for v in names["evaluate"](*given, np).values()]), plain, "source")
    assert r"\nabla_{W_{1}} f" in slope.latex()


def test_new_functions_enclose_and_integrate_their_series() -> None:
    """u'(x) of the record is the derivative of u, for the records that activations are made of."""
    x = Input("x", (), "data", "x")
    with mpmath.workdps(60):
        for name in ("tanh", "erf", "erf_slope", "normal_cdf", "normal_density", "sigmoid", "softplus"):
            record = FUNCTIONS[name]
            slope = sympy.diff(record.known("sympy", "")(Z), Z)
            node = Map(name, x, None).derivative()
            program = sf.Objective(sf.Program((x,), {"f": node}), (x,))
            for point in (Fraction(-7, 3), Fraction(0), Fraction(5, 4)):
                value = sf.evaluate_mpmath(sf.loss(program), [point], dps=50)
                wanted = slope.subs(Z, sympy.Rational(point.numerator, point.denominator)).evalf(60)
                assert abs(value - mpf(str(wanted))) < mpf(10) ** -48, name


# An activation of one's own -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "phrase"),
    [
        (abs(Z), "must be smooth, and Abs(z) is not"),
        (sympy.Max(0, Z), "must be smooth, and Max(0, z) is not"),
        (sympy.Piecewise((Z, Z > 0), (0, True)), "must be smooth, and Piecewise"),
        (sympy.sqrt(sympy.Symbol("t") ** 2), "must be smooth, and Abs(z) is not"),
        (sympy.cbrt(Z), "must be smooth, and z**(1/3) is not"),
        (1 / Z, "must be smooth, and 1/z is not"),
        (sympy.log(Z), "must be smooth, and log(z) is not"),
        (sympy.besselj(0, Z), "cannot turn besselj(0, z) into a program"),
        (Z * sympy.Symbol("c"), "must have one free symbol, got c, z"),
        (sympy.Integer(1), "must have one free symbol, got none"),
        (sympy.Symbol("z", positive=True) ** 2, "must be a function of any real number"),
    ],
)
def test_an_expression_that_is_not_an_activation(given: sympy.Expr, phrase: str) -> None:
    with pytest.raises(sf.ProblemError) as refused:
        sf.FullyConnected((1, 2, 1), activation=given)
    assert phrase in str(refused.value)
    assert "\n" not in str(refused.value)


def test_text_is_not_an_activation() -> None:
    for call in (lambda: sf.ExpressionActivation("z*tanh(z)"), lambda: as_activation("z*tanh(z)", 1, 1)):  # type: ignore[arg-type]
        with pytest.raises(sf.ProblemError):
            call()


def test_own_activation_equals_the_named_one() -> None:
    """A symbol of any name; the same gradient as the named activation to the last digits."""
    t = sympy.Symbol("t")
    x, y = [[1, 2], [3, -1]], [1, 0]
    for name in ("tanh", "softplus", "silu", "gelu"):
        networks = [sf.FullyConnected((2, 2, 1), activation=s) for s in (name, SIGMA[name].subs(Z, t))]
        values = [
            sf.evaluate_mpmath(sf.gradient(sf.network_objective(n, x, y)), ["1/3", "-1/5", 1, 2, "1/7", -1], dps=50)
            for n in networks
        ]
        assert max(abs(a - b) for a, b in zip(*values, strict=True)) < mpf(10) ** -47
    assert networks[1].activation == "expression"


DATA: dict[str, Any] = {"data": {"x": [[1, 2], [3, -1]], "y": [1, 0]}, "init": {"scheme": "gaussian", "seed": 1}}


@pytest.mark.parametrize(
    "network",
    [
        {"widths": [2, 2, 1], "activation": "expression", "expression": "z*tanh(z) + erf(z/3)"},
        {"widths": [2, 2, 2, 1], "activation": ["gelu-tanh", {"kind": "expression", "expression": "log(1 + exp(z))"}]},
        {"widths": [2, 2, 2, 1], "activation": "silu", "biases": True},
    ],
)
def test_problem_files_name_smooth_activations(network: dict[str, Any]) -> None:
    problem = sf.Problem(network=network, **DATA)
    assert sf.Problem(**problem.to_dict()).network == problem.network
    table = problem.to_dict()["network"]
    assert {key: table[key] for key in network if key not in ("expression", "activation")} == {
        key: value for key, value in network.items() if key not in ("expression", "activation")
    }


@pytest.mark.parametrize(
    ("keys", "phrase"),
    [
        ({"activation": "expression", "expression": "abs(z)"}, "network.expression may contain only sums"),
        ({"activation": "expression", "expression": "z**(1/3)"}, "must be smooth, and z**(1/3) is not"),
        ({"activation": "expression", "expression": "__import__('os')"}, "network.expression may contain only sums"),
        ({"activation": "expression", "expression": "2"}, "must have one free symbol, got none"),
        ({"activation": "expression"}, "network.expression is missing"),
        ({"activation": "tanh", "expression": "z"}, 'goes with activation = "expression", got "tanh"'),
        ({"activation": "tanh", "slope": "1/2"}, 'goes with activation = "leaky-relu", got "tanh"'),
        ({"activation": [{"kind": "expression", "expression": "x"}]}, "network.activation[0].expression may contain"),
    ],
)
def test_problem_files_that_are_wrong_about_it(keys: dict[str, Any], phrase: str) -> None:
    with pytest.raises(sf.ProblemError) as refused:
        sf.Problem(network={"widths": [2, 2, 1], **keys}, **DATA)
    assert phrase in str(refused.value)
    assert "\n" not in str(refused.value)
