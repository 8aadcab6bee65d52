"""Results as records: ids and slugs, derivations that prove them, and one formula for what is printed and evaluated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mpmath
import pytest
import sympy

import symflow as sf
from derivations import derivations
from symflow.report.theory import pages
from symflow.theory import r05_constant_curvature as r05
from symflow.theory import r06_concave_parabola as r06
from symflow.theory import r08_unbounded_curvature as r08
from symflow.theory import r15_convergence_time as r15
from symflow.theory import r16_descent_converges as r16
from symflow.theory import r22_trajectory_wise as r22
from symflow.theory import r23_validator as r23
from symflow.theory import r24_for_all_time as r24
from symflow.theory.c02_two_scalars import two_scalars
from symflow.theory.cells import after_step, cell, constant_rate
from symflow.theory.functions import MPMATH
from symflow.theory.r04_step_size import defect
from symflow.theory.registry import RESULTS, Table, find
from symflow.theory.terms import Formula

VALUES = {
    "n": 3, "lambda": 2, "w(0)": "0.5", "c_0": "1.25", "p": "1/3", "vartheta_1": 3, "a_+": "0.75", "a_-": "0.5",
    "C": "1.5", "I_n": "1.9", "eta": "0.01", "beta": 3, "gamma": 5, "m": "0.7", "t": "1.5", "P": 11, "b_k": "0.2",
    "Lambda": 4, "mu": "0.4", "varepsilon": "0.1", "L": "0.3", "kappa": "0.6", r"\bar{s}": "1.1", r"\bar{G}": "2.5",
    "epsilon": "0.2", "b": "0.4", "e_i": "0.3", "q_i": "1.2", "j_i": "0.05", "delta_i": "0.7", "I_i": "0.9",
    "w": "1.4", "nu": "0.3", "h_i": "0.6", "m_i": "-0.8", "B": "2.5", "r": "0.35", "K": 4, "Delta": "0.15", "a": "0.1",
    r"e(\tau^-)": "0.02", "delta": "0.03", "f(q)": "0.07", "f^*": "0.01", "k": 5,
    r"\|g(q)\|": "0.03", r"\|q-\theta^*\|": "0.04", "L_i": "1.3", "d_i": "0.06", "s": 7, "E": "0.8", "S_n": "2.1",
    r"\|\nabla\varphi(0)\|": "1.7", r"\log_+\tfrac{E(0)}{\bar\varepsilon}": "3.2", "E(0)": "0.9", "E_B": "0.02",
    "s_B": "1.15", "q": "0.45", "R": "1.25", "T": 9, "T_1": 2, "m_T": "0.07", "I": 6, "E(t)": "0.3",
}  # fmt: skip


def test_every_result_answers_to_its_slug() -> None:
    assert len({r.slug for r in RESULTS.values()}) == len(RESULTS)
    for name, result in RESULTS.items():
        assert sf.cite(result.slug) == sf.cite(name)
        assert sf.statement(result.slug) == sf.statement(name)
        assert sf.statements()[result.slug] == sf.statement(name)
    assert sf.statement("curvature-linear(a)") == sf.statement("R9(a)")
    assert sf.statement("R9(a)").latex().count(r"\|_F") == 1


def test_tables_answer_to_both_names() -> None:
    table = Table({"R22": 1, "R22(tube-free)": 2, "mine": 3})
    assert (table["trajectory-wise"], table["trajectory-wise(tube-free)"], table["mine"]) == (1, 2, 3)
    assert "trajectory-wise" in table
    assert "step-size" not in table
    assert (table.get("trajectory-wise"), table.get("step-size", 4)) == (1, 4)
    assert list(table) == ["R22", "R22(tube-free)", "mine"]
    with pytest.raises(KeyError):
        table["step-size"]


def test_the_derivations_of_a_result_are_those_that_prove_it() -> None:
    proving = {name: d.proves.id for name, d in derivations().items()}
    assert {name: r.id for r in RESULTS.values() for name in r.derivations} == proving


def test_a_file_is_named_after_its_result() -> None:
    theory = Path(sf.__file__).parent / "theory"
    named = {f"{r.id[0].lower()}{int(r.id[1:]):02}_{r.slug.replace('-', '_')}" for r in RESULTS.values()}
    assert named == {p.stem for p in theory.glob("[rc][0-9]*.py")}


def printed(result: str, label: str, side: str = "right") -> Any:
    """The value of a printed expression, from SymPy alone."""
    term = getattr(find(result).statement.claim(label), side)
    assert isinstance(term, Formula)
    values = {s: sympy.nsimplify(VALUES[s.name]) for s in term.expression.free_symbols}
    return sympy.N(term.expression.subs(values), 30)


def v(name: str) -> Any:
    """A value as an mpf."""
    exact = sympy.nsimplify(VALUES[name])
    return mpmath.mpf(int(exact.p)) / int(exact.q)


@pytest.mark.parametrize(
    ("result", "label", "evaluated"),
    [
        ("R3", "cell by cell", lambda: cell(v("e_i"), v("q_i"), v("delta_i"), v("I_i"), v("j_i"))),
        ("R3", "constant rate", lambda: constant_rate(v("m_i"), v("h_i"), MPMATH)[0]),
        ("R3", "its integral", lambda: constant_rate(v("m_i"), v("h_i"), MPMATH)[1]),
        ("R3", "steps of a map", lambda: cell(v("e_i"), v("L_i"), v("d_i"), 1, v("j_i"))),
        ("R5", "deviation", lambda: defect(v("eta"), v("beta"), v("gamma")) * constant_rate(v("m"), v("t"), MPMATH)[1]),
        ("R5", "for all time", lambda: r05.for_all_time(v("varepsilon"), v("mu"), v("beta"), v("gamma"))),
        ("R6", "sufficient", lambda: r06.step_size(v("L"), v("m"), v("t"), 1)),
        ("R8", "on a family", lambda: r08.on_the_family(v("s"), v(r"\|\nabla\varphi(0)\|"))),
        ("R15", "excess loss", lambda: r15.excess(v("w"), v("lambda"), 1 - v("nu"))),
        ("R15", "time of an angle", lambda: r15.time_slope(v("p"), v("w"), v("lambda"))),
        ("R15", "fall", lambda: r15.log_slope(3, v("w"), v("lambda"), v("nu"), v("E"))),
        ("R15", "decay", lambda: r15.decay_time(v("p"), v("lambda"), v(r"\log_+\tfrac{E(0)}{\bar\varepsilon}"))),
        ("R15", "rise at depth 2", lambda: r15.rise_time_at_two(v("lambda"), v("a"), v("vartheta_1"))),
        ("R15", "exponent", lambda: r15.exponent(3, MPMATH)),
        ("R15", "constants", lambda: r15.kernel_bound(3, MPMATH)),
        ("R15", "shape, ahead", lambda: r15.shape_bound(3, v("S_n"), v("c_0"), ahead=True)),
        ("R15", "shape, behind", lambda: r15.shape_bound(3, v("S_n"), v("c_0"), ahead=False)),
        ("R15", "angle", lambda: r15.half_angle(3, v("lambda"), v("w(0)"), v("c_0"), MPMATH)),
        (
            "R15",
            "rise",
            lambda: r15.rise_time(
                3, v("p"), v("lambda"), v("w(0)"), v("a_-"), v("C"), v("vartheta_1") - v("a_+"), v("I_n"), MPMATH
            ),
        ),
        ("R15", "integral", lambda: r15.sech_integral(3, MPMATH)),
        ("R16", "layers", lambda: r16.largest_layer(3, v("w(0)"), v("lambda"), MPMATH)),
        ("R16", "product", lambda: r16.allowed_move(v("E_B"), MPMATH)),
        ("R16", "end-to-end gradient", lambda: r16.largest_gradient(v("E(0)"), v("kappa"), MPMATH)),
        ("R16", "gradient", lambda: r16.gamma(3, v(r"\bar{G}"), v(r"\bar{s}") + v("epsilon"), MPMATH)),
        (
            "R16",
            "curvature",
            lambda: r16.curvature(
                3,
                mpmath.sqrt(2 * v("E(t)")) + r16.moved_product(3, v("s"), v("epsilon") / mpmath.sqrt(3)),
                v("s") + v("epsilon"),
            ),
        ),
        (
            "R16",
            "growth",
            lambda: r16.curvature(
                3,
                r16.integrated_gradient(3, *map(v, ("lambda", "E(0)", "kappa", "T_1", "T")), MPMATH),
                v(r"\bar{s}") + v("epsilon"),
            ),
        ),
        ("R16", "layers in the basin", lambda: r16.basin_layer(3, v("lambda"), v("b"), MPMATH)),
        ("R16", "path", lambda: r16.remaining_path(v("q"), v("s_B") + v("epsilon"))),
        ("R16", "layers in the ball", lambda: r16.ball_layer(3, v("s_B"), v("epsilon") + v("r"), MPMATH)),
        ("R16", "steepness", lambda: r16.lojasiewicz(v("lambda"), v("b"), v("s_B") + v("epsilon") + v("r"))),
        ("R16", "smoothness", lambda: r16.beta(3, v("b"), v("R"))),
        ("R16", "radius", lambda: r16.radius(3, v(r"\bar{s}"), v("kappa"), MPMATH)),
        ("R16", "Hessian", lambda: r16.beta(3, v(r"\bar{G}"), v(r"\bar{s}") + v("epsilon"))),
        ("R16", "contraction", lambda: r16.contraction(v("lambda"), v("b"))),
        (
            "R22",
            "tube",
            lambda: cell(
                v("b_k"),
                mpmath.exp(v("m") * v("eta")),
                1,
                r22.added_on_tube(v("eta"), v("m"), v("beta"), v("P"), MPMATH),
            ),
        ),
        ("R22", "growth", lambda: 1 + r22.excess_growth(v("eta"), v("m"), v("Lambda"), MPMATH)),
        ("R23", "step", lambda: after_step(*map(v, ("e_i", "j_i", "m_i", "h_i", "delta_i")), MPMATH)),
        ("R23", "tail", lambda: r23.tail(v("B"), v("r"), v("K"))),
        (
            "R23",
            "crossing",
            lambda: r23.after_crossing(*map(v, (r"e(\tau^-)", "m", "Delta", "delta", "a", "b")), MPMATH),
        ),
        ("R24", "flow, path", lambda: r24.flow_length(v("f(q)") - v("f^*"), v("mu"), MPMATH)),
        (
            "R24",
            "descent, path",
            lambda: r24.descent_length(r24.flow_length(v("f(q)") - v("f^*"), v("mu"), MPMATH), v("eta"), v("beta")),
        ),
        (
            "R24",
            "descent, loss",
            lambda: (v("f(q)") - v("f^*")) * r24.descent_factor(v("eta"), v("mu"), v("beta")) ** 5,
        ),
        (
            "R24",
            "isolated, descent",
            lambda: r24.isolated_factor(v("eta"), v("mu"), v("beta"), MPMATH) ** 5 * v(r"\|q-\theta^*\|"),
        ),
        ("R24", "isolated", lambda: r24.isolated_length(v(r"\|g(q)\|"), v("mu"))),
    ],
)
def test_what_is_printed_is_what_is_evaluated(result: str, label: str, evaluated: Any) -> None:
    with mpmath.workdps(30):
        assert abs(mpmath.mpf(str(printed(result, label))) / evaluated() - 1) < mpmath.mpf(10) ** -27


def test_the_left_side_of_a_condition_is_evaluated_too() -> None:
    """R16's condition on the step size: its left side is what is compared with the radius."""
    with mpmath.workdps(30):
        found = v("beta") * v("gamma") * r16.spent(v("eta"), v("m_T"), v("I"), MPMATH)
        assert abs(mpmath.mpf(str(printed("R16", "step size", "left"))) / found - 1) < mpmath.mpf(10) ** -27


