"""The paper's experiments, small: against plain NumPy, against a tighter flow, the result file, the command, kills."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from rich.console import Console

import symflow as sf
from symflow.analysis.experiments import Experiment, study
from symflow.analysis.experiments.descent import descend_in_chunks
from symflow.analysis.experiments.images import digits
from symflow.analysis.experiments.networks import architecture, network_problem
from symflow.analysis.experiments.reference import FlowRun, estimated_error
from symflow.analysis.experiments.settings import checked_settings
from symflow.cli.app import main
from symflow.progress import Reporter
from symflow.report.screen import as_text
from symflow.report.tables import network_parts

SMALL = {"samples": 40, "iterations": 60, "step_size": "1/100", "ratios": (2, 20), "tolerances": ("1e-4", "1e-6")}


def plain_data(samples: int) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits  # half a second, in this process only

    found = load_digits()
    pixels = (found.data - found.data.mean()) / found.data.std()
    return pixels[:samples].astype(np.float64), np.eye(10)[found.target[:samples]]


def plain_gradient(weights: list[np.ndarray], x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    """The gradient of the mean cross-entropy of a linear network, by hand."""
    products = [x.T]
    for w in weights:
        products.append(w @ products[-1])
    z = products[-1] - products[-1].max(axis=0)
    delta = (np.exp(z) / np.exp(z).sum(axis=0) - y.T) / len(x)
    slopes = []
    for w, a in zip(weights[::-1], products[-2::-1], strict=True):
        slopes.append(delta @ a.T)
        delta = w.T @ delta
    return slopes[::-1]


def plain_descent(theta: np.ndarray, eta: float, steps: int, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    shapes = [(50, 64), (50, 50), (10, 50)]
    cuts = np.cumsum([a * b for a, b in shapes])[:-1]
    weights = [w.reshape(s) for w, s in zip(np.split(theta, cuts), shapes, strict=True)]
    for _ in range(steps):
        weights = [w - eta * g for w, g in zip(weights, plain_gradient(weights, x, y), strict=True)]
    return np.concatenate([w.ravel() for w in weights])


@pytest.mark.parametrize("elsewhere", [False, True])
def test_digits_are_those_of_scikit_learn(elsewhere: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read from its file, or by it where the file is not."""
    if elsewhere:
        monkeypatch.setattr(Path, "is_file", lambda path: False)
    found, (pixels, classes) = digits.__wrapped__(50), plain_data(50)
    np.testing.assert_allclose(found.pixels.reshape(50, -1), pixels, rtol=1e-14)
    np.testing.assert_array_equal(np.eye(10)[found.labels], classes)


@pytest.fixture(scope="module")
def linear(tmp_path_factory: pytest.TempPathFactory) -> tuple[Experiment, Path]:
    folder = tmp_path_factory.mktemp("linear")
    return sf.experiment("linear", **SMALL, folder=folder), folder


@pytest.fixture(scope="module")
def problem() -> sf.Problem:
    return network_problem("linear", digits(40), 0)


def test_descent_is_that_of_plain_numpy(linear: tuple[Experiment, Path], problem: sf.Problem) -> None:
    x, y = plain_data(40)
    start = np.array([float(v) for v in problem.theta0])
    ends = {r: plain_descent(start, 0.01 / r, 60 * r, x, y) for r in (1, 2)}
    runs = linear[0].networks["linear"].runs
    for ratio, end in ends.items():
        assert abs(runs[ratio].from_start[-1] - np.linalg.norm(end - start)) < 1e-12
        assert runs[ratio].iterations == 60 * ratio
    assert abs(runs[2].from_base[-1] - np.linalg.norm(ends[1] - ends[2])) < 1e-12
    assert runs[2].from_base[-1] > 1e-4  # what the two lines above could not confuse with rounding


