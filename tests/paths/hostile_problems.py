"""Seeded problems that are meant to break proofs of flows: scales, coincidences, odd slopes, saturation, horizons."""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import Any

Tables = dict[str, Any]
LOSSES = ("square", "logistic", "exponential", "cross-entropy")
SLOPES = (5, 15, 30, 60, 150)


def ten(exponent: int) -> Fraction:
    return Fraction(10) ** exponent


def hundredths(rng: random.Random) -> Fraction:
    return Fraction(rng.randint(-100, 100), 100)


def base(
    rng: random.Random,
    *,
    widths: list[int] | None = None,
    activation: str | None = None,
    loss: str | None = None,
    samples: int | None = None,
    slopes: tuple[str, str] | None = None,
) -> Tables:
    """A small network; all numbers are hundredths in [-1, 1]."""
    loss = loss or rng.choice(["square"] * 3 + list(LOSSES))
    outputs = 3 if loss == "cross-entropy" else 1 if loss != "square" else rng.randint(1, 2)
    widths = widths or [rng.randint(1, 3), *(rng.randint(1, 3) for _ in range(rng.randint(1, 2))), outputs]
    if loss == "cross-entropy":
        widths = [*widths[:-1], 3]
    activation = activation or rng.choice(["linear", "relu", "relu", "leaky-relu"])
    count = samples or rng.randint(1, 4)
    network: Tables = {"widths": widths, "activation": activation}
    if activation == "leaky-relu":
        network["slope"] = "1/5"
    if slopes is not None:
        network |= {"alpha": slopes[0], "alpha_bar": slopes[1]}
    data: Tables = {"x": [[hundredths(rng) for _ in range(widths[0])] for _ in range(count)]}
    if loss == "cross-entropy":
        data["labels"] = [rng.randint(0, 2) for _ in range(count)]
    elif loss == "square":
        data["y"] = [[hundredths(rng) for _ in range(widths[-1])] for _ in range(count)]
    else:
        data["y"] = [[rng.choice([-1, 1]) for _ in range(widths[-1])] for _ in range(count)]
    theta = [hundredths(rng) for _ in range(sum(a * b for a, b in pairwise(widths)))]
    horizon = Fraction(rng.choice(["1/2", "1", "2"]))
    return {"network": network, "loss": loss, "data": data, "init": {"theta": theta}, "run": {"horizon": horizon}}


def scales(rng: random.Random) -> Tables:
    """Data, weights and horizons between 1e-300 and 1e300, all alike or mixed."""
    p, largest, mixed = base(rng), rng.choice([3, 8, 20, 50, 100, 200, 300]), rng.random() < 0.5
    a, b = rng.randint(-largest, largest), rng.randint(-largest, largest)

    def scaled(rows: list[list[Fraction]], size: int) -> list[list[Fraction]]:
        return [[v * ten(rng.randint(-abs(size), abs(size)) if mixed else size) for v in row] for row in rows]

    p["data"]["x"] = scaled(p["data"]["x"], a)
    if p["loss"] == "square":
        p["data"]["y"] = scaled(p["data"]["y"], a)
    if rng.random() < 0.5:
        p["init"]["theta"] = scaled([p["init"]["theta"]], b)[0]
    p["run"]["horizon"] *= ten(max(-300, min(295, rng.choice([0, 0, -2 * a, -a, a]))))
    return p


def mild_scales(rng: random.Random) -> Tables:
    p = base(rng)
    p["data"]["x"] = [[v * ten(rng.randint(-3, 2)) for v in row] for row in p["data"]["x"]]
    p["init"]["theta"] = [v * ten(rng.randint(-6, 1)) for v in p["init"]["theta"]]
    return p


def repeated_samples(rng: random.Random) -> Tables:
    """Equal, opposite, zero and proportional samples."""
    p = base(rng, activation=rng.choice(["relu", "leaky-relu"]))
    x = p["data"]["x"]
    for _ in range(rng.randint(1, 3)):
        factor = rng.choice([Fraction(1), Fraction(-1), Fraction(0), Fraction(2), Fraction(-1, 3)])
        x.append([factor * v for v in rng.choice(x)])
        if "labels" in p["data"]:
            p["data"]["labels"].append(rng.randint(0, 2))
        else:
            square = p["loss"] == "square"
            p["data"]["y"].append([hundredths(rng) if square else rng.choice([-1, 1]) for _ in p["data"]["y"][0]])
    return p


