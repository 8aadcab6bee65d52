"""The falsifier: false claims are refuted by a file that reproduces it, true ones are not, malformed ones are refused.

Expected values are worked out by hand on scalar networks: for widths 1-1-1-1, x = y = 1 and theta = (0, 0, s),
f = (1 - w_1 w_2 w_3)^2 / 2 has the Hessian eigenvalues s, -s, 0 and R9(c) is -s exactly.
"""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mpmath
import pytest
import sympy
from claims_to_refute import FALSE, TRUE, Q

import symflow as sf
from symflow.analysis.falsify import enclose, shorten
from symflow.analysis.falsify.exact import ExactPoint, Ranges, decimals
from symflow.analysis.falsify.shorten import Judge, shortened

STUDY = Path(__file__).parent.parent / "studies" / "falsifier.md"
CHAIN = sf.Family(networks=(sf.FullyConnected((1, 1, 1, 1)),), samples=(1, 1))


def chain(theta: list[str], **run: str) -> sf.Problem:
    """The scalar network of depth len(theta) with x = y = 1."""
    return sf.Problem(
        network={"widths": [1] * (len(theta) + 1), "activation": "linear"},
        data={"x": [[1]], "y": [[1]]},
        init={"theta": theta},
        run=run,
    )


# The checker at one problem -----------------------------------------------------------------------------------------


def test_an_attained_bound_is_not_refuted() -> None:
    found = sf.check_counterexample(chain(["0", "0", "2"]), sympy.Ge(Q["lambda_min"], Q["R9(c)"]))
    assert not found.refuted
    assert abs(found.violation) <= found.error < mpmath.mpf(10) ** -47
    assert abs(found.values["lambda_min"].low + 2) < 1e-40


@pytest.mark.parametrize(("digits", "refuted"), [(20, True), (40, True), (60, True), (120, False)])
def test_a_violation_counts_where_it_is_above_its_error(digits: int, refuted: bool) -> None:
    """lambda_min >= (1 - 10^-digits) R9(c) fails by 2 10^-digits there: float64 cannot see it."""
    claim = sympy.Ge(Q["lambda_min"], Q["R9(c)"] * (1 - sympy.Rational(1, 10**digits)))
    found = sf.check_counterexample(chain(["0", "0", "2"]), claim)
    assert found.refuted == refuted
    assert found.values["lambda_min"].how == found.values["R9(c)"].how == "certified"
    with mpmath.workdps(200):
        assert abs(found.violation - 2 * mpmath.mpf(10) ** -digits) <= found.error


def test_quantities_of_descent_by_hand() -> None:
    """w_1 = 1, w_2 = 0, eta = 1/2: g = (0, -1), so theta_1 = (1, 1/2); D = w_2^2 - w_1^2 drifts from -1 to -3/4."""
    problem = chain(["1", "0"], step_size="1/2", horizon="1/2")
    found = sf.check_counterexample(problem, sympy.Le(Q["drift_descent"] + Q["f_descent"], Q["displacement_descent"]))
    values = {name: float(e.low) for name, e in found.values.items()}
    assert values == pytest.approx({"drift_descent": 1 / 4, "f_descent": 1 / 8, "displacement_descent": 1 / 2})


def test_flow_conserves_balancedness_and_descent_does_not() -> None:
    problem = chain(["1", "0"], step_size="1/4", horizon="1")
    assert not sf.check_counterexample(problem, sympy.Le(Q["drift"], 0)).refuted
    assert sf.check_counterexample(problem, sympy.Le(Q["drift_descent"], 0)).refuted


