"""What each result says of networks with biases, skip connections, diagonal layers, an output scale, other activations.

Where a result is refused, its formula is evaluated without its hypotheses at one concrete problem, and it fails there.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy

import symflow as sf
from symflow.networks.objective import Objective
from symflow.theory.architecture_checks import architecture, homogeneous_streams, linear_streams, uncrossed_layers
from symflow.theory.hypotheses import Verdict
from symflow.theory.statement import Statement
from tests.theory.statement_cases import nonzero_rationals

FC = sf.FullyConnected
CONV = (sf.Convolution(2, (2,), (1,), (0,)), sf.Pool("max", (2,), (1,)), sf.Dense(1))
NETWORKS: dict[str, Any] = {
    "biases": FC((2, 3, 2, 1), activation="relu", biases=True),
    "linear, some biases": FC((2, 3, 2, 2), biases=[True, False, True]),
    "skip": FC((2, 2, 3, 2, 1), activation="relu", skip=[[1, 3]], biases=True),
    "linear, skip": FC((2, 2, 3, 2, 2), skip=[[1, 3]]),
    "skip from the input": FC((2, 2, 2, 1), activation="relu", skip=[[0, 1]]),
    "diagonal": FC((3, 3, 3, 1), diagonal=[1, 2]),
    "diagonal matrices": FC((2, 2, 2), diagonal=[1, 2], output_scale="-3/2"),
    "scaled": FC((2, 3, 2), output_scale="1/3"),
    "mixed": FC((2, 3, 3, 2), activation=["relu", ("leaky-relu", "1/5")], output_scale="1/2"),
    "convolutional": sf.Convolutional((1, 4), CONV, activation="relu", biases=True),
}  # fmt: skip
ANY = architecture("any network", "any network", lambda _: Verdict("holds", "any"))


def objective(network: Any, seed: int = 1, loss: str = "square") -> Objective:
    """Its training loss on three random samples."""
    rng = random.Random(seed)
    inputs, outputs = (int(np.prod([a.size for a in axes])) for axes in (network.input_axes, network.output_axes))
    y = [[1], [-1], [1]] if loss == "logistic" else nonzero_rationals(rng, 3, outputs)
    return sf.network_objective(network, nonzero_rationals(rng, 3, inputs), y, loss)


def point(o: Objective, seed: int = 2) -> list[Fraction]:
    return list(nonzero_rationals(random.Random(seed), o.parameter_count))


def answers(o: Objective, theta: list[Fraction] | None = None) -> dict[str, str]:
    rows = sf.applicable(sf.Problem(objective=o, theta0=theta or point(o)))
    return {row.result: row.answer for row in rows}


def freed(result: str, label: str) -> Statement:
    """A claim without what it assumes of the network."""
    whole = sf.statement(result)
    return replace(whole, claims=(replace(whole.claim(label), hypotheses=()),), hypotheses=(ANY,))


def differs(result: str, label: str, o: Objective, theta: list[Fraction]) -> bool:
    """Whether the two sides of an identity differ."""
    sides = freed(result, label).instantiate(o).evaluate(label, theta, point(o, 5), hyper={"eta": "1/7"})
    return any(np.any(a != b) for a, b in zip(*sides, strict=True))


def violated(result: str, label: str, o: Objective, theta: list[Fraction]) -> bool:
    """Whether lambda_min(H) >= bound fails, by more than rounding in 30 digits."""
    (left,), (right,) = (
        freed(result, label)
        .instantiate(o)
        .evaluate(label, theta, dps=30, hyper={"epsilon": max(abs(t) for t in theta)})
    )
    return bool(left[()] < right[()] - Fraction(1, 10**9))


@pytest.mark.parametrize("name", NETWORKS)
def test_the_identities_hold_exactly(name: str) -> None:
    o = objective(NETWORKS[name])
    theta, direction = point(o), point(o, 3)
    checked = 0
    for result in ("R2", "R7", "R10", "R12", "R32", "R33", "R34", "R35"):
        for claim in sf.statement(result).claims:
            if claim.relation != "=" or claim.label == "two layers":
                continue
            try:
                sides = (
                    sf.statement(result).instantiate(o).evaluate(claim.label, theta, direction, hyper={"eta": "1/7"})
                )
            except sf.ProblemError:
                continue
            checked += len(sides[0])
            for left, right in zip(*sides, strict=True):
                assert np.all(left == right), (result, claim.label)
    assert checked >= 5


@pytest.mark.parametrize(
    ("name", "loss"),
    [
        ("linear, some biases", "square"),
        ("skip from the input", "logistic"),
        ("linear, skip", "square"),
        ("mixed", "square"),
        ("diagonal", "logistic"),
    ],
)
def test_the_bounds_hold_and_are_not_far_off(name: str, loss: str) -> None:
    o = objective(NETWORKS[name], loss=loss)
    theta = point(o, 4)
    truth = float(sf.extreme_eigenvalues(o, [float(t) for t in theta]).min)
    for name_, bound in sf.curvature_bounds(o).items():
        lower = float(sf.evaluate_mpmath(bound, theta))
        assert truth >= lower - 1e-9 * abs(lower)
        if name_ in ("R34", "R12(e)"):
            assert lower >= 10 * truth


def test_where_biases_and_skips_stand() -> None:
    network = FC((2, 3, 3, 2, 3, 2), skip=[[1, 2], [2, 4]], activation=["linear", "relu", "relu", "linear"])
    assert homogeneous_streams(network) == ((1, 2, 4), (3,))
    assert linear_streams(network) == ()
    assert uncrossed_layers(network) == (1, 5)
    around = FC((2, 3, 3, 2, 3, 2), skip=[[1, 2], [2, 4]], activation=["linear", "linear", "relu", "linear"])
    assert homogeneous_streams(around) == ((1,), (2, 4), (3,))
    assert linear_streams(around) == ((1,), (2, 4))
    pooled = sf.Convolutional((1, 4), (sf.Convolution(1, (1,), (1,), (0,)), sf.Pool("max", (1,), (1,)),
                                       sf.Convolution(1, (1,), (1,), (0,)), sf.Dense(1)), skip=[[2, 3]])  # fmt: skip
    assert homogeneous_streams(pooled) == ((1, 2),)


def test_one_dimensional_scales_are_those_of_the_loss() -> None:
    """c h against the square loss of h at y/c, times c^2: the same function, so the same bounds."""
    c = Fraction(-3, 2)
    plain, scaled = FC((2, 2, 2, 1)), FC((2, 2, 2, 1), output_scale=c)
    rng = random.Random(3)
    x, y = nonzero_rationals(rng, 3, 2), nonzero_rationals(rng, 3, 1)
    one, other = sf.network_objective(scaled, x, y), sf.network_objective(plain, x, y / c)
    theta = point(one)
    for name, bound in sf.curvature_bounds(other).items():
        expected = c**2 * float(sf.evaluate_mpmath(bound, theta))
        assert float(sf.evaluate_mpmath(sf.curvature_bounds(one)[name], theta)) == pytest.approx(expected, rel=1e-12)
    for name, bound in sf.ball_bounds(other, "1/10").items():
        expected = c**2 * float(sf.evaluate_mpmath(bound, theta))
        assert float(sf.evaluate_mpmath(sf.ball_bounds(one, "1/10")[name], theta)) == pytest.approx(expected, rel=1e-12)


def test_diagonal_layers_have_the_bounds_of_their_matrices() -> None:
    rng = random.Random(3)
    x, y = nonzero_rationals(rng, 3, 2), nonzero_rationals(rng, 3, 1)
    thin, whole = (sf.network_objective(FC((2, 2, 2, 1), diagonal=d), x, y) for d in ([1, 2], []))
    theta = point(thin)
    embedded = [theta[0], 0, 0, theta[1], theta[2], 0, 0, theta[3], *theta[4:]]
    for name, bound in sf.curvature_bounds(whole).items():
        expected = float(sf.evaluate_mpmath(bound, embedded))
        assert float(sf.evaluate_mpmath(sf.curvature_bounds(thin)[name], theta)) == pytest.approx(expected, rel=1e-12)


def test_multiples_of_a_training_loss_have_multiples_of_the_bounds() -> None:
    o = objective(FC((2, 2, 1)))
    for name, bound in sf.curvature_bounds(o.scaled(Fraction(3))).items():
        plain = float(sf.evaluate_mpmath(sf.curvature_bounds(o)[name], point(o)))
        assert float(sf.evaluate_mpmath(bound, point(o))) == pytest.approx(3 * plain, rel=1e-12)


@pytest.mark.parametrize("options", [
    {"biases": True}, {"biases": [True, False, False]}, {"skip": [[1, 2]]}, {"skip": [[0, 1], [1, 3]], "biases": True},
    {"skip": [[0, 2]]}, {"diagonal": [1, 2]}, {"skip": [[1, 2]], "activation": "relu", "biases": True},
])  # fmt: skip
def test_r33_has_all_conservation_laws(options: dict[str, Any]) -> None:
    """As many as are counted exactly, by ranks of Lie brackets."""
    network = FC((2, 2, 2, 2), **options)
    matrices = linear_streams(network)
    count = sum(3 if s in matrices else 2 for s in homogeneous_streams(network))
    assert sf.conservation_laws(network).count == count


# Refusals, and that they are right ----------------------------------------------------------------------------------


def _at_zero(network: Any, inputs: int) -> Objective:
    """One sample x = 0 with target 1: what weights alone bound does not see the biases."""
    return sf.network_objective(network, [[0] * inputs], [[1]])


def _three(skip: list[list[int]]) -> Objective:
    return sf.network_objective(FC((1, 1, 1, 1), skip=skip), [[1]], [[1]])


Z = Fraction(0)
BIASED = _at_zero(FC((1, 1, 1), biases=[True, False]), 1)
RELU_BIASED = _at_zero(FC((1, 1, 1), activation="relu", biases=[True, False]), 1)
CONV_BIASED = _at_zero(
    sf.Convolutional((1, 2), (sf.Convolution(1, (1,), (1,), (0,)), sf.Dense(1)), biases=[True, False]), 2
)
TANH = sf.network_objective(FC((1, 1, 1), activation="tanh"), [[1]], [[-90]])
DIAGONAL = objective(FC((2, 2, 2), diagonal=[1, 2]))
REFUSED: dict[str, Callable[[], bool]] = {
    "R2, biases": lambda: differs("R2", "layer", BIASED, [Fraction(1)] * 3),
    "R2, skip": lambda: differs("R2", "all", _three([[1, 2]]), [Fraction(1)] * 3),
    "R7, biases": lambda: differs("R7", "", BIASED, [Fraction(1)] * 3),
    "R7, skip": lambda: differs("R7", "", _three([[1, 2]]), [Fraction(1)] * 3),
    "R9(a), biases": lambda: violated("R9", "(a)", BIASED, [Z, Z, Z]),
    "R9(e), biases": lambda: violated("R9", "(e)", BIASED, [Z, Z, Z]),
    "R9(a), skip": lambda: violated("R9", "(a)", _three([[1, 2]]), [Z, Z, Z]),
    "R9(e), skip": lambda: violated("R9", "(e)", _three([[1, 2]]), [Z, Z, Z]),
    "R10, biases": lambda: differs("R10", "flow, norms", BIASED, [Z, Fraction(1), Fraction(2)]),
    "R10, skip": lambda: differs("R10", "flow, each unit or channel", _three([[1, 2]]), [Fraction(1)] * 3),
    "R11, biases": lambda: violated("R11", "gated", BIASED, [Z, Z, Z]),
    "R12, biases": lambda: violated("R12", "", RELU_BIASED, [Z, Fraction(1, 2), Z]),
    "R12(e), biases": lambda: violated("R12", "(e)", RELU_BIASED, [Z, Fraction(1, 2), Z]),
    "R13, biases": lambda: violated("R13", "", CONV_BIASED, [Z, Z, Z, Z]),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_result_that_is_refused_fails(name: str) -> None:
    assert REFUSED[name]()


def test_tanh_refuses_what_needs_homogeneity_rightly() -> None:
    theta = [Fraction(2, 3), Fraction(10)]
    found = answers(TANH, theta)
    assert all(
        found[r] == "not applicable" for r in ("R2", "R7", "R9", "R10", "R11", "R12", "R13", "R32", "R33", "R34")
    )
    assert all(found[r] == "applies" for r in ("R1", "R3", "R4", "R17", "R18", "R22", "R23", "R24"))
    a, b = sympy.symbols("a b", real=True)
    f = (b * sympy.tanh(a) + 90) ** 2 / 2
    at = {a: sympy.Rational(2, 3), b: 10}
    h = b * sympy.tanh(a)
    assert abs((a * h.diff(a) - h).subs(at).evalf()) > 1  # R2
    assert abs(((b**2 - a**2).diff(b) * f.diff(b) + (b**2 - a**2).diff(a) * f.diff(a)).subs(at).evalf()) > 1  # R10
    least = min(np.linalg.eigvalsh(np.array(sympy.hessian(f, (a, b)).subs(at).evalf(), dtype=float)))
    assert least < -float((b * sympy.tanh(a) + 90).subs(at).evalf())  # R12, slopes at most 1


def test_the_end_to_end_equation_fails_for_balanced_diagonal_layers() -> None:
    theta = [Fraction(1), Fraction(2), Fraction(1), Fraction(2)]
    left, right = freed("R14", "").instantiate(DIAGONAL).evaluate("", theta, dps=30)
    assert abs(float(left[0][0, 1])) < 1e-25 < abs(float(right[0][0, 1]))
    assert answers(DIAGONAL, theta)["R14"] == "not applicable"
    assert answers(DIAGONAL, theta)["R35"] == "applies"


def test_rows_name_the_reason_and_what_there_is_in_its_place() -> None:
    o = objective(NETWORKS["biases"])
    rows = sf.applicable(sf.Problem(objective=o, theta0=point(o)))
    assert rows["R2"].reason == "layers 1, 2 and 3 have biases: no homogeneity in each layer's weights"
    assert rows["R2"].in_its_place == ("R32",)
    assert rows["R9"].in_its_place == rows["R12"].in_its_place == ("R34",)
    assert rows["R10"].in_its_place == ("R33",)
    assert "; in its place: R33" in repr(rows)
    skip = objective(NETWORKS["skip from the input"])
    rows = sf.applicable(sf.Problem(objective=skip, theta0=point(skip)))
    assert rows["R33"].reason == "laws of the hidden units of layer 2"
    assert rows["R32"].claims == ("layer",)
    diagonal = objective(NETWORKS["diagonal"])
    rows = sf.applicable(sf.Problem(objective=diagonal, theta0=point(diagonal)))
    assert rows["R14"].reason == "layers 1 and 2 are diagonal: the claim needs whole matrices"
    assert rows["R14"].in_its_place == ("R35",)
    assert rows["R9"].answer == "applies"


@pytest.mark.parametrize(("name", "applies", "refused"), [
    ("biases", ("R32", "R33", "R34"), ("R2", "R7", "R9", "R10", "R11", "R12", "R14", "R35")),
    ("linear, some biases", ("R1", "R3", "R8", "R32", "R33", "R34"), ("R2", "R7", "R9", "R10", "R14")),
    ("linear, skip", ("R1", "R32", "R33", "R34"), ("R2", "R7", "R8", "R9", "R10", "R14")),
    ("diagonal", ("R2", "R7", "R9", "R10", "R11", "R12", "R33", "R34", "R35"), ("R8", "R14", "R15", "R16")),
    ("scaled", ("R2", "R7", "R9", "R10", "R11", "R12", "R32", "R33", "R34"), ("R15", "R16", "R35")),
    ("mixed", ("R2", "R10", "R11", "R12", "R32", "R33", "R34"), ("R7", "R9", "R14")),
    ("convolutional", ("R32", "R33"), ("R2", "R10", "R12", "R13", "R34")),
])  # fmt: skip
def test_which_results_apply(name: str, applies: tuple[str, ...], refused: tuple[str, ...]) -> None:
    found = answers(objective(NETWORKS[name]))
    assert {r: found[r] for r in applies} == dict.fromkeys(applies, "applies")
    assert {r: found[r] for r in refused} == dict.fromkeys(refused, "not applicable")


def test_biases_keep_curvature_unbounded() -> None:
    """R8's family with a bias at 0: W_1 = W_3 = 0, W_2 = s, and lambda_min is at most -s ||grad phi(0)||."""
    o = sf.network_objective(FC((1, 1, 1, 1), biases=True), [[1], [2]], [[1], [1]])
    slope = Fraction(-3, 2)
    for s in (10, 100):
        theta = [0.0, 0.0, float(s), 0.0, 0.0, 0.0]
        assert float(sf.extreme_eigenvalues(o, theta).min) <= float(s * slope) + 1e-9


def test_weight_decay_is_not_a_training_loss() -> None:
    decayed = objective(NETWORKS["biases"]).decayed(Fraction(1, 10))
    found = answers(decayed)
    assert all(found[r] == "not applicable" for r in ("R2", "R9", "R10", "R12", "R32", "R33", "R34", "R35"))
    with pytest.raises(sf.ProblemError, match="no curvature bound is applicable"):
        sf.curvature_bounds(decayed)


def test_statements_refuse_by_name() -> None:
    o = objective(NETWORKS["linear, some biases"])
    with pytest.raises(sf.ProblemError, match="R9 does not apply: layers 1 and 3 have biases"):
        sf.statement("R9").instantiate(o)
    diagonal = sf.statement("R10").instantiate(DIAGONAL)
    with pytest.raises(sf.ProblemError, match=r"R10 \(flow\) does not apply: layers 1 and 2 are diagonal"):
        diagonal.evaluate("flow", point(DIAGONAL))
    assert list(sf.curvature_bounds(o)) == ["R34"]
