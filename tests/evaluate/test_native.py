"""The compiled kernel gives the integers of Python's arithmetic, bit for bit; its absence costs nothing but time."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy
from cases import expression_flow, reference, reference_flow
from gmpy2 import mpz
from hypothesis import given, settings
from hypothesis import strategies as st

import symflow as sf
from symflow.dynamics.vector_field import VectorField, gradient_flow_field
from symflow.errors import ComputationError
from symflow.evaluate import series
from symflow.evaluate.fixed_point import FixedSeries
from symflow.evaluate.native import compiled as machine_code
from symflow.evaluate.native.compiled import compiled
from symflow.evaluate.native.expansion import native_expansion, width_of
from symflow.evaluate.native.kernel import kernel
from symflow.evaluate.native.residues import MOST_MODULI, moduli, tables
from symflow.evaluate.native.words import KeptSeries, from_words, to_words
from symflow.evaluate.series import Recurrence, compile_recurrence
from symflow.evaluate.series_compiler import SeriesCompiler, entry_array
from symflow.evaluate.series_steps import Sum
from symflow.numbers.fixed_point import from_fraction
from symflow.paths.taylor.kinks.gates import initial_gates
from symflow.programs.rules.functions import arctangent, exp, log, sigmoid, sine

pytest.importorskip("llvmlite")


def expanded(recurrence: Recurrence, values: Sequence[mpz], order: int, tau: int) -> list[list[Any]]:
    """All coefficients as the kernel has them, after those of Python have been found to be the same."""
    recurrence._expand(values, order, tau)
    every = recurrence.series
    expected = [list(c) for c in every]
    for c in every:
        c.clear()
    recurrence.expand(values, order, tau)
    if recurrence._native is None:
        return expected
    by_series = {id(c): values for c, values in zip(every, expected, strict=True)}
    recurrence.read(recurrence.watched)
    assert [list(c) for c in recurrence.watched] == [by_series[id(c)] for c in recurrence.watched]
    for k in (0, order):
        assert recurrence.coefficient(k) == [c[k] for c in expected[: len(recurrence.state)]]
    recurrence.read(every)
    assert [list(c) for c in every] == expected
    return expected


def classes() -> tuple[VectorField, list[Fraction]]:
    problem = sf.Problem(
        network={"kind": "fully-connected", "widths": [2, 2, 3], "activation": "linear"},
        loss={"kind": "cross-entropy"},
        data={"x": [["1", "-1/3"], ["2/7", "1"]], "labels": [0, 2]},
        init={"scheme": "gaussian", "scale": "1", "seed": 3},
    )
    return gradient_flow_field(problem.objective), list(problem.theta0)


PROGRAMS = {
    "linear": lambda: reference_flow("linear-2-2-2-1"),
    "ReLU": lambda: reference_flow("relu-2-3-1"),
    "log-sum-exp": classes,
    "exp and log": lambda: expression_flow("log(1 + exp(-x*y)) + x**4*y"),
    "powers": lambda: expression_flow("(1 + x**2)**(-5/2)*y**3 + x**3*y/7 + (2 + y)**(7/3)"),
    "sin and atan": lambda: expression_flow("sin(x*y) + atan(3*x - y) + cos(x)**2"),
}


def recurrence_of(program: str, bits: int) -> tuple[Recurrence, list[Fraction]]:
    field, theta = PROGRAMS[program]()
    gates, _ = initial_gates(field, theta[: field.objective.parameter_count])
    return compile_recurrence(field, gates, FixedSeries(bits)), theta


@pytest.mark.parametrize("program", list(PROGRAMS))
@pytest.mark.parametrize("bits", [96, 145, 377, 1000])
def test_the_same_integers(program: str, bits: int) -> None:
    """At any order, unit of time and starting point; one recurrence is expanded again and again."""
    recurrence, theta = recurrence_of(program, bits)
    for shift, order, tau in [(0, 33, 0), (Fraction(1, 7), 64, -3), (Fraction(-1, 9), 0, -70), (0, 1, 1), (0, 24, 2)]:
        expanded(recurrence, [from_fraction(q + shift, bits) for q in theta], order, tau)
        assert recurrence._native is not None


FUNCTIONS = {"exp": exp.EXP, "sigmoid": sigmoid.SIGMOID, "softplus": sigmoid.SOFTPLUS, "sin": sine.SIN, "cos": sine.COS}
FUNCTIONS |= {"atan": arctangent.ATAN, "log": log.LOG}
rationals = st.one_of(
    st.fractions(-4, 4, max_denominator=30),
    st.integers(-(2**70), 2**70).map(lambda n: Fraction(n, 2**60)),
    st.just(Fraction(0)),
)


@st.composite
def recurrences(draw: Any) -> tuple[Recurrence, list[mpz], int, int]:
    """A recurrence of random steps of every kind, a starting point, an order and a unit of time."""
    bits = draw(st.sampled_from([64, 90, 145, 208, 320]))
    arithmetic = FixedSeries(bits)
    compiler = SeriesCompiler(arithmetic)
    state: list[Any] = [[] for _ in range(draw(st.integers(1, 3)))]
    known: list[Any] = list(state)

    def entry() -> Any:
        return draw(st.one_of(st.sampled_from(known), st.sampled_from(known), rationals.map(lambda q: q or None)))

    for _ in range(draw(st.integers(1, 6))):
        kind = draw(st.sampled_from(["product", "sum", "function", "power", "log-sum-exp", "raw sum"]))
        if kind == "product":
            found = compiler.product([(entry(), entry()) for _ in range(draw(st.integers(1, 4)))])
        elif kind == "sum":
            terms = [(draw(rationals), draw(st.sampled_from(known))) for _ in range(draw(st.integers(1, 3)))]
            found = compiler.sum(terms, draw(rationals))
        elif kind == "raw sum":
            found = []
            n, d = draw(st.integers(-(2**66), 2**66)), draw(st.integers(1, 2**64 - 1))
            compiler.steps.append(Sum(found, [(n, draw(st.sampled_from(known)))], d, draw(st.sampled_from([None, -7]))))
        elif kind == "log-sum-exp":
            count = draw(st.integers(2, 3))
            line = entry_array([entry() for _ in range(count)], (count,))
            found = compiler.log_sum_exp(line, 0).item()
        else:
            # of 2 + u^2 with u between -1 and 1: functions need arguments in their domains
            u = compiler.function_of("sin", None, draw(st.sampled_from(known)))
            x = compiler.sum([(Fraction(1), compiler.product([(u, u)]))], Fraction(2))
            exponent = draw(st.sampled_from([Fraction(-1), Fraction(1, 2), Fraction(-7, 3), Fraction(5)]))
            name = "power" if kind == "power" else draw(st.sampled_from(list(FUNCTIONS)))
            found = compiler.function_of(name, exponent if name == "power" else None, x)
        if isinstance(found, list):
            known.append(found)
    field = [draw(st.one_of(st.sampled_from(known), rationals.map(lambda q: q or None))) for _ in state]
    values = [from_fraction(draw(rationals), bits) + draw(st.integers(-1, 1)) for _ in state]
    recurrence = Recurrence(state, field, [known[-1]], [], compiler.steps, arithmetic)
    return recurrence, values, draw(st.integers(16, 40)), draw(st.integers(-70, 3))


@settings(max_examples=60)
@given(recurrences())
def test_random_recurrences(drawn: tuple[Recurrence, list[mpz], int, int]) -> None:
    recurrence, values, order, tau = drawn
    expanded(recurrence, values, order, tau)
    expanded(recurrence, [-v for v in values], order // 2, tau)


@pytest.mark.parametrize("pairs", [15, 16, 40])
def test_sums_of_many_products(pairs: int) -> None:
    """Words hold 240 products: sums are folded between pairs of factors, and within long ones."""
    arithmetic = FixedSeries(145)
    compiler = SeriesCompiler(arithmetic)
    state: list[Any] = [[] for _ in range(11)]
    found = compiler.product([(state[i % 11], state[(i // 11) % 11]) for i in range(pairs)])
    recurrence = Recurrence(state, [found, *state[:10]], [], [], compiler.steps, arithmetic)
    values = [mpz((-1) ** i * (2**144 - 3**i)) >> 4 for i in range(11)]
    for order in (15, 16, 43, 260):
        expanded(recurrence, values, order, -6)
        assert recurrence._native is not None


def test_numbers_that_outgrow_their_words() -> None:
    """x' = x^2 in too large a unit: coefficients grow like x^(k+1) 2^(k tau); more words are taken, and then Python."""
    x = sympy.Symbol("x")
    field = sf.VectorField({x: x**2})
    recurrence = compile_recurrence(field, {}, FixedSeries(100))
    expanded(recurrence, [mpz(1) << 100], 20, 0)
    narrow = recurrence._native.memory.width
    expanded(recurrence, [mpz(1) << 100], 20, 9)
    assert recurrence._native.memory.width.bits > 280 > narrow.bits
    for _ in range(2):  # the first of them sees that narrow numbers would have done
        expanded(recurrence, [mpz(1) << 100], 20, 0)
    assert recurrence._native.memory.width == narrow
    expanded(recurrence, [mpz(1) << 100], 20, 90)
    assert recurrence._native.memory.width.bits > 1900
    expanded(recurrence, [mpz(1) << 100], 20, 300)
    assert recurrence._native is None, "Python's integers have any length"


