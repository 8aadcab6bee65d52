"""theta(0): reproducible exact draws with the right distribution, and exact balance."""

import random
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from statistics import NormalDist, fmean, pstdev
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symflow.networks.network import FullyConnected
from symflow.problem.initialize import balanced, gaussian, glorot, initial_theta, orthogonal
from symflow.problem.schema import InitSection

Refusal = Callable[..., str]


def draw(widths: list[int], **section: Any) -> tuple[Fraction, ...]:
    return initial_theta(InitSection(**section), FullyConnected(tuple(widths)), "p")


def layers(theta: tuple[Fraction, ...], widths: list[int]) -> list[np.ndarray]:
    values = np.array(theta, dtype=object)
    matrices, start = [], 0
    for before, after in pairwise(widths):
        matrices.append(values[start : start + before * after].reshape(after, before))
        start += before * after
    return matrices


def test_given() -> None:
    assert draw([2, 1], theta=["1/3", 0.5]) == (Fraction(1, 3), Fraction(1, 2))
    assert draw([2, 1], theta=np.array([0.1, 2.0])) == (Fraction(0.1), Fraction(2))


# Written down once; whoever changes a scheme changes every published seed.
FIRST = {
    "gaussian": [
        "-256316999833759/10000000000000000",
        "435825972535653/5000000000000000",
        "-7093824907283/2500000000000000",
    ],
    "xavier": [
        "427490794014359/500000000000000",
        "1019782476997101/1000000000000000",
        "458152754235793/500000000000000",
    ],
    "balanced": ["417/550", "4/25", "-973/1100"],
}


@pytest.mark.parametrize("scheme", ["gaussian", "xavier", "balanced"])
def test_reproducible(scheme: str) -> None:
    theta = draw([2, 3, 2], scheme=scheme)
    assert [str(value) for value in theta[:3]] == FIRST[scheme]
    assert draw([2, 3, 2], scheme=scheme, seed=0) == theta
    assert draw([2, 3, 2], scheme=scheme, seed=1) != theta
    assert len(theta) == 12
    default = {"gaussian": Fraction(1, 10), "xavier": Fraction(1), "balanced": Fraction(1)}[scheme]
    assert draw([2, 3, 2], scheme=scheme, scale="1/7") == tuple(value / default / 7 for value in theta)


def test_gaussian_is_standard_normal() -> None:
    values = [float(value) for value in gaussian(random.Random(3), 4001)]
    assert len(values) == 4001
    assert abs(fmean(values)) < 0.06
    assert abs(pstdev(values) - 1) < 0.05
    normal = NormalDist()
    distance = max(abs((k + 0.5) / 4001 - normal.cdf(value)) for k, value in enumerate(sorted(values)))
    assert distance < 1.63 / 4001**0.5  # Kolmogorov-Smirnov, one percent
    # neighbours come from the same pair of draws and must be uncorrelated
    assert abs(fmean(a * b for a, b in zip(values[::2], values[1::2], strict=False))) < 0.08


def test_gaussian_has_fifteen_decimals() -> None:
    assert all((value * 10**15).denominator == 1 for value in gaussian(random.Random(1), 10))


def test_xavier_is_uniform() -> None:
    values = [float(value) for value in glorot(random.Random(5), 50, 100, 5000)]
    bound = (6 / 150) ** 0.5
    assert len(values) == 5000
    assert bound * 0.99 < max(values) <= bound
    assert -bound <= min(values) < -bound * 0.99
    distance = max(abs((k + 0.5) / 5000 - (value / bound + 1) / 2) for k, value in enumerate(sorted(values)))
    assert distance < 1.63 / 5000**0.5


@given(st.integers(0, 2**32), st.integers(1, 9), st.data())
def test_orthonormal_columns(seed: int, width: int, data: st.DataObject) -> None:
    columns = data.draw(st.integers(1, width))
    frame = orthogonal(random.Random(seed), width, columns)
    assert frame.shape == (width, columns)
    assert (frame.T @ frame == np.eye(columns, dtype=int)).all()


def test_orthogonal_matrices_are_of_both_orientations() -> None:
    rng = random.Random(0)
    signs = {round(float(np.linalg.det(orthogonal(rng, 3, 3).astype(float)))) for _ in range(20)}
    assert signs == {-1, 1}
    assert {int(orthogonal(rng, 1, 1)[0, 0]) for _ in range(20)} == {-1, 1}


@given(st.lists(st.integers(1, 6), min_size=2, max_size=5), st.integers(0, 2**63 - 1))
def test_balanced_exactly(widths: list[int], seed: int) -> None:
    weights = layers(draw(widths, scheme="balanced", seed=seed, scale="1/3"), widths)
    for before, after in pairwise(weights):
        assert (after.T @ after == before @ before.T).all()
    assert any(value != 0 for value in weights[0].flat)
    singular = np.linalg.svd(weights[0].astype(float), compute_uv=False)[: min(widths)]
    assert singular.min() > 1 / 6 - 1e-9
    assert singular.max() < 1 / 2 + 1e-9


def test_balanced_of_the_widest_network() -> None:
    # two layers of 64 are enough to see that the widest allowed is done in about a second
    first, second = balanced(random.Random(0), [3, 64, 2], Fraction(1))
    assert (second.T @ second == first @ first.T).all()


def test_balanced_width_is_bounded(refusal: Refusal, valid: dict[str, Any]) -> None:
    valid["network"]["widths"] = [2, 65, 1]
    valid["init"] = {"scheme": "balanced"}
    assert 'init.scheme = "balanced" must have widths of at most 64, got 65; use narrower layers' in refusal(valid)
