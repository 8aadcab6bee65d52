"""Settings that all tests share."""

import gc
import os
import subprocess
import sys
from collections.abc import Generator
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import settings

from symflow.evaluate.jit_options import THROWAWAY

TESTS = Path(__file__).parent
CACHE = TESTS.parent / ".pytest_cache"

# Tests start a hundred processes. Where Python must not write next to sources (PYTHONDONTWRITEBYTECODE), each of them
# would compile SymPy, JAX and all else again, 3 s of 4; compiled modules are kept out of the way instead.
if sys.dont_write_bytecode:
    sys.dont_write_bytecode = False
    sys.pycache_prefix = os.environ["PYTHONPYCACHEPREFIX"] = str(CACHE / "python")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# No deadline: compilation makes the first example slow. No database: a run depends on the checkout alone.
settings.register_profile("local", max_examples=50, deadline=None, database=None, print_blob=True)
settings.register_profile("ci", settings.get_profile("local"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")

# Modules, formulas and compiled programs stay to the end of a run, so that looking for cycles again and again finds
# little: with Python's own thresholds it takes 7 % of the time of the tests. Without any collection they would take
# another 1 % less, and processes 2.6 GB in place of 2.1 GB.
gc.set_threshold(100_000, 20, 20)

# Any test may be the one that starts JAX in its process, searches follow: see `start_with_spare_threads`.
os.environ.setdefault("NPROC", "8")

# Processes are as many as cores, and matrices small: threads would only wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Arrays of megabytes come and go: glibc keeps what is freed, or the kernel would clear every page of it anew. Read when
# a process starts, as those of pytest-xdist do.
os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", str(2**26))
os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", str(2**28))

# What JAX compiled in one process serves the others, and the next run: read when JAX is imported.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(CACHE / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")


LIBRARIES = "sympy", "jax", "diffrax", "matplotlib.pyplot", "pandas"
"""Those with the most code, in the order in which every other process compiles them."""


def pytest_sessionstart(session: pytest.Session) -> None:
    """After a fresh installation libraries are compiled to bytecode, by two processes from both ends: each one once."""
    if hasattr(session.config, "workerinput"):
        for name in LIBRARIES[:: -1 if _from_the_end(session.config) else 1]:
            found = find_spec(name.partition(".")[0])
            if found and found.cached and not Path(found.cached).exists():
                import_module(name)


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Tests and what they import too: every other process reads the folder from its end."""
    config = session.config
    if _from_the_end(config) and config.args == config.getini("testpaths"):
        config.args = sorted((str(p) for p in TESTS.iterdir() if p.is_dir() or p.match("test_*.py")), reverse=True)
    return (yield)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """All processes must have the tests in one order."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: item.path)


def _from_the_end(config: pytest.Config) -> bool:
    worker = getattr(config, "workerinput", {}).get("workerid", "gw0")
    return int(worker[2:]) % 2 == 1


def pytest_collection_finish() -> None:
    """What there is before the first test is not looked through for cycles any more."""
    gc.freeze()


def pytest_sessionfinish() -> None:
    """At the end pytest looks five times for cycles with errors in their finalizers: once at all that is there."""
    gc.collect()
    gc.freeze()


def pytest_configure(config: pytest.Config) -> None:
    """In the ordinary tier XLA compiles without optimization: its programs are small, and there are many of them."""
    if config.getoption("markexpr") == "not thorough" and not hasattr(config, "workerinput"):
        options = THROWAWAY | {"xla_cpu_parallel_codegen_split_count": "1"}  # there is a process for each core already
        flags = [f"--{option}={str(value).lower()}" for option, value in options.items()]
        given = " ".join([os.environ.get("XLA_FLAGS", ""), *flags]).strip()
        if version("jaxlib").startswith(("0.8.", "0.9.", "0.10.")) or _xla_starts(given):
            os.environ["XLA_FLAGS"] = given


def _xla_starts(flags: str) -> bool:
    """Whether XLA knows all flags: it ends the process at one that it does not know."""
    call = [sys.executable, "-c", "import jax; jax.devices('cpu')"]
    return subprocess.run(call, env=os.environ | {"XLA_FLAGS": flags}, capture_output=True, check=False).returncode == 0
