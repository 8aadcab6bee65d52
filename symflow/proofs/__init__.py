r"""Derivations as records: hypotheses, numbered steps, conclusion, and a check of every step that is really executed.

A file ``derivations/r07_hessian_linear.py`` defines one ``DERIVATION`` and ends in ``run(DERIVATION)``:

    DERIVATION = Derivation(
        result="R7", title=..., hypotheses=(...), conclusion=r"\[ ... \]",
        steps=(Step(r"M'(0)", r"\sum_j ...", "product rule", (SymbolicZero("all n", ...),)), ...),
        controls=(Control("without the factor 2", IdentityTest(...)),),
    )

A check is of one of these kinds, and the typeset document prints which (`KINDS`, strongest first):

| check | kind | passes when |
|---|---|---|
| `SymbolicZero` | proved | SymPy rewrites every difference to 0, for all that the step speaks of |
| `NonnegativeCoefficients` | proved | a polynomial has no negative coefficient |
| the same two with `kind="checked exactly"` | checked exactly | as above, for the case or ingredient in the scope |
| `IdentityTest` | identity tested | polynomials agree exactly at random points; the error probability is stated |
| `FiftyDigits` | evaluated to 50 digits | both sides agree to 50 digits at sample points |
| `Inequality` | by lemma; sampled | a named lemma's hypotheses hold, and an adversarial search finds no violation |
| `SameInFloat64` | evaluated in float64 | what the package's code computes is the formula, at sample points |

A step is marked *proved* only where that check is as strong as the step: every value, every size (`words`: matrices of
any size as noncommutative symbols), every depth (by induction).

Each check takes a function that makes its two sides; write a small function with a parameter for the constant that the
negative control changes, and use it in the step and in the control (``partial(sides, factor=1)``). A control is a
*slight* change: a coefficient by one percent, one index, sign or exponent, a hypothesis dropped.
"""

from symflow.proofs.digits import FiftyDigits, SameInFloat64
from symflow.proofs.identity import Draw, IdentityTest
from symflow.proofs.lemmas import Lemma
from symflow.proofs.outcome import KINDS, Check, Kind, Outcome
from symflow.proofs.record import Control, Derivation, DerivationError, Step, Verified, verify
from symflow.proofs.search import Inequality
from symflow.proofs.symbolic import NonnegativeCoefficients, SymbolicZero

__all__ = [
    "KINDS",
    "Check",
    "Control",
    "Derivation",
    "DerivationError",
    "Draw",
    "FiftyDigits",
    "IdentityTest",
    "Inequality",
    "Kind",
    "Lemma",
    "NonnegativeCoefficients",
    "Outcome",
    "SameInFloat64",
    "Step",
    "SymbolicZero",
    "Verified",
    "verify",
]