def test_distance_to_the_flow_and_its_error(linear: tuple[Experiment, Path], problem: sf.Problem) -> None:
    found = linear[0].networks["linear"]
    x, y = plain_data(40)
    start = np.array([float(v) for v in problem.theta0])
    truth = sf.solve_flow_float64(problem, horizon="0.6", rtol=1e-12, atol=1e-14, estimate_error=False)
    end = truth.numpy([found.times[-1]])[0]
    apart = np.linalg.norm(plain_descent(start, 0.01, 60, x, y) - end)
    error = found.flow.error[-1]
    assert abs(found.runs[1].from_flow[-1] - apart) <= error < 1e-2 * apart
    # order one: twenty times the steps, a twentieth of the distance
    assert abs(found.runs[1].from_flow[-1] / found.runs[20].from_flow[-1] - 20) < 1
    # the estimate is no smaller than the error at any time, which the bare difference of the two runs can be
    states = truth.numpy(found.times)
    loose, tight = (
        sf.solve_flow_float64(problem, horizon="0.6", rtol=r, atol=r / 100, estimate_error=False).numpy(found.times)
        for r in (1e-4, 1e-6)
    )
    true_error = np.linalg.norm(tight - states, axis=1)
    assert (true_error <= found.flow.error).all()
    assert not (true_error <= np.linalg.norm(tight - loose, axis=1)).all()  # both began with the same steps
    assert found.flow.tolerances[0].difference.max() == found.flow.error[-1]
    assert found.flow.tolerances[-1].difference.max() == 0


def test_error_is_not_known_where_two_runs_took_the_same_steps() -> None:
    states = np.array([[0.0, 1.0], [1.0, 1.0], [2.0, 0.0]])
    later = states + np.array([[0.0], [0.0], [1e-3]])
    one, same, other = (FlowRun(1e-4, 1, 0, 1, 0, 0.0, s) for s in (states, states.copy(), later))
    np.testing.assert_array_equal(estimated_error(one, same), [0, np.nan, np.nan])
    np.testing.assert_allclose(estimated_error(one, other), [0, 2**0.5 * 1e-3, 2**0.5 * 1e-3])


@pytest.mark.thorough
def test_error_of_the_flow_is_honest_across_kinks() -> None:
    settings = {"samples": 20, "iterations": 40, "step_size": "1/100", "ratios": ()}
    found = sf.experiment("relu", **settings, tolerances=("1e-8", "1e-9")).networks["relu"]
    problem = network_problem("relu", digits(20), 0)
    runs = (
        sf.solve_flow_float64(
            problem, times=found.times, rtol=r, atol=r / 100, solver="event-corrected", error=None
        ).numpy(found.times)
        for r in (1e-9, 1e-11)
    )
    true_error = np.linalg.norm(np.subtract(*runs), axis=1).max()
    assert 0 < true_error <= found.flow.error[-1]


def test_result_file_tells_everything(linear: tuple[Experiment, Path]) -> None:
    found, folder = linear
    with np.load(folder / "experiment.npz", allow_pickle=False) as file:
        data = json.loads(str(file["metadata"]))
        losses = file["linear/run/20/loss"]
        assert set(file.files) == {
            "metadata",
            "linear/times",
            *(f"linear/run/{r}/{k}" for r in (1, 2, 20) for k in ("loss", "from_start", "from_base", "from_flow")),
            *(f"linear/flow/{k}" for k in ("loss", "from_start", "error", "rtol=0.0001", "rtol=1e-06")),
        }
    assert data["settings"]["step_size"] == "1/100"
    assert data["device"] == f"{jax.devices()[0].platform} ({jax.devices()[0].device_kind})"
    assert set(data["versions"]) >= {"symflow", "jax", "diffrax"}
    again = sf.load_experiment(folder / "experiment.npz")
    assert again.metadata() == found.metadata()
    assert again.settings == found.settings
    np.testing.assert_array_equal(again.networks["linear"].runs[20].loss, losses)
    np.testing.assert_array_equal(again.networks["linear"].flow.error, found.networks["linear"].flow.error)


def test_finished_runs_are_not_made_again_and_others_are(linear: tuple[Experiment, Path], tmp_path: Path) -> None:
    found, folder = linear[0], tmp_path / "linear"
    shutil.copytree(linear[1], folder)
    times = {path: path.stat().st_mtime_ns for path in (folder / "checkpoints").iterdir()}
    again = sf.experiment("linear", **SMALL, folder=folder)
    np.testing.assert_array_equal(again.networks["linear"].runs[2].loss, found.networks["linear"].runs[2].loss)
    assert {path: path.stat().st_mtime_ns for path in (folder / "checkpoints").iterdir()} == times
    other = sf.experiment("linear", **(SMALL | {"step_size": "1/101", "ratios": ()}), folder=folder)
    assert other.networks["linear"].runs[1].loss[-1] != found.networks["linear"].runs[1].loss[-1]
    assert set(times) < set((folder / "checkpoints").iterdir())


