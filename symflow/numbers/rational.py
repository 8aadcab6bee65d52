"""Exact rational numbers from text and from Python's number types, bounded in size before memory is taken."""

from __future__ import annotations

import math
import numbers
import re
import sys
from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from symflow.errors import ProblemError, brief

MAX_CHARACTERS = 50_000
"""Longest text of one number; holds any ``p/q`` within ``MAX_DIGITS``, so that what is written can be read back."""
MAX_DIGITS = 20_000
"""Most digits of a numerator or denominator (results kept to the largest ``dps``, 10 000, must fit)."""
MAX_EXPONENT = 10_000
"""Largest decimal exponent written with ``e``."""
MAX_ARRAY_BITS = 4_000_000_000
"""Most bits (half a gigabyte) of all numerators and denominators of one array together."""

_LIMIT = 10**MAX_DIGITS
_MAX_BITS = math.ceil(MAX_DIGITS * math.log2(10))
_DECIMAL = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE](?P<exponent>[+-]?\d+))?", re.ASCII)
_RATIO = re.compile(r"(?P<numerator>[+-]?\d+)\s*/\s*(?P<denominator>\d+)", re.ASCII)
_EXAMPLES = 'a number such as 3, "-3/10", "0.7" or "1e-3"'


class NotRational(ValueError):
    """A value is not an admissible rational; the text completes the sentence "... must be"."""


def rational(value: object, where: str) -> Fraction:
    """The rational number that a single setting means: a step size, a horizon, a time, a momentum, a tolerance.

    Text is an integer, a ratio of integers or a decimal with an optional exponent; it is never evaluated. A Python
    or NumPy float means its shortest decimal, as ``repr`` prints it: 0.01 is 1/100. Integers, ``Fraction``,
    ``Decimal``, SymPy's ``Integer``, ``Rational`` and ``Float`` and mpmath's ``mpf`` mean themselves.

    Args:
        value: the number.
        where: what it is, for the error message ("problem.toml: run.horizon").

    Returns:
        A ``Fraction`` whose numerator and denominator have at most 20 000 digits.

    Raises:
        ProblemError: the value is not a number, a bool, not finite, irrational or too large.
    """
    return _named(setting, value, where)


def entry(value: object, where: str) -> Fraction:
    """The rational number that an entry of an array of data or weights means: as ``rational``, but a float means its
    binary value, which is what computations in float64 take it for.

    Raises:
        ProblemError: see ``rational``.
    """
    return _named(exact, value, where)


def _named(read: Callable[[object], Fraction], value: object, where: str) -> Fraction:
    try:
        return read(value)
    except NotRational as refused:
        raise ProblemError(f"{where} must be {refused}, got {brief(value)}") from None


def rational_array(values: object, where: str, ndim: int = 2, *, column: bool = False) -> np.ndarray:
    """An array of exact rationals from nested lists, tuples or an array.

    Args:
        values: A list of numbers (``ndim=1``) or a list of rows of equal length (``ndim=2``); any of them may be
            a tuple or something NumPy takes for an array.
        where: what it is, for the error message ("problem.toml: data.x").
        ndim: 1 or 2.
        column: whether a flat list of numbers is one column, where two dimensions are wanted (scikit-learn's targets).

    Returns:
        A read-only object array of ``Fraction``, of shape (n,) or (rows, columns).

    Raises:
        ProblemError: not a list, empty, rows of different lengths (the first one that differs is named), an entry
            that is not rational (named by its indices), or more than half a gigabyte of digits.
    """
    rows = _items(values)
    if rows is None:
        kind = "a list of numbers" if ndim == 1 else "a list of rows, each a list of numbers"
        raise ProblemError(f"{where} must be {kind}, got {brief(values)}")
    if not len(rows):
        raise ProblemError(f"{where} must not be empty, got {brief(values)}")
    if ndim == 2 and column and not _is_row(rows[0]):
        return rational_array(values, where, ndim=1).reshape(-1, 1)
    budget = MAX_ARRAY_BITS
    if ndim == 1:
        shape = getattr(rows[0], "shape", ())
        if len(shape) == 2:
            raise ProblemError(
                f"{where} must be one flat list of numbers, got {len(rows)} arrays of which the first has the shape "
                f"{shape}; join them row by row: np.concatenate([np.ravel(a) for a in arrays])"
            )
        result = np.empty(len(rows), dtype=object)
        _fill(result, rows, where, budget)
    else:
        first: int | None = None
        for i, row in enumerate(rows):
            cells = _items(row)
            if cells is None:
                raise ProblemError(f"{where}[{i}] must be a list of numbers (one row per sample), got {brief(row)}")
            if first is None:
                first = len(cells)
                if not first:
                    raise ProblemError(f"{where}[0] must have at least one number, got an empty row")
                result = np.empty((len(rows), first), dtype=object)
            if len(cells) != first:
                raise ProblemError(
                    f"{where}[{i}] must have {first} numbers as {where.rpartition(': ')[2]}[0] has, got {len(cells)}"
                )
            budget = _fill(result[i], cells, f"{where}[{i}]", budget)
    result.flags.writeable = False
    return result


