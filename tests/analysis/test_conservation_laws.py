"""Conservation laws: counts against closed forms and published ones, laws against gradients, maps against brackets."""

from __future__ import annotations

import json
import random
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy
from plain_brackets import Drawn, drawn_map, drawn_point, lie_dimension, sigma

import symflow as sf
from symflow.analysis.laws.lie import brackets
from symflow.analysis.laws.networks import NetworkModel
from symflow.analysis.laws.polynomials import System, from_terms, polynomial_ring
from symflow.analysis.laws.residues import PRIME, rank, residues
from symflow.analysis.laws.search import conserved, polynomial_laws
from symflow.errors import ProblemError

PUBLISHED = json.loads((Path(__file__).parent / "laws_linear.json").read_text(encoding="utf-8"))
"""50 linear networks with their numbers of laws, of the published float code (Marcotte, Gribonval & Peyre 2023)."""


def exact(widths: Any, **settings: Any) -> int:
    """The number of laws of a network, which is proved."""
    loss, biases = settings.pop("loss", None), settings.pop("biases", False)
    laws = sf.conservation_laws(sf.FullyConnected(widths, **settings), loss=loss, biases=biases)
    assert laws.exact
    assert laws.dimension == laws.parameter_count - laws.count
    return laws.count


# Numbers ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", PUBLISHED[::4], ids=lambda row: str(row["widths"]))
def test_linear_networks_have_the_published_numbers(row: dict[str, Any]) -> None:
    assert exact(row["widths"]) == row["laws"]


@pytest.mark.parametrize(("n", "r", "m"), [(3, 2, 3), (2, 4, 4), (1, 4, 2), (2, 3, 1), (1, 5, 1), (4, 3, 2)])
def test_two_layers_have_the_closed_form(n: int, r: int, m: int) -> None:
    expected = r * (r + 1) // 2 if n + m > r else (n + m) * (2 * r + 1 - n - m) // 2
    assert exact((n, r, m)) == expected


def test_scalar_inputs_and_outputs_leave_one_field() -> None:
    for widths, parameters in (((1, 2, 2, 1), 8), ((1, 3, 3, 1), 15)):
        laws = sf.conservation_laws(sf.FullyConnected(widths))
        assert (laws.count, laws.exact, laws.complete) == (parameters - 1, True, False)
        assert laws.at_least < laws.count
    assert sf.conservation_laws(sf.FullyConnected((1, 2, 2, 1))).at_least == 6


def test_the_cross_entropy_conserves_column_sums() -> None:
    assert exact((2, 2, 2), loss="cross-entropy") == 5
    assert exact((3, 2, 4), loss="cross-entropy") == 3 + 2
    laws = sf.conservation_laws(sf.FullyConnected((2, 2, 3), activation="relu"), loss="cross-entropy", biases=True)
    assert [law.name for law in laws.laws] == ["D_1[1,1]", "D_1[2,2]", "1^T W_2[1]", "1^T W_2[2]", "1^T b_2"]


@pytest.mark.parametrize("widths", [(2, 3, 1), (3, 2, 3, 2), (2, 2, 4, 1)])
@pytest.mark.parametrize("biases", [False, True])
@pytest.mark.parametrize("activation", ["relu", ("leaky-relu", "1/5")])
def test_gated_networks_have_one_law_a_hidden_unit(widths: Any, biases: bool, activation: Any) -> None:
    assert exact(widths, activation=activation, biases=biases) == sum(widths[1:-1])


def test_on_a_line_units_with_inputs_of_one_sign_form_a_linear_block() -> None:
    """Active together on the same half line: u_1 v_1 + u_2 v_2. The signs of the output weights do not matter."""
    network = sf.FullyConnected((1, 2, 1), activation="relu")
    for at, expected in (([1, 2, 3, 4], 3), ([1, 2, 3, -4], 3), ([1, -2, 3, 4], 2), ([-1, -2, -3, 4], 3)):
        laws = sf.conservation_laws(network, at=at)
        assert (laws.count, laws.exact, laws.complete) == (expected, True, True)


