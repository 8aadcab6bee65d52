"""Pieces of LaTeX: numbers, dots, widths, and sums that are broken into lines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

LINE = 84.0
"""Width of a printed line in digits (an A4 page with margins of 2.5 cm holds about 90 at 10 points)."""


def dotted(name: str, order: int = 1) -> str:
    r"""A symbol with dots on its letter: ``Z_{1}`` becomes ``\dot{Z}_{1}``."""
    split = re.fullmatch(r"(\\[A-Za-z]+\{[^{}]*\}|\\?[A-Za-z]+)((?:_.*)?)", name, re.DOTALL)
    base, rest = split.groups() if split else (name, "")
    if order > 3:
        return f"{base}^{{({order})}}{rest}"
    return f"\\{'d' * order}ot{{{base}}}{rest}"


def _is_bracket(text: str) -> bool:
    """Whether the text is one bracket."""
    depth = 0
    for at, character in enumerate(text):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth == 0:
            return 0 < at == len(text) - 1
    return False


def parenthesized(text: str) -> str:
    """The text in brackets, unless it already is one bracket."""
    return text if _is_bracket(text) else f"({text})"


def unbracketed(text: str) -> str:
    """The text without its brackets, where it is one bracket."""
    return text[1:-1] if _is_bracket(text) else text


def powerable(text: str) -> str:
    """The text as something that takes a superscript."""
    return f"({text})" if re.search(r"\^(\\top|\{[^{}]*\})$", text) else text


def transposed(text: str) -> str:
    """The transpose of a factor."""
    return rf"{powerable(text)}^\top"


# --- Widths -----------------------------------------------------------------------------------------------------------

_WIDTHS = {
    "\\nabla": 1.7, "\\varphi": 1.3, "\\Sigma": 1.5, "\\Lambda": 1.4, "\\Delta": 1.7, "\\odot": 2.5, "\\otimes": 2.5,
    "\\sum": 2.6, "\\sigma": 1.2, "\\operatorname": 0.4, "\\langle": 0.8, "\\rangle": 0.8, "\\top": 1.5, "\\bar": 0.0,
    "\\dot": 0.0, "\\ddot": 0.0, "\\dddot": 0.0, "\\quad": 2.0, "\\qquad": 4.0, "\\exp": 3.4, "\\log": 3.0,
    "\\sin": 2.6, "\\cos": 3.0, "\\mathbf": 0.1, "\\cdot": 1.5, "\\,": 0.4, "\\|": 1.0, "\\partial": 1.2,
    "\\mathopen": 0.0, "\\lambda": 1.2,
    "}": 0.0, "&": 0.0, **dict.fromkeys("+-=", 2.5), **dict.fromkeys("()[],", 0.8), "W": 2.2, "M": 2.0, "N": 1.8,
}  # fmt: skip
_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|\S")


def printed_width(latex: str) -> float:
    """The approximate width of a formula on one line, in digits."""
    tokens = _TOKEN.findall(latex)[::-1]
    total = 0.0
    while tokens:
        total += _take_width(tokens)
    return total


def _take_width(tokens: list[str]) -> float:
    """The width of the next symbol, script, fraction or group; takes its tokens from the end of the list."""
    t = tokens.pop() if tokens else "}"
    if t == "{":
        total = 0.0
        while tokens and tokens[-1] != "}":
            total += _take_width(tokens)
        del tokens[-1:]
        return total
    if t == "\\tfrac":
        return 0.75 * max(_take_width(tokens), _take_width(tokens)) + 0.5
    if t in ("_", "^"):
        w = _take_width(tokens)
        if t == "_" and tokens and tokens[-1] == "^":
            tokens.pop()
            w = max(w, _take_width(tokens))
        return 0.72 * w + 0.1
    return _WIDTHS.get(t, 1.3 if t[0] == "\\" else 1.6 if t.isupper() else 1.05)


# --- Sums -------------------------------------------------------------------------------------------------------------


class Part(NamedTuple):
    """A part of a product: a line may break before it, and then begins with the sign `joint`."""

    text: str
    joint: str = r"\cdot"


@dataclass(frozen=True)
class Term:
    """A printed term: its sign and its parts."""

    negative: bool
    parts: list[Part]

    @property
    def body(self) -> str:
        """The term without its sign."""
        return " ".join(p.text for p in self.parts)


def joined(terms: Sequence[Term]) -> str:
    """The sum on one line."""
    if not terms:
        return "0"
    text = ("-" if terms[0].negative else "") + terms[0].body
    return text + "".join(f" {'-' if t.negative else '+'} {t.body}" for t in terms[1:])


def broken(terms: Sequence[Term], room: float) -> str:
    """The sum with line breaks: between terms where possible, inside a product where one term is too wide."""
    if not terms:
        return "0"
    lines: list[str] = []
    line, width = "", 0.0
    for n, term in enumerate(terms):
        sign = "-" if term.negative else ("+" if n else "")
        text = f"{sign} {term.body}" if n else sign + term.body
        w = printed_width(text)
        if line and width + w > room - 2:
            lines.append(line)
            line, width = r"\quad", 2.0
        if width + w <= room or len(term.parts) == 1:
            line, width = (f"{line} {text}" if line else text), width + w
            continue
        line = f"{line} {sign}".strip()
        width += printed_width(sign)
        opening = line
        for part in term.parts:
            w = printed_width(part.text)
            if line != opening and width + w > room - 4:
                lines.append(line)
                line, width = " ".join(filter(None, (r"\qquad", part.joint, part.text))), 6.0 + w
            else:
                line, width = f"{line} {part.text}".strip(), width + w
    lines.append(line)
    return " \\\\\n&".join(lines)
