"""Refuses work that would exhaust memory: the error states the size and the budget that it exceeds."""

from __future__ import annotations

from symflow.derivatives.derived import Derived
from symflow.errors import BudgetError

DENSE_ENTRIES = 100_000_000
"""Most entries of a dense matrix that is evaluated (0.8 GB in float64), that is P <= 10,000."""


def check_dense(derived: Derived, entries: int = DENSE_ENTRIES) -> None:
    """Refuses to evaluate a P x P matrix of more than `entries` entries.

    Raises:
        BudgetError: it has more.
    """
    if derived.shape != "matrix":
        return
    count = derived.objective.parameter_count
    if count * count > entries:
        raise BudgetError(
            f"the dense {derived.kind} of P = {count} parameters has {count * count} entries, over the budget of "
            f"{entries}; use hessian_vector_product or extreme_eigenvalues, which need O(P) memory"
        )
