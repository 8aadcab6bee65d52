"""Pictures to look at: pages of the site, reports, notebooks and plots at the widths that people use.

`python -m docs.generate.looked_at OUT [plots|reports|site ...]` writes one PNG each into the folder OUT, and sheets of
them. It takes minutes, needs a Chromium for pages, and `mkdocs build` first for the site; the tests do not run
it. What was found is in tests/studies/looked_at.md.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
WIDTHS = (3.3, 6.6)
"""Inches: a column and a page of a paper."""
DESKTOP, PHONE, TALL = 1280, 390, 3600
SITE = (
    "index.html", "notebooks/1-first-steps/index.html", "notebooks/2-kinks/index.html", "notebooks/3-proofs/index.html",
    "notebooks/4-methods/index.html", "problem-files/index.html", "command-line/index.html", "numbers/index.html",
    "theory/kinks/index.html", "theory/r9-curvature-linear/index.html", "certificates/index.html", "methods/index.html",
    "reference/index.html", "reference/paths/index.html", "benchmarks/index.html", "studies/journey/index.html",
    "changelog/index.html",
)  # fmt: skip
"""Pages of the site, one of each kind."""
CLAIM = 'claim = "lambda_min >= -(n - 2)*grad_phi_F*max_product"\nseconds = 5\n[family]\ndepths = [3]\n'
REPORTS = {
    "run": "run examples/relu.toml --out {out}/run",
    "bounds": "bounds examples/linear.toml --out {out}/bounds",
    "certify": "certify examples/linear.toml --steps 100 --distance 1/10 --save {out}/certify/theorem.json",
    "falsify": "falsify {out}/claim.toml --out {out}/falsify",
    "sweep": "sweep examples/linear.toml --step-size 1/50 1/100 --horizon 1 --dps 15 --seed 0:2 --out {out}/sweep",
    "experiment": "experiment --samples 50 --iterations 200 --ratios 2,5 --network linear,conv --out {out}/experiment",
}
"""The commands that write a report.html, on small problems."""


def plots() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Every `.plot()` of the public results, on results that differ in what is drawn."""
    import symflow as sf

    relu, linear = (sf.load_problem(ROOT / f"examples/{name}.toml") for name in ("relu", "linear"))
    flow = sf.solve_flow(relu, horizon=8, dps=20)
    yield "flow, nine weights, kinks", flow.plot
    yield "flow of many arrays", sf.solve_flow(sf.example("three-points"), horizon=40, dps=15).plot
    yield "descent", sf.descend(relu, step_size="1/10", steps=80).plot
    yield "deviation", sf.deviation(relu, step_size="1/50", horizon=4, dps=15).plot
    chosen = sf.known_bounds()
    yield "deviation, every bound", sf.deviation(linear, step_size="1/50", horizon=2, dps=15, bounds=chosen).plot
    heavy = sf.deviation(linear, step_size="1/50", horizon=2, dps=15, method=sf.HeavyBall("9/10"), order=1)
    yield "deviation of heavy ball, transient", heavy.plot
    with tempfile.TemporaryDirectory() as folder:
        yield (
            "sweep, step sizes",
            sf.sweep(linear, folder=folder, step_size=["1/25", "1/50", "1/100"], seed=range(3)).plot,
        )


