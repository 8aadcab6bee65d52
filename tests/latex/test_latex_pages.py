r"""Documents and pages: they are typeset, nothing is too wide, and they say what belongs to their problem."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import sympy
from plain_objectives import ARCHITECTURES, EXPRESSIONS, LOSSES, OBJECTIVES, everything, network, symbolic

from symflow.derivatives.derived import directional_derivative
from symflow.errors import ProblemError
from symflow.latex import derived_latex, formulas
from symflow.latex.escape import escape
from symflow.networks.objective import Objective
from symflow.networks.training_loss import network_objective
from symflow.report.latex_document import latex_document
from symflow.report.problem_formulas import formula_sections

Rows = list[tuple[str, str, str]]
SETTINGS = [("N", "number of samples", "5"), ("", "initialization", "exactly balanced, scale 1/2, seed 7")]
BOUNDS = [
    ("R4", [(r"\beta", "largest ‖H‖ on the tube", "3.21, sampled at 200 times"), (r"\eta", "step size", "1/100")]),
    ("R22", [("", "bound", "not applicable: the tube crosses a kink at t = 0.25 (sample 3, layer 1, unit 2)")]),
    ("R18", [("e(T)", "leading order", "1." + "123456789" * 12 + "e-3, estimated")]),
    ("R6", []),
]
HOSTILE = (
    r"50% of a_b & c # $x$ ~ ^ \input{/etc/passwd} {Größe} λ≥0 Ångström naïve ŷ „中“ <|`\"|> -- ?`"
    + "\n\n\\end{document}"
)


def formulas_document(objective: Objective, title: str, settings: Rows, bounds: list[tuple[str, Rows]]) -> str:
    """The formulas of an objective as a LaTeX document."""
    return latex_document(title, formula_sections(objective, settings, bounds))


def symbolic_widths(depth: int, relu: bool) -> Objective:
    widths = sympy.symbols(f"d_0:{depth + 1}", integer=True, positive=True)
    return network_objective(network(widths, 1, 0 if relu else 1), None, None)


DOCUMENTS = {
    **{f"linear {n}": OBJECTIVES[f"linear moments {n}"] for n in (1, 2, 6)},
    **{f"linear {n}, symbolic": symbolic_widths(n, False) for n in (1, 2, 6)},
    **{f"relu {n}, symbolic": symbolic_widths(n, True) for n in (2, 4)},
    "relu 3": OBJECTIVES["relu 3"],
    "leaky 4": OBJECTIVES["leaky 4"],
    **{f"expression {n}": OBJECTIVES[e] for n, e in enumerate(EXPRESSIONS)},
}


def typeset(tmp_path: Path, source: str) -> tuple[str, bytes]:
    """The log of pdflatex (which must succeed) and the page count's place, the PDF."""
    (tmp_path / "paper.tex").write_text(source, encoding="utf-8")
    run = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "paper.tex"],
        cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=120,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-3000:]
    return (tmp_path / "paper.log").read_text(errors="replace"), (tmp_path / "paper.pdf").read_bytes()


def too_wide(log: str) -> list[str]:
    return [m[0] for m in re.finditer(r"Overfull \\hbox \(([\d.]+)pt too wide\).*", log) if float(m[1]) > 5]


needs_latex = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex on this machine")


@needs_latex
@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_compile_and_fit(name: str, tmp_path: Path) -> None:
    log, pdf = typeset(tmp_path, formulas_document(DOCUMENTS[name], HOSTILE, SETTINGS, BOUNDS))
    assert pdf.startswith(b"%PDF")
    assert too_wide(log) == []


@needs_latex
def test_every_formula_fits_in_inline_and_display_mathematics(tmp_path: Path) -> None:
    start = "\\documentclass[10pt,a4paper]{article}\\usepackage[margin=2.5cm]{geometry}\\usepackage{amsmath}\n"
    start += "\\parindent0pt\\begin{document}\n"
    formulas = [d for o in DOCUMENTS.values() for d in everything(o)]
    displays = [f"\\[\n{derived_latex(d)}\n\\]\n\\clearpage" for d in formulas]
    inline = [f"{d._repr_latex_()}\n\n\\clearpage" for d in formulas]
    log, _ = typeset(tmp_path, start + "\n".join(displays + inline) + "\n\\end{document}\n")
    assert too_wide(log) == []


