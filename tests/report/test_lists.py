"""How tuples of numbers and records, and arrays of many digits, show themselves; they remain tuples and arrays."""

from __future__ import annotations

import copy
import pickle
from fractions import Fraction

import mpmath
import numpy as np

import symflow as sf
from symflow.displays import Listed
from symflow.numbers.vectors import Digits, shown_to


def test_numbers_are_counted_and_their_ends_shown() -> None:
    many = Listed(mpmath.mpf(k) / 4 for k in range(801))
    assert repr(many) == "<801 numbers: 0, 0.25, 0.5, ..., 199.5, 199.75, 200>"
    assert repr(many[:3]) == "<3 numbers: 0, 0.25, 0.5>"
    assert "199.75" not in many._repr_html_()
    assert ">200<" in many._repr_html_()
    assert repr(Listed([None, mpmath.mpf(1)])) == "<2 numbers: none, 1>"
    assert repr(Listed([Fraction(1, 2), 3])) == "(Fraction(1, 2), 3)"
    assert repr(Listed()) == "()"
    assert Listed()._repr_html_() is None
    assert many == tuple(many)
    assert pickle.loads(pickle.dumps(many)) == many


def test_records_stand_one_a_line_and_in_a_table() -> None:
    event = sf.Event(mpmath.mpf("1.25"), "crossing", 2, 1, 0, Fraction(1), Fraction(0))
    assert repr(Listed([event] * 2)).splitlines()[1] == "  crossing at t = 1.25: sample 2, layer 1, unit 0"
    assert Listed([event] * 30)._repr_html_().count("crossing") == 20
    assert repr(Listed([event] * 30)).endswith("... and 10 more>")
    laws = sf.conservation_laws(sf.FullyConnected((1, 2, 1))).laws
    assert repr(laws).startswith("<3 laws:\n  law D_1[1,1]: -W1_11**2 + W2_11**2\n")
    assert laws._repr_html_().count("<math") == 3


def test_states_show_the_digits_that_were_asked_for() -> None:
    problem = sf.Problem(
        network=sf.FullyConnected((1, 1, 1)), data={"x": [1], "y": [1]}, init={"theta": ["1/2", 1]}, run={"dps": 40}
    )
    flow = sf.solve_flow(problem, horizon=1)
    state = flow(1)
    title, *lines = repr(state).strip(">").splitlines()
    assert title == "<2 numbers, 40 digits:"
    for line, value in zip(lines, state, strict=True):
        with mpmath.workdps(60):
            assert abs(mpmath.mpf(line.strip()) - value) < 1e-39
    assert lines[0].strip() in state._repr_html_()
    assert isinstance(state, np.ndarray)
    assert repr(state * 2).startswith("<2 numbers, 40 digits")
    assert np.array_equal(copy.deepcopy(state), state)
    assert np.array_equal(pickle.loads(pickle.dumps(state)), state)
    assert not isinstance(flow.numpy([1]), Digits)
    assert not isinstance(shown_to(np.array([Fraction(1)], dtype=object), 15), Digits)  # exact: as NumPy shows it
    assert repr(state == state) == "array([ True,  True])"