def test_float32_only_when_asked_for(linear: tuple[Experiment, Path]) -> None:
    single = sf.experiment("linear", **(SMALL | {"ratios": ()}), dtype="float32").networks["linear"].runs[1]
    double = linear[0].networks["linear"].runs[1]
    apart = np.abs(single.from_flow - double.from_flow).max()
    assert 1e-9 < apart < 1e-4  # rounding of float32 is seen, and is all there is
    assert single.from_flow.dtype == np.float64


@pytest.mark.parametrize("extents", [(8, 8), (28, 28)])
def test_networks_of_the_paper(extents: tuple[int, int]) -> None:
    height, width = extents
    for name, slope in (("linear", 1), ("relu", 0)):
        network = architecture(name, extents)
        assert network.widths == (height * width, 50, 50, 10)
        assert (network.alpha, network.alpha_bar) == (1, slope)
    last = 400 if extents == (28, 28) else 16
    counts = {}
    for name in ("conv", "conv-max-pool"):
        built = architecture(name, extents)
        assert built.shapes[2][1] * built.shapes[2][2] == last
        counts[name] = built.parameter_count
    if extents == (28, 28):  # LeNet-5's 61706 with biases
        assert counts == {"conv": 61706 - 236, "conv-max-pool": 61706}
    with pytest.raises(sf.ProblemError, match="must fit images of 2x2"):
        architecture("conv", (2, 2))


@pytest.mark.thorough
def test_convolutional_network_with_biases_runs() -> None:
    found = sf.experiment(
        "conv-max-pool", samples=6, iterations=8, step_size="1/1000", ratios=(4,), tolerances=("1e-5", "1e-7")
    ).networks["conv-max-pool"]
    assert "with biases" in found.description
    # descent at eta_0 is 4/3 as far from the flow as from descent at eta_0 / 4, up to higher orders
    assert 0 < found.runs[1].from_flow[-1] < found.flow.error[-1] + 2 * found.runs[4].from_base[-1]
    assert found.runs[4].from_base[-1] > 1e-6
    assert found.runs[1].loss[-1] < found.runs[1].loss[0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"networks": "lenet"}, "network must be one of linear, relu, conv, conv-max-pool"),
        ({"networks": ()}, "at least one"),
        ({"samples": 0}, "samples must be a whole number from 1"),
        ({"iterations": 2.5}, "iterations must be a whole number"),
        ({"step_size": "-1"}, "step_size must be a positive number"),
        ({"ratios": (1,)}, "ratio must be a whole number from 2"),
        ({"seed": True}, "seed must be a whole number"),
        ({"dtype": "float16"}, "dtype must be float32 or float64"),
        ({"tolerances": ("1e-4",)}, "at least two"),
        ({"tolerances": ("1", "1e-4")}, "must lie in"),
    ],
)
def test_wrong_settings_are_refused(change: dict, said: str) -> None:
    usual = {"networks": "linear", "samples": 10, "iterations": 10, "step_size": "1/10", "ratios": (2,)}
    usual |= {"seed": 0, "dtype": "float64", "tolerances": None}
    assert checked_settings(**usual).horizon == Fraction(1)
    with pytest.raises(sf.ProblemError, match=said):
        checked_settings(**(usual | change))


def test_too_many_samples_and_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(sf.ProblemError, match="at most the 1797 images there are, got 1798"):
        sf.experiment(samples=1798)
    with pytest.raises(sf.ProblemError, match="data must be"):
        sf.experiment(data="letters")
    other = tmp_path / "other.npz"
    np.savez(other, metadata=np.array('{"format": "another"}'))
    for path in (other, tmp_path / "missing.npz", Path(__file__)):
        with pytest.raises(sf.ProblemError, match="must be a file that symflow experiment wrote"):
            sf.load_experiment(path)


