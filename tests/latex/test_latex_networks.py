"""Printed formulas of all losses and architectures: right, complete, and no wider than a page."""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import product
from math import prod
from typing import Any

import numpy as np
import pytest
import sympy
from plain_objectives import ARCHITECTURES, LOSSES, data, everything, outputs, symbolic
from read_latex import disagreement

from symflow.derivatives.derived import (
    Derived,
    directional_derivative,
    gradient,
    gradient_flow,
    hessian_form,
    hessian_vector_product,
)
from symflow.derivatives.derived import loss as value_of
from symflow.latex import derived_latex, formulas, printed_width
from symflow.networks.network import FullyConnected
from symflow.networks.objective import Objective
from symflow.networks.training_loss import network_objective
from symflow.programs.program import shape_of


def objective(architecture: str, loss: str) -> Objective:
    """With data of three samples."""
    network = ARCHITECTURES[architecture](outputs(loss))
    x = data(np.random.default_rng(0), 3, prod(shape_of(network.input_axes)))
    y = np.array([[1], [-1], [1]], dtype=object) if outputs(loss) == 1 else np.eye(3, dtype=int).astype(object)
    return network_objective(network, x, y, LOSSES[loss])


PAIRS = {(name, list(LOSSES)[i % len(LOSSES)]) for i, name in enumerate(ARCHITECTURES)}
"""Every architecture, and every loss, at least once."""


@pytest.mark.parametrize(
    ("architecture", "loss"),
    [
        pytest.param(*pair, marks=() if pair in PAIRS else pytest.mark.thorough)
        for pair in product(ARCHITECTURES, LOSSES)
    ],
)
def test_printed_formulas_have_the_value_of_the_program(architecture: str, loss: str) -> None:
    o = objective(architecture, loss)
    unread = architecture == "1-D, max, biases, skip, diagonal"  # its blocks are maps of b 1^T alone, of unknown length
    for derived in [*everything(o)[: -1 if unread else None], directional_derivative(o, 4)]:
        latex = derived_latex(derived)
        assert disagreement(derived, latex) < 1e-11, f"{derived.kind}\n{latex}"
        for line in latex.split("\n")[1:-1]:
            assert printed_width(line) < 90, line
        every_name_is_given_once_and_before_its_use(equations(derived))


# --- The notation -----------------------------------------------------------------------------------------------------


def equations(derived: Derived) -> list[str]:
    return formulas(derived).equations


@pytest.mark.parametrize(
    ("loss", "value", "slope"),
    [
        ("logistic", r"\tfrac{1}{N} \mathbf{1}^\top \log(1 + e^{-Y \odot Z_{3}}) \mathbf{1}",
         r"-\tfrac{1}{N} Y \odot \varsigma(-Y \odot Z_{3})"),
        ("exponential", r"\tfrac{1}{N} \mathbf{1}^\top \exp(-Y \odot Z_{3}) \mathbf{1}",
         r"-\tfrac{1}{N} Y \odot \exp(-Y \odot Z_{3})"),
        ("cross-entropy", r"\tfrac{1}{N} \langle \operatorname{lse}(Z_{3}), \mathbf{1}\rangle"
         r" - \tfrac{1}{N} \langle Y, Z_{3}\rangle", r"\tfrac{1}{N} \operatorname{softmax}(Z_{3}) - \tfrac{1}{N} Y"),
    ],
)  # fmt: skip
def test_losses_are_written_as_theorists_write_them(loss: str, value: str, slope: str) -> None:
    assert equations(value_of(symbolic("relu 3", loss)))[-1] == f"f &= {value}"
    for architecture in ("linear 3", "relu 3"):
        assert rf"\bar{{Z}}_{{3}} &= {slope}" in equations(gradient_flow(symbolic(architecture, loss)))