def test_widths() -> None:
    for bits in (53, 145, 208, 377, 706, 1703, 3200):
        for terms in (1, 10**3, 10**9):
            width = width_of(bits, terms, 0)
            assert width is not None
            assert width.bits >= bits + 6
            assert 204 * terms * (1 << 2 * width.bits) <= 100 * tables(width.moduli).product
    assert width_of(10_000, 1, 0) is None


def test_moduli_are_the_largest_primes() -> None:
    found = moduli(MOST_MODULI)
    assert list(found) == [n for n in range((1 << 28) - 1, found[-1] - 1, -2) if sympy.isprime(n)]


@given(st.lists(st.integers(-(2**127), 2**127 - 1), min_size=1, max_size=5))
def test_words(values: list[int]) -> None:
    words = to_words([mpz(v) for v in values], 2)
    assert from_words(words) == values
    low = [v & (2**64 - 1) for v in values]
    assert [int(v) for v in words[:, 0]] == low


def test_kept_series_are_what_a_tuple_of_lists_is() -> None:
    kept = KeptSeries(to_words([mpz(v) for v in (3, -4, 5, -6)], 2).reshape(2, 2, 2))
    assert len(kept) == 2
    assert list(kept) == [[3, -4], [5, -6]]
    assert kept[1] == [5, -6]
    assert kept[:1] == ([3, -4],)
    assert kept == ([3, -4], [5, -6])


