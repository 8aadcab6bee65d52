"""Lotka and Volterra's equations: fifty certified digits of one solution, and a box that contains a thousand of them.

Run: python examples/boxes_of_starts.py
"""

from __future__ import annotations

import mpmath
import sympy

import symflow as sf


def main() -> dict[int, float]:
    """Prints a solution and boxes around all solutions that start within 1/20 of it; returns the widest by time."""
    x, y = sympy.symbols("x y")
    field = sf.VectorField({x: 2 * x - 2 * x * y, y: -y + x * y})
    print(field.latex())
    one = sf.solve_field(field, [1, 3], horizon=4, dps=50)
    print(one)
    print(*(mpmath.nstr(v, 50) for v in one(4)), sep="\n")
    all_of_them = sf.solve_field(field, [1, 3], radius="1/20", horizon=4, dps=15)
    widest = {}
    for time in range(5):
        middle, reach = all_of_them.enclosure(time)
        widest[time] = float(max(reach))
        print(time, ", ".join(f"{float(m):.4f} ± {float(r):.4f}" for m, r in zip(middle, reach, strict=True)))
    return widest


if __name__ == "__main__":
    main()
