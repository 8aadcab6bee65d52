"""Pictures are seen where people look for them, and names of theirs are drawn as they are."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib
import pytest
import sympy
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import symflow as sf
from symflow.plots.deviation import deviation_figure
from symflow.plots.style import label, render

A, B = sympy.symbols("a b")


@pytest.fixture(autouse=True)
def _figures() -> Iterator[None]:
    """Each test begins and ends without figures of pyplot."""
    with matplotlib.rc_context():
        plt.switch_backend("agg")
        plt.close("all")
        yield
        plt.close("all")


def problem() -> sf.Problem:
    return sf.Problem(
        network={"widths": [1, 1, 1], "activation": "linear"},
        data={"x": [1], "y": [1]},
        init={"theta": ["1/2", "1/3"]},
        run={"horizon": 1, "step_size": "1/4", "dps": 20},
    )


@pytest.fixture(scope="module")
def trajectory() -> sf.Trajectory:
    return sf.solve_flow(problem(), dps=15)


@pytest.fixture(scope="module")
def dev() -> Any:
    """With bounds whose names are somebody's own."""
    k = {name: quantity.symbol for name, quantity in sf.bound_quantities().items()}
    names = [r"$\lVert g\rVert$", "$x", "a_b^c$", "_mine", "\x1b[31m\x07", "-->", "100%", "$\\eta$ ok", "<b>&", "中"]
    return sf.deviation(problem(), bounds=[sf.user_bound(name, k["eta"] * k["t"] * k["g"] + 1) for name in names])


def texts(ax: Axes) -> list[str]:
    legend = ax.get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def test_plots_without_axes_are_pyplot_s_figures(trajectory: sf.Trajectory, dev: Any) -> None:
    for result in (trajectory, dev):
        ax = result.plot()
        assert isinstance(ax, Axes)
        assert plt.gcf() is ax.figure
        assert plt.gca() is ax
    assert len(plt.get_fignums()) == 2
    own = Figure().add_subplot()
    assert trajectory.plot(own) is own
    assert len(plt.get_fignums()) == 2


def test_many_plots_neither_warn_nor_pile_up(trajectory: sf.Trajectory) -> None:
    matplotlib.rcParams["figure.max_open_warning"] = 6  # a user's own limit; matplotlib's is 20
    theirs = plt.figure()
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        made = [trajectory.plot() for _ in range(matplotlib.rcParams["figure.max_open_warning"] + 5)]
    assert len(plt.get_fignums()) <= matplotlib.rcParams["figure.max_open_warning"]
    assert plt.fignum_exists(theirs.number)  # type: ignore[attr-defined]
    assert plt.gca() is made[-1]
    buffer = io.BytesIO()
    made[0].figure.savefig(buffer)  # closed, and as good as before
    assert buffer.getvalue().startswith(b"\x89PNG")


