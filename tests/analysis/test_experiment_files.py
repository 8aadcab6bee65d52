"""IDX files, checkpoints, and runs that are interrupted."""

from __future__ import annotations

import gzip
import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symflow as sf
from symflow.analysis.experiments import reference
from symflow.analysis.experiments.checkpoints import Checkpoint, content_key
from symflow.analysis.experiments.descent import Stepper, descend_in_chunks, stepper
from symflow.analysis.experiments.idx import read_idx
from symflow.analysis.experiments.images import mnist
from symflow.paths.float64.gated import ties
from symflow.progress import SILENT, Reporter


def idx(array: np.ndarray, code: int = 8) -> bytes:
    """An IDX file's content, written from the format's description."""
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


IMAGES = np.arange(6 * 4 * 3, dtype=np.uint8).reshape(6, 4, 3)
LABELS = np.array([3, 1, 4, 1, 5, 9], dtype=np.uint8)


@pytest.mark.parametrize("packed", [False, True])
def test_idx_files_are_read(packed: bool, tmp_path: Path) -> None:
    pack = gzip.compress if packed else bytes
    images, labels = tmp_path / "images", tmp_path / "labels"
    images.write_bytes(pack(idx(IMAGES)))
    labels.write_bytes(pack(idx(LABELS)))
    np.testing.assert_array_equal(read_idx(images, 3), IMAGES)
    found = mnist(images, labels, 5)
    assert found.extents == (4, 3)
    np.testing.assert_array_equal(found.labels, LABELS[:5])
    np.testing.assert_allclose(found.pixels[1], (IMAGES[1].ravel() - 35.5) / np.arange(72).std(), rtol=1e-15)


def test_mnist_takes_every_fiftieth_image_where_there_are_enough(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "images").write_bytes(idx(rng.integers(256, size=(150, 2, 2))))
    classes = rng.integers(10, size=150)
    (tmp_path / "labels").write_bytes(idx(classes))
    np.testing.assert_array_equal(mnist(tmp_path / "images", tmp_path / "labels", 3).labels, classes[[0, 50, 100]])
    np.testing.assert_array_equal(mnist(tmp_path / "images", tmp_path / "labels", 4).labels, classes[:4])


PACKED = gzip.compress(idx(IMAGES))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "two zero bytes"),
        (b"\x89PNG\r\n\x1a\n", "two zero bytes"),
        (idx(IMAGES, code=13), "unsigned bytes"),
        (idx(LABELS), "must have 3 dimensions, as images have, got 1"),
        (idx(IMAGES)[:9], "ends within its header"),
        (idx(IMAGES)[:-1], "must have 72 bytes after its header, as that says, got 71"),
        (idx(IMAGES) + b"\0", "got more"),
        (struct.pack(">BBBB3I", 0, 0, 8, 3, 2**31, 2**31, 1), "entries"),
        (struct.pack(">BBBB3I", 0, 0, 8, 3, 0, 1, 1), "entries"),
        (PACKED[:-12], "readable IDX file"),
        (PACKED[:20] + b"\xff\xff\xff" + PACKED[23:], "readable IDX file"),
        (None, "readable IDX file"),
    ],
    ids=range(12),
)
def test_malformed_idx_files_are_refused_in_one_line(content: bytes | None, said: str, tmp_path: Path) -> None:
    path = tmp_path / "images"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(sf.ProblemError, match=said) as refused:
        read_idx(path, 3)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    images, labels = tmp_path / "images", tmp_path / "labels"
    images.write_bytes(idx(IMAGES))
    labels.write_bytes(idx(LABELS[:5]))
    with pytest.raises(sf.ProblemError, match="one label for each of the 6 images"):
        mnist(images, labels, 2)
    labels.write_bytes(idx(LABELS + 3))
    with pytest.raises(sf.ProblemError, match="classes from 0 to 9, got 12"):
        mnist(images, labels, 2)
    labels.write_bytes(idx(LABELS))
    images.write_bytes(idx(0 * IMAGES))
    with pytest.raises(sf.ProblemError, match="one and the same value"):
        mnist(images, labels, 2)


def counting(steps: list[int]) -> Stepper:
    """A map without meaning instead of descent, which notes its steps and carries how many there were."""

    def advance(state: tuple[np.ndarray, ...], eta: Fraction, first: int, count: int) -> tuple[np.ndarray, ...]:
        theta, before = state
        assert int(before) == first
        steps.append(count)
        for _ in range(count):
            theta = theta - float(eta) * np.sin(theta)
        return theta, before + count

    return Stepper(sf.GradientDescent(), lambda theta: (theta, np.zeros(())), lambda total: advance)


def test_interrupted_descent_goes_on_where_it_was(tmp_path: Path) -> None:
    start, grid = np.linspace(0, 1, 5), np.array([0, 3, 50, 51, 100, 150, 200])
    whole = descend_in_chunks(counting([]), start, Fraction(1, 7), grid, Checkpoint(None, "x", "k", print), SILENT)
    assert whole.states.shape == (7, 5)
    expected = start
    for _ in range(200):
        expected = expected - np.sin(expected) / 7
    np.testing.assert_allclose(whole.states[-1], expected, rtol=1e-12)
    checkpoint, steps = Checkpoint(tmp_path, "x", content_key({"a": 1}), print), []
    for stop in (0.01, 0.3, 0.6):

        def report(done: float, stop: float = stop) -> None:
            if done > stop:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            descend_in_chunks(counting(steps), start, Fraction(1, 7), grid, checkpoint, Reporter.to(report))
    found = descend_in_chunks(counting(steps), start, Fraction(1, 7), grid, checkpoint, SILENT)
    np.testing.assert_array_equal(found.states, whole.states)
    assert sum(steps) == 200  # no step was made twice


