"""A result of the theory: id, slug, statement, hypotheses that can be checked, source, and how it is known."""

from __future__ import annotations

from dataclasses import dataclass

from symflow.displays import displayed
from symflow.theory.hypotheses import Hypothesis
from symflow.theory.statement import Claim, Statement

SOURCES = {
    "ACH18": "S. Arora, N. Cohen and E. Hazan, On the Optimization of Deep Networks: Implicit Acceleration by "
    "Overparameterization, ICML 2018",
    "B73": "H. Brezis, Operateurs maximaux monotones et semi-groupes de contractions dans les espaces de Hilbert, "
    "North-Holland 1973",
    "BDSL22": "L. Braun, C. Domine, J. Fitzgerald and A. Saxe, Exact learning dynamics of deep linear networks with "
    "prior knowledge, NeurIPS 2022",
    "BD21": "D. G. T. Barrett and B. Dherin, Implicit Gradient Regularization, ICLR 2021",
    "CKS24": "M. D. Cattaneo, J. M. Klusowski and B. Shigida, On the Implicit Bias of Adam, ICML 2024",
    "CS25": "M. D. Cattaneo and B. Shigida, Modified Loss of Momentum Gradient Descent: Fine-Grained Analysis, 2025",
    "DABM24": "C. Domine, N. Anguita, A. Proca, L. Braun, D. Kunin, P. Mediano and A. Saxe, From Lazy to Rich: Exact "
    "Learning Dynamics in Deep Linear Networks, 2024",
    "DDKL20": "D. Davis, D. Drusvyatskiy, S. Kakade and J. D. Lee, Stochastic Subgradient Method Converges on Tame "
    "Functions, Foundations of Computational Mathematics 20, 2020",
    "DHL18": "S. S. Du, W. Hu and J. D. Lee, Algorithmic Regularization in Learning Deep Homogeneous Models: Layers "
    "are Automatically Balanced, NeurIPS 2018",
    "EC21": "O. Elkabetz and N. Cohen, Continuous vs. Discrete Optimization of Deep Neural Networks, NeurIPS 2021, "
    "arXiv:2107.06608",
    "GLZW23": "A. Ghosh, H. Lyu, X. Zhang and R. Wang, Implicit Regularization in Heavy-Ball Momentum Accelerated "
    "Stochastic Gradient Descent, ICLR 2023",
    "HLW06": "E. Hairer, C. Lubich and G. Wanner, Geometric Numerical Integration, 2nd ed., Springer 2006",
    "HNW93": "E. Hairer, S. P. Norsett and G. Wanner, Solving Ordinary Differential Equations I, 2nd ed., Springer "
    "1993",
    "KMSA24": "D. Kunin, A. Raventos, C. Domine, F. Chen, D. Klindt, A. Saxe and S. Ganguli, Get rich quick: exact "
    "solutions reveal how unbalanced initializations promote rapid feature learning, NeurIPS 2024",
    "KS21": "N. B. Kovachki and A. M. Stuart, Continuous Time Analysis of Momentum Methods, Journal of Machine "
    "Learning Research 22, 2021",
    "L63": "S. Lojasiewicz, Une propriete topologique des sous-ensembles analytiques reels, Colloques "
    "internationaux du "
    "CNRS 117, 1963",
    "MGP23": "S. Marcotte, R. Gribonval and G. Peyre, Abide by the Law and Follow the Flow: Conservation Laws for "
    "Gradient Flows, NeurIPS 2023",
    "MGP24": "S. Marcotte, R. Gribonval and G. Peyre, Keep the Momentum: Conservation Laws beyond Euclidean Gradient "
    "Flows, ICML 2024",
    "MGP25": "S. Marcotte, R. Gribonval and G. Peyre, Transformative or Conservative? Conservation Laws for ResNets "
    "and Transformers, ICML 2025",
    "P63": "B. T. Polyak, Gradient methods for the minimisation of functionals, USSR Computational Mathematics and "
    "Mathematical Physics 3, 1963",
    "RWQD23": "M. Rosca, Y. Wu, C. Qin and B. Dherin, On a continuous time model of gradient descent dynamics and "
    "instability in deep learning, Transactions on Machine Learning Research 2023",
    "WGLM20": "B. Woodworth, S. Gunasekar, J. D. Lee, E. Moroshko, P. Savarese, I. Golan, D. Soudry and N. Srebro, "
    "Kernel and Rich Regimes in Overparametrized Models, COLT 2020",
    "SDBD21": "S. L. Smith, B. Dherin, D. G. T. Barrett and S. De, On the Origin of Implicit Regularization in "
    "Stochastic Gradient Descent, ICLR 2021",
    "SMG14": "A. M. Saxe, J. L. McClelland and S. Ganguli, Exact solutions to the nonlinear dynamics of learning in "
    "deep linear neural networks, ICLR 2014",
}
"""The literature by the keys of the bibliography."""
ELKABETZ_COHEN = SOURCES["EC21"]
OURS, CLASSICAL = "symflow", "classical"


