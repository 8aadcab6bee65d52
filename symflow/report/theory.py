"""The pages of the theory, docs/theory/notation.md, results.md and networks.md, written from its records.

Run: python -m symflow.report.theory

Every result stands there with id, slug, assumptions, the formulas that are evaluated, source and derivations.
"""

from __future__ import annotations

import sys
from pathlib import Path

from symflow.report.architectures import page
from symflow.theory.notation import NOTATION
from symflow.theory.registry import RESULTS
from symflow.theory.result import Result
from symflow.theory.statement import Statement

FOLDER = Path("docs/theory")


def pages() -> dict[str, str]:
    """The text of each page by its file name."""
    notation = ["# Notation", "", *(f"- {item}" for item in NOTATION), ""]
    listed = [f"- [{r.id} `{r.slug}`](#{_anchor(r)}): {r.summary}" for r in RESULTS.values()]
    results = [_INTRODUCTION, *listed, "", *(_section(r) for r in RESULTS.values())]
    return {"notation.md": "\n".join(notation), "results.md": "\n".join(results), "networks.md": page()}


def _anchor(result: Result) -> str:
    return f"{result.id}-{result.slug}".lower()


def _section(result: Result) -> str:
    proofs = ", ".join(f"[`{name}`](../../derivations/{name}.py)" for name in result.derivations)
    heading = f"## {result.id} {result.slug}\n\n{result.title[0].upper()}{result.title[1:]}.\n"
    return f"{heading}\n{stated(result)}\nSource: {result.source}. Derivation: {proofs}.\n"


def stated(result: Result) -> str:
    """What a result assumes and its formulas, those of its parts too, as Markdown."""
    parts = []
    if result.assumptions:
        parts += ["Suppose", "", *(f"- {a.latex}" for a in result.assumptions), ""]
    parts += _formulas(result.main)
    for part in result.parts:
        parts += [
            f"*{part.title[0].upper()}{part.title[1:]}*: suppose {'; '.join(h.latex for h in part.hypotheses)}.",
            "",
        ]
        parts += _formulas(part)
    if result.remark:
        parts += [result.remark, ""]
    return "\n".join(parts)


def _formulas(statement: Statement) -> list[str]:
    return ["```math", statement.latex(), "```", ""]


_INTRODUCTION = """\
# Results

Written from `symflow/theory` by `python -m symflow.report.theory`; the [notation](notation.md) is that of the book of
derivations. A formula here is the tree that the package evaluates. Wherever symflow takes or shows a result, the slug
may be written in place of the id: `sf.cite("step-size")`, `sf.statement("curvature-linear(a)")`,
`deviation(...).bounds["trajectory-wise(tube)"]`.
"""


def main(folder: Path = FOLDER) -> int:
    """Writes the pages; the exit status."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
