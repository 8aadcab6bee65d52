"""Reports, pictures, and tables, on one small comparison of each kind."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import matplotlib
import mpmath
import numpy as np
import pytest
from matplotlib.figure import Figure
from rich.console import Console

import symflow as sf
from symflow import files
from symflow.analysis.verdict import comparison, verdict
from symflow.cli.commands import run
from symflow.numbers.decimal import decimal, exact_decimal, short
from symflow.plots import style
from symflow.plots.deviation import figure
from symflow.plots.style import render
from symflow.report import report
from symflow.report import terminal as table
from symflow.report.document import document
from symflow.report.json_text import to_json
from symflow.report.pages import pictures
from symflow.report.records import observables_html

EXAMPLES = run.EXAMPLES


def shorter(example: str, **run: Any) -> sf.Problem:
    """A built-in example with other settings."""
    tables = sf.load_problem(EXAMPLES / example).to_dict()
    return sf.Problem(**(tables | {"run": tables["run"] | run}))


@pytest.fixture(scope="module")
def linear() -> Any:
    """The linear example, few digits, few steps."""
    return sf.deviation(shorter("iris-linear.toml", horizon="5", step_size="1/4", dps=20))


@pytest.fixture(scope="module")
def relu() -> Any:
    """The ReLU example up to a little after its first two crossings."""
    return sf.deviation(shorter("iris-relu.toml", horizon="6", step_size="1/10", dps=20))


# ---- numbers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [1, 53, 208, 3000])
def test_decimal_gives_the_number_back(bits: int) -> None:
    with mpmath.workprec(bits):
        values = [mpmath.mpf(1) / 3, -(mpmath.mpf(10) ** 40) / 7, mpmath.mpf(2) ** -300, mpmath.mpf(0)]
        assert [mpmath.mpf(decimal(v, mpmath.mp.dps + 1)) for v in values] == values


def test_decimal_writes_all_digits_of_short_mantissas() -> None:
    text = decimal(mpmath.ldexp(1, -200), 50)
    assert abs(Fraction(text) / Fraction(1, 2**200) - 1) < Fraction(1, 10**52)
    assert decimal(0.1) == "0.1"
    assert decimal(np.float64(1e-300)) == "1e-300"
    assert decimal(mpmath.inf) == "inf"
    assert decimal(7) == "7"


def test_exact_decimal() -> None:
    assert exact_decimal(Fraction(3, 8), 20) == "0.375"
    assert exact_decimal(Fraction(40), 20) == "40"
    assert exact_decimal(Fraction(1, 3), 20) == "0.33333333333333333333"
    awkward = Fraction(1, 2**400)
    assert abs(Fraction(exact_decimal(awkward, 30)) / awkward - 1) < Fraction(1, 10**29)


# ---- the report ---------------------------------------------------------------------------------------------------


def test_report_numbers_are_the_numbers(linear: Any) -> None:
    found = json.loads(to_json(report.full_report(linear, 1.5)))

    def same(text: str, value: Any) -> bool:
        with mpmath.workprec(max(1, int(value._mpf_[1]).bit_length())):
            return bool(mpmath.mpf(text) == value)

    assert len(found["deviation"]) == len(linear.values) == len(found["times"])
    assert all(map(same, found["deviation"], linear.values))
    assert all(map(same, found["rounding"], linear.rounding))
    assert same(found["max_deviation"], linear.max)
    assert [Fraction(t) for t in found["times"]] == [k * linear.step_size for k in linear.indices]
    assert all(map(same, found["flow"]["theta_end"], linear.flow(linear.times[-1])))
    for name, bound in linear.bounds.items():
        assert all(map(same, found["bounds"][name]["values"], bound.values))
        assert found["bounds"][name]["citation"].startswith(name)
    for which, series in (("flow", linear.flow_series), ("descent", linear.descent_series)):
        for key, values in found["series"][which].items():
            assert np.array_equal(np.array(values, dtype=float), getattr(series, key)), key
    assert found["problem"] == linear.problem.to_dict()
    assert {"symflow", "python", "sympy", "mpmath", "numpy", "jax", "gmpy2"} <= set(found["versions"])


def test_report_says_why_bounds_end(relu: Any) -> None:
    found = json.loads(to_json(report.full_report(relu, 1.5)))
    assert [e["time"][:8] for e in found["flow"]["events"]] == ["5.620518", "5.940564"]
    for bound in found["bounds"].values():
        assert "kink" in bound["reason"]
        assert bound["values"][-1] is None
        assert float(bound["last_time"]) == 5.6
    assert found["series"]["flow"]["singular_values"] is None
    nowhere = dataclasses.replace(
        relu.bounds["R4"], values=(None,) * len(relu.times), status="not applicable", reason="of a reason"
    )
    without = dataclasses.replace(relu, bounds={**relu.bounds, "R4": nowhere})
    compared = report.deviation_report(without)
    assert compared["bounds"]["R4"] is None
    assert compared["reasons"]["R4"] == "of a reason"
    assert compared["status"]["R4"] == "not applicable"
    assert "R4" not in verdict(without)
    assert "not applicable: of a reason" in dict(table.run_rows(without))["R4 bound"]
    assert "not applicable: of a reason" in document(without)


@pytest.mark.parametrize("all_along", [False, True])
def test_what_does_not_exist_along_a_slide_is_missing_everywhere(
    relu: Any, all_along: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The curve has a gap, the report has null, and the lowest value is that of the other times."""
    monkeypatch.setattr(style, "render", lambda figure, form: b"")
    known = relu.flow_series
    gone = np.arange(len(relu.times)) >= (0 if all_along else 5)
    parts = {
        name: np.where(gone, np.nan, getattr(known, name))
        for name in ("gradient_norm", "min_eigenvalue", "max_eigenvalue")
    }
    sliding = dataclasses.replace(relu)
    vars(sliding).update(flow_series=dataclasses.replace(known, **parts, reason="it slides"), descent_series=known)
    written = json.loads(to_json(report.full_report(sliding, 1.5)))["series"]["flow"]
    for name, values in parts.items():
        assert [v is None for v in written[name]] == gone.tolist()
        assert [float(v) for v in written[name] if v is not None] == values[~gone].tolist()
    rows = dict(table.run_rows(sliding))
    assert all_along == ("λ_min along the flow" not in rows)
    if not all_along:
        assert short(known.min_eigenvalue[:5].min()) in rows["λ_min along the flow"]
        assert "where it does not slide" in rows["λ_min along the flow"]
    sharp = figure(sliding).axes[-1]
    assert np.isnan(curves(sharp)[r"$\lambda_{\min}$"].get_ydata()).tolist() == gone.tolist()
    assert "missing where it slides along a kink" in pictures(sliding, b"<svg/>")[-1].caption
    shown = observables_html(sliding.flow_series)
    assert "it slides" in shown
    assert "nan" not in shown
    assert all_along != ("missing" in shown)


