"""`symflow falsify`: searches for a counterexample to a claim in a file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from symflow.cli.exit_status import DONE, INTERRUPTED, Answer
from symflow.cli.options import Json, check_folder, number, write_results
from symflow.cli.signals import progress
from symflow.cli.streams import show
from symflow.cli.typed import command_line
from symflow.numbers.types import JsonObject

if TYPE_CHECKING:
    from symflow.analysis.falsify import Check, Verdict
    from symflow.analysis.falsify.claim_file import ClaimFile

COUNTEREXAMPLE = "counterexample.toml"


def falsify(
    claim: Annotated[Path, typer.Argument(metavar="CLAIM", help="A claim file (.toml or .json).")],
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where report.html, verdict.json and a counterexample go.")
    ] = Path("symflow-falsify"),
    seconds: Annotated[str | None, typer.Option("--seconds", metavar="S", help="How long to search.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", metavar="S", help="Of the draws.")] = None,
    check: Annotated[
        Path | None, typer.Option("--check", metavar="PROBLEM", help="Evaluate the claim at this problem; no search.")
    ] = None,
    as_json: Json = False,
) -> Answer:
    """Search for a counterexample to a claim. The file says the claim, such as "lambda_min >= -n*grad_phi", where it is
    to hold and where to search. The answer: refuted, with a problem file, or not refuted, which proves nothing.
    """
    from symflow.analysis.falsify import falsify as search
    from symflow.analysis.falsify.claim_file import load_claim

    asked = load_claim(claim)
    if check is not None:
        return _checked(asked, check)
    check_folder(out)
    given = {"seconds": number(seconds, "--seconds"), "seed": seed}
    settings = {**asked.settings} | {key: value for key, value in given.items() if value is not None}
    started = time.perf_counter()

    def keep(verdict: Verdict) -> None:
        _write(verdict, verdict_report(verdict) | {"seconds": round(time.perf_counter() - started, 6)}, out)

    with progress("falsify", None, keep) as report:
        verdict = search(asked.claim, asked.family, **settings, progress=report)
    found = verdict_report(verdict) | {"seconds": round(time.perf_counter() - started, 6)}
    files = _write(verdict, found, out)
    found["files"] = [str(path) for path in files]
    stopped = verdict.searched.interrupted
    said = f"interrupted; {verdict.status}: searched {verdict.searched}" if stopped else ""
    return Answer(
        lambda: found,
        lambda: show(repr(verdict), f"wrote {', '.join(map(str, files))}"),
        INTERRUPTED if stopped else DONE,
        said,
    )


def _checked(asked: ClaimFile, problem: Path) -> Answer:
    """The claim at one problem."""
    from symflow.analysis.falsify import check_counterexample

    check = check_counterexample(problem, asked.claim, dps=asked.settings["dps"])
    return Answer(lambda: check_report(check), lambda: show(repr(check).strip("<>")))


def _write(verdict: Verdict, found: JsonObject, out: Path) -> list[Path]:
    from symflow.analysis.falsify import Refuted
    from symflow.report.html import html_document
    from symflow.report.json_text import to_json
    from symflow.report.verdict_page import verdict_document

    contents = {
        "report.html": html_document(verdict_document(verdict, COUNTEREXAMPLE, command_line())).encode(),
        "verdict.json": (to_json(found) + "\n").encode(),
    }
    if isinstance(verdict, Refuted):
        contents[COUNTEREXAMPLE] = (verdict.toml() + "\n").encode()
    elif (out / COUNTEREXAMPLE).is_file():
        (out / COUNTEREXAMPLE).unlink()  # of an earlier search: it does not belong to this verdict
    return write_results(out, contents)


def verdict_report(verdict: Verdict) -> JsonObject:
    """The JSON object."""
    from math import isfinite

    from symflow.analysis.falsify import Refuted

    searched = verdict.searched
    found: JsonObject = {
        "status": verdict.status,
        "refuted": isinstance(verdict, Refuted),
        "claim": str(verdict.claim.inequality.relation),
        "given": [str(part.relation) for part in verdict.claim.given],
    }
    if isinstance(verdict, Refuted):
        found |= check_report(verdict.check) | {"proof": verdict.proof, "counterexample": verdict.problem.to_dict()}
    return found | {
        "searched": {
            "setups": searched.setups,
            "points": searched.points,
            "ascents": searched.ascents,
            "confirmations": searched.confirmations,
            "best_margin": searched.best_margin if isfinite(searched.best_margin) else None,
            "best_setup": searched.best_setup or None,
            "skipped": dict(searched.skipped),
            "seed": searched.seed,
            "interrupted": searched.interrupted,
        }
    }


def check_report(check: Check) -> JsonObject:
    """The claim at one problem, for JSON."""
    from symflow.numbers.decimal import decimal

    return {
        "refuted": check.refuted,
        "violation": decimal(check.violation, check.dps),
        "error": decimal(check.error, 3),
        "dps": check.dps,
        "values": {
            name: {"low": decimal(e.low, check.dps), "high": decimal(e.high, check.dps), "how": e.how}
            for name, e in sorted(check.values.items())
        },
    }
