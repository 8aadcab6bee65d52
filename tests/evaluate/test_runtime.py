"""Functions of to_jax where functions of jax.jit work: modes, devices, other processes, arrays of other libraries."""

from __future__ import annotations

import array
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from decimal import Decimal
from fractions import Fraction
from typing import Any

import cloudpickle
import jax
import mpmath
import numpy as np
import pandas
import pytest
import sympy

import symflow as sf
from symflow.evaluate import jax_runtime

X, Y = [[1, 2], [-1, 1]], [[1], [0]]
OBJECTIVE = sf.network_objective(sf.FullyConnected((2, 1, 1), 1, 0), X, Y)
THETA = np.array([0.5, -0.25, 2.0])
LOSS = sf.to_jax(OBJECTIVE)


def exact_loss(theta: Any) -> float:
    """f in rationals."""
    return float(sf.evaluate_exact(sf.loss(OBJECTIVE), list(theta)))


MODES: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "disable_jit": jax.disable_jit,
    "debug_nans": lambda: jax.debug_nans(True),
    "debug_infs": lambda: jax.debug_infs(True),
    "strict promotion": lambda: jax.numpy_dtype_promotion("strict"),
    "no rank promotion": lambda: jax.numpy_rank_promotion("raise"),
    "tracer leaks": jax.checking_leaks,
    "x64": lambda: jax.enable_x64(True),
    "no x64": lambda: jax.enable_x64(False),
}
A, B = sympy.symbols("a b")
SMOOTH = sf.expression_objective(sympy.exp(A * B) + sympy.sqrt(1 + A**2) / 3 + sympy.log(1 + B**2), (A, B))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("called_before", [False, True])
def test_modes_of_jax_change_no_value(mode: str, called_before: bool) -> None:
    for objective, theta in ((OBJECTIVE, THETA), (SMOOTH, np.array([0.5, 0.25]))):
        gradient = sf.to_jax(sf.gradient(objective))
        if called_before:
            gradient(theta)
        with MODES[mode]():
            found = gradient(theta)
        assert isinstance(found, jax.Array)
        assert found.dtype == np.float64
        exact = sf.evaluate_mpmath(sf.gradient(objective), list(theta), dps=30)
        np.testing.assert_allclose(found, np.array(exact, dtype=float), rtol=1e-14, atol=1e-16)


def test_values_that_are_no_numbers_are_reported_as_jax_reports_them() -> None:
    gradient = sf.to_jax(sf.gradient(sf.expression_objective(sympy.sqrt(A), (A,))))
    assert np.isnan(gradient(np.array([-1.0]))).all()
    with jax.debug_nans(True), pytest.raises(FloatingPointError, match="nan"):
        gradient(np.array([-1.0]))


def test_own_computations_follow_no_debugging_mode() -> None:
    """Descent that diverges, spectra and searches meet values that are not finite, and know what to do with them."""
    problem = sf.Problem(
        network={"widths": [1, 1, 1], "activation": "linear"},
        data={"x": [[1]], "y": [[1]]},
        init={"theta": ["3", "3"]},
        run={"step_size": "10"},
    )
    q = {name: quantity.symbol for name, quantity in sf.claim_quantities().items()}
    family = sf.Family(networks=(sf.FullyConnected((1, 1, 1)),), samples=(1, 1))
    with ExitStack() as modes:
        for mode in MODES.values():
            modes.enter_context(mode())
        with pytest.raises(sf.DescentDiverged):
            sf.descend(problem, steps=2000)
        found = sf.extreme_eigenvalues(problem.objective, np.array([3.0, 3.0]))
        verdict = sf.falsify(sympy.Ge(q["lambda_min"], 0), family, seconds=60)
    # H = ((w_2^2, 2 w_1 w_2 - 1), (., w_1^2)) at (3, 3): 9 +- 17
    np.testing.assert_allclose([found.min, found.max], [-8, 26], rtol=1e-14)
    assert verdict.status == "refuted"


def test_own_computations_inside_a_transformation_run_at_once() -> None:
    problem, seen = sf.Problem(objective=OBJECTIVE, theta0=["1/2", "-1/4", "2"]), []

    def end() -> list[float]:
        return list(sf.descend(problem, step_size="1/8", steps=3).iterates[-1])

    def traced(s: Any) -> Any:
        seen.append(end())
        return s

    jax.jit(traced)(1.0)
    assert seen[0] == end()


# Other processes and devices ----------------------------------------------------------------------------------------

ELSEWHERE = """
import os, pickle, sys
import numpy as np
function, theta = pickle.load(sys.stdin.buffer)
import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
devices = jax.devices()
assert len(devices) == 4
first = np.asarray(function(theta))
with jax.enable_x64(True):
    mesh = Mesh(np.array(devices), ("d",))
    second = jax.device_put(theta, devices[1])
    spread = jax.device_put(theta, NamedSharding(mesh, PartitionSpec("d")))
    copied = jax.device_put(theta, NamedSharding(mesh, PartitionSpec()))
found = [function(v) for v in (second, spread, copied)]
with jax.default_device(devices[2]):
    found.append(function(theta))
with jax.transfer_guard("disallow"):
    found.append(function(second))
assert found[0].devices() == {devices[1]}
assert found[3].devices() == {devices[2]}
assert all((np.asarray(v) == first).all() for v in found)
sys.stdout.buffer.write(pickle.dumps(first))
"""


