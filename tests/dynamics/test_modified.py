"""The modified equation of descent (R17): quadratics in closed form, one-step defects, no modified loss."""

from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy

import symflow as sf
from symflow.derivatives.derived import parameter_directions
from symflow.evaluate.interpret import interpret
from symflow.evaluate.object_arrays import EXACT
from symflow.programs.differentiate import jvp
from symflow.programs.program import Program

X, Y = sympy.symbols("x y")
SMOOTH = {
    "polynomial": (X**6 / 6 + X**4 * Y**2 + X * Y / 3 + X, (X, Y), ("1/3", "2/5")),
    "logistic": (sympy.log(1 + sympy.exp(-2 * X)) + X**4 / 5, (X,), ("7/10",)),
    "trigonometric": (sympy.sin(X) * sympy.exp(Y / 2), (X, Y), ("1/2", "-1/3")),
}


def network() -> sf.Objective:
    return sf.network_objective(sf.FullyConnected((2, 2, 1)), [[1, 2], [3, -1]], [[1], [2]])


def test_on_quadratics_the_terms_are_those_of_a_logarithm() -> None:
    """Descent theta -> (1 - eta H) theta is the flow of theta' = log(1 - eta H) theta / eta."""
    h = np.array([[Fraction(2), Fraction(1, 3)], [Fraction(1, 3), Fraction(-1)]])
    quadratic = X**2 + X * Y / 3 - Y**2 / 2
    theta = np.array([Fraction(3, 7), Fraction(-2)])
    found = sf.modified_equation(sf.expression_objective(quadratic, (X, Y)), 4)
    power = theta
    for i, term in enumerate(found.terms):
        power = h.dot(power)
        assert (sf.evaluate_exact(term, theta) == -power / (i + 1)).all()


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("order", range(5))
def test_the_one_step_defect_is_of_order_plus_two(name: str, order: int) -> None:
    expression, variables, start = SMOOTH[name]
    theta = [Fraction(v) for v in start]
    objective = sf.expression_objective(expression, variables)
    equation = sf.modified_equation(objective, order)
    errors = []
    with mpmath.workdps(50):
        slope = sf.evaluate_mpmath(sf.gradient(objective), theta, dps=50)
        for eta in (Fraction(1, 1000), Fraction(1, 2000)):
            flow = sf.solve_field(equation.field(eta), theta, horizon=eta, dps=40, estimate_error=False)(eta)
            step = [mpmath.mpf(t.numerator) / t.denominator - g * eta.numerator / eta.denominator
                    for t, g in zip(theta, slope, strict=True)]  # fmt: skip
            errors.append(mpmath.sqrt(mpmath.fsum((a - b) ** 2 for a, b in zip(flow, step, strict=True))))
        observed = mpmath.log(errors[0] / errors[1], 2)
    assert abs(observed - (order + 2)) < 0.05


