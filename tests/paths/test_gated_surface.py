"""Spans of normals against NumPy's least squares: independent, dependent, nearly dependent, and rows that fill up; and
which pre-activations count as zero."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

import symflow as sf
from symflow.paths.float64.gated.frozen import frozen
from symflow.paths.float64.gated.held import Place, companion, forces
from symflow.paths.float64.gated.surface import RANK, orthonormal, span
from symflow.paths.float64.methods import x64


@pytest.mark.parametrize(("kind", "rank"), [("independent", 5), ("dependent", 4), ("nearly dependent", 4), ("zero", 4)])
def test_spans(kind: str, rank: int) -> None:
    rng = np.random.default_rng(3)
    normals = np.zeros((8, 20))
    normals[:5] = rng.normal(size=(5, 20)) * np.array([1, 1e3, 1e-4, 1, 1])[:, None]
    if kind != "independent":
        normals[3] = {"zero": 0.0}.get(kind, 2 * normals[0] - 3e-3 * normals[1])
    if kind == "nearly dependent":
        normals[3] += RANK / 30 * rng.normal(size=20)
    kept = [k for k in range(5) if rank == 5 or k != 3]
    vector, values = rng.normal(size=20), np.where(np.arange(8) < 5, rng.normal(size=8), 0.0)
    with x64():
        found = span(jnp.asarray(normals), jnp.asarray(5))
        along, shift, apart = (np.asarray(a) for a in (found.along(vector), found.shortest(values), found.apart))
        basis = np.asarray(orthonormal(jnp.asarray(normals), jnp.asarray(5)))
    own = normals[kept]
    projected = vector - own.T @ np.linalg.lstsq(own.T, vector, rcond=None)[0]
    np.testing.assert_allclose(along, projected, atol=1e-13)
    shortest = np.linalg.lstsq(own, values[kept], rcond=None)[0]
    np.testing.assert_allclose(shift, shortest, rtol=1e-9, atol=1e-9 * np.abs(shortest).max())
    products = basis @ basis.T
    np.testing.assert_allclose(products, np.diag([float(k in kept) for k in range(8)]), atol=1e-13)
    for k in range(1, 5):
        before = normals[[j for j in kept if j < k]]
        nearest = before.T @ np.linalg.lstsq(before.T, normals[k], rcond=None)[0]
        size = np.linalg.norm(normals[k])
        expected = np.linalg.norm(normals[k] - nearest) / size if size else 0.0
        assert apart[k] == pytest.approx(expected, abs=RANK)


def test_pre_activations_that_are_zero_for_any_weights_are_no_kinks() -> None:
    """A sample for which the whole first layer is off has zeros in the second: nobody asks for their gradients. One
    that is zero at this point alone is looked at."""
    network = sf.FullyConnected((2, 2, 3, 1), activation="relu")
    theta = [1, -1, 2, 1, 0.5, -0.25, 0.25, 0.125, -0.5, 0.75, 1, 1, 1]
    data = {"x": [[-1, -2], [1, 1], [2, 3]], "y": [1, 2, 3]}
    known = frozen(sf.Problem(network=network, data=data, init={"theta": theta}).objective)
    at, held, asked = np.array(theta, dtype=float), (Place(0, 1),), []

    def normals(theta: np.ndarray, samples: np.ndarray, *rest: np.ndarray) -> object:
        asked.extend(samples.tolist())
        return known.normals(theta, samples, *rest)

    with x64():
        gates = np.where(np.asarray(known.gradient(at, np.ones((5, 3)))[1]) > 0, 1.0, 0.0)
        gates[:2, 0] = 0.0
        acting = forces(known, at, gates, held)
        assert (acting.z[2:, 0] == 0).all()
        watched = replace(known, normals=normals)
        assert companion(watched, acting, gates, held) is None
        assert not asked
        z = acting.z.copy()
        z[1, 2] = 0.0
        assert companion(watched, acting._replace(z=z), gates, held) is None
        assert set(asked) == {2}
