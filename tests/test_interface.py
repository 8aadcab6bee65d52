"""The interface as a reader meets it: what there is, and a docstring for each name with an example that holds."""

import doctest
import inspect
import pydoc
import re
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import symflow as sf

OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
NAMES = [name for name in sf.__all__ if name != "__version__"]
RECORDS = [  # what users receive from functions and do not import; after @, what its module is called, if there are two
    "Applicability", "BalancedStart", "BoundSeries", "Check@falsify", "Check@flow_checks", "Citation", "Claim@falsify",
    "Claim@theory", "ClaimQuantity", "ConvergenceTime", "Derived", "DescentGuarantee", "Deviation", "Event",
    "Experiment", "ExtremeEigenvalues", "Guarantee", "Hypothesis", "Instance", "ModifiedEquation", "Network",
    "NetworkResult", "NotApplicable", "Observables", "Program", "Quantity@bounds", "Searched", "Slack", "StepAdvice",
    "Stopped", "Tightness", "TightnessTable", "VectorField", "Verdict",
]  # fmt: skip


@cache
def modules_of_classes() -> dict[str, list[str]]:
    """Class name -> the modules that define one of that name at their top."""
    root = Path(sf.__file__).parent
    found: dict[str, list[str]] = {}
    for path in sorted(root.rglob("*.py")):
        module = ".".join(path.relative_to(root.parent).with_suffix("").parts).removesuffix(".__init__")
        for name in re.findall(r"^class (\w+)[:(]", path.read_text(encoding="utf-8"), re.MULTILINE):
            found.setdefault(name, []).append(module)
    return found


def record(key: str) -> Any:
    """The public class of a name, or else the only class of that name in the package (in modules with a part)."""
    name, _, part = key.partition("@")
    if name in sf.__all__:
        return getattr(sf, name)
    (module,) = (module for module in modules_of_classes()[name] if part in module)
    return getattr(import_module(module), name)


def failures(documented: str) -> str:
    """What doctest reports of the examples in a docstring; empty where all give what they say."""
    test = doctest.DocTestParser().get_doctest(documented, {"sf": sf}, "example", None, 0)
    report: list[str] = []
    doctest.DocTestRunner(optionflags=OPTIONS, verbose=False).run(test, out=report.append)
    return "".join(report)


def checked_examples(documented: str) -> int:
    """How many examples are run and not skipped."""
    examples = doctest.DocTestParser().get_examples(documented)
    return sum(not example.options.get(doctest.SKIP, False) for example in examples)


@cache
def assert_documented(x: Any) -> None:
    """Once for what is both a public name and a record."""
    documented = inspect.getdoc(x)
    assert documented
    assert ">>>" in documented
    assert checked_examples(documented)
    assert failures(documented) == ""


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_has_an_example_that_holds(name: str) -> None:
    x = getattr(sf, name)
    assert callable(x)
    assert_documented(x)


@pytest.mark.parametrize("name", RECORDS)
def test_every_record_that_users_receive_has_an_example_that_holds(name: str) -> None:
    assert_documented(record(name))


def test_a_wrong_example_is_seen() -> None:
    right = """The square of 3.

    Example:
        >>> 3**2
        9
    """
    assert failures(right) == ""
    assert checked_examples(right) == 1
    assert "Expected:\n    8\nGot:\n    9" in failures(right.replace("    9\n", "    8\n"))
    assert "ProblemError" in failures('>>> sf.cite("R99")\n')
    assert checked_examples(right.replace("3**2", "3**2  # doctest: +SKIP")) == 0
    with pytest.raises(AssertionError):
        assert_documented(type("Bare", (), {"__doc__": "A class without an example."}))


def test_a_star_import_gives_the_interface_and_nothing_else() -> None:
    found: dict[str, Any] = {}
    exec("from symflow import *", found)
    assert sorted(found.keys() - {"__builtins__"}) == sorted(sf.__all__)
    assert len(set(sf.__all__)) == len(sf.__all__)


def test_dir_lists_the_interface() -> None:
    assert set(sf.__all__) <= set(dir(sf))
    assert not any(name.startswith("_") and not name.startswith("__") for name in dir(sf))


def test_help_names_the_whole_interface() -> None:
    text = pydoc.render_doc(sf, renderer=pydoc.plaintext)
    headings = set(re.findall(r"^    (?:class )?(\w+)(?:\(| =|$)", text, re.MULTILINE))
    assert [name for name in NAMES if name not in headings] == []
    assert f"VERSION\n    {sf.__version__}" in text


@cache
def received() -> dict[str, Any]:
    """One record of each kind, from one small problem with two layers."""
    problem = sf.Problem(
        network=sf.FullyConnected((1, 1, 1)),
        data={"x": [1], "y": [1]},
        init={"theta": ["1/2", 1]},
        run={"horizon": 1, "step_size": "1/10", "dps": 15},
    )
    objective, dev = problem.objective, sf.deviation(problem)
    equation = sf.modified_equation(objective, order=1)
    chosen = [bound for bound in sf.known_bounds() if bound.name == "R22"]
    start = {"depth": 2, "target_norm": 1, "w0": "1/2", "alignment": "1/2", "accuracy": "1/100"}
    return {
        "Problem": problem,
        "Objective": objective,
        "Derived": sf.hessian(objective),
        "Statement": sf.statement("R9"),
        "Bound": chosen[0],
        "CurvatureBound": sf.curvature_bounds(objective)["R9(e)"],
        "ModifiedEquation": equation,
        "VectorField": equation.field("1/10"),
        "Trajectory": dev.flow,
        "Descent": dev.run,
        "Deviation": dev,
        "BoundSeries": dev.bounds["R22"],
        "Observables": dev.flow_series,
        "StepAdvice": sf.max_step_size(problem, "1/100", bounds=chosen),
        "ConvergenceTime": sf.convergence_time(**start),
        "DescentGuarantee": sf.descent_guarantee(**start),
        "Stop": sf.stop_at_loss("1/100"),
    }


@pytest.mark.parametrize(
    "name",
    [
        "Problem", "Objective", "Derived", "Statement", "Bound", "CurvatureBound", "ModifiedEquation", "VectorField",
        "Trajectory", "Deviation", "BoundSeries", "Observables", "StepAdvice", "ConvergenceTime",
        "DescentGuarantee", "Stop",
    ],
)  # fmt: skip
def test_a_record_shows_itself_on_one_line(name: str) -> None:
    shown = repr(received()[name])
    assert "\n" not in shown
    assert len(shown) <= 200, shown
