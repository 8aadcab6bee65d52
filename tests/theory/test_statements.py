"""Statements with symbolic depth: their instances are exactly what they say, at every depth; printing; refusals."""

import re
from fractions import Fraction
from itertools import combinations

import jax
import mpmath
import numpy as np
import pytest
import sympy
from statement_cases import CONVOLUTIONAL, FULLY_CONNECTED, LINEAR, NETWORKS, objective, point

import symflow as sf
from symflow.evaluate.interpret import interpret
from symflow.evaluate.jax import JaxArithmetic
from symflow.evaluate.object_arrays import EXACT, mpmath_arithmetic
from symflow.programs.nodes import Axis, Identity, Input, matrix_power
from symflow.programs.program import Program
from symflow.theory.statement import Claim, Instance, Model, Statement
from symflow.theory.terms import Chain, Number, Product, Sum, Term, Transpose, W, j, n

STEP = {"eta": Fraction(2, 7)}


def equal(left: list, right: list) -> bool:
    """Whether two sides agree exactly; the number 0 stands for zeros of any shape."""
    assert len(left) == len(right) > 0
    return all(bool(np.all(np.asarray(a - b) == 0)) for a, b in zip(left, right, strict=True))


def agrees(result: str, label: str, o: sf.Objective, seed: int = 0) -> bool:
    instance = sf.statement(result).instantiate(o)
    return equal(*instance.evaluate(label, point(o, seed), point(o, seed + 50), hyper=STEP))


# Exact identities, all depths ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("label", ["layer", "all"])
def test_r2_eulers_identity(name: str, label: str) -> None:
    assert agrees("R2", label, objective(name))


@pytest.mark.parametrize("name", LINEAR)
def test_r7_is_the_form_that_differentiation_finds(name: str) -> None:
    """The left side is d^2/dt^2 f(theta + t Delta) by symflow's differentiator, the right side the statement's tree."""
    assert agrees("R7", "", objective(name))


@pytest.mark.parametrize("name", FULLY_CONNECTED)
def test_r12_exact_form_sample_by_sample(name: str) -> None:
    assert agrees("R12", "exact", objective(name))


def test_r7_and_r12_hold_for_other_losses() -> None:
    for name, loss in (("linear-3", "logistic"), ("linear-4", "cross-entropy"), ("scaled-3", "cross-entropy")):
        o = objective(name, loss)
        for result, label in (("R7", ""), ("R12", "exact")):
            left, right = sf.statement(result).instantiate(o).evaluate(label, point(o), point(o, 5), dps=40)
            assert abs(left[0] - right[0]) < 1e-33 * abs(left[0])


@pytest.mark.parametrize("name", [name for name in LINEAR if name != "linear-1"])
@pytest.mark.parametrize("label", ["flow", "descent"])
def test_r10_whole_matrices_of_linear_networks(name: str, label: str) -> None:
    assert agrees("R10", label, objective(name))


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "linear-1"])
@pytest.mark.parametrize("label", ["flow, each unit or channel", "flow, norms", "descent, each unit or channel"])
def test_r10_units_channels_and_norms(name: str, label: str) -> None:
    assert agrees("R10", label, objective(name))


def test_r10_whole_matrices_change_where_there_are_gates() -> None:
    assert not agrees("R10", "flow", objective("relu-3"))


@pytest.mark.parametrize("depth", range(1, 7))
@pytest.mark.parametrize("width", [2, 3])
def test_r14_with_exactly_balanced_rational_weights(depth: int, width: int) -> None:
    """W_j = U_{j+1} S U_j^T has (W W^T)^{(n-j)/n} = U S^{2(n-j)} U^T, rational: both sides are equal exactly."""
    widths = [width, *[3] * (depth - 1), 2]
    x = [[1, "1/2", "-2"][:width], ["-1", "2", "1/3"][:width]]
    problem = sf.Problem(
        network={"kind": "fully-connected", "widths": widths, "activation": "linear"},
        data={"x": x, "y": [["1", "-1/2"], ["2/3", "1"]]},
        init={"scheme": "balanced", "seed": depth},
    )
    instance = sf.statement("R14").instantiate(problem.objective)
    assert equal(*instance.evaluate("", problem.theta0))


def test_powers_of_matrices_agree_in_all_arithmetics() -> None:
    axis = Axis("d", 2)
    x = Input("x", (axis, axis), "data", "x")
    program = Program((x,), {"y": matrix_power(x, Fraction(2, 3))})
    square = np.array([[Fraction(4), Fraction(4)], [Fraction(4), Fraction(4)]])  # eigenvalues 8 and 0
    exact = interpret(program, {x: square}, EXACT)["y"]
    assert (exact == 2).all()  # 8^{2/3} = 4 on the diagonal direction
    lifted = np.array([[mpmath.mpf(4)] * 2] * 2, dtype=object)
    assert np.abs(interpret(program, {x: lifted}, mpmath_arithmetic())["y"] - 2).max() < 1e-9
    with jax.enable_x64(True):
        found = interpret(program, {x: jax.numpy.full((2, 2), 4.0)}, JaxArithmetic(np.float64))["y"]
    assert np.abs(np.asarray(found) - 2).max() < 1e-9
    with pytest.raises(TypeError, match="irrational"):
        interpret(program, {x: square + 1}, EXACT)
    with pytest.raises(ValueError, match="exponent >= 0"):
        matrix_power(x, -1)
    assert isinstance(matrix_power(x, 0), Identity)


