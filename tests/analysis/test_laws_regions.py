"""Conservation laws in regions: kinks that meet, numbers that are no polynomials, points with few laws."""

from __future__ import annotations

import sympy

import symflow as sf


def test_patterns_that_open_where_kinks_part_are_not_missed() -> None:
    """At (1, 2, 2, 3, 1, 1) both kinks are at x = -1 and leave 3 laws; they part nearby, where there are 2."""
    u, v, b, s, t, c, x = sympy.symbols("u v b s t c x")
    block = sf.ParametricMap([u * sympy.Max(0, v * x + b) + s * sympy.Max(0, t * x + c)], [u, v, b, s, t, c], [x])
    together = sf.conservation_laws(block, at=[1, 2, 2, 3, 1, 1])
    assert (together.at_least, together.exact) == (2, False)
    parted = sf.conservation_laws(block, at=[1, 2, "2.001", 3, 1, 1])
    assert (parted.count, parted.exact) == (2, True)
    flat = sf.conservation_laws(block, at=[1, 0, -1, 1, 1, 2])  # v = 0: nearby u sees x of large size
    assert (flat.at_least, flat.exact) == (2, False)


def test_kinks_that_stay_together_are_one() -> None:
    u, v, s, t, x = sympy.symbols("u v s t x")
    block = sf.ParametricMap([u * sympy.Max(0, v * x) + s * sympy.Max(0, t * x)], [u, v, s, t], [x])
    laws = sf.conservation_laws(block, at=[1, 2, 3, 4])
    assert (laws.count, laws.exact) == (3, True)  # one linear block of two units


def test_the_number_e_is_a_number() -> None:
    """E v x + t moves v and t, each by itself; max(0, v - E) x + t at v = 1 only t."""
    v, t, x = sympy.symbols("v t x")
    moving = sf.conservation_laws(sf.ParametricMap([sympy.E * v * x + t], [v, t], [x]))
    assert (moving.count, moving.exact) == (0, True)
    gated = sf.conservation_laws(sf.ParametricMap([sympy.Max(0, v - sympy.E) * x + t], [v, t], [x]), at=[1, 1])
    assert gated.count == 1
    power = sympy.Pow(sympy.E, t, evaluate=False)
    assert sf.conservation_laws(sf.ParametricMap([v * power * x], [v, t], [x])).count == 1  # v^2/2 - t


def test_left_out_the_point_has_few_laws_on_a_line_too() -> None:
    """Signs (+, -) of W_1 and positive W_2 leave the diagonal of D_1 and all of D_2."""
    network = sf.FullyConnected((1, 2, 2, 1), activation="relu")
    assert sf.conservation_laws(network, at=[1, -2, 3, 4, 5, 6, 7, 8]).count == 5
    laws = sf.conservation_laws(network)
    assert (laws.count, laws.exact) == (5, True)
