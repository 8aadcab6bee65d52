"""Formulas as complete files: conventions, numbers, labels; problem files of which only formulas are wanted."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import sympy
from test_latex_pages import needs_latex, too_wide, typeset

import symflow as sf
from symflow.cli.app import main
from symflow.errors import ProblemError
from symflow.latex.conventions import conventions
from symflow.problem.formulas import load_objective

D = sympy.symbols("d_0:3", integer=True, positive=True)
LINEAR, RELU = (sf.network_objective(sf.FullyConnected(D, 1, slope), None, None) for slope in (1, 0))
PIECES = {  # what a sentence of the conventions holds
    "row-major": "Kronecker", "bar": "A bar", "time": "in time", "direction": r"\Delta = (", "entrywise": r"$\odot$",
    "gates": r"$D_j", "columns": "columns are samples", "chain": "W_{j':j} =", "blocks": "ab,pq",
}  # fmt: skip


def said(derived: sf.Derived) -> set[str]:
    text = " ".join(conventions(derived.objective, derived.latex().splitlines()))
    return {name for name, piece in PIECES.items() if piece in text}


def test_conventions_are_those_of_what_occurs() -> None:
    assert said(sf.loss(LINEAR)) == {"columns", "chain"}
    assert said(sf.gradient_flow(LINEAR)) == {"columns", "chain", "bar", "time"}
    assert said(sf.gradient_flow(RELU)) == {"columns", "bar", "time", "entrywise", "gates"}
    assert said(sf.hessian_form(LINEAR)) == {"columns", "chain", "direction"}
    assert said(sf.hessian(LINEAR)) == {"columns", "chain", "bar", "row-major", "blocks"}


def test_blocks_of_the_hessian_are_row_major() -> None:
    r"""H_{11} = 1/N (W_2^T W_2) (x) (X X^T), read as the conventions say, is the Hessian; column-major it is not."""
    rng = np.random.default_rng(1)
    x, w1, w2 = rng.integers(-3, 4, (5, 2)), rng.normal(size=(3, 2)), rng.normal(size=(1, 3))
    objective = sf.network_objective(sf.FullyConnected((2, 3, 1)), x, np.ones(5, int))
    theta = np.concatenate([w1.reshape(-1), w2.reshape(-1)])
    block = np.asarray(sf.to_jax(sf.hessian(objective))(theta))[:6, :6]
    left, right = w2.T @ w2, x.T @ x / 5
    entries = np.einsum("ap,bq->abpq", left, right)  # row (a,b), column (p,q) holds P_ap Q_bq
    assert np.allclose(block, entries.reshape(6, 6))
    assert not np.allclose(block, np.kron(right, left))


def test_every_equation_has_a_number_and_a_label_of_its_own() -> None:
    _, _, text = sf.hessian(RELU).latex(document=True).partition(r"\begin{document}")
    labels = re.findall(r"\\label\{(eq:hessian:\d+)\}", text)
    assert labels == [f"eq:hessian:{k}" for k in range(1, len(labels) + 1)]
    (aligned,) = re.findall(r"\\begin\{align\}(.*?)\\end\{align\}", text, re.DOTALL)
    lines = aligned.strip().split(" \\\\\n")
    assert all(("\\label" in line) != ("\\nonumber" in line) for line in lines)
    assert len(labels) == sum("&=" in line for line in lines)
    assert "\\label" not in sf.hessian(RELU).latex()


def test_claims_of_a_result_are_numbered_and_what_they_define_follows() -> None:
    _, _, text = sf.statement("R9").latex(document=True).partition(r"\begin{document}")
    assert re.findall(r"\\numbered\{(eq:R9:\d)\}", text) == [f"eq:R9:{k}" for k in range(1, 6)]
    _, _, where = text.partition(r"\defined{")
    assert r"\quad (j < j')" in where


@needs_latex
def test_documents_are_typeset(tmp_path: Path) -> None:
    for text in (sf.hessian(RELU).latex(document=True), sf.statement("R16").latex(document=True)):
        log, _ = typeset(tmp_path, text)
        assert too_wide(log) == []


def write(folder: Path, text: str) -> Path:
    file = folder / "net.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_network_alone_is_enough(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path, '[network]\nwidths = ["d_0", "d_1", "d_2"]\nactivation = "relu"\n')
    name, objective, problem = load_objective(file)
    assert (name, problem) == ("net", None)
    assert sf.hessian(objective).latex() == sf.hessian(RELU).latex()
    assert main(["derive", str(file), "--document", str(tmp_path / "net.tex")]) == 0
    assert sf.gradient_flow(RELU).latex() in capsys.readouterr().out
    assert r"\label{eq:gradient-flow:1}" in (tmp_path / "net.tex").read_text(encoding="utf-8")
    network = '[network]\nwidths = [2, 3]\nactivation = "linear"\n'
    file = write(tmp_path, network + '[loss]\nkind = "logistic"\n[run]\ndps = 20\n')
    assert load_objective(file)[1].sample_loss == sf.Loss("logistic")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[network]\nwidths = ["d 0", 1]\nactivation = "relu"\n', 'names such as "d_0"'),
        ('[network]\nwidths = ["N", 1]\nactivation = "relu"\n', 'other than "N"'),
        ('[network]\nwidths = ["m", 0]\nactivation = "relu"\n', "network.widths"),
        ('[network]\nwidths = ["m", "k"]\nactivation = "relu"\n[init]\nscheme = "xavier"\n', "must be an integer"),
        ('[network]\nwidths = ["m", "k"]\nactivation = "relu"\ncolour = 1\n', "colour is not a known key"),
        ('[loss]\nkind = "square"\n', "network is missing"),
    ],
)
def test_what_a_file_of_formulas_may_not_hold(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ProblemError, match=re.escape(said)):
        load_objective(write(tmp_path, text))
