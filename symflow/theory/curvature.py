r"""Lower bounds on the smallest Hessian eigenvalue of one network: R9, R12 and R13 as programs."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from symflow.derivatives.derived import Derived, require_objective
from symflow.errors import ProblemError, brief
from symflow.networks.objective import Objective
from symflow.numbers.rational import rational
from symflow.programs.nodes import Const
from symflow.programs.program import substitute
from symflow.theory.architecture_checks import LINEAR, trained
from symflow.theory.ball_constants import CONSTANTS
from symflow.theory.hypotheses import Hypothesis, Setting, Status, Verdict, overall
from symflow.theory.hypothesis_checks import SMOOTH_REGION
from symflow.theory.model import EPSILON
from symflow.theory.r09_curvature_linear import CURVATURE_LINEAR
from symflow.theory.r12_curvature_gated import CURVATURE_GATED
from symflow.theory.r13_curvature_convolutional import CURVATURE_CONVOLUTIONAL
from symflow.theory.r34_curvature_layers import CURVATURE_LAYERS
from symflow.theory.statement import Claim, Statement

LADDERS = (CURVATURE_LINEAR, CURVATURE_GATED, CURVATURE_CONVOLUTIONAL, CURVATURE_LAYERS)
"""The results that bound the curvature at a point."""


@dataclass(frozen=True, eq=False)
class CurvatureBound(Derived):
    """lambda_min(H(theta)) >= bound(theta) (or another constant of R4): a bound as a scalar program of theta.

    It is a `Derived`, so `sf.to_jax`, `sf.evaluate_mpmath` and `sf.evaluate_exact` take it. Besides the attributes of
    `Derived` it has:

    Attributes:
        name: of the bound, such as "R9(a)".
        statement: the general result, with this claim only.

    Example:
        >>> objective = sf.network_objective(sf.FullyConnected((2, 2, 2)), [[1, 0], [0, 1]], [[1, 0], [0, -1]])
        >>> theta = [1.0, 0.0, 0.0, 0.5, 0.5, 1.0, 0.0, 1.0]
        >>> bounds = sf.curvature_bounds(objective)
        >>> truth = float(sf.extreme_eigenvalues(objective, theta).min)
        >>> [round(float(sf.to_jax(bounds[name])(theta)), 3) for name in ("R9(a)", "R9(e)")], round(truth, 3)
        ([-0.829, -0.795], -0.727)
    """

    name: str = ""
    statement: Statement | None = None

    @property
    def claim(self) -> Claim:
        """The inequality with symbolic depth."""
        assert self.statement is not None
        return self.statement.claims[0]

    @property
    def hypotheses(self) -> tuple[Hypothesis, ...]:
        """What the bound assumes."""
        assert self.statement is not None
        return (*self.statement.hypotheses, *self.claim.hypotheses)

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Which hypotheses hold for the objective, for any theta; that theta is not on a kink is left unchecked."""
        return tuple(hypothesis.check(Setting(self.objective)) for hypothesis in self.hypotheses)

    @property
    def status(self) -> Status:
        """The weakest of the verdicts: "holds", "declared" (the convexity of the loss) or "unchecked"."""
        return overall(self.verdicts)

    def latex(self, document: bool = False) -> str:
        """The bound in the paper's notation, at this depth; a complete file with ``document=True``."""
        assert self.statement is not None
        network = trained(self.objective)
        assert network is not None
        return self.statement.latex(network.depth, document=document)

    def __repr__(self) -> str:
        return f"<{self.name}: {self.kind}, {self.status}>"


