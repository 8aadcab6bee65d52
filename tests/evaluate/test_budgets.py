"""What would drown the machine is refused with its size, the budget and what to do instead."""

from __future__ import annotations

import time
from fractions import Fraction

import numpy as np
import pytest

import symflow as sf
from symflow.derivatives import derived
from symflow.dynamics.vector_field import gradient_flow_field


def wide(width: int) -> sf.Objective:
    return sf.network_objective(sf.FullyConnected((width, width, 1)), np.ones((1, width)), np.ones((1, 1)))


def test_a_dense_hessian_of_many_parameters_is_refused_at_once() -> None:
    objective = wide(200)
    start = time.perf_counter()
    hessian = sf.hessian(objective)  # the formula itself is small
    with pytest.raises(sf.BudgetError, match=r"P = 40200 parameters has 1616040000 entries, over the"):
        sf.to_jax(hessian)
    with pytest.raises(sf.BudgetError, match="over the budget of 4000000; use hessian_vector_product"):
        sf.evaluate_exact(sf.hessian(wide(50)), [Fraction(0)] * wide(50).parameter_count)
    assert time.perf_counter() - start < 5


def test_what_fits_is_computed() -> None:
    objective = wide(3)
    assert sf.to_jax(sf.hessian(objective))(np.ones(12)).shape == (12, 12)


def test_expansions_state_their_size() -> None:
    with pytest.raises(sf.BudgetError, match=r"would take \d+ operations, over the budget of 1000"):
        sf.hessian(wide(4)).explicit(budget=1000)


def test_derivatives_of_high_order_are_refused_before_they_are_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(derived, "MAX_OPERATIONS", 2000)
    objective = sf.network_objective(
        sf.FullyConnected((2,) * 12, Fraction(1), Fraction(0)),
        np.ones((1, 2)),
        np.array([[1, 0]]),
        sf.Loss("cross-entropy"),
    )
    with pytest.raises(sf.BudgetError, match=r"order \d+ \(of 60\) has \d+ operations, over the budget of 2000;"):
        sf.directional_derivative(objective, 60)


def test_series_of_large_networks_are_refused() -> None:
    from symflow.evaluate.fixed_point import FixedSeries
    from symflow.evaluate.series import compile_recurrence

    with pytest.raises(sf.BudgetError, match="over the budget of 2000000"):
        compile_recurrence(gradient_flow_field(wide(1000)), {}, FixedSeries(100))
