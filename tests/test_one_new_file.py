"""A new loss, activation, layer kind, elementwise function, interpreter, bound or method of descent is one file.

A dummy of each is defined here as a file would define it, put into its registry, and works end to end; what it does not
say is refused in one line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy
from mpmath import mpf

import symflow as sf
from symflow.analysis.bounds import Bound, BoundSeries, Comparison
from symflow.dynamics.method import Arrays, Setting, share_below_one, times
from symflow.dynamics.methods import METHODS
from symflow.evaluate.interpret import interpret
from symflow.latex.definitions import loss_latex, network_latex
from symflow.networks.activations import ACTIVATIONS, Activation, ActivationKind
from symflow.networks.layers import LAYERS, Layer, LayerKind
from symflow.networks.layers.layer import Windows, overlap
from symflow.networks.losses import LOSSES, LossKind
from symflow.networks.losses.kind import total
from symflow.programs.nodes import FUNCTIONS, Const, Node, Table, add, einsum, gather, hadamard, power
from symflow.programs.program import shape_of
from symflow.programs.rules.arithmetic import Arithmetic
from symflow.programs.rules.elementwise import Elementwise, monotone_error

W = sympy.symbols("w0:4", real=True)
HALF = Fraction(1, 2)


def works(objective: sf.Objective, plain: Any, theta: Sequence[Fraction]) -> None:
    """Gradient and Hessian in every arithmetic against SymPy's derivatives of a loss written by hand; flow; LaTeX."""
    w = W[: objective.parameter_count]
    at = dict(zip(w, map(sympy.Rational, theta), strict=True))
    slope = [sympy.diff(plain, v) for v in w]
    expected = np.array([float(s.subs(at)) for s in slope])
    bent = np.array([[float(sympy.diff(s, v).subs(at)) for v in w] for s in slope])
    floats = np.array(theta, dtype=float)
    assert np.allclose(sf.to_jax(sf.hessian(objective))(floats), bent, rtol=1e-11)
    with mpmath.workdps(60):
        digits = sf.evaluate_mpmath(sf.gradient(objective), theta, dps=40)
        assert max(abs(a - mpf(str(s.subs(at).evalf(60)))) for a, s in zip(digits, slope, strict=True)) < mpf(10) ** -37
    flow = sf.solve_flow(sf.Problem(objective=objective, theta0=theta), horizon="1/10", dps=20)
    assert flow.error_estimate < mpf(10) ** -20
    h = Fraction(1, 10**4)  # theta(h) = theta - h grad f + O(h^2), with the next coefficient H grad f / 2
    second = np.array(flow(h), dtype=float) - (floats - float(h) * expected + float(h) ** 2 / 2 * bent @ expected)
    assert np.abs(second).max() < 1e-9
    for derived in (sf.gradient(objective), sf.hessian(objective)):
        assert derived.latex().startswith(r"\begin{aligned}")
        assert "xp" in derived.source()


def one_line(call: Callable[[], Any], kind: type[Exception], *phrases: str) -> None:
    """The call is refused in one line with these phrases."""
    with pytest.raises(kind) as refused:
        call()
    assert "\n" not in str(refused.value)
    for phrase in phrases:
        assert phrase in str(refused.value)


# A loss ---------------------------------------------------------------------------------------------------------------


def root(p: Node, y: Node, _: sympy.Expr | None) -> Node:
    """The sum of sqrt(1 + (p - y)^2)."""
    residual = add([(1, p), (-1, y)])
    return total(power(add([(1, hadamard(residual, residual)), (1, Const(Fraction(1), p.axes))]), HALF))


ROOT = LossKind("root", root, lambda _: r"\sqrt{1 + (\hat y - y)^2}", convex=True, nonnegative=True, residual=True)