def test_command(linear: tuple[Experiment, Path], capsys: pytest.CaptureFixture[str]) -> None:
    folder = linear[1]
    options = ["--samples", "40", "--iterations", "60", "--step-size", "0.01", "--ratios", "2,20"]
    command = ["experiment", *options, "--tolerances", "1e-4,1e-6", "--out", str(folder)]
    assert main([*command, "--json"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert err == ""
    runs = found["networks"]["linear"]["runs"]
    assert [r["gradient_evaluations"] for r in runs] == [60, 120, 1200]
    assert runs[0]["max_from_flow"] == linear[0].networks["linear"].runs[1].from_flow.max()
    assert {Path(f).name for f in found["files"]} == {"experiment.npz", "linear.svg", "linear.png", "report.html"}
    assert all(Path(f).stat().st_size > 1000 for f in found["files"])
    Console(width=120).print(*as_text(network_parts(linear[0].networks["linear"])))
    shown = capsys.readouterr().out
    for said in ("descent, η0/20", "1,200", "estimated", "dopri8"):
        assert said in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--network", "lenet"], "network must be one of"),
        (["--data", "mnist"], "--mnist-images and --mnist-labels"),
        (["--mnist-images", "x"], "give --mnist-labels too"),
        (["--mnist-images", "x", "--mnist-labels", "y"], "must be a readable IDX file"),
        (["--ratios", "2,x"], "--ratios"),
        (["--dtype", "float8"], "dtype must be float32 or float64"),
        (["--data", "letters"], "data must be"),
    ],
)
def test_wrong_options_are_one_line_and_status_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["experiment", *arguments, "--out", str(tmp_path / "out")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


KILLED = {"samples": 40, "iterations": 200, "step_size": "1/1000", "ratios": (20,), "tolerances": ("1e-4", "1e-6")}
CALL = (
    "import symflow as sf; sf.experiment('linear', samples=40, iterations=200, step_size='1/1000', ratios=(20,), "
    "tolerances=('1e-4', '1e-6'), folder={folder!r}, chunk_seconds=0)"
)
OPTIONS = ["--samples", "40", "--iterations", "200", "--step-size", "1/1000", "--ratios", "20"]
"""The same on the command line."""


def wait_for(process: subprocess.Popen[bytes], folder: Path, pattern: str) -> Path:
    """Until there is such a checkpoint."""
    until = time.monotonic() + 300
    while time.monotonic() < until:
        if found := list((folder / "checkpoints").glob(pattern)):
            return found[0]
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.02)
    raise AssertionError(f"no {pattern} in time")


def step_of(path: Path) -> int:
    with np.load(path) as file:
        return int(file["step"])


def interrupted_descent(*arguments: Any) -> Any:
    """Descent that gets an interruption from outside as soon as it has gone on."""
    *given, report, chunk_seconds = arguments

    def interrupting(done: float) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        report(done)

    return descend_in_chunks(*given, Reporter.to(interrupting), chunk_seconds)


@pytest.mark.parametrize(
    "kills",
    [
        [("*-eta0-by-20-*.npz", 0.1)],
        pytest.param(
            [
                ("*-flow-1e-04-*.npz", 0),
                ("*-eta0-????????????????.npz", 0.03),
                *[("*-eta0-by-20-*.npz", wait) for wait in (0, 0.1, 0.3, 0.5)],
            ],
            marks=pytest.mark.thorough,
        ),
    ],
    ids=["once", "often"],
)
def test_killed_experiments_lose_at_most_a_chunk(
    kills: list[tuple[str, float]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "out"
    call = [sys.executable, "-c", CALL.format(folder=str(folder))]
    reached: dict[Path, int] = {}
    for pattern, wait in kills:
        with subprocess.Popen(call) as process:
            path = wait_for(process, folder, pattern)
            time.sleep(wait)
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
        for known, step in reached.items():
            assert step_of(known) >= step
        reached = {known: step_of(known) for known in (folder / "checkpoints").glob("*-eta0-*.npz")}
    assert step_of(path) > 0
    assert not (folder / "experiment.npz").exists()
    command = ["experiment", *OPTIONS, "--tolerances", "1e-4,1e-6", "--out", str(folder)]
    with monkeypatch.context() as patched:
        patched.setattr(study, "descend_in_chunks", interrupted_descent)
        assert main(command) == 130
    out, err = capsys.readouterr()
    kept = f"what is done is kept in {folder}, and the same command continues"
    assert (out, err) == ("", f"symflow: interrupted; {kept}\n")
    assert reached[path] < step_of(path) < 4000
    assert not (folder / "experiment.npz").exists()
    found = sf.experiment("linear", **KILLED, folder=folder).networks["linear"]
    whole = sf.experiment("linear", **KILLED).networks["linear"]
    for ratio, run in whole.runs.items():
        for key in ("loss", "from_start", "from_base", "from_flow"):
            np.testing.assert_array_equal(getattr(found.runs[ratio], key), getattr(run, key))
    np.testing.assert_array_equal(found.flow.error, whole.flow.error)
    assert not list(folder.rglob("*.tmp"))
