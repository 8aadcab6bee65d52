"""Claims in files: read as data, never evaluated.

claim = "lambda_min >= -(n - 2)*grad_phi_F*max_product"
given = ["f >= 1"]               # one condition or several; may be left out
seconds = 60                     # how long to search; seed and dps too
[family]                         # the fields of `Family`
depths = [2, 3]
[[family.networks]]              # or networks of one's own, each as [network] of a problem file
widths = [2, 3, 1]
biases = true
[descent]                        # as in problem files
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import sympy

from symflow.analysis.falsify.claim import Claim, nearest, read_claim
from symflow.analysis.falsify.confirm import DPS
from symflow.analysis.falsify.family import Family
from symflow.analysis.falsify.vocabulary import claim_quantities, known
from symflow.errors import ProblemError, brief
from symflow.networks.network import Network
from symflow.numbers.rational import rational
from symflow.problem.architecture import network_of
from symflow.problem.descent import method_of
from symflow.problem.expression import parse_inequality
from symflow.problem.load import load_tables
from symflow.problem.schema import parse_descent
from symflow.problem.table import named_file

KEYS = ("claim", "given", "family", "descent", "seconds", "seed", "dps")
CHOICES = {"Abs": sympy.Abs, "Max": sympy.Max, "Min": sympy.Min}
_NUMBERS = ("weights", "data", "step_sizes", "times")
_NAME = re.compile(r"[A-Za-z_]\w*(?!\w*\()")


@dataclass(frozen=True)
class ClaimFile:
    """What a file asks.

    Attributes:
        claim: the claim with its conditions.
        family: where to search.
        settings: seconds, seed and dps, as far as the file gives them.
    """

    claim: Claim
    family: Family
    settings: Mapping[str, Any]


def load_claim(path: str | os.PathLike[str]) -> ClaimFile:
    """The claim in a ``.toml`` or ``.json`` file.

    Raises:
        ProblemError: one line: the file, the key, what is wrong and what would be right.
    """
    tables, source = load_tables(named_file(path, "a claim"))
    if not isinstance(tables, Mapping):
        raise ProblemError(f"{source}: must be a table with the key claim, got {brief(tables)}")
    _check_keys(tables, KEYS, source, "")
    if "claim" not in tables:
        raise ProblemError(f'{source}: claim is missing; it must be an inequality such as "lambda_min >= 0"')
    given = tables.get("given", [])
    conditions = [given] if isinstance(given, str) else given
    if not isinstance(conditions, Sequence):
        raise ProblemError(f"{source}: given must be one inequality or a list of them, got {brief(given)}")
    claim = _inequality(tables["claim"], f"{source}: claim")
    where = [_inequality(text, f"{source}: given[{i}]") for i, text in enumerate(conditions)]
    try:
        read = read_claim(claim, where)
        family = _family(tables, source)
    except ProblemError as refused:
        said = str(refused)
        raise ProblemError(said if said.startswith(source) else f"{source}: {said}") from None
    settings = {"seconds": 60, "seed": 0, "dps": DPS} | {
        k: tables[k] for k in ("seconds", "seed", "dps") if k in tables
    }
    return ClaimFile(read, family, settings)


def _inequality(written: object, where: str) -> sympy.Rel:
    if not isinstance(written, str):
        raise ProblemError(f'{where} must be text such as "lambda_min >= 0", got {brief(written)}')
    functions = set(CHOICES) | {"sqrt", "exp", "log", "sin", "cos"}
    names = {name for name in _NAME.findall(written) if name not in functions and name not in ("pi", "E")}
    for name in sorted(names):
        if not known(name):
            raise ProblemError(f"{where} contains the unknown quantity {brief(name)}; {nearest(name)}")
    quantities = claim_quantities()
    symbols = {name: quantities[name].symbol for name in names} | {"pi": sympy.pi, "E": sympy.E}
    return parse_inequality(written, symbols, where, CHOICES)


def _family(tables: Mapping[str, Any], source: str) -> Family:
    table = tables.get("family", {})
    if not isinstance(table, Mapping):
        raise ProblemError(f"{source}: family must be a table, got {brief(table)}")
    names = [f.name for f in fields(Family) if f.name != "method"]
    _check_keys(table, names, source, "family.")
    settings = {
        key: _plain(value, f"{source}: family.{key}") if key in _NUMBERS else value for key, value in table.items()
    }
    if "descent" in tables:
        settings["method"] = method_of(parse_descent(tables["descent"], source), source)
    if "networks" in settings:
        drawn = next((key for key in ("depths", "widths", "kinds", "activations") if key in settings), None)
        if drawn is not None:
            raise ProblemError(
                f"{source}: family.{drawn} is for drawn networks, got family.networks too; leave one out"
            )
        settings["networks"] = _networks(settings["networks"], f"{source}: family.networks")
    given: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in settings.items()}
    return Family(**given)


def _networks(tables: object, where: str) -> list[Network]:
    """The networks of [[family.networks]]."""
    if not isinstance(tables, list) or not tables:
        raise ProblemError(f"{where} must be a list of tables [[family.networks]], got {brief(tables)}")
    return [network_of(table, f"{where}[{number}]") for number, table in enumerate(tables)]


def _plain(value: object, where: str) -> object:
    """A number or a list of numbers in float64."""
    if isinstance(value, list):
        return [float(rational(v, where)) for v in value]
    return float(rational(value, where))


def _check_keys(table: Mapping[str, Any], keys: Sequence[str], source: str, prefix: str) -> None:
    for key in table:
        if key not in keys:
            raise ProblemError(
                f"{source}: {prefix}{brief(key).strip(chr(39))} is not a known key; known are {', '.join(keys)}"
            )
