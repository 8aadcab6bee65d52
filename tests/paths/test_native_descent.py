"""Descent by the compiled kernel: the integers of Python's fixed point, and radii within which the truth is proved."""

from __future__ import annotations

import random
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy
from gmpy2 import mpz
from hypothesis import given, settings
from hypothesis import strategies as st

import symflow as sf
from symflow.evaluate.fixed_point import FixedArrays
from symflow.evaluate.interpret import interpret
from symflow.evaluate.native.compiled import compiled_loops
from symflow.evaluate.native.loops.layout import HEAD
from symflow.evaluate.native.loops.loop import NativeLoop, words_of
from symflow.evaluate.native.loops.writer import LoopWriter, Unwritten, Written
from symflow.numbers.fixed_point import from_fraction
from symflow.paths import fixed_descent, native_steps
from symflow.paths.certified import descent as certified
from symflow.paths.fixed_descent import fixed_states
from symflow.paths.loops import Steps, exact_states
from symflow.paths.native_steps import NativeSteps, written_step
from symflow.programs.nodes import Axis, Input, add, einsum, gate, maximum
from symflow.programs.program import Program

pytest.importorskip("llvmlite")


@pytest.fixture(autouse=True)
def _always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short runs go by the kernel too."""
    monkeypatch.setattr(native_steps, "LEAST_OPERATIONS", 0)


def random_problem(kind: str, seed: int = 1) -> sf.Problem:
    rng = random.Random(seed)

    def rows(count: int, width: int) -> list[list[Fraction]]:
        return [[Fraction(rng.randint(-9, 9), 7) for _ in range(width)] for _ in range(count)]

    init = {"scheme": "xavier", "seed": seed}
    if kind == "max-pool":
        layers = [
            {"kind": "convolution", "channels": 2, "kernel": [2, 2]},
            {"kind": "max-pool", "size": [1, 2]},
            {"kind": "dense", "width": 1},
        ]
        network = {"kind": "convolutional", "input": [1, 2, 3], "layers": layers, "activation": "relu"}
        return sf.Problem(network=network, data={"x": rows(2, 6), "y": rows(2, 1)}, init=init)
    if kind == "cross-entropy":
        network, data = {"widths": [2, 2, 3], "activation": "relu"}, {"x": rows(4, 2), "labels": [0, 2, 1, 1]}
        return sf.Problem(network=network, loss={"kind": kind}, data=data, init=init)
    network = {"widths": [2, 3, 1], "activation": kind}
    return sf.Problem(network=network, data={"x": rows(4, 2), "y": rows(4, 1)}, init=init)


METHODS: dict[str, sf.Method] = {
    "gradient descent": sf.GradientDescent(),
    "heavy ball with decay": sf.HeavyBall("9/10", weight_decay="1/50"),
    "Nesterov, decoupled": sf.Nesterov("1/2", weight_decay="1/50", decoupled=True),
    "Adam": sf.Adam("9/10", "99/100", "1/1000"),
}


def steps_of(problem: sf.Problem, method: sf.Method, count: int, eta: Fraction = Fraction(1, 30)) -> Steps:
    return Steps(problem.compact, method, eta, count)


def python_states(monkeypatch: pytest.MonkeyPatch, *arguments: Any, **named: Any) -> list[list[mpz]]:
    with monkeypatch.context() as patch:
        patch.setattr(fixed_descent, "written_step", lambda steps: None)
        return fixed_states(*arguments, **named)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["linear", "relu", "tanh", "cross-entropy", "max-pool"])
def test_the_same_integers(kind: str, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = random_problem(kind)
    for bits, shaken in ((110, None), (400, 34)):  # with and without the moves of a second run
        steps = steps_of(problem, METHODS[method], 6)
        assert written_step(steps) is not None
        given = (steps, problem.theta0, range(7), bits)
        found = fixed_states(*given, shaken=shaken)
        assert found == python_states(monkeypatch, *given, shaken=shaken)


@pytest.mark.parametrize("method", ["gradient descent", "heavy ball with decay", "Nesterov, decoupled"])
@pytest.mark.parametrize("kind", ["linear", "relu", "max-pool"])
def test_radii_hold_against_exact_rationals(kind: str, method: str) -> None:
    """And are near the error in some entry: radii a sixteenth as large would be found out."""
    problem = random_problem(kind)
    steps, bits = steps_of(problem, METHODS[method], 4, Fraction(1, 3)), 100
    exact = exact_states(steps, problem.theta0, range(5))
    states, ratios = run_in_balls(steps, problem, bits), []
    for k, (values, radii) in enumerate(states, start=1):
        errors = [abs(Fraction(int(v), 1 << bits) - Fraction(q)) * (1 << bits) for v, q in zip(values, exact[k], strict=True)]  # noqa: E501  # fmt: skip
        assert all(e <= r for e, r in zip(errors, radii, strict=True))
        ratios += [float(r / e) for e, r in zip(errors, radii, strict=True) if e]
    assert 1 <= min(ratios) < 16


def run_in_balls(steps: Steps, problem: sf.Problem, bits: int) -> list[tuple[list[mpz], list[float]]]:
    native = NativeSteps(written_step(steps), [*problem.theta0, *[Fraction(0)] * steps.carried], bits, balls=True)
    found: list[tuple[list[mpz], list[float]]] = []
    while len(found) < steps.count:
        block = native.advance(steps.count - len(found))
        assert block is not None
        assert block.failure is None
        found += zip(block.integers(range(len(block))), block.radii.tolist(), strict=True)
    return found


def test_numbers_that_outgrow_their_words(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = sf.Problem(
        network={"widths": [1, 1], "activation": "linear"}, data={"x": [[1]], "y": [[2**90]]}, init={"theta": ["1/3"]}
    )
    steps = steps_of(problem, sf.GradientDescent(), 40, Fraction(1, 2))
    given = (steps, problem.theta0, range(41), 120)
    assert fixed_states(*given) == python_states(monkeypatch, *given)
    run = sf.descend(problem, step_size="1/2", steps=40, dps=20)
    assert run.error.how == "certified"
    assert abs(run.iterates[-1][0] - 2**90) < 2.0**52


@pytest.mark.parametrize("error", ["certified", "estimated"])
def test_divergence_is_noticed_at_the_same_step(error: str, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = random_problem("linear")
    found = []
    for python in (False, True):
        with monkeypatch.context() as patch:
            if python:
                patch.setattr(fixed_descent, "written_step", lambda steps: None)
                patch.setattr(certified, "written_step", lambda steps: None)
            with pytest.raises(sf.DescentDiverged) as caught:
                sf.descend(problem, step_size=30, steps=100, dps=20, error=error)
            found.append(str(caught.value))
    assert found[0] == found[1]


@pytest.mark.parametrize("dps", [15, 60, 130])
def test_descend_says_what_it_said_without_the_kernel(dps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = random_problem("relu", 3)
    settings_of = {"step_size": "1/30", "steps": 90, "dps": dps, "keep": [7, 50]}
    native = sf.descend(problem, **settings_of)
    monkeypatch.setattr(certified, "written_step", lambda steps: None)
    balls = sf.descend(problem, **settings_of)
    assert native.error.how == balls.error.how == "certified"
    assert native.indices == balls.indices
    apart = abs(native.iterates - balls.iterates).max()
    assert apart <= native.error.value + balls.error.value < 2 * 10.0**-dps


def test_gates_that_are_not_decided() -> None:
    """w x = 1/3 - 1/3 = 0 at the start: no radius but 0 decides the sign; in binary numbers it is 0."""
    for x, how in (("1/3", "estimated"), ("1/2", "certified")):
        problem = sf.Problem(
            network={"widths": [2, 1, 1], "activation": "relu"}, data={"x": [[x, x]], "y": [[1]]},
            init={"theta": [1, -1, 1]},
        )  # fmt: skip
        run = sf.descend(problem, step_size="1/8", steps=1, dps=20)
        assert run.error.how == how
        assert run.error.reason == ("" if x == "1/2" else "whether a pre-activation at step 1 is >= 0 could not be decided")  # noqa: E501  # fmt: skip


def test_leaving_the_domain_is_typed() -> None:
    (a,) = sympy.symbols("a,")
    problem = sf.Problem(objective=sf.expression_objective(sympy.sqrt(a), (a,)), theta0=["1/2"])
    with pytest.raises(sf.ComputationError):
        sf.descend(problem, step_size=1, steps=20, dps=20)


def test_without_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native_steps, "compiled_loops", lambda: None)
    assert written_step(steps_of(random_problem("linear"), sf.GradientDescent(), 5)) is None


# The kernel on programs of its own ------------------------------------------------------------------------------------

VECTOR = Axis("i", 3)
X, Y = Input("x", (VECTOR,), "state", "x"), Input("y", (VECTOR,), "state", "y")


def sums_of_products() -> Program:
    dot = einsum((X, Y), ((0,), (0,)), ())
    spread = einsum((dot,), ((),), (0,), {0: VECTOR})
    z = add([(Fraction(-5, 3), X), (Fraction(2**40), Y)])
    new = einsum((gate(z, Fraction(1), Fraction(-1, 3), 1), maximum([X, Y, spread])), ((0,), (0,)), (0,))
    return Program((X, Y), {"x": new, "y": add([(Fraction(1, 2**20), z), (Fraction(1, 7), X)])})


PROGRAM = sums_of_products()


def written(program: Program) -> Written:
    writer = LoopWriter(6)
    places = {X: np.arange(3), Y: np.arange(3, 6)}
    return writer.finish(np.concatenate([*interpret(program, places, writer).values()]))


@pytest.fixture(scope="module")
def kernel() -> Iterator[Any]:
    found = compiled_loops()
    assert found is not None
    return found


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_numbers_of_any_length(data: st.DataObject) -> None:
    """Signs, carries through words of ones, and sizes at the edge of what fits."""
    kernel = compiled_loops()
    assert kernel is not None
    bits = data.draw(st.integers(64, 1900))
    limbs = words_of(bits, data.draw(st.integers(1, 2)))
    top = bits + 20
    edge = st.sampled_from([0, 1, -1, (1 << top) - 1, -(1 << top), 1 << 64, -(1 << 64), (1 << 64) - 1, -(1 << bits)])
    numbers = st.one_of(edge, st.integers(-(1 << top), 1 << top), st.integers(-(1 << 70), 1 << 70))
    values = [mpz(data.draw(numbers)) for _ in range(6)]
    assert by_kernel(kernel, written(PROGRAM), values, bits, limbs) == by_python(values, bits)


def by_kernel(kernel: Any, program: Written, values: list[mpz], bits: int, limbs: int) -> list[mpz]:
    loop = NativeLoop(kernel, program, bits, limbs, balls=False)
    loop.start(values, [0.0] * 6)
    (found,) = loop.advance(1).integers([0])
    return found


def by_python(values: list[mpz], bits: int) -> list[mpz]:
    x, y = (np.array(part, dtype=object) for part in (values[:3], values[3:]))
    found = interpret(PROGRAM, {X: x, Y: y}, FixedArrays(bits))
    return [v for a in found.values() for v in a.tolist()]


def test_what_cannot_be_written_is_refused() -> None:
    product = einsum((X, Y, X), ((0,), (0,), (0,)), (0,))
    long = add([(Fraction(1, 3**50), X), (1, Y)])
    for node in (product, long):
        with pytest.raises(Unwritten):
            written(Program((X, Y), {"x": node, "y": Y}))


def test_places_that_trade_their_values(kernel: Any) -> None:
    loop = NativeLoop(kernel, written(Program((X, Y), {"x": Y, "y": X})), 64, 2, balls=True)
    values = [from_fraction(Fraction(k), 64) for k in range(6)]
    loop.start(values, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
    found = loop.advance(3)
    assert found.integers([0, 1]) == [[*values[3:], *values[:3]], values]
    assert found.radii[2].tolist() == [3.0, 4.0, 5.0, 0.0, 1.0, 2.0]


def test_radii_that_grow_beyond_float64_are_refused(kernel: Any) -> None:
    program = Program((X, Y), {"x": add([(2**60, X), (-(2**60), Y)]), "y": add([(2**60, X), (-(2**60), Y)])})
    loop = NativeLoop(kernel, written(program), 64, 4, balls=True)
    loop.start([mpz(1)] * 6, [1.0] * 6)
    found = loop.advance(40)
    assert 10 < len(found) < 20
    assert found.failure == "large"


def test_a_wrong_program_would_be_found(kernel: Any) -> None:
    """The control: another factor in one product changes the numbers."""
    program, values = written(PROGRAM), [mpz(3**k) << 64 for k in range(6)]
    assert by_kernel(kernel, program, values, 64, 3) == by_python(values, 64)
    program.words[program.segments[0][0] + len(HEAD)] = 5
    assert by_kernel(kernel, program, values, 64, 3) != by_python(values, 64)
