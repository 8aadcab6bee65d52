"""Is the drift of balancedness under gradient descent a power of the step size?

A two-layer ReLU network conserves h_c = (W_2)_{:c}^2 - ||(W_1)_{c:}||^2 for each hidden unit c along gradient flow. Of
descent a published table (hidden width 64, 2000 steps) reads 4.4e-5, 6.29e-4, 6.44e-3, 7.29e-2, 3.656 at the step sizes
1e-4, ..., 1 as the law eta^1.16. Descent drifts by exactly eta^2 h(g_k) in step k (R10, R30), so that with T = K eta

    drift = eta^2 sum_{k<K} h(g_k) = eta I(T),    I(T) -> the integral of h(g) along the flow up to T.

With the number of steps fixed, eta also moves the horizon T: the local exponent is 1 + d log I / d log T. It is near 2
while the gradient has hardly changed (I grows like T), near 1 once the flow has come to rest (I no longer grows), and
leaves both where the step size nears the stability threshold, eta lambda = 2; nothing is predicted from such runs.
There is no exponent that is the method's own.

Run: python examples/balancedness_drift.py
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

import symflow as sf

WIDTHS, SAMPLES, STEPS, SCALE = (5, 64, 1), 20, 2000, 0.5
STEP_SIZES = ("1/10000", "1/1000", "1/100", "1/10", "1")
PUBLISHED = (4.4e-5, 6.29e-4, 6.44e-3, 7.29e-2, 3.656)


class Row(NamedTuple):
    """One step size.

    Attributes:
        step_size: eta.
        drift: the norm of h(theta_K) - h(theta_0), one entry a hidden unit.
        from_gradients: the norm of eta^2 sum_k h(g_k).
        from_larger: of eta I(T), I from the first steps of the run at ten times the step size; NaN for the largest.
        loss: at the end, over that at the start.
        stability: eta times the largest eigenvalue of the Hessian at the start; above 2 descent does not follow flow.
    """

    step_size: float
    drift: float
    from_gradients: float
    from_larger: float
    loss: float
    stability: float


def problem() -> sf.Problem:
    """A ReLU network on targets of a narrow one, from the usual initialization; seeded."""
    source = np.random.default_rng(0)
    inputs, hidden, _ = WIDTHS
    x = SCALE * source.normal(size=(SAMPLES, inputs))
    y = np.maximum(x @ source.normal(size=(inputs, 3)), 0) @ source.normal(size=3) / 2
    w1 = source.normal(size=(hidden, inputs)) / math.sqrt(inputs)
    w2 = source.normal(size=(1, hidden)) / math.sqrt(hidden)
    return sf.Problem(
        network=sf.FullyConnected(WIDTHS, activation="relu"),
        data={"x": x, "y": y},
        init={"theta": np.concatenate([w1.ravel(), w2.ravel()])},
        run={"horizon": 1, "step_size": "1/100", "dps": 15},
    )


def balance(theta: np.ndarray) -> np.ndarray:
    """h, (..., hidden units)."""
    inputs, hidden, _ = WIDTHS
    w1, w2 = theta[..., : hidden * inputs], theta[..., hidden * inputs :]
    return w2**2 - (w1.reshape(*theta.shape[:-1], hidden, inputs) ** 2).sum(axis=-1)


def main() -> list[Row]:
    """Prints the table and the local exponents, next to those of the published figures."""
    start, rows = problem(), []
    laws = sf.conservation_laws(sf.FullyConnected((5, 4, 1), activation="relu"))
    print(f"{laws.count} laws for 4 hidden units, exact: {laws.exact}; {laws.laws[0].drift().latex()}")
    value = sf.to_jax(sf.loss(start.objective))
    sharpness = float(np.linalg.eigvalsh(sf.to_jax(sf.hessian(start.objective))(np.array(start.theta0, float)))[-1])
    first: dict[float, np.ndarray] = {}
    for text in reversed(STEP_SIZES):
        run = sf.descend(start, step_size=text, steps=STEPS)
        iterates, eta = np.asarray(run.iterates), float(run.step_size)
        gradients = (iterates[:-1] - iterates[1:]) / eta
        moved = eta**2 * balance(gradients)
        first[eta] = eta * balance(gradients[: STEPS // 10]).sum(axis=0)
        larger = first.get(round(10 * eta, 12))
        rows.append(
            Row(
                eta,
                float(np.linalg.norm(balance(iterates[-1]) - balance(iterates[0]))),
                float(np.linalg.norm(moved.sum(axis=0))),
                math.nan if larger is None else float(np.linalg.norm(eta * larger)),
                float(value(iterates[-1]) / value(iterates[0])),
                eta * sharpness,
            )
        )
    rows.reverse()
    report(rows)
    return rows


def report(rows: list[Row]) -> None:
    """The table."""
    print("   eta    drift      eta^2 sum h(g)  from 10 eta  loss     eta lambda  exponent  predicted  published")
    for i, row in enumerate(rows):
        line = f"{row.step_size:7g}  {row.drift:.3e}  {row.from_gradients:.3e}       {row.from_larger:.3e}"
        line += f"    {row.loss:.1e}  {row.stability:10.3g}"
        if i + 1 < len(rows):
            after = rows[i + 1]
            follows = 10 * after.stability < 2  # the runs that I is taken from
            predicted = math.log10(after.from_larger / row.from_larger) if follows else math.nan
            published = math.log10(PUBLISHED[i + 1] / PUBLISHED[i])
            line += f"  {math.log10(after.drift / row.drift):.2f}      {predicted:.2f}       {published:.2f}"
        print(line)
    slope = np.polyfit(np.log([row.step_size for row in rows]), np.log([row.drift for row in rows]), 1)[0]
    print(f"one line through all five has slope {slope:.2f}, which is the exponent of none of the decades")


if __name__ == "__main__":
    main()
