"""The modified equation of a method on an objective: programs, a vector field, the start, formulas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from symflow.caching import Keeper, kept
from symflow.derivatives.derived import MAX_OPERATIONS, Derived
from symflow.displays import as_formula, show
from symflow.dynamics.method import Method
from symflow.dynamics.methods.adam import Adam
from symflow.dynamics.methods.gradient_descent import GradientDescent
from symflow.dynamics.methods.rmsprop import RMSProp
from symflow.dynamics.methods.runge_kutta import RungeKutta
from symflow.dynamics.modified.adaptive import AdaptiveExpansion
from symflow.dynamics.modified.coefficients import Terms
from symflow.dynamics.modified.curl import Curl, curl
from symflow.dynamics.modified.differentials import Vector, combined
from symflow.dynamics.modified.epoch import EpochExpansion
from symflow.dynamics.modified.expansion import Expansion, TreeExpansion
from symflow.dynamics.modified.modified_loss import ModifiedLoss
from symflow.dynamics.vector_field import VectorField
from symflow.errors import BudgetError, ProblemError, brief
from symflow.networks.compact import compact
from symflow.networks.objective import Objective, require_objective
from symflow.numbers.arguments import whole
from symflow.numbers.rational import rational
from symflow.programs.program import Program, topological


@as_formula
@dataclass(frozen=True, eq=False)
class ModifiedEquation(Keeper):
    """theta' = sum_{i <= order} eta^i F_i(theta), which descent solves up to O(eta^(order+2)) in every step.

    Of a method that carries a velocity this is its motion once the velocity follows theta; `start` is where the flow
    must start for descent from rest.

    Attributes:
        objective: f.
        method: whose recursion it derives from.
        expansion: F_0, ..., F_order for any objective.

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
    method: Method | RungeKutta
    expansion: Expansion

    @property
    def order(self) -> int:
        """The highest power of eta."""
        return self.expansion.order

    @property
    def result(self) -> str:
        """The id of the result that it states."""
        return self.expansion.result

    @property
    def coefficients(self) -> Terms:
        """F_0, ..., F_order as coefficients of elementary differentials, by rooted trees.

        Trees are those of `symflow.dynamics.modified.trees`. The coefficients are rational numbers, or rational
        functions of the settings that are symbols.

        Raises:
            ProblemError: RMSProp, Adam, and descent on batches have no such series.
        """
        if not isinstance(self.expansion, TreeExpansion):
            raise ProblemError(f"the modified equation of {self.method!r} is not a sum of elementary differentials")
        return self.expansion.coefficients

    @property
    def terms(self) -> tuple[Derived, ...]:
        """F_0, ..., F_order, each a vector program of theta with P entries.

        Raises:
            ProblemError: a setting of the method is a symbol.
            BudgetError: a term has more than `symflow.derivatives.derived.MAX_OPERATIONS` operations.
        """
        return _terms(self)

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
        eta, form = rational(step_size, "step_size"), self._form()
        outputs = _powers(form, eta, self.expansion.vectors(form), 0)
        program = Program(form.program.inputs, {w.name: x for w, x in outputs.items()})
        return VectorField(program, form.parameters, form, given=self.objective)

    def start(self, step_size: Any) -> Derived:
        """Where the flow starts for descent that begins at rest at theta_0: theta_0 + eta S_1 + ... up to eta^order.

        With it the flow stays within O(eta^(order+1)) of descent, once the velocity has forgotten its start. From
        theta_0 itself the error is of order eta at every order. Gradient descent starts at theta_0.

        Args:
            step_size: eta, as in `field`.

        Returns:
            A vector program of theta_0, for `sf.evaluate_exact` and `sf.evaluate_mpmath`.

        Raises:
            ProblemError: see `field`; or a method whose start is not known.

        Example:
            >>> import sympy
            >>> x = sympy.Symbol("x")
            >>> objective = sf.expression_objective(x**2 / 2, [x])
            >>> equation = sf.modified_equation(objective, order=1, method=sf.HeavyBall("1/2"))
            >>> equation.start("1/10").explicit()[0]  # x + eta beta/(1 - beta)^2 x
            6*x/5
        """
        eta, form = rational(step_size, "step_size"), self._form()
        moved = _powers(form, eta, self.expansion.start_vectors(form), 1)
        there = combined(form, [(Fraction(1), {w: w for w in form.parameters}), (Fraction(1), moved)])
        return _derived("start of the flow", form, there, self.result)

    def over_orders(self) -> ModifiedEquation:
        """The equation of epochs in the mean over all orders of their batches (R29), of which `epoch_orders` runs all.

        Returns:
            The same equation with F_1 = -(1/2m) sum_k H_k g_k, the gradient flow of
            (1/m) sum_k f_k + (eta/4m) sum_k ||grad f_k||^2; the former is f if the batches have one size.

        Raises:
            ProblemError: a method without batches, or batches that are drawn, which are in the mean already.

        Example:
            >>> problem = sf.Problem(network=sf.FullyConnected((1, 1)), data={"x": [1, 2], "y": [1, 0]},
            ...                      init={"theta": [1]})
            >>> method = sf.GradientDescent(batches=sf.Batches(1))
            >>> print(sf.modified_equation(problem.objective, order=1, method=method).over_orders().loss().latex())
            \\tfrac{1}{m}\\sum_kf_k+\\eta\\Bigl(\\tfrac{1}{4}\\cdot\\tfrac{1}{m}\\sum_k\\|g_k\\|^2\\Bigr)
        """
        if not isinstance(self.expansion, EpochExpansion) or not self.expansion.repeats:
            raise ProblemError(
                f"the mean over orders is of batches that every epoch has, cyclic or listed, got {brief(self.method)}"
            )
        return replace(self, expansion=replace(self.expansion, all_orders=True))

    def loss(self) -> ModifiedLoss:
        """The modified loss, of which the equation is the gradient flow: f/nu + eta (...) ||g||^2 + ....

        Raises:
            ProblemError: a term is not the gradient of a function for every f; the message names its power of eta, and
                `curl` is what forbids it. Or no series of elementary differentials.

        Example:
            >>> import sympy
            >>> x, y = sympy.symbols("x y")
            >>> objective = sf.expression_objective(x**2 * y / 2 + x, [x, y])
            >>> loss = sf.modified_equation(objective, order=1, method=sf.HeavyBall("1/2")).loss()
            >>> print(loss.latex())
            2f+\\eta\\Bigl(3\\|g\\|^2\\Bigr)
            >>> loss.function("1/10").explicit()
            3*x**4/40 + x**2*y + 2*x + 3*(x*y + 1)**2/10
        """
        found = self.expansion
        nodes = () if found.symbols else found.loss_nodes(self.objective)
        return ModifiedLoss(self.objective, found.loss_latex(), nodes)

    def curl(self, order: int) -> Curl:
        """J(F_i) - J(F_i)^T, the antisymmetric part of the Jacobian of the term of eta^i; 0 where F_i is a gradient.

        Args:
            order: i.

        Raises:
            ProblemError: another order, or no series of elementary differentials.

        Example:
            >>> import sympy
            >>> x = sympy.Symbol("x")
            >>> equation = sf.modified_equation(sf.expression_objective(x**4, [x]), order=2)
            >>> print(equation.curl(2).latex(), equation.curl(1).latex())
            -\\tfrac{1}{6}[H,T[g]] 0
        """
        i = whole(order, "order", 0, self.order)
        return Curl(self.objective, i, curl(self.coefficients[i]))

    def latex(self) -> str:
        """The equation in derivatives of f, as an ``aligned`` environment: a line or more for each power of eta."""
        return self.expansion.latex()

    def start_latex(self) -> str:
        """The start in derivatives of f at theta_0, as an ``aligned`` environment."""
        return self.expansion.start_latex()

    def __repr__(self) -> str:
        return f"<modified equation ({self.result}) of order {self.order}: {brief(self.method)}>"

    def require_numbers(self) -> None:
        """Refuses settings that are symbols.

        Raises:
            ProblemError: there are such.
        """
        if isinstance(self.method, Method):
            self.method.require_numbers()

    def _form(self) -> Objective:
        """The objective in the form that is cheapest to evaluate."""
        self.require_numbers()
        return self.objective if self.expansion.by_samples else compact(self.objective)


