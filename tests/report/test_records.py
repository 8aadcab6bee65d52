"""How small records show themselves in notebooks."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest

import symflow as sf
from symflow.report.records import words

PROBLEM = sf.Problem(
    network=sf.FullyConnected((1, 1, 1)),
    data={"x": [1], "y": [1]},
    init={"theta": ["1/2", 1]},
    run={"horizon": 2, "step_size": "1/10"},
)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "none"),
        (True, "yes"),
        (np.int64(3), "3"),
        (2.0, "2"),
        (mpmath.mpf("0.125"), "0.125"),
        (Fraction(1, 3), "1/3"),
        (Fraction(10**40 + 1, 3 * 10**40), "about 1.000000000e+40/3.000000000e+40"),
        (np.zeros(800), "array of shape (800,)"),
        (np.array([1.5, 2.0]), "1.5, 2"),
        (tuple(range(800)), "800 entries"),
        ((), "none"),
        ({"a": 1, "b": 2}, "a, b"),
    ],
)
def test_values_in_words(value: Any, shown: str) -> None:
    assert words(value) == shown


def test_records_show_a_table_and_never_all_their_numbers() -> None:
    records: list[Any] = [
        PROBLEM,
        sf.closed_form(PROBLEM),
        sf.statements(),
        sf.cite("R4"),
        sf.claim_quantities(),
        sf.claim_quantities()["lambda_min"],
        sf.Family(),
        sf.stop_at_loss("1/10"),
        sf.evaluate_balls(sf.loss(PROBLEM.objective), ["1/2", 1], radius="1/100"),
        sf.extreme_eigenvalues(PROBLEM.objective, np.ones((800, 2))),
    ]
    for record in records:
        page = record._repr_html_()
        assert "<table" in page
        assert len(page) < 40_000
    assert "and 780 more points" in records[-1]._repr_html_()
    assert ">R4: " not in records[2]._repr_html_()  # its name stands in front already


def test_what_is_not_set_is_left_out() -> None:
    shown = sf.PathError(mpmath.mpf("1e-20"), "certified")._repr_html_()
    assert ">1e-20<" in shown or "1.0e-20" in shown
    assert "reason" not in shown