def test_convolutions_have_one_law_a_channel_and_linear_ones_mix_channels() -> None:
    parts = (sf.Convolution(2, (2,)), sf.Convolution(3, (2,)), sf.Dense(1))
    for activation, expected in (("relu", 5), ("linear", 3 + 6)):
        laws = sf.conservation_laws(sf.Convolutional((1, 5), parts, activation=activation))
        assert (laws.count, laws.exact, laws.complete) == (expected, True, True)


def test_the_given_inputs_may_conserve_more() -> None:
    network = sf.FullyConnected((2, 2, 1))
    every = sf.conservation_laws(sf.network_objective(network, None, None))
    one = sf.conservation_laws(sf.network_objective(network, [[1, 2]], [[1]]))
    two = sf.conservation_laws(sf.network_objective(network, [[1, 2], [3, 5]], [[1], [0]]))
    assert (every.count, one.count, two.count) == (3, 5, 3)  # one input: u^T (V x), whose field is one
    assert one.exact
    assert "given inputs" in one.scope


def test_objectives_of_ones_own() -> None:
    a, b, c = sympy.symbols("a b c")
    laws = sf.conservation_laws(sf.expression_objective((a * b * c - 1) ** 2 / 2, [a, b, c]))
    assert (laws.count, laws.exact) == (2, True)
    spans = sympy.Matrix([[law.expression.coeff(s**2) for s in (a, b, c)] for law in laws.laws])
    assert spans.rank() == 2
    assert all(sum(row) == 0 for row in spans.tolist())


def test_moments_conserve_what_samples_do() -> None:
    objective = sf.network_objective(sf.FullyConnected((2, 2, 1)), [[1, 2], [2, 4]], [[1], [0]])
    assert sf.conservation_laws(sf.moment_form(objective)).count == sf.conservation_laws(objective).count == 5


# Maps of one's own --------------------------------------------------------------------------------------------------

U, V, S, T, X = sympy.symbols("u v s t x")
INNER = X + U * sigma(V * X)
RESIDUAL = sf.ParametricMap([INNER + S * sigma(T * INNER)], [U, V, S, T], [X])


def test_a_residual_block_has_other_laws_in_other_regions() -> None:
    three = sf.conservation_laws(RESIDUAL, at=["0.7", "0.5", "0.3", "0.9"])
    two = sf.conservation_laws(RESIDUAL, at=["0.7", "0.5", "0.3", "-0.9"])
    assert (three.count, three.exact, three.complete) == (3, True, False)
    assert (two.count, two.exact, two.complete) == (2, True, True)
    for laws in (three, two):
        assert {str(law.expression) for law in laws.laws} == {"u**2 - v**2", "s**2 - t**2"}


def test_the_third_law_of_the_block_is_an_integral() -> None:
    """a' = (1 + b) sqrt(c_1^2 + 4 a^2), b' = (1 + a) sqrt(c_2^2 + 4 b^2) along the field, a = u v, b = s t."""
    a, b = U * V, S * T
    speed = {U: V * (1 + b), V: U * (1 + b), S: T * (1 + a), T: S * (1 + a)}
    for x, other, constant in ((a, 1 + b, U**2 - V**2), (b, 1 + a, S**2 - T**2)):
        rate = sum(x.diff(w) * speed[w] for w in (U, V, S, T))
        assert sympy.expand(rate**2 - other**2 * (constant**2 + 4 * x**2)) == 0


def checked_map(seed: int, point: int) -> tuple[int, int, sf.ConservationLaws]:
    """The package's dimension and the one by hand, at one of two points."""
    found = drawn_map(seed)
    at = drawn_point(1000 * seed + point, len(found.parameters))
    laws = sf.conservation_laws(sf.ParametricMap(found.outputs, found.parameters, found.inputs), at=at)
    return laws.dimension, lie_dimension(found, at), laws


@pytest.mark.parametrize("seed", [2, 3, 6, 22, 32])
def test_maps_against_brackets_by_hand(seed: int) -> None:
    for point in (0, 1):
        dimension, by_hand, laws = checked_map(seed, point)
        assert dimension == by_hand
        assert laws.at_least <= laws.count


