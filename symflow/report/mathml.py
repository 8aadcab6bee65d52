"""LaTeX formulas as MathML, which browsers draw by themselves: no script, no font and no network.

latex2mathml reads the LaTeX; before that, what it does not know is written in what it knows, and what it leaves is
looked for afterwards: a formula that it cannot read is shown as LaTeX, never half.
"""

from __future__ import annotations

import re
from functools import lru_cache
from html import escape

_SIZES = (
    (re.compile(r"\\[bB]igg?l"), r"\left"),
    (re.compile(r"\\[bB]igg?r"), r"\right"),
    (re.compile(r"\\[bB]igg?(?=\||\\\|)"), ""),
)
"""Brackets of a fixed size: MathML stretches them."""
_BAR = re.compile(r"<mo[^>]*>(?:&#x0007C;|\|)</mo>")
_WORD = re.compile(r"<mo>(max|min|sup|inf|log|exp|sin|cos|tanh|cosh|sinh|dim|Tr)</mo>")
_RELATION = "&#x0003D;|&#x02264;|&#x02265;|&#x0003C;|&#x0003E;|&#x02192;|&#x02208;|,"
_SIGN = re.compile(rf"(<mo[^>]*>(?:{_RELATION})</mo>)<mo>&#x02212;</mo>")
_TEXT = re.compile(r"\\text\{((?:[^{}]|\{[^{}]*\})*)\}")
_COMMAND = re.compile(r"\\[a-zA-Z]+")
_INLINE = re.compile(r"(?<!\\)\$([^$]*)\$")
_SIMPLER = {
    r"\mathopen{}": "",
    r"\allowbreak": "",
    r"\nonumber": "",
    r"\surd": r"\sqrt{}",
    r"\\[0.4ex]": r"\\",
}


@lru_cache(maxsize=4096)
def mathml(latex: str, display: bool = False) -> str:
    """A formula as a `math` element; as LaTeX in a `code` element where it cannot be converted.

    Args:
        latex: mathematics without dollar signs; environments `aligned`, `align*` and `cases` are known.
        display: whether it stands in a line of its own.
    """
    from latex2mathml.converter import convert

    try:
        found = convert(_simpler(latex), display="block" if display else "inline")
    except Exception:  # of a converter that says in no uniform way what it does not know
        return f"<code>{escape(latex)}</code>"
    if _COMMAND.search(found):
        return f"<code>{escape(latex)}</code>"
    return _spaced(str(found))


def _spaced(found: str) -> str:
    """The spaces that TeX leaves around bars, names of functions and signs of numbers."""
    found = _BAR.sub('<mo lspace="0" rspace="0" stretchy="false">|</mo>', found)
    found = _WORD.sub(r'<mo lspace="0.17em" rspace="0.17em" movablelimits="true">\1</mo>', found)
    return _SIGN.sub(r'\1<mo form="prefix">&#x02212;</mo>', found)


def aligned(lines: tuple[str, ...]) -> str:
    """Lines of an ``align`` as one display."""
    return mathml("\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}", display=True)


def with_formulas(text: str) -> str:
    """Plain LaTeX text with formulas between dollar signs, as HTML."""
    pieces = _INLINE.split(text)
    return "".join(mathml(piece) if i % 2 else _words(piece) for i, piece in enumerate(pieces))


def _simpler(latex: str) -> str:
    for given, known in _SIMPLER.items():
        latex = latex.replace(given, known)
    latex = _TEXT.sub(_split, latex.replace("{aligned}", "{align*}"))
    for size, stretched in _SIZES:
        latex = size.sub(lambda _, stretched=stretched: stretched, latex)  # type: ignore[misc]
    return latex


def _split(match: re.Match[str]) -> str:
    r"""``\text{at $k$}`` as ``\text{at }k``: text holds no formulas in MathML."""
    pieces = _INLINE.split(match[1])
    return "".join(piece if i % 2 else rf"\text{{{piece}}}" for i, piece in enumerate(pieces) if piece)


def _words(text: str) -> str:
    r"""LaTeX text without mathematics: the commands that the package's own sentences use."""
    text = re.sub(r"\\(?:emph|textit)\{([^{}]*)\}", r"\1", text)
    text = re.sub(r"\\texttt\{([^{}]*)\}", r"\1", text)
    for given, meant in (
        (r"\o{}", "ø"),
        (r"\%", "%"),
        (r"\&", "&"),
        (r"\_", "_"),
        (r"\ ", " "),
        ("~", "\u00a0"),
        ("--", "–"),
    ):
        text = text.replace(given, meant)
    return escape(text, quote=False)
