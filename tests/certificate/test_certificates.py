"""Certificates are proved by the stand-alone checker in a fresh process, and rejected once they state what is false."""

from __future__ import annotations

import ast
import io
import json
import platform
import subprocess
import sys
import time
import tokenize
from datetime import date
from fractions import Fraction
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import pytest
from certified_cases import CASES, Case
from tampering import tampered

import symflow as sf
from symflow.certificate import certificate_check as checker
from symflow.certificate.write import checker_source, checking, proved, to_bytes

TABLE = Path(__file__).parent.parent / "studies" / "certificates.md"
QUICK = ("linear 2-1", "relu, slide", "leaky, crossing", "heavy ball, logistic", "all time, least squares")
MOST_LINES = 400


def check(folder: Path, certificate: bytes) -> subprocess.CompletedProcess[str]:
    """Runs the checker on a certificate, in a process that finds no symflow."""
    (folder / "certificate_check.py").write_bytes(checker_source())
    (folder / "theorem.json").write_bytes(certificate)
    blocked = "import sys; sys.modules['symflow'] = None; import runpy; "
    run = "sys.argv = ['certificate_check.py', 'theorem.json']; runpy.run_path(sys.argv[0], run_name='__main__')"
    return subprocess.run(
        [sys.executable, "-I", "-c", blocked + run], cwd=folder, capture_output=True, text=True, timeout=300
    )


def prove_and_tamper(case: Case, folder: Path) -> tuple[sf.Certificate, float, dict[str, str]]:
    """A certificate, the seconds that a fresh process takes to prove it, and what is said of each falsified one."""
    certificate = case.certificate()
    assert certificate.holds is case.holds, certificate
    assert certificate.document is not None
    started = time.perf_counter()
    run = check(folder, to_bytes(certificate.document))
    seconds = time.perf_counter() - started
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.endswith("The statement is proved.\n")
    said = {}
    for what, changed in tampered(certificate.document):
        with pytest.raises(checker.Rejected) as wrong:
            proved(changed)
        said[what] = str(wrong.value)
    return certificate, seconds, said


@pytest.mark.parametrize("case", [c for c in CASES if c.name in QUICK], ids=lambda c: c.name)
def test_a_certificate_is_proved_and_falsified_ones_are_rejected(case: Case, tmp_path: Path) -> None:
    _, _, said = prove_and_tamper(case, tmp_path)
    assert len(said) >= 4
    assert all("is not proved" in line for line in said.values())


@pytest.mark.thorough
def test_thirty_problems(tmp_path: Path) -> None:
    rows, count = [], 0
    for case in CASES:
        certificate, seconds, said = prove_and_tamper(case, tmp_path)
        size = len((tmp_path / "theorem.json").read_bytes()) / 1000
        count += len(said)
        bounds = ", ".join(f"{d.bound:.3g}" for d in certificate.decisions if d.bound is not None)
        statement = certificate.statement.replace("|", "\\|")
        widths = "-".join(map(str, case.widths))
        rows.append(f"| {case.name} | {widths} | {statement} | {bounds} | {size:.0f} | {seconds:.1f} | {len(said)} |")
    assert len(CASES) == 30
    assert count >= 200
    TABLE.write_text(_table(rows, count), encoding="utf-8")


def _table(rows: list[str], count: int) -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in ("symflow", "python-flint", "gmpy2"))
    lines = [
        "# Certificates",
        "",
        f"The 30 problems of `tests/certificate/certified_cases.py`, {date.today()}, {versions}, Python "
        f"{platform.python_version()}. Each certificate was proved by `certificate_check.py` in a fresh process "
        f"without symflow; {count} certificates changed by `tests/certificate/tampering.py` (what is stated is false "
        "in each) were all rejected by an inequality.",
        "",
        "| problem | widths | proved | values that decide | kB | seconds to check | falsified, all rejected |",
        "|---|---|---|---|---|---|---|",
        *rows,
    ]
    return "\n".join(lines) + "\n"


# The checker by itself ----------------------------------------------------------------------------------------------


