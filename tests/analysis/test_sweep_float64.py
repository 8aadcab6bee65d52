"""Sweeps in float64: against closed forms, single runs and many digits."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from cases import reference
from sweep_measures import Serial

import symflow as sf
from symflow.analysis.sweeps.batched import Flows, descents
from symflow.analysis.sweeps.float64 import Group, _rows
from symflow.paths.float64.lanes.solve import Ended


def scalar(activation: str = "linear") -> sf.Problem:
    return sf.Problem(
        network={"widths": [1, 1, 1], "activation": activation},
        data={"x": [[1]], "y": [[1]]},
        init={"theta": ["1/2", "1/2"]},
        run={"horizon": "4"},
    )


@pytest.fixture(scope="module")
def found() -> sf.Sweep:
    """Step sizes of which the last has descent diverge from the largest start."""
    return sf.sweep_float64(scalar(), step_size=["1/16", "1/32", "1/2"], scale=["1", "1/2", "8"])


def test_closed_form_of_two_scalars(found: sf.Sweep) -> None:
    """w_1 = w_2 = w: u = w^2 solves u' = 2u(1 - u), and descent is w_{k+1} = w_k + eta w_k (1 - w_k^2)."""
    table = found.floats()
    done = table[table.step_size < 0.1]
    assert len(done) == 6
    for row in done.itertuples():
        w = np.empty(row.steps + 1)
        w[0] = row.scale / 2
        for k in range(row.steps):
            w[k + 1] = w[k] + row.step_size * w[k] * (1 - w[k] ** 2)
        u = 1 / (1 + (1 / w[0] ** 2 - 1) * np.exp(-2 * row.step_size * np.arange(row.steps + 1)))
        distance = np.sqrt(2) * np.abs(w - np.sqrt(u))
        assert 0 < row.error_estimate < 1e-9
        assert row.error_status == "estimated"
        for value, exact in ((row.max_deviation, distance.max()), (row.final_deviation, distance[-1])):
            assert abs(value - exact) < row.error_estimate + 1e-15
        assert row.final_loss_flow == pytest.approx((u[-1] - 1) ** 2 / 2, rel=1e-7)
        assert row.final_loss_descent == pytest.approx((w[-1] ** 2 - 1) ** 2 / 2, rel=1e-7)
        assert row.final_sharpness_flow == pytest.approx(3 * u[-1] - 1, abs=1e-9)
        assert row.lowest_min_eigenvalue_flow == pytest.approx(np.minimum(3 * u - 1, 1 - u).min(), abs=1e-9)
        for name in ("R4", "R22"):
            assert getattr(row, f"{name}_status") == "sampled"
            assert getattr(row, f"{name}_value") >= distance[-1]


def test_descent_that_diverges_is_a_row(found: sf.Sweep) -> None:
    status = {(row.scale, row.step_size): row.status for row in found.table.itertuples()}
    assert status.pop(("8", "1/2")) == "stopped: diverged"
    assert set(status.values()) == {"done"}
    reason = found.table.reason[found.table.status == "stopped: diverged"].iloc[0]
    assert "step size 0.5 diverges" in reason


def test_the_table_is_that_of_many_digits_in_float64(found: sf.Sweep, tmp_path: Path) -> None:
    """Same columns (R18 has its own flow, and is left to many digits), same values within the estimated errors."""
    digits = sf.sweep(scalar(), step_size="1/32", scale=["1", "1/2"], dps=30, bounds=["R4", "R22"], folder=tmp_path,
                      executor=Serial())  # fmt: skip
    assert list(digits.table.columns) == list(found.table.columns)
    assert set(found.table.dtypes[["max_deviation", "R4_value", "stop_time"]].astype(str)) == {"Float64"}
    assert found.table.dps.isna().all()
    assert found.table.key.isna().all()
    one = found.floats().set_index(["step_size", "scale"])
    for row in digits.floats().itertuples():
        same = one.loc[(row.step_size, row.scale)]
        for name in ("max_deviation", "final_deviation"):
            assert abs(same[name] - getattr(row, name)) < same.error_estimate
        for name in ("R4_value", "R22_value", "initial_loss", "final_loss_flow", "final_sharpness_descent"):
            assert same[name] == pytest.approx(getattr(row, name), rel=1e-7)
    found.save(tmp_path / "sweep.parquet")
    read = pandas.read_parquet(tmp_path / "sweep.parquet")
    pandas.testing.assert_frame_equal(read, found.table)
    assert read.attrs["tolerances"]["rtol"] == 1e-10


