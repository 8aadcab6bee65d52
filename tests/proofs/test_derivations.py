"""Every derivation holds, each negative control is refuted; the book and the table of them are typeset and up to date.

One file, hence one process: all derivations are verified once, for the tests of each and for the book, inequalities
on the first of their cases; on all of them in the thorough tier, and by `python -m derivations`.
"""

from __future__ import annotations

import errno
import re
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import sympy

from derivations import __main__ as command
from derivations import derivations
from symflow.latex.book import book
from symflow.proofs import Derivation, Step, SymbolicZero, Verified, verify
from symflow.report.derivations import describe, readme, run

NAMES = sorted(p.stem for p in (Path(__file__).parent.parent.parent / "derivations").glob("[rc][0-9]*.py"))


@pytest.mark.parametrize("name", NAMES)
def test_derivation(name: str, verified: Callable[[str], Verified]) -> None:
    found = verified(name)
    assert found.derivation.result == f"{name[0].upper()}{int(name[1:3])}"
    assert all(o.passed for outcomes in found.outcomes for o in outcomes)
    assert found.refutations
    assert not any(o.passed for o in found.refutations)


CASES = re.compile(
    r"\d\\times\s*\d|= [12],\\dots|(one|two|three|3) (variable|dimension|class)|[kmnr] \\le \d|directly|for \$f ="
)
"""What only a check of some cases says of itself."""


@pytest.mark.parametrize("name", NAMES)
def test_proved_is_not_said_where_some_cases_are_checked(name: str) -> None:
    checks = [check for step in derivations()[name].steps for check in step.checks]
    assert [check.scope for check in checks if check.kind == "proved" and CASES.search(check.scope)] == []


@pytest.mark.parametrize("name", NAMES)
def test_no_text_of_the_book_is_lost(name: str) -> None:
    """A percent sign would make a comment of the rest of its line; in a string that is not raw, t of theta is a tab."""
    d = derivations()[name]
    texts = [*d.hypotheses, d.consequence, d.remarks, d.proves.remark, *(control.change for control in d.controls)]
    texts += [x for step in d.steps for x in (step.left, step.right, step.reason, *(c.scope for c in step.checks))]
    assert [text for text in texts if re.search(r"(?<!\\)%|[\t\r\f\b\a]", text)] == []


def test_the_steps_that_were_marked_too_strongly() -> None:
    """R16 steps 2 and 8, R1 step 2, R9 step 1, R22 step 6 are proved now; of R8 step 6 a part is checked exactly."""
    found = derivations()
    for name, number in (("r16_descent_converges", 2), ("r16_descent_converges", 8), ("r01_energy", 2),
                         ("r09_curvature_ladder", 1), ("r22_trajectory_bound", 6)):  # fmt: skip
        assert found[name].steps[number - 1].checks[0].kind == "proved"
    assert {check.kind for check in found["r08_unbounded_curvature"].steps[5].checks} == {
        "checked exactly", "by lemma; sampled"
    }  # fmt: skip


@pytest.mark.thorough
@pytest.mark.parametrize("name", NAMES)
def test_derivation_on_all_cases(name: str) -> None:
    verify(derivations()[name])


# The book, the table and the command ----------------------------------------------------------------------------------

FALSE = Step("a", "b", "a false step", (SymbolicZero("", lambda: [sympy.Symbol("x")]),))


@pytest.fixture
def r07() -> Derivation:
    return derivations()["r07_hessian_linear"]


def test_the_table_is_up_to_date() -> None:
    assert command.README.read_text(encoding="utf-8") == readme(derivations()), "run python -m derivations --readme"


