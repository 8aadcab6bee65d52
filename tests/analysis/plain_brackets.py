"""Laws counted by hand, for tests: SymPy brackets at a rational point, with the rank over the rationals.

It shares nothing with the package: fields are SymPy gradients at drawn inputs, gates are chosen by evaluating them,
brackets are formed symbolically.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import flint
import sympy


def sigma(z: sympy.Expr) -> sympy.Expr:
    """ReLU."""
    return sympy.Max(0, z)


@dataclass(frozen=True)
class Drawn:
    """A map drawn by a seed."""

    name: str
    outputs: tuple[sympy.Expr, ...]
    parameters: tuple[sympy.Symbol, ...]
    inputs: tuple[sympy.Symbol, ...]


def _residual(source: random.Random, activation: Callable[[sympy.Expr], sympy.Expr]) -> Drawn:
    """x + u sigma(<v, x> + b) once or twice, on a line or in a plane."""
    size, blocks = source.choice([(1, 1), (1, 2), (2, 1)])
    x = sympy.symbols(f"x0:{size}")
    y, parameters = list(x), []
    for k in range(blocks):
        u, v = sympy.symbols(f"u{k}_0:{size}"), sympy.symbols(f"v{k}_0:{size}")
        b = sympy.symbols(f"b{k}:1") if source.random() < 0.5 else ()
        z = activation(sum((p * q for p, q in zip(v, y, strict=True)), sum(b, sympy.Integer(0))))
        y = [q + p * z for p, q in zip(u, y, strict=True)]
        parameters += [*u, *v, *b]
    return Drawn("residual", tuple(y), tuple(parameters), x)


def _shared(source: random.Random, activation: Callable[[sympy.Expr], sympy.Expr]) -> Drawn:
    """a sigma(w sigma(w x + b)) or a matrix applied twice: weights that are shared."""
    x = sympy.symbols("x0:2")
    a, w, b, c = sympy.symbols("a w b c")
    if source.random() < 0.5:
        inner = activation(w * x[0] + (b * x[1] if source.random() < 0.5 else b))
        return Drawn("shared", (a * activation(w * inner + c),), (a, w, b, c), x)
    m = sympy.Matrix(2, 2, sympy.symbols("m0:4"))
    v = sympy.symbols("v0:2")
    hidden = (m * (m * sympy.Matrix(x)).applyfunc(activation)).applyfunc(activation)
    return Drawn("shared", (v[0] * hidden[0] + v[1] * hidden[1],), (*m, *v), x)


def _biased(source: random.Random, activation: Callable[[sympy.Expr], sympy.Expr]) -> Drawn:
    """sum_j u_j sigma(<v_j, x> + b_j) + c with some of the biases."""
    size, units = source.choice([(1, 2), (2, 1), (2, 2), (1, 3)])
    x = sympy.symbols(f"x0:{size}")
    total, parameters = sympy.Integer(0), []
    for j in range(units):
        u, v = sympy.Symbol(f"u{j}"), sympy.symbols(f"v{j}_0:{size}")
        b = (sympy.Symbol(f"b{j}"),) if source.random() < 0.7 else ()
        total += u * activation(sum((p * q for p, q in zip(v, x, strict=True)), sum(b, sympy.Integer(0))))
        parameters += [u, *v, *b]
    if source.random() < 0.5:
        parameters.append(sympy.Symbol("c"))
        total += parameters[-1]
    return Drawn("biases", (total,), tuple(parameters), x)


def drawn_map(seed: int) -> Drawn:
    """A residual map, one with shared weights or one with biases; linear or with ReLU."""
    source = random.Random(seed)
    activation = source.choice([sigma, sigma, lambda z: z])
    return source.choice([_residual, _shared, _biased])(source, activation)


def drawn_point(seed: int, count: int) -> list[Fraction]:
    """A rational point."""
    source = random.Random(seed)
    return [Fraction(source.randint(-40, 40) * 2 + 1, 20) for _ in range(count)]


def without_gates(e: sympy.Expr, where: dict[sympy.Symbol, sympy.Rational]) -> sympy.Expr:
    """The expression with every Max replaced by the argument that is largest at a point."""
    if not e.args:
        return e
    arguments = [without_gates(a, where) for a in e.args]
    if e.func is sympy.Max:
        return max(arguments, key=lambda a: a.xreplace(where))
    return e.func(*arguments)


def rank_over_q(rows: Sequence[Sequence[sympy.Rational]]) -> int:
    """The rank of a matrix of rationals."""
    entries = [flint.fmpq(int(v.p), int(v.q)) for row in rows for v in row]
    return int(flint.fmpq_mat(len(rows), len(rows[0]), entries).rank())


def lie_dimension(drawn: Drawn, point: Sequence[Fraction], samples: int = 160, depth: int = 3) -> int:
    """The dimension at a point of what iterated brackets up to a depth span."""
    at = {s: sympy.Rational(v.numerator, v.denominator) for s, v in zip(drawn.parameters, point, strict=True)}
    source = random.Random(7)
    plain: set[sympy.Expr] = set()
    for _ in range(samples):
        scale = source.choice([1, 10, 100, 1000])
        x = {s: sympy.Rational(source.randint(-999, 999), scale) for s in drawn.inputs}
        plain |= {without_gates(output, at | x) for output in drawn.outputs}
    spanned: set[sympy.Expr] = set()
    for output in plain:
        for coefficient in sympy.Poly(sympy.expand(output), *drawn.inputs).coeffs():  # all inputs with the same gates
            spanned.add(sympy.expand(coefficient))
    fields = [sympy.Matrix([c.diff(s) for s in drawn.parameters]) for c in sorted(spanned, key=str)]
    fields = [f for f in fields if any(f)]
    values = [list(f.subs(at)) for f in fields]
    found, latest = list(fields), list(fields)
    best = rank_over_q(values) if values else 0
    for _ in range(depth):
        brackets = []
        for y in latest:
            for x in fields:
                bracket = (y.jacobian(drawn.parameters) * x - x.jacobian(drawn.parameters) * y).expand()
                if any(bracket) and bracket not in found:
                    brackets.append(bracket)
                    found.append(bracket)
                    values.append(list(bracket.subs(at)))
            if len(brackets) > 20:
                break
        latest = brackets
        now = rank_over_q(values) if values else 0
        if not latest or now == len(point):
            return now
        best = now
    return best
