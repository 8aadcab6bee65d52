r"""Verified derivations as one LaTeX document: contents, notation, a section for each result, lemmas, bibliography.

The document needs a minimal TeX installation (amsmath, amssymb, geometry, hyperref) and two runs of pdflatex.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from symflow.latex.escape import escape
from symflow.latex.results import FITTING, THEOREM, bibliography, keys, label, numbered_statement, source_latex
from symflow.proofs.lemmas import Lemma
from symflow.proofs.outcome import Check, Outcome
from symflow.proofs.record import Control, Derivation, Step, Verified
from symflow.proofs.search import Inequality
from symflow.theory.notation import NOTATION
from symflow.versions import __version__


def book(verified: Sequence[Verified]) -> str:
    """LaTeX source: every result with its hypotheses, statement, proof in checked steps and negative controls."""
    parts = [_PREAMBLE, r"\begin{document}", _TITLE, r"\tableofcontents", _NOTATION, _KINDS]
    parts += [_section(v, name) for v, name in zip(verified, _names(verified), strict=True)]
    cited = " ".join(v.derivation.source.source for v in verified)
    parts += [
        _lemmas(verified),
        bibliography(keys(cited)),
        "\\end{document}\n",
    ]
    return "\n\n".join(parts)


def _names(verified: Sequence[Verified]) -> list[str]:
    """R3, R4, R4 part 2, ...: what labels and headings call each derivation."""
    seen: Counter[str] = Counter()
    names = []
    for v in verified:
        name = v.derivation.result
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name}, part {seen[name]}")
    return names


def _section(verified: Verified, name: str) -> str:
    d = verified.derivation
    parts = [
        rf"\section{{{name}. {d.title}}}",
        rf"\equationsof{{{d.result}}}",
        rf"\source{{{source_latex(d.source.source)}}}",
        r"\part{Hypotheses}",
    ]
    hypotheses = ";\n".join(rf"\item {hypothesis.removesuffix('.')}" for hypothesis in d.hypotheses)
    parts.append("\n".join([r"\begin{itemize}", f"{hypotheses}.", r"\end{itemize}"]))
    parts += [_statement(d, name), r"\proof"]
    for number, (step, outcomes) in enumerate(zip(d.steps, verified.outcomes, strict=True), start=1):
        parts.append(_step(name, number, step, outcomes))
    if d.remarks:
        parts.append(r"\part{Remarks}" + "\n" + d.remarks)
    parts.append(r"\part{Negative controls}" + "\nThe same checks refute:")
    items = [_control(c, o) for c, o in zip(d.controls, verified.refutations, strict=True)]
    parts.append("\n".join([r"\begin{itemize}", *items, r"\end{itemize}"]))
    return "\n".join(parts)


def _statement(d: Derivation, name: str) -> str:
    """What is proved, as an environment with a label; a statement without claims stands in the consequence."""
    remark = [d.proves.remark] if d.part is None and d.proves.remark else []
    head = rf"\begin{{result}}{{{name}}}{{{d.title}}}\label{{result:{label(name)}}}"
    parts = [head, numbered_statement(d.statement, name), *remark, _fitting(d.consequence), r"\end{result}"]
    return "\n".join(filter(None, parts))


def _fitting(conclusion: str) -> str:
    """A conclusion whose displays are made smaller where they are wider than the page."""
    return re.sub(
        r"\\\[((?:(?!\\\]).)*)\\\]", lambda m: rf"\statement{{{m[1].strip()}}}", conclusion.strip(), flags=re.DOTALL
    )


def _step(name: str, number: int, step: Step, outcomes: Sequence[Outcome]) -> str:
    at = f"{label(name)}:{number}"
    lines = [
        rf"\step{{step:{at}}}{{{number}}} {step.reason}",
        rf"\formula{{eq:step:{at}}}{{{step.left}}}{{{step.relation}}}{{{step.right}}}",
    ]
    lines += [_check(number, check, outcome) for check, outcome in zip(step.checks, outcomes, strict=True)]
    return "\n".join(lines)


def _check(number: int, check: Check, outcome: Outcome) -> str:
    """What a check of a step says: of which step, how much, for what."""
    kind = escape(check.kind)
    if isinstance(check, Inequality):
        kind = f"by {', '.join(lemma.name for lemma in check.lemmas)}; sampled"
    return rf"\checked{{Step {number}, {kind}}}{{{check.scope}}}{{{outcome.latex or _plain(outcome.detail)}}}"


def _control(control: Control, outcome: Outcome) -> str:
    return rf"\item {control.change} \refuted{{{outcome.latex or _plain(outcome.detail)}}}"


def _plain(text: str) -> str:
    """Plain text as LaTeX, with powers of ten."""
    return re.sub(r"\b(\d)e([+-]?)0*(\d+)", lambda m: _power(*m.groups()), escape(text))


def _power(digit: str, sign: str, exponent: str) -> str:
    sign = "-" if sign == "-" else ""
    return f"$10^{{{sign}{exponent}}}$" if digit == "1" else rf"${digit}\cdot10^{{{sign}{exponent}}}$"


def _lemmas(verified: Sequence[Verified]) -> str:
    used: dict[str, Lemma] = {}
    for v in verified:
        for step in v.derivation.steps:
            for check in step.checks:
                if isinstance(check, Inequality):
                    used |= {lemma.name: lemma for lemma in check.lemmas}
    items = [rf"\item[{lemma.name}.] {lemma.statement}" for lemma in used.values()]
    return "\n".join([r"\section{Lemmas}", r"\begin{description}", *items, r"\end{description}"]) if items else ""


_PREAMBLE = (
    r"""\documentclass[10pt,a4paper]{article}
