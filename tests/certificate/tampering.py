"""Certificates changed so that the statement, or an inequality that they state, becomes false."""

from __future__ import annotations

import json
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from symflow.certificate import certificate_check as checker
from symflow.certificate.write import checking

Table = dict[str, Any]


def tampered(certificate: Table) -> Iterator[tuple[str, Table]]:
    """What is changed, and the changed certificate; each is false for a reason that the comment says."""
    text = json.dumps(certificate)

    def copy() -> Table:
        return json.loads(text)

    yield from _statement(certificate, copy)
    if certificate["flow"]:
        yield from _problem(copy)
        yield from _claims(copy)
        yield from _path(copy)


def _statement(certificate: Table, copy: Any) -> Iterator[tuple[str, Table]]:
    for number, claim in enumerate(certificate["claims"]):
        changed = copy()
        changed["claims"][number]["holds"] = not claim["holds"]  # the contrary of what is proved
        if claim["kind"] != "descent-stays":
            yield f"claim {number}, contrary", changed
        changed = copy()
        value = _value(certificate, claim)
        factor = Fraction(999_999, 1_000_000) if claim["holds"] else Fraction(1_000_001, 1_000_000)
        changed["claims"][number]["bound"] = str(value * factor)  # beyond the true value
        yield f"claim {number}, bound beyond the value", changed
        if claim["kind"] in ("distance", "descent-loss", "descent-stays"):
            changed = copy()
            changed["claims"][number]["last"] = str(certificate["descent"]["steps"] + 1)  # a step that was not made
            yield f"claim {number}, one step more", changed
        if "attraction" in claim:
            yield from _attraction(copy, number)


def _attraction(copy: Any, number: int) -> Iterator[tuple[str, Table]]:
    changed = copy()
    table = changed["claims"][number]["attraction"]
    table["bound"][1] += 20  # a million times the least eigenvalue
    yield f"claim {number}, eigenvalues", changed
    changed = copy()
    changed["claims"][number]["attraction"]["radius"][1] -= 10  # a ball that the path leaves
    yield f"claim {number}, ball", changed
    if "smoothness" in table:
        changed = copy()
        changed["claims"][number]["attraction"]["smoothness"][1] -= 10
        yield f"claim {number}, smoothness", changed
    if "covariance" in table:
        changed = copy()
        changed["claims"][number]["attraction"]["covariance"][1] += 10
        yield f"claim {number}, covariance", changed


def _value(certificate: Table, claim: Table) -> Fraction:
    """The value that a claim bounds, from balls: the largest distance, the loss."""
    with checking(max(certificate["precision"], certificate["descent"]["precision"])):
        net, descent = checker.Network(certificate["problem"]), certificate["descent"]
        eta, beta = (checker.rational(descent[key]) for key in ("step_size", "momentum"))
        iterates = checker.descend(net, eta, beta, descent["steps"])
        steps, end = [], Fraction(0)
        for table in certificate["flow"]:
            steps.append(checker.Step(table, end, net, 1 / (1 - checker.ball(beta)), ""))
            end = steps[-1].end

        def flow(time: Fraction) -> list[Any]:
            return next(s for s in steps if time <= s.end).at(time)

        at, last = Fraction(claim["at"]), Fraction(claim["last"])
        if claim["kind"] == "distance":
            every = range(int(last) + 1) if claim["holds"] else [int(at)]
            points = ((iterates[k], flow(k * eta)) for k in every)
            found = max((checker.norm(a - b for a, b in zip(x, y, strict=True)) for x, y in points), key=float)
        elif claim["kind"] == "limit":
            target = [checker.ball(Fraction(v)) for v in claim["point"]]
            found = checker.norm(a - b for a, b in zip(flow(end), target, strict=True))
        elif claim["kind"] == "flow-loss":
            found = net.mean_loss(flow(at), net.signs())
        else:
            every = [int(at)] if claim["holds"] else range(int(last) + 1)
            found = min((net.mean_loss(iterates[k], net.signs()) for k in every), key=float)
        m, e = found.mid().man_exp()
    return Fraction(int(m)) * Fraction(2) ** int(e)