@pytest.mark.parametrize("bits", [90, 145, 377, 1703])
def test_values_and_slopes_of_kept_series(bits: int) -> None:
    recurrence, theta = recurrence_of("linear", bits)
    recurrence.expand([from_fraction(q, bits) for q in theta], 40, -1)
    kept = recurrence.kept()
    s = (mpz(1) << bits) // 3
    native = recurrence.land(kept, s, -1)
    assert recurrence._native is not None
    rates = recurrence.rates()
    assert isinstance(kept, KeptSeries)
    assert kept.words is not None, "nothing was converted"
    lists = tuple(kept)
    assert native == recurrence.land(lists, s, -1)
    recurrence._expand(native[0], 0, -1)
    assert rates == [entry[0] for entry in recurrence.field]
    expected = [sum(int(c) * (int(s) ** k << bits * (40 - k)) for k, c in enumerate(row)) >> bits * 40 for row in lists]
    assert max(abs(int(v) - e) for v, e in zip(native[0], expected, strict=True)) < 40


def test_a_wrong_table_would_be_found() -> None:
    """The control: one bit of one digit in the tables changes the coefficients."""
    recurrence, theta = recurrence_of("linear", 145)
    values = [from_fraction(q, 145) for q in theta]
    expanded(recurrence, values, 30, 0)
    recurrence._native.memory.arrays["cofactors"][6] ^= np.uint64(1)
    with pytest.raises(AssertionError):
        expanded(recurrence, values, 30, 0)


