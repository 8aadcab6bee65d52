"""Descent against its modified equations: slope order + 1 over halvings of the step size, at 50 digits.

The flow starts where the equation's `start` says; after the time 1 the velocity has forgotten that descent started at
rest (beta^k < 1e-50). The thorough tests write the tables modified_slopes.md and adaptive_slopes.md of
tests/studies.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import mpmath
import pytest

import symflow as sf

TABLE = Path(__file__).parent.parent / "studies" / "modified_slopes.md"
ADAPTIVE_TABLE = TABLE.with_name("adaptive_slopes.md")
DIGITS, HALVINGS, TOLERANCE = 50, 5, 0.05
X, Y = [["1/2", "-3/10"], ["7/10", "1"]], [["1"], ["-1/4"]]
WIDE = ["3/10", "1/5", "-1/4", "2/5", "1/2", "-1/3"]
PROBLEMS = {
    "linear": sf.Problem(network=sf.FullyConnected((2, 2, 1)), data={"x": X, "y": Y}, init={"theta": WIDE}),
    "ReLU": sf.Problem(
        network=sf.FullyConnected((2, 2, 1), 1, 0),
        data={"x": [["1/2", "3/10"], ["7/10", "1"]], "y": Y},
        init={"theta": ["3/10", "1/5", "1/4", "2/5", "1/2", "1/3"]},
    ),
    "logistic": sf.Problem(
        network=sf.FullyConnected((2, 2, 1)), loss="logistic", data={"x": X, "y": [1, -1]}, init={"theta": WIDE}
    ),
}


@dataclass(frozen=True)
class Case:
    """A method and the largest step size of the halvings."""

    method: sf.Method
    first: Fraction

    def __str__(self) -> str:
        return f"{self.method!r} from {self.first}"


METHODS = (
    Case(sf.GradientDescent(), Fraction(1, 40)),
    Case(sf.HeavyBall("1/2"), Fraction(1, 200)),
    Case(sf.HeavyBall("9/10"), Fraction(1, 4000)),
    Case(sf.Nesterov("1/2"), Fraction(1, 200)),
    Case(sf.Nesterov("9/10"), Fraction(1, 4000)),
)


def distance(p: sf.Problem, method: sf.Method, order: int, eta: Fraction, descent: dict) -> mpmath.mpf:
    """||theta_k - theta(k eta)|| at k eta = 1."""
    steps = int(1 / eta)
    if eta not in descent:
        descent[eta] = sf.descend(p, step_size=eta, steps=steps, dps=DIGITS, keep=[steps], method=method, error=None)
    equation = sf.modified_equation(p.objective, order=order, method=method)
    start = sf.evaluate_mpmath(equation.start(eta), p.theta0, dps=DIGITS + 30)
    flow = sf.solve_field(equation.field(eta), list(start), horizon=1, dps=DIGITS, error=None)
    assert not flow.events
    with mpmath.workdps(DIGITS + 20):
        return mpmath.norm(list(descent[eta].iterates[-1] - flow(1)))


def slopes(p: sf.Problem, case: Case, orders: range, halvings: int) -> Iterator[tuple[int, list[float]]]:
    """The slopes between step sizes of each order."""
    descent: dict = {}
    for order in orders:
        found = [distance(p, case.method, order, case.first / 2**i, descent) for i in range(halvings + 1)]
        with mpmath.workdps(30):
            yield order, [float(mpmath.log(a / b, 2)) for a, b in pairwise(found)]


@pytest.mark.parametrize("case", METHODS[:2], ids=str)
def test_slopes_of_two_methods(case: Case) -> None:
    for order, found in slopes(PROBLEMS["linear"], case, range(3), 2):
        assert all(abs(s - order - 1) < TOLERANCE for s in found), (order, found)


def test_from_theta_0_itself_the_error_is_of_first_order_whatever_the_order() -> None:
    """A negative control: without the start on the slow manifold the slope is 1."""
    p, method, apart = PROBLEMS["linear"], sf.HeavyBall("1/2"), []
    for eta in (Fraction(1, 200), Fraction(1, 400)):
        steps = int(1 / eta)
        run = sf.descend(p, step_size=eta, steps=steps, dps=30, keep=[steps], method=method, error=None)
        field = sf.modified_equation(p.objective, order=2, method=method).field(eta)
        flow = sf.solve_field(field, p.theta0, horizon=1, dps=30, error=None)
        with mpmath.workdps(40):
            apart.append(mpmath.norm(list(run.iterates[-1] - flow(1))))
    assert abs(float(mpmath.log(apart[0] / apart[1], 2)) - 1) < TOLERANCE


ADAPTIVE = (
    sf.RMSProp("1/4", "1/10"),
    sf.Adam("1/4", "1/4", "1/10"),
    sf.Adam("1/4", "1/5", "1/10", bias_correction=False, weight_decay="1/10", decoupled=True),
)
FORGOTTEN = 90
"""Steps after which the means have forgotten their start, (1/4)^90 < 1e-54."""
FIRST = {"linear": Fraction(1, 4000), "ReLU": Fraction(1, 8000), "logistic": Fraction(1, 4000)}
"""The first step size: the iterate that the flow starts from must move little with it."""


def adaptive_slopes(name: str, method: sf.Method, halvings: int) -> Iterator[tuple[int, list[float]]]:
    """The slopes for orders 0 and 1 of the distance after the time 1/2, from an iterate that forgot the start."""
    p, sizes = PROBLEMS[name], [FIRST[name] / 2**i for i in range(halvings + 1)]
    runs = [
        sf.descend(p, step_size=eta, steps=FORGOTTEN + int(1 / (2 * eta)), dps=DIGITS, keep=[FORGOTTEN], method=method,
                   error=None)
        for eta in sizes
    ]  # fmt: skip
    for order in (0, 1):
        equation, found = sf.modified_equation(p.objective, order=order, method=method), []
        for eta, run in zip(sizes, runs, strict=True):
            flow = sf.solve_field(equation.field(eta), list(run.iterates[1]), horizon="1/2", dps=DIGITS, error=None)
            with mpmath.workdps(DIGITS + 20):
                found.append(mpmath.norm(list(run.iterates[-1] - flow("1/2"))))
        with mpmath.workdps(30):
            yield order, [float(mpmath.log(a / b, 2)) for a, b in pairwise(found)]


def test_slopes_of_adam() -> None:
    for order, found in adaptive_slopes("linear", ADAPTIVE[1], 1):
        assert all(abs(s - order - 1) < TOLERANCE for s in found), (order, found)


def row(name: str, method: sf.Method, first: Fraction, order: int, found: list[float]) -> str:
    """A line of a table."""
    return f"| {name} | `{method!r}` | {first} | {order} | {' | '.join(f'{s:.4f}' for s in found)} |"


def write(table: Path, title: str, said: str, rows: list[str]) -> None:
    """Writes a table."""
    numbers = " | ".join(str(i) for i in range(1, HALVINGS + 1))
    head = [
        f"# {title}",
        "",
        f"Slopes of log2 of the distance between halvings of the step size, {DIGITS} digits, {date.today()}, symflow "
        f"{version('symflow')}. {said} Expected: order + 1 within {TOLERANCE}. "
        "`tests/analysis/test_modified_slopes.py`.",
        "",
        f"| problem | method | first step size | order | {numbers} |",
        "|---" * (4 + HALVINGS) + "|",
    ]
    table.write_text("\n".join([*head, *rows]) + "\n", encoding="utf-8")


@pytest.mark.thorough
def test_slopes_of_all_methods() -> None:
    rows, wrong = [], []
    for name, p in PROBLEMS.items():
        for case in METHODS:
            for order, found in slopes(p, case, range(5), HALVINGS):
                rows.append(row(name, case.method, case.first, order, found))
                wrong += [(name, str(case), order, s) for s in found if abs(s - order - 1) >= TOLERANCE]
    said = "The distance is that at the time 1; the flow starts on the method's slow manifold."
    write(TABLE, "Descent against its modified equations", said, rows)
    assert not wrong, wrong


@pytest.mark.thorough
def test_slopes_of_all_adaptive_methods() -> None:
    rows, wrong = [], []
    for name in PROBLEMS:
        for method in ADAPTIVE:
            for order, found in adaptive_slopes(name, method, HALVINGS):
                rows.append(row(name, method, FIRST[name], order, found))
                wrong += [(name, repr(method), order, s) for s in found if abs(s - order - 1) >= TOLERANCE]
    said = f"Over the time 1/2, from iterate {FORGOTTEN}, whose means have forgotten their start (4^-90 < 1e-50)."
    write(ADAPTIVE_TABLE, "RMSProp and Adam against their modified equations", said, rows)
    assert not wrong, wrong