def test_a_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LOSSES, "root", ROOT)
    theta = [Fraction(3, 4), Fraction(-2, 3)]
    tables: dict[str, Any] = {"network": {"widths": [1, 1, 1], "activation": "linear"}, "loss": {"kind": "root"}}
    problem = sf.Problem(**tables, data={"x": [1, 2], "y": [3, "1/2"]}, init={"theta": theta})
    plain = sum(sympy.sqrt(1 + (W[0] * W[1] * x - y) ** 2) for x, y in ((1, 3), (2, sympy.Rational(1, 2)))) / 2
    works(problem.objective, plain, theta)
    assert problem.to_dict()["loss"] == {"kind": "root"}
    same = sf.network_objective(sf.FullyConnected((1, 1, 1)), [1, 2], [3, "1/2"], loss="root")
    assert sf.evaluate_mpmath(sf.loss(same), theta) == sf.evaluate_mpmath(sf.loss(problem.objective), theta)
    assert r"\sqrt{1 + (\hat y - y)^2}" in loss_latex(sf.Loss("root"))
    assert sf.Loss("root").convexity == "proved"
    one_line(lambda: sf.Loss("rood"), sf.ProblemError, "one of square", "root")
    tables["loss"] = "rood"
    data = {"x": [1, 2], "y": [3, 1]}
    one_line(lambda: sf.Problem(**tables, data=data, init={"theta": theta}), sf.ProblemError, 'did you mean "root"')


# An activation --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Squareplus(Activation):
    """sigma(z) = (z + sqrt(z^2 + c)) / 2."""

    c: Fraction

    name = "squareplus"
    latex = r"\tfrac12 (z + \sqrt{z^2 + c})"

    @property
    def settings(self) -> Mapping[str, Fraction]:  # type: ignore[override]
        return {"slope": self.c}

    def apply(self, z: Node, layer: int, names: dict[Node, str]) -> Node:
        bent = power(add([(1, hadamard(z, z)), (1, Const(self.c, z.axes))]), HALF)
        a = add([(HALF, z), (HALF, bent)])
        names |= {z: f"Z_{{{layer}}}", a: f"A_{{{layer}}}"}
        return a


def test_an_activation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ACTIVATIONS, "squareplus", ActivationKind(("slope",), lambda c: Squareplus(Fraction(c))))
    theta = [Fraction(3, 4), Fraction(-2, 3), Fraction(1, 2)]
    network = {"widths": [1, 1, 1, 1], "activation": "squareplus", "slope": "1/4"}
    problem = sf.Problem(network=network, data={"x": [1, 2], "y": [3, 1]}, init={"theta": theta})

    def sigma(z: Any) -> Any:
        return (z + sympy.sqrt(z**2 + sympy.Rational(1, 4))) / 2

    plain = sum((W[2] * sigma(W[1] * sigma(W[0] * x)) - y) ** 2 for x, y in ((1, 3), (2, 1))) / 4
    works(problem.objective, plain, theta)
    assert problem.to_dict()["network"]["slope"] == "1/4"
    assert sf.FullyConnected((1, 1, 1, 1), activation=("squareplus", "1/4")) == problem.network
    assert problem.network is not None
    assert r"\sqrt{z^2 + c}" in network_latex(problem.network)
    assert problem.objective.network is None  # no result on homogeneous networks applies
    assert "squareplus is not homogeneous" in problem.objective.no_network
    one_line(
        lambda: sf.FullyConnected((1, 1), activation="squareplus"), sf.ProblemError, "squareplus goes with 1 settings"
    )
    assert sf.FullyConnected((2, 3, 1), activation="relu") == sf.FullyConnected((2, 3, 1), 1, 0)


# A layer kind ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SumPool(Layer):
    """The sum of windows without overlap."""

    size: tuple[int, ...]

    name = "sum-pool"
    weighted = False

    @property
    def windows(self) -> Windows:  # type: ignore[override]
        return Windows(self.size, self.size, (0,) * len(self.size))

    def apply(self, a: Node, w: Node | None, table: Table | None, number: int) -> Node:
        assert table is not None
        return einsum((gather(a, table, 1),), ((0, 1, 2, 3),), (0, 2, 3))

    def norm_square(self, table: Table | None) -> Fraction:
        assert table is not None
        return Fraction(overlap(table) * shape_of(table.targets)[0])