def test_suprema_over_the_tube_enclose_those_of_a_closed_form() -> None:
    """f = (w - 1)^2 / 2: H = 1, g = w - 1 = -e^-t along the flow from 0, and the tube adds the deviation."""
    problem = chain(["0"], step_size="1/64", horizon="1")
    found = sf.check_counterexample(problem, sympy.Le(Q["deviation"], Q["beta"] * Q["gamma"] * Q["m"] + Q["M"]))
    v = found.values
    deviation = float(mpmath.exp(-1)) - (63 / 64) ** 64
    assert float(v["deviation"].low) == pytest.approx(deviation)
    for name, exact in {"beta": 1.0, "gamma": 1 + deviation, "m": -1.0, "M": -1.0}.items():
        assert v[name].low <= exact <= v[name].high, name
        assert v[name].how == "certified on the tube"


def test_on_a_kink_nothing_is_said() -> None:
    problem = sf.Problem(
        network={"widths": [1, 1, 1], "activation": "relu"},
        data={"x": [[1]], "y": [[1]]},
        init={"theta": ["0", "1"]},
    )
    with pytest.raises(sf.ComputationError, match="kink"):
        sf.check_counterexample(problem, sympy.Ge(Q["lambda_min"], 0))


def test_conditions_have_to_hold() -> None:
    claim, problem = sympy.Ge(Q["lambda_min"], 0), chain(["0", "0", "2"])
    assert sf.check_counterexample(problem, claim, given=sympy.Le(Q["theta"], 3)).refuted
    assert not sf.check_counterexample(problem, claim, given=sympy.Le(Q["theta"], 1)).refuted


LAYERED = ("s", "F", "A", "kappa")


def test_every_quantity_that_a_claim_may_contain_is_a_key() -> None:
    quantities = sf.claim_quantities()
    plain = {name: quantity.symbol for name, quantity in quantities.items()}
    for name in (
        f"{letter}_{layer}{end}" for letter in LAYERED for layer in (1, 2, 8) for end in ("", "_0", "_descent")
    ):
        assert plain[name] == sympy.Symbol(name)
        assert "layer" in quantities[name].meaning
    assert "theta(0)" in quantities["s_1_0"].meaning
    assert "descent" in quantities["F_2_descent"].meaning
    assert quantities["s_12_0"].symbol == sympy.Symbol("s_12_0")  # deeper than any family
    for name in ("s_0", "q_1_0", "lambda_mim"):
        with pytest.raises(KeyError):
            quantities[name]
    problem = chain(["1", "0"], step_size="1/2", horizon="1/2")  # theta_1 = (1, 1/2), as above
    found = sf.check_counterexample(problem, sympy.Le(Q["s_1_0"] + Q["F_2_descent"], Q["A_1_descent"]))
    assert found.refuted
    assert float(found.violation) == 0.5


# Confirmation and wrong flows ---------------------------------------------------------------------------------------


def test_an_exponential_that_underflows_refutes_nothing() -> None:
    """e^-1000 is below every digit: a flow that takes the loss for a straight line runs to theta = 1/2, f = 500.

    The sample 1/10 pulls theta from -1/4 to 0, where the sample -4000 stops it.
    """
    problem = sf.Problem(
        network={"widths": [1, 1], "activation": "linear"},
        loss={"kind": "logistic"},
        data={"x": [["1/10"], ["-4000"]], "y": [[1], [1]]},
        init={"theta": ["-1/4"]},
        run={"horizon": "12", "step_size": "12"},
    )
    found = sf.check_counterexample(problem, sympy.Le(Q["f"], Q["f_0"]), dps=30)
    assert not found.refuted
    assert -0.01 < found.violation < 0


