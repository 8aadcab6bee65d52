"""Conservation laws as LaTeX: how many, and those that are known, entries of one matrix together."""

from __future__ import annotations

from symflow.analysis.laws.law import Law
from symflow.analysis.laws.record import ConservationLaws

MOST = 24
"""So many lines are printed; the number of further laws follows."""


def laws_latex(laws: ConservationLaws) -> str:
    """The number and the laws as an ``aligned`` environment, one line for each of them, or for each D_j."""
    p, d = laws.parameter_count, laws.dimension
    if laws.exact:
        lines = [rf"& P-\dim\operatorname{{Lie}} = {p}-{d} = {laws.count}"]
    else:
        lines = [rf"& {laws.at_least} \le P-\dim\operatorname{{Lie}} \le {p}-{d}"]
    groups: dict[str, list[Law]] = {}
    for law in laws.laws:
        groups.setdefault(law.family or law.name, []).append(law)
    lines += [f"& {_line(name, group)}" for name, group in groups.items()]
    if len(lines) > MOST:
        lines[MOST:] = [rf"& \vdots \quad\text{{({len(lines) - MOST} more)}}"]
    return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"


def _line(name: str, group: list[Law]) -> str:
    """One law, or how many entries of a matrix are laws."""
    if len(group) == 1:
        return group[0].formula
    places = [law.name.partition("[")[2].removesuffix("]").split(",") for law in group]
    what = "diagonal entries" if all(len(set(place)) < len(place) for place in places) else "entries"
    return rf"{name} \quad\text{{({len(group)} {what})}}"
