"""The modified equation of a method on an objective: programs, a vector field, the start, formulas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from symflow.caching import kept
from symflow.derivatives.derived import MAX_OPERATIONS, Derived
from symflow.displays import show
from symflow.dynamics.method import Method
from symflow.dynamics.methods.gradient_descent import GradientDescent
from symflow.dynamics.modified.coefficients import Number, Terms, start_terms, symbols, terms
from symflow.dynamics.modified.differentials import Differentials
from symflow.dynamics.modified.notation import equation_latex, start_latex
from symflow.dynamics.modified.trees import Tree
from symflow.dynamics.vector_field import VectorField
from symflow.errors import BudgetError, ProblemError
from symflow.networks.moments import compact
from symflow.networks.objective import Objective, require_objective
from symflow.numbers.arguments import whole
from symflow.numbers.rational import rational
from symflow.programs.nodes import Node, add
from symflow.programs.program import Program, topological

RESULTS: Mapping[str, str] = {}
"""The results on methods by name; R17 for all others."""


@dataclass(frozen=True, eq=False)
class ModifiedEquation:
    """theta' = sum_{i <= order} eta^i F_i(theta), which descent solves up to O(eta^(order+2)) in every step.

    Of a method that carries a velocity this is its motion once the velocity follows theta; `start` is where the flow
    must start for descent from rest.

    Attributes:
        objective: f.
        method: whose recursion it derives from.
        coefficients: F_0, ..., F_order as coefficients of elementary differentials, by rooted trees
            (`symflow.dynamics.modified.trees`): rational numbers, or rational functions of the settings that are
            symbols.

    Example:
        >>> import sympy
        >>> x = sympy.Symbol("x")
        >>> equation = sf.modified_equation(sf.expression_objective(x**2 / 2, [x]), order=4)
        >>> [term.explicit()[0] for term in equation.terms]  # of x' = x log(1 - eta)/eta
        [-x, -x/2, -x/3, -x/4, -x/5]
        >>> equation.citation.id
        'R17'
    """

    objective: Objective
    method: Method
    coefficients: Terms

    @property
    def order(self) -> int:
        """The highest power of eta."""
        return len(self.coefficients) - 1

    @property
    def result(self) -> str:
        """The id of the result that it states."""
        return RESULTS.get(self.method.name, "R17")

    @property
    def terms(self) -> tuple[Derived, ...]:
        """F_0, ..., F_order, each a vector program of theta with P entries.

        Raises:
            ProblemError: a setting of the method is a symbol.
            BudgetError: a term has more than `symflow.derivatives.derived.MAX_OPERATIONS` operations.
        """
        self._require_numbers()
        return _programs(self.objective, self.coefficients_key, "term F_{} of the modified equation")

    @property
    def coefficients_key(self) -> tuple[tuple[tuple[Tree, Number], ...], ...]:
        """The coefficients in a form that can be compared."""
        return tuple(tuple(term.items()) for term in self.coefficients)

    @property
    def citation(self) -> Any:
        """Where the result comes from: a `Citation`."""
        return show(self, "citation")

    def field(self, step_size: Any) -> VectorField:
        """The vector field at one step size, for `sf.solve_field`.

        Args:
            step_size: eta (text, a rational number, or a float, which means its shortest decimal).

        Returns:
            A `VectorField` whose state is theta.

        Raises:
            ProblemError: a step size that is not a number, or a setting of the method is a symbol.
        """
        self._require_numbers()
        eta, form = rational(step_size, "step_size"), compact(self.objective)
        outputs = _sum(form, self.coefficients, eta, 0)
        return VectorField(Program(form.program.inputs, outputs), form.parameters, form, given=self.objective)

    def start(self, step_size: Any) -> Derived:
        """Where the flow starts for descent that begins at rest at theta_0: theta_0 + eta S_1 + ... up to eta^order.

        With it the flow stays within O(eta^(order+1)) of descent, once the velocity has forgotten its start. From
        theta_0 itself the error is of order eta at every order. Gradient descent starts at theta_0.

        Args:
            step_size: eta, as in `field`.

        Returns:
            A vector program of theta_0, for `sf.evaluate_exact` and `sf.evaluate_mpmath`.

        Raises:
            ProblemError: see `field`.

        Example:
            >>> import sympy
            >>> x = sympy.Symbol("x")
            >>> objective = sf.expression_objective(x**2 / 2, [x])
            >>> equation = sf.modified_equation(objective, order=1, method=sf.HeavyBall("1/2"))
            >>> equation.start("1/10").explicit()[0]  # x + eta beta/(1 - beta)^2 x
            6*x/5
        """
        self._require_numbers()
        eta, form = rational(step_size, "step_size"), compact(self.objective)
        moved = _sum(form, self.start_coefficients, eta, 1)
        outputs = {
            f"start_{w.name}": add([(1, w), (1, x)]) for w, x in zip(form.parameters, moved.values(), strict=True)
        }
        return Derived("start of the modified equation", form, Program(form.program.inputs, outputs), "vector", (),
                       self.result)  # fmt: skip

    @property
    def start_coefficients(self) -> Terms:
        """S_1, ..., S_order, as `coefficients`."""
        return start_terms(self.method, self.order)

    def latex(self) -> str:
        """The equation in derivatives of f, as an ``aligned`` environment: a line or more for each power of eta."""
        return equation_latex(self.coefficients)

    def start_latex(self) -> str:
        """The start in derivatives of f at theta_0, as an ``aligned`` environment."""
        return start_latex(self.start_coefficients)

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex()}$"

    def __repr__(self) -> str:
        return f"<modified equation ({self.result}) of {self.method!r}, order {self.order}>"

    def _require_numbers(self) -> None:
        if names := symbols(self.method):
            raise ProblemError(
                f"this needs a number for {names[0]}, which is a symbol in {self.method!r}; only formulas take symbols"
            )


def modified_equation(objective: Objective, order: int, method: Method | None = None) -> ModifiedEquation:
    r"""theta' = F_0 + eta F_1 + eta^2 F_2 + ..., the modified equation of a method, derived from its recursion.

    For gradient descent -g - (eta/2) H g - eta^2 (H^2 g/3 + T[g,g]/12) - ..., g = grad f, H = grad^2 f, T = grad^3 f.
    Its solution from theta_k is at theta_{k+1} + O(eta^(order+2)) after the time eta. Order 1 is the gradient flow of
    f + (eta/4) ||g||^2; from order 2 on no modified loss exists in general.

    A method that carries a velocity follows it on its slow manifold, where the velocity is a function of theta; time is
    t = k eta.

    Args:
        objective: f; with gates, the equation holds inside a smooth region.
        order: the highest power of eta.
        method: whose; gradient descent if left out. A momentum may be a SymPy symbol, for formulas.

    Returns:
        A `ModifiedEquation`: `terms` are F_0, ..., F_order, each a `Derived` vector of shape (P,); `field(step_size)`
        is its vector field for `solve_field`; `start(step_size)` is where the flow of descent from rest starts.

    Raises:
        ProblemError: another order, or a method whose equation is not known.
        BudgetError: the order is above the highest that is derived (7; 6 with symbols), or a term has more than
            `symflow.derivatives.derived.MAX_OPERATIONS` operations.

    Source: Barrett & Dherin 2021 (order 1), Hairer, Lubich & Wanner 2006 (R17); Kovachki & Stuart 2021, Ghosh et al.
    2023, Cattaneo & Shigida 2025 (R25, R26).

    Example:
        >>> import sympy
        >>> x = sympy.Symbol("x")
        >>> equation = sf.modified_equation(sf.expression_objective(x**4 / 4, [x]), order=2)
        >>> [term.explicit()[0] for term in equation.terms]
        [-x**3, -3*x**5/2, -7*x**7/2]
        >>> print(equation.latex())
        \begin{aligned}
        \dot\theta = {}& -g \\
        & {}+\eta\Bigl(-\tfrac{1}{2}Hg\Bigr) \\
        & {}+\eta^2\Bigl(-\tfrac{1}{3}H^2g-\tfrac{1}{12}T[g,g]\Bigr)
        \end{aligned}
        >>> print(sf.modified_equation(equation.objective, order=1, method=sf.HeavyBall("1/2")).latex())
        \begin{aligned}
        \dot\theta = {}& -2g \\
        & {}+\eta\Bigl(-6Hg\Bigr)
        \end{aligned}
    """
    require_objective(objective)
    method = GradientDescent() if method is None else method
    if not isinstance(method, Method):
        raise ProblemError(f"method must be a Method such as sf.HeavyBall('9/10'), got {method!r}")
    found = ModifiedEquation(objective, method, terms(method, whole(order, "order", 0)))
    if not symbols(method):
        _ = found.terms  # refuses what is over the budget
    return found


def _sum(form: Objective, series: Sequence[Mapping[Tree, Number]], eta: Fraction, lowest: int) -> dict[str, Node]:
    """sum_i eta^i (series i)(theta), by the names of the parameters."""
    differentials = Differentials(form)
    weighted = [(eta**i * c, differentials(t)) for i, term in enumerate(series, lowest) for t, c in term.items()]
    return {w.name: add([(0, w), *((c, x[w]) for c, x in weighted)]) for w in form.parameters}


@kept
def _programs(
    objective: Objective, series: tuple[tuple[tuple[Tree, Number], ...], ...], kind: str
) -> tuple[Derived, ...]:
    """One vector program for each series."""
    differentials = Differentials(objective)
    return tuple(_program(objective, differentials, i, dict(term), kind) for i, term in enumerate(series))


def _program(objective: Objective, found: Differentials, i: int, term: Mapping[Tree, Number], kind: str) -> Derived:
    weighted = [(c, found(t)) for t, c in term.items()]
    outputs = {f"F_{w.name}": add([(0, w), *((c, x[w]) for c, x in weighted)]) for w in objective.parameters}
    length = len(topological(outputs.values()))
    if length > MAX_OPERATIONS:
        raise BudgetError(
            f"F_{i} of the modified equation has {length} operations, over the budget of {MAX_OPERATIONS}; ask for a "
            "lower order or a shallower network"
        )
    return Derived(kind.format(i), objective, Program(objective.program.inputs, outputs), "vector", (), "R17")