def text(value: Fraction) -> str:
    """The number as ``p`` or ``p/q``, which ``rational`` reads back exactly (also beyond 4300 digits)."""
    # str(int) refuses more than 4300 digits; Decimal holds an integer exactly and prints all of them
    numerator = str(Decimal(value.numerator))
    return numerator if value.denominator == 1 else f"{numerator}/{Decimal(value.denominator)}"


def mpf(q: Fraction) -> Any:
    """A rational as an mpmath number, rounded to the precision of the enclosing `mpmath.workdps` block."""
    import mpmath

    return mpmath.mpf(q.numerator) / q.denominator


def rational_latex(q: Fraction) -> str:
    r"""A rational number as an integer or a \tfrac."""
    if q.denominator == 1:
        return str(q.numerator)
    return f"{'-' if q < 0 else ''}\\tfrac{{{abs(q.numerator)}}}{{{q.denominator}}}"


def setting(value: object) -> Fraction:
    """The rational number that a single setting means; see ``rational``.

    Raises:
        NotRational: with the end of the sentence "... must be".
    """
    value = without_axes(value)
    if isinstance(value, float | np.floating) and np.isfinite(value):
        # of every precision the fewest digits that give the float back
        return _from_text(float.__repr__(value) if isinstance(value, float) else np.format_float_scientific(value))
    return exact(value)


def exact(value: object) -> Fraction:
    """The rational number that an entry of an array means; see ``entry``.

    Raises:
        NotRational: with the end of the sentence "... must be".
    """
    value = without_axes(value)
    if isinstance(value, str):
        return _from_text(value)
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise NotRational("a finite number")
        return _from_text(str(value))  # the scientific form of a Decimal is never longer than its digits
    if isinstance(value, bool | np.bool_):
        raise NotRational(_EXAMPLES)
    if isinstance(value, float | np.floating):
        if not np.isfinite(value):
            raise NotRational("a finite number")
        return _bounded(*value.as_integer_ratio())
    if isinstance(value, numbers.Rational):  # int, Fraction, NumPy integers, SymPy Integer and Rational, mpz, mpq
        return _bounded(int(value.numerator), int(value.denominator))
    if hasattr(value, "_mpf_"):
        return _from_mpf(value)
    sympy = sys.modules.get("sympy")
    if sympy is not None and isinstance(value, sympy.Basic):
        raise NotRational("a rational number (an irrational one as text with the digits wanted)")
    raise NotRational(_EXAMPLES)


def without_axes(value: object) -> object:
    """The number in an array without dimensions (NumPy's, JAX's); anything else as it is."""
    if isinstance(value, np.generic) or getattr(value, "ndim", None) != 0 or not hasattr(value, "__array__"):
        return value
    try:
        return np.asanyarray(value)[()]  # not asarray, which forgets the mask of a masked array
    except TypeError:  # a value that JAX only traces
        raise NotRational(_EXAMPLES) from None