@pytest.fixture(scope="module")
def code() -> bytes:
    """The kernel, compiled now."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return machine_code._compile(llvm, machine_code._machine(llvm), kernel())


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: bytes) -> Iterator[Path]:
    """An empty cache of the user, and a process that has not loaded the kernel."""
    monkeypatch.setattr(machine_code, "_cache_folder", lambda: tmp_path / "symflow")
    monkeypatch.setattr(machine_code, "_compile", lambda *arguments: code)
    compiled.cache_clear()
    yield tmp_path / "symflow"
    compiled.cache_clear()


def works() -> bool:
    recurrence, theta = recurrence_of("linear", 145)
    expanded(recurrence, [from_fraction(q, 145) for q in theta], 20, 0)
    return recurrence._native is not None


def test_the_cache_and_its_failures(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compilations: list[int] = []
    compile_now = machine_code._compile

    def counted(*arguments: Any) -> bytes:
        compilations.append(1)
        return compile_now(*arguments)

    monkeypatch.setattr(machine_code, "_compile", counted)
    assert works()
    (file,) = fresh.iterdir()
    content = file.read_bytes()
    assert content[:32] == hashlib.sha256(content[32:]).digest()
    assert len(compilations) == 1
    compiled.cache_clear()
    assert works()
    assert len(compilations) == 1, "loaded"
    turned = bytes([content[0] ^ 1]) + content[1:]
    for damaged in (b"", b"x" * 10, content[:-7], turned, content[:100] + b"!" + content[101:]):
        file.write_bytes(damaged)
        compiled.cache_clear()
        assert works()
        assert file.read_bytes() == content, "written anew"
    assert len(compilations) == 6
    if sys.platform != "win32":
        fresh.chmod(0o777)  # anybody may have written what is there
        compiled.cache_clear()
        assert works()
        assert len(compilations) == 7


def test_without_a_place_for_the_cache(tmp_path: Path, fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "symflow").write_text("a file")
    assert works()
    compiled.cache_clear()
    monkeypatch.setattr(machine_code, "_cache_folder", lambda: (_ for _ in ()).throw(RuntimeError("no home directory")))
    assert works()


def test_a_disk_that_refuses(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise PermissionError("read-only file system")

    monkeypatch.setattr(machine_code, "write_atomically", refuse)
    assert works()


def test_without_llvmlite(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = reference("linear-2-2-2-1")
    native = sf.solve_flow(problem, horizon="1", dps=25, error=None)
    monkeypatch.setitem(sys.modules, "llvmlite", None)
    monkeypatch.setitem(sys.modules, "llvmlite.binding", None)
    compiled.cache_clear()
    assert compiled() is None
    recurrence, _ = recurrence_of("linear", 145)
    assert native_expansion(recurrence.steps, recurrence.state, recurrence.field, recurrence.arithmetic) is None
    python = sf.solve_flow(problem, horizon="1", dps=25, error=None)
    assert list(python("1")) == list(native("1")), "the same to the last place"
    assert python.dense.segments == native.dense.segments


def test_a_machine_that_llvm_does_not_know(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise RuntimeError("no target")

    monkeypatch.setattr(machine_code, "_loaded", refuse)
    assert compiled() is None


def test_functions_that_the_kernel_does_not_know_stay_in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    recurrence, theta = recurrence_of("powers", 145)
    monkeypatch.setattr(series, "native_expansion", lambda *a: None)
    recurrence.expand([from_fraction(q, 145) for q in theta], 20, 0)
    assert recurrence._native is None
    assert isinstance(recurrence.kept(), tuple)


@pytest.mark.parametrize("text", ["log(x)*x", "1/x", "x**(5/2)"])
def test_a_landing_outside_the_domain_is_told_from_one_inside(text: str) -> None:
    """1/x is computed before the function that needs it: 0 is refused as the function refuses it."""
    x = sympy.Symbol("x")
    field = gradient_flow_field(sf.expression_objective(sympy.sympify(text, locals={"x": x}, rational=True), [x]))
    recurrence = compile_recurrence(field, {}, FixedSeries(145))
    recurrence.expand([from_fraction(Fraction(1), 145)], 30, 0)
    assert recurrence._native is not None
    for outside in (0, -1) if "log" in text else (0,):
        with pytest.raises(ComputationError, match="has no Taylor series; the flow leaves the domain"):
            recurrence.expand([from_fraction(Fraction(outside), 145)], 0, 0)