def test_formulas_print_latex_names_as_they_are() -> None:
    text = sf.statement("R18").latex()
    assert r"\theta_k-\theta(k\eta) &= " in text
    assert text.index("e_2(t)") < text.index(r"O(\eta^3)")
    assert r"\int_{0}^{t} e^{M(t) - M(s)}\,ds" in sf.statement("step-size").latex()
    with pytest.raises(sf.ProblemError, match="not a function of weights"):
        sf.statement("R4").instantiate(2).program("deviation", "right")


def test_two_scalars_solve_their_equation() -> None:
    """u' = sqrt(c^2 + 4 u^2)(lambda - u), by central differences."""
    with mpmath.workdps(40):
        h = mpmath.mpf(10) ** -12
        for u0, c in ((mpmath.mpf("0.3"), mpmath.mpf("0.8")), (mpmath.mpf("-0.2"), mpmath.mpf(0)), (mpmath.mpf(2), 0)):
            before, u, after = (two_scalars(u0, c, mpmath.mpf(1), mpmath.mpf(1) + k * h, MPMATH) for k in (-1, 0, 1))
            assert abs((after - before) / (2 * h) - mpmath.sqrt(c**2 + 4 * u**2) * (1 - u)) < mpmath.mpf(10) ** -20


def test_the_pages_of_the_theory_are_up_to_date() -> None:
    folder = Path(__file__).parent.parent.parent / "docs" / "theory"
    written = pages()
    for name, text in written.items():
        assert (folder / name).read_text(encoding="utf-8") == text, "run python -m symflow.report.theory"
    assert all(f"## {r.id} {r.slug}\n" in written["results.md"] for r in RESULTS.values())
