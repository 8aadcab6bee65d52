"""Sweeps with many digits: axes, rows against closed forms and single runs, files that are trusted or not, tables."""

from __future__ import annotations

import json
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import mpmath
import pandas
import pytest
from cases import reference
from sweep_measures import Serial, faulty, final_weight

import symflow as sf
from symflow.analysis.sweeps.axes import axes_of, starts


def scalar(**run: Any) -> sf.Problem:
    """h(x) = w_2 w_1 x on the one sample (1, 1): the loss is (w_1 w_2 - 1)^2 / 2."""
    return sf.Problem(
        network={"widths": [1, 1, 1], "activation": "linear"},
        data={"x": [[1]], "y": [[1]]},
        init={"theta": ["1/2", "1/2"]},
        run={"horizon": "4", "dps": 30} | run,
    )


def drawn(**init: Any) -> sf.Problem:
    return sf.Problem(
        network={"widths": [2, 3, 1], "activation": "relu"},
        data={"x": [[1, 2], ["1/2", -1]], "y": [[1], [0]]},
        init={"scheme": "gaussian"} | init,
        run={"horizon": 1, "step_size": "1/4"},
    )


# Against mathematics ------------------------------------------------------------------------------------------------


def test_rows_are_the_closed_form_of_two_scalars(tmp_path: Path) -> None:
    """w_1 = w_2 = w: u = w^2 solves u' = 2u(1 - u), and descent is w_{k+1} = w_k + eta w_k (1 - w_k^2)."""
    etas, scales = (Fraction(1, 16), Fraction(1, 32)), (Fraction(1), Fraction(1, 2))
    found = sf.sweep(scalar(), step_size=etas, scale=scales, folder=tmp_path, executor=Serial())
    assert [(row.scale, row.step_size) for row in found.table.itertuples()] == [
        (str(scale), str(eta)) for scale in scales for eta in etas
    ]
    for row in found.table.itertuples():
        with mpmath.workdps(60):
            eta, start = mpmath.mpf(1) / Fraction(row.step_size).denominator, mpmath.mpf(1) / 2
            w = start / Fraction(row.scale).denominator
            u0 = w**2
            distances, flow = [], u0
            for k in range(row.steps + 1):
                flow = 1 / (1 + (1 / u0 - 1) * mpmath.exp(-2 * k * eta))
                distances.append(mpmath.sqrt(2) * abs(w - mpmath.sqrt(flow)))
                last, w = w, w + eta * w * (1 - w**2)
            exact = {
                "max_deviation": max(distances),
                "final_deviation": distances[-1],
                "initial_loss": (u0 - 1) ** 2 / 2,
                "final_loss_flow": (flow - 1) ** 2 / 2,
                "final_loss_descent": (last**2 - 1) ** 2 / 2,
            }
            for name, value in exact.items():
                assert abs(mpmath.mpf(getattr(row, name)) - value) < mpmath.mpf(10) ** -29, name
            assert mpmath.mpf(row.error_estimate) < mpmath.mpf(10) ** -29
            # The Hessian is ((w^2, 2w^2 - 1), (2w^2 - 1, w^2)), with eigenvalues 3u - 1 and 1 - u.
            assert abs(row.initial_sharpness - float(max(3 * u0 - 1, 1 - u0))) < 1e-14
            assert abs(row.final_sharpness_flow - float(3 * flow - 1)) < 1e-12
            assert abs(row.final_sharpness_descent - float(3 * last**2 - 1)) < 1e-12
            assert abs(row.final_min_eigenvalue_flow - float(1 - flow)) < 1e-12
            assert row.kink_events == row.slides == 0
            for name in ("R4", "R22"):
                assert getattr(row, f"{name}_status") == "sampled"
                assert mpmath.mpf(getattr(row, f"{name}_value")) >= distances[-1]
                ratio = mpmath.mpf(getattr(row, f"{name}_value")) / distances[-1]
                assert abs(getattr(row, f"{name}_ratio") - float(ratio)) < 1e-9 * float(ratio)
            assert row.R18_status == "estimated"
    table = found.floats()
    for scale in scales:
        coarse, fine = table[table.scale == float(scale)].final_deviation
        assert abs(coarse / fine - 2) < 0.2  # of first order in eta


