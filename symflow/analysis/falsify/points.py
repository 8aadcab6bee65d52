r"""What claims say about one point theta: each quantity as nodes, which every interpreter (JAX, mpmath) evaluates."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import prod
from typing import Any

import numpy as np
import sympy

from symflow.caching import kept
from symflow.errors import ProblemError
from symflow.networks.convolutional import Convolutional
from symflow.networks.objective import Objective
from symflow.programs.nodes import Axis, Const, Node, Table, add, inner, maximum, power, scale, scatter_add
from symflow.programs.program import Program, shape_of
from symflow.theory.architecture_checks import FULLY_CONNECTED, LINEAR, NETWORK, trained
from symflow.theory.curvature import LADDERS
from symflow.theory.hypotheses import Hypothesis, Setting, Verdict, fails, holds
from symflow.theory.hypothesis_checks import SMOOTH_REGION
from symflow.theory.lowering import Lowering
from symflow.theory.model import Model
from symflow.theory.r10_balancedness import BALANCEDNESS
from symflow.theory.registry import find
from symflow.theory.terms import (
    GRAD_LOSS,
    LAMBDA_MIN,
    SAMPLE,
    Chain,
    J,
    LargestEigenvalue,
    Letter,
    Members,
    Named,
    Range,
    SampleMean,
    Subsets,
    Term,
    W,
    frobenius,
    grad_phi,
    j,
    k,
    l,
    minimum,
    n,
    norm,
    product,
)
from symflow.theory.terms import maximum as largest
from symflow.theory.values import Value, spectral_norm

_TWO, _HALF = sympy.Integer(2), sympy.Rational(1, 2)
IMBALANCE = "D["
"""What the outputs of D_j begin with, and no name of a quantity does."""
GATES = "z["
"""The same for the pre-activations of the gates."""


@dataclass(frozen=True)
class PointQuantity:
    """A number that a network's training loss has at every theta.

    Attributes:
        meaning: what it is.
        build: its node for a model, and for a layer where the name ends in the number of one.
        smooth: whether it means something only where theta is on no kink.
        signed: whether it may be negative.
        needs: what it assumes of the network.
    """

    meaning: str
    build: Callable[..., Node]
    smooth: bool = False
    signed: bool = False
    needs: Hypothesis = NETWORK


def _node(term: Term, model: Model, layer: int | None = None) -> Node:
    place = {n: model.depth} | ({} if layer is None else {j: layer})
    return Lowering(model)(term, place).node


def _of(term: Term) -> Callable[..., Node]:
    return lambda model, layer=None: _node(term, model, layer)


def _operator(model: Model, layer: sympy.Symbol) -> Term:
    """The norm of a layer as a linear map: ||W_j||, or ||A_j(w_j)|| where weights are shared."""
    shared = isinstance(model.network, Convolutional)
    return norm(Letter("layer_matrix", (layer,)) if shared else W(layer))


def _largest_product(model: Model) -> Node:
    return _node(largest(Subsets(J, n - 2), product(Members(l, J), _operator(model, l))), model)


def _pairs(model: Model) -> Node:
    others = product(Range(l, excluding=(j, k)), _operator(model, l))
    return _node(LargestEigenvalue(Named("M", (j, k), others)), model)


def _flat_norm(model: Model, layer: int) -> Node:
    """The spectral norm of a layer's weights, outputs first; a kernel is laid out flat, as `user_bound` does it."""
    node: Node = model.weights[layer - 1]
    if len(node.axes) > 2:
        count = prod(shape_of(node.axes[1:]))
        node = scatter_add(node, Table(Axis(f"flat{layer}", count), node.axes[1:], tuple(range(count))), 1)
    return spectral_norm(Value(node)).node


def _hessian_norm(model: Model) -> Node:
    return maximum([scale(-1, _node(LAMBDA_MIN, model)), _node(Letter("lambda_max"), model)])


def _kappa(model: Model, layer: int) -> Node:
    return _node(Letter("kappa", (j,)), model, layer) if isinstance(model.network, Convolutional) else _ONE