@needs_latex
@pytest.mark.parametrize(
    "architecture",
    [
        pytest.param(name, marks=() if name in ("relu 3", "2-D, average", "2-D, max") else pytest.mark.thorough)
        for name in ARCHITECTURES
    ],
)
def test_all_losses_are_typeset(architecture: str, tmp_path: Path) -> None:
    objectives = {name: symbolic(architecture, name) for name in LOSSES}
    documents = {name: formulas_document(o, name, SETTINGS, BOUNDS) for name, o in objectives.items()}
    shown = [*everything(objectives["cross-entropy"])]
    shown += [directional_derivative(objectives["logistic"], k) for k in (0, 4)]
    displays = ["\\begin{align*}\n" + " \\\\\n".join(formulas(d).lines) + "\n\\end{align*}" for d in shown]
    bodies = [d[d.index("\\section{The network}") : d.index("\\begin{thebibliography}")] for d in documents.values()]
    start = documents["square"][: documents["square"].index("\\section{The network}")]
    source = start + "\\clearpage\n".join(bodies + displays) + "\n\\end{document}\n"
    log, _ = typeset(tmp_path, source)
    assert too_wide(log) == []
    for needed in (r"\operatorname{lse}", r"\operatorname{softmax}", r"\varsigma", r"\log(1 + e^{-Y"):
        assert needed in source
    for part, needed in (("max", r"\mathcal{S}_{"), ("average", r"\operatorname{avg}_{"), ("-D", r"\mathcal{P}_{")):
        assert (needed in "".join(displays)) == (part in architecture)


@needs_latex
def test_a_line_too_wide_is_noticed(tmp_path: Path) -> None:
    source = formulas_document(OBJECTIVES["relu 3"], "wide", SETTINGS, BOUNDS)
    log, _ = typeset(tmp_path, source.replace(r"\dot{W}_{1} &= ", r"\dot{W}_{1} &= " + "A + " * 60))
    assert too_wide(log)


def test_a_document_states_what_belongs_to_its_network() -> None:
    linear = formulas_document(OBJECTIVES["linear samples 3"], "p", SETTINGS, BOUNDS)
    assert r"\dot{W}_{2} &= -W_{3}^\top \nabla\varphi\, W_{1}^\top" in linear  # rewritten to moments
    assert r"W_{n:j'+1} \Delta_{j'} W_{j'-1:j+1} \Delta_{j} W_{j-1:1}" in linear  # the tree of R7
    assert "The activation has kinks" not in linear
    relu = formulas_document(OBJECTIVES["relu 3"], "p", SETTINGS, BOUNDS)
    assert "The activation has kinks" in relu
    assert relu.count(r"D_{1} &= \sigma'(Z_{1})") == 1
    expression = formulas_document(OBJECTIVES[EXPRESSIONS[0]], "p", [], [])
    assert "balancedness" not in expression
    for text in (linear, relu):
        assert "not applicable: the tube crosses a kink" in text
        assert all(f"]{{{key}}}" in text for key in ("EC21", "HNW93", "ACH18", "DHL18"))
    with pytest.raises(ProblemError, match="R99"):
        formulas_document(OBJECTIVES["relu 3"], "p", [], [("R99", [])])


def test_text_from_the_user_cannot_act_as_latex() -> None:
    escaped = escape(HOSTILE)
    assert r"\input" not in escaped
    assert r"\end{document}" not in escaped
    assert escape("50% a_b") == r"50\% a\_b"
    assert escape("Größe é ï Å") == r"Gr\"{o}\ss{}e \'{e} \"{\i} \r{A}"
    assert escape("λ ≥ 0 中") == r"$\lambda$ $\ge$ 0 [U+4E2D]"
    assert escaped.isascii()