def test_rows_are_those_of_single_runs(tmp_path: Path) -> None:
    base = reference("relu-2-3-1")
    found = sf.sweep(base, scheme="xavier", seed=[3], step_size="1/50", horizon=2, dps=20, folder=tmp_path,
                     executor=Serial())  # fmt: skip
    tables = base.to_dict() | {"init": {"scheme": "xavier", "seed": 3}}
    tables["run"] = {"horizon": 2, "step_size": "1/50", "dps": 20}
    dev = sf.deviation(sf.Problem(**tables))
    (row,) = found.table.itertuples()
    with mpmath.workdps(35):  # that of a run with 20 digits
        assert mpmath.mpf(row.max_deviation) == dev.max
        assert mpmath.mpf(row.final_deviation) == dev.values[-1]
    assert row.kink_events == len(dev.flow.events)
    assert row.lowest_min_eigenvalue_flow == pytest.approx(dev.flow_series.min_eigenvalue.min(), abs=1e-12)
    for name, series in dev.bounds.items():
        absent = series.values[-1] is None
        assert getattr(row, f"{name}_status") == ("not applicable" if absent else series.status)
        assert pandas.isna(getattr(row, f"{name}_value")) == absent
        assert pandas.isna(getattr(row, f"{name}_reason")) == (not absent)


def test_stops_and_divergence_are_rows(tmp_path: Path) -> None:
    found = sf.sweep(scalar(), step_size=["1/8", "4"], scale=[1, 4], horizon=40, dps=15, folder=tmp_path,
                     bounds=(), executor=Serial())  # fmt: skip
    status = {(row.scale, row.step_size): row.status for row in found.table.itertuples()}
    assert status["1", "1/8"] == "done"
    assert status["4", "4"] == "stopped: diverged"
    assert "diverges" in found.table.reason[3]
    # Both weights 0 beside a repelling kink: w_1 = 0, w_2 = 1, target 1. The flow is not unique (docs/theory/kinks.md).
    repelling = sf.Problem(
        network={"widths": [1, 1, 1], "activation": "relu"},
        data={"x": [[1]], "y": [[1]]},
        init={"theta": [0, 1]},
        run={"horizon": 1, "step_size": "1/4"},
    )
    (row,) = sf.sweep(repelling, folder=tmp_path, executor=Serial()).table.itertuples()
    assert row.status == "stopped: repelling"
    assert float(row.stop_time) == 0
    assert pandas.isna(row.max_deviation)
    assert sf.sweep(repelling, folder=tmp_path, executor=Serial()).reused == 1  # a stop is a result


def test_descent_on_its_way_to_infinity_is_a_row(tmp_path: Path) -> None:
    """w -> w + w (1 - w^2) / 2 from 4 passes 1e102 in five steps: what lies between them cannot be sampled."""
    found = sf.sweep(scalar(), step_size="1/2", scale=8, horizon="5/2", dps=20, folder=tmp_path, executor=Serial())
    (row,) = found.table.itertuples()
    w = mpmath.mpf(4)
    for _ in range(5):
        w += w * (1 - w**2) / 2
    assert mpmath.almosteq(mpmath.mpf(row.final_loss_descent), (w**2 - 1) ** 2 / 2, rel_eps=1e-12)
    assert row.R4_status == row.R22_status == "not applicable"
    assert "take a smaller step size" in row.R22_reason


# Axes ---------------------------------------------------------------------------------------------------------------


def problems(base: sf.Problem, **given: Any) -> list[Any]:
    named = {"step_size": None, "seed": None, "depth": None, "width": None, "scale": None, "scheme": None}
    return list(starts(base, axes_of(base, **named | given)))


