r"""The printed formulas: what they say, and whether they are right.

Whether they are right is decided by reading the LaTeX back (`read_latex`).
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import pytest
import sympy
from plain_objectives import OBJECTIVES, everything, network
from read_latex import disagreement

from symflow.derivatives.derived import Derived, gradient, gradient_flow, hessian, hessian_form, loss
from symflow.latex import derived_latex, printed_width
from symflow.latex.definitions import network_latex
from symflow.networks.objective import Objective
from symflow.networks.training_loss import network_objective
from symflow.programs.nodes import Axis, Identity, Input, Node, add, apply, einsum
from symflow.programs.program import Program
from tests.latex.latex_values import UnknownSize


@cache
def all_formulas(name: str) -> list[tuple[Derived, str]]:
    return [(derived, derived_latex(derived)) for derived in everything(OBJECTIVES[name])]


# --- What is printed is right -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OBJECTIVES)
def test_printed_formulas_have_the_value_of_the_program(name: str) -> None:
    for derived, latex in all_formulas(name):
        assert disagreement(derived, latex) < 1e-12, f"{derived.kind}\n{latex}"


def random_program(seed: int) -> Derived:
    """Products of matrices, vectors and a tensor, contracted, transposed, traced and broadcast at random, in sums."""
    rng = np.random.default_rng(seed)
    p, q, s = axes = Axis("d0", 2), Axis("d1", 3), Axis("sample", 4)
    shapes = {"A": (p, q), "B": (q, p), "C": (p, p), "Sigma_xx": (p, p), "X": (q, s), "v": (p,), "u": (q,), "k": (),
              "Q": (p, q, s)}  # fmt: skip
    inputs = [Input(n, a, "data", {"Sigma_xx": r"\Sigma_{xx}"}.get(n, n)) for n, a in shapes.items()]
    pool: list[Node] = [*inputs, Identity((p, p))]
    labels = {p: (0, 1), q: (2, 3), s: (4, 5)}
    broadcast = {i: a for a in axes for i in labels[a]}
    results: list[Node] = []
    for _ in range(8):
        chosen = [pool[int(i)] for i in rng.integers(0, len(pool), int(rng.integers(1, 5)))]
        used = [tuple(int(rng.choice(labels[a])) for a in x.axes) for x in chosen]
        known = sorted({i for indices in used for i in indices})
        spread = rng.random() < 0.15
        if spread:
            known = sorted({*known, int(rng.integers(0, 6))})
        out = tuple(int(i) for i in rng.permutation(known)[: int(rng.integers(0, 5))])
        node = einsum(chosen, used, out, broadcast)
        same = [x for x in pool if x.axes == node.axes]
        if same and rng.random() < 0.5:
            node = add([(Fraction(int(rng.integers(1, 4)), 2), node), (-2, same[int(rng.integers(0, len(same)))])])
        if not node.axes and rng.random() < 0.3:
            node = apply("sin", node)
        results.append(node)
        if len(node.axes) <= 2 and not spread:
            pool.append(node)
    program = Program(tuple(inputs), {f"r{n}": x for n, x in enumerate(results)})
    return Derived("random", Objective(program, ()), program, "vector")


@pytest.mark.parametrize("seeds", [80, pytest.param(300, marks=pytest.mark.thorough)])
def test_random_contractions_are_printed_right(seeds: int) -> None:
    read = 0
    for seed in range(seeds):
        derived = random_program(seed)
        try:
            assert disagreement(derived) < 1e-11, f"seed {seed}\n{derived_latex(derived)}"
        except UnknownSize:
            continue
        read += 1
    assert read > seeds * 2 / 3


@pytest.mark.parametrize(
    ("name", "derive", "right", "wrong"),
    [
        ("linear moments, equal widths", gradient, r"W_{3:2}^\top", r"W_{3:2}"),
        ("linear moments, equal widths", gradient, r"W_{3}^\top \nabla\varphi\, W_{1}^\top",
         r"W_{1}^\top \nabla\varphi\, W_{3}^\top"),
        ("linear moments, equal widths", hessian, r"\delta_{aq}", r"\delta_{bp}"),
        ("linear moments, equal widths", hessian_form, "B_{3:1} &= 2", "B_{3:1} &= 3"),
        ("relu 3, equal widths", gradient, r"W_{2}^\top", r"W_{2}"),
        ("relu 3, equal widths", hessian, r"X_{bs}", r"X_{as}"),
        ("relu 3", hessian_form, r"\sigma'(Z_{1})", r"\sigma'(-Z_{1})"),
    ],
)  # fmt: skip
def test_the_reader_notices_a_wrong_formula(name: str, derive: Any, right: str, wrong: str) -> None:
    derived = derive(OBJECTIVES[name])
    latex = derived_latex(derived)
    assert right in latex
    assert disagreement(derived, latex) < 1e-12
    assert disagreement(derived, latex.replace(right, wrong)) > 1e-3


# --- What is printed is the theory's ----------------------------------------------------------------------------------


def lines_of(derived: Derived) -> list[str]:
    return derived_latex(derived).split("\n")[1:-1]


def test_gradient_flow_of_a_linear_network_is_the_theorys() -> None:
    assert lines_of(gradient_flow(OBJECTIVES["linear moments 3"])) == [
        r"\nabla\varphi &= W_{3:1} \Sigma_{xx} - \Lambda_{yx} \\",
        r"\dot{W}_{1} &= -W_{3:2}^\top \nabla\varphi \\",
        r"\dot{W}_{2} &= -W_{3}^\top \nabla\varphi\, W_{1}^\top \\",
        r"\dot{W}_{3} &= -\nabla\varphi\, W_{2:1}^\top",
    ]


def test_hessian_form_of_a_linear_network_is_the_theorys() -> None:
    # R7 at n = 3, with A = A_{3:1} and B_{3:1} / 2 the sum over j < j'.
    assert lines_of(hessian_form(OBJECTIVES["linear moments 3"])) == [
        r"\nabla\varphi &= W_{3:1} \Sigma_{xx} - \Lambda_{yx} \\",
        r"A_{2:1} &= W_{2} \Delta_{1} + \Delta_{2} W_{1} \\",
        r"A_{3:1} &= \Delta_{3} W_{2:1} + W_{3} A_{2:1} \\",
        r"B_{3:1} &= 2 W_{3} \Delta_{2} \Delta_{1} + 2 \Delta_{3} A_{2:1} \\",
        r"H[\Delta,\Delta] &= \langle A_{3:1} \Sigma_{xx}, A_{3:1}\rangle + \langle \nabla\varphi, B_{3:1}\rangle",
    ]


def test_loss_and_diagonal_blocks_of_a_linear_network() -> None:
    moments = OBJECTIVES["linear moments 3"]
    assert lines_of(loss(moments)) == [
        r"f &= \tfrac{1}{2} \langle W_{3:1} \Sigma_{xx}, W_{3:1}\rangle - \langle W_{3:1}, \Lambda_{yx}\rangle"
        r" + \tfrac{1}{2} \operatorname{Tr}\Sigma_{yy}"
    ]
    blocks = derived_latex(hessian(moments))
    assert r"H_{11} &= (W_{3:2}^\top W_{3:2}) \otimes \Sigma_{xx}" in blocks
    assert r"H_{22} &= (W_{3}^\top W_{3}) \otimes (W_{1} \Sigma_{xx} W_{1}^\top)" in blocks
    assert r"H_{33} &= I \otimes (W_{2:1} \Sigma_{xx} W_{2:1}^\top)" in blocks


def test_gradient_flow_of_a_relu_network_names_its_intermediate_results() -> None:
    lines = lines_of(gradient_flow(network_objective(network((2, 3, 2), 1, 0), None, None)))
    assert lines == [
        r"Z_{1} &= W_{1} X \\",
        r"D_{1} &= \sigma'(Z_{1}) \\",
        r"A_{1} &= D_{1} \odot Z_{1} \\",
        r"R &= W_{2} A_{1} - Y \\",
        r"\bar{R} &= \tfrac{1}{N} R \\",
        r"\bar{A}_{1} &= W_{2}^\top \bar{R} \\",
        r"\bar{Z}_{1} &= D_{1} \odot \bar{A}_{1} \\",
        r"\dot{W}_{1} &= -\bar{Z}_{1} X^\top \\",
        r"\dot{W}_{2} &= -\bar{R} A_{1}^\top \\",
        r"&\text{where }\mathopen{} \sigma'(z) := 1 \text{ for } z \ge 0, \quad 0 \text{ for } z < 0",
    ]


def test_what_was_made_before_does_not_change_what_is_printed() -> None:
    def all_printed(widths: tuple[int, ...]) -> list[str]:
        return [derived_latex(d) for d in everything(network_objective(network(widths, 1, 0), None, None))]

    axes = [Axis(f"d{j}", d) for j, d in enumerate((6, 7, 8, 9))]
    sample = Axis("sample", sympy.Symbol("N", integer=True, positive=True))
    early = [Input("Y", (axes[3], sample), "data", "Y"), Input("X", (axes[0], sample), "data", "X")]
    for j in (2, 3, 1):
        shape = (axes[j], axes[j - 1])
        early += [
            Input(f"Delta_W{j}", shape, "direction", rf"\Delta_{{{j}}}"),
            Input(f"W{j}", shape, "parameter", f"W_{{{j}}}"),
        ]
    assert all_printed((6, 7, 8, 9)) == all_printed((10, 11, 12, 13))
    assert len(early) == 8  # they had to stay alive


def test_a_dot_has_one_meaning_in_a_formula() -> None:
    for name, o in OBJECTIVES.items():
        for derived, latex in all_formulas(name):
            weights = derived.kind == "gradient flow"
            lefts = [line.split(" &=")[0] for line in latex.split("\n") if " &=" in line]
            dotted = [left for left in lefts if re.match(r"\\d+ot\{", left)]
            own = [w.latex for w in o.parameters]
            for left in dotted:
                is_weight = re.sub(r"^\\dot\{([^{}]*)\}", r"\1", left) in own
                assert is_weight == weights


def test_lines_are_short_enough_for_a_page() -> None:
    for name in OBJECTIVES:
        for _, latex in all_formulas(name):
            for line in latex.split("\n"):
                assert printed_width(line) < 90, line


def test_an_unknown_node_is_an_error() -> None:
    class Mystery:
        axes = ()
        arguments = ()

    from symflow.latex.expansion import Expansion

    with pytest.raises(TypeError, match="does not know Mystery"):
        Expansion((), {})(Mystery())  # type: ignore[arg-type]


def test_network_formula() -> None:
    assert r"h_\theta(x) &= W_{3}\,\sigma(W_{2}\,\sigma(W_{1}\,x))" in network_latex(network((2, 3, 4, 1), 1, 0))
    assert r"(d_0,\dots,d_{3}) &= (2, 3, 4, 1)" in network_latex(network((2, 3, 4, 1), 1, 0))
    assert r"\tfrac{1}{5}\,z, & z < 0" in network_latex(network((2, 3, 1), 1, Fraction(1, 5)))
    assert r"W_{3}W_{2}W_{1}\,x = W_{3:1}\,x" in network_latex(network((2, 3, 4, 1)))
    assert r"W_{7}\,\sigma(W_{6}\cdots\sigma(W_{1}\,x)\cdots)" in network_latex(network((1,) * 8, 1, 0))
