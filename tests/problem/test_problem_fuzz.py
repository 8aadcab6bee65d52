"""Whatever a file or a caller gives: a Problem or one line, never another error."""

import contextlib
import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from symflow.errors import ProblemError
from symflow.problem import Problem, load_problem

VALID: dict[str, Any] = json.loads((Path(__file__).parent / "valid.json").read_text())
IRIS = VALID | {"data": {"builtin": "iris", "inputs": ["sepal_length", "petal_width"], "targets": ["petal_length"]}}
DRAWN = IRIS | {"init": {"scheme": "balanced", "seed": 1, "scale": "1/2"}}
LEAKY = VALID | {
    "network": {"widths": [2, 3, 1], "activation": "leaky-relu", "slope": "1/5"},
    "data": {"x": [[1, 2], [3, 4], [5, 7]], "labels": [0, 0, 0], "standardize": True, "samples": 2},
}

KEYS = [
    "network", "kind", "widths", "activation", "slope", "alpha", "alpha_bar", "loss", "data", "x", "y",
    "labels", "file", "builtin", "inputs", "targets", "samples", "rows", "standardize", "whiten", "init",
    "theta", "scheme", "scale", "seed", "run", "horizon", "step_size", "dps", "name", "problem", "layers",
]  # fmt: skip
TEXTS = [
    "relu",
    "linear",
    "homogeneous",
    "iris",
    "species",
    "sepal_width",
    "gaussian",
    "xavier",
    "1/3",
    "-2",
    "1e5",
    "nan",
    ".",
]
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 12),
    st.integers(),
    st.floats(),
    st.sampled_from(TEXTS),
    st.text(max_size=8),
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where every part of a nested value is."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(inner for key, part in items for inner in paths(part, (*path, key)))]


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    """A valid problem with up to three parts replaced, removed or added."""
    tables: Any = copy.deepcopy(draw(st.sampled_from([VALID, IRIS, DRAWN, LEAKY])))
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(paths(tables)))
        if not path:
            continue
        *way, last = path
        target = tables
        for key in way:
            target = target[key]
        action = draw(st.sampled_from(["replace", "remove", "add"]))
        if action == "replace":
            target[last] = draw(values)
        elif action == "remove":
            del target[last]
        elif isinstance(target, dict):
            target[draw(st.sampled_from(KEYS) | st.text(max_size=5))] = draw(values)
        else:
            target.insert(last, draw(values))
    return tables


def check(call: Any) -> None:
    try:
        problem = call()
    except ProblemError as refused:
        line = str(refused)
        if line != " ".join(line.split()) or len(line) > 800 or "pydantic" in line:
            pytest.fail(f"not one line: {line!r}")
    else:
        assert Problem(**problem.to_dict()).to_dict() == problem.to_dict()
        assert "\n" not in repr(problem)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(mutated())
def test_mutated_tables(tables: Any) -> None:
    check(lambda: Problem.from_mapping(tables, "p.json", Path("nowhere")))


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(tables=mutated())
def test_mutated_files(tmp_path: Path, tables: Any) -> None:
    file = tmp_path / "p.json"
    file.write_text(json.dumps(tables))
    check(lambda: load_problem(file))


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.binary(max_size=40) | st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")),
    ending=st.sampled_from(["toml", "json"]),
)
def test_any_bytes(tmp_path: Path, content: bytes, ending: str) -> None:
    file = tmp_path / f"p.{ending}"
    file.write_bytes(content)
    check(lambda: load_problem(file))


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=60) | st.text(alphabet='ab,\n\r"#1/.e-', max_size=40).map(str.encode))
def test_any_table(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "points.csv").write_bytes(content)
    data = {"file": "points.csv", "inputs": ["a", "b"], "targets": ["a"]}
    with contextlib.suppress(ProblemError):
        Problem.from_mapping(VALID | {"data": data}, "p.json", tmp_path)


@given(values)
def test_any_value(value: Any) -> None:
    check(lambda: Problem.from_mapping(value, "p.json", Path("nowhere")))
