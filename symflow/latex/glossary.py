"""Notes at the end of formulas, which explain the symbols that are neither a paper's nor defined by a line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from symflow.latex.operator_node import Applied
from symflow.networks.convolutional import Convolutional
from symflow.networks.network import Network
from symflow.numbers.rational import rational_latex
from symflow.programs.nodes import Gate, Map, Node

WEIGHTS = r"W_{j}\colon \text{rows are outputs, columns are inputs (channel, then place)}"
SHAPES = (r"X, Y, Z_{j}, A_{j}\colon \text{rows are channels, columns are pixels of samples}", WEIGHTS)


def slope_symbol(gate: Gate, by_layer: bool) -> str:
    """sigma' of a gate, with its layer where layers have different activations."""
    return rf"\sigma_{{{gate.layer}}}'" if by_layer else r"\sigma'"


def notes(nodes: Iterable[Node], network: Network | None, by_layer: bool = False) -> list[str]:
    """The notes for formulas with these nodes."""
    nodes = tuple(nodes)
    found: dict[str, None] = dict.fromkeys(SHAPES if isinstance(network, Convolutional) else ())
    for x in nodes:
        if isinstance(x, Applied):
            found.update(dict.fromkeys(x.operator.notes))
        elif isinstance(x, Gate):
            found.setdefault(
                rf"{slope_symbol(x, by_layer)}(z) := {rational_latex(x.alpha)} \text{{ for }} z \ge 0, \quad "
                rf"{rational_latex(x.alpha_bar)} \text{{ for }} z < 0"
            )
        elif isinstance(x, Map) and x.record.note is not None:
            found.setdefault(x.record.note + (r" \text{ entry by entry}" if x.axes else ""))
    maps = [x.record for x in nodes if isinstance(x, Map) and x.axes]
    functions = dict.fromkeys(symbol for record in maps for symbol in record.noted)
    if functions:
        found.setdefault(rf"{', '.join(functions)}\colon \text{{entry by entry}}")
    return list(found)


def where(notes: Sequence[str]) -> list[str]:
    """Notes as lines of an ``align``."""
    margins = [r"\text{where }", *[r"\phantom{\text{where }}"] * (len(notes) - 1)]
    # \mathopen{} suppresses the space that TeX puts before an operator name.
    return [rf"&{margin}\mathopen{{}} {note}" for margin, note in zip(margins, notes, strict=False)]
