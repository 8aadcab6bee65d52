"""The page docs/theory/networks.md: which results hold for which networks, as `applicable` says it of examples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import sympy

from symflow.networks.convolutional import Convolutional
from symflow.networks.layers.convolution import Convolution
from symflow.networks.layers.dense import Dense
from symflow.networks.layers.pool import Pool
from symflow.networks.network import FullyConnected, Network
from symflow.networks.objective import Objective, expression_objective
from symflow.networks.training_loss import network_objective
from symflow.problem.problem import Problem
from symflow.theory.applicable import Applicability, Row, applicable
from symflow.theory.registry import RESULTS, find
from symflow.theory.result import Result


def _networks() -> dict[str, Network]:
    """An example of each kind, by its heading."""
    leaky = ("leaky-relu", "1/5")
    layers = (Convolution(2, (2,), (1,), (0,)), Pool("max", (2,), (1,)), Dense(1))
    options: dict[str, dict[str, Any]] = {
        "linear": {},
        "ReLU": {"activation": "relu"},
        "linear, biases": {"biases": [True, True, False]},
        "ReLU, biases": {"activation": "relu", "biases": True},
        "skip inside": {"skip": [[1, 2]]},
        "skip from the input": {"activation": "relu", "skip": [[0, 1]]},
        "diagonal": {"diagonal": [1, 2]},
        "scaled": {"output_scale": "1/2"},
        "ReLU, linear": {"activation": ["relu", "linear"]},
        "tanh": {"activation": "tanh"},
        "ReLU, tanh": {"activation": ["relu", "tanh"]},
    }
    found: dict[str, Network] = {name: FullyConnected((2, 2, 2, 1), **given) for name, given in options.items()}
    return {
        **found,
        "convolutional": Convolutional((1, 4), layers, activation=leaky),
        "convolutional, biases": Convolutional((1, 4), layers, activation=leaky, biases=True),
    }


def _problem(network: Network) -> Problem:
    """Whitened data, and balanced weights where there are such; on no kink, and no weight is 0 elsewhere."""
    images = [[1, 2, -1, Fraction(1, 2)], [-1, Fraction(1, 2), 2, 3]]
    rows = images if isinstance(network, Convolutional) else [[1, 1], [1, -1]]
    if network.linear:
        return Problem(network=network, data={"x": rows, "y": [1, 2]}, init={"scheme": "balanced", "seed": 2})
    return _at(network_objective(network, np.array(rows, dtype=object), np.array([1, 2], dtype=object)))


def _at(objective: Objective) -> Problem:
    count = objective.parameter_count
    return Problem(objective=objective, theta0=[Fraction(2 * p + 3, 7) * (-1) ** (p // 2) for p in range(count)])


def verdicts() -> dict[str, Applicability]:
    """What `applicable` says of each example."""
    u, v = sympy.symbols("u v", real=True)
    problems = {name: _problem(network) for name, network in _networks().items()}
    problems["expression"] = _at(expression_objective((u * v - 1) ** 2 + u**4, [u, v]))
    return {name: applicable(problem) for name, problem in problems.items()}


def page() -> str:
    """The text of networks.md."""
    found = verdicts()
    shown = [r for r in RESULTS.values() if r.id.startswith("R")]
    head = ["| result |" + "".join(f" {name} |" for name in found), "|---|" + "---|" * len(found)]
    table = [f"| {r.id} `{r.slug}` |" + "".join(f" {_cell(r, rows[r.id])} |" for rows in found.values()) for r in shown]
    reasons = [line for name, rows in found.items() for line in _reasons(name, rows)]
    return "\n".join([_INTRODUCTION, *head, *table, "", "## Why", "", *reasons])


def _cell(result: Result, row: Row) -> str:
    if row.answer == "not applicable":
        return ", ".join(row.in_its_place) or "no"
    word = "holds" if row.answer == "applies" else "off kinks" if "kink" in row.reason else "unchecked"
    if len(row.claims) == len(result.claims):
        return word
    return f"{word}: {'; '.join(label or 'the bound' for label in row.claims)}"


def _reasons(name: str, rows: Sequence[Row] | Applicability) -> Iterator[str]:
    """The results that do not apply to an example, by their reason."""
    found: dict[str, list[str]] = {}
    for row in rows:
        if row.answer == "not applicable":
            found.setdefault(row.reason, []).append(find(row.result).id)
    yield f"**{name}**"
    yield ""
    yield from (f"- {', '.join(ids)}: {reason}" for reason, ids in found.items())
    yield ""


_INTRODUCTION = """\
# Which results hold for which networks

Written by `python -m symflow.report.theory` from what `sf.applicable` says of one small problem of each kind (square
loss, two whitened samples, balanced weights where there are such, on no kink); for a problem of your own, ask
`sf.applicable`. In a cell: *holds*; *off kinks*:
on the pieces between kinks, where nobody has checked that a trajectory stays on one; the claims that hold, where not
all do; *R32* to *R35*: the result that says what remains of it; *no*: it does not hold, or there is nothing to say.

- Biases, skip connections and smooth activations end homogeneity: R2 and R7 to R16 say nothing about such networks,
  except that R8 holds with biases. R32 to R34 are their forms for homogeneous activations.
- A scaled output is a scaled argument of the loss, $\\ell(c\\,\\cdot,y)$, and a diagonal layer is a diagonal matrix:
  R2, R7 and R9 to R13 hold with them, R14 to R16 do not hold for diagonal layers (R35 does).
- Activations may differ from layer to layer; where all are homogeneous, R2 and R10 to R13 hold with the largest slope.
- Smooth activations have no kinks: R1, R3 to R5, R17, R18 and R22 to R29 hold, with constants enclosed by computation
  (`deviation(...).bounds["R4(tube)"]`), not by closed forms in the weights.
- A limit of the kind that R24 proves asks for its inequality on a ball, whatever the network: `sf.limit`.
"""
