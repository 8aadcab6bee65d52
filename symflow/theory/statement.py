"""Statements, their claims, and what a statement says about one network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import sympy

from symflow.displays import as_formula, show
from symflow.errors import ProblemError
from symflow.networks.network import FullyConnected, Network
from symflow.networks.objective import Objective
from symflow.networks.training_loss import network_objective
from symflow.numbers.arguments import whole
from symflow.numbers.types import Number
from symflow.programs.nodes import Input, Node, Size
from symflow.programs.program import Program, topological
from symflow.theory.architecture_checks import trained
from symflow.theory.hypotheses import Hypothesis, Setting
from symflow.theory.lowering import Lowering, Place, cases
from symflow.theory.model import Model
from symflow.theory.terms import Cases, Formula, Term, n

if TYPE_CHECKING:
    import numpy as np


Side = Literal["left", "right"]
Relation = Literal["=", ">=", "<=", "<"]
Where: TypeAlias = int | Sequence[Size] | Network | Objective


@dataclass(frozen=True)
class Claim:
    """left = right or left >= right, for every value of the index in `over`.

    Attributes:
        label: tells the claims of one statement apart, such as "(a)".
        left: a term.
        relation: "=", ">=" or "<=".
        right: a term.
        over: where a free index of the claim runs, if there is one.
        hypotheses: what the claim assumes beyond its statement.

    Example:
        >>> claim = sf.statement("R9").claim("(e)")
        >>> claim.label, claim.relation, len(sf.statement("R9").claims)
        ('(e)', '>=', 5)
    """

    label: str
    left: Term
    relation: Relation
    right: Term
    over: Cases | None = None
    hypotheses: tuple[Hypothesis, ...] = ()


def relation(label: str, left: sympy.Expr | str, sign: Relation, right: sympy.Expr | str) -> Claim:
    """A claim on numbers or, as LaTeX text, on matrices."""
    sides = [Formula(sympy.Symbol(side) if isinstance(side, str) else side) for side in (left, right)]
    return Claim(label, sides[0], sign, sides[1])


def equation(label: str, left: sympy.Expr | str, right: sympy.Expr | str) -> Claim:
    """left = right between numbers or, as LaTeX text, between matrices."""
    return relation(label, left, "=", right)


@as_formula
@dataclass(frozen=True)
class Statement:
    r"""left = right, or left >= right: a result for networks of every depth n.

    Attributes:
        result: its id, such as "R9".
        title: what it says, in a few words.
        claims: its formulas; each tree is printed by `latex` and turned into a program by `instantiate`.
        hypotheses: what all claims assume.

    Example:
        >>> print(sf.statement("R9(a)").latex(depth=3))
        \begin{aligned}
        \lambda_{\min}(H) &\ge -2 \|\nabla\varphi\|_F \max_{|J|=1} \prod_{l \in J} s_{l} \\
        & \text{where } f(\theta) = \varphi(W_{n:1}) \\
        & \phantom{\text{where }} s_{l} = \|W_{l}\|
        \end{aligned}
    """

    result: str
    title: str
    claims: tuple[Claim, ...]
    hypotheses: tuple[Hypothesis, ...]

    @property
    def citation(self) -> Any:
        """Where the result comes from: a `Citation`."""
        return show(self, "citation")

    @property
    def source(self) -> Any:
        """Where the result comes from: a `Citation`."""
        return self.citation

    def claim(self, label: str) -> Claim:
        """The claim with a label, such as "(a)".

        Raises:
            ProblemError: an unknown label.
        """
        for claim in self.claims:
            if claim.label == label:
                return claim
        known = ", ".join(repr(x.label) for x in self.claims)
        raise ProblemError(f"{self.result} has no claim {label!r}; known are {known}")

    def only(self, label: str) -> Statement:
        """The statement with one of its claims.

        Raises:
            ProblemError: no such claim.
        """
        return replace(self, claims=(self.claim(label),))

    def instantiate(self, where: Where) -> Instance:
        """The statement for one network: the trees as programs over typed nodes.

        Args:
            where: a network's training loss; or a network, or the widths d_0, ..., d_n of a linear one (integers or
                SymPy symbols), or its depth n (symbolic widths), with data left symbolic and the square loss.

        Returns:
            An `Instance`; its `evaluate` gives both sides of a claim at theta.

        Raises:
            ProblemError: an objective that is not a network's training loss over samples.
        """
        objective = _objective(where)
        assumed = (*self.hypotheses, *(h for claim in self.claims for h in claim.hypotheses))
        _admitted(objective, self.result, self.hypotheses)
        return Instance(self, Model(objective, any(h.architecture for h in assumed)))

    def latex(
        self, depth: int | None = None, values: Mapping[str, str] | None = None, *, document: bool = False
    ) -> str:
        r"""The statement as an ``aligned`` environment.

        Args:
            depth: n; symbolic if left out.
            values: by the label of a claim, LaTeX of the value of both sides, which is shown after them.
            document: a complete file instead, with the notation, the hypotheses, a label and the sources.
        """
        n = None if depth is None else whole(depth, "depth", 1)
        return str(show(self, "document" if document else "latex", n, values))

    def _repr_markdown_(self) -> str:
        assumed = "; ".join(hypothesis.latex for hypothesis in self.hypotheses)
        assumed = f" Suppose {assumed}. Then" if assumed else ""
        return f"**{self.result}** ({self.title}).{assumed}\n\n$${self.latex()}$$\n\n[{self.source.source}]"

    def __str__(self) -> str:
        return str(self.source)

    def __repr__(self) -> str:
        return f"<{self.result}: {self.title[:120]}; {len(self.claims)} claims, {len(self.hypotheses)} hypotheses>"


@dataclass(frozen=True, eq=False)
class Instance:
    """A statement about one network.

    Attributes:
        statement: the general result.
        model: what its letters mean.

    Example:
        >>> objective = sf.network_objective(sf.FullyConnected((1, 1, 1)), [1], [1])
        >>> instance = sf.statement("R10").instantiate(objective)
        >>> left, right = instance.evaluate("descent", ["1/2", 1], hyper={"eta": "1/10"})
        >>> left[0][0, 0], right[0][0, 0]  # balancedness drifts by O(eta^2) in a step of descent
        (Fraction(-3, 1600), Fraction(-3, 1600))
    """

    statement: Statement
    model: Model

    @cached_property
    def lowering(self) -> Lowering:
        """Its terms as nodes; what claims share is lowered once."""
        return Lowering(self.model)

    @property
    def objective(self) -> Objective:
        """The loss that the statement is about."""
        return self.model.objective

    def nodes(self, label: str, side: Side) -> tuple[Node, ...]:
        """One side of a claim, for every value of its free index.

        Raises:
            ProblemError: a quantity that the network or the loss does not have.
        """
        claim = self.statement.claim(label)
        _admitted(self.objective, f"{self.statement.result}{label and f' ({label})'}", claim.hypotheses)
        start: Place = {n: self.model.depth}
        found = [start] if claim.over is None else list(cases(claim.over, start, self.model.network))
        lower = self.lowering
        return tuple(lower(claim.left if side == "left" else claim.right, place).node for place in found)

    def program(self, label: str, side: Side) -> Program:
        """One side of a claim as a program: outputs "right", or "right[1]", "right[2]", ... with a free index."""
        nodes = self.nodes(label, side)
        claim = self.statement.claim(label)
        names = [side] if claim.over is None else [f"{side}[{p}]" for p in range(1, len(nodes) + 1)]
        inputs = self.objective.program.inputs
        used = [x for x in topological(nodes) if isinstance(x, Input) and x not in inputs]
        return Program((*inputs, *used), dict(zip(names, nodes, strict=True)))

    def evaluate(
        self,
        label: str,
        theta: Sequence[Number],
        direction: Sequence[Number] = (),
        *,
        dps: int | None = None,
        hyper: Mapping[str, Number] | None = None,
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Both sides of a claim, one array for each value of its free index.

        Args:
            label: of the claim.
            theta: the P weights, rational, shape (P,), layer 1 first, each matrix row-major.
            direction: the P entries of Delta, where it occurs.
            dps: decimal digits; None computes in exact rationals.
            hyper: values of eta and epsilon, where they occur.

        Returns:
            Two lists, the left and the right sides: mpf, or `Fraction` without `dps`, or object arrays of them.

        Raises:
            TypeError: an irrational function in exact arithmetic.
        """
        import mpmath
        import numpy as np

        from symflow.evaluate.interpret import interpret
        from symflow.evaluate.object_arrays import EXACT, mpmath_arithmetic
        from symflow.numbers.rational import entry

        with mpmath.workdps(dps or 15):
            arithmetic = EXACT if dps is None else mpmath_arithmetic()

            def numbers(values: Iterable[Number], where: str) -> np.ndarray:
                return np.array([arithmetic.lift(entry(v, where)) for v in values], dtype=object)

            lift = np.frompyfunc(arithmetic.lift, 1, 1)
            bound: dict[Input, np.ndarray] = {
                x: np.asarray(lift(a), dtype=object) for x, a in self.objective.data.items()
            }
            bound |= self.objective.cut(numbers(theta, "theta"))
            if len(direction):
                cut = self.objective.cut(numbers(direction, "direction"))
                bound |= dict(zip(self.model.directions, cut.values(), strict=True))
            sides: list[list[np.ndarray]] = []
            for side in ("left", "right"):
                program = self.program(label, side)
                extra = {
                    x: numbers([(hyper or {})[x.name]], x.name).reshape(()) for x in program.inputs
                    if x.role == "hyper" and x.name in (hyper or {})
                }  # fmt: skip
                sides.append(list(interpret(program, bound | extra, arithmetic).values()))
            return sides[0], sides[1]


def _admitted(objective: Objective, name: str, hypotheses: Sequence[Hypothesis]) -> None:
    """Refuses a network that a statement or a claim is not about.

    Raises:
        ProblemError: a hypothesis on the network fails.
    """
    if objective.network is not None or trained(objective) is None:
        return  # homogeneous: its letters say what they need; or no network at all, which `Model` refuses
    for hypothesis in hypotheses:
        if hypothesis.architecture and (verdict := hypothesis.check(Setting(objective))).status == "fails":
            raise ProblemError(f"{name} does not apply: {verdict.reason}")


def _objective(where: Where) -> Objective:
    if isinstance(where, Objective):
        return where
    if isinstance(where, int):
        where = tuple(sympy.Symbol(f"d_{j}", integer=True, positive=True) for j in range(where + 1))
    network: Network = FullyConnected(tuple(where)) if isinstance(where, Sequence) else where
    return network_objective(network, None, None)