def attention(softmax: bool) -> sf.ParametricMap:
    """One head with scalar keys, queries and values on two tokens of one number."""
    x, (q, k, v, o) = sympy.symbols("x0:2"), sympy.symbols("q k v o")
    scores = [[a * q * k * b for b in x] for a in x]
    if softmax:
        scores = [[sympy.exp(s) / sum(map(sympy.exp, row)) for s in row] for row in scores]
    return sf.ParametricMap(
        [sum(s * v * o * b for s, b in zip(row, x, strict=True)) for row in scores], [q, k, v, o], x
    )


def test_attention_conserves_a_law_for_each_pair_of_its_matrices() -> None:
    laws = sf.conservation_laws(attention(softmax=True))
    assert (laws.count, laws.exact, laws.complete) == (2, True, True)
    assert {str(law.expression) for law in laws.laws} == {"-k**2 + q**2", "-o**2 + v**2"}
    assert sf.conservation_laws(attention(softmax=False)).count == 3  # q k v o is all that enters


# The laws themselves ------------------------------------------------------------------------------------------------


def objective_of(network: sf.Network, biases: bool = False, loss: str = "square", seed: int = 0) -> sf.Objective:
    """Random rational data."""
    source = np.random.default_rng(seed)
    inputs = int(np.prod([a.size for a in network.input_axes]))
    outputs = int(np.prod([a.size for a in network.output_axes]))
    y = (
        np.eye(outputs, dtype=int)[source.integers(0, outputs, 3)]
        if loss == "cross-entropy"
        else source.integers(-5, 5, (3, outputs))
    )
    return sf.network_objective(network, source.integers(-9, 9, (3, inputs)), y, loss, biases=biases)


AVERAGING = (sf.Convolution(2, (2,)), sf.Pool("average", (2,), (1,)), sf.Dense(2))
LARGEST = (sf.Convolution(2, (2,)), sf.Pool("max", (2,), (1,)), sf.Dense(2))


@pytest.mark.parametrize(
    ("network", "biases"),
    [
        (sf.FullyConnected((2, 3, 2, 2)), False),
        (sf.FullyConnected((2, 3, 2, 2)), True),
        (sf.FullyConnected((2, 3, 2, 1), activation="relu"), True),
        (sf.Convolutional((1, 5), LARGEST, activation="relu"), False),
        (sf.Convolutional((1, 5), AVERAGING), True),
    ],
    ids=str,
)  # fmt: skip
def test_the_gradient_of_every_law_is_orthogonal_to_that_of_the_loss(network: sf.Network, biases: bool) -> None:
    objective = objective_of(network, biases)
    laws = sf.conservation_laws(network, biases=biases)
    assert laws.laws
    theta = laws.point
    gradient = sf.evaluate_exact(sf.gradient(objective), theta)
    assert any(gradient)
    for law in laws.laws:
        assert sum(a * b for a, b in zip(law.gradient(theta), gradient, strict=True)) == 0
    pairs = [(law, i) for law in laws.laws for i, b in enumerate(gradient) if law.gradient(theta)[i] * b]
    law, at = pairs[0]
    slopes = law.gradient(theta)
    wrong = [c * (2 if i == at else 1) for i, c in enumerate(slopes)]
    assert sum(a * b for a, b in zip(wrong, gradient, strict=True)) != 0


def test_a_law_is_a_program_an_expression_and_a_function() -> None:
    law = sf.conservation_laws(sf.FullyConnected((2, 2, 2))).laws[1]
    theta = np.arange(1.0, 9.0)
    expected = (theta[4] * theta[5] + theta[6] * theta[7]) - (theta[0] * theta[2] + theta[1] * theta[3])
    assert law(theta) == expected
    assert law.expression.subs(dict(zip(law.symbols, theta, strict=True))) == expected
    from symflow.evaluate.interpret import interpret
    from symflow.evaluate.object_arrays import EXACT

    (parameter,) = law.program.inputs
    values = {parameter: np.array([Fraction(int(v)) for v in theta], dtype=object)}
    assert interpret(law.program, values, EXACT)["h"][()] == expected


# What refutes -------------------------------------------------------------------------------------------------------


def balance_system() -> System:
    """u_1 v_1 + u_2 v_2."""
    ring = polynomial_ring(4)
    return System(ring, 4, (from_terms(ring, [((0, 2), Fraction(1)), ((1, 3), Fraction(1))]),))


