"""Work in several threads: the same results in order, errors that stop it, JAX's modes in each thread."""

from __future__ import annotations

import threading
import time
from contextlib import nullcontext

import pytest

from symflow.evaluate.threads import MOST, each, thread_count, threads


@pytest.fixture(autouse=True)
def three(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many cores there are."""
    monkeypatch.setattr("symflow.evaluate.threads.usable_cores", lambda: 3)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


def test_results_come_in_order_from_several_threads() -> None:
    at_once = threading.Barrier(3, timeout=10)

    def square(n: int) -> tuple[int, str]:
        if n < 3:
            at_once.wait()
        return n**2, threading.current_thread().name

    with threads() as pool:
        found = each(pool, square, range(20), nullcontext)
    assert [value for value, _ in found] == [n**2 for n in range(20)]
    assert len({name for _, name in found[:3]}) == 3


def test_other_threads_are_in_the_same_modes() -> None:
    """JAX's own default are 32 bits, and its modes belong to a thread."""
    jax = pytest.importorskip("jax")
    at_once = threading.Barrier(3, timeout=60)

    def kind(_: int) -> str:
        at_once.wait()
        return str(jax.numpy.zeros(1).dtype)

    with threads() as pool, jax.enable_x64(True):
        assert each(pool, kind, range(3)) == ["float64"] * 3


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_nothing_further_is_begun_after_an_error(error: type[BaseException]) -> None:
    begun: list[int] = []
    caller = threading.current_thread()

    def work(n: int) -> None:
        begun.append(n)
        time.sleep(0.01)
        if threading.current_thread() is caller:
            raise error

    with threads() as pool, pytest.raises(error):
        each(pool, work, range(1000), nullcontext)
    assert len(begun) <= 9


def test_an_error_of_another_thread_is_raised() -> None:
    at_once = threading.Barrier(2, timeout=10)
    caller = threading.current_thread()

    def work(n: int) -> None:
        at_once.wait()
        if threading.current_thread() is not caller:
            raise ValueError(str(n))

    with threads() as pool, pytest.raises(ValueError, match=r"0|1"):
        each(pool, work, range(2), nullcontext)


@pytest.mark.parametrize(("asked", "count"), [("1", 1), ("2,4", 2), ("9", 3), ("", 3), ("0", 3), ("many", 3)])
def test_threads_are_no_more_than_asked_for(monkeypatch: pytest.MonkeyPatch, asked: str, count: int) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert thread_count() == count <= MOST
    with threads() as pool:
        names = each(pool, lambda _: threading.current_thread().name, range(50), nullcontext)
    assert len(set(names)) <= count
