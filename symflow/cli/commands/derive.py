"""`symflow derive`: a problem's equations as LaTeX."""

from __future__ import annotations

from symflow.cli.exit_status import Answer
from symflow.cli.options import Json, ProblemFile, load
from symflow.cli.streams import say

FORMULAS = ("loss", "gradient", "gradient_flow", "hessian_form", "hessian")
"""What is derived: functions of `derivatives.derived`."""


def derive(problem: ProblemFile, as_json: Json = False) -> Answer:
    """Print the equations as LaTeX. They are the loss, the gradient, the gradient flow and the Hessian of a problem."""
    from symflow.derivatives import derived
    from symflow.report.report import formula_report, network_report

    given = load(problem)
    formulas = {name: formula_report(getattr(derived, name)(given.objective)) for name in FORMULAS}

    def show() -> None:
        for name, found in formulas.items():
            cited = "" if found["citation"] is None else f" -- {found['citation']}"
            say(f"% {name.replace('_', ' ')}: {found['operations']} operations{cited}")
            say(f"{found['latex']}\n")

    return Answer(lambda: {"name": given.name, "network": network_report(given), "formulas": formulas}, show)
