"""How small records show themselves in notebooks: their fields, numbers short, long arrays by their shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import mpmath
import numpy as np

from symflow.errors import shorten
from symflow.numbers.decimal import short
from symflow.numbers.rational import text
from symflow.report.html import fragment
from symflow.report.parts import Facts, Note, Part, Picture, Table
from symflow.report.tables import network_parts

if TYPE_CHECKING:
    from symflow.analysis.closed_form import ClosedForm
    from symflow.analysis.eigenvalues import ExtremeEigenvalues
    from symflow.analysis.experiments import Experiment, NetworkResult
    from symflow.analysis.observables import Observables
    from symflow.analysis.principal_flow import PrincipalFlow
    from symflow.problem import Problem

DIGITS, LONGEST, FEW = 10, 160, 8
"""Digits of a number, letters of a text, and entries of an array that are shown."""
MOST_ROWS = 20


def record_html(record: Any) -> str:
    """The fields of a record."""
    found = {f.name: getattr(record, f.name) for f in fields(record) if f.repr}
    rows = [
        ("", name.replace("_", " "), words(value))
        for name, value in found.items()
        if not (value is None or value == "")
    ]
    return fragment((Facts(tuple(rows), type(record).__name__),))


def words(value: Any) -> str:
    """A value in a line."""
    if value is None:
        return "none"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        return shorten(str(int(value)))
    if isinstance(value, Fraction):
        exact = text(value)
        return (
            exact if len(exact) <= 24 else f"about {short(value.numerator, DIGITS)}/{short(value.denominator, DIGITS)}"
        )
    if isinstance(value, float | np.floating) or hasattr(value, "_mpf_"):
        return brief_number(value)
    if isinstance(value, np.ndarray):
        return _entries(list(value)) if value.ndim == 1 and value.size <= FEW else f"array of shape {value.shape}"
    if isinstance(value, list | tuple):
        return _entries(value) if len(value) <= FEW else f"{len(value)} entries"
    if isinstance(value, Mapping):
        return shorten(", ".join(map(str, value)), LONGEST) or "none"
    return shorten(str(value), LONGEST)


def brief_number(value: Any) -> str:
    """Ten significant digits, without zeros behind them."""
    return str(mpmath.nstr(mpmath.mpf(value), DIGITS)).removesuffix(".0")


def _entries(values: Any) -> str:
    return shorten(", ".join(map(words, values)), LONGEST) or "none"


def table_html(found: Mapping[str, Any]) -> str:
    """A dictionary of records: a line each."""
    said = {name: repr(entry).strip("<>").removeprefix(f"{name}: ") for name, entry in found.items()}
    rows = [("", name, shorten(line, LONGEST)) for name, line in said.items()]
    return fragment((Facts(tuple(rows)),))


def quantities_html(found: Mapping[str, Any]) -> str:
    """The vocabulary of claims."""
    rows = tuple((name, entry.meaning) for name, entry in found.items())
    return fragment((Table(f"{len(rows)} quantities", ("symbol", "meaning"), rows, numbers=False),))


def problem_html(problem: Problem) -> str:
    """What is minimized, from where, and the settings of its run."""
    rows = [("", "problem", repr(problem).removeprefix("Problem(").removesuffix(")"))]
    rows += [("", name, words(getattr(problem, name))) for name in ("horizon", "step_size", "dps")]
    rows += [(r"\theta_0", "start", words(np.array(problem.theta0, dtype=object)))]
    return fragment((Facts(tuple(rows)),))


def closed_form_html(form: ClosedForm) -> str:
    """Which formula it is, and of what."""
    rows = (("", "result", f"{form.result}: {form.citation.statement}"), ("", "of", repr(form.problem)))
    return fragment((Facts(rows, f"closed form of {form.quantity}"),))


def observables_html(found: Observables) -> str:
    """First, last, smallest and largest value of each."""
    series = {
        "loss": found.loss,
        "norm of the gradient": found.gradient_norm,
        "smallest Hessian eigenvalue": found.min_eigenvalue,
        "largest Hessian eigenvalue": found.max_eigenvalue,
    }
    rows = [
        (
            name,
            *("missing" if np.isnan(v) else short(v, 6) for v in (values[0], values[-1])),
            *(short(v, 6) for v in (np.nanmin(values), np.nanmax(values))),
        )
        for name, values in series.items()
        if values is not None and not np.isnan(values).all()
    ]
    heads = ("observable", "first", "last", "least", "largest")
    notes: list[Part] = [] if found.reason is None else [Note(found.reason)]
    return fragment((Table(f"at {len(found.loss)} points", heads, tuple(rows)), *notes))


def eigenvalues_html(found: ExtremeEigenvalues) -> str:
    """The first points."""
    rows = [
        (str(k), *(short(v, 8) for v in row[:2]), short(row[2], 2))
        for k, row in enumerate(zip(found.min, found.max, found.residual, strict=True))
    ]
    more = [Note(f"and {len(rows) - MOST_ROWS} more points")] if len(rows) > MOST_ROWS else []
    table = Table(f"method: {found.method}", ("point", "least", "largest", "residual"), tuple(rows[:MOST_ROWS]))
    return fragment((table, *more))


def principal_flow_html(flow: PrincipalFlow) -> str:
    """How long it is, and whether it leaves the real numbers."""
    largest = max((abs(v.imag) for row in flow.states for v in row), default=0)
    rows = (
        ("", "steps", f"{len(flow.states) - 1} of {words(flow.step_size)}"),
        ("", "digits", str(flow.dps)),
        ("", "error", f"{short(flow.error.value, 2)}, {flow.error.how}"),
        ("", "largest imaginary part", short(largest)),
        ("", "end", words(flow.states[-1])),
    )
    return fragment((Facts(rows, "principal flow (R27)"),))


def network_html(found: NetworkResult) -> str:
    """The runs of one network: the picture and the table."""
    return fragment(tuple(_network(found, found.name)))


def experiment_html(found: Experiment) -> str:
    """Every network's picture and table."""
    data = f"{found.settings.samples} {found.images['name']} images"
    parts = [part for result in found.networks.values() for part in _network(result, data)]
    return fragment((*parts, Note(f"computed on {found.device}, {found.date}")))


def _network(found: NetworkResult, title: str) -> list[Part]:
    from symflow.plots.experiments import experiment_figure
    from symflow.plots.style import render

    said = f"Loss and distances of all runs of {found.name}."
    return [Picture(render(experiment_figure(found, title), "svg"), said, "", wide=True), *network_parts(found)]
