r"""Reads printed formulas back: a small recursive-descent evaluator of the notation over NumPy arrays.

It knows nothing of programs, nodes or labels.
"""

# Long: one grammar, a method for each of its rules.
from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from tests.latex.latex_values import (
    ENTRYWISE,
    GATE,
    KNOWN_NOTES,
    SELECTION,
    WINDOWS,
    Entries,
    Ones,
    Repeated,
    UnknownSize,
    Windows,
)


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
        sizes = dict(zip(x.letters, x.array.shape, strict=True)) | self.sizes
        if not set(letters) <= sizes.keys():
            raise UnknownSize
        shape = tuple(sizes[i] for i in letters)
        index = tuple(slice(None) if i in x.letters else None for i in letters)
        return Entries(np.broadcast_to(array[index], shape), letters)

    def size_of(self, letter: str) -> int | None:
        """The range of an index: that of the result's axis, or of a known array that has it further on in the line."""
        if letter in self.sizes:
            return self.sizes[letter]
        for found in re.finditer(r"\(([^()]*)\)_\{([a-z]+)\}", self.text[self.at :]):
            if letter in found[2] and found[1] in self.values:
                return int(np.shape(self.values[found[1]])[found[2].index(letter)])
        return None

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
        # Long: a case for each thing that an expression may begin with.
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
            size = self.size_of(found[1]) or self.size_of(found[2])
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