def test_verdict_is_what_the_series_say(linear: Any) -> None:
    found = comparison(linear, "R22")
    assert found["until_end"]
    assert found["ratio"] == linear.bounds["R22"].values[-1] / linear.values[-1]
    worst = max(abs(v / d - 1) for v, d in zip(linear.bounds["R18"].values[1:], linear.values[1:], strict=True))
    assert comparison(linear, "R18")["worst"] == worst
    said = verdict(linear)
    assert f"at most {mpmath.nstr(linear.max, 3)} " in said
    assert f"predicts it within {mpmath.nstr(100 * worst, 2)} %" in said
    assert f"R22, is {mpmath.nstr(found['ratio'], 3)} times the truth at the end" in said


def test_a_verdict_gives_no_figure_that_was_rounded_away(linear: Any) -> None:
    """The bound is 496.48 times the truth: 496, and not 496.0 as mpmath writes it."""
    bound = dataclasses.replace(linear.bounds["R22"], values=tuple(v * mpmath.mpf("496.48") for v in linear.values))
    said = verdict(dataclasses.replace(linear, bounds={"R22": bound}))
    assert "R22, is 496 times the truth at the end." in said


def test_formulas_compile(relu: Any, linear: Any, tmp_path: Path) -> None:
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not installed")
    for name, dev in (("relu", relu), ("linear", linear)):
        (tmp_path / f"{name}.tex").write_text(document(dev), encoding="utf-8")
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", f"{name}.tex"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
        assert done.returncode == 0, done.stdout[-2000:]
        assert "Overfull" not in done.stdout


# ---- files --------------------------------------------------------------------------------------------------------


def test_files_appear_together_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace, seen = os.replace, []

    def interrupted_once(source: Path, target: Path) -> None:
        seen.append(Path(target).name)
        if len(seen) == 1:
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", interrupted_once)
    with pytest.raises(KeyboardInterrupt):  # answered when all are renamed
        files.write_files(tmp_path, {"a": b"1", "b": b"2"})
    assert seen == ["a", "a", "b"]
    assert {f.name: f.read_bytes() for f in tmp_path.iterdir()} == {"a": b"1", "b": b"2"}
    (tmp_path / "c").mkdir()
    with pytest.raises(IsADirectoryError):
        files.write_files(tmp_path, {"a": b"new", "c": b"new"})
    assert sorted(f.name for f in tmp_path.iterdir()) == ["a", "b", "c"]
    assert (tmp_path / "a").read_bytes() == b"1"


# ---- pictures -----------------------------------------------------------------------------------------------------


def curves(ax: Any) -> dict[str, Any]:
    """The lines of an axes that the legend names."""
    return {str(x.get_label()): x for x in ax.get_lines() if not str(x.get_label()).startswith("_")}


def legend(ax: Any) -> list[str]:
    return [t.get_text() for t in ax.get_legend().get_texts()]


