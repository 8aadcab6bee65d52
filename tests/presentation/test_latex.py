r"""The printed formulas: what they say, whether they are right, and whether they fit on a page.

Whether they are right is decided by reading the LaTeX back: `Reader` is a small recursive-descent evaluator of the
printed notation over NumPy arrays.  It knows nothing of programs, nodes or labels.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy

from symflow.compile.interpret import interpret
from symflow.errors import ProblemError
from symflow.presentation.formulas import escape, formulas_document, network_latex
from symflow.presentation.latex import derived_latex, printed_width
from symflow.symbolic.derived import (
    Derived,
    directional_derivative,
    gradient,
    gradient_flow,
    hessian,
    hessian_form,
    hessian_vector_product,
    loss,
)
from symflow.symbolic.moments import moment_form
from symflow.symbolic.network import FullyConnected
from symflow.symbolic.nodes import Axis, Identity, Input, Node, add, apply, einsum
from symflow.symbolic.objective import Objective, expression_objective
from symflow.symbolic.program import Program
from symflow.symbolic.training import network_objective

# --- Reading the printed notation back --------------------------------------------------------------------------------


class Entries:
    """An array whose axes are index letters."""

    def __init__(self, array: np.ndarray, letters: str) -> None:
        self.array, self.letters = array, letters


class UnknownSize(Exception):
    """An intermediate result whose size its line does not tell (a sum of ones and the like)."""


class Ones:
    """The column of ones, or its transpose; its length follows from its neighbour (or from the result)."""

    def __init__(self, row: bool = False, factor: float = 1.0) -> None:
        self.row, self.factor = row, factor

    @property
    def T(self) -> Ones:
        return Ones(not self.row, self.factor)

    def left(self, other: Any, target: tuple[int, ...]) -> Any:
        if np.ndim(other) == 0:
            return Ones(self.row, self.factor * other)
        assert self.row
        return self.factor * other.sum(axis=0, keepdims=True)

    def right(self, other: Any, target: tuple[int, ...]) -> Any:
        if np.ndim(other) == 0:
            return Ones(self.row, self.factor * other)
        if self.row and not target:
            raise UnknownSize
        return other @ np.ones((1, target[1])) if self.row else other.sum(axis=1, keepdims=True)


class Reader:
    """Evaluates printed equations line by line; every left-hand side becomes a symbol for the lines after it.

    Args:
        values: arrays by their LaTeX.
        weights: W_1, W_2, ..., for W_{j':j}.
        slopes: of sigma for z >= 0 and z < 0.
        samples: what N stands for.
        shapes: the shapes of the results on the left-hand sides, where a line alone does not tell.
    """

    def __init__(
        self,
        values: Mapping[str, np.ndarray],
        weights: list[np.ndarray],
        slopes: tuple[float, float],
        samples: int,
        shapes: Mapping[str, tuple[int, ...]],
    ) -> None:
        self.values = {k: v[:, None] if v.ndim == 1 else v for k, v in values.items()}
        self.weights, self.slopes, self.samples, self.shapes = weights, slopes, samples, dict(shapes)

    def read(self, latex: str) -> dict[str, np.ndarray]:
        body = latex.removeprefix("\\begin{aligned}\n").removesuffix("\n\\end{aligned}")
        assert body != latex
        body = re.sub(r" \\\\\n&\\q+uad", " ", body)
        results = {}
        for line in body.split(" \\\\\n"):
            left, right = line.split(" &= ")
            entry = re.fullmatch(r"\((?!H\\Delta)(.*)\)_\{([a-z,]+)\}", left)
            name, self.letters = (entry[1], entry[2].replace(",", "")) if entry else (left, "")
            self.target = self.shapes.get(name, ())
            self.sizes = dict(zip(self.letters, self.target, strict=False))
            self.text, self.at = right, 0
            value = self.sum()
            assert self.at == len(self.text), f"unread: {self.text[self.at :]}"
            if isinstance(value, Entries) or self.letters:
                value = value if isinstance(value, Entries) else Entries(np.asarray(value), "")
                value = self.align(value, self.letters).array
            if isinstance(value, tuple):  # a multiple of the identity
                if not self.target:
                    raise UnknownSize
                value = value[1] * np.eye(self.target[0])
            if name in self.shapes and len(self.target) < np.ndim(value):  # a column
                value = value.reshape(self.target)
            if isinstance(value, Ones):
                if not self.target:
                    raise UnknownSize
                value = np.full(self.target, value.factor)
            value = np.asarray(value)
            if np.ndim(value) == 0 and value == 0:
                value = np.zeros(self.target)
            assert name not in self.values, f"{name} is defined twice"
            results[name] = value
            self.values[name] = value[:, None] if value.ndim == 1 else value
        return results

    def align(self, x: Entries, letters: str) -> Entries:
        assert set(x.letters) <= set(letters), (x.letters, letters)
        array = np.einsum(f"{x.letters}->{''.join(i for i in letters if i in x.letters)}", x.array)
        if not set(letters) <= set(self.sizes):
            raise UnknownSize
        shape = tuple(self.sizes[i] for i in letters)
        index = tuple(slice(None) if i in x.letters else None for i in letters)
        return Entries(np.broadcast_to(array[index], shape), letters)

    # Tokens.

    def skip(self) -> None:
        while self.text.startswith((" ", r"\,", r"\cdot"), self.at):
            self.at += 5 if self.text.startswith(r"\cdot", self.at) else (2 if self.text[self.at] == "\\" else 1)

    def take(self, token: str) -> bool:
        self.skip()
        if self.text.startswith(token, self.at):
            self.at += len(token)
            return True
        return False

    def need(self, token: str) -> None:
        assert self.take(token), f"expected {token} at {self.text[self.at :]!r}"

    def match(self, pattern: str) -> re.Match[str] | None:
        self.skip()
        found = re.compile(pattern).match(self.text, self.at)
        if found:
            self.at = found.end()
        return found

    # Grammar.

    def sum(self) -> Any:
        negative = self.take("-")
        total = self.term()
        if negative:
            total = self.times(-1.0, total)
        while True:
            sign = 1.0 if self.take("+") else (-1.0 if self.take("-") else 0.0)
            if not sign:
                return total
            term = self.times(sign, self.term())
            if isinstance(total, Entries) or isinstance(term, Entries):
                a, b = (x if isinstance(x, Entries) else Entries(np.asarray(x), "") for x in (total, term))
                letters = self.letters
                total = Entries(self.align(a, letters).array + self.align(b, letters).array, letters)
            else:
                total, term = self.sized(total, term), self.sized(term, total)
                assert np.shape(total) == np.shape(term), (np.shape(total), np.shape(term), self.text)
                total = total + term

    def sized(self, x: Any, other: Any) -> Any:
        """A multiple of the identity or of the ones, of the size of the other term (or of the result)."""
        if isinstance(x, Ones):
            if isinstance(other, Ones):
                raise UnknownSize
            return np.full(np.shape(other), x.factor)
        if not isinstance(x, tuple):
            return x
        if isinstance(other, tuple) and not self.target:
            raise UnknownSize
        return x[1] * np.eye(self.target[0] if isinstance(other, tuple) else len(other))

    def ends(self) -> bool:
        self.skip()
        rest = self.text[self.at :]
        return not rest or rest.startswith(("+", "-", ")", ",", "}", r"\rangle", r"\|_F"))

    def term(self) -> Any:
        value = self.product()
        while not self.ends():
            if self.take(r"\odot"):
                other = self.sized(self.factor(), value)
                assert np.shape(value) == np.shape(other)
                value = value * other
            else:
                self.need(r"\otimes")
                value = self.kronecker(value, self.factor())
        return value

    def product(self) -> Any:
        factors = [self.factor()]
        while not self.ends() and not self.text.startswith((r"\odot", r"\otimes"), self.at):
            factors.append(self.factor())
        arrays = [x for x in factors if isinstance(x, Ones) or np.ndim(x) > 0]
        if len(arrays) > 2 and all(isinstance(x, Ones) for x in (arrays[0], arrays[-1])) and arrays[0].row:
            scalars = [x for x in factors if not isinstance(x, Ones) and np.ndim(x) == 0]
            return float(np.prod(scalars)) * float(np.sum(self.multiply(arrays[1:-1])))
        ones = [isinstance(x, Ones) and not x.row for x in factors]
        if True in ones[:-1]:  # a column times a row
            cut = ones.index(True) + 1
            halves = [self.multiply(factors[:cut]), self.multiply(factors[cut:])]
            if any(isinstance(x, Ones) for x in halves) and not self.target:
                raise UnknownSize
            shapes = [(*self.target[:1], 1), (1, *self.target[1:])]
            left, right = (
                np.full(s, x.factor) if isinstance(x, Ones) else x for x, s in zip(halves, shapes, strict=True)
            )
            return left @ right
        return self.multiply(factors)

    def multiply(self, factors: list[Any]) -> Any:
        value = factors.pop()
        while factors:
            value = self.times(factors.pop(), value)
        return value

    def kronecker(self, a: Any, b: np.ndarray) -> np.ndarray:
        rows = self.target[0] * self.target[1]
        if isinstance(b, tuple):
            b = np.eye(self.target[1])
        if isinstance(a, tuple):  # a multiple of the identity
            a = a[1] * np.eye(rows // b.shape[0])
        return np.kron(a, b).reshape(self.target)

    def times(self, a: Any, b: Any) -> Any:
        if isinstance(a, Ones) or isinstance(b, Ones):
            return a.left(b, self.target) if isinstance(a, Ones) else b.right(a, self.target)
        if isinstance(a, tuple) or isinstance(b, tuple):
            scalar, identity = (a, b) if isinstance(b, tuple) else (b, a)
            return (identity[0], identity[1] * scalar)
        if isinstance(a, Entries) or isinstance(b, Entries):
            a, b = (x if isinstance(x, Entries) else Entries(np.asarray(x), "") for x in (a, b))
            letters = "".join(dict.fromkeys(a.letters + b.letters))
            return Entries(np.einsum(f"{a.letters},{b.letters}->{letters}", a.array, b.array), letters)
        if np.ndim(a) == 0 or np.ndim(b) == 0:
            return a * b
        return a @ b

    def factor(self) -> Any:
        if found := self.match(r"\\sum_\{([^}]*)\}"):
            inside = self.term()
            assert isinstance(inside, Entries)
            kept = "".join(i for i in inside.letters if i not in found[1].split(","))
            kept = "".join(dict.fromkeys(kept))
            if not kept:
                return float(np.einsum(f"{inside.letters}->", inside.array))
            return Entries(np.einsum(f"{inside.letters}->{kept}", inside.array), kept)
        value = self.primary()
        while True:
            if self.match(r"\^\\top"):
                value = value.T
            elif found := self.match(r"\^\{(?:\\odot )?(-?\d+(?:/\d+)?)\}"):
                value = np.power(value, float(Fraction(found[1])))
            elif found := self.match(r"_\{([a-z]+)\}"):
                if len(found[1]) == 1:
                    value = value[:, 0]
                assert len(found[1]) == np.ndim(value)
                value = Entries(value, found[1])
                self.sizes.update(zip(found[1], value.array.shape, strict=True))
            else:
                return value

    def primary(self) -> Any:
        if found := self.match(r"\\tfrac\{(\d+)\}\{(\d*)(N?)\}"):
            return float(found[1]) / (float(found[2] or 1) * (self.samples if found[3] else 1))
        if found := self.match(r"\d+"):
            return float(found[0])
        if self.take(r"\langle"):
            a = self.sum()
            self.need(",")
            b = self.sum()
            self.need(r"\rangle")
            if isinstance(a, Ones) or isinstance(b, Ones):
                return float(np.sum(b if isinstance(a, Ones) else a))
            assert np.shape(a) == np.shape(b)
            return float(np.sum(a * b))
        if self.take(r"\|"):
            a = self.sum()
            self.need(r"\|_F^2")
            return float(np.sum(a * a))
        if found := self.match(r"\\delta_\{([a-z])([a-z])\}"):
            size = self.sizes.get(found[1]) or self.sizes.get(found[2])
            if size is None:
                raise UnknownSize
            return Entries(np.eye(size), found[1] + found[2])
        if self.take(r"\sigma'("):
            z = self.sum()
            self.need(")")
            return np.where(z >= 0, self.slopes[0], self.slopes[1])
        if self.take(r"\varsigma("):
            x = self.sum()
            self.need(")")
            return 1 / (1 + np.exp(-x))
        if found := self.match(r"\\(exp|log|sin|cos)\("):
            x = self.sum()
            self.need(")")
            return getattr(np, found[1])(x)
        if self.take("e^{"):
            x = self.sum()
            self.need("}")
            return np.exp(x)
        known = [s for s in self.values if self.text.startswith(s, self.at)]
        if known:
            name = max(known, key=len)
            self.at += len(name)
            return self.values[name]
        if found := self.match(r"\\operatorname\{Tr\}\(I_\{(\d+)\}\)"):
            return float(found[1])
        if self.take(r"\operatorname{Tr}("):
            a = self.sum()
            self.need(")")
            return float(np.trace(a))
        if found := self.match(r"W_\{(\d+):(\d+)\}"):
            value = self.weights[int(found[1]) - 1]
            for j in range(int(found[1]) - 1, int(found[2]) - 1, -1):
                value = value @ self.weights[j - 1]
            return value
        if self.take(r"\mathbf{1}"):
            return Ones()
        if self.take("I"):
            return ("identity", 1.0)
        if self.take("("):
            value = self.sum()
            self.need(")")
            return value
        raise AssertionError(f"cannot read {self.text[self.at :]!r}")


class Floats:
    """Programs over NumPy arrays of floats."""

    def constant(self, value: Fraction, shape: tuple[int, ...]) -> np.ndarray:
        return np.full(shape, float(value))

    def identity(self, size: int) -> np.ndarray:
        return np.eye(size)

    def combine(self, coefficients: Any, arrays: Any) -> np.ndarray:
        return sum(float(c) * x for c, x in zip(coefficients, arrays, strict=True))

    def einsum(self, subscripts: str, arrays: Any) -> np.ndarray:
        return np.einsum(subscripts, *arrays)

    def broadcast(self, array: np.ndarray, positions: Any, shape: tuple[int, ...]) -> np.ndarray:
        return np.broadcast_to(np.expand_dims(array, tuple(positions)), shape)

    def gate(self, z: np.ndarray, alpha: Fraction, alpha_bar: Fraction) -> np.ndarray:
        return np.where(z >= 0, float(alpha), float(alpha_bar))

    def function(self, name: str, x: np.ndarray, exponent: Fraction | None) -> np.ndarray:
        if exponent is not None:
            return np.power(x, float(exponent))
        named = {"softplus": lambda z: np.logaddexp(0, z), "sigmoid": lambda z: 1 / (1 + np.exp(-z))}
        return named.get(name, getattr(np, name, None))(x)


def disagreement(derived: Derived, latex: str | None = None) -> float:
    """How far the printed formulas (or `latex` in their place) are from the program, at random arguments.

    Widths must be integers; a symbolic number of samples is taken to be 3.
    """
    rng = np.random.default_rng(0)
    samples = 3
    values: dict[Input, np.ndarray] = {}
    for x in derived.program.inputs:
        shape = [a.size if isinstance(a.size, int) else samples for a in x.axes]
        value = rng.uniform(0.3, 1.3, shape) * (rng.choice([-1.0, 1.0], shape) if shape else 1.0)
        values[x] = np.asarray(value)
        if x.name == "Sigma_xx":
            values[x] = value @ value.T
        if x.name == "inverse_samples":
            values[x] = np.asarray(1 / samples)
    expected = interpret(derived.program, values, Floats())
    network = derived.objective.network
    weights = [values[w] for w in derived.objective.parameters] if network else []
    slopes = (float(network.alpha), float(network.alpha_bar)) if network else (1.0, 1.0)
    printed = latex or derived_latex(derived)
    lefts = result_names(printed, len(expected))
    shapes = {left: np.shape(v) for left, v in zip(lefts, expected.values(), strict=True)}
    results = Reader({x.latex: v for x, v in values.items()}, weights, slopes, samples, shapes).read(printed)
    worst = 0.0
    for left, value in zip(lefts, expected.values(), strict=True):
        assert np.shape(results[left]) == np.shape(value), (left, np.shape(results[left]), np.shape(value))
        error = float(np.max(np.abs(results[left] - value) / (1 + np.abs(value))))
        worst = max(worst, error)
    return worst


def result_names(latex: str, number: int) -> list[str]:
    """The last left-hand sides, without the letters of entries."""
    lefts = [line.split(" &=")[0] for line in latex.split("\n") if " &=" in line][-number:]
    return [m[1] if (m := re.fullmatch(r"\((?!H\\Delta)(.*)\)_\{[a-z,]+\}", left)) else left for left in lefts]


# --- Objectives -------------------------------------------------------------------------------------------------------

EXPRESSIONS = ["log(1 + exp(-x*y)) + sqrt(x**2 + 1)*y**3", "exp(-x**2)/y + x", "x**2*y - x*y/3 + y**(-3/2)",
               "sin(x*y)*cos(x - y)**2", "-x**2/2 + y"]  # fmt: skip


def data(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    return np.array([[Fraction(int(v), 4) for v in row] for row in rng.integers(-6, 7, (rows, columns))], dtype=object)


def network(widths: tuple[Any, ...], alpha: Fraction | int = 1, alpha_bar: Fraction | int = 1) -> FullyConnected:
    return FullyConnected(widths, Fraction(alpha), Fraction(alpha_bar))


def objective(
    widths: tuple[int, ...], alpha: Fraction | int = 1, alpha_bar: Fraction | int = 1, moments: bool = False
) -> Objective:
    rng = np.random.default_rng(len(widths))
    sampled = network_objective(network(widths, alpha, alpha_bar), data(rng, 5, widths[0]), data(rng, 5, widths[-1]))
    if not moments:
        return sampled
    rewritten = moment_form(sampled)
    assert rewritten is not None
    return rewritten


def everything(o: Objective) -> list[Derived]:
    forms = [directional_derivative(o, k) for k in (0, 1, 2, 3)]
    return [loss(o), gradient(o), gradient_flow(o), *forms, hessian_vector_product(o), hessian(o)]


OBJECTIVES = {
    **{f"linear moments {n}": objective((2, 3, 4, 5, 3, 2, 4)[: n + 1], moments=True) for n in range(1, 7)},
    "linear moments, equal widths": objective((3, 3, 3, 3), moments=True),
    "linear moments, slope 3/2": objective((2, 3, 4, 2), Fraction(3, 2), Fraction(3, 2), moments=True),
    "linear samples 1": objective((3, 2)),
    "linear samples 3": objective((2, 3, 4, 3)),
    "relu 2": objective((2, 3, 2), 1, 0),
    "relu 3": objective((2, 3, 4, 3), 1, 0),
    "relu 3, equal widths": objective((3, 3, 3, 3), 1, 0),
    "leaky 4": objective((2, 4, 3, 5, 2), 1, Fraction(1, 5)),
    "scalar output": objective((2, 3, 3, 1), 1, 0),
    "symbolic samples, linear": network_objective(network((2, 3, 4, 3)), None, None),
    "symbolic samples, relu": network_objective(network((2, 3, 4, 3), 1, 0), None, None),
    **{e: expression_objective(sympy.sympify(e), sympy.symbols("x y")) for e in EXPRESSIONS},
}


# --- What is printed is right -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OBJECTIVES)
def test_printed_formulas_have_the_value_of_the_program(name: str) -> None:
    for derived in everything(OBJECTIVES[name]):
        assert disagreement(derived) < 1e-12, f"{derived.kind}\n{derived_latex(derived)}"


def random_program(seed: int) -> Derived:
    """Products of matrices, vectors and a tensor, contracted, transposed, traced and broadcast at random, in sums."""
    rng = np.random.default_rng(seed)
    p, q, s = axes = Axis("d0", 2), Axis("d1", 3), Axis("sample", 4)
    shapes = {"A": (p, q), "B": (q, p), "C": (p, p), "Sigma_xx": (p, p), "X": (q, s), "v": (p,), "u": (q,), "k": (),
              "Q": (p, q, s)}  # fmt: skip
    inputs = [Input(n, a, "data", {"Sigma_xx": r"\Sigma_{xx}"}.get(n, n)) for n, a in shapes.items()]
    pool: list[Node] = [*inputs, Identity((p, p))]
    labels = {p: (0, 1), q: (2, 3), s: (4, 5)}
    broadcast = {i: a for a in axes for i in labels[a]}
    results: list[Node] = []
    for _ in range(8):
        chosen = [pool[int(i)] for i in rng.integers(0, len(pool), int(rng.integers(1, 5)))]
        used = [tuple(int(rng.choice(labels[a])) for a in x.axes) for x in chosen]
        known = sorted({i for indices in used for i in indices})
        spread = rng.random() < 0.15
        if spread:
            known = sorted({*known, int(rng.integers(0, 6))})
        out = tuple(int(i) for i in rng.permutation(known)[: int(rng.integers(0, 5))])
        node = einsum(chosen, used, out, broadcast)
        same = [x for x in pool if x.axes == node.axes]
        if same and rng.random() < 0.5:
            node = add([(Fraction(int(rng.integers(1, 4)), 2), node), (-2, same[int(rng.integers(0, len(same)))])])
        if not node.axes and rng.random() < 0.3:
            node = apply("sin", node)
        results.append(node)
        if len(node.axes) <= 2 and not spread:
            pool.append(node)
    program = Program(tuple(inputs), {f"r{n}": x for n, x in enumerate(results)})
    return Derived("random", Objective(program, ()), program, "vector")


def test_random_contractions_are_printed_right() -> None:
    read = 0
    for seed in range(300):
        derived = random_program(seed)
        try:
            assert disagreement(derived) < 1e-11, f"seed {seed}\n{derived_latex(derived)}"
        except UnknownSize:
            continue
        read += 1
    assert read > 200


@pytest.mark.parametrize(
    ("name", "derive", "right", "wrong"),
    [
        ("linear moments, equal widths", gradient, r"W_{3:2}^\top", r"W_{3:2}"),
        ("linear moments, equal widths", gradient, r"W_{3}^\top \nabla\varphi\, W_{1}^\top",
         r"W_{1}^\top \nabla\varphi\, W_{3}^\top"),
        ("linear moments, equal widths", hessian, r"\delta_{aq}", r"\delta_{bp}"),
        ("linear moments, equal widths", hessian_form, "B_{3:1} &= 2", "B_{3:1} &= 3"),
        ("relu 3, equal widths", gradient, r"W_{2}^\top", r"W_{2}"),
        ("relu 3, equal widths", hessian, r"X_{bs}", r"X_{as}"),
        ("relu 3", hessian_form, r"\sigma'(Z_{1})", r"\sigma'(-Z_{1})"),
    ],
)  # fmt: skip
def test_the_reader_notices_a_wrong_formula(name: str, derive: Any, right: str, wrong: str) -> None:
    derived = derive(OBJECTIVES[name])
    latex = derived_latex(derived)
    assert right in latex
    assert disagreement(derived, latex) < 1e-12
    assert disagreement(derived, latex.replace(right, wrong)) > 1e-3


# --- What is printed is the theory's ----------------------------------------------------------------------------------


def printed(derived: Derived) -> list[str]:
    return derived_latex(derived).split("\n")[1:-1]


def test_gradient_flow_of_a_linear_network_is_the_theorys() -> None:
    assert printed(gradient_flow(OBJECTIVES["linear moments 3"])) == [
        r"\nabla\varphi &= W_{3:1} \Sigma_{xx} - \Lambda_{yx} \\",
        r"\dot{W}_{1} &= -W_{3:2}^\top \nabla\varphi \\",
        r"\dot{W}_{2} &= -W_{3}^\top \nabla\varphi\, W_{1}^\top \\",
        r"\dot{W}_{3} &= -\nabla\varphi\, W_{2:1}^\top",
    ]


def test_hessian_form_of_a_linear_network_is_the_theorys() -> None:
    # R7 at n = 3, with A = A_{3:1} and B_{3:1} / 2 the sum over j < j'.
    assert printed(hessian_form(OBJECTIVES["linear moments 3"])) == [
        r"\nabla\varphi &= W_{3:1} \Sigma_{xx} - \Lambda_{yx} \\",
        r"A_{2:1} &= W_{2} \Delta_{1} + \Delta_{2} W_{1} \\",
        r"A_{3:1} &= \Delta_{3} W_{2:1} + W_{3} A_{2:1} \\",
        r"B_{3:1} &= 2 W_{3} \Delta_{2} \Delta_{1} + 2 \Delta_{3} A_{2:1} \\",
        r"H[\Delta,\Delta] &= \langle A_{3:1} \Sigma_{xx}, A_{3:1}\rangle + \langle \nabla\varphi, B_{3:1}\rangle",
    ]


def test_loss_and_diagonal_blocks_of_a_linear_network() -> None:
    moments = OBJECTIVES["linear moments 3"]
    assert printed(loss(moments)) == [
        r"f &= \tfrac{1}{2} \langle W_{3:1} \Sigma_{xx}, W_{3:1}\rangle - \langle W_{3:1}, \Lambda_{yx}\rangle"
        r" + \tfrac{1}{2} \operatorname{Tr}\Sigma_{yy}"
    ]
    blocks = derived_latex(hessian(moments))
    assert r"H_{11} &= (W_{3:2}^\top W_{3:2}) \otimes \Sigma_{xx}" in blocks
    assert r"H_{22} &= (W_{3}^\top W_{3}) \otimes (W_{1} \Sigma_{xx} W_{1}^\top)" in blocks
    assert r"H_{33} &= I \otimes (W_{2:1} \Sigma_{xx} W_{2:1}^\top)" in blocks


def test_gradient_flow_of_a_relu_network_names_its_intermediate_results() -> None:
    lines = printed(gradient_flow(network_objective(network((2, 3, 2), 1, 0), None, None)))
    assert lines == [
        r"Z_{1} &= W_{1} X \\",
        r"D_{1} &= \sigma'(Z_{1}) \\",
        r"A_{1} &= D_{1} \odot Z_{1} \\",
        r"R &= W_{2} A_{1} - Y \\",
        r"\bar{R} &= \tfrac{1}{N} R \\",
        r"\bar{A}_{1} &= W_{2}^\top \bar{R} \\",
        r"\bar{Z}_{1} &= D_{1} \odot \bar{A}_{1} \\",
        r"\dot{W}_{1} &= -\bar{Z}_{1} X^\top \\",
        r"\dot{W}_{2} &= -\bar{R} A_{1}^\top",
    ]


def test_what_was_made_before_does_not_change_what_is_printed() -> None:
    def all_printed(widths: tuple[int, ...]) -> list[str]:
        return [derived_latex(d) for d in everything(network_objective(network(widths, 1, 0), None, None))]

    axes = [Axis(f"d{j}", d) for j, d in enumerate((6, 7, 8, 9))]
    sample = Axis("sample", sympy.Symbol("N", integer=True, positive=True))
    early = [Input("Y", (axes[3], sample), "data", "Y"), Input("X", (axes[0], sample), "data", "X")]
    for j in (2, 3, 1):
        shape = (axes[j], axes[j - 1])
        early += [
            Input(f"Delta_W{j}", shape, "direction", rf"\Delta_{{{j}}}"),
            Input(f"W{j}", shape, "parameter", f"W_{{{j}}}"),
        ]
    assert all_printed((6, 7, 8, 9)) == all_printed((10, 11, 12, 13))
    assert len(early) == 8  # they had to stay alive


def test_a_dot_has_one_meaning_in_a_formula() -> None:
    for o in OBJECTIVES.values():
        for derived in everything(o):
            weights = derived.kind == "gradient flow"
            lefts = [line.split(" &=")[0] for line in printed(derived) if " &=" in line]
            dotted = [left for left in lefts if re.match(r"\\d+ot\{", left)]
            own = [w.latex for w in o.parameters]
            for left in dotted:
                is_weight = re.sub(r"^\\dot\{([^{}]*)\}", r"\1", left) in own
                assert is_weight == weights


def test_lines_are_short_enough_for_a_page() -> None:
    for o in OBJECTIVES.values():
        for derived in everything(o):
            for line in printed(derived):
                assert printed_width(line) < 90, line


def test_an_unknown_node_is_an_error() -> None:
    class Mystery:
        axes = ()
        arguments = ()

    from symflow.presentation.latex.expansion import Expansion

    with pytest.raises(TypeError, match="does not know Mystery"):
        Expansion((), {})(Mystery())  # type: ignore[arg-type]


# --- Documents --------------------------------------------------------------------------------------------------------

SETTINGS = [("N", "number of samples", "5"), ("", "initialization", "exactly balanced, scale 1/2, seed 7")]
BOUNDS = [
    ("R4", [(r"\beta", "largest ‖H‖ on the tube", "3.21, sampled at 200 times"), (r"\eta", "step size", "1/100")]),
    ("R22", [("", "bound", "not applicable: the tube crosses a kink at t = 0.25 (sample 3, layer 1, unit 2)")]),
    ("R18", [("e(T)", "leading order", "1." + "123456789" * 12 + "e-3, estimated")]),
    ("R6", []),
]
HOSTILE = (
    r"50% of a_b & c # $x$ ~ ^ \input{/etc/passwd} {Größe} λ≥0 Ångström naïve ŷ „中“ <|`\"|> -- ?`"
    + "\n\n\\end{document}"
)


def symbolic(depth: int, relu: bool) -> Objective:
    widths = sympy.symbols(f"d_0:{depth + 1}", integer=True, positive=True)
    return network_objective(network(widths, 1, 0 if relu else 1), None, None)


DOCUMENTS = {
    **{f"linear {n}": OBJECTIVES[f"linear moments {n}"] for n in range(1, 7)},
    **{f"linear {n}, symbolic": symbolic(n, False) for n in range(1, 7)},
    **{f"relu {n}, symbolic": symbolic(n, True) for n in (2, 3, 4)},
    "relu 3": OBJECTIVES["relu 3"],
    "leaky 4": OBJECTIVES["leaky 4"],
    **{f"expression {n}": OBJECTIVES[e] for n, e in enumerate(EXPRESSIONS)},
}


def typeset(tmp_path: Path, source: str) -> tuple[str, bytes]:
    """The log of pdflatex (which must succeed) and the page count's place, the PDF."""
    (tmp_path / "paper.tex").write_text(source, encoding="utf-8")
    run = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "paper.tex"],
        cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=120,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-3000:]
    return (tmp_path / "paper.log").read_text(errors="replace"), (tmp_path / "paper.pdf").read_bytes()