def test_axes_make_the_problems_they_say() -> None:
    made = problems(drawn(scale="1/3", seed=5), depth=[1, 2, 3], width=[2, 4], seed=range(2))
    assert [(s.coordinates["widths"], s.coordinates["seed"]) for s in made] == [
        (widths, seed) for widths in ("2-1", "2-2-1", "2-4-1", "2-2-2-1", "2-4-4-1") for seed in (0, 1)
    ]
    for start in made:
        tables = drawn().to_dict()
        widths = [int(d) for d in start.coordinates["widths"].split("-")]
        tables["network"]["widths"] = widths
        tables["init"] = {"scheme": "gaussian", "scale": "1/3", "seed": start.coordinates["seed"]}
        assert sf.Problem(**tables).theta0 == start.problem.theta0
        assert start.problem.network.widths == tuple(widths)
        assert start.coordinates["width"] == (widths[1] if len(widths) > 2 else None)
    assert len({id(s.problem.objective) for s in made}) == 5  # one for each architecture: compiled once
    assert [s.coordinates["depth"] for s in problems(drawn(), depth=[2, 4])] == [2, 4]
    base = drawn(seed=7, scale="1/9")
    (same,) = problems(base)
    assert same.problem.theta0 == base.theta0
    assert same.coordinates == {"seed": 7, "depth": 2, "width": 3, "widths": "2-3-1", "scheme": "gaussian",
                                "scale": Fraction(1, 9)}  # fmt: skip
    (other,) = problems(base, scheme="xavier")
    assert (other.coordinates["seed"], other.coordinates["scale"]) == (7, 1)  # xavier's own scale


def test_a_given_start_is_multiplied_by_the_scale() -> None:
    made = problems(scalar(), scale=["1/3", 0.1, "1/3"])
    assert [s.problem.theta0[0] for s in made] == [Fraction(1, 6), Fraction(1, 20)]  # a float is its shortest decimal
    assert made[0].coordinates["seed"] is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"seed": range(3)}, 'scheme="gaussian"'),
        ({"depth": 3}, 'scheme="gaussian"'),
        ({"scheme": "glorot", "seed": 1}, "one of gaussian, xavier, balanced, got 'glorot'"),
        ({"scheme": "xavier", "seed": -1}, "seed must be a whole number from 0 to 9223372036854775807"),
        ({"scheme": "xavier", "seed": "1"}, "seed must be a whole number"),
        ({"scheme": "xavier", "depth": [2, True]}, "depth must be a whole number"),
        ({"scheme": "xavier", "depth": 0}, "depth must be a whole number from 1 to 1000"),
        ({"scheme": "xavier", "width": 2.5}, "width must be a whole number"),
        ({"scale": 0}, "scale must be positive"),
        ({"scale": []}, "at least one value"),
        ({"step_size": "0"}, "step_size must be positive"),
        ({"step_size": "fast"}, "step_size must be"),
        ({"step_size": None}, "run.step_size"),
        ({"step_size": 5}, "shorter than one step"),
        ({"horizon": 0}, "horizon must be positive"),
        ({"dps": 3}, "dps must be"),
        ({"bounds": ["R5x"]}, "bounds must be names among R4, R22"),
        ({"measure": lambda problem: {}}, "pickled"),
        ({"measure": 3}, "measure must be a function"),
        ({"executor": "dask"}, r"client.get_executor\(\)"),
        ({"executor": Serial(), "workers": 2}, "workers goes with the local pool"),
        ({"workers": 0}, "workers must be a whole number"),
        ({"scale": range(1, 401), "step_size": [f"1/{k}" for k in range(1, 301)]}, "at most 100000 tasks"),
        ({"folder": 3}, "folder must be the name"),
        ({"folder": __file__}, "folder must be a directory"),
    ],
)
def test_wrong_input_is_one_line(tmp_path: Path, given: dict[str, Any], message: str) -> None:
    with pytest.raises(sf.ProblemError, match=message) as caught:
        sf.sweep(scalar(), **{"folder": tmp_path, "step_size": "1/4"} | given)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_bases_that_cannot_be_varied() -> None:
    with pytest.raises(sf.ProblemError, match="stand-alone objective"):
        problems(sf.Problem(objective=scalar().objective, theta0=[1, 1]))
    with pytest.raises(sf.ProblemError, match="load_problem"):
        problems("problem.toml")  # type: ignore[arg-type]
    uneven = sf.Problem(**drawn().to_dict() | {"network": {"widths": [2, 3, 4, 1], "activation": "linear"},
                                              "init": {"scheme": "xavier"}})  # fmt: skip
    with pytest.raises(sf.ProblemError, match="2-3-4-1, do not say how wide 3 hidden layers are; give width"):
        problems(uneven, depth=4)
    assert problems(uneven, depth=1)[0].coordinates["widths"] == "2-1"
    layers = [{"kind": "convolution", "channels": 1, "kernel": 2}, {"kind": "dense", "width": 1}]
    convolutional = sf.Problem(
        network={"kind": "convolutional", "input": [1, 3], "layers": layers, "activation": "relu"},
        data={"x": [[1, 2, 3]], "y": [[1]]},
        init={"scheme": "xavier"},
    )
    with pytest.raises(sf.ProblemError, match="fully-connected network, got convolutional"):
        problems(convolutional, depth=2)
    assert len(problems(convolutional, seed=range(3))) == 3


