"""A bound: what it assumes, its formula, where it comes from, and its evaluation along a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import sympy

from symflow.analysis.bounds.context import Comparison
from symflow.analysis.bounds.series import BoundSeries, Kind, not_applicable, without_nan
from symflow.displays import as_formula
from symflow.errors import ProblemError, brief
from symflow.theory.hypotheses import Hypothesis, Setting
from symflow.theory.registry import cite
from symflow.theory.result import Citation
from symflow.theory.statement import Statement


@as_formula
@dataclass(frozen=True, eq=False)
class Bound:
    r"""||theta_k - theta(k eta)|| <= bound, or lambda_min(H(theta(t))) >= bound: a formula and its evaluation.

    Attributes:
        name: its name in tables, such as "R4(tube)".
        result: the id of the result it is a form of, such as "R4"; None for a bound of your own.
        kind: "bound" (above the deviation), "leading order", "curvature" (below the smallest Hessian eigenvalue).
        title: what it says, in a few words.
        formula: a SymPy expression or relation, or a `Statement` with symbolic depth.
        hypotheses: what it assumes of a problem; what it assumes of the tube is checked by the evaluation.
        compute: evaluates it along a run whose problem satisfies the hypotheses.
        needs_descent: whether it needs the run of descent; the others are known before it is made.
        ends_at: the first kink of the flow past which it never applies, whatever the step size: "any", "concave" (whose
            jump parts trajectories), or "none", where that is not known.

    Example:
        >>> r9 = next(bound for bound in sf.known_bounds() if bound.name == "R9(a)")
        >>> r9.kind, r9.citation.id, [hypothesis.text for hypothesis in r9.hypotheses]
        ('curvature', 'R9', ['a deep linear network', 'a convex loss'])
        >>> print(r9.latex())
        \begin{aligned}
        \lambda_{\min}(H) &\ge -(n - 1) \|\nabla\varphi\|_F \max_{|J|=n-2} \prod_{l \in J} s_{l} \\
        & \text{where } f(\theta) = \varphi(W_{n:1}) \\
        & \phantom{\text{where }} s_{l} = \|W_{l}\|
        \end{aligned}
    """

    name: str
    result: str | None
    kind: Kind
    title: str
    formula: sympy.Basic | Statement
    hypotheses: tuple[Hypothesis, ...]
    compute: Callable[[Comparison], BoundSeries]
    needs_descent: bool = False
    ends_at: Literal["any", "concave", "none"] = "none"

    @property
    def citation(self) -> Citation | None:
        """Where it comes from; None for a bound of your own."""
        return None if self.result is None else cite(self.result)

    def latex(self) -> str:
        """The formula as LaTeX."""
        return self.formula.latex() if isinstance(self.formula, Statement) else str(sympy.latex(self.formula))

    def evaluate(self, run: Comparison) -> BoundSeries:
        """The bound along a run.

        Args:
            run: the run, such as `deviation(problem).comparison`.

        Returns:
            A `BoundSeries`: one mpf per sample, and in `not_applicable` which hypothesis fails and from where on.

        Raises:
            ProblemError: something other than a `Comparison` was given.
        """
        if not isinstance(run, Comparison):
            raise ProblemError(
                f"a bound is evaluated on a comparison, got {brief(run)}; give deviation(...).comparison"
            )
        if (why := run.excludes(self.kind)) is not None:
            return not_applicable(self.name, self.kind, run.count, why)
        if self.needs_descent and run.descent is None:
            return not_applicable(self.name, self.kind, run.count, "it needs a run of descent, and there is none")
        setting = Setting(run.objective, run.problem.theta0, run.problem.dps)
        for hypothesis in self.hypotheses:
            verdict = hypothesis.check(setting)
            if verdict.status == "fails":
                return not_applicable(self.name, self.kind, run.count, verdict.reason)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # beyond float64 a bound is infinite
            return without_nan(self.compute(run))

    def __repr__(self) -> str:
        return f"<{self.name}: {self.title}>"