def too_wide(log: str) -> list[str]:
    return [m[0] for m in re.finditer(r"Overfull \\hbox \(([\d.]+)pt too wide\).*", log) if float(m[1]) > 5]


needs_latex = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex on this machine")


@needs_latex
@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_compile_and_fit(name: str, tmp_path: Path) -> None:
    log, pdf = typeset(tmp_path, formulas_document(DOCUMENTS[name], HOSTILE, SETTINGS, BOUNDS))
    assert pdf.startswith(b"%PDF")
    assert too_wide(log) == []


@needs_latex
def test_every_formula_fits_in_inline_and_display_mathematics(tmp_path: Path) -> None:
    start = "\\documentclass[10pt,a4paper]{article}\\usepackage[margin=2.5cm]{geometry}\\usepackage{amsmath}\n"
    start += "\\parindent0pt\\begin{document}\n"
    formulas = [d for o in DOCUMENTS.values() for d in everything(o)]
    displays = [f"\\[\n{derived_latex(d)}\n\\]\n\\clearpage" for d in formulas]
    inline = [f"{d._repr_latex_()}\n\n\\clearpage" for d in formulas]
    log, _ = typeset(tmp_path, start + "\n".join(displays + inline) + "\n\\end{document}\n")
    assert too_wide(log) == []


