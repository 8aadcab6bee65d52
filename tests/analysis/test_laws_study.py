"""Numbers of conservation laws on 50 published linear networks, 50 random ReLU networks and 50 maps.

A few of each run by default; the whole study (thorough) writes `tests/studies/conservation_laws.md`.
"""

from __future__ import annotations

import json
import random
from datetime import date
from importlib.metadata import version
from pathlib import Path
from time import perf_counter

import pytest
import sympy
from plain_brackets import drawn_map, drawn_point, lie_dimension

import symflow as sf

TABLE = Path(__file__).parent.parent / "studies" / "conservation_laws.md"
PUBLISHED = json.loads((Path(__file__).parent / "laws_linear.json").read_text(encoding="utf-8"))
"""50 linear networks with their numbers, of the float code of Marcotte, Gribonval & Peyre (34 minutes on 64 cores)."""


def relu_network(seed: int) -> tuple[tuple[int, ...], bool]:
    """Widths with at least two inputs, and whether there are biases."""
    source = random.Random(seed)
    depth = source.choice([2, 2, 3, 3, 4])
    widths = (source.randint(2, 4), *(source.randint(2, 4) for _ in range(depth - 1)), source.randint(1, 3))
    return widths, bool(seed % 2)


def timed(subject: object, **settings: object) -> tuple[sf.ConservationLaws, float]:
    """The laws, and how long they took."""
    started = perf_counter()
    laws = sf.conservation_laws(subject, **settings)  # type: ignore[arg-type]
    return laws, perf_counter() - started


def linear_rows() -> list[tuple[list[int], int, float]]:
    """Widths, number and seconds; each is proved, complete and the published one."""
    rows = []
    for row in PUBLISHED:
        laws, seconds = timed(sf.FullyConnected(row["widths"]))
        assert (laws.exact, laws.complete, laws.count) == (True, True, row["laws"])
        rows.append((row["widths"], laws.count, seconds))
    return rows


def relu_rows(seeds: range) -> list[tuple[tuple[int, ...], bool, int, float]]:
    """Widths, biases, number and seconds; each is proved and the number of hidden units."""
    rows = []
    for seed in seeds:
        widths, biases = relu_network(seed)
        laws, seconds = timed(sf.FullyConnected(widths, activation="relu"), biases=biases)
        assert (laws.exact, laws.complete, laws.count) == (True, True, sum(widths[1:-1])), (widths, biases, laws.how)
        rows.append((widths, biases, laws.count, seconds))
    return rows


def map_rows(seeds: range) -> list[tuple[str, int, int, sf.ConservationLaws, float]]:
    """Kind, seed, point, laws and seconds; the dimension is that of brackets by hand over the rationals."""
    rows = []
    for seed in seeds:
        found = drawn_map(seed)
        for point in (0, 1):
            at = drawn_point(1000 * seed + point, len(found.parameters))
            laws, seconds = timed(sf.ParametricMap(found.outputs, found.parameters, found.inputs), at=at)
            assert laws.dimension == lie_dimension(found, at), (seed, point)
            rows.append((found.name, seed, point, laws, seconds))
    return rows


@pytest.mark.thorough
def test_the_whole_study() -> None:
    linear = linear_rows()
    assert sum(count for _, count, _ in linear) == 801
    assert sum(seconds for *_, seconds in linear) < 60
    relu, maps = relu_rows(range(50)), map_rows(range(50))
    lines = [
        "# Numbers of conservation laws",
        "",
        f"`tests/analysis/test_laws_study.py`, {date.today()}, symflow {sf.__version__}, python-flint "
        f"{version('python-flint')}, numpy {version('numpy')}; two cores. Every number is proved where nothing else is "
        "said.",
        "",
        f"- 50 published linear networks: all numbers as published, sum {sum(c for _, c, _ in linear)}, "
        f"{sum(s for *_, s in linear):.1f} s in all (published: 34 minutes on 64 cores).",
        f"- 50 random ReLU networks with two inputs or more, every other one with biases: one law a hidden unit, "
        f"{sum(s for *_, s in relu):.1f} s in all.",
        f"- 50 maps without closed form at two points each: the dimension of the Lie algebra as by SymPy brackets with "
        f"ranks over the rationals, {sum(s for *_, s in maps):.1f} s in all; the number is proved at "
        f"{sum(laws.exact for _, _, _, laws, _ in maps)} of {len(maps)} points, bounded on both sides at the others.",
        "",
        "| linear network | laws | seconds |",
        "|---|---|---|",
        *(f"| {widths} | {count} | {seconds:.2f} |" for widths, count, seconds in linear),
        "",
        "| ReLU network | biases | laws | seconds |",
        "|---|---|---|---|",
        *(f"| {list(w)} | {'yes' if b else 'no'} | {count} | {seconds:.2f} |" for w, b, count, seconds in relu),
        "",
        "| map | seed, point | P | dimension | laws |",
        "|---|---|---|---|---|",
        *(
            f"| {name} | {seed}, {point} | {laws.parameter_count} | {laws.dimension} | "
            f"{laws.count if laws.exact else f'{laws.at_least} to {laws.at_most}'} |"
            for name, seed, point, laws, _ in maps
        ),
    ]
    TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_a_few_relu_networks() -> None:
    assert len(relu_rows(range(3))) == 3


def test_the_committed_table_has_all_rows() -> None:
    text = TABLE.read_text(encoding="utf-8")
    assert "sum 801" in text
    assert text.count("\n| [") == 100
    assert text.count("\n| residual") + text.count("\n| shared") + text.count("\n| biases |") == 100


@pytest.mark.thorough
@pytest.mark.parametrize("softmax", [True, False])
def test_attention_with_matrices(softmax: bool) -> None:
    """A head on two tokens in the plane: the entries of Q Q^T - K K^T and V V^T - O O^T; linear heads also one that
    weighs Q, K against V, O, since all outputs are products of both."""
    x, q, k, v, o = (sympy.Matrix(2, 2, sympy.symbols(f"{letter}0:4")) for letter in "xqkvo")
    scores = x * q.T * k * x.T
    if softmax:
        powers = scores.applyfunc(sympy.exp)
        scores = sympy.Matrix(2, 2, lambda i, j: powers[i, j] / (powers[i, 0] + powers[i, 1]))
    laws = sf.conservation_laws(sf.ParametricMap(list(scores * x * v.T * o), [*q, *k, *v, *o], list(x)))
    assert (laws.exact, laws.complete, laws.count) == (True, True, 6 if softmax else 7)
    found = sympy.Matrix([[law.expression.coeff(s**2) for s in (*q, *k, *v, *o)] for law in laws.laws])
    expected = [
        [1, 1, 0, 0, -1, -1, *[0] * 10],
        [0, 0, 1, 1, 0, 0, -1, -1, *[0] * 8],
        [*[0] * 8, 1, 1, 0, 0, -1, -1, 0, 0],
        [*[0] * 10, 1, 1, 0, 0, -1, -1],
    ]
    assert found.col_join(sympy.Matrix(expected)).rank() == found.rank()
