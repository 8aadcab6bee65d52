"""Problems for the command line, and what it printed."""

from __future__ import annotations

import json
from typing import Any

import pytest

LINEAR = """
[network]
widths = [2, 2, 1]
activation = "linear"
[data]
x = [[1, "1/2"], ["-1/3", 1]]
y = [[1], ["-1/2"]]
[init]
theta = ["1/2", 0, "1/4", "-1/3", "1/2", "1/5"]
[run]
horizon = "1/2"
step_size = "1/10"
dps = 20
"""


AMBIGUOUS = """{"network": {"widths": [3, 3, 1], "activation": "relu"},
"data": {"x": [["29/100", "-37/100", "47/50"], ["-23/25", "43/100", "93/100"], ["-29/100", "7/20", "-3/5"],
               ["-81/100", "7/100", "-93/100"], ["59/100", "22/25", "-16/25"]],
         "y": [["-33/50"], ["-19/25"], ["1/25"], ["-33/100"], ["-43/50"]]},
"init": {"theta": ["19/100", "9/100", "9/25", "8/25", "-33/50", "16/25", "-49/50", "-1/2", "-69/100",
                   "3/4", "-9/25", "33/100"]}}"""


def lines(text: str) -> list[str]:
    return text.splitlines()


def as_json(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Standard output, which must be one JSON object, strictly."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    found = json.loads(capsys.readouterr().out, parse_constant=refuse)
    assert isinstance(found, dict)
    return found
