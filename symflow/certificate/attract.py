"""What a certificate claims of a point from which flow and descent converge for all time (R24).

Radii and bounds are proposed from float64 eigenvalues, widened; the checker proves them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np
from flint import arb, arb_mat

from symflow.certificate import certificate_check as checker
from symflow.certificate.numbers import Table, floor_bits, rounded_up

WIDER = (2, 4, 8, 16)
"""The radius of the ball, in lengths of the path as its midpoint suggests them."""


def attraction_table(net: checker.Network, point: Sequence[arb], step_size: Fraction | None = None) -> Table | None:
    """The table `attraction` of a claim; None where no ball was found that the checker accepts.

    Args:
        net: the network.
        point: a box that contains where the path has come to.
        step_size: that of descent; the flow if None.
    """
    for kind in _kinds(net):
        middle = _table(net, point, point, kind, Fraction(1), step_size)
        if middle is None:
            continue
        for radius in _radii(net, point, middle, kind):
            box = [v + checker.around(checker.ball(radius)) for v in point]
            table = _table(net, point, box, kind, radius, step_size)
            if table is None:
                break
            try:
                checker.attraction(net, point, table, step_size)
            except checker.Rejected:
                continue
            return table
    return None


def _kinds(net: checker.Network) -> Iterator[str]:
    if net.loss == "square":
        if len(net.x) * net.widths[-1] <= net.count:
            yield "interpolation"
        if net.linear and len(net.x) >= net.widths[0]:
            yield "linear"
    yield "convex"


def _radii(net: checker.Network, point: Sequence[arb], table: Table, kind: str) -> Iterator[Fraction]:
    """Radii to try: some times the length of the path with the bound at the point itself."""
    bound = float(checker.rational(table["bound"]))
    gate = net.signs()
    if kind == "convex":
        length = float(checker.norm(net.gradient(list(point), gate)[0]).abs_upper()) / bound
    else:
        mu = bound / len(net.x) if kind == "interpolation" else bound * float(checker.rational(table["covariance"]))
        excess = float(net.mean_loss(list(point), gate).abs_upper()) - _least(net, kind)
        length = (2 * max(excess, 0.0) / mu) ** 0.5
    if np.isfinite(length) and length < 1e3:
        yield from (Fraction(max(length, 1e-30) * wider) for wider in WIDER)


def _least(net: checker.Network, kind: str) -> float:
    if kind != "linear":
        return 0.0
    x, y = (np.array([[float(v) for v in row] for row in rows]) for rows in net.exact)
    rest = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    return float((rest**2).sum()) / (2 * len(x))


def _table(
    net: checker.Network, point: Sequence[arb], box: Sequence[arb], kind: str, radius: Fraction, eta: Fraction | None
) -> Table | None:
    """Bounds on the eigenvalues over a box, a little weaker than they look; None where they say nothing."""
    try:
        gate = net.signs("attraction")
        hessian = arb_mat(net.hessian(list(box), gate)) if kind == "convex" or eta is not None else arb_mat([[0]])
        if kind == "convex":
            matrix = hessian
        else:
            inputs = checker.identity(net.widths[0]) if kind == "linear" else net.x
            samples = net.passes(list(box), gate, inputs)
            j = arb_mat([row for *sample, _ in samples for row in net.jacobian(*sample)])
            matrix = j * j.transpose()
    except checker.Rejected:
        return None
    low, _ = _extremes(matrix)
    if not low > 0:
        return None
    table: Table = {"kind": kind, "radius": rounded_up(checker.ball(radius)), "bound": floor_bits(low)}
    if kind == "linear":
        x = np.array([[float(v) for v in row] for row in net.exact[0]])
        smallest = float(np.linalg.eigvalsh(x.T @ x / len(x))[0])
        if smallest < 1e-9:
            return None
        table["covariance"] = floor_bits(smallest * (1 - 1e-6))
    if eta is not None:
        least, most = _extremes(hessian)
        table["smoothness"] = rounded_up(arb(max(-least, most) * (1 + 1e-6) + 1e-12))
    return table


def _extremes(matrix: arb_mat) -> tuple[float, float]:
    """Bounds on the eigenvalues that the checker should be able to prove; (-inf, inf) where there are none."""
    middle = np.array([[float(v.mid()) for v in row] for row in matrix.tolist()])
    width = float(checker.norm(v.rad() for v in matrix.entries()).abs_upper())
    size = float(np.linalg.norm(middle))
    if not np.isfinite(width + size):
        return -np.inf, np.inf
    values = np.linalg.eigvalsh((middle + middle.T) / 2)
    allowance = 3 * width + 1e-10 * size
    return float(values[0]) - allowance, float(values[-1]) + allowance