@needs_latex
def test_a_line_too_wide_is_noticed(tmp_path: Path) -> None:
    source = formulas_document(OBJECTIVES["relu 3"], "wide", SETTINGS, BOUNDS)
    log, _ = typeset(tmp_path, source.replace(r"\dot{W}_{1} &= ", r"\dot{W}_{1} &= " + "A + " * 60))
    assert too_wide(log)


def test_a_document_states_what_belongs_to_its_network() -> None:
    linear = formulas_document(OBJECTIVES["linear samples 3"], "p", SETTINGS, BOUNDS)
    assert r"\dot{W}_{2} &= -W_{3}^\top \nabla\varphi\, W_{1}^\top" in linear  # rewritten to moments
    assert r"W_{n:j'+1}\,\Delta_{j'}\,W_{j'-1:j+1}\,\Delta_j\,W_{j-1:1}" in linear
    assert "The activation has kinks" not in linear
    relu = formulas_document(OBJECTIVES["relu 3"], "p", SETTINGS, BOUNDS)
    assert "The activation has kinks" in relu
    assert relu.count(r"D_{1} &= \sigma'(Z_{1})") == 1
    expression = formulas_document(OBJECTIVES[EXPRESSIONS[0]], "p", [], [])
    assert "balancedness" not in expression
    for text in (linear, relu):
        assert "not applicable: the tube crosses a kink" in text
        assert all(f"]{{{key}}}" in text for key in ("EC21", "HNW93", "ACH18", "DHL18"))
    with pytest.raises(ProblemError, match="R99"):
        formulas_document(OBJECTIVES["relu 3"], "p", [], [("R99", [])])


