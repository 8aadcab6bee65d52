"""All results, by id or slug: `cite`, `statement` and `statements`, and tables that answer to both names."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Protocol, TypeVar

import symflow.theory
from symflow.displays import displayed
from symflow.errors import ProblemError, brief
from symflow.theory.result import Citation, Result
from symflow.theory.statement import Statement

FILE = re.compile(r"([rc])(\d\d)_(\w+)")
"""A file of this room with a result: r04_step_size has R4, step-size."""


def _result_files() -> list[re.Match[str]]:
    """The files with results, in their order, then those with closed forms."""
    found = [match for m in iter_modules(symflow.theory.__path__) if (match := FILE.fullmatch(m.name))]
    return sorted(found, key=lambda match: (match[1] != "r", match[0]))


class Results(Mapping[str, Result]):
    """The results by id, in their order; a file is read when its result is asked for."""

    def __init__(self, files: Iterable[re.Match[str]]) -> None:
        self._files = {f"{match[1].upper()}{int(match[2])}": match for match in files}
        self.ids = {match[3].replace("_", "-"): id for id, match in self._files.items()}
        """By slug."""

    def __getitem__(self, id: str) -> Result:
        file = vars(import_module(f"symflow.theory.{self._files[id][0]}"))
        (result,) = {r for r in file.values() if isinstance(r, Result) and r.id == id}
        return result

    def __contains__(self, id: object) -> bool:
        return id in self._files

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


RESULTS = Results(_result_files())
Entry = TypeVar("Entry")


def id_name(name: str) -> str:
    """A name with the slug replaced by the id: "trajectory-wise(tube)" is "R22(tube)"; other names stay."""
    slug, bracket, rest = name.partition("(")
    return RESULTS.ids.get(slug, slug) + bracket + rest


@displayed
class Table(dict[str, Entry]):
    """A dictionary by names such as "R4" or "R22(tube)" that also answers to those with a slug in place of the id."""

    def __missing__(self, name: str) -> Entry:
        if isinstance(name, str) and dict.__contains__(self, id_name(name)):
            return self[id_name(name)]
        raise KeyError(f"there is no {name!r}; known are {', '.join(self)}")

    def __contains__(self, name: object) -> bool:
        return dict.__contains__(self, name) or (isinstance(name, str) and dict.__contains__(self, id_name(name)))

    def get(self, name: str, default: Any = None) -> Any:
        """The entry of a name, or the default."""
        try:
            return self[name]
        except KeyError:
            return default


def unknown(kind: str, name: object) -> ProblemError:
    """The error for a name that no result has."""
    near = difflib.get_close_matches(str(name)[:100].upper(), RESULTS, n=1) or difflib.get_close_matches(
        str(name)[:100].lower(), RESULTS.ids, n=1
    )
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(RESULTS)}, with names in sf.statements()"
    return ProblemError(f"there is no {kind} {brief(name)}; {hint}")


def find(name: str) -> Result:
    """The result of an id such as "R4" or a slug such as "step-size".

    Raises:
        ProblemError: no such result.
    """
    if not isinstance(name, str) or id_name(name) not in RESULTS:
        raise unknown("result", name)
    return RESULTS[id_name(name)]


def cite(result: str) -> Citation:
    """The citation of a result, by its id such as "R4" or its slug such as "step-size".

    Args:
        result: id or slug.

    Returns:
        A `Citation`: `id`, `statement` in one line, and `source`, the literature.

    Raises:
        ProblemError: an unknown result.

    Example:
        >>> citation = sf.cite("R4")
        >>> print(citation.statement)
        step-size condition under which gradient descent stays close to gradient flow
        >>> citation.source.split(", ")[-2:]
        ['NeurIPS 2021', 'arXiv:2107.06608']
    """
    return find(result).citation


class Cited(Protocol):
    """What names the result that it states."""

    @property
    def result(self) -> str | None: ...


def cited(record: Cited) -> Citation | None:
    """Where the result that a record states comes from."""
    return None if record.result is None else cite(record.result)


def statements() -> dict[str, Statement]:
    """All statements of the theory by result id; the dictionary also answers to slugs.

    Returns:
        A dictionary from ids such as "R9" to `Statement` records, in the order R1, R2, ...

    Source: that of each result, `statement(result).citation`.

    Example:
        >>> list(sf.statements())
        ['R1', 'R2', 'R3', ..., 'C9']
        >>> print(sf.statements()["R10"].title)
        balancedness is conserved by gradient flow, and drifts by a closed form along descent
    """
    return Table({r.id: r.statement for r in RESULTS.values()})


def statement(result: str) -> Statement:
    r"""The statement of a result such as "R9" or "curvature-linear", or one of its claims such as "R9(a)".

    Args:
        result: id or slug, with the label of a claim in brackets if only that one is wanted.

    Returns:
        A `Statement`, valid at every depth n; `latex()` prints it, `instantiate` makes it a program for one network.

    Raises:
        ProblemError: an unknown result or claim.

    Source: that of the result, `statement(result).citation`.

    Example:
        >>> print(sf.statement("R2").only("all").latex())
        \begin{aligned}
        \langle \theta, \nabla_\theta h \rangle &= n h
        \end{aligned}
        >>> sf.statement("R9(e)").claims[0].relation
        '>='
    """
    found, bracket, rest = id_name(result).partition("(") if isinstance(result, str) else ("", "", "")
    if found not in RESULTS:
        raise unknown("statement", result)
    whole = RESULTS[found].statement
    if not bracket:
        return whole
    labels = {claim.label for claim in whole.claims}
    return whole.only(rest.removesuffix(")") if rest.removesuffix(")") in labels else bracket + rest)
