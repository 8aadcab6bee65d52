"""Everything derived, against JAX's own derivatives of a loss written here.

symflow's values are exact rationals, so the only rounding is the oracle's. Widths and samples are padded with zeros,
which change neither the loss nor any derivative at the true entries: one compilation serves all networks of a depth.
Each number is compared relative to the sum of the absolute values of its terms, which the same oracle computes from
absolute values: that is the quantity float64 rounds relative to, and it makes no allowance for wrong terms.
"""

from fractions import Fraction
from functools import cache
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import symflow as sf

WIDTH, SAMPLES = 4, 6
TOLERANCE = 1e-13
SLOPES = st.fractions(min_value=-2, max_value=2, max_denominator=7)
ACTIVATIONS = st.one_of(
    st.sampled_from([(Fraction(1), Fraction(1)), (Fraction(1), Fraction(0)), (Fraction(1), Fraction(1, 5))]),
    st.tuples(SLOPES, SLOPES),
)
Values = dict[str, np.ndarray]


@cache
def oracle(depth: int):
    """value(weights, directions, x, y, slopes, count): all derivatives of the padded loss."""

    def loss(weights, x, y, slopes, count):
        a = x
        for j in range(depth):
            z = a @ weights[j].T
            a = z if j == depth - 1 else jnp.where(z >= 0, slopes[0] * z, slopes[1] * z)
        return jnp.sum((a - y) ** 2) / (2 * count)

    def along(f, direction):
        return lambda weights: jax.jvp(f, (weights,), (direction,))[1]

    def values(weights, direction, x, y, slopes, count):
        def f(w):
            return loss(w, x, y, slopes, count)

        forms = [f]
        for _ in range(4):
            forms.append(along(forms[-1], direction))
        return {
            "loss": f(weights),
            "gradient": jax.grad(f)(weights),
            "product": jax.jvp(jax.grad(f), (weights,), (direction,))[1],
            "hessian": jax.hessian(f)(weights),
            "second": forms[2](weights),
            "third": forms[3](weights),
            "fourth": forms[4](weights),
        }

    return jax.jit(values)