@pytest.mark.parametrize("library", [pickle, cloudpickle])
def test_a_function_that_was_called_can_be_sent(library: Any) -> None:
    for function, args in (
        (LOSS, (THETA,)),
        (sf.to_jax(sf.hessian_vector_product(OBJECTIVE)), (THETA, THETA)),
        (sf.to_jax(sf.gradient(OBJECTIVE), data="arguments"), (THETA, {"X": np.ones((2, 2)), "Y": np.ones((1, 2))})),
        (sf.to_jax(OBJECTIVE, dtype=np.float32), (THETA.astype(np.float32),)),
    ):
        value = np.asarray(function(*args))
        again = library.loads(library.dumps(function))(*args)
        assert again.dtype == value.dtype
        np.testing.assert_array_equal(again, value)


def test_deep_networks_can_be_sent() -> None:
    objective = sf.network_objective(sf.FullyConnected((1,) * 400), [[1]], [[2]])
    assert pickle.loads(pickle.dumps(sf.to_jax(sf.gradient(objective)))).derived.objective.parameter_count == 399


def test_another_process_with_other_devices() -> None:
    """Sent after a call; there on a second device, sharded over four, copied to four, and on the default device."""
    objective = sf.network_objective(sf.FullyConnected((2, 2, 2)), np.eye(2), np.eye(2))
    theta = np.arange(8.0) / 4
    gradient = sf.to_jax(sf.gradient(objective))
    here = np.asarray(gradient(theta))
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE], input=pickle.dumps((gradient, theta)), capture_output=True, env=environment
    )
    assert done.returncode == 0, done.stderr.decode()[-1000:]
    np.testing.assert_allclose(pickle.loads(done.stdout), here, rtol=1e-14)


# Arrays of other kinds ----------------------------------------------------------------------------------------------


class Tensor:
    """Another library's array, of which NumPy can make one of its own."""

    dtype = "library.float"

    def __init__(self, values: np.ndarray) -> None:
        self.values, self.shape = values, values.shape

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return self.values


class Attached(Tensor):
    """One that refuses to be converted, as torch does where a gradient is wanted."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        raise RuntimeError("Can't call numpy() on a tensor\nthat requires grad")


class Memory:
    """The array interface alone."""

    def __init__(self, values: np.ndarray) -> None:
        self.values, self.__array_interface__ = values, values.__array_interface__


@pytest.mark.parametrize(
    "theta",
    [
        THETA.astype(">f8"),
        THETA.astype("<f8"),
        np.repeat(THETA, 2)[::2],
        np.frombuffer(THETA.tobytes()),
        Tensor(THETA),
        Memory(THETA.astype(">f8")),
        np.ma.array(THETA),
        pandas.Series(THETA),
        array.array("d", THETA),
        memoryview(THETA),
        tuple(THETA),
        [Fraction(v) for v in THETA],
        [Decimal(v) for v in THETA],
        [mpmath.mpf(v) for v in THETA],
        ["1/2", "-0.25", "2"],
    ],
)
def test_arrays_that_are_exactly_float64_are_taken(theta: Any) -> None:
    assert float(LOSS(theta)) == exact_loss(THETA)


@pytest.mark.parametrize(
    ("theta", "error", "message"),
    [
        (THETA.astype(">f4"), TypeError, "theta must be float64, got big-endian float32; pass float64 arrays"),
        (THETA.astype(">i8"), TypeError, "got big-endian int64"),
        (THETA.astype("c16"), TypeError, "got complex128"),
        (THETA.astype(np.float16), TypeError, "got float16"),
        (THETA.astype(object), TypeError, "got object"),
        (THETA.astype(str), TypeError, "theta must be float64, got str"),
        (array.array("f", THETA), TypeError, "got float32"),
        (Tensor(THETA.astype(np.float32)), TypeError, "got float32"),
        (Attached(THETA), TypeError, r"which NumPy cannot read \(Can't call numpy\(\) on a tensor\)"),
        (np.ma.array(THETA, mask=[True, False, False]), TypeError, "got a masked one; fill them"),
        (jax.random.split(jax.random.key(0), 3), TypeError, "got key<"),
        (jax.ShapeDtypeStruct((3,), np.float64), TypeError, "theta must be an array of float64, got ShapeDtypeStruct"),
        (None, TypeError, "theta must be an array of float64, got nothing"),
        ([1j, 2, 3], TypeError, "got complex128"),
        ([[1], [2, 3], 4], TypeError, "which NumPy cannot read"),
        ([1, None, 3], sf.ProblemError, r"theta\[1\] must be a number"),
        (["1/2", "x", "2"], sf.ProblemError, r"theta\[1\] must be a number .* got 'x'"),
        ([10**400, 1, 1], ValueError, r"theta\[0\] must be a number within float64"),
    ],
)
def test_others_are_refused_in_one_line(theta: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        LOSS(theta)
    assert "\n" not in str(caught.value)


def test_data_of_other_kinds() -> None:
    late = sf.to_jax(OBJECTIVE, data="arguments")
    x, y = np.array(X, dtype=float).T, np.array(Y, dtype=float).T
    for data in ({"X": x.astype(">f8"), "Y": Tensor(y)}, {"X": x.tolist(), "Y": y}, {"X": pandas.DataFrame(x), "Y": y}):
        assert float(late(THETA, data)) == exact_loss(THETA)
    with pytest.raises(TypeError, match="data must be a dict from the names X, Y to arrays, got a list of 2 items"):
        late(THETA, [x, y])
    with pytest.raises(TypeError, match="X must be float64, got big-endian float32"):
        late(THETA, {"X": x.astype(">f4"), "Y": y})


def test_a_byte_order_of_the_dtype_asked_for_is_this_machines() -> None:
    assert float(sf.to_jax(OBJECTIVE, dtype=">f8")(THETA)) == exact_loss(THETA)


# Where JAX cannot start ---------------------------------------------------------------------------------------------

NOWHERE = """
import numpy as np
import symflow as sf
p = sf.Problem(network={"widths": [1, 1], "activation": "linear"}, data={"x": [[1]], "y": [[2]]},
               init={"theta": ["1"]}, run={"horizon": 1, "step_size": "1/4", "dps": 20})
