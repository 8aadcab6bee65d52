"""LaTeX of elementary differentials and of series of them: g, H^2g, T[g,Hg], ...."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

import sympy

from symflow.dynamics.modified.coefficients import Number
from symflow.dynamics.modified.trees import DECAY, GRADIENT, Tree

PER_LINE, FUNCTIONS_PER_LINE = 4, 2
"""Terms on a line: with rational numbers, and with rational functions as coefficients."""


def differential_latex(tree: Tree, leaf: str = r"\theta") -> str:
    """An elementary differential: g, H^2g, T[g,Hg], ...; `leaf` is what a leaf of another kind prints as."""
    height = 0
    while tree[0] == GRADIENT and len(tree[1]) == 1:
        tree, height = tree[1][0], height + 1
    kind, branches = tree
    power = "" if height == 0 else "H" if height == 1 else f"H^{height}"
    if not branches:
        return power + ("g" if kind == GRADIENT else r"\theta" if kind == DECAY else leaf)
    letter = {2: "T", 3: "Q"}.get(len(branches), rf"\nabla^{len(branches) + 1}f")
    return f"{power}{letter}[{','.join(differential_latex(t, leaf) for t in branches)}]"


def ordered(series: Mapping[Tree, Number]) -> list[tuple[Tree, Number]]:
    """Trees in the order in which they are printed: chains of Hessians first, higher derivatives of f later."""
    return sorted(series.items(), key=lambda item: _key(item[0]))


def _key(tree: Tree) -> tuple:
    return len(tree[1]), [_key(branch) for branch in tree[1]], tree[0]


def signed(c: Number, text: str) -> str:
    r"""A term of a sum, with its sign: +\tfrac{1}{2}Hg."""
    if isinstance(c, Fraction):
        size = abs(c)
        number = "" if size == 1 else str(size) if size.denominator == 1 else _ratio(*size.as_integer_ratio())
        return f"{'-' if c < 0 else '+'}{number}{text}"
    return _function(c, text)


def number_latex(c: Number) -> str:
    """A coefficient alone."""
    if isinstance(c, Fraction):
        return str(c) if c.denominator == 1 else ("-" if c < 0 else "") + _ratio(abs(c.numerator), c.denominator)
    return _function(c, "").removeprefix("+") or "1"


def _ratio(top: object, bottom: object, command: str = "tfrac") -> str:
    return rf"\{command}{{{top}}}{{{bottom}}}"


def _function(c: sympy.Expr, text: str) -> str:
    r"""A rational function of symbols times a differential: -\frac{1+\beta}{2(1-\beta)^3}Hg."""
    names = sorted(c.free_symbols, key=str)
    number = Fraction(1)
    sides: dict[int, list[str]] = {1: [], -1: []}
    for expression, side in zip(sympy.fraction(sympy.cancel(c)), (1, -1), strict=True):
        constant, powers = sympy.factor_list(expression, *names)
        number *= Fraction(int(constant.p), int(constant.q)) ** side
        for factor, exponent in powers:
            turned = _ascending(factor, names)[0][1] < 0  # factors begin with a positive term
            number *= (-1) ** exponent if turned else 1
            sides[side].append(_power(-factor if turned else factor, exponent, names))
    above, below = (_side(size, sides[side]) for size, side in ((abs(number.numerator), 1), (number.denominator, -1)))
    sign = "-" if number < 0 else "+"
    if below == "1":
        return f"{sign}{'' if above == '1' else above}{text}"
    return f"{sign}{_ratio(above, below, 'frac')}{text}"


def _side(number: int, factors: Sequence[str]) -> str:
    """A numerator or a denominator; a sum that stands alone needs no parentheses."""
    if number == 1 and len(factors) == 1:
        return _bare(factors[0])
    return ("" if number == 1 and factors else str(number)) + "".join(factors)


def _ascending(polynomial: sympy.Expr, names: Sequence[sympy.Symbol]) -> list[tuple[tuple[int, ...], sympy.Rational]]:
    """The terms of a polynomial, lowest powers first."""
    return sorted(sympy.Poly(polynomial, *names).terms(), key=lambda term: (sum(term[0]), [-e for e in term[0]]))


def _power(polynomial: sympy.Expr, exponent: int, names: Sequence[sympy.Symbol]) -> str:
    """A factor with its exponent; a sum stands in parentheses."""
    parts = []
    for exponents, c in _ascending(polynomial, names):
        letters = "".join(sympy.latex(x if e == 1 else x**e) for x, e in zip(names, exponents, strict=True) if e)
        size = "" if abs(c) == 1 and letters else str(abs(c))
        parts.append(("-" if c < 0 else "+") + size + letters)
    text = "".join(parts).removeprefix("+")
    base = text if polynomial in names else f"({text})"
    return base if exponent == 1 else f"{base}^{{{exponent}}}"


def _bare(text: str) -> str:
    """A single factor without its parentheses."""
    return text[1:-1] if text.startswith("(") and text.endswith(")") else text


def equation_latex(terms: Sequence[Mapping[Tree, Number]]) -> str:
    """theta' = F_0 + eta F_1 + ..., as an aligned environment: a line or more for each power of eta."""
    return _aligned(r"\dot\theta", "", terms, 0)


def start_latex(terms: Sequence[Mapping[Tree, Number]]) -> str:
    """theta(0) = theta_0 + eta S_1 + ..., all differentials at theta_0."""
    return _aligned(r"\theta(0)", r"\theta_0", terms, 1)


def _aligned(left: str, first: str, terms: Sequence[Mapping[Tree, Number]], lowest: int) -> str:
    lines = [f"& {first}"] if first else []
    for i, term in enumerate(terms, lowest):
        count = PER_LINE if all(isinstance(c, Fraction) for c in term.values()) else FUNCTIONS_PER_LINE
        lines += _lines(i, [signed(c, differential_latex(t)) for t, c in ordered(term)], count, not lines)
    return f"\\begin{{aligned}}\n{left} = {{}}" + " \\\\\n".join(lines or ["& 0"]) + "\n\\end{aligned}"


def _lines(i: int, texts: Sequence[str], count: int, leading: bool) -> Iterator[str]:
    """eta^i times a sum, in lines that fit on a page."""
    rows = ["".join(texts[start : start + count]) for start in range(0, len(texts), count)]
    power = "" if i == 0 else r"\eta" if i == 1 else rf"\eta^{i}"
    for row in rows:
        text = row
        if row is rows[0]:
            text = row if not (power or leading) else row.removeprefix("+")
            text = rf"{{}}+{power}\Bigl({text}" if power else text
        else:
            text = r"\qquad" + row
        yield f"& {text}" + (r"\Bigr)" if power and row is rows[-1] else "")
