r"""Quotients, powers and logarithms of sums of exponentials, written so that no exponential overflows.

    D = sum_j d_j e^{v_j},    d_j > 0 numbers:    log D = L(v_j + log d_j),    L(x) = x,  L(x, y, ...) = x +
    softplus(L(y - x, ...)),    e^u D^{-p} = exp(-p L(v_j - u/p + log d_j)),

and where one of the differences v_j - u/p is 0 the last is d_j^{-p} sigmoid(-L(the others - log d_j))^p. Every exponent
in it is that of a number that the function itself has. So 1/(1 + e^{-z}) is the sigmoid, log(1 + e^z) the softplus, and
(e^z - e^{-z})/(e^z + e^{-z}), whose numerator is odd in the two terms of its denominator, is tanh z. Where some d_j is
no positive number, numerator and denominator are multiplied by exp(-L(v_j)): the terms of the denominator are then d_j
times numbers that add up to 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

import sympy

from symflow.programs.nodes import Node, add, apply, hadamard, power, scale

Terms = dict[sympy.Expr, sympy.Expr]
"""sum of coefficient times exp(exponent), by exponents."""
HYPERBOLIC = (sympy.sinh, sympy.cosh)
MAX_TERMS = 32
"""Sums of more exponentials are read as they stand."""
Reader = Callable[[sympy.Expr], Node]


class _TooManyError(Exception):
    """More than `MAX_TERMS`."""


def fraction(q: sympy.Rational) -> Fraction:
    """A rational of SymPy."""
    return Fraction(int(q.p), int(q.q))


def has_exponentials(e: sympy.Expr) -> bool:
    """Whether it is a sum of exponentials with coefficients, not all of constants; quotients of these are none."""
    if e.is_Mul and any(map(is_quotient, e.args)):
        return False
    if e.is_Add or e.is_Mul:
        return any(map(has_exponentials, e.args))
    return _varies(e) or bool(_is_natural(e) and has_exponentials(e.base))


def _is_natural(e: sympy.Expr) -> bool:
    return bool(e.is_Pow and e.exp.is_Integer and 0 < e.exp <= MAX_TERMS)


def _varies(e: sympy.Basic) -> bool:
    """Whether it is e^x, sinh(x) or cosh(x), or c^x with a number c > 0, where x is not constant."""
    if isinstance(e, sympy.Pow):
        return bool(e.base.is_number and e.base.is_positive and e.exp.free_symbols)
    return isinstance(e, (sympy.exp, *HYPERBOLIC)) and bool(e.free_symbols)


def is_quotient(e: sympy.Expr) -> bool:
    """Whether it is a power of a sum of exponentials other than a natural one."""
    return bool(e.is_Pow and e.exp.is_Rational and not _is_natural(e) and has_exponentials(e.base))


def needs_care(e: sympy.Expr) -> bool:
    """Whether it has such powers or logarithms, or several factors with exponentials, which may cancel."""
    if e.func is sympy.log:
        return has_exponentials(e.args[0]) or any(map(is_quotient, sympy.Mul.make_args(e.args[0])))
    if not (e.is_Mul or e.is_Pow):
        return False
    factors = sympy.Mul.make_args(e)
    return any(map(is_quotient, factors)) or sum(map(has_exponentials, factors)) > 1


def stable_node(e: sympy.Expr, read: Reader) -> Node | None:
    """The node of a product, power or logarithm for which `needs_care` holds; None where it has too many terms."""
    try:
        return _Sums(read).logarithm(e.args[0]) if e.func is sympy.log else _Sums(read).product(e)
    except _TooManyError:
        return None


def _terms(e: sympy.Expr) -> Terms:
    """The expression as a sum of exponentials with coefficients that are no exponentials."""
    if isinstance(e, sympy.exp) and _varies(e):
        return {e.args[0]: sympy.S.One}
    if isinstance(e, HYPERBOLIC) and _varies(e):
        half = sympy.Rational(1, 2)
        return {e.args[0]: half, -e.args[0]: half if isinstance(e, sympy.cosh) else -half}
    if isinstance(e, sympy.Pow) and _varies(e):
        return {e.exp * sympy.log(e.base): sympy.S.One}
    found: Terms = {}
    if e.is_Add:
        for part in e.args:
            for u, c in _terms(part).items():
                _put(found, u, c)
        return found
    if e.is_Mul and has_exponentials(e):
        found = {sympy.S.Zero: sympy.S.One}
        for part in e.args:
            found = _multiplied(found, _terms(part))
        return found
    if _is_natural(e) and has_exponentials(e.base):
        return _raised(_terms(e.base), int(e.exp))
    return {sympy.S.Zero: e}


def _put(terms: Terms, u: sympy.Expr, c: sympy.Expr) -> None:
    """Adds c e^u."""
    known = u if u in terms else next((v for v in terms if sympy.expand(u - v) == 0), u)
    terms[known] = terms.get(known, sympy.S.Zero) + c
    if terms[known] == 0:
        del terms[known]
    if len(terms) > MAX_TERMS:
        raise _TooManyError


def _multiplied(a: Terms, b: Terms) -> Terms:
    found: Terms = {}
    for u, c in a.items():
        for v, d in b.items():
            _put(found, u + v, c * d)
    return found


def _raised(a: Terms, exponent: int) -> Terms:
    found: Terms = {sympy.S.Zero: sympy.S.One}
    for _ in range(exponent):
        found = _multiplied(found, a)
    return found


def _positive(terms: Terms) -> bool:
    """Whether all coefficients are positive numbers."""
    return all(c.is_number and c.is_positive for c in terms.values())


def _less(v: sympy.Expr, u: sympy.Expr) -> sympy.Expr:
    """v - u, multiplied out where that makes it shorter."""
    difference = v - u
    expanded = sympy.expand(difference)
    return expanded if sympy.count_ops(expanded) < sympy.count_ops(difference) else difference


class _Sums:
    """Makes the nodes, with `read` for what is inside."""

    def __init__(self, read: Reader) -> None:
        self.read = read

    def log_sum(self, terms: Mapping[sympy.Expr, sympy.Expr]) -> Node:
        """L: the logarithm of a sum of exponentials with positive numbers as coefficients."""
        if not terms:
            raise ValueError(
                "cannot turn a quotient by 0, or a logarithm of 0, into a program: a sum in it is 0 for all x"
            )
        first = sympy.S.Zero if sympy.S.Zero in terms else next(iter(terms))
        alone = self.read(first + sympy.log(terms[first]))
        rest = {_less(v, first): d / terms[first] for v, d in terms.items() if v != first}
        if not rest:
            return alone
        above = apply("softplus", self.log_sum(rest))
        return above if first + sympy.log(terms[first]) == 0 else add([(1, alone), (1, above)])

    def scaled(self, terms: Terms, u: sympy.Expr, p: sympy.Rational) -> Node:
        """e^u (sum d_j e^{v_j})^{-p}, d_j > 0."""
        moved = {_less(v, u / p): d for v, d in terms.items()}
        one = moved.get(sympy.S.Zero)
        if one is None or not (p.is_Integer and p > 0):
            return apply("exp", scale(-fraction(p), self.log_sum(moved)))
        rest = {w: d / one for w, d in moved.items() if w != 0}
        factor = self.read(one ** (-p))
        if not rest:
            return factor
        if len(rest) == 1:
            ((w, d),) = rest.items()
            share = apply("sigmoid", self.read(-w - sympy.log(d)))
        else:
            share = apply("sigmoid", scale(-1, self.log_sum(rest)))
        raised = power(share, int(p))
        return raised if one == 1 else hadamard(factor, raised)

    def odd(self, above: Terms, below: Terms, p: sympy.Rational) -> Node | None:
        """r tanh((v - w + log(d/e))/2), where (r d e^v - r e e^w)/(d e^v + e e^w) is given."""
        if p != 1 or len(below) != 2 or set(above) != set(below):
            return None
        (v, d), (w, e) = below.items()
        r = above[v] / d
        if sympy.simplify(r + above[w] / e) != 0:
            return None
        inside = _less(v / 2, w / 2) + sympy.log(d / e) / 2
        return self.times(r, apply("tanh", self.read(inside)))

    def times(self, c: sympy.Expr, node: Node) -> Node:
        """c times a node."""
        if c.is_Rational:
            return scale(fraction(c), node)
        return hadamard(self.read(c), node)

    def quotient(self, above: Terms, below: Terms, p: sympy.Rational) -> Node:
        """sum c e^u / (sum d e^v)^p."""
        if _positive(below):
            known = self.odd(above, below, p)
            if known is not None:
                return known
            return add([(1, self.times(c, self.scaled(below, u, p))) for u, c in above.items()])
        unit, denominator = self.shares(below)
        numerator = add([(1, self.times(c, self.scaled(unit, u, p))) for u, c in above.items()])
        return hadamard(numerator, power(denominator, -fraction(p)))

    def product(self, e: sympy.Expr) -> Node:
        """A product with quotients among its factors."""
        above: Terms = {sympy.S.Zero: sympy.S.One}
        below: Terms = {sympy.S.Zero: sympy.S.One}
        others: list[tuple[Terms, sympy.Rational]] = []
        quotients = [f for f in sympy.Mul.make_args(e) if is_quotient(f)]
        for factor in sympy.Mul.make_args(e):
            if factor not in quotients:
                above = _multiplied(above, _terms(factor))
            elif factor.exp.is_Integer and len(quotients) > 1:
                below = _multiplied(below, _raised(_terms(factor.base), int(-factor.exp)))
            else:
                others.append((_terms(factor.base), -factor.exp))
        if not others or below != {sympy.S.Zero: sympy.S.One}:
            others.append((below, sympy.S.One))
        if not above:
            return self.read(sympy.S.Zero)
        return self.quotient(above, *others[0]) if len(others) == 1 else self.quotients(above, others)

    def quotients(self, above: Terms, below: Sequence[tuple[Terms, sympy.Rational]]) -> Node:
        """sum c e^u / prod_i (sum d e^v)^{p_i}: an exponential for each u, which may overflow with some of them."""
        logarithms, nodes = [], []
        for terms, p in below:
            positive = terms
            if not _positive(terms):
                positive, denominator = self.shares(terms)
                nodes.append(power(denominator, -fraction(p)))
            logarithms.append((-fraction(p), self.log_sum(positive)))
        parts = [(1, self.times(c, apply("exp", add([(1, self.read(u)), *logarithms])))) for u, c in above.items()]
        node = add(parts)
        for factor in nodes:
            node = hadamard(node, factor)
        return node

    def shares(self, terms: Terms) -> tuple[Terms, Node]:
        """The sum of e^{v_j}, and what a sum of d_j e^{v_j} is divided by it."""
        unit: Terms = dict.fromkeys(terms, sympy.S.One)
        return unit, add([(1, self.times(d, self.scaled(unit, v, sympy.S.One))) for v, d in terms.items()])

    def logarithm(self, x: sympy.Expr) -> Node:
        """log(x), x > 0 with exponentials in it."""
        factors = sympy.Mul.make_args(x)
        quotients = [f for f in factors if is_quotient(f)]
        above = _terms(sympy.Mul(*(f for f in factors if f not in quotients)))
        if not quotients:
            return self.log_of(above)
        below = [(_terms(f.base), -f.exp) for f in quotients]
        if not _positive(above) or not all(_positive(terms) for terms, _ in below):
            return apply("log", self.product(x))
        if len(below) == 1 and len(above) == 1:
            ((u, c),), ((terms, p),) = above.items(), below
            moved = {_less(v, u / p): d * c ** (-1 / p) for v, d in terms.items()}
            return scale(-fraction(p), self.log_sum(moved))
        return add([(1, self.log_sum(above)), *((-fraction(p), self.log_sum(terms)) for terms, p in below)])

    def log_of(self, terms: Terms) -> Node:
        """The logarithm of a sum of exponentials."""
        if _positive(terms):
            return self.log_sum(terms)
        unit, shares = self.shares(terms)
        return add([(1, self.log_sum(unit)), (1, apply("log", shares))])
