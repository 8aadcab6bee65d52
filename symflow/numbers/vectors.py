"""Norms and products of vectors that keep their digits, of multiprecision numbers and of float64.

mpmath computes at its working precision, 15 digits unless it is set: `sum(v*v for v in theta)` would drop the others.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from symflow.displays import show
from symflow.errors import ProblemError, brief, shorten

GUARD = 32
"""Bits beyond those of the numbers."""
SQUARES = 2.0**-480, 2.0**500
"""Between these norms the squares of entries and their sum are float64 numbers that lose nothing."""
MOST, ENDS = 12, 3
"""So many rows are all shown; of more, so many at each end."""


class Digits(np.ndarray):
    """An array of mpf, like any other but for how it shows itself: with the digits that were asked for."""

    digits: int = 15

    def __array_finalize__(self, source: object) -> None:
        self.digits = getattr(source, "digits", 15)

    def lines(self) -> list[str]:
        """A number, or a row of a matrix, a line."""
        rows = list(np.asarray(self))
        cut = len(rows) > MOST
        lines = [self._line(row) for row in (rows[:ENDS] + rows[-ENDS:] if cut else rows)]
        return [*lines[:ENDS], "...", *lines[ENDS:]] if cut else lines

    def _line(self, row: Any) -> str:
        if not isinstance(row, np.ndarray):
            return _text(row, self.digits)
        entries = list(row.reshape(-1))
        shown = [_text(v, self.digits) for v in (entries if len(entries) <= MOST else entries[:ENDS])]
        return f"[{', '.join(shown)}{', ...' if len(shown) < len(entries) else ''}]"

    def __repr__(self) -> str:
        if self.dtype != object or not self.size or not self.ndim:
            return repr(np.asarray(self))
        title = f"{' x '.join(map(str, self.shape))} numbers, {self.digits} digits"
        return "\n  ".join([f"<{title}:", *self.lines()]) + ">"

    def _repr_html_(self) -> str | None:
        return str(show(self, "html")) if self.dtype == object and self.size and self.ndim else None


def shown_to(array: np.ndarray, digits: int) -> np.ndarray:
    """The same array; one of mpf shows itself to so many digits."""
    if array.dtype != object or not array.size or not hasattr(array.flat[0], "_mpf_"):
        return array
    found = array.view(Digits)
    found.digits = digits
    return found


def _text(value: Any, digits: int) -> str:
    if not hasattr(value, "_mpf_"):
        return shorten(str(value))
    import mpmath

    return str(mpmath.nstr(value, digits)).removesuffix(".0")


def norm(vector: Any) -> Any:
    """||v||, the Euclidean norm of a vector (of a matrix the Frobenius norm), with the digits that its entries have.

    Args:
        vector: an array of mpf, such as `trajectory(time)` gives, or of floats or rationals.

    Returns:
        An mpf; a float for an array of floats.

    Raises:
        ProblemError: not an array of numbers.

    Example:
        >>> problem = sf.Problem(network=sf.FullyConnected((1, 1, 1)), data={"x": [1], "y": [1]},
        ...                      init={"theta": ["1/2", 1]})
        >>> flow = sf.solve_flow(problem, horizon=1, dps=50)
        >>> a, b = flow("1/3")
        >>> length = sf.norm(flow("1/3"))
        >>> import mpmath
        >>> with mpmath.workdps(60):
        ...     bool(abs(length**2 - a**2 - b**2) < mpmath.mpf(10) ** -50)
        True
    """
    array = _array(vector)
    if array.dtype != object:
        return float(norms(array.reshape(-1)))
    import mpmath

    with mpmath.workprec(_bits(array) + GUARD):
        return mpmath.sqrt(mpmath.fsum(mpmath.mpf(v) ** 2 for v in map(_mpf, array.reshape(-1))))


def norms(vectors: np.ndarray) -> np.ndarray:
    """The Euclidean norms of float64 vectors along the last axis, where squares are outside float64's range too."""
    with np.errstate(over="ignore", under="ignore"):
        found = np.asarray(np.linalg.norm(vectors, axis=-1))
        lost = ~((found > SQUARES[0]) & (found < SQUARES[1]))
        if lost.any() and vectors.shape[-1]:
            some = vectors[lost]
            _, exponent = np.frexp(np.abs(some).max(axis=-1))  # 0 for what is not finite
            found[lost] = np.ldexp(np.linalg.norm(np.ldexp(some, -exponent[..., None]), axis=-1), exponent)
    return found


def dot(first: Any, second: Any) -> Any:
    """A B, the product of vectors or matrices (of two vectors the inner product), with the digits that they have.

    Args:
        first: an array of mpf, floats or rationals.
        second: another one that fits.

    Returns:
        An mpf, or an object array of mpf; float64 where both are.

    Raises:
        ProblemError: not arrays of numbers, or shapes that do not fit.

    Example:
        >>> problem = sf.Problem(network=sf.FullyConnected((1, 1, 1)), data={"x": [1], "y": [1]},
        ...                      init={"theta": ["1/2", 1]})
        >>> flow = sf.solve_flow(problem, horizon=1, dps=50)
        >>> w1, w2 = flow.weights(1)
        >>> bool(abs(sf.dot(w2, w1) - flow.end_to_end(1))[0, 0] < 1e-48)
        True
    """
    a, b = _array(first), _array(second)
    try:
        if a.dtype != object and b.dtype != object:
            return a @ b
        import mpmath

        with mpmath.workprec(max(_bits(a), _bits(b)) + GUARD):
            return np.vectorize(_mpf, otypes=[object])(a).dot(np.vectorize(_mpf, otypes=[object])(b))
    except ValueError:
        raise ProblemError(f"dot needs shapes that fit, got {a.shape} and {b.shape}") from None


def _array(values: Any) -> np.ndarray:
    """As float64, or as objects that are numbers."""
    array = np.asarray(values)
    if array.size and array.dtype.kind in "iuf":
        return array.astype(float)
    if array.dtype != object or not array.size or not all(hasattr(v, "_mpf_") or _exact(v) for v in array.reshape(-1)):
        raise ProblemError(f"a vector must be an array of numbers, got {brief(values)}")
    return array


def _exact(value: Any) -> bool:
    return hasattr(value, "numerator") or isinstance(value, float)


def _mpf(value: Any) -> Any:
    import mpmath

    if hasattr(value, "_mpf_"):
        return value
    return mpmath.mpf(value) if isinstance(value, float) else mpmath.mpf(int(value.numerator)) / int(value.denominator)


def _bits(array: np.ndarray) -> int:
    """The longest mantissa; of rationals, the working precision."""
    import mpmath

    lengths = (
        [int(v._mpf_[3]) if hasattr(v, "_mpf_") else mpmath.mp.prec for v in array.reshape(-1)]
        if array.dtype == object
        else [53]
    )
    return max([53, *lengths])
