r"""Statements with symbolic depth as LaTeX, in the notation of the papers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import sympy
from sympy.printing.latex import LatexPrinter

from symflow.theory.statement import Claim, Statement
from symflow.theory.terms import (
    Cases,
    Chain,
    Derivative,
    Domain,
    Formula,
    Increment,
    Index,
    LargestEigenvalue,
    Letter,
    Members,
    Named,
    Norm,
    Number,
    Over,
    Pairs,
    Power,
    Product,
    Range,
    SampleMean,
    SecondDerivative,
    Streams,
    Subsets,
    Sum,
    Term,
    Trace,
    Transpose,
    Uncrossed,
    children,
    i,
    n,
)

_LETTERS = {
    "Delta": r"\Delta",
    "grad_phi": r"\nabla\varphi",
    "grad_loss": r"\nabla\ell",
    "Sigma_xx": r"\Sigma_{xx}",
    "kappa": r"\kappa",
    "eta": r"\eta",
    "epsilon": r"\varepsilon",
    "lambda_min": r"\lambda_{\min}(H)",
    "lambda_max": r"\lambda_{\max}(H)",
    "slope": r"\max\{|\alpha|,|\bar\alpha|\}",
    "smoothness": "L",
    "third": "L_3",
    "pool": "p",
    "beta": r"\beta",
    "has_bias": "e",
    "activations": "a",
    "to_output": "Q",
}
_SHAPED = {
    "W_in": r"(W_{%s})_{%s:}",
    "W_out": r"(W_{%s})_{:%s}",
    "V_in": r"(V_{%s})_{%s:}",
    "V_out": r"(V_{%s})_{:%s}",
    "G_in": r"(G_{%s})_{%s:}",
    "G_out": r"(G_{%s})_{:%s}",
    "b_unit": r"(b_{%s})_{%s}",
    "g_unit": r"(g_{%s})_{%s}",
    "b_square": r"b_{%s} b_{%s}^\top",
    "g_square": r"g_{%s} g_{%s}^\top",
    "layer_matrix": r"\mathcal A_{%s}(W_{%s})",
    "unit_weight": r"(w_{%s})_{%s}",
    "passage": r"P^{(%s)}_{%s,%s}",
    "unit_slope": r"\partial_{%s}\varphi",
}
"""Letters whose indices stand in places of their own; the last index fills what remains."""
_RELATIONS = {"=": "=", ">=": r"\ge", "<=": r"\le", "<": "<"}
_OPERATIONS = {"sum": r"\sum", "product": r"\prod", "max": r"\max", "min": r"\min"}
_SHORTCUT = r"V_j = W_j + I \text{ where } (j-1,j) \text{ is a skip connection and } \sigma_j(z) = z, \text{ else } W_j"
_NOTES = {
    "grad_phi": r"f(\theta) = \varphi(W_{n:1})",
    "grad_loss": r"\nabla\ell_i = \nabla_{\hat y}\,\ell(h_\theta(x_i),y_i)",
    "kappa": r"\|\mathcal A_j(w)\| \le \kappa_j \|w\|_F \text{ for all } w",
    "pool": r"p \ge \text{product of the norms of all poolings}",
    "smoothness": r"L \ge \|\nabla^2\ell\|",
    "V_in": _SHORTCUT,
    "V": _SHORTCUT,
    "has_bias": r"e_j = 1 \text{ where layer } j \text{ has a bias, else } 0",
    "activations": r"a_{i,j} \text{ what layer } j+1 \text{ reads at } x_i",
    "passage": r"P^{(i)}_{k,j} = \partial a_{i,k}/\partial z_{i,j}",
    "to_output": r"Q_{i,j} = \partial a_{i,n}/\partial z_{i,j},\ h = c\,a_n",
    "third": r"|\nabla^3\ell[u,v,v]| \le L_3\|u\|\,\|v\|^2",
}
_CASES: dict[type, str] = {
    Streams: r"\mathcal S \text{: sets of hidden layers that skip connections join, without input and output}",
    Uncrossed: r"j \text{ uncrossed: no skip connection } (i,k) \text{ with } i < j \le k",
}
_GATED_CHAIN = r"W^{(i)}_{j':j} = D_{i,j'} W_{j'} \cdots D_{i,j} W_{j},\ D_{i,n} = I"
_BALL = r"\theta' \in B_\varepsilon(\theta)"


def statement_latex(statement: Statement, depth: int | None = None, values: Mapping[str, str] | None = None) -> str:
    r"""The claims of a statement and the letters they define, as an ``aligned`` environment."""
    lines, definitions = statement_lines(statement, depth, values)
    where = r"\text{where }"
    for text in definitions:
        lines.append(rf"& {where} {text}")
        where = r"\phantom{\text{where }}"
    return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"


def statement_lines(
    statement: Statement, depth: int | None = None, values: Mapping[str, str] | None = None
) -> tuple[list[str], list[str]]:
    """The claims, each aligned at its relation, and the letters that they define."""
    printer = _Printer(depth)
    several = len(statement.claims) > 1
    labels = [_label(claim.label or statement.result) if several else "" for claim in statement.claims]
    lines = [printer.claim(claim, label) for claim, label in zip(statement.claims, labels, strict=True)]
    if values:
        lines = [
            f"{line} = {values[claim.label]}" if claim.label in values else line
            for line, claim in zip(lines, statement.claims, strict=True)
        ]
    return lines, printer.definitions(statement.claims)


class _Printer:
    """Prints terms; with a depth, n is a number."""

    def __init__(self, depth: int | None) -> None:
        self.values = {} if depth is None else {n: sympy.Integer(depth)}

    def claim(self, claim: Claim, label: str = "") -> str:
        shown = rf"\text{{{label}}}\quad " if label else ""
        text = f"{shown}{self.text(claim.left)} &{_RELATIONS[claim.relation]} {self.text(claim.right)}"
        if claim.over is None:
            return text
        return rf"{text}, \quad {self.run(claim.over)}"

    def run(self, domain: Cases) -> str:
        """Where the free index of a claim runs."""
        name = self.index(domain.index)
        if isinstance(domain, Range):
            return rf"{name} = {self.index(domain.low)},\dots,{self.index(domain.high)}"
        return rf"{name} \in \mathcal S" if isinstance(domain, Streams) else rf"{name} \text{{ uncrossed}}"

    def definitions(self, claims: tuple[Claim, ...]) -> list[str]:
        """The letters that the claims define, each once."""
        found: dict[str, str] = {}
        for claim in claims:
            if isinstance(claim.over, Streams | Uncrossed):
                found.setdefault(str(type(claim.over)), _CASES[type(claim.over)])
            for x in _below(Product((claim.left, claim.right))):
                if isinstance(x, Named):
                    found.setdefault(x.latex, f"{self.named(x)} = {self.text(x.definition)}")
                elif isinstance(x, LargestEigenvalue):
                    found[x.entry.latex] = self.symmetric_matrix(x.entry)
                elif isinstance(x, Letter) and x.name in _NOTES:
                    found.setdefault(x.name, _NOTES[x.name])
                elif isinstance(x, Chain) and x.gated:
                    found.setdefault("W^{(i)}", _GATED_CHAIN.replace("i,n", f"i,{self.index(n)}"))
        return list(dict.fromkeys(found.values()))

    def symmetric_matrix(self, entry: Named) -> str:
        """The entries for j < j', which their formula is for, those below the diagonal and those on it."""
        mirrored = rf"{entry.latex}_{{j'j}}"
        above = rf"{self.named(entry)} = {mirrored} = {self.text(entry.definition)} \quad (j < j')"
        return rf"{above},\quad {entry.latex}_{{jj}} = 0"

    def index(self, index: Index) -> str:
        return _ordered(sympy.sympify(index).xreplace(self.values)).replace(" ", "")

    def subscript(self, indices: tuple[Index, ...]) -> str:
        if not indices:
            return ""
        texts = [self.index(x) for x in indices]
        plain = i not in indices and all(isinstance(x, sympy.Symbol) for x in indices)
        return f"_{{{('' if plain else ',').join(texts)}}}"

    def named(self, term: Named) -> str:
        return term.latex + self.subscript(term.indices)

    def text(self, term: Term) -> str:
        """A term where no brackets are needed around it."""
        if isinstance(term, Number):
            return _ordered(term.value.xreplace(self.values).doit())
        if isinstance(term, Letter):
            return self.letter(term)
        if isinstance(term, Named):
            return self.named(term)
        if isinstance(term, Chain):
            upper = f"^{{({self.index(i)})}}" if term.gated else ""
            return f"W{upper}_{{{self.index(term.top)}:{self.index(term.bottom)}}}"
        if isinstance(term, Sum):
            return _sum(self.text(x) for x in term.terms)
        if isinstance(term, Product):
            return self.product(term)
        if isinstance(term, Transpose):
            return f"{self.base(term.x)}^\\top"
        if isinstance(term, Trace):
            return rf"\operatorname{{Tr}}\Bigl({self.text(term.x)}\Bigr)"
        if isinstance(term, Power):
            return self.power(term)
        if isinstance(term, Norm):
            return rf"\|{self.text(term.x)}\|" + ("_F" if term.frobenius else "")
        if isinstance(term, Over):
            return f"{_OPERATIONS[term.operation]}{self.domain(term)} {self.factor(term.body)}"
        if isinstance(term, SampleMean):
            return rf"\frac1N\sum_{{i=1}}^N {self.factor(term.body)}"
        if isinstance(term, LargestEigenvalue):
            return rf"\lambda_{{\max}}({term.entry.latex})"
        if isinstance(term, SecondDerivative):
            letter = r"\nabla^2\varphi" if term.of == "phi" else r"\nabla^2\ell_i"
            return f"{letter}[{self.text(term.x)},{self.text(term.x)}]"
        if isinstance(term, Derivative):
            return self.derivative(term)
        if isinstance(term, Formula):
            return formula_latex(term.expression.xreplace(self.values))
        if isinstance(term, Increment):
            x = self.base(term.x)
            return rf"{x}\big|_{{\theta-\eta g}} - {x}\big|_{{\theta}}"
        raise TypeError(f"unknown term {type(term).__name__}")

    def letter(self, term: Letter) -> str:
        name, indices = term.name, term.indices
        if name in _SHAPED:
            shape = _SHAPED[name]
            texts = [self.index(x) for x in indices]
            return shape % tuple(texts + texts[-1:] * (shape.count("%s") - len(texts)))
        if name.startswith("sup "):
            return rf"\sup_{{{_BALL}}} {name[4:]}"
        return _LETTERS.get(name, name) + self.subscript(indices)

    def product(self, term: Product) -> str:
        sign, texts = "", []
        for x in term.factors:
            if isinstance(x, Number) and x.value.xreplace(self.values) == -1:
                sign = "" if sign else "-"
            elif not (isinstance(x, Number) and x.value.xreplace(self.values) == 1):
                texts.append(self.factor(x, last=x is term.factors[-1]))
        return sign + (r" \, ".join(texts) if any("sum" in t for t in texts[:-1]) else r" ".join(texts) or "1")

    def factor(self, term: Term, last: bool = True) -> str:
        """A term as a factor of a product, or the body of a sum."""
        if isinstance(term, Product) and isinstance(term.factors[0], Number):
            return rf"\bigl({self.text(term)}\bigr)"
        number = isinstance(term, Number) and isinstance(term.value.xreplace(self.values), sympy.Add | sympy.Mul)
        if isinstance(term, Sum | Increment) or number:
            return rf"\bigl({self.text(term)}\bigr)" if not number else f"({self.text(term)})"
        if isinstance(term, SampleMean | Over) and not last:
            return rf"\Bigl({self.text(term)}\Bigr)"
        return self.text(term)

    def base(self, term: Term) -> str:
        """A term that carries an exponent."""
        plain = (Letter, Named, Chain, Norm)
        return self.text(term) if isinstance(term, plain) else rf"\bigl({self.text(term)}\bigr)"

    def power(self, term: Power) -> str:
        exponent = term.exponent.xreplace(self.values)
        if exponent == sympy.Rational(1, 2):
            return rf"\sqrt{{{self.text(term.x)}}}"
        return self.base(term.x) if exponent == 1 else f"{self.base(term.x)}^{{{_exponent(exponent)}}}"

    def domain(self, term: Over) -> str:
        domain: Domain = term.domain
        if isinstance(domain, Pairs):
            return f"_{{{self.index(domain.lower)}<{self.index(domain.upper)}}}"
        if isinstance(domain, Members):
            return rf"_{{{self.index(domain.index)} \in {domain.of}}}"
        left_out = ",".join(self.index(x) for x in domain.excluding)
        if isinstance(domain, Subsets):
            without = rf",\ {left_out} \notin {domain.index}" if left_out else ""
            return rf"_{{|{domain.index}|={self.index(domain.size)}{without}}}"
        name = self.index(domain.index)
        if left_out:
            return rf"_{{{name} \ne {left_out}}}"
        if term.operation in ("max", "min"):
            return f"_{{{name}}}"
        return f"_{{{name}={self.index(domain.low)}}}^{{{self.index(domain.high)}}}"

    def derivative(self, term: Derivative) -> str:
        x = self.text(term.x)
        if term.along == "flow":
            return rf"\frac{{d}}{{dt}} {self.base(term.x)}"
        if term.along == "direction":
            return r"H[\Delta,\Delta]" if term.order == 2 else rf"\nabla^{{{term.order}}} {x}[\Delta^{{{term.order}}}]"
        if term.along == "weights and biases":
            return self.with_biases(term, x)
        if term.layer is None:
            return rf"\langle \theta, \nabla_\theta {x} \rangle"
        layer = self.index(term.layer)
        return rf"\bigl\langle W_{{{layer}}}, \tfrac{{\partial {x}}}{{\partial W_{{{layer}}}}} \bigr\rangle"

    def with_biases(self, term: Derivative, x: str) -> str:
        r"""<W_j, dx/dW_j> with the biases that scale along."""
        above = self.index(n)
        weights, bias = (
            rf"\bigl\langle {v}_{{%s}}, \tfrac{{\partial {x}}}{{\partial {v}_{{%s}}}} \bigr\rangle" for v in "Wb"
        )
        if term.layer is None:
            inner = rf"{weights % ('j', 'j')} + j {bias % ('j', 'j')}"
            return rf"\sum_{{j=1}}^{{{above}}} \Bigl({inner}\Bigr)"
        layer = self.index(term.layer)
        return rf"{weights % (layer, layer)} + \sum_{{l={layer}}}^{{{above}}} {bias % ('l', 'l')}"


