r"""Gradient descent on batches: the flow that epochs follow to order 1 (R29).

An epoch of m steps on the batches B_1, ..., B_m (gradients g_k, Hessians H_k; g and H their means) is

    theta - eta sum_k g_k + eta^2 sum_{j < k} H_k g_j + O(eta^3),

the flow after the time m eta of theta' = -g + eta F_1, F_1 = (1/m) sum_{j<k} H_k g_j - (m/2) H g. In the mean over the
orders of the batches F_1 = -(1/2m) sum_k H_k g_k, the gradient flow of f + (eta/4m) sum_k ||g_k||^2 (Smith et al.
2021). In the mean over all ways of cutting N samples into batches of b the sum becomes, with c = (N - b)/(b (N - 1)),
(1 - c) H g + (c/N) sum_i H_i g_i over samples; batches drawn with replacement have the mean -H g/2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

import sympy

from symflow.derivatives.derived import gradient_nodes
from symflow.dynamics.batches import Batches
from symflow.dynamics.method import Method
from symflow.dynamics.methods.gradient_descent import GradientDescent
from symflow.dynamics.modified.differentials import Vector, combined
from symflow.dynamics.modified.notation import number_latex
from symflow.errors import BudgetError, ProblemError
from symflow.networks.batches import SAMPLE, batch_loss, sample_count
from symflow.networks.objective import Objective
from symflow.programs.differentiate import jvp
from symflow.programs.nodes import Axis, Node, Table, add, gather, inner
from symflow.programs.program import transform

HALF = Fraction(1, 2)


@dataclass(frozen=True)
class EpochExpansion:
    """The expansion of gradient descent on batches, to order 0 or 1.

    Attributes:
        all_orders: whether batches that every epoch has are taken in all orders, in the mean.

    Raises:
        ProblemError: another method, or a weight decay.
        BudgetError: order 2 or more.
    """

    method: Method
    order: int
    all_orders: bool = False
    by_samples: ClassVar[bool] = True
    result: ClassVar[str] = "R29"

    def __post_init__(self) -> None:
        if not isinstance(self.method, GradientDescent) or self.method.weight_decay:
            raise ProblemError(
                "the modified equation on batches (R29) is that of gradient descent without weight decay, got "
                f"{self.method.called}; leave out the batches, or put (lambda/2) ||theta||^2 into the objective"
            )
        if self.order > 1:
            raise BudgetError(f"the modified equation on batches (R29) is known to order 1, got order {self.order}")

    @property
    def symbols(self) -> tuple[sympy.Symbol, ...]:
        """No setting of gradient descent is a symbol."""
        return ()

    @property
    def repeats(self) -> bool:
        """Whether every epoch has the same batches in the same order."""
        return self._batches.repeats

    @property
    def _batches(self) -> Batches:
        assert self.method.batches is not None
        return self.method.batches

    def vectors(self, objective: Objective) -> Sequence[Vector]:
        """F_0 and F_1."""
        if self._batches.repeats:
            mean, slopes = self._steps(objective)
            second = _all_orders(objective, slopes) if self.all_orders else _in_order(objective, mean, slopes)
            return [combined(objective, [(Fraction(-1), mean)]), second][: self.order + 1]
        g = gradient_nodes(objective)[0]
        share = self._share(objective)
        terms = [(-HALF * (1 - share), _along(g, g))] if self.order and share != 1 else []
        if self.order and share:
            count = sample_count(objective)
            terms += [(-HALF * share / count, _along(x, x)) for x in self._each(objective)]
        first = combined(objective, [(Fraction(-1), g)])
        return [first, combined(objective, terms)][: self.order + 1]

    def _steps(self, objective: Objective) -> tuple[Vector, list[Vector]]:
        """The gradients of the batches of an epoch, their mean first."""
        slopes = [_gradient(objective, b) for b in self._listed(objective)]
        return combined(objective, [(Fraction(1, len(slopes)), g) for g in slopes]), slopes

    def _listed(self, objective: Objective) -> Sequence[Sequence[int]]:
        """The samples of each batch of an epoch."""
        count = sample_count(objective)
        return self._batches.lists(count, self._batches.epoch(count))

    def _each(self, objective: Objective) -> list[Vector]:
        """The gradients of all samples."""
        return [_gradient(objective, (i,)) for i in range(sample_count(objective))]

    def _share(self, objective: Objective) -> Fraction:
        """c.

        Raises:
            ProblemError: shuffled batches that are not all of one size.
        """
        if self._batches.order == "with-replacement":
            return Fraction(0)
        count, size = sample_count(objective), self._batches.width
        if count % size:
            raise ProblemError(
                f"shuffled batches must have one size for the mean over orders (R29), got {count} samples in batches "
                f"of {size}; choose a size that divides {count}"
            )
        return Fraction(count - size, size * (count - 1)) if count > 1 else Fraction(0)

    def loss_nodes(self, objective: Objective) -> Sequence[Node]:
        """f and (1 - c)/4 ||g||^2 + (c/4N) sum_i ||g_i||^2; with the same batches every epoch (1/m) sum_k f_k for f.

        Raises:
            ProblemError: batches in a fixed order.
        """
        self._require_mean()
        if self._batches.repeats:
            _, slopes = self._steps(objective)
            numbers = [(Fraction(1, 4 * len(slopes)), inner(x, x)) for g in slopes for x in g.values()]
            return [_mean_loss(objective, self._listed(objective)), add(numbers)][: self.order + 1]
        share, count = self._share(objective), sample_count(objective)
        weighted: list[tuple[Fraction, Vector]] = [((1 - share) / 4, gradient_nodes(objective)[0])]
        if share:
            weighted += [(share / (4 * count), g) for g in self._each(objective)]
        numbers = [(c, inner(x, x)) for c, g in weighted for x in g.values()]
        return [objective.loss, add(numbers)][: self.order + 1]

    def loss_latex(self) -> Sequence[str]:
        """The terms of the modified loss."""
        self._require_mean()
        mean = r"\tfrac{1}{m}\sum_kf_k" if self._batches.repeats else "f"
        return [mean, self._mean_latex(r"\|g\|^2", r"\|g_i\|^2", Fraction(1, 4))][: self.order + 1]

    def _require_mean(self) -> None:
        if self.order and self._batches.repeats and not self.all_orders:
            raise ProblemError(
                "batches in a fixed order have no modified loss at order 1: F_1 depends on their order; ask for the "
                "mean over orders, equation.over_orders()"
            )

    def start_vectors(self, objective: Objective) -> Sequence[Vector]:
        """Nothing: the flow starts at theta_0."""
        return []

    def latex(self) -> str:
        """The equation."""
        lines = [r"\dot\theta = {}& -g"]
        if self.order and self._batches.repeats and not self.all_orders:
            lines.append(r"& {}+\eta\Bigl(\tfrac{1}{m}\sum_{j<k\le m}H_kg_j-\tfrac{m}{2}Hg\Bigr)")
        elif self.order:
            lines.append(rf"& {{}}+\eta\Bigl(-{self._mean_latex('Hg', 'H_ig_i', HALF)}\Bigr)")
        if self._batches.repeats:  # batches of several sizes: not the gradient of f
            lines.append(r"& g = \tfrac{1}{m}\sum_kg_k, \quad H = \nabla g")
        return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"

    def _mean_latex(self, whole: str, sample: str, factor: Fraction) -> str:
        """factor ((1 - c) whole + (c/N) sum_i sample)."""
        number = number_latex(factor)
        if self.all_orders:
            return rf"{number}\cdot\tfrac{{1}}{{m}}\sum_k{sample.replace('i', 'k')}"
        if self._batches.order == "with-replacement":
            return f"{number}{whole}"
        if self._batches.width == 1:
            return rf"{number}\cdot\tfrac{{1}}{{N}}\sum_i{sample}"
        b = self._batches.width
        share = rf"\tfrac{{N-{b}}}{{{b}(N-1)}}"
        return rf"{number}\bigl((1-{share}){whole}+{share}\cdot\tfrac{{1}}{{N}}\sum_i{sample}\bigr)"

    def start_latex(self) -> str:
        """The start: theta_0."""
        return r"\theta(0) = \theta_0"


def _in_order(objective: Objective, mean: Vector, slopes: Sequence[Vector]) -> Vector:
    """F_1 of batches in their own order."""
    found = []
    for k, g in enumerate(slopes):
        before = [(Fraction(1, len(slopes)), x) for x in slopes[:k]]
        found.append((Fraction(1), _along(g, combined(objective, [*before, (-HALF, mean)]))))
    return combined(objective, found)


def _all_orders(objective: Objective, slopes: Sequence[Vector]) -> Vector:
    """F_1 in the mean over the orders of the batches."""
    return combined(objective, [(-HALF / len(slopes), _along(g, g)) for g in slopes])


def _gradient(objective: Objective, batch: Sequence[int]) -> Vector:
    """The gradient of the mean over some samples, as a function of the data of all."""
    g = gradient_nodes(batch_loss(objective, len(batch)).objective)[0]
    new = _of_samples(objective, batch, list(g.values()))
    return {w: new[x] for w, x in g.items()}


def _mean_loss(objective: Objective, batches: Sequence[Sequence[int]]) -> Node:
    """The mean of the losses over each of some batches: f, if all have one size and take all samples."""
    losses = [batch_loss(objective, len(b)).objective.loss for b in batches]
    new = [_of_samples(objective, b, [x])[x] for b, x in zip(batches, losses, strict=True)]
    return add([(Fraction(1, len(new)), x) for x in new])


def _of_samples(objective: Objective, batch: Sequence[int], nodes: Sequence[Node]) -> Mapping[Node, Node]:
    """Nodes of the objective of a batch with its samples taken from the data, and the gates, of all."""
    part = batch_loss(objective, len(batch))
    own, sample = Axis(SAMPLE, len(batch)), Axis(SAMPLE, sample_count(objective))
    table = Table(sample, (own,), tuple(batch))
    whole = {x.name: x for x in objective.data}
    values: dict[Node, Node] = {x: gather(whole[x.name], table, len(x.axes) - 1) for x in part.data if x.axes}
    # The flow knows the kinks of f: a batch reads the gates of its samples from those of all.
    values |= {x: gather(y, table, len(y.axes) - 1) for x, y in zip(part.objective.gates, objective.gates, strict=True)}
    return transform(nodes, lambda x, _: values.get(x))


def _along(g: Vector, direction: Vector) -> Vector:
    """The derivative of a vector along a direction, such as H_k g_j."""
    dot = jvp(g.values(), dict[Node, Node](direction.items()))
    return {w: dot[x] for w, x in g.items()}
