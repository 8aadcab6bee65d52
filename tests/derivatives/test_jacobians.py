"""The Hessian through Jacobians against the blocks: the same rational numbers, entry by entry."""

from dataclasses import replace
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy
from cases import quarters

import symflow as sf
from symflow.derivatives.jacobians import jacobian_hessian
from symflow.evaluate.interpret import interpret
from symflow.evaluate.object_arrays import EXACT, mpmath_arithmetic

WIDTHS = [(2, 3), (2, 3, 1), (3, 1, 4), (1, 1, 1, 1), (2, 3, 1, 2), (2, 1, 3, 2, 2), (1, 2, 2, 1, 2, 2)]
P, Y = sympy.symbols("p y", real=True)


def objective(widths: tuple[int, ...], slopes: tuple, loss: sf.Loss | None = None, samples: int = 4) -> sf.Objective:
    x, y = quarters((samples, widths[0]), 1), quarters((samples, widths[-1]), 2)
    x[0] = Fraction(1)
    if loss is not None and loss.kind == "cross-entropy":
        y = np.eye(widths[-1], dtype=int)[np.arange(samples) % widths[-1]]
    if loss is not None and loss.kind in ("logistic", "exponential"):
        y = np.where(y > 0, 1, -1)
    return sf.network_objective(sf.FullyConnected(widths, *slopes), x, y, loss or sf.Loss())


def through_jacobians(o: sf.Objective, theta: np.ndarray, arithmetic, lift=lambda q: q) -> np.ndarray:
    derived = jacobian_hessian(o)
    assert derived is not None
    values = {x: np.vectorize(lift, otypes=[object])(a) for x, a in {**o.data, **o.cut(theta)}.items()}
    return interpret(derived.program, values, arithmetic)["H"]


@pytest.mark.parametrize("slopes", [(1, 1), (1, 0), (1, Fraction(1, 5)), (Fraction(-2, 3), Fraction(1, 2))], ids=str)
@pytest.mark.parametrize("widths", WIDTHS, ids=str)
def test_exactly_the_blocks(widths: tuple[int, ...], slopes: tuple) -> None:
    o = objective(widths, slopes)
    # Every fifth weight is negative: gates of both kinds, and no dead layer.
    theta = abs(quarters((o.parameter_count,), 3)) + Fraction(1, 8)
    theta[4::5] *= -1
    expected = np.array(sf.evaluate_exact(sf.hessian(o), theta))
    assert (through_jacobians(o, theta, EXACT) == expected).all()
    assert (expected != 0).any()


@pytest.mark.parametrize(
    "loss",
    [
        sf.Loss("cross-entropy"),
        sf.Loss("logistic"),
        sf.Loss("exponential"),
        sf.expression_loss((P - Y) ** 4 + sympy.exp(P) * Y, P, Y),
    ],
    ids=lambda loss: loss.kind,
)
@pytest.mark.parametrize("slopes", [(1, 1), (1, 0)], ids=str)
def test_other_losses(loss: sf.Loss, slopes: tuple) -> None:
    last = 3 if loss.kind in ("cross-entropy", "expression") else 1
    o = objective((2, 3, 2, last), slopes, loss)
    theta = quarters((o.parameter_count,), 3)
    with mpmath.workdps(40):
        found = through_jacobians(o, theta, mpmath_arithmetic(), lambda q: mpmath.mpf(q.numerator) / q.denominator)
        expected = np.array(sf.evaluate_mpmath(sf.hessian(o), theta), dtype=object)
        assert max(abs(v) for v in (found - expected).flat) < mpmath.mpf(10) ** -36 * max(abs(v) for v in expected.flat)
        assert max(abs(v) for v in expected.flat) > mpmath.mpf(1) / 100


@pytest.mark.parametrize("activation", ["tanh", "gelu", ["softplus", "relu"], [("leaky-relu", "1/5"), "silu"]], ids=str)
@pytest.mark.parametrize("loss", ["square", "cross-entropy"])
def test_smooth_activations(loss: str, activation: object) -> None:
    o = objective((2, 3, 2, 3), (1, 1), sf.Loss(loss))  # type: ignore[arg-type]
    x, y = (a.T for a in o.data.values())
    o = sf.network_objective(sf.FullyConnected((2, 3, 2, 3), activation=activation), x, y, loss)
    theta = quarters((o.parameter_count,), 3)
    with mpmath.workdps(40):
        found = through_jacobians(o, theta, mpmath_arithmetic(), lambda q: mpmath.mpf(q.numerator) / q.denominator)
        expected = np.array(sf.evaluate_mpmath(sf.hessian(o), theta), dtype=object)
        assert max(abs(v) for v in (found - expected).flat) < mpmath.mpf(10) ** -36 * max(abs(v) for v in expected.flat)
        assert max(abs(v) for v in expected.flat) > mpmath.mpf(1) / 100


def test_only_fully_connected_networks_on_a_known_number_of_samples() -> None:
    late = sf.network_objective(sf.FullyConnected((2, 2, 1), 1, 0), None, None)
    x, y = sympy.symbols("x y")
    assert jacobian_hessian(late) is None
    assert jacobian_hessian(sf.expression_objective(x * y, [x, y])) is None
    moments = sf.moment_form(objective((2, 2, 1), (1, 1)))
    assert moments is not None
    assert jacobian_hessian(moments) is None


def test_a_loss_that_mixes_samples_is_left_to_the_blocks() -> None:
    from symflow.programs.nodes import hadamard
    from symflow.programs.program import Program

    o = objective((2, 2, 1), (1, 0))
    assert jacobian_hessian(o) is not None
    assert jacobian_hessian(replace(o, program=Program(o.program.inputs, {"f": hadamard(o.loss, o.loss)}))) is None


def test_a_loss_with_weights_in_it_is_left_to_the_blocks() -> None:
    o = objective((2, 2, 1), (1, 0))
    assert jacobian_hessian(o.scaled(Fraction(1, 2))) is not None
    assert jacobian_hessian(o.decayed(Fraction(1, 2))) is None


def test_length_is_affine_in_depth() -> None:
    def length(depth: int) -> int:
        derived = jacobian_hessian(objective((2,) * (depth + 1), (1, 0), samples=2))
        assert derived is not None
        return derived.program.length

    found = np.array([length(depth) for depth in range(6, 31, 4)])
    assert (np.diff(found, 2) == 0).all()