class _Formulas(LatexPrinter):
    """SymPy's printer; in sums, what is subtracted is last. A symbol whose name is LaTeX prints as its name;
    one letter for epsilon and one for phi."""

    def _print_Symbol(self, expr: sympy.Symbol, style: str = "plain") -> str:
        written = any(sign in expr.name for sign in "\\([{|^")
        if written:
            return expr.name
        return re.sub(r"\\(epsilon|phi)\b", r"\\var\1", str(super()._print_Symbol(expr, style)))

    def _print_Add(self, expr: sympy.Expr, order: Any = None) -> str:
        terms = sorted(expr.args, key=lambda t: (str(t).startswith("O("), t.could_extract_minus_sign()))
        return _sum(str(self._print(t)) for t in terms)

    def _print_Integral(self, expr: sympy.Integral) -> str:
        variable, low, high = (str(self._print(x)) for x in expr.limits[0])
        return rf"\int_{{{low}}}^{{{high}}} {self._print(expr.function)}\,d{variable}"


def formula_latex(expression: sympy.Basic) -> str:
    """A SymPy expression."""
    return str(_Formulas().doprint(expression))


def _sum(terms: Iterable[str]) -> str:
    """Terms with their signs between them."""
    first, *rest = terms
    return first + "".join(f" - {t[1:].lstrip()}" if t.startswith("-") else f" + {t}" for t in rest)


def _ordered(value: sympy.Expr) -> str:
    """A number or an index, what is subtracted last: n - j, j' - 1."""
    terms = sorted(sympy.Add.make_args(value), key=lambda t: (t.could_extract_minus_sign(), bool(t.is_number), str(t)))
    return _sum(str(sympy.latex(t)) for t in terms)


def _exponent(exponent: sympy.Expr) -> str:
    numerator, denominator = exponent.as_numer_denom()
    top = _ordered(numerator).replace(" ", "")
    if denominator == 1:
        return top
    return f"({top})/{denominator}" if isinstance(numerator, sympy.Add) else f"{top}/{denominator}"


_LABELS = {"(kappa)": r"($\kappa$)", "beta": r"$\beta$", "gamma": r"$\gamma$", "m": "$m$"}


def _label(label: str) -> str:
    return ", ".join(_LABELS.get(part, part) for part in label.split(", "))


def _below(term: Term) -> Iterator[Term]:
    """A term and all below it, each before those of its definition."""
    yield term
    for x in children(term):
        yield from _below(x)
