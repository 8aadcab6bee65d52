"""symflow: how well does gradient flow (GF) describe gradient descent (GD)?

Formulas, bounds and ground truth to any number of digits, for small homogeneous networks. The way of a problem through
the rooms of this package, from the ground up; a room imports only from rooms above it in this list:

1. `numbers`: exact rationals and fixed point, from text and from Python's and NumPy's numbers.
2. `programs`: a formula is a short program over arrays, of a length that depends on the depth of a network alone;
   `differentiate` is the one differentiator.
3. `networks`: architectures and losses become an `Objective`: a program f(theta) with its data.
4. `derivatives`: the gradient and the Hessian, programs too.
5. `dynamics`: what moves theta: the gradient flow theta' = -grad f, flow held on kinks, modified equations of methods.
6. `evaluate`: interpreters of programs: exact rationals, mpmath, balls, JAX, NumPy, power series, SymPy scalars, source
   text.
7. `problem`: a `Problem` is an objective, a start, a horizon and a step size, from a file or from Python.
8. `theory`: the results R1, R2, ... as statements that are printed as they are evaluated, with checkable hypotheses.
9. `paths`: flow to any number of digits or in float64, and the iterates of descent.
10. `proofs`: derivations of the results, every step of which is executed.
11. `analysis`: how far GD strays from GF, which bound explains it, claims to refute, sweeps, experiments.
12. `latex`, `plots`, `report`, `cli`: what people read. Records show themselves through the table in `displays`.

The interface is the list in `__init__.pyi`; every name is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module

from symflow.displays import register
from symflow.versions import __version__ as __version__

with open(__file__.removesuffix("py") + "pyi", encoding="utf-8") as _interface:  # "from MODULE import NAME as NAME"
    _EXPORTS = {words[3]: words[1] for words in map(str.split, _interface) if words[:1] == ["from"]}
__all__ = sorted(_EXPORTS)

register(
    {
        ("Certificate", "latex"): "symflow.latex.certificates:theorem_latex",
        ("Certificate", "markdown"): "symflow.latex.certificates:theorem_markdown",
        ("ConservationLaws", "citation"): "symflow.theory.registry:cited",
        ("ConservationLaws", "latex"): "symflow.latex.laws:laws_latex",
        ("Derived", "call"): "symflow.evaluate.call:value_at",
        ("Derived", "latex"): "symflow.latex:derived_latex",
        ("Derived", "document"): "symflow.report.formula_document:derived_document",
        ("Derived", "explicit"): "symflow.evaluate.sympy_scalars:explicit",
        ("Derived", "source"): "symflow.evaluate.source:python_source",
        ("Derived", "citation"): "symflow.theory.registry:cited",
        ("ModifiedEquation", "citation"): "symflow.theory.registry:cited",
        ("Objective", "latex"): "symflow.latex:objective_latex",
        ("Statement", "citation"): "symflow.theory.registry:cited",
        ("Statement", "document"): "symflow.report.formula_document:statement_document",
        ("Statement", "latex"): "symflow.latex.statements:statement_latex",
        ("Trajectory", "plot"): "symflow.plots.trajectory:plot_trajectory",
        ("Trajectory", "save"): "symflow.paths.files:save_trajectory",
        ("VectorField", "explicit"): "symflow.evaluate.sympy_scalars:explicit_field",
        ("VectorField", "latex"): "symflow.latex:field_latex",
        ("Jacobian", "explicit"): "symflow.evaluate.sympy_scalars:explicit_jacobian",
        ("Deviation", "plot"): "symflow.plots.deviation:plot_deviation",
        ("BoundSeries", "html"): "symflow.report.notebook:bound_html",
        ("Deviation", "html"): "symflow.report.notebook:deviation_html",
        ("Limit", "html"): "symflow.report.notebook:limit_html",
        ("StepAdvice", "html"): "symflow.report.notebook:advice_html",
        ("Sweep", "plot"): "symflow.plots.sweep:plot_sweep",
        ("Sweep", "html"): "symflow.report.notebook:sweep_html",
        ("TightnessTable", "html"): "symflow.report.notebook:tightness_html",
        ("Trajectory", "html"): "symflow.report.notebook:trajectory_html",
        ("ClosedForm", "html"): "symflow.report.records:closed_form_html",
        ("Experiment", "html"): "symflow.report.records:experiment_html",
        ("ExtremeEigenvalues", "html"): "symflow.report.records:eigenvalues_html",
        ("NetworkResult", "html"): "symflow.report.records:network_html",
        ("Observables", "html"): "symflow.report.records:observables_html",
        ("PrincipalFlow", "html"): "symflow.report.records:principal_flow_html",
        ("Problem", "html"): "symflow.report.records:problem_html",
        ("Digits", "html"): "symflow.report.lists:digits_html",
        ("Listed", "html"): "symflow.report.lists:listed_html",
        ("Listed", "text"): "symflow.report.lists:listed_text",
        ("Table", "html"): "symflow.report.records:table_html",
        ("_Quantities", "html"): "symflow.report.records:quantities_html",
        ("object", "html"): "symflow.report.records:record_html",
    }
)


def __getattr__(name: str) -> object:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'symflow' has no attribute {name!r}")
    value = getattr(import_module(_EXPORTS[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