assert float(sf.descend(p, steps=1, dps=20).iterates[-1][0]) == 1.25  # needs no JAX
assert 0 < sf.deviation(p).max < 1
assert float(sf.descend(p, steps=1).iterates[-1][0]) == 1.25  # nor does a short run in float64
assert sf.extreme_eigenvalues(p.objective, np.ones(1)).max == 1
loss = sf.to_jax(p.objective)
big = sf.network_objective(sf.FullyConnected((100, 20)), np.ones((1, 100)), np.ones((1, 20)))
for call in (lambda: loss(np.ones(1)), lambda: sf.deviation(p, float64=True), lambda: sf.solve_flow_float64(p),
             lambda: sf.descend(p, steps=10**7, every=10**6), lambda: sf.extreme_eigenvalues(big, np.ones((9, 2000)))):
    try:
        call()
    except sf.ComputationError as error:
        print(error)
"""


@pytest.mark.parametrize(("given", "running"), [(None, False), ("2", False), (None, True)])
def test_searches_start_jax_with_spare_threads(
    given: str | None, running: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches of singular values wait for other threads of the pool. What runs, or was asked for, stays as it is."""
    seen: list[str | None] = []
    monkeypatch.setattr(jax_runtime, "check_runtime", lambda: seen.append(os.environ.get("NPROC")))
    monkeypatch.setattr(jax_runtime, "jax_runs", lambda: running)
    monkeypatch.delenv("NPROC", raising=False)
    if given is not None:
        monkeypatch.setenv("NPROC", given)
    jax_runtime.start_with_spare_threads()
    assert seen == ([str(max(8, os.cpu_count() or 1))] if given is None and not running else [])
    assert os.environ.get("NPROC") == given


def test_a_platform_that_is_not_there() -> None:
    done = subprocess.run(
        [sys.executable, "-c", NOWHERE], capture_output=True, text=True, env=os.environ | {"JAX_PLATFORMS": "cuda"}
    )
    assert done.returncode == 0, done.stderr[-1000:]
    lines = done.stdout.splitlines()
    assert len(lines) == 5
    assert all("JAX cannot start with JAX_PLATFORMS='cuda'" in line for line in lines)
    assert all("set it to cpu" in line for line in lines)


def test_an_environment_variable_that_jax_cannot_read() -> None:
    program = """
import symflow as sf, sympy
x = sympy.Symbol("x")
f = sf.expression_objective(x**2, [x])
p = sf.Problem(objective=f, theta0=[1])
for call in (lambda: sf.to_jax(f), lambda: sf.descend(p, step_size="1/2", steps=10**7, every=10**6)):
    try:
        call()
    except sf.ComputationError as error:
        print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=os.environ | {"JAX_DEBUG_NANS": "maybe"}
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 2, done.stderr[-1000:]
    assert all("JAX_DEBUG_NANS" in line and "correct or unset that variable" in line for line in lines)


FORKED = """
import os, warnings
from symflow.evaluate.jax_runtime import check_runtime
from symflow.errors import ComputationError

def told():
    try:
        check_runtime()
    except ComputationError as error:
        return b'get_context("spawn")' in str(error).encode()
    return False

def child(expected):
    pid = os.fork()
    if not pid:
        os._exit(int(told() != expected))
    return os.waitpid(pid, 0)[1] == 0

warnings.simplefilter("ignore")  # JAX warns of forks
print(child(False), told(), child(True), told())
"""


def test_a_process_forked_from_a_running_jax_is_told_so() -> None:
    """A fork copies none of JAX's threads: what used them would wait for ever. Before JAX runs it does no harm."""
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["True", "False", "True", "False"], done.stderr[-1000:]
