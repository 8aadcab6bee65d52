"""`symflow falsify`: claims in files, verdicts, files, exit status."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest
import sympy

import symflow as sf
from symflow.analysis.falsify.claim_file import load_claim
from symflow.cli.app import main
from symflow.problem.expression import parse_inequality

SMALL = "[family]\ndepths = [2]\nwidths = [1, 1]\nsamples = [1, 1]\n"


def written(folder: Path, text: str) -> str:
    (folder / "claim.toml").write_text(text, encoding="utf-8")
    return str(folder / "claim.toml")


def test_a_false_claim_is_refuted_and_rechecked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # R9(a) with n - 2 in place of n - 1
    file = written(tmp_path, f'claim = "lambda_min >= -(n - 2)*grad_phi_F*max_product"\nseconds = 20\n{SMALL}')
    assert main(["falsify", file, "--out", str(tmp_path / "out"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["refuted"] is True
    assert float(found["violation"]) > 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "counterexample.toml",
        "report.html",
        "verdict.json",
    ]
    counterexample = tmp_path / "out" / "counterexample.toml"
    problem = sf.load_problem(counterexample)
    # two scalar layers: f = (a b x - y)^2/2, Hessian [[b^2 x^2, s], [s, a^2 x^2]] with s = a b x^2 + (a b x - y) x
    (a, b), x, y = problem.theta0, problem.x[0, 0], problem.y[0, 0]
    s = a * b * x * x + (a * b * x - y) * x
    assert b * b * a * a * x**4 < s * s  # an eigenvalue below 0 where the claim says at least 0
    assert found["counterexample"]["init"]["theta"] == [str(Fraction(v)) for v in problem.theta0]
    assert main(["falsify", file, "--check", str(counterexample), "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["refuted"] is True
    assert again["violation"] == found["violation"]
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "Refuted: a proof" in page
    assert "counterexample.toml" in page


def test_a_claim_about_networks_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a bias alone, f = (w x + b - y)^2/2 is convex; a second layer makes it not so. The network comes back."""
    shape = 'widths = [1, 1, 1]\nactivation = "tanh"\nbiases = [true, false]\n'
    file = written(tmp_path, f'claim = "lambda_min >= 0"\nseconds = 20\n[[family.networks]]\n{shape}')
    assert main(["falsify", file, "--out", str(tmp_path / "out"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["refuted"] is True
    network = found["counterexample"]["network"]
    assert (network["widths"], network["activation"], network["biases"]) == ([1, 1, 1], "tanh", [True, False])
    one = 'widths = [1, 1]\nactivation = "linear"\nbiases = true\n'
    file = written(tmp_path, f'claim = "lambda_min >= 0"\nseconds = 1\n[[family.networks]]\n{one}')
    assert main(["falsify", file, "--out", str(tmp_path / "out"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["refuted"] is False


def test_every_quantity_is_shown_as_mathematics() -> None:
    from symflow.analysis.falsify.claim import read_claim
    from symflow.analysis.falsify.vocabulary import quantity_latex
    from symflow.report.mathml import mathml

    known = sf.claim_quantities()
    assert [name for name in known if mathml(quantity_latex(name), True).startswith("<code>")] == []
    claim = known["f_descent"].symbol <= known["lambda_max_0"].symbol * known["s_12"].symbol
    assert read_claim(claim).latex() == (r"{f\big|_{\theta_k}} \leq {\lambda_{\max}\big|_{\theta(0)}} s_{12}")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("[[family.networks]]\nwidths = [2]\nactivation = 'linear'\n", "family.networks[0].widths must be"),
        ("[[family.networks]]\nwidths = [2, 1]\nactivation = 'rely'\n", "family.networks[0].activation must be"),
        ("[[family.networks]]\nwidths = [2, 1]\nactivation = 'relu'\nbiasses = true\n", "did you mean biases?"),
        ("[family]\ndepths = [2]\n[[family.networks]]\nwidths = [2, 1]\n", "family.depths is for drawn networks"),
        ("[family]\nnetworks = 3\n", "family.networks must be a list of tables [[family.networks]], got 3"),
        ("[family]\nnetworks = [3]\n", "family.networks[0]"),
    ],
)
def test_a_wrong_network_is_one_line(
    table: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["falsify", written(tmp_path, f'claim = "f >= 0"\n{table}')]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


def test_a_true_claim_is_not_refuted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path, f'claim = "f >= 0"\n{SMALL}')
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "counterexample.toml").write_text("of an earlier search", encoding="utf-8")
    assert main(["falsify", file, "--out", str(tmp_path / "out"), "--seconds", "1/2"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("not refuted")
    assert not (tmp_path / "out" / "counterexample.toml").exists()
    assert "which proves nothing" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_conditions_and_families_are_read(tmp_path: Path) -> None:
    text = (
        'claim = "Max(f_descent, f) <= f_0 + 1/3"\ngiven = ["eta*lambda_max_0 <= 1", "lambda_min_0 > 0"]\nseed = 3\n'
        '[family]\nactivations = ["relu"]\ntimes = ["1/100", 2.5]\n'
        '[descent]\nmethod = "heavy-ball"\nmomentum = "9/10"\n'
    )
    read = load_claim(written(tmp_path, text))
    q = {name: quantity.symbol for name, quantity in sf.claim_quantities().items()}
    assert read.claim.inequality.relation == sympy.Le(
        sympy.Max(q["f_descent"], q["f"]), q["f_0"] + sympy.Rational(1, 3)
    )
    assert [part.relation for part in read.claim.given] == [q["eta"] * q["lambda_max_0"] <= 1, q["lambda_min_0"] > 0]
    assert read.settings == {"seconds": 60, "seed": 3, "dps": 50}
    assert (read.family.activations, read.family.times) == (("relu",), (0.01, 2.5))
    assert read.family.method == sf.HeavyBall("9/10")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "claim is missing"),
        ('claim = "lambda_mim >= 0"', "did you mean lambda_min?"),
        ('claim = "lambda_min"', "one inequality"),
        ('claim = "lambda_min == 0"', "one inequality"),
        ('claim = "0 <= f <= 1"', "one inequality"),
        ("claim = \"__import__('os').system('true') >= 0\"", "unknown quantity"),
        ('claim = "f.real >= 0"', "unknown quantity"),
        ('claim = "(lambda: f)() >= 0"', "claim"),
        ("claim = 3", "must be text"),
        ('claim = "f >= 0"\ncliam = 1', "not a known key"),
        ('claim = "f >= 0"\n[family]\nwidth = 3', "family.width is not a known key"),
        ('claim = "f >= 0"\n[family]\nwidths = [3, 1]', "swap them"),
        ('claim = "f >= 0"\n[family]\ntimes = ["x", 1]', "family.times"),
        ('claim = "f >= 0"\nseconds = -1', "seconds must be a positive number"),
    ],
)
def test_wrong_claims_are_refused_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    assert main(["falsify", written(tmp_path, text), "--out", str(tmp_path / "out")]) == 2
    shown = capsys.readouterr().err
    assert said in shown
    assert shown.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_inequalities_are_data() -> None:
    x = sympy.Symbol("x")
    assert parse_inequality("2*x^2 < 0.1", {"x": x}, "it") == (2 * x**2 < sympy.Rational(1, 10))
