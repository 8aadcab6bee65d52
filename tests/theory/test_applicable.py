"""Which results apply: linear or not, gates, convexity, whitened data, exact balance, depth, kinks at the start."""

from fractions import Fraction

import pytest
import sympy

import symflow as sf
from symflow.theory.registry import RESULTS

WHITE = {"x": [["1", "1"], ["1", "-1"]], "y": [["1"], ["2"]]}


def problem(widths: list[int], activation: str = "linear", init: dict | None = None, **tables: dict) -> sf.Problem:
    return sf.Problem(
        network={"kind": "fully-connected", "widths": widths, "activation": activation},
        data=tables.pop("data", WHITE),
        init=init or {"scheme": "balanced", "seed": 2},
        **tables,
    )


def answers(p: sf.Problem) -> dict[str, str]:
    return {row.result: row.answer for row in sf.applicable(p)}


def test_every_result_of_the_theory_has_a_row() -> None:
    names = [f"R{i}" for i in (*range(1, 19), *range(22, 31), *range(32, 36))]
    assert [row.result for row in sf.applicable(problem([2, 2, 1]))] == names
    assert list(RESULTS) == [*names, *(f"C{i}" for i in range(1, 10))]
    assert list(sf.statements()) == list(RESULTS)


def test_balanced_whitened_linear_network_with_one_output() -> None:
    found = answers(problem([2, 3, 2, 1]))
    assert found.pop("R6") == "not applicable"
    assert found.pop("R13") == "not applicable"
    assert found.pop("R35") == "not applicable"
    assert set(found.values()) == {"applies"}


def test_balance_is_checked_exactly() -> None:
    p = problem([2, 2, 2, 1])
    moved = [*p.theta0[:-1], p.theta0[-1] + Fraction(1, 10**40)]
    q = problem([2, 2, 2, 1], init={"theta": moved})
    rows = sf.applicable(q)
    assert rows["R14"].answer == "not applicable"
    assert "an entry of D_2" in rows["R14"].reason
    assert {r for r, a in answers(p).items() if answers(q)[r] != a} == {"R14", "R15", "R16"}


def test_whitening_is_exact_or_to_working_precision_and_says_so() -> None:
    exact = sf.applicable(problem([2, 2, 1]))["R15"]
    assert "Sigma_xx = I exactly" in exact.reason
    x = [["1", "1.00000000000000000000000000000000000000000000000001"], ["1", "-1"]]
    near = problem([2, 2, 1], data={**WHITE, "x": x}, run={"dps": 50})
    assert "working precision" in sf.applicable(near)["R15"].reason
    coarse = problem([2, 2, 1], data={**WHITE, "x": [["1", "1.001"], ["1", "-1"]]})
    assert sf.applicable(coarse)["R15"].answer == "not applicable"
    assert "not whitened" in sf.applicable(coarse)["R15"].reason


def test_depth_and_slope_at_zero_decide_r8() -> None:
    assert answers(problem([2, 2, 1]))["R8"] == "not applicable"
    assert answers(problem([2, 2, 2, 1]))["R8"] == "applies"
    flat = problem([2, 2, 2, 1], data={**WHITE, "y": [["0"], ["0"]]})
    assert sf.applicable(flat)["R8"].reason == "the gradient of phi at 0 vanishes"


def test_gates_leave_trajectories_unchecked() -> None:
    p = problem([2, 2, 1], "relu", {"theta": ["1", "1/2", "-1", "1/3", "1", "-2"]})
    found = answers(p)
    assert all(found[r] == "unchecked" for r in ("R3", "R4", "R5", "R17", "R18", "R22"))
    assert all(found[r] == "not applicable" for r in ("R1", "R7", "R8", "R9", "R13", "R14", "R15", "R16"))
    assert all(found[r] == "applies" for r in ("R2", "R10", "R11", "R12"))
    assert "no pre-activation is 0" in sf.applicable(p)["R12"].reason