def test_one_wrong_coefficient_is_refuted() -> None:
    system, one = balance_system(), Fraction(1)
    assert conserved(system, [((0, 0), one), ((2, 2), -one)])
    assert not conserved(system, [((0, 0), one), ((2, 2), -Fraction(99, 100))])
    assert not conserved(system, [((0, 0), one), ((3, 3), -one)])
    found = polynomial_laws(system, range(4), 2)
    assert len(found) == 4  # as a matrix (u; v): u u^T - v v^T, and u_1 v_2 - u_2 v_1
    assert all(conserved(system, law) for law in found)


def test_a_number_off_by_one_is_refuted() -> None:
    """Brackets of rank d prove at most P - d laws; d + 1 is never reached, and fewer fields reach less."""
    model = NetworkModel(sf.FullyConnected((2, 2, 2)), False, None, "")
    point = next(model.points())
    fields = model.near(point).moves.fields()
    reached = [
        rank(brackets(fields, residues(point).tolist(), length, seed)) for length in (1, 2, 6) for seed in (0, 1)
    ]
    assert max(reached) == 5  # 8 - 3
    assert min(reached) == 4 == reached[0]  # the fields alone: brackets are needed
    one = sf.conservation_laws(sf.ParametricMap([U * V * X], [U, V, S], [X]))
    assert (one.count, one.dimension) == (2, 1)


def test_residues_are_exact() -> None:
    from symflow.analysis.laws.residues import matmul, product

    source = random.Random(1)
    a = np.array([[source.randrange(PRIME) for _ in range(40)] for _ in range(3)])
    b = np.array([[source.randrange(PRIME) for _ in range(2)] for _ in range(40)])
    expected = a.astype(object).dot(b.astype(object)) % PRIME
    assert (matmul(a, b) == expected).all()
    series = product(a[0], a[1])
    assert [int(v) for v in series] == [
        sum(int(a[0, i]) * int(a[1, k - i]) for i in range(k + 1)) % PRIME for k in range(40)
    ]


# Errors -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sf.conservation_laws("relu"), "a network, an objective or a parametric map is needed"),
        (lambda: sf.conservation_laws(sf.FullyConnected((1, 1, 1)), at=[1]), "P = 2 numbers, got 1 numbers"),
        (lambda: sf.conservation_laws(RESIDUAL, loss="square"), "go with a network"),
        (lambda: sf.conservation_laws(sf.FullyConnected((1, 1, 1)), degree=0), "degree"),
        (lambda: sf.ParametricMap("u*x", [U], [X]), "SymPy expressions"),
        (lambda: sf.ParametricMap([U * X * T], [U], [X]), "only parameters and inputs, got t"),
        (lambda: sf.ParametricMap([U], [U], [U]), "different names"),
        (lambda: sf.conservation_laws(sf.ParametricMap([sympy.sin(U * X)], [U], [X])), r"got sin\(u\*x\)"),
        (lambda: sf.conservation_laws(sf.ParametricMap([sympy.exp(sympy.exp(U) * X)], [U], [X])), "of polynomials"),
        (lambda: sf.conservation_laws(sf.ParametricMap([sigma(U) * V], [U, V]), at=[0, 1]), "on a kink"),
        (
            lambda: sf.conservation_laws(
                sf.network_objective(sf.FullyConnected((1, 1, 1), activation="relu"), [1], [1]), at=[0, 1]
            ),
            "on a kink",
        ),
        (lambda: sf.conservation_laws(sf.ParametricMap([X / U], [U], [X]), at=[0]), "no denominator of the map"),
        (lambda: sf.conservation_laws(sf.FullyConnected((1, 1)), at=["1/2147483647"]), "got 1/2147483647; scale"),
        (
            lambda: sf.conservation_laws(sf.FullyConnected((1, 1)), loss=sf.expression_loss(U**2 + V, U, V)),
            "slope must depend on the target",
        ),
        (lambda: sf.conservation_laws(sf.FullyConnected((1, 1)), biases="yes"), "True or False, got 'yes'"),
        (lambda: sf.conservation_laws(RESIDUAL).momentum("fast"), "rate"),
    ],
)
def test_errors_name_the_rule_and_the_value(call: Any, message: str) -> None:
    with pytest.raises(ProblemError, match=message):
        call()


