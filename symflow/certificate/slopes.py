"""The slopes of sliding gates as polynomials, found from the flow's polynomials alone.

While gates slide, theta' = -c g_q(theta) for slopes q(s) between alpha_bar and alpha. Layer by layer from the top, q b
is the least squares solution of that equation in the rows of the unit's weights; it is found at Chebyshev nodes and
interpolated. Nothing here is proved: the checker bounds the defect that comes of it.
"""

from __future__ import annotations

from typing import Any

from flint import arb, arb_mat, arb_poly

from symflow.certificate import certificate_check as checker
from symflow.certificate.numbers import Table, number

Position = tuple[int, int, int]
"""Sample, layer and unit, counted from 0."""


def sliding_gates(step: checker.Step, zero: arb) -> list[Position]:
    """The gates whose pre-activation remains below `zero` along a step and is not exactly zero."""
    net, found = step.net, []
    times = [checker.ball(step.length) * f / 8 for f in (1, 4, 7)]
    series: dict[Position, arb_poly] = {}

    def gate(*at: Any) -> arb:
        position, z = at[:3], arb_poly([]) + at[3]
        series[position] = z
        values = [z(s) for s in times]
        if all(v.abs_upper() < zero for v in values):
            if z.coeffs():
                found.append(position)
            return arb(0)
        return net.slopes[0] if values[1].mid() > 0 else net.slopes[1]

    if not net.linear:
        weights = net.cut(step.theta)
        for i, x in enumerate(net.x):
            net.forward(weights, x, lambda *at, i=i: gate(i, *at))
    return found


def slope_tables(step: checker.Step, sliding: list[Position], degree: int) -> list[Table]:
    """The `slopes` of a step's table.

    Args:
        step: the step, with the gates that slide not known to it.
        sliding: which gates slide.
        degree: of the polynomials.
    """
    half = checker.ball(step.length) / 2
    count = degree + 1
    cosines = [(arb.pi() * k / (2 * count)).cos() for k in range(4 * count)]
    nodes = [(half * (1 + cosines[2 * j + 1])).mid() for j in range(count)]
    values = [_slopes_at(step, sliding, s) for s in nodes]
    low, high = (checker.ball(v) for v in (step.net.alpha_bar, step.net.alpha))
    tables: list[Table] = []
    for k, at in enumerate(sliding):
        p = _inside(_chebyshev([v[k] for v in values], cosines, half), low, high, 2 * half)
        tables.append({"gate": list(at), "slope": [number(c) for c in p.coeffs()]})
    return tables


def _chebyshev(values: list[arb], cosines: list[arb], half: arb) -> arb_poly:
    """The polynomial through values at the Chebyshev nodes of [0, 2 half], without its negligible terms."""
    count, size = len(values), max(values, key=lambda v: float(abs(v)))
    total, before, now = arb_poly([]), arb_poly([]), arb_poly([1])
    u = arb_poly([-1, 1 / half])
    for k in range(count):
        terms = (v * cosines[k * (2 * j + 1) % (4 * count)] for j, v in enumerate(values))
        c = sum(terms, arb(0)) * (2 if k else 1) / count
        if abs(c) > abs(size) * arb(2) ** (-checker.flint.ctx.prec + 40):
            total += now * c
        before, now = now, (2 * u * now - before) if k else u
    return arb_poly([c.mid() for c in total.coeffs()])


def _inside(p: arb_poly, low: arb, high: arb, length: arb) -> arb_poly:
    """p, drawn towards the middle of [low, high] by twice what it exceeds it by at the ends of the step."""
    middle, half = (low + high) / 2, (high - low) / 2
    beyond = max([abs(p(s).mid() - middle) - half for s in (arb(0), length)], key=float)
    if float(beyond) < -1e-12 * float(half):
        return p
    shrink = 1 - (4 * abs(beyond) + half * arb(2) ** -100) / half
    return arb_poly([c.mid() for c in ((p - middle) * shrink + middle).coeffs()])


def _slopes_at(step: checker.Step, sliding: list[Position], s: arb) -> list[arb]:
    net = step.net
    theta = [p(s) for p in step.theta]
    speed = net.cut([-p.derivative()(s) * step.pace / step.rate * len(net.x) for p in step.theta])
    weights, known = net.cut(theta), dict.fromkeys(sliding, arb(0))
    middle = checker.ball(step.length) / 2

    def gate(i: int, layer: int, unit: int, z: arb) -> arb:
        at = (i, layer, unit)
        if at in known:
            return known[at]
        m = step.z[at](middle)
        return net.slopes[0] if m > 0 else net.slopes[1] if m < 0 else arb(0)

    for layer in sorted({a[1] for a in sliding}, reverse=True):
        passes = []
        for i, x in enumerate(net.x):
            inputs, gates, out = net.forward(weights, x, lambda *at, i=i: gate(i, *at))
            passes.append((inputs[layer], *net.backward(weights, inputs, gates, net.residual(out, net.y[i]))[1:]))
        for unit in sorted({a[2] for a in sliding if a[1] == layer}):
            mine = [a for a in sliding if a[1:] == (layer, unit)]
            rest = list(speed[layer][unit])
            for a_in, _, deltas in passes:
                rest = [v - deltas[layer][unit] * a for v, a in zip(rest, a_in, strict=True)]
            rows = [[passes[a[0]][1][layer][unit] * v for v in passes[a[0]][0]] for a in mine]
            for a, q in zip(mine, _least_squares(rows, rest), strict=True):
                known[a] = q
    return [known[a].mid() for a in sliding]


def _least_squares(rows: list[list[arb]], right: list[arb]) -> list[arb]:
    """q with sum_k q_k rows_k closest to the right side; the shortest one but for a tiny regularization."""
    m = arb_mat([[v.mid() for v in row] for row in rows])
    gram = m * m.transpose()
    size = sum((gram[k, k].mid() for k in range(len(rows))), arb(0))
    if not size > 0:
        return [arb(0)] * len(rows)
    for k in range(len(rows)):
        gram[k, k] = gram[k, k].mid() + (size * arb(2) ** -180 if len(rows) > 1 else 0)
    b = m * arb_mat([[v.mid()] for v in right])
    gram, b = gram.mid(), b.mid()
    return [v.mid() for v in gram.solve(b).entries()]