def test_a_layer_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LAYERS, "sum-pool", LayerKind(("size",), (), SumPool))
    layers = [
        {"kind": "convolution", "channels": 1, "kernel": 2},
        {"kind": "sum-pool", "size": 2},
        {"kind": "dense", "width": 1},
    ]
    theta = [Fraction(3, 4), Fraction(-2, 3), Fraction(1, 2), Fraction(-1, 4)]
    network = {"kind": "convolutional", "input": [1, 5], "layers": layers, "activation": "linear"}
    x = [[1, 2, 3, 0, -1], [0, 1, 1, 2, 5]]
    z = [[W[0] * row[i] + W[1] * row[i + 1] for i in range(4)] for row in x]
    # Pixels after the pool: z_0 + z_1, z_2 + z_3, each with a weight of the dense layer.
    problem = sf.Problem(network=network, data={"x": x, "y": [3, 1]}, init={"theta": theta})
    plain = sum((W[2] * (a + b) + W[3] * (c + d) - y) ** 2 for (a, b, c, d), y in zip(z, (3, 1), strict=True)) / 4
    objective = problem.objective
    one_line(lambda: sf.gradient(objective).latex(), TypeError, "no notation for a sum-pool")
    monkeypatch.setattr(SumPool, "notation", (r"\operatorname{sum}", "sums over windows of size"))
    assert r"\operatorname{sum}_{2}" in network_latex(objective.network)  # type: ignore[arg-type]
    works(objective, plain, theta)
    assert r"A_{2} &= \operatorname{sum}_{2}(W_{1} \mathcal{P}_{1}(X))" in sf.gradient(objective).latex()
    assert r"R &= W_{2} \operatorname{vec}(A_{2}) - Y" in sf.gradient(objective).latex()
    assert problem.to_dict()["network"]["layers"][1] == {"kind": "sum-pool", "size": [2]}


# An elementwise function ----------------------------------------------------------------------------------------------

ASINH = Elementwise(
    "asinh",
    derivative=lambda x, y: power(add([(1, Const(Fraction(1), x.axes)), (1, hadamard(x, x))]), -HALF),
    mpmath=mpmath.asinh,
    numpy=np.arcsinh,
    jax=lambda jax, x: jax.numpy.arcsinh(x),
    sympy=sympy.asinh,
    source="xp.arcsinh({0})",
)


def test_an_elementwise_function(monkeypatch: pytest.MonkeyPatch) -> None:
    u, v = W[:2]
    plain = (sympy.asinh(u * v) - sympy.Rational(1, 3)) ** 2 + u * sympy.asinh(2 * v)
    one_line(lambda: sf.expression_objective(sympy.asinh(u), (u,)), ValueError, "sin, cos", "are supported")
    monkeypatch.setitem(FUNCTIONS, "asinh", ASINH)
    objective = sf.expression_objective(plain, (u, v))
    theta = [Fraction(3, 4), Fraction(-2, 3)]
    works(objective, plain, theta)
    assert r"\asinh" in sf.gradient(objective).latex()
    assert sf.gradient(objective).explicit().applyfunc(sympy.simplify) == sympy.Matrix(
        [sympy.diff(plain, u), sympy.diff(plain, v)]
    ).applyfunc(sympy.simplify)
    written = sympy.log(u + sympy.sqrt(u**2 + 1))
    objectives = [sf.expression_objective(e, (u,)) for e in (sympy.asinh(u), written)]
    problems = [sf.Problem(objective=o, theta0=["1/2"]) for o in objectives]
    one, other = (sf.solve_flow(problem, horizon=2, dps=30)(2)[0] for problem in problems)
    with mpmath.workdps(40):
        assert abs(one - other) < mpf(10) ** -30


def test_an_elementwise_function_in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FUNCTIONS, "asinh", ASINH)
    problem = sf.Problem(objective=sf.expression_objective(sympy.asinh(W[0]), W[:1]), theta0=["1/2"])
    one_line(lambda: sf.solve_flow_float64(problem, horizon=2), TypeError, "'asinh'", "the entry 'error'")
    monkeypatch.setitem(FUNCTIONS, "asinh", replace(ASINH, error=monotone_error))
    problem = sf.Problem(objective=sf.expression_objective(sympy.asinh(W[0]), W[:1]), theta0=["1/2"])
    digits = sf.solve_flow(problem, horizon=2, dps=20)
    assert abs(float(digits(2)[0]) - sf.solve_flow_float64(problem, horizon=2)(2)[0]) < 1e-8