class Network:
    """A random network in multiples of 1/8, with its padded copy."""

    def __init__(self, widths: tuple[int, ...], slopes: tuple[Fraction, Fraction], samples: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        shapes = [(b, a) for a, b in pairwise(widths)]
        self.widths, self.slopes, self.samples, self.depth = widths, slopes, samples, len(shapes)
        self.weights, self.direction = ([self._draw(rng, s) for s in shapes] for _ in range(2))
        self.x, self.y = self._draw(rng, (samples, widths[0])), self._draw(rng, (samples, widths[-1]))
        # Which entries of the padded weights, layer by layer and row-major, are true ones.
        mask = np.zeros((self.depth, WIDTH, WIDTH), dtype=bool)
        for j, (rows, columns) in enumerate(shapes):
            mask[j, :rows, :columns] = True
        self.mask = mask.reshape(-1)

    @staticmethod
    def _draw(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        numbers = rng.integers(-16, 17, size=shape)
        return np.vectorize(lambda v: Fraction(int(v), 8), otypes=[object])(numbers)

    def decided(self) -> bool:
        """Whether no pre-activation is zero by cancellation, where rounding decides the sign."""
        a = self.x
        for w in self.weights[:-1]:
            z = a.dot(w.T)
            terms = abs(a).dot(abs(w).T)
            if any(v == 0 and t != 0 for v, t in zip(z.flat, terms.flat, strict=True)):
                return False
            a = np.where(z >= 0, z * self.slopes[0], z * self.slopes[1])
        return True

    def padded(self, magnitude: bool) -> Values:
        """The oracle's values; with `magnitude`, of the same sums with every term made positive."""
        part = np.abs if magnitude else np.asarray
        stacked = [np.zeros((self.depth, WIDTH, WIDTH)) for _ in range(2)]
        for target, matrices in zip(stacked, (self.weights, self.direction), strict=True):
            for j, w in enumerate(matrices):
                target[j, : w.shape[0], : w.shape[1]] = part(w.astype(float))
        x, y = np.zeros((SAMPLES, WIDTH)), np.zeros((SAMPLES, WIDTH))
        x[: self.samples, : self.widths[0]] = part(self.x.astype(float))
        y[: self.samples, : self.widths[-1]] = -part(self.y.astype(float)) if magnitude else self.y.astype(float)
        slopes = np.array([float(s) for s in self.slopes])
        slopes = np.full(2, max(abs(slopes))) if magnitude else slopes
        with jax.enable_x64(True):
            found = oracle(self.depth)(*stacked, x, y, slopes, float(self.samples))
            values = {name: np.asarray(v) for name, v in found.items()}
        size = self.depth * WIDTH * WIDTH
        values["gradient"] = values["gradient"].reshape(size)[self.mask]
        values["product"] = values["product"].reshape(size)[self.mask]
        values["hessian"] = values["hessian"].reshape(size, size)[np.ix_(self.mask, self.mask)]
        return values

    def objective(self) -> sf.Objective:
        return sf.network_objective(sf.FullyConnected(self.widths, *self.slopes), self.x, self.y)

    def vectors(self) -> tuple[list[Fraction], list[Fraction]]:
        theta, direction = ([v for w in part for v in w.flat] for part in (self.weights, self.direction))
        return theta, direction


def exact_values(objective: sf.Objective, theta: list[Fraction], direction: list[Fraction]) -> Values:
    derived = {
        "loss": (sf.loss, ()),
        "gradient": (sf.gradient, ()),
        "product": (sf.hessian_vector_product, direction),
        "hessian": (sf.hessian, ()),
        "second": (sf.hessian_form, direction),
        "third": (lambda o: sf.directional_derivative(o, 3), direction),
        "fourth": (lambda o: sf.directional_derivative(o, 4), direction),
    }
    return {
        name: np.asarray(sf.evaluate_exact(f(objective), theta, d)).astype(float) for name, (f, d) in derived.items()
    }


def deviations(found: Values, expected: Values, magnitude: Values) -> dict[str, float]:
    return {
        name: float(np.max(np.abs(found[name] - expected[name]) - TOLERANCE * magnitude[name], initial=-np.inf))
        for name in expected
    }


def networks(depth: int) -> st.SearchStrategy[Network]:
    widths = st.lists(st.integers(1, WIDTH), min_size=depth + 1, max_size=depth + 1).map(tuple)
    return st.builds(Network, widths, ACTIVATIONS, st.integers(1, SAMPLES), st.integers(0, 10**6))


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
def test_every_derivative_equals_jax(depth: int) -> None:
    @settings(max_examples=8, derandomize=True)
    @given(networks(depth))
    def check(network: Network) -> None:
        assume(network.decided())
        expected, magnitude = network.padded(False), network.padded(True)
        theta, direction = network.vectors()
        objective = network.objective()
        found = exact_values(objective, theta, direction)
        assert max(deviations(found, expected, magnitude).values()) <= 0
        moments = sf.moment_form(objective)
        if network.slopes[0] == network.slopes[1] != 0 or depth == 1:
            assert moments is not None
            found = exact_values(moments, theta, direction)
            assert max(deviations(found, expected, magnitude).values()) <= 0

    check()


@pytest.mark.parametrize("name", ["gradient", "product", "hessian", "second", "third", "fourth"])
def test_oracle_refutes_small_mistakes(name: str) -> None:
    """Negative control: an error of 1e-9, another slope, or exchanged targets are seen in every quantity."""
    network = Network((2, 3, 2), (Fraction(1), Fraction(1, 5)), 4, 0)
    expected, magnitude = network.padded(False), network.padded(True)
    theta, direction = network.vectors()
    found = exact_values(network.objective(), theta, direction)
    assert deviations(found, expected, magnitude)[name] <= 0
    assert deviations({**found, name: found[name] * (1 + 1e-9)}, expected, magnitude)[name] > 0
    other = sf.network_objective(sf.FullyConnected(network.widths, 1, Fraction(1, 4)), network.x, network.y)
    assert deviations(exact_values(other, theta, direction), expected, magnitude)[name] > 0
    moved = sf.network_objective(sf.FullyConnected(network.widths, *network.slopes), network.x, network.y[::-1])
    if name not in ("third", "fourth"):  # with two layers h is quadratic in theta: y is gone at order three
        assert deviations(exact_values(moved, theta, direction), expected, magnitude)[name] > 0
