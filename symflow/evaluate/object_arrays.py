"""Arithmetic over NumPy object arrays: exact rationals, mpmath numbers, SymPy expressions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm, prod
from typing import Any

import numpy as np
import sympy

from symflow.derivatives.derived import Derived
from symflow.errors import ProblemError, brief
from symflow.evaluate.budget import check_dense
from symflow.evaluate.interpret import interpret
from symflow.evaluate.moved_arrays import ObjectArrays, along_axis
from symflow.numbers.rational import entry, mpf
from symflow.numbers.types import Entry, Mpf, Number
from symflow.numbers.vectors import shown_to
from symflow.programs.rules.elementwise import elementwise

OBJECT_ENTRIES = 4_000_000
"""Most entries of a dense matrix of Python numbers (about 100 bytes each)."""
COMMON_BITS = 1000
"""Longest common denominator of an array of rationals."""


@dataclass(frozen=True)
class ObjectArithmetic(ObjectArrays):
    """Arrays of Python numbers of one kind.

    Attributes:
        lift: turns a rational into a number of this kind.
        select: (z, alpha, alpha_bar) -> the gate's value.
        entry: which entry of the record of an elementwise function computes it on these numbers.
        functions: "logsumexp" of a list of numbers, "maximum" of numbers, "spectral_norm" and "largest_eigenvalue" of a
            matrix, "matrix_power" of one and an exponent.
        contract: the sums of products that an einsum names.
    """

    lift: Callable[[Fraction], Entry]
    select: Callable[[Entry, Fraction, Fraction], Entry]
    entry: str
    functions: Mapping[str, Callable[..., Any]]
    contract: Callable[..., np.ndarray] = np.einsum

    def number(self, q: Fraction) -> Entry:
        return self.lift(q)

    def combine(self, coefficients: Sequence[Fraction], arrays: Sequence[np.ndarray]) -> np.ndarray:
        total: np.ndarray | None = None
        for c, x in zip(coefficients, arrays, strict=True):
            term = x if c == 1 else (-x if c == -1 else x * self.lift(c))
            total = term if total is None else total + term
        return np.asarray(total, dtype=object)

    def einsum(self, subscripts: str, arrays: Sequence[np.ndarray]) -> np.ndarray:
        return np.asarray(self.contract(subscripts, *arrays), dtype=object)

    def gate(self, z: np.ndarray, alpha: Fraction, alpha_bar: Fraction) -> np.ndarray:
        return self._map(lambda v: self.select(v, alpha, alpha_bar), z)

    def function(self, name: str, x: np.ndarray, exponent: Fraction | None) -> np.ndarray:
        return self._map(elementwise(name, exponent).known(self.entry, "this arithmetic"), x)

    def _function(self, name: str) -> Callable[..., Any]:
        if name not in self.functions:
            raise TypeError(f"the function {name!r} is not available in this arithmetic; use mpmath or JAX")
        return self.functions[name]

    def log_sum_exp(self, x: np.ndarray, position: int) -> np.ndarray:
        f = self._function("logsumexp")
        return along_axis(lambda v: f(list(v)), x, position)

    def maximum(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        f = self._function("maximum")
        return along_axis(lambda v: f(*v), np.stack(arrays, axis=-1), -1)

    def spectral_norm(self, x: np.ndarray) -> np.ndarray:
        return self._matrices("spectral_norm", x)

    def largest_eigenvalue(self, x: np.ndarray) -> np.ndarray:
        return self._matrices("largest_eigenvalue", x)

    def matrix_power(self, x: np.ndarray, exponent: Fraction) -> np.ndarray:
        return np.asarray(self._function("matrix_power")(x, exponent), dtype=object)

    def _matrices(self, name: str, x: np.ndarray) -> np.ndarray:
        f = self._function(name)
        result = np.empty(x.shape[:-2], dtype=object)
        for index in np.ndindex(result.shape):
            result[index] = f(x[index])
        return result

    @staticmethod
    def _map(f: Callable[[Entry], Entry], x: np.ndarray) -> np.ndarray:
        array = np.empty(x.shape, dtype=object)
        for index in np.ndindex(x.shape):
            array[index] = f(x[index])
        return array


def exact_einsum(subscripts: str, *arrays: np.ndarray) -> np.ndarray:
    """The einsum of rationals; as sums of integers over a common denominator where that is a short one.

    A sum of fractions looks for common factors at every term, one of integers once.
    """
    whole = [_over_one_denominator(a) for a in arrays]
    if not set(subscripts.partition("->")[0]) - set(subscripts.partition("->")[2]) - {","} or None in whole:
        return np.asarray(np.einsum(subscripts, *arrays), dtype=object)
    numerators, denominators = zip(*(found for found in whole if found is not None), strict=True)
    denominator = prod(denominators)
    sums = np.asarray(np.einsum(subscripts, *numerators), dtype=object)
    found = np.empty(sums.shape, dtype=object)
    found.reshape(-1)[:] = [Fraction(n, denominator) for n in sums.reshape(-1).tolist()]
    return found


def _over_one_denominator(array: np.ndarray) -> tuple[np.ndarray, int] | None:
    """Integers and their common denominator; None where there are other numbers, or where it is long."""
    entries = array.reshape(-1).tolist()
    if not all(type(q) is Fraction for q in entries):
        return None
    common = 1
    for d in {q.denominator for q in entries}:
        common = lcm(common, d)
        if common.bit_length() > COMMON_BITS:
            return None
    numerators = np.empty(array.shape, dtype=object)
    numerators.reshape(-1)[:] = [q.numerator * (common // q.denominator) for q in entries]
    return numerators, common


def exact_matrix_power(matrix: np.ndarray, exponent: Fraction) -> np.ndarray:
    """A^exponent = sum_i l_i^exponent prod_{k != i} (A - l_k) / (l_i - l_k), l_i the distinct eigenvalues of A.

    Raises:
        TypeError: an eigenvalue, or its power, is irrational or negative.
    """
    import flint

    size = len(matrix)
    a = flint.fmpq_mat(size, size, [flint.fmpq(v.numerator, v.denominator) for v in matrix.flat])
    found = a.charpoly().roots()
    if sum(multiplicity for _, multiplicity in found) < size:
        raise TypeError("a matrix power with irrational eigenvalues; use mpmath or JAX")
    roots = [Fraction(int(root.p), int(root.q)) for root, _ in found]
    identity = EXACT.identity(size)
    power = EXACT.constant(Fraction(0), (size, size))
    for i, root in enumerate(roots):
        term = identity * _exact_root(root, exponent)
        for k, other in enumerate(roots):
            if k != i:
                term = term.dot(matrix - other * identity) / (root - other)
        power = power + term
    return power


def _exact_root(x: Fraction, exponent: Fraction) -> Fraction:
    """x^exponent where it is rational."""
    if x >= 0:
        top, exact = sympy.integer_nthroot(x.numerator, exponent.denominator)
        bottom, whole = sympy.integer_nthroot(x.denominator, exponent.denominator)
        if exact and whole:
            return Fraction(int(top), int(bottom)) ** exponent.numerator
    raise TypeError(f"({x})^({exponent}) is irrational or not real; use mpmath or JAX")


EXACT = ObjectArithmetic(
    lift=lambda q: q,
    select=lambda z, a, b: a if z >= 0 else b,
    entry="exact",
    functions={"maximum": max, "matrix_power": exact_matrix_power},
    contract=exact_einsum,
)


def mpmath_arithmetic() -> ObjectArithmetic:
    """mpmath numbers at the precision of the enclosing `mpmath.workdps` block."""

    def lift(q: Fraction) -> Mpf:
        return mpf(q)

    return ObjectArithmetic(
        lift=lift,
        select=lambda z, a, b: lift(a if z >= 0 else b),
        entry="mpmath",
        functions={
            "logsumexp": log_sum_exp,
            "maximum": max,
            "spectral_norm": spectral_norm,
            "largest_eigenvalue": largest_eigenvalue,
            "matrix_power": matrix_power,
        },
    )


def log_sum_exp(values: Sequence[Mpf]) -> Mpf:
    """log(sum(exp(v))) of mpmath numbers, shifted by the largest."""
    import mpmath

    largest = max(values)
    return largest + mpmath.log(mpmath.fsum(mpmath.exp(v - largest) for v in values))


def spectral_norm(matrix: np.ndarray) -> Mpf:
    """The largest singular value of a matrix of mpmath numbers."""
    import mpmath

    return max(mpmath.svd_r(mpmath.matrix(matrix.tolist()), compute_uv=False)) if matrix.size else mpmath.mpf(0)


def largest_eigenvalue(matrix: np.ndarray) -> Mpf:
    """The largest eigenvalue of a symmetric matrix of mpmath numbers."""
    import mpmath

    return max(mpmath.eigsy(mpmath.matrix(matrix.tolist()), eigvals_only=True))


def matrix_power(matrix: np.ndarray, exponent: Fraction) -> np.ndarray:
    """A power of a symmetric positive semidefinite matrix of mpmath numbers; eigenvalues below 0 count as 0."""
    import mpmath

    values, vectors = mpmath.eigsy(mpmath.matrix(matrix.tolist()))
    e = mpf(exponent)
    powers = mpmath.diag([max(v, mpmath.mpf(0)) ** e for v in values])
    return np.array((vectors * powers * vectors.T).tolist(), dtype=object)


def flat_array(derived: Derived, vector: Sequence[Entry]) -> np.ndarray:
    """A flat object array of P numbers.

    Raises:
        ProblemError: the vector does not have P entries.
    """
    flat = np.empty(len(vector), dtype=object)
    flat[:] = list(vector)
    expected = derived.objective.parameter_count
    if len(flat) != expected:
        raise ProblemError(f"theta and directions have P = {expected} entries, got {len(flat)}; give all weights")
    return flat


def evaluate_objects(
    derived: Derived, theta: Sequence[Number], direction: Sequence[Number], arithmetic: ObjectArithmetic, native: type
) -> Any:
    """Evaluates at numbers of any kind; those of the type `native` are taken as they are."""

    if not isinstance(derived, Derived):
        raise ProblemError(f"a derived result such as sf.loss(objective) is needed, got {brief(derived)}")

    def numbers(vector: Sequence[Number], name: str) -> list[Entry]:
        return [v if isinstance(v, native) else arithmetic.lift(entry(v, f"{name}[{i}]")) for i, v in enumerate(vector)]

    check_dense(derived, OBJECT_ENTRIES)
    if len(direction) and not derived.directions:
        raise ProblemError(f"this {derived.kind} takes no direction, got one of {len(direction)} entries; leave it out")
    lift = np.frompyfunc(arithmetic.lift, 1, 1)
    values = {x: np.asarray(lift(a), dtype=object) for x, a in derived.objective.data.items()}
    values |= derived.objective.cut(flat_array(derived, numbers(theta, "theta")))
    if derived.directions:
        values |= derived.objective.cut(flat_array(derived, numbers(direction, "direction")), derived.directions)
    found = derived.joined(interpret(derived.program, values, arithmetic).values(), np)
    return found[()] if derived.shape == "scalar" else found


def evaluate_exact(derived: Derived, theta: Sequence[Number], direction: Sequence[Number] = ()) -> Any:
    """The value of a derived formula at theta in exact rational arithmetic; no rounding.

    Args:
        derived: a result of `loss`, `gradient`, `hessian`, ..., with rational operations only.
        theta: P rational numbers, shape (P,), layer 1 first, each matrix row-major (text such as "1/3", `Fraction`,
            `Decimal`, int; a float means its binary value).
        direction: P rational numbers, shape (P,), where the result is a form in a direction D (`hessian_form`,
            `hessian_vector_product`, `directional_derivative`); left out otherwise.

    Returns:
        A `Fraction` for a scalar; an object array of `Fraction` of shape (P,) for a vector, (P, P) for a matrix.

    Raises:
        ProblemError: not a derived result.
        TypeError: the program has an irrational function, such as exp.
        BudgetError: a dense matrix with too many entries.
        ValueError: an entry that is not a rational number, a vector whose length is not P, a direction where none is
            taken, or missing data.

    Example:
        >>> objective = sf.network_objective(sf.FullyConnected((1, 1, 1)), [1], [1])
        >>> sf.evaluate_exact(sf.gradient(objective), ["1/2", "1/3"])
        array([Fraction(-5, 18), Fraction(-5, 12)], dtype=object)
        >>> sf.evaluate_exact(sf.hessian_form(objective), ["1/2", "1/3"], direction=[1, -1])
        Fraction(61, 36)
    """
    return evaluate_objects(derived, theta, direction, EXACT, Fraction)


def evaluate_mpmath(derived: Derived, theta: Sequence[Number], direction: Sequence[Number] = (), dps: int = 50) -> Any:
    """The value of a derived formula at theta in mpmath numbers, computed with `dps` digits.

    No error bound is given: cancellation in the formula may cost digits. The caller's mpmath precision is not changed.

    Args:
        derived: a result of `loss`, `gradient`, `hessian`, `curvature_bounds`, ...
        theta: P numbers, shape (P,), layer 1 first, each matrix row-major (mpf, or rational: text such as "1/3",
            `Fraction`, `Decimal`, int; a float means its binary value).
        direction: P numbers, shape (P,), where the result is a form in a direction D (`hessian_form`,
            `hessian_vector_product`, `directional_derivative`); left out otherwise.
        dps: decimal digits of the arithmetic.

    Returns:
        An mpf for a scalar; an object array of mpf of shape (P,) for a vector, (P, P) for a matrix.

    Raises:
        ProblemError: not a derived result.
        BudgetError: a dense matrix with too many entries.
        ValueError: an entry that is neither an mpf nor a rational number, a vector whose length is not P, a direction
            where none is taken, or missing data.

    Example:
        >>> import sympy
        >>> x = sympy.Symbol("x")
        >>> objective = sf.expression_objective(sympy.exp(x), [x])
        >>> value = sf.evaluate_mpmath(sf.loss(objective), [1], dps=40)
        >>> sympy.Float(value, 40)
        2.718281828459045235360287471352662497757
    """
    import mpmath

    with mpmath.workdps(dps):
        found = evaluate_objects(derived, theta, direction, mpmath_arithmetic(), mpmath.mpf)
    return shown_to(found, dps) if isinstance(found, np.ndarray) else found