def test_what_a_record_lacks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    bare = Elementwise("asinh", sympy=sympy.asinh, jax=ASINH.jax)
    monkeypatch.setitem(FUNCTIONS, "asinh", bare)
    objective = sf.expression_objective(sympy.asinh(W[0]), W[:1])
    assert np.isclose(sf.to_jax(objective)(np.array([0.5])), np.arcsinh(0.5))
    one_line(lambda: sf.gradient(objective), TypeError, "'asinh' is not available in derivatives", "'derivative'")
    one_line(lambda: sf.evaluate_mpmath(sf.loss(objective), ["1/2"]), TypeError, "'asinh'", "the entry 'mpmath'")
    one_line(lambda: sf.loss(objective).source(), TypeError, "'asinh'", "the entry 'source'")
    monkeypatch.setitem(FUNCTIONS, "asinh", Elementwise("asinh", ASINH.derivative, sympy=sympy.asinh, jax=ASINH.jax))
    objective = sf.expression_objective(sympy.asinh(W[0]), W[:1])
    problem = sf.Problem(objective=objective, theta0=["1/2"])
    one_line(lambda: sf.solve_flow(problem, horizon=1, dps=20), TypeError, "'asinh' is not available in", "'mpmath'")


# An interpreter -------------------------------------------------------------------------------------------------------


class ComplexArithmetic(Arithmetic):
    """complex128 arrays: the imaginary part of f(theta + i h v) / h is a derivative without cancellation."""

    def constant(self, value: Fraction, shape: tuple[int, ...]) -> Any:
        return np.full(shape, complex(value))

    def combine(self, coefficients: Sequence[Fraction], arrays: Sequence[Any]) -> Any:
        return sum(float(c) * a for c, a in zip(coefficients, arrays, strict=True))

    def einsum(self, subscripts: str, arrays: Sequence[Any]) -> Any:
        return np.einsum(subscripts, *arrays)

    def broadcast(self, array: Any, positions: Sequence[int], shape: tuple[int, ...]) -> Any:
        return np.broadcast_to(np.expand_dims(array, tuple(positions)), shape)

    def log_sum_exp(self, x: Any, position: int) -> Any:
        return np.log(np.exp(x).sum(axis=position))


def test_an_interpreter() -> None:
    network = sf.FullyConnected((2, 2, 2))
    objective = sf.network_objective(network, [[1, 2], [3, -1]], [[1, 0], [0, 1]], loss="cross-entropy")
    theta = np.array([0.3, -0.2, 0.5, 0.1, 0.7, -0.4, 0.2, 0.6])
    data = {x: a.astype(complex) for x, a in objective.data.items()}
    expected = np.asarray(sf.to_jax(sf.gradient(objective))(theta))
    for k in range(8):
        moved = theta + 1e-30j * np.eye(8)[k]
        found = interpret(objective.program, data | objective.cut(moved), ComplexArithmetic())["f"]
        assert np.isclose(found.imag / 1e-30, expected[k], rtol=1e-13)
    kinked = sf.network_objective(sf.FullyConnected((2, 2, 2), activation="relu"), [[1, 2], [3, -1]], [[1, 0], [0, 1]])
    values = {x: a.astype(complex) for x, a in kinked.data.items()} | kinked.cut(theta.astype(complex))
    one_line(lambda: interpret(kinked.program, values, ComplexArithmetic()), TypeError, "ComplexArithmetic", "'gate'")


# A bound --------------------------------------------------------------------------------------------------------------


def path_length(run: Comparison) -> BoundSeries:
    """||theta_k - theta(t)|| <= ||theta_k - theta_0|| + sqrt(t (f(0) - f(t))), by the triangle inequality and R1."""
    losses = [sf.evaluate_mpmath(sf.loss(run.objective), run.flow(t)) for t in run.exact_times]
    moved = np.linalg.norm(run.descent - run.descent[0], axis=1)
    lengths = [mpmath.sqrt(float(t) * (losses[0] - f)) for t, f in zip(run.exact_times, losses, strict=True)]
    values = tuple(mpf(a) + b for a, b in zip(moved, lengths, strict=True))
    return BoundSeries("length", "bound", "sampled", values, None)