def test_a_convolutional_network_reads_like_a_fully_connected_one() -> None:
    shown = formulas(gradient_flow(symbolic("1-D, max", "cross-entropy")))
    assert shown.equations == [
        r"Z_{1} &= W_{1} \mathcal{P}_{1}(X)",
        r"D_{1} &= \sigma'(Z_{1})",
        r"A_{1} &= D_{1} \odot Z_{1}",
        r"A_{2} &= \operatorname{max}_{2}(A_{1})",
        r"Z_{3} &= W_{2} \operatorname{vec}(A_{2})",
        r"\bar{Z}_{3} &= \tfrac{1}{N} \operatorname{softmax}(Z_{3}) - \tfrac{1}{N} Y",
        r"\bar{A}_{2} &= \operatorname{vec}^{*}(W_{2}^\top \bar{Z}_{3})",
        r"\bar{A}_{1} &= \mathcal{S}_{2}^{*}[A_{1}](\bar{A}_{2})",
        r"\bar{Z}_{1} &= D_{1} \odot \bar{A}_{1}",
        r"\dot{W}_{1} &= -\bar{Z}_{1} \mathcal{P}_{1}(X)^\top",
        r"\dot{W}_{2} &= -\bar{Z}_{3} \operatorname{vec}(A_{2})^\top",
    ]
    assert shown.notes == [
        r"X, Y, Z_{j}, A_{j}\colon \text{rows are channels, columns are pixels of samples}",
        r"W_{j}\colon \text{rows are outputs, columns are inputs (channel, then place)}",
        r"\mathcal{P}_{1}\colon \text{patches, kernel } 3, \text{ stride } 1, \text{ padding } 1",
        r"\sigma'(z) := 1 \text{ for } z \ge 0, \quad \tfrac{1}{5} \text{ for } z < 0",
        r"\operatorname{max}_{2}\colon \text{largest entries of windows of size } 2, \text{ stride } 2",
        r"\operatorname{vec}\colon \text{each sample becomes one column}",
        r"\operatorname{softmax}(Z)_{cs} := e^{Z_{cs}} / \textstyle\sum_{c'} e^{Z_{c's}}",
        r"\mathcal{L}^{*}\colon \text{adjoint of a linear map } \mathcal{L}",
        r"\mathcal{S}_{2}[A](B)\colon \text{entries of } B \text{ where } \operatorname{max}_{2}(A) "
        r"\text{ is attained (one of them at a tie)}",
    ]


def test_symbolic_widths_need_no_numbers() -> None:
    d = sympy.symbols("d_0:4", integer=True, positive=True)
    for loss in ("square", "cross-entropy", "expression"):
        o = network_objective(FullyConnected(d, Fraction(1), Fraction(0)), None, None, LOSSES[loss])
        lines = equations(gradient_flow(o))
        assert [line.split(" &= ")[0] for line in lines[-3:]] == [rf"\dot{{W}}_{{{j}}}" for j in (1, 2, 3)]
        assert "{N}" in "".join(lines)
        assert derived_latex(hessian_form(o))


def every_name_is_given_once_and_before_its_use(lines: list[str]) -> None:
    lefts = [line.split(" &= ")[0] for line in lines]
    assert len(set(lefts)) == len(lefts)
    for at, line in enumerate(lines):
        for later in lefts[at:]:
            assert not re.search(rf"(?<![{{A-Za-z]){re.escape(later)}(?![A-Za-z])", line.split(" &= ")[1]), line


def test_length_grows_with_depth_alone() -> None:
    def length(depth: int) -> int:
        network = FullyConnected((3,) * (depth + 1), Fraction(1), Fraction(0))
        o = network_objective(network, None, None, LOSSES["cross-entropy"])
        return sum(len(derived_latex(f(o))) for f in (gradient_flow, hessian_form, hessian_vector_product))

    a, b, c = map(length, (4, 8, 16))
    assert c - b < 2.3 * (b - a)


@pytest.mark.parametrize(
    ("architecture", "loss", "derive", "right", "wrong"),
    [
        ("1-D, max", "square", gradient, r"\mathcal{S}_{2}^{*}[A_{1}]", r"\mathcal{S}_{2}^{*}[-A_{1}]"),
        ("2-D, average", "exponential", gradient, r"\operatorname{avg}_{2}^{*}", r"4 \operatorname{avg}_{2}^{*}"),
        ("2-D, average", "square", gradient, r"\mathcal{P}_{3}(A_{2})", r"\mathcal{P}_{3}(A_{2} \odot A_{2})"),
        ("2-D, average", "logistic", hessian_form, r"\varsigma(-Y", r"\varsigma(Y"),
        ("relu 3", "logistic", gradient, r"\varsigma(-Y", r"\varsigma(Y"),
        ("relu 3", "cross-entropy", gradient, r"\operatorname{softmax}(Z_{3})", r"\exp(Z_{3})"),
        ("linear 3", "cross-entropy", hessian_form, r"\mathbf{1} \mathbf{1}^\top", "3"),
    ],
)  # fmt: skip
def test_the_reader_notices_a_wrong_formula(architecture: str, loss: str, derive: Any, right: str, wrong: str) -> None:
    derived = derive(objective(architecture, loss))
    latex = derived_latex(derived)
    assert right in latex
    assert disagreement(derived, latex) < 1e-11
    assert disagreement(derived, latex.replace(right, wrong)) > 1e-3
