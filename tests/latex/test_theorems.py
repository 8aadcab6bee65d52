"""Certified statements as LaTeX: the theorem says what was proved, and is typeset."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from test_latex_pages import typeset

import symflow as sf

PREAMBLE = r"\documentclass{article}\usepackage{amsmath,amsthm}\newtheorem{theorem}{Theorem}\begin{document}"
SCALARS = sf.Problem(network=sf.FullyConnected((1, 1, 1)), data={"x": [1], "y": [1]}, init={"theta": ["1/2", 1]})
LEAKY = sf.Problem(
    network={"widths": [2, 2, 2, 1], "activation": "homogeneous", "alpha": "3/2", "alpha_bar": "-1/4"},
    data={"x": [["1/3", "-1/2"], [0.1, 1]], "y": [1, -1]},
    init={"theta": [str(k % 5 - 2) + "/3" for k in range(1, 11)]},
    loss="logistic",
)
LOGISTIC = sf.Problem(
    network=sf.FullyConnected((1, 1)), data={"x": [1], "y": [1]}, init={"theta": [0]}, loss="logistic"
)


def theorems() -> list[str]:
    asked = [
        sf.certify(SCALARS, step_size="1/10", steps=9, distance="1/50", loss="1/100", flow_time=4),
        sf.certify(SCALARS, step_size="1/10", steps=9, distance="1/5000"),
        sf.certify(SCALARS, step_size="1/10", steps=100, loss="1/100", stays_below=True),
        sf.certify(SCALARS, limit=["5/6", "6/5"], radius="1/10"),
        sf.certify(LEAKY, step_size="1/100", steps=5, distance="1/50"),
        sf.certify(LOGISTIC, step_size="1/10", steps=9, distance="1/50", method=sf.HeavyBall("1/2")),
    ]
    return [cert.latex("a_theorem & more.json") for cert in asked]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_theorems_are_typeset(tmp_path: Path) -> None:
    log, pdf = typeset(tmp_path, "\n".join([PREAMBLE, *theorems(), r"\end{document}"]))
    assert pdf.startswith(b"%PDF")
    assert "Undefined" not in log


def test_a_theorem_says_what_was_proved() -> None:
    first, second, third, fourth, fifth, sixth = theorems()
    assert r"\|\theta_k-\theta(k\eta)\| \le \tfrac{1}{50}" in first
    assert r"f(\theta(t)) \le \tfrac{1}{100} \quad \text{for all } t \ge 4" in first
    assert r"\|\theta_k-\theta(k\eta)\| > \tfrac{1}{5000} \quad \text{at } k = " in second
    assert r"\text{for all } k \ge 100" in third
    assert r"\theta^*=(\tfrac{5}{6},\allowbreak \tfrac{6}{5})" in fourth
    assert r"\dot\theta\in-\partial f(\theta)" in fifth
    assert r"$\sigma(z)=\tfrac{3}{2}z$ for $z\ge0$ and $-\tfrac{1}{4}z$ for $z<0$" in fifth
    assert r"\dot\theta=-2\,\nabla f(\theta)" in sixth
    assert all("By computation." in text and r"a\_theorem \& more.json" in text for text in theorems())
