r"""The gradient of phi, where f = phi(W_{n:1}) is a linear network's loss in moment form."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from itertools import count

from symflow.latex.contractions import Contraction, Form, atom, canonical, placed
from symflow.latex.expansion import Expansion
from symflow.networks.objective import Objective
from symflow.programs.nodes import Input, Node, inner, matmul


@dataclass(frozen=True)
class PhiGradient:
    """Completes grad phi = a W_{n:1} Sigma_xx + b Lambda_yx in forms.

    Attributes:
        symbol: stands for grad phi.
        cross: Lambda_yx.
        linear: W_{n:1} Sigma_xx.
        a: the coefficient of `linear`, not zero.
        b: the coefficient of `cross`, not zero.
    """

    symbol: Input
    cross: Input
    linear: Contraction
    a: Fraction
    b: Fraction

    @property
    def definition(self) -> Form:
        """The form of grad phi."""
        return {self.linear: self.a, atom(self.cross): self.b}

    def complete(self, form: Form) -> Form:
        """Replaces pairs of terms that differ by (W_{n:1} Sigma_xx against Lambda_yx) in the right proportion."""
        form = dict(form)
        for k in list(form):
            at = next((n for n, (x, _) in enumerate(k.factors) if x is self.cross), None)
            if at is None or k not in form:
                continue
            rest, used = k.factors[:at] + k.factors[at + 1 :], k.factors[at][1]
            out = tuple(range(k.rank))
            fresh = count(1 + max(i for _, labels in k.factors for i in labels))
            partner = canonical([*rest, *placed(self.linear, used, fresh)], out, k.axes)
            if form.get(partner, Fraction(0)) * self.b == form[k] * self.a:
                merged = canonical([*rest, (self.symbol, used)], out, k.axes)
                c = form.pop(k) / self.b + form.pop(merged, Fraction(0))
                form = dict((merged, c) if key == partner else (key, v) for key, v in form.items())
        return form


def phi_gradient(objective: Objective) -> PhiGradient | None:
    """The gradient of phi for an objective in moment form, else None."""
    named = {x.name: x for x in objective.program.inputs}
    if objective.network is None or "Sigma_xx" not in named or "Lambda_yx" not in named:
        return None
    second, cross = named["Sigma_xx"], named["Lambda_yx"]
    expand = Expansion((), {}, spread=cross)

    def contraction(x: Node) -> Contraction:
        (only,) = expand.definition(x)
        return only

    weights: tuple[Node, ...] = objective.parameters[::-1]
    end_to_end = reduce(matmul, weights)
    loss = expand.definition(objective.loss)
    # phi(M) = a/2 <M Sigma_xx, M> + b <M, Lambda_yx> + constant.
    a = 2 * loss.get(contraction(inner(matmul(end_to_end, second), end_to_end)), Fraction(0))
    b = loss.get(contraction(inner(end_to_end, cross)), Fraction(0))
    if not a or not b:
        return None
    symbol = Input("gradient_phi", cross.axes, "data", r"\nabla\varphi")
    return PhiGradient(symbol, cross, contraction(matmul(end_to_end, second)), a, b)
