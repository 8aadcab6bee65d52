"""Data as people have them: frames of pandas, arrays and Bunches of scikit-learn, floats and integers of NumPy."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import symflow as sf

pandas = pytest.importorskip("pandas", reason="pandas is not installed: frames are not tested")


def problem(x: Any, y: Any, **tables: Any) -> sf.Problem:
    network = {"widths": [2, 1], "activation": "linear"}
    return sf.Problem(network=network, data={"x": x, "y": y}, init={"theta": [1, 2]}, **tables)


def test_a_frame_and_a_series_are_rows_and_a_column() -> None:
    x = pandas.DataFrame({"a": np.float32([0.1, 0.2]), "b": np.int8([1, 2])}, index=[7, 3])
    found = problem(x, pandas.Series([1, 2], index=[7, 3]))
    assert found.x.tolist() == [[Fraction(float(np.float32(0.1))), 1], [Fraction(float(np.float32(0.2))), 2]]
    assert found.y.tolist() == [[1], [2]]
    assert problem(x, x[["b"]]).y.tolist() == [[1], [2]]


def test_text_in_a_frame_is_exact() -> None:
    assert problem(pandas.DataFrame({"a": ["1/3", "0.1"], "b": [1, 2]}), [0, 0]).x[0, 0] == Fraction(1, 3)


@pytest.mark.parametrize("missing", [np.nan, pandas.NA])
def test_a_missing_value_is_refused_with_its_place(missing: object) -> None:
    x = pandas.DataFrame({"a": pandas.array([1.5, missing], dtype="Float64"), "b": [1, 2]})
    with pytest.raises(sf.ProblemError, match=r"^Problem: data\.x\[1\]\[0\] must be a "):
        problem(x, [0, 0])


def test_labels_that_are_text_are_refused_with_the_remedy() -> None:
    data = {"x": [[1, 2], [3, 4]], "labels": pandas.Series(["setosa", "virginica"])}
    network = {"widths": [2, 2], "activation": "linear"}
    with pytest.raises(sf.ProblemError, match=r"got 'setosa'; labels next to x are class numbers, such as numpy\.uniq"):
        sf.Problem(network=network, loss="cross-entropy", data=data, init={"scheme": "xavier"})
    data["labels"] = np.unique(data["labels"], return_inverse=True)[1]
    found = sf.Problem(network=network, loss="cross-entropy", data=data, init={"scheme": "xavier"})
    assert found.y.tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize("as_frame", [False, True])
def test_a_bunch_of_classes_has_labels_and_one_of_numbers_has_targets(as_frame: bool) -> None:
    datasets = pytest.importorskip("sklearn.datasets", reason="scikit-learn is not installed: Bunches are not tested")
    iris = datasets.load_iris(as_frame=as_frame)
    network, init = sf.FullyConnected((4, 3)), {"scheme": "xavier"}
    found = sf.Problem(network=network, loss="cross-entropy", data=iris, init=init)
    builtin = {"builtin": "iris", "inputs": ["sepal_length", "sepal_width", "petal_length", "petal_width"]}
    same = sf.Problem(network=network, loss="cross-entropy", data=builtin | {"labels": "species"}, init=init)
    assert found.x.shape == (150, 4)
    assert np.abs((found.x - same.x).astype(float)).max() < 1e-15  # binary values, next to decimals
    assert np.all(found.y == same.y)
    diabetes = datasets.load_diabetes(as_frame=as_frame)
    found = sf.Problem(network=sf.FullyConnected((10, 1)), data=diabetes, init=init)
    assert found.y[0, 0] == 151
    weights = [np.ones((1, 10))]
    assert sf.Problem.from_weights(weights, diabetes, "linear").y[0, 0] == 151
