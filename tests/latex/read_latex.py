r"""Reads printed formulas back: a small recursive-descent evaluator of the notation over NumPy arrays.

It knows nothing of programs, nodes or labels; `disagreement` compares what it reads with the program.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from symflow.derivatives.derived import Derived, parameter_directions
from symflow.evaluate.interpret import interpret
from symflow.latex import derived_latex
from symflow.networks.convolutional import Convolutional
from symflow.programs.nodes import Input, Table


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
            if other.shape[1:] == (1,):
                return Repeated(self.factor * other)
            raise UnknownSize
        return other @ np.ones((1, target[1])) if self.row else other.sum(axis=1, keepdims=True)


class Repeated:
    """A row, a column or a number, repeated as often as the other term or factor has rows, columns or both."""

    def __init__(self, row: np.ndarray | float) -> None:
        self.row = row


KNOWN_NOTES = (
    r"X, Y, Z_{j}, A_{j}\colon \text{rows are channels, columns are pixels of samples}",
    r"W_{j}\colon \text{rows are outputs, columns are inputs (channel, then place)}",
    r"\operatorname{vec}\colon \text{each sample becomes one column}",
    r"\mathcal{L}^{*}\colon \text{adjoint of a linear map } \mathcal{L}",
    r"\operatorname{lse}(Z)_{s} := \log \textstyle\sum_{c} e^{Z_{cs}}",
    r"\operatorname{softmax}(Z)_{cs} := e^{Z_{cs}} / \textstyle\sum_{c'} e^{Z_{c's}}",
    r"\varsigma(z) := 1/(1 + e^{-z})",
    r"\varsigma(z) := 1/(1 + e^{-z}) \text{ entry by entry}",
)
SELECTION = (
    r"\\mathcal\{S\}_\{(\d+)\}\[A\]\(B\)\\colon \\text\{entries of \} B \\text\{ where \} "
    r"\\operatorname\{max\}_\{\1\}\(A\) \\text\{ is attained \(one of them at a tie\)\}"
)
WINDOWS = (
    r"(?:\\mathcal\{P\}|\\operatorname\{(?:avg|max)\})_\{(\d+)\}\\colon "
    r"\\text\{(?:patches, kernel|means over windows of size|largest entries of windows of size) \} ([\d\\times ]+), "
    r"\\text\{ stride \} ([\d\\times ]+)(?:, \\text\{ padding \} ([\d\\times ]+))?"
)
GATE = r"\\sigma'\(z\) := (.*) \\text\{ for \} z \\ge 0, \\quad (.*) \\text\{ for \} z < 0"
ENTRYWISE = r"(\\(log|exp|sin|cos)|e\^\{\\cdot\}|, )+\\colon \\text\{entry by entry\}"


class Windows:
    """The windows of a convolution or a pool, as positions in the image (-1 is padding)."""

    def __init__(self, extents: Sequence[int], size: list[int], stride: list[int], padding: list[int], samples: int):
        pixels = np.arange(np.prod(extents)).reshape(extents)
        padded = np.pad(pixels, [(p, p) for p in padding], constant_values=-1)
        views = np.lib.stride_tricks.sliding_window_view(padded, size)[tuple(slice(None, None, s) for s in stride)]
        self.pixels, self.size, self.samples = int(np.prod(extents)), int(np.prod(size)), samples
        self.index = views.reshape(-1, self.size).T  # place in the window, window

    def cut(self, a: np.ndarray) -> np.ndarray:
        """Channel, place in the window, window, sample."""
        image = a.reshape(a.shape[0], self.pixels, self.samples)
        padded = np.concatenate([image, np.zeros_like(image[:, :1])], axis=1)
        return padded[:, self.index]

    def glue(self, cut: np.ndarray) -> np.ndarray:
        """The adjoint of `cut`."""
        padded = np.zeros((cut.shape[0], self.pixels + 1, self.samples))
        np.add.at(padded, (slice(None), self.index), cut)
        return padded[:, :-1].reshape(cut.shape[0], -1)

    def patches(self, a: np.ndarray) -> np.ndarray:
        cut = self.cut(a)
        return cut.reshape(cut.shape[0] * self.size, -1)

    def patches_adjoint(self, b: np.ndarray) -> np.ndarray:
        return self.glue(b.reshape(-1, self.size, self.index.shape[1], self.samples))

    def spread(self, b: np.ndarray) -> np.ndarray:
        """One value a window, put at each place of it."""
        whole = b.reshape(b.shape[0], 1, self.index.shape[1], self.samples)
        return np.repeat(whole, self.size, axis=1)

    def mean(self, a: np.ndarray) -> np.ndarray:
        return self.cut(a).mean(axis=1).reshape(a.shape[0], -1)

    def mean_adjoint(self, b: np.ndarray) -> np.ndarray:
        return self.glue(self.spread(b)) / self.size

    def largest(self, a: np.ndarray) -> np.ndarray:
        return self.cut(a).max(axis=1).reshape(a.shape[0], -1)

    def chosen(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        places = self.cut(a).argmax(axis=1, keepdims=True)
        return np.take_along_axis(self.cut(b), places, axis=1).reshape(b.shape[0], -1)

    def chosen_adjoint(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        places = self.cut(a).argmax(axis=1, keepdims=True)
        mask = np.arange(self.size)[None, :, None, None] == places
        return self.glue(mask * self.spread(b))


class Reader:
    """Evaluates printed equations line by line; every left-hand side becomes a symbol for the lines after it.

    Args:
        values: arrays by their LaTeX.
        weights: W_1, W_2, ..., for W_{j':j}.
        slopes: of sigma for z >= 0 and z < 0.
        samples: what N stands for.
        shapes: the shapes of the results on the left-hand sides, where a line alone does not tell.
        images: extents of what each layer of a convolutional network reads.
        channels: of the image that a dense layer reads.
    """

    def __init__(
        self,
        values: Mapping[str, np.ndarray],
        weights: list[np.ndarray],
        slopes: tuple[float, float],
        samples: int,
        shapes: Mapping[str, tuple[int, ...]],
        images: Sequence[tuple[int, ...]] = (),
        channels: int = 1,
    ) -> None:
        self.values = {k: v[:, None] if v.ndim == 1 else v for k, v in values.items()}
        self.images, self.channels = images, channels
        self.windows: dict[str, Windows] = {}
        self.in_norm = False
        self.weights, self.slopes, self.samples, self.shapes = weights, slopes, samples, dict(shapes)

    def read(self, latex: str) -> dict[str, np.ndarray]:
        body = latex.removeprefix("\\begin{aligned}\n").removesuffix("\n\\end{aligned}")
        assert body != latex
        body = re.sub(r" \\\\\n&\\q+uad", " ", body)
        results = {}
        lines = body.split(" \\\\\n")
        for line in lines:
            if line.startswith("&"):
                self.note(re.sub(r"^&(\\phantom\{)?\\text\{where \}\}?\\mathopen\{\} ", "", line))
        for line in lines:
            if line.startswith("&"):
                continue
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

    def note(self, text: str) -> None:
        """Takes in an explanation; one that it does not know is an error."""
        if found := re.fullmatch(WINDOWS, text):
            size, stride, padding = ([int(x) for x in (g or "0").split(r"\times ")] for g in found.groups()[1:])
            stride, padding = (v * len(size) if len(v) == 1 else v for v in (stride, padding))
            self.windows[found[1]] = Windows(self.images[int(found[1]) - 1], size, stride, padding, self.samples)
        elif found := re.fullmatch(GATE, text):
            plain = [re.sub(r"\\tfrac\{(\d+)\}\{(\d+)\}", r"\1/\2", g) for g in found.groups()]
            assert [float(Fraction(p)) for p in plain] == list(self.slopes)
        else:
            assert text in KNOWN_NOTES or re.fullmatch(SELECTION, text) or re.fullmatch(ENTRYWISE, text), text

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
            if isinstance(total, Repeated) and isinstance(term, Repeated):
                total = Repeated(total.row + term.row)
            elif isinstance(total, Entries) or isinstance(term, Entries):
                a, b = (x if isinstance(x, Entries) else Entries(np.asarray(x), "") for x in (total, term))
                letters = self.letters
                total = Entries(self.align(a, letters).array + self.align(b, letters).array, letters)
            else:
                total, term = self.sized(total, term), self.sized(term, total)
                assert np.shape(total) == np.shape(term), (np.shape(total), np.shape(term), self.text)
                total = total + term

    def sized(self, x: Any, other: Any) -> Any:
        """A multiple of the identity or of the ones, of the size of the other term (or of the result)."""
        if isinstance(x, Repeated):
            if isinstance(other, Repeated):
                raise UnknownSize
            return np.broadcast_to(x.row, np.shape(other))
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
        return (
            not rest
            or rest.startswith(("+", "-", ")", "]", ",", "}", "&", r"\\", r"\end", r"\}", r"\rangle"))
            or (self.in_norm and rest.startswith(r"\|"))
        )

    def term(self) -> Any:
        value = self.product()
        while not self.ends():
            if self.take(r"\odot"):
                other = self.factor()
                value, other = self.sized(value, other), self.sized(other, value)
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
        arrays = [x for x in factors if isinstance(x, Ones | Repeated) or np.ndim(x) > 0]
        if len(arrays) > 2 and all(isinstance(x, Ones) for x in (arrays[0], arrays[-1])) and arrays[0].row:
            scalars = [x for x in factors if not isinstance(x, Ones) and np.ndim(x) == 0]
            return float(np.prod(scalars)) * float(np.sum(self.multiply(arrays[1:-1])))
        ones = [isinstance(x, Ones) and not x.row for x in factors]
        if True in ones[:-1]:  # a column times a row
            cut = ones.index(True) + 1
            halves = [self.multiply(factors[:cut]), self.multiply(factors[cut:])]
            if isinstance(halves[0], Ones) and not self.target:
                right = halves[1].factor if isinstance(halves[1], Ones) else halves[1]
                return Repeated(halves[0].factor * right)
            if any(isinstance(x, Ones) for x in halves) and not self.target:
                return self.multiply([halves[0], halves[1]])
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
        if isinstance(b, Repeated):
            return Repeated(a * b.row)
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

    def closing(self, bracket: str = ")") -> np.ndarray:
        """The matrix up to a closing bracket."""
        x = self.sum()
        self.need(bracket)
        return x

    def windowed(self, found: re.Match[str]) -> np.ndarray:
        windows, adjoint = self.windows[found[2]], bool(found[3])
        if found[1] == r"\mathcal{S}":
            where = self.closing("]")
            self.need("(")
            return (windows.chosen_adjoint if adjoint else windows.chosen)(where, self.closing())
        x = self.closing()
        if found[1] == r"\mathcal{P}":
            return windows.patches_adjoint(x) if adjoint else windows.patches(x)
        if found[1] == r"\operatorname{avg}":
            return windows.mean_adjoint(x) if adjoint else windows.mean(x)
        return windows.largest(x)

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
            self.in_norm, outside = True, self.in_norm
            a = self.sum()
            self.in_norm = outside
            self.need(r"\|")
            if self.take("_F^2"):
                return float(np.sum(a * a))
            return float(np.linalg.norm(a)) if self.take("_F") else float(np.linalg.norm(a, 2))
        if self.take(r"\lambda_{\max}("):
            return float(np.linalg.eigvalsh(self.closing())[-1])
        if self.take(r"\max\{"):
            found = [self.sum()]
            while self.take(","):
                found.append(self.sum())
            self.need(r"\}")
            return max(found)
        if self.take(r"\begin{pmatrix}"):
            rows = [[]]
            while True:
                rows[-1].append(self.sum())
                if self.take(r"\end{pmatrix}"):
                    return np.array(rows, dtype=float)
                if self.take(r"\\"):
                    rows.append([])
                else:
                    self.need("&")
        if found := self.match(r"\\delta_\{([a-z])([a-z])\}"):
            size = self.sizes.get(found[1]) or self.sizes.get(found[2])
            if size is None:
                raise UnknownSize
            return Entries(np.eye(size), found[1] + found[2])
        if self.take(r"\sigma'("):
            z = self.sum()
            self.need(")")
            return np.where(z >= 0, self.slopes[0], self.slopes[1])
        if found := self.match(r"\\operatorname\{vec\}(\^\{\*\})?\("):
            x = self.closing()
            return x.reshape(self.channels, -1) if found[1] else x.reshape(-1, self.samples)
        if found := self.match(r"(\\mathcal\{[PS]\}|\\operatorname\{(?:avg|max)\})_\{(\d+)\}(\^\{\*\})?([(\[])"):
            return self.windowed(found)
        if found := self.match(r"\\operatorname\{(lse|softmax)\}\("):
            x = self.closing()
            powers = np.exp(x - x.max(axis=0))
            return powers / powers.sum(axis=0) if found[1] == "softmax" else np.log(np.exp(x).sum(axis=0))[:, None]
        if self.take(r"\log(1 + "):
            x = self.sum()
            self.need(")")
            return np.log(1 + x)
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
        if self.take(r"\operatorname{diag}("):
            v = self.sum()
            self.need(")")
            return np.diag(v[:, 0])
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

    def gather(self, x: np.ndarray, table: Table, position: int) -> np.ndarray:
        padded = np.concatenate([x, np.zeros_like(x.take([0], axis=position))], axis=position)
        taken = np.take(padded, table.positions.ravel(), axis=position)
        sizes = [int(a.size) for a in table.targets]
        return taken.reshape(*x.shape[:position], *sizes, *x.shape[position + 1 :])

    def scatter_add(self, x: np.ndarray, table: Table, position: int) -> np.ndarray:
        after = x.shape[position + len(table.targets) :]
        flat = x.reshape(*x.shape[:position], -1, *after)
        padded = np.concatenate([flat, np.zeros_like(flat.take([0], axis=position))], axis=position)
        return np.take(padded, table.readers, axis=position).sum(axis=position + 1)

    def log_sum_exp(self, x: np.ndarray, position: int) -> np.ndarray:
        return np.log(np.exp(x).sum(axis=position))

    def maximum(self, arrays: Any) -> np.ndarray:
        return np.maximum.reduce(arrays)

    def stack(self, arrays: Any) -> np.ndarray:
        return np.stack(arrays, axis=-1)

    def spectral_norm(self, x: np.ndarray) -> np.ndarray:
        return np.linalg.norm(x, 2, axis=(-2, -1))

    def largest_eigenvalue(self, x: np.ndarray) -> np.ndarray:
        return np.linalg.eigvalsh(x)[..., -1]


def random_values(inputs: Sequence[Input], samples: int) -> dict[Input, np.ndarray]:
    """Arguments away from zero; moments are moments."""
    rng = np.random.default_rng(0)
    values: dict[Input, np.ndarray] = {}
    for x in inputs:
        shape = [a.size if isinstance(a.size, int) else samples for a in x.axes]
        value = rng.uniform(0.3, 1.3, shape) * (rng.choice([-1.0, 1.0], shape) if shape else 1.0)
        values[x] = np.asarray(value)
        if x.name == "Sigma_xx":
            values[x] = value @ value.T
        if x.name == "inverse_samples":
            values[x] = np.asarray(1 / samples)
    return values


def as_matrix(value: np.ndarray) -> np.ndarray:
    """An array of a convolutional network as the matrix that formulas mean."""
    return value if value.ndim < 3 else value.reshape(value.shape[0], -1)


def block_maps(
    derived: Derived, blocks: Mapping[str, np.ndarray], directions: Mapping[str, np.ndarray]
) -> list[np.ndarray]:
    """H_jk Delta_k for each block, k by k."""
    ws = derived.objective.parameters
    result = []
    for k, w in enumerate(ws):
        for v in ws[: k + 1]:
            block = blocks[f"H_{v.name}_{w.name}"]
            result.append(np.tensordot(block, directions[w.name], len(w.axes)))
    return result


def disagreement(derived: Derived, latex: str | None = None) -> float:
    """How far the printed formulas (or `latex` in their place) are from the program, at random arguments.

    Widths must be integers; a symbolic number of samples is taken to be 3. Blocks of the Hessian of a convolutional
    network are printed as maps and compared as such.
    """
    objective = derived.objective
    samples = next((int(a.size) for x in objective.program.inputs for a in x.axes[-1:]
                    if a.name == "sample" and isinstance(a.size, int)), 3)  # fmt: skip
    values = random_values(derived.program.inputs, samples)
    expected = list(interpret(derived.program, values, Floats()).values())
    network = objective.architecture
    named = {x.latex: v for x, v in values.items()}
    images: list[tuple[int, ...]] = []
    channels = 1
    if isinstance(network, Convolutional):
        if derived.kind == "hessian":
            directions = random_values(parameter_directions(objective), samples)
            named |= {x.latex: v for x, v in directions.items()}
            blocks = dict(zip(derived.program.outputs, expected, strict=True))
            by_name = {w.name: v for w, v in zip(objective.parameters, directions.values(), strict=True)}
            expected = block_maps(derived, blocks, by_name)
        named, expected = {k: as_matrix(v) for k, v in named.items()}, [as_matrix(v) for v in expected]
        images = [shape.extents for shape in network.shapes_between]
        channels = [shape.channels for shape in network.shapes_between if shape.extents][-1]
    weights = [named[w.latex] for w in objective.parameters] if objective.network else []
    slopes = next(((float(g.alpha), float(g.alpha_bar)) for g in objective.gates), (1.0, 1.0))
    printed = latex or derived_latex(derived)
    lefts = result_names(printed, len(expected))
    shapes = {left: np.shape(v) for left, v in zip(lefts, expected, strict=True)}
    results = Reader(named, weights, slopes, samples, shapes, images, channels).read(printed)
    worst = 0.0
    for left, value in zip(lefts, expected, strict=True):
        assert np.shape(results[left]) == np.shape(value), (left, np.shape(results[left]), np.shape(value))
        error = float(np.max(np.abs(results[left] - value) / (1 + np.abs(value))))
        worst = max(worst, error)
    return worst


def result_names(latex: str, number: int) -> list[str]:
    """The last left-hand sides, without the letters of entries."""
    lefts = [line.split(" &=")[0] for line in latex.split("\n") if " &=" in line][-number:]
    return [m[1] if (m := re.fullmatch(r"\((?!H\\Delta)(.*)\)_\{[a-z,]+\}", left)) else left for left in lefts]
