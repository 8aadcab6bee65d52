"""Descent methods, one a file; problem files and the command line know them by these names."""

from symflow.dynamics.method import Method
from symflow.dynamics.methods.adam import Adam
from symflow.dynamics.methods.gradient_descent import GradientDescent
from symflow.dynamics.methods.heavy_ball import HeavyBall
from symflow.dynamics.methods.nesterov import Nesterov
from symflow.dynamics.methods.rmsprop import RMSProp

METHODS: dict[str, type[Method]] = {
    "gradient-descent": GradientDescent,
    "heavy-ball": HeavyBall,
    "nesterov": Nesterov,
    "rmsprop": RMSProp,
    "adam": Adam,
}
"""The methods by their names in problem files."""