def test_r14_is_false_without_balance() -> None:
    o = objective("linear-3")
    left, right = sf.statement("R14").instantiate(o).evaluate("", point(o), dps=30)
    assert np.max(np.abs(left[0] - right[0])) > 1e-3


# Negative controls: the same checks refute a statement with one thing changed -------------------------------------


def changed(result: str, label: str, right: Term) -> Instance:
    general = sf.statement(result).only(label)
    claim = general.claims[0]
    wrong = Claim(label, claim.left, claim.relation, right, claim.over)
    return Instance(Statement(result, "wrong", (wrong,), ()), Model(objective("linear-3")))


def refuted(instance: Instance, label: str) -> bool:
    o = instance.objective
    return not equal(*instance.evaluate(label, point(o), point(o, 50), hyper=STEP))


def test_r7_without_the_factor_two_is_refuted() -> None:
    right = sf.statement("R7").claims[0].right
    assert isinstance(right, Sum)
    gauss, cross = right.terms
    assert isinstance(cross, Product)
    assert not refuted(changed("R7", "", Sum((gauss, cross))), "")
    assert refuted(changed("R7", "", Sum((gauss, Product(cross.factors[1:])))), "")


def test_r10_with_one_transpose_or_sign_changed_is_refuted() -> None:
    right = sf.statement("R10").claim("descent").right
    assert not refuted(changed("R10", "descent", right), "descent")
    assert refuted(changed("R10", "descent", -right), "descent")
    assert refuted(changed("R10", "descent", Transpose(right) + right), "descent")


def test_r2_with_another_degree_is_refuted() -> None:
    right = sf.statement("R2").claim("layer").right
    assert not refuted(changed("R2", "all", Product((Number(n), right))), "all")
    assert refuted(changed("R2", "all", Product((Number(n - 1), right))), "all")


# Instances with symbolic sizes, and printing -----------------------------------------------------------------------


@pytest.mark.parametrize("depth", range(1, 7))
def test_symbolic_widths_give_programs(depth: int) -> None:
    for result in ("R2", "R7", "R9", "R10", "R12", "R14"):
        general = sf.statement(result)
        instance = general.instantiate(depth)
        for claim in general.claims:
            if depth == 1 and claim.over is not None and claim.over.high == n - 1:
                continue  # no neighbours
            program = instance.program(claim.label, "right")
            if not isinstance(claim.right, Number):
                assert {x.name for x in program.inputs if x.role == "parameter"} == {
                    f"W{layer}" for layer in range(1, depth + 1)
                }
            assert all(isinstance(a.size, int | sympy.Expr) for x in program.nodes for a in x.axes)


def test_lengths_grow_as_the_formulas_do() -> None:
    """R9(c) and (d) have O(n^2) entries of shared products, R7 O(n^2) pairs of shared chains."""
    for result, label in (("R7", ""), ("R9", "(d)"), ("R9", "(e)")):
        lengths = [sf.statement(result).instantiate(d).program(label, "right").length for d in (4, 8, 16)]
        assert lengths[2] < 5 * lengths[1] < 25 * lengths[0]


def test_latex_keeps_the_depth_symbolic_or_puts_a_number() -> None:
    assert r"\sum_{j<j'} W_{n:j'+1} \Delta_{j'} W_{j'-1:j+1} \Delta_{j} W_{j-1:1}" in sf.statement("R7").latex()
    ladder = sf.statement("R9").latex()
    assert r"-(n - 1) \|\nabla\varphi\|_F \max_{|J|=n-2} \prod_{l \in J} s_{l}" in ladder
    assert [ladder.count(rf"\text{{({x})}}") for x in "abcde"] == [1] * 5
    assert r"-2 \|\nabla\varphi\|_F \max_{|J|=1}" in sf.statement("R9(a)").latex(3)
    assert r"\bigl(W_{n:1} W_{n:1}^\top\bigr)^{(n-j)/n}" in sf.statement("R14").latex()
    assert r"W_{3:j+1}" in sf.statement("R7").latex(3)