@displayed
@dataclass(frozen=True)
class Citation:
    """A result id, what it says in one line, and where it comes from.

    Attributes:
        id: such as "R4" (a result) or "C1" (a closed form).
        statement: what it says, in one line.
        source: the literature, or "symflow" where the result is ours.

    Example:
        >>> citation = sf.cite("R22")
        >>> citation.id, citation.source
        ('R22', 'symflow, from R3')
        >>> citation.statement
        'trajectory-wise bound: the fundamental theorem with the true defect and signed curvature'
    """

    id: str
    statement: str
    source: str

    def __str__(self) -> str:
        return f"{self.id}: {self.statement} [{self.source}]"


@dataclass(frozen=True, eq=False)
class Result:
    """A result, R1, R2, ..., or a closed form, C1, C2, ....

    Attributes:
        id: such as "R9".
        slug: the name in words that may be written in place of the id, such as "curvature-linear".
        title: in a few words.
        summary: what it says, in one line.
        source: where it comes from.
        hypotheses: what it assumes of a problem; `applicable` checks them.
        claims: its formulas. Each tree is what is printed and what is evaluated.
        conditions: what it assumes of its use, which no problem decides.
        parts: further statements that belong to it, with hypotheses of their own.
        remark: what follows, LaTeX text.
        derivations: the files in derivations/ that prove it.
        in_its_place: the ids of results that say what remains of it for networks that it is not about.

    Example:
        >>> from symflow.theory.registry import find
        >>> result = find("curvature-linear")
        >>> result.id, [claim.label for claim in result.claims]
        ('R9', ['(a)', '(b)', '(c)', '(d)', '(e)'])
    """

    id: str
    slug: str
    title: str
    summary: str
    source: str
    hypotheses: tuple[Hypothesis, ...]
    claims: tuple[Claim, ...]
    conditions: tuple[Hypothesis, ...] = ()
    parts: tuple[Statement, ...] = ()
    remark: str = ""
    derivations: tuple[str, ...] = ()
    in_its_place: tuple[str, ...] = ()

    @property
    def assumptions(self) -> tuple[Hypothesis, ...]:
        """What it assumes: of the problem and of its use."""
        return (*self.hypotheses, *self.conditions)

    @property
    def main(self) -> Statement:
        """The statement without its further parts."""
        return Statement(self.id, self.summary, self.claims, self.assumptions)

    @property
    def statement(self) -> Statement:
        """The statement with all its claims, those of the parts as well."""
        further = tuple(claim for part in self.parts for claim in part.claims)
        return Statement(self.id, self.summary, (*self.claims, *further), self.assumptions)

    @property
    def citation(self) -> Citation:
        """What it says, and where it comes from."""
        return Citation(self.id, self.summary, self.source)

    def __repr__(self) -> str:
        return f"<{self.id} ({self.slug}): {self.summary}>"