def curvature_bounds(objective: Objective) -> dict[str, CurvatureBound]:
    """lambda_min(H(theta)) >= bound(theta): every known lower bound on the curvature of a network's training loss.

    Linear networks: "R9(a)" <= ... <= "R9(e)"; fully connected ones: "R12" <= "R12(c)" <= "R12(e)"; convolutional ones:
    "R13(kappa)" <= "R13"; fully connected ones with biases or skip connections: "R34". With gates they hold where theta
    is not on a kink (H is then that of the smooth piece).

    For thousands of points evaluate ``bound = sf.to_jax(...)`` by ``jax.lax.map(bound, points, batch_size=64)``: with
    two CPU cores a vmap over all of them may hang (several batched LAPACK calls of XLA wait for each other; seen with
    jaxlib 0.10).

    Args:
        objective: a network's training loss over samples; its data may be symbolic for formulas.

    Returns:
        The bounds by name, each a `CurvatureBound`: a scalar program of theta, shape (P,).

    Raises:
        ProblemError: the objective is not a network's training loss over samples, or its loss is not known to be
            convex.

    Source: Elkabetz & Cohen 2021 (R9(a), R12, R13; their sharper forms and R34 are ours).

    Example:
        >>> objective = sf.network_objective(sf.FullyConnected((2, 2, 2, 1)), [[1, 0], [0, 1]], [1, -1])
        >>> bounds = sf.curvature_bounds(objective)
        >>> list(bounds)
        ['R9(a)', 'R9(b)', 'R9(c)', 'R9(d)', 'R9(e)', 'R12', 'R12(c)', 'R12(e)']
        >>> round(float(sf.evaluate_mpmath(bounds["R9(a)"], [1] * 10)), 3)
        -11.662
    """
    require_objective(objective)
    setting = Setting(objective)
    found: dict[str, CurvatureBound] = {}
    reasons: list[str] = []
    for result in LADDERS:
        if result is CURVATURE_LAYERS and found:
            continue  # without biases and skip connections it is R12(e)
        general = result.statement
        verdicts = [hypothesis.check(setting) for hypothesis in general.hypotheses]
        structural = [v for h, v in zip(general.hypotheses, verdicts, strict=True) if h is not SMOOTH_REGION]
        missing = [v.reason for v in structural if v.status in ("fails", "unchecked")]
        if missing:
            reasons.append(f"{result.id}: {missing[0]}")
            continue
        instance = general.instantiate(objective)
        for claim in general.claims:
            if claim.relation != ">=":
                continue
            program = instance.program(claim.label, "right")
            name = result.id + claim.label
            found[name] = CurvatureBound(
                "lower bound on the smallest Hessian eigenvalue",
                objective,
                program,
                "scalar",
                (),
                result.id,
                name,
                general.only(claim.label),
            )
    if not found:
        raise ProblemError(f"no curvature bound is applicable; {'; '.join(reasons)}")
    return found


def ball_bounds(objective: Objective, radius: Fraction | int | str) -> dict[str, CurvatureBound]:
    """m >= -lambda_min(H(q)), beta >= ||H(q)||, gamma >= ||g(q)|| for ||q - theta|| <= eps: constants of a ball.

    They are those of the step-size condition R4. With gates they hold at every such q that is not on a kink. The proofs
    are in `symflow.theory.ball_constants`.

    Args:
        objective: the training loss of a fully connected network over samples.
        radius: eps >= 0, a rational number or its text; 0 gives the bounds at theta.

    Returns:
        The constants "m", "beta" and "gamma" by name, each a `CurvatureBound`: a scalar program of theta, shape (P,);
        "m" only where the loss is known to be convex.

    Raises:
        ProblemError: a negative radius, another objective, or a loss without a known bound on its second derivative.

    Source: the roles of the constants, Elkabetz & Cohen 2021, R4; the closed forms are ours.

    Example:
        >>> objective = sf.network_objective(sf.FullyConnected((1, 1, 1)), [1], [1])
        >>> bounds = sf.ball_bounds(objective, radius="1/10")
        >>> {name: round(float(sf.evaluate_mpmath(bound, ["1/2", 1], dps=15)), 4) for name, bound in bounds.items()}
        {'beta': 2.1868, 'gamma': 0.7729, 'm': 0.6168}
    """
    require_objective(objective)
    family = "linear" if LINEAR.check(Setting(objective)).status == "holds" else "gated"
    instance = CONSTANTS.instantiate(objective)
    size = rational(radius, "radius")
    if size < 0:
        raise ProblemError(
            f"radius must not be negative, got {brief(radius)}; give the radius of the ball around theta"
        )
    value = Const(size, ())
    found: dict[str, CurvatureBound] = {}
    for claim in CONSTANTS.claims:
        kind, name = claim.label.split(", ")
        missing = [
            v.reason for h in claim.hypotheses if (v := h.check(Setting(objective))).status in ("fails", "unchecked")
        ]
        if kind != family or name == "drift" or (name == "m" and missing):
            continue
        if missing:
            raise ProblemError(f"no bound on a ball is applicable; {missing[0]}")
        program = substitute(instance.program(claim.label, "right"), {EPSILON: value})
        found[name] = CurvatureBound(
            "bound on a ball", objective, program, "scalar", (), "R4", name, CONSTANTS.only(claim.label)
        )
    return found