@pytest.mark.parametrize(
    ("result", "letters"),
    [("R9", ["M", r"\widetilde M", r"\widehat M"]), ("R12", ["M", "M^{(i)}"]), ("R13", ["M", r"\widetilde M"])],
)
def test_entries_of_symmetric_matrices_are_given_for_j_below_j_prime(result: str, letters: list[str]) -> None:
    """M_jj' has its formula for j < j' only: W_{j'-1:j+1} is another matrix for j > j'."""
    lines = sf.statement(result).latex().splitlines()
    for m in letters:
        (line,) = [x for x in lines if f"{m}_{{jj'}} = {m}_{{j'j}} = " in x]
        assert line.removesuffix(r" \\").endswith(rf"\quad (j < j'),\quad {m}_{{jj}} = 0")


def test_every_bound_of_several_has_the_name_by_which_it_is_known() -> None:
    for result, labels in (("R12", ["exact", "R12", "(c)", "(e)"]), ("R13", [r"($\kappa$)", "R13"])):
        text = sf.statement(result).latex()
        assert re.findall(r"^\\text\{(.*)\}\\quad", text, re.MULTILINE) == labels
    assert r"\text{linear, $\beta$}\quad " in sf.statement("R4").latex()


def test_what_the_letters_mean_is_said_once() -> None:
    for result in sf.statements():
        text = sf.statement(result).latex()
        assert text.replace(r"\phantom{\text{where }}", "").count(r"\text{where }") <= 1
    assert r"f(\theta) = \varphi(W_{n:1})" in sf.statement("R9").latex()
    assert r"\nabla\ell_i = \nabla_{\hat y}\,\ell(h_\theta(x_i),y_i)" in sf.statement("R12").latex()


@pytest.mark.parametrize("result", sf.statements())
def test_every_statement_has_source_hypotheses_and_balanced_latex(result: str) -> None:
    general = sf.statement(result)
    assert general.source == sf.cite(result)
    assert general.hypotheses
    for depth in (None, 3):
        text = general.latex(depth)
        assert text.count("{") == text.count("}")
        assert text.count(r"\bigl") == text.count(r"\bigr")
        assert text.count(r"\Bigl") == text.count(r"\Bigr")
    assert general._repr_latex_().startswith("$")
    assert general.title in general._repr_markdown_()
    assert all(h.latex in general._repr_markdown_() for h in general.hypotheses)


def test_one_tree_for_print_and_program() -> None:
    """A tree that is changed changes both: W_{n:2} in place of W_{n:1}."""
    claim = Claim("", Chain(n, 1), "=", Chain(n, 2) * W(1))
    made = Statement("R7", "split", (claim,), ())
    assert made.latex().count("W_{n:2} W_{1}") == 1
    o = objective("linear-4")
    assert equal(*made.instantiate(o).evaluate("", point(o)))
    shifted = Statement("R7", "split", (Claim("", Chain(n, 1), "=", Chain(n, 3) * W(2)),), ())
    assert shifted.latex().count("W_{n:3} W_{2}") == 1
    left, right = shifted.instantiate(o).evaluate("", point(o))
    assert left[0].shape != right[0].shape


def test_refusals_name_what_is_wrong() -> None:
    with pytest.raises(sf.ProblemError, match="no statement 'R99'"):
        sf.statement("R99")
    with pytest.raises(sf.ProblemError, match="no claim"):
        sf.statement("R9(z)")
    w = sympy.Symbol("w")
    with pytest.raises(sf.ProblemError, match="needs a network's training loss"):
        sf.statement("R7").instantiate(sf.expression_objective(w**2, [w]))
    moments = sf.moment_form(objective("linear-3"))
    assert moments is not None
    with pytest.raises(sf.ProblemError, match="moment form"):
        sf.statement("R7").instantiate(moments)
    with pytest.raises(sf.ProblemError, match="linear networks"):
        sf.statement("R7").instantiate(objective("relu-3")).program("", "right")
    with pytest.raises(sf.ProblemError, match="fully connected networks"):
        sf.statement("R12").instantiate(objective(CONVOLUTIONAL[0])).program("(e)", "right")
    with pytest.raises(ValueError, match="no value"):
        Instance(Statement("R7", "", (Claim("", W(j), "=", W(j)),), ()), Model(objective("linear-3"))).nodes("", "left")


def test_subsets_are_those_of_size_n_minus_two() -> None:
    """R9(b) by hand: (n-1) ||grad phi|| times the largest product of n-2 norms."""
    o = objective("linear-4")
    theta = point(o)
    _, (bound,) = sf.statement("R9").instantiate(o).evaluate("(b)", theta, dps=20)
    weights = [m.astype(float) for m in o.cut(np.array(theta, dtype=object)).values()]
    s = [np.linalg.norm(w, 2) for w in weights]
    end = weights[3] @ weights[2] @ weights[1] @ weights[0]
    x, y = (next(a for v, a in o.data.items() if v.name == name).astype(float) for name in "XY")
    slope = np.linalg.norm((end @ x - y) @ x.T / x.shape[1], 2)
    assert abs(float(bound[()]) + 3 * slope * max(a * b for a, b in combinations(s, 2))) < 1e-12 * abs(float(bound[()]))