def zeros(rng: random.Random) -> Tables:
    """Weights that are zero, samples with zeros, dead units."""
    p = base(rng)
    p["init"]["theta"] = [v if rng.random() < 0.6 else Fraction(0) for v in p["init"]["theta"]]
    if rng.random() < 0.4:
        p["data"]["x"] = [[v if rng.random() < 0.6 else Fraction(0) for v in row] for row in p["data"]["x"]]
    return p


def whole_numbers(rng: random.Random) -> Tables:
    """Numbers in {-2, ..., 2}: starts on kinks, several at once."""
    p = base(rng, activation=rng.choice(["relu", "leaky-relu"]), samples=rng.randint(2, 5))
    p["data"]["x"] = [[Fraction(rng.randint(-2, 2)) for _ in row] for row in p["data"]["x"]]
    p["init"]["theta"] = [Fraction(rng.randint(-2, 2), rng.choice([1, 2])) for _ in p["init"]["theta"]]
    return p


def odd_slopes(rng: random.Random) -> Tables:
    """Slopes next to 0 and 1, negative, above 1, tiny and huge."""
    tiny = ten(-rng.choice(SLOPES))
    pairs = [(1, tiny), (1, 1 - tiny), (1, "-1/2"), (1, "3/2"), ("1/2", -1), (-1, 0), (0, 1), (1, -1), (1, 1 + tiny),
             (1 / tiny, 0), (tiny, 1), (1, -3), (-1, "-1/5"), (tiny, tiny / 10), (1, -tiny)]  # fmt: skip
    on, off = rng.choice(pairs)
    return base(rng, activation="homogeneous", slopes=(str(on), str(off)), samples=rng.randint(2, 4))


def stiff(rng: random.Random) -> Tables:
    p = base(rng)
    row = rng.randrange(len(p["data"]["x"]))
    p["data"]["x"][row] = [v * rng.choice([10, 30, 100]) for v in p["data"]["x"][row]]
    return p


def saturated(rng: random.Random) -> Tables:
    p = base(rng, loss=rng.choice(LOSSES[1:]))
    size = ten(rng.choice([1, 2, 3, 5]))
    p["data"]["x"] = [[v * size for v in row] for row in p["data"]["x"]]
    p["run"]["horizon"] = Fraction(rng.choice(["1/1000", "1/10", "1"]))
    return p


def horizons(rng: random.Random) -> Tables:
    p = base(rng)
    p["run"]["horizon"] = ten(rng.choice([-300, -100, -30, -12, 2, 3, 6, 12]))
    return p


def one_input(rng: random.Random) -> Tables:
    """One or two inputs and many samples: many kinks on few surfaces."""
    widths = [rng.randint(1, 2), rng.randint(2, 4), 1]
    return base(
        rng, widths=widths, activation=rng.choice(["relu", "leaky-relu"]), loss="square", samples=rng.randint(5, 9)
    )


def concave(rng: random.Random) -> Tables:
    """alpha < alpha_bar: faces that are concave where those of ReLU are convex."""
    widths = [2, rng.randint(2, 3), rng.randint(1, 2), 1]
    return base(rng, widths=widths, activation="homogeneous", slopes=("1/5", "1"), samples=rng.randint(3, 5))


def deep(rng: random.Random) -> Tables:
    return base(rng, widths=[2, 2, 2, 2, 1], activation=rng.choice(["relu", "leaky-relu"]), samples=rng.randint(2, 4))


KINDS: tuple[Callable[[random.Random], Tables], ...] = (
    scales, mild_scales, repeated_samples, zeros, whole_numbers, odd_slopes, stiff, saturated, horizons, one_input,
    concave, deep,
)  # fmt: skip