@pytest.mark.parametrize("order", ["cyclic", "shuffled"])
def test_chunks_of_a_method_with_batches_are_one_run(order: Any) -> None:
    """Momenta and the number of the step go from chunk to chunk."""
    data = {"x": [["1", "1/2"], ["-1/3", "1"], ["1/4", "-1"]], "y": ["1", "-1/2", "1/3"]}
    problem = sf.Problem(network={"widths": [2, 2, 1], "activation": "linear"}, data=data, init={"scheme": "xavier"})
    method = sf.Adam("1/2", "3/4", "1/50", batches=sf.Batches(2, order=order, seed=4), weight_decay="1/5")
    start, grid = np.array([float(v) for v in problem.theta0]), np.array([0, 3, 4, 25, 60])
    steps = stepper(problem.objective, method, np.dtype(np.float64))
    nothing = Checkpoint(None, "x", "k", print)
    found = descend_in_chunks(steps, start, Fraction(1, 30), grid, nothing, SILENT)
    whole = sf.descend(problem, step_size="1/30", steps=60, keep=grid, method=method)
    np.testing.assert_allclose(found.states, whole.iterates, rtol=1e-12)


def test_diverging_descent_is_a_computation_error() -> None:
    def advance(state: tuple[np.ndarray, ...], eta: Fraction, first: int, count: int) -> tuple[np.ndarray, ...]:
        return (state[0] * np.float64(1e100) ** count,)

    growing = Stepper(sf.HeavyBall("1/2"), lambda theta: (theta,), lambda total: advance)
    nothing = Checkpoint(None, "x", "k", print)
    with (
        np.errstate(over="ignore"),
        pytest.raises(sf.ComputationError, match=r"heavy ball with step size 0.5 diverges"),
    ):
        descend_in_chunks(growing, np.ones(2), Fraction(1, 2), np.array([0, 9]), nothing, SILENT)


def test_interrupted_flow_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "CHUNK_STEPS", 4)
    problem = sf.Problem(
        network={"widths": [2, 3, 1], "activation": "linear"},
        data={"x": [[1, 2], [0, 1], [3, 1]], "y": [[1], [0], [2]]},
        init={"scheme": "gaussian", "scale": "1"},
    )
    times = np.linspace(0, 3, 7)
    whole = reference.flow_in_chunks(problem, times, 1e-9, Checkpoint(None, "x", "k", print), SILENT)
    exact = np.array(
        [[float(v) for v in row] for row in map(sf.solve_flow(problem, horizon=3, dps=20), [str(t) for t in times])]
    )
    assert np.abs(whole.states - exact).max() < 1e-8
    assert whole.steps > 8  # so that there were chunks
    checkpoint = Checkpoint(tmp_path, "x", content_key({"a": 1}), print)

    def report(done: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reference.flow_in_chunks(problem, times, 1e-9, checkpoint, Reporter.to(report))
    first = checkpoint.read()
    assert first is not None
    assert 0 < first["now"] < 3
    found = reference.flow_in_chunks(problem, times, 1e-9, checkpoint, SILENT)
    np.testing.assert_array_equal(found.states, whole.states)
    assert (found.evaluations, found.steps) == (whole.evaluations, whole.steps)


def test_kinks_that_cannot_be_decided_are_stepped_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two inputs that are proportional slide together; alone, as gates of groups too large are, neither can be held."""
    problem = sf.Problem(
        network=sf.FullyConnected((1, 3, 1), activation="relu"),
        data={"x": ["-0.55", "-0.76"], "y": ["0.52", "0.54"]},
        init={"scheme": "xavier", "seed": 675},
    )
    exact = sf.solve_flow(problem, horizon=4, dps=15, error=None)
    assert [e.kind for e in exact.events] == ["sliding", "sliding"]
    monkeypatch.setattr(ties, "MOST_TIED", 1)
    with pytest.raises(sf.FlowStopped, match="a gate is held whose kink is that of others too"):
        sf.solve_flow_float64(problem, horizon=4, solver="event-corrected", error=None)
    times = np.linspace(0, 4, 9)
    for rtol in (1e-4, 1e-5):
        found = reference.flow_in_chunks(problem, times, rtol, Checkpoint(None, "x", "k", print), SILENT)
        assert np.abs(found.states - exact.numpy(times)).max() < 1e-6  # Tsit5 at these tolerances: 3e-5 and 4e-6
        assert found.evaluations > 3 * rtol**-0.5


def test_damaged_checkpoints_are_reported_and_not_used(tmp_path: Path) -> None:
    said: list[str] = []
    checkpoint = Checkpoint(tmp_path, "linear-eta0", content_key({"a": 1}), said.append)
    checkpoint.write({"theta": np.arange(100.0)})
    assert checkpoint.path is not None
    content = checkpoint.path.read_bytes()
    found = checkpoint.read()
    assert found is not None
    np.testing.assert_array_equal(found["theta"], np.arange(100.0))
    assert said == []
    left = checkpoint.path.with_name(f".{checkpoint.path.name}.abc.tmp")
    left.write_bytes(content[:50])  # a kill in the middle of a write
    assert checkpoint.read() is not None
    assert not left.exists()
    middle = len(content) // 2
    for damaged in (b"", content[:-30], content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]):
        checkpoint.path.write_bytes(damaged)
        assert checkpoint.read() is None
        assert "linear-eta0 starts again" in said.pop()
    other = Checkpoint(tmp_path, "linear-eta0", content_key({"a": 2}), said.append)
    assert other.path is not None
    assert other.path != checkpoint.path
    assert other.read() is None
    other.path.write_bytes(content)  # another configuration's checkpoint under this one's name
    assert other.read() is None
    assert "another configuration" in said.pop()
