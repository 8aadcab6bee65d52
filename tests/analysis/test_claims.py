"""Claims, families and settings of the falsifier that mean nothing are refused in one line."""

from __future__ import annotations

from typing import Any

import pytest
import sympy
from claims_to_refute import Q

import symflow as sf
from tests.analysis.test_falsify import CHAIN, chain

# The language -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claim", "message"),
    [
        ("lambda_min >= 0", "never evaluated"),
        (sympy.Eq(Q["f"], 0), "sympy.Le"),
        (Q["f"], "must be a SymPy inequality"),
        (sympy.true, "decides by itself"),
        (sympy.Ge(sympy.Symbol("lambda_mim"), 0), "did you mean lambda_min"),
        (sympy.Ge(sympy.gamma(Q["f"]), 0), "may contain only"),
        (sympy.Ge(Q["f"], sympy.I * Q["g"], evaluate=False), "may contain only"),
    ],
)
def test_malformed_claims(claim: Any, message: str) -> None:
    with pytest.raises(sf.ProblemError, match=message) as caught:
        sf.falsify(claim, CHAIN, seconds=1)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"depths": ()}, "depths must not be empty"),
        ({"depths": 3}, "depths must be a tuple or list"),
        ({"widths": (3, 1)}, "swap"),
        ({"activations": ("tanh",)}, "activations must be among"),
        ({"times": (0, 1)}, "positive"),
        ({"activations": ("relu",), "initializations": ("balanced",)}, "no network of the family"),
    ],
)
def test_malformed_families(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(sf.ProblemError, match=message):
        sf.Family(**wrong)


def test_a_family_without_the_quantities() -> None:
    with pytest.raises(sf.ProblemError, match="no problem of the family has the quantities"):
        sf.falsify(sympy.Ge(Q["grad_phi"], 1), sf.Family(activations=("relu",)), seconds=5)


def test_a_family_whose_step_sizes_give_none_of_its_times() -> None:
    family = sf.Family(step_sizes=(1e-6, 1e-5), times=(100, 200), steps=10)
    with pytest.raises(sf.ProblemError, match=r"no step size of .* gives a time of"):
        sf.falsify(sympy.Le(Q["f_descent"], Q["f_0"]), family, seconds=5)


@pytest.mark.parametrize("dps", ["fifty", -3, True])
def test_malformed_digits(dps: Any) -> None:
    with pytest.raises(sf.ProblemError, match="whole number from 30 to 1000"):
        sf.check_counterexample(chain(["1"]), sympy.Le(Q["w"], Q["s_product"]), dps=dps)


def test_a_horizon_that_is_no_multiple_of_the_step_size() -> None:
    with pytest.raises(sf.ProblemError, match="multiple"):
        sf.check_counterexample(chain(["1", "0"], step_size="2/7", horizon="1"), sympy.Le(Q["f_descent"], Q["f"]))
