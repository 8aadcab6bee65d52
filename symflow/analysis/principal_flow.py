"""R27: the principal flow, a flow with complex values that follows gradient descent where gradient flow cannot."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache, partial
from typing import Any, ClassVar

import mpmath
import numpy as np
from flint import acb, acb_mat

from symflow.analysis.arguments import steps_to
from symflow.derivatives.derived import Derived, gradient, hessian
from symflow.displays import displayed
from symflow.errors import ComputationError, ProblemError
from symflow.evaluate.object_arrays import evaluate_objects, mpmath_arithmetic
from symflow.numbers.arguments import whole
from symflow.numbers.balls import ball_precision, from_mpf, midpoint
from symflow.numbers.rational import mpf, rational
from symflow.numbers.types import Mpf, Number
from symflow.paths.descent import positive_step
from symflow.paths.extrapolation import State, integrate
from symflow.paths.path_error import PathError
from symflow.paths.solver import MAX_DPS
from symflow.problem import Problem
from symflow.problem.arguments import as_problem
from symflow.theory.r27_principal_flow import coefficient
from symflow.theory.registry import cite
from symflow.theory.result import Citation

GUARD = 15
"""Digits of the arithmetic beyond those asked for."""
CHECK = 10
"""Digits by which the second run is more precise."""
MOST_PARAMETERS = 32
"""Most parameters: every evaluation of the field takes a spectrum in multiprecision."""
MOST_STEPS = 100_000


@displayed
@dataclass(frozen=True, eq=False)
class PrincipalFlow:
    """theta(k eta) on the principal flow, k = 0, ..., K.

    Attributes:
        problem: what flows.
        step_size: eta, exact.
        dps: digits.
        states: theta(k eta), object array of shape (K + 1, P) of mpc.
        error: the largest error of a component, estimated from a second run with more digits.

    Example:
        >>> import mpmath, sympy
        >>> x, y = sympy.symbols("x y")
        >>> energy = sf.expression_objective(x**2 + y**2 / 100, [x, y])
        >>> problem = sf.Problem(objective=energy, theta0=["-7/20", "-1/5"])
        >>> flow = sf.principal_flow(problem, step_size="1.05", horizon="5.25", dps=10)  # Rosca et al. 2023
        >>> [mpmath.nstr(v.real, 10) for v in flow.states[-1]]
        ['0.5636785', '-0.1798636717']
        >>> flow.times[1], mpmath.nstr(abs(flow("1/2")[0].imag), 4)
        (Fraction(21, 20), '0.3652')
    """

    problem: Problem
    step_size: Fraction
    dps: int
    states: np.ndarray
    error: PathError
    result: ClassVar[str] = "R27"

    @property
    def times(self) -> tuple[Fraction, ...]:
        """k eta, exact."""
        return tuple(k * self.step_size for k in range(len(self.states)))

    @property
    def citation(self) -> Citation:
        """Where the result comes from."""
        return cite(self.result)

    def __call__(self, time: Number) -> np.ndarray:
        """theta(t), P mpc values; complex also for quadratics between the times k eta where eta lambda > 1.

        Args:
            time: from 0 to the last of `times`.

        Raises:
            ProblemError: another time.
        """
        t = rational(time, "time")
        if not 0 <= t <= self.times[-1]:
            raise ProblemError(f"time must be from 0 to {self.times[-1]}, got {t}; solve to a longer horizon")
        k = int(t / self.step_size)
        with mpmath.workdps(self.dps + GUARD):
            rest = mpf(t - k * self.step_size)
            return _advance(_derived(self.problem), self.step_size, self.states[k], rest, self.dps)

    def __repr__(self) -> str:
        return f"<principal flow (R27) over {len(self.states) - 1} steps of {self.step_size}, {self.dps} digits>"


def principal_flow(
    problem: Problem, *, step_size: Number | None = None, horizon: Number | None = None, dps: int = 30
) -> PrincipalFlow:
    r"""theta' = sum_i log(1 - eta lambda_i)/(eta lambda_i) (g^T u_i) u_i with the spectrum (lambda_i, u_i) of H.

    g = grad f and H = grad^2 f at theta. On quadratics it passes through every iterate of gradient descent, stable or
    not. Where eta lambda_i > 1 the logarithm is complex (its principal branch), and so is the flow; the formulas are
    then continued analytically. To first orders in eta it is the modified equation (R17) without the derivatives of H.

    Args:
        problem: f and theta_0; without kinks, at most 32 parameters.
        step_size: eta; the problem's own if left out.
        horizon: T; the flow is given at k eta <= T.
        dps: digits.

    Returns:
        A `PrincipalFlow`: `states` at the times k eta, shape (K + 1, P), of mpc; call it for times in between.

    Raises:
        ProblemError: missing or invalid numbers, a network with kinks, or too many parameters.
        ComputationError: the flow meets eta lambda_i = 1, where its field is singular, or the digits cannot be reached.

    Source: Rosca, Wu, Qin & Dherin 2023 (R27).

    Example:
        >>> import mpmath
        >>> problem = sf.Problem(network=sf.FullyConnected((1, 1, 1)), data={"x": [1], "y": [1]},
        ...                      init={"theta": ["1/2", 1]})
        >>> flow = sf.principal_flow(problem, step_size="1/10", horizon=1, dps=15)
        >>> run = sf.descend(problem, step_size="1/10", steps=10, dps=15)
        >>> print(mpmath.nstr(max(abs(flow.states[10] - run.iterates[10])), 3))  # from gradient flow: 0.00943
        0.000175
    """
    given = as_problem(problem, "principal_flow")
    dps = whole(dps, "dps", 1, MAX_DPS)
    eta = positive_step(given, step_size)
    problem = given.for_digits(dps)
    steps = steps_to(problem, horizon, eta, "the principal flow")
    whole(steps, "the number of steps horizon/step_size", 1, MOST_STEPS)
    if problem.objective.gates:
        raise ProblemError("the principal flow needs a loss without kinks, got a network with gates; take a linear one")
    if problem.objective.parameter_count > MOST_PARAMETERS:
        raise ProblemError(
            f"the principal flow takes a spectrum at every evaluation, with at most {MOST_PARAMETERS} parameters, got "
            f"{problem.objective.parameter_count}; take a smaller network, or sf.modified_equation"
        )
    states, check = (_states(problem, eta, steps, digits) for digits in (dps, dps + CHECK))
    with mpmath.workdps(dps + GUARD):
        error = max(abs(v) for v in (states - check).reshape(-1)) + mpmath.mpf(10) ** -(dps + CHECK)
    return PrincipalFlow(problem, eta, dps, states, PathError(error, "estimated"))


def _states(problem: Problem, eta: Fraction, steps: int, dps: int) -> np.ndarray:
    """theta(k eta) for all k."""
    formulas = _derived(problem)
    found = np.empty((steps + 1, len(problem.theta0)), dtype=object)
    with mpmath.workdps(dps + GUARD):
        found[0] = [mpmath.mpc(mpf(v)) for v in problem.theta0]
        for k in range(steps):
            found[k + 1] = _advance(formulas, eta, found[k], mpf(eta), dps)
    return found


def _derived(problem: Problem) -> tuple[Derived, Derived]:
    """g and H."""
    return gradient(problem.compact), hessian(problem.compact)


def _advance(derived: tuple[Derived, Derived], eta: Fraction, start: State, length: Mpf, dps: int) -> State:
    """The flow over a time."""
    end: State = integrate(partial(_field, derived, mpf(eta)), start, length, mpmath.mpf(10) ** -(dps + 5))
    return end


def _field(derived: tuple[Derived, Derived], eta: Mpf, theta: State) -> State:
    """psi(eta H) g = V psi(eta Lambda) V^-1 g, with the spectrum of H, which is complex where theta is."""
    real = all(v.imag == 0 for v in theta)
    at, native = ([v.real for v in theta], mpmath.mpf) if real else (list(theta), mpmath.mpc)
    slope, curvature = (evaluate_objects(formula, at, (), mpmath_arithmetic(), native) for formula in derived)
    factors, vectors, inverse = _spectrum(tuple(map(tuple, curvature)), eta, mpmath.mp.prec)
    return vectors.dot(factors * inverse.dot(slope))


@lru_cache(maxsize=4)
def _spectrum(rows: tuple[tuple[Any, ...], ...], eta: Mpf, bits: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """psi(eta lambda_i), eigenvectors (columns) and the inverse of their matrix; kept: on quadratics H stays.

    Raises:
        ComputationError: they were not found, or eta lambda_i = 1.
    """
    with ball_precision(bits):
        matrix = acb_mat([[acb(from_mpf(mpmath.re(v)), from_mpf(mpmath.im(v))) for v in row] for row in rows])
        try:
            values, vectors = matrix.eig(right=True, algorithm="approx")
            inverse = vectors.solve(
                acb_mat([[int(i == j) for j in range(len(rows))] for i in range(len(rows))]), algorithm="approx"
            )
        except (ValueError, ZeroDivisionError):
            raise ComputationError(
                "the spectrum of the Hessian could not be computed; take other digits or another start"
            ) from None
        found, columns, rows_back = [_mpc(v) for v in values], _array(vectors), _array(inverse)
    if any(eta * v == 1 for v in found):
        raise ComputationError(
            "the principal flow meets eta lambda = 1, where its field is singular; take another step size"
        )
    return np.array([coefficient(eta * v) for v in found]), columns, rows_back


def _mpc(x: acb) -> Any:
    return mpmath.mpc(midpoint(x.real), midpoint(x.imag))


def _array(matrix: acb_mat) -> np.ndarray:
    return np.array([[_mpc(v) for v in row] for row in matrix.tolist()], dtype=object)
