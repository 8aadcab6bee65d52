"""`symflow derive`: a problem's equations as LaTeX."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from symflow.cli.exit_status import Answer
from symflow.cli.options import Json, ProblemFile, check_file
from symflow.cli.streams import say
from symflow.numbers.decimal import counted

FORMULAS = ("loss", "gradient", "gradient_flow", "hessian_form", "hessian")
"""What is derived: functions of `derivatives.derived`."""


def derive(
    problem: ProblemFile,
    document: Annotated[
        Path | None,
        typer.Option("--document", metavar="FILE", help="Write a complete LaTeX file, its equations numbered."),
    ] = None,
    as_json: Json = False,
) -> Answer:
    """Print the equations as LaTeX. They are the loss, the gradient, the gradient flow and the Hessian of a problem.

    A table [network] alone is enough: data are then symbols, and widths may be names such as "d_0".
    """
    from symflow.derivatives import derived
    from symflow.files import write_atomically
    from symflow.latex.conventions import conventions
    from symflow.problem.formulas import load_objective
    from symflow.report.formula_document import formula_document
    from symflow.report.report import formula_report, network_report

    check_file(document, "--document")
    name, objective, given = load_objective(problem)
    found = {formula: getattr(derived, formula)(objective) for formula in FORMULAS}
    formulas = {formula: formula_report(result) for formula, result in found.items()}
    said = conventions(objective, [formula["latex"] for formula in formulas.values()])
    if document is not None:
        write_atomically(document, formula_document(objective, list(found.values()), name).encode())

    def show() -> None:
        for sentence in said:
            say(f"% {sentence}")
        say("")
        for formula, result in formulas.items():
            cited = "" if result["citation"] is None else f" -- {result['citation']}"
            say(f"% {formula.replace('_', ' ')}: {counted(result['operations'], 'operation')}{cited}")
            say(f"{result['latex']}\n")
        if document is not None:
            say(f"% {document}: a complete file")

    network = None if given is None else network_report(given)
    return Answer(lambda: {"name": name, "network": network, "conventions": list(said), "formulas": formulas}, show)