def test_text_from_the_user_cannot_act_as_latex() -> None:
    escaped = escape(HOSTILE)
    assert r"\input" not in escaped
    assert r"\end{document}" not in escaped
    assert escape("50% a_b") == r"50\% a\_b"
    assert escape("Größe é ï Å") == r"Gr\"{o}\ss{}e \'{e} \"{\i} \r{A}"
    assert escape("λ ≥ 0 中") == r"$\lambda$ $\ge$ 0 [U+4E2D]"
    assert escaped.isascii()


def test_network_formula() -> None:
    assert r"h_\theta(x) &= W_{3}\,\sigma(W_{2}\,\sigma(W_{1}\,x))" in network_latex(network((2, 3, 4, 1), 1, 0))
    assert r"(d_0,\dots,d_{3}) &= (2, 3, 4, 1)" in network_latex(network((2, 3, 4, 1), 1, 0))
    assert r"\tfrac{1}{5}\,z, & z < 0" in network_latex(network((2, 3, 1), 1, Fraction(1, 5)))
    assert r"W_{3}W_{2}W_{1}\,x = W_{3:1}\,x" in network_latex(network((2, 3, 4, 1)))
    assert r"W_{7}\,\sigma(W_{6}\cdots\sigma(W_{1}\,x)\cdots)" in network_latex(network((1,) * 8, 1, 0))
