"""Problem files of which only formulas are wanted: a network, symbolic data, widths that may be symbols."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

import sympy

from symflow.errors import ProblemError, brief
from symflow.files import shown
from symflow.networks.objective import Objective
from symflow.networks.training_loss import network_objective
from symflow.problem.architecture import architecture, loss_of
from symflow.problem.load import read_tables
from symflow.problem.problem import Problem
from symflow.problem.schema import FormulaFile, check_loss, check_network, validate

_SYMBOL = re.compile(r"[A-Za-z](_?\w+)?", re.ASCII)


def load_objective(path: str | os.PathLike[str]) -> tuple[str, Objective, Problem | None]:
    """Name and objective of a problem file, and the problem; of a network and a loss alone the data are symbols.

    Without data, widths may be names such as ``"d_0"``, of fully connected networks.

    Raises:
        ProblemError: see `load_problem`.
    """
    tables, file = read_tables(path)
    source, name = shown(file), file.stem[:200]
    symbolic = isinstance(tables, Mapping) and not {"data", "init"} & tables.keys()
    if not symbolic:
        problem = Problem.from_mapping(tables, source, file.parent, name=name)
        return problem.name or name, problem.objective, problem
    widths = _widths(tables.get("network"), source)
    if widths is not None:
        tables = {
            **tables,
            "network": {**tables["network"], "widths": [w if isinstance(w, int) else 1 for w in widths]},
        }
    section = validate(FormulaFile, tables, source)
    check_network(section.network, source)
    check_loss(section.loss, source)
    network = architecture(section.network, source, widths)
    return section.name or name, network_objective(network, None, None, loss_of(section.loss, source)), None


def _widths(network: object, source: str) -> list[Any] | None:
    """The widths where some are names, as integers and symbols; None where all are numbers."""
    given = network.get("widths") if isinstance(network, Mapping) else None
    if not isinstance(given, list) or not any(isinstance(w, str) for w in given):
        return None
    for w in given:
        if isinstance(w, str) and (not _SYMBOL.fullmatch(w) or w == "N"):
            raise ProblemError(
                f'{source}: network.widths must be integers or names such as "d_0", other than "N", got {brief(w)}'
            )
    return [sympy.Symbol(w, integer=True, positive=True) if isinstance(w, str) else w for w in given]