# Files --------------------------------------------------------------------------------------------------------------


def swept(folder: Path, **given: Any) -> tuple[sf.Sweep, int]:
    """A quick sweep, and how many tasks it submitted."""
    executor = Serial()
    settings = {"step_size": ["1/4", "1/8"], "scale": [1, 2], "dps": 20, "measure": final_weight}
    found = sf.sweep(scalar(), folder=folder, executor=executor, **settings | given)
    return found, executor.submitted


def test_nothing_is_computed_twice(tmp_path: Path) -> None:
    first, count = swept(tmp_path)
    assert (count, first.computed, first.reused) == (4, 4, 0)
    files = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert sorted(files) == sorted(f"{key}.json" for key in first.table.key)
    again, count = swept(tmp_path)
    assert (count, again.computed, again.reused) == (0, 0, 4)
    pandas.testing.assert_frame_equal(again.table, first.table)
    wider, count = swept(tmp_path, scale=[2, 3])  # shares half of its tasks
    assert (count, wider.computed, wider.reused) == (2, 2, 2)
    assert {f.name: f.read_bytes() for f in tmp_path.iterdir() if f.name in files} == files
    # Whatever the result depends on changes the key.
    for change in ({"dps": 21}, {"horizon": 3}, {"measure": partial(final_weight)}):
        assert swept(tmp_path, **change)[1] == 4
    sweep_file = json.loads((tmp_path / f"{first.table.key[0]}.json").read_text())
    assert sweep_file["task"]["problem"]["run"] == {"horizon": "4", "step_size": "1/4", "dps": 20}
    assert sweep_file["result"]["final_weight"] == {"decimal": first.table.final_weight[0]}


def _of_another_task(file: Path) -> None:
    """Whole, and right in itself, but about another problem."""
    data = json.loads(file.read_text())
    data["task"]["problem"]["run"]["step_size"] = "1/5"
    file.write_text(json.dumps(data))


def _altered(file: Path) -> None:
    file.write_text(file.read_text().replace('"steps": 16', '"steps": 17'))


@pytest.mark.parametrize(
    "spoil",
    [
        _of_another_task,
        _altered,
        lambda file: file.write_bytes(file.read_bytes()[:-40]),
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(b"\xff\x00"),
        lambda file: file.write_text("[]"),
    ],
    ids=["another task", "altered", "truncated", "empty", "no text", "no object"],
)
def test_a_file_that_is_not_right_is_computed_anew(tmp_path: Path, spoil: Any) -> None:
    first, _ = swept(tmp_path)
    file = tmp_path / f"{first.table.key[0]}.json"
    before = file.read_bytes()
    spoil(file)
    assert file.read_bytes() != before
    again, count = swept(tmp_path)
    assert count == 1
    assert list(again.table.final_weight) == list(first.table.final_weight)
    assert swept(tmp_path)[1] == 0


def test_an_executor_elsewhere_may_not_share_the_folder(tmp_path: Path) -> None:
    """What its workers send is then written here, also in place of a damaged file."""

    class Elsewhere(Serial):
        def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Any:
            key, description, _, measure = args
            there = tmp_path / "elsewhere"
            there.mkdir(exist_ok=True)
            return super().submit(function, key, description, str(there), measure)

    here = tmp_path / "here"
    sf.sweep(scalar(), step_size="1/4", measure=final_weight, folder=here, executor=Elsewhere())
    (file,) = here.glob("*.json")
    assert swept(here, scale=None, step_size="1/4", dps=30)[1] == 0
    file.write_bytes(b"")
    sf.sweep(scalar(), step_size="1/4", measure=final_weight, folder=here, executor=Elsewhere())
    assert swept(here, scale=None, step_size="1/4", dps=30)[1] == 0


