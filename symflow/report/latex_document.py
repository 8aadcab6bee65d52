r"""Documents in LaTeX.

They need nothing beyond a minimal TeX installation (amsmath, amssymb, geometry, hyperref, longtable) and two runs of
pdflatex.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from symflow.latex.escape import escape
from symflow.latex.results import FITTING, THEOREM, bibliography, keys, result_latex
from symflow.report.parts import Display, Facts, Items, Note, Part, Prose, Section, Stated
from symflow.theory.registry import find


def latex_document(title: str, sections: Sequence[Section], also: Collection[str] = ()) -> str:
    """Sections as a LaTeX document, with the literature that their results cite, and that with these keys."""
    parts = [_PREAMBLE, "\\begin{document}", rf"\begin{{center}}\Large {escape(title)}\end{{center}}"]
    for section in sections:
        heading = [rf"\section{{{escape(section.title)}}}"] if section.title else []
        parts += [*heading, *map(_part, section.parts)]
    stated = [part.result for section in sections for part in section.parts if isinstance(part, Stated)]
    cited = {key for name in stated for key in keys(find(name).source)} | set(also)
    return "\n\n".join([*parts, bibliography(cited), "\\end{document}", ""])


def _part(part: Part) -> str:
    if isinstance(part, Prose):
        return part.latex
    if isinstance(part, Items):
        return "\n".join([r"\begin{itemize}", *(rf"\item {text}" for text in part.latex), r"\end{itemize}"])
    if isinstance(part, Display) and part.label:
        return f"{part.latex}\n{numbered(part.lines, part.label)}".strip()
    if isinstance(part, Display):
        return "\n".join([part.latex, r"\begin{align*}", " \\\\\n".join(part.lines), r"\end{align*}"])
    if isinstance(part, Stated):
        return result_latex(part.result)
    if isinstance(part, Facts):
        return f"{escape(part.title)}\n{table(part.rows)}" if part.title else table(part.rows)
    if isinstance(part, Note):
        return escape(part.text)
    raise TypeError(f"a LaTeX document has no {type(part).__name__}")


def numbered(equations: Sequence[str], label: str) -> str:
    """Equations, each with a number at its last line and the labels ``label:1``, ``label:2``, ...."""
    lines = []
    for number, equation in enumerate(equations, start=1):
        *before, last = equation.split(" \\\\\n")
        lines += [rf"{line} \nonumber" for line in before] + [rf"{last} \label{{{label}:{number}}}"]
    return "\n".join([r"\begin{align}", " \\\\\n".join(lines), r"\end{align}"])


def table(rows: Sequence[tuple[str, str, str]]) -> str:
    """Rows (LaTeX symbol, meaning, value) as a table that may break across pages."""
    lines = [r"\begin{longtable}{@{}>{\raggedright}p{0.16\textwidth}>{\raggedright}p{0.36\textwidth}"
             r">{\raggedright\arraybackslash}p{0.42\textwidth}@{}}", r"\hline"]  # fmt: skip
    for at, (symbol, meaning, value) in enumerate(rows):
        strut = "" if at else r"\rule{0pt}{2.6ex}"
        mathematics = f"${symbol}$" if symbol else ""
        lines.append(f"{strut}{mathematics} & {escape(meaning)} & {escape(value)} \\\\[0.4ex]")
    return "\n".join([*lines, r"\hline", r"\end{longtable}"])


_PREAMBLE = (
    r"""\documentclass[10pt,a4paper]{article}
\usepackage[margin=2.5cm]{geometry}
\usepackage{amsmath,amssymb,array,longtable}
\usepackage[hidelinks]{hyperref}
\allowdisplaybreaks
\setlength{\parindent}{0pt}
\setlength{\parskip}{0.5ex plus 0.5ex}
\emergencystretch=2em
"""
    + FITTING
    + "\n"
    + THEOREM
)