def test_plot_shows_the_deviation_and_its_bounds(linear: Any) -> None:
    ax = linear.plot()
    shown = curves(ax)
    by_result = {"deviation": linear.values} | {n: b.values for n, b in linear.bounds.items()}
    for key, values in by_result.items():
        (line,) = [x for label, x in shown.items() if label.startswith(key) or key in label.split("(")[-1].split()[-1]]
        assert np.array_equal(line.get_xdata(), [float(t) for t in linear.times])
        assert np.array_equal(line.get_ydata()[1:], [float(v) for v in values][1:])
    assert ax.get_yscale() == "log"
    low, high = ax.get_ylim()
    assert low < float(linear.values[1])
    assert high > float(linear.bounds["R4"].values[-1])
    assert set(legend(ax)) == set(shown)
    assert r"$t=k\eta$" in ax.get_xlabel()
    assert any("rounding" in label for label in shown)


def test_plot_draws_into_the_axes_it_is_given(relu: Any) -> None:
    ax = Figure().add_subplot()
    assert relu.plot(ax) is ax
    shown = curves(ax)
    events = [x for x in ax.get_lines() if len(x.get_xdata()) == 2 and np.ptp(x.get_xdata()) == 0]
    assert [x.get_xdata()[0] for x in events] == [float(e.time) for e in relu.flow.events]
    bound = next(line for label, line in shown.items() if "R22" in label).get_ydata()
    assert np.isnan(bound[-1])
    assert np.isfinite(bound[5])


def test_figure_has_loss_and_sharpness_beside(relu: Any, linear: Any) -> None:
    main, strip, loss, sharp = figure(linear).axes
    assert "deviation" in legend(main)[0]
    assert np.array_equal(strip.get_lines()[0].get_ydata(), [float(v) for v in linear.rounding])
    assert np.array_equal(curves(loss)["descent"].get_ydata(), linear.descent_series.loss)
    assert np.array_equal(curves(sharp)[r"$\lambda_{\max}$"].get_ydata(), linear.flow_series.max_eigenvalue)
    assert any("2/" in label for label in legend(sharp))
    assert main.get_xlim() == sharp.get_xlim() == (0, 5)
    large = dataclasses.replace(relu.flow_series, min_eigenvalue=None, max_eigenvalue=None, reason="P is large")
    own = dataclasses.replace(relu.comparison, user_run=True)  # which has no rounding of its own
    without = dataclasses.replace(relu, comparison=own)
    vars(without).update(flow_series=large, descent_series=large)  # kept once they are known
    main, _, sharp = figure(without).axes
    assert not any("rounding" in label for label in legend(main))
    assert sharp.texts[0].get_text() == "not computed"
    assert "not computed: P is large" in dict(table.run_rows(without))["η·λ_max"]


def test_a_bound_without_measure_does_not_hide_the_deviation(linear: Any) -> None:
    absurd = dataclasses.replace(
        linear.bounds["R4"],
        values=(mpmath.mpf(0), *(mpmath.mpf(10) ** (50 * i) for i in range(1, len(linear.times)))),
    )
    ax = dataclasses.replace(linear, bounds={**linear.bounds, "R4": absurd}).plot()
    assert ax.get_ylim()[1] < 1e9 * float(linear.max)


def opened() -> list[int]:
    """The figures that pyplot holds."""
    from matplotlib import pyplot

    return pyplot.get_fignums()


def test_pictures_are_deterministic_and_leave_settings_alone(linear: Any) -> None:
    before, before_figures = repr(matplotlib.rcParams.copy()), opened()
    svg = [render(figure(linear), "svg") for _ in range(2)]
    assert svg[0] == svg[1]
    assert b"<dc:date>" not in svg[0]
    assert render(figure(linear), "png", 40).startswith(b"\x89PNG")
    assert repr(matplotlib.rcParams.copy()) == before
    assert opened() == before_figures  # those that are written to files are none of pyplot's, which keeps them


# ---- tables ------------------------------------------------------------------------------------------------------


def printed(*things: Any) -> str:
    console = Console(file=io.StringIO(), width=100)
    for thing in things:
        console.print(thing)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def test_run_table_has_every_row(relu: Any, linear: Any) -> None:
    shown = printed(table.run_table(relu))
    for part in (
        "relu 4-3-3",
        "P = 21",
        "N = 12",
        "η = 1/10, 60 steps",
        "2 kink crossings",
        "R18",
        "R22",
        "R4",
        "loss",
    ):
        assert part in shown
    assert shown.count("the flow meets a kink") == 1
    assert "2 kink" not in printed(table.run_table(linear))


def test_deviation_table_shows_first_and_last_time(linear: Any) -> None:
    rows = printed(*table.deviation_tables(linear)).splitlines()
    assert rows[2].split()[:2] == ["0", "0.0"]
    assert rows[-1].split()[:2] == ["5", short(linear.values[-1])]


def test_parameters_have_names(linear: Any) -> None:
    names = linear.problem.objective.parameter_names()
    assert names[:2] == ["W1_11", "W1_12"]
    assert names[-1] == "W3_33"
    assert len(set(names)) == len(names) == len(linear.problem.theta0)
