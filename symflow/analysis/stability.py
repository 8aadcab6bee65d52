"""Where a method of descent loses stability on quadratics: the sharpness that training with it hovers at."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import sympy

from symflow.dynamics.method import THETA, Method, Recursion, recursion
from symflow.errors import ProblemError
from symflow.evaluate.interpret import interpret
from symflow.evaluate.object_arrays import EXACT
from symflow.numbers.arguments import positive
from symflow.numbers.types import Number
from symflow.paths.descent import checked_method

_z, _sharpness = sympy.symbols("z lambda")


def stability_threshold(method: Method | None = None, step_size: Number = 1) -> sympy.Expr:
    r"""The sharpness lambda* up to which a method is stable on quadratics: 2/eta for gradient descent.

    On f = lambda x^2 / 2 a step of a linear method multiplies what it carries from step to step by a matrix
    A + lambda B. The method is stable for 0 < lambda < lambda* where all eigenvalues of that matrix lie inside the unit
    circle; lambda* is the first sharpness at which one reaches the circle, found from the method's own recursion with
    the conditions of Routh and Hurwitz, exactly. Gradient descent: 2/eta; heavy ball: 2(1 + beta)/eta; Nesterov:
    2(1 + beta)/((1 + 2 beta) eta).

    Args:
        method: the method; gradient descent if left out.
        step_size: eta (text, a rational number, or a float, which means its shortest decimal).

    Returns:
        lambda*, an exact SymPy number; infinity where the method is stable for every sharpness.

    Raises:
        ProblemError: a method that is not linear on quadratics (RMSProp, Adam), one that is unstable for every
            sharpness, or a step size that is not a positive number.

    Source: Cohen et al. 2021 (gradient descent and momentum at the edge of stability); R25, R26.

    Example:
        >>> sf.stability_threshold(sf.GradientDescent(), "1/10"), sf.stability_threshold(sf.HeavyBall("9/10"), "1/10")
        (20, 38)
    """
    chosen, eta = checked_method(method), positive(step_size, "step_size")
    routh = _routh_hurwitz(sympy.Poly(_characteristic(chosen, eta), _z))
    ends = sorted({root for condition in routh for root in _positive_roots(condition)})
    inside = ends[0] / 2 if ends else sympy.Integer(1)
    if not all(condition.subs(_sharpness, inside) > 0 for condition in routh):
        raise ProblemError(f"{chosen!r} is unstable on quadratics of any small sharpness, so it has no threshold")
    return ends[0] if ends else sympy.oo


def _characteristic(method: Method, eta: Fraction) -> sympy.Expr:
    """det(z - A - lambda B)."""
    if method.batches is not None:
        raise ProblemError(f"a stability threshold is one of full-batch descent, got {method!r}; leave batches out")
    programs = recursion(method, 1, eta)
    size = len(programs.state)
    try:
        unit = np.eye(size, dtype=int)
        fixed = [_moved(programs, row, Fraction(0)) for row in unit.tolist()]
        steep = [_moved(programs, row, Fraction(1)) for row in unit.tolist()]
        linear = _moved(programs, [3, *[2] * (size - 1)], Fraction(5))
    except (TypeError, ValueError, ZeroDivisionError):
        linear = None
    if linear is not None:
        a = sympy.Matrix(size, size, lambda i, j: _rational(fixed[j][i]))
        b = sympy.Matrix(size, size, lambda i, j: _rational(steep[j][i])) - a
        if (a + 5 * b) * sympy.Matrix([3, *[2] * (size - 1)]) == sympy.Matrix([_rational(x) for x in linear]):
            return (_z * sympy.eye(size) - a - _sharpness * b).det(method="berkowitz")
    raise ProblemError(
        f"a stability threshold needs a method that is linear on quadratics, got {method!r}; give gradient descent, "
        "heavy ball or Nesterov's method, full batch"
    )


def _moved(programs: Recursion, state: Sequence[int], sharpness: Fraction) -> list[Fraction]:
    """One step on f = sharpness x^2 / 2."""
    values: dict[Any, np.ndarray] = {
        x: np.array([Fraction(v)], dtype=object) for x, v in zip(programs.state, state, strict=True)
    }
    point = interpret(programs.point, values, EXACT)[THETA]
    values[programs.direction] = -sharpness * point
    return [a.reshape(-1)[0] for a in interpret(programs.step, values, EXACT).values()]


def _rational(x: Fraction) -> sympy.Rational:
    return sympy.Rational(x.numerator, x.denominator)


def _routh_hurwitz(characteristic: sympy.Poly) -> list[sympy.Expr]:
    """Polynomials in lambda that are all positive iff all roots of a polynomial in z lie inside the unit circle.

    z = (1 + w)/(1 - w) takes the disk to the left half plane; the conditions are those of Hurwitz: the coefficients
    and the leading minors of Hurwitz' matrix have one sign (that of the leading coefficient, made positive).
    """
    n = characteristic.degree()
    w = sympy.Symbol("w")
    moved = sum(c * (1 + w) ** k * (1 - w) ** (n - k) for (k,), c in characteristic.terms())
    coefficients = sympy.Poly(sympy.expand(moved), w).all_coeffs()
    coefficients = [sympy.Integer(0)] * (n + 1 - len(coefficients)) + coefficients
    if coefficients[0].subs(_sharpness, 0) < 0:
        coefficients = [-c for c in coefficients]

    def entry(i: int, j: int) -> sympy.Expr:
        k = 2 * (j + 1) - (i + 1)
        return coefficients[k] if 0 <= k <= n else sympy.Integer(0)

    hurwitz = sympy.Matrix(n, n, entry)
    minors = [hurwitz[:k, :k].det(method="berkowitz") for k in range(1, n + 1)]
    return [sympy.expand(c) for c in (*coefficients, *minors)]


def _positive_roots(condition: sympy.Expr) -> list[sympy.Expr]:
    """The sharpnesses above 0 at which a condition fails to be strict."""
    polynomial = sympy.Poly(condition, _sharpness)
    return [] if polynomial.is_ground else [r for r in sympy.real_roots(polynomial) if r > 0]
