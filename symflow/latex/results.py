"""Results as LaTeX text: what they assume, the trees of their claims, their sources, and a bibliography."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from symflow.latex.escape import escape
from symflow.latex.fragments import LINE, printed_width
from symflow.latex.statements import statement_latex, statement_lines
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


def theorem(
    result: Result,
    statement: Statement,
    depth: int | None = None,
    values: Mapping[str, str] | None = None,
) -> str:
    r"""A statement of a result as an environment ``result``, with the labels ``result:R9``, ``eq:R9:1``, ....

    Args:
        result: what it belongs to.
        statement: the result's own or a part of it.
        depth: of the network, in place of the symbol n.
        values: of claims by their labels.
    """
    cited = keys(result.source)
    sources = rf", \cite{{{','.join(cited)}}}" if cited else ""
    parts = [rf"\begin{{result}}{{{result.id}}}{{{result.title}{sources}}}\label{{result:{label(result.id)}}}"]
    if statement.hypotheses:
        parts.append(f"Suppose {'; '.join(h.latex for h in statement.hypotheses)}. Then")
    return "\n".join([*parts, numbered_statement(statement, result.id, depth, values), r"\end{result}"])


def numbered_statement(
    statement: Statement, name: str, depth: int | None = None, values: Mapping[str, str] | None = None
) -> str:
    r"""The claims as equations with numbers and the labels ``eq:NAME:1``, ..., and what they define as text.

    It may break across pages; the text needs the commands of `FITTING`.
    """
    lines, definitions = statement_lines(statement, depth, values)
    if not lines:
        return ""
    numbered = [
        rf"{_broken(line)} \numbered{{eq:{label(name)}:{number}}}" for number, line in enumerate(lines, start=1)
    ]
    shown = "\\claims{" + " \\\\\n".join(numbered) + "}"
    if not definitions:
        return shown
    listed = ";\\quad\n".join(rf"$\displaystyle {text}$" for text in definitions)
    return f"{shown}\n\\defined{{{listed}}}"


def _broken(line: str) -> str:
    """A claim that is wider than a page, broken before the terms of its right-hand side."""
    if printed_width(line) < LINE - 8:
        return line
    left, relation, right = line.partition("&")
    lines = [f"{left}{relation}"]
    for term in _terms(right):
        if len(lines[-1]) > len(left) + 3 and printed_width(f"{lines[-1]} {term}") > LINE - 8:
            lines.append(rf"&\quad {term}")
        else:
            lines[-1] += f" {term}"
    return " \\unnumbered \\\\\n".join(lines)


def _terms(text: str) -> list[str]:
    """A sum cut before the signs that stand in no bracket."""
    depth, start, found = 0, 0, []
    for at, character in enumerate(text):
        depth += {"{": 1, "(": 1, "[": 1, "}": -1, ")": -1, "]": -1}.get(character, 0)
        if depth == 0 and text[at : at + 3] in (" + ", " - "):
            found.append(text[start:at].strip())
            start = at
    return [*found, text[start:].strip()]


def label(name: str) -> str:
    """A name as part of a LaTeX label."""
    return re.sub(r"[^\w]+", "-", name).strip("-")


def assumed(result: Result) -> str:
    """The assumptions as a sentence."""
    return f"Suppose {'; '.join(a.latex for a in result.assumptions)}. Then"


def display(statement: Statement) -> str:
    """A statement as a display, smaller where it is wider than the line; the text needs the commands of `FITTING`."""
    return rf"\statement{{{statement_latex(statement)}}}"


FITTING = r"""\usepackage{graphicx}
\newsavebox{\onelinebox}
% smaller where it does not fit, and smaller again
\newcommand{\statement}[1]{\sbox{\onelinebox}{$\displaystyle #1$}%
\ifdim\wd\onelinebox<\linewidth\[#1\]\else\sbox{\onelinebox}{\small$\displaystyle #1$}%
\ifdim\wd\onelinebox<\linewidth{\small\[#1\]}\else\sbox{\onelinebox}{\footnotesize$\displaystyle #1$}%
\ifdim\wd\onelinebox<\linewidth{\footnotesize\[#1\]}\else\[\resizebox{0.99\linewidth}{!}{\usebox{\onelinebox}}\]\fi\fi\fi}
\makeatletter
% equations with numbers, in the same way; \numbered{label} ends each
\newcommand{\measured}[2]{\sbox{\onelinebox}{#1\let\numbered\@gobble\let\unnumbered\relax$\begin{aligned}#2\end{aligned}$}}
\newcommand{\numbered}[1]{\label{#1}}
\newcommand{\unnumbered}{\nonumber}
\newcommand{\claims}[1]{\measured{}{#1}%
\ifdim\wd\onelinebox<0.9\linewidth\begin{align}#1\end{align}\else\measured{\small}{#1}%
\ifdim\wd\onelinebox<0.9\linewidth{\small\begin{align}#1\end{align}}\else{\footnotesize\begin{align}#1\end{align}}\fi\fi}
\makeatother
\newcommand{\defined}[1]{{\raggedright\lineskiplimit=2pt\lineskip=4pt where #1.\par}}"""
"""The definitions of the LaTeX commands that set formulas in a size that fits."""
THEOREM = r"""\makeatletter
% #1: its name, which references to its label print; #2: its title and sources
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