@pytest.mark.parametrize(("wrong", "place"), [("solve_flow", "flow"), ("descend", "descent")])
def test_paths_that_depend_on_their_digits_refute_nothing(
    wrong: str, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path whose rougher computation is off in its 20th digit is none; w_2 of descent is 1/2 after the step."""
    right = getattr(enclose, wrong)

    def moved(problem: sf.Problem, **settings: Any) -> Any:
        nearby = problem.replace(theta0=["1", "1e-20"]) if settings["dps"] < 60 else problem
        return right(nearby, **settings)

    monkeypatch.setattr(enclose, wrong, moved)
    problem = chain(["1", "0"], step_size="1/2", horizon="1/2")
    with pytest.raises(sf.ComputationError, match=f"two computations of the {place} differ by") as caught:
        sf.check_counterexample(problem, sympy.Le(Q["f"] + Q["f_descent"], 0))
    assert "\n" not in str(caught.value)


# The search ---------------------------------------------------------------------------------------------------------


def test_a_false_claim_is_refuted_by_a_file(tmp_path: Path) -> None:
    claim, family = FALSE["R9(a) with n-2 in place of n-1"]
    verdict = sf.falsify(claim, family, seconds=60)
    assert isinstance(verdict, sf.Refuted)
    for name in ("found.toml", "found.json"):
        verdict.save(tmp_path / name)
        again = sf.check_counterexample(tmp_path / name, claim)
        assert again.refuted
        with mpmath.workdps(80):
            assert abs(again.violation - verdict.violation) <= again.error + verdict.check.error
    problem = sf.load_problem(tmp_path / "found.toml")
    assert all(v.denominator <= 10**4 for v in problem.theta0)


def numbers(problem: sf.Problem) -> list[Fraction]:
    rows = [*problem.x, *problem.y]
    return [*problem.theta0, *(v for row in rows for v in row), *([problem.step_size] if problem.step_size else [])]


@pytest.mark.parametrize(
    "claim", ["R9(a) with n-2 in place of n-1", "the loss of descent is at most that of flow at equal time"]
)
def test_every_number_of_a_counterexample_is_short(claim: str) -> None:
    """No number can lose a digit: with any of them rounded to fewer decimals the claim is not refuted there."""
    relation, family = FALSE[claim]
    verdict = sf.falsify(relation, family, seconds=60)
    assert isinstance(verdict, sf.Refuted)
    problem = verdict.problem
    assert max(v.denominator for v in numbers(problem)) <= 100
    assert verdict.check.refuted
    tables = problem.to_dict()
    for i, v in enumerate(problem.theta0):
        for places in range(decimals(v)):
            theta = [*problem.theta0]
            theta[i] = Fraction(round(v * 10**places), 10**places)
            shorter = sf.Problem(**tables | {"init": {"theta": theta}})
            assert not sf.check_counterexample(shorter, relation).refuted


def test_a_point_of_many_digits_is_shortened_number_by_number() -> None:
    """x y theta and the step size of long decimals; the claim fails wherever theta x > 1/4 and eta < 1/2."""

    def fails(point: ExactPoint) -> bool:
        return point.theta[0] * point.x[0][0] > Fraction(1, 4) and point.eta < Fraction(1, 2)

    def confirmed(point: ExactPoint) -> Any:
        return point if fails(point) else None  # stands for the check

    long = ExactPoint(
        (Fraction("0.5123456789"),),
        ((Fraction("-1.3924915223266461"),),),
        ((Fraction("0.98765"),),),
        Fraction("0.0314159"),
        7,
    )
    long = replace(long, x=((-long.x[0][0],),))
    ranges = Ranges(Fraction(2), Fraction(2), Fraction(2), (Fraction("0.03"), Fraction(1)))
    for seen in (lambda points: [p for p in points if fails(p)], lambda points: points):  # float64 may see too much
        found: Any = shortened(long, long, [], ranges, Judge(seen, confirmed))  # type: ignore[arg-type]
        assert fails(found)
        assert sum(decimals(v) for v in (*found.theta, found.x[0][0], found.y[0][0])) <= 1
        assert found.eta == Fraction("0.03")
        kept: Any = shortened(long, long, [], replace(ranges, theta=None), Judge(seen, confirmed))  # type: ignore[arg-type]
        assert kept.theta == long.theta
        assert kept.x == ((Fraction(1),),)


def test_balancedness_along_descent_is_refuted() -> None:
    claim, family = FALSE["balancedness is conserved by descent"]
    verdict = sf.falsify(claim, family, seconds=60)
    assert verdict.status == "refuted"


def searched(claim: sympy.Rel, family: sf.Family, points: int, **settings: Any) -> sf.Refuted | sf.NotRefuted:
    """A search that ends after so many points, whatever the machine does in a second."""

    def enough(done: sf.Progress) -> None:
        if int(done.reached.removesuffix(" points")) >= points:
            raise KeyboardInterrupt

    return sf.falsify(claim, family, seconds=100, progress=enough, **settings)


def test_a_tight_true_claim_is_not_refuted() -> None:
    verdict = searched(sympy.Ge(Q["lambda_min"], Q["R9(c)"]), CHAIN, 4000)
    assert isinstance(verdict, sf.NotRefuted)
    s = verdict.searched
    assert s.points > 0
    assert s.confirmations > 0
    assert s.best_margin == pytest.approx(0, abs=1e-9)
    assert "proved" not in repr(verdict)


def test_a_violation_below_float64_is_found_at_a_tight_point() -> None:
    claim = sympy.Ge(Q["lambda_min"], Q["R9(c)"] * (1 - sympy.Rational(1, 10**20)))
    verdict = sf.falsify(claim, CHAIN, seconds=20)
    assert isinstance(verdict, sf.Refuted)
    assert 0 < verdict.violation < 1e-17


def test_a_counterexample_lies_in_the_family(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounded to few digits, a point at the edge of the ranges must not leave them."""
    monkeypatch.setattr(shorten, "SECONDS", 2.0)
    most, data, times = Fraction("1.96"), Fraction("0.7"), (Fraction("0.7"), Fraction("9.6"))
    shape, steps = sf.FullyConnected((1, 1, 2)), (Fraction("0.6"), Fraction("0.96"))
    family = sf.Family(networks=(shape,), weights=most, data=data, step_sizes=steps, times=times)
    for seed in range(2):
        verdict = sf.falsify(sympy.Le(Q["f_descent"], Q["f"]), family, seconds=60, seed=seed)
        assert isinstance(verdict, sf.Refuted)
        p = verdict.problem
        assert max(abs(v) for v in p.theta0) <= most
        assert max(abs(v) for values in (p.x, p.y) for row in values for v in row) <= data
        assert steps[0] <= p.step_size <= steps[1]
        assert times[0] <= p.horizon <= times[1]


def test_kinks_are_no_candidates() -> None:
    """Where w_1 = 0 the gate of widths 1-1-1 is on its kink: the claim says nothing there, however it looks."""
    family = sf.Family(networks=(sf.FullyConnected((1, 1, 1), alpha_bar=0),), samples=(1, 1))
    verdict = searched(sympy.Ge(Q["lambda_min"], 0), family, 26_000, given=sympy.Le(Q["F_1"], 0))
    assert verdict.status == "not refuted"
    assert verdict.searched.confirmations == 0
    assert verdict.searched.best_margin < 0


def test_progress_and_interruption() -> None:
    seen: list[float] = []

    def stop(done: float) -> None:
        seen.append(done)
        if len(seen) > 2:
            raise KeyboardInterrupt

    verdict = sf.falsify(sympy.Ge(Q["lambda_min"], Q["R9(c)"]), CHAIN, seconds=100, progress=stop)
    assert isinstance(verdict, sf.NotRefuted)
    assert verdict.searched.interrupted
    assert 0 <= seen[0] <= seen[-1] < 1


# The study ----------------------------------------------------------------------------------------------------------


@pytest.mark.thorough
def test_every_false_claim_is_refuted_in_a_minute() -> None:
    lines = [
        "# False claims refuted",
        "",
        f"`tests/analysis/test_falsify.py`, 60 s each, seed 0, two cores, {date.today()}, symflow {sf.__version__}, "
        f"JAX {version('jax')}.",
        "",
        "| claim | seconds | problem | violation at 50 digits |",
        "|---|---|---|---|",
    ]
    missed = []
    for name, (claim, family) in FALSE.items():
        verdict = sf.falsify(claim, family, seconds=60)
        seconds = f"{verdict.searched.seconds:.1f}"
        if isinstance(verdict, sf.Refuted):
            found = f"{verdict.problem!r}"[len("Problem(") : -1]
            lines.append(f"| {name} | {seconds} | {found} | {mpmath.nstr(verdict.violation, 8)} |")
        else:
            missed.append(name)
            lines.append(f"| {name} | {seconds} | not refuted | |")
    STUDY.write_text("\n".join(lines) + "\n")
    assert not missed


@pytest.mark.thorough
@pytest.mark.parametrize("name", list(TRUE))
def test_true_claims_survive(name: str) -> None:
    claim, family = TRUE[name]
    assert sf.falsify(claim, family, seconds=20).status == "not refuted"


def test_the_r13_bound_of_images_with_two_channels() -> None:
    """Both channels count: ||x_i|| is the norm of all pixels, not that of the channels as a matrix.

    One pixel of 2 channels twice would not show it; x = I (2 channels, 2 pixels) has norm sqrt 2, as a matrix 1.
    """
    problem = sf.Problem(
        network={
            "kind": "convolutional",
            "input": [2, 2],
            "layers": [{"kind": "convolution", "channels": 1, "kernel": [1]}, {"kind": "dense", "width": 1}],
            "activation": "linear",
        },
        data={"x": [[1, 0, 0, 1]], "y": [[1]]},
        init={"theta": [Fraction(0)] * 4},
    )
    found = sf.check_counterexample(problem, sympy.Ge(Q["errors"], 0))
    assert float(found.values["errors"].low) == pytest.approx(2**0.5)


def test_a_refutation_is_a_proof_only_where_nothing_is_estimated() -> None:
    from types import SimpleNamespace

    def proof(*hows: str) -> bool:
        values = {str(i): SimpleNamespace(how=how) for i, how in enumerate(hows)}
        return bool(sf.Refuted.proof.fget(SimpleNamespace(check=SimpleNamespace(values=values))))

    assert proof("exact", "certified")
    assert not proof("exact", "certified", "estimated")
    assert not proof("certified on the tube")


def test_claims_about_descent_are_about_the_family_s_method() -> None:
    """On f = (theta x - y)^2 / 2 gradient descent is below gradient flow, (1 - eta x^2)^k <= e^(-eta x^2 k).

    Heavy ball, which starts at rest, lags behind its own flow theta' = -10 grad f.
    """
    q = {name: quantity.symbol for name, quantity in sf.claim_quantities().items()}
    usual: dict[str, Any] = {"depths": (1,), "widths": (1, 1), "samples": (1, 1), "step_sizes": (0.01, 0.2)}
    usual |= {"times": (0.05, 2.0), "steps": 64, "data": 1.0}
    below = q["f_descent"] <= q["f"]
    heavy = sf.HeavyBall("9/10")
    found = sf.falsify(below, sf.Family(**usual, method=heavy), seconds=30)
    assert isinstance(found, sf.Refuted)
    assert found.problem.method == heavy
    x, y, eta = found.problem.x[0, 0], found.problem.y[0, 0], found.problem.step_size
    (theta,), v, steps = found.problem.theta0, Fraction(0), int(found.problem.horizon / eta)
    start = theta
    for _ in range(steps):
        v = Fraction(9, 10) * v - eta * x * (theta * x - y)
        theta += v
    assert float((theta * x - y) ** 2) > float((start * x - y) ** 2) * math.exp(-20 * x * x * steps * eta)
    assert isinstance(searched(below, sf.Family(**usual), 1000), sf.NotRefuted)
    for method, said in ((sf.RMSProp("1/2", "1/9"), "over all samples, got RMSProp"), ("adam", "must be a Method")):
        with pytest.raises(sf.ProblemError, match=said):
            sf.Family(method=method)  # type: ignore[arg-type]
    with pytest.raises(sf.ProblemError, match="about gradient descent, got a family with heavy ball"):
        sf.falsify(q["beta"] <= 1, sf.Family(method=heavy), seconds=5)
