"""Traces and transposes of words are those of matrices: compared with random integer matrices."""

from __future__ import annotations

import numpy as np
import pytest
import sympy

from symflow.proofs.words import inner, matrices, trace, transposed

A, B, S, u, v = matrices("A B S u v")
TRUE = {
    "rotation": trace(A * B * S) - trace(S * A * B),
    "transposition": trace(transposed(A * B)) - trace(A * B),
    "product rule": transposed(A * B + S) - transposed(B) * transposed(A) - transposed(S),
    "inner": inner(A, B) - inner(B, A),
    "power": trace(A**2 * B) - trace(A * B * A),
    "symmetric": trace(A * S, (S,)) - trace(S * transposed(A), (S,)),
    "scalar": inner(u, A * v) - inner(v, transposed(A) * u),
    "rank one": trace(A * u * transposed(v) * B * v * transposed(u)) - inner(u, A * u) * inner(v, B * v),
}
FALSE = {
    "reversal": trace(A * B * S) - trace(A * S * B),
    "transposition": trace(transposed(A) * B) - trace(A * B),
    "not symmetric": trace(A * S) - trace(S * transposed(A)),
    "scalar": inner(u, A * v) - inner(v, A * u),
    "rank one": trace(A * u * transposed(v) * B * v * transposed(u)) - inner(u, A * v) * inner(v, B * u),
}


@pytest.mark.parametrize("name", TRUE)
def test_what_holds_for_all_matrices_reduces_to_0(name: str) -> None:
    assert sympy.expand(TRUE[name]) == 0


@pytest.mark.parametrize("name", FALSE)
def test_what_fails_for_some_does_not(name: str) -> None:
    assert sympy.expand(FALSE[name]) != 0


def test_symbols_of_traces_are_equal_only_where_the_traces_of_random_matrices_are() -> None:
    rng = np.random.default_rng(0)
    values = {"A": rng.integers(-9, 9, (3, 3)), "B": rng.integers(-9, 9, (3, 3))}
    values |= {f"{name}^T": m.T for name, m in values.items()}
    letters = [sympy.Symbol(name, commutative=False) for name in values]
    seen: dict[sympy.Expr, int] = {}
    for first in letters:
        for second in letters:
            for third in letters:
                word = first * second * third
                number = int(np.trace(values[first.name] @ values[second.name] @ values[third.name]))
                assert seen.setdefault(trace(word), number) == number
    assert len(set(seen.values())) == len(seen)
