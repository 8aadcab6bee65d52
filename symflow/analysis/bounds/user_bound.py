"""Bounds of your own: SymPy expressions over documented quantities, evaluated at the samples of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import sympy

from symflow.analysis.bounds.bound import Bound
from symflow.analysis.bounds.context import Comparison
from symflow.analysis.bounds.series import BoundSeries, Kind, not_applicable, padded
from symflow.analysis.eigenvalues import extreme_eigenvalues
from symflow.analysis.observables import gradients, too_large
from symflow.derivatives.derived import loss
from symflow.errors import ProblemError, brief
from symflow.evaluate.derived_batches import evaluate_batch
from symflow.evaluate.numpy_batches import evaluate_points
from symflow.numbers.vectors import norms
from symflow.programs.program import Program
from symflow.theory.model import Model


@dataclass(frozen=True)
class Quantity:
    """q(theta(t)), a quantity that expressions may contain.

    Attributes:
        symbol: its SymPy symbol; `s_1`, `s_2`, ... stand for the layers.
        meaning: its formula or its meaning in words.
        evaluate: run -> its values at the samples, shape (S,), float64; None where the run has no such quantity.

    Example:
        >>> quantity = sf.bound_quantities()["lambda_min"]
        >>> quantity.symbol, quantity.meaning
        (lambda_min, 'smallest Hessian eigenvalue at theta(t)')
    """

    symbol: sympy.Symbol
    meaning: str
    evaluate: Callable[[Comparison], np.ndarray | None]


def _spectrum(run: Comparison, end: str) -> np.ndarray | None:
    if too_large(run.objective):
        return None
    found = extreme_eigenvalues(run.compact, run.points).known()
    if end == "norm":
        return np.maximum(np.abs(found.min), np.abs(found.max))
    return found.min if end == "min" else found.max


def _exponent(run: Comparison) -> np.ndarray | None:
    low = _spectrum(run, "min")
    if low is None:
        return None
    steps = -np.minimum(low[1:], low[:-1]) * np.diff(run.times)
    return np.concatenate([[0.0], np.cumsum(steps)])


def _slope_of_phi(run: Comparison, frobenius: bool) -> np.ndarray | None:
    network = run.objective.network
    if network is None or not network.linear:
        return None
    program = Program(run.objective.program.inputs, {"slope": Model(run.objective).letter("grad_phi", ()).node})
    matrices = evaluate_points(run.objective, program, run.points)["slope"]
    return np.asarray(np.linalg.norm(matrices, "fro" if frobenius else 2, axis=(1, 2)))


def _end_to_end(run: Comparison) -> np.ndarray | None:
    network = run.objective.network
    if network is None or not network.linear:
        return None
    product: np.ndarray | None = None
    for where, shape in run.objective.slices():
        w = run.points[:, where].reshape(-1, *shape)
        product = w if product is None else w @ product
    assert product is not None
    return np.asarray(np.linalg.norm(product, 2, axis=(1, 2)))


def _lengths(vectors: np.ndarray) -> np.ndarray:
    return norms(vectors)


def _layer(run: Comparison, layer: int) -> np.ndarray | None:
    if run.objective.network is None or layer > len(run.objective.parameters):
        return None
    where, shape = list(run.objective.slices())[layer - 1]
    w = run.points[:, where].reshape(len(run.points), shape[0], -1)
    return np.asarray(np.linalg.norm(w, 2, axis=(1, 2)))


def _constant(value: Callable[[Comparison], float]) -> Callable[[Comparison], np.ndarray]:
    return lambda run: np.full(run.count, value(run))


_KNOWN: tuple[tuple[str, str, Callable[[Comparison], np.ndarray | None]], ...] = (
    ("t", "time k eta", lambda run: run.times),
    ("T", "final time of the run", _constant(lambda run: float(run.times[-1]))),
    ("eta", "step size", _constant(lambda run: float(run.step_size))),
    ("f", "loss at theta(t)", lambda run: evaluate_batch(run.compact, loss, run.points)),
    ("g", "||g||, norm of the gradient at theta(t)", lambda run: _lengths(gradients(run.compact, run.points))),
    ("lambda_min", "smallest Hessian eigenvalue at theta(t)", lambda run: _spectrum(run, "min")),
    ("lambda_max", "largest Hessian eigenvalue at theta(t)", lambda run: _spectrum(run, "max")),
    ("H", "||H||, spectral norm of the Hessian at theta(t)", lambda run: _spectrum(run, "norm")),
    ("M", "int_0^t m with m = -lambda_min, the larger of both ends of every interval", _exponent),
    ("grad_phi", "||grad phi(W_n:1)||, linear networks", lambda run: _slope_of_phi(run, False)),
    ("grad_phi_F", "its Frobenius norm", lambda run: _slope_of_phi(run, True)),
    ("w", "||W_n:1||, linear networks", _end_to_end),
    ("theta", "||theta(t)||", lambda run: _lengths(run.points)),
    ("n", "depth", _constant(lambda run: float(len(run.objective.parameters)))),
)  # fmt: skip


def bound_quantities() -> Mapping[str, Quantity]:
    """t, eta, f(theta(t)), ||g||, lambda_min(H), M(t), s_j = ||W_j||, ...: what a bound of your own may contain.

    All are taken at the flow theta(t), in float64, at the S samples of a run.

    Returns:
        A read-only mapping from names to `Quantity` records, each with its SymPy `symbol` and its `meaning`. s_1, s_2,
        ..., the norms of the layers, may be used too, at any depth.

    Example:
        >>> quantities = sf.bound_quantities()
        >>> list(quantities)
        ['t', 'T', 'eta', 'f', 'g', 'lambda_min', 'lambda_max', 'H', 'M', 'grad_phi', 'grad_phi_F', 'w', 'theta', 'n']
        >>> quantities["M"].meaning
        'int_0^t m with m = -lambda_min, the larger of both ends of every interval'
    """
    return {name: Quantity(sympy.Symbol(name), meaning, f) for name, meaning, f in _KNOWN}


def user_bound(
    name: str,
    expression: sympy.Expr,
    *,
    of: Literal["deviation", "curvature"] = "deviation",
    title: str = "a bound of your own",
) -> Bound:
    """deviation(t) <= expression, or lambda_min(H(theta(t))) >= expression: a bound of your own.

    It is evaluated in float64 at the samples, and its status is "sampled": a hypothesis that you state is not checked.

    Args:
        name: of the bound, different from the known ones.
        expression: a SymPy expression over the symbols of `bound_quantities` and s_1, ..., s_n.
        of: what it bounds: the deviation from above, or the smallest Hessian eigenvalue along the flow from below.
        title: what it says, in a few words.

    Returns:
        A `Bound` for `deviation(..., bounds=[...])`, `tightness` and `max_step_size`.

    Raises:
        ProblemError: an unknown symbol, a function without a NumPy form, text instead of an expression, a name that is
            not text, or another `of`.

    Source: yours; the form of such bounds, Elkabetz & Cohen 2021, R3 and R4.

    Example:
        >>> import sympy
        >>> t, eta, g = sympy.symbols("t eta g")
        >>> mine = sf.user_bound("mine", eta * t * g, title="a guess")
        >>> problem = sf.Problem(network=sf.FullyConnected((1, 1)), data={"x": [1], "y": [1]}, init={"theta": [0]})
        >>> dev = sf.deviation(problem, step_size="1/10", horizon=1, dps=15, bounds=[mine])
        >>> round(float(dev.bounds["mine"].values[-1] / dev.values[-1]), 3)  # above 1: it holds at the end
        1.916
    """
    if of not in ("deviation", "curvature"):
        raise ProblemError(f'a bound must be of "deviation" or "curvature", got {brief(of)}')
    if not isinstance(name, str) or not name:
        raise ProblemError(f'the name of a bound must be text such as "mine", got {brief(name)}')
    expression, known = _expression(expression), bound_quantities()
    names = sorted(str(s) for s in expression.free_symbols)
    for symbol in names:
        if symbol not in known and not _is_layer(symbol):
            raise ProblemError(
                f"a bound may contain the quantities {', '.join(known)}, s_1, s_2, ..., got {brief(symbol)}; rename it"
            )
    symbols = {str(s): s for s in expression.free_symbols}
    function = _function([symbols[s] for s in names], expression)
    kind: Kind = "bound" if of == "deviation" else "curvature"

    def compute(run: Comparison) -> BoundSeries:
        values = []
        for symbol in names:
            found = _layer(run, int(symbol[2:])) if _is_layer(symbol) else known[symbol].evaluate(run)
            if found is None:
                return not_applicable(name, kind, run.count, f"the problem has no quantity {symbol}")
            values.append(found)
        with np.errstate(all="ignore"):
            result = np.broadcast_to(np.asarray(function(*values), dtype=np.complex128), (run.count,))
        real = np.where(np.abs(result.imag) > 0, np.nan, result.real)
        bad = np.flatnonzero(np.isnan(real))
        end = int(bad[0]) if len(bad) else run.count
        reason = f"the expression has no real value at t = {run.times[end]:.6g}" if len(bad) else None
        return BoundSeries(name, kind, "sampled" if end else "not applicable", padded(real[:end], run.count), reason)

    return Bound(name, None, kind, title, expression, (), compute)


def _expression(given: object) -> sympy.Expr:
    """What was given as a SymPy expression.

    Raises:
        ProblemError: text, or something else.
    """
    try:
        expression = None if isinstance(given, str) else sympy.sympify(given)
    except (TypeError, sympy.SympifyError):
        expression = None
    if not isinstance(expression, sympy.Expr):
        raise ProblemError(f"a bound must be a SymPy expression, got {brief(given)}; text is never evaluated")
    return expression


def _function(symbols: list[sympy.Symbol], expression: sympy.Expr) -> Callable[..., np.ndarray]:
    """The expression in NumPy.

    Raises:
        ProblemError: it contains a function without a NumPy form.
    """
    try:
        function: Callable[..., np.ndarray] = sympy.lambdify(symbols, expression, "numpy")
        with np.errstate(all="ignore"):
            np.asarray(function(*np.ones((len(symbols), 2))), dtype=np.complex128)
    except (NameError, NotImplementedError, AttributeError, TypeError, ValueError):
        raise ProblemError(
            f"a bound must be made of functions that NumPy has (powers, exp, log, tanh, Max, ...), got "
            f"{brief(str(expression))}"
        ) from None
    return function


def _is_layer(symbol: str) -> bool:
    return symbol.startswith("s_") and symbol[2:].isdigit() and int(symbol[2:]) > 0