# Momentum -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [Fraction(0), Fraction(1, 3), Fraction(-2)])
def test_momentum_laws_are_conserved_identically(rate: Fraction) -> None:
    """d/dt e^{tau t} <A theta, theta'> = 0 along theta'' = -tau theta' - grad f / mu, for symbolic data."""
    network = sf.FullyConnected((2, 3, 2))
    laws = sf.conservation_laws(network).momentum(rate)
    assert len(laws) == 3
    x = sympy.symbols("p0:2")
    theta, velocity = laws[0].symbols, laws[0].velocities
    w1, w2 = sympy.Matrix(3, 2, theta[:6]), sympy.Matrix(2, 3, theta[6:])
    outputs = w2 * w1 * sympy.Matrix(x)
    f = outputs[0] ** 2 * 3 + outputs[0] * outputs[1] - outputs[1] * 5
    t, tau = sympy.Symbol("t", real=True), sympy.Rational(rate.numerator, rate.denominator)
    mass, growth = sympy.symbols("mass growth")  # 1/mu and the exponential: what is derived is a polynomial
    slopes = [mass * f.diff(s) for s in theta]
    ring = sympy.ring([*theta, *velocity, *x, mass, growth], sympy.QQ)[0]

    def derivative(law: sympy.Expr) -> Any:
        total = law.diff(t)
        for s, v, slope in zip(theta, velocity, slopes, strict=True):
            total += law.diff(s) * v + law.diff(v) * (-tau * v - slope)
        exponentials = total.atoms(sympy.exp)
        assert len(exponentials) <= 1
        return ring.from_expr(total.xreplace(dict.fromkeys(exponentials, growth)))

    for law in laws:
        assert derivative(law.expression) == 0
    faster = sf.conservation_laws(network).momentum(rate + 1)[0]
    assert derivative(faster.expression) != 0
    u, v = theta[6], velocity[7]
    assert derivative(laws[0].expression + sympy.exp(tau * t) * u * v / 100) != 0


def test_momentum_laws_of_maps_are_searched() -> None:
    a, b, c, d = sympy.symbols("a b c d")
    laws = sf.conservation_laws(sf.ParametricMap([(a * c + b * d) * X], [a, b, c, d], [X]))
    assert len(laws.rotations) == 2  # of (a, b) and (c, d) together, and the one that mixes a with d and b with c
    assert sf.conservation_laws(sf.FullyConnected((2, 2, 1), activation="relu")).momentum(1) == ()


def test_drawn_maps_are_of_all_kinds() -> None:
    found: list[Drawn] = [drawn_map(seed) for seed in range(50)]
    assert {d.name for d in found} == {"residual", "shared", "biases"}
    assert max(len(d.parameters) for d in found) <= 10


def test_patterns_of_two_homogeneous_inputs_are_listed() -> None:
    """On rays (1, s) and (-1, s): then the number is exact, where a mere sample of patterns bounds it on both sides."""
    found = drawn_map(8)
    assert len(found.inputs) == 2
    laws = sf.conservation_laws(
        sf.ParametricMap(found.outputs, found.parameters, found.inputs), at=drawn_point(8001, len(found.parameters))
    )
    assert (laws.exact, laws.count) == (True, 2)


def test_a_kink_at_the_first_input_tried_is_no_kink_of_the_map() -> None:
    laws = sf.conservation_laws(sf.ParametricMap([U * sigma(V * (X - 1))], [U, V], [X]))
    assert (laws.count, laws.exact) == (1, True)
    with pytest.raises(ProblemError, match="on a kink"):
        sf.conservation_laws(sf.ParametricMap([U * sigma(V * X)], [U, V], [X]), at=[1, 0])


def test_a_singular_point_is_said_to_be_one() -> None:
    laws = sf.conservation_laws(sf.FullyConnected((2, 2, 2)), at=[0] * 8)
    assert (laws.at_least, laws.at_most, laws.exact) == (0, 8, False)
    assert "singular" in laws.how
