"""Problems: network, loss, data and initialization, from a file or from Python."""

from symflow.problem.load import load_problem
from symflow.problem.problem import Problem

__all__ = ["Problem", "load_problem"]
