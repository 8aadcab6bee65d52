"""The hypotheses that results share, each with its check. Checks compute exactly, in rationals, where they can."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from math import prod

import numpy as np
import sympy

from symflow.errors import ComputationError
from symflow.networks.losses import PREDICTION, SQUARE, TARGET
from symflow.networks.moments import exact_product
from symflow.networks.network import Network
from symflow.networks.objective import Objective
from symflow.numbers.rational import mpf, text
from symflow.programs.nodes import Gate, Input, Map, is_zero
from symflow.programs.program import Program
from symflow.theory.architecture_checks import LINEAR, LINEAR_WITH_BIASES, WHOLE_MATRICES, of_network, trained
from symflow.theory.hypotheses import Hypothesis, Setting, Verdict, fails, holds, unchecked

# The network --------------------------------------------------------------------------------------------------------


def _depth_three(network: Network) -> Verdict:
    return holds(f"depth {network.depth}") if network.depth >= 3 else fails(f"depth {network.depth} is less than 3")


def _depth_two(network: Network) -> Verdict:
    return holds(f"depth {network.depth}") if network.depth >= 2 else fails("depth 1 is less than 2")


def _one_output(network: Network) -> Verdict:
    count = prod(int(a.size) for a in network.output_axes)
    return holds("one output") if count == 1 else fails(f"the network has {count} outputs")


def _unit_slope(network: Network) -> Verdict:
    if any(network.sigma.at(j).slopes != (Fraction(1), Fraction(1)) for j in range(1, network.depth)):
        return fails("the slope of the activation is not 1")
    return holds("the activation is z -> z")


DEPTH_TWO = Hypothesis("depth at least 2", r"$n \ge 2$", of_network(_depth_two))
DEPTH_THREE = Hypothesis("depth at least 3", r"$n \ge 3$", of_network(_depth_three))
ONE_OUTPUT = Hypothesis("one output", r"$d_n = 1$", of_network(_one_output))
UNIT_SLOPE = Hypothesis("the activation z -> z", r"$\sigma(z) = z$", of_network(_unit_slope))


# The loss -----------------------------------------------------------------------------------------------------------


def _convex(setting: Setting) -> Verdict:
    loss = setting.objective.sample_loss
    if loss is None:
        return unchecked("nothing is known about the convexity of the objective's loss")
    if loss.convexity == "proved":
        return holds(f"the {loss.kind} loss is convex")
    if loss.convexity == "declared":
        return Verdict("declared", "the loss was declared convex")
    return unchecked("the loss is not known to be convex; declare it with expression_loss(..., convex=True)")


def _square(setting: Setting) -> Verdict:
    objective = setting.objective
    loss = objective.sample_loss
    if loss is None:
        return fails("the objective is not the training loss of a network")
    network = trained(objective)
    if network is not None and network.output_scale != 1:
        c = text(network.output_scale)
        return fails(f"the output is scaled by c = {c}: f is c^2 times the loss of the network without it at y/c")
    written = loss.expression is not None and sympy.expand(loss.expression - (PREDICTION - TARGET) ** 2 / 2) == 0
    return holds("the square loss") if loss == SQUARE or written else fails("the loss is not the square loss")


def _nonnegative(setting: Setting) -> Verdict:
    loss = setting.objective.sample_loss
    if loss is None or not loss.known.nonnegative:
        return unchecked("the objective is not known to be >= 0, so that existence for all time is not known")
    return holds(f"the {loss.kind} loss is >= 0")


def _smooth(setting: Setting) -> Verdict:
    if setting.objective.gates:
        return fails("the loss has kinks, so its gradient is not Lipschitz; the identity holds between kinks")
    return _without_poles(setting)


def _smooth_along(setting: Setting) -> Verdict:
    if setting.objective.gates:
        return unchecked("the loss has kinks: whether the trajectories and what is between them meet one is unchecked")
    return _without_poles(setting)


def _without_poles(setting: Setting) -> Verdict:
    """Whether a loss without gates is smooth everywhere: logarithms and roots are so where their arguments allow."""
    for x in setting.objective.program.nodes:
        if isinstance(x, Map) and (
            x.function == "log" or (x.exponent is not None and (x.exponent < 0 or x.exponent.denominator != 1))
        ):
            return unchecked(f"the loss has a {x.function}, which is smooth only where its argument is positive")
    return holds("the loss is smooth: no gates")


def _smooth_region(setting: Setting) -> Verdict:
    objective = setting.objective
    if not objective.gates:
        return _without_poles(setting)
    proviso = "at other weights than theta(0), that they are on no kink"
    if setting.theta0 is None:
        return Verdict("unchecked", "no initial weights are given at which to look for kinks", proviso)
    if any(x not in objective.data for x in objective.data_inputs if x.name == "X"):
        return Verdict("unchecked", "no data are given", proviso)
    gates = objective.gates
    found = values(objective, {str(p): g.z for p, g in enumerate(gates)}, setting.theta0)
    for p, g in enumerate(gates):
        zeros = np.argwhere(found[str(p)] == 0)
        if len(zeros):
            reason = f"at theta(0) a pre-activation is 0 ({_place(g, zeros[0])}): a kink, or a gate without influence"
            return Verdict("unchecked", reason, proviso)
    return Verdict("holds", "theta(0) is on no kink: no pre-activation is 0", proviso)


def _place(g: Gate, index: np.ndarray) -> str:
    *units, sample = (int(v) for v in index)
    return f"sample {sample}, layer {g.layer}, unit {units[0] if len(units) == 1 else tuple(units)}"


def _bounded_curvature(setting: Setting) -> Verdict:
    loss = setting.objective.sample_loss
    if loss is None or loss.known.smoothness is None:
        return unchecked("no bound on the second derivative of the loss is known")
    return holds(f"||hess l|| <= {loss.known.smoothness} for the {loss.kind} loss")


SMOOTH_LOSS = Hypothesis("a loss of bounded second derivative", r"$\|\nabla^2\ell\| \le L$", _bounded_curvature)
CONVEX = Hypothesis("a convex loss", r"$\ell$ convex in the prediction", _convex)
SQUARE_LOSS = Hypothesis("the square loss", r"$\ell(\hat y, y) = \tfrac12\|\hat y - y\|^2$", _square)
NONNEGATIVE = Hypothesis("a loss >= 0", r"$f \ge 0$", _nonnegative)
LIPSCHITZ_GRADIENT = Hypothesis("a locally Lipschitz gradient", r"$\nabla f$ locally Lipschitz", _smooth)
SMOOTH_ALONG = Hypothesis(
    "a smooth loss on what is between the trajectories", r"$f \in C^2$ on the segments or the tube", _smooth_along
)
SMOOTH_REGION = Hypothesis("weights on no kink", r"$\theta$ in a smooth region", _smooth_region)


# Data and initial weights -------------------------------------------------------------------------------------------


def values(objective: Objective, outputs: Mapping[str, object], theta: Sequence[Fraction]) -> dict[str, np.ndarray]:
    """Exact values of nodes at theta.

    Raises:
        TypeError: a function that is not rational.
    """
    from symflow.evaluate.interpret import interpret
    from symflow.evaluate.object_arrays import EXACT

    bound: dict[Input, np.ndarray] = {**objective.data, **objective.cut(np.array(theta, dtype=object))}
    return interpret(Program(objective.program.inputs, outputs), bound, EXACT)  # type: ignore[arg-type]


def _data(objective: Objective, name: str) -> np.ndarray | None:
    """An exact data array (features x samples), or None where it is not bound."""
    found = next((a for x, a in objective.data.items() if x.name == name), None)
    return None if found is None else found.reshape(-1, found.shape[-1])


def _scientific(x: Fraction) -> str:
    import mpmath

    return str(mpmath.nstr(mpf(x), 2))


def _whitened(setting: Setting) -> Verdict:
    x = _data(setting.objective, "X")
    if setting.objective.matrix_data is not None:
        return fails("the data are matrix data, not samples of inputs")
    if x is None:
        return unchecked("no data are given")
    second = exact_product(x, x.T) / Fraction(x.shape[1])
    deviation = max(abs(v - int(a == b)) for (a, b), v in np.ndenumerate(second))
    if deviation == 0:
        return holds("Sigma_xx = I exactly")
    if deviation <= Fraction(1, 10 ** max(1, setting.dps - 5)):
        return holds(f"Sigma_xx = I to working precision: entries within {_scientific(deviation)}")
    return fails(f"the data are not whitened: an entry of Sigma_xx - I is {_scientific(deviation)}")


def balancedness(objective: Objective, theta: Sequence[Fraction]) -> list[np.ndarray]:
    """D_j = W_{j+1}^T W_{j+1} - W_j W_j^T, exact."""
    weights = list(objective.cut(np.array(theta, dtype=object)).values())
    return [exact_product(up.T, up) - exact_product(w, w.T) for w, up in pairwise(weights)]


def _no_product(setting: Setting) -> Verdict | None:
    """Why f is not a function of a product of whole matrices; None where it is."""
    found = (hypothesis.check(setting) for hypothesis in (LINEAR, WHOLE_MATRICES))
    return next((verdict for verdict in found if verdict.status == "fails"), None)


def _balanced(setting: Setting) -> Verdict:
    if setting.theta0 is None:
        return unchecked("no initial weights are given")
    refused = _no_product(setting)
    if refused is not None:
        return refused
    largest = [max(abs(v) for v in d.flat) for d in balancedness(setting.objective, setting.theta0)]
    worst = max(range(len(largest)), key=largest.__getitem__, default=0)
    if not largest or largest[worst] == 0:
        return holds("theta(0) is balanced exactly: D_j = 0")
    return fails(f"theta(0) is not balanced: an entry of D_{worst + 1} is {_scientific(largest[worst])}")


def _small(setting: Setting) -> Verdict:
    if setting.theta0 is None:
        return unchecked("no initial weights are given")
    weights = setting.objective.cut(np.array(setting.theta0, dtype=object)).values()
    squares = max((sum(v * v for v in w.flat) for w in weights), default=Fraction(0))
    return holds(f"epsilon = max_j ||W_j(0)||_F = {float(squares) ** 0.5:.4g}")


def _slope_at_zero(setting: Setting) -> Verdict:
    objective = setting.objective
    linear = LINEAR_WITH_BIASES.check(setting)
    if linear.status == "fails":
        return linear
    if any(x not in objective.data for x in objective.data_inputs):
        return unchecked("no data are given")
    return _nonzero_slope(objective)


def _nonzero_slope(objective: Objective) -> Verdict:
    """Whether the gradient of phi at the zero matrix is not 0, in 50 digits."""
    import mpmath

    from symflow.evaluate.interpret import interpret
    from symflow.evaluate.object_arrays import mpmath_arithmetic
    from symflow.theory.model import Model

    node = Model(objective, True).letter("grad_phi", ()).node
    if is_zero(node):
        return fails("the gradient of phi at 0 vanishes")
    with mpmath.workdps(50):
        arithmetic = mpmath_arithmetic()
        lift = np.frompyfunc(arithmetic.lift, 1, 1)
        bound = {x: np.asarray(lift(a), dtype=object) for x, a in objective.data.items()}
        bound |= {w: np.full(shape, mpmath.mpf(0), dtype=object) for w, shape in _shapes(objective)}
        try:
            slope = interpret(Program(objective.program.inputs, {"slope": node}), bound, arithmetic)["slope"]
        except (ArithmeticError, ComputationError):
            return unchecked("phi has no gradient at 0, or none that could be evaluated")
        size = mpmath.sqrt(mpmath.fsum(v * v for v in slope.flat))
        if size > mpmath.mpf(10) ** -30:
            return holds(f"the gradient of phi at 0 has Frobenius norm {mpmath.nstr(size, 3)}")
    return fails("the gradient of phi at 0 vanishes")


def _shapes(objective: Objective) -> list[tuple[Input, tuple[int, ...]]]:
    return list(zip(objective.parameters, objective.shapes, strict=True))


def _aligned(setting: Setting) -> Verdict:
    """w > 0, lambda > 0, nu != -1 for the end-to-end row and Lambda_yx, exact."""
    objective = setting.objective
    if _no_product(setting) is not None or ONE_OUTPUT.check(setting).status == "fails":
        return fails("the end-to-end matrix is not a row")
    if objective.matrix_data is not None:
        return fails("the data are matrix data, not samples of inputs")
    x, y = _data(objective, "X"), _data(objective, "Y")
    if setting.theta0 is None or x is None or y is None:
        return unchecked("no initial weights or no data are given")
    row: np.ndarray | None = None
    for w in objective.cut(np.array(setting.theta0, dtype=object)).values():
        row = w if row is None else exact_product(w, row)
    assert row is not None
    target = exact_product(y, x.T) / Fraction(x.shape[1])
    w, size, product = (sum(a * b for a, b in zip(p.flat, q.flat, strict=True)) for p, q in
                        ((row, row), (target, target), (row, target)))  # fmt: skip
    if w == 0 or size == 0:
        return fails("the end-to-end matrix or Lambda_yx is 0")
    if product < 0 and product * product == w * size:
        return fails("the end-to-end matrix points exactly away from Lambda_yx: nu(0) = -1")
    if product > 0 and product * product == w * size:
        return fails("the end-to-end matrix points exactly along Lambda_yx: nu(0) = 1, where artanh nu(0) is infinite")
    return holds(f"w(0) > 0, lambda > 0, nu(0) = {float(product) / (float(w) * float(size)) ** 0.5:.3g} > -1")


WHITENED = Hypothesis("whitened data", r"$\Sigma_{xx} = I$", _whitened)
BALANCED = Hypothesis("balanced initial weights", r"$W_{j+1}^\top W_{j+1} = W_j W_j^\top$ at $t = 0$", _balanced)
SMALL_START = Hypothesis("initial weights of norm at most epsilon", r"$\|W_j(0)\|_F \le \varepsilon$", _small)
SLOPE_AT_ZERO = Hypothesis("grad phi(0) is not 0", r"$\nabla\varphi(0) \ne 0$", _slope_at_zero)
ALIGNED = Hypothesis("w(0) > 0, lambda > 0, nu(0) > -1", r"$w(0) > 0$, $\lambda > 0$, $\nu(0) > -1$", _aligned)