def _from_text(written: str) -> Fraction:
    if len(written) > MAX_CHARACTERS:
        raise NotRational(f"a number of at most {MAX_CHARACTERS} characters")
    written = written.strip()
    if match := _RATIO.fullmatch(written):
        numerator, denominator = match["numerator"], match["denominator"]
        if max(len(numerator.lstrip("+-0")), len(denominator.lstrip("0"))) > MAX_DIGITS:
            raise NotRational(f"a ratio of integers of at most {MAX_DIGITS} digits")
        bottom = int(Decimal(denominator))  # unlike int(text), Decimal has no limit of 4300 digits
        if not bottom:
            raise NotRational("a ratio whose denominator is not zero")
        return _bounded(int(Decimal(numerator)), bottom)
    if match := _DECIMAL.fullmatch(written):
        exponent = (match["exponent"] or "0").lstrip("+-0") or "0"
        if len(exponent) > len(str(MAX_EXPONENT)) or int(exponent) > MAX_EXPONENT:
            raise NotRational(f"a number whose decimal exponent is within +-{MAX_EXPONENT}")
        return _bounded(*Decimal(written).as_integer_ratio())
    if written.lower().lstrip("+-") in {"inf", "infinity", "nan"}:
        raise NotRational("a finite number")
    raise NotRational(_EXAMPLES)


def _from_mpf(value: Any) -> Fraction:
    mpmath = sys.modules.get("mpmath")
    if mpmath is not None and isinstance(value, mpmath.mp.constant):
        raise NotRational("a rational number (write +mp.pi for its value at the current precision)")
    sign, mantissa, exponent, bits = value._mpf_
    if not mantissa and exponent:
        raise NotRational("a finite number")
    if abs(exponent) + bits > 2 * _MAX_BITS:
        raise NotRational(f"a number of at most {MAX_DIGITS} digits")
    mantissa = -int(mantissa) if sign else int(mantissa)
    return _bounded(mantissa << max(exponent, 0), 1 << max(-exponent, 0))


def _bounded(numerator: int, denominator: int) -> Fraction:
    if max(numerator.bit_length(), denominator.bit_length()) > 4 * _MAX_BITS:  # too long even to cancel factors
        raise NotRational(f"a number of at most {MAX_DIGITS} digits")
    fraction = Fraction(numerator, denominator)
    if max(abs(fraction.numerator), fraction.denominator) >= _LIMIT:
        raise NotRational(f"a number of at most {MAX_DIGITS} digits")
    return fraction


def plain_array(values: object) -> np.ndarray | None:
    """A NumPy array of an array of NumPy, JAX, PyTorch or pandas, each entry of the value it has; None otherwise.

    Tensors are detached from their graph and brought to the CPU; the short floats of other libraries (bfloat16) become
    float64, which holds them exactly.
    """
    if isinstance(values, str | bytes | dict) or not hasattr(values, "__array__"):
        return None
    if callable(detach := getattr(values, "detach", None)):
        tensor: Any = detach().cpu()
        values = tensor.double() if str(tensor.dtype) == "torch.bfloat16" else tensor
    array = np.asanyarray(values)  # not asarray, which forgets the mask of a masked array
    return array.astype(np.float64) if array.dtype.kind == "V" and array.dtype.names is None else array


def _items(values: object) -> Sequence[object] | None:
    """The items of a list, tuple or array; None for anything else."""
    if isinstance(values, list | tuple):
        return values
    array = plain_array(values)
    if array is None or array.ndim == 0:
        return None
    items: list[object] = array.tolist()
    return items


def _is_row(value: object) -> bool:
    """Whether an item is meant as a row: anything but a single number."""
    return _items(value) is not None or not isinstance(value, str | numbers.Number | Decimal | np.generic)


def _fill(target: np.ndarray, cells: Sequence[object], where: str, budget: int) -> int:
    for j, cell in enumerate(cells):
        try:
            number = exact(cell)
        except NotRational as refused:
            raise ProblemError(f"{where}[{j}] must be {refused}, got {brief(cell)}") from None
        budget -= number.numerator.bit_length() + number.denominator.bit_length()
        if budget < 0:
            raise ProblemError(f"{where}[{j}] makes the numbers exceed {MAX_ARRAY_BITS} bits; give fewer digits")
        target[j] = number
    return budget
