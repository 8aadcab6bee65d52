"""The defects of steps of descent through kinks, against the same integrals from thousands of points."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import numpy as np
import pytest

import symflow as sf
from symflow.analysis.bounds import descent_walk
from symflow.analysis.bounds.descent_walk import Walk, iterates, walk
from symflow.analysis.observables import gradients

ETA = 0.25
STEPS = 12
FINE = np.linspace(0.0, 1.0, 4097)


def relu(seed: int) -> sf.Problem:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(20, 3)).round(2), rng.normal(size=(20, 2)).round(2)
    network = sf.FullyConnected((3, 5, 2), activation="relu")
    data = {"x": x.tolist(), "y": y.tolist()}
    return sf.Problem(network=network, data=data, init={"scheme": "gaussian", "scale": 1, "seed": seed})


def descended(problem: sf.Problem) -> np.ndarray:
    """Descent by hand, every iterate."""
    theta = [np.array([float(v) for v in problem.theta0])]
    for _ in range(STEPS):
        theta.append(theta[-1] - ETA * gradients(problem.compact, theta[-1][None])[0])
    return np.stack(theta)


def walked(problem: sf.Problem, path: np.ndarray, indices: Sequence[int], given: bool = False) -> Walk:
    return walk(problem.compact, path[list(indices)], indices, ETA, path if given else None)


@cache
def fine_norms(seed: int) -> list[np.ndarray]:
    """||v|| at many points of every step."""
    problem = relu(seed)
    found = []
    for a, b in pairwise(descended(problem)):
        g = gradients(problem.compact, a + FINE[:, None] * (b - a))
        found.append(np.linalg.norm(g - g[0], axis=1))
    return found


@pytest.mark.parametrize("seed", range(6))
def test_means_and_peaks_of_steps_through_kinks(seed: int) -> None:
    problem = relu(seed)
    path = descended(problem)
    found = walked(problem, path, [0, 5, STEPS])
    assert found.reason is None
    for k, norms in enumerate(fine_norms(seed)):
        mean = np.trapezoid(norms, FINE)
        assert mean * (1 - 1e-6) <= found.mean[k] <= 1.2 * mean
        assert 0.95 * norms.max() <= found.peak[k] <= norms.max() * (1 + 1e-6)
        if found.rising[k]:
            assert (np.diff(norms) >= -0.1 * norms.max()).all()


def test_three_points_alone_would_not_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descent_walk, "STRAIGHT", np.inf)
    below = 0
    for seed in range(6):
        problem = relu(seed)
        path = descended(problem)
        found = walked(problem, path, range(STEPS + 1))
        below += sum(found.mean[k] < np.trapezoid(norms, FINE) * 0.999 for k, norms in enumerate(fine_norms(seed)))
    assert below


@pytest.mark.parametrize("most", [30, 10**6])
def test_a_path_that_is_known_gives_the_same(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = relu(0)
    path, indices = descended(problem), [0, 1, 6, STEPS]
    alone = walked(problem, path, indices)
    monkeypatch.setattr(descent_walk, "AT_ONCE", most)
    given = walked(problem, path, indices, given=True)
    assert np.allclose(iterates(problem.compact, path[indices], indices, ETA), path, rtol=1e-12, atol=0)
    for name in ("mean", "peak", "slope"):
        assert np.allclose(getattr(alone, name), getattr(given, name), rtol=1e-9, atol=0)
    assert (alone.rising == given.rising).all()
    assert given.apart.shape == alone.apart.shape == (3,)
    assert (given.apart < 1e-13).all()


def test_a_walk_that_ends_elsewhere_says_so() -> None:
    problem = relu(1)
    path = descended(problem)
    path[6:] += 1e-3
    found = walked(problem, path, [0, 3, 6, STEPS])
    assert found.end == 1
    assert found.reason is not None
    assert "depends on rounding" in found.reason
    assert found.apart[1] == pytest.approx(1e-3 * np.sqrt(path.shape[1]), rel=0.2)
