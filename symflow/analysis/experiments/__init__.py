"""The experiments of Elkabetz & Cohen 2021: descent at several step sizes on images, compared with the flow itself."""

from symflow.analysis.experiments.results import DescentRun, Experiment, Flow, NetworkResult, Tolerance, load_experiment
from symflow.analysis.experiments.study import experiment

__all__ = ["DescentRun", "Experiment", "Flow", "NetworkResult", "Tolerance", "experiment", "load_experiment"]