# Measures and tables ------------------------------------------------------------------------------------------------


def test_a_measure_of_ones_own_and_its_errors(tmp_path: Path) -> None:
    found = sf.sweep(scalar(), step_size=["1", "1/2", "1/3", "1/4", "1/5"], measure=faulty, folder=tmp_path,
                     executor=Serial())  # fmt: skip
    table = found.table.set_index("step_size")
    assert list(table.status) == ["done", "failed: ZeroDivisionError", "stopped: not computable", "done",
                                  "failed: TypeError"]  # fmt: skip
    assert table.reason["1/2"] == "division by zero"
    assert list(found.failed.step_size) == ["1/2", "1/5"]
    assert "2 done" in repr(found)
    assert len(list(tmp_path.iterdir())) == 3  # failures leave no file, and are tried again
    row = table.loc["1"]
    assert (row.whole, row.flag, row.real, row.infinite) == (7, True, 0.1, float("inf"))
    assert (row.exact, row.word, row.large, row.mixed) == ("1", "yes", str(2**70), 2.5)
    assert abs(Fraction(row.mpf) - Fraction(2 / 3)) < Fraction(1, 10**19)  # all digits of this 53-bit number
    assert pandas.isna(row.nothing)
    assert pandas.isna(table.loc["1/2"].whole)
    assert [str(table[name].dtype) for name in ("whole", "flag", "real", "mpf", "mixed")] == [
        "Int64", "boolean", "Float64", "string", "Float64"
    ]  # fmt: skip


def test_a_measure_may_not_take_the_names_of_other_columns(tmp_path: Path) -> None:
    found = sf.sweep(scalar(), step_size="1/4", measure=status_measure, folder=tmp_path, executor=Serial())
    assert found.table.status[0] == "failed: ProblemError"
    assert "status" in found.table.reason[0]


def status_measure(problem: sf.Problem) -> dict[str, Any]:
    return {"status": "fine"}


def test_parquet_keeps_every_digit_and_describes_itself(tmp_path: Path) -> None:
    found, _ = swept(tmp_path / "tasks", dps=60)
    found.save(tmp_path / "sweep.parquet")
    read = pandas.read_parquet(tmp_path / "sweep.parquet")
    pandas.testing.assert_frame_equal(read, found.table)
    assert read.attrs == found.table.attrs
    with mpmath.workdps(90):
        exact = mpmath.mpf(1) / 2
        for _ in range(16):
            exact += exact * (1 - exact**2) / 4
        assert abs(mpmath.mpf(read.final_weight[0]) - exact) < mpmath.mpf(10) ** -59
    assert sf.Problem(**read.attrs["base"]).theta0 == scalar().theta0
    assert read.attrs["axes"]["step_size"] == ["1/4", "1/8"]
    assert read.attrs["versions"]["symflow"] == sf.__version__
    assert read.attrs["kinds"]["final_weight"] == "decimal"
    assert found.floats().final_weight.dtype == "Float64"
    assert found.floats().step_size.tolist() == [0.25, 0.125, 0.25, 0.125]
    with pytest.raises(sf.ProblemError, match=r"must end in \.parquet"):
        found.save(tmp_path / "sweep.csv")
    with pytest.raises(sf.ProblemError, match="cannot be written"):
        found.save(tmp_path / "missing" / "sweep.parquet")


def test_missing_pandas_is_said_before_anything_is_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("symflow.analysis.sweeps.table.find_spec", lambda name: None if name == "pyarrow" else name)
    with pytest.raises(sf.ComputationError, match=r"pyarrow.*pip install symflow\[sweeps\]"):
        swept(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_progress_counts_tasks(tmp_path: Path) -> None:
    seen: list[float] = []
    swept(tmp_path, progress=seen.append)
    assert seen == [0, 0.25, 0.5, 0.75, 1]
    seen.clear()
    swept(tmp_path, progress=seen.append)
    assert seen == [1]
