"""The look of all pictures, and how they become figures of pyplot or files."""

from __future__ import annotations

import io
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from symflow.errors import ComputationError, ProblemError, brief, printable

try:
    import matplotlib
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
except ValueError as refused:  # a backend in MPLBACKEND that is not there stops matplotlib itself
    raise ComputationError(
        f"matplotlib does not start ({refused}); unset the environment variable MPLBACKEND or set it to agg"
    ) from None

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.lines import Line2D

    from symflow.paths.event import Event

Look: TypeAlias = dict[str, Any]
"""Keyword arguments of matplotlib."""
Legend: TypeAlias = Callable[[Axes, Sequence["Artist"]], None]
"""Draws a legend of these lines."""
Dash: TypeAlias = str | tuple[int, tuple[float, ...]]

# Okabe and Ito's colours, told apart by colour-blind people; the dashes tell the lines apart in black and white.
BLACK, GREY = "#000000", "#8a8a8a"
ORANGE, GREEN, BLUE, VERMILION, PURPLE = "#E69F00", "#009E73", "#0072B2", "#D55E00", "#CC79A7"
STYLE: Any = {
    "font.family": ["STIXGeneral", "DejaVu Serif"],
    "font.size": 10,
    "mathtext.fontset": "stix",
    "text.usetex": False,
    "axes.titlesize": 10,
    "axes.labelsize": 10,
    "axes.linewidth": 0.7,
    "axes.grid": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "white",
    "axes.edgecolor": "black",
    "axes.labelcolor": "black",
    "axes.unicode_minus": True,
    "figure.facecolor": "white",
    "savefig.facecolor": "auto",
    "savefig.bbox": None,
    "text.color": "black",
    "xtick.color": "black",
    "ytick.color": "black",
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "xtick.direction": "out",
    "ytick.direction": "out",
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "lines.markersize": 4,
    "path.simplify": True,
    "svg.fonttype": "path",
    "svg.hashsalt": "symflow",
}


@contextmanager
def style() -> Iterator[None]:
    with matplotlib.rc_context(STYLE):
        yield


def drawn(ax: Axes | None, draw: Callable[[Axes], None]) -> Axes:
    """Draws on the axes given, or on those of a new figure in this module's style, which notebooks show."""
    if ax is not None:
        if not isinstance(ax, Axes):
            raise ProblemError(f"ax must be axes of matplotlib, got {brief(ax)}; leave it out for a new figure")
        draw(ax)
        return ax
    _start_pyplot()
    with style():
        new: Axes = _new_figure().add_subplot()
        draw(new)
    return new


def _start_pyplot() -> None:
    """Lets pyplot load its backend before a style is set: what the backend of notebooks sets then must remain set, or
    notebooks would show the first picture alone."""
    with suppress(Exception):  # no backend, each in its own way: `_new_figure` does without
        from matplotlib import pyplot as plt

        plt.draw_if_interactive()


_opened: list[weakref.ref[Figure]] = []
"""The figures of `_new_figure` that pyplot may still hold, oldest first."""


def _new_figure() -> Figure:
    """A figure of pyplot, which notebooks show below the cell and ``plt.show()`` in a window.

    pyplot holds its figures until they are closed, and warns when they are many: then the oldest of ours is closed.
    A closed figure can still be changed and saved. Where pyplot has no backend, it is a figure without pyplot.
    """
    look: Look = {"figsize": (5.6, 3.9), "layout": "constrained"}
    try:
        from matplotlib import pyplot as plt

        most = matplotlib.rcParams["figure.max_open_warning"]
        _opened[:] = [ref for ref in _opened if (old := ref()) is not None and plt.fignum_exists(old.number)]
        while 0 < most <= len(plt.get_fignums()) and _opened:
            plt.close(_opened.pop(0)())
        figure: Figure = plt.figure(**look)
    except Exception:  # of a window system that is not there, each in its own way: the picture can still be saved
        return Figure(**look)
    _opened.append(weakref.ref(figure))
    return figure


def label(text: str) -> str:
    """A name that somebody chose, as matplotlib draws it: mathematics where mathtext reads it, else plain text.

    Args:
        text: any text; what stands between dollar signs is meant as mathematics.
    """
    from matplotlib.mathtext import MathTextParser

    shown = printable(" ".join(text.split()))
    try:
        MathTextParser("path").parse(shown)
    except ValueError:
        shown = shown.replace("$", r"\$")
    # matplotlib leaves out of legends what begins with an underscore
    return f" {shown}" if shown.startswith("_") else shown