def modified_equation(objective: Objective, order: int, method: Method | RungeKutta | None = None) -> ModifiedEquation:
    r"""theta' = F_0 + eta F_1 + eta^2 F_2 + ..., the modified equation of a method, derived from its recursion.

    For gradient descent -g - (eta/2) H g - eta^2 (H^2 g/3 + T[g,g]/12) - ..., g = grad f, H = grad^2 f, T = grad^3 f.
    Its solution from theta_k is at theta_{k+1} + O(eta^(order+2)) after the time eta. Order 1 is the gradient flow of
    f + (eta/4) ||g||^2; from order 2 on no modified loss exists in general.

    A method that carries a velocity follows it on its slow manifold, where the velocity is a function of theta; time is
    t = k eta. Of RMSProp and Adam (epsilon inside the root) orders 0 and 1 are known (R28), once their means have
    forgotten their start. Gradient descent on batches has orders 0 and 1 as well: of the epochs as they are, or in the
    mean over what is drawn (R29).

    Args:
        objective: f; with gates, the equation holds inside a smooth region.
        order: the highest power of eta.
        method: whose; gradient descent if left out. A momentum may be a SymPy symbol, for formulas.

    Returns:
        A `ModifiedEquation`: `terms` are F_0, ..., F_order, each a `Derived` vector of shape (P,); `field(step_size)`
        is its vector field for `solve_field`; `start(step_size)` is where the flow of descent from rest starts.

    Raises:
        ProblemError: another order, or a method whose equation is not known.
        BudgetError: the order is above the highest that is derived (9; 6 with symbols), or a term has more than
            `symflow.derivatives.derived.MAX_OPERATIONS` operations.

    Source: Barrett & Dherin 2021 (order 1), Hairer, Lubich & Wanner 2006 (R17); Kovachki & Stuart 2021, Ghosh et al.
    2023, Cattaneo & Shigida 2025 (R25, R26); Cattaneo, Klusowski & Shigida 2024 (R28); Smith et al. 2021 (R29).

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
        >>> beta = sympy.Symbol("beta")
        >>> print(sf.modified_equation(equation.objective, order=1, method=sf.HeavyBall(beta)).latex())
        \begin{aligned}
        \dot\theta = {}& -\frac{1}{1-\beta}g \\
        & {}+\eta\Bigl(-\frac{1+\beta}{2(1-\beta)^{3}}Hg\Bigr)
        \end{aligned}
    """
    require_objective(objective)
    method = GradientDescent() if method is None else method
    found = ModifiedEquation(objective, method, _expansion(method, whole(order, "order", 0)))
    if not found.expansion.symbols:
        _ = found.terms  # refuses what is over the budget
    return found