DISTANCE, MOVED, TIME, DROP = sympy.symbols("d m t Delta_f", nonnegative=True)
LENGTH = Bound(
    name="length",
    result="R1",
    kind="bound",
    title="no further than both have moved",
    formula=sympy.Le(DISTANCE, MOVED + sympy.sqrt(TIME * DROP)),
    hypotheses=(),
    compute=path_length,
    needs_descent=True,
)


def test_a_bound() -> None:
    problem = sf.Problem(
        network=sf.FullyConnected((1, 1, 1)), data={"x": [1], "y": [1]}, init={"theta": ["1/2", 1]}, run={"dps": 20}
    )
    dev = sf.deviation(problem, step_size="1/10", horizon=1, bounds=[*sf.known_bounds("R22"), LENGTH])
    assert all(b >= v for b, v in zip(dev.bounds["length"].values, dev.values, strict=True))
    assert dev.bounds["length"].values[-1] > 5 * dev.bounds["R22"].values[-1]
    row = next(r for r in sf.tightness(problem, step_size="1/10", horizon=1, bounds=[LENGTH]).rows)
    assert (row.name, row.until_end) == ("length", True)
    assert LENGTH.latex() == r"d \leq \sqrt{\Delta_{f}} \sqrt{t} + m"
    assert LENGTH.citation is not None
    ax = dev.plot()
    assert "bound length" in [text.get_text() for text in ax.get_legend().get_texts()]
    with pytest.raises(sf.ProblemError, match="a bound is evaluated on a comparison"):
        LENGTH.evaluate(problem)


# A method of descent --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class Averaged(sf.Method):
    """v_{k+1} = m v_k - (1 - m) eta grad f(theta_k), theta_{k+1} = theta_k + v_{k+1}: the mean of past gradients."""

    momentum: Setting = Setting(share_below_one)
    name = "averaged gradients"
    carries = ("velocity",)
    speed = Fraction(1)

    def step(self, now: Arrays, gradient: Node, step_size: Node) -> Arrays:
        velocity = add([(self.momentum, now["velocity"]), (self.momentum - 1, times(step_size, gradient))])
        return {"theta": add([(1, now["theta"]), (1, velocity)]), "velocity": velocity}


def test_a_method(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(METHODS, "averaged", Averaged)
    tables: dict[str, Any] = {
        "network": {"widths": [1, 1], "activation": "linear"},
        "data": {"x": [1], "y": [0]},
        "init": {"theta": [1]},
        "run": {"step_size": "1/50", "horizon": 1, "dps": 20},
    }
    problem = sf.Problem(**tables, descent={"method": "averaged", "momentum": "1/2"})
    assert problem.to_dict()["descent"] == {"method": "averaged", "momentum": "1/2"}
    theta, v = Fraction(1), Fraction(0)  # f = theta^2 / 2
    for _ in range(50):
        v = v / 2 - theta / 100
        theta += v
    exact, digits, fast = (sf.descend(problem, steps=50, dps=dps) for dps in ("exact", 20, None))  # type: ignore[arg-type]
    assert (exact.iterates[-1][0], exact.velocity[-1][0]) == (theta, v)
    assert digits.error is not None
    assert digits.error.how == "certified"
    for run in (digits, fast):
        assert abs(float(run.iterates[-1][0]) - float(theta)) < 1e-15
    digits.save(tmp_path / "run.json")
    assert sf.load_trajectory(tmp_path / "run.json").method == Averaged("1/2")
    dev = sf.deviation(problem, bounds=sf.known_bounds("R18"))
    assert abs(float(dev.flow(1)[0]) - np.exp(-1)) < 1e-15
    assert dev.compared_with == "gradient flow"
    assert abs(float(dev.values[-1]) - abs(float(theta) - np.exp(-1))) < 1e-15
    assert abs(float(dev.bounds["R18"].values[-1]) / float(dev.values[-1]) - 1) < 0.1
    equation = sf.modified_equation(problem.objective, order=1, method=Averaged("1/3"))
    assert r"\eta" in equation.latex()
    one_line(lambda: Averaged("3/2"), sf.ProblemError, "momentum must be at least 0 and below 1")
    one_line(
        lambda: sf.Problem(**tables, descent={"method": "averaged"}), sf.ProblemError, "descent.momentum is missing"
    )
    one_line(lambda: sf.Problem(**tables, descent={"method": "averages"}), sf.ProblemError, 'did you mean "averaged"')
