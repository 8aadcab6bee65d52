"""One page for each result of the theory: statement, hypotheses, source, the steps of its proof, how tight it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import derivations
from symflow.proofs.record import Derivation, Step
from symflow.report.theory import stated
from symflow.theory.registry import RESULTS
from symflow.theory.result import Result

ROOT = Path(__file__).parents[2]
_ID = re.compile(r"(?<![\w`\[(])(R\d+|C\d+)(?![\w`])")
_PIECES = re.compile(r"(```.*?```|\$[^$]*\$|`[^`]*`|\]\([^)]*\))", re.DOTALL)
_DISPLAY = re.compile(r"\\\[(.*?)\\\]", re.DOTALL)
_COMMANDS = ((r"\\emph\{([^{}]*)\}", r"*\1*"), (r"\\textbf\{([^{}]*)\}", r"**\1**"), (r"\\texttt\{([^{}]*)\}", r"`\1`"))


def pages() -> dict[str, str]:
    """The page of every result by its name."""
    proofs: dict[str, list[tuple[str, Derivation]]] = {}
    for name, derivation in derivations.derivations().items():
        proofs.setdefault(derivation.result, []).append((name, derivation))
    return {_name(r): _page(r, proofs.get(r.id, [])) for r in RESULTS.values()}


def _name(result: Result) -> str:
    return f"theory/{result.id.lower()}-{result.slug}.md"


def _page(result: Result, proofs: list[tuple[str, Derivation]]) -> str:
    parts = [
        f"# {result.id} {result.title[0].upper()}{result.title[1:]}",
        f"{result.summary[0].upper()}{result.summary[1:]}. Cited as `{result.id}` or `{result.slug}`: "
        f'`sf.cite("{result.slug}")`, `sf.statement("{result.slug}")`. All pages share one [notation](notation.md).',
        "## Statement",
        markdown(stated(result)),
        f"Source: {result.source}.",
    ]
    tables = list(_tight(result.id))
    if tables:
        parts += ["## How tight", "From the studies on random problems; ratios are bound to truth.", *tables]
    for name, derivation in proofs:
        parts += [f"## Derivation: {markdown(derivation.title)}", *_derivation(name, derivation)]
    return "\n\n".join(parts) + "\n"


def _derivation(name: str, derivation: Derivation) -> Iterator[str]:
    yield f"Every check of [`derivations/{name}.py`](../../derivations/{name}.py) is executed by the tests."
    if derivation.part is not None:
        yield "Assumed:\n\n" + "\n".join(f"- {markdown(h)}" for h in derivation.hypotheses)
    elif derivation.notation:
        yield "Also assumed or named:\n\n" + "\n".join(f"- {markdown(x)}" for x in derivation.notation)
    for number, step in enumerate(derivation.steps, start=1):
        yield _step(number, step)
    if derivation.consequence:
        yield markdown(derivation.consequence)
    if derivation.remarks:
        yield markdown(derivation.remarks)
    yield "Negative controls, which the same checks refute:\n\n" + "\n".join(
        f"- {markdown(control.change)}" for control in derivation.controls
    )


def _step(number: int, step: Step) -> str:
    formula = f"```math\n{_formula(step)}\n```"
    checks = "; ".join(f"*{check.kind}*: {markdown(check.scope)}" for check in step.checks)
    return f"**{number}.** {markdown(step.reason)}\n\n{formula}\n\n<small>{checks}.</small>"


def _formula(step: Step) -> str:
    """The formula of a step; one that is aligned in itself stands on one line with its left side."""
    if "{aligned}" in step.left + step.right:
        return f"{step.left} {step.relation} {step.right}".replace(r"\begin{aligned}[t]", r"\begin{aligned}")
    return rf"\begin{{aligned}}{step.left} &{step.relation} {step.right}\end{{aligned}}"


def _tight(name: str) -> Iterator[str]:
    """The rows on a result in the tables of bounds of the studies, with their headings."""
    for path in sorted((ROOT / "tests/studies").glob("*.md")):
        title, header, rows = "", "", []
        for line in [*path.read_text(encoding="utf-8").splitlines(), ""]:
            if line.startswith("#"):
                title = line.lstrip("# ")
            elif line.startswith("| bound"):
                header = line
            elif header and re.match(rf"\| {name}(?!\d)", line):
                rows.append(line)
            elif not line.startswith("|"):
                if rows:
                    yield f"[{title}](../../tests/studies/{path.name}):\n\n{header}\n{_rule(header)}\n" + "\n".join(
                        rows
                    )
                header, rows = "", []


def _rule(header: str) -> str:
    return "|" + "---|" * (header.count("|") - 1)


def markdown(text: str) -> str:
    """LaTeX text as Markdown: displays, emphasis, and results as links to their pages."""
    text = _DISPLAY.sub(lambda m: f"\n\n```math\n{m[1].strip()}\n```\n\n", text)
    return "".join(piece if i % 2 else _words(piece) for i, piece in enumerate(_PIECES.split(text)))


def _words(text: str) -> str:
    for pattern, replacement in _COMMANDS:
        text = re.sub(pattern, replacement, text)
    text = (
        text.replace(r"\%", "%")
        .replace(r"\&", "&")
        .replace(r"\_", "_")
        .replace(r"\ ", " ")
        .replace("~", "\u00a0")
        .replace("--", "–")
    )
    return _ID.sub(
        lambda m: f"[{m[1]}]({_name(RESULTS[m[1]]).removeprefix('theory/')})" if m[1] in RESULTS else m[1], text
    )
