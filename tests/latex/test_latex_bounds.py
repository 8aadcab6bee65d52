"""Norms, eigenvalues, maxima and matrices of numbers, which curvature bounds are made of."""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations

from plain_objectives import network
from read_latex import disagreement

from symflow.derivatives.derived import Derived
from symflow.latex import derived_latex, printed_width
from symflow.networks.objective import Objective
from symflow.networks.training_loss import network_objective
from symflow.programs.nodes import (
    Axis,
    Const,
    Identity,
    LargestEigenvalue,
    Node,
    SpectralNorm,
    add,
    hadamard,
    inner,
    matmul,
    maximum,
    power,
    scale,
    stack,
)
from symflow.programs.program import Program

N = 6
OBJECTIVE: Objective = network_objective(network((2, 3, 2, 3, 2, 3, 2)), None, None)
NORMS = [SpectralNorm(w) for w in OBJECTIVE.parameters]


def product(factors: list[Node]) -> Node:
    total: Node = Const(Fraction(1), ())
    for x in factors:
        total = hadamard(total, x)
    return total


def bound(node: Node) -> Derived:
    return Derived("bound", OBJECTIVE, Program(OBJECTIVE.program.inputs, {"b": node}), "scalar")


def right_side(node: Node) -> str:
    (line,) = derived_latex(bound(node)).split("\n")[1:-1]
    return line.split(" &= ")[1]


def off_diagonal(entries: dict[tuple[int, int], Node]) -> Node:
    axis = Axis("layer", N)
    zero = Const(Fraction(0), ())
    return stack([stack([entries.get((i, j), zero) for i in range(N)], axis) for j in range(N)], axis)


def test_norms_and_maxima() -> None:
    w1, w2 = OBJECTIVE.parameters[:2]
    assert right_side(SpectralNorm(matmul(w2, w1))) == r"\|W_{2:1}\|"
    assert right_side(power(inner(w1, w1), Fraction(1, 2))) == r"\|W_{1}\|_F"
    assert right_side(SpectralNorm(Identity((w1.axes[1], w1.axes[1])))) == "1"
    largest = maximum([NORMS[0], scale(2, NORMS[1]), hadamard(NORMS[0], NORMS[1])])
    assert right_side(scale(-3, largest)) == r"-3 \max\{\|W_{1}\|, 2 \|W_{2}\|, \|W_{1}\| \|W_{2}\|\}"


def test_a_matrix_of_numbers() -> None:
    axis = Axis("layer", 2)
    matrix = stack([stack([Const(Fraction(0), ()), NORMS[0]], axis), stack([NORMS[1], NORMS[2]], axis)], axis)
    shown = r"\begin{pmatrix} 0 & \|W_{2}\| \\ \|W_{1}\| & \|W_{3}\| \end{pmatrix}"
    assert right_side(LargestEigenvalue(matrix)) == rf"\lambda_{{\max}}({shown})"


def test_the_bound_of_r9c_at_depth_six_fits_on_a_page_and_has_its_value() -> None:
    entries = {
        (i, j): product([s for k, s in enumerate(NORMS) if k not in (i, j)]) for i, j in permutations(range(N), 2)
    }
    w = OBJECTIVE.parameters[0]
    derived = bound(scale(-1, hadamard(SpectralNorm(add([(1, w), (2, w)])), LargestEigenvalue(off_diagonal(entries)))))
    latex = derived_latex(derived)
    rows = [row for line in latex.split("\n") for row in line.split(r" \\ ")]
    assert all(printed_width(row) < 90 for row in rows)
    assert r"\lambda_{\max}(" in latex
    assert disagreement(derived, latex) < 1e-12
    assert disagreement(derived, latex.replace(r"\lambda_{\max}(", r"2 \lambda_{\max}(")) > 1e-3