def _all_kappas(model: Model) -> Node:
    shared = isinstance(model.network, Convolutional)
    return _node(product(Range(j), Letter("kappa", (j,))), model) if shared else _ONE


def _pool(model: Model) -> Node:
    return _node(Letter("pool"), model) if isinstance(model.network, Convolutional) else _ONE


def _length(arrays: Sequence[Node]) -> Node:
    """The Euclidean norm of all entries of some arrays."""
    return power(add([(1, inner(x, x)) for x in arrays]), Fraction(1, 2))


def _trained(setting: Setting) -> Verdict:
    known = trained(setting.objective) is not None
    return holds("a network") if known else fails("the objective is not a network's training loss")


TRAINED = Hypothesis("a network's training loss", "a network", _trained)


_ONE = Const(Fraction(1), ())
_S = norm(W(j))
POINTS: dict[str, PointQuantity] = {
    "f": PointQuantity("loss", _of(Letter("f")), signed=True, needs=TRAINED),
    "g": PointQuantity("||g||, norm of the gradient", lambda m: _length(m.slopes), smooth=True, needs=TRAINED),
    "lambda_min": PointQuantity("smallest Hessian eigenvalue", _of(LAMBDA_MIN), True, True, TRAINED),
    "lambda_max": PointQuantity("largest Hessian eigenvalue", _of(Letter("lambda_max")), True, True, TRAINED),
    "H": PointQuantity("||H||, spectral norm of the Hessian", _hessian_norm, smooth=True, needs=TRAINED),
    "grad_phi": PointQuantity("||grad phi(W_n:1)||, linear networks", _of(norm(grad_phi)), needs=LINEAR),
    "grad_phi_F": PointQuantity("||grad phi(W_n:1)||_F, linear networks", _of(frobenius(grad_phi)), needs=LINEAR),
    "w": PointQuantity("||W_n:1||, linear networks", _of(norm(Chain(n, 1))), needs=LINEAR),
    "theta": PointQuantity("||theta||", lambda m: _length(m.objective.parameters), needs=TRAINED),
    "balancedness": PointQuantity(
        "(sum_j ||D_j||_F^2)^(1/2), D_j as in R10 (its diagonal but for linear networks)", lambda model: _balance(model)
    ),
    "s_max": PointQuantity("max_j s_j, fully connected", _of(largest(Range(j), _S)), needs=FULLY_CONNECTED),
    "s_min": PointQuantity("min_j s_j, fully connected", _of(minimum(Range(j), _S)), needs=FULLY_CONNECTED),
    "s_product": PointQuantity("prod_j s_j, fully connected", _of(product(Range(j), _S)), needs=FULLY_CONNECTED),
    "max_product": PointQuantity("max over n-2 layers of the product of their A_1, A_2, ...", _largest_product),
    "lambda_M": PointQuantity("lambda_max(M), M_jj' = prod of A_i over the other layers, zero diagonal", _pairs),
    "errors": PointQuantity("(1/N) sum_i ||grad l_i|| ||x_i||", _of(SampleMean(norm(GRAD_LOSS) * norm(SAMPLE)))),
    "Sigma_xx": PointQuantity("||X X^T / N||, fully connected", _of(norm(Letter("Sigma_xx"))), needs=FULLY_CONNECTED),
    "slope": PointQuantity("max{|alpha|, |alpha_bar|} of the activation", _of(Letter("slope"))),
    "kappas": PointQuantity("prod_j kappa_j", _all_kappas),
    "pool": PointQuantity("R13's bound on the norms of the poolings; 1 without", _pool),
}
"""Quantities of a point, by name."""
LAYERS: dict[str, PointQuantity] = {
    "s": PointQuantity("||W_j||, spectral norm of a layer (kernels laid out flat)", _flat_norm),
    "F": PointQuantity("||W_j||_F", _of(frobenius(W(j)))),
    "A": PointQuantity(
        "norm of layer j as a linear map: ||W_j||, convolutional ||A_j(w_j)||",
        lambda model, layer: _node(_operator(model, j), model, layer),
    ),
    "kappa": PointQuantity("kappa_j of R13; 1 for fully connected networks", _kappa),
}
"""Quantities of a layer: `s_1`, `s_2`, ..."""