def test_the_checker_is_short_and_stands_alone() -> None:
    source = checker_source().decode()
    tree = ast.parse(source)
    assert code_lines(source) <= MOST_LINES
    names = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    names |= {n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert names <= {"json", "math", "sys", "bisect", "fractions", "operator", "flint"}
    assert "hash" not in source


def code_lines(source: str) -> int:
    """Lines with code: docstrings, comments and blank lines apart."""
    quiet = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    code: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in quiet:
            code |= set(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            code -= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    return len(code)


def test_code_is_counted_without_docstrings() -> None:
    assert code_lines('"""One.\n\nTwo."""\n\nimport os  # why\n\n# no\ndef f():\n    """Three."""\n    return 1\n') == 3


UNREADABLE = [b"", b"[]", b"{}", b'{"format": 2}', b"\xff\xfe", b'{"format": 1, "precision": "a"}']


@pytest.mark.parametrize("content", UNREADABLE)
def test_what_is_no_certificate_is_unreadable(content: bytes, tmp_path: Path) -> None:
    run = check(tmp_path, content)
    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr.startswith("unreadable: theorem.json: ")
    assert run.stderr.count("\n") == 1


def test_what_is_neither_true_nor_false_proves_nothing(tmp_path: Path) -> None:
    """A distance at step 0, which is 0, does not stand for those at all steps."""
    certificate = next(c for c in CASES if c.name == "linear 2-1").certificate()
    assert certificate.document is not None
    for holds in (2, "yes", 1, "", None, []):
        changed = json.loads(to_bytes(certificate.document))
        changed["claims"][0] |= {"holds": holds, "bound": "1/1000000000", "at": "0"}
        assert check(tmp_path, json.dumps(changed).encode()).returncode == 2


def test_a_rejection_is_one_line_with_both_sides(tmp_path: Path) -> None:
    certificate = next(c for c in CASES if c.name == "linear 2-1").certificate()
    assert certificate.document is not None
    changed = json.loads(to_bytes(certificate.document))
    changed["claims"][0]["bound"] = "1/1000"
    run = check(tmp_path, json.dumps(changed).encode())
    assert run.returncode == 1
    last = run.stdout.splitlines()[-1]
    assert last.startswith("rejected: distance at ")
    assert last.endswith("<= 0.0010000000 is not proved")


# Its parts against mathematics ---------------------------------------------------------------------------------------


def network(loss: str, widths: tuple[int, ...], y: list[list[int]]) -> checker.Network:
    """A leaky network with one or two samples."""
    count = sum(a * b for a, b in pairwise(widths))
    x = [[str(Fraction(3 * i + j + 1, 7)) for j in range(widths[0])] for i in range(len(y))]
    theta = [str(Fraction((5 * k) % 11 - 5, 6) + Fraction(1, 13)) for k in range(count)]
    rows = [[str(v) for v in row] for row in y]
    return checker.Network(
        {"widths": widths, "alpha": "1", "alpha_bar": "1/5", "loss": loss, "x": x, "y": rows, "theta0": theta}
    )


@pytest.mark.parametrize(
    ("loss", "y"),
    [
        ("square", [[1, 2], [0, -1]]),
        ("cross-entropy", [[1, 0], [0, 1]]),
        ("logistic", [[1], [-1]]),
        ("exponential", [[1], [-1]]),
    ],
)
def test_gradient_and_hessian_are_derivatives_of_the_loss(loss: str, y: list[list[int]]) -> None:
    with checking(400):
        net = network(loss, (2, 3, 2, len(y[0])), y)
        h, gate = checker.arb(2) ** -100, net.signs("test")
        gradient, hessian = net.gradient(net.theta0, gate)[0], net.hessian(net.theta0, gate)
        for k in range(net.count):
            ahead, behind = ([v + s * h * (j == k) for j, v in enumerate(net.theta0)] for s in (1, -1))
            slope = (net.mean_loss(ahead, gate) - net.mean_loss(behind, gate)) / (2 * h)
            assert abs(slope - gradient[k]) < 1e-50
            change = [
                (a - b) / (2 * h) for a, b in zip(*(net.gradient(t, gate)[0] for t in (ahead, behind)), strict=True)
            ]
            assert all(abs(a - b) < 1e-50 for a, b in zip(change, hessian[k], strict=True))


def test_eigenvalues_are_proved_up_to_the_smallest() -> None:
    with checking(100):
        matrix = [[checker.arb(v) for v in row] for row in ((2, 1), (1, 2))]  # eigenvalues 1 and 3
        checker.prove_eigenvalues(matrix, checker.arb(1) - checker.arb(2) ** -30, "test")
        with pytest.raises(checker.Rejected):
            checker.prove_eigenvalues(matrix, checker.arb(1) + checker.arb(2) ** -30, "test")
        wide = [[v + checker.around(checker.arb("0.1")) for v in row] for row in matrix]  # as low as 0.8
        checker.prove_eigenvalues(wide, checker.arb("0.3"), "test")
        with pytest.raises(checker.Rejected):
            checker.prove_eigenvalues(wide, checker.arb("0.81"), "test")


def test_polynomials_are_bounded_from_below() -> None:
    with checking(100):
        p = checker.arb_poly([1, -2, 1])  # (1 - s)^2
        zero, half, two = (checker.arb(v) for v in ("0", "0.5", "2"))
        assert checker.exceeds(p, zero, half, checker.arb("0.24"))
        assert not checker.exceeds(p, zero, half, checker.arb("0.26"))
        assert not checker.exceeds(p, zero, two, zero)
        assert checker.lowest(checker.arb_poly([0, 0, 1]), zero, two) == 0
        assert checker.lowest(p, zero, two) <= 0


def overrun() -> checker.Step:
    """w_1(s) = 3/4 - s and w_2 = 1 on [0, 1]: the gate of p is that of the middle, and z = w_1 < 0 after s = 3/4."""
    net = checker.Network(
        {"widths": [1, 1, 1], "alpha": "1", "alpha_bar": "0", "loss": "square", "x": [["1"]], "y": [["2"]],
         "theta0": ["3/4", "1"]}
    )  # fmt: skip
    table = {"unit": 0, "length": [1, 0], "exponent": -2, "coefficients": [[3, -4], [4]], "slopes": [], "cells": []}
    step = checker.Step({**table, "defect": [1, 10]}, Fraction(0), net, checker.arb(1), "step")
    step.find_defect()
    return step


def test_a_gate_that_p_has_on_the_other_side_is_not_certain() -> None:
    """There the defect, computed with the gate of the middle, says nothing of a smooth cell."""
    with checking(100):
        step, radius, error = overrun(), checker.arb("0.001"), checker.arb("0.0001")
        rate = checker.arb(9)
        before, after = (Fraction(1, 2), Fraction(9, 16)), (Fraction(7, 8), Fraction(15, 16))
        assert step.error_after("smooth", *before, radius, rate, error, "before") > error
        with pytest.raises(checker.Rejected, match=r"after .smooth., pre-activation"):
            step.error_after("smooth", *after, radius, rate, error, "after")
        assert step.error_after("kink", *after, radius, rate, error, "after") > error