@pytest.mark.parametrize("wrong", [False, True])
def test_the_second_term_is_no_gradient(wrong: bool) -> None:
    """J(F_2) - J(F_2)^T = -(1/6) [H, T[g]], exactly."""
    objective = network()
    count = objective.parameter_count
    theta = np.array([Fraction(k * k - 5, k + 2) for k in range(count)], dtype=object)
    jacobian = columns(objective, sf.modified_equation(objective, 2).terms[2].program, theta)
    hessian = sf.evaluate_exact(sf.hessian(objective), theta)
    gradient = sf.evaluate_exact(sf.gradient(objective), theta)
    form = sf.directional_derivative(objective, 3)
    basis = np.array([[Fraction(int(a == b)) for a in range(count)] for b in range(count)], dtype=object)

    def third(a: np.ndarray) -> Fraction:
        return sf.evaluate_exact(form, theta, a)

    def polarized(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> Fraction:
        signs = [(p, q) for p in (1, -1) for q in (1, -1)]
        return Fraction(1, 24) * sum(p * q * third(a + p * b + q * c) for p, q in signs)

    bent = np.array([[polarized(gradient, a, b) for b in basis] for a in basis], dtype=object)
    commutator = hessian.dot(bent) - bent.dot(hessian)
    assert (commutator != 0).any()
    factor = Fraction(-1, 3) if wrong else Fraction(-1, 6)
    assert bool((jacobian - jacobian.T == factor * commutator).all()) is not wrong


def columns(objective: sf.Objective, program: Program, theta: np.ndarray) -> np.ndarray:
    """The Jacobian of a vector program."""
    directions = parameter_directions(objective)
    outputs = list(program.outputs.values())
    dot = jvp(outputs, dict(zip(objective.parameters, directions, strict=True)))
    moved = Program((*program.inputs, *directions), {str(k): dot[x] for k, x in enumerate(outputs)})
    found = []
    for column in range(objective.parameter_count):
        unit = np.array([Fraction(int(k == column)) for k in range(objective.parameter_count)], dtype=object)
        cut = dict(zip(directions, objective.cut(unit).values(), strict=True))
        values = interpret(moved, {**objective.data, **objective.cut(theta), **cut}, EXACT)
        found.append(np.concatenate([v.reshape(-1) for v in values.values()]))
    return np.array(found, dtype=object).T


def test_the_first_order_is_the_gradient_flow_of_a_modified_loss() -> None:
    f = X**3 * Y + Y**2 * X
    modified = f + sympy.Rational(1, 40) * (f.diff(X) ** 2 + f.diff(Y) ** 2)  # eta = 1/10
    theta = [Fraction(2, 3), Fraction(-1, 5)]
    first, second = (sf.expression_objective(e, (X, Y)) for e in (f, modified))
    terms = [sf.evaluate_exact(t, theta) for t in sf.modified_equation(first, 1).terms]
    assert (terms[0] + terms[1] / 10 == -sf.evaluate_exact(sf.gradient(second), theta)).all()


def test_the_program_grows_linearly_with_the_depth() -> None:
    lengths = []
    for depth in (3, 6, 12):
        objective = sf.network_objective(sf.FullyConnected((2,) * (depth + 1)), [[1, 2]], [[1, 1]])
        lengths.append(sf.modified_equation(objective, 4).terms[4].program.length)
    assert lengths[2] - lengths[1] == 2 * (lengths[1] - lengths[0])


def test_what_is_shown() -> None:
    equation = sf.modified_equation(network(), 2)
    assert equation.latex() == "\n".join(
        [
            r"\begin{aligned}",
            r"\dot\theta = {}& -g \\",
            r"& {}+\eta\Bigl(-\tfrac{1}{2}Hg\Bigr) \\",
            r"& {}+\eta^2\Bigl(-\tfrac{1}{3}H^2g-\tfrac{1}{12}T[g,g]\Bigr)",
            r"\end{aligned}",
        ]
    )
    assert str(equation.citation).startswith("R17")
    assert "order 2" in repr(equation)


@pytest.mark.parametrize("order", [-1, 1.0, True, "2"])
def test_another_order_is_refused(order: object) -> None:
    with pytest.raises(sf.ProblemError, match="order must be a whole number of at least 0"):
        sf.modified_equation(network(), order)


def test_its_field_is_that_of_the_moments() -> None:
    """One evaluation of the field costs the same for any number of samples; it is the same function, exactly."""
    x = [[k, 3 - k * k] for k in range(5)]
    objective = sf.network_objective(sf.FullyConnected((2, 2, 1)), x, [[a - b] for a, b in x])
    theta = np.array([Fraction(k * k - 5) for k in range(6)], dtype=object)
    equation, eta = sf.modified_equation(objective, 1), Fraction(1, 9)
    field = equation.field(eta)
    assert field.given is objective
    assert all(5 not in a.shape for a in field.objective.data.values())
    found = interpret(field.program, {**field.objective.data, **objective.cut(theta)}, EXACT)
    terms = [sf.evaluate_exact(term, theta) for term in equation.terms]  # over samples
    wanted = sum(eta**i * t for i, t in enumerate(terms))
    assert (np.concatenate([v.reshape(-1) for v in found.values()]) == wanted).all()