def draw_plots(out: Path) -> None:
    """Each plot by itself, and two next to each other, at both widths."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    drawn: list[Callable[..., Any]] = []
    for name, plot in plots():
        drawn.append(plot)
        for width in WIDTHS:
            figure, axes = plt.subplots(figsize=(width, 0.68 * width), layout="constrained")
            _saved(figure, axes, [plot], out / f"{name} {width}.png")
        plot().figure.savefig(out / f"{name} alone.png", dpi=150)
        plt.close("all")
    figure, axes = plt.subplots(1, 2, figsize=(6.6, 2.4), layout="constrained")
    _saved(figure, axes, [drawn[3], drawn[0]], out / "two panels 6.6.png")


def _saved(figure: Any, axes: Any, plots: Sequence[Callable[..., Any]], path: Path) -> None:
    import numpy as np

    for ax, plot in zip(np.ravel(axes), plots, strict=True):
        plot(ax=ax)
    figure.savefig(path, dpi=150)


def write_reports(out: Path) -> list[Path]:
    """The pages of the commands."""
    from symflow.cli.app import main

    (out / "claim.toml").write_text(CLAIM, encoding="utf-8")
    (out / "certify").mkdir(exist_ok=True)
    for name, command in REPORTS.items():
        if not (out / name / "report.html").exists():
            main(command.format(out=out).split())
    return [out / name / "report.html" for name in REPORTS]


def photograph(page: Path, picture: Path, width: int, dark: bool = False) -> None:
    """A page as a browser shows it, at a width in pixels, cut where it ends.

    Raises:
        FileNotFoundError: there is no Chromium, or no such page.
    """
    from PIL import Image

    if not page.exists():
        raise FileNotFoundError(f"{page} is not there; what writes it failed")

    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        raise FileNotFoundError("pictures of pages need Chromium; install it")
    with tempfile.TemporaryDirectory() as folder:
        frame = Path(folder, "frame.html")  # a window has a least width, a frame has not
        style = f"border:0;width:{width}px;height:{TALL}px"
        frame.write_text(f'<body style="margin:0"><iframe src="{page.as_uri()}" style="{style}">', encoding="utf-8")
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--virtual-time-budget=4000"]
        options += [f"--blink-settings=preferredColorScheme={0 if dark else 1}", f"--user-data-dir={folder}/profile"]
        options += [f"--window-size={max(width, 500)},{TALL}", f"--screenshot={picture}", frame.as_uri()]
        subprocess.run([browser, *options], check=True, capture_output=True, timeout=120)
    with Image.open(picture) as shot:
        shot.crop((0, 0, width, _end(shot, width))).save(picture)


def _end(shot: Any, width: int) -> int:
    """Where the last row is that is not of one colour."""
    import numpy as np

    rows = np.asarray(shot.convert("L"))[:, :width]
    marked = np.flatnonzero(rows.max(axis=1) != rows.min(axis=1))
    return int(marked[-1]) + 20 if marked.size else TALL


def photograph_all(pages: Sequence[tuple[str, Path]], out: Path) -> None:
    """Each page on a desktop, on a phone, and on both with a dark background."""
    for name, page in pages:
        for kind, width, dark in (("desktop", DESKTOP, False), ("phone", PHONE, False), ("dark", DESKTOP, True)):
            photograph(page, out / f"{name} {kind}.png", width, dark)
        photograph(page, out / f"{name} phone dark.png", PHONE, True)


def sheet(pictures: Sequence[Path], target: Path, columns: int = 4, side: int = 480) -> None:
    """Many pictures on one, each with its name."""
    from PIL import Image, ImageDraw

    shown = []
    for path in pictures:
        with Image.open(path) as picture:
            shown.append(picture.convert("RGB").crop((0, 0, picture.width, min(picture.height, 2 * picture.width))))
        shown[-1].thumbnail((side - 8, 2 * side))
    heights = [max(x.height for x in shown[at : at + columns]) + 22 for at in range(0, len(shown), columns)]
    page = Image.new("RGB", (columns * side, sum(heights)), "white")
    for at, (path, picture) in enumerate(zip(pictures, shown, strict=True)):
        x, y = at % columns * side, sum(heights[: at // columns])
        page.paste(picture, (x + 4, y + 18))
        ImageDraw.Draw(page).text((x + 4, y + 3), path.stem, fill="black")
    page.save(target)


def main(arguments: Sequence[str]) -> int:
    """The pictures of the kinds named, of all without a name; the exit status."""
    if not arguments:
        print(__doc__)
        return 2
    out, kinds = Path(arguments[0]).absolute(), arguments[1:] or ("plots", "reports", "site")
    for kind in kinds:
        folder = out / kind
        folder.mkdir(parents=True, exist_ok=True)
        if kind == "plots":
            draw_plots(folder)
        elif kind == "reports":
            photograph_all([(page.parent.name, page) for page in write_reports(folder)], folder)
        else:
            pages = [(name.removesuffix("/index.html").replace("/", "-"), ROOT / "site" / name) for name in SITE]
            photograph_all(pages, folder)
        sheet(sorted(folder.glob("*.png")), out / f"{kind}.png")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
