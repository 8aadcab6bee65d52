"""Every example is run, so that none can rot; tests/derivation does the same for derivations."""

from __future__ import annotations

import importlib.util
import itertools
import math
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted(p.stem for p in (ROOT / "examples").glob("*.py"))


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_there_are_three_examples_and_each_is_tested() -> None:
    assert len(EXAMPLES) >= 3
    assert {f"test_{name}" for name in EXAMPLES} <= set(globals())


def test_which_flow(tmp_path: Path) -> None:
    orders = load("which_flow").main(tmp_path)
    assert all(abs(order - p - 1) < 0.1 for p, order in enumerate(orders)), orders
    assert (tmp_path / "which_flow.png").stat().st_size > 10_000


def test_halving_the_step(tmp_path: Path) -> None:
    orders = load("halving_the_step").main(tmp_path)
    assert all(abs(order - 1) < 0.05 for order in orders)
    assert (tmp_path / "halving.png").stat().st_size > 10_000


def test_through_kinks(capsys: pytest.CaptureFixture[str]) -> None:
    assert load("through_kinks").main() < 1e-49
    assert capsys.readouterr().out.count("gate") == 5


def test_three_points(capsys: pytest.CaptureFixture[str]) -> None:
    above, distance = load("three_points").main()
    assert 0 < above < 1e-4
    assert distance < 0.05
    assert "2 units active on all points" in capsys.readouterr().out


def test_formulas_and_jax(capsys: pytest.CaptureFixture[str]) -> None:
    assert load("formulas_and_jax").main() < 1e-14
    assert "W_{1}" in capsys.readouterr().out


def test_curvature(capsys: pytest.CaptureFixture[str]) -> None:
    ratios = load("curvature").main()
    assert list(ratios["linear"])[:5] == ["R9(a)", "R9(b)", "R9(c)", "R9(d)", "R9(e)"]
    assert 1 <= ratios["linear"]["R9(e)"] <= ratios["linear"]["R9(a)"]
    assert 1 <= ratios["relu"]["R12(e)"] <= ratios["relu"]["R12"]
    assert "R13" in ratios["convolutional"]
    assert "not applicable" in capsys.readouterr().out


def test_sweep_seeds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with ThreadPoolExecutor(1) as executor:
        sweep = load("sweep_seeds").main(tmp_path, executor)
    assert sweep.computed == 6
    assert (tmp_path / "sweep.parquet").stat().st_size > 10_000
    ratios = re.findall(r"ratio ([0-9.]+)\)", capsys.readouterr().out)
    assert len(ratios) == 3
    assert all(abs(float(ratio) - 2) < 0.2 for ratio in ratios)  # of first order


def test_boxes_of_starts(capsys: pytest.CaptureFixture[str]) -> None:
    widest = load("boxes_of_starts").main()
    assert 0.05 <= widest[0] < 0.05 + 1e-9
    assert widest[4] < 0.15  # half the sampled hull of the box of twice the size is 0.127
    assert "certified" in capsys.readouterr().out


def test_balancedness_drift(capsys: pytest.CaptureFixture[str]) -> None:
    rows = load("balancedness_drift").main()
    for row in rows:  # exactly eta^2 sum h(g_k), through kinks too, up to rounding
        assert abs(row.drift - row.from_gradients) < 1e-6 * row.drift
    exponents = [math.log10(after.drift / row.drift) for row, after in itertools.pairwise(rows)]
    assert max(exponents) > 3  # at the threshold of stability
    assert abs(exponents[1] - 1) < 0.05  # at rest
    assert exponents[0] > 1.15  # the gradient has hardly changed
    for row in rows[:2]:  # the drift is eta I(T), I from the run at ten times the step size
        assert abs(row.from_larger / row.drift - 1) < 0.02
    assert "h(g)" in capsys.readouterr().out