def test_a_script_shows_and_saves_the_last_picture(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import symflow as sf, sympy\n"
        "x = sympy.Symbol('x')\n"
        "problem = sf.Problem(objective=sf.expression_objective(x**2, [x]), theta0=[1], horizon=1)\n"
        "ax = sf.solve_flow(problem, dps=15).plot()\n"
        "ax.figure.savefig('figure.png')\n"
        "from matplotlib import pyplot as plt\n"
        "plt.savefig('pyplot.png')\n"
        "plt.show()\n"
    )
    for backend, pictures in (("agg", 2), ("module://not.there", 1)):
        environment = os.environ | {"MPLBACKEND": backend, "PYTHONPATH": str(Path(sf.__file__).parents[1])}
        done = subprocess.run(
            [sys.executable, script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert len(list(tmp_path.glob("*.png"))) == pictures, done.stderr
        for picture in tmp_path.glob("*.png"):
            assert picture.read_bytes().startswith(b"\x89PNG")
            picture.unlink()


def test_a_backend_that_stops_matplotlib_is_one_line(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, symflow as sf\n"
        "sys.modules['matplotlib'] = None\n"
        "try:\n    import symflow.plots.style\n"
        "except ImportError: print('no matplotlib')\n"
        "del sys.modules['matplotlib']\n"
        "try:\n    import symflow.plots.style; print('drawn')\n"
        "except sf.ComputationError as error: print(error)\n"
    )
    environment = os.environ | {"MPLBACKEND": "no such backend", "PYTHONPATH": str(Path(sf.__file__).parents[1])}
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=True)
    first, second = done.stdout.splitlines()
    assert first == "no matplotlib"
    assert second.startswith("matplotlib does not start (")
    assert second.endswith("); unset the environment variable MPLBACKEND or set it to agg")


def test_names_of_bounds_are_drawn_as_they_are(dev: Any) -> None:
    ax = dev.plot()
    shown = texts(ax)
    for expected in (
        r"bound \$\lVert g\rVert\$", r"bound \$x", r"bound a_b^c\$", "bound _mine", r"bound \x1b[31m\x07",
        "bound -->", "bound 100%", "bound $\\eta$ ok", "bound <b>&", "bound 中",
    ):  # fmt: skip
        assert expected in shown
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # letters that the font lacks
        for kind in ("svg", "png"):
            assert render(ax.figure, kind)
        ElementTree.fromstring(render(deviation_figure(dev), "svg"))


def test_names_of_parameters_are_drawn_as_they_are() -> None:
    symbols = sympy.symbols(r"_a $b \beta_{ c\x1b")
    start = sf.Problem(
        objective=sf.expression_objective(sum(s**2 for s in symbols), symbols), theta0=[1] * 4, horizon=1
    )
    ax = sf.solve_flow(start, dps=15).plot()
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "(?!.*deprecated)", UserWarning)  # not what matplotlib calls in pyparsing
        render(ax.figure, "png")
    assert texts(ax) == [" _a", r"\$b", r"\beta_{", r"c\x1b"]


@pytest.mark.parametrize(
    ("name", "drawn"),
    [
        ("plain", "plain"),
        ("$x^2$", "$x^2$"),
        ("$x^2", r"\$x^2"),
        (r"$\nosuch$", r"\$\nosuch\$"),
        ("$x$ and $", r"\$x\$ and \$"),
        ("line\nbreak", "line break"),
        ("_hidden", " _hidden"),
        ("\u202e", r"\u202e"),
    ],
)
def test_label(name: str, drawn: str) -> None:
    assert label(name) == drawn


def test_what_a_backend_sets_when_it_starts_remains_set(
    trajectory: sf.Trajectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the backend of notebooks sets `interactive`; were it reset, notebooks would show the first picture alone
    monkeypatch.setattr(plt, "draw_if_interactive", lambda: matplotlib.interactive(True))
    matplotlib.interactive(False)
    trajectory.plot()
    assert matplotlib.is_interactive()


def test_plots_compose_in_small_figures(trajectory: sf.Trajectory, dev: Any) -> None:
    fig, axes = plt.subplots(1, 2, figsize=(6.6, 2.4), layout="constrained")
    assert dev.plot(axes[0]) is axes[0]
    assert trajectory.plot(ax=axes[1], legend=False) is axes[1]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # letters that the font lacks
        fig.canvas.draw()
    box, inside = axes[0].get_legend().get_window_extent(), axes[0].get_window_extent()
    assert inside.x0 <= box.x0
    assert box.x1 <= inside.x1 + 1
    assert axes[1].get_legend() is None
    assert axes[1].get_ylabel() in ("parameters", "Frobenius norm")


def test_a_legend_of_many_lines_has_room_above_the_curves() -> None:
    flow = sf.solve_flow(sf.load_problem("examples/relu.toml"), horizon=1, dps=10, error=None)
    for width, most in ((6.6, 10), (3.3, 3)):  # in small axes the norms of the two layers
        fig, ax = plt.subplots(figsize=(width, 3.2), layout="constrained")
        flow.plot(ax=ax)
        fig.canvas.draw()
        assert 2 <= len(ax.get_legend().get_texts()) <= most
        box, inside = ax.get_legend().get_window_extent(), ax.get_window_extent()
        assert inside.x0 <= box.x0
        assert box.x1 <= inside.x1 + 1
        if width > 4:
            highest = max(ax.transData.transform((0, max(line.get_ydata())))[1] for line in ax.get_lines())
            assert highest <= box.y0
        plt.close(fig)
