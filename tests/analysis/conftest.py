"""Deviations with every bound, which several modules look at."""

from __future__ import annotations

import pytest
from cases import reference

import symflow as sf
from symflow.analysis.deviation import Deviation


@pytest.fixture(scope="session")
def linear() -> Deviation:
    return sf.deviation(reference("linear-2-2-2-1"), step_size="1/50", horizon=3, dps=30, bounds=sf.known_bounds())


@pytest.fixture(scope="session")
def relu() -> Deviation:
    return sf.deviation(reference("relu-2-3-1"), step_size="1/100", horizon=4, dps=25, bounds=sf.known_bounds())