def _ladder() -> dict[str, PointQuantity]:
    """The right sides of R9, R12 and R13."""
    found = {}
    for result in LADDERS:
        for claim in result.claims:
            if claim.relation == ">=":
                meaning = f"the lower bound {result.id}{claim.label} on lambda_min"
                found[result.id + claim.label] = PointQuantity(meaning, _of(claim.right), True, True, TRAINED)
    return found


POINTS |= _ladder()


def _imbalances(model: Model) -> dict[str, Node]:
    label = "flow" if model.network.linear else "flow, each unit or channel"
    change = BALANCEDNESS.main.claim(label).left
    return {f"{IMBALANCE}{a}]": _node(change.x, model, a) for a in range(1, model.depth)}  # type: ignore[attr-defined]


def _balance(model: Model) -> Node:
    found = list(_imbalances(model).values())
    return power(add([(1, inner(x, x)) for x in found]), Fraction(1, 2)) if found else Const(Fraction(0), ())


def point_quantity(name: str) -> tuple[PointQuantity, int | None] | None:
    """The quantity of a name, and its layer where it has one; None where there is none."""
    if name in POINTS:
        return POINTS[name], None
    letter, _, layer = name.rpartition("_")
    if letter in LAYERS and layer.isdecimal() and int(layer) > 0:
        return LAYERS[letter], int(layer)
    return None


def off_kinks(names: Iterable[str]) -> bool:
    """Whether one of these quantities of a point means something only where theta is on no kink."""
    return any(name in POINTS and POINTS[name].smooth for name in names)


@kept
def _built(objective: Objective, name: str) -> Node:
    """The node of a quantity, kept by the objective: a counterexample is confirmed by several arithmetics."""
    found = point_quantity(name)
    assert found is not None
    quantity, layer = found
    model = Model(objective, True)
    return quantity.build(model) if layer is None else quantity.build(model, layer)


def missing(objective: Objective, names: Iterable[str]) -> str | None:
    """Why a loss does not have all of these quantities; None where it has."""
    model = Model(objective, True)
    for name in names:
        found = point_quantity(name)
        assert found is not None
        quantity, layer = found
        if layer is not None and layer > model.depth:
            return f"{name}: the network has {model.depth} layers"
        if name.startswith(tuple(result.id for result in LADDERS)) and name in POINTS:
            supposed = find(name.partition("(")[0]).hypotheses
            verdicts = [h.check(Setting(objective)) for h in supposed if h is not SMOOTH_REGION]
            failed = [v.reason for v in verdicts if v.status in ("fails", "unchecked")]
            if failed:
                return f"{name}: {failed[0]}"
        needed = quantity.needs.check(Setting(objective))
        if needed.status == "fails":
            return f"{name}: {needed.reason}"
        try:
            _built(objective, name)
        except (ProblemError, ValueError) as error:
            return f"{name}: {error}"
    return None


def at_point(names: Iterable[str], imbalance: bool, arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The quantities among the outputs of `point_program`, and all entries of D_1, D_2, ... where they were wanted."""
    found = {name: np.asarray(arrays[name], dtype=object)[()] for name in names}
    if imbalance:
        parts = [a.reshape(-1) for name, a in arrays.items() if name.startswith(IMBALANCE)]
        found[IMBALANCE] = np.concatenate(parts) if parts else np.array([], dtype=object)
    return found


def point_program(objective: Objective, names: Iterable[str], *, imbalance: bool, gates: bool) -> Program:
    """The quantities at a point.

    Args:
        objective: a network's training loss.
        names: of the quantities; they are the names of the outputs.
        imbalance: also D_1, D_2, ... as arrays.
        gates: also the pre-activations of all gates.
    """
    outputs = {name: _built(objective, name) for name in names}
    if imbalance:
        outputs |= _imbalances(Model(objective, True))
    if gates:
        outputs |= {f"{GATES}{p}]": gate.z for p, gate in enumerate(objective.gates)}
    return Program(objective.program.inputs, outputs)
