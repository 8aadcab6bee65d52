"""Plain text as LaTeX text."""

from __future__ import annotations

import unicodedata

_GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "varepsilon", "ζ": "zeta", "η": "eta", "θ": "theta",
    "ι": "iota", "κ": "kappa", "λ": "lambda", "μ": "mu", "ν": "nu", "ξ": "xi", "π": "pi", "ρ": "rho", "σ": "sigma",
    "τ": "tau", "υ": "upsilon", "φ": "varphi", "χ": "chi", "ψ": "psi", "ω": "omega", "Γ": "Gamma", "Δ": "Delta",
    "Θ": "Theta", "Λ": "Lambda", "Ξ": "Xi", "Π": "Pi", "Σ": "Sigma", "Φ": "Phi", "Ψ": "Psi", "Ω": "Omega",
    "≤": "le", "≥": "ge", "≠": "ne", "≈": "approx", "×": "times", "·": "cdot", "±": "pm", "∞": "infty", "−": "-",
    "→": "to", "∇": "nabla", "∂": "partial", "∈": "in", "√": "surd", "‖": "|", "°": "circ",
}  # fmt: skip
_TEXT = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "%": r"\%", "#": r"\#", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": "$<$", ">": "$>$", "|": "$|$", '"': "''", "`": "`{}",
    "ß": r"\ss{}", "ø": r"\o{}", "Ø": r"\O{}", "æ": r"\ae{}", "Æ": r"\AE{}", "œ": r"\oe{}", "ł": r"\l{}",
    "Ł": r"\L{}", "ı": r"\i{}", "–": "--", "—": "---", "‘": "`{}", "’": "'", "“": "``", "”": "''", "…": r"\dots{}",
    "§": r"\S{}", "\xa0": "~",
}  # fmt: skip
_ACCENTS = {
    "\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0304": "=", "\u0306": "u", "\u0307": ".",
    "\u0308": '"', "\u030a": "r", "\u030b": "H", "\u030c": "v", "\u0323": "d", "\u0327": "c",
}  # fmt: skip


def escape(text: str) -> str:
    r"""Plain text as LaTeX text: nothing in it acts as a command, and any pdflatex can print it.

    Accented letters are written with accent commands and Greek letters in mathematics; a character that the standard
    fonts lack is shown by its code point, as [U+4E2D]. Long words (numbers of many digits) may break.
    """
    pieces: list[str] = []
    run = 0
    for character in unicodedata.normalize("NFC", text):
        if character.isspace() and character != "\xa0":
            pieces.append(" ")
            run = 0
            continue
        run += 1
        if run > 24 and run % 8 == 0:
            pieces.append(r"\hspace{0pt}")
        pieces.append(_character(character))
    return "".join(pieces)


def _character(character: str) -> str:
    if character in _TEXT:
        return _TEXT[character]
    if character in _GREEK:
        name = _GREEK[character]
        return rf"$\{name}$" if name.isalpha() or name == "|" else f"${name}$"
    if " " <= character <= "~":
        return character
    decomposed = unicodedata.normalize("NFD", character)
    base, marks = decomposed[0], decomposed[1:]
    if len(marks) == 1 and marks[0] in _ACCENTS and base.isascii() and base.isalpha():
        letter = {"i": r"\i", "j": r"\j"}.get(base, base) if marks[0] not in "\u0323\u0327" else base
        return rf"\{_ACCENTS[marks[0]]}{{{letter}}}"
    return f"[U+{ord(character):04X}]"