def _expansion(method: Method | RungeKutta, order: int) -> Expansion:
    if not isinstance(method, Method | RungeKutta):
        raise ProblemError(f"method must be a Method such as sf.HeavyBall('9/10'), got {brief(method)}")
    if isinstance(method, Method) and method.batches is not None:
        return EpochExpansion(method, order)
    if isinstance(method, Adam | RMSProp):
        return AdaptiveExpansion(method, order)
    found = TreeExpansion(method, order)
    _ = found.coefficients  # refuses methods and orders
    return found


@kept
def _terms(equation: ModifiedEquation) -> tuple[Derived, ...]:
    equation.require_numbers()
    vectors = equation.expansion.vectors(equation.objective)
    return tuple(
        _derived(f"term F_{i} of the modified equation", equation.objective, vector, equation.result, f"F_{i}")
        for i, vector in enumerate(vectors)
    )


def _derived(kind: str, objective: Objective, vector: Vector, result: str, name: str = "start") -> Derived:
    outputs = {f"{name[0]}_{w.name}": x for w, x in vector.items()}
    length = len(topological(outputs.values()))
    if length > MAX_OPERATIONS:
        raise BudgetError(
            f"{name} of the modified equation has {length} operations, over the budget of {MAX_OPERATIONS}; ask for a "
            "lower order or a shallower network"
        )
    return Derived(kind, objective, Program(objective.program.inputs, outputs), "vector", (), result)


def _powers(objective: Objective, eta: Fraction, vectors: Sequence[Vector], lowest: int) -> Vector:
    """sum_i eta^i v_i."""
    return combined(objective, [(eta**i, v) for i, v in enumerate(vectors, lowest)])