def _problem(copy: Any) -> Iterator[tuple[str, Table]]:
    """Another problem: its flow is elsewhere."""
    changed = copy()
    theta = changed["problem"]["theta0"]
    theta[0] = str(Fraction(theta[0]) + Fraction(1, 1000))
    yield "another start", changed
    changed = copy()
    x = changed["problem"]["x"]
    x[0][0] = str(Fraction(x[0][0]) + Fraction(1, 1000))
    yield "another input", changed
    changed = copy()
    if changed["problem"]["loss"] == "square":
        y = changed["problem"]["y"]
        y[0][0] = str(Fraction(y[0][0]) + Fraction(1, 1000))
        yield "another target", changed
    else:
        changed["problem"]["loss"] = "square"
        yield "another loss", changed
    if len(changed["problem"]["widths"]) > 2 and changed["problem"]["alpha"] == changed["problem"]["alpha_bar"]:
        changed = copy()
        changed["problem"] |= {"alpha": "2", "alpha_bar": "2"}
        yield "another activation", changed
    changed = copy()
    momentum = Fraction(changed["descent"]["momentum"])
    changed["descent"]["momentum"] = str(momentum + Fraction(1, 100))  # another flow rate
    yield "another momentum", changed


def _claims(copy: Any) -> Iterator[tuple[str, Table]]:
    """Stated inequalities that are false."""
    changed = copy()
    step = max(changed["flow"], key=lambda s: checker.rational(s["defect"]))
    step["defect"][1] -= 24  # a defect of a sixteen-millionth of its bound
    yield "defect below the true one", changed
    number, at, rate = _rate(copy())
    changed = copy()
    changed["flow"][number]["cells"][at]["rate"] = rate
    yield "rate below the true one", changed
    changed = copy()
    cell = changed["flow"][-1]["cells"][-1]
    cell["error"][1] -= 1
    yield "error below the recomputed one", changed
    changed = copy()
    cell = changed["flow"][-1]["cells"][-1]
    cell["radius"] = [cell["error"][0] - 1, cell["error"][1]]
    yield "tube narrower than the error", changed


def _rate(certificate: Table) -> tuple[int, int, list[int]]:
    """Step and cell of the longest smooth cell, and a rate below -lambda_min(c H) in the middle of it."""
    with checking(certificate["precision"]):
        net, beta = checker.Network(certificate["problem"]), Fraction(certificate["descent"]["momentum"])
        cells = []
        for number, table in enumerate(certificate["flow"]):
            low = Fraction(0)
            for at, cell in enumerate(table["cells"]):
                high = checker.rational(cell["end"])
                cells.append(((high - low) * Fraction(2) ** table["unit"], number, at, (low + high) / 2))
                low = high
        _, number, at, middle = max(cells)
        step = checker.Step(certificate["flow"][number], Fraction(0), net, 1 / (1 - checker.ball(beta)), "")
        step.find_defect()
        s = checker.ball(middle)
        matrix = net.hessian([p(s) for p in step.theta], lambda *z: _gate(step, z[:3], s))
        values = np.linalg.eigvalsh(np.array([[float(v) for v in row] for row in matrix])) * float(step.rate)
    return number, at, [int((-values[0] - 1e-6) * 2**30), -30]


def _gate(step: Any, at: tuple[int, ...], s: Any) -> Any:
    return step.slopes[at](s) if at in step.slopes else step.gates[at]


def _path(copy: Any) -> Iterator[tuple[str, Table]]:
    """Another path, or events that are missing."""
    changed = copy()
    changed["flow"][0]["coefficients"][0][0] += 1 << (-changed["flow"][0]["exponent"] - 10)
    yield "another coefficient", changed
    changed = copy()
    step = changed["flow"][-1]
    step["cells"] = step["cells"][:-1]
    yield "a cell less", changed
    if len(changed["flow"]) > 1:
        changed = copy()
        del changed["flow"][0]  # what is left does not begin at theta0
        yield "a step less", changed
    slides = next((n for n, s in enumerate(copy()["flow"]) if s["slopes"]), None)
    if slides is not None:
        changed = copy()
        changed["flow"][slides]["slopes"] = []
        yield "a slide less", changed
        changed = copy()
        slope = changed["flow"][slides]["slopes"][0]["slope"]
        slope[0] = [3, 0]
        yield "a slope out of range", changed
    crossing = next((n for n, s in enumerate(copy()["flow"]) if s["cells"][-1]["kind"] == "crossing"), None)
    if crossing is not None:
        changed = copy()
        changed["flow"][crossing]["cells"][-1]["kind"] = "smooth"
        yield "a crossing less", changed
        changed = copy()
        _prolong(changed, crossing)
        yield "an event overrun", changed


def _prolong(certificate: Table, number: int) -> None:
    """The step in front of an event goes on for a tenth of its length, and the next one is left out."""
    step = certificate["flow"][number]
    longer = checker.rational(step["length"]) * Fraction(9, 8)
    step["length"] = step["cells"][-1]["end"] = [longer.numerator, 1 - longer.denominator.bit_length()]
    del certificate["flow"][number + 1 : number + 2]