METHODS = [sf.GradientDescent(), sf.Nesterov("1/2", weight_decay="1/9"), sf.RMSProp("1/2", "1/50")]


@pytest.mark.parametrize("method", METHODS)
def test_all_runs_of_descent_at_once_are_the_single_ones(method: sf.Method) -> None:
    """Runs of different lengths share a batch; the nudged run shows how much rounding matters."""
    problem = scalar()
    objective = problem.compact
    etas, indices = [Fraction(1, 3), Fraction(1, 50)], [[0, 1, 2, 12], list(range(0, 201, 2))]
    paths = descents(objective, method, np.array([[0.5, 0.5], [0.3, -0.2]]), etas, indices)
    for row, (theta0, (eta, kept)) in enumerate(
        (theta0, run) for theta0 in (["1/2", "1/2"], ["3/10", "-1/5"]) for run in zip(etas, indices, strict=True)
    ):
        start = problem.replace(theta0=theta0, method=method)
        single = sf.descend(start, step_size=eta, steps=kept[-1], keep=kept)
        np.testing.assert_allclose(paths.states[row, : len(kept)], single.iterates, rtol=1e-13, atol=1e-14)
        digits = sf.descend(start, step_size=eta, steps=kept[-1], keep=kept, dps=30)
        error = np.abs(paths.states[row, : len(kept)] - digits.iterates).max()
        assert float(error) <= paths.errors[row] < 1e-12


SEEDS = [0, 9, 18, 92, 239]
"""No kink; a unit that dies; a slide; a slide; a slide that ends."""
SLIDING_AT_THE_END = [9, 18, 92]
COINCIDENT = 385
"""A unit reaches 0, where its five kinks meet."""


def from_seeds(**limits: int) -> sf.Sweep:
    """A network with kinks from seven starts, a batch of one size, so that it is compiled once."""
    starts = {"scheme": "xavier", "seed": [*SEEDS, COINCIDENT - 1, COINCIDENT]}
    return sf.sweep_float64(reference("relu-2-3-1"), step_size="1/20", horizon=5, **starts, **limits)


@pytest.fixture(scope="module")
def kinked() -> sf.Sweep:
    return from_seeds()


def test_networks_with_kinks(kinked: sf.Sweep) -> None:
    """Kinks are located and gates held: what flows with digits say, within the error that the table states."""
    base = reference("relu-2-3-1")
    found = kinked.floats()
    found = found[found.seed.isin(SEEDS)]
    assert len(found) == len(SEEDS)
    assert set(found.status) == {"done"}
    assert set(found.R4_status) == set(found.R22_status) == {"not applicable"}
    assert found.R4_reason.str.contains("with kinks").all()
    assert found.slides.max() > 0
    assert found.error_estimate.max() < 1e-8
    for row in found.itertuples():
        alone = base.replace(theta0=drawn(base, row.seed), horizon=5)
        digits = sf.deviation(alone, step_size="1/20", dps=15, bounds=())
        assert abs(row.max_deviation - float(digits.max)) <= row.error_estimate
        assert row.kink_events == len(digits.flow.events)
        assert row.slides == sum(e.kind == "sliding" for e in digits.flow.events)
        rests = on_a_kink(alone, digits.flow(digits.times[-1]))
        assert rests == (row.seed in SLIDING_AT_THE_END)
        series = digits.flow_series
        for value, exact in (
            (row.final_gradient_norm_flow, series.gradient_norm[-1]),
            (row.final_sharpness_flow, series.max_eigenvalue[-1]),
            (row.final_min_eigenvalue_flow, series.min_eigenvalue[-1]),
        ):
            assert pandas.isna(value) == np.isnan(exact) == rests
            assert rests or value == pytest.approx(exact, abs=1e-7)
        assert row.lowest_min_eigenvalue_flow == pytest.approx(np.nanmin(series.min_eigenvalue), abs=1e-7)