def test_every_step_and_control_is_in_the_book_with_the_kind_of_its_check(verified: Callable[[str], Verified]) -> None:
    found = verified("r07_hessian_linear")
    text = book([found])
    assert [int(n) for n in re.findall(r"^\\step\{step:R7:\d\}\{(\d+)\}", text, re.MULTILINE)] == [1, 2, 3, 4]
    checked = Counter(re.findall(r"\\checked\{Step \d, ([a-z ]+)\}", text))
    assert checked == {"proved": 3, "checked exactly": 3, "identity tested": 1}
    assert text.count(r"\item each pair weighted") == text.count(r"\item the factor 2") == 1
    assert text.count(r"\bibitem") == 1
    assert "10^{-16}" in text


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_the_book_is_typeset_and_nothing_is_too_wide(verified: Callable[[str], Verified], tmp_path: Path) -> None:
    source = tmp_path / "book.tex"
    source.write_text(book([verified(name) for name in derivations()]), encoding="utf-8")
    command.typeset(source)
    log = source.with_suffix(".log").read_text(errors="replace")
    assert [w for w in re.findall(r"Overfull \\hbox \((\d+\.\d+)pt", log) if float(w) > 1] == []
    assert "undefined" not in log
    assert source.with_suffix(".pdf").stat().st_size > 50_000


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_an_error_of_latex_is_reported(tmp_path: Path) -> None:
    source = tmp_path / "book.tex"
    source.write_text(r"\documentclass{article}\begin{document}\undefined\end{document}")
    with pytest.raises(RuntimeError, match=r"pdflatex fails on .*Undefined control sequence"):
        command.typeset(source)


def test_the_command_writes_the_book(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    alone = {name: derivations()[name] for name in ("r05_constant_curvature", "r07_hessian_linear")}  # no lemma used
    monkeypatch.setattr(command, "derivations", lambda: alone)
    monkeypatch.setattr(command, "README", tmp_path / "README.md")
    assert command.main(["--out", str(tmp_path / "book")]) == 0
    assert r"\section{R7. " in (tmp_path / "book" / "book.tex").read_text(encoding="utf-8")
    assert not (tmp_path / "README.md").exists()  # only when asked
    assert command.main(["--readme"]) == 0
    kinds = "proved: steps 1, 4; checked exactly: steps 1, 2; identity tested: step 3"
    assert kinds in (tmp_path / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("place", ["file/book", "file", "kept"])
def test_a_folder_that_cannot_be_written_is_refused_before_the_work(
    place: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def verify_nothing(found: object) -> list[Verified]:
        raise AssertionError("the work had begun")

    monkeypatch.setattr(command, "verify_all", verify_nothing)
    (tmp_path / "file").write_text("")
    (tmp_path / "kept" / "book.tex").mkdir(parents=True)  # the book cannot take its place
    assert command.main(["--out", str(tmp_path / place)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"--out must name a folder that can be written, got {tmp_path / place}: ")
    assert error.count("\n") == 1


def test_a_disk_that_fills_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    name = "r05_constant_curvature"
    found = derivations()[name]
    monkeypatch.setattr(command, "derivations", lambda: {name: found})
    monkeypatch.setattr(Path, "write_text", full)
    assert command.main(["--out", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert error.endswith("book.tex cannot be written: No space left on device; make room or change its rights\n")


def test_a_failing_step_ends_the_command_with_status_1_and_its_name(
    r07: Derivation, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = replace(r07, steps=(*r07.steps[:1], FALSE))
    monkeypatch.setattr(command, "derivations", lambda: {"r07_hessian_linear": broken})
    assert command.main(["--out", str(tmp_path / "book")]) == 1
    assert capsys.readouterr().err.startswith("R7, step 2 fails (proved): ")
    assert not (tmp_path / "book" / "book.tex").exists()


def test_a_derivation_runs_alone(r07: Derivation, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(r07) == 0
    assert run(replace(r07, steps=(FALSE,))) == 1
    captured = capsys.readouterr()
    assert "step 3, identity tested: exactly 0" in captured.out
    assert captured.err == "R7, step 1 fails (proved): difference 1 is x, not 0\n"


def test_a_description_has_a_line_for_every_check(verified: Callable[[str], Verified]) -> None:
    found = verified("r07_hessian_linear")
    assert len(describe(found).splitlines()) == 1 + sum(map(len, found.outcomes)) + len(found.refutations) + 1