def render(fig: Figure, kind: str, dpi: int = 200) -> bytes:
    """A figure as the content of a file; the same figure gives the same bytes.

    Args:
        fig: what to save.
        kind: "svg" or "png".
        dpi: resolution of a PNG.
    """
    buffer = io.BytesIO()
    metadata: Look = {"Date": None, "Creator": "symflow"} if kind == "svg" else {"Software": "symflow"}
    with style():
        fig.savefig(buffer, format=kind, dpi=dpi, metadata=metadata)
    return buffer.getvalue()


def mark_events(ax: Axes, events: Sequence[Event]) -> list[Line2D]:
    """Thin vertical lines at the kink events; the first of them for the legend."""
    handles = []
    for i, e in enumerate(events):
        label = "_kink" if i else "kink" if width_of(ax) < SMALL else "kink met by the flow"
        handles.append(ax.axvline(float(e.time), color=GREY, linewidth=0.6, zorder=0.5, label=label))
    return handles[:1]


FEW = 6
"""Most lines of a legend inside axes that goes where it covers least."""
SMALL = 4.2 * 72
"""Axes that are narrower, in points, have short labels in a small legend."""


def width_of(ax: Axes) -> float:
    """The width of axes in points."""
    return float(ax.get_position().width * ax.figure.figure.get_figwidth() * 72)


def legend_above(ax: Axes, handles: Sequence[Artist], side: Literal["left", "right"] = "right") -> None:
    """A legend above the axes, with as many columns as fit between their ends."""
    columns = max(1, min(len(handles), int(width_of(ax) * 1.15 / _column(handles, STYLE["legend.fontsize"]))))
    ax.legend(
        handles=handles,
        loc="lower right" if side == "right" else "lower left",
        fontsize=STYLE["legend.fontsize"],
        bbox_to_anchor=(1.02 if side == "right" else -0.02, 1.0),
        ncols=columns,
        borderaxespad=0.1,
        handlelength=1.8,
        columnspacing=1.2,
    )


def legend_left(ax: Axes, handles: Sequence[Artist]) -> None:
    """A legend above the axes, from their left end on."""
    legend_above(ax, handles, "left")


def legend_inside(ax: Axes, handles: Sequence[Artist]) -> None:
    """A legend on axes of somebody's own figure, where it covers least and reaches nothing else of the figure.

    One of many lines goes in columns above the curves, for which the axes make room.
    """
    size = 7 if width_of(ax) < SMALL else 8.5
    place: Look = {"loc": "best"}
    columns = min(len(handles), int(0.85 * width_of(ax) / _column(handles, size)))
    if len(handles) > FEW and columns > 1:
        place = {"loc": "upper center", "ncols": columns, "columnspacing": 1.0}
        _make_room(ax, -(-len(handles) // columns) * 1.3 * size)
    ax.legend(
        handles=handles,
        **place,
        fontsize=size,
        handlelength=1.6,
        labelspacing=0.25,
        borderaxespad=0.2,
        framealpha=0.8,
        frameon=True,
        edgecolor="none",
        borderpad=0.2,
    )


def _make_room(ax: Axes, points: float) -> None:
    """Moves the upper end of the vertical axis, so that so many points of height above the curves are free."""
    height = 0.8 * float(ax.get_position().height * ax.figure.figure.get_figheight() * 72)  # labels take the rest
    scale = ax.yaxis.get_transform()
    low, high = scale.transform(ax.get_ylim())
    ax.set_ylim(top=float(scale.inverted().transform(low + (high - low) / (1 - min(0.6, points / height)))))


def _column(handles: Sequence[Artist], size: float) -> float:
    """The width of a column of a legend in points."""
    return max((_width(str(h.get_label()), size) for h in handles), default=0.0) + 3.2 * size


def _width(text: str, size: float) -> float:
    """The width of a label: about half a letter's height a letter, of mathematics as it is drawn."""
    from matplotlib.textpath import TextPath

    return float(TextPath((0, 0), text, size=size).get_extents().width) if "$" in text else 0.43 * size * len(text)