def on_a_kink(problem: sf.Problem, theta: np.ndarray) -> bool:
    """Whether a pre-activation of 2-3-1 networks vanishes at a state with 15 digits."""
    return bool(np.abs(np.asarray(problem.x) @ theta[:6].reshape(3, 2).T).min() < 1e-12)


def drawn(base: sf.Problem, seed: int) -> list[Fraction]:
    return list(sf.Problem(**base.to_dict() | {"init": {"scheme": "xavier", "seed": seed}}).theta0)


def test_a_flow_that_does_not_arrive_is_a_row(kinked: sf.Sweep) -> None:
    """Where kinks meet; at a limit of steps. Both are said of the row that they concern."""
    table = kinked.table.set_index("seed")
    assert table.index[table.status != "done"].tolist() == [COINCIDENT]
    stopped = table.loc[COINCIDENT]
    assert stopped.status == "stopped: coincident"
    assert "5 independent gates reach their kink at once" in stopped.reason
    assert 4.06 < stopped.stop_time < 4.07
    assert table.index[table.max_deviation.isna()].tolist() == [COINCIDENT]
    table = from_seeds(max_steps=5).table
    assert set(table.status) == {"stopped: max-steps"}
    assert table.reason[0].startswith("5 steps led only to t = ")
    smooth = sf.sweep_float64(scalar(), step_size="1/8", scale=["1", "1/1000"], max_steps=5).table
    assert set(smooth.status) == {"stopped: max-steps"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"bounds": ["R18"]}, "among R4, R22 in float64, got 'R18'"),
        ({"rtol": 1}, "rtol must lie in"),
        ({"max_steps": 0}, "max_steps must be"),
        ({"seed": 1}, 'scheme="gaussian"'),
        ({"step_size": 9}, "shorter than one step"),
    ],
)
def test_wrong_input_is_one_line(given: dict[str, Any], message: str) -> None:
    with pytest.raises(sf.ProblemError, match=message) as caught:
        sf.sweep_float64(scalar(), **{"step_size": "1/4"} | given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("method", [sf.HeavyBall("1/2", weight_decay="1/9"), sf.GradientDescent(batches=sf.Batches(1))])
def test_another_method_is_compared_with_its_own_flow(method: sf.Method, tmp_path: Path) -> None:
    """In float64 as with many digits; what is proved of gradient descent does not apply, by name."""
    data = {"x": ["1", "1/2"], "y": ["1", "-1/3"]}
    base = sf.Problem(network=sf.FullyConnected((1, 1, 1)), data=data, init={"theta": ["1/2", "1/3"]})
    fast = sf.sweep_float64(base, step_size=["1/10", "1/20"], horizon=1, method=method).floats()
    settings = {"step_size": ["1/10", "1/20"], "horizon": 1, "dps": 15, "method": method}
    slow = sf.sweep(base, folder=tmp_path, **settings, executor=Serial()).floats()
    np.testing.assert_allclose(fast["max_deviation"], slow["max_deviation"], rtol=1e-8)
    dev = sf.deviation(base, step_size="1/20", horizon=1, dps=15, method=method)
    assert abs(float(dev.max) / slow["max_deviation"][1] - 1) < 1e-12
    for table in (fast, slow):
        assert set(table["R4_reason"]) == {
            f"the bound is one on gradient descent, and the run is one of {method.called}"
        }


def test_numbers_beyond_float64() -> None:
    with pytest.raises(sf.ComputationError, match="beyond float64"):
        sf.sweep_float64(scalar(), step_size="1/4", scale="1e400")


def test_a_spectrum_beyond_float64_is_a_row() -> None:
    """w = (10^160, 10^-160) does not move, since w_1 w_2 = 1 = y, but w_1^2 = 10^320 is no float64."""
    still = np.tile([1e160, 1e-160], (1, 3, 1))
    path = Flows(still, np.zeros(1), np.ones(1), [Ended()], np.zeros((1, 3), dtype=bool), None, None)
    objective = scalar().objective
    group = Group(objective, sf.GradientDescent(), [None], [Fraction(1, 2)], [[0, 1, 2]], path, [np.arange(3)], path)  # type: ignore[list-item]
    (row,) = _rows(group, (), lambda done: None)
    assert row["status"] == "stopped: not computable"
    assert "is not finite" in row["reason"]