\usepackage[margin=2.5cm]{geometry}
\usepackage{amsmath,amssymb}
\usepackage[hidelinks]{hyperref}
\allowdisplaybreaks
\setlength{\parindent}{0pt}
\setlength{\parskip}{0.5ex plus 0.5ex}
\emergencystretch=6em
\tolerance=1000
% one letter for each, however a formula was made
\renewcommand{\epsilon}{\varepsilon}
\renewcommand{\phi}{\varphi}
\widowpenalty=300
\clubpenalty=300
\setcounter{secnumdepth}{0}
\renewcommand{\part}[1]{\par\medskip\textbf{#1.}}
\newcommand{\proof}{\part{Proof}\par\nobreak}
\makeatletter
\newcommand{\source}[1]{\emph{Source:} #1.}
\newcommand{\step}[2]{\par\medskip\leavevmode\phantomsection\def\@currentlabel{#2}\label{#1}\textbf{Step #2.}}
\newcommand{\checked}[3]{\par{\leftskip=2em\rightskip=0pt plus 4em\footnotesize\textit{#1}: #2 (#3).\par}}
\newcommand{\refuted}[1]{{\footnotesize (#1).}}
% lists and contents without air between their lines
\@beginparpenalty=10000
\renewcommand{\@listi}{\leftmargin\leftmargini\topsep=2pt\parsep=0pt\itemsep=2pt}
\renewcommand{\l@section}{\@dottedtocline{1}{0em}{2em}}
\makeatother
"""
    + FITTING
    + "\n"
    + THEOREM
    + r"""
% label, left, relation, right: on one line where it fits
\newcommand{\formula}[4]{\sbox{\onelinebox}{$\displaystyle #2 #3 #4$}%
\ifdim\wd\onelinebox<0.9\linewidth\begin{equation}#2 #3 #4\label{#1}\end{equation}\else
\begin{equation}\begin{aligned}&#2\\&\quad{}#3 #4\end{aligned}\label{#1}\end{equation}\fi}
% the equations of a result are numbered through its parts
\newcommand{\currentresult}{}
\newcommand{\equationsof}[1]{\def\coming{#1}\ifx\coming\currentresult\else
\gdef\currentresult{#1}\setcounter{equation}{0}\fi}
\renewcommand{\theequation}{\currentresult.\arabic{equation}}
\renewcommand{\theHequation}{\currentresult.\arabic{equation}}"""
)

_TITLE = (
    r"""\title{Gradient descent and gradient flow on homogeneous networks:\\
the results, derived and machine-checked}
\author{symflow """
    + __version__
    + r"""}
\date{\today}
\maketitle"""
)

_NOTATION = "\n".join([r"\section{Notation}", r"\begin{itemize}", *(rf"\item {x}" for x in NOTATION), r"\end{itemize}"])

_KINDS = r"""\section{How the steps are checked}
Every step was executed when this document was made. What a passed check means:
\begin{description}
\item[proved] every difference of two sides is rewritten to 0 by exact symbolic computation, or the sign of a polynomial
is read off its coefficients, for all that the step speaks of: symbols that do not commute stand for matrices of any
size, and what is proved for every depth or number of steps is an induction whose step is such an identity. With the
theorem of calculus that the step names, where it names one, this is the step.
\item[checked exactly] the same computation for what the line says, which is less than the step: a case, a size, or an
ingredient of its argument.
\item[identity tested] both sides are polynomials that agree exactly at random points with integer coordinates. By
Schwartz and Zippel a polynomial of degree at most $d$ that is not 0 vanishes at $k$ independent points, with
coordinates uniform in a set $S$, with probability at most $(d/|S|)^k$.
\item[evaluated to 50 digits] both sides agree to 50 digits at sample points.
\item[evaluated in float64] what the code of the package computes and the formula of the step agree at sample points.
\item[by a lemma; sampled] an inequality that follows from the named lemma, whose hypotheses are checked where they are
not evident. In addition a counterexample was looked for: at random points, then by ascent on the
violation from the worst of them.
\end{description}
A \emph{negative control} is the statement changed slightly: a constant by one percent, one index, sign or exponent, or
one hypothesis dropped; the same checks must refute it."""