def test_a_kink_at_the_start_is_named_and_unchecked() -> None:
    p = problem([2, 2, 1], "relu", {"theta": ["1", "1", "1", "-1", "1", "1"]})
    row = sf.applicable(p)["R12"]
    assert row.answer == "unchecked"
    assert "sample 1, layer 1, unit 0" in row.reason


def test_one_output_and_direction() -> None:
    two = problem([2, 2, 2], data={**WHITE, "y": [["1", "0"], ["2", "1"]]})
    assert sf.applicable(two)["R15"].reason == "the network has 2 outputs"
    # w = -(3/2, -1/2), Lambda_yx = (3/2, -1/2): nu(0) = -1.
    away = problem([2, 1], init={"theta": ["-3/2", "1/2"]})
    assert answers(away)["R15"] == "not applicable"
    opposite = problem([2, 1, 1], init={"theta": ["-3", "1", "1"]})
    assert answers(opposite)["R14"] == "not applicable"


@pytest.mark.parametrize(("convex", "answer"), [(None, "unchecked"), (True, "applies")])
def test_convexity_of_a_loss_of_ones_own(convex: bool | None, answer: str) -> None:
    p, y = sympy.symbols("p y", real=True)
    loss = sf.expression_loss(sympy.cos(p) * sympy.Rational(1, 10) + (p - y) ** 2, p, y, convex=convex)
    if loss.convexity == "proved":
        pytest.skip("SymPy proves this loss convex")
    base = problem([2, 2, 1])
    objective = sf.network_objective(base.network, base.x, base.y, loss)
    row = sf.applicable(sf.Problem(objective=objective, theta0=base.theta0))["R9"]
    assert row.answer == answer
    assert ("declared" in " ".join(row.assumptions)) == bool(convex)


def test_stand_alone_functions() -> None:
    w, v = sympy.symbols("w v")
    concave = sf.Problem(objective=sf.expression_objective(-3 * w**2 / 2, [w]), theta0=["1"])
    found = answers(concave)
    assert found["R6"] == "applies"
    assert found["R1"] == "unchecked"  # not known to be >= 0
    assert all(found[r] == "not applicable" for r in ("R2", "R7", "R9", "R12", "R13", "R14"))
    for expression, variables in ((w**2, [w]), (-(w**2) - v**2, [w, v]), (-(w**2) + w**3, [w]), (1 - w**2, [w])):
        other = sf.Problem(objective=sf.expression_objective(expression, variables), theta0=["1"] * len(variables))
        assert answers(other)["R6"] == "not applicable"
    rough = sf.Problem(objective=sf.expression_objective(sympy.log(1 + w**2), [w]), theta0=["1"])
    assert answers(rough)["R18"] == "unchecked"


def test_convolutional_networks() -> None:
    network = sf.Convolutional((1, 4), (sf.Convolution(1, (2,), (1,), (0,)), sf.Dense(1)))
    rows = [["1", "2", "-1", "1/2"]]
    objective = sf.network_objective(network, rows, [["1"]])  # type: ignore[arg-type]
    found = answers(sf.Problem(objective=objective, theta0=["1", "2", "1", "-1", "1/3"]))
    assert found["R13"] == "applies"
    assert all(found[r] == "not applicable" for r in ("R7", "R9", "R12", "R14", "R15"))
    assert all(found[r] == "applies" for r in ("R1", "R2", "R10", "R18"))


def test_it_prints_as_text_and_html() -> None:
    table = sf.applicable(problem([2, 2, 1]))
    assert repr(table).count("\n") == len(table) - 1
    assert repr(table).splitlines()[8].startswith("R9   applies")
    html = table._repr_html_()
    assert html.count("<tr>") == len(table) + 1
    assert "&gt;" in html
    assert table["R9"].citation == sf.cite("R9")
    with pytest.raises(sf.ProblemError, match="no result"):
        table["R99"]
