"""Results as LaTeX text: what they assume, the trees of their claims, their sources, and a bibliography."""

from __future__ import annotations

import re
from collections.abc import Collection

from symflow.latex.escape import escape
from symflow.latex.statements import statement_latex
from symflow.theory.registry import find
from symflow.theory.result import OURS, SOURCES, Result
from symflow.theory.statement import Statement


def result_latex(name: str) -> str:
    """A result with its name and sources, its assumptions and its claims.

    Raises:
        ProblemError: no such result.
    """
    result = find(name)
    cited = keys(result.source)
    sources = f" [{', '.join(cited)}]" if cited else ""
    parts = [rf"\paragraph{{{result.id} ({result.title}){sources}.}}", assumed(result), display(result.main)]
    return "\n".join([*parts, result.remark])


def theorem(result: Result, statement: Statement, formulas: str, heading: str = "") -> str:
    r"""A statement of a result as an environment ``result``, with the label ``result:R9``.

    Args:
        result: what it belongs to.
        statement: the result's own or a part of it.
        formulas: LaTeX of its claims; empty where there are none.
        heading: in place of the result's title.
    """
    name = f"{result.id}, {heading}" if heading else result.id
    cited = keys(result.source)
    sources = rf", \cite{{{','.join(cited)}}}" if cited else ""
    parts = [rf"\begin{{result}}{{{name}}}{{{result.title}{sources}}}\label{{result:{label(name)}}}"]
    if statement.hypotheses:
        parts.append(f"Suppose {'; '.join(h.latex for h in statement.hypotheses)}. Then")
    if formulas:
        parts.append(rf"\statement{{{formulas}}}")
    return "\n".join([*parts, r"\end{result}"])


def label(name: str) -> str:
    """A name as part of a LaTeX label."""
    return re.sub(r"[^\w]+", "-", name).strip("-")


def assumed(result: Result) -> str:
    """The assumptions as a sentence."""
    return f"Suppose {'; '.join(a.latex for a in result.assumptions)}. Then"


def display(statement: Statement) -> str:
    """A statement as a display, smaller where it is wider than the line; the text needs the command of `FITTING`."""
    return rf"\statement{{{statement_latex(statement)}}}"


FITTING = r"""\usepackage{graphicx}
\newsavebox{\onelinebox}
% smaller where it does not fit, and smaller again
\newcommand{\statement}[1]{\sbox{\onelinebox}{$\displaystyle #1$}%
\ifdim\wd\onelinebox<\linewidth\[#1\]\else\sbox{\onelinebox}{\small$\displaystyle #1$}%
\ifdim\wd\onelinebox<\linewidth{\small\[#1\]}\else\sbox{\onelinebox}{\footnotesize$\displaystyle #1$}%
\ifdim\wd\onelinebox<\linewidth{\footnotesize\[#1\]}\else\[\resizebox{0.99\linewidth}{!}{\usebox{\onelinebox}}\]\fi\fi\fi}"""
"""The definition of the LaTeX command that sets a display in a size that fits."""
THEOREM = r"""\makeatletter
% #1: its number, which references to its label print; #2: its title and sources
\newenvironment{result}[2]{\par\medskip\phantomsection\def\@currentlabel{#1}\textbf{Result #1} (#2)\textbf{.}\quad
\ignorespaces}{\par\medskip}
\makeatother"""
"""The definition of the environment of `theorem`; it needs hyperref."""


def keys(source: str) -> list[str]:
    """The keys of the literature that a source names."""
    return [key for key, text in SOURCES.items() if text in source]


def source_latex(source: str) -> str:
    """A source with citations of the bibliography in place of the titles."""
    for key, text in SOURCES.items():
        source = source.replace(text, f"CITE{key}")
    return re.sub(r"CITE(\w+)", lambda m: rf"\cite{{{m[1]}}}", escape(source.replace(OURS, "this work")))


def bibliography(cited: Collection[str]) -> str:
    """The literature with these keys; nothing where there is none."""
    items = [rf"\bibitem[{key}]{{{key}}} {escape(text)}." for key, text in SOURCES.items() if key in cited]
    listed = "\n".join(items).replace("Norsett", r"N\o{}rsett")
    return "\\begin{thebibliography}{HNW93}\n" + listed + "\n\\end{thebibliography}" if items else ""
