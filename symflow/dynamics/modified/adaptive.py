r"""The modified equations of RMSProp and Adam to order 1 (R28), entry by entry: not elementary differentials.

    theta' = -(1/R) [g + (eta/2) (a - b + b epsilon/R^2) grad sum_i sqrt(g_i^2 + epsilon)],    R = sqrt(g^2 + epsilon),

with a = (1 + beta)/(1 - beta), b = (1 + rho)/(1 - rho), once the means have forgotten their start.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar, NoReturn

import sympy

from symflow.derivatives.derived import gradient_nodes
from symflow.dynamics.methods.adam import Adam
from symflow.dynamics.methods.rmsprop import RMSProp
from symflow.dynamics.modified.differentials import Vector
from symflow.dynamics.modified.notation import number_latex, signed
from symflow.errors import BudgetError, ProblemError
from symflow.networks.objective import Objective
from symflow.programs.differentiate import jvp
from symflow.programs.nodes import Const, Node, add, hadamard, power


@dataclass(frozen=True)
class AdaptiveExpansion:
    """RMSProp or Adam with epsilon inside the root, to order 0 or 1.

    Weight decay: coupled, g and H are those of f + (lambda/2) ||theta||^2; decoupled, F_0 = u = -g/R - lambda theta and
    F_1 = (1/2R) (a - b + b epsilon/R^2) H u + (lambda/2) u, which for lambda = 0 is the form above.

    Raises:
        ProblemError: epsilon outside the root.
        BudgetError: order 2 or more.
    """

    method: Adam | RMSProp
    order: int
    by_samples: ClassVar[bool] = False
    result: ClassVar[str] = "R28"

    def __post_init__(self) -> None:
        if not self.method.epsilon_inside:
            raise ProblemError(
                f"the modified equation of {self.method.name} (R28) has epsilon inside the root; make the method with "
                "epsilon_inside=True"
            )
        if self.order > 1:
            raise BudgetError(
                f"the modified equation of {self.method.name} (R28) is known to order 1, got order {self.order}"
            )

    @property
    def symbols(self) -> tuple[sympy.Symbol, ...]:
        """The settings that are symbols."""
        return self.method.symbols

    @property
    def factors(self) -> tuple[Fraction, Fraction]:
        """a - b and b."""
        beta, rho = getattr(self.method, "momentum", Fraction(0)), self.method.decay
        b = (1 + rho) / (1 - rho)
        return (1 + beta) / (1 - beta) - b, b

    def vectors(self, objective: Objective) -> Sequence[Vector]:
        """F_0 and F_1."""
        decay, decoupled, epsilon = self.method.weight_decay, self.method.decoupled, self.method.epsilon
        coupled = Fraction(0) if decoupled else decay
        plain = gradient_nodes(objective)[0]
        g = {w: add([(1, x), (coupled, w)]) for w, x in plain.items()}
        inverse = {w: power(add([(1, hadamard(x, x)), (1, Const(epsilon, x.axes))]), Fraction(-1, 2))
                   for w, x in g.items()}  # fmt: skip
        first = {w: add([(-1, hadamard(x, inverse[w])), (-decay if decoupled else 0, w)]) for w, x in g.items()}
        if not self.order:
            return [first]
        dot = jvp(plain.values(), dict[Node, Node](first.items()))
        constant, weight = self.factors
        second = {}
        for w, u in first.items():
            curved = add([(1, dot[plain[w]]), (coupled, u)])
            r = inverse[w]
            lag = add([(constant, r), (weight * epsilon, hadamard(r, hadamard(r, r)))])
            second[w] = add([(Fraction(1, 2), hadamard(lag, curved)), (decay / 2 if decoupled else 0, u)])
        return [first, second]

    def start_vectors(self, objective: Objective) -> Sequence[Vector]:
        """Nothing: with bias correction descent is on its way from the first step up to terms of order eta^2.

        Raises:
            ProblemError: without bias correction.
        """
        self._require_start()
        return []

    def latex(self) -> str:
        """The equation with its numbers, entry by entry."""
        constant, weight = (number_latex(c) for c in self.factors)
        decay, coupled = self.method.weight_decay, not self.method.decoupled
        lines = [r"\dot\theta = {}& u"]
        if self.order:
            lag = rf"\Bigl({constant}+{weight}\frac{{\varepsilon}}{{R^2}}\Bigr)\frac{{1}}{{2R}}\,Hu"
            own = signed(decay / 2, "u") if decay and not coupled else ""
            lines.append(rf"& {{}}+\eta\Bigl({lag}{own}\Bigr)")
        shrinking = signed(-decay, r"\theta") if decay and not coupled else ""
        lines.append(rf"& u = -\frac{{g}}{{R}}{shrinking}")
        lines.append(rf"& R = \sqrt{{g^2+\varepsilon}}, \quad \varepsilon = {number_latex(self.method.epsilon)}")
        if decay and coupled:
            lines.append(r"& g = \nabla f" + signed(decay, r"\theta") + r", \quad H = \nabla g")
        return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"

    def start_latex(self) -> str:
        """The start: theta_0."""
        self._require_start()
        return r"\theta(0) = \theta_0"

    def _require_start(self) -> None:
        if not getattr(self.method, "bias_correction", False):
            raise ProblemError(
                f"the start of the flow is not known for {self.method.name} without bias correction; start it from an "
                "iterate after the means have forgotten their start"
            )

    def loss_nodes(self, objective: Objective) -> Sequence[Node]:
        """None: F_0 = -g/R is not a gradient."""
        return self.loss_latex()

    def loss_latex(self) -> NoReturn:
        """None: F_0 = -g/R is not a gradient.

        Raises:
            ProblemError: always.
        """
        raise ProblemError(
            f"{self.method.name} has no modified loss: g/sqrt(g^2 + epsilon), entry by entry, is not a gradient in "
            "general; read the terms of the equation instead"
        )
